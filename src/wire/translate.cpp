// SPDX-License-Identifier: MIT
#include "wire/translate.hpp"

#include "isa/codec.hpp"
#include "spec/door.hpp"
#include "wire/layout.hpp"

namespace ebpf::wire {
namespace {

using spec::AttrField;
using spec::AttrKind;
using spec::Length;

// The field whose content are values on their way in, or null.
const AttrField* values_in(const spec::CommandInfo& command) {
    for (const AttrField& field : command.fields) {
        const bool values = field.length.kind == Length::Kind::Value ||
                            field.length.kind == Length::Kind::BatchValues;
        if (values && field.kind == AttrKind::In) return &field;
    }
    return nullptr;
}

}  // namespace

u32 Descriptors::handle(i32 descriptor) const {
    const auto known = handle_of(self, descriptor);
    if (known) return *known;
    return known.error().code == Errc::InvalidFd ? spec::kClosedHandle : spec::kForeignHandle;
}

void translate_fields(const spec::CommandInfo& command, void* attr,
                      const Descriptors& descriptors) {
    for (const AttrField& field : command.fields) {
        if (!field.is_fd()) continue;
        const i32 descriptor = load<i32>(attr, field.offset);
        if (descriptor == 0 && field.kind == AttrKind::OptionalFd) continue;
        store<u32>(attr, field.offset, descriptors.handle(descriptor));
    }
}

void translate_array(const spec::CommandInfo& command, void* attr, const Descriptors& descriptors) {
    for (const AttrField& field : command.fields) {
        const bool counted = field.length.kind == Length::Kind::Scaled;
        if (field.kind != AttrKind::Fds || !counted) continue;
        auto* const array = reinterpret_cast<u32*>(load<u64>(attr, field.offset));
        if (array == nullptr) continue;
        const u64 count = number(command.fields[field.length.a], attr);
        for (u64 i = 0; i < count; ++i) {
            array[i] = descriptors.handle(static_cast<i32>(array[i]));
        }
    }
}

u32 map_handle(const spec::CommandInfo& command, const void* attr) {
    for (const AttrField& field : command.fields) {
        if (std::string_view(field.name) == "map_fd") return load<u32>(attr, field.offset);
    }
    return 0;
}

bool may_have_handles(const spec::CommandInfo& command) {
    return values_in(command) != nullptr;
}

u64 values_with_handles(const spec::CommandInfo& command, const void* attr, const Shape& shape) {
    const AttrField* const field = values_in(command);
    if (field == nullptr || shape.holds_handles == 0 || load<u64>(attr, field->offset) == 0) {
        return 0;
    }
    if (field->length.kind == Length::Kind::Value) return 1;
    return number(command.fields[field->length.a], attr);
}

u32* values_at(const spec::CommandInfo& command, const void* attr) {
    const AttrField* const field = values_in(command);
    return field == nullptr ? nullptr : reinterpret_cast<u32*>(load<u64>(attr, field->offset));
}

void translate_values(const spec::CommandInfo& command, void* attr, std::span<u32> handles,
                      const Descriptors& descriptors) {
    const AttrField* const field = values_in(command);
    if (field == nullptr || handles.empty()) return;
    const auto* const values = reinterpret_cast<const void*>(load<u64>(attr, field->offset));
    for (std::size_t i = 0; i < handles.size(); ++i) {
        handles[i] = descriptors.handle(load<i32>(values, i * sizeof(i32)));
    }
    store(attr, field->offset, reinterpret_cast<u64>(handles.data()));
}

Status translate_instructions(MutableBytes slots, std::span<i32> fd_array,
                              const Descriptors& descriptors) {
    for (i32& entry : fd_array) {
        const auto handle = descriptors.handle_of(descriptors.self, entry);
        if (handle) entry = static_cast<i32>(*handle);
        // An entry that no instruction uses may be anything; a used one is refused below.
        if (!handle) entry = -1;
    }
    const auto count = static_cast<u32>(slots.size() / sizeof(isa::Slot));
    for (u32 pc = 0; pc < count;) {
        const u32 here = pc;
        const auto insn = isa::decode(slots, here);
        pc += insn ? static_cast<u32>(insn->slots()) : 1;
        if (!insn || insn->form != isa::Form::Wide) continue;
        const isa::WideKind kind = insn->wide();
        if (kind == isa::WideKind::MapIndex || kind == isa::WideKind::MapIndexValue) {
            if (fd_array.empty()) return fail(Errc::InvalidPointer, at_insn(here), "fd_array");
            if (insn->map_index() >= fd_array.size() || fd_array[insn->map_index()] < 0) {
                return fail(Errc::InvalidFd, at_insn(here), "map of the instruction");
            }
            continue;
        }
        if (kind != isa::WideKind::MapFd && kind != isa::WideKind::MapFdValue) continue;
        const auto handle =
            descriptors.handle_of(descriptors.self, static_cast<i32>(insn->map_index()));
        if (!handle) return fail(handle.error().code, at_insn(here), "map of the instruction");
        isa::Insn translated = *insn;
        translated.imm = static_cast<i64>(u64{insn->map_value_offset()} << 32 | *handle);
        std::array<isa::Slot, 2> encoded;
        TRY(isa::encode(translated, encoded));
        std::memcpy(slots.data() + std::size_t{here} * sizeof(isa::Slot), encoded.data(),
                    sizeof encoded);
    }
    return {};
}

}  // namespace ebpf::wire
