// SPDX-License-Identifier: MIT
//
// Faults on purpose. An oracle that has never found anything proves nothing, so the tests build the
// verifier a second time with CASEMENT_PLANTED_FAULTS (tests/verifier/CMakeLists.txt), switch on
// one fault after the other, and ask that the oracle finds it. Each fault is one realistic slip, at
// the place where it would be made. In every other build planted() is constant and costs nothing.
//
//   1 ..  99   numbers: transfer functions and refinement; from 41 on relations of numbers
//   100 .. 199 states: registers, stack, covering, widening
//   200 .. 299 rules: what is checked before an access, a call, the end
//   300 .. 399 presentation: a verdict that hangs on which register, slot or order was chosen
#pragma once

#include <type_traits>

namespace ebpf::verifier {

#ifdef CASEMENT_PLANTED_FAULTS
extern int planted_fault;  // in the tests
constexpr bool planted(int fault) {
    if (std::is_constant_evaluated()) return false;
    return planted_fault == fault;
}
#else
constexpr bool planted(int) {
    return false;
}
#endif

}  // namespace ebpf::verifier
