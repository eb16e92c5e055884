// SPDX-License-Identifier: MIT
//
// Networks for a demonstration, and for tests: network namespaces that belong to this process
// (nobody else sees them, and they end with it), and pairs of virtual Ethernet interfaces between
// them. What cannot be set up is a std::runtime_error.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/types.hpp"
#include "products/fd.hpp"

namespace lab {

using ebpf::u16;
using ebpf::u32;
using ebpf::u64;
using ebpf::u8;

using ebpf::products::Fd;

// Why no namespaces can be made here; empty after the main thread was moved into a new one. To be
// called first, while there are no other threads.
std::string enter_namespace();

class Namespace {
  public:
    Namespace();  // a new one
    // Runs `work` in a thread that is in the namespace, and waits for it.
    void run(const std::function<void()>& work) const;
    int fd() const { return fd_.get(); }

  private:
    Fd fd_;
};

// A pair: `here` in the calling thread's namespace, `there` in the other. Both are up, with the
// addresses 10.9.NET.2 and fd09:NET::2 here, 10.9.NET.1 and fd09:NET::1 there, and the Ethernet
// addresses 02:00:00:00:NET:2 and :1.
struct Pair {
    std::string here, there;
    u32 here_index = 0;
};
Pair make_pair(const Namespace& other, u8 net, u32 mtu = 1500);

std::vector<std::string> interfaces();  // of the calling thread's namespace
void set_up(u32 ifindex, bool up);

// --- Sockets. They stay in the namespace of the thread that made them.
struct Address {
    bool v6 = false;
    u8 net = 0, host = 0;
    u16 port = 0;
};
Fd udp_socket(const Address& bound);
bool send_udp(const Fd& socket, const Address& to, const std::string& text);
// The next datagram; empty optional after the time. An empty datagram is an empty text.
bool receive(const Fd& socket, std::string& text, int milliseconds);

Fd packet_socket(const std::string& interface);  // all Ethernet frames, received ones only
void send_frame(const Fd& socket, const std::vector<u8>& frame);
// The next frame with this EtherType; false after the time.
bool receive_frame(const Fd& socket, u16 type, std::vector<u8>& frame, int milliseconds);

}  // namespace lab
