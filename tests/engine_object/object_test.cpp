// SPDX-License-Identifier: MIT
// What read_object makes of the sources in tests/objects, for each compiler.
#include "engine/object.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "elf/elf.hpp"
#include "objects.hpp"
#include "spec/map_types.hpp"

namespace ebpf::engine {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class Objects : public testing::Test {
  protected:
    void SetUp() override {
        compilers_ = compilers();
        if (compilers_.empty()) GTEST_SKIP() << "no clang for bpf";
    }
    // Reads an object or fails the test.
    Object read(const std::string& compiler, const std::string& name, ReadOptions options = {}) {
        options.name = name + ".o";
        const auto bytes = test_object(compiler, name);
        auto object = read_object(bytes, options);
        if (!object) ADD_FAILURE() << compiler << ": " << describe(object.error(), bytes);
        return object ? std::move(*object) : Object{};
    }
    std::vector<std::string> compilers_;
};

i64 map_index(const Object& object, std::string_view name) {
    const auto found = std::ranges::find(object.maps, name, &ir::MapDef::name);
    return found == object.maps.end() ? -1 : found - object.maps.begin();
}

const ir::MapDef& map(const Object& object, std::string_view name) {
    static const ir::MapDef none;
    const i64 index = map_index(object, name);
    return index < 0 ? none : object.maps[static_cast<std::size_t>(index)];
}

std::vector<std::string> subprogram_names(const ir::Program& program) {
    std::vector<std::string> names;
    for (const ir::Subprogram& sub : program.subprograms) names.push_back(sub.name);
    return names;
}

// Names of the maps that a program refers to.
std::vector<std::string> maps_used(const ir::Program& program) {
    std::vector<std::string> names;
    for (const isa::Insn& insn : program.insns) {
        if (insn.form != isa::Form::Wide || insn.wide() == isa::WideKind::Imm64 ||
            insn.wide() == isa::WideKind::Function) {
            continue;
        }
        names.push_back(program.maps.at(insn.map_index()).name);
    }
    std::ranges::sort(names);
    names.erase(std::ranges::unique(names).begin(), names.end());
    return names;
}

TEST_F(Objects, EverythingIsFoundAndLinked) {
    for (const std::string& compiler : compilers_) {
        SCOPED_TRACE(compiler);
        const Object object = read(compiler, "everything");
        EXPECT_EQ(object.dialect, spec::Dialect::Linux);
        EXPECT_EQ(object.license, "Dual MIT/GPL");
        EXPECT_THAT(object.warnings, IsEmpty());
        ASSERT_NE(object.btf, nullptr);
        ASSERT_EQ(object.programs.size(), 7u);

        const ObjectProgram* first = object.find("xdp", "first");
        ASSERT_NE(first, nullptr);
        ASSERT_TRUE(first->program) << first->message;
        EXPECT_EQ(first->type, spec::ProgramType::Xdp);
        EXPECT_EQ(first->program->license, "Dual MIT/GPL");
        EXPECT_THAT(subprogram_names(*first->program),
                    testing::ElementsAre("first", "global_function", "static_function"));
        EXPECT_TRUE(first->program->subprograms[1].is_global);
        EXPECT_FALSE(first->program->subprograms[2].is_global);
        EXPECT_NE(first->program->subprograms[1].btf_type, 0u);
        EXPECT_THAT(maps_used(*first->program),
                    testing::ElementsAre(".bss", ".data", ".rodata", "flows", "jumps"));

        const ObjectProgram* second = object.find("xdp", "second");
        ASSERT_NE(second, nullptr);
        ASSERT_TRUE(second->program) << second->message;
        EXPECT_THAT(subprogram_names(*second->program),
                    testing::UnorderedElementsAre("second", "callback", "static_function"));
        EXPECT_THAT(maps_used(*second->program), testing::ElementsAre(".bss", ".data.own"));
        // The callback's address names the subprogram.
        const auto& insns = second->program->insns;
        const auto address = std::ranges::find_if(insns, [](const isa::Insn& insn) {
            return insn.form == isa::Form::Wide && insn.wide() == isa::WideKind::Function;
        });
        ASSERT_NE(address, insns.end());
        const u32 target = second->program->target[static_cast<u32>(address - insns.begin())];
        EXPECT_EQ(second->program->subprograms[second->program->subprogram_at(target)].name,
                  "callback");
    }
}

TEST_F(Objects, OnlyWhatIsAskedForIsLinked) {
    for (const std::string& compiler : compilers_) {
        const Object all = read(compiler, "everything");
        ASSERT_GT(all.programs.size(), 1u);
        const std::string& wanted = all.programs.back().name;
        ReadOptions options;
        options.program = wanted;
        const Object one = read(compiler, "everything", options);
        ASSERT_EQ(one.programs.size(), all.programs.size());
        for (std::size_t i = 0; i < one.programs.size(); ++i) {
            const std::size_t expected =
                all.programs[i].name == wanted ? all.programs[i].program->insns.size() : 0;
            EXPECT_EQ(one.programs[i].program->insns.size(), expected) << one.programs[i].name;
        }
    }
}

// A data section's type has its size and the places of its variables, which compilers leave to the
// symbols.
TEST_F(Objects, TypesOfDataSectionsArePlaced) {
    for (const std::string& compiler : compilers_) {
        SCOPED_TRACE(compiler);
        const Object object = read(compiler, "values");
        const btf::View& types = object.btf->view();
        const ir::MapDef& bss = map(object, ".bss");
        const btf::Type section = types.type(bss.value_type).value();
        EXPECT_EQ(section.size(), bss.value_size);
        ASSERT_EQ(section.count, 2u);
        EXPECT_EQ(types.variable(section, 0)->offset, 0u);
        EXPECT_EQ(types.variable(section, 1)->offset, 8u);  // counted, a global variable
        const auto second = types.type(types.variable(section, 1)->type);
        EXPECT_EQ(types.name(*second).value(), "counted");
        EXPECT_EQ(types.type(map(object, ".data").value_type)->size(), 8u);
    }
}

TEST_F(Objects, MapsOfEverything) {
    for (const std::string& compiler : compilers_) {
        SCOPED_TRACE(compiler);
        const Object object = read(compiler, "everything");
        for (const Status& status : object.map_status) EXPECT_TRUE(status);

        const ir::MapDef& flows = map(object, "flows");
        EXPECT_EQ(flows.type, spec::MapType::Hash);
        EXPECT_EQ(flows.key_size, 4u);
        EXPECT_EQ(flows.value_size, 32u);
        EXPECT_EQ(flows.max_entries, 1000u);
        EXPECT_EQ(flows.flags, 1u);
        EXPECT_EQ(flows.pinning, ir::Pinning::ByName);
        EXPECT_EQ(flows.spin_lock_offset, 8);
        EXPECT_EQ(flows.timer_offset, 16);
        EXPECT_NE(flows.value_type, 0u);

        const ir::MapDef& outer = map(object, "outer");
        EXPECT_EQ(outer.type, spec::MapType::ArrayOfMaps);
        EXPECT_EQ(outer.value_size, 4u);
        ASSERT_GE(outer.inner, 0);
        const ir::MapDef& inner = object.maps[static_cast<std::size_t>(outer.inner)];
        EXPECT_EQ(inner.type, spec::MapType::Array);
        EXPECT_EQ(inner.max_entries, 3u);
        EXPECT_EQ(inner.value_size, 8u);
        EXPECT_EQ(map(object, "jumps").type, spec::MapType::ProgArray);

        EXPECT_EQ(map(object, ".rodata").read_only, true);
        EXPECT_EQ(map(object, ".data").initial.size(), 32u);
        EXPECT_EQ(map(object, ".data").initial[8], std::byte{2});
        EXPECT_EQ(map(object, ".bss").value_size, 64u);

        // Initial slots, by map and key.
        ASSERT_EQ(object.slots.size(), 3u);
        const auto slot = [&](std::string_view name, u32 key) {
            for (const InitialSlot& s : object.slots) {
                if (s.map == map_index(object, name) && s.key == key) {
                    return s.is_program ? object.programs[s.target].name
                                        : object.maps[s.target].name;
                }
            }
            return std::string();
        };
        EXPECT_EQ(slot("outer", 1), "inner_b");
        EXPECT_EQ(slot("outer", 3), "inner_a");
        EXPECT_EQ(slot("jumps", 1), "second");
    }
}

TEST_F(Objects, ExternsAreKnownNamedOrRefused) {
    for (const std::string& compiler : compilers_) {
        SCOPED_TRACE(compiler);
        Object object = read(compiler, "everything", {.kernel_version = 0x01020300});
        const ObjectProgram* version = object.find("kprobe/version", "");
        ASSERT_NE(version, nullptr);
        ASSERT_TRUE(version->program) << version->message;
        const ir::MapDef& kconfig = map(object, ".kconfig");
        EXPECT_TRUE(kconfig.frozen);
        ASSERT_GE(kconfig.initial.size(), 4u);
        EXPECT_EQ(load_le<u32>(kconfig.initial.data()), 0x01020300u);

        const ObjectProgram* unknown = object.find("kprobe/unknown", "");
        ASSERT_NE(unknown, nullptr);
        ASSERT_FALSE(unknown->program);
        EXPECT_THAT(unknown->message, HasSubstr("CONFIG_NOBODY_KNOWS"));

        const ObjectProgram* kernel = object.find("tc", "calls_kernel");
        ASSERT_NE(kernel, nullptr);
        ASSERT_TRUE(kernel->program) << kernel->message;
        EXPECT_THAT(kernel->program->kfuncs, testing::ElementsAre("some_kernel_function"));

        object = read(compiler, "everything", {.unknown_kconfig = true});
        EXPECT_TRUE(object.find("kprobe/unknown", "")->program);
        EXPECT_FALSE(map(object, ".kconfig").frozen);
    }
}

// Writes the symbol's value into each instruction that refers to a map, as GNU's assembler does.
// Returns how many it changed.
int refer_as_gnu(std::vector<std::byte>& object) {
    int count = 0;
    const auto file = elf::File::open(object);
    const auto symbols = file->symbols();
    for (u32 i = 0; i < file->section_count(); ++i) {
        const auto table = file->section(i);
        if (table->type != elf::SectionType::Rel) continue;
        const auto code = file->section(table->info);
        const auto relocations = file->relocations(*table);
        for (u32 k = 0; k < relocations->size(); ++k) {
            const auto relocation = relocations->at(k);
            const auto symbol = symbols->at(relocation->symbol);
            if (relocation->type != elf::RelocationType::Wide64 ||
                symbol->type != elf::SymbolType::Object ||
                file->section(symbol->section)->name != ".maps")
                continue;
            const auto place = code->bytes.data() - object.data();
            const u32 value = static_cast<u32>(symbol->value);
            std::memcpy(object.data() + place + relocation->offset + 4, &value, sizeof value);
            count += value != 0;
        }
    }
    return count;
}

TEST_F(Objects, MapsAreTheirSymbolsWhateverTheInstructionHolds) {
    for (const std::string& compiler : compilers_) {
        SCOPED_TRACE(compiler);
        auto bytes = test_object(compiler, "everything");
        const Object before = read(compiler, "everything");
        EXPECT_GT(refer_as_gnu(bytes), 0);
        const auto after = read_object(bytes, {.name = "gnu.o", .dialect = {}, .default_type = {}});
        ASSERT_TRUE(after) << describe(after.error(), bytes);
        ASSERT_EQ(after->programs.size(), before.programs.size());
        for (std::size_t i = 0; i < before.programs.size(); ++i) {
            if (!before.programs[i].program) continue;
            ASSERT_TRUE(after->programs[i].program) << after->programs[i].message;
            EXPECT_EQ(maps_used(*after->programs[i].program),
                      maps_used(*before.programs[i].program));
        }
    }
}

TEST_F(Objects, CoreRelocationsGiveOffsets) {
    for (const std::string& compiler : compilers_) {
        SCOPED_TRACE(compiler);
        const Object object = read(compiler, "everything");
        const ObjectProgram* core = object.find("kprobe/core", "");
        ASSERT_NE(core, nullptr);
        ASSERT_TRUE(core->program) << core->message;
        // big.in.list[2] stands at 4 + 4 + 2 * 2.
        EXPECT_TRUE(std::ranges::any_of(core->program->insns, [](const isa::Insn& insn) {
            return insn.form == isa::Form::Load && insn.width == isa::Width::W16 && insn.off == 12;
        }));
    }
}

TEST_F(Objects, LinesOfCallerAndCallee) {
    for (const std::string& compiler : compilers_) {
        SCOPED_TRACE(compiler);
        const Object object = read(compiler, "everything");
        const ObjectProgram* first = object.find("xdp", "first");
        ASSERT_NE(first, nullptr);
        ASSERT_TRUE(first->program);
        const ir::Program& program = *first->program;
        const ir::SourceLine* line = program.line_at(0);
        ASSERT_NE(line, nullptr);
        EXPECT_THAT(line->text, HasSubstr("first(struct xdp_md"));
        EXPECT_THAT(program.files.at(line->file), HasSubstr("everything.c"));
        const ir::SourceLine* callee = program.line_at(program.subprograms.at(2).begin);
        ASSERT_NE(callee, nullptr);
        EXPECT_THAT(callee->text, HasSubstr("zeros[x & 7]"));
        EXPECT_LT(callee->line, line->line);
        EXPECT_TRUE(std::ranges::is_sorted(program.lines, {}, &ir::SourceLine::insn));
    }
}

TEST_F(Objects, LegacyRecordsAndDataWithoutTypes) {
    for (const std::string& compiler : compilers_) {
        SCOPED_TRACE(compiler);
        const Object object = read(compiler, "legacy");
        EXPECT_EQ(object.dialect, spec::Dialect::Linux);  // records of 20 bytes, a version
        EXPECT_EQ(object.version, 0x40900u);
        EXPECT_EQ(object.btf, nullptr);
        EXPECT_EQ(map(object, "first_map").max_entries, 100u);
        EXPECT_EQ(map(object, "first_map").flags, 1u);
        EXPECT_EQ(map(object, "second_map").value_size, 16u);
        const ObjectProgram* one = object.find("socket/a", "one");
        ASSERT_NE(one, nullptr);
        ASSERT_TRUE(one->program) << one->message;
        EXPECT_THAT(maps_used(*one->program), testing::ElementsAre(".bss", ".rodata", "first_map"));
        EXPECT_EQ(one->type, spec::ProgramType::SocketFilter);

        const ObjectProgram* decode = object.find("lirc_mode2/decoder", "decode");
        ASSERT_NE(decode, nullptr);
        ASSERT_TRUE(decode->program) << decode->message;
        EXPECT_EQ(decode->type, spec::ProgramType::LircMode2);
        EXPECT_THAT(maps_used(*decode->program), testing::ElementsAre("decoder_map"));
        EXPECT_EQ(map(object, "decoder_map").value_size, 16u);
        EXPECT_EQ(map(object, "decoder_map").max_entries, 1u);
        EXPECT_EQ(map_index(object, "not_maps"), -1);
    }
}

TEST_F(Objects, WindowsIsRecognised) {
    for (const std::string& compiler : compilers_) {
        SCOPED_TRACE(compiler);
        const Object object = read(compiler, "windows");
        EXPECT_EQ(object.dialect, spec::Dialect::Windows);
        const ObjectProgram* bind = object.find("bind", "on_bind");
        ASSERT_NE(bind, nullptr);
        ASSERT_TRUE(bind->program) << bind->message;
        EXPECT_EQ(bind->type, spec::ProgramType::Bind);
        EXPECT_EQ(map(object, "by_id").type, spec::MapType::HashOfMaps);
        EXPECT_EQ(map(object, "by_id").inner, map_index(object, "processes"));
        EXPECT_EQ(map(object, "by_id").pinning, ir::Pinning::ByName);
        EXPECT_EQ(map(object, "ring").type, spec::MapType::Ringbuf);
        // Forced to Linux, the section means nothing and the numbers mean other types.
        const Object forced = read(compiler, "windows", {.dialect = spec::Dialect::Linux});
        EXPECT_FALSE(forced.find("bind", "on_bind")->program);
    }
}

TEST_F(Objects, TheContextsTypeTellsTheDialect) {
    for (const std::string& compiler : compilers_) {
        EXPECT_EQ(read(compiler, "windows_xdp").dialect, spec::Dialect::Windows);
        // Without type information, nothing tells.
        auto bytes = test_object(compiler, "windows_xdp");
        const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        for (std::size_t at = text.find(".BTF"); at != text.npos; at = text.find(".BTF", at + 1)) {
            bytes[at + 1] = std::byte{'X'};
        }
        const auto object = read_object(bytes, {});
        ASSERT_FALSE(object);
        EXPECT_EQ(name(object.error().code), "AmbiguousDialect");
        EXPECT_TRUE(read_object(bytes, {.dialect = spec::Dialect::Windows}));
    }
}

TEST_F(Objects, TextAloneHasItsUncalledFunctions) {
    for (const std::string& compiler : compilers_) {
        SCOPED_TRACE(compiler);
        const Object object =
            read(compiler, "text", {.default_type = spec::ProgramType::SocketFilter});
        ASSERT_EQ(object.programs.size(), 1u);
        EXPECT_EQ(object.programs[0].name, "entry");
        ASSERT_TRUE(object.programs[0].program);
        EXPECT_EQ(object.programs[0].program->subprograms.size(), 2u);
        // Without a type for sections that say nothing, the program is listed with its error.
        const Object untyped = read(compiler, "text");
        EXPECT_EQ(name(untyped.programs.at(0).program.error().code), "UnknownSection");
    }
}

}  // namespace
}  // namespace ebpf::engine
