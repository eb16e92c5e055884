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
#include <vector>

#include "isa/insn.hpp"
#include "spec/program_info.hpp"
#include "verifier/planted.hpp"
#include "verifier/scalar.hpp"

namespace ebpf::verifier {

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

struct Reg {
    Kind kind = Kind::Uninit;
    bool nullable = false;  // MapValue, Map, Memory, Object, Typed: may be null
    u8 frame = 0;  // Stack: index of the frame it points into; Scalar: 1 for a length, see below;
                   // Object, Memory, LentDynptr: 1 when `ref` is another's, whose end is this
                   // one's too
    Lost lost = Lost::Never;
    u8 object = 0;         // Object: a RetKind
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

class Stack {
  public:
    std::array<u64, 8> init{};  // bit per byte: written
    std::vector<Cell> cells;    // sorted, disjoint; their bytes are init

    bool all_init(int off, int size) const;
    // The first byte of [off, off + size) that is not written, or -1.
    int first_uninit(int off, int size) const;
    void set_init(int off, int size);
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

struct Frame {
    u32 subprogram = 0;
    u32 return_to = 0;              // instruction after the call
    i32 callback_of = kNoCallback;  // for a callback's frame: instruction that called the helper
    std::shared_ptr<const CallbackRun> callback;  // for a callback's frame
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

// A number that an identity stands for: scale * its value + delta.
struct Term {
    u32 id = 0;
    i64 scale = 1, delta = 0;
};
// whole == parts[0] + parts[1], as unsigned numbers; `need` is what that was found from.
struct Sum {
    Term whole, parts[2];
    u32 need = 0;
};
inline constexpr std::size_t kMaxSums = 4;  // the latest

struct State {
    u32 pc = 0;
    std::vector<Frame> frames;
    std::vector<u32> refs;  // held references, in the order of acquisition
    Lock lock;
    std::vector<Sum> sums;  // made since the last checkpoint
    u32 may_goto = 0;       // how often may_goto went on so far, at least: progress of a loop

    Frame& top() { return frames.back(); }
    const Frame& top() const { return frames.back(); }
    Reg& reg(isa::Reg r) { return frames.back().regs[r]; }
    const Reg& reg(isa::Reg r) const { return frames.back().regs[r]; }
    u64 bytes() const;

    // Calls `f(Reg&)` for every register and every cell of every frame. `wants` decides on a
    // const Reg& whether f may change it, so that unchanged stacks stay shared.
    template <typename Wants, typename F>
    void for_each(Wants wants, F f) {
        for (Frame& frame : frames) {
            for (Reg& r : frame.regs) {
                if (planted(301) && &r == &frame.regs[9]) continue;
                if (wants(r)) f(r);
            }
            for (std::size_t i = 0; i < frame.stack->cells.size(); ++i) {
                if (planted(302) && i > 0) break;
                if (wants(frame.stack->cells[i].reg)) f(frame.writable_stack().cells[i].reg);
            }
        }
    }
};

// "packet + 14 (of which 34 bytes are proven)", for messages and dumps.
std::string to_string(const Reg& reg);
// One line per frame: the registers that are set, then the stack.
std::string to_string(const State& state);

}  // namespace ebpf::verifier
