// SPDX-License-Identifier: MIT
// casement/vm.h over engine::Vm.
#include <casement/vm.h>

#include <cerrno>
#include <new>

#include "api/errors.hpp"
#include "engine/vm.hpp"

using namespace ebpf;

struct casement_vm {
    engine::Vm vm;
};

namespace {

constexpr size_t kMaxMemory = 32767;

int negative(const Error& error) {
    return -api::errno_of(error);
}
int result(const Status& status) {
    return status ? 0 : negative(status.error());
}

// Runs `body`, which may be out of memory.
template <typename Body>
int guarded(Body body) {
    try {
        return body();
    } catch (const std::bad_alloc&) {
        return -ENOMEM;
    }
}

constexpr spec::ArgKind kArgs[] = {spec::ArgKind::None,        spec::ArgKind::Anything,
                                   spec::ArgKind::Scalar,      spec::ArgKind::Context,
                                   spec::ArgKind::ReadableMem, spec::ArgKind::WritableMem,
                                   spec::ArgKind::ConstSize,   spec::ArgKind::ConstSizeOrZero};
constexpr spec::RetKind kRets[] = {spec::RetKind::Void, spec::RetKind::Scalar};

}  // namespace

extern "C" {

casement_vm* casement_vm_create(void) {
    auto* const vm = new (std::nothrow) casement_vm;
    if (vm && jit::Target::host().cpu != code::Cpu::X86_64)
        vm->vm.engine = code::EngineKind::Interpreter;
    return vm;
}
void casement_vm_destroy(casement_vm* vm) {
    delete vm;
}

int casement_vm_add_helper(casement_vm* vm, const struct casement_helper* helper) {
    if (!vm || !helper || !helper->function || !helper->name ||
        helper->number >= code::kCustomHelper ||
        static_cast<size_t>(helper->ret) >= std::size(kRets)) {
        return -EINVAL;
    }
    engine::VmHelper added;
    added.number = helper->number;
    added.function = reinterpret_cast<code::HelperFn>(helper->function);
    added.proto.ret = kRets[helper->ret];
    for (int i = 0; i < 5; ++i) {
        if (static_cast<size_t>(helper->args[i]) >= std::size(kArgs)) return -EINVAL;
        added.proto.args[i] = kArgs[helper->args[i]];
    }
    return guarded([&] {
        added.name = helper->name;
        vm->vm.add_helper(std::move(added));
        return 0;
    });
}

void casement_vm_set_data(casement_vm* vm, void* data) {
    vm->vm.data = data;
}
void* casement_call_data(const struct casement_call* call) {
    return reinterpret_cast<const code::Invocation*>(call)->runtime;
}

int casement_vm_set_engine(casement_vm* vm, enum casement_engine engine) {
    if (!vm) return -EINVAL;
    if (engine == CASEMENT_ENGINE_INTERPRETER) {
        vm->vm.engine = code::EngineKind::Interpreter;
        return 0;
    }
    if (engine != CASEMENT_ENGINE_JIT) return -EINVAL;
    if (jit::Target::host().cpu != code::Cpu::X86_64) return -EOPNOTSUPP;
    vm->vm.engine = code::EngineKind::Jit;
    return 0;
}
int casement_vm_set_level(casement_vm* vm, enum casement_level level) {
    constexpr jit::Level kLevels[] = {jit::Level::Default, jit::Level::Optimise};
    if (!vm || static_cast<size_t>(level) >= std::size(kLevels)) return -EINVAL;
    vm->vm.level = kLevels[level];
    return 0;
}
int casement_vm_set_memory_size(casement_vm* vm, size_t size) {
    if (!vm || size > kMaxMemory) return -EINVAL;
    vm->vm.memory_size = static_cast<u32>(size);
    return 0;
}
void casement_vm_trust(casement_vm* vm, int trusted) {
    vm->vm.trusted = trusted != 0;
}
void casement_vm_set_checked(casement_vm* vm, int checked) {
    vm->vm.checked = checked != 0;
}
int casement_vm_add_range(casement_vm* vm, const void* memory, size_t size, int writable) {
    if (!vm || (!memory && size)) return -EINVAL;
    return guarded([&] {
        vm->vm.add_range({reinterpret_cast<u64>(memory), size, writable != 0});
        return 0;
    });
}
void casement_vm_set_fuel(casement_vm* vm, uint64_t instructions) {
    vm->vm.fuel = instructions;
}

void casement_vm_set_cancellable(casement_vm* vm, int cancellable) {
    vm->vm.cancellable = cancellable != 0;
}
int casement_vm_cancel(casement_vm* vm, int cancelled) {
    if (!vm || !vm->vm.cancellable) return -EINVAL;
    vm->vm.cancel(cancelled != 0);
    return 0;
}
int casement_vm_set_hardening(casement_vm* vm, unsigned int flags) {
    constexpr unsigned int kAll = CASEMENT_BLIND_CONSTANTS | CASEMENT_SAFE_INDIRECT_CALLS;
    if (!vm || (flags & ~kAll) != 0) return -EINVAL;
    vm->vm.blind_constants = (flags & CASEMENT_BLIND_CONSTANTS) != 0;
    vm->vm.safe_indirect_calls = (flags & CASEMENT_SAFE_INDIRECT_CALLS) != 0;
    return 0;
}

int casement_vm_load(casement_vm* vm, const void* code, size_t size) {
    if (!vm || !code) return -EINVAL;
    return guarded(
        [&] { return result(vm->vm.load({static_cast<const std::byte*>(code), size})); });
}
int casement_vm_load_elf(casement_vm* vm, const void* object, size_t size, const char* program) {
    if (!vm || !object) return -EINVAL;
    return guarded([&] {
        return result(vm->vm.load_object({static_cast<const std::byte*>(object), size},
                                         program ? program : ""));
    });
}
int casement_vm_verify(casement_vm* vm) {
    return vm ? guarded([&] { return result(vm->vm.verify()); }) : -EINVAL;
}
int casement_vm_compile(casement_vm* vm) {
    return vm ? guarded([&] { return result(vm->vm.compile()); }) : -EINVAL;
}
int casement_vm_run(const casement_vm* vm, void* memory, size_t size, uint64_t* r0) {
    if (!vm) return -EINVAL;
    const auto value = vm->vm.run(memory, size);
    if (!value) return negative(value.error());
    if (r0) *r0 = *value;
    return 0;
}
casement_entry_fn casement_vm_entry(const casement_vm* vm) {
    return vm ? reinterpret_cast<casement_entry_fn>(vm->vm.plain_entry()) : nullptr;
}
size_t casement_vm_code_size(const casement_vm* vm) {
    return vm ? vm->vm.code_size() : 0;
}
const char* casement_vm_error(const casement_vm* vm) {
    return vm ? vm->vm.error.c_str() : "";
}

}  // extern "C"
