// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <cerrno>

#include "platform/host_errno.hpp"

namespace ebpf::platform {
namespace {

TEST(HostErrno, IsTheCLibrarysName) {
    EXPECT_EQ(host_errno(1), EPERM);
    EXPECT_EQ(host_errno(2), ENOENT);
    EXPECT_EQ(host_errno(11), EAGAIN);
    EXPECT_EQ(host_errno(28), ENOSPC);
    EXPECT_EQ(host_errno(34), ERANGE);
    EXPECT_EQ(host_errno(35), EDEADLK);
    EXPECT_EQ(host_errno(36), ENAMETOOLONG);
    EXPECT_EQ(host_errno(67), ENOLINK);
    EXPECT_EQ(host_errno(95), EOPNOTSUPP);
    EXPECT_EQ(host_errno(110), ETIMEDOUT);
    EXPECT_EQ(host_errno(125), ECANCELED);
    EXPECT_EQ(host_errno(524), 524) << "has no name anywhere";
}

}  // namespace
}  // namespace ebpf::platform
