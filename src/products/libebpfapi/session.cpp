// SPDX-License-Identifier: MIT
//
// The composition root of what links libebpfapi: one session for the process, with
//
//   - the service (remote.hpp) at the path of EBPF_SERVICE, or at its default path when somebody
//     answers there and EBPF_SERVICE is not set; or else, and when EBPF_SERVICE is empty or
//     "embedded",
//   - an execution context in this process: with the interpreter and, where this machine has one,
//     the JIT; the XDP hook; the compiling service (context.hpp).
#include "api/session.hpp"

#include <fcntl.h>

#include <pthread.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <new>

#include "platform/system.hpp"
#include "products/libebpfapi/context.hpp"
#include "products/libebpfapi/embedded.hpp"
#include "products/libebpfapi/placeholders.hpp"
#include "products/libebpfapi/remote.hpp"
#include "spec/map_types.hpp"

namespace ebpf {
namespace {

// A map that applications map is a file.
products::Placeholders::Backing backing_of(void* self, u32 handle) {
    const auto& session = *static_cast<const api::Session*>(self);
    spec::Caller root = session.caller;
    root.privileged = true;
    spec::HandleShapeAttr shape{.fd = handle};
    spec::MapMemoryAttr memory{.map_fd = handle};
    if (!session.door(root, spec::Command::HandleShape, &shape)) return {};
    if (service::is_ring(shape.map_type)) return {.ring = shape.id};
    if ((shape.map_flags & spec::kMapMmapable) == 0 ||
        !session.door(root, spec::Command::MapMemory, &memory)) {
        return {};
    }
    constexpr int kFlags[] = {-1, O_RDONLY, O_WRONLY, O_RDWR};
    return {.file = static_cast<int>(memory.native), .open_flags = kFlags[memory.access & 3]};
}

// The execution context in this process.
struct Embedded {
    products::Context context;
    products::LiveSwitch live{context.xdp};
    products::Placeholders descriptors{&context.session, &products::close_handle, &backing_of,
                                       &products::has_news};

    bool start() {
        return context.start(
            descriptors,
            [](void* rings, u32 map) { static_cast<service::RingSignals*>(rings)->ready(map); },
            &descriptors.rings());
    }
};

// A service elsewhere.
struct Remote {
    products::RemoteService service;
    api::Session session;

    Remote(std::string path, u32 slots) : service(std::move(path)) {
        session.door = service.door();
        session.caller.session = this;
        session.caller.dialect = spec::Dialect::Linux;
        session.descriptors = &service;
        session.possible_cpus = slots;
    }
};

// Everything that exists once in the process; one of the two is there. Never destroyed: programs
// may be running in other threads when the process ends.
struct Process {
    std::unique_ptr<Embedded> embedded;
    std::unique_ptr<Remote> remote;

    bool start() {
        const char* const wanted = std::getenv("EBPF_SERVICE");
        const std::string_view path = wanted ? wanted : service::kDefaultPath;
        if (!path.empty() && path != "embedded" && try_remote(std::string(path), wanted)) {
            return true;
        }
        embedded.reset(new (std::nothrow) Embedded);
        return embedded && embedded->start();
    }

    // A path that was asked for is kept also when nobody answers there: the calls fail then.
    bool try_remote(const std::string& path, bool asked_for) {
        const auto slots = products::RemoteService(path).slots();
        if (!slots && !asked_for) return false;
        remote = std::make_unique<Remote>(path, slots.value_or(platform::possible_cpus()));
        return true;
    }
};

Process* process() {
    static Process* const the_process = [] {
        std::unique_ptr<Process> made(new (std::nothrow) Process);
        return made && made->start() ? made.release() : nullptr;
    }();
    static const bool fork_is_safe = [] {
        if (!the_process || !the_process->remote) return true;
        return pthread_atfork([] { the_process->remote->service.before_fork(); },
                              [] { the_process->remote->service.after_fork(false); },
                              [] { the_process->remote->service.after_fork(true); }) == 0;
    }();
    return fork_is_safe ? the_process : nullptr;
}

}  // namespace

api::Session* api::session() {
    Process* const here = process();
    if (!here) return nullptr;
    return here->remote ? &here->remote->session : &here->embedded->context.session;
}

products::LiveSwitch* products::live_switch() {
    Process* const here = process();
    return here && here->embedded ? &here->embedded->live : nullptr;
}

hooks::XdpHook* products::xdp_hook() {
    Process* const here = process();
    return here && here->embedded ? &here->embedded->context.xdp : nullptr;
}

int products::why_not_here() {
    Process* const here = process();
    return here && here->remote ? EOPNOTSUPP : ENOMEM;
}

}  // namespace ebpf
