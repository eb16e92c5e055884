// SPDX-License-Identifier: MIT
#include "a64_emulator.hpp"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>

#include "code/bounds.hpp"

#if !defined(QEMU_AARCH64)
#define QEMU_AARCH64 ""
#define A64_RUNNER ""
#endif

namespace ebpf::engines {
namespace {

static_assert(sizeof(code::Invocation) == 112 && sizeof(code::Bounds) == 128 &&
                  sizeof(code::StackFrame) == 32,
              "a64_runner.c has them too");

class Emulator {
  public:
    Emulator() : owner_(getpid()) {
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return;
        child_ = fork();
        if (child_ == 0) {
            dup2(pair[1], 0);
            dup2(pair[1], 1);
            constexpr rlimit kNoCore{0, 0};  // crashes are found, not examined
            setrlimit(RLIMIT_CORE, &kNoCore);
            execl(QEMU_AARCH64, "qemu-aarch64", A64_RUNNER, nullptr);
            _exit(127);
        }
        close(pair[1]);
        socket_ = pair[0];
    }
    ~Emulator() {
        if (socket_ < 0) return;
        close(socket_);  // its input ends, and so does it
        if (is_ours()) waitpid(child_, nullptr, 0);
    }
    Emulator(const Emulator&) = delete;
    Emulator& operator=(const Emulator&) = delete;

    // Not that of the process which this one was forked from.
    bool is_ours() const { return owner_ == getpid(); }

    bool send(const void* data, std::size_t size) {
        const auto* at = static_cast<const std::byte*>(data);
        while (size > 0) {
            const ssize_t n = ::send(socket_, at, size, MSG_NOSIGNAL);
            if (n <= 0) return false;
            at += n;
            size -= static_cast<std::size_t>(n);
        }
        return true;
    }
    bool receive(void* data, std::size_t size) {
        return size == 0 || recv(socket_, data, size, MSG_WAITALL) == static_cast<ssize_t>(size);
    }

  private:
    pid_t owner_;
    pid_t child_ = -1;
    int socket_ = -1;
};

constexpr std::size_t kHelpers = 8;  // a64_runner.c

struct Relocations {
    std::vector<code::HelperFn> called;
    std::vector<u64> words;  // three each, as the runner wants them
};

Result<Relocations> resolved(const jit::Output& output, const Helpers& helpers) {
    using code::RelocKind;
    enum : u64 { kHelper, kOffset, kNull };
    Relocations result;
    for (const code::Relocation& r : output.relocations) {
        const auto add = [&](u64 kind, u64 value) {
            result.words.insert(result.words.end(), {r.offset, kind, value});
        };
        const auto found = helpers.find(r.index & ~code::kCustomHelper);
        if (r.kind == RelocKind::Function64) {
            add(kOffset, r.addend);
        } else if (r.kind == RelocKind::ArrayValues64) {
            add(kOffset, 0);
        } else if (r.kind == RelocKind::ObjectSlots64) {
            add(kOffset, output.text.size() - kEmulatedObjects * sizeof(u64));
        } else if (r.kind == RelocKind::Map64) {
            add(kNull, 0);
        } else if (found != helpers.end()) {
            const auto known = std::ranges::find(result.called, found->second);
            add(kHelper, static_cast<u64>(known - result.called.begin()));
            if (known == result.called.end()) result.called.push_back(found->second);
        } else if (r.kind == RelocKind::HelperOrNull64) {
            add(kNull, 0);
        } else {
            return fail(Errc::UnresolvedSymbol, {}, "helper", r.index);
        }
    }
    if (result.called.size() > kHelpers) return fail(Errc::Unsupported, {}, "so many helpers");
    return result;
}

// Nothing when the emulator is gone.
std::optional<Emulated> answered(Emulator& emulator, MutableBytes memory,
                                 const std::vector<code::HelperFn>& called, u64& changed) {
    for (;;) {
        std::array<u64, 2> head{};
        if (!emulator.receive(head.data(), sizeof head)) return {};
        if (head[0] == 'H') {
            std::array<u64, 6> args{};
            if (!emulator.receive(args.data(), sizeof args) || head[1] >= called.size()) return {};
            const u64 r0 = called[head[1]](args[0], args[1], args[2], args[3], args[4],
                                           reinterpret_cast<code::Invocation*>(args[5]));
            if (!emulator.send(&r0, sizeof r0)) return {};
            continue;
        }
        struct {
            u64 fault, changed, fuel, memory, reached_outer_frame;
        } tail{};
        if (!emulator.receive(&tail, sizeof tail) ||
            !emulator.receive(memory.data(), memory.size())) {
            return {};
        }
        changed = tail.changed;
        Emulated end{head[1], tail.fault, tail.fuel, tail.reached_outer_frame != 0};
        const u64 offset = end.r0 - tail.memory;
        if (!memory.empty() && offset < memory.size())
            end.r0 = reinterpret_cast<u64>(memory.data()) + offset;
        return end;
    }
}

}  // namespace

bool emulates() {
    return QEMU_AARCH64[0] != '\0';
}

Result<Emulated> emulate(const jit::Output& output, MutableBytes memory, const Helpers& helpers,
                         const EmulatedLimits& limits) {
    static std::unique_ptr<Emulator> emulator;
    if (!emulator || !emulator->is_ours()) emulator = std::make_unique<Emulator>();
    TRY_ASSIGN(const Relocations relocations, resolved(output, helpers));
    const u64 request[] = {output.text.size(),
                           output.entry,
                           relocations.words.size() / 3,
                           memory.size(),
                           limits.fuel,
                           limits.may_goto,
                           u64{limits.checked} + u64{limits.refuses_calls},
                           limits.same_address ? reinterpret_cast<u64>(memory.data()) : 0};
    std::optional<Emulated> end;
    u64 changed = 0;
    if (emulator->send(request, sizeof request) &&
        emulator->send(output.text.data(), output.text.size()) &&
        emulator->send(relocations.words.data(), relocations.words.size() * sizeof(u64)) &&
        emulator->send(memory.data(), memory.size())) {
        end = answered(*emulator, memory, relocations.called, changed);
    }
    if (!end) {
        emulator.reset();
        return fail(Errc::Failed, {}, "the emulated program crashed");
    }
    if (changed != 0) return fail(Errc::Failed, {}, "saved registers changed", changed);
    return *end;
}

}  // namespace ebpf::engines
