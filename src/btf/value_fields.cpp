// SPDX-License-Identifier: MIT
#include "btf/value_fields.hpp"

namespace ebpf::btf {
namespace {

struct Row {
    std::string_view name;
    u32 size;
    u32 align;
    i32 ValueFields::* place;
};
constexpr Row kRows[] = {
    {"bpf_spin_lock", kSpinLockBytes, 4, &ValueFields::spin_lock},
    {"bpf_timer", kTimerBytes, 8, &ValueFields::timer},
};

}  // namespace

Result<ValueFields> value_fields(const View& types, u32 value_type) {
    ValueFields found;
    TRY_ASSIGN(const Type value, types.resolve(value_type));
    if (value.kind != Kind::Struct) return found;
    for (u32 i = 0; i < value.count; ++i) {
        TRY_ASSIGN(const Member member, types.member(value, i));
        TRY_ASSIGN(const Type type, types.resolve(member.type));
        if (type.kind != Kind::Struct) continue;
        TRY_ASSIGN(const std::string_view name, types.name(type));
        for (const Row& row : kRows) {
            if (name != row.name || type.size() != row.size) continue;
            if (member.bit_offset % (row.align * 8) != 0)
                return fail(Errc::BadFormat, at_type(value.id), "alignment of a special member", i);
            if (found.*row.place >= 0)
                return fail(Errc::TooLarge, at_type(value.id), "second special member", i);
            found.*row.place = static_cast<i32>(member.bit_offset / 8);
        }
    }
    return found;
}

}  // namespace ebpf::btf
