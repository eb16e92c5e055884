// SPDX-License-Identifier: MIT
#include "spec/errors.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <set>
#include <string>

namespace ebpf::spec {
namespace {

TEST(Errors, ResultsAreNamed) {
    std::set<std::string> names;
    for (u32 r = 0; r < kResultCount; ++r) {
        ASSERT_NE(result_name(r), nullptr) << r;
        EXPECT_TRUE(names.insert(result_name(r)).second) << result_name(r);
    }
    EXPECT_EQ(result_name(kResultCount), nullptr);
    EXPECT_EQ(result_name(~0u), nullptr);
    EXPECT_STREQ(result_name(0), "EBPF_SUCCESS");
    EXPECT_STREQ(result_name(19), "EBPF_KEY_NOT_FOUND");
    EXPECT_STREQ(result_name(34), "EBPF_INVALID_STATE");
}

// Each result comes back from the Errc that stands for it, so that a number survives the way
// through this process; EBPF_PROGRAM_LOAD_FAILED has no row of its own.
TEST(Errors, ResultsSurviveTheWayThrough) {
    for (u32 r = 0; r < kResultCount; ++r) {
        if (r == 3) {
            EXPECT_EQ(errc_from_result(r), Errc::Failed);
            continue;
        }
        EXPECT_EQ(result(errc_from_result(r)), r) << result_name(r);
    }
    EXPECT_EQ(errc_from_result(35), Errc::Failed);
}

// The errno of eBPF for Windows' libbpf-style functions, by Windows' numbers.
TEST(Errors, WindowsErrno) {
    constexpr i32 kOther = 131;
    const struct {
        u32 result;
        i32 error;
    } rows[] = {
        {0, 0},       {12, 12},    {15, 22},     {6, 22},      {23, 22},     {5, 22},
        {4, 9},       {18, 129},   {24, 119},    {9, 2},       {19, 2},      {25, 2},
        {7, 2},       {8, 17},     {1, 13},      {31, 14},     {29, 28},     {20, 1},
        {26, kOther}, {2, kOther}, {21, kOther}, {33, kOther}, {34, kOther}, {99, kOther},
    };
    for (const auto& row : rows) EXPECT_EQ(windows_errno(row.result), row.error) << row.result;
}

#ifdef __linux__
TEST(Errors, LinuxErrnoIsTheHostsOnLinux) {
    EXPECT_EQ(linux_errno(Errc::Ok), 0);
    EXPECT_EQ(linux_errno(Errc::KeyNotFound), ENOENT);
    EXPECT_EQ(linux_errno(Errc::KeyAlreadyExists), EEXIST);
    EXPECT_EQ(linux_errno(Errc::TableFull), E2BIG);
    EXPECT_EQ(linux_errno(Errc::NoMemory), ENOMEM);
    EXPECT_EQ(linux_errno(Errc::InvalidFd), EBADF);
    EXPECT_EQ(linux_errno(Errc::VerificationFailed), EACCES);
    EXPECT_EQ(linux_errno(Errc::NotSupported), EOPNOTSUPP);
    EXPECT_EQ(linux_errno(Errc::Again), EAGAIN);
    EXPECT_EQ(linux_errno(Errc::Busy), EBUSY);
    EXPECT_EQ(linux_errno(Errc::Canceled), ECANCELED);
    EXPECT_EQ(linux_errno(Errc::Timeout), ETIMEDOUT);
    EXPECT_EQ(linux_errno(Errc::NameTooLong), ENAMETOOLONG);
}
#endif

TEST(Errors, HelpersReturnTheDialectsNumber) {
    EXPECT_EQ(helper_return(Dialect::Linux, Errc::Ok), 0);
    EXPECT_EQ(helper_return(Dialect::Windows, Errc::Ok), 0);
    EXPECT_EQ(helper_return(Dialect::Linux, Errc::KeyNotFound), -2);
    EXPECT_EQ(helper_return(Dialect::Windows, Errc::KeyNotFound), -19);
    EXPECT_EQ(helper_return(Dialect::Windows, Errc::InvalidArgument), -6);
}

TEST(Errors, EveryRowSaysWhatItIs) {
    const Errc codes[] = {
#define ERROR(id, ...) Errc::id,
#include "base/errors.def"
    };
    for (const Errc code : codes) {
        if (code == Errc::Ok) continue;
        EXPECT_GT(linux_errno(code), 0) << name(code);
        // 524 is ENOTSUPP, which user space has no name for.
        EXPECT_TRUE(linux_errno(code) < 134 || linux_errno(code) == 524) << name(code);
        EXPECT_GT(result(code), 0u) << name(code);
        EXPECT_LT(result(code), kResultCount) << name(code);
        if (code != Errc::Pending && code != Errc::Timeout) {
            EXPECT_GE(ntstatus(code), 0x8000'0000u) << name(code);
        }
    }
}

}  // namespace
}  // namespace ebpf::spec
