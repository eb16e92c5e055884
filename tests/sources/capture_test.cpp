// SPDX-License-Identifier: MIT
// Captures that are read, and captures that must be refused with the right reason.
#include "sources/capture.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <string>

namespace ebpf::sources {
namespace {

std::string le32(u32 value) {
    std::string out;
    for (int i = 0; i < 4; ++i) out += static_cast<char>(value >> (8 * i));
    return out;
}
std::string le16(u32 value) {
    return le32(value).substr(0, 2);
}

// Classic pcap, microseconds.
std::string header(u32 link_type = 1, u32 snap = 65535) {
    return le32(0xa1b2c3d4) + le16(2) + le16(4) + le32(0) + le32(0) + le32(snap) + le32(link_type);
}
std::string packet(u32 seconds, u32 micros, const std::string& bytes, u32 wire_size) {
    return le32(seconds) + le32(micros) + le32(static_cast<u32>(bytes.size())) + le32(wire_size) +
           bytes;
}

class CaptureTest : public testing::Test {
  protected:
    Result<Capture> read(const std::string& content, const CaptureLimits& limits = {}) {
        std::FILE* file = std::fopen(path_.c_str(), "wb");
        EXPECT_TRUE(file);
        EXPECT_EQ(std::fwrite(content.data(), 1, content.size(), file), content.size());
        std::fclose(file);
        return Capture::read(path_.c_str(), limits);
    }
    void TearDown() override { std::remove(path_.c_str()); }

    std::string path_ = testing::TempDir() + "casement_capture_" + std::to_string(getpid());
};

TEST_F(CaptureTest, ReadsFramesInOrder) {
    const auto capture = read(header() + packet(7, 5, "abc", 3) + packet(8, 0, "", 60));
    ASSERT_TRUE(capture.has_value());
    ASSERT_EQ(capture->size(), 2u);
    EXPECT_EQ(capture->total_bytes(), 3u);
    EXPECT_EQ((*capture)[0].bytes.size(), 3u);
    EXPECT_EQ((*capture)[0].bytes[2], std::byte{'c'});
    EXPECT_EQ((*capture)[0].timestamp_ns, 7'000'005'000u);
    EXPECT_EQ((*capture)[1].bytes.size(), 0u);
    EXPECT_EQ((*capture)[1].wire_size, 60u);
}

TEST_F(CaptureTest, ReadsPcapng) {
    const std::string section = le32(0x0a0d0d0a) + le32(28) + le32(0x1a2b3c4d) + le16(1) + le16(0) +
                                le32(~0u) + le32(~0u) + le32(28);
    const std::string interface = le32(1) + le32(20) + le16(1) + le16(0) + le32(0) + le32(20);
    const std::string enhanced =
        le32(6) + le32(36) + le32(0) + le32(0) + le32(9) + le32(4) + le32(4) + "wxyz" + le32(36);
    const auto capture = read(section + interface + enhanced);
    ASSERT_TRUE(capture.has_value());
    ASSERT_EQ(capture->size(), 1u);
    EXPECT_EQ((*capture)[0].bytes[3], std::byte{'z'});
}

TEST_F(CaptureTest, EmptyCaptureHasNoFrames) {
    const auto capture = read(header());
    ASSERT_TRUE(capture.has_value());
    EXPECT_EQ(capture->size(), 0u);
}

TEST_F(CaptureTest, MissingFile) {
    EXPECT_EQ(Capture::read("/nonexistent/capture.pcap").error(), Errc::FileNotFound);
}

TEST_F(CaptureTest, NotACapture) {
    EXPECT_EQ(read("this is text, not packets, and long enough").error(), Errc::BadFormat);
    EXPECT_EQ(read("").error(), Errc::BadFormat);
}

TEST_F(CaptureTest, OtherLinkTypesAreUnsupported) {
    const Error error = read(header(101)).error();
    EXPECT_EQ(error, Errc::Unsupported);
    EXPECT_NE(error.arg, 1u);
}

TEST_F(CaptureTest, EveryTruncationIsRefusedOrEndsBetweenPackets) {
    const std::string whole = header() + packet(1, 1, "0123456789", 10) + packet(2, 2, "abcde", 5);
    const size_t first = header().size(), second = first + 16 + 10;
    for (size_t size = 0; size < whole.size(); ++size) {
        const auto capture = read(whole.substr(0, size));
        const bool between = size == first || size == second;
        EXPECT_EQ(capture.has_value(), between) << size;
        if (!capture) {
            EXPECT_EQ(capture.error(), Errc::BadFormat) << size;
        }
    }
}

TEST_F(CaptureTest, PacketBeyondAnyLengthIsRefused) {
    const std::string huge =
        header() + le32(1) + le32(1) + le32(0x7fffffff) + le32(0x7fffffff) + "x";
    EXPECT_EQ(read(huge).error(), Errc::BadFormat);
}

TEST_F(CaptureTest, LimitsAreKept) {
    const std::string whole = header() + packet(1, 1, "0123456789", 10) + packet(2, 2, "abcde", 5);
    EXPECT_EQ(read(whole, {.max_packets = 1}).error(), Errc::TooLarge);
    EXPECT_EQ(read(whole, {.max_bytes = 14}).error(), Errc::TooLarge);
    EXPECT_EQ(read(whole, {.max_packet = 9}).error(), Errc::TooLarge);
    EXPECT_TRUE(read(whole, {.max_bytes = 15, .max_packets = 2, .max_packet = 10}).has_value());
}

}  // namespace
}  // namespace ebpf::sources
