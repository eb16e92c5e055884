/* SPDX-License-Identifier: MIT */
/* Contexts, verdicts and helpers of the network hooks: XDP, bind, socket addresses, socket events.
 */
#ifndef CASEMENT_EBPF_NETHOOKS_H
#define CASEMENT_EBPF_NETHOOKS_H

#include "bpf_helpers_platform.h"

/* --- XDP: SEC("xdp") --- */

typedef struct xdp_md {
    void* data;               /* first byte of the packet */
    void* data_end;           /* one behind its last */
    uint64_t data_meta;       /* address of the metadata in front of it */
    uint32_t ingress_ifindex; /* interface that received it */
} xdp_md_t;

typedef enum _xdp_action {
    XDP_PASS = 1, /* go on with the packet */
    XDP_DROP = 2,
    XDP_TX = 3, /* send it out of the interface that received it */
} xdp_action_t;

typedef xdp_action_t xdp_hook_t(xdp_md_t* context);

/* --- bind: SEC("bind") --- */

typedef enum _bind_operation {
    BIND_OPERATION_BIND,      /* a socket is about to be bound */
    BIND_OPERATION_POST_BIND, /* it has its port */
    BIND_OPERATION_UNBIND,    /* it gave it back */
} bind_operation_t;

typedef struct _bind_md {
    uint8_t* app_id_start; /* path of the application, UTF-16 */
    uint8_t* app_id_end;
    uint64_t process_id;
    uint8_t socket_address[16];
    uint8_t socket_address_length; /* in bytes */
    bind_operation_t operation;
    uint8_t protocol; /* IPPROTO_TCP, ... */
} bind_md_t;

typedef enum _bind_action {
    BIND_PERMIT_SOFT = 0, /* unless somebody else refuses */
    BIND_PERMIT = BIND_PERMIT_SOFT,
    BIND_DENY = 1,
    BIND_REDIRECT = 2,
    BIND_PERMIT_HARD = 3, /* whoever refuses */
} bind_action_t;

typedef bind_action_t bind_hook_t(bind_md_t* context);

/* --- socket addresses: SEC("cgroup/connect4"), ... --- */

#define BPF_SOCK_ADDR_VERDICT_REJECT 0
#define BPF_SOCK_ADDR_VERDICT_PROCEED_SOFT 1
#define BPF_SOCK_ADDR_VERDICT_PROCEED BPF_SOCK_ADDR_VERDICT_PROCEED_SOFT
#define BPF_SOCK_ADDR_VERDICT_PROCEED_HARD 2

/* Addresses and ports are in network order. msg_src is the local side, user the remote one (of bind
 * and listen: the address that is bound). Only connect programs may change user_ip and user_port.
 */
typedef struct bpf_sock_addr {
    uint32_t family; /* AF_INET or AF_INET6 with Windows' numbers */
    struct {
        union {
            uint32_t msg_src_ip4;
            uint32_t msg_src_ip6[4];
        };
        uint16_t msg_src_port;
    };
    struct {
        union {
            uint32_t user_ip4;
            uint32_t user_ip6[4];
        };
        uint16_t user_port;
    };
    uint32_t protocol; /* IPPROTO_TCP, ... */
    uint32_t compartment_id;
    uint64_t interface_luid;
} bpf_sock_addr_t;

typedef struct _bpf_sock_addr_network_context {
    uint32_t version; /* 1 */
    uint32_t interface_type;
    uint32_t tunnel_type;
    uint64_t next_hop_interface_luid;
    uint32_t sub_interface_index;
} bpf_sock_addr_network_context_t;

typedef int sock_addr_hook_t(bpf_sock_addr_t* context);

/* --- socket events: SEC("sockops") --- */

typedef enum _bpf_sock_op_type {
    BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB,  /* connected */
    BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB, /* accepted */
    BPF_SOCK_OPS_CONNECTION_DELETED_CB,
} bpf_sock_op_type_t;

typedef struct _bpf_sock_ops {
    bpf_sock_op_type_t op;
    uint32_t family;
    struct {
        union {
            uint32_t local_ip4;
            uint32_t local_ip6[4];
        };
        uint32_t local_port;
    };
    struct {
        union {
            uint32_t remote_ip4;
            uint32_t remote_ip6[4];
        };
        uint32_t remote_port;
    };
    uint8_t protocol;
    uint32_t compartment_id;
    uint64_t interface_luid;
} bpf_sock_ops_t;

typedef int sock_ops_hook_t(bpf_sock_ops_t* context);

#include "ebpf_nethooks_defs.h"

#endif /* CASEMENT_EBPF_NETHOOKS_H */
