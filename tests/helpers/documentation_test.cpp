// SPDX-License-Identifier: MIT
// docs/helpers.md is what the tables say, and every helper is there or has a reason.
// CASEMENT_BLESS=1 writes the page anew.
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

#include "gtest/gtest.h"
#include "hooks/xdp_helpers.hpp"
#include "runtime/helpers.hpp"
#include "spec/program_types.hpp"

namespace ebpf::runtime::test {
namespace {

using spec::Dialect;
using spec::Helper;

constexpr Dialect kDialects[] = {Dialect::Linux, Dialect::Windows};

bool in_xdp(Helper helper) {
    for (const auto& row : hooks::xdp_helpers()) {
        if (row.id == static_cast<u32>(helper)) return true;
    }
    return false;
}

bool is_there(Dialect dialect, Helper helper) {
    return helper_address(dialect, helper) != nullptr || in_xdp(helper);
}

std::vector<Helper> all_helpers() {
    std::vector<Helper> all;
    for (int i = 0; i < spec::kHelperCount; ++i) {
        const auto helper = static_cast<Helper>(i);
        for (const Dialect dialect : kDialects) {
            if (spec::number(dialect, helper) >= 0) {
                all.push_back(helper);
                break;
            }
        }
    }
    return all;
}

std::string join(const std::set<std::string>& parts) {
    std::string text;
    for (const std::string& part : parts) text += (text.empty() ? "" : ", ") + part;
    return text;
}

// Of the dialect's program types, those that may call it, in few words.
std::string callers(Dialect dialect, Helper helper) {
    std::set<std::string> may, may_not;
    for (int t = 0; t < spec::kProgramTypeCount; ++t) {
        const auto type = static_cast<spec::ProgramType>(t);
        const spec::ProgramTypeInfo* info = spec::program_info(dialect, type);
        if (info == nullptr || info->helpers.empty()) continue;
        const i32 number = spec::number(dialect, helper);
        const spec::HelperProto* const found =
            number == spec::kByName
                ? spec::find_kfunc(*info, spec::kfunc_id(spec::info(helper).name))
                : spec::find_helper(*info, static_cast<u32>(number));
        const bool allowed = found != nullptr &&
                             (spec::info(helper).callers[static_cast<int>(dialect)] >> t & 1) != 0;
        (allowed ? may : may_not).insert(info->name);
    }
    if (may_not.empty()) return "all";
    if (may.size() <= may_not.size()) return join(may);
    return "all but " + join(may_not);
}

std::string rules(Dialect dialect, Helper helper) {
    const spec::HelperProto& proto = *spec::prototype(dialect, helper);
    std::set<std::string> all;
    if (proto.flags.gpl_only) all.insert("GPL");
    if (proto.flags.privileged) all.insert("privileged");
    if (proto.flags.may_sleep) all.insert("may sleep");
    if (proto.flags.changes_packet) all.insert("changes the packet");
    return join(all);
}

std::string presence(Dialect dialect, Helper helper) {
    if (helper_address(dialect, helper) != nullptr) return "yes";
    if (in_xdp(helper)) return "yes, in XDP programs";
    const char* why = spec::absence(helper);
    return why != nullptr ? why : "no reason is given";
}

std::string hexadecimal(i32 number) {
    if (number == spec::kByName) return "by name";
    std::ostringstream text;
    if (number >= static_cast<i32>(spec::kFirstProgramTypeHelper)) text << "0x" << std::hex;
    text << number;
    return text.str();
}

std::string table(Dialect dialect) {
    std::multimap<i32, Helper> by_number;
    for (const Helper helper : all_helpers()) {
        if (spec::number(dialect, helper) >= 0)
            by_number.emplace(spec::number(dialect, helper), helper);
    }
    std::string text =
        "| number | helper | program types | rules | here |\n|---|---|---|---|---|\n";
    for (const auto& [number, helper] : by_number) {
        const spec::HelperInfo& info = spec::info(helper);
        const std::string result = info.c_result;
        text += "| " + hexadecimal(number) + " | `" + result + (result.back() == '*' ? "" : " ") +
                info.name + "(" + info.c_parameters + ")`: " + info.text + " | " +
                callers(dialect, helper) + " | " + rules(dialect, helper) + " | " +
                presence(dialect, helper) + " |\n";
    }
    return text;
}

std::string page() {
    return "# Helper functions\n\n"
           "Made from `src/spec/helpers.def` and `src/spec/helper_absence.def` by\n"
           "`./dev bless Documentation`, and looked at by the test of that name.\n\n"
           "*here* says whether this library has the helper, else why not: a program that calls it "
           "is verified as that dialect's\nverifier would, and not loaded. What differs from the "
           "other implementations is in [maps.md](maps.md#helpers).\n\n"
           "## Linux\n\n" +
           table(Dialect::Linux) + "\n## eBPF for Windows\n\n" + table(Dialect::Windows);
}

TEST(Documentation, HelpersPageIsCurrent) {
    const char* const path = "docs/helpers.md";
    if (std::getenv("CASEMENT_BLESS") != nullptr) std::ofstream(path) << page();
    std::ifstream file(path);
    std::stringstream found;
    found << file.rdbuf();
    EXPECT_EQ(found.str() == page(), true) << "./dev bless Documentation writes " << path;
}

TEST(Documentation, WhatIsNotThereHasAReason) {
    int there = 0, absent = 0;
    for (const Helper helper : all_helpers()) {
        const char* const name = spec::info(helper).name;
        bool all = true, any = false;
        for (const Dialect dialect : kDialects) {
            if (spec::number(dialect, helper) < 0) continue;
            all &= is_there(dialect, helper);
            any |= is_there(dialect, helper);
        }
        EXPECT_EQ(all, any) << name << " is in one dialect only";
        const char* const why = spec::absence(helper);
        if (any) {
            EXPECT_EQ(why, nullptr) << name << " is there; its line in helper_absence.def can go";
        } else {
            EXPECT_NE(why, nullptr) << name << " needs a line in helper_absence.def";
        }
        ++(any ? there : absent);
    }
    std::printf("%d helpers are there, %d have a reason\n", there, absent);
    std::set<Helper> named;
#define REASON(id, text)
#define ABSENT(reason, helper) \
    EXPECT_TRUE(named.insert(Helper::helper).second) << #helper " is named twice";
#include "spec/helper_absence.def"
}

}  // namespace
}  // namespace ebpf::runtime::test
