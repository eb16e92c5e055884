// SPDX-License-Identifier: MIT
#include "products/ebpfcore/file.hpp"

#include <cstring>
#include <new>

#include "products/ebpfcore/device.hpp"
#include "products/ebpfcore/files.hpp"
#include "runtime/map.hpp"

namespace ebpf::products {
namespace {

// Memory of the pool for a scope.
class Block {
  public:
    explicit Block(std::size_t size) : memory_(platform::allocate(size)) {}
    ~Block() { platform::release(memory_); }
    Block(const Block&) = delete;
    Block& operator=(const Block&) = delete;
    void* get() const { return memory_; }

  private:
    void* memory_;
};

}  // namespace

File* File::create(const Context& context, bool privileged) {
    void* memory = platform::allocate(sizeof(File));
    return memory == nullptr ? nullptr : new (memory) File(context, privileged);
}

void File::destroy(File* file) {
    file->cleanup();
    if (const u32 object = file->object()) file->close(object);
    file->~File();
    platform::release(file);
}

void File::close(u32 handle) {
    spec::HandleCloseAttr attr{.fd = handle};
    (void)context_.door({context_.session, {}, true}, spec::Command::HandleClose, &attr);
}

void File::cleanup() {
    for (;;) {
        platform::UserView view;
        {
            const platform::LockGuard guard(lock_);
            closed_ = true;
            if (views_.size() == 0) return;
            view = views_[views_.size() - 1];
            views_.erase(views_.size() - 1);
        }
        platform::unmap_for_user(view);
    }
}

wdk::NtStatus File::exchange(std::byte* buffer, u32 size, u32 room, u64& used) {
    used = 0;
    if (room < sizeof(wire::Header) || buffer == nullptr) return wdk::kBufferTooSmall;
    const Block memory(sizeof(wire::Request));
    if (memory.get() == nullptr) return wdk::kInsufficientResources;
    auto& request = *new (memory.get()) wire::Request;
    const auto refuse = [&](const Error& error) {
        used = wire::refuse({buffer, size}, error, {buffer, room});
        return wdk::kSuccess;
    };
    Files files(context_);
    if (const Status read = wire::decode({buffer, size}, files.shapes(), request); !read) {
        return refuse(read.error());
    }
    const u32 reply_size = request.plan.reply_size;
    if (room < reply_size) return wdk::kBufferTooSmall;  // before anything is done
    const Block reply(reply_size);
    if (reply.get() == nullptr) return refuse(Error{.code = Errc::NoMemory});
    const MutableBytes out{static_cast<std::byte*>(reply.get()), reply_size};
    wire::bind_pointers(request, {buffer, size}, out);
    const Result<i64> result = call(request, files);
    used = wire::finish(request, result, out);
    std::memcpy(buffer, out.data(), used);
    return wdk::kSuccess;
}

Result<i64> File::call(wire::Request& request, Files& files) {
    const spec::CommandInfo& info = *request.plan.command;
    if (info.access != spec::Access::Any && object() != 0) {
        return fail(Errc::AccessDenied, {}, "through an object's handle");
    }
    files.translate(request);
    const spec::Caller caller{.session = context_.session,
                              .dialect = static_cast<spec::Dialect>(request.header.dialect),
                              .privileged = privileged_,
                              .inside = inside()};
    const Result<i64> result = carry_out(caller, info.command, request.attr.data());
    if (!result || !spec::is_handle(info.command, *result)) return result;
    return become(static_cast<u32>(*result));
}

// Who was handed an object's file may be anybody. Addresses of the kernel are for who may run code
// in it.
spec::Inside File::inside() const {
    if (privileged_) return spec::Inside::Addresses;
    return object() == 0 ? spec::Inside::Code : spec::Inside::Hidden;
}

Result<i64> File::carry_out(const spec::Caller& caller, spec::Command command, void* attr) {
    switch (command) {
        case spec::Command::RingMap:
            return map_ring(caller, *static_cast<spec::RingMapAttr*>(attr));
        case spec::Command::RingWait: {
            auto& wait = *static_cast<spec::RingWaitAttr*>(attr);
            if (wait.timeout_ms < 0 || wait.timeout_ms > device::kMaxWaitMs) {
                wait.timeout_ms = device::kMaxWaitMs;
            }
            break;
        }
        case spec::Command::HandleClose:  // handles are closed and duplicated as such
        case spec::Command::HandleDuplicate:
        case spec::Command::MapMemory:  // addresses of the kernel
            return fail(Errc::NotSupported, {}, "not through the device");
        default:
            break;
    }
    return context_.door(caller, command, attr);
}

// Of two commands that make an object of the same blank file, one gets it.
Result<i64> File::become(u32 handle) {
    u32 blank = 0;
    if (object_.compare_exchange_strong(blank, handle, std::memory_order_acq_rel)) return 1;
    close(handle);
    return fail(Errc::InvalidState, {}, "the file is an object's already");
}

// The execution context answers with its own addresses; the client gets those of its process. The
// file keeps the ring, and what is mapped goes before it.
Result<i64> File::map_ring(const spec::Caller& caller, spec::RingMapAttr& attr) {
    if (attr.map_fd != object()) {
        return fail(Errc::InvalidArgument, {}, "a ring is mapped through its own handle");
    }
    spec::RingMapAttr ours = attr;
    TRY(context_.door(caller, spec::Command::RingMap, &ours));
    constexpr u32 kProduced = 1;  // the part with the records
    spec::MapMemoryAttr records{.map_fd = attr.map_fd, .part = kProduced};
    TRY(context_.door({context_.session, {}, true}, spec::Command::MapMemory, &records));
    const bool writes = (records.access & runtime::kMemoryWrite) != 0;
    const platform::RingMemory ring{
        reinterpret_cast<std::byte*>(ours.consumer) - platform::kPageSize, ours.data_size,
        writes ? platform::RingProducer::Others : platform::RingProducer::Owner};
    TRY_ASSIGN(const platform::UserView view, platform::map_for_user(ring));
    if (const Status kept = keep(view); !kept) {
        platform::unmap_for_user(view);
        return std::unexpected(kept.error());
    }
    attr.consumer = reinterpret_cast<u64>(view.consumer);
    attr.producer = reinterpret_cast<u64>(view.producer);
    attr.data = reinterpret_cast<u64>(view.data());
    attr.data_size = ours.data_size;
    return 0;
}

Status File::keep(const platform::UserView& view) {
    const platform::LockGuard guard(lock_);
    if (closed_) return fail(Errc::InvalidState, {}, "the file is closed");
    if (views_.size() == kMaxViews) return fail(Errc::OutOfSpace, {}, "mapped rings", kMaxViews);
    return views_.insert(views_.size(), view);
}

}  // namespace ebpf::products
