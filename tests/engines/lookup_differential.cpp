// SPDX-License-Identifier: MIT
//
// Random programs that look up elements of maps of all shapes that compiled code knows, read and
// write them, and exchange the maps in an array of maps while they run: interpreted, with a helper
// that does what code/engine.hpp says of maps, and as machine code, to which each map is named.
#include <algorithm>
#include <array>
#include <cstring>
#include <random>

#include "code/bounds.hpp"
#include "differential.hpp"
#include "differential_parts.hpp"
#include "isa/text/text.hpp"
#include "placed.hpp"
#include "spec/helpers.hpp"
#include "spec/map_types.hpp"

namespace ebpf::engines {
namespace {

using code::Invocation;
using code::RelocKind;
using jit::CallingConvention;

constexpr u32 kLookup = static_cast<u32>(spec::Helper::map_lookup_elem);
constexpr u32 kExchange = 17;
constexpr u32 kCpus = 3;

// --- maps ---------------------------------------------------------------------------------------

// The last two are in no program: an array of maps has them.
struct Shape {
    spec::MapType type;
    u32 entries, value_size;
};
constexpr Shape kShapes[] = {
    {spec::MapType::Array, 5, 16},       {spec::MapType::Array, 7, 20},
    {spec::MapType::PercpuArray, 3, 40}, {spec::MapType::PercpuArray, 1, 8},
    {spec::MapType::ArrayOfMaps, 4, 4},  {spec::MapType::Hash, 6, 8},
    {spec::MapType::Array, 3, 8},        {spec::MapType::PercpuArray, 4, 24},
};
constexpr u32 kMaps = std::size(kShapes), kNamed = kMaps - 2, kOfMaps = 4;

struct Map {
    Shape shape{};
    u32 stride = 0;
    u64 block = 0;
    std::byte* values = nullptr;
};

// All that a run can change. Behind the values of each map is room for more, which nobody may see.
struct World {
    static constexpr u64 kRoom = 128;  // words of one map
    std::array<u64, kRoom * kMaps> values{};
    u64 count = kShapes[kOfMaps].entries;
    std::array<Map*, kShapes[kOfMaps].entries + 1> slots{};
    friend bool operator==(const World&, const World&) = default;
};
static_assert(offsetof(World, slots) + code::kSlotCount == offsetof(World, count));
World world;
std::array<Map, kMaps> maps;

void start(u64 seed) {
    world = {};
    for (u64 i = 0; i < world.values.size(); ++i) world.values[i] = (i + seed) * 0x9E37'79B9;
    for (u32 m = 0; m < kMaps; ++m) {
        const u32 stride = spec::value_stride(kShapes[m].value_size);
        maps[m] = {kShapes[m], stride, code::percpu_block(u64{stride} * kShapes[m].entries),
                   reinterpret_cast<std::byte*>(&world.values[m * World::kRoom])};
    }
    for (u32 i = 0; i < world.slots.size(); ++i)
        world.slots[i] = i == 1 ? nullptr : &maps[kNamed + i % 2];
}

// What code::LookupFn says.
u64 look_up(const Map& map, const void* key, u32 slot) {
    u32 index;
    std::memcpy(&index, key, sizeof index);
    if (map.shape.type == spec::MapType::Hash) index = index * 5 - slot;  // some order of its own
    if (index >= map.shape.entries) return 0;
    if (map.shape.type == spec::MapType::ArrayOfMaps)
        return reinterpret_cast<u64>(world.slots[index]);
    const bool percpu = spec::info(map.shape.type).percpu;
    return reinterpret_cast<u64>(map.values + u64{map.stride} * index +
                                 (percpu ? map.block * slot : 0));
}
u64 own_lookup(const void* map, const void* key, u32 slot) {
    return look_up(*static_cast<const Map*>(map), key, slot);
}
__attribute__((ms_abi)) u64 windows_own_lookup(const void* map, const void* key, u32 slot) {
    return own_lookup(map, key, slot);
}

u64 lookup(u64 r1, u64 r2, u64, u64, u64, Invocation* invocation) {
    return own_lookup(reinterpret_cast<const void*>(r1), reinterpret_cast<const void*>(r2),
                      invocation->slot);
}
u64 exchange(u64 r1, u64 r2, u64, u64, u64, Invocation*) {
    Map* const choices[] = {nullptr, &maps[kNamed], &maps[kNamed + 1]};
    world.slots[r1 % kShapes[kOfMaps].entries] = choices[r2 % std::size(choices)];
    return 0;
}

u64 address_of(RelocKind kind, u32 index, CallingConvention convention) {
    const bool here = convention == CallingConvention::SystemV;
    switch (kind) {
        case RelocKind::Map64:
            return reinterpret_cast<u64>(&maps[index]);
        case RelocKind::ArrayValues64:
            return reinterpret_cast<u64>(maps[index].values);
        case RelocKind::ObjectSlots64:
            return reinterpret_cast<u64>(world.slots.data());
        case RelocKind::Lookup64:
        case RelocKind::LookupNear32:
            return here ? reinterpret_cast<u64>(&own_lookup)
                        : reinterpret_cast<u64>(&windows_own_lookup);
        default:
            break;
    }
    if (here) return reinterpret_cast<u64>(index == kLookup ? &lookup : &exchange);
    return index == kLookup ? reinterpret_cast<u64>(&windows<lookup>)
                            : reinterpret_cast<u64>(&windows<exchange>);
}

// --- programs -----------------------------------------------------------------------------------

class Writer {
  public:
    explicit Writer(u64 seed) : random_(seed) {}

    std::string program() {
        add({"r6 = 6", "r7 = r2", "r8 = 8", "r9 = 9"});
        std::size_t call = 0;
        for (u64 n = 2 + below(4); n > 0; --n) {
            if (call == 0 && below(4) == 0) {
                add({"r1 = r7"});
                call = lines_.size();
                add({"", "r7 ^= r0"});
            } else {
                part();
            }
        }
        end();
        if (call != 0) {
            const auto maps_named =
                std::count_if(lines_.begin() + static_cast<std::ptrdiff_t>(call), lines_.end(),
                              [](const std::string& line) { return line.ends_with(" ll"); });
            lines_[call] =
                "call +" + std::to_string(lines_.size() - call - 1 +
                                          static_cast<std::size_t>(maps_named));  // of two slots
            add({"r7 = r1", "r6 = 3", "r8 = 1", "r9 = 0"});
            part();
            end();
        }
        std::string text;
        for (const std::string& line : lines_) text += line + '\n';
        return text;
    }

  private:
    u64 below(u64 n) { return random_() % n; }
    void add(std::initializer_list<std::string> lines) { lines_.insert(lines_.end(), lines); }

    void part() {
        if (below(6) == 0) {
            add({"r1 = r7", "r2 = r7", "r2 >>= 7", "call " + std::to_string(kExchange)});
            return;
        }
        const u64 map = below(kNamed);
        key();
        add({"r1 = " + std::to_string(map) + " ll", "call " + std::to_string(kLookup)});
        if (map != kOfMaps) return use();
        // In the map that was found, which may be none.
        add({"if r0 == 0x0 goto +0"});
        const std::size_t jump = lines_.size();
        add({"r1 = r0"});
        key("r1 = r0");
        add({"call " + std::to_string(kLookup)});
        use();
        lines_[jump - 1] = "if r0 == 0x0 goto +" + std::to_string(lines_.size() - jump);
    }
    // At r2: a constant, or what has been found so far; with something behind it.
    void key(const std::string& instead_of_r1 = "") {
        add({"*(u64 *)(r10 - 8) = r7"});
        if (below(2) == 0) {
            constexpr const char* kSome[] = {"0", "1", "2", "3", "4", "5", "6", "7", "-1"};
            add({"*(u32 *)(r10 - 8) = " + std::string(kSome[below(std::size(kSome))])});
        } else {
            add({"r3 = r7", below(2) ? "r3 &= 7" : "r3 &= 3"});
            if (below(8) == 0) add({"r3 |= -2147483648"});
            add({"*(u32 *)(r10 - 8) = r3"});
        }
        add({"r2 = r10", "r2 += -8"});
        if (!instead_of_r1.empty()) add({instead_of_r1});
    }
    void use() {
        add({"if r0 == 0x0 goto +4", "r1 = *(u64 *)(r0 + 0)", "r7 += r1", "r7 *= 31",
             "*(u64 *)(r0 + 0) = r7", "r7 += 5"});
    }
    void end() { add({"r0 = r7", "r0 += r6", "r0 += r8", "r0 += r9", "exit"}); }

    std::mt19937_64 random_;
    std::vector<std::string> lines_;
};

// Each 64-bit constant is a map's number.
std::vector<std::byte> assembled(const std::string& text) {
    const auto slots = isa::text::assemble(text, isa::text::Dialect::Llvm);
    if (!slots) return {};
    auto insns = ir::decode_insns(*slots);
    if (!insns) return {};
    for (isa::Insn& insn : *insns)
        if (insn.form == isa::Form::Wide) insn.kind = static_cast<u8>(isa::WideKind::MapIndex);
    return encoded(*insns);
}

// What a proof says of such a program: the map that r1 holds, and a constant key.
ir::Facts facts_of(const ir::Program& program) {
    using isa::Form;
    ir::Facts facts;
    i32 map = -1;
    std::optional<u32> key;
    for (const isa::Insn& insn : program.insns) {
        ir::InsnFacts fact{.reachable = true};
        if (insn.form == Form::Call && insn.imm == kLookup) {
            fact.constant_map = map;
            fact.constant_key = key.has_value();
            fact.key = key.value_or(0);
        }
        facts.insns.push_back(fact);
        if (insn.form == Form::StoreImm) key = static_cast<u32>(insn.imm);
        if (insn.form == Form::StoreReg) key.reset();
        if (insn.form == Form::Call) map = -1;
        if (insn.form == Form::AluReg && insn.dst == 1) map = -1;
        if (insn.form == Form::Wide) map = static_cast<i32>(insn.map_index());
    }
    facts.stack_used.assign(program.subprograms.size(), isa::kStackSize);
    facts.max_call_depth = 2;
    return facts;
}

// --- both ways ----------------------------------------------------------------------------------

bool may_call(Invocation*, u64, const u64*) {
    return true;
}
__attribute__((ms_abi)) bool windows_access(const code::Bounds* bounds, u64 address, u64 access) {
    return code::access_allowed(bounds, address, access);
}
using WindowsHelper = __attribute__((ms_abi)) u64 (*)(u64, u64, u64, u64, u64, Invocation*);
u64 call_windows(u64 a, u64 b, u64 c, u64 d, u64 e, Invocation* invocation) {
    return reinterpret_cast<WindowsHelper>(invocation->bounds->callee)(a, b, c, d, e, invocation);
}

struct Outcome {
    u64 r0 = 0, fault = 0;
    World world;
    friend bool operator==(const Outcome&, const Outcome&) = default;
};

template <typename Enter>
Outcome run(u64 seed, bool checked, bool windows_code, Enter enter) {
    start(seed);
    const code::Range whole{reinterpret_cast<u64>(world.values.data()), sizeof world.values, true};
    code::Bounds bounds{.window = code::window_of(whole), .memory = whole, .may_call = &may_call};
    if (windows_code) {
        bounds.access = reinterpret_cast<decltype(bounds.access)>(windows_access);
        bounds.call = reinterpret_cast<code::HelperFn>(windows<call_windows>);
    }
    Invocation invocation{.slot = static_cast<u32>(seed % kCpus)};
    if (checked) invocation.bounds = &bounds;
    const u64 r0 = enter(nullptr, seed, &invocation);
    return {r0, invocation.fault, world};
}

}  // namespace

std::optional<std::string> try_lookups(u64 seed, const Variant& variant, u32* compiled_in) {
    const std::string text = Writer(seed).program();
    const auto slots = assembled(text);
    if (slots.empty()) return "no program:\n" + text;
    const auto interpreted =
        Interpreted::prepare(slots,
                             {nullptr,
                              [](void*, RelocKind kind, u32 index, u32) -> Result<u64> {
                                  return address_of(kind, index, CallingConvention::SystemV);
                              }},
                             kNamed);
    Result<ir::Program> program = ir::decode_program(slots);
    if (!interpreted || !program) return "refused:\n" + text;
    for (u32 m = 0; m < kNamed; ++m) {
        program->maps.push_back({.name = {},
                                 .type = kShapes[m].type,
                                 .key_size = 4,
                                 .value_size = kShapes[m].value_size,
                                 .max_entries = kShapes[m].entries,
                                 .initial = {}});
    }
    start(seed);  // before addresses are asked for
    const auto convention = variant.target.convention;
    const auto output = jit::compile(*program, facts_of(*program), variant.target, variant.options);
    if (!output || !code::validate(output->view(0))) return "the JIT refuses:\n" + text;
    const jit::test::Placed placed(*output, convention, [&](const code::Relocation& r) {
        return address_of(r.kind, r.index, convention);
    });
    if (compiled_in != nullptr) {
        for (const code::Relocation& r : output->relocations)
            *compiled_in += r.kind == RelocKind::ArrayValues64 ||
                            r.kind == RelocKind::ObjectSlots64 || r.kind == RelocKind::Lookup64;
    }
    const bool checked = variant.options.checked;
    const Outcome expected = run(seed, checked, false, [&](void* r1, u64 r2, Invocation* i) {
        return interpreted->run(r1, r2, i);
    });
    const Outcome got = run(seed, checked, convention == CallingConvention::WindowsX64,
                            [&](void* r1, u64 r2, Invocation* i) { return placed.run(r1, r2, i); });
    if (expected == got) return {};
    return text + (expected.r0 != got.r0         ? "r0 differs"
                   : expected.fault != got.fault ? "the end differs"
                                                 : "values differ");
}

}  // namespace ebpf::engines
