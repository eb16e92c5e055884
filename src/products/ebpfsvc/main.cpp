// SPDX-License-Identifier: MIT
//
// ebpfsvc: the execution context as a daemon on Linux. Clients (libebpfapi with EBPF_SERVICE=PATH,
// bpftool) share its programs, maps, links and pins over a Unix socket. It stays in the foreground
// and ends on SIGTERM or SIGINT; systemd is told when it serves (Type=notify).
#include <fmt/format.h>
#include <grp.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "products/compile_child/child.hpp"
#include "products/ebpfsvc/server.hpp"

namespace {

using namespace ebpf;

struct Options {
    ebpfsvc::ServerOptions server;
    std::string group;
    compile_child::PoolOptions compiling;
    u32 compile_seconds = 60;
    bool live = true;
    bool status = false;
};

Options parse(CLI::App& app, int argc, char** argv) {
    Options options;
    bool no_live = false;
    app.add_option("--socket", options.server.path, "path of the socket")->capture_default_str();
    app.add_option("--group", options.group,
                   "group whose members may connect and administrate, like root");
    app.add_flag("--everybody", options.server.everybody,
                 "let everybody connect; who is not of the group may use what he was passed");
    app.add_option("--max-connections", options.server.max_connections, "connections at a time")
        ->check(CLI::Range(1, 100000))
        ->capture_default_str();
    app.add_option("--compile-children", options.compiling.children,
                   "processes that verify and compile, each one program at a time (0: one per CPU)")
        ->check(CLI::Range(0, 1024));
    app.add_option("--compile-seconds", options.compile_seconds,
                   "how long verifying and compiling one program may take")
        ->check(CLI::Range(1, 3600))
        ->capture_default_str();
    app.add_flag("--no-live", no_live, "attach to numbers of interfaces, not to the real ones");
    app.add_flag("--status", options.status, "print what the daemon at the socket holds, and end");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        std::exit(app.exit(error) == 0 ? 0 : 2);
    }
    options.live = !no_live;
    options.compiling.deadline_ms = options.compile_seconds * 1000;
    return options;
}

int complain(const std::string& what) {
    fmt::print(stderr, "ebpfsvc: {}\n", what);
    return 1;
}
int complain(const Error& error) {
    char text[256];
    render(error, text);
    return complain(std::string(text));
}

// systemd's notification: one datagram to the socket that it names.
void notify_ready() {
    const char* const path = std::getenv("NOTIFY_SOCKET");
    sockaddr_un address{};
    if (!path || std::strlen(path) >= sizeof address.sun_path || !*path) return;
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, path);
    if (*path == '@') address.sun_path[0] = '\0';  // an abstract name
    const products::Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const char text[] = "READY=1";
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(path));
    (void)!sendto(socket.get(), text, sizeof text - 1, MSG_NOSIGNAL,
                  reinterpret_cast<const sockaddr*>(&address), size);
}

// Each object that a client holds is a descriptor here.
u64 raise_descriptors() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur;
}

int print_status(const std::string& path) {
    auto channel = service::Channel::connect(path.c_str());
    if (!channel) return complain(channel.error());
    service::Packet packet;
    for (const auto type : {service::FrameType::Hello, service::FrameType::Status}) {
        if (const auto sent = channel->send({.type = type}); !sent) return complain(sent.error());
        if (const auto got = channel->receive(packet); !got) return complain(got.error());
        if (const auto ok = service::error_of(packet.frame); !ok) return complain(ok.error());
    }
    service::Figures status;
    std::memcpy(&status, packet.payload.data(), std::min(sizeof status, packet.payload.size()));
    fmt::print(
        R"({{"maps":{},"links":{},"programs":{},"descriptors":{},"clients":{},"connections":{},)"
        R"("served":{},"open_files":{},"allocations":{},"resident_kib":{},"threads":{},)"
        R"("compiled":{},"compile_failures":{},"compiler_restarts":{}}})"
        "\n",
        status.maps, status.links, status.programs, status.descriptors, status.clients,
        status.connections, status.served, status.open_files, status.allocations,
        status.resident_kib, status.threads, status.compiled, status.compile_failures,
        status.compiler_restarts);
    return 0;
}

int serve(const Options& options) {
    std::signal(SIGPIPE, SIG_IGN);
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    pthread_sigmask(SIG_BLOCK, &stop, nullptr);  // also of the threads that follow
    const products::Fd signals(signalfd(-1, &stop, SFD_CLOEXEC));

    // What connections, messages and the execution context's own files need stays free.
    const u64 files = raise_descriptors();
    const u64 reserve = std::min<u64>(files / 4, options.server.max_connections + 64u);
    const u64 shared_arrays = std::min<u64>((files - reserve) / 3, 1u << 16);
    ebpfsvc::Context context(options.live, static_cast<u32>(shared_arrays), options.compiling);
    if (const auto started = context.start(); !started) return complain(started.error());
    ebpfsvc::Tokens tokens(
        context.door(), context.caller(), context.rings(),
        static_cast<u32>(std::min<u64>(files - reserve - shared_arrays, 1u << 24)));
    if (const auto started = tokens.start(); !started) return complain(started.error());
    ebpfsvc::Clients clients;
    ebpfsvc::Shared shared{context, tokens, clients, options.server.group};
    ebpfsvc::Server server(shared, options.server);
    if (const auto listening = server.listen(); !listening) return complain(listening.error());
    fmt::print(stderr, "ebpfsvc: {}\n", context.confinement());
    fmt::print("ebpfsvc: serving {}\n", options.server.path);
    std::fflush(stdout);
    notify_ready();
    server.run(signals.get());
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    // How the daemon starts its own compiling children; nobody else has a use for it.
    if (argc == 4 && std::string_view(argv[1]) == "--compile-child")
        return compile_child::run(std::span(argv, 4).last(2));
    CLI::App app{"Shares programs, maps, links and pins between processes."};
    try {
        Options options = parse(app, argc, argv);
        if (options.status) return print_status(options.server.path);
        if (!options.group.empty()) {
            const group* const found = getgrnam(options.group.c_str());
            if (!found) return complain("no group " + options.group);
            options.server.group = found->gr_gid;
        }
        return serve(options);
    } catch (const std::exception& error) {
        return complain(std::string(error.what()));
    }
}
