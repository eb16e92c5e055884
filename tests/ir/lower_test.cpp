// SPDX-License-Identifier: MIT
#include "ir/lower.hpp"

#include <gtest/gtest.h>

#include "spec/helpers.hpp"
#include "spec/program_types.hpp"

namespace ebpf::ir {
namespace {

using isa::Form;
using isa::Width;
using spec::Dialect;

isa::Insn load(i16 off, Width width, Form form = Form::Load) {
    return {.form = form, .width = width, .dst = 2, .src = 1, .off = off};
}
isa::Insn call(i64 number) {
    return {.form = Form::Call, .kind = static_cast<u8>(isa::CallKind::Helper), .imm = number};
}

// A program of one instruction and `exit`, and facts that the first touches `memory`.
struct Case {
    Program program;
    Facts facts;
};
Case one(const isa::Insn& insn, MemoryKind memory) {
    Case out;
    out.program.insns = {insn, {.form = Form::Exit}};
    EXPECT_TRUE(resolve_control_flow(out.program));
    out.facts.insns = {{.reachable = true, .memory = memory}, {.reachable = true}};
    return out;
}

Result<isa::Insn> lowered(const isa::Insn& insn, const spec::ProgramTypeInfo& type,
                          MemoryKind memory = MemoryKind::Context) {
    const Case c = one(insn, memory);
    TRY_ASSIGN(const Lowered out, lower(c.program, c.facts, {.type = &type}));
    EXPECT_EQ(out.program.insns.size(), 2u);
    return out.program.insns[0];
}

const spec::ProgramTypeInfo& xdp(Dialect dialect) {
    return *spec::program_info(dialect, spec::ProgramType::Xdp);
}

TEST(Lower, PacketPointersOfBothDialectsMeetInOnePlace) {
    for (const spec::FieldKind kind : {spec::FieldKind::PacketStart, spec::FieldKind::PacketEnd}) {
        std::vector<isa::Insn> results;
        for (const Dialect dialect : {Dialect::Linux, Dialect::Windows}) {
            for (const spec::ContextField& field : xdp(dialect).context.fields) {
                if (field.kind != kind) continue;
                const auto insn =
                    lowered(load(static_cast<i16>(field.offset), static_cast<Width>(field.size)),
                            xdp(dialect));
                ASSERT_TRUE(insn);
                results.push_back(*insn);
            }
        }
        ASSERT_EQ(results.size(), 2u);
        EXPECT_EQ(results[0], results[1]);
        EXPECT_EQ(results[0].width, Width::W64);
        EXPECT_EQ(results[0].dst, 2);
        EXPECT_EQ(results[0].src, 1);
    }
}

TEST(Lower, OtherMemoryStaysAsItIs) {
    for (const MemoryKind memory : {MemoryKind::Unknown, MemoryKind::Stack, MemoryKind::Packet}) {
        const isa::Insn before = load(4, Width::W32);
        EXPECT_EQ(lowered(before, xdp(Dialect::Linux), memory).value(), before);
    }
}

TEST(Lower, PartsOfPointersAndBytesOutsideAreRefused) {
    EXPECT_FALSE(lowered(load(0, Width::W16), xdp(Dialect::Linux)));
    EXPECT_FALSE(lowered(load(0, Width::W64), xdp(Dialect::Linux)));
    EXPECT_FALSE(lowered(load(0, Width::W32, Form::LoadSx), xdp(Dialect::Linux)));
    EXPECT_FALSE(lowered(load(1000, Width::W32), xdp(Dialect::Linux)));
    EXPECT_FALSE(lowered(load(-4, Width::W32), xdp(Dialect::Linux)));
    const isa::Insn atomic{
        .form = Form::Atomic, .width = Width::W32, .dst = 1, .src = 2, .off = 12};
    EXPECT_FALSE(lowered(atomic, xdp(Dialect::Linux)));
}

// A made-up type: fields that are moved, longer and shorter in the native layout.
constexpr spec::ContextField kFields[] = {
    {.name = "same",
     .offset = 0,
     .size = 4,
     .native_offset = 16,
     .native_size = 4,
     .writable = true},
    {.name = "longer", .offset = 4, .size = 4, .native_offset = 24, .native_size = 8},
    {.name = "shorter", .offset = 8, .size = 8, .native_offset = 32, .native_size = 4},
};
const spec::ProgramTypeInfo kType{.context = {.size = 16, .native_size = 40, .fields = kFields}};

TEST(Lower, ScalarsMoveWithTheirParts) {
    EXPECT_EQ(lowered(load(0, Width::W32), kType).value(), load(16, Width::W32));
    EXPECT_EQ(lowered(load(2, Width::W16), kType).value(), load(18, Width::W16));
    EXPECT_EQ(lowered(load(3, Width::W8, Form::LoadSx), kType).value(),
              load(19, Width::W8, Form::LoadSx));
    EXPECT_EQ(lowered(load(4, Width::W32), kType).value(), load(24, Width::W32));
    EXPECT_EQ(lowered(load(6, Width::W16), kType).value(), load(26, Width::W16));
    EXPECT_EQ(lowered(load(8, Width::W64), kType).value(), load(32, Width::W32));
    EXPECT_EQ(lowered(load(8, Width::W32), kType).value(), load(32, Width::W32));
    // Bytes that the native field does not have are zero.
    const auto high = lowered(load(12, Width::W32), kType);
    ASSERT_TRUE(high);
    EXPECT_EQ(high->form, Form::AluImm);
    EXPECT_EQ(high->imm, 0);
    EXPECT_EQ(high->dst, 2);
    // No field holds it.
    EXPECT_FALSE(lowered(load(2, Width::W32), kType));
}

TEST(Lower, StoresNeedFieldsOfOneSize) {
    const isa::Insn store{
        .form = Form::StoreReg, .width = Width::W32, .dst = 1, .src = 3, .off = 0};
    isa::Insn moved = store;
    moved.off = 16;
    EXPECT_EQ(lowered(store, kType).value(), moved);
    isa::Insn longer = store;
    longer.off = 4;
    EXPECT_EQ(name(lowered(longer, kType).error().code), "Unsupported");
}

TEST(Lower, HelperNumbersBecomeCanonical) {
    for (const Dialect dialect : {Dialect::Linux, Dialect::Windows}) {
        for (const spec::Helper helper :
             {spec::Helper::map_lookup_elem, spec::Helper::ktime_get_ns, spec::Helper::tail_call}) {
            const i32 number = spec::number(dialect, helper);
            ASSERT_GT(number, 0);
            const auto insn = lowered(call(number), xdp(dialect), MemoryKind::Unknown);
            ASSERT_TRUE(insn);
            EXPECT_EQ(insn->imm, static_cast<i64>(helper));
        }
    }
    EXPECT_FALSE(lowered(call(60'000), xdp(Dialect::Linux), MemoryKind::Unknown));
}

TEST(Lower, TrustedProgramsKeepNumbersThatNobodyKnows) {
    Case c = one(call(5), MemoryKind::Unknown);
    c.program.insns.insert(c.program.insns.begin(), load(0, Width::W32));
    ASSERT_TRUE(resolve_control_flow(c.program));
    const auto out = lower(c.program, {}, {});
    ASSERT_TRUE(out);
    EXPECT_EQ(out->program.insns[0], load(0, Width::W32));  // no proof: no context known
    EXPECT_EQ(static_cast<u32>(out->program.insns[1].imm), kCustomHelperBit | 5);
    const auto bytes = encode_program(out->program);
    EXPECT_TRUE(bytes);
}

TEST(Lower, FactsMustBeTheProgramsOwn) {
    Case c = one(call(1), MemoryKind::Unknown);
    c.facts.insns.pop_back();
    EXPECT_EQ(name(lower(c.program, c.facts, {.type = &kType}).error().code), "BadFormat");
}

TEST(Lower, UnreachableCallsMayBeAnything) {
    Case c = one(call(60'000), MemoryKind::Unknown);
    c.facts.insns[0].reachable = false;
    const auto out = lower(c.program, c.facts, {.type = &kType});
    ASSERT_TRUE(out);
    // No engine is asked for a helper that nobody has.
    EXPECT_EQ(out->program.insns[0].form, isa::Form::Exit);
}

}  // namespace
}  // namespace ebpf::ir
