// SPDX-License-Identifier: MIT
//
// What each pass of the optimising level makes of a program, and what it leaves alone. That the
// programs do the same is tests/engines' matter.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>

#include "jit/optimise/optimise.hpp"
#include "spec/helpers.hpp"
#include "support.hpp"

namespace ebpf::jit::test {
namespace {

constexpr Width W32 = Width::W32, W64 = Width::W64;

PassSet only(std::string_view name) {
    PassSet set = 0;
    for (u32 i = 0; i < passes().size(); ++i) {
        if (passes()[i].name == name) set |= PassSet{1} << i;
    }
    EXPECT_NE(set, 0u) << name;
    return set;
}

// What a pass makes of the program, displacements as they are in it.
Insns after(std::string_view pass, const Insns& insns) {
    const auto code = optimise(link(insns), {}, {}, {}, only(pass));
    EXPECT_TRUE(code);
    ir::Program out = code->program;
    const auto slots = ir::encode_program(out);
    EXPECT_TRUE(slots);
    return ir::decode_insns(*slots).value();
}

TEST(Dead, WhatNobodyReadsGoesWithWhatOnlyItRead) {
    const Insns rest{mov_imm(0, 1), exit()};
    EXPECT_EQ(after("dead", Insns{mov(3, 1), alu_imm(AluOp::Add, W64, 3, 8), load(W32, 4, 3, 0),
                                  alu(AluOp::Mul, W64, 5, 4)} +
                                rest),
              rest);
    EXPECT_EQ(after("dead", Insns{mov(3, 3)} + rest), rest);
}

TEST(Dead, WhatHasAnEffectStays) {
    for (const Insns& stays :
         {Insns{store(W64, 1, 0, 1)}, Insns{atomic(AtomicOp::FetchAdd, W64, 1, 0, 2)},
          Insns{mov(2, 0), call_helper(7)},
          Insns{alu(AluOp::Mov, W32, 0, 0), alu_imm(AluOp::Rsh, W64, 0, 4)}}) {
        const Insns insns = Insns{mov_imm(0, 1)} + stays + Insns{exit()};
        EXPECT_EQ(after("dead", insns), insns);
    }
}

TEST(Dead, OneWayIsEnoughToNeedIt) {
    const Insns insns{mov_imm(3, 1), mov_imm(0, 2), jump_imm(Cond::Eq, W64, 1, 0, 1), mov(0, 3),
                      exit()};
    EXPECT_EQ(after("dead", insns), insns);
}

// What is left of a function that is not called any more.
const Insns kStub{exit()};

TEST(Inlined, ASmallFunctionStandsWhereItIsCalled) {
    const Insns function{mov(0, 1), alu(AluOp::Add, W64, 0, 2)};
    EXPECT_EQ(after("inlined", Insns{mov_imm(1, 1), call_local(2), mov(6, 0), exit()} + function +
                                   Insns{exit()}),
              Insns{mov_imm(1, 1)} + function + Insns({mov(6, 0), exit()}) + kStub);
}

TEST(Inlined, ReturnsGoBehindTheCall) {
    EXPECT_EQ(after("inlined", {call_local(3), call_local(2), mov(6, 0), exit(), mov(0, 1),
                                jump_imm(Cond::Eq, W64, 1, 0, 1), exit(), mov_imm(0, 2), exit()}),
              Insns({mov(0, 1), jump_imm(Cond::Eq, W64, 1, 0, 1), ja(1), mov_imm(0, 2), mov(0, 1),
                     jump_imm(Cond::Eq, W64, 1, 0, 1), ja(1), mov_imm(0, 2), mov(6, 0), exit()}) +
                  kStub);
}

TEST(Inlined, FunctionsOfFunctions) {
    EXPECT_EQ(after("inlined", {call_local(2), mov(6, 0), exit(), call_local(2), mov(5, 0), exit(),
                                mov(0, 1), exit()}),
              Insns({mov(0, 1), mov(5, 0), mov(6, 0), exit()}) + kStub + kStub);
}

TEST(Inlined, OtherRegistersForThoseTheCallerWants) {
    const Insns function{mov(6, 1), mov(0, 6), exit()};
    EXPECT_EQ(after("inlined",
                    Insns{mov(6, 1), call_local(3), alu(AluOp::Add, W64, 0, 6), exit(), exit()} +
                        function),
              Insns({mov(6, 1), mov(7, 1), mov(0, 7), alu(AluOp::Add, W64, 0, 6), exit(), exit()}) +
                  kStub);
    Insns all{mov_imm(6, 6), mov_imm(7, 7), mov_imm(8, 8), mov_imm(9, 9), call_local(5)};
    for (Reg r = 6; r <= 9; ++r) all.push_back(alu(AluOp::Add, W64, 0, r));
    all.push_back(exit());
    EXPECT_EQ(after("inlined", all + function), all + function);
}

TEST(Inlined, WhatIsNotLikeItsCallerStays) {
    const Insns start{call_local(2), mov(6, 0), exit()};
    Insns large;
    for (int i = 0; i < 30; ++i) large.push_back(alu_imm(AluOp::Mul, W64, 1, 3));
    const Insns twice{call_local(2), call_local(1), exit()};
    for (const Insns& stays : {
             // one that reads its caller's register, or ends its caller; frames; large
             start + Insns{mov(0, 7), exit()},
             start + Insns{call_helper(static_cast<u32>(spec::Helper::tail_call)), exit()},
             Insns{store(W64, 10, -8, 1)} + start + Insns{store(W64, 10, -8, 1), exit()},
             twice + large + Insns{mov(0, 1), exit()},
             // itself, and the program
             start + Insns{call_local(-1), exit()},
             Insns{jump_imm(Cond::Eq, W64, 1, 0, 1), call_local(-2), mov_imm(0, 1), exit()},
         }) {
        EXPECT_EQ(after("inlined", stays), stays);
    }
}

TEST(Inlined, AFrameIsItsCallersWhereThatHasNone) {
    const Insns function{store(W64, 10, -8, 1), load(W64, 0, 10, -8)};
    const Insns insns = Insns{call_local(2), mov(6, 0), exit()} + function + Insns{exit()};
    EXPECT_EQ(after("inlined", insns), function + Insns({mov(6, 0), exit()}) + kStub);
    ir::Facts facts;
    facts.insns.assign(insns.size(), {.reachable = true});
    facts.stack_used = {0, 8};
    facts.max_call_depth = 2;
    const auto code = optimise(link(insns), facts, {}, {}, only("inlined"));
    ASSERT_TRUE(code);
    EXPECT_EQ(code->facts.stack_used, (std::vector<u32>{8, 8}));
    EXPECT_EQ(code->origin, (std::vector<u32>{3, 4, 1, 2, 5}));
    EXPECT_EQ(code->place, (std::vector<u32>{0, 0, 1, 2, 5}));
}

// x rotated by n in pieces: a = x >> width - n; b = x << n; b |= a
TEST(Rotations, PartsComeTogether) {
    const Insn other = alu_imm(AluOp::Add, W64, 6, 1), stored = store(W64, 10, -8, 7);
    const Insns parts{mov(2, 1), alu_imm(AluOp::Rsh, W64, 2, 51), mov(3, 1),
                      alu_imm(AluOp::Lsh, W64, 3, 13), alu(AluOp::Or, W64, 3, 2)};
    const Insns end{alu(AluOp::Xor, W64, 0, 3), exit()};
    const Insns apart{parts[0], other, parts[1], parts[2], stored, parts[3], parts[4]};
    const Insns together{other, stored, parts[0], parts[1], parts[2], parts[3], parts[4]};
    EXPECT_EQ(after("rotations", apart + end), together + end);
}

TEST(Rotations, OfARegisterThatIsShiftedItself) {
    const Insn other = alu_imm(AluOp::Add, W64, 6, 1);
    const Insn copy = mov(2, 1), right = alu_imm(AluOp::Rsh, W64, 2, 51),
               left = alu_imm(AluOp::Lsh, W64, 1, 13), join = alu(AluOp::Or, W64, 1, 2);
    EXPECT_EQ(after("rotations", {copy, left, other, right, join, mov(0, 1), exit()}),
              Insns({other, copy, right, left, join, mov(0, 1), exit()}));
}

TEST(Rotations, WhatIsNoRotationStays) {
    const Insn add = alu_imm(AluOp::Add, W64, 6, 1);
    const Insn copy = mov(2, 1), right = alu_imm(AluOp::Rsh, W64, 2, 51),
               left = alu_imm(AluOp::Lsh, W64, 1, 13), join = alu(AluOp::Or, W64, 1, 2);
    const Insns end{mov(0, 1), exit()};
    for (const Insns& stays : {
             // written in between, read in between, other counts, other operation, jumped into
             Insns{copy, alu_imm(AluOp::Add, W64, 1, 1), left, add, right, join},
             Insns{copy, right, alu(AluOp::Add, W64, 6, 2), left, add, join},
             Insns{copy, alu_imm(AluOp::Rsh, W64, 2, 50), add, left, join},
             Insns{copy, alu_imm(AluOp::Arsh, W64, 2, 51), add, left, join},
             Insns{jump_imm(Cond::Eq, W64, 3, 0, 2), copy, right, add, left, join},
         }) {
        EXPECT_EQ(after("rotations", stays + end), stays + end);
    }
}

// r0 = 1; again: r3 = r2; r2 += 1; if r2 == 9 goto out; r3 = 0; if r2 != 5 goto again; out: ...
TEST(Sink, WhatOnlyTheWayOutOfALoopNeedsGoesThere) {
    const Insns insns{mov_imm(3, 1),
                      mov(3, 2),  // again
                      alu_imm(AluOp::Add, W64, 1, 1),
                      jump_imm(Cond::Eq, W64, 1, 9, 3),
                      mov_imm(3, 0),
                      alu_imm(AluOp::Add, W64, 2, 1),
                      jump_imm(Cond::Ne, W64, 2, 5, -6),
                      mov(0, 3),  // out
                      exit()};
    // The copy is jumped to at the end of the subprogram, since the other way comes from above.
    EXPECT_EQ(
        after("sink", insns),
        Insns({mov_imm(3, 1), alu_imm(AluOp::Add, W64, 1, 1), jump_imm(Cond::Eq, W64, 1, 9, 5),
               alu_imm(AluOp::Add, W64, 2, 1), jump_imm(Cond::Ne, W64, 2, 5, -4), mov_imm(3, 0),
               mov(0, 3), exit(), mov(3, 2), ja(-4)}));
}

TEST(Sink, WhatBothWaysNeedStays) {
    for (const Insns& stays : {
             Insns{mov_imm(3, 1), jump_imm(Cond::Eq, W64, 1, 0, 1), mov_imm(4, 3), mov(0, 3)},
             // needed by the comparison; changed behind it
             Insns{mov_imm(3, 1), jump_imm(Cond::Eq, W64, 3, 0, 1), mov(0, 3)},
             Insns{mov(3, 1), mov_imm(1, 2), jump_imm(Cond::Eq, W64, 1, 0, 2), mov(0, 3),
                   alu(AluOp::Add, W64, 0, 1)},
         }) {
        const Insns insns = Insns{mov_imm(0, 1), mov_imm(4, 1)} + stays + Insns{exit()};
        EXPECT_EQ(after("sink", insns), insns);
    }
}

Insns at_level(std::string_view pass, const Insns& insns, const Target& target) {
    return optimise_for(link(insns), {}, target, {}, only(pass)).value().program.insns;
}

TEST(Slots, ASlotIsARegister) {
    const Reg spare = kSpare;
    EXPECT_EQ(at_level("slots", {store(W64, 10, -8, 1), load(W64, 0, 10, -8), exit()}, system_v()),
              Insns({mov(spare, 1), mov(0, spare), exit()}));
    EXPECT_EQ(at_level("slots", {store(W32, 10, -8, 1), load(W32, 0, 10, -8), exit()}, system_v()),
              Insns({alu(AluOp::Mov, W32, spare, 1), alu(AluOp::Mov, W32, 0, spare), exit()}));
    EXPECT_EQ(
        at_level("slots", {store_imm(W64, 10, -8, -1), load(W64, 0, 10, -8), exit()}, system_v()),
        Insns({mov_imm(spare, -1), mov(0, spare), exit()}));
}

TEST(Slots, StoresThatNobodyLoadsGo) {
    EXPECT_EQ(after("slots", {store(W64, 10, -8, 1), mov_imm(0, 1), exit()}),
              Insns({mov_imm(0, 1), exit()}));
    // An address that is stored and never loaded is none.
    EXPECT_EQ(after("slots", {mov(3, 10), alu_imm(AluOp::Add, W64, 3, -64), store(W64, 10, -8, 3),
                              mov_imm(3, 0), mov_imm(0, 1), exit()}),
              Insns({mov(3, 10), alu_imm(AluOp::Add, W64, 3, -64), mov_imm(3, 0), mov_imm(0, 1),
                     exit()}));
}

TEST(Slots, AnAddressThatIsOverwrittenIsNone) {
    const Insns address{mov(3, 10), store(W64, 10, -8, 3), mov_imm(3, 0)};
    const Insns slot{store(W64, 10, -16, 1), load(W64, 0, 10, -16), exit()};
    const auto in_registers = [&](const Insns& between) {
        const Insns insns = address + between + slot;
        return at_level("slots", insns, system_v()) != insns;
    };
    EXPECT_TRUE(in_registers({store(W64, 10, -8, 2), load(W32, 4, 10, -8)}));
    EXPECT_FALSE(in_registers({store(W32, 10, -8, 2), load(W64, 4, 10, -8)}));
    EXPECT_FALSE(in_registers({load(W64, 4, 10, -8), store(W64, 10, -8, 2)}));
    // On all ways, or not.
    EXPECT_TRUE(in_registers({store(W64, 10, -8, 2), jump_imm(Cond::Eq, W64, 1, 0, 1),
                              mov_imm(4, 0), load(W64, 4, 10, -8)}));
    EXPECT_FALSE(in_registers(
        {jump_imm(Cond::Eq, W64, 1, 0, 1), store(W64, 10, -8, 2), load(W64, 4, 10, -8)}));
    EXPECT_FALSE(in_registers({store(W64, 10, -8, 2), ja(2), store(W64, 10, -8, 3), ja(1), ja(-3),
                               load(W64, 4, 10, -8), mov(5, 10), store(W64, 10, -8, 5),
                               mov_imm(5, 0), jump_imm(Cond::Eq, W64, 1, 0, -5)}));
}

TEST(Slots, WhatOthersMayAccessStays) {
    const Insns slot{store(W64, 10, -8, 1), load(W64, 0, 10, -8)};
    for (const Insns& other : {
             Insns{mov(3, 10), load(W64, 3, 3, -8)},  // by an address
             Insns{mov(3, 10), store(W64, 1, 0, 3)},  // an address goes elsewhere
             Insns{mov(3, 10), store(W64, 10, -16, 3), load(W64, 3, 10, -16)},
             Insns{mov(2, 10), call_helper(1)},              // to a helper
             Insns{mov(3, 10), ja(0), store(W64, 1, 0, 3)},  // in another block
             Insns{atomic(AtomicOp::Add, W64, 10, -8, 1)},
             Insns{load(W32, 3, 10, -4)},  // a part of it
             Insns{load_sx(W32, 3, 10, -8), alu(AluOp::Add, W64, 0, 3)},
             Insns{mov(0, 10)},  // to the caller
         }) {
        const Insns insns = slot + other + Insns{exit()};
        EXPECT_EQ(at_level("slots", insns, system_v()), insns);
    }
}

TEST(Slots, OnlyRegistersThatAreFree) {
    const Insns slots{store(W64, 10, -8, 1),  load(W64, 0, 10, -8),   store(W64, 10, -16, 1),
                      load(W64, 0, 10, -16),  store(W64, 10, -24, 1), load(W64, 0, 10, -24),
                      store(W64, 10, -32, 1), load(W64, 0, 10, -32),  store(W64, 10, -40, 1),
                      load(W64, 0, 10, -40)};
    const auto used = [&](const Insns& rest, const Target& target) {
        RegSet set = 0;
        for (const Insn& insn : at_level("slots", slots + rest + Insns{exit()}, target))
            set |= registers_of(insn).writes;
        return std::popcount(static_cast<u32>(set >> kSpare));
    };
    EXPECT_EQ(used({}, system_v()), 4);
    EXPECT_EQ(used({}, windows()), 4);
    EXPECT_EQ(used({alu_imm(AluOp::Mul, W64, 0, 31)}, system_v()), 3);
    EXPECT_EQ(used({alu(AluOp::Lsh, W64, 0, 1)}, system_v()), 3);
    EXPECT_EQ(used({alu(AluOp::Lsh, W64, 0, 1)}, system_v(true)), 4);
    EXPECT_EQ(used({alu_imm(AluOp::Div, W64, 0, 10)}, system_v()), 2);
}

const Insns kLoaded{load(Width::W8, 3, 1, 0)};  // r3: 8 bits

TEST(Extents, WhatClearsNothingGoes) {
    const Insns used{mov(0, 3), exit()};
    for (const Insns& goes : {
             Insns{alu_imm(AluOp::And, W32, 3, 0xff)},
             Insns{alu(AluOp::Mov, W32, 3, 3)},
             Insns{alu_imm(AluOp::Lsh, W64, 3, 56), alu_imm(AluOp::Rsh, W64, 3, 56)},
             Insns{alu_imm(AluOp::Lsh, W64, 3, 32), alu_imm(AluOp::Arsh, W64, 3, 32)},
         })
        EXPECT_EQ(after("extents", kLoaded + goes + used), kLoaded + used);
    for (const Insns& stays : {
             Insns{alu_imm(AluOp::And, W32, 3, 0x7f)},
             Insns{alu_imm(AluOp::Add, W64, 3, 1), alu_imm(AluOp::And, W32, 3, 0xff)},
             Insns{alu_imm(AluOp::Sub, W64, 3, 1), alu(AluOp::Mov, W32, 3, 3)},
             Insns{alu_imm(AluOp::Lsh, W64, 3, 57), alu_imm(AluOp::Rsh, W64, 3, 57)},
             Insns{alu_imm(AluOp::Lsh, W64, 3, 56), alu_imm(AluOp::Arsh, W64, 3, 56)},
         })
        EXPECT_EQ(after("extents", kLoaded + stays + used), kLoaded + stays + used);
}

TEST(Extents, OnAllWays) {
    const Insn mask = alu_imm(AluOp::And, W64, 3, 0xff);
    const Insns used{mov(0, 3), exit()};
    // r3 is 8 bits long on both ways, or on one
    const Insns narrow = kLoaded + Insns{jump_imm(Cond::Eq, W64, 2, 0, 1), mov_imm(3, 255)};
    const Insns wide = kLoaded + Insns{jump_imm(Cond::Eq, W64, 2, 0, 1), mov_imm(3, 256)};
    EXPECT_EQ(after("extents", narrow + Insns{mask} + used), narrow + used);
    EXPECT_EQ(after("extents", wide + Insns{mask} + used), wide + Insns{mask} + used);
    // A number that grows from round to round; one that a comparison bounds.
    const Insns grows{mov_imm(3, 0), mask, alu_imm(AluOp::Add, W64, 3, 1),
                      jump(Cond::Ne, W64, 3, 2, -3)};
    EXPECT_EQ(after("extents", grows + used), grows + used);
    EXPECT_EQ(after("extents", Insns{mov_imm(3, 0), mask, alu_imm(AluOp::Add, W64, 3, 1),
                                     jump_imm(Cond::Lt, W64, 3, 200, -3)} +
                                   used),
              Insns({mov_imm(3, 0), alu_imm(AluOp::Add, W64, 3, 1),
                     jump_imm(Cond::Lt, W64, 3, 200, -2)}) +
                  used);
}

TEST(Extents, DivisionsAreAsLongAsNumbers) {
    const Insns used{mov(0, 3), exit()};
    EXPECT_EQ(after("extents", kLoaded + Insns{alu_imm(AluOp::Div, W64, 3, 10)} + used),
              kLoaded + Insns{alu_imm(AluOp::Div, W32, 3, 10)} + used);
    for (const Insn& stays : {alu_imm(AluOp::Div, W64, 3, -10), alu(AluOp::Mod, W64, 3, 2)})
        EXPECT_EQ(after("extents", kLoaded + Insns{stays} + used), kLoaded + Insns{stays} + used);
}

Insn load8(Reg dst, Reg base, i16 off) {
    return load(Width::W8, dst, base, off);
}
Insn up(Reg dst, i32 count) {
    return alu_imm(AluOp::Lsh, W64, dst, count);
}

TEST(Loads, BytesInEitherOrder) {
    const Insn join = alu(AluOp::Or, W64, 3, 4);
    const Insns end{mov(0, 3), exit()};
    EXPECT_EQ(after("loads", Insns{load8(3, 1, 1), up(3, 8), load8(4, 1, 0), join} + end),
              Insns{load(Width::W16, 3, 1, 0)} + end);
    const Insn swap{.form = Form::Endian,
                    .kind = static_cast<u8>(isa::EndianOp::ToBe),
                    .width = Width::W16,
                    .dst = 3};
    EXPECT_EQ(after("loads", Insns{load8(3, 1, 0), up(3, 8), load8(4, 1, 1), join} + end),
              Insns({load(Width::W16, 3, 1, 0), swap}) + end);
    EXPECT_EQ(
        after("loads", Insns{load8(3, 1, 1), up(3, 24), load8(4, 1, 0), up(4, 16), join} + end),
        Insns({load(Width::W16, 3, 1, 0), up(3, 16)}) + end);
    // The base may go with the last of them; other things may be between.
    EXPECT_EQ(after("loads", Insns{load8(3, 1, 1), mov_imm(5, 1), up(3, 8), load8(1, 1, 0),
                                   alu(AluOp::Or, W64, 3, 1), alu(AluOp::Add, W64, 3, 5)} +
                                 end),
              Insns({mov_imm(5, 1), load(Width::W16, 3, 1, 0), alu(AluOp::Add, W64, 3, 5)}) + end);
    EXPECT_EQ(after("loads",
                    Insns{load8(3, 1, 1), up(3, 8), load8(4, 1, 0), join, load8(4, 1, 2), up(4, 16),
                          load8(5, 1, 3), up(5, 24), alu(AluOp::Or, W64, 4, 5), join} +
                        end),
              Insns{load(W32, 3, 1, 0)} + end);
}

TEST(Loads, WhatIsNoNumberInMemoryStays) {
    const Insn join = alu(AluOp::Or, W64, 3, 4);
    const Insns end{mov(0, 3), exit()};
    for (const Insns& stays : {
             Insns{load8(3, 1, 2), up(3, 8), load8(4, 1, 0), join},  // a gap
             Insns{load8(3, 1, 1), up(3, 16), load8(4, 1, 0), join},
             Insns{load8(3, 1, 1), up(3, 8), load8(4, 2, 0), join},  // other places
             Insns{load8(3, 1, 1), up(3, 8), alu_imm(AluOp::Add, W64, 1, 1), load8(4, 1, 0), join},
             Insns{load8(3, 1, 1), up(3, 8), store(W64, 1, 0, 2), load8(4, 1, 0), join},
             Insns{load8(3, 1, 1), mov(5, 3), up(3, 8), load8(4, 1, 0), join},  // wanted alone
             Insns{load8(3, 1, 1), up(3, 8), load8(4, 1, 0), join, alu(AluOp::Add, W64, 3, 4)},
             Insns{load8(3, 1, 1), jump_imm(Cond::Eq, W64, 2, 0, 3), up(3, 8), load8(4, 1, 0),
                   join},
             Insns{load8(3, 1, 2), up(3, 16), load(Width::W16, 4, 1, 0), join},  // three
         }) {
        EXPECT_EQ(after("loads", stays + end), stays + end);
    }
}

TEST(Copies, TheOriginalIsRead) {
    EXPECT_EQ(after("copies", {mov(3, 1), alu(AluOp::Add, W64, 0, 3), store(W64, 3, 0, 3),
                               jump(Cond::Eq, W64, 3, 2, 0), mov_imm(0, 0), exit()}),
              Insns({mov(3, 1), alu(AluOp::Add, W64, 0, 1), store(W64, 1, 0, 1),
                     jump(Cond::Eq, W64, 1, 2, 0), mov_imm(0, 0), exit()}));
    // Of a copy of the low half, the low half.
    EXPECT_EQ(after("copies", {alu(AluOp::Mov, W32, 3, 1), alu(AluOp::Add, W32, 0, 3),
                               alu(AluOp::Add, W64, 0, 3), exit()}),
              Insns({alu(AluOp::Mov, W32, 3, 1), alu(AluOp::Add, W32, 0, 1),
                     alu(AluOp::Add, W64, 0, 3), exit()}));
}

TEST(Copies, WhatIsNoCopyAnyMoreIsNotReplaced) {
    for (const Insns& stays : {
             Insns{mov(3, 1), alu_imm(AluOp::Add, W64, 3, 1), alu(AluOp::Add, W64, 0, 3)},
             Insns{mov(3, 1), alu_imm(AluOp::Add, W64, 1, 1), alu(AluOp::Add, W64, 0, 3)},
             Insns{mov(3, 1), call_helper(1), alu(AluOp::Add, W64, 0, 3)},
             Insns{jump_imm(Cond::Eq, W64, 2, 0, 1), mov(3, 1), alu(AluOp::Add, W64, 0, 3)},
             Insns{mov(3, 1), atomic(AtomicOp::FetchAdd, W64, 2, 0, 3), alu(AluOp::Add, W64, 0, 3)},
         }) {
        const Insns insns = Insns{mov_imm(0, 1), mov(3, 0)} + stays + Insns{exit()};
        const Insns out = after("copies", insns);
        EXPECT_EQ(Insns(out.begin() + 2, out.end()), stays + Insns{exit()});
    }
}

// What stands where is told of the program that was given.
TEST(Optimise, OffsetsAreOfTheOriginal) {
    const Insns insns{mov_imm(3, 1),
                      mov(3, 2),
                      alu_imm(AluOp::Add, W64, 1, 1),
                      jump_imm(Cond::Eq, W64, 1, 9, 3),
                      mov_imm(3, 0),
                      alu_imm(AluOp::Add, W64, 2, 1),
                      jump_imm(Cond::Ne, W64, 2, 5, -6),
                      mov(0, 3),
                      exit()};
    const auto out = compile(link(insns), {}, system_v(), {.level = Level::Optimise});
    ASSERT_TRUE(out);
    ASSERT_EQ(out->insn_offset.size(), insns.size());
    EXPECT_TRUE(std::ranges::is_sorted(out->insn_offset));
    EXPECT_EQ(out->insn_offset[1], out->insn_offset[2]) << "it went elsewhere";
}

TEST(Optimise, OffsetsOfWhatWasInlinedAreTheCalls) {
    const Insns insns{mov_imm(1, 7), call_local(2), mov(6, 0), exit(), mov(0, 1), exit()};
    const auto out = compile(link(insns), {}, system_v(), {.level = Level::Optimise});
    ASSERT_TRUE(out);
    EXPECT_TRUE(std::ranges::is_sorted(out->insn_offset));
    EXPECT_EQ(out->function_offset.size(), 3u);
}

TEST(Optimise, MeteredCodeIsThatOfTheDefaultLevel) {
    const Insns insns{mov_imm(3, 1), mov_imm(0, 1), exit()};
    const auto with =
        compile(link(insns), {}, system_v(), {.level = Level::Optimise, .metered = true});
    const auto without = compile(link(insns), {}, system_v(), {.metered = true});
    ASSERT_TRUE(with && without);
    EXPECT_EQ(with->text, without->text);
}

}  // namespace
}  // namespace ebpf::jit::test
