// SPDX-License-Identifier: MIT
#include "products/ebpfcore/files.hpp"

namespace ebpf::products {
namespace {

// Handles of Windows have 32 significant bits, and their sign ("Interprocess communication between
// 32-bit and 64-bit applications", Microsoft).
void* handle_from(u32 number) {
    return reinterpret_cast<void*>(static_cast<i64>(static_cast<i32>(number)));
}

// Who was given less than both was not given the object.
constexpr u32 kAccess = wdk::kFileReadData | wdk::kFileWriteData;

}  // namespace

Files::~Files() {
    for (u32 i = 0; i < held_.size(); ++i) platform::ddk::ObfDereferenceObject(held_[i]);
}

Result<u32> Files::handle_of(u32 number) {
    if (number != 0 && number == shaped_) return shaped_handle_;
    void* referenced = nullptr;
    // As from user mode: rights are checked, and the kernel's own handles are none.
    const wdk::NtStatus status =
        wdk::ObReferenceObjectByHandle(handle_from(number), kAccess, wdk::IoFileObjectType,
                                       platform::ddk::kUserMode, &referenced, nullptr);
    if (status == wdk::kInvalidHandle) return fail(Errc::InvalidFd, {}, "handle", number);
    if (!platform::ddk::succeeded(status)) {
        return fail(Errc::InvalidArgument, {}, "not a file of ours", number);
    }
    auto* const file = static_cast<wdk::FileObject*>(referenced);
    const bool ours = file->device == context_.devices[0] || file->device == context_.devices[1];
    const u32 object = ours && file->context ? static_cast<File*>(file->context)->object() : 0;
    const Status kept = object != 0 ? held_.insert(held_.size(), file)
                                    : fail(Errc::InvalidArgument, {}, "not an object", number);
    if (kept) return object;
    platform::ddk::ObfDereferenceObject(file);
    return std::unexpected(kept.error());
}

Result<wire::Shape> Files::shape_of(u32 number) {
    TRY_ASSIGN(const u32 handle, handle_of(number));
    shaped_ = number;
    shaped_handle_ = handle;
    wire::Shape shape{.fd = handle};
    TRY(context_.door({context_.session, {}, false}, spec::Command::HandleShape, &shape));
    return shape;
}

wire::Shapes Files::shapes() {
    return {this,
            [](void* self, u32 number) { return static_cast<Files*>(self)->shape_of(number); }};
}

void Files::translate(wire::Request& request) {
    const spec::CommandInfo& command = *request.plan.command;
    void* const attr = request.attr.data();
    const wire::Descriptors known{
        this, [](void* self, i32 number) {
            return static_cast<Files*>(self)->handle_of(static_cast<u32>(number));
        }};
    wire::translate_fields(command, attr, known);
    wire::translate_array(command, attr, known);
    wire::Shape shape{.fd = wire::map_handle(command, attr)};
    const spec::Caller driver{context_.session, {}, false};
    if (!wire::may_have_handles(command) ||
        !context_.door(driver, spec::Command::HandleShape, &shape)) {
        return;
    }
    // The values lie in our copy of the message, at a multiple of 8, and their size was checked.
    const u64 count = wire::values_with_handles(command, attr, shape);
    if (count == 0) return;
    wire::translate_values(command, attr, {wire::values_at(command, attr), count}, known);
}

}  // namespace ebpf::products
