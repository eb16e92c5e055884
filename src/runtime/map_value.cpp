// SPDX-License-Identifier: MIT
#include "runtime/map_value.hpp"

#include <utility>

#include "runtime/runtime.hpp"

namespace ebpf::runtime {
namespace {

struct Range {
    u32 begin = 0;
    u32 end = 0;
};

// Calls each(begin, end) for what lies between the fields of a value.
template <typename Each>
void plain_ranges(const Map& map, const Each& each) {
    const auto field = [&map](i32 offset, u32 size) {
        const u32 begin = offset >= 0 ? static_cast<u32>(offset) : map.value_size;
        return Range{begin, offset >= 0 ? begin + size : begin};
    };
    Range first = field(map.fields.spin_lock, btf::kSpinLockBytes);
    Range second = field(map.fields.timer, btf::kTimerBytes);
    if (second.begin < first.begin) std::swap(first, second);
    u32 begin = 0;
    for (const Range& taken : {first, second}) {
        if (taken.begin > begin) each(begin, taken.begin);
        begin = taken.end;
    }
    if (begin < map.value_size) each(begin, map.value_size);
}

// copy(to, from, size) of a range, in words as large as its place allows: a range that begins in
// the middle of 8 bytes goes on in whole ones.
template <typename Copy>
void copy_range(std::byte* to, const std::byte* from, u32 begin, u32 end, Copy* copy) {
    const u32 head = begin % 8 != 0 ? 8 - begin % 8 : 0;
    const u32 middle = head < end - begin ? begin + head : end;
    if (middle > begin) copy(to + begin, from + begin, middle - begin);
    if (end > middle) copy(to + middle, from + middle, end - middle);
}

void* lock_of(const Map& map, void* value) {
    return static_cast<std::byte*>(value) + map.fields.spin_lock;
}

std::atomic_ref<u32> word_of(void* lock) {
    return std::atomic_ref<u32>(*static_cast<u32*>(lock));
}

class [[nodiscard]] ValueGuard {
  public:
    explicit ValueGuard(void* lock) : lock_(lock) { take_lock(lock_); }
    ~ValueGuard() { give_lock(lock_); }
    ValueGuard(const ValueGuard&) = delete;
    ValueGuard& operator=(const ValueGuard&) = delete;

  private:
    void* lock_;
};

}  // namespace

void take_lock(void* lock) {
    const auto word = word_of(lock);
    for (u32 round = 0; word.exchange(1, std::memory_order_acquire) != 0;) {
        while (word.load(std::memory_order_relaxed) != 0) platform::spin_pause(round++);
    }
}

void give_lock(void* lock) {
    word_of(lock).store(0, std::memory_order_release);
}

void write_around_fields(const Map& map, void* value, const void* from) {
    plain_ranges(map, [&](u32 begin, u32 end) {
        copy_range(static_cast<std::byte*>(value), static_cast<const std::byte*>(from), begin, end,
                   copy_words);
    });
}

void make_around_fields(const Map& map, void* value, const void* from) {
    std::memset(value, 0, map.value_size);
    write_around_fields(map, value, from);
}

void read_value(const Map& map, void* to, const void* value, bool locked) {
    if (locked) {
        const ValueGuard guard(lock_of(map, const_cast<void*>(value)));
        return read_value(map, to, value);
    }
    if (!map.fields.any()) return read_words(to, value, map.value_size);
    std::memset(to, 0, map.value_size);
    plain_ranges(map, [&](u32 begin, u32 end) {
        copy_range(static_cast<std::byte*>(to), static_cast<const std::byte*>(value), begin, end,
                   read_words);
    });
}

void end_timer_of(Map& map, void* value, bool deleted) {
    map.runtime->timers().end(static_cast<std::byte*>(value) + map.fields.timer, deleted);
}

Status update_locked(Map& map, const void* key, const void* value, u64 flags, u32 slot) {
    const u64 rest = flags & ~kUpdateLock;
    if (map.fields.spin_lock < 0 || rest > kUpdateExist)
        return fail(Errc::InvalidArgument, {}, "flags", flags);
    for (;;) {
        if (void* old = map.ops->lookup(map, key, slot); old != nullptr) {
            if (rest == kUpdateNoExist) return fail(Errc::KeyAlreadyExists);
            {
                const ValueGuard guard(lock_of(map, old));
                write_value(map, old, value);
            }
            end_timer(map, old, false);
            return {};
        }
        if (rest == kUpdateExist) return map.ops->update(map, key, value, rest, slot);
        const Status made = map.ops->update(map, key, value, kUpdateNoExist, slot);
        if (made || made.error().code != Errc::KeyAlreadyExists || rest == kUpdateNoExist)
            return made;
        // Somebody else made it in between: then it is there to be written.
    }
}

Status read_locked(Map& map, const void* key, void* to) {
    const void* value = map.ops->lookup(map, key, 0);
    if (value == nullptr) return fail(Errc::KeyNotFound);
    read_value(map, to, value, true);
    return {};
}

}  // namespace ebpf::runtime
