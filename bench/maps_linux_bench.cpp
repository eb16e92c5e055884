// SPDX-License-Identifier: MIT
//
// Maps beside Linux's, in one run: the same instructions and the same bpf() attributes go to this
// library and to the running kernel, which needs root (otherwise its column stays empty). A program
// does kOps operations on keys that a random start chooses; the kernel's and our test run repeat
// it. What the loop itself costs with an empty helper call in the operation's place is measured too
// and subtracted on both sides. Prints nanoseconds per operation, ratios (Linux / here, so above 1
// is faster here) and their geometric mean.
//
//   bench_maps_linux [--quick] [--here] [NAME]    only rows like hash/lookup/8/10000/2 (the last:
//   threads)
//                                        that contain NAME
#include <bpf/bpf.h>
#include <linux/unistd.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using Door = int (*)(int command, bpf_attr* attr, unsigned size);

int kernel_bpf(int command, bpf_attr* attr, unsigned size) {
    return static_cast<int>(syscall(__NR_bpf, command, attr, size));
}

// One side of the comparison.
struct Side {
    Door bpf;
    __s32 empty_helper;  // returns a word of the CPU's
};
// bpf_get_smp_processor_id here; Linux compiles that into the program, so bpf_get_numa_node_id.
constexpr Side kHere{&ebpf_bpf, 8};
constexpr Side kLinux{&kernel_bpf, 42};

constexpr int kOps = 512;

// --- programs -----------------------------------------------------------------------------------

class Code {
  public:
    std::vector<bpf_insn> insns;

    void op(__u8 code, int dst, int src, __s16 off = 0, __s32 imm = 0) {
        insns.push_back({.code = code,
                         .dst_reg = static_cast<__u8>(dst & 15),
                         .src_reg = static_cast<__u8>(src & 15),
                         .off = off,
                         .imm = imm});
    }
    void mov(int dst, __s32 imm) { op(0xb7, dst, 0, 0, imm); }
    void copy(int dst, int src) { op(0xbf, dst, src); }
    void add(int dst, __s32 imm) { op(0x07, dst, 0, 0, imm); }
    void store(int off, int src) { op(0x7b, 10, src, static_cast<__s16>(off)); }
    void map(int dst, int fd) {
        op(0x18, dst, 1, 0, fd);
        op(0, 0, 0);
    }
    void constant(int dst, __u64 value) {
        op(0x18, dst, 0, 0, static_cast<__s32>(value));
        op(0, 0, 0, 0, static_cast<__s32>(value >> 32));
    }
    void call(__s32 helper) { op(0x85, 0, 0, 0, helper); }
    int here() const { return static_cast<int>(insns.size()); }
};

enum class What { Nothing, Empty, Lookup, Update, Ring, Inner, TailCall };

struct Row {
    const char* name;
    What what;
    __u32 type;
    __u32 key;
    __u32 entries;
    __u32 flags = 0;
    int threads = 1;
};

constexpr int kKeyAt = -40;    // up to 36 bytes
constexpr int kValueAt = -64;  // 16 bytes

// r6 random state, r7 rounds left; the key lies on the stack.
void emit_key(Code& c, const Row& row) {
    const bool trie = row.type == BPF_MAP_TYPE_LPM_TRIE;
    c.constant(1, 6364136223846793005ull);  // Knuth's MMIX generator
    c.op(0x2f, 6, 1);
    c.constant(1, 1442695040888963407ull);
    c.op(0x0f, 6, 1);
    c.copy(1, 6);
    c.op(0x77, 1, 0, 0, 33);
    c.op(0x27, 1, 0, 0, static_cast<__s32>(row.entries));
    c.op(0x77, 1, 0, 0, 31);  // below `entries`
    if (trie) {
        c.op(0xdc, 1, 0, 0, 32);        // network order, as prefixes have it
        c.op(0x63, 10, 1, kKeyAt + 4);  // behind the length
        c.op(0x62, 10, 0, kKeyAt, static_cast<__s32>(8 * (row.key - 4)));
    } else if (row.key == 4) {
        c.op(0x63, 10, 1, kKeyAt);
    } else {
        c.store(kKeyAt, 1);
    }
}

void emit_operation(Code& c, const Row& row, const Side& side, int map) {
    const auto key_in = [&](int reg) {
        c.copy(reg, 10);
        c.add(reg, kKeyAt);
    };
    switch (row.what) {
        case What::Nothing:
            break;
        case What::Empty:
            c.call(side.empty_helper);
            break;
        case What::Lookup:
            c.map(1, map);
            key_in(2);
            c.call(BPF_FUNC_map_lookup_elem);
            break;
        case What::Update:
            c.map(1, map);
            key_in(2);
            c.copy(3, 10);
            c.add(3, kValueAt);
            c.mov(4, 0);
            c.call(BPF_FUNC_map_update_elem);
            break;
        case What::Ring:
            c.map(1, map);
            c.copy(2, 10);
            c.add(2, kValueAt);
            c.mov(3, 16);
            c.mov(4, 1);  // no wake-up
            c.call(BPF_FUNC_ringbuf_output);
            break;
        case What::Inner:
            c.map(1, map);
            key_in(2);
            c.call(BPF_FUNC_map_lookup_elem);
            c.op(0x15, 0, 0, 4);
            c.copy(1, 0);
            key_in(2);
            c.call(BPF_FUNC_map_lookup_elem);
            break;
        case What::TailCall:
            break;
    }
}

std::vector<bpf_insn> program_of(const Row& row, const Side& side, int map) {
    Code c;
    if (row.what == What::TailCall) {  // into itself until the limit of 33
        c.copy(6, 1);
        c.map(2, map);
        c.mov(3, 0);
        c.call(BPF_FUNC_tail_call);
        c.mov(0, 2);
        c.op(0x95, 0, 0);
        return c.insns;
    }
    if (row.what == What::Nothing) {
        c.mov(0, 2);
        c.op(0x95, 0, 0);
        return c.insns;
    }
    for (int at = kValueAt; at < 0; at += 8) c.op(0x7a, 10, 0, static_cast<__s16>(at));
    c.call(BPF_FUNC_get_prandom_u32);
    c.copy(6, 0);
    c.mov(7, kOps);
    const int top = c.here();
    emit_key(c, row);
    emit_operation(c, row, side, map);
    c.add(7, -1);
    c.op(0x25, 7, 0, static_cast<__s16>(top - c.here() - 1), 0);
    c.mov(0, 2);
    c.op(0x95, 0, 0);
    return c.insns;
}

// --- one side -----------------------------------------------------------------------------------

int load(const Side& side, const std::vector<bpf_insn>& insns) {
    static char log[1 << 16];
    bpf_attr attr{};
    attr.prog_type = BPF_PROG_TYPE_XDP;
    attr.insns = reinterpret_cast<__u64>(insns.data());
    attr.insn_cnt = static_cast<__u32>(insns.size());
    attr.license = reinterpret_cast<__u64>("GPL");
    int program = side.bpf(BPF_PROG_LOAD, &attr, sizeof attr);
    if (program >= 0 || errno == EPERM) return program;
    attr.log_level = 1;
    attr.log_buf = reinterpret_cast<__u64>(log);
    attr.log_size = sizeof log;
    program = side.bpf(BPF_PROG_LOAD, &attr, sizeof attr);
    if (program < 0) std::fprintf(stderr, "load: %s\n%s\n", std::strerror(errno), log);
    return program;
}

int create(const Side& side, __u32 type, __u32 key, __u32 value, __u32 entries, __u32 flags,
           int inner = 0) {
    bpf_attr attr{};
    attr.map_type = type;
    attr.key_size = key;
    attr.value_size = value;
    attr.max_entries = entries;
    attr.map_flags = flags;
    attr.inner_map_fd = static_cast<__u32>(inner);
    return side.bpf(BPF_MAP_CREATE, &attr, sizeof attr);
}

bool update(const Side& side, int map, const void* key, const void* value) {
    bpf_attr attr{};
    attr.map_fd = static_cast<__u32>(map);
    attr.key = reinterpret_cast<__u64>(key);
    attr.value = reinterpret_cast<__u64>(value);
    return side.bpf(BPF_MAP_UPDATE_ELEM, &attr, sizeof attr) == 0;
}

void fill(const Side& side, const Row& row, int map) {
    std::vector<__u64> value(4096);
    for (__u32 i = 0; i < row.entries; ++i) {
        __u32 key[16] = {i};
        if (row.type == BPF_MAP_TYPE_LPM_TRIE) {
            key[0] = 8 * (row.key - 4);
            key[1] = __builtin_bswap32(i);
        }
        (void)update(side, map, key, value.data());
    }
}

// A map with its inner ones or its program; -1 when the side refuses.
int make_map(const Side& side, const Row& row) {
    if (row.type == BPF_MAP_TYPE_RINGBUF) return create(side, row.type, 0, 0, row.entries, 0);
    if (row.what == What::TailCall) return create(side, row.type, 4, 4, 1, 0);
    if (row.what != What::Inner) {
        const int map = create(side, row.type, row.key, 16, row.entries, row.flags);
        if (map >= 0) fill(side, row, map);
        return map;
    }
    const int inner = create(side, BPF_MAP_TYPE_ARRAY, 4, 16, row.entries, 0);
    const int outer = create(side, row.type, 4, 4, row.entries, 0, inner);
    for (__u32 i = 0; outer >= 0 && i < row.entries; ++i) (void)update(side, outer, &i, &inner);
    close(inner);
    return outer;
}

// Nanoseconds of one run; < 0 on failure.
double run(const Side& side, int program, __u32 repeat) {
    char packet[64] = {};
    bpf_attr attr{};
    attr.test.prog_fd = static_cast<__u32>(program);
    attr.test.data_in = reinterpret_cast<__u64>(packet);
    attr.test.data_size_in = sizeof packet;
    attr.test.repeat = repeat;
    if (side.bpf(BPF_PROG_TEST_RUN, &attr, sizeof attr) != 0) return -1;
    return attr.test.duration;
}

// A ring's positions, for making room: Linux maps the descriptor, here a command tells.
struct RingPositions {
    __u64* consumer = nullptr;
    const __u64* producer = nullptr;
    void empty() const {
        if (consumer) *consumer = *producer;
    }
};

RingPositions positions_of(const Side& side, int map) {
    if (side.bpf == kHere.bpf) {
        struct {
            __u32 fd, index;
            __u64 consumer, producer, data, size;
        } attr{static_cast<__u32>(map), 0, 0, 0, 0, 0};
        constexpr int kRingMap = 0x1007;
        side.bpf(kRingMap, reinterpret_cast<bpf_attr*>(&attr), sizeof attr);
        return {reinterpret_cast<__u64*>(attr.consumer), reinterpret_cast<__u64*>(attr.producer)};
    }
    void* consumer = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
    void* producer = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, map, 4096);
    if (consumer == MAP_FAILED || producer == MAP_FAILED) return {};
    return {static_cast<__u64*>(consumer), static_cast<__u64*>(producer)};
}

double settle = 0.02;  // seconds per measurement
int rounds = 5;

// The least of several measurements: what else the machine does only adds, and more to our side,
// since Linux takes the time that a test run does not have the processor out of its duration.
double measure_program(const Side& side, int program, int threads, const RingPositions& ring) {
    const double once = run(side, program, 20);
    if (once < 0) return -1;
    const double count = settle * 1e9 / std::max(once, 1.0);
    const double most = ring.consumer ? 1000 : 1e6;  // a ring of 16 MiB has room for so many
    const auto repeat = static_cast<__u32>(std::clamp(count, 10.0, most));
    // A ring's pages come here at their first use, on Linux when it is made.
    for (int i = 0; ring.consumer != nullptr && i < 3; ++i) {
        ring.empty();
        (void)run(side, program, 1000);
    }
    std::vector<double> all;
    for (int i = 0; i < rounds; ++i) {
        std::vector<double> results(static_cast<std::size_t>(threads));
        std::vector<std::thread> others;
        for (std::size_t t = 1; t < results.size(); ++t) {
            others.emplace_back([&, t] { results[t] = run(side, program, repeat); });
        }
        ring.empty();
        results[0] = run(side, program, repeat);
        for (std::thread& other : others) other.join();
        all.push_back(*std::max_element(results.begin(), results.end()));
    }
    return *std::min_element(all.begin(), all.end());
}

struct Measured {
    double ns = -1;  // per operation
    double bytes_per_element = 0;
};

double memlock(int map) {
    std::ifstream info("/proc/self/fdinfo/" + std::to_string(map));
    for (std::string line; std::getline(info, line);) {
        if (line.starts_with("memlock:")) return std::stod(line.substr(8));
    }
    return 0;
}

// Bytes in use, when what was closed before is gone.
double heap() {
    for (int i = 0; i < 2; ++i) close(create(kHere, BPF_MAP_TYPE_ARRAY, 4, 8, 1, 0));
    const auto info = mallinfo2();
    return static_cast<double>(info.uordblks + info.hblkhd);
}

bool with_linux = true;

Measured measure(const Side& side, const Row& row) {
    Measured result;
    if (side.bpf == kLinux.bpf && !with_linux) return result;
    const double before = heap();
    const int map = row.what <= What::Empty ? 0 : make_map(side, row);
    if (map < 0) return result;
    const double bytes = side.bpf == kHere.bpf ? heap() - before : memlock(map);
    result.bytes_per_element = bytes / row.entries;
    const int program = load(side, program_of(row, side, map));
    if (program >= 0) {
        const __u32 zero = 0;
        if (row.what == What::TailCall) (void)update(side, map, &zero, &program);
        const int per_run = row.what == What::TailCall ? 33 : kOps;
        RingPositions ring;
        if (row.what == What::Ring) ring = positions_of(side, map);
        result.ns = measure_program(side, program, row.threads, ring) / per_run;
        close(program);
    }
    if (map > 0) close(map);
    return result;
}

// --- the table ----------------------------------------------------------------------------------

void print_mitigations() {
    for (const char* name : {"spectre_v1", "spectre_v2", "retbleed", "spec_store_bypass"}) {
        std::ifstream file(std::string("/sys/devices/system/cpu/vulnerabilities/") + name);
        std::string line;
        std::getline(file, line);
        std::printf("mitigation %s: %s\n", name, line.c_str());
    }
}

std::vector<Row> rows() {
    struct Kind {
        const char* name;
        __u32 type;
        __u32 flags;
        std::vector<__u32> keys;
        __u32 most;
    };
    const Kind kinds[] = {
        {"hash", BPF_MAP_TYPE_HASH, 0, {8, 32}, 1'000'000},
        {"lru", BPF_MAP_TYPE_LRU_HASH, 0, {8, 32}, 1'000'000},
        {"percpu-hash", BPF_MAP_TYPE_PERCPU_HASH, 0, {8, 32}, 1'000'000},
        {"lpm", BPF_MAP_TYPE_LPM_TRIE, BPF_F_NO_PREALLOC, {8, 20}, 1'000'000},
        {"array", BPF_MAP_TYPE_ARRAY, 0, {4}, 1'000'000},
        {"percpu-array", BPF_MAP_TYPE_PERCPU_ARRAY, 0, {4}, 1'000'000},
    };
    std::vector<Row> all;
    for (const Kind& kind : kinds) {
        for (const What what : {What::Lookup, What::Update}) {
            for (const __u32 key : kind.keys) {
                for (const __u32 entries : {64u, 10'000u, 1'000'000u}) {
                    for (const int threads : {1, 2}) {
                        // Two threads: the sizes in between tell the same.
                        if (threads == 2 && (entries != 10'000 || key != kind.keys[0])) continue;
                        all.push_back(
                            {kind.name, what, kind.type, key, entries, kind.flags, threads});
                    }
                }
            }
        }
    }
    all.push_back({"ring-output", What::Ring, BPF_MAP_TYPE_RINGBUF, 8, 1 << 24});
    all.push_back({"array-of-maps", What::Inner, BPF_MAP_TYPE_ARRAY_OF_MAPS, 4, 64});
    all.push_back({"hash-of-maps", What::Inner, BPF_MAP_TYPE_HASH_OF_MAPS, 4, 64});
    all.push_back({"tail-call", What::TailCall, BPF_MAP_TYPE_PROG_ARRAY, 4, 1});
    return all;
}

const char* name_of(What what) {
    constexpr const char* kNames[] = {"", "", "lookup", "update", "", "", ""};
    return kNames[static_cast<int>(what)];
}

}  // namespace

int main(int argc, char** argv) {
    std::string_view only;
    for (int i = 1; i < argc; ++i) {
        if (std::string_view(argv[i]) == "--quick") {
            settle = 0.001;
            rounds = 25;
        } else if (std::string_view(argv[i]) == "--here") {
            with_linux = false;
        } else {
            only = argv[i];
        }
    }
    print_mitigations();
    const Row empty{"", What::Empty, 0, 8, 64};
    const double base_here = measure(kHere, empty).ns;
    const double base_linux = measure(kLinux, empty).ns;
    const Row nothing{"", What::Nothing, 0, 8, 64};
    const double run_here = measure(kHere, nothing).ns * kOps;
    const double run_linux = measure(kLinux, nothing).ns * kOps;
    std::printf("empty run: %.1f ns here, %.1f ns Linux\n", run_here, run_linux);
    std::printf("empty helper call and key: %.2f ns here, %.2f ns Linux (subtracted)\n", base_here,
                base_linux);
    std::printf("%-14s %-7s %4s %8s %2s | %8s %8s %6s | %7s %7s\n", "map", "", "key", "entries",
                "th", "here ns", "Linux", "ratio", "B/elem", "Linux");
    double logs = 0;
    int count = 0;
    for (const Row& row : rows()) {
        const std::string name = std::string(row.name) + "/" + name_of(row.what) + "/" +
                                 std::to_string(row.key) + "/" + std::to_string(row.entries) + "/" +
                                 std::to_string(row.threads);
        if (name.find(only) == name.npos) continue;
        const bool loop = row.what != What::TailCall;
        const double cost_here = loop ? base_here : run_here / 33;
        const double cost_linux = loop ? base_linux : run_linux / 33;
        Measured here = measure(kHere, row);
        Measured linux_side = measure(kLinux, row);
        constexpr double kLeast = 1;  // below it the subtraction is noise
        const bool known = linux_side.ns >= 0 && here.ns >= 0;
        here.ns -= cost_here;
        if (known) linux_side.ns -= cost_linux;
        std::printf("%-14s %-7s %4u %8u %2d | %8.2f ", row.name, name_of(row.what), row.key,
                    row.entries, row.threads, here.ns);
        if (known) {
            const double ratio = std::max(linux_side.ns, kLeast) / std::max(here.ns, kLeast);
            logs += std::log(ratio);
            ++count;
            std::printf("%8.2f %6.2f%s| ", linux_side.ns, ratio, ratio < 1 ? "<" : " ");
        } else {
            std::printf("%8s %6s | ", "-", "-");
        }
        std::printf("%7.0f %7.0f\n", here.bytes_per_element, linux_side.bytes_per_element);
        std::fflush(stdout);
    }
    if (count > 0)
        std::printf("geometric mean of %d ratios: %.2f\n", count, std::exp(logs / count));
    return 0;
}
