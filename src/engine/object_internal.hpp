// SPDX-License-Identifier: MIT
// What the parts of read_object (object*.cpp) share. The reader works on views of the file; only
// what ends up in Object owns memory.
#pragma once

#include <map>
#include <unordered_map>

#include "btf/core.hpp"
#include "btf/value_fields.hpp"
#include "elf/elf.hpp"
#include "engine/object.hpp"

namespace ebpf::engine::object {

inline constexpr u64 kSlotBytes = 8;
// Limits against files that are small and ask for much: a program may reach every function, so the
// sum over all programs can grow with the square of the file's size.
inline constexpr u64 kMaxLinkedInsns = 8'000'000;
inline constexpr u64 kMaxCopiedMapBytes = u64{256} << 20;
inline constexpr u32 kMaxMaps = 65'536;
inline constexpr u32 kMaxPrograms = 16'384;
inline constexpr u64 kMaxLineBytes = u64{64} << 20;     // text of source lines, over all programs
inline constexpr u64 kMaxMissingBytes = u64{16} << 20;  // text of MissingAnswers, over all programs
inline constexpr std::size_t kMaxName = 1024;           // longer names and source lines are cut

inline constexpr u32 kNone = ~0u;

struct Function {
    u32 section = 0;
    u64 begin = 0;  // bytes in the section
    u64 end = 0;
    std::string_view name;
    bool is_global = false;
    u32 symbol = 0;
    Status status{};  // a function that lies outside its section, say
    u32 btf_type = 0;
};

// A section of code with what other sections say about it, sorted by offset.
struct CodeSection {
    elf::Section section;
    std::vector<elf::Relocation> relocations;
    std::vector<btf::LineRecord> lines;
    std::vector<btf::FunctionRecord> functions;
    std::vector<btf::CoreRecord> core;
};

struct Extern {
    enum class Kind : u8 { Kconfig, Function, Variable };
    Kind kind{};
    bool weak = false;
    u32 map = kNone;  // Kconfig: the map and the place in it
    u32 offset = 0;
    Status status{};
};

// A name as it goes into Object: a copy of bounded length.
inline std::string copy_name(std::string_view name) {
    return std::string(name.substr(0, kMaxName));
}

// An error with the names of the section and the symbol that it is about.
std::string in_words(const Error& error, const elf::File& file, const elf::SymbolTable& symbols);

// What a section name says about the program in it.
struct SectionType {
    spec::ProgramType type{};
    spec::AttachType attach{};
};
// The type by the dialect's own table (spec/), then by the rules for objects from before
// libbpf 1.0.
std::optional<SectionType> section_type(spec::Dialect dialect, std::string_view section,
                                        std::string_view object);

// How a map definition names its inner map; resolved when all maps are known.
struct InnerMap {
    u32 map = 0;
    u32 id = 0;            // its own, 0: none (eBPF for Windows, iproute2)
    u32 inner_id = 0;      // id of the inner map, 0: not given
    i64 inner_index = -1;  // position of the inner map among the object's, -1: not given
};

// The `values` array of a .maps variable: what relocations in it fill.
struct ValuesArray {
    u32 map = 0;
    u64 begin = 0;  // bytes in .maps
    u64 end = 0;
    bool of_programs = false;
};

class Reader {
  public:
    Reader(Bytes file, const ReadOptions& options) : bytes_(file), options_(options) {}
    Result<Object> read();

  private:
    // object.cpp: the tables of the file.
    Status read_sections();
    void sort_section(const elf::Section& section);
    Status read_relocations(const std::vector<elf::Section>& tables);
    Status read_license_and_version();
    Status read_btf();
    void read_extension();
    void find_other_map_sections();
    Status index_map_symbols();
    std::optional<btf::Type> datasec(std::string_view name) const;
    bool has_global_variables(const btf::Type& section) const;
    Status find_functions();
    Status list_programs();
    void set_types();
    void add_section_functions();
    void drop_called_entries();

    // object_sections.cpp
    Status find_dialect();

    // object_maps.cpp
    Status read_maps();
    Status read_legacy_maps();
    Status read_legacy_section(const elf::Section& section);
    Status read_data_sections();
    std::vector<std::byte> placed_types() const;
    Result<u32> add_map(ir::MapDef map, Status status, u32 section, u64 offset);
    Status set_map_type(ir::MapDef& map, u64 number) const;

    // object_btf_maps.cpp
    Status read_btf_maps();
    Status read_btf_map(const btf::Type& definition, u32 index, bool is_inner);
    Status read_btf_member(const btf::Type& definition, const btf::Member& member, u32 index);
    Status read_btf_values(const btf::Member& member, u32 index, bool is_inner);
    Result<u64> encoded_number(u32 type) const;
    Status find_special_fields(ir::MapDef& map);
    Status read_initial_slots();
    void finish_initial_slots();
    void resolve_inner_maps();

    // object_externs.cpp
    void read_externs();
    void read_kconfig(const btf::Type& datasec);

    // object_link.cpp
    struct Linking;
    Result<ir::Program> link(u32 entry);
    Status append(Linking& linking, u32 function);
    Status relocate(Linking& linking, u32 insn, const elf::Relocation& relocation, u64 place);
    Status relocate_wide(Linking& linking, u32 insn, const elf::Relocation& relocation,
                         const elf::Symbol& symbol, Where where);
    Status relocate_call(Linking& linking, u32 insn, const elf::Relocation& relocation,
                         const elf::Symbol& symbol, Where where);
    Status relocate_extern(Linking& linking, u32 insn, const elf::Symbol& symbol, Where where);
    Status check_unrelocated(Linking& linking, u32 insn, const Function& function, u64 slot);
    Status decode_function(Linking& linking, const Function& function);
    Status apply_core(Linking& linking, const btf::CoreRecord& record, Where where);
    Result<bool> answer_core(isa::Insn& insn, const btf::CoreRecord& record);
    Status refer(Linking& linking, u32 insn, u32 section, i64 offset, Where where);
    void add_lines(Linking& linking, ir::Program& program);
    Status copy_maps(ir::Program& program);
    u32 function_at(u32 section, i64 offset) const;

    std::string_view symbol_name(const elf::Symbol& symbol) const;  // "" when damaged
    void warn(std::string text);

    Bytes bytes_;
    const ReadOptions& options_;
    elf::File file_;
    elf::SymbolTable symbols_;
    Object object_;

    std::map<u32, CodeSection> code_;         // by section index
    std::vector<elf::Section> data_;          // .data, .rodata, .bss and their like
    std::vector<elf::Section> map_sections_;  // maps, maps/..., and those of these that are:
    std::vector<elf::Section> maybe_maps_;    // .../maps
    std::unordered_map<u32, std::map<u64, std::string_view>> map_symbols_;  // of each of those
    std::optional<btf::CoreResolver> core_;                                 // with a target
    std::unordered_map<std::string_view, u32> datasecs_;        // by name, in object_.btf
    std::unordered_map<u32, btf::ValueFields> special_fields_;  // by type of the value
    std::optional<elf::Section> btf_maps_;                      // .maps
    std::vector<elf::Relocation> btf_map_relocations_;
    std::vector<InnerMap> inner_maps_;
    std::vector<ValuesArray> values_arrays_;
    std::optional<elf::Section> btf_, btf_ext_, license_, version_;

    std::vector<Function> functions_;                       // sorted by section and begin
    std::vector<u32> entries_;                              // index of each program's function
    std::map<std::pair<u32, u64>, u32> map_at_;             // section, offset -> map
    std::unordered_map<u32, u32> data_map_;                 // section -> map
    std::unordered_map<std::string_view, Extern> externs_;  // names are in object_.btf
    std::vector<bool> called_;  // by function: called or taken the address of by another
    bool only_text_ = false;
    u64 linked_insns_ = 0;
    u64 map_bytes_ = 0;  // of one copy of the maps
    u64 copied_map_bytes_ = 0;
    u64 line_bytes_ = 0;
    u64 missing_bytes_ = 0;
    std::string core_detail_;  // of the last error of a CO-RE relocation: the types' names
};

}  // namespace ebpf::engine::object
