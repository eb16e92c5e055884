// SPDX-License-Identifier: MIT
#include "isa/text/pattern.hpp"

namespace ebpf::isa::text {
namespace {

std::string number(int n) {
    return std::to_string(n);
}

// "u32", "s8": the type of a memory cell in LLVM's dialect.
std::string cell(char sign, Width width) {
    return sign + number(bits(width));
}

std::string llvm_atomic(const Encoding& e, const std::string& infix) {
    const std::string at = "({D}{o})";
    const bool is64 = e.width == Width::W64;
    switch (static_cast<AtomicOp>(e.kind)) {
        case AtomicOp::Add:
        case AtomicOp::Or:
        case AtomicOp::And:
        case AtomicOp::Xor:
            return "lock *(" + cell('u', e.width) + " *)" + at + " " + infix + " {E}";
        case AtomicOp::FetchAdd:
        case AtomicOp::FetchOr:
        case AtomicOp::FetchAnd:
        case AtomicOp::FetchXor:
            return "{E} = atomic_fetch_" + infix + "((" + cell('u', e.width) + " *)" + at +
                   ", {E})";
        case AtomicOp::Xchg:
            return std::string("{E} = ") + (is64 ? "xchg_64" : "xchg32_32") + "({D}{o}, {E})";
        case AtomicOp::CmpXchg:
            return is64 ? "r0 = cmpxchg_64({D}{o}, r0, {E})" : "w0 = cmpxchg32_32({D}{o}, w0, {E})";
    }
    return {};
}

std::string llvm_call(CallKind kind) {
    switch (kind) {
        case CallKind::Helper:
            return "call {n}";
        case CallKind::Local:
            return "call {j}";
        case CallKind::Kfunc:
            return "call kfunc {n}{f}";
    }
    return {};
}

std::string llvm_wide(WideKind kind) {
    if (kind == WideKind::Imm64) return "{D} = {l} ll";
    return std::string("ld_pseudo {D}, {k}") + (kind == WideKind::Function ? ", {g}" : ", {l}");
}

std::string llvm(const Encoding& e) {
    const std::string infix(e.infix);
    switch (e.form) {
        case Form::AluReg:
            return "{d} " + infix + " {s}";
        case Form::AluImm:
            return "{d} " + infix + " {i}";
        case Form::Neg:
            return "{d} = -{d}";
        case Form::MovSx:
            return "{d} = (s" + number(e.from_bits) + "){s}";
        case Form::Endian:
            return "{D} = " + infix + number(bits(e.width)) + " {D}";
        case Form::Load:
            return "{e} = *(" + cell('u', e.width) + " *)({S}{o})";
        case Form::LoadSx:
            return "{D} = *(" + cell('s', e.width) + " *)({S}{o})";
        case Form::StoreReg:
            return "*(" + cell('u', e.width) + " *)({D}{o}) = {E}";
        case Form::StoreImm:
            return "*(" + cell('u', e.width) + " *)({D}{o}) = {i}";
        case Form::Atomic:
            return llvm_atomic(e, infix);
        case Form::JmpReg:
            return "if {d} " + infix + " {s} goto {j}";
        case Form::JmpImm:
            return "if {d} " + infix + " {i} goto {j}";
        case Form::MayGoto:
            return "may_goto {j}";
        case Form::Ja:
            return infix + " {j}";
        case Form::Call:
            return llvm_call(static_cast<CallKind>(e.kind));
        case Form::CallReg:
            return "callx {D}";
        case Form::Exit:
            return "exit";
        case Form::Wide:
            return llvm_wide(static_cast<WideKind>(e.kind));
        case Form::LegacyLoad:
            return "r0 = *(" + cell('u', e.width) + " *)skb" +
                   (e.src == Rule::Read ? "[{S}{p}]" : "[{i}]");
    }
    return {};
}

std::string linux_atomic(const Encoding& e, const std::string& infix) {
    const std::string cell_there = "(" + cell('u', e.width) + " *)({D}{o})";
    const std::string name = e.width == Width::W64 ? "atomic64_" : "atomic_";
    switch (static_cast<AtomicOp>(e.kind)) {
        case AtomicOp::Add:
        case AtomicOp::Or:
        case AtomicOp::And:
        case AtomicOp::Xor:
            return "lock *" + cell_there + " " + infix + " {S}";
        case AtomicOp::FetchAdd:
        case AtomicOp::FetchOr:
        case AtomicOp::FetchAnd:
        case AtomicOp::FetchXor:
            return "{S} = " + name + "fetch_" + infix + "(" + cell_there + ", {S})";
        case AtomicOp::Xchg:
            return "{S} = " + name + "xchg(" + cell_there + ", {S})";
        case AtomicOp::CmpXchg:
            return "r0 = " + name + "cmpxchg(" + cell_there + ", r0, {S})";
    }
    return {};
}

std::string linux_wide(WideKind kind) {
    switch (kind) {
        case WideKind::Imm64:
        case WideKind::BtfId:
            return "{D} = {l}";
        case WideKind::MapFd:
            return "{D} = map[id:{m}]";
        case WideKind::MapFdValue:
            return "{D} = map[id:{m}][0]+{h}";
        case WideKind::MapIndex:
            return "{D} = map[idx:{m}]";
        case WideKind::MapIndexValue:
            return "{D} = map[idx:{m}]+{h}";
        case WideKind::Function:
            return "{D} = subprog[{g}]";
    }
    return {};
}

// Where it differs from LLVM's.
std::string linux_text(const Encoding& e) {
    const std::string infix(e.infix);
    switch (e.form) {
        case Form::Load:
        case Form::LoadSx:
            return "{D} = *(" + cell(e.form == Form::Load ? 'u' : 's', e.width) + " *)({S}{o})";
        case Form::StoreReg:
            return "*(" + cell('u', e.width) + " *)({D}{o}) = {S}";
        case Form::Atomic:
            return linux_atomic(e, infix);
        case Form::JmpImm:
            return "if {d} " + infix + " {x} goto {j}";
        case Form::Call:
            return static_cast<CallKind>(e.kind) == CallKind::Kfunc ? "call kernel-function#{n}"
                                                                    : llvm(e);
        case Form::Wide:
            return linux_wide(static_cast<WideKind>(e.kind));
        case Form::AluReg:
        case Form::AluImm:
        case Form::Neg:
        case Form::MovSx:
        case Form::Endian:
        case Form::StoreImm:
        case Form::JmpReg:
        case Form::MayGoto:
        case Form::Ja:
        case Form::CallReg:
        case Form::Exit:
        case Form::LegacyLoad:
            break;
    }
    return llvm(e);
}

std::string size_suffix(Width width) {
    switch (width) {
        case Width::W8:
            return "b";
        case Width::W16:
            return "h";
        case Width::W32:
            return "w";
        case Width::W64:
            return "dw";
    }
    return {};
}

std::string conformance_call(CallKind kind, const std::string& name) {
    switch (kind) {
        case CallKind::Helper:
            return name + " {n}";
        case CallKind::Local:
            return name + " {j}";
        case CallKind::Kfunc:
            return name + " {n}{f}";
    }
    return {};
}

std::string conformance(const Encoding& e) {
    std::string name(e.mnemonic);
    const std::string half = e.width == Width::W32 ? "32" : "";
    const std::string sized = name + size_suffix(e.width);
    switch (e.form) {
        case Form::AluReg:
            return name + half + " {D}, {S}";
        case Form::AluImm:
            return name + half + " {D}, {i}";
        case Form::Neg:
            return name + half + " {D}";
        case Form::MovSx:
            return name + number(e.from_bits) + number(bits(e.width)) + " {D}, {S}";
        case Form::Endian:
            return name + number(bits(e.width)) + " {D}";
        case Form::Load:
        case Form::LoadSx:
            return sized + " {D}, [{S}{o}]";
        case Form::StoreReg:
            return sized + " [{D}{o}], {S}";
        case Form::StoreImm:
            return sized + " [{D}{o}], {i}";
        case Form::Atomic:
            return "lock " + name + half + " [{D}{o}], {S}";
        case Form::JmpReg:
            return name + half + " {D}, {S}, {j}";
        case Form::JmpImm:
            return name + half + " {D}, {i}, {j}";
        case Form::MayGoto:
        case Form::Ja:
            return name + " {j}";
        case Form::Call:
            return conformance_call(static_cast<CallKind>(e.kind), name);
        case Form::CallReg:
            return name + " {D}";
        case Form::Exit:
            return name;
        case Form::Wide:
            return name + (static_cast<WideKind>(e.kind) == WideKind::Function ? " {D}, {g}"
                                                                               : " {D}, {l}");
        case Form::LegacyLoad:
            return sized + (e.src == Rule::Read ? " {S}{p}" : " {i}");
    }
    return {};
}

// Second names that bpf_conformance's tests use.
void add_aliases(const Encoding& e, std::vector<Pattern>& all) {
    if (e.form == Form::Endian && static_cast<EndianOp>(e.kind) == EndianOp::Swap) {
        all.push_back({&e, "bswap" + number(bits(e.width)) + " {D}"});
    }
    if (e.form == Form::Call && static_cast<CallKind>(e.kind) == CallKind::Helper) {
        all.push_back({&e, "call helper {n}"});
    }
}

std::vector<Pattern> make_patterns(Dialect dialect) {
    std::vector<Pattern> all;
    for (const Encoding& e : kEncodings) {
        if (e.unsupported != nullptr) continue;
        all.push_back({&e, pattern_of(e, dialect)});
        if (dialect == Dialect::Conformance) add_aliases(e, all);
    }
    return all;
}

}  // namespace

std::string pattern_of(const Encoding& encoding, Dialect dialect) {
    switch (dialect) {
        case Dialect::Llvm:
            return llvm(encoding);
        case Dialect::Conformance:
            return conformance(encoding);
        case Dialect::Linux:
            return linux_text(encoding);
    }
    return {};
}

const std::vector<Pattern>& patterns(Dialect dialect) {
    static const std::vector<Pattern> kAll[] = {
        make_patterns(Dialect::Llvm), make_patterns(Dialect::Conformance), {}};
    return kAll[static_cast<std::size_t>(dialect)];
}

}  // namespace ebpf::isa::text
