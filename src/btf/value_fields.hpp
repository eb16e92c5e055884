// SPDX-License-Identifier: MIT
// What in a map's value is not plain bytes: the lock and the timer that its type has.
#pragma once

#include "btf/btf.hpp"

namespace ebpf::btf {

inline constexpr u32 kSpinLockBytes = 4;
inline constexpr u32 kTimerBytes = 16;

// Offsets in the value, -1 where there is none.
struct ValueFields {
    i32 spin_lock = -1;
    i32 timer = -1;

    bool any() const { return spin_lock >= 0 || timer >= 0; }
    bool operator==(const ValueFields&) const = default;
};

// The members struct bpf_spin_lock and struct bpf_timer of a structure; other types have none.
// Errors: TooLarge for two of a kind, BadFormat for one that is not aligned, those of View.
Result<ValueFields> value_fields(const View& types, u32 value_type);

}  // namespace ebpf::btf
