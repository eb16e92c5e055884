// SPDX-License-Identifier: MIT
//
// Two things that cost an interpreter most, and what is done about them:
//
// - Going from one operation to the next. The handler of an operation may do what the one behind it
//   says as well; that stays where it is, with a handler of its own, for who jumps there. kBegin
//   are what compute programs do most; any of them may be followed by any of kEnd, and some by two
//   (kThree).
// - Waiting for a register that was just written to memory. What was written last is handed on in
//   a register of the machine, and an operation that reads it has a handler that takes it there.
#pragma once

#include <array>
#include <span>

#include "interpreter/decoded.hpp"
#include "isa/registers.hpp"

namespace ebpf::interpreter {

// Whether the operand `a` of an operation is what was written last.
enum class Link : u8 { None, A };
inline constexpr std::size_t kLinks = 2;

namespace sequences {
using enum Handler;
inline constexpr std::array kBegin = {AddImm, Sum,     AluReg32Add, AndImm,  XorReg, OrReg,
                                      SubReg, MulReg,  RshImm,      LshImm,  Load8,  Load32,
                                      Load64, LoadAt8, LoadAt32,    LoadAt64};
inline constexpr std::array kEnd = {
    AddImm,      Sum,         AluReg32Add,  AndImm,     XorReg,     OrReg,      SubReg,
    MulReg,      RshImm,      LshImm,       Load8,      Load32,     Load64,     LoadAt8,
    LoadAt32,    LoadAt64,    StoreReg8,    StoreReg32, StoreReg64, Ja,         JmpReg64Lt,
    JmpReg64Gt,  JmpReg64Ne,  JmpReg32Lt,   JmpReg32Gt, JmpReg32Eq, JmpReg32Ne, JmpImm64Eq,
    JmpImm64Ne,  JmpImm64Lt,  JmpImm64Gt,   JmpImm32Eq, JmpImm32Ne, JmpImm32Gt, AddImm32,
    AluImm32Mul, AluImm64Mul, AluImm32Arsh, Exit};

// Rotations, mixing, walks over memory.
using Three = std::array<Handler, 3>;
inline constexpr std::array kThree = {
    Three{RshImm, LshImm, OrReg},      Three{LshImm, RshImm, OrReg},
    Three{XorReg, RshImm, XorReg},     Three{XorReg, LshImm, XorReg},
    Three{RshImm, XorReg, MulReg},     Three{XorReg, MulReg, AddImm},
    Three{MulReg, Sum, AddImm},        Three{Load32, MulReg, Sum},
    Three{Load64, MulReg, Sum},        Three{AndImm, LshImm, Sum},
    Three{LshImm, Sum, Load32},        Three{LshImm, Sum, Load64},
    Three{LshImm, LoadAt32, XorReg},   Three{LshImm, LoadAt64, XorReg},
    Three{LoadAt8, XorReg, AndImm},    Three{LoadAt8, AddImm, JmpReg64Lt},
    Three{AddImm, AddImm, JmpReg64Lt}, Three{AddImm, AddImm, JmpReg64Gt},
    Three{AddImm, AddImm, JmpImm64Ne}, Three{AddImm, AddImm, JmpImm64Eq}};
}  // namespace sequences

// Numbers of handlers: of one operation by link, then of two, then of three.
inline constexpr std::size_t kFirstPair = kSingles * kLinks;
inline constexpr std::size_t kPairs =
    sequences::kBegin.size() * kLinks * sequences::kEnd.size() * kLinks;
inline constexpr std::size_t kFirstThree = kFirstPair + kPairs;
inline constexpr std::size_t kHandlers =
    kFirstThree + sequences::kThree.size() * kLinks * kLinks * kLinks;
static_assert(kHandlers < kReached);

struct Unit {
    Handler handler{};
    Link link{};
};

// Operation `place` of handler `n`, which has that many.
constexpr Unit unit(std::size_t n, std::size_t place) {
    using namespace sequences;
    if (n < kFirstPair)
        return {static_cast<Handler>(n % kSingles), static_cast<Link>(n / kSingles)};
    if (n < kFirstThree) {
        const std::size_t ends = kEnd.size() * kLinks;
        const std::size_t of = place == 0 ? (n - kFirstPair) / ends : (n - kFirstPair) % ends;
        return {(place == 0 ? kBegin.data() : kEnd.data())[of / kLinks],
                static_cast<Link>(of % kLinks)};
    }
    std::size_t link = (n - kFirstThree) % (kLinks * kLinks * kLinks);
    for (std::size_t i = 0; i < place; ++i) link /= kLinks;
    return {kThree[(n - kFirstThree) / (kLinks * kLinks * kLinks)][place],
            static_cast<Link>(link % kLinks)};
}
constexpr std::size_t length(std::size_t n) {
    return n < kFirstPair ? 1 : n < kFirstThree ? 2 : 3;
}

// The first of the instructions that a handler runs.
inline constexpr std::array<Insn, kSingles> kInsns = {{
#define HANDLER(name, form_, kind_, width_, from, code) \
    {.form = Form::form_,                               \
     .kind = static_cast<u8>(kind_),                    \
     .width = Width::width_,                            \
     .from_bits = from},
#include "interpreter/handlers.def"
}};
constexpr const Insn& insn_of(Handler handler) {
    return kInsns[static_cast<u16>(handler)];
}
constexpr bool is_store(const Insn& insn) {
    return insn.form == Form::StoreReg || insn.form == Form::StoreImm;
}
constexpr bool compares(const Insn& insn) {
    return insn.form == Form::JmpReg || insn.form == Form::JmpImm;
}

// Whether there are handlers of it with links.
constexpr bool can_link(Handler handler) {
    const Insn& insn = insn_of(handler);
    return (isa::only_sets_dst(insn) && insn.form != Form::Wide) || is_store(insn) ||
           compares(insn);
}

// Gives operations, whose handlers are those of one without links, their links and the handlers of
// sequences.
void fuse(std::span<Op> ops);

}  // namespace ebpf::interpreter
