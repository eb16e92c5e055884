// SPDX-License-Identifier: MIT
//
// Helper calls, by prototype alone: nothing here knows a helper by name, except those that run
// callbacks, whose arguments are part of the language.
#include <algorithm>

#include "spec/helpers.hpp"
#include "spec/license.hpp"
#include "spec/map_types.hpp"
#include "verifier/analyzer.hpp"
#include "verifier/planted.hpp"

namespace ebpf::verifier {

using spec::ArgKind;
using spec::RetKind;

namespace {

bool is_null(const Reg& r) {
    return r.is_constant() && r.num.value() == 0;
}

bool is_size(ArgKind kind) {
    return kind == ArgKind::ConstSize || kind == ArgKind::ConstSizeOrZero;
}

bool is_memory(ArgKind kind) {
    return kind == ArgKind::ReadableMem || kind == ArgKind::ReadableMemOrNull ||
           kind == ArgKind::WritableMem || kind == ArgKind::WritableMemOrNull ||
           kind == ArgKind::ReadWriteMem || kind == ArgKind::PartialMem;
}

}  // namespace

Step Analyzer::call_helper(u32 number) {
    const spec::HelperProto* proto = spec::find_helper(*environment_.type, number);
    if (proto == nullptr && number == ir::kPoisonedCall) {
        target_lacks();
        return Step::Failed;
    }
    if (proto == nullptr) {
        std::string text = "helper " + std::to_string(number);
        if (const auto id = spec::helper_from_number(environment_.type->dialect, number))
            text += " (" + std::string(spec::info(*id).name) + ")";
        reject(DiagnosticCode::UnknownHelper,
               text + " does not exist for " + environment_.type->name + " programs");
        return Step::Failed;
    }
    return call_prototype(*proto);
}

// A kernel function, by its id. What is not known may have a name in the object.
Step Analyzer::call_kfunc(const isa::Insn& i) {
    const auto id = static_cast<u32>(i.imm);
    const spec::ProgramTypeInfo& type = *environment_.type;
    if (const spec::HelperProto* proto = spec::find_kfunc(type, id)) return call_prototype(*proto);
    const auto name = std::ranges::find(program_.kfuncs, id, &spec::kfunc_id);
    if (name != program_.kfuncs.end() && spec::has_kfunc(type.dialect, *name)) {
        reject(DiagnosticCode::UnknownHelper,
               "the kernel function " + *name + " does not exist for " + type.name + " programs");
    } else {
        unsupported("the kernel function " +
                    (name != program_.kfuncs.end() ? *name : "with BTF id " + std::to_string(id)));
    }
    return Step::Failed;
}

Step Analyzer::call_prototype(const spec::HelperProto& proto) {
    if (proto.flags.privileged && !environment_.privileges.root) {
        reject(DiagnosticCode::HelperPrivileged,
               std::string(proto.name) + " is for privileged callers only");
        return Step::Failed;
    }
    if (proto.flags.gpl_only && environment_.type->dialect == spec::Dialect::Linux &&
        !spec::is_gpl_compatible(program_.license)) {
        reject(DiagnosticCode::HelperPrivileged,
               std::string(proto.name) +
                   " is for GPL-compatible programs only; this one's licence is \"" +
                   program_.license + "\"");
        return Step::Failed;
    }
    CallSite site;
    site.proto = &proto;
    for (int n = 0; n < proto.arg_count(); ++n) {
        if (!check_argument(site, n)) return Step::Failed;
    }
    if (site.format_argument >= 0 && !check_format(site)) return Step::Failed;
    if (proto.flags.releases && site.released == 0) {
        const Reg& first = reg(1);
        if (first.ref == 0 || std::ranges::find(now_.refs, first.ref) == now_.refs.end()) {
            if (!is_null(first)) {
                reject(DiagnosticCode::BadRelease,
                       std::string(proto.name) + " releases what was not acquired: argument 1 is " +
                           to_string(first));
                return Step::Failed;
            }
        } else {
            site.released = first.ref;
        }
    }
    const bool tail_call = proto.ret == RetKind::NoReturnIfSuccess;
    if (tail_call && !now_.refs.empty()) {
        reject(DiagnosticCode::ReferenceLeak,
               "a tail call leaves the program while it still holds what a helper acquired for it");
        return Step::Failed;
    }
    if (!check_while_locked(proto)) return Step::Failed;
    if (proto.id == spec::Helper::timer_set_callback) {
        if (!start_asynchronous(site)) return Step::Failed;
    } else if (site.callback >= 0) {
        return call_with_callback(site);
    }

    const u32 at = now_.pc;
    if (tail_call && now_.frames.size() > 1) {
        if (now_.top().callback_of >= 0) {
            unsupported("a tail call in a callback");
            return Step::Failed;
        }
        // The other program returns to our caller, with its result and after what it did to the
        // packet.
        State other = now_;
        std::swap(other, now_);
        forget_packet_pointers();
        const u32 return_to = now_.top().return_to;
        now_.frames.pop_back();
        reg(0) = unknown(8);
        now_.pc = return_to;
        push(now_);
        std::swap(other, now_);
    }
    if (changes_packet(site) && !tail_call && !planted(217)) forget_packet_pointers();
    take_or_give_lock(site);
    if (site.released != 0) release(site.released);
    // The result may depend on arguments, so it is made before they are lost.
    if (!set_result(site)) return Step::Failed;
    clobber_after_call(now_);
    now_.pc = at + 1;
    return Step::Continue;
}

// Whether pointers into the packet are gone with the call. What is written by a dynamic pointer
// moves the packet only if it points to one, and if that may be in pieces, as no XDP frame is.
bool Analyzer::changes_packet(const CallSite& site) const {
    if (site.proto->args[0] == ArgKind::Dynptr)
        return site.proto->flags.changes_packet && site.of_packet &&
               environment_.type->type != spec::ProgramType::Xdp;
    return site.proto->flags.changes_packet;
}

bool Analyzer::check_argument(CallSite& site, int n) {
    const ArgKind kind = site.proto->args[n];
    const isa::Reg r = static_cast<isa::Reg>(n + 1);
    if (!readable(r)) return false;
    const Reg& value = reg(r);
    const auto wrong = [&](const char* wanted) {
        return reject(DiagnosticCode::HelperArgument,
                      argument_name(n) + " of " + site.proto->name + " must be " + wanted +
                          ", but it is " + name(value.kind) + ": " + to_string(value));
    };
    switch (kind) {
        case ArgKind::None:
            return true;
        case ArgKind::Anything:
            if (value.is_pointer() && !may_leak()) {
                return reject(
                    DiagnosticCode::PointerLeak,
                    argument_name(n) + " of " + site.proto->name + " would give away an address");
            }
            return true;
        case ArgKind::Scalar:
            return value.is_scalar() || wrong("a number");
        case ArgKind::ContextOrNull:
            if (is_null(value)) {
                need(value);
                return true;
            }
            [[fallthrough]];
        case ArgKind::Context:
            return (value.kind == Kind::Context && value.off == 0) || wrong("the context");
        case ArgKind::Map:
        case ArgKind::MapOfPrograms:
            return check_map_argument(site, n);
        case ArgKind::MapKey:
        case ArgKind::MapValue:
        case ArgKind::MapValueOrNull:
        case ArgKind::UninitMapValue:
        case ArgKind::PtrToLong:
        case ArgKind::PtrToInt:
        case ArgKind::ReadableMem20:
        case ArgKind::ReadableMem40:
        case ArgKind::ConstSize:
        case ArgKind::ConstSizeOrZero:
            return check_memory_argument(site, n);
        case ArgKind::ReadableMem:
        case ArgKind::ReadableMemOrNull:
        case ArgKind::WritableMem:
        case ArgKind::WritableMemOrNull:
        case ArgKind::ReadWriteMem:
        case ArgKind::PartialMem:
            if (n + 1 < spec::kMaxHelperArgs && is_size(site.proto->args[n + 1]))
                return true;  // checked with its size
            return unsupported(std::string(site.proto->name) + " (memory without a size)");
        case ArgKind::ConstAllocSize:
            if (!value.is_constant()) return wrong("a constant size");
            need(value);
            if (value.num.value() == 0 || value.num.value() > (u64{1} << 30))
                return wrong("a constant size up to 1 GiB");
            site.alloc_size = static_cast<u32>(value.num.value());
            return true;
        case ArgKind::AllocMem:
            if (value.nullable)
                return reject(DiagnosticCode::NullPointer,
                              argument_name(n) + " of " + site.proto->name + " may be null");
            return (value.kind == Kind::Memory && value.ref != 0 && !value.is_borrowed() &&
                    value.off == 0 && value.num.is_constant() && value.num.value() == 0) ||
                   wrong("the start of the memory that was reserved");
        case ArgKind::StackOrNull:
        case ArgKind::CallbackContext:
            if (is_null(value)) {
                need(value);
                return true;
            }
            return value.kind == Kind::Stack || wrong("a stack pointer or null");
        case ArgKind::Callback:
            if (value.kind != Kind::Function) return wrong("a function of this program");
            site.callback = static_cast<i32>(value.index);
            site.callback_argument = n;
            return true;
        case ArgKind::ConstString:
        case ArgKind::ConstFormat:
            return check_string_argument(site, n);
        case ArgKind::SocketCommon:
        case ArgKind::Socket: {
            if (is_typed(value, kind == ArgKind::Socket ? "sock" : "sock_common")) return true;
            if (value.nullable)
                return reject(DiagnosticCode::NullPointer,
                              argument_name(n) + " of " + site.proto->name + " may be null");
            if (value.kind == Kind::Object && value.ref != 0) site.cast_of = value.ref;
            return (value.kind == Kind::Object && value.off == 0 &&
                    (kind == ArgKind::SocketCommon ||
                     static_cast<RetKind>(value.object) == RetKind::SocketOrNull)) ||
                   wrong("a socket");
        }
        case ArgKind::SpinLock:
        case ArgKind::Timer:
            return check_field_argument(site, n);
        case ArgKind::DynptrUninit:
        case ArgKind::Dynptr:
            return check_dynptr_argument(site, n);
        case ArgKind::NewIterator:
        case ArgKind::Iterator:
        case ArgKind::EndedIterator:
            return check_iterator_argument(site, n);
        case ArgKind::SliceBuffer: {
            const isa::Reg size = static_cast<isa::Reg>(n + 2);
            if (!readable(size)) return false;
            if (is_null(value)) {
                need(value);
                return true;
            }
            if (!reg(size).is_constant()) return true;  // said of that argument
            const u64 bytes = reg(size).num.value();
            return check_helper_memory(n, value, bytes, bytes, true, false);
        }
        case ArgKind::BtfId:
            return check_typed_argument(site, n);
        case ArgKind::KptrField:
        case ArgKind::PercpuBtfId:
        case ArgKind::Unsupported:
            return unsupported(std::string("the helper ") + site.proto->name);
    }
    return false;
}

bool Analyzer::check_map_argument(CallSite& site, int n) {
    const Reg& value = reg(static_cast<isa::Reg>(n + 1));
    if (value.kind != Kind::Map) {
        return reject(DiagnosticCode::HelperArgument,
                      argument_name(n) + " of " + site.proto->name + " must be a map, but it is " +
                          name(value.kind) + ": " + to_string(value));
    }
    if (value.nullable) {
        return reject(DiagnosticCode::NullPointer,
                      argument_name(n) + " of " + site.proto->name +
                          " is the result of a lookup and may be null");
    }
    const ir::MapDef& m = map(value.index);
    const bool fits = site.proto->args[n] == ArgKind::MapOfPrograms
                          ? m.type == spec::MapType::ProgArray
                          : site.proto->allows(m.type);
    if (!fits) {
        return reject(DiagnosticCode::MapType, std::string(site.proto->name) +
                                                   " does not work on map " + m.name + " of type " +
                                                   spec::info(m.type).name);
    }
    if (site.proto->flags.writes_map && m.programs_only_read()) {
        return reject(DiagnosticCode::MapReadOnly, std::string(site.proto->name) +
                                                       " would change map " + m.name +
                                                       ", which is read-only for programs");
    }
    if (site.field.kind == Kind::MapValue && value.object != 0)
        return unsupported("a timer in a value of an inner map");
    if (site.field.kind == Kind::MapValue && site.field.index != value.index) {
        return reject(DiagnosticCode::HelperArgument,
                      argument_name(n) + " of " + site.proto->name +
                          " must be the map that the timer lies in, " + map(site.field.index).name);
    }
    site.map = static_cast<i32>(value.index);
    site.inner_map = value.object != 0;
    i32& seen = insn_notes_[now_.pc].map;
    // An inner map is another one every time; only a map named by the instruction is constant.
    const i32 named = site.inner_map ? -1 : site.map;
    seen = seen == -2 ? named : seen == named ? seen : -1;
    return true;
}

// A key of four bytes that is the same on every path: then its map's place for it is, too. That the
// other paths have this key is relied on. Returns the key when it is a constant on this path.
Reg Analyzer::note_key(const Reg& pointer, u32 size) {
    InsnNotes& notes = insn_notes_[now_.pc];
    ir::InsnFacts& fact = facts_.insns[now_.pc];
    const Cell* key = nullptr;
    if (size == sizeof fact.key && pointer.kind == Kind::Stack && pointer.num.is_constant()) {
        const int at = isa::kStackSize + pointer.off + static_cast<int>(pointer.num.smin());
        key = now_.frames[pointer.frame].stack->exact(at, sizeof fact.key);
    }
    notes.key_differs |= key == nullptr || !key->reg.is_constant() ||
                         (notes.key_seen && key->reg.num.value() != fact.key);
    notes.key_seen = true;
    if (!notes.key_differs) {
        fact.key = static_cast<u32>(key->reg.num.value());
        if (!planted(222)) need(key->reg);
    }
    return key != nullptr && key->reg.is_constant() ? key->reg : Reg{};
}

// An array has a value for every index below its size, so a lookup of such a constant cannot fail
// (Linux since 6.14). An inner map may have another size than its template.
bool Analyzer::is_always_there(const CallSite& site) const {
    const ir::MapDef& m = map(static_cast<u32>(site.map));
    const spec::MapTypeInfo& type = spec::info(m.type);
    const u64 size = u64{m.max_entries} + (planted(223) ? 1 : 0);
    return site.proto->id == spec::Helper::map_lookup_elem && (type.index_key || planted(225)) &&
           type.holds == spec::Holds::Bytes && (!site.inner_map || planted(226)) &&
           site.key.is_constant() && site.key.num.value() < size;
}

bool Analyzer::check_memory_argument(CallSite& site, int n) {
    const ArgKind kind = site.proto->args[n];
    const isa::Reg r = static_cast<isa::Reg>(n + 1);
    const Reg& value = reg(r);
    if (is_size(kind)) {
        if (n == 0 || !is_memory(site.proto->args[n - 1]))
            return unsupported(std::string("the helper ") + site.proto->name);
        if (!value.is_scalar()) {
            return reject(DiagnosticCode::HelperArgument,
                          argument_name(n) + " of " + site.proto->name +
                              " must be a size, but it is " + to_string(value));
        }
        need(value);
        const bool zero = kind == ArgKind::ConstSizeOrZero;
        if (value.num.smin() < 0 || value.num.umax() >= static_cast<u64>(kMaxOffset)) {
            return reject(DiagnosticCode::HelperSize,
                          argument_name(n) + " of " + site.proto->name +
                              " is a size that is not limited: " + to_string(value));
        }
        if (!zero && value.num.umin() == 0) {
            return reject(DiagnosticCode::HelperSize,
                          argument_name(n) + " of " + site.proto->name +
                              " is a size that may be 0: " + to_string(value));
        }
        const ArgKind memory = site.proto->args[n - 1];
        Reg& base = reg(static_cast<isa::Reg>(n));
        const bool or_null =
            memory == ArgKind::ReadableMemOrNull || memory == ArgKind::WritableMemOrNull;
        // Null stands for no bytes. eBPF for Windows allows any size with it: its helpers look.
        const bool windows = environment_.type->dialect == spec::Dialect::Windows;
        if (is_null(base) && (value.num.umax() == 0 || (or_null && windows))) {
            need(base);
            return true;
        }
        const u64 most = most_behind(base, value), least = std::min(value.num.umin(), most);
        if (memory == ArgKind::ReadWriteMem) {
            return check_helper_memory(n - 1, base, least, most, false, false) &&
                   check_helper_memory(n - 1, base, least, most, true, false);
        }
        const bool writes = memory != ArgKind::ReadableMem && memory != ArgKind::ReadableMemOrNull;
        return check_helper_memory(n - 1, base, least, most, writes,
                                   writes && (memory != ArgKind::PartialMem || may_leak()));
    }
    if (kind == ArgKind::ReadableMem20) return check_helper_memory(n, value, 20, 20, false, false);
    if (kind == ArgKind::ReadableMem40) return check_helper_memory(n, value, 40, 40, false, false);
    if (kind == ArgKind::PtrToLong || kind == ArgKind::PtrToInt) {
        const u64 size = kind == ArgKind::PtrToLong ? 8 : 4;
        return check_helper_memory(n, value, size, size, true, true);
    }
    if (kind == ArgKind::MapValueOrNull && is_null(value)) {
        need(value);
        return true;
    }
    if (site.map < 0) return unsupported(std::string("the helper ") + site.proto->name);
    const ir::MapDef& m = map(static_cast<u32>(site.map));
    const u64 size = planted(219) ? 1 : kind == ArgKind::MapKey ? m.key_size : m.value_size;
    const bool writes = kind == ArgKind::UninitMapValue && !spec::info(m.type).asks_value;
    if (!check_helper_memory(n, value, size, size, writes, writes)) return false;
    if (kind == ArgKind::MapKey) site.key = note_key(value, m.key_size);
    return true;
}

// The helper reads or writes `least` to `most` bytes through argument n. `fills`: it writes all of
// them, so unwritten stack is written afterwards.
bool Analyzer::check_helper_memory(int n, const Reg& base_now, u64 least, u64 most, bool write,
                                   bool fills) {
    const Reg base = base_now;
    const std::string what = argument_name(n);
    if (base.kind == Kind::Stack) {
        const i64 lo = isa::kStackSize + base.num.smin() + base.off,
                  hi = isa::kStackSize + base.num.smax() + base.off;
        if (lo < 0 || hi + static_cast<i64>(most) > isa::kStackSize || lo > isa::kStackSize) {
            return reject(DiagnosticCode::StackBounds, what + " and its size reach from r10" +
                                                           std::to_string(lo - isa::kStackSize) +
                                                           " over " + std::to_string(most) +
                                                           " bytes, beyond the stack frame");
        }
        if (most == 0 && lo == hi) return true;
        u32& used = facts_.stack_used[now_.frames[base.frame].subprogram];
        used = std::max(used, static_cast<u32>(isa::kStackSize - lo));
        const int from = static_cast<int>(lo),
                  span = static_cast<int>(hi - lo) + static_cast<int>(most);
        if (!write) {
            const Stack& stack = *now_.frames[base.frame].stack;
            mark_read(base.frame, granules(from, span));
            if (const int at = stack.first_uninit(from, planted(216) ? 1 : span); at >= 0) {
                return reject(DiagnosticCode::StackUninit,
                              what + " is read by the helper, but the stack byte r10" +
                                  std::to_string(at - isa::kStackSize) +
                                  " was not written on this path",
                              {"the helper reads " + std::to_string(most) + " bytes from r10" +
                               std::to_string(from - isa::kStackSize)});
            }
            if (stack.has_pointer(from, span) && !environment_.type->may_leak_pointers) {
                return reject(DiagnosticCode::PointerLeak,
                              what + " is read by the helper and contains a pointer");
            }
            // The contents leave our sight, so nothing depends on their ranges.
            return true;
        }
        Stack& stack = now_.frames[base.frame].writable_stack();
        if (!planted(119)) stack.clobber(from, span);
        if (fills && lo == hi && least > 0) {
            stack.set_init(from, static_cast<int>(least));
            mark_written(base.frame, from, static_cast<int>(least));
        }
        return true;
    }
    if (base.kind == Kind::Scalar && most == 0) {
        return reject(DiagnosticCode::HelperArgument,
                      what + " must be a pointer, but it is " + to_string(base));
    }
    // A helper's own read may fault.
    if (base.kind == Kind::Typed) return unsupported(what + " in the kernel's memory");
    return check_region(what, base, 0, most, write ? Access::Write : Access::Read);
}

bool Analyzer::set_result(const CallSite& site) {
    Reg result;
    const bool of_socket_map = site.proto->ret == RetKind::MapValueOrNull && site.map >= 0 &&
                               spec::gives_sockets(map(static_cast<u32>(site.map)).type);
    const RetKind kind = of_socket_map ? RetKind::SocketOrNull : site.proto->ret;
    const bool acquires =
        site.proto->flags.acquires || kind == RetKind::AllocMemOrNull || of_socket_map;
    const auto acquire = [&] {
        if (!acquires) return;
        result.ref = fresh_id();
        now_.refs.push_back(result.ref);
    };
    switch (kind) {
        case RetKind::Void:
            result.lost = Lost::Call;
            result.index = now_.pc;
            break;
        case RetKind::Scalar:
        case RetKind::NoReturnIfSuccess:
            result = unknown(8);
            break;
        case RetKind::Errno:
            result = Reg::scalar(
                Scalar::of_signed_range(std::numeric_limits<i64>::min(), planted(120) ? -1 : 0),
                fresh_id());
            break;
        case RetKind::MapValueOrNull:
        case RetKind::MapValue: {
            if (site.map < 0) return unsupported(std::string("the helper ") + site.proto->name);
            const ir::MapDef& m = map(static_cast<u32>(site.map));
            if (spec::info(m.type).holds == spec::Holds::Map) {
                if (m.inner < 0 || m.inner >= static_cast<i32>(program_.maps.size()))
                    return unsupported("the map of maps " + m.name +
                                       " without a described inner map");
                result = Reg::pointer(Kind::Map);
                result.index = static_cast<u32>(m.inner);
                result.object = 1;  // found at run time
            } else {
                result = Reg::pointer(Kind::MapValue);
                result.index = static_cast<u32>(site.map);
            }
            const bool found = is_always_there(site);
            result.nullable = kind != RetKind::MapValue && !found;
            if (result.nullable || m.spin_lock_offset >= 0) result.id = fresh_id();
            if (found && !planted(224)) need(site.key);
            break;
        }
        case RetKind::AllocMemOrNull:
            if (site.alloc_size == 0)
                return unsupported(std::string("the helper ") + site.proto->name);
            result = Reg::pointer(Kind::Memory);
            result.size = site.alloc_size;
            result.nullable = true;
            result.id = fresh_id();
            acquire();
            break;
        case RetKind::DynptrSliceOrNull:
        case RetKind::DynptrReadOnlySliceOrNull:
            if (!dynptr_slice(site, result)) return false;
            break;
        case RetKind::IteratorNumberOrNull:
            result = Reg::pointer(Kind::Memory);
            result.size = 4;
            result.id = fresh_id();
            result.nullable = true;
            result.object = kIteratorNumber;
            result.ref = site.cast_of;  // the number lies in the iterator and is gone with it
            result.frame = 1;
            break;
        case RetKind::SocketOrNull:
        case RetKind::TcpSocketOrNull:
        case RetKind::SocketCommonOrNull:
            result = Reg::pointer(Kind::Object);
            result.object = static_cast<u8>(kind);
            result.nullable = true;
            result.id = fresh_id();
            acquire();
            if (result.ref == 0 && site.cast_of != 0) {
                result.ref = site.cast_of;  // another view of the same socket, gone with it
                result.frame = 1;
            }
            break;
        case RetKind::BtfIdOrNull:
        case RetKind::BtfId:
            if (!typed_result(site, result)) return false;
            acquire();
            break;
        case RetKind::MemOrNull:
        case RetKind::PercpuPointerOrNull:
        case RetKind::MapPointerOrNull:
        case RetKind::Unsupported:
            return unsupported(std::string("the helper ") + site.proto->name);
    }
    reg(0) = result;
    return true;
}

void Analyzer::forget_packet_pointers() {
    now_.for_each(
        [](const Reg& r) {
            return r.is_packet() || r.kind == Kind::PacketEnd || r.is_packet_slice();
        },
        [&](Reg& r) {
            r = Reg{};
            r.lost = Lost::PacketChanged;
            r.index = now_.pc;
        });
    now_.for_each([](const Reg& r) { return r.has_length(); }, [](Reg& r) { r.forget_length(); });
    if (!planted(247)) now_.packet_size = fresh_id();
}

void Analyzer::release(u32 ref) {
    std::erase(now_.refs, ref);
    now_.for_each([&](const Reg& r) { return r.ref == ref; },
                  [&](Reg& r) {
                      if (planted(218)) return;
                      r = Reg{};
                      r.lost = Lost::Released;
                      r.index = now_.pc;
                  });
}

// The helpers that run the callback any number of times, also never. What they lend to it, by a
// borrowed reference, is gone when it returns (return_from_callback).
Step Analyzer::call_with_callback(const CallSite& site) {
    std::array<Reg, 5> arguments;
    const u32 at = now_.pc;
    const auto lent = [this](Kind kind) {
        Reg r = Reg::pointer(kind);
        r.ref = fresh_id();
        r.frame = 1;
        return r;
    };
    if (site.proto->id == spec::Helper::loop) {
        // loop(n, callback, context, flags): callback(index, context)
        arguments[0] = Reg::scalar(Scalar::of_range(0, kMaxIterations), 1);
        arguments[1] = reg(3);
    } else if (site.proto->id == spec::Helper::for_each_map_elem) {
        // for_each_map_elem(map, callback, context, flags): callback(map, key, value, context)
        const ir::MapDef& m = map(static_cast<u32>(site.map));
        arguments[0] = reg(1);
        arguments[1] = lent(Kind::Memory);
        arguments[1].size = m.key_size;
        arguments[1].object = kReadOnly;
        arguments[2] = Reg::pointer(Kind::MapValue);
        arguments[2].index = static_cast<u32>(site.map);
        arguments[3] = reg(3);
    } else if (site.proto->id == spec::Helper::user_ringbuf_drain) {
        // user_ringbuf_drain(map, callback, context, flags): callback(dynptr, context)
        arguments[0] = lent(Kind::LentDynptr);
        arguments[1] = reg(3);
    } else {
        unsupported(std::string("the helper ") + site.proto->name);
        return Step::Failed;
    }
    for (Reg& a : arguments) {
        if (a.is_scalar() && a.need != 0) need(a);
        a.need = 0;
    }
    clobber_after_call(now_);
    State after = now_;
    after.reg(0) = Reg::scalar(Scalar::unknown(), fresh_id());
    after.pc = at + 1;
    push(after);
    const CallbackRun run{arguments, {}, fresh_id()};
    return enter_callback(run, static_cast<u32>(site.callback), at + 1, at) ? Step::Continue
                                                                            : Step::Failed;
}

}  // namespace ebpf::verifier
