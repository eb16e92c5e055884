// SPDX-License-Identifier: MIT
//
// attach_link PROGRAM IFINDEX LINK: pins a link of the pinned XDP program to the interface, which
// no bpftool can. With EBPF_SERVICE in the service, else in the kernel.
#include <bpf/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace {

long command(enum bpf_cmd cmd, union bpf_attr& attr) {
    if (std::getenv("EBPF_SERVICE")) return ebpf_bpf(cmd, &attr, sizeof attr);
    return syscall(SYS_bpf, cmd, &attr, sizeof attr);
}

long must(const char* what, long result) {
    if (result >= 0) return result;
    std::perror(what);
    std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4) return 2;
    union bpf_attr get = {};
    get.pathname = reinterpret_cast<__u64>(argv[1]);
    union bpf_attr create = {};
    create.link_create.prog_fd = static_cast<__u32>(must("get", command(BPF_OBJ_GET, get)));
    create.link_create.target_ifindex = static_cast<__u32>(std::atoi(argv[2]));
    create.link_create.attach_type = BPF_XDP;
    union bpf_attr pin = {};
    pin.bpf_fd = static_cast<__u32>(must("create", command(BPF_LINK_CREATE, create)));
    pin.pathname = reinterpret_cast<__u64>(argv[3]);
    must("pin", command(BPF_OBJ_PIN, pin));
    return 0;
}
