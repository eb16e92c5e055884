// SPDX-License-Identifier: MIT
#include "jit/x64/code_buffer.hpp"

#include <cstring>

namespace ebpf::jit::x64 {

namespace {
// Displacements are 32 bits and offsets in relocations too; no real program comes near.
constexpr u64 kMaxText = 1u << 30;
constexpr int kShrinkRounds = 4;

// Instructions of `size` bytes that do nothing (Intel SDM volume 2, NOP: the recommended forms).
std::byte* write_nothing(std::byte* to, u32 size) {
    constexpr u32 kLongest = 9;
    constexpr u8 kForms[kLongest][kLongest] = {
        {0x90},
        {0x66, 0x90},
        {0x0F, 0x1F, 0x00},
        {0x0F, 0x1F, 0x40, 0x00},
        {0x0F, 0x1F, 0x44, 0x00, 0x00},
        {0x66, 0x0F, 0x1F, 0x44, 0x00, 0x00},
        {0x0F, 0x1F, 0x80, 0x00, 0x00, 0x00, 0x00},
        {0x0F, 0x1F, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
        {0x66, 0x0F, 0x1F, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
    };
    while (size > 0) {
        const u32 now = size < kLongest ? size : kLongest;
        std::memcpy(to, kForms[now - 1], now);
        to += now;
        size -= now;
    }
    return to;
}
}  // namespace

u32 CodeBuffer::size_of(const Jump& jump) {
    if (jump.condition == Cc::Pad) return jump.size;
    if (jump.size == kShort) return 2;
    return jump.condition < Cc::Always ? 6 : 5;
}

void CodeBuffer::sum_sizes() {
    before_.resize(jumps_.size() + 1);
    u32 sum = 0;
    for (std::size_t i = 0; i < jumps_.size(); ++i) {
        before_[i] = sum;
        sum += size_of(jumps_[i]);
    }
    before_[jumps_.size()] = sum;
}

// Of the loop behind padding, without padding in it.
u32 CodeBuffer::loop_bytes(std::size_t pad) const {
    const Place end = labels_[jumps_[pad].target];
    u32 bytes = end.bytes - jumps_[pad].at;
    for (std::size_t i = pad + 1; i < end.jumps; ++i) {
        if (jumps_[i].condition != Cc::Pad) bytes += size_of(jumps_[i]);
    }
    return bytes;
}

// Every jump has its size; what is before padding no longer moves.
void CodeBuffer::settle_padding() {
    u32 sum = 0;
    for (std::size_t i = 0; i < jumps_.size(); ++i) {
        before_[i] = sum;
        Jump& jump = jumps_[i];
        if (jump.condition == Cc::Pad) {
            const u32 bytes = loop_bytes(i), in_line = (jump.at + sum) % kLine;
            const u32 room = (bytes + kLine - 1) / kLine * kLine;
            jump.size = static_cast<u8>(in_line + bytes > room ? kLine - in_line : 0);
        }
        sum += size_of(jump);
    }
    before_[jumps_.size()] = sum;
}

bool CodeBuffer::shrink() {
    bool changed = false;
    for (std::size_t i = 0; i < jumps_.size(); ++i) {
        Jump& jump = jumps_[i];
        if (jump.size == kShort || jump.condition >= Cc::Call) continue;
        const i64 start = i64{jump.at} + before_[i];
        const i64 target = label_offset(jump.target);
        // A target behind the jump moves closer with it when it shrinks.
        const i64 distance = target > start ? target - start - size_of(jump) : target - start - 2;
        if (distance >= -128 && distance <= 127) {
            jump.size = kShort;
            changed = true;
        }
    }
    return changed;
}

std::byte* CodeBuffer::write(const Jump& jump, u32 start, std::byte* to) const {
    if (jump.condition == Cc::Pad) return write_nothing(to, jump.size);
    const u32 distance = label_offset(jump.target) - start - size_of(jump);
    const u32 nibble = static_cast<u32>(jump.condition);
    if (jump.size == kShort) {
        *to++ = static_cast<std::byte>(jump.condition == Cc::Always ? 0xEB : 0x70 | nibble);
        *to++ = static_cast<std::byte>(distance);
        return to;
    }
    if (jump.condition < Cc::Always) {
        *to++ = std::byte{0x0F};
        *to++ = static_cast<std::byte>(0x80 | nibble);
    } else {
        *to++ = jump.condition == Cc::Call ? std::byte{0xE8} : std::byte{0xE9};
    }
    std::memcpy(to, &distance, sizeof distance);
    return to + sizeof distance;
}

Result<std::vector<std::byte>> CodeBuffer::layout() {
    if (u64{size_} + kLine * u64{jumps_.size()} > kMaxText) {
        return fail(Errc::TooLarge, {}, "machine code, bytes", size_);
    }
    sum_sizes();
    for (int round = 0; round < kShrinkRounds && shrink(); ++round) sum_sizes();
    settle_padding();

    std::vector<std::byte> text(size_ + before_.back());
    std::byte* to = text.data();
    u32 from = 0;
    for (std::size_t i = 0; i < jumps_.size(); ++i) {
        const Jump& jump = jumps_[i];
        std::memcpy(to, bytes_.data() + from, jump.at - from);
        to += jump.at - from;
        from = jump.at;
        to = write(jump, from + before_[i], to);
    }
    std::memcpy(to, bytes_.data() + from, size_ - from);
    return text;
}

}  // namespace ebpf::jit::x64
