// SPDX-License-Identifier: MIT
// The driver under test: started and stopped through the service manager, and its device as a door.
#pragma once

#include <windows.h>

#include <vector>

#include "products/ebpfcore/device.hpp"
#include "spec/door.hpp"
#include "wire/message.hpp"

namespace ebpf::wine {

// The service of the driver whose path is in the environment (EBPFCORE).
class DriverService {
  public:
    DriverService();
    ~DriverService();
    DriverService(const DriverService&) = delete;
    DriverService& operator=(const DriverService&) = delete;
    // 0, or Windows' error.
    DWORD start();
    DWORD stop();  // returns when it has stopped

  private:
    SC_HANDLE manager_ = nullptr;
    SC_HANDLE service_ = nullptr;
};

// A handle as descriptors have it, and back.
inline u32 number(HANDLE handle) {
    return static_cast<u32>(reinterpret_cast<u64>(handle));
}
inline HANDLE handle(i64 number) {
    return reinterpret_cast<HANDLE>(static_cast<i64>(static_cast<i32>(number)));
}

// The device: a blank file of it, through which commands go until one makes it an object's; then
// another is opened. Descriptors are handles of this process; those that it made are closed with it
// unless they were given up or closed through it.
class Device {
  public:
    explicit Device(const wchar_t* path);
    ~Device() { close(); }
    Device(const Device&) = delete;
    Device& operator=(const Device&) = delete;

    bool is_open() const { return file_ != INVALID_HANDLE_VALUE; }
    void close();
    spec::Door door() { return {.self = this, .call = &Device::call}; }
    spec::Caller caller() const {
        return {.session = const_cast<Device*>(this), .dialect = spec::Dialect::Linux};
    }
    template <typename Attr>
    Result<i64> operator()(spec::Command command, Attr& attr) {
        return call(this, caller(), command, &attr);
    }
    // Through the file of an object.
    template <typename Attr>
    static Result<i64> through(i64 object, spec::Command command, Attr& attr) {
        return send(handle(object), spec::Dialect::Linux, command, &attr);
    }
    // Raw bytes to the driver; the reply, empty when the control failed.
    std::vector<std::byte> exchange(Bytes message, std::size_t room) {
        return exchange(file_, message, room);
    }
    HANDLE file() const { return file_; }
    // The handle is the caller's to close.
    HANDLE give_up(i64 object);
    products::device::Statistics statistics();

  private:
    static Result<i64> call(void* self, const spec::Caller& caller, spec::Command command,
                            void* attr);
    static Result<i64> send(HANDLE file, spec::Dialect dialect, spec::Command command, void* attr);
    static std::vector<std::byte> exchange(HANDLE file, Bytes message, std::size_t room);
    void open();

    const wchar_t* path_;
    std::vector<u32> made_;
    HANDLE file_ = INVALID_HANDLE_VALUE;
};

}  // namespace ebpf::wine
