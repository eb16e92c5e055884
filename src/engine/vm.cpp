// SPDX-License-Identifier: MIT
#include "engine/vm.hpp"

#include <algorithm>
#include <cstring>
#include <random>

#include "engine/object.hpp"
#include "engine/report_text.hpp"
#include "interpreter/interpreter.hpp"
#include "spec/program_types.hpp"

namespace ebpf::engine {

void Vm::add_helper(VmHelper helper) {
    auto added = std::make_unique<VmHelper>(std::move(helper));
    added->proto.name = added->name.c_str();
    added->proto.number = static_cast<i32>(added->number);
    std::erase_if(helpers_, [&](const auto& h) { return h->number == added->number; });
    helpers_.push_back(std::move(added));
    protos_.clear();
    for (const auto& h : helpers_) protos_.push_back(&h->proto);
    std::ranges::sort(protos_, {}, &spec::HelperProto::number);
    verified_ = false;
}

// The memory is the program's context: one field of plain bytes, as large as was promised.
ir::Environment Vm::environment() {
    memory_field_ = {.name = "memory",
                     .offset = 0,
                     .size = static_cast<u16>(memory_size),
                     .native_offset = 0,
                     .native_size = static_cast<u16>(memory_size),
                     .kind = spec::FieldKind::Scalar,
                     .writable = true,
                     .narrow = true};
    type_ = {
        .type = spec::ProgramType::Unspec, .name = "embedded", .dialect = spec::Dialect::Linux};
    type_.context = {.size = static_cast<u16>(memory_size),
                     .native_size = static_cast<u16>(memory_size),
                     .fields = {&memory_field_, memory_size ? size_t{1} : 0}};
    type_.helpers = protos_;
    type_.hash = spec::hash(type_);
    return {.type = &type_, .size_in_r2 = true};
}

void Vm::drop_code() {
    entry_ = nullptr;
    plain_entry_ = nullptr;
    pages_.reset();
    prepared_.reset();
}

code::Invocation Vm::initial_invocation() const {
    code::Invocation invocation;
    invocation.runtime = data;
    if (fuel != 0) invocation.fuel = fuel;
    if (looks_up_) invocation.cancel = &cancel_;
    return invocation;
}

Status Vm::explained(Status status) {
    error.clear();
    if (!status) error = error_text(program_ ? &*program_ : nullptr, status.error());
    return status;
}

Status Vm::load(Bytes instructions) {
    drop_code();
    verified_ = false;
    program_.reset();
    auto decoded = ir::decode_program(instructions);
    if (!decoded) return explained(std::unexpected(decoded.error()));
    program_ = std::move(*decoded);
    error.clear();
    return {};
}

Status Vm::load_object(Bytes object, std::string_view program) {
    drop_code();
    verified_ = false;
    program_.reset();
    ReadOptions options{
        .name = "object", .dialect = spec::Dialect::Linux, .default_type = spec::ProgramType::Xdp};
    const auto read = read_object(object, options);
    if (!read) {
        error = describe(read.error(), object);
        return std::unexpected(read.error());
    }
    const ObjectProgram* const found = program.empty() && read->programs.size() == 1
                                           ? &read->programs[0]
                                           : read->find({}, program);
    if (!found || (program.empty() && read->programs.size() != 1)) {
        return explained(fail(Errc::ObjectNotFound, {}, "program of that name"));
    }
    if (!found->program) {
        error = found->message;
        return std::unexpected(found->program.error());
    }
    for (const isa::Insn& insn : found->program->insns) {
        if (insn.form == isa::Form::Wide && insn.wide() != isa::WideKind::Imm64 &&
            insn.wide() != isa::WideKind::Function) {
            return explained(fail(Errc::Unsupported, {}, "a program with maps or global data"));
        }
    }
    program_ = *found->program;
    program_->maps.clear();
    error.clear();
    return {};
}

Status Vm::verify() {
    if (!program_) return explained(fail(Errc::InvalidState, {}, "no program is loaded"));
    const verifier::Report report = verifier::analyze(*program_, environment(), {});
    verified_ = report.verdict == verifier::Verdict::Accept;
    if (verified_) {
        error.clear();
        return {};
    }
    error = report_text(*program_, report, {});
    return fail(Errc::VerificationFailed);
}

namespace {

using Function = platform::CodePages::Function;

// Instructions come without a name.
std::string_view name_of(const ir::Program& program) {
    return program.name.empty() ? "vm" : std::string_view(program.name);
}

// The program's functions, and what lies behind them.
struct PlacedFunctions {
    const ir::Program& program;
    const CompiledCode& code;

    std::size_t named() const {
        const std::size_t count = program.subprograms.size();
        return code.function_offset.size() == count + 1 ? count : 0;
    }
    static Function at(const void* self, std::size_t i) {
        const auto& [program, code] = *static_cast<const PlacedFunctions*>(self);
        const std::size_t named = static_cast<const PlacedFunctions*>(self)->named();
        const std::size_t end = code.unwind.size != 0 ? code.unwind.offset : code.text.size();
        if (named == 0) return {name_of(program), "", 0, end};
        if (i == named) return {name_of(program), "_entry", code.function_offset[i], end};
        const std::string& name = program.subprograms[i].name;
        return {name.empty() ? name_of(program) : name, "", code.function_offset[i],
                code.function_offset[i + 1]};
    }
};

}  // namespace

// The program, and behind it the thunk that is its plain entry point.
Status Vm::place_machine_code(const CompiledCode& code, const code::Resolver& resolver) {
    const code::CodeView view = code.view();
    constexpr u64 kThunkAlignment = 16, kThunkSize = 512;  // at most
    const u64 thunk_at = (view.text.size() + kThunkAlignment - 1) & ~(kThunkAlignment - 1);
    TRY_ASSIGN(platform::CodePages pages, platform::CodePages::create(thunk_at + kThunkSize));
    const MutableBytes text = pages.writable().first(view.text.size());
    std::memcpy(text.data(), view.text.data(), text.size());
    TRY(code::relocate(text, view.relocations, resolver));

    const u64 address = reinterpret_cast<u64>(pages.address());
    const auto entry = reinterpret_cast<code::EntryFn>(address + view.entry);
    const code::Invocation initial = initial_invocation();
    jit::Thunk thunk;
    if (!checks_) {  // what a checked run may touch is told to run() only
        TRY_ASSIGN(thunk, jit::entry_thunk(initial, reinterpret_cast<const void*>(entry),
                                           jit::Target::host()));
    }
    if (thunk.text.size() > kThunkSize)
        return fail(Errc::TooLarge, {}, "entry thunk", thunk.text.size());
    if (!checks_)
        std::memcpy(pages.writable().data() + thunk_at, thunk.text.data(), thunk.text.size());

    TRY(pages.seal());
    pages.register_unwind(0, view.unwind.offset, view.unwind.size);
    const PlacedFunctions functions{*program_, code};
    pages.name_code({&functions, functions.named() + 1, &PlacedFunctions::at});
    if (!checks_) {
        pages.register_unwind(thunk_at, thunk.unwind.offset, thunk.unwind.size);
        const Function entry_thunk{name_of(*program_), "_entry", thunk_at,
                                   thunk_at + thunk.unwind.offset};
        pages.name_code({&entry_thunk, 1, [](const void* self, std::size_t) {
                             return *static_cast<const Function*>(self);
                         }});
    }
    pages_.emplace(std::move(pages));
    code_size_ = view.text.size();
    entry_ = entry;
    plain_entry_ = checks_ ? nullptr : reinterpret_cast<PlainEntry>(address + thunk_at);
    return {};
}

Status Vm::compile() {
    if (!program_) return explained(fail(Errc::InvalidState, {}, "no program is loaded"));
    drop_code();
    const ir::Environment env = environment();
    CompileOptions options{.engine = engine, .trusted = trusted || checked};
    checks_ = checked;
    options.codegen.level = level;
    options.codegen.checked = checked;
    options.codegen.metered = metered_ = fuel != 0;
    options.codegen.cancellable = looks_up_ = cancellable;
    options.codegen.safe_indirect_calls = safe_indirect_calls;
    options.codegen.blind_constants = blind_constants;
    if (blind_constants) {
        std::random_device random;
        options.codegen.blinding_seed = u64{random()} << 32 | random();
    }
    const auto compiled = engine::compile(*program_, env, options);
    if (!compiled) return explained(std::unexpected(compiled.error()));
    if (!compiled->accepted()) {
        error = report_text(*program_, compiled->report, {});
        return fail(Errc::VerificationFailed);
    }
    const code::CodeView view = compiled->code.view();
    const code::Resolver resolver{.self = this, .resolve = &Vm::resolve};
    const auto place = [&]() -> Status {
        TRY(code::validate(view));
        if (engine == code::EngineKind::Interpreter) {
            TRY_ASSIGN(const u64 size, interpreter::kEngine.prepared_size(view));
            prepared_.reset(platform::allocate(size));
            if (!prepared_) return fail(Errc::NoMemory, {}, "prepared program", size);
            return interpreter::kEngine.prepare(view, resolver,
                                                {static_cast<std::byte*>(prepared_.get()), size});
        }
        return place_machine_code(compiled->code, resolver);
    };
    const Status status = place();
    if (!status) drop_code();
    return explained(status);
}

Result<u64> Vm::resolve(void* self, code::RelocKind kind, u32 index, u32) {
    const Vm& vm = *static_cast<const Vm*>(self);
    if (kind == code::RelocKind::Helper64) {
        for (const auto& helper : vm.helpers_) {
            if ((helper->number | code::kCustomHelper) == index)
                return reinterpret_cast<u64>(helper->function);
        }
        return fail(Errc::Unsupported, {}, "helper that is not registered",
                    index & ~code::kCustomHelper);
    }
    return fail(Errc::Unsupported, {}, "address of something other than a helper");
}

// What the verifier would have proven of a helper's arguments.
bool Vm::may_call(code::Invocation* invocation, u64 function, const u64 args[5]) {
    const code::Bounds& bounds = *invocation->bounds;
    const auto allowed = [&](const spec::HelperProto& proto, int i) {
        using enum spec::ArgKind;
        const bool writes = proto.args[i] == WritableMem;
        if (proto.args[i] == Context) return args[i] == bounds.memory.begin;
        if (proto.args[i] != ReadableMem && !writes) return true;
        const bool sized = i + 1 < spec::kMaxHelperArgs &&
                           (proto.args[i + 1] == ConstSize || proto.args[i + 1] == ConstSizeOrZero);
        if (!sized) return false;
        if (args[i + 1] == 0) return proto.args[i + 1] == ConstSizeOrZero;
        return code::may_access(bounds, args[i], args[i + 1], writes);
    };
    // One function may be several helpers: then it gets what all of them ask for.
    for (const auto& helper : static_cast<const Vm*>(bounds.owner)->helpers_) {
        if (reinterpret_cast<u64>(helper->function) != function) continue;
        for (int i = 0; i < helper->proto.arg_count(); ++i) {
            if (!allowed(helper->proto, i)) return false;
        }
    }
    return true;
}

Result<u64> Vm::run(void* memory, u64 size) const {
    if (!compiled()) return fail(Errc::InvalidState, {}, "nothing is compiled");
    if (size < memory_size || (!memory && size))
        return fail(Errc::InvalidArgument, {}, "size of the memory", size);
    if (entry_ && fuel != 0 && !metered_)
        return fail(Errc::InvalidState, {}, "a limit that was set after compilation", fuel);
    code::Invocation invocation = initial_invocation();
    invocation.context = memory;
    invocation.context_size = size;
    const code::Range whole{reinterpret_cast<u64>(memory), size, true};
    code::Bounds bounds{.window = code::window_of(whole),
                        .memory = whole,
                        .ranges = ranges_,
                        .owner = this,
                        .may_call = &Vm::may_call};
    if (checks_) invocation.bounds = &bounds;
    const u64 result = entry_
                           ? entry_(memory, size, &invocation)
                           : interpreter::kEngine.run(prepared_.get(), memory, size, &invocation);
    TRY(code::fault_status(invocation.fault));
    return result;
}

}  // namespace ebpf::engine
