// SPDX-License-Identifier: MIT
//
// SHA-256 (FIPS 180-4). It names things by their content here and keeps no secrets.
#pragma once

#include <array>

#include "base/byte_reader.hpp"

namespace ebpf {

class Sha256 {
  public:
    using Digest = std::array<u8, 32>;

    void add(Bytes bytes);
    // Of all that was added; nothing may follow.
    Digest finish();

  private:
    static constexpr std::size_t kBlock = 64;

    void compress();

    std::array<u32, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    std::array<u8, kBlock> block_{};
    u64 size_ = 0;  // bytes added
};

}  // namespace ebpf
