// SPDX-License-Identifier: MIT
// Several threads at once; meant for the thread sanitizer as well.
#include <atomic>
#include <memory>
#include <random>
#include <thread>

#include "harness.hpp"

namespace ebpf::runtime::test {
namespace {

class Stress : public Fixture {
  protected:
    Map& map_of_id(u32 id) {
        Object* object = runtime_->ids(ObjectKind::Map).find(id);
        EXPECT_NE(object, nullptr);
        release(*object);  // its handle keeps it
        return static_cast<Map&>(*object);
    }
    template <typename Body>
    void in_threads(u32 count, Body body) {
        std::vector<std::thread> threads;
        for (u32 t = 0; t < count; ++t) threads.emplace_back([=] { body(t); });
        for (std::thread& thread : threads) thread.join();
    }
};

struct Wide {
    u64 words[8];
};

// A reader never sees a value that is half old and half new, nor one of another key.
TEST_F(Stress, HashValuesAreWhole) {
    const i64 fd = create({.type = spec::MapType::Hash, .value = sizeof(Wide), .entries = 16});
    ASSERT_GT(fd, 0);
    Map& map = map_of_id(1);
    std::atomic<u64> torn{0};
    std::atomic<u64> seen{0};
    in_threads(4, [&](u32 thread) {
        std::mt19937 random(thread);
        for (u32 i = 0; i < 20000; ++i) {
            const u32 key = random() % 24;
            EpochGuard guard(runtime_->epochs());
            if (!guard.status()) continue;
            switch (random() % 4) {
                case 0: {
                    Wide value;
                    for (u64& word : value.words) word = u64{key} << 32 | i;
                    (void)map.ops->update(map, &key, &value, random() % 3, guard.slot());
                    break;
                }
                case 1:
                    (void)map.ops->remove(map, &key);
                    break;
                default:
                    if (const auto* value =
                            static_cast<const Wide*>(map.ops->lookup(map, &key, guard.slot()))) {
                        seen.fetch_add(1, std::memory_order_relaxed);
                        for (const u64 word : value->words) {
                            if (word != value->words[0] || word >> 32 != key) torn.fetch_add(1);
                        }
                    }
            }
        }
    });
    EXPECT_EQ(torn, 0u);
    EXPECT_GT(seen, 1000u);
    // What is left can be counted and removed; the table knows its own size.
    u32 keys = 0;
    u32 key = 0;
    while (next_key(fd, nullptr, &key) == 0) {
        ASSERT_EQ(remove(fd, &key), 0);
        ++keys;
    }
    EXPECT_LE(keys, 16u);
    const Wide value{};
    for (u32 i = 0; i < 16; ++i) EXPECT_EQ(update(fd, &i, &value), 0);
    key = 16;
    EXPECT_EQ(update(fd, &key, &value), failed(Errc::TableFull));
}

TEST_F(Stress, HashHoldsExactlyMaxEntries) {
    constexpr u32 kMax = 1000;
    const i64 fd = create({.type = spec::MapType::Hash, .entries = kMax});
    Map& map = map_of_id(1);
    std::atomic<u32> stored{0};
    std::atomic<u32> full{0};
    in_threads(4, [&](u32 thread) {
        for (u32 i = 0; i < kMax; ++i) {
            const u32 key = thread * kMax + i;
            const u64 value = key;
            EpochGuard guard(runtime_->epochs());
            const Status status = map.ops->update(map, &key, &value, kUpdateNoExist, guard.slot());
            if (status) {
                ++stored;
            } else if (status.error().code == Errc::TableFull) {
                ++full;
            }
        }
    });
    EXPECT_EQ(stored, kMax);
    EXPECT_EQ(full, 3 * kMax);
    u32 listed = 0;
    u32 key = 0;
    for (i64 s = next_key(fd, nullptr, &key); s == 0; s = next_key(fd, &key, &key)) ++listed;
    EXPECT_EQ(listed, kMax);
}

// 64 threads share two slots, where the elements' memory waits for its readers.
// No write that was let in is carried out after the freeze.
TEST_F(Stress, FrozenContentStays) {
    for (u32 round = 0; round < 200; ++round) {
        WriteGate gate;
        std::atomic<u64> content{0};
        u64 frozen_with = 0;
        in_threads(3, [&](u32 thread) {
            if (thread == 0) {
                while (!gate.freeze()) std::this_thread::yield();
                frozen_with = content.load();
                return;
            }
            for (u32 i = 0; i < 1000 && gate.enter(); ++i) {
                content.fetch_add(1);
                gate.leave();
            }
        });
        ASSERT_EQ(content.load(), frozen_with);
    }
}

class TwoSlots : public Stress, public testing::WithParamInterface<const spec::MapTypeInfo*> {
  protected:
    static constexpr u32 kThreads = 64, kRounds = 500;
    void SetUp() override {
        Stress::SetUp();
        stop();
        start(2);
    }
};

std::vector<const spec::MapTypeInfo*> types_holding(bool bytes) {
    auto types = implemented_map_types();
    std::erase_if(types, [&](const auto* type) {
        return type->holds == spec::Holds::Nothing || (type->holds == spec::Holds::Bytes) != bytes;
    });
    return types;
}
const auto type_name = [](const auto& tested) { return std::string(tested.param->name); };

// A value that is seen is one that was written for its key, and whole.
INSTANTIATE_TEST_SUITE_P(Types, TwoSlots, testing::ValuesIn(types_holding(true)), type_name);

TEST_P(TwoSlots, ManyThreads) {
    const spec::MapTypeInfo& type = *GetParam();
    const bool trie = type.key == spec::SizeRule::LpmKey;
    const bool keyed = type.key != spec::SizeRule::Zero;
    const i64 fd = create({.type = type.type,
                           .key = trie ? 8u : (keyed ? 4u : 0u),
                           .value = sizeof(Wide),
                           .entries = 32,
                           .flags = trie ? spec::kMapNoPrealloc : 0});
    ASSERT_GT(fd, 0);
    Map& map = map_of_id(1);
    // Programs write an array's value where it is, as on Linux; what was not written yet (a per-CPU
    // value by this CPU) is zero.
    const bool whole = type.type != spec::MapType::Array;
    const bool zero_first = type.index_key || type.percpu;
    std::atomic<u64> wrong{0}, seen{0};
    // ... so only there may a reader see a word change.
    const auto word_of = [&](u64& word) {
        return whole ? word : std::atomic_ref(word).load(std::memory_order_relaxed);
    };
    const auto check = [&](Wide& value, u32 key) {
        ++seen;
        for (u64& at : value.words) {
            const u64 word = word_of(at);
            if (word == 0 && zero_first) continue;
            if ((whole && word != value.words[0]) || (keyed && word >> 32 != key)) ++wrong;
        }
    };
    in_threads(kThreads, [&](u32 thread) {
        std::mt19937 random(thread);
        for (u32 i = 0; i < kRounds; ++i) {
            const u32 index = random() % (type.index_key ? 32 : 48);
            const u32 trie_key[2] = {32, index};
            const void* key = trie ? static_cast<const void*>(trie_key) : &index;
            if (!keyed) key = nullptr;
            EpochGuard guard(runtime_->epochs());
            if (!guard.status()) continue;
            Wide value;
            for (u64& word : value.words) word = u64{index} << 32 | (i + 1);
            if (map.ops->update != nullptr) {
                (void)map.ops->update(map, key, &value, kUpdateAny, guard.slot());
            } else {
                (void)map.ops->write(map, key, &value, kUpdateAny);
            }
            if (random() % 3 == 0 && map.ops->remove != nullptr) (void)map.ops->remove(map, key);
            if (random() % 3 == 0 && map.ops->take != nullptr && !type.percpu &&
                map.ops->take(map, key, &value)) {
                check(value, index);
            }
            if (map.ops->lookup == nullptr) continue;
            if (void* found = map.ops->lookup(map, key, guard.slot()))
                check(*static_cast<Wide*>(found), index);
        }
    });
    EXPECT_EQ(wrong, 0u);
    EXPECT_TRUE(seen != 0 || type.asks_value);
    u32 listed = 0;
    u32 key[2] = {};
    for (i64 s = next_key(fd, nullptr, key); s == 0; s = next_key(fd, key, key)) ++listed;
    EXPECT_LE(listed, 32u);
}

// What a lookup finds in a map of objects is alive as long as the run lasts.
class TwoSlotsOfObjects : public TwoSlots {};
INSTANTIATE_TEST_SUITE_P(Types, TwoSlotsOfObjects,
                         testing::Values(&spec::info(spec::MapType::ArrayOfMaps),
                                         &spec::info(spec::MapType::HashOfMaps)),
                         type_name);

// A session of a thread's own, with map 2, one of maps, open in it.
class OwnSession {
  public:
    OwnSession(const spec::Door& door, spec::Dialect dialect)
        : door_(door), who_{door.open_session(door.self), dialect, true} {
        spec::MapGetFdByIdAttr open;
        open.map_id = 2;
        outer_ = static_cast<u32>(*door_(who_, spec::Command::MapGetFdById, &open));
    }
    ~OwnSession() { door_.close_session(door_.self, who_.session); }
    OwnSession(const OwnSession&) = delete;
    OwnSession& operator=(const OwnSession&) = delete;

    // An array of four numbers, which is what the maps in map 2 are like.
    u32 make_inner() {
        spec::MapCreateAttr create;
        create.map_type = 2;
        create.key_size = 4;
        create.value_size = 8;
        create.max_entries = 4;
        return static_cast<u32>(*door_(who_, spec::Command::MapCreate, &create));
    }
    template <typename Value>
    bool put(u32 map, u32 key, const Value& value) {
        spec::MapUpdateElemAttr attr;
        attr.map_fd = map;
        attr.key = reinterpret_cast<u64>(&key);
        attr.value = reinterpret_cast<u64>(&value);
        return door_(who_, spec::Command::MapUpdateElem, &attr).has_value();
    }
    void close(u32 fd) {
        spec::HandleCloseAttr attr;
        attr.fd = fd;
        (void)door_(who_, spec::Command::HandleClose, &attr);
    }
    void remove(u32 key) {
        spec::MapDeleteElemAttr attr;
        attr.map_fd = outer_;
        attr.key = reinterpret_cast<u64>(&key);
        (void)door_(who_, spec::Command::MapDeleteElem, &attr);
    }
    u32 outer() const { return outer_; }

  private:
    const spec::Door& door_;
    spec::Caller who_;
    u32 outer_ = 0;
};

TEST_P(TwoSlotsOfObjects, ManyThreads) {
    const i64 fd = create_some(*GetParam());
    ASSERT_GT(fd, 0);
    Map& outer = map_of_id(2);
    std::atomic<u64> wrong{0}, seen{0};
    in_threads(kThreads, [&](u32 thread) {
        std::mt19937 random(thread);
        OwnSession session(door_, dialect_);
        for (u32 i = 0; i < kRounds / 10; ++i) {
            const u32 key = random() % 3;
            const u32 inner = session.make_inner();
            if (!session.put(session.outer(), key, inner)) ++wrong;
            session.close(inner);
            EpochGuard guard(runtime_->epochs());
            if (!guard.status()) continue;
            auto* found = static_cast<Map*>(outer.ops->lookup(outer, &key, guard.slot()));
            if (found == nullptr) continue;
            ++seen;
            const u32 first = 0;
            auto* word = static_cast<u64*>(found->ops->lookup(*found, &first, guard.slot()));
            if (word == nullptr || *word != 0) ++wrong;
        }
    });
    EXPECT_EQ(wrong, 0u);
    EXPECT_GT(seen, 0u);
    EXPECT_LE(runtime_->live(ObjectKind::Map), 2u + 4u);
}

TEST_F(Stress, PercpuCountersAddUp) {
    const i64 fd = create({.type = spec::MapType::PercpuArray, .entries = 1});
    Map& map = map_of_id(1);
    in_threads(6, [&](u32) {
        const u32 key = 0;
        for (u32 i = 0; i < 5000; ++i) {
            EpochGuard guard(runtime_->epochs());
            ASSERT_TRUE(guard.status());
            ++*static_cast<u64*>(map.ops->lookup(map, &key, guard.slot()));
        }
    });
    const u32 key = 0;
    u64 values[4];
    ASSERT_EQ(lookup(fd, &key, values), 0);
    EXPECT_EQ(values[0] + values[1] + values[2] + values[3], 30000u);
}

// Every submitted record arrives once, whole, and in its producer's order.
TEST_F(Stress, RingDeliversInOrder) {
    constexpr u64 kSize = 65536;
    constexpr u32 kProducers = 3;
    constexpr u32 kRecords = 20000;
    const i64 fd = create({.type = spec::MapType::Ringbuf, .key = 0, .value = 0, .entries = kSize});
    Map& map = map_of_id(1);
    spec::RingMapAttr view;
    view.map_fd = static_cast<u32>(fd);
    ASSERT_EQ(run(spec::Command::RingMap, view), 0);
    std::atomic<u32> running{kProducers};
    u64 next[kProducers] = {};
    u64 bad = 0;
    std::thread consumer([&] {
        std::atomic_ref position(*reinterpret_cast<u64*>(view.consumer));
        std::atomic_ref end(*reinterpret_cast<u64*>(view.producer));
        auto* data = reinterpret_cast<std::byte*>(view.data);
        for (u64 at = 0;;) {
            const bool last = running == 0;
            if (at == end.load(std::memory_order_acquire)) {
                if (last) break;
                map.ops->wait(map, 1);
                continue;
            }
            std::byte* record = data + (at & (kSize - 1));
            std::atomic_ref header(*reinterpret_cast<u32*>(record));
            const u32 length = header.load(std::memory_order_acquire);
            if ((length & 1u << 31) != 0) continue;
            const u32 size = length & ~(1u << 30);
            if (size == length) {
                u64 content[2];
                std::memcpy(content, record + 8, sizeof content);
                if (content[0] >= kProducers || content[1] < next[content[0]]) {
                    ++bad;
                } else {
                    next[content[0]] = content[1] + 1;
                }
            }
            at += (size + 8 + 7) & ~u64{7};
            position.store(at, std::memory_order_release);
        }
    });
    std::atomic<u64> submitted[kProducers] = {};
    in_threads(kProducers, [&](u32 producer) {
        for (u64 i = 0; i < kRecords;) {
            EpochGuard guard(runtime_->epochs());
            auto* record = static_cast<u64*>(ring_reserve(map, 16 + i % 40));
            if (record == nullptr) continue;
            record[0] = producer;
            record[1] = i;
            const bool discard = i % 7 == 3;
            ring_commit(record, 0, discard);
            if (!discard) submitted[producer] = i + 1;
            ++i;
        }
        --running;
    });
    consumer.join();
    EXPECT_EQ(bad, 0u);
    for (u32 p = 0; p < kProducers; ++p) EXPECT_EQ(next[p], submitted[p]);
}

// 64 threads on 2 slots send samples while the rings at both indices are put in and taken out:
// each sample is in a ring, or counted there as lost, or was refused since there was no ring.
TEST_F(Stress, SamplesAreWrittenCountedOrRefused) {
    stop();
    start(2);
    const i64 array = create({.type = spec::MapType::PerfEventArray, .value = 4, .entries = 2});
    Map& map = map_of_id(1);
    i64 rings[2];
    std::atomic_ref<u64>*ends[2], *lost[2];
    std::vector<std::unique_ptr<std::atomic_ref<u64>>> words;
    for (int i = 0; i < 2; ++i) {
        rings[i] = create({.type = spec::MapType::Ringbuf, .key = 0, .value = 0, .entries = 65536});
        ASSERT_GT(rings[i], 0);
        spec::RingMapAttr view;
        view.map_fd = static_cast<u32>(rings[i]);
        ASSERT_EQ(run(spec::Command::RingMap, view), 0);
        for (const u64 at : {view.producer, view.producer + 64}) {
            words.push_back(std::make_unique<std::atomic_ref<u64>>(*reinterpret_cast<u64*>(at)));
        }
        ends[i] = words[words.size() - 2].get();
        lost[i] = words.back().get();
    }
    std::atomic<bool> done{false};
    std::thread changer([&] {
        for (u32 i = 0; !done; ++i) {
            const u32 index = i % 2;
            const auto ring = static_cast<u32>(rings[i / 2 % 2]);
            (void)update(array, &index, &ring);
            if (i % 3 == 0) (void)remove(array, &index);
        }
    });
    constexpr u32 kThreads = 64, kSamples = 4000;
    std::atomic<u64> written{0}, counted{0}, refused{0}, other{0};
    const auto send = [&](u32) {
        const std::byte sample[20] = {};
        for (u32 i = 0; i < kSamples;) {
            EpochGuard guard(runtime_->epochs());
            if (!guard.status()) continue;
            const Status status = perf_output(map, guard.slot(), 0xffffffff, sample, {});
            const Errc code = status ? Errc::Ok : status.error().code;
            ++(code == Errc::Ok            ? written
               : code == Errc::OutOfSpace  ? counted
               : code == Errc::KeyNotFound ? refused
                                           : other);
            ++i;
        }
    };
    in_threads(kThreads, send);
    done = true;
    changer.join();
    for (const u32 index : {0u, 1u}) {
        const auto ring = static_cast<u32>(rings[index]);
        ASSERT_EQ(update(array, &index, &ring), 0);
    }
    send(kThreads);  // 40 bytes each: fills a ring of two, whatever happened so far
    EXPECT_EQ(other, 0u);
    EXPECT_EQ(written + counted + refused, u64{kThreads + 1} * kSamples);
    EXPECT_GT(written, 0u);
    EXPECT_GT(counted, 0u);
    EXPECT_EQ(ends[0]->load() + ends[1]->load(), written * 40) << "32 bytes and the ring's header";
    EXPECT_EQ(lost[0]->load() + lost[1]->load(), counted);
    // Closed descriptors leave the rings alive as long as the array has them.
    for (const i64 ring : rings) ASSERT_EQ(close(ring), 0);
    EXPECT_EQ(runtime_->live(ObjectKind::Map), 3u);
    ASSERT_EQ(close(array), 0);
}

// Programs run while programs, links and maps come and go.
TEST_F(Stress, ObjectsComeAndGoWhileProgramsRun) {
    const i64 first = install(Engine::Jit, {mov(0, 1), exit()});
    const i64 link = attach(first);
    ASSERT_GT(link, 0);
    const ebpf_binding_t* binding = hook_.bindings.at(0);
    std::atomic<bool> stop{false};
    std::atomic<u64> wrong{0};
    std::vector<std::thread> invokers;
    for (int t = 0; t < 3; ++t) {
        invokers.emplace_back([&] {
            u64 context[8] = {};
            while (!stop) {
                u64 result = 0;
                const u32 error = hook_.client->invoke(binding, context, &result);
                if (error != 0 || result < 1 || result > 2) ++wrong;
            }
        });
    }
    for (u32 i = 0; i < 200; ++i) {
        const Engine engine = i % 2 == 0 ? Engine::Interpreter : Engine::Jit;
        const i64 program = install(engine, {mov(0, 1 + static_cast<i32>(i % 2)), exit()});
        ASSERT_GT(program, 0);
        spec::LinkUpdateAttr replace;
        replace.link_fd = static_cast<u32>(link);
        replace.new_prog_fd = static_cast<u32>(program);
        ASSERT_EQ(run(spec::Command::LinkUpdate, replace), 0);
        ASSERT_EQ(close(program), 0);
    }
    stop = true;
    for (std::thread& thread : invokers) thread.join();
    EXPECT_EQ(wrong, 0u);
    spec::EpochSynchronizeAttr synchronize;
    EXPECT_EQ(run(spec::Command::EpochSynchronize, synchronize), 0);
    EXPECT_EQ(runtime_->live(ObjectKind::Program), 2u);
}

TEST_F(Stress, SessionsInParallel) {
    in_threads(4, [&](u32 thread) {
        for (u32 i = 0; i < 200; ++i) {
            void* session = door_.open_session(door_.self);
            const spec::Caller who{session, spec::Dialect::Linux, false};
            spec::MapCreateAttr attr{
                .map_type = 1, .key_size = 4, .value_size = 4, .max_entries = 4};
            const Result<i64> fd = door_(who, spec::Command::MapCreate, &attr);
            ASSERT_TRUE(fd);
            const std::string path = "/" + std::to_string(thread) + "/" + std::to_string(i % 3);
            spec::ObjPinAttr pin;
            pin.pathname = reinterpret_cast<u64>(path.c_str());
            pin.bpf_fd = static_cast<u32>(*fd);
            (void)door_(who, spec::Command::ObjPin, &pin);
            spec::MapGetNextIdAttr next;
            if (door_(who, spec::Command::MapGetNextId, &next)) {
                spec::MapGetFdByIdAttr get;
                get.map_id = next.next_id;
                (void)door_(who, spec::Command::MapGetFdById, &get);
            }
            door_.close_session(door_.self, session);
        }
    });
    EXPECT_EQ(runtime_->live(ObjectKind::Map), 12u) << "what is pinned";
}

// The same through a program, whose lookups machine code does itself: what it reads is the value of
// a map that was in the array, or there was none.
TEST_F(Stress, ProgramsInMapsThatAreExchanged) {
    constexpr u64 kValue = 77;
    const i64 outer = create_some(spec::info(spec::MapType::ArrayOfMaps));
    ASSERT_GT(outer, 0);
    const std::vector<Insn> insns = {load(isa::Width::W32, 6, 1, 0),
                                     store(isa::Width::W32, 10, -4, 6),
                                     mov_reg(2, 10),
                                     add(2, -4),
                                     map_index(1, 0),
                                     call(spec::Helper::map_lookup_elem),
                                     jeq(0, 0, 7),
                                     mov_reg(1, 0),
                                     store_imm(isa::Width::W32, 10, -4, 3),
                                     mov_reg(2, 10),
                                     add(2, -4),
                                     call(spec::Helper::map_lookup_elem),
                                     jeq(0, 0, 1),
                                     load(isa::Width::W64, 0, 0, 0),
                                     exit()};
    for (const Engine engine : {Engine::Interpreter, Engine::Jit}) {
        const i64 program = install(engine, insns, {outer});
        ASSERT_GT(program, 0);
        for (const u32 outside : {4u, 5u, 0x8000'0000u, ~u32{0}})
            EXPECT_EQ(test_run(program, outside, 1), 0) << outside;
        std::atomic<u64> wrong{0}, found{0};
        std::atomic<u32> writing{2};
        in_threads(3, [&](u32 thread) {
            if (thread == 0) {
                // Each key once more when all is written: some have a map then.
                for (u32 i = 0, left = 4; left != 0; ++i) {
                    if (i >= 3000 && writing == 0) --left;
                    const i64 value = test_run(program, i % 4, 10);
                    if (value != 0 && value != kValue) ++wrong;
                    found += value != 0;
                }
                return;
            }
            OwnSession session(door_, dialect_);
            for (u32 i = 0; i < 1000; ++i) {
                const u32 key = (i * 7 + thread) % 4;
                const u32 inner = session.make_inner();
                if (!session.put(inner, 3, kValue)) ++wrong;
                if (!session.put(session.outer(), key, inner)) ++wrong;
                session.close(inner);
                if (i % 4 == 0) session.remove(key);
            }
            --writing;
        });
        EXPECT_EQ(wrong, 0u);
        EXPECT_GT(found, 0u);
        EXPECT_EQ(close(program), 0);
    }
}

}  // namespace
}  // namespace ebpf::runtime::test
