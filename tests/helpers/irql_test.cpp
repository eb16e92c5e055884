// SPDX-License-Identifier: MIT
//
// Programs run at DISPATCH, where nothing may wait. Every helper that is there is called at that
// (simulated) level, with arguments made from its prototype: each map type that it takes, and all
// combinations of 0 and 1 for plain numbers. A wait or an allocation that may block ends the
// process.
#include <map>

#include "comparison.hpp"
#include "hooks/xdp.hpp"
#include "hooks/xdp_helpers.hpp"
#include "platform/irql.hpp"
#include "platform/system.hpp"
#include "runtime/dynptr.hpp"
#include "runtime/helpers.hpp"
#include "spec/map_types.hpp"

namespace ebpf::runtime::test {
namespace {

using spec::ArgKind;
using spec::Dialect;
using spec::Helper;
using spec::MapType;

u64 address(const void* p) {
    return reinterpret_cast<u64>(p);
}

u64 callback(u64, u64, u64, u64, u64, code::Invocation*) {
    return 0;
}

class Irql : public Fixture {
  protected:
    void SetUp() override {
        Fixture::SetUp();
        frame_memory_.resize(hooks::kXdpHeadroom + 60 + hooks::kXdpTailroom + 100);
        invocation_.runtime = runtime_;
        program_.type = spec::ProgramType::Xdp;
        invocation_.program = &program_;
        for (int i = 0; i < spec::kMapTypeCount; ++i) {
            const auto type = static_cast<MapType>(i);
            const spec::MapTypeInfo& info = spec::info(type);
            if (!info.implemented || spec::number(Dialect::Linux, type) < 0) continue;
            add_map(type);
        }
    }
    // What the type wants of its sizes is found by trying. A map of maps needs more: it has only
    // lookups, which are the other types' here.
    void add_map(MapType type) {
        for (const MapSpec& candidate :
             {MapSpec{.type = type}, MapSpec{.type = type, .value = 4},
              MapSpec{.type = type, .key = 0},
              MapSpec{.type = type, .key = 0, .value = 0, .entries = 4096},
              MapSpec{.type = type, .key = 8, .flags = spec::kMapNoPrealloc}}) {
            if (create(candidate) <= 0) continue;
            Object* object = runtime_->ids(ObjectKind::Map).find(++created_);
            release(*object);  // its handle keeps it
            maps_[type] = static_cast<Map*>(object);
            return;
        }
    }

    // Whether buffers are enough for it: a timer lies in a map, and a lock must be held.
    static bool can_call(const spec::HelperProto& proto) {
        return proto.args[0] != ArgKind::Timer && proto.id != Helper::spin_unlock;
    }

    // Calls it in every way; how many calls.
    int call_all_ways(const spec::HelperProto& proto, code::HelperFn function) {
        int calls = 0;
        for (const auto& [type, map] : maps_) {
            const bool takes_map = proto.map_types != 0 || proto.map_types_high != 0;
            if (takes_map && !proto.allows(type)) continue;
            for (u32 numbers = 0; numbers < 32; ++numbers) {
                call(proto, function, map, numbers);
                ++calls;
            }
            if (!takes_map) break;
        }
        return calls;
    }

    void call(const spec::HelperProto& proto, code::HelperFn function, Map* map, u32 numbers) {
        std::memset(buffer_, 0, sizeof buffer_);
        frame_.reset(frame_memory_.data(), frame_memory_.size(), 60, 1);
        invocation_.context = &frame_;
        Dynptr dynptr = Dynptr::to(buffer_, 64);
        EpochGuard guard(runtime_->epochs());
        invocation_.slot = guard.slot();
        invocation_.tail_pending = nullptr;
        u64 r[5] = {};
        if (proto.flags.releases) {
            Map* ring = maps_.at(MapType::Ringbuf);
            r[0] = address(ring_reserve(*ring, 8));
            if (r[0] == 0) return;
            if (proto.args[0] == ArgKind::Dynptr) {
                dynptr = Dynptr::to(reinterpret_cast<std::byte*>(r[0]), 8);
                r[0] = address(&dynptr);
            }
        }
        for (int n = proto.flags.releases ? 1 : 0; n < proto.arg_count(); ++n) {
            r[n] = argument(proto.args[n], map, numbers >> n & 1);
            if (proto.args[n] == ArgKind::Dynptr || proto.args[n] == ArgKind::DynptrUninit) {
                r[n] = address(&dynptr);
            }
        }
        ASSERT_EQ(platform::current_irql(), platform::Irql::Dispatch);
        const u64 result = function(r[0], r[1], r[2], r[3], r[4], &invocation_);
        ASSERT_EQ(platform::current_irql(), platform::Irql::Dispatch) << proto.name;
        give_back(proto, result, dynptr);
    }

    void give_back(const spec::HelperProto& proto, u64 result, const Dynptr& dynptr) {
        if (proto.id == Helper::ringbuf_reserve && result != 0) {
            ring_commit(reinterpret_cast<void*>(result), 0, true);
        } else if (proto.id == Helper::ringbuf_reserve_dynptr && dynptr.data != nullptr) {
            ring_commit(dynptr.data, 0, true);
        } else if (proto.id == Helper::spin_lock) {
            helper_address(Dialect::Linux, Helper::spin_unlock)(address(buffer_), 0, 0, 0, 0,
                                                                &invocation_);
        }
    }

    u64 argument(ArgKind kind, Map* map, u64 number) {
        switch (kind) {
            case ArgKind::Anything:
            case ArgKind::Scalar:
                return number;
            case ArgKind::ConstSize:
            case ArgKind::ConstSizeOrZero:
            case ArgKind::ConstAllocSize:
                return 8;
            case ArgKind::Map:
            case ArgKind::MapOfPrograms:
                return address(map);
            case ArgKind::Context:
            case ArgKind::ContextOrNull:
                return address(&frame_.context);
            case ArgKind::Callback:
                return reinterpret_cast<u64>(&callback);
            default:
                return address(buffer_);
        }
    }

    Program program_;
    code::Invocation invocation_;
    std::map<MapType, Map*> maps_;
    hooks::XdpFrame frame_;
    std::vector<u8> frame_memory_;
    alignas(16) std::byte buffer_[256];
    u32 created_ = 0;
};

TEST_F(Irql, NoHelperWaits) {
    EXPECT_DEATH(
        {
            platform::raise_to_dispatch();
            std::byte random[8];
            platform::fill_random(random);
        },
        "fill_random");
    int helpers = 0, calls = 0;
    for (const Dialect dialect : {Dialect::Linux, Dialect::Windows}) {
        program_.dialect = dialect;
        for (int i = 0; i < spec::kHelperCount; ++i) {
            const auto helper = static_cast<Helper>(i);
            const code::HelperFn function = helper_address(dialect, helper);
            if (function == nullptr || !can_call(*spec::prototype(dialect, helper))) continue;
            SCOPED_TRACE(spec::info(helper).name);
            const int made = call_all_ways(*spec::prototype(dialect, helper), function);
            EXPECT_GT(made, 0);
            ++helpers;
            calls += made;
        }
        for (const auto& row : hooks::xdp_helpers()) {
            const auto helper = static_cast<Helper>(row.id);
            const spec::HelperProto* proto = spec::prototype(dialect, helper);
            if (proto == nullptr) continue;
            calls += call_all_ways(*proto, reinterpret_cast<code::HelperFn>(row.function));
            ++helpers;
        }
    }
    std::printf("%d helpers, %d calls\n", helpers, calls);
    EXPECT_GT(helpers, 80);
}

}  // namespace
}  // namespace ebpf::runtime::test
