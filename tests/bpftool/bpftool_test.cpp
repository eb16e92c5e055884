// SPDX-License-Identifier: MIT
//
// bpftool: what it says, and as root that Linux's bpftool says the same of the kernel's objects for
// the same commands.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct Ran {
    std::string out;
    int status = 0;
};

Ran shell(const std::string& command) {
    Ran ran;
    FILE* const pipe = popen(command.c_str(), "r");
    if (!pipe) return {"", -1};
    char text[4096];
    for (size_t size = 0; (size = fread(text, 1, sizeof text, pipe)) > 0;)
        ran.out.append(text, size);
    ran.status = WEXITSTATUS(pclose(pipe));
    return ran;
}

class BpftoolTest : public testing::Test {
  protected:
    void SetUp() override {
        folder_ = fs::temp_directory_path() / ("bpftool_test." + std::to_string(getpid()));
        fs::create_directory(folder_);
        std::ofstream(folder_ / "zeros").write(std::string(64, '\0').data(), 64);
    }
    void TearDown() override { fs::remove_all(folder_); }

    std::string file(const std::string& commands) {
        const fs::path path = folder_ / "commands";
        std::ofstream(path) << commands;
        return path;
    }
    Ran ours(const std::string& arguments) {
        return shell(std::string(CASEMENT_BPFTOOL) + " " + arguments + " 2>&1");
    }
    Ran ours_batch(const std::string& options, const std::string& commands) {
        return shell(std::string(CASEMENT_BPFTOOL) + " " + options + " batch file " +
                     file(commands) + " 2>/dev/null");
    }
    // In a mount namespace, so that its pins and its file system go with it.
    Ran kernels_batch(const std::string& options, const std::string& commands) {
        return shell(
            "unshare -m -n sh -c 'mount -t bpf bpf /sys/fs/bpf && exec /usr/sbin/bpftool " +
            options + " batch file " + file(commands) + "' 2>/dev/null");
    }
    bool kernels_works() {
        return geteuid() == 0 && fs::exists("/usr/sbin/bpftool") &&
               kernels_batch("-j",
                             "map create /sys/fs/bpf/x type array key 4 value 4 entries 1 "
                             "name x\nmap dump pinned /sys/fs/bpf/x\n")
                       .out.find("0x00") != std::string::npos;
    }
    fs::path folder_;
};

// What no two runs have in common, and what only a kernel knows.
void normalize(Json& json) {
    static const char* const kDiffer[] = {"id",     "loaded_at",    "uid",         "tag",
                                          "btf_id", "bytes_xlated", "bytes_jited", "bytes_memlock",
                                          "frozen", "duration",     "prog_id"};
    if (json.is_object()) {
        for (const char* key : kDiffer) json.erase(key);
        if (json.contains("map_ids")) json["map_ids"] = json["map_ids"].size();
    }
    if (json.is_array() || json.is_object())
        for (auto& part : json) normalize(part);
    // Hash maps have no order.
    if (json.is_array() && !json.empty() && json[0].is_object() && json[0].contains("key"))
        std::sort(json.begin(), json.end(),
                  [](const Json& a, const Json& b) { return a.dump() < b.dump(); });
}

const std::string kMapCommands = R"(
map create /sys/fs/bpf/m type hash key 4 value 8 entries 10 name mm flags 1
map update pinned /sys/fs/bpf/m key 1 0 0 0 value hex 01 02 03 04 05 06 07 08
map update pinned /sys/fs/bpf/m key 0x2 0 0 0 value 255 0 0 0 0 0 0 0 noexist
map update pinned /sys/fs/bpf/m key 2 0 0 0 value 2 0 0 0 0 0 0 0 exist
map lookup pinned /sys/fs/bpf/m key 1 0 0 0
map dump pinned /sys/fs/bpf/m
map delete pinned /sys/fs/bpf/m key 1 0 0 0
map dump pinned /sys/fs/bpf/m
map getnext pinned /sys/fs/bpf/m
map show pinned /sys/fs/bpf/m
map create /sys/fs/bpf/a type array key 4 value 16 entries 2 name aa   # a comment
map update pinned /sys/fs/bpf/a key 1 0 0 0 value 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16
map dump pinned /sys/fs/bpf/a
map getnext pinned /sys/fs/bpf/a key 0 0 0 0
map create /sys/fs/bpf/b type array key 4 value 40 entries 1 name bb
map lookup pinned /sys/fs/bpf/b key 0 0 0 0
map create /sys/fs/bpf/p type percpu_array key 4 value 4 entries 1 name pp
map update pinned /sys/fs/bpf/p key 0 0 0 0 value 1 2 3 4
map dump pinned /sys/fs/bpf/p
map pin pinned /sys/fs/bpf/p /sys/fs/bpf/q
link show
net show
)";

TEST_F(BpftoolTest, MapCommandsTellTheirResults) {
    const Ran ran = ours_batch("-j", kMapCommands);
    ASSERT_EQ(ran.status, 0) << ran.out;
    const Json pages = Json::parse(ran.out);
    ASSERT_EQ(pages.size(), 22u);
    EXPECT_EQ(pages[4]["output"]["value"][7], "0x08");
    EXPECT_EQ(pages[5]["output"].size(), 2u);
    EXPECT_EQ(pages[7]["output"].size(), 1u);
    EXPECT_EQ(pages[9]["output"]["name"], "mm");
    EXPECT_EQ(pages[9]["output"]["bytes_value"], 8);
    EXPECT_EQ(pages[9]["output"]["flags"], 1);
}

TEST_F(BpftoolTest, MapCommandsAreLinuxs) {
    if (!kernels_works())
        GTEST_SKIP() << "no root, or no /usr/sbin/bpftool that may use the kernel";
    Json mine = Json::parse(ours_batch("-j", kMapCommands).out);
    Json theirs = Json::parse(kernels_batch("-j", kMapCommands).out);
    normalize(mine), normalize(theirs);
    ASSERT_EQ(mine.size(), theirs.size());
    for (size_t i = 0; i < mine.size(); ++i) EXPECT_EQ(mine[i], theirs[i]);
    // The text of what has neither ids nor an order.
    std::string text;
    for (size_t at = 0, end = 0; (end = kMapCommands.find('\n', at)) != std::string::npos;
         at = end + 1) {
        const std::string line = kMapCommands.substr(at, end - at);
        if (line.find("map show") == std::string::npos && line.find("bpf/m") == std::string::npos)
            text += line + "\n";
    }
    EXPECT_EQ(ours_batch("", text).out, kernels_batch("", text).out);
}

TEST_F(BpftoolTest, ProgramCommandsAreLinuxs) {
    const std::string object = std::string(CASEMENT_EXAMPLE_OBJECTS) + "/drop_empty_udp.o";
    if (!fs::exists(object)) GTEST_SKIP() << object << " is not built: no clang with a BPF target";
    const std::string zeros = folder_ / "zeros";
    const std::string commands = "prog load " + object + " /sys/fs/bpf/d\n" +
                                 "prog show pinned /sys/fs/bpf/d\n"
                                 "prog run pinned /sys/fs/bpf/d data_in " +
                                 zeros + " data_out -\n" +
                                 "prog run pinned /sys/fs/bpf/d data_in " + zeros + " repeat 3\n" +
                                 "prog pin pinned /sys/fs/bpf/d /sys/fs/bpf/e\n"
                                 "prog show pinned /sys/fs/bpf/e\n"
                                 "prog load " +
                                 object +
                                 " /sys/fs/bpf/f type xdp\n"
                                 "prog show pinned /sys/fs/bpf/f\n";
    const Ran ran = ours_batch("-j", commands);
    ASSERT_EQ(ran.status, 0) << ran.out;
    Json mine = Json::parse(ran.out);
    EXPECT_EQ(mine[1]["output"]["name"], "drop_empty_udp");
    EXPECT_EQ(mine[1]["output"]["type"], "xdp");
    EXPECT_EQ(mine[2]["output"]["retval"], 2);
    EXPECT_EQ(mine[2]["output"]["data_out"].size(), 64u);
    const Ran pins = ours_batch("-jf", commands);
    EXPECT_EQ(Json::parse(pins.out)[5]["output"]["pinned"],
              Json::parse(R"(["/sys/fs/bpf/d", "/sys/fs/bpf/e"])"));
    if (!kernels_works())
        GTEST_SKIP() << "no root, or no /usr/sbin/bpftool that may use the kernel";
    Json theirs = Json::parse(kernels_batch("-j", commands).out);
    normalize(mine), normalize(theirs);
    ASSERT_EQ(mine.size(), theirs.size());
    for (size_t i = 0; i < mine.size(); ++i) EXPECT_EQ(mine[i], theirs[i]);
}

// That the byte code is shown as Linux's bpftool shows it is dumps_as_linux's.
TEST_F(BpftoolTest, ProgramsAreDumped) {
    const std::string object = std::string(CASEMENT_TEST_OBJECTS) + "/dump.o";
    if (!fs::exists(object)) GTEST_SKIP() << object << " is not built: no clang-19";
    const std::string file = folder_ / "xlated";
    const std::string load = "prog loadall " + object + " /t\n";
    const Ran text = ours_batch("", load + "prog dump xlated pinned /t/calls\n" +
                                        "prog dump xlated pinned /t/helpers\n" +
                                        "prog dump xlated pinned /t/helpers file " + file + "\n");
    ASSERT_EQ(text.status, 0) << text.out;
    EXPECT_NE(text.out.find("int calls(struct xdp_md * context):\n; cell += 1;\n"),
              std::string::npos)
        << text.out;
    EXPECT_NE(text.out.find("#odd\n"), std::string::npos) << text.out;
    EXPECT_NE(text.out.find("(85) call bpf_map_lookup_elem#1\n"), std::string::npos) << text.out;
    const Json pages = Json::parse(
        ours_batch("-j", load + "prog dump xlated pinned /t/helpers opcodes linum\n").out);
    const Json& insns = pages[1]["output"];
    size_t bytes = 0;
    for (const Json& insn : insns) bytes += 4 + insn["opcodes"]["imm"].size();
    EXPECT_EQ(bytes, fs::file_size(file));
    EXPECT_EQ(insns[0]["proto"], "int helpers(struct xdp_md * context)");
    EXPECT_GT(insns[0]["line_num"], 0);
}

TEST_F(BpftoolTest, BlocksAreDrawn) {
    const std::string object = std::string(CASEMENT_TEST_OBJECTS) + "/dump.o";
    if (!fs::exists(object)) GTEST_SKIP() << object << " is not built: no clang-19";
    const std::string load = "prog loadall " + object + " /t\n";
    const Ran one = ours_batch("", load + "prog dump xlated pinned /t/forms visual\n");
    for (const char* part :
         {"digraph \"DOT graph for eBPF program\" {\nsubgraph \"cluster_0\" {\n",
          "\tfn_0_bb_0 [shape=Mdiamond,style=filled,label=\"ENTRY\"];\n\n\tfn_0_bb_2 [shape=record,"
          "style=filled,label=\"{   0: (18) r3 = map[id:",
          "\\l\\\n |   17: (5c) w1 \\&= w2\\l\\\n",
          "\tfn_0_bb_3 [shape=record,style=filled,label=\"{  65: (55) if r1 != 0x5 goto "
          "pc+20\\l\\\n"
          "}\"];\n\n",
          "\tfn_0_bb_2:s -> fn_0_bb_3:n [style=\"solid,bold\", color=black, weight=10, "
          "constraint=true];\n\tfn_0_bb_2:s -> fn_0_bb_15:n ",
          "\tfn_0_bb_0:s -> fn_0_bb_1:n [style=\"invis\", constraint=true];\n}\n}\n"})
        EXPECT_NE(one.out.find(part), std::string::npos) << part << "\n" << one.out;
    const Ran three = ours_batch("", load + "prog dump xlated pinned /t/calls visual\n");
    EXPECT_NE(three.out.find("label=\"func_2 ()\""), std::string::npos) << three.out;
}

// Debian's bpftool has no disassembler: there is nothing to compare with.
TEST_F(BpftoolTest, MachineCodeIsDumped) {
    const std::string object = std::string(CASEMENT_TEST_OBJECTS) + "/dump.o";
    if (!fs::exists(object)) GTEST_SKIP() << object << " is not built: no clang-19";
    const std::string file = folder_ / "jited";
    const std::string load = "prog loadall " + object + " /t\n";
    const Ran text = ours_batch("", load + "prog dump jited pinned /t/calls linum\n" +
                                        "prog dump jited pinned /t/calls file " + file + "\n");
    ASSERT_EQ(text.status, 0) << text.out;
    for (const char* part : {"int calls(struct xdp_md * context):\ncalls:\n", "add_up:\n", "odd:\n",
                             "; cell += 1; [file:", "   0:\t"})
        EXPECT_NE(text.out.find(part), std::string::npos) << part << "\n" << text.out;
    const Json pages =
        Json::parse(ours_batch("-j", load + "prog dump jited pinned /t/calls opcodes\n").out);
    const Json& functions = pages[1]["output"];
    ASSERT_EQ(functions.size(), 3u);
    size_t bytes = 0, lines = 0;
    for (const Json& function : functions) {
        for (const Json& insn : function["insns"]) {
            bytes += insn["opcodes"].size();
            lines += insn.contains("src");
            EXPECT_TRUE(insn["operands"].is_array());
        }
    }
    EXPECT_EQ(bytes, fs::file_size(file));
    EXPECT_GT(lines, 10u);
    EXPECT_EQ(functions[0]["name"], "calls");
}

TEST_F(BpftoolTest, ProfilersAreToldTheNamesOfFunctions) {
    const std::string object = std::string(CASEMENT_TEST_OBJECTS) + "/dump.o";
    if (!fs::exists(object)) GTEST_SKIP() << object << " is not built: no clang-19";
    const Ran ran = shell("EBPF_PERF_MAP=1 sh -c 'echo $$; exec " + std::string(CASEMENT_BPFTOOL) +
                          " batch file " + file("prog loadall " + object + " /t\n") + "'");
    ASSERT_EQ(ran.status, 0) << ran.out;
    const std::string map = "/tmp/perf-" + std::to_string(std::stoi(ran.out)) + ".map";
    std::ifstream in(map);
    std::map<std::string, std::pair<u_long, u_long>> functions;
    u_long begin = 0, size = 0;
    for (std::string name; in >> std::hex >> begin >> size >> name;)
        functions[name] = {begin, begin + size};
    fs::remove(map);
    const auto& calls = functions["bpf_prog_calls"];
    EXPECT_LT(calls.first, calls.second);
    // Its functions stand behind it, and then what it is entered by.
    std::pair<u_long, u_long> before = calls;
    for (const char* name : {"bpf_prog_add_up", "bpf_prog_odd", "bpf_prog_calls_entry"}) {
        const auto& function = functions[name];
        EXPECT_EQ(function.first, before.second) << name;
        EXPECT_LE(function.first, function.second) << name;
        before = function;
    }
}

// Every structure with a name that is only its own, as a compiler lays it out.
std::string layout_of(const Json& types) {
    std::map<std::string, int> named;
    for (const Json& type : types) ++named[type["name"]];
    std::string text;
    for (const Json& type : types) {
        const std::string name = type["name"];
        const bool record = type["kind"] == "STRUCT" || type["kind"] == "UNION";
        if (!record || name == "(anon)" || named[name] != 1) continue;
        const std::string its = (type["kind"] == "STRUCT" ? "struct " : "union ") + name;
        text += "_Static_assert(sizeof(" + its + ") == " + type["size"].dump() + ", \"" + its +
                "\");\n";
        for (const Json& member : type["members"]) {
            const int bits = member["bits_offset"];
            const std::string part = member["name"];
            if (part == "(anon)" || member.contains("bitfield_size")) continue;
            text += "_Static_assert(__builtin_offsetof(" + its + ", " + part +
                    ") == " + std::to_string(bits / 8) + ", \"" + its + "." + part + "\");\n";
        }
    }
    return text;
}

TEST_F(BpftoolTest, TypesInCAreWhereTheTypesSay) {
    if (shell("command -v clang-19").status != 0) GTEST_SKIP() << "no clang-19";
    for (const char* object : {"values", "dump", "everything", "core_kernel", "layouts"}) {
        const std::string file = std::string(CASEMENT_TEST_OBJECTS) + "/" + object + ".o";
        if (!fs::exists(file)) GTEST_SKIP() << file << " is not built";
        const Ran c = ours("btf dump file " + file + " format c");
        ASSERT_EQ(c.status, 0) << c.out;
        const Json raw = Json::parse(ours("-j btf dump file " + file).out);
        const std::string layout = layout_of(raw["types"]);
        EXPECT_NE(layout, "") << object;
        const fs::path source = folder_ / "types.c";
        std::ofstream(source) << c.out << layout;
        const Ran compiled =
            shell("clang-19 -target bpf -Werror -fsyntax-only " + source.string() + " 2>&1");
        EXPECT_EQ(compiled.status, 0) << object << "\n" << compiled.out << c.out;
    }
}

TEST_F(BpftoolTest, ErrorsSayWhatIsWrong) {
    struct Case {
        const char* arguments;
        const char* text;
        int status = 255;  // -1 to a shell; 234 is -EINVAL
    };
    const Case kCases[] = {
        {"prog show id 99", "Error: get by id (99): No such file or directory\n"},
        {"-j prog show id 99", "{\"error\":\"get by id (99): No such file or directory\"}\n"},
        {"prog show pinned /sys/fs/bpf/none",
         "Error: bpf obj get (/sys/fs/bpf/none): No such file or directory\n"},
        {"foo", "Usage: "},
        {"map foo", "map { show | list }"},
        {"map lookup", "map { show | list }"},
        {"map lookup id x", "Error: can't parse x as ID\n"},
        {"map create /x type nothing", "Error: 'create' needs at least 7 arguments, 3 found\n"},
        {"map create /x type nothing key 4 value 4 entries 1 name x",
         "Error: unrecognized map type: nothing\n"},
        {"net attach xdp id 1", "Error: 'attach' needs at least 5 arguments, 3 found\n", 234},
        {"net detach xdp dev no-such-device", "Error: invalid devname no-such-device\n", 234},
        {"net detach tc dev lo", "Error: invalid net attach/detach type: tc\n", 234},
        {"prog load /none.o /sys/fs/bpf/x", "Error: failed to open object file\n"},
        {"batch file /none", "Error: Can't open file (/none): No such file or directory\n"},
        {"--what", "Error: unrecognized option '--what'\nUsage: "},
        {"prog load", "Error: 'load' needs at least 2 arguments, 0 found\n"},
    };
    for (const Case& one : kCases) {
        const Ran ran = ours(one.arguments);
        EXPECT_EQ(ran.status, one.status) << one.arguments;
        EXPECT_NE(ran.out.find(one.text), std::string::npos) << one.arguments << "\n" << ran.out;
    }
    const std::string create =
        "map create /sys/fs/bpf/a type array key 4 value 4 entries 1 name a\n";
    const Ran few = ours_batch("-j", create + "map update name a key 0 0 0 0 value 1 2 3\n");
    EXPECT_EQ(few.status, 255);
    EXPECT_NE(few.out.find("value expected 4 bytes got 3"), std::string::npos) << few.out;
    // What has no end is not read to it.
    EXPECT_NE(ours("batch file /dev/zero").out.find("more than 65536 characters"),
              std::string::npos);
    EXPECT_NE(ours("btf dump file /dev/zero").out.find("longer than 512 MiB"), std::string::npos);
    const Ran endless = ours_batch("", create + "prog run id 1 data_in /dev/zero\n");
    EXPECT_EQ(endless.status, 255);
    const Ran byte = ours_batch("-j", create + "map update name a key 0 0 0 256 value 1 2 3 4\n");
    EXPECT_NE(byte.out.find("error parsing byte: 256"), std::string::npos) << byte.out;
}

TEST_F(BpftoolTest, HelpAndVersion) {
    EXPECT_EQ(ours("version").status, 0);
    EXPECT_NE(ours("version").out.find("using libbpf v1.1"), std::string::npos);
    EXPECT_TRUE(Json::parse(ours("-j version").out)["features"]["libbpf_strict"]);
    for (const char* object : {"prog", "map", "link", "net"}) {
        const Ran help = ours(std::string(object) + " help");
        EXPECT_EQ(help.status, 0);
        EXPECT_NE(help.out.find("{ show | list }"), std::string::npos) << help.out;
    }
}

}  // namespace
