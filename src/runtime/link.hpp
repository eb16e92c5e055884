// SPDX-License-Identifier: MIT
//
// Links: programs that are attached to hooks. A link of LINK_CREATE ends with its last user; one of
// PROG_ATTACH has the hook's list as a user and ends with PROG_DETACH.
#pragma once

#include "runtime/program.hpp"
#include "spec/attach_types.hpp"
#include "spec/extension.h"

namespace ebpf::runtime {
struct Link;
}

// What a hook holds of an attached program.
struct ebpf_binding {
    ebpf::runtime::Runtime* runtime = nullptr;
    std::atomic<ebpf::runtime::Program*> program{nullptr};
    ebpf::u32 target = 0;
};

namespace ebpf::runtime {

struct Link : Object {
    ebpf_binding binding{};
    const ebpf_hook_provider_t* provider = nullptr;
    spec::AttachType attach{};
    spec::Dialect dialect{};
    bool legacy = false;  // made by PROG_ATTACH; then the hook is a user
    std::atomic<bool> legacy_use{false};
    std::atomic<bool> attached{false};
};

// All attached links, to be found by hook and target.
class Links {
  public:
    // Attaches `program` at the provider's `target`. Errors: those of the provider, NoMemory.
    Result<Ref<Link>> attach(Runtime& runtime, Program& program,
                             const ebpf_hook_provider_t& provider, spec::AttachType attach,
                             u32 target, bool legacy);
    // Takes the program off its hook; does nothing the second time.
    void detach(Link& link);
    // Puts another program of the same type in. Errors: InvalidArgument; Busy when `expected` is
    // given and is not what is attached.
    Status replace(Link& link, Program& program, const Program* expected);
    // The n-th link at a hook's target, with a reference, or null.
    Ref<Link> at(const ebpf_hook_provider_t& provider, u32 target, u32 n);

  private:
    void remove(const Link& link);

    platform::SpinLock lock_;
    Table<Link*> links_;
};

void destroy_link(Link& link);

}  // namespace ebpf::runtime
