// SPDX-License-Identifier: MIT
#include "products/libebpfapi/remote.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "api/bpf.hpp"
#include "platform/memory.hpp"
#include "platform/system.hpp"
#include "products/service/ring_signals.hpp"
#include "runtime/map.hpp"

namespace ebpf::products {

// --- connections ---------------------------------------------------------------------------------

Result<RemoteService::Lease> RemoteService::take() const {
    service::Frame hello{.type = service::FrameType::Hello};
    {
        const std::scoped_lock lock(pool_mutex_);
        if (!idle_.empty()) {
            Lease connection = std::move(idle_.back());
            idle_.pop_back();
            return connection;
        }
        hello.secret[0] = secret_[0];
        hello.secret[1] = secret_[1];
    }
    TRY_ASSIGN(auto channel, service::Channel::connect(path_.c_str()));
    auto connection = std::make_unique<Connection>(std::move(channel));
    TRY(connection->channel.send(hello));
    TRY(connection->channel.receive(connection->packet));
    const service::Frame& answer = connection->packet.frame;
    TRY(service::error_of(answer));
    const std::scoped_lock lock(pool_mutex_);
    slots_ = answer.slots;
    open_.push_back(connection->channel.descriptor());
    if (std::memcmp(secret_, answer.secret, sizeof secret_) != 0) {
        // A new client for the daemon, perhaps a new daemon: nothing has been presented.
        std::memcpy(secret_, answer.secret, sizeof secret_);
        const std::scoped_lock objects(objects_mutex_);
        known_.clear();
        for (MappedRing& ring : rings_) ring.map = 0;
    }
    return connection;
}

void RemoteService::give_back(Lease connection) const {
    const std::scoped_lock lock(pool_mutex_);
    if (idle_.size() < kIdle) {
        idle_.push_back(std::move(connection));
    } else {
        std::erase(open_, connection->channel.descriptor());
    }
}

void RemoteService::lost(Lease connection) const {
    const std::scoped_lock lock(pool_mutex_);
    std::erase(open_, connection->channel.descriptor());
    for (const Lease& idle : idle_) std::erase(open_, idle->channel.descriptor());
    idle_.clear();  // the daemon ended: the others are as dead
}

Status RemoteService::exchange(Lease& connection, const service::Frame& frame, Bytes payload,
                               std::span<const int> descriptors) const {
    const Status sent = connection->channel.send(frame, payload, descriptors);
    if (!sent && sent.error() != Errc::RpcException) return sent;  // nothing went out
    const Status received = sent ? connection->channel.receive(connection->packet) : sent;
    if (!received) {
        lost(std::move(connection));
        return received;
    }
    if (connection->packet.lost) return fail(Errc::TooManyDescriptors, {}, "descriptors");
    return service::error_of(connection->packet.frame);
}

Result<u32> RemoteService::slots() {
    TRY_ASSIGN(Lease connection, take());
    give_back(std::move(connection));
    const std::scoped_lock lock(pool_mutex_);
    return slots_;
}

void RemoteService::before_fork() {
    pool_mutex_.lock();
    objects_mutex_.lock();
    known_.lock();
}

void RemoteService::after_fork(bool in_child) {
    if (in_child) {
        // Also those that other threads of the parent are using. Idle ones close their own.
        for (const Lease& idle : idle_) std::erase(open_, idle->channel.descriptor());
        for (const int fd : open_) ::close(fd);
        open_.clear();
        idle_.clear();
        known_.clear_locked();
        std::memset(secret_, 0, sizeof secret_);
    }
    known_.unlock();
    objects_mutex_.unlock();
    pool_mutex_.unlock();
}

// --- descriptors ---------------------------------------------------------------------------------

Result<int> RemoteService::publish(u32 handle) {
    const std::scoped_lock lock(objects_mutex_);
    const auto found = new_.find(handle);
    if (found == new_.end()) return fail(Errc::InvalidFd, {}, "handle", handle);
    const int descriptor = found->second.release();
    new_.erase(found);
    return descriptor;
}

Result<u32> RemoteService::handle(int descriptor) const {
    TRY_ASSIGN(const service::Cookie cookie, service::cookie_of(descriptor));
    if (const auto known = known_.handle(cookie, descriptor)) return *known;
    TRY_ASSIGN(Lease connection, take());
    const Status presented =
        exchange(connection, {.type = service::FrameType::Present}, {}, {{descriptor}});
    if (presented) {
        const service::Frame& answer = connection->packet.frame;
        const KnownObjects::Object object{answer.handle, cookie, answer.shape};
        give_back(std::move(connection));
        known_.learn(object);
        return object.handle;
    }
    if (connection) give_back(std::move(connection));
    return std::unexpected(presented.error());
}

void RemoteService::close(int descriptor) {
    if (const auto cookie = service::cookie_of(descriptor)) known_.closing(*cookie);
    ::close(descriptor);
}

// --- the door ------------------------------------------------------------------------------------

spec::Door RemoteService::door() {
    return {.self = this,
            .call =
                [](void* self, const spec::Caller& caller, spec::Command command, void* attr) {
                    return static_cast<RemoteService*>(self)->call(caller, command, attr);
                },
            .open_session = [](void* self) { return self; },
            .close_session = [](void*, void*) {}};
}

Result<i64> RemoteService::call(const spec::Caller& caller, spec::Command command, void* attr) {
    if (command == spec::Command::HandleShape) {
        auto& asked = *static_cast<spec::HandleShapeAttr*>(attr);
        TRY_ASSIGN(asked, known_.shape(asked.fd));
        return 0;
    }
    if (command == spec::Command::HandleClose) {  // of one that was not published
        const u32 handle = static_cast<const spec::HandleCloseAttr*>(attr)->fd;
        const std::scoped_lock lock(objects_mutex_);
        if (new_.erase(handle) != 0) return 0;
        return fail(Errc::NotSupported, {}, "closing another handle than a new one");
    }
    if (command == spec::Command::MapLookupElem) {
        return lookup(caller, *static_cast<spec::MapLookupElemAttr*>(attr));
    }
    if (command == spec::Command::RingMap) return ring_map(*static_cast<spec::RingMapAttr*>(attr));
    if (command == spec::Command::RingWait) {
        return ring_wait(caller, *static_cast<spec::RingWaitAttr*>(attr));
    }
    return send(caller, command, attr);
}

Result<i64> RemoteService::send(const spec::Caller& caller, spec::Command command, void* attr) {
    const wire::Shapes shapes{this, [](void* self, u32 handle) {
                                  return static_cast<RemoteService*>(self)->known_.shape(handle);
                              }};
    wire::Plan plan;
    TRY(wire::plan_request(command, attr, shapes, plan));
    TRY_ASSIGN(Lease connection, take());
    std::vector<std::byte>& request = connection->request;
    request.resize(plan.request_size);
    const u64 id = ids_.fetch_add(1, std::memory_order_relaxed) + 1;
    wire::write_request(plan, attr, caller.dialect, id, request);
    const Status answered = exchange(connection, {.type = service::FrameType::Call}, request, {});
    if (!answered) {
        if (connection) give_back(std::move(connection));
        return std::unexpected(answered.error());
    }
    const Result<i64> result = wire::read_reply(plan, connection->packet.payload, id, attr);
    if (result && connection->packet.count != 0) {  // a new object
        const service::Frame& answer = connection->packet.frame;
        Fd descriptor = std::move(connection->packet.descriptors[0]);
        if (const auto cookie = service::cookie_of(descriptor.get())) {
            known_.learn({answer.handle, *cookie, answer.shape});
        }
        const std::scoped_lock lock(objects_mutex_);
        new_[answer.handle] = std::move(descriptor);
    }
    if (request.capacity() > service::kMaxInline) request = {};
    give_back(std::move(connection));
    return result;
}

// --- lookups without asking ----------------------------------------------------------------------

// When the values cannot be had, the daemon is asked each time: so it is for other maps.
Result<i64> RemoteService::lookup(const spec::Caller& caller, spec::MapLookupElemAttr& attr) {
    if (const auto found = known_.lookup(attr)) {
        TRY(*found);
        return 0;
    }
    if (known_.worth_mapping(attr)) {
        if (const auto memory = pages(attr.map_fd, runtime::kLookupPart)) {
            if (auto values = ArrayValues::map(memory->file.get(), memory->size, memory->map)) {
                known_.keep_values(attr.map_fd, memory->map.id, std::move(values));
            }
        }
    }
    return send(caller, spec::Command::MapLookupElem, &attr);
}

// --- memory of maps and rings --------------------------------------------------------------------

Result<RemoteService::Pages> RemoteService::pages(u32 handle, u64 part) const {
    TRY_ASSIGN(Lease connection, take());
    const Status answered = exchange(
        connection, {.type = service::FrameType::Memory, .handle = handle, .value = part}, {}, {});
    Pages out;
    if (answered && connection->packet.count == 1) {
        const service::Frame& answer = connection->packet.frame;
        out = {std::move(connection->packet.descriptors[0]), answer.bytes,
               static_cast<u32>(answer.value), answer.shape};
    }
    if (connection) give_back(std::move(connection));
    if (!answered) return std::unexpected(answered.error());
    if (!out.file) return fail(Errc::BadFormat, {}, "answer without a descriptor");
    return out;
}

namespace {

int protection(u32 access) {
    return PROT_READ | ((access & runtime::kMemoryWrite) != 0 ? PROT_WRITE : 0);
}

}  // namespace

// The page with the consumer's position can be written, the producer's and the data only read, or,
// of a user ring buffer, the other way round; the data stands twice in a row, so that no record is
// split. A ring is mapped once for all its users.
Result<i64> RemoteService::ring_map(spec::RingMapAttr& attr) {
    TRY_ASSIGN(const wire::Shape ring, known_.shape(attr.map_fd));
    {
        const std::scoped_lock lock(objects_mutex_);
        for (MappedRing& known : rings_) {
            if (known.map != ring.id) continue;
            const u32 handle = attr.map_fd;
            attr = known.at;
            attr.map_fd = handle;
            ++known.users;
            return 0;
        }
    }
    if (attr.index != 0) return fail(Errc::InvalidArgument, {}, "index", attr.index);
    const auto consumer = pages(attr.map_fd, 0), produced = pages(attr.map_fd, 1);
    if (!consumer || !produced) {
        const Errc code = consumer ? produced.error().code : consumer.error().code;
        return fail(code == Errc::NotForThisType ? Errc::InvalidArgument : code, {},
                    "not a ring buffer");
    }
    constexpr u64 kPage = platform::kPageSize;
    if (consumer->size != kPage || produced->size <= kPage) {
        return fail(Errc::InvalidArgument, {}, "not a ring buffer");
    }
    const u64 data = produced->size - kPage;
    void* const position =
        mmap(nullptr, kPage, protection(consumer->access), MAP_SHARED, consumer->file.get(), 0);
    const int may = protection(produced->access);
    if (position == MAP_FAILED) return fail(Errc::NoMemory, {}, "mapping a ring");
    auto* const base = static_cast<std::byte*>(
        mmap(nullptr, produced->size + data, may, MAP_SHARED, produced->file.get(), 0));
    if (base == MAP_FAILED || mmap(base + produced->size, data, may, MAP_SHARED | MAP_FIXED,
                                   produced->file.get(), kPage) == MAP_FAILED) {
        if (base != MAP_FAILED) munmap(base, produced->size + data);
        munmap(position, kPage);
        return fail(Errc::NoMemory, {}, "mapping a ring");
    }
    attr.consumer = reinterpret_cast<u64>(position);
    attr.producer = reinterpret_cast<u64>(base);
    attr.data = reinterpret_cast<u64>(base + kPage);
    attr.data_size = data;
    const std::scoped_lock lock(objects_mutex_);
    rings_.push_back({.at = attr, .map = ring.id});
    return 0;
}

void RemoteService::unmap_ring(u64 consumer) {
    const std::scoped_lock lock(objects_mutex_);
    const auto found = std::ranges::find(rings_, consumer,
                                         [](const MappedRing& ring) { return ring.at.consumer; });
    if (found == rings_.end() || --found->users != 0) return;
    munmap(reinterpret_cast<void*>(found->at.consumer), platform::kPageSize);
    munmap(reinterpret_cast<void*>(found->at.producer),
           platform::kPageSize + 2 * found->at.data_size);
    rings_.erase(found);
}

// A number that is another file's by now is let alone.
void RemoteService::settle(int ring) {
    const auto cookie = service::cookie_of(ring);
    if (!cookie || !known_.handle(*cookie, ring)) return;
    service::settle(ring);
}

// The daemon makes readable what it finds ready when it is asked.
void RemoteService::announce(int ring) {
    spec::RingWaitAttr attr{.map_fd = static_cast<u32>(ring)};
    (void)api::bpf(spec::Command::RingWait, attr);
}

// The daemon lets nobody wait for long, so that a dead client's thread there ends.
Result<i64> RemoteService::ring_wait(const spec::Caller& caller, spec::RingWaitAttr& attr) {
    const u64 start = platform::monotonic_ns();
    for (;;) {
        const auto waited = static_cast<i64>((platform::monotonic_ns() - start) / 1'000'000);
        spec::RingWaitAttr part = attr;
        if (attr.timeout_ms >= 0) {
            part.timeout_ms = static_cast<i32>(std::max<i64>(attr.timeout_ms - waited, 0));
        }
        const bool last = attr.timeout_ms >= 0 && part.timeout_ms == 0;
        TRY_ASSIGN(const i64 ready, send(caller, spec::Command::RingWait, &part));
        if (ready != 0 || last) return ready;
    }
}

}  // namespace ebpf::products
