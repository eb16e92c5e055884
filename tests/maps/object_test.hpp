// SPDX-License-Identifier: MIT
#pragma once

#include <bpf/libbpf.h>
#include <casement/embedded.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

// Whether programs of the object will run in this engine. A service has one, machine code's, and
// lets nobody choose.
inline bool choose_engine(bpf_object* object, ebpf_engine engine) {
    if (std::getenv("EBPF_SERVICE") != nullptr) return engine == EBPF_ENGINE_JIT;
    return ebpf_object__set_engine(object, engine) == 0;
}

// An object file of this folder. Windows' tests have them from the building system.
inline std::string object_path(const char* file) {
    const char* const elsewhere = std::getenv("MAPS_TEST_OBJECTS");
    return std::string(elsewhere ? elsewhere : MAPS_TEST_OBJECTS) + "/" + file;
}

// An object file of this folder, loaded for one engine. A SetUp() that goes on from there begins
// with this one and ends where ready() says no.
class ObjectTest : public testing::TestWithParam<ebpf_engine> {
  protected:
    explicit ObjectTest(const char* file) : file_(object_path(file)) {}
    void SetUp() override {
        object_ = bpf_object__open_file(file_.c_str(), nullptr);
        ASSERT_TRUE(object_);
        if (!choose_engine(object_, GetParam())) GTEST_SKIP() << "no such engine";
        ASSERT_EQ(bpf_object__load(object_), 0);
    }
    void TearDown() override { bpf_object__close(object_); }
    static bool ready() { return !IsSkipped() && !HasFatalFailure(); }

    int map(const char* name) const { return bpf_object__find_map_fd_by_name(object_, name); }
    int program(const char* name) const {
        return bpf_program__fd(bpf_object__find_program_by_name(object_, name));
    }

    bpf_object* object_ = nullptr;

  private:
    std::string file_;
};
