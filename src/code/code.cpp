// SPDX-License-Identifier: MIT
#include "base/byte_reader.hpp"
#include "code/engine.hpp"

namespace ebpf::code {
namespace {

constexpr u32 kPointer = 8;  // bytes that a relocation fills in machine code
constexpr u32 kNear = 4;     // ... or this many
constexpr u32 kSlot = 8;     // an interpreter's instruction
constexpr u32 kUnwindAlignment = 4;

bool is_near(RelocKind kind) {
    return kind == RelocKind::HelperNear32 || kind == RelocKind::LookupNear32;
}

// Bytes of text that the relocation covers.
u32 extent(EngineKind engine, RelocKind kind) {
    if (engine != EngineKind::Interpreter) return is_near(kind) ? kNear : kPointer;
    return kind == RelocKind::Helper64 ? kSlot : 2 * kSlot;
}

bool is_known(EngineKind engine, RelocKind kind) {
    const bool any = kind >= RelocKind::Helper64 && kind <= RelocKind::Function64;
    const bool machine_code = kind >= RelocKind::HelperOrNull64 && kind <= RelocKind::LookupNear32;
    return any || (machine_code && engine != EngineKind::Interpreter);
}

// An offset in text that can be entered or called.
Status check_code_offset(const CodeView& code, u32 offset, Where where, const char* what) {
    if (offset >= code.text.size()) return fail(Errc::OutOfBounds, where, what, offset);
    if (code.engine == EngineKind::Interpreter && offset % kSlot != 0) {
        return fail(Errc::BadFormat, where, what, offset);
    }
    return {};
}

Status check_relocation(const CodeView& code, const Relocation& r) {
    const Where where = at_offset(r.offset);
    if (!is_known(code.engine, r.kind))
        return fail(Errc::BadFormat, where, "relocation kind", static_cast<u8>(r.kind));
    for (const u8 byte : r.reserved) {
        if (byte != 0) return fail(Errc::ReservedField, where, "relocation", byte);
    }
    if (!slice(code.text, r.offset, extent(code.engine, r.kind))) {
        return fail(Errc::OutOfBounds, where, "relocation");
    }
    if (code.engine == EngineKind::Interpreter && r.offset % kSlot != 0) {
        return fail(Errc::BadFormat, where, "relocation between instructions");
    }
    switch (r.kind) {
        case RelocKind::HelperNear32:
        case RelocKind::HelperOrNull64:
        case RelocKind::Helper64:
            if (r.addend != 0) return fail(Errc::ReservedField, where, "addend", r.addend);
            return {};
        case RelocKind::Map64:
        case RelocKind::ObjectSlots64:
        case RelocKind::Lookup64:
        case RelocKind::LookupNear32:
            if (r.addend != 0) return fail(Errc::ReservedField, where, "addend", r.addend);
            [[fallthrough]];
        case RelocKind::ArrayValues64:
        case RelocKind::MapValue64:
            if (r.index >= code.map_count)
                return fail(Errc::OutOfBounds, where, "map index", r.index);
            return {};
        case RelocKind::Function64:
            if (r.index != 0) return fail(Errc::ReservedField, where, "index", r.index);
            return check_code_offset(code, r.addend, where, "function");
    }
    return {};
}

Status check_engine(const CodeView& code) {
    switch (code.engine) {
        case EngineKind::Interpreter:
            if (code.cpu != Cpu::None)
                return fail(Errc::InvalidArgument, {}, "cpu of an interpreter");
            if (code.text.size() % kSlot != 0) return fail(Errc::Truncated, {}, "instructions");
            return {};
        case EngineKind::Jit:
        case EngineKind::Native:
            if (code.cpu != Cpu::X86_64 && code.cpu != Cpu::AArch64) {
                return fail(Errc::InvalidArgument, {}, "cpu", static_cast<u8>(code.cpu));
            }
            return {};
    }
    return fail(Errc::InvalidArgument, {}, "engine", static_cast<u8>(code.engine));
}

}  // namespace

Status validate(const CodeView& code) {
    TRY(check_engine(code));
    if (code.text.size() > ~u32{0}) return fail(Errc::TooLarge, {}, "text", code.text.size());
    TRY(check_code_offset(code, code.entry, at_offset(code.entry), "entry"));
    if (!slice(code.text, code.unwind.offset, code.unwind.size))
        return fail(Errc::OutOfBounds, at_offset(code.unwind.offset), "unwind data");
    if (code.unwind.size != 0 &&
        (code.engine == EngineKind::Interpreter || code.unwind.offset % kUnwindAlignment != 0)) {
        return fail(Errc::BadFormat, at_offset(code.unwind.offset), "unwind data");
    }
    u64 free_from = 0;
    for (const Relocation& r : code.relocations) {
        TRY(check_relocation(code, r));
        if (r.offset < free_from)
            return fail(Errc::BadFormat, at_offset(r.offset), "overlapping relocations");
        free_from = u64{r.offset} + extent(code.engine, r.kind);
    }
    return {};
}

namespace {

// The direct way to what is near enough.
Status relocate_near(std::byte* place, const Relocation& r, const Resolver& resolver) {
    const bool lookup = r.kind == RelocKind::LookupNear32;
    TRY_ASSIGN(const u64 called,
               resolver.resolve(resolver.self, lookup ? RelocKind::Lookup64 : RelocKind::Helper64,
                                r.index, r.addend));
    if (called == 0)
        return fail(Errc::UnresolvedSymbol, at_offset(r.offset), "relocation", r.index);
    const i64 distance = static_cast<i64>(called - reinterpret_cast<u64>(place + kNear));
    if (distance == static_cast<i32>(distance)) store_le(place, static_cast<u32>(distance));
    return {};
}

}  // namespace

Status relocate(MutableBytes text, std::span<const Relocation> relocations,
                const Resolver& resolver) {
    for (const Relocation& r : relocations) {
        const Where where = at_offset(r.offset);
        if (!slice(text, r.offset, extent(EngineKind::Jit, r.kind)))
            return fail(Errc::OutOfBounds, where, "relocation");
        u64 value = 0;
        if (is_near(r.kind)) {
            TRY(relocate_near(text.data() + r.offset, r, resolver));
            continue;
        }
        if (r.kind == RelocKind::Function64) {
            if (r.addend >= text.size())
                return fail(Errc::OutOfBounds, where, "function", r.addend);
            value = reinterpret_cast<u64>(text.data() + r.addend);
        } else if (r.kind == RelocKind::HelperOrNull64) {
            const auto found =
                resolver.resolve(resolver.self, RelocKind::Helper64, r.index, r.addend);
            store_le(text.data() + r.offset, found.value_or(0));
            continue;
        } else {
            TRY_ASSIGN(value, resolver.resolve(resolver.self, r.kind, r.index, r.addend));
        }
        if (value == 0) return fail(Errc::UnresolvedSymbol, where, "relocation", r.index);
        store_le(text.data() + r.offset, value);
    }
    return {};
}

Status fault_status(u64 fault) {
    switch (static_cast<Fault>(fault)) {
        case Fault::None:
            return {};
        case Fault::OutOfFuel:
            return fail(Errc::Timeout, {}, "instructions of a run");
        case Fault::CallTooDeep:
            return fail(Errc::TooLarge, {}, "call depth");
        case Fault::BadHelper:
            return fail(Errc::UnresolvedSymbol, {}, "helper in a register");
        case Fault::Cancelled:
            return fail(Errc::Canceled, {}, "the run");
        case Fault::BadAccess:
            return fail(Errc::InvalidPointer, {}, "memory that the program may not use");
    }
    return fail(Errc::Failed, {}, "the program's run, fault", fault);
}

// Callers whose compiler checks the types of indirect calls look for a type in front of the
// function, where generated code has none.
#if defined(__clang__)
__attribute__((no_sanitize("function")))
#endif
u64 call_function(Invocation* invocation, u64 function, const u64 args[5]) {
    if (!is_interpreted_function(function)) {
        return reinterpret_cast<HelperFn>(function)(args[0], args[1], args[2], args[3], args[4],
                                                    invocation);
    }
    if (invocation->call_interpreted == nullptr) {
        invocation->fault = static_cast<u64>(Fault::BadHelper);
        return 0;
    }
    return invocation->call_interpreted(invocation, function, args);
}

}  // namespace ebpf::code
