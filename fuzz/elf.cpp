// SPDX-License-Identifier: MIT
// Object files: every section, symbol, name and relocation of a damaged file is read.
#include "elf/elf.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace ebpf;
    const Result<elf::File> file = elf::File::open(std::as_bytes(std::span(data, size)));
    if (!file) return 0;
    // One byte of everything that a reader hands out, so that a wrong span is seen.
    unsigned seen = 0;
    for (u32 i = 0; i < file->section_count() && i < 4096; ++i) {
        const Result<elf::Section> section = file->section(i);
        if (!section) continue;
        if (!section->bytes.empty()) seen += static_cast<unsigned>(section->bytes.back());
        if (!section->name.empty()) seen += static_cast<unsigned char>(section->name.back());
        if (section->type != elf::SectionType::Rel && section->type != elf::SectionType::Rela)
            continue;
        const Result<elf::RelocationTable> table = file->relocations(*section);
        if (!table) continue;
        for (u32 r = 0; r <= table->size() && r < 4096; ++r) {
            if (const Result<elf::Relocation> relocation = table->at(r)) seen += relocation->symbol;
        }
    }
    if (const Result<elf::SymbolTable> symbols = file->symbols()) {
        for (u32 s = 0; s <= symbols->size() && s < 4096; ++s) {
            const Result<elf::Symbol> symbol = symbols->at(s);
            if (!symbol) continue;
            const Result<std::string_view> name = symbols->name(*symbol);
            if (name && !name->empty()) seen += static_cast<unsigned char>(name->back());
        }
    }
    volatile unsigned keep = seen;
    (void)keep;
    return 0;
}
