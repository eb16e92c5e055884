// SPDX-License-Identifier: MIT
// The map types beside hash and array, and batches: what Linux documents of them (kernel/bpf/).
#include <map>
#include <random>
#include <set>

#include "harness.hpp"
#include "spec/errors.hpp"

namespace ebpf::runtime::test {
namespace {

using spec::MapType;

class MapTypes : public Fixture {
  protected:
    Map& map_of_fd(i64 fd) {
        spec::ObjGetInfoByFdAttr attr;
        u32 info[20] = {};
        attr.bpf_fd = static_cast<u32>(fd);
        attr.info_len = sizeof info;
        attr.info = reinterpret_cast<u64>(info);
        EXPECT_EQ(run(spec::Command::ObjGetInfoByFd, attr), 0);
        Object* object = runtime_->ids(ObjectKind::Map).find(info[1]);
        EXPECT_NE(object, nullptr);
        release(*object);  // its handle keeps it
        return static_cast<Map&>(*object);
    }
    // What a program's lookup finds; in an epoch of its own.
    u64 program_lookup(Map& map, const void* key) {
        EpochGuard guard(runtime_->epochs());
        const auto* value = static_cast<const u64*>(map.ops->lookup(map, key, guard.slot()));
        return value != nullptr ? *value : ~u64{0};
    }
    template <typename Attr>
    i64 batch(spec::Command command, i64 fd, void* in, void* out, void* keys, void* values,
              u32& count) {
        Attr attr;
        attr.map_fd = static_cast<u32>(fd);
        if constexpr (requires { attr.in_batch; }) attr.in_batch = reinterpret_cast<u64>(in);
        if constexpr (requires { attr.out_batch; }) attr.out_batch = reinterpret_cast<u64>(out);
        attr.keys = reinterpret_cast<u64>(keys);
        attr.values = reinterpret_cast<u64>(values);
        attr.count = count;
        const i64 status = run(command, attr);
        count = attr.count;
        return status;
    }
};

// --- hash tables ---------------------------------------------------------------------------------

TEST_F(MapTypes, HashesOfEveryKeySizeAgreeWithAModel) {
    for (const MapType type : {MapType::Hash, MapType::PercpuHash}) {
        for (const u32 size : {1u, 3u, 4u, 7u, 8u, 9u, 16u, 20u, 32u, 33u, 512u}) {
            const i64 fd = create({.type = type, .key = size, .entries = 40});
            ASSERT_GT(fd, 0);
            std::map<std::vector<u8>, u64> model;
            std::mt19937 random(size);
            for (u32 i = 0; i < 1500; ++i) {
                std::vector<u8> key(size, 0);
                key[random() % 2 == 0 ? 0 : size - 1] = static_cast<u8>(random() % 60);
                u64 value[4] = {i, i + 1, i + 2, i + 3};
                u64 got[4] = {};
                const bool present = model.contains(key);
                switch (random() % 4) {
                    case 0:
                        EXPECT_EQ(remove(fd, key.data()), present ? 0 : failed(Errc::KeyNotFound));
                        model.erase(key);
                        break;
                    case 1:
                        EXPECT_EQ(lookup(fd, key.data(), got),
                                  present ? 0 : failed(Errc::KeyNotFound));
                        if (present) {
                            EXPECT_EQ(got[0], model[key]);
                        }
                        break;
                    default: {
                        const i64 status = update(fd, key.data(), value);
                        const bool fits = present || model.size() < 40;
                        EXPECT_EQ(status, fits ? 0 : failed(Errc::TableFull));
                        if (fits) model[key] = i;
                    }
                }
            }
            std::set<std::vector<u8>> listed;
            std::vector<u8> key(size);
            for (i64 s = next_key(fd, nullptr, key.data()); s == 0;
                 s = next_key(fd, key.data(), key.data())) {
                EXPECT_TRUE(listed.insert(key).second);
                EXPECT_TRUE(model.contains(key));
            }
            EXPECT_EQ(listed.size(), model.size());
            EXPECT_EQ(close(fd), 0);
        }
    }
}

TEST_F(MapTypes, PercpuHashHasAValuePerSlot) {
    const i64 fd = create({.type = MapType::PercpuHash, .value = 4, .entries = 2});
    ASSERT_GT(fd, 0);
    Map& map = map_of_fd(fd);
    const u32 key = 7;
    u32 mine = 0;
    {
        EpochGuard guard(runtime_->epochs());
        mine = guard.slot();
        const u32 value = 5;
        EXPECT_TRUE(map.ops->update(map, &key, &value, kUpdateAny, guard.slot()));
        void* live = map.ops->lookup(map, &key, guard.slot());
        const u32 other = 6;
        EXPECT_TRUE(map.ops->update(map, &key, &other, kUpdateExist, guard.slot()));
        EXPECT_EQ(map.ops->lookup(map, &key, guard.slot()), live) << "in its place, as on Linux";
        EXPECT_EQ(*static_cast<u32*>(live), 6u);
    }
    u64 values[4] = {~u64{0}, ~u64{0}, ~u64{0}, ~u64{0}};
    ASSERT_EQ(lookup(fd, &key, values), 0);
    for (u32 slot = 0; slot < 4; ++slot) EXPECT_EQ(values[slot], slot == mine ? 6u : 0u);
    const u64 all[4] = {1, 2, 3, 4};
    ASSERT_EQ(update(fd, &key, all), 0);
    ASSERT_EQ(take(fd, &key, values), 0);
    for (u32 slot = 0; slot < 4; ++slot) EXPECT_EQ(values[slot], slot + 1);
    EXPECT_EQ(lookup(fd, &key, values), failed(Errc::KeyNotFound));
}

// What programs used since the last round stays; what nobody used goes first.
TEST_F(MapTypes, LruDropsWhatWasNotUsed) {
    for (const MapType type : {MapType::LruHash, MapType::LruPercpuHash}) {
        const i64 fd = create({.type = type, .entries = 100});
        ASSERT_GT(fd, 0);
        Map& map = map_of_fd(fd);
        const u64 value[4] = {1, 1, 1, 1};
        for (u32 key = 0; key < 100; ++key) ASSERT_EQ(update(fd, &key, value), 0);
        for (u32 key = 100; key < 1000; ++key) {
            for (u32 used = 0; used < 20; ++used) EXPECT_EQ(program_lookup(map, &used), 1u);
            ASSERT_EQ(update(fd, &key, value), 0) << "never full";
        }
        u32 listed = 0;
        u32 key = 0;
        for (i64 s = next_key(fd, nullptr, &key); s == 0; s = next_key(fd, &key, &key)) ++listed;
        EXPECT_EQ(listed, 100u);
        u64 got[4];
        for (u32 used = 0; used < 20; ++used) EXPECT_EQ(lookup(fd, &used, got), 0) << used;
        key = 50;
        EXPECT_EQ(lookup(fd, &key, got), failed(Errc::KeyNotFound));
        EXPECT_EQ(update(fd, &key, value, kUpdateExist), failed(Errc::KeyNotFound));
        key = 0;
        EXPECT_EQ(update(fd, &key, value, kUpdateNoExist), failed(Errc::KeyAlreadyExists));
    }
}

// An application that lists a map does not change what is dropped.
TEST_F(MapTypes, LruIgnoresApplicationsLookups) {
    const i64 fd = create({.type = MapType::LruHash, .entries = 10});
    const u64 value = 1;
    for (u32 key = 0; key < 10; ++key) ASSERT_EQ(update(fd, &key, &value), 0);
    for (u32 key = 100; key < 110; ++key) {
        u64 got = 0;
        for (u32 old = 0; old < 10; ++old) (void)lookup(fd, &old, &got);
        ASSERT_EQ(update(fd, &key, &value), 0);
    }
    u64 got = 0;
    for (u32 key = 100; key < 110; ++key) EXPECT_EQ(lookup(fd, &key, &got), 0) << key;
}

// In so many rounds nothing is allocated, once each CPU that the thread is moved to has memory that
// was given back.
TEST_F(MapTypes, MemoryIsUsedAgain) {
    const i64 fd = create({.type = MapType::Hash, .entries = 64});
    const u64 value = 1;
    constexpr u32 kEnough = 89, kMost = 1000;
    u64 before = 0;
    u32 same = 0;
    for (u32 round = 0; round < kMost && same < kEnough; ++round) {
        for (u32 key = 0; key < 64; ++key) ASSERT_EQ(update(fd, &key, &value), 0);
        for (u32 key = 0; key < 64; ++key) ASSERT_EQ(remove(fd, &key), 0);
        same = platform::allocations() == before ? same + 1 : 0;
        before = platform::allocations();
    }
    EXPECT_EQ(same, kEnough);
}

// --- maps of maps --------------------------------------------------------------------------------

TEST_F(MapTypes, MapsOfMaps) {
    for (const MapType type : {MapType::ArrayOfMaps, MapType::HashOfMaps}) {
        const i64 inner = create({.type = MapType::Array, .entries = 3});
        spec::MapCreateAttr attr;
        attr.map_type = static_cast<u32>(spec::number(dialect_, type));
        attr.key_size = 4;
        attr.value_size = 4;
        attr.max_entries = 2;
        EXPECT_EQ(run(spec::Command::MapCreate, attr), failed(Errc::InvalidFd));
        attr.inner_map_fd = static_cast<u32>(inner);
        const i64 outer = run(spec::Command::MapCreate, attr);
        ASSERT_GT(outer, 0);
        attr.inner_map_fd = static_cast<u32>(outer);
        EXPECT_EQ(run(spec::Command::MapCreate, attr), failed(Errc::InvalidArgument)) << "deeper";

        const u32 key = 1;
        u32 got = 0;
        EXPECT_EQ(lookup(outer, &key, &got), failed(Errc::KeyNotFound));
        const u32 fd = static_cast<u32>(inner);
        EXPECT_EQ(update(outer, &key, &fd), 0);
        Map& map = map_of_fd(outer);
        Map& inside = map_of_fd(inner);
        EXPECT_EQ(lookup(outer, &key, &got), 0);
        EXPECT_EQ(got, inside.id) << "an id comes out";
        {
            EpochGuard guard(runtime_->epochs());
            EXPECT_EQ(map.ops->lookup(map, &key, guard.slot()), &inside);
        }
        for (const MapSpec& wrong :
             {MapSpec{.type = MapType::Hash, .entries = 3},
              MapSpec{.type = MapType::Array, .value = 4, .entries = 3},
              MapSpec{.type = MapType::Array, .entries = 4},
              MapSpec{.type = MapType::Array, .entries = 3, .flags = spec::kMapReadOnlyProgram}}) {
            const u32 other = static_cast<u32>(create(wrong));
            EXPECT_EQ(update(outer, &key, &other), failed(Errc::InvalidArgument));
            EXPECT_EQ(close(other), 0);
        }
        // The outer map keeps the inner one, which goes with it.
        const u64 live = runtime_->live(ObjectKind::Map);
        EXPECT_EQ(close(inner), 0);
        EXPECT_EQ(runtime_->live(ObjectKind::Map), live);
        EXPECT_EQ(remove(outer, &key), 0);
        EXPECT_EQ(runtime_->live(ObjectKind::Map), live - 1);
        EXPECT_EQ(remove(outer, &key), failed(Errc::KeyNotFound));
        const i64 second = create({.type = MapType::Array, .entries = 3});
        const u32 second_fd = static_cast<u32>(second);
        EXPECT_EQ(update(outer, &key, &second_fd), 0);
        EXPECT_EQ(close(second), 0);
        EXPECT_EQ(close(outer), 0);
        spec::EpochSynchronizeAttr synchronize;
        EXPECT_EQ(run(spec::Command::EpochSynchronize, synchronize), 0);
        EXPECT_EQ(runtime_->live(ObjectKind::Map), 0u);
    }
}

TEST_F(MapTypes, InnerArraysOfAnySizeWithTheirFlag) {
    const i64 inner = create({.type = MapType::Array, .flags = spec::kMapInnerMap});
    spec::MapCreateAttr attr;
    attr.map_type = static_cast<u32>(spec::number(dialect_, MapType::ArrayOfMaps));
    attr.key_size = attr.value_size = 4;
    attr.max_entries = 1;
    attr.inner_map_fd = static_cast<u32>(inner);
    const i64 outer = run(spec::Command::MapCreate, attr);
    const u32 key = 0;
    const u32 other = static_cast<u32>(
        create({.type = MapType::Array, .entries = 9, .flags = spec::kMapInnerMap}));
    EXPECT_EQ(update(outer, &key, &other), 0);
    const i64 programs = create({.type = MapType::ProgArray, .value = 4});
    attr.inner_map_fd = static_cast<u32>(programs);
    EXPECT_EQ(run(spec::Command::MapCreate, attr), failed(Errc::NotForThisType));
}

// --- tries ---------------------------------------------------------------------------------------

struct Ipv4Key {
    u32 length;
    u8 address[4];
    auto operator<=>(const Ipv4Key&) const = default;
};

TEST_F(MapTypes, LongestPrefixWins) {
    const MapSpec trie{
        .type = MapType::LpmTrie, .key = 8, .entries = 8, .flags = spec::kMapNoPrealloc};
    MapSpec wrong = trie;
    wrong.flags = 0;
    EXPECT_EQ(create(wrong), failed(Errc::InvalidArgument)) << "Linux wants BPF_F_NO_PREALLOC";
    wrong = trie;
    wrong.key = 4;
    EXPECT_EQ(create(wrong), failed(Errc::InvalidArgument));
    const i64 fd = create(trie);
    ASSERT_GT(fd, 0);
    const auto put = [&](Ipv4Key key, u64 value, u64 flags = 0) {
        return update(fd, &key, &value, flags);
    };
    const auto get = [&](Ipv4Key key) {
        u64 value = 0;
        return lookup(fd, &key, &value) == 0 ? value : 0;
    };
    EXPECT_EQ(put({33, {}}, 1), failed(Errc::InvalidArgument));
    EXPECT_EQ(put({8, {10}}, 8, kUpdateExist), failed(Errc::KeyNotFound));
    EXPECT_EQ(put({8, {10}}, 8), 0);
    EXPECT_EQ(put({8, {10}}, 8, kUpdateNoExist), failed(Errc::KeyAlreadyExists));
    EXPECT_EQ(put({24, {10, 1, 2}}, 24), 0);
    EXPECT_EQ(put({24, {10, 1, 3}}, 25), 0);
    EXPECT_EQ(get({32, {10, 1, 2, 9}}), 24u);
    EXPECT_EQ(get({32, {10, 1, 3, 9}}), 25u);
    EXPECT_EQ(get({32, {10, 1, 4, 9}}), 8u);
    EXPECT_EQ(get({32, {11}}), 0u);
    EXPECT_EQ(get({16, {10, 1}}), 8u) << "only prefixes that are not longer";
    EXPECT_EQ(put({0, {}}, 99), 0);
    EXPECT_EQ(get({32, {11}}), 99u);
    // The join of the two /24 gets a value, and loses it.
    EXPECT_EQ(put({23, {10, 1, 2}}, 23), 0);
    EXPECT_EQ(get({23, {10, 1, 2}}), 23u);
    Ipv4Key key{23, {10, 1, 2}};
    EXPECT_EQ(remove(fd, &key), 0);
    EXPECT_EQ(remove(fd, &key), failed(Errc::KeyNotFound));
    EXPECT_EQ(get({23, {10, 1, 2}}), 8u);
    EXPECT_EQ(take(fd, &key, &key), failed(Errc::NotForThisType));
    for (u8 i = 0; i < 4; ++i) EXPECT_EQ(put({32, {i}}, i), 0);
    EXPECT_EQ(put({32, {77}}, 1), failed(Errc::OutOfSpace));
    EXPECT_EQ(spec::linux_errno(last_.code), 28);
    // A length that no key has names none: the list starts over, and nothing past the key is read.
    Ipv4Key first, next;
    const Ipv4Key impossible{33, {0}};
    ASSERT_EQ(next_key(fd, nullptr, &first), 0);
    ASSERT_EQ(next_key(fd, &impossible, &next), 0);
    EXPECT_EQ(next, first);
}

TEST_F(MapTypes, TriesAgreeWithAModelAndListMoreSpecificFirst) {
    const i64 fd =
        create({.type = MapType::LpmTrie, .key = 8, .entries = 60, .flags = spec::kMapNoPrealloc});
    std::map<Ipv4Key, u64> model;
    std::mt19937 random(7);
    const auto random_key = [&] {
        Ipv4Key key{static_cast<u32>(random() % 33), {}};
        const u32 bits = static_cast<u32>(random()) & 0x0f0f00ff &
                         (key.length != 0 ? ~u32{0} << (32 - key.length) : 0);
        for (u32 i = 0; i < 4; ++i) key.address[i] = static_cast<u8>(bits >> (24 - 8 * i));
        return key;
    };
    const auto contains = [](const Ipv4Key& prefix, const Ipv4Key& key) {
        if (prefix.length > key.length) return false;
        for (u32 bit = 0; bit < prefix.length; ++bit) {
            const u32 mask = 0x80u >> bit % 8;
            if ((prefix.address[bit / 8] & mask) != (key.address[bit / 8] & mask)) return false;
        }
        return true;
    };
    for (u64 i = 1; i < 6000; ++i) {
        const Ipv4Key key = random_key();
        const bool present = model.contains(key);
        switch (random() % 3) {
            case 0: {
                const bool fits = present || model.size() < 60;
                EXPECT_EQ(update(fd, &key, &i), fits ? 0 : failed(Errc::OutOfSpace));
                if (fits) model[key] = i;
                break;
            }
            case 1:
                EXPECT_EQ(remove(fd, &key), present ? 0 : failed(Errc::KeyNotFound));
                model.erase(key);
                break;
            default: {
                u64 expected = 0;
                u32 longest = 0;
                for (const auto& [prefix, value] : model) {
                    if (contains(prefix, key) && (expected == 0 || prefix.length > longest)) {
                        expected = value;
                        longest = prefix.length;
                    }
                }
                u64 got = 0;
                (void)lookup(fd, &key, &got);
                ASSERT_EQ(got, expected);
            }
        }
    }
    std::vector<Ipv4Key> listed;
    Ipv4Key key{};
    for (i64 s = next_key(fd, nullptr, &key); s == 0; s = next_key(fd, &key, &key)) {
        for (const Ipv4Key& earlier : listed) {
            EXPECT_NE(earlier, key);
            EXPECT_FALSE(contains(earlier, key)) << "less specific before more specific";
        }
        listed.push_back(key);
        ASSERT_LE(listed.size(), 60u);
    }
    EXPECT_EQ(listed.size(), model.size());
    while (next_key(fd, nullptr, &key) == 0) ASSERT_EQ(remove(fd, &key), 0);
    EXPECT_EQ(update(fd, &key, &key), 0);
}

// Widths around the machine's words, and lengths around their borders: a key that differs from a
// stored one in one bit finds the longest stored prefix that ends before it.
TEST_F(MapTypes, TriesOfEveryWidthAgreeWithAModel) {
    using Key = std::vector<u8>;  // the length in 4 bytes, and the address
    std::mt19937 random(11);
    const auto length_of = [](const Key& key) {
        u32 length;
        std::memcpy(&length, key.data(), sizeof length);
        return length;
    };
    const auto cut = [](Key key, u32 length) {
        std::memcpy(key.data(), &length, sizeof length);
        for (u32 bit = length; bit < 8 * (key.size() - 4); ++bit)
            key[4 + bit / 8] &= static_cast<u8>(~(0x80u >> bit % 8));
        return key;
    };
    for (const u32 bytes : {1u, 3u, 4u, 5u, 8u, 9u, 12u, 15u, 16u, 17u, 24u}) {
        const u32 bits = 8 * bytes;
        const i64 fd = create({.type = MapType::LpmTrie,
                               .key = 4 + bytes,
                               .entries = 1000,
                               .flags = spec::kMapNoPrealloc});
        ASSERT_GT(fd, 0);
        std::map<Key, u64> model;
        std::vector<Key> whole;
        for (u64 value = 1; value <= 300; ++value) {
            Key key(4 + bytes);
            if (!whole.empty() && random() % 4 != 0) key = whole[random() % whole.size()];
            const u32 flipped = random() % bits;
            key[4 + flipped / 8] ^= static_cast<u8>(0x80u >> flipped % 8);
            whole.push_back(key);
            u32 length = static_cast<u32>(random() % (bits + 1));
            if (random() % 2 == 0) length = std::min<u32>(bits, 32 * (1 + random() % 5));
            key = cut(key, length);
            model[key] = value;
            ASSERT_EQ(update(fd, key.data(), &value), 0);
        }
        for (u32 i = 0; i < 3000; ++i) {
            Key key = whole[random() % whole.size()];
            const u32 flipped = random() % bits;
            key[4 + flipped / 8] ^= static_cast<u8>(0x80u >> flipped % 8);
            key = cut(key, random() % 2 == 0 ? bits : static_cast<u32>(random() % (bits + 1)));
            u64 expected = 0;
            for (u32 length = length_of(key) + 1; length-- > 0 && expected == 0;) {
                const auto found = model.find(cut(key, length));
                if (found != model.end()) expected = found->second;
            }
            u64 got = 0;
            (void)lookup(fd, key.data(), &got);
            ASSERT_EQ(got, expected) << bytes << " bytes, length " << length_of(key);
        }
    }
}

// --- maps without keys ---------------------------------------------------------------------------

TEST_F(MapTypes, QueuesAndStacks) {
    for (const bool stack : {false, true}) {
        const i64 fd = create(
            {.type = stack ? MapType::Stack : MapType::Queue, .key = 0, .value = 8, .entries = 3});
        ASSERT_GT(fd, 0);
        u64 value = 5;
        EXPECT_EQ(lookup(fd, nullptr, &value), failed(Errc::KeyNotFound));
        EXPECT_EQ(value, 0u) << "zero, as on Linux";
        for (u64 i = 1; i <= 3; ++i) EXPECT_EQ(update(fd, nullptr, &i), 0);
        value = 4;
        EXPECT_EQ(update(fd, nullptr, &value), failed(Errc::TableFull));
        EXPECT_EQ(spec::linux_errno(last_.code), 7);
        EXPECT_EQ(update(fd, nullptr, &value, kUpdateNoExist), failed(Errc::InvalidArgument));
        EXPECT_EQ(update(fd, nullptr, &value, 3), failed(Errc::InvalidArgument));
        EXPECT_EQ(update(fd, nullptr, &value, kUpdateExist), 0) << "the oldest makes room";
        EXPECT_EQ(lookup(fd, nullptr, &value), 0);
        EXPECT_EQ(value, stack ? 4u : 2u);
        for (const u64 expected : stack ? std::vector<u64>{4, 3, 2} : std::vector<u64>{2, 3, 4}) {
            EXPECT_EQ(take(fd, nullptr, &value), 0);
            EXPECT_EQ(value, expected);
        }
        EXPECT_EQ(take(fd, nullptr, &value), failed(Errc::KeyNotFound));
        u32 key = 0;
        EXPECT_EQ(lookup(fd, &key, &value), failed(Errc::InvalidArgument));
        EXPECT_EQ(remove(fd, nullptr), failed(Errc::InvalidArgument));
        EXPECT_EQ(next_key(fd, nullptr, &key), failed(Errc::InvalidArgument));
    }
}

TEST_F(MapTypes, BloomFiltersNeverSayNoWrongly) {
    const i64 fd = create({.type = MapType::BloomFilter, .key = 0, .value = 12, .entries = 1000});
    ASSERT_GT(fd, 0);
    const auto value = [](u32 i) { return std::array<u32, 3>{i, ~i, 7}; };
    for (u32 i = 0; i < 1000; ++i) EXPECT_EQ(update(fd, nullptr, value(i).data()), 0);
    u32 wrong = 0;
    for (u32 i = 0; i < 11000; ++i) {
        auto asked = value(i);
        const i64 status = lookup(fd, nullptr, asked.data());
        if (i < 1000) {
            EXPECT_EQ(status, 0);
        } else {
            wrong += status == 0 ? 1 : 0;
            EXPECT_TRUE(status == 0 || status == failed(Errc::KeyNotFound));
        }
    }
    EXPECT_LT(wrong, 500u) << "about 3% at the expected size";
    auto again = value(1);
    EXPECT_EQ(update(fd, nullptr, again.data(), kUpdateExist), failed(Errc::InvalidArgument));
    EXPECT_EQ(take(fd, nullptr, again.data()), failed(Errc::NotForThisType));
    EXPECT_EQ(remove(fd, nullptr), failed(Errc::NotSupported));
    spec::MapCreateAttr attr;
    attr.map_type = static_cast<u32>(spec::number(dialect_, MapType::BloomFilter));
    attr.value_size = 4;
    attr.max_entries = 1;
    attr.map_extra = 16;
    EXPECT_EQ(run(spec::Command::MapCreate, attr), failed(Errc::InvalidArgument));
    attr.map_extra = 15;
    EXPECT_GT(run(spec::Command::MapCreate, attr), 0);
}

// --- batches -------------------------------------------------------------------------------------

using Lookup = spec::MapLookupBatchAttr;
using LookupAndDelete = spec::MapLookupAndDeleteBatchAttr;

// More buckets than the runtime looks at in one go, most of them empty or all of them full.
TEST_F(MapTypes, OneBatchTakesAWholeLargeHash) {
    constexpr u32 kEntries = 20000;
    const i64 fd = create({.type = MapType::Hash, .key = 8, .entries = kEntries});
    std::vector<u64> keys(kEntries);
    std::vector<u64> values(kEntries);
    u32 position = 0;
    for (const u32 present : {0u, 3u, kEntries}) {
        for (u64 i = 0; i < present; ++i) {
            const u64 value = i * 3;
            ASSERT_EQ(update(fd, &i, &value), 0);
        }
        u32 count = kEntries;
        EXPECT_EQ(batch<LookupAndDelete>(spec::Command::MapLookupAndDeleteBatch, fd, nullptr,
                                         &position, keys.data(), values.data(), count),
                  failed(Errc::NoMoreKeys));
        ASSERT_EQ(count, present);
        std::set<u64> seen;
        for (u32 i = 0; i < count; ++i) {
            EXPECT_TRUE(seen.insert(keys[i]).second);
            EXPECT_EQ(values[i], keys[i] * 3);
        }
        EXPECT_EQ(next_key(fd, nullptr, keys.data()), failed(Errc::NoMoreKeys));
    }
}

TEST_F(MapTypes, BatchesOfAHashResumeAtBuckets) {
    const i64 fd = create({.type = MapType::Hash, .key = 8, .entries = 300});
    std::vector<u64> keys(300);
    std::vector<u64> values(300);
    for (u64 i = 0; i < 300; ++i) keys[i] = i, values[i] = i * 3;
    u32 count = 300;
    EXPECT_EQ(batch<spec::MapUpdateBatchAttr>(spec::Command::MapUpdateBatch, fd, nullptr, nullptr,
                                              keys.data(), values.data(), count),
              0);
    EXPECT_EQ(count, 300u);
    std::set<u64> seen;
    u32 position = 0;
    bool first = true;
    for (i64 status = 0; status == 0; first = false) {
        count = 40;
        status = batch<Lookup>(spec::Command::MapLookupBatch, fd, first ? nullptr : &position,
                               &position, keys.data(), values.data(), count);
        EXPECT_TRUE(status == 0 || status == failed(Errc::NoMoreKeys));
        for (u32 i = 0; i < count; ++i) {
            EXPECT_TRUE(seen.insert(keys[i]).second);
            EXPECT_EQ(values[i], keys[i] * 3);
        }
    }
    EXPECT_EQ(seen.size(), 300u);
    count = 400;
    keys.resize(400);
    values.resize(400);
    EXPECT_EQ(batch<LookupAndDelete>(spec::Command::MapLookupAndDeleteBatch, fd, nullptr, &position,
                                     keys.data(), values.data(), count),
              failed(Errc::NoMoreKeys));
    EXPECT_EQ(count, 300u);
    EXPECT_EQ(next_key(fd, nullptr, keys.data()), failed(Errc::NoMoreKeys)) << "all gone";
    for (u64 i = 0; i < 300; ++i) EXPECT_EQ(update(fd, &i, &i), 0) << "and counted";
}

TEST_F(MapTypes, ABucketIsCopiedWholeOrNotAtAll) {
    const i64 fd = create({.type = MapType::Hash, .entries = 4000, .flags = spec::kMapZeroSeed});
    for (u32 key = 0; key < 4000; ++key) {
        const u64 value = key;
        ASSERT_EQ(update(fd, &key, &value), 0);
    }
    // Among 8192 buckets some have two elements: from there on, batches of one get nowhere.
    u32 position = 0;
    u32 key = 0;
    u64 value = 0;
    u32 count = 1;
    i64 status =
        batch<Lookup>(spec::Command::MapLookupBatch, fd, nullptr, &position, &key, &value, count);
    while (status == 0) {
        count = 1;
        status = batch<Lookup>(spec::Command::MapLookupBatch, fd, &position, &position, &key,
                               &value, count);
    }
    EXPECT_EQ(status, failed(Errc::InsufficientBuffer));
    EXPECT_EQ(spec::linux_errno(last_.code), 28);
    EXPECT_EQ(count, 0u);
}

TEST_F(MapTypes, BatchesOfOthersGoFromKeyToKey) {
    const i64 fd = create({.type = MapType::Array, .entries = 10});
    u32 keys[10];
    u64 values[10];
    for (u32 i = 0; i < 10; ++i) keys[i] = i, values[i] = i + 100;
    u32 count = 10;
    EXPECT_EQ(batch<spec::MapUpdateBatchAttr>(spec::Command::MapUpdateBatch, fd, nullptr, nullptr,
                                              keys, values, count),
              0);
    u32 position = 0;
    count = 6;
    EXPECT_EQ(
        batch<Lookup>(spec::Command::MapLookupBatch, fd, nullptr, &position, keys, values, count),
        0);
    EXPECT_EQ(count, 6u);
    EXPECT_EQ(position, 5u);
    EXPECT_EQ(values[5], 105u);
    EXPECT_EQ(
        batch<Lookup>(spec::Command::MapLookupBatch, fd, &position, &position, keys, values, count),
        failed(Errc::NoMoreKeys));
    EXPECT_EQ(count, 4u);
    EXPECT_EQ(keys[0], 6u);
    count = 1;
    EXPECT_EQ(batch<spec::MapDeleteBatchAttr>(spec::Command::MapDeleteBatch, fd, nullptr, nullptr,
                                              keys, nullptr, count),
              failed(Errc::NotForThisType));
}

TEST_F(MapTypes, AFailedBatchSaysHowFarItCame) {
    const i64 fd = create({.type = MapType::Hash, .entries = 2});
    u32 keys[3] = {1, 2, 3};
    u64 values[3] = {};
    u32 count = 3;
    EXPECT_EQ(batch<spec::MapUpdateBatchAttr>(spec::Command::MapUpdateBatch, fd, nullptr, nullptr,
                                              keys, values, count),
              failed(Errc::TableFull));
    EXPECT_EQ(count, 2u);
    u32 gone[3] = {1, 9, 2};
    count = 3;
    EXPECT_EQ(batch<spec::MapDeleteBatchAttr>(spec::Command::MapDeleteBatch, fd, nullptr, nullptr,
                                              gone, nullptr, count),
              failed(Errc::KeyNotFound));
    EXPECT_EQ(count, 1u);
    spec::MapLookupBatchAttr attr;
    attr.map_fd = static_cast<u32>(fd);
    attr.elem_flags = 1;
    EXPECT_EQ(run(spec::Command::MapLookupBatch, attr), failed(Errc::InvalidArgument));
    attr.elem_flags = 0;
    EXPECT_EQ(run(spec::Command::MapLookupBatch, attr), 0) << "a count of 0 asks for nothing";
}

}  // namespace
}  // namespace ebpf::runtime::test
