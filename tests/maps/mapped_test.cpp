// SPDX-License-Identifier: MIT
// Maps that applications map (BPF_F_MMAPABLE): mmap() of their descriptors by Linux's rules.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <iterator>

#include "locks.h"
#include "object_test.hpp"

namespace {

constexpr size_t kPage = 4096;

// A mapping that ends with its scope.
class Mapping {
  public:
    Mapping(int fd, int rights, size_t size = kPage)
        : size_(size), at_(mmap(nullptr, size, rights, MAP_SHARED, fd, 0)), error_(errno) {}
    ~Mapping() {
        if (*this) munmap(at_, size_);
    }
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;
    explicit operator bool() const { return at_ != MAP_FAILED; }
    int error() const { return error_; }
    __u64* words() const { return static_cast<__u64*>(at_); }

  private:
    size_t size_;
    void* at_;
    int error_;
};

int create(__u32 flags, __u32 entries = 4, __u32 value = 8) {
    LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE | flags);
    return bpf_map_create(BPF_MAP_TYPE_ARRAY, "mapped", 4, value, entries, &opts);
}

int set(int map, __u32 key, __u64 value) {
    return bpf_map_update_elem(map, &key, &value, 0);
}

__u64 get(int map, __u32 key) {
    __u64 value = ~0ull;
    EXPECT_EQ(bpf_map_lookup_elem(map, &key, &value), 0);
    return value;
}

TEST(Mapped, MappingIsTheMap) {
    const int map = create(0);
    ASSERT_GE(map, 0);
    ASSERT_EQ(set(map, 1, 11), 0);
    const Mapping mapping(map, PROT_READ | PROT_WRITE);
    ASSERT_TRUE(mapping) << std::strerror(mapping.error());
    EXPECT_EQ(mapping.words()[1], 11u);
    mapping.words()[3] = 33;
    EXPECT_EQ(get(map, 3), 33u);
    EXPECT_EQ(mapping.words()[kPage / 8 - 1], 0u) << "the rest of the page";
    close(map);
}

TEST(Mapped, ValuesArePaddedTo8Bytes) {
    const int map = create(0, 3, 5);
    const char value[5] = {'a', 'b', 'c', 'd', 'e'};
    const __u32 key = 2;
    ASSERT_EQ(bpf_map_update_elem(map, &key, value, 0), 0);
    const Mapping mapping(map, PROT_READ);
    ASSERT_TRUE(mapping);
    EXPECT_EQ(std::memcmp(mapping.words() + 2, "abcde", 6), 0);
    close(map);
}

TEST(Mapped, OnlyWithTheFlag) {
    const int map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "plain", 4, 8, 4, nullptr);
    EXPECT_FALSE(Mapping(map, PROT_READ));
    close(map);
    LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
    EXPECT_EQ(bpf_map_create(BPF_MAP_TYPE_HASH, "h", 4, 8, 4, &opts), -EINVAL);
    EXPECT_EQ(bpf_map_create(BPF_MAP_TYPE_PERCPU_ARRAY, "p", 4, 8, 4, &opts), -EINVAL);
}

// Linux: bpf_map_mmap().
TEST(Mapped, AccessRules) {
    const int for_programs = create(BPF_F_RDONLY_PROG);
    EXPECT_EQ(Mapping(for_programs, PROT_READ | PROT_WRITE).error(), EACCES);
    EXPECT_TRUE(Mapping(for_programs, PROT_READ));
    EXPECT_EQ(set(for_programs, 0, 1), 0) << "not frozen: written by command";
    const int read_only = create(BPF_F_RDONLY);
    EXPECT_EQ(Mapping(read_only, PROT_READ | PROT_WRITE).error(), EACCES);
    EXPECT_TRUE(Mapping(read_only, PROT_READ));
    const int write_only = create(BPF_F_WRONLY);
    EXPECT_FALSE(Mapping(write_only, PROT_READ));
    for (const int map : {for_programs, read_only, write_only}) close(map);
}

TEST(Mapped, FrozenIsReadOnly) {
    const int map = create(0);
    {
        const Mapping mapping(map, PROT_READ | PROT_WRITE);
        ASSERT_TRUE(mapping);
        EXPECT_EQ(bpf_map_freeze(map), -EBUSY);
    }
    const Mapping reader(map, PROT_READ);
    EXPECT_EQ(bpf_map_freeze(map), 0);
    const Mapping writer(map, PROT_READ | PROT_WRITE);
    EXPECT_FALSE(writer);
    EXPECT_EQ(writer.error(), EPERM);
    EXPECT_TRUE(Mapping(map, PROT_READ));
    EXPECT_EQ(set(map, 0, 1), -EPERM);
    const char byte = 1;
    EXPECT_LT(pwrite(map, &byte, 1, 0), 0) << "nor through the descriptor";
    close(map);
}

// A load of a program that is safe only if the map's value begins with 3, by the value's address.
int load_relying_on(int map) {
    const bpf_insn code[] = {{0x18, 1, BPF_PSEUDO_MAP_VALUE, 0, map},
                             {0, 0, 0, 0, 0},
                             {0x61, 2, 1, 0, 0},   // r2 = *(u32 *)(r1 + 0)
                             {0x15, 2, 0, 1, 3},   // if r2 == 3 goto +1
                             {0x79, 0, 2, 0, 0},   // r0 = *(u64 *)(r2 + 0)
                             {0xb7, 0, 0, 0, 2},   // r0 = 2
                             {0x95, 0, 0, 0, 0}};  // exit
    const int program =
        bpf_prog_load(BPF_PROG_TYPE_XDP, "relies", "GPL", code, std::size(code), nullptr);
    if (program >= 0) close(program);
    return program < 0 ? program : 0;
}

// A value is a constant of the programs that read it once nobody can write it any more; not before,
// and not when programs may still do so.
TEST(Mapped, WhatNobodyCanWriteIsConstant) {
    for (const __u32 mapped : {0u, static_cast<__u32>(BPF_F_MMAPABLE)}) {
        LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = mapped | BPF_F_RDONLY_PROG);
        const int map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "constant", 4, 8, 1, &opts);
        ASSERT_EQ(set(map, 0, 3), 0);
        EXPECT_EQ(load_relying_on(map), -EACCES) << "not frozen";
        ASSERT_EQ(bpf_map_freeze(map), 0);
        EXPECT_EQ(load_relying_on(map), 0);
        const Mapping writable(map, PROT_READ | PROT_WRITE);
        EXPECT_FALSE(writable);
        EXPECT_EQ(set(map, 0, 4), -EPERM);
        close(map);
    }
    const int other = bpf_map_create(BPF_MAP_TYPE_ARRAY, "variable", 4, 8, 1, nullptr);
    ASSERT_EQ(set(other, 0, 3), 0);
    ASSERT_EQ(bpf_map_freeze(other), 0);
    EXPECT_EQ(load_relying_on(other), -EACCES) << "programs may write it";
    close(other);

    LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_RDONLY_PROG | BPF_F_WRONLY);
    const int secret = bpf_map_create(BPF_MAP_TYPE_ARRAY, "secret", 4, 8, 1, &opts);
    ASSERT_EQ(set(secret, 0, 3), 0);
    ASSERT_EQ(bpf_map_freeze(secret), 0);
    EXPECT_EQ(load_relying_on(secret), -EACCES) << "no verdict tells what may not be read";
    close(secret);
}

TEST(Mapped, SizeCannotChange) {
    const int map = create(0);
    EXPECT_LT(ftruncate(map, 0), 0);
    EXPECT_LT(ftruncate(map, 1 << 20), 0);
    close(map);
}

__u32 id_of(int map) {
    bpf_map_info info{};
    __u32 size = sizeof info;
    EXPECT_EQ(bpf_obj_get_info_by_fd(map, &info, &size), 0);
    EXPECT_EQ(info.map_flags & BPF_F_MMAPABLE, static_cast<__u32>(BPF_F_MMAPABLE));
    return info.id;
}

bool exists(__u32 id) {
    // What was closed is noticed when the next object is made.
    close(bpf_map_create(BPF_MAP_TYPE_ARRAY, "next", 4, 8, 4, nullptr));
    const int map = bpf_map_get_fd_by_id(id);
    if (map >= 0) close(map);
    return map >= 0;
}

TEST(Mapped, DescriptorsAndMappingsKeepTheMap) {
    const int map = create(0);
    const __u32 id = id_of(map);
    const int copy = dup(map);
    const int second = bpf_map_get_fd_by_id(id);
    ASSERT_GE(second, 0);
    EXPECT_EQ(set(second, 2, 22), 0);
    EXPECT_EQ(get(copy, 2), 22u);
    close(map);
    close(copy);
    EXPECT_TRUE(exists(id));
    {
        const Mapping mapping(second, PROT_READ);
        close(second);
        EXPECT_TRUE(exists(id)) << "as on Linux a mapping is a reference";
        EXPECT_EQ(mapping.words()[2], 22u);
    }
    EXPECT_FALSE(exists(id));
}

// What applications map they could write.
TEST(Mapped, ValuesWithLocksAreNot) {
    bpf_object* const object = bpf_object__open(object_path("locks.o").c_str());
    ASSERT_NE(object, nullptr);
    ASSERT_EQ(bpf_object__load(object), 0);
    bpf_map_info info{};
    __u32 size = sizeof info;
    ASSERT_EQ(bpf_obj_get_info_by_fd(bpf_object__find_map_fd_by_name(object, "row"), &info, &size),
              0);
    const int types = bpf_btf_get_fd_by_id(info.btf_id);
    LIBBPF_OPTS(bpf_map_create_opts, opts, .btf_fd = static_cast<__u32>(types),
                .btf_key_type_id = info.btf_key_type_id,
                .btf_value_type_id = info.btf_value_type_id, .map_flags = BPF_F_MMAPABLE);
    const int made = bpf_map_create(BPF_MAP_TYPE_ARRAY, "mapped", 4, sizeof(twins), 2, &opts);
    ASSERT_GE(made, 0);
    EXPECT_EQ(mmap(nullptr, 4096, PROT_READ, MAP_SHARED, made, 0), MAP_FAILED);
    close(made);
    close(types);
    bpf_object__close(object);
}

}  // namespace
