// SPDX-License-Identifier: MIT
#include "interpreter/interpreter.hpp"
#include "isa/codec.hpp"
#include "plugin.hpp"

namespace ebpf::plugin {
namespace {

constexpr u64 kFuel = 1'000'000'000;  // about two seconds

Result<std::vector<code::Relocation>> helper_calls(Bytes slots) {
    std::vector<code::Relocation> calls;
    for (u32 pc = 0; pc < slots.size() / sizeof(isa::Slot);) {
        TRY_ASSIGN(const isa::Insn insn, isa::decode(slots, pc));
        if (insn.form == isa::Form::Call && insn.call() == isa::CallKind::Helper) {
            calls.push_back({.offset = pc * u32{sizeof(isa::Slot)},
                             .kind = code::RelocKind::Helper64,
                             .index = code::kCustomHelper | static_cast<u32>(insn.imm)});
        }
        pc += static_cast<u32>(insn.slots());
    }
    return calls;
}

Status reason(const code::Invocation& invocation) {
    switch (static_cast<interpreter::Fault>(invocation.fault)) {
        case interpreter::Fault::None:
            break;
        case interpreter::Fault::OutOfFuel:
            return fail(Errc::Timeout, {}, "instructions", kFuel);
        case interpreter::Fault::CallTooDeep:
            return fail(Errc::TooLarge, {}, "call depth", isa::kMaxCallDepth);
        case interpreter::Fault::BadHelper:
            return fail(Errc::UnresolvedSymbol, {}, "helper in a register");
    }
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
