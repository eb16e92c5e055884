// SPDX-License-Identifier: MIT
//
// Registers have roles, so that no random value is ever used as an address and every loop ends:
//
//   r0 .. r7   data, changed and read by anything
//   r8         loop counter; read by anything, changed by the loop only
//   r9         address of the memory (in functions: of 64 bytes of their own stack)
//
// Small functions, which an engine may put where they are called, have r0 to r5 and perhaps one of
// r6 to r8.
//
// After a call r1..r5 hold nothing that is defined, so constants are put there.
#include "random_program.hpp"

#include <utility>

#include "isa/table.hpp"

namespace ebpf::engines {
namespace {

using isa::AluOp;
using isa::CallKind;
using isa::Cond;
using isa::Encoding;
using isa::Form;
using isa::Insn;
using isa::Reg;
using isa::Width;

constexpr Reg kCounter = 8;
constexpr Reg kBase = 9;
constexpr u64 kInteresting[] = {0,
                                1,
                                2,
                                31,
                                63,
                                64,
                                0x7f,
                                0x80,
                                0xffff,
                                0x7fffffff,
                                0x80000000,
                                0xffffffff,
                                u64{1} << 32,
                                ~u64{0},
                                u64{1} << 63,
                                (u64{1} << 63) - 1};

bool is_operation(const Encoding& e) {
    if (e.unsupported != nullptr) return false;
    switch (e.form) {
        case Form::AluReg:
        case Form::AluImm:
        case Form::Neg:
        case Form::MovSx:
        case Form::Endian:
        case Form::Load:
        case Form::LoadSx:
        case Form::StoreReg:
        case Form::StoreImm:
        case Form::Atomic:
            return true;
        case Form::Wide:
            return static_cast<isa::WideKind>(e.kind) == isa::WideKind::Imm64;
        case Form::JmpReg:
        case Form::JmpImm:
        case Form::MayGoto:
        case Form::Ja:
        case Form::Call:
        case Form::CallReg:
        case Form::Exit:
        case Form::LegacyLoad:
            return false;
    }
    return false;
}

class Generator {
  public:
    explicit Generator(u64 seed) : random_(seed) {}

    std::vector<Insn> program() {
        functions_ = static_cast<int>(below(3));
        add(alu_reg(AluOp::Mov, kBase, 1));
        body(4 + below(24));
        std::vector<std::size_t> starts;
        for (int i = 0; i < functions_; ++i) {
            starts.push_back(code_.size());
            function();
        }
        in_function_ = false;
        for (int i = 0; i < kSmallFunctions; ++i) {
            starts.push_back(code_.size());
            small_function();
        }
        for (const auto& [at, callee] : calls_) {
            code_[at].imm = slots(at + 1, starts[static_cast<std::size_t>(callee)]);
        }
        return code_;
    }

  private:
    u64 below(u64 n) { return random_() % n; }
    // Small numbers: code generators multiply and divide by them in ways of their own.
    u64 value() {
        switch (below(4)) {
            case 0:
                return below(34);
            case 1:
                return random_();
            default:
                return kInteresting[below(std::size(kInteresting))];
        }
    }
    Reg data() { return in_small_ ? small_data() : static_cast<Reg>(below(8)); }
    Reg readable() { return in_small_ ? small_data() : static_cast<Reg>(below(9)); }
    Reg small_data() {
        const auto r = static_cast<Reg>(below(7));
        return r == 6 ? extra_ : r;
    }

    void add(const Insn& insn) { code_.push_back(insn); }
    static Insn alu_reg(AluOp op, Reg dst, Reg src) {
        return {.form = Form::AluReg, .kind = static_cast<u8>(op), .dst = dst, .src = src};
    }
    static Insn alu_imm(AluOp op, Reg dst, i32 imm) {
        return {.form = Form::AluImm, .kind = static_cast<u8>(op), .dst = dst, .imm = imm};
    }
    void constant(Reg dst) {
        add({.form = Form::Wide, .dst = dst, .imm = static_cast<i64>(value())});
    }

    i64 slots(std::size_t from, std::size_t to) const {
        i64 n = 0;
        for (std::size_t i = from; i < to; ++i) n += code_[i].slots();
        return n;
    }

    // Prologue, random statements, and an epilogue that puts all registers into r0.
    void body(u64 statements) {
        for (Reg r = 0; r <= kCounter; ++r) constant(r);
        for (int i = 1; i <= 8; ++i) {
            add({.form = Form::StoreImm,
                 .dst = isa::kFramePointer,
                 .off = static_cast<i16>(-8 * i),
                 .imm = static_cast<i32>(value())});
        }
        block(statements, 0);
        for (Reg r = 1; r <= kCounter; ++r) {
            add(alu_imm(AluOp::Mul, 0, 31));
            add(alu_reg(AluOp::Add, 0, r));
        }
        add({.form = Form::Exit});
    }

    // A function works on its own stack; what it returns depends on its arguments.
    void function() {
        in_function_ = true;
        add(alu_reg(AluOp::Mov, 0, 1));
        for (Reg r = 2; r <= 5; ++r) {
            add(alu_imm(AluOp::Mul, 0, 17));
            add(alu_reg(AluOp::Xor, 0, r));
        }
        add({.form = Form::StoreReg, .dst = isa::kFramePointer, .src = 0, .off = -72});
        add(alu_reg(AluOp::Mov, kBase, isa::kFramePointer));
        add(alu_imm(AluOp::Add, kBase, -64));
        body(2 + below(10));
        // The arguments' mix comes in before the exit.
        code_.pop_back();
        add({.form = Form::Load, .dst = 1, .src = isa::kFramePointer, .off = -72});
        add(alu_reg(AluOp::Add, 0, 1));
        add({.form = Form::Exit});
    }

    // What it returns depends on its arguments and on what it does with them; it may return early,
    // and have a frame.
    void small_function() {
        in_small_ = true;
        extra_ = below(3) == 0 ? static_cast<Reg>(6 + below(3)) : Reg{0};
        has_frame_ = below(3) == 0;
        add(alu_reg(AluOp::Mov, 0, static_cast<Reg>(1 + below(5))));
        if (extra_ != 0) add(alu_reg(AluOp::Mov, extra_, static_cast<Reg>(1 + below(5))));
        if (has_frame_) {
            for (int i = 1; i <= 8; ++i) {
                add({.form = Form::StoreReg,
                     .dst = isa::kFramePointer,
                     .src = static_cast<Reg>(1 + below(5)),
                     .off = static_cast<i16>(-8 * i)});
            }
        }
        for (u64 n = 1 + below(5); n > 0; --n) {
            operation();
            if (below(4) != 0) continue;
            Insn jump = condition();
            jump.off = 1;
            add(jump);
            add({.form = Form::Exit});
        }
        add(alu_reg(AluOp::Xor, 0, data()));
        add({.form = Form::Exit});
        in_small_ = false;
    }

    void block(u64 statements, int depth) {
        for (u64 i = 0; i < statements; ++i) {
            const u64 kind = below(12);
            if (kind == 0 && depth < 3) {
                branch(depth);
            } else if (kind == 1 && depth < 3 && !in_loop_) {
                loop(depth);
            } else if (kind == 1 && in_loop_) {
                leave_loop();
            } else if (kind == 2) {
                call();
            } else if (kind == 3 || kind == 4) {
                idiom();
            } else {
                operation();
            }
        }
    }

    void operation() {
        static const std::vector<const Encoding*> kRows = [] {
            std::vector<const Encoding*> rows;
            for (const Encoding& e : isa::kEncodings) {
                if (is_operation(e)) rows.push_back(&e);
            }
            return rows;
        }();
        const Encoding& e = *kRows[below(kRows.size())];
        if (in_small_ && !has_frame_ && e.off == isa::Rule::Any) return;
        Insn insn;
        insn.form = e.form;
        insn.kind = e.kind;
        insn.width = e.width;
        insn.from_bits = e.from_bits;
        insn.dst = data();
        const bool memory = e.off == isa::Rule::Any;
        if (memory) place(insn);
        if (e.src == isa::Rule::Read && !(insn.form == Form::Load || insn.form == Form::LoadSx)) {
            insn.src = readable();
        }
        if (e.src == isa::Rule::Write) insn.src = data();
        if (e.imm == isa::Rule::Any) insn.imm = static_cast<i32>(value());
        if (e.imm == isa::Rule::Unsigned) insn.imm = static_cast<i64>(value());
        add(insn);
    }

    static Insn shift(AluOp op, Width width, Reg dst, u64 count) {
        Insn insn = alu_imm(op, dst, static_cast<i32>(count));
        insn.width = width;
        return insn;
    }

    // What compilers write for what BPF has no instruction for; engines look for these.
    void idiom() {
        const Width width = below(2) == 0 ? Width::W64 : Width::W32;
        const u64 bits = static_cast<u64>(isa::bits(width));
        const Reg a = data();
        const Reg x = static_cast<Reg>((a + 1 + below(7)) % 8);
        switch (below(8)) {
            case 0: {  // a rotation
                const u64 n = 1 + below(bits - 1);
                Insn copy = alu_reg(AluOp::Mov, a, x);
                copy.width = width;
                add(copy);
                const bool left_first = below(2) == 0;
                add(shift(left_first ? AluOp::Lsh : AluOp::Rsh, width, a, n));
                add(shift(left_first ? AluOp::Rsh : AluOp::Lsh, width, x, bits - n));
                Insn join = alu_reg(AluOp::Or, a, x);
                join.width = width;
                add(join);
                constant(x);
                return;
            }
            case 1: {  // an extension
                const u64 kept = u64{8} << below(3);
                if (below(2) == 0) add(alu_reg(AluOp::Mov, a, x));
                if (kept >= bits) return;
                add(shift(AluOp::Lsh, width, a, bits - kept));
                add(shift(below(2) == 0 ? AluOp::Rsh : AluOp::Arsh, width, a,
                          below(2) == 0 ? bits - kept : 1 + below(bits - 1)));
                return;
            }
            case 2: {  // an element of an array of 8 bytes, and what is done with it
                add(alu_imm(AluOp::And, x, 7));
                add(alu_imm(AluOp::Lsh, x, 3));
                add(alu_reg(AluOp::Mov, a, kBase));
                add(alu_reg(AluOp::Add, a, x));
                access(a, 0, below(2) == 0);
                constant(a);
                return;
            }
            case 3: {  // a byte of an array
                add(alu_imm(AluOp::And, x, 63));
                add(alu_reg(AluOp::Add, x, kBase));
                add({.form = Form::Load, .width = Width::W8, .dst = a, .src = x});
                constant(x);
                return;
            }
            case 4: {  // memory that is compared, and then no longer wanted
                const Width from = below(2) == 0 ? Width::W8 : width;
                const i16 off = static_cast<i16>(8 * below(8));
                add({.form = Form::Load, .width = from, .dst = a, .src = kBase, .off = off});
                Insn jump = condition();
                jump.dst = a;
                if (jump.form == Form::JmpReg && jump.src == a) jump.src = x;
                jump.off = 1;
                add(jump);
                add(alu_imm(AluOp::Xor, x, static_cast<i32>(below(99))));
                constant(a);
                return;
            }
            case 5:
                return rotation_in_pieces(width, a, x);
            case 6:
                return bytes_put_together(a, x);
            default: {  // memory as an operand
                const Reg base = below(2) == 0 ? isa::kFramePointer : kBase;
                const i16 off = static_cast<i16>(8 * below(8) - (base == kBase ? 0 : 64));
                add({.form = Form::Load, .width = width, .dst = a, .src = base, .off = off});
                constexpr AluOp kOps[] = {AluOp::Add, AluOp::Sub, AluOp::Mul,
                                          AluOp::Or,  AluOp::And, AluOp::Xor};
                Insn use = alu_reg(kOps[below(6)], x, a);
                use.width = width;
                add(use);
                constant(a);
                return;
            }
        }
    }

    // With something between its parts, which may make another thing of it.
    void rotation_in_pieces(Width width, Reg a, Reg x) {
        const u64 bits = static_cast<u64>(isa::bits(width)), n = 1 + below(bits - 1);
        const bool in_place = below(2) == 0;
        const Reg b = in_place ? x : static_cast<Reg>((x + 1 + below(7)) % 8);
        Insn parts[] = {alu_reg(AluOp::Mov, a, x), shift(AluOp::Lsh, width, a, n),
                        alu_reg(AluOp::Mov, b, x), shift(AluOp::Rsh, width, b, bits - n),
                        alu_reg(AluOp::Or, a, b)};
        if (below(2) == 0) std::swap(parts[1], parts[2]);
        for (Insn& part : parts) {
            part.width = width;
            if (below(3) == 0) operation();
            if (part.dst != part.src || part.form == Form::AluImm) add(part);
        }
        constant(b);
    }

    // Two or four bytes from anywhere, in either order, perhaps with something between them.
    void bytes_put_together(Reg a, Reg x) {
        const bool stack = below(2) == 0, ascending = below(2) == 0;
        const u64 bytes = below(2) == 0 ? 2 : 4, at = below(kRandomMemory - 4);
        const Width width = below(2) == 0 ? Width::W64 : Width::W32;
        for (u64 i = 0; i < bytes; ++i) {
            const Reg part = i == 0 ? a : x;
            Insn load{.form = Form::Load, .width = Width::W8, .dst = part};
            load.src = stack ? isa::kFramePointer : kBase;
            load.off = static_cast<i16>(at + (below(16) == 0 ? below(4) : i));
            if (stack) load.off = static_cast<i16>(load.off - static_cast<i16>(kRandomMemory));
            add(load);
            if (below(8) == 0) operation();
            const u64 place = 8 * (ascending ? i : bytes - 1 - i);
            if (place != 0) add(shift(AluOp::Lsh, width, part, place));
            Insn join = alu_reg(below(4) == 0 ? AluOp::Add : AluOp::Or, a, part);
            join.width = width;
            if (i != 0) add(join);
        }
        if (below(8) != 0) constant(x);
    }

    void access(Reg base, i16 off, bool load) {
        if (load) {
            add({.form = Form::Load, .dst = base, .src = base, .off = off});
            add(alu_reg(AluOp::Xor, 0, base));
        } else {
            add({.form = Form::StoreReg, .dst = base, .src = kCounter, .off = off});
        }
    }

    // An aligned address in one of the two areas.
    void place(Insn& insn) {
        const u64 size = static_cast<u64>(isa::bytes(insn.width));
        const u64 at = below(kRandomMemory / size) * size;
        const bool stack = below(2) == 0 || in_small_;
        const Reg base = stack ? isa::kFramePointer : kBase;
        insn.off = static_cast<i16>(stack ? static_cast<i64>(at) - 64 : static_cast<i64>(at));
        (insn.form == Form::Load || insn.form == Form::LoadSx ? insn.src : insn.dst) = base;
    }

    Insn condition() {
        Insn insn;
        insn.form = below(2) == 0 ? Form::JmpReg : Form::JmpImm;
        insn.kind = static_cast<u8>(below(11));
        insn.width = below(2) == 0 ? Width::W64 : Width::W32;
        insn.dst = readable();
        if (insn.form == Form::JmpReg) {
            insn.src = readable();
        } else {
            insn.imm = static_cast<i32>(value());
        }
        return insn;
    }

    // if (c) { .. } or if (c) { .. } else { .. }
    void branch(int depth) {
        const std::size_t jump = code_.size();
        add(below(12) == 0 ? Insn{.form = Form::MayGoto} : condition());
        const bool has_else = below(2) == 0;
        // Nothing but a jump in the first part is a form of its own to code generators.
        if (!has_else || below(3) != 0) block(1 + below(5), depth + 1);
        std::size_t out = 0;
        if (has_else) {
            out = code_.size();
            add({.form = Form::Ja, .width = below(2) == 0 ? Width::W64 : Width::W32});
        }
        code_[jump].off = static_cast<i16>(slots(jump + 1, code_.size()));
        if (!has_else) return;
        block(1 + below(5), depth + 1);
        code_[out].imm = slots(out + 1, code_.size());
    }

    void loop(int depth) {
        add(alu_imm(AluOp::Mov, kCounter, static_cast<i32>(1 + below(6))));
        const std::size_t start = code_.size();
        in_loop_ = true;
        block(1 + below(6), depth + 1);
        in_loop_ = false;
        add(alu_imm(AluOp::Sub, kCounter, 1));
        const std::size_t jump = code_.size();
        add({.form = Form::JmpImm, .kind = static_cast<u8>(Cond::Ne), .dst = kCounter});
        code_[jump].off = static_cast<i16>(-slots(start, jump + 1));
        for (const std::size_t way : ways_out_)
            code_[way].off = static_cast<i16>(slots(way + 1, code_.size()));
        ways_out_.clear();
    }

    // On a condition, out of the loop, perhaps with something that is for what follows there.
    void leave_loop() {
        if (below(2) == 0) operation();
        const Insn jump = condition();
        ways_out_.push_back(code_.size());
        add(jump);
        if (below(2) == 0) constant(data());
    }

    void call() {
        const u64 callees =
            static_cast<u64>(in_function_ ? kSmallFunctions : functions_ + kSmallFunctions);
        if (below(2) == 0) {
            const u64 first = static_cast<u64>(in_function_ ? functions_ : 0);
            calls_.emplace_back(code_.size(), static_cast<int>(first + below(callees)));
            add({.form = Form::Call, .kind = static_cast<u8>(CallKind::Local)});
        } else {
            add({.form = Form::Call,
                 .kind = static_cast<u8>(CallKind::Helper),
                 .imm = static_cast<i64>(kRandomHelper + below(3))});
        }
        for (Reg r = 1; r <= 5; ++r) constant(r);
        if (below(3) == 0) constant(static_cast<Reg>(6 + below(2)));
    }

    std::mt19937_64 random_;
    std::vector<Insn> code_;
    std::vector<std::pair<std::size_t, int>> calls_;
    static constexpr int kSmallFunctions = 2;
    int functions_ = 0;
    bool in_function_ = false;
    bool in_small_ = false, has_frame_ = false;  // of the small function
    Reg extra_ = 0;                              // its register besides r0 to r5
    bool in_loop_ = false;
    std::vector<std::size_t> ways_out_;  // of the loop
};

}  // namespace

namespace {

u64 mix(u64 a, u64 b, u64 c, u64 d, u64 e, code::Invocation*) {
    u64 h = 0x9e37'79b9'7f4a'7c15;
    for (const u64 v : {a, b, c, d, e}) h = (h ^ v) * 0xff51'afd7'ed55'8ccd + (h >> 29);
    return h;
}
u64 map_store(u64 key, u64 value, u64, u64, u64, code::Invocation*) {
    return std::exchange(random_map()[key % kRandomMapSize], value);
}
u64 map_load(u64 key, u64, u64, u64, u64, code::Invocation*) {
    return random_map()[key % kRandomMapSize];
}

}  // namespace

std::array<u64, kRandomMapSize>& random_map() {
    static std::array<u64, kRandomMapSize> kMap;
    return kMap;
}

code::HelperFn random_helper(u32 number) {
    switch (number) {
        case kRandomHelper:
            return mix;
        case kRandomMapStore:
            return map_store;
        case kRandomMapLoad:
            return map_load;
        default:
            return nullptr;
    }
}

std::vector<Insn> random_program(u64 seed) {
    return Generator(seed).program();
}

}  // namespace ebpf::engines
