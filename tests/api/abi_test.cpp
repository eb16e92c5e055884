// SPDX-License-Identifier: MIT
// Our declarations of libbpf's structures have libbpf's layout.
#include <gtest/gtest.h>

#include <cstddef>

extern "C" {
struct abi_row {
    const char* what;
    std::size_t value;
};
extern const abi_row abi_ours[], abi_system[];
extern const std::size_t abi_ours_count, abi_system_count;
}

TEST(LibbpfAbi, LayoutIsThatOfTheInstalledHeaders) {
    if (abi_system_count == 0) GTEST_SKIP() << "libbpf-dev is not installed";
    ASSERT_EQ(abi_ours_count, abi_system_count);
    for (std::size_t i = 0; i < abi_ours_count; ++i) {
        ASSERT_STREQ(abi_ours[i].what, abi_system[i].what);
        EXPECT_EQ(abi_ours[i].value, abi_system[i].value) << abi_ours[i].what;
    }
}
