// SPDX-License-Identifier: MIT
// Programs in both engines: helpers, tail calls, test runs, hooks, and what installing refuses.
#include <atomic>
#include <thread>

#include "harness.hpp"
#include "isa/codec.hpp"
#include "jit/jit.hpp"
#include "spec/errors.hpp"

namespace ebpf::runtime::test {
namespace {

using spec::Helper;
using enum isa::Width;

class Programs : public Fixture, public testing::WithParamInterface<Engine> {
  protected:
    i64 install(const std::vector<Insn>& insns, const std::vector<i64>& maps = {}) {
        return Fixture::install(GetParam(), insns, maps);
    }
};
INSTANTIATE_TEST_SUITE_P(Engines, Programs, testing::Values(Engine::Interpreter, Engine::Jit),
                         [](const auto& one) {
                             return one.param == Engine::Jit ? "Jit" : "Interpreter";
                         });

TEST_P(Programs, ReadsItsContextAndReturns) {
    const i64 program = install({load(W64, 0, 1, 0), add(0, 1), exit()});
    ASSERT_GT(program, 0);
    EXPECT_EQ(test_run(program, 41), 42);
    EXPECT_EQ(test_run(program, 41, 1000), 42) << "each repeat starts with the same context";
}

TEST_P(Programs, TestRunGivesTheDataBack) {
    const i64 program = install({store_imm(W32, 1, 4, 77), mov(0, 2), exit()});
    u32 in[16] = {};
    u32 out[16] = {};
    spec::ProgTestRunAttr attr;
    attr.prog_fd = static_cast<u32>(program);
    attr.data_in = reinterpret_cast<u64>(in);
    attr.data_size_in = sizeof in;
    attr.data_out = reinterpret_cast<u64>(out);
    attr.data_size_out = sizeof out;
    EXPECT_EQ(run(spec::Command::ProgTestRun, attr), 0);
    EXPECT_EQ(attr.retval, 2u);
    EXPECT_EQ(out[1], 77u);
    EXPECT_EQ(in[1], 0u);
    attr.data_size_out = 8;
    EXPECT_EQ(run(spec::Command::ProgTestRun, attr), failed(Errc::OutOfSpace));
    EXPECT_EQ(attr.data_size_out, sizeof out);
    attr.data_size_in = 65;
    EXPECT_EQ(run(spec::Command::ProgTestRun, attr), failed(Errc::InvalidArgument));
    attr.flags = 2;
    EXPECT_EQ(run(spec::Command::ProgTestRun, attr), failed(Errc::NotSupported));
}

// *(u32 *)(fp - 4) = the context's first word; r2 = fp - 4; r1 = map 0.
std::vector<Insn> key_from_context() {
    return {mov_reg(6, 1),  load(W64, 2, 1, 0), store(W32, 10, -4, 2),
            mov_reg(2, 10), add(2, -4),         map_index(1, 0)};
}
std::vector<Insn> operator+(std::vector<Insn> a, const std::vector<Insn>& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

// Lookups that the compiler knows the array of, over flags and sizes.
TEST_P(Programs, LookUpInArrays) {
    for (const u32 flags : {0u, u32{spec::kMapMmapable}, u32{spec::kMapReadOnlyProgram}}) {
        for (const u32 size : {8u, 12u, 16u, 24u, 4096u}) {
            const i64 map =
                create({.type = spec::MapType::Array, .value = size, .entries = 5, .flags = flags});
            ASSERT_GT(map, 0) << flags;
            std::vector<std::byte> value(size);
            for (u32 key = 0; key < 5; ++key) {
                value[0] = static_cast<std::byte>(key + 1);
                ASSERT_EQ(update(map, &key, value.data()), 0);
            }
            const i64 program = install(
                key_from_context() + std::vector<Insn>{call(Helper::map_lookup_elem), jeq(0, 0, 1),
                                                       load(W64, 0, 0, 0), exit()},
                {map});
            ASSERT_GT(program, 0) << last_.what;
            for (const u64 key : {0u, 1u, 2u, 3u, 4u, 5u, 6u, 0x7fff'ffffu, ~0u})
                EXPECT_EQ(test_run(program, key), key < 5 ? static_cast<i64>(key) + 1 : 0) << size;
        }
    }
}

TEST_P(Programs, CodeForAnArrayOfAnotherSizeIsRefused) {
    const bool compiled_in = GetParam() == Engine::Jit;  // else the helper is called
    const i64 map = create({.type = spec::MapType::Array, .entries = 5});
    const std::vector<Insn> lookup =
        key_from_context() + std::vector<Insn>{call(Helper::map_lookup_elem), exit()};
    EXPECT_GT(install(lookup, {map}), 0);
    created_[map].entries = 6;
    EXPECT_EQ(install(lookup, {map}) == failed(Errc::InvalidArgument), compiled_in);
    // And an array it must be.
    const i64 hash = create({.type = spec::MapType::Hash, .entries = 5});
    created_[hash].type = spec::MapType::Array;
    EXPECT_EQ(install(lookup, {hash}) == failed(Errc::InvalidArgument), compiled_in);
}

TEST_P(Programs, LookUpAndUpdateMaps) {
    for (const auto type : {spec::MapType::Hash, spec::MapType::Array}) {
        const i64 map = create({.type = type, .entries = 8});
        // Counts up the value at the key; inserts 1 where there is none.
        const i64 program =
            install(key_from_context() +
                        std::vector<Insn>{
                            call(Helper::map_lookup_elem), jeq(0, 0, 4), load(W64, 1, 0, 0),
                            add(1, 1), store(W64, 0, 0, 1), Insn{.form = isa::Form::Ja, .imm = 9},
                            store_imm(W64, 10, -16, 1), map_index(1, 0), mov_reg(2, 10), add(2, -4),
                            mov_reg(3, 10), add(3, -16), mov(4, 0), call(Helper::map_update_elem),
                            mov(0, 9), exit()},
                    {map});
        ASSERT_GT(program, 0);
        EXPECT_EQ(test_run(program, 5, 3), 9);
        const u32 key = 5;
        u64 value = 0;
        EXPECT_EQ(lookup(map, &key, &value), 0);
        EXPECT_EQ(value, 3u) << static_cast<int>(type);
    }
}

TEST_P(Programs, HelpersReturnTheDialectsErrors) {
    const i64 map = create({.type = spec::MapType::Hash});
    const auto code = key_from_context() + std::vector<Insn>{call(Helper::map_delete_elem), exit()};
    const i64 program = install(code, {map});
    ASSERT_GT(program, 0);
    EXPECT_EQ(static_cast<i32>(test_run(program, 1)), -2);  // -ENOENT
    dialect_ = spec::Dialect::Windows;
    const i64 windows = install(code, {map});
    ASSERT_GT(windows, 0);
    EXPECT_EQ(static_cast<i32>(test_run(windows, 1)), -19);  // -EBPF_KEY_NOT_FOUND
}

TEST_P(Programs, DataSectionsAreAddressedDirectly) {
    const i64 map = create({.type = spec::MapType::Array, .value = 32, .entries = 1});
    const u32 key = 0;
    u32 value[8] = {0, 0, 0, 123};
    ASSERT_EQ(update(map, &key, value), 0);
    const i64 program =
        install({map_value(1, 0, 12), load(W32, 0, 1, 0), store_imm(W32, 1, 4, 5), exit()}, {map});
    ASSERT_GT(program, 0);
    EXPECT_EQ(test_run(program), 123);
    EXPECT_EQ(lookup(map, &key, value), 0);
    EXPECT_EQ(value[4], 5u);
    EXPECT_EQ(install({map_value(1, 0, 32), mov(0, 0), exit()}, {map}), failed(Errc::OutOfBounds));
    const i64 hash = create({.type = spec::MapType::Hash});
    EXPECT_EQ(install({map_value(1, 0, 0), mov(0, 0), exit()}, {hash}), failed(Errc::OutOfBounds));
}

TEST_P(Programs, PerCpuValuesAndNumbersAreTheSlots) {
    const i64 map = create({.type = spec::MapType::PercpuArray, .entries = 8});
    const i64 program =
        install(key_from_context() + std::vector<Insn>{call(Helper::map_lookup_elem), jeq(0, 0, 1),
                                                       store_imm(W64, 0, 0, 7),
                                                       call(Helper::get_smp_processor_id), exit()},
                {map});
    ASSERT_GT(program, 0);
    const i64 slot = test_run(program, 2);
    ASSERT_GE(slot, 0);
    ASSERT_LT(slot, 4);
    const u32 key = 2;
    u64 values[4];
    EXPECT_EQ(lookup(map, &key, values), 0);
    for (i64 i = 0; i < 4; ++i) EXPECT_EQ(values[i], i == slot ? 7u : 0u);
}

TEST_P(Programs, TimeRandomAndProcess) {
    const i64 program = install(
        {mov_reg(6, 1), call(Helper::ktime_get_ns), store(W64, 6, 0, 0),
         call(Helper::ktime_get_boot_ns), store(W64, 6, 8, 0), call(Helper::get_prandom_u32),
         store(W64, 6, 16, 0), call(Helper::get_prandom_u32), store(W64, 6, 24, 0),
         call(Helper::get_current_pid_tgid), store(W64, 6, 32, 0), mov(0, 0), exit()});
    ASSERT_GT(program, 0);
    u64 data[8] = {};
    spec::ProgTestRunAttr attr;
    attr.prog_fd = static_cast<u32>(program);
    attr.data_in = attr.data_out = reinterpret_cast<u64>(data);
    attr.data_size_in = attr.data_size_out = sizeof data;
    const u64 before = platform::monotonic_ns();
    ASSERT_EQ(run(spec::Command::ProgTestRun, attr), 0);
    EXPECT_GE(data[0], before);
    EXPECT_LE(data[0], platform::monotonic_ns());
    EXPECT_LE(data[1], platform::boot_ns());
    EXPECT_LT(data[2], u64{1} << 32);
    EXPECT_NE(data[2], data[3]);
    EXPECT_EQ(data[4], platform::current_process_and_thread());
}

TEST_P(Programs, RingBufferHelpers) {
    const i64 ring =
        create({.type = spec::MapType::Ringbuf, .key = 0, .value = 0, .entries = 65536});
    const i64 program = install({store_imm(W64, 10, -8, 4711),
                                 map_index(1, 0),
                                 mov_reg(2, 10),
                                 add(2, -8),
                                 mov(3, 8),
                                 mov(4, 0),
                                 call(Helper::ringbuf_output),
                                 mov_reg(7, 0),
                                 map_index(1, 0),
                                 mov(2, 16),
                                 mov(3, 0),
                                 call(Helper::ringbuf_reserve),
                                 jeq(0, 0, 4),
                                 store_imm(W64, 0, 0, 4712),
                                 mov_reg(1, 0),
                                 mov(2, 0),
                                 call(Helper::ringbuf_submit),
                                 map_index(1, 0),
                                 mov(2, 0),
                                 call(Helper::ringbuf_query),
                                 exit()},
                                {ring});
    ASSERT_GT(program, 0);
    EXPECT_EQ(test_run(program), 16 + 24);
    spec::RingMapAttr attr;
    attr.map_fd = static_cast<u32>(ring);
    ASSERT_EQ(run(spec::Command::RingMap, attr), 0);
    const auto* words = reinterpret_cast<const u64*>(attr.data);
    EXPECT_EQ(words[1], 4711u);
    EXPECT_EQ(words[3], 4712u);
    EXPECT_EQ(words[2] & 0xffffffff, 16u);
}

TEST_P(Programs, ChecksumsAreThoseOfTheDialect) {
    // csum_diff(0, 0, ctx, 8, 1)
    const std::vector<Insn> code = {
        mov_reg(3, 1), mov(1, 0), mov(2, 0), mov(4, 8), mov(5, 1), call(Helper::csum_diff), exit()};
    const i64 linux_program = install(code);
    ASSERT_GT(linux_program, 0);
    EXPECT_EQ(test_run(linux_program, 0xffffffff'00000002), 3)
        << "2 + 0xffffffff + 1 in one's complement: the carry comes round";
    dialect_ = spec::Dialect::Windows;
    const i64 windows = install(code);
    EXPECT_EQ(test_run(windows, 0x0001'0002'0003'0004), 11);
}

TEST_P(Programs, Printing) {
    // "n %d %x" on the stack, values 7 and -1 (as 32 bits).
    char text[16] = "n %d %x";
    u64 words[2];
    std::memcpy(words, text, sizeof text);
    const auto big = [](isa::Reg dst, u64 imm) {
        Insn insn;
        insn.form = isa::Form::Wide;
        insn.kind = static_cast<u8>(isa::WideKind::Imm64);
        insn.dst = dst;
        insn.imm = static_cast<i64>(imm);
        return insn;
    };
    const i64 program =
        install({big(1, words[0]), store(W64, 10, -8, 1), mov_reg(1, 10), add(1, -8), mov(2, 8),
                 mov(3, -7), mov(4, 255), mov(5, 0), call(Helper::trace_printk), exit()});
    ASSERT_GT(program, 0);
    EXPECT_EQ(test_run(program), 7);
    ASSERT_EQ(printed_.size(), 1u);
    EXPECT_EQ(printed_[0], "n -7 ff");
}

// --- tail calls ---------------------------------------------------------------------------------

// counter at map value 0 += 1; tail call through map 1, entry 0; r0 = otherwise
std::vector<Insn> counting_tail_caller(i32 otherwise) {
    return {mov_reg(6, 1),
            map_value(2, 0, 0),
            load(W64, 3, 2, 0),
            add(3, 1),
            store(W64, 2, 0, 3),
            mov_reg(1, 6),
            map_index(2, 1),
            mov(3, 0),
            call(Helper::tail_call),
            mov(0, otherwise),
            exit()};
}

TEST_P(Programs, TailCallsEndAt33) {
    const i64 counter = create({.type = spec::MapType::Array, .entries = 1});
    const i64 programs = create({.type = spec::MapType::ProgArray, .value = 4});
    const i64 program = install(counting_tail_caller(55), {counter, programs});
    ASSERT_GT(program, 0);
    const u32 key = 0;
    u64 count = 0;
    EXPECT_EQ(test_run(program), 55) << "nothing there: the program goes on";
    EXPECT_EQ(lookup(counter, &key, &count), 0);
    EXPECT_EQ(count, 1u);
    const u32 fd = static_cast<u32>(program);
    ASSERT_EQ(update(programs, &key, &fd), 0);
    count = 0;
    ASSERT_EQ(update(counter, &key, &count), 0);
    EXPECT_EQ(test_run(program), 55);
    EXPECT_EQ(lookup(counter, &key, &count), 0);
    EXPECT_EQ(count, 34u);
}

TEST_P(Programs, TailCallsGoToTheOtherEngineWithTheContext) {
    const Engine other = GetParam() == Engine::Jit ? Engine::Interpreter : Engine::Jit;
    const i64 programs = create({.type = spec::MapType::ProgArray, .value = 4});
    const i64 target = Fixture::install(other, {load(W64, 0, 1, 0), add(0, 2), exit()});
    const std::vector<Insn> caller = {map_index(2, 0), mov(3, 1), call(Helper::tail_call),
                                      mov(0, 0), exit()};
    const i64 program = install(caller, {programs});
    ASSERT_GT(program, 0);
    const u32 key = 1;
    const u32 fd = static_cast<u32>(target);
    ASSERT_EQ(update(programs, &key, &fd), 0);
    EXPECT_EQ(test_run(program, 40), 42);
    // The array keeps the program when its handle is closed.
    EXPECT_EQ(close(target), 0);
    EXPECT_EQ(test_run(program, 50), 52);
    EXPECT_EQ(runtime_->live(ObjectKind::Program), 2u);
    EXPECT_EQ(remove(programs, &key), 0);
    EXPECT_EQ(test_run(program, 50), 0);
    EXPECT_EQ(runtime_->live(ObjectKind::Program), 1u);
}

TEST_P(Programs, TailCallInASubprogramReturnsToItsCaller) {
    const Engine other = GetParam() == Engine::Jit ? Engine::Interpreter : Engine::Jit;
    const i64 programs = create({.type = spec::MapType::ProgArray, .value = 4});
    const i64 target = Fixture::install(other, {mov(0, 41), exit()});
    const i64 program =
        install({mov(7, 100), call_local(3), add(0, 1),
                 Insn{.form = isa::Form::AluReg,
                      .kind = static_cast<u8>(isa::AluOp::Add),
                      .dst = 0,
                      .src = 7},
                 exit(), map_index(2, 0), mov(3, 0), call(Helper::tail_call), mov(0, 1), exit()},
                {programs});
    ASSERT_GT(program, 0);
    EXPECT_EQ(test_run(program), 1 + 1 + 100);
    const u32 key = 0;
    const u32 fd = static_cast<u32>(target);
    ASSERT_EQ(update(programs, &key, &fd), 0);
    EXPECT_EQ(test_run(program), 41 + 1 + 100);
}

// A slot's program is replaced, by one of the other engine too, and removed while others run it:
// each run ends in one that was there.
TEST_P(Programs, TailCallsWhileProgramsAreReplaced) {
    const i64 programs = create({.type = spec::MapType::ProgArray, .value = 4});
    const i64 program = install(
        {map_index(2, 0), mov(3, 0), call(Helper::tail_call), mov(0, 1), exit()}, {programs});
    ASSERT_GT(program, 0);
    std::atomic<bool> done{false};
    std::atomic<u64> ran{0}, wrong{0};
    std::thread runner([&] {
        while (!done.load() || ran.load() == 0) {
            const i64 r0 = test_run(program, 0, 100);
            if (r0 < 1 || r0 > 3) wrong.fetch_add(1);
            ran.fetch_add(1);
        }
    });
    const u32 key = 0;
    for (u32 i = 0; i < 300; ++i) {
        const Engine engine = i % 2 == 0 ? Engine::Jit : Engine::Interpreter;
        const i64 target = Fixture::install(engine, {mov(0, static_cast<i32>(2 + i % 2)), exit()});
        const u32 fd = static_cast<u32>(target);
        if (update(programs, &key, &fd) != 0) wrong.fetch_add(1);
        if (close(target) != 0) wrong.fetch_add(1);
        if (i % 3 == 0 && remove(programs, &key) != 0) wrong.fetch_add(1);
    }
    done.store(true);
    runner.join();
    EXPECT_EQ(wrong.load(), 0u);
    EXPECT_GT(ran.load(), 0u);
    (void)remove(programs, &key);
    EXPECT_EQ(runtime_->live(ObjectKind::Program), 1u);
}

TEST_P(Programs, ArrayThatHoldsItsOwnProgramGoesAway) {
    const i64 counter = create({.type = spec::MapType::Array, .entries = 1});
    const i64 programs = create({.type = spec::MapType::ProgArray, .value = 4});
    const i64 program = install(counting_tail_caller(0), {counter, programs});
    const u32 key = 0;
    const u32 fd = static_cast<u32>(program);
    ASSERT_EQ(update(programs, &key, &fd), 0);
    for (const i64 handle : {program, programs, counter}) EXPECT_EQ(close(handle), 0);
    EXPECT_EQ(runtime_->live(ObjectKind::Program), 0u);
    EXPECT_EQ(runtime_->live(ObjectKind::Map), 0u);
}

// --- hooks --------------------------------------------------------------------------------------

TEST_P(Programs, HooksInvokeWhatIsAttached) {
    const i64 program = install({load(W64, 0, 1, 0), add(0, 1), exit()});
    const i64 link = attach(program);
    ASSERT_GT(link, 0);
    ASSERT_EQ(hook_.bindings.size(), 1u);
    EXPECT_EQ(close(program), 0) << "the link keeps it";
    u64 context[8] = {9};
    u64 result = 0;
    EXPECT_EQ(hook_.client->invoke(hook_.bindings[0], context, &result), 0u);
    EXPECT_EQ(result, 10u);
    EXPECT_EQ(hook_.client->dialect(hook_.bindings[0]), static_cast<u32>(spec::Dialect::Linux));

    alignas(8) std::byte state[64];
    ASSERT_EQ(hook_.client->batch_begin(hook_.client, state), 0u);
    EXPECT_EQ(platform::current_irql(), platform::Irql::Dispatch);
    for (u64 i = 0; i < 10; ++i) {
        context[0] = i;
        EXPECT_EQ(hook_.client->batch_invoke(hook_.bindings[0], context, &result, state), 0u);
        EXPECT_EQ(result, i + 1);
    }
    hook_.client->batch_end(state);
    EXPECT_EQ(platform::current_irql(), platform::Irql::Passive);

    // Another program in its place, under the hook's feet.
    const i64 second = install({mov(0, 3), exit()});
    spec::LinkUpdateAttr replace;
    replace.link_fd = static_cast<u32>(link);
    replace.new_prog_fd = static_cast<u32>(second);
    EXPECT_EQ(run(spec::Command::LinkUpdate, replace), 0);
    EXPECT_EQ(hook_.client->invoke(hook_.bindings[0], context, &result), 0u);
    EXPECT_EQ(result, 3u);
    EXPECT_EQ(runtime_->live(ObjectKind::Program), 1u);
    // Closing the link's last handle takes the program off the hook.
    EXPECT_EQ(close(link), 0);
    EXPECT_TRUE(hook_.bindings.empty());
}

// --- what is refused ----------------------------------------------------------------------------

class Installing : public Fixture {};

TEST_F(Installing, Refuses) {
    const std::vector<Insn> good = {mov(0, 0), exit()};
    const auto interpreter = Engine::Interpreter;
    EXPECT_EQ(Fixture::install(interpreter, good, {55}), failed(Errc::InvalidFd));
    const i64 program = Fixture::install(interpreter, good);
    EXPECT_EQ(Fixture::install(interpreter, good, {program}), failed(Errc::InvalidArgument));
    EXPECT_EQ(Fixture::install(interpreter, {map_index(1, 0), mov(0, 0), exit()}),
              failed(Errc::OutOfBounds));
    EXPECT_EQ(Fixture::install(interpreter, {call(Helper::get_stackid), exit()}),
              failed(Errc::NotSupported));
    EXPECT_STREQ(last_.what, "bpf_get_stackid");

    isa::Slot slot[2];
    ASSERT_TRUE(isa::encode(exit(), slot));
    spec::ProgInstallAttr attr;
    attr.code = reinterpret_cast<u64>(slot);
    attr.code_size = 8;
    attr.prog_type = static_cast<u32>(spec::ProgramType::Xdp);
    attr.dialect = 0;
    const auto outcome = [&] { return run(spec::Command::ProgInstall, attr); };
    attr.program_info_hash = 1;
    EXPECT_EQ(outcome(), failed(Errc::StaleProgramInfo));
    attr.program_info_hash = spec::program_info(spec::Dialect::Linux, spec::ProgramType::Xdp)->hash;
    attr.engine = 7;
    EXPECT_EQ(outcome(), failed(Errc::InvalidArgument));
    attr.engine = 0;
    attr.entry = 8;
    EXPECT_EQ(outcome(), failed(Errc::OutOfBounds));
    attr.entry = 0;
    // Machine code that takes one map for another one.
    const u32 array = static_cast<u32>(create({.type = spec::MapType::Array}));
    const std::byte text[16] = {};
    code::Relocation relocation{.kind = code::RelocKind::ObjectSlots64};
    spec::ProgInstallAttr machine = attr;
    machine.engine = static_cast<u32>(code::EngineKind::Jit);
    machine.cpu = static_cast<u32>(jit::Target::host().cpu);
    machine.code = reinterpret_cast<u64>(text);
    machine.code_size = sizeof text;
    machine.map_fds = reinterpret_cast<u64>(&array);
    machine.map_count = 1;
    machine.relocations = reinterpret_cast<u64>(&relocation);
    machine.relocation_count = 1;
    EXPECT_EQ(run(spec::Command::ProgInstall, machine), failed(Errc::InvalidArgument));
    EXPECT_STREQ(last_.what, "type of map");
    relocation.kind = code::RelocKind::ArrayValues64;
    relocation.addend = 5;
    EXPECT_EQ(run(spec::Command::ProgInstall, machine), failed(Errc::InvalidArgument));
    EXPECT_STREQ(last_.what, "entries of the array");
    attr.prog_type = 10000;
    EXPECT_EQ(outcome(), failed(Errc::InvalidArgument));
    attr.prog_type = static_cast<u32>(spec::ProgramType::Xdp);
    attr.code = 0;
    EXPECT_EQ(outcome(), failed(Errc::InvalidArgument));
    spec::Caller nobody = caller();
    nobody.privileged = false;
    attr.code = reinterpret_cast<u64>(slot);
    EXPECT_EQ(run_as(nobody, spec::Command::ProgInstall, attr), failed(Errc::AccessDenied));
    EXPECT_EQ(runtime_->live(ObjectKind::Program), 1u);
}

}  // namespace
}  // namespace ebpf::runtime::test
