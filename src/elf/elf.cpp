// SPDX-License-Identifier: MIT
#include "elf/elf.hpp"

#include <algorithm>
#include <array>
#include <limits>

namespace ebpf::elf {
namespace {

// Structures of the file (System V ABI, figures 4-3, 4-8, 4-16, 4-21), all little-endian.
struct FileHeader {
    std::array<u8, 16> ident;
    u16 type;
    u16 machine;
    u32 version;
    u64 entry;
    u64 phoff;
    u64 shoff;
    u32 flags;
    u16 ehsize;
    u16 phentsize;
    u16 phnum;
    u16 shentsize;
    u16 shnum;
    u16 shstrndx;
};
static_assert(sizeof(FileHeader) == 64);

struct SectionHeader {
    u32 name;
    u32 type;
    u64 flags;
    u64 addr;
    u64 offset;
    u64 size;
    u32 link;
    u32 info;
    u64 addralign;
    u64 entsize;
};
static_assert(sizeof(SectionHeader) == 64);

struct SymbolEntry {
    u32 name;
    u8 info;
    u8 other;
    u16 shndx;
    u64 value;
    u64 size;
};
static_assert(sizeof(SymbolEntry) == SymbolTable::kEntrySize);

constexpr u16 kTypeRelocatable = 1;
constexpr u16 kMachineNone = 0;
constexpr u8 kClass64 = 2;
constexpr u8 kLittleEndian = 1;
constexpr u32 kExtendedIndex = 0xffff;  // SHN_XINDEX

Result<std::string_view> string_at(Bytes strings, u32 offset, Where where, const char* what) {
    if (offset >= strings.size()) {
        // An empty table still holds the empty string at 0.
        if (offset == 0) return std::string_view{};
        return fail(Errc::OutOfBounds, where, what, offset);
    }
    // Bounded, so that many names in one endless string do not cost the square of its length.
    const Bytes rest =
        strings.subspan(offset, std::min<u64>(kMaxName + 1, strings.size() - offset));
    const auto* begin = reinterpret_cast<const char*>(rest.data());
    const void* end = std::memchr(begin, 0, rest.size());
    if (end == nullptr) {
        const bool cut = rest.size() <= kMaxName;
        return fail(cut ? Errc::Truncated : Errc::TooLarge, where, what, offset);
    }
    return std::string_view(begin, static_cast<const char*>(end));
}

Status check_identity(const FileHeader& header, Purpose purpose) {
    if (!is_elf(std::as_bytes(std::span(header.ident)))) {
        return fail(Errc::BadMagic, at_offset(0), "ELF identification");
    }
    if (header.ident[4] != kClass64) {
        return fail(Errc::Unsupported, at_offset(4), "ELF class other than 64-bit",
                    header.ident[4]);
    }
    if (header.ident[5] != kLittleEndian) {
        return fail(Errc::Unsupported, at_offset(5), "byte order other than little-endian",
                    header.ident[5]);
    }
    if (purpose == Purpose::AnySections) return {};
    if (header.type != kTypeRelocatable) {
        return fail(Errc::Unsupported, at_offset(16), "ELF type other than relocatable",
                    header.type);
    }
    if (header.machine != kMachineBpf && header.machine != kMachineNone) {
        return fail(Errc::Unsupported, at_offset(18), "ELF machine other than EM_BPF",
                    header.machine);
    }
    return {};
}

}  // namespace

Result<Symbol> SymbolTable::at(u32 index) const {
    if (index >= size()) return fail(Errc::OutOfBounds, at_symbol(index), "symbol index", index);
    SymbolEntry entry;
    std::memcpy(&entry, entries_.data() + index * kEntrySize, sizeof entry);
    if (entry.shndx == kExtendedIndex) {
        return fail(Errc::Unsupported, at_symbol(index), "extended section index");
    }
    return Symbol{.index = index,
                  .name_offset = entry.name,
                  .value = entry.value,
                  .size = entry.size,
                  .type = static_cast<SymbolType>(entry.info & 0xf),
                  .binding = static_cast<Binding>(entry.info >> 4),
                  .hidden = (entry.other & 3) == 1 || (entry.other & 3) == 2,
                  .section = entry.shndx};
}

Result<std::string_view> SymbolTable::name(const Symbol& symbol) const {
    return string_at(strings_, symbol.name_offset, at_symbol(symbol.index), "symbol name");
}

Result<Relocation> RelocationTable::at(u32 index) const {
    if (index >= size()) return fail(Errc::OutOfBounds, at_section(section_), "relocation", index);
    const std::byte* entry = entries_.data() + index * entry_size();
    const u64 info = load_le<u64>(entry + 8);
    return Relocation{.offset = load_le<u64>(entry),
                      .symbol = static_cast<u32>(info >> 32),
                      .type = static_cast<RelocationType>(info & 0xffff'ffff),
                      .has_addend = has_addend_,
                      .addend = has_addend_ ? load_le<i64>(entry + 16) : 0};
}

bool is_elf(Bytes file) {
    constexpr std::array<u8, 4> kMagic{0x7f, 'E', 'L', 'F'};
    return file.size() >= kMagic.size() &&
           std::memcmp(file.data(), kMagic.data(), kMagic.size()) == 0;
}

Result<File> File::open(Bytes bytes, Purpose purpose) {
    ByteReader reader(bytes);
    TRY_ASSIGN(const FileHeader header, reader.read<FileHeader>("ELF header"));
    TRY(check_identity(header, purpose));

    File file;
    file.file_ = bytes;
    file.table_offset_ = header.shoff;
    if (header.shoff == 0) return file;  // no sections at all: valid, and useless
    file.entry_size_ = header.shentsize;
    if (header.shentsize < sizeof(SectionHeader)) {
        return fail(Errc::BadFormat, at_offset(58), "size of a section header", header.shentsize);
    }
    // With 0xff00 sections or more the counts stand in section 0 (System V ABI, "Sections").
    TRY(slice(bytes, header.shoff, sizeof(SectionHeader), "section headers"));
    SectionHeader first;
    std::memcpy(&first, bytes.data() + header.shoff, sizeof first);
    const u64 count = header.shnum != 0 ? header.shnum : first.size;
    if (count > (bytes.size() - header.shoff) / header.shentsize) {
        return fail(Errc::Truncated, at_offset(header.shoff), "section headers", count);
    }
    file.section_count_ = static_cast<u32>(count);
    file.names_ = header.shstrndx == kExtendedIndex ? first.link : header.shstrndx;
    if (file.names_ >= file.section_count_) {
        return fail(Errc::OutOfBounds, at_offset(62), "index of the section names", file.names_);
    }
    return file;
}

Result<Section> File::header_of(u32 index) const {
    if (index >= section_count_) return fail(Errc::OutOfBounds, {}, "section index", index);
    SectionHeader raw;
    std::memcpy(&raw, file_.data() + table_offset_ + index * entry_size_, sizeof raw);
    return Section{.index = index,
                   .type = static_cast<SectionType>(raw.type),
                   .flags = raw.flags,
                   .address = raw.addr,
                   .offset = raw.offset,
                   .size = raw.size,
                   .link = raw.link,
                   .info = raw.info,
                   .entry_size = raw.entsize};
}

Result<Section> File::section(u32 index) const {
    TRY_ASSIGN(Section section, header_of(index));
    if (names_ != 0) {
        TRY_ASSIGN(const Bytes names, string_table(names_));
        const u32 name = load_le<u32>(file_.data() + table_offset_ + index * entry_size_);
        TRY_ASSIGN(section.name, string_at(names, name, at_section(index), "section name"));
    }
    if (section.type != SectionType::Nobits && section.type != SectionType::Null) {
        const auto bytes = slice(file_, section.offset, section.size);
        if (!bytes) return fail(Errc::Truncated, at_section(index), "section bytes", section.size);
        section.bytes = *bytes;
    }
    return section;
}

Result<Bytes> File::string_table(u32 index) const {
    TRY_ASSIGN(const Section section, header_of(index));
    if (section.type != SectionType::Strtab) {
        return fail(Errc::BadFormat, at_section(index), "not a string table",
                    static_cast<u32>(section.type));
    }
    const auto bytes = slice(file_, section.offset, section.size);
    if (!bytes) return fail(Errc::Truncated, at_section(index), "string table", section.size);
    return *bytes;
}

Result<SymbolTable> File::symbols() const {
    for (u32 i = 1; i < section_count_; ++i) {
        TRY_ASSIGN(const Section header, header_of(i));
        if (header.type != SectionType::Symtab) continue;
        const auto bytes = slice(file_, header.offset, header.size);
        if (!bytes) return fail(Errc::Truncated, at_section(i), "symbol table", header.size);
        if (header.entry_size != SymbolTable::kEntrySize) {
            return fail(Errc::BadFormat, at_section(i), "size of a symbol", header.entry_size);
        }
        if (header.size / SymbolTable::kEntrySize > std::numeric_limits<u32>::max()) {
            return fail(Errc::TooLarge, at_section(i), "symbol table", header.size);
        }
        TRY_ASSIGN(const Bytes strings, string_table(header.link));
        return SymbolTable(*bytes, strings);
    }
    return SymbolTable();
}

Result<RelocationTable> File::relocations(const Section& table) const {
    const bool has_addend = table.type == SectionType::Rela;
    if (!has_addend && table.type != SectionType::Rel) {
        return fail(Errc::BadFormat, at_section(table.index), "not a relocation table",
                    static_cast<u32>(table.type));
    }
    const u64 size = has_addend ? 24 : 16;
    if (table.entry_size != size || table.size % size != 0) {
        return fail(Errc::BadFormat, at_section(table.index), "size of a relocation",
                    table.entry_size);
    }
    if (table.size / size > std::numeric_limits<u32>::max()) {
        return fail(Errc::TooLarge, at_section(table.index), "relocation table", table.size);
    }
    return RelocationTable(table.index, table.bytes, has_addend);
}

}  // namespace ebpf::elf
