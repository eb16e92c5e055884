// SPDX-License-Identifier: MIT
//
// What only the interpreter has: fuel, faults, callbacks, tail calls, and errors of prepare().
#include "interpreter/interpreter.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "isa/text/text.hpp"

namespace ebpf::interpreter {
namespace {

using code::CodeView;
using code::Invocation;
using code::kCustomHelper;
using code::Relocation;
using code::RelocKind;

struct alignas(16) Block {
    std::byte bytes[16];
};

// What the relocations of these tests stand for.
struct World {
    code::HelperFn helper = nullptr;
    u64 map = 0x1000;
};

Result<u64> resolve(void* self, RelocKind kind, u32 index, u32 addend) {
    const World& world = *static_cast<World*>(self);
    switch (kind) {
        case RelocKind::Helper64:
            if (index != (kCustomHelper | 1) || world.helper == nullptr)
                return fail(Errc::UnresolvedSymbol);
            return reinterpret_cast<u64>(world.helper);
        case RelocKind::Map64:
            return world.map + index;
        case RelocKind::MapValue64:
            return 2 * world.map + 100 * index + addend;
        case RelocKind::Function64:
        case RelocKind::HelperOrNull64:
        case RelocKind::HelperNear32:
        case RelocKind::ArrayValues64:
        case RelocKind::ObjectSlots64:
        case RelocKind::Lookup64:
        case RelocKind::LookupNear32:
            break;
    }
    return fail(Errc::Unsupported);
}

class Interpreter : public testing::Test {
  protected:
    Status prepare(std::string_view text, std::vector<Relocation> relocations = {}, u32 entry = 0) {
        const auto slots = isa::text::assemble(text, isa::text::Dialect::Llvm);
        EXPECT_TRUE(slots) << text;
        slots_ = *slots;
        CodeView view;
        view.text = slots_;
        view.entry = entry;
        view.map_count = 10;
        view.relocations = relocations;
        TRY_ASSIGN(const u64 size, kEngine.prepared_size(view));
        memory_.assign((size + 15) / 16, Block{});
        return kEngine.prepare(view, {&world_, resolve},
                               std::as_writable_bytes(std::span(memory_)));
    }
    u64 run(u64 fuel = ~u64{0}) {
        invocation_ = {};
        invocation_.fuel = fuel;
        invocation_.runtime = this;
        return kEngine.run(memory_.data(), nullptr, 0, &invocation_);
    }
    Fault fault() const { return static_cast<Fault>(invocation_.fault); }

    static Relocation helper(u32 slot) {
        return {.offset = 8 * slot, .kind = RelocKind::Helper64, .index = kCustomHelper | 1};
    }

    World world_;
    std::vector<std::byte> slots_;
    std::vector<Block> memory_;
    Invocation invocation_;
};

TEST_F(Interpreter, FuelCountsInstructions) {
    ASSERT_TRUE(prepare("r0 = 0\nagain:\nr0 += 1\nif r0 != 10 goto again\nexit"));
    EXPECT_EQ(run(22), 10u);  // 1 + 10 * 2 + 1
    EXPECT_EQ(fault(), Fault::None);
    EXPECT_EQ(invocation_.fuel, 0u);
    EXPECT_EQ(run(21), 0u);
    EXPECT_EQ(fault(), Fault::OutOfFuel);
}

TEST_F(Interpreter, FuelEndsAnEndlessLoop) {
    ASSERT_TRUE(prepare("again: goto again"));
    run(1'000'000);
    EXPECT_EQ(fault(), Fault::OutOfFuel);
    ASSERT_TRUE(prepare("call f\nexit\nf:\ngoto f"));
    run(1'000);
    EXPECT_EQ(fault(), Fault::OutOfFuel);
    EXPECT_EQ(invocation_.frames, 0u);
}

// The whole run's, and full again in the next.
TEST_F(Interpreter, MayGotoEndsALoop) {
    ASSERT_TRUE(
        prepare("r6 = 0\nl:\nmay_goto out\nr6 += 1\ngoto l\nout:\ncall f\nr0 += r6\nexit\n"
                "f:\nr0 = 0\nmay_goto +1\nr0 = 7\nexit"));
    for (const u64 fuel : {~u64{0}, u64{1} << 40, ~u64{0}}) {
        EXPECT_EQ(run(fuel), code::kMaxMayGoto);
        EXPECT_EQ(invocation_.may_goto, 0u);
    }
}

TEST_F(Interpreter, DeepCallsStopInBothLoops) {
    ASSERT_TRUE(prepare("f: call f\nexit"));
    for (const u64 fuel : {~u64{0}, u64{1000}}) {
        EXPECT_EQ(run(fuel), 0u);
        EXPECT_EQ(fault(), Fault::CallTooDeep);
        EXPECT_EQ(invocation_.frames, 0u);
    }
}

TEST_F(Interpreter, EntryNeedNotBeTheFirstSlot) {
    ASSERT_TRUE(prepare("r0 = 1\nexit\nr0 = 2\nexit", {}, 16));
    EXPECT_EQ(run(), 2u);
    EXPECT_EQ(prepare("r0 = 1 ll\nexit", {}, 8).error().code, Errc::BadJumpTarget);
    EXPECT_EQ(prepare("r0 = 1\nexit", {}, 16).error().code, Errc::OutOfBounds);
    EXPECT_EQ(prepare("r0 = 1\nexit", {}, 4).error().code, Errc::BadFormat);
}

TEST_F(Interpreter, MapsBecomeAddresses) {
    ASSERT_TRUE(prepare("ld_pseudo r0, 5, 3\nld_pseudo r1, 6, 0x700000002\nr0 += r1\nexit",
                        {{.offset = 0, .kind = RelocKind::Map64, .index = 3},
                         {.offset = 16, .kind = RelocKind::MapValue64, .index = 2, .addend = 7}}));
    EXPECT_EQ(run(), 0x1000u + 3 + 0x2000 + 200 + 7);
}

TEST_F(Interpreter, RelocationsMustFit) {
    const auto code_of = [&](std::string_view text, std::vector<Relocation> relocations) {
        const Status s = prepare(text, std::move(relocations));
        return s ? std::string("Ok") : std::string(name(s.error().code));
    };
    EXPECT_EQ(code_of("call 1\nexit", {}), "UnresolvedSymbol");
    EXPECT_EQ(code_of("ld_pseudo r0, 5, 0\nexit", {}), "UnresolvedSymbol");
    EXPECT_EQ(code_of("r0 = 0\nr1 = 0\nexit", {helper(0)}), "BadFormat");
    EXPECT_EQ(code_of("r0 = 0 ll\nexit", {helper(1)}), "BadFormat") << "inside an instruction";
    EXPECT_EQ(code_of("r0 = 0 ll\nexit", {{.offset = 0, .kind = RelocKind::Map64}}), "BadFormat");
    EXPECT_EQ(code_of("ld_pseudo r0, 5, 0\nexit", {{.offset = 0, .kind = RelocKind::MapValue64}}),
              "BadFormat");
    EXPECT_EQ(code_of("call 1\nexit", {helper(0), helper(0)}), "BadFormat") << "twice";
    EXPECT_EQ(code_of("call 1\ncall 1\nexit", {helper(1), helper(0)}), "BadFormat") << "order";
    EXPECT_EQ(code_of("call 1\nexit", {helper(0)}), "UnresolvedSymbol") << "no such helper";
}

TEST_F(Interpreter, RelocationsFromLoweredCode) {
    const auto slots = *isa::text::assemble(
        "r0 = 1 ll\nld_pseudo r1, 5, 3\ncall 0x80000001\nld_pseudo r1, 6, 0x700000002\n"
        "ld_pseudo r1, 4, f\ncall f\nexit\nf: exit",
        isa::text::Dialect::Llvm);
    Relocation r[2];
    ASSERT_EQ(relocations_of(slots, r).value(), 3u) << "all are counted, two are written";
    EXPECT_EQ(r[0].offset, 16u);
    EXPECT_EQ(r[0].kind, RelocKind::Map64);
    EXPECT_EQ(r[0].index, 3u);
    EXPECT_EQ(r[1].offset, 32u);
    EXPECT_EQ(r[1].kind, RelocKind::Helper64);
    EXPECT_EQ(r[1].index, kCustomHelper | 1);
    Relocation all[3];
    ASSERT_TRUE(relocations_of(slots, all));
    EXPECT_EQ(all[2].kind, RelocKind::MapValue64);
    EXPECT_EQ(all[2].index, 2u);
    EXPECT_EQ(all[2].addend, 7u);
    const std::byte bad[8]{std::byte{0xff}};
    EXPECT_EQ(relocations_of(bad, {}).error().code, Errc::BadOpcode);
}

TEST_F(Interpreter, ErrorsNameTheSlot) {
    const Status jump = prepare("r0 = 0\nif r0 == 0 goto +1\nr0 = 5 ll\nexit");
    ASSERT_FALSE(jump);
    EXPECT_EQ(jump.error().code, Errc::BadJumpTarget);
    EXPECT_EQ(jump.error().where.kind, Where::Kind::Instruction);
    EXPECT_EQ(jump.error().where.value, 1u);
    const Status kfunc = prepare("r0 = 0\ncall kfunc 5\nexit");
    ASSERT_FALSE(kfunc);
    EXPECT_EQ(kfunc.error().code, Errc::Unsupported);
    EXPECT_EQ(kfunc.error().where.value, 1u);
}

// A helper that calls the function in its first argument twice.
u64 call_twice(u64 function, u64 a, u64 b, u64, u64, Invocation* invocation) {
    const u64 first[5] = {a, b, 0, 0, 0};
    const u64 result = code::call_function(invocation, function, first);
    const u64 second[5] = {result, b, 0, 0, 0};
    return code::call_function(invocation, function, second);
}

constexpr const char* kCallback =
    "ld_pseudo r1, 4, f\nr2 = 5\nr3 = 7\nr6 = 1000\ncall 1\nr0 += r6\nexit\n"
    "f:\nr6 = 0\nr0 = r1\nr0 *= r2\nexit";

TEST_F(Interpreter, HelpersCallBack) {
    world_.helper = call_twice;
    ASSERT_TRUE(prepare(kCallback, {helper(5)}));
    EXPECT_EQ(run(), 1000u + 5 * 7 * 7);
    EXPECT_EQ(run(1000), 1000u + 5 * 7 * 7);
    // A relocation for the address may be there, and must agree.
    ASSERT_TRUE(prepare(
        kCallback, {{.offset = 0, .kind = RelocKind::Function64, .addend = 8 * 8}, helper(5)}));
    EXPECT_EQ(run(), 1000u + 5 * 7 * 7);
    EXPECT_FALSE(
        prepare(kCallback, {{.offset = 0, .kind = RelocKind::Function64, .addend = 8}, helper(5)}));
}

TEST_F(Interpreter, AFaultInACallbackStopsTheProgram) {
    world_.helper = call_twice;
    ASSERT_TRUE(prepare("ld_pseudo r1, 4, f\ncall 1\nr0 = 7\nexit\nf: goto f", {helper(2)}));
    EXPECT_EQ(run(1000), 0u);
    EXPECT_EQ(fault(), Fault::OutOfFuel);
    ASSERT_TRUE(
        prepare("ld_pseudo r1, 4, f\ncall 1\nr0 = 7\nexit\nf:\ncall g\nexit\ng:\ncall g\nexit",
                {helper(2)}));
    EXPECT_EQ(run(), 0u);
    EXPECT_EQ(fault(), Fault::CallTooDeep);
}

u64 forty_two(u64, u64, u64, u64, u64, Invocation*) {
    return 42;
}

// All 64 bits of the register are the number, and it need not be a constant.
TEST_F(Interpreter, CallsByRegister) {
    world_.helper = forty_two;
    ASSERT_TRUE(prepare("r2 = 5\nr2 /= 5\ncallx r2\nexit"));
    EXPECT_EQ(run(), 42u);
    for (const char* number : {"0", "2", "255", "256", "-1", "0x100000001"}) {
        ASSERT_TRUE(prepare("r2 = " + std::string(number) + " ll\ncallx r2\nexit"));
        EXPECT_EQ(run(), 0u) << number;
        EXPECT_EQ(fault(), Fault::BadHelper) << number;
    }
}

u64 tail_call(u64, u64, u64, u64, u64, Invocation* invocation) {
    invocation->tail_pending = invocation;
    invocation->run_tail = [](Invocation* i) {
        i->tail_pending = nullptr;
        return u64{500};
    };
    return 77;
}

TEST_F(Interpreter, ATailCallLeavesTheEntryAtOnce) {
    world_.helper = tail_call;
    ASSERT_TRUE(prepare("call 1\nr0 = 1\nexit", {helper(0)}));
    EXPECT_EQ(run(), 77u);
    EXPECT_NE(invocation_.tail_pending, nullptr) << "the execution context's to take";
}

TEST_F(Interpreter, ATailCallInASubprogramIsItsResult) {
    world_.helper = tail_call;
    ASSERT_TRUE(prepare("call f\nr0 += 1\nexit\nf:\ncall 1\nr0 = 2\nexit", {helper(3)}));
    EXPECT_EQ(run(), 501u);
    EXPECT_EQ(invocation_.tail_pending, nullptr);
}

TEST_F(Interpreter, MemoryMustBeLargeEnoughAndAligned) {
    const auto slots = *isa::text::assemble("exit", isa::text::Dialect::Llvm);
    CodeView view;
    view.text = slots;
    const u64 size = *kEngine.prepared_size(view);
    std::vector<Block> memory(size / 16 + 2);
    const MutableBytes all = std::as_writable_bytes(std::span(memory));
    EXPECT_TRUE(kEngine.prepare(view, {&world_, resolve}, all.first(size)));
    EXPECT_FALSE(kEngine.prepare(view, {&world_, resolve}, all.first(size - 1)));
    EXPECT_FALSE(kEngine.prepare(view, {&world_, resolve}, all.subspan(4)));
    view.engine = code::EngineKind::Jit;
    view.cpu = code::Cpu::X86_64;
    EXPECT_FALSE(kEngine.prepared_size(view));
}

}  // namespace
}  // namespace ebpf::interpreter
