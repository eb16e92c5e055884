// SPDX-License-Identifier: MIT
// The program's blocks: from a place where paths join or begin to the next place where they part.
#include <algorithm>

#include "isa/text/text.hpp"
#include "verifier/flow.hpp"
#include "verifier/render.hpp"

namespace ebpf::verifier {

namespace {

struct Block {
    u32 begin = 0, end = 0;  // instructions
    std::vector<u32> next;   // first instructions of those that follow
    bool loop_head = false;
};

std::vector<Block> blocks_of(const ir::Program& program) {
    const u32 n = static_cast<u32>(program.insns.size());
    const Flow flow(program);
    std::vector<bool> first(n + 1, false);
    for (const ir::Subprogram& s : program.subprograms) first[s.begin] = true;
    for (u32 i = 0; i < n; ++i) {
        const isa::Insn& insn = program.insns[i];
        if (insn.is_jump()) first[program.target[i]] = first[i + 1] = true;
        if (insn.form == isa::Form::Exit) first[i + 1] = true;
    }
    std::vector<Block> blocks;
    for (u32 i = 0; i < n;) {
        Block b{.begin = i, .end = i + 1, .next = {}, .loop_head = flow.loops.head[i]};
        while (b.end < n && !first[b.end]) ++b.end;
        const isa::Insn& last = program.insns[b.end - 1];
        if (last.is_jump()) b.next.push_back(program.target[b.end - 1]);
        const bool falls = last.form != isa::Form::Ja && last.form != isa::Form::Exit && b.end < n;
        if (falls && std::ranges::find(b.next, b.end) == b.next.end()) b.next.push_back(b.end);
        i = b.end;
        blocks.push_back(std::move(b));
    }
    return blocks;
}

// The instructions of a block, each below the source line that it came from.
std::string listing(const ir::Program& program, const Block& block, const char* line_end) {
    std::string text;
    const ir::SourceLine* last = nullptr;
    for (u32 i = block.begin; i < block.end; ++i) {
        const ir::SourceLine* line = program.line_at(i);
        if (line != nullptr && line != last && !line->text.empty())
            text += "  ; " + std::to_string(line->line) + ": " + line->text + line_end;
        last = line;
        text += "  " + std::to_string(i) + ": " +
                isa::text::print(program.insns[i], isa::text::Dialect::Llvm);
        if (program.insns[i].form == isa::Form::Call && program.target[i] != ir::kNoTarget)
            text += "  -> " + program.subprograms[program.subprogram_at(program.target[i])].name;
        text += line_end;
    }
    return text;
}

std::string function_at(const ir::Program& program, u32 begin) {
    for (std::size_t s = 0; s < program.subprograms.size(); ++s) {
        const ir::Subprogram& sub = program.subprograms[s];
        if (sub.begin != begin) continue;
        if (!sub.name.empty()) return sub.name;
        return s == 0 ? program.name : "function " + std::to_string(s);
    }
    return "";
}

std::string quoted(const std::string& text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        // "\l" ends a line, to the left, in Graphviz' language.
        const bool line_end = text[i] == '\\' && i + 1 < text.size() && text[i + 1] == 'l';
        if (line_end) {
            out += "\\l";
            ++i;
        } else {
            if (text[i] == '"' || text[i] == '\\') out += '\\';
            out += text[i];
        }
    }
    return out;
}

}  // namespace

std::string dump_cfg(const ir::Program& program) {
    std::string text;
    for (const Block& b : blocks_of(program)) {
        if (const std::string name = function_at(program, b.begin); !name.empty())
            text += name + ":\n";
        text += "block " + std::to_string(b.begin) + (b.loop_head ? " (loop head)" : "") + ":\n" +
                listing(program, b, "\n");
        if (!b.next.empty()) text += "  goes to";
        for (const u32 next : b.next) text += " " + std::to_string(next);
        text += b.next.empty() ? "  ends\n" : "\n";
    }
    return text;
}

std::string dump_cfg_dot(const ir::Program& program) {
    std::string text =
        "digraph \"" + quoted(program.name) + "\" {\n  node [shape=box, fontname=monospace];\n";
    for (const Block& b : blocks_of(program)) {
        const std::string id = std::to_string(b.begin);
        std::string label = function_at(program, b.begin);
        if (!label.empty()) label += ":\\l";
        text += "  b" + id + " [label=\"" + quoted(label + listing(program, b, "\\l")) + "\"" +
                (b.loop_head ? ", peripheries=2" : "") + "];\n";
        const isa::Insn& last = program.insns[b.end - 1];
        for (const u32 next : b.next) {
            text += "  b" + id + " -> b" + std::to_string(next);
            if (last.is_conditional())
                text += next == program.target[b.end - 1] ? " [label=\"yes\"]" : " [label=\"no\"]";
            text += ";\n";
        }
    }
    return text + "}\n";
}

}  // namespace ebpf::verifier
