// SPDX-License-Identifier: MIT
//
// From slots to operations. Two passes over caller's memory: the first decodes, the second, which
// then knows where instructions begin, turns displacements into checked distances.
#include <new>

#include "interpreter/decoded.hpp"
#include "interpreter/interpreter.hpp"
#include "isa/codec.hpp"

namespace ebpf::interpreter {
namespace {

using code::CodeView;
using code::kCustomHelper;
using code::Relocation;
using code::RelocKind;
using code::Resolver;

// The handler of each row of isa's table, kCount where there is none.
constexpr auto kHandlerOf = [] {
    std::array<Handler, isa::kEncodings.size()> handlers{};
    handlers.fill(Handler::kCount);
    const auto put = [&](Form form, u8 kind, Width width, u8 from, Handler handler) {
        Insn insn;
        insn.form = form;
        insn.kind = kind;
        insn.width = width;
        insn.from_bits = from;
        const isa::Encoding* row = isa::find_encoding(insn);
        if (row != nullptr)
            handlers[static_cast<std::size_t>(row - isa::kEncodings.data())] = handler;
    };
#define HANDLER(name, form, kind, width, from, code) \
    put(Form::form, static_cast<u8>(kind), Width::width, from, Handler::name);
#include "interpreter/handlers.def"
    return handlers;
}();

// Every legal instruction has a handler but those that the header says are refused.
consteval bool complete() {
    for (std::size_t i = 0; i < isa::kEncodings.size(); ++i) {
        const isa::Encoding& row = isa::kEncodings[i];
        const bool refused =
            row.unsupported != nullptr || row.form == Form::LegacyLoad ||
            (row.form == Form::Call && static_cast<CallKind>(row.kind) == CallKind::Kfunc);
        if (refused != (kHandlerOf[i] == Handler::kCount)) return false;
    }
    return true;
}
static_assert(complete());

// What stands in for a second slot: no instruction begins there.
constexpr Handler kNoHandler = Handler::kCount;

class Preparer {
  public:
    Preparer(const CodeView& code, const Resolver& resolver, std::span<Op> ops,
             u64* register_helpers)
        : code_(code), resolver_(resolver), ops_(ops), register_helpers_(register_helpers) {}

    Status run() {
        for (u32 pc = 0; pc < ops_.size();) {
            TRY_ASSIGN(const Insn insn, isa::decode(code_.text, pc));
            TRY(translate(insn, pc));
            if (insn.slots() == 2) ops_[pc + 1] = Op{};
            last_ = insn;
            pc += static_cast<u32>(insn.slots());
        }
        if (!code_.relocations.empty() && next_ != code_.relocations.size()) {
            return fail(Errc::BadFormat, at_offset(code_.relocations[next_].offset),
                        "a relocation that no instruction takes");
        }
        if (last_.form != Form::Exit && last_.form != Form::Ja) {
            return fail(Errc::BadFormat, at_insn(ops_.size() - 1), "control runs off the end");
        }
        return check_targets();
    }

  private:
    Status translate(const Insn& insn, u32 pc) {
        const isa::Encoding* row = isa::find_encoding(insn);
        Op& op = ops_[pc];
        op.handler = kHandlerOf[static_cast<std::size_t>(row - isa::kEncodings.data())];
        op.dst = insn.dst;
        op.src = insn.src;
        op.off = insn.off;
        op.imm = static_cast<u64>(insn.imm);
        const Relocation* relocation = take_relocation(pc);
        switch (insn.form) {
            case Form::Wide:
                return wide(insn, relocation, pc, op);
            case Form::Call:
                if (insn.call() == CallKind::Helper) {
                    return resolved(relocation, RelocKind::Helper64, pc, "helper", op.imm);
                }
                if (insn.call() == CallKind::Kfunc) {
                    return fail(Errc::Unsupported, at_insn(pc), "call of a kernel function",
                                static_cast<u64>(insn.imm));
                }
                return distance(insn.imm, pc, op);
            case Form::Ja:
                TRY(distance(insn.imm, pc, op));
                break;
            case Form::LegacyLoad:
                return fail(Errc::Unsupported, at_insn(pc), "packet load");
            case Form::CallReg:
                op.imm = reinterpret_cast<u64>(register_helpers_);
                break;
            case Form::AluReg:
            case Form::AluImm:
            case Form::Neg:
            case Form::MovSx:
            case Form::Endian:
            case Form::Load:
            case Form::LoadSx:
            case Form::StoreReg:
            case Form::StoreImm:
            case Form::Atomic:
            case Form::JmpReg:
            case Form::JmpImm:
            case Form::MayGoto:
            case Form::Exit:
                break;
        }
        return none(relocation);
    }

    Status wide(const Insn& insn, const Relocation* relocation, u32 pc, Op& op) {
        switch (insn.wide()) {
            case WideKind::Imm64:
                return none(relocation);
            case WideKind::MapIndex:
                return resolved(relocation, RelocKind::Map64, pc, "map", op.imm);
            case WideKind::MapIndexValue:
                return resolved(relocation, RelocKind::MapValue64, pc, "map value", op.imm);
            case WideKind::Function:
                return function(insn, relocation, pc, op);
            case WideKind::MapFd:
            case WideKind::MapFdValue:
                return fail(Errc::Unsupported, at_insn(pc), "a descriptor that was not resolved");
            case WideKind::BtfId:
                return fail(Errc::Unsupported, at_insn(pc), "a BTF id that was not resolved");
        }
        return {};
    }

    // The address of a subprogram is that of its first operation. A relocation may say it again.
    Status function(const Insn& insn, const Relocation* relocation, u32 pc, Op& op) {
        const i64 target = i64{pc} + 1 + insn.imm;
        if (target < 0 || target >= static_cast<i64>(ops_.size())) {
            return fail(Errc::BadJumpTarget, at_insn(pc), "function");
        }
        if (relocation != nullptr &&
            (relocation->kind != RelocKind::Function64 ||
             relocation->addend != static_cast<u64>(target) * sizeof(isa::Slot))) {
            return none(relocation);
        }
        op.off = static_cast<i32>(insn.imm);
        op.imm = reinterpret_cast<u64>(&ops_[static_cast<std::size_t>(target)]) ^
                 code::kInterpretedFunction;
        return {};
    }

    Status distance(i64 displacement, u32 pc, Op& op) {
        if (displacement != static_cast<i32>(displacement)) {
            return fail(Errc::BadJumpTarget, at_insn(pc), "target");
        }
        op.off = static_cast<i32>(displacement);
        return {};
    }

    // The relocation at slot `pc`, if any. Relocations are in ascending order (code::validate).
    const Relocation* take_relocation(u32 pc) {
        if (next_ == code_.relocations.size()) return nullptr;
        const Relocation& r = code_.relocations[next_];
        if (r.offset != u64{pc} * sizeof(isa::Slot)) return nullptr;
        ++next_;
        return &r;
    }

    Status none(const Relocation* relocation) {
        if (relocation == nullptr) return {};
        return fail(Errc::BadFormat, at_offset(relocation->offset),
                    "a relocation that does not fit its instruction");
    }

    Status resolved(const Relocation* relocation, RelocKind kind, u32 pc, const char* what,
                    u64& value) {
        if (relocation == nullptr) return fail(Errc::UnresolvedSymbol, at_insn(pc), what, value);
        if (relocation->kind != kind) return none(relocation);
        TRY_ASSIGN(value,
                   resolver_.resolve(resolver_.self, kind, relocation->index, relocation->addend));
        if (value == 0) return fail(Errc::UnresolvedSymbol, at_insn(pc), what, relocation->index);
        return {};
    }

    // Decoded again, because an operation no longer tells its form.
    Status check_targets() {
        for (u32 pc = 0; pc < ops_.size();) {
            TRY_ASSIGN(const Insn insn, isa::decode(code_.text, pc));
            const bool has_target = insn.is_jump() ||
                                    (insn.form == Form::Call && insn.call() == CallKind::Local) ||
                                    (insn.form == Form::Wide && insn.wide() == WideKind::Function);
            if (has_target) {
                const i64 target = i64{pc} + 1 + ops_[pc].off;
                if (target < 0 || target >= static_cast<i64>(ops_.size()) ||
                    ops_[static_cast<std::size_t>(target)].handler == kNoHandler) {
                    return fail(Errc::BadJumpTarget, at_insn(pc), "target",
                                static_cast<u64>(target));
                }
            }
            pc += static_cast<u32>(insn.slots());
        }
        return {};
    }

    const CodeView& code_;
    const Resolver& resolver_;
    std::span<Op> ops_;
    u64* register_helpers_;
    std::size_t next_ = 0;
    Insn last_;
};

struct Layout {
    u64 slots = 0;
    u64 register_helpers = 0;  // offset, 0 when the program has no call by register
    u64 size = 0;
};

Result<Layout> layout_of(const CodeView& code) {
    TRY(code::validate(code));
    if (code.engine != code::EngineKind::Interpreter) {
        return fail(Errc::InvalidArgument, {}, "code of another engine");
    }
    Layout layout;
    layout.slots = code.text.size() / sizeof(isa::Slot);
    if (layout.slots > isa::kMaxSlots) return fail(Errc::TooLarge, {}, "slots", layout.slots);
    layout.size = sizeof(Header) + layout.slots * sizeof(Op);
    for (u32 pc = 0; pc < layout.slots;) {
        TRY_ASSIGN(const Insn insn, isa::decode(code.text, pc));
        if (insn.form == Form::CallReg) {
            layout.register_helpers = layout.size;
            layout.size += code::kRegisterHelpers * sizeof(u64);
            break;
        }
        pc += static_cast<u32>(insn.slots());
    }
    return layout;
}

Result<u64> prepared_size(const CodeView& code) {
    TRY_ASSIGN(const Layout layout, layout_of(code));
    return layout.size;
}

Status prepare(const CodeView& code, const Resolver& resolver, MutableBytes memory) {
    TRY_ASSIGN(const Layout layout, layout_of(code));
    if (memory.size() < layout.size || reinterpret_cast<u64>(memory.data()) % alignof(Op) != 0) {
        return fail(Errc::InvalidArgument, {}, "memory", memory.size());
    }
    Op* const ops = reinterpret_cast<Op*>(memory.data() + sizeof(Header));
    for (u64 i = 0; i < layout.slots; ++i) new (&ops[i]) Op{};
    u64* table = nullptr;
    if (layout.register_helpers != 0) {
        table = reinterpret_cast<u64*>(memory.data() + layout.register_helpers);
        for (u32 n = 0; n < code::kRegisterHelpers; ++n) {
            const Result<u64> address =
                resolver.resolve(resolver.self, RelocKind::Helper64, kCustomHelper | n, 0);
            table[n] = address.value_or(0);
        }
    }
    TRY(Preparer(code, resolver, {ops, layout.slots}, table).run());
    const u32 entry = code.entry / sizeof(isa::Slot);
    if (ops[entry].handler == kNoHandler) return fail(Errc::BadJumpTarget, at_insn(entry), "entry");
    new (memory.data()) Header{.entry = ops + entry};
    return {};
}

}  // namespace

Result<u32> relocations_of(Bytes slots, std::span<Relocation> out) {
    u32 count = 0;
    for (u32 pc = 0; pc < slots.size() / sizeof(isa::Slot);) {
        TRY_ASSIGN(const Insn insn, isa::decode(slots, pc));
        Relocation r{.offset = pc * u32{sizeof(isa::Slot)}};
        if (insn.form == Form::Call && insn.call() == CallKind::Helper) {
            r.kind = RelocKind::Helper64;
            r.index = static_cast<u32>(insn.imm);
        } else if (insn.form == Form::Wide && insn.wide() == WideKind::MapIndex) {
            r.kind = RelocKind::Map64;
            r.index = insn.map_index();
        } else if (insn.form == Form::Wide && insn.wide() == WideKind::MapIndexValue) {
            r.kind = RelocKind::MapValue64;
            r.index = insn.map_index();
            r.addend = insn.map_value_offset();
        }
        if (r.kind != RelocKind{}) {
            if (count < out.size()) out[count] = r;
            ++count;
        }
        pc += static_cast<u32>(insn.slots());
    }
    return count;
}

u64 run(const void* prepared, void* r1, u64 r2, code::Invocation* invocation);
u64 call(code::Invocation* invocation, u64 function, const u64 args[5]);

const code::EngineOps kEngine = {
    .kind = code::EngineKind::Interpreter,
    .name = "interpreter",
    .prepared_size = prepared_size,
    .prepare = prepare,
    .run = run,
    .call = call,
};

}  // namespace ebpf::interpreter
