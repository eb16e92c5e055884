// SPDX-License-Identifier: MIT
// The layout of a message, shared by its two ends.
#pragma once

#include <cstring>

#include "spec/info_layout.hpp"
#include "wire/message.hpp"

namespace ebpf::wire {

constexpr u64 padded(u64 size) {
    return (size + 7) & ~u64{7};
}

template <typename T>
T load(const void* at, std::size_t offset) {
    T value;
    std::memcpy(&value, static_cast<const std::byte*>(at) + offset, sizeof value);
    return value;
}
template <typename T>
void store(void* at, std::size_t offset, T value) {
    std::memcpy(static_cast<std::byte*>(at) + offset, &value, sizeof value);
}

// A field's number, whatever its size.
inline u64 number(const spec::AttrField& field, const void* attr) {
    return field.size == 8 ? load<u64>(attr, field.offset) : load<u32>(attr, field.offset);
}

// Lays out `attr`. `message` is the request that holds the buffers' content, or empty while it
// still stands behind the attribute's pointers. plan.command and plan.attr_size are set.
Status lay_out(Plan& plan, void* attr, const Shapes& shapes, Bytes message);

// How many bytes of a buffer the command has written, from the attribute before and after it, and
// for a nested one the info structure after it; at most what there is room for.
u32 used_length(const Plan& plan, const Buffer& buffer, const void* before, const void* after,
                const void* info, bool succeeded);

// What the info structure of an object of this kind points to.
std::span<const spec::InfoArray> info_arrays(u32 kind);

// The content of the info structure in a reply, or null: the nested buffers' holder.
const std::byte* info_of(const Plan& plan, const std::byte* reply);

}  // namespace ebpf::wire
