// SPDX-License-Identifier: MIT
//
// What an engine makes of several instructions at once: short programs of the most common ones over
// four registers, so that nearly every instruction reads what the one before wrote, with jumps to
// everywhere in between, against the reference. A failure names the seed.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "engine.hpp"
#include "isa/codec.hpp"
#include "isa/text/text.hpp"
#include "reference.hpp"

namespace ebpf::engines {
namespace {

using isa::AluOp;
using isa::Form;
using isa::Insn;
using isa::Reg;
using isa::Width;

constexpr std::size_t kMemory = 64;
constexpr Reg kBase = 6;
constexpr u64 kPrograms = 4000;

class Generator {
  public:
    explicit Generator(u64 seed) : random_(seed) {}

    std::vector<std::byte> program() {
        add(alu(AluOp::Mov, Width::W64, kBase, Reg{1}));
        for (Reg r = 0; r < 4; ++r)
            add({.form = Form::Wide, .dst = r, .imm = static_cast<i64>(value())});
        const std::size_t begin = insns_.size();
        while (insns_.size() < begin + 40) statement();
        const std::size_t end = insns_.size();
        for (const std::size_t at : jumps_)  // forward, to one of the next or the end
            insns_[at].off = static_cast<i16>(target(at, end) - at - 1);
        for (Reg r = 1; r < 4; ++r) {
            add(alu(AluOp::Mul, Width::W64, 0, i32{31}));
            add(alu(AluOp::Xor, Width::W64, 0, r));
        }
        add({.form = Form::Exit});
        std::vector<std::byte> slots;
        for (const Insn& insn : insns_) {
            isa::Slot raw[2];
            EXPECT_TRUE(isa::encode(insn, raw));
            const Bytes bytes = std::as_bytes(std::span(raw));
            slots.insert(slots.end(), bytes.begin(), bytes.begin() + 8 * insn.slots());
        }
        return slots;
    }

  private:
    u64 below(u64 n) { return random_() % n; }
    std::size_t target(std::size_t at, std::size_t end) {
        std::size_t target = std::min<std::size_t>(at + 1 + below(5), end);
        while (std::ranges::binary_search(inside_, target)) ++target;
        return target;
    }
    Reg reg() { return static_cast<Reg>(below(4)); }
    Width width() { return below(2) == 0 ? Width::W64 : Width::W32; }
    u64 value() {
        constexpr u64 kSome[] = {0, 1, 7, 31, 0x7fffffff, 0x80000000, 0xffffffff, ~u64{0}};
        return below(2) == 0 ? kSome[below(std::size(kSome))] : random_();
    }

    void add(const Insn& insn) { insns_.push_back(insn); }
    static Insn alu(AluOp op, Width width, Reg dst, Reg src) {
        return {.form = Form::AluReg,
                .kind = static_cast<u8>(op),
                .width = width,
                .dst = dst,
                .src = src};
    }
    static Insn alu(AluOp op, Width width, Reg dst, i32 imm) {
        return {.form = Form::AluImm,
                .kind = static_cast<u8>(op),
                .width = width,
                .dst = dst,
                .imm = imm};
    }

    void statement() {
        constexpr AluOp kOps[] = {AluOp::Add, AluOp::Sub, AluOp::Mul, AluOp::Or,
                                  AluOp::And, AluOp::Xor, AluOp::Mov, AluOp::Mov};
        constexpr Width kWidths[] = {Width::W8, Width::W16, Width::W32, Width::W64};
        const Reg dst = reg(), src = reg();
        const AluOp op = kOps[below(std::size(kOps))];
        switch (below(8)) {
            case 0:
            case 1:
                return add(alu(op, width(), dst, src));
            case 2:
                return add(alu(op, width(), dst, static_cast<i32>(value())));
            case 3: {
                constexpr AluOp kShifts[] = {AluOp::Lsh, AluOp::Rsh, AluOp::Rsh, AluOp::Arsh};
                const Width w = width();
                const u64 counts[] = {0, 1, 8, 31, static_cast<u64>(isa::bits(w)) / 2};
                return add(alu(kShifts[below(4)], w, dst, static_cast<i32>(counts[below(5)])));
            }
            case 4:  // constant and index to a pointer, which may be the index
                return element(dst, src, kWidths[below(4)], below(3) == 0);
            case 5:
                if (below(2) == 0)
                    return add({.form = Form::Load, .width = Width::W64, .dst = dst, .src = kBase});
                return add({.form = Form::StoreReg, .width = Width::W32, .dst = kBase, .src = src});
            default:
                jumps_.push_back(insns_.size());
                Insn jump{.form = below(2) == 0 ? Form::JmpReg : Form::JmpImm,
                          .kind = static_cast<u8>(below(11)),
                          .width = width(),
                          .dst = dst};
                if (jump.form == Form::JmpReg)
                    jump.src = src;
                else
                    jump.imm = static_cast<i32>(value());
                return add(jump);
        }
    }

    // What makes a pointer is not jumped into.
    void element(Reg pointer, Reg index, Width of, bool store) {
        const std::size_t begin = insns_.size();
        if (pointer == index) index = static_cast<Reg>((index + 1) % 4);
        add(alu(AluOp::And, width(), index, i32{31}));
        add(alu(AluOp::Mov, Width::W64, pointer, kBase));
        if (below(2) == 0) add(alu(AluOp::Add, Width::W64, pointer, i32{8}));
        add(alu(AluOp::Add, Width::W64, pointer, index));
        if (below(3) == 0) add(alu(AluOp::Add, Width::W64, pointer, i32{-3}));
        const i16 off = static_cast<i16>(3 + below(8));
        if (store)
            add({.form = Form::StoreReg, .width = of, .dst = pointer, .src = index, .off = off});
        const Reg into = below(3) == 0 ? index : pointer;
        add({.form = Form::Load, .width = of, .dst = into, .src = pointer, .off = off});
        if (into != pointer) add(alu(AluOp::Mov, Width::W64, pointer, i32{5}));
        for (std::size_t i = begin + 1; i < insns_.size(); ++i) inside_.push_back(i);
    }

    std::mt19937_64 random_;
    std::vector<Insn> insns_;
    std::vector<std::size_t> jumps_, inside_;  // in ascending order
};

class DensePrograms : public EngineTest {};

TEST_P(DensePrograms, AgreeWithTheReference) {
    ReferenceEngine reference;
    const u64 programs = std::min(kPrograms, GetParam()->random_programs());
    for (u64 seed = 0; seed < programs; ++seed) {
        const std::vector<std::byte> slots = Generator(seed).program();
        alignas(8) std::byte expected[kMemory], memory[kMemory];
        for (std::size_t i = 0; i < kMemory; ++i)
            memory[i] = expected[i] = static_cast<std::byte>(seed * 131 + i * 17);
        const Result<u64> r0 = reference.run(slots, expected, {});
        ASSERT_TRUE(r0) << "seed " << seed << ": " << r0.error().what;
        const u64 got = run(slots, memory, {});
        if (unsupported()) return;
        const auto listing = [&] {
            return *isa::text::disassemble(slots, isa::text::Dialect::Llvm);
        };
        ASSERT_EQ(got, *r0) << "seed " << seed << "\n" << listing();
        ASSERT_TRUE(std::ranges::equal(memory, expected)) << "memory, seed " << seed << "\n"
                                                          << listing();
    }
}

INSTANTIATE_TEST_SUITE_P(Engine, DensePrograms, testing::ValuesIn(all_engines()), engine_name);

}  // namespace
}  // namespace ebpf::engines
