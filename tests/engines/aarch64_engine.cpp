// SPDX-License-Identifier: MIT
//
// Machine code for AArch64, run by an emulator (a64_emulator.hpp).
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "a64_emulator.hpp"
#include "engine.hpp"
#include "jit/jit.hpp"
#include "spec/helpers.hpp"

namespace ebpf::engines {
namespace {

using isa::Insn;

class AArch64Engine : public Engine {
  public:
    AArch64Engine(std::string name, const jit::Options& options)
        : name_(std::move(name)), options_(options) {}
    std::string name() const override { return name_; }
    bool limits_call_depth() const override { return true; }
    u64 random_programs() const override { return 1000; }

    Result<u64> run(Bytes slots, MutableBytes memory, const Helpers& helpers) override {
        Result<ir::Program> program = ir::decode_program(slots);
        if (!program && program.error().code == Errc::BadJumpTarget)
            program.error().code = Errc::Unsupported;  // as in jit_engine.cpp
        if (!program) return std::unexpected(program.error());
        for (isa::Insn& insn : program->insns) {
            const bool helper =
                insn.form == isa::Form::Call && insn.call() == isa::CallKind::Helper;
            if (helper) insn.imm |= code::kCustomHelper;
        }
        TRY_ASSIGN(const jit::Output output, jit::compile(*program, {}, kEmulatedTarget, options_));
        TRY(code::validate(output.view(0)));
        TRY_ASSIGN(const Emulated end,
                   emulate(output, memory, helpers, {.checked = options_.checked}));
        TRY(code::fault_status(end.fault));
        return end.r0;
    }

    // Machine code as it is.

    static Result<u64> run(const jit::Output& output, MutableBytes memory,
                           const Helpers& helpers = {}) {
        TRY_ASSIGN(const Emulated end, emulate(output, memory, helpers, {}));
        TRY(code::fault_status(end.fault));
        return end.r0;
    }

  private:
    std::string name_;
    jit::Options options_;
};

Insn mov(isa::Reg dst, isa::Reg src) {
    return {.form = isa::Form::AluReg,
            .kind = static_cast<u8>(isa::AluOp::Mov),
            .width = isa::Width::W64,
            .dst = dst,
            .src = src};
}

// The distance from an array's value at a constant key to the value of a map like it, but for the
// type, at the key in memory, plus 1; or 0 where there is none.
ir::Program distance_program(u32 entries, u32 value_size,
                             spec::MapType type = spec::MapType::Array) {
    const Insn map{
        .form = isa::Form::Wide, .kind = static_cast<u8>(isa::WideKind::MapIndex), .dst = 1};
    Insn array = map;
    array.imm = 1;
    const Insn lookup{.form = isa::Form::Call,
                      .imm = static_cast<i64>(spec::Helper::map_lookup_elem)};
    Insn none{.form = isa::Form::JmpImm, .kind = static_cast<u8>(isa::Cond::Eq)};
    none.off = 8;
    Insn subtract = mov(6, 0), increment{.form = isa::Form::AluImm, .width = isa::Width::W64};
    subtract.kind = static_cast<u8>(isa::AluOp::Sub);
    increment.kind = static_cast<u8>(isa::AluOp::Add);
    increment.imm = 1;
    ir::Program program;
    program.insns = {mov(2, 1),
                     mov(7, 1),
                     map,
                     lookup,
                     none,
                     mov(6, 0),
                     array,
                     mov(2, 7),
                     lookup,
                     subtract,
                     mov(0, 6),
                     increment,
                     {.form = isa::Form::Exit}};
    for (const spec::MapType each : {type, spec::MapType::Array}) {
        program.maps.push_back({.name = {},
                                .type = each,
                                .key_size = 4,
                                .value_size = value_size,
                                .max_entries = entries,
                                .initial = {}});
    }
    EXPECT_TRUE(ir::resolve_control_flow(program));
    return program;
}

TEST(AArch64, LooksUpInArrays) {
    for (const u32 entries : {1u, 2u, 4096u, 70000u, 0x7FFF'FFFFu, ~u32{0}}) {
        for (const u32 size : {1u, 8u, 12u, 24u, 4096u, 70000u, 0x7FFF'FFF8u}) {
            const ir::Program program = distance_program(entries, size);
            ir::Facts facts;
            facts.insns.assign(program.insns.size(), {.reachable = true});
            facts.insns[3].constant_map = 0;
            facts.insns[8].constant_map = 1;
            facts.insns[8].constant_key = true;
            const u64 origin = entries > 1 ? 1 : 0;
            facts.insns[8].key = static_cast<u32>(origin);
            const auto output = jit::compile(program, facts, kEmulatedTarget);
            ASSERT_TRUE(output);
            ASSERT_TRUE(code::validate(output->view(0)));
            for (const u32 key : {0u, 1u, 2u, 4095u, 69999u, 70000u, 0x7FFF'FFFEu, ~u32{0}}) {
                std::array<u32, 2> memory{key, ~u32{0}};
                const auto r0 =
                    AArch64Engine::run(*output, std::as_writable_bytes(std::span(memory)));
                ASSERT_TRUE(r0);
                const u64 stride = (u64{size} + 7) / 8 * 8;
                EXPECT_EQ(*r0, key < entries ? (key - origin) * stride + 1 : 0)
                    << entries << " " << size;
            }
        }
    }
}

TEST(AArch64, LooksUpInPercpuArrays) {
    for (const u32 entries : {1u, 3u, 70000u}) {
        for (const bool constant : {false, true}) {
            const ir::Program program = distance_program(entries, 12, spec::MapType::PercpuArray);
            ir::Facts facts;
            facts.insns.assign(program.insns.size(), {.reachable = true});
            facts.insns[3].constant_map = 0;
            facts.insns[8].constant_map = 1;
            facts.insns[8].constant_key = true;  // 0
            facts.insns[3].constant_key = constant;
            facts.insns[3].key = entries - 1;
            const auto output = jit::compile(program, facts, kEmulatedTarget);
            ASSERT_TRUE(output);
            ASSERT_TRUE(code::validate(output->view(0)));
            for (const u32 key : {0u, entries - 1, entries, ~u32{0}}) {
                if (constant && key != entries - 1) continue;
                std::array<u32, 2> memory{key, ~u32{0}};
                const auto r0 =
                    AArch64Engine::run(*output, std::as_writable_bytes(std::span(memory)));
                ASSERT_TRUE(r0);
                const u64 block = (u64{entries} * 16 + 63) / 64 * 64;
                EXPECT_EQ(*r0, key < entries ? kEmulatedSlot * block + key * 16 + 1 : 0);
            }
        }
    }
}

// r0 = lookup(map 0, r1).
ir::Program lookup_program(spec::MapType type) {
    ir::Program program;
    program.insns = {
        mov(2, 1),
        {.form = isa::Form::Wide, .kind = static_cast<u8>(isa::WideKind::MapIndex), .dst = 1},
        {.form = isa::Form::Call, .imm = static_cast<i64>(spec::Helper::map_lookup_elem)},
        {.form = isa::Form::Exit}};
    program.maps.push_back({.name = {},
                            .type = type,
                            .key_size = 4,
                            .value_size = 4,
                            .max_entries = kEmulatedObjects - 1,
                            .initial = {}});
    EXPECT_TRUE(ir::resolve_control_flow(program));
    return program;
}

ir::Facts facts_of_lookup() {
    ir::Facts facts;
    facts.insns.assign(4, {.reachable = true});
    facts.insns[2].constant_map = 0;
    return facts;
}

TEST(AArch64, LoadsFromArraysOfMaps) {
    const ir::Program program = lookup_program(spec::MapType::ArrayOfMaps);
    auto output = jit::compile(program, facts_of_lookup(), kEmulatedTarget);
    ASSERT_TRUE(output);
    ASSERT_TRUE(code::validate(output->view(0)));
    output->text.resize((output->text.size() + 7) / 8 * 8);
    constexpr u64 kWords[] = {kEmulatedObjects - 1, 0, 1022, 1033};  // the last is not in it
    const Bytes words = std::as_bytes(std::span(kWords));
    output->text.insert(output->text.end(), words.begin(), words.end());
    for (const u32 key : {0u, 1u, 2u, 0x8000'0000u, ~u32{0}}) {
        std::array<u32, 2> memory{key, ~u32{0}};
        const auto r0 = AArch64Engine::run(*output, std::as_writable_bytes(std::span(memory)));
        ASSERT_TRUE(r0);
        EXPECT_EQ(*r0, key == 1 ? 1022u : 0u) << key;
    }
}

TEST(AArch64, CallsTheMapsOwnLookup) {
    const ir::Program program = lookup_program(spec::MapType::Hash);
    for (const jit::Options& options :
         {jit::Options{}, jit::Options{.level = jit::Level::Optimise},
          jit::Options{.blind_constants = true, .blinding_seed = 5}}) {
        const auto output = jit::compile(program, facts_of_lookup(), kEmulatedTarget, options);
        ASSERT_TRUE(output);
        ASSERT_TRUE(code::validate(output->view(0)));
        std::array<u32, 2> memory{};
        const Helpers helpers = {
            {0, [](u64 map, u64 key, u64 slot, u64, u64, code::Invocation*) -> u64 {
                 return map == 0 && key != 0 ? 500 + slot : 0;
             }}};
        const auto r0 =
            AArch64Engine::run(*output, std::as_writable_bytes(std::span(memory)), helpers);
        ASSERT_TRUE(r0);
        EXPECT_EQ(*r0, 500 + kEmulatedSlot);
    }
}

// However much stands between a check and its slow way, jumps reach it.
TEST(AArch64, ChecksProgramsOfAnySize) {
    const Insn add{.form = isa::Form::Atomic,
                   .kind = static_cast<u8>(isa::AtomicOp::FetchAdd),
                   .width = isa::Width::W64,
                   .dst = 1,
                   .src = 2,
                   .off = 0};
    for (const std::size_t count : {100u, 4990u, 5001u, 20'000u}) {
        ir::Program program;
        program.insns.assign(count, add);
        program.insns.push_back(mov(0, 2));
        program.insns.push_back({.form = isa::Form::Exit});
        ASSERT_TRUE(ir::resolve_control_flow(program));
        const auto output = jit::compile(program, {}, kEmulatedTarget,
                                         {.metered = true,
                                          .cancellable = true,
                                          .blind_constants = true,
                                          .blinding_seed = 7,
                                          .checked = true});
        ASSERT_TRUE(output) << count;
        std::array<u64, 1> memory{1};  // and 8, 1, 9, 10, 19, ... of r2 and it
        const auto end =
            emulate(*output, std::as_writable_bytes(std::span(memory)), {}, {.checked = true});
        ASSERT_TRUE(end);
        u64 number = 8, there = 1;
        for (std::size_t i = 0; i < count; ++i) number = std::exchange(there, there + number);
        EXPECT_EQ(end->fault, 0u);
        EXPECT_EQ(end->r0, number);
        EXPECT_EQ(memory[0], there);
    }
}

// A program's entry, by jit::entry_thunk in front of it: the literal that holds the entry's address
// is filled in by the emulator.
jit::Output behind_thunk(const jit::Output& program, const code::Invocation& initial) {
    const u64 magic = 0x5EED'0123'4567'89AB;
    const auto thunk =
        jit::entry_thunk(initial, reinterpret_cast<const void*>(magic), kEmulatedTarget);
    EXPECT_TRUE(thunk);
    jit::Output both = program;
    const Bytes wanted = std::as_bytes(std::span(&magic, 1));
    const auto found = std::ranges::search(thunk->text, wanted);
    EXPECT_FALSE(found.empty());
    both.text = thunk->text;
    both.text.resize((both.text.size() + 15) / 16 * 16);
    const auto base = static_cast<u32>(both.text.size());
    both.text.insert(both.text.end(), program.text.begin(), program.text.end());
    for (code::Relocation& r : both.relocations) r.offset += base;
    both.relocations.push_back({.offset = static_cast<u32>(found.begin() - thunk->text.begin()),
                                .kind = code::RelocKind::Function64,
                                .addend = base + program.entry});
    both.entry = 0;
    return both;
}

TEST(AArch64, IsEnteredAsAFunction) {
    Insn load{.form = isa::Form::Load, .width = isa::Width::W64, .dst = 0, .src = 1, .off = 8};
    Insn add = mov(0, 2), call{.form = isa::Form::Call, .imm = code::kCustomHelper};
    add.kind = static_cast<u8>(isa::AluOp::Add);
    ir::Program program;
    program.insns = {mov(6, 1), mov(7, 2), call, mov(1, 6),
                     mov(2, 7), load,      add,  {.form = isa::Form::Exit}};
    ASSERT_TRUE(ir::resolve_control_flow(program));
    const auto output = jit::compile(program, {}, kEmulatedTarget, {.metered = true});
    ASSERT_TRUE(output);
    const Helpers helpers = {
        {0, [](u64, u64, u64, u64, u64, code::Invocation*) -> u64 { return 1; }}};
    for (const u64 fuel : {~u64{0}, u64{100}, u64{7}}) {
        code::Invocation initial;
        initial.fuel = fuel;
        initial.runtime = reinterpret_cast<void*>(0x1234'5678'9ABC'DEF0);
        std::array<u64, 4> memory{1, 1000, 2, 3};
        const auto end = emulate(behind_thunk(*output, initial),
                                 std::as_writable_bytes(std::span(memory)), helpers, {.fuel = 5});
        ASSERT_TRUE(end);
        EXPECT_EQ(end->r0, fuel > 7 ? 1000 + sizeof memory : 0) << fuel;
        EXPECT_EQ(end->fuel, 5u) << "the thunk's own invocation is used";
    }
}

// The 16 bits that each instruction puts into a register.
std::vector<u32> constants_in(const jit::Output& output) {
    std::vector<u32> constants;
    for (std::size_t at = 0; at + 4 <= output.text.size(); at += 4) {
        u32 word = 0;
        std::memcpy(&word, output.text.data() + at, sizeof word);
        if ((word & 0x1F80'0000) == 0x1280'0000) constants.push_back(word >> 5 & 0xFFFF);
    }
    return constants;
}

TEST(AArch64, BlindsConstants) {
    constexpr i64 kConstant = 0x1234'5ABC;
    const auto with_imm = [](isa::Form form, u8 kind) {
        return Insn{.form = form, .kind = kind, .width = isa::Width::W64, .imm = kConstant};
    };
    ir::Program program;
    for (const isa::AluOp op : {isa::AluOp::Mov, isa::AluOp::Add, isa::AluOp::And, isa::AluOp::Mul})
        program.insns.push_back(with_imm(isa::Form::AluImm, static_cast<u8>(op)));
    Insn store = with_imm(isa::Form::StoreImm, 0), jump = with_imm(isa::Form::JmpImm, 0);
    store.dst = isa::kFramePointer;
    store.off = -8;
    jump.off = 2;  // over a two-slot instruction
    program.insns.insert(program.insns.end(),
                         {store, jump, with_imm(isa::Form::Wide, 0), {.form = isa::Form::Exit}});
    ASSERT_TRUE(ir::resolve_control_flow(program));
    for (const bool blinded : {false, true}) {
        const auto output = jit::compile(program, {}, kEmulatedTarget,
                                         {.blind_constants = blinded, .blinding_seed = 0x5EED});
        ASSERT_TRUE(output);
        u32 found = 0;
        for (const u32 constant : constants_in(*output))
            found += constant == (kConstant & 0xFFFF) || constant == kConstant >> 16;
        EXPECT_EQ(found != 0, !blinded) << found;
    }
}

const bool kRegistered =
    register_engine(std::make_unique<AArch64Engine>("jit_aarch64", jit::Options{})) &&
    register_engine(std::make_unique<AArch64Engine>("jit_aarch64_optimised",
                                                    jit::Options{.level = jit::Level::Optimise})) &&
    register_engine(std::make_unique<AArch64Engine>(
        "jit_aarch64_limited", jit::Options{.metered = true, .cancellable = true})) &&
    register_engine(
        std::make_unique<AArch64Engine>("jit_aarch64_checked", jit::Options{.checked = true})) &&
    register_engine(std::make_unique<AArch64Engine>(
        "jit_aarch64_blinded",
        jit::Options{.blind_constants = true, .blinding_seed = 0x1234'5678'9abc'def0}));

}  // namespace
}  // namespace ebpf::engines
