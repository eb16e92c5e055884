// SPDX-License-Identifier: MIT
#include "hooks/xdp.hpp"

#include "hooks/xdp_helpers.hpp"
#include "spec/ids.hpp"

namespace ebpf::hooks {

void XdpFrame::reset(u8* memory, u64 memory_size, u32 size, u32 ifindex) {
    buffer = memory;
    buffer_end = memory + memory_size;
    context = {};
    context.data = memory + kXdpHeadroom;
    context.data_end = context.data + size;
    context.data_meta = reinterpret_cast<u64>(context.data);
    context.ingress_ifindex = ifindex;
    redirect_ifindex = 0;
}

const ebpf_hook_provider_t& XdpHook::provider() {
    provider_ = {.header = {1, sizeof(ebpf_hook_provider_t), sizeof(ebpf_hook_provider_t)},
                 .program_type = static_cast<u32>(spec::ProgramType::Xdp),
                 .attach_type = static_cast<u32>(spec::AttachType::Xdp),
                 .self = this,
                 .attach = &XdpHook::attach,
                 .detach = &XdpHook::detach,
                 .helpers = xdp_helpers().data(),
                 .helper_count = xdp_helpers().size(),
                 .create_context = &create_xdp_context,
                 .reset_context = &reset_xdp_context,
                 .destroy_context = &destroy_xdp_context};
    return provider_;
}

Errc XdpHook::add(u32 ifindex, const ebpf_binding_t* binding) {
    const platform::LockGuard guard(lock_);
    const u32 used = used_.load(std::memory_order_relaxed);
    u32 free = used;
    for (u32 i = 0; i < used; ++i) {
        if (places_[i].bound() == nullptr) {
            free = i;
        } else if (places_[i].ifindex.load(std::memory_order_relaxed) == ifindex) {
            return Errc::Busy;
        }
    }
    if (free == kMaxPrograms) return Errc::OutOfSpace;
    places_[free].ifindex.store(ifindex, std::memory_order_release);
    places_[free].bind(binding);
    if (free == used) used_.store(used + 1, std::memory_order_release);
    return Errc::Ok;
}

bool XdpHook::remove(u32 ifindex, const ebpf_binding_t* binding) {
    const platform::LockGuard guard(lock_);
    for (u32 i = 0; i < used_.load(std::memory_order_relaxed); ++i) {
        Place& place = places_[i];
        if (place.ifindex.load(std::memory_order_relaxed) != ifindex || place.bound() != binding) {
            continue;
        }
        place.bind(nullptr);
        return true;
    }
    return false;
}

u32 XdpHook::attach(void* self, const ebpf_client_dispatch_t* client, const ebpf_binding_t* binding,
                    u32 target) {
    auto& hook = *static_cast<XdpHook*>(self);
    if (target == 0) return static_cast<u32>(Errc::InvalidArgument);
    hook.client_.store(client, std::memory_order_release);
    const Errc added = hook.add(target, binding);
    if (added != Errc::Ok || hook.feed_.start == nullptr) return static_cast<u32>(added);
    const u32 started = hook.feed_.start(hook.feed_.self, target);
    if (started != static_cast<u32>(Errc::Ok)) hook.remove(target, binding);
    return started;
}

// The feed stops first: until then every frame has its program. Invocations in flight are the
// execution context's to wait for, by its epochs: it frees nothing that one may still use.
void XdpHook::detach(void* self, const ebpf_binding_t* binding, u32 target) {
    auto& hook = *static_cast<XdpHook*>(self);
    if (target == 0 || hook.find(target).binding != binding) return;
    if (hook.feed_.stop != nullptr) hook.feed_.stop(hook.feed_.self, target);
    hook.remove(target, binding);
}

// The binding is read inside the batch: from then on the execution context keeps it alive.
XdpHook::Batch::Batch(XdpHook& hook, u32 ifindex) {
    const auto* client = hook.client_.load(std::memory_order_acquire);
    if (!client) return;
    if (client->batch_begin(client, state_) != static_cast<u32>(Errc::Ok)) return;
    client_ = client;
    binding_ = hook.find(ifindex).binding;
    if (binding_) dialect_ = static_cast<spec::Dialect>(client->dialect(binding_));
}

XdpHook::Batch::~Batch() {
    if (client_) client_->batch_end(state_);
}

}  // namespace ebpf::hooks
