// SPDX-License-Identifier: MIT
//
// Writes a capture with a deterministic mix of traffic, and beside it what drop_empty_udp must do
// with each frame. The expectation comes from how a frame was made, not from parsing it again, so
// it can find mistakes of the program, of the engines and of the hook.
//
//     make_traffic CAPTURE.pcap EXPECTED.csv [FRAMES]
//
// EXPECTED.csv has one line per frame: number,protocol,verdict,description
// (protocol: IP's number, or 65536 + EtherType; verdict: pass or drop).
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TCP = 6, UDP = 17, ICMP = 1, ICMPV6 = 58, HOPOPTS = 0, FRAGMENT = 44, NOT_IP = 0x10000 };

struct frame {
    uint8_t bytes[1600];
    size_t size;
    uint32_t protocol;
    int drop;
    const char* description;
};

// A small generator of our own, so that every C library gives the same capture.
static uint32_t random_state = 2463534242u;
static uint32_t next_random(uint32_t below) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state % below;
}

static uint8_t* grow(struct frame* f, size_t size) {
    uint8_t* at = f->bytes + f->size;
    f->size += size;
    return at;
}
static void put8(struct frame* f, uint8_t value) {
    *grow(f, 1) = value;
}
static void put16(struct frame* f, uint16_t value) {
    put8(f, value >> 8);
    put8(f, value & 0xff);
}
static void put32(struct frame* f, uint32_t value) {
    put16(f, value >> 16);
    put16(f, value & 0xffff);
}
static void put_data(struct frame* f, size_t size) {
    for (size_t i = 0; i < size; ++i) put8(f, (uint8_t)(i + size));
}

// The Internet checksum of RFC 1071, as it stands in the packet.
static uint16_t checksum(const uint8_t* bytes, size_t size, uint32_t sum) {
    for (size_t i = 0; i + 1 < size; i += 2) sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
    if (size & 1) sum += (uint32_t)bytes[size - 1] << 8;
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static void ethernet(struct frame* f, int vlans, uint16_t ether_type) {
    static const uint8_t addresses[12] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
    memcpy(grow(f, sizeof addresses), addresses, sizeof addresses);
    if (vlans == 2) {
        put16(f, 0x88a8);
        put16(f, 7);
    }
    if (vlans >= 1) {
        put16(f, 0x8100);
        put16(f, 100 + next_random(8));
    }
    put16(f, ether_type);
}

// `options` in 4-byte words; `fragment` is the header's flags and offset field.
static void ipv4(struct frame* f, uint8_t protocol, size_t payload, unsigned options,
                 uint16_t fragment) {
    uint8_t* header = f->bytes + f->size;
    const unsigned words = 5 + options;
    f->protocol = protocol;
    put8(f, 0x40 | words);
    put8(f, 0);
    put16(f, (uint16_t)(4 * words + payload));
    put16(f, (uint16_t)next_random(65536));
    put16(f, fragment);
    put8(f, 64);
    put8(f, protocol);
    put16(f, 0);
    put32(f, 0xc0000200 + next_random(250));                      // 192.0.2.0/24, RFC 5737
    put32(f, 0xc6336400 + next_random(250));                      // 198.51.100.0/24
    for (unsigned i = 0; i < options; ++i) put32(f, 0x01010101);  // no operation
    const uint16_t sum = htons(checksum(header, 4 * words, 0));
    memcpy(header + 10, &sum, 2);
}

static void ipv6(struct frame* f, uint8_t next, size_t payload) {
    f->protocol = next;
    put32(f, 0x60000000);
    put16(f, (uint16_t)payload);
    put8(f, next);
    put8(f, 64);
    for (int address = 0; address < 2; ++address) {
        put32(f, 0x20010db8);  // 2001:db8::/32, RFC 3849
        put32(f, 0);
        put32(f, 0);
        put32(f, 1 + next_random(250));
    }
}

static void udp(struct frame* f, size_t payload) {
    put16(f, (uint16_t)(1024 + next_random(60000)));
    put16(f, 53);
    put16(f, (uint16_t)(8 + payload));
    put16(f, 0);
    put_data(f, payload);
}

static void tcp(struct frame* f, size_t payload) {
    put16(f, (uint16_t)(1024 + next_random(60000)));
    put16(f, 443);
    put32(f, next_random(1u << 30));
    put32(f, next_random(1u << 30));
    put16(f, 0x5018);
    put16(f, 0xffff);
    put32(f, 0);
    put_data(f, payload);
}

// One maker per kind of frame. `n` is a payload size of at least 1.
static void udp4_data(struct frame* f, size_t n) {
    ethernet(f, 0, 0x0800);
    ipv4(f, UDP, 8 + n, 0, 0);
    udp(f, n);
}
static void udp4_empty(struct frame* f, size_t n) {
    (void)n;
    ethernet(f, 0, 0x0800);
    ipv4(f, UDP, 8, 0, 0);
    udp(f, 0);
    f->drop = 1;
}
static void udp4_options_data(struct frame* f, size_t n) {
    ethernet(f, 0, 0x0800);
    ipv4(f, UDP, 8 + n, 1 + n % 10, 0);
    udp(f, n);
}
static void udp4_options_empty(struct frame* f, size_t n) {
    ethernet(f, 0, 0x0800);
    ipv4(f, UDP, 8, 1 + n % 10, 0);
    udp(f, 0);
    f->drop = 1;
}
static void udp4_vlan_data(struct frame* f, size_t n) {
    ethernet(f, 1, 0x0800);
    ipv4(f, UDP, 8 + n, 0, 0);
    udp(f, n);
}
static void udp4_vlan_empty(struct frame* f, size_t n) {
    (void)n;
    ethernet(f, 1, 0x0800);
    ipv4(f, UDP, 8, 0, 0);
    udp(f, 0);
    f->drop = 1;
}
static void udp4_qinq_empty(struct frame* f, size_t n) {
    (void)n;
    ethernet(f, 2, 0x0800);
    ipv4(f, UDP, 8, 0, 0);
    udp(f, 0);
    f->drop = 1;
}
static void udp4_first_fragment(struct frame* f, size_t n) {
    ethernet(f, 0, 0x0800);
    ipv4(f, UDP, 8 + (n & ~(size_t)7), 0, 0x2000);
    udp(f, n & ~(size_t)7);
    f->bytes[14 + 20 + 4] = 0x08;  // the datagram is longer than this fragment
}
// Its first bytes look like the header of an empty datagram: only the offset tells.
static void udp4_later_fragment(struct frame* f, size_t n) {
    (void)n;
    ethernet(f, 0, 0x0800);
    ipv4(f, UDP, 8, 0, 185);
    udp(f, 0);
}
static void udp4_cut_off(struct frame* f, size_t n) {
    ethernet(f, 0, 0x0800);
    ipv4(f, UDP, 8, 0, 0);
    udp(f, 0);
    f->size -= 1 + n % 8;
}
static void ipv4_cut_off(struct frame* f, size_t n) {
    ethernet(f, 0, 0x0800);
    ipv4(f, UDP, 8, 0, 0);
    f->size -= 1 + n % 20;
    f->protocol = NOT_IP + 0x0800;
}
static void udp6_data(struct frame* f, size_t n) {
    ethernet(f, 0, 0x86dd);
    ipv6(f, UDP, 8 + n);
    udp(f, n);
}
static void udp6_empty(struct frame* f, size_t n) {
    (void)n;
    ethernet(f, 0, 0x86dd);
    ipv6(f, UDP, 8);
    udp(f, 0);
    f->drop = 1;
}
static void udp6_extension_empty(struct frame* f, size_t n) {
    const unsigned units = n % 4;  // of 8 bytes, beyond the first
    ethernet(f, 0, 0x86dd);
    ipv6(f, HOPOPTS, 8 + 8 * units + 8);
    put8(f, UDP);
    put8(f, units);
    put8(f, 1);  // PadN over the rest
    put8(f, 4 + 8 * units);
    memset(grow(f, 4 + 8 * units), 0, 4 + 8 * units);
    udp(f, 0);
    f->protocol = UDP;
    f->drop = 1;
}
static void udp6_fragment(struct frame* f, uint16_t offset) {
    ethernet(f, 0, 0x86dd);
    ipv6(f, FRAGMENT, 16);
    put8(f, UDP);
    put8(f, 0);
    put16(f, offset);
    put32(f, next_random(1u << 30));
    udp(f, 0);
    f->protocol = UDP;
}
static void udp6_atomic_fragment(struct frame* f, size_t n) {
    (void)n;
    udp6_fragment(f, 0);
    f->drop = 1;
}
static void udp6_later_fragment(struct frame* f, size_t n) {
    (void)n;
    udp6_fragment(f, 185 << 3);
}
static void tcp4(struct frame* f, size_t n) {
    ethernet(f, 0, 0x0800);
    ipv4(f, TCP, 20 + n, 0, 0);
    tcp(f, n);
}
static void tcp4_ack(struct frame* f, size_t n) {
    (void)n;
    ethernet(f, 0, 0x0800);
    ipv4(f, TCP, 20, 0, 0);
    tcp(f, 0);
}
static void tcp6(struct frame* f, size_t n) {
    ethernet(f, 0, 0x86dd);
    ipv6(f, TCP, 20 + n);
    tcp(f, n);
}
static void icmp4(struct frame* f, size_t n) {
    ethernet(f, 0, 0x0800);
    ipv4(f, ICMP, 8 + n, 0, 0);
    put16(f, 0x0800);
    put16(f, 0);
    put32(f, 1);
    put_data(f, n);
}
static void icmp6(struct frame* f, size_t n) {
    ethernet(f, 0, 0x86dd);
    ipv6(f, ICMPV6, 8 + n);
    put16(f, 0x8000);
    put16(f, 0);
    put32(f, 1);
    put_data(f, n);
}
static void arp(struct frame* f, size_t n) {
    (void)n;
    ethernet(f, 0, 0x0806);
    put32(f, 0x00010800);
    put32(f, 0x06040001);
    memset(grow(f, 20), 0, 20);
    f->protocol = NOT_IP + 0x0806;
}
static void ethernet_cut_off(struct frame* f, size_t n) {
    ethernet(f, 0, 0x0800);
    f->size -= 1 + n % 13;
    f->protocol = NOT_IP;
}

static const struct kind {
    const char* description;
    unsigned weight;  // of 100
    void (*make)(struct frame* frame, size_t payload);
} kinds[] = {
    {"IPv4 UDP with data", 18, udp4_data},
    {"IPv4 UDP empty", 10, udp4_empty},
    {"IPv4 UDP with data, IP options", 2, udp4_options_data},
    {"IPv4 UDP empty, IP options", 2, udp4_options_empty},
    {"IPv4 UDP with data, VLAN", 4, udp4_vlan_data},
    {"IPv4 UDP empty, VLAN", 2, udp4_vlan_empty},
    {"IPv4 UDP empty, two VLAN tags", 1, udp4_qinq_empty},
    {"IPv4 UDP first fragment", 1, udp4_first_fragment},
    {"IPv4 UDP later fragment", 1, udp4_later_fragment},
    {"IPv4 UDP header cut off", 1, udp4_cut_off},
    {"IPv4 header cut off", 1, ipv4_cut_off},
    {"IPv6 UDP with data", 10, udp6_data},
    {"IPv6 UDP empty", 5, udp6_empty},
    {"IPv6 UDP empty, extension header", 1, udp6_extension_empty},
    {"IPv6 UDP empty, atomic fragment", 1, udp6_atomic_fragment},
    {"IPv6 UDP later fragment", 1, udp6_later_fragment},
    {"IPv4 TCP with data", 20, tcp4},
    {"IPv4 TCP without data", 6, tcp4_ack},
    {"IPv6 TCP with data", 7, tcp6},
    {"ICMP", 2, icmp4},
    {"ICMPv6", 2, icmp6},
    {"ARP", 1, arp},
    {"Ethernet header cut off", 1, ethernet_cut_off},
};

static const struct kind* pick(void) {
    unsigned ticket = next_random(100);
    const struct kind* kind = kinds;
    while (ticket >= kind->weight) ticket -= (kind++)->weight;
    return kind;
}

// Classic pcap, little-endian, microseconds, Ethernet.
static void write32(FILE* file, uint32_t value) {
    const uint8_t bytes[4] = {value & 0xff, value >> 8 & 0xff, value >> 16 & 0xff, value >> 24};
    fwrite(bytes, 1, sizeof bytes, file);
}
static void write_header(FILE* file) {
    write32(file, 0xa1b2c3d4);
    write32(file, 2 | 4 << 16);
    write32(file, 0);
    write32(file, 0);
    write32(file, 65535);
    write32(file, 1);
}
static void write_frame(FILE* file, unsigned long number, const struct frame* frame) {
    write32(file, 1700000000u + number / 100000);
    write32(file, number % 100000 * 10);
    write32(file, (uint32_t)frame->size);
    write32(file, (uint32_t)frame->size);
    fwrite(frame->bytes, 1, frame->size, file);
}

int main(int argc, char** argv) {
    const unsigned long frames = argc > 3 ? strtoul(argv[3], NULL, 0) : 10000;
    if (argc < 3 || argc > 4 || frames == 0) {
        fprintf(stderr, "usage: %s CAPTURE.pcap EXPECTED.csv [FRAMES]\n", argv[0]);
        return 2;
    }
    FILE* capture = fopen(argv[1], "wb");
    if (!capture) return perror(argv[1]), 1;
    FILE* expected = fopen(argv[2], "w");
    if (!expected) return perror(argv[2]), 1;

    write_header(capture);
    for (unsigned long i = 0; i < frames; ++i) {
        // Every kind at least once, then by weight.
        const size_t kind_count = sizeof kinds / sizeof kinds[0];
        const struct kind* kind = i < kind_count ? &kinds[i] : pick();
        struct frame frame = {.description = kind->description};
        kind->make(&frame, 1 + next_random(next_random(4) ? 120 : 1400));
        write_frame(capture, i, &frame);
        fprintf(expected, "%lu,%u,%s,%s\n", i, frame.protocol, frame.drop ? "drop" : "pass",
                frame.description);
    }
    const int failed = ferror(capture) | ferror(expected);
    if (fclose(capture) | fclose(expected) | failed) {
        fprintf(stderr, "%s: the capture could not be written completely\n", argv[0]);
        return 1;
    }
    return 0;
}
