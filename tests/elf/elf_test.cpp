// SPDX-License-Identifier: MIT
#include "elf/elf.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <string>
#include <vector>

namespace ebpf::elf {
namespace {

// A small object written by hand: sections 1 .strtab, 2 "xdp" (code), 3 ".relxdp", 4 ".symtab",
// 5 ".bss". Offsets are fixed so that tests can damage single fields.
class Image {
  public:
    Image() {
        const std::string strings =
            std::string("\0.strtab\0xdp\0.relxdp\0.symtab\0.bss\0f\0m\0", 38);
        bytes_.resize(kTable + 6 * 64);
        put<u32>(0, 0x464c457f);
        put<u8>(4, 2);
        put<u8>(5, 1);
        put<u8>(6, 1);
        put<u16>(16, 1);
        put<u16>(18, kMachineBpf);
        put<u64>(40, kTable);
        put<u16>(58, 64);
        put<u16>(60, 6);
        put<u16>(62, 1);
        std::memcpy(bytes_.data() + kStrings, strings.data(), strings.size());
        section(1, 1, SectionType::Strtab, 0, kStrings, 38, 0, 0, 0);
        section(2, 9, SectionType::Progbits, kFlagAlloc | kFlagExec, kCode, 16, 0, 0, 0);
        section(3, 13, SectionType::Rel, 0, kRel, 16, 4, 2, 16);
        section(4, 21, SectionType::Symtab, 0, kSymbols, 72, 1, 1, 24);
        section(5, 29, SectionType::Nobits, kFlagAlloc | kFlagWrite, kSymbols, u64{1} << 40, 0, 0,
                0);
        put<u32>(kSymbols + 24, 34);  // f: global function of section 2
        put<u8>(kSymbols + 28, 0x12);
        put<u16>(kSymbols + 30, 2);
        put<u64>(kSymbols + 40, 16);
        put<u32>(kSymbols + 48, 36);  // "": undefined
        put<u64>(kRel, 8);
        put<u64>(kRel + 8, u64{2} << 32 | 10);
    }

    template <typename T>
    void put(u64 offset, T value) {
        store_le(bytes_.data() + offset, value);
    }
    void section(u32 i, u32 name, SectionType type, u64 flags, u64 offset, u64 size, u32 link,
                 u32 info, u64 entry_size) {
        const u64 at = kTable + i * 64;
        put<u32>(at, name);
        put<u32>(at + 4, static_cast<u32>(type));
        put<u64>(at + 8, flags);
        put<u64>(at + 24, offset);
        put<u64>(at + 32, size);
        put<u32>(at + 40, link);
        put<u32>(at + 44, info);
        put<u64>(at + 56, entry_size);
    }
    Bytes bytes() const { return bytes_; }
    std::vector<std::byte>& raw() { return bytes_; }

    static constexpr u64 kStrings = 64;
    static constexpr u64 kCode = 104;
    static constexpr u64 kRel = 120;
    static constexpr u64 kSymbols = 136;
    static constexpr u64 kTable = 208;

  private:
    std::vector<std::byte> bytes_;
};

// Everything that a reader can ask for; the first error.
Status read_all(Bytes bytes) {
    TRY_ASSIGN(const File file, File::open(bytes));
    for (u32 i = 0; i < file.section_count(); ++i) {
        TRY_ASSIGN(const Section section, file.section(i));
        if (section.type == SectionType::Rel || section.type == SectionType::Rela) {
            TRY_ASSIGN(const RelocationTable table, file.relocations(section));
            for (u32 r = 0; r < table.size(); ++r) TRY(table.at(r));
        }
    }
    TRY_ASSIGN(const SymbolTable symbols, file.symbols());
    for (u32 i = 0; i < symbols.size(); ++i) {
        TRY_ASSIGN(const Symbol symbol, symbols.at(i));
        TRY(symbols.name(symbol));
    }
    return {};
}

TEST(Elf, ReadsSectionsSymbolsAndRelocations) {
    const Image image;
    const auto file = File::open(image.bytes());
    ASSERT_TRUE(file);
    EXPECT_EQ(file->section_count(), 6u);
    const auto code = file->section(2);
    ASSERT_TRUE(code);
    EXPECT_EQ(code->name, "xdp");
    EXPECT_TRUE(code->is_code());
    EXPECT_EQ(code->bytes.size(), 16u);
    EXPECT_EQ(code->bytes.data(), image.bytes().data() + Image::kCode);
    // A lying size of a section without bytes costs nothing.
    const auto bss = file->section(5);
    ASSERT_TRUE(bss);
    EXPECT_EQ(bss->size, u64{1} << 40);
    EXPECT_TRUE(bss->bytes.empty());

    const auto symbols = file->symbols();
    ASSERT_TRUE(symbols);
    ASSERT_EQ(symbols->size(), 3u);
    const auto f = symbols->at(1);
    ASSERT_TRUE(f);
    EXPECT_EQ(symbols->name(*f).value(), "f");
    EXPECT_EQ(f->type, SymbolType::Function);
    EXPECT_EQ(f->binding, Binding::Global);
    EXPECT_TRUE(f->is_defined());
    EXPECT_FALSE(symbols->at(3));

    const auto table = file->relocations(*file->section(3));
    ASSERT_TRUE(table);
    ASSERT_EQ(table->size(), 1u);
    const auto relocation = table->at(0);
    ASSERT_TRUE(relocation);
    EXPECT_EQ(relocation->offset, 8u);
    EXPECT_EQ(relocation->symbol, 2u);
    EXPECT_EQ(relocation->type, RelocationType::Call32);
}

TEST(Elf, RelaCarriesItsAddend) {
    Image image;
    image.section(3, 13, SectionType::Rela, 0, Image::kRel, 24, 4, 2, 24);
    image.put<i64>(Image::kRel + 16, -8);
    const auto file = File::open(image.bytes());
    ASSERT_TRUE(file);
    const auto table = file->relocations(*file->section(3));
    ASSERT_TRUE(table);
    ASSERT_EQ(table->size(), 1u);
    EXPECT_TRUE(table->at(0)->has_addend);
    EXPECT_EQ(table->at(0)->addend, -8);
}

struct Damage {
    const char* name;
    std::function<void(Image&)> apply;
    Errc code;
    Where::Kind place;
};

class Damaged : public testing::TestWithParam<Damage> {};

TEST_P(Damaged, IsRefusedWithItsPlace) {
    Image image;
    ASSERT_TRUE(read_all(image.bytes()));
    GetParam().apply(image);
    const auto status = read_all(image.bytes());
    ASSERT_FALSE(status);
    char text[200];
    render(status.error(), text);
    EXPECT_EQ(name(status.error().code), name(GetParam().code)) << text;
    EXPECT_EQ(status.error().where.kind, GetParam().place) << text;
    EXPECT_NE(status.error().what, nullptr);
}

constexpr u64 kHeader2 = Image::kTable + 2 * 64;
constexpr u64 kHeader3 = Image::kTable + 3 * 64;
constexpr u64 kHeader4 = Image::kTable + 4 * 64;

INSTANTIATE_TEST_SUITE_P(
    All, Damaged,
    testing::Values(
        Damage{"magic", [](Image& i) { i.put<u8>(0, 0x7e); }, Errc::BadMagic, Where::Kind::Offset},
        Damage{"bits32", [](Image& i) { i.put<u8>(4, 1); }, Errc::Unsupported, Where::Kind::Offset},
        Damage{"big_endian", [](Image& i) { i.put<u8>(5, 2); }, Errc::Unsupported,
               Where::Kind::Offset},
        Damage{"machine", [](Image& i) { i.put<u16>(18, 62); }, Errc::Unsupported,
               Where::Kind::Offset},
        Damage{"executable", [](Image& i) { i.put<u16>(16, 2); }, Errc::Unsupported,
               Where::Kind::Offset},
        Damage{"table_outside", [](Image& i) { i.put<u64>(40, ~u64{0} - 8); }, Errc::Truncated,
               Where::Kind::Offset},
        Damage{"table_cut", [](Image& i) { i.put<u16>(60, 7); }, Errc::Truncated,
               Where::Kind::Offset},
        Damage{"entry_size", [](Image& i) { i.put<u16>(58, 40); }, Errc::BadFormat,
               Where::Kind::Offset},
        Damage{"names_index", [](Image& i) { i.put<u16>(62, 6); }, Errc::OutOfBounds,
               Where::Kind::Offset},
        Damage{"names_type", [](Image& i) { i.put<u16>(62, 2); }, Errc::BadFormat,
               Where::Kind::Section},
        Damage{"name_outside", [](Image& i) { i.put<u32>(kHeader2, 38); }, Errc::OutOfBounds,
               Where::Kind::Section},
        Damage{"section_outside", [](Image& i) { i.put<u64>(kHeader2 + 24, ~u64{0}); },
               Errc::Truncated, Where::Kind::Section},
        Damage{"section_too_long", [](Image& i) { i.put<u64>(kHeader2 + 32, 10000); },
               Errc::Truncated, Where::Kind::Section},
        Damage{"relocation_size", [](Image& i) { i.put<u64>(kHeader3 + 56, 0); }, Errc::BadFormat,
               Where::Kind::Section},
        Damage{"symbols_outside", [](Image& i) { i.put<u64>(kHeader4 + 32, 24000); },
               Errc::Truncated, Where::Kind::Section},
        Damage{"symbol_size", [](Image& i) { i.put<u64>(kHeader4 + 56, 16); }, Errc::BadFormat,
               Where::Kind::Section},
        Damage{"symbol_strings", [](Image& i) { i.put<u32>(kHeader4 + 40, 2); }, Errc::BadFormat,
               Where::Kind::Section},
        Damage{"symbol_name", [](Image& i) { i.put<u32>(Image::kSymbols + 24, 999); },
               Errc::OutOfBounds, Where::Kind::Symbol},
        Damage{"symbol_xindex", [](Image& i) { i.put<u16>(Image::kSymbols + 30, 0xffff); },
               Errc::Unsupported, Where::Kind::Symbol}),
    [](const auto& tested) { return tested.param.name; });

TEST(Elf, EveryTruncationAndManyBitFlipsAreSafe) {
    const Image image;
    for (u64 size = 0; size < image.bytes().size(); ++size) {
        // A copy of exactly that size, so that a sanitizer sees a byte read too far.
        const std::vector<std::byte> cut(image.bytes().begin(), image.bytes().begin() + size);
        EXPECT_FALSE(read_all(cut)) << size;
    }
    std::mt19937 random(2);
    for (int round = 0; round < 20000; ++round) {
        Image damaged;
        for (u32 n = 1 + random() % 3; n > 0; --n) {
            damaged.raw()[random() % damaged.raw().size()] ^= std::byte(1 << random() % 8);
        }
        (void)read_all(damaged.bytes());
    }
}

TEST(Elf, AFileWithoutSectionsHasNone) {
    Image image;
    image.put<u64>(40, 0);
    const auto file = File::open(image.bytes());
    ASSERT_TRUE(file);
    EXPECT_EQ(file->section_count(), 0u);
    EXPECT_EQ(file->symbols()->size(), 0u);
}

}  // namespace
}  // namespace ebpf::elf
