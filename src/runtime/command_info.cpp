// SPDX-License-Identifier: MIT
//
// BPF_OBJ_GET_INFO_BY_FD. The caller's structure may be older or newer than ours: as much as both
// have is written, and what it says beyond ours must be zero.
#include "base/sha256.hpp"
#include "isa/codec.hpp"
#include "runtime/btf_object.hpp"
#include "runtime/command_context.hpp"
#include "runtime/info_layout.hpp"
#include "spec/program_types.hpp"

namespace ebpf::runtime {
namespace {

// As many elements as there is room for; the number in the structure becomes the total.
Status copy_out(u64 to, u32& count, const void* from, u32 total, u32 size) {
    const u32 room = count < total ? count : total;
    count = total;
    if (room == 0) return {};
    if (to == 0) return fail(Errc::InvalidPointer, {}, "array of the information");
    std::memcpy(pointer(to), from, u64{room} * size);
    return {};
}

// As copy_out(), of elements that a function makes.
template <typename T, typename Make>
Status make_out(u64 to, u32& count, u32 total, Make&& make) {
    const u32 room = count < total ? count : total;
    count = total;
    if (room != 0 && to == 0) return fail(Errc::InvalidPointer, {}, "array of the information");
    for (u32 i = 0; i < room; ++i) {
        const T element = make(i);
        std::memcpy(pointer<T>(to) + i, &element, sizeof element);
    }
    return {};
}

// As on Linux, who names a number of records must name their size as it is.
Status check_record_size(u32 count, u32& record_size, u32 size) {
    if ((count != 0 || record_size != 0) && record_size != size)
        return fail(Errc::InvalidArgument, {}, "size of a record", record_size);
    record_size = size;
    return {};
}

Status fill(CommandContext& c, const Map& map, linux_abi::MapInfo& info) {
    info = {};
    info.type = static_cast<u32>(spec::number(c.dialect, map.info->type));
    info.id = map.id;
    info.key_size = map.key_size;
    info.value_size = map.value_size;
    info.max_entries = map.max_entries;
    info.map_flags = map.flags;
    info.map_extra = map.extra;
    info.name = map.name;
    if (map.btf == nullptr) return {};
    info.btf_id = map.btf->id;
    info.btf_key_type_id = map.btf_key_type;
    info.btf_value_type_id = map.btf_value_type;
    return {};
}

// The machine code of its functions, one behind the other.
struct MachineCode {
    const std::byte* text = nullptr;
    const u32* begins = nullptr;  // of each function, and the last one's end
    u32 functions = 0;

    explicit MachineCode(const Program& program) {
        if (program.entry == nullptr) return;
        text = static_cast<const std::byte*>(program.pages.address());
        begins = program.function_offsets.at;
        if (begins != nullptr) functions = program.function_offsets.count - 1;
    }
    u32 size() const { return functions == 0 ? 0 : begins[functions] - begins[0]; }
};

// What has addresses in it, or tells how far they are from each other.
Status fill_machine_code(const Program& program, linux_abi::ProgInfo& info) {
    const MachineCode code(program);
    const auto address = [&](u32 offset) { return reinterpret_cast<u64>(code.text) + offset; };
    TRY(copy_out(info.jited_prog_insns, info.jited_prog_len,
                 code.functions != 0 ? code.text + code.begins[0] : nullptr, code.size(), 1));
    TRY(make_out<u64>(info.jited_ksyms, info.nr_jited_ksyms, code.functions,
                      [&](u32 i) { return address(code.begins[i]); }));
    TRY(make_out<u32>(info.jited_func_lens, info.nr_jited_func_lens, code.functions,
                      [&](u32 i) { return code.begins[i + 1] - code.begins[i]; }));
    return make_out<u64>(info.jited_line_info, info.nr_jited_line_info, program.line_offsets.count,
                         [&](u32 i) { return address(program.line_offsets.at[i]); });
}

// Who may not be told of machine code learns how much there is, but gets none of it.
void hide_machine_code(const Program& program, linux_abi::ProgInfo& info) {
    const MachineCode code(program);
    info.jited_prog_len = info.jited_prog_len != 0 ? 0 : code.size();
    info.nr_jited_ksyms = info.nr_jited_func_lens = info.nr_jited_line_info = 0;
}

// The first bytes of a hash of the instructions without what differs from one load to the next:
// maps' descriptors and offsets. The hash is SHA-256, as Linux has it since 6.18 (SHA-1 before), in
// bpf_prog_calc_tag() of kernel/bpf/core.c.
void tag_insns(const Program& program, u8 (&tag)[8]) {
    const Bytes slots(program.insns, u64{program.insn_count} * 8);
    Sha256 hash;
    for (u32 slot = 0; slot < program.insn_count;) {
        const auto insn = isa::decode(slots, slot);
        const u32 count = insn ? static_cast<u32>(insn->slots()) : 1;
        std::byte bytes[2 * 8];
        std::memcpy(bytes, slots.data() + u64{slot} * 8, u64{count} * 8);
        if (insn && insn->form == isa::Form::Wide &&
            (insn->wide() == isa::WideKind::MapFd || insn->wide() == isa::WideKind::MapFdValue)) {
            for (const u32 imm : {4U, 12U}) std::memset(bytes + imm, 0, 4);
        }
        hash.add({bytes, u64{count} * 8});
        slot += count;
    }
    if (program.insn_count != 0) std::memcpy(tag, hash.finish().data(), sizeof tag);
}

// What was asked for and may be told of the program's inside; `info` has the caller's arrays.
Status fill_inside(const Program& program, linux_abi::ProgInfo& info, spec::Inside inside) {
    TRY(copy_out(info.xlated_prog_insns, info.xlated_prog_len, program.insns,
                 program.insn_count * 8, 1));
    if (inside == spec::Inside::Addresses) {
        TRY(fill_machine_code(program, info));
    } else {
        hide_machine_code(program, info);
    }
    TRY(copy_out(info.func_info, info.nr_func_info, program.functions.bytes,
                 program.functions.count, kFunctionRecord));
    return copy_out(info.line_info, info.nr_line_info, program.lines.bytes, program.lines.count,
                    kLineRecord);
}

void hide_inside(linux_abi::ProgInfo& info) {
    info.xlated_prog_len = info.jited_prog_len = 0;
    info.nr_jited_ksyms = info.nr_jited_func_lens = info.nr_jited_line_info = 0;
    info.nr_func_info = info.nr_line_info = 0;
}

// What a caller says in the structure: where his arrays are and how much they take.
linux_abi::ProgInfo arrays_of(const linux_abi::ProgInfo& asked) {
    linux_abi::ProgInfo info{};
    const auto keep = [&](u16 at, u32 size) {
        std::memcpy(reinterpret_cast<std::byte*>(&info) + at,
                    reinterpret_cast<const std::byte*>(&asked) + at, size);
    };
    for (const spec::InfoArray& array : spec::kProgInfoArrays) {
        keep(array.pointer, sizeof(u64));
        keep(array.count, sizeof(u32));
        if (array.element_field) keep(array.element, sizeof(u32));
    }
    return info;
}

// Checks and their order are Linux's (kernel/bpf/syscall.c, bpf_prog_get_info_by_fd()).
Status fill(CommandContext& c, const Program& program, linux_abi::ProgInfo& info) {
    info = arrays_of(info);
    info.type = static_cast<u32>(spec::number(c.dialect, program.type));
    info.id = program.id;
    tag_insns(program, info.tag);
    info.load_time = program.loaded_at;
    info.name = program.name;
    info.gpl_compatible = program.gpl_compatible;
    TRY(make_out<u32>(info.map_ids, info.nr_map_ids, program.map_count,
                      [&](u32 i) { return program.maps[i]->id; }));
    TRY(check_record_size(info.nr_func_info, info.func_info_rec_size, kFunctionRecord));
    TRY(check_record_size(info.nr_line_info, info.line_info_rec_size, kLineRecord));
    TRY(check_record_size(info.nr_jited_line_info, info.jited_line_info_rec_size, sizeof(u64)));
    info.run_time_ns = program.statistics.ns.load(std::memory_order_relaxed);
    info.run_cnt = program.statistics.runs.load(std::memory_order_relaxed);
    info.verified_insns = program.verified_insns;
    info.nr_prog_tags = 0;
    if (program.btf != nullptr) info.btf_id = program.btf->id;
    if (c.caller.inside != spec::Inside::Hidden) return fill_inside(program, info, c.caller.inside);
    hide_inside(info);
    return {};
}

Status fill(CommandContext&, const Btf& btf, linux_abi::BtfInfo& info) {
    const linux_abi::BtfInfo asked = info;
    const u32 room = asked.btf_size < btf.size ? asked.btf_size : btf.size;
    if (room != 0 && asked.btf == 0) return fail(Errc::InvalidPointer, {}, "btf");
    if (room != 0) std::memcpy(pointer(asked.btf), btf.bytes, room);
    info = {.btf = asked.btf, .btf_size = btf.size, .id = btf.id, .name = asked.name};
    if ((asked.name != 0) != (asked.name_len != 0))
        return fail(Errc::InvalidArgument, {}, "name and name_len");
    if (asked.name != 0) *pointer<char>(asked.name) = '\0';  // only a kernel's types have a name
    return {};
}

Status fill(CommandContext& c, const Link& link, linux_abi::LinkInfo& info) {
    info = {};
    const auto& column = spec::info(link.attach).in(c.dialect);
    info.type = spec::link_number(c.dialect, column.link);
    info.id = link.id;
    EpochGuard guard(c.runtime.epochs());
    if (guard.status()) info.prog_id = link.binding.program.load(std::memory_order_acquire)->id;
    info.target = link.binding.target;
    return {};
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
    TRY(fill(c, object, info));
    if (size != 0) std::memcpy(bytes, &info, size);
    a.info_len = size;
    return 0;
}

// As HandleShape has the offset of a value's lock or timer.
u32 place(i32 offset) {
    return static_cast<u32>(offset + 1);
}

}  // namespace

Result<i64> handle(CommandContext& c, spec::HandleShapeAttr& a) {
    TRY_ASSIGN(const Ref<Object> object, c.session.object(a.fd));
    a.kind = static_cast<u32>(object->kind) + 1;
    a.id = object->id;
    a.map_type = a.key_size = a.value_size = a.map_flags = a.holds_handles = a.value_goes_in = 0;
    a.inner_type = a.inner_key_size = a.inner_value_size = a.inner_max_entries = 0;
    a.inner_flags = a.frozen = a.max_entries = 0;
    a.spin_lock = a.timer = a.inner_spin_lock = a.inner_timer = 0;
    if (object->kind != ObjectKind::Map) return 0;
    const auto& map = static_cast<const Map&>(*object);
    const u64 value_size = map.user_value_size();
    if (value_size > ~u32{0}) return fail(Errc::TooLarge, {}, "value_size", value_size);
    a.map_type = static_cast<u32>(spec::number(c.dialect, map.info->type));
    a.key_size = map.key_size;
    a.value_size = static_cast<u32>(value_size);
    a.map_flags = map.flags;
    a.holds_handles = map.info->holds_handles();
    a.value_goes_in = map.info->asks_value;
    a.frozen = map.write_gate.frozen();
    a.spin_lock = place(map.fields.spin_lock);
    a.timer = place(map.fields.timer);
    a.max_entries = map.max_entries;
    if (map.inner.info == nullptr) return 0;
    a.inner_type = static_cast<u32>(spec::number(c.dialect, map.inner.info->type));
    a.inner_key_size = map.inner.key_size;
    a.inner_value_size = map.inner.value_size;
    a.inner_max_entries = map.inner.max_entries;
    a.inner_flags = map.inner.flags;
    a.inner_spin_lock = place(map.inner.fields.spin_lock);
    a.inner_timer = place(map.inner.fields.timer);
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
        case ObjectKind::Btf:
            return answer<linux_abi::BtfInfo>(c, static_cast<const Btf&>(*object), a);
        case ObjectKind::Statistics:
            break;
    }
    return fail(Errc::InvalidArgument, {}, "bpf_fd has no information");
}

}  // namespace ebpf::runtime
