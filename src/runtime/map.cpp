// SPDX-License-Identifier: MIT
#include "runtime/map.hpp"

namespace ebpf::runtime {
namespace {

struct Row {
    spec::MapType type;
    const MapOps* ops;
};

// Which operations serve a type. Every type that map_types.def calls implemented has a row here,
// and no other (tests/runtime).
constexpr Row kRows[] = {
    {spec::MapType::Hash, &kHashOps},
    {spec::MapType::Array, &kArrayOps},
    {spec::MapType::PercpuArray, &kPercpuArrayOps},
    {spec::MapType::ProgArray, &kProgArrayOps},
    {spec::MapType::Ringbuf, &kRingOps},
};

}  // namespace

const MapOps* map_ops(spec::MapType type) {
    for (const Row& row : kRows) {
        if (row.type == type) return row.ops;
    }
    return nullptr;
}

}  // namespace ebpf::runtime
