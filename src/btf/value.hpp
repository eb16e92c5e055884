// SPDX-License-Identifier: MIT
//
// A value by its type: what a tool shows of bytes that a program left in a map. The walk goes from
// the outside in and tells a visitor each part, so that text, JSON or a comparison are made without
// a tree between. User mode.
#pragma once

#include <functional>

#include "btf/btf.hpp"

namespace ebpf::btf {

struct ValuePart {
    enum class Kind : u8 {
        Structure,   // its parts follow, each with a name, up to End
        Array,       // its parts follow, without names, up to End
        End,         // of the last Structure or Array that is open
        Signed,      // `low`
        Unsigned,    // `low`
        Bits,        // `low` and `high`: a bit field, or an integer of more than 64 bits
        Boolean,     // `low`: 0 or 1
        Character,   // `low`
        Text,        // `text`: an array of characters up to its NUL, all of them printable
        Enumerator,  // `text`; a value that none has is Signed
        Pointer,     // `low`
        Real,        // `real`
        Unknown,     // a type that has no value: void, a function
    };
    Kind kind{};
    std::string_view name;  // in a structure; empty for an anonymous member
    u64 low = 0;
    u64 high = 0;
    double real = 0;
    std::string_view text;
};
using ValueVisitor = std::function<void(const ValuePart&)>;

// `types` have been validated; the value's size is that of the type. The walk is bounded, whatever
// the types say: TooLarge for structures nested too deep or for more parts than such a value can
// have (elements of no size). Other errors: Truncated where a part lies outside of `value`,
// BadFormat for one between bytes that is no integer, those of View.
Status walk_value(const View& types, u32 type, Bytes value, const ValueVisitor& visit);

}  // namespace ebpf::btf
