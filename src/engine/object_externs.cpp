// SPDX-License-Identifier: MIT
//
// What an object wants from the system that it is loaded into: kernel functions and variables
// (.ksyms) and configuration (.kconfig). Functions are kept by name, for the verifier to refuse or
// know. Configuration variables become a read-only array, as libbpf makes it; of their values only
// the constants below are known here.
#include <algorithm>

#include "engine/object_internal.hpp"
#include "spec/map_types.hpp"

namespace ebpf::engine::object {
namespace {

constexpr std::string_view kKernelVersion = "LINUX_KERNEL_VERSION";
// Facts about the kernel's own workings that programs ask for: no to both, here.
constexpr std::string_view kFalseConstants[] = {"LINUX_HAS_BPF_COOKIE",
                                                "LINUX_HAS_SYSCALL_WRAPPER"};

constexpr u64 kMaxExternBytes = 1 << 20;

}  // namespace

void Reader::read_externs() {
    if (object_.btf == nullptr) return;
    const btf::View& types = object_.btf->view();

    // Only undefined symbols are externs; the symbol also tells whether it may be missing.
    std::unordered_map<std::string_view, bool> weak;
    for (u32 i = 1; i < symbols_.size(); ++i) {
        const auto symbol = symbols_.at(i);
        if (!symbol || symbol->section != elf::kUndefined) continue;
        const std::string_view name = symbol_name(*symbol);
        if (!name.empty()) weak.emplace(name, symbol->binding == elf::Binding::Weak);
    }
    for (const std::string_view section : {".ksyms", ".kconfig"}) {
        const auto all = datasec(section);
        if (!all) continue;
        for (u32 i = 0; i < all->count; ++i) {
            const auto variable = types.variable(*all, i);
            const auto type =
                variable ? types.type(variable->type) : Result<btf::Type>(btf::Type{});
            const auto name = type ? types.name(*type) : std::string_view{};
            if (!name) continue;
            const auto symbol = weak.find(*name);
            if (symbol == weak.end()) continue;
            using Kind = Extern::Kind;
            const Kind kind = section == ".kconfig"           ? Kind::Kconfig
                              : type->kind == btf::Kind::Func ? Kind::Function
                                                              : Kind::Variable;
            externs_.emplace(*name, Extern{.kind = kind, .weak = symbol->second});
        }
        if (section == ".kconfig") read_kconfig(*all);
    }
}

// Lays the variables out one after the other, each aligned to its size up to 8 bytes.
void Reader::read_kconfig(const btf::Type& section) {
    const btf::View& types = object_.btf->view();
    ir::MapDef map{.name = ".kconfig",
                   .type = spec::MapType::Array,
                   .key_size = sizeof(u32),
                   .max_entries = 1,
                   .flags = spec::kMapReadOnlyProgram,
                   .value_type = section.id,
                   .is_data_section = true,
                   .read_only = true,
                   .frozen = true};
    std::vector<Extern*> placed;
    for (u32 i = 0; i < section.count; ++i) {
        const auto variable = types.variable(section, i);
        const auto type = variable ? types.type(variable->type) : Result<btf::Type>(btf::Type{});
        const auto name = type ? types.name(*type) : std::string_view{};
        const auto known = name ? externs_.find(*name) : externs_.end();
        if (known == externs_.end() || known->second.kind != Extern::Kind::Kconfig) continue;
        Extern& symbol = known->second;
        if (symbol.map != kNone) continue;  // named twice
        const auto size = types.size_of(type->id);
        if (!size || *size == 0 || *size > kMaxExternBytes ||
            map.initial.size() + *size + 8 > kMaxExternBytes) {
            symbol.status = fail(Errc::BadFormat, at_type(type->id), "size of a .kconfig variable");
            continue;
        }
        const u64 align = std::bit_floor(std::min<u64>(*size, 8));
        symbol.offset = static_cast<u32>((map.initial.size() + align - 1) / align * align);
        map.initial.resize(symbol.offset + *size);
        symbol.map = static_cast<u32>(object_.maps.size());
        placed.push_back(&symbol);
        if (*name == kKernelVersion && *size >= sizeof(u32)) {
            store_le(map.initial.data() + symbol.offset, options_.kernel_version);
        } else if (!symbol.weak &&
                   std::ranges::find(kFalseConstants, *name) == std::end(kFalseConstants)) {
            if (options_.unknown_kconfig) {
                map.frozen = false;
            } else {
                symbol.status =
                    fail(Errc::Unsupported, {}, "a kernel configuration variable without a value");
            }
        }
    }
    if (placed.empty()) return;
    map.value_size = static_cast<u32>(map.initial.size());
    if (!add_map(std::move(map), {}, kNone, ~u64{0})) {
        for (Extern* symbol : placed) symbol->status = fail(Errc::TooLarge, {}, "maps");
    }
}

}  // namespace ebpf::engine::object
