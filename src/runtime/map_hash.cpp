// SPDX-License-Identifier: MIT
//
// The hash tables: plain, with a value per slot, those that drop what was not used for longest
// (LRU), and of maps. Buckets are chains of elements; a reader follows a chain without a lock,
// inside its epoch. A writer holds its bucket's lock, the lowest bit of the bucket's word. An
// update never writes into an element that readers may see (but for values per slot, which Linux
// too writes in place): it links a new element in the place of the old one, which is retired. So a
// reader sees the old value or the new one, never a mixture, and a program that holds a pointer to
// a value keeps that value. (Linux without preallocation behaves the same: kernel/bpf/hashtab.c.)
//
// A table has two buckets per element, of 8 bytes, and 24 bytes per element beside key and value,
// so that a lookup touches two cache lines as a rule. Elements come from a pool (element_pool.hpp).
//
// LRU. A program's lookup marks the element as used, which writes only when it was not marked. A
// full table drops an element that a hand finds, which goes round over all of them: a marked one
// loses its mark and stays, unless it met kMaxSpared of those in a row. So an element that is used
// between two rounds stays, and the cost is bounded. Linux's lists decide by the same marks, over
// batches (kernel/bpf/bpf_lru_list.c). One hand serves all slots, with BPF_F_NO_COMMON_LRU too.
#include <algorithm>
#include <cstring>
#include <new>

#include "platform/memory.hpp"
#include "runtime/element_pool.hpp"
#include "runtime/map_value.hpp"
#include "runtime/runtime.hpp"

namespace ebpf::runtime {
namespace {

constexpr u32 kMaxKeySize = 1u << 22;   // Linux: KMALLOC_MAX_SIZE with the value
constexpr u32 kMaxElements = 1u << 27;  // Linux's: 2^28 buckets, a power of two, are too many
constexpr u32 kMaxValueSize = 1u << 30;
constexpr u64 kMaxBuckets = u64{1} << 26;
constexpr u32 kMaxSpared = 128;
constexpr u32 kMaxEvictions = 1024;  // of one update, while others take what it made free

struct Element : PoolItem {
    std::atomic<Element*> following{nullptr};
    std::atomic<u32> hash{0};
    std::atomic<bool> used{false};  // LRU
    std::atomic<bool> live{false};  // linked; changes under the bucket's lock
    // then Sides of a per-CPU table, the key, padded to 8 bytes, and the value of another table
};
static_assert(sizeof(Element) == 24);

// Where a per-CPU table's values are: slot 0's, and the distance to the next slot's.
struct Sides {
    std::byte* first;
    u64 distance;
};

class Bucket {
  public:
    Element* first() const { return pointer(word_.load(std::memory_order_acquire)); }
    void lock() {
        for (u32 round = 0;; ++round) {
            u64 word = word_.load(std::memory_order_relaxed);
            if ((word & kLocked) == 0 &&
                word_.compare_exchange_weak(word, word | kLocked, std::memory_order_acquire)) {
                return;
            }
            platform::spin_pause(round);
        }
    }
    void unlock() {
        word_.store(word_.load(std::memory_order_relaxed) & ~kLocked, std::memory_order_release);
    }
    // By the holder of the lock:
    void set_first(Element* element) {
        word_.store(reinterpret_cast<u64>(element) | kLocked, std::memory_order_release);
    }

  private:
    static constexpr u64 kLocked = 1;
    static Element* pointer(u64 word) { return reinterpret_cast<Element*>(word & ~kLocked); }
    std::atomic<u64> word_{0};
};
static_assert(sizeof(Bucket) == 8);

class [[nodiscard]] BucketGuard {
  public:
    explicit BucketGuard(Bucket& bucket) : bucket_(bucket) { bucket.lock(); }
    ~BucketGuard() { bucket_.unlock(); }
    BucketGuard(const BucketGuard&) = delete;
    BucketGuard& operator=(const BucketGuard&) = delete;

  private:
    Bucket& bucket_;
};

struct HashTable {
    // What readers look at:
    Bucket* buckets = nullptr;
    u64 mask = 0;
    u64 seed[2] = {};
    u32 key_size = 0;
    u32 padding[7] = {};
    // What writers change:
    std::atomic<u32> count{0};
    ElementPool pool;
    platform::SpinLock hand_lock;
    ElementPool::Cursor hand;
};

HashTable& table_of(const Map& map) {
    return *static_cast<HashTable*>(map.state);
}

u32 padded(u32 size) {
    return (size + 7) & ~7u;
}

// --- hashes and keys ----------------------------------------------------------------------------

u64 fold(u64 a, u64 b) {
    const auto product = static_cast<unsigned __int128>(a) * b;
    return static_cast<u64>(product) ^ static_cast<u64>(product >> 64);
}

template <typename T>
T read_at(const void* from) {
    T value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

// Multiply and fold, 16 bytes at a time. Both factors are secret, so that nobody outside can make
// chains long.
u32 hash_words(const HashTable& table, const void* key) {
    const auto* at = static_cast<const std::byte*>(key);
    u64 hash = table.key_size;
    u32 left = table.key_size;
    for (; left >= 16; left -= 16, at += 16) {
        hash = fold(read_at<u64>(at) ^ table.seed[0] ^ hash, read_at<u64>(at + 8) ^ table.seed[1]);
    }
    if (left >= 8) {
        hash = fold(read_at<u64>(at) ^ table.seed[0] ^ hash, table.seed[1]);
        left -= 8, at += 8;
    }
    if (left != 0) {
        u64 rest = 0;
        std::memcpy(&rest, at, left);
        hash = fold(rest ^ table.seed[0] ^ hash, table.seed[1]);
    }
    return static_cast<u32>(hash);
}

// Keys of 4 and of 8 bytes, as most are, are one word.
template <typename Word>
u32 hash_word(const HashTable& table, Word key) {
    return static_cast<u32>(fold(key ^ table.seed[0], table.seed[1]));
}

u32 hash_key(const HashTable& table, const void* key) {
    if (table.key_size == 4) return hash_word(table, read_at<u32>(key));
    if (table.key_size == 8) return hash_word(table, read_at<u64>(key));
    return hash_words(table, key);
}

bool same_bytes(const std::byte* a, const std::byte* b, u32 size) {
    for (; size >= 8; size -= 8, a += 8, b += 8) {
        if (read_at<u64>(a) != read_at<u64>(b)) return false;
    }
    for (; size != 0; --size, ++a, ++b) {
        if (*a != *b) return false;
    }
    return true;
}

// --- what the four kinds of table differ in ------------------------------------------------------

struct Plain {
    static constexpr bool kPercpu = false, kLru = false, kMaps = false;
};
struct Percpu {
    static constexpr bool kPercpu = true, kLru = false, kMaps = false;
};
struct Lru {
    static constexpr bool kPercpu = false, kLru = true, kMaps = false;
};
struct LruPercpu {
    static constexpr bool kPercpu = true, kLru = true, kMaps = false;
};
struct Maps {
    static constexpr bool kPercpu = false, kLru = false, kMaps = true;
};

template <typename Kind>
std::byte* key_of(Element& element) {
    return reinterpret_cast<std::byte*>(&element) + sizeof(Element) +
           (Kind::kPercpu ? sizeof(Sides) : 0);
}

template <typename Kind>
std::byte* value_of(const HashTable& table, Element& element, u32 slot = 0) {
    if constexpr (Kind::kPercpu) {
        const auto& sides = *reinterpret_cast<const Sides*>(&element + 1);
        return sides.first + slot * sides.distance;
    } else {
        return key_of<Kind>(element) + padded(table.key_size);
    }
}

// The map in a table of maps.
std::atomic<Map*>& map_in(const HashTable& table, Element& element) {
    return *reinterpret_cast<std::atomic<Map*>*>(value_of<Maps>(table, element));
}

template <typename Kind, typename Word>
Element* find_word(const HashTable& table, const void* key) {
    const Word word = read_at<Word>(key);
    Element* element = table.buckets[hash_word(table, word) & table.mask].first();
    while (element != nullptr && read_at<Word>(key_of<Kind>(*element)) != word) {
        element = element->following.load(std::memory_order_acquire);
    }
    return element;
}

template <typename Kind>
bool same_key(const HashTable& table, Element& element, u32 hash, const void* key) {
    return element.hash.load(std::memory_order_relaxed) == hash &&
           same_bytes(key_of<Kind>(element), static_cast<const std::byte*>(key), table.key_size);
}

template <typename Kind>
Element* find(const HashTable& table, const void* key) {
    if (table.key_size == 4) return find_word<Kind, u32>(table, key);
    if (table.key_size == 8) return find_word<Kind, u64>(table, key);
    const u32 hash = hash_words(table, key);
    Element* element = table.buckets[hash & table.mask].first();
    while (element != nullptr && !same_key<Kind>(table, *element, hash, key)) {
        element = element->following.load(std::memory_order_acquire);
    }
    return element;
}

// --- making and destroying -----------------------------------------------------------------------

void construct_plain(void* memory, std::byte*, u64) {
    new (memory) Element;
}
void construct_percpu(void* memory, std::byte* side, u64 distance) {
    auto* element = new (memory) Element;
    new (element + 1) Sides{side, distance};
}

Status fill_table(Map& map, HashTable& table) {
    u64 buckets = 1;
    while (buckets < u64{map.max_entries} * 2 && buckets < kMaxBuckets) buckets *= 2;
    table.buckets = static_cast<Bucket*>(platform::allocate(buckets * sizeof(Bucket)));
    if (table.buckets == nullptr) return fail(Errc::NoMemory, {}, "hash table buckets", buckets);
    table.mask = buckets - 1;
    table.key_size = map.key_size;
    if ((map.flags & spec::kMapZeroSeed) == 0) {
        platform::fill_random({reinterpret_cast<std::byte*>(table.seed), sizeof table.seed});
    }
    table.seed[0] ^= 0x9E3779B97F4A7C15;  // the golden ratio: bits without a pattern
    table.seed[1] ^= 0xD1B54A32D192ED03;
    table.seed[1] |= 1;
    const bool percpu = map.info->percpu;
    const u64 value = map.info->holds == spec::Holds::Map ? sizeof(Map*) : map.value_stride;
    const u64 inside = percpu ? sizeof(Sides) : value;
    return table.pool.initialize(
        map.runtime->epochs(),
        {.item_size = static_cast<u32>(sizeof(Element) + padded(map.key_size) + inside),
         .side_size = percpu ? map.value_stride : 0,
         .expected = map.max_entries,
         .construct = percpu ? construct_percpu : construct_plain});
}

void free_table(HashTable& table) {
    platform::release(table.buckets);
    table.~HashTable();
    platform::release(&table);
}

Status create(Map& map) {
    if (map.key_size > kMaxKeySize) return fail(Errc::TooLarge, {}, "key_size", map.key_size);
    if (map.value_size > kMaxValueSize)
        return fail(Errc::TooLarge, {}, "value_size", map.value_size);
    if (map.max_entries > kMaxElements)
        return fail(Errc::TooLarge, {}, "max_entries", map.max_entries);
    void* memory = platform::allocate(sizeof(HashTable));
    if (memory == nullptr) return fail(Errc::NoMemory, {}, "hash table");
    auto* table = new (memory) HashTable;
    if (const Status status = fill_table(map, *table); !status) {
        free_table(*table);
        return status;
    }
    map.state = table;
    return {};
}

void destroy(Map& map) {
    free_table(table_of(map));
}

void destroy_maps(Map& map) {
    HashTable& table = table_of(map);
    for (u64 i = 0; i <= table.mask; ++i) {
        for (Element* element = table.buckets[i].first(); element != nullptr;
             element = element->following.load(std::memory_order_relaxed)) {
            release(*map_in(table, *element).load(std::memory_order_relaxed));
        }
    }
    free_table(table);
}

// --- changing, under the bucket's lock -----------------------------------------------------------

// The place of a key in its bucket: the element, or null, and what comes before it, null for the
// bucket itself.
struct Place {
    Element* before = nullptr;
    Element* element = nullptr;
};

void point(Bucket& bucket, const Place& place, Element* to) {
    if (place.before == nullptr) {
        bucket.set_first(to);
    } else {
        place.before->following.store(to, std::memory_order_release);
    }
}

template <typename Kind>
Place place_of(const HashTable& table, Bucket& bucket, u32 hash, const void* key) {
    Place place{nullptr, bucket.first()};
    while (place.element != nullptr && !same_key<Kind>(table, *place.element, hash, key)) {
        place = {place.element, place.element->following.load(std::memory_order_relaxed)};
    }
    return place;
}

Place place_of(Bucket& bucket, const Element* wanted) {
    Place place{nullptr, bucket.first()};
    while (place.element != nullptr && place.element != wanted) {
        place = {place.element, place.element->following.load(std::memory_order_relaxed)};
    }
    return place;
}

// Puts `fresh` where an old element is, or at the chain's end.
void put(Bucket& bucket, const Place& place, Element& fresh) {
    Element* old = place.element;
    Element* following = old != nullptr ? old->following.load(std::memory_order_relaxed) : nullptr;
    fresh.following.store(following, std::memory_order_relaxed);
    fresh.live.store(true, std::memory_order_relaxed);
    point(bucket, place, &fresh);
    if (old != nullptr) old->live.store(false, std::memory_order_relaxed);
}

void cut(Bucket& bucket, const Place& place, HashTable& table) {
    point(bucket, place, place.element->following.load(std::memory_order_relaxed));
    place.element->live.store(false, std::memory_order_relaxed);
    table.count.fetch_sub(1, std::memory_order_relaxed);
}

// Unlinks an element to make room; null when it found none that nobody else was dropping.
Element* evict(HashTable& table) {
    platform::LockGuard guard(table.hand_lock);
    u32 spared = 0;
    for (u64 steps = 4 * (table.mask + 1) + 64; steps != 0; --steps) {
        auto* element = static_cast<Element*>(table.pool.step(table.hand));
        if (element == nullptr) return nullptr;
        if (!element->live.load(std::memory_order_relaxed)) continue;
        if (element->used.load(std::memory_order_relaxed) && spared < kMaxSpared) {
            element->used.store(false, std::memory_order_relaxed);
            ++spared;
            continue;
        }
        Bucket& bucket = table.buckets[element->hash.load(std::memory_order_relaxed) & table.mask];
        {
            BucketGuard lock(bucket);
            const Place place = place_of(bucket, element);
            if (place.element == nullptr) continue;  // gone, or elsewhere by now
            cut(bucket, place, table);
        }
        return element;
    }
    return nullptr;
}

// Gives back an element that nobody finds any more.
template <typename Kind>
void retire(Map& map, HashTable& table, Element* element) {
    if constexpr (Kind::kMaps) {
        release(*map_in(table, *element).load(std::memory_order_relaxed));
    } else if constexpr (!Kind::kPercpu) {
        end_timer(map, value_of<Kind>(table, *element), true);
    }
    table.pool.retire(element);
}

template <typename Kind>
Element* make_element(HashTable& table, u32 hash, const void* key) {
    auto* element = static_cast<Element*>(table.pool.take());
    if (element == nullptr) return nullptr;
    element->hash.store(hash, std::memory_order_relaxed);
    std::memcpy(key_of<Kind>(*element), key, table.key_size);
    return element;
}

bool count_new_element(const Map& map, HashTable& table) {
    // Never above the limit, not even for a moment: another thread could find the map full then.
    u32 count = table.count.load(std::memory_order_relaxed);
    while (count < map.max_entries) {
        if (table.count.compare_exchange_weak(count, count + 1, std::memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

enum class Stored : u8 { New, Replaced, InPlace, Exists, Missing, Full, NeedsElement };

// One attempt at storing; `fill(element, is_new)` writes the value.
template <typename Kind, typename Fill>
Stored try_store(const Map& map, HashTable& table, u32 hash, const void* key, u64 flags,
                 Element* fresh, Element*& old, const Fill& fill) {
    Bucket& bucket = table.buckets[hash & table.mask];
    BucketGuard guard(bucket);
    const Place place = place_of<Kind>(table, bucket, hash, key);
    old = place.element;
    if (old != nullptr && flags == kUpdateNoExist) return Stored::Exists;
    if (old == nullptr && flags == kUpdateExist) return Stored::Missing;
    if (Kind::kPercpu && old != nullptr) {
        fill(*old, false);
        if (Kind::kLru) old->used.store(true, std::memory_order_relaxed);
        return Stored::InPlace;
    }
    if (fresh == nullptr) return Stored::NeedsElement;
    if (Kind::kLru) fresh->used.store(old != nullptr, std::memory_order_relaxed);
    if (old == nullptr && !count_new_element(map, table)) return Stored::Full;
    put(bucket, place, *fresh);
    return old != nullptr ? Stored::Replaced : Stored::New;
}

Status status_of(Stored stored, const Map& map) {
    switch (stored) {
        case Stored::New:
        case Stored::Replaced:
        case Stored::InPlace:
            return {};
        case Stored::Exists:
            return fail(Errc::KeyAlreadyExists);
        case Stored::Missing:
            return fail(Errc::KeyNotFound);
        case Stored::Full:
            return fail(Errc::TableFull, {}, "max_entries", map.max_entries);
        case Stored::NeedsElement:
            break;
    }
    return fail(Errc::NoMemory, {}, "element");
}

template <typename Kind, typename Fill>
Status store(Map& map, const void* key, u64 flags, const Fill& fill) {
    if (flags > kUpdateExist) return fail(Errc::InvalidArgument, {}, "flags", flags);
    HashTable& table = table_of(map);
    const u32 hash = hash_key(table, key);
    // Made before the lock is taken; given back when it is not needed.
    Element* fresh = nullptr;
    Element* old = nullptr;
    Stored stored = Stored::NeedsElement;
    bool wanted = !Kind::kPercpu || find<Kind>(table, key) == nullptr;
    for (u32 evictions = 0; evictions < kMaxEvictions; ++evictions) {
        if (wanted && fresh == nullptr) {
            fresh = make_element<Kind>(table, hash, key);
            if (fresh == nullptr) return fail(Errc::NoMemory, {}, "element");
            fill(*fresh, true);
        }
        stored = try_store<Kind>(map, table, hash, key, flags, fresh, old, fill);
        if (stored == Stored::NeedsElement) {
            wanted = true;
        } else if (stored != Stored::Full || !Kind::kLru) {
            break;
        } else {
            Element* const dropped = evict(table);
            if (dropped != nullptr) retire<Kind>(map, table, dropped);
        }
    }
    const bool took = stored == Stored::New || stored == Stored::Replaced;
    if (fresh != nullptr && !took) table.pool.give_back(fresh);
    if (stored == Stored::Replaced) retire<Kind>(map, table, old);
    return status_of(stored, map);
}

// Unlinks the key's element; `take(element)` sees it before.
template <typename Kind, typename Take>
Status unlink(Map& map, const void* key, const Take& take) {
    HashTable& table = table_of(map);
    const u32 hash = hash_key(table, key);
    Bucket& bucket = table.buckets[hash & table.mask];
    Element* old = nullptr;
    {
        BucketGuard guard(bucket);
        const Place place = place_of<Kind>(table, bucket, hash, key);
        old = place.element;
        if (old == nullptr) return fail(Errc::KeyNotFound);
        take(*old);
        cut(bucket, place, table);
    }
    retire<Kind>(map, table, old);
    return {};
}

// --- the operations ------------------------------------------------------------------------------

template <typename Kind>
void* lookup(Map& map, const void* key, u32 slot) {
    const HashTable& table = table_of(map);
    Element* element = find<Kind>(table, key);
    if (element == nullptr) return nullptr;
    if (Kind::kLru && !element->used.load(std::memory_order_relaxed)) {
        element->used.store(true, std::memory_order_relaxed);
    }
    if constexpr (Kind::kMaps) {
        return map_in(table, *element).load(std::memory_order_relaxed);
    } else {
        return value_of<Kind>(table, *element, slot);
    }
}

// A program writes its slot's value; the other slots of a new element are zero.
template <typename Kind>
Status update(Map& map, const void* key, const void* value, u64 flags, u32 slot) {
    const HashTable& table = table_of(map);
    return store<Kind>(map, key, flags, [&](Element& element, bool is_new) {
        if constexpr (Kind::kPercpu) {
            for (u32 s = 0; is_new && s < map.slots; ++s) {
                if (s != slot) std::memset(value_of<Kind>(table, element, s), 0, map.value_size);
            }
            copy_words(value_of<Kind>(table, element, slot), value, map.value_size);
        } else if (is_new) {
            make_value(map, value_of<Kind>(table, element), value);
        }
    });
}

template <typename Kind>
Status write(Map& map, const void* key, const void* value, u64 flags) {
    const HashTable& table = table_of(map);
    const auto* from = static_cast<const std::byte*>(value);
    return store<Kind>(map, key, flags, [&](Element& element, bool) {
        if constexpr (!Kind::kPercpu) {
            return make_value(map, value_of<Kind>(table, element), value);
        }
        for (u32 s = 0; s < map.slots; ++s) {
            copy_words(value_of<Kind>(table, element, s), from + u64{s} * map.value_stride,
                       map.value_size);
        }
    });
}

template <typename Kind>
void copy_out(const Map& map, Element& element, void* value, bool locked = false) {
    const HashTable& table = table_of(map);
    if constexpr (Kind::kMaps) {
        const u32 id = map_in(table, element).load(std::memory_order_relaxed)->id;
        std::memcpy(value, &id, sizeof id);
    } else if constexpr (Kind::kPercpu) {
        auto* out = static_cast<std::byte*>(value);
        for (u32 s = 0; s < map.slots; ++s) {
            std::memset(out + u64{s} * map.value_stride, 0, map.value_stride);
            read_words(out + u64{s} * map.value_stride, value_of<Kind>(table, element, s),
                       map.value_size);
        }
    } else {
        read_value(map, value, value_of<Kind>(table, element), locked);
    }
}

template <typename Kind>
Status remove(Map& map, const void* key) {
    return unlink<Kind>(map, key, [](Element&) {});
}

template <typename Kind>
Status take(Map& map, const void* key, void* value) {
    return unlink<Kind>(map, key, [&](Element& element) { copy_out<Kind>(map, element, value); });
}

template <typename Kind>
void* detach(Map& map, const void* key, u32 slot) {
    void* value = nullptr;
    (void)unlink<Kind>(
        map, key, [&](Element& element) { value = value_of<Kind>(table_of(map), element, slot); });
    return value;
}

template <typename Kind>
Status read(Map& map, const void* key, void* value) {
    Element* element = find<Kind>(table_of(map), key);
    if (element == nullptr) return fail(Errc::KeyNotFound);
    copy_out<Kind>(map, *element, value);
    return {};
}

// The order is that of the buckets. A key that is not there restarts at the first.
template <typename Kind>
Status next_key(Map& map, const void* key, void* next) {
    const HashTable& table = table_of(map);
    u64 bucket = 0;
    Element* found = nullptr;
    if (Element* current = key != nullptr ? find<Kind>(table, key) : nullptr; current != nullptr) {
        found = current->following.load(std::memory_order_acquire);
        bucket = (current->hash.load(std::memory_order_relaxed) & table.mask) + 1;
    }
    for (; found == nullptr && bucket <= table.mask; ++bucket) {
        found = table.buckets[bucket].first();
    }
    if (found == nullptr) return fail(Errc::NoMoreKeys);
    std::memcpy(next, key_of<Kind>(*found), map.key_size);
    return {};
}

template <typename Kind>
u64 for_each(Map& map, u32 slot, const Visitor& visitor) {
    const HashTable& table = table_of(map);
    u64 visits = 0;
    for (u64 i = 0; i <= table.mask; ++i) {
        for (Element* element = table.buckets[i].first(); element != nullptr;
             element = element->following.load(std::memory_order_acquire)) {
            ++visits;
            if (!visitor.visit(visitor.self, key_of<Kind>(*element),
                               value_of<Kind>(table, *element, slot))) {
                return visits;
            }
        }
    }
    return visits;
}

const void* key_of_value(const Map& map, const void* value, u32&) {
    return static_cast<const std::byte*>(value) - padded(map.key_size);
}

// Takes a bucket whole or not at all, and a limited number of them in one call. Positions are
// buckets, as on Linux.
template <typename Kind>
Status read_batch(Map& map, u32& position, Batch& batch, bool remove) {
    constexpr u64 kBucketsAtOnce = 1024;
    HashTable& table = table_of(map);
    const u64 end = std::min(table.mask + 1, position + kBucketsAtOnce);
    for (u64 i = position; i < end; ++i) {
        position = static_cast<u32>(i);
        Bucket& bucket = table.buckets[i];
        if (bucket.first() == nullptr) continue;
        Element* removed = nullptr;
        {
            BucketGuard guard(bucket);
            u32 length = 0;
            for (Element* e = bucket.first(); e != nullptr; e = e->following.load()) ++length;
            if (length > batch.room - batch.count) {
                batch.full = true;
                return batch.count == 0 ? fail(Errc::InsufficientBuffer, {}, "count", length)
                                        : Status{};
            }
            removed = remove ? bucket.first() : nullptr;
            for (Element* e = bucket.first(); e != nullptr; e = e->following.load()) {
                std::memcpy(batch.keys + u64{batch.count} * map.key_size, key_of<Kind>(*e),
                            map.key_size);
                copy_out<Kind>(map, *e, batch.values + batch.count * map.user_value_size(),
                               batch.locked);
                ++batch.count;
                if (remove) e->live.store(false, std::memory_order_relaxed);
            }
            if (remove) {
                bucket.set_first(nullptr);
                table.count.fetch_sub(length, std::memory_order_relaxed);
            }
        }
        while (removed != nullptr) {
            Element* following = removed->following.load(std::memory_order_relaxed);
            retire<Kind>(map, table, removed);
            removed = following;
        }
    }
    position = std::max(position, static_cast<u32>(end));
    if (position <= table.mask) return {};
    return fail(Errc::NoMoreKeys);
}

Status write_object(Map& map, const void* key, Object& object, u64 flags) {
    if (object.kind != ObjectKind::Map) return fail(Errc::InvalidArgument, {}, "not a map");
    auto& inner = static_cast<Map&>(object);
    TRY(check_inner(map, inner));
    const HashTable& table = table_of(map);
    acquire(inner);
    const Status status = store<Maps>(map, key, flags, [&](Element& element, bool) {
        map_in(table, element).store(&inner, std::memory_order_relaxed);
    });
    if (!status) release(inner);
    return status;
}

template <typename Kind>
constexpr MapOps kOps = {.create = create,
                         .destroy = destroy,
                         .lookup = lookup<Kind>,
                         .update = update<Kind>,
                         .remove = remove<Kind>,
                         .detach = detach<Kind>,
                         .for_each = for_each<Kind>,
                         .read = read<Kind>,
                         .write = write<Kind>,
                         .take = take<Kind>,
                         .next_key = next_key<Kind>,
                         .read_batch = read_batch<Kind>,
                         .key_of = Kind::kPercpu ? nullptr : key_of_value};

}  // namespace

const MapOps kHashOps = kOps<Plain>;
const MapOps kPercpuHashOps = kOps<Percpu>;
const MapOps kLruHashOps = kOps<Lru>;
const MapOps kLruPercpuHashOps = kOps<LruPercpu>;
const MapOps kHashOfMapsOps = {.create = create,
                               .destroy = destroy_maps,
                               .lookup = lookup<Maps>,
                               .remove = remove<Maps>,
                               .read = read<Maps>,
                               .next_key = next_key<Maps>,
                               .read_batch = read_batch<Maps>,
                               .write_object = write_object};

}  // namespace ebpf::runtime
