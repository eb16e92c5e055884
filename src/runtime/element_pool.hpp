// SPDX-License-Identifier: MIT
//
// Memory for the elements of one map: all of one size, carved from chunks that grow with the map
// and go with it, and used again when no reader can see them. Who holds an execution slot has its
// lists to himself, so taking and giving back lock nothing but for whole batches.
//
// An element that was unlinked passes through two lists of its slot: `recent`, and `waiting`, which
// got a new epoch when it was made of the former. When every reader entered in that epoch or later,
// the list is free. So one step of the global epoch serves a batch.
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

        void push(PoolItem* item) {
            item->pool_next = first;
            first = item;
            ++count;
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

    void recycle(Slot& slot);
    void move_surplus(Slot& slot);
    bool refill(Slot& slot);
    bool grow();

    Epochs* epochs_ = nullptr;
    Layout layout_{};
    void* slots_memory_ = nullptr;
    Slot* slots_ = nullptr;
    platform::SpinLock lock_;
    List shared_;
    std::atomic<Chunk*> chunks_{nullptr};
    u32 total_ = 0;
    std::atomic<u64> bytes_{0};
};

}  // namespace ebpf::runtime
