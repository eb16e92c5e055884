// SPDX-License-Identifier: MIT
//
// What the execution context holds: maps, programs, links, type information, and wishes for run
// statistics. Each is counted twice: references keep it alive, and those of users (handles and
// pins) among them say whether anybody outside can still reach it, so that cycles through prog
// arrays end. The last reference retires the object: a program that is running may still look at
// it.
#pragma once

#include <cstring>

#include "platform/memory.hpp"
#include "runtime/epoch.hpp"
#include "spec/commands.hpp"

namespace ebpf::runtime {

class Runtime;

enum class ObjectKind : u8 { Map, Link, Program, Btf, Statistics };
inline constexpr u32 kObjectKinds = 5;

struct Object : Retired {
    Runtime* runtime = nullptr;
    ObjectKind kind{};
    std::atomic<u32> references{1};
    std::atomic<u32> users{0};
    u32 id = 0;
    spec::ObjectName name{};
    // Called when the last user goes, while the object still lives; may be null.
    void (*forgotten)(Object& self) = nullptr;
};

void acquire(Object& object);
// False when the object is already dying: then it may not be used.
bool try_acquire(Object& object);
void release(Object& object);
// A user's reference: a handle or a pin.
void acquire_user(Object& object);
void release_user(Object& object);

// One reference, as a value.
template <typename T>
class Ref {
  public:
    Ref() = default;
    static Ref adopt(T* object) {
        Ref ref;
        ref.object_ = object;
        return ref;
    }
    static Ref share(T& object) {
        acquire(object);
        return adopt(&object);
    }
    Ref(Ref&& other) noexcept : object_(other.detach()) {}
    Ref& operator=(Ref&& other) noexcept {
        T* old = object_;
        object_ = other.detach();
        if (old != nullptr) release(*old);
        return *this;
    }
    ~Ref() {
        if (object_ != nullptr) release(*object_);
    }
    T* get() const { return object_; }
    T& operator*() const { return *object_; }
    T* operator->() const { return object_; }
    explicit operator bool() const { return object_ != nullptr; }
    T* detach() {
        T* object = object_;
        object_ = nullptr;
        return object;
    }

  private:
    T* object_ = nullptr;
};

// An array of plain values that grows; for tables that change seldom.
template <typename T>
class Table {
  public:
    Table() = default;
    Table(const Table&) = delete;
    Table& operator=(const Table&) = delete;
    ~Table();

    u32 size() const { return size_; }
    T& operator[](u32 i) { return items_[i]; }
    const T& operator[](u32 i) const { return items_[i]; }
    Status insert(u32 at, const T& item);
    void erase(u32 at);

  private:
    T* items_ = nullptr;
    u32 size_ = 0;
    u32 capacity_ = 0;
};

template <typename T>
Table<T>::~Table() {
    platform::release(items_);
}

template <typename T>
Status Table<T>::insert(u32 at, const T& item) {
    if (size_ == capacity_) {
        const u32 capacity = capacity_ == 0 ? 8 : capacity_ * 2;
        auto* items = static_cast<T*>(platform::allocate(capacity * sizeof(T)));
        if (items == nullptr) return fail(Errc::NoMemory, {}, "table", capacity * sizeof(T));
        if (size_ != 0) std::memcpy(items, items_, size_ * sizeof(T));
        platform::release(items_);
        items_ = items;
        capacity_ = capacity;
    }
    std::memmove(items_ + at + 1, items_ + at, (size_ - at) * sizeof(T));
    items_[at] = item;
    ++size_;
    return {};
}

template <typename T>
void Table<T>::erase(u32 at) {
    --size_;
    std::memmove(items_ + at, items_ + at + 1, (size_ - at) * sizeof(T));
}

// Objects of one kind by id. Ids rise and are not used again, so an old one never means another
// object.
class IdTable {
  public:
    Status add(Object& object);
    void remove(const Object& object);
    // The object with a reference, or null.
    Object* find(u32 id);
    // The smallest id above `after`; 0 when there is none.
    u32 next(u32 after);

  private:
    u32 position(u32 id) const;  // of the first object whose id is >= id

    platform::SpinLock lock_;
    Table<Object*> objects_;
    u32 last_ = 0;
};

// Objects by path. A pin is a user of its object.
class Pins {
  public:
    ~Pins();
    Status add(std::string_view path, Object& object);  // ObjectAlreadyExists, NoMemory
    Status remove(std::string_view path);               // ObjectNotFound
    Object* find(std::string_view path);                // with a reference, or null
    // The first path after `start` in bytewise order whose object has `kind` (or any), copied to
    // `out` with its NUL. NoMoreKeys, InsufficientBuffer.
    Result<ObjectKind> next(std::string_view start, const ObjectKind* kind, std::span<char> out);
    void clear();

  private:
    struct Pin {
        char* path;
        u32 length;
        Object* object;
        std::string_view view() const { return {path, length}; }
    };
    u32 position(std::string_view path) const;  // of the first pin that is not below `path`

    platform::SpinLock lock_;
    Table<Pin> pins_;
};

// The handles of one client. A handle is a small positive number; 0 is none.
class Session {
  public:
    Session* next = nullptr;  // in the runtime's list

    Result<u32> open(Object& object);  // a new handle, with a user's reference of its own
    Status close(u32 handle);
    // The object behind a handle, with a reference. InvalidFd; InvalidObject when of another kind.
    Result<Ref<Object>> object(u32 handle);
    void close_all();

  private:
    platform::SpinLock lock_;
    Table<Object*> handles_;  // [handle - 1], null when free
};

}  // namespace ebpf::runtime
