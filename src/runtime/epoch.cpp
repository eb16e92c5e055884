// SPDX-License-Identifier: MIT
#include "runtime/epoch.hpp"

#include <new>

#include "platform/memory.hpp"

namespace ebpf::runtime {
namespace {

constexpr u32 kCollectAt = 128;          // retired items that make the retiring thread collect
constexpr u64 kMaxWait = 1'000'000'000;  // ns for a slot

}  // namespace

Status Epochs::initialize(u32 slots) {
    void* memory = platform::allocate(slots * sizeof(Slot) + alignof(Slot));
    if (memory == nullptr) return fail(Errc::NoMemory, {}, "execution slots", slots);
    slots_ = static_cast<Slot*>(memory);
    slot_count_ = slots;
    for (u32 i = 0; i < slots; ++i) new (&slots_[i]) Slot;
    return {};
}

Epochs::~Epochs() {
    collect();
    platform::release(slots_);
}

bool Epochs::take_slot(Entry& entry) {
    const u32 first = platform::current_cpu() % slot_count_;
    for (u32 i = 0; i < slot_count_; ++i) {
        const u32 slot = first + i < slot_count_ ? first + i : first + i - slot_count_;
        u64 idle = 0;
        if (slots_[slot].epoch.load(std::memory_order_relaxed) == 0 &&
            slots_[slot].epoch.compare_exchange_strong(idle, epoch_.load(std::memory_order_seq_cst),
                                                       std::memory_order_seq_cst)) {
            entry.slot = slot;
            return true;
        }
    }
    return false;
}

Status Epochs::enter(Entry& entry) {
    entry.irql = platform::raise_to_dispatch();
    platform::ThreadWord& word = platform::thread_word();
    if (word.owner == this && word.depth > 0) {
        if (word.depth >= kMaxDepth) {
            platform::lower_irql(entry.irql);
            return fail(Errc::Busy, {}, "nested invocations", word.depth);
        }
        entry.outer = word;
        entry.slot = word.slot;
        ++word.depth;
        entry.epochs = this;
        return {};
    }
    bool taken = take_slot(entry);
    if (!taken) waits_.fetch_add(1, std::memory_order_relaxed);
    const u64 deadline = taken ? 0 : platform::monotonic_ns() + kMaxWait;
    for (u32 round = 0; !taken; ++round) {
        if (round % 64 == 0 && platform::monotonic_ns() > deadline) break;
        platform::spin_pause(round);
        taken = take_slot(entry);
    }
    if (!taken) {
        platform::lower_irql(entry.irql);
        return fail(Errc::Busy, {}, "execution slots in use", slot_count_);
    }
    entry.outer = word;
    word = {.owner = this, .slot = entry.slot, .depth = 1};
    entry.epochs = this;
    return {};
}

void Epochs::leave(Entry& entry) {
    platform::ThreadWord& word = platform::thread_word();
    const bool outermost = word.depth == 1;
    word = entry.outer;
    if (outermost) slots_[entry.slot].epoch.store(0, std::memory_order_release);
    platform::lower_irql(entry.irql);
    entry.epochs = nullptr;
}

u64 Epochs::oldest_reader() const {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    u64 oldest = ~u64{0};
    for (u32 i = 0; i < slot_count_; ++i) {
        const u64 epoch = slots_[i].epoch.load(std::memory_order_seq_cst);
        if (epoch != 0 && epoch < oldest) oldest = epoch;
    }
    return oldest;
}

void Epochs::retire(Retired* item) {
    {
        platform::LockGuard guard(lock_);
        item->epoch = advance();
        item->next = retired_;
        retired_ = item;
    }
    if ((pending_.fetch_add(1, std::memory_order_relaxed) + 1) % kCollectAt == 0) collect();
}

// Unlinks and returns everything that nobody sees any more, deferred items only at PASSIVE.
Retired* Epochs::take_ready(bool passive) {
    platform::LockGuard guard(lock_);
    const u64 oldest = oldest_reader();
    Retired** link = &retired_;
    while (*link != nullptr && (*link)->epoch > oldest) link = &(*link)->next;
    Retired* ready = *link;
    *link = nullptr;
    if (passive) {
        for (link = &ready; *link != nullptr;) link = &(*link)->next;
        *link = deferred_;
        deferred_ = nullptr;
    }
    return ready;
}

void Epochs::defer(Retired* item) {
    platform::LockGuard guard(lock_);
    item->next = deferred_;
    deferred_ = item;
}

void Epochs::collect() {
    // One thread collects at a time; what it destroys may retire more, which the loop picks up.
    if (collecting_.exchange(true, std::memory_order_acquire)) return;
    const bool passive = platform::current_irql() == platform::Irql::Passive;
    while (Retired* ready = take_ready(passive)) {
        while (ready != nullptr) {
            Retired* next = ready->next;
            if (ready->at_passive && !passive) {
                defer(ready);
            } else {
                pending_.fetch_sub(1, std::memory_order_relaxed);
                ready->destroy(ready);
            }
            ready = next;
        }
    }
    collecting_.store(false, std::memory_order_release);
}

void Epochs::synchronize() {
    platform::require_irql_at_most(platform::Irql::Passive, "Epochs::synchronize");
    const u64 target = advance();
    for (u32 round = 0; oldest_reader() < target; ++round) platform::spin_pause(round | 63);
    collect();
}

}  // namespace ebpf::runtime
