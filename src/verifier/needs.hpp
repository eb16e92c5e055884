// SPDX-License-Identifier: MIT
//
// Which numbers mattered. A path was proven safe with certain ranges in its registers, but most of
// those ranges were never used. When a proof uses the range of a scalar (a pointer moved by it, a
// branch decided by it, a size passed to a helper), the node of that scalar is marked, and with it
// everything that its range was made of. Every checkpoint gives its scalars fresh nodes above their
// old ones; so afterwards a node that a checkpoint holds is marked exactly when its range mattered
// to some path from there, and a later state is covered although its unmarked scalars differ.
//
// Node 0 means "made of nothing that a checkpoint holds".
#pragma once

#include <vector>

#include "base/types.hpp"

namespace ebpf::verifier {

class NeedGraph {
  public:
    NeedGraph() : nodes_(1) {}

    u32 fresh(u32 parent) {
        nodes_.push_back({parent, 0});
        return static_cast<u32>(nodes_.size() - 1);
    }
    u32 combine(u32 a, u32 b) {
        if (a == b || b == 0) return a;
        if (a == 0) return b;
        nodes_.push_back({a, b});
        return static_cast<u32>(nodes_.size() - 1);
    }
    bool marked(u32 node) const { return nodes_[node].a & kMarked; }
    void mark(u32 node) {
        if (node == 0 || marked(node)) return;
        pending_.assign(1, node);
        while (!pending_.empty()) {
            Node& n = nodes_[pending_.back()];
            pending_.pop_back();
            if (n.a & kMarked) continue;
            const u32 a = n.a, b = n.b;
            n.a |= kMarked;
            if (a != 0) pending_.push_back(a);
            if (b != 0) pending_.push_back(b);
        }
    }
    u64 bytes() const { return nodes_.size() * sizeof(Node); }

  private:
    static constexpr u32 kMarked = u32{1} << 31;
    struct Node {
        u32 a = 0;
        u32 b = 0;
    };
    std::vector<Node> nodes_;
    std::vector<u32> pending_;
};

}  // namespace ebpf::verifier
