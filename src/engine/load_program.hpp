// SPDX-License-Identifier: MIT
// From a program with its maps in place to a handle of it: verify, compile, install.
#pragma once

#include <string>
#include <vector>

#include "engine/job.hpp"
#include "engine/service.hpp"

namespace ebpf::engine {

struct LoadRequest {
    CompileJob job;                // its options and log level are set here
    std::vector<u32> map_handles;  // of job.maps, in the caller's session
    u32 flags = 0;
    u32 btf_handle = 0;  // of the type information that job.btf's records are about; 0: none
    EngineChoice engine = EngineChoice::Default;
    u32 log_level = 0;
};

struct Loaded {
    u32 handle = 0;
    u64 verify_ns = 0;
    u64 compile_ns = 0;
    u64 install_ns = 0;
    u64 code_bytes = 0;
    u64 verified_insns = 0;
};

// Loads for `caller`, in whose session the handle is. `log` gets the report as its level asks; on
// failure it says why whatever the level. Errors: VerificationFailed (log has the report),
// Unsupported (a program type, helper or instruction that is not there yet; TooLarge when the
// verifier's budget ended first), and those of compilation and installation.
Result<Loaded> load_program(const Service& service, const spec::Caller& caller, LoadRequest request,
                            std::string& log);

// Makes the maps of a program that refers to them by descriptor its own: each two-slot instruction
// of `job.slots` with a descriptor gets an index into `job.maps`, which is filled from what the
// door says about the map. What cannot be decoded is left for who compiles the job to refuse.
// `handle_of` turns the number in the instruction into a handle of the caller's session. Errors:
// those of `handle_of`, at the instruction; InvalidArgument for a value offset outside the map.
struct MapResolver {
    void* self = nullptr;
    Result<u32> (*handle_of)(void* self, i32 descriptor, bool from_fd_array) = nullptr;
};
Result<std::vector<u32>> link_maps(CompileJob& job, const spec::Door& door,
                                   const spec::Caller& caller, const MapResolver& resolver);

// Where the values of `job.maps` have a lock or a timer, as the execution context knows it of the
// maps with these handles (0: none), whatever an object file says: it is what keeps applications
// away from them. load_program() does so. Errors: the door's.
Status take_fields(CompileJob& job, std::span<const u32> handles, const spec::Door& door,
                   const spec::Caller& caller);

}  // namespace ebpf::engine
