// SPDX-License-Identifier: MIT
// What stands behind casement/vm.h: one program without maps, over memory of the embedder's.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "code/bounds.hpp"
#include "engine/compile.hpp"
#include "platform/memory.hpp"
#include "spec/program_info.hpp"

namespace ebpf::engine {

struct VmHelper {
    u32 number = 0;
    std::string name;
    code::HelperFn function = nullptr;
    spec::HelperProto proto{};
};

class Vm {
  public:
    // Settings, before load or compile.
    code::EngineKind engine = code::EngineKind::Jit;
    bool trusted = false;
    bool checked = false;  // not verified, but every access and call checked
    u32 memory_size = 0;   // smallest memory that a run will have
    u64 fuel = 0;          // instructions of a run; 0 means no limit
    bool cancellable = false;
    jit::Level level = jit::Level::Default;
    bool blind_constants = false;      // JIT
    bool safe_indirect_calls = false;  // JIT
    void* data = nullptr;

    void add_helper(VmHelper helper);
    // What checked programs may touch besides the memory of their run.
    void add_range(const code::Range& range) { ranges_.push_back(range); }
    Status load(Bytes instructions);
    // Errors: those of engine::read_object; ObjectNotFound; Unsupported for a program with maps.
    Status load_object(Bytes object, std::string_view program);
    // VerificationFailed with the report in `error`.
    Status verify();
    Status compile();
    Result<u64> run(void* memory, u64 size) const;
    // From any thread: whether runs of a cancellable VM end with Errc::Canceled.
    void cancel(bool cancelled) {
        std::atomic_ref<u32>(cancel_).store(cancelled ? 1 : 0, std::memory_order_relaxed);
    }

    bool compiled() const { return entry_ != nullptr || prepared_ != nullptr; }
    // The program as a function, see jit::entry_thunk; null unless compiled by the JIT, and for a
    // checked one. It passes helpers the `data` of the time of compile().
    using PlainEntry = u64 (*)(void* memory, u64 size);
    PlainEntry plain_entry() const { return plain_entry_; }
    u64 code_size() const { return entry_ ? code_size_ : 0; }
    std::string error;  // what went wrong last, in words

  private:
    void drop_code();
    code::Invocation initial_invocation() const;
    Status explained(Status status);
    ir::Environment environment();
    Status place_machine_code(const CompiledCode& code, const code::Resolver& resolver);
    static bool may_call(code::Invocation* invocation, u64 function, const u64 args[5]);
    static Result<u64> resolve(void* self, code::RelocKind kind, u32 index, u32 addend);

    std::vector<std::unique_ptr<VmHelper>> helpers_;
    std::vector<const spec::HelperProto*> protos_;  // sorted by number
    std::vector<code::Range> ranges_;
    spec::ContextField memory_field_{};
    spec::ProgramTypeInfo type_{};
    std::optional<ir::Program> program_;
    bool verified_ = false;
    bool metered_ = false;   // the machine code counts
    bool looks_up_ = false;  // ... and looks at cancel_
    bool checks_ = false;    // what was compiled is to be run checked
    alignas(std::atomic_ref<u32>::required_alignment) u32 cancel_ = 0;

    std::optional<platform::CodePages> pages_;
    u64 code_size_ = 0;
    code::EntryFn entry_ = nullptr;
    PlainEntry plain_entry_ = nullptr;  // behind the program, in the same pages
    struct Release {
        void operator()(void* memory) const { platform::release(memory); }
    };
    std::unique_ptr<void, Release> prepared_;
};

}  // namespace ebpf::engine
