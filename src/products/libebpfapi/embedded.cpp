// SPDX-License-Identifier: MIT
// casement/embedded.h: the dialect of objects, the choice of the engine, and captures.
#include "products/libebpfapi/embedded.hpp"

#include <casement/embedded.h>

#include <cerrno>
#include <memory>
#include <new>

#include "api/errors.hpp"
#include "api/object.hpp"
#include "api/opts.hpp"
#include "api/session.hpp"
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

// Whether `dialect` is one of the enumerators; `chosen` stays empty for AUTO.
bool choose(enum ebpf_dialect dialect, std::optional<spec::Dialect>& chosen) {
    switch (dialect) {
        case EBPF_DIALECT_AUTO:
            return true;
        case EBPF_DIALECT_LINUX:
            chosen = spec::Dialect::Linux;
            return true;
        case EBPF_DIALECT_WINDOWS:
            chosen = spec::Dialect::Windows;
            return true;
    }
    return false;
}

}  // namespace

extern "C" {

struct bpf_object* ebpf_object__open_file(const char* path, enum ebpf_dialect dialect,
                                          const struct bpf_object_open_opts* opts) {
    std::optional<spec::Dialect> chosen;
    if (!choose(dialect, chosen)) return api::null(EINVAL);
    return api::open_file(path, opts, chosen);
}

struct bpf_object* ebpf_object__open_mem(const void* bytes, size_t size, enum ebpf_dialect dialect,
                                         const struct bpf_object_open_opts* opts) {
    std::optional<spec::Dialect> chosen;
    if (!choose(dialect, chosen)) return api::null(EINVAL);
    return api::open_mem(bytes, size, opts, chosen);
}

enum ebpf_dialect ebpf_object__dialect(const struct bpf_object* object) {
    return object->dialect == spec::Dialect::Windows ? EBPF_DIALECT_WINDOWS : EBPF_DIALECT_LINUX;
}

int ebpf_object__set_engine(struct bpf_object* object, enum ebpf_engine engine) {
    if (!object) return negative(EINVAL);
    if (object->loaded) return negative(EBUSY);
    constexpr engine::EngineChoice kChoices[] = {engine::EngineChoice::Default,
                                                 engine::EngineChoice::Jit,
                                                 engine::EngineChoice::Interpreter};
    if (static_cast<size_t>(engine) >= std::size(kChoices)) return negative(EINVAL);
    const api::Session* const session = api::session();
    if (!session) return negative(ENOMEM);
    if (!session->service)  // the daemon chooses
        return engine == EBPF_ENGINE_DEFAULT ? 0 : negative(EOPNOTSUPP);
    if (const auto kind = session->service->choose(kChoices[engine]); !kind)
        return negative(kind.error());
    object->engine = kChoices[engine];
    return 0;
}

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
