// SPDX-License-Identifier: MIT
//
// Execution slots and epochs.
//
// A slot stands for a CPU: there are as many as the system can have CPUs, a thread holds one while
// it runs a program or looks into a map, and everything "per CPU" (values, random state, the number
// that programs see) means the slot. In the kernel a thread at DISPATCH has its CPU's slot at once;
// in user space it takes its CPU's slot or, when another thread has that, any free one.
//
// The slot's word also says since when its holder reads: the global epoch at entry, 0 when nobody
// holds it. What is unlinked from a shared structure is retired, not freed: it is stamped with a
// new epoch and freed when no slot shows an older one. A reader that entered before the stamp may
// still see it; one that entered later cannot, because the unlinking came first. So readers never
// lock, and write nothing but their own slot.
//
// Taking a slot by an exchange costs several times what a small program does. So a slot's first
// thread has it as its home, which it takes by a plain store, without even a fence: who looks for
// readers makes all threads pass a barrier first. When another thread needs the slot too, it is
// shared from then on; where the system has no such barrier, all are. A home survives its thread
// when a later thread has the same ThreadWord.
#pragma once

#include <atomic>

#include "base/error.hpp"
#include "platform/lock.hpp"
#include "platform/system.hpp"

namespace ebpf::runtime {

// Stands in everything that is retired.
struct Retired {
    Retired* next = nullptr;
    u64 epoch = 0;
    void (*destroy)(Retired* self) = nullptr;
    // destroy() may only run at PASSIVE: it unmaps pages.
    bool at_passive = false;
};

class Epochs {
  public:
    // Programs that invoke programs: nested entries of one thread share its slot, up to this depth.
    static constexpr u32 kMaxDepth = 8;

    Status initialize(u32 slots);
    ~Epochs();

    // One entry; on the stack of the one who enters. 48 bytes.
    struct Entry {
        Epochs* epochs = nullptr;  // null: not entered
        // What says that the slot is held; of the outermost entry of a thread.
        std::atomic<u64>* shown = nullptr;
        platform::ThreadWord::Held outer{};
        u32 slot = 0;
        platform::Irql irql = platform::Irql::Passive;
    };

    // Takes a slot. Busy when none became free within the bound (five seconds of waiting) or the
    // thread is kMaxDepth deep already. <= DISPATCH.
    Status enter(Entry& entry);
    void leave(Entry& entry);

    // `item` is unreachable for whoever enters from now on; item->destroy(item) runs when nobody
    // can see it any more,
    // on any thread, at PASSIVE where the item says so. <= DISPATCH.
    void retire(Retired* item);
    // Frees what can be freed at this level. <= DISPATCH.
    void collect();
    bool has_retired() const { return pending_.load(std::memory_order_relaxed) != 0; }

    // Returns when everyone who had entered before the call has left. The caller must not have
    // entered. PASSIVE.
    void synchronize();

    // For pools that recycle memory themselves. advance() begins a new epoch and returns it: what
    // was unlinked before the call can be seen by nobody once passed() says so of that epoch.
    // Without a barrier in all threads, which costs microseconds, it says so only where that needs
    // none: of threads that are in, that entered again, or that share slots. Any level.
    u64 advance() { return epoch_.fetch_add(1, std::memory_order_seq_cst) + 1; }
    enum class Barrier : u8 { Never, WhereNeeded };
    bool passed(u64 epoch, Barrier barrier) const;
    // Of this thread, which has entered: its slot, and whether it did so in that epoch or later.
    static u32 current_slot() { return platform::thread_word().held.slot; }
    bool entered_since(u64 epoch) const;

    u32 slots() const { return slot_count_; }
    // How often a thread found its CPU's slot and all others taken.
    u64 waits() const { return waits_.load(std::memory_order_relaxed); }

  private:
    friend class HomeGuard;
    enum class Use : u32 { Home, BecomesShared, Shared };
    struct alignas(64) Slot {
        std::atomic<u64> epoch{0};       // of who holds it, when it is shared
        std::atomic<u64> home_epoch{0};  // of its own thread, the only one to write this
        std::atomic<u64> last_epoch{0};  // the same, and not 0 while it is out
        std::atomic<const platform::ThreadWord*> home{nullptr};  // that thread's; set once
        std::atomic<Use> use{Use::Home};
    };

    Retired* take_ready(bool passive);
    void defer(Retired* item);
    std::atomic<u64>* take_home(platform::ThreadWord& word);
    std::atomic<u64>* settle(platform::ThreadWord& word, u32 slot);
    std::atomic<u64>* take_shared(Slot& slot);
    bool share(Slot& slot);
    std::atomic<u64>* take(platform::ThreadWord& word, u32 at, bool from_others);
    bool take_slot(platform::ThreadWord& word, Entry& entry);
    bool others_at_home() const;
    u64 oldest_reader() const;
    enum class Passed : u8 { Yes, No, Unknown };
    Passed passed(const Slot& slot, u64 epoch) const;
    bool wait_for_slot(platform::ThreadWord& word, Entry& entry);

    Slot* slots_ = nullptr;
    u32 slot_count_ = 0;
    u64 id_ = 0;  // of this one alone; in ThreadWord::Home
    std::atomic<u64> epoch_{1};
    std::atomic<u64> waits_{0};
    std::atomic<u32> pending_{0};
    std::atomic<bool> collecting_{false};
    platform::SpinLock lock_;
    Retired* retired_ = nullptr;   // newest first: epochs fall along the list
    Retired* deferred_ = nullptr;  // nobody sees them any more, they wait for PASSIVE
};

// The store need not be visible before what the thread reads next: oldest_reader(), passed() and
// share() make it so by their barrier. Null when the thread has no home, is in it already, or lost
// it.
inline std::atomic<u64>* Epochs::take_home(platform::ThreadWord& word) {
    if (word.home.owner != id_) return nullptr;
    Slot& slot = slots_[word.home.slot];
    if (slot.home_epoch.load(std::memory_order_relaxed) != 0) return nullptr;
    // Who sees that this is the last epoch knows without a barrier: what the thread read before, it
    // has read, and whatever was unlinked before that epoch, it will not find.
    const u64 epoch = epoch_.load(std::memory_order_acquire);
    slot.home_epoch.store(epoch, std::memory_order_relaxed);
    slot.last_epoch.store(epoch, std::memory_order_release);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    if (slot.use.load(std::memory_order_relaxed) == Use::Home) return &slot.home_epoch;
    slot.home_epoch.store(0, std::memory_order_release);
    word.home = {};
    return nullptr;
}

// The short way in, for a scope at DISPATCH: of a thread that has entered nothing yet and is at
// home. It did not work when the guard says so; Epochs::enter() always does what can be done. What
// the end puts back is known, not saved: that saving was a third of an empty program's run.
class [[nodiscard]] HomeGuard {
  public:
    explicit HomeGuard(Epochs& epochs) : word_(platform::thread_word()) {
        if (word_.held.depth != 0) return;
        shown_ = epochs.take_home(word_);
        if (shown_ != nullptr) word_.held = {.owner = &epochs, .slot = word_.home.slot, .depth = 1};
    }
    ~HomeGuard() {
        if (shown_ == nullptr) return;
        word_.held.depth = 0;
        shown_->store(0, std::memory_order_release);
    }
    HomeGuard(const HomeGuard&) = delete;
    HomeGuard& operator=(const HomeGuard&) = delete;

    bool entered() const { return shown_ != nullptr; }
    u32 slot() const { return word_.held.slot; }

  private:
    platform::ThreadWord& word_;
    std::atomic<u64>* shown_ = nullptr;
};

// Holds a slot for a scope.
class [[nodiscard]] EpochGuard {
  public:
    explicit EpochGuard(Epochs& epochs) : status_(epochs.enter(entry_)) {}
    ~EpochGuard() {
        if (entry_.epochs != nullptr) entry_.epochs->leave(entry_);
    }
    EpochGuard(const EpochGuard&) = delete;
    EpochGuard& operator=(const EpochGuard&) = delete;

    const Status& status() const { return status_; }
    u32 slot() const { return entry_.slot; }

  private:
    Epochs::Entry entry_{};
    Status status_;
};

}  // namespace ebpf::runtime
