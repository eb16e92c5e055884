// SPDX-License-Identifier: MIT
#include "products/ebpfsvc/server.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>
#include <system_error>

namespace ebpf::ebpfsvc {
namespace {

std::unexpected<Error> fail_errno(const char* what) {
    const bool forbidden = errno == EACCES || errno == EPERM;
    return fail(forbidden ? Errc::AccessDenied : Errc::IoError, {}, what, static_cast<u64>(errno));
}

}  // namespace

Server::Server(Shared& shared, const ServerOptions& options)
    : shared_(shared), options_(options), lock_path_(options.path + ".lock") {}

Server::~Server() {
    reap(true);
    if (bound_) (void)unlink(options_.path.c_str());
    if (lock_) (void)unlink(lock_path_.c_str());
}

// The lock lives as long as the process. Who gets it makes sure that the file is still the one at
// the path: the daemon before removes it at its end.
Status Server::lock_path() {
    for (;;) {
        Fd file(open(lock_path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
        if (!file) return fail_errno("lock file beside the socket: errno");
        if (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
            if (errno == EWOULDBLOCK) {
                return fail(Errc::AlreadyInitialized, {}, "another ebpfsvc serves this path");
            }
            return fail_errno("lock file beside the socket: errno");
        }
        struct stat ours{}, there{};
        if (fstat(file.get(), &ours) == 0 && stat(lock_path_.c_str(), &there) == 0 &&
            ours.st_ino == there.st_ino && ours.st_dev == there.st_dev) {
            lock_ = std::move(file);
            return {};
        }
    }
}

Status Server::bind_path() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (options_.path.size() >= sizeof address.sun_path) {
        return fail(Errc::NameTooLong, {}, "path of the socket", options_.path.size());
    }
    std::memcpy(address.sun_path, options_.path.c_str(), options_.path.size());
    struct stat status{};
    if (lstat(options_.path.c_str(), &status) == 0) {
        if (!S_ISSOCK(status.st_mode)) {
            return fail(Errc::ObjectAlreadyExists, {}, "something else at the path");
        }
        if (service::Channel::connect(options_.path.c_str())) {
            return fail(Errc::AlreadyInitialized, {}, "another ebpfsvc serves this path");
        }
        if (unlink(options_.path.c_str()) != 0) return fail_errno("removing a stale socket: errno");
    }
    listener_ = Fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!listener_) return fail_errno("socket: errno");
    const mode_t before = umask(0177);
    const int bound =
        bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    const int number = errno;
    umask(before);
    errno = number;
    if (bound != 0) return fail_errno("binding the socket: errno");
    bound_ = true;
    const bool group = options_.group != static_cast<gid_t>(-1);
    if (group && chown(options_.path.c_str(), static_cast<uid_t>(-1), options_.group) != 0) {
        return fail_errno("group of the socket: errno");
    }
    const mode_t mode = options_.everybody ? 0666 : group ? 0660 : 0600;
    if (chmod(options_.path.c_str(), mode) != 0) return fail_errno("mode of the socket: errno");
    if (::listen(listener_.get(), 128) != 0) return fail_errno("listening: errno");
    return {};
}

Status Server::listen() {
    TRY(lock_path());
    TRY(bind_path());
    spare_ = Fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
    return {};
}

void Server::run(int stop_event) {
    for (;;) {
        pollfd wanted[2] = {{stop_event, POLLIN, 0}, {listener_.get(), POLLIN, 0}};
        if (poll(wanted, 2, -1) < 0) continue;
        if (wanted[0].revents != 0) break;
        if (wanted[1].revents != 0) accept_one();
        reap(false);
    }
    listener_ = Fd();
    shared_.context.stop();
    reap(true);
}

void Server::accept_one() {
    Fd socket(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!socket) {
        if (errno == EMFILE || errno == ENFILE) refuse_one();
        return;
    }
    if (threads_.size() >= options_.max_connections) reap(false);
    if (threads_.size() >= options_.max_connections) return;  // closed: the client sees the end
    try {
        Thread& made = threads_.emplace_back();
        made.connection = std::make_unique<Connection>(shared_, std::move(socket));
        shared_.connections.fetch_add(1);
        made.thread = std::thread([this, &made] {
            // A client that asks for more memory than there is loses its connection; nobody else.
            try {
                made.connection->run();
            } catch (const std::bad_alloc&) {
                std::fputs("ebpfsvc: out of memory; a connection ends\n", stderr);
            }
            // The peer must see the end now; the descriptor is closed when the thread is reaped.
            (void)shutdown(made.connection->descriptor(), SHUT_RDWR);
            shared_.connections.fetch_sub(1);
            made.ended.store(true);
        });
    } catch (const std::system_error&) {  // no more threads
        shared_.connections.fetch_sub(1);
        threads_.pop_back();
    }
}

// No descriptor is left for who waits at the door; he is taken with the spare one and sent away,
// so that he does not wait and we do not spin.
void Server::refuse_one() {
    spare_ = Fd();
    {
        const Fd refused(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    }
    spare_ = Fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
}

void Server::reap(bool all) {
    for (auto at = threads_.begin(); at != threads_.end();) {
        if (all) (void)shutdown(at->connection->descriptor(), SHUT_RDWR);
        if (!all && !at->ended.load()) {
            ++at;
            continue;
        }
        at->thread.join();
        at = threads_.erase(at);
    }
}

}  // namespace ebpf::ebpfsvc
