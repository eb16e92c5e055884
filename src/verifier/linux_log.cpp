// SPDX-License-Identifier: MIT
//
// The analysis in the form of the log that Linux's verifier writes, which people and tools read:
// one line per analysed instruction, with what it read and wrote behind it,
//
//     0: R1=ctx() R10=fp0
//     0: (b7) r0 = 0                        ; R0=0
//     1: (95) exit
//
// source lines between them ("; code @ file.c:12"), and "from 5 to 9: ..." with the whole state
// where another path is taken up. At level 1 a path that ended well leaves nothing: what is left is
// the way to the error. The notation is Linux 6.18's; docs/verifier-log.md says what differs.
#include <array>
#include <cstdio>

#include "isa/codec.hpp"
#include "isa/text/text.hpp"
#include "spec/helpers.hpp"
#include "verifier/linux_state.hpp"
#include "verifier/linux_words.hpp"
#include "verifier/render.hpp"

namespace ebpf::verifier {

namespace {

namespace text = linux_log_text;

// What is formatted at most: the last instructions. The analysis of more is repeated in silence.
constexpr u64 kMostInstructions = 20'000;

class LinuxLog : public Observer {
  public:
    LinuxLog(const ir::Program& program, const ir::Environment& environment, LogDetail detail,
             u64 steps)
        : program_(program),
          environment_(environment),
          detail_(detail),
          skip_(detail == LogDetail::None   ? steps
                : steps > kMostInstructions ? steps - kMostInstructions
                                            : 0),
          steps_(steps) {}

    void begin() override {
        text_.clear();
        line_.clear();
        put_off_.clear();
        acquired_.clear();
        last_line_ = nullptr;
        resumed_ = false;
        before_.frames.clear();
        if (detail_ != LogDetail::All || skip_ != 0) return;
        for (std::size_t i = 0; i < program_.subprograms.size(); ++i)
            text_ +=
                "func#" + std::to_string(i) + " @" + slot(program_.subprograms[i].begin) + "\n";
    }

    void see(const State& state) override {
        ++seen_;
        note_references(state);
        previous_ = state.pc;
        if (seen_ <= skip_) return;
        const bool first = before_.frames.empty();
        if (resumed_) {
            end_line();
            const std::string all = frame(state, state.frames.size() - 1, text::kEverything);
            text_ += "\nfrom " + slot(resumed_from_) + " to " + slot(state.pc) + ":" + all + "\n" +
                     slot(state.pc) + ":" + all + "\n";
            resumed_ = false;
        } else if (first) {
            text_ += slot(state.pc) + ":" +
                     frame(state, state.frames.size() - 1, text::kEverything) + "\n";
        } else {
            follow(state);
        }
        source_line(state.pc);
        line_ = slot(state.pc) + ": " + instruction(state.pc);
        before_ = state;
    }

    void put_off() override { put_off_.push_back({text_.size() + line_.size(), previous_}); }

    void take_up() override {
        end_line();
        resumed_ = true;
        resumed_from_ = put_off_.back().from;
        if (detail_ == LogDetail::Path && put_off_.back().at < text_.size()) {
            text_.resize(put_off_.back().at);
            if (!text_.empty()) text_ += "\n";
        }
        put_off_.pop_back();
        last_line_ = nullptr;
    }

    void covered(const State& state) override {
        if (seen_ < skip_ || detail_ != LogDetail::All) return;
        if (!resumed_ && !before_.frames.empty()) follow(state);
        end_line();
        text_ += (resumed_ ? "\nfrom " + slot(resumed_from_) + " to " : std::string()) +
                 slot(state.pc) + ": safe\n";
    }

    void rejected(const Diagnostic& diagnostic, const State& state) override {
        end_line();
        Found now{diagnostic, text_, ""};
        if (diagnostic.insn < program_.insns.size() && !state.frames.empty())
            now.words =
                text::words({program_, environment_, now.diagnostic, state, steps_, acquired_});
        if (!first_found_) first_found_ = now;
        found_ = std::move(now);
    }

    LinuxText take(const Report& report) {
        end_line();
        LinuxText out{std::move(text_), ""};
        // An error found under a general state may be the one after all, though more was tried.
        for (std::optional<Found>* found : {&found_, &first_found_}) {
            if (report.diagnostics.empty() || !*found ||
                (*found)->diagnostic.insn != report.diagnostics[0].insn ||
                (*found)->diagnostic.message != report.diagnostics[0].message)
                continue;
            out = {std::move((*found)->text), std::move((*found)->words)};
            break;
        }
        if (skip_ != 0 && detail_ != LogDetail::None)
            out.way =
                "... (" + std::to_string(skip_) + " instructions before are left out)\n" + out.way;
        return out;
    }

  private:
    struct PutOff {
        std::size_t at;  // in the text, behind the instruction
        u32 from;
    };
    struct Found {
        Diagnostic diagnostic;
        std::string text, words;
    };

    std::string slot(u32 insn) const { return std::to_string(program_.slot_of[insn]); }

    std::string frame(const State& state, std::size_t at, const text::Shown& shown) const {
        return text::frame_text(program_, state, at, shown);
    }

    // `(85) call bpf_get_prandom_u32#7`.
    std::string instruction(u32 at) const {
        const isa::Insn& insn = program_.insns[at];
        std::array<isa::Slot, 2> slots{};
        (void)isa::encode(insn, slots);
        char opcode[8];
        std::snprintf(opcode, sizeof opcode, "(%02x) ", slots[0].opcode);
        std::string out = opcode;
        if (insn.form == isa::Form::Call && insn.call() == isa::CallKind::Helper) {
            const auto number = static_cast<u32>(insn.imm);
            const spec::HelperProto* helper = spec::find_helper(*environment_.type, number);
            return out + "call " + (helper != nullptr ? helper->name : "unknown") + "#" +
                   std::to_string(number);
        }
        if (insn.form == isa::Form::Call && insn.call() == isa::CallKind::Kfunc) {
            const auto id = static_cast<u32>(insn.imm);
            const auto name = std::ranges::find(program_.kfuncs, id, &spec::kfunc_id);
            const spec::HelperProto* known = spec::find_kfunc(*environment_.type, id);
            return out + "call " +
                   (name != program_.kfuncs.end() ? *name
                    : known != nullptr            ? known->name
                                                  : "kernel-function") +
                   "#" + std::to_string(id);
        }
        return out + isa::text::print(insn, isa::text::Dialect::Linux);
    }

    void note_references(const State& state) {
        for (const u32 ref : state.refs) acquired_.try_emplace(ref, previous_);
    }

    // The instruction before led here: what it read and wrote.
    void follow(const State& state) {
        const std::size_t was = before_.frames.size(), is = state.frames.size();
        if (is > was) {
            end_line();
            text_ += "caller:\n" + frame(state, is - 2, text::kEverything) + "\ncallee:\n" +
                     frame(state, is - 1, text::kEverything) + "\n" + slot(state.pc) + ":" +
                     frame(state, is - 1, text::kEverything) + "\n";
        } else if (is < was) {
            end_line();
            text_ += "returning from callee:\n" + frame(before_, was - 1, text::kEverything) +
                     "\nto caller at " + slot(state.pc) + ":\n" +
                     frame(state, is - 1, text::kEverything) + "\n";
        } else {
            const std::string touched = frame(state, is - 1, touched_by(before_));
            if (!touched.empty()) {
                // As Linux aligns it.
                const std::size_t column =
                    (std::max<std::size_t>(line_.size() + 5, 40) + 7) / 8 * 8 - 2;
                line_.resize(column, ' ');
                line_ += ";" + touched;
            }
            end_line();
        }
    }

    text::Shown touched_by(const State& state) const {
        const isa::Insn& insn = program_.insns[state.pc];
        const isa::RegUse use = isa::registers_of(insn);
        text::Shown shown{use.writes, 0};
        if (insn.form != isa::Form::Call) shown.regs = static_cast<RegSet>(shown.regs | use.reads);
        const bool loads = insn.form == isa::Form::Load || insn.form == isa::Form::LoadSx;
        const bool stores = insn.form == isa::Form::StoreReg || insn.form == isa::Form::StoreImm ||
                            insn.form == isa::Form::Atomic;
        const Reg& base = state.reg(loads ? insn.src : insn.dst);
        if (!(loads || stores) || base.kind != Kind::Stack ||
            base.frame + 1u != state.frames.size())
            return shown;
        const int size = isa::bytes(insn.width);
        const i64 from = isa::kStackSize + base.num.smin() + base.off + insn.off,
                  to = isa::kStackSize + base.num.smax() + base.off + insn.off + size;
        for (i64 at = from; at >= 0 && at < to && at < isa::kStackSize; at = (at / 8 + 1) * 8)
            shown.slots |= u64{1} << (isa::kStackSize / 8 - 1 - at / 8);
        return shown;
    }

    void end_line() {
        if (!line_.empty()) text_ += line_ + "\n";
        line_.clear();
    }

    void source_line(u32 pc) {
        const ir::SourceLine* line = program_.line_at(pc);
        if (line == nullptr || line == last_line_) return;
        last_line_ = line;
        std::string_view code = line->text;
        code.remove_prefix(std::min(code.find_first_not_of(" \t"), code.size()));
        text_ += "; " + std::string(code);
        if (line->file < program_.files.size()) {
            const std::string& path = program_.files[line->file];
            text_ += " @ " + path.substr(path.rfind('/') + 1) + ":" + std::to_string(line->line);
        }
        text_ += "\n";
    }

    const ir::Program& program_;
    const ir::Environment& environment_;
    const LogDetail detail_;
    const u64 skip_;  // instructions that are not formatted
    const u64 steps_;
    u64 seen_ = 0;
    std::string text_, line_;
    State before_;      // in which the instruction of line_ was met
    u32 previous_ = 0;  // the instruction met last
    std::vector<PutOff> put_off_;
    bool resumed_ = false;
    u32 resumed_from_ = 0;
    std::map<u32, u32> acquired_;
    const ir::SourceLine* last_line_ = nullptr;
    std::optional<Found> first_found_, found_;
};

}  // namespace

LinuxText linux_log(const ir::Program& program, const ir::Environment& environment,
                    const Options& options, LogDetail detail, const Report& report) {
    LinuxLog log(program, environment, detail, report.steps);
    return log.take(Analyzer(program, environment, options, &log).run());
}

}  // namespace ebpf::verifier
