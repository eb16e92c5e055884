// SPDX-License-Identifier: MIT
#include "runtime/timer.hpp"

#include <new>
#include <utility>

#include "runtime/runtime.hpp"

namespace ebpf::runtime {
namespace {

using platform::LockGuard;

constexpr u64 kGone = 1;         // in the field of a deleted value
constexpr u32 kAtOnce = 64;      // functions of one ringing: in the kernel others wait for the CPU
constexpr u64 kRetry = 1000000;  // ns, when all execution slots were taken

// The word of a struct bpf_timer; the lock's.
u64& word_of(void* field) {
    return *static_cast<u64*>(field);
}

Timer* timer_in(void* field) {
    const u64 word = word_of(field);
    return word != kGone ? reinterpret_cast<Timer*>(word) : nullptr;
}

void* field_of(const Timer& timer) {
    return static_cast<std::byte*>(timer.value) + timer.map->fields.timer;
}

void free_timer(Retired* retired) {
    auto* timer = static_cast<Timer*>(retired);
    timer->~Timer();
    platform::release(timer);
}

void release_program(Program* program) {
    if (program != nullptr) release(*program);
}

u64 sum_or_most(u64 a, u64 b) {
    return a + b >= a ? a + b : ~u64{0};
}

bool has_users(const Map& map) {
    return map.users.load(std::memory_order_acquire) != 0;
}

// When it is due, of monotonic_ns(). Linux makes its timers as relative ones, and such a timer of
// the calendar's clock is one of the monotonic clock: also where its absolute times are concerned.
// A system that sleeps later does not move what is armed of the other.
u64 due_at(const Timer& timer, u64 ns, u64 flags) {
    const u64 now = platform::monotonic_ns();
    if ((flags & kTimerAbsolute) == 0) return sum_or_most(now, ns);
    if (timer.clock != kClockBoot) return ns;
    const u64 there = platform::boot_ns();
    return ns > there ? sum_or_most(now, ns - there) : now;
}

}  // namespace

Status Timers::open() {
    {
        LockGuard guard(lock_);
        if (alarm_.is_open()) return {};
    }
    platform::Alarm fresh;
    TRY(fresh.open(&Timers::ring, this));
    {
        LockGuard guard(lock_);
        if (!alarm_.is_open()) std::swap(alarm_, fresh);
    }
    fresh.close();  // somebody else was first
    return {};
}

void Timers::close() {
    {
        LockGuard guard(lock_);
        closing_ = true;
    }
    alarm_.close();
    platform::release(heap_);
    heap_ = nullptr;
}

// --- the heap, under the lock --------------------------------------------------------------------

Status Timers::reserve() {
    if (made_ < room_) return {};
    const u32 room = room_ == 0 ? 16 : room_ * 2;
    auto** heap = static_cast<Timer**>(platform::allocate(u64{room} * sizeof(Timer*)));
    if (heap == nullptr) return fail(Errc::NoMemory, {}, "timers", room);
    for (u32 i = 0; i < armed_; ++i) heap[i] = heap_[i];
    platform::release(heap_);
    heap_ = heap;
    room_ = room;
    return {};
}

void Timers::put(u32 place, Timer* timer) {
    heap_[place - 1] = timer;
    timer->place = place;
}

// Moves what is at `place` up or down to where it belongs.
void Timers::settle(u32 place) {
    Timer* const timer = heap_[place - 1];
    for (; place > 1 && timer->due < heap_[place / 2 - 1]->due; place /= 2) {
        put(place, heap_[place / 2 - 1]);
    }
    for (;;) {
        u32 child = place * 2;
        if (child > armed_) break;
        if (child < armed_ && heap_[child]->due < heap_[child - 1]->due) ++child;
        if (timer->due <= heap_[child - 1]->due) break;
        put(place, heap_[child - 1]);
        place = child;
    }
    put(place, timer);
}

void Timers::arm(Timer& timer) {
    if (timer.place == 0) put(++armed_, &timer);
    settle(timer.place);
    if (timer.place == 1 && !ringing_ && !closing_) alarm_.set(timer.due);
}

void Timers::disarm(Timer& timer) {
    if (timer.place == 0) return;
    const u32 place = std::exchange(timer.place, 0);
    Timer* const last = heap_[--armed_];
    if (last == &timer) return;
    put(place, last);
    settle(place);
}

// Takes the timer from its value, its map and the heap; the caller retires it.
void Timers::unlink(Timer& timer) {
    disarm(timer);
    (timer.before != nullptr ? timer.before->following : timer.map->timers) = timer.following;
    if (timer.following != nullptr) timer.following->before = timer.before;
    word_of(field_of(timer)) = 0;
    --made_;
}

// --- ringing -------------------------------------------------------------------------------------

void Timers::ring(void* self) {
    auto& timers = *static_cast<Timers*>(self);
    {
        LockGuard guard(timers.lock_);
        if (timers.ringing_) return;  // the one who does sets the alarm again
        timers.ringing_ = true;
    }
    for (u32 i = 0; i < kAtOnce; ++i) {
        if (!timers.ring_one()) return;
    }
    LockGuard guard(timers.lock_);
    timers.ringing_ = false;
    if (!timers.closing_) timers.alarm_.set(0);
}

// Lets the first timer ring if it is due; when not, ringing has ended.
bool Timers::ring_one() {
    EpochGuard epoch(runtime_.epochs());
    if (!epoch.status()) {
        LockGuard guard(lock_);
        ringing_ = false;
        if (!closing_) alarm_.set(platform::monotonic_ns() + kRetry);
        return false;
    }
    Call call;
    if (!take_due(epoch.slot(), call)) return false;
    // What the timer was may be gone by now; this epoch was entered before it was looked at.
    const Map& map = *call.timer->map;
    u32 index = 0;
    const void* key = map.ops->key_of(map, call.timer->value, index);
    const u64 args[5] = {reinterpret_cast<u64>(&map), reinterpret_cast<u64>(key),
                         reinterpret_cast<u64>(call.timer->value)};
    run_function(runtime_, *call.program, call.function, args, epoch.slot());
    LockGuard guard(lock_);
    running_ = nullptr;
    return true;
}

bool Timers::take_due(u32 slot, Call& call) {
    LockGuard guard(lock_);
    if (closing_ || armed_ == 0 || heap_[0]->due > platform::monotonic_ns()) {
        ringing_ = false;
        if (!closing_ && armed_ != 0) alarm_.set(heap_[0]->due);
        return false;
    }
    Timer& timer = *heap_[0];
    disarm(timer);
    call = {&timer, timer.program, timer.function};
    running_ = &timer;
    running_slot_ = slot;
    ++runs_;
    return true;
}

// --- what programs do ----------------------------------------------------------------------------

Status Timers::make(Map& map, void* field, u64 clock) {
    if (clock != kClockRealtime && clock != kClockMonotonic && clock != kClockBoot)
        return fail(Errc::InvalidArgument, {}, "the timer's clock", clock);
    LockGuard guard(lock_);
    if (timer_in(field) != nullptr) return fail(Errc::Busy, {}, "the timer is there");
    // After its last user's end nobody would free the timer, nor after its value's.
    if (word_of(field) == kGone || !has_users(map)) return fail(Errc::AccessDenied, {}, "users");
    TRY(reserve());
    void* memory = platform::allocate(sizeof(Timer));
    if (memory == nullptr) return fail(Errc::NoMemory, {}, "timer");
    auto* timer = new (memory) Timer;
    timer->destroy = free_timer;
    timer->map = &map;
    timer->value = static_cast<std::byte*>(field) - map.fields.timer;
    timer->clock = clock;
    timer->following = map.timers;
    if (map.timers != nullptr) map.timers->before = timer;
    map.timers = timer;
    word_of(field) = reinterpret_cast<u64>(timer);
    ++made_;
    return {};
}

Status Timers::set_function(void* field, const Program& program, u64 function) {
    Program* old = nullptr;
    {
        LockGuard guard(lock_);
        Timer* const timer = timer_in(field);
        if (timer == nullptr) return fail(Errc::InvalidArgument, {}, "no timer");
        if (!has_users(*timer->map)) return fail(Errc::AccessDenied, {}, "users");
        if (timer->program != &program) {
            auto& shared = const_cast<Program&>(program);  // running, so perhaps at its end
            if (!try_acquire(shared)) return fail(Errc::ObjectNotFound, {}, "program");
            old = std::exchange(timer->program, &shared);
        }
        timer->function = function;
    }
    release_program(old);
    return {};
}

Status Timers::start(void* field, u64 ns, u64 flags) {
    if ((flags & ~kTimerAbsolute) != 0) return fail(Errc::InvalidArgument, {}, "flags", flags);
    LockGuard guard(lock_);
    Timer* const timer = timer_in(field);
    if (timer == nullptr || timer->program == nullptr)
        return fail(Errc::InvalidArgument, {}, "no timer, or none with a function");
    timer->due = due_at(*timer, ns, flags);
    arm(*timer);
    return {};
}

Result<bool> Timers::cancel(void* field, u32 slot) {
    Program* program = nullptr;
    bool was_armed = false;
    const Timer* waited_for = nullptr;
    u64 run = 0;
    {
        LockGuard guard(lock_);
        Timer* const timer = timer_in(field);
        if (timer == nullptr) return fail(Errc::InvalidArgument, {}, "no timer");
        const bool runs = running_ == timer;
        if (runs && running_slot_ == slot)
            return fail(Errc::WouldDeadlock, {}, "a timer's function that cancels the timer");
        was_armed = timer->place != 0;
        disarm(*timer);
        program = std::exchange(timer->program, nullptr);
        if (runs) waited_for = timer;
        run = runs_;
    }
    release_program(program);
    // One function runs at a time, and it waits for nobody: this ends.
    for (u32 round = 0; waited_for != nullptr; ++round) {
        platform::spin_pause(round);
        LockGuard guard(lock_);
        if (running_ != waited_for || runs_ != run) waited_for = nullptr;
    }
    return was_armed;
}

// --- their ends ----------------------------------------------------------------------------------

void Timers::end(void* field, bool deleted) {
    Timer* timer = nullptr;
    Program* program = nullptr;
    {
        LockGuard guard(lock_);
        timer = timer_in(field);
        if (timer != nullptr) {
            unlink(*timer);
            program = std::exchange(timer->program, nullptr);
        }
        if (deleted) word_of(field) = kGone;
    }
    release_program(program);
    if (timer != nullptr) runtime_.epochs().retire(timer);
}

void Timers::forget(Map& map) {
    for (;;) {
        Timer* timer = nullptr;
        Program* program = nullptr;
        {
            LockGuard guard(lock_);
            timer = map.timers;
            if (timer == nullptr) return;
            unlink(*timer);
            program = std::exchange(timer->program, nullptr);
        }
        release_program(program);
        runtime_.epochs().retire(timer);
    }
}

}  // namespace ebpf::runtime
