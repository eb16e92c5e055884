// SPDX-License-Identifier: MIT
#include "runtime/runtime.hpp"

#include <new>

#include "runtime/btf_object.hpp"
#include "runtime/commands.hpp"

namespace ebpf::runtime {

Result<Runtime*> Runtime::create(const Config& config) {
    platform::require_irql_at_most(platform::Irql::Passive, "Runtime::create");
    void* memory = platform::allocate(sizeof(Runtime));
    if (memory == nullptr) return fail(Errc::NoMemory, {}, "execution context");
    auto* runtime = new (memory) Runtime;
    if (const Status status = runtime->initialize(config); !status) {
        destroy(runtime);
        return std::unexpected(status.error());
    }
    return runtime;
}

void Runtime::destroy(Runtime* runtime) {
    if (runtime == nullptr) return;
    runtime->~Runtime();
    platform::release(runtime);
}

Status Runtime::initialize(const Config& config) {
    config_ = config;
    if (config_.slots == 0) config_.slots = platform::possible_cpus();
    TRY(epochs_.initialize(config_.slots));
    random_ = static_cast<RandomState*>(platform::allocate(config_.slots * sizeof(RandomState)));
    if (random_ == nullptr) return fail(Errc::NoMemory, {}, "random state");
    platform::fill_random(
        {reinterpret_cast<std::byte*>(random_), config_.slots * sizeof(RandomState)});
    platform::fill_random(std::as_writable_bytes(std::span(format_secret_.words)));
    client_.runtime = this;
    client_.dispatch = {
        .header = {1, sizeof(ebpf_client_dispatch_t), sizeof(ebpf_client_dispatch_t)},
        .invoke = &Runtime::invoke,
        .invoke_at = &Runtime::invoke_at,
        .batch_begin = &Runtime::batch_begin,
        .batch_invoke = &Runtime::batch_invoke,
        .batch_end = &Runtime::batch_end,
        .dialect = &Runtime::dialect};
    return {};
}

Runtime::~Runtime() {
    while (sessions_ != nullptr) close_session(this, sessions_);
    pins_.clear();
    // What PROG_ATTACH left is held by its hook's list alone.
    for (u32 id = 0; (id = ids(ObjectKind::Link).next(id)) != 0;) {
        const auto link = Ref<Link>::adopt(static_cast<Link*>(ids(ObjectKind::Link).find(id)));
        if (!link) continue;
        links_.detach(*link);
        if (link->legacy_use.exchange(false)) release_user(*link);
    }
    timers_.close();
    epochs_.collect();
    platform::release(random_);
}

Status Runtime::register_engine(const code::EngineOps& engine) {
    const auto kind = static_cast<u32>(engine.kind);
    if (kind >= code::kEngineCount || engine.run == nullptr || engine.prepare == nullptr ||
        engine.prepared_size == nullptr) {
        return fail(Errc::InvalidArgument, {}, "engine", kind);
    }
    if (engines_[kind] != nullptr) return fail(Errc::AlreadyInitialized, {}, "engine", kind);
    engines_[kind] = &engine;
    return {};
}

Status Runtime::register_hook_provider(const ebpf_hook_provider_t& provider) {
    if (provider.header.version != 1 || provider.header.size < sizeof(ebpf_hook_provider_t) ||
        provider.attach == nullptr || provider.detach == nullptr) {
        return fail(Errc::InvalidArgument, {}, "hook provider", provider.header.version);
    }
    if (provider_count_ == kMaxProviders) return fail(Errc::OutOfSpace, {}, "hook providers");
    providers_[provider_count_++] = &provider;
    return {};
}

const ebpf_hook_provider_t* Runtime::provider(spec::ProgramType type,
                                              spec::AttachType attach) const {
    for (u32 i = 0; i < provider_count_; ++i) {
        const ebpf_hook_provider_t& provider = *providers_[i];
        if (provider.program_type == static_cast<u32>(type) &&
            (attach == spec::AttachType{} || provider.attach_type == static_cast<u32>(attach))) {
            return &provider;
        }
    }
    return nullptr;
}

// xorshift64*, one state per slot (G. Marsaglia; S. Vigna's multiplier).
u32 Runtime::random(u32 slot) {
    u64& state = random_[slot].state;
    if (state == 0) state = 0x9E3779B97F4A7C15;
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return static_cast<u32>((state * 0x2545F4914F6CDD1D) >> 32);
}

bool Runtime::take_shared_array() {
    if (shared_arrays_.fetch_add(1, std::memory_order_relaxed) < config_.shared_arrays) return true;
    drop_shared_array();
    return false;
}

Status Runtime::adopt(Object& object) {
    object.runtime = this;
    TRY(ids(object.kind).add(object));
    live_[static_cast<u32>(object.kind)].fetch_add(1, std::memory_order_relaxed);
    return {};
}

namespace {

void destroy_map(Map& map) {
    map.ops->destroy(map);
    if (map.btf != nullptr) release(*map.btf);
    map.~Map();
    platform::release(&map);
}

void destroy_object(Retired* retired) {
    auto& object = *static_cast<Object*>(retired);
    switch (object.kind) {
        case ObjectKind::Map:
            return destroy_map(static_cast<Map&>(object));
        case ObjectKind::Program:
            return destroy_program(static_cast<Program&>(object));
        case ObjectKind::Link:
            return destroy_link(static_cast<Link&>(object));
        case ObjectKind::Btf:
            return destroy_btf(static_cast<Btf&>(object));
        case ObjectKind::Statistics:
            return platform::release(&object);
    }
}

}  // namespace

void Runtime::forget(Object& object) {
    ids(object.kind).remove(object);
    live_[static_cast<u32>(object.kind)].fetch_sub(1, std::memory_order_relaxed);
    object.destroy = destroy_object;
    object.at_passive = true;
    epochs_.retire(&object);
}

// --- the door -----------------------------------------------------------------------------------

spec::Door Runtime::door() {
    return {.self = this,
            .call = &Runtime::call,
            .open_session = &Runtime::open_session,
            .close_session = &Runtime::close_session};
}

Result<i64> Runtime::call(void* self, const spec::Caller& caller, spec::Command command,
                          void* attr) {
    auto& runtime = *static_cast<Runtime*>(self);
    if (caller.session == nullptr || attr == nullptr)
        return fail(Errc::InvalidArgument, {}, "caller");
    const Result<i64> result = dispatch(runtime, caller, command, attr);
    if (runtime.epochs_.has_retired()) runtime.epochs_.collect();
    return result;
}

void* Runtime::open_session(void* self) {
    auto& runtime = *static_cast<Runtime*>(self);
    void* memory = platform::allocate(sizeof(Session));
    if (memory == nullptr) return nullptr;
    auto* session = new (memory) Session;
    platform::LockGuard guard(runtime.sessions_lock_);
    session->next = runtime.sessions_;
    runtime.sessions_ = session;
    return session;
}

void Runtime::close_session(void* self, void* which) {
    auto& runtime = *static_cast<Runtime*>(self);
    auto* session = static_cast<Session*>(which);
    {
        platform::LockGuard guard(runtime.sessions_lock_);
        Session** link = &runtime.sessions_;
        while (*link != nullptr && *link != session) link = &(*link)->next;
        if (*link == nullptr) return;
        *link = session->next;
    }
    session->close_all();
    session->~Session();
    platform::release(session);
    runtime.epochs_.collect();
}

}  // namespace ebpf::runtime
