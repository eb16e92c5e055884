// SPDX-License-Identifier: MIT
#include "verifier/planted.hpp"

namespace ebpf::verifier {

int planted_fault = 0;

}  // namespace ebpf::verifier
