// SPDX-License-Identifier: MIT
//
// The frames' way in and out (packet(7)); live_path.hpp says how the way is closed to others.
//
// In: a ring of slots shared with the kernel (TPACKET_V2), one frame each, with room around it, so
// that programs work on the frame where it lies. A frame that is too large for a slot (a segment
// that the sender or GRO left whole) comes through the socket's queue instead; its slot says so and
// keeps its place in the order. Version 2 and not 3: a slot is readable at once, while version 3
// hands over blocks after a millisecond at the earliest. Its price is a wake-up per frame of a
// thread that waits; under load we do not wait but nap (wait()).
//
// Out: sendmmsg() from the slots. The kernel copies once, as for any frame that is sent; sending
// from a shared ring instead was measured to be slower.
//
// Every frame travels with its virtio network header (PACKET_VNET_HDR), both ways, so that
// unfinished checksums and large segments stay what they are, as they do for generic XDP.
#include "platform/live_interface.hpp"

#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <new>
#include <vector>

#include "platform/linux/live_path.hpp"

namespace ebpf::platform {
namespace {

constexpr u32 kOffload = sizeof(FrameOffload);
constexpr u32 kVlanTag = 4;
constexpr u32 kLargestFrame = 65535 + ETH_HLEN + kVlanTag;
constexpr u32 kLargeBuffers = 8;  // for frames that do not fit into a slot, per batch
constexpr u32 kTailroom = 256;    // for programs that let a frame grow
constexpr u32 kRingBytes = 32u << 20;
constexpr u32 kMaxSlots = 4096, kMinSlots = 256;
constexpr u32 kMaxTargets = 64;  // interfaces that frames are redirected to
constexpr int kQueueBytes = 16 << 20;

std::unexpected<Error> fail_errno(const char* what) {
    return fail(errc_of_errno(errno), {}, what, static_cast<u64>(errno));
}

template <typename T>
bool set(int fd, int level, int option, const T& value) {
    return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

constexpr u32 align(u32 value, u32 to) {
    return (value + to - 1) / to * to;
}

// A packet socket that frames leave by, with those that wait for it.
class Sender {
  public:
    Sender() = default;
    ~Sender() {
        if (fd_ < 0) return;
        forget_in_children(fd_);
        close(fd_);
    }
    Sender(const Sender&) = delete;
    Sender& operator=(const Sender&) = delete;

    // `mark` 0: straight to the interface's driver, as XDP_TX, past its queues.
    Status open(u32 ifindex, u32 mark) {
        ifindex_ = ifindex;
        fd_ = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
        if (fd_ < 0) return fail_errno("packet socket; errno");
        close_in_children(fd_);
        sockaddr_ll address{};
        address.sll_family = AF_PACKET;
        address.sll_ifindex = static_cast<int>(ifindex);
        if (!set(fd_, SOL_PACKET, PACKET_VNET_HDR, 1) ||
            (mark ? !set(fd_, SOL_SOCKET, SO_MARK, mark)
                  : !set(fd_, SOL_PACKET, PACKET_QDISC_BYPASS, 1)) ||
            bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
            return fail_errno("packet socket; errno");
        }
        (void)set(fd_, SOL_SOCKET, SO_SNDBUFFORCE, kQueueBytes);
        return {};
    }

    u32 ifindex() const { return ifindex_; }

    // The frame stays where it is until flush(). How many could not be sent is added to `failed`.
    void add(LiveFrame& frame, std::atomic<u64>& failed) {
        if (count_ == kLiveBatch) flush(failed);
        std::memcpy(frame.data - kOffload, &frame.offload, kOffload);
        parts_[count_] = {frame.data - kOffload, frame.size + kOffload};
        messages_[count_] = {};
        messages_[count_].msg_hdr.msg_iov = &parts_[count_];
        messages_[count_].msg_hdr.msg_iovlen = 1;
        ++count_;
    }

    void flush(std::atomic<u64>& failed) {
        u32 sent = 0;
        while (sent < count_) {
            const int now = sendmmsg(fd_, messages_ + sent, count_ - sent, 0);
            if (now > 0) {
                sent += static_cast<u32>(now);
            } else if (errno != EINTR) {
                // The first one cannot be sent; the others may.
                ++sent;
                failed.fetch_add(1, std::memory_order_relaxed);
            }
        }
        count_ = 0;
    }

  private:
    int fd_ = -1;
    u32 ifindex_ = 0;
    u32 count_ = 0;
    iovec parts_[kLiveBatch];
    mmsghdr messages_[kLiveBatch];
};

class LinuxInterface final : public LiveInterface {
  public:
    ~LinuxInterface() override;
    Status start(u32 ifindex);

    u32 receive(std::span<LiveFrame> out) override;
    void pass(LiveFrame& frame) override;
    void transmit(LiveFrame& frame) override;
    void redirect(LiveFrame& frame, u32 ifindex) override;
    void release() override;
    void wait(u32 frames) override;
    void wake() override;
    LiveCounters counters() override;

  private:
    Status make_ring();
    tpacket2_hdr* slot(u32 number) const {
        return reinterpret_cast<tpacket2_hdr*>(ring_ + (number / slots_per_block_) * block_size_ +
                                               (number % slots_per_block_) * slot_size_);
    }
    bool take(tpacket2_hdr* slot, LiveFrame& frame);
    bool take_large(LiveFrame& frame);
    Sender* sender_to(u32 ifindex);

    u32 ifindex_ = 0;
    LivePath path_;
    int socket_ = -1;
    int wake_ = -1;

    u8* ring_ = nullptr;
    u32 slot_size_ = 0, slots_per_block_ = 0, block_size_ = 0, slots_ = 0;
    u32 next_ = 0;   // the slot to look at
    u32 taken_ = 0;  // before it, not given back yet
    std::vector<std::vector<u8>> large_;
    u32 large_used_ = 0;

    Sender pass_, transmit_;
    std::vector<std::unique_ptr<Sender>> redirects_;

    std::atomic<u64> missed_{0}, oversized_{0};
    std::atomic<u64> pass_failed_{0}, transmit_failed_{0}, redirect_failed_{0};
};

LinuxInterface::~LinuxInterface() {
    if (ring_ != nullptr) munmap(ring_, size_t{slots_ / slots_per_block_} * block_size_);
    if (socket_ >= 0) {
        forget_in_children(socket_);
        close(socket_);
    }
    if (wake_ >= 0) close(wake_);
}

// The rules first: what arrives between the two steps is lost, as when a network driver is set up
// anew for XDP; the other way around it would be delivered twice.
Status LinuxInterface::start(u32 ifindex) {
    ifindex_ = ifindex;
    wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake_ < 0) return fail_errno("event; errno");
    for (u32 i = 0; i < kLargeBuffers; ++i)
        large_.emplace_back(kLiveHeadroom + 64 + kLargestFrame + kTailroom);
    socket_ = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (socket_ < 0) return fail_errno("packet socket; errno");
    close_in_children(socket_);
    TRY(path_.open(ifindex));
    TRY(make_ring());
    TRY(pass_.open(path_.tap_index(), path_.mark()));
    TRY(transmit_.open(ifindex, 0));
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = __builtin_bswap16(ETH_P_ALL);
    address.sll_ifindex = static_cast<int>(ifindex);
    if (bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return fail_errno("packet socket; errno");
    return {};
}

Status LinuxInterface::make_ring() {
    // What we gave back to the system passes here again: not to be taken a second time.
    sock_filter others[] = {
        {BPF_LD | BPF_W | BPF_ABS, 0, 0, static_cast<u32>(SKF_AD_OFF + SKF_AD_MARK)},
        {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, path_.mark()},
        {BPF_RET | BPF_K, 0, 0, 0},
        {BPF_RET | BPF_K, 0, 0, ~0u},
    };
    const sock_fprog filter{4, others};
    // Before the frame the slot holds the kernel's description and the offload header; behind it
    // at least the tail room.
    const u32 reserve = kLiveHeadroom + align(kOffload + kVlanTag, 16);
    const u32 before = TPACKET_ALIGN(TPACKET2_HDRLEN) + 16 + reserve + kOffload;
    slot_size_ =
        align(before + path_.mtu() + ETH_HLEN + kVlanTag + kTailroom, TPACKET_ALIGNMENT * 4);
    block_size_ = 1u << 16;
    while (block_size_ < slot_size_) block_size_ *= 2;
    slots_per_block_ = block_size_ / slot_size_;
    u32 slots = kRingBytes / slot_size_;
    slots = slots < kMinSlots ? kMinSlots : slots > kMaxSlots ? kMaxSlots : slots;
    const u32 blocks = (slots + slots_per_block_ - 1) / slots_per_block_;
    slots_ = blocks * slots_per_block_;
    const tpacket_req request{.tp_block_size = block_size_,
                              .tp_block_nr = blocks,
                              .tp_frame_size = slot_size_,
                              .tp_frame_nr = slots_};
    if (!set(socket_, SOL_PACKET, PACKET_VERSION, static_cast<int>(TPACKET_V2)) ||
        !set(socket_, SOL_PACKET, PACKET_RESERVE, reserve) ||
        !set(socket_, SOL_PACKET, PACKET_VNET_HDR, 1) ||
        !set(socket_, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1) ||
        !set(socket_, SOL_PACKET, PACKET_COPY_THRESH, 1) ||
        !set(socket_, SOL_SOCKET, SO_ATTACH_FILTER, filter) ||
        !set(socket_, SOL_PACKET, PACKET_RX_RING, request)) {
        return fail_errno("packet ring; errno");
    }
    (void)set(socket_, SOL_SOCKET, SO_RCVBUFFORCE, kQueueBytes);
    void* const memory = mmap(nullptr, size_t{blocks} * block_size_, PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_POPULATE, socket_, 0);
    if (memory == MAP_FAILED) return fail_errno("packet ring; errno");
    madvise(memory, size_t{blocks} * block_size_, MADV_DONTFORK);
    ring_ = static_cast<u8*>(memory);
    return {};
}

u32 LinuxInterface::receive(std::span<LiveFrame> out) {
    u32 count = 0;
    const u32 most = out.size() < kLiveBatch ? static_cast<u32>(out.size()) : kLiveBatch;
    while (count < most && taken_ < kLiveBatch) {
        tpacket2_hdr* const next = slot(next_);
        const u32 status = __atomic_load_n(&next->tp_status, __ATOMIC_ACQUIRE);
        if (!(status & TP_STATUS_USER)) break;
        if ((status & TP_STATUS_COPY) && large_used_ == kLargeBuffers) break;
        next_ = next_ + 1 == slots_ ? 0 : next_ + 1;
        ++taken_;
        if (take(next, out[count])) ++count;
    }
    return count;
}

// The frame of a slot; false: it has none that we could use.
bool LinuxInterface::take(tpacket2_hdr* slot, LiveFrame& frame) {
    const auto* from = reinterpret_cast<const sockaddr_ll*>(reinterpret_cast<const u8*>(slot) +
                                                            TPACKET_ALIGN(sizeof(tpacket2_hdr)));
    frame.to_us = from->sll_pkttype == PACKET_HOST;
    if (slot->tp_status & TP_STATUS_COPY) {
        if (!take_large(frame)) return false;
    } else if (slot->tp_snaplen < slot->tp_len) {  // too large, and the socket's queue was full
        oversized_.fetch_add(1, std::memory_order_relaxed);
        return false;
    } else {
        frame.data = reinterpret_cast<u8*>(slot) + slot->tp_mac;
        frame.size = slot->tp_snaplen;
        frame.memory = reinterpret_cast<u8*>(slot) + TPACKET_ALIGN(TPACKET2_HDRLEN);
        frame.memory_end = reinterpret_cast<u8*>(slot) + slot_size_;
        std::memcpy(&frame.offload, frame.data - kOffload, kOffload);
    }
    if (frame.size < ETH_HLEN) return false;
    if (slot->tp_status & TP_STATUS_VLAN_VALID) {
        // The kernel keeps the tag beside the frame; programs find it where it was on the wire.
        const u16 protocol =
            slot->tp_status & TP_STATUS_VLAN_TPID_VALID ? slot->tp_vlan_tpid : u16{ETH_P_8021Q};
        const u16 tag[2] = {__builtin_bswap16(protocol), __builtin_bswap16(slot->tp_vlan_tci)};
        std::memmove(frame.data - kVlanTag, frame.data, 12);
        frame.move_start(frame.data - kVlanTag);
        std::memcpy(frame.data + 12, tag, sizeof tag);
    }
    return true;
}

bool LinuxInterface::take_large(LiveFrame& frame) {
    std::vector<u8>& memory = large_[large_used_];
    u8* const start = memory.data() + kLiveHeadroom + 64;
    iovec parts[2] = {{&frame.offload, kOffload},
                      {start, static_cast<size_t>(memory.data() + memory.size() - start)}};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    const ssize_t size = recvmsg(socket_, &message, MSG_DONTWAIT);
    if (size < static_cast<ssize_t>(kOffload) || (message.msg_flags & MSG_TRUNC)) {
        oversized_.fetch_add(1, std::memory_order_relaxed);
        return false;
    }
    ++large_used_;
    frame.data = start;
    frame.size = static_cast<u32>(size) - kOffload;
    frame.memory = memory.data();
    frame.memory_end = memory.data() + memory.size();
    return true;
}

// Packet sockets put the IP header behind a VLAN tag when they send, where the receiving side does
// not look for the tag.
bool tagged(const LiveFrame& frame) {
    const u16 type = static_cast<u16>(frame.data[12] << 8 | frame.data[13]);
    return type == ETH_P_8021Q || type == ETH_P_8021AD;
}

// How Linux marks a frame that a device receives follows from its destination, so that frames to
// others, to all and to groups go in by the device, and so do tagged ones; see live_path.hpp.
void LinuxInterface::pass(LiveFrame& frame) {
    if (frame.to_us && !tagged(frame)) {
        pass_.add(frame, pass_failed_);
        return;
    }
    pass_.flush(pass_failed_);
    std::memcpy(frame.data - kOffload, &frame.offload, kOffload);
    const size_t size = frame.size + kOffload;
    if (write(path_.tap(), frame.data - kOffload, size) != static_cast<ssize_t>(size))
        pass_failed_.fetch_add(1, std::memory_order_relaxed);
}

void LinuxInterface::transmit(LiveFrame& frame) {
    transmit_.add(frame, transmit_failed_);
}

void LinuxInterface::redirect(LiveFrame& frame, u32 ifindex) {
    Sender* const sender = sender_to(ifindex);
    if (sender != nullptr) {
        sender->add(frame, redirect_failed_);
    } else {
        redirect_failed_.fetch_add(1, std::memory_order_relaxed);
    }
}

Sender* LinuxInterface::sender_to(u32 ifindex) {
    for (const auto& sender : redirects_) {
        if (sender->ifindex() == ifindex) return sender.get();
    }
    if (ifindex == 0 || redirects_.size() == kMaxTargets) return nullptr;
    auto made = std::make_unique<Sender>();
    if (!made->open(ifindex, 0)) return nullptr;
    return redirects_.emplace_back(std::move(made)).get();
}

void LinuxInterface::release() {
    pass_.flush(pass_failed_);
    transmit_.flush(transmit_failed_);
    for (const auto& sender : redirects_) sender->flush(redirect_failed_);
    large_used_ = 0;
    u32 number = (next_ + slots_ - taken_) % slots_;
    for (; taken_ != 0; --taken_) {
        __atomic_store_n(&slot(number)->tp_status, u32{TP_STATUS_KERNEL}, __ATOMIC_RELEASE);
        number = number + 1 == slots_ ? 0 : number + 1;
    }
}

void LinuxInterface::wait(u32 frames) {
    constexpr u32 kMany = 8;
    if (frames >= kMany) {
        // The ring holds many times what arrives meanwhile.
        const timespec nap{.tv_sec = 0, .tv_nsec = 20'000};
        nanosleep(&nap, nullptr);
        return;
    }
    pollfd events[2] = {{socket_, POLLIN, 0}, {wake_, POLLIN, 0}};
    if (poll(events, 2, 1000) <= 0) return;
    if (events[0].revents & POLLERR) {
        // The interface went down; it may come back.
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &size);
        const timespec nap{.tv_sec = 0, .tv_nsec = 10'000'000};
        nanosleep(&nap, nullptr);
    }
}

void LinuxInterface::wake() {
    const u64 one = 1;
    (void)!write(wake_, &one, sizeof one);
}

LiveCounters LinuxInterface::counters() {
    tpacket_stats statistics{};
    socklen_t size = sizeof statistics;
    // Reading sets the kernel's counter to zero.
    if (getsockopt(socket_, SOL_PACKET, PACKET_STATISTICS, &statistics, &size) == 0)
        missed_.fetch_add(statistics.tp_drops, std::memory_order_relaxed);
    return {.missed = missed_.load(std::memory_order_relaxed),
            .oversized = oversized_.load(std::memory_order_relaxed),
            .pass_failed = pass_failed_.load(std::memory_order_relaxed),
            .transmit_failed = transmit_failed_.load(std::memory_order_relaxed),
            .redirect_failed = redirect_failed_.load(std::memory_order_relaxed)};
}

}  // namespace

// Offsets are 16 bits and may not lie before the frame: a program that cut off what the checksum
// covers gets a frame that says nothing.
void LiveFrame::move_start(u8* start) {
    const i64 grown = data - start;
    size = static_cast<u32>(static_cast<i64>(size) + grown);
    data = start;
    if (offload.flags == 0 && offload.segmentation == 0) return;
    const i64 checksum = offload.checksum_start + grown, header = offload.header_size + grown;
    if (checksum < 0 || checksum > 0xffff || header < 0 || header > 0xffff) {
        offload = {};
        return;
    }
    offload.checksum_start = static_cast<u16>(checksum);
    if (offload.header_size != 0) offload.header_size = static_cast<u16>(header);
}

void prepare_live_thread() {
    prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
    prctl(PR_SET_NAME, "xdp", 0, 0, 0);
}

Result<std::unique_ptr<LiveInterface>> LiveInterface::open(u32 ifindex) {
    try {
        auto made = std::make_unique<LinuxInterface>();
        TRY(made->start(ifindex));
        return std::unique_ptr<LiveInterface>(std::move(made));
    } catch (const std::bad_alloc&) {
        return fail(Errc::NoMemory, {}, "live interface");
    }
}

}  // namespace ebpf::platform
