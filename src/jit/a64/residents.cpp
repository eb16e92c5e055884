// SPDX-License-Identifier: MIT
//
// What loops would compute again and again stays in registers that nothing else of a function uses:
// constants that no instruction holds, and addresses of the frame that are indexed.
#include <algorithm>
#include <bit>
#include <functional>
#include <tuple>

#include "jit/a64/compiler.hpp"
#include "jit/loops.hpp"

namespace ebpf::jit::a64 {

using isa::AluOp;
using isa::Cond;
using isa::Form;
using isa::Insn;

namespace {

// The callee's own, then those that a function has to save.
constexpr Gpr kUnsaved[] = {6, 5, 16, 15, 14, 13};
constexpr Gpr kSaved[] = {23, 24, 25, 27, 28};

}  // namespace

// The constant that an instruction needs in a register, if it does.
std::optional<u64> Compiler::constant_of(const Insn& insn) const {
    const bool wide = insn.is64();
    const u64 bits = wide ? static_cast<u64>(insn.imm) : static_cast<u32>(insn.imm);
    const bool power = std::has_single_bit(bits);
    const Width w = insn.width;
    switch (insn.form) {
        case Form::AluImm:
            break;
        case Form::JmpImm:
            if (bits == 0 && insn.cond() != Cond::Set) return {};
            if (insn.cond() == Cond::Set)
                return bit_mask(bits, w) ? std::nullopt : std::optional(bits);
            return compare_fields(w, bits) ? std::nullopt : std::optional(bits);
        case Form::StoreImm:
            return insn.imm != 0 ? std::optional(static_cast<u64>(insn.imm)) : std::nullopt;
        default:
            return {};
    }
    switch (insn.alu()) {
        case AluOp::Xor:
        case AluOp::And:
        case AluOp::Or: {
            const u64 all = wide ? ~u64{0} : ~u32{0};
            if (bits == 0 || bits == all || bit_mask(bits, w)) return {};
            return bits;
        }
        case AluOp::Mul:
            if (power || (static_cast<i32>(insn.imm) > 1 && std::has_single_bit(bits - 1)))
                return {};
            return bits;
        case AluOp::Div:
        case AluOp::Mod:
            if (power) return {};
            return bits;
        case AluOp::SDiv:
        case AluOp::SMod:
            return bits;
        default:
            return {};
    }
}

// Finds them for a function, those that run most often first as far as registers go.
void Compiler::plan_residents(u32 function) {
    const Function& f = analysis_.functions[function];
    const ir::Subprogram& s = program_.subprograms[function];
    struct Candidate {
        Resident what;
        u64 weight = 0;
    };
    std::vector<Candidate> found;
    const auto count = [&](bool of_frame, u64 value, u64 weight) {
        const auto same = std::ranges::find_if(found, [&](const Candidate& c) {
            return c.what.of_frame == of_frame && c.what.value == value;
        });
        constexpr std::size_t kMost = 64;  // keeps the whole linear
        if (same != found.end()) {
            same->weight += weight;
        } else if (found.size() < kMost) {
            found.push_back({{of_frame, value, 0}, weight});
        }
    };
    Loops loops(analysis_);
    for (u32 i = s.begin; i < s.end; ++i) {
        loops.enter(i);
        const u64 weight = loops.weight();
        if (weight == 1 || !analysis_.reachable[i]) continue;
        const Insn& insn = program_.insns[i];
        if (const auto constant = constant_of(insn)) {
            count(false, *constant, weight);
        } else if (i + 2 < s.end && insn.form == Form::AluReg && insn.alu() == AluOp::Mov &&
                   insn.src == isa::kFramePointer) {
            const Insn &add = program_.insns[i + 1], &index = program_.insns[i + 2];
            if (add.form == Form::AluImm && add.alu() == AluOp::Add && add.is64() &&
                add.dst == insn.dst && index.form == Form::AluReg && index.dst == insn.dst)
                count(true, static_cast<u64>(f.frame_bytes + add.imm), weight);
        }
    }
    std::ranges::sort(found, std::greater(), [](const Candidate& c) {
        return std::tuple(c.weight, c.what.of_frame, c.what.value);
    });

    residents_.clear();
    RegSet used = 0;  // of those to be saved
    const auto take = [&](Gpr r) {
        if (residents_.size() == found.size()) return false;
        residents_.push_back(found[residents_.size()].what);
        residents_.back().reg = r;
        return true;
    };
    for (const Gpr r : kUnsaved) {
        const auto owner = std::ranges::find(kReg, r);
        const bool spare = owner != kReg.end();
        if (f.calls || (spare && (f.written >> (owner - kReg.begin()) & 1) != 0)) continue;
        take(r);
    }
    for (u32 i = 0; i < std::size(kSaved); ++i) {
        if (take(kSaved[i])) used |= static_cast<RegSet>(1u << i);
    }
    resident_saved_[function] = used;
}

void Compiler::set_residents() {
    values_.set_frame_addresses({});
    std::array<FrameAddress, std::size(kUnsaved) + std::size(kSaved)> addresses;
    u32 count = 0;
    for (const Resident& r : residents_) {
        if (r.of_frame) {
            values_.add_imm(Width::W64, r.reg, kSp, static_cast<i64>(r.value));
            addresses[count++] = {static_cast<i64>(r.value), r.reg};
        } else {
            put_constant(r.reg, r.value);
        }
    }
    values_.set_frame_addresses(std::span(addresses).first(count));
}

// The registers among those that the function has to save.
void Compiler::for_resident_saved(u32 function, Saved& saved) const {
    for (u32 i = 0; i < std::size(kSaved); ++i) {
        if (resident_saved_[function] >> i & 1) saved.reg[saved.count++] = kSaved[i];
    }
}

std::optional<Gpr> Compiler::resident(u64 value) const {
    for (const Resident& r : residents_) {
        if (!r.of_frame && r.value == value) return r.reg;
    }
    return {};
}

// A register that holds a constant: its own, or kTemp.
Gpr Compiler::constant(u64 value) {
    if (const auto reg = resident(value)) return *reg;
    put_constant(kTemp, value);
    return kTemp;
}

}  // namespace ebpf::jit::a64
