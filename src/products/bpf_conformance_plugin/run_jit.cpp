// SPDX-License-Identifier: MIT
#include "ir/program.hpp"
#include "jit/jit.hpp"
#include "platform/memory.hpp"
#include "plugin.hpp"

#include <cstring>

namespace ebpf::plugin {
namespace {

// Clang's undefined-behaviour sanitizer looks for a function's type in the bytes before it, and
// there are none before generated code.
#if defined(__clang__)
__attribute__((no_sanitize("function")))
#endif
u64 enter(code::EntryFn entry, MutableBytes memory, code::Invocation* invocation) {
    void* const r1 = memory.empty() ? nullptr : memory.data();
    return entry(r1, memory.size(), invocation);
}

}  // namespace

bool has_jit() {
    return jit::Target::host().cpu == code::Cpu::X86_64;
}

Result<u64> run_jit(Bytes slots, MutableBytes memory, jit::Level level) {
    TRY_ASSIGN(ir::Program program, ir::decode_program(slots));
    for (isa::Insn& insn : program.insns) {
        const bool helper = insn.form == isa::Form::Call && insn.call() == isa::CallKind::Helper;
        if (helper) insn.imm |= code::kCustomHelper;
    }
    TRY_ASSIGN(const jit::Output output,
               jit::compile(program, {}, jit::Target::host(), {.level = level}));
    const code::CodeView view = output.view(0);
    TRY(code::validate(view));

    TRY_ASSIGN(platform::CodePages pages, platform::CodePages::create(view.text.size()));
    const MutableBytes text = pages.writable().first(view.text.size());
    std::memcpy(text.data(), view.text.data(), text.size());
    TRY(code::relocate(text, view.relocations, helper_resolver()));
    TRY(pages.seal());
    pages.register_unwind(0, view.unwind.offset, view.unwind.size);

    code::Invocation invocation;
    const auto* entry = static_cast<const std::byte*>(pages.address()) + view.entry;
    const u64 r0 =
        enter(reinterpret_cast<code::EntryFn>(reinterpret_cast<u64>(entry)), memory, &invocation);
    // Compiled code asks after real tail calls only, so that it went on.
    if (invocation.tail_pending != nullptr || unwound_in_subprogram()) {
        return fail(Errc::Unsupported, {}, "ending the program from a helper");
    }
    return r0;
}

}  // namespace ebpf::plugin
