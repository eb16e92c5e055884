// SPDX-License-Identifier: MIT
//
// From an object file to programs that stand on their own: sections, maps and functions are found,
// each entry point is put together with the functions that it reaches, and every reference becomes
// an index. What comes out holds no pointer into the file.
//
// A program that cannot be linked does not spoil the others: it is listed with its error.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "btf/types.hpp"
#include "ir/program.hpp"

namespace ebpf::engine {

struct ReadOptions {
    // File name, for messages and Program::object. Its last part also decides between XDP and TC
    // for the sections of old Cilium objects (object_sections.cpp).
    std::string name;
    // Unset: found from section names, type information and map records; AmbiguousDialect when the
    // object fits both and would mean different things.
    std::optional<spec::Dialect> dialect;
    // The type of programs whose section name says nothing; unset: UnknownSection for these.
    std::optional<spec::ProgramType> default_type;
    // What the known constants of .kconfig are (LINUX_KERNEL_VERSION), as major << 16 | minor << 8.
    u32 kernel_version = 6u << 16 | 12u << 8;
    // Whether .kconfig variables whose values are not known here may stay open (the verifier takes
    // any value). A loader must not set this: it has no values to give to the program.
    bool unknown_kconfig = false;
    // Types of the kernel that the programs are for: what their CO-RE relocations ask about. Null:
    // the object's own types answer. Needed only while the object is read.
    const btf::Types* target = nullptr;
    // Only programs of this section and of this name are put together, the others have no
    // instructions; empty: all. Large objects take most of their time for what nobody asked for.
    std::string section, program;

    bool wants(std::string_view its_section, std::string_view its_name) const {
        return (section.empty() || section == its_section) &&
               (program.empty() || program == its_name);
    }
};

struct ObjectProgram {
    std::string name;  // of the function, or of the section where old compilers wrote none
    std::string section;
    spec::ProgramType type{};
    spec::AttachType attach{};
    Result<ir::Program> program{};
    std::string message;  // when there is no program: the error in words, with names
};

// An entry that a map has from the start: `.values = { [key] = &target }`.
struct InitialSlot {
    u32 map = 0;  // index into Object::maps
    u32 key = 0;
    bool is_program = false;
    u32 target = 0;  // index into Object::programs or Object::maps
};

struct Object {
    std::string name;
    spec::Dialect dialect{};
    std::string license;
    u32 version = 0;                 // of the kernel, from a `version` section; 0 when absent
    std::vector<ir::MapDef> maps;    // every program's table is a copy of this
    std::vector<Status> map_status;  // one per map; a program that uses a bad map has its error
    std::vector<ObjectProgram> programs;  // by section, then by offset
    std::vector<InitialSlot> slots;
    std::shared_ptr<const btf::Types> btf;  // null without type information
    bool has_core = false;                  // CO-RE relocations, so that a target matters
    std::vector<std::string> warnings;      // what was left out, e.g. damaged line information

    // Section and program name may be empty: the first that fits, or nullptr.
    const ObjectProgram* find(std::string_view section, std::string_view program) const;
};

// Errors: those of elf::File; BadFormat and Truncated for damaged tables; TooLarge when the linked
// programs together exceed a limit; AmbiguousDialect. Work and memory are bounded by the file's
// size and fixed limits.
Result<Object> read_object(Bytes file, const ReadOptions& options);

// An error of read_object or of one of its programs in words, with the names of sections and
// symbols.
std::string describe(const Error& error, Bytes file);

}  // namespace ebpf::engine
