// SPDX-License-Identifier: MIT
// Names and source lines from the type information that a client hands over with a program.
#pragma once

#include "engine/job.hpp"

namespace ebpf::engine {

// Adds to a decoded program what `btf` says about it: names of subprograms, files and lines. Its
// records count slots from the program's start, in ascending order, as Linux wants them. Errors:
// those of btf::Types::parse; BadFormat for a record's size, an order or a place that cannot be, or
// a function's type that is none.
Status add_source(ir::Program& program, const ProgramBtf& btf);

// The other way round: the records of a program that was linked from an object, in the object's
// type information (which stays empty in the result).
ProgramBtf records_of(const ir::Program& program);

}  // namespace ebpf::engine
