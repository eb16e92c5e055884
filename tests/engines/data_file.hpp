// SPDX-License-Identifier: MIT
//
// bpf_conformance's test files: sections `-- asm`, `-- raw`, `-- mem`, `-- result`, `-- error`.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"

namespace ebpf::engines {

struct DataFile {
    std::vector<std::byte> program;  // slots
    std::vector<std::byte> memory;
    std::optional<u64> result;  // none: the file says that the program fails, or nothing
    bool has_mem = false;
};

// BadFormat at the line of a malformed section; errors of the assembler carry the line within
// `asm`. Unsupported: a section that the format does not have.
Result<DataFile> read_data_file(const std::string& text);

}  // namespace ebpf::engines
