// SPDX-License-Identifier: MIT
// Queues and stacks: values in a circle, under one lock. (Linux: kernel/bpf/queue_stack_maps.c)
#include <cstring>
#include <new>

#include "platform/memory.hpp"
#include "runtime/map.hpp"

namespace ebpf::runtime {
namespace {

struct Queue {
    platform::SpinLock lock;
    u32 first = 0;  // index of the oldest value
    u32 count = 0;
    std::byte* values = nullptr;
};

Queue& queue_of(const Map& map) {
    return *static_cast<Queue*>(map.state);
}

std::byte* value_at(const Map& map, Queue& queue, u32 position) {
    const u64 index = (u64{queue.first} + position) % map.max_entries;
    return queue.values + index * map.value_size;
}

Status create(Map& map) {
    if (u64{map.value_size} * map.max_entries > kMaxBlockBytes) {
        return fail(Errc::TooLarge, {}, "queue size in entries", map.max_entries);
    }
    void* memory = platform::allocate(sizeof(Queue));
    if (memory == nullptr) return fail(Errc::NoMemory, {}, "queue");
    auto* queue = new (memory) Queue;
    const u64 bytes = u64{map.value_size} * map.max_entries;
    queue->values = static_cast<std::byte*>(platform::allocate(bytes));
    if (queue->values == nullptr) {
        platform::release(queue);
        return fail(Errc::NoMemory, {}, "queue", bytes);
    }
    map.state = queue;
    return {};
}

void destroy(Map& map) {
    platform::release(queue_of(map).values);
    platform::release(&queue_of(map));
}

// BPF_EXIST lets a new value take the place of the oldest when there is no room.
Status push(Map& map, const void*, const void* value, u64 flags) {
    if ((flags & kUpdateNoExist) != 0 || flags > kUpdateExist) {
        return fail(Errc::InvalidArgument, {}, "flags", flags);
    }
    Queue& queue = queue_of(map);
    platform::LockGuard guard(queue.lock);
    if (queue.count == map.max_entries) {
        if (flags != kUpdateExist) return fail(Errc::TableFull, {}, "max_entries", queue.count);
        queue.first = (queue.first + 1) % map.max_entries;
        --queue.count;
    }
    std::memcpy(value_at(map, queue, queue.count), value, map.value_size);
    ++queue.count;
    return {};
}

// Where there is nothing, the value becomes zero, as on Linux.
template <bool newest, bool take>
Status get(Map& map, const void*, void* value) {
    Queue& queue = queue_of(map);
    platform::LockGuard guard(queue.lock);
    if (queue.count == 0) {
        std::memset(value, 0, map.value_size);
        return fail(Errc::KeyNotFound, {}, "empty");
    }
    std::memcpy(value, value_at(map, queue, newest ? queue.count - 1 : 0), map.value_size);
    if (take) {
        --queue.count;
        if (!newest) queue.first = (queue.first + 1) % map.max_entries;
    }
    return {};
}

Status no_remove(Map&, const void*) {
    return fail(Errc::InvalidArgument, {}, "values without keys cannot be deleted");
}
Status no_keys(Map&, const void*, void*) {
    return fail(Errc::InvalidArgument, {}, "there are no keys");
}

}  // namespace

const MapOps kQueueOps = {.create = create,
                          .destroy = destroy,
                          .remove = no_remove,
                          .read = get<false, false>,
                          .write = push,
                          .take = get<false, true>,
                          .next_key = no_keys};

const MapOps kStackOps = {.create = create,
                          .destroy = destroy,
                          .remove = no_remove,
                          .read = get<true, false>,
                          .write = push,
                          .take = get<true, true>,
                          .next_key = no_keys};

}  // namespace ebpf::runtime
