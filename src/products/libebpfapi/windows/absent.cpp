// SPDX-License-Identifier: MIT
// casement/embedded.h: captures and live interfaces, which Windows has none of yet.
#include <casement/embedded.h>

#include <cerrno>

#include "api/errors.hpp"

using namespace ebpf;
using api::negative;

extern "C" {

struct ebpf_capture* ebpf_capture__open(const char*) {
    return api::null(EOPNOTSUPP);
}

void ebpf_capture__close(struct ebpf_capture*) {}

__u32 ebpf_capture__packets(const struct ebpf_capture*) {
    return 0;
}

int ebpf_capture__replay(const struct ebpf_capture*, int, const struct ebpf_replay_opts*,
                         struct ebpf_replay_result*) {
    return negative(EOPNOTSUPP);
}

int ebpf_live__enable(void) {
    return negative(EOPNOTSUPP);
}

int ebpf_live__statistics(int, struct ebpf_live_statistics*, size_t) {
    return negative(EOPNOTSUPP);
}

}  // extern "C"
