// SPDX-License-Identifier: MIT
//
// The objects that clients hold, as pairs of sockets: the client has one end for a descriptor, the
// daemon the other. When the last copy of the client's end is gone, wherever it was passed, ours
// reports EPOLLHUP and the handle is closed. So a descriptor costs the daemon one descriptor.
//
// A map that applications map (BPF_F_MMAPABLE) has the file of its pages for a descriptor instead,
// opened anew with the rights that they have, so that mmap() of it works. All of one map's are one
// token. Each opening has a shared lock (flock), which goes with its last copy and mapping; that
// some opening went, inotify tells, and that it was the last, an exclusive lock of ours.
//
// A command keeps the tokens alive that it names (shared_ptr); the door's handle is closed with the
// token, so that a handle's number is not used again before.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "products/service/channel.hpp"
#include "products/service/ring_signals.hpp"
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
    service::Cookie cookie;  // of the client's end
    wire::Shape shape{};
    Fd ours;
    // Of a map's pages: the execution context's own descriptor, and what inotify calls them.
    int pages = -1, watch = -1;

    bool is_file() const { return pages >= 0; }
};

// A map's memory as a descriptor with the rights that applications have.
Result<Fd> open_pages(const spec::MapMemoryAttr& memory);

class Tokens {
  public:
    // `caller` is the daemon's own, in whose session all handles are. At most `limit` tokens.
    Tokens(const spec::Door& door, const spec::Caller& caller, service::RingSignals& rings,
           u32 limit);
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
    // Releases what clients have closed by now, so that they see it in what they ask next.
    void release_closed();

    // The live token of a handle or of a client's end; null when there is none.
    std::shared_ptr<Token> by_handle(u32 handle);
    std::shared_ptr<Token> by_cookie(const service::Cookie& cookie);

    u64 size();

  private:
    Result<Published> publish_socket(std::shared_ptr<Token> token);
    Result<Published> publish_file(std::shared_ptr<Token> token, const spec::MapMemoryAttr& pages);
    void announce_ring(const Token& token);
    void watch();
    void forget(const service::Cookie& cookie);
    void unlist(const Token& token);  // under the lock
    // Reads which files had an opening closed, and looks which of them had their last; what is not
    // done after `looks` looks is taken for open.
    void read_closings();
    void release_files(u32 looks);

    const spec::Door& door_;
    const spec::Caller& caller_;
    service::RingSignals& rings_;
    u32 limit_;
    Fd epoll_, wake_, inotify_;
    std::thread thread_;
    std::mutex mutex_;
    std::map<service::Cookie, std::shared_ptr<Token>> by_cookie_;
    std::unordered_map<u32, std::shared_ptr<Token>> by_handle_;
    std::unordered_map<int, service::Cookie> by_watch_;
    // Files to look at, and how often that was done in vain: a closing is told a little before its
    // lock goes.
    std::map<service::Cookie, u32> closed_;
};

}  // namespace ebpf::ebpfsvc
