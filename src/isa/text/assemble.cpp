// SPDX-License-Identifier: MIT
#include <algorithm>
#include <map>

#include "base/byte_reader.hpp"
#include "isa/codec.hpp"
#include "isa/text/pattern.hpp"

namespace ebpf::isa::text {
namespace {

constexpr u32 kNoSlot = ~0u;

struct Line {
    Insn insn;
    std::string_view label;  // the jump's target, empty when it is a number
    u32 number = 0;
    u32 slot = 0;
};

std::string_view trim(std::string_view s) {
    constexpr std::string_view kBlank = " \t\r";
    const std::size_t first = s.find_first_not_of(kBlank);
    if (first == s.npos) return {};
    return s.substr(first, s.find_last_not_of(kBlank) - first + 1);
}

std::string_view without_comment(std::string_view s, Dialect dialect) {
    s = s.substr(0, s.find('#'));
    if (dialect == Dialect::Llvm) s = s.substr(0, s.find("//"));
    return trim(s);
}

class Assembler {
  public:
    explicit Assembler(Dialect dialect) : dialect_(dialect) {}

    Status read(std::string_view text) {
        for (u32 number = 1; !text.empty(); ++number) {
            const std::size_t end = text.find('\n');
            TRY(line(without_comment(text.substr(0, end), dialect_), number));
            text = end == text.npos ? std::string_view{} : text.substr(end + 1);
        }
        return {};
    }

    Result<std::vector<std::byte>> write() {
        std::vector<std::byte> out(slots_ * sizeof(Slot));
        for (Line& l : lines_) {
            TRY(resolve(l));
            Slot slots[2];
            if (const Status s = encode(l.insn, slots); !s) {
                return fail(s.error().code, at_line(l.number), s.error().what, s.error().arg);
            }
            std::memcpy(out.data() + u64{l.slot} * sizeof(Slot), slots,
                        static_cast<std::size_t>(l.insn.slots()) * sizeof(Slot));
        }
        return out;
    }

  private:
    Status line(std::string_view text, u32 number) {
        if (text.empty()) return {};
        if (const std::size_t colon = text.find(':'); colon != text.npos) {
            TRY(define(trim(text.substr(0, colon)), number));
            return line(trim(text.substr(colon + 1)), number);
        }
        Line l{.number = number, .slot = slots_};
        Result<Insn> insn = parse_with_label(text, dialect_, l.label);
        if (!insn)
            return fail(insn.error().code, at_line(number), insn.error().what, insn.error().arg);
        l.insn = *insn;
        if (dialect_ == Dialect::Conformance && l.insn.form == Form::Exit) {
            first_exit_ = std::min(first_exit_, slots_);
        }
        slots_ += static_cast<u32>(l.insn.slots());
        if (slots_ > kMaxSlots) return fail(Errc::TooLarge, at_line(number), "slots", slots_);
        lines_.push_back(l);
        return {};
    }

    Status define(std::string_view label, u32 number) {
        if (label.empty()) return fail(Errc::BadFormat, at_line(number), "a label without a name");
        if (!labels_.try_emplace(label, slots_).second) {
            return fail(Errc::ObjectAlreadyExists, at_line(number), "label");
        }
        return {};
    }

    // Puts the distance to the label where the instruction keeps its displacement. It counts from
    // the slot after the first one, for a two-slot instruction too.
    Status resolve(Line& l) const {
        if (l.label.empty()) return {};
        const auto found = labels_.find(l.label);
        u32 target = kNoSlot;
        if (found != labels_.end())
            target = found->second;
        else if (l.label == "exit")
            target = first_exit_;
        if (target == kNoSlot) return fail(Errc::UnresolvedSymbol, at_line(l.number), "label");
        const i64 distance = i64{target} - i64{l.slot} - 1;
        if (!l.insn.is_conditional()) {
            l.insn.imm = distance;
        } else if (distance == static_cast<i16>(distance)) {
            l.insn.off = static_cast<i16>(distance);
        } else {
            return fail(Errc::BadFormat, at_line(l.number), "the label is too far away");
        }
        return {};
    }

    Dialect dialect_;
    std::vector<Line> lines_;
    std::map<std::string_view, u32> labels_;
    u32 slots_ = 0;
    u32 first_exit_ = kNoSlot;  // bpf_conformance's implicit label
};

}  // namespace

Result<std::vector<std::byte>> assemble(std::string_view text, Dialect dialect) {
    Assembler assembler(dialect);
    TRY(assembler.read(text));
    return assembler.write();
}

}  // namespace ebpf::isa::text
