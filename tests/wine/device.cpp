// SPDX-License-Identifier: MIT
#include "device.hpp"

#include <atomic>
#include <cstdlib>
#include <cstring>

namespace ebpf::wine {
namespace {

constexpr wchar_t kService[] = L"ebpfcore";

bool wait_for(SC_HANDLE service, DWORD state) {
    SERVICE_STATUS status{};
    for (int i = 0; i < 1000; ++i) {
        if (QueryServiceStatus(service, &status) == 0) return false;
        if (status.dwCurrentState == state) return true;
        Sleep(10);
    }
    return false;
}

}  // namespace

DriverService::DriverService() : manager_(OpenSCManagerW(nullptr, nullptr, SC_MANAGER_ALL_ACCESS)) {
    const wchar_t* const path = _wgetenv(L"EBPFCORE");
    if (path == nullptr) return;
    service_ = CreateServiceW(manager_, kService, kService, SERVICE_ALL_ACCESS,
                              SERVICE_KERNEL_DRIVER, SERVICE_DEMAND_START, SERVICE_ERROR_NORMAL,
                              path, L"eBPF", nullptr, nullptr, nullptr, nullptr);
    if (service_ == nullptr) service_ = OpenServiceW(manager_, kService, SERVICE_ALL_ACCESS);
}

DriverService::~DriverService() {
    if (service_ != nullptr) {
        DeleteService(service_);
        CloseServiceHandle(service_);
    }
    CloseServiceHandle(manager_);
}

DWORD DriverService::start() {
    if (StartServiceW(service_, 0, nullptr) == 0) return GetLastError();
    return wait_for(service_, SERVICE_RUNNING) ? 0 : ERROR_TIMEOUT;
}

DWORD DriverService::stop() {
    SERVICE_STATUS status{};
    if (ControlService(service_, SERVICE_CONTROL_STOP, &status) == 0) return GetLastError();
    return wait_for(service_, SERVICE_STOPPED) ? 0 : ERROR_TIMEOUT;
}

Device::Device(const wchar_t* path) : path_(path) {
    open();
}

void Device::open() {
    file_ = CreateFileW(path_, GENERIC_READ | GENERIC_WRITE, 0, nullptr, OPEN_EXISTING, 0, nullptr);
}

void Device::close() {
    if (is_open()) CloseHandle(file_);
    file_ = INVALID_HANDLE_VALUE;
    for (const u32 object : made_) CloseHandle(handle(object));
    made_.clear();
}

HANDLE Device::give_up(i64 object) {
    std::erase(made_, static_cast<u32>(object));
    return handle(object);
}

std::vector<std::byte> Device::exchange(HANDLE file, Bytes message, std::size_t room) {
    std::vector<std::byte> reply(room);
    DWORD used = 0;
    if (DeviceIoControl(file, products::device::kMessage, const_cast<std::byte*>(message.data()),
                        static_cast<DWORD>(message.size()), reply.data(), static_cast<DWORD>(room),
                        &used, nullptr) == 0) {
        return {};
    }
    reply.resize(used);
    return reply;
}

products::device::Statistics Device::statistics() {
    products::device::Statistics out;
    DWORD used = 0;
    DeviceIoControl(file_, products::device::kStatistics, nullptr, 0, &out, sizeof out, &used,
                    nullptr);
    return out;
}

Result<i64> Device::send(HANDLE file, spec::Dialect dialect, spec::Command command, void* attr) {
    const wire::Shapes shapes{
        file, [](void* self, u32 number) -> Result<wire::Shape> {
            wire::Shape shape{.fd = number};
            TRY(send(self, spec::Dialect::Linux, spec::Command::HandleShape, &shape));
            return shape;
        }};
    wire::Plan plan;
    TRY(wire::plan_request(command, attr, shapes, plan));
    std::vector<std::byte> request(plan.request_size);
    static std::atomic<u64> last_id;
    const u64 id = ++last_id;
    wire::write_request(plan, attr, dialect, id, request);
    return wire::read_reply(plan, exchange(file, request, plan.reply_size), id, attr);
}

Result<i64> Device::call(void* self, const spec::Caller& caller, spec::Command command,
                         void* attr) {
    auto& device = *static_cast<Device*>(self);
    if (command == spec::Command::HandleClose) {
        const u32 fd = static_cast<spec::HandleCloseAttr*>(attr)->fd;
        return CloseHandle(device.give_up(fd)) != 0 ? Result<i64>(0) : fail(Errc::InvalidFd);
    }
    // A ring is mapped through its own handle.
    if (command == spec::Command::RingMap) {
        const u32 ring = static_cast<spec::RingMapAttr*>(attr)->map_fd;
        return send(handle(ring), caller.dialect, command, attr);
    }
    TRY_ASSIGN(const i64 result, send(device.file_, caller.dialect, command, attr));
    if (!spec::is_handle(command, result)) return result;
    device.made_.push_back(number(device.file_));
    device.open();
    return device.made_.back();
}

}  // namespace ebpf::wine
