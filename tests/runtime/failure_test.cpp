// SPDX-License-Identifier: MIT
// Every allocation fails once, in turn: the command reports it, and nothing is left behind.
#include "harness.hpp"
#include "runtime/info_layout.hpp"
#include "spec/command_fields.hpp"

namespace ebpf::runtime::test {
namespace {

struct Countdown {
    std::atomic<i64> left{0};
    std::atomic<u64> failed{0};
};

bool count_down(std::size_t, void* context) {
    auto& countdown = *static_cast<Countdown*>(context);
    if (countdown.left.fetch_sub(1) != 0) return true;
    countdown.failed.fetch_add(1);
    return false;
}

class Failures : public Fixture {
  protected:
    void SetUp() override { allocations_before_ = platform::allocations(); }

    // Runs `scenario` in a new runtime with the n-th allocation failing, for all n.
    template <typename Scenario>
    void with_each_allocation_failing(Scenario scenario) {
        for (i64 n = 0;; ++n) {
            start(2);
            Countdown countdown;
            countdown.left = n;
            platform::set_allocation_hook(count_down, &countdown);
            const bool succeeded = scenario();
            platform::set_allocation_hook(nullptr, nullptr);
            if (countdown.failed != 0) {
                EXPECT_FALSE(succeeded) << "allocation " << n;
                EXPECT_EQ(last_.code, Errc::NoMemory) << "allocation " << n;
            }
            stop();
            ASSERT_EQ(platform::allocations(), allocations_before_) << "allocation " << n;
            ASSERT_TRUE(hook_.bindings.empty()) << "allocation " << n;
            if (countdown.failed == 0) {
                EXPECT_TRUE(succeeded);
                EXPECT_GT(n, 0);
                return;
            }
            ASSERT_LT(n, 1000);
        }
    }
};

TEST_F(Failures, CreatingMaps) {
    for (const spec::MapTypeInfo* type : implemented_map_types()) {
        SCOPED_TRACE(type->name);
        with_each_allocation_failing([&] { return create_some(*type) > 0; });
    }
    with_each_allocation_failing(
        [&] { return create({.type = spec::MapType::Array, .flags = spec::kMapMmapable}) > 0; });
}

class UpdateFailures : public Failures, public testing::WithParamInterface<spec::MapType> {};
INSTANTIATE_TEST_SUITE_P(Types, UpdateFailures,
                         testing::Values(spec::MapType::Hash, spec::MapType::PercpuHash,
                                         spec::MapType::LruHash, spec::MapType::LpmTrie));

TEST_P(UpdateFailures, AreReportedAndLeaveNothing) {
    const bool trie = GetParam() == spec::MapType::LpmTrie;
    with_each_allocation_failing([&] {
        const i64 fd = create({.type = GetParam(),
                               .key = trie ? 8u : 4u,
                               .entries = 3,
                               .flags = trie ? spec::kMapNoPrealloc : 0});
        if (fd <= 0) return false;
        u32 stored = 0;
        Error problem;
        // A trie's key is a length and the bits.
        const auto key_of = [&](u64 n) { return trie ? n << 32 | 32 : n; };
        const u64 value[2] = {1, 2};
        for (u64 n = 0; n < 3; ++n) {
            const u64 key = key_of(n);
            if (update(fd, &key, value) == 0) {
                ++stored;
            } else {
                problem = last_;
            }
        }
        // A failed update left no entry and took no room.
        u32 listed = 0;
        u64 key = 0;
        for (i64 s = next_key(fd, nullptr, &key); s == 0; s = next_key(fd, &key, &key)) ++listed;
        EXPECT_EQ(listed, stored);
        for (u64 again = 0; again < 3; ++again) {
            key = key_of(again);
            if (update(fd, &key, value) != 0) problem = last_;
        }
        last_ = problem;
        return problem.code == Errc::Ok;
    });
}

TEST_F(Failures, InstallingAttachingAndPinning) {
    for (const Engine engine : {Engine::Interpreter, Engine::Jit}) {
        with_each_allocation_failing([&] {
            const i64 array = create({.type = spec::MapType::ProgArray, .value = 4});
            if (array <= 0) return false;
            const i64 program = install(engine, {map_index(2, 0), mov(0, 1), exit()}, {array});
            if (program <= 0) return false;
            const u32 key = 0;
            const u32 fd = static_cast<u32>(program);
            if (update(array, &key, &fd) != 0) return false;
            if (attach(program) <= 0) return false;
            spec::ObjPinAttr pin;
            pin.bpf_fd = fd;
            pin.pathname = reinterpret_cast<u64>("/pin");
            if (run(spec::Command::ObjPin, pin) != 0) return false;
            spec::ProgBindMapAttr bind;
            bind.prog_fd = fd;
            bind.map_fd = static_cast<u32>(array);
            return run(spec::Command::ProgBindMap, bind) == 0;
        });
    }
}

// One integer type: the smallest type information that there is.
struct SmallBtf {
    u16 magic = 0xeb9f;
    u8 version = 1, flags = 0;
    u32 header_size = 24, types_at = 0, types_size = 16, strings_at = 16, strings_size = 5;
    u32 name = 1, info = 1 << 24, size = 4, encoding = 32;
    char strings[5] = {0, 'i', 'n', 't', 0};
};

TEST_F(Failures, EveryCommand) {
    const auto address = [](const void* of) { return reinterpret_cast<u64>(of); };
    u64 keys[4] = {}, values[4] = {};
    u32 position = 0;
    const auto batch = [&](auto attr, spec::Command command, i64 map, u32 count) {
        attr.map_fd = static_cast<u32>(map);
        attr.keys = address(keys);
        if constexpr (requires { attr.values; }) attr.values = address(values);
        if constexpr (requires { attr.out_batch; }) attr.out_batch = address(&position);
        attr.count = count;
        const bool done = run(command, attr) == 0 || last_.code == Errc::NoMoreKeys;
        if (done) carried_out_.insert(command);
        return done;
    };
    const auto went = [&](spec::Command command, auto attr) { return run(command, attr) >= 0; };
    using enum spec::Command;

    const auto maps = [&] {
        const i64 hash = create({.type = spec::MapType::Hash});
        if (hash <= 0) return false;
        const u32 fd = static_cast<u32>(hash);
        const u64 key = 1;
        u64 value = 2;
        u32 id_keys[2] = {1, 2};
        std::memcpy(keys, id_keys, sizeof id_keys);
        const i64 array = create({.type = spec::MapType::Array, .flags = spec::kMapMmapable});
        const i64 ring =
            array > 0
                ? create({.type = spec::MapType::Ringbuf, .key = 0, .value = 0, .entries = 65536})
                : 0;
        return ring > 0 && update(hash, &key, &value) == 0 && lookup(hash, &key, &value) == 0 &&
               next_key(hash, nullptr, &value) == 0 && take(hash, &key, &value) == 0 &&
               update(hash, &key, &value) == 0 && remove(hash, &key) == 0 &&
               batch(spec::MapUpdateBatchAttr{}, MapUpdateBatch, hash, 2) &&
               batch(spec::MapLookupBatchAttr{}, MapLookupBatch, hash, 4) &&
               batch(spec::MapLookupAndDeleteBatchAttr{}, MapLookupAndDeleteBatch, hash, 4) &&
               update(hash, keys, &value) == 0 &&
               batch(spec::MapDeleteBatchAttr{}, MapDeleteBatch, hash, 1) &&
               went(HandleShape, spec::HandleShapeAttr{.fd = fd}) &&
               went(HandleDuplicate, spec::HandleDuplicateAttr{.fd = fd}) &&
               went(MapGetNextId, spec::MapGetNextIdAttr{}) &&
               went(MapGetFdById, spec::MapGetFdByIdAttr{.map_id = 1}) &&
               went(MapMemory, spec::MapMemoryAttr{.map_fd = static_cast<u32>(array)}) &&
               went(RingMap, spec::RingMapAttr{.map_fd = static_cast<u32>(ring)}) &&
               went(RingWait, spec::RingWaitAttr{.map_fd = static_cast<u32>(ring)}) &&
               went(MapFreeze, spec::MapFreezeAttr{.map_fd = fd}) && close(hash) == 0;
    };
    const auto types = [&] {
        const SmallBtf btf;
        spec::BtfLoadAttr load{.btf = address(&btf), .btf_size = sizeof btf - 3};
        return run(BtfLoad, load) > 0 && went(BtfGetNextId, spec::BtfGetNextIdAttr{}) &&
               went(BtfGetFdById, spec::BtfGetFdByIdAttr{.btf_id = 1});
    };
    const auto programs = [&] {
        const i64 map = create({.type = spec::MapType::Hash});
        const i64 program = map > 0 ? install(Engine::Jit, {mov(0, 1), exit()}) : 0;
        if (program <= 0) return false;
        const u32 fd = static_cast<u32>(program);
        const u32 xdp = static_cast<u32>(spec::number(dialect_, spec::AttachType::Xdp));
        spec::linux_abi::ProgInfo info{};
        char next[32];
        const i64 link = test_run(program) == 1 ? attach(program) : 0;
        return link > 0 &&
               went(LinkUpdate,
                    spec::LinkUpdateAttr{.link_fd = static_cast<u32>(link), .new_prog_fd = fd}) &&
               went(LinkGetNextId, spec::LinkGetNextIdAttr{}) &&
               went(LinkGetFdById, spec::LinkGetFdByIdAttr{.link_id = 1}) &&
               went(ProgQuery, spec::ProgQueryAttr{.target_fd = 1, .attach_type = xdp}) &&
               went(LinkDetach, spec::LinkDetachAttr{.link_fd = static_cast<u32>(link)}) &&
               went(
                   ProgAttach,
                   spec::ProgAttachAttr{.target_fd = 3, .attach_bpf_fd = fd, .attach_type = xdp}) &&
               went(ProgDetach, spec::ProgDetachAttr{.target_fd = 3, .attach_type = xdp}) &&
               went(ProgBindMap,
                    spec::ProgBindMapAttr{.prog_fd = fd, .map_fd = static_cast<u32>(map)}) &&
               went(ProgGetNextId, spec::ProgGetNextIdAttr{}) &&
               went(ProgGetFdById, spec::ProgGetFdByIdAttr{.prog_id = 1}) &&
               went(ObjGetInfoByFd,
                    spec::ObjGetInfoByFdAttr{
                        .bpf_fd = fd, .info_len = sizeof info, .info = address(&info)}) &&
               went(ObjPin, spec::ObjPinAttr{.pathname = address("/a"), .bpf_fd = fd}) &&
               went(PinGetNext, spec::PinGetNextAttr{.path = address(next), .path_len = 32}) &&
               went(ObjGet, spec::ObjGetAttr{.pathname = address("/a")}) &&
               went(ObjUnpin, spec::ObjUnpinAttr{.pathname = address("/a")}) &&
               went(EnableStats, spec::EnableStatsAttr{}) &&
               went(EpochSynchronize, spec::EpochSynchronizeAttr{});
    };
    with_each_allocation_failing(maps);
    with_each_allocation_failing(types);
    with_each_allocation_failing(programs);

    start(2);
    for (const spec::CommandInfo& command : spec::commands()) {
        if (carried_out_.contains(command.command)) continue;
        alignas(8) std::byte nothing[spec::kMaxAttrSize] = {};
        const Result<i64> result = door_(caller(), command.command, nothing);
        EXPECT_EQ(result ? Errc::Ok : result.error().code, Errc::NotSupported) << command.name;
    }
}

TEST_F(Failures, StartingTheRuntime) {
    for (i64 n = 0;; ++n) {
        Countdown countdown;
        countdown.left = n;
        platform::set_allocation_hook(count_down, &countdown);
        const Result<Runtime*> runtime = Runtime::create({});
        void* session = nullptr;
        if (runtime) session = (*runtime)->door().open_session(*runtime);
        platform::set_allocation_hook(nullptr, nullptr);
        EXPECT_EQ(runtime && session != nullptr, countdown.failed == 0) << n;
        if (runtime) {
            Runtime::destroy(*runtime);
        } else {
            EXPECT_EQ(runtime.error().code, Errc::NoMemory);
        }
        ASSERT_EQ(platform::allocations(), allocations_before_) << n;
        if (countdown.failed == 0) return;
    }
}

}  // namespace
}  // namespace ebpf::runtime::test
