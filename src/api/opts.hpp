// SPDX-License-Identifier: MIT
//
// Option structures of callers that were compiled against an older or a newer libbpf: fields beyond
// the caller's size read as absent, and what a larger one says beyond ours must be zero.
#pragma once

#include <cstddef>
#include <cstring>

namespace ebpf::api {

// True when `opts` is null, or its size makes sense and nothing that we do not know is set.
template <typename Opts>
bool valid(const Opts* opts) {
    if (!opts) return true;
    if (opts->sz < sizeof(size_t)) return false;
    const char* bytes = reinterpret_cast<const char*>(opts);
    for (size_t i = sizeof(Opts); i < opts->sz; ++i) {
        if (bytes[i]) return false;
    }
    return true;
}

// A copy with our size, what the caller does not know zero.
template <typename Opts>
Opts known(const Opts* opts) {
    Opts copy{};
    if (opts) std::memcpy(&copy, opts, opts->sz < sizeof(Opts) ? opts->sz : sizeof(Opts));
    copy.sz = sizeof(Opts);
    return copy;
}

// Whether the caller's structure reaches to the end of `member`.
#define EBPF_OPTS_HAS(opts, member)                                                     \
    ((opts) && (opts)->sz >= offsetof(std::remove_cvref_t<decltype(*(opts))>, member) + \
                                 sizeof((opts)->member))

}  // namespace ebpf::api
