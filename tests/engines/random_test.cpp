// SPDX-License-Identifier: MIT
//
// Random programs on every engine against the reference: r0 and the memory must agree. A failure
// names the seed; random_program(seed) is the program.
#include "random_program.hpp"

#include <gtest/gtest.h>

#include <utility>

#include "isa/text/text.hpp"
#include "reference.hpp"

namespace ebpf::engines {
namespace {

class RandomPrograms : public EngineTest {};

TEST_P(RandomPrograms, AgreeWithTheReference) {
    Helpers helpers;
    for (const u32 n : {kRandomHelper, kRandomMapStore, kRandomMapLoad}) {
        helpers[n] = random_helper(n);
    }
    ReferenceEngine reference;
    for (u64 seed = 0; seed < GetParam()->random_programs(); ++seed) {
        const std::vector<std::byte> slots = encode(random_program(seed));
        alignas(8) std::byte expected[kRandomMemory], memory[kRandomMemory];
        for (std::size_t i = 0; i < kRandomMemory; ++i) {
            memory[i] = expected[i] = static_cast<std::byte>(seed * 131 + i * 17);
        }
        random_map() = {};
        const Result<u64> r0 = reference.run(slots, expected, helpers);
        ASSERT_TRUE(r0) << "seed " << seed << ": " << r0.error().what;
        const auto expected_map = std::exchange(random_map(), {});
        const u64 got = run(slots, memory, helpers);
        if (unsupported()) return;
        const auto listing = [&] {
            return *isa::text::disassemble(slots, isa::text::Dialect::Llvm);
        };
        ASSERT_EQ(got, *r0) << "seed " << seed << "\n" << listing();
        ASSERT_EQ(random_map(), expected_map) << "map, seed " << seed << "\n" << listing();
        ASSERT_TRUE(std::ranges::equal(memory, expected)) << "memory, seed " << seed << "\n"
                                                          << listing();
    }
}

INSTANTIATE_TEST_SUITE_P(Engine, RandomPrograms, testing::ValuesIn(all_engines()), engine_name);

}  // namespace
}  // namespace ebpf::engines
