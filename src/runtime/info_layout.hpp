// SPDX-License-Identifier: MIT
#pragma once

#include "spec/info_layout.hpp"

namespace ebpf::runtime {

namespace linux_abi = spec::linux_abi;

}  // namespace ebpf::runtime
