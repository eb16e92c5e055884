// SPDX-License-Identifier: MIT
#include "errno_side.hpp"

#include <fcntl.h>
#include <linux/btf.h>
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

extern "C" int ebpf_bpf(int command, union bpf_attr* attr, unsigned int size);

namespace ebpf::tests {

const bpf_insn kReturn[8] = {{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0},
                             {BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
                             {},
                             {},
                             {},
                             {},
                             {},
                             {}};

int kernel_call(int command, bpf_attr* attr, unsigned size) {
    return static_cast<int>(syscall(SYS_bpf, command, attr, size));
}

int our_call(int command, bpf_attr* attr, unsigned size) {
    return ebpf_bpf(command, attr, size);
}

Fd::~Fd() {
    if (number_ >= 0) close(number_);
}

Fd& Fd::operator=(Fd&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
}

int answer(Call call, int command, bpf_attr& attr, unsigned size) {
    errno = 0;
    const int result = call(command, &attr, size);
    const int error = result < 0 ? errno : 0;
    if (result > 0) close(result);
    return error;
}

namespace {

Fd kernel_event() {
    perf_event_attr attr{};
    attr.size = sizeof attr;
    attr.type = PERF_TYPE_SOFTWARE;
    attr.config = PERF_COUNT_SW_BPF_OUTPUT;
    attr.sample_type = PERF_SAMPLE_RAW;
    return Fd(static_cast<int>(syscall(SYS_perf_event_open, &attr, -1, 0, -1, 0)));
}

}  // namespace

bool Side::events_exist() {
    static const bool exist = kernel_event().get() >= 0;
    return exist;
}

Fd Side::make_event() const {
    return call == &kernel_call ? kernel_event() : make(BPF_MAP_TYPE_RINGBUF, 0, 0, 4096);
}

Side::Side(Call how, bool with_link) : call(how) {
    static Buffers the_buffers;
    buffers = &the_buffers;
    the_buffers = {};
    hash = make(BPF_MAP_TYPE_HASH, 4, 8, 4);
    array = make(BPF_MAP_TYPE_ARRAY, 4, 8, 4);
    ring = make(BPF_MAP_TYPE_RINGBUF, 0, 0, 4096);
    programs = make(BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 4);
    program = load(BPF_PROG_TYPE_XDP);
    static const std::vector<unsigned char> types = small_btf();
    bpf_attr load_types = zeros();
    load_types.btf = address(types.data());
    load_types.btf_size = static_cast<std::uint32_t>(types.size());
    btf = Fd(call(BPF_BTF_LOAD, &load_types, sizeof load_types));
    file = Fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!with_link) return;
    bpf_attr attr = zeros();
    attr.link_create.prog_fd = program.u32();
    attr.link_create.target_ifindex = 1;
    attr.link_create.attach_type = BPF_XDP;
    link = Fd(call(BPF_LINK_CREATE, &attr, sizeof attr));
}

std::vector<unsigned char> small_btf() {
    static constexpr char kStrings[] =
        "\0int\0pair\0a\0b\0v\0.data\0f\0bpf_spin_lock\0locked\0bpf_timer\0timed";
    const auto name = [](std::string_view text) {
        const std::string_view all(kStrings, sizeof kStrings);
        std::string with_ends = '\0' + std::string(text) + '\0';
        return static_cast<std::uint32_t>(all.find(with_ends)) + 1;
    };
    const auto info = [](unsigned kind, unsigned count = 0) { return kind << 24 | count; };
    const std::vector<std::uint32_t> types = {name("int"),
                                              info(BTF_KIND_INT),
                                              4,
                                              32,
                                              name("pair"),
                                              info(BTF_KIND_STRUCT, 2),
                                              8,
                                              name("a"),
                                              1,
                                              0,
                                              name("b"),
                                              1,
                                              32,
                                              name("v"),
                                              info(BTF_KIND_VAR),
                                              2,
                                              1,
                                              name(".data"),
                                              info(BTF_KIND_DATASEC, 1),
                                              8,
                                              3,
                                              0,
                                              8,
                                              name("f"),
                                              info(BTF_KIND_FUNC),
                                              6,
                                              0,
                                              info(BTF_KIND_FUNC_PROTO),
                                              1,
                                              name("locked"),
                                              info(BTF_KIND_STRUCT, 2),
                                              8,
                                              name("a"),
                                              8,
                                              0,
                                              name("b"),
                                              1,
                                              32,
                                              name("bpf_spin_lock"),
                                              info(BTF_KIND_STRUCT, 1),
                                              4,
                                              name("a"),
                                              1,
                                              0,
                                              name("timed"),
                                              info(BTF_KIND_STRUCT, 1),
                                              16,
                                              name("a"),
                                              10,
                                              0,
                                              name("bpf_timer"),
                                              info(BTF_KIND_STRUCT, 2),
                                              16,
                                              name("a"),
                                              2,
                                              0,
                                              name("b"),
                                              2,
                                              64};
    btf_header header{};
    header.magic = BTF_MAGIC;
    header.version = BTF_VERSION;
    header.hdr_len = sizeof header;
    header.type_len = header.str_off = static_cast<std::uint32_t>(types.size() * 4);
    header.str_len = sizeof kStrings;
    std::vector<unsigned char> bytes(sizeof header + header.type_len + sizeof kStrings);
    std::memcpy(bytes.data(), &header, sizeof header);
    std::memcpy(bytes.data() + sizeof header, types.data(), header.type_len);
    std::memcpy(bytes.data() + sizeof header + header.type_len, kStrings, sizeof kStrings);
    return bytes;
}

bool Side::complete() const {
    for (const Fd* fd : {&hash, &array, &ring, &programs, &program, &file, &btf}) {
        if (fd->get() < 0) return false;
    }
    return true;
}

Fd Side::make(std::uint32_t type, std::uint32_t key, std::uint32_t value, std::uint32_t count,
              std::uint32_t flags, std::uint64_t extra, int inner, std::uint32_t value_type) const {
    bpf_attr attr = zeros();
    attr.map_type = type;
    attr.key_size = key;
    attr.value_size = value;
    attr.max_entries = count;
    attr.map_flags = flags;
    attr.map_extra = extra;
    if (inner >= 0) attr.inner_map_fd = static_cast<std::uint32_t>(inner);
    if (value_type != 0) {
        attr.btf_fd = btf.u32();
        attr.btf_key_type_id = 1;
        attr.btf_value_type_id = value_type;
    }
    return Fd(call(BPF_MAP_CREATE, &attr, sizeof attr));
}

Fd Side::load(std::uint32_t type) const {
    bpf_attr attr = zeros();
    attr.prog_type = type;
    attr.insns = address(kReturn);
    attr.insn_cnt = 2;
    attr.license = address("GPL");
    return Fd(call(BPF_PROG_LOAD, &attr, sizeof attr));
}

std::uint32_t Side::id_of(const Fd& object) const {
    // The id follows the type in the information about a map, a program and a link.
    std::uint32_t info[2] = {};
    bpf_attr attr = zeros();
    attr.info.bpf_fd = object.u32();
    attr.info.info_len = sizeof info;
    attr.info.info = address(info);
    return call(BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof attr) == 0 ? info[1] : 0;
}

}  // namespace ebpf::tests
