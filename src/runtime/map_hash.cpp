// SPDX-License-Identifier: MIT
//
// The hash table. Buckets are chains of elements; a reader follows a chain without a lock, inside
// its epoch. A writer holds its bucket's lock. An update never writes into an element that readers
// may see: it links a new element in the place of the old one, which is retired. So a reader sees
// the old value or the new one, never a mixture, and a program that holds a pointer to a value
// keeps that value. (Linux without preallocation behaves the same: kernel/bpf/hashtab.c.)
#include <cstring>
#include <new>

#include "platform/memory.hpp"
#include "runtime/map.hpp"
#include "runtime/runtime.hpp"

namespace ebpf::runtime {
namespace {

constexpr u32 kMaxKeySize = 512;  // Linux: keys of hash maps come from a program's stack
constexpr u32 kMaxValueSize = 1u << 30;
constexpr u32 kMaxBuckets = 1u << 24;

struct Element : Retired {
    std::atomic<Element*> following{nullptr};
    u64 hash = 0;
    // then the key, padded to 8 bytes, and the value
    std::byte* key() { return reinterpret_cast<std::byte*>(this + 1); }
};
static_assert(sizeof(Element) % 8 == 0);

struct Bucket {
    std::atomic<Element*> head{nullptr};
    platform::SpinLock lock;
};

struct HashTable {
    Bucket* buckets = nullptr;
    u64 mask = 0;
    u64 seed = 0;
    std::atomic<u32> count{0};
};

HashTable& table_of(const Map& map) {
    return *static_cast<HashTable*>(map.state);
}

u32 padded(u32 size) {
    return (size + 7) & ~7u;
}

std::byte* value_of(const Map& map, Element& element) {
    return element.key() + padded(map.key_size);
}

// Multiply and fold, 8 bytes at a time. Seeded, so that nobody outside can make chains long.
u64 hash_key(const HashTable& table, const void* key, u32 size) {
    constexpr u64 kFactor = 0x9E3779B97F4A7C15;
    const auto* at = static_cast<const std::byte*>(key);
    u64 hash = table.seed ^ size;
    const auto mix = [&hash](u64 word) {
        const auto product = static_cast<unsigned __int128>(hash ^ word) * kFactor;
        hash = static_cast<u64>(product) ^ static_cast<u64>(product >> 64);
    };
    for (; size >= 8; size -= 8, at += 8) {
        u64 word;
        std::memcpy(&word, at, 8);
        mix(word);
    }
    u64 rest = 0;
    std::memcpy(&rest, at, size);
    mix(rest + table.seed);
    return hash;
}

bool same_key(const Map& map, Element& element, u64 hash, const void* key) {
    return element.hash == hash && std::memcmp(element.key(), key, map.key_size) == 0;
}

Element* find(const Map& map, const void* key) {
    const HashTable& table = table_of(map);
    const u64 hash = hash_key(table, key, map.key_size);
    Element* element = table.buckets[hash & table.mask].head.load(std::memory_order_acquire);
    while (element != nullptr && !same_key(map, *element, hash, key)) {
        element = element->following.load(std::memory_order_acquire);
    }
    return element;
}

void free_element(Retired* element) {
    platform::release(static_cast<Element*>(element));
}

Element* make_element(const Map& map, u64 hash, const void* key, const void* value) {
    const u64 size = sizeof(Element) + padded(map.key_size) + map.value_stride;
    void* memory = platform::allocate(size);
    if (memory == nullptr) return nullptr;
    auto* element = new (memory) Element;
    element->destroy = free_element;
    element->hash = hash;
    std::memcpy(element->key(), key, map.key_size);
    std::memcpy(value_of(map, *element), value, map.value_size);
    return element;
}

Status create(Map& map) {
    if (map.key_size > kMaxKeySize) return fail(Errc::TooLarge, {}, "key_size", map.key_size);
    if (map.value_size > kMaxValueSize)
        return fail(Errc::TooLarge, {}, "value_size", map.value_size);
    u64 buckets = 1;
    while (buckets < map.max_entries && buckets < kMaxBuckets) buckets *= 2;
    void* memory = platform::allocate(sizeof(HashTable));
    if (memory == nullptr) return fail(Errc::NoMemory, {}, "hash table");
    auto* table = new (memory) HashTable;
    table->buckets = static_cast<Bucket*>(platform::allocate(buckets * sizeof(Bucket)));
    if (table->buckets == nullptr) {
        platform::release(table);
        return fail(Errc::NoMemory, {}, "hash table buckets", buckets);
    }
    table->mask = buckets - 1;
    if ((map.flags & spec::kMapZeroSeed) == 0) {
        platform::fill_random({reinterpret_cast<std::byte*>(&table->seed), sizeof table->seed});
    }
    map.state = table;
    return {};
}

void destroy(Map& map) {
    HashTable& table = table_of(map);
    for (u64 i = 0; i <= table.mask; ++i) {
        Element* element = table.buckets[i].head.load(std::memory_order_relaxed);
        while (element != nullptr) {
            Element* following = element->following.load(std::memory_order_relaxed);
            platform::release(element);
            element = following;
        }
    }
    platform::release(table.buckets);
    platform::release(&table);
}

void* lookup(Map& map, const void* key, u32) {
    Element* element = find(map, key);
    return element != nullptr ? value_of(map, *element) : nullptr;
}

// The link that points to the key's element, or to the end of the chain. Under the bucket's lock.
std::atomic<Element*>& link_to(Map& map, Bucket& bucket, u64 hash, const void* key) {
    std::atomic<Element*>* link = &bucket.head;
    for (;;) {
        Element* element = link->load(std::memory_order_relaxed);
        if (element == nullptr || same_key(map, *element, hash, key)) return *link;
        link = &element->following;
    }
}

Status count_new_element(Map& map, HashTable& table) {
    if (table.count.fetch_add(1, std::memory_order_relaxed) < map.max_entries) return {};
    table.count.fetch_sub(1, std::memory_order_relaxed);
    return fail(Errc::TableFull, {}, "max_entries", map.max_entries);
}

Status update(Map& map, const void* key, const void* value, u64 flags, u32) {
    if (flags > kUpdateExist) return fail(Errc::InvalidArgument, {}, "flags", flags);
    HashTable& table = table_of(map);
    const u64 hash = hash_key(table, key, map.key_size);
    Bucket& bucket = table.buckets[hash & table.mask];
    // Made before the lock is taken; given back when it is not needed.
    Element* fresh = make_element(map, hash, key, value);
    if (fresh == nullptr) return fail(Errc::NoMemory, {}, "element");
    Element* old = nullptr;
    Status status;
    {
        platform::LockGuard guard(bucket.lock);
        std::atomic<Element*>& link = link_to(map, bucket, hash, key);
        old = link.load(std::memory_order_relaxed);
        if (old != nullptr && flags == kUpdateNoExist) {
            status = fail(Errc::KeyAlreadyExists);
        } else if (old == nullptr && flags == kUpdateExist) {
            status = fail(Errc::KeyNotFound);
        } else if (old == nullptr) {
            status = count_new_element(map, table);
        }
        if (status) {
            Element* following =
                old != nullptr ? old->following.load(std::memory_order_relaxed) : nullptr;
            fresh->following.store(following, std::memory_order_relaxed);
            link.store(fresh, std::memory_order_release);
        }
    }
    if (!status) {
        platform::release(fresh);
    } else if (old != nullptr) {
        map.runtime->epochs().retire(old);
    }
    return status;
}

// Unlinks the key's element and copies its value out when `value` is not null.
Status unlink(Map& map, const void* key, void* value) {
    HashTable& table = table_of(map);
    const u64 hash = hash_key(table, key, map.key_size);
    Bucket& bucket = table.buckets[hash & table.mask];
    Element* old = nullptr;
    {
        platform::LockGuard guard(bucket.lock);
        std::atomic<Element*>& link = link_to(map, bucket, hash, key);
        old = link.load(std::memory_order_relaxed);
        if (old == nullptr) return fail(Errc::KeyNotFound);
        if (value != nullptr) std::memcpy(value, value_of(map, *old), map.value_size);
        link.store(old->following.load(std::memory_order_relaxed), std::memory_order_release);
        table.count.fetch_sub(1, std::memory_order_relaxed);
    }
    map.runtime->epochs().retire(old);
    return {};
}

Status remove(Map& map, const void* key) {
    return unlink(map, key, nullptr);
}

Status read(Map& map, const void* key, void* value) {
    Element* element = find(map, key);
    if (element == nullptr) return fail(Errc::KeyNotFound);
    std::memcpy(value, value_of(map, *element), map.value_size);
    return {};
}

Status write(Map& map, const void* key, const void* value, u64 flags) {
    return update(map, key, value, flags, 0);
}

// The order is that of the buckets. A key that is not there restarts at the first.
Status next_key(Map& map, const void* key, void* next) {
    const HashTable& table = table_of(map);
    u64 bucket = 0;
    Element* found = nullptr;
    if (Element* current = key != nullptr ? find(map, key) : nullptr; current != nullptr) {
        found = current->following.load(std::memory_order_acquire);
        bucket = (current->hash & table.mask) + 1;
    }
    for (; found == nullptr && bucket <= table.mask; ++bucket) {
        found = table.buckets[bucket].head.load(std::memory_order_acquire);
    }
    if (found == nullptr) return fail(Errc::NoMoreKeys);
    std::memcpy(next, found->key(), map.key_size);
    return {};
}

}  // namespace

const MapOps kHashOps = {.create = create,
                         .destroy = destroy,
                         .lookup = lookup,
                         .update = update,
                         .remove = remove,
                         .read = read,
                         .write = write,
                         .take = unlink,
                         .next_key = next_key};

}  // namespace ebpf::runtime
