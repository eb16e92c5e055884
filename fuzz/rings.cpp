// SPDX-License-Identifier: MIT
// What a client may do with rings whose memory it has: the input is a row of steps that write
// positions, headers and bytes wherever the client can, between what programs do there. Whatever
// they are, a user ring's record lies in its data, no record of a ring buffer is given out over one
// that is still written, and no step takes longer than the ring is large.
#include <cstring>
#include <vector>

#include "platform/irql.hpp"
#include "runtime/runtime.hpp"
#include "spec/commands.hpp"
#include "spec/ring_buffer.hpp"

namespace {

using namespace ebpf;
using runtime::Map;

constexpr u64 kSize = 65536;  // Windows' least

void must(bool condition) {
    if (!condition) __builtin_trap();
}

// The input, byte by byte; zeros behind its end.
class Input {
  public:
    explicit Input(Bytes bytes) : bytes_(bytes) {}
    bool empty() const { return bytes_.empty(); }
    template <typename T>
    T take() {
        T value{};
        const std::size_t size = bytes_.size() < sizeof value ? bytes_.size() : sizeof value;
        std::memcpy(&value, bytes_.data(), size);
        bytes_ = bytes_.subspan(size);
        return value;
    }
    // A position: any, or near to what is there, so that short inputs reach something.
    u64 position(u64 now) {
        const u8 kind = take<u8>();
        if (kind % 4 == 0) return take<u64>();
        const u64 step = u64{take<u16>()} * (kind % 4 == 1 ? 1 : 8);
        return kind & 0x80 ? now - step : now + step;
    }

  private:
    Bytes bytes_;
};

// A ring of either direction in an execution context of its own.
class Ring {
  public:
    explicit Ring(spec::MapType type) {
        auto made = runtime::Runtime::create({.slots = 1});
        must(made.has_value());
        runtime_ = *made;
        const spec::Door door = runtime_->door();
        session_ = door.open_session(door.self);
        const spec::Caller caller{session_, spec::Dialect::Linux, true};
        spec::MapCreateAttr create;
        create.map_type = static_cast<u32>(spec::number(spec::Dialect::Linux, type));
        create.max_entries = kSize;
        const auto fd = door(caller, spec::Command::MapCreate, &create);
        must(fd.has_value());
        spec::RingMapAttr attr;
        attr.map_fd = static_cast<u32>(*fd);
        must(door(caller, spec::Command::RingMap, &attr).has_value());
        consumer = reinterpret_cast<u64*>(attr.consumer);
        producer = reinterpret_cast<u64*>(attr.producer);
        data = reinterpret_cast<std::byte*>(attr.data);
        map_ = static_cast<Map*>(runtime_->ids(runtime::ObjectKind::Map).find(1));
        must(map_ != nullptr);
    }
    ~Ring() {
        release(*map_);
        const spec::Door door = runtime_->door();
        door.close_session(door.self, session_);
        runtime::Runtime::destroy(runtime_);
    }
    Ring(const Ring&) = delete;
    Ring& operator=(const Ring&) = delete;

    Map& map() { return *map_; }
    runtime::Epochs& epochs() { return runtime_->epochs(); }

    u64* consumer = nullptr;
    u64* producer = nullptr;
    std::byte* data = nullptr;

  private:
    runtime::Runtime* runtime_ = nullptr;
    void* session_ = nullptr;
    Map* map_ = nullptr;
};

// --- a user ring: the client has the producer's position and the data ----------------------------

struct Drain {
    Ring& ring;
    u64 left;  // records until the taker stops
    u64 bytes = 0;

    static bool take(void* self, std::byte* at, u32 size) {
        auto& drain = *static_cast<Drain*>(self);
        must(at >= drain.ring.data + spec::ring::kHeaderSize);
        must(at + size <= drain.ring.data + 2 * kSize);
        must(size <= kSize);
        if (size != 0) at[0] = at[size - 1];  // both ends are there, to be read and written
        drain.bytes += size;
        return --drain.left != 0;
    }
};

void drain(Ring& ring, u8 flags, u8 stop_at) {
    runtime::EpochGuard guard(ring.epochs());
    must(guard.status().has_value());
    const u64 before = *ring.consumer;
    Drain taker{ring, u64{stop_at} + 1};
    const auto drained = runtime::user_ring_drain(ring.map(), flags & 7, {&taker, &Drain::take});
    must(*ring.consumer - before <= runtime::kMaxDrained * (kSize + spec::ring::kHeaderSize));
    must(!drained || *drained <= u64{stop_at} + 1);
    must(!drained || taker.bytes <= *ring.consumer - before);
}

void user_ring(Input& input) {
    Ring ring(spec::MapType::UserRingbuf);
    while (!input.empty()) {
        switch (input.take<u8>() % 5) {
            case 0:
                *ring.producer = input.position(*ring.producer);
                break;
            case 1: {  // a header, where one may be next or anywhere
                const u64 at = input.position(*ring.consumer) % kSize;
                const u32 header = input.take<u32>();
                std::memcpy(ring.data + at, &header, sizeof header);
                break;
            }
            case 2: {  // an honest record
                const u16 size = input.take<u16>();
                const u32 header = size | (input.take<u8>() % 4) << 30;
                std::memcpy(ring.data + *ring.producer % kSize, &header, sizeof header);
                *ring.producer += spec::ring::record_bytes(size);
                break;
            }
            case 3: {
                const u8 flags = input.take<u8>();
                drain(ring, flags, input.take<u8>());
                break;
            }
            default:
                (void)ring.map().ops->wait(ring.map(), 0);
        }
    }
}

// --- a ring buffer: the client has the consumer's position ---------------------------------------

struct Reserved {
    std::byte* at;
    u64 size;
    std::byte mark;
};

bool holds(const Reserved& record) {
    for (u64 i = 0; i < record.size; ++i) {
        if (record.at[i] != record.mark) return false;
    }
    return true;
}

// Fills the record to its end: over another one's header or data, that one's check fails.
void reserve(Ring& ring, std::vector<Reserved>& open, u32 size, u8 mark) {
    auto* at = static_cast<std::byte*>(runtime::ring_reserve(ring.map(), size));
    if (at == nullptr) return;
    must(at >= ring.data + spec::ring::kHeaderSize && at + size <= ring.data + 2 * kSize);
    std::memset(at, mark, size);
    open.push_back({at, size, std::byte{mark}});
}

// The header leads back to the ring, or this writes somewhere else.
void commit(std::vector<Reserved>& open, u8 which, u8 flags) {
    if (open.empty()) return;
    const auto record = open.begin() + which % static_cast<int>(open.size());
    must(holds(*record));
    runtime::ring_commit(record->at, flags % 3, (flags & 4) != 0);
    open.erase(record);
}

void ring_buffer(Input& input) {
    constexpr std::size_t kMostOpen = 64;
    Ring ring(spec::MapType::Ringbuf);
    std::vector<Reserved> open;
    while (!input.empty()) {
        runtime::EpochGuard guard(ring.epochs());
        must(guard.status().has_value());
        switch (input.take<u8>() % 6) {
            case 0:
                *ring.consumer = input.position(*ring.producer);
                break;
            case 1: {
                const u32 size = input.take<u16>();
                if (open.size() < kMostOpen) reserve(ring, open, size, input.take<u8>());
                break;
            }
            case 2: {
                const u8 which = input.take<u8>();
                commit(open, which, input.take<u8>());
                break;
            }
            case 3: {
                const std::byte bytes[256] = {};
                (void)runtime::ring_output(ring.map(), bytes, input.take<u8>(),
                                           input.take<u8>() % 4);
                break;
            }
            case 4:
                (void)runtime::ring_query(ring.map(), input.take<u8>());
                break;
            default:
                (void)runtime::ring_has_data(ring.map());
        }
    }
    for (const Reserved& record : open) must(holds(record));
    while (!open.empty()) commit(open, 0, 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, std::size_t size) {
    constexpr std::size_t kLongest = 4096;
    if (size == 0) return 0;
    Input input({reinterpret_cast<const std::byte*>(data), size < kLongest ? size : kLongest});
    if (input.take<u8>() % 2 == 0) {
        user_ring(input);
    } else {
        ring_buffer(input);
    }
    return 0;
}
