// SPDX-License-Identifier: MIT
// All in .text, as for embedded virtual machines: `entry` is the entry point, what it calls is not.
#include "bpf.h"

NOINLINE int helper_function(int x) {
    return x * 3;
}

int entry(int* memory) {
    return helper_function(*memory) + 1;
}
