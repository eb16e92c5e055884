// SPDX-License-Identifier: MIT
//
// Canonical ids, made from the tables. An id is a dense index inside this process; what a dialect
// calls it is a column of the row.
#pragma once

#include "base/types.hpp"

namespace ebpf::spec {

enum class Helper : u16 {
#define HELPER(id, ...) id,
#include "spec/helpers.def"
};

enum class MapType : u8 {
#define MAP_TYPE(id, ...) id,
#include "spec/map_types.def"
};

enum class ProgramType : u8 {
#define PROGRAM_TYPE(id, ...) id,
#include "spec/program_types.def"
};

enum class AttachType : u8 {
#define ATTACH_TYPE(id, ...) id,
#include "spec/attach_types.def"
};

}  // namespace ebpf::spec
