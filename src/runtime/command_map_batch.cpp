// SPDX-License-Identifier: MIT
//
// Batches of elements (kernel/bpf/syscall.c: generic_map_*_batch; kernel/bpf/hashtab.c). Where a
// map has an order of its own (read_batch) a position is a bucket, 4 bytes; else it is the last
// key. `count` says what was done, also when the command fails.
#include "runtime/command_context.hpp"

namespace ebpf::runtime {
namespace {

constexpr u32 kElementsAtOnce = 256;  // between two chances for others

template <typename Attr>
Status check(const Map& map, const Attr& a) {
    if ((a.elem_flags & ~kUpdateLock) != 0) {
        return fail(Errc::InvalidArgument, {}, "elem_flags", a.elem_flags);
    }
    return check_lock(map, a.elem_flags);
}

std::byte* at(u64 array, u64 size, u32 index) {
    return pointer<std::byte>(array) + size * index;
}

// From bucket to bucket, with a chance for others now and then.
template <typename Attr>
Result<i64> copy_buckets(CommandContext& c, Map& map, Attr& a, u32 room, bool remove) {
    u32 position = 0;
    if (a.in_batch != 0) std::memcpy(&position, pointer(a.in_batch), sizeof position);
    Batch batch{.keys = pointer<std::byte>(a.keys),
                .values = pointer<std::byte>(a.values),
                .room = room,
                .locked = a.elem_flags != 0};
    Status status;
    do {
        EpochGuard guard(c.runtime.epochs());
        status = guard.status();
        if (status) status = map.ops->read_batch(map, position, batch, remove);
    } while (status && !batch.full);
    std::memcpy(pointer(a.out_batch), &position, sizeof position);
    a.count = batch.count;
    TRY(status);
    return 0;
}

// From key to key. An entry that is not there, or no longer, is left out.
template <typename Attr>
Result<i64> copy_keys(CommandContext& c, Map& map, Attr& a, u32 room) {
    const std::byte* key = a.in_batch != 0 ? pointer<std::byte>(a.in_batch) : nullptr;
    // The last key: in the caller's array, where the next one is written behind it.
    while (a.count < room) {
        std::byte* next = at(a.keys, map.key_size, a.count);
        EpochGuard guard(c.runtime.epochs());
        TRY(guard.status());
        for (u32 i = 0; i < kElementsAtOnce && a.count < room; ++i) {
            next = at(a.keys, map.key_size, a.count);
            TRY(map.ops->next_key(map, key, next));
            const Status status =
                read_element(map, next, at(a.values, map.user_value_size(), a.count), a.elem_flags);
            std::memcpy(pointer(a.out_batch), next, map.key_size);
            key = pointer<std::byte>(a.out_batch);
            if (status) {
                ++a.count;
            } else if (status.error().code != Errc::KeyNotFound) {
                return std::unexpected(status.error());
            }
        }
    }
    return 0;
}

// NoMoreKeys when nothing comes after in_batch.
template <typename Attr>
Status has_more(CommandContext& c, Map& map, const Attr& a) {
    EpochGuard guard(c.runtime.epochs());
    TRY(guard.status());
    if (map.ops->read_batch == nullptr) {
        TRY_ASSIGN(const Output key, Output::to(0, map.key_size));
        TRY_ASSIGN(const Output value, Output::to(0, map.user_value_size()));
        TRY(map.ops->next_key(map, pointer(a.in_batch), key.get()));
        while (!map.ops->read(map, key.get(), value.get())) {
            TRY(map.ops->next_key(map, key.get(), key.get()));
        }
        return {};
    }
    if (a.out_batch == 0) return {};
    u32 position = 0;
    if (a.in_batch != 0) std::memcpy(&position, pointer(a.in_batch), sizeof position);
    Batch nothing;
    while (!nothing.full) {
        const Status status = map.ops->read_batch(map, position, nothing, false);
        if (!status) {
            if (status.error().code == Errc::InsufficientBuffer) return {};
            return status;
        }
    }
    return {};
}

template <typename Attr>
Result<i64> look_up(CommandContext& c, Attr& a, bool remove) {
    const u32 room = a.count;
    TRY_ASSIGN(const Ref<Map> map, map_of(c, a.map_fd));
    TRY(may_read(*map));
    Write write;
    if (remove) {
        TRY_ASSIGN(write, Write::begin(*map));
    }
    if (map->ops->no_batches) return fail(Errc::NotForThisType, {}, "batches of this map type");
    if (map->ops->read_batch == nullptr && (remove || map->ops->read == nullptr ||
                                            map->ops->next_key == nullptr || map->key_size == 0)) {
        return fail(Errc::NotForThisType, {}, "batches of this map type");
    }
    if (remove && map->ops->take == nullptr) {
        return fail(Errc::NotForThisType, {}, "lookup-and-delete in this map type");
    }
    TRY(check(*map, a));
    if (map->ops->read_batch != nullptr && a.flags != 0)
        return fail(Errc::InvalidArgument, {}, "flags", a.flags);
    if (room == 0) return 0;
    a.count = 0;
    if (a.keys == 0 || a.values == 0 || a.out_batch == 0) {
        TRY(has_more(c, *map, a));  // Linux sees the missing buffer when it has something for it
        return fail(Errc::InvalidPointer, {}, "keys, values or out_batch");
    }
    return map->ops->read_batch != nullptr ? copy_buckets(c, *map, a, room, remove)
                                           : copy_keys(c, *map, a, room);
}

// `one(index)` for each of `count`, which becomes the number done.
template <typename One>
Result<i64> for_all(CommandContext& c, u32& count, const One& one) {
    const u32 wanted = count;
    for (count = 0; count < wanted;) {
        EpochGuard guard(c.runtime.epochs());
        TRY(guard.status());
        for (u32 i = 0; i < kElementsAtOnce && count < wanted; ++i, ++count) TRY(one(count));
    }
    return 0;
}

}  // namespace

Result<i64> handle(CommandContext& c, spec::MapLookupBatchAttr& a) {
    return look_up(c, a, false);
}
Result<i64> handle(CommandContext& c, spec::MapLookupAndDeleteBatchAttr& a) {
    return look_up(c, a, true);
}

Result<i64> handle(CommandContext& c, spec::MapUpdateBatchAttr& a) {
    TRY_ASSIGN(const Ref<Map> map, map_of(c, a.map_fd));
    TRY_ASSIGN(const Write write, Write::begin(*map));
    if (map->key_size == 0 || !map->ops->writes() || map->ops->no_batches) {
        return fail(Errc::NotForThisType, {}, "batches of this map type");
    }
    TRY(check(*map, a));
    if (a.count == 0) return 0;
    if (a.keys == 0 || a.values == 0) {
        a.count = 0;
        return fail(Errc::InvalidPointer, {}, "keys or values");
    }
    return for_all(c, a.count, [&](u32 i) {
        return write_element(c, *map, at(a.keys, map->key_size, i),
                             at(a.values, map->user_value_size(), i), a.elem_flags);
    });
}

Result<i64> handle(CommandContext& c, spec::MapDeleteBatchAttr& a) {
    TRY_ASSIGN(const Ref<Map> map, map_of(c, a.map_fd));
    TRY_ASSIGN(const Write write, Write::begin(*map));
    if (map->key_size == 0 || map->ops->remove == nullptr || map->info->index_key) {
        return fail(Errc::NotForThisType, {}, "batches of this map type");
    }
    TRY(check(*map, a));
    if (a.count == 0) return 0;
    if (a.keys == 0) {
        a.count = 0;
        return fail(Errc::InvalidPointer, {}, "keys");
    }
    return for_all(c, a.count,
                   [&](u32 i) { return map->ops->remove(*map, at(a.keys, map->key_size, i)); });
}

}  // namespace ebpf::runtime
