// SPDX-License-Identifier: MIT
#include "code/bounds.hpp"

namespace ebpf::code {

bool may_access(const Bounds& bounds, u64 address, u64 size, bool writes) {
    for (const StackFrame* frame = bounds.frames; frame != nullptr; frame = frame->outer) {
        if (contains(frame->memory, address, size)) return true;
    }
    const auto allows = [&](const Range& range) {
        return contains(range, address, size) && (range.writable || !writes);
    };
    if (allows(bounds.memory)) return true;
    for (const Range& range : bounds.ranges) {
        if (allows(range)) return true;
    }
    return false;
}

}  // namespace ebpf::code
