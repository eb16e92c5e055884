// SPDX-License-Identifier: MIT
#include "products/libebpfapi/windows/pipes.hpp"

#include <fcntl.h>
#include <io.h>
#include <windows.h>

#include <cerrno>
#include <cstring>
#include <string_view>
#include <vector>

#include "platform/system.hpp"
#include "products/libebpfapi/context.hpp"
#include "spec/map_types.hpp"

namespace ebpf::products {
namespace {

constexpr std::wstring_view kNamespace = L"\\\\.\\pipe";

// A name that nobody guesses: who made a pipe of it first would be asked in our place.
std::wstring prefix() {
    u64 random[2] = {};
    platform::fill_random(std::as_writable_bytes(std::span(random)));
    return L"\\casement-" + std::to_wstring(random[0]) + L"-" + std::to_wstring(random[1]) + L"-";
}

// INVALID_HANDLE_VALUE when the descriptor is closed.
HANDLE handle_of(int descriptor) {
    return descriptor < 0 ? INVALID_HANDLE_VALUE
                          : reinterpret_cast<HANDLE>(_get_osfhandle(descriptor));
}

// The pipe's name as the system has it, with its backslash; empty for everything else.
std::wstring name_of(HANDLE pipe) {
    constexpr DWORD kRoom = 1024;
    alignas(FILE_NAME_INFO) std::byte buffer[kRoom] = {};
    if (GetFileType(pipe) != FILE_TYPE_PIPE ||
        GetFileInformationByHandleEx(pipe, FileNameInfo, buffer, kRoom) == 0) {
        return {};
    }
    DWORD bytes = 0;
    std::memcpy(&bytes, buffer + offsetof(FILE_NAME_INFO, FileNameLength), sizeof bytes);
    const auto* const name =
        reinterpret_cast<const wchar_t*>(buffer + offsetof(FILE_NAME_INFO, FileName));
    return {name, bytes / sizeof(wchar_t)};
}

bool is_broken(HANDLE pipe) {
    return PeekNamedPipe(pipe, nullptr, 0, nullptr, nullptr, nullptr) == 0 &&
           GetLastError() == ERROR_BROKEN_PIPE;
}

bool is_ring(u32 map_type) {
    return spec::map_type_from_number(spec::Dialect::Linux, map_type) == spec::MapType::Ringbuf;
}

void close_if_open(HANDLE handle) {
    if (handle != nullptr && handle != INVALID_HANDLE_VALUE) CloseHandle(handle);
}

}  // namespace

Pipes::Pipes(api::Session& session) : session_(session), prefix_(prefix()) {}

// What stands behind `object.handle`, beside the pipe.
Status Pipes::learn(Object& object) const {
    spec::Caller root = session_.caller;
    root.privileged = true;
    spec::HandleShapeAttr shape{.fd = object.handle};
    if (!session_.door(root, spec::Command::HandleShape, &shape)) return {};
    if (is_ring(shape.map_type)) {
        object.ring = shape.id;
        object.event = CreateEventW(nullptr, TRUE, FALSE, nullptr);
        if (object.event == nullptr) return fail(Errc::NoMemory, {}, "a ring's event");
    }
    spec::MapMemoryAttr memory{.map_fd = object.handle};
    if ((shape.map_flags & spec::kMapMmapable) != 0 &&
        session_.door(root, spec::Command::MapMemory, &memory)) {
        object.pages = static_cast<i64>(memory.native);
    }
    return {};
}

Result<int> Pipes::publish(u32 handle) {
    Object object{.handle = handle};
    TRY(learn(object));
    u64 number = 0;
    {
        const std::scoped_lock lock(mutex_);
        number = ++made_;
    }
    const std::wstring name = std::wstring(kNamespace) + prefix_ + std::to_wstring(number);
    object.ours = CreateNamedPipeW(name.c_str(), PIPE_ACCESS_DUPLEX | FILE_FLAG_FIRST_PIPE_INSTANCE,
                                   PIPE_TYPE_BYTE | PIPE_WAIT | PIPE_REJECT_REMOTE_CLIENTS, 1, 0, 0,
                                   0, nullptr);
    const HANDLE theirs = object.ours == INVALID_HANDLE_VALUE
                              ? INVALID_HANDLE_VALUE
                              : CreateFileW(name.c_str(), GENERIC_READ | GENERIC_WRITE, 0, nullptr,
                                            OPEN_EXISTING, 0, nullptr);
    const int descriptor = theirs == INVALID_HANDLE_VALUE
                               ? -1
                               : _open_osfhandle(reinterpret_cast<intptr_t>(theirs), _O_NOINHERIT);
    if (descriptor < 0) {
        close_if_open(theirs);
        close_if_open(object.ours);
        close_if_open(object.event);
        return fail(Errc::OutOfSpace, {}, "descriptor");
    }
    {
        const std::scoped_lock lock(mutex_);
        objects_[number] = object;
    }
    if (object.ring != 0) {
        {
            const std::scoped_lock lock(rings_mutex_);
            rings_.emplace(object.ring, object.event);
        }
        // Asked afterwards: what comes from now on is told.
        if (has_news(&session_, handle)) ring_ready(object.ring);
    }
    return descriptor;
}

Result<Pipes::Object> Pipes::find(int descriptor) const {
    const HANDLE pipe = handle_of(descriptor);
    const auto number = static_cast<u64>(descriptor);
    if (pipe == INVALID_HANDLE_VALUE) return fail(Errc::InvalidFd, {}, "descriptor", number);
    const std::wstring name = name_of(pipe);
    if (name.starts_with(prefix_)) {
        const u64 object = std::wcstoull(name.c_str() + prefix_.size(), nullptr, 10);
        const std::scoped_lock lock(mutex_);
        const auto found = objects_.find(object);
        if (found != objects_.end()) return found->second;
    }
    return fail(Errc::InvalidArgument, {}, "descriptor", number);
}

Result<u32> Pipes::handle(int descriptor) const {
    TRY_ASSIGN(const Object object, find(descriptor));
    return object.handle;
}

Result<i64> Pipes::native(int descriptor) const {
    TRY_ASSIGN(const Object object, find(descriptor));
    if (object.event != nullptr) return reinterpret_cast<i64>(object.event);
    if (object.pages != -1) return object.pages;
    return fail(Errc::InvalidArgument, {}, "descriptor", static_cast<u64>(descriptor));
}

void Pipes::settle(int descriptor) {
    const auto object = find(descriptor);
    if (object && object->event != nullptr) ResetEvent(object->event);
}

void Pipes::announce(int descriptor) {
    const auto object = find(descriptor);
    if (object && object->event != nullptr) SetEvent(object->event);
}

void Pipes::ring_ready(u32 map) {
    const std::scoped_lock lock(rings_mutex_);
    const auto [first, last] = rings_.equal_range(map);
    for (auto at = first; at != last; ++at) SetEvent(at->second);
}

void Pipes::forget(const Object& object) {
    if (object.event != nullptr) {
        const std::scoped_lock lock(rings_mutex_);
        std::erase_if(rings_, [&](const auto& entry) { return entry.second == object.event; });
    }
    close_if_open(object.event);
    close_if_open(object.ours);
    close_handle(&session_, object.handle);
}

void Pipes::close(int descriptor) {
    _close(descriptor);
    sweep();
}

void Pipes::sweep() {
    std::vector<Object> gone;
    {
        const std::scoped_lock lock(mutex_);
        std::erase_if(objects_, [&](const auto& entry) {
            if (!is_broken(entry.second.ours)) return false;
            gone.push_back(entry.second);
            return true;
        });
    }
    // Outside the lock: closing a handle may detach a program and wait for its last invocation.
    for (const Object& object : gone) forget(object);
}

}  // namespace ebpf::products
