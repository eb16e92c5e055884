// SPDX-License-Identifier: MIT
//
// Every operation of every width and operand kind on edge values, against isa/'s semantics.
#include "isa/semantics.hpp"

#include <cstring>
#include <random>

#include "engine.hpp"
#include "isa/table.hpp"
#include "isa/text/text.hpp"

namespace ebpf::engines {
namespace {

using isa::AluOp;
using isa::AtomicOp;
using isa::Encoding;
using isa::Form;
using isa::Insn;
using isa::Reg;
using isa::Width;

constexpr u64 kValues[] = {0,
                           1,
                           2,
                           31,
                           32,
                           63,
                           64,
                           0x7f,
                           0x80,
                           0xff,
                           0x7fff,
                           0x8000,
                           0x7fff'ffff,
                           0x8000'0000,
                           0xffff'ffff,
                           0x1'0000'0000,
                           0x7fff'ffff'ffff'ffff,
                           0x8000'0000'0000'0000,
                           0xffff'ffff'8000'0000,
                           0xffff'ffff'0000'0000,
                           ~u64{0},
                           ~u64{1},
                           0x0123'4567'89ab'cdef};
constexpr i32 kImmediates[] = {0,  1,   -1,  2,    3,         7,         -7,      31,   32,
                               33, 63,  64,  65,   127,       128,       -128,    255,  256,
                               10, 100, 999, 4096, INT32_MAX, INT32_MIN, 0x10001, -1000};

Insn mov(Reg dst, Reg src) {
    return {.form = Form::AluReg, .kind = static_cast<u8>(AluOp::Mov), .dst = dst, .src = src};
}
Insn mov_imm(Reg dst, i32 imm) {
    return {.form = Form::AluImm, .kind = static_cast<u8>(AluOp::Mov), .dst = dst, .imm = imm};
}
Insn load64(Reg dst, Reg base, i16 off) {
    return {.form = Form::Load, .dst = dst, .src = base, .off = off};
}
Insn store64(Reg base, i16 off, Reg src) {
    return {.form = Form::StoreReg, .dst = base, .src = src, .off = off};
}
constexpr Insn kExit{.form = Form::Exit};

// All rows of one form.
std::vector<const Encoding*> rows_of(Form form) {
    std::vector<const Encoding*> rows;
    for (const Encoding& e : isa::kEncodings) {
        if (e.unsupported == nullptr && e.form == form) rows.push_back(&e);
    }
    return rows;
}

Insn instance(const Encoding& e) {
    Insn insn;
    insn.form = e.form;
    insn.kind = e.kind;
    insn.width = e.width;
    insn.from_bits = e.from_bits;
    return insn;
}

std::string describe(const Insn& insn, u64 a, u64 b) {
    std::ostringstream out;
    out << isa::text::print(insn, isa::text::Dialect::Llvm) << std::hex << " of " << a << ", " << b;
    return out.str();
}

// Two values of an operation, and afterwards in `src` its result.
struct Pair {
    u64 src = 0;
    u64 dst = 0;
};

class Operations : public EngineTest {
  protected:
    // One program that does `insn` on each pair: dst afterwards, in place of src. Of an instruction
    // with one register the pair's dst counts. The base is a register that `insn` leaves alone.
    void apply(const Insn& insn, std::vector<Pair>& pairs) {
        each(insn, pairs, [&](std::vector<Insn>& code, Reg base, i16 at) {
            code.push_back(insn);
            code.push_back(store64(base, at, insn.dst));
        });
    }

    // The same for a condition: 1 where it holds.
    void decide(Insn insn, std::vector<Pair>& pairs) {
        insn.off = 2;
        each(insn, pairs, [&](std::vector<Insn>& code, Reg base, i16 at) {
            const Insn store{.form = Form::StoreImm, .dst = base, .off = at};
            code.insert(code.end(), {insn, store, {.form = Form::Ja, .imm = 1}, store});
            code.back().imm = 1;
        });
    }

  private:
    template <typename Body>
    void each(const Insn& insn, std::vector<Pair>& pairs, Body body) {
        const Reg base = insn.dst != 9 && insn.src != 9   ? 9
                         : insn.dst != 8 && insn.src != 8 ? 8
                                                          : 7;
        std::vector<Insn> code{mov(base, 1)};
        for (std::size_t i = 0; i < pairs.size(); ++i) {
            const i16 at = static_cast<i16>(i * sizeof(Pair));
            code.push_back(load64(insn.src, base, at));
            code.push_back(load64(insn.dst, base, static_cast<i16>(at + 8)));
            body(code, base, at);
        }
        code.push_back(mov_imm(0, 0));
        code.push_back(kExit);
        run(encode(code), std::as_writable_bytes(std::span(pairs)));
    }
};

// dst = a, src = all values.
std::vector<Pair> pairs_with(u64 a) {
    std::vector<Pair> pairs;
    for (const u64 b : kValues) pairs.push_back({b, a});
    return pairs;
}
// dst = all values.
std::vector<Pair> pairs_of_dst() {
    std::vector<Pair> pairs;
    for (const u64 a : kValues) pairs.push_back({~a, a});
    return pairs;
}

// Each operation on a pair of registers that changes from case to case.
TEST_P(Operations, AluRegister) {
    std::mt19937 random(1);
    for (const Encoding* e : rows_of(Form::AluReg)) {
        for (const u64 a : kValues) {
            Insn insn = instance(*e);
            insn.dst = static_cast<Reg>(random() % 10);
            insn.src = static_cast<Reg>(random() % 10);
            std::vector<Pair> pairs = pairs_with(a);
            apply(insn, pairs);
            if (unsupported()) return;
            for (std::size_t i = 0; i < pairs.size(); ++i) {
                const u64 src = insn.dst == insn.src ? a : kValues[i];
                ASSERT_EQ(pairs[i].src, isa::eval_alu(insn.alu(), insn.width, a, src))
                    << describe(insn, a, src);
            }
        }
    }
}

TEST_P(Operations, AluImmediate) {
    std::mt19937 random(2);
    for (const Encoding* e : rows_of(Form::AluImm)) {
        for (const i32 imm : kImmediates) {
            Insn insn = instance(*e);
            insn.dst = static_cast<Reg>(random() % 10);
            insn.imm = imm;
            const u64 wide = static_cast<u64>(i64{imm});
            std::vector<Pair> pairs = pairs_of_dst();
            apply(insn, pairs);
            if (unsupported()) return;
            for (const Pair& pair : pairs) {
                ASSERT_EQ(pair.src, isa::eval_alu(insn.alu(), insn.width, pair.dst, wide))
                    << describe(insn, pair.dst, wide);
            }
        }
    }
}

TEST_P(Operations, NegationExtensionAndByteOrder) {
    for (const Form form : {Form::Neg, Form::MovSx, Form::Endian}) {
        for (const Encoding* e : rows_of(form)) {
            for (Reg dst = 0; dst < 10; ++dst) {
                Insn insn = instance(*e);
                insn.dst = dst;
                insn.src = form == Form::MovSx ? static_cast<Reg>((dst * 3 + 1) % 10) : Reg{0};
                std::vector<Pair> pairs = pairs_of_dst();
                apply(insn, pairs);
                if (unsupported()) return;
                for (const Pair& pair : pairs) {
                    const u64 src = insn.src == dst ? pair.dst : ~pair.dst;
                    const u64 expected =
                        form == Form::Neg ? isa::eval_neg(insn.width, pair.dst)
                        : form == Form::MovSx
                            ? isa::eval_movsx(insn.width, insn.from_bits, src)
                            : isa::eval_endian(insn.endian(), insn.width, pair.dst);
                    ASSERT_EQ(pair.src, expected) << describe(insn, pair.dst, src);
                }
            }
        }
    }
}

TEST_P(Operations, ConditionsOnRegisters) {
    std::mt19937 random(3);
    for (const Encoding* e : rows_of(Form::JmpReg)) {
        for (const u64 a : kValues) {
            Insn insn = instance(*e);
            insn.dst = static_cast<Reg>(random() % 10);
            insn.src = static_cast<Reg>(random() % 10);
            std::vector<Pair> pairs = pairs_with(a);
            decide(insn, pairs);
            if (unsupported()) return;
            for (std::size_t i = 0; i < pairs.size(); ++i) {
                const u64 src = insn.dst == insn.src ? a : kValues[i];
                ASSERT_EQ(pairs[i].src, isa::eval_cond(insn.cond(), insn.width, a, src))
                    << describe(insn, a, src);
            }
        }
    }
}

TEST_P(Operations, ConditionsOnImmediates) {
    std::mt19937 random(4);
    for (const Encoding* e : rows_of(Form::JmpImm)) {
        for (const i32 imm : kImmediates) {
            Insn insn = instance(*e);
            insn.dst = static_cast<Reg>(random() % 10);
            insn.imm = imm;
            const u64 wide = static_cast<u64>(i64{imm});
            std::vector<Pair> pairs = pairs_of_dst();
            decide(insn, pairs);
            if (unsupported()) return;
            for (const Pair& pair : pairs) {
                ASSERT_EQ(pair.src, isa::eval_cond(insn.cond(), insn.width, pair.dst, wide))
                    << describe(insn, pair.dst, wide);
            }
        }
    }
}

TEST_P(Operations, LoadsReadTheirWidthAndNoMore) {
    std::vector<std::byte> memory(32);
    for (std::size_t i = 0; i < memory.size(); ++i)
        memory[i] = static_cast<std::byte>(0x71 + 13 * i);
    for (const Form form : {Form::Load, Form::LoadSx}) {
        for (const Encoding* e : rows_of(form)) {
            for (const i16 off : {0, 1, 3, 8, 13, 24}) {
                for (Reg dst = 0; dst < 10; ++dst) {
                    Insn insn = instance(*e);
                    insn.dst = dst;
                    insn.src = dst % 2 == 0 ? Reg{1} : dst;
                    insn.off = off;
                    u64 expected = 0;
                    std::memcpy(&expected, memory.data() + off,
                                static_cast<std::size_t>(isa::bytes(e->width)));
                    if (form == Form::LoadSx) {
                        expected = isa::eval_movsx(Width::W64, static_cast<u8>(isa::bits(e->width)),
                                                   expected);
                    }
                    const u64 got =
                        run(encode({mov(insn.src, 1), insn, mov(0, dst), kExit}), memory);
                    ASSERT_EQ(got, expected) << describe(insn, static_cast<u64>(off), 0);
                    if (unsupported()) return;
                }
            }
        }
    }
}

TEST_P(Operations, StoresWriteTheirWidthAndNoMore) {
    for (const Form form : {Form::StoreReg, Form::StoreImm}) {
        for (const Encoding* e : rows_of(form)) {
            for (const i16 off : {0, 1, 5, 8, 24}) {
                for (const u64 value : kValues) {
                    Insn insn = instance(*e);
                    insn.dst = 1;
                    insn.off = off;
                    u64 stored = value;
                    if (form == Form::StoreReg) {
                        insn.src = 7;
                    } else {
                        insn.imm = static_cast<i32>(value);
                        stored = static_cast<u64>(insn.imm);
                    }
                    std::vector<std::byte> memory(32, std::byte{0xa5});
                    std::vector<std::byte> expected = memory;
                    std::memcpy(expected.data() + off, &stored,
                                static_cast<std::size_t>(isa::bytes(e->width)));
                    const Insn constant{
                        .form = Form::Wide, .dst = 7, .imm = static_cast<i64>(value)};
                    run(encode({constant, insn, mov_imm(0, 0), kExit}), memory);
                    if (unsupported()) return;
                    ASSERT_EQ(memory, expected) << describe(insn, value, 0);
                }
            }
        }
    }
}

TEST_P(Operations, NegativeOffsetsAndTheStack) {
    EXPECT_EQ(run("*(u64 *)(r10 - 512) = 5\n*(u64 *)(r10 - 8) = 6\nr1 = r10\nr1 += -256\n"
                  "r0 = *(u64 *)(r1 - 256)\nr2 = *(u64 *)(r1 + 248)\nr0 += r2\nexit"),
              11u);
}

// dst points to the cell; src, r0 and the cell are compared afterwards.
TEST_P(Operations, Atomics) {
    for (const Encoding* e : rows_of(Form::Atomic)) {
        for (Reg src = 0; src < 10; ++src) {
            if (src == 6 || src == 1) continue;
            for (const u64 old : kValues) {
                const u64 operand = 0x0f0f'1234'8000'0003 + src;
                for (const u64 r0 : {old, old ^ 1, old ^ (u64{1} << 40)}) {
                    Insn insn = instance(*e);
                    insn.dst = 6;
                    insn.src = src;
                    insn.off = 16;
                    u64 cells[5] = {operand, r0, old, 0, 0};
                    // Registers are loaded after r6 = r1, src last: it may be r0.
                    run(encode({mov(6, 1), load64(0, 6, 8), load64(src, 6, 0), insn,
                                store64(6, 24, src), store64(6, 32, 0), kExit}),
                        std::as_writable_bytes(std::span(cells)));
                    if (unsupported()) return;

                    const u64 r0_before = src == 0 ? operand : r0;
                    const u64 low = insn.is64() ? ~u64{0} : 0xffff'ffff;
                    const u64 cell =
                        isa::eval_atomic(insn.atomic(), insn.width, old, operand, r0_before);
                    const bool fetches =
                        insn.atomic() >= AtomicOp::FetchAdd && insn.atomic() != AtomicOp::CmpXchg;
                    u64 src_after = fetches ? old & low : operand;
                    u64 r0_after = r0_before;
                    if (insn.atomic() == AtomicOp::CmpXchg) r0_after = old & low;
                    if (src == 0) {
                        if (fetches) r0_after = src_after;
                        src_after = r0_after;
                    }
                    ASSERT_EQ(cells[2], (old & ~low) | cell) << describe(insn, old, operand);
                    ASSERT_EQ(cells[3], src_after) << describe(insn, old, operand);
                    ASSERT_EQ(cells[4], r0_after) << describe(insn, old, operand);
                }
            }
        }
    }
}

TEST_P(Operations, WideConstants) {
    for (const u64 value : kValues) {
        for (Reg dst = 0; dst < 10; ++dst) {
            const Insn wide{.form = Form::Wide, .dst = dst, .imm = static_cast<i64>(value)};
            ASSERT_EQ(run(encode({wide, mov(0, dst), kExit})), value);
            if (unsupported()) return;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Engine, Operations, testing::ValuesIn(all_engines()), engine_name);

}  // namespace
}  // namespace ebpf::engines
