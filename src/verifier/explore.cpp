// SPDX-License-Identifier: MIT
#include <algorithm>
#include <utility>

#include "verifier/analyzer.hpp"
#include "verifier/planted.hpp"

namespace ebpf::verifier {

namespace {

constexpr u32 kMinDistance = 8;    // instructions between checkpoints
constexpr u32 kFarDistance = 500;  // in loops that are followed precisely for long
constexpr u32 kMaxRestarts = 16;
constexpr u64 kSecondLook = 400'000;    // steps
constexpr std::size_t kFewStates = 16;  // at one instruction

}  // namespace

Analyzer::Analyzer(const ir::Program& program, const ir::Environment& environment,
                   const Options& options, Observer* observer)
    : program_(program),
      environment_(environment),
      options_(options),
      max_steps_(options.max_steps),
      observer_(observer),
      flow_(program),
      no_widening_(program.insns.size(), false) {}

bool Analyzer::may_leak() const {
    return environment_.privileges.allow_ptr_leaks || environment_.type->may_leak_pointers;
}

// The first error is the one.
bool Analyzer::end_with(Verdict verdict, Diagnostic diagnostic) {
    if (error_) return false;
    error_ = std::move(diagnostic);
    verdict_ = verdict;
    if (observer_ != nullptr) observer_->rejected(*error_, now_);
    return false;
}

bool Analyzer::reject(DiagnosticCode code, std::string message, std::vector<std::string> notes) {
    return end_with(Verdict::Reject, {code, now_.pc, std::move(message), std::move(notes)});
}

bool Analyzer::unsupported(std::string what) {
    return end_with(
        Verdict::Unsupported,
        {DiagnosticCode::Unsupported, now_.pc, std::move(what) + " is not supported", {}});
}

// The environment lacks something, which is not the program's fault.
bool Analyzer::target_lacks() {
    const std::string* what = program_.missing_at(now_.pc);
    std::string message = "this instruction needs what the kernel's types lack";
    if (what != nullptr && !what->empty()) message += ": " + *what;
    return end_with(Verdict::Unsupported,
                    {DiagnosticCode::TargetLacks, now_.pc, std::move(message), {}});
}

State Analyzer::initial_state() {
    State s;
    Frame frame;
    frame.stack = std::make_shared<Stack>(cell_bytes_);
    frame.regs[1] = Reg::pointer(Kind::Context);
    if (environment_.size_in_r2) frame.regs[2] = Reg::scalar(Scalar::unknown(), fresh_id());
    frame.regs[isa::kFramePointer] = Reg::pointer(Kind::Stack);
    s.frames.push_back(std::move(frame));
    s.packet_size = fresh_id();
    return s;
}

Report Analyzer::run() {
    Report report;
    if (program_.insns.empty() || environment_.type == nullptr) {
        reject(DiagnosticCode::BadControlFlow,
               "the program has no instructions, or its type is unknown");
    } else {
        bool all_followed = false;
        for (u32 round = 0; round <= kMaxRestarts && !all_followed; ++round) {
            restart_ = false;
            if (round == kMaxRestarts) no_widening_.assign(no_widening_.size(), true);
            all_followed = attempt();
            if (!restart_) break;
        }
        // The last attempt broke off, too: nothing is proven.
        if (!all_followed && !error_) budget_ended("of attempts");
        // The budget ended while an error under a general state was being looked into.
        if (error_ && verdict_ == Verdict::Exhausted && doubtful_) {
            doubtful_->notes.push_back(
                "the budget ended before the loop could be followed round by round");
            error_ = doubtful_;
            verdict_ = Verdict::Reject;
        }
    }
    report.steps = steps_;
    report.peak_bytes = peak_bytes_;
    report.work = work_;
    if (error_) {
        report.verdict = verdict_;
        report.diagnostics.push_back(std::move(*error_));
        return report;
    }
    if (options_.max_stack != 0 && !check_stack_depth()) {
        report.verdict = verdict_;
        report.diagnostics.push_back(std::move(*error_));
        return report;
    }
    report.verdict = Verdict::Accept;
    for (std::size_t i = 0; i < facts_.insns.size(); ++i) {
        ir::InsnFacts& fact = facts_.insns[i];
        const InsnNotes& notes = insn_notes_[i];
        fact.divisor_nonzero = fact.divisor_nonzero && !notes.divisor_may_be_zero;
        if (notes.memory_differs) fact.memory = ir::MemoryKind::Unknown;
        fact.constant_map = std::max(notes.map, -1);
        fact.constant_key = notes.key_seen && !notes.key_differs;
    }
    report.facts = std::move(facts_);
    return report;
}

// Keeps an error that may be the general state's fault. What follows is a second look, for which
// part of the budget must do.
void Analyzer::doubt(Diagnostic diagnostic) {
    if (doubtful_) return;
    if (observer_ != nullptr) observer_->rejected(diagnostic, now_);
    doubtful_ = std::move(diagnostic);
    max_steps_ = std::min(max_steps_, steps_ + kSecondLook);
}

// The frames of every call chain together, each in units of 32 bytes as Linux counts.
bool Analyzer::check_stack_depth() {
    std::vector<u32> depth(program_.subprograms.size(), 0);
    // Chains have at most kMaxCallDepth frames, so that many rounds settle all sums.
    for (int round = 0; round < isa::kMaxCallDepth; ++round) {
        for (std::size_t i = 0; i < depth.size(); ++i) {
            u32 below = 0;
            for (const auto& [from, to] : calls_) {
                if (from == i) below = std::max(below, depth[to]);
            }
            depth[i] = (std::max(facts_.stack_used[i], 1u) + 31) / 32 * 32 + below;
        }
    }
    if (depth[0] <= options_.max_stack) return true;
    now_.pc = 0;
    return reject(DiagnosticCode::StackDepth,
                  "the frames of one call chain need " + std::to_string(depth[0]) +
                      " bytes of stack; " + std::to_string(options_.max_stack) + " are possible");
}

// Follows all paths once. False: an error, or restart_ is set.
bool Analyzer::attempt() {
    error_.reset();
    if (observer_ != nullptr) observer_->begin();
    states_kept_ = 0;
    path_.clear();
    pending_.clear();
    places_.assign(flow_.places, {});
    loops_.clear();
    open_loops_.clear();
    needs_ = NeedGraph();
    seen_.clear();
    packet_ids_.clear();
    packet_sums_.clear();
    distances_.clear();
    next_id_ = 1;
    insn_notes_.assign(program_.insns.size(), {});
    facts_ = {};
    calls_.clear();
    asynchronous_.clear();
    facts_.insns.resize(program_.insns.size());
    facts_.stack_used.assign(program_.subprograms.size(), 0);
    facts_.max_call_depth = 1;
    state_bytes_ = 0;
    since_checkpoint_ = 0;

    now_ = initial_state();
    while (true) {
        if (!run_path()) {
            // Under a general state the values may never occur: look closer before reporting.
            bool general = false;
            for (const PathEntry& entry : path_) {
                if (!entry.checkpoint->widened || at_callback_entry(entry.checkpoint->state))
                    continue;
                general = true;
                no_widening_[entry.checkpoint->state.pc] = true;
            }
            if (error_ && verdict_ == Verdict::Reject && general) {
                doubt(*error_);
                restart_ = true;
            }
            return false;
        }
        if (pending_.empty()) break;
        Pending next = std::move(pending_.back());
        pending_.pop_back();
        state_bytes_ -= next.bytes();
        truncate_path(next.path_length);
        if (path_.empty()) {
            scratch_written_ = next.written;
        } else {
            path_.back().written = next.written;
        }
        next.state.restore(now_);
        if (observer_ != nullptr) observer_->take_up();
        since_checkpoint_ = next.since;
    }
    return true;
}

bool Analyzer::run_path() {
    while (true) {
        const u32 pc = now_.pc;
        if (pc >= program_.insns.size()) {
            now_.pc = static_cast<u32>(program_.insns.size()) - 1;
            return reject(DiagnosticCode::BadControlFlow,
                          "control runs off the end of the program");
        }
        if (flow_.join[pc] || is_loop_head()) {
            const bool ends = visit();
            if (error_ || restart_) return false;
            if (ends) {
                if (observer_ != nullptr) observer_->covered(now_);
                return true;
            }
        }
        if (observer_ != nullptr) observer_->see(now_);
        if (seen_.size() < most_seen_) {
            seen_.push_back({now_, path_.empty() ? nullptr : path_.back().checkpoint,
                             path_.empty() ? scratch_written_ : path_.back().written});
        }
        ++since_checkpoint_;
        ++insn_notes_[pc].visits;
        facts_.insns[pc].reachable = true;
        ++steps_;
        if (steps_ > max_steps_) return budget_ended("of steps");
        if (steps_ % 256 == 0 && !within_budget()) return budget_ended("of memory for states");
        switch (step()) {
            case Step::Continue:
                break;
            case Step::End:
                return true;
            case Step::Failed:
                return false;
        }
    }
}

void Analyzer::count_bytes(u64 more) {
    state_bytes_ += more;
    peak_bytes_ = std::max(peak_bytes_, bytes());
}

// Reading constant data is work, too, of which the number of steps would not tell.
void Analyzer::charge(u64 bytes) {
    constexpr u64 kBytesPerStep = 64;
    max_steps_ -= std::min(max_steps_, bytes / kBytesPerStep);
}

bool Analyzer::within_budget() {
    if (bytes() <= options_.max_memory) return true;
    // Finished checkpoints only save work; give them up before giving up.
    for (Place& place : places_) {
        for (const auto& cp : place.finished) state_bytes_ -= cp->bytes();
        states_kept_ -= static_cast<u32>(place.finished.size());
        place.finished.clear();
    }
    return bytes() <= options_.max_memory;
}

bool Analyzer::budget_ended(const char* which) {
    return end_with(Verdict::Exhausted, {DiagnosticCode::Budget,
                                         now_.pc,
                                         std::string("the budget ") + which + " ended after " +
                                             std::to_string(steps_) + " steps",
                                         {where_the_work_went()}});
}

std::string Analyzer::where_the_work_went() const {
    const auto most = std::ranges::max_element(insn_notes_, {}, &InsnNotes::visits);
    const u32 at = static_cast<u32>(most - insn_notes_.begin());
    std::string text = "most of the work: instruction " + std::to_string(at) + " was analysed " +
                       std::to_string(most->visits) + " times";
    if (const ir::SourceLine* line = program_.line_at(at); line != nullptr && !line->text.empty()) {
        text += ", line " + std::to_string(line->line) + ": " + line->text;
    }
    return text;
}

bool Analyzer::same_calls(const KeptState& a, const State& b) const {
    if (a.frames.size() != b.frames.size()) return false;
    for (std::size_t i = 0; i < a.frames.size(); ++i) {
        const CallFrame &x = a.frames[i], &y = b.frames[i];
        if (x.subprogram != y.subprogram || x.return_to != y.return_to ||
            x.callback_of != y.callback_of)
            return false;
    }
    return true;
}

// Whether `now` is a later round of a loop that passes `active`, of the program or of a helper. A
// callback's next run is none of a loop in its body.
bool Analyzer::same_loop(const KeptState& active, const State& now) const {
    if (!same_calls(active, now)) return false;
    for (std::size_t i = 0; i < now.frames.size(); ++i) {
        const auto &x = active.frames[i].callback, &y = now.frames[i].callback;
        if (x == y) continue;
        const bool next_run = i + 1 == now.frames.size() && at_callback_entry(now) && x && y &&
                              x->invocation == y->invocation;
        if (!next_run) return false;
    }
    return true;
}

RegSet Analyzer::live_in(const State& state, std::size_t frame) const {
    if (planted(300)) return static_cast<RegSet>(flow_.live[state.pc] & ~(1u << 9));
    if (frame + 1 == state.frames.size()) return flow_.live[state.pc];
    return flow_.live[state.frames[frame + 1].return_to] & isa::kCalleeSaved;
}

// Callbacks run again and again, so their first instruction is one too.
bool Analyzer::is_loop_head() const {
    return flow_.loops.head[now_.pc] || at_callback_entry(now_);
}

bool Analyzer::visit() {
    const u32 pc = now_.pc;
    auto& list = finished(pc);
    for (std::size_t i = 0; i < list.size();) {
        Checkpoint& cp = *list[i];
        const bool in_loop = cp.loop != kNoLoop;
        if (covers(cp, now_, in_loop, identity_below(cp))) {
            ++cp.hits;
            inherit(cp, in_loop);
            if (in_loop && !loops_[cp.loop].done) note_loop(cp.loop);
            return true;
        }
        // A state that hardly ever helps costs more than it saves.
        if (++cp.misses > 8 * cp.hits + 24 && list.size() > kFewStates) {
            state_bytes_ -= cp.bytes();
            --states_kept_;
            list.erase(list.begin() + static_cast<std::ptrdiff_t>(i));
            continue;
        }
        ++i;
    }
    const u32 rounds = rounds_so_far();
    if (rounds != 0) {
        const std::shared_ptr<Checkpoint> latest = active(pc).back();
        if (visit_active(*latest, rounds) || error_ || restart_) return true;
        if (active(pc).back() != latest) return false;  // it made a checkpoint
        if (std::exchange(passes_, false)) return false;
    }
    const bool due = is_loop_head() && rounds < 4 * kPreciseRounds;
    if (due || since_checkpoint_ >= (rounds < 4 * kPreciseRounds ? kMinDistance : kFarDistance)) {
        create_checkpoint(false, 0, 0);
    }
    return false;
}

// From here on only stack that is written later counts as written.
void Analyzer::create_checkpoint(bool widened, u32 first_id, u32 attempts) {
    drop_rounds_of_left_loop();
    settle_relations(now_);
    renew_needs();
    auto cp = std::make_shared<Checkpoint>();
    cp->state = keep(now_);
    cp->path_index = static_cast<u32>(path_.size());
    cp->rounds = round();
    cp->next_id = next_id_;
    cp->widened = widened;
    cp->first_id = first_id;
    cp->attempts = attempts;
    count_bytes(cp->bytes());
    active(now_.pc).push_back(cp);
    ++work_.states;
    work_.peak_states = std::max(work_.peak_states, ++states_kept_);
    const std::size_t here = active(now_.pc).size() + finished(now_.pc).size();
    work_.most_at_one_insn = std::max(work_.most_at_one_insn, static_cast<u32>(here));
    path_.push_back({cp, {}});
    since_checkpoint_ = 0;
    if (widened) {
        cp->loop = cp->own_loop = static_cast<u32>(loops_.size());
        open_loops_.push_back(cp->loop);
        loops_.push_back({false, static_cast<u32>(path_.size() - 1), next_id_});
        inherit(*cp, true);
    }
}

void Analyzer::truncate_path(u32 length) {
    while (path_.size() > length) {
        const std::shared_ptr<Checkpoint> cp = std::move(path_.back().checkpoint);
        path_.pop_back();
        if (cp->widened) {
            loops_[cp->own_loop].done = true;
            open_loops_.pop_back();
        }
        active(cp->state.pc).pop_back();
        if (cp->loop == kNoLoop) {
            state_bytes_ -= cp->bytes();
            shrink(*cp);
            state_bytes_ += cp->bytes();
        }
        finished(cp->state.pc).push_back(cp);
    }
}

// What paths from `state` ask of it: its live registers, and the stack.
KeptState Analyzer::keep(const State& state) const {
    KeptState kept;
    kept.pc = state.pc;
    kept.may_goto = state.may_goto;
    kept.refs = state.refs;
    kept.relations = state.relations;
    kept.packet_size = state.packet_size;
    kept.lock = state.lock;
    kept.frames.resize(state.frames.size());
    u16 count = 0;
    for (std::size_t f = 0; f < state.frames.size(); ++f) {
        const Frame& from = state.frames[f];
        KeptFrame& to = kept.frames[f];
        static_cast<CallFrame&>(to) = from;
        to.stack = from.stack;
        to.first = count;
        const RegSet live = live_in(state, f);
        for (unsigned r = 0; r < isa::kFramePointer; ++r) {
            const Reg& reg = from.regs[r];
            if (!(live >> r & 1) || (reg.kind == Kind::Uninit && reg.lost == Lost::Never)) continue;
            to.kept = static_cast<RegSet>(to.kept | 1u << r);
            ++count;
        }
    }
    kept.regs.reserve(count);
    for (std::size_t f = 0; f < state.frames.size(); ++f) {
        for (unsigned r = 0; r < isa::kFramePointer; ++r) {
            if (kept.frames[f].kept >> r & 1) kept.regs.push_back(state.frames[f].regs[r]);
        }
    }
    return kept;
}

void Analyzer::push(const State& state) {
    Pending p{keep(state), static_cast<u32>(path_.size()),
              path_.empty() ? scratch_written_ : path_.back().written, since_checkpoint_};
    count_bytes(p.bytes());
    if (observer_ != nullptr) observer_->put_off();
    pending_.push_back(std::move(p));
}

void Analyzer::mark_read(u32 frame, Granules bits) {
    for (std::size_t i = path_.size(); i-- > 0 && !planted(124);) {
        Checkpoint& cp = *path_[i].checkpoint;
        bits[0] &= ~path_[i].written[frame][0];
        bits[1] &= ~path_[i].written[frame][1];
        if (frame >= cp.state.frames.size() || (planted(318) && frame > 0)) return;
        Granules& read = cp.state.frames[frame].read;
        if ((bits[0] & ~read[0]) == 0 && (bits[1] & ~read[1]) == 0) return;
        read[0] |= bits[0];
        read[1] |= bits[1];
    }
}

void Analyzer::mark_written(u32 frame, int off, int size) {
    auto& written = path_.empty() ? scratch_written_ : path_.back().written;
    for (int g = (off + 3) / 4; 4 * g + 4 <= off + size; ++g) {
        written[frame][static_cast<unsigned>(g) / 64] |= u64{1} << (g % 64);
    }
}

void Analyzer::renew_needs() {
    for (Relation& r : now_.relations.all()) r.need = needs_.fresh(r.need);
    for (Frame& frame : now_.frames) {
        for (Reg& r : frame.regs) {
            if (r.is_scalar()) r.need = needs_.fresh(r.need);
        }
        // A stack that an earlier checkpoint has too may keep its nodes: they are then marked for
        // what mattered to either, which is more than need be. Recorded states are judged by their
        // own checkpoint's marks.
        if (frame.stack.use_count() != 1 && most_seen_ == 0) continue;
        frame.writable_stack().cells.change([](const Reg& r) { return r.is_scalar(); },
                                            [&](Reg& r) { r.need = needs_.fresh(r.need); },
                                            most_seen_ != 0);
    }
}

}  // namespace ebpf::verifier
