// SPDX-License-Identifier: MIT
#include "runtime/element_pool.hpp"

#include <algorithm>
#include <new>

#include "platform/memory.hpp"

namespace ebpf::runtime {
namespace {

constexpr u32 kMinBatch = 32;
constexpr u32 kMaxBatch = 256;
constexpr u64 kMany = 512;             // retired elements
constexpr u64 kManyBytes = 64 * 1024;  // ... or this much
constexpr u32 kSurplus = 2048;         // free elements that a slot keeps at most
constexpr u32 kFirstChunk = 16;
constexpr u64 kMaxChunkBytes = u64{8} << 20;
constexpr u64 kLine = 64;

u64 round_up(u64 value, u64 to) {
    return (value + to - 1) / to * to;
}

void* at_line(void* memory) {
    return reinterpret_cast<void*>(round_up(reinterpret_cast<u64>(memory), kLine));
}

}  // namespace

// Begins at a cache line within its memory; the items at the next one.
struct Chunk {
    void* memory = nullptr;
    Chunk* next = nullptr;
    u32 count = 0;
    std::byte* items() { return reinterpret_cast<std::byte*>(this) + kLine; }
};
static_assert(sizeof(Chunk) <= kLine);

Status ElementPool::initialize(Epochs& epochs, const Layout& layout) {
    epochs_ = &epochs;
    layout_ = layout;
    batch_ = std::clamp(layout.expected / 64, kMinBatch, kMaxBatch);
    const u64 many = std::min(kMany, kManyBytes / bytes_of_one());
    many_ = std::max(batch_, static_cast<u32>(many));
    slots_memory_ = platform::allocate(epochs.slots() * sizeof(Slot) + kLine);
    if (slots_memory_ == nullptr) return fail(Errc::NoMemory, {}, "element pool", epochs.slots());
    slots_ = static_cast<Slot*>(at_line(slots_memory_));
    for (u32 i = 0; i < epochs.slots(); ++i) new (&slots_[i]) Slot;
    return {};
}

ElementPool::~ElementPool() {
    Chunk* chunk = chunks_.load(std::memory_order_relaxed);
    while (chunk != nullptr) {
        Chunk* next = chunk->next;
        platform::release(chunk->memory);
        chunk = next;
    }
    platform::release(slots_memory_);
}

PoolItem* ElementPool::take() {
    Slot& slot = slots_[Epochs::current_slot()];
    if (slot.free.count == 0) recycle(slot, barrier_for(slot));
    if (slot.free.count == 0 && !refill(slot)) {
        recycle(slot, Epochs::Barrier::WhereNeeded);
        if (slot.free.count == 0) return nullptr;
    }
    return slot.free.pop();
}

void ElementPool::give_back(PoolItem* item) {
    slots_[Epochs::current_slot()].free.push(item);
}

void ElementPool::retire(PoolItem* item) {
    Slot& slot = slots_[Epochs::current_slot()];
    slot.recent.push(item);
    // Asking who reads costs as much as a few updates.
    if (slot.recent.count % batch_ == 0) recycle(slot, barrier_for(slot));
}

Epochs::Barrier ElementPool::barrier_for(const Slot& slot) const {
    return slot.waiting.count + slot.recent.count >= many_ ? Epochs::Barrier::WhereNeeded
                                                           : Epochs::Barrier::Never;
}

void ElementPool::recycle(Slot& slot, Epochs::Barrier barrier) {
    // As long as this thread's own run keeps what waits, more may join that.
    if (slot.waiting.count != 0 && epochs_->entered_since(slot.epoch)) {
        if (!epochs_->passed(slot.epoch, barrier)) return;
        if (slot.free.count < kSurplus) {
            slot.free.take_all(slot.waiting);
        } else {
            share(slot.waiting);
        }
    }
    if (slot.recent.count != 0) {
        slot.waiting.take_all(slot.recent);
        slot.epoch = epochs_->advance();
    }
}

void ElementPool::share(List& list) {
    platform::LockGuard guard(lock_);
    const u32 at = shared_count_ < kSharedLists ? shared_count_++ : kSharedLists - 1;
    shared_[at].take_all(list);
}

bool ElementPool::refill(Slot& slot) {
    platform::LockGuard guard(lock_);
    if (shared_count_ == 0 && !grow()) return false;
    slot.free.take_all(shared_[--shared_count_]);
    return true;
}

// Doubles what there is, up to a chunk's limit and not much beyond what the map may need. Under
// the lock.
bool ElementPool::grow() {
    const u64 each = bytes_of_one();
    u64 count = total_ < kFirstChunk ? kFirstChunk : total_;
    const u64 missing = layout_.expected > total_ ? layout_.expected - total_ : 0;
    // What programs replaced lives on for a while: beyond the map's size, more at a time.
    u64 beyond = layout_.expected / 64;
    if (beyond < kFirstChunk) beyond = kFirstChunk;
    if (beyond > kSurplus) beyond = kSurplus;
    if (count > missing + beyond) count = missing + beyond;
    const u64 most = kMaxChunkBytes / each;
    if (count > most) count = most > 0 ? most : 1;
    const u64 items = round_up(count * layout_.item_size, kLine);
    const u64 distance = round_up(count * layout_.side_size, kLine);
    const u64 size = 2 * kLine + items + distance * epochs_->slots();
    void* memory = platform::allocate(size);
    if (memory == nullptr) return false;
    auto* chunk = new (at_line(memory)) Chunk;
    chunk->memory = memory;
    chunk->count = static_cast<u32>(count);
    std::byte* item = chunk->items();
    std::byte* side = layout_.side_size != 0 ? item + items : nullptr;
    // The first one is to be taken first, so that neighbours stay neighbours.
    List fresh;
    for (u64 i = count; i-- > 0;) {
        std::byte* at = item + i * layout_.item_size;
        layout_.construct(at, side != nullptr ? side + i * layout_.side_size : nullptr, distance);
        fresh.push(reinterpret_cast<PoolItem*>(at));
    }
    shared_[shared_count_++].take_all(fresh);
    chunk->next = chunks_.load(std::memory_order_relaxed);
    chunks_.store(chunk, std::memory_order_release);
    total_ += static_cast<u32>(count);
    bytes_.fetch_add(size, std::memory_order_relaxed);
    return true;
}

PoolItem* ElementPool::step(Cursor& cursor) {
    if (cursor.chunk == nullptr || cursor.index == cursor.chunk->count) {
        Chunk* next = cursor.chunk != nullptr ? cursor.chunk->next : nullptr;
        cursor.chunk = next != nullptr ? next : chunks_.load(std::memory_order_acquire);
        cursor.index = 0;
        if (cursor.chunk == nullptr) return nullptr;
    }
    return reinterpret_cast<PoolItem*>(cursor.chunk->items() +
                                       u64{cursor.index++} * layout_.item_size);
}

}  // namespace ebpf::runtime
