// SPDX-License-Identifier: MIT
//
// GDB's JIT interface as a debugger reads it: a list of object files in memory, and what they say
// of the code's addresses, names and unwind data.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <thread>
#include <vector>

#include "elf/elf.hpp"
#include "platform/memory.hpp"

namespace {

// As the manual of GDB has them.
struct Entry {
    const Entry* next;
    const Entry* prev;
    const std::byte* file;
    uint64_t file_size;
};
struct Descriptor {
    uint32_t version;
    uint32_t action;
    const Entry* relevant;
    const Entry* first;
};

}  // namespace

// NOLINTBEGIN(bugprone-reserved-identifier)
extern "C" const Descriptor __jit_debug_descriptor;
// NOLINTEND(bugprone-reserved-identifier)

namespace ebpf::platform {
namespace {

using Function = CodePages::Function;

constexpr std::size_t kUnwindAt = 200;
// A record of 12 bytes and a terminator.
constexpr unsigned char kUnwind[] = {12, 0, 0, 0,  1,  2,  3, 4, 5, 6,
                                     7,  8, 9, 10, 11, 12, 0, 0, 0, 0};
const Function kFunctions[] = {{"first", "", 16, 64}, {"second", ".part", 64, kUnwindAt}};

std::vector<const Entry*> listed() {
    std::vector<const Entry*> entries;
    const Entry* before = nullptr;
    for (const Entry* e = __jit_debug_descriptor.first; e != nullptr; before = e, e = e->next) {
        EXPECT_EQ(e->prev, before);
        entries.push_back(e);
    }
    return entries;
}

CodePages::Functions functions_of(const Function* functions, std::size_t count) {
    return {functions, count,
            [](const void* self, std::size_t i) { return static_cast<const Function*>(self)[i]; }};
}

CodePages make_pages(bool with_unwind = true) {
    Result<CodePages> pages = CodePages::create(1000);
    EXPECT_TRUE(pages);
    std::memcpy(pages->writable().data() + kUnwindAt, kUnwind, sizeof kUnwind);
    if (with_unwind) pages->register_unwind(0, kUnwindAt, sizeof kUnwind);
    return std::move(*pages);
}

class DebuggerTest : public testing::Test {
  protected:
    void SetUp() override { setenv("EBPF_GDB_JIT", "1", 1); }
    void TearDown() override {
        unsetenv("EBPF_GDB_JIT");
        EXPECT_TRUE(listed().empty());
    }
};

elf::Section section_of(const elf::File& file, std::string_view name) {
    for (u32 i = 0; i < file.section_count(); ++i) {
        const Result<elf::Section> section = file.section(i);
        EXPECT_TRUE(section);
        if (section && section->name == name) return *section;
    }
    ADD_FAILURE() << "no section " << name;
    return {};
}

TEST_F(DebuggerTest, ReadsWhereWhichFunctionIs) {
    const CodePages pages = make_pages();
    pages.name_code(functions_of(kFunctions, 2));
    ASSERT_EQ(listed().size(), 1u);
    EXPECT_EQ(__jit_debug_descriptor.version, 1u);
    const Entry& entry = *listed()[0];
    const auto file = elf::File::open({entry.file, entry.file_size}, elf::Purpose::AnySections);
    ASSERT_TRUE(file);
    const auto address = reinterpret_cast<u64>(pages.address());

    const elf::Section text = section_of(*file, ".text");
    EXPECT_EQ(text.type, elf::SectionType::Nobits);
    EXPECT_EQ(text.flags, elf::kFlagAlloc | elf::kFlagExec);
    EXPECT_EQ(text.address, address + 16);
    EXPECT_EQ(text.size, kUnwindAt - 16);

    const elf::Section unwind = section_of(*file, ".eh_frame");
    EXPECT_EQ(unwind.address, address + kUnwindAt);
    ASSERT_EQ(unwind.bytes.size(), sizeof kUnwind);
    EXPECT_EQ(std::memcmp(unwind.bytes.data(), kUnwind, sizeof kUnwind), 0);

    const auto symbols = file->symbols();
    ASSERT_TRUE(symbols);
    ASSERT_EQ(symbols->size(), 3u);
    for (u32 i = 0; i < 2; ++i) {
        const auto symbol = symbols->at(i + 1);
        ASSERT_TRUE(symbol);
        EXPECT_EQ(symbol->type, elf::SymbolType::Function);
        EXPECT_EQ(symbol->section, text.index);
        EXPECT_EQ(text.address + symbol->value, address + kFunctions[i].begin);
        EXPECT_EQ(symbol->size, kFunctions[i].end - kFunctions[i].begin);
        const auto name = symbols->name(*symbol);
        ASSERT_TRUE(name);
        EXPECT_EQ(*name, i == 0 ? "bpf_prog_first" : "bpf_prog_second.part");
    }
}

TEST_F(DebuggerTest, ForgetsCodeThatGoes) {
    std::optional<CodePages> a(make_pages()), b(make_pages()), c(make_pages());
    for (const auto* pages : {&a, &b, &c}) (*pages)->name_code(functions_of(kFunctions, 2));
    (*b).name_code(functions_of(kFunctions, 1));  // a second part of the same pages
    const std::vector<const Entry*> before = listed();
    ASSERT_EQ(before.size(), 4u);
    b.reset();
    EXPECT_EQ(listed(), (std::vector{before[1], before[3]}));
    a.reset();
    EXPECT_EQ(listed(), (std::vector{before[1]}));
}

TEST_F(DebuggerTest, IsToldNothingUnlessAsked) {
    unsetenv("EBPF_GDB_JIT");
    const CodePages pages = make_pages();
    pages.name_code(functions_of(kFunctions, 2));
    EXPECT_TRUE(listed().empty());
}

TEST_F(DebuggerTest, LongNamesAndNoUnwindData) {
    const CodePages pages = make_pages(false);
    const std::string name(5000, 'x');
    const Function function{name, "", 0, 100};
    pages.name_code(functions_of(&function, 1));
    ASSERT_EQ(listed().size(), 1u);
    const auto file =
        elf::File::open({listed()[0]->file, listed()[0]->file_size}, elf::Purpose::AnySections);
    ASSERT_TRUE(file);
    EXPECT_EQ(section_of(*file, ".eh_frame").size, 0u);
    const auto symbols = file->symbols();
    ASSERT_TRUE(symbols);
    const auto its_name = symbols->name(symbols->at(1).value());
    ASSERT_TRUE(its_name);
    EXPECT_EQ(its_name->size(), 255u);
}

TEST_F(DebuggerTest, LivesWithoutMemory) {
    const CodePages pages = make_pages();
    set_allocation_hook([](std::size_t, void*) { return false; }, nullptr);
    pages.name_code(functions_of(kFunctions, 2));
    set_allocation_hook(nullptr, nullptr);
    EXPECT_TRUE(listed().empty());
}

TEST_F(DebuggerTest, HearsOfManyThreads) {
    const u64 blocks = allocations();
    std::thread threads[4];
    for (std::thread& thread : threads) {
        thread = std::thread([] {
            for (int i = 0; i < 200; ++i) {
                const CodePages one = make_pages(), two = make_pages();
                one.name_code(functions_of(kFunctions, 2));
                two.name_code(functions_of(kFunctions, 1));
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_TRUE(listed().empty());
    EXPECT_EQ(allocations(), blocks);
}

}  // namespace
}  // namespace ebpf::platform
