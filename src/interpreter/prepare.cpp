// SPDX-License-Identifier: MIT
//
// From slots to operations, in caller's memory: where instructions begin and where control comes
// from elsewhere, then what each becomes, and in the end, when that is known, distances.
#include <new>

#include "interpreter/interpreter.hpp"
#include "interpreter/select.hpp"
#include "interpreter/sequences.hpp"
#include "isa/codec.hpp"

namespace ebpf::interpreter {
namespace {

using code::CodeView;
using code::kCustomHelper;
using code::Relocation;
using code::RelocKind;
using code::Resolver;

// Of each slot, while preparing: whether an instruction begins there, whether something jumps
// there, and in the end which operation it became part of.
using Place = u32;
constexpr Place kInside = ~Place{0};
constexpr Place kTarget = kInside - 1;

// What prepare() works in; `ops` gets shorter as operations are found to be part of others.
struct Memory {
    std::span<Op> ops;
    std::span<Place> places;
    u64* register_helpers = nullptr;
};

class Preparer {
  public:
    Preparer(const CodeView& code, const Resolver& resolver, const Memory& memory)
        : code_(code),
          resolver_(resolver),
          ops_(memory.ops),
          places_(memory.places),
          register_helpers_(memory.register_helpers) {}

    Result<const Op*> run() {
        TRY(find_instructions());
        TRY(find_targets());
        TRY(translate_all());
        TRY(set_targets());
        fuse(ops_.first(count_));
        return &ops_[places_[entry()]];
    }

  private:
    template <typename Visit>
    Status each_insn(Visit visit) {
        for (u32 pc = 0; pc < places_.size();) {
            TRY_ASSIGN(const Insn insn, isa::decode(code_.text, pc));
            TRY(visit(insn, pc));
            pc += static_cast<u32>(insn.slots());
        }
        return {};
    }

    Status find_instructions() {
        Form last{};
        TRY(each_insn([&](const Insn& insn, u32 pc) -> Status {
            places_[pc] = 0;
            if (insn.slots() == 2) places_[pc + 1] = kInside;
            last = insn.form;
            return {};
        }));
        if (last != Form::Exit && last != Form::Ja)
            return fail(Errc::BadFormat, at_insn(places_.size() - 1), "control runs off the end");
        return {};
    }

    Status find_targets() {
        if (places_[entry()] == kInside)
            return fail(Errc::BadJumpTarget, at_insn(entry()), "entry");
        places_[entry()] = kTarget;
        return each_insn([&](const Insn& insn, u32 pc) -> Status {
            if (!has_target(insn)) return {};
            const i64 target = target_of(insn, pc);
            if (target < 0 || target >= static_cast<i64>(places_.size()) ||
                places_[static_cast<std::size_t>(target)] == kInside) {
                return fail(Errc::BadJumpTarget, at_insn(pc), "target", static_cast<u64>(target));
            }
            places_[static_cast<std::size_t>(target)] = kTarget;
            return {};
        });
    }

    Status translate_all() {
        TRY(each_insn([&](const Insn& insn, u32 pc) -> Status {
            TRY_ASSIGN(Op op, translate(insn, pc));
            const bool reached = places_[pc] == kTarget;
            if (!reached && count_ != 0 && merge(ops_[count_ - 1], op, insn)) --count_;
            places_[pc] = count_;
            if (reached) op.handler |= kReached;
            ops_[count_++] = op;
            return {};
        }));
        if (!code_.relocations.empty() && next_ != code_.relocations.size()) {
            return fail(Errc::BadFormat, at_offset(code_.relocations[next_].offset),
                        "a relocation that no instruction takes");
        }
        return {};
    }

    Status set_targets() {
        return each_insn([&](const Insn& insn, u32 pc) -> Status {
            if (!has_target(insn)) return {};
            Op& op = ops_[places_[pc]];
            const Op& target = ops_[places_[static_cast<std::size_t>(target_of(insn, pc))]];
            if (insn.form == Form::Wide)  // the address of a subprogram is its first operation's
                op.imm = reinterpret_cast<u64>(&target) ^ code::kInterpretedFunction;
            else
                op.branch.distance = static_cast<i32>((&target - &op) * i64{sizeof(Op)});
            return {};
        });
    }

    u32 entry() const { return code_.entry / u32{sizeof(isa::Slot)}; }

    static i64 target_of(const Insn& insn, u32 pc) {
        return i64{pc} + 1 + (insn.is_jump() ? insn.displacement() : insn.imm);
    }

    Result<Op> translate(const Insn& insn, u32 pc) {
        const Relocation* relocation = take_relocation(pc);
        if (!handler_of(insn)) {
            return fail(Errc::Unsupported, at_insn(pc),
                        insn.form == Form::LegacyLoad ? "packet load" : "call of a kernel function",
                        static_cast<u64>(insn.imm));
        }
        Op op = select(insn);
        if (insn.form == Form::Wide) {
            TRY(wide(insn, relocation, pc, op));
        } else if (insn.form == Form::Call && insn.call() == CallKind::Helper) {
            op.imm = static_cast<u64>(insn.imm);
            TRY(resolved(relocation, RelocKind::Helper64, pc, "helper", op.imm));
        } else {
            if (insn.form == Form::CallReg) op.imm = reinterpret_cast<u64>(register_helpers_);
            TRY(none(relocation));
        }
        return op;
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
                return function(insn, relocation, pc);
            case WideKind::MapFd:
            case WideKind::MapFdValue:
                return fail(Errc::Unsupported, at_insn(pc), "a descriptor that was not resolved");
            case WideKind::BtfId:
                return fail(Errc::Unsupported, at_insn(pc), "a BTF id that was not resolved");
        }
        return {};
    }

    // Its address needs no relocation, but one may say it again.
    Status function(const Insn& insn, const Relocation* relocation, u32 pc) {
        if (relocation != nullptr &&
            (relocation->kind != RelocKind::Function64 ||
             relocation->addend != static_cast<u64>(target_of(insn, pc)) * sizeof(isa::Slot))) {
            return none(relocation);
        }
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

    const CodeView& code_;
    const Resolver& resolver_;
    std::span<Op> ops_;
    std::span<Place> places_;
    u64* register_helpers_;
    u32 count_ = 0;         // operations so far
    std::size_t next_ = 0;  // relocation
};

// A header, operations, the table of helpers, and a place for each slot.
struct Layout {
    u64 slots = 0;
    u64 register_helpers = 0;  // offset, 0 when the program has no call by register
    u64 places = 0;            // offset
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
    layout.places = layout.size;
    layout.size += (layout.slots * sizeof(Place) + alignof(Op) - 1) / alignof(Op) * alignof(Op);
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
    Place* const places = reinterpret_cast<Place*>(memory.data() + layout.places);
    u64* table = nullptr;
    if (layout.register_helpers != 0) {
        table = reinterpret_cast<u64*>(memory.data() + layout.register_helpers);
        for (u32 n = 0; n < code::kRegisterHelpers; ++n) {
            const Result<u64> address =
                resolver.resolve(resolver.self, RelocKind::Helper64, kCustomHelper | n, 0);
            table[n] = address.value_or(0);
        }
    }
    Preparer preparer(code, resolver, {{ops, layout.slots}, {places, layout.slots}, table});
    TRY_ASSIGN(const Op* const entry, preparer.run());
    new (memory.data()) Header{.entry = entry};
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
