// SPDX-License-Identifier: MIT
// Loads, stores and atomic operations of the program itself.
#include <algorithm>
#include <cstring>

#include "spec/map_types.hpp"
#include "verifier/analyzer.hpp"
#include "verifier/objects.hpp"
#include "verifier/planted.hpp"

namespace ebpf::verifier {

namespace {

using spec::RetKind;

ir::MemoryKind memory_kind(Kind kind) {
    switch (kind) {
        case Kind::Stack:
            return ir::MemoryKind::Stack;
        case Kind::Context:
            return ir::MemoryKind::Context;
        case Kind::Packet:
        case Kind::PacketMeta:
            return ir::MemoryKind::Packet;
        case Kind::MapValue:
            return ir::MemoryKind::MapValue;
        case Kind::Uninit:
        case Kind::Scalar:
        case Kind::PacketEnd:
        case Kind::Map:
        case Kind::Memory:
        case Kind::Object:
        case Kind::Typed:
        case Kind::Function:
        case Kind::Dynptr:
        case Kind::Iterator:
        case Kind::LentDynptr:
            return ir::MemoryKind::Other;
    }
    return ir::MemoryKind::Other;
}

std::string bytes_text(u64 n) {
    return std::to_string(n) + (n == 1 ? " byte" : " bytes");
}

const char* name_of(ir::MemoryKind kind) {
    switch (kind) {
        case ir::MemoryKind::Stack:
            return "the stack";
        case ir::MemoryKind::Context:
            return "the context";
        case ir::MemoryKind::Packet:
            return "the packet";
        case ir::MemoryKind::MapValue:
            return "a map value";
        case ir::MemoryKind::Unknown:
        case ir::MemoryKind::Other:
            break;
    }
    return "other memory";
}

}  // namespace

bool Analyzer::note_memory(Kind kind) {
    const ir::MemoryKind now = memory_kind(kind);
    ir::MemoryKind& fact = facts_.insns[now_.pc].memory;
    if (fact == ir::MemoryKind::Unknown) {
        fact = now;
    } else if (fact != now) {
        if (fact == ir::MemoryKind::Context || now == ir::MemoryKind::Context) {
            return reject(DiagnosticCode::MixedContext,
                          "this instruction accesses the context on one path and " +
                              std::string(name_of(now == ir::MemoryKind::Context ? fact : now)) +
                              " on another");
        }
        insn_notes_[now_.pc].memory_differs = true;
    }
    return true;
}

// [base + off, base + off + size) lies in the memory that `base` points into. Not for the stack and
// the context. `what` names the pointer in messages.
bool Analyzer::check_region(const std::string& what, const Reg& base, i64 off, u64 size,
                            Access access) {
    const i64 fixed = base.off + off;
    // Pointers have small offsets; a number used as an address may be anything.
    const bool pointer = base.is_pointer();
    const i64 lo = pointer ? base.num.smin() + fixed : 0,
              hi = pointer ? base.num.smax() + fixed : 0;
    const i64 end = hi + static_cast<i64>(size);
    const bool write = access != Access::Read;
    if (base.nullable && base.kind != Kind::Typed && !planted(205)) {
        return reject(DiagnosticCode::NullPointer,
                      what + " may be null here: it is " + to_string(base));
    }
    switch (base.kind) {
        case Kind::Packet:
        case Kind::PacketMeta: {
            const char* const limit = base.kind == Kind::Packet ? "data_end" : "data";
            if (write && !environment_.type->packet_writable) {
                return reject(
                    DiagnosticCode::PacketReadOnly,
                    std::string(environment_.type->name) + " programs may not write packets");
            }
            if (lo < 0 && !planted(201)) {
                return reject(DiagnosticCode::PacketBounds,
                              what + " may point before the packet: its offset is " +
                                  std::to_string(lo) + " or more");
            }
            // The start itself may lie beyond the end.
            const i64 needed = fixed + static_cast<i64>(size);
            const bool there =
                base.reach() >= 0 && needed <= static_cast<i64>(base.size) + (planted(200) ? 1 : 0);
            if (!there && !ends_in_packet(base, needed, Reg::constant(0))) {
                const std::string reach = std::to_string(needed);
                const bool variable = !base.num.is_constant() || base.num.value() != 0;
                const std::string start = variable
                                              ? "its variable start (" + to_string(base.num) + ")"
                                              : std::string("the start of the packet");
                return reject(
                    DiagnosticCode::PacketBounds,
                    "the access through " + what + " reaches " + reach + " bytes from " + start +
                        ", of which " +
                        (base.size == 0 ? std::string("none is") : bytes_text(base.size) + " are") +
                        " proven to be there",
                    {"compare the pointer plus " + reach + " with " + limit +
                     " on the way here: if (" + (variable ? "p" : "data") + " + " + reach + " > " +
                     limit + ") return ...;"});
            }
            return true;
        }
        case Kind::MapValue: {
            const ir::MapDef& m = map(base.index);
            const bool read_only =
                m.programs_only_read() || spec::info(m.type).holds != spec::Holds::Bytes;
            if (write && read_only && !planted(208)) {
                return reject(DiagnosticCode::MapReadOnly,
                              "map " + m.name + " is read-only for programs");
            }
            if (!write && (m.flags & spec::kMapWriteOnlyProgram)) {
                return reject(DiagnosticCode::MapReadOnly,
                              "map " + m.name + " is write-only for programs");
            }
            if ((lo < 0 && !planted(202)) ||
                (planted(203) ? hi : end) > static_cast<i64>(m.value_size)) {
                return reject(DiagnosticCode::MapValueBounds,
                              "the access through " + what + " touches bytes " +
                                  std::to_string(lo) + " to " + std::to_string(end - 1) +
                                  " of a value of map " + m.name + ", which has " +
                                  bytes_text(m.value_size),
                              {"the offset must lie in 0 to " +
                               std::to_string(i64{m.value_size} - static_cast<i64>(size))});
            }
            const auto overlaps = [&](i32 field, i64 field_size) {
                return field >= 0 && lo < field + field_size && end > field;
            };
            if (overlaps(m.spin_lock_offset, 4) || overlaps(m.timer_offset, 16)) {
                return reject(DiagnosticCode::MapField,
                              "the access touches the lock or timer of map " + m.name);
            }
            return true;
        }
        case Kind::Memory:
            if (write && (base.object & (kReadOnly | kIteratorNumber)) != 0)
                return reject(DiagnosticCode::MapReadOnly, what + " points to read-only memory");
            if (lo < 0 || end > static_cast<i64>(base.size) + (planted(204) ? 4 : 0)) {
                return reject(DiagnosticCode::MemoryBounds,
                              "the access through " + what + " touches bytes " +
                                  std::to_string(lo) + " to " + std::to_string(end - 1) + " of " +
                                  bytes_text(base.size));
            }
            return true;
        case Kind::Object:
            return check_object_access(what, base, fixed, size, access);
        case Kind::Typed:
            return check_typed_access(what, base, fixed, size, access);
        case Kind::Uninit:
        case Kind::Scalar:
        case Kind::Context:
        case Kind::Stack:
        case Kind::PacketEnd:
        case Kind::Map:
        case Kind::Function:
        case Kind::Dynptr:
        case Kind::Iterator:
        case Kind::LentDynptr:
            break;
    }
    // Arguments of traced functions are pointers that only the kernel's types describe.
    if (base.is_scalar() && !base.is_constant() && environment_.type->typed_arguments() &&
        !environment_.arguments)
        return unsupported(what +
                           " is read through; the types of the kernel that could say what it "
                           "points to are not there, and access without them");
    std::vector<std::string> notes;
    if (base.is_constant() && base.num.value() == 0) notes.push_back("on this path it is null");
    return reject(
        DiagnosticCode::BadAddress,
        what + " is used as an address but is " + name(base.kind) + ": " + to_string(base),
        std::move(notes));
}

bool Analyzer::check_object_access(const std::string& what, const Reg& base, i64 at, u64 size,
                                   Access access) {
    const auto kind = static_cast<RetKind>(base.object);
    const bool socket = kind == RetKind::SocketOrNull || kind == RetKind::SocketCommonOrNull ||
                        kind == RetKind::TcpSocketOrNull;
    if (!socket) return unsupported("reading the fields of a kernel object");
    if (access != Access::Read) {
        return reject(DiagnosticCode::BadAddress,
                      what + " is " + to_string(base) + ", whose fields can only be read");
    }
    if (at < 0 || !object_field(kind, static_cast<u32>(at), static_cast<u32>(size))) {
        return reject(DiagnosticCode::BadAddress,
                      "bytes " + std::to_string(at) + " to " +
                          std::to_string(at + static_cast<i64>(size) - 1) + " of " +
                          to_string(base) + " are no field that may be read in this way",
                      {kind == RetKind::SocketCommonOrNull
                           ? "type, protocol, mark and priority are there after bpf_sk_fullsock()"
                           : "read a whole field of the structure"});
    }
    return true;
}

bool Analyzer::check_access(isa::Reg base_register, i32 off, int size, Access access) {
    Reg& base = reg(base_register);
    const std::string what = register_name(base_register);
    sharpen_for(base, off, size);
    if (base.kind == Kind::Stack) {
        const i64 lo = isa::kStackSize + base.num.smin() + base.off + off;
        const i64 hi = isa::kStackSize + base.num.smax() + base.off + off;
        if (lo < 0 || (planted(206) ? lo : hi) + size > isa::kStackSize) {
            return reject(DiagnosticCode::StackBounds,
                          "the access through " + what + " touches bytes r10" +
                              (lo <= isa::kStackSize ? "" : "+") +
                              std::to_string(lo - isa::kStackSize) + " to r10" +
                              (hi + size - 1 < isa::kStackSize ? "" : "+") +
                              std::to_string(hi + size - 1 - isa::kStackSize) +
                              " of the stack, which reaches from r10-512 to r10-1");
        }
        u32& used = facts_.stack_used[now_.frames[base.frame].subprogram];
        used = std::max(used, static_cast<u32>(isa::kStackSize - lo));
    } else if (base.kind != Kind::Context &&
               !check_region(what, base, off, static_cast<u64>(size), access)) {
        return false;
    }
    if (access == Access::Atomic || options_.strict_alignment) {
        const bool other = base.kind == Kind::Packet || base.kind == Kind::PacketMeta ||
                           base.kind == Kind::Context || base.is_packet_slice();
        if (access == Access::Atomic && other) {
            return reject(DiagnosticCode::BadAddress, std::string("atomic operations on ") +
                                                          name(base.kind) + " are not possible");
        }
        const Tnum at = base.num.bits + Tnum::constant(static_cast<u64>(i64{base.off} + off));
        if (((at.max() | at.value) & static_cast<u64>(size - 1)) && !planted(209)) {
            return reject(DiagnosticCode::Misaligned, "the access through " + what +
                                                          " is not aligned to " +
                                                          std::to_string(size) + " bytes");
        }
    }
    return note_memory(base.kind);
}

// Pointers of the context: the socket that it is about, of which the program type decides the kind
// and whether there always is one; and what a flow dissector fills (Linux's bpf_flow_keys).
bool Analyzer::load_context_pointer(const spec::ContextField& field, Reg& out) {
    using spec::ProgramType;
    const std::string_view field_name = field.name;
    if (field_name == "flow_keys") {
        out = Reg::pointer(Kind::Memory);
        out.size = kFlowKeysSize;
        return true;
    }
    if (field_name != "sk" && field_name != "migrating_sk")
        return unsupported("the context field " + std::string(field_name) + " (a pointer)");
    const ProgramType type = environment_.type->type;
    const bool own = field_name == "sk";
    const bool always =
        own && (type == ProgramType::CgroupSockAddr || type == ProgramType::SkMsg ||
                type == ProgramType::CgroupSockopt || type == ProgramType::SkReuseport);
    const bool full =
        always || (own && (type == ProgramType::SockOps || type == ProgramType::SkLookup));
    out = Reg::pointer(Kind::Object);
    out.object = static_cast<u8>(full ? RetKind::SocketOrNull : RetKind::SocketCommonOrNull);
    out.nullable = !always;
    if (out.nullable) out.id = fresh_id();
    return true;
}

bool Analyzer::load_context(const isa::Insn& i, const Reg& base, Reg& out) {
    if (environment_.arguments) return load_argument(i, base, out);
    const spec::ContextDescriptor& context = environment_.type->context;
    const u32 size = static_cast<u32>(isa::bytes(i.width));
    if (base.off != 0) {
        return reject(
            DiagnosticCode::ContextAccess,
            "the context pointer was moved by " + std::to_string(base.off) + " before the access",
            {"access its fields through the original pointer"});
    }
    const spec::ContextField* field =
        i.off < 0 ? nullptr : context.find(static_cast<u32>(i.off), size);
    if (field == nullptr) {
        return reject(DiagnosticCode::ContextBounds,
                      "bytes " + std::to_string(i.off) + " to " +
                          std::to_string(i.off + static_cast<i32>(size) - 1) +
                          " of the context are no field that " + environment_.type->name +
                          " programs may access");
    }
    const u32 inside = static_cast<u32>(i.off) - field->offset;
    const bool whole = inside == 0 && size == field->size;
    const bool scalar = field->kind == spec::FieldKind::Scalar;
    if (!whole && (!scalar || !field->narrow)) {
        return reject(DiagnosticCode::ContextAccess,
                      "the context field " + std::string(field->name) + " has " +
                          std::to_string(field->size) + " bytes and must be accessed whole");
    }
    if (inside % size != 0) {
        return reject(
            DiagnosticCode::ContextAccess,
            "the access is not aligned within the context field " + std::string(field->name));
    }
    if (scalar) {
        out = unknown(static_cast<int>(size));
        return true;
    }
    if (i.form != isa::Form::Load) {
        return reject(DiagnosticCode::ContextAccess,
                      "the context field " + std::string(field->name) +
                          " holds a pointer and must be loaded as it is");
    }
    if (field->kind == spec::FieldKind::Pointer) return load_context_pointer(*field, out);
    if (planted(319) && field->kind == spec::FieldKind::PacketEnd &&
        std::ranges::none_of(now_.top().regs, &Reg::is_packet)) {
        out = unknown(8);
        return true;
    }
    out = Reg::pointer(field->kind == spec::FieldKind::PacketStart ? Kind::Packet
                       : field->kind == spec::FieldKind::PacketEnd ? Kind::PacketEnd
                                                                   : Kind::PacketMeta);
    if (out.is_packet()) {
        // The packet did not move since other pointers to it were checked.
        out.set_reach(proven_by_others(out.kind, 0));
    }
    return true;
}

bool Analyzer::load_stack(const isa::Insn& i, const Reg& base, Reg& out) {
    const int size = isa::bytes(i.width);
    const int lo = static_cast<int>(isa::kStackSize + base.num.smin() + base.off + i.off);
    const int hi = static_cast<int>(isa::kStackSize + base.num.smax() + base.off + i.off);
    const int span = hi - lo + size;
    const Stack& stack = *now_.frames[base.frame].stack;
    mark_read(base.frame, granules(lo, span));
    if (const int at = stack.first_uninit(lo, planted(207) ? 1 : span); at >= 0) {
        return reject(DiagnosticCode::StackUninit, "the stack byte r10" +
                                                       std::to_string(at - isa::kStackSize) +
                                                       " is read but was not written on this path");
    }
    for (const Cell& c : stack.cells) {
        if ((c.reg.kind == Kind::Dynptr || c.reg.kind == Kind::Iterator) && c.off < lo + span &&
            c.end() > lo) {
            return reject(
                DiagnosticCode::StackUninit,
                std::string(name(c.reg.kind)) + " lies there, which only its functions may read");
        }
    }
    if (lo == hi || planted(101)) {
        if (const Cell* c = stack.exact(lo, size)) {
            out = c->reg;
            return true;
        }
    }
    if (stack.has_pointer(lo, span)) {
        if (!may_leak())
            return reject(DiagnosticCode::PointerLeak,
                          "part of a pointer on the stack is read as a number");
        out = unknown(size);
        return true;
    }
    out = unknown(size);
    if (lo != hi) return true;
    // Put together from constants, or a part of one number.
    u64 value = 0;
    u32 made_of = 0;
    int known = 0;
    for (const Cell& c : stack.cells) {
        if (c.end() <= lo || c.off >= lo + size) continue;
        if (c.off == lo && c.size > size) {
            const Scalar part = planted(102) ? c.reg.num : truncate(c.reg.num, size);
            Reg whole = c.reg;
            if (size < 4) whole.id = 0;
            out = low_half(whole, part);
            return true;
        }
        if (!c.reg.is_constant()) return true;
        for (int b = std::max(lo, int{c.off}); b < std::min(lo + size, c.end()); ++b, ++known) {
            value |= (c.reg.num.value() >> (8 * (b - c.off)) & 0xff)
                     << (planted(108) ? 8 * (b - c.off) : 8 * (b - lo));
        }
        made_of = needs_.combine(made_of, c.reg.need);
    }
    if (known == size) {
        out = Reg::constant(value);
        out.need = made_of;
    }
    return true;
}

// The bytes of frozen read-only data are constants of the program.
bool Analyzer::constant_data(const Reg& base, i32 off, int size, u64& out) const {
    if (base.kind != Kind::MapValue || !base.num.is_constant()) return false;
    const ir::MapDef& m = program_.maps[base.index];
    const i64 at = base.off + off + static_cast<i64>(base.num.value());
    if (!m.is_data_section || !m.read_only || !m.frozen || at < 0 ||
        at + size > static_cast<i64>(m.initial.size()))
        return false;
    out = 0;
    std::memcpy(&out, m.initial.data() + at, static_cast<std::size_t>(size));
    return true;
}

// The number behind what an iterator gave lies in the iterator's range.
Reg Analyzer::iterator_number(const Reg& base) {
    for (std::size_t f = 0; f < now_.frames.size(); ++f) {
        for (const Cell& c : now_.frames[f].stack->cells) {
            if (c.reg.kind != Kind::Iterator || c.reg.ref != base.ref) continue;
            mark_read(static_cast<u32>(f), granules(c.off, c.size));
            return Reg::scalar(c.reg.num, fresh_id());
        }
    }
    return unknown(4);
}

bool Analyzer::load(const isa::Insn& i) {
    if (!writable(i.dst) || !readable(i.src)) return false;
    const int size = isa::bytes(i.width);
    if (!check_access(i.src, i.off, size, Access::Read)) return false;
    const Reg base = reg(i.src);
    Reg out;
    u64 value = 0;
    if (base.kind == Kind::Context) {
        if (!load_context(i, base, out)) return false;
    } else if (base.kind == Kind::Stack) {
        if (!load_stack(i, base, out)) return false;
    } else if (base.kind == Kind::Typed) {
        out = load_typed(base, i64{base.off} + i.off, size);
    } else if (base.kind == Kind::Memory && base.object == kIteratorNumber && size == 4 &&
               base.num.is_constant()) {
        out = iterator_number(base);
    } else if (constant_data(base, i.off, size, value)) {
        out = Reg::constant(value);
    } else {
        out = unknown(planted(105) && size == 4 ? 2 : size);
    }
    if (i.form == isa::Form::LoadSx && !(planted(106) && out.is_scalar())) {
        if (!out.is_scalar())
            return reject(DiagnosticCode::BadAddress, "a pointer is loaded with sign extension");
        const Scalar extended = sign_extend(isa::Width::W64, 8 * size, out.num);
        if (!(extended == out.num)) {
            const u32 made_of = out.need;
            out = extended.is_constant() ? Reg::constant(extended.value())
                                         : Reg::scalar(extended, fresh_id());
            out.need = made_of;
        }
    }
    reg(i.dst) = out;
    return true;
}

bool Analyzer::store_stack(const Reg& base, i32 off, int size, const Reg& value, bool known) {
    const int lo = static_cast<int>(isa::kStackSize + base.num.smin() + base.off + off);
    const int hi = static_cast<int>(isa::kStackSize + base.num.smax() + base.off + off);
    if (value.kind == Kind::Stack && value.frame > base.frame) {
        return reject(DiagnosticCode::PointerLeak,
                      "a pointer to the own stack would be stored in the caller's, where it "
                      "outlives the frame");
    }
    const bool pointer = !value.is_scalar();
    if (pointer && (size != 8 || lo != hi || lo % (planted(308) ? 16 : 8) != 0)) {
        if (lo != hi || !may_leak() || planted(308)) {
            return reject(DiagnosticCode::StackPointerLayout,
                          std::string(name(value.kind)) +
                              " is stored on the stack in part, unaligned, or at a variable place");
        }
    }
    Stack& stack = now_.frames[base.frame].writable_stack();
    if (lo != hi) {
        // One of several places is written; all of them become unknown.
        const int span = hi - lo + size;
        if (!planted(103)) stack.clobber(lo, span);
        return true;
    }
    mark_written(base.frame, lo, size);
    if (!known || (pointer && (size != 8 || lo % 8 != 0))) {
        stack.clobber(lo, size);
        stack.set_init(lo, size);
        return true;
    }
    Reg stored = value;
    if (!pointer && size < 8) {
        const Scalar low = truncate(value.num, size);
        if (!(low == value.num) && !planted(104)) {
            Reg whole = value;
            if (size < 4) whole.id = 0;
            stored = low_half(whole, low);
        }
    }
    stack.put(lo, size, stored);
    return true;
}

bool Analyzer::store(const isa::Insn& i) {
    const bool by_register = i.form == isa::Form::StoreReg;
    if (!readable(i.dst) || (by_register && !readable(i.src))) return false;
    const int size = isa::bytes(i.width);
    if (!check_access(i.dst, i.off, size, Access::Write)) return false;
    const Reg base = reg(i.dst);
    const Reg value = by_register ? reg(i.src) : Reg::constant(static_cast<u64>(i.imm));
    if (base.kind == Kind::Stack) return store_stack(base, i.off, size, value, true);
    if (value.is_pointer() && !environment_.type->may_leak_pointers) {
        return reject(
            DiagnosticCode::PointerLeak,
            std::string(name(value.kind)) + " would be stored through " + name(base.kind));
    }
    if (base.kind == Kind::Context) {
        const spec::ContextField* field =
            i.off < 0
                ? nullptr
                : environment_.type->context.find(static_cast<u32>(i.off), static_cast<u32>(size));
        if (field != nullptr && base.off == 0 &&
            (!field->writable || field->kind != spec::FieldKind::Scalar)) {
            return reject(DiagnosticCode::ContextReadOnly,
                          "the context field " + std::string(field->name) +
                              " cannot be written by " + environment_.type->name + " programs");
        }
        Reg ignored;
        return load_context(i, base, ignored);
    }
    return true;
}

bool Analyzer::atomic(const isa::Insn& i) {
    if (!readable(i.dst) || !readable(i.src)) return false;
    const bool compares = i.atomic() == isa::AtomicOp::CmpXchg;
    if (compares && !readable(0)) return false;
    if (reg(i.src).is_pointer() || (compares && reg(0).is_pointer())) {
        return reject(DiagnosticCode::PointerLeak,
                      "atomic operations work on numbers, but an operand is a pointer");
    }
    const int size = isa::bytes(i.width);
    if (!check_access(i.dst, i.off, size, Access::Atomic)) return false;
    const Reg base = reg(i.dst);
    if (base.kind == Kind::Stack) {
        isa::Insn as_load = i;
        as_load.form = isa::Form::Load;
        Reg old;
        if (!load_stack(as_load, base, old)) return false;
        if (!old.is_scalar())
            return reject(DiagnosticCode::PointerLeak,
                          "an atomic operation would change a pointer on the stack");
        if (!store_stack(base, i.off, size, Reg::constant(0), false)) return false;
    }
    switch (i.atomic()) {
        case isa::AtomicOp::Add:
        case isa::AtomicOp::Or:
        case isa::AtomicOp::And:
        case isa::AtomicOp::Xor:
            return true;
        case isa::AtomicOp::FetchAdd:
        case isa::AtomicOp::FetchOr:
        case isa::AtomicOp::FetchAnd:
        case isa::AtomicOp::FetchXor:
        case isa::AtomicOp::Xchg:
            if (!writable(i.src)) return false;
            if (!planted(107)) reg(i.src) = unknown(size);
            return true;
        case isa::AtomicOp::CmpXchg:
            reg(0) = unknown(size);
            return true;
    }
    return false;
}

}  // namespace ebpf::verifier
