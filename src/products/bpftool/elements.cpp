// SPDX-License-Identifier: MIT
// How the elements of maps are shown.
#include <fmt/format.h>

#include <bpf/libbpf.h>

#include <cctype>

#include "btf/value.hpp"
#include "products/bpftool/tool.hpp"

namespace bpftool {
namespace {

using ebpf::btf::ValuePart;

std::string wide_hex(const ValuePart& part) {
    return part.high ? fmt::format("0x{:x}{:016x}", part.high, part.low)
                     : fmt::format("0x{:x}", part.low);
}

Json character(char c, bool plain) {
    if (std::isprint(static_cast<unsigned char>(c))) return std::string(1, c);
    const unsigned byte = static_cast<unsigned char>(c);
    return literal(plain ? fmt::format("0x{:x}", byte) : fmt::format("\"\\u00{:02x}\"", byte));
}

// A text shows numbers of bits and pointers as C does; JSON has no such words.
Json leaf(const ValuePart& part, bool plain) {
    using Kind = ValuePart::Kind;
    switch (part.kind) {
        case Kind::Signed:
            return static_cast<__s64>(part.low);
        case Kind::Unsigned:
            return part.low;
        case Kind::Bits:
            return plain ? literal(wide_hex(part)) : Json(wide_hex(part));
        case Kind::Boolean:
            return part.low != 0;
        case Kind::Character:
            return character(static_cast<char>(part.low), plain);
        case Kind::Text:
        case Kind::Enumerator:
            return std::string(part.text);
        case Kind::Pointer:
            if (!plain) return part.low;
            return literal(part.low ? fmt::format("0x{:x}", part.low) : "(nil)");
        case Kind::Real:
            return part.real;
        case Kind::Structure:
            return Json::object();
        case Kind::Array:
            return Json::array();
        case Kind::End:
        case Kind::Unknown:
            break;
    }
    return {};
}

// Puts `part` behind what the structure or array has, though its name be there already: anonymous
// members have none.
Json& append(Json& to, std::string_view name, Json part) {
    if (to.is_array()) {
        to.push_back(std::move(part));
        return to.back();
    }
    auto& members = to.get_ref<Json::object_t&>();
    members.push_back({std::string(name), std::move(part)});
    return members.back().second;
}

}  // namespace

Json typed_json(const ebpf::btf::Types& types, __u32 type, std::span<const unsigned char> value,
                bool plain) {
    Json whole = Json::array();
    std::vector<Json*> open = {&whole};
    const auto walked =
        ebpf::btf::walk_value(types.view(), type, std::as_bytes(value), [&](const ValuePart& part) {
            if (part.kind == ValuePart::Kind::End) {
                open.pop_back();
                return;
            }
            Json& put = append(*open.back(), part.name, leaf(part, plain));
            if (put.is_structured()) open.push_back(&put);
        });
    if (!walked) fail_error("a value by its type", walked.error());
    return std::move(whole[0]);
}

bool per_cpu(const bpf_map_info& info) {
    return info.type == BPF_MAP_TYPE_PERCPU_HASH || info.type == BPF_MAP_TYPE_PERCPU_ARRAY ||
           info.type == BPF_MAP_TYPE_LRU_PERCPU_HASH ||
           info.type == BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE;
}
size_t slot_size(const bpf_map_info& info) {
    return (info.value_size + 7u) / 8 * 8;
}
size_t value_bytes(const bpf_map_info& info) {
    return per_cpu(info) ? slot_size(info) * static_cast<size_t>(libbpf_num_possible_cpus())
                         : info.value_size;
}

Elements::Elements(const Options& options, const bpf_map_info& info)
    : info_(info), plain_(!options.json), types_(types_of(info.btf_id)) {}

// The value, or that of each CPU, as `show` has it.
template <typename Show>
void Elements::put_values(Json& json, const Bytes& value, Show&& show) const {
    if (!per_cpu(info_)) {
        json["value"] = show(value);
        return;
    }
    json["values"] = Json::array();
    for (size_t at = 0, cpu = 0; at < value.size(); at += slot_size(info_), ++cpu) {
        const Bytes one(value.begin() + static_cast<long>(at),
                        value.begin() + static_cast<long>(at + info_.value_size));
        json["values"].push_back({{"cpu", cpu}, {"value", show(one)}});
    }
}

Json Elements::bytes(const Bytes& key, const Bytes& value) const {
    Json json = {{"key", hex_json(key)}};
    put_values(json, value, hex_json);
    return json;
}

Json Elements::meaning(const Bytes& key, const Bytes& value) const {
    Json json = Json::object();
    if (info_.btf_key_type_id)
        json["key"] = typed_json(*types_, info_.btf_key_type_id, key, plain_);
    put_values(json, value, [&](const Bytes& one) {
        return typed_json(*types_, info_.btf_value_type_id, one, plain_);
    });
    return json;
}

Json Elements::json(const Bytes& key, const Bytes& value) const {
    if (typed() && plain_) return meaning(key, value);
    Json json = bytes(key, value);
    if (typed()) json["formatted"] = meaning(key, value);
    return json;
}

std::string Elements::text(const Bytes& key, const Bytes& value) const {
    if (typed()) return json_text(meaning(key, value), true) + "\n";
    constexpr size_t kLine = 16;
    if (!per_cpu(info_)) {
        const bool line =
            key.size() <= kLine && value.size() <= kLine && key.size() + value.size() <= 24;
        const char* const gap = line ? " " : "\n";
        const std::string front =
            key.empty() ? "" : fmt::format("key:{}{}{}", gap, hex(key), line ? "  " : "\n");
        return fmt::format("{}value:{}{}\n", front, gap, hex(value));
    }
    std::string text = "key:\n" + hex(key) + "\n";
    for (size_t at = 0, cpu = 0; at < value.size(); at += slot_size(info_), ++cpu) {
        const Bytes one(value.begin() + static_cast<long>(at),
                        value.begin() + static_cast<long>(at + info_.value_size));
        text += fmt::format("value (CPU {:02}):{}{}\n", cpu, info_.value_size > kLine ? '\n' : ' ',
                            hex(one));
    }
    return text;
}

}  // namespace bpftool
