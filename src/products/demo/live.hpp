// SPDX-License-Identifier: MIT
#pragma once

#include "products/demo/page.hpp"

namespace demo {

// `--live`: an example program on a real interface, in network namespaces that belong to this
// process. False when something is not as expected; std::runtime_error when it cannot be done here.
bool show_live(const Page& page, const char* argv0);

}  // namespace demo
