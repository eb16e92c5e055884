// SPDX-License-Identifier: MIT
// casement/embedded.h: captures.
#include <casement/embedded.h>

#include <cerrno>
#include <memory>
#include <new>

#include "api/errors.hpp"
#include "api/opts.hpp"
#include "products/libebpfapi/embedded.hpp"
#include "sources/replay.hpp"

using namespace ebpf;
using api::negative;

struct ebpf_capture {
    sources::Capture capture;
};

namespace {

struct Callback {
    const ebpf_replay_opts& opts;

    static int call(void* self, u32 number, hooks::XdpFrame& frame, hooks::XdpVerdict verdict) {
        const ebpf_replay_opts& opts = static_cast<Callback*>(self)->opts;
        const ebpf_packet packet{.number = number,
                                 .size = frame.size(),
                                 .data = frame.context.data,
                                 .verdict = static_cast<u32>(verdict)};
        return opts.on_packet(opts.ctx, &packet);
    }
};

}  // namespace

extern "C" {

struct ebpf_capture* ebpf_capture__open(const char* path) {
    if (!path) return api::null(EINVAL);
    try {
        auto capture = sources::Capture::read(path);
        if (capture) return new ebpf_capture{std::move(*capture)};
        char text[160];
        render(capture.error(), text);
        api::print(LIBBPF_WARN, "libbpf: %s: %s\n", path, text);
        return api::null(capture.error());
    } catch (const std::bad_alloc&) {
        return api::null(ENOMEM);
    }
}

void ebpf_capture__close(struct ebpf_capture* capture) {
    delete capture;
}

__u32 ebpf_capture__packets(const struct ebpf_capture* capture) {
    return capture ? capture->capture.size() : 0;
}

int ebpf_capture__replay(const struct ebpf_capture* capture, int ifindex,
                         const struct ebpf_replay_opts* opts, struct ebpf_replay_result* result) {
    if (!capture || ifindex <= 0 || !api::valid(opts)) return negative(EINVAL);
    hooks::XdpHook* const hook = products::xdp_hook();
    if (!hook) return negative(products::why_not_here());
    const ebpf_replay_opts known = api::known(opts);
    Callback callback{known};
    const auto replayed = sources::replay(capture->capture, *hook,
                                          {.ifindex = static_cast<u32>(ifindex),
                                           .repeat = known.repeat ? known.repeat : 1,
                                           .on_frame = known.on_packet ? &Callback::call : nullptr,
                                           .context = &callback});
    if (!replayed) return negative(replayed.error());
    if (result) {
        *result = {.packets = replayed->frames,
                   .bytes = replayed->bytes,
                   .nanoseconds = replayed->nanoseconds,
                   .verdicts = {}};
        for (int i = 0; i < hooks::kXdpVerdicts; ++i) result->verdicts[i] = replayed->verdicts[i];
    }
    return replayed->stopped;
}

}  // extern "C"
