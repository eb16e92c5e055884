// SPDX-License-Identifier: MIT
#include "device.hpp"

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

Device::Device(const wchar_t* path)
    : file_(
          CreateFileW(path, GENERIC_READ | GENERIC_WRITE, 0, nullptr, OPEN_EXISTING, 0, nullptr)) {}

void Device::close() {
    if (is_open()) CloseHandle(file_);
    file_ = INVALID_HANDLE_VALUE;
}

std::vector<std::byte> Device::exchange(Bytes message, std::size_t room) {
    std::vector<std::byte> reply(room);
    DWORD used = 0;
    if (DeviceIoControl(file_, products::device::kMessage, const_cast<std::byte*>(message.data()),
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

Result<i64> Device::call(void* self, const spec::Caller& caller, spec::Command command,
                         void* attr) {
    auto& device = *static_cast<Device*>(self);
    wire::Plan plan;
    TRY(wire::plan_request(command, attr, {self, &Device::shape_of}, plan));
    std::vector<std::byte> request(plan.request_size);
    const u64 id = device.next_id_++;
    wire::write_request(plan, attr, caller.dialect, id, request);
    const std::vector<std::byte> reply = device.exchange(request, plan.reply_size);
    return wire::read_reply(plan, reply, id, attr);
}

Result<wire::Shape> Device::shape_of(void* self, u32 handle) {
    wire::Shape shape{.fd = handle};
    const auto& device = *static_cast<Device*>(self);
    TRY(call(self, device.caller(), spec::Command::HandleShape, &shape));
    return shape;
}

}  // namespace ebpf::wine
