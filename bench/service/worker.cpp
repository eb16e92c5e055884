// SPDX-License-Identifier: MIT
#include "worker.hpp"

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>

namespace bench {
namespace {

constexpr int kEntries = 1024;

// The loaded program: counts to 64 in r0, 130 instructions or so, verified each time.
struct Program {
    bpf_insn code[130];
    int size = 0;

    void put(unsigned char opcode, int imm) {
        code[size++] = bpf_insn{.code = opcode, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = imm};
    }
    Program() {
        put(0xb7, 0);                                // r0 = 0
        for (int i = 0; i < 127; ++i) put(0x07, 1);  // r0 += 1
        put(0xb7, 2);                                // r0 = XDP_PASS
        put(0x95, 0);                                // exit
    }
};

long kernel(int command, bpf_attr& attr) {
    return syscall(SYS_bpf, command, &attr, sizeof attr);
}

class Worker {
  public:
    explicit Worker(Way way) : kernel_(way == Way::Kernel) {}

    Answer carry_out(const Order& order) {
        const bool mapped =
            order.operation == Operation::MappedRead || order.operation == Operation::MappedWrite;
        int& map = mapped ? mapped_map_ : map_;
        if (map < 0) {
            map = create(mapped ? BPF_F_MMAPABLE : 0);
            if (map < 0) return {.error = errno};
        }
        if (mapped && !values_) {
            void* const at = mmap(nullptr, kEntries * sizeof(std::uint64_t), PROT_READ | PROT_WRITE,
                                  MAP_SHARED, map, 0);
            if (at == MAP_FAILED) return {.error = errno};
            values_ = static_cast<std::atomic<std::uint64_t>*>(at);
        }
        const auto start = std::chrono::steady_clock::now();
        for (int i = 0; i < order.count; ++i) {
            if (one(order.operation, static_cast<std::uint32_t>(i) % kEntries) < 0)
                return {.error = errno};
        }
        return {
            .seconds =
                std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count()};
    }

  private:
    int create(std::uint32_t flags) const {
        bpf_attr attr{};
        attr.map_type = BPF_MAP_TYPE_ARRAY;
        attr.key_size = 4;
        attr.value_size = 8;
        attr.max_entries = kEntries;
        attr.map_flags = flags;
        if (kernel_) return static_cast<int>(kernel(BPF_MAP_CREATE, attr));
        LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = flags);
        return bpf_map_create(BPF_MAP_TYPE_ARRAY, "bench", 4, 8, kEntries, &options);
    }

    long one(Operation operation, std::uint32_t key) {
        std::uint64_t value = key;
        switch (operation) {
            case Operation::Lookup:
                return kernel_ ? element(BPF_MAP_LOOKUP_ELEM, key, value)
                               : bpf_map_lookup_elem(map_, &key, &value);
            case Operation::Update:
                return kernel_ ? element(BPF_MAP_UPDATE_ELEM, key, value)
                               : bpf_map_update_elem(map_, &key, &value, 0);
            case Operation::Load:
                return load();
            case Operation::MappedRead:
                sum_ = sum_ + values_[key].load(std::memory_order_relaxed);
                return 0;
            case Operation::MappedWrite:
                values_[key].store(value, std::memory_order_relaxed);
                return 0;
        }
        return -1;
    }

    long element(int command, std::uint32_t& key, std::uint64_t& value) const {
        bpf_attr attr{};
        attr.map_fd = static_cast<std::uint32_t>(map_);
        attr.key = reinterpret_cast<std::uint64_t>(&key);
        attr.value = reinterpret_cast<std::uint64_t>(&value);
        return kernel(command, attr);
    }

    long load() const {
        int program = -1;
        if (kernel_) {
            bpf_attr attr{};
            attr.prog_type = BPF_PROG_TYPE_XDP;
            attr.insns = reinterpret_cast<std::uint64_t>(program_.code);
            attr.insn_cnt = static_cast<std::uint32_t>(program_.size);
            attr.license = reinterpret_cast<std::uint64_t>("GPL");
            program = static_cast<int>(kernel(BPF_PROG_LOAD, attr));
        } else {
            program = bpf_prog_load(BPF_PROG_TYPE_XDP, "bench", "GPL", program_.code,
                                    static_cast<std::size_t>(program_.size), nullptr);
        }
        if (program >= 0) close(program);
        return program;
    }

    const bool kernel_;
    const Program program_;
    int map_ = -1;
    int mapped_map_ = -1;
    std::atomic<std::uint64_t>* values_ = nullptr;
    volatile std::uint64_t sum_ = 0;
};

}  // namespace

int serve(Way way, int in, int out) {
    Worker worker(way);
    for (Order order; read(in, &order, sizeof order) == sizeof order;) {
        const Answer answer = worker.carry_out(order);
        if (write(out, &answer, sizeof answer) != sizeof answer) return 1;
    }
    return 0;
}

}  // namespace bench
