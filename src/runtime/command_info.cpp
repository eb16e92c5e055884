// SPDX-License-Identifier: MIT
//
// BPF_OBJ_GET_INFO_BY_FD. The caller's structure may be older or newer than ours: as much as both
// have is written, and what it says beyond ours must be zero.
#include "runtime/command_context.hpp"
#include "runtime/info_layout.hpp"
#include "spec/program_types.hpp"

namespace ebpf::runtime {
namespace {

// Copies as many ids as there is room for; the number in the structure becomes the total.
void copy_map_ids(const Program& program, linux_abi::ProgInfo& info, u32 room) {
    auto* ids = pointer<u32>(info.map_ids);
    info.nr_map_ids = program.map_count;
    for (u32 i = 0; ids != nullptr && i < room && i < program.map_count; ++i)
        ids[i] = program.maps[i]->id;
}

void fill(CommandContext& c, const Map& map, linux_abi::MapInfo& info) {
    info = {};
    info.type = static_cast<u32>(spec::number(c.dialect, map.info->type));
    info.id = map.id;
    info.key_size = map.key_size;
    info.value_size = map.value_size;
    info.max_entries = map.max_entries;
    info.map_flags = map.flags;
    info.name = map.name;
}

void fill(CommandContext& c, const Program& program, linux_abi::ProgInfo& info) {
    const linux_abi::ProgInfo asked = info;
    info = {};
    info.type = static_cast<u32>(spec::number(c.dialect, program.type));
    info.id = program.id;
    info.load_time = program.loaded_at;
    info.name = program.name;
    info.gpl_compatible = program.gpl_compatible;
    info.verified_insns = program.verified_insns;
    info.map_ids = asked.map_ids;
    copy_map_ids(program, info, asked.nr_map_ids);
    const u32 bytes = program.insn_count * 8;
    info.xlated_prog_insns = asked.xlated_prog_insns;
    info.xlated_prog_len = bytes;
    if (asked.xlated_prog_insns != 0 && bytes != 0) {
        std::memcpy(pointer(asked.xlated_prog_insns), program.insns,
                    asked.xlated_prog_len < bytes ? asked.xlated_prog_len : bytes);
    }
    info.jited_prog_len = program.entry != nullptr ? program.code_bytes : 0;  // its bytes stay ours
}

void fill(CommandContext& c, const Link& link, linux_abi::LinkInfo& info) {
    info = {};
    const auto& column = spec::info(link.attach).in(c.dialect);
    info.type = spec::link_number(c.dialect, column.link);
    info.id = link.id;
    EpochGuard guard(c.runtime.epochs());
    if (guard.status()) info.prog_id = link.binding.program.load(std::memory_order_acquire)->id;
    info.target = link.target;
}

template <typename Info, typename T>
Result<i64> answer(CommandContext& c, const T& object, spec::ObjGetInfoByFdAttr& a) {
    // Linux reads no more than a page of what it does not know (bpf_check_uarg_tail_zero).
    if (a.info_len > 4096) return fail(Errc::TooLarge, {}, "info_len", a.info_len);
    auto* bytes = pointer<std::byte>(a.info);
    for (u32 i = sizeof(Info); i < a.info_len; ++i) {
        if (bytes[i] != std::byte{0}) return fail(Errc::TooLarge, {}, "info_len", a.info_len);
    }
    const u32 size = a.info_len < sizeof(Info) ? a.info_len : sizeof(Info);
    Info info{};
    if (size != 0) std::memcpy(&info, bytes, size);  // memcpy wants pointers, also for nothing
    fill(c, object, info);
    if (size != 0) std::memcpy(bytes, &info, size);
    a.info_len = size;
    return 0;
}

}  // namespace

Result<i64> handle(CommandContext& c, spec::HandleShapeAttr& a) {
    TRY_ASSIGN(const Ref<Object> object, c.session.object(a.fd));
    a.kind = static_cast<u32>(object->kind) + 1;
    a.id = object->id;
    a.map_type = a.key_size = a.value_size = a.map_flags = a.holds_handles = a.value_goes_in = 0;
    a.inner_type = a.inner_key_size = a.inner_value_size = a.inner_max_entries = 0;
    a.inner_flags = a.frozen = 0;
    if (object->kind != ObjectKind::Map) return 0;
    const auto& map = static_cast<const Map&>(*object);
    const u64 value_size = map.user_value_size();
    if (value_size > ~u32{0}) return fail(Errc::TooLarge, {}, "value_size", value_size);
    a.map_type = static_cast<u32>(spec::number(c.dialect, map.info->type));
    a.key_size = map.key_size;
    a.value_size = static_cast<u32>(value_size);
    a.map_flags = map.flags;
    a.holds_handles = map.info->holds_handles();
    a.value_goes_in = map.ops->read_asks_value;
    a.frozen = map.write_gate.frozen();
    if (map.inner.info == nullptr) return 0;
    a.inner_type = static_cast<u32>(spec::number(c.dialect, map.inner.info->type));
    a.inner_key_size = map.inner.key_size;
    a.inner_value_size = map.inner.value_size;
    a.inner_max_entries = map.inner.max_entries;
    a.inner_flags = map.inner.flags;
    return 0;
}

Result<i64> handle(CommandContext& c, spec::ObjGetInfoByFdAttr& a) {
    if (c.dialect != spec::Dialect::Linux) {
        return fail(Errc::NotSupported, {}, "object information in eBPF for Windows' layout");
    }
    TRY_ASSIGN(const Ref<Object> object, c.session.object(a.bpf_fd));
    if (a.info == 0 && a.info_len != 0) return fail(Errc::InvalidPointer, {}, "info");
    switch (object->kind) {
        case ObjectKind::Map:
            return answer<linux_abi::MapInfo>(c, static_cast<const Map&>(*object), a);
        case ObjectKind::Program:
            return answer<linux_abi::ProgInfo>(c, static_cast<const Program&>(*object), a);
        case ObjectKind::Link:
            return answer<linux_abi::LinkInfo>(c, static_cast<const Link&>(*object), a);
    }
    return fail(Errc::InvalidObject);
}

}  // namespace ebpf::runtime
