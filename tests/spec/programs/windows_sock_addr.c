// SPDX-License-Identifier: MIT
// Socket hooks in the style of eBPF for Windows' samples.
#include "bpf_endian.h"
#include "bpf_helpers.h"
#include "net/ip.h"

sock_addr_hook_t redirect;
sock_ops_hook_t events;

SEC("cgroup/connect4")
int redirect(bpf_sock_addr_t* ctx) {
    bpf_sock_addr_network_context_t network = {.version = 1};
    if (ctx->family != AF_INET || ctx->protocol != IPPROTO_TCP)
        return BPF_SOCK_ADDR_VERDICT_PROCEED;
    if (bpf_sock_addr_get_network_context(ctx, &network, sizeof(network)) < 0) {
        return BPF_SOCK_ADDR_VERDICT_REJECT;
    }
    if (bpf_is_current_admin(ctx) > 0) return BPF_SOCK_ADDR_VERDICT_PROCEED_HARD;
    ctx->user_ip4 = bpf_htonl(0x7f000001);
    ctx->user_port = bpf_htons(8080);
    bpf_sock_addr_set_redirect_context(ctx, &network, sizeof(network));
    return ctx->compartment_id + (int)ctx->interface_luid;
}

SEC("sockops")
int events(bpf_sock_ops_t* ctx) {
    if (ctx->op == BPF_SOCK_OPS_CONNECTION_DELETED_CB) return 0;
    return (int)bpf_sock_ops_get_flow_id(ctx) + ctx->remote_port + ctx->local_ip4;
}
