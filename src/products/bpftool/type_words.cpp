// SPDX-License-Identifier: MIT
// Types in words, as Linux's bpftool writes prototypes.
#include <fmt/format.h>

#include "products/bpftool/dump.hpp"

namespace bpftool {
namespace {

using ebpf::btf::Kind;
using ebpf::btf::Type;
using ebpf::btf::View;

// Validated types end, but a pointer may lead to what it stands in.
constexpr int kDeepest = 64;

class Writer {
  public:
    explicit Writer(const View& types) : types_(types) {}

    void type(__u32 id, int depth = 0) {
        const auto found = types_.type(id);
        if (!found || depth > kDeepest) {
            text_ += "? ";
            return;
        }
        const Type& type = *found;
        const auto named = [&](const char* before) { text_ += before + name(type) + " "; };
        const auto around = [&](const char* before, const char* after) {
            text_ += before;
            this->type(type.ref(), depth + 1);
            text_ += after;
        };
        switch (type.kind) {
            case Kind::Void:
                text_ += "void ";
                return;
            case Kind::Int:
            case Kind::Typedef:
            case Kind::Float:
                return named("");
            case Kind::Struct:
                return named("struct ");
            case Kind::Union:
                return named("union ");
            case Kind::Enum:
            case Kind::Enum64:
                return named("enum ");
            case Kind::Fwd:
                return named(type.kind_flag ? "union " : "struct ");
            case Kind::Ptr:
                return around("", "* ");
            case Kind::Const:
                return around("const ", "");
            case Kind::Volatile:
                return around("volatile ", "");
            case Kind::Restrict:
            case Kind::TypeTag:
            case Kind::DeclTag:
            case Kind::Var:
            case Kind::Datasec:
                return around("", "");
            case Kind::Array:
                return array(type, depth);
            case Kind::Func:
                return function(type, depth);
            case Kind::FuncProto:
                this->type(type.ref(), depth + 1);
                return parameters(type, depth);
        }
    }
    std::string take() { return std::move(text_); }

  private:
    std::string name(const Type& type) const { return name(type.name_offset); }
    std::string name(__u32 offset) const { return std::string(types_.string(offset).value_or("")); }

    void array(const Type& type, int depth) {
        const auto info = types_.array(type);
        if (!info) return;
        this->type(info->element, depth + 1);
        text_ += fmt::format("[{}]", info->count);
    }
    void function(const Type& type, int depth) {
        const auto prototype = types_.type(type.ref());
        if (!prototype || prototype->kind != Kind::FuncProto) return;
        this->type(prototype->ref(), depth + 1);
        text_ += name(type);
        parameters(*prototype, depth);
    }
    void parameters(const Type& prototype, int depth) {
        text_ += "(";
        for (__u32 i = 0; i < prototype.count; ++i) {
            const auto parameter = types_.parameter(prototype, i);
            if (!parameter) continue;
            if (i != 0) text_ += ", ";
            if (parameter->type == 0) {  // of a variable number of them
                text_ += "...";
                continue;
            }
            this->type(parameter->type, depth + 1);
            text_ += name(parameter->name_offset);
        }
        text_ += ")";
    }

    const View& types_;
    std::string text_;
};

}  // namespace

std::string type_words(const View& types, __u32 type) {
    Writer writer(types);
    writer.type(type);
    return writer.take();
}

}  // namespace bpftool
