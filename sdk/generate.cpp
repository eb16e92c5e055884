// SPDX-License-Identifier: MIT
//
// Writes the parts of the SDK that are facts of spec/: the helpers' declarations and the dialects'
// numbers, as C headers, and the helpers' documentation. What is the same for every table (macros,
// structures) stands in sdk/include/ as it is.
//
//     casement_sdkgen DIRECTORY      writes DIRECTORY/include/... and DIRECTORY/helpers.md
#include <algorithm>
#include <bit>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "spec/attach_types.hpp"
#include "spec/errors.hpp"
#include "spec/helpers.hpp"
#include "spec/map_types.hpp"
#include "spec/program_types.hpp"

using namespace ebpf;
using namespace ebpf::spec;

namespace {

const char* const kNotice =
    "/* SPDX-License-Identifier: MIT */\n"
    "/* Generated from the tables under src/spec/ of Casement: change those. */\n";

std::ofstream create(const std::filesystem::path& path) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream out(path, std::ios::binary);
    if (!out) {
        std::cerr << "cannot write " << path << "\n";
        std::exit(1);
    }
    return out;
}

void replace_all(std::string& text, const std::string& from, const std::string& to) {
    for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
        text.replace(at, from.size(), to);
    }
}

// "LruPercpuHash" becomes "LRU_PERCPU_HASH".
std::string upper_snake(const std::string& id) {
    std::string out;
    for (std::size_t i = 0; i < id.size(); ++i) {
        if (i > 0 && std::isupper(static_cast<unsigned char>(id[i]))) out += '_';
        out += static_cast<char>(std::toupper(static_cast<unsigned char>(id[i])));
    }
    return out;
}

std::vector<Helper> by_number(Dialect dialect) {
    std::vector<Helper> helpers;
    for (int i = 0; i < kHelperCount; ++i) {
        if (number(dialect, static_cast<Helper>(i)) >= 0) helpers.push_back(static_cast<Helper>(i));
    }
    std::ranges::stable_sort(helpers, {}, [&](Helper id) { return number(dialect, id); });
    return helpers;
}

// Linux's kernel functions have names instead of numbers.
bool is_kfunc(Helper id) {
    return number(Dialect::Linux, id) == kByName;
}

// Linux's context structures and checksum types as eBPF for Windows' programs name them.
std::string parameters(const HelperInfo& helper, Dialect dialect) {
    std::string text = helper.c_parameters;
    if (dialect == Dialect::Linux) return text;
    replace_all(text, "struct xdp_md *", "xdp_md_t *");
    replace_all(text, "__be32 *", "const void *");
    return text;
}

void declare(std::ostream& out, Helper id, Dialect dialect) {
    const HelperInfo& helper = info(id);
    std::string result = helper.c_result;
    if (result.back() != '*') result += ' ';
    out << "/* " << helper.text << " */\n"
        << "static " << result << "(*const " << helper.name << ")(" << parameters(helper, dialect)
        << ") = (void *)" << number(dialect, id) << ";\n\n";
}

// Structures that only appear behind pointers: each is announced once.
void announce_structures(std::ostream& out, const std::vector<Helper>& helpers) {
    std::vector<std::string> names;
    for (const Helper id : helpers) {
        for (std::string text :
             {std::string(info(id).c_result), std::string(info(id).c_parameters)}) {
            for (std::size_t at = 0; (at = text.find("struct ", at)) != std::string::npos;) {
                const bool a_word = at == 0 || text[at - 1] == ' ';  // not the end of task_struct
                at += 7;
                if (!a_word) continue;
                std::size_t end = at;
                while (end < text.size() && (std::isalnum(text[end]) || text[end] == '_')) ++end;
                const std::string name = text.substr(at, end - at);
                if (std::find(names.begin(), names.end(), name) == names.end()) {
                    names.push_back(name);
                }
            }
        }
    }
    std::sort(names.begin(), names.end());
    for (const std::string& name : names) out << "struct " << name << ";\n";
    out << "\n";
}

void write_linux_helpers(const std::filesystem::path& include) {
    std::ofstream out = create(include / "bpf/bpf_helper_defs.h");
    out << kNotice << "#ifndef CASEMENT_BPF_HELPER_DEFS_H\n#define CASEMENT_BPF_HELPER_DEFS_H\n\n";
    std::vector<Helper> helpers = by_number(Dialect::Linux);
    std::erase_if(helpers, is_kfunc);
    announce_structures(out, helpers);
    for (const Helper id : helpers) declare(out, id, Dialect::Linux);
    out << "#endif\n";
}

// Weak, so that a program may ask with bpf_ksym_exists() which there are.
void write_linux_kfuncs(const std::filesystem::path& include) {
    std::ofstream out = create(include / "bpf/bpf_kfuncs.h");
    out << kNotice << "/* Kernel functions. Include <bpf/bpf_helpers.h> before this. */\n"
        << "#ifndef CASEMENT_BPF_KFUNCS_H\n#define CASEMENT_BPF_KFUNCS_H\n\n";
    std::vector<Helper> kfuncs = by_number(Dialect::Linux);
    std::erase_if(kfuncs, [](Helper id) { return !is_kfunc(id); });
    announce_structures(out, kfuncs);
    for (const Helper id : kfuncs) {
        const HelperInfo& kfunc = info(id);
        const std::string result = kfunc.c_result;
        out << "/* " << kfunc.text << " */\nextern " << result << (result.back() == '*' ? "" : " ")
            << kfunc.name << "(" << kfunc.c_parameters << ") __weak __ksym;\n\n";
    }
    out << "#endif\n";
}

bool has_caller(Helper id, std::initializer_list<ProgramType> types) {
    for (const ProgramType type : types) {
        if (info(id).callers[1] >> static_cast<u32>(type) & 1) return true;
    }
    return false;
}

void write_windows_helpers(const std::filesystem::path& include) {
    const std::vector<Helper> helpers = by_number(Dialect::Windows);
    const auto general = [](Helper id) {
        return number(Dialect::Windows, id) < static_cast<i32>(kFirstProgramTypeHelper);
    };
    std::ofstream out = create(include / "windows/bpf_helper_defs.h");
    out << kNotice << "#ifndef CASEMENT_WINDOWS_BPF_HELPER_DEFS_H\n"
        << "#define CASEMENT_WINDOWS_BPF_HELPER_DEFS_H\n\n";
    for (const Helper id : helpers) {
        if (general(id)) declare(out, id, Dialect::Windows);
    }
    out << "#endif\n";

    // A program type's own helpers stand with its hook.
    const struct {
        const char* file;
        std::initializer_list<ProgramType> types;
    } hooks[] = {
        {"ebpf_nethooks_defs.h",
         {ProgramType::Xdp, ProgramType::CgroupSockAddr, ProgramType::SockOps}},
        {"ebpf_ntos_hooks_defs.h", {ProgramType::Process, ProgramType::NetEvent}},
        {"sample_ext_helpers_defs.h", {ProgramType::Sample}},
    };
    for (const auto& hook : hooks) {
        std::ofstream file = create(include / "windows" / hook.file);
        file << kNotice << "#pragma once\n\n";
        for (const Helper id : helpers) {
            if (!general(id) && has_caller(id, hook.types)) declare(file, id, Dialect::Windows);
        }
    }
}

// The enumerators keep eBPF for Windows' names, which are Linux's where both have the thing.
void write_windows_ids(const std::filesystem::path& include) {
    std::ofstream out = create(include / "windows/ebpf_ids.h");
    out << kNotice << "#pragma once\n\ntypedef enum bpf_map_type {\n    BPF_MAP_TYPE_UNSPEC = 0,\n";
#define MAP_TYPE(id, ...)                                                                 \
    if (number(Dialect::Windows, MapType::id) > 0) {                                      \
        out << "    BPF_MAP_TYPE_" << upper_snake(#id) << " = "                           \
            << number(Dialect::Windows, MapType::id) << ", /* " << info(MapType::id).text \
            << " */\n";                                                                   \
    }
#include "spec/map_types.def"
    out << "} ebpf_map_type_t;\n\ntypedef enum bpf_prog_type {\n    BPF_PROG_TYPE_UNSPEC = 0,\n";
    const auto program_name = [](const std::string& id) {
        return id == "NetEvent" ? std::string("NETEVENT") : upper_snake(id);
    };
#define PROGRAM_TYPE(id, ...)                                                                     \
    if (number(Dialect::Windows, ProgramType::id) > 0) {                                          \
        out << "    BPF_PROG_TYPE_" << program_name(#id) << " = "                                 \
            << number(Dialect::Windows, ProgramType::id) << ", /* " << info(ProgramType::id).text \
            << " */\n";                                                                           \
    }
#include "spec/program_types.def"
    out << "} bpf_prog_type_t;\n\ntypedef enum bpf_attach_type {\n    BPF_ATTACH_TYPE_UNSPEC = "
           "0,\n";
    const auto attach_name = [](const std::string& id) {
        if (id == "Bind" || id == "Sample" || id == "Process" || id == "NetEvent") {
            return "BPF_ATTACH_TYPE_" + (id == "NetEvent" ? "NETEVENT" : upper_snake(id));
        }
        return "BPF_" + upper_snake(id);
    };
#define ATTACH_TYPE(id, ...)                                                                   \
    if (number(Dialect::Windows, AttachType::id) > 0) {                                        \
        out << "    " << attach_name(#id) << " = " << number(Dialect::Windows, AttachType::id) \
            << ",\n";                                                                          \
    }
#include "spec/attach_types.def"
    out << "} bpf_attach_type_t;\n\ntypedef enum {\n";
    for (const Helper id : by_number(Dialect::Windows)) {
        const i32 n = number(Dialect::Windows, id);
        if (n >= static_cast<i32>(kFirstProgramTypeHelper)) break;
        out << "    BPF_FUNC_" << info(id).name + 4 << " = " << n << ",\n";
    }
    out << "} ebpf_helper_id_t;\n\n/* Helpers return these as negative numbers. */\n"
        << "typedef enum ebpf_result {\n";
    for (u32 r = 0; r < kResultCount; ++r) out << "    " << result_name(r) << " = " << r << ",\n";
    out << "} ebpf_result_t;\n";
}

std::string callers(u64 mask, Dialect dialect) {
    std::string text;
    for (int t = 0; t < kProgramTypeCount; ++t) {
        const auto type = static_cast<ProgramType>(t);
        if ((mask >> t & 1) == 0 || number(dialect, type) < 0) continue;
        text += text.empty() ? "" : ", ";
        text += info(type).name[static_cast<std::size_t>(dialect)];
    }
    return text;
}

void write_documentation(const std::filesystem::path& path) {
    std::ofstream out = create(path);
    out << "# Helper functions\n\nGenerated from `src/spec/helpers.def`. *ready*: the runtime has "
           "it"
           " today; a program that calls another is refused by name.\n\n"
           "| helper | Linux | eBPF for Windows | ready | what it does | who may call it |\n"
           "|---|---|---|---|---|---|\n";
    for (int i = 1; i < kHelperCount; ++i) {
        const auto id = static_cast<Helper>(i);
        const HelperInfo& helper = info(id);
        const auto column = [&](Dialect dialect) {
            const i32 n = number(dialect, id);
            return n < 0 ? std::string("–") : n == kByName ? "by name" : std::to_string(n);
        };
        bool ready = false;
        std::string who;
        for (const Dialect dialect : {Dialect::Linux, Dialect::Windows}) {
            const HelperProto* proto = prototype(dialect, id);
            if (proto == nullptr) continue;
            ready = ready || proto->flags.implemented;
            const u64 mask = helper.callers[static_cast<std::size_t>(dialect)];
            const std::string names = callers(mask, dialect);
            who += who.empty() ? "" : "; Windows: ";
            who += std::popcount(mask) > 30 ? "any" : names;
        }
        out << "| `" << helper.name << "` | " << column(Dialect::Linux) << " | "
            << column(Dialect::Windows) << " | " << (ready ? "yes" : "") << " | " << helper.text
            << " | " << who << " |\n";
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::cerr << "usage: casement_sdkgen DIRECTORY\n";
        return 2;
    }
    const std::filesystem::path root = argv[1];
    write_linux_helpers(root / "include");
    write_linux_kfuncs(root / "include");
    write_windows_helpers(root / "include");
    write_windows_ids(root / "include");
    write_documentation(root / "helpers.md");
    return 0;
}
