// SPDX-License-Identifier: MIT
#include "products/libebpfapi/context.hpp"

#include <cstdio>
#include <cstdlib>

#include "interpreter/interpreter.hpp"
#include "runtime/runtime.hpp"

namespace ebpf::products {
namespace {

void trace_to_stderr(void*, std::string_view line) {
    std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
}

}  // namespace

bool Context::start(api::Descriptors& descriptors, void (*ring_ready)(void* self, u32 map),
                    void* ring_self) {
    runtime::Config config;
    config.ring_ready = ring_ready;
    config.ring_self = ring_self;
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
    session.caller.inside = spec::Inside::Addresses;  // of its own process
    session.service = &service;
    session.descriptors = &descriptors;
    session.possible_cpus = context.epochs().slots();
    return session.caller.session != nullptr;
}

void close_handle(void* session, u32 handle) {
    const auto& here = *static_cast<const api::Session*>(session);
    spec::HandleCloseAttr attr{.fd = handle};
    (void)here.door(here.caller, spec::Command::HandleClose, &attr);
}

bool has_news(void* session, u32 handle) {
    const auto& here = *static_cast<const api::Session*>(session);
    spec::RingWaitAttr wait{.map_fd = handle};
    const auto ready = here.door(here.caller, spec::Command::RingWait, &wait);
    return ready && *ready == 1;
}

}  // namespace ebpf::products
