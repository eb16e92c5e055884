// SPDX-License-Identifier: MIT
//
// Damaged objects: whatever is done to a sound one, read_object returns, in bounded time, with a
// result that can be used or an error that can be printed. Run under the sanitizers too. Damage is
// deterministic: a seed and a number make a case that can be run again.
#include <gtest/gtest.h>

#include <ctime>
#include <random>

#include "elf/elf.hpp"
#include "objects.hpp"

namespace ebpf::engine {
namespace {

constexpr std::string_view kObjects[] = {"everything", "legacy", "windows", "text"};

// Goes over everything that was read, as consumers do; a violated promise fails the test.
void use(const Object& object) {
    ASSERT_EQ(object.maps.size(), object.map_status.size());
    for (const ir::MapDef& map : object.maps) {
        ASSERT_LT(map.inner, static_cast<i32>(object.maps.size()));
        ASSERT_TRUE(map.initial.empty() || map.initial.size() == map.value_size);
    }
    for (const InitialSlot& slot : object.slots) {
        ASSERT_LT(slot.map, object.maps.size());
        ASSERT_LT(slot.target, slot.is_program ? object.programs.size() : object.maps.size());
    }
    for (const ObjectProgram& listed : object.programs) {
        if (!listed.program) {
            ASSERT_FALSE(listed.message.empty());
            continue;
        }
        const ir::Program& program = *listed.program;
        ASSERT_EQ(program.target.size(), program.insns.size());
        ASSERT_EQ(program.slot_of.size(), program.insns.size() + 1);
        ASSERT_FALSE(program.subprograms.empty());
        for (u32 i = 0; i < program.insns.size(); ++i) {
            const u32 target = program.target[i];
            ASSERT_TRUE(target == ir::kNoTarget || target < program.insns.size());
            const isa::Insn& insn = program.insns[i];
            if (insn.form == isa::Form::Wide && insn.wide() == isa::WideKind::MapIndex) {
                ASSERT_LT(insn.map_index(), program.maps.size());
                ASSERT_TRUE(object.map_status[insn.map_index()]);
            }
            if (insn.form == isa::Form::Wide && insn.wide() == isa::WideKind::MapIndexValue) {
                ASSERT_LT(insn.map_index(), program.maps.size());
                ASSERT_LE(insn.map_value_offset(), program.maps[insn.map_index()].value_size);
            }
            if (const ir::SourceLine* line = program.line_at(i)) {
                ASSERT_LT(line->file, program.files.size());
            }
        }
        const auto slots = ir::encode_program(program);
        char text[200] = "";
        if (!slots) render(slots.error(), text);
        ASSERT_TRUE(slots) << text;
    }
}

// Reads exactly these bytes, in both dialects; whether either was accepted.
bool survive(const std::vector<std::byte>& bytes) {
    bool accepted = false;
    for (const spec::Dialect dialect : {spec::Dialect::Linux, spec::Dialect::Windows}) {
        const auto object = read_object(
            bytes, {.dialect = dialect, .default_type = spec::ProgramType::SocketFilter});
        if (object) {
            accepted = true;
            use(*object);
        } else {
            EXPECT_FALSE(describe(object.error(), bytes).empty());
        }
    }
    return accepted;
}

class Damage : public testing::TestWithParam<std::string_view> {
  protected:
    void SetUp() override {
        for (const std::string& compiler : compilers()) {
            sound_.push_back(test_object(compiler, std::string(GetParam())));
        }
        if (sound_.empty()) GTEST_SKIP() << "no clang for bpf";
    }
    std::vector<std::vector<std::byte>> sound_;
};

TEST_P(Damage, Truncated) {
    for (const auto& sound : sound_) {
        ASSERT_TRUE(survive(sound));
        const u64 step = std::max<u64>(1, sound.size() / 200);
        for (u64 size = 0; size < sound.size(); size += step) {
            survive({sound.begin(), sound.begin() + static_cast<std::ptrdiff_t>(size)});
        }
    }
}

TEST_P(Damage, FlippedBits) {
    std::mt19937 random(11);
    for (const auto& sound : sound_) {
        for (int round = 0; round < 600; ++round) {
            auto bytes = sound;
            for (u32 n = 1 + random() % 4; n > 0; --n) {
                bytes[random() % bytes.size()] ^= std::byte(1 << random() % 8);
            }
            survive(bytes);
        }
    }
}

// Values that break arithmetic: ends of ranges, powers of two, neighbours of the sizes in the file.
u64 awkward(std::mt19937& random, u64 file_size) {
    const u64 values[] = {0,
                          1,
                          2,
                          7,
                          8,
                          0x7f,
                          0xff,
                          0xfff1,
                          0xffff,
                          0x7fff'ffff,
                          0x8000'0000,
                          0xffff'ffff,
                          ~u64{0},
                          ~u64{0} - 7,
                          file_size,
                          file_size - 1,
                          file_size / 2,
                          u64{1} << 32,
                          u64{1} << 63,
                          random()};
    return values[random() % std::size(values)];
}

// The bytes that steer the reader: all but the debug sections, which it skips.
std::vector<std::pair<u64, u64>> steering_ranges(const std::vector<std::byte>& bytes) {
    std::vector<std::pair<u64, u64>> ranges{{0, 64}};
    const auto file = elf::File::open(bytes);
    if (!file) return ranges;
    const u64 table = load_le<u64>(bytes.data() + 40);
    ranges.emplace_back(table, table + u64{64} * file->section_count());
    for (u32 i = 1; i < file->section_count(); ++i) {
        const auto section = file->section(i);
        if (!section || section->bytes.empty() ||
            section->name.find("debug") != section->name.npos) {
            continue;
        }
        ranges.emplace_back(section->offset, section->offset + section->size);
    }
    return ranges;
}

TEST_P(Damage, AwkwardFields) {
    std::mt19937 random(12);
    for (const auto& sound : sound_) {
        const auto ranges = steering_ranges(sound);
        int accepted = 0;
        for (int round = 0; round < 2000; ++round) {
            auto bytes = sound;
            for (u32 n = 1 + random() % 3; n > 0; --n) {
                // Ranges, not bytes, are equally likely: headers and symbols are small.
                const auto [begin, end] = ranges[random() % ranges.size()];
                const u64 width = u64{1} << random() % 4;
                if (end - begin < width) continue;
                const u64 at = begin + random() % ((end - begin) / width) * width;
                const u64 value = awkward(random, bytes.size());
                std::memcpy(bytes.data() + at, &value, width);
            }
            accepted += survive(bytes);
        }
        // Damage must reach deep: not everything may be refused at the door.
        EXPECT_GT(accepted, 100);
    }
}

TEST_P(Damage, SwappedRecords) {
    std::mt19937 random(13);
    for (const auto& sound : sound_) {
        const auto ranges = steering_ranges(sound);
        for (int round = 0; round < 800; ++round) {
            auto bytes = sound;
            // A piece of one table over a piece of another, or of the same.
            const auto [from, from_end] = ranges[random() % ranges.size()];
            const auto [to, to_end] = ranges[random() % ranges.size()];
            const u64 size = std::min({u64{8} << random() % 4, from_end - from, to_end - to});
            const u64 a = from + random() % (from_end - from - size + 1);
            const u64 b = to + random() % (to_end - to - size + 1);
            std::memcpy(bytes.data() + b, sound.data() + a, size);
            survive(bytes);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(All, Damage, testing::ValuesIn(kObjects),
                         [](const auto& tested) { return std::string(tested.param); });

// A file whose every section claims the whole file, with as many sections as fit: what is read must
// stay near the file's size.
TEST(HostileObject, OverlappingSectionsAreRefused) {
    constexpr u32 kSections = 2000;
    std::vector<std::byte> bytes(64 + kSections * 64);
    const auto put = [&](u64 at, auto value) { store_le(bytes.data() + at, value); };
    put(0, u32{0x464c457f});
    put(4, u32{0x00010102});
    put(16, u16{1});
    put(18, u16{247});
    put(40, u64{64});
    put(58, u16{64});
    put(60, u16{kSections});
    for (u32 i = 1; i < kSections; ++i) {
        const u64 header = 64 + u64{i} * 64;
        put(header + 4, u32{1});
        put(header + 8, u64{6});
        put(header + 32, u64{bytes.size()});
    }
    const std::clock_t start = std::clock();  // of the processor, not of the wall
    const auto object = read_object(bytes, {});
    ASSERT_FALSE(object);
    EXPECT_EQ(name(object.error().code), "BadFormat");
    EXPECT_LT(std::clock() - start, 2 * CLOCKS_PER_SEC);
}

}  // namespace
}  // namespace ebpf::engine
