// SPDX-License-Identifier: MIT
// What a peer of service::Channel may send, and what is refused before it costs anything.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "products/service/channel.hpp"

namespace ebpf::service {
namespace {

class ChannelTest : public testing::Test {
  protected:
    void SetUp() override {
        int ends[2];
        ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
        here_.emplace(products::Fd(ends[0]));
        there_.emplace(products::Fd(ends[1]));
    }
    // The connection goes on after what was refused.
    void expect_alive() {
        Packet packet;
        ASSERT_TRUE(here_->send({.type = FrameType::Status}));
        ASSERT_TRUE(there_->receive(packet));
        EXPECT_EQ(packet.frame.type, FrameType::Status);
    }

    std::optional<Channel> here_, there_;
};

TEST_F(ChannelTest, ALargePayloadIsAskedForBeforeItIsRead) {
    const std::vector<std::byte> large(kMaxInline + 5, std::byte{7});
    u64 asked = 0;
    const Admit none{&asked, [](void* self, u64 bytes) -> Status {
                         *static_cast<u64*>(self) = bytes;
                         return fail(Errc::NoMemory, {}, "room");
                     }};
    Packet packet;
    ASSERT_TRUE(here_->send({.type = FrameType::Call}, large));
    const Status refused = there_->receive(packet, none);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error(), Errc::NoMemory);
    EXPECT_EQ(asked, large.size());
    EXPECT_TRUE(packet.payload.empty());
    expect_alive();

    ASSERT_TRUE(here_->send({.type = FrameType::Call}, large));
    ASSERT_TRUE(there_->receive(packet));
    EXPECT_TRUE(std::ranges::equal(packet.payload, large));
}

TEST_F(ChannelTest, AFileThatCanStillChangeIsRefused) {
    const products::Fd file(memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    ASSERT_EQ(ftruncate(file.get(), 100), 0);
    const int fd = file.get();
    Packet packet;
    ASSERT_TRUE(here_->send({.type = FrameType::Call, .in_file = 1}, {}, {&fd, 1}));
    const Status refused = there_->receive(packet);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error(), Errc::BadFormat);
    expect_alive();
}

TEST_F(ChannelTest, ASizeThatIsNotThePacketsIsRefused) {
    const Frame frame{.type = FrameType::Call, .size = 9};
    ASSERT_EQ(send(here_->descriptor(), &frame, sizeof frame, 0), ssize_t{sizeof frame});
    Packet packet;
    const Status refused = there_->receive(packet);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error(), Errc::BadFormat);
    expect_alive();
}

}  // namespace
}  // namespace ebpf::service
