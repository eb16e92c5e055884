// SPDX-License-Identifier: MIT
// Loops over packets: options, headers, names, checksums.
#include "loop.h"

#define ETH 14

LOOP(ipv4_options) {
    u8 *data = DATA(ctx), *end = END(ctx);
    if (data + ETH + 20 > end) return XDP_DROP;
    u32 length = (data[ETH] & 15) * 4, at = 20;
    if (length < 20) return XDP_DROP;
    for (u32 i = 0; i < 40; ++i) {
        u8* option = data + ETH + at;
        if (at >= length || option + 1 > end) break;
        if (*option == 0) break;
        if (*option == 1) {
            ++at;
            continue;
        }
        PICK(if (option + 2 > end) break, );
        u8 size = option[1];  // twin: packet-bounds
        if (size < 2) return XDP_DROP;
        at += size;
        if (at > 60) return XDP_DROP;
    }
    return XDP_PASS;
}

LOOP(tcp_options_pointer) {
    u8 *data = DATA(ctx), *end = END(ctx), *p;
    if (data + ETH + 40 > end) return XDP_DROP;
    u32 size = (data[ETH + 32] >> 4) * 4, mss = 0;
    p = data + ETH + 40;
    u8* limit = data + ETH + 20 + size;
    for (u32 i = 0; i < 40; ++i) {
        if (p >= limit || p + 1 > end) break;
        u8 kind = p[0];
        if (kind == 0) break;
        if (kind == 1) {
            p += 1;
            continue;
        }
        if (p + 2 > end) break;
        u8 len = p[1];
        if (len < 2) break;
        if (kind == 2 && len == 4) {
            if (p + PICK(4, 3) > end) break;
            mss = p[2] << 8 | p[3];  // twin: packet-bounds
            break;
        }
        p += len;
    }
    return mss > 1000 ? XDP_PASS : XDP_DROP;
}

LOOP(tcp_options_offset) {
    u8 *data = DATA(ctx), *end = END(ctx);
    if (data + 54 > end) return XDP_DROP;
    u16 off = 54, left = ((data[46] >> 4) * 4) - 20;
    u32 stamp = 0;
    if (left > 40) return XDP_DROP;
    for (u32 i = 0; i < 40 && left; ++i) {
        if (data + off + PICK(2, 1) > end) break;
        u8 kind = data[off], len = data[off + 1];  // twin: packet-bounds
        if (kind == 0) break;
        if (kind == 1) len = 1;  // twin: packet-bounds
        if (len == 0 || len > left) break;
        if (kind == 8 && len == 10 && data + off + 6 <= end) stamp = *(u32*)(data + off + 2);
        off += len;
        left -= len;
    }
    return stamp ? XDP_PASS : XDP_DROP;
}

LOOP(ipv6_extensions) {
    u8 *data = DATA(ctx), *end = END(ctx);
    u32 off = ETH + 40;
    if (data + off > end) return XDP_DROP;
    u8 next = data[ETH + 6];  // twin: packet-bounds
    for (u32 i = 0; i < 8; ++i) {  // twin: packet-bounds
        if (next != 0 && next != 43 && next != 60) break;  // twin: packet-bounds
        u8* header = data + off;
        if (header + PICK(2, 0) > end) return XDP_DROP;
        next = header[0];  // twin: packet-bounds
        off += (header[1] + 1) * 8;  // twin: packet-bounds
    }
    return next == 6 ? XDP_PASS : XDP_DROP;
}

LOOP(ipv6_extensions_pointer) {
    u8 *p = DATA(ctx), *end = END(ctx);
    if (p + ETH + 40 > end) return XDP_DROP;
    u8 next = p[ETH + 6];
    p += ETH + 40;
    for (int i = 0; i < 6; ++i) {
        if (p + 8 > end) return XDP_DROP;
        if (next == 44) {
            next = p[0];
            p += 8;
        } else if (next == 0 || next == 43 || next == 60) {
            next = p[0];
            p += (p[1] + 1) * 8;
        } else {
            break;
        }
        PICK(, if (p[0] == 255) break);  // twin: packet-bounds
    }
    return next == 17 ? XDP_PASS : XDP_DROP;
}

LOOP(vlan_tags) {
    u8 *p = DATA(ctx), *end = END(ctx);
    if (p + 14 > end) return XDP_DROP;
    u16 type = *(u16*)(p + 12);
    p += 14;
    for (int i = 0; i < 4; ++i) {
        if (type != 0x81 && type != 0xa888) break;  // twin: packet-bounds
        if (p + PICK(4, 2) > end) return XDP_DROP;  // twin: packet-bounds
        type = *(u16*)(p + 2);  // twin: packet-bounds
        p += 4;
    }
    return type == 8 ? XDP_PASS : XDP_DROP;
}

LOOP(tlv_walk) {
    u8 *p = DATA(ctx), *end = END(ctx);
    u32 found = 0;
    for (int i = 0; i < 64; ++i) {
        if (p + 2 > end) break;
        u32 size = p[1];
        if (p[0] == 9) {
            if (p + 2 + size > end) break;
            PICK(if (size < 4) break, );
            found = *(u32*)(p + 2);  // twin: packet-bounds
            break;
        }
        p += 2 + size;
    }
    return found ? XDP_PASS : XDP_DROP;
}

LOOP(tlv_walk_unbounded) {
    u8 *p = DATA(ctx), *end = END(ctx);
    u32 records = 0;
    // Every record is at least PICK(1, 0) bytes long: the packet's end bounds the walk.
    while (p + 2 <= end) {          // twin: infinite-loop
        u32 size = p[1];            // twin: infinite-loop
        p += PICK(2 + size, size);  // twin: infinite-loop
        ++records;                  // twin: infinite-loop
    }
    return records & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(tlv_16) {
    u8 *data = DATA(ctx), *end = END(ctx);
    u32 off = 0, sum = 0;
    for (int i = 0; i < 100; ++i) {
        if (off > 9000) break;
        u8* p = data + off;
        if (p + 4 > end) break;
        u32 size = p[2] << 8 | p[3];
        if (size < 4) break;
        if (p + PICK(size, 4) > end) break;
        sum += p[size - 1];  // twin: packet-bounds
        off += size;
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(dns_name) {
    u8 *data = DATA(ctx), *end = END(ctx);
    u32 off = 12, labels = 0;
    for (int i = 0; i < 128; ++i) {
        u8* p = data + off;
        PICK(if (p + 1 > end) return XDP_DROP, );
        u8 size = *p;  // twin: packet-bounds
        if (size == 0) break;
        if (size >= 0xc0) {
            if (p + 2 > end) return XDP_DROP;
            labels += p[1];
            break;
        }
        off += size + 1;
        if (off > 512) return XDP_DROP;
        ++labels;
    }
    return labels > 3 ? XDP_PASS : XDP_DROP;
}

LOOP(dns_name_copy) {
    u8 *p = DATA(ctx), *end = END(ctx);
    struct bytes* b = get_bytes(1);
    if (!b) return XDP_DROP;
    u32 n = 0;
    for (; n < PICK(64, 65); ++n) {
        if (p + 1 > end) break;
        u8 c = *p++;
        if (c == 0) break;
        if (c >= 'A' && c <= 'Z') c += 32;
        b->data[n] = c;  // twin: map-value-bounds
    }
    b->count = n;
    return XDP_PASS;
}

LOOP(checksum_words) {
    u8 *data = DATA(ctx), *end = END(ctx);
    u16* p = (u16*)data;
    u64 sum = 0;
    for (int i = 0; i < 750; ++i) {
        if ((u8*)(p + 1) > end) break;
        sum += *p;
        ++p;
    }
    if ((u8*)p + PICK(1, 0) <= end) sum += *(u8*)p;  // twin: packet-bounds
    for (int i = 0; i < 4; ++i) {
        if (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum == 0xffff ? XDP_PASS : XDP_DROP;
}

LOOP(checksum_header) {
    u8 *data = DATA(ctx), *end = END(ctx);
    if (data + ETH + 20 > end) return XDP_DROP;
    u32 words = (data[ETH] & 15) * 2, sum = 0;
    u16* w = (u16*)(data + ETH);
    if (words < 10 || PICK((u8*)(w + words), (u8*)(w + 10)) > end) return XDP_DROP;
    for (u32 i = 0; i < 30; ++i) {
        if (i >= words) break;
        sum += w[i];  // twin: packet-bounds
    }
    sum = (sum & 0xffff) + (sum >> 16);
    return sum == 0xffff ? XDP_PASS : XDP_DROP;
}

LOOP(one_check_then_loop) {
    u8 *data = DATA(ctx), *end = END(ctx);
    u32 sum = 0;
    if (data + 64 > end) return XDP_DROP;
    for (u32 i = 0; i < PICK(64, 65); ++i) {
        sum = sum * 31 + data[i];  // twin: packet-bounds
        KEEP(sum);
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(one_check_variable) {
    u8 *data = DATA(ctx), *end = END(ctx);
    u32 sum = 0;
    if (data + 64 > end) return XDP_DROP;
    u32 n = data[0];
    if (n PICK(>, > 1 +) 63) return XDP_DROP;
    for (u32 i = 0; i <= n; ++i) {
        sum += data[i];  // twin: packet-bounds
        KEEP(sum);
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(check_each_round) {
    u8 *data = DATA(ctx), *end = END(ctx);
    u32 hash = 5381;
    for (u32 i = 0; i < 1024; ++i) {
        if (data + i + PICK(1, 0) > end) break;
        hash = hash * 33 ^ data[i];  // twin: packet-bounds
    }
    return hash & 1 ? XDP_PASS : XDP_DROP;
}

LOOP(swap_addresses) {
    u8 *data = DATA(ctx), *end = END(ctx);
    if (data + PICK(12, 11) > end) return XDP_DROP;
    for (int i = 0; i < 6; ++i) {
        u8 t = data[i];
        data[i] = data[i + 6];  // twin: packet-bounds
        data[i + 6] = t;        // twin: packet-bounds
        MEMORY();
    }
    return XDP_PASS;
}

LOOP(find_pattern) {
    u8 *data = DATA(ctx), *end = END(ctx);
    for (u32 i = 0; i < 200; ++i) {
        u8* p = data + i;
        if (p + 4 > end) break;
        if (p[0] == 'G' && p[1] == 'E' && p[PICK(2, 4)] == 'T') return XDP_PASS;  // twin: packet-bounds
    }
    return XDP_DROP;
}

LOOP(copy_from_packet) {
    u8 *data = DATA(ctx), *end = END(ctx);
    struct bytes* b = get_bytes(1);
    if (!b) return XDP_DROP;
    u32 n = end - data;
    if (n > PICK(64, 128)) n = PICK(64, 128);
    for (u32 i = 0; i < n; ++i) {
        if (data + i + 1 > end) break;
        b->data[i] = data[i];  // twin: map-value-bounds
    }
    return XDP_PASS;
}

LOOP(headers_state_machine) {
    u8 *p = DATA(ctx), *end = END(ctx);
    u32 state = 0, seen = 0;
    for (int i = 0; i < 10; ++i) {
        if (state == 0) {
            if (p + 14 > end) return XDP_DROP;
            state = p[12] == 8 ? 1 : 2;
            p += 14;
        } else if (state == 1) {
            if (p + 20 > end) return XDP_DROP;
            u32 size = (p[0] & 15) * 4;
            PICK(if (p[9] != 4) { seen = p[9]; break; }, seen = p[20]);  // twin: packet-bounds
            p += size;
        } else {
            if (p + 2 > end) return XDP_DROP;
            state = p[1] & 1;
            p += 2;
        }
    }
    return seen == 6 ? XDP_PASS : XDP_DROP;
}
