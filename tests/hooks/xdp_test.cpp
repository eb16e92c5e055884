// SPDX-License-Identifier: MIT
//
// The XDP hook against an execution context that the test plays: which binding gets which frame,
// what becomes of its answers, and that each batch that was begun is ended.
#include "hooks/xdp.hpp"

#include <gtest/gtest.h>

#include <vector>

using namespace ebpf;
using hooks::XdpFrame;
using hooks::XdpHook;
using hooks::XdpVerdict;

// What the execution context keeps of an attached program.
struct ebpf_binding {
    u64 r0 = 0;
    u32 error = 0;
    u32 target = 0;  // set by attach
    spec::Dialect dialect = spec::Dialect::Linux;
    int runs = 0;
    spec::Dialect frame_dialect{};  // as the program's helpers saw it
};

namespace {

constexpr u32 kOk = static_cast<u32>(Errc::Ok);

int open_batches = 0;
u32 begin_with = kOk;

u32 batch_begin(const ebpf_client_dispatch_t*, void*) {
    if (begin_with == kOk) ++open_batches;
    return begin_with;
}
void batch_end(void*) {
    --open_batches;
}
u32 run(const ebpf_binding_t* binding, void* context, u64* result) {
    auto& bound = *const_cast<ebpf_binding*>(reinterpret_cast<const ebpf_binding*>(binding));
    if (bound.error) return bound.error;
    ++bound.runs;
    bound.frame_dialect = static_cast<XdpFrame*>(context)->dialect;
    *result = bound.r0;
    return kOk;
}
u32 batch_invoke(const ebpf_binding_t* binding, void* context, u64* result, const void*) {
    EXPECT_EQ(open_batches, 1);
    return run(binding, context, result);
}
// What happens to the place before it is looked at.
const ebpf_binding_t* put_there = nullptr;
u32 invoke_at(const ebpf_client_dispatch_t*, const ebpf_binding_t* const* place, u32 target,
              void* context, u8* dialect, u64* result) {
    EXPECT_EQ(open_batches, 0);
    const auto* bound = reinterpret_cast<const ebpf_binding*>(put_there ? put_there : *place);
    if (!bound || bound->target != target) return static_cast<u32>(Errc::ObjectNotFound);
    *dialect = static_cast<u8>(bound->dialect);
    return run(reinterpret_cast<const ebpf_binding_t*>(bound), context, result);
}
u32 dialect_of(const ebpf_binding_t* binding) {
    return static_cast<u32>(reinterpret_cast<const ebpf_binding*>(binding)->dialect);
}

constexpr ebpf_client_dispatch_t kClient = {
    .header = {1, sizeof(ebpf_client_dispatch_t), sizeof(ebpf_client_dispatch_t)},
    .invoke = nullptr,
    .invoke_at = &invoke_at,
    .batch_begin = &batch_begin,
    .batch_invoke = &batch_invoke,
    .batch_end = &batch_end,
    .dialect = &dialect_of};

class XdpHookTest : public testing::Test {
  protected:
    void SetUp() override {
        begin_with = kOk;
        put_there = nullptr;
        frame_.reset(memory_.data(), memory_.size(), 64, 1);
    }
    void TearDown() override { EXPECT_EQ(open_batches, 0); }

    static const ebpf_binding_t* as_binding(const ebpf_binding& binding) {
        return reinterpret_cast<const ebpf_binding_t*>(&binding);
    }
    Errc attach(ebpf_binding& binding, u32 target) {
        binding.target = target;
        const auto& provider = hook_.provider();
        return static_cast<Errc>(
            provider.attach(provider.self, &kClient, as_binding(binding), target));
    }
    void detach(const ebpf_binding& binding, u32 target) {
        const auto& provider = hook_.provider();
        provider.detach(provider.self, as_binding(binding), target);
    }

    XdpHook hook_;
    std::vector<u8> memory_ = std::vector<u8>(hooks::kXdpHeadroom + 64 + hooks::kXdpTailroom);
    XdpFrame frame_;
};

TEST(XdpVerdictTest, LinuxNumbers) {
    const auto verdict = [](u64 r0) { return hooks::xdp_verdict(spec::Dialect::Linux, r0); };
    EXPECT_EQ(verdict(0), XdpVerdict::Aborted);
    EXPECT_EQ(verdict(1), XdpVerdict::Drop);
    EXPECT_EQ(verdict(2), XdpVerdict::Pass);
    EXPECT_EQ(verdict(3), XdpVerdict::Transmit);
    EXPECT_EQ(verdict(4), XdpVerdict::Redirect);
    EXPECT_EQ(verdict(5), XdpVerdict::Aborted);
    EXPECT_EQ(verdict(~u64{0}), XdpVerdict::Aborted);
    EXPECT_EQ(verdict(u64{7} << 32 | 2), XdpVerdict::Pass) << "the low 32 bits are the result";
}

TEST(XdpVerdictTest, WindowsNumbers) {
    const auto verdict = [](u64 r0) { return hooks::xdp_verdict(spec::Dialect::Windows, r0); };
    EXPECT_EQ(verdict(0), XdpVerdict::Aborted);
    EXPECT_EQ(verdict(1), XdpVerdict::Pass);
    EXPECT_EQ(verdict(2), XdpVerdict::Drop);
    EXPECT_EQ(verdict(3), XdpVerdict::Transmit);
    EXPECT_EQ(verdict(4), XdpVerdict::Aborted);
    EXPECT_EQ(verdict(u64{1} << 32), XdpVerdict::Aborted);
}

TEST_F(XdpHookTest, WithoutAProgramEverythingPasses) {
    EXPECT_EQ(hook_.receive(1, frame_), XdpVerdict::Pass) << "no execution context yet";
    ebpf_binding drop{.r0 = 1};
    ASSERT_EQ(attach(drop, 5), Errc::Ok);
    EXPECT_EQ(hook_.receive(1, frame_), XdpVerdict::Pass);
    EXPECT_EQ(hook_.receive(0, frame_), XdpVerdict::Pass);
    EXPECT_EQ(hook_.receive(~u32{0}, frame_), XdpVerdict::Pass);
    EXPECT_EQ(drop.runs, 0);
}

TEST_F(XdpHookTest, EachInterfaceHasItsProgram) {
    ebpf_binding drop{.r0 = 1}, transmit{.r0 = 3, .dialect = spec::Dialect::Windows};
    ASSERT_EQ(attach(drop, 1), Errc::Ok);
    ASSERT_EQ(attach(transmit, ~u32{0}), Errc::Ok) << "any number is an interface";
    EXPECT_EQ(hook_.receive(1, frame_), XdpVerdict::Drop);
    EXPECT_EQ(drop.frame_dialect, spec::Dialect::Linux);
    EXPECT_EQ(hook_.receive(~u32{0}, frame_), XdpVerdict::Transmit);
    EXPECT_EQ(transmit.frame_dialect, spec::Dialect::Windows);
    EXPECT_EQ(drop.runs, 1);
    EXPECT_EQ(transmit.runs, 1);
}

TEST_F(XdpHookTest, AttachErrors) {
    ebpf_binding one{.r0 = 1}, two{.r0 = 2};
    EXPECT_EQ(attach(one, 0), Errc::InvalidArgument);
    EXPECT_EQ(attach(one, 3), Errc::Ok);
    EXPECT_EQ(attach(two, 3), Errc::Busy);
    EXPECT_EQ(hook_.receive(3, frame_), XdpVerdict::Drop) << "the first one stays";
}

TEST_F(XdpHookTest, AsManyProgramsAsThereArePlacesAndPlacesAreUsedAgain) {
    std::vector<ebpf_binding> bindings(XdpHook::kMaxPrograms + 1, ebpf_binding{.r0 = 1});
    const auto interface = [](size_t i) { return static_cast<u32>(1000 + 7 * i); };
    for (int round = 0; round < 2; ++round) {
        for (size_t i = 0; i < XdpHook::kMaxPrograms; ++i)
            ASSERT_EQ(attach(bindings[i], interface(i)), Errc::Ok);
        EXPECT_EQ(attach(bindings.back(), 5), Errc::OutOfSpace);
        detach(bindings[9], interface(9));
        EXPECT_EQ(hook_.receive(interface(9), frame_), XdpVerdict::Pass);
        EXPECT_EQ(attach(bindings.back(), 5), Errc::Ok);
        EXPECT_EQ(hook_.receive(5, frame_), XdpVerdict::Drop);
        detach(bindings.back(), 5);
        for (size_t i = 0; i < XdpHook::kMaxPrograms; ++i) detach(bindings[i], interface(i));
        EXPECT_EQ(hook_.receive(interface(3), frame_), XdpVerdict::Pass);
    }
}

struct FeedOfTest {
    std::vector<u32> started, stopped;
    Errc answer = Errc::Ok;
    hooks::XdpFeed feed() {
        return {.self = this,
                .start =
                    [](void* self, u32 ifindex) {
                        static_cast<FeedOfTest*>(self)->started.push_back(ifindex);
                        return static_cast<u32>(static_cast<FeedOfTest*>(self)->answer);
                    },
                .stop =
                    [](void* self, u32 ifindex) {
                        static_cast<FeedOfTest*>(self)->stopped.push_back(ifindex);
                    }};
    }
};

TEST_F(XdpHookTest, TheFeedIsToldAndMayRefuse) {
    FeedOfTest feed;
    hook_.set_feed(feed.feed());
    ebpf_binding one{.r0 = 1}, two{.r0 = 1};
    EXPECT_EQ(attach(one, 3), Errc::Ok);
    EXPECT_EQ(attach(two, 3), Errc::Busy);
    EXPECT_EQ(feed.started, std::vector<u32>{3}) << "not for what cannot be attached";
    detach(two, 3);
    detach(one, 4);
    EXPECT_TRUE(feed.stopped.empty());
    detach(one, 3);
    EXPECT_EQ(feed.stopped, std::vector<u32>{3});
    feed.answer = Errc::AccessDenied;
    EXPECT_EQ(attach(one, 5), Errc::AccessDenied);
    EXPECT_EQ(hook_.receive(5, frame_), XdpVerdict::Pass) << "nothing stays attached";
    detach(one, 5);
    EXPECT_EQ(feed.stopped, std::vector<u32>{3}) << "what did not start is not stopped";
}

TEST_F(XdpHookTest, OnlyItsOwnBindingIsDetached) {
    ebpf_binding one{.r0 = 1}, two{.r0 = 1};
    ASSERT_EQ(attach(one, 3), Errc::Ok);
    detach(two, 3);
    detach(one, 4);
    detach(one, 0);
    EXPECT_EQ(hook_.receive(3, frame_), XdpVerdict::Drop);
    detach(one, 3);
    EXPECT_EQ(hook_.receive(3, frame_), XdpVerdict::Pass);
    EXPECT_EQ(attach(two, 3), Errc::Ok) << "the place is free again";
    EXPECT_EQ(hook_.receive(3, frame_), XdpVerdict::Drop);
}

TEST_F(XdpHookTest, APlaceThatChangesHandsIsNobodysProgram) {
    ebpf_binding drop{.r0 = 1}, of_another{.r0 = 1, .target = 4};
    ASSERT_EQ(attach(drop, 3), Errc::Ok);
    put_there = as_binding(of_another);
    EXPECT_EQ(hook_.receive(3, frame_), XdpVerdict::Pass);
    EXPECT_EQ(drop.runs + of_another.runs, 0);
}

TEST_F(XdpHookTest, AProgramThatCannotRunAbortsTheFrame) {
    ebpf_binding broken{.r0 = 2, .error = static_cast<u32>(Errc::NoMemory)};
    ASSERT_EQ(attach(broken, 3), Errc::Ok);
    EXPECT_EQ(hook_.receive(3, frame_), XdpVerdict::Aborted);
    EXPECT_EQ(broken.runs, 0);
}

TEST_F(XdpHookTest, ABatchIsEnteredOnceAndEnded) {
    ebpf_binding drop{.r0 = 1};
    ASSERT_EQ(attach(drop, 3), Errc::Ok);
    {
        XdpHook::Batch batch(hook_, 3);
        EXPECT_EQ(open_batches, 1);
        for (int i = 0; i < 10; ++i) EXPECT_EQ(batch.receive(frame_), XdpVerdict::Drop);
        // What was attached when it began stays for its length.
        detach(drop, 3);
        EXPECT_EQ(batch.receive(frame_), XdpVerdict::Drop);
    }
    EXPECT_EQ(drop.runs, 11);
    EXPECT_EQ(hook_.receive(3, frame_), XdpVerdict::Pass);
}

TEST_F(XdpHookTest, FrameInItsBuffer) {
    EXPECT_EQ(frame_.size(), 64u);
    EXPECT_EQ(frame_.context.data, memory_.data() + hooks::kXdpHeadroom);
    EXPECT_EQ(frame_.context.data_end, frame_.context.data + 64);
    EXPECT_EQ(frame_.context.data_meta, reinterpret_cast<u64>(frame_.context.data)) << "none";
    EXPECT_EQ(frame_.context.ingress_ifindex, 1u);
    EXPECT_EQ(frame_.buffer_end, memory_.data() + memory_.size());
}

}  // namespace
