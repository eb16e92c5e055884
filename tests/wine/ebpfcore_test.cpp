// SPDX-License-Identifier: MIT
//
// ebpfcore.sys through its device, as a client and as the trusted service: this program verifies
// and compiles with the same libraries and hands the result to the driver.
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "driver_test.hpp"
#include "engine/load_program.hpp"
#include "isa/text/text.hpp"
#include "spec/map_types.hpp"
#include "spec/program_types.hpp"

namespace ebpf::wine {
namespace {

using spec::Command;
using namespace products::device;

class Ebpfcore : public DriverTest {
  protected:
    i64 update(i64 map, const void* key, const void* data, u64 flags = 0) {
        spec::MapUpdateElemAttr attr{.map_fd = static_cast<u32>(map),
                                     .key = reinterpret_cast<u64>(key),
                                     .value = reinterpret_cast<u64>(data),
                                     .flags = flags};
        return value((*service_)(Command::MapUpdateElem, attr));
    }
    i64 lookup(i64 map, const void* key, void* data) {
        spec::MapLookupElemAttr attr{.map_fd = static_cast<u32>(map),
                                     .key = reinterpret_cast<u64>(key),
                                     .value = reinterpret_cast<u64>(data)};
        return value((*service_)(Command::MapLookupElem, attr));
    }
    i64 remove(i64 map, const void* key) {
        spec::MapDeleteElemAttr attr{.map_fd = static_cast<u32>(map),
                                     .key = reinterpret_cast<u64>(key)};
        return value((*service_)(Command::MapDeleteElem, attr));
    }
    i64 next_key(i64 map, const void* key, void* next) {
        spec::MapGetNextKeyAttr attr{.map_fd = static_cast<u32>(map),
                                     .key = reinterpret_cast<u64>(key),
                                     .next_key = reinterpret_cast<u64>(next)};
        return value((*service_)(Command::MapGetNextKey, attr));
    }

    // --- one map of each type -------------------------------------------------------------------

    i64 create_by_rules(const spec::MapTypeInfo& info, i64 inner) {
        using enum spec::SizeRule;
        const bool prefix = info.key == LpmKey;
        spec::MapCreateAttr attr{
            .map_type = static_cast<u32>(spec::number(spec::Dialect::Linux, info.type)),
            .key_size = info.key == Zero ? 0u
                        : prefix         ? 8u
                                         : 4u,
            .value_size = info.value == Zero                               ? 0u
                          : info.value == Four || info.value == FourOrZero ? 4u
                                                                           : 8u,
            .max_entries = info.entries == spec::EntriesRule::RingBytes ? 65536u : 4u,
            .map_flags = prefix ? spec::kMapNoPrealloc : 0u,
            .inner_map_fd = info.holds == spec::Holds::Map ? static_cast<u32>(inner) : 0u};
        return value((*service_)(Command::MapCreate, attr));
    }
    void try_keys(i64 map, const spec::MapTypeInfo& info) {
        // A prefix is its length in bits, then the bits.
        u64 key = info.key == spec::SizeRule::LpmKey ? 32 | u64{1} << 32 : 1;
        const u64 first = key;
        const u64 data[8] = {77, 78};
        u64 got[8] = {};
        u64 next = 0;
        EXPECT_EQ(update(map, &key, data), 0);
        EXPECT_EQ(lookup(map, &key, got), 0);
        EXPECT_EQ(got[0], 77u);
        int keys = 0;
        for (const void* from = nullptr; next_key(map, from, &next) == 0 && keys < 100; ++keys) {
            key = next;
            from = &key;
        }
        EXPECT_EQ(keys, info.index_key ? 4 : 1);
        const i64 removed = remove(map, &first);
        EXPECT_EQ(removed == 0, !info.index_key) << removed;
        EXPECT_EQ(lookup(map, &first, got) == 0, info.index_key);
    }
    // A ring in a perf event array is not shown to who looks.
    void try_handles(i64 map, u32 handle, bool shown) {
        const u32 key = 1;
        u32 id = 0;
        u32 next = ~0u;
        EXPECT_EQ(update(map, &key, &handle), 0);
        EXPECT_EQ(lookup(map, &key, &id) == 0, shown);
        EXPECT_EQ(id != 0, shown);
        EXPECT_EQ(next_key(map, nullptr, &next), 0);
        EXPECT_EQ(remove(map, &key), 0);
        EXPECT_NE(lookup(map, &key, &id), 0);
    }
    void try_values(i64 map, const spec::MapTypeInfo& info) {
        u64 data = 77;
        EXPECT_EQ(update(map, nullptr, &data), 0);
        data = 78;
        EXPECT_EQ(update(map, nullptr, &data), 0);
        if (info.asks_value) {  // whether it is there; nothing comes out
            u64 there = 77;
            EXPECT_EQ(lookup(map, nullptr, &there), 0);
            int found = 0;
            for (u64 absent = 1000; absent < 1064; ++absent) {
                found += lookup(map, nullptr, &absent) == 0;
            }
            EXPECT_LT(found, 32);  // it errs sometimes, to this side only
            return;
        }
        u64 got = 0;
        spec::MapLookupAndDeleteElemAttr take{.map_fd = static_cast<u32>(map),
                                              .value = reinterpret_cast<u64>(&got)};
        EXPECT_EQ(lookup(map, nullptr, &got), 0);
        EXPECT_EQ(value((*service_)(Command::MapLookupAndDeleteElem, take)), 0);
        EXPECT_EQ(got, info.type == spec::MapType::Stack ? 78u : 77u);
    }

    // --- programs -------------------------------------------------------------------------------

    // Verifies and compiles here, installs there.
    i64 load(std::string_view assembly, engine::EngineChoice choice,
             const std::vector<i64>& maps = {}, Device* through = nullptr) {
        Device& device = through ? *through : *service_;
        const auto slots = isa::text::assemble(assembly, isa::text::Dialect::Llvm);
        if (!slots) {
            ADD_FAILURE() << text_of(slots.error());
            return 0;
        }
        engine::LoadRequest request;
        auto program = ir::decode_program(*slots);
        if (!program) {
            ADD_FAILURE() << text_of(program.error());
            return 0;
        }
        for (isa::Insn& insn : program->insns) {  // "0 ll" stands for the first map
            if (insn.form == isa::Form::Wide) insn.kind = static_cast<u8>(isa::WideKind::MapFd);
        }
        program->dialect = spec::Dialect::Linux;
        program->type = spec::ProgramType::Xdp;
        program->attach = spec::AttachType::Xdp;
        program->license = "GPL";
        program->name = "wine";
        auto job = engine::job_of(*program);
        if (!job) {
            ADD_FAILURE() << text_of(job.error());
            return 0;
        }
        request.job = std::move(*job);
        request.engine = choice;
        const engine::MapResolver resolver{
            const_cast<std::vector<i64>*>(&maps), [](void* self, i32 number, bool) -> Result<u32> {
                return static_cast<u32>(static_cast<std::vector<i64>*>(self)->at(number));
            }};
        const engine::Service trusted{.door = device.door(),
                                      .has_jit = true,
                                      .has_interpreter = true,
                                      .target = jit::Target::host()};
        auto handles = engine::link_maps(request.job, device.door(), device.caller(), resolver);
        if (!handles) return -static_cast<i64>(handles.error().code);
        request.map_handles = *handles;
        std::string log;
        const auto loaded = engine::load_program(trusted, device.caller(), std::move(request), log);
        if (!loaded) {
            last_ = text_of(loaded.error()) + log;
            return -static_cast<i64>(loaded.error().code);
        }
        return loaded->handle;
    }
    // The verdict about a frame of 64 zero bytes but its first, or minus the error.
    i64 test_run(i64 program, u8 first = 0) {
        u8 frame[64] = {first};
        spec::ProgTestRunAttr attr{};
        attr.prog_fd = static_cast<u32>(program);
        attr.data_size_in = sizeof frame;
        attr.data_in = reinterpret_cast<u64>(frame);
        const Result<i64> result = (*service_)(Command::ProgTestRun, attr);
        if (!result) last_ = text_of(result.error());
        return result ? attr.retval : value(result);
    }

    std::string last_;
};

constexpr engine::EngineChoice kEngines[] = {engine::EngineChoice::Jit,
                                             engine::EngineChoice::Interpreter};

TEST_F(Ebpfcore, EveryMapTypeThatExistsTakesItsOperations) {
    const i64 inner = create(*service_, spec::MapType::Hash, 4, 8, 4);
    const i64 ring = create(*service_, spec::MapType::Ringbuf, 0, 0, 65536);
    const i64 program = load("r0 = 2\nexit\n", engine::EngineChoice::Interpreter);
    ASSERT_GT(inner, 0);
    ASSERT_GT(ring, 0);
    ASSERT_GT(program, 0) << last_;
    u64 seen = 0;
    for (int type = 1; type < spec::kMapTypeCount; ++type) {
        const spec::MapTypeInfo& info = spec::info(static_cast<spec::MapType>(type));
        if (!info.implemented || spec::number(spec::Dialect::Linux, info.type) < 0) continue;
        SCOPED_TRACE(info.name);
        const i64 map = create_by_rules(info, inner);
        EXPECT_GT(map, 0);
        if (map <= 0) continue;
        ++seen;
        if (info.key == spec::SizeRule::Zero) {
            if (info.value != spec::SizeRule::Zero) try_values(map, info);
        } else if (info.holds_handles()) {
            const bool is_perf = info.holds == spec::Holds::PerfEvent;
            const i64 held = is_perf ? ring : info.holds == spec::Holds::Map ? inner : program;
            try_handles(map, static_cast<u32>(held), !is_perf);
        } else {
            try_keys(map, info);
        }
    }
    EXPECT_GE(seen, 5u);
    EXPECT_EQ(service_->statistics().maps, before_.maps + seen + 2);
}

TEST_F(Ebpfcore, RunsCompiledAndInterpretedPrograms) {
    for (const auto choice : kEngines) {
        const i64 program = load("r0 = 1\nr0 += 1\nexit\n", choice);
        ASSERT_GT(program, 0) << last_;
        EXPECT_EQ(test_run(program), 2) << last_;
    }
    EXPECT_EQ(service_->statistics().programs, before_.programs + 2);
}

TEST_F(Ebpfcore, ProgramsUseMapsAndHelpers) {
    for (const auto choice : kEngines) {
        const i64 map = create(*service_, spec::MapType::Array, 4, 8, 4);
        ASSERT_GT(map, 0);
        const i64 program = load(
            "r1 = 2\n*(u32 *)(r10 - 4) = r1\nr2 = r10\nr2 += -4\nr1 = 0 ll\ncall 1\n"
            "if r0 == 0 goto +3\nr1 = *(u64 *)(r0 + 0)\nr1 += 5\n*(u64 *)(r0 + 0) = r1\n"
            "r0 = 2\nexit\n",
            choice, {map});
        ASSERT_GT(program, 0) << last_;
        EXPECT_EQ(test_run(program), 2) << last_;
        EXPECT_EQ(test_run(program), 2) << last_;
        const u32 key = 2;
        u64 counter = 0;
        EXPECT_EQ(lookup(map, &key, &counter), 0);
        EXPECT_EQ(counter, 10u);
    }
}

TEST_F(Ebpfcore, RingBuffersAreMappedIntoTheClient) {
    const i64 ring = create(*service_, spec::MapType::Ringbuf, 0, 0, 65536);
    ASSERT_GT(ring, 0);
    const i64 program = load(
        "r1 = 4660\n*(u64 *)(r10 - 8) = r1\nr1 = 0 ll\nr2 = r10\nr2 += -8\nr3 = 8\nr4 = 0\n"
        "call 130\nr0 = 2\nexit\n",
        engine::EngineChoice::Jit, {ring});
    ASSERT_GT(program, 0) << last_;

    spec::RingMapAttr view{.map_fd = static_cast<u32>(ring)};
    ASSERT_EQ(value((*service_)(Command::RingMap, view)), 0);
    ASSERT_EQ(view.data_size, 65536u);
    auto* const consumer = reinterpret_cast<volatile u64*>(view.consumer);
    auto* const producer = reinterpret_cast<const volatile u64*>(view.producer);
    const auto* const data = reinterpret_cast<const std::byte*>(view.data);
    MEMORY_BASIC_INFORMATION page{};
    VirtualQuery(data, &page, sizeof page);
    EXPECT_EQ(page.Protect & 0xFF, DWORD{PAGE_READONLY});
    // Around the ring's end more than once: the data is mapped twice.
    constexpr int kRecords = 10000;
    for (int i = 0; i < kRecords; ++i) {
        ASSERT_EQ(test_run(program), 2);
        ASSERT_EQ(*producer, *consumer + 16);
        u32 header = 0;
        u64 content = 0;
        const std::byte* record = data + (*consumer & 65535);
        std::memcpy(&header, record, sizeof header);
        std::memcpy(&content, record + 8, sizeof content);
        ASSERT_EQ(header, 8u);
        ASSERT_EQ(content, 4660u);
        ASSERT_EQ(std::memcmp(record, record + 65536, 8), 0);
        *consumer = *producer;
        if (i == 64) i = kRecords - 64;  // what is between needs no round trips
    }
    spec::RingWaitAttr wait{.map_fd = static_cast<u32>(ring), .timeout_ms = 0};
    EXPECT_EQ(value((*service_)(Command::RingWait, wait)), 0);
    EXPECT_EQ(test_run(program), 2);
    EXPECT_EQ(value((*service_)(Command::RingWait, wait)), 1);
    // The view goes with the handle; the program keeps its ring.
    EXPECT_NE(CloseHandle(service_->give_up(ring)), 0);
    EXPECT_EQ(test_run(program), 2);
    VirtualQuery(data, &page, sizeof page);
    EXPECT_EQ(page.State, DWORD{MEM_FREE});
}

// Of a user ring buffer the client writes the records, and only reads what was drained.
TEST_F(Ebpfcore, UserRingBuffersAreWrittenByTheClient) {
    const i64 ring = create(*service_, spec::MapType::UserRingbuf, 0, 0, 65536);
    ASSERT_GT(ring, 0);
    spec::RingMapAttr view{.map_fd = static_cast<u32>(ring)};
    ASSERT_EQ(value((*service_)(Command::RingMap, view)), 0);
    ASSERT_EQ(view.data_size, 65536u);
    MEMORY_BASIC_INFORMATION page{};
    VirtualQuery(reinterpret_cast<const void*>(view.consumer), &page, sizeof page);
    EXPECT_EQ(page.Protect & 0xFF, DWORD{PAGE_READONLY});

    spec::RingWaitAttr room{.map_fd = static_cast<u32>(ring), .timeout_ms = 0};
    EXPECT_EQ(value((*service_)(Command::RingWait, room)), 1) << "nothing is in it";
    auto* const data = reinterpret_cast<std::byte*>(view.data);
    const u32 header = 8;
    std::memcpy(data, &header, sizeof header);
    EXPECT_EQ(std::memcmp(data, data + 65536, 8), 0) << "the data is mapped twice";
    *reinterpret_cast<volatile u64*>(view.producer) = 16;
    EXPECT_EQ(value((*service_)(Command::RingWait, room)), 0) << "the driver sees the record";
}

TEST_F(Ebpfcore, OnlyTheTrustedServiceInstalls) {
    Device client(kPath);
    ASSERT_TRUE(client.is_open());
    EXPECT_GT(create(client, spec::MapType::Hash, 4, 8, 4), 0);
    // Errors cross as errno and ebpf_result_t; both of AccessDenied are ReadOnly's too.
    const i64 refused = load("r0 = 1\nexit\n", engine::EngineChoice::Jit, {}, &client);
    EXPECT_TRUE(refused == -static_cast<i64>(Errc::AccessDenied) ||
                refused == -static_cast<i64>(Errc::ReadOnly))
        << refused << last_;
    Device unknown(L"\\\\.\\ebpfcore\\elsewhere");
    EXPECT_FALSE(unknown.is_open());
}

TEST_F(Ebpfcore, AnswersBadMessages) {
    std::mt19937 random(1);
    const auto is_refusal = [](const std::vector<std::byte>& reply) {
        wire::Header header;
        if (reply.size() < sizeof header) return false;
        std::memcpy(&header, reply.data(), sizeof header);
        return header.magic == wire::kMagic && header.linux_error != 0;
    };
    wire::Header good{.kind = wire::Kind::Request, .size = sizeof(wire::Header)};
    const auto send = [&](const wire::Header& header, std::size_t size) {
        return service_->exchange(std::as_bytes(std::span(&header, 1)).first(size), 4096);
    };
    EXPECT_TRUE(is_refusal(send(good, 3)));
    EXPECT_TRUE(is_refusal(send(good, 20)));
    wire::Header bad = good;
    bad.magic = 0;
    EXPECT_TRUE(is_refusal(send(bad, sizeof bad)));
    bad = good;
    bad.version = 99;
    EXPECT_TRUE(is_refusal(send(bad, sizeof bad)));
    bad = good;
    bad.command = 4711;
    EXPECT_TRUE(is_refusal(send(bad, sizeof bad)));
    bad = good;
    bad.attr_size = 0xFFFF'FFFF;
    EXPECT_TRUE(is_refusal(send(bad, sizeof bad)));
    EXPECT_TRUE(service_->exchange(std::as_bytes(std::span(&good, 1)), 8).empty());  // no room

    // Valid headers, random rest.
    for (int i = 0; i < 2000; ++i) {
        std::vector<std::byte> message(sizeof(wire::Header) + random() % 256);
        for (std::byte& b : message) b = static_cast<std::byte>(random() % 4 ? 0 : random());
        wire::Header header{.kind = wire::Kind::Request,
                            .size = static_cast<u32>(message.size()),
                            .command = random() % 2 ? random() % 40 : 0x1000 + random() % 12,
                            .attr_size = static_cast<u32>(random() % 200)};
        if (header.command == static_cast<u32>(Command::RingWait)) continue;
        std::memcpy(message.data(), &header, sizeof header);
        service_->exchange(message, 65536);
    }
    EXPECT_EQ(test_run(load("r0 = 2\nexit\n", engine::EngineChoice::Jit)), 2) << last_;
}

TEST_F(Ebpfcore, StopsAndStartsAgain) {
    for (int i = 0; i < 50; ++i) {
        ASSERT_GT(create(*service_, spec::MapType::Hash, 4, 8, 4), 0);
        service_.reset();
        ASSERT_EQ(driver_.stop(), 0u) << i;
        ASSERT_EQ(driver_.start(), 0u) << i;
        service_ = std::make_unique<Device>(kServicePath);
        ASSERT_TRUE(service_->is_open()) << i;
        const Statistics now = service_->statistics();
        ASSERT_EQ(now.maps, 0u);
        ASSERT_EQ(now.allocations, before_.allocations);
    }
}

}  // namespace
}  // namespace ebpf::wine
