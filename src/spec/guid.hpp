// SPDX-License-Identifier: MIT
#pragma once

#include "base/types.hpp"

namespace ebpf::spec {

// A Windows GUID in its memory layout; {f1832a85-85d5-45b0-98a0-7069d63013b0} is written
// Guid{0xf1832a85, 0x85d5, 0x45b0, {0x98, 0xa0, 0x70, 0x69, 0xd6, 0x30, 0x13, 0xb0}}.
struct Guid {
    u32 data1 = 0;
    u16 data2 = 0;
    u16 data3 = 0;
    u8 data4[8] = {};

    friend constexpr bool operator==(const Guid&, const Guid&) = default;
    constexpr bool is_null() const { return *this == Guid{}; }
};
static_assert(sizeof(Guid) == 16);

// Reads the text form "f1832a85-85d5-45b0-98a0-7069d63013b0"; any other length or character makes
// the null GUID. Used by the tables, whose tests check every row.
constexpr Guid guid(std::string_view text) {
    u8 bytes[16] = {};
    int digits = 0;
    if (text.size() != 36) return {};
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (c != '-') return {};
            continue;
        }
        int value = 0;
        if (c >= '0' && c <= '9') {
            value = c - '0';
        } else if (c >= 'a' && c <= 'f') {
            value = c - 'a' + 10;
        } else {
            return {};
        }
        bytes[digits / 2] = static_cast<u8>(bytes[digits / 2] << 4 | value);
        ++digits;
    }
    Guid g;
    g.data1 = u32{bytes[0]} << 24 | u32{bytes[1]} << 16 | u32{bytes[2]} << 8 | bytes[3];
    g.data2 = static_cast<u16>(bytes[4] << 8 | bytes[5]);
    g.data3 = static_cast<u16>(bytes[6] << 8 | bytes[7]);
    for (int i = 0; i < 8; ++i) g.data4[i] = bytes[8 + i];
    return g;
}

}  // namespace ebpf::spec
