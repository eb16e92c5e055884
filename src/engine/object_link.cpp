// SPDX-License-Identifier: MIT
//
// Linking one program: its function, then every function that is called or whose address is taken,
// in the order in which they are met, one after the other. References between functions are put
// down as they are met and become displacements when all places are known; references to maps
// become indices into the object's table, of which each program gets a copy.
#include <algorithm>
#include <unordered_set>

#include "engine/object_internal.hpp"
#include "spec/helpers.hpp"

namespace ebpf::engine::object {

// A program in the making.
struct Reader::Linking {
    ir::Program program;
    std::vector<u32> functions;                   // in order
    std::vector<u32> begin;                       // first instruction of each
    std::unordered_map<u32, u32> position;        // function -> position in `functions`
    std::vector<std::pair<u32, u32>> references;  // instruction, position of the function it names
    std::unordered_set<std::string_view> kfuncs;  // names among program.kfuncs
    std::vector<u64> offsets;                     // of each instruction, in its section
};

namespace {

bool is_call(const isa::Insn& insn) {
    return insn.form == isa::Form::Call;
}

bool is_local_call(const isa::Insn& insn) {
    return is_call(insn) && insn.call() == isa::CallKind::Local;
}

bool is_wide(const isa::Insn& insn, isa::WideKind kind) {
    return insn.form == isa::Form::Wide && insn.wide() == kind;
}

i64 low_half(const isa::Insn& insn) {
    return static_cast<i32>(static_cast<u32>(insn.imm));
}

// A place in the symbol's section. Nonsense wraps around, and is then outside of everything.
i64 place_of(const elf::Symbol& symbol, i64 addend) {
    return static_cast<i64>(symbol.value + static_cast<u64>(addend));
}

// Where a map's definition lies. GNU's assembler puts the symbol's value into the instruction, too;
// only the section's own symbol leaves the place to that.
u64 place_of_map(const elf::Symbol& symbol, i64 offset) {
    return symbol.type == elf::SymbolType::Object ? symbol.value : static_cast<u64>(offset);
}

// Decoding counts slots from the function's start; messages count bytes in the section.
Error in_section(Error error, const Function& function) {
    if (error.where.kind != Where::Kind::Instruction) return error;
    error.where = at_offset(function.begin + error.where.value * kSlotBytes, function.section);
    return error;
}

}  // namespace

// The function that begins at a place in a section, or kNone.
u32 Reader::function_at(u32 section, i64 offset) const {
    const auto key = std::pair(section, static_cast<u64>(offset));
    const auto found = std::ranges::lower_bound(
        functions_, key, {}, [](const Function& f) { return std::pair(f.section, f.begin); });
    if (offset < 0 || found == functions_.end() || found->section != section ||
        found->begin != key.second) {
        return kNone;
    }
    return static_cast<u32>(found - functions_.begin());
}

// Notes that an instruction names the function at a place.
Status Reader::refer(Linking& linking, u32 insn, u32 section, i64 offset, Where where) {
    const u32 function = function_at(section, offset);
    if (function == kNone)
        return fail(Errc::BadJumpTarget, where, "no function begins at the target");
    called_[function] = true;
    const auto [entry, is_new] =
        linking.position.emplace(function, static_cast<u32>(linking.functions.size()));
    if (is_new) linking.functions.push_back(function);
    linking.references.emplace_back(insn, entry->second);
    return {};
}

Status Reader::relocate_extern(Linking& linking, u32 index, const elf::Symbol& symbol,
                               Where where) {
    isa::Insn& insn = linking.program.insns[index];
    const std::string_view name = symbol_name(symbol);
    const auto found = externs_.find(name);
    if (found == externs_.end()) {
        return fail(Errc::UnresolvedSymbol, at_symbol(symbol.index), "undefined symbol");
    }
    const Extern& known = found->second;
    if (!known.status) {
        Error error = known.status.error();
        error.where = at_symbol(symbol.index);
        return std::unexpected(error);
    }
    switch (known.kind) {
        case Extern::Kind::Kconfig:
            if (insn.form != isa::Form::Wide) break;
            insn.kind = static_cast<u8>(isa::WideKind::MapIndexValue);
            insn.imm = static_cast<i64>(u64{known.offset} << 32 | known.map);
            return {};
        case Extern::Kind::Function: {
            if (insn.form == isa::Form::Wide && known.weak) {
                // "Is it there?": what is compared with null is no address, and never used as one.
                insn.imm = spec::has_kfunc(object_.dialect, name) ? 1 : 0;
                return {};
            }
            if (!is_call(insn)) break;
            if (linking.kfuncs.insert(name).second)
                linking.program.kfuncs.push_back(copy_name(name));
            insn.kind = static_cast<u8>(isa::CallKind::Kfunc);
            insn.off = 0;
            insn.imm = spec::kfunc_id(name);
            return {};
        }
        case Extern::Kind::Variable:
            if (insn.form != isa::Form::Wide) break;
            if (!known.weak) {
                return fail(Errc::Unsupported, at_symbol(symbol.index), "a variable of the kernel");
            }
            insn.imm = 0;
            return {};
    }
    return fail(Errc::BadFormat, where, "an instruction that cannot refer to an external symbol");
}

Status Reader::relocate_call(Linking& linking, u32 index, const elf::Relocation& relocation,
                             const elf::Symbol& symbol, Where where) {
    isa::Insn& insn = linking.program.insns[index];
    if (!is_local_call(insn)) return fail(Errc::BadFormat, where, "relocation of no call");
    if (!symbol.is_defined()) return relocate_extern(linking, index, symbol, where);
    if (relocation.has_addend && relocation.addend != 0) {
        return fail(Errc::Unsupported, where, "addend of a call relocation");
    }
    // The displacement in place counts from the symbol, as if the call stood before it: -1 is the
    // symbol itself, and a section symbol's function stands imm + 1 slots into the section.
    const i64 slots = insn.imm + 1;
    const i64 offset = place_of(symbol, slots * i64{kSlotBytes});
    return refer(linking, index, symbol.section, offset, where);
}

Status Reader::relocate_wide(Linking& linking, u32 index, const elf::Relocation& relocation,
                             const elf::Symbol& symbol, Where where) {
    isa::Insn& insn = linking.program.insns[index];
    if (insn.form != isa::Form::Wide) {
        return fail(Errc::BadFormat, where, "relocation of an instruction without an address");
    }
    if (!symbol.is_defined()) return relocate_extern(linking, index, symbol, where);
    const i64 addend = relocation.has_addend ? relocation.addend : low_half(insn);
    const i64 offset = place_of(symbol, addend);

    if (code_.contains(symbol.section)) {
        insn.kind = static_cast<u8>(isa::WideKind::Function);
        insn.imm = 0;
        return refer(linking, index, symbol.section, offset, where);
    }
    u32 map = kNone;
    u64 value_offset = 0;
    insn.kind = static_cast<u8>(isa::WideKind::MapIndex);
    if (const auto data = data_map_.find(symbol.section); data != data_map_.end()) {
        map = data->second;
        // One past the end may be named (an end symbol); the verifier refuses to read there.
        if (offset < 0 || offset > i64{object_.maps[map].value_size}) {
            return fail(Errc::OutOfBounds, where, "place outside its data section",
                        static_cast<u64>(offset));
        }
        value_offset = static_cast<u64>(offset);
        insn.kind = static_cast<u8>(isa::WideKind::MapIndexValue);
    } else if (const auto at = map_at_.find({symbol.section, place_of_map(symbol, offset)});
               at != map_at_.end()) {
        map = at->second;
    } else {
        return fail(Errc::UnresolvedSymbol, at_symbol(symbol.index),
                    "neither map, data nor function");
    }
    TRY(object_.map_status[map]);
    insn.imm = static_cast<i64>(value_offset << 32 | map);
    return {};
}

Status Reader::relocate(Linking& linking, u32 insn, const elf::Relocation& relocation, u64 place) {
    const Where where = at_offset(relocation.offset, static_cast<u32>(place));
    if (relocation.type == elf::RelocationType::None) return {};
    TRY_ASSIGN(const elf::Symbol symbol, symbols_.at(relocation.symbol));
    // Old compilers use one type for calls and addresses; the instruction tells.
    if (relocation.type == elf::RelocationType::Call32) {
        return relocate_call(linking, insn, relocation, symbol, where);
    }
    if (relocation.type == elf::RelocationType::Wide64) {
        return relocate_wide(linking, insn, relocation, symbol, where);
    }
    return fail(Errc::Unsupported, where, "relocation type in code",
                static_cast<u32>(relocation.type));
}

// Instructions that no relocation speaks about: calls within a section that the compiler resolved
// itself, and what only a loader may write.
Status Reader::check_unrelocated(Linking& linking, u32 index, const Function& function, u64 place) {
    const isa::Insn& insn = linking.program.insns[index];
    const Where where = at_offset(place, function.section);
    if (is_local_call(insn) || is_wide(insn, isa::WideKind::Function)) {
        const i64 target = static_cast<i64>(place) + (1 + insn.imm) * i64{kSlotBytes};
        const u32 callee = function_at(function.section, target);
        // A function without a symbol, inside this one (hand-written code): the displacement stays
        // as it is, since both move together.
        if (callee == kNone && target >= static_cast<i64>(function.begin) &&
            target < static_cast<i64>(function.end)) {
            return {};
        }
        return refer(linking, index, function.section, target, where);
    }
    if (is_call(insn) && insn.call() == isa::CallKind::Kfunc) {
        return fail(Errc::Unsupported, where, "call of a kernel function by number",
                    static_cast<u64>(insn.imm));
    }
    if (insn.form == isa::Form::Wide && !is_wide(insn, isa::WideKind::Imm64)) {
        return fail(Errc::Unsupported, where, "a descriptor or an index in an object file",
                    static_cast<u64>(low_half(insn)));
    }
    return {};
}

// Whether the instruction has its answer; false: it is to be poisoned.
Result<bool> Reader::answer_core(isa::Insn& insn, const btf::CoreRecord& record) {
    const auto kind = static_cast<btf::CoreKind>(record.kind);
    if (core_) {
        const btf::CoreAnswer& answer = core_->resolve(record);
        if (answer.error.code != Errc::Ok) return std::unexpected(answer.error);
        return btf::core_patch(insn, kind, answer);
    }
    TRY_ASSIGN(const u64 value, btf::core_value(object_.btf->view(), record));
    return btf::core_patch(insn, kind, {.value = value});
}

// Answers the relocation of the last instruction, or poisons it, as libbpf does, slot by slot.
Status Reader::apply_core(Linking& linking, const btf::CoreRecord& record, Where where) {
    std::vector<isa::Insn>& insns = linking.program.insns;
    const auto patched = answer_core(insns.back(), record);
    if (!patched) {
        if (core_) core_detail_ = core_->explain(record);
        Error error = patched.error();
        if (error.where.kind == Where::Kind::None) error.where = where;
        return std::unexpected(error);
    }
    if (*patched) return {};
    const isa::Insn poison{.form = isa::Form::Call,
                           .kind = static_cast<u8>(isa::CallKind::Helper),
                           .imm = ir::kPoisonedCall};
    const u64 offset = linking.offsets.back();
    const u32 at = static_cast<u32>(insns.size() - 1);
    const int slots = insns.back().slots();
    insns.back() = poison;
    for (int slot = 1; slot < slots; ++slot) {
        insns.push_back(poison);
        linking.offsets.push_back(offset + static_cast<u64>(slot) * kSlotBytes);
    }
    std::string what = core_->explain(record);
    missing_bytes_ += what.size();
    if (missing_bytes_ <= kMaxMissingBytes)
        linking.program.missing.push_back({.insn = at, .what = std::move(what)});
    return {};
}

// The instructions themselves, with what CO-RE writes into them.
Status Reader::decode_function(Linking& linking, const Function& function) {
    const CodeSection& code = code_[function.section];
    const auto insns =
        ir::decode_insns(code.section.bytes.subspan(function.begin, function.end - function.begin));
    if (!insns) return std::unexpected(in_section(insns.error(), function));
    if (insns->empty())
        return fail(Errc::BadFormat, at_section(function.section), "empty function");
    const auto& records = code.core;
    auto record = std::ranges::lower_bound(records, function.begin, {}, &btf::CoreRecord::offset);
    u64 place = function.begin;
    for (const isa::Insn& insn : *insns) {
        const Where where = at_offset(place, function.section);
        linking.offsets.push_back(place);
        linking.program.insns.push_back(insn);
        if (record != records.end() && record->offset == place) {
            TRY(apply_core(linking, *record, where));
            ++record;
            if (record != records.end() && record->offset == place)
                return fail(Errc::BadFormat, where, "two CO-RE relocations of one instruction");
        }
        place += static_cast<u64>(insn.slots()) * kSlotBytes;
        if (record != records.end() && record->offset < place && record->offset < function.end)
            return fail(Errc::BadFormat, at_offset(record->offset, function.section),
                        "CO-RE relocation inside an instruction");
    }
    return {};
}

// Adds a function's instructions with their references.
Status Reader::append(Linking& linking, u32 index) {
    const Function& function = functions_[index];
    TRY(function.status);
    const CodeSection& code = code_[function.section];
    linked_insns_ += (function.end - function.begin) / kSlotBytes;
    if (linked_insns_ > kMaxLinkedInsns) {
        return fail(Errc::TooLarge, at_section(function.section), "instructions of all programs",
                    linked_insns_);
    }
    const u32 first = static_cast<u32>(linking.program.insns.size());
    linking.begin.push_back(first);
    linking.program.subprograms.push_back({.begin = first,
                                           .name = copy_name(function.name),
                                           .is_global = function.is_global,
                                           .btf_type = function.btf_type});
    TRY(decode_function(linking, function));

    auto relocation =
        std::ranges::lower_bound(code.relocations, function.begin, {}, &elf::Relocation::offset);
    for (u32 i = first; i < linking.program.insns.size(); ++i) {
        const u64 at = linking.offsets[i];
        const u64 end = at + static_cast<u64>(linking.program.insns[i].slots()) * kSlotBytes;
        bool relocated = false;
        for (; relocation != code.relocations.end() && relocation->offset < end; ++relocation) {
            if (relocation->offset != at || relocated) {
                return fail(Errc::BadFormat, at_offset(relocation->offset, function.section),
                            "relocation inside an instruction, or a second one for it");
            }
            TRY(relocate(linking, i, *relocation, function.section));
            relocated = relocation->type != elf::RelocationType::None;
        }
        if (!relocated) TRY(check_unrelocated(linking, i, function, at));
    }
    return {};
}

Status Reader::copy_maps(ir::Program& program) {
    if (map_bytes_ == 0) {
        for (const ir::MapDef& map : object_.maps) {
            map_bytes_ += sizeof map + map.name.size() + map.initial.size();
        }
    }
    copied_map_bytes_ += map_bytes_;
    if (copied_map_bytes_ > kMaxCopiedMapBytes) {
        return fail(Errc::TooLarge, {}, "maps of all programs", copied_map_bytes_);
    }
    program.maps = object_.maps;
    return {};
}

void Reader::add_lines(Linking& linking, ir::Program& program) {
    if (object_.btf == nullptr) return;
    std::unordered_map<u32, u32> file_index;
    for (u32 position = 0; position < linking.functions.size(); ++position) {
        const Function& function = functions_[linking.functions[position]];
        const auto& records = code_[function.section].lines;
        auto record =
            std::ranges::lower_bound(records, function.begin, {}, &btf::LineRecord::offset);
        const auto begin = linking.offsets.begin() + linking.begin[position];
        const auto end = position + 1 < linking.begin.size()
                             ? linking.offsets.begin() + linking.begin[position + 1]
                             : linking.offsets.end();
        auto at = begin;
        for (; record != records.end() && record->offset < function.end; ++record) {
            // Damaged records cost something too.
            line_bytes_ += sizeof(ir::SourceLine);
            if (line_bytes_ > kMaxLineBytes) {
                warn("line information beyond a limit left out");
                return;
            }
            at = std::lower_bound(at, end, record->offset);
            if (at == end || *at != record->offset) continue;
            const auto file = object_.btf->view().string(record->file_name);
            const auto text = object_.btf->view().string(record->text);
            if (!file) continue;
            std::string copy = text ? copy_name(*text) : std::string();
            line_bytes_ += copy.size();
            const auto [entry, is_new] =
                file_index.emplace(record->file_name, static_cast<u32>(program.files.size()));
            if (is_new) {
                program.files.push_back(copy_name(*file));
                line_bytes_ += program.files.back().size();
            }
            program.lines.push_back({.insn = static_cast<u32>(at - linking.offsets.begin()),
                                     .file = entry->second,
                                     .line = record->line,
                                     .column = record->column,
                                     .text = std::move(copy),
                                     .btf_file = record->file_name,
                                     .btf_text = record->text});
        }
    }
}

Result<ir::Program> Reader::link(u32 entry) {
    Linking linking;
    linking.functions.push_back(entry);
    linking.position.emplace(entry, 0);
    for (std::size_t next = 0; next < linking.functions.size(); ++next) {
        TRY(append(linking, linking.functions[next]));
    }

    ir::Program& program = linking.program;
    std::vector<i64> slot_of;
    slot_of.reserve(program.insns.size());
    i64 slots = 0;
    for (const isa::Insn& insn : program.insns) {
        slot_of.push_back(slots);
        slots += insn.slots();
    }
    for (const auto& [insn, position] : linking.references) {
        program.insns[insn].imm = slot_of[linking.begin[position]] - slot_of[insn] - 1;
    }
    if (const Status status = ir::resolve_control_flow(program); !status) {
        Error error = status.error();
        if (error.where.kind == Where::Kind::Instruction) {
            const auto at = std::ranges::upper_bound(slot_of, static_cast<i64>(error.where.value));
            const auto insn = static_cast<std::size_t>(at - slot_of.begin() - 1);
            const auto function = std::ranges::upper_bound(linking.begin, insn) - 1;
            const u32 owner =
                linking.functions[static_cast<std::size_t>(function - linking.begin.begin())];
            error.where = at_offset(linking.offsets[insn], functions_[owner].section);
        }
        return std::unexpected(error);
    }
    program.name = copy_name(functions_[entry].name);
    program.section = copy_name(code_[functions_[entry].section].section.name);
    program.object = object_.name;
    program.dialect = object_.dialect;
    program.license = object_.license;
    add_lines(linking, program);
    TRY(copy_maps(program));
    return std::move(program);
}

}  // namespace ebpf::engine::object
