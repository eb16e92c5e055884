// SPDX-License-Identifier: MIT
//
// The examples of FIPS 180-4 (NIST's "SHA256.pdf"), and lengths around a block's.
#include "base/sha256.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <string>
#include <string_view>

namespace ebpf {
namespace {

std::string hex(Sha256& hash) {
    std::string text;
    for (const u8 byte : hash.finish()) {
        char digits[3];
        std::snprintf(digits, sizeof digits, "%02x", byte);
        text += digits;
    }
    return text;
}

std::string hash_of(std::string_view text) {
    Sha256 hash;
    hash.add(std::as_bytes(std::span(text)));
    return hex(hash);
}

TEST(Sha256, ExamplesOfTheStandard) {
    EXPECT_EQ(hash_of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(hash_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(hash_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    EXPECT_EQ(hash_of(std::string(1'000'000, 'a')),
              "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, PiecesAreTheWhole) {
    for (std::size_t size = 50; size < 140; ++size) {
        const std::string text(size, 'x');
        for (const std::size_t at : {std::size_t{0}, size / 3, size}) {
            Sha256 hash;
            hash.add(std::as_bytes(std::span(text).first(at)));
            hash.add(std::as_bytes(std::span(text).subspan(at)));
            EXPECT_EQ(hex(hash), hash_of(text)) << size;
        }
    }
}

}  // namespace
}  // namespace ebpf
