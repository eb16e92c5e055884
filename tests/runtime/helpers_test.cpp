// SPDX-License-Identifier: MIT
// Helpers called as compiled code calls them. What is expected is Linux's (kernel/bpf/helpers.c)
// and eBPF for Windows' documented behaviour.
#include "runtime/helpers.hpp"
#include "harness.hpp"

namespace ebpf::runtime::test {
namespace {

using spec::Helper;
using spec::MapType;

class Helpers : public Fixture {
  protected:
    void SetUp() override {
        Fixture::SetUp();
        program_.dialect = spec::Dialect::Linux;
    }
    template <typename... Args>
    i64 call(Helper helper, Args... args) {
        const auto word = [](auto arg) {
            if constexpr (std::is_pointer_v<decltype(arg)>) {
                return reinterpret_cast<u64>(arg);
            } else if constexpr (std::is_null_pointer_v<decltype(arg)>) {
                return u64{0};
            } else {
                return static_cast<u64>(arg);
            }
        };
        const u64 r[5] = {word(args)...};
        const code::HelperFn function = helper_address(program_.dialect, helper);
        EXPECT_NE(function, nullptr);
        EpochGuard guard(runtime_->epochs());
        invocation_.runtime = runtime_;
        invocation_.program = &program_;
        invocation_.slot = guard.slot();
        return static_cast<i64>(function(r[0], r[1], r[2], r[3], r[4], &invocation_));
    }
    Map* map(const MapSpec& wanted) {
        const i64 fd = create(wanted);
        EXPECT_GT(fd, 0);
        Object* object = runtime_->ids(ObjectKind::Map).find(++created_);
        release(*object);  // its handle keeps it
        return static_cast<Map*>(object);
    }

    Program program_;
    code::Invocation invocation_;
    u32 created_ = 0;
};

TEST_F(Helpers, PushPeekAndPop) {
    Map* queue = map({.type = MapType::Queue, .key = 0, .entries = 2});
    u64 value = 1;
    EXPECT_EQ(call(Helper::map_push_elem, queue, &value, 0), 0);
    value = 2;
    EXPECT_EQ(call(Helper::map_push_elem, queue, &value, 0), 0);
    EXPECT_EQ(call(Helper::map_push_elem, queue, &value, 0), -7);
    EXPECT_EQ(call(Helper::map_push_elem, queue, &value, 1), -22);
    EXPECT_EQ(call(Helper::map_peek_elem, queue, &value), 0);
    EXPECT_EQ(value, 1u);
    EXPECT_EQ(call(Helper::map_pop_elem, queue, &value), 0);
    EXPECT_EQ(call(Helper::map_pop_elem, queue, &value), 0);
    EXPECT_EQ(value, 2u);
    EXPECT_EQ(call(Helper::map_pop_elem, queue, &value), -2);
    EXPECT_EQ(value, 0u);
    Map* bloom = map({.type = MapType::BloomFilter, .key = 0, .entries = 100});
    value = 77;
    EXPECT_EQ(call(Helper::map_push_elem, bloom, &value, 0), 0);
    EXPECT_EQ(call(Helper::map_peek_elem, bloom, &value), 0);
}

TEST_F(Helpers, ValuesOfOtherCpus) {
    Map* array = map({.type = MapType::PercpuArray, .entries = 3});
    const u32 key = 2;
    const i64 first = call(Helper::map_lookup_percpu_elem, array, &key, 0);
    const i64 second = call(Helper::map_lookup_percpu_elem, array, &key, 1);
    EXPECT_NE(first, 0);
    EXPECT_GE(second - first, 64) << "no shared cache line";
    EXPECT_EQ(call(Helper::map_lookup_percpu_elem, array, &key, 4), 0);
    EXPECT_EQ(call(Helper::map_lookup_percpu_elem, array, &key, ~u64{0}), 0);
}

u64 sum_until(u64 index, u64 context, u64, u64, u64, code::Invocation*) {
    auto* sum = reinterpret_cast<u64*>(context);
    *sum += index;
    return *sum > 100 ? 1 : 0;
}

TEST_F(Helpers, Loop) {
    u64 sum = 0;
    EXPECT_EQ(call(Helper::loop, 10, &sum_until, &sum, 0), 10);
    EXPECT_EQ(sum, 45u);
    EXPECT_EQ(call(Helper::loop, 1000, &sum_until, &sum, 0), 12) << "the rounds that began";
    EXPECT_EQ(call(Helper::loop, 0, &sum_until, &sum, 0), 0);
    EXPECT_EQ(call(Helper::loop, 1, &sum_until, &sum, 1), -22);
    EXPECT_EQ(call(Helper::loop, (1 << 23) + 1, &sum_until, &sum, 0), -7);
}

struct Seen {
    u64 keys = 0, values = 0, visits = 0, limit = 0;
};
u64 see(u64, u64 key, u64 value, u64 context, u64, code::Invocation*) {
    auto& seen = *reinterpret_cast<Seen*>(context);
    seen.keys += *reinterpret_cast<u32*>(key);
    seen.values += *reinterpret_cast<u64*>(value);
    return ++seen.visits == seen.limit ? 1 : 0;
}

TEST_F(Helpers, ForEachMapElem) {
    for (const MapType type : {MapType::Hash, MapType::LruHash, MapType::PercpuHash, MapType::Array,
                               MapType::PercpuArray}) {
        Map* over = map({.type = type, .entries = 10});
        for (u32 key = 0; key < 10; ++key) {
            const u64 value = 100 + key;
            EXPECT_EQ(call(Helper::map_update_elem, over, &key, &value, 0), 0);
        }
        Seen seen;
        EXPECT_EQ(call(Helper::for_each_map_elem, over, &see, &seen, 0), 10);
        EXPECT_EQ(seen.keys, 45u);
        EXPECT_GT(seen.values, 0u);
        seen = {.limit = 4};
        EXPECT_EQ(call(Helper::for_each_map_elem, over, &see, &seen, 0), 4);
        EXPECT_EQ(call(Helper::for_each_map_elem, over, &see, &seen, 1), -22);
    }
}

TEST_F(Helpers, LookupAndDeleteKeepsTheValueForTheProgram) {
    Map* hash = map({.type = MapType::Hash});
    const u32 key = 1;
    const u64 value = 9;
    program_.dialect = spec::Dialect::Windows;
    EXPECT_EQ(call(Helper::map_lookup_and_delete_elem, hash, &key), 0);
    EXPECT_EQ(call(Helper::map_update_elem, hash, &key, &value, 0), 0);
    EpochGuard guard(runtime_->epochs());
    const i64 found = call(Helper::map_lookup_and_delete_elem, hash, &key);
    ASSERT_NE(found, 0);
    const u64 other = 10;
    EXPECT_EQ(call(Helper::map_update_elem, hash, &key, &other, 0), 0);
    EXPECT_EQ(*reinterpret_cast<u64*>(found), 9u);
    EXPECT_EQ(call(Helper::map_lookup_elem, hash, &key) == found, false);
}

TEST_F(Helpers, NumbersInTexts) {
    struct Case {
        const char* text;
        u64 flags;
        i64 result;
        i64 value;
    };
    for (const Case& c :
         {Case{"123", 10, 3, 123}, Case{"  -12x", 0, 5, -12}, Case{"0x1f", 0, 4, 31},
          Case{"0x1f", 16, 4, 31}, Case{"017", 0, 3, 15}, Case{"0", 0, 1, 0}, Case{"08", 8, 1, 0},
          Case{"ff", 16, 2, 255}, Case{"", 0, -22, 0}, Case{"-", 0, -22, 0}, Case{"x", 0, -22, 0},
          Case{"+1", 0, -22, 0}, Case{"1", 2, -22, 0}, Case{"1", 0x100, -22, 0},
          Case{"9223372036854775807", 0, 19, INT64_MAX}, Case{"9223372036854775808", 0, -34, 0},
          Case{"-9223372036854775808", 0, 20, INT64_MIN}, Case{"-9223372036854775809", 0, -34, 0},
          Case{"99999999999999999999999", 0, -34, 0}}) {
        i64 value = 77;
        const u64 size = std::strlen(c.text);
        EXPECT_EQ(call(Helper::strtol, c.text, size, c.flags, &value), c.result) << c.text;
        EXPECT_EQ(value, c.value) << c.text;
    }
    u64 value = 0;
    EXPECT_EQ(call(Helper::strtoul, "18446744073709551615", 20, 0, &value), 20);
    EXPECT_EQ(value, ~u64{0});
    EXPECT_EQ(call(Helper::strtoul, "18446744073709551616", 20, 0, &value), -34);
    EXPECT_EQ(call(Helper::strtoul, "-1", 2, 0, &value), -22);
    EXPECT_EQ(call(Helper::strtoul, "123", 2, 0, &value), 2);
    EXPECT_EQ(value, 12u) << "nothing behind the size";
}

TEST_F(Helpers, ComparingAndFormatting) {
    EXPECT_EQ(call(Helper::strncmp, "abc", 4, "abc"), 0);
    EXPECT_EQ(call(Helper::strncmp, "abd", 4, "abc"), 1);
    EXPECT_EQ(call(Helper::strncmp, "ab", 3, "abc"), -1);
    EXPECT_EQ(call(Helper::strncmp, "abx", 2, "aby"), 0);
    char out[8];
    const u64 values[] = {42, static_cast<u64>(-7)};
    EXPECT_EQ(call(Helper::snprintf, out, 8, "%d,%ld", values, 16), 6);
    EXPECT_STREQ(out, "42,-7");
    EXPECT_EQ(call(Helper::snprintf, out, 4, "%d,%ld", values, 16), 6) << "the whole length";
    EXPECT_STREQ(out, "42,");
    EXPECT_EQ(call(Helper::snprintf, nullptr, 0, "12345", nullptr, 0), 6);
    EXPECT_EQ(call(Helper::snprintf, out, 8, "%d", nullptr, 0), -22) << "a value is missing";
    EXPECT_EQ(call(Helper::snprintf, out, 8, "%d", values, 7), -22);
    EXPECT_EQ(call(Helper::snprintf, out, 8, "%y", values, 8), -22);
    const u64 five[] = {1, 2, 3, 4, 5};
    EXPECT_GT(call(Helper::trace_vprintk, "%d%d%d%d%d", 11, five, 40), 0);
    EXPECT_EQ(printed_.back(), "12345");
}

TEST_F(Helpers, WindowsMemoryAndStrings) {
    program_.dialect = spec::Dialect::Windows;
    char out[8] = "1234567";
    EXPECT_EQ(call(Helper::memcpy_s, out, 8, "abc", 3), 0);
    EXPECT_STREQ(out, "abc4567");
    EXPECT_EQ(call(Helper::memcpy_s, out, 2, "abc", 3), -22);
    EXPECT_EQ(call(Helper::memmove_s, out + 1, 7, out, 3), 0);
    EXPECT_STREQ(out, "aabc567");
    EXPECT_EQ(call(Helper::memset, out, 2, 'x'), 0);
    EXPECT_STREQ(out, "xxbc567");
    EXPECT_EQ(call(Helper::memcmp_s, "abc", 3, "abc", 3), 0);
    EXPECT_EQ(call(Helper::memcmp_s, "ab", 2, "abc", 3), -1);
    EXPECT_EQ(call(Helper::memcmp_s, "b", 1, "abc", 3), 1);
    const i64 overflow = static_cast<i32>(0x80000005);
    const i64 invalid = static_cast<i32>(0xc000000d);
    EXPECT_EQ(call(Helper::strncpy_s, out, 8, "hi", 3), 0);
    EXPECT_EQ(std::memcmp(out, "hi\0\0\0\0\0", 8), 0) << "the rest is zero";
    EXPECT_EQ(call(Helper::strncpy_s, out, 3, "hello", 6), overflow);
    EXPECT_STREQ(out, "he");
    EXPECT_EQ(call(Helper::strncpy_s, out, 0, "hello", 6), invalid);
    EXPECT_EQ(call(Helper::strncat_s, out, 8, "llo", 4), 0);
    EXPECT_STREQ(out, "hello");
    EXPECT_EQ(call(Helper::strncat_s, out, 8, "world", 6), overflow);
    EXPECT_STREQ(out, "hellowo");
    EXPECT_EQ(call(Helper::strncat_s, out, 3, "x", 2), invalid) << "no NUL within the size";
    EXPECT_EQ(call(Helper::strnlen_s, "abc", 4), 3);
    EXPECT_EQ(call(Helper::strnlen_s, "abc", 2), 2);
    EXPECT_EQ(call(Helper::strnlen_s, nullptr, 0), 0);
}

TEST_F(Helpers, WindowsFormats) {
    program_.dialect = spec::Dialect::Windows;
    EXPECT_EQ(call(Helper::trace_printk5, "%d %llu %lx\n", 13, -1, ~u64{0}, 0xab), 26);
    EXPECT_EQ(printed_.back(), "-1 18446744073709551615 ab");
    EXPECT_EQ(call(Helper::trace_printk2, "100%%", 6), 4);
    EXPECT_EQ(printed_.back(), "100%");
    for (const char* format : {"%p", "%s", "%c", "%X", "%5d", "%hd", "%llld", "%", "%l", "%d%d"}) {
        EXPECT_EQ(call(Helper::trace_printk3, format, std::strlen(format) + 1, 1), -1) << format;
    }
    EXPECT_EQ(call(Helper::trace_printk3, "none", 5, 1), -1) << "a value too many";
    EXPECT_EQ(call(Helper::trace_printk2, "", 1), -1);
    EXPECT_EQ(call(Helper::trace_printk2, std::string(512, 'x').c_str(), 512), -1);
    EXPECT_EQ(printed_.size(), 2u);
}

TEST_F(Helpers, ChecksumsOfNothing) {
    const u32 words[] = {1, 2};
    for (const spec::Dialect dialect : {spec::Dialect::Linux, spec::Dialect::Windows}) {
        program_.dialect = dialect;
        EXPECT_EQ(call(Helper::csum_diff, nullptr, 8, words, 8, 5), 8) << "null is no bytes";
        EXPECT_EQ(call(Helper::csum_diff, nullptr, 8, nullptr, 4, 5), 5);
        EXPECT_EQ(call(Helper::csum_diff, nullptr, 0, words, 7, 5), -22);
        EXPECT_EQ(call(Helper::csum_diff, nullptr, 6, words, 8, 5), -22);
    }
}

}  // namespace
}  // namespace ebpf::runtime::test
