// SPDX-License-Identifier: MIT
//
// The way in for callers that know nothing of invocations. The invocation lives in the thunk's own
// frame, so that any number of threads can be in it, and a helper can enter the program again.
#include "jit/thunk.hpp"

#include <cstddef>

#include "jit/unwind.hpp"
#include "jit/x64/abi.hpp"

namespace ebpf::jit::x64 {

using code::Invocation;

Result<Thunk> entry_thunk(const Invocation& initial, const void* entry, const Target& target) {
    const Abi& abi = target.convention == CallingConvention::WindowsX64 ? kWindowsX64 : kSystemV;

    constexpr u32 kWord = 8;
    const auto words = words_of(initial);

    // Below the invocation lies the home area of Windows' convention (the outgoing area begins with
    // it); the return address in front makes the frame an odd number of words.
    const u32 home = abi.outgoing;
    const u32 frame = (home + u32{sizeof(Invocation)} + 15) / 16 * 16 + kWord;
    const auto field = [&](std::size_t offset) {
        return Mem{Gpr::Rsp, static_cast<i32>(home + offset)};
    };

    Assembler a(0, CodeBuffer::kMargin);
    a.arith(Arith::Sub, Width::W64, Gpr::Rsp, static_cast<i32>(frame));
    const u32 made = a.code.size();
    for (u32 i = 0; i < words.size(); ++i) {
        a.code.reserve();
        a.mov_imm(Gpr::Rax, words[i]);
        a.store(Width::W64, field(i * kWord), Gpr::Rax);
    }
    a.code.reserve();
    a.store(Width::W64, field(offsetof(Invocation, context)), abi.entry_arg[0]);
    a.store(Width::W64, field(offsetof(Invocation, context_size)), abi.entry_arg[1]);
    a.lea(Width::W64, abi.entry_arg[2], field(0));
    a.mov_imm(Gpr::Rax, reinterpret_cast<u64>(entry));
    a.call(Gpr::Rax);
    a.arith(Arith::Add, Width::W64, Gpr::Rsp, static_cast<i32>(frame));
    const u32 restored = a.code.size();
    a.ret();
    // No step is noted behind the return: nothing follows it.
    Thunk thunk;
    TRY_ASSIGN(thunk.text, a.code.layout());
    const FrameStep steps[] = {{FrameStep::Kind::Grow, 0, frame, made},
                               {FrameStep::Kind::Remember, 0, 0, restored},
                               {FrameStep::Kind::Shrink, 0, frame, restored}};
    const FrameHistory history{0, static_cast<u32>(thunk.text.size()), steps};
    thunk.unwind = append_unwind(target, {&history, 1}, thunk.text);
    return thunk;
}

}  // namespace ebpf::jit::x64
