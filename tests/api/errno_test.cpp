// SPDX-License-Identifier: MIT
//
// errno of wrong calls, as Linux gives it: each row of the table is put to the kernel's bpf(2) and
// to ours, and the two answers must be the same. Nothing here states what is right: the kernel that
// runs the test does. Each side gets objects of its own, made alike, and names them by descriptor.
//
// Rows that differ on purpose or are not right yet stand in kDifferent with the reason; a row there
// that no longer differs fails the test, so that the list cannot grow old.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

extern "C" int ebpf_bpf(int command, union bpf_attr* attr, unsigned int size);

namespace {

using Call = int (*)(int command, bpf_attr* attr, unsigned size);

int kernel_call(int command, bpf_attr* attr, unsigned size) {
    return static_cast<int>(syscall(SYS_bpf, command, attr, size));
}

std::uint64_t address(const void* at) {
    return reinterpret_cast<std::uint64_t>(at);
}

// One of the two that are compared, with a map of each kind that the rows need.
struct Side {
    explicit Side(Call how) : call(how) {
        hash = make(BPF_MAP_TYPE_HASH, 4, 8, 4);
        array = make(BPF_MAP_TYPE_ARRAY, 4, 8, 4);
        ring = make(BPF_MAP_TYPE_RINGBUF, 0, 0, 4096);
        programs = make(BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 4);
        file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    ~Side() {
        for (const int fd : {hash, array, ring, programs, file}) {
            if (fd >= 0) close(fd);
        }
    }
    Side(const Side&) = delete;
    Side& operator=(const Side&) = delete;

    int make(std::uint32_t type, std::uint32_t key, std::uint32_t value,
             std::uint32_t count) const {
        bpf_attr attr{};
        attr.map_type = type;
        attr.key_size = key;
        attr.value_size = value;
        attr.max_entries = count;
        return call(BPF_MAP_CREATE, &attr, sizeof attr);
    }

    Call call;
    int hash = -1, array = -1, ring = -1, programs = -1, file = -1;
};

std::uint32_t g_key = 0;
std::array<std::uint64_t, 8> g_value{};
constexpr std::uint32_t kAbsent = 1000;

// What a row calls: the command, its attribute, and the size that is passed.
struct Asked {
    int command;
    bpf_attr attr{};
    unsigned size = sizeof(bpf_attr);
};
struct Row {
    const char* name;
    std::function<Asked(const Side&)> ask;
};

Asked create(std::uint32_t type, std::uint32_t key, std::uint32_t value, std::uint32_t count,
             std::uint32_t flags = 0) {
    Asked asked{BPF_MAP_CREATE};
    asked.attr.map_type = type;
    asked.attr.key_size = key;
    asked.attr.value_size = value;
    asked.attr.max_entries = count;
    asked.attr.map_flags = flags;
    return asked;
}
Asked element(int command, int map, const void* key, const void* value, std::uint64_t flags = 0) {
    Asked asked{command};
    asked.attr.map_fd = static_cast<std::uint32_t>(map);
    asked.attr.key = address(key);
    asked.attr.value = address(value);
    asked.attr.flags = flags;
    return asked;
}
Asked by_id(int command, std::uint32_t id, std::uint32_t flags = 0) {
    Asked asked{command};
    asked.attr.start_id = id;
    asked.attr.open_flags = flags;
    return asked;
}
Asked with_byte(Asked asked, unsigned at) {
    reinterpret_cast<unsigned char*>(&asked.attr)[at] = 1;
    return asked;
}
const bpf_insn kReturn[] = {{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0},
                            {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
const bpf_insn kNoExit[] = {{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0}};
Asked load(std::uint32_t type, const bpf_insn* insns, std::uint32_t count, const char* license) {
    Asked asked{BPF_PROG_LOAD};
    asked.attr.prog_type = type;
    asked.attr.insns = address(insns);
    asked.attr.insn_cnt = count;
    asked.attr.license = address(license);
    return asked;
}

const std::vector<Row>& rows() {
    static const std::vector<Row> table = {
        {"no such command", [](const Side&) { return Asked{999}; }},
        {"negative command", [](const Side&) { return Asked{-1}; }},
        {"create: type unspec", [](const Side&) { return create(0, 4, 4, 1); }},
        {"create: unknown type", [](const Side&) { return create(1000, 4, 4, 1); }},
        {"create: hash without key", [](const Side&) { return create(1, 0, 4, 1); }},
        {"create: hash without value", [](const Side&) { return create(1, 4, 0, 1); }},
        {"create: hash without entries", [](const Side&) { return create(1, 4, 4, 0); }},
        {"create: hash of huge key", [](const Side&) { return create(1, 1u << 20, 4, 1); }},
        {"create: hash of huge value", [](const Side&) { return create(1, 4, 0xfffffff0, 1); }},
        {"create: hash, unknown flag", [](const Side&) { return create(1, 4, 4, 1, 1u << 31); }},
        {"create: hash, mmapable", [](const Side&) { return create(1, 4, 4, 1, BPF_F_MMAPABLE); }},
        {"create: both read and write only",
         [](const Side&) { return create(1, 4, 4, 1, BPF_F_RDONLY | BPF_F_WRONLY); }},
        {"create: array of 8-byte key", [](const Side&) { return create(2, 8, 4, 1); }},
        {"create: array without value", [](const Side&) { return create(2, 4, 0, 1); }},
        {"create: array without entries", [](const Side&) { return create(2, 4, 4, 0); }},
        {"create: array, no_prealloc",
         [](const Side&) { return create(2, 4, 4, 1, BPF_F_NO_PREALLOC); }},
        {"create: program array of 8-byte value", [](const Side&) { return create(3, 4, 8, 1); }},
        {"create: ring of odd size", [](const Side&) { return create(27, 0, 0, 5000); }},
        {"create: ring without size", [](const Side&) { return create(27, 0, 0, 0); }},
        {"create: ring with key", [](const Side&) { return create(27, 4, 0, 4096); }},
        {"create: trie, preallocated", [](const Side&) { return create(11, 8, 4, 1); }},
        {"create: queue with key", [](const Side&) { return create(22, 4, 4, 1); }},
        {"create: bloom with key", [](const Side&) { return create(30, 4, 4, 1); }},
        {"create: array of maps without inner", [](const Side&) { return create(12, 4, 4, 1); }},
        {"create: inner map not a map",
         [](const Side& s) {
             Asked asked = create(12, 4, 4, 1);
             asked.attr.inner_map_fd = static_cast<std::uint32_t>(s.file);
             return asked;
         }},
        {"create: name with a space",
         [](const Side&) {
             Asked asked = create(2, 4, 4, 1);
             std::memcpy(asked.attr.map_name, "a b", 4);
             return asked;
         }},
        {"create: name without end",
         [](const Side&) {
             Asked asked = create(2, 4, 4, 1);
             std::memset(asked.attr.map_name, 'a', sizeof asked.attr.map_name);
             return asked;
         }},
        {"create: tail not zero", [](const Side&) { return with_byte(create(2, 4, 4, 1), 112); }},
        {"lookup: closed descriptor",
         [](const Side&) { return element(BPF_MAP_LOOKUP_ELEM, 9999, &g_key, g_value.data()); }},
        {"lookup: negative descriptor",
         [](const Side&) { return element(BPF_MAP_LOOKUP_ELEM, -1, &g_key, g_value.data()); }},
        {"lookup: not a map",
         [](const Side& s) {
             return element(BPF_MAP_LOOKUP_ELEM, s.file, &g_key, g_value.data());
         }},
        {"lookup: absent in hash",
         [](const Side& s) {
             return element(BPF_MAP_LOOKUP_ELEM, s.hash, &g_key, g_value.data());
         }},
        {"lookup: past the array",
         [](const Side& s) {
             return element(BPF_MAP_LOOKUP_ELEM, s.array, &kAbsent, g_value.data());
         }},
        {"lookup: unknown flag",
         [](const Side& s) {
             return element(BPF_MAP_LOOKUP_ELEM, s.array, &g_key, g_value.data(), 64);
         }},
        {"lookup: lock without one",
         [](const Side& s) {
             return element(BPF_MAP_LOOKUP_ELEM, s.array, &g_key, g_value.data(), BPF_F_LOCK);
         }},
        {"lookup: null key",
         [](const Side& s) {
             return element(BPF_MAP_LOOKUP_ELEM, s.hash, nullptr, g_value.data());
         }},
        {"lookup: null value",
         [](const Side& s) { return element(BPF_MAP_LOOKUP_ELEM, s.array, &g_key, nullptr); }},
        {"lookup: ring",
         [](const Side& s) {
             return element(BPF_MAP_LOOKUP_ELEM, s.ring, &g_key, g_value.data());
         }},
        {"lookup: tail not zero",
         [](const Side& s) {
             return with_byte(element(BPF_MAP_LOOKUP_ELEM, s.array, &g_key, g_value.data()), 64);
         }},
        {"update: past the array",
         [](const Side& s) {
             return element(BPF_MAP_UPDATE_ELEM, s.array, &kAbsent, g_value.data());
         }},
        {"update: no_exist in array",
         [](const Side& s) {
             return element(BPF_MAP_UPDATE_ELEM, s.array, &g_key, g_value.data(), BPF_NOEXIST);
         }},
        {"update: exist in empty hash",
         [](const Side& s) {
             return element(BPF_MAP_UPDATE_ELEM, s.hash, &g_key, g_value.data(), BPF_EXIST);
         }},
        {"update: both flags",
         [](const Side& s) {
             return element(BPF_MAP_UPDATE_ELEM, s.hash, &g_key, g_value.data(), 3);
         }},
        {"update: unknown flag",
         [](const Side& s) {
             return element(BPF_MAP_UPDATE_ELEM, s.hash, &g_key, g_value.data(), 64);
         }},
        {"update: lock without one",
         [](const Side& s) {
             return element(BPF_MAP_UPDATE_ELEM, s.hash, &g_key, g_value.data(), BPF_F_LOCK);
         }},
        {"update: null key",
         [](const Side& s) {
             return element(BPF_MAP_UPDATE_ELEM, s.array, nullptr, g_value.data());
         }},
        {"update: null value",
         [](const Side& s) { return element(BPF_MAP_UPDATE_ELEM, s.array, &g_key, nullptr); }},
        {"update: ring",
         [](const Side& s) {
             return element(BPF_MAP_UPDATE_ELEM, s.ring, &g_key, g_value.data());
         }},
        {"update: not a program in a program array",
         [](const Side& s) {
             static int map = 0;
             map = s.hash;
             return element(BPF_MAP_UPDATE_ELEM, s.programs, &g_key, &map);
         }},
        {"delete: absent",
         [](const Side& s) { return element(BPF_MAP_DELETE_ELEM, s.hash, &g_key, nullptr); }},
        {"delete: in array",
         [](const Side& s) { return element(BPF_MAP_DELETE_ELEM, s.array, &g_key, nullptr); }},
        {"delete: null key",
         [](const Side& s) { return element(BPF_MAP_DELETE_ELEM, s.hash, nullptr, nullptr); }},
        {"delete: not a map",
         [](const Side& s) { return element(BPF_MAP_DELETE_ELEM, s.file, &g_key, nullptr); }},
        {"next: empty hash",
         [](const Side& s) {
             return element(BPF_MAP_GET_NEXT_KEY, s.hash, nullptr, g_value.data());
         }},
        {"next: ring",
         [](const Side& s) {
             return element(BPF_MAP_GET_NEXT_KEY, s.ring, nullptr, g_value.data());
         }},
        {"next: null result",
         [](const Side& s) { return element(BPF_MAP_GET_NEXT_KEY, s.array, nullptr, nullptr); }},
        {"take: array",
         [](const Side& s) {
             return element(BPF_MAP_LOOKUP_AND_DELETE_ELEM, s.array, &g_key, g_value.data());
         }},
        {"take: absent in hash",
         [](const Side& s) {
             return element(BPF_MAP_LOOKUP_AND_DELETE_ELEM, s.hash, &g_key, g_value.data());
         }},
        {"freeze: not a map",
         [](const Side& s) { return element(BPF_MAP_FREEZE, s.file, nullptr, nullptr); }},
        {"freeze: tail not zero",
         [](const Side& s) { return element(BPF_MAP_FREEZE, s.array, &g_key, nullptr); }},
        {"load: unknown type", [](const Side&) { return load(1000, kReturn, 2, "GPL"); }},
        {"load: no instructions", [](const Side&) { return load(6, kReturn, 0, "GPL"); }},
        {"load: too many", [](const Side&) { return load(6, kReturn, 1u << 24, "GPL"); }},
        {"load: null instructions", [](const Side&) { return load(6, nullptr, 2, "GPL"); }},
        {"load: null licence", [](const Side&) { return load(6, kReturn, 2, nullptr); }},
        {"load: no exit", [](const Side&) { return load(6, kNoExit, 1, "GPL"); }},
        {"load: unknown flag",
         [](const Side&) {
             Asked asked = load(6, kReturn, 2, "GPL");
             asked.attr.prog_flags = 1u << 31;
             return asked;
         }},
        {"load: log without buffer",
         [](const Side&) {
             Asked asked = load(6, kReturn, 2, "GPL");
             asked.attr.log_level = 1;
             asked.attr.log_size = 4096;
             return asked;
         }},
        {"load: unknown log level",
         [](const Side&) {
             static char log[4096];
             Asked asked = load(6, kReturn, 2, "GPL");
             asked.attr.log_level = 64;
             asked.attr.log_size = sizeof log;
             asked.attr.log_buf = address(log);
             return asked;
         }},
        {"load: name with a space",
         [](const Side&) {
             Asked asked = load(6, kReturn, 2, "GPL");
             std::memcpy(asked.attr.prog_name, "a b", 4);
             return asked;
         }},
        {"next map: no such id",
         [](const Side&) { return by_id(BPF_MAP_GET_NEXT_ID, 0x7fffffff); }},
        {"next map: id past the end", [](const Side&) { return by_id(BPF_MAP_GET_NEXT_ID, ~0u); }},
        {"next map: flags", [](const Side&) { return by_id(BPF_MAP_GET_NEXT_ID, 0, 1); }},
        {"next program: no such id",
         [](const Side&) { return by_id(BPF_PROG_GET_NEXT_ID, 0x7fffffff); }},
        {"map by id: none", [](const Side&) { return by_id(BPF_MAP_GET_FD_BY_ID, 0x7fffffff); }},
        {"map by id: unknown flag",
         [](const Side&) { return by_id(BPF_MAP_GET_FD_BY_ID, 1, 1u << 31); }},
        {"program by id: none",
         [](const Side&) { return by_id(BPF_PROG_GET_FD_BY_ID, 0x7fffffff); }},
        {"program by id: flags",
         [](const Side&) { return by_id(BPF_PROG_GET_FD_BY_ID, 0x7fffffff, 1); }},
        {"link by id: none", [](const Side&) { return by_id(BPF_LINK_GET_FD_BY_ID, 0x7fffffff); }},
        {"btf by id: none", [](const Side&) { return by_id(BPF_BTF_GET_FD_BY_ID, 0x7fffffff); }},
        {"info: not an object",
         [](const Side& s) {
             Asked asked{BPF_OBJ_GET_INFO_BY_FD};
             asked.attr.info.bpf_fd = static_cast<std::uint32_t>(s.file);
             asked.attr.info.info_len = 64;
             asked.attr.info.info = address(g_value.data());
             return asked;
         }},
        {"info: closed descriptor",
         [](const Side&) {
             Asked asked{BPF_OBJ_GET_INFO_BY_FD};
             asked.attr.info.bpf_fd = 9999;
             return asked;
         }},
        {"info: null",
         [](const Side& s) {
             Asked asked{BPF_OBJ_GET_INFO_BY_FD};
             asked.attr.info.bpf_fd = static_cast<std::uint32_t>(s.hash);
             asked.attr.info.info_len = 80;
             return asked;
         }},
        {"btf: no data",
         [](const Side&) {
             Asked asked{BPF_BTF_LOAD};
             asked.attr.btf = address(g_value.data());
             asked.attr.btf_size = 8;
             return asked;
         }},
        {"link: not a program",
         [](const Side& s) {
             Asked asked{BPF_LINK_CREATE};
             asked.attr.link_create.prog_fd = static_cast<std::uint32_t>(s.hash);
             asked.attr.link_create.target_fd = 1;
             asked.attr.link_create.attach_type = BPF_XDP;
             return asked;
         }},
        {"link: unknown attach type",
         [](const Side&) {
             Asked asked{BPF_LINK_CREATE};
             asked.attr.link_create.attach_type = 1000;
             return asked;
         }},
        {"link detach: not a link",
         [](const Side& s) {
             Asked asked{BPF_LINK_DETACH};
             asked.attr.link_detach.link_fd = static_cast<std::uint32_t>(s.hash);
             return asked;
         }},
        {"run: not a program",
         [](const Side& s) {
             Asked asked{BPF_PROG_TEST_RUN};
             asked.attr.test.prog_fd = static_cast<std::uint32_t>(s.hash);
             return asked;
         }},
        {"get: null path", [](const Side&) { return Asked{BPF_OBJ_GET}; }},
        {"get: unknown flag",
         [](const Side&) {
             Asked asked{BPF_OBJ_GET};
             asked.attr.pathname = address("/sys/fs/bpf/absent");
             asked.attr.file_flags = 1u << 31;
             return asked;
         }},
    };
    return table;
}

// Rows where we differ, and why.
struct Difference {
    const char* row;
    const char* why;
};
constexpr const char* kUnsupported = "EOPNOTSUPP here for what we lack";
constexpr const char* kDescriptorFirst = "the descriptor is looked at first here: EBADF";
constexpr Difference kDifferent[] = {
    {"lookup: ring", kUnsupported},
    {"load: unknown flag", kUnsupported},
    {"btf by id: none", kUnsupported},
    {"info: closed descriptor", "EBADF here, EBADFD there (seen with Linux 6.18)"},
    {"btf: no data", kUnsupported},
};

// 0 when the call succeeded (its descriptor is closed), else errno.
int answer(const Side& side, const Row& row) {
    Asked asked = row.ask(side);
    errno = 0;
    const int result = side.call(asked.command, &asked.attr, asked.size);
    const int error = result < 0 ? errno : 0;
    if (result > 0) close(result);
    return error;
}

TEST(Errno, WrongCallsAreAnsweredAsTheKernelAnswersThem) {
    const Side kernel(&kernel_call);
    if (kernel.hash < 0 || kernel.ring < 0) GTEST_SKIP() << "bpf(2) is not permitted here";
    const Side ours(&ebpf_bpf);
    ASSERT_GE(ours.hash, 0);
    ASSERT_GE(ours.ring, 0);
    int same = 0;
    for (const Row& row : rows()) {
        const int theirs = answer(kernel, row);
        const int here = answer(ours, row);
        const bool listed =
            std::any_of(std::begin(kDifferent), std::end(kDifferent),
                        [&](const auto& d) { return std::strcmp(d.row, row.name) == 0; });
        same += theirs == here;
        if (listed) {
            EXPECT_NE(theirs, here) << row.name << ": no longer different";
        } else {
            EXPECT_STREQ(strerrorname_np(here), strerrorname_np(theirs)) << row.name;
        }
    }
    printf("%d of %zu wrong calls have the kernel's errno\n", same, rows().size());
}

}  // namespace
