// SPDX-License-Identifier: MIT
//
// The locks and timers that lie in values of maps: only helpers may touch them, while a lock is
// held nothing else may be called, and a timer's function runs on its own.
#include <algorithm>

#include "spec/helpers.hpp"
#include "verifier/analyzer.hpp"

namespace ebpf::verifier {

using spec::ArgKind;

// A pointer to exactly the lock or the timer of a map's value.
bool Analyzer::check_field_argument(CallSite& site, int n) {
    const Reg& value = reg(static_cast<isa::Reg>(n + 1));
    const bool lock = site.proto->args[n] == ArgKind::SpinLock;
    const char* const what = lock ? "struct bpf_spin_lock" : "struct bpf_timer";
    if (value.kind != Kind::MapValue || value.nullable) {
        return reject(value.nullable ? DiagnosticCode::NullPointer : DiagnosticCode::HelperArgument,
                      argument_name(n) + " of " + site.proto->name + " must be the " + what +
                          " of a map value, but it is " + name(value.kind) + ": " +
                          to_string(value));
    }
    const ir::MapDef& m = map(value.index);
    const i32 field = lock ? m.spin_lock_offset : m.timer_offset;
    if (field < 0 || !value.num.is_constant() ||
        value.off + static_cast<i64>(value.num.value()) != field) {
        return reject(DiagnosticCode::HelperArgument,
                      argument_name(n) + " of " + site.proto->name + " must point to the " + what +
                          " of map " + m.name +
                          (field < 0 ? std::string(", whose value has none")
                                     : " at offset " + std::to_string(field)) +
                          ", but it is " + to_string(value));
    }
    site.field = value;
    if (!lock) return true;
    const bool takes = site.proto->id == spec::Helper::spin_lock;
    if (takes && now_.lock.held) {
        return reject(DiagnosticCode::LockRegion, "a lock is taken while another is held",
                      {"one lock may be held at a time"});
    }
    if (!takes && !(now_.lock == Lock{true, value.index, value.id})) {
        return reject(DiagnosticCode::LockRegion,
                      now_.lock.held ? "another lock is given back than the one that is held"
                                     : "a lock is given back that is not held");
    }
    return true;
}

bool Analyzer::check_while_locked(const spec::HelperProto& proto) {
    if (!now_.lock.held || proto.id == spec::Helper::spin_unlock ||
        proto.id == spec::Helper::spin_lock)
        return true;
    return reject(DiagnosticCode::LockRegion,
                  std::string(proto.name) + " is called while a spin lock is held",
                  {"what needs a helper goes before bpf_spin_lock() or after bpf_spin_unlock()"});
}

void Analyzer::take_or_give_lock(const CallSite& site) {
    if (site.proto->id == spec::Helper::spin_lock) {
        now_.lock = {true, site.field.index, site.field.id};
    } else if (site.proto->id == spec::Helper::spin_unlock) {
        now_.lock = {};
    }
}

// timer_set_callback: the function runs later, on its own: callback(map, key, value). What it may
// meet does not depend on where it was set, so once for each map is enough.
bool Analyzer::start_asynchronous(const CallSite& site) {
    const ir::MapDef& m = map(site.field.index);
    const u32 target = static_cast<u32>(site.callback);
    if (!asynchronous_.insert({target, site.field.index}).second) return true;
    State later;
    later.packet_size = fresh_id();
    later.pc = target;
    Frame frame;
    frame.subprogram = program_.subprogram_at(target);
    frame.callback_of = kAsynchronous;
    frame.stack = std::make_shared<Stack>(cell_bytes_);
    frame.regs[1] = Reg::pointer(Kind::Map);
    frame.regs[1].index = site.field.index;
    // Of an inner map's value: any map that is like the template (as after its lookup).
    frame.regs[1].object = std::ranges::any_of(program_.maps, [&](const ir::MapDef& outer) {
        return outer.inner == static_cast<i32>(site.field.index);
    });
    frame.regs[2] = Reg::pointer(Kind::Memory);
    frame.regs[2].size = m.key_size;
    frame.regs[2].object = kReadOnly;
    frame.regs[3] = Reg::pointer(Kind::MapValue);
    frame.regs[3].index = site.field.index;
    frame.regs[3].id = fresh_id();
    frame.regs[isa::kFramePointer] = Reg::pointer(Kind::Stack);
    calls_.insert({now_.top().subprogram, frame.subprogram});
    later.frames.push_back(std::move(frame));
    push(later);
    return true;
}

}  // namespace ebpf::verifier
