// SPDX-License-Identifier: MIT
//
// The composition root of ebpfapi.dll: one session for the process, with an execution context in
// this process. There is no service on Windows yet: to ask for one with EBPF_SERVICE is an error.
#include "api/session.hpp"

#include <cstdlib>
#include <memory>
#include <new>
#include <string_view>

#include "api/errors.hpp"
#include "products/libebpfapi/context.hpp"
#include "products/libebpfapi/windows/pipes.hpp"

namespace ebpf {
namespace {

struct Process {
    products::Context context;
    products::Pipes descriptors{context.session};

    bool start() {
        const char* const wanted = std::getenv("EBPF_SERVICE");
        const std::string_view path = wanted ? wanted : "";
        if (!path.empty() && path != "embedded") {
            api::print(LIBBPF_WARN, "libbpf: EBPF_SERVICE=%s: there is no service on Windows yet\n",
                       wanted);
            return false;
        }
        return context.start(
            descriptors,
            [](void* pipes, u32 map) { static_cast<products::Pipes*>(pipes)->ring_ready(map); },
            &descriptors);
    }
};

}  // namespace

// Never destroyed: programs may be running in other threads when the process ends.
api::Session* api::session() {
    static Process* const process = [] {
        std::unique_ptr<Process> made(new (std::nothrow) Process);
        return made && made->start() ? made.release() : nullptr;
    }();
    return process ? &process->context.session : nullptr;
}

}  // namespace ebpf
