// SPDX-License-Identifier: MIT
#pragma once

#include <unistd.h>

namespace ebpf::platform {

// A descriptor of the C library, or a negative number for none; closed with its scope.
class Descriptor {
  public:
    explicit Descriptor(int number) : number_(number) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() {
        if (number_ >= 0) close(number_);
    }
    int get() const { return number_; }

  private:
    int number_;
};

}  // namespace ebpf::platform
