// SPDX-License-Identifier: MIT
#include "support.hpp"

#include <Zydis/Zydis.h>
#include <gtest/gtest.h>

#include <cstring>
#include <stdexcept>

#include "isa/codec.hpp"
#include "isa/semantics.hpp"

namespace ebpf::jit::test {

namespace {

[[noreturn]] void raise(const Error& error) {
    char text[200];
    render(error, text);
    throw std::runtime_error(text);
}

template <typename Kind>
constexpr u8 kind_of(Kind kind) {
    return static_cast<u8>(kind);
}
}  // namespace

Insn alu(AluOp op, Width w, Reg dst, Reg src) {
    return {.form = Form::AluReg, .kind = kind_of(op), .width = w, .dst = dst, .src = src};
}
Insn alu_imm(AluOp op, Width w, Reg dst, i32 imm) {
    return {.form = Form::AluImm, .kind = kind_of(op), .width = w, .dst = dst, .imm = imm};
}
Insn mov(Reg dst, Reg src) {
    return alu(AluOp::Mov, Width::W64, dst, src);
}
Insn mov_imm(Reg dst, i32 imm) {
    return alu_imm(AluOp::Mov, Width::W64, dst, imm);
}
Insn load(Width w, Reg dst, Reg base, i16 off) {
    return {.form = Form::Load, .width = w, .dst = dst, .src = base, .off = off};
}
Insn load_sx(Width w, Reg dst, Reg base, i16 off) {
    return {.form = Form::LoadSx, .width = w, .dst = dst, .src = base, .off = off};
}
Insn store(Width w, Reg base, i16 off, Reg src) {
    return {.form = Form::StoreReg, .width = w, .dst = base, .src = src, .off = off};
}
Insn store_imm(Width w, Reg base, i16 off, i32 imm) {
    return {.form = Form::StoreImm, .width = w, .dst = base, .off = off, .imm = imm};
}
Insn atomic(AtomicOp op, Width w, Reg base, i16 off, Reg src) {
    return {
        .form = Form::Atomic, .kind = kind_of(op), .width = w, .dst = base, .src = src, .off = off};
}
Insn jump(Cond cond, Width w, Reg dst, Reg src, i16 off) {
    return {.form = Form::JmpReg,
            .kind = kind_of(cond),
            .width = w,
            .dst = dst,
            .src = src,
            .off = off};
}
Insn jump_imm(Cond cond, Width w, Reg dst, i32 imm, i16 off) {
    return {.form = Form::JmpImm,
            .kind = kind_of(cond),
            .width = w,
            .dst = dst,
            .off = off,
            .imm = imm};
}
Insn ja(i32 off) {
    return {.form = Form::Ja, .imm = off};
}
Insn call_helper(u32 number) {
    return {.form = Form::Call, .kind = kind_of(isa::CallKind::Helper), .imm = number};
}
Insn call_local(i32 off) {
    return {.form = Form::Call, .kind = kind_of(isa::CallKind::Local), .imm = off};
}
Insn wide(isa::WideKind kind, Reg dst, u64 imm) {
    return {.form = Form::Wide, .kind = kind_of(kind), .dst = dst, .imm = static_cast<i64>(imm)};
}
Insn exit() {
    return {.form = Form::Exit};
}

Insns operator+(Insns a, const Insns& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

ir::Program link(const Insns& insns, u32 map_count) {
    std::vector<isa::Slot> slots;
    for (const Insn& insn : insns) {
        std::array<isa::Slot, 2> encoded;
        const auto status = isa::encode(insn, encoded);
        if (!status) raise(status.error());
        slots.insert(slots.end(), encoded.begin(), encoded.begin() + insn.slots());
    }
    Result<ir::Program> program = ir::decode_program(std::as_bytes(std::span(slots)));
    if (!program) raise(program.error());
    program->maps.resize(map_count);
    return std::move(*program);
}

Target system_v(bool bmi2) {
    return {.cpu = code::Cpu::X86_64, .convention = CallingConvention::SystemV, .bmi2 = bmi2};
}
Target windows(bool bmi2) {
    return {.cpu = code::Cpu::X86_64, .convention = CallingConvention::WindowsX64, .bmi2 = bmi2};
}
std::vector<Target> all_targets() {
    std::vector<Target> targets{system_v(), windows()};
    if (Target::host().bmi2) targets.insert(targets.end(), {system_v(true), windows(true)});
    return targets;
}

Output compiled(const ir::Program& program, const Target& target, const ir::Facts& facts) {
    Result<Output> output = compile(program, facts, target);
    if (!output) raise(output.error());
    return std::move(*output);
}

u64 run(const Insns& insns, void* r1, u64 r2, const Target& target) {
    const Output output = compiled(link(insns), target);
    return Placed(output, target.convention).run(r1, r2);
}

Registers evaluate(const Insns& insns, Registers r) {
    for (std::size_t at = 0; at < insns.size(); ++at) {
        const Insn& insn = insns[at];
        u64& dst = r[insn.dst];
        const u64 imm = static_cast<u64>(insn.imm);
        const auto size = static_cast<std::size_t>(isa::bytes(insn.width));
        const auto at_register = [&](Reg reg) {
            return reinterpret_cast<std::byte*>(r[reg] + static_cast<u64>(i64{insn.off}));
        };
        switch (insn.form) {
            case Form::AluReg:
                dst = isa::eval_alu(insn.alu(), insn.width, dst, r[insn.src]);
                break;
            case Form::AluImm:
                dst = isa::eval_alu(insn.alu(), insn.width, dst, imm);
                break;
            case Form::Neg:
                dst = isa::eval_neg(insn.width, dst);
                break;
            case Form::MovSx:
                dst = isa::eval_movsx(insn.width, insn.from_bits, r[insn.src]);
                break;
            case Form::Endian:
                dst = isa::eval_endian(insn.endian(), insn.width, dst);
                break;
            case Form::Wide:
                dst = imm;
                break;
            case Form::Load:
            case Form::LoadSx: {
                u64 value = 0;
                std::memcpy(&value, at_register(insn.src), size);
                const u8 bits = static_cast<u8>(8 * size);
                dst = insn.form == Form::Load ? value : isa::eval_movsx(Width::W64, bits, value);
                break;
            }
            case Form::StoreReg:
                std::memcpy(at_register(insn.dst), &r[insn.src], size);
                break;
            case Form::StoreImm:
                std::memcpy(at_register(insn.dst), &imm, size);
                break;
            case Form::JmpReg:
                if (isa::eval_cond(insn.cond(), insn.width, dst, r[insn.src]))
                    at += static_cast<u16>(insn.off);
                break;
            case Form::JmpImm:
                if (isa::eval_cond(insn.cond(), insn.width, dst, imm))
                    at += static_cast<u16>(insn.off);
                break;
            default:
                throw std::logic_error("not something that evaluate() knows");
        }
    }
    return r;
}

Insns on_registers(const Insns& insns, u16 out) {
    constexpr Reg kPointer = 1;
    constexpr i16 kSaved = -88;
    Insns all{store(Width::W64, isa::kFramePointer, kSaved, kPointer)};
    for (Reg r = 0; r < 10; ++r) {
        if (r != kPointer) all.push_back(load(Width::W64, r, kPointer, static_cast<i16>(8 * r)));
    }
    all.push_back(load(Width::W64, kPointer, kPointer, 8 * kPointer));
    all = std::move(all) + insns;
    for (Reg r = 0; r < 10; ++r) {
        if (out >> r & 1)
            all.push_back(store(Width::W64, isa::kFramePointer, static_cast<i16>(-8 * (r + 1)), r));
    }
    all.push_back(load(Width::W64, kPointer, isa::kFramePointer, kSaved));
    for (Reg r = 0; r < 10; ++r) {
        if ((out >> r & 1) == 0) continue;
        all.push_back(load(Width::W64, 0, isa::kFramePointer, static_cast<i16>(-8 * (r + 1))));
        all.push_back(store(Width::W64, kPointer, static_cast<i16>(8 * r), 0));
    }
    all.push_back(mov_imm(0, 0));
    all.push_back(exit());
    return all;
}

std::string disassemble(const Output& output) {
    std::string text;
    for (std::size_t at = output.entry; at < output.text.size();) {
        ZydisDisassembledInstruction insn;
        if (!ZYAN_SUCCESS(ZydisDisassembleIntel(ZYDIS_MACHINE_MODE_LONG_64, at - output.entry,
                                                output.text.data() + at, output.text.size() - at,
                                                &insn))) {
            return text + "(undecodable)\n";
        }
        text += insn.text;
        text += '\n';
        at += insn.info.length;
    }
    return text;
}

}  // namespace ebpf::jit::test
