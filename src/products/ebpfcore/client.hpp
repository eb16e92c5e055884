// SPDX-License-Identifier: MIT
//
// One open file of the device: a client's session with the execution context, as a kernel object.
// Its handles in user mode are duplicated, inherited and closed as any other's; when the last one
// goes, also because its process died, the session ends and releases everything that only it held.
#pragma once

#include "platform/windows_kernel/user_view.hpp"
#include "products/ebpfcore/wdk.hpp"
#include "spec/door.hpp"
#include "wire/message.hpp"

namespace ebpf::products {

class Client {
  public:
    static constexpr u32 kMaxViews = 256;  // rings that one client maps at a time

    // Null when there is no memory. PASSIVE.
    static Client* create(const spec::Door& door, bool privileged);
    static void destroy(Client* client);

    // The request of `size` bytes in `buffer` is answered there; `room` is what the reply may take.
    // Any request is answered, by an error in the reply if need be; a status other than success
    // means that not even that was possible. `used` is the reply's size. PASSIVE, in the client's
    // process.
    wdk::NtStatus exchange(std::byte* buffer, u32 size, u32 room, u64& used);

    // The client's last handle is closed: what it has mapped goes. May be called twice. PASSIVE.
    void cleanup();

  private:
    Client() = default;
    wdk::NtStatus serve(wire::Request& request, std::byte* buffer, u32 size, u32 room, u64& used);
    Result<i64> call(wire::Request& request);
    Result<i64> map_ring(const spec::Caller& caller, spec::RingMapAttr& attr);
    static Result<wire::Shape> shape_of(void* self, u32 handle);
    spec::Caller caller(spec::Dialect dialect) const { return {session_, dialect, privileged_}; }

    spec::Door door_{};
    void* session_ = nullptr;
    void* keeper_ = nullptr;  // a session of our own, whose handles keep mapped rings alive
    bool privileged_ = false;
    platform::ddk::Event turn_{};  // one request at a time: see exchange()
    platform::UserView* views_ = nullptr;
    u32 view_count_ = 0;
};

}  // namespace ebpf::products
