// SPDX-License-Identifier: MIT
//
// A handler ends with a jump to the next operation's, so that the processor predicts the successor
// of each apart, and nothing is kept but its four arguments. A frame of a program is a frame of
// run_frame(): registers and the 512 bytes of stack live in it, a local call recurses (at most
// isa::kMaxCallDepth deep, so 8 frames of less than 1 KiB), and what the caller keeps in r6..r9 is
// safe because it is the caller's array.
//
// How much is checked depends on the table that handlers find each other in, one per Mode: only
// code that nobody verified pays for it, and only verified code has sequences.
#include <algorithm>
#include <cstring>
#include <utility>

#include "code/bounds.hpp"
#include "interpreter/interpreter.hpp"
#include "interpreter/sequences.hpp"
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

u64 call_helper(HelperFn function, const u64 args[5], Invocation* invocation) {
    return function(args[0], args[1], args[2], args[3], args[4], invocation);
}

bool may_call(Invocation* invocation, u64 function, const u64 args[5]) {
    const auto allowed = invocation->bounds->may_call;
    return allowed != nullptr && allowed(invocation, function, args);
}

// A program's registers, and whose run it is.
struct Frame {
    Invocation* invocation = nullptr;
    u64 r[kRegisters] = {};
};

// `last` is what the operation before wrote, where it wrote something.
struct Entry;
using Run = u64(const Op* op, Frame* frame, const Entry* entries, u64 last);
struct Entry {
    Run* run = nullptr;
};

template <Mode kMode>
u64 run_frame(const Op* op, const u64* args, Invocation* invocation);

// What an operation does: run() returns the next one, or nullptr where the frame is left; its
// result is r0.
template <Handler>
struct Step;

#define SET(value) last = frame->r[op->dst] = (value)
#define A (kLink == Link::A ? last : frame->r[op->a])
#define B frame->r[op->b]
#define R0 frame->r[0]
#define ARGUMENTS &frame->r[1]
#define IMM op->imm
#define OFF static_cast<u64>(op->off)
#define CONSTANT static_cast<u64>(i64{op->branch.constant})
#define TARGET \
    reinterpret_cast<const Op*>(reinterpret_cast<const std::byte*>(op) + op->branch.distance)
#define LEAVE return nullptr
#define LEAVE_FOR(fault)         \
    do {                         \
        stop(invocation, fault); \
        R0 = 0;                  \
        LEAVE;                   \
    } while (false)
// The address of an operand in memory.
#define ADDRESS(type, base, writes, alignment)                                     \
    ({                                                                             \
        const u64 address = (base) + OFF;                                          \
        if constexpr (kMode == Mode::Checked) {                                    \
            if (address % (alignment) != 0 ||                                      \
                !may_access(*invocation->bounds, address, sizeof(type), writes)) { \
                LEAVE_FOR(Fault::BadAccess);                                       \
            }                                                                      \
        }                                                                          \
        address;                                                                   \
    })
#define LOAD(type) load<type>(ADDRESS(type, A, false, 1))
#define LOAD_AT(type, index) load<type>(ADDRESS(type, A + (index), false, 1))
#define STORE(type, base, value) store(ADDRESS(type, base, true, 1), static_cast<type>(value))
#define ATOMICALLY(operation, type) \
    atomic<AtomicOp::operation, type>(ADDRESS(type, A, true, sizeof(type)), B, R0)
#define ALU64(operation, a, b) isa::semantics::alu<Width::W64>(AluOp::operation, a, b)
#define ALU32(operation, a, b) isa::semantics::alu<Width::W32>(AluOp::operation, a, b)
#define COND64(operation, a, b) isa::semantics::cond<Width::W64>(Cond::operation, a, b)
#define COND32(operation, a, b) isa::semantics::cond<Width::W32>(Cond::operation, a, b)
// Whatever goes on for long goes backwards.
#define GO                                                                               \
    do {                                                                                 \
        if constexpr (kMode != Mode::Verified) {                                         \
            if (op->branch.distance <= 0 &&                                              \
                __atomic_load_n(invocation->cancel, __ATOMIC_RELAXED) != 0) [[unlikely]] \
                LEAVE_FOR(Fault::Cancelled);                                             \
        }                                                                                \
        return TARGET;                                                                   \
    } while (false)
#define MAY_GOTO                                \
    if (invocation->may_goto == 0) [[unlikely]] \
        GO;                                     \
    --invocation->may_goto
#define LEAVE_IF_FAULTY                        \
    if (invocation->fault != 0) [[unlikely]] { \
        R0 = 0;                                \
        LEAVE;                                 \
    }
// Nothing may be read there after a call; what nobody verified finds the same in every engine.
#define FORGET_ARGUMENTS \
    if constexpr (kMode == Mode::Checked) std::fill_n(ARGUMENTS, 5, u64{0})
// After a tail call the entry's frame leaves at once; a subprogram's result is the next program's.
#define INVOKE(function)                                                           \
    do {                                                                           \
        if constexpr (kMode == Mode::Checked) {                                    \
            if (!may_call(invocation, reinterpret_cast<u64>(function), ARGUMENTS)) \
                LEAVE_FOR(Fault::BadAccess);                                       \
        }                                                                          \
        R0 = call_helper(function, ARGUMENTS, invocation);                         \
        FORGET_ARGUMENTS;                                                          \
        if (invocation->tail_pending != nullptr) [[unlikely]] {                    \
            if (invocation->frames > 1) R0 = invocation->run_tail(invocation);     \
            LEAVE;                                                                 \
        }                                                                          \
        LEAVE_IF_FAULTY                                                            \
    } while (false)
#define CALL_HELPER INVOKE(reinterpret_cast<HelperFn>(IMM))
#define CALL_REGISTER                                  \
    const HelperFn function = helper_by_number(op, A); \
    if (function == nullptr) [[unlikely]]              \
        LEAVE_FOR(Fault::BadHelper);                   \
    INVOKE(function)
#define CALL_LOCAL                                             \
    if (invocation->frames >= isa::kMaxCallDepth) [[unlikely]] \
        LEAVE_FOR(Fault::CallTooDeep);                         \
    R0 = run_frame<kMode>(TARGET, ARGUMENTS, invocation);      \
    FORGET_ARGUMENTS;                                          \
    LEAVE_IF_FAULTY

#define HANDLER(name, form, kind, width, from, code)                                             \
    template <>                                                                                  \
    struct Step<Handler::name> {                                                                 \
        template <Mode kMode, Link kLink>                                                        \
        [[gnu::always_inline]] static const Op* run(const Op* op, [[maybe_unused]] Frame* frame, \
                                                    [[maybe_unused]] u64& last) {                \
            [[maybe_unused]] Invocation* const invocation = frame->invocation;                   \
            code;                                                                                \
            return op + 1;                                                                       \
        }                                                                                        \
    };
#include "interpreter/handlers.def"

#undef A
#undef B

// g++ makes it one wherever it optimises (CMakeLists.txt sees to that), clang must be told.
#if defined(__clang__)
#define TAIL_CALL [[clang::musttail]] return
#else
#define TAIL_CALL return
#endif
#define NEXT TAIL_CALL entries[op->handler].run(op, frame, entries, last)

template <Mode kMode, Unit kUnit>
u64 run_one(const Op* op, Frame* frame, const Entry* entries, u64 last) {
    if constexpr (kMode != Mode::Verified) {
        Invocation* const invocation = frame->invocation;
        if (invocation->fuel < op->cost) [[unlikely]] {
            invocation->fuel = 0;
            stop(invocation, Fault::OutOfFuel);
            return 0;
        }
        invocation->fuel -= op->cost;
    }
    op = Step<kUnit.handler>::template run<kMode, kUnit.link>(op, frame, last);
    if (op == nullptr) [[unlikely]]
        return R0;
    NEXT;
}

template <Unit... kUnits>
u64 run_sequence(const Op* op, Frame* frame, const Entry* entries, u64 last) {
    ((op = Step<kUnits.handler>::template run<Mode::Verified, kUnits.link>(op, frame, last)), ...);
    if (op == nullptr) [[unlikely]]
        return R0;
    NEXT;
}

constexpr Unit existing(Unit unit) {
    return can_link(unit.handler) ? unit : Unit{unit.handler, Link::None};
}

// Of handler `n`, which does one operation only, without its link, in the other modes.
template <Mode kMode, std::size_t n>
constexpr Run* run_of() {
    if constexpr (kMode != Mode::Verified)
        return &run_one<kMode, Unit{unit(n, 0).handler, Link::None}>;
    else if constexpr (length(n) == 1)
        return &run_one<kMode, existing(unit(n, 0))>;
    else if constexpr (length(n) == 2)
        return &run_sequence<existing(unit(n, 0)), existing(unit(n, 1))>;
    else
        return &run_sequence<existing(unit(n, 0)), existing(unit(n, 1)), existing(unit(n, 2))>;
}

template <Mode kMode>
constexpr auto kEntries = []<std::size_t... n>(std::index_sequence<n...>) {
    return std::array<Entry, sizeof...(n)>{{{run_of<kMode, n>()}...}};
}(std::make_index_sequence<kHandlers>());

// r1..r5 at entry are args[0..4].
template <Mode kMode>
[[gnu::noinline]] u64 run_frame(const Op* op, const u64* args, Invocation* invocation) {
    alignas(16) std::byte stack[isa::kStackSize];
    [[maybe_unused]] code::StackFrame memory;
    if constexpr (kMode == Mode::Checked) {
        std::memset(stack, 0, sizeof stack);  // what ran before is nobody's business
        code::Bounds& bounds = *invocation->bounds;
        memory = {{reinterpret_cast<u64>(stack), sizeof stack, true}, bounds.frames};
        bounds.frames = &memory;
    }
    Frame registers{.invocation = invocation};
    // One by one: a load of two would wait for both stores of the caller to reach memory.
    for (int i = 0; i < 5; ++i) registers.r[1 + i] = __atomic_load_n(&args[i], __ATOMIC_RELAXED);
    registers.r[isa::kFramePointer] = reinterpret_cast<u64>(stack + sizeof stack);
    ++invocation->frames;
    const Entry* const entries = kEntries<kMode>.data();
    const u64 result = entries[op->handler].run(op, &registers, entries, 0);
    --invocation->frames;
    if constexpr (kMode == Mode::Checked) invocation->bounds->frames = memory.outer;
    return result;
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
