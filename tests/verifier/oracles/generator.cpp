// SPDX-License-Identifier: MIT
#include "oracles/generator.hpp"

#include <algorithm>
#include <random>

#include "fixture.hpp"

namespace ebpf::verifier::oracle {

namespace {

using isa::AluOp;
using isa::Cond;
using isa::Form;
using isa::Insn;
using isa::Reg;
using isa::Width;

constexpr Width kSizes[] = {Width::W8, Width::W16, Width::W32, Width::W64};

class Generator {
  public:
    explicit Generator(u64 seed) : random_(seed) {}

    ir::Program make() {
        const u32 helpers = below(3);
        mov(6, 1);
        load(7, 6, 0, Width::W32);
        load(8, 6, 4, Width::W32);
        imm(9, below(100));
        imm(0, below(1000));
        nums_ = 1u << 9 | 1u << 0;
        const u32 blocks = 2 + below(9);
        for (u32 b = 0; b < blocks; ++b) block(0);
        imm(0, 2);
        emit({.form = Form::Exit});
        // Subprograms: a number of r1 and r2, or memory through r1; callbacks take an index and a
        // stack pointer.
        for (u32 f = 0; f < 3; ++f) {
            functions_.push_back(here());
            in_function_ = true;
            nums_ = f == 0 ? 1u << 1 | 1u << 2 : 0;
            if (f == 0) {
                for (u32 k = 0; k < 1 + below(4); ++k) arithmetic();
                if (helpers == 1) diamond(2);
                nums_ |= 1;
                imm(0, below(64));
                if (below(2)) alu(AluOp::Add, 0, pick());
            } else if (f == 1) {
                load(0, 1, 0, Width::W64);
                nums_ = 1;
                for (u32 k = 0; k < 1 + below(3); ++k) arithmetic();
                store(1, 0, pick(), Width::W64);
                imm(0, 1);
            } else {
                nums_ = 1u << 1;
                load(3, 2, 0, Width::W64);
                nums_ |= 1u << 3;
                alu(AluOp::Add, 3, 1);
                store(2, 0, 3, Width::W64);
                imm(0, 0);
                if (below(2)) {
                    const u32 j = jump_if(Cond::Lt, 1, static_cast<i64>(below(8)));
                    imm(0, 1);
                    land(j);
                }
            }
            emit({.form = Form::Exit});
        }
        return finish();
    }

  private:
    u32 below(u32 n) { return static_cast<u32>(random_() % n); }
    u32 here() const { return static_cast<u32>(insns_.size()); }
    u32 emit(Insn i) {
        insns_.push_back(i);
        targets_.push_back(ir::kNoTarget);
        return here() - 1;
    }
    void mov(Reg d, Reg s) { emit({Form::AluReg, u8(AluOp::Mov), Width::W64, d, s}); }
    void imm(Reg d, i64 v) { emit({Form::AluImm, u8(AluOp::Mov), Width::W64, d, 0, 0, 0, v}); }
    void alu(AluOp op, Reg d, Reg s, Width w = Width::W64) {
        emit({Form::AluReg, u8(op), w, d, s});
    }
    void alui(AluOp op, Reg d, i64 v, Width w = Width::W64) {
        emit({Form::AluImm, u8(op), w, d, 0, 0, 0, v});
    }
    void load(Reg d, Reg s, int off, Width w, bool sx = false) {
        emit({sx ? Form::LoadSx : Form::Load, 0, w, d, s, 0, static_cast<i16>(off)});
    }
    void store(Reg d, int off, Reg s, Width w) {
        emit({Form::StoreReg, 0, w, d, s, 0, static_cast<i16>(off)});
    }
    void storei(int off, i64 v, Width w) {
        emit({Form::StoreImm, 0, w, 10, 0, 0, static_cast<i16>(off), v});
    }
    u32 jump_if(Cond c, Reg d, i64 v, Width w = Width::W64) {
        return emit({Form::JmpImm, u8(c), w, d, 0, 0, 0, v});
    }
    u32 jump_if_reg(Cond c, Reg d, Reg s, Width w = Width::W64) {
        return emit({Form::JmpReg, u8(c), w, d, s});
    }
    u32 jump() { return emit({Form::Ja}); }
    void land(u32 j) { targets_[j] = here(); }
    void map(Reg d, u32 index) {
        emit({Form::Wide, u8(isa::WideKind::MapIndex), Width::W64, d, 0, 0, 0, index});
    }
    void helper(i64 id) {
        emit({Form::Call, u8(isa::CallKind::Helper), Width::W64, 0, 0, 0, 0, id});
        nums_ = (nums_ & ~0x3eu) | 1;
    }
    Width width() { return below(3) == 0 ? Width::W32 : Width::W64; }
    Cond cond() { return static_cast<Cond>(below(11)); }

    // A register that holds a number; makes one when there is none.
    Reg pick() {
        std::vector<Reg> all;
        for (Reg r = 0; r < 10; ++r) {
            if (nums_ >> r & 1) all.push_back(r);
        }
        if (!all.empty()) return all[below(static_cast<u32>(all.size()))];
        return fresh();
    }
    // A register that may be overwritten: not those that hold the context and the packet.
    Reg free_reg() {
        static constexpr Reg kFree[] = {0, 1, 2, 3, 4, 5, 9};
        while (true) {
            const Reg r = kFree[below(7)];
            if (in_function_ && (r == 1 || r == 2 || r == 9)) continue;
            if (!(kept_ >> r & 1)) return r;
        }
    }
    Reg fresh() {
        const Reg r = free_reg();
        const u32 v = below(3);
        imm(r, v == 0 ? below(64) : v == 1 ? -i64{below(64)} : i64{static_cast<i32>(random_())});
        nums_ |= 1u << r;
        return r;
    }

    void arithmetic() {
        const Reg d = free_reg();
        const Reg s = pick();
        if (!(nums_ >> d & 1)) {
            emit({Form::AluReg, u8(AluOp::Mov), width(), d, s});
            nums_ |= 1u << d;
        }
        switch (below(10)) {
            case 0:
                emit({Form::Neg, 0, width(), d});
                break;
            case 1: {
                const Width w = width();
                emit({Form::MovSx, 0, w, d, s,
                      static_cast<u8>(w == Width::W64 ? 8u << below(3) : 8u << below(2))});
                break;
            }
            case 2:
                emit({Form::Endian, static_cast<u8>(below(3)), kSizes[1 + below(3)], d});
                break;
            case 3:
            case 4:
                alu(static_cast<AluOp>(below(14)), d, s, width());
                break;
            case 5:
                alui(AluOp::And, d, i64{1} << below(31), width());
                break;
            case 6:
                alui(AluOp::And, d, (i64{1} << below(12)) - 1, width());
                break;
            case 7: {
                static constexpr AluOp kShifts[] = {AluOp::Lsh, AluOp::Rsh, AluOp::Arsh};
                const Width w = width();
                alui(kShifts[below(3)], d, below(w == Width::W32 ? 32 : 64), w);
                break;
            }
            default: {
                const AluOp op = static_cast<AluOp>(below(10));
                alui(op, d, static_cast<i64>(below(64)) - (op == AluOp::Mul ? 0 : 20), width());
                break;
            }
        }
    }

    void write_stack() {
        const Width w = kSizes[below(4)];
        const int slots = 64 / isa::bytes(w);
        const int off = -64 - 64 + isa::bytes(w) * static_cast<int>(below(static_cast<u32>(slots)));
        if (below(2)) {
            store(10, off, pick(), w);
        } else {
            storei(off, static_cast<i32>(random_()), w);
        }
        last_off_ = off, last_width_ = w;
    }

    void stack() {
        write_stack();
        if (below(3) == 0) arithmetic();
        const Reg d = free_reg();
        const bool narrow = last_width_ != Width::W8 && below(3) == 0;
        const Width w = narrow ? static_cast<Width>(isa::bytes(last_width_) / 2) : last_width_;
        load(d, 10, last_off_, w, w != Width::W64 && below(4) == 0);
        nums_ |= 1u << d;
    }

    // An array of 8 slots of 8 bytes, indexed.
    void stack_array() {
        for (int k = 0; k < 8; ++k) storei(-192 + 8 * k, k, Width::W64);
        const Reg s = pick(), d = free_reg();
        mov(d, s);
        nums_ &= ~(1u << d);
        if (below(2)) {
            alui(AluOp::And, d, 7);
            alui(AluOp::Lsh, d, 3);
        } else {
            alui(AluOp::And, d, 0x38);
        }
        alu(AluOp::Add, d, 10);
        alui(AluOp::Add, d, -192);
        if (below(2)) emit({Form::StoreImm, 0, Width::W64, d, 0, 0, 0, 5});
        load(d, d, 0, Width::W64);
        nums_ |= 1u << d;
        const Reg e = free_reg();
        load(e, 10, -192 + 8 * static_cast<int>(below(8)), Width::W64);
        nums_ |= 1u << e;
    }

    void packet() {
        const Reg p = free_reg();
        nums_ &= ~(1u << p);
        mov(p, 7);
        u32 out = ir::kNoTarget;
        const u32 kind = below(4);
        u32 size = 1 + below(40);
        if (kind == 0) {  // a variable start
            const Reg s = pick(), v = free_reg();
            if (v != p) {
                mov(v, s);
                nums_ |= 1u << v;
                alui(AluOp::And, v, 0x3c);
                alu(AluOp::Add, p, v);
            }
        }
        if (kind == 1) {  // a flag that says whether the packet is long enough
            const Reg flag = free_reg();
            if (flag != p) {
                alui(AluOp::Add, p, size);
                imm(flag, 0);
                const u32 j = jump_if_reg(below(2) ? Cond::Gt : Cond::Ge, p, 8);
                imm(flag, 1);
                land(j);
                alui(AluOp::Sub, p, size);
                nums_ |= 1u << flag;
                if (below(2)) arithmetic_but(flag, p);
                out = jump_if(Cond::Eq, flag, 0);
            }
        }
        if (out == ir::kNoTarget && kind == 2) {  // by the length
            const Reg n = free_reg();
            if (n != p) {
                mov(n, 8);
                alu(AluOp::Sub, n, 7);
                nums_ |= 1u << n;
                out = jump_if(Cond::SLt, n, size);
            }
        }
        if (out == ir::kNoTarget) {
            alui(AluOp::Add, p, size);
            out = below(2) ? jump_if_reg(Cond::Gt, p, 8) : jump_if_reg(Cond::Lt, 8, p);
            alui(AluOp::Sub, p, size);
        }
        const u32 saved = nums_;
        for (u32 k = 0; k < 1 + below(3); ++k) {
            const Width w = kSizes[below(4)];
            const u32 n = static_cast<u32>(isa::bytes(w));
            if (n > size) continue;
            const int off = static_cast<int>(below(size - n + 1));
            if (below(3) == 0 && nums_ != 0) {
                store(p, off, pick(), w);
            } else {
                const Reg d = free_reg();
                if (d == p) continue;
                load(d, p, off, w);
                nums_ |= 1u << d;
            }
        }
        land(out);
        nums_ &= saved;
    }
    void arithmetic_but(Reg a, Reg b) {
        kept_ |= 1u << a | 1u << b;
        arithmetic();
        kept_ &= ~(1u << a | 1u << b);
    }

    void lookup() {
        const u32 m = below(2);
        const bool array = m == 1;
        if (below(2)) {
            storei(-8, below(20), Width::W32);
        } else {
            store(10, -8, pick(), Width::W32);
        }
        map(1, m);
        mov(2, 10);
        alui(AluOp::Add, 2, -8);
        helper(1);
        nums_ &= ~1u;
        const u32 value_size = array ? 64 : 8;
        u32 out;
        Reg code = 0;
        if (below(3) == 0) {  // an error code tells whether it is null
            code = 4;
            imm(code, 0);
            const u32 j = jump_if(Cond::Ne, 0, 0);
            imm(code, -2);
            land(j);
            nums_ |= 1u << code;
            kept_ |= 1u << 0 | 1u << code;
            if (below(2)) stack();
            kept_ &= ~(1u << 0 | 1u << code);
            out = jump_if(below(2) ? Cond::SLt : Cond::Ne, code, 0);
        } else {
            out = jump_if(Cond::Eq, 0, 0);
        }
        const u32 saved = nums_;
        kept_ |= 1;
        if (array && below(2)) {
            const Reg s = pick();
            const Reg d = 3;
            mov(d, s);
            alui(AluOp::And, d, 56);
            alu(AluOp::Add, 0, d);
            nums_ |= 1u << d;
            load(5, 0, 0, Width::W64);
        } else {
            const Width w = kSizes[below(4)];
            const u32 n = static_cast<u32>(isa::bytes(w));
            const int off = static_cast<int>(n * below(value_size / n));
            switch (below(3)) {
                case 0:
                    store(0, off, pick(), w);
                    break;
                case 1: {
                    const Reg s = pick();
                    if (w != Width::W32 && w != Width::W64) {
                        imm(5, 0);
                        break;
                    }
                    emit({Form::Atomic, static_cast<u8>(below(9)), w, 0, s, 0,
                          static_cast<i16>(off)});
                    break;
                }
                default:
                    break;
            }
            load(5, 0, off, w);
        }
        nums_ |= 1u << 5;
        kept_ &= ~1u;
        land(out);
        nums_ &= saved & ~1u;
    }

    void record() {
        map(1, 3);
        imm(2, 16);
        imm(3, 0);
        helper(131);
        nums_ &= ~1u;
        const u32 out = jump_if(Cond::Eq, 0, 0);
        const u32 saved = nums_;
        mov(5, 0);
        kept_ |= 1u << 5;
        const u32 n = below(3);
        for (u32 k = 0; k < n; ++k) {
            kept_ |= 1u;
            store(5, static_cast<int>(below(3)) * 4, pick(), Width::W32);
            kept_ &= ~1u;
        }
        kept_ &= ~(1u << 5);
        mov(1, 5);
        imm(2, 0);
        helper(below(2) ? 132 : 133);
        nums_ &= ~1u;
        land(out);
        nums_ &= saved & ~1u;
    }

    void diamond(u32 depth) {
        const Reg a = pick();
        u32 j;
        if (below(2)) {
            const Reg b = pick();
            j = jump_if_reg(cond(), a, b, width());
        } else {
            j = jump_if(cond(), a, static_cast<i64>(below(64)) - 8, width());
        }
        const u32 saved = nums_;
        block(depth + 1);
        const u32 then = nums_;
        if (below(2)) {
            const u32 end = jump();
            land(j);
            nums_ = saved;
            block(depth + 1);
            land(end);
        } else {
            land(j);
            nums_ = saved;
        }
        nums_ &= then;
    }

    // Loops. The counter lies in r9 (or on the stack), which the body keeps.
    void loop(u32 depth) {
        if (kept_ >> 9 & 1 || in_function_) return arithmetic();
        const u32 kind = below(7);
        const i64 rounds = 1 + below(below(4) == 0 ? 200 : 12);
        kept_ |= 1u << 9;
        const u32 saved_nums = nums_;
        if (kind == 5) {  // the bound is data, limited
            const Reg s = pick();
            store(10, -24, s, Width::W64);
        }
        imm(9, kind == 1 ? rounds : 0);
        nums_ |= 1u << 9;
        if (kind == 3) storei(-16, 0, Width::W64);
        const u32 entry = nums_;
        u32 out = ir::kNoTarget, out2 = ir::kNoTarget;
        const u32 head = here();
        switch (kind) {
            case 0:  // test first
                out = jump_if(Cond::Ge, 9, rounds);
                break;
            case 3:  // counter on the stack
                load(9, 10, -16, Width::W64);
                out = jump_if(Cond::SGe, 9, rounds);
                break;
            case 5: {
                load(3, 10, -24, Width::W64);
                nums_ |= 1u << 3;
                alui(AluOp::And, 3, 31);
                out = jump_if_reg(Cond::Ge, 9, 3);
                break;
            }
            case 6:  // nothing else ends it
                out = emit({.form = Form::MayGoto});
                break;
            default:
                break;
        }
        block(depth + 1);
        if (kind == 2 && below(2)) out2 = jump_if(Cond::Eq, pick(), 3);
        restore(entry);
        switch (kind) {
            case 0:
            case 5:
            case 6:
                alui(AluOp::Add, 9, 1);
                targets_[jump()] = head;
                break;
            case 1:  // down
                alui(AluOp::Add, 9, -1, below(2) ? Width::W32 : Width::W64);
                targets_[jump_if(Cond::Ne, 9, 0)] = head;
                break;
            case 3:
                load(9, 10, -16, Width::W64);
                alui(AluOp::Add, 9, 1);
                store(10, -16, 9, Width::W64);
                targets_[jump()] = head;
                break;
            case 4:  // other steps
                alui(AluOp::Add, 9, 3);
                targets_[jump_if(Cond::Lt, 9, rounds)] = head;
                break;
            default:  // rotated
                alui(AluOp::Add, 9, 1);
                targets_[jump_if(Cond::Lt, 9, rounds)] = head;
                break;
        }
        if (out != ir::kNoTarget) land(out);
        if (out2 != ir::kNoTarget) land(out2);
        kept_ &= ~(1u << 9);
        nums_ &= saved_nums | 1u << 9;
        // After leaving by out2 or out, only what the head had is certain.
        nums_ &= entry;
    }
    // Numbers that the head of a loop relies on are made again.
    void restore(u32 wanted) {
        for (Reg r = 0; r < 10; ++r) {
            if ((wanted >> r & 1) && !(nums_ >> r & 1)) {
                imm(r, below(10));
                nums_ |= 1u << r;
            }
        }
    }

    void call_function() {
        if (in_function_) return arithmetic();
        const u32 f = below(3);
        if (f == 0) {
            const Reg a = pick(), b = pick();
            mov(3, a);
            mov(4, b);
            mov(1, 3);
            mov(2, 4);
            calls_.push_back({emit({Form::Call, u8(isa::CallKind::Local)}), 0});
        } else if (f == 1) {
            store(10, -32, pick(), Width::W64);
            mov(1, 10);
            alui(AluOp::Add, 1, -32);
            calls_.push_back({emit({Form::Call, u8(isa::CallKind::Local)}), 1});
            load(5, 10, -32, Width::W64);
        } else {
            storei(-40, 0, Width::W64);
            imm(1, 1 + below(10));
            calls_.push_back({emit({Form::Wide, u8(isa::WideKind::Function), Width::W64, 2}), 2});
            mov(3, 10);
            alui(AluOp::Add, 3, -40);
            imm(4, 0);
            helper(181);
            load(5, 10, -40, Width::W64);
        }
        nums_ = (nums_ & ~0x3eu) | 1;
        if (f != 0) {
            nums_ |= 1u << 5;
        }
    }

    void spill_pointer() {
        if (in_function_) return stack();
        const u32 which = 7 + below(2);
        store(10, -48, static_cast<Reg>(which), Width::W64);
        if (below(2)) arithmetic();
        load(static_cast<Reg>(which), 10, -48, Width::W64);
    }

    void change_packet() {
        if (in_function_) return arithmetic();
        mov(1, 6);
        imm(2, static_cast<i64>(below(20)) - 10);
        helper(44);
        load(7, 6, 0, Width::W32);
        load(8, 6, 4, Width::W32);
    }

    void block(u32 depth) {
        switch (below(depth >= 3 ? 7 : 14)) {
            case 0:
            case 1:
                arithmetic();
                break;
            case 2:
                stack();
                break;
            case 3:
                stack_array();
                break;
            case 4:
                if (!in_function_) packet();
                break;
            case 5:
                if (!in_function_ && (kept_ & 0x3f) == 0) lookup();
                break;
            case 6:
                spill_pointer();
                break;
            case 7:
            case 8:
                diamond(depth);
                break;
            case 9:
            case 10:
                loop(depth);
                break;
            case 11:
                if ((kept_ & 0x3f) == 0 && !in_function_) record();
                break;
            case 12:
                if ((kept_ & 0x3f) == 0) call_function();
                break;
            default:
                if ((kept_ & 0x3f) == 0) change_packet();
                break;
        }
    }

    ir::Program finish() {
        std::vector<u32> slot(insns_.size() + 1, 0);
        for (std::size_t i = 0; i < insns_.size(); ++i)
            slot[i + 1] = slot[i] + static_cast<u32>(insns_[i].slots());
        const auto distance = [&](u32 from, u32 to) { return i64{slot[to]} - i64{slot[from]} - 1; };
        for (u32 i = 0; i < insns_.size(); ++i) {
            if (targets_[i] == ir::kNoTarget) continue;
            if (insns_[i].form == Form::Ja) {
                insns_[i].imm = distance(i, targets_[i]);
            } else {
                insns_[i].off = static_cast<i16>(distance(i, targets_[i]));
            }
        }
        for (const auto& [at, f] : calls_) insns_[at].imm = distance(at, functions_[f]);
        ir::Program p;
        p.insns = insns_;
        p.name = "generated";
        p.maps = test_maps();
        p.license = "GPL";
        p.type = spec::ProgramType::Xdp;
        p.subprograms.push_back({0, 0, "entry"});
        if (const Status done = ir::resolve_control_flow(p); !done) return {};
        return p;
    }

    std::mt19937_64 random_;
    std::vector<Insn> insns_;
    std::vector<u32> targets_;
    std::vector<std::pair<u32, u32>> calls_;
    std::vector<u32> functions_;
    u32 nums_ = 0;  // registers that hold numbers here
    u32 kept_ = 0;  // registers that must keep their value
    bool in_function_ = false;
    int last_off_ = -64;
    Width last_width_ = Width::W64;
};

}  // namespace

ir::Program generate(u64 seed) {
    return Generator(seed).make();
}

ir::Program mutate(const ir::Program& program, u64 seed) {
    std::mt19937_64 random(seed);
    ir::Program p = program;
    const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
    const std::size_t changes = 1 + below(2);
    for (std::size_t c = 0; c < changes; ++c) {
        Insn& i = p.insns[below(p.insns.size())];
        const Insn nop{.form = Form::Ja};
        switch (i.form) {
            case Form::AluReg:
            case Form::AluImm:
                switch (below(5)) {
                    case 0:
                        i.kind = static_cast<u8>(below(14));
                        break;
                    case 1:
                        i.width = i.is64() ? Width::W32 : Width::W64;
                        break;
                    case 2:
                        if (i.form == Form::AluImm) {
                            i.imm += below(2) ? 1 : -1 - static_cast<i64>(below(8));
                        } else {
                            i.src = static_cast<Reg>(below(11));
                        }
                        break;
                    case 3:
                        i.dst = static_cast<Reg>(below(10));
                        break;
                    default:
                        i = nop;
                        break;
                }
                break;
            case Form::JmpReg:
            case Form::JmpImm:
                switch (below(4)) {
                    case 0:
                        i.kind = static_cast<u8>(below(11));
                        break;
                    case 1:
                        i.width = i.is64() ? Width::W32 : Width::W64;
                        break;
                    case 2:
                        if (i.form == Form::JmpImm) {
                            i.imm += below(2) ? 1 : -1;
                        } else {
                            std::swap(i.dst, i.src);
                        }
                        break;
                    default: {
                        const u32 at = static_cast<u32>(&i - p.insns.data());
                        p.target[at] = ir::kNoTarget;
                        i = nop;
                        break;
                    }
                }
                break;
            case Form::Load:
            case Form::LoadSx:
            case Form::StoreReg:
            case Form::StoreImm:
            case Form::Atomic:
                switch (below(4)) {
                    case 0:
                        i.off = static_cast<i16>(i.off + (below(2) ? 1 : -1) *
                                                             static_cast<int>(1 + below(8)));
                        break;
                    case 1:
                        if (i.form != Form::Atomic) i.width = kSizes[below(4)];
                        break;
                    case 2:
                        i.src = static_cast<Reg>(below(11));
                        break;
                    default:
                        i = nop;
                        break;
                }
                break;
            case Form::Call:
                if (i.call() == isa::CallKind::Helper && below(2)) i = nop;
                break;
            case Form::Ja:
            case Form::Exit:
            case Form::Wide:
                break;
            default:
                i = nop;
                break;
        }
    }
    if (const Status done = ir::resolve_control_flow(p); !done) return program;
    return p;
}

}  // namespace ebpf::verifier::oracle
