/* SPDX-License-Identifier: MIT */
/*
 * Network byte order. The compiler folds the builtins for constants, so that they may stand in
 * initialisers and case labels too.
 */
#ifndef CASEMENT_BPF_ENDIAN_H
#define CASEMENT_BPF_ENDIAN_H
#define __BPF_ENDIAN__

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define BPF_TO_BIG(bits, x) __builtin_bswap##bits(x)
#define BPF_TO_LITTLE(bits, x) (x)
#else
#define BPF_TO_BIG(bits, x) (x)
#define BPF_TO_LITTLE(bits, x) __builtin_bswap##bits(x)
#endif

#define bpf_htons(x) ((unsigned short)BPF_TO_BIG(16, x))
#define bpf_ntohs(x) ((unsigned short)BPF_TO_BIG(16, x))
#define bpf_htonl(x) ((unsigned int)BPF_TO_BIG(32, x))
#define bpf_ntohl(x) ((unsigned int)BPF_TO_BIG(32, x))
#define bpf_cpu_to_be64(x) ((unsigned long long)BPF_TO_BIG(64, x))
#define bpf_be64_to_cpu(x) ((unsigned long long)BPF_TO_BIG(64, x))

#define __bpf_htons(x) bpf_htons(x)
#define __bpf_ntohs(x) bpf_ntohs(x)
#define __bpf_htonl(x) bpf_htonl(x)
#define __bpf_ntohl(x) bpf_ntohl(x)
#define __bpf_cpu_to_be64(x) bpf_cpu_to_be64(x)
#define __bpf_be64_to_cpu(x) bpf_be64_to_cpu(x)
#define __bpf_constant_htons(x) bpf_htons(x)
#define __bpf_constant_ntohs(x) bpf_ntohs(x)
#define __bpf_constant_htonl(x) bpf_htonl(x)
#define __bpf_constant_ntohl(x) bpf_ntohl(x)
#define __bpf_constant_cpu_to_be64(x) bpf_cpu_to_be64(x)
#define __bpf_constant_be64_to_cpu(x) bpf_be64_to_cpu(x)

#endif /* CASEMENT_BPF_ENDIAN_H */
