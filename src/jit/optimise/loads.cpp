// SPDX-License-Identifier: MIT
//
// Bytes that are loaded one by one and put together. Compilers for BPF do that with whatever may
// lie anywhere: its machine may be one that only loads what is aligned.
//
//     a = *(u8 *)(p + 1); a <<= 8; b = *(u8 *)(p + 0); a |= b   is   a = *(u16 *)(p + 0)
//
// and the other way round it is that and a swap. Only where nobody wants the parts: else memory
// that others change would be read twice, and the program see two values where it had one. Nothing
// is stored between the parts, so that it does not matter which of the loads is left: the last.
#include <algorithm>
#include <array>
#include <bit>
#include <optional>

#include "jit/optimise/edit.hpp"
#include "jit/optimise/passes.hpp"

namespace ebpf::jit::pass {

using isa::AluOp;
using isa::Form;
using isa::Insn;
using isa::Reg;
using isa::Width;

namespace {

constexpr u32 kMostParts = 32;  // instructions: loads, shifts and joins of eight bytes

// What a register holds: `bytes` bytes of memory at base + off, above `shift` bytes of zeros, and
// nothing above them. The first byte is the lowest, or the highest; of one byte it is both.
struct Run {
    Reg base = 0;
    u32 version = 0;  // of base
    i32 off = 0;
    int bytes = 0, shift = 0;
    bool ascending = true, descending = true;
    u32 last_load = 0, last_join = 0;
    std::array<u32, kMostParts> parts;
    u32 part_count = 0;
};

class Collector {
  public:
    Collector(Optimised& code, const Analysis& analysis, const Options& options)
        : code_(code), analysis_(analysis), options_(options), edit_(code) {}

    void run() {
        const ir::Program& p = code_.program;
        for (u32 i = 0; i < p.insns.size(); ++i) {
            if (analysis_.is_target[i] || !analysis_.reachable[i]) forget_all();
            if (analysis_.reachable[i]) step(i);
        }
        edit_.apply();
    }

  private:
    Insn& at(u32 i) { return code_.program.insns[i]; }
    bool is_dead_after(u32 i, Reg reg) const {
        return (analysis_.live_after[i] & reg_set(reg)) == 0;
    }
    bool holds_run(Reg reg) const { return (held_ & reg_set(reg)) != 0; }

    void step(u32 i) {
        const Insn& insn = at(i);
        if (insn.form == Form::Load && insn.width != Width::W64) return load(i);
        if (insn.form == Form::AluImm && insn.alu() == AluOp::Lsh && shift(i)) return;
        if (insn.form == Form::AluReg && is_join(insn.alu()) && join(i)) return;
        const RegUse use = registers_of(insn);
        finish(static_cast<RegSet>(use.reads & held_));
        held_ = static_cast<RegSet>(held_ & ~use.writes);
        written(use.writes);
        // What is loaded behind a store may be something else; where a jump leads the parts may be
        // wanted.
        const bool stores = insn.form == Form::StoreReg || insn.form == Form::StoreImm;
        const bool goes_on = only_sets_dst(insn) || (stores && PLANTED(LoadsPassStores));
        if (!goes_on) forget_all();
    }

    static bool is_join(AluOp op) {
        return op == AluOp::Or || op == AluOp::Add || op == AluOp::Xor;
    }

    void written(RegSet registers) {
        for (u32 r = 0; r < versions_.size(); ++r) versions_[r] += registers >> r & 1;
    }

    void load(u32 i) {
        const Insn& insn = at(i);
        finish(static_cast<RegSet>(reg_set(insn.src) & held_));
        Run& run = runs_[insn.dst];
        run.base = insn.src;
        run.version = versions_[insn.src];
        run.off = insn.off;
        run.bytes = isa::bytes(insn.width);
        run.shift = 0;
        run.ascending = true;
        run.descending = run.bytes == 1;
        run.last_load = run.last_join = run.parts[0] = i;
        run.part_count = 1;
        held_ |= reg_set(insn.dst);
        ++versions_[insn.dst];
    }

    bool shift(u32 i) {
        const Insn& insn = at(i);
        Run& run = runs_[insn.dst];
        if (!holds_run(insn.dst) || insn.imm <= 0 || insn.imm % 8 != 0) return false;
        const int bytes = static_cast<int>(insn.imm / 8);
        if (run.bytes + run.shift + bytes > isa::bytes(insn.width)) return false;
        if (run.part_count == kMostParts) return false;
        run.shift += bytes;
        run.parts[run.part_count++] = i;
        ++versions_[insn.dst];
        return true;
    }

    bool join(u32 i) {
        const Insn& insn = at(i);
        if (insn.dst == insn.src || !holds_run(insn.dst) || !holds_run(insn.src)) return false;
        const Run &a = runs_[insn.dst], &b = runs_[insn.src];
        const bool a_is_low = a.shift < b.shift;
        const Run &low = a_is_low ? a : b, &high = a_is_low ? b : a;
        if (low.shift + low.bytes != high.shift || a.base != b.base || a.version != b.version ||
            high.shift + high.bytes > isa::bytes(insn.width) ||
            a.part_count + b.part_count >= kMostParts || !is_dead_after(i, insn.src)) {
            return false;
        }
        Run sum = low;
        sum.bytes += high.bytes;
        sum.ascending = low.ascending && high.ascending && high.off == low.off + low.bytes;
        sum.descending = low.descending && high.descending && low.off == high.off + high.bytes;
        if (PLANTED(LoadsIgnoreOrder) && low.bytes == 1 && high.bytes == 1)
            sum.ascending |= sum.descending;
        if (!sum.ascending && !sum.descending) return false;
        sum.off = std::min(low.off, high.off);
        sum.last_load = std::max(low.last_load, high.last_load);
        sum.last_join = i;
        for (u32 n = 0; n < high.part_count; ++n) sum.parts[sum.part_count++] = high.parts[n];
        sum.parts[sum.part_count++] = i;
        held_ = static_cast<RegSet>(held_ & ~reg_set(insn.src));
        runs_[insn.dst] = sum;
        ++versions_[insn.dst];
        return true;
    }

    void forget_all() { finish(held_); }

    // Somebody wants what the registers hold, or they can grow no more.
    void finish(RegSet registers) {
        for (RegSet left = registers; left != 0; left = static_cast<RegSet>(left & (left - 1)))
            put_together(static_cast<Reg>(std::countr_zero(left)));
        held_ = static_cast<RegSet>(held_ & ~registers);
    }

    // The load goes to where the last of the parts was loaded: the register that is joined into
    // holds one of them from there on, or is loaded there itself.
    void put_together(Reg reg) {
        const Run& run = runs_[reg];
        if (run.last_join == run.last_load || !std::has_single_bit(static_cast<u32>(run.bytes)))
            return;
        // Shifts behind the last join stay.
        int shift = run.shift;
        for (u32 n = 0; n < run.part_count; ++n) {
            if (run.parts[n] > run.last_join) shift -= static_cast<int>(at(run.parts[n]).imm / 8);
        }
        const bool swaps = !run.ascending;
        if (swaps && shift != 0) return;  // three instructions for a few
        for (u32 n = 0; n < run.part_count; ++n) {
            const u32 part = run.parts[n];
            if (part < run.last_join && part != run.last_load) edit_.remove(part);
        }
        const auto width = static_cast<Width>(run.bytes);
        at(run.last_load) = {.form = Form::Load,
                             .width = width,
                             .dst = reg,
                             .src = run.base,
                             .off = static_cast<i16>(run.off)};
        if (swaps) {
            at(run.last_join) = {.form = Form::Endian,
                                 .kind = static_cast<u8>(isa::EndianOp::ToBe),
                                 .width = width,
                                 .dst = reg};
        } else if (shift != 0) {
            at(run.last_join) = {.form = Form::AluImm,
                                 .kind = static_cast<u8>(AluOp::Lsh),
                                 .dst = reg,
                                 .imm = 8 * shift};
        } else {
            edit_.remove(run.last_join);
        }
    }

    Optimised& code_;
    const Analysis& analysis_;
    [[maybe_unused]] const Options& options_;
    Edit edit_;
    std::array<Run, kRegisters> runs_;
    RegSet held_ = 0;  // those that hold a run
    std::array<u32, kRegisters> versions_{};
};

}  // namespace

void loads(Optimised& code, const Analysis& analysis, const Options& options) {
    Collector(code, analysis, options).run();
}

}  // namespace ebpf::jit::pass
