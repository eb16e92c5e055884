// SPDX-License-Identifier: MIT
#pragma once

#include <string>

struct bpf_link {
    int fd = -1;
    std::string pin_path;
    bool disconnected = false;  // destroying it leaves the attachment
};
