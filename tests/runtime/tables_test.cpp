// SPDX-License-Identifier: MIT
// What the tables call implemented is there, and nothing else.
#include <bit>

#include "harness.hpp"
#include "runtime/helpers.hpp"
#include "spec/map_types.hpp"

namespace ebpf::runtime::test {
namespace {

TEST(Tables, ImplementedMapTypesHaveOperations) {
    for (int i = 0; i < spec::kMapTypeCount; ++i) {
        const spec::MapTypeInfo& info = spec::info(static_cast<spec::MapType>(i));
        const MapOps* ops = map_ops(info.type);
        EXPECT_EQ(ops != nullptr, info.implemented) << info.name;
        if (ops == nullptr) continue;
        EXPECT_NE(ops->create, nullptr) << info.name;
        EXPECT_NE(ops->destroy, nullptr) << info.name;
        // A map of handles takes objects in, all others bytes or nothing.
        EXPECT_EQ(ops->write_object != nullptr, info.holds_handles()) << info.name;
        EXPECT_EQ(ops->write != nullptr, info.holds == spec::Holds::Bytes) << info.name;
    }
}

// What the runtime has no address for belongs to one program type, whose hook brings it.
TEST(Tables, ImplementedHelpersHaveAddresses) {
    int addresses = 0;
    for (const spec::Dialect dialect : {spec::Dialect::Linux, spec::Dialect::Windows}) {
        for (int i = 0; i < spec::kHelperCount; ++i) {
            const auto helper = static_cast<spec::Helper>(i);
            const spec::HelperProto* proto = spec::prototype(dialect, helper);
            const bool implemented = proto != nullptr && proto->flags.implemented;
            const bool address = helper_address(dialect, helper) != nullptr;
            addresses += address ? 1 : 0;
            if (!implemented) {
                EXPECT_FALSE(address) << spec::info(helper).name;
            } else if (!address) {
                const u64 callers = spec::info(helper).callers[static_cast<int>(dialect)];
                EXPECT_EQ(std::popcount(callers), 1) << spec::info(helper).name;
            }
        }
    }
    EXPECT_GT(addresses, 20);
}

}  // namespace
}  // namespace ebpf::runtime::test
