// SPDX-License-Identifier: MIT
//
// Who asks. A client is a process, which may have several connections; what it was given or has
// presented is all that its messages may name. Whom the socket's peer credentials name as root, as
// the daemon's own user or as a member of its group is an operator; others may do what commands.def
// does not reserve.
#pragma once

#include <sys/types.h>

#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "api/descriptors.hpp"
#include "products/ebpfsvc/tokens.hpp"

namespace ebpf::ebpfsvc {

struct Peer {
    uid_t uid = 0;
    bool is_operator = false;
};
// Of the process that connected. `group` is the one whose members are operators; -1: none.
Result<Peer> peer_of(int socket, gid_t group);

class Client {
  public:
    explicit Client(const Peer& its_peer) : peer(its_peer) {}

    void grant(const Token& token);
    bool may_use(const Token& token);

    const Peer peer;

  private:
    std::mutex mutex_;
    std::unordered_map<u32, service::Cookie> granted_;  // handle -> cookie of the token it meant
};

// Clients by the secrets that connections of one process share.
class Clients {
  public:
    using Secret = std::array<u64, 2>;
    // The client with this secret if it is the same user's, else a new one, whose secret is
    // written.
    std::shared_ptr<Client> join(const Peer& peer, Secret& secret);
    u64 size();

  private:
    std::mutex mutex_;
    std::map<Secret, std::weak_ptr<Client>> all_;
};

// The tokens that one command uses: they stay alive as long as this.
class Held : public api::Descriptors {
  public:
    Held(Tokens& tokens, Client& client) : tokens_(tokens), client_(client) {}

    // The token of a handle that the client may name. InvalidFd.
    Result<std::shared_ptr<Token>> token(u32 handle) const;

    // Handles that an attribute points to, for as long as this lives.
    void keep(std::vector<u32> values) { values_ = std::move(values); }

    // For api/'s PROG_LOAD: here descriptors are handles already.
    Result<int> publish(u32) override { return fail(Errc::InvalidState, {}, "publish"); }
    Result<u32> handle(int descriptor) const override;
    void close(int) override {}
    void sweep() override {}

  private:
    Tokens& tokens_;
    Client& client_;
    mutable std::unordered_map<u32, std::shared_ptr<Token>> held_;
    std::vector<u32> values_;
};

}  // namespace ebpf::ebpfsvc
