// SPDX-License-Identifier: MIT
//
// Our LLVM dialect against LLVM: what llvm-objdump prints for objects that clang compiled is what
// we print for the same bytes.
#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

#include "isa/codec.hpp"
#include "isa/text/text.hpp"

namespace ebpf::isa::text {
namespace {

bool exists(const char* program) {
    return std::system((std::string("command -v ") + program + " >/dev/null 2>&1").c_str()) == 0;
}

std::string output_of(const std::string& command) {
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
    std::string all;
    char buffer[4096];
    while (pipe != nullptr) {
        const std::size_t n = fread(buffer, 1, sizeof buffer, pipe.get());
        if (n == 0) break;
        all.append(buffer, n);
    }
    return all;
}

constexpr const char* kSource = R"(
typedef unsigned char u8; typedef unsigned short u16; typedef unsigned u32; typedef unsigned long u64;
static u64 (*helper)(u64, u64) = (void*)12;
__attribute__((noinline)) static u64 local(u64 a, u64 b) { return a * b + 7; }
extern u64 table[8];
u64 divisions(u64* p, u32* q, long n, int m) {
    return p[0] / p[1] + p[2] % 7 + n / (long)p[3] + n % (long)p[4] + m / (int)q[1] + m % (int)q[2] +
           q[3] / q[4] + q[5] % 3 + q[5] * 3;
}
u64 extensions(u64* p, u32* q) {
    return *(signed char*)&p[5] + *(short*)&p[6] + *(int*)&p[7] + (signed char)q[6] + (short)q[7] +
           (int)p[9] + __builtin_bswap64(p[8]) + __builtin_bswap32(q[18]) + __builtin_bswap16(((u16*)p)[44]);
}
u64 atomics(u64* p, u32* q, u64 n) {
    __sync_fetch_and_add(&p[10], 4); __sync_fetch_and_xor(&q[10], n); __sync_fetch_and_and(&q[9], n);
    __sync_fetch_and_or(&p[3], n);
    return __sync_fetch_and_add(&p[10], 3) + __sync_fetch_and_or(&q[10], 3) +
           __sync_fetch_and_and(&p[10], 3) + __sync_fetch_and_xor(&p[10], 3) +
           __sync_lock_test_and_set(&p[11], 9) + __sync_lock_test_and_set(&q[11], 9) +
           __sync_val_compare_and_swap(&p[12], 4, 5) + __sync_val_compare_and_swap(&q[12], 4, 5);
}
u64 calls(u64 a, u64 b, u64 (*f)(u64)) { return helper(a, b) + local(a, b) + f(a) + table[a]; }
u64 jumps(u64 r, u64 n, u32* q) {
    if ((long)r < (long)n) r++;
    if (r > n) r *= 0x123456789abcul;
    if ((int)q[14] <= (int)n) r = helper(r, 1);
    if (q[15] & 0x40) r = helper(r, 2);
    if (q[16] & n) r = helper(r, 3);
    while (q[17] != r) r = helper(r, 4);
    for (int i = 0; i < (int)n; i++) r = helper(r, i);
    return -r >> (n & 63) << 3;
}
void stores(u64* p, u64 r) {
    ((u8*)p)[77] = 5; ((u16*)p)[77] = 5; ((u32*)p)[77] = -5; p[77] = 5;
    ((u8*)p)[79] = r; ((u16*)p)[79] = r; ((u32*)p)[99] = r; p[99] = r; p[-3] = ~r & 0xfffffff;
}
)";

// What llvm-mc takes and compilers rarely make.
constexpr const char* kAssembly = R"(
goto +3
gotol +4
r1 = le16 r1
r1 = be32 r1
r1 = bswap64 r1
r0 = *(u8 *)skb[4]
r0 = *(u16 *)skb[r1]
r1 s>>= r2
w1 s>>= -3
r1 = 0x1122334455667788 ll
r1 = -1 ll
ld_pseudo r2, 1, 5
callx r3
w1 = (s8)w2
r1 = (s32)r2
if w3 s>= -7 goto -2
exit
)";

struct Line {
    u32 slot = 0;
    std::string text;
    std::vector<std::byte> bytes;
};

// "  12:\tb7 00 00 00 00 00 00 00\tr0 = 0x0 <f+0x8>" without its symbol.
std::vector<Line> parse_objdump(const std::string& all) {
    std::vector<Line> lines;
    std::istringstream in(all);
    for (std::string text; std::getline(in, text);) {
        unsigned slot = 0;
        int used = 0;
        if (std::sscanf(text.c_str(), " %u:%n", &slot, &used) != 1 || used == 0) continue;
        const std::size_t tab = text.find('\t', static_cast<std::size_t>(used) + 1);
        if (tab == std::string::npos) continue;
        Line line;
        line.slot = slot;
        std::istringstream hex(
            text.substr(static_cast<std::size_t>(used), tab - static_cast<std::size_t>(used)));
        for (unsigned byte; hex >> std::hex >> byte;)
            line.bytes.push_back(static_cast<std::byte>(byte));
        line.text = text.substr(tab + 1);
        if (line.text.ends_with('>')) line.text.resize(line.text.rfind(" <"));
        std::replace(line.text.begin(), line.text.end(), '\t', ' ');
        lines.push_back(line);
    }
    return lines;
}

class Llvm : public testing::Test {
  protected:
    void SetUp() override {
        for (const char* program : {"clang-19", "llvm-objdump-19", "llvm-mc-19"}) {
            if (!exists(program)) GTEST_SKIP() << program << " is not installed";
        }
        directory_ = testing::TempDir() + "casement_llvm_" + std::to_string(::getpid());
        std::filesystem::create_directories(directory_);
    }
    void TearDown() override {
        if (!directory_.empty()) std::filesystem::remove_all(directory_);
    }

    std::string file(const char* name, const char* content) {
        const std::string path = directory_ + "/" + name;
        std::ofstream(path) << content;
        return path;
    }

    static void compare(const std::string& object, std::size_t at_least) {
        const auto lines = parse_objdump(output_of("llvm-objdump-19 --mcpu=v4 -d " + object));
        ASSERT_GE(lines.size(), at_least);
        for (const Line& line : lines) {
            const Result<Insn> insn = decode(line.bytes, 0);
            ASSERT_TRUE(insn) << line.text;
            std::string ours = print(*insn, Dialect::Llvm);
            // llvm-objdump does not tell a local call from a helper's.
            if (insn->form == Form::Call && insn->call() == CallKind::Local && ours[5] == '+')
                ours.erase(5, 1);
            EXPECT_EQ(ours, line.text) << "slot " << line.slot;
        }
    }

    std::string directory_;
};

TEST_F(Llvm, PrintsWhatObjdumpPrintsForCompiledCode) {
    const std::string object = directory_ + "/a.o";
    const std::string command =
        "clang-19 -target bpf -w -O1 -mcpu=v4 -c " + file("a.c", kSource) + " -o " + object;
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
    compare(object, 100);
}

TEST_F(Llvm, PrintsWhatObjdumpPrintsForAssembly) {
    const std::string object = directory_ + "/b.o";
    const std::string command =
        "llvm-mc-19 -triple bpf -mcpu=v4 -filetype=obj " + file("b.s", kAssembly) + " -o " + object;
    ASSERT_EQ(std::system(command.c_str()), 0);
    compare(object, 17);
}

// And the other way: our assembler makes the bytes that llvm-mc makes.
TEST_F(Llvm, AssemblesWhatLlvmAssembles) {
    const std::string object = directory_ + "/c.o";
    const std::string command =
        "llvm-mc-19 -triple bpf -mcpu=v4 -filetype=obj " + file("c.s", kAssembly) + " -o " + object;
    ASSERT_EQ(std::system(command.c_str()), 0);
    std::vector<std::byte> theirs;
    for (const Line& line : parse_objdump(output_of("llvm-objdump-19 --mcpu=v4 -d " + object))) {
        theirs.insert(theirs.end(), line.bytes.begin(), line.bytes.end());
    }
    const auto ours = assemble(kAssembly, Dialect::Llvm);
    ASSERT_TRUE(ours) << ours.error().where.value;
    EXPECT_EQ(*ours, theirs);
}

}  // namespace
}  // namespace ebpf::isa::text
