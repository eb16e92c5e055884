// SPDX-License-Identifier: MIT
// bpftool map
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <net/if.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "products/bpftool/tool.hpp"

namespace bpftool {
namespace {

std::string type_name(__u32 type) {
    const char* name = libbpf_bpf_map_type_str(static_cast<bpf_map_type>(type));
    return name ? name : fmt::format("type {}", type);
}

bool of_maps(const bpf_map_info& info) {
    return info.type == BPF_MAP_TYPE_ARRAY_OF_MAPS || info.type == BPF_MAP_TYPE_HASH_OF_MAPS;
}
std::string head_text(const bpf_map_info& info) {
    std::string text = fmt::format("{}: {}  ", info.id, type_name(info.type));
    if (info.name[0]) text += fmt::format("name {}  ", info.name);
    return text + fmt::format("flags 0x{:x}\n", info.map_flags);
}
Json head_json(const bpf_map_info& info) {
    Json json = {{"id", info.id}, {"type", type_name(info.type)}};
    if (info.name[0]) json["name"] = info.name;
    json["flags"] = info.map_flags;
    return json;
}

void show(const Options& options, int fd, Output& out) {
    const bpf_map_info info = map_info(fd);
    Json json = head_json(info);
    json["bytes_key"] = info.key_size;
    json["bytes_value"] = info.value_size;
    json["max_entries"] = info.max_entries;
    std::string text =
        head_text(info) + fmt::format("\tkey {}B  value {}B  max_entries {}", info.key_size,
                                      info.value_size, info.max_entries);
    show_pins(options, kPinnedMap, info.id, json, text);
    if (info.btf_id) {
        json["btf_id"] = info.btf_id;
        text += fmt::format("\n\tbtf_id {}", info.btf_id);
    }
    out.json.push_back(json);
    out.text += text + "\n";
}

// DATA := { [hex] BYTES }. A byte past 255 is an error here; bpftool takes its lowest eight bits.
Bytes data(Words& words, const char* what, size_t size) {
    const int base = words.take_if("hex") ? 16 : 0;
    Bytes bytes;
    while (bytes.size() < size) {
        if (words.empty())
            throw Failure(fmt::format("{} expected {} bytes got {}", what, size, bytes.size()));
        const std::string word = words.take();
        char* end = nullptr;
        const unsigned long byte = std::strtoul(word.c_str(), &end, base);
        if (word.empty() || *end || byte > 255) throw Failure("error parsing byte: " + word);
        bytes.push_back(static_cast<unsigned char>(byte));
    }
    return bytes;
}

// An element as the command line says it. `object` is what its value names, and has to stay open
// until the update.
struct Element {
    std::optional<Bytes> key, value;
    std::optional<__u64> flags;
    Fd object;
};

// VALUE := { DATA | MAP | PROG }, as the map's type wants it; the same for each CPU.
Bytes value_of(const Options& options, Words& words, const bpf_map_info& info, Fd& object) {
    if (of_maps(info) || info.type == BPF_MAP_TYPE_PROG_ARRAY) {
        if (words.count() < 2) {
            throw Failure(fmt::format("not enough value arguments for map {}",
                                      of_maps(info) ? "in map" : "of progs"));
        }
        if (!of_maps(info) && words.next_is("id") && !options.json) {
            fmt::print(stderr,
                       "Warning: updating program array via MAP_ID, make sure this map is kept "
                       "open\n         by some process or pinned otherwise update will be lost\n");
        }
        object = of_maps(info) ? map(words) : program(words);
        const int number = object.get();
        Bytes bytes(sizeof number);
        std::memcpy(bytes.data(), &number, sizeof number);
        return bytes;
    }
    Bytes one = data(words, "value", info.value_size);
    if (!per_cpu(info)) return one;
    Bytes all(value_bytes(info));
    for (size_t at = 0; at < all.size(); at += slot_size(info))
        std::copy(one.begin(), one.end(), all.begin() + static_cast<long>(at));
    return all;
}

// The rest of the words, in any order. What a command has no use for, or has had, is an error.
Element element(const Options& options, Words& words, const bpf_map_info& info, bool with_value) {
    constexpr struct {
        const char* word;
        __u64 flags;
    } kFlags[] = {{"any", BPF_ANY}, {"noexist", BPF_NOEXIST}, {"exist", BPF_EXIST}};
    Element its;
    while (!words.empty()) {
        if (words.take_if("key")) {
            if (info.key_size == 0) throw Failure("unnecessary key");
            if (its.key) throw Failure("duplicate key");
            its.key = data(words, "key", info.key_size);
        } else if (words.take_if("value")) {
            if (!with_value) throw Failure("unnecessary value");
            if (its.value) throw Failure("duplicate value");
            its.value = value_of(options, words, info, its.object);
        } else {
            const auto* const flag =
                std::find_if(std::begin(kFlags), std::end(kFlags),
                             [&](const auto& one) { return words.next_is(one.word); });
            if (flag == std::end(kFlags))
                throw Failure("expected key or value, got: " + words.peek());
            if (its.flags || !with_value)
                throw Failure("flags specified multiple times: " + words.peek());
            its.flags = flag->flags;
            (void)words.take();
        }
    }
    if (info.key_size != 0 && !its.key) throw Failure("did not find key");
    if (with_value && !its.value) throw Failure("did not find value");
    if (!its.key) its.key.emplace();
    return its;
}

// The elements of one map; the status says whether they could be walked.
Json dump(int fd, const bpf_map_info& info, const Elements& elements, Output& out) {
    Json entries = Json::array();
    Bytes key(info.key_size), next(info.key_size);
    for (bool first = true;
         bpf_map_get_next_key(fd, first ? nullptr : key.data(), next.data()) == 0; first = false) {
        key = next;
        Bytes value(value_bytes(info));
        if (bpf_map_lookup_elem(fd, key.data(), value.data()) == 0) {
            entries.push_back(elements.json(key, value));
            if (!elements.typed()) out.text += elements.text(key, value);
        } else if (errno != ENOENT) {  // else it went meanwhile, or there is none in the slot
            entries.push_back(
                {{"key", hex_json(key)}, {"value", {{"error", std::strerror(errno)}}}});
            out.text += fmt::format("key:\n{}\nvalue:\n{}\n", hex(key), std::strerror(errno));
        }
    }
    if (errno != ENOENT) out.status = status_of(errno);
    const size_t count = entries.size();
    out.text += fmt::format("Found {} element{}\n", count, count == 1 ? "" : "s");
    return entries;
}

std::optional<bpf_map_type> type_of(const std::string& name) {
    for (int type = 0; type < 64; ++type) {
        const char* its = libbpf_bpf_map_type_str(static_cast<bpf_map_type>(type));
        if (its && name == its) return static_cast<bpf_map_type>(type);
    }
    return std::nullopt;
}

}  // namespace

Output map_show(const Options& options, Words& words) {
    Output out;
    out.json = Json::array();
    const bool one = handle_follows(words);
    for (const Fd& fd : one ? maps(words) : all_maps()) show(options, fd.get(), out);
    if (one && out.json.size() == 1) out.json = Json(out.json[0]);
    return out;
}

Output map_create(const Options&, Words& words) {
    words.need(7);
    const std::string path = words.take();
    std::optional<bpf_map_type> type;
    __u32 key_size = 0, value_size = 0, entries = 0, flags = 0;
    const struct {
        const char* word;
        const char* what;
        __u32* value;
    } kNumbers[] = {{"key", "key size", &key_size},
                    {"value", "value size", &value_size},
                    {"entries", "max entries", &entries},
                    {"flags", "flags", &flags}};
    std::string name;
    Fd inner;
    while (!words.empty()) {
        words.need(2);
        if (words.take_if("type")) {
            if (type) throw Failure("map type already specified");
            const std::string word = words.take();
            type = type_of(word);
            if (!type) throw Failure("unrecognized map type: " + word);
        } else if (words.take_if("name")) {
            name = words.take();
        } else if (words.take_if("dev")) {
            const std::string device = words.take();
            if (if_nametoindex(device.c_str()) == 0)
                fail_errno(fmt::format("unrecognized netdevice '{}'", device), kFailed);
            throw Failure("maps cannot be put into network hardware");
        } else if (words.take_if("inner_map")) {
            inner = map(words);
        } else {
            const auto* const number =
                std::find_if(std::begin(kNumbers), std::end(kNumbers),
                             [&](const auto& its) { return words.take_if(its.word); });
            if (number == std::end(kNumbers)) throw Failure("unknown arg " + words.peek());
            if (*number->value != 0)
                throw Failure(fmt::format("{} already specified", number->what));
            *number->value = words.number(number->what);
        }
    }
    if (!type) throw Failure("map type not specified");
    if (name.empty()) throw Failure("map name not specified");
    LIBBPF_OPTS(bpf_map_create_opts, options);
    options.map_flags = flags;
    if (inner) options.inner_map_fd = static_cast<__u32>(inner.get());
    const Fd fd(bpf_map_create(*type, name.substr(0, BPF_OBJ_NAME_LEN - 1).c_str(), key_size,
                               value_size, entries, &options));
    if (!fd) fail_errno("map create failed", kFailed);
    if (bpf_obj_pin(fd.get(), path.c_str()))
        fail_errno(fmt::format("can't pin the object ({})", path));
    return {};
}

Output map_dump(const Options& options, Words& words) {
    if (words.count() != 2) throw ShowUsage();
    const std::vector<Fd> found = maps(words);
    const bool several = found.size() > 1;
    Output out;
    bool typed = false;
    out.json = Json::array();
    for (const Fd& fd : found) {
        const bpf_map_info info = map_info(fd.get());
        const Elements elements(options, info);
        typed = typed || elements.typed();
        if (several && !out.text.empty()) out.text += '\n';
        if (several) out.text += head_text(info);
        Json page = dump(fd.get(), info, elements, out);
        if (several) {
            out.json.push_back(head_json(info));
            out.json.back()["elements"] = std::move(page);
        } else {
            out.json = std::move(page);
        }
    }
    if (typed) out.text = json_text(out.json, true) + "\n";
    return out;
}

Output map_update(const Options& options, Words& words) {
    if (words.count() < 2) throw ShowUsage();
    const Fd fd = map(words);
    const Element its = element(options, words, map_info(fd.get()), true);
    if (bpf_map_update_elem(fd.get(), its.key->data(), its.value->data(),
                            its.flags.value_or(BPF_ANY)))
        fail_errno("update failed");
    return {};
}

Output map_lookup(const Options& options, Words& words) {
    if (words.count() < 2) throw ShowUsage();
    const Fd fd = map(words);
    const bpf_map_info info = map_info(fd.get());
    const Bytes key = *element(options, words, info, false).key;
    Bytes value(value_bytes(info));
    Output out;
    if (bpf_map_lookup_elem(fd.get(), key.data(), value.data()) == 0) {
        const Elements elements(options, info);
        out.json = elements.json(key, value);
        out.text = elements.text(key, value);
    } else if (errno == ENOENT) {
        out.text = "key:\n" + hex(key) + "\n\nNot found\n";
        out.status = status_of(ENOENT);
    } else {
        fail_errno("lookup failed");
    }
    return out;
}

Output map_getnext(const Options& options, Words& words) {
    if (words.count() < 2) throw ShowUsage();
    const Fd fd = map(words);
    const bpf_map_info info = map_info(fd.get());
    const bool from = !words.empty();
    const Bytes key = from ? *element(options, words, info, false).key : Bytes{};
    Bytes next(info.key_size);
    if (bpf_map_get_next_key(fd.get(), from ? key.data() : nullptr, next.data()))
        fail_errno("can't get next key");
    Output out;
    out.json["key"] = from ? hex_json(key) : Json();
    out.json["next_key"] = hex_json(next);
    out.text = from ? "key:\n" + hex(key) + "\n" : "key: None\n";
    out.text += "next key:\n" + hex(next) + "\n";
    return out;
}

Output map_delete(const Options& options, Words& words) {
    if (words.count() < 2) throw ShowUsage();
    const Fd fd = map(words);
    const Element its = element(options, words, map_info(fd.get()), false);
    if (bpf_map_delete_elem(fd.get(), its.key->data())) fail_errno("delete failed");
    return {};
}

Output map_pop(const Options& options, Words& words) {
    if (words.count() < 2) throw ShowUsage();
    const Fd fd = map(words);
    const bpf_map_info info = map_info(fd.get());
    Bytes value(value_bytes(info));
    Output out;
    if (bpf_map_lookup_and_delete_elem(fd.get(), nullptr, value.data()) == 0) {
        const Elements elements(options, info);
        out.json = elements.json({}, value);
        out.text = elements.text({}, value);
    } else if (errno == ENOENT) {
        out.text = "Error: empty map\n";
        out.status = status_of(ENOENT);
    } else {
        fail_errno("pop failed");
    }
    return out;
}

Output map_freeze(const Options&, Words& words) {
    words.need(2);
    const Fd fd = map(words);
    if (!words.empty()) throw Failure(fmt::format("what is '{}'?", words.peek()));
    if (bpf_map_freeze(fd.get())) fail_errno("failed to freeze map");
    return {};
}

Output map_pin(const Options&, Words& words) {
    return pin(map, words);
}

}  // namespace bpftool
