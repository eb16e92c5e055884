// SPDX-License-Identifier: MIT
//
// 64 clients at once, killed at any moment, with malformed frames between them: afterwards the
// daemon holds what it held before. CASEMENT_HAMMER_SECONDS makes it longer than the two seconds
// that it takes otherwise; the figures are printed.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <grp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <random>

#include "daemon.hpp"

namespace ebpf::test {
namespace {

constexpr u32 kClients = 64;

double now() {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

void print(const char* when, const service::Figures& f) {
    std::printf(
        "  %-7s maps %llu programs %llu links %llu descriptors %llu connections %llu "
        "open files %llu blocks %llu resident %llu KiB threads %llu\n",
        when, static_cast<unsigned long long>(f.maps), static_cast<unsigned long long>(f.programs),
        static_cast<unsigned long long>(f.links), static_cast<unsigned long long>(f.descriptors),
        static_cast<unsigned long long>(f.connections),
        static_cast<unsigned long long>(f.open_files),
        static_cast<unsigned long long>(f.allocations),
        static_cast<unsigned long long>(f.resident_kib),
        static_cast<unsigned long long>(f.threads));
    std::fflush(stdout);  // a child does not print it again
}

constexpr std::array<bpf_insn, 2> kReturnTwo = {{{0xb7, 0, 0, 0, 2}, {0x95, 0, 0, 0, 0}}};

// What a client does until it is killed; leaves when something is answered that may not be.
[[noreturn]] void hammer(u32 seed) {
    std::mt19937 random(seed);
    for (;;) {
        const int map = bpf_map_create(random() % 2 ? BPF_MAP_TYPE_HASH : BPF_MAP_TYPE_ARRAY,
                                       "hammer", 4, 8, 128, nullptr);
        if (map < 0) _exit(10);
        for (u32 i = 0; i < random() % 40; ++i) {
            const u32 key = random() % 128;
            const u64 in = random();
            u64 out = 0;
            if (bpf_map_update_elem(map, &key, &in, BPF_ANY) != 0) _exit(11);
            if (bpf_map_lookup_elem(map, &key, &out) != 0 || out != in) _exit(12);
        }
        if (random() % 4 == 0) {
            const int program = bpf_prog_load(BPF_PROG_TYPE_XDP, "hammer", "GPL", kReturnTwo.data(),
                                              kReturnTwo.size(), nullptr);
            if (program < 0) _exit(13);
            // Interfaces of its own, so that nobody else is in the way.
            const int link =
                bpf_link_create(program, static_cast<int>(5000 + seed), BPF_XDP, nullptr);
            if (random() % 2) close(program);
            if (random() % 2) close(link);
        }
        if (random() % 3) close(map);
    }
}

// Frames that are no frames, and half ones.
[[noreturn]] void talk_nonsense(const std::string& path, u32 seed) {
    std::mt19937 random(seed);
    for (;;) {
        auto channel = service::Channel::connect(path.c_str());
        if (!channel) _exit(20);
        if (random() % 4 != 0) (void)channel->send({.type = service::FrameType::Hello});
        for (u32 i = 0; i < random() % 6; ++i) {
            std::vector<std::byte> bytes(random() % 600);
            for (std::byte& b : bytes) b = static_cast<std::byte>(random());
            service::Frame frame{.type = static_cast<service::FrameType>(random() % 7)};
            if (bytes.size() >= 32 && random() % 2) {  // a message's header, as it should begin
                const wire::Header header{.kind = wire::Kind::Request,
                                          .size = static_cast<u32>(bytes.size()),
                                          .command = static_cast<u32>(random() % 40),
                                          .attr_size = static_cast<u32>(random() % 200)};
                std::memcpy(bytes.data(), &header, std::min(bytes.size(), sizeof header));
            }
            const int fd = random() % 3 ? -1 : STDIN_FILENO;
            if (random() % 3 == 0) {
                (void)!::send(channel->descriptor(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
            } else {
                (void)channel->send(frame, bytes, {&fd, fd >= 0 ? size_t{1} : size_t{0}});
            }
        }
    }
}

TEST(ServiceHammer, ClientsKilledAtAnyMomentLeaveNothing) {
    Daemon daemon;
    ASSERT_TRUE(daemon.served());
    setenv("EBPF_SERVICE", daemon.path().c_str(), 1);
    const service::Figures before = daemon.figures();
    print("before", before);

    const char* const wanted = std::getenv("CASEMENT_HAMMER_SECONDS");
    const double end = now() + (wanted ? std::atof(wanted) : 2.0);
    std::mt19937 random(7);
    std::vector<pid_t> clients(kClients, 0);
    u32 started = 0, killed = 0, wrong = 0;
    while (now() < end || started < 2 * kClients) {
        for (pid_t& client : clients) {
            if (client != 0 && random() % 4) continue;
            if (client != 0) {
                kill(client, SIGKILL);
                int status = 0;
                waitpid(client, &status, 0);
                ++killed;
                wrong += WIFEXITED(status) ? 1 : 0;
            }
            const u32 seed = ++started;
            client = fork();
            if (client == 0) {
                if (seed % 8 == 0) talk_nonsense(daemon.path(), seed);
                hammer(seed);
            }
        }
        usleep(20'000);
    }
    print("during", daemon.figures());
    for (const pid_t client : clients) {
        kill(client, SIGKILL);
        int status = 0;
        waitpid(client, &status, 0);
        ++killed;
        wrong += WIFEXITED(status) ? 1 : 0;
    }
    // Our own question is a connection too, which may still be ending when the next one is asked.
    service::Figures after{};
    EXPECT_TRUE(eventually([&] {
        after = daemon.figures();
        return after.maps + after.programs + after.links + after.descriptors == 0 &&
               after.open_files <= before.open_files + 1 && after.connections <= 2;
    }));
    print("after", after);
    std::printf("  %u clients, %u killed, %llu packets answered\n", started, killed,
                static_cast<unsigned long long>(after.served));
    EXPECT_EQ(wrong, 0u) << "clients that were answered what may not be";
    EXPECT_EQ(after.maps + after.programs + after.links, 0u);
    EXPECT_LE(after.allocations, before.allocations + 64) << "blocks of the execution context";
    EXPECT_EQ(daemon.stop(), 0);
}

// What was mapped of a daemon that is gone is no answer any more.
TEST(ServiceHammer, LookupsEndWithTheDaemon) {
    Daemon daemon;
    ASSERT_TRUE(daemon.served());
    EXPECT_EQ(in_child([&] {
                  setenv("EBPF_SERVICE", daemon.path().c_str(), 1);
                  const int map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "gone", 4, 8, 1, nullptr);
                  const u32 key = 0;
                  const u64 in = 9;
                  u64 out = 0;
                  if (bpf_map_update_elem(map, &key, &in, BPF_ANY) != 0) return 1;
                  for (int i = 0; i < 8; ++i)
                      if (bpf_map_lookup_elem(map, &key, &out) != 0 || out != 9) return 2;
                  kill(daemon.process(), SIGKILL);
                  // Our own end of the object hangs up when the daemon has died.
                  pollfd end{map, 0, 0};
                  if (poll(&end, 1, 10'000) != 1) return 3;
                  return bpf_map_lookup_elem(map, &key, &out) < 0 ? 0 : 4;
              }),
              0);
    daemon.stop();
}

// --- who may connect and do what -----------------------------------------------------------------

constexpr u32 kNobody = 65534;  // a user, and in Debian the group "nogroup"

int roots_map() {
    return bpf_map_create(BPF_MAP_TYPE_ARRAY, "roots", 4, 8, 4, nullptr);
}
int roots_program() {
    return bpf_prog_load(BPF_PROG_TYPE_XDP, "roots", "GPL", kReturnTwo.data(), kReturnTwo.size(),
                         nullptr);
}

// What `body` answers in a child that is nobody, also of the group, about root's object.
template <typename Body>
int as_nobody(const Daemon& daemon, Body&& body, int (*object)() = roots_map) {
    if (chmod(daemon.folder().c_str(), 0755) != 0) return -1;
    return in_child([&] {
        setenv("EBPF_SERVICE", daemon.path().c_str(), 1);
        const int passed = object();
        if (passed < 0) return 100;
        return in_child([&] {
            if (setgroups(0, nullptr) || setgid(kNobody) || setuid(kNobody)) return 101;
            return body(passed);
        });
    });
}

bool lacks_root() {
    return geteuid() != 0;
}

TEST(ServiceAccess, OthersAreNotLetIn) {
    if (lacks_root()) GTEST_SKIP() << "needs root, to become somebody else";
    Daemon daemon;
    ASSERT_TRUE(daemon.served());
    EXPECT_EQ(as_nobody(daemon,
                        [](int map) {
                            const u32 key = 0;
                            u64 value = 0;
                            if (bpf_map_create(BPF_MAP_TYPE_ARRAY, "a", 4, 8, 1, nullptr) >= 0)
                                return 1;
                            return bpf_map_lookup_elem(map, &key, &value) < 0 ? 0 : 2;
                        }),
              0);
}

TEST(ServiceAccess, EverybodyMayUseWhatHeWasPassed) {
    if (lacks_root()) GTEST_SKIP() << "needs root, to become somebody else";
    Daemon daemon({"--no-live", "--everybody"});
    ASSERT_TRUE(daemon.served());
    EXPECT_EQ(as_nobody(daemon,
                        [&](int map) {
                            u32 key = 0, id = 0;
                            u64 value = 7;
                            if (bpf_map_update_elem(map, &key, &value, BPF_ANY) != 0) return 1;
                            value = 0;
                            for (int i = 0; i < 8; ++i)
                                if (bpf_map_lookup_elem(map, &key, &value) != 0 || value != 7)
                                    return 2;
                            if (bpf_map_create(BPF_MAP_TYPE_ARRAY, "a", 4, 8, 1, nullptr) != -EPERM)
                                return 3;
                            if (bpf_map_get_next_id(0, &id) != -EPERM) return 4;
                            if (bpf_map_get_fd_by_id(1) != -EPERM) return 5;
                            if (bpf_obj_pin(map, "/t/pin") != -EPERM) return 6;
                            if (bpf_obj_get("/t/pin") != -EPERM) return 7;
                            if (bpf_prog_load(BPF_PROG_TYPE_XDP, "p", "GPL", kReturnTwo.data(),
                                              kReturnTwo.size(), nullptr) != -EPERM)
                                return 8;
                            if (daemon.figures().open_files != 0) return 9;  // not to be told
                            return 0;
                        }),
              0);
}

TEST(ServiceAccess, TheGroupMayDoEverything) {
    if (lacks_root()) GTEST_SKIP() << "needs root, to become somebody else";
    if (!getgrnam("nogroup")) GTEST_SKIP() << "no group \"nogroup\"";
    Daemon daemon({"--no-live", "--group", "nogroup"});
    ASSERT_TRUE(daemon.served());
    struct stat status{};
    ASSERT_EQ(stat(daemon.path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0660u);
    EXPECT_EQ(as_nobody(daemon,
                        [&](int) {
                            u32 id = 0;
                            if (bpf_map_create(BPF_MAP_TYPE_ARRAY, "a", 4, 8, 1, nullptr) < 0)
                                return 1;
                            if (bpf_map_get_next_id(0, &id) != 0) return 2;
                            return daemon.figures().open_files != 0 ? 0 : 3;
                        }),
              0);
}

TEST(ServiceAccess, WhatIsInsideAProgramIsForOperators) {
    if (lacks_root()) GTEST_SKIP() << "needs root, to become somebody else";
    Daemon daemon({"--no-live", "--everybody"});
    ASSERT_TRUE(daemon.served());
    const auto sees = [](int program) {
        bpf_insn insns[8] = {};
        bpf_prog_info info{};
        info.xlated_prog_insns = reinterpret_cast<__u64>(insns);
        info.xlated_prog_len = sizeof insns;
        __u32 size = sizeof info;
        if (bpf_obj_get_info_by_fd(program, &info, &size) != 0) return 1;
        if (info.verified_insns == 0) return 2;
        const bool told = info.xlated_prog_len == kReturnTwo.size() * sizeof(bpf_insn);
        if (told != (std::memcmp(insns, kReturnTwo.data(), sizeof(bpf_insn)) == 0)) return 3;
        if (told != (info.jited_prog_len != 0)) return 4;
        return told ? 10 : 20;
    };
    EXPECT_EQ(as_nobody(daemon, sees, roots_program), 20);
    EXPECT_EQ(in_child([&] {
                  setenv("EBPF_SERVICE", daemon.path().c_str(), 1);
                  return sees(roots_program());
              }),
              10);
}

// --- peers of another version --------------------------------------------------------------------

// Whatever is behind the beginning that never changes.
TEST(ServiceVersions, ADaemonAnswersAnotherClient) {
    Daemon daemon;
    ASSERT_TRUE(daemon.served());
    auto channel = service::Channel::connect(daemon.path().c_str());
    ASSERT_TRUE(channel);
    service::Packet packet;
    for (const u16 version : {u16{0}, u16{service::kVersion + 1}, u16{0xffff}}) {
        for (const size_t size : {size_t{8}, sizeof(service::Frame), size_t{1000}}) {
            service::Frame frame{.version = version, .type = service::FrameType::Hello};
            std::vector<std::byte> bytes(size);
            std::memcpy(bytes.data(), &frame, std::min(size, sizeof frame));
            ASSERT_EQ(::send(channel->descriptor(), bytes.data(), size, MSG_NOSIGNAL),
                      static_cast<ssize_t>(size));
            ASSERT_TRUE(channel->receive(packet));
            EXPECT_EQ(packet.frame.linux_error, u32{EOPNOTSUPP}) << version << ", " << size;
        }
    }
    ASSERT_TRUE(channel->send({.type = service::FrameType::Hello}));
    ASSERT_TRUE(channel->receive(packet));
    EXPECT_TRUE(service::error_of(packet.frame)) << "the connection goes on";
    EXPECT_EQ(daemon.stop(), 0);
}

TEST(ServiceVersions, AClientOfAnotherDaemonGetsAnError) {
    char folder[] = "/tmp/ebpfsvc-test-XXXXXX";
    ASSERT_NE(mkdtemp(folder), nullptr);
    const std::string path = std::string(folder) + "/socket";
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    const int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(listen(listener, 8), 0);
    const pid_t newer = fork();
    if (newer == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) {
            const int peer = accept(listener, nullptr, nullptr);
            std::array<std::byte, 4096> bytes{};
            while (recv(peer, bytes.data(), bytes.size(), 0) > 0) {
                const service::Frame answer{.version = service::kVersion + 1,
                                            .type = service::FrameType::Hello};
                std::memcpy(bytes.data(), &answer, sizeof answer);
                (void)!::send(peer, bytes.data(), sizeof answer + 100, MSG_NOSIGNAL);
            }
            close(peer);
        }
    }
    EXPECT_EQ(in_child([&] {
                  setenv("EBPF_SERVICE", path.c_str(), 1);
                  const int map = bpf_map_create(BPF_MAP_TYPE_HASH, "none", 4, 8, 1, nullptr);
                  return map < 0 ? -map : 0;
              }),
              EOPNOTSUPP);
    kill(newer, SIGKILL);
    waitpid(newer, nullptr, 0);
    close(listener);
    (void)unlink(path.c_str());
    (void)rmdir(folder);
}

// A daemon with few descriptors says so to who asks for more, and serves on.
TEST(ServiceHammer, ExhaustedDescriptorsAreAnError) {
    rlimit before{};
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    if (before.rlim_max < 256) GTEST_SKIP() << "needs a limit of 256 descriptors";
    Daemon daemon({"--no-live", "--max-connections", "8"}, 160);
    ASSERT_TRUE(daemon.served());
    const std::string path = daemon.path();
    print("before", daemon.figures());
    EXPECT_EQ(in_child([&] {
                  setenv("EBPF_SERVICE", path.c_str(), 1);
                  std::vector<int> maps;
                  int last = 0;
                  while (maps.size() < 1000) {
                      last = bpf_map_create(BPF_MAP_TYPE_ARRAY, "many", 4, 8, 1, nullptr);
                      if (last < 0) break;
                      maps.push_back(last);
                  }
                  std::printf("  %zu maps, then: %s\n", maps.size(), std::strerror(-last));
                  print("full", daemon.figures());
                  if (last != -EMFILE || maps.size() < 20) return 1;
                  const u32 key = 0;
                  const u64 in = 9;
                  if (bpf_map_update_elem(maps[0], &key, &in, BPF_ANY) != 0) return 2;
                  // Releasing works, and what was released can be had again.
                  for (const int fd : maps) close(fd);
                  for (int i = 0; i < 1000; ++i) {
                      if (bpf_map_create(BPF_MAP_TYPE_ARRAY, "again", 4, 8, 1, nullptr) >= 0)
                          return 0;
                      usleep(10'000);
                  }
                  return 3;
              }),
              0);
    EXPECT_TRUE(eventually([&] { return daemon.figures().maps == 0; }));
    print("after", daemon.figures());
    EXPECT_EQ(daemon.stop(), 0);
}

}  // namespace
}  // namespace ebpf::test
