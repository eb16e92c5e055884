// SPDX-License-Identifier: MIT
#include "jit/x64/assembler.hpp"

namespace ebpf::jit::x64 {

namespace {

constexpr u32 low(Gpr r) {
    return static_cast<u32>(r) & 7;
}
constexpr u32 high(Gpr r) {
    return r == Gpr::None ? 0 : static_cast<u32>(r) >> 3;
}
constexpr bool fits8(i64 value) {
    return value >= -128 && value <= 127;
}
constexpr u32 modrm(u32 mod, Gpr reg, u32 rm) {
    return mod << 6 | low(reg) << 3 | rm;
}

}  // namespace

// REX and the opcode. `byte_regs`: registers are named as bytes, where spl to dil need a REX.
void Assembler::prefix(Encoding e, Width w, Gpr reg, Gpr index, Gpr base, bool byte_regs) {
    const u32 rex = (w == Width::W64 ? 8u : 0u) | high(reg) << 2 | high(index) << 1 | high(base);
    if (w == Width::W16) code.put8(0x66);
    if (rex != 0 || byte_regs) code.put8(0x40 | rex);
    if (e.map_0f) code.put8(0x0F);
    code.put8(e.opcode);
}

void Assembler::rr(Encoding e, Width w, Gpr reg, Gpr rm, bool byte_regs) {
    prefix(e, w, reg, Gpr::None, rm, byte_regs);
    code.put8(modrm(3, reg, low(rm)));
}

void Assembler::rm(Encoding e, Width w, Gpr reg, Mem mem, bool byte_regs) {
    prefix(e, w, reg, mem.index, mem.base, byte_regs);
    // rbp and r13 as a base without displacement mean something else, rsp and r12 need a SIB byte.
    const u32 mod = mem.disp == 0 && low(mem.base) != 5 ? 0 : fits8(mem.disp) ? 1 : 2;
    const bool sib = mem.index != Gpr::None || low(mem.base) == 4;
    code.put8(modrm(mod, reg, sib ? 4 : low(mem.base)));
    if (sib) {
        const u32 index = mem.index == Gpr::None ? 4 : low(mem.index);
        code.put8(u32{mem.scale_log2} << 6 | index << 3 | low(mem.base));
    }
    if (mod == 1) code.put8(static_cast<u32>(mem.disp));
    if (mod == 2) code.put32(static_cast<u32>(mem.disp));
}

// Three-byte VEX prefix, L = 0 (SDM volume 2, 2.3.5).
void Assembler::vex(Width w, u8 map, u8 pp, u8 opcode, Gpr reg, Gpr vvvv, Gpr rm) {
    const u32 v = vvvv == Gpr::None ? 0 : static_cast<u32>(vvvv);
    code.put8(0xC4);
    code.put8((high(reg) ^ 1) << 7 | 1 << 6 | (high(rm) ^ 1) << 5 | map);
    code.put8((w == Width::W64 ? 0x80u : 0u) | (~v & 15) << 3 | pp);
    code.put8(opcode);
    code.put8(modrm(3, reg, low(rm)));
}

void Assembler::mov_imm(Gpr dst, u64 value) {
    if (value == 0) {
        arith(Arith::Xor, Width::W32, dst, dst);
    } else if (value <= 0xFFFF'FFFF) {
        if (high(dst)) code.put8(0x41);
        code.put8(0xB8 | low(dst));
        code.put32(static_cast<u32>(value));
    } else if (static_cast<i64>(value) == static_cast<i32>(value)) {
        rr(op::kStoreImm, Width::W64, Gpr{0}, dst);
        code.put32(static_cast<u32>(value));
    } else {
        mov_imm64(dst, value);
    }
}

Place Assembler::mov_imm64(Gpr dst, u64 value) {
    code.put8(0x48 | high(dst));
    code.put8(0xB8 | low(dst));
    const Place place = code.here();
    code.put64(value);
    return place;
}

void Assembler::load(Width w, Gpr dst, Mem mem) {
    switch (w) {
        case Width::W8:
            return rm(op::kMovzx8, Width::W32, dst, mem);
        case Width::W16:
            return rm(op::kMovzx16, Width::W32, dst, mem);
        case Width::W32:
        case Width::W64:
            return rm(op::kMov, w, dst, mem);
    }
}

void Assembler::load_signed(Width w, Gpr dst, Mem mem) {
    switch (w) {
        case Width::W8:
            return rm(op::kMovsx8, Width::W64, dst, mem);
        case Width::W16:
            return rm(op::kMovsx16, Width::W64, dst, mem);
        case Width::W32:
            return rm(op::kMovsxd, Width::W64, dst, mem);
        case Width::W64:
            return rm(op::kMov, Width::W64, dst, mem);
    }
}

void Assembler::store(Width w, Mem mem, Gpr src) {
    if (w == Width::W8) {
        const bool needs_rex = src >= Gpr::Rsp && src <= Gpr::Rdi;
        rm(op::kStore8, Width::W8, src, mem, needs_rex);
    } else {
        rm(op::kStore, w, src, mem);
    }
}

void Assembler::store_imm(Width w, Mem mem, i32 value) {
    rm(w == Width::W8 ? op::kStoreImm8 : op::kStoreImm, w, Gpr{0}, mem);
    if (w == Width::W8) {
        code.put8(static_cast<u32>(value));
    } else if (w == Width::W16) {
        code.put8(static_cast<u32>(value));
        code.put8(static_cast<u32>(value) >> 8);
    } else {
        code.put32(static_cast<u32>(value));
    }
}

void Assembler::extend(Width from, bool sign, Width to, Gpr dst, Gpr src) {
    if (from == Width::W8) {
        const bool needs_rex = src >= Gpr::Rsp && src <= Gpr::Rdi;
        rr(sign ? op::kMovsx8 : op::kMovzx8, sign ? to : Width::W32, dst, src, needs_rex);
    } else if (from == Width::W16) {
        rr(sign ? op::kMovsx16 : op::kMovzx16, sign ? to : Width::W32, dst, src);
    } else if (sign && to == Width::W64) {
        rr(op::kMovsxd, Width::W64, dst, src);
    } else {
        mov(Width::W32, dst, src);
    }
}

void Assembler::arith(Arith a, Width w, Gpr dst, i32 value) {
    rr({static_cast<u8>(fits8(value) ? 0x83 : 0x81)}, w, Gpr{static_cast<u8>(a)}, dst);
    fits8(value) ? code.put8(static_cast<u32>(value)) : code.put32(static_cast<u32>(value));
}

void Assembler::arith(Arith a, Width w, Mem mem, i32 value) {
    rm({static_cast<u8>(fits8(value) ? 0x83 : 0x81)}, w, Gpr{static_cast<u8>(a)}, mem);
    fits8(value) ? code.put8(static_cast<u32>(value)) : code.put32(static_cast<u32>(value));
}

void Assembler::test_imm(Width w, Gpr a, i32 value) {
    unary(op::kTestImm, w, a);
    code.put32(static_cast<u32>(value));
}

void Assembler::imul(Width w, Gpr dst, Gpr src, i32 value) {
    rr(fits8(value) ? op::kImul8 : op::kImul32, w, dst, src);
    fits8(value) ? code.put8(static_cast<u32>(value)) : code.put32(static_cast<u32>(value));
}

void Assembler::shift(Shift s, Width w, Gpr dst, u8 count) {
    rr({static_cast<u8>(count == 1 ? 0xD1 : 0xC1)}, w, Gpr{static_cast<u8>(s)}, dst);
    if (count != 1) code.put8(count);
}

void Assembler::shift_reg(Shift s, Width w, Gpr dst, Gpr src, Gpr count) {
    const u8 pp = s == Shift::Shl ? 1 : s == Shift::Sar ? 2 : 3;  // 66, F3, F2
    vex(w, 2, pp, 0xF7, dst, count, src);
}

void Assembler::rorx(Width w, Gpr dst, Gpr src, u8 count) {
    vex(w, 3, 3, 0xF0, dst, Gpr::None, src);
    code.put8(count);
}

void Assembler::rol16(Gpr dst, u8 count) {
    rr({0xC1}, Width::W16, Gpr{static_cast<u8>(Shift::Rol)}, dst);
    code.put8(count);
}

void Assembler::bswap(Width w, Gpr dst) {
    const u32 rex = (w == Width::W64 ? 8u : 0u) | high(dst);
    if (rex != 0) code.put8(0x40 | rex);
    code.put8(0x0F);
    code.put8(0xC8 | low(dst));
}

void Assembler::sign_extend_rax(Width w) {
    if (w == Width::W64) code.put8(0x48);
    code.put8(0x99);
}

void Assembler::push(Gpr r) {
    if (high(r)) code.put8(0x41);
    code.put8(0x50 | low(r));
}

void Assembler::pop(Gpr r) {
    if (high(r)) code.put8(0x41);
    code.put8(0x58 | low(r));
}

}  // namespace ebpf::jit::x64
