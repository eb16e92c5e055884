// SPDX-License-Identifier: MIT
// Compilers leave the size of a data section's type and the offsets of its global variables to the
// loader, since only the linker's symbols tell them.
#include <algorithm>
#include <cstring>

#include "engine/object_internal.hpp"

namespace ebpf::engine::object {
namespace {

// What stands in the bytes that a type was read from.
constexpr u64 kSizeBeforeData = 4;
constexpr u64 kVariableBytes = 12;  // type, offset, size
constexpr u64 kOffsetInVariable = 4;

using Offsets = std::map<std::string_view, u64>;

void place(const btf::View& types, const btf::Type& section, u64 size, const Offsets& symbols,
           std::byte* data) {
    store_le(data - kSizeBeforeData, static_cast<u32>(size));
    for (u32 i = 0; i < section.count; ++i) {
        const auto variable = types.variable(section, i);
        const auto type = variable ? types.type(variable->type) : Result<btf::Type>(btf::Type{});
        // The offset of a static variable stands there.
        const auto linkage = type ? types.linkage(*type) : Result<btf::Linkage>(btf::Linkage{});
        if (!linkage || *linkage == btf::Linkage::Static) continue;
        const auto name = types.name(*type);
        const auto symbol = name ? symbols.find(*name) : symbols.end();
        if (symbol == symbols.end()) continue;
        store_le(data + i * kVariableBytes + kOffsetInVariable, static_cast<u32>(symbol->second));
    }
    if (section.count == 0) return;  // memcpy wants pointers, also for nothing
    // As Linux wants them, by offset.
    struct Variable {
        std::byte bytes[kVariableBytes];
    };
    std::vector<Variable> sorted(section.count);
    std::memcpy(sorted.data(), data, sorted.size() * kVariableBytes);
    std::ranges::sort(sorted, {}, [](const Variable& variable) {
        return load_le<u32>(variable.bytes + kOffsetInVariable);
    });
    std::memcpy(data, sorted.data(), sorted.size() * kVariableBytes);
}

}  // namespace

// The object's types, those of data sections with size and places. What is damaged stays as it is:
// reading it fails later.
std::vector<std::byte> Reader::placed_types() const {
    std::vector<std::byte> bytes(btf_->bytes.begin(), btf_->bytes.end());
    if (data_.empty()) return bytes;
    auto types = btf::View::open(bytes);
    const auto count = types ? types->count_types() : Result<u32>(0);
    std::vector<u32> index(count.value_or(0));
    if (index.empty() || !types->index(index)) return bytes;

    std::map<std::string_view, const elf::Section*> sections;
    std::map<u32, Offsets> symbols;  // by section
    for (const elf::Section& section : data_) {
        sections.emplace(section.name, &section);
        symbols[section.index];
    }
    for (u32 i = 1; i < symbols_.size() && !symbols.empty(); ++i) {
        const auto symbol = symbols_.at(i);
        const auto its = symbol ? symbols.find(symbol->section) : symbols.end();
        if (its != symbols.end() && symbol->type == elf::SymbolType::Object)
            its->second.emplace(symbol_name(*symbol), symbol->value);
    }
    for (u32 id = 1; id < types->type_count(); ++id) {
        const auto type = types->type(id);
        if (!type || type->kind != btf::Kind::Datasec || type->size() != 0) continue;
        const auto name = types->name(*type);
        const auto section = name ? sections.find(*name) : sections.end();
        if (section == sections.end()) continue;
        place(*types, *type, section->second->size, symbols[section->second->index],
              bytes.data() + (type->data.data() - bytes.data()));
    }
    return bytes;
}

}  // namespace ebpf::engine::object
