// SPDX-License-Identifier: MIT
// What `prog dump` is made of: a program's inside as BPF_OBJ_GET_INFO_BY_FD tells it, and how its
// instructions are shown.
#pragma once

#include <functional>

#include "isa/insn.hpp"
#include "products/bpftool/tool.hpp"

namespace bpftool {

struct ProgramInside {
    bpf_prog_info info{};
    std::vector<std::byte> xlated;  // 8-byte slots, maps by their ids
    std::vector<std::byte> jited;   // the machine code of its functions, one behind the other
    std::vector<__u64> symbols;     // where each function of it stands, and how long it is
    std::vector<__u32> lengths;
    std::vector<__u64> line_addresses;  // where each of `lines` begins in it
    std::vector<bpf_func_info> functions;
    std::vector<bpf_line_info> lines;
    std::shared_ptr<const ebpf::btf::Types> types;  // of both; null without them

    // The function that begins at that slot: its prototype and its name; "" where nobody says.
    std::string prototype_at(__u32 slot) const;
    std::string function_at(__u32 slot) const;

  private:
    const bpf_func_info* record_at(__u32 slot) const;
};
ProgramInside program_inside(int fd);
Json byte_list(std::span<const std::byte> bytes);

struct DumpWords {
    std::string file;  // empty: shown
    bool opcodes = false, linum = false, visual = false;
};

// Calls back for each instruction: its first slot, and its bytes. Failure for what is none.
using EachInstruction =
    std::function<void(__u32 slot, const ebpf::isa::Insn&, std::span<const std::byte> bytes)>;
void for_each_instruction(const ProgramInside& program, const EachInstruction& each);

// "(07) r1 += 1", with names in place of the numbers of helpers and, if `named`, of subprograms.
std::string instruction_text(const ProgramInside& program, __u32 slot, const ebpf::isa::Insn& insn,
                             std::span<const std::byte> bytes, bool named);
Json instructions_json(const ProgramInside& program, const DumpWords& asked);
std::string instructions_text(const ProgramInside& program, const DumpWords& asked);
Json machine_code_json(const ProgramInside& program, const DumpWords& asked);
std::string machine_code_text(const ProgramInside& program, const DumpWords& asked);
// The blocks of each function and where they lead, for Graphviz.
std::string graph_text(const ProgramInside& program);

// A line of the source, before what was made of it: its members of `json`, or a line of text.
void put_source(const ProgramInside& program, const bpf_line_info& line, bool linum, Json& json);
std::string source_text(const ProgramInside& program, const bpf_line_info& line, bool linum);

// A type, or a function with its parameters, as C has it but for the blanks: "struct point * p".
std::string type_words(const ebpf::btf::View& types, __u32 type);

}  // namespace bpftool
