// SPDX-License-Identifier: MIT
//
// The helpers of the XDP hook, called as a program calls them: bounds on either side, the errors of
// both dialects, and that a refused call changes nothing.
#include "hooks/xdp_helpers.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "hooks/xdp.hpp"
#include "spec/errors.hpp"
#include "spec/ids.hpp"

using namespace ebpf;
using hooks::XdpFrame;
using spec::Helper;

namespace {

constexpr u32 kSize = 60;

class XdpHelpersTest : public testing::TestWithParam<spec::Dialect> {
  protected:
    void SetUp() override {
        for (size_t i = 0; i < memory_.size(); ++i) memory_[i] = static_cast<u8>(i * 7 + 1);
        frame_.reset(memory_.data(), memory_.size(), kSize, 1);
        frame_.dialect = GetParam();
        before_ = memory_;
    }

    // r0 of `helper`(context, r2, r3, r4), the upper halves of numbers as given.
    i64 call(Helper helper, u64 r2 = 0, u64 r3 = 0, u64 r4 = 0) {
        for (const auto& row : hooks::xdp_helpers()) {
            if (row.id == static_cast<u32>(helper)) {
                const u64 context = reinterpret_cast<u64>(&frame_.context);
                return static_cast<i64>(row.function(context, r2, r3, r4, 0, nullptr));
            }
        }
        ADD_FAILURE() << "no such helper";
        return 0;
    }
    i64 by(Helper helper, i64 delta) { return call(helper, static_cast<u64>(delta)); }
    i64 error(Errc code) const { return spec::helper_return(GetParam(), code); }

    i64 head() const { return frame_.context.data - memory_.data(); }
    i64 tail() const { return frame_.context.data_end - memory_.data(); }
    i64 meta() const {
        return static_cast<i64>(reinterpret_cast<u64>(frame_.context.data) -
                                frame_.context.data_meta);
    }

    std::vector<u8> memory_ =
        std::vector<u8>(hooks::kXdpHeadroom + kSize + hooks::kXdpTailroom + 100);
    std::vector<u8> before_;
    XdpFrame frame_;
};

TEST_P(XdpHelpersTest, ErrorsAreTheDialects) {
    if (GetParam() == spec::Dialect::Linux) {
        EXPECT_EQ(by(Helper::xdp_adjust_head, 1000), -EINVAL);
        EXPECT_EQ(by(Helper::xdp_adjust_meta, -3), -EACCES);
        EXPECT_EQ(call(Helper::xdp_load_bytes, 65536, 0, 1), -EFAULT);
    } else {
        // EBPF_INVALID_ARGUMENT, EBPF_VERIFICATION_FAILED
        EXPECT_EQ(by(Helper::xdp_adjust_head, 1000), -6);
        EXPECT_EQ(by(Helper::xdp_adjust_meta, -3), -1);
    }
}

TEST_P(XdpHelpersTest, AdjustHeadToItsBounds) {
    EXPECT_EQ(by(Helper::xdp_adjust_head, kSize - 13), error(Errc::InvalidArgument));
    EXPECT_EQ(by(Helper::xdp_adjust_head, -257), error(Errc::InvalidArgument));
    EXPECT_EQ(by(Helper::xdp_adjust_head, INT32_MAX), error(Errc::InvalidArgument));
    EXPECT_EQ(by(Helper::xdp_adjust_head, INT32_MIN), error(Errc::InvalidArgument));
    EXPECT_EQ(head(), hooks::kXdpHeadroom);
    EXPECT_EQ(by(Helper::xdp_adjust_head, kSize - 14), 0) << "an Ethernet header stays";
    EXPECT_EQ(frame_.size(), 14u);
    EXPECT_EQ(by(Helper::xdp_adjust_head, -(i64{kSize} - 14) - 256), 0) << "all the headroom";
    EXPECT_EQ(head(), 0);
    EXPECT_EQ(frame_.size(), kSize + 256u);
    EXPECT_EQ(meta(), 0);
    EXPECT_EQ(by(Helper::xdp_adjust_head, -1), error(Errc::InvalidArgument));
    EXPECT_EQ(memory_, before_) << "no byte was written";
}

TEST_P(XdpHelpersTest, OnlyTheLow32BitsOfADeltaCount) {
    EXPECT_EQ(call(Helper::xdp_adjust_head, u64{0xffff'0000'0000'0004}), 0);
    EXPECT_EQ(head(), hooks::kXdpHeadroom + 4);
    EXPECT_EQ(call(Helper::xdp_adjust_head, u64{0x0000'0000'ffff'fffc}), 0);
    EXPECT_EQ(head(), hooks::kXdpHeadroom);
}

TEST_P(XdpHelpersTest, AdjustMeta) {
    EXPECT_EQ(by(Helper::xdp_adjust_meta, 4), error(Errc::InvalidArgument)) << "behind the data";
    EXPECT_EQ(by(Helper::xdp_adjust_meta, -260), error(Errc::InvalidArgument)) << "no room";
    EXPECT_EQ(by(Helper::xdp_adjust_meta, -2), error(Errc::VerificationFailed));
    EXPECT_EQ(by(Helper::xdp_adjust_meta, -36), error(Errc::VerificationFailed));
    EXPECT_EQ(meta(), 0);
    EXPECT_EQ(by(Helper::xdp_adjust_meta, -32), 0);
    EXPECT_EQ(meta(), 32);
    EXPECT_EQ(by(Helper::xdp_adjust_meta, -4), error(Errc::VerificationFailed));
    EXPECT_EQ(by(Helper::xdp_adjust_meta, 24), 0);
    EXPECT_EQ(meta(), 8);
    EXPECT_EQ(by(Helper::xdp_adjust_meta, 8), 0);
    EXPECT_EQ(meta(), 0);
}

TEST_P(XdpHelpersTest, MetadataMovesWithTheHead) {
    ASSERT_EQ(by(Helper::xdp_adjust_meta, -8), 0);
    std::memcpy(reinterpret_cast<void*>(frame_.context.data_meta), "metadata", 8);
    EXPECT_EQ(by(Helper::xdp_adjust_head, -249), error(Errc::InvalidArgument)) << "8 are taken";
    for (const i64 delta : {-248, 248 + 46, -3}) {
        ASSERT_EQ(by(Helper::xdp_adjust_head, delta), 0);
        ASSERT_EQ(meta(), 8);
        EXPECT_EQ(std::memcmp(frame_.context.data - 8, "metadata", 8), 0) << delta;
    }
}

TEST_P(XdpHelpersTest, AdjustTailToItsBounds) {
    EXPECT_EQ(by(Helper::xdp_adjust_tail, -(i64{kSize} - 13)), error(Errc::InvalidArgument));
    EXPECT_EQ(by(Helper::xdp_adjust_tail, 101), error(Errc::InvalidArgument));
    EXPECT_EQ(by(Helper::xdp_adjust_tail, INT32_MAX), error(Errc::InvalidArgument));
    EXPECT_EQ(by(Helper::xdp_adjust_tail, INT32_MIN), error(Errc::InvalidArgument));
    EXPECT_EQ(memory_, before_);
    EXPECT_EQ(frame_.size(), kSize);
    EXPECT_EQ(by(Helper::xdp_adjust_tail, -(i64{kSize} - 14)), 0);
    EXPECT_EQ(frame_.size(), 14u);
    EXPECT_EQ(memory_, before_) << "cutting writes nothing";
    const i64 grown = i64{kSize} - 14 + 100;
    EXPECT_EQ(by(Helper::xdp_adjust_tail, grown), 0) << "all but the tailroom";
    EXPECT_EQ(frame_.size(), kSize + 100u);
    for (i64 i = tail() - grown; i < tail(); ++i) ASSERT_EQ(memory_[static_cast<size_t>(i)], 0);
    EXPECT_EQ(memory_[static_cast<size_t>(tail())], before_[static_cast<size_t>(tail())]);
    EXPECT_EQ(by(Helper::xdp_adjust_tail, 1), error(Errc::InvalidArgument));
}

TEST_P(XdpHelpersTest, BuffLen) {
    EXPECT_EQ(call(Helper::xdp_get_buff_len), kSize);
    ASSERT_EQ(by(Helper::xdp_adjust_tail, -10), 0);
    EXPECT_EQ(call(Helper::xdp_get_buff_len), kSize - 10);
}

TEST_P(XdpHelpersTest, LoadBytes) {
    u8 to[kSize + 1];
    const auto load = [&](u64 offset, u64 size) {
        std::memset(to, 0xee, sizeof to);
        return call(Helper::xdp_load_bytes, offset, reinterpret_cast<u64>(to), size);
    };
    EXPECT_EQ(load(0, kSize), 0);
    EXPECT_EQ(std::memcmp(to, frame_.context.data, kSize), 0);
    EXPECT_EQ(to[kSize], 0xee);
    EXPECT_EQ(load(kSize - 1, 1), 0);
    EXPECT_EQ(to[0], frame_.context.data[kSize - 1]);
    EXPECT_EQ(to[1], 0xee);
    for (const auto& [offset, size, errc] :
         std::vector<std::tuple<u64, u64, Errc>>{{0, kSize + 1, Errc::InvalidArgument},
                                                 {kSize, 1, Errc::InvalidArgument},
                                                 {65535, 65535, Errc::InvalidArgument},
                                                 {65536, 1, Errc::InvalidPointer},
                                                 {0xffff'ffff, 2, Errc::InvalidPointer},
                                                 {0, 0xffff'ffff, Errc::InvalidPointer}}) {
        EXPECT_EQ(load(offset, size), error(errc)) << offset << "+" << size;
        EXPECT_EQ(to[0], 0xee);
    }
}

TEST_P(XdpHelpersTest, StoreBytes) {
    const u8 from[] = {1, 2, 3, 4};
    const auto store = [&](u64 offset, u64 size) {
        return call(Helper::xdp_store_bytes, offset, reinterpret_cast<u64>(from), size);
    };
    EXPECT_EQ(store(kSize - 3, 4), error(Errc::InvalidArgument));
    EXPECT_EQ(store(65536, 4), error(Errc::InvalidPointer));
    EXPECT_EQ(memory_, before_);
    EXPECT_EQ(store(kSize - 4, 4), 0);
    EXPECT_EQ(std::memcmp(frame_.context.data_end - 4, from, 4), 0);
    std::memcpy(before_.data() + tail() - 4, from, 4);
    EXPECT_EQ(memory_, before_) << "these bytes and no others";
}

INSTANTIATE_TEST_SUITE_P(Dialects, XdpHelpersTest,
                         testing::Values(spec::Dialect::Linux, spec::Dialect::Windows),
                         [](const auto& dialect) {
                             return dialect.param == spec::Dialect::Linux ? "Linux" : "Windows";
                         });

// --- Test runs -----------------------------------------------------------------------------------

constexpr u32 kOk = static_cast<u32>(Errc::Ok);

ebpf_test_run_t run_of(const std::vector<u8>& data) {
    ebpf_test_run_t run{};
    run.data_in = data.data();
    run.data_size_in = data.size();
    return run;
}

TEST(XdpTestRunTest, RefusesWhatIsNoFrame) {
    void* context = nullptr;
    for (const size_t size : {size_t{0}, size_t{13}, size_t{65536}}) {
        const std::vector<u8> data(size);
        const ebpf_test_run_t run = run_of(data);
        EXPECT_EQ(hooks::create_xdp_context(nullptr, &run, &context),
                  static_cast<u32>(Errc::InvalidArgument))
            << size;
    }
}

TEST(XdpTestRunTest, EachRepeatGetsTheCallersFrame) {
    const std::vector<u8> data(20, 0x11);
    ebpf_test_run_t run = run_of(data);
    void* context = nullptr;
    ASSERT_EQ(hooks::create_xdp_context(nullptr, &run, &context), kOk);
    auto& frame = *static_cast<XdpFrame*>(context);
    ASSERT_EQ(frame.size(), 20u);
    frame.context.data[3] = 9;
    frame.context.data += 2;
    hooks::reset_xdp_context(nullptr, &run, context);
    ASSERT_EQ(frame.size(), 20u);
    EXPECT_EQ(std::memcmp(frame.context.data, data.data(), 20), 0);

    // The result, cut to the room that there is; its size is the true one.
    frame.context.data[0] = 5;
    u8 out[8] = {};
    run.data_out = out;
    run.data_size_out = 4;
    EXPECT_EQ(hooks::destroy_xdp_context(nullptr, &run, context),
              static_cast<u32>(Errc::OutOfSpace));
    EXPECT_EQ(run.data_size_out, 20u);
    EXPECT_EQ(out[0], 5);
    EXPECT_EQ(out[3], 0x11);
    EXPECT_EQ(out[4], 0);
}

}  // namespace
