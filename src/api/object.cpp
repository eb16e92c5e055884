// SPDX-License-Identifier: MIT
//
// bpf_object__*: opening is the client's part of the main path (engine/object.hpp reads the file);
// loading creates the maps through the door and hands each program to the compiling service.
#include "api/object.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "api/bpf.hpp"
#include "api/errors.hpp"
#include "api/opts.hpp"
#include "api/prog_load.hpp"
#include "engine/object.hpp"
#include "engine/program_btf.hpp"
#include "engine/report_text.hpp"
#include "engine/types_file.hpp"
#include "platform/file_content.hpp"
#include "spec/attach_types.hpp"
#include "spec/map_types.hpp"
#include "spec/program_types.hpp"

using namespace ebpf;
using api::negative;

namespace {

constexpr size_t kMaxFile = size_t{512} << 20;

// --- Opening -------------------------------------------------------------------------------------

// The file's name without folders and without what follows the first dot, as libbpf names objects.
std::string name_of_path(std::string_view path) {
    path.remove_prefix(path.find_last_of('/') + 1);
    return std::string(path.substr(0, path.find('.')));
}

// libbpf's own numbers for files that are no objects, errno's for everything else.
int open_error(const Error& error) {
    switch (error.code) {
        case Errc::BadMagic:
            return LIBBPF_ERRNO__FORMAT;
        case Errc::BadFormat:
        case Errc::Truncated:
        case Errc::OutOfBounds:
            return LIBBPF_ERRNO__FORMAT;
        default:
            return api::errno_of(error);
    }
}

std::string pin_path_of(const bpf_object& object, const ir::MapDef& map) {
    return map.pinning == ir::Pinning::ByName ? object.pin_root + "/" + map.name : std::string();
}

// As libbpf names maps: a data section's name begins with as much of the object's as the kernel has
// room for.
std::string created_as(const bpf_map& map) {
    if (!map.def.is_data_section) return map.def.name;
    constexpr size_t kRoom = BPF_OBJ_NAME_LEN - 1;
    const std::string section = map.def.name.substr(0, kRoom);
    const size_t taken = std::max(std::strlen(".rodata"), section.size());
    std::string name =
        map.own_section() ? section : map.object->name.substr(0, kRoom - taken) + section;
    for (char& c : name) {
        const bool kept = std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.';
        if (!kept) c = '_';
    }
    return name;
}

std::unique_ptr<bpf_program> make_program(bpf_object& object, const engine::ObjectProgram& from) {
    auto program = std::make_unique<bpf_program>();
    program->object = &object;
    program->log_level = object.log_level;
    if (from.program) {
        program->program = *from.program;
        if (auto insns = ir::encode_program(program->program)) program->insns = std::move(*insns);
    } else {
        // Listed, so that the application can leave it out; loading it fails with this message.
        program->unlinked = from.program.error();
        program->message = from.message;
    }
    program->program.name = from.name;
    program->program.section = from.section;
    program->program.type = from.type;
    program->program.attach = from.attach;
    return program;
}

// The types of bpf_object_open_opts::btf_custom_path, null without one; an errno value when it
// cannot be read.
std::expected<std::shared_ptr<const btf::Types>, int> read_target(const char* path) {
    if (!path) return nullptr;
    const auto file = platform::FileContent::open(path, kMaxFile);
    const auto types = file ? engine::read_types(file->bytes()) : fail(Errc::IoError);
    if (types) return *types;
    const int error = file ? api::errno_of(types.error()) : file.error();
    api::print(LIBBPF_WARN, "libbpf: failed to parse target BTF %s: %s\n", path,
               file ? engine::error_text(nullptr, types.error()).c_str() : std::strerror(error));
    return std::unexpected(error);
}

bpf_object* open_bytes(Bytes file, const std::string& name, const bpf_object_open_opts& opts,
                       std::optional<spec::Dialect> dialect) {
    const auto target = read_target(opts.btf_custom_path);
    engine::ReadOptions options{.name = name, .dialect = dialect, .default_type = {}};
    if (target) options.target = target->get();
    const auto read = engine::read_object(file, options);
    if (!read) {
        api::print(LIBBPF_WARN, "libbpf: %s: %s\n", name.c_str(),
                   engine::describe(read.error(), file).c_str());
        return api::null(open_error(read.error()));
    }
    for (const std::string& warning : read->warnings) {
        api::print(LIBBPF_WARN, "libbpf: %s: %s\n", name.c_str(), warning.c_str());
    }
    auto object = std::make_unique<bpf_object>();
    object->name = name;
    object->dialect = read->dialect;
    object->log_buf = opts.kernel_log_buf;
    object->log_size = opts.kernel_log_size;
    object->log_level = opts.kernel_log_level;
    if (opts.pin_root_path) object->pin_root = opts.pin_root_path;
    for (const ir::MapDef& def : read->maps) {
        auto map = std::make_unique<bpf_map>();
        map->object = object.get();
        map->def = def;
        map->created_as = created_as(*map);
        map->pin_path = pin_path_of(*object, def);
        object->maps.push_back(std::move(map));
    }
    for (size_t i = 0; i < read->map_status.size() && i < object->maps.size(); ++i) {
        if (!read->map_status[i]) object->maps[i]->bad = read->map_status[i].error();
    }
    object->slots = read->slots;
    object->btf = read->btf;
    // As libbpf, which looks at the file when it is needed, and that is at load.
    if (!target && read->has_core) object->target_error = target.error();
    for (const engine::ObjectProgram& program : read->programs) {
        object->programs.push_back(make_program(*object, program));
    }
    return object.release();
}

bool valid_open(const bpf_object_open_opts* opts) {
    if (!api::valid(opts)) return false;
    const bpf_object_open_opts o = api::known(opts);
    return o.kernel_log_size <= UINT32_MAX &&
           (o.kernel_log_buf != nullptr) == (o.kernel_log_size != 0);
}

// --- Loading -------------------------------------------------------------------------------------

// A map of the definition, with its types where the map type takes them. As libbpf, without them
// when its key is of a type that Linux refuses; not when the value has members that only types
// tell.
int create(const bpf_map& map, bpf_map_create_opts& opts) {
    const bpf_object& object = *map.object;
    const ir::MapDef& def = map.def;
    opts.map_flags = def.flags;
    opts.map_extra = def.extra;
    if (object.btf_fd >= 0 && def.value_type != 0 &&
        spec::info(def.type).btf != spec::BtfRule::Refused) {
        opts.btf_fd = static_cast<u32>(object.btf_fd);
        opts.btf_key_type_id = def.key_type;
        opts.btf_value_type_id = def.value_type;
    }
    const auto type = static_cast<bpf_map_type>(spec::number(spec::Dialect::Linux, def.type));
    const auto make = [&] {
        return bpf_map_create(type, map.created_as.c_str(), def.key_size, def.value_size,
                              def.max_entries, &opts);
    };
    const int fd = make();
    if (fd >= 0 || opts.btf_value_type_id == 0 || def.spin_lock_offset >= 0 ||
        def.timer_offset >= 0) {
        return fd;
    }
    opts.btf_fd = opts.btf_key_type_id = opts.btf_value_type_id = 0;
    return make();
}

int create(bpf_map& map) {
    const ir::MapDef& def = map.def;
    LIBBPF_OPTS(bpf_map_create_opts, opts);
    if (def.inner != ir::MapDef::kNoInner) {
        // The template exists for as long as the outer map is being made.
        bpf_map& inner = *map.object->maps[static_cast<size_t>(def.inner)];
        LIBBPF_OPTS(bpf_map_create_opts, inner_opts);
        const int fd = create(inner, inner_opts);
        if (fd < 0) return fd;
        opts.inner_map_fd = static_cast<u32>(fd);
    }
    const int fd = create(map, opts);
    const int saved = errno;
    if (opts.inner_map_fd) api::close_descriptor(static_cast<int>(opts.inner_map_fd));
    errno = saved;
    return fd;
}

// A data section's only element gets the content that the object (or the application, also in
// place) gave it; without one it is zero as it is.
int fill(bpf_map& map) {
    const u32 key = 0;
    std::vector<std::byte>& initial = map.def.initial;
    if (map.content) initial.assign(map.content.data(), map.content.data() + map.def.value_size);
    int status = 0;
    if (!initial.empty()) status = bpf_map_update_elem(map.fd, &key, initial.data(), 0);
    if (status == 0 && map.def.read_only) status = bpf_map_freeze(map.fd);
    if (status == 0 && map.content) api::map_content(map);
    return status;
}

// True when the pinned map is what the object describes.
bool same_shape(const bpf_map_info& info, const bpf_map& map) {
    return info.type == static_cast<u32>(bpf_map__type(&map)) &&
           info.key_size == map.def.key_size && info.value_size == map.def.value_size &&
           info.max_entries == map.def.max_entries;
}

// Takes a map that is pinned already under the map's path; 1 when there was one.
int reuse_pinned(bpf_map& map) {
    const int fd = bpf_obj_get(map.pin_path.c_str());
    if (fd == -ENOENT) return 0;
    if (fd < 0) return fd;
    bpf_map_info info{};
    __u32 size = sizeof info;
    int status = bpf_obj_get_info_by_fd(fd, &info, &size);
    if (status == 0 && !same_shape(info, map)) {
        api::print(LIBBPF_WARN, "libbpf: map '%s': the map pinned at %s is another one\n",
                   map.name(), map.pin_path.c_str());
        status = -EINVAL;
    }
    if (status < 0) {
        api::close_descriptor(fd);
        return negative(-status);
    }
    map.fd = fd;
    map.reused = map.pinned = true;
    return 1;
}

// As libbpf does it: no number of entries means all CPUs. In the dialect of eBPF for Windows there
// is neither key nor value, and the number is the bytes of a ring; here who opens the perf buffer
// says how large the rings are.
void size_perf_array(ir::MapDef& def) {
    const bool windows = def.key_size == 0 && def.value_size == 0;
    if (windows) def.key_size = def.value_size = sizeof(u32);
    if (windows || def.max_entries == 0) {
        def.max_entries = api::session() ? api::session()->possible_cpus : 1;
    }
}

int create_map(bpf_map& map) {
    if (map.fd >= 0) return 0;  // bpf_map__reuse_fd()
    if (map.bad) return negative(*map.bad);
    if (!map.pin_path.empty()) {
        if (const int reused = reuse_pinned(map); reused != 0) {
            if (reused > 0 && map.content) api::map_content(map);
            return reused < 0 ? reused : 0;
        }
    }
    if (map.def.type == spec::MapType::PerfEventArray) size_perf_array(map.def);
    const int fd = create(map);
    if (fd < 0) {
        api::print(LIBBPF_WARN, "libbpf: map '%s': failed to create: %s(%d)\n", map.name(),
                   std::strerror(-fd), fd);
        return fd;
    }
    map.fd = fd;
    int status = map.def.is_data_section ? fill(map) : 0;
    if (status == 0 && !map.pin_path.empty()) status = bpf_map__pin(&map, nullptr);
    return status;
}

bool used(const bpf_object& object, size_t map) {
    for (const auto& program : object.programs) {
        if (!program->autoload) continue;
        for (const isa::Insn& insn : program->program.insns) {
            const bool refers =
                insn.form == isa::Form::Wide && (insn.wide() == isa::WideKind::MapIndex ||
                                                 insn.wide() == isa::WideKind::MapIndexValue);
            if (refers && insn.map_index() == map) return true;
        }
    }
    return false;
}

// A map that could not be read matters only to who uses it.
int create_maps(bpf_object& object) {
    for (size_t i = 0; i < object.maps.size(); ++i) {
        if (object.maps[i]->bad && !used(object, i)) continue;
        if (const int status = create_map(*object.maps[i]); status < 0) return status;
    }
    return 0;
}

// Where the log goes: the program's buffer, the object's, or none (then it is printed on failure).
void deliver_log(const bpf_program& program, const std::string& log, bool failed) {
    char* const buffer = program.log_buf ? program.log_buf : program.object->log_buf;
    const size_t size = program.log_buf ? program.log_size : program.object->log_size;
    if (buffer && (failed || program.log_level)) {
        (void)api::write_log(buffer, static_cast<u32>(size), log, program.log_level);
    } else if (failed && !buffer) {
        api::print(LIBBPF_WARN,
                   "libbpf: prog '%s': -- BEGIN PROG LOAD LOG --\n%s-- END PROG LOAD LOG --\n",
                   program.name(), log.c_str());
    }
}

// Where the compiling service is elsewhere the program goes there as PROG_LOAD, with the maps in
// fd_array, which its instructions index.
Result<int> load_elsewhere(api::Session& session, const bpf_program& program, std::string& log) {
    if (program.unlinked) {
        log = program.message + "\n";
        return std::unexpected(*program.unlinked);
    }
    std::vector<int> fds;
    fds.reserve(program.object->maps.size());
    for (const auto& map : program.object->maps) fds.push_back(map->fd);
    const ir::Program& what = program.program;
    spec::ProgLoadAttr attr{.prog_type = static_cast<u32>(spec::number(what.dialect, what.type)),
                            .insn_cnt = static_cast<u32>(program.insns.size() / sizeof(isa::Slot)),
                            .insns = api::address(program.insns.data()),
                            .license = api::address(what.license.c_str()),
                            .fd_array = api::address(fds.data())};
    const engine::ProgramBtf btf = engine::records_of(what);
    if (program.object->btf_fd >= 0) {
        attr.prog_btf_fd = static_cast<u32>(program.object->btf_fd);
        attr.func_info_rec_size = btf.func_info_rec_size;
        attr.func_info = api::address(btf.func_info.data());
        attr.func_info_cnt = btf.functions();
        attr.line_info_rec_size = btf.line_info_rec_size;
        attr.line_info = api::address(btf.line_info.data());
        attr.line_info_cnt = btf.lines();
    }
    const i32 attach = spec::number(what.dialect, what.attach);
    if (what.attach != spec::AttachType{} && attach > 0)
        attr.expected_attach_type = static_cast<u32>(attach);
    std::copy_n(what.name.begin(), std::min(what.name.size(), attr.prog_name.size() - 1),
                attr.prog_name.begin());
    std::vector<char> text(64 << 10);
    attr.log_level = program.log_level ? program.log_level : 1;
    attr.log_buf = api::address(text.data());
    attr.log_size = static_cast<u32>(text.size());
    api::Session speaking = session;
    speaking.caller.dialect = what.dialect;
    auto loaded = api::bpf(speaking, static_cast<u32>(spec::Command::ProgLoad), &attr, sizeof attr);
    if (attr.log_true_size > text.size()) {  // again, with room for all of it
        text.assign(attr.log_true_size, '\0');
        attr.log_buf = api::address(text.data());
        attr.log_size = static_cast<u32>(text.size());
        loaded = api::bpf(speaking, static_cast<u32>(spec::Command::ProgLoad), &attr, sizeof attr);
    }
    log.assign(text.data(), strnlen(text.data(), text.size()));
    // Instructions alone went there: what they lack is known by number only.
    if (!loaded && log.find("target-lacks") != std::string::npos) {
        for (const ir::MissingAnswer& missing : what.missing)
            log += "instruction " + std::to_string(missing.insn) + ": " + missing.what + "\n";
    }
    return loaded;
}

Result<int> compile_and_install(api::Session& session, const bpf_program& program,
                                std::string& log) {
    if (program.unlinked) {
        log = program.message + "\n";
        return std::unexpected(*program.unlinked);
    }
    TRY_ASSIGN(engine::CompileJob job, engine::job_of(program.program));
    engine::LoadRequest request{.job = std::move(job),
                                .map_handles = {},
                                .engine = program.object->engine,
                                .log_level = program.log_level};
    // The names and lines themselves are in the job; the records are for who asks about the
    // program.
    if (program.object->btf_fd >= 0) {
        request.job.btf = engine::records_of(program.program);
        TRY_ASSIGN(request.btf_handle, session.descriptors->handle(program.object->btf_fd));
    }
    // What the maps are may have changed since the object was opened, and now they are final: the
    // verifier may rely on what is frozen.
    for (size_t i = 0; i < program.object->maps.size(); ++i) {
        const bpf_map& map = *program.object->maps[i];
        request.job.maps[i] = map.def;
        request.job.maps[i].frozen = map.def.is_data_section && map.def.read_only && !map.reused;
        u32 handle = 0;
        if (map.fd >= 0) {
            TRY_ASSIGN(handle, session.descriptors->handle(map.fd));
        }
        request.map_handles.push_back(handle);
    }
    TRY_ASSIGN(const engine::Loaded loaded,
               engine::load_program(*session.service, session.caller, std::move(request), log));
    return session.descriptors->publish(loaded.handle);
}

int load_program(api::Session& session, bpf_program& program) {
    std::string log;
    const auto loaded = session.service ? compile_and_install(session, program, log)
                                        : load_elsewhere(session, program, log);
    deliver_log(program, log, !loaded);
    if (!loaded) {
        api::print(LIBBPF_WARN, "libbpf: prog '%s': BPF program load failed: %s\n", program.name(),
                   std::strerror(api::errno_of(loaded.error())));
        return negative(loaded.error());
    }
    program.fd = *loaded;
    return 0;
}

// `.values = { [key] = &target }` of the object's source.
int set_slots(bpf_object& object) {
    for (const engine::InitialSlot& slot : object.slots) {
        const int target =
            slot.is_program ? object.programs[slot.target]->fd : object.maps[slot.target]->fd;
        if (target < 0 || object.maps[slot.map]->fd < 0) continue;  // left out of the load
        if (const int status =
                bpf_map_update_elem(object.maps[slot.map]->fd, &slot.key, &target, 0);
            status < 0) {
            return status;
        }
    }
    return 0;
}

void unload(bpf_object& object) {
    for (const auto& program : object.programs) bpf_program__unload(program.get());
    for (const auto& map : object.maps) {
        if (map->fd >= 0) api::close_descriptor(map->fd);
        map->fd = -1;
    }
    if (object.btf_fd >= 0) api::close_descriptor(object.btf_fd);
    object.btf_fd = -1;
}

int load_btf(bpf_object& object) {
    if (!object.btf) return 0;
    const Bytes bytes = object.btf->bytes();
    const int fd = bpf_btf_load(bytes.data(), bytes.size(), nullptr);
    if (fd < 0) return fd;
    object.btf_fd = fd;
    return 0;
}

int load(api::Session& session, bpf_object& object) {
    int status = object.target_error ? negative(object.target_error) : load_btf(object);
    if (status == 0) status = create_maps(object);
    for (size_t i = 0; status == 0 && i < object.programs.size(); ++i) {
        bpf_program& program = *object.programs[i];
        if (program.autoload) status = load_program(session, program);
    }
    if (status == 0) status = set_slots(object);
    if (status < 0) {
        api::print(LIBBPF_WARN, "libbpf: failed to load object '%s'\n", object.name.c_str());
        unload(object);
        return negative(-status);
    }
    return 0;
}

// The element behind (step 1) or before (step -1) `at`; the first or last when `at` is null.
template <typename T>
T* neighbour(const std::vector<std::unique_ptr<T>>& all, const T* at, int step) {
    if (all.empty()) return nullptr;
    if (!at) return step > 0 ? all.front().get() : all.back().get();
    for (size_t i = 0; i < all.size(); ++i) {
        if (all[i].get() != at) continue;
        const size_t next = i + static_cast<size_t>(step);  // wraps below 0: no such index then
        return next < all.size() ? all[next].get() : nullptr;
    }
    return nullptr;
}

}  // namespace

bpf_object* api::open_file(const char* path, const bpf_object_open_opts* opts,
                           std::optional<spec::Dialect> dialect) {
    if (!path || !valid_open(opts)) return api::null(EINVAL);
    const bpf_object_open_opts o = api::known(opts);
    const auto file = platform::FileContent::open(path, kMaxFile);
    if (!file) {
        api::print(LIBBPF_WARN, "libbpf: failed to open %s: %s\n", path,
                   std::strerror(file.error()));
        return api::null(file.error());
    }
    return open_bytes(file->bytes(), o.object_name ? o.object_name : name_of_path(path), o,
                      dialect);
}

bpf_object* api::open_mem(const void* bytes, size_t size, const bpf_object_open_opts* opts,
                          std::optional<spec::Dialect> dialect) {
    if (!bytes || size == 0 || !valid_open(opts)) return api::null(EINVAL);
    const bpf_object_open_opts o = api::known(opts);
    char name[64];
    std::snprintf(name, sizeof name, "%zx-%zx", reinterpret_cast<size_t>(bytes), size);
    return open_bytes(Bytes(static_cast<const std::byte*>(bytes), size),
                      o.object_name ? o.object_name : name, o, dialect);
}

extern "C" {

struct bpf_object* bpf_object__open(const char* path) {
    return bpf_object__open_file(path, nullptr);
}

struct bpf_object* bpf_object__open_file(const char* path,
                                         const struct bpf_object_open_opts* opts) {
    return api::open_file(path, opts, {});
}

struct bpf_object* bpf_object__open_mem(const void* obj_buf, size_t obj_buf_sz,
                                        const struct bpf_object_open_opts* opts) {
    return api::open_mem(obj_buf, obj_buf_sz, opts, {});
}

int bpf_object__load(struct bpf_object* obj) {
    if (!obj) return negative(EINVAL);
    if (obj->loaded) {
        api::print(LIBBPF_WARN, "libbpf: object '%s': load can't be attempted twice\n",
                   obj->name.c_str());
        return negative(EINVAL);
    }
    api::Session* const session = api::session();
    if (!session) return negative(ENOMEM);
    obj->loaded = true;
    return load(*session, *obj);
}

void bpf_object__close(struct bpf_object* object) {
    if (!object) return;
    unload(*object);
    delete object;
}

const char* bpf_object__name(const struct bpf_object* obj) {
    return obj ? obj->name.c_str() : api::null(EINVAL);
}

struct bpf_program* bpf_object__find_program_by_name(const struct bpf_object* obj,
                                                     const char* name) {
    for (const auto& program : obj->programs) {
        if (program->program.name == name) return program.get();
    }
    return api::null(ENOENT);
}
struct bpf_program* bpf_object__next_program(const struct bpf_object* obj,
                                             struct bpf_program* prog) {
    return neighbour(obj->programs, prog, 1);
}
struct bpf_program* bpf_object__prev_program(const struct bpf_object* obj,
                                             struct bpf_program* prog) {
    return neighbour(obj->programs, prog, -1);
}

struct bpf_map* bpf_object__find_map_by_name(const struct bpf_object* obj, const char* name) {
    for (const auto& map : obj->maps) {
        // A section is also known by its own name.
        if (std::string_view(name) == (*name == '.' ? map->def.name.c_str() : map->name()))
            return map.get();
    }
    return api::null(ENOENT);
}
int bpf_object__find_map_fd_by_name(const struct bpf_object* obj, const char* name) {
    const bpf_map* const map = bpf_object__find_map_by_name(obj, name);
    return map ? map->fd : negative(ENOENT);
}
struct bpf_map* bpf_object__next_map(const struct bpf_object* obj, const struct bpf_map* map) {
    return neighbour(obj->maps, map, 1);
}
struct bpf_map* bpf_object__prev_map(const struct bpf_object* obj, const struct bpf_map* map) {
    return neighbour(obj->maps, map, -1);
}

}  // extern "C"
