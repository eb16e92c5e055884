// SPDX-License-Identifier: MIT
//
// The trusted service: what may install programs. In the embedded shape it lives in the
// application's process; in the others in a service process or its sandboxed child.
#pragma once

#include "code/code.hpp"
#include "jit/jit.hpp"
#include "spec/door.hpp"
#include "verifier/verifier.hpp"

namespace ebpf::engine {

// Which engine a load asks for; Default is the JIT where the service has one.
enum class EngineChoice : u8 { Default, Jit, Interpreter };

struct Service {
    spec::Door door{};
    bool has_jit = false;
    bool has_interpreter = false;
    jit::Target target{};
    verifier::Options verifier{};

    // Unsupported when this service has no such engine.
    Result<code::EngineKind> choose(EngineChoice choice) const;
};

}  // namespace ebpf::engine
