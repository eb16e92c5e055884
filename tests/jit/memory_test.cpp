// SPDX-License-Identifier: MIT
// Loads, stores and atomic operations: every width, every pair of registers, with their neighbours
// in memory untouched.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <thread>

#include "isa/semantics.hpp"
#include "support.hpp"

namespace ebpf::jit::test {
namespace {

constexpr Width kWidths[] = {Width::W8, Width::W16, Width::W32, Width::W64};

u64 low(Width w, u64 value) {
    return w == Width::W64 ? value : value & ((u64{1} << isa::bits(w)) - 1);
}

u64 read(const std::byte* at, Width w) {
    u64 value = 0;
    std::memcpy(&value, at, static_cast<std::size_t>(isa::bytes(w)));
    return value;
}

class Memory : public testing::TestWithParam<Target> {
  protected:
    // Registers and the memory that one of them points into.
    struct Machine {
        Registers r{};
        alignas(16) std::byte memory[512]{};
    };

    static Machine some_machine(std::mt19937_64& random) {
        Machine m;
        for (u64& value : m.r) value = random();
        for (std::byte& b : m.memory) b = static_cast<std::byte>(random());
        return m;
    }

    void run(const Insn& insn, Machine& m) const {
        const Output output = compiled(link(on_registers({insn})), GetParam());
        Placed(output, GetParam().convention).run(m.r.data());
    }
};

constexpr i16 kOffsets[] = {0, 8, -8, 120, -128, 136, -136};

TEST_P(Memory, Loads) {
    std::mt19937_64 random(1);
    for (const bool sign : {false, true}) {
        for (const Width w : kWidths) {
            if (sign && w == Width::W64) continue;
            for (Reg dst = 0; dst < 10; ++dst) {
                for (Reg base = 0; base < 10; ++base) {
                    Machine m = some_machine(random);
                    const i16 off = kOffsets[random() % std::size(kOffsets)];
                    std::byte* cell = m.memory + 256 + off;
                    m.r[base] = reinterpret_cast<u64>(m.memory + 256);
                    Registers expected = m.r;
                    expected[dst] = read(cell, w);
                    if (sign)
                        expected[dst] = isa::eval_movsx(Width::W64, static_cast<u8>(isa::bits(w)),
                                                        expected[dst]);
                    run(sign ? load_sx(w, dst, base, off) : load(w, dst, base, off), m);
                    ASSERT_EQ(m.r, expected)
                        << isa::bits(w) << " r" << int{dst} << " = [r" << int{base} << "]";
                }
            }
        }
    }
}

TEST_P(Memory, Stores) {
    std::mt19937_64 random(2);
    for (const bool immediate : {false, true}) {
        for (const Width w : kWidths) {
            for (Reg base = 0; base < 10; ++base) {
                for (Reg src = 0; src < 10; ++src) {
                    Machine m = some_machine(random);
                    const i16 off = kOffsets[random() % std::size(kOffsets)];
                    m.r[base] = reinterpret_cast<u64>(m.memory + 256);
                    const i32 value = static_cast<i32>(random());
                    Machine expected = m;
                    const u64 stored = immediate ? static_cast<u64>(i64{value}) : m.r[src];
                    std::memcpy(expected.memory + 256 + off, &stored,
                                static_cast<std::size_t>(isa::bytes(w)));
                    run(immediate ? store_imm(w, base, off, value) : store(w, base, off, src), m);
                    ASSERT_EQ(m.r, expected.r);
                    ASSERT_EQ(std::memcmp(m.memory, expected.memory, sizeof m.memory), 0)
                        << isa::bits(w) << " [r" << int{base} << "] = r" << int{src};
                }
            }
        }
    }
}

TEST_P(Memory, Atomics) {
    std::mt19937_64 random(3);
    for (int kind = 0; kind <= static_cast<int>(AtomicOp::CmpXchg); ++kind) {
        const auto op = static_cast<AtomicOp>(kind);
        for (const Width w : {Width::W32, Width::W64}) {
            for (Reg base = 0; base < 10; ++base) {
                for (Reg src = 0; src < 10; ++src) {
                    for (const bool equal : {false, true}) {
                        Machine m = some_machine(random);
                        const i16 off = kOffsets[random() % std::size(kOffsets)];
                        std::byte* cell = m.memory + 256 + off;
                        m.r[base] = reinterpret_cast<u64>(m.memory + 256);
                        const u64 old = read(cell, w);
                        // A comparand that equals only in the bits that count.
                        if (equal && base != 0)
                            m.r[0] = w == Width::W32 ? old | 0xABCD'0000'0000'0000 : old;
                        Registers expected = m.r;
                        const u64 stored = isa::eval_atomic(op, w, old, m.r[src], m.r[0]);
                        if (op == AtomicOp::CmpXchg) {
                            expected[0] = old;
                        } else if (op >= AtomicOp::FetchAdd) {
                            expected[src] = old;
                        }
                        std::byte rest[512];
                        std::memcpy(rest, m.memory, sizeof rest);
                        std::memcpy(rest + 256 + off, &stored,
                                    static_cast<std::size_t>(isa::bytes(w)));
                        run(atomic(op, w, base, off, src), m);
                        ASSERT_EQ(read(cell, w), low(w, stored))
                            << kind << " r" << int{base} << " r" << int{src};
                        ASSERT_EQ(m.r, expected) << kind << " r" << int{base} << " r" << int{src};
                        ASSERT_EQ(std::memcmp(m.memory, rest, sizeof rest), 0);
                    }
                }
            }
        }
    }
}

// A read-modify-write that was not atomic would lose updates.
TEST_P(Memory, AtomicsBetweenThreads) {
    for (const AtomicOp op : {AtomicOp::Add, AtomicOp::FetchAdd}) {
        const Insns loop{mov_imm(3, 20'000),
                         mov_imm(2, 1),
                         atomic(op, Width::W64, 1, 0, 2),
                         alu_imm(AluOp::Sub, Width::W64, 3, 1),
                         jump_imm(Cond::Ne, Width::W64, 3, 0, -4),
                         mov_imm(0, 0),
                         exit()};
        const Output output = compiled(link(loop), GetParam());
        const Placed code(output, GetParam().convention);
        u64 counter = 0;
        std::thread other([&] { code.run(&counter); });
        code.run(&counter);
        other.join();
        EXPECT_EQ(counter, 40'000u);
    }
    // Each thread flips its own bit an odd number of times.
    const Insns loop{mov_imm(3, 20'001),
                     mov(4, 2),
                     atomic(AtomicOp::FetchXor, Width::W64, 1, 0, 4),
                     alu_imm(AluOp::Sub, Width::W64, 3, 1),
                     jump_imm(Cond::Ne, Width::W64, 3, 0, -4),
                     mov_imm(0, 0),
                     exit()};
    const Output output = compiled(link(loop), GetParam());
    const Placed code(output, GetParam().convention);
    u64 bits = 0;
    std::thread other([&] { code.run(&bits, 1); });
    code.run(&bits, 2);
    other.join();
    EXPECT_EQ(bits, 3u);
}

// An address that is computed, used once and forgotten becomes an operand; the same when it is
// kept.
TEST_P(Memory, ComputedAddresses) {
    u64 table[32];
    for (u64 i = 0; i < 32; ++i) table[i] = 0x0101'0101'0101'0101 * i;
    for (const bool kept : {false, true}) {
        const Insns insns{mov(3, 2),
                          alu_imm(AluOp::Lsh, Width::W64, 3, 3),
                          alu(AluOp::Add, Width::W64, 3, 1),
                          load(Width::W64, 4, 3, 16),
                          store_imm(Width::W16, 3, 0, -1),
                          kept ? alu(AluOp::Xor, Width::W64, 3, 3) : mov_imm(3, 0),
                          mov(0, 4),
                          exit()};
        u64 copy[32];
        std::memcpy(copy, table, sizeof copy);
        EXPECT_EQ(test::run(insns, copy, 5, GetParam()), table[7]);
        EXPECT_EQ(copy[5], table[5] | 0xFFFF);
    }
    // [r1 + r2 + disp], stored from and loaded into the address register's neighbours.
    const Insns bytes{mov(5, 1),
                      alu(AluOp::Add, Width::W64, 5, 2),
                      load(Width::W8, 5, 5, 1),
                      mov(4, 1),
                      alu(AluOp::Add, Width::W64, 4, 2),
                      store(Width::W8, 4, 3, 5),
                      mov(0, 5),
                      exit()};
    u8 data[16] = {0, 1, 2, 3, 4, 5, 6, 7};
    EXPECT_EQ(test::run(bytes, data, 2, GetParam()), 3u);
    EXPECT_EQ(data[5], 3);
}

// Address arithmetic, an access and a use of what was loaded, in the shapes that become operands
// and in others close to them, with random registers alive afterwards.
struct Addressed {
    Insns insns;
    Reg base, index;  // registers that must hold an address and a small number
};

Addressed addressed(std::mt19937_64& random) {
    const auto chance = [&](u64 one_in) { return random() % one_in == 0; };
    Reg regs[10] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    std::shuffle(std::begin(regs), std::end(regs), random);
    const Reg base = regs[0], index = regs[1], t = regs[2], u = regs[3];
    const auto any = [&] { return regs[random() % 10]; };
    const auto not_address = [&] { return regs[4 + random() % 6]; };
    const auto small = [&] { return static_cast<i32>(random() % 64) - 32; };
    const i32 scale = 1 + static_cast<i32>(random() % 3);

    Insns s;
    const Insn scaled_u = alu_imm(AluOp::Lsh, Width::W64, u, scale);
    switch (random() % 4) {
        case 0:
            s = {mov(t, base)};
            if (chance(2)) s.push_back(alu_imm(AluOp::Add, Width::W64, t, small()));
            s.push_back(alu(AluOp::Add, Width::W64, t, index));
            break;
        case 1:
            s = {mov(t, index), alu_imm(AluOp::Lsh, Width::W64, t, scale),
                 alu(AluOp::Add, Width::W64, t, base)};
            break;
        case 2:
            s = {mov(u, index), scaled_u, mov(t, base)};
            if (chance(2)) s.push_back(alu_imm(AluOp::Add, Width::W64, t, small()));
            s.push_back(alu(AluOp::Add, Width::W64, t, u));
            break;
        default:
            s = {mov(t, base)};
    }
    if (chance(3)) s.push_back(alu_imm(AluOp::Add, Width::W64, t, small()));

    const Width w = kWidths[random() % 4];
    const i16 off = static_cast<i16>(small());
    const Reg value = chance(4) ? t : any();
    switch (random() % 5) {
        case 0:
            s.push_back(store(w, t, off, any()));
            break;
        case 1:
            s.push_back(store_imm(w, t, off, static_cast<i32>(random())));
            break;
        case 2:
            s.push_back(load_sx(w == Width::W64 ? Width::W32 : w, value, t, off));
            break;
        default:
            s.push_back(load(chance(2) ? w : Width::W64, value, t, off));
    }
    if (s.back().form != Form::Load) return {s, base, index};

    const Width v = chance(4) ? Width::W32 : Width::W64;
    const AluOp ops[] = {AluOp::Add, AluOp::Sub, AluOp::Mul, AluOp::And,
                         AluOp::Or,  AluOp::Xor, AluOp::Mov, AluOp::Lsh};
    const auto cond = static_cast<Cond>(random() % 11);
    switch (random() % 5) {
        case 0:
            s.push_back(jump(cond, v, value, any(), 1));
            break;
        case 1:
            s.push_back(jump(cond, v, any(), value, 1));
            break;
        case 2:
            s.push_back(jump_imm(cond, v, value, static_cast<i32>(random()), 1));
            break;
        default:
            s.push_back(alu(ops[random() % 8], v, not_address(), value));
            return {s, base, index};
    }
    s.push_back(mov_imm(not_address(), 77));
    return {s, base, index};
}

TEST_P(Memory, AddressesAndOperands) {
    std::mt19937_64 random(7);
    for (int round = 0; round < 6000; ++round) {
        const auto [insns, base, index] = addressed(random);
        Machine m = some_machine(random);
        m.r[base] = reinterpret_cast<u64>(m.memory + 256);
        m.r[index] = random() % 16;
        std::byte before[512];
        std::memcpy(before, m.memory, sizeof before);
        const Registers expected = evaluate(insns, m.r);
        std::byte expected_memory[512];
        std::memcpy(expected_memory, m.memory, sizeof before);
        std::memcpy(m.memory, before, sizeof before);

        const u16 out = static_cast<u16>(random() & random() & 0x3FF);
        const Output output = compiled(link(on_registers(insns, out)), GetParam());
        Placed(output, GetParam().convention).run(m.r.data());
        for (Reg r = 0; r < 10; ++r) {
            if ((out >> r & 1) == 0) continue;
            ASSERT_EQ(m.r[r], expected[r]) << "r" << int{r} << "\n" << disassemble(output);
        }
        ASSERT_EQ(std::memcmp(m.memory, expected_memory, sizeof before), 0) << disassemble(output);
    }
}

std::string target_name(const testing::TestParamInfo<Target>& info) {
    const bool on_windows = info.param.convention == CallingConvention::WindowsX64;
    return std::string(on_windows ? "WindowsX64" : "SystemV") + (info.param.bmi2 ? "Bmi2" : "");
}
INSTANTIATE_TEST_SUITE_P(Targets, Memory, testing::ValuesIn(all_targets()), target_name);

}  // namespace
}  // namespace ebpf::jit::test
