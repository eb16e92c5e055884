// SPDX-License-Identifier: MIT
//
// Types as C that compiles: every named structure, union, enumeration and typedef once, below what
// it needs. A type that holds another needs all of it; one that points to a structure needs only
// its name, which is declared before where its definition is to come.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "products/bpftool/tool.hpp"

namespace bpftool {
namespace {

using ebpf::btf::Kind;
using ebpf::btf::Member;
using ebpf::btf::Type;
using ebpf::btf::View;

constexpr const char* kBegin =
    "#ifndef __VMLINUX_H__\n#define __VMLINUX_H__\n\n"
    "#ifndef BPF_NO_PRESERVE_ACCESS_INDEX\n"
    "#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)\n"
    "#endif\n\n";
constexpr const char* kEnd =
    "#ifndef BPF_NO_PRESERVE_ACCESS_INDEX\n#pragma clang attribute pop\n#endif\n\n"
    "#endif /* __VMLINUX_H__ */\n";

// Of validated types everything that is asked for is there.
template <typename T>
T known(const ebpf::Result<T>& there) {
    return there ? *there : T{};
}

__u32 round_up(__u32 value, __u32 to) {
    return (value + to - 1) / to * to;
}

// Where a type's parts lie, in bits.
class Layout {
  public:
    explicit Layout(const View& types) : types_(types), align_(types.type_count()) {}

    // Of a type that nothing but its own rules align; 8 where it has no size.
    __u32 align(__u32 id) {
        const auto type = types_.resolve(id);
        if (!type) return 8;
        if (align_[type->id] == 0) {
            align_[type->id] = 8;  // for what holds itself, which validated types do not
            align_[type->id] = compute(*type);
        }
        return align_[type->id];
    }
    __u32 size(__u32 id) const { return static_cast<__u32>(types_.size_of(id).value_or(0)) * 8; }

    // Whether a member lies, or the whole ends, where only __attribute__((packed)) puts it.
    bool packed(const Type& record) {
        __u32 widest = 8;
        for (__u32 i = 0; i < record.count; ++i) {
            const auto member = types_.member(record, i);
            if (!member) return false;
            const __u32 align = this->align(member->type);
            widest = std::max(widest, align);
            if (member->bit_size == 0 && member->bit_offset % align != 0) return true;
        }
        return record.size() * 8 % widest != 0;
    }

  private:
    __u32 compute(const Type& type) {
        if (type.kind == Kind::Array) return align(known(types_.array(type)).element);
        if (!type.is_struct_or_union()) return std::max<__u32>(size(type.id), 8);
        if (packed(type)) return 8;
        __u32 widest = 8;
        for (__u32 i = 0; i < type.count; ++i)
            widest = std::max(widest, align(known(types_.member(type, i)).type));
        return widest;
    }

    const View& types_;
    std::vector<__u32> align_;  // by id; 0: not known yet
};

class CWriter {
  public:
    explicit CWriter(const View& types)
        : types_(types), layout_(types), states_(types.type_count()) {}

    void write(const std::vector<__u32>& ids) {
        note_references();
        for (const __u32 id : ids) {
            const Kind kind = at(id).kind;
            if (at(id).is_struct_or_union() || kind == Kind::Typedef || kind == Kind::Fwd ||
                kind == Kind::Enum || kind == Kind::Enum64)
                need_all(id, 0);
        }
    }
    std::string take() { return std::move(text_); }

  private:
    struct State {
        bool started = false, defined = false, declared = false, referenced = false;
        std::string name;
    };

    Type at(__u32 id) const { return known(types_.type(id)); }
    std::string string(__u32 offset) const {
        return std::string(types_.string(offset).value_or(""));
    }

    template <typename Each>
    void for_each_reference(const Type& type, Each&& each) const {
        for (__u32 i = 0; type.is_struct_or_union() && i < type.count; ++i)
            each(known(types_.member(type, i)).type);
        if (type.kind == Kind::Array) each(known(types_.array(type)).element);
        if (type.kind == Kind::Ptr || is_modifier(type.kind) || type.kind == Kind::FuncProto ||
            type.kind == Kind::Var)
            each(type.ref());
        for (__u32 i = 0; type.kind == Kind::FuncProto && i < type.count; ++i)
            each(known(types_.parameter(type, i)).type);
    }
    void note_references() {
        for (__u32 id = 1; id < types_.type_count(); ++id)
            for_each_reference(at(id), [&](__u32 to) {
                if (to < states_.size()) states_[to].referenced = true;
            });
    }

    // --- what stands before what ---

    // All of the type is defined before what comes next. `holder`: the structure that it is for.
    void need_all(__u32 id, __u32 holder) {
        const Type type = at(id);
        if (type.kind == Kind::Array) return need_all(known(types_.array(type)).element, holder);
        if (type.is_struct_or_union()) return need_record(type, holder);
        if (type.kind == Kind::Typedef) return need_typedef(type, true);
        if (is_modifier(type.kind)) return need_all(type.ref(), holder);
        need_name(id, holder);
    }

    // The type can be pointed to.
    void need_name(__u32 id, __u32 holder) {
        const Type type = at(id);
        switch (type.kind) {
            case Kind::Struct:
            case Kind::Union:
                if (type.name_offset == 0) return need_record(type, holder);
                if (id != holder) declare(type);
                return;
            case Kind::Fwd:
                return declare(type);
            case Kind::Enum:
            case Kind::Enum64:
                return need_enum(type);
            case Kind::Typedef:
                return need_typedef(type, false);
            case Kind::Array:
                return need_all(id, holder);
            case Kind::Ptr:
            case Kind::Const:
            case Kind::Volatile:
            case Kind::Restrict:
            case Kind::TypeTag:
                return need_name(type.ref(), holder);
            case Kind::FuncProto:
                for_each_reference(type, [&](__u32 part) { need_name(part, holder); });
                return;
            case Kind::Void:
            case Kind::Int:
            case Kind::Float:
            case Kind::Func:
            case Kind::Var:
            case Kind::Datasec:
            case Kind::DeclTag:
                return;
        }
    }

    void need_record(const Type& type, __u32 holder) {
        State& state = states_[type.id];
        const bool named = type.name_offset != 0;
        if (state.started || state.defined) return;
        state.started = true;
        for (__u32 i = 0; i < type.count; ++i)
            need_all(known(types_.member(type, i)).type, named ? type.id : holder);
        state.started = named;
        if (!named) return;
        state.defined = true;
        text_ += record(type, 0) + ";\n\n";
    }
    void need_enum(const Type& type) {
        State& state = states_[type.id];
        if (state.defined || (type.name_offset == 0 && state.referenced)) return;
        state.defined = true;
        text_ += enumeration(type, 0) + ";\n\n";
    }
    void need_typedef(const Type& type, bool all) {
        State& state = states_[type.id];
        if (all && !state.started) {
            state.started = true;
            need_all(type.ref(), 0);
        }
        if (state.defined) return;
        if (!all && !state.declared) {
            state.declared = true;  // what it names may name it
            need_name(type.ref(), 0);
        }
        if (state.defined || string(type.name_offset) == "__builtin_va_list") return;
        state.defined = true;
        text_ += "typedef " + declaration(type.ref(), name(type), 0) + ";\n\n";
    }
    void declare(const Type& type) {
        State& state = states_[type.id];
        if (state.defined || state.declared) return;
        state.declared = true;
        text_ += fmt::format("{} {};\n\n", keyword(type), name(type));
    }

    // --- text ---

    static const char* keyword(const Type& type) {
        if (type.kind == Kind::Fwd) return type.kind_flag ? "union" : "struct";
        if (type.kind == Kind::Union) return "union";
        return type.kind == Kind::Struct ? "struct" : "enum";
    }

    static std::string unique(std::map<std::string, int>& used, const std::string& name) {
        const int times = ++used[name];
        return times == 1 ? name : fmt::format("{}___{}", name, times);
    }
    // A tag or a typedef; of several types with one name each has its own.
    const std::string& name(const Type& type) {
        std::string& its = states_[type.id].name;
        if (!its.empty() || type.name_offset == 0) return its;
        const std::string plain = string(type.name_offset);
        const bool tag = type.kind != Kind::Typedef;
        its = type.kind == Kind::Fwd ? plain : unique(tag ? tags_ : words_, plain);
        return its;
    }

    static std::string indent(int level) { return std::string(static_cast<size_t>(level), '\t'); }

    // The type without what stands around a name.
    std::string base(const Type& type, int level) {
        switch (type.kind) {
            case Kind::Struct:
            case Kind::Union:
                if (type.name_offset == 0) return record(type, level);
                return fmt::format("{} {}", keyword(type), name(type));
            case Kind::Enum:
            case Kind::Enum64:
                if (type.name_offset == 0) return enumeration(type, level);
                return "enum " + name(type);
            case Kind::Fwd:
                return fmt::format("{} {}", keyword(type), name(type));
            case Kind::Typedef:
                return name(type);
            case Kind::Void:
                return "void";
            default:
                return string(type.name_offset);
        }
    }

    // `inside` is what has been put together from the name outwards.
    std::string declaration(__u32 id, std::string inside, int level) {
        std::string qualifiers;
        Type type = at(id);
        for (; is_modifier(type.kind) && type.kind != Kind::Typedef; type = at(type.ref()))
            qualifiers.insert(0, qualifier(type) + (qualifiers.empty() ? "" : " "));
        switch (type.kind) {
            case Kind::Ptr: {
                const std::string apart = inside.empty() || inside[0] == '[' ? "" : " ";
                if (!qualifiers.empty()) inside = " " + qualifiers + apart + inside;
                const bool called = !inside.empty() && inside[0] == '(';
                return declaration(type.ref(), (called ? "* " : "*") + inside, level);
            }
            case Kind::Array: {
                const auto info = known(types_.array(type));
                // Its own qualifiers are those of its elements, which mostly say so themselves.
                return declaration(info.element, declared(inside) + fmt::format("[{}]", info.count),
                                   level);
            }
            case Kind::FuncProto:
                return declaration(type.ref(), declared(inside) + parameters(type, level), level);
            default:
                break;
        }
        const std::string apart = inside.empty() ? "" : " ";
        return (qualifiers.empty() ? "" : qualifiers + " ") + base(type, level) + apart + inside;
    }
    std::string qualifier(const Type& type) const {
        switch (type.kind) {
            case Kind::Const:
                return "const";
            case Kind::Volatile:
                return "volatile";
            case Kind::Restrict:
                return "restrict";
            default:
                return fmt::format("__attribute__((btf_type_tag(\"{}\")))",
                                   string(type.name_offset));
        }
    }
    static std::string declared(const std::string& inside) {
        return !inside.empty() && inside[0] == '*' ? "(" + inside + ")" : inside;
    }
    std::string parameters(const Type& prototype, int level) {
        std::string text;
        for (__u32 i = 0; i < prototype.count; ++i) {
            const auto parameter = known(types_.parameter(prototype, i));
            if (i != 0) text += ", ";
            const bool variable = parameter.type == 0 && i + 1 == prototype.count && i != 0;
            text += variable ? "..."
                             : declaration(parameter.type, string(parameter.name_offset), level);
        }
        return "(" + (text.empty() ? "void" : text) + ")";
    }

    std::string record(const Type& type, int level) {
        const bool packed = layout_.packed(type);
        std::string text = keyword(type);
        if (type.name_offset != 0) text += " " + name(type);
        text += " {\n";
        __u32 end = 0;
        for (__u32 i = 0; i < type.count; ++i) {
            const Member member = known(types_.member(type, i));
            const __u32 align = packed ? 8 : layout_.align(member.type);
            text += padding(end, member, align, level + 1);
            text +=
                indent(level + 1) + declaration(member.type, string(member.name_offset), level + 1);
            if (member.bit_size != 0) text += fmt::format(": {}", member.bit_size);
            text += ";\n";
            const __u32 size = member.bit_size != 0 ? member.bit_size : layout_.size(member.type);
            end = type.kind == Kind::Union ? 0 : member.bit_offset + size;
        }
        if (type.kind == Kind::Struct) text += tail(type, end, packed, level + 1);
        if (type.count == 0 && type.size() == 0) text.pop_back();
        text += (type.count == 0 && type.size() == 0 ? "" : indent(level)) + "}";
        return text + (packed ? " __attribute__((packed))" : "");
    }

    // Unnamed bits up to where a member lies, if its own rules do not put it there.
    static std::string padding(__u32 end, const Member& member, __u32 align, int level) {
        const bool moves = member.bit_size != 0 ? member.bit_offset > end
                                                : member.bit_offset > round_up(end, align);
        return moves ? bits(end, member.bit_offset, level) : "";
    }
    std::string tail(const Type& type, __u32 end, bool packed, int level) {
        const __u32 size = type.size() * 8;
        const __u32 natural = packed ? 8 : layout_.align(type.id);
        return size > round_up(end, natural) ? bits(end, size, level) : "";
    }
    static std::string bits(__u32 from, __u32 to, int level) {
        struct Unit {
            const char* name;
            __u32 bits;
        };
        constexpr Unit kUnits[] = {{"long", 64}, {"int", 32}, {"short", 16}, {"char", 8}};
        std::string text;
        while (from < to) {
            const auto fits = std::ranges::find_if(
                kUnits, [&](const Unit& unit) { return round_up(from + 1, unit.bits) <= to; });
            const Unit unit = fits == std::end(kUnits) ? kUnits[3] : *fits;
            const __u32 next = std::min(to, round_up(from + 1, unit.bits));
            text += fmt::format("{}{}: {};\n", indent(level), unit.name, next - from);
            from = next;
        }
        return text;
    }

    std::string enumeration(const Type& type, int level) {
        std::string text = "enum";
        if (type.name_offset != 0) text += " " + name(type);
        text += " {\n";
        for (__u32 i = 0; i < type.count; ++i) {
            const auto element = known(types_.enumerator(type, i));
            const bool wide = type.kind == Kind::Enum64;
            const std::string number = type.kind_flag
                                           ? std::to_string(static_cast<__s64>(element.value))
                                       : wide ? std::to_string(element.value)
                                              : std::to_string(static_cast<__u32>(element.value));
            text += fmt::format("{}{} = {}{},\n", indent(level + 1),
                                unique(words_, string(element.name_offset)), number,
                                !wide            ? ""
                                : type.kind_flag ? "LL"
                                                 : "ULL");
        }
        text += indent(level) + "}";
        if (type.size() == 1) text += " __attribute__((mode(byte)))";
        if (type.size() == 2) text += " __attribute__((mode(HI)))";
        return text;
    }

    const View& types_;
    Layout layout_;
    std::vector<State> states_;         // by id
    std::map<std::string, int> tags_;   // names of structures, unions and enumerations so far
    std::map<std::string, int> words_;  // and of typedefs and enumerators
    std::string text_;
};

}  // namespace

std::string c_text(const View& types, const std::vector<__u32>& ids) {
    CWriter writer(types);
    writer.write(ids);
    return kBegin + writer.take() + kEnd;
}

}  // namespace bpftool
