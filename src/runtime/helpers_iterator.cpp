// SPDX-License-Identifier: MIT
//
// The iterator over numbers (Linux: bpf_iter_num_*): 8 bytes of the program's stack that only these
// functions write. The verifier knows from them that loops end.
#include "runtime/helper_call.hpp"

namespace ebpf::runtime {
namespace {

constexpr i64 kMaxNumbers = i64{8} << 20;  // Linux's BPF_MAX_LOOPS

struct NumberIterator {
    i32 now = 0;  // what was given last
    i32 end = 0;
};
static_assert(sizeof(NumberIterator) == 8);

// r1 the iterator, r2 the first number, r3 the one after the last. After an error it gives none.
HELPER_FUNCTION(iter_num_new) {
    NumberIterator& made = *memory<NumberIterator>(r1) = {};
    const i32 first = static_cast<i32>(r2), end = static_cast<i32>(r3);
    if (first > end) return returned(invocation, Errc::InvalidArgument);
    if (i64{end} - first > kMaxNumbers) return returned(invocation, Errc::TooLarge);
    made = {static_cast<i32>(static_cast<u32>(first) - 1), end};
    return 0;
}

HELPER_FUNCTION(iter_num_next) {
    NumberIterator& it = *memory<NumberIterator>(r1);
    const i32 next = static_cast<i32>(static_cast<u32>(it.now) + 1);
    if (next >= it.end) {
        it = {};
        return 0;
    }
    it.now = next;
    return reinterpret_cast<u64>(&it.now);
}

HELPER_FUNCTION(iter_num_destroy) {
    *memory<NumberIterator>(r1) = {};
    return 0;
}

constexpr HelperRow kRows[] = {
    HELPER_ROW(iter_num_new),
    HELPER_ROW(iter_num_next),
    HELPER_ROW(iter_num_destroy),
};

}  // namespace

std::span<const HelperRow> iterator_helpers() {
    return kRows;
}

}  // namespace ebpf::runtime
