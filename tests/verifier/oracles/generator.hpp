// SPDX-License-Identifier: MIT
//
// Random programs as people and compilers write them: bounds checks before packet accesses, lookups
// with null tests, loops of several shapes, calls, callbacks, records that are reserved and
// submitted, spilled pointers, error codes that decide later. And mutants of them, each wrong in a
// place or two, most of which a verifier must reject. The maps are those of fixture.hpp.
#pragma once

#include "ir/program.hpp"

namespace ebpf::verifier::oracle {

ir::Program generate(u64 seed);
// Changes one to three instructions; control flow stays inside the program.
ir::Program mutate(const ir::Program& program, u64 seed);

}  // namespace ebpf::verifier::oracle
