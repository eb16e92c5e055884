// SPDX-License-Identifier: MIT
//
// The image that holds every [K] module, whole, so that CI sees whether the kernel subset compiles,
// links without the C++ runtime and makes an image that keeps the rules for Windows drivers. It is
// not a product: its entry point refuses to be loaded.
#include <cstdint>

extern "C" {

// STATUS_NOT_SUPPORTED
std::int32_t DriverEntry(void* driver_object, void* registry_path);
std::int32_t DriverEntry(void*, void*) {
    return static_cast<std::int32_t>(0xC00000BBu);
}

}  // extern "C"
