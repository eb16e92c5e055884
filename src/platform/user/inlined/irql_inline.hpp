// SPDX-License-Identifier: MIT
// The simulated level: looked at and changed in every invocation.
#pragma once

namespace ebpf::platform {

[[gnu::tls_model("initial-exec")]] extern constinit thread_local Irql simulated_irql;

inline Irql current_irql() {
    return simulated_irql;
}

inline Irql raise_to_dispatch() {
    const Irql previous = simulated_irql;
    simulated_irql = Irql::Dispatch;
    return previous;
}

inline void lower_irql(Irql previous) {
    simulated_irql = previous;
}

}  // namespace ebpf::platform
