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
    {spec::MapType::PerfEventArray, &kPerfEventArrayOps},
    {spec::MapType::Ringbuf, &kRingOps},
    {spec::MapType::UserRingbuf, &kUserRingOps},
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
        map.value_size != wanted.value_size || map.flags != wanted.flags ||
        map.fields != wanted.fields) {
        return fail(Errc::InvalidArgument, {}, "the inner map is of another kind");
    }
    // Programs index an array without asking for its size, unless it was made for this.
    const bool sized = map.info->index_key || map.info->entries == spec::EntriesRule::RingBytes;
    if (sized && (map.flags & spec::kMapInnerMap) == 0 && map.max_entries != wanted.max_entries) {
        return fail(Errc::InvalidArgument, {}, "the inner map has other max_entries");
    }
    return {};
}

namespace {

// Calls move(shared, own) for as many Words as `shared` begins with, and moves on behind them.
template <typename Word, typename Shared, typename Own, typename Move>
void each_word(Shared*& shared, Own*& own, u32& size, const Move& move) {
    for (; size >= sizeof(Word) && reinterpret_cast<u64>(shared) % sizeof(Word) == 0;
         size -= sizeof(Word), shared += sizeof(Word), own += sizeof(Word)) {
        // C++23's atomic_ref wants a place that is not const, also for reading.
        move(std::atomic_ref<Word>(*reinterpret_cast<Word*>(const_cast<std::byte*>(shared))), own);
    }
}

template <typename Shared, typename Own, typename Move>
void all_words(Shared* shared, Own* own, u32 size, const Move& move) {
    each_word<u64>(shared, own, size, move);
    each_word<u32>(shared, own, size, move);
    each_word<u8>(shared, own, size, move);
}

}  // namespace

void copy_words(void* to, const void* from, u32 size) {
    const auto store = [](auto shared, const std::byte* own) {
        typename decltype(shared)::value_type word;
        std::memcpy(&word, own, sizeof word);
        shared.store(word, std::memory_order_relaxed);
    };
    all_words(static_cast<std::byte*>(to), static_cast<const std::byte*>(from), size, store);
}

void read_words(void* to, const void* from, u32 size) {
    const auto load = [](auto shared, std::byte* own) {
        const auto word = shared.load(std::memory_order_relaxed);
        std::memcpy(own, &word, sizeof word);
    };
    all_words(static_cast<const std::byte*>(from), static_cast<std::byte*>(to), size, load);
}

}  // namespace ebpf::runtime
