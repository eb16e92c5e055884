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
    const spec::HelperProto& proto = *site.proto;
    if (proto.args[n] == spec::ArgKind::Dynptr) {
        const Reg& value = reg(static_cast<isa::Reg>(n + 1));
        const bool lent = value.kind == Kind::LentDynptr;
        const Reg* object = lent ? &value : find_object(n, Kind::Dynptr, proto.name);
        if (object == nullptr) return false;
        if (proto.flags.releases) {
            if (object->ref == 0 || lent) {
                return reject(
                    DiagnosticCode::BadRelease,
                    std::string(proto.name) + " releases a dynamic pointer that was not reserved");
            }
            site.released = object->ref;
        }
        site.cast_of = object->ref;
        return true;
    }
    const int at = object_place(n, kDynptrSize, proto.name);
    if (at < 0) return false;
    Reg object = Reg::pointer(Kind::Dynptr);
    if (proto.id == spec::Helper::ringbuf_reserve_dynptr) {
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

// Kernel functions: the iterator over numbers. Its place on the stack counts how often it was asked
// for the next one, which is what shows that a loop over it ends (widen.cpp).
Step Analyzer::call_kfunc(const isa::Insn& i) {
    const auto index = static_cast<std::size_t>(i.imm);
    const std::string callee = index < program_.kfuncs.size() ? program_.kfuncs[index] : "";
    const bool makes = callee == "bpf_iter_num_new", next = callee == "bpf_iter_num_next",
               ends = callee == "bpf_iter_num_destroy";
    if (!makes && !next && !ends) {
        unsupported(callee.empty() ? "the kernel function with BTF id " + std::to_string(i.imm)
                                   : "the kernel function " + callee);
        return Step::Failed;
    }
    if (now_.lock.held) {
        reject(DiagnosticCode::LockRegion, callee + " is called while a spin lock is held");
        return Step::Failed;
    }
    Reg result =
        Reg::scalar(Scalar::of_signed_range(std::numeric_limits<i32>::min(), 0), fresh_id());
    if (makes) {
        for (const isa::Reg r : {isa::Reg{2}, isa::Reg{3}}) {
            if (!readable(r)) return Step::Failed;
            if (!reg(r).is_scalar()) {
                reject(DiagnosticCode::HelperArgument, argument_name(r - 1) + " of " + callee +
                                                           " must be a number, but it is " +
                                                           to_string(reg(r)));
                return Step::Failed;
            }
        }
        const int at = object_place(0, kIteratorSize, callee.c_str());
        if (at < 0) return Step::Failed;
        Reg object = Reg::pointer(Kind::Iterator);
        object.ref = fresh_id();
        object.id = fresh_id();
        // The numbers that it gives, as 32 bits: from the start to what lies before the end.
        const Range32 from = reg(2).num.r32, to = reg(3).num.r32;
        object.num = Scalar::unknown();
        object.num.r32.slo = from.slo;
        object.num.r32.shi =
            std::max(from.slo, to.shi == std::numeric_limits<i32>::min() ? to.shi : to.shi - 1);
        object.num.r64.hi = 0xffffffff;
        object.num.normalize();
        need(reg(2));
        need(reg(3));
        now_.refs.push_back(object.ref);
        put_object(0, at, kIteratorSize, object);
    } else {
        const Reg* object = find_object(0, Kind::Iterator, callee.c_str());
        if (object == nullptr) return Step::Failed;
        if (next) {
            Reg moved = *object;
            ++moved.delta;
            const Reg& place = reg(1);
            put_object(
                0,
                static_cast<int>(isa::kStackSize + place.off + static_cast<i64>(place.num.value())),
                kIteratorSize, moved);
            result = Reg::pointer(Kind::Memory);
            result.size = 4;
            result.id = fresh_id();
            result.nullable = true;
            result.object = 2;       // see iterator_number()
            result.ref = moved.ref;  // the number lies in the iterator and is gone with it
            result.frame = 1;
        } else {
            release(object->ref);
            result = Reg{};
            result.lost = Lost::Call;
            result.index = now_.pc;
        }
    }
    reg(0) = result;
    clobber_after_call(now_);
    ++now_.pc;
    return Step::Continue;
}

}  // namespace ebpf::verifier
