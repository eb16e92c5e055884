// SPDX-License-Identifier: MIT
#include "engine/types_file.hpp"

#include "elf/elf.hpp"

namespace ebpf::engine {

Result<std::shared_ptr<const btf::Types>> read_types(Bytes bytes) {
    if (!elf::is_elf(bytes)) return btf::Types::parse(bytes);
    TRY_ASSIGN(const elf::File file, elf::File::open(bytes, elf::Purpose::AnySections));
    for (u32 i = 1; i < file.section_count(); ++i) {
        TRY_ASSIGN(const elf::Section section, file.section(i));
        if (section.name == ".BTF") return btf::Types::parse(section.bytes);
    }
    return fail(Errc::ObjectNotFound, {}, "section .BTF");
}

}  // namespace ebpf::engine
