// SPDX-License-Identifier: MIT
// Commands on programs: installing verified code, and running it on test data.
#include <new>

#include "isa/codec.hpp"
#include "runtime/btf_object.hpp"
#include "runtime/command_context.hpp"
#include "runtime/helpers.hpp"
#include "spec/license.hpp"
#include "spec/program_types.hpp"

namespace ebpf::runtime {
namespace {

// Answers relocations with addresses of this execution context, which never leave it.
struct Addresses {
    Runtime& runtime;
    const Program& program;

    Result<u64> helper(u32 index) const {
        if (index >= spec::kHelperCount) return fail(Errc::UnresolvedSymbol, {}, "helper", index);
        if (const auto address =
                helper_address(program.dialect, static_cast<spec::Helper>(index))) {
            return reinterpret_cast<u64>(address);
        }
        const ebpf_hook_provider_t* provider = runtime.provider(program.type, {});
        for (std::size_t i = 0; provider != nullptr && i < provider->helper_count; ++i) {
            if (provider->helpers[i].id == index) {
                return reinterpret_cast<u64>(provider->helpers[i].function);
            }
        }
        return fail(Errc::NotSupported, {}, spec::info(static_cast<spec::Helper>(index)).name);
    }
    Result<u64> map_value(u32 index, u32 offset) const {
        Map& map = *program.maps[index];
        void* address = map.ops->value_address ? map.ops->value_address(map, offset) : nullptr;
        if (address == nullptr)
            return fail(Errc::OutOfBounds, {}, "offset in a map's value", offset);
        return reinterpret_cast<u64>(address);
    }
    // Code that has the array's size in it is for an array of that size.
    Result<u64> array_values(u32 index, u32 entries) const {
        const Map& map = *program.maps[index];
        if (map.max_entries != entries)
            return fail(Errc::InvalidArgument, {}, "entries of the array", map.max_entries);
        return known(runtime::array_values(map), index);
    }
    // What a layout or a function of one kind of map is; null for other maps.
    static Result<u64> known(const void* address, u32 index) {
        if (address == nullptr) return fail(Errc::InvalidArgument, {}, "type of map", index);
        return reinterpret_cast<u64>(address);
    }
    static Result<u64> resolve(void* self, code::RelocKind kind, u32 index, u32 addend) {
        const auto& addresses = *static_cast<const Addresses*>(self);
        switch (kind) {
            case code::RelocKind::Helper64:
                return addresses.helper(index);
            case code::RelocKind::Map64:
                return reinterpret_cast<u64>(addresses.program.maps[index]);
            case code::RelocKind::MapValue64:
                return addresses.map_value(index, addend);
            case code::RelocKind::ArrayValues64:
                return addresses.array_values(index, addend);
            case code::RelocKind::ObjectSlots64:
                return known(object_slots(*addresses.program.maps[index]), index);
            case code::RelocKind::Lookup64:
                return known(
                    reinterpret_cast<const void*>(addresses.program.maps[index]->ops->lookup),
                    index);
            case code::RelocKind::Function64:
            case code::RelocKind::HelperOrNull64:
            case code::RelocKind::HelperNear32:
            case code::RelocKind::LookupNear32:
                break;  // relocate()'s own
        }
        return fail(Errc::BadFormat, {}, "relocation kind", static_cast<u32>(kind));
    }
};

// The functions of placed machine code by their names in the BTF, and what lies behind them; where
// those are not known, all of it by the program's name.
struct PlacedFunctions {
    const Program& program;
    u64 end;

    u32 named() const {
        const u32 count = program.functions.count;
        return program.function_offsets.count == count + 1 ? count : 0;
    }
    std::string_view name(std::size_t i) const {
        const auto id = load_le<u32>(program.functions.bytes + i * kFunctionRecord + 4);
        const auto type = program.btf->view.type(id);
        return type ? program.btf->view.name(*type).value_or("") : "";
    }
    static platform::CodePages::Function at(const void* self, std::size_t i) {
        const auto& placed = *static_cast<const PlacedFunctions*>(self);
        const char* const program = placed.program.name.data();
        if (placed.named() == 0) return {program, "", 0, placed.end};
        const u32* const begin = placed.program.function_offsets.at + i;
        if (i == placed.named()) return {program, "_entry", *begin, placed.end};
        return {placed.name(i), "", *begin, begin[1]};
    }
};

// Machine code goes to its final place, gets its addresses there and is sealed before it can be
// called.
Status place_machine_code(Program& program, const code::CodeView& view,
                          const code::Resolver& resolver) {
    TRY_ASSIGN(platform::CodePages pages, platform::CodePages::create(view.text.size()));
    const MutableBytes text = pages.writable().first(view.text.size());
    std::memcpy(text.data(), view.text.data(), text.size());
    TRY(code::relocate(text, view.relocations, resolver));
    TRY(pages.seal());
    pages.register_unwind(0, view.unwind.offset, view.unwind.size);
    const PlacedFunctions functions{program,
                                    view.unwind.size != 0 ? view.unwind.offset : view.text.size()};
    pages.name_code({&functions, functions.named() + 1, &PlacedFunctions::at});
    program.entry =
        reinterpret_cast<code::EntryFn>(reinterpret_cast<u64>(pages.address()) + view.entry);
    new (&program.pages) platform::CodePages(std::move(pages));
    return {};
}

Status prepare_for_engine(Program& program, const code::CodeView& view,
                          const code::EngineOps& engine, const code::Resolver& resolver) {
    TRY_ASSIGN(const u64 size, engine.prepared_size(view));
    program.prepared = platform::allocate(size);
    if (program.prepared == nullptr) return fail(Errc::NoMemory, {}, "prepared code", size);
    TRY(engine.prepare(view, resolver, {static_cast<std::byte*>(program.prepared), size}));
    program.engine = &engine;
    return {};
}

Status take_maps(CommandContext& c, Program& program, const spec::ProgInstallAttr& a) {
    if (a.map_count == 0) return {};
    if (a.map_count > 4096) return fail(Errc::TooLarge, {}, "map_count", a.map_count);
    program.maps = static_cast<Map**>(platform::allocate(a.map_count * sizeof(Map*)));
    if (program.maps == nullptr) return fail(Errc::NoMemory, {}, "maps", a.map_count);
    for (u32 i = 0; i < a.map_count; ++i) {
        TRY_ASSIGN(Ref<Map> map, map_of(c, pointer<const u32>(a.map_fds)[i]));
        TRY(prog_array_bind(*map, program.type, program.dialect));
        program.maps[program.map_count++] = map.detach();
    }
    return {};
}

// Who is shown the instructions knows maps by their ids, as on Linux.
Status name_maps_by_id(Program& program) {
    using isa::WideKind;
    const MutableBytes slots(program.insns, u64{program.insn_count} * 8);
    for (u32 slot = 0; slot < program.insn_count;) {
        const u32 here = slot;
        auto insn = isa::decode(slots, here);
        slot += insn ? static_cast<u32>(insn->slots()) : 1;
        if (!insn || insn->form != isa::Form::Wide) continue;
        const bool value = insn->wide() == WideKind::MapIndexValue;
        if (!value && insn->wide() != WideKind::MapIndex) continue;
        if (insn->map_index() >= program.map_count)
            return fail(Errc::OutOfBounds, at_insn(here), "map of the instruction");
        insn->kind = static_cast<u8>(value ? WideKind::MapFdValue : WideKind::MapFd);
        insn->imm = static_cast<i64>(u64{insn->map_value_offset()} << 32 |
                                     program.maps[insn->map_index()]->id);
        isa::Slot encoded[2];
        TRY(isa::encode(*insn, encoded));
        std::memcpy(slots.data() + u64{here} * 8, encoded, sizeof encoded);
    }
    return {};
}

Status keep_insns(Program& program, const spec::ProgInstallAttr& a) {
    if (a.insn_cnt == 0 || a.insns == 0) return {};
    program.insns = static_cast<std::byte*>(platform::allocate(u64{a.insn_cnt} * 8));
    if (program.insns == nullptr) return fail(Errc::NoMemory, {}, "instructions", a.insn_cnt);
    std::memcpy(program.insns, pointer(a.insns), u64{a.insn_cnt} * 8);
    program.insn_count = a.insn_cnt;
    return name_maps_by_id(program);
}

// Records of `from_size` bytes each, of which the first `size` are kept.
Status keep_records(BtfRecords& records, u64 address, u32 count, u32 from_size, u32 size) {
    if (count == 0) return {};
    if (address == 0) return fail(Errc::InvalidPointer, {}, "func_info or line_info");
    if (from_size < size) return fail(Errc::InvalidArgument, {}, "size of a record", from_size);
    records.bytes = static_cast<std::byte*>(platform::allocate(u64{count} * size));
    if (records.bytes == nullptr) return fail(Errc::NoMemory, {}, "func_info or line_info", count);
    for (u32 i = 0; i < count; ++i) {
        std::memcpy(records.bytes + u64{i} * size,
                    pointer<const std::byte>(address) + u64{i} * from_size, size);
    }
    records.count = count;
    return {};
}

// They are for whoever asks about the program; the verifier has read its own copy.
Status keep_btf(CommandContext& c, Program& program, const spec::ProgInstallAttr& a) {
    if (a.func_info_cnt == 0 && a.line_info_cnt == 0) return {};
    TRY_ASSIGN(Ref<Btf> btf, btf_of(c, a.prog_btf_fd));
    program.btf = btf.detach();
    TRY(keep_records(program.functions, a.func_info, a.func_info_cnt, a.func_info_rec_size,
                     kFunctionRecord));
    return keep_records(program.lines, a.line_info, a.line_info_cnt, a.line_info_rec_size,
                        kLineRecord);
}

Status keep_offsets(TextOffsets& offsets, u64 address, u32 count, u32 code_size) {
    if (count == 0) return {};
    if (address == 0) return fail(Errc::InvalidPointer, {}, "offsets in the code");
    offsets.at = static_cast<u32*>(platform::allocate(u64{count} * sizeof(u32)));
    if (offsets.at == nullptr) return fail(Errc::NoMemory, {}, "offsets in the code", count);
    std::memcpy(offsets.at, pointer(address), u64{count} * sizeof(u32));
    offsets.count = count;
    for (u32 i = 0; i < count; ++i) {
        if (offsets.at[i] > code_size)
            return fail(Errc::OutOfBounds, {}, "offset in the code", offsets.at[i]);
    }
    return {};
}

// What tells of machine code where things are in it.
Status keep_places(Program& program, const spec::ProgInstallAttr& a) {
    if (a.line_offset_cnt != 0 && a.line_offset_cnt != program.lines.count)
        return fail(Errc::InvalidArgument, {}, "line_offset_cnt", a.line_offset_cnt);
    const TextOffsets& functions = program.function_offsets;
    TRY(keep_offsets(program.function_offsets, a.function_offsets, a.function_offset_cnt,
                     a.code_size));
    for (u32 i = 1; i < functions.count; ++i) {  // lengths are their differences
        if (functions.at[i] < functions.at[i - 1])
            return fail(Errc::InvalidArgument, {}, "order of function_offsets", i);
    }
    return keep_offsets(program.line_offsets, a.line_offsets, a.line_offset_cnt, a.code_size);
}

code::CodeView view_of(const spec::ProgInstallAttr& a) {
    return {.engine = static_cast<code::EngineKind>(a.engine),
            .cpu = static_cast<code::Cpu>(a.cpu),
            .entry = a.entry,
            .stack_bytes = a.stack_bytes,
            .map_count = a.map_count,
            .program_info_hash = a.program_info_hash,
            .text = {pointer<const std::byte>(a.code), a.code_size},
            .relocations = {pointer<const code::Relocation>(a.relocations), a.relocation_count},
            .unwind = {a.unwind_offset, a.unwind_size}};
}

Status check_install(const spec::ProgInstallAttr& a) {
    if (a.code == 0 || a.code_size == 0)
        return fail(Errc::InvalidArgument, {}, "code_size", a.code_size);
    if (a.relocation_count != 0 && a.relocations == 0)
        return fail(Errc::InvalidPointer, {}, "relocations");
    if (a.map_count != 0 && a.map_fds == 0) return fail(Errc::InvalidPointer, {}, "map_fds");
    if (a.dialect >= spec::kDialectCount)
        return fail(Errc::InvalidArgument, {}, "dialect", a.dialect);
    if (a.prog_type >= spec::kProgramTypeCount) {
        return fail(Errc::InvalidArgument, {}, "prog_type", a.prog_type);
    }
    if (a.attach_type >= spec::kAttachTypeCount) {
        return fail(Errc::InvalidArgument, {}, "attach_type", a.attach_type);
    }
    // BPF_F_ANY_ALIGNMENT asks for nothing here; the others are for tests of Linux's verifier.
    constexpr u32 kIgnored = 2 | 4 | 8 | 128;
    // BPF_F_STRICT_ALIGNMENT, SLEEPABLE, XDP_HAS_FRAGS, XDP_DEV_BOUND_ONLY.
    constexpr u32 kLacking = 1 | 16 | 32 | 64;
    if ((a.prog_flags & ~(kIgnored | kLacking)) != 0)
        return fail(Errc::InvalidArgument, {}, "prog_flags", a.prog_flags);
    if ((a.prog_flags & kLacking) != 0)
        return fail(Errc::NotSupported, {}, "prog_flags", a.prog_flags);
    // The proof holds for the description of the program type that it was made against.
    const spec::ProgramTypeInfo* info = spec::program_info(
        static_cast<spec::Dialect>(a.dialect), static_cast<spec::ProgramType>(a.prog_type));
    if (info == nullptr) return fail(Errc::InvalidArgument, {}, "prog_type", a.prog_type);
    if (info->hash != a.program_info_hash) return fail(Errc::StaleProgramInfo, {}, info->name);
    return check_name(a.prog_name);
}

Status fill(CommandContext& c, Program& program, const spec::ProgInstallAttr& a) {
    program.name = a.prog_name;
    program.type = static_cast<spec::ProgramType>(a.prog_type);
    program.attach = static_cast<spec::AttachType>(a.attach_type);
    program.dialect = static_cast<spec::Dialect>(a.dialect);
    program.gpl_compatible =
        a.license != 0 && spec::is_gpl_compatible(pointer<const char>(a.license));
    program.verified_insns = a.verified_insns;
    program.stack_bytes = a.stack_bytes;
    program.code_bytes = a.code_size;
    program.loaded_at = platform::boot_ns();
    const code::CodeView view = view_of(a);
    TRY(code::validate(view));
    TRY(take_maps(c, program, a));
    TRY(keep_insns(program, a));
    TRY(keep_btf(c, program, a));
    TRY(keep_places(program, a));
    Addresses addresses{c.runtime, program};
    const code::Resolver resolver{&addresses, &Addresses::resolve};
    if (view.engine != code::EngineKind::Interpreter)
        return place_machine_code(program, view, resolver);
    const code::EngineOps* engine = c.runtime.engine(view.engine);
    if (engine == nullptr) return fail(Errc::BlockedByPolicy, {}, "no interpreter here");
    return prepare_for_engine(program, view, *engine, resolver);
}

}  // namespace

Result<i64> handle(CommandContext& c, spec::ProgInstallAttr& a) {
    TRY(check_install(a));
    void* memory = platform::allocate(sizeof(Program));
    if (memory == nullptr) return fail(Errc::NoMemory, {}, "program");
    auto* program = new (memory) Program;
    program->kind = ObjectKind::Program;
    Status made = fill(c, *program, a);
    if (made) made = c.runtime.adopt(*program);
    if (!made) {
        destroy_program(*program);
        return std::unexpected(made.error());
    }
    const Ref<Program> ref = Ref<Program>::adopt(program);
    return c.session.open(*ref);
}

Result<i64> handle(CommandContext& c, spec::ProgBindMapAttr& a) {
    if (a.flags != 0) return fail(Errc::InvalidArgument, {}, "flags", a.flags);
    TRY_ASSIGN(const Ref<Program> program, program_of(c, a.prog_fd));
    TRY_ASSIGN(Ref<Map> map, map_of(c, a.map_fd));
    platform::LockGuard guard(program->lock);
    TRY(program->bound_maps.insert(program->bound_maps.size(), map.get()));
    map.detach();
    return 0;
}

namespace {

Status still_waits(const spec::Caller& caller) {
    if (caller.waits.call == nullptr || caller.waits.call(caller.waits.self)) return {};
    return fail(Errc::Canceled, {}, "test run whose caller is gone");
}

}  // namespace

Result<i64> handle(CommandContext& c, spec::ProgTestRunAttr& a) {
    TRY_ASSIGN(const Ref<Program> program, program_of(c, a.prog_fd));
    constexpr u32 kLiveFrames = 2;  // BPF_F_TEST_XDP_LIVE_FRAMES
    if ((a.flags & ~kLiveFrames) != 0 || (a.flags == 0 && a.batch_size != 0)) {
        return fail(Errc::InvalidArgument, {}, "flags or batch_size of a test run", a.flags);
    }
    if (a.flags != 0) return fail(Errc::NotSupported, {}, "test runs of live frames");
    const ebpf_hook_provider_t* provider = c.runtime.provider(program->type, {});
    if (provider == nullptr || provider->create_context == nullptr) {
        return fail(Errc::NotSupported, {}, "test runs of this program type");
    }
    const auto failed = [](u32 error, const char* what) {
        return fail(static_cast<Errc>(error), {}, what);
    };
    // A size without a buffer, or the other way round, is wrong for contexts only.
    if ((a.ctx_in != 0) != (a.ctx_size_in != 0) || (a.ctx_out != 0) != (a.ctx_size_out != 0)) {
        return fail(Errc::InvalidArgument, {}, "context without its size, or the other way round");
    }
    if (a.data_in == 0 && a.data_size_in != 0) return fail(Errc::InvalidPointer, {}, "data_in");
    const u32 data_size_out = a.data_size_out;
    ebpf_test_run_t run{.header = {1, sizeof(ebpf_test_run_t), sizeof(ebpf_test_run_t)},
                        .data_in = pointer<const u8>(a.data_in),
                        .data_size_in = a.data_size_in,
                        .context_in = pointer<const u8>(a.ctx_in),
                        .context_size_in = a.ctx_size_in,
                        .data_out = pointer<u8>(a.data_out),
                        .data_size_out = a.data_out != 0 ? a.data_size_out : 0,
                        .context_out = pointer<u8>(a.ctx_out),
                        .context_size_out = a.ctx_out != 0 ? a.ctx_size_out : 0};
    const std::size_t data_room = run.data_size_out;
    const std::size_t context_room = run.context_size_out;
    void* context = nullptr;
    if (const u32 error = provider->create_context(provider->self, &run, &context); error != 0) {
        return failed(error, "test data or context");
    }
    const u32 repeat = a.repeat != 0 ? a.repeat : 1;
    u64 elapsed = 0;
    u64 r0 = 0;
    Status entered;
    // Runs between two chances for others, and for what the program replaced in maps to go.
    constexpr u64 kBatchNs = 20'000;
    u32 batch = 1;
    constexpr u64 kAskNs = 10'000'000;  // whether the caller is still there
    u64 ask_at = kAskNs;
    for (u32 done = 0; done < repeat && entered;) {
        if (elapsed >= ask_at) {
            ask_at = elapsed + kAskNs;
            entered = still_waits(c.caller);
            continue;
        }
        EpochGuard guard(c.runtime.epochs());
        entered = guard.status();
        const u32 until = repeat - done > batch ? done + batch : repeat;
        const u64 start = platform::monotonic_ns();
        for (; entered && done < until; ++done) {
            if (done != 0) provider->reset_context(provider->self, &run, context);
            r0 = runtime::run(c.runtime, *program, context, 0, guard.slot());
        }
        const u64 took = platform::monotonic_ns() - start;
        elapsed += took;
        if (took > kBatchNs && batch > 1) batch /= 2;
        if (took < kBatchNs / 2 && batch < 1024) batch *= 2;
    }
    const u32 error = provider->destroy_context(provider->self, &run, context);
    TRY(entered);
    if (error != 0) return failed(error, "test results");
    a.retval = static_cast<u32>(r0);
    a.duration = static_cast<u32>(elapsed / repeat);
    a.data_size_out = static_cast<u32>(run.data_size_out);
    a.ctx_size_out = static_cast<u32>(run.context_size_out);
    // Linux: what fits was copied, the size is the whole one.
    if ((a.data_out != 0 && run.data_size_out > data_room) ||
        (data_size_out != 0 && run.data_size_out > data_size_out) ||
        (a.ctx_out != 0 && run.context_size_out > context_room)) {
        return fail(Errc::OutOfSpace, {}, "data_size_out or ctx_size_out");
    }
    return 0;
}

}  // namespace ebpf::runtime
