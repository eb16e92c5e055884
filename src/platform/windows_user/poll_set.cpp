// SPDX-License-Identifier: MIT
//
// Events that are waited for together, however many: the system's pool waits for each of them and
// sets the set's own event. WaitForMultipleObjects() takes 64 at most, and a machine may have more
// CPUs, each with its ring.
#include "platform/poll_set.hpp"

#include <windows.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <new>
#include <vector>

namespace ebpf::platform {
namespace {

struct Member {
    HANDLE given = nullptr;
    HANDLE event = nullptr;  // ours
    PTP_WAIT wait = nullptr;
    HANDLE any = nullptr;  // the set's
    std::atomic<bool> watched{false};

    Member() = default;
    Member(const Member&) = delete;
    Member& operator=(const Member&) = delete;
    ~Member() {
        if (wait != nullptr) {
            SetThreadpoolWait(wait, nullptr, nullptr);
            WaitForThreadpoolWaitCallbacks(wait, TRUE);
            CloseThreadpoolWait(wait);
        }
        if (event != nullptr) CloseHandle(event);
    }

    static void CALLBACK fired(PTP_CALLBACK_INSTANCE, void* self, PTP_WAIT, TP_WAIT_RESULT) {
        auto& member = *static_cast<Member*>(self);
        member.watched.store(false);
        SetEvent(member.any);
    }
    // A wait of the pool ends with its event and is made anew.
    void watch() {
        if (!watched.exchange(true)) SetThreadpoolWait(wait, event, nullptr);
    }
    bool is_set() const { return WaitForSingleObject(event, 0) == WAIT_OBJECT_0; }
};

}  // namespace

struct PollSet::State {
    HANDLE any = CreateEventW(nullptr, FALSE, FALSE, nullptr);
    std::mutex mutex;
    std::vector<std::unique_ptr<Member>> members;

    State() = default;
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() {
        members.clear();  // whose waits set the event
        if (any != nullptr) CloseHandle(any);
    }

    // Whether one of them is set now; all of them are watched from here on.
    bool look() {
        const std::scoped_lock lock(mutex);
        bool found = false;
        for (const auto& member : members) {
            if (member->is_set())
                found = true;
            else
                member->watch();
        }
        return found;
    }
};

Result<PollSet> PollSet::create() {
    std::unique_ptr<State> state(new (std::nothrow) State);
    if (!state || state->any == nullptr) return fail(Errc::NoMemory, {}, "event");
    PollSet set;
    set.state_ = state.release();
    return set;
}

PollSet::~PollSet() {
    delete state_;
}

Status PollSet::add(i64 native) const {
    const auto given = reinterpret_cast<HANDLE>(native);
    const std::scoped_lock lock(state_->mutex);
    for (const auto& member : state_->members) {
        if (member->given == given) return fail(Errc::ObjectAlreadyExists, {}, "waiting");
    }
    auto member = std::make_unique<Member>();
    member->given = given;
    member->any = state_->any;
    const HANDLE process = GetCurrentProcess();
    if (DuplicateHandle(process, given, process, &member->event, SYNCHRONIZE, FALSE, 0) == 0) {
        return fail(Errc::InvalidArgument, {}, "waiting for a handle", static_cast<u64>(native));
    }
    member->wait = CreateThreadpoolWait(&Member::fired, member.get(), nullptr);
    if (member->wait == nullptr) return fail(Errc::NoMemory, {}, "wait");
    state_->members.push_back(std::move(member));
    return {};
}

PollSet::Outcome PollSet::wait(int timeout_ms) const {
    const ULONGLONG start = GetTickCount64();
    for (;;) {
        if (state_->look()) return Outcome::Readable;
        DWORD left = INFINITE;
        if (timeout_ms >= 0) {
            const ULONGLONG waited = GetTickCount64() - start;
            if (waited >= static_cast<ULONGLONG>(timeout_ms)) return Outcome::TimeIsOver;
            left = static_cast<DWORD>(static_cast<ULONGLONG>(timeout_ms) - waited);
        }
        // May be an old one, of an event that was reset since: then it is waited for again.
        if (WaitForSingleObject(state_->any, left) == WAIT_TIMEOUT) return Outcome::TimeIsOver;
    }
}

}  // namespace ebpf::platform
