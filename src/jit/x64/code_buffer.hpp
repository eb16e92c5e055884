// SPDX-License-Identifier: MIT
//
// Bytes of x86-64 code with holes for jumps. Whether a jump takes two bytes or six depends on how
// far it goes, which is known only when everything behind it is there. So emission writes no jumps
// at all: it notes where they stand, and layout() then decides their sizes and copies the pieces
// together. A place in the code is therefore a pair: bytes written before it and jumps noted before
// it; its final offset is the bytes plus the sizes of those jumps.
//
// All jumps start out long and shrink while that lets others shrink, for a few rounds. Shrinking
// only brings things closer, so the result is right after any round, and the time is linear.
// Padding counts as much as it can be until the sizes of all jumps are known.
#pragma once

#include <vector>

#include "base/error.hpp"

namespace ebpf::jit::x64 {

// The condition nibble of Jcc and friends (Intel SDM volume 2, appendix B.1.4.7).
enum class Cc : u8 {
    O,
    NO,
    B,
    AE,
    E,
    NE,
    BE,
    A,
    S,
    NS,
    P,
    NP,
    L,
    GE,
    LE,
    G,
    Always,  // jmp
    Call,    // call: always long
    Pad,     // no jump: instructions that do nothing, before a loop
};

using Label = u32;

struct Place {
    u32 bytes = 0;
    u32 jumps = 0;
    bool operator==(const Place&) const = default;
};

class CodeBuffer {
  public:
    // Room for `label_count` labels, numbered from 0, and a first guess of the size in bytes.
    CodeBuffer(u32 label_count, u32 expected_bytes) : labels_(label_count) {
        bytes_.resize(expected_bytes + kMargin);
    }

    // Must be called before at most kMargin bytes are written without a check.
    void reserve() {
        if (bytes_.size() - size_ < kMargin) bytes_.resize(2 * bytes_.size());
    }
    static constexpr u32 kMargin = 512;

    void put8(u32 value) { bytes_[size_++] = static_cast<std::byte>(value); }
    void put32(u32 value) { put(value); }
    void put64(u64 value) { put(value); }

    Place here() const { return {size_, static_cast<u32>(jumps_.size())}; }
    Label new_label() {
        labels_.emplace_back();
        return static_cast<Label>(labels_.size() - 1);
    }
    void bind(Label label) { labels_[label] = here(); }
    void jump(Cc condition, Label target) { jumps_.push_back({size_, target, condition, kLong}); }
    // A loop starts here, which goes to `end`: it is moved to where it lies in as few of the pieces
    // that processors fetch as it can.
    void start_loop(Label end) { jumps_.push_back({size_, end, Cc::Pad, kLine - 1}); }

    // A jump of two bytes over code without jumps of the other kind, inside one lowering: returns
    // what land() needs to fill it in.
    u32 hop(Cc condition) {
        put8(condition == Cc::Always ? 0xEB : 0x70 | static_cast<u32>(condition));
        put8(0);
        return size_;
    }
    void land(u32 hop) { bytes_[hop - 1] = static_cast<std::byte>(size_ - hop); }
    // The same backwards, to a size() taken before.
    u32 size() const { return size_; }
    void hop_back(Cc condition, u32 to) {
        const u32 after = hop(condition);
        bytes_[after - 1] = static_cast<std::byte>(to - after);
    }

    // Decides the sizes of jumps and returns the finished bytes; afterwards offset() and
    // label_offset() say where things are.
    Result<std::vector<std::byte>> layout();
    u32 offset(Place place) const { return place.bytes + before_[place.jumps]; }
    u32 label_offset(Label label) const { return offset(labels_[label]); }

  private:
    enum : u8 { kShort = 0, kLong = 1 };
    static constexpr u32 kLine = 64;
    struct Jump {
        u32 at;  // bytes written before it
        Label target;
        Cc condition;
        u8 size;  // kShort or kLong; of padding, its bytes
    };

    template <typename T>
    void put(T value);
    static u32 size_of(const Jump& jump);
    void sum_sizes();
    bool shrink();
    u32 loop_bytes(std::size_t pad) const;
    void settle_padding();
    std::byte* write(const Jump& jump, u32 start, std::byte* to) const;

    std::vector<std::byte> bytes_;
    u32 size_ = 0;
    std::vector<Jump> jumps_;
    std::vector<Place> labels_;
    std::vector<u32> before_;  // bytes of the jumps before jump i
};

template <typename T>
void CodeBuffer::put(T value) {
    __builtin_memcpy(bytes_.data() + size_, &value, sizeof value);
    size_ += sizeof value;
}

}  // namespace ebpf::jit::x64
