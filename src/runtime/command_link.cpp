// SPDX-License-Identifier: MIT
// Commands that put programs on hooks and take them off.
#include "runtime/command_context.hpp"

namespace ebpf::runtime {
namespace {

// if_link.h: XDP_FLAGS_UPDATE_IF_NOEXIST, XDP_FLAGS_REPLACE.
constexpr u32 kIfNoExist = EBPF_ATTACH_IF_NONE;
constexpr u32 kReplace = EBPF_ATTACH_REPLACE;
constexpr u32 kXdpModes = 0x02 | 0x04;  // XDP_FLAGS_SKB_MODE, XDP_FLAGS_DRV_MODE

struct Hook {
    spec::AttachType attach{};
    const ebpf_hook_provider_t* provider = nullptr;
};

// The provider for an attach type's number in the caller's dialect.
Result<Hook> hook_of(CommandContext& c, u32 number) {
    const auto attach = spec::attach_type_from_number(c.dialect, number);
    if (!attach) return fail(Errc::InvalidArgument, {}, "attach_type", number);
    const spec::AttachTypeColumn& column = spec::info(*attach).in(c.dialect);
    const auto* provider = c.runtime.provider(column.program, *attach);
    if (provider == nullptr) return fail(Errc::NotSupported, {}, column.name);
    return Hook{*attach, provider};
}

Status check_type(const Hook& hook, const Program& program) {
    if (static_cast<u32>(program.type) != hook.provider->program_type) {
        return fail(Errc::InvalidArgument, {}, "program of another type than the hook's");
    }
    return {};
}

}  // namespace

Result<i64> handle(CommandContext& c, spec::LinkCreateAttr& a) {
    TRY_ASSIGN(const Ref<Program> program, program_of(c, a.prog_fd));
    TRY_ASSIGN(const Hook hook, hook_of(c, a.attach_type));
    TRY(check_type(hook, *program));
    // Linux's XDP modes say which driver runs the program; here there is one.
    const u32 modes = hook.attach == spec::AttachType::Xdp ? kXdpModes : 0;
    if ((a.flags & ~modes) != 0) return fail(Errc::InvalidArgument, {}, "flags", a.flags);
    if (a.iter_info_len != 0) return fail(Errc::NotSupported, {}, "attach parameter");
    Result<Ref<Link>> link = c.runtime.links().attach(c.runtime, *program, *hook.provider,
                                                      hook.attach, a.target_fd, false);
    if (!link && link.error() == Errc::NoDevice)  // as Linux says it here
        return fail(Errc::InvalidArgument, {}, "target_ifindex", a.target_fd);
    if (!link) return std::unexpected(link.error());
    return c.session.open(**link);
}

Result<i64> handle(CommandContext& c, spec::LinkUpdateAttr& a) {
    constexpr u32 kReplaceProgram = 1u << 2;  // BPF_F_REPLACE
    if ((a.flags & ~kReplaceProgram) != 0) return fail(Errc::InvalidArgument, {}, "flags", a.flags);
    TRY_ASSIGN(const Ref<Link> link, link_of(c, a.link_fd));
    TRY_ASSIGN(const Ref<Program> program, program_of(c, a.new_prog_fd));
    Ref<Program> old;
    if ((a.flags & kReplaceProgram) != 0) {
        if (a.old_prog_fd == 0) return fail(Errc::InvalidArgument, {}, "old_prog_fd");
        TRY_ASSIGN(old, program_of(c, a.old_prog_fd));
    } else if (a.old_prog_fd != 0) {
        return fail(Errc::InvalidArgument, {}, "old_prog_fd", a.old_prog_fd);
    }
    if (!link->attached.load()) return fail(Errc::NoLink, {}, "link_fd", a.link_fd);
    const Status replaced = c.runtime.links().replace(*link, *program, old.get());
    if (!replaced && replaced.error() == Errc::Busy)
        return fail(Errc::AccessDenied, {}, "another program than old_prog_fd is attached");
    TRY(replaced);
    return 0;
}

Result<i64> handle(CommandContext& c, spec::LinkDetachAttr& a) {
    TRY_ASSIGN(const Ref<Link> link, link_of(c, a.link_fd));
    c.runtime.links().detach(*link);
    return 0;
}

// Without a link: what netlink does for XDP on Linux. One such program per target; it stays until
// it is detached or replaced.
Result<i64> handle(CommandContext& c, spec::ProgAttachAttr& a) {
    if ((a.attach_flags & ~(kIfNoExist | kReplace)) != 0) {
        return fail(Errc::InvalidArgument, {}, "attach_flags", a.attach_flags);
    }
    TRY_ASSIGN(const Ref<Program> program, program_of(c, a.attach_bpf_fd));
    TRY_ASSIGN(const Hook hook, hook_of(c, a.attach_type));
    TRY(check_type(hook, *program));
    Ref<Program> expected;
    if (a.replace_bpf_fd != 0) {
        TRY_ASSIGN(expected, program_of(c, a.replace_bpf_fd));
        TRY(check_type(hook, *expected));
    }
    Links& links = c.runtime.links();
    const bool replaces = expected || (a.attach_flags & kReplace) != 0;
    if (const Ref<Link> current = links.at(*hook.provider, a.target_fd, 0)) {
        if (!current->legacy) return fail(Errc::Busy, {}, "attached by a link", a.target_fd);
        if (replaces && current->binding.program.load() != expected.get())
            return fail(Errc::ObjectAlreadyExists, {}, "another program at target", a.target_fd);
        if ((a.attach_flags & kIfNoExist) != 0)
            return fail(Errc::Busy, {}, "a program is attached at target", a.target_fd);
        const Status replaced = links.replace(*current, *program, expected.get());
        if (!replaced && replaced.error() == Errc::Busy)
            return fail(Errc::ObjectAlreadyExists, {}, "another program at target", a.target_fd);
        TRY(replaced);
        return 0;
    }
    if (expected)
        return fail(Errc::ObjectAlreadyExists, {}, "no program to replace at target", a.target_fd);
    TRY_ASSIGN(const Ref<Link> link,
               links.attach(c.runtime, *program, *hook.provider, hook.attach, a.target_fd, true));
    link->legacy_use.store(true);  // until PROG_DETACH
    acquire_user(*link);
    return 0;
}

Result<i64> handle(CommandContext& c, spec::ProgDetachAttr& a) {
    if ((a.attach_flags & ~(kIfNoExist | kReplace | kXdpModes)) != 0) {
        return fail(Errc::InvalidArgument, {}, "attach_flags", a.attach_flags);
    }
    TRY_ASSIGN(const Hook hook, hook_of(c, a.attach_type));
    Ref<Program> expected;
    if (a.attach_bpf_fd != 0) {
        TRY_ASSIGN(expected, program_of(c, a.attach_bpf_fd));
    }
    const Ref<Link> link = c.runtime.links().at(*hook.provider, a.target_fd, 0);
    if (!link)
        return fail(Errc::ObjectNotFound, {}, "no program is attached at target", a.target_fd);
    if (!link->legacy) return fail(Errc::Busy, {}, "attached by a link");
    if ((expected || (a.attach_flags & kReplace) != 0) &&
        link->binding.program.load() != expected.get()) {
        return fail(Errc::ObjectAlreadyExists, {}, "another program is attached");
    }
    // Of two that detach at once, one gives up the hook's use of the link.
    if (!link->attached.load()) return 0;
    c.runtime.links().detach(*link);
    if (link->legacy_use.exchange(false)) release_user(*link);
    return 0;
}

Result<i64> handle(CommandContext& c, spec::ProgQueryAttr& a) {
    TRY_ASSIGN(const Hook hook, hook_of(c, a.attach_type));
    if (a.query_flags != 0) return fail(Errc::InvalidArgument, {}, "query_flags", a.query_flags);
    const u32 room = a.prog_cnt;
    auto* ids = pointer<u32>(a.prog_ids);
    a.attach_flags = 0;
    a.prog_cnt = 0;
    while (const Ref<Link> link = c.runtime.links().at(*hook.provider, a.target_fd, a.prog_cnt)) {
        EpochGuard guard(c.runtime.epochs());
        TRY(guard.status());
        if (ids != nullptr && a.prog_cnt < room) {
            ids[a.prog_cnt] = link->binding.program.load(std::memory_order_acquire)->id;
        }
        ++a.prog_cnt;
    }
    if (ids != nullptr && a.prog_cnt > room)
        return fail(Errc::InsufficientBuffer, {}, "prog_cnt", room);
    return 0;
}

}  // namespace ebpf::runtime
