// SPDX-License-Identifier: MIT
#include "platform/irql.hpp"

#include <cstdio>
#include <cstdlib>

namespace ebpf::platform {
namespace {
thread_local Irql level = Irql::Passive;
}

Irql current_irql() {
    return level;
}

Irql raise_to_dispatch() {
    const Irql previous = level;
    level = Irql::Dispatch;
    return previous;
}

void lower_irql(Irql previous) {
    level = previous;
}

void require_irql_at_most(Irql highest, const char* function) {
    if (level <= highest) return;
    std::fprintf(stderr, "%s called at interrupt level %d, allowed up to %d\n", function,
                 static_cast<int>(level), static_cast<int>(highest));
    std::abort();
}

void require(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "bug: %s\n", what);
    std::abort();
}

}  // namespace ebpf::platform
