// SPDX-License-Identifier: MIT
// Wrong calls that were thought of one by one.
#include <array>
#include <cstring>

#include "errno_side.hpp"
#include "spec/info_layout.hpp"

namespace ebpf::tests {
namespace {

std::uint32_t g_key = 0;
std::array<std::uint64_t, 8> g_value{};
constexpr std::uint32_t kAbsent = 1000;

// What a row calls: the command and its attribute.
struct Asked {
    int command;
    bpf_attr attr = zeros();
};
struct Listed {
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
const bpf_insn kNoExit[] = {{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0}};
Asked load(std::uint32_t type, const bpf_insn* insns, std::uint32_t count, const char* license) {
    Asked asked{BPF_PROG_LOAD};
    asked.attr.prog_type = type;
    asked.attr.insns = address(insns);
    asked.attr.insn_cnt = count;
    asked.attr.license = address(license);
    return asked;
}

const std::vector<Listed>& listed() {
    static const std::vector<Listed> table = {
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
             asked.attr.inner_map_fd = s.file.u32();
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
             return element(BPF_MAP_LOOKUP_ELEM, s.file.get(), &g_key, g_value.data());
         }},
        {"lookup: absent in hash",
         [](const Side& s) {
             return element(BPF_MAP_LOOKUP_ELEM, s.hash.get(), &g_key, g_value.data());
         }},
        {"lookup: past the array",
         [](const Side& s) {
             return element(BPF_MAP_LOOKUP_ELEM, s.array.get(), &kAbsent, g_value.data());
         }},
        {"lookup: unknown flag",
         [](const Side& s) {
             return element(BPF_MAP_LOOKUP_ELEM, s.array.get(), &g_key, g_value.data(), 64);
         }},
        {"lookup: lock without one",
         [](const Side& s) {
             return element(BPF_MAP_LOOKUP_ELEM, s.array.get(), &g_key, g_value.data(), BPF_F_LOCK);
         }},
        {"lookup: null key",
         [](const Side& s) {
             return element(BPF_MAP_LOOKUP_ELEM, s.hash.get(), nullptr, g_value.data());
         }},
        {"lookup: null value",
         [](const Side& s) {
             return element(BPF_MAP_LOOKUP_ELEM, s.array.get(), &g_key, nullptr);
         }},
        {"lookup: ring",
         [](const Side& s) {
             return element(BPF_MAP_LOOKUP_ELEM, s.ring.get(), &g_key, g_value.data());
         }},
        {"lookup: tail not zero",
         [](const Side& s) {
             return with_byte(element(BPF_MAP_LOOKUP_ELEM, s.array.get(), &g_key, g_value.data()),
                              64);
         }},
        {"update: past the array",
         [](const Side& s) {
             return element(BPF_MAP_UPDATE_ELEM, s.array.get(), &kAbsent, g_value.data());
         }},
        {"update: no_exist in array",
         [](const Side& s) {
             return element(BPF_MAP_UPDATE_ELEM, s.array.get(), &g_key, g_value.data(),
                            BPF_NOEXIST);
         }},
        {"update: exist in empty hash",
         [](const Side& s) {
             return element(BPF_MAP_UPDATE_ELEM, s.hash.get(), &g_key, g_value.data(), BPF_EXIST);
         }},
        {"update: both flags",
         [](const Side& s) {
             return element(BPF_MAP_UPDATE_ELEM, s.hash.get(), &g_key, g_value.data(), 3);
         }},
        {"update: unknown flag",
         [](const Side& s) {
             return element(BPF_MAP_UPDATE_ELEM, s.hash.get(), &g_key, g_value.data(), 64);
         }},
        {"update: lock without one",
         [](const Side& s) {
             return element(BPF_MAP_UPDATE_ELEM, s.hash.get(), &g_key, g_value.data(), BPF_F_LOCK);
         }},
        {"update: null key",
         [](const Side& s) {
             return element(BPF_MAP_UPDATE_ELEM, s.array.get(), nullptr, g_value.data());
         }},
        {"update: null value",
         [](const Side& s) {
             return element(BPF_MAP_UPDATE_ELEM, s.array.get(), &g_key, nullptr);
         }},
        {"update: ring",
         [](const Side& s) {
             return element(BPF_MAP_UPDATE_ELEM, s.ring.get(), &g_key, g_value.data());
         }},
        {"update: not a program in a program array",
         [](const Side& s) {
             static int map = 0;
             map = s.hash.get();
             return element(BPF_MAP_UPDATE_ELEM, s.programs.get(), &g_key, &map);
         }},
        {"delete: absent",
         [](const Side& s) { return element(BPF_MAP_DELETE_ELEM, s.hash.get(), &g_key, nullptr); }},
        {"delete: in array",
         [](const Side& s) {
             return element(BPF_MAP_DELETE_ELEM, s.array.get(), &g_key, nullptr);
         }},
        {"delete: null key",
         [](const Side& s) {
             return element(BPF_MAP_DELETE_ELEM, s.hash.get(), nullptr, nullptr);
         }},
        {"delete: not a map",
         [](const Side& s) { return element(BPF_MAP_DELETE_ELEM, s.file.get(), &g_key, nullptr); }},
        {"next: empty hash",
         [](const Side& s) {
             return element(BPF_MAP_GET_NEXT_KEY, s.hash.get(), nullptr, g_value.data());
         }},
        {"next: ring",
         [](const Side& s) {
             return element(BPF_MAP_GET_NEXT_KEY, s.ring.get(), nullptr, g_value.data());
         }},
        {"next: null result",
         [](const Side& s) {
             return element(BPF_MAP_GET_NEXT_KEY, s.array.get(), nullptr, nullptr);
         }},
        {"take: array",
         [](const Side& s) {
             return element(BPF_MAP_LOOKUP_AND_DELETE_ELEM, s.array.get(), &g_key, g_value.data());
         }},
        {"take: absent in hash",
         [](const Side& s) {
             return element(BPF_MAP_LOOKUP_AND_DELETE_ELEM, s.hash.get(), &g_key, g_value.data());
         }},
        {"freeze: not a map",
         [](const Side& s) { return element(BPF_MAP_FREEZE, s.file.get(), nullptr, nullptr); }},
        {"freeze: tail not zero",
         [](const Side& s) { return element(BPF_MAP_FREEZE, s.array.get(), &g_key, nullptr); }},
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
             asked.attr.info.bpf_fd = s.file.u32();
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
             asked.attr.info.bpf_fd = s.hash.u32();
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
        {"info: a closed descriptor's BTF, name without its length",
         [](const Side& s) {
             static spec::linux_abi::BtfInfo info;
             info = {.name = address(g_value.data())};
             Asked asked{BPF_OBJ_GET_INFO_BY_FD};
             asked.attr.info.bpf_fd = s.btf.u32();
             asked.attr.info.info_len = sizeof info;
             asked.attr.info.info = address(&info);
             return asked;
         }},
        {"info: BTF, room without an address",
         [](const Side& s) {
             static spec::linux_abi::BtfInfo info;
             info = {.btf_size = 8};
             Asked asked{BPF_OBJ_GET_INFO_BY_FD};
             asked.attr.info.bpf_fd = s.btf.u32();
             asked.attr.info.info_len = sizeof info;
             asked.attr.info.info = address(&info);
             return asked;
         }},
        {"pin: BTF",
         [](const Side& s) {
             Asked asked{BPF_OBJ_PIN};
             asked.attr.bpf_fd = s.btf.u32();
             asked.attr.pathname = address("/sys/fs/bpf/casement_absent/btf");
             return asked;
         }},
        {"link: not a program",
         [](const Side& s) {
             Asked asked{BPF_LINK_CREATE};
             asked.attr.link_create.prog_fd = s.hash.u32();
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
             asked.attr.link_detach.link_fd = s.hash.u32();
             return asked;
         }},
        {"run: not a program",
         [](const Side& s) {
             Asked asked{BPF_PROG_TEST_RUN};
             asked.attr.test.prog_fd = s.hash.u32();
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

// BTF with one byte changed after another, and cut or prolonged.
void add_btf_rows(std::vector<Row>& rows) {
    const auto add = [&rows](const std::string& what, std::vector<unsigned char> bytes,
                             std::uint32_t log_level = 0, std::uint32_t log_size = 0) {
        rows.push_back({"btf load: " + what, false, true, [=](const Side& side) {
                            bpf_attr attr = zeros();
                            attr.btf = address(bytes.data());
                            attr.btf_size = static_cast<std::uint32_t>(bytes.size());
                            attr.btf_log_level = log_level;
                            attr.btf_log_size = log_size;
                            if (log_size) attr.btf_log_buf = address(side.buffers->a);
                            return answer(side.call, BPF_BTF_LOAD, attr);
                        }});
    };
    const std::vector<unsigned char> right = small_btf();
    add("right", right);
    add("with a log", right, 1, 4096);
    for (const std::size_t size : {1u, 7u, 8u, 20u, 23u, 24u, 40u}) {
        add("cut to " + std::to_string(size), {right.begin(), right.begin() + size});
    }
    std::vector<unsigned char> longer = right;
    longer.push_back(0);
    add("prolonged", longer);
    for (std::size_t at = 0; at < right.size(); ++at) {
        for (const unsigned char byte : {0, 1, 0xff}) {
            std::vector<unsigned char> bytes = right;
            if (bytes[at] == byte) continue;
            bytes[at] = byte;
            add("byte " + std::to_string(at) + " is " + std::to_string(byte), bytes);
        }
    }
    std::vector<unsigned char> bad = right;
    bad[0] = 0;
    add("a log of one byte", bad, 1, 1);
    add("a log without a level", right, 0, 4096);
    add("an unknown log level", right, 8, 4096);
}

// A program with records about its only function and its only line.
void add_program_btf_rows(std::vector<Row>& rows) {
    struct Case {
        const char* what;
        std::vector<std::uint32_t> functions, lines;
        std::uint32_t function_size = 8, line_size = 16;
        int fd = 0;  // 0 BTF, 1 a map, 2 a file, 3 closed
    };
    const std::vector<std::uint32_t> function = {0, 5};
    const std::vector<std::uint32_t> line = {0, 1, 1, 7 << 10};
    const Case cases[] = {
        {"right", function, line},
        {"functions only", function, {}},
        {"lines only", {}, line},
        {"a map", function, line, 8, 16, 1},
        {"a file", function, line, 8, 16, 2},
        {"closed", function, line, 8, 16, 3},
        {"function records of 4", function, line, 4},
        {"function records of 10", function, line, 10},
        {"function records of 256", function, line, 256},
        {"line records of 12", function, line, 8, 12},
        {"line records of 18", function, line, 8, 18},
        {"a function of another kind", {0, 1}, line},
        {"a function without a type", {0, 99}, line},
        {"a function at 1", {1, 5}, line},
        {"a function twice", {0, 5, 0, 5}, line},
        {"a line past the end", function, {9, 1, 1, 0}},
        {"a line without its file", function, {0, 9999, 1, 0}},
        {"a line without its text", function, {0, 1, 9999, 0}},
        {"lines the wrong way round", function, {0, 1, 1, 0, 1, 1, 1, 0, 0, 1, 1, 0}},
    };
    for (const Case& one : cases) {
        rows.push_back(
            {std::string("prog_load with BTF: ") + one.what, false, true, [one](const Side& side) {
                 bpf_attr attr = zeros();
                 attr.prog_type = BPF_PROG_TYPE_XDP;
                 attr.insns = address(kReturn);
                 attr.insn_cnt = 2;
                 attr.license = address("GPL");
                 const std::uint32_t fds[] = {side.btf.u32(), side.hash.u32(), side.file.u32(),
                                              9999};
                 attr.prog_btf_fd = fds[one.fd];
                 // Records may be said to be larger than they are: zeros follow.
                 constexpr std::size_t kWords = 256;
                 std::vector<std::uint32_t> functions = one.functions, lines = one.lines;
                 functions.resize(kWords);
                 lines.resize(kWords);
                 attr.func_info = address(functions.data());
                 attr.func_info_cnt = static_cast<std::uint32_t>(one.functions.size() / 2);
                 attr.func_info_rec_size = one.function_size;
                 attr.line_info = address(lines.data());
                 attr.line_info_cnt = static_cast<std::uint32_t>(one.lines.size() / 4);
                 attr.line_info_rec_size = one.line_size;
                 return answer(side.call, BPF_PROG_LOAD, attr);
             }});
    }
}

}  // namespace

void add_listed_rows(std::vector<Row>& rows) {
    add_btf_rows(rows);
    add_program_btf_rows(rows);
    for (const Listed& row : listed()) {
        rows.push_back({row.name, false, false, [&row](const Side& side) {
                            Asked asked = row.ask(side);
                            return answer(side.call, asked.command, asked.attr);
                        }});
    }
}

}  // namespace ebpf::tests
