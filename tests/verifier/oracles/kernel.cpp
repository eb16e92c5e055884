// SPDX-License-Identifier: MIT
#include "oracles/kernel.hpp"

#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <sstream>

#include "spec/map_types.hpp"
#include "spec/program_types.hpp"

namespace ebpf::verifier::oracle {
namespace {

long bpf_call(int command, bpf_attr& attr) {
    return syscall(SYS_bpf, command, &attr, sizeof attr);
}

u64 address(const void* p) {
    return reinterpret_cast<u64>(p);
}

std::string last_line(const char* log) {
    std::istringstream lines(log);
    std::string line, last = std::strerror(errno);
    while (std::getline(lines, line))
        if (!line.empty() && !line.starts_with("processed ")) last = line;
    return last;
}

// `static int f(void)`, type 3: what every function is said to be; callbacks need one.
int load_btf() {
    struct {
        u16 magic = 0xeb9f;
        u8 version = 1, flags = 0;
        u32 header = 24, types_at = 0, types_size = 40, strings_at = 40, strings_size = 7;
        u32 types[10] = {1, 1u << 24, 4, 1u << 24 | 32, 0, 13u << 24, 1, 5, 12u << 24, 2};
        char strings[7] = {0, 'i', 'n', 't', 0, 'f', 0};
    } blob;
    bpf_attr a{};
    a.btf = address(&blob);
    a.btf_size = 24 + 40 + 7;
    return static_cast<int>(bpf_call(BPF_BTF_LOAD, a));
}

}  // namespace

Kernel::Kernel(const std::vector<ir::MapDef>& maps) : btf_(load_btf()), maps_(maps.size(), -1) {
    for (const bool nested : {false, true}) {
        for (std::size_t i = 0; i < maps.size(); ++i)
            if ((maps[i].inner >= 0) == nested) maps_[i] = create(maps[i]);
    }
}

Kernel::~Kernel() {
    close(btf_);
    for (const int fd : maps_) close(fd);
}

Answer Kernel::load(const ir::Program& program, const char* license, u32 attach,
                    u32 log_level) const {
    ir::Program p = program;
    for (isa::Insn& i : p.insns) {
        if (i.form != isa::Form::Wide) continue;
        const bool value = i.wide() == isa::WideKind::MapIndexValue;
        if (!value && i.wide() != isa::WideKind::MapIndex) continue;
        i.imm = static_cast<i64>(u64{value ? i.map_value_offset() : 0} << 32 |
                                 static_cast<u32>(maps_[i.map_index()]));
        i.kind = static_cast<u8>(value ? isa::WideKind::MapFdValue : isa::WideKind::MapFd);
    }
    const auto bytes = ir::encode_program(p);
    if (!bytes) return {.reason = kNoInstruction};
    struct Function {
        u32 slot, type;
    };
    std::vector<Function> functions;
    for (const ir::Subprogram& s : p.subprograms) functions.push_back({p.slot_of[s.begin], 3});
    constexpr u32 kLogSize = 1u << 22;
    const auto log = std::make_unique_for_overwrite<char[]>(kLogSize);  // filling it takes longer
    log[0] = '\0';
    bpf_attr a{};
    a.prog_type = static_cast<u32>(spec::number(spec::Dialect::Linux, program.type));
    a.expected_attach_type = attach;
    a.insns = address(bytes->data());
    a.insn_cnt = static_cast<u32>(bytes->size() / 8);
    a.license = address(license);
    a.kern_version = 6u << 16;
    a.prog_btf_fd = static_cast<u32>(btf_);
    a.func_info = address(functions.data());
    a.func_info_rec_size = sizeof(Function);
    a.func_info_cnt = static_cast<u32>(functions.size());
    int fd = log_level == 0 ? static_cast<int>(bpf_call(BPF_PROG_LOAD, a)) : -1;
    if (fd < 0) {  // again with the log, which costs
        a.log_buf = address(log.get());
        a.log_size = kLogSize;
        a.log_level = std::max(log_level, 1u);
        fd = static_cast<int>(bpf_call(BPF_PROG_LOAD, a));
    }
    if (fd >= 0) {
        close(fd);
        return {.accepted = true, .reason = "", .log = log.get()};
    }
    return {.reason = last_line(log.get()), .log = log.get()};
}

int Kernel::create(const ir::MapDef& m) const {
    bpf_attr a{};
    a.map_type = static_cast<u32>(spec::number(spec::Dialect::Linux, m.type));
    a.key_size = m.key_size;
    a.value_size = m.value_size;
    a.max_entries = m.type == spec::MapType::PerfEventArray ? 1 : std::min(m.max_entries, 65536u);
    a.map_flags = m.flags | (m.read_only ? BPF_F_RDONLY_PROG : 0);
    if (m.inner >= 0) a.inner_map_fd = static_cast<u32>(maps_[static_cast<u32>(m.inner)]);
    const int fd = static_cast<int>(bpf_call(BPF_MAP_CREATE, a));
    if (fd < 0 || !m.is_data_section || !m.frozen) return fd;
    std::vector<std::byte> value = m.initial;
    value.resize(m.value_size);
    const u32 key = 0;
    bpf_attr update{}, freeze{};
    update.map_fd = freeze.map_fd = static_cast<u32>(fd);
    update.key = address(&key);
    update.value = address(value.data());
    bpf_call(BPF_MAP_UPDATE_ELEM, update);
    bpf_call(BPF_MAP_FREEZE, freeze);
    return fd;
}

}  // namespace ebpf::verifier::oracle
