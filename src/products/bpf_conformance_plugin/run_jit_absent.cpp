// SPDX-License-Identifier: MIT
// For builds without a JIT for this machine.
#include "plugin.hpp"

namespace ebpf::plugin {

bool has_jit() {
    return false;
}

Result<u64> run_jit(Bytes, MutableBytes, jit::Level) {
    return fail(Errc::Unsupported, {}, "a JIT for this machine in this build");
}

}  // namespace ebpf::plugin
