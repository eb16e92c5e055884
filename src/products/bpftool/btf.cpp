// SPDX-License-Identifier: MIT
// bpftool btf
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "engine/types_file.hpp"
#include "products/bpftool/tool.hpp"

namespace bpftool {
namespace {

using TypesPtr = std::shared_ptr<const ebpf::btf::Types>;

bpf_btf_info btf_info(int fd) {
    bpf_btf_info info{};
    __u32 size = sizeof info;
    if (bpf_obj_get_info_by_fd(fd, &info, &size)) fail_errno("can't get BTF object info", kFailed);
    return info;
}

Fd btf_by_id(__u32 id, int status) {
    Fd fd(bpf_btf_get_fd_by_id(id));
    if (!fd) fail_errno(fmt::format("can't get BTF object by id ({})", id), status);
    return fd;
}

void show(const bpf_btf_info& info, Output& out) {
    std::vector<__u32> programs, maps;
    for (const Fd& fd : all_programs()) {
        const bpf_prog_info its = program_info(fd.get());
        if (its.btf_id == info.id) programs.push_back(its.id);
    }
    for (const Fd& fd : all_maps()) {
        const bpf_map_info its = map_info(fd.get());
        if (its.btf_id == info.id) maps.push_back(its.id);
    }
    out.json.push_back({{"id", info.id},
                        {"size", info.btf_size},
                        {"prog_ids", programs},
                        {"map_ids", maps},
                        {"kernel", info.kernel_btf != 0}});
    out.text += fmt::format("{}: name <anon>  size {}B", info.id, info.btf_size);
    if (!programs.empty()) out.text += fmt::format("  prog_ids {}", fmt::join(programs, ","));
    if (!maps.empty()) out.text += fmt::format("  map_ids {}", fmt::join(maps, ","));
    out.text += '\n';
}

TypesPtr types_in_file(const std::string& path) {
    constexpr size_t kMost = size_t{512} << 20;
    const std::string failing = "failed to load BTF from " + path;
    const std::vector<unsigned char> file = read_file(path, kMost, failing);
    const auto types = ebpf::engine::read_types(std::as_bytes(std::span(file)));
    if (!types) fail_error(failing, types.error());
    return *types;
}

// What is to be dumped: all types, or those with these ids.
struct Source {
    TypesPtr types;
    std::vector<__u32> roots;
};

Source of_object(__u32 btf_id, const char* what) {
    if (btf_id == 0) throw Failure(fmt::format("the {} has no type information", what));
    return {.types = types_of(btf_id), .roots = {}};
}

Source of_map(Words& words) {
    const Fd fd = map(words);
    const bpf_map_info info = map_info(fd.get());
    Source source = of_object(info.btf_id, "map");
    const bool all = words.take_if("all");
    const bool key = !all && words.take_if("key");
    const bool value = !all && !key && words.take_if("value");
    if (!all && !key && !value) (void)words.take_if("kv");
    if (!all && !value) source.roots.push_back(info.btf_key_type_id);
    if (!all && !key) source.roots.push_back(info.btf_value_type_id);
    return source;
}

Source source_of(Words& words) {
    if (words.take_if("id")) {
        const __u32 id = words.number("ID");
        (void)btf_by_id(id, status_of(ENOENT));
        return of_object(id, "object");
    }
    if (words.take_if("map")) return of_map(words);
    if (words.take_if("prog")) {
        const Fd fd = program(words);
        return of_object(program_info(fd.get()).btf_id, "program");
    }
    if (words.take_if("file")) return {.types = types_in_file(words.take()), .roots = {}};
    throw Failure(fmt::format("unrecognized BTF source specifier: '{}'", words.peek()));
}

// Whether as C.
bool format_of(Words& words) {
    bool c = false;
    while (!words.empty()) {
        if (!words.take_if("format"))
            throw Failure(fmt::format("unrecognized option: '{}'", words.peek()), kInvalid);
        if (words.empty()) throw Failure("expecting value for 'format' option\n", kInvalid);
        if (words.peek() != "c" && words.peek() != "raw") {
            throw Failure(
                fmt::format("unrecognized format specifier: '{}', possible values: raw, c",
                            words.peek()),
                kInvalid);
        }
        c = words.take() == "c";
    }
    return c;
}

}  // namespace

Output btf_show(const Options&, Words& words) {
    Output out{.json = Json::array()};
    if (handle_follows(words)) {
        if (!words.take_if("id"))
            throw Failure(fmt::format("expected 'id', got: '{}'?", words.peek()));
        const Fd fd = btf_by_id(words.number("ID"), kFailed);
        show(btf_info(fd.get()), out);
        out.json = Json(out.json[0]);
        return out;
    }
    for (const Fd& fd : all_types()) show(btf_info(fd.get()), out);
    return out;
}

Output btf_dump(const Options& options, Words& words) {
    words.need(2);
    const Source source = source_of(words);
    const bool c = format_of(words);
    if (c && options.json)
        throw Failure("JSON output for C-syntax dump is not supported", status_of(EOPNOTSUPP));
    const ebpf::btf::View& types = source.types->view();
    std::vector<__u32> ids = source.roots;
    for (__u32 id = 1; source.roots.empty() && id < types.type_count(); ++id) ids.push_back(id);
    if (c) return {.json = {}, .text = c_text(types, ids)};
    Output out{.json = {{"types", Json::array()}}};
    for (const __u32 id : ids) {
        const auto type = types.type(id);
        if (!type) fail_error(fmt::format("type {}", id), type.error());
        Json json = raw_json(types, *type);
        out.text += raw_text(types, json);
        if (options.json) out.json["types"].push_back(std::move(json));
    }
    return out;
}

}  // namespace bpftool
