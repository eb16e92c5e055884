// SPDX-License-Identifier: MIT
// What products say when an interface that a program is attached to cannot be taken over.
#pragma once

#include <net/if.h>

#include <cstdio>
#include <string>

#include "base/error.hpp"

namespace ebpf::products {

inline std::string unfiltered(u32 ifindex, const Error& error) {
    char why[192], name[IF_NAMESIZE] = "?", text[256];
    render(error, why);
    if_indextoname(ifindex, name);
    std::snprintf(text, sizeof text, "interface %u (%s) cannot be filtered: %s", ifindex, name,
                  why);
    return text;
}

}  // namespace ebpf::products
