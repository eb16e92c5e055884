// SPDX-License-Identifier: MIT
// BPF_PROG_LOAD: from the attribute to the compiling service.
#pragma once

#include <string>

#include "api/session.hpp"
#include "spec/commands.hpp"

namespace ebpf::api {

// `attr` as the application passed it: descriptors in instructions and fd_array are its own. The
// value is the program's handle. Writes the log and log_true_size. Errors: those of
// engine::load_program; OutOfSpace when the log did not fit, whatever the verdict.
Result<i64> prog_load(Session& session, spec::ProgLoadAttr& attr);

// Writes `log` as Linux does: its last `size` bytes, or with engine::kLogFixed in `level` its
// first, with a NUL at the end. OutOfSpace when it was cut.
Status write_log(char* buffer, u32 size, const std::string& log, u32 level);

}  // namespace ebpf::api
