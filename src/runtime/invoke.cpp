// SPDX-License-Identifier: MIT
//
// Programs' runs: those that hooks ask for, and others.
#include <new>

#include "platform/system.hpp"
#include "runtime/runtime.hpp"

namespace ebpf::runtime {
namespace {

// Enters what a tail call left pending, and what that tail-calls in turn.
u64 follow_tail_calls(code::Invocation& invocation, u64 r0) {
    while (invocation.tail_pending != nullptr) {
        const auto& next = *static_cast<const Program*>(invocation.tail_pending);
        invocation.tail_pending = nullptr;
        invocation.program = &next;
        r0 = enter(next, invocation.context, invocation.context_size, invocation);
    }
    return r0;
}

// A tail call in a subprogram: the other program's result is the subprogram's, whose caller goes
// on.
u64 run_tail(code::Invocation* invocation) {
    const void* caller = invocation->program;
    const u64 r0 = follow_tail_calls(*invocation, 0);
    invocation->program = caller;
    return r0;
}

void check_end([[maybe_unused]] const code::Invocation& invocation) {
#ifndef NDEBUG
    platform::require(invocation.locks_held == 0, "a program's run ended with a lock held");
#endif
}

// Copied in a few moves; compilers zero and then fill what is written out field by field, which
// took longer than a small program.
constexpr code::Invocation kNewRun{.run_tail = &run_tail};

// Inlined into what hooks call: the calls were half of the time of an empty run.
[[gnu::always_inline]] inline u64 run_once(Runtime& runtime, const Program& program, void* context,
                                           u64 context_size, u32 slot) {
    code::Invocation invocation = kNewRun;
    invocation.context = context;
    invocation.context_size = context_size;
    invocation.runtime = &runtime;
    invocation.program = &program;
    invocation.slot = slot;
    u64 r0 = enter(program, context, context_size, invocation);
    if (invocation.tail_pending != nullptr) [[unlikely]]
        r0 = follow_tail_calls(invocation, r0);
    check_end(invocation);
    return r0;
}

[[gnu::noinline]] u64 run_measured(Runtime& runtime, const Program& program, void* context,
                                   u64 context_size, u32 slot) {
    const u64 start = platform::monotonic_ns();
    const u64 r0 = run_once(runtime, program, context, context_size, slot);
    program.statistics.ns.fetch_add(platform::monotonic_ns() - start, std::memory_order_relaxed);
    program.statistics.runs.fetch_add(1, std::memory_order_relaxed);
    return r0;
}

[[gnu::always_inline]] inline u64 run_inline(Runtime& runtime, const Program& program,
                                             void* context, u64 context_size, u32 slot) {
    const bool measured = runtime.measures_runs();
    if (measured) [[unlikely]]
        return run_measured(runtime, program, context, context_size, slot);
    return run_once(runtime, program, context, context_size, slot);
}

}  // namespace

u64 run(Runtime& runtime, const Program& program, void* context, u64 context_size, u32 slot) {
    return run_inline(runtime, program, context, context_size, slot);
}

void run_function(Runtime& runtime, const Program& program, u64 function, const u64 args[5],
                  u32 slot) {
    code::Invocation invocation{
        .run_tail = &run_tail,
        .call_interpreted = program.engine != nullptr ? program.engine->call : nullptr,
        .runtime = &runtime,
        .program = &program,
        .slot = slot};
    (void)code::call_function(&invocation, function, args);
    check_end(invocation);
}

// --- what hooks call ----------------------------------------------------------------------------

Runtime& Runtime::of(const ebpf_client_dispatch_t* client) {
    static_assert(offsetof(Client, dispatch) == 0);
    return *reinterpret_cast<const Client*>(client)->runtime;
}

u32 Runtime::invoke(const ebpf_binding_t* binding, void* context, u64* result) {
    Runtime& runtime = *binding->runtime;
    EpochGuard guard(runtime.epochs_);
    if (!guard.status()) return static_cast<u32>(guard.status().error().code);
    const Program& program = *binding->program.load(std::memory_order_acquire);
    *result = run_inline(runtime, program, context, 0, guard.slot());
    return static_cast<u32>(Errc::Ok);
}

namespace {

// Inlined twice: into the short way and the other.
[[gnu::always_inline]] inline u32 run_at(Runtime& runtime, const ebpf_binding_t* const* place,
                                         u32 target, void* context, u8* dialect, u64* result,
                                         u32 slot) {
    const ebpf_binding_t* binding = __atomic_load_n(place, __ATOMIC_ACQUIRE);
    if (binding == nullptr || binding->target != target) {
        return static_cast<u32>(Errc::ObjectNotFound);
    }
    const Program& program = *binding->program.load(std::memory_order_acquire);
    *dialect = static_cast<u8>(program.dialect);
    *result = run_inline(runtime, program, context, 0, slot);
    return static_cast<u32>(Errc::Ok);
}

[[gnu::noinline]] u32 run_at_elsewhere(Runtime& runtime, const ebpf_binding_t* const* place,
                                       u32 target, void* context, u8* dialect, u64* result) {
    EpochGuard guard(runtime.epochs());
    if (!guard.status()) return static_cast<u32>(guard.status().error().code);
    return run_at(runtime, place, target, context, dialect, result, guard.slot());
}

}  // namespace

u32 Runtime::invoke_at(const ebpf_client_dispatch_t* client, const ebpf_binding_t* const* place,
                       u32 target, void* context, u8* dialect, u64* result) {
    Runtime& runtime = of(client);
    {
        const platform::DispatchGuard level;
        const HomeGuard home(runtime.epochs_);
        if (home.entered()) [[likely]]
            return run_at(runtime, place, target, context, dialect, result, home.slot());
    }
    return run_at_elsewhere(runtime, place, target, context, dialect, result);
}

static_assert(sizeof(Epochs::Entry) <= 64 && alignof(Epochs::Entry) <= 8);

u32 Runtime::batch_begin(const ebpf_client_dispatch_t* client, void* state) {
    auto* entry = new (state) Epochs::Entry;
    const Status status = of(client).epochs_.enter(*entry);
    return static_cast<u32>(status ? Errc::Ok : status.error().code);
}

u32 Runtime::batch_invoke(const ebpf_binding_t* binding, void* context, u64* result,
                          const void* state) {
    const auto& entry = *static_cast<const Epochs::Entry*>(state);
    const Program& program = *binding->program.load(std::memory_order_acquire);
    *result = run_inline(*binding->runtime, program, context, 0, entry.slot);
    return static_cast<u32>(Errc::Ok);
}

void Runtime::batch_end(void* state) {
    auto& entry = *static_cast<Epochs::Entry*>(state);
    if (entry.epochs != nullptr) entry.epochs->leave(entry);
}

u32 Runtime::dialect(const ebpf_binding_t* binding) {
    return static_cast<u32>(binding->program.load(std::memory_order_acquire)->dialect);
}

}  // namespace ebpf::runtime
