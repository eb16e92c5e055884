// SPDX-License-Identifier: MIT
// The driver under test: started and stopped through the service manager, and its device as a door.
#pragma once

#include <windows.h>

#include <map>
#include <string>
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

// One open file of the device.
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
    // Raw bytes to the driver; the reply, empty when the control failed.
    std::vector<std::byte> exchange(Bytes message, std::size_t room);
    products::device::Statistics statistics();

  private:
    static Result<i64> call(void* self, const spec::Caller& caller, spec::Command command,
                            void* attr);
    static Result<wire::Shape> shape_of(void* self, u32 handle);

    HANDLE file_ = INVALID_HANDLE_VALUE;
    u64 next_id_ = 1;
};

}  // namespace ebpf::wine
