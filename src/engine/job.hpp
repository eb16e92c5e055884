// SPDX-License-Identifier: MIT
//
// What the compiling service is asked and what it answers, as plain data: in the embedded shape a
// function call takes them, in the service shape a socket to a process that may touch nothing else
// (products/ebpfsvc/compile_pool.hpp). Everything that reads what an application wrote (decoding,
// type information, verification, code generation) happens behind compile_job(); who asks only
// resolves descriptors, since it alone holds the objects.
//
// Neither side trusts the other's bytes: decode_job() and decode_outcome() check every length and
// every enumerator, compile_job() every index, and check_outcome() that the code is of the kind
// that was asked for. What an encoding looks like is derived from one description of the structures
// (job_codec.cpp); it belongs to one version of the program, since both ends are the same file.
#pragma once

#include <string>
#include <vector>

#include "engine/compile.hpp"

namespace ebpf::engine {

// Linux's log levels (bits of bpf_attr.log_level) as far as they mean something here.
inline constexpr u32 kLogReport = 1;   // the way to an error, the error, what was processed
inline constexpr u32 kLogVerbose = 2;  // every state, of accepted programs too
inline constexpr u32 kLogStats = 4;    // what it cost
inline constexpr u32 kLogFixed = 8;    // a buffer that is too small gets the beginning, not the end

// Type information as BPF_PROG_LOAD brings it, unread. Records of `func_info` are Linux's struct
// bpf_func_info, of `line_info` struct bpf_line_info, each of the given size.
struct ProgramBtf {
    std::vector<std::byte> types;  // a .BTF section; empty: there is none
    std::vector<std::byte> func_info;
    std::vector<std::byte> line_info;
    u32 func_info_rec_size = 0;
    u32 line_info_rec_size = 0;

    u32 functions() const { return count(func_info, func_info_rec_size); }
    u32 lines() const { return count(line_info, line_info_rec_size); }

  private:
    static u32 count(const std::vector<std::byte>& records, u32 size) {
        return size != 0 ? static_cast<u32>(records.size() / size) : 0;
    }
};

struct CompileJob {
    // The program. Instructions name maps by their index in `maps` (WideKind::MapIndex and
    // MapIndexValue) and kfuncs by their index in `kfuncs`.
    std::string name;
    std::string section;
    std::string object;
    std::string license;
    spec::Dialect dialect{};
    spec::ProgramType type{};
    spec::AttachType attach{};
    std::vector<std::byte> slots;
    std::vector<ir::MapDef> maps;
    std::vector<std::string> kfuncs;
    std::vector<ir::MissingAnswer> missing;  // for messages

    // Where it came from, for messages: already in our terms, or as the application's bytes.
    std::vector<ir::Subprogram> subprograms;  // `end` means nothing here
    std::vector<std::string> files;
    std::vector<ir::SourceLine> lines;
    ProgramBtf btf;

    // How it is verified and compiled.
    ir::Privileges privileges{};
    CompileOptions options{};
    u32 log_level = 0;
};

// `error.code` Ok: accepted, and `code` is what to install. Otherwise there is no code, and `log`
// says why. `error.what` does not cross a process; the log has it.
struct CompileOutcome {
    Error error{};
    std::string log;
    CompiledCode code;
    u64 verify_ns = 0;
    u64 compile_ns = 0;
    u64 verified_insns = 0;
};

// A linked program as a job, without options. Errors: those of ir::encode_program.
Result<CompileJob> job_of(const ir::Program& program);

// The program of a job, decoded; what the verifier and the engines rely on is checked. Errors:
// those of ir::decode_program; OutOfBounds for an index outside its table, BadFormat for a map or
// line that cannot be; those of reading type information.
Result<ir::Program> program_of(const CompileJob& job);

// The service's part of a load, whole: decode, verify, lower, compile. Pure. Every failure is in
// the outcome, memory that ran out too (NoMemory).
CompileOutcome compile_job(const CompileJob& job);

// An outcome that is only an error, with the log in words.
CompileOutcome failed_outcome(const Error& error, std::string log);

// Whether an outcome of a process that may be under an attacker's control can be what `job` asked
// for: engine and processor, maps, and code::validate(). Errors: Failed or those of validate().
Status check_outcome(const CompileJob& job, const CompileOutcome& outcome);

inline constexpr u32 kMaxJob = 128u << 20;  // bytes of a job or an outcome

std::vector<std::byte> encode(const CompileJob& job);
std::vector<std::byte> encode(const CompileOutcome& outcome);
// Errors, at the offset in `bytes`: Truncated, OutOfBounds (a count or enumerator), TooLarge,
// BadFormat (bytes left over). Memory is bounded by a small multiple of the input.
Result<CompileJob> decode_job(Bytes bytes);
Result<CompileOutcome> decode_outcome(Bytes bytes);

}  // namespace ebpf::engine
