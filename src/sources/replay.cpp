// SPDX-License-Identifier: MIT
#include "sources/replay.hpp"

#include <cstring>
#include <new>
#include <vector>

#include "platform/system.hpp"

namespace ebpf::sources {
namespace {

// As a network driver's poll: so many frames, then others get their turn (and what was detached can
// go).
constexpr u32 kBatch = 64;

class Replay {
  public:
    Replay(const Capture& capture, hooks::XdpHook& hook, const ReplayOptions& options)
        : capture_(capture), hook_(hook), options_(options) {
        u64 largest = 0;
        for (u32 i = 0; i < capture.size(); ++i)
            largest = std::max<u64>(largest, capture[i].bytes.size());
        memory_.resize(hooks::kXdpHeadroom + largest + hooks::kXdpTailroom);
    }

    // All frames once; false when on_frame ended it.
    bool once() {
        for (u32 begin = 0; begin < capture_.size(); begin += kBatch) {
            const u32 end = std::min(begin + kBatch, capture_.size());
            if (options_.on_frame ? !slowly(begin, end) : !batch(begin, end)) return false;
        }
        return true;
    }

    ReplayResult result;

  private:
    bool batch(u32 begin, u32 end) {
        hooks::XdpHook::Batch batch(hook_, options_.ifindex);
        for (u32 i = begin; i < end; ++i) {
            put(i);
            count(batch.receive(frame_));
        }
        return true;
    }

    // The callback may do anything, also wait, which is not allowed inside a batch.
    bool slowly(u32 begin, u32 end) {
        for (u32 i = begin; i < end; ++i) {
            put(i);
            const hooks::XdpVerdict verdict = hook_.receive(options_.ifindex, frame_);
            count(verdict);
            result.stopped = options_.on_frame(options_.context, i, frame_, verdict);
            if (result.stopped) return false;
        }
        return true;
    }

    // A copy each time: the program may change the frame.
    void put(u32 number) {
        const Frame frame = capture_[number];
        std::memcpy(memory_.data() + hooks::kXdpHeadroom, frame.bytes.data(), frame.bytes.size());
        const u64 size = hooks::kXdpHeadroom + frame.bytes.size() + hooks::kXdpTailroom;
        frame_.reset(memory_.data(), size, static_cast<u32>(frame.bytes.size()), options_.ifindex);
        result.bytes += frame.bytes.size();
    }

    void count(hooks::XdpVerdict verdict) {
        ++result.frames;
        ++result.verdicts[static_cast<u32>(verdict)];
    }

    const Capture& capture_;
    hooks::XdpHook& hook_;
    const ReplayOptions& options_;
    std::vector<u8> memory_;
    hooks::XdpFrame frame_;
};

}  // namespace

Result<ReplayResult> replay(const Capture& capture, hooks::XdpHook& hook,
                            const ReplayOptions& options) {
    try {
        Replay replay(capture, hook, options);
        const u64 start = platform::monotonic_ns();
        for (u32 i = 0; i < options.repeat && replay.once(); ++i) {
        }
        replay.result.nanoseconds = platform::monotonic_ns() - start;
        return replay.result;
    } catch (const std::bad_alloc&) {
        return fail(Errc::NoMemory, {}, "buffer of the replay");
    }
}

}  // namespace ebpf::sources
