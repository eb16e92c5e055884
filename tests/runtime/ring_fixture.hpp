// SPDX-License-Identifier: MIT
// A ring buffer of either direction, as an application sees its memory.
#pragma once

#include "harness.hpp"

namespace ebpf::runtime::test {

class RingFixture : public Fixture {
  protected:
    static constexpr u64 kSize = 65536;

    explicit RingFixture(spec::MapType type) : type_(type) {}
    void SetUp() override { open(kSize); }
    void TearDown() override { close(); }

    // The one ring, in a runtime of its own.
    void open(u64 size) {
        Fixture::SetUp();
        size_ = size;
        fd_ = create({.type = type_, .key = 0, .value = 0, .entries = static_cast<u32>(size)});
        ASSERT_GT(fd_, 0);
        spec::RingMapAttr attr;
        attr.map_fd = static_cast<u32>(fd_);
        ASSERT_EQ(run(spec::Command::RingMap, attr), 0);
        ASSERT_EQ(attr.data_size, size);
        consumer_ = reinterpret_cast<u64*>(attr.consumer);
        producer_ = reinterpret_cast<u64*>(attr.producer);
        data_ = reinterpret_cast<std::byte*>(attr.data);
        object_ = runtime_->ids(ObjectKind::Map).find(1);
        ASSERT_NE(object_, nullptr);
    }
    void close() {
        release(*object_);
        Fixture::TearDown();
    }
    Map& map() { return static_cast<Map&>(*object_); }
    i64 wait(i32 timeout_ms) {
        spec::RingWaitAttr attr;
        attr.map_fd = static_cast<u32>(fd_);
        attr.timeout_ms = timeout_ms;
        return run(spec::Command::RingWait, attr);
    }

    spec::MapType type_;
    i64 fd_ = 0;
    u64 size_ = 0;
    Object* object_ = nullptr;
    u64* consumer_ = nullptr;
    u64* producer_ = nullptr;
    std::byte* data_ = nullptr;
};

}  // namespace ebpf::runtime::test
