// SPDX-License-Identifier: MIT
//
// ebpfcore.sys: the execution context as a Windows driver. It makes one device; each open file of
// it is blank or an object's (file.hpp), each device control one message (wire/message.hpp) of the
// one door.
// It parses no object files, verifies nothing and compiles nothing: what it runs comes from the
// trusted service as PROG_INSTALL(Code).
//
// Who may open the device says its security descriptor (below); who may install code, see
// device.hpp.
#include <new>

#include "hooks/xdp.hpp"
#include "interpreter/interpreter.hpp"
#include "products/ebpfcore/device.hpp"
#include "products/ebpfcore/file.hpp"
#include "runtime/runtime.hpp"
#include "spec/errors.hpp"

namespace ebpf::products {
namespace {

using namespace wdk;

struct Names {
    UnicodeString device, link;
};
constexpr Names kNames[] = {
    {unicode(device::kDeviceName), unicode(device::kLinkName)},
    {unicode(device::kServiceDeviceName), unicode(device::kServiceLinkName)},
};
constexpr int kForService = 1, kDevices = 2;

// Full access for LocalSystem and for administrators, nothing for others, nothing inherited
// ("D:P(A;;GA;;;SY)(A;;GA;;;BA)"), as a self-relative descriptor ([MS-DTYP] section 2.4.6).
struct [[gnu::packed]] SecurityDescriptor {
    u8 revision = 1, reserved = 0;
    u16 control = 0x8000 | 0x1000 | 0x0004;  // self-relative, protected, has a DACL
    u32 owner = 0, group = 0, sacl = 0, dacl = 20;
    u8 acl_revision = 2, acl_reserved = 0;
    u16 acl_size = 8 + 20 + 24, ace_count = 2, acl_reserved2 = 0;
    u8 system_type = 0, system_flags = 0;
    u16 system_size = 20;
    u32 system_mask = 0x10000000;                               // GENERIC_ALL
    u8 system_sid[12] = {1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0};  // S-1-5-18
    u8 admin_type = 0, admin_flags = 0;
    u16 admin_size = 24;
    u32 admin_mask = 0x10000000;
    u8 admin_sid[16] = {1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0};  // S-1-5-32-544
};
static_assert(sizeof(SecurityDescriptor) == 20 + 8 + 20 + 24);
constexpr SecurityDescriptor kDescriptor;

struct Driver {
    runtime::Runtime* runtime = nullptr;
    hooks::XdpHook xdp;
    Context context;
    std::atomic<u64> files{0};
    DeviceObject* devices[kDevices] = {};
};
constinit Driver* driver = nullptr;

NtStatus complete(Irp* irp, NtStatus status, u64 information = 0) {
    irp->status = status;
    irp->information = information;
    IofCompleteRequest(irp, 0);
    return status;
}

NtStatus create(DeviceObject* object, Irp* irp) {
    FileObject* const file = irp->location->file;
    if (file->name.length != 0) return complete(irp, kObjectNameNotFound);
    const bool privileged = object == driver->devices[kForService];
    if (privileged && SeSinglePrivilegeCheck(kLoadDriverPrivilege, irp->requestor_mode) == 0) {
        return complete(irp, kAccessDenied);
    }
    file->context = File::create(driver->context, privileged);
    if (file->context == nullptr) return complete(irp, kInsufficientResources);
    driver->files.fetch_add(1);
    return complete(irp, kSuccess);
}

// The last handle is closed; requests may still be under way.
NtStatus cleanup(DeviceObject*, Irp* irp) {
    if (auto* file = static_cast<File*>(irp->location->file->context)) file->cleanup();
    return complete(irp, kSuccess);
}

// Nobody refers to the file any more.
NtStatus close(DeviceObject*, Irp* irp) {
    FileObject* const file = irp->location->file;
    if (file->context != nullptr) {
        File::destroy(static_cast<File*>(file->context));
        file->context = nullptr;
        driver->files.fetch_sub(1);
    }
    return complete(irp, kSuccess);
}

NtStatus statistics(Irp* irp) {
    const runtime::Runtime& runtime = *driver->runtime;
    if (irp->location->output_length < sizeof(device::Statistics)) {
        return complete(irp, kBufferTooSmall);
    }
    *static_cast<device::Statistics*>(irp->system_buffer) = {
        .files = driver->files.load(),
        .maps = runtime.live(runtime::ObjectKind::Map),
        .links = runtime.live(runtime::ObjectKind::Link),
        .programs = runtime.live(runtime::ObjectKind::Program),
        .allocations = platform::allocations()};
    return complete(irp, kSuccess, sizeof(device::Statistics));
}

NtStatus control(DeviceObject*, Irp* irp) {
    const StackLocation& at = *irp->location;
    auto* const file = static_cast<File*>(at.file->context);
    if (file == nullptr) return complete(irp, kInvalidParameter);
    if (at.code == device::kStatistics) return statistics(irp);
    if (at.code != device::kMessage) return complete(irp, kInvalidDeviceRequest);
    u64 used = 0;
    const NtStatus status = file->exchange(static_cast<std::byte*>(irp->system_buffer),
                                           at.input_length, at.output_length, used);
    return complete(irp, status, used);
}

void stop() {
    if (driver == nullptr) return;
    runtime::Runtime::destroy(driver->runtime);
    driver->~Driver();
    platform::release(driver);
    driver = nullptr;
}

void delete_devices() {
    for (int i = 0; i < kDevices; ++i) {
        if (driver->devices[i] == nullptr) continue;
        IoDeleteSymbolicLink(&kNames[i].link);
        IoDeleteDevice(driver->devices[i]);
        driver->devices[i] = nullptr;
    }
}

// The I/O manager calls it when no file of the devices is open.
void unload(DriverObject*) {
    delete_devices();
    stop();
}

Status start() {
    void* memory = platform::allocate(sizeof(Driver));
    if (memory == nullptr) return fail(Errc::NoMemory, {}, "driver");
    driver = new (memory) Driver;
    TRY_ASSIGN(driver->runtime, runtime::Runtime::create({}));
    driver->context.door = driver->runtime->door();
    driver->context.session = driver->context.door.open_session(driver->runtime);
    if (driver->context.session == nullptr) return fail(Errc::NoMemory, {}, "session");
    TRY(driver->runtime->register_engine(interpreter::kEngine));
    return driver->runtime->register_hook_provider(driver->xdp.provider());
}

// What IoCreateDeviceSecure does, which is no export but code of a library: nobody can open the
// device before the I/O manager says that it is initialised, after the entry point.
NtStatus protect(DeviceObject* object) {
    void* handle = nullptr;
    NtStatus status = ObOpenObjectByPointer(object, kKernelHandle, nullptr, kWriteDac, nullptr,
                                            platform::ddk::kKernelMode, &handle);
    if (!platform::ddk::succeeded(status)) return status;
    status = ZwSetSecurityObject(handle, kDaclInformation, &kDescriptor);
    ZwClose(handle);
    return status;
}

NtStatus make_device(DriverObject* object, const Names& names, DeviceObject*& out) {
    DeviceObject* made = nullptr;
    NtStatus status =
        IoCreateDevice(object, 0, &names.device, kDeviceTypeNetwork, kSecureOpen, 0, &made);
    if (!platform::ddk::succeeded(status)) return status;
    status = protect(made);
    if (platform::ddk::succeeded(status)) status = IoCreateSymbolicLink(&names.link, &names.device);
    if (platform::ddk::succeeded(status)) {
        out = made;
    } else {
        IoDeleteDevice(made);
    }
    return status;
}

NtStatus make_devices(DriverObject* object) {
    for (int i = 0; i < kDevices; ++i) {
        const NtStatus status = make_device(object, kNames[i], driver->devices[i]);
        driver->context.devices[i] = driver->devices[i];
        if (!platform::ddk::succeeded(status)) return status;
    }
    return kSuccess;
}

}  // namespace

extern "C" NtStatus DriverEntry(DriverObject* object, const UnicodeString*);
extern "C" NtStatus DriverEntry(DriverObject* object, const UnicodeString*) {
    const Status started = start();
    const NtStatus status = started ? make_devices(object)
                                    : static_cast<NtStatus>(spec::ntstatus(started.error().code));
    if (!platform::ddk::succeeded(status)) {
        if (driver != nullptr) delete_devices();
        stop();
        return status;
    }
    object->major[kCreate] = create;
    object->major[kCleanup] = cleanup;
    object->major[kClose] = close;
    object->major[kDeviceControl] = control;
    object->unload = unload;
    return kSuccess;
}

}  // namespace ebpf::products
