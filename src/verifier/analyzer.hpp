// SPDX-License-Identifier: MIT
//
// The analysis: every path of the program is followed with an abstract state, depth first. At
// places where paths join, a checkpoint keeps the state; a later path whose state a finished
// checkpoint covers ends there. What that gives:
//
//   - correlated branches need no special care, since states of different paths are never merged;
//   - a program is accepted only if every path ended or was covered by states whose paths all
//   ended,
//     so termination is part of the proof;
//   - loops are followed round by round. After kPreciseRounds, or as soon as a round brings nothing
//     new, the loop's head is generalised (widen.cpp): a round that starts from the general state
//     and comes back inside it closes the loop, if a counter shows that it makes progress. When an
//     error is met under a general state, the analysis starts again and follows that loop
//     precisely: errors are reported only about states that were really reached.
//
// The parts: explore.cpp (paths, checkpoints, budget), rounds.cpp (loops on the path), cover.cpp
// (when a state covers another), widen.cpp, and the transfer functions: step.cpp (dispatch,
// arithmetic), branch.cpp, identities.cpp, related.cpp and lengths.cpp (what a comparison teaches
// of other numbers), memory.cpp, call.cpp, helper.cpp. All are members of one class, because all of
// them read and mark the same state; each file is one concern.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <set>

#include "verifier/flow.hpp"
#include "verifier/needs.hpp"
#include "verifier/relations.hpp"
#include "verifier/state.hpp"
#include "verifier/verifier.hpp"

namespace ebpf::verifier {

inline constexpr u32 kPreciseRounds = 40;
inline constexpr u64 kMaxIterations = u64{1} << 23;  // Linux's BPF_MAX_LOOPS
inline constexpr i64 kMaxPacketOffset = 0xffff;
// What is before data_end lies less than this from the start. A pointer twice as far cannot have
// wrapped around the address space; should a packet ever be larger, its bytes are still safe to
// access, since every access needs its own comparison.
inline constexpr i64 kMaxPacketSize = i64{1} << 20;
inline constexpr i64 kMaxOffset = i64{1} << 29;  // of any pointer
inline constexpr u32 kNoLoop = ~u32{0};

// A register or cell that changes by a constant in every round of a loop, or may_goto's count.
inline constexpr i32 kMayGotoRank = -2;
struct Rank {
    u32 frame = 0;
    i32 reg = -1;  // register, -1 for the cell at off, or kMayGotoRank
    int off = 0;
    bool up = true;
    u64 least = 0;  // step
    Scalar back{};  // the values that come back
    // In which orders of the numbers every round goes on.
    bool as_unsigned = true, as_signed = true;
    u64 rounds = 0;  // at most
};

// The value of an identity less that of `from`, as unsigned numbers.
struct Distance {
    u32 from = 0;
    i64 least = 0, most = 0;
};

// The packet pointer of an identity plus scale * (the value of the identity `number`) + delta.
struct PacketSum {
    u32 pointer = 0, number = 0;
    i64 scale = 1, delta = 0;
    auto operator<=>(const PacketSum&) const = default;
};

// An identity that a widening made: its value before and after the round.
struct WidenedNumber {
    u32 id = 0;
    Expression was, is;
};

struct Checkpoint {
    KeptState state;
    u32 path_index = 0;  // where it is or was on the path
    u32 rounds = 0;      // of its loop on the path, with this one, see rounds_so_far()
    u32 next_id = 0;     // ids from here on were made later
    u32 loop = kNoLoop;  // the outermost loop that paths from here close; see Loop
    bool widened = false;
    u32 own_loop = kNoLoop;   // widened: its entry in the table of loops
    u32 first_id = 0;         // widened: ids from here to next_id stand for any number
    u32 attempts = 0;         // widened: how often before
    bool closed = false;      // widened: some round has come back
    u32 passes = 0;           // widened: how often a path went on past it
    std::vector<Rank> ranks;  // widened: what every round that came back counts with
    u32 hits = 0;
    u32 misses = 0;

    u64 bytes() const { return sizeof(Checkpoint) - sizeof(KeptState) + state.bytes(); }
};

// A generalised loop head.
struct Loop {
    bool done = false;  // its checkpoint is
    u32 path_index = 0;
    u32 next_id = 0;
};

using Written = std::array<Granules, isa::kMaxCallDepth>;  // stack overwritten, per frame

struct PathEntry {
    std::shared_ptr<Checkpoint> checkpoint;
    Written written{};  // since
};

struct Pending {
    KeptState state;
    u32 path_length = 0;
    Written written{};
    u32 since = 0;

    u64 bytes() const { return sizeof(Pending) - sizeof(KeptState) + state.bytes(); }
};

enum class Step : u8 { Continue, End, Failed };
enum class Access : u8 { Read, Write, Atomic };

// Watches an analysis: --dump=states, and Linux's log.
class Observer {
  public:
    virtual ~Observer() = default;
    virtual void begin() {}                            // the paths are followed, perhaps once more
    virtual void see(const State& state) = 0;          // before its instruction is analysed
    virtual void put_off() {}                          // a path from there is kept for later
    virtual void take_up() {}                          // that kept last is followed now
    virtual void covered(const State& /* state */) {}  // the path ends here
    virtual void rejected(const Diagnostic& /* diagnostic */, const State& /* state */) {}
};

// A state as the analysis saw it, for the run-time oracle (tests/verifier): `since` is the last
// checkpoint before it and `written` the stack overwritten from there on.
struct Seen {
    State state;
    std::shared_ptr<const Checkpoint> since;
    Written written{};
};

class Analyzer {
  public:
    Analyzer(const ir::Program& program, const ir::Environment& environment, const Options& options,
             Observer* observer = nullptr);
    Report run();

    // Keeps every state of the attempt that decides, up to `most` of them; false from
    // recorded_all() when there were more.
    void record(std::size_t most) { most_seen_ = most; }
    const std::vector<Seen>& seen() const { return seen_; }
    bool recorded_all() const { return seen_.size() < most_seen_; }
    // After run(): whether the proof relies on the range of `r`, a scalar of a seen state.
    bool relied_on(const Reg& r) const { return r.need == 0 || needs_.marked(r.need); }
    bool relied_on(const Relation& r) const { return r.need == 0 || needs_.marked(r.need); }
    RegSet live_in(const State& state, std::size_t frame) const;
    std::optional<Distance> distance(u32 id, u32 below) const;

  private:
    // explore.cpp
    bool attempt();
    bool check_stack_depth();
    void doubt(Diagnostic diagnostic);
    State initial_state();
    bool run_path();
    bool is_loop_head() const;
    // `state` is a State or a KeptState.
    bool at_callback_entry(const auto& state) const {
        const CallFrame& frame = state.frames.back();
        return frame.callback_of >= 0 && program_.subprograms[frame.subprogram].begin == state.pc;
    }
    bool visit();  // true: this path ends here
    void create_checkpoint(bool widened, u32 first_id, u32 attempts);
    void truncate_path(u32 length);
    void push(const State& state);
    KeptState keep(const State& state) const;
    u64 bytes() const { return state_bytes_ + *cell_bytes_ + needs_.bytes(); }
    void count_bytes(u64 more);
    void charge(u64 bytes);
    bool within_budget();
    bool budget_ended(const char* which);
    std::string where_the_work_went() const;
    bool same_loop(const KeptState& active, const State& now) const;
    bool same_calls(const KeptState& a, const State& b) const;
    void mark_read(u32 frame, Granules bits);
    void mark_written(u32 frame, int off, int size);
    void renew_needs();

    // rounds.cpp
    u32 rounds_so_far() const;
    bool is_head_around(const KeptState& state) const;
    u32 path_to_head_around() const;
    u32 round() const;
    bool entered_again(const Checkpoint& head) const;
    bool may_leave(const Checkpoint& head, bool& too_long);
    bool other_head_since(const Checkpoint& head) const;
    u32 first_round(u32 rounds) const;
    bool visit_active(Checkpoint& active, u32 rounds);
    u32 identity_below(const Checkpoint& old) const;
    u32 droppable_from(u32 index) const;
    static void add_written(Written& to, const Written& more);
    void drop_from(u32 index);
    void drop_rounds_of_left_loop();
    void note_loop(u32 loop);

    // cover.cpp
    struct CoverQuery {
        bool exact = false;      // every live value counts, needed or not
        u32 identity_below = 0;  // ids below map to themselves
        struct Meaning {
            u32 old;
            i64 now, difference, factor;
        };
        std::vector<Meaning> ids;
        i64 unique = -1;
    };
    bool covers(const Checkpoint& old, const State& now, bool exact, u32 identity_below);
    bool covers_reg(CoverQuery& query, const Reg& old, const Reg& now, bool exact);
    bool covers_stack(CoverQuery& query, const Stack& old, const Stack& now, const Granules& read);
    bool map_id(CoverQuery& query, u32 old, i64 now, i64 difference, i64 factor = 1);
    bool map_number(CoverQuery& query, const Reg& old, const Reg& now, u64 moved);
    void inherit(const Checkpoint& old, bool exact);
    void shrink(Checkpoint& done) const;

    // widen.cpp
    std::vector<u64> loop_thresholds(const State& before, const State& now) const;
    std::optional<State> widen(const State& before, const State& now, u32 attempts);
    void narrow_together(State& general, u32 first_id);
    bool close(Checkpoint& head, bool& too_long);
    bool progresses(const Reg& head, const Reg& back, u32 rounds, bool first, Rank& rank,
                    bool& too_long) const;

    // distance.cpp
    bool follows_a_head(u32 id) const;
    u32 moved_identity(const Reg& base, const Scalar& by, bool subtract);
    std::optional<Distance> growth(const Reg& head, const Reg& back, i64 moved) const;
    bool covers_distance(u32 identity_below, const Reg& old, const Reg& now, i64 moved) const;

    // step.cpp
    Step step();
    bool alu(const isa::Insn& insn);
    Reg low_half(const Reg& whole, const Scalar& num);
    void note_divisor(const isa::Insn& insn, const Reg& src);
    bool alu_scalar(const isa::Insn& insn, Reg& dst, const Reg& src);
    u32 made_since_checkpoint() const;
    u32 packet_sum(const Reg& pointer, const Reg& number);
    bool pointer_arithmetic(const isa::Insn& insn, Reg& dst, const Reg& src);
    i64 proven_by_others(Kind kind, u32 id) const;
    bool wide(const isa::Insn& insn);
    bool readable(isa::Reg r);
    bool is_stale(const Reg& r) const;
    Reg of_stale_pointers(const isa::Insn& insn);
    Reg number_of(const isa::Insn& insn);
    bool writable(isa::Reg r);
    Step exit();
    Step exit_asynchronous();

    // branch.cpp
    Step branch(const isa::Insn& insn);
    void note_ways(bool jumps, bool falls_through);
    bool possible(const isa::Insn& insn, const Reg& dst, const Reg& src, bool taken) const;
    void refine_branch(State& s, const isa::Insn& insn, bool taken);
    void refine_pointer(State& s, const isa::Insn& insn, const Reg& dst, const Reg& src,
                        bool taken);
    void set_null(State& s, const Reg& pointer, bool null);

    // identities.cpp
    void spread_scalar(State& s, const Reg& before, const Reg& after);

    // related.cpp
    using Needs = std::vector<u32>;
    const Ranges& ranges_of(const State& s, bool of_registers_only = false);
    bool is_small_value(const State& s, u32 id, Needs& needs);
    void add_number(const State& s, Expression& e, const Reg& r, i64 factor, Needs& needs);
    void rely_on(const Needs& needs, const Proof& proof);
    u32 made_of(const Proof& proof);
    void relate(State& s, const Expression& e, bool equal, u32 need);
    void keep_range(State& s, const Reg& r);
    void note_sum(const Reg& sum, const Reg& a, const Reg& b, bool subtract, u32 need);
    bool sharpen_sum(Scalar& sum, u32& need, const Reg& a, const Reg& b, bool subtract);
    void note_part(const Reg& part, const Reg& whole);
    void note_order(State& s, const isa::Insn& insn, bool outcome);
    void learn_related(State& s, const Reg& r);
    void sharpen(Reg& pointer);
    i64 region_size(const Reg& base) const;
    void sharpen_for(Reg& base, i64 off, i64 size);
    u64 most_behind(Reg& base, const Reg& size);
    bool ends_in_packet(const Reg& base, i64 fixed, const Reg& size);
    void note_in_packet(State& s, const Reg& pointer, i64 bytes);

    // relation_states.cpp
    void settle_relations(State& s);
    Expression translated(const CoverQuery& query, const KeptState& old, const State& now,
                          const Relation& r, Needs& needs);
    bool covers_relations(const CoverQuery& query, const KeptState& old, const State& now);
    void widen_relations(const State& before, const State& now, State& out,
                         const std::vector<WidenedNumber>& numbers, bool first);

    // lengths.cpp
    void learn_length(State& s, const Reg& length);
    void learn_lengths(State& s, const Reg& number);
    void learn_part(State& s, u32 base, const Reg& part, i64 added);
    void learn_parts(State& s, const Reg& p, i64 left);
    void learn_order(State& s, const isa::Insn& insn, bool taken);

    // memory.cpp
    Reg iterator_number(const Reg& base);
    bool load(const isa::Insn& insn);
    bool store(const isa::Insn& insn);
    bool atomic(const isa::Insn& insn);
    bool check_access(isa::Reg base, i32 off, int size, Access access);
    bool load_context(const isa::Insn& insn, const Reg& base, Reg& out);
    bool load_context_pointer(const spec::ContextField& field, Reg& out);
    bool check_object_access(const std::string& what, const Reg& base, i64 at, u64 size,
                             Access access);
    bool load_stack(const isa::Insn& insn, const Reg& base, Reg& out);
    bool store_stack(const Reg& base, i32 off, int size, const Reg& value, bool known);
    bool constant_data(const Reg& base, i32 off, int size, u64& out) const;
    bool note_memory(Kind kind);

    bool check_region(const std::string& what, const Reg& base, i64 off, u64 size, Access access);

    // call.cpp
    Step call(const isa::Insn& insn);
    Step call_local(const isa::Insn& insn);
    bool enter(u32 target, u32 return_to, i32 callback_of);
    bool return_from_call();
    bool return_from_callback();
    bool enter_callback(const CallbackRun& run, u32 target, u32 return_to, u32 at);
    void clobber_after_call(State& s);
    bool legacy_load(const isa::Insn& insn);

    // stack_objects.cpp
    struct CallSite;
    int object_place(int n, int size, const char* callee);
    void put_object(int n, int at, int size, const Reg& object);
    const Reg* find_object(int n, Kind kind, const char* callee);
    bool check_dynptr_argument(CallSite& site, int n);
    bool use_dynptr(CallSite& site, int n);
    bool make_dynptr(CallSite& site, int n);
    bool dynptr_slice(const CallSite& site, Reg& result);
    bool check_iterator_argument(CallSite& site, int n);
    bool make_iterator(CallSite& site, int n);

    // helper.cpp
    struct CallSite {
        const spec::HelperProto* proto = nullptr;
        i32 map = -1;            // index of the map argument
        bool inner_map = false;  // it was found at run time; `map` is its template
        Reg field{};             // pointer to the lock or timer
        Reg key{};               // of the map, when it is a constant
        u32 alloc_size = 0;
        u32 released = 0;        // reference that the call ends
        u32 cast_of = 0;         // reference of the socket, dynptr or iterator in the arguments
        bool borrowed = false;   // ... which is another's, and so not for this call to end
        bool of_packet = false;  // the dynptr in the arguments points to the packet
        i32 callback = -1;       // first instruction of the callback
        int callback_argument = -1;
        std::string_view format{};  // in the map's initial value
        int format_argument = -1;
    };
    Step call_helper(u32 number);
    Step call_kfunc(const isa::Insn& insn);
    Step call_prototype(const spec::HelperProto& proto);
    bool changes_packet(const CallSite& site) const;
    bool check_argument(CallSite& site, int n);
    bool check_memory_argument(CallSite& site, int n);
    bool check_map_argument(CallSite& site, int n);
    Reg note_key(const Reg& pointer, u32 size);
    bool is_always_there(const CallSite& site) const;
    bool check_helper_memory(int argument, const Reg& base, u64 least, u64 most, bool write,
                             bool fills);
    bool set_result(const CallSite& site);
    Step call_with_callback(const CallSite& site);
    void forget_packet_pointers();
    void release(u32 ref);

    // strings.cpp
    bool check_string_argument(CallSite& site, int n);
    bool check_format(const CallSite& site);

    // typed.cpp
    Reg typed_pointer(u32 structure);  // a number when `structure` is 0
    bool check_typed_access(const std::string& what, const Reg& base, i64 at, u64 size,
                            Access access);
    Reg load_typed(const Reg& base, i64 at, int size);
    bool load_argument(const isa::Insn& insn, const Reg& base, Reg& out);
    bool is_typed(const Reg& value, std::string_view structure) const;
    bool check_typed_argument(const CallSite& site, int n);
    bool typed_result(const CallSite& site, Reg& result);

    // map_fields.cpp
    bool check_field_argument(CallSite& site, int n);
    bool check_while_locked(const spec::HelperProto& proto);
    void take_or_give_lock(const CallSite& site);
    bool start_asynchronous(const CallSite& site);

    // Reports; always false, so that a check can return what they return.
    bool end_with(Verdict verdict, Diagnostic diagnostic);
    bool reject(DiagnosticCode code, std::string message, std::vector<std::string> notes = {});
    bool unsupported(std::string what);
    bool target_lacks();

    const isa::Insn& insn() const { return program_.insns[now_.pc]; }
    Reg& reg(isa::Reg r) { return now_.reg(r); }
    const ir::MapDef& map(u32 index) const { return program_.maps[index]; }
    bool may_leak() const;
    bool is_empty_context(const Reg& r) const;
    u32 fresh_id() { return next_id_++; }
    void need(const Reg& r) { needs_.mark(r.need); }
    Reg unknown(int size) { return Reg::scalar(Scalar::of_size(size), fresh_id()); }
    std::string register_name(isa::Reg r) const { return "r" + std::to_string(r); }
    std::string argument_name(int n) const {
        return "argument " + std::to_string(n + 1) + " (r" + std::to_string(n + 1) + ")";
    }

    const ir::Program& program_;
    const ir::Environment& environment_;
    const Options& options_;
    u64 max_steps_;
    Observer* const observer_;  // or null
    const Flow flow_;

    // The current path.
    State now_;
    std::vector<PathEntry> path_;
    Written scratch_written_{};  // before the first checkpoint
    u32 since_checkpoint_ = 0;

    u32 branch_at_ = 0;  // whose outcome is being learned from

    std::vector<Pending> pending_;
    State other_;  // of a branch, before it is kept
    using Checkpoints = std::vector<std::shared_ptr<Checkpoint>>;
    // At a place (Flow::place): those whose paths have all ended, and those on the current path.
    struct Place {
        Checkpoints finished, active;
    };
    std::vector<Place> places_;
    Checkpoints& finished(u32 pc) { return places_[flow_.place[pc]].finished; }
    Checkpoints& active(u32 pc) { return places_[flow_.place[pc]].active; }
    const Checkpoints& active(u32 pc) const { return places_[flow_.place[pc]].active; }
    std::vector<Loop> loops_;
    std::vector<u32> open_loops_;  // outermost first
    NeedGraph needs_;
    Ranges ranges_;     // of ranges_of()
    Needs covered_by_;  // what the last covers() found relations from
    u32 next_id_ = 1;
    std::map<PacketSum, u32> packet_ids_;   // identities of sums
    std::map<u32, PacketSum> packet_sums_;  // the other way round
    std::map<u32, Distance> distances_;     // of identities made in open loops

    // What holds for all paths.
    struct InsnNotes {
        u32 visits = 0;
        bool divisor_may_be_zero = false;
        bool memory_differs = false;
        i32 map = -2;  // -2: none seen, -1: several
        bool key_seen = false;
        bool key_differs = false;
    };
    std::vector<InsnNotes> insn_notes_;
    ir::Facts facts_;
    std::set<std::pair<u32, u32>> asynchronous_;  // (callback, map) that were analysed
    std::set<std::pair<u32, u32>> calls_;         // subprogram, called subprogram

    std::vector<bool> no_widening_;       // loop heads that are followed precisely
    std::optional<Diagnostic> doubtful_;  // an error under a general state
    std::optional<Diagnostic> error_;
    std::vector<Seen> seen_;
    std::size_t most_seen_ = 0;
    Verdict verdict_ = Verdict::Reject;
    bool restart_ = false;
    bool passes_ = false;  // the path goes on past a general state that covers it
    u64 steps_ = 0;
    u64 state_bytes_ = 0;
    std::shared_ptr<u64> cell_bytes_ = std::make_shared<u64>(0);  // of all stacks' cells
    u64 peak_bytes_ = 0;
    u32 states_kept_ = 0;
    Work work_;
};

}  // namespace ebpf::verifier
