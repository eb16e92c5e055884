// SPDX-License-Identifier: MIT
//
// One abstract state: what is known of every register and stack byte on one path to one
// instruction. States are copied at every branch, so a frame's stack is shared until written.
//
// Identity. Every value whose number is not known gets an id when it is made, and copies keep it;
// adding a constant keeps it too and counts the constant in `delta`. Two scalars with equal ids
// differ by the difference of their deltas, modulo 2^64, whatever else is known about them, so a
// test of one refines the other. For pointers the id stands for the same pointer base: the nullness
// of one is that of all, and a bounds check of one packet pointer serves all with its id.
//
// Need. `need` is a node of the NeedGraph: what this scalar's range was made of (needs.hpp).
#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "isa/insn.hpp"
#include "isa/registers.hpp"
#include "spec/program_info.hpp"
#include "verifier/planted.hpp"
#include "verifier/relations.hpp"
#include "verifier/scalar.hpp"

namespace ebpf::verifier {

using isa::RegSet;

enum class Kind : u8 {
    Uninit,  // must not be read; `lost` says why
    Scalar,
    Context,
    Stack,
    Packet,      // data + var + off
    PacketMeta,  // data_meta + var + off
    PacketEnd,
    Map,  // a map itself
    MapValue,
    Memory,    // allocated by a helper; `size` bytes
    Object,    // opaque kernel object (socket ...): passed to helpers, not dereferenced
    Typed,     // structure of the kernel, `index` its type; reads never fault, so null is no matter
    Function,  // address of a subprogram
    Dynptr,    // on the stack only: a dynamic pointer
    Iterator,  // on the stack only: an open-coded iterator; `delta` counts its steps
    LentDynptr,  // address of a helper's dynamic pointer, a callback's argument
};
const char* name(Kind kind);

enum class Lost : u8 { Never, Call, PacketChanged, Released };

// What is true of the bytes behind a pointer to memory, or of those of a dynamic pointer.
enum MemoryUse : u8 {
    kReadOnly = 1,
    kIteratorNumber = 2,  // an iterator's number, which lies in its range; read-only
    kPacketSlice = 4,     // they are the packet's, and lost when that changes
};

// `r <<= 32`, with `r >>= n` or `r s>>= n` behind it, extends a low half where there are no 32-bit
// instructions. Of such an upper half: moved down without or with its sign it is the number that
// was moved up, all of it, and not only its low half.
enum UpperHalf : u8 { kUpperUnsigned = 1, kUpperSigned = 2 };

struct Reg {
    Kind kind = Kind::Uninit;
    bool nullable = false;  // MapValue, Map, Memory, Object, Typed: may be null
    u8 frame = 0;  // Stack: index of the frame it points into; Scalar: 1 for a length, see below, 2
                   // when its upper half is one;
                   // Object, Memory, LentDynptr: 1 when `ref` is another's, whose end is this
                   // one's too
    Lost lost = Lost::Never;
    u8 object = 0;         // Object: a RetKind; Memory, Dynptr: bits of MemoryUse; Scalar: bits of
                           // UpperHalf
    bool low = false;      // see scale
    bool reached = false;  // Packet, PacketMeta: data + var is known not to be behind the end
    i32 off = 0;           // pointers: constant part of the offset
    u32 id = 0;            // identity, 0 = none
    u32 ref = 0;           // the reference it holds, 0 = none
    u32 need = 0;          // scalars
    u32 size = 0;  // Packet, PacketMeta: bytes from data + var that are there; Memory: its size;
                   // Scalar: see below
    u32 index =
        0;  // Map, MapValue: map; Typed: type; Function: first instruction; Uninit: what lost it
    u32 var = 0;  // pointers: identity of `num`, as `id` is a scalar's
    // num == scale * (the value that the identity stands for) + delta, modulo 2^64. Whoever shares
    // an identity thus moves with it: a counter, the index made of it, the pointer moved by that.
    // `low`: that holds for the low halves only.
    i64 scale = 1;
    i64 delta = 0;
    Scalar num;  // Scalar: the value; pointers: variable part of the offset

    // A scalar may be known to be a length: size * num + off is at most data_end minus the packet
    // pointer of identity `index`. A lower bound of it proves bytes of the packet.
    bool is_length() const { return kind == Kind::Scalar && frame == 1; }
    bool has_length() const { return kind == Kind::Scalar && frame != 0; }
    bool is_borrowed() const { return is_pointer() && kind != Kind::Stack && frame == 1; }
    void set_length(u32 pointer, u32 factor, i32 more) {
        frame = 1, index = pointer, size = factor, off = more;
    }
    void forget_length() { frame = 0, index = 0, size = 0, off = 0; }

    // Of a packet pointer: the bytes from data + var that are there, -1 when not even that is known
    // to be in the packet.
    i64 reach() const { return size == 0 && !reached ? -1 : i64{size}; }
    // The same counted from `moved` bytes behind data + var.
    i64 reach_from(i64 moved) const {
        return reach() < std::max<i64>(moved, 0) ? -1 : reach() - moved;
    }
    void set_reach(i64 bytes) {
        reached = bytes >= 0;
        size = reached ? static_cast<u32>(bytes) : 0;
    }

    // What `num` is made of; 0: nothing that is shared.
    u32 number_id() const { return is_scalar() ? id : var; }

    static Reg scalar(const Scalar& s, u32 value_id);
    static Reg constant(u64 v);
    static Reg pointer(Kind kind);
    bool is_scalar() const { return kind == Kind::Scalar; }
    bool is_constant() const { return is_scalar() && num.is_constant(); }
    bool is_pointer() const { return kind > Kind::Scalar; }
    bool is_packet() const { return kind == Kind::Packet || kind == Kind::PacketMeta; }
    bool is_packet_slice() const { return kind == Kind::Memory && (object & kPacketSlice) != 0; }
    // Adding to it gives a pointer of the same kind.
    bool has_arithmetic() const {
        return kind == Kind::Stack || is_packet() || kind == Kind::MapValue || kind == Kind::Memory;
    }
};

// A register's value that lies on the stack. Offsets count from the frame's lowest byte.
struct Cell {
    i16 off = 0;
    u8 size = 0;
    Reg reg;
    int end() const { return off + size; }
};

using Granules = std::array<u64, 2>;  // bit per 4 stack bytes
// Those that [off, off + size) touches.
Granules granules(int off, int size);

// Counts the bytes of whoever has one, in a sum that many share; the last of them takes it along.
class Meter {
  public:
    Meter() = default;
    explicit Meter(std::shared_ptr<u64> sum) : sum_(std::move(sum)) {}
    Meter(const Meter& other) : sum_(other.sum_) {}
    Meter& operator=(const Meter&) = delete;
    ~Meter() { set(0); }
    void set(u64 bytes) {
        if (sum_) *sum_ += bytes - bytes_;
        bytes_ = bytes;
    }

  private:
    std::shared_ptr<u64> sum_;
    u64 bytes_ = 0;
};

// The cells of a stack, in the order of their places. Those that begin in the same 64 bytes make a
// chunk, which stacks share until one of them writes it: from one state that is kept to the next a
// path writes few.
class Cells {
  public:
    explicit Cells(std::shared_ptr<u64> sum = nullptr) : sum_(std::move(sum)) {}

    class Iterator {
      public:
        using value_type = Cell;
        using difference_type = std::ptrdiff_t;
        Iterator() = default;
        Iterator(const Cells* cells, unsigned chunk) : cells_(cells), chunk_(chunk) { skip(); }
        const Cell& operator*() const { return cells_->chunks_[chunk_]->cells[at_]; }
        const Cell* operator->() const { return &**this; }
        Iterator& operator++() {
            ++at_;
            skip();
            return *this;
        }
        Iterator operator++(int) {
            const Iterator before = *this;
            ++*this;
            return before;
        }
        friend bool operator==(const Iterator&, const Iterator&) = default;

      private:
        void skip() {
            while (chunk_ < kChunks &&
                   (!cells_->chunks_[chunk_] || at_ == cells_->chunks_[chunk_]->cells.size()))
                ++chunk_, at_ = 0;
        }
        const Cells* cells_ = nullptr;
        unsigned chunk_ = 0;
        std::size_t at_ = 0;
    };
    Iterator begin() const { return {this, 0}; }
    Iterator end() const { return {this, kChunks}; }
    // From the first one on that may touch [off, ...).
    Iterator near(int off) const { return {this, chunk_of(std::max(0, off - kMaxCell))}; }
    // Those that begin in the i-th 64 bytes.
    static constexpr unsigned kChunks = isa::kStackSize / 64;
    std::span<const Cell> chunk(unsigned i) const {
        return chunks_[i] ? std::span<const Cell>(chunks_[i]->cells) : std::span<const Cell>();
    }
    const std::shared_ptr<u64>& sum() const { return sum_; }

    const Cell* at(int off) const;      // the one that begins there, or null
    void insert(const Cell& cell);      // where there is none
    void erase(const Cell& cell);       // one of these
    void set(int off, const Reg& reg);  // of the cell that begins there

    // Whether a number with this identity may be among them.
    bool may_have(u32 id) const {
        return std::ranges::any_of(chunks_,
                                   [&](const auto& c) { return c && (c->ids >> (id % 64) & 1); });
    }
    // Calls `f(Reg&)` for those of which `wants(const Reg&)`; of chunks that are shared only if
    // `shared_too`.
    template <typename Wants, typename F>
    void change(Wants wants, F f, bool shared_too = true) {
        for (std::shared_ptr<Chunk>& chunk : chunks_) {
            if (!chunk || (!shared_too && chunk.use_count() != 1)) continue;
            bool changed = false;
            for (std::size_t i = 0; i < chunk->cells.size(); ++i) {
                if (planted(302) && i > 0) break;
                if (!wants(std::as_const(chunk->cells[i].reg))) continue;
                if (chunk.use_count() != 1) chunk = std::make_shared<Chunk>(*chunk);
                f(chunk->cells[i].reg);
                changed = true;
            }
            if (changed) chunk->summarise();
        }
    }

  private:
    static constexpr int kChunk = 64, kMaxCell = 16;
    struct Chunk {
        std::vector<Cell> cells;
        u64 ids = 0;  // of their numbers, modulo 64; perhaps of some that are gone
        Meter meter;
        explicit Chunk(const std::shared_ptr<u64>& sum) : meter(sum) {}
        Chunk(const Chunk& other) : cells(other.cells), ids(other.ids), meter(other.meter) {
            count();
        }
        void count() { meter.set(sizeof(Chunk) + cells.capacity() * sizeof(Cell)); }
        void note(const Reg& reg) {
            if (reg.number_id() != 0) ids |= u64{1} << (reg.number_id() % 64);
        }
        void summarise() {
            ids = 0;
            for (const Cell& c : cells) note(c.reg);
        }
    };
    static unsigned chunk_of(int off) { return static_cast<unsigned>(off) / kChunk; }
    Chunk& writable(int off);

    std::array<std::shared_ptr<Chunk>, kChunks> chunks_;
    std::shared_ptr<u64> sum_;  // of bytes, or null
};

class Stack {
  public:
    std::array<u64, 8> init{};  // bit per byte: written
    Cells cells;                // disjoint; their bytes are init

    explicit Stack(std::shared_ptr<u64> sum = nullptr) : cells(std::move(sum)) {}

    bool all_init(int off, int size) const;
    // The first byte of [off, off + size) that is not written, or -1.
    int first_uninit(int off, int size) const;
    void set_init(int off, int size);
    void set_uninit(int off, int size);
    bool has_pointer(int off, int size) const;
    const Cell* exact(int off, int size) const;
    // Forgets what [off, off + size) holds; number cells that are cut keep their parts.
    void clobber(int off, int size);
    void put(int off, int size, const Reg& reg);
};

// How a callback was started; it starts like that every time.
struct CallbackRun {
    std::array<Reg, 5> arguments;
    std::vector<u32> refs;  // held then
    u32 invocation = 0;     // of the helper, which runs it any number of times
};

inline constexpr i32 kNoCallback = -1;
inline constexpr i32 kAsynchronous = -2;  // run by a timer, on its own

struct CallFrame {
    u32 subprogram = 0;
    u32 return_to = 0;              // instruction after the call
    i32 callback_of = kNoCallback;  // for a callback's frame: instruction that called the helper
    std::shared_ptr<const CallbackRun> callback;  // for a callback's frame
};

struct Frame : CallFrame {
    Reg regs[isa::kRegisterCount];
    std::shared_ptr<Stack> stack;  // shared while equal; see writable_stack()

    Stack& writable_stack();
};

// The spin lock that is held: that of one value of a map.
struct Lock {
    bool held = false;
    u32 map = 0;
    u32 id = 0;  // of the pointer to the value
    friend bool operator==(const Lock&, const Lock&) = default;
};

struct State {
    u32 pc = 0;
    std::vector<Frame> frames;
    std::vector<u32> refs;  // held references, in the order of acquisition
    Lock lock;
    Relations relations;
    u32 packet_size = 0;  // identity of data_end - data
    u32 may_goto = 0;     // how often may_goto went on so far, at least: progress of a loop

    Frame& top() { return frames.back(); }
    const Frame& top() const { return frames.back(); }
    Reg& reg(isa::Reg r) { return frames.back().regs[r]; }
    const Reg& reg(isa::Reg r) const { return frames.back().regs[r]; }
    const Reg& reg(std::size_t frame, unsigned r) const { return frames[frame].regs[r]; }

    // Calls `f(Reg&)` for every register and every cell of every frame. `wants` decides on a
    // const Reg& whether f may change it, so that unchanged stacks stay shared.
    template <typename Wants, typename F>
    void for_each(Wants wants, F f) {
        for (Frame& frame : frames) {
            for (Reg& r : frame.regs) {
                if (planted(301) && &r == &frame.regs[9]) continue;
                if (wants(r)) f(r);
            }
            if (std::ranges::any_of(frame.stack->cells,
                                    [&](const Cell& c) { return wants(c.reg); }))
                frame.writable_stack().cells.change(wants, f);
        }
    }
    // The same where only numbers with that identity are wanted.
    template <typename Wants, typename F>
    void for_each_of(u32 id, Wants wants, F f) {
        const bool on_stack = std::ranges::any_of(
            frames, [&](const Frame& frame) { return frame.stack->cells.may_have(id); });
        if (on_stack) return for_each(wants, f);
        for (Frame& frame : frames) {
            for (Reg& r : frame.regs) {
                if (planted(301) && &r == &frame.regs[9]) continue;
                if (wants(r)) f(r);
            }
        }
    }
};

// A state that is kept for later: a path to be taken up, or one that later states are compared
// with. Of registers it has those that are read later, side by side, since nearly all of a state is
// registers that nobody asks for.
struct KeptFrame : CallFrame {
    RegSet kept = 0;               // registers that are among State::regs
    RegSet numbers = 0;            // others of which it only counts that they hold a number
    u16 first = 0;                 // where its registers begin
    Granules read{};               // of a checkpoint: stack that some path from here reads
    std::shared_ptr<Stack> stack;  // null when no comparison looks at it
};

struct KeptState {
    u32 pc = 0;
    u32 may_goto = 0;
    u32 packet_size = 0;
    std::vector<KeptFrame> frames;
    std::vector<Reg> regs;
    std::vector<u32> refs;
    Relations relations;
    Lock lock;

    const Reg& reg(std::size_t frame, unsigned r) const;  // an Uninit one when it is not kept
    u64 bytes() const;  // without cells of stacks, which their meters count
    void restore(State& into) const;
    State state() const {
        State s;
        restore(s);
        return s;
    }
};

// "packet + 14 (of which 34 bytes are proven)", for messages and dumps.
std::string to_string(const Reg& reg);
// One line per frame: the registers that are set, then the stack.
std::string to_string(const State& state);

}  // namespace ebpf::verifier
