// SPDX-License-Identifier: MIT
#include "interpreter/interpreter.hpp"
#include "isa/insn.hpp"
#include "plugin.hpp"

namespace ebpf::plugin {
namespace {

constexpr u64 kFuel = 1'000'000'000;  // about two seconds

// Numbers in the program are those of our helpers, not of the runtime's.
Result<std::vector<code::Relocation>> helper_calls(Bytes slots) {
    TRY_ASSIGN(const u32 count, interpreter::relocations_of(slots, {}));
    std::vector<code::Relocation> relocations(count);
    TRY(interpreter::relocations_of(slots, relocations));
    for (code::Relocation& r : relocations) {
        if (r.kind == code::RelocKind::Helper64) r.index |= code::kCustomHelper;
    }
    return relocations;
}

Status reason(const code::Invocation& invocation) {
    TRY(code::fault_status(invocation.fault));
    if (unwound_in_subprogram()) return fail(Errc::Unsupported, {}, "unwinding from a subprogram");
    return {};
}

}  // namespace

Result<u64> run_interpreter(Bytes slots, MutableBytes memory) {
    const code::EngineOps& engine = interpreter::kEngine;
    TRY_ASSIGN(const auto relocations, helper_calls(slots));
    code::CodeView view;
    view.text = slots;
    view.relocations = relocations;
    TRY_ASSIGN(const u64 size, engine.prepared_size(view));
    struct alignas(16) Block {
        std::byte bytes[16];
    };
    std::vector<Block> prepared(size / sizeof(Block) + 1);
    TRY(engine.prepare(view, helper_resolver(), std::as_writable_bytes(std::span(prepared))));

    code::Invocation invocation;
    invocation.fuel = kFuel;
    void* const r1 = memory.empty() ? nullptr : memory.data();
    const u64 r0 = engine.run(prepared.data(), r1, memory.size(), &invocation);
    TRY(reason(invocation));
    return r0;
}

}  // namespace ebpf::plugin
