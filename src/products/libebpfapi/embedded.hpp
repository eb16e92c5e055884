// SPDX-License-Identifier: MIT
#pragma once

#include "hooks/xdp.hpp"

namespace ebpf::products {

// The process' XDP hook; null when the execution context could not be set up.
hooks::XdpHook* xdp_hook();

}  // namespace ebpf::products
