// SPDX-License-Identifier: MIT
// casement/embedded.h: the dialect of objects, and the choice of the engine.
#include <casement/embedded.h>

#include <cerrno>
#include <iterator>
#include <optional>

#include "api/errors.hpp"
#include "api/object.hpp"
#include "api/session.hpp"

using namespace ebpf;
using api::negative;

namespace {

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

}  // extern "C"
