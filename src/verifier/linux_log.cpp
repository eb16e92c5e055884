// SPDX-License-Identifier: MIT
//
// The analysis in the form of the log that Linux's verifier writes, which people and tools read:
// one line per analysed instruction, with what it wrote behind it,
//
//     0: R1=ctx() R10=fp0
//     0: (b7) r0 = 0                        ; R0_w=0
//     1: (95) exit
//
// source lines between them ("; code @ file.c:12"), "from 5 to 9: ..." with the whole state where
// another path is taken up, and at level 2 the whole state before every instruction. The words of
// the values are Linux's where our domain has the same notion.
#include <array>
#include <cstdio>

#include "isa/codec.hpp"
#include "isa/text/text.hpp"
#include "verifier/analyzer.hpp"
#include "verifier/render.hpp"

namespace ebpf::verifier {

namespace {

std::string hex(u64 v) {
    char text[24];
    std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(v));
    return text;
}

std::string linux_number(const Scalar& s) {
    if (s.is_constant()) return std::to_string(static_cast<i64>(s.value()));
    std::string inside;
    const auto add = [&](const char* key, const std::string& value) {
        if (!inside.empty()) inside += ",";
        inside += std::string(key) + "=" + value;
    };
    if (s.smin() != std::numeric_limits<i64>::min()) add("smin", std::to_string(s.smin()));
    if (s.smax() != std::numeric_limits<i64>::max()) add("smax", std::to_string(s.smax()));
    if (s.umin() != 0) add("umin", std::to_string(s.umin()));
    if (s.umax() != ~u64{0}) add("umax", std::to_string(s.umax()));
    if (s.bits.mask != ~u64{0})
        add("var_off", "(" + hex(s.bits.value) + "; " + hex(s.bits.mask) + ")");
    return "scalar(" + inside + ")";
}

std::string linux_pointer(const char* kind, const Reg& r, std::string inside) {
    const auto add = [&](const std::string& part) { inside += (inside.empty() ? "" : ",") + part; };
    if (r.id != 0) add("id=" + std::to_string(r.id));
    if (r.ref != 0) add("ref_obj_id=" + std::to_string(r.ref));
    if (r.off != 0) add("off=" + std::to_string(r.off));
    if (!r.num.is_constant() || r.num.value() != 0) add(linux_number(r.num));
    return std::string(kind) + (r.nullable ? "_or_null" : "") + "(" + inside + ")";
}

std::string linux_value(const ir::Program& program, const Reg& r) {
    switch (r.kind) {
        case Kind::Uninit:
            return "";
        case Kind::Scalar:
            return linux_number(r.num);
        case Kind::Context:
            return linux_pointer("ctx", r, "");
        case Kind::Stack: {
            const bool fixed = r.num.is_constant();
            const i64 at = r.off + (fixed ? static_cast<i64>(r.num.value()) : 0);
            return fixed ? "fp" + std::to_string(at) : linux_pointer("fp", r, "");
        }
        case Kind::Packet:
            return linux_pointer("pkt", r, "r=" + std::to_string(r.size));
        case Kind::PacketMeta:
            return linux_pointer("pkt_meta", r, "r=" + std::to_string(r.size));
        case Kind::PacketEnd:
            return "pkt_end()";
        case Kind::Map:
        case Kind::MapValue: {
            const ir::MapDef& m = program.maps[r.index];
            return linux_pointer(r.kind == Kind::Map ? "map_ptr" : "map_value", r,
                                 "map=" + m.name + ",ks=" + std::to_string(m.key_size) +
                                     ",vs=" + std::to_string(m.value_size));
        }
        case Kind::Memory:
            return linux_pointer("mem", r, "sz=" + std::to_string(r.size));
        case Kind::Object:
            return linux_pointer("sock", r, "");
        case Kind::Typed:
            return linux_pointer("ptr_", r, "");
        case Kind::Function:
            return "func()";
        case Kind::Dynptr:
            return "dynptr()";
        case Kind::LentDynptr:
            return "dynptr_ptr()";
        case Kind::Iterator:
            return "iter_num()";
    }
    return "";
}

std::string linux_state(const ir::Program& program, const State& state) {
    std::string text;
    if (state.frames.size() > 1) text += " frame" + std::to_string(state.frames.size() - 1) + ":";
    for (unsigned r = 0; r < isa::kRegisterCount; ++r) {
        const std::string value = linux_value(program, state.top().regs[r]);
        if (!value.empty()) text += " R" + std::to_string(r) + "=" + value;
    }
    for (const Cell& c : state.top().stack->cells) {
        const std::string value = linux_value(program, c.reg);
        if (!value.empty()) text += " fp" + std::to_string(c.off - isa::kStackSize) + "=" + value;
    }
    if (!state.refs.empty()) text += " refs=";
    for (std::size_t i = 0; i < state.refs.size(); ++i)
        text += (i == 0 ? "" : ",") + std::to_string(state.refs[i]);
    return text;
}

class LinuxLog {
  public:
    LinuxLog(const ir::Program& program, bool all_states, std::size_t most)
        : program_(program), all_states_(all_states), most_(most) {}

    void see(const State& state) {
        if (full()) return;
        const u32 pc = state.pc;
        finish_line(&state);
        const bool first = previous_ == ir::kNoTarget;
        if (first || !follows(pc)) {
            if (!first)
                text_ += "\nfrom " + slot(previous_) + " to " + slot(pc) + ":";
            else
                text_ += slot(pc) + ":";
            text_ += linux_state(program_, state) + "\n";
        } else if (all_states_) {
            text_ += slot(pc) + ":" + linux_state(program_, state) + "\n";
        }
        source_line(pc);
        const isa::Insn& insn = program_.insns[pc];
        std::array<isa::Slot, 2> slots{};
        (void)isa::encode(insn, slots);
        char opcode[8];
        std::snprintf(opcode, sizeof opcode, "(%02x) ", slots[0].opcode);
        line_ = slot(pc) + ": " + opcode + isa::text::print(insn, isa::text::Dialect::Llvm);
        previous_ = pc;
        depth_ = state.frames.size();
    }
    std::string take() {
        finish_line(nullptr);
        if (full()) text_ += "... (the log is longer)\n";
        return std::move(text_);
    }

  private:
    bool full() const { return text_.size() >= most_; }
    std::string slot(u32 insn) const { return std::to_string(program_.slot_of[insn]); }
    bool follows(u32 pc) const {
        return pc == previous_ + 1 || pc == program_.target[previous_] ||
               program_.insns[previous_].form == isa::Form::Exit;
    }
    // What the instruction wrote stands behind it, once the next state shows it.
    void finish_line(const State* next) {
        if (line_.empty()) return;
        const isa::Insn& insn = program_.insns[previous_];
        if (next != nullptr && next->frames.size() == depth_ && next->pc == previous_ + 1) {
            const RegSet written = isa::registers_of(insn).writes;
            std::string wrote;
            for (unsigned r = 0; r < isa::kFramePointer; ++r) {
                const std::string value = linux_value(program_, next->top().regs[r]);
                if ((written >> r & 1) && !value.empty())
                    wrote += " R" + std::to_string(r) + "_w=" + value;
            }
            if (!wrote.empty()) {
                if (line_.size() < 40) line_.resize(40, ' ');
                line_ += ";" + wrote;
            }
        }
        text_ += line_ + "\n";
        line_.clear();
    }
    void source_line(u32 pc) {
        const ir::SourceLine* line = program_.line_at(pc);
        if (line == nullptr || line == last_line_) return;
        last_line_ = line;
        text_ += "; " + line->text;
        if (line->file < program_.files.size())
            text_ += " @ " + program_.files[line->file] + ":" + std::to_string(line->line);
        text_ += "\n";
    }

    const ir::Program& program_;
    bool all_states_;
    std::size_t most_;
    std::string text_, line_;
    u32 previous_ = ir::kNoTarget;
    std::size_t depth_ = 0;
    const ir::SourceLine* last_line_ = nullptr;
};

}  // namespace

std::string linux_log(const ir::Program& program, const ir::Environment& environment,
                      const Options& options, bool all_states, std::size_t most) {
    LinuxLog log(program, all_states, most);
    const Observer observer = [](void* self, const State& state) {
        static_cast<LinuxLog*>(self)->see(state);
    };
    Analyzer(program, environment, options, observer, &log).run();
    return log.take();
}

}  // namespace ebpf::verifier
