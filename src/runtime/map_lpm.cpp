// SPDX-License-Identifier: MIT
//
// Longest-prefix-match tries. A key is a length in bits and the bits, first bit first; a node
// stands for one prefix and everything under it begins with that. A node without a value joins two
// subtrees that differ after its prefix, so there are never more of those than of others. Readers
// descend without a lock, inside their epoch; writers hold the map's lock and change what readers
// see by one pointer. (The structure is Linux's, kernel/bpf/lpm_trie.c, and so are order of keys
// and errors.)
//
// A lookup compares at each node; keys of up to 128 bits, which addresses are, it holds in
// registers for that. Nodes come from two pools (element_pool.hpp).
#include <bit>
#include <cstring>
#include <new>

#include "platform/memory.hpp"
#include "runtime/element_pool.hpp"
#include "runtime/map.hpp"
#include "runtime/runtime.hpp"

namespace ebpf::runtime {
namespace {

constexpr u32 kLengthBytes = 4;

struct Node : PoolItem {
    std::atomic<Node*> child[2] = {};
    u32 length = 0;
    bool joins = false;  // has no value
    // then the prefix's bytes, padded to 8, and the value
    std::byte* bits() { return reinterpret_cast<std::byte*>(this + 1); }
};
static_assert(sizeof(Node) == 32);

struct Trie {
    std::atomic<Node*> root{nullptr};
    platform::SpinLock lock;
    u32 count = 0;
    ElementPool values;
    ElementPool joins;

    ElementPool& pool(const Node& node) { return node.joins ? joins : values; }
};

Trie& trie_of(const Map& map) {
    return *static_cast<Trie*>(map.state);
}

u32 data_bytes(const Map& map) {
    return map.key_size - kLengthBytes;
}

std::byte* value_of(const Map& map, Node& node) {
    return node.bits() + ((data_bytes(map) + 7) & ~7u);
}

// A key as it is passed.
struct Prefix {
    u32 length;
    const std::byte* bits;

    explicit Prefix(const void* key) : bits(static_cast<const std::byte*>(key) + kLengthBytes) {
        std::memcpy(&length, key, sizeof length);
    }
    explicit Prefix(Node& node) : length(node.length), bits(node.bits()) {}
};

u32 bit_at(const std::byte* bits, u32 index) {
    return std::to_integer<u32>(bits[index / 8] >> (7 - index % 8)) & 1;
}

template <typename Word>
Word big_endian(const std::byte* at) {
    Word word;
    std::memcpy(&word, at, sizeof word);
    return std::byteswap(word);
}

// How many first bits the node's prefix and the key share, at most both lengths.
u32 shared_bits(const Map& map, Node& node, const Prefix& key) {
    const u32 limit = node.length < key.length ? node.length : key.length;
    const u32 bytes = data_bytes(map);
    const std::byte* a = node.bits();
    u32 at = 0;
    for (; at + 4 <= bytes && at * 8 < limit; at += 4) {
        const u32 differing = big_endian<u32>(a + at) ^ big_endian<u32>(key.bits + at);
        if (differing != 0) {
            const u32 shared = at * 8 + static_cast<u32>(std::countl_zero(differing));
            return shared < limit ? shared : limit;
        }
    }
    for (; at < bytes && at * 8 < limit; ++at) {
        const u8 differing = std::to_integer<u8>(a[at] ^ key.bits[at]);
        if (differing != 0) {
            const u32 shared = at * 8 + static_cast<u32>(std::countl_zero(differing));
            return shared < limit ? shared : limit;
        }
    }
    return limit;
}

Node* make_node(const Map& map, const Prefix& key, u32 length, const void* value) {
    Trie& trie = trie_of(map);
    auto* node = static_cast<Node*>((value != nullptr ? trie.values : trie.joins).take());
    if (node == nullptr) return nullptr;
    for (auto& child : node->child) child.store(nullptr, std::memory_order_relaxed);
    node->length = length;
    node->joins = value == nullptr;
    std::memcpy(node->bits(), key.bits, data_bytes(map));
    if (value != nullptr) std::memcpy(value_of(map, *node), value, map.value_size);
    return node;
}

void give_back(const Map& map, Node* node) {
    if (node != nullptr) trie_of(map).pool(*node).give_back(node);
}
void retire(const Map& map, Node* node) {
    if (node != nullptr) trie_of(map).pool(*node).retire(node);
}

void construct_node(void* memory, std::byte*, u64) {
    new (memory) Node;
}

Status create(Map& map) {
    void* memory = platform::allocate(sizeof(Trie));
    if (memory == nullptr) return fail(Errc::NoMemory, {}, "trie");
    auto* trie = new (memory) Trie;
    const u32 without_value = static_cast<u32>(sizeof(Node)) + ((data_bytes(map) + 7) & ~7u);
    Epochs& epochs = map.runtime->epochs();
    Status made = trie->values.initialize(epochs, {.item_size = without_value + map.value_stride,
                                                   .expected = map.max_entries,
                                                   .construct = construct_node});
    if (made) {
        made = trie->joins.initialize(
            epochs,
            {.item_size = without_value, .expected = map.max_entries, .construct = construct_node});
    }
    if (!made) {
        trie->~Trie();
        platform::release(trie);
        return made;
    }
    map.state = trie;
    return {};
}

void destroy(Map& map) {
    trie_of(map).~Trie();
    platform::release(map.state);
}

Status check_length(const Map& map, const Prefix& key) {
    if (key.length > data_bytes(map) * 8) {
        return fail(Errc::InvalidArgument, {}, "prefix length", key.length);
    }
    return {};
}

// A key in registers, first bit highest, so that a step down is a comparison and a shift.
struct ShortKey {  // up to 64 bits
    u64 bits;

    // By words of 4 bytes, as programs put addresses together: what they have just written is read
    // back in pieces no larger than those, which processors do without waiting.
    ShortKey(const std::byte* at, u32 bytes) : bits(0) {
        u32 shift = 64;
        for (; bytes >= 4; bytes -= 4, at += 4) bits |= u64{big_endian<u32>(at)} << (shift -= 32);
        for (; bytes > 0; --bytes, ++at) bits |= std::to_integer<u64>(*at) << (shift -= 8);
    }
    u32 bit(u32 index) const { return static_cast<u32>(bits << index >> 63); }
    bool begins_with(const std::byte* node, u32 length) const {
        return length == 0 || (big_endian<u64>(node) ^ bits) >> (64 - length) == 0;
    }
};

struct LongKey {  // up to 128 bits
    ShortKey high, low;

    LongKey(const std::byte* at, u32 bytes) : high(at, 8), low(at + 8, bytes - 8) {}
    u32 bit(u32 index) const { return index < 64 ? high.bit(index) : low.bit(index - 64); }
    bool begins_with(const std::byte* node, u32 length) const {
        if (length <= 64) return high.begins_with(node, length);
        return high.begins_with(node, 64) && low.begins_with(node + 8, length - 64);
    }
};

struct AnyKey {
    const std::byte* at;

    AnyKey(const std::byte* bits, u32) : at(bits) {}
    u32 bit(u32 index) const { return bit_at(at, index); }
    bool begins_with(const std::byte* node, u32 length) const {
        if (std::memcmp(node, at, length / 8) != 0) return false;
        const auto differing = node[length / 8] ^ at[length / 8];
        return length % 8 == 0 || std::to_integer<u32>(differing >> (8 - length % 8)) == 0;
    }
};

template <typename Key>
Node* find(const Map& map, const Prefix& prefix) {
    const Key key(prefix.bits, data_bytes(map));
    Node* found = nullptr;
    Node* node = trie_of(map).root.load(std::memory_order_acquire);
    while (node != nullptr && node->length <= prefix.length &&
           key.begins_with(node->bits(), node->length)) {
        if (!node->joins) found = node;
        if (node->length == prefix.length) break;
        node = node->child[key.bit(node->length)].load(std::memory_order_acquire);
    }
    return found;
}

void* lookup(Map& map, const void* key, u32) {
    const Prefix prefix(key);
    if (prefix.length > data_bytes(map) * 8) return nullptr;
    Node* const found = data_bytes(map) <= 8    ? find<ShortKey>(map, prefix)
                        : data_bytes(map) <= 16 ? find<LongKey>(map, prefix)
                                                : find<AnyKey>(map, prefix);
    return found != nullptr ? value_of(map, *found) : nullptr;
}

// Where a key is or would be: the link to the first node that is not a shorter prefix of it.
struct Place {
    std::atomic<Node*>* link;
    std::atomic<Node*>* parent_link;  // to the node that `link` is in; null for the root
    Node* node;
    u32 shared;
};

Place place_of(Map& map, const Prefix& key) {
    Place place{&trie_of(map).root, nullptr, nullptr, 0};
    for (;;) {
        place.node = place.link->load(std::memory_order_relaxed);
        if (place.node == nullptr) return place;
        place.shared = shared_bits(map, *place.node, key);
        if (place.shared < place.node->length || place.node->length == key.length) return place;
        place.parent_link = place.link;
        place.link = &place.node->child[bit_at(key.bits, place.node->length)];
    }
}

void adopt_children(Node& to, const Node& from) {
    for (u32 side = 0; side < 2; ++side) {
        to.child[side].store(from.child[side].load(std::memory_order_relaxed),
                             std::memory_order_relaxed);
    }
}

bool is_at(const Place& place, const Prefix& key) {
    return place.node != nullptr && place.node->length == key.length && place.shared == key.length;
}

// Links `fresh`, with a new node above it where two prefixes part. NoMemory.
Status link_node(const Map& map, const Place& place, Node& fresh, const Prefix& key) {
    Node* node = place.node;
    Node* top = &fresh;
    if (is_at(place, key)) {
        adopt_children(fresh, *node);  // takes its place
    } else if (node != nullptr && place.shared == key.length) {
        fresh.child[bit_at(node->bits(), key.length)].store(node, std::memory_order_relaxed);
    } else if (node != nullptr) {
        top = make_node(map, key, place.shared, nullptr);
        if (top == nullptr) return fail(Errc::NoMemory, {}, "trie node");
        const u32 side = bit_at(key.bits, place.shared);
        top->child[side].store(&fresh, std::memory_order_relaxed);
        top->child[1 - side].store(node, std::memory_order_relaxed);
    }
    place.link->store(top, std::memory_order_release);
    return {};
}

// Under the trie's lock; `old` becomes the node that `fresh` replaced.
Status store(const Map& map, const Place& place, Node& fresh, const Prefix& key, u64 flags,
             Node*& old) {
    Trie& trie = trie_of(map);
    const bool same = is_at(place, key);
    const bool present = same && !place.node->joins;
    if (present && flags == kUpdateNoExist) return fail(Errc::KeyAlreadyExists);
    if (!present && flags == kUpdateExist) return fail(Errc::KeyNotFound);
    if (!present && trie.count == map.max_entries) {
        return fail(Errc::OutOfSpace, {}, "max_entries", map.max_entries);
    }
    TRY(link_node(map, place, fresh, key));
    if (same) old = place.node;
    if (!present) ++trie.count;
    return {};
}

Status update(Map& map, const void* key, const void* value, u64 flags, u32) {
    if (flags > kUpdateExist) return fail(Errc::InvalidArgument, {}, "flags", flags);
    const Prefix prefix(key);
    TRY(check_length(map, prefix));
    Trie& trie = trie_of(map);
    Node* fresh = make_node(map, prefix, prefix.length, value);
    if (fresh == nullptr) return fail(Errc::NoMemory, {}, "trie node");
    Node* old = nullptr;
    Status status;
    {
        platform::LockGuard guard(trie.lock);
        status = store(map, place_of(map, prefix), *fresh, prefix, flags, old);
    }
    if (!status) give_back(map, fresh);
    retire(map, old);
    return status;
}

Status write(Map& map, const void* key, const void* value, u64 flags) {
    return update(map, key, value, flags, 0);
}

// Unlinks the node's parent when it only joined it with `sibling`, which takes its place.
Node* unlink_join(const Place& place) {
    if (place.parent_link == nullptr) return nullptr;
    Node* parent = place.parent_link->load(std::memory_order_relaxed);
    if (!parent->joins) return nullptr;
    const u32 side = &parent->child[0] == place.link ? 0 : 1;
    place.parent_link->store(parent->child[1 - side].load(std::memory_order_relaxed),
                             std::memory_order_release);
    return parent;
}

Status remove(Map& map, const void* key) {
    const Prefix prefix(key);
    TRY(check_length(map, prefix));
    Trie& trie = trie_of(map);
    Node* old = nullptr;
    Node* join = nullptr;
    {
        platform::LockGuard guard(trie.lock);
        const Place place = place_of(map, prefix);
        old = place.node;
        if (!is_at(place, prefix) || old->joins) return fail(Errc::KeyNotFound);
        Node* left = old->child[0].load(std::memory_order_relaxed);
        Node* right = old->child[1].load(std::memory_order_relaxed);
        if (left != nullptr && right != nullptr) {
            // A joining node takes its place, so that a program keeps the value it found.
            Node* spare = make_node(map, prefix, prefix.length, nullptr);
            if (spare == nullptr) return fail(Errc::NoMemory, {}, "trie node");
            adopt_children(*spare, *old);
            place.link->store(spare, std::memory_order_release);
        } else if (left != nullptr || right != nullptr) {
            place.link->store(left != nullptr ? left : right, std::memory_order_release);
        } else {
            join = unlink_join(place);
            if (join == nullptr) place.link->store(nullptr, std::memory_order_release);
        }
        --trie.count;
    }
    retire(map, old);
    retire(map, join);
    return {};
}

Status read(Map& map, const void* key, void* value) {
    const void* found = lookup(map, key, 0);
    if (found == nullptr) return fail(Errc::KeyNotFound);
    read_words(value, found, map.value_size);
    return {};
}

// The first of a subtree: what is below comes before what is above. Leaves have values.
Node* first_below(Node* node) {
    for (;;) {
        Node* child = node->child[0].load(std::memory_order_acquire);
        if (child == nullptr) child = node->child[1].load(std::memory_order_acquire);
        if (child == nullptr) return node;
        node = child;
    }
}

// More specific prefixes come before less specific ones, 0 before 1. A key that is not there starts
// over. What follows a node is decided by its deepest ancestor that has something left: another
// subtree to the right, or itself.
Status next_key(Map& map, const void* key, void* next) {
    Node* root = trie_of(map).root.load(std::memory_order_acquire);
    if (root == nullptr) return fail(Errc::NoMoreKeys);
    Node* following = nullptr;
    bool below = false;  // following's first, not following itself
    const bool possible = key != nullptr && check_length(map, Prefix(key)).has_value();
    Node* node = possible ? root : nullptr;
    while (node != nullptr) {
        const Prefix prefix(key);
        if (shared_bits(map, *node, prefix) < node->length) {
            node = nullptr;
            break;
        }
        if (node->length == prefix.length) break;
        const u32 side = bit_at(prefix.bits, node->length);
        Node* right = node->child[1].load(std::memory_order_acquire);
        if (side == 0 && right != nullptr) {
            following = right, below = true;
        } else if (!node->joins) {
            following = node, below = false;
        }
        node = node->child[side].load(std::memory_order_acquire);
    }
    if (node == nullptr || node->joins) following = root, below = true;
    if (following == nullptr) return fail(Errc::NoMoreKeys);
    Node& found = below ? *first_below(following) : *following;
    std::memcpy(next, &found.length, kLengthBytes);
    std::memcpy(static_cast<std::byte*>(next) + kLengthBytes, found.bits(), data_bytes(map));
    return {};
}

}  // namespace

const MapOps kLpmTrieOps = {.create = create,
                            .destroy = destroy,
                            .lookup = lookup,
                            .update = update,
                            .remove = remove,
                            .read = read,
                            .write = write,
                            .next_key = next_key};

}  // namespace ebpf::runtime
