// SPDX-License-Identifier: MIT
//
// The daemon's side of the processes that verify and compile (child.hpp). Each holds one job at a
// time, so that as many long verifications as there are children leave the others waiting, and one
// leaves all but itself alone. Whatever happens to a child happens to its job only: the load gets
// an error that says what and why, the child is ended, waited for and started again.
//
// Nothing that comes from a child is believed: sizes are bounded before memory is taken for them,
// and engine::check_outcome() looks at the code.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/service.hpp"
#include "platform/sandbox.hpp"
#include "products/fd.hpp"

namespace ebpf::compile_child {

struct PoolOptions {
    std::string program = "/proc/self/exe";
    std::vector<std::string> arguments{"--compile-child"};  // what makes it call run()
    u32 children = 0;                                       // 0: one per CPU
    u32 deadline_ms = 60'000;  // of one job, by the clock; also its processor time, rounded up
    u64 memory_bytes = u64{1} << 30;
    bool keep_stderr = false;
};

// What happened so far.
struct PoolFigures {
    u64 jobs = 0;
    u64 died = 0;      // workers that ended without an outcome
    u64 late = 0;      // past the deadline
    u64 nonsense = 0;  // outcomes that could not be
    u64 restarts = 0;  // of children
};

class Pool {
  public:
    explicit Pool(PoolOptions options);
    ~Pool();  // ends all children; nobody may be in compile()
    Pool(const Pool&) = delete;

    // Starts all children. Errors: Failed, when one cannot be started or confined.
    Status start();
    // Ends all children, now and for ever: who is in compile(), or comes, gets an error.
    void stop();
    // Which layers of the sandbox stand, and what the system refused: one line.
    std::string confinement() const;

    // Thread-safe; waits for a free child.
    engine::CompileOutcome compile(const engine::CompileJob& job);
    engine::Compiler compiler() {
        return {.self = this, .call = [](void* self, const engine::CompileJob& job) {
                    return static_cast<Pool*>(self)->compile(job);
                }};
    }
    PoolFigures figures() const;

  private:
    struct Child {
        i32 pid = -1;
        products::Fd control;
        products::Fd stream;    // to a worker that waits for its job, forked while nobody waited
        bool owes_end = false;  // has not said yet that the last job's worker is gone
    };
    enum class Answer : u8 { Outcome, Died, Late, Nonsense, NoChild };
    struct Reply {
        Answer answer{};
        i32 wait_status = 0;
        std::vector<std::byte> bytes;
    };

    Status start(Child& child);
    void end(Child& child);
    bool prepare(Child& child);
    bool settle(Child& child);
    u32 take();
    void count(u64 PoolFigures::* figure);
    void give_back(u32 index);
    Reply run(Child& child, Bytes job);
    engine::CompileOutcome judge(const engine::CompileJob& job, Reply reply);
    static engine::CompileOutcome died(i32 wait_status);

    const PoolOptions options_;
    std::vector<Child> children_;
    platform::Confinement confinement_{};
    mutable std::mutex mutex_;  // also of every Child::pid, for stop()
    bool stopping_ = false;
    std::condition_variable freed_;
    std::vector<u32> free_;                    // the one used last is the next: its memory is warm
    u64 next_ticket_ = 0, served_ticket_ = 0;  // who came first is served first
    PoolFigures figures_;
};

}  // namespace ebpf::compile_child
