// SPDX-License-Identifier: MIT
// Global variables of programs, which applications read and write in place.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>

#include "object_test.hpp"

namespace {

TEST(Globals, AreTheMapsPages) {
    bpf_object* const object = bpf_object__open(object_path("globals.o").c_str());
    ASSERT_NE(object, nullptr);
    size_t size = 0;
    const auto variable = [&](const char* section) {
        bpf_map* const map = bpf_object__find_map_by_name(object, section);
        return map ? const_cast<void*>(bpf_map__initial_value(map, &size)) : nullptr;
    };
    auto* const step = static_cast<__u32*>(variable(".rodata"));
    ASSERT_NE(step, nullptr);
    EXPECT_EQ(size, 4u);
    EXPECT_EQ(*step, 2u);
    *step = 7;  // as a skeleton's user does it, before the load
    auto* const total = static_cast<__u64*>(variable(".data"));
    ASSERT_NE(total, nullptr);
    EXPECT_EQ(*total, 100u);
    *total = 1000;
    ASSERT_EQ(bpf_object__load(object), 0);
    auto* const runs = static_cast<__u64*>(variable(".bss"));
    ASSERT_NE(runs, nullptr);
    const __u64* const by_step = runs + 1;

    const int program = bpf_program__fd(bpf_object__next_program(object, nullptr));
    char packet[64] = {};
    LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet, .data_size_in = sizeof packet,
                .repeat = 3);
    ASSERT_EQ(bpf_prog_test_run_opts(program, &run), 0);
    EXPECT_EQ(*total, 1021u) << "the pointer from before the load sees the program's writes";
    EXPECT_EQ(*runs, 3u);
    EXPECT_EQ(by_step[7], 3u);
    *runs = 10;
    ASSERT_EQ(bpf_prog_test_run_opts(program, &run), 0);
    EXPECT_EQ(*runs, 13u);

    const int bss = bpf_object__find_map_fd_by_name(object, ".bss");
    EXPECT_EQ(bpf_map_freeze(bss), -EBUSY) << "it is mapped for writing";
    bpf_object__close(object);
}

}  // namespace
