// SPDX-License-Identifier: MIT
//
// The demo: what an application does with this library, from C source to enforced packets, as a
// page that says what happened. It uses the public API only. Everything on the page is checked
// against how the traffic was made; a wrong count or verdict ends it with status 1.
#include <bpf/libbpf.h>
#include <casement/embedded.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <stdexcept>

#include "../../../examples/drop_empty_udp/count.h"
#include "products/demo/live.hpp"
#include "products/demo/page.hpp"
#include "products/demo/workshop.hpp"

namespace demo {
namespace {

constexpr int kInterface = 1;
constexpr unsigned kFrames = 10'000;

struct Close {
    void operator()(bpf_object* object) const { bpf_object__close(object); }
    void operator()(bpf_link* link) const { bpf_link__destroy(link); }
    void operator()(ebpf_capture* capture) const { ebpf_capture__close(capture); }
};
using Object = std::unique_ptr<bpf_object, Close>;
using Link = std::unique_ptr<bpf_link, Close>;
using CaptureFile = std::unique_ptr<ebpf_capture, Close>;

[[noreturn]] void give_up(const std::string& what, int error = errno) {
    char text[128];
    libbpf_strerror(error, text, sizeof text);
    throw std::runtime_error(what + ": " + text);
}

double now() {
    return std::chrono::duration<double, std::nano>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

// A program on its way: opened, loaded with one engine, attached.
struct Loaded {
    Object object;
    bpf_program* program = nullptr;
    std::vector<char> log = std::vector<char>(64 * 1024);
    double open_ns = 0, load_ns = 0;
    int status = 0;  // of bpf_object__load
};

Loaded load(const fs::path& path, ebpf_engine engine) {
    Loaded loaded;
    double start = now();
    loaded.object.reset(bpf_object__open(path.c_str()));
    if (!loaded.object) give_up(path.string());
    loaded.open_ns = now() - start;
    if (ebpf_object__set_engine(loaded.object.get(), engine)) give_up("choosing the engine");

    loaded.program = bpf_object__next_program(loaded.object.get(), nullptr);
    if (!loaded.program) throw std::runtime_error(path.string() + " holds no program");
    bpf_program__set_log_buf(loaded.program, loaded.log.data(), loaded.log.size());
    bpf_program__set_log_level(loaded.program, 4);  // statistics only, as Linux's BPF_LOG_STATS
    start = now();
    loaded.status = bpf_object__load(loaded.object.get());
    loaded.load_ns = now() - start;
    return loaded;
}

Loaded load_or_give_up(const fs::path& path, ebpf_engine engine) {
    Loaded loaded = load(path, engine);
    if (loaded.status) give_up(path.string() + "\n" + loaded.log.data(), -loaded.status);
    return loaded;
}

// The number in the log's line "NAME: N unit" or "NAME N usec", 0 when the line is not there.
double statistic(const Loaded& loaded, const char* name) {
    const char* at = std::strstr(loaded.log.data(), name);
    return at ? std::strtod(at + std::strlen(name), nullptr) : 0;
}

// --- Feeding
// ---------------------------------------------------------------------------------------

int keep_verdict(void* ctx, const ebpf_packet* packet) {
    static_cast<std::vector<unsigned>*>(ctx)->push_back(packet->verdict);
    return 0;
}

std::vector<unsigned> verdicts_of(const ebpf_capture* capture) {
    std::vector<unsigned> verdicts;
    LIBBPF_OPTS(ebpf_replay_opts, options);
    options.on_packet = keep_verdict;
    options.ctx = &verdicts;
    ebpf_replay_result result{};
    if (ebpf_capture__replay(capture, kInterface, &options, &result))
        give_up("feeding the capture");
    return verdicts;
}

// Nanoseconds per packet: the best of several rounds, each over the capture as often as fills 60
// ms.
double time_per_packet(const ebpf_capture* capture) {
    double best = 1e18;
    LIBBPF_OPTS(ebpf_replay_opts, options);
    options.repeat = 1;
    for (int round = 0; round < 7; ++round) {
        ebpf_replay_result result{};
        if (ebpf_capture__replay(capture, kInterface, &options, &result))
            give_up("feeding the capture");
        const double total = static_cast<double>(result.nanoseconds);
        if (round == 0) {
            options.repeat =
                static_cast<__u32>(std::clamp(60e6 / std::max(total, 1.0), 1.0, 10000.0));
        }
        best = std::min(best, total / static_cast<double>(result.packets));
    }
    return best;
}

std::string protocol_name(unsigned protocol) {
    switch (protocol) {
        case 1:
            return "ICMP";
        case 6:
            return "TCP";
        case 17:
            return "UDP";
        case 58:
            return "ICMPv6";
        case 0x10000:
            return "Ethernet, cut off";
        case 0x10800:
            return "IPv4, cut off";
        case 0x10806:
            return "ARP";
        default:
            return fmt::format("protocol {:#x}", protocol);
    }
}

std::map<unsigned, counters> expected_counters(const Traffic& traffic) {
    std::map<unsigned, counters> expected;
    for (const Expectation& frame : traffic.frames) {
        (frame.drop ? expected[frame.protocol].dropped : expected[frame.protocol].passed) += 1;
    }
    return expected;
}

std::map<unsigned, counters> read_counters(bpf_object* object) {
    const bpf_map* map = bpf_object__find_map_by_name(object, "counts");
    if (!map) give_up("map counts");
    std::map<unsigned, counters> found;
    __u32 key = 0, *previous = nullptr;
    while (bpf_map__get_next_key(map, previous, &key, sizeof key) == 0) {
        counters value{};
        if (bpf_map__lookup_elem(map, &key, sizeof key, &value, sizeof value, 0))
            give_up("map counts");
        found[key] = value;
        previous = &key;
    }
    return found;
}

// --- The page
// --------------------------------------------------------------------------------------

bool show_counters(const Page& page, const std::map<unsigned, counters>& found,
                   const std::map<unsigned, counters>& expected) {
    bool all_right = true;
    std::vector<std::vector<std::string>> rows = {{"protocol", "passed", "dropped", "as expected"}};
    std::map<unsigned, counters> all = expected;
    all.insert(found.begin(), found.end());
    counters sum{};
    for (const auto& [protocol, unused] : all) {
        const auto at = found.find(protocol);
        const counters value = at == found.end() ? counters{} : at->second;
        const auto want = expected.find(protocol);
        const bool right = want != expected.end() && want->second.passed == value.passed &&
                           want->second.dropped == value.dropped;
        rows.push_back({protocol_name(protocol), grouped(value.passed), grouped(value.dropped),
                        right ? "yes" : "NO"});
        sum.passed += value.passed;
        sum.dropped += value.dropped;
        all_right &= right;
    }
    rows.push_back({"all", grouped(sum.passed), grouped(sum.dropped), all_right ? "yes" : "NO"});
    page.table(rows);
    return all_right;
}

bool verdicts_right(const std::vector<unsigned>& verdicts, const Traffic& traffic) {
    if (verdicts.size() != traffic.frames.size()) return false;
    for (size_t i = 0; i < verdicts.size(); ++i) {
        if (verdicts[i] != (traffic.frames[i].drop ? XDP_DROP : XDP_PASS)) return false;
    }
    return true;
}

// Steps 1 to 4 for one engine; the link keeps the program attached.
struct Attached {
    Loaded loaded;
    Link link;
};

Attached attach(const fs::path& object, ebpf_engine engine) {
    Attached attached{load_or_give_up(object, engine), nullptr};
    attached.link.reset(bpf_program__attach_xdp(attached.loaded.program, kInterface));
    if (!attached.link) give_up("attaching to the XDP hook");
    return attached;
}

bool show_enforcement(const Page& page, const Workshop& workshop, const fs::path& object,
                      double compile_ns, const Traffic& traffic, const ebpf_capture* capture) {
    page.section("drop_empty_udp: from C to enforced packets");
    page.step(
        "compile",
        fmt::format("drop_empty_udp.bpf.c with {} {}", workshop.clang, workshop.clang_version),
        duration(compile_ns));
    double start = now();
    Attached jit = attach(object, EBPF_ENGINE_JIT);
    const double all_ns = now() - start;
    const Loaded& loaded = jit.loaded;
    page.step("open",
              fmt::format("program {} in section {}", bpf_program__name(loaded.program),
                          bpf_program__section_name(loaded.program)),
              duration(loaded.open_ns));
    page.step(
        "verify",
        fmt::format("accepted: {} instructions, {} analysed", bpf_program__insn_cnt(loaded.program),
                    static_cast<unsigned>(statistic(loaded, "processed "))),
        duration(1e3 * statistic(loaded, "verification time ")));
    page.step("translate",
              fmt::format("{} bytes of machine code",
                          grouped(static_cast<unsigned>(statistic(loaded, "code size ")))),
              duration(1e3 * statistic(loaded, "compilation time ")));
    page.step("attach", fmt::format("to the XDP hook of interface {}", kInterface),
              duration(std::max(0.0, all_ns - loaded.open_ns - loaded.load_ns)));

    start = now();
    const std::vector<unsigned> verdicts = verdicts_of(capture);
    page.step("feed",
              fmt::format("{} frames of {}", grouped(verdicts.size()),
                          traffic.capture.filename().string()),
              duration(now() - start));
    page.line("");
    const bool counted =
        show_counters(page, read_counters(loaded.object.get()), expected_counters(traffic));
    const bool judged = verdicts_right(verdicts, traffic);
    page.line("");
    page.line(fmt::format("every frame's verdict: {}",
                          judged ? page.styled(Style::Good, "as expected")
                                 : page.styled(Style::Bad, "NOT as expected")));
    return counted && judged;
}

bool show_speed(const Page& page, const fs::path& object, const ebpf_capture* capture,
                const Traffic& traffic) {
    page.section("The same capture, both engines");
    double ns[2] = {};
    std::vector<unsigned> verdicts[2];
    const ebpf_engine engines[2] = {EBPF_ENGINE_INTERPRETER, EBPF_ENGINE_JIT};
    for (int i = 0; i < 2; ++i) {
        const Attached attached = attach(object, engines[i]);
        verdicts[i] = verdicts_of(capture);
        ns[i] = time_per_packet(capture);
    }
    ns[0] = std::max(ns[0], 0.01), ns[1] = std::max(ns[1], 0.01);
    page.table({{"", "interpreter", "JIT", "ratio"},
                {"time per packet", duration(ns[0]), duration(ns[1]),
                 fmt::format("{:.1f}x", ns[0] / ns[1])},
                {"packets per second", grouped(static_cast<unsigned long long>(1e9 / ns[0])),
                 grouped(static_cast<unsigned long long>(1e9 / ns[1])), ""}});
    const bool same = verdicts[0] == verdicts[1] && verdicts_right(verdicts[0], traffic);
    page.line("");
    page.line(fmt::format(
        "time per packet includes the hook and the map update; verdicts of both: {}",
        same ? page.styled(Style::Good, "equal") : page.styled(Style::Bad, "DIFFERENT")));
    return same;
}

bool show_rejection(const Page& page, const Workshop& workshop) {
    page.section("drop_empty_udp_unsafe: the same without its bounds check");
    double compile_ns = 0;
    const fs::path object =
        workshop.compile("drop_empty_udp/drop_empty_udp_unsafe.bpf.c", compile_ns);
    const Loaded loaded = load(object, EBPF_ENGINE_DEFAULT);
    const bool rejected = loaded.status == -EACCES;
    page.step("compile", "drop_empty_udp_unsafe.bpf.c", duration(compile_ns));
    page.step("verify",
              rejected ? page.styled(Style::Good, "rejected, as it must be")
                       : page.styled(Style::Bad, fmt::format("NOT rejected: {}", loaded.status)),
              "");
    page.line("");
    page.block(loaded.log.data());
    return rejected && loaded.log[0] != '\0';
}

int show_outcome(const Page& page, bool right) {
    fmt::print("\n{}\n", right
                             ? page.styled(Style::Good, "All as expected.")
                             : page.styled(Style::Bad, "Something is not as expected: see above."));
    return right ? 0 : 1;
}

int run(const char* argv0, bool coloured, bool live) {
    const Page page(coloured);
    // The page shows what matters; the library's other messages would only repeat it.
    libbpf_set_print([](libbpf_print_level level, const char* format, va_list arguments) {
        return level == LIBBPF_WARN && std::strstr(format, "cannot be filtered")
                   ? std::vfprintf(stderr, format, arguments)
                   : 0;
    });
    if (live) return show_outcome(page, show_live(page, argv0));
    const Workshop workshop = Workshop::find(argv0);
    const Traffic traffic = make_traffic(workshop, kFrames);
    double compile_ns = 0;
    const fs::path object = workshop.compile("drop_empty_udp/drop_empty_udp.bpf.c", compile_ns);
    const CaptureFile capture(ebpf_capture__open(traffic.capture.c_str()));
    if (!capture) give_up(traffic.capture.string());

    bool right = show_enforcement(page, workshop, object, compile_ns, traffic, capture.get());
    right &= show_speed(page, object, capture.get(), traffic);
    right &= show_rejection(page, workshop);
    return show_outcome(page, right);
}

}  // namespace
}  // namespace demo

int main(int argc, char** argv) {
    const bool live = argc == 2 && std::strcmp(argv[1], "--live") == 0;
    if (argc > 1 && !live) {
        fmt::print(stderr,
                   "usage: ./dev demo [--live]\n"
                   "--live: on a real interface, in network namespaces of its own (root)\n");
        return 2;
    }
    try {
        return demo::run(argv[0], isatty(STDOUT_FILENO) && !std::getenv("NO_COLOR"), live);
    } catch (const std::exception& error) {
        fmt::print(stderr, "casement_demo: {}\n", error.what());
        return 2;
    }
}
