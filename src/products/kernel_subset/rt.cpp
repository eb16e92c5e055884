// SPDX-License-Identifier: MIT
//
// What compiled code expects of a run-time library and a driver has to bring itself: the stack
// protector's two symbols. (memcpy and its kin come from ntoskrnl.)
#include <cstdint>

extern "C" {

[[noreturn]] void KeBugCheckEx(std::uint32_t code, std::uint64_t a, std::uint64_t b,
                               std::uint64_t c, std::uint64_t d);

// Replaced by the loader at each start (image.cpp's load configuration); this value is the one that
// Windows looks for to know that nobody has replaced it yet.
std::uint64_t __stack_chk_guard = 0x00002B992DDFA232;

// DRIVER_OVERRAN_STACK_BUFFER
[[noreturn]] void __stack_chk_fail() {
    KeBugCheckEx(0xF7, 0, __stack_chk_guard, 0, 0);
}

}  // extern "C"
