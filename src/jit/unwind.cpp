// SPDX-License-Identifier: MIT
#include "jit/unwind.hpp"

#include <array>

namespace ebpf::jit {
namespace {

using Kind = FrameStep::Kind;

constexpr u32 kWord = 8;

class Writer {
  public:
    explicit Writer(std::vector<std::byte>& text) : text_(text) {}

    u32 here() const { return static_cast<u32>(text_.size()); }
    void put8(u32 value) { text_.push_back(static_cast<std::byte>(value)); }
    void put16(u32 value) {
        put8(value & 0xFF);
        put8(value >> 8 & 0xFF);
    }
    void put32(u32 value) {
        put16(value & 0xFFFF);
        put16(value >> 16);
    }
    void set32(u32 at, u32 value) {
        for (u32 i = 0; i < 4; ++i) text_[at + i] = static_cast<std::byte>(value >> 8 * i);
    }
    void uleb128(u32 value) {
        for (; value >= 0x80; value >>= 7) put8((value & 0x7F) | 0x80);
        put8(value);
    }
    void align(u32 to, u32 filler) {
        while (here() % to != 0) put8(filler);
    }

  private:
    std::vector<std::byte>& text_;
};

// --- DWARF ---------------------------------------------------------------------------------------

// DW_CFA_*: DWARF 5, table 7.29.
enum : u8 {
    kNop = 0x00,
    kAdvance1 = 0x02,
    kAdvance4 = 0x04,
    kRememberState = 0x0A,
    kRestoreState = 0x0B,
    kDefCfa = 0x0C,
    kDefCfaOffset = 0x0E,
    kAdvance = 0x40,  // | delta
    kOffset = 0x80,   // | register
    kRestore = 0xC0,  // | register
};
constexpr u8 kPcRelative32 = 0x1B;  // DW_EH_PE_pcrel | DW_EH_PE_sdata4

// How DWARF numbers a machine's registers, and where a call leaves the return address: in memory
// below the caller's frame, or in a register.
struct Machine {
    std::array<u8, 32> number;
    u8 stack_pointer, return_address;
    bool return_in_memory;
    u32 called_cfa() const { return return_in_memory ? kWord : 0; }
};
// x86-64 psABI, figure 3.36.
constexpr Machine kX64 = {{0, 2, 1, 3, 7, 6, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15}, 7, 16, true};
// "DWARF for the Arm 64-bit Architecture", 4.1.
constexpr Machine kA64 = {{0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                           16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31},
                          31,
                          30,
                          false};

void advance(Writer& out, u32 delta) {
    if (delta == 0) return;
    if (delta < 0x40) {
        out.put8(kAdvance | delta);
    } else if (delta < 0x100) {
        out.put8(kAdvance1);
        out.put8(delta);
    } else {
        out.put8(kAdvance4);
        out.put32(delta);
    }
}

void dwarf_steps(Writer& out, const Machine& machine, const FrameHistory& f) {
    u32 at = f.begin, cfa = machine.called_cfa(), remembered = cfa;
    for (const FrameStep& s : f.steps) {
        advance(out, s.at - at);
        at = s.at;
        const u32 reg = machine.number[s.reg % machine.number.size()];
        switch (s.kind) {
            case Kind::Push:
            case Kind::Grow:
                cfa += s.kind == Kind::Push ? kWord : s.bytes;
                break;
            case Kind::Pop:
            case Kind::Shrink:
                cfa -= s.kind == Kind::Pop ? kWord : s.bytes;
                break;
            case Kind::Remember:
                remembered = cfa;
                out.put8(kRememberState);
                continue;
            case Kind::Recall:
                cfa = remembered;
                out.put8(kRestoreState);
                continue;
        }
        out.put8(kDefCfaOffset);
        out.uleb128(cfa);
        if (s.kind == Kind::Push) {
            out.put8(kOffset | reg);
            out.uleb128(cfa / kWord);
        } else if (s.kind == Kind::Pop) {
            out.put8(kRestore | reg);
        }
    }
}

// A record's length stands before it and does not count itself.
void close_record(Writer& out, u32 begin) {
    out.align(kWord, kNop);
    out.set32(begin, out.here() - begin - 4);
}

void dwarf_table(Writer& out, const Machine& machine, std::span<const FrameHistory> functions) {
    const u32 cie = out.here();
    out.put32(0);
    out.put32(0);  // a CIE
    out.put8(1);   // version
    for (const char c : {'z', 'R', '\0'}) out.put8(static_cast<u8>(c));
    out.uleb128(1);          // code alignment
    out.put8(0x80 - kWord);  // data alignment, SLEB128: -8
    out.uleb128(machine.return_address);
    out.uleb128(1);
    out.put8(kPcRelative32);
    out.put8(kDefCfa);
    out.uleb128(machine.stack_pointer);
    out.uleb128(machine.called_cfa());
    if (machine.return_in_memory) {
        out.put8(kOffset | machine.return_address);
        out.uleb128(1);
    }
    close_record(out, cie);
    for (const FrameHistory& f : functions) {
        const u32 fde = out.here();
        out.put32(0);
        out.put32(out.here() - cie);
        out.put32(f.begin - out.here());
        out.put32(f.end - f.begin);
        out.uleb128(0);
        dwarf_steps(out, machine, f);
        close_record(out, fde);
    }
    out.put32(0);
}

// --- Windows -------------------------------------------------------------------------------------

enum : u8 { kPushNonvolatile = 0, kAllocLarge = 1, kAllocSmall = 2 };
constexpr u32 kSmall = 128;  // bytes that kAllocSmall can say

struct UnwindCode {
    u8 at, operation;
    u16 more;
    u32 slots() const { return operation == kAllocLarge ? 2 : 1; }
};

// UNWIND_INFO of a function: the codes undo the prologue, so the last comes first.
void windows_info(Writer& out, const FrameHistory& f) {
    std::vector<UnwindCode> codes;
    u32 prologue = 0, slots = 0;
    for (const FrameStep& s : f.steps) {
        if (s.kind == Kind::Remember) break;
        prologue = s.at - f.begin;
        UnwindCode code{static_cast<u8>(prologue), kPushNonvolatile, 0};
        if (s.kind == Kind::Push) {
            code.operation |= static_cast<u8>(s.reg << 4);
        } else if (s.bytes <= kSmall) {
            code.operation = static_cast<u8>(kAllocSmall | (s.bytes / kWord - 1) << 4);
        } else {
            code.operation = kAllocLarge;
            code.more = static_cast<u16>(s.bytes / kWord);
        }
        slots += code.slots();
        codes.push_back(code);
    }
    out.put8(1);  // version, no flags
    out.put8(prologue);
    out.put8(slots);
    out.put8(0);  // no frame register
    for (auto code = codes.rbegin(); code != codes.rend(); ++code) {
        out.put8(code->at);
        out.put8(code->operation);
        if (code->slots() == 2) out.put16(code->more);
    }
    out.align(4, 0);
}

u32 windows_table(Writer& out, std::span<const FrameHistory> functions) {
    std::vector<u32> infos;
    for (const FrameHistory& f : functions) {
        infos.push_back(out.here());
        windows_info(out, f);
    }
    const u32 table = out.here();
    for (std::size_t i = 0; i < functions.size(); ++i) {
        out.put32(functions[i].begin);
        out.put32(functions[i].end);
        out.put32(infos[i]);
    }
    return table;
}

}  // namespace

code::UnwindData append_unwind(const Target& target, std::span<const FrameHistory> functions,
                               std::vector<std::byte>& text) {
    constexpr u32 kTrap = 0xCC;
    Writer out(text);
    if (target.unwind == UnwindFormat::None) return {};
    out.align(kWord, kTrap);
    u32 table = out.here();
    if (target.unwind == UnwindFormat::Dwarf) {
        dwarf_table(out, target.cpu == code::Cpu::AArch64 ? kA64 : kX64, functions);
    } else {
        table = windows_table(out, functions);
    }
    return {table, out.here() - table};
}

}  // namespace ebpf::jit
