// SPDX-License-Identifier: MIT
// Programs from assembler text against a fixed table of maps.
#pragma once

#include <gtest/gtest.h>

#include "isa/text/text.hpp"
#include "spec/helpers.hpp"
#include "spec/program_types.hpp"
#include "verifier/render.hpp"
#include "verifier/verifier.hpp"

namespace ebpf::verifier {

inline ir::MapDef make_map(const char* name, spec::MapType type, u32 key, u32 value, u32 entries) {
    ir::MapDef m;
    m.name = name;
    m.type = type;
    m.key_size = key;
    m.value_size = value;
    m.max_entries = entries;
    return m;
}

// `ld_pseudo r1, 5, N` loads map N; `ld_pseudo r1, 6, N + (offset << 32)` a data section's address.
inline std::vector<ir::MapDef> test_maps() {
    using spec::MapType;
    std::vector<ir::MapDef> maps = {
        make_map("hash", MapType::Hash, 4, 8, 16),             // 0
        make_map("array", MapType::Array, 4, 64, 16),          // 1
        make_map("jumps", MapType::ProgArray, 4, 4, 4),        // 2
        make_map("ring", MapType::Ringbuf, 0, 0, 4096),        // 3
        make_map("percpu", MapType::PercpuArray, 4, 8, 1),     // 4
        make_map(".rodata", MapType::Array, 4, 16, 1),         // 5
        make_map(".bss", MapType::Array, 4, 16, 1),            // 6
        make_map("outer", MapType::ArrayOfMaps, 4, 4, 4),      // 7
        make_map("locked", MapType::Array, 4, 16, 1),          // 8
        make_map("events", MapType::PerfEventArray, 4, 4, 0),  // 9
        make_map("timed", MapType::Array, 4, 24, 1),           // 10
        make_map("shelf", MapType::ArrayOfMaps, 4, 4, 4),      // 11, of maps like "timed"
        make_map("orders", MapType::UserRingbuf, 0, 0, 4096),  // 12
        make_map("sockets", MapType::Sockmap, 4, 4, 16),       // 13
        make_map("group", MapType::CgroupStorage, 16, 8, 0),   // 14
        make_map(".rodata.str", MapType::Array, 4, 40, 1),     // 15
    };
    maps[5].is_data_section = maps[5].read_only = maps[5].frozen = true;
    for (int i = 0; i < 16; ++i) maps[5].initial.push_back(static_cast<std::byte>(i + 1));
    maps[6].is_data_section = true;
    maps[6].initial.resize(16);
    maps[7].inner = 0;
    maps[8].spin_lock_offset = 0;
    maps[10].timer_offset = 8;
    maps[11].inner = 10;
    // At 0, 10 and 16; what begins at 23 does not end.
    maps[15].is_data_section = maps[15].read_only = maps[15].frozen = true;
    constexpr char kTexts[41] = "%d of %d\0\0plain\0%d %y\0\0no end here......";
    for (int i = 0; i < 40; ++i) maps[15].initial.push_back(static_cast<std::byte>(kTexts[i]));
    return maps;
}

inline ir::Program make_program(std::string_view text) {
    const auto slots = isa::text::assemble(text, isa::text::Dialect::Llvm);
    if (!slots) {
        ADD_FAILURE() << "does not assemble, line " << slots.error().where.value << ":\n" << text;
        return {};
    }
    auto program = ir::decode_program(*slots);
    if (!program) {
        ADD_FAILURE() << "does not decode: " << message(program.error().code) << " at "
                      << program.error().where.value << "\n"
                      << text;
        return {};
    }
    program->name = "test";
    program->maps = test_maps();
    program->license = "GPL";
    program->kfuncs = {"bpf_iter_num_new",    "bpf_iter_num_next",  "bpf_iter_num_destroy",
                       "bpf_dynptr_from_xdp", "bpf_dynptr_slice",   "bpf_dynptr_slice_rdwr",
                       "bpf_dynptr_clone",    "bpf_dynptr_from_skb"};
    // `call kfunc N` is the N-th of these.
    for (isa::Insn& insn : program->insns) {
        const bool named = insn.form == isa::Form::Call && insn.call() == isa::CallKind::Kfunc &&
                           static_cast<u64>(insn.imm) < program->kfuncs.size();
        if (named) insn.imm = spec::kfunc_id(program->kfuncs[static_cast<std::size_t>(insn.imm)]);
    }
    return std::move(*program);
}

inline Report check(std::string_view text, spec::ProgramType type = spec::ProgramType::Xdp,
                    const Options& options = {}, ir::Privileges privileges = {}) {
    const ir::Program program = make_program(text);
    ir::Environment environment;
    environment.type = spec::program_info(spec::Dialect::Linux, type);
    environment.privileges = privileges;
    return analyze(program, environment, options);
}

// "accept", or the code of the first diagnostic.
inline std::string outcome(const Report& report) {
    return report.diagnostics.empty() ? name(report.verdict) : name(report.diagnostics[0].code);
}

inline std::string explain(const Report& report) {
    std::string text;
    for (const Diagnostic& d : report.diagnostics) {
        text += std::to_string(d.insn) + ": " + d.message;
        for (const std::string& note : d.notes) text += "\n  " + note;
    }
    return text;
}

}  // namespace ebpf::verifier
