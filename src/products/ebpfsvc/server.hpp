// SPDX-License-Identifier: MIT
//
// The daemon's socket and who is connected. A path belongs to one daemon: a lock file beside the
// socket says whose it is, so that a socket that a dead one left is replaced and a living one's is
// not.
#pragma once

#include <list>
#include <string>

#include "products/ebpfsvc/connection.hpp"

namespace ebpf::ebpfsvc {

struct ServerOptions {
    std::string path = service::kDefaultPath;
    gid_t group = static_cast<gid_t>(-1);  // whose members may administrate; -1: none
    bool everybody = false;                // may connect; else root, the daemon's user, the group
    u32 max_connections = 1024;
};

class Server {
  public:
    Server(Shared& shared, const ServerOptions& options);
    ~Server();

    // Takes the path and listens. Errors: AlreadyInitialized (another daemon serves it),
    // AccessDenied, NameTooLong, IoError with errno's value; ObjectAlreadyExists when something
    // that is no socket is there.
    Status listen();
    // Serves until `stop_event` is readable (a signalfd).
    void run(int stop_event);

  private:
    struct Thread {
        std::unique_ptr<Connection> connection;
        std::thread thread;
        std::atomic<bool> ended{false};
    };

    Status lock_path();
    Status bind_path();
    void accept_one();
    void refuse_one();
    void reap(bool all);

    Shared& shared_;
    ServerOptions options_;
    std::string lock_path_;
    Fd lock_, listener_, spare_;
    bool bound_ = false;
    std::list<Thread> threads_;
};

}  // namespace ebpf::ebpfsvc
