// SPDX-License-Identifier: MIT
#include "platform/section_memory.hpp"

#include <windows.h>

#include <cstring>

#include "platform/memory.hpp"
#include "platform/windows_user/section.hpp"

namespace ebpf::platform {
namespace {

std::byte* map_at(void* at, const Section* section, std::size_t size, bool writable) {
    const DWORD access = writable ? FILE_MAP_WRITE : FILE_MAP_READ;
    return static_cast<std::byte*>(MapViewOfFileEx(section->handle, access, 0, 0, size, at));
}

// Counted before it is asked for, so that sealing and writing never both believe to be first.
bool may_map(Section* section, bool writable) {
    if (!writable) return true;
    section->writers.fetch_add(1);
    if (!section->sealed.load()) return true;
    section->writers.fetch_sub(1);
    return false;
}

void let_go(Section* section, bool writable) {
    if (writable) section->writers.fetch_sub(1);
    release_section(section);
}

}  // namespace

Result<SectionMemory> SectionMemory::create(Bytes content, std::size_t size) {
    const std::size_t bytes = (size + kPageSize - 1) & ~std::size_t{kPageSize - 1};
    if (bytes == 0 || content.size() > size)
        return fail(Errc::InvalidArgument, {}, "data section's size", bytes);
    Section* const section = create_section(bytes);
    if (section == nullptr) return fail(Errc::NoMemory, {}, "data section", bytes);
    std::byte* const base = map_at(nullptr, section, bytes, true);
    if (base == nullptr) {
        release_section(section);
        return fail(Errc::NoMemory, {}, "data section", bytes);
    }
    if (!content.empty()) std::memcpy(base, content.data(), content.size());
    section->writers.store(1);
    SectionMemory memory;
    memory.base_ = base;
    memory.size_ = bytes;
    memory.native_ = reinterpret_cast<i64>(section);
    memory.writable_ = true;
    return memory;
}

SectionMemory::~SectionMemory() {
    if (base_ != nullptr) UnmapViewOfFile(base_);
    if (native_ != -1) let_go(Section::of(native_), writable_);
}

// Wine 8 has no placeholders (VirtualAlloc2), which would keep the place meanwhile.
Status SectionMemory::map_over(i64 native, bool writable) {
    Section* const now = Section::of(native_);
    Section* const next = Section::of(native);
    if (!may_map(next, writable)) return fail(Errc::NotSupported, {}, "mapping a frozen map");
    next->users.fetch_add(1);
    UnmapViewOfFile(base_);
    if (map_at(base_, next, size_, writable) == base_) {
        let_go(now, writable_);
        native_ = native;
        writable_ = writable;
        return {};
    }
    let_go(next, writable);
    base_ = map_at(base_, now, size_, writable_);
    return fail(Errc::NotSupported, {}, "mapping a data section's map");
}

}  // namespace ebpf::platform
