// SPDX-License-Identifier: MIT
#include "products/ebpfsvc/connection.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "api/prog_load.hpp"
#include "spec/map_types.hpp"
#include "wire/translate.hpp"

namespace ebpf::ebpfsvc {
namespace {

constexpr u64 kMaxLarge = 512ull << 20;  // of all connections' large messages together
constexpr i32 kMaxWaitMs = 200;          // of RING_WAIT; who waits longer asks again
constexpr size_t kKeep = 1u << 20;

// A part of what large messages may take together.
class Share {
  public:
    explicit Share(std::atomic<u64>& used) : used_(used) {}
    ~Share() { used_.fetch_sub(mine_); }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

    Status add(u64 bytes) {
        if (bytes <= service::kMaxInline) return {};
        mine_ += bytes;
        if (used_.fetch_add(bytes) + bytes <= kMaxLarge) return {};
        return fail(Errc::NoMemory, {}, "large messages", bytes);
    }

  private:
    std::atomic<u64>& used_;
    u64 mine_ = 0;
};

// Whether the peer still waits for its answer.
bool is_there(const void* descriptor) {
    pollfd peer{*static_cast<const int*>(descriptor), POLLRDHUP, 0};
    return poll(&peer, 1, 0) == 0;
}

wire::Shapes shapes_of(Held& held) {
    return {&held, [](void* self, u32 handle) -> Result<wire::Shape> {
                TRY_ASSIGN(const auto token, static_cast<const Held*>(self)->token(handle));
                return token->shape;
            }};
}

u64 open_files() {
    u64 count = 0;
    DIR* const folder = opendir("/proc/self/fd");
    if (folder == nullptr) return 0;
    while (readdir(folder) != nullptr) ++count;
    closedir(folder);
    return count - 3;  // ".", ".." and the folder's own
}

// A number of /proc/self/status, e.g. "VmRSS:".
u64 process_figure(const char* name) {
    std::FILE* const file = std::fopen("/proc/self/status", "re");
    if (file == nullptr) return 0;
    unsigned long long value = 0;
    char line[256];
    while (std::fgets(line, sizeof line, file) != nullptr) {
        if (std::strncmp(line, name, std::strlen(name)) == 0) {
            (void)std::sscanf(line + std::strlen(name), "%llu", &value);
        }
    }
    std::fclose(file);
    return value;
}

}  // namespace

void Connection::run() {
    service::Packet packet;
    for (;;) {
        Share share(shared_.large);
        const Status received = channel_.receive(
            packet,
            {&share, [](void* self, u64 bytes) { return static_cast<Share*>(self)->add(bytes); }});
        Answer out;
        if (received) {
            if (auto answered = answer(packet)) {
                out = std::move(*answered);
            } else {
                service::set_error(out.frame, answered.error());
            }
        } else {
            service::set_error(out.frame, received.error());
        }
        const bool over = !received && (received.error() == Errc::RpcException ||
                                        received.error() == Errc::Truncated ||
                                        received.error() == Errc::BadMagic);
        if (!received && received.error() == Errc::RpcException) return;
        out.frame.type = packet.frame.type;
        shared_.served.fetch_add(1, std::memory_order_relaxed);
        const int given = out.descriptor.get();
        const Status sent =
            channel_.send(out.frame, out.payload, std::span<const int>(&given, given >= 0 ? 1 : 0));
        if (over || (!sent && sent.error() == Errc::RpcException)) return;
        if (sent) continue;
        // No descriptors or memory for the answer: that much can be said without.
        Answer short_of;
        short_of.frame.type = packet.frame.type;
        service::set_error(short_of.frame, sent.error());
        if (!channel_.send(short_of.frame)) return;
    }
}

Result<Connection::Answer> Connection::answer(service::Packet& packet) {
    if (packet.frame.type == service::FrameType::Hello) return hello(packet.frame);
    if (!client_) return fail(Errc::InvalidState, {}, "a connection begins with Hello");
    if (packet.lost) return fail(Errc::TooManyDescriptors, {}, "descriptors of the service");
    switch (packet.frame.type) {
        case service::FrameType::Hello:
            break;
        case service::FrameType::Present:
            return present(packet);
        case service::FrameType::Call:
            return call(packet);
        case service::FrameType::Memory:
            return memory(packet.frame);
        case service::FrameType::Status:
            return status();
    }
    return fail(Errc::NotSupported, {}, "packet", static_cast<u64>(packet.frame.type));
}

Result<Connection::Answer> Connection::hello(const service::Frame& frame) {
    if (client_) return fail(Errc::InvalidState, {}, "a second Hello");
    TRY_ASSIGN(const Peer peer, peer_of(channel_.descriptor(), shared_.group));
    Clients::Secret secret{frame.secret[0], frame.secret[1]};
    client_ = shared_.clients.join(peer, secret);
    Answer out;
    out.frame.slots = shared_.context.slots();
    out.frame.secret[0] = secret[0];
    out.frame.secret[1] = secret[1];
    return out;
}

Result<Connection::Answer> Connection::present(service::Packet& packet) {
    if (packet.count != 1) return fail(Errc::BadFormat, {}, "descriptors", packet.count);
    TRY_ASSIGN(const service::Cookie cookie, service::cookie_of(packet.descriptors[0].get()));
    const auto token = shared_.tokens.by_cookie(cookie);
    if (!token) return fail(Errc::InvalidArgument, {}, "a descriptor of nothing of ours");
    client_->grant(*token);
    Answer out;
    out.frame.handle = token->handle;
    out.frame.shape = token->shape;
    return out;
}

// --- commands ------------------------------------------------------------------------------------

Result<Connection::Answer> Connection::call(service::Packet& packet) {
    Answer out;
    Held held(shared_.tokens, *client_);
    const auto refuse = [&](const Error& error) {
        reply_.resize(sizeof(wire::Header));
        out.payload = Bytes(reply_).first(wire::refuse(packet.payload, error, reply_));
        return std::move(out);
    };
    auto request = std::make_unique<wire::Request>();
    if (const auto read = wire::decode(packet.payload, shapes_of(held), *request); !read) {
        return refuse(read.error());
    }
    const spec::CommandInfo& command = *request->plan.command;
    if (command.access == spec::Access::Privileged ||
        (command.access == spec::Access::Operator && !client_->peer.is_operator)) {
        return refuse(Error{.code = Errc::AccessDenied, .what = command.name});
    }
    // What a client closed before is gone for its next question, as on Linux.
    if (command.access == spec::Access::Operator) shared_.tokens.release_closed();
    Share share(shared_.large);
    const u32 size = request->plan.reply_size;
    if (const auto room = share.add(size); !room) return refuse(room.error());
    if (reply_.size() < size || reply_.size() > kKeep) reply_ = std::vector<std::byte>(size);
    const MutableBytes reply = MutableBytes(reply_).first(size);
    wire::bind_pointers(*request, packet.payload, reply);
    const Result<i64> result = hand_over(carry_out(*request, held), *request, out);
    out.payload = reply.first(wire::finish(*request, result, reply));
    return out;
}

Result<i64> Connection::carry_out(wire::Request& request, Held& held) {
    check_handles(request, held);
    spec::Caller caller = shared_.context.caller();
    caller.dialect = static_cast<spec::Dialect>(request.header.dialect);
    const int peer = channel_.descriptor();
    caller.waits = {&peer, &is_there};
    if (client_->peer.is_operator) caller.inside = spec::Inside::Addresses;
    void* const attr = request.attr.data();
    switch (request.plan.command->command) {
        case spec::Command::ProgLoad: {
            api::Session session{.door = shared_.context.door(),
                                 .caller = caller,
                                 .service = &shared_.context.service(),
                                 .descriptors = &held,
                                 .possible_cpus = shared_.context.slots()};
            return api::prog_load(session, *static_cast<spec::ProgLoadAttr*>(attr));
        }
        case spec::Command::RingWait: {
            auto& wait = *static_cast<spec::RingWaitAttr*>(attr);
            if (wait.timeout_ms < 0 || wait.timeout_ms > kMaxWaitMs) wait.timeout_ms = kMaxWaitMs;
            const auto ready = shared_.context.door()(caller, spec::Command::RingWait, attr);
            const auto ring = held.token(wait.map_fd);
            if (ready && *ready == 1 && ring) shared_.context.rings().ready((*ring)->shape.id);
            return ready;
        }
        case spec::Command::MapFreeze:
            TRY(may_freeze(request, held));
            break;
        case spec::Command::RingMap:  // the packet Memory gives the pages
        case spec::Command::HandleClose:
        case spec::Command::HandleDuplicate:  // descriptors are closed and duplicated as such
            return fail(Errc::NotSupported, {}, request.plan.command->name);
        default:
            break;
    }
    return shared_.context.door()(caller, request.plan.command->command, attr);
}

// Who has a map's pages mapped for writing is seen of the daemon's own process only: what clients
// may have mapped so is not frozen. What programs only read never is (see map_array.cpp), so that a
// frozen map of theirs is constant.
Status Connection::may_freeze(const wire::Request& request, const Held& held) {
    const u32 handle = reinterpret_cast<const spec::MapFreezeAttr*>(request.attr.data())->map_fd;
    const auto map = held.token(handle);
    if (!map || !spec::is_mapped_writable((*map)->shape.map_flags)) return {};
    return fail(Errc::Busy, {}, "freezing a map that clients may have mapped for writing");
}

// A handle that the client may not name becomes none, which the execution context refuses where
// Linux looks at the descriptor; the others stay open from here on. Those in PROG_LOAD's
// instructions are looked up when it is carried out.
void Connection::check_handles(wire::Request& request, Held& held) {
    const spec::CommandInfo& command = *request.plan.command;
    void* const attr = request.attr.data();
    const wire::Descriptors checked{&held, [](void* self, i32 number) {
                                        return static_cast<const Held*>(self)->handle(number);
                                    }};
    wire::translate_fields(command, attr, checked);
    const auto map = held.token(wire::map_handle(command, attr));
    if (!map || !wire::may_have_handles(command)) return;
    // The values lie in the message, whose size was checked.
    const u64 count = wire::values_with_handles(command, attr, (*map)->shape);
    std::vector<u32> values(count);
    wire::translate_values(command, attr, values, checked);
    held.keep(std::move(values));
}

// A new handle becomes a descriptor of the client.
Result<i64> Connection::hand_over(Result<i64> result, const wire::Request& request, Answer& out) {
    if (!result || !spec::is_handle(request.plan.command->command, *result)) return result;
    TRY_ASSIGN(auto published, shared_.tokens.publish(static_cast<u32>(*result)));
    client_->grant(*published.token);
    out.frame.handle = published.token->handle;
    out.frame.shape = published.token->shape;
    out.descriptor = std::move(published.theirs);
    return i64{out.frame.handle};  // another one where a file's token was there already
}

// --- memory and figures --------------------------------------------------------------------------

// The pages are opened anew with the rights that applications have; the execution context keeps its
// own descriptor.
Result<Connection::Answer> Connection::memory(const service::Frame& frame) {
    const Held held(shared_.tokens, *client_);
    TRY_ASSIGN(const auto token, held.token(frame.handle));
    if (token->is_file()) return fail(Errc::NotSupported, {}, "the descriptor is the memory");
    spec::Caller daemon = shared_.context.caller();
    daemon.privileged = true;
    spec::MapMemoryAttr memory{.map_fd = token->handle, .part = static_cast<u32>(frame.value)};
    TRY(shared_.context.door()(daemon, spec::Command::MapMemory, &memory));
    Answer out;
    TRY_ASSIGN(out.descriptor, open_pages(memory));
    out.frame.shape = token->shape;
    out.frame.bytes = memory.size;
    out.frame.value = memory.access;
    return out;
}

Result<Connection::Answer> Connection::status() {
    if (!client_->peer.is_operator) return fail(Errc::AccessDenied, {}, "status");
    status_ = {};
    shared_.context.count(status_);
    status_.descriptors = shared_.tokens.size();
    status_.clients = shared_.clients.size();
    status_.connections = shared_.connections.load();
    status_.served = shared_.served.load();
    status_.open_files = open_files();
    status_.resident_kib = process_figure("VmRSS:");
    status_.threads = process_figure("Threads:");
    Answer out;
    out.payload = Bytes(reinterpret_cast<const std::byte*>(&status_), sizeof status_);
    return out;
}

}  // namespace ebpf::ebpfsvc
