// SPDX-License-Identifier: MIT
//
// The execution context: what exists, who holds it, and what happens when a command comes through
// the door. A product's composition root makes one, registers engines and hook providers with it,
// and hands out its door. There are no globals: a process may have several.
#pragma once

#include "code/engine.hpp"
#include "runtime/link.hpp"
#include "runtime/map.hpp"
#include "runtime/object.hpp"
#include "runtime/printk.hpp"
#include "runtime/program.hpp"
#include "runtime/timer.hpp"
#include "spec/door.hpp"
#include "spec/extension.h"

namespace ebpf::runtime {

struct Config {
    u32 slots = 0;  // execution slots; 0: one per possible CPU
    // Receives what programs print (bpf_trace_printk), a line at a time; may be null. <= DISPATCH.
    void (*trace)(void* self, std::string_view line) = nullptr;
    void* trace_self = nullptr;
    // The values of at most so many arrays lie in pages that others may read (MAP_MEMORY's part 2);
    // each costs a descriptor and a page. Those that applications map are not counted.
    u32 shared_arrays = 0;
    // A consumer of the ring buffer with this id should look, who may be asleep; may be null.
    // Called by programs, <= DISPATCH.
    void (*ring_ready)(void* self, u32 map_id) = nullptr;
    void* ring_self = nullptr;
};

class Runtime {
  public:
    // NoMemory. PASSIVE.
    static Result<Runtime*> create(const Config& config);
    // Detaches and frees everything. No command, invocation or mapped ring may be in use. PASSIVE.
    static void destroy(Runtime* runtime);

    // An engine that interprets code; machine code needs none. PASSIVE, before the first command.
    Status register_engine(const code::EngineOps& engine);
    // A provider of a hook, its helpers and test contexts; it must outlive the runtime. PASSIVE.
    Status register_hook_provider(const ebpf_hook_provider_t& provider);

    spec::Door door();

    // Objects that exist now, of one kind; for tests of leaks.
    u64 live(ObjectKind kind) const { return live_[static_cast<u32>(kind)].load(); }

    // --- for the parts of the runtime -----------------------------------------------------------
    const Config& config() const { return config_; }
    Epochs& epochs() { return epochs_; }
    IdTable& ids(ObjectKind kind) { return ids_[static_cast<u32>(kind)]; }
    Pins& pins() { return pins_; }
    Links& links() { return links_; }
    Timers& timers() { return timers_; }
    // One of the arrays that Config lets have shared pages, paid back by drop_shared_array().
    bool take_shared_array();
    void drop_shared_array() { shared_arrays_.fetch_sub(1, std::memory_order_relaxed); }
    const code::EngineOps* engine(code::EngineKind kind) const {
        return engines_[static_cast<u32>(kind)];
    }
    // The provider for an attach type, or (attach Unspec) any for the program type; null if none.
    const ebpf_hook_provider_t* provider(spec::ProgramType type, spec::AttachType attach) const;
    const ebpf_client_dispatch_t& client() const { return client_.dispatch; }
    // Programs' runs are timed and counted as long as somebody wants it.
    bool measures_runs() const { return statistics_wanted_.load(std::memory_order_relaxed) != 0; }
    void want_statistics() { statistics_wanted_.fetch_add(1, std::memory_order_relaxed); }
    void forgo_statistics() { statistics_wanted_.fetch_sub(1, std::memory_order_relaxed); }
    // Pseudo-random numbers of a slot (not cryptographic).
    u32 random(u32 slot);
    const FormatSecret& format_secret() const { return format_secret_; }

    // A new object gets an id; it is in nobody's hands but the caller's.
    Status adopt(Object& object);
    // The last reference is gone.
    void forget(Object& object);

  private:
    // Door functions.
    static Result<i64> call(void* self, const spec::Caller& caller, spec::Command command,
                            void* attr);
    static void* open_session(void* self);
    static void close_session(void* self, void* session);
    static Runtime& of(const ebpf_client_dispatch_t* client);
    static u32 invoke(const ebpf_binding_t* binding, void* context, u64* result);
    static u32 invoke_at(const ebpf_client_dispatch_t* client, const ebpf_binding_t* const* place,
                         u32 target, void* context, u8* dialect, u64* result);
    static u32 batch_begin(const ebpf_client_dispatch_t* client, void* state);
    static u32 batch_invoke(const ebpf_binding_t* binding, void* context, u64* result,
                            const void* state);
    static void batch_end(void* state);
    static u32 dialect(const ebpf_binding_t* binding);

    Runtime() = default;
    ~Runtime();
    Status initialize(const Config& config);

    static constexpr u32 kMaxProviders = 64;
    struct alignas(64) RandomState {
        u64 state = 0;
    };
    struct Client {  // what providers get; leads back to the runtime
        ebpf_client_dispatch_t dispatch{};
        Runtime* runtime = nullptr;
    };

    Config config_{};
    Client client_{};
    Epochs epochs_;
    IdTable ids_[kObjectKinds];
    std::atomic<u64> live_[kObjectKinds] = {};
    std::atomic<u32> shared_arrays_{0};
    std::atomic<u32> statistics_wanted_{0};
    Pins pins_;
    Links links_;
    Timers timers_{*this};
    const code::EngineOps* engines_[code::kEngineCount] = {};
    const ebpf_hook_provider_t* providers_[kMaxProviders] = {};
    u32 provider_count_ = 0;
    platform::SpinLock sessions_lock_;
    Session* sessions_ = nullptr;
    RandomState* random_ = nullptr;
    FormatSecret format_secret_;
};

}  // namespace ebpf::runtime
