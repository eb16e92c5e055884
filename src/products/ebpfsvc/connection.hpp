// SPDX-License-Identifier: MIT
//
// One connection, served by a thread of its own: so a client that is slow, silent or busy with a
// long command holds up nobody else.
#pragma once

#include "products/ebpfsvc/clients.hpp"
#include "products/ebpfsvc/context.hpp"

namespace ebpf::ebpfsvc {

// What all connections share.
struct Shared {
    Context& context;
    Tokens& tokens;
    Clients& clients;
    gid_t group;
    std::atomic<u64> connections{0};
    std::atomic<u64> served{0};
    std::atomic<u64> large{0};  // bytes of requests and replies above kMaxInline, now
};

class Connection {
  public:
    Connection(Shared& shared, Fd socket) : shared_(shared), channel_(std::move(socket)) {}

    // Serves until the peer goes or breaks the protocol.
    void run();
    int descriptor() const { return channel_.descriptor(); }

  private:
    struct Answer {
        service::Frame frame{};
        Bytes payload;
        Fd descriptor;
    };
    Result<Answer> answer(service::Packet& packet);
    Result<Answer> hello(const service::Frame& frame);
    Result<Answer> present(service::Packet& packet);
    Result<Answer> call(service::Packet& packet);
    Result<Answer> memory(const service::Frame& frame);
    Result<Answer> status();

    Result<i64> carry_out(wire::Request& request, Held& held);
    static Status may_freeze(const wire::Request& request, const Held& held);
    static void check_handles(wire::Request& request, Held& held);
    Result<i64> hand_over(Result<i64> result, const wire::Request& request, Answer& answer);

    Shared& shared_;
    service::Channel channel_;
    std::shared_ptr<Client> client_;
    std::vector<std::byte> reply_;
    service::Figures status_{};
};

}  // namespace ebpf::ebpfsvc
