// SPDX-License-Identifier: MIT
//
// The functions that bpf_conformance's suite (number 5) and uBPF's own tests (0 to 5) call.
#include <cmath>
#include <cstring>

#include "plugin.hpp"

namespace ebpf::plugin {
namespace {

using code::Invocation;

bool unwound_below_entry = false;

u64 gather_bytes(u64 a, u64 b, u64 c, u64 d, u64 e, Invocation*) {
    return (a & 0xff) << 32 | (b & 0xff) << 24 | (c & 0xff) << 16 | (d & 0xff) << 8 | (e & 0xff);
}

u64 memfrob(u64 address, u64 size, u64, u64, u64, Invocation*) {
    auto* const bytes = reinterpret_cast<u8*>(address);
    for (u64 i = 0; i < size; ++i) bytes[i] ^= 42;
    return address;
}

u64 no_operation(u64, u64, u64, u64, u64, Invocation*) {
    return 0;
}

u64 square_root(u64 value, u64, u64, u64, u64, Invocation*) {
    return static_cast<u64>(std::sqrt(static_cast<double>(value)));
}

u64 compare_strings(u64 a, u64 b, u64, u64, u64, Invocation*) {
    const int order =
        std::strcmp(reinterpret_cast<const char*>(a), reinterpret_cast<const char*>(b));
    return static_cast<u64>(i64{order});
}

// Ends the program when its first argument is 0, by the way that tail calls take: the entry's frame
// leaves at once. A subprogram cannot be left together with its callers, which run_tail reports.
u64 unwind(u64 value, u64, u64, u64, u64, Invocation* invocation) {
    if (value != 0) return value;
    invocation->run_tail = [](Invocation* i) {
        i->tail_pending = nullptr;
        unwound_below_entry = true;
        return u64{0};
    };
    invocation->tail_pending = invocation;
    return 0;
}

constexpr code::HelperFn kHelpers[] = {gather_bytes, memfrob,         no_operation,
                                       square_root,  compare_strings, unwind};

Result<u64> resolve(void*, code::RelocKind kind, u32 index, u32) {
    const code::HelperFn function = helper(index & ~code::kCustomHelper);
    if (kind != code::RelocKind::Helper64 || function == nullptr) {
        return fail(Errc::UnresolvedSymbol, {}, "helper", index & ~code::kCustomHelper);
    }
    return reinterpret_cast<u64>(function);
}

}  // namespace

code::HelperFn helper(u32 number) {
    return number < std::size(kHelpers) ? kHelpers[number] : nullptr;
}
code::Resolver helper_resolver() {
    return {nullptr, resolve};
}
bool unwound_in_subprogram() {
    return unwound_below_entry;
}

}  // namespace ebpf::plugin
