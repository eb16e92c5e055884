// SPDX-License-Identifier: MIT
//
// Wrong calls on maps of every type that the runtime has: creation with each size, flag and number
// of elements at its limits; then each operation on a map that is empty, filled, full, frozen, or
// closed for reading or writing.
#include <cstring>
#include <memory>

#include "errno_side.hpp"
#include "spec/map_types.hpp"

namespace ebpf::tests {
namespace {

using spec::MapTypeInfo;

constexpr std::uint32_t kEntries = 4;

// What a map of the type is made with, where it is right.
struct Shape {
    std::uint32_t type, key, value, entries, flags;
    bool holds_maps;
};

Shape right_shape(const MapTypeInfo& type) {
    Shape shape{static_cast<std::uint32_t>(type.number[0]),
                4,
                8,
                kEntries,
                0,
                type.holds == spec::Holds::Map};
    if (type.key == spec::SizeRule::Zero) shape.key = 0;
    if (type.key == spec::SizeRule::LpmKey) shape.key = 8;
    if (type.key == spec::SizeRule::StorageKey) shape.key = 8;
    if (type.value == spec::SizeRule::Zero) shape.value = 0;
    if (type.value == spec::SizeRule::Four || type.value == spec::SizeRule::FourOrZero) {
        shape.value = 4;
    }
    if (type.entries == spec::EntriesRule::RingBytes) shape.entries = 4096;
    if (type.entries == spec::EntriesRule::Zero) shape.entries = 0;
    if (type.key == spec::SizeRule::LpmKey || type.entries == spec::EntriesRule::Zero) {
        shape.flags = BPF_F_NO_PREALLOC;
    }
    return shape;
}

Fd make(const Side& side, const Shape& shape, std::uint64_t extra = 0,
        std::uint32_t value_type = 0) {
    return side.make(shape.type, shape.key, shape.value, shape.entries, shape.flags, extra,
                     shape.holds_maps ? side.array.get() : -1, value_type);
}

std::string text(std::uint64_t value) {
    char out[24];
    std::snprintf(out, sizeof out, value < 100'000 ? "%llu" : "%#llx",
                  static_cast<unsigned long long>(value));
    return out;
}

void add_create(std::vector<Row>& rows, const MapTypeInfo& type) {
    const Shape right = right_shape(type);
    const auto add = [&](const std::string& what, Shape shape, std::uint64_t extra = 0,
                         std::function<void(const Side&, bpf_attr&)> more = {}) {
        rows.push_back({std::string("create ") + type.name + ": " + what, false, true,
                        [shape, extra, more](const Side& side) {
                            bpf_attr attr = zeros();
                            attr.map_type = shape.type;
                            attr.key_size = shape.key;
                            attr.value_size = shape.value;
                            attr.max_entries = shape.entries;
                            attr.map_flags = shape.flags;
                            attr.map_extra = extra;
                            if (shape.holds_maps) attr.inner_map_fd = side.array.u32();
                            if (more) more(side, attr);
                            return answer(side.call, BPF_MAP_CREATE, attr);
                        }});
    };
    add("right", right);
    for (const std::uint32_t size : {0u, 1u, 3u, 4u, 5u, 8u, 12u, 260u, 261u, 512u, 513u, 4096u,
                                     1u << 20, 0x80000000u, 0xffffffffu}) {
        Shape shape = right;
        shape.key = size;
        add("key_size " + text(size), shape);
        shape = right;
        shape.value = size;
        add("value_size " + text(size), shape);
    }
    for (const std::uint32_t entries : {0u, 1u, 3u, 4095u, 4096u, 4097u, 8192u}) {
        Shape shape = right;
        shape.entries = entries;
        add("max_entries " + text(entries), shape);
    }
    if (type.type != spec::MapType::BloomFilter) {  // there it is only a wish
        Shape shape = right;
        shape.entries = 0xffffffff;
        add("max_entries " + text(shape.entries), shape);
    }
    for (int bit = 0; bit < 32; ++bit) {
        Shape shape = right;
        shape.flags ^= 1u << bit;
        add("map_flags ^ " + text(1u << bit), shape);
    }
    for (const std::uint32_t both :
         {BPF_F_RDONLY | BPF_F_WRONLY, BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG}) {
        Shape shape = right;
        shape.flags |= both;
        add("map_flags | " + text(both), shape);
    }
    for (const std::uint64_t extra : {1ull, 15ull, 16ull, 1ull << 32}) {
        add("map_extra " + text(extra), right, extra);
    }
    add("numa_node without its flag", right, 0,
        [](const Side&, bpf_attr& attr) { attr.numa_node = 1; });
    add("no such interface", right, 0,
        [](const Side&, bpf_attr& attr) { attr.map_ifindex = 9999; });
    // Types of small_btf(): 0 none, 1 a number, 2 a structure, 4 a data section, 7 with a lock, 9
    // with a timer.
    for (const std::uint32_t key : {0u, 1u, 2u, 3u, 99u}) {
        for (const std::uint32_t value : {1u, 2u, 4u, 5u, 7u, 9u, 99u}) {
            Shape shape = right;
            if (value == 9) shape.value = 16;
            for (const std::uint32_t entries : {1u, right.entries}) {
                shape.entries = entries;
                add("key type " + text(key) + ", value type " + text(value) + ", " + text(entries),
                    shape, 0, [key, value](const Side& side, bpf_attr& attr) {
                        attr.btf_fd = side.btf.u32();
                        attr.btf_key_type_id = key;
                        attr.btf_value_type_id = value;
                    });
            }
        }
    }
    for (const std::uint32_t flags : {BPF_F_RDONLY_PROG, BPF_F_WRONLY_PROG, BPF_F_MMAPABLE}) {
        Shape shape = right;
        shape.flags |= flags;
        add("a lock with map_flags " + text(flags), shape, 0, [](const Side& side, bpf_attr& attr) {
            attr.btf_fd = side.btf.u32();
            attr.btf_key_type_id = 1;
            attr.btf_value_type_id = 7;
        });
    }
    for (const char* what : {"file", "closed", "map"}) {
        const std::string kind = what;
        add("btf_fd " + kind, right, 0, [kind](const Side& side, bpf_attr& attr) {
            attr.btf_fd = kind == "file"  ? side.file.u32()
                          : kind == "map" ? side.array.u32()
                                          : 9999;
            attr.btf_key_type_id = attr.btf_value_type_id = 1;
        });
    }
    for (const char* what : {"file", "closed", "program", "ring", "programs"}) {
        const std::string kind = what;
        add("inner_map_fd " + kind, right, 0, [kind](const Side& side, bpf_attr& attr) {
            attr.inner_map_fd = kind == "file"      ? side.file.u32()
                                : kind == "closed"  ? 9999
                                : kind == "program" ? side.program.u32()
                                : kind == "ring"    ? side.ring.u32()
                                                    : side.programs.u32();
        });
    }
}

// Keys and values that the operations use. `number` tells elements apart.
struct Content {
    std::uint32_t key[64] = {};
    unsigned char value[8192] = {};
    std::uint64_t out[1024] = {};
};

void set_key(const MapTypeInfo& type, Content& content, std::uint32_t number) {
    content.key[0] = type.key == spec::SizeRule::LpmKey ? 32 : number;
    content.key[1] = number;
}

// What stands as a value: a descriptor where the map holds objects.
void set_value(const MapTypeInfo& type, const Side& side, const Fd& event, Content& content) {
    const int object = type.holds == spec::Holds::Map         ? side.array.get()
                       : type.holds == spec::Holds::Program   ? side.program.get()
                       : type.holds == spec::Holds::PerfEvent ? event.get()
                                                              : 7;
    std::memcpy(content.value, &object, sizeof object);
}

int element(const Side& side, int command, int map, const void* key, const void* value,
            std::uint64_t flags = 0) {
    bpf_attr attr = zeros();
    attr.map_fd = static_cast<std::uint32_t>(map);
    attr.key = address(key);
    attr.value = address(value);
    attr.flags = flags;
    return answer(side.call, command, attr);
}

int batch(const Side& side, int command, int map, const void* in, void* out, void* keys,
          void* values, std::uint32_t count, std::uint64_t elem_flags = 0,
          std::uint64_t flags = 0) {
    bpf_attr attr = zeros();
    attr.batch.map_fd = static_cast<std::uint32_t>(map);
    attr.batch.in_batch = address(in);
    attr.batch.out_batch = address(out);
    attr.batch.keys = address(keys);
    attr.batch.values = address(values);
    attr.batch.count = count;
    attr.batch.elem_flags = elem_flags;
    attr.batch.flags = flags;
    return answer(side.call, command, attr);
}

// A map in one state.
struct State {
    const char* name;
    std::uint32_t flags;
    std::uint32_t elements;
    bool frozen;
    std::uint32_t value_type = 0;  // of small_btf(): 7 has a lock, 9 a timer
};
constexpr State kStates[] = {{"empty", 0, 0, false},
                             {"filled", 0, 1, false},
                             {"full", 0, kEntries, false},
                             {"frozen", 0, 1, true},
                             {"read-only", BPF_F_RDONLY, 0, false},
                             {"write-only", BPF_F_WRONLY, 0, false},
                             {"read-only to programs", BPF_F_RDONLY_PROG, 1, false},
                             {"write-only to programs", BPF_F_WRONLY_PROG, 1, false},
                             {"with locks, empty", 0, 0, false, 7},
                             {"with locks, filled", 0, 1, false, 7},
                             {"with locks, full", 0, kEntries, false, 7},
                             {"with timers", 0, 1, false, 9}};

using Operation =
    std::function<int(const Side& side, const MapTypeInfo& type, int map, Content& c)>;
struct Named {
    std::string name;
    Operation run;
};

std::vector<Named> operations() {
    std::vector<Named> list;
    // With a key of an element that is there when there are any, and one that is not.
    for (const std::uint32_t number : {1u, 3u, 1000u}) {
        const std::string which = " of " + text(number);
        const auto on = [number](int command, std::uint64_t flags, bool keyed, bool valued,
                                 bool by_key = true) -> Operation {
            return [=](const Side& side, const MapTypeInfo& type, int map, Content& c) {
                set_key(type, c, number);
                const bool needs = type.key != spec::SizeRule::Zero || !by_key;
                const void* value =
                    command == BPF_MAP_UPDATE_ELEM || type.type == spec::MapType::BloomFilter
                        ? static_cast<void*>(c.value)
                        : c.out;
                return element(side, command, map, keyed && needs ? c.key : nullptr,
                               valued ? value : nullptr, flags);
            };
        };
        for (const std::uint64_t flags : {0, 1, 2, 3, 4, 5, 6, 8, 64}) {
            list.push_back({"update, flags " + text(flags) + which,
                            on(BPF_MAP_UPDATE_ELEM, flags, true, true)});
        }
        for (const std::uint64_t flags : {0, 1, 4, 8, 64}) {
            list.push_back({"lookup, flags " + text(flags) + which,
                            on(BPF_MAP_LOOKUP_ELEM, flags, true, true)});
            list.push_back({"take, flags " + text(flags) + which,
                            on(BPF_MAP_LOOKUP_AND_DELETE_ELEM, flags, true, true)});
        }
        list.push_back({"delete" + which, on(BPF_MAP_DELETE_ELEM, 0, true, false)});
        list.push_back({"next" + which, on(BPF_MAP_GET_NEXT_KEY, 0, true, true)});
        if (number != 1) continue;
        list.push_back({"update without key", on(BPF_MAP_UPDATE_ELEM, 0, false, true)});
        list.push_back({"update without value", on(BPF_MAP_UPDATE_ELEM, 0, true, false)});
        list.push_back({"lookup without key", on(BPF_MAP_LOOKUP_ELEM, 0, false, true)});
        list.push_back({"lookup without value", on(BPF_MAP_LOOKUP_ELEM, 0, true, false)});
        list.push_back({"take without key", on(BPF_MAP_LOOKUP_AND_DELETE_ELEM, 0, false, true)});
        list.push_back({"take without value", on(BPF_MAP_LOOKUP_AND_DELETE_ELEM, 0, true, false)});
        list.push_back({"delete without key", on(BPF_MAP_DELETE_ELEM, 0, false, false)});
        list.push_back({"first key", on(BPF_MAP_GET_NEXT_KEY, 0, false, true)});
        list.push_back({"next without result", on(BPF_MAP_GET_NEXT_KEY, 0, true, false)});
        list.push_back({"update with a key", on(BPF_MAP_UPDATE_ELEM, 0, true, true, false)});
        list.push_back({"lookup with a key", on(BPF_MAP_LOOKUP_ELEM, 0, true, true, false)});
        list.push_back({"delete with a key", on(BPF_MAP_DELETE_ELEM, 0, true, false, false)});
    }
    for (const char* what : {"closed", "file", "map", "program", "nested", "locked"}) {
        const std::string kind = what;
        list.push_back({"update with a descriptor, " + kind,
                        [kind](const Side& side, const MapTypeInfo& type, int map, Content& c) {
                            set_key(type, c, 1);
                            // As side.array is, but for the lock.
                            const Fd locked = side.make(BPF_MAP_TYPE_ARRAY, 4, 8, 4, 0, 0, -1, 7);
                            const int object = kind == "closed"    ? 9999
                                               : kind == "file"    ? side.file.get()
                                               : kind == "map"     ? side.hash.get()
                                               : kind == "program" ? side.program.get()
                                               : kind == "locked"  ? locked.get()
                                                                   : map;
                            std::memcpy(c.value, &object, sizeof object);
                            return element(side, BPF_MAP_UPDATE_ELEM, map,
                                           type.key == spec::SizeRule::Zero ? nullptr : c.key,
                                           c.value);
                        }});
    }
    for (const std::uint32_t count : {0u, 1u, 3u, 100u}) {
        for (const int command : {BPF_MAP_LOOKUP_BATCH, BPF_MAP_LOOKUP_AND_DELETE_BATCH,
                                  BPF_MAP_UPDATE_BATCH, BPF_MAP_DELETE_BATCH}) {
            const bool looks =
                command == BPF_MAP_LOOKUP_BATCH || command == BPF_MAP_LOOKUP_AND_DELETE_BATCH;
            const char* const name = command == BPF_MAP_LOOKUP_BATCH              ? "lookup batch"
                                     : command == BPF_MAP_LOOKUP_AND_DELETE_BATCH ? "take batch"
                                     : command == BPF_MAP_UPDATE_BATCH            ? "update batch"
                                                                                  : "delete batch";
            const auto add = [&](const std::string& how, bool keys, bool values, bool out,
                                 std::uint64_t elem_flags = 0, std::uint64_t flags = 0) {
                list.push_back(
                    {name + (" of " + text(count)) + how,
                     [=](const Side& side, const MapTypeInfo& type, int map, Content& c) {
                         std::memset(c.out, 0, sizeof c.out);
                         std::uint32_t position[64] = {};
                         auto* many = reinterpret_cast<std::uint32_t*>(side.buffers->a);
                         const unsigned words = type.key == spec::SizeRule::LpmKey ? 2 : 1;
                         for (std::uint32_t i = 0; i < count && !looks; ++i) {
                             if (words == 2) many[std::size_t{i} * 2] = 32;
                             many[std::size_t{i} * words + words - 1] = i;
                             std::memcpy(side.buffers->b + std::size_t{i} * 4, c.value, 4);
                         }
                         return batch(
                             side, command, map, nullptr, looks && out ? position : nullptr,
                             keys ? side.buffers->a : nullptr,
                             values && command != BPF_MAP_DELETE_BATCH ? side.buffers->b : nullptr,
                             count, elem_flags, flags);
                     }});
            };
            add("", true, true, true);
            if (count != 3) continue;
            add(" without keys", false, true, true);
            add(" without values", true, false, true);
            if (looks) add(" without a position", true, true, false);
            add(", flags 1", true, true, true, 0, 1);
            add(", elem_flags 1", true, true, true, 1);
            add(", elem_flags 4", true, true, true, 4);
            add(", elem_flags 64", true, true, true, 64);
        }
    }
    list.push_back({"freeze", [](const Side& side, const MapTypeInfo&, int map, Content&) {
                        bpf_attr attr = zeros();
                        attr.map_fd = static_cast<std::uint32_t>(map);
                        return answer(side.call, BPF_MAP_FREEZE, attr);
                    }});
    return list;
}

int in_state(const Side& side, const MapTypeInfo& type, const State& state, const Operation& run) {
    Shape shape = right_shape(type);
    shape.flags |= state.flags;
    if (state.value_type == 9) shape.value = 16;
    const Fd map = make(side, shape, 0, state.value_type);
    if (map.get() < 0) return 1000;  // the type has no such state: alike on both sides
    const bool events = type.holds == spec::Holds::PerfEvent;
    if (events && !Side::events_exist()) return 1000;
    const Fd event = events ? side.make_event() : Fd();
    auto content = std::make_unique<Content>();
    set_value(type, side, event, *content);
    for (std::uint32_t i = 0; i < state.elements; ++i) {
        set_key(type, *content, i + 1);
        element(side, BPF_MAP_UPDATE_ELEM, map.get(), shape.key ? content->key : nullptr,
                content->value);
    }
    if (state.frozen) {
        bpf_attr attr = zeros();
        attr.map_fd = map.u32();
        answer(side.call, BPF_MAP_FREEZE, attr);
    }
    return run(side, type, map.get(), *content);
}

}  // namespace

void add_map_rows(std::vector<Row>& rows) {
    for (int i = 0; i < spec::kMapTypeCount; ++i) {
        const MapTypeInfo& type = spec::info(static_cast<spec::MapType>(i));
        if (!type.implemented || type.number[0] <= 0) continue;
        add_create(rows, type);
        for (const State& state : kStates) {
            for (const Named& operation : operations()) {
                // The order of several elements, and which of them collide, is each table's own.
                const bool orders = operation.name.starts_with("next") ||
                                    operation.name.find(" batch") != std::string::npos;
                if (state.elements > 1 && !type.index_key && orders) continue;
                rows.push_back({std::string(type.name) + ", " + state.name + ": " + operation.name,
                                false, true,
                                [&type, &state, run = operation.run](const Side& side) {
                                    return in_state(side, type, state, run);
                                }});
            }
        }
    }
}

}  // namespace ebpf::tests
