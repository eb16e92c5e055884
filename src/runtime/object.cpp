// SPDX-License-Identifier: MIT
#include "runtime/object.hpp"

#include <cstring>

#include "platform/memory.hpp"
#include "runtime/runtime.hpp"

namespace ebpf::runtime {

using platform::LockGuard;

void acquire(Object& object) {
    object.references.fetch_add(1, std::memory_order_relaxed);
}

bool try_acquire(Object& object) {
    u32 count = object.references.load(std::memory_order_relaxed);
    while (count != 0) {
        if (object.references.compare_exchange_weak(count, count + 1, std::memory_order_acquire)) {
            return true;
        }
    }
    return false;
}

void release(Object& object) {
    if (object.references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    object.runtime->forget(object);
}

void acquire_user(Object& object) {
    acquire(object);
    object.users.fetch_add(1, std::memory_order_relaxed);
}

void release_user(Object& object) {
    if (object.users.fetch_sub(1, std::memory_order_acq_rel) == 1 && object.forgotten != nullptr) {
        object.forgotten(object);
    }
    release(object);
}

// --- IdTable ------------------------------------------------------------------------------------

u32 IdTable::position(u32 id) const {
    u32 low = 0;
    u32 high = objects_.size();
    while (low < high) {
        const u32 middle = (low + high) / 2;
        if (objects_[middle]->id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

Status IdTable::add(Object& object) {
    LockGuard guard(lock_);
    TRY(objects_.insert(objects_.size(), &object));
    object.id = ++last_;
    return {};
}

void IdTable::remove(const Object& object) {
    LockGuard guard(lock_);
    const u32 at = position(object.id);
    if (at < objects_.size() && objects_[at] == &object) objects_.erase(at);
}

Object* IdTable::find(u32 id) {
    LockGuard guard(lock_);
    const u32 at = position(id);
    if (at >= objects_.size() || objects_[at]->id != id || !try_acquire(*objects_[at]))
        return nullptr;
    return objects_[at];
}

u32 IdTable::next(u32 after) {
    LockGuard guard(lock_);
    if (after == ~u32{0}) return 0;
    const u32 at = position(after + 1);
    return at < objects_.size() ? objects_[at]->id : 0;
}

// --- Pins ---------------------------------------------------------------------------------------

u32 Pins::position(std::string_view path) const {
    u32 low = 0;
    u32 high = pins_.size();
    while (low < high) {
        const u32 middle = (low + high) / 2;
        if (pins_[middle].view() < path) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

Status Pins::add(std::string_view path, Object& object) {
    auto* copy = static_cast<char*>(platform::allocate(path.size() + 1));
    if (copy == nullptr) return fail(Errc::NoMemory, {}, "pin path", path.size());
    std::memcpy(copy, path.data(), path.size());
    Status status;
    {
        LockGuard guard(lock_);
        const u32 at = position(path);
        if (at < pins_.size() && pins_[at].view() == path) {
            status = fail(Errc::ObjectAlreadyExists, {}, "path in use");
        } else {
            status = pins_.insert(at, {copy, static_cast<u32>(path.size()), &object});
        }
        if (status) acquire_user(object);
    }
    if (!status) platform::release(copy);
    return status;
}

Status Pins::remove(std::string_view path) {
    Pin pin{};
    {
        LockGuard guard(lock_);
        const u32 at = position(path);
        if (at >= pins_.size() || pins_[at].view() != path) {
            return fail(Errc::ObjectNotFound, {}, "pin path");
        }
        pin = pins_[at];
        pins_.erase(at);
    }
    platform::release(pin.path);
    release_user(*pin.object);
    return {};
}

Object* Pins::find(std::string_view path) {
    LockGuard guard(lock_);
    const u32 at = position(path);
    if (at >= pins_.size() || pins_[at].view() != path) return nullptr;
    acquire(*pins_[at].object);
    return pins_[at].object;
}

Result<ObjectKind> Pins::next(std::string_view start, const ObjectKind* kind, std::span<char> out) {
    LockGuard guard(lock_);
    for (u32 at = position(start); at < pins_.size(); ++at) {
        const Pin& pin = pins_[at];
        if (pin.view() == start || (kind != nullptr && pin.object->kind != *kind)) continue;
        if (pin.length + 1 > out.size()) {
            return fail(Errc::InsufficientBuffer, {}, "path", pin.length + 1);
        }
        std::memcpy(out.data(), pin.path, pin.length + 1);
        return pin.object->kind;
    }
    return fail(Errc::NoMoreKeys, {}, "pins");
}

void Pins::clear() {
    while (pins_.size() != 0) {
        const Pin pin = pins_[pins_.size() - 1];
        pins_.erase(pins_.size() - 1);
        platform::release(pin.path);
        release_user(*pin.object);
    }
}

Pins::~Pins() {
    clear();
}

// --- Session ------------------------------------------------------------------------------------

Result<u32> Session::open(Object& object) {
    LockGuard guard(lock_);
    u32 at = 0;
    while (at < handles_.size() && handles_[at] != nullptr) ++at;
    if (at < handles_.size()) {
        handles_[at] = &object;
    } else {
        TRY(handles_.insert(at, &object));
    }
    acquire_user(object);
    return at + 1;
}

Status Session::close(u32 handle) {
    Object* object = nullptr;
    {
        LockGuard guard(lock_);
        if (handle == 0 || handle > handles_.size() || handles_[handle - 1] == nullptr) {
            return fail(Errc::InvalidFd, {}, "handle", handle);
        }
        object = handles_[handle - 1];
        handles_[handle - 1] = nullptr;
    }
    release_user(*object);
    return {};
}

Result<Ref<Object>> Session::object(u32 handle) {
    if (handle == spec::kForeignHandle)
        return fail(Errc::InvalidArgument, {}, "not an object of this session");
    LockGuard guard(lock_);
    if (handle == 0 || handle > handles_.size() || handles_[handle - 1] == nullptr) {
        return fail(Errc::InvalidFd, {}, "handle", handle);
    }
    return Ref<Object>::share(*handles_[handle - 1]);
}

void Session::close_all() {
    for (u32 i = 0; i < handles_.size(); ++i) {
        if (handles_[i] != nullptr) release_user(*handles_[i]);
        handles_[i] = nullptr;
    }
}

}  // namespace ebpf::runtime
