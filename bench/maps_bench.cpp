// SPDX-License-Identifier: MIT
//
// Maps as programs see them: one operation inside an epoch, as the helpers call it. Ratios between
// rows of one run mean something (the array's lookup is the cheapest thing that a map can do);
// absolute times are the machine's.
#include <benchmark/benchmark.h>

#include <vector>

#include "runtime/runtime.hpp"

namespace ebpf::runtime {
namespace {

struct Bench {
    Runtime* runtime = nullptr;
    Map* map = nullptr;
    std::vector<u32> keys;

    Bench(spec::MapType type, u32 entries) {
        Result<Runtime*> made = Runtime::create({});
        if (!made) return;
        runtime = *made;
        const spec::Door door = runtime->door();
        const spec::Caller caller{door.open_session(door.self), spec::Dialect::Linux, true};
        spec::MapCreateAttr attr;
        attr.map_type = static_cast<u32>(spec::number(spec::Dialect::Linux, type));
        attr.key_size = 4;
        attr.value_size = 8;
        attr.max_entries = entries;
        if (!door(caller, spec::Command::MapCreate, &attr)) return;
        map = static_cast<Map*>(runtime->ids(ObjectKind::Map).find(1));
        u32 state = 1;
        for (u32 i = 0; i < entries; ++i) {
            const u64 value = i;
            (void)map->ops->update(*map, &i, &value, kUpdateAny, 0);
        }
        for (u32 i = 0; i < 65536; ++i) {
            state = state * 1664525 + 1013904223;  // Numerical Recipes
            keys.push_back(static_cast<u32>(u64{state} * entries >> 32));
        }
    }
    ~Bench() {
        if (map != nullptr) release(*map);
        Runtime::destroy(runtime);
    }
    Bench(const Bench&) = delete;
    Bench& operator=(const Bench&) = delete;
};

void lookup(benchmark::State& state, spec::MapType type) {
    const Bench bench(type, static_cast<u32>(state.range(0)));
    if (bench.map == nullptr) return state.SkipWithError("no map");
    const EpochGuard guard(bench.runtime->epochs());
    u64 sum = 0;
    std::size_t i = 0;
    for (auto _ : state) {
        const void* value = bench.map->ops->lookup(*bench.map, &bench.keys[i++ & 65535], 0);
        sum += *static_cast<const u64*>(value);
    }
    benchmark::DoNotOptimize(sum);
}

void update(benchmark::State& state, spec::MapType type) {
    const Bench bench(type, static_cast<u32>(state.range(0)));
    if (bench.map == nullptr) return state.SkipWithError("no map");
    std::size_t i = 0;
    for (auto _ : state) {
        // An epoch for each, so that replaced values can go.
        const EpochGuard guard(bench.runtime->epochs());
        const u64 value = i;
        (void)bench.map->ops->update(*bench.map, &bench.keys[i++ & 65535], &value, kUpdateAny, 0);
    }
}

void enter_and_leave(benchmark::State& state) {
    const Bench bench(spec::MapType::Array, 1);
    if (bench.map == nullptr) return state.SkipWithError("no map");
    for (auto _ : state) {
        const EpochGuard guard(bench.runtime->epochs());
        benchmark::DoNotOptimize(guard.slot());
    }
}

BENCHMARK(enter_and_leave);
BENCHMARK_CAPTURE(lookup, array, spec::MapType::Array)->Arg(64)->Arg(10000)->Arg(1000000);
BENCHMARK_CAPTURE(lookup, hash, spec::MapType::Hash)->Arg(64)->Arg(10000)->Arg(1000000);
BENCHMARK_CAPTURE(update, array, spec::MapType::Array)->Arg(64)->Arg(10000);
BENCHMARK_CAPTURE(update, hash, spec::MapType::Hash)->Arg(64)->Arg(10000);

}  // namespace
}  // namespace ebpf::runtime

BENCHMARK_MAIN();
