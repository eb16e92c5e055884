// SPDX-License-Identifier: MIT
// Handles, sessions, ids, pins, links and information.
#include <linux/bpf.h>
#include <algorithm>

#include <cstddef>

#include "harness.hpp"
#include "runtime/info_layout.hpp"
#include "spec/errors.hpp"

namespace ebpf::runtime::test {
namespace {

class Objects : public Fixture {
  protected:
    i64 pin(i64 fd, const char* path) {
        spec::ObjPinAttr attr;
        attr.bpf_fd = static_cast<u32>(fd);
        attr.pathname = reinterpret_cast<u64>(path);
        return run(spec::Command::ObjPin, attr);
    }
    i64 get(const char* path) {
        spec::ObjGetAttr attr;
        attr.pathname = reinterpret_cast<u64>(path);
        return run(spec::Command::ObjGet, attr);
    }
    i64 unpin(const char* path) {
        spec::ObjUnpinAttr attr;
        attr.pathname = reinterpret_cast<u64>(path);
        return run(spec::Command::ObjUnpin, attr);
    }
    i64 duplicate(i64 fd) {
        spec::HandleDuplicateAttr attr;
        attr.fd = static_cast<u32>(fd);
        return run(spec::Command::HandleDuplicate, attr);
    }
    i64 map_by_id(u32 id) {
        spec::MapGetFdByIdAttr attr;
        attr.map_id = id;
        return run(spec::Command::MapGetFdById, attr);
    }
    template <typename Info>
    i64 info(i64 fd, Info& info, u32 size = sizeof(Info)) {
        spec::ObjGetInfoByFdAttr attr;
        attr.bpf_fd = static_cast<u32>(fd);
        attr.info = reinterpret_cast<u64>(&info);
        attr.info_len = size;
        const i64 result = run(spec::Command::ObjGetInfoByFd, attr);
        return result == 0 ? attr.info_len : result;
    }
    u64 maps() const { return runtime_->live(ObjectKind::Map); }
};

TEST_F(Objects, LiveAsLongAsAHandle) {
    const i64 first = create({.type = spec::MapType::Hash});
    const i64 second = duplicate(first);
    ASSERT_GT(second, 0);
    EXPECT_NE(first, second);
    EXPECT_EQ(close(first), 0);
    EXPECT_EQ(close(first), failed(Errc::InvalidFd));
    EXPECT_EQ(maps(), 1u);
    const u32 key = 1;
    const u64 value = 1;
    EXPECT_EQ(update(second, &key, &value), 0);
    EXPECT_EQ(close(second), 0);
    EXPECT_EQ(maps(), 0u);
    EXPECT_EQ(duplicate(second), failed(Errc::InvalidFd));
}

TEST_F(Objects, SessionsAreApartAndTakeTheirHandlesAlong) {
    const i64 mine = create({.type = spec::MapType::Hash});
    void* other = door_.open_session(door_.self);
    const spec::Caller stranger{other, spec::Dialect::Linux, false};
    spec::MapFreezeAttr freeze;
    freeze.map_fd = static_cast<u32>(mine);
    EXPECT_EQ(run_as(stranger, spec::Command::MapFreeze, freeze), failed(Errc::InvalidFd));
    spec::MapCreateAttr attr{.map_type = 2, .key_size = 4, .value_size = 4, .max_entries = 1};
    EXPECT_GT(run_as(stranger, spec::Command::MapCreate, attr), 0);
    EXPECT_GT(run_as(stranger, spec::Command::MapCreate, attr), 0);
    EXPECT_EQ(maps(), 3u);
    door_.close_session(door_.self, other);
    EXPECT_EQ(maps(), 1u);
}

TEST_F(Objects, IdsRiseAndAreNotUsedAgain) {
    const i64 a = create({.type = spec::MapType::Hash});
    const i64 b = create({.type = spec::MapType::Array});
    spec::MapGetNextIdAttr next;
    EXPECT_EQ(run(spec::Command::MapGetNextId, next), 0);
    const u32 id_a = next.next_id;
    next.start_id = id_a;
    EXPECT_EQ(run(spec::Command::MapGetNextId, next), 0);
    const u32 id_b = next.next_id;
    EXPECT_GT(id_b, id_a);
    next.start_id = id_b;
    EXPECT_EQ(run(spec::Command::MapGetNextId, next), failed(Errc::NoMoreKeys));
    next.start_id = ~u32{0};
    EXPECT_EQ(run(spec::Command::MapGetNextId, next), failed(Errc::InvalidArgument));

    const i64 again = map_by_id(id_a);
    ASSERT_GT(again, 0);
    EXPECT_EQ(close(a), 0);
    EXPECT_EQ(maps(), 2u);
    EXPECT_EQ(close(again), 0);
    EXPECT_EQ(map_by_id(id_a), failed(Errc::ObjectNotFound));
    EXPECT_EQ(spec::linux_errno(last_.code), 2);
    const i64 c = create({.type = spec::MapType::Hash});
    EXPECT_EQ(map_by_id(id_a), failed(Errc::ObjectNotFound));
    next.start_id = id_b;
    EXPECT_EQ(run(spec::Command::MapGetNextId, next), 0);
    EXPECT_GT(next.next_id, id_b);
    EXPECT_GT(c + b, 0);
}

TEST_F(Objects, PinsKeepAndFind) {
    const i64 map = create({.type = spec::MapType::Hash});
    EXPECT_EQ(pin(map, "/a/map"), 0);
    EXPECT_EQ(pin(map, "/a/map"), failed(Errc::ObjectAlreadyExists));
    EXPECT_EQ(pin(map, "/b"), 0);
    EXPECT_EQ(pin(99, "/c"), failed(Errc::InvalidArgument));
    EXPECT_EQ(pin(map, ""), failed(Errc::ObjectNotFound));
    const std::string longest(4095, 'x');
    EXPECT_EQ(pin(map, longest.c_str()), 0);
    EXPECT_EQ(pin(map, (longest + "x").c_str()), failed(Errc::NameTooLong));
    EXPECT_EQ(unpin(longest.c_str()), 0);
    EXPECT_EQ(close(map), 0);
    EXPECT_EQ(maps(), 1u);
    const i64 again = get("/a/map");
    EXPECT_GT(again, 0);
    EXPECT_EQ(get("/a"), failed(Errc::ObjectNotFound));

    char path[16];
    spec::PinGetNextAttr next;
    next.path = reinterpret_cast<u64>(path);
    next.path_len = sizeof path;
    EXPECT_EQ(run(spec::Command::PinGetNext, next), 0);
    EXPECT_STREQ(path, "/a/map");
    EXPECT_EQ(next.type, 1u);
    next.start = reinterpret_cast<u64>("/a/map");
    next.type = 0;
    EXPECT_EQ(run(spec::Command::PinGetNext, next), 0);
    EXPECT_STREQ(path, "/b");
    next.start = reinterpret_cast<u64>("/b");
    EXPECT_EQ(run(spec::Command::PinGetNext, next), failed(Errc::NoMoreKeys));
    next.start = 0;
    next.path_len = 6;
    EXPECT_EQ(run(spec::Command::PinGetNext, next), failed(Errc::InsufficientBuffer));
    next.type = 3;
    next.path_len = sizeof path;
    EXPECT_EQ(run(spec::Command::PinGetNext, next), failed(Errc::NoMoreKeys)) << "no programs";

    EXPECT_EQ(close(again), 0);
    EXPECT_EQ(unpin("/a/map"), 0);
    EXPECT_EQ(unpin("/a/map"), failed(Errc::ObjectNotFound));
    EXPECT_EQ(maps(), 1u);
    EXPECT_EQ(unpin("/b"), 0);
    EXPECT_EQ(maps(), 0u);
}

// eBPF for Windows' rules: either slash, "." and "..", prefixes that say nothing.
TEST_F(Objects, PathsOfPinsAreTheDialects) {
    const i64 map = create({.type = spec::MapType::Hash});
    EXPECT_EQ(pin(map, "/ebpf/map"), 0);
    dialect_ = spec::Dialect::Windows;
    EXPECT_EQ(pin(map, "Folder/map"), 0);
    for (const char* same :
         {"Folder\\map", "\\Folder\\map", "/Folder//map", "BPF:\\Folder\\map", "bpf:Folder/map",
          "\\EBPF\\Global\\Folder\\map", "/ebpf/global/Folder/map", "./Folder/./map",
          "Folder/other/../map", "x/../Folder/map/", "\\ebpf\\map", "BPF:\\ebpf\\map"})
        EXPECT_GT(get(same), 0) << same;
    EXPECT_EQ(pin(map, "BPF:\\Folder\\map"), failed(Errc::ObjectAlreadyExists));
    for (const char* other :
         {"folder\\map", "Folder", "map", "Folder\\map2", "\\", "global/Folder/map"})
        EXPECT_EQ(get(other), failed(Errc::ObjectNotFound)) << other;
    for (const char* wrong : {"..", "a/../../map", "BPF:\\a:b", "C:\\map", "BPF:BPF:\\map"})
        EXPECT_EQ(pin(map, wrong), failed(Errc::InvalidArgument)) << wrong;
    // "BPF:\" and 250 characters, and the NUL.
    const std::string longest(250, 'x');
    EXPECT_EQ(pin(map, longest.c_str()), 0);
    EXPECT_EQ(pin(map, ("y" + longest).c_str()), failed(Errc::NameTooLong));
    EXPECT_EQ(get(("y" + longest).c_str()), failed(Errc::NameTooLong));
    EXPECT_EQ(unpin(("BPF:/" + longest).c_str()), 0);

    // Both see all of them, each as it writes them.
    const auto listed = [&] {
        std::string all;
        char path[64], start[64] = {};
        spec::PinGetNextAttr next;
        next.start = reinterpret_cast<u64>(start);
        next.path = reinterpret_cast<u64>(path);
        for (;;) {
            next.path_len = sizeof path;
            next.type = 0;
            if (run(spec::Command::PinGetNext, next) != 0) return all;
            all += std::string(path) + " ";
            std::memcpy(start, path, sizeof start);
        }
    };
    EXPECT_EQ(listed(), "BPF:\\Folder\\map BPF:\\ebpf\\map ");
    char path[16];
    spec::PinGetNextAttr next;
    next.path = reinterpret_cast<u64>(path);
    for (const u32 room : {0u, 3u, 4u, 5u, 15u}) {  // BPF:\Folder\map has 15 characters
        next.path_len = room;
        EXPECT_EQ(run(spec::Command::PinGetNext, next), failed(Errc::InsufficientBuffer)) << room;
    }
    next.path_len = sizeof path;
    EXPECT_EQ(run(spec::Command::PinGetNext, next), 0);
    dialect_ = spec::Dialect::Linux;
    EXPECT_EQ(listed(), "/Folder/map /ebpf/map ");
    EXPECT_GT(get("/Folder/map"), 0);
    EXPECT_EQ(get("Folder/map"), failed(Errc::ObjectNotFound))
        << "on Linux it is taken as it stands";
}

TEST_F(Objects, InformationHasLinuxsLayout) {
#define SAME(ours, theirs, member) \
    static_assert(offsetof(linux_abi::ours, member) == offsetof(theirs, member))
    SAME(MapInfo, bpf_map_info, type);
    SAME(MapInfo, bpf_map_info, name);
    SAME(MapInfo, bpf_map_info, ifindex);
    SAME(MapInfo, bpf_map_info, btf_value_type_id);
    SAME(MapInfo, bpf_map_info, map_extra);
    SAME(ProgInfo, bpf_prog_info, tag);
    SAME(ProgInfo, bpf_prog_info, jited_prog_len);
    SAME(ProgInfo, bpf_prog_info, load_time);
    SAME(ProgInfo, bpf_prog_info, map_ids);
    SAME(ProgInfo, bpf_prog_info, name);
    SAME(ProgInfo, bpf_prog_info, netns_dev);
    SAME(ProgInfo, bpf_prog_info, func_info);
    SAME(ProgInfo, bpf_prog_info, prog_tags);
    SAME(ProgInfo, bpf_prog_info, run_cnt);
    SAME(ProgInfo, bpf_prog_info, verified_insns);
    SAME(ProgInfo, bpf_prog_info, attach_btf_id);
    static_assert(offsetof(linux_abi::LinkInfo, target) == offsetof(bpf_link_info, xdp.ifindex));
    static_assert(offsetof(linux_abi::LinkInfo, prog_id) == offsetof(bpf_link_info, prog_id));
#undef SAME

    const i64 map = create({.type = spec::MapType::Hash, .key = 12, .value = 20, .entries = 3});
    bpf_map_info map_info{};
    EXPECT_GT(info(map, map_info), 0);
    EXPECT_EQ(map_info.type, u32{BPF_MAP_TYPE_HASH});
    EXPECT_EQ(map_info.key_size, 12u);
    EXPECT_EQ(map_info.value_size, 20u);
    EXPECT_EQ(map_info.max_entries, 3u);

    const i64 program = install(Engine::Jit, {map_index(1, 0), mov(0, 0), exit()}, {map});
    u32 ids[4] = {};
    u64 insns[8] = {};
    bpf_prog_info prog_info{};
    prog_info.nr_map_ids = 4;
    prog_info.map_ids = reinterpret_cast<u64>(ids);
    prog_info.xlated_prog_insns = reinterpret_cast<u64>(insns);
    prog_info.xlated_prog_len = sizeof insns;
    EXPECT_GT(info(program, prog_info), 0);
    EXPECT_EQ(prog_info.type, u32{BPF_PROG_TYPE_XDP});
    EXPECT_EQ(prog_info.nr_map_ids, 1u);
    EXPECT_EQ(ids[0], map_info.id);
    EXPECT_EQ(prog_info.xlated_prog_len, 32u);
    const u64 reference = 0x18 | 1 << 8 | 1 << 12 | u64{map_info.id} << 32;  // r1 = map[id]
    EXPECT_EQ(insns[0], reference);
    EXPECT_EQ(insns[3], 0x95u);
    // What Linux 6.18 says of the same program, whatever the map's descriptor is.
    const u8 tag[8] = {0x0b, 0xd0, 0x16, 0x86, 0x76, 0xc7, 0xc7, 0x79};
    EXPECT_TRUE(std::ranges::equal(prog_info.tag, tag));
    EXPECT_EQ(prog_info.gpl_compatible, 1u);
    EXPECT_STREQ(prog_info.name, "prog");
    EXPECT_GT(prog_info.jited_prog_len, 0u);

    const i64 link = attach(program, 17);
    bpf_link_info link_info{};
    EXPECT_GT(info(link, link_info), 0);
    EXPECT_EQ(link_info.type, u32{BPF_LINK_TYPE_XDP});
    EXPECT_EQ(link_info.prog_id, prog_info.id);
    EXPECT_EQ(link_info.xdp.ifindex, 17u);

    // An older caller gets the part that it knows; a newer one may only ask for what is zero.
    struct {
        u32 type = 0, id = 0, untouched = 77;
    } small;
    EXPECT_EQ(info(map, small, 8), 8);
    EXPECT_EQ(small.id, map_info.id);
    EXPECT_EQ(small.untouched, 77u);
    struct {
        bpf_map_info known{};
        u64 unknown[8] = {};
    } large;
    EXPECT_EQ(info(map, large), static_cast<i64>(sizeof(linux_abi::MapInfo)));
    large.unknown[7] = 1;
    EXPECT_EQ(info(map, large), failed(Errc::TooLarge));
}

TEST_F(Objects, TheInsideOfAProgramIsToldAsFarAsThereIsRoomAndToWhoMayKnow) {
    const i64 program = install(Engine::Jit, {mov(0, 7), exit()});
    const auto ask = [&](spec::Inside inside, u64* insns, u32 bytes) {
        linux_abi::ProgInfo out{.xlated_prog_len = bytes,
                                .xlated_prog_insns = reinterpret_cast<u64>(insns)};
        spec::Caller who = caller();
        who.inside = inside;
        spec::ObjGetInfoByFdAttr attr;
        attr.bpf_fd = static_cast<u32>(program);
        attr.info = reinterpret_cast<u64>(&out);
        attr.info_len = sizeof out;
        EXPECT_EQ(run_as(who, spec::Command::ObjGetInfoByFd, attr),
                  insns == nullptr && bytes != 0 ? failed(Errc::InvalidPointer) : 0);
        return out;
    };
    u64 insns[2] = {1, 1};
    EXPECT_EQ(ask(spec::Inside::Code, insns, 8).xlated_prog_len, 16u) << "all that there is";
    EXPECT_EQ(insns[0], u64{7} << 32 | 0xb7);
    EXPECT_EQ(insns[1], 1u) << "beyond the room";
    insns[0] = 1;
    const linux_abi::ProgInfo hidden = ask(spec::Inside::Hidden, insns, 16);
    EXPECT_EQ(insns[0], 1u);
    EXPECT_EQ(hidden.xlated_prog_len, 0u);
    EXPECT_EQ(hidden.jited_prog_len, 0u);
    EXPECT_EQ(hidden.verified_insns, ask(spec::Inside::Code, insns, 0).verified_insns);
    ask(spec::Inside::Code, nullptr, 16);
}

TEST_F(Objects, MachineCodeIsToldToWhoMaySeeAddresses) {
    const i64 program = install(
        Engine::Jit, {call_local(1), exit(), mov(0, 7), add(0, 1), exit()});  // two functions
    std::vector<u8> image(4096);
    u64 symbols[3] = {};
    u32 lengths[3] = {};
    const auto ask = [&](spec::Inside inside, u32 room) {
        linux_abi::ProgInfo out{.jited_prog_len = room != 0 ? u32(image.size()) : 0,
                                .jited_prog_insns = reinterpret_cast<u64>(image.data()),
                                .nr_jited_ksyms = room,
                                .nr_jited_func_lens = room,
                                .jited_ksyms = reinterpret_cast<u64>(symbols),
                                .jited_func_lens = reinterpret_cast<u64>(lengths)};
        spec::Caller who = caller();
        who.inside = inside;
        spec::ObjGetInfoByFdAttr attr;
        attr.bpf_fd = static_cast<u32>(program);
        attr.info = reinterpret_cast<u64>(&out);
        attr.info_len = sizeof out;
        EXPECT_EQ(run_as(who, spec::Command::ObjGetInfoByFd, attr), 0);
        return out;
    };
    const linux_abi::ProgInfo known = ask(spec::Inside::Code, 0);
    EXPECT_GT(known.jited_prog_len, 0u) << "how much there is";
    const linux_abi::ProgInfo refused = ask(spec::Inside::Code, 3);
    EXPECT_EQ(refused.jited_prog_len, 0u);
    EXPECT_EQ(refused.nr_jited_ksyms, 0u);
    EXPECT_EQ(refused.nr_jited_func_lens, 0u);
    EXPECT_EQ(symbols[0], 0u);
    EXPECT_EQ(image, std::vector<u8>(image.size()));

    const linux_abi::ProgInfo told = ask(spec::Inside::Addresses, 3);
    EXPECT_EQ(told.nr_jited_ksyms, 2u);
    EXPECT_EQ(told.nr_jited_func_lens, 2u);
    EXPECT_EQ(told.jited_prog_len, known.jited_prog_len);
    EXPECT_EQ(lengths[0] + lengths[1], told.jited_prog_len);
    EXPECT_EQ(symbols[1], symbols[0] + lengths[0]);
    EXPECT_EQ(
        std::memcmp(image.data(), reinterpret_cast<const void*>(symbols[0]), told.jited_prog_len),
        0);
    EXPECT_EQ(image[told.jited_prog_len], 0u);
}

TEST_F(Objects, LinksComeAndGo) {
    const i64 program = install(Engine::Interpreter, {mov(0, 1), exit()});
    const i64 foreign =
        install(Engine::Interpreter, {mov(0, 1), exit()}, {}, spec::ProgramType::CgroupSockAddr);
    EXPECT_EQ(attach(foreign), failed(Errc::InvalidArgument));
    hook_.refuse_with = static_cast<u32>(Errc::Busy);
    EXPECT_EQ(attach(program), failed(Errc::Busy));
    EXPECT_EQ(runtime_->live(ObjectKind::Link), 0u);
    hook_.refuse_with = 0;
    const i64 link = attach(program, 5);
    ASSERT_GT(link, 0);

    u32 ids[2] = {};
    spec::ProgQueryAttr query;
    query.target_fd = 5;
    query.attach_type = static_cast<u32>(spec::number(dialect_, spec::AttachType::Xdp));
    query.prog_ids = reinterpret_cast<u64>(ids);
    query.prog_cnt = 2;
    EXPECT_EQ(run(spec::Command::ProgQuery, query), 0);
    EXPECT_EQ(query.prog_cnt, 1u);
    query.target_fd = 6;
    EXPECT_EQ(run(spec::Command::ProgQuery, query), 0);
    EXPECT_EQ(query.prog_cnt, 0u);

    spec::LinkUpdateAttr replace;
    replace.link_fd = static_cast<u32>(link);
    replace.new_prog_fd = static_cast<u32>(foreign);
    EXPECT_EQ(run(spec::Command::LinkUpdate, replace), failed(Errc::InvalidArgument));
    spec::LinkDetachAttr detach;
    detach.link_fd = static_cast<u32>(link);
    EXPECT_EQ(run(spec::Command::LinkDetach, detach), 0);
    EXPECT_TRUE(hook_.bindings.empty());
    EXPECT_EQ(runtime_->live(ObjectKind::Link), 1u) << "its handle is still there";
    replace.new_prog_fd = static_cast<u32>(program);
    EXPECT_EQ(run(spec::Command::LinkUpdate, replace), failed(Errc::NoLink));
    EXPECT_EQ(close(link), 0);
    EXPECT_EQ(runtime_->live(ObjectKind::Link), 0u);

    // A pinned link stays attached without a handle.
    const i64 pinned = attach(program);
    EXPECT_EQ(pin(pinned, "/link"), 0);
    EXPECT_EQ(close(pinned), 0);
    EXPECT_EQ(hook_.bindings.size(), 1u);
    EXPECT_EQ(unpin("/link"), 0);
    EXPECT_TRUE(hook_.bindings.empty());
}

TEST_F(Objects, AttachingWithoutALink) {
    const i64 first = install(Engine::Interpreter, {mov(0, 1), exit()});
    const i64 second = install(Engine::Interpreter, {mov(0, 2), exit()});
    spec::ProgAttachAttr attr;
    attr.target_fd = 3;
    attr.attach_bpf_fd = static_cast<u32>(first);
    attr.attach_type = static_cast<u32>(spec::number(dialect_, spec::AttachType::Xdp));
    EXPECT_EQ(run(spec::Command::ProgAttach, attr), 0);
    ASSERT_EQ(hook_.bindings.size(), 1u);
    attr.attach_bpf_fd = static_cast<u32>(second);
    attr.attach_flags = EBPF_ATTACH_IF_NONE;
    EXPECT_EQ(run(spec::Command::ProgAttach, attr), failed(Errc::Busy));
    attr.attach_flags = 0;
    EXPECT_EQ(run(spec::Command::ProgAttach, attr), 0);
    ASSERT_EQ(hook_.bindings.size(), 1u);
    u64 context[8] = {};
    u64 result = 0;
    EXPECT_EQ(hook_.client->invoke(hook_.bindings[0], context, &result), 0u);
    EXPECT_EQ(result, 2u);
    // It outlives the session's handles, and goes with PROG_DETACH.
    EXPECT_EQ(close(second), 0);
    EXPECT_EQ(hook_.bindings.size(), 1u);
    spec::ProgDetachAttr detach;
    detach.target_fd = 3;
    detach.attach_type = attr.attach_type;
    detach.attach_bpf_fd = static_cast<u32>(first);
    EXPECT_EQ(run(spec::Command::ProgDetach, detach), failed(Errc::ObjectAlreadyExists));
    detach.attach_bpf_fd = 0;
    EXPECT_EQ(run(spec::Command::ProgDetach, detach), 0);
    EXPECT_EQ(run(spec::Command::ProgDetach, detach), failed(Errc::ObjectNotFound));
    EXPECT_TRUE(hook_.bindings.empty());
    EXPECT_EQ(runtime_->live(ObjectKind::Link), 0u);
}

TEST_F(Objects, RuntimeEndsWithEverythingInUse) {
    const i64 program = install(Engine::Jit, {mov(0, 1), exit()});
    EXPECT_GT(attach(program), 0);
    spec::ProgAttachAttr attr;
    attr.target_fd = 3;
    attr.attach_bpf_fd = static_cast<u32>(program);
    attr.attach_type = static_cast<u32>(spec::number(dialect_, spec::AttachType::Xdp));
    EXPECT_EQ(run(spec::Command::ProgAttach, attr), 0);
    EXPECT_EQ(pin(program, "/p"), 0);
    EXPECT_EQ(pin(create({.type = spec::MapType::Hash}), "/m"), 0);
    // TearDown ends it and looks for leaks.
}

TEST_F(Objects, RunsAreCountedWhileSomebodyWantsIt) {
    const auto counted = [&](i64 program) {
        spec::linux_abi::ProgInfo info{};
        spec::ObjGetInfoByFdAttr attr;
        attr.bpf_fd = static_cast<u32>(program);
        attr.info_len = sizeof info;
        attr.info = reinterpret_cast<u64>(&info);
        EXPECT_EQ(run(spec::Command::ObjGetInfoByFd, attr), 0);
        EXPECT_EQ(info.run_time_ns != 0, info.run_cnt != 0);
        return info.run_cnt;
    };
    for (const Engine engine : {Engine::Interpreter, Engine::Jit}) {
        const i64 program = install(engine, {mov(0, 1), exit()});
        EXPECT_EQ(test_run(program, 0, 100), 1);
        EXPECT_EQ(counted(program), 0u) << "nobody asked";
        spec::EnableStatsAttr stats;
        const i64 one = run(spec::Command::EnableStats, stats);
        const i64 another = run(spec::Command::EnableStats, stats);
        ASSERT_GT(one, 0);
        EXPECT_EQ(test_run(program, 0, 100), 1);
        EXPECT_EQ(counted(program), 100u);
        // What a tail call enters is part of the run of who called.
        const i64 programs = create({.type = spec::MapType::ProgArray, .value = 4});
        const u32 key = 0;
        const u32 called = static_cast<u32>(program);
        EXPECT_EQ(update(programs, &key, &called), 0);
        const i64 caller =
            install(engine, {map_index(2, 0), mov(3, 0), call(spec::Helper::tail_call), exit()},
                    {programs});
        EXPECT_EQ(test_run(caller), 1);
        EXPECT_EQ(counted(caller), 1u);
        EXPECT_EQ(counted(program), 100u);
        // Attached, too.
        EXPECT_GT(attach(program), 0);
        u64 context[8] = {};
        u64 result = 0;
        EXPECT_EQ(hook_.client->invoke(hook_.bindings.back(), context, &result), 0u);
        EXPECT_EQ(counted(program), 101u);
        EXPECT_EQ(close(one), 0);
        EXPECT_EQ(test_run(program), 1);
        EXPECT_EQ(counted(program), 102u) << "another one still wants it";
        EXPECT_EQ(close(another), 0);
        EXPECT_EQ(test_run(program), 1);
        EXPECT_EQ(counted(program), 102u);
    }
    EXPECT_EQ(runtime_->live(ObjectKind::Statistics), 0u);
}

TEST_F(Objects, AHandleOfStatisticsIsNothingElse) {
    spec::EnableStatsAttr stats;
    stats.type = 1;
    EXPECT_EQ(run(spec::Command::EnableStats, stats), failed(Errc::InvalidArgument));
    stats.type = 0;
    const i64 handle = run(spec::Command::EnableStats, stats);
    EXPECT_EQ(pin(handle, "/stats"), failed(Errc::InvalidArgument));
    u64 key = 0;
    EXPECT_EQ(lookup(handle, &key, &key), failed(Errc::InvalidArgument));
    spec::linux_abi::ProgInfo info{};
    spec::ObjGetInfoByFdAttr attr;
    attr.bpf_fd = static_cast<u32>(handle);
    attr.info_len = sizeof info;
    attr.info = reinterpret_cast<u64>(&info);
    EXPECT_EQ(run(spec::Command::ObjGetInfoByFd, attr), failed(Errc::InvalidArgument));
}

TEST_F(Objects, UnknownAndMissingCommands) {
    spec::IterCreateAttr iterator;
    EXPECT_EQ(run(spec::Command::IterCreate, iterator), failed(Errc::NotSupported));
    EXPECT_STREQ(last_.what, "iter_create");
    EXPECT_EQ(run(static_cast<spec::Command>(999), iterator), failed(Errc::InvalidArgument));
    EXPECT_FALSE(
        door_({nullptr, spec::Dialect::Linux, true}, spec::Command::IterCreate, &iterator));
}

}  // namespace
}  // namespace ebpf::runtime::test
