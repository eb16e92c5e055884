// SPDX-License-Identifier: MIT
#include "runtime/program.hpp"

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

void destroy_program(Program& program) {
    for (u32 i = 0; i < program.map_count; ++i) release(*program.maps[i]);
    for (u32 i = 0; i < program.bound_maps.size(); ++i) release(*program.bound_maps[i]);
    if (program.btf != nullptr) release(*program.btf);
    platform::release(program.functions.bytes);
    platform::release(program.lines.bytes);
    platform::release(program.function_offsets.at);
    platform::release(program.line_offsets.at);
    platform::release(program.maps);
    platform::release(program.prepared);
    platform::release(program.insns);
    program.~Program();
    platform::release(&program);
}

}  // namespace ebpf::runtime
