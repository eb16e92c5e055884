// SPDX-License-Identifier: MIT
#include <stdexcept>

#include "elf/elf.hpp"
#include "plugin.hpp"

namespace ebpf::plugin {
namespace {

int digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

}  // namespace

Options parse_arguments(int argc, char** argv) {
    Options options;
    for (int i = 1; i < argc; ++i) {
        const std::string argument = argv[i];
        if (argument.empty()) continue;
        if (argument == "--elf") {
            options.elf = true;
        } else if (argument == "--jit") {
            options.engine = EngineChoice::Jit;
        } else if (argument == "--interpret") {
            options.engine = EngineChoice::Interpreter;
        } else if (argument == "--native") {
            options.engine = EngineChoice::Native;
        } else if (argument == "--level") {
            const std::string level = ++i == argc ? "" : argv[i];
            if (level != "default" && level != "optimise")
                throw std::invalid_argument("--level needs default or optimise");
            options.level = level == "optimise" ? jit::Level::Optimise : jit::Level::Default;
        } else if (argument == "--program") {
            if (++i == argc) throw std::invalid_argument("--program needs the program in hex");
            options.program = argv[i];
        } else if (i == 1 && !argument.starts_with("--")) {
            options.memory = argument;
        } else {
            throw std::invalid_argument("unknown argument " + argument);
        }
    }
    return options;
}

std::vector<std::byte> parse_hex(const std::string& text) {
    std::vector<std::byte> bytes;
    for (std::size_t i = 0; i < text.size();) {
        if (is_blank(text[i])) {
            ++i;
            continue;
        }
        const int high = digit(text[i]);
        const int low = i + 1 < text.size() ? digit(text[i + 1]) : -1;
        if (high < 0 || low < 0)
            throw std::invalid_argument("not a byte in hex: " + text.substr(i, 2));
        bytes.push_back(static_cast<std::byte>(high * 16 + low));
        i += 2;
    }
    return bytes;
}

Result<std::vector<std::byte>> program_of_object(Bytes object) {
    TRY_ASSIGN(const elf::File file, elf::File::open(object));
    elf::Section text;
    for (u32 i = 0; i < file.section_count(); ++i) {
        TRY_ASSIGN(const elf::Section section, file.section(i));
        if (section.name == ".text") text = section;
    }
    if (text.bytes.empty()) return fail(Errc::UnknownSection, {}, ".text");
    for (u32 i = 0; i < file.section_count(); ++i) {
        TRY_ASSIGN(const elf::Section section, file.section(i));
        const bool is_table =
            section.type == elf::SectionType::Rel || section.type == elf::SectionType::Rela;
        if (is_table && section.info == text.index && section.size != 0) {
            return fail(Errc::Unsupported, at_section(section.index), "relocations");
        }
    }
    TRY_ASSIGN(const elf::SymbolTable symbols, file.symbols());
    for (u32 i = 0; i < symbols.size(); ++i) {
        TRY_ASSIGN(const elf::Symbol symbol, symbols.at(i));
        if (symbol.section != text.index || symbols.name(symbol).value_or("") != "main") continue;
        TRY_ASSIGN(const Bytes bytes,
                   slice(text.bytes, symbol.value, text.bytes.size() - symbol.value, "main"));
        return std::vector<std::byte>(bytes.begin(), bytes.end());
    }
    return fail(Errc::UnresolvedSymbol, {}, "main");
}

}  // namespace ebpf::plugin
