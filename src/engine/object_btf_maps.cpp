// SPDX-License-Identifier: MIT
//
// Maps described by types, in section .maps: each variable's type is a structure whose members say
// what the map is, and their values stand in the types, not in the bytes (libbpf's bpf_helpers.h):
//
//     __uint(type, N)          int (*type)[N]         a pointer to an array of N
//     __ulong(map_extra, N)    enum { v = N } name    an enumerator
//     __type(key, T)           T *key                 a pointer to the type
//     __array(values, V)       V *values[]            pointers to inner maps or programs
#include <algorithm>
#include <limits>

#include "engine/object_internal.hpp"
#include "spec/map_types.hpp"

namespace ebpf::engine::object {
namespace {

// 1 is LIBBPF_PIN_BY_NAME; 1 and 2 are PIN_OBJECT_NS and PIN_GLOBAL_NS of iproute2.
constexpr u64 kPinGlobal = 2;
constexpr u32 kMaxMembers = 64;  // of a definition; there are some fifteen to choose from

Result<u32> as_u32(u64 value, const char* what) {
    if (value > std::numeric_limits<u32>::max()) return fail(Errc::TooLarge, {}, what, value);
    return static_cast<u32>(value);
}

}  // namespace

// The number that a member's type holds.
Result<u64> Reader::encoded_number(u32 type) const {
    const btf::View& types = object_.btf->view();
    TRY_ASSIGN(const btf::Type outer, types.resolve(type));
    if (outer.kind == btf::Kind::Enum || outer.kind == btf::Kind::Enum64) {
        TRY_ASSIGN(const btf::Enumerator value, types.enumerator(outer, 0));
        return value.value;
    }
    if (outer.kind != btf::Kind::Ptr) {
        return fail(Errc::BadFormat, at_type(type), "a number in a map definition is no pointer");
    }
    TRY_ASSIGN(const btf::Type array, types.resolve(outer.ref()));
    if (array.kind != btf::Kind::Array) {
        return fail(Errc::BadFormat, at_type(type), "a number in a map definition is no array");
    }
    TRY_ASSIGN(const btf::ArrayInfo info, types.array(array));
    return info.count;
}

// Where a value has a lock or a timer. Many maps may share a type with many members.
Status Reader::find_special_fields(ir::MapDef& map) {
    const auto [known, is_new] = special_fields_.emplace(map.value_type, btf::ValueFields{});
    if (is_new) {
        TRY_ASSIGN(known->second, btf::value_fields(object_.btf->view(), map.value_type));
    }
    map.spin_lock_offset = known->second.spin_lock;
    map.timer_offset = known->second.timer;
    return {};
}

// `values`: an array of pointers to the definition of the inner map, or to functions.
Status Reader::read_btf_values(const btf::Member& member, u32 index, bool is_inner) {
    const btf::View& types = object_.btf->view();
    TRY_ASSIGN(const btf::Type array, types.resolve(member.type));
    if (array.kind != btf::Kind::Array) {
        return fail(Errc::BadFormat, at_type(member.type), "values of a map are no array");
    }
    TRY_ASSIGN(const btf::ArrayInfo info, types.array(array));
    TRY_ASSIGN(const btf::Type pointer, types.resolve(info.element));
    if (pointer.kind != btf::Kind::Ptr) {
        return fail(Errc::BadFormat, at_type(member.type), "values of a map are no pointers");
    }
    TRY_ASSIGN(const btf::Type target, types.resolve(pointer.ref()));
    if (target.kind == btf::Kind::FuncProto) return {};
    if (target.kind != btf::Kind::Struct) {
        return fail(Errc::BadFormat, at_type(member.type),
                    "values of a map are neither maps nor functions");
    }
    // The template is a map of its own, which no symbol names. One level only, as in Linux.
    if (is_inner) {
        return fail(Errc::Unsupported, at_type(member.type), "a map of maps of maps");
    }
    ir::MapDef inner{.name = object_.maps[index].name + ".inner"};
    TRY_ASSIGN(const u32 inner_index, add_map(std::move(inner), {}, kNone, object_.maps.size()));
    object_.maps[index].inner = static_cast<i32>(inner_index);
    inner_maps_.push_back({.map = inner_index});
    if (const Status status = read_btf_map(target, inner_index, true); !status) {
        object_.map_status[inner_index] = status;
        return status;
    }
    return {};
}

Status Reader::read_btf_member(const btf::Type& definition, const btf::Member& member, u32 index) {
    const btf::View& types = object_.btf->view();
    TRY_ASSIGN(const std::string_view name, types.string(member.name_offset));
    ir::MapDef& map = object_.maps[index];
    if (name == "key" || name == "value") {
        TRY_ASSIGN(const btf::Type pointer, types.resolve(member.type));
        if (pointer.kind != btf::Kind::Ptr) {
            return fail(Errc::BadFormat, at_type(member.type),
                        "key or value of a map is no pointer");
        }
        TRY_ASSIGN(const u64 bytes, types.size_of(pointer.ref()));
        TRY_ASSIGN(const u32 size, as_u32(bytes, "key or value of a map"));
        u32& known = name == "key" ? map.key_size : map.value_size;
        if (known != 0 && known != size) {
            return fail(Errc::BadFormat, at_type(definition.id), "two sizes of a key or value",
                        size);
        }
        known = size;
        (name == "key" ? map.key_type : map.value_type) = pointer.ref();
        return {};
    }

    TRY_ASSIGN(const u64 number, encoded_number(member.type));
    if (name == "type") return set_map_type(map, number);
    TRY_ASSIGN(const u32 value, as_u32(number, "number in a map definition"));
    if (name == "max_entries") {
        map.max_entries = value;
    } else if (name == "map_flags") {
        map.flags = value;
    } else if (name == "key_size" || name == "value_size") {
        u32& known = name == "key_size" ? map.key_size : map.value_size;
        if (known != 0 && known != value) {
            return fail(Errc::BadFormat, at_type(definition.id), "two sizes of a key or value",
                        value);
        }
        known = value;
    } else if (name == "pinning") {
        map.pinning = value != 0 ? ir::Pinning::ByName : ir::Pinning::None;
        if (value > kPinGlobal) {  // Cilium's loader has flags of its own there
            warn("pinning " + std::to_string(value) + " of map '" + map.name +
                 "' taken as pinning by name");
        }
    } else if (name == "id") {
        inner_maps_.back().id = value;
    } else if (name == "inner_id") {
        inner_maps_.back().inner_id = value;
    } else if (name == "inner_map_idx") {
        inner_maps_.back().inner_index = value;
    } else if (name == "map_extra") {
        map.extra = value;
    } else if (name != "numa_node") {
        return fail(Errc::Unsupported, at_type(definition.id), "member of a map definition");
    }
    return {};
}

// Fills object_.maps[index]; an inner map's definition is added behind it.
Status Reader::read_btf_map(const btf::Type& definition, u32 index, bool is_inner) {
    if (definition.kind != btf::Kind::Struct) {
        return fail(Errc::BadFormat, at_type(definition.id), "a map definition is no structure");
    }
    if (definition.count > kMaxMembers) {
        return fail(Errc::BadFormat, at_type(definition.id), "members of a map definition",
                    definition.count);
    }
    const btf::View& types = object_.btf->view();
    std::optional<btf::Member> values;
    for (u32 i = 0; i < definition.count; ++i) {
        TRY_ASSIGN(const btf::Member member, types.member(definition, i));
        TRY_ASSIGN(const std::string_view name, types.string(member.name_offset));
        if (name == "values") {
            values = member;
        } else {
            TRY(read_btf_member(definition, member, index));
        }
    }
    ir::MapDef& map = object_.maps[index];
    if (map.type == spec::MapType::Unspec) {
        return fail(Errc::BadFormat, at_type(definition.id), "a map definition without a type");
    }
    // Keys and values that are handles or indices need not be described.
    const spec::MapTypeInfo& info = spec::info(map.type);
    if (info.holds_handles() && map.value_size == 0) map.value_size = sizeof(u32);
    if (info.index_key && map.key_size == 0) map.key_size = sizeof(u32);
    TRY(find_special_fields(map));
    return values ? read_btf_values(*values, index, is_inner) : Status{};
}

Status Reader::read_btf_maps() {
    if (!btf_maps_ || btf_maps_->bytes.empty()) return {};
    const u32 section = btf_maps_->index;
    if (object_.btf == nullptr) {
        return fail(Errc::BadFormat, at_section(section), "maps without type information");
    }
    const btf::View& types = object_.btf->view();
    const auto variables = datasec(".maps");
    if (!variables) return fail(Errc::BadFormat, at_section(section), "maps without types");

    // Object files leave the variables' offsets to their symbols.
    std::unordered_map<std::string_view, u64> offset_of;
    for (u32 i = 1; i < symbols_.size(); ++i) {
        const auto symbol = symbols_.at(i);
        if (!symbol || symbol->section != section || symbol->type != elf::SymbolType::Object)
            continue;
        offset_of.emplace(symbol_name(*symbol), symbol->value);
    }
    for (u32 i = 0; i < variables->count; ++i) {
        TRY_ASSIGN(const btf::SectionVariable variable, types.variable(*variables, i));
        TRY_ASSIGN(const btf::Type var, types.type(variable.type));
        if (var.kind != btf::Kind::Var) continue;
        TRY_ASSIGN(const std::string_view name, types.name(var));
        TRY_ASSIGN(const btf::Type definition, types.resolve(var.ref()));
        const auto symbol = offset_of.find(name);
        const u64 offset = symbol != offset_of.end() ? symbol->second : variable.offset;

        TRY_ASSIGN(const u32 index, add_map({.name = copy_name(name)}, {}, section, offset));
        inner_maps_.push_back({.map = index});
        object_.map_status[index] = read_btf_map(definition, index, false);
        if (!object_.map_status[index]) continue;
        const auto member = types.find_member(definition, "values");
        const auto size = types.size_of(definition.id);
        if (!member || !size) continue;
        // The array is the last member; what the variable has beyond the structure belongs to it.
        values_arrays_.push_back(
            {.map = index,
             .begin = offset + member->bit_offset / 8,
             .end = offset + std::max<u64>(*size, variable.size),
             .of_programs = object_.maps[index].inner == ir::MapDef::kNoInner});
    }
    return {};
}

// What relocations put into `values`: initial slots of program arrays and maps of maps. Targets
// that are programs are functions here, until the programs are listed. A slot that cannot be filled
// spoils its map.
Status Reader::read_initial_slots() {
    std::ranges::sort(values_arrays_, {}, &ValuesArray::begin);
    for (const elf::Relocation& relocation : btf_map_relocations_) {
        const auto after =
            std::ranges::upper_bound(values_arrays_, relocation.offset, {}, &ValuesArray::begin);
        if (after == values_arrays_.begin() || relocation.offset >= std::prev(after)->end) {
            return fail(Errc::BadFormat, at_offset(relocation.offset, btf_maps_->index),
                        "initial value of no map");
        }
        const ValuesArray& array = *std::prev(after);
        TRY_ASSIGN(const elf::Symbol symbol, symbols_.at(relocation.symbol));
        InitialSlot slot{.map = array.map,
                         .key = static_cast<u32>((relocation.offset - array.begin) / 8),
                         .is_program = array.of_programs};
        if (array.of_programs) {
            slot.target = function_at(symbol.section, static_cast<i64>(symbol.value));
        } else {
            const auto map = map_at_.find({symbol.section, symbol.value});
            slot.target = map == map_at_.end() ? kNone : map->second;
        }
        if (slot.target != kNone) {
            object_.slots.push_back(slot);
        } else if (object_.map_status[array.map]) {
            object_.map_status[array.map] =
                fail(Errc::UnresolvedSymbol, at_symbol(symbol.index), "initial value of a map");
        }
    }
    return {};
}

// From functions to programs; after the last change of the list of programs.
void Reader::finish_initial_slots() {
    std::vector<u32> program_of(functions_.size(), kNone);
    for (u32 i = 0; i < entries_.size(); ++i) program_of[entries_[i]] = i;
    std::erase_if(object_.slots, [&](InitialSlot& slot) {
        if (!slot.is_program) return false;
        slot.target = program_of[slot.target];
        if (slot.target == kNone) {
            object_.map_status[slot.map] =
                fail(Errc::UnresolvedSymbol, {},
                     "initial value of a map: a function that is no program");
        }
        return slot.target == kNone;
    });
}

}  // namespace ebpf::engine::object
