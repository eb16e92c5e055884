// SPDX-License-Identifier: MIT
// The tables against the uapi header that is installed: every enumerator of it has a row with its
// number and its name. Independent of the tables: the header is read, by the compiler for the
// helpers and as text for the enums.
#include <gtest/gtest.h>

#if __has_include(<linux/bpf.h>)
#include <linux/bpf.h>

#include <algorithm>
#include <fstream>
#include <regex>
#include <sstream>

#include "spec/attach_types.hpp"
#include "spec/commands.hpp"
#include "spec/helpers.hpp"
#include "spec/map_types.hpp"
#include "spec/program_types.hpp"

namespace ebpf::spec {
namespace {

struct Enumerator {
    std::string name;
    u32 value;
};

// The enumerators of `enum tag`, counted as C does; an alias of another (= BPF_...) is left out.
std::vector<Enumerator> enumerators(const std::string& tag) {
    std::ifstream file("/usr/include/linux/bpf.h");
    std::stringstream all;
    all << file.rdbuf();
    std::string text = all.str();
    const std::size_t begin = text.find("enum " + tag + " {");
    if (begin == std::string::npos) return {};
    text = text.substr(begin, text.find("};", begin) - begin);
    for (std::size_t at; (at = text.find("/*")) != std::string::npos;) {
        text.erase(at, text.find("*/", at) + 2 - at);
    }

    std::vector<Enumerator> found;
    u32 next = 0;
    const std::regex entry(R"(\n\s*(\w+)(\s*=\s*(\w+))?)");
    for (std::sregex_iterator it(text.begin(), text.end(), entry), end; it != end; ++it) {
        const std::string value = (*it)[3];
        if (!value.empty() && !std::isdigit(static_cast<unsigned char>(value[0]))) continue;
        if (!value.empty()) next = static_cast<u32>(std::stoul(value));
        found.push_back({(*it)[1], next++});
    }
    return found;
}

// "BPF_CGROUP_INET4_BIND" and "CgroupInet4Bind" as the same letters.
std::string letters(std::string s, const std::string& prefix = "") {
    if (s.starts_with(prefix)) s = s.substr(prefix.size());
    if (s.ends_with("_DEPRECATED")) s = s.substr(0, s.size() - std::string("_DEPRECATED").size());
    std::erase(s, '_');
    std::transform(s.begin(), s.end(), s.begin(), [](unsigned char c) { return std::tolower(c); });
    return s;
}

TEST(Uapi, EveryHelperHasARow) {
    const struct {
        const char* name;
        int number;
    } helpers[] = {
#define ENTRY(x) {#x, BPF_FUNC_##x}
        __BPF_FUNC_MAPPER(ENTRY)
#undef ENTRY
    };
    int checked = 0;
    for (const auto& h : helpers) {
        if (h.number == 0) continue;
        const std::optional<Helper> id =
            helper_from_number(Dialect::Linux, static_cast<u32>(h.number));
        ASSERT_TRUE(id) << h.name << " " << h.number;
        EXPECT_EQ(info(*id).name, "bpf_" + std::string(h.name));
        ++checked;
    }
    EXPECT_GE(checked, 209);
}

TEST(Uapi, EveryMapTypeHasARow) {
    const char* const ids[] = {
#define MAP_TYPE(id, ...) #id,
#include "spec/map_types.def"
    };
    int checked = 0;
    for (const Enumerator& e : enumerators("bpf_map_type")) {
        if (e.value == 0 || e.name.starts_with("__MAX")) continue;
        const std::optional<MapType> id = map_type_from_number(Dialect::Linux, e.value);
        ASSERT_TRUE(id) << e.name;
        EXPECT_EQ(letters(ids[static_cast<int>(*id)]), letters(e.name, "BPF_MAP_TYPE_"));
        ++checked;
    }
    EXPECT_GE(checked, 31);
}

TEST(Uapi, EveryProgramTypeHasARow) {
    const char* const ids[] = {
#define PROGRAM_TYPE(id, ...) #id,
#include "spec/program_types.def"
    };
    int checked = 0;
    for (const Enumerator& e : enumerators("bpf_prog_type")) {
        if (e.value == 0 || e.name.starts_with("__MAX")) continue;
        const std::optional<ProgramType> id = program_type_from_number(Dialect::Linux, e.value);
        ASSERT_TRUE(id) << e.name;
        EXPECT_EQ(letters(ids[static_cast<int>(*id)]), letters(e.name, "BPF_PROG_TYPE_"));
        EXPECT_EQ(letters(info(*id).name[0]), letters(e.name, "BPF_PROG_TYPE_"));
        ++checked;
    }
    EXPECT_GE(checked, 31);
}

TEST(Uapi, EveryAttachTypeHasARow) {
    const char* const ids[] = {
#define ATTACH_TYPE(id, ...) #id,
#include "spec/attach_types.def"
    };
    int checked = 0;
    for (const Enumerator& e : enumerators("bpf_attach_type")) {
        if (e.name.starts_with("__MAX")) continue;
        const std::optional<AttachType> id = attach_type_from_number(Dialect::Linux, e.value);
        ASSERT_TRUE(id) << e.name;
        EXPECT_EQ(letters(ids[static_cast<int>(*id)]), letters(e.name, "BPF_"));
        EXPECT_EQ(letters(info(*id).in(Dialect::Linux).name), letters(e.name, "BPF_"));
        ++checked;
    }
    EXPECT_GE(checked, 44);
}

TEST(Uapi, EveryLinkTypeHasItsNumber) {
    int checked = 0;
    for (const Enumerator& e : enumerators("bpf_link_type")) {
        if (e.value == 0 || e.name.starts_with("MAX") || e.name.starts_with("__MAX")) continue;
        bool found = false;
        for (int i = 0; i <= static_cast<int>(LinkType::Sockmap); ++i) {
            const auto link = static_cast<LinkType>(i);
            if (link_number(Dialect::Linux, link) != e.value) continue;
            EXPECT_EQ(letters(name(link)), letters(e.name, "BPF_LINK_TYPE_"));
            found = true;
        }
        EXPECT_TRUE(found) << e.name;
        ++checked;
    }
    EXPECT_GE(checked, 9);
}

TEST(Uapi, EveryCommandHasABlock) {
    struct Block {
        std::string id;
        u32 number;
    };
    const Block blocks[] = {
#define COMMAND(id, number, name, access) {#id, number},
#define FIELD(...)
#define END_COMMAND(id)
#include "spec/commands.def"
    };
    int checked = 0;
    for (const Enumerator& e : enumerators("bpf_cmd")) {
        if (e.name.starts_with("__MAX")) continue;
        if (e.value > 35) continue;  // tokens and streams of later kernels
        const auto block = std::find_if(std::begin(blocks), std::end(blocks),
                                        [&](const Block& b) { return b.number == e.value; });
        ASSERT_NE(block, std::end(blocks)) << e.name;
        EXPECT_EQ(letters(block->id), letters(e.name, "BPF_"));
        ++checked;
    }
    EXPECT_EQ(checked, 36);
}

TEST(Uapi, MapCreationFlags) {
    EXPECT_EQ(kMapNoPrealloc, static_cast<u32>(BPF_F_NO_PREALLOC));
    EXPECT_EQ(kMapNoCommonLru, static_cast<u32>(BPF_F_NO_COMMON_LRU));
    EXPECT_EQ(kMapNumaNode, static_cast<u32>(BPF_F_NUMA_NODE));
    EXPECT_EQ(kMapReadOnly, static_cast<u32>(BPF_F_RDONLY));
    EXPECT_EQ(kMapWriteOnly, static_cast<u32>(BPF_F_WRONLY));
    EXPECT_EQ(kMapStackBuildId, static_cast<u32>(BPF_F_STACK_BUILD_ID));
    EXPECT_EQ(kMapZeroSeed, static_cast<u32>(BPF_F_ZERO_SEED));
    EXPECT_EQ(kMapReadOnlyProgram, static_cast<u32>(BPF_F_RDONLY_PROG));
    EXPECT_EQ(kMapWriteOnlyProgram, static_cast<u32>(BPF_F_WRONLY_PROG));
    EXPECT_EQ(kMapClone, static_cast<u32>(BPF_F_CLONE));
    EXPECT_EQ(kMapMmapable, static_cast<u32>(BPF_F_MMAPABLE));
    EXPECT_EQ(kMapPreserveElems, static_cast<u32>(BPF_F_PRESERVE_ELEMS));
    EXPECT_EQ(kMapInnerMap, static_cast<u32>(BPF_F_INNER_MAP));
}

}  // namespace
}  // namespace ebpf::spec
#else
TEST(Uapi, Skipped) {
    GTEST_SKIP() << "linux/bpf.h is not installed";
}
#endif
