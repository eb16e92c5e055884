// SPDX-License-Identifier: MIT
// Reads the objects of the corpus: every program that expectations.csv lists must be there.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "engine/object.hpp"
#include "objects.hpp"

namespace ebpf::engine {
namespace {

namespace fs = std::filesystem;

fs::path corpus() {
    const char* shared = std::getenv("CASEMENT_SHARED");
    return fs::path(shared != nullptr ? shared : CASEMENT_SHARED_DIR) / "corpus";
}

struct Row {
    std::string file, section, program, instructions, expected, accepted_by;
};

std::vector<Row> rows() {
    std::ifstream in(corpus() / "expectations.csv");
    std::vector<Row> out;
    std::string line;
    std::getline(in, line);
    while (std::getline(in, line)) {
        std::stringstream fields(line);
        Row row;
        for (std::string* field : {&row.file, &row.section, &row.program, &row.instructions,
                                   &row.expected, &row.accepted_by}) {
            std::getline(fields, *field, ',');
        }
        out.push_back(row);
    }
    return out;
}

// The listed numbers count "r <<= 32; r s>>= 32" (and the unsigned pair) as one instruction.
std::size_t listed_size(const ir::Program& program) {
    const auto shifts = [](const isa::Insn& insn, std::initializer_list<isa::AluOp> ops) {
        return insn.form == isa::Form::AluImm && insn.is64() && insn.imm == 32 &&
               std::ranges::find(ops, insn.alu()) != ops.end();
    };
    std::vector<bool> is_target(program.insns.size() + 1, false);
    for (const u32 target : program.target) {
        if (target != ir::kNoTarget) is_target[target] = true;
    }
    std::size_t size = program.insns.size();
    for (u32 i = 0; i + 1 < program.insns.size(); ++i) {
        const isa::Insn& next = program.insns[i + 1];
        if (shifts(program.insns[i], {isa::AluOp::Lsh}) &&
            shifts(next, {isa::AluOp::Arsh, isa::AluOp::Rsh}) && program.insns[i].dst == next.dst &&
            !is_target[i + 1]) {
            --size;
        }
    }
    return size;
}

ReadOptions linux_options(const std::string& file) {
    return {.name = file,
            .dialect = spec::Dialect::Linux,
            .default_type = spec::ProgramType::Unspec,
            .unknown_kconfig = true};
}

// Rows that name a program which no loader could put together, with the reason.
const std::map<std::string, const char*> kUnlinkable = {
    {"cilium-ebpf/linked1-el.elf entry_l2", "calls a function of another file"},
    {"cilium-ebpf/linked2-el.elf entry_l1", "calls a function of another file"},
    {"cilium-ebpf/loader-el.elf asm_relocation", "a constant that its own loader replaces"},
    {"invalid/invalid-lddw.o func", "an instruction that is none"},
};
// Files that are refused as a whole, as their rows expect.
const std::map<std::string, const char*> kUnreadable = {
    {"cilium-ebpf/invalid_map_static-el.elf", "NotSupported"},
    {"invalid/58087ea4ff41695f3186d628a3250b26dc8d237a", "BadFormat"},
    {"invalid/ab3408afd06d68dd7e73bf21bde38350d9751a78", "BadFormat"},
};
// Rows whose number counts the second halves of some two-slot instructions.
const std::map<std::string, std::size_t> kOtherCount = {
    {"cilium-ebpf/kconfig-el.elf kconfig", 22},
    {"cilium-ebpf/loader-el.elf xdp_prog", 44},
};

class Corpus : public testing::Test {
  protected:
    void SetUp() override {
        if (!fs::exists(corpus())) GTEST_SKIP() << "no corpus at " << corpus();
    }
};

TEST_F(Corpus, EveryListedProgramIsFoundAndLinked) {
    std::map<std::string, Object> objects;
    int linked = 0;
    for (const Row& row : rows()) {
        SCOPED_TRACE(row.file + " " + row.section + " " + row.program);
        if (!objects.contains(row.file)) {
            const auto bytes = read_file(corpus() / row.file);
            auto object = read_object(bytes, linux_options(row.file));
            if (kUnreadable.contains(row.file)) {
                ASSERT_FALSE(object);
                EXPECT_EQ(name(object.error().code), kUnreadable.at(row.file));
                continue;
            }
            ASSERT_TRUE(object) << describe(object.error(), bytes);
            objects.emplace(row.file, std::move(*object));
        }
        if (row.section.empty()) continue;  // an object without programs
        const ObjectProgram* program = objects.at(row.file).find(row.section, row.program);
        ASSERT_NE(program, nullptr);
        const std::string key = row.file + " " + row.program;
        if (kUnlinkable.contains(key)) {
            EXPECT_FALSE(program->program) << kUnlinkable.at(key);
            EXPECT_FALSE(program->message.empty());
            continue;
        }
        ASSERT_TRUE(program->program) << program->message;
        ++linked;
        if (row.instructions.empty()) continue;
        const auto other = kOtherCount.find(key);
        EXPECT_EQ(listed_size(*program->program),
                  other != kOtherCount.end() ? other->second : std::stoul(row.instructions));
    }
    EXPECT_EQ(linked, 321);
}

TEST_F(Corpus, NoProgramBesidesTheListedOnes) {
    std::map<std::string, std::set<std::string>> listed;
    for (const Row& row : rows()) {
        auto& programs = listed[row.file];
        if (!row.section.empty()) programs.insert(row.section + " " + row.program);
    }
    for (const auto& [file, programs] : listed) {
        const auto object = read_object(read_file(corpus() / file), linux_options(file));
        if (kUnreadable.contains(file)) continue;
        ASSERT_TRUE(object) << file;
        for (const ObjectProgram& program : object->programs) {
            EXPECT_TRUE(programs.contains(program.section + " " + program.name))
                << file << " " << program.section << " " << program.name;
        }
    }
}

TEST_F(Corpus, TypesOfOldAndNewSectionNames) {
    const auto type_of = [](const std::string& file, const char* section) {
        const auto object = read_object(read_file(corpus() / file), linux_options(file));
        const ObjectProgram* program = object ? object->find(section, "") : nullptr;
        return program != nullptr ? program->type : spec::ProgramType::Bind;
    };
    using spec::ProgramType;
    EXPECT_EQ(type_of("cilium/bpf_xdp_dsr_linux.o", "2/17"), ProgramType::Xdp);
    EXPECT_EQ(type_of("cilium/bpf_xdp.o", "from-netdev"), ProgramType::Xdp);
    EXPECT_EQ(type_of("cilium/bpf_lb.o", "2/1"), ProgramType::SchedCls);
    EXPECT_EQ(type_of("bpf_cilium_test/bpf_lxc_jit.o", "1/0xdc06"), ProgramType::SchedCls);
    EXPECT_EQ(type_of("cilium-core/bpf_host.o", "tc/tail"), ProgramType::SchedCls);
    EXPECT_EQ(type_of("linux/xdp1_kern.o", "xdp1"), ProgramType::Xdp);
    EXPECT_EQ(type_of("linux/sockex1_kern.o", "socket1"), ProgramType::SocketFilter);
    EXPECT_EQ(type_of("suricata/bypass_filter.o", "filter"), ProgramType::SchedCls);
    EXPECT_EQ(type_of("linux/tracex1_kern.o", "kprobe/__netif_receive_skb_core"),
              ProgramType::Kprobe);
    EXPECT_EQ(type_of("build/twotypes.o", ".text"), ProgramType::Unspec);
}

TEST_F(Corpus, MapsOfEveryKindOfRecord) {
    const auto maps_of = [](const std::string& file) {
        auto object = read_object(read_file(corpus() / file), linux_options(file));
        return object ? std::move(object->maps) : std::vector<ir::MapDef>{};
    };
    const auto find = [](const std::vector<ir::MapDef>& maps, std::string_view name) {
        const auto found = std::ranges::find(maps, name, &ir::MapDef::name);
        return found != maps.end() ? *found : ir::MapDef{};
    };
    // iproute2's record of 28 bytes.
    const auto lb = maps_of("cilium/bpf_lb.o");
    EXPECT_EQ(lb.size(), 16u);
    EXPECT_EQ(lb[0].type, spec::MapType::PerfEventArray);
    EXPECT_EQ(lb[0].pinning, ir::Pinning::ByName);
    // A legacy map of maps, with the inner map's place in the table.
    const auto legacy = maps_of("build/map_in_map_legacy.o");
    EXPECT_EQ(find(legacy, "array_of_maps").type, spec::MapType::ArrayOfMaps);
    ASSERT_EQ(find(legacy, "array_of_maps").inner, 1);
    EXPECT_EQ(legacy[1].value_size, 8u);
    // The same with types.
    const auto typed = maps_of("build/map_in_map.o");
    const auto outer = std::ranges::find(typed, spec::MapType::ArrayOfMaps, &ir::MapDef::type);
    ASSERT_NE(outer, typed.end());
    ASSERT_GE(outer->inner, 0);
    EXPECT_EQ(typed[static_cast<std::size_t>(outer->inner)].type, spec::MapType::Array);
    // Both kinds beside sections of variables.
    const auto loader = maps_of("cilium-ebpf/loader-el.elf");
    EXPECT_EQ(find(loader, "hash_map").type, spec::MapType::Hash);
    EXPECT_TRUE(find(loader, ".rodata").frozen);
    EXPECT_TRUE(find(loader, ".rodata").read_only);
    EXPECT_EQ(find(loader, ".rodata").initial.size(), 24u);
    EXPECT_FALSE(find(loader, ".data").read_only);
    EXPECT_EQ(find(loader, ".bss").value_size, 4u);
    EXPECT_TRUE(find(loader, ".bss").initial.empty());
    EXPECT_EQ(find(loader, "btf_pin").pinning, ir::Pinning::ByName);
    EXPECT_EQ(find(maps_of("cilium-ebpf/map_spin_lock-el.elf"), "spin_lock_map").spin_lock_offset,
              4);
}

TEST_F(Corpus, SourceLinesAreThere) {
    const std::string file = "build/packet_access.o";
    const auto object = read_object(read_file(corpus() / file), linux_options(file));
    ASSERT_TRUE(object);
    const ObjectProgram* program = object->find("xdp", "");
    ASSERT_NE(program, nullptr);
    ASSERT_TRUE(program->program);
    const ir::SourceLine* line = program->program->line_at(3);
    ASSERT_NE(line, nullptr);
    EXPECT_GT(line->line, 0u);
    EXPECT_TRUE(program->program->files[line->file].ends_with("packet_access.c"));
    EXPECT_FALSE(line->text.empty());
}

}  // namespace
}  // namespace ebpf::engine
