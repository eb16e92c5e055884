// SPDX-License-Identifier: MIT
// Types only: their object's .BTF is what programs are fitted to.
#include "core_target.h"

struct gadget gadget;
struct {
    pair_t pair;
    struct same same;
    struct twin___one twin_one;
    struct twin___two twin_two;
    struct cousin___one cousin_one;
    struct cousin___two cousin_two;
    enum big big;
} all_of_them;
