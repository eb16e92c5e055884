// SPDX-License-Identifier: MIT
// What gdb_test.cpp runs under a debugger: compiled code that calls a helper, once by
// casement_vm_run() and once by casement_vm_entry(), and is then released.
#include <casement/vm.h>

#include <cstdio>

#include "raw_insn.hpp"

// The debugger stops at these.
extern "C" [[gnu::noinline]] uint64_t stop_in_helper(uint64_t a, uint64_t, uint64_t, uint64_t,
                                                     uint64_t, casement_call*) {
    asm volatile("" ::: "memory");
    return a + 1;
}
extern "C" [[gnu::noinline]] void stop_after_release() {
    asm volatile("" ::: "memory");
}

extern "C" [[gnu::noinline]] uint64_t enter_program(const casement_vm* vm) {
    uint64_t result = 0;
    casement_vm_run(vm, nullptr, 0, &result);
    const casement_entry_fn entry = casement_vm_entry(vm);
    return entry != nullptr ? result + entry(nullptr, 0) : 0;
}

int main() {
    // r1 = 1; call +2; r0 += 1; exit; a subprogram: call helper 1; r0 += 1; exit
    constexpr Insn kCode[] = {{0xb7, 1, 0, 1}, {0x85, 0x10, 0, 2}, {0x07, 0, 0, 1}, {0x95, 0, 0, 0},
                              {0x85, 0, 0, 1}, {0x07, 0, 0, 1},    {0x95, 0, 0, 0}};
    casement_helper helper{};
    helper.number = 1;
    helper.name = "stop_in_helper";
    helper.function = &stop_in_helper;
    helper.ret = CASEMENT_RET_SCALAR;
    helper.args[0] = CASEMENT_ARG_SCALAR;

    casement_vm* const vm = casement_vm_create();
    uint64_t result = 0;
    if (casement_vm_add_helper(vm, &helper) == 0 &&
        casement_vm_load(vm, kCode, sizeof kCode) == 0 && casement_vm_compile(vm) == 0) {
        result = enter_program(vm);
    } else {
        std::printf("%s\n", casement_vm_error(vm));
    }
    casement_vm_destroy(vm);
    stop_after_release();
    std::printf("result %d\n", static_cast<int>(result));
    return result == 8 ? 0 : 1;
}
