// SPDX-License-Identifier: MIT
#pragma once

#include <casement/embedded.h>

#include <cstdlib>

// Whether programs of the object will run in this engine. A service has one, machine code's, and
// lets nobody choose.
inline bool choose_engine(bpf_object* object, ebpf_engine engine) {
    if (std::getenv("EBPF_SERVICE") != nullptr) return engine == EBPF_ENGINE_JIT;
    return ebpf_object__set_engine(object, engine) == 0;
}
