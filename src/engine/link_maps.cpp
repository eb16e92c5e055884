// SPDX-License-Identifier: MIT
#include <cstring>
#include <optional>

#include "engine/load_program.hpp"
#include "isa/codec.hpp"
#include "spec/map_types.hpp"

namespace ebpf::engine {
namespace {

using isa::WideKind;

// The beginning of Linux's struct bpf_map_info, which later versions only add to.
struct MapInfo {
    u32 type, id, key_size, value_size, max_entries, map_flags;
    char name[16];
};
static_assert(sizeof(MapInfo) == 40);

constexpr u32 kMaxMaps = 64;                // Linux's limit of maps that one program uses
constexpr size_t kMaxConstants = 16 << 20;  // bytes of its maps that are handed on as constants

class Linker {
  public:
    Linker(CompileJob& job, const spec::Door& door, const spec::Caller& caller)
        : job_(job), door_(door), caller_(caller) {}

    // The index of the map with this handle in the program's table, which grows by it at need.
    Result<u32> index_of(u32 handle) {
        MapInfo info{};
        spec::ObjGetInfoByFdAttr ask{
            .bpf_fd = handle, .info_len = sizeof info, .info = reinterpret_cast<u64>(&info)};
        TRY(door_(caller_, spec::Command::ObjGetInfoByFd, &ask));
        for (u32 i = 0; i < ids_.size(); ++i) {
            if (ids_[i] == info.id) return i;
        }
        if (ids_.size() == kMaxMaps)
            return fail(Errc::TooLarge, {}, "maps of one program", kMaxMaps);
        TRY_ASSIGN(ir::MapDef def, definition(info));
        spec::HandleShapeAttr shape{.fd = handle};
        TRY(door_(caller_, spec::Command::HandleShape, &shape));
        if (shape.frozen != 0) TRY(take_constants(handle, def));
        job_.maps.push_back(std::move(def));
        handles_.push_back(handle);
        ids_.push_back(info.id);
        return static_cast<u32>(ids_.size() - 1);
    }

    // The handles of the maps, in the order of the table. What the maps inside maps of maps are
    // like comes behind them: no instruction names those, so they have none.
    Result<std::vector<u32>> finish() {
        for (u32 i = 0; i < handles_.size(); ++i) TRY(add_inner(i, handles_[i]));
        return std::move(handles_);
    }

  private:
    // What nobody can write any more is constant to the verifier (Linux: bpf_map_is_rdonly): no
    // command since the map is frozen, no program, and no mapping, which an array that programs
    // only read never had (runtime/map_array.cpp). What the caller may not read himself he does not
    // learn from a verdict either.
    Status take_constants(u32 handle, ir::MapDef& def) {
        const bool known = def.is_data_section && def.programs_only_read() &&
                           (def.flags & spec::kMapWriteOnly) == 0 &&
                           def.value_size <= kMaxConstants - constants_;
        if (!known) return {};
        const u32 key = 0;
        def.initial.resize(def.value_size);
        spec::MapLookupElemAttr read{.map_fd = handle,
                                     .key = reinterpret_cast<u64>(&key),
                                     .value = reinterpret_cast<u64>(def.initial.data())};
        TRY(door_(caller_, spec::Command::MapLookupElem, &read));
        constants_ += def.value_size;
        def.frozen = true;
        return {};
    }

    Status add_inner(u32 outer, u32 handle) {
        if (spec::info(job_.maps[outer].type).holds != spec::Holds::Map) return {};
        spec::HandleShapeAttr shape{.fd = handle};
        TRY(door_(caller_, spec::Command::HandleShape, &shape));
        MapInfo info{.type = shape.inner_type,
                     .id = 0,
                     .key_size = shape.inner_key_size,
                     .value_size = shape.inner_value_size,
                     .max_entries = shape.inner_max_entries,
                     .map_flags = shape.inner_flags,
                     .name = {}};
        TRY_ASSIGN(ir::MapDef def, definition(info));
        def.is_data_section = false;
        job_.maps[outer].inner = static_cast<i32>(job_.maps.size());
        job_.maps.push_back(std::move(def));
        return {};
    }

    Result<ir::MapDef> definition(const MapInfo& info) {
        const auto type = spec::map_type_from_number(caller_.dialect, info.type);
        if (!type) return fail(Errc::Unsupported, {}, "map type", info.type);
        ir::MapDef def;
        def.name.assign(info.name, strnlen(info.name, sizeof info.name));
        def.type = *type;
        def.key_size = info.key_size;
        def.value_size = info.value_size;
        def.max_entries = info.max_entries;
        def.flags = info.map_flags;
        def.read_only = (info.map_flags & spec::kMapReadOnlyProgram) != 0;
        // Linux lets a program address into an array's only value.
        def.is_data_section = *type == spec::MapType::Array && info.max_entries == 1;
        return def;
    }

    CompileJob& job_;
    const spec::Door& door_;
    const spec::Caller& caller_;
    std::vector<u32> handles_;
    std::vector<u32> ids_;
    size_t constants_ = 0;  // bytes of contents so far
};

// Offsets go through the door plus 1, 0 for none.
i32 offset(u32 place) {
    return static_cast<i32>(place) - 1;
}

bool refers_to_map(WideKind kind) {
    return kind == WideKind::MapFd || kind == WideKind::MapFdValue || kind == WideKind::MapIndex ||
           kind == WideKind::MapIndexValue;
}

}  // namespace

Result<std::vector<u32>> link_maps(CompileJob& job, const spec::Door& door,
                                   const spec::Caller& caller, const MapResolver& resolver) {
    Linker linker(job, door, caller);
    const auto count = static_cast<u32>(job.slots.size() / sizeof(isa::Slot));
    for (u32 slot = 0; slot < count;) {
        const u32 here = slot;
        auto insn = isa::decode(job.slots, here);
        slot += insn ? static_cast<u32>(insn->slots()) : 1;
        if (!insn || insn->form != isa::Form::Wide || !refers_to_map(insn->wide())) continue;
        const bool from_array =
            insn->wide() == WideKind::MapIndex || insn->wide() == WideKind::MapIndexValue;
        const bool value =
            insn->wide() == WideKind::MapFdValue || insn->wide() == WideKind::MapIndexValue;
        const auto handle =
            resolver.handle_of(resolver.self, static_cast<i32>(insn->map_index()), from_array);
        if (!handle) return fail(handle.error().code, at_insn(here), "map of the instruction");
        TRY_ASSIGN(const u32 index, linker.index_of(*handle));
        const ir::MapDef& def = job.maps[index];
        if (value && (!def.is_data_section || insn->map_value_offset() >= def.value_size)) {
            return fail(Errc::InvalidArgument, at_insn(here), "offset into a map's value",
                        insn->map_value_offset());
        }
        insn->kind = static_cast<u8>(value ? WideKind::MapIndexValue : WideKind::MapIndex);
        insn->imm = static_cast<i64>(u64{insn->map_value_offset()} << 32 | index);
        isa::Slot encoded[2];
        TRY(isa::encode(*insn, encoded));
        std::memcpy(job.slots.data() + size_t{here} * sizeof(isa::Slot), encoded, sizeof encoded);
    }
    return linker.finish();
}

Status take_fields(CompileJob& job, std::span<const u32> handles, const spec::Door& door,
                   const spec::Caller& caller) {
    for (size_t i = 0; i < handles.size() && i < job.maps.size(); ++i) {
        if (handles[i] == 0) continue;
        spec::HandleShapeAttr shape{.fd = handles[i]};
        TRY(door(caller, spec::Command::HandleShape, &shape));
        ir::MapDef& def = job.maps[i];
        def.spin_lock_offset = offset(shape.spin_lock);
        def.timer_offset = offset(shape.timer);
        if (def.inner < 0 || static_cast<size_t>(def.inner) >= job.maps.size()) continue;
        ir::MapDef& inner = job.maps[static_cast<size_t>(def.inner)];
        inner.spin_lock_offset = offset(shape.inner_spin_lock);
        inner.timer_offset = offset(shape.inner_timer);
    }
    return {};
}

}  // namespace ebpf::engine
