// SPDX-License-Identifier: MIT
// The helpers that XDP programs alone may call, and their contexts for test runs.
#pragma once

#include <span>

#include "spec/extension.h"

namespace ebpf::hooks {

std::span<const ebpf_extension_helper_t> xdp_helpers();

// ebpf_hook_provider::create_context and its kin. The context of a test run is the caller's frame,
// and of a context structure that he passes the interface and queue (Linux's struct xdp_md).
uint32_t create_xdp_context(void* self, const ebpf_test_run_t* run, void** context);
void reset_xdp_context(void* self, const ebpf_test_run_t* run, void* context);
uint32_t destroy_xdp_context(void* self, ebpf_test_run_t* run, void* context);

}  // namespace ebpf::hooks
