// SPDX-License-Identifier: MIT
//
// Maps that are records or sections: the legacy `maps` section, whose records are C structures that
// differ from loader to loader, and the sections of global variables, each of which becomes an
// array with one element. Maps described by types are in object_btf_maps.cpp.
#include <algorithm>
#include <limits>

#include "engine/object_internal.hpp"
#include "spec/map_types.hpp"

namespace ebpf::engine::object {
namespace {

// What the words of a record mean after type, key_size, value_size and max_entries.
enum class Word : u8 { Flags, InnerIndex, NumaNode, Id, Pinning, InnerId };

struct RecordLayout {
    u64 bytes;
    std::span<const Word> words;
};

// struct bpf_map_def of libbpf (20 bytes) and of the kernel's samples (28); struct bpf_elf_map of
// iproute2 as old Cilium objects have it (28: told from the samples' by the map's kind, see
// sample_or_iproute2) and today's (36); eBPF for Windows' record (32).
constexpr Word kLibbpf[] = {Word::Flags};
constexpr Word kSamples24[] = {Word::Flags, Word::InnerIndex};
constexpr Word kSamples28[] = {Word::Flags, Word::InnerIndex, Word::NumaNode};
constexpr Word kIproute28[] = {Word::Flags, Word::Id, Word::Pinning};
constexpr Word kIproute36[] = {Word::Flags, Word::Id, Word::Pinning, Word::InnerId,
                               Word::InnerIndex};
constexpr Word kWindows[] = {Word::InnerIndex, Word::Pinning, Word::Id, Word::InnerId};
constexpr RecordLayout kLayouts[] = {
    {16, {}}, {20, kLibbpf}, {24, kSamples24}, {28, kSamples28}, {32, kWindows}, {36, kIproute36},
};

bool is_map_of_maps(spec::MapType type) {
    return spec::info(type).holds == spec::Holds::Map;
}

u32 word_at(Bytes record, u64 index) {
    return load_le<u32>(record.data() + index * sizeof(u32));
}

// Records of 28 bytes end in {inner_map_idx, numa_node} or {id, pinning}. The samples use the first
// only for maps of maps and the second only with BPF_F_NUMA_NODE.
std::span<const Word> words_of(const RecordLayout& layout, spec::MapType type, u32 flags) {
    const bool samples = is_map_of_maps(type) || (flags & spec::kMapNumaNode) != 0;
    return layout.bytes == 28 && !samples ? std::span<const Word>(kIproute28) : layout.words;
}

}  // namespace

Status Reader::read_maps() {
    TRY(read_legacy_maps());
    TRY(read_btf_maps());
    resolve_inner_maps();
    return read_data_sections();
}

Status Reader::set_map_type(ir::MapDef& map, u64 number) const {
    if (number <= std::numeric_limits<u32>::max()) {
        const auto type = spec::map_type_from_number(object_.dialect, static_cast<u32>(number));
        if (type) {
            map.type = *type;
            return {};
        }
    }
    return fail(Errc::Unsupported, {}, "map type", number);
}

Result<u32> Reader::add_map(ir::MapDef map, Status status, u32 section, u64 offset) {
    if (object_.maps.size() == kMaxMaps) return fail(Errc::TooLarge, {}, "maps", kMaxMaps);
    const u32 index = static_cast<u32>(object_.maps.size());
    object_.maps.push_back(std::move(map));
    object_.map_status.push_back(std::move(status));
    map_at_.emplace(std::pair(section, offset), index);
    return index;
}

Status Reader::read_legacy_maps() {
    for (const elf::Section& section : map_sections_) TRY(read_legacy_section(section));
    return {};
}

Status Reader::read_legacy_section(const elf::Section& section) {
    // A record per symbol; their common size is the section's over their number.
    const auto& names = map_symbols_[section.index];
    if (section.bytes.empty()) return {};
    if (names.empty())
        return fail(Errc::BadFormat, at_section(section.index), "maps without symbols");
    const u64 record_size = section.bytes.size() / names.size();
    if (section.bytes.size() % names.size() != 0 || record_size < kLayouts[0].bytes) {
        return fail(Errc::BadFormat, at_section(section.index), "size of a map record",
                    record_size);
    }
    // The longest layout that fits; what lies beyond must be zero.
    const RecordLayout* layout = &kLayouts[0];
    for (const RecordLayout& candidate : kLayouts) {
        if (candidate.bytes <= record_size) layout = &candidate;
    }

    for (const auto& [offset, name] : names) {
        const auto record = slice(section.bytes, offset, record_size, "map record");
        if (!record || offset % record_size != 0) {
            return fail(Errc::OutOfBounds, at_offset(offset, section.index), "map record");
        }
        ir::MapDef map{.name = copy_name(name)};
        Status status = set_map_type(map, word_at(*record, 0));
        map.key_size = word_at(*record, 1);
        map.value_size = word_at(*record, 2);
        map.max_entries = word_at(*record, 3);
        InnerMap inner{.map = static_cast<u32>(object_.maps.size())};
        const u32 flags = layout->bytes > 16 ? word_at(*record, 4) : 0;
        u64 next = 4;
        for (const Word word : words_of(*layout, map.type, flags)) {
            const u32 value = word_at(*record, next++);
            switch (word) {
                case Word::Flags:
                    map.flags = value;
                    break;
                case Word::InnerIndex:
                    inner.inner_index = value;
                    break;
                case Word::NumaNode:
                    break;  // where the memory lies: no meaning here
                case Word::Id:
                    inner.id = value;
                    break;
                case Word::Pinning:
                    if (value != 0) map.pinning = ir::Pinning::ByName;
                    break;
                case Word::InnerId:
                    inner.inner_id = value;
                    break;
            }
        }
        for (u64 i = layout->bytes; i < record_size; ++i) {
            if ((*record)[i] == std::byte{0} || !status) continue;
            status = fail(Errc::Unsupported, at_offset(offset + i, section.index),
                          "a map record longer than those known");
        }
        inner_maps_.push_back(inner);
        TRY(add_map(std::move(map), std::move(status), section.index, offset));
    }
    return {};
}

void Reader::resolve_inner_maps() {
    std::unordered_map<u32, u32> by_id;
    for (const InnerMap& inner : inner_maps_) {
        if (inner.id != 0) by_id.emplace(inner.id, inner.map);
    }
    for (const InnerMap& inner : inner_maps_) {
        ir::MapDef& map = object_.maps[inner.map];
        if (!is_map_of_maps(map.type) || map.inner != ir::MapDef::kNoInner) continue;
        i64 found = -1;
        if (inner.inner_id != 0) {
            const auto named = by_id.find(inner.inner_id);
            if (named != by_id.end()) found = named->second;
        } else if (inner.inner_index >= 0 &&
                   inner.inner_index < static_cast<i64>(object_.maps.size())) {
            found = inner.inner_index;
        }
        if (found >= 0 && found != inner.map) map.inner = static_cast<i32>(found);
        if (map.inner == ir::MapDef::kNoInner && object_.map_status[inner.map]) {
            object_.map_status[inner.map] =
                fail(Errc::BadFormat, {}, "a map of maps without a definition of the inner map");
        }
    }
}

// Whether an application can know a name in the section: such a section it may want to map
// (libbpf's rule).
bool Reader::has_global_variables(const btf::Type& section) const {
    const btf::View& types = object_.btf->view();
    for (u32 i = 0; i < section.count; ++i) {
        const auto variable = types.variable(section, i);
        const auto type = variable ? types.type(variable->type) : Result<btf::Type>(btf::Type{});
        if (!type || type->kind != btf::Kind::Var) continue;
        const auto linkage = types.linkage(*type);
        if (linkage && *linkage != btf::Linkage::Static) return true;
    }
    return false;
}

Status Reader::read_data_sections() {
    for (const elf::Section& section : data_) {
        if (section.size == 0) continue;
        const bool read_only = section.name.starts_with(".rodata");
        ir::MapDef map{.name = copy_name(section.name),
                       .type = spec::MapType::Array,
                       .key_size = sizeof(u32),
                       .value_size = static_cast<u32>(section.size),
                       .max_entries = 1,
                       .flags = read_only ? spec::kMapReadOnlyProgram : 0,
                       .is_data_section = true,
                       .read_only = read_only,
                       .frozen = read_only,
                       .initial = {section.bytes.begin(), section.bytes.end()}};
        Status status;
        if (section.size > std::numeric_limits<u32>::max()) {
            status = fail(Errc::TooLarge, at_section(section.index), "data section", section.size);
            map.value_size = 0;
        }
        if (const auto type = datasec(section.name)) {
            map.value_type = type->id;
            if (has_global_variables(*type)) map.flags |= spec::kMapMmapable;
        }
        TRY_ASSIGN(const u32 index,
                   add_map(std::move(map), std::move(status), section.index, kNone));
        data_map_.emplace(section.index, index);
    }
    return {};
}

}  // namespace ebpf::engine::object
