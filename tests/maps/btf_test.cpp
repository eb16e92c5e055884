// SPDX-License-Identifier: MIT
// Type information through the door: what an object's loader sends, and what programs' information
// and the verifier's report make of it.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "object_test.hpp"

namespace {

struct Loaded {
    bpf_object* object = bpf_object__open_file(object_path("typed.o").c_str(), nullptr);
    Loaded() {
        if (object && bpf_object__load(object) != 0) close();
    }
    ~Loaded() { close(); }
    Loaded(const Loaded&) = delete;
    Loaded& operator=(const Loaded&) = delete;
    void close() {
        bpf_object__close(object);
        object = nullptr;
    }
    int map(const char* name) const { return bpf_object__find_map_fd_by_name(object, name); }
    int program(const char* name) const {
        return bpf_program__fd(bpf_object__find_program_by_name(object, name));
    }
};

template <typename Info>
Info info_of(int fd) {
    Info info{};
    __u32 size = sizeof info;
    EXPECT_EQ(bpf_obj_get_info_by_fd(fd, &info, &size), 0) << std::strerror(errno);
    return info;
}

std::vector<unsigned char> bytes_of_btf(__u32 id) {
    const int fd = bpf_btf_get_fd_by_id(id);
    EXPECT_GE(fd, 0);
    const auto first = info_of<bpf_btf_info>(fd);
    EXPECT_EQ(first.id, id);
    std::vector<unsigned char> bytes(first.btf_size);
    bpf_btf_info info{};
    info.btf = reinterpret_cast<__u64>(bytes.data());
    info.btf_size = first.btf_size;
    __u32 size = sizeof info;
    EXPECT_EQ(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
    close(fd);
    return bytes;
}

TEST(Btf, MapsAndProgramsSayWhatTheyAreDescribedBy) {
    const Loaded loaded;
    ASSERT_TRUE(loaded.object);
    const auto map = info_of<bpf_map_info>(loaded.map("pairs"));
    EXPECT_NE(map.btf_id, 0u);
    EXPECT_NE(map.btf_key_type_id, 0u);
    EXPECT_NE(map.btf_value_type_id, 0u);
    const std::vector<unsigned char> bytes = bytes_of_btf(map.btf_id);
    btf_header header{};
    ASSERT_GE(bytes.size(), sizeof header);
    std::memcpy(&header, bytes.data(), sizeof header);
    EXPECT_EQ(header.magic, BTF_MAGIC);

    // A map type that takes none is made without.
    EXPECT_EQ(info_of<bpf_map_info>(loaded.map("events")).btf_id, 0u);

    EXPECT_EQ(info_of<bpf_map_info>(loaded.map("seen")).map_extra, 3u);

    const auto program = info_of<bpf_prog_info>(loaded.program("typed"));
    EXPECT_EQ(program.btf_id, map.btf_id);
    EXPECT_EQ(program.func_info_rec_size, sizeof(bpf_func_info));
    EXPECT_EQ(program.line_info_rec_size, sizeof(bpf_line_info));
    EXPECT_EQ(program.nr_func_info, 2u);
    ASSERT_GT(program.nr_line_info, 2u);

    std::vector<bpf_line_info> lines(program.nr_line_info);
    bpf_prog_info asked{};
    asked.nr_line_info = program.nr_line_info;
    asked.line_info_rec_size = sizeof(bpf_line_info);
    asked.line_info = reinterpret_cast<__u64>(lines.data());
    __u32 size = sizeof asked;
    ASSERT_EQ(bpf_obj_get_info_by_fd(loaded.program("typed"), &asked, &size), 0);
    const auto* strings =
        reinterpret_cast<const char*>(bytes.data()) + header.hdr_len + header.str_off;
    EXPECT_TRUE(std::string(strings + lines[0].file_name_off).ends_with("typed.bpf.c"));
    EXPECT_EQ(lines[0].insn_off, 0u);

    asked = {.line_info_rec_size = 12};
    size = sizeof asked;
    EXPECT_EQ(bpf_obj_get_info_by_fd(loaded.program("typed"), &asked, &size), -EINVAL);
}

TEST(Btf, IdsEndWithTheirLastUser) {
    __u32 id = 0;
    int map = -1;
    {
        const Loaded loaded;
        ASSERT_TRUE(loaded.object);
        map = dup(loaded.map("pairs"));
        id = info_of<bpf_map_info>(map).btf_id;
    }
    // The map keeps it, and its information says so.
    const int fd = bpf_btf_get_fd_by_id(id);
    EXPECT_GE(fd, 0);
    __u32 next = 0;
    EXPECT_EQ(bpf_btf_get_next_id(id - 1, &next), 0);
    EXPECT_EQ(next, id);
    close(fd);
    close(map);
    // The library learns of close() at its next call.
    const int other = bpf_map_create(BPF_MAP_TYPE_ARRAY, "other", 4, 4, 1, nullptr);
    EXPECT_EQ(bpf_btf_get_fd_by_id(id), -ENOENT);
    close(other);
}

// What the application gives with PROG_LOAD makes the report speak of its lines.
TEST(Btf, AReportNamesTheLinesOfProgLoad) {
    const std::string strings = std::string("\0int\0broken\0broken.c\0  return *absent;\0", 39);
    const std::vector<__u32> types = {1, BTF_KIND_INT << 24,        4, 32,  //
                                      0, BTF_KIND_FUNC_PROTO << 24, 1,      //
                                      5, BTF_KIND_FUNC << 24,       2};
    btf_header header{};
    header.magic = BTF_MAGIC;
    header.version = BTF_VERSION;
    header.hdr_len = sizeof header;
    header.type_len = header.str_off = static_cast<__u32>(types.size() * 4);
    header.str_len = static_cast<__u32>(strings.size());
    std::string btf(reinterpret_cast<const char*>(&header), sizeof header);
    btf.append(reinterpret_cast<const char*>(types.data()), header.type_len).append(strings);
    const int fd = bpf_btf_load(btf.data(), btf.size(), nullptr);
    ASSERT_GE(fd, 0) << std::strerror(errno);

    const bpf_insn insns[] = {{BPF_ALU64 | BPF_MOV | BPF_K, 1, 0, 0, 0},
                              {BPF_LDX | BPF_MEM | BPF_DW, 0, 1, 0, 0},
                              {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
    const bpf_func_info functions[] = {{0, 3}};
    const bpf_line_info lines[] = {{0, 12, 21, 7 << 10 | 3}};
    char log[4096] = {};
    LIBBPF_OPTS(bpf_prog_load_opts, opts, .prog_btf_fd = static_cast<__u32>(fd));
    opts.func_info = functions;
    opts.func_info_cnt = 1;
    opts.func_info_rec_size = sizeof functions[0];
    opts.line_info = lines;
    opts.line_info_cnt = 1;
    opts.line_info_rec_size = sizeof lines[0];
    opts.log_level = 1;
    opts.log_buf = log;
    opts.log_size = sizeof log;
    EXPECT_EQ(bpf_prog_load(BPF_PROG_TYPE_XDP, "broken", "GPL", insns, 3, &opts), -EACCES);
    EXPECT_TRUE(std::strstr(log, "broken.c:7")) << log;
    EXPECT_TRUE(std::strstr(log, "return *absent;")) << log;
    close(fd);
}

// Untrusted: what is wrong is said, and nothing is kept.
TEST(Btf, DamagedTypesAreRefusedWithAReason) {
    char bytes[64] = {};
    char log[128] = {};
    LIBBPF_OPTS(bpf_btf_load_opts, opts, .log_buf = log, .log_size = sizeof log);
    EXPECT_EQ(bpf_btf_load(bytes, sizeof bytes, &opts), -EINVAL);
    EXPECT_TRUE(std::strstr(log, "BTF magic")) << log;
}

}  // namespace
