// SPDX-License-Identifier: MIT
// bpf_object__pin*: an object's maps and programs pinned below one folder, all or none.
#include <cerrno>
#include <string>

#include "api/errors.hpp"
#include "api/object.hpp"

using namespace ebpf;
using api::negative;

namespace {

// Empty for a map that is not to be pinned. Dots become underscores, as libbpf has them (the names
// of data sections begin with one).
std::string path_of(const bpf_map& map, const char* folder) {
    if (!folder) return map.pin_path;
    std::string path = std::string(folder) + "/" + map.name();
    for (char& c : path) {
        if (c == '.') c = '_';
    }
    return path;
}

std::string path_of(const bpf_program& program, const char* folder) {
    return std::string(folder) + "/" + program.name();
}

int check_loaded(const bpf_object* object) {
    if (!object) return negative(ENOENT);
    if (object->loaded) return 0;
    api::print(LIBBPF_WARN, "libbpf: object '%s' is not loaded; load it first\n",
               object->name.c_str());
    return negative(ENOENT);
}

int keep_errno(int status) {
    return negative(-status);
}

}  // namespace

extern "C" {

int bpf_object__pin_maps(struct bpf_object* obj, const char* path) {
    if (const int status = check_loaded(obj); status < 0) return status;
    for (size_t i = 0; i < obj->maps.size(); ++i) {
        bpf_map& map = *obj->maps[i];
        const std::string target = path_of(map, path);
        if (map.fd < 0 || target.empty()) continue;
        const int status = bpf_map__pin(&map, target.c_str());
        if (status == 0) continue;
        while (i-- > 0) {
            if (obj->maps[i]->pinned) bpf_map__unpin(obj->maps[i].get(), nullptr);
        }
        return keep_errno(status);
    }
    return 0;
}

int bpf_object__unpin_maps(struct bpf_object* obj, const char* path) {
    if (!obj) return negative(ENOENT);
    for (const auto& map : obj->maps) {
        const std::string target = path_of(*map, path);
        if (map->fd < 0 || target.empty()) continue;
        if (const int status = bpf_map__unpin(map.get(), target.c_str()); status < 0) return status;
    }
    return 0;
}

int bpf_object__pin_programs(struct bpf_object* obj, const char* path) {
    if (const int status = check_loaded(obj); status < 0) return status;
    if (!path) return negative(EINVAL);
    for (size_t i = 0; i < obj->programs.size(); ++i) {
        bpf_program& program = *obj->programs[i];
        const int status = bpf_program__pin(&program, path_of(program, path).c_str());
        if (status == 0) continue;
        while (i-- > 0) {
            bpf_program& done = *obj->programs[i];
            bpf_program__unpin(&done, path_of(done, path).c_str());
        }
        return keep_errno(status);
    }
    return 0;
}

int bpf_object__unpin_programs(struct bpf_object* obj, const char* path) {
    if (!obj) return negative(ENOENT);
    if (!path) return negative(EINVAL);
    for (const auto& program : obj->programs) {
        const int status = bpf_program__unpin(program.get(), path_of(*program, path).c_str());
        if (status < 0) return status;
    }
    return 0;
}

int bpf_object__pin(struct bpf_object* object, const char* path) {
    if (const int status = bpf_object__pin_maps(object, path); status < 0) return status;
    const int status = bpf_object__pin_programs(object, path);
    if (status == 0) return 0;
    bpf_object__unpin_maps(object, path);
    return keep_errno(status);
}

}  // extern "C"
