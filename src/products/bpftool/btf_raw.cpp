// SPDX-License-Identifier: MIT
// Types one by one, as they stand in type information. Their members in JSON are their text, too:
// "name=value" in the same order, with few exceptions.
#include <fmt/format.h>

#include "products/bpftool/tool.hpp"

namespace bpftool {
namespace {

using ebpf::btf::Kind;
using ebpf::btf::Type;
using ebpf::btf::View;

constexpr const char* kKinds[] = {"UNKNOWN", "INT",      "PTR",      "ARRAY",      "STRUCT",
                                  "UNION",   "ENUM",     "FWD",      "TYPEDEF",    "VOLATILE",
                                  "CONST",   "RESTRICT", "FUNC",     "FUNC_PROTO", "VAR",
                                  "DATASEC", "FLOAT",    "DECL_TAG", "TYPE_TAG",   "ENUM64"};
static_assert(std::size(kKinds) == ebpf::btf::kKindCount);

std::string name_at(const View& types, __u32 offset) {
    const std::string name(types.string(offset).value_or(""));
    return name.empty() ? "(anon)" : name;
}

const char* linkage_name(__u32 linkage) {
    constexpr const char* kNames[] = {"static", "global", "extern"};
    return linkage < std::size(kNames) ? kNames[linkage] : "(unknown)";
}

const char* encoding_name(__u8 encoding) {
    switch (encoding) {
        case 0:
            return "(none)";
        case 1:
            return "SIGNED";
        case 2:
            return "CHAR";
        case 4:
            return "BOOL";
        default:
            return "UNKN";
    }
}

void put_members(const View& types, const Type& type, Json& json) {
    json["size"] = type.size();
    json["vlen"] = type.count;
    Json& list = json["members"] = Json::array();
    for (__u32 i = 0; i < type.count; ++i) {
        const auto member = types.member(type, i);
        if (!member) return;
        Json its = {{"name", name_at(types, member->name_offset)},
                    {"type_id", member->type},
                    {"bits_offset", member->bit_offset}};
        if (member->bit_size != 0) its["bitfield_size"] = member->bit_size;
        list.push_back(std::move(its));
    }
}

void put_enumerators(const View& types, const Type& type, Json& json) {
    json["encoding"] = type.kind_flag ? "SIGNED" : "UNSIGNED";
    json["size"] = type.size();
    json["vlen"] = type.count;
    Json& list = json["values"] = Json::array();
    for (__u32 i = 0; i < type.count; ++i) {
        const auto enumerator = types.enumerator(type, i);
        if (!enumerator) return;
        Json its = {{"name", name_at(types, enumerator->name_offset)}};
        const bool narrow = type.kind == Kind::Enum && !type.kind_flag;
        if (type.kind_flag) its["val"] = static_cast<__s64>(enumerator->value);
        if (!type.kind_flag)
            its["val"] = narrow ? static_cast<__u32>(enumerator->value) : enumerator->value;
        list.push_back(std::move(its));
    }
}

void put_parameters(const View& types, const Type& type, Json& json) {
    json["ret_type_id"] = type.ref();
    json["vlen"] = type.count;
    Json& list = json["params"] = Json::array();
    for (__u32 i = 0; i < type.count; ++i) {
        if (const auto parameter = types.parameter(type, i))
            list.push_back(
                {{"name", name_at(types, parameter->name_offset)}, {"type_id", parameter->type}});
    }
}

void put_variables(const View& types, const Type& type, Json& json) {
    json["size"] = type.size();
    json["vlen"] = type.count;
    Json& list = json["vars"] = Json::array();
    for (__u32 i = 0; i < type.count; ++i) {
        if (const auto variable = types.variable(type, i))
            list.push_back({{"type_id", variable->type},
                            {"offset", variable->offset},
                            {"size", variable->size}});
    }
}

void put_integer(const View& types, const Type& type, Json& json) {
    json["size"] = type.size();
    if (const auto info = types.integer(type)) {
        json["bits_offset"] = info->bit_offset;
        json["nr_bits"] = info->bits;
        json["encoding"] = encoding_name(info->encoding);
    }
}

void put_array(const View& types, const Type& type, Json& json) {
    if (const auto info = types.array(type)) {
        json["type_id"] = info->element;
        json["index_type_id"] = info->index;
        json["nr_elems"] = info->count;
    }
}

void put_linkage(__u32 linkage, const Type& type, Json& json) {
    json["type_id"] = type.ref();
    json["linkage"] = linkage_name(linkage);
}

void put_kind(const View& types, const Type& type, Json& json) {
    switch (type.kind) {
        case Kind::Int:
            return put_integer(types, type, json);
        case Kind::Array:
            return put_array(types, type, json);
        case Kind::Struct:
        case Kind::Union:
            return put_members(types, type, json);
        case Kind::Enum:
        case Kind::Enum64:
            return put_enumerators(types, type, json);
        case Kind::Fwd:
            json["fwd_kind"] = type.kind_flag ? "union" : "struct";
            return;
        case Kind::Func:
            return put_linkage(type.count, type, json);
        case Kind::Var:
            return put_linkage(
                static_cast<__u32>(types.linkage(type).value_or(ebpf::btf::Linkage::Static)), type,
                json);
        case Kind::FuncProto:
            return put_parameters(types, type, json);
        case Kind::Datasec:
            return put_variables(types, type, json);
        case Kind::Float:
            json["size"] = type.size();
            return;
        case Kind::DeclTag:
            json["type_id"] = type.ref();
            json["component_idx"] = types.decl_tag_component(type).value_or(-1);
            return;
        case Kind::Ptr:
        case Kind::Typedef:
        case Kind::Volatile:
        case Kind::Const:
        case Kind::Restrict:
        case Kind::TypeTag:
            json["type_id"] = type.ref();
            return;
        case Kind::Void:
            return;
    }
}

std::string plain(const Json& value) {
    return value.is_string() ? value.get<std::string>() : value.dump();
}

// The value of an enumerator of 64 bits says so.
std::string element_text(const View& types, const Json& type, const Json& element) {
    std::string text = "\n\t";
    const bool named = element.contains("name");
    if (named) text += fmt::format("'{}'", plain(element["name"]));
    const std::string wide = type["kind"] != "ENUM64"         ? ""
                             : type["encoding"] == "UNSIGNED" ? "ULL"
                                                              : "LL";
    for (const auto& [key, value] : element.items()) {
        if (key == "name") continue;
        if (text.size() > 2) text += ' ';
        text += fmt::format("{}={}{}", key, plain(value), wide);
    }
    if (named) return text;
    const auto variable = types.type(element["type_id"].get<__u32>());  // of a section
    if (!variable) return text;
    return text + fmt::format(" ({} '{}')", kKinds[static_cast<int>(variable->kind)],
                              name_at(types, variable->name_offset));
}

}  // namespace

Json raw_json(const View& types, const Type& type) {
    Json json = {{"id", type.id},
                 {"kind", kKinds[static_cast<int>(type.kind)]},
                 {"name", name_at(types, type.name_offset)}};
    put_kind(types, type, json);
    return json;
}

std::string raw_text(const View& types, const Json& type) {
    std::string text = fmt::format("[{}] {} '{}'", type["id"].get<__u32>(), plain(type["kind"]),
                                   plain(type["name"]));
    std::string elements;
    for (const auto& [key, value] : type.items()) {
        if (key == "id" || key == "kind" || key == "name") continue;
        if (value.is_array()) {
            for (const Json& element : value) elements += element_text(types, type, element);
        } else {
            if (key == "linkage" && type["kind"] == "VAR") text += ',';
            text += fmt::format(" {}={}", key, plain(value));
        }
    }
    return text + elements + '\n';
}

}  // namespace bpftool
