// SPDX-License-Identifier: MIT
// bpf_program__*.
#include <cerrno>

#include "api/bpf.hpp"
#include "api/errors.hpp"
#include "api/object.hpp"
#include "spec/attach_types.hpp"
#include "spec/program_types.hpp"

using namespace ebpf;
using api::address;
using api::negative;
using api::result;

extern "C" {

const char* bpf_program__name(const struct bpf_program* prog) {
    return prog->name();
}
const char* bpf_program__section_name(const struct bpf_program* prog) {
    return prog->program.section.c_str();
}
bool bpf_program__autoload(const struct bpf_program* prog) {
    return prog->autoload;
}
int bpf_program__set_autoload(struct bpf_program* prog, bool autoload) {
    if (prog->object->loaded) return negative(EINVAL);
    prog->autoload = autoload;
    return 0;
}
const struct bpf_insn* bpf_program__insns(const struct bpf_program* prog) {
    return reinterpret_cast<const bpf_insn*>(prog->insns.data());
}
size_t bpf_program__insn_cnt(const struct bpf_program* prog) {
    return prog->insns.size() / sizeof(bpf_insn);
}
int bpf_program__fd(const struct bpf_program* prog) {
    if (!prog) return negative(EINVAL);
    return prog->fd >= 0 ? prog->fd : negative(ENOENT);
}

int bpf_program__pin(struct bpf_program* prog, const char* path) {
    if (!prog || !path) return negative(EINVAL);
    return prog->fd < 0 ? negative(EINVAL) : bpf_obj_pin(prog->fd, path);
}
int bpf_program__unpin(struct bpf_program* prog, const char* path) {
    if (!prog || !path) return negative(EINVAL);
    spec::ObjUnpinAttr attr{.pathname = address(path)};
    return result(api::bpf(spec::Command::ObjUnpin, attr));
}
void bpf_program__unload(struct bpf_program* prog) {
    if (!prog || prog->fd < 0) return;
    api::close_descriptor(prog->fd);
    prog->fd = -1;
}

// --- What it is ----------------------------------------------------------------------------------

enum bpf_prog_type bpf_program__type(const struct bpf_program* prog) {
    return static_cast<bpf_prog_type>(spec::number(spec::Dialect::Linux, prog->program.type));
}
int bpf_program__set_type(struct bpf_program* prog, enum bpf_prog_type type) {
    if (prog->object->loaded) return negative(EBUSY);
    const auto canonical = spec::program_type_from_number(spec::Dialect::Linux, type);
    if (!canonical) return negative(EINVAL);
    prog->program.type = *canonical;
    return 0;
}
enum bpf_attach_type bpf_program__expected_attach_type(const struct bpf_program* prog) {
    const i32 number = spec::number(spec::Dialect::Linux, prog->program.attach);
    return static_cast<bpf_attach_type>(number < 0 ? 0 : number);
}
int bpf_program__set_expected_attach_type(struct bpf_program* prog, enum bpf_attach_type type) {
    if (prog->object->loaded) return negative(EBUSY);
    const auto canonical = spec::attach_type_from_number(spec::Dialect::Linux, type);
    if (!canonical) return negative(EINVAL);
    prog->program.attach = *canonical;
    return 0;
}

// --- Log -----------------------------------------------------------------------------------------

__u32 bpf_program__log_level(const struct bpf_program* prog) {
    return prog->log_level;
}
int bpf_program__set_log_level(struct bpf_program* prog, __u32 log_level) {
    if (prog->object->loaded) return negative(EBUSY);
    prog->log_level = log_level;
    return 0;
}
const char* bpf_program__log_buf(const struct bpf_program* prog, size_t* log_size) {
    *log_size = prog->log_size;
    return prog->log_buf;
}
int bpf_program__set_log_buf(struct bpf_program* prog, char* log_buf, size_t log_size) {
    if ((log_size != 0) != (log_buf != nullptr) || log_size > UINT32_MAX) return negative(EINVAL);
    if (prog->object->loaded) return negative(EBUSY);
    prog->log_buf = log_buf;
    prog->log_size = log_size;
    return 0;
}

}  // extern "C"
