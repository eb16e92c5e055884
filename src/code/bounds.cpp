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

bool access_allowed(const Bounds* bounds, u64 address, u64 access) {
    return may_access(*bounds, address, access & (kWrites - 1), (access & kWrites) != 0);
}

u64 call_checked(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5, Invocation* invocation) {
    const Bounds& bounds = *invocation->bounds;
    const u64 function = bounds.callee;
    const u64 args[5] = {r1, r2, r3, r4, r5};
    if (bounds.may_call == nullptr || !bounds.may_call(invocation, function, args)) {
        if (invocation->fault == 0) invocation->fault = static_cast<u64>(Fault::BadAccess);
        return 0;
    }
    return reinterpret_cast<HelperFn>(function)(r1, r2, r3, r4, r5, invocation);
}

}  // namespace ebpf::code
