// SPDX-License-Identifier: MIT
#include "jit/a64/compiler.hpp"

#include <algorithm>

namespace ebpf::jit::a64 {

using code::Fault;
using code::Invocation;

namespace {
constexpr u32 kExpectedWords = 2;  // of an instruction
constexpr u32 kFarFrom = 12'000;   // instructions, from which conditions may not reach
constexpr u32 kCheckedFarFrom = 5'000;
constexpr u32 kCheckBytes = 256;  // stack of ask_bounds() and of whom it calls
constexpr u32 kStubBytes = 64;    // stack of a callback thunk or an entry stub, at most
constexpr u32 kPair = 16;
constexpr u32 kWord = 8;
constexpr RegSet kUnsetAtEntry = isa::kCallArgs & ~(reg_set(1) | reg_set(2));
}  // namespace

Compiler::Compiler(const ir::Program& program, const ir::Facts& facts, const Target& target,
                   const Options& options, const Analysis& analysis)
    : Lowering(program, facts, options, analysis),
      target_(target),
      a_(own_label(kOwnLabels), kExpectedWords * insn_count_,
         insn_count_ > (options.checked ? kCheckedFarFrom : kFarFrom)),
      resident_saved_(function_count_) {}

std::vector<RegSet> spare_registers(const Analysis& analysis) {
    std::vector<RegSet> spare;
    spare.reserve(analysis.functions.size());
    for (const Function& f : analysis.functions)
        spare.push_back(f.calls ? RegSet{0}
                                : static_cast<RegSet>(((1u << kSpareCount) - 1) << kSpare));
    return spare;
}

Result<Output> Compiler::run() {
    // Eight bytes that callers which check types of functions may read; see the x86-64 compiler.
    a_.put(op::kBrk);
    a_.put(op::kBrk);
    for (u32 f = 0; f < function_count_; ++f) TRY(compile_function(f));
    a_.bind(own_label(kFunctionsEnd));
    for (u32 f = 0; f < function_count_; ++f) {
        if (analysis_.functions[f].is_callback) callback_thunk(f);
    }
    if (analysis_.entry_is_called) entry_stub();
    if (options_.checked) ask_bounds();
    if (analysis_.indexed_calls) helper_table();
    return finish();
}

Compiler::Saved Compiler::saved(u32 function) const {
    const Function& f = analysis_.functions[function];
    Saved s;
    const auto add = [&](Gpr r) { s.reg[s.count++] = r; };
    for (isa::Reg r = 6; r <= 9; ++r) {
        if (options_.checked || (f.written & reg_set(r)) != 0) add(kReg[r]);
    }
    for_resident_saved(function, s);
    if (is_entry(function) && uses_invocation_) add(kInvocation);
    if (s.count % 2 != 0) add(kZero);
    return s;
}

u32 Compiler::native_bytes(u32 function) const {
    const Function& f = analysis_.functions[function];
    return (links(function) ? kPair : 0) + saved(function).count / 2 * kPair + f.frame_bytes +
           frame_record(function) + kPair;
}

void Compiler::begin_frame() {
    stretches_.push_back({a_.here(), a_.here(), static_cast<u32>(steps_.size())});
}

void Compiler::note(FrameStep::Kind kind, Gpr r, u32 bytes) {
    if (target_.unwind != UnwindFormat::None) steps_.push_back({kind, r, bytes, a_.here()});
}

void Compiler::push(Gpr a, Gpr b) {
    a_.push_pair(a, b);
    for (const Gpr r : {b, a}) {
        if (r == kZero) {
            note(FrameStep::Kind::Grow, 0, kWord);
        } else {
            note(FrameStep::Kind::Push, r);
        }
    }
}

void Compiler::pop(Gpr a, Gpr b) {
    a_.pop_pair(a, b);
    for (const Gpr r : {a, b}) {
        if (r == kZero) {
            note(FrameStep::Kind::Shrink, 0, kWord);
        } else {
            note(FrameStep::Kind::Pop, r);
        }
    }
}

void Compiler::grow_stack(u32 bytes) {
    if (bytes == 0) return;
    a_.rri12(op::kSubImm, Width::W64, kSp, kSp, bytes);
    note(FrameStep::Kind::Grow, 0, bytes);
}

void Compiler::shrink_stack(u32 bytes) {
    if (bytes == 0) return;
    a_.rri12(op::kAddImm, Width::W64, kSp, kSp, bytes);
    note(FrameStep::Kind::Shrink, 0, bytes);
}

// What follows a way out has the frame that was there before it.
void Compiler::leave() {
    a_.put(op::kRet);
    note(FrameStep::Kind::Recall);
}

code::UnwindData Compiler::write_unwind(std::vector<std::byte>& text) const {
    std::vector<FrameHistory> functions;
    functions.reserve(stretches_.size());
    for (std::size_t i = 0; i < stretches_.size(); ++i) {
        const Stretch& s = stretches_[i];
        const std::size_t end =
            i + 1 < stretches_.size() ? stretches_[i + 1].first_step : steps_.size();
        functions.push_back(
            {s.begin, s.end, std::span(steps_).subspan(s.first_step, end - s.first_step)});
    }
    return append_unwind(target_, functions, text);
}

void Compiler::prologue(u32 function) {
    const u32 frame = analysis_.functions[function].frame_bytes + frame_record(function);
    if (links(function)) {
        push(kFp, kLr);
        a_.rri12(op::kAddImm, Width::W64, kFp, kSp, 0);
    }
    const Saved s = saved(function);
    for (u32 i = 0; i < s.count; i += 2) push(s.reg[i], s.reg[i + 1]);
    if (is_entry(function)) take_invocation();
    grow_stack(frame);
    if (options_.checked) open_checked_frame(function);
    clear_registers(isa::kCalleeSaved | reg_set(0));
    if (is_entry(function)) clear_registers(kUnsetAtEntry);
    if (!is_entry(function) && analysis_.count_frames) count_frame();
}

void Compiler::epilogue(u32 function, Gpr result) {
    const u32 frame = analysis_.functions[function].frame_bytes + frame_record(function);
    close_checked_frame(function);
    note(FrameStep::Kind::Remember);
    shrink_stack(frame);
    if (is_entry(function)) {
        put_frames_back();
        if (result != kResult) a_.mov(Width::W64, kResult, result);
    } else if (analysis_.count_frames) {
        load_field(Width::W32, kTemp, offsetof(Invocation, frames));
        a_.rri12(op::kSubImm, Width::W32, kTemp, kTemp, 1);
        store_field(Width::W32, kTemp, offsetof(Invocation, frames));
    }
    const Saved s = saved(function);
    for (u32 i = s.count; i > 0; i -= 2) pop(s.reg[i - 2], s.reg[i - 1]);
    if (links(function)) pop(kFp, kLr);
    leave();
}

// Frames are those of one program: the entry begins to count and puts the invoker's count back.
void Compiler::take_invocation() {
    if (!uses_invocation_) return;
    a_.mov(Width::W64, kInvocation, kEntryInvocationArg);
    if (!analysis_.count_frames) return;
    load_field(Width::W32, kTemp, offsetof(Invocation, frames));
    a_.push_pair(kTemp, kZero);
    note(FrameStep::Kind::Grow, 0, kPair);
    a_.mov_imm(kTemp, analysis_.entry_is_called ? 0 : 1);
    store_field(Width::W32, kTemp, offsetof(Invocation, frames));
}

void Compiler::put_frames_back() {
    if (!analysis_.count_frames) return;
    a_.pop_pair(kTemp, kZero);
    note(FrameStep::Kind::Shrink, 0, kPair);
    store_field(Width::W32, kTemp, offsetof(Invocation, frames));
}

// The way in where function 0 is one that the program calls.
void Compiler::entry_stub() {
    a_.bind(own_label(kEntry));
    begin_frame();
    push(kFp, kLr);
    if (uses_invocation_) push(kInvocation, kZero);
    take_invocation();
    clear_registers(kUnsetAtEntry);
    a_.call(function_label(0));
    note(FrameStep::Kind::Remember);
    put_frames_back();
    a_.mov(Width::W64, kResult, kReg[0]);
    if (uses_invocation_) pop(kInvocation, kZero);
    pop(kFp, kLr);
    leave();
    end_frame();
}

// What a helper calls with a HelperFn's arguments; r1 to r5 are in place.
void Compiler::callback_thunk(u32 function) {
    a_.bind(thunk_label(function));
    begin_frame();
    push(kFp, kLr);
    if (uses_invocation_) {
        push(kInvocation, kZero);
        a_.mov(Width::W64, kInvocation, kInvocationArg);
    }
    a_.call(function_label(function));
    note(FrameStep::Kind::Remember);
    a_.mov(Width::W64, kResult, kReg[0]);
    if (uses_invocation_) pop(kInvocation, kZero);
    pop(kFp, kLr);
    leave();
    end_frame();
}

Status Compiler::compile_function(u32 function) {
    function_ = function;
    faults_ = 0;
    a_.bind(function_label(function));
    begin_frame();
    plan_residents(function);
    values_.set_frame(analysis_.functions[function].frame_bytes);
    prologue(function);
    set_residents();
    const ir::Subprogram& s = program_.subprograms[function];
    bool in_dead_code = false;
    for (u32 at = s.begin; at < s.end;) {
        u32 count = 1;
        if (at == s.begin || analysis_.is_target[at]) {
            values_.settle();
            values_.forget_bits();
        }
        a_.bind(at);
        if (analysis_.reachable[at]) {
            in_dead_code = false;
            if (options_.can_end_early() && starts_block(at)) check_block(at);
            left_out_ = 0;
            TRY_ASSIGN(count, lower(at));
            values_.drop_dead();
            count += left_out_;
            for (u32 i = 1; i < count; ++i) a_.bind(at + i);
        } else if (!in_dead_code || analysis_.is_target[at]) {
            in_dead_code = true;
            a_.put(op::kBrk);  // the proof says that nobody comes here
        }
        at += count;
    }
    slow_checks(function);
    fault_exits(function);
    end_frame();
    return {};
}

// --- limits; guards.cpp of x86-64 says what they are ---------------------------------------------

void Compiler::fault_exits(u32 function) {
    if (faults_ == 0) return;
    for (u32 fault = 1; fault < kFaults; ++fault) {
        if ((faults_ >> fault & 1) == 0) continue;
        a_.bind(fault_label(function, fault));
        if (fault == static_cast<u32>(Fault::OutOfFuel))
            store_field(Width::W64, kZero, offsetof(Invocation, fuel));
        a_.mov_imm(kTemp, fault);
        store_field(Width::W64, kTemp, offsetof(Invocation, fault));
        a_.jump(Cc::Always, fault_label(function, 0));
    }
    a_.bind(fault_label(function, 0));
    a_.mov_imm(kReg[0], 0);
    epilogue(function, kReg[0]);
}

void Compiler::check_fault() {
    if (!may_end_early_) return;
    load_field(Width::W64, kTemp, offsetof(Invocation, fault));
    a_.jump_if_zero(Width::W64, false, kTemp, fault_exit(Fault::None));
}

void Compiler::count_frame() {
    load_field(Width::W32, kTemp, offsetof(Invocation, frames));
    a_.rri12(op::kAddImm, Width::W32, kTemp, kTemp, 1);
    store_field(Width::W32, kTemp, offsetof(Invocation, frames));
    a_.rri12(op::kSubsImm, Width::W32, kZero, kTemp, isa::kMaxCallDepth);
    a_.jump(Cc::Hi, fault_exit(Fault::CallTooDeep));
}

void Compiler::check_block(u32 at) {
    if (options_.cancellable) {
        load_field(Width::W64, kTemp, offsetof(Invocation, cancel));
        a_.access(Access::Load, Width::W32, kTemp, kTemp, 0, kTemp2);
        a_.jump_if_zero(Width::W32, false, kTemp, fault_exit(Fault::Cancelled));
    }
    if (!options_.metered) return;
    load_field(Width::W64, kTemp, offsetof(Invocation, fuel));
    a_.mov_imm(kTemp2, block_length(at));
    a_.rrr(op::kSubs, Width::W64, kTemp, kTemp, kTemp2);
    store_field(Width::W64, kTemp, offsetof(Invocation, fuel));
    a_.jump(Cc::Lo, fault_exit(Fault::OutOfFuel));
}

void Compiler::helper_table() {
    if (a_.here() % 8 != 0) a_.put(op::kBrk);
    a_.bind(own_label(kHelperTable));
    for (u32 i = 0; i < code::kRegisterHelpers; ++i) {
        table_.push_back({.offset = a_.here(),
                          .kind = code::RelocKind::HelperOrNull64,
                          .index = code::kCustomHelper | i});
        a_.put(0);
        a_.put(0);
    }
}

Result<Output> Compiler::finish() {
    Output out;
    out.relocations = std::move(table_);
    TRY_ASSIGN(out.text, a_.layout(out.relocations));
    std::ranges::sort(out.relocations, {}, &code::Relocation::offset);
    out.cpu = code::Cpu::AArch64;
    out.entry = a_.label_offset(is_entry(0) ? function_label(0) : own_label(kEntry));
    std::vector<u32> bytes(function_count_);
    for (u32 f = 0; f < function_count_; ++f) bytes[f] = native_bytes(f);
    out.stack_bytes = deepest_chain(bytes, kStubBytes, kStubBytes);
    if (options_.checked) out.stack_bytes += kCheckBytes;
    out.map_count = static_cast<u32>(program_.maps.size());
    out.insn_offset.resize(insn_count_);
    for (u32 i = 0; i < insn_count_; ++i) out.insn_offset[i] = a_.label_offset(i);
    for (u32 f = 0; f < function_count_; ++f)
        out.function_offset.push_back(a_.label_offset(function_label(f)));
    out.function_offset.push_back(a_.label_offset(own_label(kFunctionsEnd)));
    out.unwind = write_unwind(out.text);
    return out;
}

}  // namespace ebpf::jit::a64
