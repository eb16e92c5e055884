// SPDX-License-Identifier: MIT
//
// What goes over the socket of ebpfsvc: packets (SOCK_SEQPACKET), each a Frame and, for Call, one
// message of wire/. The client speaks first and gets one answer per packet, in order. Descriptors
// travel beside a packet (SCM_RIGHTS):
//
//     Hello    who this is: the first packet of a connection. Connections of one process that show
//              its secret share what it holds; without one a new client begins. The answer has the
//              secret.
//     Present  <- a descriptor of an object, wherever the client got it from. The answer says what
//              it is; from now on the client's messages may name its handle.
//     Call     a command. A new object comes -> as a descriptor.
//     Memory   of the map `handle`, part `value`: -> the pages as a descriptor, as MAP_MEMORY of
//              spec/commands.def gives them, and what the object is.
//     Status   what the daemon holds, for who may administrate it.
//
// A descriptor of an object is one end of a pair of sockets whose other end the daemon has, or, of
// an array that applications map, the file of its pages. The daemon knows either again by its
// cookie (channel.hpp), which is never used twice. Handles are the
// daemon's; a number alone is no right: a client may name what it was given or has presented.
//
// What is larger than kMaxInline goes as a sealed file in memory, which is the last descriptor: its
// size and content cannot change any more when it is read.
#pragma once

#include "wire/message.hpp"

namespace ebpf::service {

inline constexpr const char* kDefaultPath = "/run/ebpfsvc.sock";

inline constexpr u32 kMagic = 0x53464245;  // "EBFS"
inline constexpr u16 kVersion = 2;
inline constexpr u32 kMaxInline = 64u << 10;
inline constexpr u32 kMaxDescriptors = 4;

enum class FrameType : u16 { Hello = 1, Present = 2, Call = 3, Memory = 4, Status = 5 };

// Little-endian; the first 8 bytes never change. An answer repeats the type.
struct Frame {
    u32 magic = kMagic;
    u16 version = kVersion;
    FrameType type{};
    u32 size = 0;         // of the payload
    u32 in_file = 0;      // 1: the payload is the last descriptor's content
    u32 linux_error = 0;  // answers: 0, or both dialects' numbers of the error
    u32 result = 0;
    u32 handle = 0;
    u32 slots = 0;        // answer to Hello: execution slots
    u64 value = 0;        // Memory: the part; in the answer what may be done with it
    u64 bytes = 0;        // Memory, answer: size of the pages
    u64 secret[2] = {};   // Hello
    wire::Shape shape{};  // of a new or presented object, as it is now
};
static_assert(sizeof(Frame) == 144, "no padding: what is sent is all written");

// Answer to Status, as the payload.
struct Figures {
    u64 maps = 0, links = 0, programs = 0;  // that exist
    u64 descriptors = 0;                    // of objects, that clients hold
    u64 clients = 0, connections = 0;
    u64 served = 0;       // packets answered
    u64 open_files = 0;   // of the daemon's process
    u64 allocations = 0;  // blocks of the execution context
    u64 resident_kib = 0;
    u64 threads = 0;
    u64 compiled = 0;           // programs that went to a compiling child, whatever it said
    u64 compile_failures = 0;   // of them: the child died, was too late, or answered nonsense
    u64 compiler_restarts = 0;  // of compiling children
};

}  // namespace ebpf::service
