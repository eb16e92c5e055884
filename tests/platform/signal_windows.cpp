// SPDX-License-Identifier: MIT
#include <windows.h>

#include "signal.hpp"

namespace ebpf::platform {
namespace {

HANDLE handle(i64 native) {
    return reinterpret_cast<HANDLE>(native);
}

}  // namespace

Signal::Signal() : native_(reinterpret_cast<i64>(CreateEventW(nullptr, TRUE, FALSE, nullptr))) {}
Signal::~Signal() {
    CloseHandle(handle(native_));
}
void Signal::set() {
    SetEvent(handle(native_));
}
void Signal::reset() {
    ResetEvent(handle(native_));
}

}  // namespace ebpf::platform
