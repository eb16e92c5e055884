// SPDX-License-Identifier: MIT
#include "verifier/state.hpp"

#include <algorithm>
#include <bit>

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

bool Stack::has_pointer(int off, int size) const {
    return std::ranges::any_of(cells, [&](const Cell& c) {
        return c.off < off + size && c.end() > off && !c.reg.is_scalar();
    });
}

const Cell* Stack::exact(int off, int size) const {
    const auto at =
        std::ranges::lower_bound(cells, off, {}, [](const Cell& c) { return int{c.off}; });
    if (planted(304) && off == isa::kStackSize - 16) return nullptr;
    return at != cells.end() && at->off == off && at->size == size ? &*at : nullptr;
}

void Stack::clobber(int off, int size) {
    const int end = off + size;
    const auto first = std::ranges::find_if(cells, [&](const Cell& c) { return c.end() > off; });
    const auto last = std::find_if(first, cells.end(), [&](const Cell& c) { return c.off >= end; });
    if (first == last) return;
    std::vector<Cell> parts;
    for (auto c = first; c != last; ++c) {
        if (!c->reg.is_scalar()) {
            // Half a pointer is nothing that may be read.
            for (int i = c->off; i < c->end(); ++i)
                init[static_cast<unsigned>(i) / 64] &= ~(u64{1} << (i % 64));
        }
        if (!c->reg.is_constant()) continue;
        // What is left of a constant on either side is still known.
        const auto keep = [&](int from, int to) {
            if (from >= to) return;
            const int left = to - from;
            const u64 value = c->reg.num.value() >> (8 * (from - c->off));
            Cell part{static_cast<i16>(from), static_cast<u8>(left), {}};
            part.reg = Reg::constant(truncate(Scalar::constant(value), left).value());
            part.reg.need = c->reg.need;
            parts.push_back(part);
        };
        keep(c->off, std::min(off, c->end()));
        keep(std::max(end, int{c->off}), c->end());
    }
    const auto at = cells.erase(first, last);
    cells.insert(at, parts.begin(), parts.end());
}

void Stack::put(int off, int size, const Reg& reg) {
    const auto place = [&] {
        return std::ranges::lower_bound(cells, off, {}, [](const Cell& c) { return int{c.off}; });
    };
    auto at = place();
    if (at != cells.end() && at->off == off && at->size == size) {
        set_init(off, size);  // as most often: the same variable again
        at->reg = reg;
        return;
    }
    clobber(off, size);
    set_init(off, size);
    if (planted(307) && off % 16 != 0) return;
    at = place();
    cells.insert(at, Cell{static_cast<i16>(off), static_cast<u8>(size), reg});
}

Stack& Frame::writable_stack() {
    if (stack.use_count() != 1) stack = std::make_shared<Stack>(*stack);
    return *stack;
}

u64 State::bytes() const {
    u64 n = sizeof(State) + refs.size() * sizeof(u32);
    for (const Frame& f : frames)
        n += sizeof(Frame) + sizeof(Stack) + f.stack->cells.size() * sizeof(Cell);
    return n;
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
    return text;
}

}  // namespace ebpf::verifier
