// SPDX-License-Identifier: MIT
//
// The two sides of the comparison of errno: the kernel's bpf(2) and ours, each with objects of its
// own that are made alike.
#pragma once

#include <linux/bpf.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

namespace ebpf::tests {

using Call = int (*)(int command, bpf_attr* attr, unsigned size);

int kernel_call(int command, bpf_attr* attr, unsigned size);
int our_call(int command, bpf_attr* attr, unsigned size);

// All bytes zero: `{}` makes that of a union's first member only.
inline bpf_attr zeros() {
    bpf_attr attr;
    std::memset(&attr, 0, sizeof attr);
    return attr;
}

inline std::uint64_t address(const void* at) {
    return reinterpret_cast<std::uint64_t>(at);
}

// A descriptor; closed at the end of its scope.
class Fd {
  public:
    explicit Fd(int number = -1) : number_(number) {}
    ~Fd();
    Fd(Fd&& other) noexcept : number_(other.number_) { other.number_ = -1; }
    Fd& operator=(Fd&& other) noexcept;
    int get() const { return number_; }
    std::uint32_t u32() const { return static_cast<std::uint32_t>(number_); }

  private:
    int number_;
};

// 0 when a call succeeded (a descriptor that it made is closed), else its errno.
int answer(Call call, int command, bpf_attr& attr, unsigned size = sizeof(bpf_attr));

// An array large enough for every attribute, and two buffers that pointers may show to.
struct Buffers {
    alignas(8) unsigned char a[1 << 16] = {};
    alignas(8) unsigned char b[1 << 16] = {};
};

// Objects that rows start from.
class Side {
  public:
    explicit Side(Call how, bool with_link = false);

    bool complete() const;  // everything could be made
    Fd make(std::uint32_t type, std::uint32_t key, std::uint32_t value, std::uint32_t count,
            std::uint32_t flags = 0, std::uint64_t extra = 0, int inner = -1,
            std::uint32_t value_type = 0) const;
    Fd load(std::uint32_t type) const;
    std::uint32_t id_of(const Fd& object) const;
    // What a perf event array holds: of the kernel an event, of ours a ring. Not every kernel lets
    // us have events.
    Fd make_event() const;
    static bool events_exist();

    Call call;
    Fd hash, array, ring, programs, program, link, file, btf;
    Buffers* buffers;
};

// One question: what it is called in a report, and how a side answers it.
struct Row {
    std::string name;
    bool with_link = false;
    bool changes_nothing = false;  // of the side's own objects: they need not be new
    std::function<int(const Side&)> ask;
};

// Rows written by hand (errno_test.cpp), from commands.def (errno_fields.cpp), and for each map
// type (errno_maps.cpp).
void add_listed_rows(std::vector<Row>& rows);
void add_field_rows(std::vector<Row>& rows);
void add_map_rows(std::vector<Row>& rows);

// Type information: 1 a u32, 2 a structure of two, 3 a variable of it, 4 .data with that, 5 a
// function f, 6 its prototype, 7 a structure { struct bpf_spin_lock; u32 }, 8 struct bpf_spin_lock,
// 9 a structure { struct bpf_timer }, 10 struct bpf_timer of 9.
std::vector<unsigned char> small_btf();

extern const bpf_insn kReturn[8];  // two instructions, then zeros

}  // namespace ebpf::tests
