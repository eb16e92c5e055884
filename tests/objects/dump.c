// SPDX-License-Identifier: MIT
// What `bpftool prog dump` shows (tests/bpftool): every form of instruction, functions, lines.
// Linux's verifier changes nothing in `forms`, `constants`, `branches` and `calls`, so that its
// byte code is ours.
#include "bpf.h"

struct xdp_md {
    u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex;
};
enum colour { RED, GREEN };
typedef int (*callback)(int, char*);

#if __clang_major__ >= 19
#define SINCE_19(text) text
#else
#define SINCE_19(text)  // what earlier assemblers do not read
#endif

u64 cell;
u32 half;

struct {
    __uint(type, MAP_ARRAY);
    __uint(max_entries, 4);
    __type(key, u32);
    __type(value, u64);
} values SEC(".maps");

SEC("xdp") int forms(struct xdp_md* context) {
    u64 result;
    asm volatile(
        "r3 = %[cell] ll\n"
        "r1 = *(u64 *)(r3 + 0)\n r2 = 0x123456789abcdef0 ll\n r2 = -7\n w2 = -7\n w2 = w1\n"
        "r1 += r2\n w1 += w2\n r1 -= 5\n w1 -= -5\n r1 *= r2\n w1 *= 3\n r1 |= r2\n w1 |= 8\n"
        "r1 &= 0x7fffffff\n w1 &= w2\n r1 <<= 3\n w1 <<= w2\n r1 >>= r2\n w1 >>= 2\n r1 ^= r2\n"
        "r1 s>>= 4\n w1 s>>= w2\n r1 = -r1\n w1 = -w1\n r1 /= 3\n w1 /= 5\n"
        SINCE_19("r1 %%= 7\n w1 %%= 9\n")
        "r1 = le16 r1\n r1 = le32 r1\n r1 = le64 r1\n r1 = be16 r1\n r1 = be32 r1\n r1 = be64 r1\n"
        "*(u8 *)(r10 - 1) = r1\n *(u16 *)(r10 - 4) = r1\n *(u32 *)(r10 - 8) = r1\n"
        "*(u64 *)(r10 - 16) = r1\n r1 = *(u8 *)(r10 - 1)\n r1 = *(u16 *)(r10 - 4)\n"
        "r1 = *(u32 *)(r10 - 8)\n r1 = *(u64 *)(r10 - 16)\n"
        ".8byte 0x00000007fff80a62\n"  // *(u32 *)(r10 - 8) = 7, as clang 19 has it from v4 on
        "lock *(u64 *)(r3 + 0) += r1\n lock *(u64 *)(r3 + 0) |= r1\n"
        "lock *(u64 *)(r3 + 0) &= r1\n lock *(u64 *)(r3 + 0) ^= r1\n"
        "lock *(u32 *)(r3 + 4) += w1\n lock *(u32 *)(r3 + 0) |= w1\n"
        SINCE_19("r1 = atomic_fetch_add((u64 *)(r3 + 0), r1)\n r1 = atomic_fetch_or((u64 *)(r3 + 0), r1)\n"
                 "r1 = atomic_fetch_and((u64 *)(r3 + 0), r1)\n r1 = atomic_fetch_xor((u64 *)(r3 + 0), r1)\n"
                 "w1 = atomic_fetch_add((u32 *)(r3 + 0), w1)\n r1 = xchg_64(r3 + 0, r1)\n"
                 "w1 = xchg32_32(r3 + 0, w1)\n r0 = 1\n r0 = cmpxchg_64(r3 + 0, r0, r1)\n"
                 "w0 = cmpxchg32_32(r3 + 0, w0, w1)\n")
        "r2 = *(u64 *)(r3 + 0)\n r1 = *(u32 *)(r3 + 0)\n"
        "if r1 == r2 goto 1f\n if r1 != 5 goto 1f\n if w1 > w2 goto 1f\n"
        "r1 = *(u64 *)(r3 + 0)\n if w1 >= 7 goto 1f\n"
        "r1 = *(u64 *)(r3 + 0)\n if r1 < r2 goto 1f\n"
        "r1 = *(u64 *)(r3 + 0)\n if w1 <= -3 goto 1f\n"
        "r1 = *(u64 *)(r3 + 0)\n if r1 s> -7 goto 1f\n"
        "r1 = *(u64 *)(r3 + 0)\n if w1 s>= w2 goto 1f\n"
        "r1 = *(u64 *)(r3 + 0)\n if r1 s< r2 goto 1f\n"
        "r1 = *(u64 *)(r3 + 0)\n if w1 s<= 1000 goto 1f\n"
        SINCE_19("r1 = *(u64 *)(r3 + 0)\n if r1 & 6 goto 1f\n if w1 & w2 goto 1f\n")
        "*(u64 *)(r3 + 0) = r1\n goto 2f\n1: r1 = 0\n2: %[result] = r1\n"
        : [result] "=r"(result)
        : [cell] "i"(&cell)
        : "r0", "r1", "r2", "r3");
    return result ? 1 : 2;
}

SEC("xdp") int constants(struct xdp_md* context) {
    *(volatile u32*)&half = 7;
    asm volatile("r1 = %[values] ll" ::[values] "i"(&values) : "r1");
    return 0;
}

SEC("xdp") int branches(struct xdp_md* context) {
    u64 sum = cell;
    for (u32 i = 0; i < 10; ++i) {
        sum += i;
        if (sum == 77) break;
        cell = sum;
    }
    return sum;
}

NOINLINE int add_up(int a, int b) {
    int sum = a;
    sum += b * 3;
    sum ^= a >> 2;
    return sum;
}

static NOINLINE int odd(const volatile struct xdp_md* context, enum colour colour, callback call,
                        u32 (*many)[3], u64* const p) {
    *(volatile u64*)p += 2;
    return add_up(*p, colour);
}

SEC("xdp") int calls(struct xdp_md* context) {
    cell += 1;
    if (cell > 7) return add_up(cell, 3);
    return odd(context, cell, 0, 0, &cell) + odd(context, cell + 1, 0, 0, &cell);
}

SEC("xdp") int helpers(struct xdp_md* context) {
    u32 key = 1;
    u64* value = map_lookup(&values, &key);
    if (value) __sync_fetch_and_add(value, 1);
    return 2;
}
