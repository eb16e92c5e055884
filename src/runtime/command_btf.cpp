// SPDX-License-Identifier: MIT
// Loading type information. Checks and their order are Linux's (kernel/bpf/btf.c, btf_parse()).
#include "runtime/btf_object.hpp"
#include "runtime/command_context.hpp"

namespace ebpf::runtime {
namespace {

Status check_log(const spec::BtfLoadAttr& a) {
    constexpr u32 kLevels = 15;
    const bool has_buffer = a.btf_log_buf != 0;
    if (has_buffer != (a.btf_log_size != 0) || (has_buffer && a.btf_log_level == 0) ||
        (a.btf_log_level & ~kLevels) != 0 || a.btf_log_size > ~u32{0} >> 2) {
        return fail(Errc::InvalidArgument, {}, "btf_log_buf, btf_log_size or btf_log_level");
    }
    return {};
}

// One line that says what is wrong with the types.
Status write_log(spec::BtfLoadAttr& a, const Error& error) {
    if (a.btf_log_level == 0) return {};
    char line[256];
    const std::size_t length = render(error, std::span(line).first(sizeof line - 1));
    line[length] = '\n';
    a.btf_log_true_size = static_cast<u32>(length) + 2;
    if (a.btf_log_size == 0) return {};
    const u32 fits = a.btf_log_size - 1 < length + 1 ? a.btf_log_size - 1 : length + 1;
    auto* const out = pointer<char>(a.btf_log_buf);
    std::memcpy(out, line, fits);
    out[fits] = '\0';
    if (fits < length + 1) return fail(Errc::OutOfSpace, {}, "btf_log_size", a.btf_log_size);
    return {};
}

}  // namespace

Result<i64> handle(CommandContext& c, spec::BtfLoadAttr& a) {
    a.btf_log_true_size = 0;
    TRY(check_log(a));
    if (a.btf == 0 && a.btf_size != 0) return fail(Errc::InvalidPointer, {}, "btf");
    const auto made = make_btf({pointer<const std::byte>(a.btf), a.btf_size});
    if (!made) {
        TRY(write_log(a, made.error()));
        return std::unexpected(made.error());
    }
    if (const Status known = c.runtime.adopt(**made); !known) {
        destroy_btf(**made);
        return std::unexpected(known.error());
    }
    const Ref<Btf> btf = Ref<Btf>::adopt(*made);
    return c.session.open(*btf);
}

}  // namespace ebpf::runtime
