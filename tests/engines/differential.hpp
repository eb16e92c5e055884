// SPDX-License-Identifier: MIT
//
// Differential testing: one program on the interpreter and as machine code, from equal memory and
// an equal map, must leave equal r0 (into which generated programs mix all registers), memory and
// map. Three kinds of programs:
//
//   generated   from isa/'s table, random_program.hpp
//   mutated     real ones with a few instructions changed, and run if the verifier still accepts
//               them; the facts of its proof go to the code generator, as they do in earnest
//   tail calls  among a few generated ones, some of which stay interpreted
//   lookups     in maps of all shapes that compiled code knows
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ir/facts.hpp"
#include "ir/program.hpp"
#include "jit/jit.hpp"
#include "jit/optimise/optimise.hpp"

namespace ebpf::engines {

struct Variant {
    const char* name;
    jit::Target target;
    jit::Options options{};
    // Instead of a level: these passes of it, and their program goes to the interpreter too.
    std::optional<jit::PassSet> passes{};
};

struct BaseProgram {
    std::string name;
    std::vector<std::byte> slots;
    std::vector<std::byte> memory;
};

// Of the conformance files in `directory` those that the verifier accepts.
std::vector<BaseProgram> base_programs(const std::string& directory);

// Each returns what differed and the program, or nothing. `ran` counts programs that were run.
std::optional<std::string> try_generated(u64 seed, const Variant& variant);
std::optional<std::string> try_mutated(u64 seed, const std::vector<BaseProgram>& bases,
                                       const Variant& variant, u64* ran = nullptr);

// Of programs that tail-call each other; `calls` says how often they did.
std::optional<std::string> try_tail_calls(u64 seed, const Variant& variant, u32* calls = nullptr);

// Of programs that look up elements of maps which the proof names; `compiled_in` counts the lookups
// without the helper.
std::optional<std::string> try_lookups(u64 seed, const Variant& variant,
                                       u32* compiled_in = nullptr);

// Of programs that nobody verified, mutated so that many access what is not theirs: `ended` counts
// those that end for that reason.
std::optional<std::string> try_checked(u64 seed, const std::vector<BaseProgram>& bases,
                                       const Variant& variant, u64* ended = nullptr);

}  // namespace ebpf::engines
