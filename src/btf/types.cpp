// SPDX-License-Identifier: MIT
#include "btf/types.hpp"

#include <bit>

namespace ebpf::btf {
namespace {

u32 hash_of(std::string_view name) {
    u32 hash = 2166136261u;  // FNV-1a
    for (const char c : essential_name(name)) {
        hash = (hash ^ static_cast<u8>(c)) * 16777619u;
    }
    return hash ^ hash >> 15;
}

}  // namespace

std::string_view essential_name(std::string_view name) {
    // The last "___" with another character before and behind it.
    for (std::size_t at = name.rfind("___"); at != name.npos && at > 0;
         at = name.rfind("___", at - 1)) {
        const bool ends = at + 3 < name.size() && name[at + 3] != '_';
        if (ends && name[at - 1] != '_') return name.substr(0, at);
    }
    return name;
}

Result<std::shared_ptr<const Types>> Types::parse(Bytes section) {
    std::shared_ptr<Types> types(new Types);
    types->bytes_.assign(section.begin(), section.end());
    TRY_ASSIGN(types->view_, View::open(types->bytes_));
    TRY_ASSIGN(const u32 count, types->view_.count_types());
    types->offsets_.resize(count);
    TRY(types->view_.index(types->offsets_));
    TRY(types->view_.validate());
    types->index_names();
    return types;
}

// Sorts the named types into about as many buckets, by counting.
void Types::index_names() {
    const u32 count = view_.type_count();
    const u32 buckets = std::bit_ceil(count);
    std::vector<u32> hashes(count);
    first_.assign(buckets + 1, 0);
    for (u32 id = 1; id < count; ++id) {
        const auto type = view_.type(id);
        const auto name = type ? view_.name(*type) : std::string_view{};
        if (!name || name->empty()) continue;
        hashes[id] = hash_of(*name) % buckets + 1;
        ++first_[hashes[id]];
    }
    for (u32 b = 1; b <= buckets; ++b) first_[b] += first_[b - 1];
    named_.resize(first_[buckets]);
    std::vector<u32> next(first_);
    for (u32 id = 1; id < count; ++id) {
        if (hashes[id] != 0) named_[next[hashes[id] - 1]++] = id;
    }
}

std::span<const u32> Types::candidates(std::string_view name) const {
    const u32 buckets = static_cast<u32>(first_.size() - 1);
    const u32 b = hash_of(name) % buckets;
    return std::span(named_).subspan(first_[b], first_[b + 1] - first_[b]);
}

Result<Type> Types::find(Kind kind, std::string_view name) const {
    if (name.empty()) return fail(Errc::ObjectNotFound, {}, "type name");
    for (const u32 id : candidates(name)) {
        TRY_ASSIGN(const Type type, view_.type(id));
        if (type.kind != kind) continue;
        TRY_ASSIGN(const std::string_view its_name, view_.name(type));
        if (its_name == name) return type;
    }
    return fail(Errc::ObjectNotFound, {}, "type name");
}

}  // namespace ebpf::btf
