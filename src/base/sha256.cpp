// SPDX-License-Identifier: MIT
#include "base/sha256.hpp"

#include <bit>

namespace ebpf {
namespace {

constexpr std::size_t kRounds = 64;
__extension__ using Wide = unsigned __int128;

// The first 32 bits behind the point of the cube roots of the first 64 primes.
consteval std::array<u32, kRounds> round_constants() {
    std::array<u32, kRounds> constants{};
    std::size_t count = 0;
    for (u32 prime = 2; count < kRounds; ++prime) {
        bool composite = false;
        for (u32 d = 2; d * d <= prime; ++d) composite |= prime % d == 0;
        if (composite) continue;
        u64 root = 0;  // with 32 bits behind the point: root^3 < prime << 96
        for (int bit = 34; bit >= 0; --bit) {
            const u64 tried = root | u64{1} << bit;
            const Wide square = Wide{tried} * tried;
            const Wide low = Wide{static_cast<u64>(square)} * tried;
            const Wide high = (square >> 64) * tried + (low >> 64);  // of the cube, without 64 bits
            if (high < Wide{prime} << 32) root = tried;
        }
        constants[count++] = static_cast<u32>(root);
    }
    return constants;
}

constexpr std::array<u32, kRounds> kConstants = round_constants();
static_assert(kConstants[0] == 0x428a2f98 && kConstants[63] == 0xc67178f2);

}  // namespace

void Sha256::compress() {
    std::array<u32, kRounds> w{};
    for (std::size_t i = 0; i < 16; ++i) {
        for (std::size_t k = 0; k < 4; ++k) w[i] = w[i] << 8 | block_[4 * i + k];
    }
    for (std::size_t i = 16; i < kRounds; ++i) {
        const u32 a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + (std::rotr(a, 7) ^ std::rotr(a, 18) ^ a >> 3) + w[i - 7] +
               (std::rotr(b, 17) ^ std::rotr(b, 19) ^ b >> 10);
    }
    auto [a, b, c, d, e, f, g, h] = state_;
    for (std::size_t i = 0; i < kRounds; ++i) {
        const u32 first = h + (std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25)) +
                          ((e & f) ^ (~e & g)) + kConstants[i] + w[i];
        const u32 second =
            (std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        h = g, g = f, f = e, e = d + first;
        d = c, c = b, b = a, a = first + second;
    }
    const std::array<u32, 8> add = {a, b, c, d, e, f, g, h};
    for (std::size_t i = 0; i < add.size(); ++i) state_[i] += add[i];
}

void Sha256::add(Bytes bytes) {
    for (const std::byte byte : bytes) {
        block_[size_++ % kBlock] = static_cast<u8>(byte);
        if (size_ % kBlock == 0) compress();
    }
}

Sha256::Digest Sha256::finish() {
    const u64 bits = size_ * 8;
    constexpr std::byte kEnd{0x80}, kNothing{0};
    add({&kEnd, 1});
    while (size_ % kBlock != kBlock - sizeof bits) add({&kNothing, 1});
    for (int shift = 56; shift >= 0; shift -= 8) {
        const std::byte byte{static_cast<u8>(bits >> shift)};
        add({&byte, 1});
    }
    Digest digest{};
    for (std::size_t i = 0; i < digest.size(); ++i)
        digest[i] = static_cast<u8>(state_[i / 4] >> (24 - 8 * (i % 4)));
    return digest;
}

}  // namespace ebpf
