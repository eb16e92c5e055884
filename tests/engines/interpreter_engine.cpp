// SPDX-License-Identifier: MIT
//
// The interpreter, in both its loops: the one for verified programs and the one that counts.
#include "interpreter/interpreter.hpp"

#include "engine.hpp"

namespace ebpf::engines {
namespace {

class InterpreterEngine : public Engine {
  public:
    InterpreterEngine(std::string name, u64 fuel) : name_(std::move(name)), fuel_(fuel) {}

    std::string name() const override { return name_; }
    bool limits_call_depth() const override { return true; }

    Result<u64> run(Bytes slots, MutableBytes memory, const Helpers& helpers) override {
        const code::EngineOps& ops = interpreter::kEngine;
        TRY_ASSIGN(const u32 count, interpreter::relocations_of(slots, {}));
        std::vector<code::Relocation> relocations(count);
        TRY(interpreter::relocations_of(slots, relocations));
        code::CodeView view;
        view.engine = code::EngineKind::Interpreter;
        view.text = slots;
        view.relocations = relocations;
        TRY_ASSIGN(const u64 size, ops.prepared_size(view));
        struct alignas(16) Block {
            std::byte bytes[16];
        };
        std::vector<Block> prepared((size + 15) / 16);
        TRY(ops.prepare(view, resolver_of(helpers), std::as_writable_bytes(std::span(prepared))));

        code::Invocation invocation;
        invocation.fuel = fuel_;
        void* const r1 = memory.empty() ? nullptr : memory.data();
        const u64 r0 = ops.run(prepared.data(), r1, memory.size(), &invocation);
        if (invocation.fault != 0) return fail(Errc::Failed, {}, "fault", invocation.fault);
        EXPECT_EQ(invocation.frames, 0u);
        return r0;
    }

  private:
    std::string name_;
    u64 fuel_;
};

const bool kRegistered =
    register_engine(std::make_unique<InterpreterEngine>("interpreter", ~u64{0})) &&
    register_engine(std::make_unique<InterpreterEngine>("interpreter_metered", 100'000'000));

}  // namespace
}  // namespace ebpf::engines
