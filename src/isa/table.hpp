// SPDX-License-Identifier: MIT
//
// instructions.def expanded at compile time: one `Encoding` per legal combination of opcode byte
// and selector. The opcode byte alone does not say what an instruction is: `off` tells div from
// sdiv and mov from movsx, `imm` the atomic operation and the width of a byte swap, `src` the kind
// of a call or of a 64-bit load. So decoding is: the opcode's candidates (an index of 256 entries),
// the one whose selector matches, then its field rules; encoding goes the other way by form.
//
// Only the codec, the text dialects, tests and fuzzers include this; everybody else works on
// `Insn`.
#pragma once

#include <array>

#include "isa/insn.hpp"

namespace ebpf::isa {

// Conformance group without its width; group 32 or 64 follows from the row (RFC 9669 section 2.4).
enum class Family : u8 { Base, DivMul, Atomic, CallX, Packet };
enum class Since : u8 { V1 = 1, V2, V3, V4 };

// Which field tells apart the encodings that share an opcode byte.
enum class Field : u8 { None, Src, Off, Imm };

// What a field may hold.
enum class Rule : u8 {
    Zero,
    Fixed,     // the selector
    Read,      // a register that is read: 0..10
    Write,     // a register that is written: 0..9
    Any,       // an operand; sign-extended
    Unsigned,  // an operand; zero-extended
};

struct Encoding {
    Form form{};
    u8 kind = 0;
    Width width = Width::W64;
    u8 from_bits = 0;

    u8 opcode = 0;
    Field selector = Field::None;
    i32 selector_value = 0;
    Rule dst = Rule::Zero;
    Rule src = Rule::Zero;
    Rule off = Rule::Zero;
    Rule imm = Rule::Zero;
    Rule high = Rule::Zero;  // imm of the second slot

    Family family = Family::Base;
    bool base64 = true;  // in the 64-bit half of its family
    Since since = Since::V1;
    std::string_view infix{};
    std::string_view mnemonic{};
    const char* unsupported = nullptr;  // Linux's name of an instruction that nothing here runs
};

namespace table {

inline constexpr u8 kClassAlu = 0x04, kClassJmp = 0x05, kClassJmp32 = 0x06, kClassAlu64 = 0x07;
inline constexpr u8 kClassStx = 0x03, kSourceReg = 0x08;
inline constexpr u8 kModeAtomic = 0xc0;

constexpr u8 size_code(Width width) {
    switch (width) {
        case Width::W8:
            return 0x10;
        case Width::W16:
            return 0x08;
        case Width::W32:
            return 0x00;
        case Width::W64:
            return 0x18;
    }
    return 0;
}

inline constexpr Width kWidths[] = {Width::W8, Width::W16, Width::W32, Width::W64};

// Collects rows; instantiated twice, first with room to spare to count them.
template <std::size_t N>
struct Builder {
    std::array<Encoding, N> rows{};
    std::size_t count = 0;

    constexpr void add(const Encoding& row) { rows[count++] = row; }

    constexpr void alu(AluOp op, u8 code, i32 off, std::string_view infix,
                       std::string_view mnemonic, Family family, Since since) {
        for (const bool is64 : {false, true}) {
            for (const bool reg : {false, true}) {
                const u8 opcode = static_cast<u8>(code << 4 | (is64 ? kClassAlu64 : kClassAlu) |
                                                  (reg ? kSourceReg : 0));
                add({.form = reg ? Form::AluReg : Form::AluImm,
                     .kind = static_cast<u8>(op),
                     .width = is64 ? Width::W64 : Width::W32,
                     .opcode = opcode,
                     .selector = Field::Off,
                     .selector_value = off,
                     .dst = Rule::Write,
                     .src = reg ? Rule::Read : Rule::Zero,
                     .off = Rule::Fixed,
                     .imm = reg ? Rule::Zero : Rule::Any,
                     .family = family,
                     .base64 = is64,
                     .since = since,
                     .infix = infix,
                     .mnemonic = mnemonic});
            }
        }
    }

    constexpr void neg(u8 code, std::string_view mnemonic, Family family, Since since) {
        for (const bool is64 : {false, true}) {
            add({.form = Form::Neg,
                 .width = is64 ? Width::W64 : Width::W32,
                 .opcode = static_cast<u8>(code << 4 | (is64 ? kClassAlu64 : kClassAlu)),
                 .dst = Rule::Write,
                 .family = family,
                 .base64 = is64,
                 .since = since,
                 .mnemonic = mnemonic});
        }
    }

    constexpr void movsx(u8 from, u32 widths, Since since) {
        for (const Width width : kWidths) {
            if ((widths & static_cast<u32>(bytes(width))) == 0) continue;
            const bool is64 = width == Width::W64;
            add({.form = Form::MovSx,
                 .width = width,
                 .from_bits = from,
                 .opcode = static_cast<u8>(0xb0 | (is64 ? kClassAlu64 : kClassAlu) | kSourceReg),
                 .selector = Field::Off,
                 .selector_value = from,
                 .dst = Rule::Write,
                 .src = Rule::Read,
                 .off = Rule::Fixed,
                 .base64 = is64,
                 .since = since,
                 .mnemonic = "movsx"});
        }
    }

    constexpr void endian(EndianOp op, u8 opcode, std::string_view infix, std::string_view mnemonic,
                          Since since) {
        for (const Width width : {Width::W16, Width::W32, Width::W64}) {
            add({.form = Form::Endian,
                 .kind = static_cast<u8>(op),
                 .width = width,
                 .opcode = opcode,
                 .selector = Field::Imm,
                 .selector_value = bits(width),
                 .dst = Rule::Write,
                 .imm = Rule::Fixed,
                 .base64 = width == Width::W64,
                 .since = since,
                 .infix = infix,
                 .mnemonic = mnemonic});
        }
    }

    constexpr void memory(Form form, u8 kind, u8 klass, u8 mode, u32 widths,
                          std::string_view mnemonic, Family family, Since since) {
        const bool load = form == Form::Load || form == Form::LoadSx;
        const bool legacy = form == Form::LegacyLoad;
        const bool indirect = legacy && kind == static_cast<u8>(LegacyMode::Indirect);
        for (const Width width : kWidths) {
            if ((widths & static_cast<u32>(bytes(width))) == 0) continue;
            add({.form = form,
                 .kind = kind,
                 .width = width,
                 .opcode = static_cast<u8>(klass | mode | size_code(width)),
                 .dst = legacy ? Rule::Zero
                        : load ? Rule::Write
                               : Rule::Read,
                 .src = load || indirect || form == Form::StoreReg ? Rule::Read : Rule::Zero,
                 .off = legacy ? Rule::Zero : Rule::Any,
                 .imm = legacy || form == Form::StoreImm ? Rule::Any : Rule::Zero,
                 .family = family,
                 .base64 = width == Width::W64 || form == Form::LoadSx,
                 .since = since,
                 .mnemonic = mnemonic});
        }
    }

    constexpr void atomic(AtomicOp op, i32 imm, std::string_view infix, std::string_view mnemonic,
                          Since since) {
        const bool writes_src = op >= AtomicOp::FetchAdd && op <= AtomicOp::Xchg;
        for (const Width width : {Width::W32, Width::W64}) {
            add({.form = Form::Atomic,
                 .kind = static_cast<u8>(op),
                 .width = width,
                 .opcode = static_cast<u8>(kClassStx | kModeAtomic | size_code(width)),
                 .selector = Field::Imm,
                 .selector_value = imm,
                 .dst = Rule::Read,
                 .src = writes_src ? Rule::Write : Rule::Read,
                 .off = Rule::Any,
                 .imm = Rule::Fixed,
                 .family = Family::Atomic,
                 .base64 = width == Width::W64,
                 .since = since,
                 .infix = infix,
                 .mnemonic = mnemonic});
        }
    }

    constexpr void jump(Cond cond, u8 code, std::string_view infix, std::string_view mnemonic,
                        Since since) {
        for (const bool is64 : {false, true}) {
            for (const bool reg : {false, true}) {
                add({.form = reg ? Form::JmpReg : Form::JmpImm,
                     .kind = static_cast<u8>(cond),
                     .width = is64 ? Width::W64 : Width::W32,
                     .opcode = static_cast<u8>(code << 4 | (is64 ? kClassJmp : kClassJmp32) |
                                               (reg ? kSourceReg : 0)),
                     .dst = Rule::Read,
                     .src = reg ? Rule::Read : Rule::Zero,
                     .off = Rule::Any,
                     .imm = reg ? Rule::Zero : Rule::Any,
                     .base64 = is64,
                     .since = is64 ? since : Since::V3,
                     .infix = infix,
                     .mnemonic = mnemonic});
            }
        }
    }

    constexpr void jump_always(Width width, u8 opcode, std::string_view infix,
                               std::string_view mnemonic, Since since) {
        const bool in_off = width == Width::W64;
        add({.form = Form::Ja,
             .width = width,
             .opcode = opcode,
             .off = in_off ? Rule::Any : Rule::Zero,
             .imm = in_off ? Rule::Zero : Rule::Any,
             .base64 = false,
             .since = since,
             .infix = infix,
             .mnemonic = mnemonic});
    }

    constexpr void call(CallKind kind, i32 src, std::string_view mnemonic) {
        add({.form = Form::Call,
             .kind = static_cast<u8>(kind),
             .opcode = 0x85,
             .selector = Field::Src,
             .selector_value = src,
             .src = Rule::Fixed,
             .off = kind == CallKind::Kfunc ? Rule::Any : Rule::Zero,
             .imm = kind == CallKind::Local ? Rule::Any : Rule::Unsigned,
             .base64 = false,
             .since = kind == CallKind::Helper ? Since::V1 : Since::V3,
             .mnemonic = mnemonic});
    }

    constexpr void wide(WideKind kind, i32 src, Rule high, std::string_view mnemonic) {
        add({.form = Form::Wide,
             .kind = static_cast<u8>(kind),
             .opcode = 0x18,
             .selector = Field::Src,
             .selector_value = src,
             .dst = Rule::Write,
             .src = Rule::Fixed,
             .imm = kind == WideKind::Function ? Rule::Any : Rule::Unsigned,
             .high = high,
             .mnemonic = mnemonic});
    }
};

template <std::size_t N>
consteval Builder<N> build() {
    Builder<N> b;
#define ALU(op, code, off, infix, mnemonic, family, since) \
    b.alu(AluOp::op, code, off, infix, mnemonic, Family::family, Since::since);
#define NEG(code, mnemonic, family, since) b.neg(code, mnemonic, Family::family, Since::since);
#define MOVSX(from, widths, since) b.movsx(from, widths, Since::since);
#define ENDIAN(op, opcode, infix, mnemonic, since) \
    b.endian(EndianOp::op, opcode, infix, mnemonic, Since::since);
#define MEMORY(form, kind, klass, mode, widths, mnemonic, family, since)                       \
    b.memory(Form::form, static_cast<u8>(kind), klass, mode, widths, mnemonic, Family::family, \
             Since::since);
#define ATOMIC(op, imm, infix, mnemonic, since) \
    b.atomic(AtomicOp::op, imm, infix, mnemonic, Since::since);
#define JUMP(cond, code, infix, mnemonic, since) \
    b.jump(Cond::cond, code, infix, mnemonic, Since::since);
#define GOTO(width, opcode, infix, mnemonic, since) \
    b.jump_always(Width::width, opcode, infix, mnemonic, Since::since);
#define MAYGOTO(byte, name)        \
    b.add({.form = Form::MayGoto,  \
           .opcode = byte,         \
           .selector = Field::Src, \
           .src = Rule::Fixed,     \
           .off = Rule::Any,       \
           .base64 = false,        \
           .since = Since::V4,     \
           .mnemonic = name});
#define CALL(kind, src, mnemonic) b.call(CallKind::kind, src, mnemonic);
#define CALLREG(byte, name)         \
    b.add({.form = Form::CallReg,   \
           .opcode = byte,          \
           .dst = Rule::Read,       \
           .family = Family::CallX, \
           .base64 = false,         \
           .mnemonic = name});
#define EXIT(byte, name) \
    b.add({.form = Form::Exit, .opcode = byte, .base64 = false, .mnemonic = name});
#define WIDE(kind, src, high, mnemonic) b.wide(WideKind::kind, src, Rule::high, mnemonic);
#define LINUX_ONLY(byte, field, value, name) \
    b.add({.opcode = byte,                   \
           .selector = Field::field,         \
           .selector_value = value,          \
           .mnemonic = name,                 \
           .unsupported = name});
#include "isa/instructions.def"
    return b;
}

inline constexpr std::size_t kRowCount = build<256>().count;

// All encodings, those of one opcode byte beside each other.
consteval std::array<Encoding, kRowCount> by_opcode() {
    std::array<Encoding, kRowCount> sorted{};
    std::size_t n = 0;
    const auto built = build<kRowCount>();
    for (int opcode = 0; opcode < 256; ++opcode) {
        for (const Encoding& row : built.rows) {
            if (row.opcode == opcode) sorted[n++] = row;
        }
    }
    return sorted;
}

struct Range {
    u8 first = 0;
    u8 count = 0;
};

}  // namespace table

inline constexpr auto kEncodings = table::by_opcode();

// The candidates of each opcode byte.
inline constexpr auto kOpcodeIndex = [] {
    std::array<table::Range, 256> index{};
    for (std::size_t i = 0; i < kEncodings.size(); ++i) {
        table::Range& range = index[kEncodings[i].opcode];
        if (range.count++ == 0) range.first = static_cast<u8>(i);
    }
    return index;
}();

inline constexpr int kFormCount = static_cast<int>(Form::LegacyLoad) + 1;

// Positions in kEncodings by form, and where each form's begin: the way back from Insn.
struct FormIndex {
    std::array<u8, kEncodings.size()> position{};
    std::array<table::Range, kFormCount> range{};
};
inline constexpr FormIndex kFormIndex = [] {
    FormIndex index{};
    u8 n = 0;
    for (int form = 0; form < kFormCount; ++form) {
        index.range[form].first = n;
        for (std::size_t i = 0; i < kEncodings.size(); ++i) {
            const Encoding& e = kEncodings[i];
            if (e.unsupported == nullptr && static_cast<int>(e.form) == form) {
                index.position[n++] = static_cast<u8>(i);
            }
        }
        index.range[form].count = static_cast<u8>(n - index.range[form].first);
    }
    return index;
}();

constexpr std::span<const Encoding> candidates(u8 opcode) {
    return std::span(kEncodings).subspan(kOpcodeIndex[opcode].first, kOpcodeIndex[opcode].count);
}

// The row that `insn` is an instance of, or nullptr when there is none; its operands are not looked
// at.
constexpr const Encoding* find_encoding(const Insn& insn) {
    if (static_cast<int>(insn.form) >= kFormCount) return nullptr;
    const table::Range range = kFormIndex.range[static_cast<std::size_t>(insn.form)];
    for (int i = range.first; i < range.first + range.count; ++i) {
        const Encoding& e = kEncodings[kFormIndex.position[static_cast<std::size_t>(i)]];
        if (e.kind == insn.kind && e.width == insn.width && e.from_bits == insn.from_bits)
            return &e;
    }
    return nullptr;
}

// The conformance group of RFC 9669 section 2.4, e.g. "divmul32".
constexpr std::string_view group(const Encoding& e) {
    switch (e.family) {
        case Family::Base:
            return e.base64 ? "base64" : "base32";
        case Family::DivMul:
            return e.base64 ? "divmul64" : "divmul32";
        case Family::Atomic:
            return e.base64 ? "atomic64" : "atomic32";
        case Family::CallX:
            return "callx";
        case Family::Packet:
            return "packet";
    }
    return {};
}

// --- What must hold of the table, checked where it is made --------------------------------------

consteval bool no_two_rows_overlap() {
    for (const Encoding& a : kEncodings) {
        for (const Encoding& b : kEncodings) {
            if (&a == &b || a.opcode != b.opcode) continue;
            // Sharing an opcode byte needs one common selector field with different values.
            if (a.selector == Field::None || a.selector != b.selector) return false;
            if (a.selector_value == b.selector_value) return false;
        }
    }
    return true;
}
consteval std::size_t legal_count() {
    std::size_t n = 0;
    for (const Encoding& e : kEncodings) n += e.unsupported == nullptr ? 1 : 0;
    return n;
}
consteval bool every_row_found_again() {
    for (const Encoding& e : kEncodings) {
        if (e.unsupported != nullptr) continue;
        Insn insn;
        insn.form = e.form;
        insn.kind = e.kind;
        insn.width = e.width;
        insn.from_bits = e.from_bits;
        if (find_encoding(insn) != &e) return false;
    }
    return true;
}
static_assert(legal_count() == 171 + 1, "RFC 9669 has 171 legal encodings, Linux may_goto");
static_assert(no_two_rows_overlap());
static_assert(every_row_found_again());

}  // namespace ebpf::isa
