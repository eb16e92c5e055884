// SPDX-License-Identifier: MIT
//
// From slots to a Program and back. Decoding is isa's; what is added here is control flow: slot
// displacements become instruction indices, and the code is cut into subprograms. Three properties
// hold for every Program that comes out, so that nothing behind it has to check them again:
//
//   - a jump stays inside its subprogram and never lands in the middle of a two-slot instruction;
//   - a call and a callback address name the first instruction of a subprogram;
//   - control cannot run off the end of a subprogram: the last instruction is `exit` or `goto`.
#include "ir/program.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

#include "isa/codec.hpp"

namespace ebpf::ir {
namespace {

constexpr u64 kSlotBytes = sizeof(isa::Slot);

bool is_local_call(const isa::Insn& insn) {
    return insn.form == isa::Form::Call && insn.call() == isa::CallKind::Local;
}

bool is_callback_address(const isa::Insn& insn) {
    return insn.form == isa::Form::Wide && insn.wide() == isa::WideKind::Function;
}

// Whether `insn` names a subprogram (as opposed to a place in its own).
bool names_subprogram(const isa::Insn& insn) {
    return is_local_call(insn) || is_callback_address(insn);
}

// Slots from the one after the first slot of `insn` to what it refers to. Linux counts from there
// for two-slot callback addresses too (kernel/bpf/verifier.c, add_subprog of BPF_PSEUDO_FUNC).
i64 displacement(const isa::Insn& insn) {
    if (insn.is_jump()) return insn.displacement();
    return insn.imm;
}

// Fills slot_of; the result maps a slot to its instruction, kNoTarget in the middle of one.
std::vector<u32> number_slots(Program& program) {
    std::vector<u32> insn_at;
    program.slot_of.clear();
    program.slot_of.reserve(program.insns.size() + 1);
    for (u32 i = 0; i < program.insns.size(); ++i) {
        program.slot_of.push_back(static_cast<u32>(insn_at.size()));
        insn_at.push_back(i);
        if (program.insns[i].slots() == 2) insn_at.push_back(kNoTarget);
    }
    program.slot_of.push_back(static_cast<u32>(insn_at.size()));
    return insn_at;
}

Status resolve_targets(Program& program, const std::vector<u32>& insn_at) {
    program.target.assign(program.insns.size(), kNoTarget);
    for (u32 i = 0; i < program.insns.size(); ++i) {
        const isa::Insn& insn = program.insns[i];
        if (!insn.is_jump() && !names_subprogram(insn)) continue;
        const i64 slot = i64{program.slot_of[i]} + 1 + displacement(insn);
        if (slot < 0 || slot >= static_cast<i64>(insn_at.size())) {
            return fail(Errc::BadJumpTarget, at_insn(program.slot_of[i]),
                        "target outside the program");
        }
        const u32 target = insn_at[static_cast<std::size_t>(slot)];
        if (target == kNoTarget) {
            return fail(Errc::BadJumpTarget, at_insn(program.slot_of[i]),
                        "target is the second half of an instruction", static_cast<u64>(slot));
        }
        program.target[i] = target;
    }
    return {};
}

// Adds a subprogram for every call or callback target that the caller did not name, and sets ends.
void cut_subprograms(Program& program) {
    std::vector<u32> begins{0};
    for (u32 i = 0; i < program.insns.size(); ++i) {
        if (names_subprogram(program.insns[i])) begins.push_back(program.target[i]);
    }
    for (const Subprogram& known : program.subprograms) begins.push_back(known.begin);
    std::ranges::sort(begins);
    begins.erase(std::ranges::unique(begins).begin(), begins.end());

    std::vector<Subprogram> known = std::move(program.subprograms);
    std::ranges::sort(known, {}, &Subprogram::begin);
    program.subprograms.clear();
    auto next = known.begin();
    for (std::size_t i = 0; i < begins.size(); ++i) {
        Subprogram sub;
        while (next != known.end() && next->begin < begins[i]) ++next;
        if (next != known.end() && next->begin == begins[i]) sub = std::move(*next);
        sub.begin = begins[i];
        sub.end = i + 1 < begins.size() ? begins[i + 1] : static_cast<u32>(program.insns.size());
        program.subprograms.push_back(std::move(sub));
    }
}

Status check_borders(const Program& program) {
    for (const Subprogram& sub : program.subprograms) {
        for (u32 i = sub.begin; i < sub.end; ++i) {
            const u32 target = program.target[i];
            if (!program.insns[i].is_jump()) continue;
            if (target < sub.begin || target >= sub.end) {
                return fail(Errc::BadJumpTarget, at_insn(program.slot_of[i]),
                            "jump into another subprogram");
            }
        }
        const isa::Form last = program.insns[sub.end - 1].form;
        if (last != isa::Form::Exit && last != isa::Form::Ja) {
            return fail(Errc::BadFormat, at_insn(program.slot_of[sub.end - 1]),
                        "control runs off the end of the code");
        }
    }
    return {};
}

}  // namespace

const SourceLine* Program::line_at(u32 insn) const {
    const auto after = std::ranges::upper_bound(lines, insn, {}, &SourceLine::insn);
    if (after == lines.begin()) return nullptr;
    const SourceLine& line = *std::prev(after);
    // A function without line information does not inherit that of the one before it.
    return line.insn >= subprograms.at(subprogram_at(insn)).begin ? &line : nullptr;
}

const std::string* Program::missing_at(u32 insn) const {
    const auto found = std::ranges::lower_bound(missing, insn, {}, &MissingAnswer::insn);
    return found != missing.end() && found->insn == insn ? &found->what : nullptr;
}

u32 Program::subprogram_at(u32 insn) const {
    const auto after = std::ranges::upper_bound(subprograms, insn, {}, &Subprogram::begin);
    return after == subprograms.begin() ? 0 : static_cast<u32>(after - subprograms.begin() - 1);
}

Result<std::vector<isa::Insn>> decode_insns(Bytes slots) {
    if (slots.size() % kSlotBytes != 0) {
        return fail(Errc::Truncated, at_insn(slots.size() / kSlotBytes),
                    "the code's size is not a multiple of 8", slots.size());
    }
    const u64 count = slots.size() / kSlotBytes;
    if (count > isa::kMaxSlots) return fail(Errc::TooLarge, {}, "instructions", count);
    std::vector<isa::Insn> insns;
    insns.reserve(count);
    for (u32 slot = 0; slot < count;) {
        TRY_ASSIGN(const isa::Insn insn, isa::decode(slots, slot));
        slot += static_cast<u32>(insn.slots());
        insns.push_back(insn);
    }
    return insns;
}

Status resolve_control_flow(Program& program) {
    if (program.insns.empty()) return fail(Errc::BadFormat, at_insn(0), "no instructions");
    const std::vector<u32> insn_at = number_slots(program);
    if (insn_at.size() > isa::kMaxSlots) {
        return fail(Errc::TooLarge, {}, "instructions", insn_at.size());
    }
    for (const Subprogram& sub : program.subprograms) {
        if (sub.begin >= program.insns.size()) {
            return fail(Errc::OutOfBounds, {}, "a subprogram begins after the end", sub.begin);
        }
    }
    TRY(resolve_targets(program, insn_at));
    cut_subprograms(program);
    return check_borders(program);
}

Result<Program> decode_program(Bytes slots) {
    Program program;
    TRY_ASSIGN(program.insns, decode_insns(slots));
    TRY(resolve_control_flow(program));
    return program;
}

Result<std::vector<std::byte>> encode_program(const Program& program) {
    std::vector<u32> slot_of;
    slot_of.reserve(program.insns.size() + 1);
    u32 slots = 0;
    for (const isa::Insn& insn : program.insns) {
        slot_of.push_back(slots);
        slots += static_cast<u32>(insn.slots());
    }

    std::vector<std::byte> bytes(slots * kSlotBytes);
    for (u32 i = 0; i < program.insns.size(); ++i) {
        isa::Insn insn = program.insns[i];
        const u32 target = i < program.target.size() ? program.target[i] : kNoTarget;
        if (target != kNoTarget) {
            if (target >= slot_of.size()) {
                return fail(Errc::BadJumpTarget, at_insn(slot_of[i]), "target index", target);
            }
            const i64 distance = i64{slot_of[target]} - slot_of[i] - 1;
            if (insn.is_conditional()) {
                if (distance < std::numeric_limits<i16>::min() ||
                    distance > std::numeric_limits<i16>::max()) {
                    return fail(Errc::BadJumpTarget, at_insn(slot_of[i]), "jump too far");
                }
                insn.off = static_cast<i16>(distance);
            } else {
                insn.imm = distance;
            }
        }
        isa::Slot out[2];
        TRY(isa::encode(insn, out));
        std::memcpy(bytes.data() + slot_of[i] * kSlotBytes, out, insn.slots() * kSlotBytes);
    }
    return bytes;
}

}  // namespace ebpf::ir
