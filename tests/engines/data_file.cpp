// SPDX-License-Identifier: MIT
#include "data_file.hpp"

#include <cstring>
#include <map>
#include <sstream>

#include "isa/text/text.hpp"

namespace ebpf::engines {
namespace {

std::string without_comment(std::string line) {
    line.resize(std::min(line.find('#'), line.size()));
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t'))
        line.pop_back();
    return line;
}

// The section that a line with `--` begins; the order in which names are looked for is the
// format's.
std::string section_of(const std::string& line) {
    for (const char* name : {"asm", "result", "mem", "raw", "no register offset", " c", "error"}) {
        if (line.find(name) != std::string::npos) return name;
    }
    return "unknown";
}

std::vector<std::byte> words(const std::string& text) {
    std::vector<std::byte> slots;
    std::istringstream in(text);
    for (std::string word; in >> word;) {
        const u64 value = std::stoull(word, nullptr, 0);
        const auto* bytes = reinterpret_cast<const std::byte*>(&value);
        slots.insert(slots.end(), bytes, bytes + sizeof value);
    }
    return slots;
}

std::vector<std::byte> hex_bytes(const std::string& text) {
    std::vector<std::byte> bytes;
    std::istringstream in(text);
    for (unsigned byte; in >> std::hex >> byte;) bytes.push_back(static_cast<std::byte>(byte));
    return bytes;
}

}  // namespace

Result<DataFile> read_data_file(const std::string& text) {
    std::map<std::string, std::string> sections;
    std::string current = "head";
    std::istringstream in(text);
    for (std::string raw; std::getline(in, raw);) {
        const std::string line = without_comment(raw);
        if (line.find("--") != std::string::npos) {
            current = section_of(line);
            if (current == "unknown") return fail(Errc::Unsupported, {}, "section");
            sections[current];
        } else {
            sections[current] += line + "\n";
        }
    }
    DataFile file;
    if (sections.contains("raw")) {
        file.program = words(sections["raw"]);
    } else {
        TRY_ASSIGN(file.program,
                   isa::text::assemble(sections["asm"], isa::text::Dialect::Conformance));
    }
    file.has_mem = sections.contains("mem");
    if (file.has_mem) file.memory = hex_bytes(sections["mem"]);
    std::istringstream result(sections["result"]);
    std::string number;
    for (std::string word; result >> word;) number = word;
    if (!number.empty())
        file.result = std::stoull(number, nullptr, number.starts_with("0x") ? 16 : 10);
    return file;
}

}  // namespace ebpf::engines
