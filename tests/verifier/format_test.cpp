// SPDX-License-Identifier: MIT
//
// Constant strings and formats: what the verifier says of a call of bpf_snprintf or bpf_strncmp,
// and, as root, that Linux's says the same of each format, also of thousands of random ones.
#include <random>

#include "fixture.hpp"
#include "oracles/kernel.hpp"

namespace ebpf::verifier {
namespace {

constexpr u32 kTextsSize = 16384;
constexpr int kTexts = 15;

// bpf_snprintf(null, 0, texts + at, values, size); `size` is what r5 is given.
std::string snprintf_text(u32 at, const std::string& size) {
    std::string text = "r7 = r1\n";
    for (int slot = 8; slot <= 128; slot += 8)
        text += "*(u64 *)(r10 - " + std::to_string(slot) + ") = 1\n";
    return text + size + "r1 = 0\nr2 = 0\nld_pseudo r3, 6, " +
           std::to_string(kTexts | u64{at} << 32) +
           "\nr4 = r10\nr4 += -128\ncall 165\nr0 = 0\nexit\n";
}

std::string constant_size(u32 bytes) {
    return "r5 = " + std::to_string(bytes) + "\n";
}

// One map with all formats, each with its NUL.
struct Texts {
    ir::MapDef map = make_map(".rodata.str", spec::MapType::Array, 4, kTextsSize, 1);
    std::vector<u32> offsets;

    Texts() { map.is_data_section = map.read_only = map.frozen = true; }
    bool add(const std::string& text) {
        if (map.initial.size() + text.size() + 1 > kTextsSize) return false;
        offsets.push_back(static_cast<u32>(map.initial.size()));
        for (const char c : text) map.initial.push_back(static_cast<std::byte>(c));
        map.initial.push_back(std::byte{0});
        return true;
    }
    std::vector<ir::MapDef> maps() const {
        std::vector<ir::MapDef> all = test_maps();
        all[kTexts] = map;
        all[kTexts].initial.resize(kTextsSize);
        return all;
    }
};

std::string verdict(const std::string& text, const std::vector<ir::MapDef>& maps,
                    const oracle::Kernel* kernel, bool& linux_accepts) {
    ir::Program program = make_program(text);
    program.maps = maps;
    program.type = spec::ProgramType::Xdp;
    ir::Environment environment;
    environment.type = spec::program_info(spec::Dialect::Linux, program.type);
    const std::string ours = outcome(analyze(program, environment, {}));
    linux_accepts = ours == "accept";
    if (kernel != nullptr) linux_accepts = kernel->load(program).accepted;
    return ours;
}

struct Case {
    const char* format;
    u32 bytes;  // of values
    const char* expected;
};
constexpr Case kCases[] = {
    {"", 0, "accept"},
    {"plain\ttext\n", 0, "accept"},
    {"100%%", 0, "accept"},
    {"%d", 8, "accept"},
    {"%d", 0, "text-format"},
    {"%d", 7, "text-format"},
    {"%d", 12, "text-format"},
    {"%d", 16, "accept"},
    {"%d %s %c", 24, "accept"},
    {"%d %s %c", 16, "text-format"},
    {"%d%d%d%d%d%d%d%d%d%d%d%d", 96, "accept"},
    {"%d", 128, "accept"},  // more than 12 values are refused when it runs
    {"%ld %llu %lx %llX %i", 40, "accept"},
    {"%-08d|%+5ld|% 3u", 24, "accept"},
    {"%p %px %pK %ps %pS %pB", 48, "accept"},
    {"%pI4 %pi4 %pI6 %pi6", 32, "accept"},
    {"%pks %pus.", 16, "accept"},
    {"%pxyz", 8, "accept"},
    {"%", 8, "text-format"},
    {"%5", 8, "text-format"},
    {"%5%", 8, "text-format"},
    {"%l", 8, "text-format"},
    {"%llld", 8, "text-format"},
    {"%hd", 8, "text-format"},
    {"%n", 8, "text-format"},
    {"%f", 8, "text-format"},
    {"%*d", 16, "text-format"},
    {"%#x", 8, "text-format"},
    {"%.3d", 8, "text-format"},
    {"%ls", 8, "text-format"},
    {"%sx", 8, "text-format"},
    {"%s,", 8, "accept"},
    {"%pM", 8, "text-format"},
    {"%pI5", 8, "text-format"},
    {"%pI", 8, "text-format"},
    {"%pksx", 8, "text-format"},
    {"\x01", 0, "text-format"},
    {"\x7f", 0, "text-format"},
    {"\xc3\xa4 100%%", 0, "accept"},
    {"%d\x80", 8, "accept"},
    {"%s\xc3\xa4", 8, "text-format"},
    {"%p%", 8, "text-format"},
    {"%s%", 8, "text-format"},
    {"%p%d", 16, "accept"},
};

TEST(Formats, EachCaseAsLinux) {
    Texts texts;
    for (const Case& c : kCases) ASSERT_TRUE(texts.add(c.format));
    const std::vector<ir::MapDef> maps = texts.maps();
    const oracle::Kernel kernel(maps);
    for (std::size_t i = 0; i < std::size(kCases); ++i) {
        bool linux_accepts = false;
        const std::string ours =
            verdict(snprintf_text(texts.offsets[i], constant_size(kCases[i].bytes)), maps,
                    kernel.there() ? &kernel : nullptr, linux_accepts);
        EXPECT_EQ(ours, kCases[i].expected) << kCases[i].format << " with " << kCases[i].bytes;
        EXPECT_EQ(ours == "accept", linux_accepts) << kCases[i].format << ", " << kCases[i].bytes;
    }
}

TEST(Formats, RandomOnesAsLinux) {
    std::mt19937 random(20);
    constexpr std::string_view kAlphabet("%%%%%%ddiuxXllcssppkuKBSxI46i50+- .,#\n\x01\x7f\x80z");
    const auto pick = [&](std::size_t n) { return random() % n; };
    int accepted = 0, rejected = 0;
    for (int round = 0; round < 4; ++round) {
        Texts texts;
        std::vector<u32> bytes;
        for (bool room = true; room;) {
            std::string text;
            for (std::size_t n = 1 + pick(9); n > 0; --n) text += kAlphabet[pick(kAlphabet.size())];
            bytes.push_back(8 * static_cast<u32>(pick(4)));
            room = texts.add(text) && texts.offsets.size() < 1000;
        }
        const std::vector<ir::MapDef> maps = texts.maps();
        const oracle::Kernel kernel(maps);
        if (!kernel.there()) GTEST_SKIP() << "bpf(2) is not permitted: " << std::strerror(errno);
        for (std::size_t i = 0; i < texts.offsets.size(); ++i) {
            bool linux_accepts = false;
            const std::string ours =
                verdict(snprintf_text(texts.offsets[i], constant_size(bytes[i])), maps, &kernel,
                        linux_accepts);
            ++(linux_accepts ? accepted : rejected);
            EXPECT_EQ(ours == "accept", linux_accepts)
                << ours << ": "
                << reinterpret_cast<const char*>(maps[kTexts].initial.data() + texts.offsets[i])
                << " with " << bytes[i] << " bytes";
        }
    }
    std::printf("formats: accepted by both %d, rejected by both %d\n", accepted, rejected);
    EXPECT_GT(accepted, 300);
    EXPECT_GT(rejected, 300);
}

// A size that is not constant: what is certainly there counts.
TEST(Formats, SizesThatVary) {
    Texts texts;
    for (const char* format : {"plain", "%d", "%d %d"}) ASSERT_TRUE(texts.add(format));
    const std::vector<ir::MapDef> maps = texts.maps();
    const oracle::Kernel kernel(maps);
    const std::string random = "call 7\nr5 = r0\n";
    struct {
        int format;
        std::string size;
        bool accept;
    } const sizes[] = {
        {0, random + "r5 &= 15\n", true},           {1, random + "r5 &= 15\n", false},
        {1, random + "r5 &= 16\nr5 |= 8\n", true},  {2, random + "r5 &= 16\nr5 |= 8\n", false},
        {0, random + "r5 &= 24\nr5 |= 1\n", false}, {0, random + "r5 &= 255\n", false},
    };
    for (const auto& s : sizes) {
        bool linux_accepts = false;
        const std::string ours =
            verdict(snprintf_text(texts.offsets[static_cast<std::size_t>(s.format)], s.size), maps,
                    kernel.there() ? &kernel : nullptr, linux_accepts);
        EXPECT_EQ(ours == "accept", s.accept) << ours << " " << s.size;
        EXPECT_EQ(linux_accepts, s.accept) << s.size;
    }
}

// bpf_strncmp(stack, 8, string), the string as `string` makes it.
std::string strncmp_text(const std::string& string) {
    return "*(u64 *)(r10 - 8) = 0\n" + string +
           "r1 = r10\nr1 += -8\nr2 = 8\ncall 182\nr0 = 0\nexit\n";
}

TEST(ConstantStrings, WhereTheyMayLie) {
    const std::vector<ir::MapDef> maps = test_maps();
    const oracle::Kernel kernel(maps);
    struct {
        const char* what;
        std::string string;
        const char* expected;
    } const cases[] = {
        {"read-only data", "ld_pseudo r3, 6, 15\n", "accept"},
        {"its middle", "ld_pseudo r3, 6, 15\nr3 += 12\n", "accept"},
        {"no end", "ld_pseudo r3, 6, 15\nr3 += 25\n", "helper-argument"},
        {"no end at all", "ld_pseudo r3, 6, 5\n", "helper-argument"},
        {"before it", "ld_pseudo r3, 6, 15\nr3 += -1\n", "helper-argument"},
        {"behind it", "ld_pseudo r3, 6, 15\nr3 += 40\n", "helper-argument"},
        {"data that changes", "ld_pseudo r3, 6, 6\n", "helper-argument"},
        {"the stack", "r3 = r10\nr3 += -8\n", "helper-argument"},
        {"a number", "r3 = 0\n", "helper-argument"},
        {"somewhere in it", "call 7\nr0 &= 7\nld_pseudo r3, 6, 15\nr3 += r0\n", "helper-argument"},
    };
    for (const auto& c : cases) {
        bool linux_accepts = false;
        EXPECT_EQ(verdict(strncmp_text(c.string), maps, kernel.there() ? &kernel : nullptr,
                          linux_accepts),
                  c.expected)
            << c.what;
        EXPECT_EQ(linux_accepts, std::string(c.expected) == "accept") << c.what;
    }
}

// Reading them counts as work: a path that reads a long one again and again ends with the budget.
TEST(ConstantStrings, LongOnesCount) {
    constexpr u32 kSize = 1 << 20, kCalls = 300;
    std::vector<ir::MapDef> maps = test_maps();
    maps[kTexts].value_size = kSize;
    maps[kTexts].initial.assign(kSize - 1, std::byte{'a'});
    maps[kTexts].initial.push_back(std::byte{0});
    const auto calls = [](u32 number) {
        std::string text = "*(u64 *)(r10 - 8) = 0\n";
        for (u32 i = 0; i < number; ++i)
            text += "r1 = r10\nr1 += -8\nr2 = 8\nld_pseudo r3, 6, 15\ncall 182\n";
        return text + "r0 = 0\nexit\n";
    };
    bool unused = false;
    EXPECT_EQ(verdict(calls(kCalls / 10), maps, nullptr, unused), "accept");
    EXPECT_EQ(verdict(calls(kCalls), maps, nullptr, unused), "budget");
}

// What a map holds must be known: nothing is accepted on trust.
TEST(ConstantStrings, UnknownContentIsNotAccepted) {
    for (const bool frozen : {false, true}) {
        std::vector<ir::MapDef> maps = test_maps();
        maps[kTexts].frozen = frozen;
        if (frozen) maps[kTexts].initial.clear();
        bool ignored = false;
        EXPECT_EQ(verdict(strncmp_text("ld_pseudo r3, 6, 15\n"), maps, nullptr, ignored),
                  "helper-argument");
        EXPECT_EQ(verdict(snprintf_text(10, constant_size(0)), maps, nullptr, ignored),
                  "helper-argument");
    }
}

TEST(Formats, RefusalsSayWhatIsWrong) {
    const auto said = [](u32 at, u32 bytes) {
        return explain(check(snprintf_text(at, constant_size(bytes))));
    };
    EXPECT_NE(said(16, 16).find("\"%d %y\", which must not have 'y' as character 5"),
              std::string::npos)
        << said(16, 16);
    EXPECT_NE(said(0, 8).find("2 conversions, but argument 5 (r5) gives it 1 value"),
              std::string::npos)
        << said(0, 8);
    EXPECT_NE(said(0, 12).find("no multiple of 8: 12"), std::string::npos) << said(0, 12);
    EXPECT_NE(said(19, 8).find("\"%y\""), std::string::npos) << said(19, 8);
}

}  // namespace
}  // namespace ebpf::verifier
