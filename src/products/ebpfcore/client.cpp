// SPDX-License-Identifier: MIT
#include "products/ebpfcore/client.hpp"

#include <cstring>
#include <new>

#include "products/ebpfcore/device.hpp"

namespace ebpf::products {
namespace {

using platform::ddk::KeInitializeEvent;
using platform::ddk::KeSetEvent;
using platform::ddk::KeWaitForSingleObject;

// Memory of the pool for a scope.
class Block {
  public:
    explicit Block(std::size_t size) : memory_(platform::allocate(size)) {}
    ~Block() { platform::release(memory_); }
    Block(const Block&) = delete;
    Block& operator=(const Block&) = delete;
    void* get() const { return memory_; }

  private:
    void* memory_;
};

// A client's turn. The thread must not be suspended in it, or it would hold up the others.
class [[nodiscard]] Turn {
  public:
    explicit Turn(platform::ddk::Event& event) : event_(event) {
        wdk::KeEnterCriticalRegion();
        KeWaitForSingleObject(&event_, platform::ddk::kExecutive, platform::ddk::kKernelMode, 0,
                              nullptr);
    }
    ~Turn() {
        KeSetEvent(&event_, 0, 0);
        wdk::KeLeaveCriticalRegion();
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

  private:
    platform::ddk::Event& event_;
};

}  // namespace

Client* Client::create(const spec::Door& door, bool privileged) {
    void* memory = platform::allocate(sizeof(Client));
    if (memory == nullptr) return nullptr;
    auto* client = new (memory) Client;
    client->door_ = door;
    client->privileged_ = privileged;
    KeInitializeEvent(&client->turn_, wdk::kSynchronizationEvent, 1);
    client->session_ = door.open_session(door.self);
    client->keeper_ = door.open_session(door.self);
    if (client->session_ != nullptr && client->keeper_ != nullptr) return client;
    destroy(client);
    return nullptr;
}

void Client::destroy(Client* client) {
    client->cleanup();
    if (client->session_ != nullptr)
        client->door_.close_session(client->door_.self, client->session_);
    if (client->keeper_ != nullptr)
        client->door_.close_session(client->door_.self, client->keeper_);
    client->~Client();
    platform::release(client);
}

void Client::cleanup() {
    const Turn turn(turn_);
    while (view_count_ != 0) platform::unmap_for_user(views_[--view_count_]);
    platform::release(views_);
    views_ = nullptr;
}

wdk::NtStatus Client::exchange(std::byte* buffer, u32 size, u32 room, u64& used) {
    used = 0;
    if (room < sizeof(wire::Header) || buffer == nullptr) return wdk::kBufferTooSmall;
    const Block memory(sizeof(wire::Request));
    if (memory.get() == nullptr) return wdk::kInsufficientResources;
    auto& request = *new (memory.get()) wire::Request;

    // Between decode() and finish() the handles that the request names must stay what they are, so
    // a client has one request at a time; but a wait for a ring, which has no buffers, is none.
    const auto asked = wire::read_header({buffer, size}, wire::Kind::Request);
    if (asked && asked->command == static_cast<u32>(spec::Command::RingWait)) {
        return serve(request, buffer, size, room, used);
    }
    const Turn turn(turn_);
    return serve(request, buffer, size, room, used);
}

wdk::NtStatus Client::serve(wire::Request& request, std::byte* buffer, u32 size, u32 room,
                            u64& used) {
    const auto refuse = [&](const Error& error) {
        used = wire::refuse({buffer, size}, error, {buffer, room});
        return wdk::kSuccess;
    };
    const wire::Shapes shapes{this, &Client::shape_of};
    if (const Status read = wire::decode({buffer, size}, shapes, request); !read) {
        return refuse(read.error());
    }
    const u32 reply_size = request.plan.reply_size;
    if (room < reply_size) return wdk::kBufferTooSmall;  // before anything is done
    const Block reply(reply_size);
    if (reply.get() == nullptr) return refuse(Error{.code = Errc::NoMemory});
    const MutableBytes out{static_cast<std::byte*>(reply.get()), reply_size};
    wire::bind_pointers(request, {buffer, size}, out);
    const Result<i64> result = call(request);
    used = wire::finish(request, result, out);
    std::memcpy(buffer, out.data(), used);
    return wdk::kSuccess;
}

Result<i64> Client::call(wire::Request& request) {
    const spec::Caller who = caller(static_cast<spec::Dialect>(request.header.dialect));
    const spec::Command command = request.plan.command->command;
    void* const attr = request.attr.data();
    if (command == spec::Command::RingMap) {
        return map_ring(who, *static_cast<spec::RingMapAttr*>(attr));
    }
    if (command == spec::Command::RingWait) {
        auto& wait = *static_cast<spec::RingWaitAttr*>(attr);
        if (wait.timeout_ms < 0 || wait.timeout_ms > device::kMaxWaitMs) {
            wait.timeout_ms = device::kMaxWaitMs;
        }
    }
    return door_(who, command, attr);
}

// The execution context answers with its own addresses; the client gets those of its process.
Result<i64> Client::map_ring(const spec::Caller& who, spec::RingMapAttr& attr) {
    spec::RingMapAttr ours = attr;
    TRY(door_(who, spec::Command::RingMap, &ours));
    if (view_count_ == kMaxViews) return fail(Errc::OutOfSpace, {}, "mapped rings", kMaxViews);
    if (views_ == nullptr) {
        views_ = static_cast<platform::UserView*>(
            platform::allocate(kMaxViews * sizeof(platform::UserView)));
        if (views_ == nullptr) return fail(Errc::NoMemory, {}, "mapped rings");
    }
    spec::HandleShapeAttr shape{.fd = attr.map_fd};
    TRY(door_(who, spec::Command::HandleShape, &shape));
    spec::MapGetFdByIdAttr keep{.map_id = shape.id};
    TRY_ASSIGN(const i64 kept,
               door_({keeper_, who.dialect, true}, spec::Command::MapGetFdById, &keep));
    const platform::RingMemory ring{
        reinterpret_cast<std::byte*>(ours.consumer) - platform::kPageSize, ours.data_size};
    const Result<platform::UserView> view = platform::map_for_user(ring);
    if (!view) {
        spec::HandleCloseAttr close{.fd = static_cast<u32>(kept)};
        (void)door_({keeper_, who.dialect, true}, spec::Command::HandleClose, &close);
        return std::unexpected(view.error());
    }
    views_[view_count_++] = *view;
    attr.consumer = reinterpret_cast<u64>(view->consumer);
    attr.producer = reinterpret_cast<u64>(view->producer);
    attr.data = reinterpret_cast<u64>(view->data());
    attr.data_size = ours.data_size;
    return 0;
}

Result<wire::Shape> Client::shape_of(void* self, u32 handle) {
    const auto& client = *static_cast<Client*>(self);
    wire::Shape shape{.fd = handle};
    TRY(client.door_(client.caller({}), spec::Command::HandleShape, &shape));
    return shape;
}

}  // namespace ebpf::products
