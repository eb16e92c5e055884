// SPDX-License-Identifier: MIT
// The recorded source: feeds the frames of a capture to the XDP hook.
#pragma once

#include "hooks/xdp.hpp"
#include "sources/capture.hpp"

namespace ebpf::sources {

struct ReplayOptions {
    u32 ifindex = 1;
    u32 repeat = 1;  // of the whole capture
    // After each frame, when not null; a value other than 0 ends the replay. `frame` is as the
    // program left it.
    int (*on_frame)(void* context, u32 number, hooks::XdpFrame& frame,
                    hooks::XdpVerdict verdict) = nullptr;
    void* context = nullptr;
};

struct ReplayResult {
    u64 frames = 0;
    u64 bytes = 0;
    u64 nanoseconds = 0;
    u64 verdicts[hooks::kXdpVerdicts] = {};
    int stopped = 0;  // what on_frame returned last
};

// NoMemory is the only error.
Result<ReplayResult> replay(const Capture& capture, hooks::XdpHook& hook,
                            const ReplayOptions& options);

}  // namespace ebpf::sources
