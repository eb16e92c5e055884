// SPDX-License-Identifier: MIT
#include "jit/lowering.hpp"

#include "spec/helpers.hpp"
#include "spec/map_types.hpp"

namespace ebpf::jit {

using isa::Insn;
using isa::WideKind;

u32 Lowering::function_at(u32 insn) const {
    const auto& all = program_.subprograms;
    return static_cast<u32>(std::ranges::lower_bound(all, insn, {}, &ir::Subprogram::begin) -
                            all.begin());
}

bool Lowering::starts_block(u32 at) const {
    return at == program_.subprograms[function_].begin || analysis_.is_target[at] ||
           program_.insns[at - 1].is_jump() || ends_payment(program_.insns[at - 1]);
}

// Where checked code is metered, what others can see of an instruction happens only after it and
// all before it were paid for.
bool Lowering::ends_payment(const Insn& insn) const {
    using isa::Form;
    if (!options_.checked) return false;
    switch (insn.form) {
        case Form::Load:
        case Form::LoadSx:
        case Form::StoreReg:
        case Form::StoreImm:
        case Form::Atomic:
        case Form::Call:
        case Form::CallReg:
            return true;
        default:
            return false;
    }
}

u32 Lowering::destination(u32 target) const {
    if (options_.can_end_early()) return target;
    constexpr int kHops = 8;  // circles of nothing but jumps are programs too
    for (int i = 0; i < kHops; ++i) {
        if (program_.insns[target].form != isa::Form::Ja || !analysis_.reachable[target]) break;
        target = program_.target[target];
    }
    return target;
}

Lowering::Branch Lowering::branch_at(u32 at) const {
    const Insn& insn = program_.insns[at];
    const u32 target = program_.target[at];
    if (insn.form == isa::Form::Ja || insn.form == isa::Form::MayGoto)
        return {.target = destination(target)};
    const u32 next = at + 1;  // in the same function, since no function ends with a condition
    const auto cond = isa::inverse(insn.cond());
    if (!options_.can_end_early() && cond && target == next + 1 &&
        program_.insns[next].form == isa::Form::Ja && !analysis_.is_target[next] &&
        analysis_.reachable[next]) {
        return {*cond, destination(program_.target[next]), 1};
    }
    return {insn.cond(), destination(target), 0};
}

u32 Lowering::block_length(u32 at) const {
    const u32 end = program_.subprograms[function_].end;
    u32 last = at;
    while (!ends_payment(program_.insns[last]) && !program_.insns[last].is_jump() &&
           program_.insns[last].form != isa::Form::Exit && last + 1 < end &&
           !analysis_.is_target[last + 1]) {
        ++last;
    }
    return last - at + 1;
}

Result<std::optional<code::Relocation>> Lowering::address_of(const Insn& insn, u32 target) const {
    using code::Relocation;
    using code::RelocKind;
    switch (insn.wide()) {
        case WideKind::Imm64:
            return std::nullopt;
        case WideKind::MapIndex:
        case WideKind::MapIndexValue: {
            if (insn.map_index() >= program_.maps.size()) {
                return fail(Errc::OutOfBounds, at_insn(program_.slot_of[at_]), "map",
                            insn.map_index());
            }
            const bool value = insn.wide() == WideKind::MapIndexValue;
            return Relocation{.kind = value ? RelocKind::MapValue64 : RelocKind::Map64,
                              .index = insn.map_index(),
                              .addend = value ? insn.map_value_offset() : 0};
        }
        case WideKind::Function:
            return Relocation{.kind = RelocKind::Function64,
                              .addend = thunk_label(function_at(target))};
        case WideKind::MapFd:
        case WideKind::MapFdValue:
            return unsupported("map by descriptor", insn.map_index());
        case WideKind::BtfId:
            return unsupported("variable by BTF id", static_cast<u64>(insn.imm));
    }
    return unsupported("kind of two-slot instruction", insn.kind);
}

// splitmix64 (Steele, Lea, Flood, 2014).
u64 Lowering::next_key() {
    u64 z = key_ += 0x9E37'79B9'7F4A'7C15;
    z = (z ^ z >> 30) * 0xBF58'476D'1CE4'E5B9;
    z = (z ^ z >> 27) * 0x94D0'49BB'1331'11EB;
    return z ^ z >> 31;
}

std::optional<u32> Lowering::constant_map(const Insn& call, spec::Helper helper) const {
    if (facts_.insns.empty() || call.imm != static_cast<i64>(helper)) return {};
    const auto map = static_cast<u32>(facts_.insns[at_].constant_map);  // -1 is none
    if (map >= program_.maps.size()) return {};
    return map;
}

std::optional<u32> Lowering::tail_jump(const Insn& call) const {
    if (!is_entry(function_)) return {};
    const auto map = constant_map(call, spec::Helper::tail_call);
    return map && program_.maps[*map].type == spec::MapType::ProgArray ? map : std::nullopt;
}

std::optional<Lowering::Lookup> Lowering::direct_lookup(const Insn& call) const {
    const auto map = constant_map(call, spec::Helper::map_lookup_elem);
    if (!map) return {};
    const spec::MapTypeInfo& type = spec::info(program_.maps[*map].type);
    if (type.index_key && type.holds == spec::Holds::Map) return ObjectLookup{*map};
    if (type.index_key && type.holds == spec::Holds::Bytes)
        if (const auto array = array_lookup(*map)) return *array;
    return OwnLookup{*map};
}

std::optional<Lowering::ArrayLookup> Lowering::array_lookup(u32 index) const {
    // Where constants are blinded, the size is one, and a call has none.
    if (options_.blind_constants) return {};
    const ir::InsnFacts& fact = facts_.insns[at_];
    const ir::MapDef& map = program_.maps[index];
    constexpr u64 kReach = 0x7fff'ffff;  // of an immediate
    const u64 stride = spec::value_stride(map.value_size);
    const u64 block =
        spec::info(map.type).percpu ? code::percpu_block(stride * map.max_entries) : 0;
    if (map.value_size == 0 || stride > kReach || block > kReach) return {};
    ArrayLookup lookup{.map = index,
                       .entries = map.max_entries,
                       .stride = static_cast<u32>(stride),
                       .slot_stride = static_cast<u32>(block),
                       .offset = {}};
    const u64 offset = u64{fact.key} * stride;
    if (fact.constant_key && fact.key < map.max_entries && offset <= kReach)
        lookup.offset = static_cast<i32>(offset);
    return lookup;
}

u32 Lowering::deepest_chain(std::span<const u32> native_bytes, u32 thunk, u32 entry) const {
    // In a circle of calls any function may fill all the frames that the proof allows.
    if (analysis_.recursive || analysis_.count_frames) {
        const u32 largest = std::ranges::max(native_bytes);
        const u32 depth =
            analysis_.count_frames ? u32{isa::kMaxCallDepth} + 1 : facts_.max_call_depth;
        return depth * (largest + thunk) + entry;
    }
    std::vector<u32> deepest(function_count_);
    for (const u32 f : analysis_.callees_first) {
        for (const u32 callee : analysis_.functions[f].callees)
            deepest[f] = std::max(deepest[f], deepest[callee]);
        deepest[f] += native_bytes[f];
        if (analysis_.functions[f].is_callback) deepest[f] += thunk;
    }
    return deepest[0];
}

}  // namespace ebpf::jit
