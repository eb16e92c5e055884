// SPDX-License-Identifier: MIT
//
// The slowest engine: one decoded instruction after the other, each by isa/'s semantics, with every
// memory access checked. It shares no code with the interpreter, and random programs on the engines
// under test are compared with it.
#pragma once

#include "engine.hpp"

namespace ebpf::engines {

class ReferenceEngine : public Engine {
  public:
    std::string name() const override { return "reference"; }
    bool limits_call_depth() const override { return true; }
    // Also Failed: an access outside memory and stack, or more than ten million instructions.
    Result<u64> run(Bytes slots, MutableBytes memory, const Helpers& helpers = {}) override;
};

}  // namespace ebpf::engines
