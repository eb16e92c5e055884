// SPDX-License-Identifier: MIT
#include "wire/layout.hpp"

#include "isa/codec.hpp"

namespace ebpf::wire {
namespace {

using spec::AttrField;
using spec::AttrKind;
using spec::Length;

// Numbers of HandleShapeAttr::kind.
constexpr u32 kProgram = 3;
constexpr u32 kBtf = 4;

class Layout {
  public:
    Layout(Plan& plan, void* attr, const Shapes& shapes, Bytes message)
        : plan_(plan), attr_(attr), shapes_(shapes), message_(message) {}

    Status run() {
        in_ = out_ = padded(sizeof(Header) + padded(plan_.attr_size));
        for (size_t i = 0; i < plan_.command->fields.size(); ++i) {
            const AttrField& field = plan_.command->fields[i];
            if (field.goes_in() || field.comes_out()) TRY(add(field, i));
        }
        plan_.request_size = static_cast<u32>(in_);
        plan_.reply_size = static_cast<u32>(out_);
        return {};
    }

  private:
    const AttrField& field(u8 index) const { return plan_.command->fields[index]; }

    // The shape of the first handle of the command, which is the map or object that it is about.
    const Shape& shape() {
        if (asked_) return shape_;
        asked_ = true;
        for (const AttrField& candidate : plan_.command->fields) {
            const std::string_view name = candidate.name;
            if (candidate.kind != AttrKind::Fd || (name != "map_fd" && name != "bpf_fd")) continue;
            const auto known = shapes_.of(shapes_.self, static_cast<u32>(number(candidate, attr_)));
            if (known) shape_ = *known;
        }
        return shape_;
    }

    u64 length(const Length& rule) {
        switch (rule.kind) {
            case Length::Kind::None:
                return 0;
            case Length::Kind::Field:
                return number(field(rule.a), attr_);
            case Length::Kind::Product:
                return number(field(rule.a), attr_) * number(field(rule.b), attr_);
            case Length::Kind::Scaled:
                return number(field(rule.a), attr_) * rule.b;
            case Length::Kind::Key:
                return shape().key_size;
            case Length::Kind::Value:
                return shape().value_size;
            case Length::Kind::BatchKeys:
                return number(field(rule.a), attr_) * shape().key_size;
            case Length::Kind::BatchValues:
                return number(field(rule.a), attr_) * shape().value_size;
            case Length::Kind::FdArrayUsed:
                return u64{fd_array_used(instructions_)} * sizeof(i32);
        }
        return 0;
    }

    // Bytes of a NUL-terminated text, its NUL included.
    Result<u64> text_length(u64 address) const {
        const auto* text = message_.empty() ? reinterpret_cast<const char*>(address)
                                            : reinterpret_cast<const char*>(message_.data()) + in_;
        u64 room = kMaxText;
        if (!message_.empty()) room = in_ < message_.size() ? message_.size() - in_ : 0;
        if (room > kMaxText) room = kMaxText;
        for (u64 i = 0; i < room; ++i) {
            if (text[i] == '\0') return i + 1;
        }
        return fail(room == kMaxText ? Errc::NameTooLong : Errc::BadFormat, {}, "text without end");
    }

    // Where the content of a buffer that goes in stands now; null when the message ends before.
    const std::byte* content(u64 address, u64 size) const {
        if (message_.empty()) return reinterpret_cast<const std::byte*>(address);
        if (in_ > message_.size() || message_.size() - in_ < size) return nullptr;
        return message_.data() + in_;
    }

    Status place(Buffer& buffer, u64 size) {
        if (size > kMaxMessage) return fail(Errc::TooLarge, {}, "buffer", size);
        buffer.length = static_cast<u32>(size);
        if (buffer.in) {
            buffer.in_at = static_cast<u32>(in_);
            in_ += padded(size);
        }
        if (buffer.out) {
            buffer.out_at = static_cast<u32>(out_);
            out_ += padded(size);
        }
        if (in_ > kMaxMessage || out_ > kMaxMessage) return fail(Errc::TooLarge, {}, "message");
        if (plan_.count == Plan::kMaxBuffers) return fail(Errc::TooLarge, {}, "buffers");
        plan_.buffers[plan_.count++] = buffer;
        return {};
    }

    Status add(const AttrField& field, size_t index) {
        const u64 address = load<u64>(attr_, field.offset);
        if (address == 0) return {};
        Buffer buffer{.pointer = field.offset,
                      .field = static_cast<u8>(index),
                      .in = field.goes_in(),
                      .out = field.comes_out(),
                      .info = field.kind == AttrKind::Info};
        // What a lookup asks about stands in its value, but in few types of map.
        if (field.kind == AttrKind::InOut) buffer.in = shape().value_goes_in != 0;
        u64 size = 0;
        if (field.is_text()) {
            TRY_ASSIGN(size, text_length(address));
        } else {
            size = length(field.length);
        }
        if (field.kind == AttrKind::Log && size > kMaxLog) {
            size = kMaxLog;
            const AttrField& of = this->field(field.length.a);
            store<u32>(attr_, of.offset, kMaxLog);
        }
        if (size > kMaxMessage) return fail(Errc::TooLarge, at_argument(index), field.name, size);
        const std::byte* const before = buffer.in ? content(address, size) : nullptr;
        if (field.kind == AttrKind::Insns && before != nullptr) instructions_ = {before, size};
        TRY(place(buffer, size));
        if (buffer.info && before != nullptr) {
            return add_nested(buffer.field, before, size);
        }
        return {};
    }

    // What an info structure points to. A pointer that the structure holds only half of is none.
    Status add_nested(u8 index, const std::byte* info, u64 info_size) {
        plan_.kind = shape().kind;
        for (const spec::InfoArray& array : info_arrays(plan_.kind)) {
            if (u64{array.pointer} + 8 > info_size || load<u64>(info, array.pointer) == 0) continue;
            Buffer buffer{.pointer = array.pointer,
                          .count = array.count,
                          .element = array.element_field ? u16{0} : array.element,
                          .element_at = array.element_field ? array.element : u16{0},
                          .field = index,
                          .nested = true,
                          .out = true};
            if (u64{array.count} + 4 > info_size) continue;
            u64 element = array.element;
            if (array.element_field) {
                if (u64{array.element} + 4 > info_size) continue;
                element = load<u32>(info, array.element);
            }
            TRY(place(buffer, load<u32>(info, array.count) * element));
        }
        return {};
    }

    Plan& plan_;
    void* attr_;
    const Shapes& shapes_;
    Bytes message_;
    Bytes instructions_{};
    Shape shape_{};
    bool asked_ = false;
    u64 in_ = 0, out_ = 0;
};

// A length after the command. Only those that a result says can differ from before.
u64 length_after(const Plan& plan, const Buffer& buffer, const void* before, const void* after) {
    const AttrField& of = plan.command->fields[buffer.field];
    const Length& rule = of.length;
    switch (rule.kind) {
        case Length::Kind::Field:
            return number(plan.command->fields[rule.a], after);
        case Length::Kind::Scaled:
            return number(plan.command->fields[rule.a], after) * rule.b;
        case Length::Kind::BatchKeys:
        case Length::Kind::BatchValues: {
            const u64 asked = number(plan.command->fields[rule.a], before);
            const u64 done = number(plan.command->fields[rule.a], after);
            return asked == 0 ? 0 : buffer.length / asked * done;
        }
        default:
            return buffer.length;
    }
}

bool size_was_written(const Plan& plan, const Buffer& buffer, const void* before,
                      const void* after) {
    const Length& rule = plan.command->fields[buffer.field].length;
    if (rule.kind == Length::Kind::None || rule.kind == Length::Kind::Key ||
        rule.kind == Length::Kind::Value || rule.kind == Length::Kind::FdArrayUsed) {
        return false;
    }
    const AttrField& size = plan.command->fields[rule.a];
    return size.is_written() && number(size, before) != number(size, after);
}

}  // namespace

u32 fd_array_used(Bytes slots) {
    u32 used = 0;
    const auto count = static_cast<u32>(slots.size() / sizeof(isa::Slot));
    for (u32 pc = 0; pc < count;) {
        const auto insn = isa::decode(slots, pc);
        pc += insn ? static_cast<u32>(insn->slots()) : 1;
        if (!insn || insn->form != isa::Form::Wide) continue;
        if (insn->wide() != isa::WideKind::MapIndex && insn->wide() != isa::WideKind::MapIndexValue)
            continue;
        if (insn->map_index() < kMaxMessage / sizeof(i32) && insn->map_index() >= used) {
            used = insn->map_index() + 1;
        }
    }
    return used;
}

std::span<const spec::InfoArray> info_arrays(u32 kind) {
    if (kind == kProgram) return spec::kProgInfoArrays;
    if (kind == kBtf) return spec::kBtfInfoArrays;
    return {};
}

Status lay_out(Plan& plan, void* attr, const Shapes& shapes, Bytes message) {
    return Layout(plan, attr, shapes, message).run();
}

u32 used_length(const Plan& plan, const Buffer& buffer, const void* before, const void* after,
                const void* info, bool succeeded) {
    u64 length = 0;
    if (buffer.nested) {
        if (!succeeded || info == nullptr) return 0;
        const u64 element = buffer.element ? buffer.element : load<u32>(info, buffer.element_at);
        length = load<u32>(info, buffer.count) * element;
    } else if (succeeded || size_was_written(plan, buffer, before, after)) {
        length = length_after(plan, buffer, before, after);
    }
    return static_cast<u32>(length < buffer.length ? length : buffer.length);
}

const std::byte* info_of(const Plan& plan, const std::byte* reply) {
    for (u32 i = 0; i < plan.count; ++i) {
        const Buffer& buffer = plan.buffers[i];
        if (buffer.info) return reply + buffer.out_at;
    }
    return nullptr;
}

}  // namespace ebpf::wire
