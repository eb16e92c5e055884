// SPDX-License-Identifier: MIT
//
// The records are those of .BTF.ext with one difference: an offset counts instruction slots of the
// whole program instead of bytes in a section (kernel/bpf, struct bpf_func_info and bpf_line_info).
#include "engine/program_btf.hpp"

#include <algorithm>
#include <unordered_map>

#include "btf/types.hpp"

namespace ebpf::engine {
namespace {

constexpr u32 kFunctionRecord = 8;
constexpr u32 kLineRecord = 16;
constexpr u32 kMaxRecord = 252;         // Linux's MAX_FUNCINFO_REC_SIZE
constexpr std::size_t kMaxText = 1024;  // longer names and lines are cut

Result<btf::InfoSection> records(const std::vector<std::byte>& bytes, u32 size, u32 least,
                                 const char* what) {
    if (bytes.empty()) return btf::InfoSection{.record_size = least};
    if (size < least || size > kMaxRecord || size % 4 != 0)
        return fail(Errc::BadFormat, {}, what, size);
    if (bytes.size() % size != 0) return fail(Errc::Truncated, {}, what, bytes.size());
    btf::InfoSection section{.record_size = size};
    section.records = bytes;
    return section;
}

// The instruction that begins at `slot`, after `previous`.
Result<u32> instruction_at(const ir::Program& program, u32 slot, i64& previous, const char* what) {
    if (i64{slot} <= previous) return fail(Errc::BadFormat, at_insn(slot), what);
    previous = slot;
    const auto at = std::ranges::lower_bound(program.slot_of, slot);
    if (at == program.slot_of.end() || *at != slot || at + 1 == program.slot_of.end())
        return fail(Errc::BadFormat, at_insn(slot), what);
    return static_cast<u32>(at - program.slot_of.begin());
}

Status add_functions(ir::Program& program, const btf::Types& types,
                     const btf::InfoSection& functions) {
    i64 previous = -1;
    for (u32 i = 0; i < functions.size(); ++i) {
        TRY_ASSIGN(const btf::FunctionRecord record, functions.function(i));
        TRY_ASSIGN(const u32 insn, instruction_at(program, record.offset, previous, "func_info"));
        TRY_ASSIGN(const btf::Type function, types->type(record.type));
        if (function.kind != btf::Kind::Func)
            return fail(Errc::BadFormat, at_type(record.type), "func_info names no function");
        // A function that nothing calls is no subprogram of the program's.
        const auto sub = std::ranges::find(program.subprograms, insn, &ir::Subprogram::begin);
        if (sub == program.subprograms.end()) continue;
        TRY_ASSIGN(const std::string_view name, types->name(function));
        sub->name = name.substr(0, kMaxText);
        sub->btf_type = record.type;
    }
    return {};
}

Status add_lines(ir::Program& program, const btf::Types& types, const btf::InfoSection& lines) {
    std::unordered_map<u32, u32> files;
    i64 previous = -1;
    for (u32 i = 0; i < lines.size(); ++i) {
        TRY_ASSIGN(const btf::LineRecord record, lines.line(i));
        TRY_ASSIGN(const u32 insn, instruction_at(program, record.offset, previous, "line_info"));
        TRY_ASSIGN(const std::string_view file, types->string(record.file_name));
        TRY_ASSIGN(const std::string_view text, types->string(record.text));
        const auto [entry, is_new] =
            files.emplace(record.file_name, static_cast<u32>(program.files.size()));
        if (is_new) program.files.emplace_back(file.substr(0, kMaxText));
        program.lines.push_back({.insn = insn,
                                 .file = entry->second,
                                 .line = record.line,
                                 .column = record.column,
                                 .text = std::string(text.substr(0, kMaxText)),
                                 .btf_file = record.file_name,
                                 .btf_text = record.text});
    }
    return {};
}

void append(std::vector<std::byte>& to, std::initializer_list<u32> record) {
    const auto bytes = std::as_bytes(std::span(record));
    to.insert(to.end(), bytes.begin(), bytes.end());
}

}  // namespace

ProgramBtf records_of(const ir::Program& program) {
    constexpr u32 kMaxLine = (1u << 22) - 1;
    constexpr u32 kMaxColumn = (1u << 10) - 1;
    ProgramBtf out{.func_info_rec_size = kFunctionRecord, .line_info_rec_size = kLineRecord};
    for (const ir::Subprogram& sub : program.subprograms)
        append(out.func_info, {program.slot_of[sub.begin], sub.btf_type});
    // All of them or none, as in Linux.
    if (std::ranges::count(program.subprograms, 0u, &ir::Subprogram::btf_type) != 0)
        out.func_info.clear();
    for (const ir::SourceLine& line : program.lines) {
        if (line.btf_file == 0) continue;
        append(out.line_info,
               {program.slot_of[line.insn], line.btf_file, line.btf_text,
                std::min(line.line, kMaxLine) << 10 | std::min(line.column, kMaxColumn)});
    }
    return out;
}

Status add_source(ir::Program& program, const ProgramBtf& btf) {
    TRY_ASSIGN(const auto types, btf::Types::parse(btf.types));
    TRY_ASSIGN(const auto functions, records(btf.func_info, btf.func_info_rec_size, kFunctionRecord,
                                             "size of a func_info record"));
    TRY_ASSIGN(const auto lines, records(btf.line_info, btf.line_info_rec_size, kLineRecord,
                                         "size of a line_info record"));
    TRY(add_functions(program, *types, functions));
    // Lines that are there already belong to the same places.
    if (!program.lines.empty()) return {};
    return add_lines(program, *types, lines);
}

}  // namespace ebpf::engine
