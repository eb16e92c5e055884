// SPDX-License-Identifier: MIT
//
// Reading ELF object files over a byte span: 64-bit, little-endian, machine EM_BPF (or none, which
// clang before 3.9 wrote). Nothing is copied and nothing is read before it is asked for; every
// offset, index and size of the file is checked against the span where it is used, and an error
// names the section or symbol by its index. No field of the file sizes an allocation: there are
// none here.
//
// Layouts and numbers: System V ABI, chapters 4 and 5 ("Object Files"); relocation types:
// https://docs.kernel.org/bpf/llvm_reloc.html. A writer is not part of this yet.
#pragma once

#include "base/byte_reader.hpp"

namespace ebpf::elf {

inline constexpr u16 kMachineBpf = 247;
inline constexpr u64 kMaxName = 4096;  // bytes of a name

enum class SectionType : u32 {
    Null = 0,
    Progbits = 1,
    Symtab = 2,
    Strtab = 3,
    Rela = 4,
    Nobits = 8,
    Rel = 9,
};

inline constexpr u64 kFlagWrite = 1;
inline constexpr u64 kFlagAlloc = 2;
inline constexpr u64 kFlagExec = 4;

struct Section {
    u32 index = 0;
    std::string_view name;
    SectionType type{};  // any value; the named ones are those that matter here
    u64 flags = 0;
    u64 address = 0;
    u64 offset = 0;  // in the file
    u64 size = 0;    // in memory; a Nobits section has no bytes in the file
    u32 link = 0;
    u32 info = 0;
    u64 entry_size = 0;
    Bytes bytes{};  // size bytes of the file, or empty for Nobits and Null

    bool is_code() const { return type == SectionType::Progbits && (flags & kFlagExec) != 0; }
};

enum class SymbolType : u8 { None = 0, Object = 1, Function = 2, Section = 3, File = 4 };
enum class Binding : u8 { Local = 0, Global = 1, Weak = 2 };

// Section indices with a meaning of their own.
inline constexpr u32 kUndefined = 0;
inline constexpr u32 kFirstReserved = 0xff00;
inline constexpr u32 kAbsolute = 0xfff1;
inline constexpr u32 kCommon = 0xfff2;

struct Symbol {
    u32 index = 0;
    u32 name_offset = 0;  // SymbolTable::name() reads it: a damaged name spoils only its symbol
    u64 value = 0;        // in a relocatable file: offset in its section
    u64 size = 0;
    SymbolType type{};
    Binding binding{};
    bool hidden = false;  // visibility internal or hidden: not for other files
    u32 section = kUndefined;

    bool is_defined() const { return section != kUndefined && section < kFirstReserved; }
};

enum class RelocationType : u32 {
    None = 0,
    Wide64 = 1,    // R_BPF_64_64: the immediate of a two-slot instruction
    Abs64 = 2,     // R_BPF_64_ABS64: 8 bytes of data
    Abs32 = 3,     // R_BPF_64_ABS32: 4 bytes of data
    NoDyld32 = 4,  // R_BPF_64_NODYLD32: 4 bytes, for .BTF and .BTF.ext
    Call32 = 10,   // R_BPF_64_32: the displacement of a call
};

struct Relocation {
    u64 offset = 0;  // in the section that the table is for
    u32 symbol = 0;  // index in the symbol table
    RelocationType type{};
    bool has_addend = false;  // false: the addend stands at the place itself (SHT_REL)
    i64 addend = 0;
};

// The symbols of a file; a view.
class SymbolTable {
  public:
    SymbolTable() = default;
    SymbolTable(Bytes entries, Bytes strings) : entries_(entries), strings_(strings) {}

    u32 size() const { return static_cast<u32>(entries_.size() / kEntrySize); }
    // OutOfBounds when there is no such symbol; Unsupported for extended section indices.
    Result<Symbol> at(u32 index) const;
    // OutOfBounds or Truncated when the name is not a string of the table.
    Result<std::string_view> name(const Symbol& symbol) const;

    static constexpr u64 kEntrySize = 24;

  private:
    Bytes entries_{};
    Bytes strings_{};
};

// The relocations for one section; a view.
class RelocationTable {
  public:
    RelocationTable(u32 section, Bytes entries, bool has_addend)
        : section_(section), entries_(entries), has_addend_(has_addend) {}

    u32 section() const { return section_; }  // index of the table's own section
    u32 size() const { return static_cast<u32>(entries_.size() / entry_size()); }
    Result<Relocation> at(u32 index) const;

  private:
    u64 entry_size() const { return has_addend_ ? 24 : 16; }

    u32 section_;
    Bytes entries_;
    bool has_addend_;
};

// Whether a file begins as ELF files do.
bool is_elf(Bytes file);

enum class Purpose : u8 {
    BpfObject,
    AnySections,  // of a kernel, say: any machine, linked or not
};

class File {
  public:
    // Reads the header and where the section table is. Errors: Truncated, BadMagic (not ELF),
    // Unsupported (32-bit, big-endian, and for an object other machines and what is not
    // relocatable), BadFormat, OutOfBounds.
    static Result<File> open(Bytes file, Purpose purpose = Purpose::BpfObject);

    Bytes bytes() const { return file_; }
    u32 section_count() const { return section_count_; }
    // The section with its name and bytes, all checked to lie in the file.
    Result<Section> section(u32 index) const;
    // The symbol table (the first); an empty one when the file has none.
    Result<SymbolTable> symbols() const;
    // The table in section `table`, which has the type Rel or Rela; the section that it is for is
    // `table.info`.
    Result<RelocationTable> relocations(const Section& table) const;

  private:
    Result<Section> header_of(u32 index) const;  // without name and bytes
    Result<Bytes> string_table(u32 index) const;

    Bytes file_{};
    u64 table_offset_ = 0;
    u64 entry_size_ = 0;
    u32 section_count_ = 0;
    u32 names_ = 0;  // index of the section with the sections' names
};

}  // namespace ebpf::elf
