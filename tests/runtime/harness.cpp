// SPDX-License-Identifier: MIT
#include "harness.hpp"

#include "interpreter/interpreter.hpp"
#include "ir/facts.hpp"
#include "ir/program.hpp"
#include "isa/codec.hpp"
#include "jit/jit.hpp"

namespace ebpf::runtime::test {
namespace {

Insn make(isa::Form form, u8 kind, isa::Reg dst, isa::Reg src, i64 imm) {
    Insn insn;
    insn.form = form;
    insn.kind = kind;
    insn.dst = dst;
    insn.src = src;
    insn.imm = imm;
    return insn;
}

std::vector<std::byte> encode(const std::vector<Insn>& insns) {
    std::vector<std::byte> bytes;
    for (const Insn& insn : insns) {
        isa::Slot slots[2];
        const Status status = isa::encode(insn, slots);
        EXPECT_TRUE(status) << status.error().what;
        const auto* from = reinterpret_cast<const std::byte*>(slots);
        bytes.insert(bytes.end(), from, from + insn.slots() * 8);
    }
    return bytes;
}

std::vector<code::Relocation> interpreter_relocations(const std::vector<Insn>& insns) {
    std::vector<code::Relocation> relocations;
    u32 offset = 0;
    for (const Insn& insn : insns) {
        using enum isa::WideKind;
        if (insn.form == isa::Form::Call && insn.call() == isa::CallKind::Helper) {
            relocations.push_back({.offset = offset,
                                   .kind = code::RelocKind::Helper64,
                                   .index = static_cast<u32>(insn.imm)});
        } else if (insn.form == isa::Form::Wide && insn.wide() == MapIndex) {
            relocations.push_back(
                {.offset = offset, .kind = code::RelocKind::Map64, .index = insn.map_index()});
        } else if (insn.form == isa::Form::Wide && insn.wide() == MapIndexValue) {
            relocations.push_back({.offset = offset,
                                   .kind = code::RelocKind::MapValue64,
                                   .index = insn.map_index(),
                                   .addend = insn.map_value_offset()});
        }
        offset += static_cast<u32>(insn.slots()) * 8;
    }
    return relocations;
}

// What a proof would say of the helpers' maps, in the straight programs of these tests.
ir::Facts known_maps(const ir::Program& program) {
    ir::Facts facts;
    i32 maps[3] = {-1, -1, -1};  // in r1 and r2
    for (const Insn& insn : program.insns) {
        const bool call = insn.form == isa::Form::Call;
        const bool tail_call = call && insn.imm == static_cast<i64>(spec::Helper::tail_call);
        facts.insns.push_back(
            {.reachable = true, .constant_map = call ? maps[tail_call ? 2 : 1] : -1});
        const bool map = insn.form == isa::Form::Wide && insn.wide() == isa::WideKind::MapIndex;
        if (call) std::ranges::fill(maps, -1);
        if (!call && (insn.dst == 1 || insn.dst == 2))
            maps[insn.dst] = map ? static_cast<i32>(insn.map_index()) : -1;
    }
    return facts;
}

constexpr std::size_t kContextSize = 64;

u32 attach_to(void* self, const ebpf_client_dispatch_t* client, const ebpf_binding_t* binding,
              uint32_t) {
    auto& hook = *static_cast<Hook*>(self);
    if (hook.refuse_with != 0) return hook.refuse_with;
    EXPECT_EQ(platform::current_irql(), platform::Irql::Passive);
    hook.client = client;
    hook.bindings.push_back(binding);
    return 0;
}

void detach_from(void* self, const ebpf_binding_t* binding, uint32_t) {
    auto& hook = *static_cast<Hook*>(self);
    std::erase(hook.bindings, binding);
}

u32 create_context(void*, const ebpf_test_run_t* run, void** context) {
    if (run->data_size_in > kContextSize) return static_cast<u32>(Errc::InvalidArgument);
    auto* bytes = new std::byte[kContextSize]();
    if (run->data_size_in != 0) std::memcpy(bytes, run->data_in, run->data_size_in);
    *context = bytes;
    return 0;
}

void reset_context(void*, const ebpf_test_run_t* run, void* context) {
    std::memset(context, 0, kContextSize);
    if (run->data_size_in != 0) std::memcpy(context, run->data_in, run->data_size_in);
}

u32 destroy_context(void*, ebpf_test_run_t* run, void* context) {
    if (run->data_out != nullptr) {
        std::memcpy(run->data_out, context, std::min(run->data_size_out, kContextSize));
    }
    run->data_size_out = kContextSize;
    run->context_size_out = 0;
    delete[] static_cast<std::byte*>(context);
    return 0;
}

}  // namespace

Insn mov(isa::Reg dst, i32 imm) {
    return make(isa::Form::AluImm, static_cast<u8>(isa::AluOp::Mov), dst, 0, imm);
}
Insn mov_reg(isa::Reg dst, isa::Reg src) {
    return make(isa::Form::AluReg, static_cast<u8>(isa::AluOp::Mov), dst, src, 0);
}
Insn add(isa::Reg dst, i32 imm) {
    return make(isa::Form::AluImm, static_cast<u8>(isa::AluOp::Add), dst, 0, imm);
}
Insn load(isa::Width width, isa::Reg dst, isa::Reg src, i16 off) {
    Insn insn = make(isa::Form::Load, 0, dst, src, 0);
    insn.width = width;
    insn.off = off;
    return insn;
}
Insn store(isa::Width width, isa::Reg dst, i16 off, isa::Reg src) {
    Insn insn = make(isa::Form::StoreReg, 0, dst, src, 0);
    insn.width = width;
    insn.off = off;
    return insn;
}
Insn store_imm(isa::Width width, isa::Reg dst, i16 off, i32 imm) {
    Insn insn = make(isa::Form::StoreImm, 0, dst, 0, imm);
    insn.width = width;
    insn.off = off;
    return insn;
}
Insn map_index(isa::Reg dst, u32 index) {
    return make(isa::Form::Wide, static_cast<u8>(isa::WideKind::MapIndex), dst, 0, index);
}
Insn map_value(isa::Reg dst, u32 index, u32 offset) {
    return make(isa::Form::Wide, static_cast<u8>(isa::WideKind::MapIndexValue), dst, 0,
                static_cast<i64>(u64{offset} << 32 | index));
}
Insn call(spec::Helper helper) {
    return make(isa::Form::Call, static_cast<u8>(isa::CallKind::Helper), 0, 0,
                static_cast<i64>(helper));
}
Insn call_local(i32 displacement) {
    return make(isa::Form::Call, static_cast<u8>(isa::CallKind::Local), 0, 0, displacement);
}
Insn jeq(isa::Reg dst, i32 imm, i16 off) {
    Insn insn = make(isa::Form::JmpImm, static_cast<u8>(isa::Cond::Eq), dst, 0, imm);
    insn.off = off;
    return insn;
}
Insn exit() {
    return make(isa::Form::Exit, 0, 0, 0, 0);
}

Hook::Hook(spec::ProgramType program, spec::AttachType attach) {
    provider_.header = {1, sizeof provider_, sizeof provider_};
    provider_.program_type = static_cast<u32>(program);
    provider_.attach_type = static_cast<u32>(attach);
    provider_.self = this;
    provider_.attach = attach_to;
    provider_.detach = detach_from;
    provider_.create_context = create_context;
    provider_.reset_context = reset_context;
    provider_.destroy_context = destroy_context;
}

std::vector<const spec::MapTypeInfo*> implemented_map_types() {
    std::vector<const spec::MapTypeInfo*> types;
    for (int i = 0; i < spec::kMapTypeCount; ++i) {
        const spec::MapTypeInfo& type = spec::info(static_cast<spec::MapType>(i));
        if (type.implemented) types.push_back(&type);
    }
    return types;
}

void Fixture::start(u32 slots) {
    Config config;
    config.slots = slots;
    config.trace = [](void* self, std::string_view line) {
        static_cast<std::vector<std::string>*>(self)->emplace_back(line);
    };
    config.trace_self = &printed_;
    Result<Runtime*> runtime = Runtime::create(config);
    ASSERT_TRUE(runtime);
    runtime_ = *runtime;
    ASSERT_TRUE(runtime_->register_engine(interpreter::kEngine));
    ASSERT_TRUE(runtime_->register_hook_provider(hook_.provider()));
    ASSERT_TRUE(runtime_->register_hook_provider(other_hook_.provider()));
    door_ = runtime_->door();
    session_ = door_.open_session(door_.self);
    ASSERT_NE(session_, nullptr);
}

void Fixture::stop() {
    if (runtime_ == nullptr) return;
    if (session_ != nullptr) door_.close_session(door_.self, session_);
    session_ = nullptr;
    Runtime::destroy(runtime_);
    runtime_ = nullptr;
}

void Fixture::SetUp() {
    allocations_before_ = platform::allocations();
    start(4);
}

void Fixture::TearDown() {
    stop();
    EXPECT_EQ(platform::allocations(), allocations_before_);
    EXPECT_TRUE(hook_.bindings.empty());
    EXPECT_EQ(platform::current_irql(), platform::Irql::Passive);
}

i64 Fixture::create(const MapSpec& map) {
    spec::MapCreateAttr attr;
    attr.map_type = static_cast<u32>(spec::number(dialect_, map.type));
    attr.key_size = map.key;
    attr.value_size = map.value;
    attr.max_entries = map.entries;
    attr.map_flags = map.flags;
    attr.inner_map_fd = map.inner;
    const i64 fd = run(spec::Command::MapCreate, attr);
    if (fd >= 0) created_[fd] = map;
    return fd;
}

i64 Fixture::create_some(const spec::MapTypeInfo& type) {
    using spec::SizeRule;
    const auto size = [](SizeRule rule, u32 usual) {
        if (rule == SizeRule::Zero) return 0u;
        if (rule == SizeRule::Four || rule == SizeRule::FourOrZero) return 4u;
        return usual;
    };
    const bool trie = type.key == SizeRule::LpmKey;
    MapSpec map{.type = type.type,
                .key = size(type.key, trie ? 8 : 4),
                .value = size(type.value, 8),
                .entries = type.entries == spec::EntriesRule::RingBytes ? 65536u : 4u,
                .flags = trie ? spec::kMapNoPrealloc : 0};
    if (type.holds == spec::Holds::Map) {
        const i64 inside = create({.type = spec::MapType::Array});
        if (inside <= 0) return inside;
        map.inner = static_cast<u32>(inside);
    }
    return create(map);
}

i64 Fixture::update(i64 fd, const void* key, const void* value, u64 flags) {
    spec::MapUpdateElemAttr attr;
    attr.map_fd = static_cast<u32>(fd);
    attr.key = reinterpret_cast<u64>(key);
    attr.value = reinterpret_cast<u64>(value);
    attr.flags = flags;
    return run(spec::Command::MapUpdateElem, attr);
}

i64 Fixture::lookup(i64 fd, const void* key, void* value) {
    spec::MapLookupElemAttr attr;
    attr.map_fd = static_cast<u32>(fd);
    attr.key = reinterpret_cast<u64>(key);
    attr.value = reinterpret_cast<u64>(value);
    return run(spec::Command::MapLookupElem, attr);
}

i64 Fixture::take(i64 fd, const void* key, void* value) {
    spec::MapLookupAndDeleteElemAttr attr;
    attr.map_fd = static_cast<u32>(fd);
    attr.key = reinterpret_cast<u64>(key);
    attr.value = reinterpret_cast<u64>(value);
    return run(spec::Command::MapLookupAndDeleteElem, attr);
}

i64 Fixture::remove(i64 fd, const void* key) {
    spec::MapDeleteElemAttr attr;
    attr.map_fd = static_cast<u32>(fd);
    attr.key = reinterpret_cast<u64>(key);
    return run(spec::Command::MapDeleteElem, attr);
}

i64 Fixture::next_key(i64 fd, const void* key, void* next) {
    spec::MapGetNextKeyAttr attr;
    attr.map_fd = static_cast<u32>(fd);
    attr.key = reinterpret_cast<u64>(key);
    attr.next_key = reinterpret_cast<u64>(next);
    return run(spec::Command::MapGetNextKey, attr);
}

i64 Fixture::close(i64 fd) {
    spec::HandleCloseAttr attr;
    attr.fd = static_cast<u32>(fd);
    return run(spec::Command::HandleClose, attr);
}

i64 Fixture::install(Engine engine, const std::vector<Insn>& insns, const std::vector<i64>& maps,
                     spec::ProgramType type) {
    const std::vector<std::byte> slots = encode(insns);
    const std::vector<u32> fds(maps.begin(), maps.end());
    spec::ProgInstallAttr attr;
    attr.map_fds = reinterpret_cast<u64>(fds.data());
    attr.map_count = static_cast<u32>(fds.size());
    attr.dialect = static_cast<u32>(dialect_);
    attr.prog_type = static_cast<u32>(type);
    attr.program_info_hash = spec::program_info(dialect_, type)->hash;
    attr.license = reinterpret_cast<u64>("GPL");
    attr.insns = reinterpret_cast<u64>(slots.data());
    attr.insn_cnt = static_cast<u32>(slots.size() / 8);
    std::memcpy(attr.prog_name.data(), "prog", 5);
    jit::Output output;
    std::vector<code::Relocation> relocations;
    if (engine == Engine::Interpreter) {
        relocations = interpreter_relocations(insns);
        attr.engine = static_cast<u32>(code::EngineKind::Interpreter);
        attr.code = attr.insns;
        attr.code_size = static_cast<u32>(slots.size());
    } else {
        Result<ir::Program> program = ir::decode_program(slots);
        EXPECT_TRUE(program);
        if (!program) return -1;
        for (const i64 fd : maps) {
            const MapSpec& map = created_[fd];
            program->maps.push_back({.name = {},
                                     .type = map.type,
                                     .key_size = map.key,
                                     .value_size = map.value,
                                     .max_entries = map.entries,
                                     .initial = {}});
        }
        Result<jit::Output> compiled =
            jit::compile(*program, known_maps(*program), jit::Target::host());
        EXPECT_TRUE(compiled);
        if (!compiled) return -1;
        output = std::move(*compiled);
        relocations = output.relocations;
        attr.engine = static_cast<u32>(code::EngineKind::Jit);
        attr.cpu = static_cast<u32>(output.cpu);
        attr.entry = output.entry;
        attr.stack_bytes = output.stack_bytes;
        attr.function_offsets = reinterpret_cast<u64>(output.function_offset.data());
        attr.function_offset_cnt = static_cast<u32>(output.function_offset.size());
        attr.code = reinterpret_cast<u64>(output.text.data());
        attr.code_size = static_cast<u32>(output.text.size());
    }
    attr.relocations = reinterpret_cast<u64>(relocations.data());
    attr.relocation_count = static_cast<u32>(relocations.size());
    return run(spec::Command::ProgInstall, attr);
}

i64 Fixture::test_run(i64 program, u64 first_word, u32 repeat) {
    u64 data[8] = {first_word};
    spec::ProgTestRunAttr attr;
    attr.prog_fd = static_cast<u32>(program);
    attr.data_in = reinterpret_cast<u64>(data);
    attr.data_size_in = sizeof data;
    attr.repeat = repeat;
    const i64 result = run(spec::Command::ProgTestRun, attr);
    return result == 0 ? attr.retval : result;
}

i64 Fixture::attach(i64 program, u32 target) {
    spec::LinkCreateAttr attr;
    attr.prog_fd = static_cast<u32>(program);
    attr.target_fd = target;
    attr.attach_type = static_cast<u32>(spec::number(dialect_, spec::AttachType::Xdp));
    return run(spec::Command::LinkCreate, attr);
}

}  // namespace ebpf::runtime::test
