// SPDX-License-Identifier: MIT
// What the sources of helpers share.
#pragma once

#include "code/engine.hpp"
#include "runtime/runtime.hpp"
#include "spec/errors.hpp"

namespace ebpf::runtime {

using code::Invocation;

#define HELPER_FUNCTION(name)                                                                    \
    u64 helper_##name([[maybe_unused]] u64 r1, [[maybe_unused]] u64 r2, [[maybe_unused]] u64 r3, \
                      [[maybe_unused]] u64 r4, [[maybe_unused]] u64 r5,                          \
                      [[maybe_unused]] Invocation* invocation)

inline Map& map_at(u64 address) {
    return *reinterpret_cast<Map*>(address);
}

template <typename T = void>
T* memory(u64 address) {
    return reinterpret_cast<T*>(address);
}

inline const Program& program_of(const Invocation& invocation) {
    return *static_cast<const Program*>(invocation.program);
}

inline Runtime& runtime_of(const Invocation& invocation) {
    return *static_cast<Runtime*>(invocation.runtime);
}

inline u64 returned(const Invocation* invocation, Errc code) {
    return static_cast<u64>(spec::helper_return(program_of(*invocation).dialect, code));
}

inline u64 returned(const Invocation* invocation, const Status& status) {
    return status ? 0 : returned(invocation, status.error().code);
}

// A helper and the function that it is.
struct HelperRow {
    spec::Helper helper;
    code::HelperFn function;
};
#define HELPER_ROW(name) {spec::Helper::name, helper_##name}

std::span<const HelperRow> dynptr_helpers();    // helpers_dynptr.cpp
std::span<const HelperRow> iterator_helpers();  // helpers_iterator.cpp
std::span<const HelperRow> map_helpers();       // helpers_map.cpp
std::span<const HelperRow> process_helpers();   // helpers_process.cpp
std::span<const HelperRow> text_helpers();      // helpers_text.cpp
std::span<const HelperRow> field_helpers();     // helpers_field.cpp

}  // namespace ebpf::runtime
