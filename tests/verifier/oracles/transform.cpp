// SPDX-License-Identifier: MIT
#include "oracles/transform.hpp"

#include <algorithm>
#include <array>
#include <random>

#include "isa/registers.hpp"

namespace ebpf::verifier::oracle {

namespace {

using isa::AluOp;
using isa::Cond;
using isa::Form;
using isa::Insn;
using isa::Reg;
using isa::Width;

bool is(const Insn& i, Form form, AluOp op) {
    return i.form == form && i.alu() == op && i.is64();
}
bool is_memory(const Insn& i) {
    return i.form == Form::Load || i.form == Form::LoadSx || i.form == Form::StoreReg ||
           i.form == Form::StoreImm || i.form == Form::Atomic;
}
bool reads_memory_only(const Insn& i) {
    return i.form == Form::Load || i.form == Form::LoadSx;
}

// A program under change: instructions whose targets are labels, which are the old indices.
class Editor {
  public:
    Editor(const ir::Program& program, u64 seed)
        : old_(program), random_(seed), targeted_(program.insns.size() + 1, false) {
        for (const u32 t : program.target) {
            if (t != ir::kNoTarget) targeted_[t] = true;
        }
    }

    std::optional<ir::Program> run(Change change) {
        if (std::ranges::any_of(old_.insns, [](const Insn& i) {
                return i.form == Form::LegacyLoad || i.form == Form::CallReg;
            }))
            return std::nullopt;
        if (!apply(change) || !changed_) return std::nullopt;
        return finish();
    }

  private:
    struct Item {
        Insn insn;
        u32 target = ir::kNoTarget;  // a label
        u32 label = ir::kNoTarget;   // of this instruction
    };

    u32 size() const { return static_cast<u32>(old_.insns.size()); }
    void put(u32 i) { items_.push_back({old_.insns[i], old_.target[i], i}); }
    void put(Insn insn, u32 target = ir::kNoTarget, u32 label = ir::kNoTarget) {
        items_.push_back({insn, target, label});
        changed_ = true;
    }
    bool falls(const Insn& i) const { return i.form != Form::Ja && i.form != Form::Exit; }

    bool apply(Change change) {
        switch (change) {
            case Change::RenameRegisters:
                return rename();
            case Change::MoveSlots:
                return move_slots();
            case Change::UnusedVariable:
                put({Form::StoreImm, 0, Width::W64, isa::kFramePointer, 0, 0, -isa::kStackSize, 1});
                for (u32 i = 0; i < size(); ++i) put(i);
                return true;
            case Change::InsertJumps:
                for (u32 i = 0; i < size(); ++i) {
                    put(i);
                    if (falls(old_.insns[i]) && random_() % 2) put({Form::Ja}, i + 1);
                }
                return true;
            case Change::SwapInstructions:
                return swap_neighbours();
            case Change::ReorderBlocks:
                return reorder_blocks();
            case Change::InvertConditions:
            case Change::MirrorConditions:
                return conditions(change == Change::InvertConditions);
            case Change::CommuteSums:
                return commute();
            case Change::IntoFunction:
                put({Form::Call, static_cast<u8>(isa::CallKind::Local)}, 0);
                put({Form::Exit});
                for (u32 i = 0; i < size(); ++i) put(i);
                return true;
        }
        return false;
    }

    bool rename() {
        std::array<Reg, 4> to = {6, 7, 8, 9};
        std::ranges::shuffle(to, random_);
        const auto renamed = [&](Reg r) { return r >= 6 && r <= 9 ? to[r - 6u] : r; };
        for (u32 i = 0; i < size(); ++i) {
            put(i);
            Insn& now = items_.back().insn;
            now.dst = renamed(now.dst);
            if (now.form != Form::Call && now.form != Form::Wide) now.src = renamed(now.src);
            changed_ |= now.dst != old_.insns[i].dst || now.src != old_.insns[i].src;
        }
        return true;
    }

    bool move_slots() {
        static constexpr int kDown[] = {8, 16, 64, 96, 120, 256};
        const int down = kDown[random_() % std::size(kDown)];
        for (u32 i = 0; i < size(); ++i) {
            const Insn& insn = old_.insns[i];
            put(i);
            Insn& now = items_.back().insn;
            const bool base_is_dst = insn.form == Form::StoreReg || insn.form == Form::StoreImm ||
                                     insn.form == Form::Atomic;
            const bool by_frame =
                is_memory(insn) && (base_is_dst ? insn.dst : insn.src) == isa::kFramePointer;
            if (by_frame) {
                // Beyond the frame on either side stays beyond it.
                if (insn.off >= 0 || insn.off - down < -isa::kStackSize) return false;
                now.off = static_cast<i16>(insn.off - down);
                changed_ = true;
                if (base_is_dst && insn.form != Form::StoreImm && insn.src == isa::kFramePointer)
                    return false;
                continue;
            }
            const bool uses =
                insn.src == isa::kFramePointer &&
                (insn.form == Form::AluReg || is_memory(insn) || insn.form == Form::JmpReg);
            if (!uses && !(insn.form == Form::JmpReg && insn.dst == isa::kFramePointer)) continue;
            if (!is(insn, Form::AluReg, AluOp::Mov) && !is(insn, Form::AluReg, AluOp::Add))
                return false;
            put({Form::AluImm, static_cast<u8>(AluOp::Add), Width::W64, insn.dst, 0, 0, 0, -down});
        }
        return true;
    }

    bool swap_neighbours() {
        for (u32 i = 0; i < size(); ++i) {
            const bool last = i + 1 == size();
            if (!last && !targeted_[i + 1] && !targeted_[i] && independent(i, i + 1)) {
                put(i + 1);
                put(i);
                changed_ = true;
                ++i;
            } else {
                put(i);
            }
        }
        return true;
    }
    bool independent(u32 x, u32 y) const {
        const Insn &a = old_.insns[x], &b = old_.insns[y];
        const auto simple = [](const Insn& i) {
            return i.form == Form::AluReg || i.form == Form::AluImm || i.form == Form::Neg ||
                   i.form == Form::MovSx || i.form == Form::Endian || is_memory(i) ||
                   (i.form == Form::Wide && i.wide() != isa::WideKind::Function);
        };
        if (!simple(a) || !simple(b)) return false;
        if (is_memory(a) && is_memory(b) && !(reads_memory_only(a) && reads_memory_only(b)))
            return false;
        const isa::RegUse p = isa::registers_of(a), q = isa::registers_of(b);
        return ((p.writes & (q.reads | q.writes)) | (q.writes & p.reads)) == 0;
    }

    bool reorder_blocks() {
        for (const ir::Subprogram& s : old_.subprograms) {
            std::vector<std::pair<u32, u32>> blocks;
            for (u32 i = s.begin; i < s.end;) {
                u32 end = i + 1;
                while (end < s.end && !targeted_[end] && !old_.insns[end - 1].is_jump() &&
                       old_.insns[end - 1].form != Form::Exit)
                    ++end;
                blocks.push_back({i, end});
                i = end;
            }
            if (blocks.size() > 2) {
                std::shuffle(blocks.begin() + 1, blocks.end(), random_);
                changed_ = true;
            }
            for (const auto& [begin, end] : blocks) {
                for (u32 i = begin; i < end; ++i) put(i);
                if (falls(old_.insns[end - 1])) {
                    if (end >= s.end) return false;
                    put({Form::Ja}, end);
                }
            }
        }
        return true;
    }

    bool conditions(bool invert) {
        for (u32 i = 0; i < size(); ++i) {
            const Insn& insn = old_.insns[i];
            put(i);
            if (insn.form != Form::JmpReg && insn.form != Form::JmpImm) continue;
            Insn& now = items_.back().insn;
            if (invert) {
                const auto opposite = isa::inverse(insn.cond());
                if (!opposite) continue;
                now.kind = static_cast<u8>(*opposite);
                items_.back().target = i + 1;
                put({Form::Ja}, old_.target[i]);
            } else if (insn.form == Form::JmpReg) {
                now.kind = static_cast<u8>(isa::mirrored(insn.cond()));
                std::swap(now.dst, now.src);
                changed_ = true;
            }
        }
        return true;
    }

    bool commute() {
        for (u32 i = 0; i < size(); ++i) {
            const Insn& a = old_.insns[i];
            if (i + 1 == size() || targeted_[i + 1] || !is(a, Form::AluReg, AluOp::Mov)) {
                put(i);
                continue;
            }
            const Insn& b = old_.insns[i + 1];
            const bool by_register = is(b, Form::AluReg, AluOp::Add);
            const bool sum = (by_register || is(b, Form::AluImm, AluOp::Add)) && b.dst == a.dst &&
                             a.src != a.dst && (!by_register || b.src != a.dst);
            put(i);
            if (!sum) continue;
            Insn& first = items_.back().insn;
            if (by_register) {
                first.src = b.src;
            } else {
                first = {Form::AluImm, static_cast<u8>(AluOp::Mov), Width::W64, a.dst, 0, 0, 0,
                         b.imm};
            }
            put({Form::AluReg, static_cast<u8>(AluOp::Add), Width::W64, a.dst, a.src},
                ir::kNoTarget, i + 1);
            ++i;
        }
        return true;
    }

    std::optional<ir::Program> finish() {
        std::vector<u32> at(size() + 1, ir::kNoTarget), slot(items_.size() + 1, 0);
        for (u32 k = 0; k < items_.size(); ++k) {
            if (items_[k].label != ir::kNoTarget) at[items_[k].label] = k;
            slot[k + 1] = slot[k] + static_cast<u32>(items_[k].insn.slots());
        }
        ir::Program p = old_;
        p.insns.clear();
        p.target.clear();
        p.slot_of.clear();
        p.lines.clear();
        p.subprograms = {{0, 0, "entry"}};
        for (u32 k = 0; k < items_.size(); ++k) {
            Insn insn = items_[k].insn;
            if (items_[k].target != ir::kNoTarget) {
                if (at[items_[k].target] == ir::kNoTarget) return std::nullopt;
                const i64 distance = i64{slot[at[items_[k].target]]} - i64{slot[k]} - 1;
                if (insn.is_conditional()) {
                    if (distance != static_cast<i16>(distance)) return std::nullopt;
                    insn.off = static_cast<i16>(distance);
                } else {
                    insn.imm = distance;
                }
            }
            p.insns.push_back(insn);
        }
        if (const Status done = ir::resolve_control_flow(p); !done) return std::nullopt;
        return p;
    }

    const ir::Program& old_;
    std::mt19937_64 random_;
    std::vector<bool> targeted_;
    std::vector<Item> items_;
    bool changed_ = false;
};

}  // namespace

const char* name(Change change) {
    static constexpr const char* kNames[] = {
        "renamed registers",    "moved slots",      "an unused variable",  "inserted jumps",
        "swapped instructions", "reordered blocks", "inverted conditions", "mirrored conditions",
        "commuted sums",        "inside a function"};
    static_assert(std::size(kNames) == kChanges);
    return kNames[static_cast<std::size_t>(change)];
}

std::optional<ir::Program> transform(const ir::Program& program, Change change, u64 seed) {
    return Editor(program, seed * 0x9e3779b97f4a7c15 + 7).run(change);
}

}  // namespace ebpf::verifier::oracle
