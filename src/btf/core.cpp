// SPDX-License-Identifier: MIT
//
// One question, put to all candidates. What a candidate is and where in it the answer stands is
// core_match.cpp's to say, what the answer is core_place.cpp's.
#include "btf/core.hpp"

#include <string>

#include "btf/core_match.hpp"

namespace ebpf::btf {
namespace {

Result<CoreKind> kind_of(const View& types, const CoreRecord& record) {
    TRY(types.type(record.type));
    if (record.kind >= kCoreKindCount) {
        return fail(Errc::Unsupported, at_type(record.type), "kind of CO-RE relocation",
                    record.kind);
    }
    return static_cast<CoreKind>(record.kind);
}

// Whether "there is none" is an answer.
bool may_be_missing(CoreKind kind) {
    return kind == CoreKind::FieldExists ||
           (!is_field_kind(kind) && kind != CoreKind::EnumvalValue);
}

Result<bool> fits(CoreMatcher& matcher, const CorePlace& wanted, u32 candidate, CoreKind kind,
                  CorePlace& found, CoreReason& reason) {
    if (is_field_kind(kind)) return matcher.find_field(wanted, candidate, found, reason);
    if (is_enumerator_kind(kind)) return matcher.find_enumerator(wanted, candidate, found, reason);
    found = {.root = candidate, .steps = {}, .type = candidate};
    return kind == CoreKind::TypeMatches ? matcher.is_match(wanted.root, candidate)
                                         : matcher.is_compatible(wanted.root, candidate);
}

// Zero-extended loads may be made wider or narrower: of pointers and of unsigned numbers.
Result<bool> may_resize(const View& local, u32 local_type, const View& target, u32 type) {
    TRY_ASSIGN(const Type here, local.type(local_type));
    TRY_ASSIGN(const Type there, target.type(type));
    if (here.kind == Kind::Ptr && there.kind == Kind::Ptr) return true;
    if (here.kind != Kind::Int || there.kind != Kind::Int) return false;
    TRY_ASSIGN(const IntInfo number, local.integer(here));
    TRY_ASSIGN(const IntInfo its_number, target.integer(there));
    return !number.is_signed() && !its_number.is_signed();
}

// The answer of one candidate beside the object's own.
Result<CoreAnswer> compare(const View& local, const CoreMeasure& own, const View& target,
                           const CoreMeasure& its) {
    CoreAnswer answer{.value = its.value, .local_size = own.size, .size = its.size};
    if (own.is_fixed) answer.local = own.value;
    if (own.size == its.size) return answer;
    TRY_ASSIGN(answer.may_resize, may_resize(local, own.type, target, its.type));
    if (!answer.may_resize) {
        answer.reason = {.what = CoreReason::What::OtherSize,
                         .type = its.type,
                         .value = own.size,
                         .other_value = its.size};
    }
    return answer;
}

constexpr std::size_t kMaxShown = 128;  // characters of a name

// "struct task_struct", "typedef u32", "union (no name)".
std::string type_text(const View& types, u32 id) {
    constexpr const char* kWords[kKindCount] = {
        "void",        "type",    "pointer", "array", "struct", "union",    "enum",
        "declaration", "typedef", "type",    "type",  "type",   "function", "prototype",
        "variable",    "section", "type",    "tag",   "tag",    "enum"};
    const auto type = types.type(id);
    if (!type) return "type " + std::to_string(id);
    const auto name = types.name(*type);
    const bool named = name && !name->empty();
    const std::string text(named ? name->substr(0, kMaxShown) : std::string_view("(no name)"));
    return std::string(kWords[static_cast<int>(type->kind)]) + " " + text;
}

// A part of an access, an element with the name of its array: "'pid'", "'comm[3]'".
std::string step_text(const CorePlace& place, u32 last) {
    std::string text;
    for (u32 i = 0; i < place.steps.size() && i <= last; ++i) {
        const CoreStep& step = place.steps[i];
        if (!step.name.empty()) {
            text = step.name.substr(0, kMaxShown);
        } else if (i > 0) {
            text += "[" + std::to_string(step.index) + "]";
        }
    }
    return "'" + text + "'";
}

}  // namespace

Result<u64> core_value(const View& types, const CoreRecord& record) {
    TRY_ASSIGN(const CoreKind kind, kind_of(types, record));
    TRY_ASSIGN(const CorePlace place, read_place(types, record, kind));
    TRY_ASSIGN(const CoreMeasure own, measure(types, place, kind));
    return own.value;
}

const CoreAnswer& CoreResolver::resolve(const CoreRecord& record) {
    constexpr std::size_t kMaxQuestions = std::size_t{1} << 20;  // different ones of an object
    const std::tuple question(record.type, record.access, record.kind);
    if (answers_.size() >= kMaxQuestions && !answers_.contains(question)) {
        too_many_.error = fail(Errc::TooLarge, {}, "CO-RE relocations", kMaxQuestions).error();
        return too_many_;
    }
    const auto [entry, is_new] = answers_.try_emplace(question);
    if (!is_new) return entry->second;
    if (auto answered = answer(record)) {
        entry->second = *answered;
    } else {
        entry->second.error = answered.error();
    }
    return entry->second;
}

Result<CoreAnswer> CoreResolver::answer(const CoreRecord& record) {
    TRY_ASSIGN(const CoreKind kind, kind_of(local_, record));
    if (kind != CoreKind::TypeIdLocal) return ask(record, kind);
    CoreAnswer own;
    own.value = record.type;
    return own;
}

// The target's types of the same name, once for all questions about a type.
Result<std::vector<u32>*> CoreResolver::candidates(u32 local_type) {
    const auto known = candidates_.find(local_type);
    if (known != candidates_.end()) return &known->second;
    TRY_ASSIGN(const Type type, local_.type(local_type));
    TRY_ASSIGN(const std::string_view name, local_.name(type));
    if (name.empty()) {
        return fail(Errc::Unsupported, at_type(local_type),
                    "CO-RE relocation about a type without a name");
    }
    std::vector<u32> found;
    for (const u32 id : target_.candidates(name)) {
        TRY(spend(budget_));
        TRY_ASSIGN(const Type candidate, target_->type(id));
        TRY_ASSIGN(
            const bool same_name,
            same_essential_name(local_, type.name_offset, target_.view(), candidate.name_offset));
        if (same_name && same_core_kind(type, candidate)) found.push_back(id);
    }
    return &candidates_.emplace(local_type, std::move(found)).first->second;
}

Result<CoreAnswer> CoreResolver::ask(const CoreRecord& record, CoreKind kind) {
    TRY_ASSIGN(const CorePlace wanted, read_place(local_, record, kind));
    if (wanted.is_unnamed) {
        return fail(Errc::Unsupported, at_type(record.type),
                    "CO-RE relocation about a member without a name");
    }
    TRY_ASSIGN(const CoreMeasure own, measure(local_, wanted, kind));
    TRY_ASSIGN(std::vector<u32>* const of_name, candidates(record.type));

    CoreMatcher matcher(local_, target_.view(), budget_);
    CoreReason why_none{.what = CoreReason::What::NoType};
    std::optional<CoreAnswer> answer;
    u64 bit_offset = 0;
    std::vector<u32> fitting;
    for (const u32 candidate : *of_name) {
        CorePlace found;
        CoreReason reason{.what = CoreReason::What::OtherType, .type = candidate};
        TRY_ASSIGN(const bool fit, fits(matcher, wanted, candidate, kind, found, reason));
        if (!fit) {
            why_none = reason;
            continue;
        }
        TRY_ASSIGN(const CoreMeasure its, measure(target_.view(), found, kind));
        fitting.push_back(candidate);
        if (!answer) {
            TRY_ASSIGN(answer, compare(local_, own, target_.view(), its));
            bit_offset = found.bit_offset;
        } else if (its.value != answer->value || found.bit_offset != bit_offset) {
            answer->error = fail(Errc::AmbiguousTypes, at_type(record.type)).error();
            answer->reason = {.what = CoreReason::What::Ambiguous,
                              .type = fitting[0],
                              .other_type = candidate,
                              .value = answer->value,
                              .other_value = its.value};
            return *answer;
        }
    }
    if (answer) {
        *of_name = std::move(fitting);
        return *answer;
    }
    CoreAnswer none{.missing = !may_be_missing(kind), .reason = why_none};
    if (own.is_fixed) none.local = own.value;
    return none;
}

std::string CoreResolver::explain(const CoreRecord& record) const {
    const auto known = answers_.find(std::tuple(record.type, record.access, record.kind));
    if (known == answers_.end()) return {};
    const CoreReason& reason = known->second.reason;
    const auto read = read_place(local_, record, static_cast<CoreKind>(record.kind));
    const CorePlace wanted = read ? *read : CorePlace{};
    const std::string type = type_text(target_.view(), reason.type);
    const std::string own_type = type_text(local_, record.type);
    const auto gives = [&](u32 id, u64 value) {
        return type_text(target_.view(), id) + " (type " + std::to_string(id) + ") gives " +
               std::to_string(value);
    };
    switch (reason.what) {
        case CoreReason::What::None:
            return {};
        case CoreReason::What::NoType:
            return "there is no " + own_type;
        case CoreReason::What::OtherType:
            return type + " is another than the program's";
        case CoreReason::What::NoMember:
            return type + " has no member " + step_text(wanted, reason.step);
        case CoreReason::What::OtherMember:
            return "member " + step_text(wanted, reason.step) + " of " + type +
                   " is of another kind than the program's";
        case CoreReason::What::NoElement:
            return own_type + " has no " + step_text(wanted, reason.step);
        case CoreReason::What::NoEnumerator:
            return type + " has no enumerator " + step_text(wanted, 0);
        case CoreReason::What::OtherSize:
            return step_text(wanted, ~0u) + " of " + own_type + " has " +
                   std::to_string(reason.other_value) + " bytes where the program's has " +
                   std::to_string(reason.value) + ", and is neither a pointer nor unsigned";
        case CoreReason::What::Ambiguous:
            return gives(reason.type, reason.value) + ", " +
                   gives(reason.other_type, reason.other_value);
    }
    return {};
}

}  // namespace ebpf::btf
