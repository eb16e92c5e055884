// SPDX-License-Identifier: MIT
// bpftool link, bpftool net
#include <bpf/libbpf.h>
#include <casement/embedded.h>
#include <fmt/format.h>
#include <net/if.h>

#include <cerrno>

#include "products/bpftool/tool.hpp"

namespace bpftool {
namespace {

constexpr __u32 kIfNone = 1, kSkbMode = 2, kDrvMode = 4, kHwMode = 8;  // XDP_FLAGS_*

void show(const Options& options, int fd, Output& out) {
    bpf_link_info info{};
    __u32 size = sizeof info;
    if (bpf_obj_get_info_by_fd(fd, &info, &size)) fail_errno("can't get link info");
    const char* known = libbpf_bpf_link_type_str(static_cast<bpf_link_type>(info.type));
    const std::string type = known ? known : fmt::format("type {}", info.type);
    Json json = {{"id", info.id}, {"type", type}, {"prog_id", info.prog_id}};
    std::string text = fmt::format("{}: {}  prog {}  ", info.id, type, info.prog_id);
    show_pins(options, kPinnedLink, info.id, json, text);
    out.json.push_back(json);
    out.text += text + "\n";
}

struct AttachType {
    const char* name;
    __u32 flags;
};
constexpr AttachType kAttachTypes[] = {
    {"xdp", 0}, {"xdpgeneric", kSkbMode}, {"xdpdrv", kDrvMode}, {"xdpoffload", kHwMode}};

const AttachType& attach_type(Words& words) {
    const std::string name = words.take();
    for (const AttachType& type : kAttachTypes)
        if (name == type.name) return type;
    throw Failure("invalid net attach/detach type: " + name);
}

int device(Words& words) {
    if (!words.take_if("dev"))
        throw Failure(fmt::format("expected 'dev', got: '{}'?", words.peek()));
    const std::string name = words.take();
    const unsigned index = if_nametoindex(name.c_str());
    if (index == 0) throw Failure("invalid devname " + name);
    return static_cast<int>(index);
}

}  // namespace

Output link_show(const Options& options, Words& words) {
    Output out;
    out.json = Json::array();
    if (!handle_follows(words)) {
        for (const Fd& fd : all_links()) show(options, fd.get(), out);
        return out;
    }
    show(options, link(words).get(), out);
    out.json = Json(out.json[0]);
    return out;
}

Output link_detach(const Options&, Words& words) {
    if (words.count() != 2) throw Failure("link specifier is invalid or missing\n");
    const Fd fd = link(words);
    if (bpf_link_detach(fd.get())) fail_errno("failed link detach", kWrongLink);
    return {};
}

Output link_pin(const Options&, Words& words) {
    return pin(link, words);
}

// What else bpftool lists here there is not: its lists are empty.
Output net_show(const Options&, Words& words) {
    if (words.count() != 0 && words.count() != 2) throw ShowUsage();
    const int only = words.empty() ? 0 : device(words);
    Json xdp = Json::array();
    std::string text = "xdp:\n";
    struct if_nameindex* const all = if_nameindex();
    for (auto* at = all; at && at->if_name; ++at) {
        const int index = static_cast<int>(at->if_index);
        __u32 id = 0;
        if ((only && index != only) || bpf_xdp_query_id(index, 0, &id) || id == 0) continue;
        xdp.push_back(
            {{"devname", at->if_name}, {"ifindex", index}, {"mode", "generic"}, {"id", id}});
        text += fmt::format("{}({}) generic id {}\n", at->if_name, index, id);
    }
    if_freenameindex(all);
    Output out;
    out.json =
        Json::array({Json{{"xdp", xdp}, {"tc", Json::array()}, {"flow_dissector", Json::array()}}});
    out.text = text + "\ntc:\n\nflow_dissector:\n\n";
    return out;
}

Output net_attach(const Options&, Words& words) {
    words.need(5);
    ebpf_live__enable();  // the names are those of real interfaces
    const AttachType& type = attach_type(words);
    const Fd fd = program(words);
    const int index = device(words);
    const bool overwrite = words.take_if("overwrite");
    if (!overwrite && !words.empty())
        throw Failure(fmt::format("expected 'overwrite', got: '{}'?", words.peek()));
    if (bpf_xdp_attach(index, fd.get(), type.flags | (overwrite ? 0 : kIfNone), nullptr))
        fail_errno(fmt::format("interface {} attach failed", type.name));
    return {};
}

Output net_detach(const Options&, Words& words) {
    words.need(3);
    const AttachType& type = attach_type(words);
    const int index = device(words);
    if (bpf_xdp_detach(index, type.flags, nullptr))
        fail_errno(fmt::format("interface {} detach failed", type.name));
    return {};
}

}  // namespace bpftool
