// SPDX-License-Identifier: MIT
#include "spec/errors.hpp"

namespace ebpf::spec {
namespace {

struct Row {
    i32 linux_number;
    u32 result;
    u32 ntstatus;
};

constexpr Row kRows[] = {
#define ERROR(id, linux_number, result, ntstatus, text) {linux_number, result, ntstatus},
#include "base/errors.def"
};

const Row& row(Errc code) {
    return kRows[static_cast<std::size_t>(code)];
}

// errno numbers of Windows' C library (errno.h of the UCRT). An enum of its own: the host's errno.h
// has macros of the same names.
namespace ucrt {
constexpr i32 k0 = 0;
constexpr i32 kEPERM = 1;
constexpr i32 kENOENT = 2;
constexpr i32 kEBADF = 9;
constexpr i32 kENOMEM = 12;
constexpr i32 kEACCES = 13;
constexpr i32 kEFAULT = 14;
constexpr i32 kEEXIST = 17;
constexpr i32 kEINVAL = 22;
constexpr i32 kENOSPC = 28;
constexpr i32 kENOBUFS = 119;
constexpr i32 kENOTSUP = 129;
constexpr i32 kEOTHER = 131;
}  // namespace ucrt

struct ResultRow {
    const char* name;
    i32 error;
    Errc code;
};

constexpr ResultRow kResults[] = {
#define RESULT(name, number, error, id) {#name, ucrt::k##error, Errc::id},
#include "spec/results.def"
};
static_assert(sizeof kResults / sizeof kResults[0] == kResultCount);

constexpr bool results_are_dense() {
    u32 n = 0;
#define RESULT(name, number, error, id) \
    if (number != n++) return false;
#include "spec/results.def"
    return true;
}
static_assert(results_are_dense(), "kResults is indexed by number");

}  // namespace

i32 linux_errno(Errc code) {
    return row(code).linux_number;
}
u32 result(Errc code) {
    return row(code).result;
}
u32 ntstatus(Errc code) {
    return row(code).ntstatus;
}

i64 helper_return(Dialect dialect, Errc code) {
    if (dialect == Dialect::Linux) return -static_cast<i64>(linux_errno(code));
    return -static_cast<i64>(result(code));
}

const char* result_name(u32 result) {
    return result < kResultCount ? kResults[result].name : nullptr;
}

i32 windows_errno(u32 result) {
    return result < kResultCount ? kResults[result].error : ucrt::kEOTHER;
}

Errc errc_from_result(u32 result) {
    return result < kResultCount ? kResults[result].code : Errc::Failed;
}

}  // namespace ebpf::spec
