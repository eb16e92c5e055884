// SPDX-License-Identifier: MIT
//
// Tail calls among a few random programs through one prog array, whose slots are partly empty and
// partly interpreted: once with all of them interpreted, once as machine code, which jumps.
#include <cstring>
#include <memory>
#include <random>

#include "differential.hpp"
#include "differential_parts.hpp"
#include "isa/text/text.hpp"
#include "placed.hpp"
#include "spec/helpers.hpp"

namespace ebpf::engines {
namespace {

using code::Invocation;
using jit::CallingConvention;

constexpr u32 kPrograms = 4;
constexpr u32 kSlots = 6;
constexpr u32 kTailCall = static_cast<u32>(spec::Helper::tail_call);
constexpr u32 kWhoRuns = 17;
constexpr u64 kTooMany = 1'000, kNoProgram = 2'000;

// --- programs -----------------------------------------------------------------------------------

class Writer {
  public:
    explicit Writer(u64 seed) : random_(seed) {}

    std::string program() {
        std::vector<std::string> lines = {"r6 = r1", "r7 = 1"};
        if (below(2)) lines.insert(lines.end(), {"r8 = 8", "r9 = 9"});
        if (below(2)) lines.emplace_back("*(u64 *)(r10 - 200) = r7");
        std::size_t call = 0;
        for (u64 n = 1 + below(3); n > 0; --n) {
            if (call == 0 && below(4) == 0) {
                lines.emplace_back("r1 = r6");
                call = lines.size();
                lines.emplace_back();
            } else {
                attempt(lines);
            }
            mix_in(lines);
        }
        end(lines);
        if (call != 0) {
            lines[call] = "call +" + std::to_string(lines.size() - call - 1);
            lines.insert(lines.end(), {"r6 = r1", "r7 = 3"});
            attempt(lines);
            mix_in(lines);
            end(lines);
        }
        std::string text;
        for (const std::string& line : lines) text += line + '\n';
        return text;
    }
    u64 below(u64 n) { return random_() % n; }

  private:
    // The index depends on what has run, and on who runs now.
    void attempt(std::vector<std::string>& lines) {
        lines.push_back("call " + std::to_string(kWhoRuns));
        lines.insert(lines.end(), {"r1 = *(u64 *)(r6 + 0)", "r1 *= 77777", "r1 += r0",
                                   "*(u64 *)(r6 + 0) = r1", "r3 = r1", "r3 >>= 9"});
        lines.push_back(below(2) ? "r3 &= 7" : "r3 &= 3");
        if (below(2)) lines.insert(lines.end(), {"r1 <<= 32", "r3 |= r1"});
        lines.insert(lines.end(), {"r1 = r6", "r2 = 0", "call " + std::to_string(kTailCall)});
    }
    static void mix_in(std::vector<std::string>& lines) {
        lines.insert(lines.end(), {"r7 *= 31", "r7 += r0"});
    }
    void end(std::vector<std::string>& lines) {
        lines.insert(lines.end(), {"r0 = r7", "r0 += " + std::to_string(below(1000)), "exit"});
    }

    std::mt19937_64 random_;
};

// --- what the execution context does ------------------------------------------------------------

struct Program {
    std::byte front[code::kProgramEntry] = {};
    const void* entry = nullptr;  // where compiled code looks for it

    u64 number = 0;
    CallingConvention convention{};
    std::unique_ptr<jit::test::Placed> placed;
    std::unique_ptr<Interpreted> interpreted;
};
static_assert(offsetof(Program, entry) == code::kProgramEntry);

struct Array {
    u64 count = kSlots;
    const Program* slots[kSlots + 1] = {};  // one too many, which nobody may see
};
static_assert(offsetof(Array, slots) + code::kSlotCount == offsetof(Array, count));
Array array;

u64 run_tail(Invocation* invocation);
__attribute__((ms_abi)) u64 windows_run_tail(Invocation* invocation) {
    return run_tail(invocation);
}

// Engines call run_tail by their own convention.
u64 enter(const Program& program, Invocation* invocation) {
    u64 (*outer)(Invocation*) = invocation->run_tail;
    invocation->run_tail = &run_tail;
    if (program.placed != nullptr && program.convention == CallingConvention::WindowsX64)
        invocation->run_tail =
            reinterpret_cast<u64 (*)(Invocation*)>(reinterpret_cast<void*>(&windows_run_tail));
    void* const r1 = invocation->context;
    const u64 r2 = invocation->context_size;
    const u64 r0 = program.placed != nullptr ? program.placed->run(r1, r2, invocation)
                                             : program.interpreted->run(r1, r2, invocation);
    invocation->run_tail = outer;
    return r0;
}

u64 follow(Invocation* invocation, u64 r0) {
    while (const auto* next = static_cast<const Program*>(invocation->tail_pending)) {
        invocation->tail_pending = nullptr;
        invocation->program = next;
        r0 = enter(*next, invocation);
    }
    return r0;
}

u64 run_tail(Invocation* invocation) {
    const void* caller = invocation->program;
    const u64 r0 = follow(invocation, 0);
    invocation->program = caller;
    return r0;
}

u64 tail_call(u64, u64, u64 r3, u64, u64, Invocation* invocation) {
    if (invocation->tail_calls >= code::kMaxTailCalls) return kTooMany;
    const u32 index = static_cast<u32>(r3);
    if (index >= kSlots || array.slots[index] == nullptr) return kNoProgram;
    ++invocation->tail_calls;
    invocation->tail_pending = array.slots[index];
    return 0;
}
u64 who_runs(u64, u64, u64, u64, u64, Invocation* invocation) {
    return static_cast<const Program*>(invocation->program)->number;
}

u64 tail_helper_address(u32 number, CallingConvention convention) {
    const bool tail = (number & ~code::kCustomHelper) == kTailCall;
    if (convention == CallingConvention::WindowsX64)
        return tail ? reinterpret_cast<u64>(&windows<tail_call>)
                    : reinterpret_cast<u64>(&windows<who_runs>);
    return reinterpret_cast<u64>(tail ? &tail_call : &who_runs);
}

// --- both ways ----------------------------------------------------------------------------------

bool interpret(Program& program, Bytes slots) {
    auto prepared = Interpreted::prepare(
        slots, {nullptr, [](void*, code::RelocKind, u32 index, u32) -> Result<u64> {
                    return tail_helper_address(index, CallingConvention::SystemV);
                }});
    if (prepared) program.interpreted = std::make_unique<Interpreted>(std::move(*prepared));
    return prepared.has_value();
}

bool compile(Program& program, Bytes slots, const Variant& variant) {
    Result<ir::Program> ir = ir::decode_program(slots);
    if (!ir) return false;
    ir->maps.resize(1);
    ir->maps[0].type = spec::MapType::ProgArray;
    ir::Facts facts;
    for (const isa::Insn& insn : ir->insns) {
        const bool tail = insn.form == isa::Form::Call && insn.imm == kTailCall &&
                          insn.call() == isa::CallKind::Helper;
        facts.insns.push_back({.reachable = true, .constant_map = tail ? 0 : -1});
    }
    facts.stack_used.assign(ir->subprograms.size(), isa::kStackSize);
    facts.max_call_depth = 2;
    const auto output = jit::compile(*ir, facts, variant.target, variant.options);
    if (!output || !code::validate(output->view(0))) return false;
    const auto convention = variant.target.convention;
    program.convention = convention;
    program.placed =
        std::make_unique<jit::test::Placed>(*output, convention, [&](const code::Relocation& r) {
            return r.kind == code::RelocKind::ObjectSlots64
                       ? reinterpret_cast<u64>(array.slots)
                       : tail_helper_address(r.index, convention);
        });
    program.entry = program.placed->at(output->entry);
    return true;
}

struct Outcome {
    u64 r0 = 0;
    u64 memory = 0;
    u32 calls = 0;
    const void* program = nullptr;
    friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome run(const Program& first, u64 seed) {
    u64 memory[2] = {seed, ~seed};
    Invocation invocation{.context = memory, .context_size = sizeof memory, .program = &first};
    const u64 r0 = follow(&invocation, enter(first, &invocation));
    return {r0, memory[0], invocation.tail_calls, invocation.program};
}

}  // namespace

std::optional<std::string> try_tail_calls(u64 seed, const Variant& variant, u32* calls) {
    Writer writer(seed);
    Program programs[kPrograms];
    array = {};
    for (u32 i = 0; i < kSlots; ++i)
        if (writer.below(8) != 0) array.slots[i] = &programs[writer.below(kPrograms)];
    array.slots[kSlots] = &programs[0];
    std::string text;
    std::vector<std::vector<std::byte>> code;
    for (Program& program : programs) {
        program.number = static_cast<u64>(&program - programs);
        text += writer.program() + "\n";
        const auto slots = isa::text::assemble(text.substr(text.rfind("r6 = r1\nr7 = 1")),
                                               isa::text::Dialect::Llvm);
        if (!slots || !interpret(program, *slots)) return "refused:\n" + text;
        code.push_back(*slots);
    }
    const Outcome expected = run(programs[0], seed);
    for (Program& program : programs) {
        const bool other_engine = program.number != 0 && writer.below(4) == 0;
        if (!other_engine && !compile(program, code[program.number], variant))
            return "refused:\n" + text;
    }
    const Outcome got = run(programs[0], seed);
    if (calls != nullptr) *calls = expected.calls;
    if (expected == got) return {};
    return text + "tail calls: " + std::to_string(expected.calls) + ", " +
           std::to_string(got.calls);
}

}  // namespace ebpf::engines
