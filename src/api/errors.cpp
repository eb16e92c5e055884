// SPDX-License-Identifier: MIT
#include "api/errors.hpp"

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <system_error>

#include "platform/host_errno.hpp"
#include "spec/errors.hpp"

namespace ebpf::api {
namespace {

int print_to_stderr(libbpf_print_level level, const char* format, va_list arguments) {
    return level == LIBBPF_DEBUG ? 0 : std::vfprintf(stderr, format, arguments);
}

constinit std::atomic<libbpf_print_fn_t> print_function{&print_to_stderr};

// Texts of libbpf's own numbers, from LIBBPF_ERRNO__LIBELF on.
constexpr const char* kLibbpfTexts[] = {
    "Not a readable ELF file",
    "BPF object format invalid",
    "'version' section incorrect or lost",
    "Endian mismatch",
    "Internal error in libbpf",
    "Relocation failed",
    "Failed to load program",
    "Kernel verifier blocks program loading",
    "Program too big",
    "Incorrect kernel version",
    "Kernel doesn't support this program type",
    "Wrong pid in netlink message",
    "Invalid netlink sequence",
    "Incorrect netlink message parsing",
};
static_assert(std::size(kLibbpfTexts) == __LIBBPF_ERRNO__END - __LIBBPF_ERRNO__START);

}  // namespace

int errno_of(const Error& error) {
    return platform::host_errno(spec::linux_errno(error.code));
}

int negative(int errno_value) {
    errno = errno_value;
    return -errno_value;
}
int negative(const Error& error) {
    return negative(errno_of(error));
}

std::nullptr_t null(int errno_value) {
    errno = errno_value;
    return nullptr;
}
std::nullptr_t null(const Error& error) {
    return null(errno_of(error));
}

int result(const Status& status) {
    return status ? 0 : negative(status.error());
}
int result(const Result<int>& value) {
    return value ? *value : negative(value.error());
}

void print(libbpf_print_level level, const char* format, ...) {
    const libbpf_print_fn_t function = print_function.load(std::memory_order_relaxed);
    if (!function) return;
    const int saved = errno;  // a print function must not change what the caller is told
    va_list arguments;
    va_start(arguments, format);
    function(level, format, arguments);
    va_end(arguments);
    errno = saved;
}

}  // namespace ebpf::api

using namespace ebpf::api;

extern "C" {

libbpf_print_fn_t libbpf_set_print(libbpf_print_fn_t fn) {
    return print_function.exchange(fn);
}

int libbpf_strerror(int err, char* buf, size_t size) {
    if (!buf || size == 0) return negative(EINVAL);
    const int number = err < 0 ? -err : err;
    int written = 0;
    bool known = true;
    if (number < __LIBBPF_ERRNO__START) {
        written = std::snprintf(buf, size, "%s", std::generic_category().message(number).c_str());
    } else if (number < __LIBBPF_ERRNO__END) {
        written = std::snprintf(buf, size, "%s", kLibbpfTexts[number - __LIBBPF_ERRNO__START]);
    } else {
        written = std::snprintf(buf, size, "Unknown libbpf error %d", number);
        known = false;
    }
    if (static_cast<size_t>(written) >= size) return negative(ERANGE);
    return known ? 0 : negative(ENOENT);
}

long libbpf_get_error(const void* ptr) {
    return ptr ? 0 : -errno;
}

__u32 libbpf_major_version(void) {
    return LIBBPF_MAJOR_VERSION;
}
__u32 libbpf_minor_version(void) {
    return LIBBPF_MINOR_VERSION;
}
const char* libbpf_version_string(void) {
    return "v1.1";
}

}  // extern "C"
