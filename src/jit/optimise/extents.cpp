// SPDX-License-Identifier: MIT
//
// How many of a register's low bits may be set, on all ways to an instruction. Compilers for BPF
// clear upper halves that are clear, and know little of what they have loaded.
#include <algorithm>
#include <array>
#include <bit>
#include <vector>

#include "jit/optimise/edit.hpp"
#include "jit/optimise/passes.hpp"

namespace ebpf::jit::pass {

using isa::AluOp;
using isa::Cond;
using isa::Form;
using isa::Insn;
using isa::Reg;
using isa::Width;

namespace {

using Extent = u8;  // bits, 0 to 64
using Extents = std::array<Extent, kRegisters>;
constexpr Extent kAny = 64;

constexpr Extent extent_of(u64 value) {
    return static_cast<Extent>(std::bit_width(value));
}
constexpr Extent at_most(Width width, int bits) {
    return static_cast<Extent>(std::clamp(bits, 0, isa::bits(width)));
}

// Of dst after dst = dst op src, where these are the operands' extents. `constant`: src, where it
// is known.
Extent after(AluOp op, Width w, int dst, int src, const u64* constant,
             [[maybe_unused]] const Options& options_) {
    dst = std::min(dst, isa::bits(w));
    src = std::min(src, isa::bits(w));
    const int count =
        constant != nullptr ? static_cast<int>(*constant & static_cast<u64>(isa::bits(w) - 1)) : 0;
    switch (op) {
        case AluOp::Mov:
            return at_most(w, src);
        case AluOp::And:
            return at_most(w, std::min(dst, src));
        case AluOp::Or:
        case AluOp::Xor:
            return at_most(w, std::max(dst, src));
        case AluOp::Add:
            return at_most(w, std::max(dst, src) + (PLANTED(ExtentsForgetCarry) ? 0 : 1));
        case AluOp::Mul:
            return at_most(w, dst + src);
        case AluOp::Lsh:
            return at_most(w, constant != nullptr ? dst + count : isa::bits(w));
        case AluOp::Arsh:
            if (dst == isa::bits(w)) return at_most(w, kAny);
            [[fallthrough]];
        case AluOp::Rsh:
            return at_most(w, dst - count);
        case AluOp::Div:
            return at_most(w, dst);
        case AluOp::Mod:  // by 0, the dividend
            return at_most(w, constant != nullptr && *constant != 0
                                  ? std::min<int>(dst, extent_of(*constant - 1))
                                  : dst);
        case AluOp::Sub:
        case AluOp::SDiv:
        case AluOp::SMod:
            break;
    }
    return at_most(w, kAny);
}

class Narrower {
  public:
    Narrower(Optimised& code, const Analysis& analysis, const Options& options)
        : code_(code), analysis_(analysis), options_(options), edit_(code) {}

    void run() {
        blocks_.assign(code_.program.insns.size(), kNoBlock);
        for (u32 i = 0; i < blocks_.size(); ++i) {
            if (analysis_.is_target[i]) add_block(i);
        }
        for (const ir::Subprogram& s : code_.program.subprograms) {
            if (!settles(s)) continue;
            sweep(s, true);
        }
        edit_.apply();
    }

  private:
    static constexpr u32 kNoBlock = ~0u;
    static constexpr u32 kRounds = 16, kPatience = 3;

    void add_block(u32 at) {
        blocks_[at] = static_cast<u32>(entries_.size());
        entries_.push_back({});
    }

    // What holds where jumps lead grows from round to round; what goes on growing does so in leaps.
    bool settles(const ir::Subprogram& s) {
        for (round_ = 0; round_ < kRounds; ++round_) {
            changed_ = false;
            sweep(s, false);
            if (!changed_) return true;
        }
        return false;
    }

    void sweep(const ir::Subprogram& s, bool rewrite) {
        now_.fill(kAny);
        bool comes = true;  // whether control comes to the instruction from above
        for (u32 i = s.begin; i < s.end; ++i) {
            if (blocks_[i] != kNoBlock) {
                if (comes) join(i, now_);
                comes = entries_[blocks_[i]].seen;
                now_ = entries_[blocks_[i]].extents;
            }
            comes &= analysis_.reachable[i] != 0;
            if (!comes) continue;
            const Insn& insn = code_.program.insns[i];
            if (rewrite) narrow(i);
            if (insn.is_jump()) {
                Extents taken = now_;
                learn(insn, taken);
                join(code_.program.target[i], taken);
            } else {
                step(insn);
            }
            comes = falls_through(insn);
        }
    }

    void join(u32 target, const Extents& from) {
        Entry& entry = entries_[blocks_[target]];
        if (!entry.seen) {
            entry = {true, from};
            changed_ = true;
            return;
        }
        if (PLANTED(ExtentsOfOneWay)) return;
        for (u32 r = 0; r < from.size(); ++r) {
            if (from[r] <= entry.extents[r]) continue;
            entry.extents[r] = round_ < kPatience ? from[r] : leap(from[r]);
            changed_ = true;
        }
    }

    static Extent leap(Extent extent) {
        constexpr int kShortest = 8;
        return static_cast<Extent>(
            std::bit_ceil(static_cast<u32>(std::max<int>(kShortest, extent))));
    }

    // What a comparison says of its registers on the way to its target, and behind it.
    void learn(const Insn& insn, Extents& taken) {
        const bool constant = insn.form == Form::JmpImm;
        if (constant ? insn.imm < 0 : insn.form != Form::JmpReg) return;
        // Half of a register says nothing of the other one.
        const Extent dst = now_[insn.dst];
        const Extent src = constant ? extent_of(static_cast<u64>(insn.imm)) : now_[insn.src];
        if (!insn.is64() && (dst > 32 || src > 32)) return;
        const auto limit = [&](Extents& extents, bool of_dst) {
            if (!of_dst && constant) return;
            Extent& extent = extents[of_dst ? insn.dst : insn.src];
            extent = std::min(extent, of_dst ? src : dst);
        };
        switch (insn.cond()) {
            case Cond::Eq:
                limit(taken, true);
                return limit(taken, false);
            case Cond::Ne:
                limit(now_, true);
                return limit(now_, false);
            case Cond::Lt:
            case Cond::Le:
                limit(taken, true);
                return limit(now_, false);
            case Cond::Gt:
            case Cond::Ge:
                limit(now_, true);
                return limit(taken, false);
            default:
                return;
        }
    }

    void step(const Insn& insn) {
        const RegUse use = registers_of(insn);
        Extent result = kAny;
        switch (insn.form) {
            case Form::AluReg:
                result = after(insn.alu(), insn.width, now_[insn.dst], now_[insn.src], nullptr,
                               options_);
                break;
            case Form::AluImm: {
                const u64 value =
                    insn.is64() ? static_cast<u64>(insn.imm) : static_cast<u32>(insn.imm);
                result = after(insn.alu(), insn.width, now_[insn.dst], extent_of(value), &value,
                               options_);
                break;
            }
            case Form::MovSx:
                result =
                    now_[insn.src] < insn.from_bits ? now_[insn.src] : at_most(insn.width, kAny);
                break;
            case Form::Neg:
            case Form::Endian:
            case Form::Load:
                result = at_most(insn.width, kAny);
                break;
            case Form::Wide:
                if (insn.wide() == isa::WideKind::Imm64)
                    result = extent_of(static_cast<u64>(insn.imm));
                break;
            default:
                break;
        }
        for (RegSet left = use.writes; left != 0; left = static_cast<RegSet>(left & (left - 1)))
            now_[static_cast<u32>(std::countr_zero(left))] = result;
    }

    void narrow(u32 i) {
        Insn& insn = code_.program.insns[i];
        if (edit_.is_removed(i)) return;
        const Extent dst = now_[insn.dst];
        if (insn.form == Form::AluImm && insn.alu() == AluOp::And) {
            const u64 mask = insn.is64() ? static_cast<u64>(insn.imm) : static_cast<u32>(insn.imm);
            if (dst <= std::countr_one(mask)) edit_.remove(i);
        } else if (insn.form == Form::AluReg && insn.alu() == AluOp::Mov) {
            if (now_[insn.src] > 32) return;
            if (insn.dst == insn.src) return edit_.remove(i);
            insn.width = Width::W64;
        } else if (insn.form == Form::MovSx) {
            if (now_[insn.src] < insn.from_bits) to_copy(insn);
        } else if (insn.form == Form::Endian) {
            if (insn.endian() == isa::EndianOp::ToLe && dst <= isa::bits(insn.width))
                edit_.remove(i);
        } else if (insn.form == Form::AluImm && insn.alu() == AluOp::Lsh) {
            leave_out_extension(i);
        } else {
            divide_fewer_bits(insn);
        }
    }

    static void to_copy(Insn& insn) {
        insn = {.form = Form::AluReg,
                .kind = static_cast<u8>(AluOp::Mov),
                .dst = insn.dst,
                .src = insn.src};
    }

    // dst <<= n; dst >>= n
    void leave_out_extension(u32 i) {
        const Insn& up = code_.program.insns[i];
        const u32 next = i + 1;  // in the same function, since none ends with a shift
        const Insn& down = code_.program.insns[next];
        if (!up.is64() || up.imm <= 0 || up.imm >= 64 || blocks_[next] != kNoBlock) return;
        if (down.form != Form::AluImm || down.dst != up.dst || !down.is64() || down.imm != up.imm)
            return;
        const int sign = down.alu() == AluOp::Arsh ? 1 : 0;
        if (sign == 0 && down.alu() != AluOp::Rsh) return;
        if (now_[up.dst] + up.imm + sign > 64) return;
        edit_.remove(i);
        edit_.remove(next);
    }

    void divide_fewer_bits(Insn& insn) {
        if (insn.form != Form::AluReg && insn.form != Form::AluImm) return;
        if (insn.alu() != AluOp::Div && insn.alu() != AluOp::Mod) return;
        const bool fits = insn.form == Form::AluImm ? insn.imm >= 0 : now_[insn.src] <= 32;
        if (fits && now_[insn.dst] <= 32) insn.width = Width::W32;
    }

    struct Entry {
        bool seen = false;
        Extents extents{};
    };

    Optimised& code_;
    const Analysis& analysis_;
    [[maybe_unused]] const Options& options_;
    Edit edit_;
    std::vector<u32> blocks_;     // per instruction: of entries_, where jumps lead
    std::vector<Entry> entries_;  // what holds there
    Extents now_{};
    u32 round_ = 0;
    bool changed_ = false;
};

}  // namespace

void extents(Optimised& code, const Analysis& analysis, const Options& options) {
    Narrower(code, analysis, options).run();
}

}  // namespace ebpf::jit::pass
