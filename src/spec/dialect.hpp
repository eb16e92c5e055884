// SPDX-License-Identifier: MIT
#pragma once

#include "base/types.hpp"

namespace ebpf::spec {

// Whose numbers, layouts and return values an object or a caller speaks. Inside, ids are canonical;
// a dialect belongs to an entry point and travels with what came through it.
enum class Dialect : u8 { Linux, Windows };
inline constexpr int kDialectCount = 2;

}  // namespace ebpf::spec
