// SPDX-License-Identifier: MIT
#pragma once

#include <cstdlib>

#include "base/sanitized.hpp"
#include "base/types.hpp"

namespace ebpf {

// Of how many programs, seeds or rounds a random test consists: CASEMENT_PROGRAMS of the
// environment, or else the usual number. Sanitized code takes ten times as long and looks for what
// nearly every program shows, so there it is a tenth.
inline u64 tries(u64 usual) {
    if (const char* wanted = std::getenv("CASEMENT_PROGRAMS"))
        return std::strtoull(wanted, nullptr, 10);
    return kSanitized ? (usual + 9) / 10 : usual;
}

}  // namespace ebpf
