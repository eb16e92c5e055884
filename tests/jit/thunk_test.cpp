// SPDX-License-Identifier: MIT
// jit::entry_thunk by both conventions: what arrives at the entry, and what comes back.
#include <gtest/gtest.h>

#include "placed.hpp"

namespace ebpf::jit::test {
namespace {

code::Invocation seen;

u64 note(void* memory, u64 size, const code::Invocation* invocation) {
    seen = *invocation;
    return reinterpret_cast<u64>(memory) + size;
}
u64 entry_system_v(void* memory, u64 size, code::Invocation* invocation) {
    return note(memory, size, invocation);
}
__attribute__((ms_abi)) u64 entry_windows(void* memory, u64 size, code::Invocation* invocation) {
    return note(memory, size, invocation);
}

code::Invocation initial() {
    code::Invocation invocation;
    invocation.runtime = reinterpret_cast<void*>(0x1234'5678'9abc'def0);
    invocation.program = reinterpret_cast<const void*>(0x77);
    invocation.slot = 5;
    invocation.tail_calls = 3;
    return invocation;
}

void expect_seen(void* memory, u64 size) {
    EXPECT_EQ(seen.context, memory);
    EXPECT_EQ(seen.context_size, size);
    EXPECT_EQ(seen.tail_pending, nullptr);
    EXPECT_EQ(seen.run_tail, nullptr);
    EXPECT_EQ(seen.runtime, initial().runtime);
    EXPECT_EQ(seen.program, initial().program);
    EXPECT_EQ(seen.slot, 5u);
    EXPECT_EQ(seen.tail_calls, 3u);
    EXPECT_EQ(seen.fuel, ~u64{0});
    EXPECT_EQ(seen.fault, 0u);
    EXPECT_EQ(seen.frames, 0u);
}

// The thunk as something that Placed can put in place; it ignores the third argument.
Output thunk(const void* entry, CallingConvention convention) {
    auto thunk = entry_thunk(initial(), entry, {.convention = convention});
    EXPECT_TRUE(thunk);
    return {.cpu = code::Cpu::X86_64, .text = std::move(thunk->text)};
}

TEST(EntryThunk, SystemV) {
    const auto convention = CallingConvention::SystemV;
    const Placed placed(thunk(reinterpret_cast<const void*>(&entry_system_v), convention),
                        convention, {});
    int memory = 0;
    EXPECT_EQ(placed.run(&memory, 40, nullptr), reinterpret_cast<u64>(&memory) + 40);
    expect_seen(&memory, 40);
}

TEST(EntryThunk, Windows) {
    const auto convention = CallingConvention::WindowsX64;
    const Placed placed(thunk(reinterpret_cast<const void*>(&entry_windows), convention),
                        convention, {});
    int memory = 0;
    EXPECT_EQ(placed.run(&memory, 40, nullptr), reinterpret_cast<u64>(&memory) + 40);
    expect_seen(&memory, 40);
}

TEST(EntryThunk, ConventionsBelongToCpus) {
    for (const Target& target :
         {Target{.cpu = code::Cpu::AArch64}, Target{.convention = CallingConvention::Aapcs64}}) {
        const auto text = entry_thunk({}, &seen, target);
        ASSERT_FALSE(text);
        EXPECT_EQ(text.error().code, Errc::InvalidArgument);
    }
}

}  // namespace
}  // namespace ebpf::jit::test
