// SPDX-License-Identifier: MIT
// What the handlers of commands share. One handler per command: an overload of handle() for its
// attribute structure; dispatch() finds it by type.
#pragma once

#include <utility>

#include "platform/memory.hpp"
#include "runtime/btf_object.hpp"
#include "runtime/runtime.hpp"

namespace ebpf::runtime {

struct CommandContext {
    Runtime& runtime;
    Session& session;
    spec::Dialect dialect;
    const spec::Caller& caller;
};

Result<i64> handle(CommandContext& c, spec::MapCreateAttr& a);
Result<i64> handle(CommandContext& c, spec::MapLookupElemAttr& a);
Result<i64> handle(CommandContext& c, spec::MapUpdateElemAttr& a);
Result<i64> handle(CommandContext& c, spec::MapDeleteElemAttr& a);
Result<i64> handle(CommandContext& c, spec::MapGetNextKeyAttr& a);
Result<i64> handle(CommandContext& c, spec::MapLookupAndDeleteElemAttr& a);
Result<i64> handle(CommandContext& c, spec::MapLookupBatchAttr& a);
Result<i64> handle(CommandContext& c, spec::MapLookupAndDeleteBatchAttr& a);
Result<i64> handle(CommandContext& c, spec::MapUpdateBatchAttr& a);
Result<i64> handle(CommandContext& c, spec::MapDeleteBatchAttr& a);
Result<i64> handle(CommandContext& c, spec::MapFreezeAttr& a);
Result<i64> handle(CommandContext& c, spec::MapMemoryAttr& a);
Result<i64> handle(CommandContext& c, spec::RingMapAttr& a);
Result<i64> handle(CommandContext& c, spec::RingWaitAttr& a);

Result<i64> handle(CommandContext& c, spec::ProgInstallAttr& a);
Result<i64> handle(CommandContext& c, spec::ProgTestRunAttr& a);
Result<i64> handle(CommandContext& c, spec::ProgBindMapAttr& a);

Result<i64> handle(CommandContext& c, spec::ProgAttachAttr& a);
Result<i64> handle(CommandContext& c, spec::ProgDetachAttr& a);
Result<i64> handle(CommandContext& c, spec::ProgQueryAttr& a);
Result<i64> handle(CommandContext& c, spec::LinkCreateAttr& a);
Result<i64> handle(CommandContext& c, spec::LinkUpdateAttr& a);
Result<i64> handle(CommandContext& c, spec::LinkDetachAttr& a);

Result<i64> handle(CommandContext& c, spec::HandleCloseAttr& a);
Result<i64> handle(CommandContext& c, spec::HandleDuplicateAttr& a);
Result<i64> handle(CommandContext& c, spec::HandleShapeAttr& a);
Result<i64> handle(CommandContext& c, spec::ObjPinAttr& a);
Result<i64> handle(CommandContext& c, spec::ObjGetAttr& a);
Result<i64> handle(CommandContext& c, spec::ObjUnpinAttr& a);
Result<i64> handle(CommandContext& c, spec::PinGetNextAttr& a);
Result<i64> handle(CommandContext& c, spec::MapGetNextIdAttr& a);
Result<i64> handle(CommandContext& c, spec::ProgGetNextIdAttr& a);
Result<i64> handle(CommandContext& c, spec::LinkGetNextIdAttr& a);
Result<i64> handle(CommandContext& c, spec::MapGetFdByIdAttr& a);
Result<i64> handle(CommandContext& c, spec::ProgGetFdByIdAttr& a);
Result<i64> handle(CommandContext& c, spec::LinkGetFdByIdAttr& a);
Result<i64> handle(CommandContext& c, spec::ObjGetInfoByFdAttr& a);
Result<i64> handle(CommandContext& c, spec::BtfLoadAttr& a);
Result<i64> handle(CommandContext& c, spec::BtfGetFdByIdAttr& a);
Result<i64> handle(CommandContext& c, spec::BtfGetNextIdAttr& a);
Result<i64> handle(CommandContext& c, spec::EpochSynchronizeAttr& a);
Result<i64> handle(CommandContext& c, spec::EnableStatsAttr& a);

// A reference to the object of a kind behind a handle. InvalidFd when it is no handle; for an
// object of another kind InvalidArgument, as Linux says of a descriptor of another kind.
template <typename T>
Result<Ref<T>> object(CommandContext& c, u32 handle, ObjectKind kind, const char* what) {
    TRY_ASSIGN(Ref<Object> any, c.session.object(handle));
    if (any->kind != kind) return fail(Errc::InvalidArgument, {}, what, handle);
    return Ref<T>::adopt(static_cast<T*>(any.detach()));
}
inline Result<Ref<Map>> map_of(CommandContext& c, u32 handle) {
    return object<Map>(c, handle, ObjectKind::Map, "not a map");
}
inline Result<Ref<Program>> program_of(CommandContext& c, u32 handle) {
    return object<Program>(c, handle, ObjectKind::Program, "not a program");
}
inline Result<Ref<Btf>> btf_of(CommandContext& c, u32 handle) {
    return object<Btf>(c, handle, ObjectKind::Btf, "not BTF");
}
inline Result<Ref<Link>> link_of(CommandContext& c, u32 handle) {
    return object<Link>(c, handle, ObjectKind::Link, "not a link");
}

// Whether an application may read a map's content.
Status may_read(const Map& map);

// An application's change of a map's content; the map cannot be frozen before it ends.
class [[nodiscard]] Write {
  public:
    // ReadOnly for a map that applications may not write, or no longer.
    static Result<Write> begin(Map& map);
    Write() = default;
    Write(Write&& other) noexcept : map_(other.map_) { other.map_ = nullptr; }
    Write& operator=(Write&& other) noexcept {
        std::swap(map_, other.map_);
        return *this;
    }
    ~Write() {
        if (map_ != nullptr) map_->write_gate.leave();
    }

  private:
    explicit Write(Map& map) : map_(&map) {}
    Map* map_ = nullptr;
};

// BPF_F_LOCK is for maps whose values have a lock. InvalidArgument.
Status check_lock(const Map& map, u64 flags);

// An application's look at one element, in an epoch. The map's operations have read(); with
// BPF_F_LOCK its values have a lock.
Status read_element(Map& map, const void* key, void* value, u64 flags);

// An application's update of one element, in an epoch: `value` is a handle for a map of objects.
// The map's operations have writes().
Status write_element(CommandContext& c, Map& map, const void* key, const void* value, u64 flags);

// Where a command's result of `size` bytes goes. Without an address the command is carried out all
// the same and ends with InvalidPointer, as on Linux, which copies the result out at the end; the
// result then goes into memory that is only for that.
class Output {
  public:
    static Result<Output> to(u64 address, u64 size);
    Output(Output&& other) noexcept : at_(other.at_), spare_(other.spare_) {
        other.spare_ = nullptr;
    }
    Output& operator=(Output&&) = delete;
    ~Output() { platform::release(spare_); }
    std::byte* get() const { return at_; }
    // InvalidPointer when there was no address.
    Status delivered() const;

  private:
    Output(std::byte* at, void* spare) : at_(at), spare_(spare) {}
    std::byte* at_;
    void* spare_;
};

template <typename T = void>
T* pointer(u64 address) {
    return reinterpret_cast<T*>(address);
}

// A name's characters: letters, digits, '_' and '.', ended by a NUL (kernel/bpf/syscall.c's rule).
Status check_name(const spec::ObjectName& name);

}  // namespace ebpf::runtime
