// SPDX-License-Identifier: MIT
//
// The JIT, for this machine, for any x86-64, and with Windows' calling convention.
#include "jit/jit.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "engine.hpp"
#include "placed.hpp"

namespace ebpf::engines {
namespace {

// Helpers are functions of this system's convention; code for Windows calls them through these.
constexpr std::size_t kThunks = 16;
std::array<code::HelperFn, kThunks> thunk_targets;

template <std::size_t I>
__attribute__((ms_abi)) u64 thunk(u64 a, u64 b, u64 c, u64 d, u64 e, code::Invocation* invocation) {
    return thunk_targets[I](a, b, c, d, e, invocation);
}

template <std::size_t... I>
u64 thunk_address(std::size_t index, std::index_sequence<I...>) {
    const u64 addresses[] = {reinterpret_cast<u64>(thunk<I>)...};
    return addresses[index];
}

class JitEngine : public Engine {
  public:
    JitEngine(std::string name, const jit::Target& target, const jit::Options& options = {})
        : name_(std::move(name)), target_(target), options_(options) {}

    std::string name() const override { return name_; }
    bool limits_call_depth() const override { return true; }

    Result<u64> run(Bytes slots, MutableBytes memory, const Helpers& helpers) override {
        TRY_ASSIGN(ir::Program program, decode(slots));
        for (isa::Insn& insn : program.insns) {
            const bool helper =
                insn.form == isa::Form::Call && insn.call() == isa::CallKind::Helper;
            if (helper) insn.imm |= code::kCustomHelper;
        }
        TRY_ASSIGN(const jit::Output output, jit::compile(program, {}, target_, options_));
        TRY(code::validate(output.view(0)));
        TRY(resolvable(output, helpers));

        std::size_t thunks = 0;
        const auto address = [&](const code::Relocation& r) {
            const auto found = helpers.find(r.index & ~code::kCustomHelper);
            if (found == helpers.end()) return u64{0};  // HelperOrNull64
            const code::HelperFn helper = found->second;
            if (target_.convention == jit::CallingConvention::SystemV) {
                return reinterpret_cast<u64>(helper);
            }
            // One thunk per helper, however often it is called.
            const auto known =
                std::find(thunk_targets.begin(),
                          thunk_targets.begin() + static_cast<std::ptrdiff_t>(thunks), helper);
            const auto which = static_cast<std::size_t>(known - thunk_targets.begin());
            if (which == thunks) thunk_targets.at(thunks++) = helper;
            return thunk_address(which, std::make_index_sequence<kThunks>());
        };
        const jit::test::Placed placed(output, target_.convention, address);
        code::Invocation invocation;
        void* const r1 = memory.empty() ? nullptr : memory.data();
        const u64 r0 = placed.run(r1, memory.size(), &invocation);
        TRY(code::fault_status(invocation.fault));
        return r0;
    }

  private:
    // Subprograms that lie inside others are nothing that ir/ (or Linux) knows.
    static Result<ir::Program> decode(Bytes slots) {
        Result<ir::Program> program = ir::decode_program(slots);
        if (program || program.error().code != Errc::BadJumpTarget) return program;
        const Error& error = program.error();
        return fail(Errc::Unsupported, error.where, error.what, error.arg);
    }

    static Status resolvable(const jit::Output& output, const Helpers& helpers) {
        for (const code::Relocation& r : output.relocations) {
            if (r.kind == code::RelocKind::Function64 ||
                r.kind == code::RelocKind::HelperOrNull64) {
                continue;
            }
            const bool calls_helper =
                r.kind == code::RelocKind::Helper64 || r.kind == code::RelocKind::HelperNear32;
            const bool known = helpers.contains(r.index & ~code::kCustomHelper);
            if (!calls_helper || !known) {
                return fail(Errc::UnresolvedSymbol, {}, "helper", r.index);
            }
        }
        return {};
    }

    std::string name_;
    jit::Target target_;
    jit::Options options_;
};

jit::Target plain(jit::CallingConvention convention) {
    return {.cpu = code::Cpu::X86_64, .convention = convention};
}

constexpr jit::Options kHardened{
    .blind_constants = true, .blinding_seed = 0x1234'5678'9abc'def0, .safe_indirect_calls = true};

constexpr jit::Options kOptimised{.level = jit::Level::Optimise};

const bool kRegistered =
    register_engine(std::make_unique<JitEngine>("jit", jit::Target::host())) &&
    register_engine(
        std::make_unique<JitEngine>("jit_any_x64", plain(jit::Target::host().convention))) &&
    register_engine(std::make_unique<JitEngine>("jit_windows_x64",
                                                plain(jit::CallingConvention::WindowsX64))) &&
    register_engine(
        std::make_unique<JitEngine>("jit_optimised", jit::Target::host(), kOptimised)) &&
    register_engine(std::make_unique<JitEngine>(
        "jit_optimised_any_x64", plain(jit::Target::host().convention), kOptimised)) &&
    register_engine(std::make_unique<JitEngine>(
        "jit_optimised_windows_x64", plain(jit::CallingConvention::WindowsX64), kOptimised)) &&
    register_engine(std::make_unique<JitEngine>(
        "jit_optimised_cancellable", jit::Target::host(),
        jit::Options{.level = jit::Level::Optimise, .cancellable = true})) &&
    register_engine(std::make_unique<JitEngine>(
        "jit_limited", jit::Target::host(), jit::Options{.metered = true, .cancellable = true})) &&
    register_engine(std::make_unique<JitEngine>(
        "jit_hardened", plain(jit::Target::host().convention), kHardened)) &&
    register_engine(std::make_unique<JitEngine>(
        "jit_hardened_windows_x64", plain(jit::CallingConvention::WindowsX64), kHardened));

}  // namespace
}  // namespace ebpf::engines
