// SPDX-License-Identifier: MIT
#include "verifier/state.hpp"

#include <algorithm>
#include <bit>
#include <cstdlib>

namespace ebpf::verifier {

const char* name(Kind kind) {
    switch (kind) {
        case Kind::Uninit:
            return "nothing (uninitialised)";
        case Kind::Scalar:
            return "a number";
        case Kind::Context:
            return "the context";
        case Kind::Stack:
            return "a stack pointer";
        case Kind::Packet:
            return "a packet pointer";
        case Kind::PacketMeta:
            return "a packet metadata pointer";
        case Kind::PacketEnd:
            return "the packet's end";
        case Kind::Map:
            return "a map";
        case Kind::MapValue:
            return "a pointer into a map value";
        case Kind::Memory:
            return "a pointer to allocated memory";
        case Kind::Object:
            return "a kernel object";
        case Kind::Typed:
            return "a pointer to a structure of the kernel";
        case Kind::Function:
            return "a function's address";
        case Kind::Dynptr:
            return "a dynamic pointer";
        case Kind::Iterator:
            return "an iterator";
        case Kind::LentDynptr:
            return "a dynamic pointer that is lent";
    }
    return "?";
}

Reg Reg::scalar(const Scalar& s, u32 value_id) {
    Reg r;
    r.kind = Kind::Scalar;
    r.num = s;
    r.id = value_id;
    return r;
}

Reg Reg::constant(u64 v) {
    Reg r = scalar(Scalar::constant(v), 0);
    r.delta = static_cast<i64>(v);
    return r;
}

Reg Reg::pointer(Kind kind) {
    Reg r;
    r.kind = kind;
    r.num = Scalar::constant(0);
    return r;
}

Granules granules(int off, int size) {
    Granules g{};
    for (int i = off / 4; i * 4 < off + size; ++i)
        g[planted(306) ? 0u : static_cast<unsigned>(i) / 64] |= u64{1} << (i % 64);
    return g;
}

bool Stack::all_init(int off, int size) const {
    return first_uninit(off, size) < 0;
}

int Stack::first_uninit(int off, int size) const {
    for (int i = off; i < off + size; ++i) {
        if (planted(305) && i / 64 == 6) continue;
        if (!(init[static_cast<unsigned>(i) / 64] >> (i % 64) & 1)) return i;
    }
    return -1;
}

void Stack::set_init(int off, int size) {
    for (int i = off; i < off + size; ++i)
        init[static_cast<unsigned>(i) / 64] |= u64{1} << (i % 64);
}

void Stack::set_uninit(int off, int size) {
    for (int i = off; i < off + size; ++i)
        init[static_cast<unsigned>(i) / 64] &= ~(u64{1} << (i % 64));
}

Cells::Chunk& Cells::writable(int off) {
    std::shared_ptr<Chunk>& chunk = chunks_[chunk_of(off)];
    if (!chunk) {
        chunk = std::make_shared<Chunk>(sum_);
    } else if (chunk.use_count() != 1) {
        chunk = std::make_shared<Chunk>(*chunk);
    }
    return *chunk;
}

namespace {

// In a chunk: the first cell that begins at `off` or behind it.
auto place(auto& cells, int off) {
    return std::ranges::lower_bound(cells, off, {}, [](const Cell& c) { return int{c.off}; });
}

}  // namespace

const Cell* Cells::at(int off) const {
    const std::shared_ptr<Chunk>& chunk = chunks_[chunk_of(off)];
    if (!chunk) return nullptr;
    const auto found = place(std::as_const(chunk->cells), off);
    return found != chunk->cells.end() && found->off == off ? &*found : nullptr;
}

void Cells::insert(const Cell& cell) {
    Chunk& chunk = writable(cell.off);
    chunk.cells.insert(place(chunk.cells, cell.off), cell);
    chunk.note(cell.reg);
    chunk.count();
}

void Cells::erase(const Cell& cell) {
    Chunk& chunk = writable(cell.off);
    chunk.cells.erase(place(chunk.cells, cell.off));
}

void Cells::set(int off, const Reg& reg) {
    Chunk& chunk = writable(off);
    place(chunk.cells, off)->reg = reg;
    chunk.note(reg);
}

bool Stack::has_pointer(int off, int size) const {
    for (auto c = cells.near(off); c != cells.end() && c->off < off + size; ++c) {
        if (c->end() > off && !c->reg.is_scalar()) return true;
    }
    return false;
}

const Cell* Stack::exact(int off, int size) const {
    if (planted(304) && off == isa::kStackSize - 16) return nullptr;
    const Cell* cell = cells.at(off);
    return cell != nullptr && cell->size == size ? cell : nullptr;
}

void Stack::clobber(int off, int size) {
    const int end = off + size;
    std::vector<Cell> touched;
    for (auto c = cells.near(off); c != cells.end() && c->off < end; ++c) {
        if (c->end() > off) touched.push_back(*c);
    }
    for (const Cell& c : touched) {
        cells.erase(c);
        // Half a pointer is nothing that may be read.
        if (!c.reg.is_scalar()) set_uninit(c.off, c.size);
        if (!c.reg.is_constant()) continue;
        // What is left of a constant on either side is still known.
        const auto keep = [&](int from, int to) {
            if (from >= to) return;
            const int left = to - from;
            const u64 value = c.reg.num.value() >> (8 * (from - c.off));
            Cell part{static_cast<i16>(from), static_cast<u8>(left), {}};
            part.reg = Reg::constant(truncate(Scalar::constant(value), left).value());
            part.reg.need = c.reg.need;
            cells.insert(part);
        };
        keep(c.off, std::min(off, c.end()));
        keep(std::max(end, int{c.off}), c.end());
    }
}

void Stack::put(int off, int size, const Reg& reg) {
    if (const Cell* same = cells.at(off); same != nullptr && same->size == size) {
        set_init(off, size);  // as most often: the same variable again
        cells.set(off, reg);
        return;
    }
    clobber(off, size);
    set_init(off, size);
    if (planted(307) && off % 16 != 0) return;
    cells.insert(Cell{static_cast<i16>(off), static_cast<u8>(size), reg});
}

Stack& Frame::writable_stack() {
    if (stack.use_count() != 1) stack = std::make_shared<Stack>(*stack);
    return *stack;
}

const Reg& KeptState::reg(std::size_t frame, unsigned r) const {
    static constexpr Reg kNone{};
    const KeptFrame& f = frames[frame];
    if (!(f.kept >> r & 1)) return kNone;
    return regs[f.first + static_cast<unsigned>(std::popcount(f.kept & ((1u << r) - 1)))];
}

u64 KeptState::bytes() const {
    u64 n = sizeof(KeptState) + frames.size() * sizeof(KeptFrame) + regs.size() * sizeof(Reg) +
            refs.size() * sizeof(u32) + relations.all().size() * sizeof(Relation);
    for (const KeptFrame& f : frames) n += f.stack != nullptr ? sizeof(Stack) : 0;
    return n;
}

void KeptState::restore(State& s) const {
    s.pc = pc;
    s.may_goto = may_goto;
    s.refs = refs;
    s.relations = relations;
    s.packet_size = packet_size;
    s.lock = lock;
    s.frames.resize(frames.size());
    for (std::size_t f = 0; f < frames.size(); ++f) {
        Frame& frame = s.frames[f];
        static_cast<CallFrame&>(frame) = frames[f];
        for (unsigned r = 0; r < isa::kFramePointer; ++r) frame.regs[r] = reg(f, r);
        frame.regs[isa::kFramePointer] = Reg::pointer(Kind::Stack);
        frame.regs[isa::kFramePointer].frame = static_cast<u8>(f);
        frame.stack = frames[f].stack;
    }
}

namespace {

const char* object_name(const Reg& r) {
    switch (static_cast<spec::RetKind>(r.object)) {
        case spec::RetKind::SocketOrNull:
            return "a socket";
        case spec::RetKind::SocketCommonOrNull:
            return "a socket of any kind";
        case spec::RetKind::TcpSocketOrNull:
            return "a TCP socket";
        default:
            return "an object";
    }
}

std::string with_offset(std::string text, const Reg& r) {
    if (!r.num.is_constant() || r.num.value() != 0) text += " + (" + to_string(r.num) + ")";
    if (r.off != 0)
        text += (r.off > 0 ? " + " : " - ") + std::to_string(r.off > 0 ? i64{r.off} : -i64{r.off});
    return text;
}

}  // namespace

std::string to_string(const Reg& r) {
    std::string text;
    switch (r.kind) {
        case Kind::Uninit:
            return "uninitialised";
        case Kind::Scalar:
            return to_string(r.num);
        case Kind::Context:
            return with_offset("context", r);
        case Kind::Stack:
            return with_offset("stack[" + std::to_string(r.frame) + "]", r);
        case Kind::Packet:
            return with_offset("packet", r) + " (" + std::to_string(r.size) + " bytes proven)";
        case Kind::PacketMeta:
            return with_offset("metadata", r) + " (" + std::to_string(r.size) + " bytes proven)";
        case Kind::PacketEnd:
            return "packet end";
        case Kind::Map:
            text = "map " + std::to_string(r.index);
            break;
        case Kind::MapValue:
            text = with_offset("value of map " + std::to_string(r.index), r);
            break;
        case Kind::Memory:
            text = with_offset("memory of " + std::to_string(r.size) + " bytes", r);
            break;
        case Kind::Object:
            text = object_name(r);
            break;
        case Kind::Typed:
            text = with_offset("structure of type " + std::to_string(r.index), r);
            break;
        case Kind::Function:
            return "function at " + std::to_string(r.index);
        case Kind::Dynptr:
            text = "dynamic pointer";
            break;
        case Kind::LentDynptr:
            text = "lent dynamic pointer";
            break;
        case Kind::Iterator:
            text = "iterator";
            break;
    }
    if (r.nullable) text += " or null";
    if (r.ref != 0) text += " (reference " + std::to_string(r.ref) + ")";
    return text;
}

std::string to_string(const State& state) {
    std::string text;
    for (std::size_t f = 0; f < state.frames.size(); ++f) {
        const Frame& frame = state.frames[f];
        text += "  frame " + std::to_string(f) + ":";
        for (int r = 0; r < isa::kFramePointer; ++r) {
            if (frame.regs[r].kind == Kind::Uninit) continue;
            text += " r" + std::to_string(r) + "=" + to_string(frame.regs[r]) + ";";
        }
        for (const Cell& c : frame.stack->cells) {
            text += " [r10" + std::to_string(c.off - isa::kStackSize) + " size " +
                    std::to_string(c.size) + "]=" + to_string(c.reg) + ";";
        }
        text += "\n";
    }
    if (!state.refs.empty()) {
        text += "  references:";
        for (const u32 ref : state.refs) text += " " + std::to_string(ref);
        text += "\n";
    }
    for (const Relation& r : state.relations.all()) {
        text += "  relation:";
        for (const Part& p : r.parts()) {
            const u32 times = static_cast<u32>(std::abs(p.factor));
            text += (p.factor > 0 ? " + " : " - ") +
                    (times == 1 ? std::string() : std::to_string(times) + " * ") + "#" +
                    std::to_string(p.id);
        }
        text += (r.equal ? " == " : " <= ") + std::to_string(r.most) + "\n";
    }
    return text;
}

}  // namespace ebpf::verifier
