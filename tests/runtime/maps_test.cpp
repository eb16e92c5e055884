// SPDX-License-Identifier: MIT
// What each map type does, errors included. The numbers are Linux's semantics (kernel/bpf/*map.c).
#include <set>

#include "harness.hpp"
#include "spec/errors.hpp"

namespace ebpf::runtime::test {
namespace {

using spec::MapType;

class Maps : public Fixture {};

TEST_F(Maps, CreationChecksItsArguments) {
    const auto outcome = [this](const MapSpec& map) { return create(map); };
    const i64 invalid = failed(Errc::InvalidArgument);
    EXPECT_EQ(outcome({.type = MapType::Hash, .key = 0}), invalid);
    EXPECT_EQ(outcome({.type = MapType::Hash, .value = 0}), invalid);
    EXPECT_EQ(outcome({.type = MapType::Hash, .entries = 0}), invalid);
    EXPECT_EQ(outcome({.type = MapType::Hash, .flags = 1u << 20}), invalid);
    EXPECT_EQ(outcome({.type = MapType::Array, .key = 8}), invalid);
    EXPECT_EQ(outcome({.type = MapType::Array, .value = 0}), invalid);
    EXPECT_EQ(outcome({.type = MapType::Array, .flags = spec::kMapNoPrealloc}), invalid);
    EXPECT_EQ(outcome({.type = MapType::ProgArray, .value = 8}), invalid);
    EXPECT_EQ(outcome({.type = MapType::Ringbuf, .key = 0, .value = 0, .entries = 4095}), invalid);
    EXPECT_EQ(outcome({.type = MapType::Ringbuf, .key = 4, .value = 0, .entries = 4096}), invalid);
    EXPECT_EQ(outcome({.type = MapType::Hash, .flags = spec::kMapReadOnly | spec::kMapWriteOnly}),
              invalid);
    EXPECT_EQ(outcome({.type = MapType::Hash, .key = 1u << 23}), failed(Errc::TooLarge));
    EXPECT_EQ(outcome({.type = MapType::Array, .value = 1u << 30, .entries = 1u << 31}),
              failed(Errc::TooLarge));
    // What the runtime does not have is named.
    EXPECT_EQ(outcome({.type = MapType::SkStorage, .entries = 0}), failed(Errc::NotSupported));
    EXPECT_STREQ(last_.what, "sk_storage");

    spec::MapCreateAttr attr;
    attr.map_type = 9999;
    EXPECT_EQ(run(spec::Command::MapCreate, attr), invalid);
    attr = {.map_type = 1, .key_size = 4, .value_size = 4, .max_entries = 1};
    std::memcpy(attr.map_name.data(), "bad name", 9);
    EXPECT_EQ(run(spec::Command::MapCreate, attr), invalid);
    attr.map_name.fill('x');
    EXPECT_EQ(run(spec::Command::MapCreate, attr), invalid);
    EXPECT_EQ(runtime_->live(ObjectKind::Map), 0u);
}

TEST_F(Maps, HandlesAreChecked) {
    u64 value = 0;
    u32 key = 0;
    EXPECT_EQ(lookup(77, &key, &value), failed(Errc::InvalidFd));
    EXPECT_EQ(lookup(0, &key, &value), failed(Errc::InvalidFd));
    EXPECT_EQ(spec::linux_errno(last_.code), 9);
    const i64 map = create({.type = MapType::Hash});
    ASSERT_GT(map, 0);
    EXPECT_EQ(lookup(map, nullptr, &value), failed(Errc::InvalidPointer));
    EXPECT_EQ(lookup(map, &key, nullptr), failed(Errc::KeyNotFound)) << "first";
    EXPECT_EQ(update(map, &key, nullptr), failed(Errc::InvalidPointer));
    EXPECT_EQ(remove(map, nullptr), failed(Errc::InvalidPointer));
    EXPECT_EQ(next_key(map, &key, nullptr), failed(Errc::NoMoreKeys)) << "first";
    EXPECT_EQ(update(map, &key, &value), 0);
    EXPECT_EQ(lookup(map, &key, nullptr), failed(Errc::InvalidPointer));
    EXPECT_EQ(next_key(map, nullptr, nullptr), failed(Errc::InvalidPointer));
    const i64 program = install(Engine::Interpreter, {mov(0, 1), exit()});
    ASSERT_GT(program, 0);
    EXPECT_EQ(lookup(program, &key, &value), failed(Errc::InvalidArgument));
}

TEST_F(Maps, Hash) {
    const i64 map = create({.type = MapType::Hash, .key = 12, .value = 20, .entries = 3});
    ASSERT_GT(map, 0);
    char key[12] = "first";
    char value[20] = "one";
    char got[20];
    EXPECT_EQ(lookup(map, key, got), failed(Errc::KeyNotFound));
    EXPECT_EQ(update(map, key, value, kUpdateExist), failed(Errc::KeyNotFound));
    EXPECT_EQ(update(map, key, value, 3), failed(Errc::InvalidArgument));
    EXPECT_EQ(update(map, key, value, kUpdateNoExist), 0);
    EXPECT_EQ(update(map, key, value, kUpdateNoExist), failed(Errc::KeyAlreadyExists));
    EXPECT_EQ(lookup(map, key, got), 0);
    EXPECT_STREQ(got, "one");
    value[0] = 'O';
    EXPECT_EQ(update(map, key, value, kUpdateExist), 0);
    EXPECT_EQ(lookup(map, key, got), 0);
    EXPECT_STREQ(got, "One");
    // A hard limit.
    for (char c = '2'; c <= '3'; ++c) {
        key[11] = c;
        EXPECT_EQ(update(map, key, value), 0);
    }
    key[11] = '4';
    EXPECT_EQ(update(map, key, value), failed(Errc::TableFull));
    EXPECT_EQ(spec::linux_errno(last_.code), 7);
    key[11] = '3';
    EXPECT_EQ(update(map, key, value), 0) << "replacing needs no room";
    EXPECT_EQ(remove(map, key), 0);
    EXPECT_EQ(remove(map, key), failed(Errc::KeyNotFound));
    key[11] = '4';
    EXPECT_EQ(update(map, key, value), 0);
    std::memset(got, 0, sizeof got);
    EXPECT_EQ(take(map, key, got), 0);
    EXPECT_STREQ(got, "One");
    EXPECT_EQ(take(map, key, got), failed(Errc::KeyNotFound));
}

TEST_F(Maps, HashKeysAreListedOnce) {
    const i64 map = create({.type = MapType::Hash, .entries = 100});
    const u64 value = 1;
    for (u32 key = 0; key < 100; ++key) ASSERT_EQ(update(map, &key, &value), 0);
    std::set<u32> seen;
    u32 key = 0;
    for (i64 status = next_key(map, nullptr, &key); status == 0;
         status = next_key(map, &key, &key)) {
        EXPECT_TRUE(seen.insert(key).second) << key;
    }
    EXPECT_EQ(last_.code, Errc::NoMoreKeys);
    EXPECT_EQ(spec::linux_errno(last_.code), 2);
    EXPECT_EQ(seen.size(), 100u);
    // A key that is gone starts over, as in Linux.
    u32 first = 0;
    ASSERT_EQ(next_key(map, nullptr, &first), 0);
    const u32 nowhere = 12345;
    u32 next = 0;
    EXPECT_EQ(next_key(map, &nowhere, &next), 0);
    EXPECT_EQ(next, first);
}

TEST_F(Maps, Array) {
    const i64 map = create({.type = MapType::Array, .value = 12, .entries = 3});
    ASSERT_GT(map, 0);
    u32 index = 2;
    char value[12] = "two";
    char got[12] = "?";
    EXPECT_EQ(lookup(map, &index, got), 0) << "every entry is there, zero";
    EXPECT_STREQ(got, "");
    EXPECT_EQ(update(map, &index, value), 0);
    EXPECT_EQ(lookup(map, &index, got), 0);
    EXPECT_STREQ(got, "two");
    EXPECT_EQ(update(map, &index, value, kUpdateExist), 0);
    EXPECT_EQ(update(map, &index, value, kUpdateNoExist), failed(Errc::KeyAlreadyExists));
    EXPECT_EQ(update(map, &index, value, 9), failed(Errc::InvalidArgument));
    EXPECT_EQ(remove(map, &index), failed(Errc::InvalidArgument));
    EXPECT_EQ(take(map, &index, got), failed(Errc::NotForThisType));
    index = 3;
    EXPECT_EQ(update(map, &index, value), failed(Errc::TooLarge));
    EXPECT_EQ(spec::linux_errno(last_.code), 7);
    EXPECT_EQ(lookup(map, &index, got), failed(Errc::KeyNotFound));
    // Keys: 0, 1, 2, end; one that is no index starts over.
    u32 key = 99;
    std::vector<u32> keys;
    for (i64 s = next_key(map, nullptr, &key); s == 0; s = next_key(map, &key, &key)) {
        keys.push_back(key);
    }
    EXPECT_EQ(keys, (std::vector<u32>{0, 1, 2}));
    EXPECT_EQ(next_key(map, &index, &key), 0);
    EXPECT_EQ(key, 0u);
}

TEST_F(Maps, PercpuArrayHasAPaddedValueForEachSlot) {
    const i64 map = create({.type = MapType::PercpuArray, .value = 12, .entries = 2});
    ASSERT_GT(map, 0);
    constexpr u32 kStride = 16;
    std::byte value[4 * kStride];
    for (u32 i = 0; i < sizeof value; ++i) value[i] = static_cast<std::byte>(i);
    std::byte got[sizeof value + 8];
    std::memset(got, 0xee, sizeof got);
    const u32 index = 1;
    EXPECT_EQ(update(map, &index, value), 0);
    EXPECT_EQ(lookup(map, &index, got), 0);
    for (u32 slot = 0; slot < 4; ++slot) {
        EXPECT_EQ(std::memcmp(got + slot * kStride, value + slot * kStride, 12), 0) << slot;
    }
    EXPECT_EQ(got[sizeof value], std::byte{0xee}) << "nothing behind the last slot is written";
    const u32 other = 0;
    EXPECT_EQ(lookup(map, &other, got), 0);
    for (u32 i = 0; i < sizeof value; ++i) EXPECT_EQ(got[i], std::byte{0});
    EXPECT_EQ(remove(map, &index), failed(Errc::InvalidArgument));
}

TEST_F(Maps, ProgArray) {
    const i64 map = create({.type = MapType::ProgArray, .value = 4, .entries = 2});
    ASSERT_GT(map, 0);
    u32 index = 0;
    u32 fd = 99;
    EXPECT_EQ(update(map, &index, &fd), failed(Errc::InvalidFd));
    fd = static_cast<u32>(map);
    EXPECT_EQ(update(map, &index, &fd), failed(Errc::InvalidArgument));
    const i64 program = install(Engine::Interpreter, {mov(0, 1), exit()});
    ASSERT_GT(program, 0);
    fd = static_cast<u32>(program);
    EXPECT_EQ(update(map, &index, &fd, kUpdateNoExist), failed(Errc::InvalidArgument));
    EXPECT_EQ(update(map, &index, &fd), 0);
    u32 id = 0;
    EXPECT_EQ(lookup(map, &index, &id), 0);
    spec::ProgGetNextIdAttr next;
    EXPECT_EQ(run(spec::Command::ProgGetNextId, next), 0);
    EXPECT_EQ(id, next.next_id);
    index = 1;
    EXPECT_EQ(lookup(map, &index, &id), failed(Errc::KeyNotFound));
    EXPECT_EQ(remove(map, &index), failed(Errc::KeyNotFound));
    index = 2;
    EXPECT_EQ(update(map, &index, &fd), failed(Errc::TooLarge));
    EXPECT_EQ(remove(map, &index), failed(Errc::TooLarge));
    index = 0;
    EXPECT_EQ(remove(map, &index), 0);
    EXPECT_EQ(lookup(map, &index, &id), failed(Errc::KeyNotFound));
}

TEST_F(Maps, ProgArrayHoldsProgramsOfOneType) {
    const auto type = spec::ProgramType::CgroupSockAddr;
    const i64 xdp = install(Engine::Interpreter, {mov(0, 1), exit()});
    const i64 other = install(Engine::Interpreter, {mov(0, 1), exit()}, {}, type);
    ASSERT_GT(xdp, 0);
    ASSERT_GT(other, 0);
    const u32 index = 0;
    const u32 xdp_fd = static_cast<u32>(xdp);
    const u32 other_fd = static_cast<u32>(other);

    // The first program that is put in decides ...
    const i64 filled = create({.type = MapType::ProgArray, .value = 4});
    EXPECT_EQ(update(filled, &index, &xdp_fd), 0);
    EXPECT_EQ(update(filled, &index, &other_fd), failed(Errc::InvalidArgument));
    EXPECT_EQ(install(Engine::Interpreter, {mov(0, 1), exit()}, {filled}, type),
              failed(Errc::InvalidArgument));
    EXPECT_GT(install(Engine::Interpreter, {mov(0, 1), exit()}, {filled}), 0);

    // ... or the first that is installed with the array, whose context it would get.
    const i64 used = create({.type = MapType::ProgArray, .value = 4});
    EXPECT_GT(install(Engine::Interpreter, {mov(0, 1), exit()}, {used}, type), 0);
    EXPECT_EQ(update(used, &index, &xdp_fd), failed(Errc::InvalidArgument));
    EXPECT_EQ(update(used, &index, &other_fd), 0);
}

TEST_F(Maps, FrozenAndOneWayMaps) {
    const u32 key = 0;
    u64 value = 5;
    const i64 frozen = create({.type = MapType::Array});
    EXPECT_EQ(update(frozen, &key, &value), 0);
    spec::MapFreezeAttr freeze;
    freeze.map_fd = static_cast<u32>(frozen);
    EXPECT_EQ(run(spec::Command::MapFreeze, freeze), 0);
    EXPECT_EQ(run(spec::Command::MapFreeze, freeze), failed(Errc::ReadOnly));
    EXPECT_EQ(update(frozen, &key, &value), failed(Errc::ReadOnly));
    EXPECT_EQ(spec::linux_errno(last_.code), 1);
    EXPECT_EQ(remove(frozen, &key), failed(Errc::ReadOnly));
    value = 0;
    EXPECT_EQ(lookup(frozen, &key, &value), 0);
    EXPECT_EQ(value, 5u);

    const i64 read_only = create({.type = MapType::Hash, .flags = spec::kMapReadOnly});
    EXPECT_EQ(update(read_only, &key, &value), failed(Errc::ReadOnly));
    EXPECT_EQ(take(read_only, &key, &value), failed(Errc::ReadOnly));
    EXPECT_EQ(lookup(read_only, &key, &value), failed(Errc::KeyNotFound));
    const i64 write_only = create({.type = MapType::Hash, .flags = spec::kMapWriteOnly});
    EXPECT_EQ(update(write_only, &key, &value), 0);
    EXPECT_EQ(lookup(write_only, &key, &value), failed(Errc::AccessDenied));
    u32 next = 0;
    EXPECT_EQ(next_key(write_only, nullptr, &next), failed(Errc::AccessDenied));
}

TEST(WriteGate, FreezesOnlyBetweenWrites) {
    runtime::WriteGate gate;
    EXPECT_TRUE(gate.enter());
    EXPECT_TRUE(gate.enter());
    EXPECT_EQ(gate.freeze().error().code, Errc::Busy);
    gate.leave();
    EXPECT_EQ(gate.freeze().error().code, Errc::Busy);
    EXPECT_TRUE(gate.enter()) << "a freeze that failed stops nobody";
    gate.leave();
    gate.leave();
    EXPECT_TRUE(gate.freeze());
    EXPECT_FALSE(gate.enter());
    EXPECT_EQ(gate.freeze().error().code, Errc::ReadOnly);
}

TEST_F(Maps, NumbersAreTheCallersDialects) {
    dialect_ = spec::Dialect::Windows;
    const i64 ring = create({.type = MapType::Ringbuf, .key = 0, .value = 0, .entries = 65536});
    EXPECT_GT(ring, 0);
    EXPECT_EQ(spec::number(spec::Dialect::Windows, MapType::Ringbuf), 13);
    const i64 array = create({.type = MapType::PercpuArray});
    EXPECT_GT(array, 0);
    u32 key = 0;
    u64 value[4];
    EXPECT_EQ(lookup(array, &key, value), 0);
    EXPECT_EQ(lookup(ring, nullptr, value), failed(Errc::NotForThisType));
}

}  // namespace
}  // namespace ebpf::runtime::test
