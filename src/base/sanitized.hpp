// SPDX-License-Identifier: MIT
// Whether this is a build with a sanitizer, as the compiler says: CASEMENT_SANITIZED and
// kSanitized.
#pragma once

#if defined(__has_feature)
#define CASEMENT_HAS_FEATURE(name) __has_feature(name)
#else
#define CASEMENT_HAS_FEATURE(name) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
    CASEMENT_HAS_FEATURE(address_sanitizer) || CASEMENT_HAS_FEATURE(thread_sanitizer)
#define CASEMENT_SANITIZED 1
#else
#define CASEMENT_SANITIZED 0
#endif
#undef CASEMENT_HAS_FEATURE

namespace ebpf {

inline constexpr bool kSanitized = CASEMENT_SANITIZED;

}  // namespace ebpf
