// SPDX-License-Identifier: MIT
//
// Objects that live on the stack and are used through calls only: dynamic pointers (16 bytes) and
// open-coded iterators (8 bytes). Each is one cell of its own kind, so that nothing else can be
// read or written there without its losing its meaning. A dynamic pointer may also be a helper's,
// which lends it to a callback by its address: nothing can be made or ended there.
#include "spec/helpers.hpp"
#include "verifier/analyzer.hpp"

namespace ebpf::verifier {

namespace {

constexpr int kDynptrSize = 16;
constexpr int kIteratorSize = 8;

}  // namespace

// The byte of the frame that argument n points to, when it is an aligned place of `size` bytes on
// the stack; -1 after an error.
int Analyzer::object_place(int n, int size, const char* callee) {
    const Reg& value = reg(static_cast<isa::Reg>(n + 1));
    if (!readable(static_cast<isa::Reg>(n + 1))) return -1;
    const bool fixed = value.kind == Kind::Stack && value.num.is_constant();
    const i64 at = fixed ? isa::kStackSize + value.off + static_cast<i64>(value.num.value()) : -1;
    if (at < 0 || at % 8 != 0 || at + size > isa::kStackSize) {
        reject(DiagnosticCode::HelperArgument, argument_name(n) + " of " + callee +
                                                   " must point to " + std::to_string(size) +
                                                   " aligned bytes of the stack, but it is " +
                                                   name(value.kind) + ": " + to_string(value));
        return -1;
    }
    u32& used = facts_.stack_used[now_.frames[value.frame].subprogram];
    used = std::max(used, static_cast<u32>(isa::kStackSize - at));
    return static_cast<int>(at);
}

void Analyzer::put_object(int n, int at, int size, const Reg& object) {
    const u8 frame = reg(static_cast<isa::Reg>(n + 1)).frame;
    now_.frames[frame].writable_stack().put(at, size, object);
    mark_written(frame, at, size);
}

// The object that argument n points to, or null after an error.
const Reg* Analyzer::find_object(int n, Kind kind, const char* callee) {
    const int size = kind == Kind::Dynptr ? kDynptrSize : kIteratorSize;
    const int at = object_place(n, size, callee);
    if (at < 0) return nullptr;
    const u8 frame = reg(static_cast<isa::Reg>(n + 1)).frame;
    mark_read(frame, granules(at, size));
    const Cell* cell = now_.frames[frame].stack->exact(at, size);
    if (cell != nullptr && cell->reg.kind == kind) return &cell->reg;
    reject(DiagnosticCode::HelperArgument,
           argument_name(n) + " of " + callee + " must point to " +
               (kind == Kind::Dynptr ? "a dynamic pointer" : "an iterator") +
               " that was made and not yet ended");
    return nullptr;
}

bool Analyzer::check_dynptr_argument(CallSite& site, int n) {
    return site.proto->args[n] == spec::ArgKind::Dynptr ? use_dynptr(site, n)
                                                        : make_dynptr(site, n);
}

bool Analyzer::use_dynptr(CallSite& site, int n) {
    const spec::HelperProto& proto = *site.proto;
    const Reg& value = reg(static_cast<isa::Reg>(n + 1));
    const bool lent = value.kind == Kind::LentDynptr;
    const Reg* object = lent ? &value : find_object(n, Kind::Dynptr, proto.name);
    if (object == nullptr) return false;
    if (proto.flags.releases) {
        if (object->ref == 0 || object->is_borrowed()) {
            return reject(
                DiagnosticCode::BadRelease,
                std::string(proto.name) + " releases a dynamic pointer that was not reserved");
        }
        site.released = object->ref;
    }
    site.cast_of = object->ref;
    site.of_packet = (object->object & kPacketSlice) != 0;
    site.borrowed = object->is_borrowed();
    return true;
}

bool Analyzer::make_dynptr(CallSite& site, int n) {
    const spec::HelperProto& proto = *site.proto;
    const int at = object_place(n, kDynptrSize, proto.name);
    if (at < 0) return false;
    Reg object = Reg::pointer(Kind::Dynptr);
    if (proto.args[0] == spec::ArgKind::Dynptr) {  // of what another one points to
        object.ref = site.cast_of;
        object.frame = site.borrowed;
        object.object = site.of_packet ? kPacketSlice : 0;
    } else if (proto.args[0] == spec::ArgKind::Context) {
        object.object = kPacketSlice;
    } else if (proto.id == spec::Helper::ringbuf_reserve_dynptr) {
        object.ref = fresh_id();
        now_.refs.push_back(object.ref);
    } else if (proto.id == spec::Helper::dynptr_from_mem) {
        if (reg(1).kind != Kind::MapValue) {
            return reject(DiagnosticCode::HelperArgument,
                          "a dynamic pointer can be made to a map value only, but argument 1 is " +
                              to_string(reg(1)));
        }
    } else {
        return unsupported(std::string("the helper ") + proto.name);
    }
    put_object(n, at, kDynptrSize, object);
    return true;
}

// Bytes of a dynamic pointer: gone with the record, or when the packet changes.
bool Analyzer::dynptr_slice(const CallSite& site, Reg& result) {
    if (site.alloc_size == 0) return unsupported(std::string("the helper ") + site.proto->name);
    const bool read_only = site.proto->ret == spec::RetKind::DynptrReadOnlySliceOrNull;
    if (site.of_packet && !read_only && !environment_.type->packet_writable) {
        return reject(DiagnosticCode::PacketReadOnly,
                      std::string("programs of type ") + environment_.type->name +
                          " may read the packet but not write it",
                      {"use bpf_dynptr_slice()"});
    }
    result = Reg::pointer(Kind::Memory);
    result.size = site.alloc_size;
    result.nullable = true;
    result.id = fresh_id();
    result.object =
        static_cast<u8>((read_only ? kReadOnly : 0) | (site.of_packet ? kPacketSlice : 0));
    result.ref = site.cast_of;
    result.frame = 1;
    return true;
}

// The iterator over numbers. Its place on the stack counts how often it was asked for the next one,
// which is what shows that a loop over it ends (widen.cpp).
bool Analyzer::check_iterator_argument(CallSite& site, int n) {
    const char* const callee = site.proto->name;
    if (site.proto->args[n] == spec::ArgKind::NewIterator) return make_iterator(site, n);
    const Reg* object = find_object(n, Kind::Iterator, callee);
    if (object == nullptr) return false;
    if (site.proto->args[n] == spec::ArgKind::EndedIterator) {
        site.released = object->ref;
        return true;
    }
    site.cast_of = object->ref;
    Reg moved = *object;
    ++moved.delta;
    const Reg& place = reg(static_cast<isa::Reg>(n + 1));
    const i64 at = isa::kStackSize + place.off + static_cast<i64>(place.num.value());
    put_object(n, static_cast<int>(at), kIteratorSize, moved);
    return true;
}

bool Analyzer::make_iterator(CallSite& site, int n) {
    const isa::Reg first = static_cast<isa::Reg>(n + 2), end = static_cast<isa::Reg>(n + 3);
    for (const isa::Reg r : {first, end}) {
        if (!readable(r)) return false;
        if (!reg(r).is_scalar()) return true;  // said of that argument
    }
    const int at = object_place(n, kIteratorSize, site.proto->name);
    if (at < 0) return false;
    Reg object = Reg::pointer(Kind::Iterator);
    object.ref = fresh_id();
    object.id = fresh_id();
    // The numbers that it gives, as 32 bits: from the start to what lies before the end.
    const Range32 from = reg(first).num.r32, to = reg(end).num.r32;
    object.num = Scalar::unknown();
    object.num.r32.slo = from.slo;
    object.num.r32.shi =
        std::max(from.slo, to.shi == std::numeric_limits<i32>::min() ? to.shi : to.shi - 1);
    object.num.r64.hi = 0xffffffff;
    object.num.normalize();
    need(reg(first));
    need(reg(end));
    now_.refs.push_back(object.ref);
    put_object(n, at, kIteratorSize, object);
    return true;
}

}  // namespace ebpf::verifier
