// SPDX-License-Identifier: MIT
// XDP programs of the tests, in LLVM's assembly.
#pragma once

#include <bpf/bpf.h>
#include <gtest/gtest.h>

#include <string>

#include "isa/text/text.hpp"

namespace live_test {

// The descriptor of a loaded program, or a negative error.
inline int load(const std::string& assembly, int type = BPF_PROG_TYPE_XDP) {
    const auto code = ebpf::isa::text::assemble(assembly, ebpf::isa::text::Dialect::Llvm);
    if (!code) {
        char text[160];
        render(code.error(), text);
        ADD_FAILURE() << "the test's program cannot be assembled: " << text;
        return -EINVAL;
    }
    static char log[64 * 1024];
    LIBBPF_OPTS(bpf_prog_load_opts, options);
    options.log_buf = log;
    options.log_size = sizeof log;
    const int fd = bpf_prog_load(static_cast<bpf_prog_type>(type), "live", "GPL",
                                 reinterpret_cast<const bpf_insn*>(code->data()),
                                 code->size() / sizeof(bpf_insn), &options);
    if (fd < 0) ADD_FAILURE() << log;
    return fd;
}

inline std::string returns(int verdict) {
    return "r0 = " + std::to_string(verdict) + "\nexit\n";
}

// r2 the packet, r3 its end, at least `size` bytes; else the frame passes.
inline std::string with_packet(int size, const std::string& rest) {
    return R"(
        r2 = *(u32 *)(r1 + 0)
        r3 = *(u32 *)(r1 + 4)
        r4 = r2
        r4 += )" +
           std::to_string(size) + R"(
        if r4 > r3 goto pass
    )" + rest +
           R"(
    pass:
        r0 = 2
        exit
    )";
}

// Drops UDP datagrams without payload, over IPv4 and IPv6.
inline const std::string kDropEmptyUdp = with_packet(42, R"(
        r5 = *(u16 *)(r2 + 12)
        if r5 == 0xdd86 goto six
        if r5 != 8 goto pass
        r5 = *(u8 *)(r2 + 23)
        if r5 != 17 goto pass
        r5 = *(u16 *)(r2 + 38)
        if r5 == 0x800 goto drop
        goto pass
    six:
        r4 = r2
        r4 += 62
        if r4 > r3 goto pass
        r5 = *(u8 *)(r2 + 20)
        if r5 != 17 goto pass
        r5 = *(u16 *)(r2 + 58)
        if r5 != 0x800 goto pass
    drop:
        r0 = 1
        exit
)");

// Swaps the Ethernet addresses and sends frames of EtherType 0x88b5 back.
inline const std::string kReflect = with_packet(14, R"(
        r5 = *(u16 *)(r2 + 12)
        if r5 != 0xb588 goto pass
        r5 = *(u32 *)(r2 + 0)
        r6 = *(u16 *)(r2 + 4)
        r7 = *(u32 *)(r2 + 6)
        r8 = *(u16 *)(r2 + 10)
        *(u32 *)(r2 + 0) = r7
        *(u16 *)(r2 + 4) = r8
        *(u32 *)(r2 + 6) = r5
        *(u16 *)(r2 + 10) = r6
        r0 = 3
        exit
)");

// Sends frames of EtherType 0x88b5 out of another interface.
inline std::string redirect_to(unsigned ifindex, unsigned flags = 0) {
    return with_packet(14, R"(
        r5 = *(u16 *)(r2 + 12)
        if r5 != 0xb588 goto pass
        r1 = )" + std::to_string(ifindex) +
                               R"(
        r2 = )" + std::to_string(flags) +
                               R"(
        call 23
        exit
    )");
}

}  // namespace live_test
