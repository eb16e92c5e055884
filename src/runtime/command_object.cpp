// SPDX-License-Identifier: MIT
// Commands on objects of any kind: handles, ids, pins.
#include "runtime/command_context.hpp"
#include "runtime/pin_path.hpp"

namespace ebpf::runtime {
namespace {

template <typename Attr>
Status check_next_id(const Attr& a) {
    if (a.open_flags != 0) return fail(Errc::InvalidArgument, {}, "open_flags", a.open_flags);
    constexpr u32 kMaxId = 0x7fffffff;  // Linux's are positive numbers
    if (a.start_id >= kMaxId) return fail(Errc::InvalidArgument, {}, "start_id", a.start_id);
    return {};
}

template <typename Attr>
Result<i64> next_id(CommandContext& c, ObjectKind kind, Attr& a) {
    TRY(check_next_id(a));
    const u32 id = c.runtime.ids(kind).next(a.start_id);
    if (id == 0) return fail(Errc::NoMoreKeys, {}, "ids");
    a.next_id = id;
    return 0;
}

Result<i64> open_by_id(CommandContext& c, ObjectKind kind, u32 id, u32 open_flags) {
    if (open_flags != 0) return fail(Errc::InvalidArgument, {}, "open_flags", open_flags);
    Object* found = c.runtime.ids(kind).find(id);
    if (found == nullptr) return fail(Errc::ObjectNotFound, {}, "id", id);
    const Ref<Object> object = Ref<Object>::adopt(found);
    return c.session.open(*object);
}

}  // namespace

Result<i64> handle(CommandContext& c, spec::HandleCloseAttr& a) {
    TRY(c.session.close(a.fd));
    return 0;
}

Result<i64> handle(CommandContext& c, spec::HandleDuplicateAttr& a) {
    TRY_ASSIGN(const Ref<Object> object, c.session.object(a.fd));
    return c.session.open(*object);
}

Result<i64> handle(CommandContext& c, spec::MapGetNextIdAttr& a) {
    return next_id(c, ObjectKind::Map, a);
}
Result<i64> handle(CommandContext& c, spec::ProgGetNextIdAttr& a) {
    return next_id(c, ObjectKind::Program, a);
}
Result<i64> handle(CommandContext& c, spec::LinkGetNextIdAttr& a) {
    return next_id(c, ObjectKind::Link, a);
}

Result<i64> handle(CommandContext& c, spec::MapGetFdByIdAttr& a) {
    return open_by_id(c, ObjectKind::Map, a.map_id, a.open_flags);
}
Result<i64> handle(CommandContext& c, spec::ProgGetFdByIdAttr& a) {
    return open_by_id(c, ObjectKind::Program, a.prog_id, a.open_flags);
}
Result<i64> handle(CommandContext& c, spec::LinkGetFdByIdAttr& a) {
    return open_by_id(c, ObjectKind::Link, a.link_id, a.open_flags);
}

Result<i64> handle(CommandContext& c, spec::BtfGetNextIdAttr& a) {
    return next_id(c, ObjectKind::Btf, a);
}
Result<i64> handle(CommandContext& c, spec::BtfGetFdByIdAttr& a) {
    return open_by_id(c, ObjectKind::Btf, a.btf_id, a.open_flags);
}

Result<i64> handle(CommandContext& c, spec::ObjPinAttr& a) {
    if (a.file_flags != 0) return fail(Errc::InvalidArgument, {}, "file_flags", a.file_flags);
    const auto object = c.session.object(a.bpf_fd);  // Linux tells no bad one from another here
    if (!object || (*object)->kind == ObjectKind::Btf || (*object)->kind == ObjectKind::Statistics)
        return fail(Errc::InvalidArgument, {}, "bpf_fd", a.bpf_fd);
    PinPath path;
    TRY(path.read(c.dialect, pointer<const char>(a.pathname)));
    TRY(c.runtime.pins().add(path.view(), **object));
    return 0;
}

Result<i64> handle(CommandContext& c, spec::ObjGetAttr& a) {
    if (a.file_flags != 0) return fail(Errc::InvalidArgument, {}, "file_flags", a.file_flags);
    if (a.bpf_fd != 0) return fail(Errc::InvalidArgument, {}, "bpf_fd", a.bpf_fd);
    PinPath path;
    TRY(path.read(c.dialect, pointer<const char>(a.pathname)));
    Object* found = c.runtime.pins().find(path.view());
    if (found == nullptr) return fail(Errc::ObjectNotFound, {}, "nothing is pinned at this path");
    const Ref<Object> object = Ref<Object>::adopt(found);
    return c.session.open(*object);
}

Result<i64> handle(CommandContext& c, spec::ObjUnpinAttr& a) {
    PinPath path;
    TRY(path.read(c.dialect, pointer<const char>(a.pathname)));
    TRY(c.runtime.pins().remove(path.view()));
    return 0;
}

Result<i64> handle(CommandContext& c, spec::PinGetNextAttr& a) {
    // The numbers of the attribute's `type`.
    constexpr ObjectKind kKinds[] = {ObjectKind::Map, ObjectKind::Link, ObjectKind::Program};
    if (a.type > std::size(kKinds)) return fail(Errc::InvalidArgument, {}, "type", a.type);
    const ObjectKind* kind = a.type == 0 ? nullptr : &kKinds[a.type - 1];
    PinPath start;
    const auto* after = pointer<const char>(a.start);
    if (after != nullptr && *after != '\0') TRY(start.read(c.dialect, after));
    if (a.path == 0) return fail(Errc::InvalidPointer, {}, "path");
    TRY_ASSIGN(const ObjectKind found, next_pin(c.runtime.pins(), c.dialect, start.view(), kind,
                                                {pointer<char>(a.path), a.path_len}));
    a.type = static_cast<u32>(found) + 1;
    return 0;
}

// Runs are measured as long as somebody has the handle that this gives.
Result<i64> handle(CommandContext& c, spec::EnableStatsAttr& a) {
    constexpr u32 kRunTime = 0;  // BPF_STATS_RUN_TIME
    if (a.type != kRunTime) return fail(Errc::InvalidArgument, {}, "type", a.type);
    void* memory = platform::allocate(sizeof(Object));
    if (memory == nullptr) return fail(Errc::NoMemory, {}, "statistics");
    auto* wanted = new (memory) Object;
    wanted->kind = ObjectKind::Statistics;
    wanted->forgotten = [](Object& self) { self.runtime->forgo_statistics(); };
    if (const Status adopted = c.runtime.adopt(*wanted); !adopted) {
        platform::release(memory);
        return std::unexpected(adopted.error());
    }
    const auto object = Ref<Object>::adopt(wanted);
    TRY_ASSIGN(const u32 handle, c.session.open(*object));
    c.runtime.want_statistics();
    return handle;
}

Result<i64> handle(CommandContext& c, spec::EpochSynchronizeAttr& a) {
    if (a.flags != 0) return fail(Errc::InvalidArgument, {}, "flags", a.flags);
    c.runtime.epochs().synchronize();
    return 0;
}

}  // namespace ebpf::runtime
