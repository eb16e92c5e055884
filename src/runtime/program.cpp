// SPDX-License-Identifier: MIT
#include "runtime/program.hpp"

#include "platform/system.hpp"
#include "runtime/btf_object.hpp"
#include "runtime/runtime.hpp"

namespace ebpf::runtime {

// What extensions know of an invocation.
static_assert(offsetof(code::Invocation, context) == offsetof(ebpf_invocation_t, context));

// What compiled code knows of a program. (Of a derived class the language leaves offsetof to the
// compilers, which all have it.)
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Winvalid-offsetof"
#endif
static_assert(offsetof(Program, entry) == code::kProgramEntry);
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

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

u64 run_once(Runtime& runtime, const Program& program, void* context, u64 context_size, u32 slot) {
    code::Invocation invocation{.run_tail = &run_tail,
                                .context = context,
                                .context_size = context_size,
                                .runtime = &runtime,
                                .program = &program,
                                .slot = slot};
    const u64 r0 = follow_tail_calls(invocation, enter(program, context, context_size, invocation));
    check_end(invocation);
    return r0;
}

}  // namespace

u64 run(Runtime& runtime, const Program& program, void* context, u64 context_size, u32 slot) {
    if (!runtime.measures_runs()) [[likely]]
        return run_once(runtime, program, context, context_size, slot);
    const u64 start = platform::monotonic_ns();
    const u64 r0 = run_once(runtime, program, context, context_size, slot);
    program.statistics.ns.fetch_add(platform::monotonic_ns() - start, std::memory_order_relaxed);
    program.statistics.runs.fetch_add(1, std::memory_order_relaxed);
    return r0;
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

void destroy_program(Program& program) {
    for (u32 i = 0; i < program.map_count; ++i) release(*program.maps[i]);
    for (u32 i = 0; i < program.bound_maps.size(); ++i) release(*program.bound_maps[i]);
    if (program.btf != nullptr) release(*program.btf);
    platform::release(program.functions.bytes);
    platform::release(program.lines.bytes);
    platform::release(program.maps);
    platform::release(program.prepared);
    platform::release(program.insns);
    program.~Program();
    platform::release(&program);
}

}  // namespace ebpf::runtime
