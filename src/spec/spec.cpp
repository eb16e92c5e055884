// SPDX-License-Identifier: MIT
#include "spec/door.hpp"
#include "spec/program_info.hpp"

namespace ebpf::spec {

static_assert(static_cast<int>(Command::MapLookupElem) == 1);
static_assert(sizeof(ProgLoadAttr) == 144);

}  // namespace ebpf::spec
