// SPDX-License-Identifier: MIT
//
// The objects that clients hold, as pairs of sockets: the client has one end for a descriptor, the
// daemon the other. When the last copy of the client's end is gone, wherever it was passed, ours
// reports EPOLLHUP and the handle is closed. So a descriptor costs the daemon one descriptor.
//
// A command keeps the tokens alive that it names (shared_ptr); the door's handle is closed with the
// token, so that a handle's number is not used again before.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "products/service/channel.hpp"
#include "spec/door.hpp"

namespace ebpf::ebpfsvc {

using products::Fd;

struct Token {
    Token(const spec::Door& its_door, const spec::Caller& its_caller, u32 its_handle)
        : door(its_door), caller(its_caller), handle(its_handle) {}
    ~Token();
    Token(const Token&) = delete;
    Token& operator=(const Token&) = delete;

    const spec::Door& door;
    const spec::Caller& caller;
    u32 handle;
    u64 cookie = 0;  // of the client's end
    wire::Shape shape{};
    Fd ours;
};

class Tokens {
  public:
    // `caller` is the daemon's own, in whose session all handles are. At most `limit` tokens.
    Tokens(const spec::Door& door, const spec::Caller& caller, u32 limit);
    ~Tokens();
    // Begins to watch. NoMemory, TooManyDescriptors.
    Status start();
    // Ends watching and releases all tokens.
    void stop();

    struct Published {
        std::shared_ptr<Token> token;
        Fd theirs;
    };
    // A token for `handle`, which it owns from now on, also when this fails. TooManyDescriptors.
    Result<Published> publish(u32 handle);

    // The live token of a handle or of a client's end; null when there is none.
    std::shared_ptr<Token> by_handle(u32 handle);
    std::shared_ptr<Token> by_cookie(u64 cookie);

    u64 size();

  private:
    void watch();
    void forget(u64 cookie);

    const spec::Door& door_;
    const spec::Caller& caller_;
    u32 limit_;
    Fd epoll_, wake_;
    std::thread thread_;
    std::mutex mutex_;
    std::unordered_map<u64, std::shared_ptr<Token>> by_cookie_;
    std::unordered_map<u32, std::shared_ptr<Token>> by_handle_;
};

}  // namespace ebpf::ebpfsvc
