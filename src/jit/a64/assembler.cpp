// SPDX-License-Identifier: MIT
#include "jit/a64/assembler.hpp"

#include <cstring>

namespace ebpf::jit::a64 {

namespace {
constexpr u32 kWord = 4;
constexpr u32 kChunk = 16;  // bits of a constant that one instruction sets

constexpr u32 field(i64 value, u32 bits, u32 at) {
    return (static_cast<u32>(value) & ((1u << bits) - 1)) << at;
}
constexpr bool fits(i64 value, u32 bits) {
    return value >= -(i64{1} << (bits - 1)) && value < i64{1} << (bits - 1);
}
}  // namespace

// movz or movn, whichever leaves fewer chunks to movk; or one orr with a bit mask.
void Assembler::mov_imm(Gpr d, u64 value) {
    u32 zeros = 0, ones = 0;
    for (u32 at = 0; at < 64; at += kChunk) {
        const u32 chunk = value >> at & 0xFFFF;
        zeros += chunk == 0;
        ones += chunk == 0xFFFF;
    }
    // What fits in the lower half is set there: the upper one is cleared.
    if (value >> 32 == 0 && (value >> 16) == 0xFFFF && (value & 0xFFFF) != 0xFFFF)
        return put(op::kMovn | (~static_cast<u32>(value) & 0xFFFF) << 5 | d);
    const bool invert = ones > zeros;
    const u32 missing = 4 - (invert ? ones : zeros);
    if (missing > 1) {
        if (const auto fields = bit_mask(value, Width::W64))
            return mask(op::kOrrImm, Width::W64, d, kZero, *fields);
        if (value >> 32 == 0) {
            if (const auto fields = bit_mask(value, Width::W32))
                return mask(op::kOrrImm, Width::W32, d, kZero, *fields);
        }
    }
    const u32 skipped = invert ? 0xFFFF : 0;
    bool first = true;
    for (u32 at = 0; at < 64; at += kChunk) {
        const u32 chunk = value >> at & 0xFFFF;
        if (chunk == skipped) continue;
        const u32 base = first ? (invert ? op::kMovn : op::kMovz) : op::kMovk;
        const u32 bits = first && invert ? ~chunk & 0xFFFF : chunk;
        put(base | sf(Width::W64) | at / kChunk << 21 | bits << 5 | d);
        first = false;
    }
    if (first) put((invert ? op::kMovn : op::kMovz) | sf(Width::W64) | d);
}

void Assembler::access(Access kind, Width w, Gpr t, Gpr base, i64 off, Gpr temp) {
    const u32 size = size_of(w);
    const u32 opc = u32{static_cast<u8>(kind)} << 22;
    const i64 scaled = off >> size;
    if (off >= 0 && scaled << size == off && scaled < 1 << 12)
        return put(size << 30 | 0x3900'0000 | opc | static_cast<u32>(scaled) << 10 |
                   u32{base} << 5 | t);
    if (fits(off, 9))
        return put(size << 30 | 0x3800'0000 | opc | field(off, 9, 12) | u32{base} << 5 | t);
    mov_imm(temp, static_cast<u64>(off));
    access_indexed(kind, w, t, base, {temp});
}

void Assembler::jump(Cc condition, Label target) {
    if (condition == Cc::Always) return fix_up(Fixup::Imm26, 0x1400'0000, target);
    const u32 code = static_cast<u32>(condition);
    if (!far_) return fix_up(Fixup::Imm19, 0x5400'0000 | code, target);
    put(0x5400'0000 | 2 << 5 | (code ^ 1));  // over the jump
    jump(Cc::Always, target);
}

void Assembler::jump_if_zero(Width w, bool zero, Gpr t, Label target) {
    const u32 base = sf(w) | t;
    if (!far_) return fix_up(Fixup::Imm19, base | (zero ? 0x3400'0000 : 0x3500'0000), target);
    put(base | 2 << 5 | (zero ? 0x3500'0000 : 0x3400'0000));
    jump(Cc::Always, target);
}

void Assembler::literal(Gpr t, const code::Relocation& r) {
    constexpr u32 kLoad = 0x5800'0000;
    const auto same = [&](const code::Relocation& other) {
        return other.kind == r.kind && other.index == r.index && other.addend == r.addend;
    };
    if (far_) {  // where it is needed, with a jump over it
        literals_.push_back(r);
        literals_.back().offset = here() + 2 * kWord;
        put(kLoad | 2 << 5 | t);
        put(0x1400'0000 | 3);
        put(0);
        return put(0);
    }
    // Near ones only, so that the whole stays linear.
    constexpr u32 kNear = 64;
    u32 index = literals_.size() > kNear ? static_cast<u32>(literals_.size()) - kNear : 0;
    while (index < literals_.size() && !same(literals_[index])) ++index;
    if (index == literals_.size()) literals_.push_back(r);
    loads_.push_back({here(), index});
    put(kLoad | t);
}

Result<std::vector<std::byte>> Assembler::layout(std::vector<code::Relocation>& relocations) {
    if (!far_ && !literals_.empty()) {
        if (words_.size() % 2 != 0) put(op::kBrk);
        for (code::Relocation& r : literals_) {
            r.offset = here();
            put(0);
            put(0);
        }
        for (const Literal& load : loads_) {
            const i64 distance = i64{literals_[load.index].offset} - load.at;
            words_[load.at / kWord] |= field(distance / kWord, 19, 5);
        }
    }
    if (words_.size() > (1u << 25)) return fail(Errc::TooLarge, {}, "machine code", words_.size());
    for (const Fixup& f : fixups_) {
        const i64 distance = (i64{labels_[f.target]} - f.at) / kWord;
        u32& word = words_[f.at / kWord];
        switch (f.kind) {
            case Fixup::Imm26:
                word |= field(distance, 26, 0);
                break;
            case Fixup::Imm19:
                if (!fits(distance, 19)) return fail(Errc::TooLarge, at_offset(f.at), "jump");
                word |= field(distance, 19, 5);
                break;
            case Fixup::Imm14:
                if (!fits(distance, 14)) return fail(Errc::TooLarge, at_offset(f.at), "jump");
                word |= field(distance, 14, 5);
                break;
            case Fixup::Adr:
                if (!fits(4 * distance, 21))
                    return fail(Errc::TooLarge, at_offset(f.at), "address");
                word |= field(distance, 19, 5);
                break;
        }
    }
    for (code::Relocation r : literals_) {
        if (r.kind == code::RelocKind::Function64) r.addend = labels_[r.addend];
        relocations.push_back(r);
    }
    std::vector<std::byte> text(words_.size() * kWord);
    std::memcpy(text.data(), words_.data(), text.size());
    return text;
}

}  // namespace ebpf::jit::a64
