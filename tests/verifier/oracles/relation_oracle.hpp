// SPDX-License-Identifier: MIT
//
// The relations of numbers (verifier/relations.hpp) against the concrete semantics of isa/ and
// against all small values of their identities. Every function looks for a counterexample and
// describes the first one; "" means that there is none.
#pragma once

#include <string>

#include "oracles/scalar_oracle.hpp"

namespace ebpf::verifier::oracle {

// What a set of relations proves, and what is left of it without an identity: every pair of
// relations of three identities with factors of -1 to 1, in all values of -2 to 2. Each proof must
// follow from what it says that it relies on.
std::string pairs_of_relations(u32 stride, Count& count);
// The same of up to six random relations with larger factors, and ranges.
std::string random_relations(u64 seed, u32 rounds, Count& count);
// Numbers in registers: forms around every place where 32 and 64 bits wrap.
std::string numbers_as_expressions(Count& count);
// Sums, parts and comparisons of two such numbers.
std::string claims_of_numbers(Count& count);

}  // namespace ebpf::verifier::oracle
