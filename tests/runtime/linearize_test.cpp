// SPDX-License-Identifier: MIT
//
// Linearizability: whatever several threads do to a map at the same time, there is an order of the
// operations, each between its beginning and its end, in which a plain sequential map gives the
// same answers (J. M. Wing, C. Gong, "Testing and verifying concurrent objects"). Short histories
// of three threads are recorded and every order is tried; what was tried is remembered. First the
// checker itself has to find 20 planted faults.
#include <algorithm>
#include <deque>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "harness.hpp"

namespace ebpf::runtime::test {
namespace {

// Roomy: keys in a map that has room for all of them. (Of an LRU map that drops elements any loss
// is right, and its other promises are those of one with room.)
enum class Shape { Keys, Roomy, Array, Trie, Queue, Stack, Bloom };
enum class Do { Lookup, Update, Remove, Take };

struct Op {
    Do what{};
    u32 key = 0;
    u64 value = 0;
    u64 flags = 0;
    // What happened:
    Errc code = Errc::Ok;
    u64 out = 0;
    u64 begin = 0;
    u64 end = 0;

    bool same_answer(const Op& other) const { return code == other.code && out == other.out; }
};

constexpr u32 kEntries = 3;

// Ways in which a sequential map can be wrong, each of one shape.
enum class Fault {
    None,
    ExistCreates,
    NoExistReplaces,
    RemoveKeeps,
    RemoveOfMissingSucceeds,
    LookupIsStale,
    LookupIsHalf,
    NeverFull,
    FullTooSoon,
    UpdateIsLost,
    TakeKeeps,
    TakeGivesAnother,
    CountIsNotGivenBack,
    ArrayWritesNeighbour,
    QueueGivesNewest,
    QueuePeekTakes,
    QueuePopKeeps,
    QueueExistDropsNewest,
    StackGivesOldest,
    TrieGivesShorter,
    BloomForgets,
    Count,
};

Shape shape_of(Fault fault) {
    if (fault == Fault::ArrayWritesNeighbour) return Shape::Array;
    if (fault >= Fault::QueueGivesNewest && fault <= Fault::QueueExistDropsNewest)
        return Shape::Queue;
    if (fault == Fault::StackGivesOldest) return Shape::Stack;
    if (fault == Fault::TrieGivesShorter) return Shape::Trie;
    if (fault == Fault::BloomForgets) return Shape::Bloom;
    return Shape::Keys;
}

// A trie's keys are prefixes of one address: key n has 8 * (n + 1) bits of it, so that longer ones
// are more specific. A lookup of key n finds the longest that is there, at most n.
class Model {
  public:
    explicit Model(Shape shape, Fault fault = Fault::None) : shape_(shape), fault_(fault) {
        for (u32 i = 0; shape == Shape::Array && i < kEntries; ++i) items_[i] = 0;
    }

    // The operation with this model's answers.
    Op apply(Op op) {
        op.code = Errc::Ok;
        op.out = 0;
        switch (shape_) {
            case Shape::Queue:
            case Shape::Stack:
                line(op);
                break;
            case Shape::Bloom:
                if (op.what == Do::Update) {
                    if (fault_ != Fault::BloomForgets || op.value % 2 == 0)
                        members_.insert(op.value);
                } else if (!members_.contains(op.value)) {
                    op.code = Errc::KeyNotFound;
                }
                break;
            default:
                keyed(op);
        }
        return op;
    }

    auto state() const { return std::tuple(items_, line_, members_, taken_); }

  private:
    void keyed(Op& op) {
        switch (op.what) {
            case Do::Lookup:
                return lookup(op);
            case Do::Update:
                return update(op);
            case Do::Remove:
            case Do::Take:
                return remove(op);
        }
    }

    void lookup(Op& op) {
        auto found = items_.find(op.key);
        if (shape_ == Shape::Trie) {
            found = items_.upper_bound(op.key);
            if (fault_ == Fault::TrieGivesShorter && found != items_.begin() &&
                std::prev(found) != items_.begin()) {
                --found;
            }
            found = found == items_.begin() ? items_.end() : std::prev(found);
        }
        if (found == items_.end()) {
            op.code = Errc::KeyNotFound;
            return;
        }
        op.out = found->second;
        if (fault_ == Fault::LookupIsStale && before_.contains(op.key)) op.out = before_[op.key];
        if (fault_ == Fault::LookupIsHalf) op.out = op.out >> 32 << 32;
    }

    void update(Op& op) {
        const bool there = items_.contains(op.key);
        if (there && op.flags == kUpdateNoExist && fault_ != Fault::NoExistReplaces) {
            op.code = Errc::KeyAlreadyExists;
        } else if (!there && op.flags == kUpdateExist && fault_ != Fault::ExistCreates) {
            op.code = Errc::KeyNotFound;
        } else if (!there && items_.size() + taken_ >= limit()) {
            op.code = shape_ == Shape::Trie ? Errc::OutOfSpace : Errc::TableFull;
        } else {
            if (there) before_[op.key] = items_[op.key];
            if (fault_ == Fault::UpdateIsLost && there) return;
            const bool neighbour = fault_ == Fault::ArrayWritesNeighbour && op.key == 1;
            items_[neighbour ? 2 : op.key] = op.value;
        }
    }

    void remove(Op& op) {
        const auto found = items_.find(op.key);
        if (shape_ == Shape::Array) {
            op.code = Errc::InvalidArgument;
        } else if (found == items_.end()) {
            if (fault_ != Fault::RemoveOfMissingSucceeds) op.code = Errc::KeyNotFound;
        } else {
            if (op.what == Do::Take) op.out = found->second;
            if (op.what == Do::Take && fault_ == Fault::TakeGivesAnother) op.out ^= 1;
            if (fault_ == Fault::CountIsNotGivenBack) ++taken_;
            const bool keeps =
                op.what == Do::Take ? fault_ == Fault::TakeKeeps : fault_ == Fault::RemoveKeeps;
            if (!keeps) items_.erase(found);
        }
    }

    std::size_t limit() const {
        if (fault_ == Fault::NeverFull || shape_ == Shape::Roomy) return 100;
        return fault_ == Fault::FullTooSoon ? kEntries - 1 : kEntries;
    }

    void line(Op& op) {
        if (op.what == Do::Update) {
            if (line_.size() == kEntries && op.flags != kUpdateExist) {
                op.code = Errc::TableFull;
                return;
            }
            if (line_.size() == kEntries) {
                fault_ == Fault::QueueExistDropsNewest ? line_.pop_back() : line_.pop_front();
            }
            line_.push_back(op.value);
            return;
        }
        if (line_.empty()) {
            op.code = Errc::KeyNotFound;
            return;
        }
        const bool newest = (shape_ == Shape::Stack) != (fault_ == Fault::QueueGivesNewest ||
                                                         fault_ == Fault::StackGivesOldest);
        op.out = newest ? line_.back() : line_.front();
        const bool takes =
            op.what == Do::Take ? fault_ != Fault::QueuePopKeeps : fault_ == Fault::QueuePeekTakes;
        if (takes) newest ? line_.pop_back() : line_.pop_front();
    }

    Shape shape_;
    Fault fault_;
    std::map<u32, u64> items_;
    std::map<u32, u64> before_;
    std::deque<u64> line_;
    std::set<u64> members_;
    u32 taken_ = 0;
};

// --- the checker ---------------------------------------------------------------------------------

class Checker {
  public:
    Checker(const std::vector<Op>& history, Shape shape) : history_(history), shape_(shape) {}
    bool linearizable() { return search(0, Model(shape_)); }

  private:
    bool search(u32 done, const Model& model) {
        if (done == (1u << history_.size()) - 1) return true;
        if (!seen_.insert({done, model.state()}).second) return false;
        u64 first_end = ~u64{0};
        for (u32 i = 0; i < history_.size(); ++i) {
            if ((done >> i & 1) == 0) first_end = std::min(first_end, history_[i].end);
        }
        for (u32 i = 0; i < history_.size(); ++i) {
            // What began after another one had ended cannot come before it.
            if ((done >> i & 1) != 0 || history_[i].begin > first_end) continue;
            Model next = model;
            if (next.apply(history_[i]).same_answer(history_[i]) && search(done | 1u << i, next)) {
                return true;
            }
        }
        return false;
    }

    const std::vector<Op>& history_;
    Shape shape_;
    std::set<std::pair<u32, decltype(std::declval<Model>().state())>> seen_;
};

// --- histories -----------------------------------------------------------------------------------

constexpr u32 kThreads = 3;
constexpr u32 kOpsEach = 4;

Op random_op(std::mt19937& random, Shape shape) {
    const auto below = [&](u32 n) { return static_cast<u32>(random() % n); };
    Op op;
    op.what = static_cast<Do>(below(4));
    if (below(2) == 0) op.what = Do::Update;
    if (shape == Shape::Bloom && op.what != Do::Update) op.what = Do::Lookup;
    if ((shape == Shape::Trie || shape == Shape::Array) && op.what == Do::Take)
        op.what = Do::Lookup;
    if ((shape == Shape::Queue || shape == Shape::Stack) && op.what == Do::Remove)
        op.what = Do::Take;
    op.key = below(shape == Shape::Array ? 3 : 4);
    const u64 half = below(shape == Shape::Bloom ? 4 : 1000) + 1;
    op.value = shape == Shape::Bloom ? half : half << 32 | half;
    op.flags = below(3) == 0 ? 1 + below(2) : 0;
    if (shape == Shape::Bloom) op.flags = 0;
    if (shape == Shape::Array && op.flags == kUpdateNoExist) op.flags = 0;
    if ((shape == Shape::Queue || shape == Shape::Stack) && op.flags != 0) op.flags = kUpdateExist;
    return op;
}

// What a faulty sequential map answers to operations that overlap a little.
std::vector<Op> planted_history(std::mt19937& random, Fault fault) {
    const Shape shape = shape_of(fault);
    Model model(shape, fault);
    std::vector<Op> history;
    for (u32 i = 0; i < kThreads * kOpsEach; ++i) {
        Op op = model.apply(random_op(random, shape));
        op.begin = 10 * i - std::min<u64>(10 * i, random() % 8);
        op.end = 10 * i + random() % 8;
        history.push_back(op);
    }
    return history;
}

TEST(Checker, FindsPlantedFaults) {
    static_assert(static_cast<int>(Fault::Count) == 21);
    for (int f = 1; f < static_cast<int>(Fault::Count); ++f) {
        std::mt19937 random(static_cast<u32>(f));
        bool found = false;
        for (int i = 0; i < 300 && !found; ++i) {
            const auto history = planted_history(random, static_cast<Fault>(f));
            found = !Checker(history, shape_of(static_cast<Fault>(f))).linearizable();
        }
        EXPECT_TRUE(found) << "fault " << f;
    }
}

TEST(Checker, AcceptsRightHistories) {
    std::mt19937 random(1);
    for (const Shape shape : {Shape::Keys, Shape::Roomy, Shape::Array, Shape::Trie, Shape::Queue,
                              Shape::Stack, Shape::Bloom}) {
        for (int i = 0; i < 100; ++i) {
            Model model(shape);
            std::vector<Op> history;
            for (u32 n = 0; n < kThreads * kOpsEach; ++n) {
                Op op = model.apply(random_op(random, shape));
                op.begin = 10 * n - std::min<u64>(10 * n, random() % 30);
                op.end = 10 * n + random() % 30;
                history.push_back(op);
            }
            ASSERT_TRUE(Checker(history, shape).linearizable());
        }
    }
}

// --- the maps ------------------------------------------------------------------------------------

struct Subject {
    const char* name;
    spec::MapType type;
    Shape shape;
    u32 key;
    u32 flags;
};

class Linearizable : public Fixture, public testing::WithParamInterface<Subject> {
  protected:
    void perform(Op& op) {
        const Subject& subject = GetParam();
        Map& map = *static_cast<Map*>(object_);
        // A trie's key: the length in bits and the bytes.
        const u32 trie_key[2] = {8 * (op.key + 1), 0x04030201};
        const void* key = subject.shape == Shape::Trie ? static_cast<const void*>(trie_key)
                                                       : static_cast<const void*>(&op.key);
        if (subject.key == 0) key = nullptr;
        std::vector<u64> all(runtime_->epochs().slots(), op.value);  // of a per-CPU map, each
        void* const value = all.data();
        Status status;
        op.begin = clock_.fetch_add(1);
        if (op.value % 3 == 0) std::this_thread::yield();
        {
            EpochGuard guard(runtime_->epochs());
            switch (op.what) {
                case Do::Lookup:
                    status = map.ops->read(map, key, value);
                    break;
                case Do::Update:
                    status = map.ops->write(map, key, value, op.flags);
                    break;
                case Do::Remove:
                    status = map.ops->remove(map, key);
                    break;
                case Do::Take:
                    status = map.ops->take(map, key, value);
                    break;
            }
        }
        op.end = clock_.fetch_add(1);
        op.code = status ? Errc::Ok : status.error().code;
        const bool gives = op.what == Do::Take || op.what == Do::Lookup;
        if (gives && status && subject.shape != Shape::Bloom) op.out = all[0];
    }

    std::vector<Op> record(std::mt19937& random) {
        const i64 fd = create({.type = GetParam().type,
                               .key = GetParam().key,
                               .entries = GetParam().shape == Shape::Roomy ? 100 : kEntries,
                               .flags = GetParam().flags});
        EXPECT_GT(fd, 0);
        u32 id = 0;
        while (const u32 next = runtime_->ids(ObjectKind::Map).next(id)) id = next;
        object_ = runtime_->ids(ObjectKind::Map).find(id);
        std::vector<std::vector<Op>> plans(kThreads);
        for (auto& plan : plans) {
            for (u32 i = 0; i < kOpsEach; ++i) plan.push_back(random_op(random, GetParam().shape));
        }
        std::atomic<u32> ready{0};
        std::vector<std::thread> threads;
        for (auto& plan : plans) {
            threads.emplace_back([&] {
                ready.fetch_add(1);
                while (ready.load() < kThreads) std::this_thread::yield();
                for (Op& op : plan) perform(op);
            });
        }
        for (std::thread& thread : threads) thread.join();
        std::vector<Op> history;
        for (const auto& plan : plans) history.insert(history.end(), plan.begin(), plan.end());
        release(*object_);
        close(fd);
        return history;
    }

    Object* object_ = nullptr;
    std::atomic<u64> clock_{0};
};

INSTANTIATE_TEST_SUITE_P(
    Types, Linearizable,
    testing::Values(Subject{"Hash", spec::MapType::Hash, Shape::Keys, 4, 0},
                    Subject{"PercpuHash", spec::MapType::PercpuHash, Shape::Keys, 4, 0},
                    Subject{"LruHash", spec::MapType::LruHash, Shape::Roomy, 4, 0},
                    Subject{"LruPercpuHash", spec::MapType::LruPercpuHash, Shape::Roomy, 4, 0},
                    Subject{"Array", spec::MapType::Array, Shape::Array, 4, 0},
                    Subject{"PercpuArray", spec::MapType::PercpuArray, Shape::Array, 4, 0},
                    Subject{"LpmTrie", spec::MapType::LpmTrie, Shape::Trie, 8,
                            spec::kMapNoPrealloc},
                    Subject{"Queue", spec::MapType::Queue, Shape::Queue, 0, 0},
                    Subject{"Stack", spec::MapType::Stack, Shape::Stack, 0, 0},
                    Subject{"Bloom", spec::MapType::BloomFilter, Shape::Bloom, 0, 0}),
    [](const auto& tested) { return std::string(tested.param.name); });

TEST_P(Linearizable, HistoriesOfThreeThreads) {
    std::mt19937 random(7);
    for (int round = 0; round < 60; ++round) {
        auto history = record(random);
        if (GetParam().shape == Shape::Bloom) {
            // It may say yes wrongly, so that only its noes count.
            std::erase_if(
                history, [](const Op& op) { return op.what == Do::Lookup && op.code == Errc::Ok; });
        }
        ASSERT_TRUE(Checker(history, GetParam().shape).linearizable()) << "round " << round;
    }
}

}  // namespace
}  // namespace ebpf::runtime::test
