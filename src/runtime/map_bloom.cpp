// SPDX-License-Identifier: MIT
//
// Bloom filters: a set that may say yes wrongly, never no. A value sets some bits; it is a member
// when all of its bits are set. The size is Linux's (kernel/bpf/bloom_filter.c): with k hashes and
// n expected values, n * k / ln 2 bits, rounded up to a power of two, ln 2 taken as 5/7. Reading
// and adding are single atomic accesses without a lock.
#include <bit>
#include <cstring>
#include <new>

#include "platform/memory.hpp"
#include "runtime/map.hpp"

namespace ebpf::runtime {
namespace {

constexpr u32 kDefaultHashes = 5;
constexpr u64 kMaxBits = u64{1} << 32;

struct Filter {
    u64 mask = 0;  // bits - 1
    u32 hashes = 0;
    u64 seed = 0;
    std::atomic<u64>* words = nullptr;
};

Filter& filter_of(const Map& map) {
    return *static_cast<Filter*>(map.state);
}

u64 fold(u64 a, u64 b) {
    const auto product = static_cast<unsigned __int128>(a) * b;
    return static_cast<u64>(product) ^ static_cast<u64>(product >> 64);
}

// The first of the positions; the others follow at odd distances made of its upper half.
u64 hash_value(const Filter& filter, const void* value, u32 size) {
    constexpr u64 kFactor = 0x9E3779B97F4A7C15;
    const auto* at = static_cast<const std::byte*>(value);
    u64 hash = filter.seed ^ size;
    for (u32 left = size; left != 0;) {
        const u32 now = left < 8 ? left : 8;
        u64 word = 0;
        std::memcpy(&word, at, now);
        hash = fold(hash ^ word ^ kFactor, filter.seed | 1) + kFactor;
        hash ^= hash >> 29;
        at += now, left -= now;
    }
    return fold(hash ^ kFactor, 0xD1B54A32D192ED03);
}

// Calls `f(word, bit)` for each of the value's bits until it says false; whether it never did.
template <typename F>
bool for_bits(const Map& map, const void* value, F f) {
    const Filter& filter = filter_of(map);
    u64 hash = hash_value(filter, value, map.value_size);
    const u64 distance = std::rotl(hash, 32) | 1;
    for (u32 i = 0; i < filter.hashes; ++i, hash += distance) {
        const u64 bit = hash & filter.mask;
        if (!f(filter.words[bit / 64], u64{1} << bit % 64)) return false;
    }
    return true;
}

Status create(Map& map) {
    void* memory = platform::allocate(sizeof(Filter));
    if (memory == nullptr) return fail(Errc::NoMemory, {}, "bloom filter");
    auto* filter = new (memory) Filter;
    filter->hashes = map.extra != 0 ? static_cast<u32>(map.extra) : kDefaultHashes;
    const u64 wanted = u64{map.max_entries} * filter->hashes * 7 / 5;
    const u64 bits = wanted < 64 ? 64 : wanted > kMaxBits ? kMaxBits : std::bit_ceil(wanted);
    filter->mask = bits - 1;
    if ((map.flags & spec::kMapZeroSeed) == 0) {
        platform::fill_random({reinterpret_cast<std::byte*>(&filter->seed), sizeof filter->seed});
    }
    filter->words = static_cast<std::atomic<u64>*>(platform::allocate(bits / 8));
    if (filter->words == nullptr) {
        platform::release(filter);
        return fail(Errc::NoMemory, {}, "bloom filter", bits / 8);
    }
    map.state = filter;
    return {};
}

void destroy(Map& map) {
    platform::release(filter_of(map).words);
    platform::release(&filter_of(map));
}

Status push(Map& map, const void*, const void* value, u64 flags) {
    if (flags != kUpdateAny) return fail(Errc::InvalidArgument, {}, "flags", flags);
    for_bits(map, value, [](std::atomic<u64>& word, u64 bit) {
        if ((word.load(std::memory_order_relaxed) & bit) == 0) {
            word.fetch_or(bit, std::memory_order_relaxed);
        }
        return true;
    });
    return {};
}

// `value` is what is asked for.
Status peek(Map& map, const void*, void* value) {
    const bool member = for_bits(map, value, [](const std::atomic<u64>& word, u64 bit) {
        return (word.load(std::memory_order_relaxed) & bit) != 0;
    });
    return member ? Status{} : fail(Errc::KeyNotFound);
}

Status no_remove(Map&, const void*) {
    return fail(Errc::NotSupported, {}, "nothing is deleted from a bloom filter");
}
Status no_keys(Map&, const void*, void*) {
    return fail(Errc::NotSupported, {}, "there are no keys");
}

}  // namespace

const MapOps kBloomOps = {.create = create,
                          .destroy = destroy,
                          .remove = no_remove,
                          .read = peek,
                          .write = push,
                          .next_key = no_keys};

}  // namespace ebpf::runtime
