// SPDX-License-Identifier: MIT
//
// x86-64 instructions, from a table of encodings (Intel SDM volume 2): a row is the opcode with its
// map and, where the instruction has one operand, the digit that extends the opcode. The functions
// below it know the shapes: register-register, register-memory, immediate, and pick the shortest
// form of an immediate or displacement.
#pragma once

#include "isa/insn.hpp"
#include "jit/x64/code_buffer.hpp"

namespace ebpf::jit::x64 {

enum class Gpr : u8 {
    Rax,
    Rcx,
    Rdx,
    Rbx,
    Rsp,
    Rbp,
    Rsi,
    Rdi,
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,
    None,
};

using isa::Width;

// A memory operand: base + index * scale + disp. Rsp cannot be an index.
struct Mem {
    Gpr base{};
    i32 disp = 0;
    Gpr index = Gpr::None;
    u8 scale_log2 = 0;
};

struct Encoding {
    u8 opcode = 0;
    bool map_0f = false;
    u8 digit = 0;
};

namespace op {
// reg, r/m
inline constexpr Encoding kTest{0x85}, kXchg{0x87}, kStore{0x89}, kMov{0x8B}, kLea{0x8D},
    kMovsxd{0x63}, kStore8{0x88}, kImul{0xAF, true}, kMovzx8{0xB6, true}, kMovzx16{0xB7, true},
    kMovsx8{0xBE, true}, kMovsx16{0xBF, true}, kCmpxchg{0xB1, true}, kXadd{0xC1, true};
// r/m, immediate
inline constexpr Encoding kImul8{0x6B}, kImul32{0x69}, kStoreImm8{0xC6}, kStoreImm{0xC7};
// group 1, bytes
inline constexpr Encoding kCompareByte{0x80, false, 7};
// group 3: one operand, rdx:rax the others
inline constexpr Encoding kTestImm{0xF7, false, 0}, kNeg{0xF7, false, 3}, kMul{0xF7, false, 4},
    kImulWide{0xF7, false, 5}, kDiv{0xF7, false, 6}, kIdiv{0xF7, false, 7};
// group 5
inline constexpr Encoding kCallIndirect{0xFF, false, 2}, kJumpIndirect{0xFF, false, 4},
    kPush{0xFF, false, 6};
inline constexpr Encoding kPop{0x8F, false, 0};
}  // namespace op

// Group 1: the opcode is 8 * n + 1 (r/m, reg) or + 3 (reg, r/m), with immediates 81 and 83 /n.
enum class Arith : u8 { Add = 0, Or = 1, And = 4, Sub = 5, Xor = 6, Cmp = 7 };
// Group 2: shifts and rotates; by cl D3 /n, by an immediate C1 /n, by one D1 /n.
enum class Shift : u8 { Rol = 0, Ror = 1, Shl = 4, Shr = 5, Sar = 7 };

class Assembler {
  public:
    Assembler(u32 label_count, u32 expected_bytes) : code(label_count, expected_bytes) {}
    CodeBuffer code;

    // Width is W32 or W64 unless said otherwise. 32-bit results zero the upper half.
    void mov(Width w, Gpr dst, Gpr src) { rr(op::kMov, w, dst, src); }
    void mov_imm(Gpr dst, u64 value);     // the shortest form; changes the flags for 0
    Place mov_imm64(Gpr dst, u64 value);  // always ten bytes; returns the place of the value
    void lea(Width w, Gpr dst, Mem mem) { rm(op::kLea, w, dst, mem); }

    // Loads extend to 64 bits.
    void load(Width w, Gpr dst, Mem mem);
    void load_signed(Width w, Gpr dst, Mem mem);
    void store(Width w, Mem mem, Gpr src);
    void store_imm(Width w, Mem mem, i32 value);
    void extend(Width from, bool sign, Width to, Gpr dst, Gpr src);  // from 8, 16 or 32 bits

    void arith(Arith a, Width w, Gpr dst, Gpr src) { rr(reg_rm(a), w, dst, src); }
    void arith(Arith a, Width w, Gpr dst, i32 value);
    void arith(Arith a, Width w, Gpr dst, Mem mem) { rm(reg_rm(a), w, dst, mem); }
    void arith(Arith a, Width w, Mem mem, i32 value);
    void arith_store(Arith a, Width w, Mem mem, Gpr src) { rm(rm_reg(a), w, src, mem); }
    void compare_byte(Mem mem, u8 value) {
        rm(op::kCompareByte, Width::W32, Gpr{op::kCompareByte.digit}, mem);
        code.put8(value);
    }
    void test(Width w, Gpr a, Gpr b) { rr(op::kTest, w, a, b); }
    void test_imm(Width w, Gpr a, i32 value);
    void imul(Width w, Gpr dst, Gpr src) { rr(op::kImul, w, dst, src); }
    void imul(Width w, Gpr dst, Mem mem) { rm(op::kImul, w, dst, mem); }
    void imul(Width w, Gpr dst, Gpr src, i32 value);
    void unary(Encoding e, Width w, Gpr a) { rr(e, w, static_cast<Gpr>(e.digit), a); }
    void call(Gpr target) { unary(op::kCallIndirect, Width::W32, target); }
    void jump(Gpr target) { unary(op::kJumpIndirect, Width::W32, target); }
    void call(Mem target) { rm(op::kCallIndirect, Width::W32, Gpr{2}, target); }

    void shift(Shift s, Width w, Gpr dst, u8 count);
    void shift_cl(Shift s, Width w, Gpr dst) { rr({0xD3}, w, Gpr{static_cast<u8>(s)}, dst); }
    void shift_reg(Shift s, Width w, Gpr dst, Gpr src, Gpr count);  // BMI2; Shl, Shr, Sar
    void rorx(Width w, Gpr dst, Gpr src, u8 count);                 // BMI2
    void rol16(Gpr dst, u8 count);
    void bswap(Width w, Gpr dst);
    void sign_extend_rax(Width w);  // cdq, cqo: rdx:rax from rax

    void lock() { code.put8(0xF0); }
    void xadd(Width w, Mem mem, Gpr src) { rm(op::kXadd, w, src, mem); }
    void xchg(Width w, Mem mem, Gpr src) { rm(op::kXchg, w, src, mem); }
    void cmpxchg(Width w, Mem mem, Gpr src) { rm(op::kCmpxchg, w, src, mem); }

    void push(Gpr r);
    void pop(Gpr r);
    void push(Mem mem) { rm(op::kPush, Width::W32, Gpr{op::kPush.digit}, mem); }
    void pop(Mem mem) { rm(op::kPop, Width::W32, Gpr{op::kPop.digit}, mem); }
    void pause() {
        code.put8(0xF3);
        code.put8(0x90);
    }
    void lfence() {
        code.put8(0x0F);
        code.put8(0xAE);
        code.put8(0xE8);
    }
    void ret() { code.put8(0xC3); }
    void int3() { code.put8(0xCC); }
    void ud2() {
        code.put8(0x0F);
        code.put8(0x0B);
    }

  private:
    static Encoding reg_rm(Arith a) { return {static_cast<u8>(8 * static_cast<u8>(a) + 3)}; }
    static Encoding rm_reg(Arith a) { return {static_cast<u8>(8 * static_cast<u8>(a) + 1)}; }
    void prefix(Encoding e, Width w, Gpr reg, Gpr index, Gpr base, bool byte_regs = false);
    void rr(Encoding e, Width w, Gpr reg, Gpr rm, bool byte_regs = false);
    void rm(Encoding e, Width w, Gpr reg, Mem mem, bool byte_regs = false);
    void vex(Width w, u8 map, u8 pp, u8 opcode, Gpr reg, Gpr vvvv, Gpr rm);
};

}  // namespace ebpf::jit::x64
