// SPDX-License-Identifier: MIT
#pragma once

#include "api/session.hpp"
#include "engine/service.hpp"
#include "hooks/xdp.hpp"

namespace ebpf::products {

// An execution context in this process, and the session over it: with the interpreter and, where
// this machine has one, the JIT; the XDP hook; the compiling service.
struct Context {
    hooks::XdpHook xdp;
    engine::Service service;
    api::Session session;

    // `ring_ready(ring_self, map's id)`: a consumer of that ring should look. False without memory.
    bool start(api::Descriptors& descriptors, void (*ring_ready)(void* self, u32 map),
               void* ring_self);
};

// What descriptors ask of the execution context; `session` is an api::Session.
void close_handle(void* session, u32 handle);
bool has_news(void* session, u32 handle);

}  // namespace ebpf::products
