// SPDX-License-Identifier: MIT
//
// An object in eBPF for Windows' dialect through the whole way: opening finds or takes the dialect,
// map types and helpers are translated, and verdicts come back in Linux's numbers, with both
// engines.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <casement/embedded.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "../../examples/windows_droppacket/droppacket.h"

namespace {

using testing::ElementsAre;
using Bytes = std::vector<unsigned char>;

constexpr __u32 kWindowsPass = 1, kWindowsDrop = 2, kWindowsTransmit = 3;
constexpr __u32 kSender = 0x0a00000a;  // the same in either byte order

void append(Bytes& to, std::initializer_list<int> bytes) {
    for (const int byte : bytes) to.push_back(static_cast<unsigned char>(byte));
}

// An Ethernet frame with an IPv4 datagram of `data` bytes; a 802.1Q tag in front when `tagged`.
Bytes frame(int protocol, int data, bool tagged = false, int fragment = 0) {
    Bytes f;
    append(f, {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2});
    if (tagged) append(f, {0x81, 0, 0, 5});
    append(f, {8, 0});
    append(f, {0x45, 0, 0, 28 + data, 0, 0, 0, fragment, 64, protocol, 0, 0});
    append(f, {10, 0, 0, 10, 10, 0, 0, 2});
    append(f, {0, 9, 0, 9, 0, 8 + data, 0, 0});
    f.resize(f.size() + static_cast<size_t>(data));
    return f;
}

Bytes cut(Bytes bytes, size_t size) {
    bytes.resize(size);
    return bytes;
}

// A capture file of these frames.
class Capture {
  public:
    explicit Capture(const std::vector<Bytes>& frames)
        : path_(testing::TempDir() + "casement_windows" + std::to_string(getpid()) + ".pcap") {
        std::ofstream out(path_, std::ios::binary);
        const auto put = [&out](std::initializer_list<__u32> words) {
            for (const __u32 word : words)
                out.write(reinterpret_cast<const char*>(&word), sizeof word);
        };
        put({0xa1b2c3d4, 2 | 4 << 16, 0, 0, 65535, 1});
        for (const Bytes& f : frames) {
            const auto size = static_cast<__u32>(f.size());
            put({0, 0, size, size});
            out.write(reinterpret_cast<const char*>(f.data()), size);
        }
        out.close();
        capture_ = ebpf_capture__open(path_.c_str());
    }
    ~Capture() {
        ebpf_capture__close(capture_);
        std::remove(path_.c_str());
    }
    const ebpf_capture* get() const { return capture_; }

  private:
    std::string path_;
    ebpf_capture* capture_ = nullptr;
};

const std::string kObject = std::string(CASEMENT_EXAMPLE_OBJECTS) + "/windows_droppacket.o";

class WindowsTest : public testing::TestWithParam<ebpf_engine> {
  protected:
    void SetUp() override {
        if (!std::filesystem::exists(kObject))
            GTEST_SKIP() << kObject << " is not built: no clang with a BPF target";
        object_ = bpf_object__open(kObject.c_str());
        ASSERT_NE(object_, nullptr);
        const int status = ebpf_object__set_engine(object_, GetParam());
        if (status == -EOPNOTSUPP) GTEST_SKIP() << "no such engine on this machine";
        ASSERT_EQ(status, 0);
        ASSERT_EQ(bpf_object__load(object_), 0);
    }
    void TearDown() override { bpf_object__close(object_); }

    int program(const char* name) const {
        return bpf_program__fd(bpf_object__find_program_by_name(object_, name));
    }
    bpf_map* map(const char* name) const { return bpf_object__find_map_by_name(object_, name); }

    __u64 counted(__u32 counter) const {
        std::vector<__u64> values(static_cast<size_t>(libbpf_num_possible_cpus()));
        EXPECT_EQ(bpf_map__lookup_elem(map("packets"), &counter, sizeof counter, values.data(),
                                       values.size() * sizeof(__u64), 0),
                  0);
        __u64 sum = 0;
        for (const __u64 value : values) sum += value;
        return sum;
    }

    bpf_object* object_ = nullptr;
};

int keep(void* context, const ebpf_packet* packet) {
    static_cast<std::vector<unsigned>*>(context)->push_back(packet->verdict);
    return 0;
}

TEST_P(WindowsTest, TheDialectIsFoundAndMapTypesAreTranslated) {
    EXPECT_EQ(ebpf_object__dialect(object_), EBPF_DIALECT_WINDOWS);
    EXPECT_EQ(bpf_map__type(map("watched_interface")), BPF_MAP_TYPE_ARRAY);
    EXPECT_EQ(bpf_map__type(map("packets")), BPF_MAP_TYPE_PERCPU_ARRAY);
    EXPECT_EQ(bpf_map__type(map("senders")), BPF_MAP_TYPE_HASH);
    bpf_map_info info{};
    __u32 size = sizeof info;
    ASSERT_EQ(bpf_obj_get_info_by_fd(bpf_map__fd(map("senders")), &info, &size), 0);
    EXPECT_EQ(info.type, static_cast<__u32>(BPF_MAP_TYPE_HASH));
    bpf_program* const prog = bpf_object__find_program_by_name(object_, "droppacket");
    ASSERT_NE(prog, nullptr);
    EXPECT_EQ(bpf_program__type(prog), BPF_PROG_TYPE_XDP);
}

TEST_P(WindowsTest, VerdictsOfAnAttachedProgramAreLinuxNumbers) {
    const Capture capture({frame(17, 0), frame(17, 4), frame(6, 0), cut(frame(17, 0), 34),
                           frame(17, 0, false, 8), frame(17, 0)});
    ASSERT_NE(capture.get(), nullptr);
    bpf_link* const link =
        bpf_program__attach_xdp(bpf_object__find_program_by_name(object_, "droppacket"), 21);
    ASSERT_NE(link, nullptr);

    std::vector<unsigned> verdicts;
    LIBBPF_OPTS(ebpf_replay_opts, opts, .on_packet = keep, .ctx = &verdicts);
    ebpf_replay_result result{};
    EXPECT_EQ(ebpf_capture__replay(capture.get(), 21, &opts, &result), 0);
    EXPECT_THAT(verdicts, ElementsAre(XDP_DROP, XDP_PASS, XDP_PASS, XDP_PASS, XDP_PASS, XDP_DROP));
    EXPECT_EQ(result.verdicts[XDP_DROP], 2u);
    EXPECT_EQ(result.verdicts[XDP_PASS], 4u);
    EXPECT_EQ(counted(PACKETS_DROPPED), 2u);
    EXPECT_EQ(counted(PACKETS_PASSED), 4u);
    __u64 dropped = 0;
    EXPECT_EQ(bpf_map__lookup_elem(map("senders"), &kSender, 4, &dropped, 8, 0), 0);
    EXPECT_EQ(dropped, 2u);

    // Another interface is watched: everything passes.
    const __u32 zero = 0, other = 22;
    ASSERT_EQ(bpf_map__update_elem(map("watched_interface"), &zero, 4, &other, 4, 0), 0);
    EXPECT_EQ(ebpf_capture__replay(capture.get(), 21, nullptr, &result), 0);
    EXPECT_EQ(result.verdicts[XDP_PASS], 6u);
    EXPECT_EQ(counted(PACKETS_OTHER_INTERFACE), 6u);
    EXPECT_EQ(counted(PACKETS_DROPPED), 2u);
    bpf_link__destroy(link);
}

// A test run gives what the program returned, in the program's own numbers.
TEST_P(WindowsTest, TestRunGivesTheProgramsNumbers) {
    Bytes packet = frame(17, 0);
    LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet.data(),
                .data_size_in = static_cast<__u32>(packet.size()));
    ASSERT_EQ(bpf_prog_test_run_opts(program("droppacket"), &run), 0);
    EXPECT_EQ(run.retval, kWindowsDrop);
    packet = frame(17, 1);
    LIBBPF_OPTS(bpf_test_run_opts, full, .data_in = packet.data(),
                .data_size_in = static_cast<__u32>(packet.size()), .repeat = 3);
    ASSERT_EQ(bpf_prog_test_run_opts(program("droppacket"), &full), 0);
    EXPECT_EQ(full.retval, kWindowsPass);
    EXPECT_EQ(counted(PACKETS_DROPPED), 1u);
    EXPECT_EQ(counted(PACKETS_PASSED), 3u);
}

// bpf_xdp_adjust_head has another number in Windows.
TEST_P(WindowsTest, AHelperOfTheHook) {
    const Bytes tagged = frame(17, 6, true), plain = frame(17, 6);
    Bytes out(tagged.size());
    LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = tagged.data(), .data_out = out.data(),
                .data_size_in = static_cast<__u32>(tagged.size()),
                .data_size_out = static_cast<__u32>(out.size()));
    ASSERT_EQ(bpf_prog_test_run_opts(program("untag"), &run), 0);
    EXPECT_EQ(run.retval, kWindowsTransmit);
    ASSERT_EQ(run.data_size_out, plain.size());
    out.resize(plain.size());
    EXPECT_EQ(out, plain);
}

INSTANTIATE_TEST_SUITE_P(Engines, WindowsTest,
                         testing::Values(EBPF_ENGINE_INTERPRETER, EBPF_ENGINE_JIT),
                         [](const auto& engine) {
                             return engine.param == EBPF_ENGINE_JIT ? "Jit" : "Interpreter";
                         });

TEST(WindowsOpenTest, TheCallerMayChooseTheDialect) {
    if (!std::filesystem::exists(kObject))
        GTEST_SKIP() << kObject << " is not built: no clang with a BPF target";
    bpf_object* obj = ebpf_object__open_file(kObject.c_str(), EBPF_DIALECT_WINDOWS, nullptr);
    ASSERT_NE(obj, nullptr);
    EXPECT_EQ(ebpf_object__dialect(obj), EBPF_DIALECT_WINDOWS);
    bpf_object__close(obj);

    std::ifstream in(kObject, std::ios::binary);
    const std::string bytes(std::istreambuf_iterator<char>(in), {});
    obj = ebpf_object__open_mem(bytes.data(), bytes.size(), EBPF_DIALECT_AUTO, nullptr);
    ASSERT_NE(obj, nullptr);
    EXPECT_EQ(ebpf_object__dialect(obj), EBPF_DIALECT_WINDOWS);
    bpf_object__close(obj);

    // As if it were Linux's: its context is another one, and nothing of it is loaded.
    libbpf_set_print(nullptr);
    obj = ebpf_object__open_file(kObject.c_str(), EBPF_DIALECT_LINUX, nullptr);
    ASSERT_NE(obj, nullptr);
    EXPECT_EQ(ebpf_object__dialect(obj), EBPF_DIALECT_LINUX);
    EXPECT_LT(bpf_object__load(obj), 0);
    bpf_object__close(obj);

    EXPECT_EQ(ebpf_object__open_file(kObject.c_str(), static_cast<ebpf_dialect>(3), nullptr),
              nullptr);
    EXPECT_EQ(errno, EINVAL);
}

}  // namespace
