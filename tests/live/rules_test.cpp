// SPDX-License-Identifier: MIT
//
// Who may attach, replace and detach XDP programs: the same steps, with the same results, here and
// with Linux's own XDP on an interface of the same kind. Where the kernel's cannot be asked (not
// root), ours are compared with what it was seen to say.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <casement/embedded.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "platform/linux/netlink.hpp"
#include "products/demo/network.hpp"
#include "programs.hpp"

namespace live_test {
namespace {

using namespace lab;

// Programs, by number: 0 and 1 are XDP programs, 2 is a socket filter; -1 is none. Links are kept
// by number too. Each step gives 0 or an errno.
class Xdp {
  public:
    virtual ~Xdp() = default;
    virtual int attach(int program, u32 flags, std::optional<int> old) = 0;
    virtual int link(int number, int program, u32 flags) = 0;
    virtual int update(int number, int program, std::optional<int> old) = 0;
    virtual int detach_link(int number) = 0;
    virtual int close_link(int number) = 0;
    virtual int attached() = 0;  // which program
    u32 ifindex = 0;
};

constexpr int kTypes[] = {BPF_PROG_TYPE_XDP, BPF_PROG_TYPE_XDP, BPF_PROG_TYPE_SOCKET_FILTER};

class Ours : public Xdp {
  public:
    Ours() {
        for (int i = 0; i < 3; ++i) programs_[i] = load(returns(XDP_PASS), kTypes[i]);
    }
    int fd(int program) const { return program < 0 ? -1 : program > 2 ? 999 : programs_[program]; }
    int attach(int program, u32 flags, std::optional<int> old) override {
        LIBBPF_OPTS(bpf_xdp_attach_opts, options);
        if (old) options.old_prog_fd = fd(*old);
        return -bpf_xdp_attach(static_cast<int>(ifindex), fd(program), flags,
                               old ? &options : nullptr);
    }
    int link(int number, int program, u32 flags) override {
        LIBBPF_OPTS(bpf_link_create_opts, options);
        options.flags = flags;
        const int made = bpf_link_create(fd(program), static_cast<int>(ifindex), BPF_XDP, &options);
        if (made < 0) return -made;
        links_[number] = made;
        return 0;
    }
    int update(int number, int program, std::optional<int> old) override {
        LIBBPF_OPTS(bpf_link_update_opts, options);
        if (old) options.flags = BPF_F_REPLACE, options.old_prog_fd = static_cast<u32>(fd(*old));
        return -bpf_link_update(links_[number], fd(program), &options);
    }
    int detach_link(int number) override { return -bpf_link_detach(links_[number]); }
    int close_link(int number) override {
        close(links_[number]);
        return 0;
    }
    int attached() override {
        u32 id = 0;
        if (bpf_xdp_query_id(static_cast<int>(ifindex), 0, &id) || id == 0) return -1;
        for (int i = 0; i < 2; ++i) {
            bpf_prog_info info{};
            u32 size = sizeof info;
            if (bpf_obj_get_info_by_fd(programs_[i], &info, &size) == 0 && info.id == id) return i;
        }
        return -2;
    }

  private:
    int programs_[3], links_[2] = {-1, -1};
};

class Kernels : public Xdp {
  public:
    Kernels() {
        for (int i = 0; i < 3; ++i) {
            const bpf_insn pass[] = {{0xb7, 0, 0, 0, 2}, {0x95, 0, 0, 0, 0}};
            bpf_attr attr{};
            attr.prog_type = static_cast<u32>(kTypes[i]);
            attr.insns = reinterpret_cast<u64>(pass);
            attr.insn_cnt = 2;
            attr.license = reinterpret_cast<u64>("GPL");
            programs_[i] = call(BPF_PROG_LOAD, attr);
        }
    }
    ~Kernels() override {
        for (const int fd : programs_) close(fd);
    }
    bool there() const { return programs_[2] >= 0; }
    int attach(int program, u32 flags, std::optional<int> old) override {
        // As libbpf asks for it.
        if (old) flags |= XDP_FLAGS_REPLACE;
        ebpf::platform::NetlinkMessages messages;
        ifinfomsg header{};
        header.ifi_index = static_cast<int>(ifindex);
        messages.begin(RTM_SETLINK, NLM_F_ACK, header);
        messages.nested(IFLA_XDP, [&] {
            messages.value(IFLA_XDP_FD, fd(program));
            messages.value(IFLA_XDP_FLAGS, flags);
            if (flags & XDP_FLAGS_REPLACE)
                messages.value(IFLA_XDP_EXPECTED_FD, old ? fd(*old) : -1);
        });
        ebpf::platform::Netlink route;
        if (!route.open(NETLINK_ROUTE)) return EIO;
        const auto done = route.ask(messages, "xdp");
        return done ? 0 : static_cast<int>(done.error().arg);
    }
    int link(int number, int program, u32 flags) override {
        bpf_attr attr{};
        attr.link_create.prog_fd = static_cast<u32>(fd(program));
        attr.link_create.target_ifindex = ifindex;
        attr.link_create.attach_type = BPF_XDP;
        attr.link_create.flags = flags;
        const int made = call(BPF_LINK_CREATE, attr);
        if (made < 0) return errno;
        links_[number] = made;
        return 0;
    }
    int update(int number, int program, std::optional<int> old) override {
        bpf_attr attr{};
        attr.link_update.link_fd = static_cast<u32>(links_[number]);
        attr.link_update.new_prog_fd = static_cast<u32>(fd(program));
        if (old) {
            attr.link_update.flags = BPF_F_REPLACE;
            attr.link_update.old_prog_fd = static_cast<u32>(fd(*old));
        }
        return call(BPF_LINK_UPDATE, attr) < 0 ? errno : 0;
    }
    int detach_link(int number) override {
        bpf_attr attr{};
        attr.link_detach.link_fd = static_cast<u32>(links_[number]);
        return call(BPF_LINK_DETACH, attr) < 0 ? errno : 0;
    }
    int close_link(int number) override {
        close(links_[number]);
        return 0;
    }
    int attached() override { return -3; }  // not asked

  private:
    static int call(int command, bpf_attr& attr) {
        return static_cast<int>(syscall(__NR_bpf, command, &attr, sizeof attr));
    }
    int fd(int program) const { return program < 0 ? -1 : program > 2 ? 999 : programs_[program]; }
    int programs_[3], links_[2] = {-1, -1};
};

struct Step {
    const char* what;
    int expected;
    int (*run)(Xdp& xdp);
    int attached;  // afterwards
};

constexpr u32 kIfNone = XDP_FLAGS_UPDATE_IF_NOEXIST, kReplace = XDP_FLAGS_REPLACE;
constexpr u32 kSkb = XDP_FLAGS_SKB_MODE, kDrv = XDP_FLAGS_DRV_MODE;

#define STEP(expected, attached, call) {#call, expected, [](Xdp& x) { return x.call; }, attached}
constexpr auto kNoOld = std::nullopt;

const Step kSteps[] = {
    STEP(0, -1, attach(-1, kSkb, kNoOld)),  // nothing to detach
    STEP(EINVAL, -1, attach(0, 0x100, kNoOld)),
    STEP(EINVAL, -1, attach(0, kSkb | kDrv, kNoOld)),
    STEP(EINVAL, -1, attach(2, kSkb, kNoOld)),
    STEP(EBADF, -1, attach(3, kSkb, kNoOld)),
    STEP(EEXIST, -1, attach(0, kSkb, 1)),  // there is nothing to replace
    STEP(EEXIST, -1, attach(-1, kSkb, 1)),
    STEP(0, 0, attach(0, kSkb | kIfNone, kNoOld)),
    STEP(EBUSY, 0, attach(1, kSkb | kIfNone, kNoOld)),
    STEP(EEXIST, 0, attach(1, kSkb | kReplace, kNoOld)),
    STEP(EEXIST, 0, attach(1, kSkb, 1)),
    STEP(EEXIST, 0, attach(-1, kSkb, 1)),
    STEP(EEXIST, 0, attach(-1, kSkb | kReplace, kNoOld)),
    STEP(EBADF, 0, attach(1, kSkb, 3)),
    STEP(EINVAL, 0, attach(1, kSkb, 2)),
    STEP(0, 1, attach(1, kSkb, 0)),
    STEP(0, 1, attach(1, kSkb, kNoOld)),  // itself
    STEP(0, 0, attach(0, kSkb, kNoOld)),  // anybody may, without asking
    STEP(EBUSY, 0, link(0, 1, kSkb)),
    STEP(0, -1, attach(-1, kSkb, 0)),
    STEP(EINVAL, -1, link(0, 0, 0x100)),
    STEP(EINVAL, -1, link(0, 0, kIfNone)),
    STEP(EBADF, -1, link(0, 3, kSkb)),
    STEP(EINVAL, -1, link(0, 2, kSkb)),
    STEP(0, 0, link(0, 0, kSkb)),
    STEP(EBUSY, 0, link(1, 1, kSkb)),
    STEP(EBUSY, 0, attach(1, kSkb, kNoOld)),
    STEP(EBUSY, 0, attach(1, kSkb, 0)),
    STEP(EBUSY, 0, attach(-1, kSkb, kNoOld)),
    STEP(EPERM, 0, update(0, 1, 1)),
    STEP(EINVAL, 0, update(0, 2, kNoOld)),
    STEP(0, 1, update(0, 1, 0)),
    STEP(0, 0, update(0, 0, kNoOld)),
    STEP(0, -1, detach_link(0)),
    STEP(0, -1, detach_link(0)),
    STEP(ENOLINK, -1, update(0, 1, kNoOld)),
    STEP(0, 1, attach(1, kSkb, kNoOld)),
    STEP(0, 1, close_link(0)),
    STEP(0, -1, attach(-1, kSkb | kIfNone, kNoOld)),
    STEP(0, 1, link(0, 1, kSkb)),
    STEP(0, -1, close_link(0)),  // the last user
};

TEST(XdpRules, AreLinuxs) {
    if (const std::string why_not = enter_namespace(); !why_not.empty()) GTEST_SKIP() << why_not;
    ASSERT_EQ(ebpf_live__enable(), 0);
    libbpf_set_print(nullptr);
    const Namespace other;
    Ours ours;
    ours.ifindex = make_pair(other, 1).here_index;
    Kernels kernels;
    kernels.ifindex = make_pair(other, 2).here_index;
    for (const Step& step : kSteps) {
        if (kernels.there()) {
            EXPECT_EQ(step.run(kernels), step.expected) << "the kernel's: " << step.what;
        }
        EXPECT_EQ(step.run(ours), step.expected) << step.what;
        EXPECT_EQ(ours.attached(), step.attached) << step.what;
    }
    if (!kernels.there()) GTEST_SKIP() << "ours are right; the kernel's bpf(2) is not permitted";
}

TEST(XdpRules, InterfacesThatAreNotThere) {
    if (const std::string why_not = enter_namespace(); !why_not.empty()) GTEST_SKIP() << why_not;
    ASSERT_EQ(ebpf_live__enable(), 0);
    libbpf_set_print(nullptr);
    Ours ours;
    Kernels kernels;
    ours.ifindex = kernels.ifindex = 4321;
    EXPECT_EQ(ours.attach(0, 0, kNoOld), ENODEV);
    EXPECT_EQ(ours.link(0, 0, 0), EINVAL);
    if (!kernels.there()) GTEST_SKIP() << "ours are right; the kernel's bpf(2) is not permitted";
    EXPECT_EQ(kernels.attach(0, 0, kNoOld), ENODEV);
    EXPECT_EQ(kernels.link(0, 0, 0), EINVAL);
}

}  // namespace
}  // namespace live_test
