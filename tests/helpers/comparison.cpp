// SPDX-License-Identifier: MIT
#include "comparison.hpp"

#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "isa/codec.hpp"

namespace ebpf::runtime::test {
namespace {

constexpr u32 kRingSize = 4096;

u64 address(const void* p) {
    return reinterpret_cast<u64>(p);
}

int bpf_call(int command, bpf_attr& attr) {
    return static_cast<int>(syscall(SYS_bpf, command, &attr, sizeof attr));
}

// Descriptors that are closed at the end.
struct Descriptors {
    std::vector<int> all;
    ~Descriptors() {
        for (const int fd : all) close(fd);
    }
    int keep(int fd) {
        if (fd >= 0) all.push_back(fd);
        return fd;
    }
};

int create_map(u32 type, u32 key, u32 value, u32 entries, u32 flags) {
    bpf_attr a{};
    a.map_type = type;
    a.key_size = key;
    a.value_size = value;
    a.max_entries = entries;
    a.map_flags = flags;
    return bpf_call(BPF_MAP_CREATE, a);
}

int element(int command, int fd, std::byte* value) {
    const u32 key = 0;
    bpf_attr a{};
    a.map_fd = static_cast<u32>(fd);
    a.key = address(&key);
    a.value = address(value);
    return bpf_call(command, a);
}

std::vector<std::byte> encode_for_kernel(const std::vector<Insn>& program, const int maps[3]) {
    std::vector<std::byte> bytes;
    for (Insn insn : program) {
        if (insn.form == isa::Form::Call && insn.call() == isa::CallKind::Helper) {
            insn.imm = spec::number(spec::Dialect::Linux, static_cast<spec::Helper>(insn.imm));
        } else if (insn.form == isa::Form::Wide && insn.wide() == isa::WideKind::MapIndexValue) {
            insn.imm = static_cast<i64>(u64{insn.map_value_offset()} << 32 |
                                        static_cast<u32>(maps[insn.map_index()]));
            insn.kind = static_cast<u8>(isa::WideKind::MapFdValue);
        } else if (insn.form == isa::Form::Wide && insn.wide() == isa::WideKind::MapIndex) {
            insn.imm = maps[insn.map_index()];
            insn.kind = static_cast<u8>(isa::WideKind::MapFd);
        }
        isa::Slot slots[2];
        EXPECT_TRUE(isa::encode(insn, slots));
        const auto* from = reinterpret_cast<const std::byte*>(slots);
        bytes.insert(bytes.end(), from, from + insn.slots() * 8);
    }
    return bytes;
}

}  // namespace

Contents contents(std::string_view bytes) {
    Contents all(kMemorySize);
    std::memcpy(all.data(), bytes.data(), bytes.size());
    return all;
}

Insn constant(isa::Reg dst, u64 value) {
    Insn insn;
    insn.form = isa::Form::Wide;
    insn.dst = dst;
    insn.imm = static_cast<i64>(value);
    return insn;
}

void keep_result(std::vector<Insn>& program, u32 n) {
    program.push_back(map_value(9, kMemory, kResults + 8 * n));
    program.push_back(store(isa::Width::W64, 9, 0, 0));
}

void finish(std::vector<Insn>& program) {
    program.push_back(mov(0, 2));
    program.push_back(exit());
}

i64 result(const Contents& memory, u32 n) {
    i64 value = 0;
    std::memcpy(&value, memory.data() + kResults + 8 * n, sizeof value);
    return value;
}

bool Comparison::has_kernel() {
    static const bool has = [] {
        const int fd = create_map(BPF_MAP_TYPE_ARRAY, 4, 8, 1, 0);
        if (fd >= 0) ::close(fd);
        return fd >= 0 && geteuid() == 0;
    }();
    return has;
}

Contents Comparison::run_here(const std::vector<Insn>& program, const Contents& memory,
                              const Contents& constants) {
    Contents left[2];
    const u32 key = 0;
    for (const Engine engine : {Engine::Interpreter, Engine::Jit}) {
        const i64 maps[] = {
            create({.type = spec::MapType::Array, .value = kMemorySize, .entries = 1}),
            create({.type = spec::MapType::Array, .value = kMemorySize, .entries = 1}),
            create({.type = spec::MapType::Ringbuf, .key = 0, .value = 0, .entries = kRingSize})};
        EXPECT_EQ(update(maps[kMemory], &key, memory.data()), 0);
        EXPECT_EQ(update(maps[kConstants], &key, constants.data()), 0);
        const i64 loaded = install(engine, program, {maps, maps + 3});
        EXPECT_GT(loaded, 0);
        EXPECT_EQ(test_run(loaded), 2);
        Contents& found = left[engine == Engine::Jit ? 1 : 0];
        found.resize(kMemorySize);
        EXPECT_EQ(lookup(maps[kMemory], &key, found.data()), 0);
        close(loaded);
        for (const i64 map : maps) close(map);
    }
    EXPECT_EQ(left[0], left[1]) << "the engines differ";
    return left[0];
}

std::optional<Contents> Comparison::run_in_kernel(const std::vector<Insn>& program,
                                                  const Contents& memory,
                                                  const Contents& constants) {
    Descriptors open;
    const int maps[] = {
        open.keep(create_map(BPF_MAP_TYPE_ARRAY, 4, kMemorySize, 1, 0)),
        open.keep(create_map(BPF_MAP_TYPE_ARRAY, 4, kMemorySize, 1, BPF_F_RDONLY_PROG)),
        open.keep(create_map(BPF_MAP_TYPE_RINGBUF, 0, 0, kRingSize, 0))};
    Contents working = memory, constant = constants;
    EXPECT_EQ(element(BPF_MAP_UPDATE_ELEM, maps[kMemory], working.data()), 0);
    EXPECT_EQ(element(BPF_MAP_UPDATE_ELEM, maps[kConstants], constant.data()), 0);
    bpf_attr freeze{};
    freeze.map_fd = static_cast<u32>(maps[kConstants]);
    EXPECT_EQ(bpf_call(BPF_MAP_FREEZE, freeze), 0);

    const std::vector<std::byte> bytes = encode_for_kernel(program, maps);
    std::vector<char> log(1 << 16);
    bpf_attr load{};
    load.prog_type = BPF_PROG_TYPE_XDP;
    load.insns = address(bytes.data());
    load.insn_cnt = static_cast<u32>(bytes.size() / 8);
    load.license = address("GPL");
    load.log_buf = address(log.data());
    load.log_size = static_cast<u32>(log.size());
    load.log_level = 1;
    const int loaded = open.keep(bpf_call(BPF_PROG_LOAD, load));
    refusal_ = log.data();
    if (loaded < 0) return {};
    std::byte packet[64] = {};
    bpf_attr run{};
    run.test.prog_fd = static_cast<u32>(loaded);
    run.test.data_in = address(packet);
    run.test.data_size_in = sizeof packet;
    EXPECT_EQ(bpf_call(BPF_PROG_TEST_RUN, run), 0) << std::strerror(errno);
    EXPECT_EQ(element(BPF_MAP_LOOKUP_ELEM, maps[kMemory], working.data()), 0);
    return working;
}

Contents Comparison::compare(const std::vector<Insn>& program, const Contents& memory,
                             const Contents& constants) {
    const Contents all = memory.empty() ? contents("") : memory;
    const Contents constant = constants.empty() ? contents("") : constants;
    const Contents ours = run_here(program, all, constant);
    if (has_kernel()) {
        const std::optional<Contents> kernels = run_in_kernel(program, all, constant);
        EXPECT_TRUE(kernels) << refusal_;
        if (kernels) {
            const auto [here, there] = std::mismatch(ours.begin(), ours.end(), kernels->begin());
            EXPECT_EQ(here, ours.end())
                << "byte " << here - ours.begin() << ": " << static_cast<int>(*here)
                << ", by the kernel " << static_cast<int>(*there);
        }
    }
    return ours;
}

}  // namespace ebpf::runtime::test
