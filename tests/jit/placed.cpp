// SPDX-License-Identifier: MIT
#include "placed.hpp"

#include <cstring>
#include <new>

namespace ebpf::jit::test {

Placed::Placed(const Output& output, CallingConvention convention, const Resolve& resolve)
    : entry_(output.entry), convention_(convention) {
    auto pages = platform::CodePages::create(output.text.size());
    if (!pages) throw std::bad_alloc();
    memory_ = pages->writable().data();
    std::memcpy(memory_, output.text.data(), output.text.size());
    for (const code::Relocation& r : output.relocations) {
        const bool function = r.kind == code::RelocKind::Function64;
        const u64 value = function ? reinterpret_cast<u64>(memory_ + r.addend) : resolve(r);
        if (r.kind != code::RelocKind::HelperNear32 && r.kind != code::RelocKind::LookupNear32) {
            std::memcpy(memory_ + r.offset, &value, sizeof value);
            continue;
        }
        std::byte* const behind = memory_ + r.offset + sizeof(i32);
        const i64 distance = static_cast<i64>(value - reinterpret_cast<u64>(behind));
        const i32 near = static_cast<i32>(distance);
        if (near == distance) std::memcpy(memory_ + r.offset, &near, sizeof near);
    }
    if (!pages->seal()) throw std::bad_alloc();
    pages->register_unwind(0, output.unwind.offset, output.unwind.size);
    pages_ = std::make_unique<platform::CodePages>(std::move(*pages));
}

Placed::~Placed() = default;

namespace {
// A function of its own: where both calls stand in one, GCC 12's -ftree-tail-merge takes them for
// the same call, since only their convention differs.
[[gnu::noinline]] u64 call_windows(const void* entry, void* r1, u64 r2,
                                   code::Invocation* invocation) {
    using WindowsEntry = __attribute__((ms_abi)) u64 (*)(void*, u64, code::Invocation*);
    return reinterpret_cast<WindowsEntry>(const_cast<void*>(entry))(r1, r2, invocation);
}
}  // namespace

u64 Placed::run(void* r1, u64 r2, code::Invocation* invocation) const {
    const void* entry = memory_ + entry_;
    if (convention_ == CallingConvention::WindowsX64) {
        return call_windows(entry, r1, r2, invocation);
    }
    return reinterpret_cast<code::EntryFn>(const_cast<void*>(entry))(r1, r2, invocation);
}

}  // namespace ebpf::jit::test
