// SPDX-License-Identifier: MIT
//
// Random valid programs on the interpreter and the JIT: r0 and memory must agree. The input is not
// a program but what decides how one is made (random_program.hpp): its bytes, eight at a time, are
// seeds, so that every input is a program that may be run.
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "interpreter/interpreter.hpp"
#include "isa/codec.hpp"
#include "isa/text/text.hpp"
#include "jit/jit.hpp"
#include "placed.hpp"
#include "random_program.hpp"

namespace {

using namespace ebpf;

using Memory = std::array<std::byte, engines::kRandomMemory>;

u64 mix(u64 a, u64 b, u64 c, u64 d, u64 e, code::Invocation*) {
    u64 h = 0x9E37'79B9'7F4A'7C15;
    for (const u64 v : {a, b, c, d, e}) h = (h ^ v) * 0xFF51'AFD7'ED55'8CCD + (h >> 29);
    return h;
}

[[noreturn]] void report(const char* what, u64 seed, Bytes slots) {
    std::fprintf(stderr, "%s, seed %llu\n%s\n", what, static_cast<unsigned long long>(seed),
                 isa::text::disassemble(slots, isa::text::Dialect::Llvm).value_or("").c_str());
    std::abort();
}

struct Outcome {
    u64 r0 = 0;
    Memory memory{};
    friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome interpret(u64 seed, Bytes slots, const Memory& memory) {
    std::vector<code::Relocation> relocations;
    for (u32 pc = 0; pc < slots.size() / sizeof(isa::Slot);) {
        const isa::Insn insn = *isa::decode(slots, pc);
        if (insn.form == isa::Form::Call && insn.call() == isa::CallKind::Helper) {
            relocations.push_back({.offset = pc * u32{sizeof(isa::Slot)},
                                   .kind = code::RelocKind::Helper64,
                                   .index = code::kCustomHelper | static_cast<u32>(insn.imm)});
        }
        pc += static_cast<u32>(insn.slots());
    }
    const code::CodeView view{
        .engine = code::EngineKind::Interpreter, .text = slots, .relocations = relocations};
    const code::Resolver resolver{nullptr, [](void*, code::RelocKind, u32, u32) -> Result<u64> {
                                      return reinterpret_cast<u64>(mix);
                                  }};
    struct alignas(16) Block {
        std::byte bytes[16];
    };
    const Result<u64> size = interpreter::kEngine.prepared_size(view);
    if (!size) report("the interpreter refuses", seed, slots);
    std::vector<Block> prepared((*size + 15) / 16);
    if (!interpreter::kEngine.prepare(view, resolver,
                                      std::as_writable_bytes(std::span(prepared)))) {
        report("the interpreter refuses", seed, slots);
    }
    Outcome outcome{.memory = memory};
    code::Invocation invocation;
    outcome.r0 = interpreter::kEngine.run(prepared.data(), outcome.memory.data(), memory.size(),
                                          &invocation);
    return outcome;
}

Outcome run_jit(u64 seed, Bytes slots, const Memory& memory, const jit::Target& target) {
    Result<ir::Program> program = ir::decode_program(slots);
    if (!program) report("ir refuses", seed, slots);
    for (isa::Insn& insn : program->insns) {
        const bool helper = insn.form == isa::Form::Call && insn.call() == isa::CallKind::Helper;
        if (helper) insn.imm |= code::kCustomHelper;
    }
    const auto output = jit::compile(*program, {}, target);
    if (!output) report("the JIT refuses", seed, slots);
    if (!code::validate(output->view(0))) report("invalid code", seed, slots);
    const jit::test::Placed placed(*output, target.convention,
                                   [](const auto&) { return reinterpret_cast<u64>(mix); });
    Outcome outcome{.memory = memory};
    code::Invocation invocation;
    outcome.r0 = placed.run(outcome.memory.data(), memory.size(), &invocation);
    return outcome;
}

void run_seed(u64 seed) {
    std::vector<isa::Slot> slots;
    for (const isa::Insn& insn : engines::random_program(seed)) {
        std::array<isa::Slot, 2> encoded{};
        if (!isa::encode(insn, encoded)) std::abort();
        slots.insert(slots.end(), encoded.begin(), encoded.begin() + insn.slots());
    }
    const Bytes bytes = std::as_bytes(std::span(slots));
    Memory memory;
    for (std::size_t i = 0; i < memory.size(); ++i)
        memory[i] = static_cast<std::byte>(seed * 131 + i * 17);
    const Outcome expected = interpret(seed, bytes, memory);
    for (const bool bmi2 : {false, jit::Target::host().bmi2}) {
        jit::Target target = jit::Target::host();
        target.bmi2 = bmi2;
        if (run_jit(seed, bytes, memory, target) != expected)
            report("interpreter and JIT differ", seed, bytes);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    for (std::size_t at = 0; at < size && at < 8 * 16; at += 8) {
        u64 seed = 0;
        std::memcpy(&seed, data + at, std::min<std::size_t>(8, size - at));
        run_seed(seed);
    }
    return 0;
}
