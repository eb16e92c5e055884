// SPDX-License-Identifier: MIT
//
// Only where a function's stack is its own: it calls nobody, and no address of the stack is used
// for anything but accesses through r10 itself. (An address may be put in a slot that nobody loads,
// which is what is left of one that a C program takes and forgets.)
#include <algorithm>
#include <bit>
#include <bitset>
#include <functional>
#include <map>
#include <utility>

#include "jit/loops.hpp"
#include "jit/optimise/edit.hpp"
#include "jit/optimise/passes.hpp"

namespace ebpf::jit::pass {

using isa::AluOp;
using isa::Form;
using isa::Insn;
using isa::Reg;

namespace {

constexpr RegSet kFrame = reg_set(isa::kFramePointer);

struct Access {
    u32 at = 0;
    i32 begin = 0, end = 0;  // bytes from r10
    u64 weight = 0;
    bool known = false;  // what is there is no address
};

// Bytes that are accessed together, directly or by way of others.
struct Slot {
    std::span<const Access> accesses;
    u64 weight = 0;
    bool loaded = false;
    bool fits_register = true;  // one place and width, and nothing is sign-extended
};

bool is_load(const Insn& insn) {
    return insn.form == Form::Load || insn.form == Form::LoadSx;
}
bool is_store(const Insn& insn) {
    return insn.form == Form::StoreReg || insn.form == Form::StoreImm;
}

class Frame {
  public:
    Frame(Optimised& code, const Analysis& analysis, const Options& options, Edit& edit)
        : code_(code), analysis_(analysis), options_(options), edit_(edit) {}

    void run(const ir::Subprogram& s, RegSet spare) {
        if (!collect(s) || accesses_.empty()) return;
        std::vector<Slot> slots = split();
        std::ranges::sort(slots, std::greater(), [](const Slot& slot) {
            return std::pair(slot.weight, slot.accesses.front().begin);
        });
        for (const Slot& slot : slots) {
            if (!slot.loaded) {
                for (const Access& a : slot.accesses) edit_.remove(a.at);
            } else if (spare != 0 && slot.fits_register) {
                const auto reg = static_cast<Reg>(std::countr_zero(spare));
                spare = static_cast<RegSet>(spare & (spare - 1));
                for (const Access& a : slot.accesses) put_in_register(a.at, reg);
            }
        }
    }

  private:
    Insn& at(u32 i) { return code_.program.insns[i]; }
    const Insn& at(u32 i) const { return code_.program.insns[i]; }

    bool collect(const ir::Subprogram& s) {
        Loops loops(analysis_);
        RegSet addresses = 0;  // registers that may hold an address of the stack
        for (u32 i = s.begin; i < s.end; ++i) {
            loops.enter(i);
            enter(s, i, addresses);
            if (analysis_.reachable[i] && !collect(i, loops.weight(), addresses)) return false;
            const bool ends_block =
                at(i).is_jump() || (i + 1 < s.end && analysis_.is_target[i + 1]);
            if (ends_block && (addresses & analysis_.live_after[i]) != 0) return false;
            if (at(i).is_jump()) leave_to(code_.program.target[i]);
        }
        // An address that somebody loads is one.
        for (const Access& address : kept_addresses_) {
            for (const Access& a : accesses_) {
                const bool overlaps = a.begin < address.end && address.begin < a.end;
                if (overlaps && is_load(at(a.at)) && !a.known) return false;
            }
        }
        return true;
    }

    // What is known where an instruction begins: what all ways there agree on. Ways back are still
    // to come, so that where one leads nothing is.
    void enter(const ir::Subprogram& s, u32 i, RegSet& addresses) {
        const bool from_above = i > s.begin && falls_through(at(i - 1));
        if (i == s.begin || analysis_.is_target[i] || at(i - 1).is_jump())
            addresses = 0;  // there are none at the ends of blocks
        const auto way = ways_.find(i);
        if (analysis_.loop_end[i] != 0 || (!from_above && way == ways_.end())) {
            stored_.reset();
        } else if (way != ways_.end()) {
            stored_ = from_above ? stored_ & way->second : way->second;
        }
    }
    void leave_to(u32 target) {
        const auto [way, is_new] = ways_.try_emplace(target, stored_);
        if (!is_new) way->second &= stored_;
    }

    bool collect(u32 i, u64 weight, RegSet& addresses) {
        const Insn& insn = at(i);
        if (insn.form == Form::Call || insn.form == Form::CallReg ||
            insn.form == Form::LegacyLoad) {
            return false;
        }
        const RegUse use = registers_of(insn);
        const bool direct = (is_load(insn) && insn.src == isa::kFramePointer) ||
                            (is_store(insn) && insn.dst == isa::kFramePointer);
        if (direct) {
            Access access{i, insn.off, insn.off + isa::bytes(insn.width), weight};
            if (access.begin < -isa::kStackSize || access.end > 0) return false;
            const RegSet stored = insn.form == Form::StoreReg ? reg_set(insn.src) : RegSet{0};
            const bool keeps_address = (stored & (addresses | kFrame)) != 0;
            if (keeps_address) kept_addresses_.push_back(access);
            access.known = true;
            for (i32 b = access.begin; b < access.end; ++b) {
                const u32 byte = static_cast<u32>(b + isa::kStackSize);
                access.known &= stored_[byte];
                if (is_store(insn)) stored_[byte] = !keeps_address;
            }
            accesses_.push_back(access);
            addresses = static_cast<RegSet>(addresses & ~use.writes);
            return true;
        }
        if ((use.reads & (addresses | kFrame)) == 0) {
            addresses = static_cast<RegSet>(addresses & ~use.writes);
            return true;
        }
        if (PLANTED(SlotsIgnoreAddresses)) return true;
        addresses |= use.writes;
        return is_arithmetic(insn);
    }

    std::vector<Slot> split() {
        std::ranges::sort(accesses_, {}, &Access::begin);
        std::vector<Slot> slots;
        for (std::size_t first = 0; first < accesses_.size();) {
            i32 end = accesses_[first].end;
            std::size_t last = first;
            while (last < accesses_.size() && accesses_[last].begin < end) {
                end = std::max(end, accesses_[last].end);
                ++last;
            }
            Slot slot{.accesses = std::span(accesses_).subspan(first, last - first)};
            const Access& model = accesses_[first];
            const i32 size = model.end - model.begin;
            slot.fits_register = size == 4 || size == 8;
            for (const Access& a : slot.accesses) {
                slot.weight += a.weight;
                slot.loaded |= is_load(at(a.at));
                slot.fits_register &= a.begin == model.begin && at(a.at).form != Form::LoadSx &&
                                      (a.end == model.end || PLANTED(SlotsOfManyWidths));
            }
            slots.push_back(slot);
            first = last;
        }
        return slots;
    }

    void put_in_register(u32 i, Reg reg) {
        Insn& insn = at(i);
        const Insn was = insn;
        const bool constant = was.form == Form::StoreImm;
        insn = {.form = constant ? Form::AluImm : Form::AluReg,
                .kind = static_cast<u8>(AluOp::Mov),
                .width = was.width};
        insn.dst = is_load(was) ? was.dst : reg;
        insn.src = constant ? Reg{0} : is_load(was) ? reg : was.src;
        insn.imm = constant ? was.imm : 0;
        if (!code_.facts.insns.empty()) code_.facts.insns[i].memory = ir::MemoryKind::Unknown;
    }

    Optimised& code_;
    const Analysis& analysis_;
    [[maybe_unused]] const Options& options_;
    Edit& edit_;
    std::vector<Access> accesses_;
    std::vector<Access> kept_addresses_;  // stores of addresses in slots
    using Bytes = std::bitset<isa::kStackSize>;
    Bytes stored_;  // those that hold what was stored on every way here, and no address
    std::map<u32, Bytes> ways_;  // the same where jumps lead
};

}  // namespace

void slots(Optimised& code, const Analysis& analysis, const Options& options) {
    Edit edit(code);
    for (u32 f = 0; f < code.program.subprograms.size(); ++f) {
        const RegSet spare = f < code.spare.size() ? code.spare[f] : RegSet{0};
        Frame(code, analysis, options, edit).run(code.program.subprograms[f], spare);
    }
    edit.apply();
}

}  // namespace ebpf::jit::pass
