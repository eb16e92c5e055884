// SPDX-License-Identifier: MIT
// What the daemon is made of: the execution context with its hooks and live interfaces, and the
// compiling service. One session holds all clients' handles; tokens.hpp says whose they are.
#pragma once

#include "engine/service.hpp"
#include "hooks/xdp.hpp"
#include "products/service/protocol.hpp"
#include "runtime/runtime.hpp"
#include "sources/live.hpp"

namespace ebpf::ebpfsvc {

class Context {
  public:
    // `live`: what is attached to an interface filters the real one.
    explicit Context(bool live);
    ~Context();
    // NoMemory.
    Status start();

    const spec::Door& door() const { return service_.door; }
    const engine::Service& service() const { return service_; }
    engine::Service& service() { return service_; }
    // The daemon itself, in the session of all handles; not privileged.
    const spec::Caller& caller() const { return caller_; }
    u32 slots() const { return runtime_->epochs().slots(); }
    void count(service::Figures& status) const;

  private:
    hooks::XdpHook xdp_;
    sources::LiveInterfaces live_;
    runtime::Runtime* runtime_ = nullptr;
    engine::Service service_;
    spec::Caller caller_{};
};

}  // namespace ebpf::ebpfsvc
