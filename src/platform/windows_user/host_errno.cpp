// SPDX-License-Identifier: MIT
#include "platform/host_errno.hpp"

#include <cerrno>

namespace ebpf::platform {
namespace {

constexpr i32 kOther = 131;  // EOTHER, which not every header has

// Linux's numbers (asm-generic/errno.h) that Windows' C library names by another number.
struct Row {
    i32 on_linux, here;
};
constexpr Row kRows[] = {
    {26, ETXTBSY},   {35, EDEADLK},      {36, ENAMETOOLONG}, {38, ENOSYS},   {39, ENOTEMPTY},
    {40, ELOOP},     {61, ENODATA},      {62, ETIME},        {67, ENOLINK},  {71, EPROTO},
    {74, EBADMSG},   {75, EOVERFLOW},    {95, EOPNOTSUPP},   {105, ENOBUFS}, {110, ETIMEDOUT},
    {114, EALREADY}, {115, EINPROGRESS}, {125, ECANCELED},
};
constexpr i32 kLastCommon = ERANGE;  // up to it the numbers are the same
constexpr i32 kFirstUnnamed = 512;
static_assert(kLastCommon == 34 && EAGAIN == 11);

}  // namespace

i32 host_errno(i32 linux_errno) {
    for (const Row& row : kRows) {
        if (row.on_linux == linux_errno) return row.here;
    }
    const bool same = linux_errno <= kLastCommon || linux_errno >= kFirstUnnamed;
    return same ? linux_errno : kOther;
}

}  // namespace ebpf::platform
