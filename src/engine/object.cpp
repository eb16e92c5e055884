// SPDX-License-Identifier: MIT
//
// The main path of reading an object: Reader::read() below is the table of contents. Each step
// fills a part of the reader's tables from views of the file; linking (object_link.cpp) comes last,
// when all of them are known.
#include "engine/object.hpp"

#include <algorithm>
#include <tuple>

#include "engine/object_internal.hpp"

namespace ebpf::engine::object {
namespace {

bool is_data_name(std::string_view name) {
    for (const std::string_view stem : {".data", ".rodata", ".bss"}) {
        if (name == stem) return true;
        if (name.starts_with(stem) && name[stem.size()] == '.') return true;
    }
    return false;
}

bool is_debug_name(std::string_view name) {
    return name.starts_with(".debug_") || name.starts_with(".rel.debug") ||
           name.starts_with(".rela.debug");
}

}  // namespace

Result<Object> Reader::read() {
    object_.name = copy_name(options_.name);
    TRY_ASSIGN(file_, elf::File::open(bytes_));
    TRY(read_sections());
    TRY_ASSIGN(symbols_, file_.symbols());
    TRY(read_license_and_version());
    find_other_map_sections();
    TRY(index_map_symbols());

    // Damaged line information costs messages and CO-RE, not the object; damaged types do: nothing
    // that is said about maps and variables could be believed.
    TRY(read_btf());
    read_extension();

    // The dialect decides what the numbers in map definitions mean, so it comes before them.
    TRY(find_functions());
    TRY(find_dialect());
    TRY(read_maps());
    read_externs();

    TRY(list_programs());
    set_types();
    TRY(read_initial_slots());
    called_.assign(functions_.size(), false);
    for (std::size_t i = 0; i < entries_.size(); ++i) {
        ObjectProgram& program = object_.programs[i];
        // In an object of functions alone, linking finds out which ones are programs.
        if (!only_text_ && !options_.wants(program.section, program.name)) continue;
        // A section name that means nothing is reported only where the program is sound otherwise.
        const bool typed = program.program.has_value();
        core_detail_.clear();
        auto linked = link(entries_[i]);
        if (!typed && linked) continue;
        if (linked) {
            linked->type = program.type;
            linked->attach = program.attach;
        } else {
            program.message = core_detail_;
        }
        program.program = std::move(linked);
    }
    if (only_text_) drop_called_entries();
    finish_initial_slots();
    for (ObjectProgram& program : object_.programs) {
        if (program.program) continue;
        const std::string detail = std::move(program.message);
        program.message = in_words(program.program.error(), file_, symbols_);
        if (!detail.empty()) program.message += ": " + detail;
    }
    return std::move(object_);
}

Status Reader::read_sections() {
    std::vector<elf::Section> tables;
    u64 file_bytes = 0;
    for (u32 i = 1; i < file_.section_count(); ++i) {
        TRY_ASSIGN(const elf::Section section, file_.section(i));
        if (is_debug_name(section.name)) continue;
        // Sections of a sound file do not overlap. Without this, a small file could ask for a
        // large one's memory over and over.
        file_bytes += section.bytes.size();
        if (file_bytes > bytes_.size()) {
            return fail(Errc::BadFormat, at_section(i), "sections overlap");
        }
        if (section.type == elf::SectionType::Rel || section.type == elf::SectionType::Rela) {
            tables.push_back(section);
        } else {
            sort_section(section);
        }
    }
    return read_relocations(tables);
}

void Reader::sort_section(const elf::Section& section) {
    const std::string_view name = section.name;
    if (section.is_code()) {
        if (!section.bytes.empty()) code_[section.index].section = section;
    } else if (name == ".BTF") {
        btf_ = section;
    } else if (name == ".BTF.ext") {
        btf_ext_ = section;
    } else if (name == ".maps") {
        btf_maps_ = section;
    } else if (name == "maps" || name.starts_with("maps/")) {
        map_sections_.push_back(section);
    } else if (name.ends_with("/maps")) {
        maybe_maps_.push_back(section);
    } else if (name == "license") {
        license_ = section;
    } else if (name == "version") {
        version_ = section;
    } else if (is_data_name(name)) {
        data_.push_back(section);
    }
}

Status Reader::read_relocations(const std::vector<elf::Section>& tables) {
    for (const elf::Section& section : tables) {
        const auto target = code_.find(section.info);
        const bool for_maps = btf_maps_ && section.info == btf_maps_->index;
        if (target == code_.end() && !for_maps) {
            for (const elf::Section& data : data_) {
                if (data.index == section.info) {
                    warn("addresses in section '" + copy_name(data.name) + "' stay zero");
                }
            }
            continue;
        }
        TRY_ASSIGN(const elf::RelocationTable table, file_.relocations(section));
        auto& out = for_maps ? btf_map_relocations_ : target->second.relocations;
        for (u32 i = 0; i < table.size(); ++i) {
            TRY_ASSIGN(const elf::Relocation relocation, table.at(i));
            out.push_back(relocation);
        }
    }
    for (auto& [index, code] : code_) {
        std::ranges::sort(code.relocations, {}, &elf::Relocation::offset);
    }
    return {};
}

Status Reader::read_license_and_version() {
    if (license_) {
        const auto* text = reinterpret_cast<const char*>(license_->bytes.data());
        const std::string_view all(text, license_->bytes.size());
        object_.license = copy_name(all.substr(0, all.find('\0')));
    }
    if (version_) {
        if (version_->bytes.size() < sizeof(u32)) {
            return fail(Errc::Truncated, at_section(version_->index), "kernel version");
        }
        object_.version = load_le<u32>(version_->bytes.data());
    }
    return {};
}

Status Reader::read_btf() {
    if (!btf_ || btf_->bytes.empty()) return {};
    TRY_ASSIGN(auto types, btf::Types::parse(placed_types()));
    object_.btf = std::move(types);
    if (options_.target != nullptr) core_.emplace(object_.btf->view(), *options_.target);
    const btf::View& view = object_.btf->view();
    for (u32 id = 1; id < view.type_count(); ++id) {
        const auto type = view.type(id);
        if (!type || type->kind != btf::Kind::Datasec) continue;
        const auto name = view.name(*type);
        if (name) datasecs_.emplace(*name, id);
    }
    return {};
}

// The type of a data section, if it has one.
std::optional<btf::Type> Reader::datasec(std::string_view name) const {
    const auto found = datasecs_.find(name);
    if (found == datasecs_.end()) return std::nullopt;
    const auto type = object_.btf->view().type(found->second);
    return type ? std::optional(*type) : std::nullopt;
}

// Some projects keep their map records beside their programs ("lirc_mode2/maps"). What a name alone
// does not tell, the code does: an instruction takes the address of a record.
void Reader::find_other_map_sections() {
    for (const elf::Section& section : maybe_maps_) {
        const auto names_record = [&](const elf::Relocation& relocation) {
            if (relocation.type != elf::RelocationType::Wide64) return false;
            const auto symbol = symbols_.at(relocation.symbol);
            return symbol && symbol->section == section.index;
        };
        const bool is_maps = std::ranges::any_of(code_, [&](const auto& entry) {
            return std::ranges::any_of(entry.second.relocations, names_record);
        });
        if (is_maps) map_sections_.push_back(section);
    }
}

// A record of a legacy map per symbol.
Status Reader::index_map_symbols() {
    for (const elf::Section& section : map_sections_) map_symbols_[section.index];
    for (u32 i = 1; i < symbols_.size(); ++i) {
        const auto symbol = symbols_.at(i);
        if (!symbol) continue;
        const auto section = map_symbols_.find(symbol->section);
        if (section == map_symbols_.end()) continue;
        if (symbol->type != elf::SymbolType::Object && symbol->type != elf::SymbolType::None)
            continue;
        const std::string_view name = symbol_name(*symbol);
        if (name.empty()) continue;
        // libbpf refuses these too: two files' static maps of one name would be one map.
        if (symbol->binding == elf::Binding::Local) {
            return fail(Errc::NotSupported, at_offset(symbol->value, section->first),
                        "a static map in a section of map records");
        }
        section->second.emplace(symbol->value, name);
    }
    return {};
}

void Reader::read_extension() {
    if (!btf_ext_ || btf_ext_->bytes.empty() || object_.btf == nullptr) return;
    std::unordered_map<std::string_view, CodeSection*> by_name;
    for (auto& [index, code] : code_) by_name.emplace(code.section.name, &code);

    const auto read_table = [&](btf::InfoReader table, auto read_record) -> Status {
        while (!table.at_end()) {
            TRY_ASSIGN(const btf::InfoSection section, table.next());
            TRY_ASSIGN(const std::string_view name, (*object_.btf)->string(section.name_offset));
            const auto code = by_name.find(name);
            if (code == by_name.end()) continue;
            for (u32 i = 0; i < section.size(); ++i) TRY(read_record(*code->second, section, i));
        }
        return {};
    };
    const auto read_all = [&]() -> Status {
        TRY_ASSIGN(const btf::Extension extension, btf::Extension::open(btf_ext_->bytes));
        TRY(read_table(extension.functions,
                       [](CodeSection& code, const btf::InfoSection& section, u32 i) -> Status {
                           TRY_ASSIGN(const btf::FunctionRecord record, section.function(i));
                           code.functions.push_back(record);
                           return {};
                       }));
        TRY(read_table(extension.core,
                       [this](CodeSection& code, const btf::InfoSection& section, u32 i) -> Status {
                           TRY_ASSIGN(const btf::CoreRecord record, section.core(i));
                           code.core.push_back(record);
                           object_.has_core = true;
                           // In the file's order, whichever programs are wanted: an answer narrows
                           // the candidates of later questions.
                           if (core_) (void)core_->resolve(record);
                           return {};
                       }));
        return read_table(extension.lines,
                          [](CodeSection& code, const btf::InfoSection& section, u32 i) -> Status {
                              TRY_ASSIGN(const btf::LineRecord record, section.line(i));
                              code.lines.push_back(record);
                              return {};
                          });
    };
    if (const Status status = read_all(); !status) {
        warn("function and line information incomplete: " +
             in_words(status.error(), file_, symbols_));
    }
    for (auto& [index, code] : code_) {
        // Sorted already in a sound file.
        if (!std::ranges::is_sorted(code.lines, {}, &btf::LineRecord::offset)) {
            std::ranges::sort(code.lines, {}, &btf::LineRecord::offset);
        }
        std::ranges::sort(code.functions, {}, &btf::FunctionRecord::offset);
        std::ranges::sort(code.core, {}, &btf::CoreRecord::offset);
    }
}

// Functions are what the symbol table says; where old compilers left no function symbols, a section
// is one function of the section's name.
Status Reader::find_functions() {
    for (u32 i = 1; i < symbols_.size(); ++i) {
        const auto symbol = symbols_.at(i);
        if (!symbol || symbol->type != elf::SymbolType::Function || !symbol->is_defined()) continue;
        const auto code = code_.find(symbol->section);
        if (code == code_.end()) continue;
        const u64 size = code->second.section.size;
        Function function{.section = symbol->section,
                          .begin = symbol->value,
                          .end = symbol->value + symbol->size,
                          .name = symbol_name(*symbol),
                          .is_global = symbol->binding != elf::Binding::Local && !symbol->hidden,
                          .symbol = i};
        if (function.name.empty()) function.name = code->second.section.name;
        if (symbol->size == 0) function.end = size;  // from assembly: to the next, or the end
        if (function.begin >= size || function.end > size || function.end <= function.begin ||
            function.begin % kSlotBytes != 0) {
            function.status = fail(Errc::OutOfBounds, at_symbol(i), "function outside its section",
                                   function.begin);
        }
        functions_.push_back(function);
    }
    add_section_functions();
    // Of several names for one place, the first of the symbol table counts for calls.
    std::ranges::sort(functions_, [](const Function& a, const Function& b) {
        return std::tuple(a.section, a.begin, a.symbol) < std::tuple(b.section, b.begin, b.symbol);
    });
    for (std::size_t i = 0; i + 1 < functions_.size(); ++i) {
        Function& f = functions_[i];
        const Function& next = functions_[i + 1];
        const bool open_end = f.end == code_[f.section].section.size;
        if (open_end && next.section == f.section && next.begin > f.begin) f.end = next.begin;
    }
    for (Function& function : functions_) {
        const auto& records = code_[function.section].functions;
        const auto record =
            std::ranges::lower_bound(records, function.begin, {}, &btf::FunctionRecord::offset);
        if (record == records.end() || record->offset != function.begin) continue;
        const auto type = (*object_.btf)->type(record->type);
        if (type && type->kind == btf::Kind::Func) function.btf_type = record->type;
    }
    return {};
}

void Reader::add_section_functions() {
    std::vector<bool> has_function(file_.section_count(), false);
    for (const Function& function : functions_) has_function[function.section] = true;
    for (const auto& [index, code] : code_) {
        if (has_function[index]) continue;
        functions_.push_back({.section = index,
                              .begin = 0,
                              .end = code.section.size,
                              .name = code.section.name,
                              .is_global = true});
    }
}

// Entry points: every function outside .text; those in .text are for others to call, unless nothing
// else is there (programs for other virtual machines, and conformance tests, are made that way).
Status Reader::list_programs() {
    only_text_ = std::ranges::all_of(
        code_, [](const auto& entry) { return entry.second.section.name == ".text"; });
    for (u32 i = 0; i < functions_.size(); ++i) {
        const Function& function = functions_[i];
        const std::string_view section = code_[function.section].section.name;
        if (section == ".text" && !(only_text_ && function.is_global)) continue;
        if (entries_.size() == kMaxPrograms)
            return fail(Errc::TooLarge, {}, "programs", kMaxPrograms);
        entries_.push_back(i);
        object_.programs.push_back(
            {.name = copy_name(function.name), .section = copy_name(section)});
    }
    return {};
}

void Reader::set_types() {
    for (std::size_t i = 0; i < entries_.size(); ++i) {
        ObjectProgram& program = object_.programs[i];
        const auto type = section_type(object_.dialect, program.section, options_.name);
        if (type) {
            program.type = type->type;
            program.attach = type->attach;
        } else if (options_.default_type) {
            program.type = *options_.default_type;
        } else {
            program.program =
                fail(Errc::UnknownSection, at_section(functions_[entries_[i]].section),
                     "name of the section");
        }
    }
}

// In an object that is all .text, functions that others call are no entry points, unless that
// leaves none (a program that only calls itself).
void Reader::drop_called_entries() {
    std::vector<ObjectProgram> kept;
    std::vector<u32> kept_entries;
    for (std::size_t i = 0; i < entries_.size(); ++i) {
        if (called_[entries_[i]]) continue;
        kept.push_back(std::move(object_.programs[i]));
        kept_entries.push_back(entries_[i]);
    }
    if (kept.empty()) return;
    object_.programs = std::move(kept);
    entries_ = std::move(kept_entries);
}

std::string in_words(const Error& error, const elf::File& file, const elf::SymbolTable& symbols) {
    char buffer[256];
    std::string text(buffer, render(error, buffer));
    if (error.where.section < file.section_count()) {
        const auto section = file.section(error.where.section);
        if (section && !section->name.empty()) text += " ('" + copy_name(section->name) + "')";
    }
    if (error.where.kind == Where::Kind::Symbol) {
        const auto symbol = symbols.at(static_cast<u32>(error.where.value));
        const auto name = symbol ? symbols.name(*symbol) : std::string_view{};
        if (name && !name->empty()) text += " ('" + copy_name(*name) + "')";
    }
    return text;
}

std::string_view Reader::symbol_name(const elf::Symbol& symbol) const {
    const auto name = symbols_.name(symbol);
    return name ? *name : std::string_view{};
}

void Reader::warn(std::string text) {
    constexpr std::size_t kMaxWarnings = 100;
    if (object_.warnings.size() < kMaxWarnings) object_.warnings.push_back(std::move(text));
}

}  // namespace ebpf::engine::object

namespace ebpf::engine {

const ObjectProgram* Object::find(std::string_view section, std::string_view program) const {
    for (const ObjectProgram& candidate : programs) {
        if ((section.empty() || candidate.section == section) &&
            (program.empty() || candidate.name == program)) {
            return &candidate;
        }
    }
    return nullptr;
}

Result<Object> read_object(Bytes file, const ReadOptions& options) {
    return object::Reader(file, options).read();
}

std::string describe(const Error& error, Bytes bytes) {
    const auto file = elf::File::open(bytes);
    const auto symbols = file ? file->symbols() : elf::SymbolTable();
    return object::in_words(error, file ? *file : elf::File(),
                            symbols ? *symbols : elf::SymbolTable());
}

}  // namespace ebpf::engine
