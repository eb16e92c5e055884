/* SPDX-License-Identifier: MIT */
/* Network byte order, also by the names of the sockets API. */
#ifndef CASEMENT_WINDOWS_BPF_ENDIAN_H
#define CASEMENT_WINDOWS_BPF_ENDIAN_H

#include "../bpf/bpf_endian.h"

#ifndef ntohs
#define ntohs bpf_ntohs
#endif
#ifndef htons
#define htons bpf_htons
#endif
#ifndef ntohl
#define ntohl bpf_ntohl
#endif
#ifndef htonl
#define htonl bpf_htonl
#endif

#endif /* CASEMENT_WINDOWS_BPF_ENDIAN_H */
