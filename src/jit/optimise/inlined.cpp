// SPDX-License-Identifier: MIT
//
// Small functions, and those that are called once, stand where they were called: arguments are in
// r1 to r5 and the result in r0 already, so that nothing is left of the call but a jump where the
// function returns before its end.
//
//     call f            r0 = r1
//     ...               r0 += r2
//     f: r0 = r1        ...
//     r0 += r2
//     exit
//
// A function gives r6 to r9 back: it may have them where its caller does not want them, or others
// of the four instead. It has a frame of its own: it may have its caller's where that has none.
// What calls on from its own frame, or ends more than itself, is left alone, and so is everything
// where frames are counted.
#include <algorithm>
#include <array>
#include <bit>
#include <numeric>
#include <optional>

#include "jit/optimise/passes.hpp"

namespace ebpf::jit::pass {

using isa::CallKind;
using isa::Form;
using isa::Insn;
using isa::Reg;

namespace {

constexpr u32 kSmall = 24, kOnce = 256;  // instructions

bool is_local_call(const Insn& insn) {
    return insn.form == Form::Call && insn.call() == CallKind::Local;
}
bool is_function(const Insn& insn) {
    return insn.form == Form::Wide && insn.wide() == isa::WideKind::Function;
}

// An instruction of a function that is put together.
struct Piece {
    u32 from = 0;  // in the program as it was
    Insn insn{};
    u32 target = ir::kNoTarget;  // of a jump: in the function; of others: as it was
    u32 place = 0;
};

struct Body {
    std::vector<Piece> pieces;
    RegSet used = 0, written = 0;
    u32 stack_used = 0;
    bool has_frame = false;
    bool can_be_inlined = false;
    bool was_inlined = false;
};

using Renaming = std::array<Reg, kRegisters>;

class Inliner {
  public:
    Inliner(Optimised& code, const Analysis& analysis, const Options& options)
        : code_(code),
          analysis_(analysis),
          options_(options),
          bodies_(code.program.subprograms.size()),
          calls_(bodies_.size()),
          left_(kGrowth * static_cast<u32>(code.program.insns.size())) {}

    void run() {
        if (analysis_.count_frames || analysis_.recursive || bodies_.size() == 1) return;
        for (const Function& f : analysis_.functions) {
            for (const u32 callee : f.callees) ++calls_[callee];
        }
        for (const u32 f : analysis_.callees_first) build(f);
        const bool any = std::ranges::any_of(bodies_, &Body::was_inlined);
        if (any) put_together();
    }

  private:
    static constexpr u32 kGrowth = 2;  // times the program

    const ir::Program& old() const { return code_.program; }
    const Insn& at(u32 i) const { return old().insns[i]; }
    u32 function_at(u32 insn) const {
        return static_cast<u32>(
            std::ranges::lower_bound(old().subprograms, insn, {}, &ir::Subprogram::begin) -
            old().subprograms.begin());
    }

    void build(u32 f) {
        Body& body = bodies_[f];
        const ir::Subprogram& s = old().subprograms[f];
        const bool own_frame = analysis_.functions[f].uses_frame;
        body.has_frame = own_frame;
        if (!code_.facts.stack_used.empty()) body.stack_used = code_.facts.stack_used[f];
        std::vector<u32> new_index(s.end - s.begin);
        for (u32 i = s.begin; i < s.end; ++i) {
            new_index[i - s.begin] = static_cast<u32>(body.pieces.size());
            if (!put_callee(body, i, own_frame))
                body.pieces.push_back({i, at(i), old().target[i], i});
        }
        for (Piece& piece : body.pieces) {
            const bool own = piece.from >= s.begin && piece.from < s.end;
            if (own && piece.insn.is_jump()) piece.target = new_index[piece.target - s.begin];
        }
        describe(body, f);
    }

    void describe(Body& body, u32 f) const {
        bool stays = f == 0;
        for (const Piece& piece : body.pieces) {
            const Insn& insn = piece.insn;
            const RegUse use = registers_of(insn);
            body.used |= use.reads | use.writes;
            body.written |= use.writes;
            stays |=
                is_local_call(insn) || insn.form == Form::LegacyLoad ||
                (insn.form == Form::Call && insn.imm == static_cast<i64>(spec::Helper::tail_call));
        }
        // What finds something in its caller's registers is no function.
        const RegSet found = live_before(old(), analysis_, old().subprograms[f].begin);
        stays |= (found & isa::kCalleeSaved) != 0;
        const auto size = body.pieces.size();
        body.can_be_inlined = !stays && size <= (calls_[f] == 1 ? kOnce : kSmall);
    }

    // Puts what the call at `i` reaches in its place, if it is one and that can be done.
    bool put_callee(Body& caller, u32 i, bool caller_has_frame) {
        if (!is_local_call(at(i)) || !analysis_.reachable[i]) return false;
        Body& callee = bodies_[function_at(old().target[i])];
        const u32 size = static_cast<u32>(callee.pieces.size());
        if (!callee.can_be_inlined || size > left_) return false;
        if (callee.has_frame && caller_has_frame && !PLANTED(InlinedSharesFrames)) return false;
        const auto renaming = rename(callee, analysis_.live_after[i]);
        if (!renaming) return false;
        left_ -= size;
        callee.was_inlined = true;
        caller.has_frame |= callee.has_frame;
        caller.stack_used = std::max(caller.stack_used, callee.stack_used);
        put(caller, callee, *renaming, i);
        return true;
    }

    // Registers for those that the callee gives back and the caller wants.
    std::optional<Renaming> rename(const Body& callee, RegSet wanted) const {
        Renaming renaming;
        std::iota(renaming.begin(), renaming.end(), Reg{0});
        if (PLANTED(InlinedForgetsSaved)) return renaming;
        u32 taken = static_cast<u32>(callee.written & wanted & isa::kCalleeSaved);
        u32 others = isa::kCalleeSaved & ~static_cast<u32>(wanted | callee.used);
        for (; taken != 0; taken &= taken - 1, others &= others - 1) {
            if (others == 0) return {};
            renaming[static_cast<u32>(std::countr_zero(taken))] =
                static_cast<Reg>(std::countr_zero(others));
        }
        return renaming;
    }

    void put(Body& caller, const Body& callee, const Renaming& renaming, u32 call) {
        const u32 first = static_cast<u32>(caller.pieces.size());
        const u32 size = static_cast<u32>(callee.pieces.size());
        const bool returns_last = callee.pieces.back().insn.form == Form::Exit;
        const u32 behind = first + size - (returns_last ? 1 : 0);
        for (u32 i = 0; i + (returns_last ? 1 : 0) < size; ++i) {
            Piece piece = callee.pieces[i];
            piece.place = call;
            piece.insn.dst = renaming[piece.insn.dst];
            piece.insn.src = renaming[piece.insn.src];
            if (piece.insn.is_jump()) piece.target += first;
            if (piece.insn.form == Form::Exit && !PLANTED(InlinedEndsTheCaller)) {
                piece.insn = {.form = Form::Ja};
                piece.target = behind;
            }
            caller.pieces.push_back(piece);
        }
    }

    // Functions that are still called or handed out.
    std::vector<u8> needed() const {
        std::vector<u8> needed(bodies_.size());
        needed[0] = 1;
        for (u32 n = 0; n < bodies_.size(); ++n) {
            const u32 f = analysis_.callees_first[bodies_.size() - 1 - n];
            if (!bodies_[f].was_inlined) needed[f] = 1;
            if (!needed[f]) continue;
            for (const Piece& piece : bodies_[f].pieces) {
                if (is_local_call(piece.insn) || is_function(piece.insn))
                    needed[function_at(piece.target)] = 1;
            }
        }
        return needed;
    }

    void put_together() {
        const std::vector<u8> needed = this->needed();
        Optimised out;
        std::vector<u32> begins;
        for (u32 f = 0; f < bodies_.size(); ++f) {
            Body& body = bodies_[f];
            begins.push_back(static_cast<u32>(out.program.insns.size()));
            if (!needed[f]) leave_stub(body, old().subprograms[f].end - 1);
            for (const Piece& piece : body.pieces) put(out, piece, begins.back());
        }
        for (u32 i = 0; i < out.program.insns.size(); ++i) {
            u32& target = out.program.target[i];
            if (target != ir::kNoTarget && !out.program.insns[i].is_jump())
                target = begins[function_at(target)];
        }
        out.program.slot_of.push_back(old().slot_of.back());
        replace(out, begins);
    }

    // A function has to be there; nobody comes to it.
    static void leave_stub(Body& body, u32 last) {
        body.pieces = {{last, {.form = Form::Exit}, ir::kNoTarget, last}};
    }

    void put(Optimised& out, const Piece& piece, u32 begin) const {
        out.program.insns.push_back(piece.insn);
        out.program.target.push_back(piece.insn.is_jump() ? piece.target + begin : piece.target);
        out.program.slot_of.push_back(old().slot_of[piece.from]);
        out.origin.push_back(code_.origin[piece.from]);
        out.place.push_back(code_.place[piece.place]);
        if (!code_.facts.insns.empty()) out.facts.insns.push_back(code_.facts.insns[piece.from]);
    }

    void replace(Optimised& out, const std::vector<u32>& begins) {
        ir::Program& p = code_.program;
        p.insns = std::move(out.program.insns);
        p.target = std::move(out.program.target);
        p.slot_of = std::move(out.program.slot_of);
        code_.facts.insns = std::move(out.facts.insns);
        code_.origin = std::move(out.origin);
        code_.place = std::move(out.place);
        for (u32 f = 0; f < begins.size(); ++f) {
            p.subprograms[f].begin = begins[f];
            p.subprograms[f].end =
                f + 1 < begins.size() ? begins[f + 1] : static_cast<u32>(p.insns.size());
            if (!code_.facts.stack_used.empty()) code_.facts.stack_used[f] = bodies_[f].stack_used;
        }
    }

    Optimised& code_;
    const Analysis& analysis_;
    [[maybe_unused]] const Options& options_;
    std::vector<Body> bodies_;
    std::vector<u32> calls_;  // of each function
    u32 left_;                // instructions by which the program may still grow
};

}  // namespace

void inlined(Optimised& code, const Analysis& analysis, const Options& options) {
    Inliner(code, analysis, options).run();
}

}  // namespace ebpf::jit::pass
