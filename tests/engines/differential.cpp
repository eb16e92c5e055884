// SPDX-License-Identifier: MIT
#include "differential.hpp"

#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>
#include <sstream>

#include "data_file.hpp"
#include "differential_parts.hpp"
#include "isa/codec.hpp"
#include "isa/table.hpp"
#include "isa/text/text.hpp"
#include "placed.hpp"
#include "random_program.hpp"
#include "spec/program_types.hpp"
#include "verifier/verifier.hpp"

namespace ebpf::engines {
namespace {

using isa::Form;
using isa::Insn;

// What decides whether two runs were the same.
struct Outcome {
    u64 r0 = 0;
    u64 fault = 0;
    std::vector<std::byte> memory;
    std::array<u64, kRandomMapSize> map{};
    friend bool operator==(const Outcome&, const Outcome&) = default;
};

constexpr u64 kFuel = 200'000;  // ends what mutation made long

// One program, ready for both engines.
class Pair {
  public:
    Pair(std::vector<std::byte> slots, std::vector<std::byte> memory)
        : slots_(std::move(slots)), memory_(std::move(memory)) {}

    std::optional<std::string> compare(const ir::Facts& facts, const Variant& variant) {
        Outcome expected, got;
        if (auto problem = interpret(slots_, expected)) return problem;
        if (expected.fault == static_cast<u64>(code::Fault::OutOfFuel)) return {};
        if (variant.passes) {
            if (auto problem = interpret_transformed(facts, variant, got)) return problem;
            if (expected != got) return text("the transformed program differs");
        }
        if (auto problem = run_machine_code(facts, variant, got)) return problem;
        if (expected == got) return {};
        return text(expected.r0 != got.r0           ? "r0 differs"
                    : expected.memory != got.memory ? "memory differs"
                    : expected.map != got.map       ? "the map differs"
                                                    : "the end differs");
    }

  private:
    std::string text(const char* what) const {
        const auto listing = isa::text::disassemble(slots_, isa::text::Dialect::Llvm);
        return std::string(what) + "\n" + listing.value_or("");
    }

    std::optional<std::string> interpret_transformed(const ir::Facts& facts, const Variant& variant,
                                                     Outcome& outcome) {
        const Result<ir::Program> program = ir::decode_program(slots_);
        if (!program) return text("ir refuses");
        const auto transformed =
            jit::optimise(*program, facts, {}, variant.options, variant.passes.value());
        if (!transformed) return text("a pass refuses");
        const auto slots = ir::encode_program(transformed->program);
        if (!slots) return text("the transformed program has no encoding");
        return interpret(*slots, outcome);
    }

    std::optional<std::string> interpret(const std::vector<std::byte>& slots, Outcome& outcome) {
        const auto program = Interpreted::prepare(slots);
        if (!program) return text("the interpreter refuses");
        code::Invocation invocation{.fuel = kFuel, .may_goto = kMayGoto};
        run(outcome, [&](void* r1, u64 r2) { return program->run(r1, r2, &invocation); });
        outcome.fault = invocation.fault;
        if (outcome.fault != 0) return {};
        // It ends: so once more without counting, which has handlers of its own.
        Outcome uncounted;
        code::Invocation unlimited{.may_goto = kMayGoto};
        run(uncounted, [&](void* r1, u64 r2) { return program->run(r1, r2, &unlimited); });
        uncounted.fault = unlimited.fault;
        if (uncounted != outcome) return text("the interpreter's results differ when it counts");
        return {};
    }

    static Result<jit::Output> machine_code(const ir::Program& program, const ir::Facts& facts,
                                            const Variant& variant) {
        if (!variant.passes) return jit::compile(program, facts, variant.target, variant.options);
        TRY_ASSIGN(const jit::Optimised code,
                   jit::optimise_for(program, facts, variant.target, variant.options,
                                     variant.passes.value()));
        return jit::compile(code, variant.target, variant.options);
    }

    std::optional<std::string> run_machine_code(const ir::Facts& facts, const Variant& variant,
                                                Outcome& outcome) {
        Result<ir::Program> program = ir::decode_program(slots_);
        if (!program) return text("ir refuses");
        call_custom_helpers(*program);
        const auto output = machine_code(*program, facts, variant);
        if (!output) return text("the JIT refuses");
        if (!code::validate(output->view(0))) return text("invalid code");
        const jit::test::Placed placed(
            *output, variant.target.convention, [&](const code::Relocation& r) {
                return helper_address(r.index & ~code::kCustomHelper, variant.target.convention);
            });
        code::Invocation invocation{.may_goto = kMayGoto};
        run(outcome, [&](void* r1, u64 r2) { return placed.run(r1, r2, &invocation); });
        outcome.fault = invocation.fault;
        return {};
    }

    template <typename Run>
    void run(Outcome& outcome, Run enter) const {
        random_map() = {};
        outcome.memory = memory_;
        outcome.r0 = enter(memory_.empty() ? nullptr : outcome.memory.data(), memory_.size());
        outcome.map = random_map();
    }

    std::vector<std::byte> slots_;
    std::vector<std::byte> memory_;
};

// The proof's facts, where the verifier accepts the program over `memory_size` bytes.
std::optional<ir::Facts> proof(Bytes slots, std::size_t memory_size) {
    const Result<ir::Program> program = ir::decode_program(slots);
    if (!program) return {};
    for (const Insn& insn : program->insns) {
        const bool calls = insn.form == Form::Call && insn.call() == isa::CallKind::Helper;
        if (calls || insn.form == Form::CallReg) return {};
    }
    const spec::ContextField field{.name = "memory",
                                   .size = static_cast<u16>(memory_size),
                                   .native_size = static_cast<u16>(memory_size),
                                   .kind = spec::FieldKind::Scalar,
                                   .writable = true,
                                   .narrow = true};
    spec::ProgramTypeInfo type{
        .type = spec::ProgramType::Unspec, .name = "embedded", .dialect = spec::Dialect::Linux};
    type.context = {.size = static_cast<u16>(memory_size),
                    .native_size = static_cast<u16>(memory_size),
                    .fields = {&field, memory_size ? std::size_t{1} : 0}};
    type.hash = spec::hash(type);
    verifier::Report report =
        verifier::analyze(*program, {.type = &type, .size_in_r2 = true}, {.max_steps = 20'000});
    if (report.verdict != verifier::Verdict::Accept) return {};
    return std::move(report.facts);
}

// A few instructions become others of their form, get other operands, or go.
class Mutator {
  public:
    explicit Mutator(u64 seed) : random_(seed) {}

    void mutate(std::vector<Insn>& insns) {
        for (u64 n = 1 + below(3); n > 0; --n) change(insns[below(insns.size())], insns);
    }

  private:
    u64 below(u64 n) { return random_() % n; }

    void change(Insn& insn, const std::vector<Insn>& all) {
        const bool alu = insn.form == Form::AluReg || insn.form == Form::AluImm;
        switch (below(6)) {
            case 0:
                if (insn.form == Form::AluImm || insn.form == Form::JmpImm) insn.imm = constant();
                break;
            case 1:
                if (alu) insn.kind = static_cast<u8>(below(14));
                if (insn.form == Form::JmpReg || insn.form == Form::JmpImm)
                    insn.kind = static_cast<u8>(below(11));
                break;
            case 2:
                if (alu || insn.form == Form::JmpReg || insn.form == Form::JmpImm)
                    insn.width = insn.is64() ? isa::Width::W32 : isa::Width::W64;
                break;
            case 3:
                if (insn.form == Form::AluReg || insn.form == Form::JmpReg)
                    insn.src = static_cast<isa::Reg>(below(10));
                break;
            case 4:
                if (alu) insn.dst = static_cast<isa::Reg>(below(10));
                break;
            default:  // one that stands elsewhere
                if (alu) {
                    const Insn& other = all[below(all.size())];
                    if (other.form == Form::AluReg || other.form == Form::AluImm) insn = other;
                }
        }
    }
    i32 constant() {
        constexpr i32 kSome[] = {0,  1,  -1, 2,  3,   7,           8,
                                 31, 32, 63, 64, 255, 0x7fff'ffff, static_cast<i32>(0x8000'0000)};
        return below(2) == 0 ? kSome[below(std::size(kSome))] : static_cast<i32>(random_());
    }

    std::mt19937_64 random_;
};

}  // namespace

std::vector<BaseProgram> base_programs(const std::string& directory) {
    std::set<std::filesystem::path> files;
    if (std::filesystem::is_directory(directory)) {
        for (const auto& entry : std::filesystem::directory_iterator(directory))
            if (entry.path().extension() == ".data") files.insert(entry.path());
    }
    std::vector<BaseProgram> bases;
    for (const auto& path : files) {
        std::stringstream text;
        text << std::ifstream(path).rdbuf();
        const Result<DataFile> file = read_data_file(text.str());
        if (!file || !file->result || !proof(file->program, file->memory.size())) continue;
        bases.push_back({path.filename().string(), file->program, file->memory});
    }
    return bases;
}

std::optional<std::string> try_generated(u64 seed, const Variant& variant) {
    std::vector<std::byte> memory(kRandomMemory);
    for (std::size_t i = 0; i < memory.size(); ++i)
        memory[i] = static_cast<std::byte>(seed * 131 + i * 17);
    return Pair(encoded(random_program(seed)), memory).compare({}, variant);
}

std::optional<std::string> try_mutated(u64 seed, const std::vector<BaseProgram>& bases,
                                       const Variant& variant, u64* ran) {
    const BaseProgram& base = bases[seed % bases.size()];
    Result<std::vector<Insn>> insns = ir::decode_insns(base.slots);
    if (!insns) return {};
    Mutator(seed).mutate(*insns);
    std::vector<std::byte> slots = encoded(*insns);
    if (slots.empty()) return {};
    const auto facts = proof(slots, base.memory.size());
    if (!facts) return {};
    if (ran != nullptr) ++*ran;
    auto difference = Pair(std::move(slots), base.memory).compare(*facts, variant);
    if (difference) *difference = base.name + ", mutated: " + *difference;
    return difference;
}

}  // namespace ebpf::engines
