// SPDX-License-Identifier: MIT
#include "ir/lower.hpp"

#include "spec/helpers.hpp"

namespace ebpf::ir {
namespace {

using isa::Form;

std::unexpected<Error> differs(Where where, const char* what, u64 arg) {
    return fail(Errc::Unsupported, where, what, arg);
}

bool is_load(const isa::Insn& insn) {
    return insn.form == Form::Load || insn.form == Form::LoadSx;
}

// dst = 0: the high part of a field that is shorter in the native layout.
isa::Insn zero(isa::Reg dst) {
    return {.form = Form::AluImm,
            .kind = static_cast<u8>(isa::AluOp::Mov),
            .width = isa::Width::W32,
            .dst = dst};
}

bool is_width(u32 size) {
    return size == 1 || size == 2 || size == 4 || size == 8;
}

// A pointer is loaded whole: all of the dialect's field becomes all of the native one.
Status lower_pointer(isa::Insn& insn, const spec::ContextField& field, u32 delta, Where where) {
    if (insn.form != Form::Load || delta != 0 || bytes(insn.width) != field.size) {
        return differs(where, "access to a part of a pointer in the context", field.offset);
    }
    if (!is_width(field.native_size)) {
        return differs(where, "size of a pointer in the context", field.native_size);
    }
    insn.width = static_cast<isa::Width>(field.native_size);
    insn.off = static_cast<i16>(field.native_offset);
    return {};
}

Status lower_scalar(isa::Insn& insn, const spec::ContextField& field, u32 delta, Where where) {
    const u32 width = static_cast<u32>(bytes(insn.width));
    const u32 place = u32{field.native_offset} + delta;
    if (field.size == field.native_size) {
        insn.off = static_cast<i16>(place);
        return {};
    }
    // A store must not leave a part of the native field as it was.
    if (!is_load(insn))
        return differs(where, "store to a context field of another size", field.offset);
    if (delta + width <= field.native_size) {
        insn.off = static_cast<i16>(place);
        return {};
    }
    if (delta >= field.native_size) {
        insn = zero(insn.dst);
        return {};
    }
    // The load begins inside and ends outside: the rest is zero, which a plain load gives.
    const u32 inside = field.native_size - delta;
    if (!is_width(inside))
        return differs(where, "load across the end of a context field", field.offset);
    insn.form = Form::Load;
    insn.width = static_cast<isa::Width>(inside);
    insn.off = static_cast<i16>(place);
    return {};
}

Status lower_context_access(isa::Insn& insn, const spec::ContextDescriptor& context, Where where) {
    if (insn.off < 0) return fail(Errc::BadFormat, where, "context access before its start");
    const auto* field =
        context.find(static_cast<u32>(insn.off), static_cast<u32>(bytes(insn.width)));
    if (field == nullptr) {
        return fail(Errc::BadFormat, where, "context access outside its fields",
                    static_cast<u64>(insn.off));
    }
    const u32 delta = static_cast<u32>(insn.off) - field->offset;
    if (u32{field->native_offset} + field->native_size > 0x7fff) {
        return differs(where, "offset in the context", field->native_offset);
    }
    switch (field->kind) {
        case spec::FieldKind::Scalar:
            return lower_scalar(insn, *field, delta, where);
        case spec::FieldKind::PacketStart:
        case spec::FieldKind::PacketEnd:
        case spec::FieldKind::PacketMeta:
        case spec::FieldKind::Pointer:
            return lower_pointer(insn, *field, delta, where);
    }
    return {};
}

// To the helper's id; a kernel function is called as a helper is.
Status lower_call(isa::Insn& insn, const spec::ProgramTypeInfo* type, bool proven, bool reachable,
                  Where where) {
    const u32 number = static_cast<u32>(insn.imm);
    const bool kfunc = insn.call() == isa::CallKind::Kfunc;
    const spec::HelperProto* proto = type == nullptr ? nullptr
                                     : kfunc         ? spec::find_kfunc(*type, number)
                                                     : spec::find_helper(*type, number);
    if (proto == nullptr && proven && !reachable) {
        // Guarded by what this machine lacks. An engine need not know whom it would call.
        insn = {.form = Form::Exit};
        return {};
    }
    if (proto == nullptr && kfunc) return differs(where, "call of a kernel function", number);
    if (proto == nullptr && proven) {
        return fail(Errc::Unsupported, where, "helper that the program type does not have", number);
    }
    if (proto != nullptr && proto->id != spec::Helper::unspec) {
        insn.kind = static_cast<u8>(isa::CallKind::Helper);
        insn.imm = static_cast<i64>(proto->id);
        return {};
    }
    if ((number & kCustomHelperBit) != 0) {
        return fail(Errc::Unsupported, where, "number of a custom helper", number);
    }
    insn.imm = i64{number | kCustomHelperBit};
    return {};
}

}  // namespace

Result<Lowered> lower(const Program& program, const Facts& facts, const Environment& environment) {
    const bool proven = !facts.insns.empty();
    if (proven && facts.insns.size() != program.insns.size()) {
        return fail(Errc::BadFormat, {}, "facts of another program", facts.insns.size());
    }
    if (proven && environment.type == nullptr) {
        return fail(Errc::BadFormat, {}, "facts without a program type");
    }
    Lowered out{.program = program, .facts = facts};
    for (u32 i = 0; i < out.program.insns.size(); ++i) {
        isa::Insn& insn = out.program.insns[i];
        const Where where = at_insn(i < program.slot_of.size() ? program.slot_of[i] : i);
        if (insn.form == Form::Call && insn.call() != isa::CallKind::Local) {
            const bool reachable = !proven || facts.insns[i].reachable;
            TRY(lower_call(insn, environment.type, proven, reachable, where));
            continue;
        }
        if (!proven || facts.insns[i].memory != MemoryKind::Context) continue;
        if (!is_load(insn) && insn.form != Form::StoreReg && insn.form != Form::StoreImm) {
            return fail(Errc::Unsupported, where, "atomic access to the context");
        }
        TRY(lower_context_access(insn, environment.type->context, where));
        if (insn.form == Form::AluImm) out.facts.insns[i].memory = MemoryKind::Unknown;
    }
    return out;
}

}  // namespace ebpf::ir
