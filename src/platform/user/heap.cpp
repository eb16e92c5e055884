// SPDX-License-Identifier: MIT
// Memory of user mode, from the C library on every system.
#include "platform/user/heap.hpp"

#include <atomic>
#include <cstdlib>

#include "platform/memory.hpp"

namespace ebpf::platform {
namespace {

std::atomic<bool (*)(std::size_t, void*)> allocation_hook{nullptr};
std::atomic<void*> allocation_hook_context{nullptr};
std::atomic<u64> live_allocations{0};

}  // namespace

bool may_allocate(std::size_t size) {
    const auto hook = allocation_hook.load(std::memory_order_acquire);
    return hook == nullptr || hook(size, allocation_hook_context.load(std::memory_order_relaxed));
}

void* allocate(std::size_t size) {
    if (!may_allocate(size)) return nullptr;
    void* memory = std::calloc(1, size);  // 16-aligned on every 64-bit system
    if (memory == nullptr) return nullptr;
    if (size >= kLargeBlock) prefer_large_pages(memory, size);
    live_allocations.fetch_add(1, std::memory_order_relaxed);
    return memory;
}

void release(void* memory) {
    if (memory == nullptr) return;
    live_allocations.fetch_sub(1, std::memory_order_relaxed);
    std::free(memory);
}

void set_allocation_hook(bool (*hook)(std::size_t size, void* context), void* context) {
    allocation_hook_context.store(context, std::memory_order_relaxed);
    allocation_hook.store(hook, std::memory_order_release);
}

u64 allocations() {
    return live_allocations.load(std::memory_order_relaxed);
}

}  // namespace ebpf::platform
