// SPDX-License-Identifier: MIT
#include "oracles/machine.hpp"

#include <algorithm>
#include <cstring>

#include "isa/semantics.hpp"
#include "spec/helpers.hpp"
#include "spec/map_types.hpp"

namespace ebpf::verifier::oracle {

using isa::Form;
using spec::ArgKind;
using spec::RetKind;

namespace {
constexpr std::size_t kCallbackRounds = 12;
}

Machine::Machine(const ir::Program& program, const ir::Environment& environment, u64 seed)
    : program_(program), environment_(environment), random_(seed) {
    context_ = add_region(Region::What::Context, 0, 4096);
    for (u8& b : regions_[context_].bytes) b = static_cast<u8>(random_());
    new_packet();
    MachineFrame frame;
    frame.stack = add_region(Region::What::Stack, 0, isa::kStackSize);
    frame.regs[1] = context();
    frame.set[1] = true;
    frame.regs[isa::kFramePointer] = regions_[frame.stack].end();
    frame.set[isa::kFramePointer] = true;
    for (int r = 0; r < isa::kFramePointer; ++r) {
        if (r != 1) frame.regs[static_cast<unsigned>(r)] = random_();
    }
    may_goto_ = random_() % 100;
    frames_.push_back(frame);
}

// Regions lie far apart, so that an address tells its region, and an offset that runs away never
// reaches the next one.
u32 Machine::add_region(Region::What what, u32 index, std::size_t size) {
    Region r;
    r.what = what;
    r.index = index;
    r.base = (u64{1} << 46) + (static_cast<u64>(regions_.size()) << 32) + 0x1000;
    r.bytes.assign(size, 0);
    if (what == Region::What::Stack) r.written.assign(size, false);
    regions_.push_back(std::move(r));
    return static_cast<u32>(regions_.size() - 1);
}

void Machine::new_packet() {
    for (Region& r : regions_) {
        if (r.what == Region::What::Packet) r.alive = false;
    }
    for (const Slice& s : slices_) {
        if (s.packet) regions_[s.memory].alive = false;
    }
    static constexpr std::size_t kLengths[] = {0, 1, 13, 14, 15, 20, 33, 34, 35, 42, 54, 64, 128};
    const std::size_t length =
        random_() % 4 == 0 ? random_() % 300 : kLengths[random_() % std::size(kLengths)];
    const u32 meta = random_() % 3 == 0 ? static_cast<u32>(random_() % 8) * 4 : 0;
    const u32 p = add_region(Region::What::Packet, 0, length + meta);
    for (u8& b : regions_[p].bytes) b = static_cast<u8>(random_() % 3 ? random_() : random_() % 8);
    data_meta_ = regions_[p].base;
    data_ = data_meta_ + meta;
    data_end_ = regions_[p].end();
}

bool Machine::fail(std::string what) {
    if (wrong_.empty()) wrong_ = "at " + std::to_string(pc_) + ": " + std::move(what);
    return false;
}

const Region* Machine::region_of(u64 address) const {
    const u64 i = (address - (u64{1} << 46)) >> 32;
    if (address < u64{1} << 46 || i >= regions_.size()) return nullptr;
    const Region& r = regions_[i];
    return address >= r.base && address <= r.end() ? &r : nullptr;
}

const Region* Machine::region_near(u64 address) const {
    const u64 i = (address - (u64{1} << 46) + (u64{1} << 31)) >> 32;
    return i < regions_.size() ? &regions_[i] : nullptr;
}

u8* Machine::access(u64 address, u64 size, bool write, bool initialised) {
    const Region* found = region_of(address);
    if (found == nullptr || !found->alive || size > found->end() - address) {
        fail("the access of " + std::to_string(size) + " bytes leaves its memory");
        return nullptr;
    }
    Region& r = regions_[static_cast<std::size_t>(found - regions_.data())];
    if (r.what == Region::What::Map || r.what == Region::What::Object) {
        fail("a map or object is accessed as memory");
        return nullptr;
    }
    if (write && !r.writable) {
        fail("read-only memory is written");
        return nullptr;
    }
    const u64 at = address - r.base;
    for (u64 i = at; !r.written.empty() && i < at + size; ++i) {
        if (write) r.written[i] = true;
        if (!write && initialised && !r.written[i]) {
            fail("an unwritten stack byte is read");
            return nullptr;
        }
    }
    return r.bytes.data() + at;
}

bool Machine::readable(isa::Reg r) {
    return frames_.back().set[r] || fail("r" + std::to_string(r) + " was not written");
}

u64 Machine::random_number() {
    switch (random_() % 5) {
        case 0:
            return random_();
        case 1:
            return random_() % 16;
        case 2:
            return u64{0} - random_() % 130;
        case 3:
            return random_() % 70'000;
        default:
            return static_cast<u32>(random_());
    }
}

u64 Machine::map_token(u32 index) {
    if (!tokens_.contains(index)) {
        tokens_[index] = add_region(Region::What::Map, index, 1);
        regions_[tokens_[index]].entries = program_.maps[index].max_entries;
    }
    return regions_[tokens_[index]].base;
}

// A map like `index`, which may be smaller or larger.
u64 Machine::inner_map_token(u32 index) {
    const u32 token = add_region(Region::What::Map, index, 1);
    regions_[token].entries = static_cast<u32>(random_() % (2 * program_.maps[index].max_entries));
    return regions_[token].base;
}

u64 Machine::map_value(u32 index) {
    auto& values = values_[index];
    const ir::MapDef& m = program_.maps[index];
    const bool single = m.is_data_section;
    if (values.empty() || (!single && values.size() < 4 && random_() % 2)) {
        const u32 v = add_region(Region::What::MapValue, index, m.value_size);
        Region& r = regions_[v];
        for (std::size_t i = 0; i < r.bytes.size(); ++i) {
            r.bytes[i] = single ? static_cast<u8>(i < m.initial.size() ? m.initial[i] : std::byte{})
                                : static_cast<u8>(random_());
        }
        r.writable = !m.read_only && !(m.flags & spec::kMapReadOnlyProgram);
        values.push_back(v);
    }
    return regions_[values[random_() % values.size()]].base;
}

bool Machine::step() {
    if (ended_ || !wrong_.empty()) return false;
    if (pc_ >= program_.insns.size()) return fail("control left the program");
    const isa::Insn& i = program_.insns[pc_];
    auto& regs = frames_.back().regs;
    switch (i.form) {
        case Form::AluReg:
        case Form::AluImm:
        case Form::Neg:
        case Form::MovSx:
        case Form::Endian:
            return alu(i);
        case Form::Load:
        case Form::LoadSx:
            return load(i);
        case Form::StoreReg:
        case Form::StoreImm:
            return store(i);
        case Form::Atomic:
            return atomic(i);
        case Form::JmpReg:
        case Form::JmpImm: {
            if (!readable(i.dst) || (i.form == Form::JmpReg && !readable(i.src))) return false;
            const u64 b = i.form == Form::JmpReg ? regs[i.src] : static_cast<u64>(i.imm);
            pc_ =
                isa::eval_cond(i.cond(), i.width, regs[i.dst], b) ? program_.target[pc_] : pc_ + 1;
            return true;
        }
        case Form::MayGoto:
            pc_ = may_goto_ == 0 ? program_.target[pc_] : pc_ + 1;
            if (may_goto_ != 0) --may_goto_;
            return true;
        case Form::Ja:
            pc_ = program_.target[pc_];
            return true;
        case Form::Call:
            return call(i);
        case Form::CallReg:
            return readable(i.dst) && helper_by_number(static_cast<u32>(regs[i.dst]));
        case Form::Exit:
            return exit();
        case Form::Wide:
            return wide(i);
        case Form::LegacyLoad:
            ended_ = true;  // as if beyond the packet
            return refs_.empty() || fail("the program ended with references");
    }
    return false;
}

bool Machine::alu(const isa::Insn& i) {
    auto& frame = frames_.back();
    const bool moves =
        i.form == Form::MovSx ||
        ((i.form == Form::AluReg || i.form == Form::AluImm) && i.alu() == isa::AluOp::Mov);
    if (i.dst == isa::kFramePointer) return fail("r10 is written");
    if (!moves && !readable(i.dst)) return false;
    if ((i.form == Form::AluReg || i.form == Form::MovSx) && !readable(i.src)) return false;
    u64& dst = frame.regs[i.dst];
    const u64 src = i.form == Form::AluImm ? static_cast<u64>(i.imm) : frame.regs[i.src];
    switch (i.form) {
        case Form::Neg:
            dst = isa::eval_neg(i.width, dst);
            break;
        case Form::MovSx:
            dst = isa::eval_movsx(i.width, i.from_bits, src);
            break;
        case Form::Endian:
            dst = isa::eval_endian(i.endian(), i.width, dst);
            break;
        default:
            dst = isa::eval_alu(i.alu(), i.width, dst, src);
            break;
    }
    frame.set[i.dst] = true;
    ++pc_;
    return true;
}

bool Machine::load(const isa::Insn& i) {
    auto& frame = frames_.back();
    if (i.dst == isa::kFramePointer) return fail("r10 is written");
    if (!readable(i.src)) return false;
    const int size = isa::bytes(i.width);
    const u64 address = frame.regs[i.src] + static_cast<u64>(i64{i.off});
    u64 value = 0;
    const Region* r = region_of(address);
    if (r != nullptr && r->what == Region::What::Context) {
        const u64 at = address - r->base;
        const spec::ContextField* field =
            environment_.type->context.find(static_cast<u32>(at), static_cast<u32>(size));
        if (field == nullptr) return fail("the context has no such field");
        if (field->kind == spec::FieldKind::PacketStart) {
            value = data_;
        } else if (field->kind == spec::FieldKind::PacketEnd) {
            value = data_end_;
        } else if (field->kind == spec::FieldKind::PacketMeta) {
            value = data_meta_;
        } else {
            std::memcpy(&value, r->bytes.data() + at, static_cast<std::size_t>(size));
        }
    } else {
        const u8* p = access(address, static_cast<u64>(size), false, true);
        if (p == nullptr) return false;
        std::memcpy(&value, p, static_cast<std::size_t>(size));
    }
    if (i.form == Form::LoadSx)
        value = isa::eval_movsx(isa::Width::W64, static_cast<u8>(8 * size), value);
    frame.regs[i.dst] = value;
    frame.set[i.dst] = true;
    ++pc_;
    return true;
}

bool Machine::store(const isa::Insn& i) {
    auto& frame = frames_.back();
    const bool by_register = i.form == Form::StoreReg;
    if (!readable(i.dst) || (by_register && !readable(i.src))) return false;
    const u64 value = by_register ? frame.regs[i.src] : static_cast<u64>(i.imm);
    u8* p = access(frame.regs[i.dst] + static_cast<u64>(i64{i.off}),
                   static_cast<u64>(isa::bytes(i.width)), true, false);
    if (p == nullptr) return false;
    std::memcpy(p, &value, static_cast<std::size_t>(isa::bytes(i.width)));
    ++pc_;
    return true;
}

bool Machine::atomic(const isa::Insn& i) {
    auto& frame = frames_.back();
    const bool compares = i.atomic() == isa::AtomicOp::CmpXchg;
    if (!readable(i.dst) || !readable(i.src) || (compares && !readable(0))) return false;
    const std::size_t size = static_cast<std::size_t>(isa::bytes(i.width));
    const u64 address = frame.regs[i.dst] + static_cast<u64>(i64{i.off});
    if (address % size != 0) return fail("an atomic operation is not aligned");
    if (access(address, size, false, true) == nullptr) return false;
    u8* p = access(address, size, true, false);
    if (p == nullptr) return false;
    u64 old = 0;
    std::memcpy(&old, p, size);
    const u64 now = isa::eval_atomic(i.atomic(), i.width, old, frame.regs[i.src], frame.regs[0]);
    std::memcpy(p, &now, size);
    if (compares) {
        frame.regs[0] = old;
    } else if (i.atomic() >= isa::AtomicOp::FetchAdd) {
        frame.regs[i.src] = old;
    }
    ++pc_;
    return true;
}

bool Machine::wide(const isa::Insn& i) {
    auto& frame = frames_.back();
    if (i.dst == isa::kFramePointer) return fail("r10 is written");
    u64 value = static_cast<u64>(i.imm);
    switch (i.wide()) {
        case isa::WideKind::MapIndex:
            value = map_token(i.map_index());
            break;
        case isa::WideKind::MapIndexValue:
            value = map_value(i.map_index()) + i.map_value_offset();
            break;
        case isa::WideKind::Function:
            value = (u64{1} << 60) + program_.target[pc_];
            break;
        default:
            break;
    }
    frame.regs[i.dst] = value;
    frame.set[i.dst] = true;
    ++pc_;
    return true;
}

void Machine::clobber() {
    for (unsigned r = 1; r <= 5; ++r) {
        frames_.back().set[r] = false;
        frames_.back().regs[r] = random_();
    }
}

bool Machine::enter(u32 target, u32 return_to, i32 callback_of) {
    if (frames_.size() >= isa::kMaxCallDepth) return fail("calls are too deep");
    MachineFrame frame;
    frame.subprogram = program_.subprogram_at(target);
    frame.return_to = return_to;
    frame.callback_of = callback_of;
    frame.stack =
        add_region(Region::What::Stack, static_cast<u32>(frames_.size()), isa::kStackSize);
    for (unsigned r = 1; r <= 5; ++r) {
        frame.regs[r] = frames_.back().regs[r];
        frame.set[r] = frames_.back().set[r];
    }
    frame.regs[isa::kFramePointer] = regions_[frame.stack].end();
    frame.set[isa::kFramePointer] = true;
    frame.refs = refs_;
    clobber();
    frames_.back().set[0] = false;
    frames_.push_back(frame);
    pc_ = target;
    return true;
}

bool Machine::call(const isa::Insn& i) {
    switch (i.call()) {
        case isa::CallKind::Local:
            return enter(program_.target[pc_], pc_ + 1, -1);
        case isa::CallKind::Helper:
            return helper_by_number(static_cast<u32>(i.imm));
        case isa::CallKind::Kfunc:
            if (const auto* proto = spec::find_kfunc(*environment_.type, static_cast<u32>(i.imm)))
                return helper(*proto);
            return fail("no such kernel function");
    }
    return fail("a call that this machine does not know");
}

bool Machine::helper_memory(u64 address, u64 size, bool write, bool read) {
    if (size == 0) return true;
    if (read && access(address, size, false, true) == nullptr) return false;
    if (!write) return true;
    u8* p = access(address, size, true, false);
    if (p == nullptr) return false;
    for (u64 i = 0; i < size; ++i) p[i] = static_cast<u8>(random_());
    return true;
}

// An array has all indices below its size; what other maps have is left to chance.
bool Machine::finds(const Region& token, u64 key) {
    const ir::MapDef& m = program_.maps[token.index];
    const spec::MapTypeInfo& type = spec::info(m.type);
    if (!type.index_key || type.holds != spec::Holds::Bytes) return random_() % 3 != 0;
    const u8* bytes = access(key, sizeof(u32), false, false);
    u32 index = 0;
    if (bytes == nullptr) return false;
    std::memcpy(&index, bytes, sizeof index);
    return index < token.entries;
}

bool Machine::helper_by_number(u32 number) {
    const spec::HelperProto* proto = spec::find_helper(*environment_.type, number);
    return proto != nullptr ? helper(*proto) : fail("no such helper");
}

// An object on the stack, of which only calls know what it is.
bool Machine::object(const spec::HelperProto& proto, int n, Object& used) {
    const auto& regs = frames_.back().regs;
    const u64 address = regs[static_cast<unsigned>(n) + 1];
    const ArgKind kind = proto.args[n];
    const bool iterator =
        kind == ArgKind::NewIterator || kind == ArgKind::Iterator || kind == ArgKind::EndedIterator;
    if (kind != ArgKind::NewIterator && kind != ArgKind::DynptrUninit) {
        const auto found = objects_.find(address);
        if (found == objects_.end() || found->second.iterator != iterator)
            return fail("no such object on the stack");
        used = found->second;
        if (kind == ArgKind::EndedIterator) objects_.erase(found);
        return true;
    }
    const Region* region = region_of(address);
    if (address % 8 != 0 || region == nullptr || region->what != Region::What::Stack)
        return fail("not on the stack");
    if (!helper_memory(address, iterator ? 8 : 16, true, false)) return false;
    Object made{.iterator = iterator};
    if (iterator) {
        made.memory = add_region(Region::What::Memory, 0, 4);
        regions_[made.memory].writable = false;
        refs_.push_back(made.memory);
        made.next = static_cast<i32>(regs[2]);
        made.end = static_cast<i32>(regs[3]);
        if (made.end < made.next || random_() % 8 == 0) made.end = made.next;
    } else if (proto.args[0] == ArgKind::Dynptr) {
        made = used;
    } else if (proto.id == spec::Helper::ringbuf_reserve_dynptr) {
        made.memory = add_region(Region::What::Memory, 0, 1);
        refs_.push_back(made.memory);
    }
    made.packet |= proto.args[0] == ArgKind::Context;
    objects_[address] = used = made;
    return true;
}

// The next number, or null.
u64 Machine::next_number(u64 address) {
    Object& of = objects_[address];
    if (of.next >= of.end) return 0;
    std::memcpy(regions_[of.memory].bytes.data(), &of.next, sizeof of.next);
    ++of.next;
    return regions_[of.memory].base;
}

// Bytes of a dynamic pointer, which end with the packet or with the record.
u64 Machine::slice(const Object& of, u64 size, bool read_only) {
    if (random_() % 3 == 0) return 0;
    const u32 made = add_region(Region::What::Memory, 0, size);
    for (u8& b : regions_[made].bytes) b = static_cast<u8>(random_());
    regions_[made].writable = !read_only;
    slices_.push_back({made, of.memory, of.packet});
    return regions_[made].base;
}

bool Machine::helper(const spec::HelperProto& proto) {
    MachineFrame& frame = frames_.back();
    u32 map = 0;
    bool has_map = false;
    u64 alloc = 0, key_address = 0;
    u32 callback = 0;
    Object used{};
    for (int n = 0; n < proto.arg_count(); ++n) {
        const isa::Reg r = static_cast<isa::Reg>(n + 1);
        if (!readable(r)) return false;
        const u64 value = frame.regs[r];
        const auto size = [&] { return frame.regs[r + 1u]; };
        const Region* region = region_of(value);
        switch (proto.args[n]) {
            case ArgKind::Context:
                if (value != context()) return fail("not the context");
                break;
            case ArgKind::Map:
            case ArgKind::MapOfPrograms:
                if (region == nullptr || region->what != Region::What::Map)
                    return fail("not a map");
                map = region->index;
                has_map = true;
                break;
            case ArgKind::MapKey:
                if (!has_map || !helper_memory(value, program_.maps[map].key_size, false, true))
                    return fail("the key");
                key_address = value;
                break;
            case ArgKind::MapValue:
                if (!has_map || !helper_memory(value, program_.maps[map].value_size, false, true))
                    return fail("the value");
                break;
            case ArgKind::UninitMapValue:
                if (!has_map || !helper_memory(value, program_.maps[map].value_size, true, false))
                    return fail("the value");
                break;
            case ArgKind::ReadableMemOrNull:
            case ArgKind::WritableMemOrNull:
                if (value == 0) break;
                [[fallthrough]];
            case ArgKind::ReadableMem:
            case ArgKind::WritableMem:
            case ArgKind::PartialMem:
            case ArgKind::ReadWriteMem: {
                const bool writes = proto.args[n] == ArgKind::WritableMem ||
                                    proto.args[n] == ArgKind::PartialMem ||
                                    proto.args[n] == ArgKind::WritableMemOrNull ||
                                    proto.args[n] == ArgKind::ReadWriteMem;
                const bool reads = !writes || proto.args[n] == ArgKind::ReadWriteMem;
                if (!helper_memory(value, size(), writes, reads)) return fail("the buffer");
                break;
            }
            case ArgKind::ReadableMem20:
            case ArgKind::ReadableMem40:
                if (!helper_memory(value, proto.args[n] == ArgKind::ReadableMem20 ? 20 : 40, false,
                                   true))
                    return fail("the header");
                break;
            case ArgKind::ConstAllocSize:
                alloc = value;
                break;
            case ArgKind::AllocMem: {
                if (region == nullptr || region->what != Region::What::Memory || !region->alive ||
                    value != region->base)
                    return fail("not a reserved record");
                break;
            }
            case ArgKind::NewIterator:
            case ArgKind::Iterator:
            case ArgKind::EndedIterator:
            case ArgKind::DynptrUninit:
            case ArgKind::Dynptr:
                if (!object(proto, n, used)) return false;
                break;
            case ArgKind::SliceBuffer:
                if (value != 0 && !helper_memory(value, size(), true, false))
                    return fail("the buffer");
                break;
            case ArgKind::Callback:
                callback = static_cast<u32>(value - (u64{1} << 60));
                break;
            default:
                break;
        }
    }
    const bool tail_call = proto.ret == RetKind::NoReturnIfSuccess;
    if (tail_call && !refs_.empty()) return fail("a tail call with references");
    if (tail_call && random_() % 2) {
        if (frames_.size() == 1) {
            ended_ = true;
            return false;
        }
        new_packet();
        frame.regs[0] = random_number();
        frame.set[0] = true;
        return exit();
    }
    const bool ends_object = proto.args[0] == ArgKind::EndedIterator ||
                             (proto.flags.releases && proto.args[0] == ArgKind::Dynptr);
    if (ends_object) {
        if (std::erase(refs_, used.memory) == 0) return fail("it was released before");
        regions_[used.memory].alive = false;
        for (const Slice& s : slices_) {
            if (s.of == used.memory) regions_[s.memory].alive = false;
        }
        std::erase_if(objects_, [&](const auto& o) { return o.second.memory == used.memory; });
    } else if (proto.flags.releases) {
        const Region* region = region_of(frame.regs[1]);
        if (region != nullptr) {
            const u32 index = static_cast<u32>(region - regions_.data());
            if (std::erase(refs_, index) == 0) return fail("it was released before");
            regions_[index].alive = false;
        }
    }
    if (proto.id == spec::Helper::loop || proto.id == spec::Helper::for_each_map_elem) {
        const bool loop = proto.id == spec::Helper::loop;
        const u64 wanted = loop ? static_cast<u32>(frame.regs[1]) : random_() % 5;
        std::array<u64, 5> arguments{};
        if (loop) {
            arguments = {0, frame.regs[3], 0, 0, 0};
        } else {
            const u32 key = add_region(Region::What::Memory, 0, program_.maps[map].key_size);
            regions_[key].writable = false;
            arguments = {frame.regs[1], regions_[key].base, map_value(map), frame.regs[3], 0};
        }
        const u32 rounds = static_cast<u32>(std::min<u64>(wanted, kCallbackRounds));
        if (rounds == 0) {
            frame.regs[0] = 0;
            frame.set[0] = true;
            clobber();
            ++pc_;
            return true;
        }
        for (unsigned r = 1; r <= 5; ++r) {
            frame.regs[r] = arguments[r - 1];
            frame.set[r] = r <= (loop ? 2u : 4u);
        }
        const i32 at = static_cast<i32>(pc_);
        if (!enter(callback, pc_ + 1, at)) return false;
        frames_.back().arguments = arguments;
        frames_.back().rounds = rounds - 1;
        frames_.back().map = map;
        return true;
    }
    // Not by a dynamic pointer: a frame is in one piece.
    if (proto.flags.changes_packet && proto.args[0] != ArgKind::Dynptr && !tail_call) new_packet();
    u64 result = 0;
    bool set = true;
    switch (proto.ret) {
        case RetKind::Void:
            set = false;
            result = random_();
            break;
        case RetKind::Errno:
            result = random_() % 2 ? 0 : u64{0} - random_() % 100;
            break;
        case RetKind::MapValueOrNull:
            if (spec::gives_sockets(program_.maps[map].type)) return fail("a socket");
            if (!finds(*region_of(frame.regs[1]), key_address)) break;
            if (spec::info(program_.maps[map].type).holds == spec::Holds::Map) {
                result = inner_map_token(static_cast<u32>(program_.maps[map].inner));
            } else {
                result = map_value(map);
            }
            break;
        case RetKind::IteratorNumberOrNull:
            result = next_number(frame.regs[1]);
            break;
        case RetKind::DynptrSliceOrNull:
        case RetKind::DynptrReadOnlySliceOrNull:
            result = slice(used, alloc, proto.ret == RetKind::DynptrReadOnlySliceOrNull);
            break;
        case RetKind::AllocMemOrNull:
            if (random_() % 3 == 0) break;
            {
                const u32 m = add_region(Region::What::Memory, 0, alloc);
                for (u8& b : regions_[m].bytes) b = static_cast<u8>(random_());
                refs_.push_back(m);
                result = regions_[m].base;
            }
            break;
        default:
            result = random_number();
            break;
    }
    MachineFrame& f = frames_.back();
    f.regs[0] = result;
    f.set[0] = set;
    clobber();
    ++pc_;
    return true;
}

bool Machine::exit() {
    if (!frames_.back().set[0]) {
        if (frames_.size() == 1 || frames_.back().callback_of >= 0) return readable(0);
    }
    if (frames_.size() == 1) {
        ended_ = true;
        return refs_.empty() ? false : fail("the program ended with references");
    }
    const MachineFrame frame = frames_.back();
    frames_.pop_back();
    regions_[frame.stack].alive = false;
    MachineFrame& caller = frames_.back();
    if (frame.callback_of >= 0) {
        if (frame.regs[0] > 1) return fail("the callback returned neither 0 nor 1");
        if (refs_ != frame.refs) return fail("the callback changed what is held");
        if (frame.rounds > 0 && frame.regs[0] == 0) {
            const bool loop = program_.maps.empty() || frame.arguments[0] < (u64{1} << 32);
            std::array<u64, 5> arguments = frame.arguments;
            if (loop) {
                ++arguments[0];
            } else {
                arguments[2] = map_value(frame.map);
            }
            for (unsigned r = 1; r <= 5; ++r) {
                caller.regs[r] = arguments[r - 1];
                caller.set[r] = r <= (loop ? 2u : 4u);
            }
            if (!enter(program_.subprograms[frame.subprogram].begin, frame.return_to,
                       frame.callback_of))
                return false;
            frames_.back().arguments = arguments;
            frames_.back().rounds = frame.rounds - 1;
            frames_.back().map = frame.map;
            return true;
        }
        caller.regs[0] = random_() % 4;
        caller.set[0] = true;
    } else {
        caller.regs[0] = frame.regs[0];
        caller.set[0] = frame.set[0];
    }
    pc_ = frame.return_to;
    return true;
}

}  // namespace ebpf::verifier::oracle
