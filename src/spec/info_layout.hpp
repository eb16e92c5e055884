// SPDX-License-Identifier: MIT
// struct bpf_map_info, bpf_prog_info and bpf_link_info of linux/bpf.h (tests/runtime compares the
// offsets with the installed header).
#pragma once

#include <cstddef>

#include "spec/commands.hpp"

namespace ebpf::spec::linux_abi {

struct MapInfo {
    u32 type, id, key_size, value_size, max_entries, map_flags;
    spec::ObjectName name;
    u32 ifindex, btf_vmlinux_value_type_id;
    u64 netns_dev, netns_ino;
    u32 btf_id, btf_key_type_id, btf_value_type_id, reserved;
    u64 map_extra;
};

struct ProgInfo {
    u32 type, id;
    u8 tag[8];
    u32 jited_prog_len, xlated_prog_len;
    u64 jited_prog_insns, xlated_prog_insns;
    u64 load_time;
    u32 created_by_uid, nr_map_ids;
    u64 map_ids;
    spec::ObjectName name;
    u32 ifindex;
    u32 gpl_compatible;  // a bit field of one bit
    u64 netns_dev, netns_ino;
    u32 nr_jited_ksyms, nr_jited_func_lens;
    u64 jited_ksyms, jited_func_lens;
    u32 btf_id, func_info_rec_size;
    u64 func_info;
    u32 nr_func_info, nr_line_info;
    u64 line_info, jited_line_info;
    u32 nr_jited_line_info, line_info_rec_size, jited_line_info_rec_size, nr_prog_tags;
    u64 prog_tags;
    u64 run_time_ns, run_cnt, recursion_misses;
    u32 verified_insns, attach_btf_obj_id, attach_btf_id, reserved;
};

struct LinkInfo {
    u32 type, id, prog_id, reserved;
    u32 target;  // xdp.ifindex, cgroup.cgroup_id's low half, ...
    u32 attach_type;
    u64 rest[2];
};

struct BtfInfo {
    u64 btf;
    u32 btf_size, id;
    u64 name;
    u32 name_len, kernel_btf;
};

}  // namespace ebpf::spec::linux_abi

namespace ebpf::spec {

// What those structures point to, all of it filled by the command.
struct InfoArray {
    u16 pointer;  // offsets in the structure
    u16 count;
    u16 element;  // bytes, or where element_field says so the offset of their number
    bool element_field;
};
inline constexpr InfoArray kProgInfoArrays[] = {
#define ARRAY(pointer, count, bytes) \
    {offsetof(linux_abi::ProgInfo, pointer), offsetof(linux_abi::ProgInfo, count), bytes, false}
#define RECORDS(pointer, count, size)                                              \
    {offsetof(linux_abi::ProgInfo, pointer), offsetof(linux_abi::ProgInfo, count), \
     offsetof(linux_abi::ProgInfo, size), true}
    ARRAY(jited_prog_insns, jited_prog_len, 1),
    ARRAY(xlated_prog_insns, xlated_prog_len, 1),
    ARRAY(map_ids, nr_map_ids, 4),
    ARRAY(jited_ksyms, nr_jited_ksyms, 8),
    ARRAY(jited_func_lens, nr_jited_func_lens, 4),
    RECORDS(func_info, nr_func_info, func_info_rec_size),
    RECORDS(line_info, nr_line_info, line_info_rec_size),
    RECORDS(jited_line_info, nr_jited_line_info, jited_line_info_rec_size),
    ARRAY(prog_tags, nr_prog_tags, 8),
#undef RECORDS
#undef ARRAY
};
inline constexpr InfoArray kBtfInfoArrays[] = {
    {offsetof(linux_abi::BtfInfo, btf), offsetof(linux_abi::BtfInfo, btf_size), 1, false},
    {offsetof(linux_abi::BtfInfo, name), offsetof(linux_abi::BtfInfo, name_len), 1, false},
};

}  // namespace ebpf::spec
