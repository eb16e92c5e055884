// SPDX-License-Identifier: MIT
//
// libbpf's API as applications use it, over the embedded execution context: conventions of errors
// and descriptors, objects, maps, links, test runs, and both engines over one capture.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <casement/embedded.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

namespace {

using testing::HasSubstr;

std::string printed;

int collect(libbpf_print_level, const char* format, va_list arguments) {
    char text[4096];
    std::vsnprintf(text, sizeof text, format, arguments);
    printed += text;
    return 0;
}

class LibbpfTest : public testing::Test {
  protected:
    void SetUp() override {
        printed.clear();
        libbpf_set_print(&collect);
    }
    static std::string object(const std::string& name) {
        return std::string(CASEMENT_EXAMPLE_OBJECTS) + "/" + name;
    }
    static bool built(const std::string& name) { return std::filesystem::exists(object(name)); }
};

#define NEEDS(name) \
    if (!built(name)) GTEST_SKIP() << name << " is not built: no clang with a BPF target"

// r0 = 2; exit
constexpr bpf_insn kPass[] = {{.code = 0xb7, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 2},
                              {.code = 0x95, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};

int load_pass() {
    return bpf_prog_load(BPF_PROG_TYPE_XDP, "pass", "GPL", kPass, 2, nullptr);
}

// --- Types of another kernel
// ----------------------------------------------------------------------------

// Of tests/objects/core.c, fitted to the types in `target`, only that program as an XDP one.
bpf_object* open_core(const std::string& target, const char* program) {
    const std::string folder = std::string(CASEMENT_TEST_OBJECTS) + "/clang19/";
    const std::string path = target.empty() || target[0] == '/' ? target : folder + target;
    LIBBPF_OPTS(bpf_object_open_opts, opts);
    if (!path.empty()) opts.btf_custom_path = path.c_str();
    bpf_object* const object = bpf_object__open_file((folder + "core.o").c_str(), &opts);
    bpf_program* each = nullptr;
    while (object && (each = bpf_object__next_program(object, each)) != nullptr) {
        bpf_program__set_autoload(each, std::string(bpf_program__name(each)) == program);
        bpf_program__set_type(each, BPF_PROG_TYPE_XDP);
    }
    return object;
}

int result_of(bpf_object* object, const char* name) {
    char packet[14] = {};
    LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet, .data_size_in = sizeof packet);
    const int fd = bpf_program__fd(bpf_object__find_program_by_name(object, name));
    return bpf_prog_test_run_opts(fd, &run) == 0 ? static_cast<int>(run.retval) : -1;
}

TEST_F(LibbpfTest, ProgramsAreFittedToTheTypesOfACustomPath) {
    NEEDS("../objects/clang19/core.o");
    for (const auto& [target, green] : {std::pair("core_target.o", 50), std::pair("", 5)}) {
        bpf_object* const object = open_core(target, "green");
        ASSERT_NE(object, nullptr);
        ASSERT_EQ(bpf_object__load(object), 0) << printed;
        EXPECT_EQ(result_of(object, "green"), green);
        bpf_object__close(object);
    }
}

TEST_F(LibbpfTest, WhatTheCustomTypesLackIsNamed) {
    NEEDS("../objects/clang19/core.o");
    bpf_object* object = open_core("core_target.o", "guarded_black");
    ASSERT_NE(object, nullptr);
    EXPECT_EQ(bpf_object__load(object), 0) << printed;
    EXPECT_EQ(result_of(object, "guarded_black"), 8);
    bpf_object__close(object);

    object = open_core("core_target.o", "unguarded_black");
    ASSERT_NE(object, nullptr);
    EXPECT_LT(bpf_object__load(object), 0);
    EXPECT_THAT(printed, HasSubstr("enum color has no enumerator 'BLACK'"));
    bpf_object__close(object);
}

// As with libbpf the file matters at load, and only to programs that ask about types.
TEST_F(LibbpfTest, CustomTypesThatCannotBeRead) {
    NEEDS("../objects/clang19/core.o");
    for (const auto& [path, error] :
         {std::pair("/no/such/file", -ENOENT), std::pair("core.c", -ENOENT),
          std::pair(CASEMENT_MAKE_TRAFFIC, -ENOENT), std::pair("/etc/passwd", -EINVAL)}) {
        bpf_object* const object = open_core(path, "green");
        ASSERT_NE(object, nullptr);
        EXPECT_EQ(bpf_object__load(object), error) << path;
        EXPECT_THAT(printed, HasSubstr("failed to parse target BTF"));
        bpf_object__close(object);
    }
    LIBBPF_OPTS(bpf_object_open_opts, opts, .btf_custom_path = "/no/such/file");
    const std::string path = std::string(CASEMENT_TEST_OBJECTS) + "/clang19/legacy.o";
    bpf_object* const object = bpf_object__open_file(path.c_str(), &opts);
    ASSERT_NE(object, nullptr);
    bpf_program* each = nullptr;
    while ((each = bpf_object__next_program(object, each)) != nullptr)
        bpf_program__set_autoload(each, false);
    EXPECT_EQ(bpf_object__load(object), 0) << printed;
    bpf_object__close(object);
}

// --- Maps
// ------------------------------------------------------------------------------------------

// A program that was put together by hand finds a value through a map of maps; the descriptor of
// the inner map, which served as the template, is closed by then.
TEST_F(LibbpfTest, MapOfMapsInAProgramByHand) {
    const int inner = bpf_map_create(BPF_MAP_TYPE_ARRAY, "inner", 4, 8, 1, nullptr);
    LIBBPF_OPTS(bpf_map_create_opts, opts, .inner_map_fd = static_cast<__u32>(inner));
    const int outer = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "outer", 4, 4, 1, &opts);
    ASSERT_GE(outer, 0);
    const __u32 zero = 0;
    const __u64 value = 1;
    ASSERT_EQ(bpf_map_update_elem(inner, &zero, &value, BPF_ANY), 0);
    ASSERT_EQ(bpf_map_update_elem(outer, &zero, &inner, BPF_ANY), 0);
    close(inner);
    const auto op = [](int code, int dst, int src, int off, int imm) {
        return bpf_insn{.code = static_cast<__u8>(code),
                        .dst_reg = static_cast<__u8>(dst & 15),
                        .src_reg = static_cast<__u8>(src & 15),
                        .off = static_cast<__s16>(off),
                        .imm = imm};
    };
    const bpf_insn lookup[] = {
        op(0x62, 10, 0, -4, 0),                           // *(u32 *)(r10 - 4) = 0
        op(0x18, 1, 1, 0, outer),                         // r1 = outer
        op(0, 0, 0, 0, 0),        op(0xbf, 2, 10, 0, 0),  // r2 = r10 - 4
        op(0x07, 2, 0, 0, -4),    op(0x85, 0, 0, 0, 1),   // look up
        op(0x15, 0, 0, 7, 0),                             // if r0 == 0 goto exit
        op(0xbf, 1, 0, 0, 0),                             // the inner map
        op(0xbf, 2, 10, 0, 0),    op(0x07, 2, 0, 0, -4), op(0x85, 0, 0, 0, 1),
        op(0x15, 0, 0, 2, 0),     op(0x79, 0, 0, 0, 0),  // r0 = *(u64 *)(r0 + 0)
        op(0x57, 0, 0, 0, 3),                            // r0 &= 3
        op(0x95, 0, 0, 0, 0),
    };
    const int program =
        bpf_prog_load(BPF_PROG_TYPE_XDP, "inner", "GPL", lookup, std::size(lookup), nullptr);
    ASSERT_GE(program, 0) << std::strerror(errno);
    char packet[14] = {};
    LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet, .data_size_in = sizeof packet);
    EXPECT_EQ(bpf_prog_test_run_opts(program, &run), 0);
    EXPECT_EQ(run.retval, 1u);
    close(program);
    close(outer);
}

TEST_F(LibbpfTest, HashMapThroughDescriptors) {
    const int map = bpf_map_create(BPF_MAP_TYPE_HASH, "numbers", 4, 8, 2, nullptr);
    ASSERT_GE(map, 0);
    __u32 key = 1;
    __u64 value = 10;
    EXPECT_EQ(bpf_map_update_elem(map, &key, &value, BPF_ANY), 0);
    EXPECT_EQ(bpf_map_update_elem(map, &key, &value, BPF_NOEXIST), -EEXIST);
    EXPECT_EQ(errno, EEXIST);
    key = 2;
    EXPECT_EQ(bpf_map_update_elem(map, &key, &value, BPF_EXIST), -ENOENT);
    EXPECT_EQ(bpf_map_update_elem(map, &key, &value, BPF_ANY), 0);
    key = 3;
    EXPECT_EQ(bpf_map_update_elem(map, &key, &value, BPF_ANY), -E2BIG);
    EXPECT_EQ(bpf_map_lookup_elem(map, &key, &value), -ENOENT);
    int count = 0;
    for (__u32* previous = nullptr; bpf_map_get_next_key(map, previous, &key) == 0; previous = &key)
        ++count;
    EXPECT_EQ(count, 2);
    key = 1, value = 0;
    EXPECT_EQ(bpf_map_lookup_and_delete_elem(map, &key, &value), 0);
    EXPECT_EQ(value, 10u);
    EXPECT_EQ(bpf_map_delete_elem(map, &key), -ENOENT);
    close(map);
}

TEST_F(LibbpfTest, MapCreateErrors) {
    EXPECT_EQ(bpf_map_create(BPF_MAP_TYPE_ARRAY, "a", 8, 8, 1, nullptr), -EINVAL);  // key size
    EXPECT_EQ(bpf_map_create(BPF_MAP_TYPE_HASH, "a", 4, 8, 0, nullptr), -EINVAL);
    EXPECT_EQ(bpf_map_create(static_cast<bpf_map_type>(9999), "a", 4, 8, 1, nullptr), -EINVAL);
    EXPECT_LT(bpf_map_create(BPF_MAP_TYPE_STACK_TRACE, "a", 4, 8, 1, nullptr), 0);
}

TEST_F(LibbpfTest, DescriptorsAreTheProcessesOwn) {
    const int map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "a", 4, 8, 4, nullptr);
    ASSERT_GE(map, 0);
    const int copy = dup(map);
    close(map);
    __u32 key = 3;
    __u64 value = 5;
    EXPECT_EQ(bpf_map_update_elem(copy, &key, &value, 0), 0);
    EXPECT_EQ(bpf_map_update_elem(map, &key, &value, 0), -EBADF) << "closed";
    const int other = open("/dev/null", O_RDONLY);
    EXPECT_EQ(bpf_map_update_elem(other, &key, &value, 0), -EINVAL) << "somebody else's file";
    close(other);
    close(copy);
}

TEST_F(LibbpfTest, ObjectsGoWithTheirDescriptors) {
    const int map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "gone", 4, 8, 4, nullptr);
    bpf_map_info info{};
    __u32 size = sizeof info;
    ASSERT_EQ(bpf_obj_get_info_by_fd(map, &info, &size), 0);
    EXPECT_STREQ(info.name, "gone");
    EXPECT_EQ(info.max_entries, 4u);
    const int again = bpf_map_get_fd_by_id(info.id);
    ASSERT_GE(again, 0);
    close(again);
    close(map);
    // Noticed when the next object is made.
    close(bpf_map_create(BPF_MAP_TYPE_ARRAY, "next", 4, 8, 4, nullptr));
    EXPECT_EQ(bpf_map_get_fd_by_id(info.id), -ENOENT);
}

TEST_F(LibbpfTest, PinsKeepObjects) {
    const int map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "pinned", 4, 4, 1, nullptr);
    EXPECT_EQ(bpf_obj_pin(map, "/sys/fs/bpf/test_pin"), 0);
    EXPECT_EQ(bpf_obj_pin(map, "/sys/fs/bpf/test_pin"), -EEXIST);
    __u32 key = 0, value = 77;
    EXPECT_EQ(bpf_map_update_elem(map, &key, &value, 0), 0);
    close(map);
    const int back = bpf_obj_get("/sys/fs/bpf/test_pin");
    ASSERT_GE(back, 0);
    value = 0;
    EXPECT_EQ(bpf_map_lookup_elem(back, &key, &value), 0);
    EXPECT_EQ(value, 77u);
    EXPECT_EQ(bpf_obj_get("/sys/fs/bpf/nothing"), -ENOENT);
    close(back);
}

TEST_F(LibbpfTest, ObjectsArePinnedWholeOrNotAtAll) {
    NEEDS("packet_events.o");
    bpf_object* const obj = bpf_object__open(object("packet_events.o").c_str());
    ASSERT_NE(obj, nullptr);
    EXPECT_EQ(bpf_object__pin(nullptr, "/p"), -ENOENT);
    EXPECT_EQ(bpf_object__pin_maps(obj, "/p"), -ENOENT) << "not loaded";
    ASSERT_EQ(bpf_object__load(obj), 0) << printed;
    EXPECT_EQ(bpf_object__pin_programs(obj, nullptr), -EINVAL);
    const auto exists = [](const char* path) {
        const int fd = bpf_obj_get(path);
        if (fd >= 0) close(fd);
        return fd >= 0;
    };

    // The program's place is taken: the maps are unpinned again.
    const int other = load_pass();
    ASSERT_EQ(bpf_obj_pin(other, "/p/packet_events"), 0);
    EXPECT_EQ(bpf_object__pin(obj, "/p"), -EEXIST);
    EXPECT_EQ(errno, EEXIST);
    for (const char* path : {"/p/packets", "/p/events", "/p/packet_e_rodata"})
        EXPECT_FALSE(exists(path));
    EXPECT_EQ(bpf_object__unpin_programs(obj, "/p"), 0);
    close(other);

    EXPECT_EQ(bpf_object__pin(obj, "/p"), 0);
    for (const char* path : {"/p/packets", "/p/events", "/p/packet_e_rodata", "/p/packet_events"})
        EXPECT_TRUE(exists(path)) << path;
    bpf_map* const packets = bpf_object__find_map_by_name(obj, "packets");
    EXPECT_TRUE(bpf_map__is_pinned(packets));
    EXPECT_STREQ(bpf_map__pin_path(packets), "/p/packets");
    EXPECT_EQ(bpf_object__pin_maps(obj, "/q"), -EINVAL) << "they are somewhere else";
    EXPECT_EQ(bpf_object__unpin_maps(obj, "/p"), 0);
    EXPECT_EQ(bpf_object__unpin_programs(obj, "/p"), 0);
    EXPECT_FALSE(exists("/p/packets"));
    EXPECT_FALSE(exists("/p/packet_events"));
    bpf_object__close(obj);
}

TEST_F(LibbpfTest, Batches) {
    const int map = bpf_map_create(BPF_MAP_TYPE_HASH, "batch", 4, 8, 10, nullptr);
    const __u32 keys[] = {1, 2, 3, 4, 5};
    const __u64 values[] = {10, 20, 30, 40, 50};
    LIBBPF_OPTS(bpf_map_batch_opts, opts, .elem_flags = BPF_NOEXIST);
    __u32 count = 5;
    EXPECT_EQ(bpf_map_update_batch(map, keys, values, &count, &opts), -EINVAL) << "as the kernel";
    EXPECT_EQ(count, 5u);
    EXPECT_EQ(bpf_map_update_batch(map, keys, values, &count, nullptr), 0);
    EXPECT_EQ(count, 5u);

    __u32 position = 0, got[10];
    __u64 gave[10], sum = 0;
    int batches = 0, status = 0;
    for (void* in = nullptr; status == 0; in = &position, ++batches) {
        count = 5;
        status = bpf_map_lookup_batch(map, in, &position, got, gave, &count, nullptr);
        for (__u32 i = 0; i < count; ++i) {
            EXPECT_EQ(gave[i], got[i] * 10);
            sum += gave[i];
        }
    }
    EXPECT_EQ(status, -ENOENT);
    EXPECT_LE(batches, 2) << "a bucket is copied whole";
    EXPECT_EQ(sum, 150u);

    const __u32 some[] = {2, 4, 9, 5};
    count = 4;
    EXPECT_EQ(bpf_map_delete_batch(map, some, &count, nullptr), -ENOENT);
    EXPECT_EQ(count, 2u) << "two were there, and the one behind the failure stays";
    count = 10;
    EXPECT_EQ(bpf_map_lookup_and_delete_batch(map, nullptr, &position, got, gave, &count, nullptr),
              -ENOENT);
    EXPECT_EQ(count, 3u);
    EXPECT_EQ(bpf_map_get_next_key(map, nullptr, got), -ENOENT) << "empty";

    count = 1;
    opts.flags = 1;
    EXPECT_EQ(bpf_map_update_batch(map, keys, values, &count, &opts), -EINVAL);
    EXPECT_EQ(bpf_map_lookup_batch(-1, nullptr, &position, got, gave, &count, nullptr), -EBADF);
    EXPECT_EQ(bpf_map_update_batch(map, nullptr, values, &count, nullptr), -EFAULT);
    close(map);
}

// A position has 4 bytes and no more, whatever the key's size.
TEST_F(LibbpfTest, BatchesOfLongKeys) {
    const int map = bpf_map_create(BPF_MAP_TYPE_HASH, "long", 16, 4, 8, nullptr);
    __u64 keys[3][2] = {{1, 1}, {2, 2}, {3, 3}}, got[8][2];
    const __u32 values[] = {1, 2, 3};
    __u32 count = 3, gave[8], position[2] = {7, 7};
    ASSERT_EQ(bpf_map_update_batch(map, keys, values, &count, nullptr), 0);
    for (const __u32 room : {3u, 8u}) {
        count = room;
        EXPECT_EQ(bpf_map_lookup_batch(map, nullptr, position, got, gave, &count, nullptr),
                  -ENOENT);
        EXPECT_EQ(count, 3u);
    }
    EXPECT_EQ(position[1], 7u);
    close(map);
}

// --- bpf()
// -----------------------------------------------------------------------------------------

TEST_F(LibbpfTest, AttributeRules) {
    bpf_attr attr{};
    EXPECT_EQ(ebpf_bpf(9999, &attr, sizeof attr), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(ebpf_bpf(0x1000, &attr, sizeof attr), -1) << "installing is privileged";
    EXPECT_EQ(errno, EPERM);
    attr.map_type = BPF_MAP_TYPE_ARRAY, attr.key_size = 4, attr.value_size = 4,
    attr.max_entries = 1;
    char larger[sizeof attr + 64] = {};
    memcpy(larger, &attr, sizeof attr);
    const int map = ebpf_bpf(BPF_MAP_CREATE, reinterpret_cast<bpf_attr*>(larger), sizeof larger);
    EXPECT_GE(map, 0) << "zeros beyond what is known";
    close(map);
    larger[sizeof attr + 8] = 1;
    EXPECT_EQ(ebpf_bpf(BPF_MAP_CREATE, reinterpret_cast<bpf_attr*>(larger), sizeof larger), -1);
    EXPECT_EQ(errno, E2BIG);
    EXPECT_EQ(ebpf_bpf(BPF_MAP_CREATE, nullptr, 8), -1);
    EXPECT_EQ(errno, EFAULT);
}

// --- Programs
// --------------------------------------------------------------------------------------

TEST_F(LibbpfTest, LoadAndTestRun) {
    const int prog = load_pass();
    ASSERT_GE(prog, 0);
    char packet[64] = {}, out[128] = {};
    LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet, .data_out = out,
                .data_size_in = sizeof packet, .data_size_out = sizeof out, .repeat = 10);
    EXPECT_EQ(bpf_prog_test_run_opts(prog, &run), 0);
    EXPECT_EQ(run.retval, 2u);
    EXPECT_EQ(run.data_size_out, sizeof packet);
    run.data_size_in = 5;
    EXPECT_EQ(bpf_prog_test_run_opts(prog, &run), -EINVAL) << "shorter than an Ethernet header";
    bpf_prog_info info{};
    __u32 size = sizeof info;
    EXPECT_EQ(bpf_obj_get_info_by_fd(prog, &info, &size), 0);
    EXPECT_EQ(info.type, static_cast<__u32>(BPF_PROG_TYPE_XDP));
    EXPECT_STREQ(info.name, "pass");
    close(prog);
}

TEST_F(LibbpfTest, RejectedProgramExplainsItself) {
    // r0 = *(u64 *)(r1 + 4096)
    constexpr bpf_insn kBad[] = {{.code = 0x79, .dst_reg = 0, .src_reg = 1, .off = 4096, .imm = 0},
                                 kPass[1]};
    char log[4096] = "untouched";
    LIBBPF_OPTS(bpf_prog_load_opts, opts, .log_level = 1, .log_size = sizeof log, .log_buf = log);
    EXPECT_EQ(bpf_prog_load(BPF_PROG_TYPE_XDP, "bad", "GPL", kBad, 2, &opts), -EACCES);
    EXPECT_EQ(errno, EACCES);
    EXPECT_THAT(log, HasSubstr("error["));
    char small[16] = {};
    opts.log_buf = small, opts.log_size = sizeof small;
    EXPECT_LT(bpf_prog_load(BPF_PROG_TYPE_XDP, "bad", "GPL", kBad, 2, &opts), 0);
    EXPECT_EQ(small[15], '\0');
    opts.log_level = 0;
    EXPECT_EQ(bpf_prog_load(static_cast<bpf_prog_type>(9999), "bad", "GPL", kBad, 2, nullptr),
              -EINVAL);
}

TEST_F(LibbpfTest, AttachReplaceAndDetach) {
    const int one = load_pass(), two = load_pass();
    __u32 id = 0;
    EXPECT_EQ(bpf_xdp_query_id(7, 0, &id), 0);
    EXPECT_EQ(id, 0u);
    EXPECT_EQ(bpf_xdp_attach(7, one, 0, nullptr), 0);
    EXPECT_EQ(bpf_xdp_attach(7, two, 1 /* only if there is none */, nullptr), -EBUSY);
    EXPECT_EQ(bpf_xdp_query_id(7, 0, &id), 0);
    EXPECT_NE(id, 0u);
    EXPECT_LT(bpf_link_create(two, 7, BPF_XDP, nullptr), 0) << "the place is taken";
    EXPECT_EQ(bpf_xdp_detach(7, 0, nullptr), 0);
    const int link = bpf_link_create(one, 7, BPF_XDP, nullptr);
    ASSERT_GE(link, 0);
    EXPECT_EQ(bpf_link_update(link, two, nullptr), 0);
    EXPECT_EQ(bpf_xdp_attach(7, one, 0, nullptr), -EBUSY) << "a link is there";
    EXPECT_EQ(bpf_link_detach(link), 0);
    EXPECT_EQ(bpf_xdp_query_id(7, 0, &id), 0);
    EXPECT_EQ(id, 0u);
    close(link), close(one), close(two);
}

// --- Objects
// ---------------------------------------------------------------------------------------

TEST_F(LibbpfTest, OpenErrors) {
    EXPECT_EQ(bpf_object__open("/nonexistent.o"), nullptr);
    EXPECT_EQ(errno, ENOENT);
    EXPECT_EQ(libbpf_get_error(nullptr), -ENOENT);
    EXPECT_THAT(printed, HasSubstr("/nonexistent.o"));
    EXPECT_EQ(bpf_object__open_mem("not an object", 13, nullptr), nullptr);
    EXPECT_EQ(errno, LIBBPF_ERRNO__FORMAT);
    EXPECT_EQ(bpf_object__open_mem(nullptr, 0, nullptr), nullptr);
    EXPECT_EQ(errno, EINVAL);
}

TEST_F(LibbpfTest, ObjectLifeCycle) {
    NEEDS("packet_events.o");
    bpf_object* const obj = bpf_object__open(object("packet_events.o").c_str());
    ASSERT_NE(obj, nullptr) << printed;
    EXPECT_STREQ(bpf_object__name(obj), "packet_events");
    bpf_program* const prog = bpf_object__find_program_by_name(obj, "packet_events");
    ASSERT_NE(prog, nullptr);
    EXPECT_STREQ(bpf_program__section_name(prog), "xdp");
    EXPECT_EQ(bpf_program__type(prog), BPF_PROG_TYPE_XDP);
    EXPECT_GT(bpf_program__insn_cnt(prog), 10u);
    EXPECT_EQ(bpf_program__fd(prog), -ENOENT);
    EXPECT_EQ(bpf_program__attach_xdp(prog, 1), nullptr);
    bpf_map* const packets = bpf_object__find_map_by_name(obj, "packets");
    ASSERT_NE(packets, nullptr);
    EXPECT_EQ(bpf_map__type(packets), BPF_MAP_TYPE_PERCPU_ARRAY);
    EXPECT_EQ(bpf_map__set_max_entries(packets, 3), 0);
    ASSERT_EQ(bpf_object__load(obj), 0) << printed;
    EXPECT_EQ(bpf_object__load(obj), -EINVAL) << "twice";
    EXPECT_EQ(bpf_map__set_max_entries(packets, 4), -EBUSY);
    __u32 key = 0;
    std::vector<__u64> values(static_cast<size_t>(libbpf_num_possible_cpus()));
    EXPECT_EQ(bpf_map__lookup_elem(packets, &key, 4, values.data(), 8 * values.size(), 0), 0);
    EXPECT_EQ(bpf_map__lookup_elem(packets, &key, 8, values.data(), 8 * values.size(), 0), -EINVAL);
    EXPECT_EQ(bpf_map__lookup_elem(packets, &key, 4, values.data(), 4, 0), -EINVAL);
    bpf_object__close(obj);
}

TEST_F(LibbpfTest, UnsafeObjectFailsWithItsReport) {
    NEEDS("drop_empty_udp_unsafe.o");
    bpf_object* const obj = bpf_object__open(object("drop_empty_udp_unsafe.o").c_str());
    ASSERT_NE(obj, nullptr);
    EXPECT_EQ(bpf_object__load(obj), -EACCES);
    EXPECT_THAT(printed, HasSubstr("udp->len"));
    EXPECT_EQ(bpf_object__find_map_fd_by_name(obj, "counts"), -1) << "nothing is left behind";
    bpf_object__close(obj);
}

int collect_event(void* context, void* data, size_t size) {
    if (size >= 8)
        static_cast<std::vector<unsigned>*>(context)->push_back(static_cast<unsigned*>(data)[1]);
    return 0;
}

TEST_F(LibbpfTest, EventsComeThroughTheRingBuffer) {
    NEEDS("packet_events.o");
    bpf_object* const obj = bpf_object__open(object("packet_events.o").c_str());
    bpf_map* const limit = bpf_object__find_map_by_name(obj, ".rodata");
    ASSERT_NE(limit, nullptr);
    size_t size = 0;
    ASSERT_NE(bpf_map__initial_value(limit, &size), nullptr);
    ASSERT_EQ(size, 4u);
    const __u32 fifty = 50;
    EXPECT_EQ(bpf_map__set_initial_value(limit, &fifty, size), 0);
    ASSERT_EQ(bpf_object__load(obj), 0) << printed;
    std::vector<unsigned> sizes;
    ring_buffer* const ring = ring_buffer__new(bpf_object__find_map_fd_by_name(obj, "events"),
                                               &collect_event, &sizes, nullptr);
    ASSERT_NE(ring, nullptr);
    EXPECT_EQ(ring_buffer__poll(ring, 0), 0);
    char packet[100] = {};
    LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet, .data_size_in = 60);
    const int prog = bpf_program__fd(bpf_object__next_program(obj, nullptr));
    EXPECT_EQ(bpf_prog_test_run_opts(prog, &run), 0);
    run.data_size_in = 40;  // 60 came out, which is room for 40
    EXPECT_EQ(bpf_prog_test_run_opts(prog, &run), 0);
    run.data_size_in = 100;
    run.data_size_out = 0;  // what came out before would be a limit, as in Linux
    EXPECT_EQ(bpf_prog_test_run_opts(prog, &run), 0);
    EXPECT_EQ(ring_buffer__poll(ring, 1000), 2);
    EXPECT_THAT(sizes, testing::ElementsAre(60u, 100u));
    ring_buffer__free(ring);
    bpf_object__close(obj);
}

int keep(void* context, const ebpf_packet* packet) {
    static_cast<std::vector<unsigned>*>(context)->push_back(packet->verdict);
    return 0;
}

TEST_F(LibbpfTest, BothEnginesGiveTheSameVerdicts) {
    NEEDS("drop_empty_udp.o");
    const std::string base = testing::TempDir() + "casement_traffic" + std::to_string(getpid());
    const std::string pcap = base + ".pcap", csv = base + ".csv";
    ASSERT_EQ(std::system(
                  (std::string(CASEMENT_MAKE_TRAFFIC) + " " + pcap + " " + csv + " 3000").c_str()),
              0);
    ebpf_capture* const capture = ebpf_capture__open(pcap.c_str());
    ASSERT_NE(capture, nullptr);
    EXPECT_EQ(ebpf_capture__packets(capture), 3000u);
    std::vector<unsigned> verdicts[2];
    for (int i = 0; i < 2; ++i) {
        bpf_object* const obj = bpf_object__open(object("drop_empty_udp.o").c_str());
        ASSERT_EQ(ebpf_object__set_engine(obj, i ? EBPF_ENGINE_JIT : EBPF_ENGINE_INTERPRETER), 0);
        ASSERT_EQ(bpf_object__load(obj), 0) << printed;
        bpf_link* const link = bpf_program__attach_xdp(bpf_object__next_program(obj, nullptr), 5);
        ASSERT_NE(link, nullptr) << printed;
        LIBBPF_OPTS(ebpf_replay_opts, opts, .on_packet = keep, .ctx = &verdicts[i]);
        EXPECT_EQ(ebpf_capture__replay(capture, 5, &opts, nullptr), 0);
        bpf_link__destroy(link);
        bpf_object__close(obj);
    }
    EXPECT_EQ(verdicts[0].size(), 3000u);
    EXPECT_EQ(verdicts[0], verdicts[1]);
    // Nothing attached any more: everything passes.
    ebpf_replay_result result{};
    EXPECT_EQ(ebpf_capture__replay(capture, 5, nullptr, &result), 0);
    EXPECT_EQ(result.verdicts[XDP_PASS], 3000u);
    ebpf_capture__close(capture);
    std::remove(pcap.c_str()), std::remove(csv.c_str());
}

// --- The library
// -----------------------------------------------------------------------------------

TEST_F(LibbpfTest, StringsAndErrors) {
    EXPECT_STREQ(libbpf_bpf_map_type_str(BPF_MAP_TYPE_RINGBUF), "ringbuf");
    EXPECT_STREQ(libbpf_bpf_prog_type_str(BPF_PROG_TYPE_XDP), "xdp");
    EXPECT_STREQ(libbpf_bpf_attach_type_str(BPF_XDP), "xdp");
    EXPECT_STREQ(libbpf_bpf_link_type_str(BPF_LINK_TYPE_XDP), "xdp");
    EXPECT_EQ(libbpf_bpf_map_type_str(static_cast<bpf_map_type>(9999)), nullptr);
    char text[64];
    EXPECT_EQ(libbpf_strerror(-ENOENT, text, sizeof text), 0);
    EXPECT_STREQ(text, "No such file or directory");
    EXPECT_EQ(libbpf_strerror(LIBBPF_ERRNO__VERIFY, text, 8), -ERANGE);
    bpf_prog_type type{};
    bpf_attach_type attach{};
    EXPECT_EQ(libbpf_prog_type_by_name("xdp", &type, &attach), 0);
    EXPECT_EQ(type, BPF_PROG_TYPE_XDP);
    EXPECT_LT(libbpf_prog_type_by_name("no_such_section", &type, &attach), 0);
    EXPECT_EQ(libbpf_major_version(), 1u);
}

TEST_F(LibbpfTest, OptionStructuresOfOtherVersions) {
    LIBBPF_OPTS(bpf_map_create_opts, opts);
    struct {
        bpf_map_create_opts known;
        long later;
    } newer{};
    newer.known.sz = sizeof newer;
    const int map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "a", 4, 4, 1, &newer.known);
    EXPECT_GE(map, 0);
    close(map);
    newer.later = 1;
    EXPECT_EQ(bpf_map_create(BPF_MAP_TYPE_ARRAY, "a", 4, 4, 1, &newer.known), -EINVAL);
    opts.sz = 4;
    EXPECT_EQ(bpf_map_create(BPF_MAP_TYPE_ARRAY, "a", 4, 4, 1, &opts), -EINVAL);
}

}  // namespace
