// SPDX-License-Identifier: MIT
//
// From Error to libbpf's conventions: a negative number, with errno set; NULL with errno set; a
// message through the function that libbpf_set_print() chose.
#pragma once

#include <bpf/libbpf.h>

#include "base/error.hpp"

namespace ebpf::api {

// The C library's number of an error (positive).
int errno_of(const Error& error);

// Sets errno; the value to return.
int negative(const Error& error);
int negative(int errno_value);  // positive number in

// Sets errno and returns a null pointer.
std::nullptr_t null(const Error& error);
std::nullptr_t null(int errno_value);

// Status or Result<int> as libbpf functions return it.
int result(const Status& status);
int result(const Result<int>& value);

// Prints through libbpf's print function, prefixed "libbpf: " as its users filter for.
[[gnu::format(printf, 2, 3)]] void print(libbpf_print_level level, const char* format, ...);

}  // namespace ebpf::api
