// SPDX-License-Identifier: MIT
#include "bench/verifier/generators.hpp"

#include "isa/text/text.hpp"

namespace ebpf::bench {

namespace {

constexpr const char* kEnd = "r0 = 2\nexit\n";

std::string n(u64 v) {
    return std::to_string(v);
}

// A slot of the stack for the i-th of something.
std::string slot(u32 i) {
    return "*(u64 *)(r10 - " + n(8 + 8 * (i % 60)) + ")";
}

std::string straight(u32 size) {
    std::string text = "r6 = 1\nr7 = 2\n";
    for (u32 i = 0; 6 * i + 4 < size; ++i) {
        text += "r6 += r7\nr7 ^= " + n(i) + "\n" + slot(i) + " = r6\nr8 = " + slot(i) +
                "\nr8 >>= 3\nr7 |= r8\n";
    }
    return text + kEnd;
}

// Two ways of which one does more, over and over; what they leave is never looked at.
std::string diamonds(u32 size) {
    std::string text = "r7 = 0\n";
    for (u32 i = 0; 5 * i + 3 < size; ++i) {
        const std::string join = "j" + n(i);
        text += "call 7\nif r0 > " + n(i) + " goto " + join + "\nr7 += r0\n" + slot(i) + " = r7\n" +
                join + ":\nr8 = r7\n";
    }
    return text + kEnd;
}

// The same, and each way sets a number that is tested at the next one.
std::string flags(u32 size) {
    std::string text = "r7 = 0\n";
    for (u32 i = 0; 7 * i + 3 < size; ++i) {
        const std::string at = n(i);
        text += "call 7\nr6 = 0\nif r0 > 9 goto a" + at + "\nr6 = 1\na" + at +
                ":\nif r6 == 0 goto b" + at + "\nr7 ^= 1\nb" + at + ":\n" + slot(i) + " = r7\n";
    }
    return text + kEnd;
}

// Look-ups with a test of what they find.
std::string maps(u32 size) {
    std::string text = "r7 = 0\n";
    for (u32 i = 0; 10 * i + 3 < size; ++i) {
        const std::string join = "j" + n(i);
        text += "*(u32 *)(r10 - 4) = " + n(i) + "\nld_pseudo r1, 5, " + n(i % 2) +
                "\nr2 = r10\nr2 += -4\ncall 1\nif r0 == 0 goto " + join +
                "\nr1 = *(u64 *)(r0 + 0)\nr1 += 1\n*(u64 *)(r0 + 0) = r1\n" + join + ":\nr7 += 1\n";
    }
    return text + kEnd;
}

// Bounds checks of a packet and reads behind them.
std::string packets(u32 size) {
    std::string text = "r9 = *(u32 *)(r1 + 4)\nr6 = *(u32 *)(r1 + 0)\n";
    for (u32 i = 0; 8 * i + 5 < size; ++i) {
        text += "r2 = r6\nr2 += " + n(i % 1000 + 4) +
                "\nif r2 > r9 goto out\nr3 = *(u32 *)(r2 - 4)\n" +
                "r3 &= 255\nif r3 == " + n(i % 256) + " goto s" + n(i) + "\n" + slot(i) +
                " = r3\ns" + n(i) + ":\nr8 = r3\n";
    }
    return text + "out:\n" + kEnd;
}

// Seven calls deep, each function with its part of the instructions.
std::string nested_calls(u32 size) {
    constexpr u32 kDepth = 7;
    std::string text = "r1 = 1\ncall f0\n" + std::string(kEnd);
    for (u32 d = 0; d < kDepth; ++d) {
        text += "f" + n(d) + ":\nr6 = r1\n";
        for (u32 i = 0; 4 * i + 6 < size / kDepth; ++i) {
            text += "call 7\nr6 ^= r0\n" + slot(i) + " = r6\nr7 = " + slot(i) + "\n";
        }
        text += "r1 = r6\n";
        if (d + 1 < kDepth) text += "call f" + n(d + 1) + "\n";
        text += "r0 = 0\nexit\n";
    }
    return text;
}

// Four levels of functions, each of which calls that of the next level four times.
std::string call_tree(u32 size) {
    constexpr u32 kLevels = 4, kFan = 4;
    std::string text = "r1 = 1\ncall f0\n" + std::string(kEnd);
    for (u32 d = 0; d < kLevels; ++d) {
        text += "f" + n(d) + ":\nr6 = r1\n";
        for (u32 i = 0; 3 * i + 14 < size / kLevels; ++i) {
            text += "r7 = r6\nr7 >>= 1\n" + slot(i) + " = r7\n";
        }
        for (u32 i = 0; i < kFan && d + 1 < kLevels; ++i) {
            text += "r1 = r6\nr1 += " + n(i) + "\ncall f" + n(d + 1) + "\n";
        }
        text += "r0 = 0\nexit\n";
    }
    return text;
}

// A main function that calls small ones, each from ten places.
std::string many_functions(u32 size) {
    std::string text = "r6 = 1\n";
    const u32 functions = size / 45;
    for (u32 f = 0; f < functions; ++f) {
        for (u32 i = 0; i < 10; ++i) text += "r1 = r6\nr1 &= 63\ncall f" + n(f) + "\nr6 ^= r0\n";
    }
    text += kEnd;
    for (u32 f = 0; f < functions; ++f) {
        text += "f" + n(f) + ":\nr0 = 1\nif r1 > " + n(f % 64) + " goto e" + n(f) + "\nr0 = 3\ne" +
                n(f) + ":\nexit\n";
    }
    return text;
}

// Loops one after the other, of 2, 4, 8 ... 65,536 rounds and again.
std::string loops(u32 size) {
    std::string text = "r7 = 0\n";
    for (u32 i = 0; 6 * i + 3 < size; ++i) {
        const std::string head = "h" + n(i);
        text += "r6 = 0\n" + head + ":\nr7 += r6\nr7 &= 255\nr6 += 1\nif r6 < " +
                n(u64{2} << (i % 16)) + " goto " + head + "\n" + slot(i) + " = r7\n";
    }
    return text + kEnd;
}

// One loop whose rounds write an array.
std::string loop_bound(u32 size) {
    return "r6 = 0\nr7 = 0\nh:\nr1 = r6\nr1 &= 63\nr2 = r10\nr2 -= r1\n*(u8 *)(r2 - 1) = r7\n"
           "r7 += 3\nr6 += 1\nif r6 < " +
           n(size) + " goto h\n" + kEnd;
}

// A loop in a loop, whose rounds together are the square.
std::string nested_loop_bound(u32 size) {
    return "r6 = 0\nr8 = 0\no:\nr7 = 0\ni:\nr8 ^= r7\nr7 += 1\nif r7 < " + n(size) +
           " goto i\nr6 += 1\nif r6 < " + n(size) + " goto o\n" + kEnd;
}

constexpr Family kFamilies[] = {
    {"straight", "arithmetic and stack without branches", straight},
    {"diamonds", "independent branches that join", diamonds},
    {"flags", "branches that decide the next one", flags},
    {"maps", "look-ups with null checks", maps},
    {"packets", "bounds checks and reads", packets},
    {"nested-calls", "functions seven deep", nested_calls},
    {"call-tree", "four levels, four calls each", call_tree},
    {"functions", "small ones, ten calls each", many_functions},
    {"loops", "loops of 2 to 65,536 rounds in a row", loops},
    {"loop-bound", "one loop of so many rounds", loop_bound, true},
    {"loop-square", "a loop in a loop, both of so many rounds", nested_loop_bound, true},
};

ir::MapDef map(const char* name, spec::MapType type) {
    ir::MapDef m;
    m.name = name;
    m.type = type;
    m.key_size = 4;
    m.value_size = 8;
    m.max_entries = 16;
    return m;
}

}  // namespace

std::span<const Family> families() {
    return kFamilies;
}

std::string countdown_text() {
    return "r0 = 0\nw1 = 1000\nr2 = 0\nl:\nw0 += 1\nw1 += -1\nr2 = r0\nif w1 != 0 goto l\nr0 = "
           "2\nexit\n";
}

std::optional<ir::Program> assemble(const std::string& text) {
    const auto slots = isa::text::assemble(text, isa::text::Dialect::Llvm);
    if (!slots) return std::nullopt;
    auto program = ir::decode_program(*slots);
    if (!program) return std::nullopt;
    program->name = "generated";
    program->license = "GPL";
    program->maps = {map("hash", spec::MapType::Hash), map("array", spec::MapType::Array)};
    return std::move(*program);
}

}  // namespace ebpf::bench
