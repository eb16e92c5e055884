// SPDX-License-Identifier: MIT
// Prototypes: rows written by hand from Linux's and eBPF for Windows' documentation, and rules that
// every row keeps.
#include "spec/helpers.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "spec/map_types.hpp"
#include "spec/program_types.hpp"

namespace ebpf::spec {
namespace {

using enum ArgKind;

struct Expected {
    Dialect dialect;
    ProgramType type;
    u32 number;
    const char* name;
    RetKind ret;
    std::vector<ArgKind> args;
};

constexpr Dialect L = Dialect::Linux;
constexpr Dialect W = Dialect::Windows;

const Expected kRows[] = {
    {L, ProgramType::Xdp, 1, "bpf_map_lookup_elem", RetKind::MapValueOrNull, {Map, MapKey}},
    {L,
     ProgramType::Xdp,
     2,
     "bpf_map_update_elem",
     RetKind::Errno,
     {Map, MapKey, MapValue, Anything}},
    {L, ProgramType::Kprobe, 3, "bpf_map_delete_elem", RetKind::Errno, {Map, MapKey}},
    {L,
     ProgramType::Kprobe,
     4,
     "bpf_probe_read",
     RetKind::Scalar,
     {WritableMem, ConstSizeOrZero, Anything}},
    {L, ProgramType::Xdp, 5, "bpf_ktime_get_ns", RetKind::Scalar, {}},
    {L, ProgramType::Xdp, 6, "bpf_trace_printk", RetKind::Scalar, {ReadableMem, ConstSize}},
    {L, ProgramType::Xdp, 7, "bpf_get_prandom_u32", RetKind::Scalar, {}},
    {L, ProgramType::Xdp, 8, "bpf_get_smp_processor_id", RetKind::Scalar, {}},
    {L,
     ProgramType::SchedCls,
     9,
     "bpf_skb_store_bytes",
     RetKind::Scalar,
     {Context, Anything, ReadableMem, ConstSize, Anything}},
    {L,
     ProgramType::SchedCls,
     10,
     "bpf_l3_csum_replace",
     RetKind::Scalar,
     {Context, Anything, Anything, Anything, Anything}},
    {L,
     ProgramType::Xdp,
     12,
     "bpf_tail_call",
     RetKind::NoReturnIfSuccess,
     {Context, MapOfPrograms, Anything}},
    {L, ProgramType::Kprobe, 16, "bpf_get_current_comm", RetKind::Scalar, {WritableMem, ConstSize}},
    {L, ProgramType::SchedCls, 23, "bpf_redirect", RetKind::Scalar, {Anything, Anything}},
    {L,
     ProgramType::Xdp,
     25,
     "bpf_perf_event_output",
     RetKind::Errno,
     {Context, Map, Anything, ReadableMem, ConstSizeOrZero}},
    {L,
     ProgramType::SocketFilter,
     26,
     "bpf_skb_load_bytes",
     RetKind::Errno,
     {Context, Anything, WritableMem, ConstSize}},
    {L,
     ProgramType::Xdp,
     28,
     "bpf_csum_diff",
     RetKind::Scalar,
     {ReadableMemOrNull, ConstSizeOrZero, ReadableMemOrNull, ConstSizeOrZero, Anything}},
    {L, ProgramType::Xdp, 44, "bpf_xdp_adjust_head", RetKind::Errno, {Context, Anything}},
    {L, ProgramType::Xdp, 51, "bpf_redirect_map", RetKind::Scalar, {Map, Anything, Anything}},
    {L,
     ProgramType::Xdp,
     69,
     "bpf_fib_lookup",
     RetKind::Scalar,
     {Context, ReadWriteMem, ConstSize, Anything}},
    {L,
     ProgramType::SchedCls,
     84,
     "bpf_sk_lookup_tcp",
     RetKind::SocketOrNull,
     {Context, ReadableMem, ConstSize, Anything, Anything}},
    {L, ProgramType::SchedCls, 86, "bpf_sk_release", RetKind::Scalar, {SocketCommon}},
    {L, ProgramType::Xdp, 87, "bpf_map_push_elem", RetKind::Errno, {Map, MapValue, Anything}},
    {L, ProgramType::Xdp, 88, "bpf_map_pop_elem", RetKind::Errno, {Map, UninitMapValue}},
    {L, ProgramType::Xdp, 93, "bpf_spin_lock", RetKind::Void, {SpinLock}},
    {L,
     ProgramType::CgroupSysctl,
     105,
     "bpf_strtol",
     RetKind::Scalar,
     {ReadableMem, ConstSize, Anything, PtrToLong}},
    {L,
     ProgramType::Xdp,
     130,
     "bpf_ringbuf_output",
     RetKind::Errno,
     {Map, ReadableMem, ConstSizeOrZero, Anything}},
    {L,
     ProgramType::Xdp,
     131,
     "bpf_ringbuf_reserve",
     RetKind::AllocMemOrNull,
     {Map, ConstAllocSize, Anything}},
    {L, ProgramType::Xdp, 132, "bpf_ringbuf_submit", RetKind::Void, {AllocMem, Anything}},
    {L,
     ProgramType::Xdp,
     164,
     "bpf_for_each_map_elem",
     RetKind::Scalar,
     {Map, Callback, CallbackContext, Anything}},
    {L,
     ProgramType::Xdp,
     181,
     "bpf_loop",
     RetKind::Scalar,
     {Anything, Callback, CallbackContext, Anything}},
    {L,
     ProgramType::Xdp,
     182,
     "bpf_strncmp",
     RetKind::Scalar,
     {ReadableMem, ConstSize, ConstString}},
    {L,
     ProgramType::Xdp,
     189,
     "bpf_xdp_load_bytes",
     RetKind::Errno,
     {Context, Anything, WritableMem, ConstSize}},
    {W, ProgramType::Bind, 1, "bpf_map_lookup_elem", RetKind::MapValueOrNull, {Map, MapKey}},
    {W,
     ProgramType::Bind,
     4,
     "bpf_map_lookup_and_delete_elem",
     RetKind::MapValueOrNull,
     {Map, MapKey}},
    {W,
     ProgramType::Bind,
     5,
     "bpf_tail_call",
     RetKind::NoReturnIfSuccess,
     {Context, MapOfPrograms, Anything}},
    {W, ProgramType::Bind, 9, "bpf_ktime_get_ns", RetKind::Scalar, {}},
    {W,
     ProgramType::Xdp,
     10,
     "bpf_csum_diff",
     RetKind::Scalar,
     {ReadableMemOrNull, ConstSizeOrZero, ReadableMemOrNull, ConstSizeOrZero, Anything}},
    {W,
     ProgramType::Bind,
     11,
     "bpf_ringbuf_output",
     RetKind::Errno,
     {Map, ReadableMem, ConstSize, Anything}},
    {W,
     ProgramType::Bind,
     15,
     "bpf_trace_printk5",
     RetKind::Scalar,
     {ReadableMem, ConstSize, Anything, Anything, Anything}},
    {W, ProgramType::Bind, 20, "bpf_get_current_logon_id", RetKind::Scalar, {Context}},
    {W,
     ProgramType::Bind,
     23,
     "bpf_memcmp_s",
     RetKind::Scalar,
     {ReadableMem, ConstSizeOrZero, ReadableMem, ConstSizeOrZero}},
    {W,
     ProgramType::Bind,
     24,
     "bpf_memset",
     RetKind::Scalar,
     {WritableMem, ConstSizeOrZero, Anything}},
    {W, ProgramType::Xdp, 0x10000, "bpf_xdp_adjust_head", RetKind::Errno, {Context, Anything}},
    {W,
     ProgramType::CgroupSockAddr,
     0x10001,
     "bpf_sock_addr_set_redirect_context",
     RetKind::Scalar,
     {Context, ReadableMem, ConstSize}},
    {W, ProgramType::SockOps, 0x10000, "bpf_sock_ops_get_flow_id", RetKind::Scalar, {Context}},
    {W,
     ProgramType::Sample,
     0x10002,
     "sample_ebpf_extension_replace",
     RetKind::Scalar,
     {ReadWriteMem, ConstSize, Anything, ReadableMem, ConstSize}},
};

TEST(Helpers, PrototypesByHand) {
    for (const Expected& row : kRows) {
        const HelperProto* helper = find_helper(*program_info(row.dialect, row.type), row.number);
        ASSERT_NE(helper, nullptr) << row.name;
        EXPECT_STREQ(helper->name, row.name);
        EXPECT_EQ(helper->ret, row.ret) << row.name;
        ASSERT_EQ(helper->arg_count(), static_cast<int>(row.args.size())) << row.name;
        for (std::size_t i = 0; i < row.args.size(); ++i) {
            EXPECT_EQ(helper->args[i], row.args[i]) << row.name << " argument " << i + 1;
        }
    }
}

// bpf_helper_changes_pkt_data() of Linux, and tail calls: one that is missing here would let a
// program use a pointer into memory that is no longer the packet.
TEST(Helpers, ThoseThatChangeThePacket) {
    const std::set<std::string> expected = {
        "bpf_skb_vlan_push",    "bpf_skb_vlan_pop",         "bpf_skb_store_bytes",
        "bpf_skb_change_proto", "bpf_skb_change_head",      "bpf_skb_change_tail",
        "bpf_skb_adjust_room",  "bpf_skb_pull_data",        "bpf_clone_redirect",
        "bpf_l3_csum_replace",  "bpf_l4_csum_replace",      "bpf_xdp_adjust_head",
        "bpf_xdp_adjust_meta",  "bpf_xdp_adjust_tail",      "bpf_msg_pull_data",
        "bpf_msg_push_data",    "bpf_msg_pop_data",         "bpf_store_hdr_opt",
        "bpf_lwt_push_encap",   "bpf_lwt_seg6_store_bytes", "bpf_lwt_seg6_adjust_srh",
        "bpf_lwt_seg6_action",  "bpf_dynptr_write",         "bpf_tail_call",
    };
    std::set<std::string> found;
    for (int i = 0; i < kHelperCount; ++i) {
        const HelperProto* helper = prototype(Dialect::Linux, static_cast<Helper>(i));
        if (helper != nullptr && helper->flags.changes_packet) found.insert(helper->name);
    }
    EXPECT_EQ(found, expected);
    EXPECT_TRUE(prototype(Dialect::Windows, Helper::xdp_adjust_head)->flags.changes_packet);
    EXPECT_TRUE(prototype(Dialect::Windows, Helper::tail_call)->flags.changes_packet);
}

TEST(Helpers, ReferencesAreAcquiredAndReleased) {
    std::set<std::string> acquiring;
    std::set<std::string> releasing;
    for (int i = 0; i < kHelperCount; ++i) {
        const HelperProto* helper = prototype(Dialect::Linux, static_cast<Helper>(i));
        if (helper == nullptr) continue;
        if (helper->flags.acquires) acquiring.insert(helper->name);
        if (helper->flags.releases) releasing.insert(helper->name);
    }
    EXPECT_EQ(acquiring, (std::set<std::string>{"bpf_ringbuf_reserve", "bpf_sk_lookup_tcp",
                                                "bpf_sk_lookup_udp", "bpf_skc_lookup_tcp"}));
    EXPECT_EQ(releasing,
              (std::set<std::string>{"bpf_ringbuf_submit", "bpf_ringbuf_discard", "bpf_sk_release",
                                     "bpf_ringbuf_submit_dynptr", "bpf_ringbuf_discard_dynptr"}));
}

bool is_memory(ArgKind kind) {
    return kind == ReadableMem || kind == ReadableMemOrNull || kind == WritableMem ||
           kind == WritableMemOrNull || kind == ReadWriteMem || kind == PartialMem;
}
bool is_size(ArgKind kind) {
    return kind == ConstSize || kind == ConstSizeOrZero;
}
bool is_map(ArgKind kind) {
    return kind == Map || kind == MapOfPrograms;
}

// The rules that the verifier relies on: a memory argument is followed by its size and a size has
// memory before it, a key or value has a map before it, a map argument has types, arguments have no
// holes.
TEST(Helpers, PrototypesAreWellFormed) {
    int checked = 0;
    for (const Dialect dialect : {Dialect::Linux, Dialect::Windows}) {
        for (int i = 0; i < kHelperCount; ++i) {
            const HelperProto* helper = prototype(dialect, static_cast<Helper>(i));
            if (helper == nullptr) continue;
            ++checked;
            const std::string name = helper->name;
            bool map_before = false;
            bool ended = false;
            for (int a = 0; a < kMaxHelperArgs; ++a) {
                const ArgKind kind = helper->args[a];
                const ArgKind next = a + 1 < kMaxHelperArgs ? helper->args[a + 1] : None;
                const ArgKind previous = a > 0 ? helper->args[a - 1] : None;
                if (ended) {
                    EXPECT_EQ(kind, None) << name;
                }
                ended = ended || kind == None;
                if (is_memory(kind)) {
                    EXPECT_TRUE(is_size(next)) << name;
                }
                if (is_size(kind)) {
                    EXPECT_TRUE(is_memory(previous)) << name;
                }
                if (kind == MapKey || kind == MapValue || kind == UninitMapValue ||
                    kind == ArgKind::MapValueOrNull) {
                    EXPECT_TRUE(map_before) << name;
                }
                map_before = map_before || is_map(kind);
            }
            const bool has_types = helper->map_types != 0 || helper->map_types_high != 0;
            EXPECT_EQ(has_types, map_before) << name;
            if (helper->ret == RetKind::MapValueOrNull) {
                EXPECT_TRUE(map_before) << name;
            }
            EXPECT_EQ(helper->ret == RetKind::AllocMemOrNull,
                      helper->arg_count() > 1 && helper->args[1] == ConstAllocSize)
                << name;
        }
    }
    EXPECT_GE(checked, 211 + 35);
}

// A map of programs goes to tail calls alone, a ring buffer to its own helpers, a map of maps to
// lookups alone, sockets to nobody's plain lookup.
TEST(Helpers, MapTypesPerHelper) {
    const auto allowed = [](Helper helper, MapType type) {
        return prototype(Dialect::Linux, helper)->allows(type);
    };
    for (int i = 0; i < kMapTypeCount; ++i) {
        const auto type = static_cast<MapType>(i);
        EXPECT_EQ(allowed(Helper::tail_call, type), type == MapType::ProgArray) << info(type).name;
        EXPECT_EQ(allowed(Helper::ringbuf_output, type), type == MapType::Ringbuf)
            << info(type).name;
        EXPECT_EQ(allowed(Helper::perf_event_output, type), type == MapType::PerfEventArray);
    }
    for (const MapType type : {MapType::Hash, MapType::Array, MapType::PercpuHash,
                               MapType::PercpuArray, MapType::LruHash, MapType::LpmTrie}) {
        EXPECT_TRUE(allowed(Helper::map_lookup_elem, type)) << info(type).name;
        EXPECT_TRUE(allowed(Helper::map_update_elem, type)) << info(type).name;
        EXPECT_TRUE(allowed(Helper::map_delete_elem, type)) << info(type).name;
    }
    for (const MapType type : {MapType::ArrayOfMaps, MapType::HashOfMaps}) {
        EXPECT_TRUE(allowed(Helper::map_lookup_elem, type)) << info(type).name;
        EXPECT_FALSE(allowed(Helper::map_update_elem, type)) << info(type).name;
        EXPECT_FALSE(allowed(Helper::map_delete_elem, type)) << info(type).name;
    }
    for (const MapType type : {MapType::Sockmap, MapType::Sockhash}) {
        EXPECT_TRUE(allowed(Helper::map_lookup_elem, type)) << info(type).name;
        EXPECT_FALSE(allowed(Helper::map_update_elem, type)) << info(type).name;
    }
    for (const MapType type :
         {MapType::Unspec, MapType::ProgArray, MapType::Ringbuf, MapType::Queue,
          MapType::PerfEventArray, MapType::StackTrace, MapType::SkStorage, MapType::Arena}) {
        EXPECT_FALSE(allowed(Helper::map_lookup_elem, type)) << info(type).name;
        EXPECT_FALSE(allowed(Helper::map_update_elem, type)) << info(type).name;
    }
}

TEST(Helpers, WhoMayCallWhat) {
    const auto may = [](ProgramType type, Helper helper) {
        return find_helper(*program_info(Dialect::Linux, type),
                           static_cast<u32>(number(Dialect::Linux, helper))) != nullptr;
    };
    EXPECT_TRUE(may(ProgramType::Xdp, Helper::xdp_adjust_head));
    EXPECT_FALSE(may(ProgramType::SchedCls, Helper::xdp_adjust_head));
    EXPECT_FALSE(may(ProgramType::Xdp, Helper::skb_store_bytes));
    EXPECT_FALSE(may(ProgramType::SocketFilter, Helper::skb_store_bytes));
    EXPECT_FALSE(may(ProgramType::CgroupSkb, Helper::skb_pull_data));
    EXPECT_TRUE(may(ProgramType::CgroupSkb, Helper::skb_load_bytes));
    EXPECT_FALSE(may(ProgramType::Xdp, Helper::probe_read));
    EXPECT_TRUE(may(ProgramType::Xdp, Helper::probe_read_kernel));
    EXPECT_TRUE(may(ProgramType::Xdp, Helper::get_current_comm));
    EXPECT_FALSE(may(ProgramType::Netfilter, Helper::csum_diff));
    EXPECT_FALSE(may(ProgramType::Kprobe, Helper::redirect));
    EXPECT_FALSE(may(ProgramType::Kprobe, Helper::seq_printf));
    EXPECT_FALSE(may(ProgramType::Xdp, Helper::sys_bpf));
    EXPECT_TRUE(may(ProgramType::LircMode2, Helper::rc_keydown));
    EXPECT_FALSE(may(ProgramType::LircMode2, Helper::ringbuf_output));
    for (int i = 0; i < kHelperCount; ++i) {
        const auto helper = static_cast<Helper>(i);
        if (number(Dialect::Linux, helper) > 0) {
            EXPECT_FALSE(may(ProgramType::Ext, helper));
        }
    }
    const ProgramTypeInfo& bind = *program_info(Dialect::Windows, ProgramType::Bind);
    EXPECT_EQ(find_helper(bind, 0x10000), nullptr);
    EXPECT_EQ(find_helper(bind, 26), nullptr);  // get_socket_cookie needs its provider
    EXPECT_EQ(find_helper(bind, 35), nullptr);  // redirect_map too
    EXPECT_EQ(bind.helpers.size(), 33u);
}

// "1-3 5" as numbers.
std::set<u32> numbers(const std::string& text) {
    std::set<u32> found;
    std::istringstream in(text);
    for (std::string part; in >> part;) {
        const std::size_t dash = part.find('-');
        const u32 first = static_cast<u32>(std::stoul(part));
        const u32 last =
            dash == std::string::npos ? first : static_cast<u32>(std::stoul(part.substr(dash + 1)));
        for (u32 n = first; n <= last; ++n) found.insert(n);
    }
    return found;
}

// Who may call what, against a kernel's own answers. The differences are known: two helpers depend
// on that kernel's configuration; where it has another prototype for a number in some program
// types, or wants a sleepable program, the table leaves the helper out of those types.
TEST(Helpers, CallersAsAKernelSays) {
    const std::set<u32> configured = {36 /* probe_write_user */, 58 /* override_return */};
    const std::set<u32> left_out = {17 /* get_cgroup_classid */, 46 /* get_socket_cookie */,
                                    49 /* setsockopt */,         57 /* getsockopt */,
                                    148 /* copy_from_user */,    191 /* copy_from_user_task */};
    std::ifstream file("tests/spec/linux_callers.csv");
    ASSERT_TRUE(file);
    int types = 0;
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with('#')) continue;
        const std::string name = line.substr(0, line.find(','));
        const std::set<u32> kernel = numbers(line.substr(line.find(',') + 1));
        const ProgramTypeInfo* type = nullptr;
        for (int t = 0; t < kProgramTypeCount; ++t) {
            const ProgramTypeInfo* candidate =
                program_info(Dialect::Linux, static_cast<ProgramType>(t));
            if (candidate != nullptr && candidate->name == name) type = candidate;
        }
        ASSERT_NE(type, nullptr) << name;
        ++types;
        for (u32 n = 1; n <= 211; ++n) {
            const bool ours = find_helper(*type, n) != nullptr;
            if (ours && !configured.contains(n)) {
                EXPECT_TRUE(kernel.contains(n)) << name << " " << n;
            }
            if (kernel.contains(n) && !left_out.contains(n)) {
                EXPECT_TRUE(ours) << name << " " << n;
            }
        }
    }
    EXPECT_EQ(types, 26);
}

// The general helpers of eBPF for Windows, in the order of its numbers, as
// programs name them.
TEST(Helpers, EveryGeneralHelperOfWindowsHasARow) {
    const char* const names[] = {
        "map_lookup_elem",
        "map_update_elem",
        "map_delete_elem",
        "map_lookup_and_delete_elem",
        "tail_call",
        "get_prandom_u32",
        "ktime_get_boot_ns",
        "get_smp_processor_id",
        "ktime_get_ns",
        "csum_diff",
        "ringbuf_output",
        "trace_printk2",
        "trace_printk3",
        "trace_printk4",
        "trace_printk5",
        "map_push_elem",
        "map_pop_elem",
        "map_peek_elem",
        "get_current_pid_tgid",
        "get_current_logon_id",
        "is_current_admin",
        "memcpy_s",
        "memcmp_s",
        "memset",
        "memmove_s",
        "get_socket_cookie",
        "strncpy_s",
        "strncat_s",
        "strnlen_s",
        "ktime_get_boot_ms",
        "ktime_get_ms",
        "perf_event_output",
        "get_current_process_start_key",
        "get_current_thread_create_time",
        "redirect_map",
    };
    u32 number = 0;
    for (const char* name : names) {
        const std::optional<Helper> helper = helper_from_number(Dialect::Windows, ++number);
        ASSERT_TRUE(helper) << number;
        EXPECT_EQ(info(*helper).name, std::string("bpf_") + name) << number;
    }
    EXPECT_EQ(number, 35u);
    EXPECT_FALSE(helper_from_number(Dialect::Windows, 36));
}

TEST(Helpers, RowsAreComplete) {
    for (int i = 0; i < kHelperCount; ++i) {
        const HelperInfo& row = info(static_cast<Helper>(i));
        EXPECT_EQ(row.id, static_cast<Helper>(i));
        ASSERT_NE(row.name, nullptr);
        EXPECT_STRNE(row.c_result, "") << row.name;
        EXPECT_STRNE(row.c_parameters, "") << row.name;
        EXPECT_STRNE(row.text, "") << row.name;
    }
    // trace_printk must be able to name its arguments' count: varargs only there.
    EXPECT_EQ(prototype(Dialect::Windows, Helper::trace_printk), nullptr);
}

}  // namespace
}  // namespace ebpf::spec
