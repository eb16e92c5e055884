// SPDX-License-Identifier: MIT
// casement/vm.h, over both engines.
#include <casement/vm.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include "raw_insn.hpp"

namespace {

constexpr Insn kExit = {0x95, 0, 0, 0};

class VmTest : public testing::TestWithParam<casement_engine> {
  protected:
    void SetUp() override { ASSERT_EQ(casement_vm_set_engine(vm_, GetParam()), 0); }
    ~VmTest() override { casement_vm_destroy(vm_); }
    template <size_t N>
    int load(const Insn (&code)[N]) {
        return casement_vm_load(vm_, code, sizeof code);
    }
    casement_vm* vm_ = casement_vm_create();
};

uint64_t add_to_data(uint64_t a, uint64_t b, uint64_t c, uint64_t, uint64_t, casement_call* call) {
    return a + b + c + *static_cast<uint64_t*>(casement_call_data(call));
}

TEST_P(VmTest, ReadsAndWritesItsMemory) {
    // w0 = *(u32 *)(r1 + 4); *(u32 *)(r1 + 0) = r0
    const Insn code[] = {{0x61, 0x10, 4, 0}, {0x63, 0x01, 0, 0}, kExit};
    ASSERT_EQ(casement_vm_set_memory_size(vm_, 8), 0);
    ASSERT_EQ(load(code), 0) << casement_vm_error(vm_);
    ASSERT_EQ(casement_vm_compile(vm_), 0) << casement_vm_error(vm_);
    uint32_t memory[2] = {0, 42};
    uint64_t result = 0;
    ASSERT_EQ(casement_vm_run(vm_, memory, sizeof memory, &result), 0);
    EXPECT_EQ(result, 42u);
    EXPECT_EQ(memory[0], 42u);
    EXPECT_EQ(casement_vm_run(vm_, memory, 4, &result), -EINVAL) << "less than promised";
    EXPECT_EQ(casement_vm_code_size(vm_) > 0, GetParam() == CASEMENT_ENGINE_JIT);
}

// Nothing is known of the address of memory without bytes: found by fuzz_engines.
TEST_P(VmTest, MemoryWithoutBytesMayBeNull) {
    // if r1 == 0 return 1; return 2
    const Insn code[] = {{0xb7, 0, 0, 1}, {0x15, 1, 1, 0}, {0xb7, 0, 0, 2}, kExit};
    ASSERT_EQ(load(code), 0) << casement_vm_error(vm_);
    ASSERT_EQ(casement_vm_compile(vm_), 0) << casement_vm_error(vm_);
    uint64_t result = 0;
    ASSERT_EQ(casement_vm_run(vm_, nullptr, 0, &result), 0);
    EXPECT_EQ(result, 1u);
    ASSERT_EQ(casement_vm_run(vm_, &result, sizeof result, &result), 0);
    EXPECT_EQ(result, 2u);
}

TEST_P(VmTest, RejectsWhatLeavesTheMemory) {
    const Insn code[] = {{0x61, 0x10, 8, 0}, kExit};
    ASSERT_EQ(casement_vm_set_memory_size(vm_, 8), 0);
    ASSERT_EQ(load(code), 0);
    EXPECT_EQ(casement_vm_verify(vm_), -EACCES);
    EXPECT_NE(std::strstr(casement_vm_error(vm_), "error["), nullptr) << casement_vm_error(vm_);
    EXPECT_EQ(casement_vm_compile(vm_), -EACCES);
    uint64_t result;
    EXPECT_EQ(casement_vm_run(vm_, nullptr, 0, &result), -EINVAL) << "nothing is compiled";
}

TEST_P(VmTest, CallsHelpersWithTheirPrototypes) {
    uint64_t data = 100;
    const casement_helper helper = {
        .number = 7,
        .name = "add_to_data",
        .function = &add_to_data,
        .ret = CASEMENT_RET_SCALAR,
        .args = {CASEMENT_ARG_SCALAR, CASEMENT_ARG_SCALAR, CASEMENT_ARG_SCALAR}};
    ASSERT_EQ(casement_vm_add_helper(vm_, &helper), 0);
    casement_vm_set_data(vm_, &data);
    const Insn code[] = {
        {0xb7, 1, 0, 20}, {0xb7, 2, 0, 2}, {0xb7, 3, 0, 1}, {0x85, 0, 0, 7}, kExit};
    ASSERT_EQ(load(code), 0);
    ASSERT_EQ(casement_vm_compile(vm_), 0) << casement_vm_error(vm_);
    uint64_t result = 0;
    ASSERT_EQ(casement_vm_run(vm_, nullptr, 0, &result), 0);
    EXPECT_EQ(result, 123u);
    // r3 is not set: the prototype asks for it.
    const Insn bad[] = {{0xb7, 1, 0, 20}, {0x85, 0, 0, 7}, kExit};
    ASSERT_EQ(load(bad), 0);
    EXPECT_EQ(casement_vm_compile(vm_), -EACCES);
    const Insn unknown[] = {{0x85, 0, 0, 8}, kExit};
    ASSERT_EQ(load(unknown), 0);
    EXPECT_LT(casement_vm_compile(vm_), 0);
}

TEST_P(VmTest, DamagedInputIsAnError) {
    const Insn code[] = {{0xff, 0, 0, 0}, kExit};
    EXPECT_LT(load(code), 0);
    EXPECT_STRNE(casement_vm_error(vm_), "");
    EXPECT_LT(casement_vm_load(vm_, code, 7), 0);
    EXPECT_LT(casement_vm_load_elf(vm_, code, sizeof code, nullptr), 0);
    EXPECT_LT(casement_vm_compile(vm_), 0);
}

TEST_P(VmTest, R2IsTheSizeOfTheMemory) {
    for (const int trusted : {0, 1}) {
        casement_vm_trust(vm_, trusted);
        const Insn code[] = {{0xbf, 0x20, 0, 0}, kExit};  // r0 = r2
        ASSERT_EQ(load(code), 0);
        ASSERT_EQ(casement_vm_compile(vm_), 0) << casement_vm_error(vm_);
        char memory[24];
        uint64_t result = 0;
        ASSERT_EQ(casement_vm_run(vm_, memory, sizeof memory, &result), 0);
        EXPECT_EQ(result, sizeof memory);
    }
}

TEST_P(VmTest, R2SaysNothingAboutTheMemory) {
    // if r2 < 8 goto +1; r0 = *(u64 *)(r1 + 0)
    const Insn code[] = {{0xb7, 0, 0, 0}, {0xa5, 2, 1, 8}, {0x79, 0x10, 0, 0}, kExit};
    ASSERT_EQ(load(code), 0);
    EXPECT_EQ(casement_vm_compile(vm_), -EACCES);
    const Insn through[] = {{0x79, 0x20, 0, 0}, kExit};  // r0 = *(u64 *)(r2 + 0)
    ASSERT_EQ(load(through), 0);
    EXPECT_EQ(casement_vm_compile(vm_), -EACCES);
}

// r0 = *(u64 *)(r1 + 0) + r2 through a helper of three arguments.
constexpr Insn kCallsWithMemoryAndSize[] = {
    {0x79, 0x11, 0, 0}, {0xb7, 3, 0, 0}, {0x85, 0, 0, 7}, kExit};

TEST_P(VmTest, EntryIsAPlainFunction) {
    EXPECT_EQ(casement_vm_entry(vm_), nullptr) << "nothing is compiled";
    uint64_t data = 1000;
    const casement_helper helper = {
        .number = 7,
        .name = "add_to_data",
        .function = &add_to_data,
        .ret = CASEMENT_RET_SCALAR,
        .args = {CASEMENT_ARG_SCALAR, CASEMENT_ARG_SCALAR, CASEMENT_ARG_SCALAR}};
    ASSERT_EQ(casement_vm_add_helper(vm_, &helper), 0);
    casement_vm_set_data(vm_, &data);
    ASSERT_EQ(casement_vm_set_memory_size(vm_, 8), 0);
    ASSERT_EQ(load(kCallsWithMemoryAndSize), 0);
    ASSERT_EQ(casement_vm_compile(vm_), 0) << casement_vm_error(vm_);
    const casement_entry_fn entry = casement_vm_entry(vm_);
    if (GetParam() == CASEMENT_ENGINE_INTERPRETER) {
        EXPECT_EQ(entry, nullptr);
        return;
    }
    ASSERT_NE(entry, nullptr);
    std::atomic<int> wrong = 0;
    const auto work = [&](uint64_t first) {
        for (uint64_t i = 0; i < 100'000; ++i) {
            uint64_t memory[2] = {first + i, 0};
            if (entry(memory, sizeof memory) != first + i + sizeof memory + 1000) ++wrong;
        }
    };
    std::thread one(work, 0), two(work, 1'000'000'000'000);
    one.join();
    two.join();
    EXPECT_EQ(wrong, 0);
    ASSERT_EQ(load(kCallsWithMemoryAndSize), 0);
    EXPECT_EQ(casement_vm_entry(vm_), nullptr) << "a load ends it";
}

// The helper enters the program that called it, with a number less, down to 0.
uint64_t enter_again(uint64_t n, uint64_t, uint64_t, uint64_t, uint64_t, casement_call* call) {
    if (n == 0) return 0;
    uint64_t memory = n - 1;
    const auto entry = *static_cast<casement_entry_fn*>(casement_call_data(call));
    return n + entry(&memory, sizeof memory);
}

TEST_P(VmTest, EntryIsReentrant) {
    if (GetParam() == CASEMENT_ENGINE_INTERPRETER) GTEST_SKIP() << "has no entry";
    casement_entry_fn entry = nullptr;
    const casement_helper helper = {.number = 7,
                                    .name = "enter_again",
                                    .function = &enter_again,
                                    .ret = CASEMENT_RET_SCALAR,
                                    .args = {CASEMENT_ARG_SCALAR}};
    ASSERT_EQ(casement_vm_add_helper(vm_, &helper), 0);
    casement_vm_set_data(vm_, &entry);
    ASSERT_EQ(casement_vm_set_memory_size(vm_, 8), 0);
    ASSERT_EQ(load(kCallsWithMemoryAndSize), 0);
    ASSERT_EQ(casement_vm_compile(vm_), 0) << casement_vm_error(vm_);
    entry = casement_vm_entry(vm_);
    ASSERT_NE(entry, nullptr);
    uint64_t memory = 10;
    EXPECT_EQ(entry(&memory, sizeof memory), 55u);
}

TEST(VmFuel, EndsATrustedLoop) {
    casement_vm* const vm = casement_vm_create();
    ASSERT_EQ(casement_vm_set_engine(vm, CASEMENT_ENGINE_INTERPRETER), 0);
    casement_vm_trust(vm, 1);
    casement_vm_set_fuel(vm, 1000);
    const Insn loop[] = {{0xb7, 0, 0, 0}, {0x05, 0, -1, 0}, kExit};
    ASSERT_EQ(casement_vm_load(vm, loop, sizeof loop), 0) << casement_vm_error(vm);
    ASSERT_EQ(casement_vm_compile(vm), 0) << casement_vm_error(vm);
    uint64_t result;
    EXPECT_EQ(casement_vm_run(vm, nullptr, 0, &result), -ETIMEDOUT);
    casement_vm_destroy(vm);
}

constexpr Insn kForever[] = {{0xb7, 0, 0, 0}, {0x05, 0, -1, 0}, kExit};

TEST_P(VmTest, FuelEndsAnyEnginesRun) {
    casement_vm_trust(vm_, 1);
    ASSERT_EQ(load(kForever), 0) << casement_vm_error(vm_);
    casement_vm_set_fuel(vm_, 1000);
    ASSERT_EQ(casement_vm_compile(vm_), 0) << casement_vm_error(vm_);
    uint64_t result;
    EXPECT_EQ(casement_vm_run(vm_, nullptr, 0, &result), -ETIMEDOUT);
    if (const casement_entry_fn entry = casement_vm_entry(vm_)) {
        EXPECT_EQ(entry(nullptr, 0), 0u);
    }
}

TEST_P(VmTest, AnotherThreadCancels) {
    casement_vm_trust(vm_, 1);
    ASSERT_EQ(load(kForever), 0) << casement_vm_error(vm_);
    EXPECT_EQ(casement_vm_cancel(vm_, 1), -EINVAL);
    casement_vm_set_cancellable(vm_, 1);
    ASSERT_EQ(casement_vm_compile(vm_), 0) << casement_vm_error(vm_);
    std::thread other([this] {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        EXPECT_EQ(casement_vm_cancel(vm_, 1), 0);
    });
    uint64_t result;
    EXPECT_EQ(casement_vm_run(vm_, nullptr, 0, &result), -ECANCELED);
    other.join();
    EXPECT_EQ(casement_vm_run(vm_, nullptr, 0, &result), -ECANCELED);
}

TEST_P(VmTest, HardenedCodeComputesTheSame) {
    const Insn code[] = {{0xb7, 0, 0, 0x1234567}, {0x27, 0, 0, 77}, {0x97, 0, 0, 1000}, kExit};
    EXPECT_EQ(casement_vm_set_hardening(vm_, 4), -EINVAL);
    ASSERT_EQ(
        casement_vm_set_hardening(vm_, CASEMENT_BLIND_CONSTANTS | CASEMENT_SAFE_INDIRECT_CALLS), 0);
    ASSERT_EQ(load(code), 0) << casement_vm_error(vm_);
    ASSERT_EQ(casement_vm_compile(vm_), 0) << casement_vm_error(vm_);
    uint64_t result = 0;
    ASSERT_EQ(casement_vm_run(vm_, nullptr, 0, &result), 0) << casement_vm_error(vm_);
    EXPECT_EQ(result, 0x1234567ull * 77 % 1000);
}

TEST_P(VmTest, TheOptimisingLevelComputesTheSame) {
    // r0 = r2; what becomes of r3 is for nobody
    const Insn code[] = {{0xbf, 0x20, 0, 0},
                         {0xbf, 0x03, 0, 0},
                         {0x27, 0x03, 0, 77},
                         {0x27, 0x03, 0, 78},
                         {0x27, 0x03, 0, 79},
                         {0x27, 0x00, 0, 77},
                         kExit};
    size_t sizes[2];
    EXPECT_EQ(casement_vm_set_level(vm_, static_cast<casement_level>(2)), -EINVAL);
    for (const casement_level level : {CASEMENT_LEVEL_DEFAULT, CASEMENT_LEVEL_OPTIMISE}) {
        ASSERT_EQ(casement_vm_set_level(vm_, level), 0);
        ASSERT_EQ(load(code), 0) << casement_vm_error(vm_);
        ASSERT_EQ(casement_vm_compile(vm_), 0) << casement_vm_error(vm_);
        uint64_t result = 1;
        ASSERT_EQ(casement_vm_run(vm_, nullptr, 0, &result), 0) << casement_vm_error(vm_);
        EXPECT_EQ(result, 0u);
        sizes[level] = casement_vm_code_size(vm_);
    }
    if (GetParam() == CASEMENT_ENGINE_JIT) {
        EXPECT_LT(sizes[CASEMENT_LEVEL_OPTIMISE], sizes[CASEMENT_LEVEL_DEFAULT]);
    }
}

// Programs that no verifier saw, and what is around their memory.
class CheckedVm : public testing::TestWithParam<casement_engine> {
  protected:
    void SetUp() override {
        if (casement_vm_set_engine(vm_, GetParam()) != 0) GTEST_SKIP() << "no JIT here";
        casement_vm_set_checked(vm_, 1);
        casement_vm_set_fuel(vm_, 1000);
    }
    ~CheckedVm() override { casement_vm_destroy(vm_); }

    int run(const std::vector<Insn>& code) {
        EXPECT_EQ(casement_vm_load(vm_, code.data(), code.size() * sizeof(Insn)), 0)
            << casement_vm_error(vm_);
        EXPECT_EQ(casement_vm_compile(vm_), 0) << casement_vm_error(vm_);
        return casement_vm_run(vm_, memory_ + 16, 16, &result_);
    }
    casement_vm* vm_ = casement_vm_create();
    alignas(16) uint8_t memory_[48] = {};
    uint64_t result_ = 0;
};

TEST_P(CheckedVm, EveryWidthEndsAtTheMemorysEnds) {
    const struct {
        uint8_t load, store, store_imm;
        int16_t size;
    } widths[] = {
        {0x71, 0x73, 0x72, 1}, {0x69, 0x6b, 0x6a, 2}, {0x61, 0x63, 0x62, 4}, {0x79, 0x7b, 0x7a, 8}};
    for (const auto& width : widths) {
        for (int16_t off = -16; off <= 24; ++off) {
            const bool inside = off >= 0 && off + width.size <= 16;
            const int expected = inside ? 0 : -EFAULT;
            const std::vector<Insn> load = {{width.load, 0x10, off, 0}, kExit};
            const std::vector<Insn> store = {{0xb7, 0, 0, 7}, {width.store, 0x01, off, 0}, kExit};
            const std::vector<Insn> store_imm = {
                {0xb7, 0, 0, 7}, {width.store_imm, 0x01, off, 9}, kExit};
            EXPECT_EQ(run(load), expected) << width.size << " bytes at " << off;
            EXPECT_EQ(run(store), expected) << width.size << " bytes at " << off;
            EXPECT_EQ(run(store_imm), expected) << width.size << " bytes at " << off;
            if (width.size == 8) {
                // lock *(u64 *)(r1 + off) += r0; aligned only
                const std::vector<Insn> atomic = {{0xb7, 0, 0, 7}, {0xdb, 0x01, off, 0}, kExit};
                EXPECT_EQ(run(atomic), inside && off % 8 == 0 ? 0 : -EFAULT) << off;
            }
        }
    }
    for (int i = 0; i < 48; ++i)
        EXPECT_TRUE(memory_[i] == 0 || (i >= 16 && i < 32)) << "written outside, at " << i;
}

TEST_P(CheckedVm, StacksAreTheProgramsOwn) {
    // r0 = *(u64 *)(r10 - 512): zeros
    EXPECT_EQ(run({{0x79, 0xa0, -512, 0}, kExit}), 0);
    EXPECT_EQ(result_, 0u);
    EXPECT_EQ(run({{0x79, 0xa0, -513, 0}, kExit}), -EFAULT);
    EXPECT_EQ(run({{0x79, 0xa0, -7, 0}, kExit}), -EFAULT);
    EXPECT_EQ(run({{0x79, 0xa0, 0, 0}, kExit}), -EFAULT);
    // The caller's frame, through a pointer: *(u64 *)(r10 - 8) = 5; r1 = r10; call f; exit;
    // f: r0 = *(u64 *)(r1 - 8); exit
    EXPECT_EQ(run({{0x7a, 0x0a, -8, 5},
                   {0xbf, 0xa1, 0, 0},
                   {0x85, 0x10, 0, 1},
                   kExit,
                   {0x79, 0x10, -8, 0},
                   kExit}),
              0);
    EXPECT_EQ(result_, 5u);
    // A frame that was left: f returns its r10, the caller reads there.
    EXPECT_EQ(run({{0x85, 0x10, 0, 2}, {0x79, 0x00, -8, 0}, kExit, {0xbf, 0xa0, 0, 0}, kExit}),
              -EFAULT);
}

TEST_P(CheckedVm, RangesAreReadAndWrittenAsTheyAllow) {
    uint64_t table[2] = {11, 22};
    const auto address = reinterpret_cast<uint64_t>(&table);
    const Insn low = {0x18, 0x02, 0, int32_t(address)}, high = {0, 0, 0, int32_t(address >> 32)};
    EXPECT_EQ(run({low, high, {0x79, 0x20, 8, 0}, kExit}), -EFAULT);
    ASSERT_EQ(casement_vm_add_range(vm_, table, sizeof table, 0), 0);
    EXPECT_EQ(run({low, high, {0x79, 0x20, 8, 0}, kExit}), 0);
    EXPECT_EQ(result_, 22u);
    EXPECT_EQ(run({low, high, {0x79, 0x20, 9, 0}, kExit}), -EFAULT);
    EXPECT_EQ(run({low, high, {0xb7, 0, 0, 0}, {0x7a, 0x02, 0, 33}, kExit}), -EFAULT);
    EXPECT_EQ(table[0], 11u);
    ASSERT_EQ(casement_vm_add_range(vm_, table, 8, 1), 0);
    EXPECT_EQ(run({low, high, {0xb7, 0, 0, 0}, {0x7a, 0x02, 0, 33}, kExit}), 0);
    EXPECT_EQ(table[0], 33u);
    EXPECT_EQ(casement_vm_add_range(vm_, nullptr, 8, 1), -EINVAL);
}

uint64_t first_byte(uint64_t memory, uint64_t, uint64_t, uint64_t, uint64_t, casement_call*) {
    return *reinterpret_cast<const uint8_t*>(memory);
}

TEST_P(CheckedVm, HelpersGetOnlyMemoryThatTheProgramHas) {
    const casement_helper helper = {.number = 3,
                                    .name = "first_byte",
                                    .function = first_byte,
                                    .ret = CASEMENT_RET_SCALAR,
                                    .args = {CASEMENT_ARG_READABLE, CASEMENT_ARG_SIZE}};
    ASSERT_EQ(casement_vm_add_helper(vm_, &helper), 0);
    memory_[16] = 99;
    EXPECT_EQ(run({{0xb7, 2, 0, 16}, {0x85, 0, 0, 3}, kExit}), 0);
    EXPECT_EQ(result_, 99u);
    EXPECT_EQ(run({{0xb7, 2, 0, 17}, {0x85, 0, 0, 3}, kExit}), -EFAULT);
    EXPECT_EQ(run({{0xb7, 2, 0, 0}, {0x85, 0, 0, 3}, kExit}), -EFAULT);
    EXPECT_EQ(run({{0xb7, 2, 0, -1}, {0x85, 0, 0, 3}, kExit}), -EFAULT);
    EXPECT_EQ(run({{0xb7, 1, 0, 0}, {0xb7, 2, 0, 1}, {0x85, 0, 0, 3}, kExit}), -EFAULT);
    // By register: r3 = 3; callx r3.
    EXPECT_EQ(run({{0xb7, 2, 0, 17}, {0xb7, 3, 0, 3}, {0x8d, 3, 0, 0}, kExit}), -EFAULT);
}

TEST_P(CheckedVm, EndsWithoutFuel) {
    EXPECT_EQ(run({{0xb7, 0, 0, 0}, {0x05, 0, -1, 0}, kExit}), -ETIMEDOUT);
    EXPECT_EQ(casement_vm_entry(vm_), nullptr);
}

TEST_P(CheckedVm, RegistersBeginWithZero) {
    // r0 |= r3 | ... | r9
    std::vector<Insn> program;
    for (uint8_t r = 3; r <= 9; ++r) program.push_back({0x4f, uint8_t(r << 4), 0, 0});
    program.push_back(kExit);
    EXPECT_EQ(run(program), 0);
    EXPECT_EQ(result_, 0u);
    // A subprogram's own, and r1 to r5 after the call: r6 = 7; call f; r0 |= r1 | ... | r5; exit;
    // f: r0 |= r6; r6 = 9; r1 = 9; ... exit
    program = {{0xb7, 6, 0, 7}, {0x85, 0x10, 0, 6}};
    for (uint8_t r = 1; r <= 5; ++r) program.push_back({0x4f, uint8_t(r << 4), 0, 0});
    program.insert(program.end(), {kExit, {0x4f, 0x60, 0, 0}, {0xb7, 6, 0, 9}});
    for (uint8_t r = 1; r <= 5; ++r) program.push_back({0xb7, r, 0, 9});
    program.push_back(kExit);
    EXPECT_EQ(run(program), 0);
    EXPECT_EQ(result_, 0u);
}

INSTANTIATE_TEST_SUITE_P(Engines, CheckedVm,
                         testing::Values(CASEMENT_ENGINE_JIT, CASEMENT_ENGINE_INTERPRETER));

INSTANTIATE_TEST_SUITE_P(Engines, VmTest,
                         testing::Values(CASEMENT_ENGINE_JIT, CASEMENT_ENGINE_INTERPRETER));

}  // namespace
