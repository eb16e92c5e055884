// SPDX-License-Identifier: MIT
#include "spec/helpers.hpp"

#include "spec/helper_table.hpp"

namespace ebpf::spec {

namespace {

enum class Reason : u8 {
#define REASON(id, text) id,
#define ABSENT(reason, helper)
#include "spec/helper_absence.def"
};
constexpr const char* kReasons[] = {
#define REASON(id, text) text,
#define ABSENT(reason, helper)
#include "spec/helper_absence.def"
};
struct Absent {
    Helper helper;
    Reason reason;
};
constexpr Absent kAbsent[] = {
#define REASON(id, text)
#define ABSENT(reason, helper) {Helper::helper, Reason::reason},
#include "spec/helper_absence.def"
};

}  // namespace

const char* absence(Helper helper) {
    for (const Absent& row : kAbsent) {
        if (row.helper == helper) return kReasons[static_cast<std::size_t>(row.reason)];
    }
    return nullptr;
}

const HelperInfo& info(Helper helper) {
    return helper_table::kRows[static_cast<std::size_t>(helper)].info;
}

i32 number(Dialect dialect, Helper helper) {
    return info(helper).number[static_cast<std::size_t>(dialect)];
}

const HelperProto* prototype(Dialect dialect, Helper helper) {
    const helper_table::Column& column = helper_table::kRows[static_cast<std::size_t>(helper)]
                                             .columns[static_cast<std::size_t>(dialect)];
    return column.number < 0 ? nullptr : &column.proto;
}

std::optional<Helper> helper_from_number(Dialect dialect, u32 number) {
    if (number == 0 || number >= kFirstProgramTypeHelper) return std::nullopt;
    for (const helper_table::Row& row : helper_table::kRows) {
        if (row.info.number[static_cast<std::size_t>(dialect)] == static_cast<i32>(number)) {
            return row.info.id;
        }
    }
    return std::nullopt;
}

namespace {

const helper_table::Column* kfunc(Dialect dialect, u32 id) {
    for (const helper_table::Row& row : helper_table::kRows) {
        const helper_table::Column& column = row.columns[static_cast<std::size_t>(dialect)];
        if (column.number == kByName && kfunc_id(column.proto.name) == id) return &column;
    }
    return nullptr;
}

}  // namespace

const HelperProto* find_kfunc(const ProgramTypeInfo& type, u32 id) {
    const helper_table::Column* const found = kfunc(type.dialect, id);
    if (found == nullptr) return nullptr;
    return (found->callers >> static_cast<u32>(type.type) & 1) != 0 ? &found->proto : nullptr;
}

bool has_kfunc(Dialect dialect, std::string_view name) {
    const helper_table::Column* const found = kfunc(dialect, kfunc_id(name));
    return found != nullptr && found->proto.flags.implemented;
}

}  // namespace ebpf::spec
