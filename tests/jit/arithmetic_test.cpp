// SPDX-License-Identifier: MIT
//
// Every arithmetic operation against isa/'s semantics: on every pair of registers, with all other
// registers alive (so that whatever a template borrows must come back) and with all of them dead.
#include <gtest/gtest.h>

#include <random>

#include "support.hpp"

namespace ebpf::jit::test {
namespace {

constexpr AluOp kAluOps[] = {AluOp::Add, AluOp::Sub,  AluOp::Mul,  AluOp::Div, AluOp::SDiv,
                             AluOp::Mod, AluOp::SMod, AluOp::Or,   AluOp::And, AluOp::Xor,
                             AluOp::Lsh, AluOp::Rsh,  AluOp::Arsh, AluOp::Mov};
constexpr u64 kMin64 = u64{1} << 63;
constexpr u64 kValues[] = {0,
                           1,
                           2,
                           7,
                           0x7F,
                           0x80,
                           0xFFFF,
                           0x7FFF'FFFF,
                           0x8000'0000,
                           0xFFFF'FFFF,
                           0x1'0000'0000,
                           kMin64 - 1,
                           kMin64,
                           ~u64{0},
                           ~u64{1},
                           0xFFFF'FFFF'8000'0000,
                           0x0123'4567'89AB'CDEF,
                           0xFEDC'BA98'7654'3210,
                           63,
                           64};

Registers some_registers(std::mt19937_64& random) {
    Registers r;
    for (u64& value : r) value = random();
    return r;
}

std::string describe(const Insn& insn) {
    return "form " + std::to_string(static_cast<int>(insn.form)) + " kind " +
           std::to_string(insn.kind) + " width " + std::to_string(isa::bits(insn.width)) + " dst " +
           std::to_string(insn.dst) + " src " + std::to_string(insn.src) + " imm " +
           std::to_string(insn.imm);
}

// A program around `insns` on every input; only the registers in `out` are looked at.
void check(const Insns& insns, const std::vector<Registers>& inputs, const Target& target,
           u16 out) {
    const Output output = compiled(link(on_registers(insns, out)), target);
    const Placed code(output, target.convention);
    for (const Registers& input : inputs) {
        Registers actual = input;
        code.run(actual.data());
        const Registers expected = evaluate(insns, input);
        for (Reg r = 0; r < 10; ++r) {
            if ((out >> r & 1) == 0) continue;
            std::string list;
            for (const Insn& insn : insns) list += describe(insn) + "\n";
            ASSERT_EQ(actual[r], expected[r])
                << "r" << int{r} << " after\n"
                << list << "from dst " << std::hex << input[insns[0].dst] << " src "
                << input[insns[0].src] << "\nWindows "
                << (target.convention == CallingConvention::WindowsX64) << " bmi2 " << target.bmi2
                << "\n"
                << disassemble(output);
        }
    }
}

void check_all_and_alone(const Insns& insns, const std::vector<Registers>& inputs,
                         const Target& target) {
    check(insns, inputs, target, 0x3FF);
    // Only these templates ask who is alive.
    const bool asks =
        insns.size() > 1 || (insns[0].alu() >= AluOp::Div && insns[0].alu() <= AluOp::SMod);
    if (asks) check(insns, inputs, target, static_cast<u16>(1u << insns.back().dst));
}

// Inputs in which the two registers take special values and the others are noise.
std::vector<Registers> inputs_for(std::mt19937_64& random, Reg dst, Reg src, int count) {
    std::vector<Registers> inputs;
    for (int i = 0; i < count; ++i) {
        Registers r = some_registers(random);
        const auto pick = [&] { return kValues[random() % std::size(kValues)]; };
        r[dst] = pick();
        r[src] = pick();
        inputs.push_back(r);
    }
    return inputs;
}

class Arithmetic : public testing::TestWithParam<Target> {};

TEST_P(Arithmetic, RegisterFormsOnEveryPairOfRegisters) {
    std::mt19937_64 random(1);
    for (const AluOp op : kAluOps) {
        for (const Width w : {Width::W32, Width::W64}) {
            for (Reg dst = 0; dst < 10; ++dst) {
                for (Reg src = 0; src < 10; ++src) {
                    check_all_and_alone({alu(op, w, dst, src)}, inputs_for(random, dst, src, 24),
                                        GetParam());
                    if (HasFatalFailure()) return;
                }
            }
        }
    }
}

// Every special value against every other, once.
TEST_P(Arithmetic, RegisterFormsOnEveryPairOfValues) {
    std::vector<Registers> inputs;
    for (const u64 a : kValues) {
        for (const u64 b : kValues) {
            inputs.push_back({a, 1, b});
        }
    }
    for (const AluOp op : kAluOps) {
        for (const Width w : {Width::W32, Width::W64}) {
            check({alu(op, w, 0, 2)}, inputs, GetParam(), 0b101);
            if (HasFatalFailure()) return;
        }
    }
}

TEST_P(Arithmetic, ImmediateForms) {
    std::mt19937_64 random(2);
    std::vector<i32> values{0,
                            1,
                            -1,
                            2,
                            -2,
                            3,
                            -3,
                            4,
                            5,
                            6,
                            7,
                            -7,
                            8,
                            9,
                            10,
                            25,
                            60,
                            63,
                            64,
                            65,
                            100,
                            125,
                            127,
                            128,
                            -128,
                            -129,
                            255,
                            641,
                            1000,
                            -1000,
                            1024,
                            -1024,
                            65535,
                            65536,
                            999'983,
                            0x7FFF'FFFF,
                            0x7FFF'FFFE,
                            INT32_MIN,
                            INT32_MIN + 1,
                            -0x7FFF'FFFE,
                            1 << 30,
                            1'000'000'007};
    for (int i = 0; i < 20; ++i) values.push_back(static_cast<i32>(random()) >> (random() % 31));
    for (const AluOp op : kAluOps) {
        for (const Width w : {Width::W32, Width::W64}) {
            for (const i32 value : values) {
                for (const Reg dst : {Reg{3}, random() % 2 ? Reg{0} : Reg{7}}) {
                    check_all_and_alone({alu_imm(op, w, dst, value)},
                                        inputs_for(random, dst, dst, 20), GetParam());
                    if (HasFatalFailure()) return;
                }
            }
        }
    }
}

// Quotients change at multiples of the divisor, which is where a wrong multiplier shows.
TEST_P(Arithmetic, DivisionByConstantsAroundMultiples) {
    std::mt19937_64 random(3);
    for (int i = 0; i < 500; ++i) {
        i32 divisor = static_cast<i32>(random()) >> (random() % 31);
        if (divisor == 0) divisor = 3;
        std::vector<Registers> inputs;
        for (int k = 0; k < 12; ++k) {
            Registers r = some_registers(random);
            const u64 wide = k % 3 == 0 ? random() >> 32 : random() >> (random() % 64);
            const u64 factor = wide / static_cast<u64>(std::abs(i64{divisor}));
            r[2] = factor * static_cast<u64>(i64{divisor}) + (random() % 3) - 1;
            inputs.push_back(r);
        }
        for (const AluOp op : {AluOp::Div, AluOp::Mod, AluOp::SDiv, AluOp::SMod}) {
            for (const Width w : {Width::W32, Width::W64}) {
                check({alu_imm(op, w, 2, divisor)}, inputs, GetParam(), 0x3FF);
                if (HasFatalFailure()) return;
            }
        }
    }
}

TEST_P(Arithmetic, UnaryForms) {
    std::mt19937_64 random(4);
    for (Reg dst = 0; dst < 10; ++dst) {
        for (Reg src = 0; src < 10; ++src) {
            const auto inputs = inputs_for(random, dst, src, 24);
            Insns all;
            for (const Width w : {Width::W32, Width::W64}) {
                for (const u8 from : {8, 16, 32}) {
                    if (from == 32 && w == Width::W32) continue;
                    all.push_back({.form = Form::MovSx,
                                   .width = w,
                                   .dst = dst,
                                   .src = src,
                                   .from_bits = from});
                }
                if (src == 0) all.push_back({.form = Form::Neg, .width = w, .dst = dst});
            }
            if (src == 0) {
                for (const Width w : {Width::W16, Width::W32, Width::W64}) {
                    for (const EndianOp op : {EndianOp::ToLe, EndianOp::ToBe, EndianOp::Swap}) {
                        all.push_back({.form = Form::Endian,
                                       .kind = static_cast<u8>(op),
                                       .width = w,
                                       .dst = dst});
                    }
                }
                for (const u64 value : kValues)
                    all.push_back(wide(isa::WideKind::Imm64, dst, value));
            }
            for (const Insn& insn : all) {
                check({insn}, inputs, GetParam(), 0x3FF);
                if (HasFatalFailure()) return;
            }
        }
    }
}

// The shapes that peephole.hpp takes together, with random registers, widths and counts, and near
// misses.
Insns sequence_like(std::mt19937_64& random) {
    const auto any = [&](auto... values) {
        const std::common_type_t<decltype(values)...> list[] = {values...};
        return list[random() % sizeof...(values)];
    };
    const Reg a = static_cast<Reg>(random() % 10), b = static_cast<Reg>(random() % 10),
              c = static_cast<Reg>(random() % 10);
    const Width w = any(Width::W32, Width::W64);
    const Width v = random() % 8 == 0 ? any(Width::W32, Width::W64) : w;
    const int bits = isa::bits(w);
    const int n = 1 + static_cast<int>(random() % static_cast<u64>(bits - 1));
    const int m =
        random() % 8 == 0 ? 1 + static_cast<int>(random() % static_cast<u64>(bits - 1)) : bits - n;
    const bool left_first = random() % 2;
    const Insn first = alu_imm(left_first ? AluOp::Lsh : AluOp::Rsh, w, a, left_first ? n : m);
    const AluOp second = left_first ? AluOp::Rsh : AluOp::Lsh;
    const i32 second_count = left_first ? m : n;
    const bool into_a = random() % 2;
    switch (random() % 6) {
        case 0: {  // rotation, one copy
            Insns s{alu(AluOp::Mov, v, a, b), first, alu_imm(second, w, b, second_count)};
            if (random() % 2) std::swap(s[1], s[2]);
            s.push_back(into_a ? alu(AluOp::Or, w, a, b) : alu(AluOp::Or, w, b, a));
            return s;
        }
        case 1:  // rotation, two copies
            return {alu(AluOp::Mov, w, a, b), first, alu(AluOp::Mov, v, c, b),
                    alu_imm(second, w, c, second_count),
                    into_a ? alu(AluOp::Or, w, a, c) : alu(AluOp::Or, w, c, a)};
        case 2:
        case 3: {  // extension
            Insns s;
            if (random() % 2) s.push_back(alu(AluOp::Mov, any(Width::W32, Width::W64), a, b));
            const i32 up = w == Width::W64 ? any(32, 48, 56, 40) : any(16, 24, 8);
            const i32 down =
                random() % 2 ? up : 1 + static_cast<i32>(random() % static_cast<u64>(bits - 1));
            s.push_back(alu_imm(AluOp::Lsh, w, a, up));
            s.push_back(alu_imm(any(AluOp::Rsh, AluOp::Arsh), v, a, down));
            return s;
        }
        default: {  // address
            Insns s;
            if (random() % 2) s.push_back(alu(AluOp::Mov, random() % 8 ? Width::W64 : w, a, b));
            if (random() % 2) s.push_back(alu_imm(AluOp::Lsh, Width::W64, a, any(1, 2, 3, 4)));
            if (random() % 4) s.push_back(alu(AluOp::Add, Width::W64, a, c));
            if (random() % 2)
                s.push_back(
                    alu_imm(AluOp::Add, Width::W64, a, any(8, -8, 127, 128, INT32_MAX, INT32_MIN)));
            if (s.empty()) s.push_back(mov(a, b));
            return s;
        }
    }
}

TEST_P(Arithmetic, SequencesThatAreTakenTogether) {
    std::mt19937_64 random(5);
    for (int i = 0; i < 1500; ++i) {
        Insns insns = sequence_like(random);
        while (random() % 3 == 0) insns = std::move(insns) + sequence_like(random);
        std::vector<Registers> inputs;
        for (int k = 0; k < 4; ++k) inputs.push_back(some_registers(random));
        check_all_and_alone(insns, inputs, GetParam());
        check(insns, inputs, GetParam(), static_cast<u16>(random() & 0x3FF));
        if (HasFatalFailure()) return;
    }
}

TEST_P(Arithmetic, LongRandomSequences) {
    std::mt19937_64 random(6);
    for (int i = 0; i < 300; ++i) {
        Insns insns;
        for (int k = 0; k < 60; ++k) {
            const AluOp op = kAluOps[random() % std::size(kAluOps)];
            const Width w = random() % 2 ? Width::W32 : Width::W64;
            const Reg dst = static_cast<Reg>(random() % 10), src = static_cast<Reg>(random() % 10);
            const i32 imm = static_cast<i32>(random()) >> (random() % 31);
            insns.push_back(random() % 2 ? alu(op, w, dst, src) : alu_imm(op, w, dst, imm));
        }
        check(insns, {some_registers(random), some_registers(random)}, GetParam(), 0x3FF);
        if (HasFatalFailure()) return;
    }
}

// With the proof, the test for zero disappears; the result of the division does not.
TEST_P(Arithmetic, ProvenDivisors) {
    for (const AluOp op : {AluOp::Div, AluOp::Mod, AluOp::SDiv, AluOp::SMod}) {
        const Insns insns{mov(0, 1), alu(op, Width::W64, 0, 2), exit()};
        ir::Facts facts;
        facts.insns.assign(insns.size(), {.reachable = true, .divisor_nonzero = true});
        const ir::Program program = link(insns);
        const Output with = compiled(program, GetParam(), facts);
        const Output without = compiled(program, GetParam());
        EXPECT_LT(with.text.size(), without.text.size());
        const Placed code(with, GetParam().convention);
        for (const u64 a : kValues) {
            for (const u64 b : kValues) {
                if (b == 0) continue;
                const Registers expected = evaluate({alu(op, Width::W64, 1, 2)}, {0, a, b});
                EXPECT_EQ(code.run(reinterpret_cast<void*>(a), b), expected[1]) << a << " " << b;
            }
        }
    }
}

std::string target_name(const testing::TestParamInfo<Target>& info) {
    const bool on_windows = info.param.convention == CallingConvention::WindowsX64;
    return std::string(on_windows ? "WindowsX64" : "SystemV") + (info.param.bmi2 ? "Bmi2" : "");
}
INSTANTIATE_TEST_SUITE_P(Targets, Arithmetic, testing::ValuesIn(all_targets()), target_name);

}  // namespace
}  // namespace ebpf::jit::test
