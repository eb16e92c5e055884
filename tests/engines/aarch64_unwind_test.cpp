// SPDX-License-Identifier: MIT
//
// Unwind data of machine code for AArch64, read by a C library's own unwinder under qemu-aarch64
// (a64_unwinder.c): from a helper, and from every instruction that is executed, it finds the way
// back to who entered the program, and the registers that it had.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "../jit/unwind_programs.hpp"
#include "isa/text/text.hpp"
#include "jit/jit.hpp"

namespace ebpf::engines {
namespace {

struct Unwound {
    unsigned helpers = 0, instructions = 0, lost = 0;
};

// What a64_unwinder.c reads: its header, relocations, code.
std::vector<u64> words_of(const jit::Output& output) {
    std::vector<u64> relocations;
    u64 end = output.unwind.offset;  // of instructions: literals stand behind them
    for (const code::Relocation& r : output.relocations) {
        const bool in_code = r.kind == code::RelocKind::Function64;
        relocations.insert(relocations.end(), {r.offset, in_code ? 1u : 0u, r.addend});
        end = std::min<u64>(end, r.offset);
    }
    std::vector<u64> words = {output.text.size(), end, output.entry, output.unwind.offset,
                              relocations.size() / 3};
    words.insert(words.end(), relocations.begin(), relocations.end());
    return words;
}

constexpr jit::Target kTarget{.cpu = code::Cpu::AArch64,
                              .convention = jit::CallingConvention::Aapcs64,
                              .unwind = jit::UnwindFormat::Dwarf};

Unwound unwind(const jit::Output& output) {
    char path[] = "/tmp/a64_unwind_XXXXXX";
    const int file = mkstemp(path);
    EXPECT_GE(file, 0);
    const std::vector<u64> words = words_of(output);
    const auto size = static_cast<ssize_t>(words.size() * sizeof(u64));
    EXPECT_EQ(write(file, words.data(), words.size() * sizeof(u64)), size);
    EXPECT_EQ(write(file, output.text.data(), output.text.size()),
              static_cast<ssize_t>(output.text.size()));
    close(file);
    const std::string command = std::string(QEMU_AARCH64) + " " + A64_UNWINDER + " " + path;
    Unwound result{.lost = ~0u};
    if (FILE* const said = popen(command.c_str(), "r")) {
        EXPECT_EQ(std::fscanf(said, "helpers %u, instructions %u, lost %u", &result.helpers,
                              &result.instructions, &result.lost),
                  3);
        EXPECT_EQ(pclose(said), 0);
    }
    unlink(path);
    return result;
}

Unwound unwind(std::string_view source, const jit::Options& options) {
    const auto slots = isa::text::assemble(source, isa::text::Dialect::Llvm);
    EXPECT_TRUE(slots);
    const auto program = ir::decode_program(*slots);
    EXPECT_TRUE(program);
    const auto output = jit::compile(*program, {}, kTarget, options);
    EXPECT_TRUE(output);
    EXPECT_TRUE(code::validate(output->view(0)));
    return unwind(*output);
}

// Calls itself: frames are counted at run time.
constexpr char kRecursive[] =
    "r6 = r1\n"
    "r7 = r2\n"
    "if r7 > 68 goto +5\n"
    "r2 += 1\n"
    "call -5\n"
    "r0 += r6\n"
    "r0 += r7\n"
    "exit\n"
    "r1 = 1\n"
    "call 1\n"
    "exit\n";
// Through a pointer that a check has to ask about.
constexpr char kPointer[] =
    "r3 = r1\n"
    "*(u64 *)(r1 + 8) = r3\n"
    "r4 = *(u8 *)(r3 + 15)\n"
    "r1 = 5\n"
    "call 1\n"
    "exit\n";

struct Program {
    const char* name;
    const char* source;
};

class AArch64Unwind : public testing::TestWithParam<Program> {
  protected:
    static void expect_found(const jit::Options& options) {
        const Unwound result = unwind(GetParam().source, options);
        EXPECT_GT(result.helpers, 0u);
        EXPECT_GT(result.instructions, 8u);
        EXPECT_EQ(result.lost, 0u) << "of " << result.instructions << " instructions";
    }
};

TEST_P(AArch64Unwind, Default) {
    expect_found({});
}
TEST_P(AArch64Unwind, Optimised) {
    expect_found({.level = jit::Level::Optimise});
}
TEST_P(AArch64Unwind, Limited) {
    expect_found({.metered = true, .cancellable = true});
}
TEST_P(AArch64Unwind, Checked) {
    expect_found({.blind_constants = true, .blinding_seed = 9, .checked = true});
}

std::string name_of(const testing::TestParamInfo<Program>& tested) {
    return tested.param.name;
}
INSTANTIATE_TEST_SUITE_P(Programs, AArch64Unwind,
                         testing::Values(Program{"nested", jit::test::unwinding::kWaysOut},
                                         Program{"recursive", kRecursive},
                                         Program{"callback", jit::test::unwinding::kCallback},
                                         Program{"pointer", kPointer}),
                         name_of);

// The entry is the thunk's own last instruction, where the frame is that of a function that was
// just called. (The program's way out leads back through the thunk's call.)
TEST(AArch64Unwind, EntryThunk) {
    const u64 magic = 0x5EED'0123'4567'89AB;
    const u32 ret = 0xD65F'03C0;
    const auto thunk = jit::entry_thunk({}, reinterpret_cast<const void*>(magic), kTarget);
    ASSERT_TRUE(thunk);
    const auto offset_of = [&](const auto& wanted) {
        const auto found = std::ranges::search(thunk->text, std::as_bytes(std::span(&wanted, 1)));
        EXPECT_FALSE(found.empty());
        return static_cast<u32>(found.begin() - thunk->text.begin());
    };
    jit::Output output{.cpu = code::Cpu::AArch64, .text = thunk->text};
    output.unwind = thunk->unwind;
    output.relocations = {{.offset = offset_of(magic),
                           .kind = code::RelocKind::Function64,
                           .addend = offset_of(ret)}};
    const Unwound result = unwind(output);
    EXPECT_GT(result.instructions, 20u);
    EXPECT_EQ(result.lost, 0u) << "of " << result.instructions << " instructions";
}

}  // namespace
}  // namespace ebpf::engines
