// SPDX-License-Identifier: MIT
#include "plain_switch.hpp"

#include <cstring>

namespace ebpf::bench {

namespace {

template <typename T>
T load(u64 address) {
    T value;
    std::memcpy(&value, reinterpret_cast<const void*>(address), sizeof value);
    return value;
}

template <typename T>
void store(u64 address, u64 value) {
    const T narrow = static_cast<T>(value);
    std::memcpy(reinterpret_cast<void*>(address), &narrow, sizeof narrow);
}

u64 run(const isa::Slot* pc, u64 (&r)[isa::kRegisterCount]) {
    for (;;) {
        const isa::Slot insn = *pc++;
        u64& dst = r[insn.regs & 15];
        const u64 src = r[insn.regs >> 4];
        const u64 imm = static_cast<u64>(i64{insn.imm});
        const u32 dst32 = static_cast<u32>(dst);
        const u32 src32 = static_cast<u32>(src);
        const u32 imm32 = static_cast<u32>(insn.imm);
// The opcode bytes of an operation: by immediate and by register, 64 and 32 bits.
#define ALU(code, expression64, expression32)            \
    case code | 0x07: {                                  \
        [[maybe_unused]] const u64 a = dst, b = imm;     \
        dst = expression64;                              \
        break;                                           \
    }                                                    \
    case code | 0x0F: {                                  \
        [[maybe_unused]] const u64 a = dst, b = src;     \
        dst = expression64;                              \
        break;                                           \
    }                                                    \
    case code | 0x04: {                                  \
        [[maybe_unused]] const u32 a = dst32, b = imm32; \
        dst = static_cast<u32>(expression32);            \
        break;                                           \
    }                                                    \
    case code | 0x0C: {                                  \
        [[maybe_unused]] const u32 a = dst32, b = src32; \
        dst = static_cast<u32>(expression32);            \
        break;                                           \
    }
#define JUMP(code, type64, type32, op)                                                \
    case code | 0x05:                                                                 \
        if (static_cast<type64>(dst) op static_cast<type64>(imm)) pc += insn.off;     \
        break;                                                                        \
    case code | 0x0D:                                                                 \
        if (static_cast<type64>(dst) op static_cast<type64>(src)) pc += insn.off;     \
        break;                                                                        \
    case code | 0x06:                                                                 \
        if (static_cast<type32>(dst32) op static_cast<type32>(imm32)) pc += insn.off; \
        break;                                                                        \
    case code | 0x0E:                                                                 \
        if (static_cast<type32>(dst32) op static_cast<type32>(src32)) pc += insn.off; \
        break;
#define MEMORY(code, type)                                       \
    case code | 0x61:                                            \
        dst = load<type>(src + static_cast<u64>(i64{insn.off})); \
        break;                                                   \
    case code | 0x62:                                            \
        store<type>(dst + static_cast<u64>(i64{insn.off}), imm); \
        break;                                                   \
    case code | 0x63:                                            \
        store<type>(dst + static_cast<u64>(i64{insn.off}), src); \
        break;
        switch (insn.opcode) {
            ALU(0x00, a + b, a + b)
            ALU(0x10, a - b, a - b)
            ALU(0x20, a * b, a * b)
            ALU(0x30, b != 0 ? a / b : 0, b != 0 ? a / b : 0)
            ALU(0x40, a | b, a | b)
            ALU(0x50, a & b, a & b)
            ALU(0x60, a << (b & 63), a << (b & 31))
            ALU(0x70, a >> (b & 63), a >> (b & 31))
            ALU(0x90, b != 0 ? a % b : a, b != 0 ? a % b : a)
            ALU(0xA0, a ^ b, a ^ b)
            ALU(0xB0, b, b)
            ALU(0xC0, static_cast<u64>(static_cast<i64>(a) >> (b & 63)),
                static_cast<i32>(a) >> (b & 31))
            JUMP(0x10, u64, u32, ==)
            JUMP(0x20, u64, u32, >)
            JUMP(0x30, u64, u32, >=)
            JUMP(0x40, u64, u32, &)
            JUMP(0x50, u64, u32, !=)
            JUMP(0x60, i64, i32, >)
            JUMP(0x70, i64, i32, >=)
            JUMP(0xA0, u64, u32, <)
            JUMP(0xB0, u64, u32, <=)
            JUMP(0xC0, i64, i32, <)
            JUMP(0xD0, i64, i32, <=)
            MEMORY(0x00, u32)
            MEMORY(0x08, u16)
            MEMORY(0x10, u8)
            MEMORY(0x18, u64)
            case 0x87:
                dst = 0 - dst;
                break;
            case 0x84:
                dst = 0 - dst32;
                break;
            case 0x05:
                pc += insn.off;
                break;
            case 0x18:
                dst = static_cast<u64>(static_cast<u32>(pc->imm)) << 32 | imm32;
                ++pc;
                break;
            case 0xD4:
                dst = insn.imm == 16 ? static_cast<u16>(dst) : insn.imm == 32 ? dst32 : dst;
                break;
            case 0xDC:
                dst = insn.imm == 16   ? __builtin_bswap16(static_cast<u16>(dst))
                      : insn.imm == 32 ? __builtin_bswap32(dst32)
                                       : __builtin_bswap64(dst);
                break;
            case 0x85: {  // a local call: a frame of its own, r6 to r9 are the caller's afterwards
                alignas(8) std::byte frame[isa::kStackSize];
                u64 inner[isa::kRegisterCount];
                std::memcpy(inner, r, sizeof inner);
                inner[isa::kFramePointer] = reinterpret_cast<u64>(frame + sizeof frame);
                r[0] = run(pc + insn.imm, inner);
                break;
            }
            case 0x95:
                return r[0];
            default:
                return ~u64{0};  // an operation that no program here has
        }
#undef ALU
#undef JUMP
#undef MEMORY
    }
}

}  // namespace

u64 plain_switch(const isa::Slot* slots, const void* data, u64 size) {
    alignas(8) std::byte frame[isa::kStackSize];
    u64 r[isa::kRegisterCount] = {};
    r[1] = reinterpret_cast<u64>(data);
    r[2] = size;
    r[isa::kFramePointer] = reinterpret_cast<u64>(frame + sizeof frame);
    return run(slots, r);
}

}  // namespace ebpf::bench
