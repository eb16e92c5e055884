// SPDX-License-Identifier: MIT
#include "platform/irql.hpp"

#include <cstdio>
#include <cstdlib>

namespace ebpf::platform {

constinit thread_local Irql simulated_irql = Irql::Passive;

void require_irql_at_most(Irql highest, const char* function) {
    if (current_irql() <= highest) return;
    std::fprintf(stderr, "%s called at interrupt level %d, allowed up to %d\n", function,
                 static_cast<int>(current_irql()), static_cast<int>(highest));
    std::abort();
}

void require(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "bug: %s\n", what);
    std::abort();
}

}  // namespace ebpf::platform
