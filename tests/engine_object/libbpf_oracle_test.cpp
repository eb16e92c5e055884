// SPDX-License-Identifier: MIT
//
// An oracle for CO-RE against a target: libbpf itself, as installed, gets the same objects and the
// same target. After its bpf_object__load(), whether Linux takes the programs or not, the
// instructions are what it made of them; ours must be equal but for what a loader writes (maps,
// external symbols). Needs root, since libbpf relocates nothing where it cannot load.
//
// CASEMENT_OBJECTS=FOLDER tries the objects in it against the running kernel too.
#include <bpf/libbpf.h>
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

#include "engine/types_file.hpp"
#include "isa/codec.hpp"
#include "objects.hpp"

namespace ebpf::engine {
namespace {

namespace fs = std::filesystem;
constexpr char kKernelTypes[] = "/sys/kernel/btf/vmlinux";

// Programs' slots by section and name; a file that libbpf refuses has none.
using Slots = std::map<std::string, std::vector<u64>>;

// The installed library's function of a name that our own header declares.
#define LIBBPF(name) reinterpret_cast<decltype(&::name)>(dlsym(library_, #name))

class Libbpf {
  public:
    Libbpf() : library_(dlopen("libbpf.so.1", RTLD_NOW | RTLD_LOCAL)) {
        if (library_ == nullptr) return;
        LIBBPF(libbpf_set_print)(&keep);
    }
    static const std::string& said() { return printed(); }
    bool there() const { return library_ != nullptr; }

    Slots read(const std::string& object, const std::string& target) const {
        LIBBPF_OPTS(bpf_object_open_opts, opts);
        opts.btf_custom_path = target.c_str();
        bpf_object* const opened = LIBBPF(bpf_object__open_file)(object.c_str(), &opts);
        if (opened == nullptr) return {};
        // Nothing is to be pinned, and sizes that an application sets are any.
        bpf_map* map = nullptr;
        while ((map = LIBBPF(bpf_object__next_map)(opened, map)) != nullptr) {
            LIBBPF(bpf_map__set_pin_path)(map, nullptr);
            if (LIBBPF(bpf_map__type)(map) == BPF_MAP_TYPE_RINGBUF) {
                LIBBPF(bpf_map__set_max_entries)(map, 4096);
            } else if (LIBBPF(bpf_map__max_entries)(map) == 0) {
                LIBBPF(bpf_map__set_max_entries)(map, 1);
            }
        }
        printed().clear();
        const int status = LIBBPF(bpf_object__load)(opened);
        // What Linux refuses was relocated; what libbpf refuses before that is as it was.
        Slots out;
        if (status == 0 || printed().find("failed to load: ") != std::string::npos)
            out = slots(opened);
        LIBBPF(bpf_object__close)(opened);
        return out;
    }

  private:
    static std::string& printed() {
        static std::string text;
        return text;
    }
    static int keep(libbpf_print_level, const char* format, va_list arguments) {
        char line[256];
        const int length = std::vsnprintf(line, sizeof line, format, arguments);
        printed() += line;
        return length;
    }
    Slots slots(bpf_object* object) const {
        Slots out;
        bpf_program* program = nullptr;
        while ((program = LIBBPF(bpf_object__next_program)(object, program)) != nullptr) {
            const std::string name = std::string(LIBBPF(bpf_program__section_name)(program)) + " " +
                                     LIBBPF(bpf_program__name)(program);
            const auto count = LIBBPF(bpf_program__insn_cnt)(program);
            const auto* const insns =
                reinterpret_cast<const u64*>(LIBBPF(bpf_program__insns)(program));
            out[name].assign(insns, insns + count);
        }
        return out;
    }

    void* library_;
};

// What a loader writes is not compared: constants that are addresses, and whom a call calls where
// it is no helper. Functions may stand in another order, so only the entry's own code counts.
std::vector<u64> comparable(std::vector<u64> slots, std::size_t entry_slots) {
    constexpr u64 kWide = 0x18, kCall = 0x85, kFields = 0xffff'ffff'0000'0000;
    slots.resize(std::min(slots.size(), entry_slots));
    for (std::size_t i = 0; i < slots.size(); ++i) {
        const u64 opcode = slots[i] & 0xff, source = slots[i] >> 12 & 0xf;
        if (opcode == kCall && source != 0) slots[i] &= ~kFields & 0xff;
        if (opcode != kWide) continue;
        if (source != 0) {
            slots[i] &= ~kFields & 0xfff;
            if (i + 1 < slots.size()) slots[i + 1] = 0;
        }
        ++i;
    }
    return slots;
}

std::vector<u64> own_slots(const ir::Program& program) {
    const auto bytes = ir::encode_program(program);
    std::vector<u64> out(bytes ? bytes->size() / sizeof(u64) : 0);
    if (bytes) std::memcpy(out.data(), bytes->data(), bytes->size());
    return out;
}

class LibbpfOracle : public testing::Test {
  protected:
    void SetUp() override {
        if (geteuid() != 0) GTEST_SKIP() << "not root";
        if (!libbpf_.there()) GTEST_SKIP() << "no libbpf.so.1";
    }

    // Compares all programs, unless libbpf refuses the object (a map that Linux does not take,
    // say).
    void compare(const fs::path& object_path, const std::string& target_path) {
        SCOPED_TRACE(object_path.string());
        const auto target = read_types(read_file(target_path));
        ASSERT_TRUE(target);
        ReadOptions options{.name = object_path.filename(), .dialect = spec::Dialect::Linux};
        options.default_type = spec::ProgramType::Unspec;
        options.unknown_kconfig = true;
        options.target = target->get();
        const auto object = read_object(read_file(object_path), options);
        if (!object || !object->has_core) return;
        const Slots theirs = libbpf_.read(object_path, target_path);
        if (theirs.empty()) {
            ++refused_;
            if (std::getenv("CASEMENT_VERBOSE") != nullptr)
                std::printf("%s: %s\n", object_path.c_str(), libbpf_.said().c_str());
            return;
        }
        ++objects_;
        for (const ObjectProgram& program : object->programs) {
            const auto found = theirs.find(program.section + " " + program.name);
            if (found == theirs.end()) continue;
            if (!program.program) {
                ADD_FAILURE() << program.name << ": " << program.message;
                continue;
            }
            const auto& entry = program.program->subprograms.at(0);
            const std::size_t size = program.program->slot_of.at(entry.end);
            EXPECT_EQ(comparable(own_slots(*program.program), size),
                      comparable(found->second, size))
                << program.section << " " << program.name;
            ++programs_;
            poisoned_ += program.program->missing.size();
        }
    }

    Libbpf libbpf_;
    void print() const {
        std::printf(
            "%zu objects with %zu programs and %zu poisoned instructions; libbpf refused %zu "
            "others\n",
            objects_, programs_, poisoned_, refused_);
    }

    std::size_t objects_ = 0, programs_ = 0, poisoned_ = 0, refused_ = 0;
};

TEST_F(LibbpfOracle, ProgramsForATargetOfOurs) {
    for (const std::string& compiler : compilers()) {
        const fs::path folder = fs::path(CASEMENT_TEST_OBJECTS) / compiler;
        compare(folder / "core.o", folder / "core_target.o");
        compare(folder / "core_ambiguous.o", folder / "core.o");
        // Ambiguous to libbpf too: two twins, and of core.o's own types two that are gadgets.
        EXPECT_TRUE(libbpf_.read(folder / "core_ambiguous.o", folder / "core_target.o").empty());
        EXPECT_TRUE(libbpf_.read(folder / "core.o", folder / "core.o").empty());
    }
    EXPECT_TRUE(compilers().empty() || poisoned_ > 0);
    print();
}

TEST_F(LibbpfOracle, RealProgramsForTheRunningKernel) {
    if (!fs::exists(kKernelTypes)) GTEST_SKIP() << "no " << kKernelTypes;
    for (const std::string& compiler : compilers()) {
        const std::size_t before = programs_;
        compare(fs::path(CASEMENT_TEST_OBJECTS) / compiler / "core_kernel.o", kKernelTypes);
        EXPECT_EQ(programs_, before + 4);
    }
    std::vector<fs::path> folders{fs::path(CASEMENT_SHARED_DIR) / "corpus"};
    if (const char* more = std::getenv("CASEMENT_OBJECTS")) folders.emplace_back(more);
    for (const fs::path& folder : folders) {
        if (!fs::exists(folder)) continue;
        for (const auto& entry : fs::recursive_directory_iterator(folder)) {
            if (entry.is_regular_file()) compare(entry.path(), kKernelTypes);
        }
    }
    print();
}

}  // namespace
}  // namespace ebpf::engine
