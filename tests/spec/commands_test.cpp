// SPDX-License-Identifier: MIT
// Every command's structure lies as its member of Linux's union bpf_attr does: written out by hand,
// member by member, so that a field that is missing or misplaced is found.
#include <gtest/gtest.h>

#include <cstddef>
#include <set>
#include <string>

#include "spec/commands.hpp"

#if __has_include(<linux/bpf.h>)
#include <linux/bpf.h>

namespace ebpf::spec {
namespace {

#define SAME(command, member, field)                                             \
    EXPECT_EQ(offsetof(command##Attr, field), offsetof(union bpf_attr, member)); \
    EXPECT_EQ(sizeof(command##Attr::field), sizeof(bpf_attr{}.member))

TEST(CommandLayout, MapCreate) {
    SAME(MapCreate, map_type, map_type);
    SAME(MapCreate, key_size, key_size);
    SAME(MapCreate, value_size, value_size);
    SAME(MapCreate, max_entries, max_entries);
    SAME(MapCreate, map_flags, map_flags);
    SAME(MapCreate, inner_map_fd, inner_map_fd);
    SAME(MapCreate, numa_node, numa_node);
    SAME(MapCreate, map_name, map_name);
    SAME(MapCreate, map_ifindex, map_ifindex);
    SAME(MapCreate, btf_fd, btf_fd);
    SAME(MapCreate, btf_key_type_id, btf_key_type_id);
    SAME(MapCreate, btf_value_type_id, btf_value_type_id);
    SAME(MapCreate, btf_vmlinux_value_type_id, btf_vmlinux_value_type_id);
    SAME(MapCreate, map_extra, map_extra);
}

TEST(CommandLayout, MapLookupElem) {
    SAME(MapLookupElem, map_fd, map_fd);
    SAME(MapLookupElem, key, key);
    SAME(MapLookupElem, value, value);
    SAME(MapLookupElem, flags, flags);
}

TEST(CommandLayout, MapUpdateElem) {
    SAME(MapUpdateElem, map_fd, map_fd);
    SAME(MapUpdateElem, key, key);
    SAME(MapUpdateElem, value, value);
    SAME(MapUpdateElem, flags, flags);
}

TEST(CommandLayout, MapDeleteElem) {
    SAME(MapDeleteElem, map_fd, map_fd);
    SAME(MapDeleteElem, key, key);
}

TEST(CommandLayout, MapGetNextKey) {
    SAME(MapGetNextKey, map_fd, map_fd);
    SAME(MapGetNextKey, key, key);
    SAME(MapGetNextKey, next_key, next_key);
}

TEST(CommandLayout, MapLookupAndDeleteElem) {
    SAME(MapLookupAndDeleteElem, map_fd, map_fd);
    SAME(MapLookupAndDeleteElem, key, key);
    SAME(MapLookupAndDeleteElem, value, value);
    SAME(MapLookupAndDeleteElem, flags, flags);
}

TEST(CommandLayout, MapFreeze) {
    SAME(MapFreeze, map_fd, map_fd);
}

TEST(CommandLayout, MapLookupBatch) {
    SAME(MapLookupBatch, batch.in_batch, in_batch);
    SAME(MapLookupBatch, batch.out_batch, out_batch);
    SAME(MapLookupBatch, batch.keys, keys);
    SAME(MapLookupBatch, batch.values, values);
    SAME(MapLookupBatch, batch.count, count);
    SAME(MapLookupBatch, batch.map_fd, map_fd);
    SAME(MapLookupBatch, batch.elem_flags, elem_flags);
    SAME(MapLookupBatch, batch.flags, flags);
}

TEST(CommandLayout, MapLookupAndDeleteBatch) {
    SAME(MapLookupAndDeleteBatch, batch.in_batch, in_batch);
    SAME(MapLookupAndDeleteBatch, batch.out_batch, out_batch);
    SAME(MapLookupAndDeleteBatch, batch.keys, keys);
    SAME(MapLookupAndDeleteBatch, batch.values, values);
    SAME(MapLookupAndDeleteBatch, batch.count, count);
    SAME(MapLookupAndDeleteBatch, batch.map_fd, map_fd);
    SAME(MapLookupAndDeleteBatch, batch.elem_flags, elem_flags);
    SAME(MapLookupAndDeleteBatch, batch.flags, flags);
}

TEST(CommandLayout, MapUpdateBatch) {
    SAME(MapUpdateBatch, batch.in_batch, in_batch);
    SAME(MapUpdateBatch, batch.out_batch, out_batch);
    SAME(MapUpdateBatch, batch.keys, keys);
    SAME(MapUpdateBatch, batch.values, values);
    SAME(MapUpdateBatch, batch.count, count);
    SAME(MapUpdateBatch, batch.map_fd, map_fd);
    SAME(MapUpdateBatch, batch.elem_flags, elem_flags);
    SAME(MapUpdateBatch, batch.flags, flags);
}

TEST(CommandLayout, MapDeleteBatch) {
    SAME(MapDeleteBatch, batch.in_batch, in_batch);
    SAME(MapDeleteBatch, batch.out_batch, out_batch);
    SAME(MapDeleteBatch, batch.keys, keys);
    SAME(MapDeleteBatch, batch.values, values);
    SAME(MapDeleteBatch, batch.count, count);
    SAME(MapDeleteBatch, batch.map_fd, map_fd);
    SAME(MapDeleteBatch, batch.elem_flags, elem_flags);
    SAME(MapDeleteBatch, batch.flags, flags);
}

TEST(CommandLayout, ProgLoad) {
    SAME(ProgLoad, prog_type, prog_type);
    SAME(ProgLoad, insn_cnt, insn_cnt);
    SAME(ProgLoad, insns, insns);
    SAME(ProgLoad, license, license);
    SAME(ProgLoad, log_level, log_level);
    SAME(ProgLoad, log_size, log_size);
    SAME(ProgLoad, log_buf, log_buf);
    SAME(ProgLoad, kern_version, kern_version);
    SAME(ProgLoad, prog_flags, prog_flags);
    SAME(ProgLoad, prog_name, prog_name);
    SAME(ProgLoad, prog_ifindex, prog_ifindex);
    SAME(ProgLoad, expected_attach_type, expected_attach_type);
    SAME(ProgLoad, prog_btf_fd, prog_btf_fd);
    SAME(ProgLoad, func_info_rec_size, func_info_rec_size);
    SAME(ProgLoad, func_info, func_info);
    SAME(ProgLoad, func_info_cnt, func_info_cnt);
    SAME(ProgLoad, line_info_rec_size, line_info_rec_size);
    SAME(ProgLoad, line_info, line_info);
    SAME(ProgLoad, line_info_cnt, line_info_cnt);
    SAME(ProgLoad, attach_btf_id, attach_btf_id);
    SAME(ProgLoad, attach_prog_fd, attach_prog_fd);
    SAME(ProgLoad, core_relo_cnt, core_relo_cnt);
    SAME(ProgLoad, fd_array, fd_array);
    SAME(ProgLoad, core_relos, core_relos);
    SAME(ProgLoad, core_relo_rec_size, core_relo_rec_size);
}

TEST(CommandLayout, ProgAttach) {
    SAME(ProgAttach, target_fd, target_fd);
    SAME(ProgAttach, attach_bpf_fd, attach_bpf_fd);
    SAME(ProgAttach, attach_type, attach_type);
    SAME(ProgAttach, attach_flags, attach_flags);
    SAME(ProgAttach, replace_bpf_fd, replace_bpf_fd);
}

TEST(CommandLayout, ProgDetach) {
    SAME(ProgDetach, target_fd, target_fd);
    SAME(ProgDetach, attach_bpf_fd, attach_bpf_fd);
    SAME(ProgDetach, attach_type, attach_type);
    SAME(ProgDetach, attach_flags, attach_flags);
}

TEST(CommandLayout, ProgTestRun) {
    SAME(ProgTestRun, test.prog_fd, prog_fd);
    SAME(ProgTestRun, test.retval, retval);
    SAME(ProgTestRun, test.data_size_in, data_size_in);
    SAME(ProgTestRun, test.data_size_out, data_size_out);
    SAME(ProgTestRun, test.data_in, data_in);
    SAME(ProgTestRun, test.data_out, data_out);
    SAME(ProgTestRun, test.repeat, repeat);
    SAME(ProgTestRun, test.duration, duration);
    SAME(ProgTestRun, test.ctx_size_in, ctx_size_in);
    SAME(ProgTestRun, test.ctx_size_out, ctx_size_out);
    SAME(ProgTestRun, test.ctx_in, ctx_in);
    SAME(ProgTestRun, test.ctx_out, ctx_out);
    SAME(ProgTestRun, test.flags, flags);
    SAME(ProgTestRun, test.cpu, cpu);
    SAME(ProgTestRun, test.batch_size, batch_size);
}

TEST(CommandLayout, ProgQuery) {
    SAME(ProgQuery, query.target_fd, target_fd);
    SAME(ProgQuery, query.attach_type, attach_type);
    SAME(ProgQuery, query.query_flags, query_flags);
    SAME(ProgQuery, query.attach_flags, attach_flags);
    SAME(ProgQuery, query.prog_ids, prog_ids);
    SAME(ProgQuery, query.prog_cnt, prog_cnt);
    SAME(ProgQuery, query.prog_attach_flags, prog_attach_flags);
}

TEST(CommandLayout, ProgBindMap) {
    SAME(ProgBindMap, prog_bind_map.prog_fd, prog_fd);
    SAME(ProgBindMap, prog_bind_map.map_fd, map_fd);
    SAME(ProgBindMap, prog_bind_map.flags, flags);
}

TEST(CommandLayout, ObjPin) {
    SAME(ObjPin, pathname, pathname);
    SAME(ObjPin, bpf_fd, bpf_fd);
    SAME(ObjPin, file_flags, file_flags);
}

TEST(CommandLayout, ObjGet) {
    SAME(ObjGet, pathname, pathname);
    SAME(ObjGet, bpf_fd, bpf_fd);
    SAME(ObjGet, file_flags, file_flags);
}

TEST(CommandLayout, ProgGetNextId) {
    SAME(ProgGetNextId, start_id, start_id);
    SAME(ProgGetNextId, next_id, next_id);
    SAME(ProgGetNextId, open_flags, open_flags);
}

TEST(CommandLayout, MapGetNextId) {
    SAME(MapGetNextId, start_id, start_id);
    SAME(MapGetNextId, next_id, next_id);
    SAME(MapGetNextId, open_flags, open_flags);
}

TEST(CommandLayout, ProgGetFdById) {
    SAME(ProgGetFdById, prog_id, prog_id);
    SAME(ProgGetFdById, next_id, next_id);
    SAME(ProgGetFdById, open_flags, open_flags);
}

TEST(CommandLayout, MapGetFdById) {
    SAME(MapGetFdById, map_id, map_id);
    SAME(MapGetFdById, next_id, next_id);
    SAME(MapGetFdById, open_flags, open_flags);
}

TEST(CommandLayout, LinkGetFdById) {
    SAME(LinkGetFdById, link_id, link_id);
    SAME(LinkGetFdById, next_id, next_id);
    SAME(LinkGetFdById, open_flags, open_flags);
}

TEST(CommandLayout, LinkGetNextId) {
    SAME(LinkGetNextId, start_id, start_id);
    SAME(LinkGetNextId, next_id, next_id);
    SAME(LinkGetNextId, open_flags, open_flags);
}

TEST(CommandLayout, BtfGetFdById) {
    SAME(BtfGetFdById, btf_id, btf_id);
    SAME(BtfGetFdById, next_id, next_id);
    SAME(BtfGetFdById, open_flags, open_flags);
}

TEST(CommandLayout, BtfGetNextId) {
    SAME(BtfGetNextId, start_id, start_id);
    SAME(BtfGetNextId, next_id, next_id);
    SAME(BtfGetNextId, open_flags, open_flags);
}

TEST(CommandLayout, ObjGetInfoByFd) {
    SAME(ObjGetInfoByFd, info.bpf_fd, bpf_fd);
    SAME(ObjGetInfoByFd, info.info_len, info_len);
    SAME(ObjGetInfoByFd, info.info, info);
}

TEST(CommandLayout, BtfLoad) {
    SAME(BtfLoad, btf, btf);
    SAME(BtfLoad, btf_log_buf, btf_log_buf);
    SAME(BtfLoad, btf_size, btf_size);
    SAME(BtfLoad, btf_log_size, btf_log_size);
    SAME(BtfLoad, btf_log_level, btf_log_level);
}

TEST(CommandLayout, LinkCreate) {
    SAME(LinkCreate, link_create.prog_fd, prog_fd);
    SAME(LinkCreate, link_create.target_fd, target_fd);
    SAME(LinkCreate, link_create.attach_type, attach_type);
    SAME(LinkCreate, link_create.flags, flags);
    SAME(LinkCreate, link_create.iter_info, iter_info);
    SAME(LinkCreate, link_create.iter_info_len, iter_info_len);
}

TEST(CommandLayout, LinkUpdate) {
    SAME(LinkUpdate, link_update.link_fd, link_fd);
    SAME(LinkUpdate, link_update.new_prog_fd, new_prog_fd);
    SAME(LinkUpdate, link_update.flags, flags);
    SAME(LinkUpdate, link_update.old_prog_fd, old_prog_fd);
}

TEST(CommandLayout, LinkDetach) {
    SAME(LinkDetach, link_detach.link_fd, link_fd);
}

TEST(CommandLayout, RawTracepointOpen) {
    SAME(RawTracepointOpen, raw_tracepoint.name, name);
    SAME(RawTracepointOpen, raw_tracepoint.prog_fd, prog_fd);
}

TEST(CommandLayout, TaskFdQuery) {
    SAME(TaskFdQuery, task_fd_query.pid, pid);
    SAME(TaskFdQuery, task_fd_query.fd, fd);
    SAME(TaskFdQuery, task_fd_query.flags, flags);
    SAME(TaskFdQuery, task_fd_query.buf_len, buf_len);
    SAME(TaskFdQuery, task_fd_query.buf, buf);
    SAME(TaskFdQuery, task_fd_query.prog_id, prog_id);
    SAME(TaskFdQuery, task_fd_query.fd_type, fd_type);
    SAME(TaskFdQuery, task_fd_query.probe_offset, probe_offset);
    SAME(TaskFdQuery, task_fd_query.probe_addr, probe_addr);
}

TEST(CommandLayout, EnableStats) {
    SAME(EnableStats, enable_stats.type, type);
}

TEST(CommandLayout, IterCreate) {
    SAME(IterCreate, iter_create.link_fd, link_fd);
    SAME(IterCreate, iter_create.flags, flags);
}

}  // namespace
}  // namespace ebpf::spec
#endif

namespace ebpf::spec {
namespace {

// No hidden padding: a structure goes over the wire as its fields.
TEST(Commands, FieldsFillTheirStructures) {
#define COMMAND(id, number, name, access) \
    {                                     \
        using Attr = id##Attr;            \
        std::size_t sum = 0;
#define FIELD(type, name, kind, ...)               \
    EXPECT_EQ(offsetof(Attr, name), sum) << #kind; \
    sum += sizeof(type);
#define END_COMMAND(id)                  \
    EXPECT_EQ(sum, sizeof(Attr)) << #id; \
    }
#include "spec/commands.def"
}

TEST(Commands, NumbersAndNamesAreUnique) {
    std::set<u32> numbers;
    std::set<std::string> names;
    int commands = 0;
    int privileged = 0;
    enum { Any, Operator, Privileged };
#define COMMAND(id, number, name, access)               \
    EXPECT_TRUE(numbers.insert(number).second) << name; \
    EXPECT_TRUE(names.insert(name).second) << name;     \
    ++commands;                                         \
    privileged += (access) == Privileged;
#define FIELD(...)
#define END_COMMAND(id)
#include "spec/commands.def"
    EXPECT_GE(commands, 36);
    EXPECT_EQ(privileged, 2);  // prog_install and map_memory
    EXPECT_EQ(static_cast<u32>(Command::ProgInstall), 0x1000u);
}

}  // namespace
}  // namespace ebpf::spec
