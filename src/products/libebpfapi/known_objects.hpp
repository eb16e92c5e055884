// SPDX-License-Identifier: MIT
//
// What a process knows of the daemon's objects, by the cookies of their descriptors' sockets: a
// number that is another file's now has another cookie and is not mistaken.
//
// The values of an array that is looked up often are mapped, for reading only, and lookups read
// them as the execution context would: by words, with its errors. What stays mapped after the last
// descriptor was closed behind our back goes with the next sweep: it keeps at most as much again as
// is in use.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "products/service/channel.hpp"
#include "spec/commands.hpp"
#include "spec/map_types.hpp"
#include "wire/message.hpp"

namespace ebpf::products {

// The values of an array of the daemon.
class ArrayValues {
  public:
    // Maps `bytes` of `file`; null when that fails or they are less than `array` has.
    static std::shared_ptr<const ArrayValues> map(int file, u64 bytes, const wire::Shape& array);
    ArrayValues(const std::byte* base, u64 bytes, const wire::Shape& array)
        : base_(base), bytes_(bytes), value_size_(array.value_size), entries_(array.max_entries) {}
    ~ArrayValues();
    ArrayValues(const ArrayValues&) = delete;
    ArrayValues& operator=(const ArrayValues&) = delete;

    // KeyNotFound.
    Status read(u32 index, void* value) const;
    u64 bytes() const { return bytes_; }

  private:
    const std::byte* base_;
    u64 bytes_;
    u32 value_size_, entries_;
};

class KnownObjects {
  public:
    struct Object {
        u32 handle = 0;
        service::Cookie cookie;
        wire::Shape shape{};
    };

    void learn(const Object& object);
    void clear();
    // The handle of the object with this cookie, whose descriptor is `descriptor` now.
    std::optional<u32> handle(const service::Cookie& cookie, int descriptor);
    // InvalidFd.
    Result<wire::Shape> shape(u32 handle);

    // A lookup in mapped values; nothing when the daemon has to be asked.
    std::optional<Status> lookup(const spec::MapLookupElemAttr& attr);
    // Whether the values of this array should be mapped now: it has been asked for often. Says so
    // once.
    bool worth_mapping(const spec::MapLookupElemAttr& attr);
    // Values for lookups of `handle`, unless it is another object's by now.
    void keep_values(u32 handle, u32 id, std::shared_ptr<const ArrayValues> values);
    // The descriptor is about to be closed.
    void closing(const service::Cookie& cookie);
    // Unmaps values whose descriptors are closed, when there are enough of them to look for.
    void sweep();

    void lock() { mutex_.lock(); }
    void unlock() { mutex_.unlock(); }
    // As clear(), by who has locked.
    void clear_locked();

  private:
    struct Entry : Object {
        int descriptor = -1;  // by which it was last used
        u32 lookups = 0;      // that went to the daemon
        std::shared_ptr<const ArrayValues> values;
    };
    static constexpr size_t kKnown = 1 << 14;  // beyond, all are forgotten and learnt anew
    static constexpr u32 kWorthMapping = 4;    // lookups
    static constexpr u64 kSweepBytes = 16u << 20;
    static constexpr size_t kSweepCount = 64;

    std::shared_ptr<Entry> find(u32 handle) const;  // or null; under the lock
    bool is_open(const Entry& entry) const;

    std::mutex mutex_;
    std::map<service::Cookie, std::shared_ptr<Entry>> by_cookie_;
    std::unordered_map<u32, std::shared_ptr<Entry>> by_handle_;
    // What was mapped since the last sweep, or stayed then, and how much of it makes the next.
    u64 mapped_bytes_ = 0, sweep_bytes_ = kSweepBytes;
    size_t mapped_count_ = 0, sweep_count_ = kSweepCount;
};

}  // namespace ebpf::products
