// SPDX-License-Identifier: MIT
//
// What libbpf.h's opaque types are: an opened object, its programs and its maps. Programs stay as
// ir::Program (with their source lines), so that loading explains itself in the programmer's words.
#pragma once

#include <bpf/libbpf.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/load_program.hpp"
#include "engine/object.hpp"
#include "ir/program.hpp"
#include "platform/section_memory.hpp"

struct bpf_map {
    bpf_object* object = nullptr;
    ebpf::ir::MapDef def;
    std::string created_as;  // its name outside of the object: a data section's begins with that
    int fd = -1;
    std::optional<ebpf::Error> bad;  // why the object's description of it makes no sense
    bool reused = false;             // the descriptor came from bpf_map__reuse_fd() or a pin
    bool pinned = false;
    std::string pin_path;
    // A data section's content once somebody asked for it: until the load what the map will be
    // filled with (instead of def.initial), then the map's own pages.
    ebpf::platform::SectionMemory content;

    // A section that is one of several of its kind (".data.x") is known by its own name.
    bool own_section() const {
        return def.is_data_section && def.name.find('.', 1) != def.name.npos;
    }
    // What applications call it.
    const char* name() const { return own_section() ? def.name.c_str() : created_as.c_str(); }
};

struct bpf_program {
    bpf_object* object = nullptr;
    ebpf::ir::Program program;
    std::vector<std::byte> insns;         // as the object has them, maps by index
    std::optional<ebpf::Error> unlinked;  // why there are no instructions, and that in words
    std::string message;
    int fd = -1;
    bool autoload = true;
    ebpf::u32 log_level = 0;
    char* log_buf = nullptr;
    size_t log_size = 0;

    const char* name() const { return program.name.c_str(); }
};

struct bpf_object {
    std::string name;
    bool loaded = false;
    ebpf::spec::Dialect dialect{};  // what the numbers in its programs mean
    ebpf::engine::EngineChoice engine = ebpf::engine::EngineChoice::Default;
    char* log_buf = nullptr;  // of bpf_object_open_opts, for programs without their own
    size_t log_size = 0;
    ebpf::u32 log_level = 0;
    std::string pin_root = "/sys/fs/bpf";
    // Behind pointers: the application keeps bpf_map* and bpf_program*.
    std::vector<std::unique_ptr<bpf_map>> maps;
    std::vector<std::unique_ptr<bpf_program>> programs;
    std::vector<ebpf::engine::InitialSlot> slots;
    std::shared_ptr<const ebpf::btf::Types> btf;  // null without type information
    int target_error = 0;  // errno value: the target's types were needed and could not be read
    int btf_fd = -1;       // while it is loaded
};

namespace ebpf::api {

// Puts a loaded map's pages in the place of its `content`, where the map has pages to be mapped.
void map_content(bpf_map& map);

// bpf_object__open_file() and bpf_object__open_mem() for a dialect; none: as the object shows.
bpf_object* open_file(const char* path, const bpf_object_open_opts* opts,
                      std::optional<spec::Dialect> dialect);
bpf_object* open_mem(const void* bytes, size_t size, const bpf_object_open_opts* opts,
                     std::optional<spec::Dialect> dialect);

}  // namespace ebpf::api
