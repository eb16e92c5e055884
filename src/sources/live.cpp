// SPDX-License-Identifier: MIT
#include "sources/live.hpp"

#include <atomic>
#include <new>
#include <system_error>
#include <thread>

#include "platform/live_interface.hpp"

namespace ebpf::sources {

using hooks::XdpFrame;
using hooks::XdpVerdict;
using platform::kLiveBatch;
using platform::LiveFrame;

// One interface and the thread that serves it.
class LiveInterfaces::Interface {
  public:
    Interface(hooks::XdpHook& hook, u32 ifindex, std::unique_ptr<platform::LiveInterface> device)
        : hook_(hook),
          ifindex_(ifindex),
          device_(std::move(device)),
          thread_([this] { serve(); }) {}

    ~Interface() {
        stopping_.store(true, std::memory_order_release);
        device_->wake();
        thread_.join();
    }

    LiveStatistics statistics() {
        const platform::LiveCounters counters = device_->counters();
        LiveStatistics now{.frames = frames_seen_.load(std::memory_order_relaxed),
                           .bytes = bytes_.load(std::memory_order_relaxed),
                           .missed = counters.missed,
                           .oversized = counters.oversized,
                           .pass_failed = counters.pass_failed,
                           .transmit_failed = counters.transmit_failed,
                           .redirect_failed = counters.redirect_failed};
        for (int i = 0; i < hooks::kXdpVerdicts; ++i)
            now.verdicts[i] = verdicts_[i].load(std::memory_order_relaxed);
        return now;
    }

  private:
    void serve() {
        platform::prepare_live_thread();
        u32 since_wait = 0;
        while (!stopping_.load(std::memory_order_acquire)) {
            const u32 count = device_->receive(frames_in_);
            if (count == 0) {
                device_->release();
                device_->wait(since_wait);
                since_wait = 0;
                continue;
            }
            since_wait += count;
            judge(count);
            carry_out(count);
            device_->release();
        }
    }

    // Within the batch nothing may wait, so that verdicts are only carried out after it.
    void judge(u32 count) {
        hooks::XdpHook::Batch batch(hook_, ifindex_);
        u64 bytes = 0;
        for (u32 i = 0; i < count; ++i) {
            const LiveFrame& in = frames_in_[i];
            XdpFrame& frame = frames_[i];
            bytes += in.size;
            frame.reset(in.data - hooks::kXdpHeadroom,
                        static_cast<u64>(in.memory_end - in.data) + hooks::kXdpHeadroom +
                            hooks::kXdpTailroom,
                        in.size, ifindex_);
            verdict_[i] = batch.receive(frame);
        }
        add(frames_seen_, count);
        add(bytes_, bytes);
    }

    void carry_out(u32 count) {
        for (u32 i = 0; i < count; ++i) {
            const XdpFrame& frame = frames_[i];
            LiveFrame& out = frames_in_[i];
            out.move_start(frame.context.data);
            out.size = frame.size();
            add(verdicts_[static_cast<u32>(verdict_[i])], 1);
            switch (verdict_[i]) {
                case XdpVerdict::Aborted:
                case XdpVerdict::Drop:
                    break;
                case XdpVerdict::Pass:
                    device_->pass(out);
                    break;
                case XdpVerdict::Transmit:
                    device_->transmit(out);
                    break;
                case XdpVerdict::Redirect:
                    device_->redirect(out, frame.redirect_ifindex);
                    break;
            }
        }
    }

    // Counters have one writer.
    static void add(std::atomic<u64>& counter, u64 n) {
        counter.store(counter.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }

    hooks::XdpHook& hook_;
    const u32 ifindex_;
    std::unique_ptr<platform::LiveInterface> device_;
    LiveFrame frames_in_[kLiveBatch];
    XdpFrame frames_[kLiveBatch];
    XdpVerdict verdict_[kLiveBatch] = {};
    std::atomic<u64> frames_seen_{0}, bytes_{0};
    std::atomic<u64> verdicts_[hooks::kXdpVerdicts] = {};
    std::atomic<bool> stopping_{false};
    std::thread thread_;  // last: it uses all of the above
};

LiveInterfaces::LiveInterfaces(hooks::XdpHook& hook, Report report)
    : hook_(hook),
      feed_{.self = this, .start = &LiveInterfaces::start, .stop = &LiveInterfaces::stop},
      report_(report) {}

LiveInterfaces::~LiveInterfaces() = default;

u32 LiveInterfaces::start(void* self, u32 ifindex) {
    auto& here = *static_cast<LiveInterfaces*>(self);
    const Status started = here.start(ifindex);
    if (started) return static_cast<u32>(Errc::Ok);
    if (here.report_ != nullptr) here.report_(ifindex, started.error());
    return static_cast<u32>(started.error().code);
}

Status LiveInterfaces::start(u32 ifindex) {
    TRY_ASSIGN(std::unique_ptr<platform::LiveInterface> device,
               platform::LiveInterface::open(ifindex));
    try {
        auto made = std::make_unique<Interface>(hook_, ifindex, std::move(device));
        const std::scoped_lock lock(mutex_);
        interfaces_[ifindex] = std::move(made);
    } catch (const std::bad_alloc&) {
        return fail(Errc::NoMemory, {}, "live interface");
    } catch (const std::system_error&) {
        return fail(Errc::NoMemory, {}, "thread of a live interface");
    }
    return {};
}

void LiveInterfaces::stop(void* self, u32 ifindex) {
    auto& here = *static_cast<LiveInterfaces*>(self);
    std::unique_ptr<Interface> gone;  // destroyed last: waits for its thread without the lock
    const std::scoped_lock lock(here.mutex_);
    const auto found = here.interfaces_.find(ifindex);
    if (found == here.interfaces_.end()) return;
    gone = std::move(found->second);
    here.interfaces_.erase(found);
}

Result<LiveStatistics> LiveInterfaces::statistics(u32 ifindex) {
    const std::scoped_lock lock(mutex_);
    const auto found = interfaces_.find(ifindex);
    if (found == interfaces_.end())
        return fail(Errc::ObjectNotFound, {}, "no program filters interface", ifindex);
    return found->second->statistics();
}

}  // namespace ebpf::sources
