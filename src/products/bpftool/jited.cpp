// SPDX-License-Identifier: MIT
// A program's machine code, below its source lines.
#include <fmt/format.h>

#include <algorithm>

#include "jit/jit.hpp"
#include "products/bpftool/dump.hpp"
#include "products/disassembly/disassembly.hpp"

namespace bpftool {
namespace {

using ebpf::products::MachineInsn;

// "mov" and {"%rsp", "%rbp"}: commas in parentheses are an operand's own.
struct Parts {
    std::string operation;
    std::vector<std::string> operands;
};
Parts parts_of(const std::string& text) {
    const size_t blank = text.find(' ');
    Parts parts{.operation = text.substr(0, blank), .operands = {}};
    if (blank == std::string::npos) return parts;
    int depth = 0;
    parts.operands.emplace_back();
    for (const char c : text.substr(blank + 1)) {
        depth += c == '(' ? 1 : c == ')' ? -1 : 0;
        if (c == ',' && depth == 0) {
            parts.operands.emplace_back();
        } else if (c != ' ' || !parts.operands.back().empty()) {
            parts.operands.back() += c;
        }
    }
    return parts;
}

// The line whose code begins there; of several the first. (Lines are in the order of the code.)
const bpf_line_info* line_at(const ProgramInside& program, __u64 address) {
    const auto at = std::ranges::lower_bound(program.line_addresses, address);
    if (at == program.line_addresses.end() || *at != address) return nullptr;
    const auto index = static_cast<size_t>(at - program.line_addresses.begin());
    return index < program.lines.size() ? &program.lines[index] : nullptr;
}

// One function of the machine code.
struct Function {
    std::span<const std::byte> code;
    __u64 address = 0;
    std::string prototype, name;
};
std::vector<Function> functions_of(const ProgramInside& program) {
    std::vector<Function> all;
    std::span<const std::byte> rest = program.jited;
    for (size_t i = 0; i < program.lengths.size() && i < program.symbols.size(); ++i) {
        const size_t length = std::min<size_t>(program.lengths[i], rest.size());
        Function its{.code = rest.first(length), .address = program.symbols[i]};
        rest = rest.subspan(length);
        if (i < program.functions.size()) {
            its.prototype = program.prototype_at(program.functions[i].insn_off);
            its.name = program.function_at(program.functions[i].insn_off);
        }
        if (its.name.empty()) its.name = fmt::format("{:#018x}", its.address);
        all.push_back(std::move(its));
    }
    return all;
}

template <typename Each>
void for_each_insn(const Function& function, Each&& each) {
    for (size_t at = 0; at < function.code.size();) {
        const MachineInsn insn =
            ebpf::products::machine_insn(ebpf::jit::Target::host().cpu, function.code.subspan(at),
                                         at, ebpf::products::Syntax::Att);
        each(at, insn, function.code.subspan(at, insn.length));
        at += insn.length;
    }
}

std::string hexadecimal(std::span<const std::byte> bytes) {
    std::string text;
    for (const std::byte b : bytes) text += fmt::format("{:02x} ", static_cast<unsigned>(b));
    return text;
}

}  // namespace

Json machine_code_json(const ProgramInside& program, const DumpWords& asked) {
    Json all = Json::array();
    for (const Function& function : functions_of(program)) {
        Json insns = Json::array();
        for_each_insn(function, [&](size_t at, const MachineInsn& insn, auto bytes) {
            Json json;
            if (const bpf_line_info* const line = line_at(program, function.address + at))
                put_source(program, *line, asked.linum, json);
            json["pc"] = fmt::format("{:#x}", at);
            const Parts parts = parts_of(insn.text);
            json["operation"] = insn.text.empty() ? ".byte" : parts.operation;
            json["operands"] = insn.text.empty()        ? byte_list(bytes)
                               : parts.operands.empty() ? Json::array({nullptr})
                                                        : Json(parts.operands);
            if (asked.opcodes) json["opcodes"] = byte_list(bytes);
            insns.push_back(std::move(json));
        });
        Json json;
        if (!function.prototype.empty()) json["proto"] = function.prototype;
        json["name"] = function.name;
        json["insns"] = std::move(insns);
        all.push_back(std::move(json));
    }
    return all;
}

std::string machine_code_text(const ProgramInside& program, const DumpWords& asked) {
    std::string text;
    for (const Function& function : functions_of(program)) {
        if (!function.prototype.empty()) text += function.prototype + ":\n";
        text += function.name + ":\n";
        for_each_insn(function, [&](size_t at, const MachineInsn& insn, auto bytes) {
            if (const bpf_line_info* const line = line_at(program, function.address + at))
                text += source_text(program, *line, asked.linum);
            text += fmt::format("{:4x}:\t{}", at,
                                insn.text.empty() ? ".byte " + hexadecimal(bytes) : insn.text);
            if (asked.opcodes) text += "\n\t" + hexadecimal(bytes);
            text += '\n';
        });
        text += '\n';
    }
    return text;
}

}  // namespace bpftool
