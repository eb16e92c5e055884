// SPDX-License-Identifier: MIT
//
// Machine code that tests run: copied, its relocations resolved, made executable, entered with its
// own calling convention, Windows' too.
#pragma once

#include <functional>
#include <memory>

#include "code/engine.hpp"
#include "jit/jit.hpp"
#include "platform/memory.hpp"

namespace ebpf::jit::test {

class Placed {
  public:
    using Resolve = std::function<u64(const code::Relocation&)>;
    Placed(const Output& output, CallingConvention convention, const Resolve& resolve = {});
    ~Placed();
    Placed(const Placed&) = delete;
    Placed& operator=(const Placed&) = delete;

    u64 run(void* r1, u64 r2 = 0, code::Invocation* invocation = nullptr) const;
    u32 entry() const { return entry_; }
    const void* at(u32 offset) const { return memory_ + offset; }

  private:
    std::byte* memory_ = nullptr;
    std::unique_ptr<platform::CodePages> pages_;
    u32 entry_ = 0;
    CallingConvention convention_{};
};

}  // namespace ebpf::jit::test
