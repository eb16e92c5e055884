// SPDX-License-Identifier: MIT
#include "oracles/state_oracle.hpp"

#include "isa/semantics.hpp"
#include "spec/helpers.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>

namespace ebpf::verifier::oracle {

namespace {

class Judge {
  public:
    Judge(const Analyzer& analyzer, const Machine& machine, Tally& tally)
        : analyzer_(analyzer), machine_(machine), tally_(tally) {}

    bool inside(const Seen& seen) {
        const State& s = seen.state;
        const auto& frames = machine_.frames();
        if (s.frames.size() != frames.size()) return false;
        ids_.clear();
        numbers_.clear();
        for (std::size_t f = 0; f < frames.size(); ++f) {
            if (s.frames[f].subprogram != frames[f].subprogram ||
                s.frames[f].callback_of != frames[f].callback_of ||
                (f > 0 && s.frames[f].return_to != frames[f].return_to))
                return false;
        }
        if (!references_agree(s)) return false;
        for (std::size_t f = 0; f < frames.size(); ++f) {
            const RegSet live = analyzer_.live_in(s, f);
            for (unsigned r = 0; r < isa::kFramePointer; ++r) {
                if (!(live >> r & 1)) continue;
                const Reg& abstract = s.frames[f].regs[r];
                if (abstract.kind == Kind::Uninit) continue;
                if (!frames[f].set[r] || !value_inside(abstract, frames[f].regs[r])) return false;
            }
            if (!stack_inside(seen, f)) return false;
        }
        return numbers_agree() && relations_hold(s);
    }

  private:
    // A number that shares an identity: scale * identity, with what its constant part leaves.
    struct Number {
        u32 id;
        i64 scale;
        u64 value;
        bool low;
    };

    bool number_inside(const Reg& r, u64 value) {
        if (!r.num.contains(value)) return false;
        if (r.number_id() != 0 && !r.num.is_constant())
            numbers_.push_back({r.number_id(), r.scale, value - static_cast<u64>(r.delta), r.low});
        return true;
    }

    // Of two that share an identity, one of which is a multiple of the other.
    bool numbers_agree() const {
        for (const Number& a : numbers_) {
            for (const Number& b : numbers_) {
                if (a.id != b.id || b.scale % a.scale != 0) continue;
                const u64 wrong = a.value * static_cast<u64>(b.scale / a.scale) - b.value;
                if (((a.low || b.low) ? wrong & 0xffffffff : wrong) != 0) return false;
            }
            if (!distances_agree(a)) return false;
        }
        return true;
    }

    // The value of an identity, if a number shows it.
    std::optional<i64> value_of(const State& s, u32 id) const {
        if (id == s.packet_size) return static_cast<i64>(machine_.data_end() - machine_.data());
        const auto n = std::ranges::find_if(numbers_, [&](const Number& known) {
            return known.id == id && !known.low && (known.scale == 1 || known.scale == -1);
        });
        if (n == numbers_.end()) return std::nullopt;
        return static_cast<i64>(n->scale == 1 ? n->value : u64{0} - n->value);
    }

    // Relations of numbers that are all there.
    bool relations_hold(const State& s) const {
        for (const Relation& r : s.relations.all()) {
            if (!analyzer_.relied_on(r)) continue;
            __int128 sum = 0;
            bool all = true;
            for (const Part& p : r.parts()) {
                const std::optional<i64> value = value_of(s, p.id);
                all &= value.has_value();
                sum += __int128{p.factor} * value.value_or(0);
            }
            tally_.relations += all;
            if (all && (sum > r.most || (r.equal && sum != r.most))) return false;
        }
        return true;
    }

    bool distances_agree(const Number& a) const {
        for (const Number& b : numbers_) {
            if (b.id >= a.id || a.scale != 1 || b.scale != 1 || a.low || b.low) continue;
            const auto known = analyzer_.distance(a.id, b.id + 1);
            if (!known || known->from != b.id) continue;
            const i64 is = static_cast<i64>(a.value - b.value);
            if (is < known->least || is > known->most || (is < 0) != (a.value < b.value))
                return false;
        }
        return true;
    }

    // A reference is held in the abstract until its pointer was found to be null.
    bool references_agree(const State& s) {
        std::size_t held = s.refs.size();
        for (const u32 ref : s.refs) {
            bool null = false;
            for (std::size_t f = 0; f < s.frames.size(); ++f) {
                const auto& frame = machine_.frames()[f];
                for (unsigned r = 0; r < isa::kFramePointer; ++r) {
                    const Reg& abstract = s.frames[f].regs[r];
                    null |= abstract.ref == ref && abstract.nullable && !abstract.is_borrowed() &&
                            frame.regs[r] == 0;
                }
                for (const Cell& c : s.frames[f].stack->cells) {
                    u64 value = 0;
                    std::memcpy(&value, machine_.region(frame.stack).bytes.data() + c.off, c.size);
                    null |=
                        c.reg.ref == ref && c.reg.nullable && !c.reg.is_borrowed() && value == 0;
                }
            }
            held -= null;
        }
        return held == machine_.references().size();
    }

    bool same(u64 space, u32 id, u64 value) {
        const auto [at, fresh] = ids_.try_emplace({space, id}, value);
        return fresh || at->second == value;
    }

    bool value_inside(const Reg& r, u64 value) {
        ++tally_.values;
        const u64 at = value - static_cast<u64>(i64{r.off});
        const Region* region = machine_.region_near(value);
        if (r.nullable && (r.id == 0 || !same(1, r.id, value == 0))) return false;
        if (r.nullable && value == 0) return true;
        switch (r.kind) {
            case Kind::Uninit:
            case Kind::Function:
                return true;
            case Kind::Scalar:
                if (r.is_length() && ends_.contains(r.index) &&
                    static_cast<i64>(ends_[r.index] + static_cast<u64>(i64{r.off}) +
                                     r.size * value - machine_.data_end()) > 0)
                    return false;
                if (!analyzer_.relied_on(r)) return true;
                if (!r.num.contains(value)) return false;
                return number_inside(r, value);
            case Kind::Context:
                return value == machine_.context() + static_cast<u64>(i64{r.off});
            case Kind::Stack:
                if (r.frame >= machine_.frames().size()) return false;
                return number_inside(r,
                                     at - machine_.region(machine_.frames()[r.frame].stack).end());
            case Kind::Packet:
            case Kind::PacketMeta: {
                const u64 base = r.kind == Kind::Packet ? machine_.data() : machine_.data_meta();
                const u64 end = r.kind == Kind::Packet ? machine_.data_end() : machine_.data();
                if (!number_inside(r, at - base)) return false;
                if (r.reach() >= 0 && (at + r.size > end || at + r.size < at)) return false;
                if (r.kind == Kind::Packet) ends_[r.id] = at;
                return same(2 + (r.kind == Kind::Packet), r.id, at);
            }
            case Kind::PacketEnd:
                return value == machine_.data_end();
            case Kind::Map:
                return region != nullptr && region->what == Region::What::Map &&
                       region->index == r.index;
            case Kind::MapValue:
                return region != nullptr && region->what == Region::What::MapValue &&
                       region->index == r.index && number_inside(r, at - region->base);
            case Kind::Memory:
                return region != nullptr && region->what == Region::What::Memory && region->alive &&
                       region->bytes.size() == r.size && number_inside(r, at - region->base);
            default:
                return true;
        }
    }

    bool stack_inside(const Seen& seen, std::size_t f) {
        const Stack& stack = *seen.state.frames[f].stack;
        const Region& region = machine_.region(machine_.frames()[f].stack);
        const auto relevant = [&](int byte) {
            if (seen.since == nullptr) return true;
            const unsigned g = static_cast<unsigned>(byte) / 4;
            const u64 written = seen.written[f][g / 64] >> (g % 64);
            const auto& frames = seen.since->state.frames;
            const u64 read = f < frames.size() ? frames[f].read[g / 64] >> (g % 64) : ~u64{0};
            return ((written | read) & 1) != 0;
        };
        for (int b = 0; b < isa::kStackSize; ++b) {
            if ((stack.init[static_cast<unsigned>(b) / 64] >> (b % 64) & 1) && relevant(b) &&
                !region.written[static_cast<std::size_t>(b)])
                return false;
        }
        for (const Cell& c : stack.cells) {
            bool counts = true;
            for (int b = c.off; b < c.end(); ++b) counts = counts && relevant(b);
            if (!counts || c.reg.kind == Kind::Uninit) continue;
            u64 value = 0;
            std::memcpy(&value, region.bytes.data() + c.off, c.size);
            if (!value_inside(c.reg, value)) return false;
        }
        return true;
    }

    const Analyzer& analyzer_;
    const Machine& machine_;
    Tally& tally_;
    std::map<std::pair<u64, u32>, u64> ids_;
    std::map<u32, u64> ends_;
    std::vector<Number> numbers_;
};

ir::MemoryKind kind_of(const Region& region) {
    switch (region.what) {
        case Region::What::Stack:
            return ir::MemoryKind::Stack;
        case Region::What::Context:
            return ir::MemoryKind::Context;
        case Region::What::Packet:
            return ir::MemoryKind::Packet;
        case Region::What::MapValue:
            return ir::MemoryKind::MapValue;
        default:
            return ir::MemoryKind::Other;
    }
}

// What the facts say of the instruction that is about to run.
std::string check_facts(const ir::Facts& facts, const ir::Program& program,
                        const spec::ProgramTypeInfo& type, const Machine& machine) {
    const isa::Insn& i = program.insns[machine.pc()];
    const ir::InsnFacts& fact = facts.insns[machine.pc()];
    if (!fact.reachable) return "an instruction that facts call unreachable runs";
    const auto& regs = machine.top().regs;
    using isa::Form;
    const bool by_src = i.form == Form::Load || i.form == Form::LoadSx;
    if (by_src || i.form == Form::StoreReg || i.form == Form::StoreImm || i.form == Form::Atomic) {
        const u64 address = regs[by_src ? i.src : i.dst] + static_cast<u64>(i64{i.off});
        const Region* region = machine.region_of(address);
        if (region != nullptr && fact.memory != ir::MemoryKind::Unknown &&
            fact.memory != kind_of(*region))
            return "an access touches another kind of memory than facts say";
        if (region != nullptr && region->what == Region::What::Stack) {
            const u32 used = facts.stack_used[machine.frames()[region->index].subprogram];
            if (region->end() - address > used) return "more stack is used than facts say";
        }
    }
    if (i.form == Form::AluReg && fact.divisor_nonzero &&
        (i.is64() ? regs[i.src] : regs[i.src] & 0xffffffff) == 0)
        return "a divisor is 0 that facts call nonzero";
    if (i.form == Form::Call && i.call() == isa::CallKind::Helper && fact.constant_map >= 0) {
        const auto* proto = spec::find_helper(type, static_cast<u32>(i.imm));
        const auto* map = std::ranges::find_if(proto->args, [](spec::ArgKind kind) {
            return kind == spec::ArgKind::Map || kind == spec::ArgKind::MapOfPrograms;
        });
        const Region* region = machine.region_of(regs[1 + (map - proto->args)]);
        if (region == nullptr || region->what != Region::What::Map ||
            region->index != static_cast<u32>(fact.constant_map))
            return "a call uses another map than facts say";
    }
    if (i.form == Form::Call && i.call() == isa::CallKind::Helper && fact.constant_key) {
        const Region* region = machine.region_of(regs[2]);
        u32 key = 0;
        if (region == nullptr || region->end() - regs[2] < sizeof key)
            return "there is no key where facts say one";
        std::memcpy(&key, region->bytes.data() + (regs[2] - region->base), sizeof key);
        if (key != fact.key) return "a key differs from what facts say";
    }
    if (i.form == Form::JmpReg || i.form == Form::JmpImm) {
        const u64 right = i.form == Form::JmpReg ? regs[i.src] : static_cast<u64>(i.imm);
        const bool jumps = isa::eval_cond(i.cond(), i.width, regs[i.dst], right);
        if (!(jumps ? fact.may_jump : fact.may_fall_through))
            return "a jump goes the way that facts call impossible";
    }
    if (machine.frames().size() > facts.max_call_depth) return "deeper calls than facts say";
    return "";
}

}  // namespace

Trial try_program(const ir::Program& program, const ir::Environment& environment,
                  const Options& options, const TrialOptions& how, Tally& tally) {
    Analyzer analyzer(program, environment, options);
    if (how.states) analyzer.record(how.max_seen);
    Trial trial{analyzer.run(), ""};
    ++tally.programs;
    if (trial.report.verdict != Verdict::Accept) return trial;
    ++tally.accepted;
    const bool states = how.states && analyzer.recorded_all();
    tally.incomplete += how.states && !states;
    std::vector<std::vector<const Seen*>> at(program.insns.size());
    if (states) {
        for (const Seen& s : analyzer.seen()) at[s.state.pc].push_back(&s);
    }
    for (u32 run = 0; run < how.runs; ++run) {
        Machine machine(program, environment, how.seed * 1000 + run);
        Judge judge(analyzer, machine, tally);
        ++tally.runs;
        const auto wrong = [&](std::string what) {
            trial.wrong = "run " + std::to_string(run) + ", instruction " +
                          std::to_string(machine.pc()) + ": " + std::move(what);
            return trial;
        };
        for (u64 n = 0;; ++n) {
            if (n >= how.max_run) {
                if (how.must_end) return wrong("it does not end");
                break;
            }
            if (states && (n < 2000 || n % 64 == 0)) {
                bool found = false;
                auto& list = at[machine.pc()];
                for (std::size_t k = 0; k < list.size() && !found; ++k) {
                    found = judge.inside(*list[k]);
                    if (found && k > 0) std::swap(list[k], list[k / 2]);
                }
                if (!found) {
                    return wrong("no abstract state of " + std::to_string(list.size()) +
                                 " contains what is there");
                }
                if (std::string what =
                        check_facts(trial.report.facts, program, *environment.type, machine);
                    !what.empty())
                    return wrong(std::move(what));
            }
            ++tally.steps;
            if (!machine.step()) break;
        }
        if (!machine.wrong().empty()) return wrong(machine.wrong());
    }
    return trial;
}

}  // namespace ebpf::verifier::oracle
