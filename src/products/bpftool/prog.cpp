// SPDX-License-Identifier: MIT
// bpftool prog
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <net/if.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>

#include "products/bpftool/tool.hpp"

namespace bpftool {
namespace {

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
    auto [json, text, status] = program_header(info);
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
struct Replacement {
    std::string name;  // empty: `index`
    unsigned index = 0;
    Fd map;
};

Replacement replacement(Words& words) {
    words.need(4);
    Replacement its;
    if (words.take_if("idx")) {
        its.index = words.number("IDX");
    } else if (words.take_if("name")) {
        its.name = words.take();
    } else {
        throw Failure(fmt::format("expected 'idx' or 'name', got: '{}'?", words.peek()));
    }
    its.map = map(words);
    return its;
}

void replace_maps(bpf_object* object, const std::vector<Replacement>& replacements) {
    std::vector<const bpf_map*> replaced;
    for (const Replacement& its : replacements) {
        bpf_map* const map = its.name.empty()
                                 ? map_by_index(object, its.index)
                                 : bpf_object__find_map_by_name(object, its.name.c_str());
        if (!map) {
            throw Failure(its.name.empty() ? fmt::format("map idx '{}' not used", its.index)
                                           : fmt::format("unable to find map '{}'", its.name));
        }
        if (std::find(replaced.begin(), replaced.end(), map) != replaced.end()) {
            throw Failure(
                its.name.empty()
                    ? fmt::format("replacement for map idx {} specified more than once", its.index)
                    : fmt::format("replacement for map name '{}' specified more than once",
                                  its.name));
        }
        replaced.push_back(map);
        if (bpf_map__reuse_fd(map, its.map.get())) throw Failure("failed to set up map");
    }
}

struct Type {
    bpf_prog_type program;
    bpf_attach_type attach;
};

Type type_of(const std::string& name) {
    Type type{};
    if (libbpf_prog_type_by_name((name + "/").c_str(), &type.program, &type.attach) &&
        libbpf_prog_type_by_name(name.c_str(), &type.program, &type.attach)) {
        throw Failure(fmt::format("unknown program type '{}'", name));
    }
    return type;
}

struct LoadWords {
    std::string file, path, map_folder;
    std::optional<Type> type;
    std::vector<Replacement> replacements;
};

LoadWords load_words(Words& words) {
    words.need(2);
    LoadWords its{.file = words.take(), .path = words.take()};
    while (!words.empty()) {
        if (words.take_if("type")) {
            words.need(1);
            if (its.type) throw Failure("program type already specified");
            its.type = type_of(words.take());
        } else if (words.take_if("map")) {
            its.replacements.push_back(replacement(words));
        } else if (words.take_if("dev")) {
            const std::string name = words.take();
            if (if_nametoindex(name.c_str()) == 0)
                fail_errno(fmt::format("unrecognized netdevice '{}'", name), kFailed);
            throw Failure("programs cannot be loaded into network hardware");
        } else if (words.take_if("pinmaps")) {
            its.map_folder = words.take();
        } else {
            throw Failure(fmt::format(
                "expected no more arguments, 'type', 'map' or 'dev', got: '{}'?", words.peek()));
        }
    }
    return its;
}

Output load(Words& words, bool every) {
    const LoadWords its = load_words(words);
    const Object object(bpf_object__open(its.file.c_str()));
    if (!object) throw Failure("failed to open object file");
    for (auto* program = bpf_object__next_program(object.get(), nullptr); its.type && program;
         program = bpf_object__next_program(object.get(), program)) {
        bpf_program__set_type(program, its.type->program);
        bpf_program__set_expected_attach_type(program, its.type->attach);
    }
    replace_maps(object.get(), its.replacements);
    if (bpf_object__load(object.get())) throw Failure("failed to load object file");
    bpf_program* const first = bpf_object__next_program(object.get(), nullptr);
    if (!first) throw Failure("object file doesn't contain any bpf program");
    if (every && bpf_object__pin_programs(object.get(), its.path.c_str()))
        throw Failure("failed to pin all programs");
    if (!every && bpf_obj_pin(bpf_program__fd(first), its.path.c_str()))
        throw Failure(fmt::format("failed to pin program {}", bpf_program__section_name(first)));
    if (!its.map_folder.empty() && bpf_object__pin_maps(object.get(), its.map_folder.c_str())) {
        if (every) {
            bpf_object__unpin_programs(object.get(), its.path.c_str());
        } else {
            bpf_program__unpin(first, its.path.c_str());
        }
        throw Failure("failed to pin all maps");
    }
    return {};
}

std::vector<unsigned char> read_input(const std::string& path) {
    constexpr size_t kMost = 16u << 20;  // more than any test run takes
    return read_file(path == "-" ? "/dev/stdin" : path, kMost, "failed to open " + path, kFailed);
}

// A data file that is "-" goes to the page.
void put(const std::string& path, const char* key, const std::vector<unsigned char>& bytes,
         Output& out) {
    if (path.empty()) return;
    if (path == "-") {
        out.json[key] = bytes;
        out.text += hex_dump(bytes);
        return;
    }
    std::ofstream file(path, std::ios::binary);
    if (!file) fail_errno("failed to open " + path, kFailed);
    file.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    if (!file.flush()) fail_errno("failed to write " + path, kFailed);
}

struct RunWords {
    std::string data_in, data_out, ctx_in, ctx_out;
    size_t data_room = 0, ctx_room = 0;
    int repeat = 1;
};

RunWords run_words(Words& words) {
    RunWords its;
    while (!words.empty()) {
        if (words.take_if("data_in")) {
            its.data_in = words.take();
        } else if (words.take_if("data_out")) {
            its.data_out = words.take();
        } else if (words.take_if("data_size_out")) {
            its.data_room = words.number("output data size");
        } else if (words.take_if("ctx_in")) {
            its.ctx_in = words.take();
        } else if (words.take_if("ctx_out")) {
            its.ctx_out = words.take();
        } else if (words.take_if("ctx_size_out")) {
            its.ctx_room = words.number("output context size");
        } else if (words.take_if("repeat")) {
            its.repeat = static_cast<int>(words.number("repeat number"));
        } else {
            throw Failure(
                fmt::format("expected no more arguments, 'data_in', 'data_out', 'data_size_out', "
                            "'ctx_in', 'ctx_out', 'ctx_size_out' or 'repeat', got: '{}'?",
                            words.peek()));
        }
    }
    if (its.data_in == "-" && its.ctx_in == "-")
        throw Failure("cannot use standard input for both data_in and ctx_in");
    return its;
}

Output attach_or_detach(Words& words, int command) {
    struct AttachType {
        const char* name;
        bpf_attach_type type;
    };
    constexpr AttachType kTypes[] = {{"sk_msg_verdict", BPF_SK_MSG_VERDICT},
                                     {"sk_skb_verdict", BPF_SK_SKB_VERDICT},
                                     {"sk_skb_stream_verdict", BPF_SK_SKB_STREAM_VERDICT},
                                     {"sk_skb_stream_parser", BPF_SK_SKB_STREAM_PARSER},
                                     {"flow_dissector", BPF_FLOW_DISSECTOR}};
    words.need(3, kInvalid);
    const Fd prog = program(words);
    const std::string name = words.take();
    const auto* const type = std::find_if(std::begin(kTypes), std::end(kTypes),
                                          [&](const AttachType& its) { return name == its.name; });
    if (type == std::end(kTypes)) throw Failure("invalid attach/detach type", kInvalid);
    bpf_attr attr{};
    attr.attach_bpf_fd = static_cast<__u32>(prog.get());
    attr.attach_type = type->type;
    Fd target;
    if (type->type != BPF_FLOW_DISSECTOR) {
        words.need(2, kInvalid);
        target = map(words);
        attr.target_fd = static_cast<__u32>(target.get());
    }
    if (ebpf_bpf(command, &attr, sizeof attr) < 0) {
        throw Failure(command == BPF_PROG_ATTACH ? "failed prog attach to map"
                                                 : "failed prog detach from map",
                      kInvalid);
    }
    return {};
}

}  // namespace

Output program_header(const bpf_prog_info& info) {
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
    text += fmt::format("tag {}{}", tag, info.gpl_compatible ? "  gpl" : "");
    if (info.run_time_ns) {
        json["run_time_ns"] = info.run_time_ns;
        json["run_cnt"] = info.run_cnt;
        text += fmt::format(" run_time_ns {} run_cnt {}", info.run_time_ns, info.run_cnt);
    }
    return {.json = std::move(json), .text = text + '\n'};
}

Output prog_show(const Options& options, Words& words) {
    Output out;
    out.json = Json::array();
    const bool one = handle_follows(words);
    for (const Fd& fd : one ? programs(words) : all_programs()) show(options, fd.get(), out);
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
    return pin(program, words);
}

Output prog_run(const Options&, Words& words) {
    words.need(4);
    const Fd fd = program(words);
    const RunWords its = run_words(words);
    const auto data = its.data_in.empty() ? std::vector<unsigned char>{} : read_input(its.data_in);
    const auto context = its.ctx_in.empty() ? std::vector<unsigned char>{} : read_input(its.ctx_in);
    // No more than the program was given, and what it may add.
    std::vector<unsigned char> data_back(its.data_room ? its.data_room : 32 * 1024 + data.size());
    std::vector<unsigned char> ctx_back(its.ctx_room ? its.ctx_room : 32 * 1024);
    LIBBPF_OPTS(bpf_test_run_opts, options);
    options.data_in = data.empty() ? nullptr : data.data();
    options.data_size_in = static_cast<__u32>(data.size());
    options.ctx_in = context.empty() ? nullptr : context.data();
    options.ctx_size_in = static_cast<__u32>(context.size());
    if (!its.data_out.empty()) {
        options.data_out = data_back.data();
        options.data_size_out = static_cast<__u32>(data_back.size());
    }
    if (!its.ctx_out.empty() && !context.empty()) {
        options.ctx_out = ctx_back.data();
        options.ctx_size_out = static_cast<__u32>(ctx_back.size());
    }
    options.repeat = its.repeat;
    if (bpf_prog_test_run_opts(fd.get(), &options)) fail_errno("failed to run program");
    Output out;
    data_back.resize(std::min<size_t>(data_back.size(), options.data_size_out));
    ctx_back.resize(std::min<size_t>(ctx_back.size(), options.ctx_size_out));
    put(its.data_out, "data_out", data_back, out);
    if (!context.empty()) put(its.ctx_out, "ctx_out", ctx_back, out);
    out.json["retval"] = options.retval;
    out.json["duration"] = options.duration;
    out.text += fmt::format("Return value: {}, duration{}: {}ns\n", options.retval,
                            its.repeat > 1 ? " (average)" : "", options.duration);
    return out;
}

Output prog_attach(const Options&, Words& words) {
    return attach_or_detach(words, BPF_PROG_ATTACH);
}
Output prog_detach(const Options&, Words& words) {
    return attach_or_detach(words, BPF_PROG_DETACH);
}

}  // namespace bpftool
