// SPDX-License-Identifier: MIT
//
// Programs that nobody verified, checked at every access and call: interpreter and machine code end
// each run at the same instruction, for the same reason. Programs are generated and real ones with
// some instructions changed at random, so that many of them access what is not theirs.
#include <pthread.h>
#include <sys/mman.h>
#undef MAP_TYPE  // which our tables call their rows by

#include <algorithm>
#include <cstring>
#include <functional>
#include <random>

#include "a64_emulator.hpp"
#include "code/bounds.hpp"
#include "differential.hpp"
#include "differential_parts.hpp"
#include "isa/table.hpp"
#include "isa/text/text.hpp"
#include "placed.hpp"
#include "random_program.hpp"

namespace ebpf::engines {
namespace {

using isa::Form;
using isa::Insn;

constexpr u64 kManyInstructions = 100'000;

struct Outcome {
    u64 r0 = 0, fault = 0, fuel = 0;
    std::vector<std::byte> memory;
    std::array<u64, kRandomMapSize> map{};
    friend bool operator==(const Outcome&, const Outcome&) = default;
};

bool may_call(code::Invocation*, u64, const u64 args[5]) {
    return args[0] % 16 != 3;
}

// Whether machine code reached the frame of a caller: how far that is away is each engine's own.
bool reached_outer_frame = false;

bool noting_access(const code::Bounds* bounds, u64 address, u64 access) {
    const code::StackFrame* frame = bounds->frames;
    while (frame != nullptr && (frame = frame->outer) != nullptr)
        reached_outer_frame |= code::contains(frame->memory, address, access & (code::kWrites - 1));
    return code::access_allowed(bounds, address, access);
}

// By Windows' convention, what code of that convention calls.
__attribute__((ms_abi)) bool windows_access(const code::Bounds* bounds, u64 address, u64 access) {
    return noting_access(bounds, address, access);
}
using WindowsHelper = __attribute__((ms_abi)) u64 (*)(u64, u64, u64, u64, u64, code::Invocation*);
__attribute__((ms_abi)) u64 windows_call(u64 a, u64 b, u64 c, u64 d, u64 e,
                                         code::Invocation* invocation) {
    const u64 args[5] = {a, b, c, d, e};
    if (!may_call(invocation, 0, args)) {
        invocation->fault = static_cast<u64>(code::Fault::BadAccess);
        return 0;
    }
    return reinterpret_cast<WindowsHelper>(invocation->bounds->callee)(a, b, c, d, e, invocation);
}

// Memory and a stack that the emulated programs have at the same address, and in another part of
// the address space.
MutableBytes mapped(u64 address, std::size_t size) {
    void* const at = mmap(reinterpret_cast<void*>(address), size, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (at != reinterpret_cast<void*>(address)) std::abort();
    return {static_cast<std::byte*>(at), size};
}
MutableBytes shared_memory() {
    static const MutableBytes memory = mapped(0x2000'0000'0000, 64 * 1024);
    return memory;
}
void run_elsewhere(std::function<void()> what) {
    static const MutableBytes stack = mapped(0x3000'0000'0000, 256 * 1024);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, stack.data(), stack.size());
    pthread_t thread{};
    const auto start = [](void* f) -> void* {
        (*static_cast<std::function<void()>*>(f))();
        return nullptr;
    };
    if (pthread_create(&thread, &attributes, start, &what) != 0) std::abort();
    pthread_join(thread, nullptr);
    pthread_attr_destroy(&attributes);
}

class Mutator {
  public:
    explicit Mutator(u64 seed) : random_(seed) {}

    u64 below(u64 n) { return random_() % n; }
    void mutate(std::vector<Insn>& insns) {
        for (u64 n = below(4); n > 0; --n) change(insns[below(insns.size())]);
    }

  private:
    static bool accesses(const Insn& insn) {
        return insn.form == Form::Load || insn.form == Form::LoadSx ||
               insn.form == Form::StoreReg || insn.form == Form::StoreImm ||
               insn.form == Form::Atomic;
    }
    void change(Insn& insn) {
        const bool loads = insn.form == Form::Load || insn.form == Form::LoadSx;
        if (!accesses(insn)) {
            // Up only so far that the interpreter's frames, which are not noted, do not meet.
            if (insn.form == Form::AluImm) insn.imm = static_cast<i32>(below(132)) - 128;
            if (insn.form == Form::AluReg) insn.src = static_cast<isa::Reg>(below(10));
            return;
        }
        switch (below(3)) {
            case 0:
                insn.off = static_cast<i16>(static_cast<i32>(below(80)) - 8);
                break;
            case 1:
                insn.off = static_cast<i16>(static_cast<i32>(below(700)) - 630);
                break;
            default:
                (loads ? insn.src : insn.dst) = static_cast<isa::Reg>(below(11));
        }
    }
    std::mt19937_64 random_;
};

class CheckedPair {
  public:
    CheckedPair(std::vector<std::byte> slots, std::vector<std::byte> memory, u64 fuel,
                bool emulated)
        : slots_(std::move(slots)),
          initial_(std::move(memory)),
          own_(initial_),
          memory_(emulated ? shared_memory().first(own_.size()) : MutableBytes(own_)),
          fuel_(fuel),
          emulated_(emulated) {}

    std::optional<std::string> compare(const Variant& variant, u64* ended) {
        Result<ir::Program> program = ir::decode_program(slots_);
        interpreted_ = Interpreted::prepare(slots_);
        if (!program || !interpreted_) return {};
        // What hangs on where the stack is cannot be compared.
        const Outcome expected = interpret(0);
        for (const std::size_t depth : {48, 5008, 70'000}) {
            if (interpret(depth) != expected) return {};
        }
        if (emulated_ && interpret_elsewhere() != expected) return {};
        call_custom_helpers(*program);
        jit::Options options = variant.options;
        options.checked = options.metered = true;
        const auto output = jit::compile(*program, {}, variant.target, options);
        if (!output) return text("the JIT refuses");
        if (!code::validate(output->view(0))) return text("invalid code");
        reached_outer_frame = false;
        const auto end = emulated_ ? emulate(*output) : run_here(*output, variant.target);
        if (!end) return text(end.error().what);
        Outcome got = *end;
        if (ended != nullptr && expected.fault == static_cast<u64>(code::Fault::BadAccess))
            ++*ended;
        // The interpreter pays at once for the few instructions that one handler runs, so where
        // fuel ends, or is left at another end, is its own.
        constexpr u64 kNoFuel = static_cast<u64>(code::Fault::OutOfFuel);
        if (expected.fault == kNoFuel || got.fault == kNoFuel || reached_outer_frame) return {};
        if (expected.fault != 0) got.fuel = expected.fuel;
        if (expected == got) return {};
        return text(expected.fault != got.fault     ? "the end differs"
                    : expected.fuel != got.fuel     ? "what is left differs"
                    : expected.r0 != got.r0         ? "r0 differs"
                    : expected.memory != got.memory ? "memory differs"
                                                    : "the map differs");
    }

  private:
    Result<Outcome> emulate(const jit::Output& output) {
        random_map() = {};
        std::ranges::copy(initial_, memory_.begin());
        Helpers helpers;
        for (const u32 helper : {kRandomHelper, kRandomMapStore, kRandomMapLoad})
            helpers[helper] = random_helper(helper);
        TRY_ASSIGN(const Emulated end, engines::emulate(output, memory_, helpers,
                                                        {.fuel = fuel_,
                                                         .may_goto = kMayGoto,
                                                         .checked = true,
                                                         .refuses_calls = true,
                                                         .same_address = true}));
        reached_outer_frame = end.reached_outer_frame;
        return outcome(end.r0, end.fault, end.fuel);
    }

    Result<Outcome> run_here(const jit::Output& output, const jit::Target& target) {
        const jit::test::Placed placed(output, target.convention, [&](const code::Relocation& r) {
            return helper_address(r.index & ~code::kCustomHelper, target.convention);
        });
        const bool windows = target.convention == jit::CallingConvention::WindowsX64;
        return run([&](void* r1, u64 r2, code::Invocation* invocation) {
            invocation->bounds->access = &noting_access;
            if (windows) {
                invocation->bounds->access =
                    reinterpret_cast<decltype(invocation->bounds->access)>(windows_access);
                invocation->bounds->call = reinterpret_cast<code::HelperFn>(windows_call);
            }
            return placed.run(r1, r2, invocation);
        });
    }

    std::string text(const char* what) const {
        return std::string(what) + "\n" +
               isa::text::disassemble(slots_, isa::text::Dialect::Llvm).value_or("");
    }

    // With the stack somewhere else.
    [[gnu::noinline]] Outcome interpret(std::size_t depth) {
        auto* const below = static_cast<volatile char*>(__builtin_alloca(depth + 1));
        below[0] = 0;
        return run([&](void* r1, u64 r2, code::Invocation* invocation) {
            return interpreted_->run(r1, r2, invocation);
        });
    }

    template <typename Enter>
    Outcome run(Enter enter) {
        random_map() = {};
        std::ranges::copy(initial_, memory_.begin());
        const code::Range whole{reinterpret_cast<u64>(memory_.data()), memory_.size(), true};
        code::Bounds bounds{
            .window = code::window_of(whole), .memory = whole, .may_call = &may_call};
        code::Invocation invocation{.fuel = fuel_, .may_goto = kMayGoto, .bounds = &bounds};
        const u64 r0 =
            enter(memory_.empty() ? nullptr : memory_.data(), memory_.size(), &invocation);
        return outcome(r0, invocation.fault, invocation.fuel);
    }

    Outcome interpret_elsewhere() {
        Outcome outcome;
        run_elsewhere([&] { outcome = interpret(0); });
        return outcome;
    }

    Outcome outcome(u64 r0, u64 fault, u64 fuel) const {
        return {r0, fault, fuel, {memory_.begin(), memory_.end()}, random_map()};
    }

    std::vector<std::byte> slots_;
    std::vector<std::byte> initial_, own_;
    MutableBytes memory_;  // stays where it is
    std::optional<Interpreted> interpreted_;
    u64 fuel_;
    bool emulated_;
};

}  // namespace

std::optional<std::string> try_checked(u64 seed, const std::vector<BaseProgram>& bases,
                                       const Variant& variant, u64* ended) {
    std::vector<std::byte> memory(kRandomMemory);
    for (std::size_t i = 0; i < memory.size(); ++i)
        memory[i] = static_cast<std::byte>(seed * 131 + i * 17);
    std::vector<Insn> insns;
    if (seed % 2 == 0) {
        insns = random_program(seed);
    } else {
        const BaseProgram& base = bases[seed / 2 % bases.size()];
        auto decoded = ir::decode_insns(base.slots);
        if (!decoded) return {};
        insns = std::move(*decoded);
        memory = base.memory;
    }
    Mutator mutator(seed);
    mutator.mutate(insns);
    const u64 fuel = mutator.below(2) == 0 ? mutator.below(400) : kManyInstructions;
    std::vector<std::byte> slots = encoded(insns);
    if (slots.empty()) return {};
    const bool emulated = variant.target.cpu == code::Cpu::AArch64;
    return CheckedPair(std::move(slots), std::move(memory), fuel, emulated).compare(variant, ended);
}

}  // namespace ebpf::engines
