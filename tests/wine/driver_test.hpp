// SPDX-License-Identifier: MIT
// What the tests of the driver have in common.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "device.hpp"
#include "spec/map_types.hpp"

namespace ebpf::wine {

// Minus the code of base/errors.def when it failed, so that tests can compare.
inline i64 value(const Result<i64>& result) {
    return result ? *result : -static_cast<i64>(result.error().code);
}
inline std::string text_of(const Error& error) {
    char buffer[256];
    render(error, buffer);
    return buffer;
}

// Starts the driver before each case and stops it afterwards.
class DriverTest : public testing::Test {
  protected:
    void SetUp() override {
        if (_wgetenv(L"EBPFCORE") == nullptr) GTEST_SKIP() << "EBPFCORE names no driver";
        ASSERT_EQ(driver_.start(), 0u);
        service_ = std::make_unique<Device>(products::device::kServicePath);
        ASSERT_TRUE(service_->is_open()) << GetLastError();
        before_ = service_->statistics();
    }
    void TearDown() override {
        if (!service_) return;
        service_.reset();
        EXPECT_EQ(driver_.stop(), 0u);
    }

    static i64 create(Device& device, spec::MapType type, u32 key, u32 value_size, u32 entries) {
        spec::MapCreateAttr attr{
            .map_type = static_cast<u32>(spec::number(spec::Dialect::Linux, type)),
            .key_size = key,
            .value_size = value_size,
            .max_entries = entries};
        return value(device(spec::Command::MapCreate, attr));
    }

    DriverService driver_;
    std::unique_ptr<Device> service_;
    products::device::Statistics before_;
};

}  // namespace ebpf::wine
