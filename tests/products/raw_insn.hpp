// SPDX-License-Identifier: MIT
// One slot of byte code as embedders of casement/vm.h hand it over.
#pragma once

#include <cstdint>

struct Insn {
    uint8_t code;
    uint8_t regs;
    int16_t off;
    int32_t imm;
};
