// SPDX-License-Identifier: MIT
//
// The number domain against the concrete semantics of isa/. Every function looks for a
// counterexample and describes the first one; "" means that there is none.
#pragma once

#include <string>

#include "base/types.hpp"

namespace ebpf::verifier::oracle {

// How many comparisons of an abstract result with a concrete one were made, for the record.
struct Count {
    u64 checks = 0;
};

// Ranges alone, 8 bits wide: every range against every `stride`-th one, unsigned and signed, every
// operation, with the exact least and greatest result.
std::string ranges_at_8_bits(u32 stride, Count& count);
// Known bits alone: every pair at 5 bits, each `stride`-th pair at 8 bits.
std::string bits_at_8_bits(u32 stride, Count& count);
// The whole product: all pairs of elements over 16 neighbouring numbers, at the places where the
// components meet (around 0, 2^31, 2^32, 2^63), every operation and comparison in both widths.
std::string product_at_4_bits(Count& count);
// The whole product over random small sets of 64-bit numbers.
std::string product_sampled(u64 seed, u32 rounds, Count& count);

}  // namespace ebpf::verifier::oracle
