// SPDX-License-Identifier: MIT
//
// Machine code for AArch64, run by a small program for that CPU (a64_runner.c) under qemu-aarch64.
// One emulator serves the whole test program. Helpers are called back over its pipes: they run
// here, so that they see numbers, not the emulated program's memory.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <utility>

#include "engine.hpp"
#include "jit/jit.hpp"
#include "spec/helpers.hpp"

namespace ebpf::engines {
namespace {

using isa::Insn;

static_assert(sizeof(code::Invocation) == 112, "a64_runner.c has it too");

class Emulator {
  public:
    Emulator() {
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return;
        child_ = fork();
        if (child_ == 0) {
            dup2(pair[1], 0);
            dup2(pair[1], 1);
            execl(QEMU_AARCH64, "qemu-aarch64", A64_RUNNER, nullptr);
            _exit(127);
        }
        close(pair[1]);
        socket_ = pair[0];
    }
    ~Emulator() {
        if (socket_ < 0) return;
        close(socket_);  // its input ends, and so does it
        waitpid(child_, nullptr, 0);
    }
    Emulator(const Emulator&) = delete;
    Emulator& operator=(const Emulator&) = delete;

    bool send(const void* data, std::size_t size) {
        const auto* at = static_cast<const std::byte*>(data);
        while (size > 0) {
            const ssize_t n = ::send(socket_, at, size, MSG_NOSIGNAL);
            if (n <= 0) return false;
            at += n;
            size -= static_cast<std::size_t>(n);
        }
        return true;
    }
    bool receive(void* data, std::size_t size) {
        return size == 0 || recv(socket_, data, size, MSG_WAITALL) == static_cast<ssize_t>(size);
    }

  private:
    pid_t child_ = -1;
    int socket_ = -1;
};

class AArch64Engine : public Engine {
  public:
    AArch64Engine(std::string name, const jit::Options& options)
        : name_(std::move(name)), options_(options) {}
    std::string name() const override { return name_; }
    bool limits_call_depth() const override { return true; }
    u64 random_programs() const override { return 1000; }

    Result<u64> run(Bytes slots, MutableBytes memory, const Helpers& helpers) override {
        Result<ir::Program> program = ir::decode_program(slots);
        if (!program && program.error().code == Errc::BadJumpTarget)
            program.error().code = Errc::Unsupported;  // as in jit_engine.cpp
        if (!program) return std::unexpected(program.error());
        for (isa::Insn& insn : program->insns) {
            const bool helper =
                insn.form == isa::Form::Call && insn.call() == isa::CallKind::Helper;
            if (helper) insn.imm |= code::kCustomHelper;
        }
        const jit::Target target{.cpu = code::Cpu::AArch64,
                                 .convention = jit::CallingConvention::Aapcs64};
        TRY_ASSIGN(const jit::Output output, jit::compile(*program, {}, target, options_));
        TRY(code::validate(output.view(0)));
        return emulate(output, memory, helpers);
    }

    // Machine code as it is; the values of arrays stand where the code begins, the slots of arrays
    // of maps are its last kObjects words. A map's own lookup is the helper of the map's number.
    static Result<u64> run(const jit::Output& output, MutableBytes memory,
                           const Helpers& helpers = {}) {
        return emulate(output, memory, helpers);
    }
    static constexpr u32 kObjects = 3;
    static constexpr u32 kSlot = 3;  // of the invocation: a64_runner.c

  private:
    static constexpr std::size_t kHelpers = 8;  // a64_runner.c

    static Result<u64> emulate(const jit::Output& output, MutableBytes memory,
                               const Helpers& helpers) {
        static Emulator emulator;
        std::vector<code::HelperFn> called;
        std::vector<u64> relocations;
        for (const code::Relocation& r : output.relocations) {
            const auto found = helpers.find(r.index & ~code::kCustomHelper);
            if (r.kind == code::RelocKind::Function64) {
                relocations.insert(relocations.end(), {r.offset, 1, r.addend});
            } else if (r.kind == code::RelocKind::ArrayValues64) {
                relocations.insert(relocations.end(), {r.offset, 1, 0});
            } else if (r.kind == code::RelocKind::ObjectSlots64) {
                relocations.insert(relocations.end(),
                                   {r.offset, 1, output.text.size() - kObjects * sizeof(u64)});
            } else if (r.kind == code::RelocKind::Map64) {
                relocations.insert(relocations.end(), {r.offset, 2, 0});
            } else if (found != helpers.end()) {
                relocations.insert(relocations.end(), {r.offset, 0, called.size()});
                called.push_back(found->second);
            } else if (r.kind == code::RelocKind::HelperOrNull64) {
                relocations.insert(relocations.end(), {r.offset, 2, 0});
            } else {
                return fail(Errc::UnresolvedSymbol, {}, "helper", r.index);
            }
        }
        if (called.size() > kHelpers) return fail(Errc::Unsupported, {}, "so many helpers");
        const u64 request[] = {output.text.size(), output.entry, relocations.size() / 3,
                               memory.size(), ~u64{0}};
        if (!emulator.send(request, sizeof request) ||
            !emulator.send(output.text.data(), output.text.size()) ||
            !emulator.send(relocations.data(), relocations.size() * sizeof(u64)) ||
            !emulator.send(memory.data(), memory.size())) {
            return fail(Errc::Failed, {}, "the emulator is gone");
        }
        return answer(emulator, memory, called);
    }

    static Result<u64> answer(Emulator& emulator, MutableBytes memory,
                              const std::vector<code::HelperFn>& called) {
        for (;;) {
            std::array<u64, 2> head{};
            if (!emulator.receive(head.data(), sizeof head))
                return fail(Errc::Failed, {}, "the emulated program crashed");
            if (head[0] == 'H') {
                std::array<u64, 6> args{};
                if (!emulator.receive(args.data(), sizeof args) || head[1] >= called.size())
                    return fail(Errc::Failed, {}, "the emulated program crashed");
                const u64 r0 = called[head[1]](args[0], args[1], args[2], args[3], args[4],
                                               reinterpret_cast<code::Invocation*>(args[5]));
                if (!emulator.send(&r0, sizeof r0)) return fail(Errc::Failed);
                continue;
            }
            std::array<u64, 4> tail{};  // fault, registers that changed, fuel, the memory's address
            if (!emulator.receive(tail.data(), sizeof tail) ||
                !emulator.receive(memory.data(), memory.size())) {
                return fail(Errc::Failed, {}, "the emulated program crashed");
            }
            if (tail[1] != 0) return fail(Errc::Failed, {}, "saved registers changed", tail[1]);
            TRY(code::fault_status(tail[0]));
            // The memory's address there stands for its address here.
            const u64 offset = head[1] - tail[3];
            if (!memory.empty() && offset < memory.size())
                return reinterpret_cast<u64>(memory.data()) + offset;
            return head[1];
        }
    }

    std::string name_;
    jit::Options options_;
};

Insn mov(isa::Reg dst, isa::Reg src) {
    return {.form = isa::Form::AluReg,
            .kind = static_cast<u8>(isa::AluOp::Mov),
            .width = isa::Width::W64,
            .dst = dst,
            .src = src};
}

// The distance from an array's value at a constant key to the value of a map like it, but for the
// type, at the key in memory, plus 1; or 0 where there is none.
ir::Program distance_program(u32 entries, u32 value_size,
                             spec::MapType type = spec::MapType::Array) {
    const Insn map{
        .form = isa::Form::Wide, .kind = static_cast<u8>(isa::WideKind::MapIndex), .dst = 1};
    Insn array = map;
    array.imm = 1;
    const Insn lookup{.form = isa::Form::Call,
                      .imm = static_cast<i64>(spec::Helper::map_lookup_elem)};
    Insn none{.form = isa::Form::JmpImm, .kind = static_cast<u8>(isa::Cond::Eq)};
    none.off = 8;
    Insn subtract = mov(6, 0), increment{.form = isa::Form::AluImm, .width = isa::Width::W64};
    subtract.kind = static_cast<u8>(isa::AluOp::Sub);
    increment.kind = static_cast<u8>(isa::AluOp::Add);
    increment.imm = 1;
    ir::Program program;
    program.insns = {mov(2, 1),
                     mov(7, 1),
                     map,
                     lookup,
                     none,
                     mov(6, 0),
                     array,
                     mov(2, 7),
                     lookup,
                     subtract,
                     mov(0, 6),
                     increment,
                     {.form = isa::Form::Exit}};
    for (const spec::MapType each : {type, spec::MapType::Array}) {
        program.maps.push_back({.name = {},
                                .type = each,
                                .key_size = 4,
                                .value_size = value_size,
                                .max_entries = entries,
                                .initial = {}});
    }
    EXPECT_TRUE(ir::resolve_control_flow(program));
    return program;
}

constexpr jit::Target kTarget{.cpu = code::Cpu::AArch64,
                              .convention = jit::CallingConvention::Aapcs64};

TEST(AArch64, LooksUpInArrays) {
    for (const u32 entries : {1u, 2u, 4096u, 70000u, 0x7FFF'FFFFu, ~u32{0}}) {
        for (const u32 size : {1u, 8u, 12u, 24u, 4096u, 70000u, 0x7FFF'FFF8u}) {
            const ir::Program program = distance_program(entries, size);
            ir::Facts facts;
            facts.insns.assign(program.insns.size(), {.reachable = true});
            facts.insns[3].constant_map = 0;
            facts.insns[8].constant_map = 1;
            facts.insns[8].constant_key = true;
            const u64 origin = entries > 1 ? 1 : 0;
            facts.insns[8].key = static_cast<u32>(origin);
            const auto output = jit::compile(program, facts, kTarget);
            ASSERT_TRUE(output);
            ASSERT_TRUE(code::validate(output->view(0)));
            for (const u32 key : {0u, 1u, 2u, 4095u, 69999u, 70000u, 0x7FFF'FFFEu, ~u32{0}}) {
                std::array<u32, 2> memory{key, ~u32{0}};
                const auto r0 =
                    AArch64Engine::run(*output, std::as_writable_bytes(std::span(memory)));
                ASSERT_TRUE(r0);
                const u64 stride = (u64{size} + 7) / 8 * 8;
                EXPECT_EQ(*r0, key < entries ? (key - origin) * stride + 1 : 0)
                    << entries << " " << size;
            }
        }
    }
}

TEST(AArch64, LooksUpInPercpuArrays) {
    for (const u32 entries : {1u, 3u, 70000u}) {
        for (const bool constant : {false, true}) {
            const ir::Program program = distance_program(entries, 12, spec::MapType::PercpuArray);
            ir::Facts facts;
            facts.insns.assign(program.insns.size(), {.reachable = true});
            facts.insns[3].constant_map = 0;
            facts.insns[8].constant_map = 1;
            facts.insns[8].constant_key = true;  // 0
            facts.insns[3].constant_key = constant;
            facts.insns[3].key = entries - 1;
            const auto output = jit::compile(program, facts, kTarget);
            ASSERT_TRUE(output);
            ASSERT_TRUE(code::validate(output->view(0)));
            for (const u32 key : {0u, entries - 1, entries, ~u32{0}}) {
                if (constant && key != entries - 1) continue;
                std::array<u32, 2> memory{key, ~u32{0}};
                const auto r0 =
                    AArch64Engine::run(*output, std::as_writable_bytes(std::span(memory)));
                ASSERT_TRUE(r0);
                const u64 block = (u64{entries} * 16 + 63) / 64 * 64;
                EXPECT_EQ(*r0, key < entries ? AArch64Engine::kSlot * block + key * 16 + 1 : 0);
            }
        }
    }
}

// r0 = lookup(map 0, r1).
ir::Program lookup_program(spec::MapType type) {
    ir::Program program;
    program.insns = {
        mov(2, 1),
        {.form = isa::Form::Wide, .kind = static_cast<u8>(isa::WideKind::MapIndex), .dst = 1},
        {.form = isa::Form::Call, .imm = static_cast<i64>(spec::Helper::map_lookup_elem)},
        {.form = isa::Form::Exit}};
    program.maps.push_back({.name = {},
                            .type = type,
                            .key_size = 4,
                            .value_size = 4,
                            .max_entries = AArch64Engine::kObjects - 1,
                            .initial = {}});
    EXPECT_TRUE(ir::resolve_control_flow(program));
    return program;
}

ir::Facts facts_of_lookup() {
    ir::Facts facts;
    facts.insns.assign(4, {.reachable = true});
    facts.insns[2].constant_map = 0;
    return facts;
}

TEST(AArch64, LoadsFromArraysOfMaps) {
    const ir::Program program = lookup_program(spec::MapType::ArrayOfMaps);
    auto output = jit::compile(program, facts_of_lookup(), kTarget);
    ASSERT_TRUE(output);
    ASSERT_TRUE(code::validate(output->view(0)));
    output->text.resize((output->text.size() + 7) / 8 * 8);
    constexpr u64 kWords[] = {AArch64Engine::kObjects - 1, 0, 1022, 1033};  // the last is not in it
    const Bytes words = std::as_bytes(std::span(kWords));
    output->text.insert(output->text.end(), words.begin(), words.end());
    for (const u32 key : {0u, 1u, 2u, 0x8000'0000u, ~u32{0}}) {
        std::array<u32, 2> memory{key, ~u32{0}};
        const auto r0 = AArch64Engine::run(*output, std::as_writable_bytes(std::span(memory)));
        ASSERT_TRUE(r0);
        EXPECT_EQ(*r0, key == 1 ? 1022u : 0u) << key;
    }
}

TEST(AArch64, CallsTheMapsOwnLookup) {
    const ir::Program program = lookup_program(spec::MapType::Hash);
    for (const jit::Options& options :
         {jit::Options{}, jit::Options{.level = jit::Level::Optimise},
          jit::Options{.blind_constants = true, .blinding_seed = 5}}) {
        const auto output = jit::compile(program, facts_of_lookup(), kTarget, options);
        ASSERT_TRUE(output);
        ASSERT_TRUE(code::validate(output->view(0)));
        std::array<u32, 2> memory{};
        const Helpers helpers = {
            {0, [](u64 map, u64 key, u64 slot, u64, u64, code::Invocation*) -> u64 {
                 return map == 0 && key != 0 ? 500 + slot : 0;
             }}};
        const auto r0 =
            AArch64Engine::run(*output, std::as_writable_bytes(std::span(memory)), helpers);
        ASSERT_TRUE(r0);
        EXPECT_EQ(*r0, 500 + AArch64Engine::kSlot);
    }
}

// The 16 bits that each instruction puts into a register.
std::vector<u32> constants_in(const jit::Output& output) {
    std::vector<u32> constants;
    for (std::size_t at = 0; at + 4 <= output.text.size(); at += 4) {
        u32 word = 0;
        std::memcpy(&word, output.text.data() + at, sizeof word);
        if ((word & 0x1F80'0000) == 0x1280'0000) constants.push_back(word >> 5 & 0xFFFF);
    }
    return constants;
}

TEST(AArch64, BlindsConstants) {
    constexpr i64 kConstant = 0x1234'5ABC;
    const auto with_imm = [](isa::Form form, u8 kind) {
        return Insn{.form = form, .kind = kind, .width = isa::Width::W64, .imm = kConstant};
    };
    ir::Program program;
    for (const isa::AluOp op : {isa::AluOp::Mov, isa::AluOp::Add, isa::AluOp::And, isa::AluOp::Mul})
        program.insns.push_back(with_imm(isa::Form::AluImm, static_cast<u8>(op)));
    Insn store = with_imm(isa::Form::StoreImm, 0), jump = with_imm(isa::Form::JmpImm, 0);
    store.dst = isa::kFramePointer;
    store.off = -8;
    jump.off = 2;  // over a two-slot instruction
    program.insns.insert(program.insns.end(),
                         {store, jump, with_imm(isa::Form::Wide, 0), {.form = isa::Form::Exit}});
    ASSERT_TRUE(ir::resolve_control_flow(program));
    const jit::Target target{.cpu = code::Cpu::AArch64,
                             .convention = jit::CallingConvention::Aapcs64};
    for (const bool blinded : {false, true}) {
        const auto output = jit::compile(program, {}, target,
                                         {.blind_constants = blinded, .blinding_seed = 0x5EED});
        ASSERT_TRUE(output);
        u32 found = 0;
        for (const u32 constant : constants_in(*output))
            found += constant == (kConstant & 0xFFFF) || constant == kConstant >> 16;
        EXPECT_EQ(found != 0, !blinded) << found;
    }
}

const bool kRegistered =
    register_engine(std::make_unique<AArch64Engine>("jit_aarch64", jit::Options{})) &&
    register_engine(std::make_unique<AArch64Engine>("jit_aarch64_optimised",
                                                    jit::Options{.level = jit::Level::Optimise})) &&
    register_engine(std::make_unique<AArch64Engine>(
        "jit_aarch64_limited", jit::Options{.metered = true, .cancellable = true})) &&
    register_engine(std::make_unique<AArch64Engine>(
        "jit_aarch64_blinded",
        jit::Options{.blind_constants = true, .blinding_seed = 0x1234'5678'9abc'def0}));

}  // namespace
}  // namespace ebpf::engines
