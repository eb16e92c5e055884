// SPDX-License-Identifier: MIT
//
// The composition root of the embedded shape: what a process gets that links libebpfapi. The
// execution context with the interpreter and, where this machine has one, the JIT; the XDP hook;
// the compiling service in the same process; one session for the process.
#include "api/session.hpp"

#include <fcntl.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>

#include "engine/service.hpp"
#include "interpreter/interpreter.hpp"
#include "products/libebpfapi/embedded.hpp"
#include "products/libebpfapi/placeholders.hpp"
#include "runtime/runtime.hpp"
#include "spec/map_types.hpp"

namespace ebpf {
namespace {

void close_handle(void* self, u32 handle) {
    const auto& session = *static_cast<const api::Session*>(self);
    spec::HandleCloseAttr attr{.fd = handle};
    (void)session.door(session.caller, spec::Command::HandleClose, &attr);
}

// A map that applications map is a file.
products::Placeholders::File file_of(void* self, u32 handle) {
    const auto& session = *static_cast<const api::Session*>(self);
    spec::Caller root = session.caller;
    root.privileged = true;
    spec::HandleShapeAttr shape{.fd = handle};
    spec::MapMemoryAttr memory{.map_fd = handle};
    if (!session.door(root, spec::Command::HandleShape, &shape) ||
        (shape.map_flags & spec::kMapMmapable) == 0 ||
        !session.door(root, spec::Command::MapMemory, &memory)) {
        return {};
    }
    constexpr int kFlags[] = {-1, O_RDONLY, O_WRONLY, O_RDWR};
    return {.descriptor = static_cast<int>(memory.native), .open_flags = kFlags[memory.access & 3]};
}

void trace_to_stderr(void*, std::string_view line) {
    std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
}

// Everything that exists once in the process. Never destroyed: programs may be running in other
// threads when the process ends.
struct Process {
    hooks::XdpHook xdp;
    products::LiveSwitch live{xdp};
    engine::Service service;
    api::Session session;
    products::Placeholders descriptors{&session, &close_handle, &file_of};

    bool start() {
        runtime::Config config;
        if (std::getenv("CASEMENT_TRACE")) config.trace = &trace_to_stderr;
        const auto made = runtime::Runtime::create(config);
        if (!made) return false;
        runtime::Runtime& context = **made;
        if (!context.register_engine(interpreter::kEngine)) return false;
        if (!context.register_hook_provider(xdp.provider())) return false;

        service.door = context.door();
        service.target = jit::Target::host();
        service.has_jit = service.target.cpu == code::Cpu::X86_64;
        service.has_interpreter = true;
        session.door = service.door;
        session.caller.session = session.door.open_session(session.door.self);
        session.caller.dialect = spec::Dialect::Linux;
        session.service = &service;
        session.descriptors = &descriptors;
        session.possible_cpus = context.epochs().slots();
        return session.caller.session != nullptr;
    }
};

Process* process() {
    static Process* const the_process = [] {
        std::unique_ptr<Process> made(new (std::nothrow) Process);
        return made && made->start() ? made.release() : nullptr;
    }();
    return the_process;
}

}  // namespace

api::Session* api::session() {
    Process* const here = process();
    return here ? &here->session : nullptr;
}

products::LiveSwitch* products::live_switch() {
    Process* const here = process();
    return here ? &here->live : nullptr;
}

hooks::XdpHook* products::xdp_hook() {
    Process* const here = process();
    return here ? &here->xdp : nullptr;
}

}  // namespace ebpf
