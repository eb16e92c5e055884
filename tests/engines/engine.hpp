// SPDX-License-Identifier: MIT
//
// One suite for all engines. An engine joins by one file that derives from Engine and registers an
// object when the test program starts:
//
//     const bool kRegistered = register_engine(std::make_unique<JitEngine>());
//
// and by that file's name in tests/engines/CMakeLists.txt. Nothing else is needed: every test here
// is run over all_engines().
//
// Programs are raw slots as in a text section after linking: helpers are called by number, there
// are no maps. What an engine cannot do it answers with Errc::Unsupported, and the test is skipped
// for it.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "code/engine.hpp"
#include "isa/insn.hpp"

namespace ebpf::engines {

// By the number in the call instruction. Each gets r1..r5 and the invocation.
using Helpers = std::map<u32, code::HelperFn>;

class Engine {
  public:
    virtual ~Engine() = default;
    virtual std::string name() const = 0;

    // Runs the program at slot 0 with r1 = address of `memory` (null when it is empty) and r2 = its
    // size, and returns r0. Errors: the program cannot be prepared, or ended early (Failed).
    virtual Result<u64> run(Bytes slots, MutableBytes memory, const Helpers& helpers = {}) = 0;

    // Whether run() ends a program whose calls are too deep with an error. Engines for verified
    // programs only need not look.
    virtual bool limits_call_depth() const { return false; }

    // How many random programs a test runs on it.
    virtual u64 random_programs() const { return 4000; }
};

// Keeps the engine for all_engines(); returns true.
bool register_engine(std::unique_ptr<Engine> engine);
std::vector<Engine*> all_engines();

// The names of parameterised tests.
inline std::string engine_name(const testing::TestParamInfo<Engine*>& info) {
    return info.param->name();
}

// Answers them from `helpers`, which must outlive it.
code::Resolver resolver_of(const Helpers& helpers);

// The suite's base: programs as LLVM assembly or as instructions, run on the engine of the test.
class EngineTest : public testing::TestWithParam<Engine*> {
  protected:
    static std::vector<std::byte> assemble(std::string_view text);
    static std::vector<std::byte> encode(const std::vector<isa::Insn>& insns);

    // r0; a test failure when the program does not run to its end. Skips when it is not supported.
    u64 run(Bytes slots, MutableBytes memory = {}, const Helpers& helpers = {});
    u64 run(std::string_view text, MutableBytes memory = {}, const Helpers& helpers = {}) {
        return run(Bytes(assemble(text)), memory, helpers);
    }
    bool unsupported() const { return unsupported_; }

  private:
    bool unsupported_ = false;
};

}  // namespace ebpf::engines
