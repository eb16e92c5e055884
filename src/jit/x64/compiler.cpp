// SPDX-License-Identifier: MIT
#include "jit/x64/compiler.hpp"

#include <algorithm>
#include <cstddef>

namespace ebpf::jit::x64 {

using isa::Form;
using isa::Insn;

namespace {
// Code for one instruction is about this long; the buffer grows when it is not.
constexpr u32 kExpectedBytes = 6;
constexpr int kBeforeEntry = 8;
constexpr u32 kShortLoop = 200;  // instructions; where a longer one starts matters little
constexpr u32 kWord = 8;
constexpr u32 kCheckBytes = 128;  // of ask_bounds() and whom it calls directly
constexpr u32 kThunkBytes = 32;   // a callback thunk's return address and what it saves
constexpr u32 kEntryBytes = 64;   // an entry stub's, likewise
constexpr isa::Reg kFirstSaved = 6;
constexpr isa::Reg kLastSaved = 9;
}  // namespace

Compiler::Compiler(const ir::Program& program, const ir::Facts& facts, const Target& target,
                   const Options& options, const Analysis& analysis)
    : Lowering(program, facts, options, analysis),
      target_(target),
      abi_(target.convention == CallingConvention::WindowsX64 ? kWindowsX64 : kSystemV),
      a_(own_label(kOwnLabels), kExpectedBytes * insn_count_),
      frames_(function_count_) {}

Result<Output> Compiler::run() {
    // Callers whose compiler checks the types of indirect calls (Clang's function sanitizer, XFG)
    // read the eight bytes before an entry, which must be there and say nothing.
    for (int i = 0; i < kBeforeEntry; ++i) a_.int3();
    for (u32 f = 0; f < function_count_; ++f) TRY(compile_function(f));
    a_.code.bind(own_label(kFunctionsEnd));
    a_.code.bind(own_label(kEnd));
    for (u32 f = 0; f < function_count_; ++f) {
        if (analysis_.functions[f].is_callback) callback_thunk(f);
    }
    if (analysis_.entry_is_called) entry_stub();
    detours();
    if (options_.checked) ask_bounds();
    if (options_.safe_indirect_calls) retpoline();
    if (analysis_.indexed_calls) helper_table();
    return finish();
}

bool Compiler::live_after(Gpr r) const {
    const auto owner = std::ranges::find(abi_.reg, r);
    if (owner == abi_.reg.end()) return false;
    return analysis_.live_after[at_] >> (owner - abi_.reg.begin()) & 1;
}

void Compiler::relocate(Place place, code::RelocKind kind, u32 index, u32 addend) {
    relocations_.push_back({place, {0, kind, {}, index, addend}});
}

// The registers that `function` pushes, in that order.
template <typename Visit>
void Compiler::for_saved(u32 function, Visit visit) const {
    const Function& f = analysis_.functions[function];
    if (f.uses_frame) visit(reg(isa::kFramePointer));
    for (isa::Reg r = kFirstSaved; r <= kLastSaved; ++r) {
        if (PLANTED(R9IsNotSaved) && r == 9 && !is_entry(function)) continue;
        if (options_.checked || (f.written & reg_set(r))) visit(reg(r));
    }
    if (is_entry(function)) for_borrowed(visit);
}

// What the program uses of its invoker's, but for r6 to r10.
template <typename Visit>
void Compiler::for_borrowed(Visit visit) const {
    if (uses_invocation_) visit(kInvocation);
    for (isa::Reg r = 0; r < kFirstSaved; ++r) {
        if (analysis_.written & abi_.borrowed & reg_set(r)) visit(reg(r));
    }
    const RegSet spare = options_.blind_constants ? reg_set(kBlinded) : analysis_.written;
    for (u32 r = kSpare; r < kRegisters; ++r) {
        const auto number = static_cast<isa::Reg>(r);
        if (spare & abi_.borrowed & reg_set(number)) visit(reg(number));
    }
}

void Compiler::plan_frame(u32 function) {
    const Function& f = analysis_.functions[function];
    Frame& frame = frames_[function];
    for_saved(function, [&](Gpr) { ++frame.pushes; });
    if (analysis_.count_frames && is_entry(function)) ++frame.pushes;
    frame.adjust = f.frame_bytes + below_stack(function);
    if (f.calls || options_.checked || frame.adjust != 0) frame.adjust += frame.native_bytes() % 16;
}

u32 Compiler::below_stack(u32 function) const {
    const Function& f = analysis_.functions[function];
    const u32 record = options_.checked && f.uses_frame ? kFrameRecord : 0;
    return (f.calls || options_.checked ? abi_.outgoing : 0) + record;
}

void Compiler::begin_frame() {
    const Place here = a_.code.here();
    stretches_.push_back({here, here, static_cast<u32>(steps_.size())});
}

void Compiler::note(FrameStep::Kind kind, Gpr r, u32 bytes) {
    if (target_.unwind == UnwindFormat::None) return;
    steps_.push_back({a_.code.here(), {kind, static_cast<u8>(r), bytes}});
}

void Compiler::push(Gpr r) {
    a_.push(r);
    note(FrameStep::Kind::Push, r);
}

void Compiler::pop(Gpr r) {
    a_.pop(r);
    note(FrameStep::Kind::Pop, r);
}

void Compiler::grow_stack(u32 bytes) {
    if (bytes == 0) return;
    a_.arith(Arith::Sub, Width::W64, Gpr::Rsp, static_cast<i32>(bytes));
    note(FrameStep::Kind::Grow, {}, bytes);
}

void Compiler::shrink_stack(u32 bytes) {
    if (bytes == 0) return;
    a_.arith(Arith::Add, Width::W64, Gpr::Rsp, static_cast<i32>(bytes));
    note(FrameStep::Kind::Shrink, {}, bytes);
}

// What follows a way out has the frame that was there before it.
void Compiler::leave() {
    a_.ret();
    note(FrameStep::Kind::Recall);
}

// The same way to a program that takes this one's place. With the prefix Windows' unwinder knows
// the jump for the end of a function.
void Compiler::leave_to(Gpr entry) {
    if (options_.safe_indirect_calls) {
        a_.code.jump(Cc::Always, own_label(kRetpoline));
    } else {
        a_.unary(op::kJumpIndirect, Width::W64, entry);
    }
    note(FrameStep::Kind::Recall);
}

void Compiler::prologue(u32 function) {
    const Function& f = analysis_.functions[function];
    for_saved(function, [&](Gpr r) { push(r); });
    const Frame& frame = frames_[function];
    if (is_entry(function)) take_invocation();
    grow_stack(frame.adjust);
    if (f.uses_frame) {
        const u32 top = f.frame_bytes + below_stack(function);
        a_.lea(Width::W64, reg(isa::kFramePointer), {Gpr::Rsp, static_cast<i32>(top)});
    }
    if (is_entry(function)) take_arguments();
    if (options_.checked) {
        open_checked_frame(function);
        clear_registers(isa::kCalleeSaved | reg_set(0));
    }
    if (!is_entry(function) && analysis_.count_frames) count_frame();
}

// Frames are those of one program: the entry begins to count them and puts the invoker's back.
void Compiler::take_invocation() {
    if (!uses_invocation_) return;
    a_.mov(Width::W64, kInvocation, abi_.entry_arg[2]);
    if (!analysis_.count_frames) return;
    a_.push(field(offsetof(code::Invocation, frames)));
    note(FrameStep::Kind::Grow, {}, kWord);
    a_.store_imm(Width::W32, field(offsetof(code::Invocation, frames)),
                 analysis_.entry_is_called ? 0 : 1);
}

void Compiler::take_arguments() {
    // Neither convention's moves overwrite an argument that is still to be moved.
    for (isa::Reg r = 1; r <= 2; ++r) {
        const Gpr from = abi_.entry_arg[r - 1u];
        if (from != reg(r)) a_.mov(Width::W64, reg(r), from);
    }
    if (options_.checked) clear_registers(isa::kCallArgs & ~(reg_set(1) | reg_set(2)));
}

// The way in where function 0 is one that the program calls.
void Compiler::entry_stub() {
    a_.code.reserve();
    a_.code.bind(own_label(kEntry));
    begin_frame();
    Gpr saved[16];
    u32 n = 0;
    for_borrowed([&](Gpr r) {
        push(r);
        saved[n++] = r;
    });
    take_invocation();
    const u32 pushed = n + (analysis_.count_frames ? 1 : 0);
    const u32 pad = (8 + 8 * pushed) % 16;
    grow_stack(pad);
    take_arguments();
    a_.code.jump(Cc::Call, function_label(0));
    note(FrameStep::Kind::Remember);
    shrink_stack(pad);
    if (analysis_.count_frames) drop_frame_count();
    while (n > 0) pop(saved[--n]);
    leave();
    end_frame();
}

// The invoker's count of frames goes back to where take_invocation() found it.
void Compiler::drop_frame_count() {
    a_.pop(field(offsetof(code::Invocation, frames)));
    note(FrameStep::Kind::Shrink, {}, kWord);
}

void Compiler::epilogue(u32 function) {
    take_down_frame(function);
    leave();
}

void Compiler::take_down_frame(u32 function) {
    close_checked_frame(function);
    note(FrameStep::Kind::Remember);
    shrink_stack(frames_[function].adjust);
    if (analysis_.count_frames) {
        if (is_entry(function)) {
            drop_frame_count();
        } else {
            a_.arith(Arith::Sub, Width::W32, field(offsetof(code::Invocation, frames)), 1);
        }
    }
    Gpr saved[16];
    u32 n = 0;
    for_saved(function, [&](Gpr r) { saved[n++] = r; });
    while (n > 0) pop(saved[--n]);
}

Status Compiler::compile_function(u32 function) {
    function_ = function;
    faults_ = 0;
    plan_frame(function);
    a_.code.reserve();
    a_.code.bind(function_label(function));
    begin_frame();
    prologue(function);
    const ir::Subprogram& s = program_.subprograms[function];
    bool in_dead_code = false;
    for (u32 at = s.begin; at < s.end;) {
        a_.code.reserve();
        u32 count = 1;
        const u32 round_end = analysis_.round_end[at];
        if (round_end != 0 && round_end - at < kShortLoop) a_.code.start_loop(behind(round_end));
        a_.code.bind(at);
        if (analysis_.reachable[at]) {
            in_dead_code = false;
            if (options_.can_end_early() && starts_block(at)) check_block(at);
            left_out_ = 0;
            TRY_ASSIGN(count, lower(at));
            count += left_out_;
            for (u32 i = 1; i < count; ++i) a_.code.bind(at + i);
        } else if (!in_dead_code || analysis_.is_target[at]) {
            in_dead_code = true;
            a_.ud2();  // the proof says that nobody comes here
        }
        at += count;
    }
    slow_checks(function);
    fault_exits(function);
    end_frame();
    return {};
}

// What a helper calls with a HelperFn's arguments: moves them to where the subprogram wants them.
void Compiler::callback_thunk(u32 function) {
    a_.code.reserve();
    a_.code.bind(thunk_label(function));
    begin_frame();
    u32 pushed = 0;
    const auto save = [&](Gpr r) {
        push(r);
        ++pushed;
    };
    if (uses_invocation_) save(kInvocation);
    for (isa::Reg r = 0; r <= kBlinded; ++r) {
        if (abi_.borrowed & reg_set(r)) save(reg(r));
    }
    const u32 pad = (8 + 8 * pushed) % 16;
    grow_stack(pad);
    const u32 below_args = pad + 8 * pushed + 8;
    for (int i = 0; i < kHelperArgs; ++i) {
        const bool is_invocation = i == kHelperArgs - 1;
        if (is_invocation && !uses_invocation_) break;
        const Gpr to = is_invocation ? kInvocation : reg(static_cast<isa::Reg>(i + 1));
        const Gpr from = abi_.helper_arg[static_cast<u32>(i)];
        if (from == Gpr::None) {
            a_.load(Width::W64, to, {Gpr::Rsp, static_cast<i32>(below_args) + 8 * i});
        } else if (from != to) {
            a_.mov(Width::W64, to, from);
        }
    }
    a_.code.jump(Cc::Call, function_label(function));
    note(FrameStep::Kind::Remember);
    shrink_stack(pad);
    for (isa::Reg r = kBlinded + 1; r-- > 0;) {
        if (abi_.borrowed & reg_set(r)) pop(reg(r));
    }
    if (uses_invocation_) pop(kInvocation);
    leave();
    end_frame();
}

code::UnwindData Compiler::write_unwind(std::vector<std::byte>& text) const {
    if (target_.unwind == UnwindFormat::None) return {};
    std::vector<FrameStep> steps;
    for (const PendingStep& pending : steps_) {
        steps.push_back(pending.step);
        steps.back().at = a_.code.offset(pending.place);
    }
    std::vector<FrameHistory> functions;
    for (std::size_t i = 0; i < stretches_.size(); ++i) {
        const Stretch& s = stretches_[i];
        const std::size_t end =
            i + 1 < stretches_.size() ? stretches_[i + 1].first_step : steps.size();
        functions.push_back({a_.code.offset(s.begin), a_.code.offset(s.end),
                             std::span(steps).subspan(s.first_step, end - s.first_step)});
    }
    return append_unwind(target_, functions, text);
}

Result<Output> Compiler::finish() {
    Output out;
    TRY_ASSIGN(out.text, a_.code.layout());
    out.cpu = code::Cpu::X86_64;
    out.entry = a_.code.label_offset(is_entry(0) ? function_label(0) : own_label(kEntry));
    std::vector<u32> bytes(function_count_);
    std::ranges::transform(frames_, bytes.begin(), &Frame::native_bytes);
    out.stack_bytes = deepest_chain(bytes, kThunkBytes, kEntryBytes);
    if (options_.checked) out.stack_bytes += kCheckBytes;
    out.map_count = static_cast<u32>(program_.maps.size());
    out.relocations.reserve(relocations_.size());
    for (const PendingRelocation& pending : relocations_) {
        code::Relocation& r = out.relocations.emplace_back(pending.relocation);
        r.offset = a_.code.offset(pending.place);
        if (r.kind == code::RelocKind::Function64) {
            r.addend = a_.code.label_offset(r.addend);
        }
    }
    out.insn_offset.resize(insn_count_);
    for (u32 i = 0; i < insn_count_; ++i) out.insn_offset[i] = a_.code.label_offset(i);
    for (u32 f = 0; f < function_count_; ++f)
        out.function_offset.push_back(a_.code.label_offset(function_label(f)));
    out.function_offset.push_back(a_.code.label_offset(own_label(kFunctionsEnd)));
    out.unwind = write_unwind(out.text);
    return out;
}

// Sequences first: each starts with an instruction of a few kinds only.
u32 Compiler::lower_sequence(u32 at) {
    const Insn& insn = program_.insns[at];
    const bool alu = insn.form == Form::AluReg || insn.form == Form::AluImm;
    if (!alu && insn.form != Form::Load) return 0;
    if (alu && insn.alu() != isa::AluOp::Mov && insn.alu() != isa::AluOp::Lsh &&
        insn.alu() != isa::AluOp::Add) {
        return 0;
    }
    const Sequence s{program_, analysis_, at, program_.subprograms[function_].end};
    if (const auto e = match_extension(s)) {
        at_ = at + e->count - 1;
        lower_extension(*e);
        return e->count;
    }
    if (const auto r = match_rotation(s)) {
        at_ = at + r->count - 1;
        lower_rotation(*r);
        return r->count;
    }
    if (options_.checked) return 0;  // each access is checked by itself
    if (const auto a = match_address(s)) {
        at_ = at + a->count - 1;
        lower_address(*a);
        return a->count;
    }
    return 0;
}

Result<u32> Compiler::lower(u32 at) {
    if (!options_.blind_constants) {
        if (const u32 count = lower_sequence(at)) return count;
    }
    at_ = at;
    const Insn& insn = program_.insns[at];
    const u32 target = program_.target[at];
    if (options_.checked) check_access(insn);
    if (options_.blind_constants && lower_blinded(insn, target)) return 1;
    switch (insn.form) {
        case Form::AluReg:
            lower_alu_reg(insn);
            break;
        case Form::AluImm:
            lower_alu_imm(insn);
            break;
        case Form::Neg:
            a_.unary(op::kNeg, insn.width, reg(insn.dst));
            break;
        case Form::MovSx:
            lower_movsx(insn);
            break;
        case Form::Endian:
            lower_endian(insn);
            break;
        case Form::Load:
        case Form::LoadSx:
            lower_access(insn, memory(insn.src, insn.off));
            break;
        case Form::StoreReg:
        case Form::StoreImm:
            lower_access(insn, memory(insn.dst, insn.off));
            break;
        case Form::Atomic:
            lower_atomic(insn);
            break;
        case Form::JmpReg:
        case Form::JmpImm:
        case Form::MayGoto:
        case Form::Ja:
            lower_jump(insn, target);
            break;
        case Form::Call:
            TRY(lower_call(insn, target));
            break;
        case Form::CallReg:
            TRY(lower_call_reg(insn));
            break;
        case Form::Exit:
            epilogue(function_);
            break;
        case Form::Wide:
            TRY(lower_wide(insn, target));
            break;
        case Form::LegacyLoad:
            return unsupported("legacy packet load");
    }
    return 1;
}

}  // namespace ebpf::jit::x64
