// SPDX-License-Identifier: MIT
//
// Programs that call helpers, run in the interpreter, as machine code, and by Linux's kernel as
// root: what is in their memory afterwards must be the same.
#pragma once

#include <optional>

#include "harness.hpp"

namespace ebpf::runtime::test {

// A program's maps by index: an array with one value of kMemorySize bytes that it works on, another
// one, frozen, with constants, and a ring buffer of a page.
inline constexpr u32 kMemory = 0, kConstants = 1, kRing = 2;
inline constexpr u32 kMemorySize = 4096;
using Contents = std::vector<std::byte>;

// `bytes` and zeros.
Contents contents(std::string_view bytes);

class Comparison : public Fixture {
  protected:
    // What the program leaves in its memory, after a look that both engines leave the same.
    Contents run_here(const std::vector<Insn>& program, const Contents& memory,
                      const Contents& constants);
    // The same by the kernel; nothing when it refuses the program, which refusal() then explains.
    std::optional<Contents> run_in_kernel(const std::vector<Insn>& program, const Contents& memory,
                                          const Contents& constants);
    const std::string& refusal() const { return refusal_; }
    static bool has_kernel();

    // Expects the same of both; without the kernel, of both engines. What the program left.
    Contents compare(const std::vector<Insn>& program, const Contents& memory = {},
                     const Contents& constants = {});

  private:
    std::string refusal_;
};

// --- pieces of programs --------------------------------------------------------------------------

Insn constant(isa::Reg dst, u64 value);

inline constexpr u32 kResults = 3072;  // where results go, eight bytes each

// r0 into result `n`, by way of r9.
void keep_result(std::vector<Insn>& program, u32 n);
// r0 = 2 and the end.
void finish(std::vector<Insn>& program);
i64 result(const Contents& memory, u32 n);

}  // namespace ebpf::runtime::test
