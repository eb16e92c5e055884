// SPDX-License-Identifier: MIT
// Both directions between the daemon and the process that compiles for it: the input as a job that
// the child gets, and as the outcome that the daemon gets.
#include "engine/job.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace ebpf;
    const Bytes bytes = std::as_bytes(std::span(data, size));
    if (auto job = engine::decode_job(bytes)) {
        job->options.verifier.max_steps = 10'000;  // time
        if (engine::encode(*job).size() != size) __builtin_trap();
        (void)engine::compile_job(*job);
    }
    if (const auto outcome = engine::decode_outcome(bytes)) {
        if (engine::encode(*outcome).size() != size) __builtin_trap();
        (void)engine::check_outcome({}, *outcome);
    }
    return 0;
}
