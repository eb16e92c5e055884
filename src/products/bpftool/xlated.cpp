// SPDX-License-Identifier: MIT
// A program's byte code, below its source lines.
#include <fmt/format.h>

#include <algorithm>

#include "isa/codec.hpp"
#include "isa/text/text.hpp"
#include "products/bpftool/dump.hpp"
#include "spec/helpers.hpp"
#include "spec/program_types.hpp"

namespace bpftool {
namespace {

using ebpf::isa::CallKind;
using ebpf::isa::Form;
using ebpf::isa::Insn;

constexpr size_t kSlot = sizeof(ebpf::isa::Slot);

std::string helper_name(const bpf_prog_info& info, __u32 number, bool kfunc) {
    using namespace ebpf::spec;
    const auto type = program_type_from_number(Dialect::Linux, info.type);
    const ProgramTypeInfo* const known = type ? program_info(Dialect::Linux, *type) : nullptr;
    const HelperProto* const helper = !known  ? nullptr
                                      : kfunc ? find_kfunc(*known, number)
                                              : find_helper(*known, number);
    return helper ? helper->name : "unknown";
}

std::string call_text(const ProgramInside& program, __u32 slot, const Insn& insn, bool named) {
    std::string plain = ebpf::isa::text::print(insn, ebpf::isa::text::Dialect::Linux);
    const auto number = static_cast<__u32>(insn.imm);
    if (insn.call() != CallKind::Local) {
        const bool kfunc = insn.call() == CallKind::Kfunc;
        return fmt::format("call {}#{}", helper_name(program.info, number, kfunc), number);
    }
    if (!named) return plain;
    const std::string name = program.function_at(slot + 1 + number);
    return name.empty() ? plain : plain + "#" + name;
}

// The fields of an instruction as bytes; a wide one's `imm` is what follows its offset.
Json opcodes_json(std::span<const std::byte> bytes) {
    const auto hexadecimal = [](unsigned value, int digits) {
        return fmt::format("0x{:0{}x}", value, digits);
    };
    const auto registers = static_cast<unsigned>(bytes[1]);
    return {{"code", hexadecimal(static_cast<unsigned>(bytes[0]), 2)},
            {"src_reg", hexadecimal(registers >> 4, 1)},
            {"dst_reg", hexadecimal(registers & 15, 1)},
            {"off", byte_list(bytes.subspan(2, 2))},
            {"imm", byte_list(bytes.subspan(4))}};
}

std::string opcodes_text(std::span<const std::byte> bytes) {
    std::string text = "      ";
    for (const std::byte b : bytes) text += fmt::format(" {:02x}", static_cast<unsigned>(b));
    return text + "\n";
}

// The line that begins at that slot, or null.
const bpf_line_info* line_at(const ProgramInside& program, __u32 slot) {
    const auto line = std::ranges::lower_bound(program.lines, slot, {}, &bpf_line_info::insn_off);
    return line != program.lines.end() && line->insn_off == slot ? &*line : nullptr;
}

}  // namespace

Json byte_list(std::span<const std::byte> bytes) {
    const auto* const begin = reinterpret_cast<const unsigned char*>(bytes.data());
    return hex_json(Bytes(begin, begin + bytes.size()));
}

void for_each_instruction(const ProgramInside& program, const EachInstruction& each) {
    const std::span<const std::byte> slots = program.xlated;
    for (__u32 slot = 0; slot < slots.size() / kSlot;) {
        const auto insn = ebpf::isa::decode(slots, slot);
        if (!insn) fail_error("instruction", insn.error());
        const auto count = static_cast<size_t>(insn->slots());
        each(slot, *insn, slots.subspan(slot * kSlot, count * kSlot));
        slot += static_cast<__u32>(count);
    }
}

std::string instruction_text(const ProgramInside& program, __u32 slot, const Insn& insn,
                             std::span<const std::byte> bytes, bool named) {
    return fmt::format("({:02x}) {}", static_cast<unsigned>(bytes[0]),
                       insn.form == Form::Call
                           ? call_text(program, slot, insn, named)
                           : ebpf::isa::text::print(insn, ebpf::isa::text::Dialect::Linux));
}

Json instructions_json(const ProgramInside& program, const DumpWords& asked) {
    Json all = Json::array();
    for_each_instruction(program, [&](__u32 slot, const Insn& insn, auto bytes) {
        Json json;
        if (const std::string prototype = program.prototype_at(slot); !prototype.empty())
            json["proto"] = prototype;
        if (const bpf_line_info* const line = line_at(program, slot))
            put_source(program, *line, asked.linum, json);
        json["disasm"] = instruction_text(program, slot, insn, bytes, true);
        if (asked.opcodes) json["opcodes"] = opcodes_json(bytes);
        all.push_back(std::move(json));
    });
    return all;
}

std::string instructions_text(const ProgramInside& program, const DumpWords& asked) {
    std::string text;
    for_each_instruction(program, [&](__u32 slot, const Insn& insn, auto bytes) {
        if (const std::string prototype = program.prototype_at(slot); !prototype.empty())
            text += prototype + ":\n";
        if (const bpf_line_info* const line = line_at(program, slot))
            text += source_text(program, *line, asked.linum);
        text += fmt::format("{:4}: {}\n", slot, instruction_text(program, slot, insn, bytes, true));
        if (asked.opcodes) text += opcodes_text(bytes);
    });
    return text;
}

}  // namespace bpftool
