// SPDX-License-Identifier: MIT
#include "reference.hpp"

#include <array>
#include <cstring>

#include "isa/codec.hpp"
#include "isa/semantics.hpp"

namespace ebpf::engines {
namespace {

using isa::AtomicOp;
using isa::Form;
using isa::Insn;

class Machine {
  public:
    Machine(Bytes slots, MutableBytes memory, const Helpers& helpers)
        : slots_(slots), memory_(memory), helpers_(helpers) {}

    // Runs the function at `pc` in frame `depth`.
    Result<u64> call(u64 pc, std::array<u64, 5> args, int depth) {
        if (depth == isa::kMaxCallDepth) return fail(Errc::Failed, at_insn(pc), "call depth");
        std::array<u64, 11> r{0, args[0], args[1], args[2], args[3], args[4]};
        r[10] = reinterpret_cast<u64>(stack_.data() + (depth + 1) * isa::kStackSize);
        while (true) {
            if (++steps_ > 10'000'000) return fail(Errc::Failed, at_insn(pc), "steps");
            TRY_ASSIGN(const Insn insn, isa::decode(slots_, static_cast<u32>(pc)));
            if (insn.form == Form::Exit) return r[0];
            u64 next = pc + static_cast<u64>(insn.slots());
            TRY(step(insn, pc, depth, r, next));
            pc = next;
        }
    }

  private:
    using Registers = std::array<u64, 11>;

    Status step(const Insn& i, u64 pc, int depth, Registers& r, u64& next) {
        const u64 imm = static_cast<u64>(i.imm);
        const auto jump = [&](i64 distance) { next = pc + 1 + static_cast<u64>(distance); };
        switch (i.form) {
            case Form::AluReg:
                r[i.dst] = isa::eval_alu(i.alu(), i.width, r[i.dst], r[i.src]);
                break;
            case Form::AluImm:
                r[i.dst] = isa::eval_alu(i.alu(), i.width, r[i.dst], imm);
                break;
            case Form::Neg:
                r[i.dst] = isa::eval_neg(i.width, r[i.dst]);
                break;
            case Form::MovSx:
                r[i.dst] = isa::eval_movsx(i.width, i.from_bits, r[i.src]);
                break;
            case Form::Endian:
                r[i.dst] = isa::eval_endian(i.endian(), i.width, r[i.dst]);
                break;
            case Form::Load:
            case Form::LoadSx:
                return load(i, r);
            case Form::StoreReg:
                return write(r[i.dst] + offset(i), i.width, r[i.src]);
            case Form::StoreImm:
                return write(r[i.dst] + offset(i), i.width, imm);
            case Form::Atomic:
                return atomic(i, r);
            case Form::JmpReg:
                if (isa::eval_cond(i.cond(), i.width, r[i.dst], r[i.src])) jump(i.off);
                break;
            case Form::JmpImm:
                if (isa::eval_cond(i.cond(), i.width, r[i.dst], imm)) jump(i.off);
                break;
            case Form::MayGoto:
                if (may_goto_ == 0) {
                    jump(i.off);
                } else {
                    --may_goto_;
                }
                break;
            case Form::Ja:
                jump(i.imm);
                break;
            case Form::Call:
                if (i.call() == isa::CallKind::Local) {
                    TRY_ASSIGN(r[0], call(pc + 1 + imm, {r[1], r[2], r[3], r[4], r[5]}, depth + 1));
                    return {};
                }
                return helper(static_cast<u32>(i.imm), r);
            case Form::CallReg:
                return helper(static_cast<u32>(r[i.dst]), r);
            case Form::Wide:
                if (i.wide() != isa::WideKind::Imm64)
                    return fail(Errc::Unsupported, at_insn(pc), "wide");
                r[i.dst] = imm;
                break;
            case Form::LegacyLoad:
                return fail(Errc::Unsupported, at_insn(pc), "packet load");
            case Form::Exit:
                break;
        }
        return {};
    }

    static u64 offset(const Insn& i) { return static_cast<u64>(i64{i.off}); }

    Status helper(u32 number, Registers& r) {
        const auto found = helpers_.find(number);
        if (found == helpers_.end()) return fail(Errc::UnresolvedSymbol, {}, "helper", number);
        code::Invocation invocation;
        r[0] = found->second(r[1], r[2], r[3], r[4], r[5], &invocation);
        return {};
    }

    // The bytes at `address`, which must lie in the memory or on the stack.
    Result<std::byte*> at(u64 address, isa::Width width) {
        const u64 size = static_cast<u64>(isa::bytes(width));
        for (const MutableBytes area : {memory_, MutableBytes(stack_)}) {
            const u64 begin = reinterpret_cast<u64>(area.data());
            if (address >= begin && size <= area.size() && address - begin <= area.size() - size) {
                return area.data() + (address - begin);
            }
        }
        return fail(Errc::Failed, {}, "address", address);
    }
    Result<u64> read(u64 address, isa::Width width) {
        TRY_ASSIGN(const std::byte* p, at(address, width));
        u64 value = 0;
        std::memcpy(&value, p, static_cast<std::size_t>(isa::bytes(width)));
        return value;
    }
    Status write(u64 address, isa::Width width, u64 value) {
        TRY_ASSIGN(std::byte * p, at(address, width));
        std::memcpy(p, &value, static_cast<std::size_t>(isa::bytes(width)));
        return {};
    }

    Status load(const Insn& i, Registers& r) {
        TRY_ASSIGN(const u64 value, read(r[i.src] + offset(i), i.width));
        r[i.dst] = value;
        if (i.form == Form::LoadSx) {
            r[i.dst] = isa::eval_movsx(isa::Width::W64, static_cast<u8>(isa::bits(i.width)), value);
        }
        return {};
    }

    Status atomic(const Insn& i, Registers& r) {
        const u64 address = r[i.dst] + offset(i);
        TRY_ASSIGN(const u64 old, read(address, i.width));
        TRY(write(address, i.width, isa::eval_atomic(i.atomic(), i.width, old, r[i.src], r[0])));
        if (i.atomic() == AtomicOp::CmpXchg) {
            r[0] = old;
        } else if (i.atomic() >= AtomicOp::FetchAdd) {
            r[i.src] = old;
        }
        return {};
    }

    Bytes slots_;
    MutableBytes memory_;
    const Helpers& helpers_;
    std::array<std::byte, isa::kMaxCallDepth * isa::kStackSize> stack_{};
    u64 steps_ = 0;
    u64 may_goto_ = code::kMaxMayGoto;
};

}  // namespace

Result<u64> ReferenceEngine::run(Bytes slots, MutableBytes memory, const Helpers& helpers) {
    const u64 r1 = memory.empty() ? 0 : reinterpret_cast<u64>(memory.data());
    return Machine(slots, memory, helpers).call(0, {r1, memory.size()}, 0);
}

}  // namespace ebpf::engines
