// SPDX-License-Identifier: MIT
//
// What compiled code expects of a run-time library and a driver has to bring itself: the stack
// protector's two symbols and the load configuration. (memcpy and its kin come from ntoskrnl.)
#include <cstddef>
#include <cstdint>

extern "C" {

[[noreturn]] void KeBugCheckEx(std::uint32_t code, std::uint64_t a, std::uint64_t b,
                               std::uint64_t c, std::uint64_t d);

// Replaced by the loader at each start (the load configuration below); this value is the one that
// Windows looks for to know that nobody has replaced it yet.
std::uint64_t __stack_chk_guard = 0x00002B992DDFA232;

// IMAGE_LOAD_CONFIG_DIRECTORY64 up to the fields that a driver fills ("PE format", Microsoft); the
// linker takes the symbol of this name as the load configuration directory.
struct alignas(8) LoadConfig {
    std::uint32_t size;
    std::byte before_cookie[84];
    std::uint64_t* security_cookie;
    std::byte after_cookie[0x118 - 96];
};
static_assert(offsetof(LoadConfig, security_cookie) == 88 && sizeof(LoadConfig) == 0x118);

extern const LoadConfig _load_config_used;
const LoadConfig _load_config_used = {sizeof(LoadConfig), {}, &__stack_chk_guard, {}};

// DRIVER_OVERRAN_STACK_BUFFER
[[noreturn]] void __stack_chk_fail() {
    KeBugCheckEx(0xF7, 0, __stack_chk_guard, 0, 0);
}

}  // extern "C"
