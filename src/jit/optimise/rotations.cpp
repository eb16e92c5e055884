// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <optional>

#include "jit/optimise/passes.hpp"

namespace ebpf::jit::pass {

using isa::AluOp;
using isa::Form;
using isa::Insn;
using isa::Reg;

namespace {

constexpr u32 kReach = 48;  // instructions between the parts of a rotation; keeps the whole linear

bool is_shift(const Insn& insn) {
    return insn.form == Form::AluImm && (insn.alu() == AluOp::Lsh || insn.alu() == AluOp::Rsh) &&
           insn.imm > 0 && insn.imm < isa::bits(insn.width);
}
bool is_copy(const Insn& insn) {
    return insn.form == Form::AluReg && insn.alu() == AluOp::Mov && insn.dst != insn.src;
}

// How a register came to what it is at an `or`: x shifted, by a copy of x or in x itself.
struct Part {
    u32 shift = 0;
    std::optional<u32> copy;
    Reg x = 0;
};

class Gatherer {
  public:
    Gatherer(Optimised& code, const Analysis& analysis, const Options& options)
        : code_(code), analysis_(analysis), options_(options) {}

    void run() {
        const auto& insns = code_.program.insns;
        for (const ir::Subprogram& s : code_.program.subprograms) {
            u32 block = s.begin;
            for (u32 i = s.begin; i < s.end; ++i) {
                if (analysis_.is_target[i] || (i > s.begin && ends_block(insns[i - 1]))) block = i;
                if (!analysis_.reachable[i]) block = i + 1;
                if (insns[i].form == Form::AluReg && insns[i].alu() == AluOp::Or)
                    gather(std::max(block, i > kReach ? i - kReach : 0), i);
            }
        }
    }

  private:
    static bool ends_block(const Insn& insn) {
        return insn.is_jump() || insn.form == Form::Exit || insn.form == Form::Call ||
               insn.form == Form::CallReg;
    }
    const Insn& at(u32 i) const { return code_.program.insns[i]; }

    // The last instruction in [from, to) that writes `reg`, if nothing behind it names the
    // register.
    std::optional<u32> last_write(u32 from, u32 to, Reg reg) const {
        for (u32 i = to; i-- > from;) {
            const RegUse use = registers_of(at(i));
            if (use.writes & reg_set(reg)) return i;
            if (use.reads & reg_set(reg) && !PLANTED(RotationOverReads)) return {};
        }
        return {};
    }
    bool is_written(u32 from, u32 to, Reg reg, u32 but) const {
        for (u32 i = from; i < to; ++i) {
            if (i != but && registers_of(at(i)).writes & reg_set(reg)) return true;
        }
        return false;
    }

    std::optional<Part> part_of(u32 from, u32 join, Reg reg) const {
        const auto shift = last_write(from, join, reg);
        if (!shift || !is_shift(at(*shift))) return {};
        Part part{.shift = *shift, .copy = {}, .x = reg};
        const auto copy = last_write(from, *shift, reg);
        if (copy && is_copy(at(*copy))) {
            part.copy = copy;
            part.x = at(*copy).src;
        }
        return part;
    }

    void gather(u32 from, u32 join) {
        const Insn& insn = at(join);
        if (insn.dst == insn.src) return;
        const auto dst = part_of(from, join, insn.dst);
        const auto src = part_of(from, join, insn.src);
        if (!dst || !src || !(dst->copy || src->copy)) return;
        // One is a copy; the other may be a copy too, or is what was copied.
        const Part& copied = src->copy ? *src : *dst;
        const Part& other = src->copy ? *dst : *src;
        if (copied.x != other.x || !rotates(at(copied.shift), at(other.shift), insn.width)) return;
        // The copies must find what they found: x as it was, but for its own shift.
        const u32 first = std::min(*copied.copy, other.copy.value_or(other.shift));
        if (!other.copy && first != *copied.copy) return;
        const u32 own_shift = other.copy ? join : other.shift;
        if (is_written(first, join, copied.x, own_shift) && !PLANTED(RotationOfWhatWasWritten))
            return;

        // In match_rotation()'s order.
        std::array<u32, 4> order{*copied.copy, copied.shift};
        u32 count = 2;
        if (other.copy) order[count++] = *other.copy;
        order[count++] = other.shift;
        bring(std::span(order).first(count), join);
    }

    static bool rotates(const Insn& a, const Insn& b, isa::Width width) {
        return a.alu() != b.alu() && a.width == width && b.width == width &&
               a.imm + b.imm == isa::bits(width);
    }

    // Puts the instructions `parts` right before `join`, in that order.
    void bring(std::span<const u32> parts, u32 join) {
        const u32 first = std::ranges::min(parts);
        if (join - first == parts.size() && std::ranges::is_sorted(parts)) return;
        std::array<u32, kReach> order;
        u32 n = 0;
        for (u32 i = first; i < join; ++i) {
            if (std::ranges::find(parts, i) == parts.end()) order[n++] = i;
        }
        for (const u32 part : parts) order[n++] = part;
        const std::span<const u32> all = std::span(order).first(n);
        permute(code_.program.insns, first, all);
        permute(code_.program.slot_of, first, all);
        permute(code_.origin, first, all);
        permute(code_.place, first, all);
        permute(code_.program.target, first, all);
        if (!code_.facts.insns.empty()) permute(code_.facts.insns, first, all);
    }

    template <typename T>
    static void permute(std::vector<T>& values, u32 first, std::span<const u32> order) {
        std::array<T, kReach> moved;
        for (u32 i = 0; i < order.size(); ++i) moved[i] = values[order[i]];
        std::copy_n(moved.begin(), order.size(), values.begin() + first);
    }

    Optimised& code_;
    const Analysis& analysis_;
    [[maybe_unused]] const Options& options_;
};

}  // namespace

// Compilers for BPF write x << n | x >> (width - n) as five instructions and put others between
// them.
void rotations(Optimised& code, const Analysis& analysis, const Options& options) {
    Gatherer(code, analysis, options).run();
}

}  // namespace ebpf::jit::pass
