// SPDX-License-Identifier: MIT
#include "verifier/linux_words.hpp"

#include <algorithm>

#include "isa/text/text.hpp"
#include "spec/attach_types.hpp"
#include "spec/helpers.hpp"
#include "verifier/linux_state.hpp"

namespace ebpf::verifier::linux_log_text {

namespace {

using isa::AluOp;
using isa::Form;
using spec::ArgKind;

// What the rows of linux_words.def ask and name.
class Words {
  public:
    explicit Words(const Failure& f)
        : f_(f),
          insn_(f.program.insns[f.diagnostic.insn]),
          base_(f.state.reg(base_register())),
          proto_(helper()) {}

    bool always() const { return true; }
    bool calls() const { return insn_.form == Form::Call; }
    bool loads() const { return insn_.form == Form::Load || insn_.form == Form::LoadSx; }
    bool writes() const {
        return insn_.form == Form::StoreReg || insn_.form == Form::StoreImm ||
               insn_.form == Form::Atomic;
    }
    bool accesses() const { return loads() || writes(); }
    bool adds() const {
        return (insn_.form == Form::AluReg || insn_.form == Form::AluImm) && insn_.is64() &&
               (insn_.alu() == AluOp::Add || insn_.alu() == AluOp::Sub);
    }
    bool adds_unlimited() const {
        return adds() && (base_.has_arithmetic() || base_.kind == Kind::Context);
    }
    bool below() const { return accesses() && first() < 0; }
    bool starts_behind() const {
        return accesses() && first() + isa::bytes(insn_.width) > static_cast<i64>(extent());
    }
    bool holds() const { return !f_.state.refs.empty(); }
    bool size_negative() const { return calls() && f_.state.reg(size_register()).num.smin() < 0; }
    bool size_zero() const {
        const Scalar& size = f_.state.reg(size_register()).num;
        return calls() && size.umin() == 0 && size.umax() < static_cast<u64>(kMaxOffset);
    }

    std::string fill(std::string_view text) const {
        std::string out;
        while (!text.empty()) {
            const std::size_t open = std::min(text.find('{'), text.size());
            out += text.substr(0, open);
            text.remove_prefix(open);
            if (text.empty()) break;
            const std::size_t close = text.find('}');
            out += word(text.substr(1, close - 1));
            text.remove_prefix(close + 1);
        }
        return out + "\n";
    }

  private:
    std::string word(std::string_view name) const {
        const auto n = [](auto v) { return std::to_string(v); };
        if (name == "base") return n(base_register());
        if (name == "kind") return kind_text(base_);
        if (name == "value") return n(insn_.src);
        if (name == "unread") return n(unread());
        if (name == "off") return n(first());
        if (name == "most") return n(base_.num.smax() + base_.off + insn_.off);
        if (name == "field") return n(insn_.off);
        if (name == "size") return n(isa::bytes(insn_.width));
        if (name == "id") return n(base_.id);
        if (name == "range") return n(base_.size);
        if (name == "value_size") return n(extent());
        if (name == "unwritten") return n(unwritten());
        if (name == "imm") return n(static_cast<u32>(insn_.imm));
        if (name == "argument") return n(argument());
        if (name == "argument_kind") return kind_text(f_.state.reg(argument()));
        if (name == "expected") return expected();
        if (name == "size_argument") return n(size_register());
        if (name == "size_most") return n(f_.state.reg(size_register()).num.umax());
        if (name == "frames") return n(f_.state.frames.size() + 1);
        if (name == "reference") return n(f_.state.refs.front());
        if (name == "acquired") return n(acquired());
        if (name == "returned") return returned();
        if (name == "returnable") return returnable();
        if (name == "slot") return n(f_.program.slot_of[f_.diagnostic.insn]);
        if (name == "steps") return n(f_.steps);
        if (name == "operator") return operator_text();
        return "?";
    }

    isa::Reg base_register() const {
        if (loads()) return insn_.src;
        const bool other = insn_.form == Form::AluReg && !f_.state.reg(insn_.dst).is_pointer();
        return other ? insn_.src : insn_.dst;
    }
    unsigned unread() const {
        const RegSet reads = isa::registers_of(insn_).reads;
        for (const isa::Reg r : {insn_.src, insn_.dst}) {  // the order in which Linux looks
            if ((reads >> r & 1) && !calls() && f_.state.reg(r).kind == Kind::Uninit) return r;
        }
        for (isa::Reg r = 0; r < isa::kRegisterCount; ++r) {
            if ((reads >> r & 1) && f_.state.reg(r).kind == Kind::Uninit) return r;
        }
        return 0;
    }
    i64 first() const { return base_.num.smin() + base_.off + insn_.off; }
    u64 extent() const {
        if (base_.kind == Kind::MapValue) return f_.program.maps[base_.index].value_size;
        return base_.size;
    }
    i64 unwritten() const {
        if (base_.kind != Kind::Stack) return 0;
        const int from = static_cast<int>(isa::kStackSize + first());
        const int size = isa::bytes(insn_.width);
        if (from < 0 || from + size > isa::kStackSize) return 0;
        return std::max(f_.state.frames[base_.frame].stack->first_uninit(from, size) - from, 0);
    }
    const spec::HelperProto* helper() const {
        if (!calls() || insn_.call() != isa::CallKind::Helper) return nullptr;
        return spec::find_helper(*f_.environment.type, static_cast<u32>(insn_.imm));
    }

    // What Linux calls the first kind that fits.
    static const char* expected_by(ArgKind kind) {
        switch (kind) {
            case ArgKind::Map:
            case ArgKind::MapOfPrograms:
                return "map_ptr";
            case ArgKind::Context:
            case ArgKind::ContextOrNull:
                return "ctx";
            case ArgKind::Scalar:
            case ArgKind::ConstSize:
            case ArgKind::ConstSizeOrZero:
            case ArgKind::ConstAllocSize:
                return "scalar";
            case ArgKind::SpinLock:
            case ArgKind::Timer:
            case ArgKind::KptrField:
            case ArgKind::ConstString:
            case ArgKind::ConstFormat:
                return "map_value";
            case ArgKind::AllocMem:
                return "ringbuf_mem";
            case ArgKind::Callback:
                return "func";
            case ArgKind::Socket:
                return "sock";
            case ArgKind::SocketCommon:
                return "sock_common";
            case ArgKind::BtfId:
            case ArgKind::PercpuBtfId:
                return "ptr_";
            default:
                return kMemory;
        }
    }
    static constexpr const char* kMemory =
        "fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_";
    static bool is_memory(ArgKind kind) { return expected_by(kind) == kMemory; }
    bool fits(ArgKind kind, const Reg& r) const {
        if (kind == ArgKind::None || kind == ArgKind::Anything) return true;
        if (is_memory(kind)) return r.has_arithmetic() && !r.nullable;
        return kind_text(r) == expected_by(kind);
    }
    isa::Reg argument() const {
        for (int n = 0; proto_ != nullptr && n < proto_->arg_count(); ++n) {
            const isa::Reg r = static_cast<isa::Reg>(n + 1);
            if (!fits(proto_->args[n], f_.state.reg(r))) return r;
        }
        return 1;
    }
    std::string expected() const {
        return proto_ != nullptr ? expected_by(proto_->args[argument() - 1]) : kMemory;
    }
    isa::Reg size_register() const {
        for (int n = 0; proto_ != nullptr && n < proto_->arg_count(); ++n) {
            const ArgKind kind = proto_->args[n];
            const Scalar& size = f_.state.reg(static_cast<isa::Reg>(n + 1)).num;
            const bool limited = size.smin() >= 0 && size.umax() < static_cast<u64>(kMaxOffset);
            if ((kind == ArgKind::ConstSize && !(limited && size.umin() > 0)) ||
                (kind == ArgKind::ConstSizeOrZero && !limited))
                return static_cast<isa::Reg>(n + 1);
        }
        return 1;
    }
    u32 acquired() const {
        const auto by = f_.acquired.find(f_.state.refs.front());
        return by != f_.acquired.end() ? f_.program.slot_of[by->second] : 0;
    }
    std::string returned() const {
        const Scalar& r0 = f_.state.reg(isa::Reg{0}).num;
        if (r0.smin() == std::numeric_limits<i64>::min() &&
            r0.smax() == std::numeric_limits<i64>::max())
            return "unknown scalar value";
        return "smin=" + std::to_string(r0.smin()) + " smax=" + std::to_string(r0.smax());
    }
    std::string returnable() const {
        const auto range = spec::return_range(*f_.environment.type, f_.program.attach);
        return "[" + std::to_string(range.min) + ", " + std::to_string(range.max) + "]";
    }
    // "*=": the second word of the instruction.
    std::string operator_text() const {
        const std::string text = isa::text::print(insn_, isa::text::Dialect::Linux);
        const std::size_t from = text.find(' ') + 1;
        return text.substr(from, text.find(' ', from) - from);
    }

    const Failure& f_;
    const isa::Insn& insn_;
    const Reg& base_;
    const spec::HelperProto* proto_;
};

struct Row {
    DiagnosticCode code;
    bool (Words::*when)() const;
    const char* text;
};
constexpr Row kRows[] = {
#define WORDS(code, when, text) {DiagnosticCode::code, &Words::when, text},
#include "verifier/linux_words.def"
};

}  // namespace

std::string words(const Failure& failure) {
    const Words words(failure);
    for (const Row& row : kRows) {
        if (row.code == failure.diagnostic.code && (words.*row.when)()) return words.fill(row.text);
    }
    return "";
}

}  // namespace ebpf::verifier::linux_log_text
