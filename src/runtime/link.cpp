// SPDX-License-Identifier: MIT
#include "runtime/link.hpp"

#include <new>

#include "runtime/runtime.hpp"

namespace ebpf::runtime {
namespace {

// A link that its application forgot is detached, as closing its descriptor does on Linux.
void link_forgotten(Object& object) {
    auto& link = static_cast<Link&>(object);
    link.runtime->links().detach(link);
}

}  // namespace

Result<Ref<Link>> Links::attach(Runtime& runtime, Program& program,
                                const ebpf_hook_provider_t& provider, spec::AttachType attach,
                                u32 target, bool legacy) {
    void* memory = platform::allocate(sizeof(Link));
    if (memory == nullptr) return fail(Errc::NoMemory, {}, "link");
    auto* link = new (memory) Link;
    link->runtime = &runtime;
    link->kind = ObjectKind::Link;
    link->forgotten = link_forgotten;
    link->binding.runtime = &runtime;
    link->binding.program.store(&program, std::memory_order_relaxed);
    link->provider = &provider;
    link->attach = attach;
    link->dialect = program.dialect;
    link->binding.target = target;
    link->legacy = legacy;
    acquire(program);
    if (const Status adopted = runtime.adopt(*link); !adopted) {
        release(program);
        platform::release(link);
        return std::unexpected(adopted.error());
    }
    Ref<Link> ref = Ref<Link>::adopt(link);

    // Listed first, since that can fail; nobody finds it before it is attached. The provider is
    // called without the lock: it may wait.
    {
        platform::LockGuard guard(lock_);
        TRY(links_.insert(links_.size(), link));
    }
    const u32 error = provider.attach(provider.self, &runtime.client(), &link->binding, target);
    if (error != static_cast<u32>(Errc::Ok)) {
        remove(*link);
        return fail(static_cast<Errc>(error), {}, "attach to target", target);
    }
    acquire(*link);  // the list's
    link->attached.store(true, std::memory_order_release);
    return ref;
}

void Links::remove(const Link& link) {
    platform::LockGuard guard(lock_);
    u32 at = 0;
    while (links_[at] != &link) ++at;
    links_.erase(at);
}

void Links::detach(Link& link) {
    if (!link.attached.exchange(false, std::memory_order_acq_rel)) return;
    link.provider->detach(link.provider->self, &link.binding, link.binding.target);
    remove(link);
    release(link);
}

Status Links::replace(Link& link, Program& program, const Program* expected) {
    Program* old = link.binding.program.load(std::memory_order_acquire);
    if (program.type != old->type || program.dialect != old->dialect) {
        return fail(Errc::InvalidArgument, {}, "program of another type");
    }
    acquire(program);
    platform::LockGuard guard(lock_);
    old = link.binding.program.load(std::memory_order_acquire);
    if (expected != nullptr && old != expected) {
        release(program);
        return fail(Errc::Busy, {}, "another program is attached");
    }
    link.binding.program.store(&program, std::memory_order_release);
    release(*old);
    return {};
}

Ref<Link> Links::at(const ebpf_hook_provider_t& provider, u32 target, u32 n) {
    platform::LockGuard guard(lock_);
    for (u32 i = 0; i < links_.size(); ++i) {
        const Link& link = *links_[i];
        const bool there = link.attached.load(std::memory_order_acquire);
        if (there && link.provider == &provider && link.binding.target == target && n-- == 0) {
            return Ref<Link>::share(*links_[i]);
        }
    }
    return {};
}

void destroy_link(Link& link) {
    release(*link.binding.program.load(std::memory_order_relaxed));
    link.~Link();
    platform::release(&link);
}

}  // namespace ebpf::runtime
