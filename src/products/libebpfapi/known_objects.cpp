// SPDX-License-Identifier: MIT
#include "products/libebpfapi/known_objects.hpp"

#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "runtime/map.hpp"

namespace ebpf::products {
namespace {

// An array whose values the daemon may share: locks and timers in them are not for applications.
bool is_shared_array(const wire::Shape& shape) {
    const auto type = spec::map_type_from_number(spec::Dialect::Linux, shape.map_type);
    constexpr u32 kAsk = spec::kMapMmapable | spec::kMapWriteOnly;
    const bool plain = (shape.map_flags & kAsk) == 0 && shape.spin_lock == 0 && shape.timer == 0;
    return type && *type == spec::MapType::Array && plain;
}

// Whether the daemon still has its end of an object's descriptor: what was mapped would outlive it.
bool is_held(int descriptor) {
    char byte = 0;
    return recv(descriptor, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

}  // namespace

std::shared_ptr<const ArrayValues> ArrayValues::map(int file, u64 bytes, const wire::Shape& array) {
    if (array.value_size == 0 || bytes / spec::value_stride(array.value_size) < array.max_entries)
        return {};
    void* const base = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file, 0);
    if (base == MAP_FAILED) return {};
    return std::make_shared<ArrayValues>(static_cast<const std::byte*>(base), bytes, array);
}

ArrayValues::~ArrayValues() {
    munmap(const_cast<std::byte*>(base_), bytes_);
}

Status ArrayValues::read(u32 index, void* value) const {
    if (index >= entries_) return fail(Errc::KeyNotFound, {}, "index", index);
    runtime::read_words(value, base_ + index * spec::value_stride(value_size_), value_size_);
    return {};
}

// --- objects -------------------------------------------------------------------------------------

void KnownObjects::learn(const Object& object) {
    auto entry = std::make_shared<Entry>();
    static_cast<Object&>(*entry) = object;
    const std::scoped_lock guard(mutex_);
    if (by_cookie_.size() >= kKnown) clear_locked();
    if (const auto before = find(object.handle)) by_cookie_.erase(before->cookie);
    by_cookie_[object.cookie] = entry;
    by_handle_[object.handle] = std::move(entry);
}

void KnownObjects::clear() {
    const std::scoped_lock guard(mutex_);
    clear_locked();
}

void KnownObjects::clear_locked() {
    by_cookie_.clear();
    by_handle_.clear();
    mapped_bytes_ = mapped_count_ = 0;
}

std::shared_ptr<KnownObjects::Entry> KnownObjects::find(u32 handle) const {
    const auto found = by_handle_.find(handle);
    return found == by_handle_.end() ? nullptr : found->second;
}

std::optional<u32> KnownObjects::handle(const service::Cookie& cookie, int descriptor) {
    const std::scoped_lock guard(mutex_);
    const auto found = by_cookie_.find(cookie);
    if (found == by_cookie_.end()) return {};
    found->second->descriptor = descriptor;
    return found->second->handle;
}

Result<wire::Shape> KnownObjects::shape(u32 handle) {
    const std::scoped_lock guard(mutex_);
    const auto entry = find(handle);
    if (!entry) return fail(Errc::InvalidFd, {}, "handle", handle);
    return entry->shape;
}

// --- values --------------------------------------------------------------------------------------

std::optional<Status> KnownObjects::lookup(const spec::MapLookupElemAttr& attr) {
    if (attr.flags != 0 || attr.key == 0 || attr.value == 0) return {};
    std::shared_ptr<const ArrayValues> values;
    int descriptor = -1;
    {
        const std::scoped_lock guard(mutex_);
        const auto entry = find(attr.map_fd);
        if (!entry || !entry->values) return {};
        values = entry->values;
        descriptor = entry->descriptor;
    }
    if (!is_held(descriptor)) return {};
    u32 index = 0;
    std::memcpy(&index, reinterpret_cast<const void*>(attr.key), sizeof index);
    return values->read(index, reinterpret_cast<void*>(attr.value));
}

bool KnownObjects::worth_mapping(const spec::MapLookupElemAttr& attr) {
    const std::scoped_lock guard(mutex_);
    const auto entry = find(attr.map_fd);
    return entry && is_shared_array(entry->shape) && ++entry->lookups == kWorthMapping;
}

void KnownObjects::keep_values(u32 handle, u32 id, std::shared_ptr<const ArrayValues> values) {
    const std::scoped_lock guard(mutex_);
    const auto entry = find(handle);
    if (!entry || entry->shape.id != id || entry->values) return;
    mapped_bytes_ += values->bytes();
    ++mapped_count_;
    entry->values = std::move(values);
}

bool KnownObjects::is_open(const Entry& entry) const {
    const auto cookie = service::cookie_of(entry.descriptor);
    return cookie && *cookie == entry.cookie;
}

void KnownObjects::closing(const service::Cookie& cookie) {
    const std::scoped_lock guard(mutex_);
    const auto found = by_cookie_.find(cookie);
    if (found == by_cookie_.end()) return;
    found->second->values.reset();  // another copy of the descriptor maps them anew
    found->second->lookups = 0;
}

void KnownObjects::sweep() {
    const std::scoped_lock guard(mutex_);
    if (mapped_bytes_ < sweep_bytes_ && mapped_count_ < sweep_count_) return;
    mapped_bytes_ = mapped_count_ = 0;
    for (const auto& [cookie, entry] : by_cookie_) {
        if (!entry->values) continue;
        if (is_open(*entry)) {
            mapped_bytes_ += entry->values->bytes();
            ++mapped_count_;
        } else {
            entry->values.reset();
            entry->lookups = 0;
        }
    }
    sweep_bytes_ = std::max(kSweepBytes, 2 * mapped_bytes_);
    sweep_count_ = std::max(kSweepCount, 2 * mapped_count_);
}

}  // namespace ebpf::products
