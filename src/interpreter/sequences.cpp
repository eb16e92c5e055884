// SPDX-License-Identifier: MIT
#include "interpreter/sequences.hpp"

#include <algorithm>
#include <utility>

#include "interpreter/select.hpp"

namespace ebpf::interpreter {
namespace {

using sequences::kBegin;
using sequences::kEnd;
using sequences::kThree;
using sequences::Three;

constexpr u8 kNone = 0xff;

// Where each handler stands in `list`.
template <std::size_t N>
consteval auto places(const std::array<Handler, N>& list) {
    static_assert(N < kNone);
    std::array<u8, kSingles> places{};
    places.fill(kNone);
    for (std::size_t i = 0; i < N; ++i) places[static_cast<u16>(list[i])] = static_cast<u8>(i);
    return places;
}
constexpr auto kBeginPlace = places(kBegin);
constexpr auto kEndPlace = places(kEnd);

constexpr isa::Reg kNothing = 0xff;

bool commutes(Handler handler) {
    using enum Handler;
    constexpr std::array kCommuting = {Sum,    AluReg32Add, MulReg,   AndReg,   OrReg,
                                       XorReg, LoadAt8,     LoadAt16, LoadAt32, LoadAt64};
    return std::ranges::find(kCommuting, handler) != kCommuting.end();
}

// Exchanges operands, if that is the same with another handler.
void exchange(Op& op) {
    const Handler handler = static_cast<Handler>(op.handler);
    Insn insn = kInsns[op.handler];
    if (insn.form == Form::JmpReg) {
        insn.kind = static_cast<u8>(mirrored(insn.cond()));
        op.handler = static_cast<u16>(*handler_of(insn));
    } else if (!commutes(handler)) {
        return;
    }
    std::swap(op.a, op.b);
}

// `last` is the register that was written last.
Link link(Op& op, isa::Reg last) {
    if (op.a != last && op.b == last) exchange(op);
    return op.a == last && can_link(static_cast<Handler>(op.handler)) ? Link::A : Link::None;
}

// ... and after `op`.
isa::Reg written_last(const Op& op, isa::Reg last) {
    const Insn& insn = insn_of(static_cast<Handler>(op.handler));
    if (isa::only_sets_dst(insn)) return op.dst;
    const bool sets_nothing = is_store(insn) || compares(insn) || insn.form == Form::MayGoto;
    return sets_nothing ? last : kNothing;
}

// The handler of most of what begins with ops[0]; all are still handlers of one.
u16 longest(std::span<const Op> ops) {
    const auto handler = [&](std::size_t i) {
        return static_cast<Handler>(ops[i].handler % kSingles);
    };
    const auto link = [&](std::size_t i) { return ops[i].handler / kSingles; };
    for (std::size_t i = 0; ops.size() > 2 && i < kThree.size(); ++i) {
        if (kThree[i] == Three{handler(0), handler(1), handler(2)}) {
            const std::size_t links = (link(2) * kLinks + link(1)) * kLinks + link(0);
            return static_cast<u16>(kFirstThree + i * kLinks * kLinks * kLinks + links);
        }
    }
    const std::size_t begin = kBeginPlace[static_cast<u16>(handler(0))];
    const std::size_t end = kEndPlace[static_cast<u16>(handler(1))];
    if (begin == kNone || end == kNone) return ops[0].handler;
    const std::size_t first = begin * kLinks + link(0);
    const std::size_t second = end * kLinks + link(1);
    return static_cast<u16>(kFirstPair + first * kEnd.size() * kLinks + second);
}

}  // namespace

void fuse(std::span<Op> ops) {
    isa::Reg last = kNothing;
    for (Op& op : ops) {
        if ((op.handler & kReached) != 0) last = kNothing;
        op.handler &= static_cast<u16>(~kReached);
        const Link linked = link(op, last);
        last = written_last(op, last);
        op.handler = static_cast<u16>(op.handler + static_cast<u16>(linked) * kSingles);
    }
    for (std::size_t i = 0; i + 1 < ops.size(); ++i) ops[i].handler = longest(ops.subspan(i));
}

}  // namespace ebpf::interpreter
