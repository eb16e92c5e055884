// SPDX-License-Identifier: MIT
//
// What instructions compute, once, for every engine, the verifier's constant folding and the tests
// (RFC 9669 sections 4 and 5). 32-bit operations use the low halves and zero the high half of dst;
// division by zero gives 0, modulo by zero the dividend; shift counts are masked to the width.
//
// With a constant operation and width each of these is one or two machine instructions, which is
// how the interpreter uses them.
#pragma once

#include <bit>

#include "isa/insn.hpp"

namespace ebpf::isa {

namespace semantics {

// Unsigned and signed integer of a width.
template <Width>
struct Integer;
template <>
struct Integer<Width::W32> {
    using U = u32;
    using S = i32;
};
template <>
struct Integer<Width::W64> {
    using U = u64;
    using S = i64;
};

template <Width W>
constexpr u64 alu(AluOp op, u64 dst, u64 src) {
    using U = typename Integer<W>::U;
    using S = typename Integer<W>::S;
    const U a = static_cast<U>(dst);
    const U b = static_cast<U>(src);
    const U count = b & (sizeof(U) * 8 - 1);
    // The one quotient that does not fit: the lowest number by -1, which wraps to itself.
    const bool minus_one = b == static_cast<U>(-1);
    switch (op) {
        case AluOp::Add:
            return static_cast<U>(a + b);
        case AluOp::Sub:
            return static_cast<U>(a - b);
        case AluOp::Mul:
            return static_cast<U>(a * b);
        case AluOp::Div:
            return b == 0 ? U{0} : static_cast<U>(a / b);
        case AluOp::SDiv:
            if (b == 0) return 0;
            if (minus_one) return static_cast<U>(U{0} - a);
            return static_cast<U>(static_cast<S>(a) / static_cast<S>(b));
        case AluOp::Mod:
            return b == 0 ? a : static_cast<U>(a % b);
        case AluOp::SMod:
            if (b == 0) return a;
            if (minus_one) return 0;
            return static_cast<U>(static_cast<S>(a) % static_cast<S>(b));
        case AluOp::Or:
            return static_cast<U>(a | b);
        case AluOp::And:
            return static_cast<U>(a & b);
        case AluOp::Xor:
            return static_cast<U>(a ^ b);
        case AluOp::Lsh:
            return static_cast<U>(a << count);
        case AluOp::Rsh:
            return static_cast<U>(a >> count);
        case AluOp::Arsh:
            return static_cast<U>(static_cast<S>(a) >> count);
        case AluOp::Mov:
            return b;
    }
    return 0;
}

template <Width W>
constexpr bool cond(Cond op, u64 dst, u64 src) {
    using U = typename Integer<W>::U;
    using S = typename Integer<W>::S;
    const U a = static_cast<U>(dst);
    const U b = static_cast<U>(src);
    switch (op) {
        case Cond::Eq:
            return a == b;
        case Cond::Ne:
            return a != b;
        case Cond::Gt:
            return a > b;
        case Cond::Ge:
            return a >= b;
        case Cond::Lt:
            return a < b;
        case Cond::Le:
            return a <= b;
        case Cond::SGt:
            return static_cast<S>(a) > static_cast<S>(b);
        case Cond::SGe:
            return static_cast<S>(a) >= static_cast<S>(b);
        case Cond::SLt:
            return static_cast<S>(a) < static_cast<S>(b);
        case Cond::SLe:
            return static_cast<S>(a) <= static_cast<S>(b);
        case Cond::Set:
            return (a & b) != 0;
    }
    return false;
}

constexpr u64 truncate(Width width, u64 value) {
    return width == Width::W64 ? value : value & ((u64{1} << bits(width)) - 1);
}

constexpr u64 swap(Width width, u64 value) {
    u64 result = 0;
    for (int i = 0; i < bytes(width); ++i) {
        result = result << 8 | (value >> (8 * i) & 0xff);
    }
    return result;
}

}  // namespace semantics

// Width is W32 or W64. An immediate is given as its sign extension to 64 bits.
constexpr u64 eval_alu(AluOp op, Width width, u64 dst, u64 src) {
    return width == Width::W64 ? semantics::alu<Width::W64>(op, dst, src)
                               : semantics::alu<Width::W32>(op, dst, src);
}

constexpr u64 eval_neg(Width width, u64 dst) {
    return semantics::truncate(width, u64{0} - dst);
}

// Sign-extends the low `from_bits` (8, 16, 32) to `width`.
constexpr u64 eval_movsx(Width width, u8 from_bits, u64 src) {
    const int unused = 64 - from_bits;
    const u64 extended = static_cast<u64>(static_cast<i64>(src << unused) >> unused);
    return semantics::truncate(width, extended);
}

// Little-endian hosts only (base/byte_reader.hpp asserts it): ToLe just truncates.
constexpr u64 eval_endian(EndianOp op, Width width, u64 dst) {
    return op == EndianOp::ToLe ? semantics::truncate(width, dst) : semantics::swap(width, dst);
}

constexpr bool eval_cond(Cond cond, Width width, u64 dst, u64 src) {
    return width == Width::W64 ? semantics::cond<Width::W64>(cond, dst, src)
                               : semantics::cond<Width::W32>(cond, dst, src);
}

// The new value of the memory cell for an atomic operation on `old` (r0 is CmpXchg's comparand).
constexpr u64 eval_atomic(AtomicOp op, Width width, u64 old, u64 src, u64 r0) {
    const u64 a = semantics::truncate(width, old);
    const u64 b = semantics::truncate(width, src);
    switch (op) {
        case AtomicOp::Add:
        case AtomicOp::FetchAdd:
            return semantics::truncate(width, a + b);
        case AtomicOp::Or:
        case AtomicOp::FetchOr:
            return a | b;
        case AtomicOp::And:
        case AtomicOp::FetchAnd:
            return a & b;
        case AtomicOp::Xor:
        case AtomicOp::FetchXor:
            return a ^ b;
        case AtomicOp::Xchg:
            return b;
        case AtomicOp::CmpXchg:
            return a == semantics::truncate(width, r0) ? b : a;
    }
    return a;
}

}  // namespace ebpf::isa
