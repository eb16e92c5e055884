// SPDX-License-Identifier: MIT
// bpftool prog
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <time.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>

#include "products/bpftool/tool.hpp"

namespace bpftool {
namespace {

constexpr __u32 kPinnedProgram = 3;

std::string type_name(__u32 type) {
    const char* name = libbpf_bpf_prog_type_str(static_cast<bpf_prog_type>(type));
    return name ? name : fmt::format("type {}", type);
}

// When it was loaded: the kernel's clock counts from boot.
time_t load_time(const bpf_prog_info& info) {
    timespec now{}, boot{};
    clock_gettime(CLOCK_REALTIME, &now);
    clock_gettime(CLOCK_BOOTTIME, &boot);
    const auto ns = [](const timespec& t) { return t.tv_sec * 1'000'000'000 + t.tv_nsec; };
    return (ns(now) - ns(boot) + static_cast<long>(info.load_time)) / 1'000'000'000;
}

void show(const Options& options, int fd, Output& out) {
    std::vector<__u32> map_ids;
    const bpf_prog_info info = program_info(fd, &map_ids);
    std::string tag;
    for (const unsigned char byte : info.tag) tag += fmt::format("{:02x}", byte);
    Json json = {{"id", info.id}, {"type", type_name(info.type)}};
    std::string text = fmt::format("{}: {}  ", info.id, type_name(info.type));
    if (info.name[0]) {
        json["name"] = info.name;
        text += fmt::format("name {}  ", info.name);
    }
    json["tag"] = tag;
    json["gpl_compatible"] = static_cast<bool>(info.gpl_compatible);
    text += fmt::format("tag {}{}\n", tag, info.gpl_compatible ? "  gpl" : "");
    if (info.load_time) {
        const time_t when = load_time(info);
        tm broken{};
        localtime_r(&when, &broken);
        char stamp[64];
        strftime(stamp, sizeof stamp, "%FT%T%z", &broken);
        json["loaded_at"] = when;
        json["uid"] = info.created_by_uid;
        text += fmt::format("\tloaded_at {}  uid {}\n", stamp, info.created_by_uid);
    }
    json["bytes_xlated"] = info.xlated_prog_len;
    json["jited"] = info.jited_prog_len != 0;
    text += fmt::format("\txlated {}B", info.xlated_prog_len);
    if (info.jited_prog_len) {
        json["bytes_jited"] = info.jited_prog_len;
        text += fmt::format("  jited {}B", info.jited_prog_len);
    } else {
        text += "  not jited";
    }
    if (!map_ids.empty()) {
        json["map_ids"] = map_ids;
        text += fmt::format("  map_ids {}", fmt::join(map_ids, ","));
    }
    show_pins(options, kPinnedProgram, info.id, json, text);
    if (info.btf_id) {
        json["btf_id"] = info.btf_id;
        text += fmt::format("\n\tbtf_id {}", info.btf_id);
    }
    out.text += text + "\n";
    out.json.push_back(json);
}

struct Close {
    void operator()(bpf_object* object) const { bpf_object__close(object); }
};
using Object = std::unique_ptr<bpf_object, Close>;

bpf_map* map_by_index(bpf_object* object, unsigned index) {
    bpf_map* map = bpf_object__next_map(object, nullptr);
    while (map && index-- != 0) map = bpf_object__next_map(object, map);
    return map;
}

// map { idx IDX | name NAME } MAP: takes the place of the object's own.
void reuse_map(bpf_object* object, Words& words) {
    bpf_map* map = nullptr;
    std::string which;
    if (words.take_if("idx")) {
        which = words.take("an index");
        map = map_by_index(object, static_cast<unsigned>(std::strtoul(which.c_str(), nullptr, 0)));
    } else if (words.take_if("name")) {
        which = words.take("a name");
        map = bpf_object__find_map_by_name(object, which.c_str());
    } else {
        throw UsageError("expected 'idx' or 'name' after 'map'");
    }
    if (!map) throw Failure(fmt::format("the object has no map '{}'", which));
    const Fd fd = bpftool::map(words);
    if (bpf_map__reuse_fd(map, fd.get())) fail_errno("map reuse");
}

void set_type(bpf_object* object, const std::string& name) {
    bpf_prog_type type{};
    bpf_attach_type attach{};
    if (libbpf_prog_type_by_name(name.c_str(), &type, &attach) &&
        libbpf_prog_type_by_name((name + "/").c_str(), &type, &attach)) {
        throw Failure(fmt::format("unknown program type '{}'", name));
    }
    for (auto* program = bpf_object__next_program(object, nullptr); program;
         program = bpf_object__next_program(object, program)) {
        bpf_program__set_type(program, type);
        bpf_program__set_expected_attach_type(program, attach);
    }
}

Output load(Words& words, bool every) {
    const std::string file = words.take("an object file"), path = words.take("a path to pin at");
    const Object object(bpf_object__open(file.c_str()));
    if (!object) throw Failure("failed to open object file");
    std::string map_folder;
    while (!words.empty()) {
        if (words.take_if("type")) {
            set_type(object.get(), words.take("a program type"));
        } else if (words.take_if("map")) {
            reuse_map(object.get(), words);
        } else if (words.take_if("pinmaps")) {
            map_folder = words.take("a folder");
        } else if (words.take_if("dev")) {
            throw Failure("programs cannot be loaded into network hardware");
        } else {
            throw UsageError(fmt::format(
                "expected no more arguments, 'type', 'map' or 'pinmaps', got: '{}'", words.peek()));
        }
    }
    if (bpf_object__load(object.get())) throw Failure("failed to load object file");
    bpf_program* const first = bpf_object__next_program(object.get(), nullptr);
    if (!first) throw Failure("object file doesn't contain any bpf program");
    if (every ? bpf_object__pin_programs(object.get(), path.c_str())
              : bpf_obj_pin(bpf_program__fd(first), path.c_str())) {
        fail_errno(every
                       ? "failed to pin all programs"
                       : fmt::format("failed to pin program {}", bpf_program__section_name(first)));
    }
    if (!map_folder.empty() && bpf_object__pin_maps(object.get(), map_folder.c_str())) {
        const int error = errno;
        if (every) {
            bpf_object__unpin_programs(object.get(), path.c_str());
        } else {
            bpf_program__unpin(first, path.c_str());
        }
        errno = error;
        fail_errno("failed to pin all maps");
    }
    return {};
}

std::vector<unsigned char> read_file(const std::string& path) {
    std::ifstream file(path == "-" ? "/dev/stdin" : path, std::ios::binary);
    if (!file) fail_errno(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

// A data file that is "-" goes to the page.
void put(const std::string& path, const char* key, const char* title,
         std::vector<unsigned char> bytes, Output& out) {
    if (path.empty()) return;
    if (path == "-") {
        out.json[key] = bytes;
        out.text += fmt::format("{}:\n{}\n\n", title, hex(bytes));
        return;
    }
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    if (!file) fail_errno(path);
}

Output attach_or_detach(Words& words, int command) {
    struct Type {
        const char* name;
        bpf_attach_type type;
    };
    constexpr Type kTypes[] = {{"sk_msg_verdict", BPF_SK_MSG_VERDICT},
                               {"sk_skb_verdict", BPF_SK_SKB_VERDICT},
                               {"sk_skb_stream_verdict", BPF_SK_SKB_STREAM_VERDICT},
                               {"sk_skb_stream_parser", BPF_SK_SKB_STREAM_PARSER},
                               {"flow_dissector", BPF_FLOW_DISSECTOR}};
    const Fd prog = program(words);
    const std::string name = words.take("an attach type");
    for (const Type& type : kTypes) {
        if (name != type.name) continue;
        bpf_attr attr{};
        attr.attach_bpf_fd = static_cast<__u32>(prog.get());
        attr.attach_type = type.type;
        std::unique_ptr<Fd> target;
        if (type.type != BPF_FLOW_DISSECTOR) {
            target = std::make_unique<Fd>(bpftool::map(words));
            attr.target_fd = static_cast<__u32>(target->get());
        }
        words.nothing_more();
        if (ebpf_bpf(command, &attr, sizeof attr) < 0) {
            fail_errno(command == BPF_PROG_ATTACH ? "failed prog attach to map"
                                                  : "failed prog detach from map");
        }
        return {};
    }
    throw Failure("invalid attach/detach type: " + name);
}

}  // namespace

Output prog_show(const Options& options, Words& words) {
    Output out;
    out.json = Json::array();
    const bool one = !words.empty();
    for (const Fd& fd : one ? programs(words) : all_programs()) show(options, fd.get(), out);
    words.nothing_more();
    if (one && out.json.size() == 1) out.json = Json(out.json[0]);
    return out;
}
Output prog_load(const Options&, Words& words) {
    return load(words, false);
}
Output prog_loadall(const Options&, Words& words) {
    return load(words, true);
}
Output prog_pin(const Options&, Words& words) {
    const Fd fd = program(words);
    const std::string path = words.take("a path");
    words.nothing_more();
    if (bpf_obj_pin(fd.get(), path.c_str())) fail_errno("can't pin the object (" + path + ")");
    return {};
}

Output prog_run(const Options&, Words& words) {
    const Fd fd = program(words);
    std::string data_in, data_out, ctx_in, ctx_out;
    size_t data_room = 0, ctx_room = 0;
    int repeat = 1;
    const auto count = [&](const char* what) {
        return std::strtoul(words.take(what).c_str(), nullptr, 0);
    };
    while (!words.empty()) {
        // Longest first: words may be cut short.
        if (words.take_if("data_size_out")) {
            data_room = count("a size");
        } else if (words.take_if("ctx_size_out")) {
            ctx_room = count("a size");
        } else if (words.take_if("data_in")) {
            data_in = words.take("a file");
        } else if (words.take_if("data_out")) {
            data_out = words.take("a file");
        } else if (words.take_if("ctx_in")) {
            ctx_in = words.take("a file");
        } else if (words.take_if("ctx_out")) {
            ctx_out = words.take("a file");
        } else if (words.take_if("repeat")) {
            repeat = static_cast<int>(count("a number"));
        } else {
            throw UsageError(fmt::format("unexpected: '{}'", words.peek()));
        }
    }
    const auto data = data_in.empty() ? std::vector<unsigned char>{} : read_file(data_in);
    const auto context = ctx_in.empty() ? std::vector<unsigned char>{} : read_file(ctx_in);
    if (data.empty() && context.empty()) throw Failure("invalid argument: no data_in or ctx_in");
    std::vector<unsigned char> data_back(data_room ? data_room : 32 * 1024 + data.size());
    std::vector<unsigned char> ctx_back(ctx_room ? ctx_room : 32 * 1024);
    LIBBPF_OPTS(bpf_test_run_opts, options);
    options.data_in = data.empty() ? nullptr : data.data();
    options.data_size_in = static_cast<__u32>(data.size());
    options.ctx_in = context.empty() ? nullptr : context.data();
    options.ctx_size_in = static_cast<__u32>(context.size());
    if (!data_out.empty()) {
        options.data_out = data_back.data();
        options.data_size_out = static_cast<__u32>(data_back.size());
    }
    if (!ctx_out.empty()) {
        options.ctx_out = ctx_back.data();
        options.ctx_size_out = static_cast<__u32>(ctx_back.size());
    }
    options.repeat = repeat;
    if (bpf_prog_test_run_opts(fd.get(), &options)) fail_errno("failed to run program");
    Output out;
    data_back.resize(std::min<size_t>(data_back.size(), options.data_size_out));
    ctx_back.resize(std::min<size_t>(ctx_back.size(), options.ctx_size_out));
    put(data_out, "data_out", "Data", data_back, out);
    put(ctx_out, "ctx_out", "Context", ctx_back, out);
    out.json["retval"] = options.retval;
    out.json["duration"] = options.duration;
    out.text += fmt::format("Return value: {}, duration{}: {}ns\n", options.retval,
                            repeat > 1 ? " (average)" : "", options.duration);
    return out;
}

Output prog_attach(const Options&, Words& words) {
    return attach_or_detach(words, BPF_PROG_ATTACH);
}
Output prog_detach(const Options&, Words& words) {
    return attach_or_detach(words, BPF_PROG_DETACH);
}

}  // namespace bpftool
