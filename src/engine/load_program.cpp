// SPDX-License-Identifier: MIT
//
// The main path, in one place. A program comes here from its client (an object file that api/
// opened, or the instructions of BPF_PROG_LOAD) as plain data, and leaves for the execution context
// as plain data: in the service shape both hand-offs cross a process.
//
//     open      engine/object.cpp    file -> programs and maps, the client's part, untrusted
//     compile   engine/job.cpp       program -> proof -> code, the trusted service's part
//     install   below                code -> handle, by the execution context, which alone knows
//     addresses
#include "engine/load_program.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "engine/report_text.hpp"

namespace ebpf::engine {
namespace {

u64 now_ns() {
    return static_cast<u64>(
        std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count());
}

template <typename Name>
void copy_name(Name& to, std::string_view from) {
    std::copy_n(from.begin(), std::min(from.size(), to.size() - 1), to.begin());
}

// Where in the code the lines begin.
std::vector<u32> line_offsets(const ProgramBtf& btf, const CompiledCode& code) {
    std::vector<u32> offsets;
    for (u32 i = 0; i < btf.lines() && !code.slot_offset.empty(); ++i) {
        u32 slot = 0;
        std::memcpy(&slot, btf.line_info.data() + size_t{i} * btf.line_info_rec_size, sizeof slot);
        offsets.push_back(slot < code.slot_offset.size() ? code.slot_offset[slot] : 0);
    }
    return offsets;
}

// The execution context checks the code and its relocations again, resolves what they stand for,
// and compares the hash of the program type that the proof was made against with its own.
Result<u32> install(const Service& service, const spec::Caller& caller, const LoadRequest& request,
                    const CompileOutcome& compiled) {
    const CompileJob& job = request.job;
    const CompiledCode& code = compiled.code;
    spec::ProgInstallAttr attr;
    attr.code = reinterpret_cast<u64>(code.text.data());
    attr.code_size = static_cast<u32>(code.text.size());
    attr.relocations = reinterpret_cast<u64>(code.relocations.data());
    attr.relocation_count = static_cast<u32>(code.relocations.size());
    attr.map_fds = reinterpret_cast<u64>(request.map_handles.data());
    attr.map_count = static_cast<u32>(request.map_handles.size());
    attr.engine = static_cast<u32>(code.engine);
    attr.cpu = static_cast<u32>(code.cpu);
    attr.entry = code.entry;
    attr.stack_bytes = code.stack_bytes;
    attr.unwind_offset = code.unwind.offset;
    attr.unwind_size = code.unwind.size;
    attr.program_info_hash = code.program_info_hash;
    attr.dialect = static_cast<u32>(job.dialect);
    attr.prog_type = static_cast<u32>(job.type);
    attr.attach_type = static_cast<u32>(job.attach);
    copy_name(attr.prog_name, job.name);
    attr.license = reinterpret_cast<u64>(job.license.c_str());
    attr.prog_flags = request.flags;
    attr.insns = reinterpret_cast<u64>(job.slots.data());
    attr.insn_cnt = static_cast<u32>(job.slots.size() / sizeof(isa::Slot));
    attr.function_offsets = reinterpret_cast<u64>(code.function_offset.data());
    attr.function_offset_cnt = static_cast<u32>(code.function_offset.size());
    std::vector<u32> lines;
    if (request.btf_handle != 0) {
        const ProgramBtf& btf = job.btf;
        attr.prog_btf_fd = request.btf_handle;
        attr.func_info = reinterpret_cast<u64>(btf.func_info.data());
        attr.func_info_rec_size = btf.func_info_rec_size;
        attr.func_info_cnt = btf.functions();
        attr.line_info = reinterpret_cast<u64>(btf.line_info.data());
        attr.line_info_rec_size = btf.line_info_rec_size;
        attr.line_info_cnt = btf.lines();
        lines = line_offsets(btf, code);
        attr.line_offsets = reinterpret_cast<u64>(lines.data());
        attr.line_offset_cnt = static_cast<u32>(lines.size());
    }
    attr.verified_insns = static_cast<u32>(std::min<u64>(compiled.verified_insns, ~u32{0}));

    // Only the trusted service may install; it does so in the caller's session, so that the maps'
    // handles mean what they meant there and the program's handle is the caller's.
    spec::Caller installer = caller;
    installer.privileged = true;
    TRY_ASSIGN(const i64 handle, service.door(installer, spec::Command::ProgInstall, &attr));
    return static_cast<u32>(handle);
}

}  // namespace

Result<code::EngineKind> Service::choose(EngineChoice choice) const {
    if (choice == EngineChoice::Default)
        choice = has_jit ? EngineChoice::Jit : EngineChoice::Interpreter;
    if (choice == EngineChoice::Jit && has_jit) return code::EngineKind::Jit;
    if (choice == EngineChoice::Interpreter && has_interpreter)
        return code::EngineKind::Interpreter;
    return fail(Errc::Unsupported, {}, choice == EngineChoice::Jit ? "JIT" : "interpreter");
}

Result<Loaded> load_program(const Service& service, const spec::Caller& caller, LoadRequest request,
                            std::string& log) {
    const auto explained = [&](const Error& error) {
        log += error_text(nullptr, error) + "\n";
        return std::unexpected(error);
    };

    auto engine = service.choose(request.engine);
    if (!engine) return explained(engine.error());
    CompileJob& job = request.job;
    job.options = {.engine = *engine, .target = service.target, .verifier = service.verifier};
    job.log_level = request.log_level;
    if (const Status taken = take_fields(job, request.map_handles, service.door, caller); !taken)
        return explained(taken.error());

    // The program is read, proven and compiled here or in a process that can do nothing else. There
    // is no way around: without an outcome that accepts it nothing is installed.
    const CompileOutcome outcome = service.compiler(job);
    log += outcome.log;
    if (outcome.error.code != Errc::Ok) return std::unexpected(outcome.error);
    if (const Status fits = check_outcome(job, outcome); !fits) return explained(fits.error());

    const u64 start = now_ns();
    auto handle = install(service, caller, request, outcome);
    if (!handle) return explained(handle.error());
    return Loaded{.handle = *handle,
                  .verify_ns = outcome.verify_ns,
                  .compile_ns = outcome.compile_ns,
                  .install_ns = now_ns() - start,
                  .code_bytes = outcome.code.text.size(),
                  .verified_insns = outcome.verified_insns};
}

}  // namespace ebpf::engine
