// SPDX-License-Identifier: MIT
//
// Random programs on every engine against the reference: r0 and the memory must agree. A failure
// names the seed; random_program(seed) is the program.
#include "random_program.hpp"

#include <gtest/gtest.h>

#include "isa/text/text.hpp"
#include "reference.hpp"

namespace ebpf::engines {
namespace {

constexpr u64 kPrograms = 4000;

u64 mix(u64 a, u64 b, u64 c, u64 d, u64 e, code::Invocation*) {
    u64 h = 0x9e37'79b9'7f4a'7c15;
    for (const u64 v : {a, b, c, d, e}) h = (h ^ v) * 0xff51'afd7'ed55'8ccd + (h >> 29);
    return h;
}

class RandomPrograms : public EngineTest {};

TEST_P(RandomPrograms, AgreeWithTheReference) {
    const Helpers helpers{{kRandomHelper, mix}};
    ReferenceEngine reference;
    for (u64 seed = 0; seed < kPrograms; ++seed) {
        const std::vector<std::byte> slots = encode(random_program(seed));
        alignas(8) std::byte expected[kRandomMemory], memory[kRandomMemory];
        for (std::size_t i = 0; i < kRandomMemory; ++i) {
            memory[i] = expected[i] = static_cast<std::byte>(seed * 131 + i * 17);
        }
        const Result<u64> r0 = reference.run(slots, expected, helpers);
        ASSERT_TRUE(r0) << "seed " << seed << ": " << r0.error().what;
        const u64 got = run(slots, memory, helpers);
        if (unsupported()) return;
        const auto listing = [&] {
            return *isa::text::disassemble(slots, isa::text::Dialect::Llvm);
        };
        ASSERT_EQ(got, *r0) << "seed " << seed << "\n" << listing();
        ASSERT_TRUE(std::ranges::equal(memory, expected)) << "memory, seed " << seed << "\n"
                                                          << listing();
    }
}

INSTANTIATE_TEST_SUITE_P(Engine, RandomPrograms, testing::ValuesIn(all_engines()), engine_name);

}  // namespace
}  // namespace ebpf::engines
