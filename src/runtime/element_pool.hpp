// SPDX-License-Identifier: MIT
//
// Memory for the elements of one map: all of one size, carved from chunks that grow with the map
// and go with it, and used again when no reader can see them. Who holds an execution slot has its
// lists to himself, so taking and giving back lock nothing but for whole batches.
//
// An element that was unlinked passes through two lists of its slot: `recent`, and `waiting`, which
// gets a new epoch whenever the former joins it. When every reader entered in that epoch or later,
// the list is free, and what became free last is used first. So one step of the global epoch serves
// a batch; and it takes many batches to make all threads pass a barrier (Epochs::passed), without
// which nothing is known of those that have been idle.
#pragma once

#include "runtime/epoch.hpp"

namespace ebpf::runtime {

// What the pool keeps in an element that readers may still see.
struct PoolItem {
    PoolItem* pool_next = nullptr;
};

struct Chunk;

class ElementPool {
  public:
    // Elements of `item_size` bytes (a multiple of 8, beginning with a PoolItem made by
    // `construct`), each with `side_size` bytes for every slot, which lie apart from other slots'
    // (0: none). NoMemory.
    struct Layout {
        u32 item_size = 0;
        u32 side_size = 0;
        u32 expected = 0;  // elements that the map may have
        // Makes the element; `side` is slot 0's part, the others follow at `distance` bytes.
        void (*construct)(void* memory, std::byte* side, u64 distance) = nullptr;
    };
    Status initialize(Epochs& epochs, const Layout& layout);
    ~ElementPool();

    // Inside an epoch. take() returns null when memory is out.
    PoolItem* take();
    void give_back(PoolItem* item);  // nobody ever saw it
    void retire(PoolItem* item);     // readers may see it

    // The elements in a circle, in whatever state: the one after `cursor`, from the first on. Only
    // one caller at a time. Null when there is none.
    struct Cursor {
        Chunk* chunk = nullptr;
        u32 index = 0;
    };
    PoolItem* step(Cursor& cursor);

    u64 bytes() const { return bytes_.load(std::memory_order_relaxed); }

  private:
    struct List {
        PoolItem* first = nullptr;
        u32 count = 0;

        PoolItem* last = nullptr;  // while there is a first

        void push(PoolItem* item) {
            if (first == nullptr) last = item;
            item->pool_next = first;
            first = item;
            ++count;
        }
        // Puts all of `other` in front.
        void take_all(List& other) {
            if (other.first == nullptr) return;
            other.last->pool_next = first;
            if (first == nullptr) last = other.last;
            first = other.first;
            count += other.count;
            other = {};
        }
        PoolItem* pop() {
            PoolItem* item = first;
            first = item->pool_next;
            --count;
            return item;
        }
    };
    struct alignas(64) Slot {
        List free;
        List waiting;
        List recent;
        u64 epoch = 0;  // of `waiting`
    };

    // What slots have too much of, in whole lists: nothing walks through them, so nothing touches
    // elements that lie in another processor's cache.
    static constexpr u32 kSharedLists = 64;

    void recycle(Slot& slot, Epochs::Barrier barrier);
    Epochs::Barrier barrier_for(const Slot& slot) const;
    u64 bytes_of_one() const {
        return layout_.item_size + u64{layout_.side_size} * epochs_->slots();
    }
    void share(List& list);
    bool refill(Slot& slot);
    bool grow();

    Epochs* epochs_ = nullptr;
    Layout layout_{};
    u32 batch_ = 0;  // retired elements that share an epoch
    u32 many_ = 0;   // ... that are worth a barrier
    void* slots_memory_ = nullptr;
    Slot* slots_ = nullptr;
    platform::SpinLock lock_;
    List shared_[kSharedLists];
    u32 shared_count_ = 0;
    std::atomic<Chunk*> chunks_{nullptr};
    u32 total_ = 0;
    std::atomic<u64> bytes_{0};
};

}  // namespace ebpf::runtime
