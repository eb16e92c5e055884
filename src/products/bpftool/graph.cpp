// SPDX-License-Identifier: MIT
// The blocks of a program's functions as a graph for Graphviz, laid out as Linux's bpftool does.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "products/bpftool/dump.hpp"

namespace bpftool {
namespace {

using ebpf::isa::CallKind;
using ebpf::isa::Form;
using ebpf::isa::Insn;
using ebpf::isa::WideKind;

constexpr int kEntry = 0, kExit = 1, kFirstBlock = 2;  // numbers of blocks

// What is special in a label of Graphviz's records.
std::string escaped(const std::string& text) {
    std::string out;
    for (const char c : text) {
        if (std::string_view("{}<>|&\"\\").find(c) != std::string_view::npos) out += '\\';
        out += c;
    }
    return out;
}

__s64 target_of(__u32 slot, const Insn& insn) {
    return __s64{slot} + 1 + insn.displacement();
}

class Graph {
  public:
    explicit Graph(const ProgramInside& program) {
        for_each_instruction(program, [&](__u32 slot, const Insn& insn, auto bytes) {
            insns_[slot] = {insn, "", slot + static_cast<__u32>(insn.slots())};
            insns_[slot].text =
                fmt::format("{:4}: {}", slot, instruction_text(program, slot, insn, bytes, false));
            note_starts(slot, insn);
        });
    }

    std::string text() {
        out_ = "digraph \"DOT graph for eBPF program\" {\n";
        int number = 0;
        for (auto at = functions_.begin(); at != functions_.end(); ++at) {
            const auto next = std::next(at);
            function(number++, *at, next == functions_.end() ? ~__u32{0} : *next);
        }
        return out_ + "}\n";
    }

  private:
    struct Line {
        Insn insn;
        std::string text;
        __u32 next = 0;
    };

    void note_starts(__u32 slot, const Insn& insn) {
        const auto after = slot + static_cast<__u32>(insn.slots());
        if (insn.is_jump()) starts_.insert(static_cast<__u32>(target_of(slot, insn)));
        if (insn.is_jump() || insn.form == Form::Exit) starts_.insert(after);
        const bool callback = insn.form == Form::Wide && insn.wide() == WideKind::Function;
        if (callback || (insn.form == Form::Call && insn.call() == CallKind::Local))
            functions_.insert(static_cast<__u32>(__s64{slot} + 1 + insn.imm));
    }

    void function(int number, __u32 begin, __u32 end) {
        const std::string node = fmt::format("fn_{}_bb_", number);
        out_ += fmt::format(
            "subgraph \"cluster_{0}\" {{\n\tstyle=\"dashed\";\n\tcolor=\"black\";\n"
            "\tlabel=\"func_{0} ()\";\n"
            "\t{1}0 [shape=Mdiamond,style=filled,label=\"ENTRY\"];\n\n",
            number, node);
        std::map<__u32, int> blocks;  // by their first slot
        for (auto at = insns_.lower_bound(begin); at != insns_.end() && at->first < end; ++at) {
            if (at->first == begin || starts_.contains(at->first))
                blocks.emplace(at->first, kFirstBlock + static_cast<int>(blocks.size()));
        }
        for (auto at = blocks.begin(); at != blocks.end(); ++at)
            block(node, at->second, at->first, after(blocks, at, end));
        out_ += fmt::format("\t{}1 [shape=Mdiamond,style=filled,label=\"EXIT\"];\n\n", node);
        edge(node, kEntry, kFirstBlock);
        for (auto at = blocks.begin(); at != blocks.end(); ++at)
            edges(node, blocks, at->second, after(blocks, at, end));
        out_ += fmt::format("\t{0}0:s -> {0}1:n [style=\"invis\", constraint=true];\n}}\n", node);
    }

    static __u32 after(const std::map<__u32, int>& blocks, std::map<__u32, int>::iterator at,
                       __u32 end) {
        const auto next = std::next(at);
        return next == blocks.end() ? end : next->first;
    }

    void block(const std::string& node, int number, __u32 begin, __u32 end) {
        out_ += fmt::format("\t{}{} [shape=record,style=filled,label=\"{{", node, number);
        for (auto at = insns_.lower_bound(begin); at != insns_.end() && at->first < end; ++at)
            out_ += (at->first == begin ? "" : " | ") + escaped(at->second.text) + "\\l\\\n";
        out_ += "}\"];\n\n";
    }

    // Where the block that ends before `end` leads: on, and where its jump does.
    void edges(const std::string& node, const std::map<__u32, int>& blocks, int number, __u32 end) {
        const auto last = std::prev(insns_.lower_bound(end));
        const Insn& insn = last->second.insn;
        if (insn.form == Form::Exit) return edge(node, number, kExit);
        const auto lead_to = [&](__s64 slot) {
            const auto to = blocks.find(static_cast<__u32>(slot));
            edge(node, number, to == blocks.end() ? kExit : to->second);
        };
        if (!insn.is_jump() || insn.is_conditional()) lead_to(last->second.next);
        if (insn.is_jump()) lead_to(target_of(last->first, insn));
    }
    void edge(const std::string& node, int from, int to) {
        out_ += fmt::format(
            "\t{0}{1}:s -> {0}{2}:n [style=\"solid,bold\", color=black, weight=10, "
            "constraint=true];\n",
            node, from, to);
    }

    std::map<__u32, Line> insns_;  // by their first slot
    std::set<__u32> starts_;       // of blocks
    std::set<__u32> functions_{0};
    std::string out_;
};

}  // namespace

std::string graph_text(const ProgramInside& program) {
    return Graph(program).text();
}

}  // namespace bpftool
