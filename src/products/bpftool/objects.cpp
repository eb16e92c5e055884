// SPDX-License-Identifier: MIT
// Words of the command line, and finding objects by them.
#include <bpf/libbpf.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "platform/file_content.hpp"
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

// A kind of object: its number among pins, and its name in errors.
struct Kind {
    __u32 type;
    const char* name;
};
constexpr Kind kMap{kPinnedMap, "map"}, kLink{kPinnedLink, "link"},
    kProgram{kPinnedProgram, "prog"};

std::vector<std::string> pinned_paths(__u32 type) {
    std::vector<std::string> paths;
    for (;;) {
        char path[4096] = {};
        ebpf::spec::PinGetNextAttr attr{
            .start = paths.empty() ? 0 : reinterpret_cast<__u64>(paths.back().c_str()),
            .path = reinterpret_cast<__u64>(path),
            .path_len = sizeof path,
            .type = type};
        if (ebpf_bpf(static_cast<int>(ebpf::spec::Command::PinGetNext),
                     reinterpret_cast<bpf_attr*>(&attr), sizeof attr) < 0) {
            return paths;
        }
        paths.emplace_back(path);
    }
}

Fd pinned(const Kind& wanted, const std::string& path) {
    Fd fd(bpf_obj_get(path.c_str()));
    if (!fd) fail_errno(fmt::format("bpf obj get ({})", path), kFailed);
    for (const Kind& kind : {kMap, kLink, kProgram}) {
        if (kind.type == wanted.type) continue;
        const auto others = pinned_paths(kind.type);
        if (std::find(others.begin(), others.end(), path) != others.end())
            throw Failure(fmt::format("incorrect object type: {}", kind.name));
    }
    return fd;
}

Fd by_id(int (*get)(__u32), Words& words, const char* error) {
    const __u32 id = words.number("ID");
    Fd fd(get(id));
    if (!fd) fail_errno(fmt::format("{} ({})", error, id), kFailed);
    return fd;
}

std::vector<Fd> one(Fd fd) {
    std::vector<Fd> found;
    found.push_back(std::move(fd));
    return found;
}

template <typename Fits>
std::vector<Fd> those(std::vector<Fd> from, Fits&& fits) {
    std::vector<Fd> found;
    for (Fd& fd : from)
        if (fits(fd.get())) found.push_back(std::move(fd));
    if (found.empty()) throw Failure("");
    return found;
}

Fd only(std::vector<Fd> found, const char* what) {
    if (found.size() > 1) throw Failure(fmt::format("several {} match this handle", what));
    return std::move(found.front());
}

std::string tag_of(const bpf_prog_info& info) {
    std::string text;
    for (const unsigned char byte : info.tag) text += fmt::format("{:02x}", byte);
    return text;
}

std::string tag(Words& words) {
    std::string tag = words.take();
    const bool fits = tag.size() == 2 * BPF_TAG_SIZE &&
                      tag.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
    if (!fits) throw Failure("can't parse tag");
    std::transform(tag.begin(), tag.end(), tag.begin(), [](unsigned char c) { return tolower(c); });
    return tag;
}

std::string name(Words& words, size_t room) {
    std::string name = words.take();
    if (name.size() >= room) throw Failure("can't parse name");
    return name;
}

[[noreturn]] void no_handle(const char* expected, const Words& words) {
    throw Failure(fmt::format("expected {}, got: '{}'?", expected, words.peek()));
}

}  // namespace

void fail_errno(const std::string& what, int status) {
    const int error = errno;
    throw Failure(what + ": " + std::strerror(error), status ? status : status_of(error));
}

void fail_error(const std::string& what, const ebpf::Error& error) {
    char text[192];
    ebpf::render(error, text);
    throw Failure(what + ": " + text);
}

std::vector<unsigned char> read_file(const std::string& path, size_t most,
                                     const std::string& failing, int status) {
    const auto file = ebpf::platform::FileContent::open(path.c_str(), most);
    if (!file && file.error() == EFBIG)
        throw Failure(fmt::format("{}: longer than {} MiB", failing, most >> 20), status);
    if (!file) {
        errno = file.error();
        fail_errno(failing, status);
    }
    const auto* const bytes = reinterpret_cast<const unsigned char*>(file->bytes().data());
    return {bytes, bytes + file->bytes().size()};
}

bool is_short_for(const std::string& word, const char* whole) {
    return !word.empty() && std::strncmp(whole, word.c_str(), word.size()) == 0;
}

const std::string& Words::peek() const {
    static const std::string none;
    return empty() ? none : words_[at_];
}
std::string Words::take() {
    need(1);
    return words_[at_++];
}
bool Words::next_is(const char* word) const {
    return is_short_for(peek(), word);
}
bool Words::take_if(const char* word) {
    if (!next_is(word)) return false;
    ++at_;
    return true;
}
void Words::need(size_t needed, int status) const {
    if (count() >= needed) return;
    throw Failure(fmt::format("'{}' needs at least {} arguments, {} found",
                              at_ ? words_[at_ - 1] : "", needed, count()),
                  status);
}
__u32 Words::number(const char* what) {
    const std::string word = take();
    char* end = nullptr;
    const unsigned long value = std::strtoul(word.c_str(), &end, 0);
    if (word.empty() || *end || value > 0xffffffff)
        throw Failure(fmt::format("can't parse {} as {}", word, what));
    return static_cast<__u32>(value);
}

bool handle_follows(const Words& words) {
    if (words.count() != 0 && words.count() != 2)
        throw Failure(fmt::format("what is '{}'?", words.peek()));
    return !words.empty();
}

Output pin(Fd (*object)(Words&), Words& words) {
    words.need(3, kInvalid);
    const Fd fd = object(words);
    words.need(1);
    const std::string path = words.take();
    if (bpf_obj_pin(fd.get(), path.c_str()))
        fail_errno(fmt::format("can't pin the object ({})", path));
    return {};
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
std::vector<Fd> all_types() {
    return all(bpf_btf_get_next_id, bpf_btf_get_fd_by_id);
}

std::vector<Fd> programs(Words& words) {
    constexpr size_t kFullName = 128;  // the longest in type information
    if (words.take_if("id")) return one(by_id(bpf_prog_get_fd_by_id, words, "get by id"));
    if (words.take_if("tag")) {
        const std::string its = tag(words);
        return those(all_programs(), [&](int fd) { return tag_of(program_info(fd)) == its; });
    }
    if (words.take_if("name")) {
        const std::string its = name(words, kFullName).substr(0, BPF_OBJ_NAME_LEN - 1);
        return those(all_programs(), [&](int fd) { return its == program_info(fd).name; });
    }
    if (words.take_if("pinned")) return one(pinned(kProgram, words.take()));
    no_handle("'id', 'tag', 'name' or 'pinned'", words);
}
Fd program(Words& words) {
    return only(programs(words), "programs");
}

std::vector<Fd> maps(Words& words) {
    if (words.take_if("id")) return one(by_id(bpf_map_get_fd_by_id, words, "get map by id"));
    if (words.take_if("name")) {
        const std::string its = name(words, BPF_OBJ_NAME_LEN);
        return those(all_maps(), [&](int fd) { return its == map_info(fd).name; });
    }
    if (words.take_if("pinned")) return one(pinned(kMap, words.take()));
    no_handle("'id', 'name' or 'pinned'", words);
}
Fd map(Words& words) {
    return only(maps(words), "maps");
}

Fd link(Words& words) {
    if (words.take_if("id")) {
        const __u32 id = words.number("ID");
        Fd fd(bpf_link_get_fd_by_id(id));
        if (!fd) fail_errno(fmt::format("failed to get link with ID {}", static_cast<int>(id)));
        return fd;
    }
    if (words.take_if("pinned")) return pinned(kLink, words.take());
    no_handle("'id' or 'pinned'", words);
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

std::shared_ptr<const ebpf::btf::Types> types_of(__u32 btf_id) {
    if (btf_id == 0) return nullptr;
    const Fd fd(bpf_btf_get_fd_by_id(btf_id));
    if (!fd) fail_errno(fmt::format("can't get type information ({})", btf_id), kFailed);
    std::vector<std::byte> bytes(info_of<bpf_btf_info>(fd.get()).btf_size);
    bpf_btf_info info{};
    info.btf = reinterpret_cast<__u64>(bytes.data());
    info.btf_size = static_cast<__u32>(bytes.size());
    __u32 size = sizeof info;
    if (bpf_obj_get_info_by_fd(fd.get(), &info, &size)) fail_errno("can't get type information");
    const auto types = ebpf::btf::Types::parse(bytes);
    if (!types) fail_error("type information", types.error());
    return *types;
}

std::vector<std::string> pins(__u32 type, __u32 id) {
    std::vector<std::string> found;
    for (const std::string& path : pinned_paths(type)) {
        const Fd fd(bpf_obj_get(path.c_str()));
        if (!fd) continue;
        const __u32 its = type == kMap.type    ? info_of<bpf_map_info>(fd.get()).id
                          : type == kLink.type ? info_of<bpf_link_info>(fd.get()).id
                                               : info_of<bpf_prog_info>(fd.get()).id;
        if (its == id) found.push_back(path);
    }
    return found;
}

void show_pins(const Options& options, __u32 type, __u32 id, Json& json, std::string& text) {
    if (!options.pins) return;
    const std::vector<std::string> paths = pins(type, id);
    if (paths.empty()) return;
    json["pinned"] = paths;
    for (const std::string& path : paths) text += fmt::format("\n\tpinned {}", path);
}

}  // namespace bpftool
