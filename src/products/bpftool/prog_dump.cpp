// SPDX-License-Identifier: MIT
// bpftool prog dump
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "products/bpftool/dump.hpp"

namespace bpftool {
namespace {

// The texts that lines name, which the types have.
std::string text_at(const ProgramInside& program, __u32 offset) {
    if (!program.types) return {};
    return std::string(program.types->view().string(offset).value_or(""));
}

std::string code_of(const ProgramInside& program, const bpf_line_info& line) {
    const std::string text = text_at(program, line.line_off);
    const size_t begin = text.find_first_not_of(" \t\n\v\f\r");
    return begin == std::string::npos ? "" : text.substr(begin);
}

DumpWords dump_words(Words& words, size_t programs, bool jited) {
    DumpWords asked;
    const auto of_one = [&] {
        if (programs > 1) throw Failure("several programs matched");
    };
    if (words.take_if("file")) {
        if (words.empty()) throw Failure("expected file path");
        of_one();
        asked.file = words.take();
    }
    while (asked.file.empty() && !words.empty()) {
        if (words.take_if("opcodes")) {
            asked.opcodes = true;
        } else if (words.take_if("linum")) {
            asked.linum = true;
        } else if (!jited && words.take_if("visual")) {
            of_one();
            asked.visual = true;
        } else {
            break;
        }
    }
    if (!words.empty()) throw ShowUsage();
    return asked;
}

void write_file(const std::string& path, std::span<const std::byte> bytes) {
    std::ofstream file(path, std::ios::binary);
    if (!file) fail_errno("can't open file " + path, kFailed);
    file.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    if (!file.flush()) fail_errno("error writing output file", kFailed);
}

Output dump_xlated(const ProgramInside& program, const DumpWords& asked) {
    if (program.xlated.empty())
        throw Failure("error retrieving insn dump: there is none, or only operators are told");
    if (!asked.file.empty()) {
        write_file(asked.file, program.xlated);
        return {};
    }
    if (asked.visual) return {.json = {}, .text = graph_text(program)};
    return {.json = instructions_json(program, asked), .text = instructions_text(program, asked)};
}

Output dump_jited(const ProgramInside& program, const DumpWords& asked) {
    if (program.jited.empty())
        throw Failure("error retrieving jit dump: there is none, or only operators are told");
    if (!asked.file.empty()) {
        write_file(asked.file, program.jited);
        return {};
    }
    return {.json = machine_code_json(program, asked), .text = machine_code_text(program, asked)};
}

}  // namespace

const bpf_func_info* ProgramInside::record_at(__u32 slot) const {
    const auto record = std::ranges::lower_bound(functions, slot, {}, &bpf_func_info::insn_off);
    return types && record != functions.end() && record->insn_off == slot ? &*record : nullptr;
}
std::string ProgramInside::prototype_at(__u32 slot) const {
    const bpf_func_info* const record = record_at(slot);
    return record ? type_words(types->view(), record->type_id) : "";
}
std::string ProgramInside::function_at(__u32 slot) const {
    const bpf_func_info* const record = record_at(slot);
    const auto type = record ? types->view().type(record->type_id) : ebpf::btf::Type{};
    return type ? std::string(types->view().name(*type).value_or("")) : "";
}

void put_source(const ProgramInside& program, const bpf_line_info& line, bool linum, Json& json) {
    json["src"] = code_of(program, line);
    if (!linum) return;
    json["file"] = text_at(program, line.file_name_off);
    if (const __u32 number = BPF_LINE_INFO_LINE_NUM(line.line_col)) json["line_num"] = number;
    if (const __u32 column = BPF_LINE_INFO_LINE_COL(line.line_col)) json["line_col"] = column;
}
std::string source_text(const ProgramInside& program, const bpf_line_info& line, bool linum) {
    if (!linum) return fmt::format("; {}\n", code_of(program, line));
    return fmt::format("; {} [file:{} line_num:{} line_col:{}]\n", code_of(program, line),
                       text_at(program, line.file_name_off), BPF_LINE_INFO_LINE_NUM(line.line_col),
                       BPF_LINE_INFO_LINE_COL(line.line_col));
}

ProgramInside program_inside(int fd) {
    const bpf_prog_info sizes = program_info(fd);
    ProgramInside its;
    its.xlated.resize(sizes.xlated_prog_len);
    its.functions.resize(sizes.nr_func_info);
    its.lines.resize(sizes.nr_line_info);
    its.jited.resize(sizes.jited_prog_len);
    its.symbols.resize(sizes.nr_jited_ksyms);
    its.lengths.resize(sizes.nr_jited_func_lens);
    its.line_addresses.resize(sizes.nr_jited_line_info);
    bpf_prog_info& info = its.info;
    const auto address = [](auto& list) { return reinterpret_cast<__u64>(list.data()); };
    info.xlated_prog_insns = address(its.xlated);
    info.xlated_prog_len = sizes.xlated_prog_len;
    info.func_info = address(its.functions);
    info.nr_func_info = sizes.nr_func_info;
    info.func_info_rec_size = sizeof(bpf_func_info);
    info.line_info = address(its.lines);
    info.nr_line_info = sizes.nr_line_info;
    info.line_info_rec_size = sizeof(bpf_line_info);
    info.jited_prog_insns = address(its.jited);
    info.jited_prog_len = sizes.jited_prog_len;
    info.jited_ksyms = address(its.symbols);
    info.nr_jited_ksyms = sizes.nr_jited_ksyms;
    info.jited_func_lens = address(its.lengths);
    info.nr_jited_func_lens = sizes.nr_jited_func_lens;
    info.jited_line_info = address(its.line_addresses);
    info.nr_jited_line_info = sizes.nr_jited_line_info;
    info.jited_line_info_rec_size = sizeof(__u64);
    __u32 size = sizeof info;
    if (bpf_obj_get_info_by_fd(fd, &info, &size)) fail_errno("can't get prog info");
    its.jited.resize(std::min<size_t>(its.jited.size(), info.jited_prog_len));  // not told: 0
    its.types = types_of(info.btf_id);
    return its;
}

Output prog_dump(const Options&, Words& words) {
    const bool jited = words.take_if("jited");
    const auto dump = jited ? &dump_jited : &dump_xlated;
    if (!jited && !words.take_if("xlated")) {
        throw Failure(fmt::format("expected 'xlated' or 'jited', got: {}",
                                  words.empty() ? "(null)" : words.peek()));
    }
    if (words.count() < 2) throw ShowUsage();
    const std::vector<Fd> found = programs(words);
    const DumpWords asked = dump_words(words, found.size(), jited);
    if (found.size() == 1) return dump(program_inside(found.front().get()), asked);
    Output all{.json = Json::array()};
    for (const Fd& fd : found) {
        const ProgramInside program = program_inside(fd.get());
        Output header = program_header(program.info);
        const Output inside = dump(program, asked);
        header.json["insns"] = inside.json;
        all.json.push_back(std::move(header.json));
        if (!all.text.empty()) all.text += '\n';
        all.text += header.text + inside.text;
    }
    return all;
}

}  // namespace bpftool
