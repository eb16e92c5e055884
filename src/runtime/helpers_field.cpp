// SPDX-License-Identifier: MIT
//
// The helpers on the locks that lie in values of maps.
#include "runtime/helper_call.hpp"
#include "runtime/map_value.hpp"

namespace ebpf::runtime {
namespace {

HELPER_FUNCTION(spin_lock) {
    take_lock(memory(r1));
    invocation->locks_held += 1;
    return 0;
}

HELPER_FUNCTION(spin_unlock) {
    invocation->locks_held -= 1;
    give_lock(memory(r1));
    return 0;
}

constexpr HelperRow kRows[] = {
    {spec::Helper::spin_lock, helper_spin_lock},
    {spec::Helper::spin_unlock, helper_spin_unlock},
};

}  // namespace

std::span<const HelperRow> field_helpers() {
    return kRows;
}

}  // namespace ebpf::runtime
