// SPDX-License-Identifier: MIT
//
// The daemon and its clients: this process and its children are clients of one ebpfsvc, as
// applications with EBPF_SERVICE set are.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <sys/mman.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <thread>

#include "daemon.hpp"

namespace ebpf::test {
namespace {

// One daemon for the process: libebpfapi decides once where its execution context is.
Daemon& daemon() {
    static Daemon the_daemon;
    return the_daemon;
}

class Service : public testing::Test {
  protected:
    static void SetUpTestSuite() { setenv("EBPF_SERVICE", daemon().path().c_str(), 1); }
    void SetUp() override { ASSERT_TRUE(daemon().served()); }
    // Files' closings are heard of late: the next test begins with what is pinned.
    void TearDown() override {
        EXPECT_TRUE(eventually([] { return daemon().figures().descriptors == 0; }));
    }
};

int make_map(bpf_map_type type = BPF_MAP_TYPE_HASH) {
    return bpf_map_create(type, "shared", 4, 8, 64, nullptr);
}

u64 value_of(int map, u32 key) {
    u64 value = 0;
    return bpf_map_lookup_elem(map, &key, &value) == 0 ? value : ~u64{0};
}

int set(int map, u32 key, u64 value) {
    return bpf_map_update_elem(map, &key, &value, BPF_ANY);
}

constexpr std::array<bpf_insn, 2> kReturnTwo = {{{0xb7, 0, 0, 0, 2}, {0x95, 0, 0, 0, 0}}};

TEST_F(Service, MapsAreSharedWithAChild) {
    const int map = make_map();
    ASSERT_GE(map, 0);
    ASSERT_EQ(set(map, 1, 41), 0);
    EXPECT_EQ(in_child([&] { return value_of(map, 1) == 41 && set(map, 1, 42) == 0 ? 0 : 1; }), 0);
    EXPECT_EQ(value_of(map, 1), 42u);
    u32 key = 1, next = 0;
    EXPECT_EQ(bpf_map_get_next_key(map, nullptr, &next), 0);
    EXPECT_EQ(next, 1u);
    EXPECT_EQ(bpf_map_delete_elem(map, &key), 0);
    EXPECT_EQ(bpf_map_delete_elem(map, &key), -ENOENT);
    close(map);
    EXPECT_TRUE(eventually([] { return daemon().figures().maps == 0; }));
}

TEST_F(Service, ADescriptorIsOneOfTheSystem) {
    const int map = make_map();
    ASSERT_GE(map, 0);
    ASSERT_EQ(set(map, 7, 70), 0);
    const int second = dup(map);
    close(map);
    EXPECT_EQ(value_of(second, 7), 70u);
    u32 key = 7;
    u64 value = 0;
    EXPECT_EQ(bpf_map_lookup_elem(map, &key, &value), -EBADF);
    // Its number is another file's now.
    const int other = open("/dev/null", O_RDONLY);
    EXPECT_EQ(bpf_map_lookup_elem(other, &key, &value), -EINVAL);
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    EXPECT_EQ(bpf_map_lookup_elem(ends[0], &key, &value), -EINVAL);
    for (const int fd : {second, other, ends[0], ends[1]}) close(fd);
    EXPECT_TRUE(eventually([] { return daemon().figures().descriptors == 0; }));
}

// Sends and takes a descriptor.
void pass(int socket, int fd) {
    char byte = 0, control[CMSG_SPACE(sizeof fd)] = {};
    iovec part{&byte, 1};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
    ASSERT_EQ(sendmsg(socket, &message, 0), 1);
}
int taken(int socket) {
    char byte = 0, control[CMSG_SPACE(sizeof(int))] = {};
    iovec part{&byte, 1};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    if (recvmsg(socket, &message, 0) != 1 || !CMSG_FIRSTHDR(&message)) return -1;
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    return fd;
}

TEST_F(Service, APassedDescriptorIsTheObject) {
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    const pid_t child = fork();
    if (child == 0) {  // makes a map, passes it, and ends
        const int map = make_map();
        set(map, 3, 33);
        pass(ends[1], map);
        _exit(0);
    }
    const int map = taken(ends[0]);
    waitpid(child, nullptr, 0);
    EXPECT_EQ(value_of(map, 3), 33u) << "what its maker's death must not release";
    EXPECT_EQ(daemon().figures().maps, 1u);
    for (const int fd : {map, ends[0], ends[1]}) close(fd);
    EXPECT_TRUE(eventually([] { return daemon().figures().maps == 0; }));
}

TEST_F(Service, AKilledClientReleasesItsOwn) {
    const int kept = make_map();
    ASSERT_EQ(set(kept, 1, 1), 0);
    int ready[2];
    ASSERT_EQ(pipe(ready), 0);
    const pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < 20; ++i) (void)make_map();
        (void)!write(ready[1], "x", 1);
        pause();
    }
    char byte = 0;
    ASSERT_EQ(read(ready[0], &byte, 1), 1);
    EXPECT_EQ(daemon().figures().maps, 21u);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    EXPECT_TRUE(eventually([] { return daemon().figures().maps == 1; }));
    EXPECT_EQ(value_of(kept, 1), 1u);
    for (const int fd : {kept, ready[0], ready[1]}) close(fd);
}

TEST_F(Service, ProgramsAreVerifiedThereAndRun) {
    const int program = bpf_prog_load(BPF_PROG_TYPE_XDP, "two", "GPL", kReturnTwo.data(),
                                      kReturnTwo.size(), nullptr);
    ASSERT_GE(program, 0);
    char data[64] = {};
    LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = data, .data_size_in = sizeof data);
    EXPECT_EQ(bpf_prog_test_run_opts(program, &run), 0);
    EXPECT_EQ(run.retval, 2u);
    bpf_prog_info info{};
    u32 size = sizeof info;
    EXPECT_EQ(bpf_obj_get_info_by_fd(program, &info, &size), 0);
    EXPECT_STREQ(info.name, "two");

    // A program of a map, and one that is refused, whose log comes back.
    const int map = make_map(BPF_MAP_TYPE_ARRAY);
    const std::array<bpf_insn, 4> uses = {
        {{0x18, 1, 1, 0, map}, {0, 0, 0, 0, 0}, {0xb7, 0, 0, 0, 1}, {0x95, 0, 0, 0, 0}}};
    const int user =
        bpf_prog_load(BPF_PROG_TYPE_XDP, "user", "GPL", uses.data(), uses.size(), nullptr);
    EXPECT_GE(user, 0);
    const std::array<bpf_insn, 1> bad = {{{0x95, 0, 0, 0, 0}}};
    char log[4096] = {};
    LIBBPF_OPTS(bpf_prog_load_opts, opts, .log_level = 1, .log_size = sizeof log, .log_buf = log);
    EXPECT_EQ(bpf_prog_load(BPF_PROG_TYPE_XDP, "bad", "GPL", bad.data(), bad.size(), &opts),
              -EACCES);
    EXPECT_NE(std::strstr(log, "r0"), nullptr) << log;
    for (const int fd : {program, map, user}) close(fd);
    EXPECT_TRUE(eventually([] {
        const auto now = daemon().figures();
        return now.programs == 0 && now.maps == 0;
    }));
}

// Whoever has the descriptor wishes for statistics.
TEST_F(Service, RunsAreCountedWhileADescriptorAsks) {
    const int program = bpf_prog_load(BPF_PROG_TYPE_XDP, "two", "GPL", kReturnTwo.data(),
                                      kReturnTwo.size(), nullptr);
    ASSERT_GE(program, 0);
    const auto count_after_a_run = [&] {
        char data[64] = {};
        LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = data, .data_size_in = sizeof data);
        EXPECT_EQ(bpf_prog_test_run_opts(program, &run), 0);
        bpf_prog_info info{};
        u32 size = sizeof info;
        EXPECT_EQ(bpf_obj_get_info_by_fd(program, &info, &size), 0);
        return info.run_cnt;
    };
    EXPECT_EQ(count_after_a_run(), 0u);
    const int wish = bpf_enable_stats(BPF_STATS_RUN_TIME);
    ASSERT_GE(wish, 0);
    const int copy = dup(wish);
    close(wish);
    EXPECT_EQ(count_after_a_run(), 1u);
    close(copy);
    EXPECT_TRUE(eventually([&] { return count_after_a_run() == count_after_a_run(); }));
    close(program);
}

TEST_F(Service, PinsAndLinksLiveInTheDaemon) {
    const int status = in_child([] {
        const int map = make_map();
        const int program = bpf_prog_load(BPF_PROG_TYPE_XDP, "two", "GPL", kReturnTwo.data(),
                                          kReturnTwo.size(), nullptr);
        const int link = bpf_link_create(program, 4001, BPF_XDP, nullptr);
        if (set(map, 5, 55) || link < 0) return 1;
        return bpf_obj_pin(map, "/t/map") || bpf_obj_pin(link, "/t/link") ? 2 : 0;
    });
    ASSERT_EQ(status, 0);
    const int map = bpf_obj_get("/t/map"), link = bpf_obj_get("/t/link");
    EXPECT_EQ(value_of(map, 5), 55u);
    EXPECT_GE(link, 0);
    EXPECT_EQ(bpf_link_detach(link), 0);
    EXPECT_EQ(daemon().figures().links, 1u);
    for (const int fd : {map, link}) close(fd);
    const int program = bpf_obj_get("/t/none");
    EXPECT_EQ(program, -ENOENT);
}

TEST_F(Service, MapsOfMapsTakeDescriptors) {
    const int inner = make_map(BPF_MAP_TYPE_ARRAY);
    LIBBPF_OPTS(bpf_map_create_opts, opts, .inner_map_fd = static_cast<u32>(inner));
    const int outer = bpf_map_create(BPF_MAP_TYPE_HASH_OF_MAPS, "outer", 4, 4, 8, &opts);
    ASSERT_GE(outer, 0);
    const u32 key = 1;
    EXPECT_EQ(bpf_map_update_elem(outer, &key, &inner, BPF_ANY), 0);
    u32 id = 0;
    EXPECT_EQ(bpf_map_lookup_elem(outer, &key, &id), 0);
    const int again = bpf_map_get_fd_by_id(id);
    ASSERT_EQ(set(inner, 2, 22), 0);
    EXPECT_EQ(value_of(again, 2), 22u);
    const int stranger = 1 << 20;
    EXPECT_EQ(bpf_map_update_elem(outer, &key, &stranger, BPF_ANY), -EBADF);
    for (const int fd : {inner, outer, again}) close(fd);
}

// A program that writes 77 into a ring.
int make_writer(int ring) {
    // *(u64 *)(r10 - 8) = 77; bpf_ringbuf_output(ring, r10 - 8, 8, 0); return 0
    const std::array<bpf_insn, 9> code = {{{0x7a, 10, 0, -8, 77},
                                           {0x18, 1, 1, 0, ring},
                                           {0, 0, 0, 0, 0},
                                           {0xbf, 2, 10, 0, 0},
                                           {0x07, 2, 0, 0, -8},
                                           {0xb7, 3, 0, 0, 8},
                                           {0xb7, 4, 0, 0, 0},
                                           {0x85, 0, 0, 0, 130},
                                           {0x95, 0, 0, 0, 0}}};
    return bpf_prog_load(BPF_PROG_TYPE_XDP, "out", "GPL", code.data(), code.size(), nullptr);
}

// Mappings of files with this name that this process has.
u32 mappings(const char* name) {
    std::ifstream lines("/proc/self/maps");
    u32 count = 0;
    for (std::string line; std::getline(lines, line);) {
        count += line.find(name) != std::string::npos ? 1 : 0;
    }
    return count;
}

TEST_F(Service, RingBuffersAreMappedAndWaitedFor) {
    const int ring = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "ring", 0, 0, 65536, nullptr);
    ASSERT_GE(ring, 0);
    const int program = make_writer(ring);
    ASSERT_GE(program, 0);
    u64 sum = 0;
    const auto add = [](void* to, void* data, size_t size) {
        u64 value = 0;
        if (size == sizeof value) std::memcpy(&value, data, size);
        *static_cast<u64*>(to) += value;
        return 0;
    };
    ring_buffer* const reader = ring_buffer__new(ring, add, &sum, nullptr);
    ASSERT_NE(reader, nullptr);
    EXPECT_EQ(ring_buffer__poll(reader, 10), 0) << "nothing is there yet";
    char data[64] = {};
    LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = data, .data_size_in = sizeof data, .repeat = 3);
    std::thread later([&] {
        usleep(300'000);  // longer than the daemon lets anybody wait at a time
        EXPECT_EQ(bpf_prog_test_run_opts(program, &run), 0);
    });
    int count = 0;
    while (count < 3) {
        const int some = ring_buffer__poll(reader, 10'000);
        ASSERT_GT(some, 0);
        count += some;
    }
    later.join();
    EXPECT_EQ(sum, 3u * 77);
    ring_buffer__free(reader);
    for (const int fd : {ring, program}) close(fd);
}

TEST_F(Service, ARingsDescriptorBecomesReadable) {
    const int ring = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "ring", 0, 0, 65536, nullptr);
    ASSERT_GE(ring, 0);
    const int program = make_writer(ring);
    ASSERT_GE(program, 0);
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    epoll_event event{.events = EPOLLIN, .data = {}};
    ASSERT_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, ring, &event), 0);
    const auto readable = [&](int timeout) { return epoll_wait(epoll, &event, 1, timeout) == 1; };
    char data[64] = {};
    LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = data, .data_size_in = sizeof data, .repeat = 3);
    u32 left = 0;  // records until the callback says that it has enough
    const auto count = [](void* to, void*, size_t) { return --*static_cast<u32*>(to) ? 0 : -7; };
    ring_buffer* const reader = ring_buffer__new(ring, count, &left, nullptr);
    ASSERT_NE(reader, nullptr);
    for (int round = 0; round < 50; ++round) {
        ASSERT_FALSE(readable(0)) << "round " << round;
        ASSERT_EQ(bpf_prog_test_run_opts(program, &run), 0);
        ASSERT_TRUE(readable(10'000)) << "round " << round;
        left = 100;
        ASSERT_EQ(ring_buffer__consume(reader), 3);
    }
    // What was left in the ring keeps it readable, also for a descriptor that comes later.
    ASSERT_EQ(bpf_prog_test_run_opts(program, &run), 0);
    left = 1;
    EXPECT_EQ(ring_buffer__consume(reader), -7);
    EXPECT_TRUE(readable(10'000));
    bpf_map_info info{};
    u32 size = sizeof info;
    ASSERT_EQ(bpf_obj_get_info_by_fd(ring, &info, &size), 0);
    const int second = bpf_map_get_fd_by_id(info.id);
    pollfd wanted{second, POLLIN, 0};
    EXPECT_EQ(poll(&wanted, 1, 10'000), 1);
    left = 100;
    EXPECT_EQ(ring_buffer__consume(reader), 2);
    ring_buffer__free(reader);
    EXPECT_EQ(mappings("memfd:ebpf-ring"), 0u) << "nobody reads it any more";
    for (const int fd : {ring, second, program, epoll}) close(fd);
}

// The consumer's page of a user ring buffer is the daemon's, who relies on nobody else writing it.
TEST_F(Service, AUserRingsConsumerIsReadOnly) {
    const int map = bpf_map_create(BPF_MAP_TYPE_USER_RINGBUF, "orders", 0, 0, 4096, nullptr);
    ASSERT_GE(map, 0);
    user_ring_buffer* const ring = user_ring_buffer__new(map, nullptr);
    ASSERT_NE(ring, nullptr) << std::strerror(errno);
    EXPECT_NE(user_ring_buffer__reserve(ring, 8), nullptr);
    unsigned pages = 0;
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) {
        unsigned long begin = 0, end = 0;
        char access[5] = {};
        if (line.find("memfd:ebpf-ring") == std::string::npos) continue;
        ASSERT_EQ(std::sscanf(line.c_str(), "%lx-%lx %4s", &begin, &end, access), 3);
        if (std::string(access) != "r--s") continue;
        ++pages;
        void* const page = reinterpret_cast<void*>(begin);
        EXPECT_EQ(end - begin, 4096u);
        EXPECT_NE(mprotect(page, 4096, PROT_READ | PROT_WRITE), 0);
        const std::string range = line.substr(0, line.find(' '));
        const int again = open(("/proc/self/map_files/" + range).c_str(), O_RDWR);
        if (again < 0) continue;  // not root
        EXPECT_EQ(mmap(nullptr, 4096, PROT_WRITE, MAP_SHARED, again, 0), MAP_FAILED);
        close(again);
    }
    EXPECT_EQ(pages, 1u);
    user_ring_buffer__free(ring);
    EXPECT_EQ(mappings("memfd:ebpf-ring"), 0u);
    close(map);
}

// --- maps that applications map ------------------------------------------------------------------

// The tests of maps, as a client; which of them are not for clients, docs/service.md says: the
// choice of an engine, and freezing what clients may have mapped.
TEST_F(Service, MapsTestsHoldHere) {
    if (!*CASEMENT_MAPS_TEST) GTEST_SKIP() << "no clang for its programs";
    EXPECT_EQ(in_child([] {
                  execl(CASEMENT_MAPS_TEST, "maps_test", "--gtest_brief=1",
                        "--gtest_filter=-*/Interpreter:Mapped.FrozenIsReadOnly", nullptr);
                  return 127;
              }),
              0);
}

TEST_F(Service, AMappedArrayIsSharedAndReleased) {
    const u64 before = daemon().figures().maps;
    LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
    const int map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "mapped", 4, 8, 64, &opts);
    ASSERT_GE(map, 0);
    EXPECT_EQ(in_child([&] {
                  void* const at = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
                  if (at == MAP_FAILED) return 1;
                  static_cast<u64*>(at)[7] = 77;
                  return value_of(map, 7) == 77 && set(map, 8, 88) == 0 ? 0 : 2;
              }),
              0);
    EXPECT_EQ(value_of(map, 7), 77u);
    EXPECT_EQ(value_of(map, 8), 88u);
    // The daemon cannot see who has it mapped for writing.
    EXPECT_EQ(bpf_map_freeze(map), -EBUSY);
    // A file of the client's own is no map, though it is sealed as one.
    const int own = memfd_create("own", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    ASSERT_EQ(ftruncate(own, 4096), 0);
    EXPECT_EQ(set(own, 0, 1), -EINVAL);
    ASSERT_EQ(fcntl(own, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
    EXPECT_EQ(set(own, 0, 1), -EINVAL);
    close(own);

    void* const kept = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, map, 0);
    close(map);
    usleep(50'000);
    EXPECT_EQ(daemon().figures().maps, before + 1) << "as on Linux a mapping is a reference";
    munmap(kept, 4096);
    EXPECT_TRUE(eventually([&] { return daemon().figures().maps == before; }));

    // Killed with its descriptors and mappings, a client releases them.
    int ready[2];
    ASSERT_EQ(pipe(ready), 0);
    const pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < 10; ++i) {
            const int one = bpf_map_create(BPF_MAP_TYPE_ARRAY, "mapped", 4, 8, 64, &opts);
            (void)mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, one, 0);
        }
        (void)!write(ready[1], "x", 1);
        pause();
    }
    char byte = 0;
    ASSERT_EQ(read(ready[0], &byte, 1), 1);
    EXPECT_EQ(daemon().figures().maps, before + 10);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    EXPECT_TRUE(eventually([&] { return daemon().figures().maps == before; }));
    for (const int fd : ready) close(fd);
}

// --- long commands -------------------------------------------------------------------------------

// Hours of test runs end with the client that asked for them.
TEST_F(Service, ATestRunEndsWithItsClient) {
    const u64 before = daemon().figures().programs;
    int ready[2];
    ASSERT_EQ(pipe(ready), 0);
    const pid_t child = fork();
    if (child == 0) {
        // 100 instructions, so that it takes minutes.
        std::vector<bpf_insn> code(100, bpf_insn{0x07, 0, 0, 0, 1});
        code.front() = {0xb7, 0, 0, 0, 2};
        code.push_back({0x95, 0, 0, 0, 0});
        const int program =
            bpf_prog_load(BPF_PROG_TYPE_XDP, "long", "GPL", code.data(), code.size(), nullptr);
        char data[64] = {};
        LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = data, .data_size_in = sizeof data,
                    .repeat = 0x7fffffff);
        (void)!write(ready[1], "x", 1);
        _exit(bpf_prog_test_run_opts(program, &run) == 0 ? 0 : 1);
    }
    char byte = 0;
    ASSERT_EQ(read(ready[0], &byte, 1), 1);
    usleep(100'000);
    EXPECT_EQ(daemon().figures().programs, before + 1);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    EXPECT_TRUE(eventually([&] { return daemon().figures().programs == before; }));
    for (const int fd : ready) close(fd);
}

TEST_F(Service, SamplesOfPerfEventArraysArrive) {
    const int array = bpf_map_create(BPF_MAP_TYPE_PERF_EVENT_ARRAY, "samples", 4, 4,
                                     static_cast<u32>(libbpf_num_possible_cpus()), nullptr);
    ASSERT_GE(array, 0);
    // *(u64 *)(r10 - 8) = 77; bpf_perf_event_output(ctx, array, current, r10 - 8, 8); return
    const std::array<bpf_insn, 9> code = {{{0x7a, 10, 0, -8, 77},
                                           {0x18, 2, 1, 0, array},
                                           {0, 0, 0, 0, 0},
                                           {0xb4, 3, 0, 0, -1},
                                           {0xbf, 4, 10, 0, 0},
                                           {0x07, 4, 0, 0, -8},
                                           {0xb7, 5, 0, 0, 8},
                                           {0x85, 0, 0, 0, 25},
                                           {0x95, 0, 0, 0, 0}}};
    const int program =
        bpf_prog_load(BPF_PROG_TYPE_XDP, "out", "GPL", code.data(), code.size(), nullptr);
    ASSERT_GE(program, 0);
    u64 figures[2] = {};  // samples, losses
    const auto add = [](void* to, int, void* data, u32 size) {
        u64 value = 0;
        if (size >= sizeof value) std::memcpy(&value, data, sizeof value);
        static_cast<u64*>(to)[0] += value == 77;
    };
    const auto lose = [](void* to, int, __u64 count) { static_cast<u64*>(to)[1] += count; };
    perf_buffer* const reader = perf_buffer__new(array, 1, add, lose, figures, nullptr);
    ASSERT_NE(reader, nullptr);
    char data[64] = {};
    LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = data, .data_size_in = sizeof data,
                .repeat = 1000);
    std::thread later([&] {
        usleep(300'000);  // longer than the daemon lets anybody wait at a time
        EXPECT_EQ(bpf_prog_test_run_opts(program, &run), 0);
    });
    EXPECT_EQ(perf_buffer__poll(reader, 10'000), 1);
    later.join();
    EXPECT_EQ(perf_buffer__consume(reader), 0);
    EXPECT_GT(figures[0], 0u);
    EXPECT_EQ(figures[0] + figures[1], 1000u);
    perf_buffer__free(reader);
    EXPECT_EQ(bpf_prog_test_run_opts(program, &run), 0);
    EXPECT_EQ(static_cast<int>(run.retval), -ENOENT);
    for (const int fd : {array, program}) close(fd);
}

TEST_F(Service, LargeMessagesGoAsFiles) {
    constexpr u32 kValue = 300'000;
    const int map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "large", 4, kValue, 2, nullptr);
    ASSERT_GE(map, 0);
    std::vector<u8> in(kValue), out(kValue);
    for (u32 i = 0; i < kValue; ++i) in[i] = static_cast<u8>(i * 7);
    const u32 key = 1;
    EXPECT_EQ(bpf_map_update_elem(map, &key, in.data(), BPF_ANY), 0);
    EXPECT_EQ(bpf_map_lookup_elem(map, &key, out.data()), 0);
    EXPECT_EQ(in, out);
    close(map);
}

// --- lookups without asking ----------------------------------------------------------------------

u64 served() {
    return daemon().figures().served;
}

// Looks an array's element up until the library has mapped it.
void map_for_lookups(int map) {
    for (int i = 0; i < 8; ++i) (void)value_of(map, 0);
}

TEST_F(Service, ArraysAreLookedUpWithoutAsking) {
    for (const u32 flags : {0u, u32{BPF_F_RDONLY_PROG}}) {
        LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = flags);
        const int map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "values", 4, 12, 5, &opts);
        ASSERT_GE(map, 0);
        struct Value {
            u32 words[3];
            bool operator==(const Value&) const = default;
        };
        for (u32 key = 0; key < 5; ++key) {
            const Value in{{key, ~key, key * 3}};
            ASSERT_EQ(bpf_map_update_elem(map, &key, &in, BPF_ANY), 0);
        }
        Value got[2] = {};
        const u32 zero = 0;
        for (int i = 0; i < 8; ++i) ASSERT_EQ(bpf_map_lookup_elem(map, &zero, got), 0);
        const u64 before = served();
        for (u32 i = 0; i < 500; ++i) {
            const u32 key = i % 5;
            ASSERT_EQ(bpf_map_lookup_elem(map, &key, got), 0);
            ASSERT_EQ(got[0], (Value{{key, ~key, key * 3}}));
            ASSERT_EQ(got[1], Value{}) << "nothing behind the value";
        }
        EXPECT_LT(served() - before, 10u) << "packets for 500 lookups";

        u32 beyond = 5;
        EXPECT_EQ(bpf_map_lookup_elem(map, &beyond, got), -ENOENT);
        beyond = ~0u;
        EXPECT_EQ(bpf_map_lookup_elem(map, &beyond, got), -ENOENT);
        EXPECT_EQ(bpf_map_lookup_elem_flags(map, &zero, got, 8), -EINVAL);
        EXPECT_EQ(bpf_map_lookup_elem(map, &zero, nullptr), -EFAULT);
        EXPECT_EQ(bpf_map_lookup_elem(map, nullptr, got), -EFAULT);
        // What others write is seen at once.
        EXPECT_EQ(in_child([&] {
                      const Value in{{7, 8, 9}};
                      return bpf_map_update_elem(map, &zero, &in, BPF_ANY) == 0 ? 0 : 1;
                  }),
                  0);
        EXPECT_EQ(bpf_map_lookup_elem(map, &zero, got), 0);
        EXPECT_EQ(got[0], (Value{{7, 8, 9}}));
        close(map);
    }
}

// A program of the daemon writes, a mapped lookup reads.
TEST_F(Service, LookupsSeeWhatProgramsWrite) {
    const int map = make_map(BPF_MAP_TYPE_ARRAY);
    // u32 key = 0; u64 *v = bpf_map_lookup_elem(&map, &key); if (v) *v += 1; return 2
    const std::array<bpf_insn, 11> code = {{{0x62, 10, 0, -4, 0},
                                            {0xbf, 2, 10, 0, 0},
                                            {0x07, 2, 0, 0, -4},
                                            {0x18, 1, 1, 0, map},
                                            {0, 0, 0, 0, 0},
                                            {0x85, 0, 0, 0, 1},
                                            {0x15, 0, 0, 2, 0},
                                            {0xb7, 1, 0, 0, 1},
                                            {0xdb, 0, 1, 0, 0},
                                            {0xb7, 0, 0, 0, 2},
                                            {0x95, 0, 0, 0, 0}}};
    const int program =
        bpf_prog_load(BPF_PROG_TYPE_XDP, "add", "GPL", code.data(), code.size(), nullptr);
    ASSERT_GE(program, 0);
    map_for_lookups(map);
    char data[64] = {};
    LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = data, .data_size_in = sizeof data, .repeat = 3);
    for (u64 i = 1; i <= 4; ++i) {
        EXPECT_EQ(bpf_prog_test_run_opts(program, &run), 0);
        EXPECT_EQ(value_of(map, 0), 3 * i);
    }
    for (const int fd : {map, program}) close(fd);
}

// Descriptors' and handles' numbers are used again: values must not be.
TEST_F(Service, MappedValuesAreNobodyElses) {
    const u64 before = daemon().figures().maps;  // what is pinned
    for (u64 round = 1; round <= 100; ++round) {
        const int map = make_map(BPF_MAP_TYPE_ARRAY);
        ASSERT_GE(map, 0);
        ASSERT_EQ(value_of(map, 1), 0u) << "round " << round;
        ASSERT_EQ(set(map, 1, round), 0);
        map_for_lookups(map);
        ASSERT_EQ(value_of(map, 1), round);
        close(map);
    }
    EXPECT_TRUE(eventually([&] { return daemon().figures().maps == before; }));
}

// The library's mappings of closed arrays go, whoever closed them.
TEST_F(Service, MappingsOfClosedArraysGo) {
    const u32 before = mappings("memfd:ebpf-map");
    const int kept = make_map(BPF_MAP_TYPE_ARRAY);
    map_for_lookups(kept);
    for (int i = 0; i < 500; ++i) {
        const int map = make_map(BPF_MAP_TYPE_ARRAY);
        map_for_lookups(map);
        close(map);
    }
    EXPECT_LE(mappings("memfd:ebpf-map"), before + 66);
    const u64 asked = served();
    map_for_lookups(kept);
    EXPECT_LT(served() - asked, 8u) << "what is in use stays mapped";
    close(kept);
}

// What a client was given of an array cannot be written, by root neither.
TEST_F(Service, SharedValuesAreReadOnly) {
    const int map = make_map(BPF_MAP_TYPE_ARRAY);
    ASSERT_EQ(set(map, 0, 5), 0);
    auto channel = service::Channel::connect(daemon().path().c_str());
    ASSERT_TRUE(channel);
    service::Packet packet;
    ASSERT_TRUE(channel->send({.type = service::FrameType::Hello}));
    ASSERT_TRUE(channel->receive(packet));
    ASSERT_TRUE(channel->send({.type = service::FrameType::Present}, {}, {&map, 1}));
    ASSERT_TRUE(channel->receive(packet));
    const u32 handle = packet.frame.handle;
    for (const u64 part : {0, 1, 3}) {
        ASSERT_TRUE(
            channel->send({.type = service::FrameType::Memory, .handle = handle, .value = part}));
        ASSERT_TRUE(channel->receive(packet));
        EXPECT_FALSE(service::error_of(packet.frame)) << "part " << part;
    }
    ASSERT_TRUE(channel->send({.type = service::FrameType::Memory, .handle = handle, .value = 2}));
    ASSERT_TRUE(channel->receive(packet));
    ASSERT_TRUE(service::error_of(packet.frame));
    ASSERT_EQ(packet.count, 1u);
    const int file = packet.descriptors[0].get();
    u64 value = 0;
    ASSERT_EQ(pread(file, &value, sizeof value, 0), ssize_t{sizeof value});
    EXPECT_EQ(value, 5u);
    EXPECT_LT(pwrite(file, &value, sizeof value, 0), 0);
    EXPECT_EQ(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0), MAP_FAILED);
    const int again = open(("/proc/self/fd/" + std::to_string(file)).c_str(), O_RDWR);
    if (again >= 0) {  // who owns the file may open it, and still not write
        EXPECT_LT(pwrite(again, &value, sizeof value, 0), 0);
        EXPECT_EQ(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0), MAP_FAILED);
        EXPECT_LT(ftruncate(again, 0), 0);
        close(again);
    }
    close(map);

    // Who may only write gets nothing to read.
    LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_WRONLY);
    const int secret = bpf_map_create(BPF_MAP_TYPE_ARRAY, "secret", 4, 8, 4, &opts);
    ASSERT_GE(secret, 0);
    ASSERT_TRUE(channel->send({.type = service::FrameType::Present}, {}, {&secret, 1}));
    ASSERT_TRUE(channel->receive(packet));
    ASSERT_TRUE(channel->send(
        {.type = service::FrameType::Memory, .handle = packet.frame.handle, .value = 2}));
    ASSERT_TRUE(channel->receive(packet));
    EXPECT_FALSE(service::error_of(packet.frame));
    u64 none = 0;
    const u32 key = 0;
    for (int i = 0; i < 8; ++i) EXPECT_EQ(bpf_map_lookup_elem(secret, &key, &none), -EPERM);
    close(secret);
}

// A value's words are never seen half-written.
TEST_F(Service, MappedWordsAreWhole) {
    const int map = make_map(BPF_MAP_TYPE_ARRAY);
    map_for_lookups(map);
    std::atomic<bool> stop{false};
    std::thread writer([&] {
        for (u64 i = 0; !stop; ++i) set(map, 0, (i % 256) * 0x0101010101010101);
    });
    for (u32 i = 0; i < 20'000; ++i) {
        const u64 value = value_of(map, 0);
        ASSERT_EQ(value, (value & 0xff) * 0x0101010101010101);
    }
    stop = true;
    writer.join();
    close(map);
}

TEST_F(Service, ThreadsDoNotWaitForEachOther) {
    const int map = make_map(BPF_MAP_TYPE_ARRAY);
    std::atomic<u32> wrong{0};
    std::vector<std::thread> threads;
    for (u32 t = 0; t < 8; ++t) {
        threads.emplace_back([&, t] {
            for (u64 i = 0; i < 300; ++i) wrong += set(map, t, i) != 0 || value_of(map, t) != i;
        });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(wrong.load(), 0u);
    close(map);
}

// --- the daemon itself ---------------------------------------------------------------------------

TEST(ServiceDaemon, APathBelongsToOne) {
    Daemon first;
    ASSERT_TRUE(first.served());
    const std::string path = first.path();
    EXPECT_EQ(in_child([&] {
                  const int null = open("/dev/null", O_WRONLY);
                  dup2(null, STDERR_FILENO);
                  execl(CASEMENT_EBPFSVC, "ebpfsvc", "--socket", path.c_str(), nullptr);
                  return 127;
              }),
              1);
    EXPECT_GT(first.figures().open_files, 0u) << "the first one serves on";
    struct stat status{};
    ASSERT_EQ(stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
    EXPECT_EQ(first.stop(), 0);
    EXPECT_NE(access(path.c_str(), F_OK), 0) << "it takes its socket along";
}

TEST(ServiceDaemon, AStaleSocketIsReplaced) {
    Daemon daemon;
    ASSERT_TRUE(daemon.served());
    daemon.stop(SIGKILL);
    struct stat status{};
    EXPECT_EQ(lstat(daemon.path().c_str(), &status), 0) << "left by the killed one";
    daemon.start();
    EXPECT_GT(daemon.figures().open_files, 0u);
    EXPECT_EQ(daemon.stop(), 0);
}

// The state and the parent of a process as the system tells them; nothing of one that is gone.
struct ProcessState {
    char state = 0;
    pid_t parent = 0;
};
std::optional<ProcessState> state_of(pid_t process) {
    std::ifstream file("/proc/" + std::to_string(process) + "/stat");
    const std::string text((std::istreambuf_iterator<char>(file)), {});
    const size_t name_ends = text.rfind(')');
    ProcessState found;
    if (name_ends == std::string::npos ||
        std::sscanf(text.c_str() + name_ends, ") %c %d", &found.state, &found.parent) != 2) {
        return {};
    }
    return found;
}

TEST(ServiceDaemon, ChildrenEndWithADaemonThatIsKilled) {
    Daemon killed;
    ASSERT_TRUE(killed.served());
    std::vector<pid_t> children;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
        const pid_t process = std::atoi(entry.path().filename().c_str());
        const auto state = process > 0 ? state_of(process) : std::nullopt;
        if (state && state->parent == killed.process()) children.push_back(process);
    }
    ASSERT_FALSE(children.empty());
    killed.stop(SIGKILL);
    for (const pid_t child : children) {
        EXPECT_TRUE(eventually([&] {
            const auto state = state_of(child);
            return !state || state->state == 'Z';
        })) << "child "
            << child << " goes on";
    }
}

}  // namespace
}  // namespace ebpf::test
