// SPDX-License-Identifier: MIT
//
// One open file of the device. It is blank when it is opened; a command that makes or finds an
// object (MAP_CREATE, OBJ_GET, PROG_INSTALL ...), sent through a blank file, turns it into that
// object's. So an object's handle in user mode is a handle of the system: it is closed, duplicated,
// inherited and passed on as any other's, and when the last one goes, also because its process
// died, the object loses this reference.
//
// A number is no right, and nothing has a name that could be guessed: messages name handles of the
// process that sends them, which the object manager resolves (files.hpp). Through an object's file
// go only the commands that are for whoever has a handle; the others need a blank one, which only
// who may open the device has.
#pragma once

#include "platform/lock.hpp"
#include "platform/windows_kernel/user_view.hpp"
#include "products/ebpfcore/wdk.hpp"
#include "runtime/object.hpp"
#include "spec/door.hpp"
#include "wire/message.hpp"

namespace ebpf::products {

class Files;

// What all files share: the door, and the one session in which the driver holds every object.
struct Context {
    spec::Door door{};
    void* session = nullptr;
    const wdk::DeviceObject* devices[2] = {};
};

class File {
  public:
    static constexpr u32 kMaxViews = 256;  // of one ring, at a time

    // Null when there is no memory. PASSIVE.
    static File* create(const Context& context, bool privileged);
    static void destroy(File* file);

    // The request of `size` bytes in `buffer` is answered there; `room` is what the reply may take.
    // Any request is answered, by an error in the reply if need be; a status other than success
    // means that not even that was possible. `used` is the reply's size. PASSIVE, in the process
    // that asks.
    wdk::NtStatus exchange(std::byte* buffer, u32 size, u32 room, u64& used);

    // The file's last handle is closed: what is mapped through it goes. May be called twice.
    // PASSIVE.
    void cleanup();

    // The object's handle in the driver's session; 0 while the file is blank.
    u32 object() const { return object_.load(std::memory_order_acquire); }

  private:
    File(const Context& context, bool privileged) : context_(context), privileged_(privileged) {}
    Result<i64> call(wire::Request& request, Files& files);
    Result<i64> carry_out(const spec::Caller& caller, spec::Command command, void* attr);
    spec::Inside inside() const;
    Result<i64> become(u32 handle);
    Result<i64> map_ring(const spec::Caller& caller, spec::RingMapAttr& attr);
    Status keep(const platform::UserView& view);
    void close(u32 handle);

    const Context& context_;
    const bool privileged_;
    std::atomic<u32> object_{0};
    platform::SpinLock lock_;  // of what follows
    runtime::Table<platform::UserView> views_;
    bool closed_ = false;
};

}  // namespace ebpf::products
