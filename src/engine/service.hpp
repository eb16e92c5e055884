// SPDX-License-Identifier: MIT
//
// The trusted service: what may install programs. In the embedded shape it lives in the
// application's process; in the others in a service process or its sandboxed child.
#pragma once

#include "engine/job.hpp"
#include "spec/door.hpp"

namespace ebpf::engine {

// Which engine a load asks for; Default is the JIT where the service has one.
enum class EngineChoice : u8 { Default, Jit, Interpreter };

// Who carries out compile jobs; whatever goes wrong is in the outcome. May be called by several
// threads at once.
struct Compiler {
    void* self = nullptr;
    CompileOutcome (*call)(void* self, const CompileJob& job) = nullptr;

    CompileOutcome operator()(const CompileJob& job) const {
        return call ? call(self, job) : compile_job(job);  // null: this process
    }
};

struct Service {
    spec::Door door{};
    Compiler compiler{};
    bool has_jit = false;
    bool has_interpreter = false;
    jit::Target target{};
    verifier::Options verifier{};

    // Unsupported when this service has no such engine.
    Result<code::EngineKind> choose(EngineChoice choice) const;
};

}  // namespace ebpf::engine
