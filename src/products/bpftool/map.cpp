// SPDX-License-Identifier: MIT
// bpftool map
#include <bpf/libbpf.h>
#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "products/bpftool/tool.hpp"

namespace bpftool {
namespace {

using Bytes = std::vector<unsigned char>;

constexpr __u32 kPinnedMap = 1;

std::string type_name(__u32 type) {
    const char* name = libbpf_bpf_map_type_str(static_cast<bpf_map_type>(type));
    return name ? name : fmt::format("type {}", type);
}

bool per_cpu(const bpf_map_info& info) {
    return info.type == BPF_MAP_TYPE_PERCPU_HASH || info.type == BPF_MAP_TYPE_PERCPU_ARRAY ||
           info.type == BPF_MAP_TYPE_LRU_PERCPU_HASH ||
           info.type == BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE;
}
bool of_maps(const bpf_map_info& info) {
    return info.type == BPF_MAP_TYPE_ARRAY_OF_MAPS || info.type == BPF_MAP_TYPE_HASH_OF_MAPS;
}
size_t slot_size(const bpf_map_info& info) {
    return (info.value_size + 7u) / 8 * 8;
}
// Bytes that a lookup returns.
size_t value_bytes(const bpf_map_info& info) {
    return per_cpu(info) ? slot_size(info) * static_cast<size_t>(libbpf_num_possible_cpus())
                         : info.value_size;
}

void show(const Options& options, int fd, Output& out) {
    const bpf_map_info info = map_info(fd);
    Json json = {{"id", info.id}, {"type", type_name(info.type)}};
    std::string text = fmt::format("{}: {}  ", info.id, type_name(info.type));
    if (info.name[0]) {
        json["name"] = info.name;
        text += fmt::format("name {}  ", info.name);
    }
    json["flags"] = info.map_flags;
    json["bytes_key"] = info.key_size;
    json["bytes_value"] = info.value_size;
    json["max_entries"] = info.max_entries;
    text += fmt::format("flags 0x{:x}\n\tkey {}B  value {}B  max_entries {}", info.map_flags,
                        info.key_size, info.value_size, info.max_entries);
    show_pins(options, kPinnedMap, info.id, json, text);
    if (info.btf_id) {
        json["btf_id"] = info.btf_id;
        text += fmt::format("\n\tbtf_id {}", info.btf_id);
    }
    out.json.push_back(json);
    out.text += text + "\n";
}

// DATA := { [hex] BYTES }
Bytes data(Words& words, const char* what, size_t size) {
    const int base = words.take_if("hex") ? 16 : 0;
    Bytes bytes;
    while (bytes.size() < size) {
        if (words.empty())
            throw Failure(fmt::format("{} expected {} bytes got {}", what, size, bytes.size()));
        const std::string word = words.take("a byte");
        char* end = nullptr;
        const unsigned long byte = std::strtoul(word.c_str(), &end, base);
        if (*end || byte > 255) throw Failure("error parsing byte: " + word);
        bytes.push_back(static_cast<unsigned char>(byte));
    }
    return bytes;
}

Bytes key_of(Words& words, const bpf_map_info& info) {
    if (!words.take_if("key")) throw UsageError("expected 'key'");
    return data(words, "key", info.key_size);
}

// VALUE := { DATA | MAP | PROG }, as the map's type wants it; the same for each CPU.
Bytes value_of(Words& words, const bpf_map_info& info) {
    if (of_maps(info) || info.type == BPF_MAP_TYPE_PROG_ARRAY) {
        Fd fd = of_maps(info) ? map(words) : program(words);
        const int number =
            fd.release();  // until the process ends: it has to be there at the update
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

Json entry_json(const bpf_map_info& info, const Bytes& key, const Bytes& value) {
    Json json = {{"key", hex_json(key)}};
    if (!per_cpu(info)) {
        json["value"] = hex_json(value);
        return json;
    }
    json["values"] = Json::array();
    for (size_t at = 0, cpu = 0; at < value.size(); at += slot_size(info), ++cpu) {
        const Bytes one(value.begin() + static_cast<long>(at),
                        value.begin() + static_cast<long>(at + info.value_size));
        json["values"].push_back({{"cpu", cpu}, {"value", hex_json(one)}});
    }
    return json;
}

std::string entry_text(const bpf_map_info& info, const Bytes& key, const Bytes& value) {
    if (!per_cpu(info)) {
        const bool line = key.size() + value.size() <= 24;
        return fmt::format("key:{}{}{}value:{}{}\n", line ? ' ' : '\n', hex(key),
                           line ? "  " : "\n", line ? ' ' : '\n', hex(value));
    }
    std::string text = "key:\n" + hex(key) + "\n";
    for (size_t at = 0, cpu = 0; at < value.size(); at += slot_size(info), ++cpu) {
        const Bytes one(value.begin() + static_cast<long>(at),
                        value.begin() + static_cast<long>(at + info.value_size));
        text += fmt::format("value (CPU {:02}):{}{}\n", cpu, info.value_size > 16 ? '\n' : ' ',
                            hex(one));
    }
    return text;
}

void dump(int fd, Output& out) {
    const bpf_map_info info = map_info(fd);
    Json entries = Json::array();
    Bytes key(info.key_size), next(info.key_size);
    for (bool first = true;
         bpf_map_get_next_key(fd, first ? nullptr : key.data(), next.data()) == 0; first = false) {
        key = next;
        Bytes value(value_bytes(info));
        if (bpf_map_lookup_elem(fd, key.data(), value.data()) == 0) {
            entries.push_back(entry_json(info, key, value));
            out.text += entry_text(info, key, value);
        } else if (errno != ENOENT) {  // else it went meanwhile, or there is none in the slot
            entries.push_back(
                {{"key", hex_json(key)}, {"value", {{"error", std::strerror(errno)}}}});
            out.text += fmt::format("key:\n{}\nvalue:\n{}\n", hex(key), std::strerror(errno));
        }
    }
    const size_t count = entries.size();
    out.text += fmt::format("Found {} element{}\n", count, count == 1 ? "" : "s");
    out.json.push_back(std::move(entries));
}

__u32 number(Words& words, const char* what) {
    const std::string word = words.take(what);
    char* end = nullptr;
    const unsigned long value = std::strtoul(word.c_str(), &end, 0);
    if (*end || value > 0xffffffff) throw Failure(fmt::format("can't parse {} as {}", word, what));
    return static_cast<__u32>(value);
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
    const bool one = !words.empty();
    for (const Fd& fd : one ? maps(words) : all_maps()) show(options, fd.get(), out);
    words.nothing_more();
    if (one && out.json.size() == 1) out.json = Json(out.json[0]);
    return out;
}

Output map_create(const Options&, Words& words) {
    const std::string path = words.take("a path to pin at");
    std::optional<bpf_map_type> type;
    __u32 key_size = 0, value_size = 0, entries = 0;
    std::string name;
    LIBBPF_OPTS(bpf_map_create_opts, options);
    std::optional<Fd> inner;
    while (!words.empty()) {
        if (words.take_if("type")) {
            const std::string word = words.take("a map type");
            type = type_of(word);
            if (!type) throw Failure("unrecognized map type: " + word);
        } else if (words.take_if("name")) {
            name = words.take("a name");
        } else if (words.take_if("key")) {
            key_size = number(words, "key size");
        } else if (words.take_if("value")) {
            value_size = number(words, "value size");
        } else if (words.take_if("entries")) {
            entries = number(words, "max entries");
        } else if (words.take_if("flags")) {
            options.map_flags = number(words, "flags");
        } else if (words.take_if("inner_map")) {
            inner.emplace(map(words));
            options.inner_map_fd = static_cast<__u32>(inner->get());
        } else {
            throw UsageError("unknown arg " + words.peek());
        }
    }
    if (!type) throw Failure("map type not specified");
    if (name.empty()) throw Failure("map name not specified");
    const Fd fd(bpf_map_create(*type, name.c_str(), key_size, value_size, entries, &options));
    if (fd.get() < 0) fail_errno("map create failed");
    if (bpf_obj_pin(fd.get(), path.c_str())) fail_errno("can't pin the object (" + path + ")");
    return {};
}

Output map_dump(const Options&, Words& words) {
    const std::vector<Fd> found = maps(words);
    words.nothing_more();
    Output out;
    out.json = Json::array();
    for (const Fd& fd : found) dump(fd.get(), out);
    if (out.json.size() == 1) out.json = Json(out.json[0]);
    return out;
}

Output map_update(const Options&, Words& words) {
    const Fd fd = map(words);
    const bpf_map_info info = map_info(fd.get());
    const Bytes key = info.key_size ? key_of(words, info) : Bytes{};
    if (!words.take_if("value")) throw UsageError("expected 'value'");
    const Bytes value = value_of(words, info);
    __u64 flags = BPF_ANY;
    if (words.take_if("noexist")) {
        flags = BPF_NOEXIST;
    } else if (words.take_if("exist")) {
        flags = BPF_EXIST;
    } else {
        (void)words.take_if("any");
    }
    words.nothing_more();
    if (bpf_map_update_elem(fd.get(), key.data(), value.data(), flags)) fail_errno("update failed");
    return {};
}

Output map_lookup(const Options&, Words& words) {
    const Fd fd = map(words);
    const bpf_map_info info = map_info(fd.get());
    const Bytes key = info.key_size ? key_of(words, info) : Bytes{};
    words.nothing_more();
    Bytes value(value_bytes(info));
    Output out;
    if (bpf_map_lookup_elem(fd.get(), key.data(), value.data()) == 0) {
        out.json = entry_json(info, key, value);
        out.text = entry_text(info, key, value);
    } else if (errno == ENOENT) {
        out.text = "key:\n" + hex(key) + "\n\nNot found\n";
        out.not_found = true;
    } else {
        fail_errno("lookup failed");
    }
    return out;
}

Output map_getnext(const Options&, Words& words) {
    const Fd fd = map(words);
    const bpf_map_info info = map_info(fd.get());
    const bool from = !words.empty();
    const Bytes key = from ? key_of(words, info) : Bytes{};
    words.nothing_more();
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

Output map_delete(const Options&, Words& words) {
    const Fd fd = map(words);
    const Bytes key = key_of(words, map_info(fd.get()));
    words.nothing_more();
    if (bpf_map_delete_elem(fd.get(), key.data())) fail_errno("delete failed");
    return {};
}

Output map_pin(const Options&, Words& words) {
    const Fd fd = map(words);
    const std::string path = words.take("a path");
    words.nothing_more();
    if (bpf_obj_pin(fd.get(), path.c_str())) fail_errno("can't pin the object (" + path + ")");
    return {};
}

}  // namespace bpftool
