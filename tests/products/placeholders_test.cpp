// SPDX-License-Identifier: MIT
// Descriptors of the embedded shape: what close(2), dup(2) and reuse of a number do to the handles.
#include "products/libebpfapi/placeholders.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <utility>

namespace ebpf::products {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class PlaceholdersTest : public testing::Test {
  protected:
    static void close_handle(void* self, u32 handle) {
        static_cast<PlaceholdersTest*>(self)->closed_.push_back(handle);
    }
    std::vector<u32> closed_;
    Placeholders descriptors_{this, &close_handle};
};

TEST_F(PlaceholdersTest, HandleIsFoundAgain) {
    const auto one = descriptors_.publish(11), two = descriptors_.publish(22);
    ASSERT_TRUE(one && two);
    EXPECT_EQ(descriptors_.handle(*one), 11u);
    EXPECT_EQ(descriptors_.handle(*two), 22u);
    EXPECT_TRUE(fcntl(*one, F_GETFD) & FD_CLOEXEC);
    close(*one), close(*two);
}

TEST_F(PlaceholdersTest, DuplicatesShareTheObjectAndTheLastCloseEndsIt) {
    const int fd = *descriptors_.publish(7);
    const int copy = dup(fd);
    EXPECT_EQ(descriptors_.handle(copy), 7u);
    close(fd);
    descriptors_.sweep();
    EXPECT_THAT(closed_, IsEmpty());
    EXPECT_EQ(descriptors_.handle(copy), 7u);
    close(copy);
    descriptors_.sweep();
    EXPECT_THAT(closed_, ElementsAre(7u));
}

TEST_F(PlaceholdersTest, ClosedNumberIsRefusedAlsoWhenItIsInUseAgain) {
    const int fd = *descriptors_.publish(7);
    close(fd);
    EXPECT_EQ(descriptors_.handle(fd).error(), Errc::InvalidFd);
    int pipe_ends[2];
    ASSERT_EQ(pipe(pipe_ends), 0);
    ASSERT_EQ(pipe_ends[0], fd) << "the kernel gives the lowest free number";
    EXPECT_EQ(descriptors_.handle(fd).error(), Errc::InvalidArgument);
    // ... and by an object of ours: then it means that one.
    close(pipe_ends[0]);
    const int again = *descriptors_.publish(8);
    ASSERT_EQ(again, fd);
    EXPECT_EQ(descriptors_.handle(again), 8u);
    close(again), close(pipe_ends[1]);
}

TEST_F(PlaceholdersTest, OtherFilesAreNotOurs) {
    EXPECT_EQ(descriptors_.handle(-1).error(), Errc::InvalidFd);
    EXPECT_EQ(descriptors_.handle(1'000'000).error(), Errc::InvalidFd);
    const int file = open("/dev/null", O_RDONLY);
    EXPECT_EQ(descriptors_.handle(file).error(), Errc::InvalidArgument);
    close(file);
}

// A record that comes while a ring's descriptor is made: either asking sees it, or it is told.
TEST(RingPlaceholders, NothingIsMissedWhileADescriptorIsMade) {
    struct Ring {
        Placeholders* descriptors = nullptr;
        bool written = false;
    } ring;
    Placeholders descriptors(
        &ring, [](void*, u32) {}, [](void*, u32) { return Placeholders::Backing{.ring = 5}; },
        [](void* self, u32) {
            auto& it = *static_cast<Ring*>(self);
            const bool before = std::exchange(it.written, true);
            it.descriptors->rings().ready(5);
            return before;
        });
    ring.descriptors = &descriptors;
    const auto fd = descriptors.publish(1);
    ASSERT_TRUE(fd);
    pollfd asked{.fd = *fd, .events = POLLIN, .revents = 0};
    EXPECT_EQ(poll(&asked, 1, 0), 1);
    descriptors.settle(*fd);
    EXPECT_EQ(poll(&asked, 1, 0), 0);
    descriptors.announce(*fd);
    EXPECT_EQ(poll(&asked, 1, 0), 1);
    close(*fd);
}

TEST_F(PlaceholdersTest, CloseIsAtOnce) {
    const int fd = *descriptors_.publish(3);
    descriptors_.close(fd);
    EXPECT_THAT(closed_, ElementsAre(3u));
}

TEST_F(PlaceholdersTest, SweepFindsManyAtOnce) {
    std::vector<int> fds;
    for (u32 i = 0; i < 200; ++i) fds.push_back(*descriptors_.publish(i));
    for (int fd : fds) close(fd);
    descriptors_.sweep();
    EXPECT_EQ(closed_.size(), 200u);
}

TEST_F(PlaceholdersTest, RunningOutOfDescriptorsIsAnError) {
    rlimit old{};
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
    rlimit low = old;
    low.rlim_cur = 64;
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
    std::vector<int> fds;
    Result<int> last = 0;
    for (u32 i = 0; i < 64 && last; ++i) {
        last = descriptors_.publish(i);
        if (last) fds.push_back(*last);
    }
    setrlimit(RLIMIT_NOFILE, &old);
    EXPECT_FALSE(last.has_value());
    EXPECT_EQ(last.error(), Errc::OutOfSpace);
    for (int fd : fds) close(fd);
    descriptors_.sweep();
    EXPECT_EQ(closed_.size(), fds.size());
}

}  // namespace
}  // namespace ebpf::products
