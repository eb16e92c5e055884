// SPDX-License-Identifier: MIT
#include "ir/kernel_arguments.hpp"

#include <algorithm>

#include "btf/access.hpp"

namespace ebpf::ir {
namespace {

using spec::AttachType;

// How the kernel's type information names what is attached to, by attach type.
struct Attachment {
    AttachType attach{};
    std::string_view prefix;
    btf::Kind kind{};  // Func; a Typedef of a pointer to the function for tracepoints
    u32 skipped = 0;   // leading parameters that programs do not get
    bool result = false;
};

constexpr Attachment kAttachments[] = {
    {AttachType::TraceRawTp, "btf_trace_", btf::Kind::Typedef, 1},
    {AttachType::TraceFentry, "", btf::Kind::Func},
    {AttachType::TraceFexit, "", btf::Kind::Func, 0, true},
    {AttachType::ModifyReturn, "", btf::Kind::Func, 0, true},
    {AttachType::LsmMac, "bpf_lsm_", btf::Kind::Func},
    {AttachType::TraceIter, "bpf_iter_", btf::Kind::Func},
};

Result<btf::Type> prototype(const btf::Types& types, const btf::Type& named) {
    TRY_ASSIGN(btf::Type type, types->resolve(named.ref()));
    if (type.kind == btf::Kind::Ptr) {
        TRY_ASSIGN(type, types->resolve(type.ref()));
    }
    if (type.kind != btf::Kind::FuncProto)
        return fail(Errc::BadFormat, at_type(named.id), "a function's prototype");
    return type;
}

// Structures that are handed over by value take as many slots as they need.
Status add_argument(const btf::Types& types, u32 type, KernelArguments& arguments) {
    constexpr u64 kMostSlots = 2;  // Linux's calling convention takes no larger structures
    TRY_ASSIGN(const u64 size, types->size_of(type));
    const u64 slots = std::max<u64>((size + 7) / 8, 1);
    if (slots > kMostSlots) return fail(Errc::Unsupported, at_type(type), "a large argument", size);
    arguments.insert(arguments.end(), slots,
                     slots == 1 ? btf::pointed_structure(types.view(), type) : 0);
    return {};
}

}  // namespace

Result<KernelArguments> kernel_arguments(const btf::Types& types, AttachType attach,
                                         std::string_view target) {
    const auto* const found = std::ranges::find(kAttachments, attach, &Attachment::attach);
    if (found == std::end(kAttachments))
        return fail(Errc::Unsupported, {}, "arguments at this attach type",
                    static_cast<u64>(attach));
    TRY_ASSIGN(const btf::Type named,
               types.find(found->kind, std::string(found->prefix) + std::string(target)));
    TRY_ASSIGN(const btf::Type function, prototype(types, named));
    KernelArguments arguments;
    for (u32 i = found->skipped; i < function.count; ++i) {
        TRY_ASSIGN(const btf::Parameter parameter, types->parameter(function, i));
        if (parameter.type == 0) break;  // "...": nothing more is known
        TRY(add_argument(types, parameter.type, arguments));
    }
    if (found->result) {
        // A function without a result leaves 0 there.
        arguments.push_back(btf::pointed_structure(types.view(), function.ref()));
    }
    return arguments;
}

}  // namespace ebpf::ir
