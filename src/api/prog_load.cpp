// SPDX-License-Identifier: MIT
#include "api/prog_load.hpp"

#include <algorithm>
#include <cstring>

#include "engine/load_program.hpp"
#include "isa/codec.hpp"
#include "spec/attach_types.hpp"
#include "spec/info_layout.hpp"
#include "spec/program_types.hpp"

namespace ebpf::api {
namespace {

constexpr u32 kKnownLogLevels =
    engine::kLogReport | engine::kLogVerbose | engine::kLogStats | engine::kLogFixed;
constexpr u32 kMaxLog = ~u32{0} >> 2;  // Linux's
constexpr size_t kMaxLicense = 128;    // Linux's

Status check_log(const spec::ProgLoadAttr& attr) {
    const bool has_buffer = attr.log_buf != 0;
    if (has_buffer != (attr.log_size != 0))
        return fail(Errc::InvalidArgument, {}, "log_buf and log_size");
    if (has_buffer && !attr.log_level) return fail(Errc::InvalidArgument, {}, "log_level");
    if (attr.log_level & ~kKnownLogLevels) {
        return fail(Errc::InvalidArgument, {}, "log_level", attr.log_level);
    }
    if (attr.log_size > kMaxLog) return fail(Errc::InvalidArgument, {}, "log_size", attr.log_size);
    return {};
}

// What a program of a type that we have cannot have, and what would be ignored in silence.
Status check_unused(const spec::ProgLoadAttr& attr) {
    if (attr.attach_btf_id || attr.attach_prog_fd)
        return fail(Errc::InvalidArgument, {}, "attach_btf_id or attach_prog_fd");
    if (attr.prog_ifindex) return fail(Errc::NotSupported, {}, "prog_ifindex", attr.prog_ifindex);
    return {};
}

// Records of an array that belongs to the application.
Status copy_records(std::vector<std::byte>& to, u64 from, u32 count, u32 size, u32 insn_cnt) {
    constexpr u32 kMaxRecord = 252;  // Linux: MAX_FUNCINFO_REC_SIZE
    if (count == 0) return {};
    // At most one for each slot, since their offsets ascend.
    if (count > insn_cnt || size > kMaxRecord)
        return fail(Errc::InvalidArgument, {}, "func_info or line_info", count);
    if (from == 0) return fail(Errc::InvalidPointer, {}, "func_info or line_info");
    const auto* bytes = reinterpret_cast<const std::byte*>(from);
    to.assign(bytes, bytes + u64{count} * size);
    return {};
}

// The bytes of a type information object.
Result<std::vector<std::byte>> btf_bytes(const Session& session, u32 handle) {
    constexpr u32 kBtf = 4;  // HandleShapeAttr::kind
    spec::HandleShapeAttr shape{.fd = handle};
    TRY(session.door(session.caller, spec::Command::HandleShape, &shape));
    if (shape.kind != kBtf) return fail(Errc::InvalidArgument, {}, "prog_btf_fd");
    spec::Caller caller = session.caller;
    caller.dialect = spec::Dialect::Linux;  // whose layout this is
    spec::linux_abi::BtfInfo info{};
    std::vector<std::byte> bytes;
    for (int round = 0; round < 2; ++round) {  // the size, then the bytes
        bytes.resize(info.btf_size);
        info = {.btf = reinterpret_cast<u64>(bytes.data()),
                .btf_size = static_cast<u32>(bytes.size())};
        spec::ObjGetInfoByFdAttr ask{
            .bpf_fd = handle, .info_len = sizeof info, .info = reinterpret_cast<u64>(&info)};
        TRY(session.door(caller, spec::Command::ObjGetInfoByFd, &ask));
    }
    return bytes;
}

// What the program says about its functions and lines. As on Linux, nobody looks at the descriptor
// without records.
Status take_btf(const Session& session, const spec::ProgLoadAttr& attr,
                engine::LoadRequest& request) {
    if (attr.func_info_cnt == 0 && attr.line_info_cnt == 0) return {};
    TRY_ASSIGN(request.btf_handle, session.descriptors->handle(static_cast<i32>(attr.prog_btf_fd)));
    engine::ProgramBtf& btf = request.job.btf;
    TRY_ASSIGN(btf.types, btf_bytes(session, request.btf_handle));
    btf.func_info_rec_size = attr.func_info_rec_size;
    btf.line_info_rec_size = attr.line_info_rec_size;
    TRY(copy_records(btf.func_info, attr.func_info, attr.func_info_cnt, attr.func_info_rec_size,
                     attr.insn_cnt));
    return copy_records(btf.line_info, attr.line_info, attr.line_info_cnt, attr.line_info_rec_size,
                        attr.insn_cnt);
}

// Descriptors of instructions, directly or through fd_array.
struct ProgramDescriptors {
    Session& session;
    const i32* fd_array;

    static Result<u32> resolve(void* self, i32 number, bool from_fd_array) {
        const auto& here = *static_cast<ProgramDescriptors*>(self);
        if (!from_fd_array) return here.session.descriptors->handle(number);
        if (!here.fd_array) return fail(Errc::InvalidPointer, {}, "fd_array");
        if (number < 0) return fail(Errc::InvalidArgument, {}, "index into fd_array");
        return here.session.descriptors->handle(here.fd_array[number]);
    }
};

Result<engine::LoadRequest> request_of(Session& session, const spec::ProgLoadAttr& attr) {
    if (attr.insn_cnt == 0 || attr.insn_cnt > isa::kMaxSlots) {
        return fail(Errc::TooLarge, {}, "insn_cnt", attr.insn_cnt);
    }
    if (!attr.insns) return fail(Errc::InvalidPointer, {}, "insns");
    if (!attr.license) return fail(Errc::InvalidPointer, {}, "license");
    TRY(check_unused(attr));
    const spec::Dialect dialect = session.caller.dialect;
    const auto type = spec::program_type_from_number(dialect, attr.prog_type);
    if (!type) return fail(Errc::InvalidArgument, {}, "prog_type", attr.prog_type);

    engine::LoadRequest request;
    engine::CompileJob& job = request.job;
    const auto* slots = reinterpret_cast<const std::byte*>(attr.insns);
    job.slots.assign(slots, slots + size_t{attr.insn_cnt} * sizeof(isa::Slot));
    job.dialect = dialect;
    job.type = *type;
    const auto attach = spec::expected_attach_type(dialect, *type, attr.expected_attach_type);
    if (!attach)
        return fail(Errc::InvalidArgument, {}, "expected_attach_type", attr.expected_attach_type);
    job.attach = *attach;
    job.name.assign(attr.prog_name.data(), strnlen(attr.prog_name.data(), attr.prog_name.size()));
    if (job.name.size() == attr.prog_name.size())
        return fail(Errc::InvalidArgument, {}, "prog_name");
    const char* license = reinterpret_cast<const char*>(attr.license);
    job.license.assign(license, strnlen(license, kMaxLicense));
    request.flags = attr.prog_flags;
    request.log_level = attr.log_level;

    TRY(take_btf(session, attr, request));
    ProgramDescriptors descriptors{session, reinterpret_cast<const i32*>(attr.fd_array)};
    TRY_ASSIGN(request.map_handles, engine::link_maps(job, session.door, session.caller,
                                                      {.self = &descriptors,
                                                       .handle_of = &ProgramDescriptors::resolve}));
    return request;
}

}  // namespace

Status write_log(char* buffer, u32 size, const std::string& log, u32 level) {
    if (!buffer || size == 0) return {};
    const size_t fits = std::min<size_t>(log.size(), size - 1);
    const size_t from = (level & engine::kLogFixed) ? 0 : log.size() - fits;
    std::memcpy(buffer, log.data() + from, fits);
    buffer[fits] = '\0';
    return fits == log.size() ? Status{} : fail(Errc::OutOfSpace, {}, "log buffer", log.size() + 1);
}

Result<i64> prog_load(Session& session, spec::ProgLoadAttr& attr) {
    TRY(check_log(attr));
    std::string log;
    const auto loaded = [&]() -> Result<engine::Loaded> {
        TRY_ASSIGN(engine::LoadRequest request, request_of(session, attr));
        return engine::load_program(*session.service, session.caller, std::move(request), log);
    }();
    if (!attr.log_level) log.clear();
    attr.log_true_size = log.empty() ? 0 : static_cast<u32>(log.size() + 1);
    const Status written =
        write_log(reinterpret_cast<char*>(attr.log_buf), attr.log_size, log, attr.log_level);
    // As on Linux, that the log did not fit is what the caller hears, whatever the verdict.
    if (written && !loaded) return std::unexpected(loaded.error());
    if (!written && loaded) {
        spec::HandleCloseAttr close{.fd = loaded->handle};
        (void)session.door(session.caller, spec::Command::HandleClose, &close);
    }
    if (!written) return std::unexpected(written.error());
    return i64{loaded->handle};
}

}  // namespace ebpf::api
