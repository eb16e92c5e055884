// SPDX-License-Identifier: MIT
//
// Requests and replies through the codec, with a door that looks at what it gets. "Client" is what
// has pointers of its own, "server" what calls the door.
#include "wire/translate.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "isa/codec.hpp"
#include "spec/door.hpp"
#include "spec/info_layout.hpp"

namespace ebpf::wire {
namespace {

using spec::Command;

template <typename T>
u64 address(T* pointer) {
    return reinterpret_cast<u64>(pointer);
}

// One object per handle.
struct World {
    std::map<u32, Shape> objects;
    static Result<Shape> of(void* self, u32 handle) {
        auto& objects = static_cast<World*>(self)->objects;
        const auto found = objects.find(handle);
        if (found == objects.end()) return fail(Errc::InvalidFd, {}, "handle", handle);
        return found->second;
    }
    Shapes shapes() { return {this, &of}; }
};

class Wire : public testing::Test {
  protected:
    World world{{{7, {.kind = 1, .key_size = 4, .value_size = 24}},
                 {8, {.kind = 3}},
                 {9, {.kind = 1, .key_size = 4, .value_size = 4, .holds_handles = 1}}}};

    using Door = std::function<Result<i64>(Command, void*)>;

    std::vector<std::byte> request(Command command, void* attr, Plan& plan, u64 id = 1) {
        const auto planned = plan_request(command, attr, world.shapes(), plan);
        EXPECT_TRUE(planned);
        std::vector<std::byte> message(plan.request_size);
        write_request(plan, attr, spec::Dialect::Linux, id, message);
        return message;
    }

    std::vector<std::byte> serve(std::vector<std::byte> message, const Door& door) {
        Request got;
        const auto decoded = decode(message, world.shapes(), got);
        if (!decoded) {
            std::vector<std::byte> reply(sizeof(Header));
            refuse(message, decoded.error(), reply);
            return reply;
        }
        std::vector<std::byte> reply(got.plan.reply_size, std::byte{0xa5});
        bind_pointers(got, message, reply);
        const auto result = door(got.plan.command->command, got.attr.data());
        const u32 size = finish(got, result, reply);
        EXPECT_LE(size, reply.size());
        reply.resize(size);
        return reply;
    }

    template <typename Attr>
    Result<i64> call(Command command, Attr& attr, const Door& door) {
        Plan plan;
        const auto message = request(command, &attr, plan, 42);
        const auto reply = serve(message, door);
        return read_reply(plan, reply, 42, &attr);
    }
};

TEST_F(Wire, InputsArriveAndOutputsReturn) {
    u32 key = 5;
    char value[24] = "before";
    spec::MapLookupElemAttr attr{.map_fd = 7, .key = address(&key), .value = address(value)};
    const auto result = call(Command::MapLookupElem, attr, [&](Command command, void* at) {
        EXPECT_EQ(command, Command::MapLookupElem);
        const auto& got = *static_cast<spec::MapLookupElemAttr*>(at);
        EXPECT_EQ(got.map_fd, 7u);
        EXPECT_EQ(*reinterpret_cast<const u32*>(got.key), 5u);
        EXPECT_NE(got.key, address(&key));
        std::strcpy(reinterpret_cast<char*>(got.value), "from the door");
        return Result<i64>(0);
    });
    ASSERT_TRUE(result);
    EXPECT_STREQ(value, "from the door");
    EXPECT_EQ(attr.key, address(&key));
    EXPECT_EQ(attr.value, address(value));
}

TEST_F(Wire, FailureLeavesTheCallersBuffersAlone) {
    u32 key = 5;
    char value[24] = "before";
    spec::MapLookupElemAttr attr{.map_fd = 7, .key = address(&key), .value = address(value)};
    const auto result = call(Command::MapLookupElem, attr, [](Command, void* at) -> Result<i64> {
        auto& got = *static_cast<spec::MapLookupElemAttr*>(at);
        std::strcpy(reinterpret_cast<char*>(got.value), "half");
        return fail(Errc::KeyNotFound, at_argument(3));
    });
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Errc::KeyNotFound);
    EXPECT_EQ(result.error().where.value, 3u);
    EXPECT_STREQ(value, "before");
}

TEST_F(Wire, EveryErrorCrosses) {
    u32 different = 0;
    for (u32 i = 1; i <= static_cast<u32>(Errc::IoError); ++i) {
        spec::MapFreezeAttr attr{.map_fd = 7};
        const auto result = call(Command::MapFreeze, attr, [&](Command, void*) -> Result<i64> {
            return fail(static_cast<Errc>(i));
        });
        ASSERT_FALSE(result);
        // Rows that both dialects report alike cannot be told apart, and nobody can see it.
        different += result.error().code != static_cast<Errc>(i);
    }
    EXPECT_LT(different, 16u);
}

TEST_F(Wire, NullPointersStayNull) {
    u32 next = 0;
    spec::MapGetNextKeyAttr attr{.map_fd = 7, .next_key = address(&next)};
    ASSERT_TRUE(call(Command::MapGetNextKey, attr, [](Command, void* at) -> Result<i64> {
        const auto& got = *static_cast<spec::MapGetNextKeyAttr*>(at);
        EXPECT_EQ(got.key, 0u);
        *reinterpret_cast<u32*>(got.next_key) = 17;
        return 0;
    }));
    EXPECT_EQ(next, 17u);
}

TEST_F(Wire, TextsEndWhereTheyEnd) {
    const std::string path = "/sys/fs/bpf/a/long/enough/path";
    spec::ObjPinAttr attr{.pathname = address(path.c_str()), .bpf_fd = 7};
    ASSERT_TRUE(call(Command::ObjPin, attr, [&](Command, void* at) -> Result<i64> {
        EXPECT_EQ(path,
                  reinterpret_cast<const char*>(static_cast<spec::ObjPinAttr*>(at)->pathname));
        return 0;
    }));
    const std::string endless(5000, 'x');
    attr.pathname = address(endless.c_str());
    Plan plan;
    const auto planned = plan_request(Command::ObjPin, &attr, world.shapes(), plan);
    ASSERT_FALSE(planned);
    EXPECT_EQ(planned.error().code, Errc::NameTooLong);
}

TEST_F(Wire, ALogReturnsAsFarAsItWasWrittenAlsoOnFailure) {
    std::vector<isa::Slot> insns(2);
    std::vector<char> log(1 << 20, 'x');
    spec::ProgLoadAttr attr{.insn_cnt = 2,
                            .insns = address(insns.data()),
                            .license = address("GPL"),
                            .log_level = 1,
                            .log_size = static_cast<u32>(log.size()),
                            .log_buf = address(log.data())};
    Plan plan;
    const auto message = request(Command::ProgLoad, &attr, plan);
    const auto reply = serve(message, [](Command, void* at) -> Result<i64> {
        auto& got = *static_cast<spec::ProgLoadAttr*>(at);
        EXPECT_STREQ(reinterpret_cast<const char*>(got.license), "GPL");
        std::strcpy(reinterpret_cast<char*>(got.log_buf), "why not");
        got.log_true_size = 8;
        return fail(Errc::VerificationFailed);
    });
    EXPECT_LT(message.size(), 1000u);
    EXPECT_LT(reply.size(), 1000u);
    const auto result = read_reply(plan, reply, 1, &attr);
    ASSERT_FALSE(result);
    EXPECT_STREQ(log.data(), "why not");
    EXPECT_EQ(log[9], 'x');
    EXPECT_EQ(attr.log_true_size, 8u);
}

TEST_F(Wire, SizesThatTheCommandChangesBoundWhatReturns) {
    char in[16] = "packet", out[64];
    std::memset(out, 'o', sizeof out);
    spec::ProgTestRunAttr attr{.prog_fd = 8,
                               .data_size_in = 16,
                               .data_size_out = 64,
                               .data_in = address(in),
                               .data_out = address(out)};
    ASSERT_TRUE(call(Command::ProgTestRun, attr, [](Command, void* at) -> Result<i64> {
        auto& got = *static_cast<spec::ProgTestRunAttr*>(at);
        std::memcpy(reinterpret_cast<void*>(got.data_out),
                    reinterpret_cast<const void*>(got.data_in), 10);
        got.data_size_out = 10;
        got.retval = 2;
        return 0;
    }));
    EXPECT_EQ(attr.data_size_out, 10u);
    EXPECT_EQ(attr.retval, 2u);
    EXPECT_STREQ(out, "packet");
    EXPECT_EQ(out[10], 'o');
    // Too small: what fits returns, with the size that it would have needed.
    attr.data_size_out = 4;
    std::memset(out, 'o', sizeof out);
    EXPECT_FALSE(call(Command::ProgTestRun, attr, [](Command, void* at) -> Result<i64> {
        auto& got = *static_cast<spec::ProgTestRunAttr*>(at);
        std::memcpy(reinterpret_cast<void*>(got.data_out), "pack", 4);
        got.data_size_out = 16;
        return fail(Errc::OutOfSpace);
    }));
    EXPECT_EQ(attr.data_size_out, 16u);
    EXPECT_EQ(std::string(out, 5), "packo");
}

TEST_F(Wire, ArraysOfAnInfoStructureReturnAndNoAddressDoes) {
    u32 ids[4] = {};
    spec::linux_abi::ProgInfo info{};
    info.nr_map_ids = 4;
    info.map_ids = address(ids);
    info.xlated_prog_insns = 0xdead0000;  // an address with no length: nothing is read or written
    spec::ObjGetInfoByFdAttr attr{.bpf_fd = 8, .info_len = sizeof info, .info = address(&info)};
    ASSERT_TRUE(call(Command::ObjGetInfoByFd, attr, [&](Command, void* at) -> Result<i64> {
        auto& got = *static_cast<spec::ObjGetInfoByFdAttr*>(at);
        auto& there = *reinterpret_cast<spec::linux_abi::ProgInfo*>(got.info);
        EXPECT_NE(there.map_ids, address(ids));
        EXPECT_NE(there.xlated_prog_insns, 0xdead0000u);
        reinterpret_cast<u32*>(there.map_ids)[1] = 77;
        there.nr_map_ids = 2;
        there.id = 3;
        there.jited_prog_insns = 0x1234;
        return 0;
    }));
    EXPECT_EQ(info.id, 3u);
    EXPECT_EQ(info.nr_map_ids, 2u);
    EXPECT_EQ(ids[1], 77u);
    EXPECT_EQ(info.map_ids, address(ids));
    EXPECT_EQ(info.xlated_prog_insns, 0xdead0000u);
    EXPECT_EQ(info.jited_prog_insns, 0u);
}

// A peer that cuts its reply anywhere gets nothing read behind it (the address sanitizer sees
// that).
TEST_F(Wire, RepliesCutShortAreRead) {
    u32 ids[4] = {};
    std::byte records[64] = {};
    spec::linux_abi::ProgInfo info{};
    info.nr_map_ids = 4;
    info.map_ids = address(ids);
    info.nr_line_info = 4;
    info.line_info_rec_size = 16;
    info.line_info = address(records);
    spec::ObjGetInfoByFdAttr attr{.bpf_fd = 8, .info_len = sizeof info, .info = address(&info)};
    Plan plan;
    const auto message = request(Command::ObjGetInfoByFd, &attr, plan);
    const auto reply = serve(message, [](Command, void*) { return Result<i64>(0); });
    for (u32 size = 0; size <= reply.size(); ++size) {
        std::vector<std::byte> cut(reply.begin(), reply.begin() + size);
        if (size >= sizeof(Header)) std::memcpy(cut.data() + offsetof(Header, size), &size, 4);
        auto result_info = info;
        auto result_attr = attr;
        result_attr.info = address(&result_info);
        const auto result = read_reply(plan, cut, 1, &result_attr);
        EXPECT_EQ(result.has_value(), size >= sizeof(Header) + sizeof attr) << size;
    }
}

TEST_F(Wire, APlaceThatWeDoNotKnowIsNone) {
    spec::MapFreezeAttr attr{.map_fd = 7};
    Plan plan;
    const auto message = request(Command::MapFreeze, &attr, plan);
    auto reply =
        serve(message, [](Command, void*) -> Result<i64> { return fail(Errc::Busy, at_insn(3)); });
    EXPECT_EQ(read_reply(plan, reply, 1, &attr).error().where.value, 3u);
    const u32 unknown = 200;
    std::memcpy(reply.data() + offsetof(Header, where), &unknown, sizeof unknown);
    const auto result = read_reply(plan, reply, 1, &attr);
    EXPECT_EQ(result.error().code, Errc::Busy);
    EXPECT_EQ(result.error().where.kind, Where::Kind::None);
}

TEST_F(Wire, HalfAnAddressAtTheEndOfAnInfoStructureIsNone) {
    spec::linux_abi::ProgInfo info{};
    std::memset(&info, 0xff, sizeof info);
    const u32 length = offsetof(spec::linux_abi::ProgInfo, map_ids) + 4;
    info.jited_prog_len = info.xlated_prog_len = 0;
    spec::ObjGetInfoByFdAttr attr{.bpf_fd = 8, .info_len = length, .info = address(&info)};
    ASSERT_TRUE(call(Command::ObjGetInfoByFd, attr, [&](Command, void* at) -> Result<i64> {
        const auto& got = *static_cast<spec::ObjGetInfoByFdAttr*>(at);
        spec::linux_abi::ProgInfo seen{};
        std::memcpy(&seen, reinterpret_cast<const void*>(got.info), length);
        EXPECT_EQ(seen.map_ids, 0u);
        return 0;
    }));
}

TEST_F(Wire, DescriptorsInInstructionsAndArrays) {
    using isa::WideKind;
    const auto wide = [](WideKind kind, u32 low, u32 high, std::vector<std::byte>& out) {
        isa::Slot slots[2];
        const isa::Insn insn{.form = isa::Form::Wide,
                             .kind = static_cast<u8>(kind),
                             .dst = 1,
                             .imm = static_cast<i64>(u64{high} << 32 | low)};
        ASSERT_TRUE(isa::encode(insn, slots));
        const auto bytes = std::as_bytes(std::span(slots));
        out.insert(out.end(), bytes.begin(), bytes.end());
    };
    std::vector<std::byte> slots;
    wide(WideKind::MapFd, 3, 0, slots);
    wide(WideKind::MapFdValue, 4, 16, slots);
    wide(WideKind::MapIndex, 2, 0, slots);
    EXPECT_EQ(fd_array_used(slots), 3u);
    const Descriptors descriptors{nullptr, [](void*, i32 fd) -> Result<u32> {
                                      return fd < 0 ? Result<u32>(fail(Errc::InvalidFd))
                                                    : Result<u32>(fd + 100);
                                  }};
    i32 array[3] = {-1, 5, 6};
    ASSERT_TRUE(translate_instructions(slots, array, descriptors));
    EXPECT_EQ(isa::decode(slots, 0)->map_index(), 103u);
    EXPECT_EQ(isa::decode(slots, 2)->map_index(), 104u);
    EXPECT_EQ(isa::decode(slots, 2)->map_value_offset(), 16u);
    EXPECT_EQ(isa::decode(slots, 4)->map_index(), 2u);
    EXPECT_EQ(array[2], 106);
    EXPECT_EQ(translate_instructions(slots, {}, descriptors).error().code, Errc::InvalidPointer);
}

TEST_F(Wire, DescriptorsInFieldsAndValues) {
    const Descriptors descriptors{nullptr, [](void*, i32 fd) -> Result<u32> {
                                      if (fd < 0) return fail(Errc::InvalidFd);
                                      if (fd == 5) return fail(Errc::InvalidArgument);
                                      return static_cast<u32>(fd) + 100;
                                  }};
    const spec::CommandInfo& update = *spec::find_command(static_cast<u32>(Command::MapUpdateElem));
    i32 value = 6;
    spec::MapUpdateElemAttr one{.map_fd = 3, .key = address(&value), .value = address(&value)};
    translate_fields(update, &one, descriptors);
    EXPECT_EQ(one.map_fd, 103u);
    ASSERT_TRUE(may_have_handles(update));
    EXPECT_EQ(values_with_handles(update, &one, {.holds_handles = 0}), 0u);
    EXPECT_EQ(values_with_handles(update, &one, {.holds_handles = 1}), 1u);
    u32 handle = 0;
    translate_values(update, &one, {&handle, 1}, descriptors);
    EXPECT_EQ(handle, 106u);
    EXPECT_EQ(one.value, address(&handle));

    const spec::CommandInfo& batch = *spec::find_command(static_cast<u32>(Command::MapUpdateBatch));
    const i32 values[3] = {7, 5, -1};
    spec::MapUpdateBatchAttr many{.values = address(values), .count = 3};
    EXPECT_EQ(values_with_handles(batch, &many, {.holds_handles = 1}), 3u);
    u32 handles[3] = {};
    translate_values(batch, &many, handles, descriptors);
    EXPECT_EQ(handles[0], 107u);
    EXPECT_EQ(handles[1], spec::kForeignHandle);
    EXPECT_EQ(handles[2], spec::kClosedHandle);

    // They may take the place of the values.
    i32 same[3] = {7, 5, -1};
    many.values = address(same);
    EXPECT_EQ(values_at(batch, &many), reinterpret_cast<u32*>(same));
    translate_values(batch, &many, {values_at(batch, &many), 3}, descriptors);
    EXPECT_EQ(std::memcmp(same, handles, sizeof same), 0);

    const spec::CommandInfo& install = *spec::find_command(static_cast<u32>(Command::ProgInstall));
    i32 maps[4] = {7, 5, -1, 8};
    spec::ProgInstallAttr program{.map_fds = address(maps), .map_count = 3};
    translate_array(install, &program, descriptors);
    EXPECT_EQ(std::memcmp(maps, handles, sizeof handles), 0);
    EXPECT_EQ(maps[3], 8);  // behind the array
    program = {.map_count = 3};
    translate_array(install, &program, descriptors);

    // 0 is a descriptor where one is needed, and none where it is optional.
    const spec::CommandInfo& detach = *spec::find_command(static_cast<u32>(Command::ProgDetach));
    spec::ProgDetachAttr none{.target_fd = 5};
    translate_fields(detach, &none, descriptors);
    EXPECT_EQ(none.attach_bpf_fd, 0u);
    EXPECT_EQ(none.target_fd, 5u);
    EXPECT_FALSE(may_have_handles(detach));
}

TEST_F(Wire, AnotherVersionIsAnswered) {
    spec::MapFreezeAttr attr{.map_fd = 7};
    Plan plan;
    auto message = request(Command::MapFreeze, &attr, plan);
    const u16 other = kVersion + 1;
    std::memcpy(message.data() + 4, &other, sizeof other);
    const auto reply = serve(message, [](Command, void*) -> Result<i64> { return 0; });
    ASSERT_EQ(reply.size(), sizeof(Header));
    const auto header = read_header(reply, Kind::Reply);
    ASSERT_TRUE(header);
    EXPECT_EQ(error_of(header->linux_error, header->result), Errc::NotSupported);
    // And a reply of another version is an error.
    auto good = serve(request(Command::MapFreeze, &attr, plan),
                      [](Command, void*) -> Result<i64> { return 0; });
    std::memcpy(good.data() + 4, &other, sizeof other);
    EXPECT_EQ(read_reply(plan, good, 1, &attr).error().code, Errc::NotSupported);
}

TEST_F(Wire, ANewerAttributeIsTakenWhenItUsesNothingNew) {
    spec::MapFreezeAttr attr{.map_fd = 7};
    Plan plan;
    auto message = request(Command::MapFreeze, &attr, plan);
    message.resize(message.size() + 8);
    Header header;
    std::memcpy(&header, message.data(), sizeof header);
    header.size += 8;
    header.attr_size += 8;
    std::memcpy(message.data(), &header, sizeof header);
    const auto answered = [&] {
        Header reply;
        const auto bytes = serve(message, [](Command, void*) -> Result<i64> { return 0; });
        std::memcpy(&reply, bytes.data(), sizeof reply);
        return reply.linux_error;
    };
    EXPECT_EQ(answered(), 0u);
    message[sizeof(Header) + header.attr_size - 1] = std::byte{1};
    EXPECT_EQ(answered(), 7u);  // E2BIG
}

// A peer that knows less of each command's attribute, or more, is answered: as much of the
// attribute comes back as it has sent. So is one of each version that it may be, by a header.
TEST_F(Wire, OlderAndNewerPeersAreAnsweredForEveryCommand) {
    const auto door = [](Command, void*) -> Result<i64> { return 0; };
    for (const spec::CommandInfo& command : spec::commands()) {
        SCOPED_TRACE(command.name);
        for (u32 size = 0; size <= command.size + 16u; size += 4) {
            std::vector<std::byte> message(sizeof(Header) + (size + 7) / 8 * 8);
            Header header{.kind = Kind::Request,
                          .size = static_cast<u32>(message.size()),
                          .command = static_cast<u32>(command.command),
                          .id = 5,
                          .attr_size = size};
            std::memcpy(message.data(), &header, sizeof header);
            const auto reply = serve(message, door);
            const auto answer = read_header(reply, Kind::Reply);
            ASSERT_TRUE(answer);
            EXPECT_EQ(answer->linux_error, 0u);
            EXPECT_EQ(answer->id, 5u);
            EXPECT_EQ(answer->attr_size, size);
            EXPECT_GE(reply.size(), sizeof(Header) + size);
            for (const u16 version : {u16{0}, u16{kVersion + 1}, u16{0xffff}}) {
                header.version = version;
                std::memcpy(message.data(), &header, sizeof header);
                const auto refused = serve(message, door);
                ASSERT_EQ(refused.size(), sizeof(Header));
                EXPECT_NE(read_header(refused, Kind::Reply)->linux_error, 0u);
            }
        }
    }
}

TEST_F(Wire, HugeLengthsAreRefusedOnBothSides) {
    char byte = 0;
    spec::ProgLoadAttr attr{.insn_cnt = 0xffffffff, .insns = address(&byte)};
    Plan plan;
    EXPECT_EQ(plan_request(Command::ProgLoad, &attr, world.shapes(), plan).error().code,
              Errc::TooLarge);
    // The same in a message that somebody made up.
    spec::ProgTestRunAttr run{.prog_fd = 8, .data_size_out = 1, .data_out = address(&byte)};
    auto message = request(Command::ProgTestRun, &run, plan);
    const u32 huge = 0xffffffff;
    std::memcpy(message.data() + sizeof(Header) + offsetof(spec::ProgTestRunAttr, data_size_out),
                &huge, sizeof huge);
    Request got;
    EXPECT_EQ(decode(message, world.shapes(), got).error().code, Errc::TooLarge);
}

// Every command with every pointer set: the peers lay it out alike, and each byte that goes in
// arrives.
TEST_F(Wire, EveryCommandIsLaidOutAlikeByBothPeers) {
    std::vector<char> block(1 << 16, 'b');
    block.back() = '\0';
    for (const spec::CommandInfo& command : spec::commands()) {
        SCOPED_TRACE(command.name);
        alignas(8) std::array<std::byte, spec::kMaxAttrSize> attr{};
        for (const spec::AttrField& field : command.fields) {
            u64 value = 3;
            if (field.goes_in() || field.comes_out()) {
                value = address(block.data() + (field.is_text() ? block.size() - 40 : 0));
            } else if (field.kind == spec::AttrKind::Pad) {
                value = 0;
            } else if (field.is_fd()) {
                value = 7;
            }
            std::memcpy(attr.data() + field.offset, &value, std::min<size_t>(field.size, 8));
        }
        Plan plan;
        const auto message = request(command.command, attr.data(), plan);
        std::vector<std::byte> kept = message;
        Request got;
        ASSERT_TRUE(decode(message, world.shapes(), got));
        EXPECT_EQ(got.plan.reply_size, plan.reply_size);
        EXPECT_EQ(got.plan.count, plan.count);
        std::vector<std::byte> reply(plan.reply_size);
        bind_pointers(got, kept, reply);
        for (u32 i = 0; i < plan.count; ++i) {
            const Buffer& buffer = plan.buffers[i];
            if (!buffer.in || buffer.nested) continue;
            u64 at = 0, from = 0;
            std::memcpy(&at, got.attr.data() + buffer.pointer, 8);
            std::memcpy(&from, attr.data() + buffer.pointer, 8);
            EXPECT_EQ(std::memcmp(reinterpret_cast<void*>(at), reinterpret_cast<void*>(from),
                                  buffer.length),
                      0);
        }
    }
}

// Damaged messages: an answer, and never a look beyond the buffers (the sanitizers watch).
TEST_F(Wire, DamagedMessagesAreAnswered) {
    std::mt19937 random(7);
    std::vector<isa::Slot> insns(8);
    u32 key = 1;
    char value[24] = {};
    spec::ProgLoadAttr load{.insn_cnt = 8,
                            .insns = address(insns.data()),
                            .license = address("GPL"),
                            .log_level = 1,
                            .log_size = 64,
                            .log_buf = address(value)};
    load.log_size = sizeof value;
    spec::MapUpdateElemAttr update{.map_fd = 7, .key = address(&key), .value = address(value)};
    Plan load_plan, update_plan;
    const auto a = request(Command::ProgLoad, &load, load_plan);
    const auto b = request(Command::MapUpdateElem, &update, update_plan);
    u32 refused = 0;
    for (int i = 0; i < 20'000; ++i) {
        const bool first = random() % 2;
        auto message = first ? a : b;
        for (u32 flips = 1 + random() % 4; flips-- > 0;) {
            message[random() % message.size()] = static_cast<std::byte>(random());
        }
        if (random() % 4 == 0) message.resize(random() % (message.size() + 1));
        auto reply = serve(message, [](Command, void*) -> Result<i64> { return 0; });
        ASSERT_GE(reply.size(), sizeof(Header));
        refused += reply.size() == sizeof(Header);
        // The other way: a damaged reply.
        reply[random() % reply.size()] = static_cast<std::byte>(random());
        if (random() % 4 == 0) reply.resize(random() % (reply.size() + 1));
        auto load_copy = load;
        auto update_copy = update;
        (void)read_reply(first ? load_plan : update_plan, reply, 1,
                         first ? static_cast<void*>(&load_copy) : &update_copy);
    }
    EXPECT_GT(refused, 1000u);
}

}  // namespace
}  // namespace ebpf::wire
