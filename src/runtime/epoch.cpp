// SPDX-License-Identifier: MIT
#include "runtime/epoch.hpp"

#include <new>

#include "platform/memory.hpp"

namespace ebpf::runtime {
namespace {

constexpr u32 kCollectAt = 128;  // retired items that make the retiring thread collect
// For a slot, in ns. Longer than a fair share of it takes on a loaded machine: who still waits then
// waits for one that will not leave.
constexpr u64 kMaxWait = 5'000'000'000;

// An address may come again, and a thread's home must not be taken for one in another execution
// context.
constinit std::atomic<u64> last_id{0};

}  // namespace

Status Epochs::initialize(u32 slots) {
    void* memory = platform::allocate(slots * sizeof(Slot) + alignof(Slot));
    if (memory == nullptr) return fail(Errc::NoMemory, {}, "execution slots", slots);
    slots_ = static_cast<Slot*>(memory);
    slot_count_ = slots;
    id_ = last_id.fetch_add(1, std::memory_order_relaxed) + 1;
    const bool homes = platform::barrier_in_all_threads();
    for (u32 i = 0; i < slots; ++i) {
        auto* slot = new (&slots_[i]) Slot;
        if (!homes) slot->use.store(Use::Shared, std::memory_order_relaxed);
    }
    return {};
}

Epochs::~Epochs() {
    collect();
    platform::release(slots_);
}

// Makes a slot that nobody has this thread's home.
std::atomic<u64>* Epochs::settle(platform::ThreadWord& word, u32 slot) {
    const platform::ThreadWord* nobody = nullptr;
    std::atomic<const platform::ThreadWord*>& home = slots_[slot].home;
    if (home.load(std::memory_order_relaxed) != &word &&
        !home.compare_exchange_strong(nobody, &word, std::memory_order_acq_rel)) {
        return nullptr;
    }
    // For others_at_home().
    std::atomic_thread_fence(std::memory_order_seq_cst);
    word.home = {.owner = id_, .slot = slot};
    return take_home(word);
}

// A home's thread may still show an epoch: as long as it has not left, or, for a moment, when it
// comes back and finds it shared.
std::atomic<u64>* Epochs::take_shared(Slot& slot) {
    u64 idle = 0;
    const bool taken = slot.use.load(std::memory_order_acquire) == Use::Shared &&
                       slot.home_epoch.load(std::memory_order_acquire) == 0 &&
                       slot.epoch.load(std::memory_order_relaxed) == 0 &&
                       slot.epoch.compare_exchange_strong(
                           idle, epoch_.load(std::memory_order_seq_cst), std::memory_order_seq_cst);
    if (!taken) return nullptr;
    // Whoever does not see the epoch yet has unlinked before what is read from now on.
    platform::fence_after_exchange();
    return &slot.epoch;
}

// After the barrier, its thread has either shown its epoch or will see that it is no home any more.
bool Epochs::share(Slot& slot) {
    Use use = Use::Home;
    if (!slot.use.compare_exchange_strong(use, Use::BecomesShared, std::memory_order_acq_rel)) {
        return use == Use::Shared;
    }
    platform::require(platform::barrier_in_all_threads(), "the system's barrier failed");
    slot.use.store(Use::Shared, std::memory_order_release);
    return true;
}

std::atomic<u64>* Epochs::take(platform::ThreadWord& word, u32 at, bool from_others) {
    Slot& slot = slots_[at];
    if (from_others) return share(slot) ? take_shared(slot) : nullptr;
    const bool home = slot.use.load(std::memory_order_relaxed) == Use::Home;
    return home ? settle(word, at) : take_shared(slot);
}

// What is nobody's or shared, beginning with the CPU's; then also what is another thread's home.
bool Epochs::take_slot(platform::ThreadWord& word, Entry& entry) {
    const u32 first = platform::current_cpu() % slot_count_;
    for (const bool from_others : {false, true}) {
        for (u32 i = 0; i < slot_count_; ++i) {
            entry.slot = first + i < slot_count_ ? first + i : first + i - slot_count_;
            entry.shown = take(word, entry.slot, from_others);
            if (entry.shown != nullptr) return true;
        }
    }
    return false;
}

bool Epochs::wait_for_slot(platform::ThreadWord& word, Entry& entry) {
    waits_.fetch_add(1, std::memory_order_relaxed);
    const u64 deadline = platform::monotonic_ns() + kMaxWait;
    for (u32 round = 0; !take_slot(word, entry); ++round) {
        if (round % 64 == 0 && platform::monotonic_ns() > deadline) return false;
        platform::spin_pause(round);
    }
    return true;
}

Status Epochs::enter(Entry& entry) {
    entry.irql = platform::raise_to_dispatch();
    platform::ThreadWord& word = platform::thread_word();
    const bool nested = word.held.owner == this && word.held.depth > 0;
    entry.outer = word.held;
    if (nested && word.held.depth >= kMaxDepth) {
        platform::lower_irql(entry.irql);
        return fail(Errc::Busy, {}, "nested invocations", word.held.depth);
    }
    if (nested) {
        entry.shown = nullptr;
        entry.slot = word.held.slot;
    } else if ((entry.shown = take_home(word)) != nullptr) {
        entry.slot = word.home.slot;
    } else if (!take_slot(word, entry) && !wait_for_slot(word, entry)) {
        platform::lower_irql(entry.irql);
        return fail(Errc::Busy, {}, "execution slots in use", slot_count_);
    }
    word.held = {.owner = this, .slot = entry.slot, .depth = nested ? word.held.depth + 1 : 1};
    entry.epochs = this;
    return {};
}

void Epochs::leave(Entry& entry) {
    platform::thread_word().held = entry.outer;
    if (entry.shown != nullptr) entry.shown->store(0, std::memory_order_release);
    platform::lower_irql(entry.irql);
    entry.epochs = nullptr;
}

// Who settles from now on passes a fence before it reads anything.
bool Epochs::others_at_home() const {
    const platform::ThreadWord* self = &platform::thread_word();
    for (u32 i = 0; i < slot_count_; ++i) {
        const platform::ThreadWord* home = slots_[i].home.load(std::memory_order_relaxed);
        if (home != nullptr && home != self) return true;
    }
    return false;
}

u64 Epochs::oldest_reader() const {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (others_at_home()) {
        platform::require(platform::barrier_in_all_threads(), "the system's barrier failed");
    }
    u64 oldest = ~u64{0};
    for (u32 i = 0; i < slot_count_; ++i) {
        for (const auto* shown : {&slots_[i].epoch, &slots_[i].home_epoch}) {
            const u64 epoch = shown->load(std::memory_order_seq_cst);
            if (epoch != 0 && epoch < oldest) oldest = epoch;
        }
    }
    return oldest;
}

bool Epochs::entered_since(u64 epoch) const {
    const Slot& slot = slots_[current_slot()];
    const u64 shared = slot.epoch.load(std::memory_order_relaxed);
    const u64 shown = shared != 0 ? shared : slot.home_epoch.load(std::memory_order_relaxed);
    return shown >= epoch;
}

// What can be known of a slot without a barrier. Unknown is a home whose thread was out all the
// time: it may have come back with a store that is not visible yet.
Epochs::Passed Epochs::passed(const Slot& slot, u64 epoch) const {
    const u64 shared = slot.epoch.load(std::memory_order_seq_cst);
    if (shared != 0 && shared < epoch) return Passed::No;
    if (slot.last_epoch.load(std::memory_order_acquire) >= epoch) return Passed::Yes;
    // share() had the barrier.
    const bool is_shared = slot.use.load(std::memory_order_acquire) == Use::Shared;
    if (slot.home_epoch.load(std::memory_order_acquire) != 0) return Passed::No;
    // Who settles from now on passes a fence before it reads anything.
    const platform::ThreadWord* home = slot.home.load(std::memory_order_relaxed);
    const bool known = is_shared || home == nullptr || home == &platform::thread_word();
    return known ? Passed::Yes : Passed::Unknown;
}

bool Epochs::passed(u64 epoch, Barrier barrier) const {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    bool known = true;
    for (u32 i = 0; i < slot_count_; ++i) {
        const Passed one = passed(slots_[i], epoch);
        if (one == Passed::No) return false;
        known = known && one == Passed::Yes;
    }
    if (known) return true;
    return barrier == Barrier::WhereNeeded && oldest_reader() >= epoch;
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
