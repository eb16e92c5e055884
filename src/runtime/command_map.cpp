// SPDX-License-Identifier: MIT
// Commands on maps. Argument checks and their order are Linux's (kernel/bpf/syscall.c).
#include <new>

#include "runtime/command_context.hpp"
#include "runtime/map_value.hpp"

namespace ebpf::runtime {
namespace {

constexpr u64 kMaxHashes = 15;            // of a bloom filter, in map_extra
constexpr u32 kMaxPercpuValue = 1 << 15;  // Linux: PCPU_MIN_UNIT_SIZE

void map_forgotten(Object& object) {
    auto& map = static_cast<Map&>(object);
    if (map.fields.timer >= 0) map.runtime->timers().forget(map);
    if (map.ops->forgotten != nullptr) map.ops->forgotten(map);
}

Status check_create(const spec::MapTypeInfo& type, spec::Dialect dialect,
                    const spec::MapCreateAttr& a) {
    if (!type.implemented || map_ops(type.type) == nullptr) {
        return fail(Errc::NotSupported, {}, type.name);
    }
    const bool lru =
        type.type == spec::MapType::LruHash || type.type == spec::MapType::LruPercpuHash;
    if (lru && (a.map_flags & spec::kMapNoPrealloc) != 0) {
        return fail(Errc::NotForThisType, {}, "BPF_F_NO_PREALLOC");
    }
    if ((a.map_flags & ~type.flags) != 0)
        return fail(Errc::InvalidArgument, {}, "map_flags", a.map_flags);
    constexpr u32 kBoth = spec::kMapReadOnly | spec::kMapWriteOnly;
    constexpr u32 kBothProgram = spec::kMapReadOnlyProgram | spec::kMapWriteOnlyProgram;
    if ((a.map_flags & kBoth) == kBoth || (a.map_flags & kBothProgram) == kBothProgram) {
        return fail(Errc::InvalidArgument, {}, "map_flags", a.map_flags);
    }
    if (!spec::fits(type, dialect, a.key_size, a.value_size, a.max_entries)) {
        return fail(Errc::InvalidArgument, {}, "key_size, value_size or max_entries");
    }
    if (type.type == spec::MapType::LpmTrie && dialect == spec::Dialect::Linux &&
        (a.map_flags & spec::kMapNoPrealloc) == 0) {
        return fail(Errc::InvalidArgument, {}, "a trie without BPF_F_NO_PREALLOC");
    }
    if (a.map_ifindex != 0) return fail(Errc::NotSupported, {}, "map_ifindex", a.map_ifindex);
    const u64 extra_limit = type.type == spec::MapType::BloomFilter ? kMaxHashes : 0;
    if (a.map_extra > extra_limit) {
        return fail(Errc::InvalidArgument, {}, "map_extra", a.map_extra);
    }
    if (a.btf_key_type_id != 0 && a.btf_value_type_id == 0) {
        return fail(Errc::InvalidArgument, {}, "btf_key_type_id", a.btf_key_type_id);
    }
    if (a.btf_vmlinux_value_type_id != 0)
        return fail(Errc::InvalidArgument, {}, "vmlinux value type");
    // A value is addressed with 32 bits, padded and once per slot.
    if (a.value_size > (type.percpu ? kMaxPercpuValue : 1u << 30)) {
        const bool trie = type.type == spec::MapType::LpmTrie;
        return fail(trie ? Errc::InvalidArgument : Errc::TooLarge, {}, "value_size", a.value_size);
    }
    return check_name(a.map_name);
}

Status check_key(const Map& map, u64 key) {
    if (map.key_size != 0 && key == 0) return fail(Errc::InvalidPointer, {}, "key");
    if (map.key_size == 0 && key != 0)
        return fail(Errc::InvalidArgument, {}, "key of a map without keys");
    return {};
}

Status check_flags(u64 flags) {
    if ((flags & ~kUpdateLock) != 0) return fail(Errc::InvalidArgument, {}, "flags", flags);
    return {};
}

// Whether a key may be of this type; 0: it is not described. Linux: map_check_btf() of the types.
Status check_key_type(const Map& map, const btf::View& types, u32 key_type, u32 value_type) {
    const bool described = key_type != 0;
    const auto wrong = [&] { return fail(Errc::InvalidArgument, {}, "btf_key_type_id", key_type); };
    TRY_ASSIGN(btf::Type key, types.resolve(key_type));
    if (key.kind == btf::Kind::Var) {
        TRY_ASSIGN(key, types.resolve(key.ref()));
    }
    switch (map.info->btf) {
        case spec::BtfRule::AnyKey:
            return {};
        case spec::BtfRule::StructKey:
            return key.kind == btf::Kind::Struct ? Status{} : wrong();
        case spec::BtfRule::NoKey:
            return described ? wrong() : Status{};
        case spec::BtfRule::Refused:
            return fail(Errc::NotForThisType, {}, "BTF of this map type");
        case spec::BtfRule::IndexKey:
            break;
    }
    if (!described) {
        TRY_ASSIGN(const btf::Type value, types.resolve(value_type));
        const bool data_section =
            !map.info->percpu && map.max_entries == 1 && value.kind == btf::Kind::Datasec;
        return data_section ? Status{} : wrong();
    }
    if (key.kind != btf::Kind::Int) return wrong();
    TRY_ASSIGN(const btf::IntInfo info, types.integer(key));
    return info.bits == 32 && info.bit_offset == 0 ? Status{} : wrong();
}

// Whether the map may have values with these members.
Status check_fields(const Map& map, const btf::ValueFields& fields) {
    if (!fields.any()) return {};
    if ((map.flags & (spec::kMapReadOnlyProgram | spec::kMapWriteOnlyProgram)) != 0)
        return fail(Errc::AccessDenied, {}, "a lock or timer that programs cannot use");
    const bool allowed =
        (fields.spin_lock < 0 || map.info->spin_lock) && (fields.timer < 0 || map.info->timer);
    return allowed ? Status{} : fail(Errc::NotSupported, {}, "lock or timer in this map type");
}

// Keeps what describes key and value, if it does.
Status take_btf(CommandContext& c, Map& map, const spec::MapCreateAttr& a) {
    if (a.btf_value_type_id == 0) return {};
    if (a.btf_fd == 0) return fail(Errc::InvalidArgument, {}, "btf_fd");
    TRY_ASSIGN(Ref<Btf> btf, btf_of(c, a.btf_fd));
    const auto has_size = [&](u32 type, u32 size) {
        const auto bytes = btf->view.size_of(type);
        return bytes && *bytes == size;
    };
    if (a.btf_key_type_id != 0 && !has_size(a.btf_key_type_id, map.key_size))
        return fail(Errc::InvalidArgument, {}, "btf_key_type_id", a.btf_key_type_id);
    if (!has_size(a.btf_value_type_id, map.value_size))
        return fail(Errc::InvalidArgument, {}, "btf_value_type_id", a.btf_value_type_id);
    if (a.btf_key_type_id == 0 && map.info->btf == spec::BtfRule::AnyKey)
        return fail(Errc::InvalidArgument, {}, "btf_key_type_id");
    TRY_ASSIGN(map.fields, btf::value_fields(btf->view, a.btf_value_type_id));
    TRY(check_fields(map, map.fields));
    TRY(check_key_type(map, btf->view, a.btf_key_type_id, a.btf_value_type_id));
    if (map.fields.timer >= 0) TRY(c.runtime.timers().open());
    map.btf_key_type = a.btf_key_type_id;
    map.btf_value_type = a.btf_value_type_id;
    map.btf = btf.detach();
    return {};
}

// What the template of a map of maps says about those inside.
Result<InnerSpec> inner_spec(CommandContext& c, const spec::MapTypeInfo& type, u32 handle) {
    if (type.holds != spec::Holds::Map) return InnerSpec{};
    TRY_ASSIGN(const Ref<Map> inner, map_of(c, handle));
    TRY(check_inner_template(*inner));
    return InnerSpec{inner->info,        inner->key_size, inner->value_size,
                     inner->max_entries, inner->flags,    inner->fields};
}

}  // namespace

Result<Output> Output::to(u64 address, u64 size) {
    if (address != 0) return Output(pointer<std::byte>(address), nullptr);
    void* const spare = platform::allocate(size != 0 ? size : 1);
    if (spare == nullptr) return fail(Errc::NoMemory, {}, "result", size);
    return Output(static_cast<std::byte*>(spare), spare);
}

Status Output::delivered() const {
    if (spare_ != nullptr) return fail(Errc::InvalidPointer, {}, "result");
    return {};
}

Status may_read(const Map& map) {
    if ((map.flags & spec::kMapWriteOnly) != 0)
        return fail(Errc::AccessDenied, {}, "write-only map");
    return {};
}

Result<Write> Write::begin(Map& map) {
    if ((map.flags & spec::kMapReadOnly) != 0) return fail(Errc::ReadOnly);
    if (!map.write_gate.enter()) return fail(Errc::ReadOnly, {}, "frozen map");
    return Write(map);
}

Result<i64> handle(CommandContext& c, spec::MapCreateAttr& a) {
    const auto type = spec::map_type_from_number(c.dialect, a.map_type);
    if (!type) return fail(Errc::InvalidArgument, {}, "map_type", a.map_type);
    const spec::MapTypeInfo& info = spec::info(*type);
    TRY(check_create(info, c.dialect, a));
    TRY_ASSIGN(const InnerSpec inner, inner_spec(c, info, a.inner_map_fd));

    void* memory = platform::allocate(sizeof(Map));
    if (memory == nullptr) return fail(Errc::NoMemory, {}, "map");
    auto* map = new (memory) Map;
    map->runtime = &c.runtime;
    map->kind = ObjectKind::Map;
    map->name = a.map_name;
    map->ops = map_ops(*type);
    map->info = &info;
    map->key_size = a.key_size;
    map->value_size = a.value_size;
    map->max_entries = a.max_entries;
    map->flags = a.map_flags;
    map->extra = a.map_extra;
    map->inner = inner;
    map->slots = c.runtime.epochs().slots();
    map->value_stride = static_cast<u32>(spec::value_stride(a.value_size));
    map->forgotten = map_forgotten;
    Status made = map->ops->create(*map);
    if (made) {
        made = take_btf(c, *map, a);
        if (made) made = c.runtime.adopt(*map);
        if (!made) map->ops->destroy(*map);
    }
    if (!made) {
        if (map->btf != nullptr) release(*map->btf);
        map->~Map();
        platform::release(map);
        return std::unexpected(made.error());
    }
    const Ref<Map> ref = Ref<Map>::adopt(map);
    return c.session.open(*ref);
}

Result<i64> handle(CommandContext& c, spec::MapLookupElemAttr& a) {
    TRY_ASSIGN(const Ref<Map> map, map_of(c, a.map_fd));
    TRY(check_flags(a.flags));
    TRY(may_read(*map));
    TRY(check_lock(*map, a.flags));
    TRY(check_key(*map, a.key));
    if (map->info->asks_value && a.value == 0) return fail(Errc::InvalidPointer, {}, "value");
    if (map->ops->read == nullptr) return fail(Errc::NotForThisType, {}, "lookup in this map type");
    TRY_ASSIGN(const Output value, Output::to(a.value, map->user_value_size()));
    EpochGuard guard(c.runtime.epochs());
    TRY(guard.status());
    TRY(read_element(*map, pointer(a.key), value.get(), a.flags));
    TRY(value.delivered());
    return 0;
}

Status check_lock(const Map& map, u64 flags) {
    if ((flags & kUpdateLock) != 0 && map.fields.spin_lock < 0)
        return fail(Errc::InvalidArgument, {}, "no lock in the value");
    return {};
}

Status read_element(Map& map, const void* key, void* value, u64 flags) {
    if ((flags & kUpdateLock) != 0) return read_locked(map, key, value);
    return map.ops->read(map, key, value);
}

Status write_element(CommandContext& c, Map& map, const void* key, const void* value, u64 flags) {
    if ((flags & kUpdateLock) != 0) return update_locked(map, key, value, flags, 0);
    if (map.ops->write_object == nullptr) return map.ops->write(map, key, value, flags);
    u32 handle = 0;
    std::memcpy(&handle, value, sizeof handle);
    TRY_ASSIGN(const Ref<Object> object, c.session.object(handle));
    return map.ops->write_object(map, key, *object, flags);
}

Result<i64> handle(CommandContext& c, spec::MapUpdateElemAttr& a) {
    TRY_ASSIGN(const Ref<Map> map, map_of(c, a.map_fd));
    TRY_ASSIGN(const Write write, Write::begin(*map));
    TRY(check_lock(*map, a.flags));
    TRY(check_key(*map, a.key));
    if (a.value == 0 && map->value_size != 0) return fail(Errc::InvalidPointer, {}, "value");
    if (!map->ops->writes()) return fail(Errc::NotForThisType, {}, "update of this map type");
    EpochGuard guard(c.runtime.epochs());
    TRY(guard.status());
    TRY(write_element(c, *map, pointer(a.key), pointer(a.value), a.flags));
    return 0;
}

Result<i64> handle(CommandContext& c, spec::MapDeleteElemAttr& a) {
    TRY_ASSIGN(const Ref<Map> map, map_of(c, a.map_fd));
    TRY_ASSIGN(const Write write, Write::begin(*map));
    TRY(check_key(*map, a.key));
    if (map->ops->remove == nullptr)
        return fail(Errc::NotForThisType, {}, "delete in this map type");
    EpochGuard guard(c.runtime.epochs());
    TRY(guard.status());
    TRY(map->ops->remove(*map, pointer(a.key)));
    return 0;
}

Result<i64> handle(CommandContext& c, spec::MapLookupAndDeleteElemAttr& a) {
    TRY_ASSIGN(const Ref<Map> map, map_of(c, a.map_fd));
    TRY(check_flags(a.flags));
    TRY(may_read(*map));
    TRY_ASSIGN(const Write write, Write::begin(*map));
    TRY(check_lock(*map, a.flags));
    TRY(check_key(*map, a.key));
    if (map->ops->take == nullptr) {
        return fail(Errc::NotForThisType, {}, "lookup-and-delete in this map type");
    }
    TRY_ASSIGN(const Output value, Output::to(a.value, map->user_value_size()));
    EpochGuard guard(c.runtime.epochs());
    TRY(guard.status());
    if ((a.flags & kUpdateLock) != 0) {
        const void* taken = map->ops->detach(*map, pointer(a.key), guard.slot());
        if (taken == nullptr) return fail(Errc::KeyNotFound);
        read_value(*map, value.get(), taken, true);
    } else {
        TRY(map->ops->take(*map, pointer(a.key), value.get()));
    }
    TRY(value.delivered());
    return 0;
}

Result<i64> handle(CommandContext& c, spec::MapGetNextKeyAttr& a) {
    TRY_ASSIGN(const Ref<Map> map, map_of(c, a.map_fd));
    TRY(may_read(*map));
    if (map->ops->next_key == nullptr)
        return fail(Errc::NotForThisType, {}, "keys of this map type");
    TRY_ASSIGN(const Output next, Output::to(a.next_key, map->key_size));
    EpochGuard guard(c.runtime.epochs());
    TRY(guard.status());
    TRY(map->ops->next_key(*map, pointer(a.key), next.get()));
    TRY(next.delivered());
    return 0;
}

Result<i64> handle(CommandContext& c, spec::MapFreezeAttr& a) {
    TRY_ASSIGN(const Ref<Map> map, map_of(c, a.map_fd));
    if (map->fields.any()) return fail(Errc::NotForThisType, {}, "freezing locks or timers");
    if ((map->flags & spec::kMapReadOnly) != 0) return fail(Errc::ReadOnly);
    const bool is_mapped = (map->flags & spec::kMapMmapable) != 0;
    if (is_mapped && platform::mapped_writable_elsewhere(map->pages)) {
        return fail(Errc::Busy, {}, "the map is mapped for writing");
    }
    TRY(map->write_gate.freeze());
    if (is_mapped) TRY(platform::seal_shared(map->pages));
    return 0;
}

Result<i64> handle(CommandContext& c, spec::MapMemoryAttr& a) {
    TRY_ASSIGN(const Ref<Map> map, map_of(c, a.map_fd));
    MapMemory memory;
    if (map->ops->memory == nullptr || !map->ops->memory(*map, a.part, memory)) {
        return fail(Errc::NotForThisType, {}, "this map's memory", a.part);
    }
    a.address = reinterpret_cast<u64>(memory.pages.base);
    a.size = memory.pages.size;
    a.native = static_cast<u64>(memory.pages.native);
    a.access = memory.access;
    return 0;
}

Result<i64> handle(CommandContext& c, spec::RingMapAttr& a) {
    TRY_ASSIGN(const Ref<Map> map, map_of(c, a.map_fd));
    if (map->ops->ring == nullptr || a.index != 0)
        return fail(Errc::InvalidArgument, {}, "not a ring buffer");
    const platform::RingMemory& ring = map->ops->ring(*map);
    a.consumer = reinterpret_cast<u64>(ring.consumer());
    a.producer = reinterpret_cast<u64>(ring.producer());
    a.data = reinterpret_cast<u64>(ring.data());
    a.data_size = ring.data_size;
    return 0;
}

Result<i64> handle(CommandContext& c, spec::RingWaitAttr& a) {
    TRY_ASSIGN(const Ref<Map> map, map_of(c, a.map_fd));
    if (map->ops->wait == nullptr || a.index != 0)
        return fail(Errc::InvalidArgument, {}, "not a ring buffer");
    return map->ops->wait(*map, a.timeout_ms) ? 1 : 0;
}

}  // namespace ebpf::runtime
