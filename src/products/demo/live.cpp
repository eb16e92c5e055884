// SPDX-License-Identifier: MIT
//
// The demo over real interfaces: two network namespaces with a virtual cable between them. One
// sends datagrams, some of them empty; the program on the other's interface decides which arrive.
#include "products/demo/live.hpp"

#include <bpf/libbpf.h>
#include <casement/embedded.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <thread>

#include "products/demo/network.hpp"
#include "products/demo/workshop.hpp"

namespace demo {
namespace {

constexpr unsigned kDatagrams = 600;  // per address family; every third is empty
constexpr int kPort = 7000, kPatience = 20'000;

double now() {
    return std::chrono::duration<double, std::nano>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

struct Arrived {
    unsigned empty = 0, others = 0;
    friend bool operator==(const Arrived&, const Arrived&) = default;
};

// Sends from the other side while this one receives, until the last datagram is there.
Arrived exchange(const lab::Namespace& other) {
    Arrived arrived;
    for (const bool v6 : {false, true}) {
        const lab::Fd here = lab::udp_socket({v6, 1, 2, kPort});
        std::thread sender([&] {
            other.run([&] {
                const lab::Fd there = lab::udp_socket({v6, 1, 1, 0});
                for (unsigned i = 0; i < kDatagrams; ++i)
                    lab::send_udp(there, {v6, 1, 2, kPort}, i % 3 == 2 ? "" : "payload");
                lab::send_udp(there, {v6, 1, 2, kPort}, "end");
            });
        });
        std::string text;
        while (lab::receive(here, text, kPatience) && text != "end")
            ++(text.empty() ? arrived.empty : arrived.others);
        sender.join();
    }
    return arrived;
}

// Median nanoseconds there and back again.
double round_trip(const lab::Namespace& other) {
    constexpr int kRounds = 401;
    std::vector<double> times;
    const lab::Fd here = lab::udp_socket({false, 1, 2, kPort});
    std::thread asker([&] {
        other.run([&] {
            const lab::Fd there = lab::udp_socket({false, 1, 1, kPort});
            std::string text;
            for (int i = 0; i < kRounds; ++i) {
                const double start = now();
                lab::send_udp(there, {false, 1, 2, kPort}, "ping");
                if (!lab::receive(there, text, kPatience)) return;
                times.push_back(now() - start);
            }
        });
    });
    std::string text;
    for (int i = 0; i < kRounds && lab::receive(here, text, kPatience); ++i)
        lab::send_udp(here, {false, 1, 1, kPort}, text);
    asker.join();
    if (times.size() != kRounds) throw std::runtime_error("datagrams were lost on the way");
    std::nth_element(times.begin(), times.begin() + kRounds / 2, times.end());
    return times[kRounds / 2];
}

class Table {
  public:
    explicit Table(const lab::Namespace& other) : other_(other) {}

    void row(const std::string& phase, const Arrived& expected) {
        const Arrived arrived = exchange(other_);
        const bool right = arrived == expected;
        rows_.push_back({phase, grouped(2 * kDatagrams / 3), grouped(arrived.empty),
                         grouped(4 * kDatagrams / 3), grouped(arrived.others),
                         duration(round_trip(other_)), right ? "yes" : "NO"});
        right_ &= right;
    }
    const std::vector<std::vector<std::string>>& rows() const { return rows_; }
    bool right() const { return right_; }

  private:
    const lab::Namespace& other_;
    std::vector<std::vector<std::string>> rows_ = {
        {"", "empty sent", "arrived", "others sent", "arrived", "round trip", "as expected"}};
    bool right_ = true;
};

struct Close {
    void operator()(bpf_object* object) const { bpf_object__close(object); }
    void operator()(bpf_link* link) const { bpf_link__destroy(link); }
};

}  // namespace

bool show_live(const Page& page, const char* argv0) {
    const Workshop workshop = Workshop::find(argv0);
    double compile_ns = 0;
    const fs::path path = workshop.compile("drop_empty_udp/drop_empty_udp.bpf.c", compile_ns);

    page.section("drop_empty_udp on a real interface");
    if (const std::string why_not = lab::enter_namespace(); !why_not.empty())
        throw std::runtime_error("--live needs root and /dev/net/tun: " + why_not);
    const lab::Namespace other;
    const lab::Pair pair = lab::make_pair(other, 1);
    page.step("network", fmt::format("two namespaces, {} --- {}", pair.there, pair.here), "");
    Table table(other);
    const Arrived all{2 * kDatagrams / 3, 4 * kDatagrams / 3};
    table.row("no program", all);

    ebpf_live__enable();
    const std::unique_ptr<bpf_object, Close> object(bpf_object__open(path.c_str()));
    if (!object || bpf_object__load(object.get()))
        throw std::runtime_error(path.string() + ": " + std::strerror(errno));
    const double start = now();
    std::unique_ptr<bpf_link, Close> link(bpf_program__attach_xdp(
        bpf_object__next_program(object.get(), nullptr), static_cast<int>(pair.here_index)));
    if (!link)
        throw std::runtime_error(
            fmt::format("attaching to {}: {}", pair.here, std::strerror(errno)));
    page.step("attach", fmt::format("to {}, inline", pair.here), duration(now() - start));
    table.row("attached", {0, all.others});
    ebpf_live_statistics seen{};
    ebpf_live__statistics(static_cast<int>(pair.here_index), &seen, sizeof seen);
    page.step("verdicts",
              fmt::format("{} frames: {} dropped, {} passed, {} missed", grouped(seen.frames),
                          grouped(seen.verdicts[XDP_DROP]), grouped(seen.verdicts[XDP_PASS]),
                          grouped(seen.missed)),
              "");
    link.reset();
    page.step("detach", "the interface is as before", "");
    table.row("detached", all);
    page.line("");
    page.table(table.rows());
    page.line("");
    const bool counted = seen.verdicts[XDP_DROP] == all.empty;
    page.line("The namespaces and the cable go with this process.");
    return table.right() && counted;
}

}  // namespace demo
