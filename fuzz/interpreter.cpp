// SPDX-License-Identifier: MIT
// Code as it arrives at the interpreter: 16 bytes of header, relocations of 16 bytes, then slots.
// The check of it and the preparation must take anything, and what is prepared is run, checked: it
// must stay in its memory (which the address sanitizer sees) and end.
#include <cstring>
#include <vector>

#include "code/bounds.hpp"
#include "interpreter/interpreter.hpp"

namespace {

using namespace ebpf;

struct Header {
    u32 entry;
    u32 map_count;
    u16 relocations;
    u8 engine;
    u8 cpu;
    u32 unused;
};

Result<u64> resolve(void*, code::RelocKind, u32 index, u32 addend) {
    return index % 7 == 6 ? Result<u64>(fail(Errc::UnresolvedSymbol)) : u64{index} * 16 + addend;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Header header;
    if (size < sizeof header) return 0;
    std::memcpy(&header, data, sizeof header);
    data += sizeof header;
    size -= sizeof header;

    std::vector<code::Relocation> relocations(
        std::min<std::size_t>(header.relocations, size / sizeof(code::Relocation)));
    const std::size_t bytes = relocations.size() * sizeof(code::Relocation);
    if (bytes != 0) std::memcpy(relocations.data(), data, bytes);

    code::CodeView view;
    view.engine = static_cast<code::EngineKind>(header.engine);
    view.cpu = static_cast<code::Cpu>(header.cpu);
    view.entry = header.entry;
    view.map_count = header.map_count;
    view.text = std::as_bytes(std::span(data + bytes, size - bytes));
    view.relocations = relocations;

    const code::EngineOps& engine = interpreter::kEngine;
    const Result<u64> needed = engine.prepared_size(view);
    if (!needed) return 0;
    struct alignas(16) Block {
        std::byte bytes[16];
    };
    std::vector<Block> memory(*needed / sizeof(Block));
    if (!engine.prepare(view, {nullptr, resolve}, std::as_writable_bytes(std::span(memory))))
        return 0;

    constexpr u64 kMemory = 64, kFuel = 10'000;
    std::vector<u8> own(kMemory);
    code::Bounds bounds{.memory = {reinterpret_cast<u64>(own.data()), kMemory, true}};
    code::Invocation invocation{.fuel = kFuel, .bounds = &bounds};
    (void)engine.run(memory.data(), own.data(), kMemory, &invocation);
    if (bounds.frames != nullptr || invocation.frames != 0) __builtin_trap();
    return 0;
}
