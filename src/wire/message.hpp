// SPDX-License-Identifier: MIT
//
// The commands of the door as flat messages, for a socket or a device control: a request and a
// reply, each one piece of memory without an address in it.
//
//     request   Header | attribute | what its pointer fields point to and the command reads
//     reply     Header | attribute | what the command writes there
//
// Everything is derived from spec/commands.def: both sides compute the same layout from the
// attribute, the lengths' expressions and what they know of the maps that are named (`Shapes`).
// So a message holds no offsets that would have to be checked, only sizes that must fit: a pointer
// field holds 0 or 1, whether there is one. Each part begins at a multiple of 8.
//
// The sender                                 The receiver
//     plan_request(attr) -> sizes                decode(request) -> sizes and the plan
//     write_request(message)         ------>     bind_pointers(request, reply): the attribute with
//     pointers
//                                                    into the two messages, for the door
//     read_reply(reply) -> attr      <------     finish(result): the reply, cut to what was used
//
// Descriptor fields are handles of the receiver's session; who calls from an application translates
// before (translate.hpp, also what stands in instructions, arrays and values). The receiver must
// keep the handles that a request names from being closed between decode() and finish(): the sizes
// of buffers follow from the maps behind them.
//
// A peer of another version reads the first 16 bytes, which never change, and answers with a header
// of its own that says NotSupported. Within a version an attribute may be shorter than ours (the
// rest is zero) or longer (the rest must be zero, else TooLarge), as Linux has it for bpf(2).
#pragma once

#include <array>

#include "base/error.hpp"
#include "spec/command_fields.hpp"
#include "spec/dialect.hpp"

namespace ebpf::wire {

inline constexpr u32 kMagic = 0x57464245;  // "EBFW"
inline constexpr u16 kVersion = 1;
inline constexpr u32 kMaxMessage = 64u << 20;  // bytes
inline constexpr u32 kMaxLog = 16u << 20;      // of a log; more is not asked for
inline constexpr u32 kMaxText = 4096;          // of a path or name, with its NUL

enum class Kind : u16 { Request = 1, Reply = 2 };

// Little-endian. Errors cross as both dialects' numbers, which do not change with the tables.
struct Header {
    u32 magic = kMagic;
    u16 version = kVersion;
    Kind kind{};
    u32 size = 0;  // of the whole message
    u32 command = 0;
    // --- of this version ---
    u64 id = 0;         // of the request; the reply repeats it
    u32 attr_size = 0;  // what the sender knows; the reply repeats it
    u32 dialect = 0;
    i64 value = 0;        // reply: the command's result
    u32 linux_error = 0;  // reply: 0, or errno
    u32 result = 0;       // reply: ebpf_result_t
    u32 where = 0;        // reply: Where::Kind of the error, and its value
    u32 reserved = 0;
    u64 where_value = 0;
};
static_assert(sizeof(Header) == 64);
inline constexpr u32 kStableHeader = 16;

// What the peers must know of an object to lay out a message; zeros when it is not known (then the
// command fails anyway).
using Shape = spec::HandleShapeAttr;

// Where shapes come from: the client remembers them, the receiver asks its door. An error counts as
// "not known".
struct Shapes {
    void* self = nullptr;
    Result<Shape> (*of)(void* self, u32 handle) = nullptr;
};

// One buffer that a pointer field stands for.
struct Buffer {
    u16 pointer = 0;  // offset of the address in the attribute, or in the info structure
    u16 count = 0;    // nested: offset of its length there
    u16 element = 0;  // nested: bytes of an element, 0: read `element_at`
    u16 element_at = 0;
    u8 field = 0;  // index of the command's field
    bool nested = false;
    bool in = false;
    bool out = false;
    bool info = false;  // the holder of the nested ones
    u32 length = 0;
    u32 in_at = 0;   // in the request
    u32 out_at = 0;  // in the reply
};

// A message's layout; both peers compute the same.
struct Plan {
    static constexpr u32 kMaxBuffers = 12;

    const spec::CommandInfo* command = nullptr;
    u32 attr_size = 0;
    u32 request_size = 0;
    u32 reply_size = 0;  // at most
    u32 kind = 0;        // of the object that the command is about, as Shape has it
    u32 count = 0;
    std::array<Buffer, kMaxBuffers> buffers{};
};

// --- the sender ----------------------------------------------------------------------------------

// Lays out a request. `attr` is the command's structure with real pointers; a log that is longer
// than kMaxLog is made shorter in it. Errors: InvalidArgument (no such command), TooLarge (more
// than kMaxMessage), NameTooLong.
Status plan_request(spec::Command command, void* attr, const Shapes& shapes, Plan& plan);

// Writes the request into `message`, of plan.request_size bytes.
void write_request(const Plan& plan, const void* attr, spec::Dialect dialect, u64 id,
                   MutableBytes message);

// Reads the reply to the request with `id`: results into `attr` and what its pointers point to. The
// value is the command's result, or its error (BadFormat, BadMagic and NotSupported for a reply
// that cannot be read).
Result<i64> read_reply(const Plan& plan, Bytes reply, u64 id, void* attr);

// Entries of fd_array that the instructions refer to.
u32 fd_array_used(Bytes slots);

// --- the receiver --------------------------------------------------------------------------------

struct Request {
    Header header{};
    Plan plan{};
    alignas(8) std::array<std::byte, spec::kMaxAttrSize> attr{};   // what the door gets
    alignas(8) std::array<std::byte, spec::kMaxAttrSize> asked{};  // as it came
};

// Reads a request's header: whether its beginning can be understood at all, and as a request of
// this version. Errors: Truncated, BadMagic, NotSupported (another version), BadFormat.
Result<Header> read_header(Bytes message, Kind kind);

// Checks a request and lays out the reply. Nothing of `message` is trusted; what is read from it
// is copied, but the buffers stay in it. Errors: those of read_header, InvalidArgument (no such
// command), TooLarge, BadFormat (sizes that do not add up), NameTooLong.
Status decode(Bytes message, const Shapes& shapes, Request& request);

// Makes request.attr what the door expects: pointers into `message`, which decode() read, and into
// `reply`, of request.plan.reply_size bytes, which both stay until finish().
void bind_pointers(Request& request, MutableBytes message, MutableBytes reply);

// Completes the reply after the door answered; the value is its size in bytes.
u32 finish(Request& request, const Result<i64>& result, MutableBytes reply);

// The reply to something that decode() refused; `reply` has room for a header. Its size.
u32 refuse(Bytes message, const Error& error, MutableBytes reply);

// The error that a reply's numbers stand for.
Errc error_of(u32 linux_error, u32 result);

}  // namespace ebpf::wire
