// SPDX-License-Identifier: MIT
// casement/vm.h, over both engines.
#include <casement/vm.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

namespace {

struct Insn {
    uint8_t code;
    uint8_t regs;
    int16_t off;
    int32_t imm;
};
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

INSTANTIATE_TEST_SUITE_P(Engines, VmTest,
                         testing::Values(CASEMENT_ENGINE_JIT, CASEMENT_ENGINE_INTERPRETER));

}  // namespace
