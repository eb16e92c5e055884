/* SPDX-License-Identifier: MIT */
/* The version of libbpf whose API and ABI this library follows. */
#pragma once

#define LIBBPF_MAJOR_VERSION 1
#define LIBBPF_MINOR_VERSION 1
