// SPDX-License-Identifier: MIT
#include "platform/linux/debugger.hpp"

#include <elf.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <new>

#include "base/byte_reader.hpp"
#include "platform/lock.hpp"

// The names, layouts and numbers of the interface. They are exported (libebpfapi.map), so that a
// library without its own symbol table has them; protected, since other JITs of the process have
// their own, with their own locks.
// NOLINTBEGIN(bugprone-reserved-identifier)
extern "C" {
struct jit_code_entry {
    jit_code_entry* next;
    jit_code_entry* prev;
    const void* file;
    ebpf::u64 file_size;
};
enum jit_action : ebpf::u32 { kNothing, kRegister, kUnregister };
struct jit_descriptor {
    ebpf::u32 version;
    jit_action action;
    jit_code_entry* relevant;
    jit_code_entry* first;
};
[[gnu::visibility("protected"), gnu::used]] jit_descriptor __jit_debug_descriptor = {
    1, kNothing, nullptr, nullptr};
[[gnu::visibility("protected"), gnu::used, gnu::noinline]] void __jit_debug_register_code() {
    asm volatile("" ::: "memory");  // the call must stay
}
}
// NOLINTEND(bugprone-reserved-identifier)

namespace ebpf::platform {
namespace {

SpinLock list_lock;

#if defined(__aarch64__)
constexpr u16 kMachine = EM_AARCH64;
#else
constexpr u16 kMachine = EM_X86_64;
#endif

enum Index : u16 { kNull, kText, kUnwind, kSymbols, kStrings, kSections };
// The sections' names, and the beginning of the functions'.
constexpr char kNames[] = "\0.text\0.eh_frame\0.symtab\0.strtab";
constexpr u32 kNameAt[kSections] = {0, 1, 7, 17, 25};

// The .eh_frame section that `bytes` begin with: records, each with its length before it, up to an
// empty one.
Bytes unwind_section(Bytes bytes) {
    u64 at = 0;
    for (u32 length = 1; length != 0; at += sizeof length + length) {
        if (bytes.size() - at < sizeof length) return {};
        length = load_le<u32>(bytes.data() + at);
        if (bytes.size() - at - sizeof length < length) return {};
    }
    return bytes.first(at);
}

// What stands in the list: the entry, and behind it the file that it is about. In it the code has
// no bytes, only an address; the symbols, the strings and the unwind data follow the header.
struct ListedCode {
    jit_code_entry entry{};
    const void* pages = nullptr;
    Elf64_Ehdr header{};
    Elf64_Shdr sections[kSections]{};
};

// Where the parts of the file are, from its beginning.
struct Layout {
    u64 symbols = sizeof(ListedCode) - offsetof(ListedCode, header);
    u64 strings, unwind, end;
    u32 symbol_count;

    Layout(const CodePages::Functions& functions, u64 unwind_bytes)
        : symbol_count(static_cast<u32>(functions.count) + 1) {
        strings = symbols + symbol_count * sizeof(Elf64_Sym);
        unwind = strings + sizeof kNames;
        for (std::size_t i = 0; i < functions.count; ++i)
            unwind += std::strlen(CodeName(functions.at(functions.self, i)).text) + 1;
        unwind = (unwind + 7) & ~u64{7};
        end = unwind + unwind_bytes;
    }
};

void write_symbols(std::byte* file, const Layout& layout, const CodePages::Functions& functions) {
    char* const strings = reinterpret_cast<char*>(file + layout.strings);
    std::memcpy(strings, kNames, sizeof kNames);
    u32 string = sizeof kNames;
    auto* symbol = reinterpret_cast<Elf64_Sym*>(file + layout.symbols);
    const u64 begin = functions.at(functions.self, 0).begin;
    for (std::size_t i = 0; i < functions.count; ++i) {
        const CodePages::Function function = functions.at(functions.self, i);
        *++symbol = {.st_name = string,
                     .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
                     .st_shndx = kText,
                     .st_value = function.begin - begin,
                     .st_size = function.end - function.begin};
        const CodeName name(function);
        string += static_cast<u32>(std::strlen(std::strcpy(strings + string, name.text)) + 1);
    }
}

}  // namespace

CodeName::CodeName(const CodePages::Function& function) {
    std::snprintf(text, sizeof text, "bpf_prog_%.*s%.*s", static_cast<int>(function.name.size()),
                  function.name.data(), static_cast<int>(function.part.size()),
                  function.part.data());
    // Programs choose it, and it shall not be more than one word of a line.
    for (char* c = text; *c != '\0'; ++c)
        if (*c <= ' ' || *c > '~') *c = '_';
}

void show_code(const void* pages, const CodePages::Functions& functions, Bytes unwind) {
    if (functions.count == 0) return;
    unwind = unwind_section(unwind);
    const Layout layout(functions, unwind.size());
    void* const memory = allocate(offsetof(ListedCode, header) + layout.end);
    if (memory == nullptr) return;
    auto* const code = new (memory) ListedCode;
    std::byte* const file = static_cast<std::byte*>(memory) + offsetof(ListedCode, header);
    const CodePages::Function last = functions.at(functions.self, functions.count - 1);
    const u64 begin = functions.at(functions.self, 0).begin;
    code->pages = pages;

    code->header = {.e_type = ET_REL,  // in it symbols count from their section
                    .e_machine = kMachine,
                    .e_version = EV_CURRENT,
                    .e_shoff = sizeof(Elf64_Ehdr),
                    .e_ehsize = sizeof(Elf64_Ehdr),
                    .e_shentsize = sizeof(Elf64_Shdr),
                    .e_shnum = kSections,
                    .e_shstrndx = kStrings};
    constexpr u8 kIdent[] = {ELFMAG0,    ELFMAG1,     ELFMAG2,    ELFMAG3,
                             ELFCLASS64, ELFDATA2LSB, EV_CURRENT, ELFOSABI_NONE};
    std::copy_n(kIdent, sizeof kIdent, code->header.e_ident);
    Elf64_Shdr* const sections = code->sections;
    sections[kText] = {.sh_type = SHT_NOBITS,
                       .sh_flags = SHF_ALLOC | SHF_EXECINSTR,
                       .sh_addr = reinterpret_cast<u64>(pages) + begin,
                       .sh_size = last.end - begin,
                       .sh_addralign = 1};
    // At its own address: what it says of the code counts from there.
    sections[kUnwind] = {.sh_type = SHT_PROGBITS,
                         .sh_flags = SHF_ALLOC,
                         .sh_addr = reinterpret_cast<u64>(unwind.data()),
                         .sh_offset = layout.unwind,
                         .sh_size = unwind.size(),
                         .sh_addralign = 8};
    sections[kSymbols] = {.sh_type = SHT_SYMTAB,
                          .sh_offset = layout.symbols,
                          .sh_size = layout.symbol_count * sizeof(Elf64_Sym),
                          .sh_link = kStrings,
                          .sh_info = 1,  // the first that is not local
                          .sh_addralign = 8,
                          .sh_entsize = sizeof(Elf64_Sym)};
    sections[kStrings] = {.sh_type = SHT_STRTAB,
                          .sh_offset = layout.strings,
                          .sh_size = layout.unwind - layout.strings,
                          .sh_addralign = 1};
    for (u16 i = kText; i < kSections; ++i) sections[i].sh_name = kNameAt[i];
    write_symbols(file, layout, functions);
    std::ranges::copy(unwind, file + layout.unwind);

    code->entry = {.file = file, .file_size = layout.end};
    jit_descriptor& list = __jit_debug_descriptor;
    const LockGuard guard(list_lock);
    code->entry.next = list.first;
    if (list.first != nullptr) list.first->prev = &code->entry;
    list.first = list.relevant = &code->entry;
    list.action = kRegister;
    __jit_debug_register_code();
    list.action = kNothing;
}

void hide_code(const void* pages) {
    jit_descriptor& list = __jit_debug_descriptor;
    const LockGuard guard(list_lock);
    for (jit_code_entry *entry = list.first, *next; entry != nullptr; entry = next) {
        next = entry->next;
        auto* const code = reinterpret_cast<ListedCode*>(entry);
        if (code->pages != pages) continue;
        if (next != nullptr) next->prev = entry->prev;
        (entry->prev != nullptr ? entry->prev->next : list.first) = next;
        list.relevant = entry;
        list.action = kUnregister;
        __jit_debug_register_code();
        list.action = kNothing;
        release(code);
    }
}

}  // namespace ebpf::platform
