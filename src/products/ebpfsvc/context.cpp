// SPDX-License-Identifier: MIT
#include "products/ebpfsvc/context.hpp"

#include <cstdio>
#include <cstdlib>

#include "interpreter/interpreter.hpp"
#include "platform/memory.hpp"
#include "products/unfiltered.hpp"

namespace ebpf::ebpfsvc {
namespace {

void trace_to_stderr(void*, std::string_view line) {
    std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
}

void report(u32 ifindex, const Error& error) {
    std::fprintf(stderr, "ebpfsvc: %s\n", products::unfiltered(ifindex, error).c_str());
}

}  // namespace

Context::Context(bool live, u32 shared_arrays, compile_child::PoolOptions compiling)
    : live_(xdp_, &report), shared_arrays_(shared_arrays), compilers_(std::move(compiling)) {
    if (live) xdp_.set_feed(live_.feed());
}

Context::~Context() {
    if (caller_.session != nullptr) door().close_session(door().self, caller_.session);
    runtime::Runtime::destroy(runtime_);
}

Status Context::start() {
    TRY(compilers_.start());
    service_.compiler = compilers_.compiler();
    runtime::Config config{
        .shared_arrays = shared_arrays_,
        .ring_ready = [](void* self,
                         u32 map) { static_cast<service::RingSignals*>(self)->ready(map); },
        .ring_self = &rings_};
    if (std::getenv("CASEMENT_TRACE")) config.trace = &trace_to_stderr;
    TRY_ASSIGN(runtime_, runtime::Runtime::create(config));
    TRY(runtime_->register_engine(interpreter::kEngine));
    TRY(runtime_->register_hook_provider(xdp_.provider()));
    service_.door = runtime_->door();
    service_.target = jit::Target::host();
    service_.has_jit = service_.target.cpu == code::Cpu::X86_64;
    service_.has_interpreter = true;
    caller_.session = door().open_session(door().self);
    if (caller_.session == nullptr) return fail(Errc::NoMemory, {}, "session");
    return {};
}

void Context::count(service::Figures& status) const {
    status.maps = runtime_->live(runtime::ObjectKind::Map);
    status.links = runtime_->live(runtime::ObjectKind::Link);
    status.programs = runtime_->live(runtime::ObjectKind::Program);
    const compile_child::PoolFigures compiled = compilers_.figures();
    status.compiled = compiled.jobs;
    status.compile_failures = compiled.died + compiled.late + compiled.nonsense;
    status.compiler_restarts = compiled.restarts;
    status.allocations = platform::allocations();
}

}  // namespace ebpf::ebpfsvc
