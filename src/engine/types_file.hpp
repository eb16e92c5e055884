// SPDX-License-Identifier: MIT
#pragma once

#include <memory>

#include "btf/types.hpp"

namespace ebpf::engine {

// The type information of a file: raw, as in /sys/kernel/btf/vmlinux, or the .BTF section of an ELF
// file for any machine (a kernel image, an object). Errors: those of btf::Types::parse and of
// elf::File; ObjectNotFound for an ELF file without such a section.
Result<std::shared_ptr<const btf::Types>> read_types(Bytes file);

}  // namespace ebpf::engine
