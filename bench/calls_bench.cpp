// SPDX-License-Identifier: MIT
//
// What calls cost in machine code, beside the same in C in the same run: an empty run beside an
// indirect call, the same through a hook, a call of a helper beside a direct call of the same
// function, a lookup in an array beside the same loads. Prints nanoseconds (the best of many
// rounds) and ratios.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "engine/load_program.hpp"
#include "hooks/xdp.hpp"
#include "ir/program.hpp"
#include "isa/text/text.hpp"
#include "jit/jit.hpp"
#include "platform/memory.hpp"
#include "runtime/runtime.hpp"
#include "spec/program_types.hpp"

namespace {

using namespace ebpf;
using isa::AluOp;
using isa::Form;
using isa::Insn;

constexpr u64 kCalls = 1000;

// As the compiler of another file sees it: it passes all six arguments.
[[gnu::noipa]] u64 far_helper(u64 a, u64, u64, u64, u64, code::Invocation*) {
    return a + 1;
}

[[gnu::noinline]] u64 call_directly(code::Invocation* invocation) {
    u64 result = 0;
    for (u64 n = kCalls; n != 0; --n) result += far_helper(n, n, 0, 0, 0, invocation);
    return result;
}

// The array that programs and C look things up in, at keys that are in memory.
constexpr u32 kEntries = kCalls + 1;
u64 values[kEntries];

[[gnu::noipa]] u64 look_up(u64, u64 key, u64, u64, u64, code::Invocation*) {
    const u32 index = *reinterpret_cast<const u32*>(key);
    return index < kEntries ? reinterpret_cast<u64>(&values[index]) : 0;
}

[[gnu::noinline]] u64 sum_directly() {
    u64 result = 0;
    for (u32 n = kCalls; n != 0; --n) {
        volatile u32 key = n;
        const u32 index = key;
        if (index < kEntries) result += values[index];
    }
    return result;
}

u64 empty(void*, u64, code::Invocation*) {
    return 0;
}

Insn alu(AluOp op, isa::Reg dst, isa::Reg src) {
    return {.form = Form::AluReg, .kind = static_cast<u8>(op), .dst = dst, .src = src};
}
Insn alu_imm(AluOp op, isa::Reg dst, i64 imm) {
    return {.form = Form::AluImm, .kind = static_cast<u8>(op), .dst = dst, .imm = imm};
}

template <typename T>
T value_or_die(Result<T> result) {
    if (result) return std::move(*result);
    char text[200];
    render(result.error(), text);
    std::fprintf(stderr, "bench_calls: %s\n", text);
    std::exit(1);
}
void must(const Status& status) {
    if (!status) value_or_die<int>(std::unexpected(status.error()));
}

// Machine code of `insns`, whose helpers are all `helper`.
class Code {
  public:
    explicit Code(std::vector<Insn> insns, const jit::Options& options = {},
                  code::HelperFn helper = &far_helper, const ir::Facts& facts = {}) {
        ir::Program program;
        program.insns = std::move(insns);
        program.maps.resize(1);
        program.maps[0].type = spec::MapType::Array;
        program.maps[0].value_size = sizeof values[0];
        program.maps[0].max_entries = kEntries;
        must(ir::resolve_control_flow(program));
        const auto output =
            value_or_die(jit::compile(program, facts, jit::Target::host(), options));
        pages_.emplace(value_or_die(platform::CodePages::create(output.text.size())));
        std::ranges::copy(output.text, pages_->writable().begin());
        const code::Resolver resolver{
            reinterpret_cast<void*>(helper),
            [](void* self, code::RelocKind kind, u32, u32) -> Result<u64> {
                const bool array = kind == code::RelocKind::ArrayValues64;
                return reinterpret_cast<u64>(array ? values : self);
            }};
        const auto text = pages_->writable().first(output.text.size());
        must(code::relocate(text, output.relocations, resolver));
        must(pages_->seal());
        entry_ = reinterpret_cast<code::EntryFn>(reinterpret_cast<u64>(pages_->address()) +
                                                 output.entry);
    }
    code::EntryFn entry() const { return entry_; }

  private:
    std::optional<platform::CodePages> pages_;
    code::EntryFn entry_ = nullptr;
};

// Nanoseconds of one `run`.
template <typename Run>
double best(u64 runs, Run run) {
    double best = 1e9;
    for (int round = 0; round < 200; ++round) {
        const auto start = std::chrono::steady_clock::now();
        for (u64 i = 0; i < runs; ++i) run();
        const std::chrono::duration<double, std::nano> time =
            std::chrono::steady_clock::now() - start;
        best = std::min(best, time.count() / static_cast<double>(runs));
    }
    return best;
}

double of_entry(code::EntryFn function, u64 runs) {
    code::Invocation invocation;
    code::EntryFn volatile entry = function;
    return best(runs, [&] { entry(nullptr, 0, &invocation); });
}

void print(const char* what, double ns, double baseline) {
    std::printf("%-34s %8.2f ns  %6.2f\n", what, ns, ns / baseline);
}

// r7 = 0; r6 = kCalls; do { r1 = r2 = r6; r7 += helper(); } while (--r6 != 0); return r7
std::vector<Insn> calling_program() {
    return {alu_imm(AluOp::Mov, 7, 0),
            alu_imm(AluOp::Mov, 6, kCalls),
            alu(AluOp::Mov, 1, 6),
            alu(AluOp::Mov, 2, 6),
            {.form = Form::Call, .imm = i64{code::kCustomHelper} | 1},
            alu(AluOp::Add, 7, 0),
            alu_imm(AluOp::Sub, 6, 1),
            {.form = Form::JmpImm, .kind = static_cast<u8>(isa::Cond::Ne), .dst = 6, .off = -6},
            alu(AluOp::Mov, 0, 7),
            {.form = Form::Exit}};
}

// r7 = 0; r6 = kCalls; do { key = r6; r0 = lookup(map, &key); if (r0) r7 += *r0; } while (--r6)
std::vector<Insn> lookup_program() {
    return {alu_imm(AluOp::Mov, 7, 0),
            alu_imm(AluOp::Mov, 6, kCalls),
            {.form = Form::StoreReg, .width = isa::Width::W32, .dst = 10, .src = 6, .off = -4},
            alu(AluOp::Mov, 2, 10),
            alu_imm(AluOp::Add, 2, -4),
            {.form = Form::Wide, .kind = static_cast<u8>(isa::WideKind::MapIndex), .dst = 1},
            {.form = Form::Call, .imm = static_cast<i64>(spec::Helper::map_lookup_elem)},
            {.form = Form::JmpImm, .kind = static_cast<u8>(isa::Cond::Eq), .dst = 0, .off = 2},
            {.form = Form::Load, .width = isa::Width::W64, .dst = 1, .src = 0},
            alu(AluOp::Add, 7, 1),
            alu_imm(AluOp::Sub, 6, 1),
            {.form = Form::JmpImm, .kind = static_cast<u8>(isa::Cond::Ne), .dst = 6, .off = -11},
            alu(AluOp::Mov, 0, 7),
            {.form = Form::Exit}};
}

void print_lookups() {
    for (u32 i = 0; i < kEntries; ++i) values[i] = i * i;
    ir::Facts facts;
    facts.insns.assign(lookup_program().size(), {.reachable = true});
    const Code called(lookup_program(), {}, &look_up, facts);
    facts.insns[6].constant_map = 0;
    const Code inlined(lookup_program(), {}, &look_up, facts);
    for (const Code* code : {&called, &inlined}) {
        code::Invocation invocation;
        if (code->entry()(nullptr, 0, &invocation) == sum_directly()) continue;
        std::fprintf(stderr, "bench_calls: the program looks up something else\n");
        std::exit(1);
    }
    const double direct = best(10, [] { (void)sum_directly(); }) / kCalls;
    print("lookup in an array, in C", direct, direct);
    print("... in a program, inlined", of_entry(inlined.entry(), 10) / kCalls, direct);
    print("... by a helper, far away", of_entry(called.entry(), 10) / kCalls, direct);
}

// An execution context with an XDP hook that has an empty program, `return XDP_PASS`.
class Hooked {
  public:
    static constexpr u32 kInterface = 1;

    Hooked() : runtime_(value_or_die(runtime::Runtime::create({}))) {
        must(runtime_->register_hook_provider(hook.provider()));
        const spec::Door door = runtime_->door();
        const spec::Caller caller{door.open_session(door.self), spec::Dialect::Linux, true};
        spec::LinkCreateAttr link;
        link.prog_fd = install(door, caller);
        link.target_fd = kInterface;
        link.attach_type =
            static_cast<u32>(spec::number(spec::Dialect::Linux, spec::AttachType::Xdp));
        value_or_die(door(caller, spec::Command::LinkCreate, &link));
        session_ = caller.session;
    }
    ~Hooked() {
        const spec::Door door = runtime_->door();
        door.close_session(door.self, session_);
        runtime::Runtime::destroy(runtime_);
    }
    Hooked(const Hooked&) = delete;
    Hooked& operator=(const Hooked&) = delete;

    hooks::XdpHook hook;

  private:
    static u32 install(const spec::Door& door, const spec::Caller& caller) {
        const auto slots =
            value_or_die(isa::text::assemble("r0 = 2\nexit\n", isa::text::Dialect::Llvm));
        ir::Program program = value_or_die(ir::decode_program(slots));
        program.dialect = spec::Dialect::Linux;
        program.type = spec::ProgramType::Xdp;
        program.attach = spec::AttachType::Xdp;
        program.license = "GPL";
        engine::LoadRequest request{.job = value_or_die(engine::job_of(program))};
        const engine::Service service{.door = door, .has_jit = true, .target = jit::Target::host()};
        std::string log;
        return value_or_die(engine::load_program(service, caller, std::move(request), log)).handle;
    }

    runtime::Runtime* runtime_;
    void* session_ = nullptr;
};

void print_hook(double indirect) {
    Hooked hooked;
    u8 memory[hooks::kXdpHeadroom + 64 + hooks::kXdpTailroom] = {};
    hooks::XdpFrame frame;
    frame.reset(memory, sizeof memory, 64, Hooked::kInterface);
    if (hooked.hook.receive(Hooked::kInterface, frame) != hooks::XdpVerdict::Pass) {
        std::fprintf(stderr, "bench_calls: the program at the hook does not pass\n");
        std::exit(1);
    }
    print("empty run through the XDP hook",
          best(1000, [&] { (void)hooked.hook.receive(Hooked::kInterface, frame); }), indirect);
    hooks::XdpHook::Batch batch(hooked.hook, Hooked::kInterface);
    print("... one of many in a batch", best(1000, [&] { (void)batch.receive(frame); }), indirect);
}

}  // namespace

int main() {
    std::printf("%-34s %11s  %6s\n", "", "time", "ratio");
    const double indirect = of_entry(&empty, 1000);
    print("indirect call of a C function", indirect, indirect);
    const Code nothing({alu_imm(AluOp::Mov, 0, 0), {.form = Form::Exit}});
    print("empty run", of_entry(nothing.entry(), 1000), indirect);
    print_hook(indirect);

    code::Invocation invocation;
    const double direct = best(10, [&] { call_directly(&invocation); }) / kCalls;
    print("direct call of a C function", direct, direct);
    // A library's helpers are near the code, which the system puts below the libraries; those of a
    // program itself are not. Near ones here are machine code of the same function.
    const Code near_helper(
        {alu(AluOp::Mov, 0, 1), alu_imm(AluOp::Add, 0, 1), {.form = Form::Exit}});
    const auto near = reinterpret_cast<code::HelperFn>(reinterpret_cast<u64>(near_helper.entry()));
    const Code calls(calling_program(), {}, near);
    if (calls.entry()(nullptr, 0, &invocation) != call_directly(&invocation)) {
        std::fprintf(stderr, "bench_calls: the program computes something else\n");
        return 1;
    }
    print("call of a helper", of_entry(calls.entry(), 10) / kCalls, direct);
    const Code far(calling_program());
    print("... that is far away", of_entry(far.entry(), 10) / kCalls, direct);
    const Code safe(calling_program(), {.safe_indirect_calls = true});
    print("... with safe_indirect_calls, far", of_entry(safe.entry(), 10) / kCalls, direct);
    const Code blind(calling_program(), {.blind_constants = true, .blinding_seed = 7}, near);
    print("... with blind_constants", of_entry(blind.entry(), 10) / kCalls, direct);
    const Code watched(calling_program(), {.metered = true, .cancellable = true}, near);
    print("... metered and cancellable", of_entry(watched.entry(), 10) / kCalls, direct);
    print_lookups();
    return 0;
}
