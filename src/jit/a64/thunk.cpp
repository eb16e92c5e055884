// SPDX-License-Identifier: MIT
//
// x64/thunk.cpp, for AArch64.
#include "jit/thunk.hpp"

#include <cstddef>

#include "jit/a64/assembler.hpp"
#include "jit/unwind.hpp"

namespace ebpf::jit::a64 {

using code::Invocation;

Result<Thunk> entry_thunk(const Invocation& initial, const void* entry, const Target& target) {
    constexpr Gpr kTemp = 9, kInvocationArg = 2;
    constexpr u32 kWord = 8, kFrame = (sizeof(Invocation) + 15) / 16 * 16;

    Assembler a(0, 64, false);
    std::vector<FrameStep> steps;
    const auto note = [&](FrameStep::Kind kind, Gpr reg, u32 bytes) {
        steps.push_back({kind, reg, bytes, a.here()});
    };
    a.push_pair(kFp, kLr);
    note(FrameStep::Kind::Push, kLr, 0);
    note(FrameStep::Kind::Push, kFp, 0);
    a.rri12(op::kAddImm, Width::W64, kFp, kSp, 0);
    a.rri12(op::kSubImm, Width::W64, kSp, kSp, kFrame);
    note(FrameStep::Kind::Grow, 0, kFrame);
    const auto store = [&](Gpr value, std::size_t offset) {
        a.access(Access::Store, Width::W64, value, kSp, static_cast<i64>(offset), kTemp);
    };
    const auto words = words_of(initial);
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (words[i] != 0) a.mov_imm(kTemp, words[i]);
        store(words[i] != 0 ? kTemp : kZero, i * kWord);
    }
    store(0, offsetof(Invocation, context));
    store(1, offsetof(Invocation, context_size));
    a.rri12(op::kAddImm, Width::W64, kInvocationArg, kSp, 0);
    a.literal(kTemp, {});
    a.rr(op::kBlr, 0, kTemp);
    a.rri12(op::kAddImm, Width::W64, kSp, kSp, kFrame);
    note(FrameStep::Kind::Remember, 0, 0);
    note(FrameStep::Kind::Shrink, 0, kFrame);
    a.pop_pair(kFp, kLr);
    note(FrameStep::Kind::Pop, kFp, 0);
    note(FrameStep::Kind::Pop, kLr, 0);
    a.put(op::kRet);

    const FrameHistory history{0, a.here(), steps};
    std::vector<code::Relocation> literals;
    Thunk thunk;
    TRY_ASSIGN(thunk.text, a.layout(literals));
    std::memcpy(thunk.text.data() + literals[0].offset, &entry, sizeof entry);
    thunk.unwind = append_unwind(target, {&history, 1}, thunk.text);
    return thunk;
}

}  // namespace ebpf::jit::a64
