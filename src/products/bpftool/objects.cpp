// SPDX-License-Identifier: MIT
// Finding objects by the words of the command line.
#include <bpf/libbpf.h>
#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "products/bpftool/tool.hpp"
#include "spec/commands.hpp"

namespace bpftool {
namespace {

template <typename Info>
Info info_of(int fd) {
    Info info{};
    __u32 size = sizeof info;
    if (bpf_obj_get_info_by_fd(fd, &info, &size)) fail_errno("can't get object info");
    return info;
}

std::vector<Fd> all(int (*next_id)(__u32, __u32*), int (*by_id)(__u32)) {
    std::vector<Fd> found;
    for (__u32 id = 0; next_id(id, &id) == 0;) {
        const int fd = by_id(id);
        if (fd >= 0) found.emplace_back(fd);  // else it went meanwhile
    }
    if (errno != ENOENT) fail_errno("can't get next id");  // the service is gone, say
    return found;
}

__u32 number(const std::string& text, const char* what) {
    char* end = nullptr;
    const unsigned long value = std::strtoul(text.c_str(), &end, 0);
    if (text.empty() || *end || value > 0xffffffff)
        throw Failure(fmt::format("can't parse {} as {}", text, what));
    return static_cast<__u32>(value);
}

Fd by_id(int (*get)(__u32), const std::string& text) {
    const __u32 id = number(text, "ID");
    const int fd = get(id);
    if (fd < 0) fail_errno(fmt::format("get by id ({})", id));
    return Fd(fd);
}

Fd pinned(const std::string& path) {
    const int fd = bpf_obj_get(path.c_str());
    if (fd < 0) fail_errno(fmt::format("bpf obj get ({})", path));
    return Fd(fd);
}

template <typename Fits>
std::vector<Fd> those(std::vector<Fd> from, Fits&& fits) {
    std::vector<Fd> found;
    for (Fd& fd : from)
        if (fits(fd.get())) found.push_back(std::move(fd));
    return found;
}

Fd only(std::vector<Fd> found, const char* what) {
    if (found.empty()) throw Failure(fmt::format("no {} of that name or tag", what));
    if (found.size() > 1) throw Failure(fmt::format("several {}s match this handle", what));
    return std::move(found.front());
}

std::string tag_of(const bpf_prog_info& info) {
    std::string text;
    for (const unsigned char byte : info.tag) text += fmt::format("{:02x}", byte);
    return text;
}

}  // namespace

void fail_errno(const std::string& what) {
    throw Failure(what + ": " + std::strerror(errno));
}

std::string Words::take(const char* what) {
    if (words_.empty()) throw UsageError(fmt::format("expected {} at the end", what));
    std::string word = words_.front();
    words_.pop_front();
    return word;
}
// A word may be cut short, as in bpftool: "p" is "pinned" where nothing else begins so.
bool Words::take_if(const char* word) {
    if (words_.empty() || words_.front().empty() ||
        std::strncmp(word, words_.front().c_str(), words_.front().size()) != 0) {
        return false;
    }
    words_.pop_front();
    return true;
}
void Words::nothing_more() const {
    if (!words_.empty()) throw UsageError("unexpected: " + words_.front());
}

std::vector<Fd> all_programs() {
    return all(bpf_prog_get_next_id, bpf_prog_get_fd_by_id);
}
std::vector<Fd> all_maps() {
    return all(bpf_map_get_next_id, bpf_map_get_fd_by_id);
}
std::vector<Fd> all_links() {
    return all(bpf_link_get_next_id, bpf_link_get_fd_by_id);
}

std::vector<Fd> programs(Words& words) {
    std::vector<Fd> found;
    if (words.take_if("id")) {
        found.push_back(by_id(bpf_prog_get_fd_by_id, words.take("an id")));
    } else if (words.take_if("pinned")) {
        found.push_back(pinned(words.take("a path")));
    } else if (words.take_if("tag")) {
        const std::string tag = words.take("a tag");
        return those(all_programs(), [&](int fd) { return tag_of(program_info(fd)) == tag; });
    } else if (words.take_if("name")) {
        const std::string name = words.take("a name");
        return those(all_programs(), [&](int fd) {
            return name.substr(0, BPF_OBJ_NAME_LEN - 1) == program_info(fd).name;
        });
    } else {
        throw UsageError(fmt::format("expected 'id', 'tag', 'name' or 'pinned', got: '{}'",
                                     words.empty() ? "" : words.peek()));
    }
    return found;
}
Fd program(Words& words) {
    return only(programs(words), "program");
}

std::vector<Fd> maps(Words& words) {
    std::vector<Fd> found;
    if (words.take_if("id")) {
        found.push_back(by_id(bpf_map_get_fd_by_id, words.take("an id")));
    } else if (words.take_if("pinned")) {
        found.push_back(pinned(words.take("a path")));
    } else if (words.take_if("name")) {
        const std::string name = words.take("a name");
        return those(all_maps(), [&](int fd) {
            return name.substr(0, BPF_OBJ_NAME_LEN - 1) == map_info(fd).name;
        });
    } else {
        throw UsageError(fmt::format("expected 'id', 'name' or 'pinned', got: '{}'",
                                     words.empty() ? "" : words.peek()));
    }
    return found;
}
Fd map(Words& words) {
    return only(maps(words), "map");
}

Fd link(Words& words) {
    if (words.take_if("id")) return by_id(bpf_link_get_fd_by_id, words.take("an id"));
    if (words.take_if("pinned")) return pinned(words.take("a path"));
    throw UsageError(
        fmt::format("expected 'id' or 'pinned', got: '{}'", words.empty() ? "" : words.peek()));
}

bpf_prog_info program_info(int fd, std::vector<__u32>* map_ids) {
    auto info = info_of<bpf_prog_info>(fd);
    if (!map_ids || info.nr_map_ids == 0) return info;
    map_ids->resize(info.nr_map_ids);
    bpf_prog_info again{};
    again.nr_map_ids = info.nr_map_ids;
    again.map_ids = reinterpret_cast<__u64>(map_ids->data());
    __u32 size = sizeof again;
    if (bpf_obj_get_info_by_fd(fd, &again, &size)) fail_errno("can't get prog info");
    return info;
}
bpf_map_info map_info(int fd) {
    return info_of<bpf_map_info>(fd);
}

std::vector<std::string> pins(__u32 type, __u32 id) {
    std::vector<std::string> found;
    std::string start;
    for (;;) {
        char path[4096] = {};
        ebpf::spec::PinGetNextAttr attr{
            .start = start.empty() ? 0 : reinterpret_cast<__u64>(start.c_str()),
            .path = reinterpret_cast<__u64>(path),
            .path_len = sizeof path,
            .type = type};
        if (ebpf_bpf(static_cast<int>(ebpf::spec::Command::PinGetNext),
                     reinterpret_cast<bpf_attr*>(&attr), sizeof attr) < 0) {
            return found;
        }
        start = path;
        const Fd fd(bpf_obj_get(path));
        if (fd.get() < 0) continue;
        const __u32 its = type == 1   ? info_of<bpf_map_info>(fd.get()).id
                          : type == 2 ? info_of<bpf_link_info>(fd.get()).id
                                      : info_of<bpf_prog_info>(fd.get()).id;
        if (its == id) found.emplace_back(path);
    }
}

void show_pins(const Options& options, __u32 type, __u32 id, Json& json, std::string& text) {
    if (!options.pins) return;
    const std::vector<std::string> paths = pins(type, id);
    json["pinned"] = paths;
    for (const std::string& path : paths) text += fmt::format("\n\tpinned {}", path);
}

std::string hex(const std::vector<unsigned char>& bytes) {
    std::string text;
    for (size_t i = 0; i < bytes.size(); ++i) {
        if (i != 0) text += i % 16 == 0 ? "\n" : i % 8 == 0 ? "  " : " ";
        text += fmt::format("{:02x}", bytes[i]);
    }
    return text;
}
Json hex_json(const std::vector<unsigned char>& bytes) {
    Json array = Json::array();
    for (const unsigned char byte : bytes) array.push_back(fmt::format("0x{:02x}", byte));
    return array;
}

}  // namespace bpftool
