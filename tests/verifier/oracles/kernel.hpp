// SPDX-License-Identifier: MIT
// Linux's verifier, by bpf(2), as root. Nothing is attached or run.
#pragma once

#include <string>
#include <vector>

#include "ir/program.hpp"

namespace ebpf::verifier::oracle {

// Of a mutant that has no encoding.
inline constexpr char kNoInstruction[] = "no such instruction";

struct Answer {
    bool accepted = false;
    std::string reason;  // the log's last line about the program
    std::string log;
};

// The programs' maps and type information in the kernel, for as long as it lives.
class Kernel {
  public:
    explicit Kernel(const std::vector<ir::MapDef>& maps);
    ~Kernel();
    Kernel(const Kernel&) = delete;
    Kernel& operator=(const Kernel&) = delete;

    // Whether programs can be loaded here at all.
    bool there() const { return btf_ >= 0; }
    // Whether the kernel made that map.
    bool has_map(std::size_t index) const { return maps_[index] >= 0; }

    // As a program of its type (for `attach`, as the kernel numbers that) with that licence. With a
    // level the answer has the log of that level in any case, else that of level 1 when refused.
    Answer load(const ir::Program& program, const char* license = "GPL", u32 attach = 0,
                u32 log_level = 0) const;

  private:
    int create(const ir::MapDef& map) const;

    int btf_;
    std::vector<int> maps_;
};

}  // namespace ebpf::verifier::oracle
