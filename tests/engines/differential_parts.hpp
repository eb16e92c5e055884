// SPDX-License-Identifier: MIT
// What the kinds of differential tests share; defined in differential_parts.cpp.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "isa/insn.hpp"
#include "jit/jit.hpp"

namespace ebpf::engines {

inline constexpr u64 kMayGoto = 6;  // of a run: soon used up

// The address of a helper of random programs (random_program.hpp) for code of that convention; 0
// when there is none.
u64 helper_address(u32 number, jit::CallingConvention convention);

// A helper as code of Windows' convention calls it.
template <code::HelperFn helper>
__attribute__((ms_abi)) u64 windows(u64 a, u64 b, u64 c, u64 d, u64 e,
                                    code::Invocation* invocation) {
    return helper(a, b, c, d, e, invocation);
}

// Empty when one of them has no encoding.
std::vector<std::byte> encoded(std::span<const isa::Insn> insns);

// Calls of a random program's helpers, by the number that code calls the embedder's own by.
void call_custom_helpers(ir::Program& program);

// A program of these slots as the interpreter runs it, its helpers resolved.
class Interpreted {
  public:
    // Nothing when the interpreter refuses. Without a resolver the helpers are those of random
    // programs.
    static std::optional<Interpreted> prepare(Bytes slots);
    static std::optional<Interpreted> prepare(Bytes slots, const code::Resolver& resolver,
                                              u32 map_count = 0);
    u64 run(void* r1, u64 r2, code::Invocation* invocation) const;

  private:
    struct alignas(16) Block {
        std::byte bytes[16];
    };
    std::vector<Block> memory_;
};

}  // namespace ebpf::engines
