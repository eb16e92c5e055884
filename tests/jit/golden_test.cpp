// SPDX-License-Identifier: MIT
//
// What the machine code looks like, one feature each: a change that makes code longer shows here.
// The frame and the moves around the feature are part of the text; they are short.
#include <gtest/gtest.h>

#include "support.hpp"

namespace ebpf::jit::test {
namespace {

using isa::WideKind;

struct Golden {
    const char* name;
    Insns insns;
    Target target;
    const char* code;
};

std::ostream& operator<<(std::ostream& out, const Golden& golden) {
    return out << golden.name;
}

const Golden kGoldens[] = {
    {"Empty", {mov_imm(0, 0), exit()}, system_v(), R"(xor eax, eax
ret
)"},
    {"ThirtyTwoBitOperationsAreNotTruncatedAgain",
     {mov(0, 1), alu(AluOp::Add, Width::W32, 0, 2), alu(AluOp::Mul, Width::W32, 0, 2), exit()},
     system_v(),
     R"(mov rax, rdi
add eax, esi
imul eax, esi
ret
)"},
    {"ImmediatesTakeTheShortForm",
     {mov(0, 1), alu_imm(AluOp::And, Width::W64, 0, 255), alu_imm(AluOp::Add, Width::W64, 0, -8),
      alu_imm(AluOp::Mul, Width::W64, 0, 9), alu_imm(AluOp::Mul, Width::W64, 0, 16),
      alu_imm(AluOp::Mul, Width::W64, 0, 10), exit()},
     system_v(),
     R"(mov rax, rdi
and eax, 0xFF
add rax, 0xFFFFFFFFFFFFFFF8
lea rax, [rax+rax*8]
shl rax, 0x04
imul rax, rax, 0x0A
ret
)"},
    {"Constants",
     {wide(WideKind::Imm64, 0, 0xFFFF'FFFF), wide(WideKind::Imm64, 2, ~u64{0}),
      wide(WideKind::Imm64, 3, 0x1'0000'0000), alu(AluOp::Add, Width::W64, 0, 2),
      alu(AluOp::Add, Width::W64, 0, 3), exit()},
     system_v(),
     R"(mov eax, 0xFFFFFFFF
mov rsi, 0xFFFFFFFFFFFFFFFF
mov rdx, 0x100000000
add rax, rsi
add rax, rdx
ret
)"},
    {"ShiftByRegister",
     {mov(0, 1), alu(AluOp::Lsh, Width::W64, 0, 2), exit()},
     system_v(),
     R"(mov rax, rdi
mov ecx, esi
shl rax, cl
ret
)"},
    {"ShiftByRegisterBmi2",
     {mov(0, 1), alu(AluOp::Arsh, Width::W32, 0, 2), exit()},
     system_v(true),
     R"(mov rax, rdi
sarx eax, eax, esi
ret
)"},
    {"Division", {mov(0, 1), alu(AluOp::Div, Width::W64, 0, 2), exit()}, system_v(), R"(mov rax, rdi
test rsi, rsi
jnz 0x000000000000000C
xor eax, eax
jmp 0x0000000000000011
xor edx, edx
div rsi
ret
)"},
    {"DivisionByAPowerOfTwo",
     {mov(0, 1), alu_imm(AluOp::Div, Width::W64, 0, 16), alu_imm(AluOp::Mod, Width::W32, 0, 8),
      exit()},
     system_v(),
     R"(mov rax, rdi
shr rax, 0x04
and eax, 0x07
ret
)"},
    {"DivisionByAConstantMultiplies",
     {mov(0, 1), alu_imm(AluOp::Div, Width::W32, 0, 10), exit()},
     system_v(),
     R"(mov rax, rdi
mov eax, eax
mov r11d, 0xCCCCCCCD
imul rax, r11
shr rax, 0x23
ret
)"},
    {"RemainderOfAConstantThatFitsAnImmediate",
     {mov(0, 1), alu_imm(AluOp::Mod, Width::W32, 0, 1000), exit()},
     system_v(),
     R"(mov rax, rdi
mov ecx, eax
imul r11, rcx, 0x10624DD3
shr r11, 0x26
imul r11d, r11d, 0x3E8
sub eax, r11d
ret
)"},
    {"Rotate",
     {mov(2, 1), alu_imm(AluOp::Lsh, Width::W64, 2, 13), alu_imm(AluOp::Rsh, Width::W64, 1, 51),
      alu(AluOp::Or, Width::W64, 1, 2), mov(0, 1), exit()},
     system_v(),
     R"(rol rdi, 0x0D
mov rax, rdi
ret
)"},
    {"ZeroExtension",
     {mov(0, 1), alu_imm(AluOp::Lsh, Width::W64, 0, 32), alu_imm(AluOp::Rsh, Width::W64, 0, 32),
      exit()},
     system_v(),
     R"(mov eax, edi
ret
)"},
    {"SignExtensionAndScale",
     {mov(0, 1), alu_imm(AluOp::Lsh, Width::W64, 0, 32), alu_imm(AluOp::Arsh, Width::W64, 0, 29),
      exit()},
     system_v(),
     R"(movsxd rax, edi
shl rax, 0x03
ret
)"},
    {"IndexedLoad",
     {mov(3, 2), alu_imm(AluOp::Lsh, Width::W64, 3, 3), alu(AluOp::Add, Width::W64, 3, 1),
      load(Width::W64, 0, 3, 16), exit()},
     system_v(),
     R"(mov rax, [rdi+rsi*8+0x10]
ret
)"},
    {"ByteSwaps",
     {mov(0, 1),
      {.form = Form::Endian, .kind = static_cast<u8>(EndianOp::ToBe), .width = Width::W16},
      exit()},
     system_v(),
     R"(mov rax, rdi
rol ax, 0x08
movzx eax, ax
ret
)"},
    {"ShortJumps",
     {mov_imm(0, 0), jump_imm(Cond::Eq, Width::W32, 1, 0, 1), mov_imm(0, 1),
      jump(Cond::SGt, Width::W64, 1, 2, -2), exit()},
     system_v(),
     R"(xor eax, eax
test edi, edi
jz 0x000000000000000B
mov eax, 0x01
cmp rdi, rsi
jnle 0x0000000000000006
ret
)"},
    {"FrameAndHelperCall",
     {store_imm(Width::W64, 10, -8, 1), mov(1, 10), alu_imm(AluOp::Add, Width::W64, 1, -8),
      call_helper(1), exit()},
     system_v(),
     R"(push rbp
push r12
mov r12, rdx
sub rsp, 0x208
lea rbp, [rsp+0x200]
mov qword ptr [rbp-0x08], 0x01
lea rdi, [rbp-0x08]
mov r9, r12
call 0x0000000000000034
add rsp, 0x208
pop r12
pop rbp
ret
mov rax, 0x00
jmp rax
)"},
    {"HelperCallOnWindows",
     {mov_imm(4, 4), mov_imm(5, 5), call_helper(1), exit()},
     windows(),
     R"(push r12
push rsi
mov r12, r8
sub rsp, 0x38
mov r10, rcx
mov r9d, 0x04
mov esi, 0x05
mov rcx, r10
mov [rsp+0x20], rsi
mov [rsp+0x28], r12
call 0x0000000000000032
add rsp, 0x38
pop rsi
pop r12
ret
mov rax, 0x00
jmp rax
)"},
    {"LocalCall",
     {mov_imm(6, 1), call_local(2), alu(AluOp::Add, Width::W64, 0, 6), exit(), mov_imm(6, 2),
      mov(0, 6), exit()},
     system_v(),
     R"(push rbx
mov ebx, 0x01
call 0x0000000000000010
add rax, rbx
pop rbx
ret
push rbx
mov ebx, 0x02
mov rax, rbx
pop rbx
ret
)"},
    {"FlagsOfArithmetic",
     {mov(0, 1), alu_imm(AluOp::And, Width::W64, 0, 7), jump_imm(Cond::Eq, Width::W32, 0, 0, 1),
      alu(AluOp::Sub, Width::W64, 0, 2), jump_imm(Cond::Ne, Width::W32, 0, 0, 1), mov_imm(0, 1),
      exit()},
     system_v(),
     R"(mov rax, rdi
and eax, 0x07
jz 0x000000000000000B
sub rax, rsi
test eax, eax
jnz 0x0000000000000014
mov eax, 0x01
ret
)"},
    {"ByteInMemoryCompared",
     {mov_imm(0, 1), load(Width::W8, 3, 1, 5), jump_imm(Cond::Gt, Width::W64, 3, 200, 1),
      mov_imm(0, 2), exit()},
     system_v(),
     R"(mov eax, 0x01
cmp byte ptr [rdi+0x05], 0xC8
jnbe 0x0000000000000010
mov eax, 0x02
ret
)"},
    {"ByteInMemoryComparedAsSigned",
     {mov_imm(0, 1), load(Width::W8, 3, 1, 5), jump_imm(Cond::SGt, Width::W64, 3, 100, 1),
      mov_imm(0, 2), exit()},
     system_v(),
     R"(mov eax, 0x01
movzx edx, byte ptr [rdi+0x05]
cmp rdx, 0x64
jnle 0x0000000000000014
mov eax, 0x02
ret
)"},
    {"AtomicAdd",
     {mov_imm(0, 0), atomic(AtomicOp::Add, Width::W32, 1, 4, 2), exit()},
     system_v(),
     R"(xor eax, eax
lock add [rdi+0x04], esi
ret
)"},
    {"FetchingOr",
     {atomic(AtomicOp::FetchOr, Width::W64, 1, 0, 2), mov(0, 2), exit()},
     system_v(),
     R"(mov rax, [rdi]
mov rcx, rax
or rcx, rsi
lock cmpxchg [rdi], rcx
jnz 0x0000000000000003
mov rsi, rax
mov rax, rsi
ret
)"},
};

class Code : public testing::TestWithParam<Golden> {};

TEST_P(Code, IsAsShortAsItWas) {
    EXPECT_EQ(disassemble(compiled(link(GetParam().insns), GetParam().target)), GetParam().code);
}

INSTANTIATE_TEST_SUITE_P(Golden, Code, testing::ValuesIn(kGoldens),
                         [](const testing::TestParamInfo<Golden>& golden) {
                             return std::string(golden.param.name);
                         });

}  // namespace
}  // namespace ebpf::jit::test
