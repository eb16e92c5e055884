// SPDX-License-Identifier: MIT
//
// Subprograms and callbacks. A subprogram is analysed in its caller's state, with a frame of its
// own; the caller's frames stay reachable through pointers that were passed. A callback runs any
// number of times: after each run the path both leaves the helper and enters the callback again,
// and that is closed like a loop, except that the helper, not a counter, bounds it.
#include "spec/attach_types.hpp"
#include "verifier/analyzer.hpp"
#include "verifier/planted.hpp"

namespace ebpf::verifier {

using isa::CallKind;

void Analyzer::clobber_after_call(State& s) {
    for (isa::Reg r = 1; r <= 5; ++r) {
        s.reg(r) = Reg{};
        s.reg(r).lost = Lost::Call;
        s.reg(r).index = now_.pc;
    }
    if (planted(303)) s.reg(9) = Reg{};
}

Step Analyzer::call(const isa::Insn& i) {
    switch (i.call()) {
        case CallKind::Helper:
            return call_helper(static_cast<u32>(i.imm));
        case CallKind::Local:
            return call_local(i);
        case CallKind::Kfunc:
            return call_kfunc(i);
    }
    return Step::Failed;
}

Step Analyzer::call_local(const isa::Insn&) {
    if (now_.lock.held) {
        reject(DiagnosticCode::LockRegion, "a function is called while a spin lock is held",
               {"call it before bpf_spin_lock() or after bpf_spin_unlock()"});
        return Step::Failed;
    }
    return enter(program_.target[now_.pc], now_.pc + 1, -1) ? Step::Continue : Step::Failed;
}

// Pushes a frame whose arguments are r1 to r5 of the current one.
bool Analyzer::enter(u32 target, u32 return_to, i32 callback_of) {
    if (now_.frames.size() >= isa::kMaxCallDepth) {
        return reject(DiagnosticCode::CallDepth,
                      "this call would be frame " + std::to_string(now_.frames.size() + 1) +
                          " of a chain; " + std::to_string(isa::kMaxCallDepth) + " are possible");
    }
    Frame frame;
    frame.subprogram = program_.subprogram_at(target);
    frame.return_to = return_to;
    frame.callback_of = callback_of;
    frame.stack = std::make_shared<Stack>(cell_bytes_);
    if (planted(214)) frame.stack->set_init(0, isa::kStackSize);
    for (isa::Reg r = 1; r <= 5; ++r) frame.regs[r] = reg(r);
    if (planted(316)) {
        for (Reg& r : frame.regs) {
            if (r.kind == Kind::Context) r = Reg{};
        }
    }
    frame.regs[isa::kFramePointer] = Reg::pointer(Kind::Stack);
    frame.regs[isa::kFramePointer].frame = static_cast<u8>(now_.frames.size());
    clobber_after_call(now_);
    reg(0) = Reg{};
    calls_.insert({now_.top().subprogram, frame.subprogram});
    now_.frames.push_back(std::move(frame));
    facts_.max_call_depth = std::max(facts_.max_call_depth, static_cast<u32>(now_.frames.size()));
    // The new frame's stack starts unwritten whatever an earlier call left there.
    auto& written = path_.empty() ? scratch_written_ : path_.back().written;
    written[now_.frames.size() - 1] = {~u64{0}, ~u64{0}};
    now_.pc = target;
    return true;
}

bool Analyzer::return_from_call() {
    const Frame& frame = now_.top();
    const Reg r0 = frame.regs[0];
    const u8 depth = static_cast<u8>(now_.frames.size() - 1);
    if (r0.kind == Kind::Stack && r0.frame == depth) {
        return reject(DiagnosticCode::ReturnPointer,
                      "the function returns a pointer to its own stack");
    }
    const u32 return_to = frame.return_to;
    now_.frames.pop_back();
    reg(0) = r0;
    now_.pc = return_to;
    return true;
}

// The callback's frame ends: the helper either returns or calls it again.
bool Analyzer::return_from_callback() {
    if (!readable(0)) return false;
    const Reg r0 = reg(0);
    if (r0.is_scalar()) need(r0);
    if (!r0.is_scalar() || r0.num.umax() > 1) {
        return reject(DiagnosticCode::BadCallback,
                      "the callback may return " + to_string(r0) + "; it must return 0 or 1");
    }
    const Frame frame = now_.top();
    const u32 at = static_cast<u32>(frame.callback_of);
    now_.frames.pop_back();
    if (now_.refs != frame.callback->refs && !planted(215)) {
        return reject(DiagnosticCode::ReferenceLeak,
                      "the callback ends with other references held than it began with");
    }
    for (const Reg& lent : frame.callback->arguments) {
        if (lent.is_borrowed()) release(lent.ref);
    }
    // Leave the helper ...
    State after = now_;
    after.reg(0) = Reg::scalar(Scalar::unknown(), fresh_id());
    after.pc = frame.return_to;
    push(after);
    // ... or run once more, with the arguments as at first.
    now_.pc = at;
    return enter_callback(*frame.callback, program_.subprograms[frame.subprogram].begin,
                          frame.return_to, at);
}

bool Analyzer::enter_callback(const CallbackRun& run, u32 target, u32 return_to, u32 at) {
    const std::vector<u32> refs = now_.refs;
    for (isa::Reg r = 1; r <= 5; ++r) reg(r) = run.arguments[r - 1u];
    if (!enter(target, return_to, static_cast<i32>(at))) return false;
    Frame& frame = now_.top();
    frame.callback =
        std::make_shared<CallbackRun>(CallbackRun{run.arguments, refs, run.invocation});
    for (isa::Reg r = 1; r <= 5; ++r) {
        // Numbers differ from run to run.
        if (planted(118) && frame.regs[r].is_scalar()) frame.regs[r] = Reg::constant(0);
        if (frame.regs[r].is_scalar() && !frame.regs[r].is_constant())
            frame.regs[r].id = fresh_id();
        if (frame.regs[r].kind == Kind::MapValue) frame.regs[r].id = fresh_id();
    }
    return true;
}

bool Analyzer::legacy_load(const isa::Insn& i) {
    using spec::ProgramType;
    const ProgramType type = environment_.type->type;
    if (type != ProgramType::SocketFilter && type != ProgramType::SchedCls &&
        type != ProgramType::SchedAct) {
        return reject(DiagnosticCode::BadAddress, std::string(environment_.type->name) +
                                                      " programs have no packet for legacy loads");
    }
    if (!readable(6)) return false;
    if (reg(6).kind != Kind::Context || reg(6).off != 0) {
        return reject(DiagnosticCode::HelperArgument,
                      "legacy packet loads need the context in r6, but it is " + to_string(reg(6)));
    }
    if (i.legacy() == isa::LegacyMode::Indirect) {
        if (!readable(i.src)) return false;
        if (!reg(i.src).is_scalar())
            return reject(DiagnosticCode::PointerArithmetic,
                          "the index of a legacy packet load is " + to_string(reg(i.src)));
    }
    if (now_.lock.held) {
        return reject(DiagnosticCode::LockRegion,
                      "a legacy packet load may end the program while a spin lock is held");
    }
    // A load beyond the packet ends the program with 0.
    if (!now_.refs.empty()) {
        return reject(DiagnosticCode::ReferenceLeak,
                      "a legacy packet load may end the program while references are held");
    }
    const spec::ReturnRange range = spec::return_range(*environment_.type, program_.attach);
    if (range.checked && (range.min > 0 || range.max < 0)) {
        return reject(
            DiagnosticCode::ReturnValue,
            "a legacy packet load may end the program with 0, which its type does not allow");
    }
    clobber_after_call(now_);
    reg(0) = unknown(isa::bytes(i.width));
    return true;
}

}  // namespace ebpf::verifier
