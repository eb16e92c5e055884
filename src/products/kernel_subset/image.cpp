// SPDX-License-Identifier: MIT
//
// The image that holds every [K] module, whole, so that CI sees whether the kernel subset compiles,
// links without the C++ runtime and makes an image that keeps the rules for Windows drivers. It is
// not a product: its entry point refuses to be loaded.
#include <cstddef>
#include <cstdint>

extern "C" {

// The stack cookie of -fstack-protector-strong. The loader replaces the value at every start
// because the load configuration below points to it.
extern std::uint64_t __stack_chk_guard;

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

// STATUS_NOT_SUPPORTED
std::int32_t DriverEntry(void* driver_object, void* registry_path);
std::int32_t DriverEntry(void*, void*) {
    return static_cast<std::int32_t>(0xC00000BBu);
}

}  // extern "C"
