// SPDX-License-Identifier: MIT
//
// The loop: every handler ends with its own jump to the next one, so that the processor predicts
// each instruction's successor apart. A frame of a program is a frame of run_frame(): registers and
// the 512 bytes of stack live in it, a local call recurses (at most isa::kMaxCallDepth deep, so 8
// frames of less than 1 KiB), and what the caller keeps in r6..r9 is safe because it is the
// caller's array.
//
// How much is checked is a template parameter: only code that nobody verified pays for it.
#include <algorithm>
#include <cstring>

#include "code/bounds.hpp"
#include "interpreter/decoded.hpp"
#include "interpreter/interpreter.hpp"
#include "isa/semantics.hpp"

namespace ebpf::interpreter {
namespace {

using code::HelperFn;
using code::Invocation;

template <typename T>
T load(u64 address) {
    T value;
    std::memcpy(&value, reinterpret_cast<const void*>(address), sizeof value);
    return value;
}

template <typename T>
void store(u64 address, T value) {
    std::memcpy(reinterpret_cast<void*>(address), &value, sizeof value);
}

template <AtomicOp op, typename U>
void atomic(u64 address, u64& src, u64& r0) {
    U* const cell = reinterpret_cast<U*>(address);
    const U operand = static_cast<U>(src);
    constexpr int kOrder = __ATOMIC_SEQ_CST;
    if constexpr (op == AtomicOp::Add) __atomic_fetch_add(cell, operand, kOrder);
    if constexpr (op == AtomicOp::Or) __atomic_fetch_or(cell, operand, kOrder);
    if constexpr (op == AtomicOp::And) __atomic_fetch_and(cell, operand, kOrder);
    if constexpr (op == AtomicOp::Xor) __atomic_fetch_xor(cell, operand, kOrder);
    if constexpr (op == AtomicOp::FetchAdd) src = __atomic_fetch_add(cell, operand, kOrder);
    if constexpr (op == AtomicOp::FetchOr) src = __atomic_fetch_or(cell, operand, kOrder);
    if constexpr (op == AtomicOp::FetchAnd) src = __atomic_fetch_and(cell, operand, kOrder);
    if constexpr (op == AtomicOp::FetchXor) src = __atomic_fetch_xor(cell, operand, kOrder);
    if constexpr (op == AtomicOp::Xchg) src = __atomic_exchange_n(cell, operand, kOrder);
    if constexpr (op == AtomicOp::CmpXchg) {
        U expected = static_cast<U>(r0);
        __atomic_compare_exchange_n(cell, &expected, operand, false, kOrder, kOrder);
        r0 = expected;  // the old value, whether or not it was exchanged
    }
}

void stop(Invocation* invocation, Fault fault) {
    if (invocation->fault == 0) invocation->fault = static_cast<u64>(fault);
}

// The helper that `number` names in a call by register, or nullptr.
HelperFn helper_by_number(const Op* op, u64 number) {
    if (number >= code::kRegisterHelpers) return nullptr;
    return reinterpret_cast<HelperFn>(reinterpret_cast<const u64*>(op->imm)[number]);
}

enum class Mode : u8 {
    Verified,
    Counted,  // instructions, and whether the run is cancelled
    Checked,  // ... and each access and call
};

bool may_call(Invocation* invocation, u64 function, const u64 args[5]) {
    const auto allowed = invocation->bounds->may_call;
    return allowed != nullptr && allowed(invocation, function, args);
}

// r1..r5 at entry are args[0..4].
template <Mode kMode>
[[gnu::noinline]] u64 run_frame(const Op* op, const u64* args, Invocation* invocation) {
    static const void* const kLabels[] = {
#define HANDLER(name, form, kind, width, from, code) &&name,
#include "interpreter/handlers.def"
    };
    alignas(16) std::byte stack[isa::kStackSize];
    [[maybe_unused]] code::StackFrame frame;
    if constexpr (kMode == Mode::Checked) {
        std::memset(stack, 0, sizeof stack);  // what ran before is nobody's business
        code::Bounds& bounds = *invocation->bounds;
        frame = {{reinterpret_cast<u64>(stack), sizeof stack, true}, bounds.frames};
        bounds.frames = &frame;
    }
    u64 r[isa::kRegisterCount] = {0, args[0], args[1], args[2], args[3], args[4]};
    r[isa::kFramePointer] = reinterpret_cast<u64>(stack + sizeof stack);
    ++invocation->frames;

#define DST r[op->dst]
#define SRC r[op->src]
#define R0 r[0]
#define IMM op->imm
// The address of an operand in memory.
#define ADDRESS(type, reg, writes, alignment)                                      \
    ({                                                                             \
        const u64 address = (reg) + static_cast<u64>(i64{op->off});                \
        if constexpr (kMode == Mode::Checked) {                                    \
            if (address % (alignment) != 0 ||                                      \
                !may_access(*invocation->bounds, address, sizeof(type), writes)) { \
                goto bad_access;                                                   \
            }                                                                      \
        }                                                                          \
        address;                                                                   \
    })
#define LOAD(type, reg) load<type>(ADDRESS(type, reg, false, 1))
#define STORE(type, reg, value) store(ADDRESS(type, reg, true, 1), static_cast<type>(value))
#define ATOMICALLY(operation, type) \
    atomic<AtomicOp::operation, type>(ADDRESS(type, DST, true, sizeof(type)), SRC, R0)
#define ALU64(operation, a, b) isa::semantics::alu<Width::W64>(AluOp::operation, a, b)
#define ALU32(operation, a, b) isa::semantics::alu<Width::W32>(AluOp::operation, a, b)
#define COND64(operation, a, b) isa::semantics::cond<Width::W64>(Cond::operation, a, b)
#define COND32(operation, a, b) isa::semantics::cond<Width::W32>(Cond::operation, a, b)
#define DISPATCH()                                    \
    do {                                              \
        if constexpr (kMode != Mode::Verified) {      \
            if (invocation->fuel-- == 0) [[unlikely]] \
                goto no_fuel;                         \
        }                                             \
        goto* kLabels[static_cast<u16>(op->handler)]; \
    } while (false)
// Whatever goes on for long goes backwards.
#define GO                                                                                 \
    do {                                                                                   \
        if constexpr (kMode != Mode::Verified) {                                           \
            if (op->off < 0 && __atomic_load_n(invocation->cancel, __ATOMIC_RELAXED) != 0) \
                [[unlikely]]                                                               \
                goto cancelled;                                                            \
        }                                                                                  \
        op += op->off + 1;                                                                 \
        DISPATCH();                                                                        \
    } while (false)
#define MAY_GOTO                                \
    if (invocation->may_goto == 0) [[unlikely]] \
        GO;                                     \
    --invocation->may_goto
#define LEAVE(value)                                                                    \
    do {                                                                                \
        --invocation->frames;                                                           \
        if constexpr (kMode == Mode::Checked) invocation->bounds->frames = frame.outer; \
        return value;                                                                   \
    } while (false)
// Nothing may be read there after a call; what nobody verified finds the same in every engine.
#define FORGET_ARGUMENTS \
    if constexpr (kMode == Mode::Checked) std::fill_n(&r[1], 5, u64{0})
#define INVOKE(function)                                                                        \
    do {                                                                                        \
        if constexpr (kMode == Mode::Checked) {                                                 \
            if (!may_call(invocation, reinterpret_cast<u64>(function), &r[1])) goto bad_access; \
        }                                                                                       \
        R0 = (function)(r[1], r[2], r[3], r[4], r[5], invocation);                              \
        FORGET_ARGUMENTS;                                                                       \
        if (invocation->tail_pending != nullptr) [[unlikely]]                                   \
            goto tail_call;                                                                     \
        if (invocation->fault != 0) [[unlikely]]                                                \
            LEAVE(0);                                                                           \
    } while (false)
#define CALL_HELPER INVOKE(reinterpret_cast<HelperFn>(IMM))
#define CALL_REGISTER                                    \
    const HelperFn function = helper_by_number(op, DST); \
    if (function == nullptr) [[unlikely]]                \
        goto bad_helper;                                 \
    INVOKE(function)
#define CALL_LOCAL                                              \
    if (invocation->frames >= isa::kMaxCallDepth) [[unlikely]]  \
        goto too_deep;                                          \
    R0 = run_frame<kMode>(op + 1 + op->off, &r[1], invocation); \
    FORGET_ARGUMENTS;                                           \
    if (invocation->fault != 0) [[unlikely]]                    \
    LEAVE(0)

    DISPATCH();

#define HANDLER(name, form, kind, width, from, code) \
    name: { code; }                                  \
    ++op;                                            \
    DISPATCH();
#include "interpreter/handlers.def"

tail_call:
    // The entry's frame leaves at once; a subprogram's result is the next program's.
    if (invocation->frames > 1) R0 = invocation->run_tail(invocation);
    LEAVE(R0);
no_fuel:
    __attribute__((unused));
    invocation->fuel = 0;
    stop(invocation, Fault::OutOfFuel);
    LEAVE(0);
cancelled:
    __attribute__((unused));
    stop(invocation, Fault::Cancelled);
    LEAVE(0);
too_deep:
    stop(invocation, Fault::CallTooDeep);
    LEAVE(0);
bad_helper:
    stop(invocation, Fault::BadHelper);
    LEAVE(0);
bad_access:
    __attribute__((unused));
    stop(invocation, Fault::BadAccess);
    LEAVE(0);
}

u64 run_any(const Op* op, const u64* args, Invocation* invocation) {
    if (invocation->bounds != nullptr) return run_frame<Mode::Checked>(op, args, invocation);
    const bool counted =
        invocation->fuel != ~u64{0} || invocation->cancel != &code::kNeverCancelled;
    return counted ? run_frame<Mode::Counted>(op, args, invocation)
                   : run_frame<Mode::Verified>(op, args, invocation);
}

}  // namespace

u64 call(Invocation* invocation, u64 function, const u64 args[5]) {
    if (invocation->frames >= isa::kMaxCallDepth) {
        stop(invocation, Fault::CallTooDeep);
        return 0;
    }
    const u64 address = function ^ code::kInterpretedFunction;
    return run_any(reinterpret_cast<const Op*>(address), args, invocation);
}

// A program that is entered from a subprogram's tail call counts its own frames.
u64 run(const void* prepared, void* r1, u64 r2, Invocation* invocation) {
    const u32 outer_frames = invocation->frames;
    invocation->frames = 0;
    invocation->call_interpreted = &call;
    const u64 args[5] = {reinterpret_cast<u64>(r1), r2};
    const u64 result = run_any(static_cast<const Header*>(prepared)->entry, args, invocation);
    invocation->frames = outer_frames;
    return result;
}

}  // namespace ebpf::interpreter
