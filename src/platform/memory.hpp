// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

#include "base/error.hpp"

namespace ebpf::platform {

inline constexpr u32 kPageSize = 4096;

// `size` zeroed bytes, 16-aligned and not paged out, or null. <= DISPATCH.
void* allocate(std::size_t size);
// Gives back what allocate() returned; null is allowed. <= DISPATCH.
void release(void* memory);

// Test builds make allocations fail: the hook is asked before each one and null is returned when it
// answers false. Null removes it. Not in the kernel (there it does nothing). PASSIVE.
void set_allocation_hook(bool (*may_allocate)(std::size_t size, void* context), void* context);
// Blocks that allocate() gave out and release() did not take back yet; for leak tests. Any level.
u64 allocations();

// Memory for machine code, writable or executable but never both (W^X). It stands at its final
// address from the beginning, so that relocations can be written before it is sealed.
class CodePages {
  public:
    CodePages() = default;
    CodePages(CodePages&& other) noexcept : memory_(other.memory_), size_(other.size_) {
        for (int i = 0; i < kTables; ++i) tables_[i] = other.tables_[i];
        other.memory_ = nullptr;
        other.size_ = 0;
    }
    CodePages& operator=(CodePages&&) = delete;
    ~CodePages();  // PASSIVE

    // Writable pages for `size` bytes. PASSIVE. NoMemory.
    static Result<CodePages> create(std::size_t size);
    MutableBytes writable() { return {static_cast<std::byte*>(memory_), size_}; }
    // From here on the pages can be executed and no longer written. PASSIVE. BlockedByPolicy when
    // the system refuses executable memory.
    Status seal();
    const void* address() const { return memory_; }
    // Tells the system's unwinder, until the pages go, of the table at `text` + `offset` that
    // jit/unwind.hpp wrote about the code at `text`: exceptions, debuggers and profilers then see
    // through it. After seal(); at most kTables, and size 0 is none. What the system cannot take
    // (in the kernel: any) goes without. PASSIVE.
    static constexpr int kTables = 2;
    void register_unwind(std::size_t text, std::size_t offset, std::size_t size);
    // What the pages' bytes `begin` .. `end` are: a function, or a part of one, such as "_entry".
    struct Function {
        std::string_view name;
        std::string_view part;
        std::size_t begin = 0;
        std::size_t end = 0;
    };
    // Some, one behind the other; asked for only where somebody wants to know.
    struct Functions {
        const void* self = nullptr;
        std::size_t count = 0;
        Function (*at)(const void* self, std::size_t i) = nullptr;
    };
    // Tells, until the pages go, which functions there are, after register_unwind() of the same
    // code: profilers by lines of /tmp/perf-PID.map (perf's "jit interface") when the environment
    // has EBPF_PERF_MAP=1, and debuggers by GDB's JIT interface, with that unwind data, when it has
    // EBPF_GDB_JIT=1. Otherwise, and on other systems, nothing happens. PASSIVE.
    void name_code(const Functions& functions) const;

  private:
    void* memory_ = nullptr;
    std::size_t size_ = 0;
    void* tables_[kTables] = {};  // that the system knows
};

// Pages that can be mapped elsewhere: by `native`, on Linux a descriptor of a file in memory whose
// size is sealed, in a Windows process what its SectionMemory takes (-1 where there is no way).
struct SharedMemory {
    std::byte* base = nullptr;
    std::size_t size = 0;  // whole pages
    i64 native = -1;
};
// At least `size` zeroed bytes. PASSIVE. NoMemory; Unsupported in the Windows kernel for now.
Result<SharedMemory> create_shared(std::size_t size);
// From here on nobody can map the memory writable or write it through `native`; mappings that exist
// stay writable, ours among them. PASSIVE.
Status seal_shared(const SharedMemory& memory);
// Whether this process has it mapped writable at other places than `base`; other processes'
// mappings are not seen. PASSIVE.
bool mapped_writable_elsewhere(const SharedMemory& memory);
void destroy_shared(const SharedMemory& memory);  // PASSIVE

// Who writes the records of a ring: its owner, for others to read, or others.
enum class RingProducer : u8 { Owner, Others };

// The memory of a ring buffer: a private page of the owner, then what others map: the consumer's
// page, the producer's page, and the data twice in a row, so that no record is ever split. Of the
// consumer's page, and of the two together that the producer writes, others may write one.
struct RingMemory {
    std::byte* base = nullptr;  // private page; +1 page consumer, +2 producer, +3 data
    std::size_t data_size = 0;
    RingProducer written_by = RingProducer::Owner;
    i64 consumer_native = -1;  // the consumer's page as SharedMemory::native
    i64 produced_native = -1;  // the producer's page and the data, once

    std::byte* consumer() const { return base + kPageSize; }
    std::byte* producer() const { return base + 2 * kPageSize; }
    std::byte* data() const { return base + 3 * kPageSize; }
};
// data_size: a multiple of kPageSize, on Windows made at least 64 KiB (in its kernel Unsupported if
// no multiple of that). What others only read is sealed against their writing. PASSIVE.
Result<RingMemory> create_ring(std::size_t data_size,
                               RingProducer written_by = RingProducer::Owner);
void destroy_ring(const RingMemory& ring);  // PASSIVE

}  // namespace ebpf::platform
