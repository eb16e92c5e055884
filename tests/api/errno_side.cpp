// SPDX-License-Identifier: MIT
#include "errno_side.hpp"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

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

Side::Side(Call how, bool with_link) : call(how) {
    static Buffers the_buffers;
    buffers = &the_buffers;
    the_buffers = {};
    hash = make(BPF_MAP_TYPE_HASH, 4, 8, 4);
    array = make(BPF_MAP_TYPE_ARRAY, 4, 8, 4);
    ring = make(BPF_MAP_TYPE_RINGBUF, 0, 0, 4096);
    programs = make(BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 4);
    program = load(BPF_PROG_TYPE_XDP);
    file = Fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!with_link) return;
    bpf_attr attr{};
    attr.link_create.prog_fd = program.u32();
    attr.link_create.target_ifindex = 1;
    attr.link_create.attach_type = BPF_XDP;
    link = Fd(call(BPF_LINK_CREATE, &attr, sizeof attr));
}

bool Side::complete() const {
    for (const Fd* fd : {&hash, &array, &ring, &programs, &program, &file}) {
        if (fd->get() < 0) return false;
    }
    return true;
}

Fd Side::make(std::uint32_t type, std::uint32_t key, std::uint32_t value, std::uint32_t count,
              std::uint32_t flags, std::uint64_t extra, int inner) const {
    bpf_attr attr{};
    attr.map_type = type;
    attr.key_size = key;
    attr.value_size = value;
    attr.max_entries = count;
    attr.map_flags = flags;
    attr.map_extra = extra;
    if (inner >= 0) attr.inner_map_fd = static_cast<std::uint32_t>(inner);
    return Fd(call(BPF_MAP_CREATE, &attr, sizeof attr));
}

Fd Side::load(std::uint32_t type) const {
    bpf_attr attr{};
    attr.prog_type = type;
    attr.insns = address(kReturn);
    attr.insn_cnt = 2;
    attr.license = address("GPL");
    return Fd(call(BPF_PROG_LOAD, &attr, sizeof attr));
}

std::uint32_t Side::id_of(const Fd& object) const {
    // The id follows the type in the information about a map, a program and a link.
    std::uint32_t info[2] = {};
    bpf_attr attr{};
    attr.info.bpf_fd = object.u32();
    attr.info.info_len = sizeof info;
    attr.info.info = address(info);
    return call(BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof attr) == 0 ? info[1] : 0;
}

}  // namespace ebpf::tests
