// SPDX-License-Identifier: MIT
//
// The JIT, compiled for this machine and placed by the smallest code that can: the suite is about
// what compiled code computes.
#include "jit/jit.hpp"

#include <sys/mman.h>

#include <cstring>

#include "engine.hpp"

namespace ebpf::engines {
namespace {

// Machine code that may be executed, until it goes out of scope.
class Placed {
  public:
    Placed() = default;
    Placed(const Placed&) = delete;
    ~Placed() {
        if (memory_ != MAP_FAILED) munmap(memory_, size_);
    }

    Status place(const code::CodeView& view, const code::Resolver& resolver) {
        size_ = view.text.size();
        memory_ = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory_ == MAP_FAILED) return fail(Errc::NoMemory);
        std::memcpy(memory_, view.text.data(), size_);
        TRY(code::relocate({static_cast<std::byte*>(memory_), size_}, view.relocations, resolver));
        if (mprotect(memory_, size_, PROT_READ | PROT_EXEC) != 0) return fail(Errc::AccessDenied);
        return {};
    }
    code::EntryFn entry(u32 offset) const {
        return reinterpret_cast<code::EntryFn>(static_cast<std::byte*>(memory_) + offset);
    }

  private:
    void* memory_ = MAP_FAILED;
    std::size_t size_ = 0;
};

class JitEngine : public Engine {
  public:
    std::string name() const override { return "jit"; }
    bool limits_call_depth() const override { return true; }  // when it compiles

    Result<u64> run(Bytes slots, MutableBytes memory, const Helpers& helpers) override {
        TRY_ASSIGN(ir::Program program, ir::decode_program(slots));
        for (isa::Insn& insn : program.insns) {
            if (insn.form == isa::Form::Call && insn.call() == isa::CallKind::Helper) {
                insn.imm |= code::kCustomHelper;
            }
        }
        TRY_ASSIGN(const jit::Output output, jit::compile(program, {}, jit::Target::host()));
        const code::CodeView view = output.view(0);
        TRY(code::validate(view));
        Placed placed;
        TRY(placed.place(view, resolver_of(helpers)));

        code::Invocation invocation;
        void* const r1 = memory.empty() ? nullptr : memory.data();
        return placed.entry(view.entry)(r1, memory.size(), &invocation);
    }
};

const bool kRegistered = register_engine(std::make_unique<JitEngine>());

}  // namespace
}  // namespace ebpf::engines
