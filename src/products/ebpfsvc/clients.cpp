// SPDX-License-Identifier: MIT
#include "products/ebpfsvc/clients.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "platform/system.hpp"

namespace ebpf::ebpfsvc {

Result<Peer> peer_of(int socket, gid_t group) {
    ucred credentials{};
    socklen_t size = sizeof credentials;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
        return fail(Errc::AccessDenied, {}, "peer without credentials");
    }
    Peer peer{.uid = credentials.uid,
              .is_operator = credentials.uid == 0 || credentials.uid == geteuid()};
    if (peer.is_operator || group == static_cast<gid_t>(-1)) return peer;
    std::vector<gid_t> groups(256);
    size = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
    if (getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size) != 0 &&
        size > groups.size() * sizeof(gid_t)) {
        groups.resize(size / sizeof(gid_t));
        if (getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size) != 0) size = 0;
    }
    groups.resize(std::min<size_t>(groups.size(), size / sizeof(gid_t)));
    groups.push_back(credentials.gid);
    peer.is_operator = std::find(groups.begin(), groups.end(), group) != groups.end();
    return peer;
}

void Client::grant(const Token& token) {
    const std::scoped_lock lock(mutex_);
    granted_[token.handle] = token.cookie;
}

bool Client::may_use(const Token& token) {
    const std::scoped_lock lock(mutex_);
    const auto found = granted_.find(token.handle);
    return found != granted_.end() && found->second == token.cookie;
}

std::shared_ptr<Client> Clients::join(const Peer& peer, Secret& secret) {
    const std::scoped_lock lock(mutex_);
    std::erase_if(all_, [](const auto& entry) { return entry.second.expired(); });
    if (const auto found = all_.find(secret); found != all_.end()) {
        auto client = found->second.lock();
        if (client && client->peer.uid == peer.uid) return client;
    }
    platform::fill_random({reinterpret_cast<std::byte*>(secret.data()), sizeof secret});
    auto client = std::make_shared<Client>(peer);
    all_[secret] = client;
    return client;
}

u64 Clients::size() {
    const std::scoped_lock lock(mutex_);
    std::erase_if(all_, [](const auto& entry) { return entry.second.expired(); });
    return all_.size();
}

Result<std::shared_ptr<Token>> Held::token(u32 handle) const {
    if (const auto found = held_.find(handle); found != held_.end()) return found->second;
    auto token = tokens_.by_handle(handle);
    if (!token || !client_.may_use(*token)) return fail(Errc::InvalidFd, {}, "handle", handle);
    held_[handle] = token;
    return token;
}

// What the client's library said of a descriptor that is none of ours is said on.
Result<u32> Held::handle(int descriptor) const {
    const auto number = static_cast<u32>(descriptor);
    if (number == spec::kForeignHandle) return fail(Errc::InvalidArgument, {}, "descriptor");
    TRY_ASSIGN(const auto held, token(number));
    return held->handle;
}

}  // namespace ebpf::ebpfsvc
