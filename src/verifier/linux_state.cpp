// SPDX-License-Identifier: MIT
#include "verifier/linux_state.hpp"

#include <cstdio>

namespace ebpf::verifier::linux_log_text {

namespace {

// Numbers of more than 16 bits are written in hexadecimal.
std::string signed_text(i64 v) {
    return v >= -0x8000 && v <= 0x7fff ? std::to_string(v) : hex(static_cast<u64>(v));
}
std::string unsigned_text(u64 v) {
    return v <= 0xffff ? std::to_string(v) : hex(v);
}

// Comma-separated parts in parentheses.
class Parts {
  public:
    void add(const std::string& part) { text_ += (text_.empty() ? "" : ",") + part; }
    std::string in_parentheses(const std::string& name) const { return name + "(" + text_ + ")"; }

  private:
    std::string text_;
};

// The ranges that say something; those that end at the same number are written together.
void add_ranges(Parts& parts, const Scalar& s) {
    const auto low_half = [](i32 v) {
        return v >= -0x8000 && v <= 0x7fff ? i64{v} : i64{static_cast<u32>(v)};
    };
    struct Bound {
        const char* name;
        u64 value;
        bool is_signed, said;
    } bounds[] = {
        {"smin", static_cast<u64>(s.smin()), true, s.smin() == std::numeric_limits<i64>::min()},
        {"smax", static_cast<u64>(s.smax()), true, s.smax() == std::numeric_limits<i64>::max()},
        {"umin", s.umin(), false, s.umin() == 0},
        {"umax", s.umax(), false, s.umax() == ~u64{0}},
        {"smin32", static_cast<u64>(low_half(s.r32.slo)), true,
         s.r32.slo == std::numeric_limits<i32>::min()},
        {"smax32", static_cast<u64>(low_half(s.r32.shi)), true,
         s.r32.shi == std::numeric_limits<i32>::max()},
        {"umin32", s.r32.lo, false, s.r32.lo == 0},
        {"umax32", s.r32.hi, false, s.r32.hi == ~u32{0}},
    };
    const auto negative = [](const Bound& b) {
        return b.is_signed && static_cast<i64>(b.value) < 0;
    };
    for (std::size_t i = 0; i < std::size(bounds); ++i) {
        if (bounds[i].said) continue;
        std::string names = bounds[i].name;
        for (std::size_t k = i + 2; k < std::size(bounds); k += 2) {
            if (bounds[k].said || bounds[k].value != bounds[i].value ||
                negative(bounds[k]) != negative(bounds[i]))
                continue;
            bounds[k].said = true;
            names += std::string("=") + bounds[k].name;
        }
        parts.add(names + "=" +
                  (bounds[i].is_signed ? signed_text(static_cast<i64>(bounds[i].value))
                                       : unsigned_text(bounds[i].value)));
    }
    if (s.bits != Tnum::unknown())
        parts.add("var_off=(" + hex(s.bits.value) + "; " + hex(s.bits.mask) + ")");
}

const char* plain_kind(const Reg& r) {
    switch (r.kind) {
        case Kind::Uninit:
            return "?";
        case Kind::Scalar:
            return "scalar";
        case Kind::Context:
            return "ctx";
        case Kind::Stack:
            return "fp";
        case Kind::Packet:
            return "pkt";
        case Kind::PacketMeta:
            return "pkt_meta";
        case Kind::PacketEnd:
            return "pkt_end";
        case Kind::Map:
            return "map_ptr";
        case Kind::MapValue:
            return "map_value";
        case Kind::Memory:
            return r.ref != 0 && !r.is_borrowed() ? "ringbuf_mem" : "mem";
        case Kind::Object:
            switch (static_cast<spec::RetKind>(r.object)) {
                case spec::RetKind::TcpSocketOrNull:
                    return "tcp_sock";
                case spec::RetKind::SocketCommonOrNull:
                    return "sock_common";
                default:
                    return "sock";
            }
        case Kind::Typed:
            return "ptr_";
        case Kind::Function:
            return "func";
        case Kind::Dynptr:
            return "dynptr_";
        case Kind::LentDynptr:
            return "dynptr_ptr";
        case Kind::Iterator:
            return "iter_num";
    }
    return "?";
}

// Whether anything else in the state is known to move with this number.
bool is_shared(const State& state, const Reg& r) {
    int holders = 0;
    for (const Frame& frame : state.frames) {
        for (const Reg& other : frame.regs) holders += other.number_id() == r.id;
        for (const Cell& c : frame.stack->cells) holders += c.reg.number_id() == r.id;
    }
    return holders > 1;
}

std::string value_text(const ir::Program& program, const State& state, std::size_t frame,
                       const Reg& r) {
    if (r.is_constant()) return signed_text(static_cast<i64>(r.num.value()));
    const bool fixed = r.num.is_constant();
    if (r.kind == Kind::Stack && fixed) {
        const i64 at = r.off + static_cast<i64>(r.num.value());
        return std::string("fp") + (r.frame != frame ? "[" + std::to_string(r.frame) + "]" : "") +
               signed_text(at);
    }
    Parts parts;
    const bool shown_id = r.is_scalar() ? r.scale == 1 && !r.low && is_shared(state, r) : r.id != 0;
    if (shown_id) {
        const std::string delta =
            r.is_scalar() && r.delta != 0 ? (r.delta > 0 ? "+" : "") + std::to_string(r.delta) : "";
        parts.add("id=" + std::to_string(r.id) + delta);
    }
    const bool on_stack = r.kind == Kind::Iterator || r.kind == Kind::Dynptr;
    if (r.ref != 0) parts.add((on_stack ? "ref_id=" : "ref_obj_id=") + std::to_string(r.ref));
    if (r.kind == Kind::Iterator) {
        parts.add("state=active");
        parts.add("depth=" + std::to_string(r.delta));
        return parts.in_parentheses("iter_num");
    }
    if (r.kind == Kind::Dynptr)
        return parts.in_parentheses(r.ref != 0 ? "dynptr_ringbuf" : "dynptr_local");
    if (r.kind == Kind::Map || r.kind == Kind::MapValue) {
        const ir::MapDef& m = program.maps[r.index];
        if (!m.name.empty()) parts.add("map=" + m.name);
        parts.add("ks=" + std::to_string(m.key_size));
        parts.add("vs=" + std::to_string(m.value_size));
    }
    if (r.is_pointer() && r.off != 0) parts.add("off=" + signed_text(r.off));
    if (r.is_packet()) parts.add("r=" + std::to_string(r.size));
    if (r.kind == Kind::Memory) parts.add("sz=" + std::to_string(r.size));
    if (!fixed) {
        add_ranges(parts, r.num);
    } else if (r.num.value() != 0) {
        parts.add("imm=" + signed_text(static_cast<i64>(r.num.value())));
    }
    return parts.in_parentheses(kind_text(r));
}

// A slot of 8 bytes: a value of all of them, or the kinds of the bytes from the last to the first
// and behind them the value of the rest. Empty when nothing was written.
std::string slot_text(const ir::Program& program, const State& state, std::size_t frame, int off) {
    const Stack& stack = *state.frames[frame].stack;
    const Cell* cell = stack.cells.at(off);
    if (cell != nullptr && cell->size >= 8) return value_text(program, state, frame, cell->reg);
    const int known =
        cell != nullptr && (cell->size == 4 || cell->reg.is_constant()) && cell->reg.num.umax() != 0
            ? cell->size
            : 0;
    std::string bytes;
    bool any = false;
    for (int at = off + 7; at >= off + known; --at) {
        const bool written = stack.all_init(at, 1);
        any |= written;
        const Cell* zero = stack.cells.at(at);
        bytes += !written ? '?'
                 : zero != nullptr && zero->size == 1 && zero->reg.is_constant() &&
                         zero->reg.num.value() == 0
                     ? '0'
                     : 'm';
    }
    if (known == 0) return any ? bytes : "";
    return bytes + value_text(program, state, frame, cell->reg);
}

}  // namespace

std::string hex(u64 value) {
    char text[24];
    std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
    return text;
}

std::string kind_text(const Reg& r) {
    return std::string(plain_kind(r)) + (r.nullable ? "_or_null" : "");
}

std::string frame_text(const ir::Program& program, const State& state, std::size_t at,
                       const Shown& shown) {
    const Frame& frame = state.frames[at];
    std::string text;
    for (unsigned r = 0; r < isa::kRegisterCount; ++r) {
        if ((shown.regs >> r & 1) && frame.regs[r].kind != Kind::Uninit)
            text += " R" + std::to_string(r) + "=" + value_text(program, state, at, frame.regs[r]);
    }
    for (int slot = 0; slot < isa::kStackSize / 8; ++slot) {
        if (!(shown.slots >> slot & 1)) continue;
        const int off = isa::kStackSize - 8 * (slot + 1);
        const std::string value = slot_text(program, state, at, off);
        if (!value.empty()) text += " fp" + std::to_string(off - isa::kStackSize) + "=" + value;
    }
    const bool all = shown.regs == isa::kAllRegs && at + 1 == state.frames.size();
    for (std::size_t i = 0; all && i < state.refs.size(); ++i)
        text += (i == 0 ? " refs=" : ",") + std::to_string(state.refs[i]);
    if (all && frame.callback_of != kNoCallback)
        text += frame.callback_of == kAsynchronous ? " async_cb" : " cb";
    if (at == 0 || text.empty()) return text;
    return " frame" + std::to_string(at) + ":" + text;
}

}  // namespace ebpf::verifier::linux_log_text
