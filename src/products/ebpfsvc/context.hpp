// SPDX-License-Identifier: MIT
// What the daemon is made of: the execution context with its hooks and live interfaces, and the
// children that compile for it. One session holds all clients' handles; tokens.hpp says whose they
// are.
#pragma once

#include "engine/service.hpp"
#include "hooks/xdp.hpp"
#include "products/compile_child/pool.hpp"
#include "products/service/protocol.hpp"
#include "products/service/ring_signals.hpp"
#include "runtime/runtime.hpp"
#include "sources/live.hpp"

namespace ebpf::ebpfsvc {

class Context {
  public:
    // `live`: what is attached to an interface filters the real one. `shared_arrays`: see
    // runtime::Config.
    Context(bool live, u32 shared_arrays, compile_child::PoolOptions compiling);
    ~Context();
    // NoMemory; those of compile_child::Pool::start().
    Status start();
    // Loads under way fail, and no other begins: nobody waits for a long verification any more.
    void stop() { compilers_.stop(); }

    const spec::Door& door() const { return service_.door; }
    const engine::Service& service() const { return service_; }
    engine::Service& service() { return service_; }
    // The daemon itself, in the session of all handles; not privileged.
    const spec::Caller& caller() const { return caller_; }
    u32 slots() const { return runtime_->epochs().slots(); }
    service::RingSignals& rings() { return rings_; }
    void count(service::Figures& status) const;
    std::string confinement() const { return compilers_.confinement(); }

  private:
    hooks::XdpHook xdp_;
    sources::LiveInterfaces live_;
    const u32 shared_arrays_;
    service::RingSignals rings_;
    runtime::Runtime* runtime_ = nullptr;
    engine::Service service_;
    compile_child::Pool compilers_;
    spec::Caller caller_{};
};

}  // namespace ebpf::ebpfsvc
