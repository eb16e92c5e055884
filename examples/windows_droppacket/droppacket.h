// SPDX-License-Identifier: MIT
// What the program counts in `packets`, by index; shared by the program and its loader.
#pragma once

enum packet_counter {
    PACKETS_PASSED,
    PACKETS_DROPPED,
    PACKETS_OTHER_INTERFACE,  // passed because they came from an interface that is not watched
    PACKET_COUNTERS,
};
