// SPDX-License-Identifier: MIT
//
// A machine that runs a program and watches it: every access must lie in memory that is there,
// every register and stack byte that is read must have been written, references must be given back,
// and the run must end. It computes with isa/semantics.hpp, as the interpreter does, but its memory
// is a table of regions, so that nothing a wrong program does can hurt.
//
// Helpers are modelled by prototype alone: what they read and write is checked, what they return is
// random within what the prototype says.
#pragma once

#include <array>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "ir/environment.hpp"
#include "ir/program.hpp"

namespace ebpf::verifier::oracle {

struct Region {
    enum class What : u8 { Stack, Context, Packet, MapValue, Map, Memory, Object } what{};
    u32 index = 0;    // MapValue, Map: of the map; Stack: of the frame
    u32 entries = 0;  // Map: its max_entries
    bool alive = true;
    bool writable = true;
    u64 base = 0;
    std::vector<u8> bytes;
    std::vector<bool> written;  // Stack only

    u64 end() const { return base + bytes.size(); }
};

struct MachineFrame {
    u32 subprogram = 0;
    u32 return_to = 0;
    i32 callback_of = -1;
    u32 stack = 0;  // region
    std::array<u64, isa::kRegisterCount> regs{};
    std::array<bool, isa::kRegisterCount> set{};
    // A callback's frame: what it is called with, and how often still.
    std::array<u64, 5> arguments{};
    u32 rounds = 0;
    u32 map = 0;
    std::vector<u32> refs;  // held when it began
};

class Machine {
  public:
    Machine(const ir::Program& program, const ir::Environment& environment, u64 seed);

    // One instruction. False when the program ended or did something wrong; then wrong() says what.
    bool step();
    const std::string& wrong() const { return wrong_; }

    u32 pc() const { return pc_; }
    const std::vector<MachineFrame>& frames() const { return frames_; }
    const MachineFrame& top() const { return frames_.back(); }
    const std::vector<u32>& references() const { return refs_; }
    const Region* region_of(u64 address) const;  // also one past its end; null: none
    // The region that a pointer belongs to which may have been moved out of it; null: none.
    const Region* region_near(u64 address) const;
    const Region& region(u32 i) const { return regions_[i]; }
    u64 context() const { return regions_[context_].base; }
    u64 data() const { return data_; }
    u64 data_end() const { return data_end_; }
    u64 data_meta() const { return data_meta_; }

  private:
    u32 add_region(Region::What what, u32 index, std::size_t size);
    bool fail(std::string what);
    u8* access(u64 address, u64 size, bool write, bool initialised);
    bool alu(const isa::Insn& i);
    bool load(const isa::Insn& i);
    bool store(const isa::Insn& i);
    bool atomic(const isa::Insn& i);
    bool wide(const isa::Insn& i);
    bool call(const isa::Insn& i);
    // An iterator or a dynamic pointer on the program's stack.
    struct Object {
        bool iterator = false;
        bool packet = false;
        u32 memory = ~u32{0};  // the region that it holds or gives numbers in
        i32 next = 0, end = 0;
    };
    // Bytes that a dynamic pointer gave.
    struct Slice {
        u32 memory;
        u32 of;  // Object::memory
        bool packet;
    };
    bool object(const spec::HelperProto& proto, int argument, Object& used);
    u64 next_number(u64 address);
    u64 slice(const Object& of, u64 size, bool read_only);
    bool helper_by_number(u32 number);
    bool helper(const spec::HelperProto& proto);
    bool helper_memory(u64 address, u64 size, bool write, bool read);
    bool finds(const Region& token, u64 key);
    bool exit();
    bool enter(u32 target, u32 return_to, i32 callback_of);
    bool enter_callback_again();
    void clobber();
    void new_packet();
    bool readable(isa::Reg r);
    u64 random_number();
    u64 map_token(u32 index);
    u64 inner_map_token(u32 index);
    u64 map_value(u32 index);

    const ir::Program& program_;
    const ir::Environment& environment_;
    std::mt19937_64 random_;
    std::vector<Region> regions_;
    std::vector<MachineFrame> frames_;
    std::vector<u32> refs_;                   // regions, in the order of acquisition
    std::map<u32, std::vector<u32>> values_;  // of each map
    std::map<u32, u32> tokens_;
    std::map<u64, Object> objects_;  // by their addresses
    std::vector<Slice> slices_;
    u32 pc_ = 0;
    // Few, so that trials see it used up, too.
    u64 may_goto_ = 0;
    u32 context_ = 0;
    u64 data_ = 0, data_end_ = 0, data_meta_ = 0;
    bool ended_ = false;
    std::string wrong_;
};

}  // namespace ebpf::verifier::oracle
