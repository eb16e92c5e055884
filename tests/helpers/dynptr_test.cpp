// SPDX-License-Identifier: MIT
// Dynamic pointers at run time.
#include "comparison.hpp"

namespace ebpf::runtime::test {
namespace {

using isa::Width;
using spec::Helper;

constexpr i32 kPointer = -16, kBuffer = -48;  // on the stack

class Dynptrs : public Comparison {
  protected:
    void SetUp() override {
        Comparison::SetUp();
        for (i32 at = kBuffer; at < kPointer; at += 8) put(store_imm(Width::W64, 10, at, -1));
    }
    void put(const Insn& insn) { program_.push_back(insn); }
    void stack(isa::Reg reg, i32 offset) {
        put(mov_reg(reg, 10));
        put(add(reg, offset));
    }
    void keep(Helper helper) {
        put(call(helper));
        keep_result(program_, results_++);
    }
    // A dynamic pointer to `size` bytes of the memory.
    void make(i32 size, i32 flags = 0) {
        put(map_value(1, kMemory, 0));
        put(mov(2, size));
        put(mov(3, flags));
        stack(4, kPointer);
        keep(Helper::dynptr_from_mem);
    }
    void reserve(i32 size, i32 flags = 0) {
        put(map_index(1, kRing));
        put(mov(2, size));
        put(mov(3, flags));
        stack(4, kPointer);
        keep(Helper::ringbuf_reserve_dynptr);
    }
    void end(Helper helper, i32 flags = 0) {
        stack(1, kPointer);
        put(mov(2, flags));
        put(call(helper));
    }
    void read(i32 size, i32 offset, i32 flags = 0) {
        stack(1, kBuffer);
        put(mov(2, size));
        stack(3, kPointer);
        put(mov(4, offset));
        put(mov(5, flags));
        keep(Helper::dynptr_read);
        // What was read, as a result.
        put(load(Width::W64, 0, 10, kBuffer));
        keep_result(program_, results_++);
    }
    void write(i32 size, i32 offset, i32 flags = 0) {
        stack(1, kPointer);
        put(mov(2, offset));
        stack(3, kBuffer);
        put(mov(4, size));
        put(mov(5, flags));
        keep(Helper::dynptr_write);
    }
    // Writes 7 through the pointer to `size` bytes at `offset`; result 1, or 0 where there is none.
    void data(i32 size, i32 offset) {
        stack(1, kPointer);
        put(mov(2, offset));
        put(mov(3, size));
        put(call(Helper::dynptr_data));
        put(jeq(0, 0, 2));
        put(store_imm(Width::W8, 0, 0, 7));
        put(mov(0, 1));
        keep_result(program_, results_++);
    }
    // What the helpers returned, in order.
    std::vector<i64> run() {
        finish(program_);
        left_ = compare(program_, contents("abcdefghijklmnopqrstuvwxyz"));
        std::vector<i64> all;
        for (u32 n = 0; n < results_; ++n) all.push_back(result(left_, n));
        return all;
    }
    std::string memory(std::size_t size) const {
        return {reinterpret_cast<const char*>(left_.data()), size};
    }

    std::vector<Insn> program_;
    u32 results_ = 0;
    Contents left_;
};

constexpr i64 kAbcdefgh = 0x6867666564636261;

TEST_F(Dynptrs, ToMemory) {
    make(16);
    read(8, 0);
    read(4, 1);
    write(3, 4);
    data(4, 12);
    EXPECT_EQ(run(), (std::vector<i64>{0, 0, kAbcdefgh, 0, 0x6867666565646362, 0, 1}));
    EXPECT_EQ(memory(17), "abcdbcdhijkl\7nopq");
}

TEST_F(Dynptrs, WhatIsOutside) {
    make(16);
    for (const i32 offset : {9, 16, 17, -1, -8}) read(8, offset);
    for (const i32 offset : {9, 16, 17, -1}) write(8, offset);
    for (const i32 offset : {13, 16, -1, -4}) data(4, offset);
    data(17, 0);
    read(0, 16);
    read(0, 17);
    write(0, 16);
    const std::vector<i64> found = run();
    for (u32 n = 1; n < 11; n += 2) EXPECT_EQ(found[n], -7) << n;
    for (u32 n = 11; n < 15; ++n) EXPECT_EQ(found[n], -7) << n;
    for (u32 n = 15; n < 20; ++n) EXPECT_EQ(found[n], 0) << n;
    EXPECT_EQ(found[20], 0);
    EXPECT_EQ(found[22], -7);
    EXPECT_EQ(found[24], 0);
    EXPECT_EQ(memory(26), "abcdefghijklmnopqrstuvwxyz");
}

TEST_F(Dynptrs, Flags) {
    make(16, 1);
    read(8, 0);
    write(1, 0);
    data(1, 0);
    make(16);
    read(8, 0, 1);
    write(8, 0, 1);
    write(8, 100, 1);
    const std::vector<i64> found = run();
    const std::vector<i64> expected = {-22, -22, -1, -22, 0, 0, -22, -1, -22, -7};
    EXPECT_EQ(found, expected);
}

TEST_F(Dynptrs, Nothing) {
    make(0);
    read(0, 0);
    read(1, 0);
    data(1, 0);
    EXPECT_EQ(run(), (std::vector<i64>{0, 0, -1, -7, -1, 0}));
}

TEST_F(Dynptrs, RecordsOfRings) {
    reserve(24);
    write(8, 16);
    write(8, 17);
    read(8, 16);
    data(8, 0);
    end(Helper::ringbuf_submit_dynptr);
    reserve(100);
    end(Helper::ringbuf_discard_dynptr, 1);
    reserve(8, 1);
    write(8, 0);
    end(Helper::ringbuf_submit_dynptr);
    reserve(5000);  // more than the ring has
    data(1, 0);
    end(Helper::ringbuf_discard_dynptr);
    reserve(1 << 24);
    end(Helper::ringbuf_submit_dynptr);
    reserve(0);
    end(Helper::ringbuf_submit_dynptr);
    EXPECT_EQ(run(), (std::vector<i64>{0, 0, -7, 0, -1, 1, 0, -22, -22, -22, 0, -7, 0}));
    // What is in the ring, by its producer's position.
    program_.clear();
    results_ = 0;
    for (i32 at = kBuffer; at < kPointer; at += 8) put(store_imm(Width::W64, 10, at, -1));
    for (const i32 size : {24, 0, 1, 100}) {
        reserve(size);
        end(Helper::ringbuf_submit_dynptr);
        put(map_index(1, kRing));
        put(mov(2, 3));
        keep(Helper::ringbuf_query);
    }
    EXPECT_EQ(run(), (std::vector<i64>{0, 32, 0, 40, 0, 56, 0, 168}));
}

}  // namespace
}  // namespace ebpf::runtime::test
