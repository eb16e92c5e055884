// SPDX-License-Identifier: MIT
//
// A runtime with a session, the commands as functions, small programs from instructions, and a
// hook.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "isa/insn.hpp"
#include "runtime/runtime.hpp"
#include "spec/helpers.hpp"
#include "spec/program_types.hpp"

namespace ebpf::runtime::test {

using isa::Insn;

// --- programs -----------------------------------------------------------------------------------

Insn mov(isa::Reg dst, i32 imm);
Insn mov_reg(isa::Reg dst, isa::Reg src);
Insn add(isa::Reg dst, i32 imm);
Insn load(isa::Width width, isa::Reg dst, isa::Reg src, i16 off);
Insn store(isa::Width width, isa::Reg dst, i16 off, isa::Reg src);
Insn store_imm(isa::Width width, isa::Reg dst, i16 off, i32 imm);
Insn map_index(isa::Reg dst, u32 index);
Insn map_value(isa::Reg dst, u32 index, u32 offset);
Insn call(spec::Helper helper);
Insn call_local(i32 displacement);
Insn jeq(isa::Reg dst, i32 imm, i16 off);
Insn exit();

enum class Engine { Interpreter, Jit };

// --- a hook -------------------------------------------------------------------------------------

// Attaches anything to any target, and builds contexts of 64 bytes out of the test's data.
class Hook {
  public:
    explicit Hook(spec::ProgramType program = spec::ProgramType::Xdp,
                  spec::AttachType attach = spec::AttachType::Xdp);
    const ebpf_hook_provider_t& provider() const { return provider_; }

    const ebpf_client_dispatch_t* client = nullptr;
    std::vector<const ebpf_binding_t*> bindings;
    u32 refuse_with = 0;  // an Errc that attach returns

  private:
    ebpf_hook_provider_t provider_{};
};

// --- the runtime --------------------------------------------------------------------------------

struct MapSpec {
    spec::MapType type{};
    u32 key = 4;
    u32 value = 8;
    u32 entries = 4;
    u32 flags = 0;
    u32 inner = 0;  // a handle
};

// The rows of map_types.def that the runtime has.
std::vector<const spec::MapTypeInfo*> implemented_map_types();

class Fixture : public testing::Test {
  protected:
    void SetUp() override;
    void TearDown() override;  // also: nothing leaked

    // The command's result, or minus the Errc.
    template <typename Attr>
    i64 run(spec::Command command, Attr& attr) {
        return run_as(caller(), command, attr);
    }
    template <typename Attr>
    i64 run_as(const spec::Caller& who, spec::Command command, Attr& attr) {
        const Result<i64> result = door_(who, command, &attr);
        const std::scoped_lock lock(notes_mutex_);
        last_ = result ? Error{} : result.error();
        if (result) carried_out_.insert(command);
        return result ? *result : -static_cast<i64>(result.error().code);
    }
    static i64 failed(Errc code) { return -static_cast<i64>(code); }

    spec::Caller caller() const { return {session_, dialect_, true, spec::Inside::Addresses}; }

    i64 create(const MapSpec& map);
    // A small map, as the type's rules allow it; of a map of maps, with arrays inside.
    i64 create_some(const spec::MapTypeInfo& type);
    i64 update(i64 fd, const void* key, const void* value, u64 flags = 0);
    i64 lookup(i64 fd, const void* key, void* value);
    i64 take(i64 fd, const void* key, void* value);
    i64 remove(i64 fd, const void* key);
    i64 next_key(i64 fd, const void* key, void* next);
    i64 close(i64 fd);

    i64 install(Engine engine, const std::vector<Insn>& insns, const std::vector<i64>& maps = {},
                spec::ProgramType type = spec::ProgramType::Xdp);
    // r0 of a test run on 64 bytes of data, or minus the Errc when it failed.
    i64 test_run(i64 program, u64 first_word = 0, u32 repeat = 1);
    i64 attach(i64 program, u32 target = 1);

    void start(u32 slots);  // instead of the default
    void stop();

    std::map<i64, MapSpec> created_;  // by handle: what compilers are told
    Runtime* runtime_ = nullptr;
    spec::Door door_;
    void* session_ = nullptr;
    spec::Dialect dialect_ = spec::Dialect::Linux;
    std::mutex notes_mutex_;  // some tests run commands in several threads
    Error last_;
    std::set<spec::Command> carried_out_;
    Hook hook_;
    Hook other_hook_{spec::ProgramType::CgroupSockAddr, spec::AttachType::CgroupInet4Connect};
    std::vector<std::string> printed_;
    u64 allocations_before_ = 0;
};

}  // namespace ebpf::runtime::test
