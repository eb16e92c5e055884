// SPDX-License-Identifier: MIT
//
// Conditional jumps. Both ways are followed unless one is impossible; then the operands' ranges
// decided it, and they are marked as needed. What the outcome teaches is given to every copy of the
// operands.
#include "verifier/analyzer.hpp"
#include "verifier/planted.hpp"

namespace ebpf::verifier {

using isa::Cond;

namespace {

bool is_packet_start(const Reg& r) {
    return r.kind == Kind::Packet && r.id == 0 && r.off == 0 && r.num.is_constant() &&
           r.num.value() == 0;
}

// p is compared with the end of the memory that it points into.
bool is_bounds_check(const Reg& p, const Reg& end) {
    return (p.kind == Kind::Packet && end.kind == Kind::PacketEnd) ||
           (p.kind == Kind::PacketMeta && is_packet_start(end));
}

}  // namespace

// A program whose context has no bytes may be entered with null for it (casement/vm.h).
bool Analyzer::is_empty_context(const Reg& r) const {
    return r.kind == Kind::Context && environment_.type->context.native_size == 0;
}

// Whether the operands allow the outcome.
bool Analyzer::possible(const isa::Insn& i, const Reg& dst, const Reg& src, bool taken) const {
    if (!dst.is_scalar() || !src.is_scalar()) return true;
    if (i.form == isa::Form::JmpReg && i.dst == i.src && i.cond() != Cond::Set) {
        const bool always = i.cond() == Cond::Eq || i.cond() == Cond::Ge || i.cond() == Cond::Le ||
                            i.cond() == Cond::SGe || i.cond() == Cond::SLe;
        return always == taken;
    }
    Scalar a = dst.num, b = src.num;
    return refine(i.cond(), i.width, taken, a, b);
}

// Applies a possible outcome to `s`.
void Analyzer::refine_branch(State& s, const isa::Insn& i, bool taken) {
    Reg& dst = s.reg(i.dst);
    const Reg constant = Reg::constant(static_cast<u64>(i.imm));
    const bool by_register = i.form == isa::Form::JmpReg;
    const Reg src = by_register ? s.reg(i.src) : constant;
    if (dst.is_scalar() && src.is_scalar()) {
        if (by_register && i.dst == i.src) return;
        Scalar a = dst.num, b = src.num;
        if (!refine(i.cond(), i.width, taken, a, b)) return;
        const Reg dst_before = dst;
        if (!(a == dst.num)) {
            dst.num = a;
            dst.need = needs_.combine(dst.need, src.need);
            spread_scalar(s, dst_before, Reg(dst));
        }
        if (by_register && !(b == src.num) && !planted(311)) {
            Reg& other = s.reg(i.src);
            other.num = other.num.intersect(b);  // the copies may have been told already
            if (other.num.empty()) other.num = b;
            other.need = needs_.combine(other.need, dst_before.need);
            spread_scalar(s, src, Reg(other));
        }
        keep_range(s, s.reg(i.dst));
        learn_related(s, dst_before);
        learn_length(s, Reg(s.reg(i.dst)));
        learn_lengths(s, dst_before);
        if (!by_register) return;
        keep_range(s, s.reg(i.src));
        learn_related(s, src);
        note_order(s, i, taken);
        learn_length(s, Reg(s.reg(i.src)));
        learn_lengths(s, src);
        learn_order(s, i, taken);
        return;
    }
    refine_pointer(s, i, dst, src, taken);
}

void Analyzer::set_null(State& s, const Reg& pointer, bool null) {
    // A view of a socket that is null says nothing about the socket.
    const u32 id = pointer.id, ref = pointer.is_borrowed() ? 0 : pointer.ref;
    s.for_each([&](const Reg& r) { return r.nullable && (r.id == id || planted(111)); },
               [&](Reg& r) {
                   if (null) {
                       r = Reg::constant(0);
                   } else {
                       r.nullable = false;
                       // Which value it is decides which lock.
                       if (r.kind != Kind::MapValue || map(r.index).spin_lock_offset < 0) r.id = 0;
                   }
               });
    if (null && ref != 0) std::erase(s.refs, ref);
}

// What a comparison of pointers teaches: nullness, and bytes of the packet that are there.
void Analyzer::refine_pointer(State& s, const isa::Insn& i, const Reg& dst_now, const Reg& src_now,
                              bool taken) {
    if (!i.is64()) return;
    Reg p = dst_now, end = src_now;
    Cond cond = i.cond();
    if ((cond == Cond::Eq || cond == Cond::Ne) && p.nullable && end.is_constant() &&
        end.num.value() == 0) {
        set_null(s, p, (cond == Cond::Eq) == taken);
        return;
    }
    if (!is_bounds_check(p, end)) {
        if (!is_bounds_check(end, p) || planted(310)) return;
        std::swap(p, end);
        cond = isa::mirrored(cond);
    }
    bool below = false, at_most = false;
    switch (cond) {
        case Cond::Gt:
            at_most = !taken || planted(211);
            break;
        case Cond::Ge:
            below = !taken;
            break;
        case Cond::Lt:
            below = taken;
            break;
        case Cond::Le:
            at_most = taken;
            break;
        case Cond::Eq:
            at_most = taken;
            break;
        case Cond::Ne:
            at_most = !taken;
            break;
        case Cond::SGt:
        case Cond::SGe:
        case Cond::SLt:
        case Cond::SLe:
        case Cond::Set:
            break;
    }
    // A pointer so far from the start might have wrapped around the address space.
    if (p.off < 0 || p.num.smin() < 0 || p.num.smax() + p.off > 2 * kMaxPacketSize) return;
    const i64 proven = i64{p.off} + (below ? 1 : 0) + (planted(210) ? 2 : 0);
    if (!below && !at_most) return;
    const i64 most = kMaxPacketSize - p.off;
    s.for_each(
        [&](const Reg& r) {
            return r.kind == p.kind && r.id == p.id &&
                   (r.reach() < proven || (p.id != 0 && r.num.smax() > most));
        },
        [&](Reg& r) {
            r.set_reach(std::max(r.reach(), proven));
            if (p.id == 0 || r.num.smax() <= most) return;
            r.num = r.num.intersect(Scalar::of_signed_range(0, std::max<i64>(most, 0)));
        });
    note_in_packet(s, p, proven);
    learn_parts(s, p, proven);
}

void Analyzer::note_ways(bool jumps, bool falls_through) {
    ir::InsnFacts& fact = facts_.insns[now_.pc];
    fact.may_jump |= jumps;
    fact.may_fall_through |= falls_through;
}

Step Analyzer::branch(const isa::Insn& i) {
    const bool by_register = i.form == isa::Form::JmpReg;
    if (!readable(i.dst) || (by_register && !readable(i.src))) return Step::Failed;
    const Reg dst = reg(i.dst);
    const Reg src = by_register ? reg(i.src) : Reg::constant(static_cast<u64>(i.imm));
    const u32 target = program_.target[now_.pc], next = now_.pc + 1;
    branch_at_ = now_.pc;

    if (!dst.is_scalar() || !src.is_scalar()) {
        const bool equality = i.cond() == Cond::Eq || i.cond() == Cond::Ne;
        const bool with_zero =
            i.is64() && equality && dst.is_pointer() && src.is_constant() && src.num.value() == 0;
        // An address is never null (but a context without bytes has none); what arithmetic made of
        // it might be, far from any memory.
        const bool moved = dst.off != 0 || !dst.num.is_constant() || dst.num.value() != 0;
        if (with_zero && !dst.nullable && !moved && !is_empty_context(dst)) {
            need(src);
            note_ways(i.cond() == Cond::Ne, i.cond() != Cond::Ne);
            now_.pc = i.cond() == Cond::Ne ? target : next;
            return Step::Continue;
        }
        const bool bounds = i.is64() && (is_bounds_check(dst, src) || is_bounds_check(src, dst));
        if (with_zero && by_register) need(src);
        if (!with_zero && !bounds && !may_leak()) {
            reject(DiagnosticCode::PointerCompare,
                   std::string(name(dst.kind)) + " (" + to_string(dst) + ") is compared with " +
                       name(src.kind) + " (" + to_string(src) + ")");
            return Step::Failed;
        }
    }

    const bool taken_possible = possible(i, dst, src, true),
               not_possible = possible(i, dst, src, false);
    if (taken_possible != not_possible) {
        // The ranges decided it; what they exclude need not be followed for states like this one.
        if (!planted(110)) need(dst);
        need(src);
        refine_branch(now_, i, taken_possible);
        note_ways(taken_possible, not_possible);
        now_.pc = taken_possible ? target : next;
        return Step::Continue;
    }
    note_ways(true, true);
    State& other = other_;
    other = now_;
    other.pc = target;
    now_.pc = next;
    if (taken_possible) {  // else nothing fits, which says nothing: both ways without refinement
        if (!planted(313)) refine_branch(other, i, true);
        if (!planted(312)) refine_branch(now_, i, false);
    }
    // Round a loop before out of it: what follows is looked at when the loop is closed, and nothing
    // of the loop has to be kept meanwhile.
    if (target <= now_.pc) std::swap(now_, other);
    push(other);
    other.frames.clear();  // their stacks are shared for no longer than need be
    return Step::Continue;
}

}  // namespace ebpf::verifier
