// SPDX-License-Identifier: MIT
// casement/embedded.h: live interfaces.
#include <casement/embedded.h>
#include <net/if.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "api/errors.hpp"
#include "products/libebpfapi/embedded.hpp"
#include "products/unfiltered.hpp"

using namespace ebpf;
using api::negative;

namespace {

void report(u32 ifindex, const Error& error) {
    api::print(LIBBPF_WARN, "libbpf: %s\n", products::unfiltered(ifindex, error).c_str());
}

// Whether somebody who attaches to this number without live interfaces may believe that he filters.
bool looks_real(u32 ifindex, char (&name)[IF_NAMESIZE]) {
    return if_indextoname(ifindex, name) != nullptr && std::string_view(name) != "lo";
}

}  // namespace

products::LiveSwitch::LiveSwitch(hooks::XdpHook& hook) : interfaces_(hook, &report) {
    const char* const wanted = std::getenv("EBPF_LIVE");
    if (wanted && std::strcmp(wanted, "1") == 0) enable();
    hook.set_feed({.self = this, .start = &LiveSwitch::start, .stop = &LiveSwitch::stop});
}

u32 products::LiveSwitch::start(void* self, u32 ifindex) {
    auto& here = *static_cast<LiveSwitch*>(self);
    if (here.enabled_.load(std::memory_order_acquire)) {
        const hooks::XdpFeed& feed = here.interfaces_.feed();
        return feed.start(feed.self, ifindex);
    }
    char name[IF_NAMESIZE];
    if (looks_real(ifindex, name) && !here.told_.exchange(true)) {
        api::print(LIBBPF_INFO,
                   "libbpf: attached to interface number %u; the real interface %s is not filtered "
                   "(EBPF_LIVE=1 or ebpf_live__enable() would)\n",
                   ifindex, name);
    }
    return static_cast<u32>(Errc::Ok);
}

void products::LiveSwitch::stop(void* self, u32 ifindex) {
    const hooks::XdpFeed& feed = static_cast<LiveSwitch*>(self)->interfaces_.feed();
    feed.stop(feed.self, ifindex);
}

extern "C" {

int ebpf_live__enable(void) {
    products::LiveSwitch* const live = products::live_switch();
    if (!live) return negative(products::why_not_here());
    live->enable();
    return 0;
}

int ebpf_live__statistics(int ifindex, struct ebpf_live_statistics* statistics, size_t size) {
    if (ifindex <= 0 || !statistics) return negative(EINVAL);
    products::LiveSwitch* const live = products::live_switch();
    if (!live) return negative(products::why_not_here());
    const auto found = live->interfaces().statistics(static_cast<u32>(ifindex));
    if (!found) return negative(found.error());
    ebpf_live_statistics all{.frames = found->frames,
                             .bytes = found->bytes,
                             .verdicts = {},
                             .missed = found->missed,
                             .oversized = found->oversized,
                             .pass_failed = found->pass_failed,
                             .transmit_failed = found->transmit_failed,
                             .redirect_failed = found->redirect_failed};
    for (int i = 0; i < hooks::kXdpVerdicts; ++i) all.verdicts[i] = found->verdicts[i];
    std::memset(statistics, 0, size);
    std::memcpy(statistics, &all, size < sizeof all ? size : sizeof all);
    return 0;
}

}  // extern "C"
