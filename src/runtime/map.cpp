// SPDX-License-Identifier: MIT
#include "runtime/map.hpp"

namespace ebpf::runtime {
namespace {

struct Row {
    spec::MapType type;
    const MapOps* ops;
};

// Which operations serve a type. Every type that map_types.def calls implemented has a row here,
// and no other (tests/runtime).
constexpr Row kRows[] = {
    {spec::MapType::Hash, &kHashOps},
    {spec::MapType::PercpuHash, &kPercpuHashOps},
    {spec::MapType::LruHash, &kLruHashOps},
    {spec::MapType::LruPercpuHash, &kLruPercpuHashOps},
    {spec::MapType::Array, &kArrayOps},
    {spec::MapType::LpmTrie, &kLpmTrieOps},
    {spec::MapType::ArrayOfMaps, &kArrayOfMapsOps},
    {spec::MapType::HashOfMaps, &kHashOfMapsOps},
    {spec::MapType::Queue, &kQueueOps},
    {spec::MapType::Stack, &kStackOps},
    {spec::MapType::BloomFilter, &kBloomOps},
    {spec::MapType::PercpuArray, &kPercpuArrayOps},
    {spec::MapType::ProgArray, &kProgArrayOps},
    {spec::MapType::Ringbuf, &kRingOps},
};

}  // namespace

bool WriteGate::enter() {
    u32 state = state_.load(std::memory_order_acquire);
    while (state != kFrozen) {
        if (state_.compare_exchange_weak(state, state + 1, std::memory_order_acquire)) return true;
    }
    return false;
}

Status WriteGate::freeze() {
    u32 state = 0;
    if (state_.compare_exchange_strong(state, kFrozen, std::memory_order_acq_rel)) return {};
    if (state == kFrozen) return fail(Errc::ReadOnly, {}, "frozen already");
    return fail(Errc::Busy, {}, "writes under way", state);
}

const MapOps* map_ops(spec::MapType type) {
    for (const Row& row : kRows) {
        if (row.type == type) return row.ops;
    }
    return nullptr;
}

// One level only, and nothing whose content depends on who uses it.
Status check_inner_template(const Map& map) {
    if (map.inner.info != nullptr) return fail(Errc::InvalidArgument, {}, "maps in maps in maps");
    if (map.info->holds == spec::Holds::Program) {
        return fail(Errc::NotForThisType, {}, "prog arrays in maps");
    }
    return {};
}

Status check_inner(const Map& outer, const Map& map) {
    const InnerSpec& wanted = outer.inner;
    if (map.info != wanted.info || map.key_size != wanted.key_size ||
        map.value_size != wanted.value_size || map.flags != wanted.flags) {
        return fail(Errc::InvalidArgument, {}, "the inner map is of another kind");
    }
    // Programs index an array without asking for its size, unless it was made for this.
    const bool sized = map.info->index_key || map.info->entries == spec::EntriesRule::RingBytes;
    if (sized && (map.flags & spec::kMapInnerMap) == 0 && map.max_entries != wanted.max_entries) {
        return fail(Errc::InvalidArgument, {}, "the inner map has other max_entries");
    }
    return {};
}

void copy_words(void* to, const void* from, u32 size) {
    auto* out = static_cast<std::byte*>(to);
    const auto* in = static_cast<const std::byte*>(from);
    for (; size >= 8; size -= 8, out += 8, in += 8) {
        u64 word;
        std::memcpy(&word, in, 8);
        if ((reinterpret_cast<u64>(out) & 7) == 0) {
            std::atomic_ref(*reinterpret_cast<u64*>(out)).store(word, std::memory_order_relaxed);
        } else {
            std::memcpy(out, &word, 8);
        }
    }
    if (size >= 4 && (reinterpret_cast<u64>(out) & 3) == 0) {
        u32 word;
        std::memcpy(&word, in, 4);
        std::atomic_ref(*reinterpret_cast<u32*>(out)).store(word, std::memory_order_relaxed);
        size -= 4, out += 4, in += 4;
    }
    std::memcpy(out, in, size);
}

}  // namespace ebpf::runtime
