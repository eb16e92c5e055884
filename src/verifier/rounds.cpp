// SPDX-License-Identifier: MIT
//
// Loops on the current path: which round it is in, when a loop's head is generalised (how is in
// widen.cpp), when it is closed, and which checkpoints of its rounds the path can do without.
#include <algorithm>

#include "verifier/analyzer.hpp"
#include "verifier/planted.hpp"

namespace ebpf::verifier {

namespace {

constexpr u32 kMaxWidenings = 20;
constexpr u32 kMaxPasses = 32;     // by a head without progress
constexpr u32 kManyVisits = 1500;  // of a loop's head: its paths multiply from round to round

}  // namespace

// Whether `state` is at the head of a loop around the one whose head the path has come to.
bool Analyzer::is_head_around(const KeptState& state) const {
    return state.frames.size() == now_.frames.size() && flow_.loops.is_inside(now_.pc, state.pc);
}

// How long the path was after it last made a checkpoint at the head of a loop around this one.
u32 Analyzer::path_to_head_around() const {
    u32 length = 0;
    for (u32 head = flow_.loops.around[now_.pc]; head != LoopNest::kNone;
         head = flow_.loops.around[head]) {
        const Checkpoints& there = active(head);
        const auto last = std::find_if(there.rbegin(), there.rend(), [this](const auto& cp) {
            return is_head_around(cp->state);
        });
        if (last != there.rend()) length = std::max(length, (*last)->path_index + 1);
    }
    return length;
}

// How often the path came here, counted from where the loop around this one came to its own head;
// more than 4 * kPreciseRounds do not count.
u32 Analyzer::rounds_so_far() const {
    const Checkpoints& here = active(now_.pc);
    if (here.empty() || !same_loop(here.back()->state, now_)) return 0;
    const u32 latest = here.back()->path_index;
    for (std::size_t i = open_loops_.size(); i-- > 0;) {
        const u32 general = loops_[open_loops_[i]].path_index;
        if (general < latest) break;
        // What was general before the loop around it was says nothing of that one.
        if (is_head_around(path_[general].checkpoint->state)) return 0;
    }
    return std::min(4 * kPreciseRounds, here.back()->rounds);
}

// Which round of its loop a checkpoint here begins.
u32 Analyzer::round() const {
    const Checkpoints& here = active(now_.pc);
    if (here.empty() || !same_loop(here.back()->state, now_)) return 1;
    return path_to_head_around() > here.back()->path_index ? 1 : here.back()->rounds + 1;
}

// Where on the path the last `rounds` rounds of this loop begin, or its end if they were not all
// in one round of every loop around it.
u32 Analyzer::first_round(u32 rounds) const {
    const Checkpoints& here = active(now_.pc);
    const u32 first = here[here.size() - rounds]->path_index;
    return path_to_head_around() > first ? static_cast<u32>(path_.size()) : first;
}

// Whether a loop around the one of `head` has come round since.
bool Analyzer::entered_again(const Checkpoint& head) const {
    return path_to_head_around() > head.path_index;
}

// Whether another head of the same loop was generalised on the way round. A callback's is of a loop
// that its helper bounds.
bool Analyzer::other_head_since(const Checkpoint& head) const {
    for (std::size_t i = open_loops_.size(); open_loops_[--i] != head.own_loop;) {
        if (!at_callback_entry(path_[loops_[open_loops_[i]].path_index].checkpoint->state))
            return true;
    }
    return false;
}

// A checkpoint inside a loop that is still being followed covers a state only if that state stands
// in the same relation to the loop's general state, since the proof of progress depends on it.
u32 Analyzer::identity_below(const Checkpoint& old) const {
    if (old.loop == kNoLoop || loops_[old.loop].done) return 0;
    for (std::size_t i = open_loops_.size(); i-- > 0;) {
        const Loop& loop = loops_[open_loops_[i]];
        if (loop.next_id <= old.next_id) return loop.next_id;
    }
    return 0;
}

// Whether what came back without progress, which is less than the general state, may be on its way
// out: compilers put the test of a break behind the loop's head. The next round will show it.
bool Analyzer::may_leave(const Checkpoint& head, bool& too_long) {
    if (head.passes >= kMaxPasses) return false;
    // What was shown of the other ways round must hold with one round more in each.
    const auto few = [&](const Rank& r) { return r.rounds < kMaxIterations / (head.passes + 2); };
    too_long |= !std::ranges::all_of(head.ranks, few);
    if (too_long) return false;
    Checkpoint now;
    now.state = keep(now_);
    return !covers(now, head.state.state(), true, 0);
}

// The path has come round to where it already was. True: it ends here, the loop is closed.
bool Analyzer::visit_active(Checkpoint& active, u32 rounds) {
    const u32 pc = now_.pc;
    if (active.widened) {
        if (covers(active, now_, true, active.first_id)) {
            bool too_long = false;
            if (at_callback_entry(now_) || close(active, too_long)) {
                inherit(active, true);
                note_loop(active.own_loop);
                return true;
            }
            if (other_head_since(active)) return false;  // which may show it
            if (entered_again(active)) return false;  // by a loop around it, whose progress counts
            if (may_leave(active, too_long)) {
                ++active.passes;
                passes_ = true;
                return false;
            }
            if (!doubtful_) {
                const std::string what =
                    too_long ? "nothing shows that this loop ends within " +
                                   std::to_string(kMaxIterations) + " rounds"
                             : std::string(
                                   "nothing shows that this loop ever ends: no counter changes in "
                                   "one direction on every way round");
                doubt(Diagnostic{
                    too_long ? DiagnosticCode::LoopTooLong : DiagnosticCode::InfiniteLoop,
                    pc,
                    what,
                    {"the state at its head: " + to_string(now_)}});
            }
            no_widening_[pc] = true;  // no counter: perhaps it ends when followed precisely
            restart_ = true;
            return true;
        }
        if (active.attempts >= kMaxWidenings) {
            no_widening_[pc] = true;
            restart_ = true;
            return true;
        }
    } else {
        const bool nothing_new = covers(active, now_, true, 0);
        if (no_widening_[pc] && !(nothing_new && at_callback_entry(now_))) {
            if (!nothing_new) return false;
            Checkpoint reverse;
            reverse.state = keep(now_);
            const bool the_same = covers(reverse, active.state.state(), true, 0);
            if (the_same && doubtful_ && doubtful_->code != DiagnosticCode::InfiniteLoop &&
                doubtful_->code != DiagnosticCode::LoopTooLong) {
                // Followed precisely it would never end: an iterator's loop. What was found under
                // its general state is what is wrong.
                error_ = doubtful_;
                verdict_ = Verdict::Reject;
                return false;
            }
            if (the_same) {
                reject(DiagnosticCode::InfiniteLoop,
                       "the loop comes back to instruction " + std::to_string(pc) +
                           " with nothing changed that decides whether it goes on",
                       {"the state at its head: " + to_string(now_)});
            }
            return false;
        }
        const u32 precise =
            at_callback_entry(now_) || insn_notes_[pc].visits > kManyVisits ? 2 : kPreciseRounds;
        if (!nothing_new && rounds < precise) return false;
    }
    const u32 attempts = active.widened ? active.attempts + 1 : 1;
    // What an earlier general state of this loop left open stays open in this one, or two ways
    // round that change different numbers would take turns for ever.
    const u32 first_id = active.widened ? active.first_id : next_id_;
    std::optional<State> general = widen(active.state.state(), now_, attempts);
    if (!general) {
        // In another round of the loop around it, it may have other objects: a loop of its own.
        if (entered_again(active)) return false;
        // Shapes differ from round to round; only precise rounds can tell.
        if (active.widened || rounds >= 4 * kPreciseRounds) no_widening_[pc] = true;
        return false;
    }
    // Everything that the general state was made of decides whether it holds.
    inherit(active, true);
    // It stands for the rounds so far, too.
    if (!active.widened) drop_from(droppable_from(first_round(rounds)));
    now_ = std::move(*general);
    create_checkpoint(true, first_id, attempts);
    return false;
}

// The first checkpoint from `index` on without which the current path can do: nothing that is to be
// followed later starts behind it, and it is no general state.
u32 Analyzer::droppable_from(u32 index) const {
    u32 from = static_cast<u32>(path_.size());
    const u32 least = std::max(index, pending_.empty() ? 0 : pending_.back().path_length);
    while (from > least && !path_[from - 1].checkpoint->widened) --from;
    return from;
}

void Analyzer::add_written(Written& to, const Written& more) {
    for (std::size_t f = 0; f < to.size(); ++f) {
        to[f][0] |= more[f][0];
        to[f][1] |= more[f][1];
    }
}

// Forgets the path's checkpoints from `index` on, as if none had been made there.
void Analyzer::drop_from(u32 index) {
    while (path_.size() > index) {
        const PathEntry last = std::move(path_.back());
        path_.pop_back();
        state_bytes_ -= last.checkpoint->bytes();
        --states_kept_;
        active(last.checkpoint->state.pc).pop_back();
        auto& before = path_.empty() ? scratch_written_ : path_.back().written;
        for (Seen& seen : seen_) {
            if (seen.since != last.checkpoint) continue;
            seen.since = path_.empty() ? nullptr : path_.back().checkpoint;
            add_written(seen.written, before);
        }
        add_written(before, last.written);
    }
}

// Of a loop that was followed to its end the first round's checkpoint is worth keeping: whoever
// comes to the loop later comes there first.
void Analyzer::drop_rounds_of_left_loop() {
    if (path_.empty()) return;
    const KeptState& last = path_.back().checkpoint->state;
    const std::size_t depth = last.frames.size();
    const u32 loop = flow_.loops.outermost[last.pc];
    if (loop == LoopNest::kNone || depth < now_.frames.size() ||
        (depth == now_.frames.size() && flow_.loops.outermost[now_.pc] == loop))
        return;
    u32 first = static_cast<u32>(path_.size());
    while (first > 0) {
        const KeptState& s = path_[first - 1].checkpoint->state;
        if (s.frames.size() < depth) break;
        const u32 at = s.frames.size() == depth ? s.pc : s.frames[depth].return_to - 1;
        if (flow_.loops.outermost[at] != loop) break;
        --first;
    }
    drop_from(droppable_from(first + 1));
}

// The current path ended in `loop`'s head: what lies between is finished only when the loop is.
void Analyzer::note_loop(u32 loop) {
    for (u32 i = loops_[loop].path_index; i < path_.size(); ++i) {
        Checkpoint& cp = *path_[i].checkpoint;
        if (cp.loop == kNoLoop || loops_[cp.loop].path_index > loops_[loop].path_index)
            cp.loop = loop;
    }
}

}  // namespace ebpf::verifier
