// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

namespace ebpf::spec {

// Whether programs under this licence may call the helpers that are for GPL-compatible programs
// only (include/linux/license.h). No licence is none of them.
constexpr bool is_gpl_compatible(std::string_view license) {
    constexpr std::string_view kCompatible[] = {
        "GPL",          "GPL v2",       "GPL and additional rights",
        "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"};
    for (const std::string_view name : kCompatible) {
        if (license == name) return true;
    }
    return false;
}

}  // namespace ebpf::spec
