// SPDX-License-Identifier: MIT
#include "platform/memory.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "platform/irql.hpp"
#include "platform/linux/debugger.hpp"
#include "platform/user/heap.hpp"

// The unwinder of the compiler's runtime (libgcc); no header declares them. `table` is an .eh_frame
// section with its terminator.
// NOLINTBEGIN(bugprone-reserved-identifier)
extern "C" void __register_frame(void* table);
extern "C" void __deregister_frame(void* table);
// NOLINTEND(bugprone-reserved-identifier)

namespace ebpf::platform {
namespace {

std::size_t whole_pages(std::size_t size) {
    return (size + kPageSize - 1) & ~std::size_t{kPageSize - 1};
}

}  // namespace

void prefer_large_pages(void* memory, std::size_t size) {
    constexpr u64 kLargePage = u64{2} << 20;
    const u64 begin = (reinterpret_cast<u64>(memory) + kLargePage - 1) & ~(kLargePage - 1);
    const u64 end = (reinterpret_cast<u64>(memory) + size) & ~(kLargePage - 1);
    // Where the system has none, it stays as it is.
    if (begin < end) (void)madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
}

Result<CodePages> CodePages::create(std::size_t size) {
    require_irql_at_most(Irql::Passive, "CodePages::create");
    const std::size_t bytes = whole_pages(size);
    if (bytes == 0 || bytes < size) return fail(Errc::InvalidArgument, {}, "code size", size);
    if (!may_allocate(bytes)) return fail(Errc::NoMemory, {}, "code pages", bytes);
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return fail(Errc::NoMemory, {}, "code pages", bytes);
    CodePages pages;
    pages.memory_ = memory;
    pages.size_ = bytes;
    return pages;
}

Status CodePages::seal() {
    require_irql_at_most(Irql::Passive, "CodePages::seal");
    if (mprotect(memory_, size_, PROT_READ | PROT_EXEC) != 0) {
        return fail(Errc::BlockedByPolicy, {}, "executable memory");
    }
    __builtin___clear_cache(static_cast<char*>(memory_), static_cast<char*>(memory_) + size_);
    return {};
}

void CodePages::register_unwind(std::size_t text, std::size_t offset, std::size_t size) {
    require_irql_at_most(Irql::Passive, "CodePages::register_unwind");
    if (size == 0) return;
    for (void*& table : tables_) {
        if (table != nullptr) continue;
        table = static_cast<std::byte*>(memory_) + text + offset;
        __register_frame(table);
        return;
    }
}

namespace {

bool asked_for(const char* variable) {
    const char* const value = std::getenv(variable);
    return value != nullptr && std::strcmp(value, "1") == 0;
}

void write_perf_map(u64 address, const CodePages::Functions& functions) {
    char path[32];
    std::snprintf(path, sizeof path, "/tmp/perf-%d.map", getpid());
    const int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0) return;
    for (std::size_t i = 0; i < functions.count; ++i) {
        const CodePages::Function function = functions.at(functions.self, i);
        dprintf(file, "%" PRIx64 " %zx %s\n", address + function.begin,
                function.end - function.begin, CodeName(function).text);
    }
    close(file);
}

}  // namespace

void CodePages::name_code(const Functions& functions) const {
    require_irql_at_most(Irql::Passive, "CodePages::name_code");
    if (asked_for("EBPF_PERF_MAP")) write_perf_map(reinterpret_cast<u64>(memory_), functions);
    if (!asked_for("EBPF_GDB_JIT")) return;
    const auto* const end = static_cast<const std::byte*>(memory_) + size_;
    const auto* unwind = end;
    for (const void* table : tables_)  // what was registered last
        if (table != nullptr) unwind = static_cast<const std::byte*>(table);
    show_code(memory_, functions, {unwind, end});
}

CodePages::~CodePages() {
    if (memory_ == nullptr) return;
    require_irql_at_most(Irql::Passive, "~CodePages");
    hide_code(memory_);
    for (void* table : tables_)
        if (table != nullptr) __deregister_frame(table);
    munmap(memory_, size_);
}

// --- shared pages -------------------------------------------------------------------------------
// A file in memory. Its mode is the owner's alone: a process that got a descriptor for reading
// cannot open it again for writing through /proc unless it could do anything to us anyway.

namespace {

// A file of `bytes`, whose size stays; -1 when there is none to be had.
int create_file(const char* name, u64 bytes) {
    const int file = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (file < 0) return -1;
    if (ftruncate(file, static_cast<off_t>(bytes)) == 0 && fchmod(file, S_IRUSR | S_IWUSR) == 0 &&
        fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0) {
        return file;
    }
    close(file);
    return -1;
}

// Linux 5.1 has the seal.
Status seal_writing(int file) {
    if (fcntl(file, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) == 0) return {};
    return fail(Errc::NotSupported, {}, "sealing memory (F_SEAL_FUTURE_WRITE)");
}

void close_if_open(i64 file) {
    if (file >= 0) close(static_cast<int>(file));
}

}  // namespace

Result<SharedMemory> create_shared(std::size_t size) {
    require_irql_at_most(Irql::Passive, "create_shared");
    const std::size_t bytes = whole_pages(size);
    if (bytes == 0 || bytes < size) return fail(Errc::InvalidArgument, {}, "shared size", size);
    if (!may_allocate(bytes)) return fail(Errc::NoMemory, {}, "shared pages", bytes);
    const int file = create_file("ebpf-map", bytes);
    if (file < 0) return fail(Errc::NoMemory, {}, "shared pages", bytes);
    void* base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (base == MAP_FAILED) {
        close(file);
        return fail(Errc::NoMemory, {}, "shared pages", bytes);
    }
    return SharedMemory{static_cast<std::byte*>(base), bytes, file};
}

Status seal_shared(const SharedMemory& memory) {
    require_irql_at_most(Irql::Passive, "seal_shared");
    return seal_writing(static_cast<int>(memory.native));
}

bool mapped_writable_elsewhere(const SharedMemory& memory) {
    require_irql_at_most(Irql::Passive, "mapped_writable_elsewhere");
    struct stat status{};
    struct CloseFile {
        void operator()(std::FILE* file) const { std::fclose(file); }
    };
    const std::unique_ptr<std::FILE, CloseFile> maps(std::fopen("/proc/self/maps", "re"));
    if (!maps || fstat(static_cast<int>(memory.native), &status) != 0) return false;
    char line[512];
    bool line_start = true;
    while (std::fgets(line, sizeof line, maps.get()) != nullptr) {
        const bool whole = line_start;
        line_start = line[std::strlen(line) - 1] == '\n';
        u64 begin = 0;
        u64 inode = 0;
        char rights[5] = {};
        // begin-end rights offset device inode path
        if (!whole || std::sscanf(line, "%" SCNx64 "-%*x %4s %*x %*s %" SCNu64, &begin, rights,
                                  &inode) != 3) {
            continue;
        }
        if (inode != status.st_ino || rights[1] != 'w' || rights[3] != 's' ||
            std::strstr(line, "/memfd:ebpf-map") == nullptr) {
            continue;
        }
        const auto ours = reinterpret_cast<u64>(memory.base);
        if (begin < ours || begin >= ours + memory.size) return true;
    }
    return false;
}

void destroy_shared(const SharedMemory& memory) {
    require_irql_at_most(Irql::Passive, "destroy_shared");
    if (memory.base != nullptr) munmap(memory.base, memory.size);
    close_if_open(memory.native);
}

// --- rings --------------------------------------------------------------------------------------
// Two files, since others may write one part and not the other: consumers their position and
// nothing else, as the records' headers lead the producer back to the ring; producers everything
// but the consumer's position.

namespace {

// The addresses are reserved once, then the files are put over them, the data a second time at the
// end.
void* map_ring(int consumer, int produced, u64 data_size) {
    const u64 total = 3 * u64{kPageSize} + 2 * data_size;
    void* base = mmap(nullptr, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) return nullptr;
    auto* at = static_cast<std::byte*>(base);
    const int rw = PROT_READ | PROT_WRITE;
    // All at once: a program that writes a record takes no page fault.
    const int fixed = MAP_SHARED | MAP_FIXED | MAP_POPULATE;
    std::byte* const producer = at + 2 * u64{kPageSize};
    if (mprotect(at, kPageSize, rw) == 0 &&
        mmap(at + kPageSize, kPageSize, rw, fixed, consumer, 0) != MAP_FAILED &&
        mmap(producer, kPageSize + data_size, rw, fixed, produced, 0) != MAP_FAILED &&
        mmap(producer + kPageSize + data_size, data_size, rw, fixed, produced, kPageSize) !=
            MAP_FAILED) {
        return base;
    }
    munmap(base, total);
    return nullptr;
}

}  // namespace

Result<RingMemory> create_ring(std::size_t data_size, RingProducer written_by) {
    require_irql_at_most(Irql::Passive, "create_ring");
    if (data_size == 0 || data_size % kPageSize != 0) {
        return fail(Errc::InvalidArgument, {}, "ring size", data_size);
    }
    if (!may_allocate(data_size)) return fail(Errc::NoMemory, {}, "ring", data_size);
    const int consumer = create_file("ebpf-ring", kPageSize);
    const int produced = create_file("ebpf-ring", kPageSize + data_size);
    void* base = nullptr;
    if (consumer >= 0 && produced >= 0) base = map_ring(consumer, produced, data_size);
    if (base == nullptr) {
        close_if_open(consumer);
        close_if_open(produced);
        return fail(Errc::NoMemory, {}, "ring", data_size);
    }
    RingMemory ring{static_cast<std::byte*>(base), data_size, written_by, consumer, produced};
    i64& only_read =
        written_by == RingProducer::Owner ? ring.produced_native : ring.consumer_native;
    if (!seal_writing(static_cast<int>(only_read))) {  // without the seal it is not for others
        close_if_open(only_read);
        only_read = -1;
    }
    return ring;
}

void destroy_ring(const RingMemory& ring) {
    require_irql_at_most(Irql::Passive, "destroy_ring");
    if (ring.base == nullptr) return;
    munmap(ring.base, 3 * std::size_t{kPageSize} + 2 * ring.data_size);
    close_if_open(ring.consumer_native);
    close_if_open(ring.produced_native);
}

}  // namespace ebpf::platform
