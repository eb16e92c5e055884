// SPDX-License-Identifier: MIT
#include <unistd.h>

#include "signal.hpp"

namespace ebpf::platform {

Signal::Signal() {
    int ends[2] = {-1, -1};
    (void)!pipe(ends);
    native_ = ends[0];
    other_ = ends[1];
}
Signal::~Signal() {
    close(static_cast<int>(native_));
    close(static_cast<int>(other_));
}
void Signal::set() {
    (void)!write(static_cast<int>(other_), "", 1);
}
void Signal::reset() {
    char byte = 0;
    (void)!read(static_cast<int>(native_), &byte, 1);
}

}  // namespace ebpf::platform
