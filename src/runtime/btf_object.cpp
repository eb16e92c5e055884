// SPDX-License-Identifier: MIT
#include "runtime/btf_object.hpp"

#include <new>

namespace ebpf::runtime {
namespace {

Status fill(Btf& btf, Bytes bytes) {
    btf.bytes = static_cast<std::byte*>(platform::allocate(bytes.size()));
    if (btf.bytes == nullptr) return fail(Errc::NoMemory, {}, "BTF", bytes.size());
    std::memcpy(btf.bytes, bytes.data(), bytes.size());
    btf.size = static_cast<u32>(bytes.size());
    // What follows reads the copy, which the application cannot change any more.
    TRY_ASSIGN(btf.view, btf::View::open({btf.bytes, btf.size}));
    TRY_ASSIGN(const u32 types, btf.view.count_types());
    btf.offsets = static_cast<u32*>(platform::allocate(u64{types} * sizeof(u32)));
    if (btf.offsets == nullptr) return fail(Errc::NoMemory, {}, "index of BTF", types);
    TRY(btf.view.index({btf.offsets, types}));
    return btf.view.validate();
}

}  // namespace

Result<Btf*> make_btf(Bytes bytes) {
    constexpr u32 kMaxBytes = 16 << 20;  // Linux: BTF_MAX_SIZE
    if (bytes.size() > kMaxBytes) return fail(Errc::TooLarge, {}, "BTF", bytes.size());
    if (bytes.empty()) return fail(Errc::Truncated, {}, "BTF");
    void* memory = platform::allocate(sizeof(Btf));
    if (memory == nullptr) return fail(Errc::NoMemory, {}, "BTF");
    auto* btf = new (memory) Btf;
    btf->kind = ObjectKind::Btf;
    if (const Status filled = fill(*btf, bytes); !filled) {
        destroy_btf(*btf);
        return std::unexpected(filled.error());
    }
    return btf;
}

void destroy_btf(Btf& btf) {
    platform::release(btf.offsets);
    platform::release(btf.bytes);
    btf.~Btf();
    platform::release(&btf);
}

}  // namespace ebpf::runtime
