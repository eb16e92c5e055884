// SPDX-License-Identifier: MIT
//
// The codec against rfc9669.csv, which was written by hand and shares nothing with
// instructions.def.
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <fstream>
#include <random>
#include <sstream>

#include "isa/codec.hpp"
#include "isa/table.hpp"
#include "isa/text/text.hpp"

namespace ebpf::isa {
namespace {

struct Row {
    int opcode = 0;
    std::string dst, src, off, imm, next, group, text;
};

std::vector<Row> load_rows() {
    std::ifstream file(RFC9669_CSV);
    std::vector<Row> rows;
    for (std::string line; std::getline(file, line);) {
        if (line.empty() || line[0] == '#') continue;
        std::istringstream in(line);
        Row row;
        std::string opcode;
        for (std::string* field :
             {&opcode, &row.dst, &row.src, &row.off, &row.imm, &row.next, &row.group}) {
            std::getline(in, *field, ',');
        }
        std::getline(in, row.text);
        row.opcode = std::stoi(opcode, nullptr, 0);
        rows.push_back(row);
    }
    return rows;
}

const std::vector<Row>& rows() {
    static const std::vector<Row> kRows = load_rows();
    return kRows;
}

bool allows(const std::string& rule, i64 value) {
    if (rule == "any" || rule == "-") return true;
    if (rule == "w") return value <= 9;
    if (rule == "r") return value <= 10;
    return value == std::stol(rule, nullptr, 0);
}

i64 sample(const std::string& rule, i64 free) {
    if (rule == "any" || rule == "w" || rule == "r") return free;
    return rule == "-" ? 0 : std::stol(rule, nullptr, 0);
}

using TwoSlots = std::array<Slot, 2>;

TwoSlots slots_of(const Row& row) {
    TwoSlots s{};
    s[0].opcode = static_cast<u8>(row.opcode);
    s[0].regs = static_cast<u8>(sample(row.src, 2) << 4 | sample(row.dst, 1));
    s[0].off = static_cast<i16>(sample(row.off, 3));
    s[0].imm = static_cast<i32>(sample(row.imm, 4));
    s[1].imm = static_cast<i32>(sample(row.next, 5));
    return s;
}

Bytes bytes_of(const TwoSlots& s) {
    return std::as_bytes(std::span(s));
}

TEST(Rfc9669, HasEveryEncoding) {
    ASSERT_EQ(rows().size(), 171u + 1);  // and Linux's may_goto
}

TEST(Rfc9669, EachRowDecodesToWhatItSays) {
    for (const Row& row : rows()) {
        const TwoSlots raw = slots_of(row);
        const Result<Insn> insn = decode(bytes_of(raw), 0);
        ASSERT_TRUE(insn) << row.text << ": " << name(insn.error().code);
        EXPECT_EQ(text::print(*insn, text::Dialect::Llvm), row.text);
        EXPECT_EQ(insn->slots(), row.next == "-" ? 1 : 2) << row.text;
        const Encoding* encoding = find_encoding(*insn);
        ASSERT_NE(encoding, nullptr);
        EXPECT_EQ(group(*encoding), row.group) << row.text;

        TwoSlots again{};
        ASSERT_TRUE(encode(*insn, again)) << row.text;
        EXPECT_EQ(std::memcmp(&again, &raw, sizeof raw), 0) << row.text;
    }
}

// Linux has these; the error names them.
const char* linux_only(const Slot& s) {
    if (s.opcode == 0xbf && s.off == 1) return "addr_space_cast";
    const bool atomic =
        s.opcode == 0xc3 || s.opcode == 0xcb || s.opcode == 0xd3 || s.opcode == 0xdb;
    if (atomic && s.imm == 0x100) return "load_acquire";
    if (atomic && s.imm == 0x110) return "store_release";
    return nullptr;
}

// What decoding `raw` must do is what the rows of its opcode say.
void check(const TwoSlots& raw, const std::vector<const Row*>& candidates) {
    const Slot& s = raw[0];
    bool legal = false;
    for (const Row* row : candidates) {
        legal |= allows(row->dst, s.regs & 0xf) && allows(row->src, s.regs >> 4) &&
                 allows(row->off, s.off) && allows(row->imm, s.imm) &&
                 allows(row->next, raw[1].imm);
    }
    const Result<Insn> insn = decode(bytes_of(raw), 0);
    ASSERT_EQ(insn.has_value(), legal);
    if (legal) {
        TwoSlots again{};
        ASSERT_TRUE(encode(*insn, again));
        if (insn->slots() == 1) again[1] = raw[1];
        ASSERT_EQ(std::memcmp(&again, &raw, sizeof raw), 0);
        return;
    }
    const Error& e = insn.error();
    if (const char* known = linux_only(s); known != nullptr) {
        ASSERT_EQ(e.code, Errc::Unsupported);
        ASSERT_STREQ(e.what, known);
    } else if (candidates.empty()) {
        ASSERT_EQ(e.code, Errc::BadOpcode);
        ASSERT_EQ(e.arg, s.opcode);
    } else {
        ASSERT_TRUE(e.code == Errc::ReservedField || e.code == Errc::BadRegister);
    }
}

class Rfc9669Space : public testing::TestWithParam<int> {};

// All selectors, all boundaries of registers: legal exactly where a row of the table says so.
TEST_P(Rfc9669Space, DecodesExactlyTheRows) {
    constexpr i16 kOffs[] = {0, 1, 2, 7, 8, 16, 24, 32, 64, -1, INT16_MAX, INT16_MIN};
    constexpr i32 kImms[] = {0,    1,    4,     8,     16,        24,   32,   64,
                             0x41, 0x50, 0x51,  0xa0,  0xa1,      0xe0, 0xe1, 0xf0,
                             0xf1, 0xff, 0x100, 0x110, INT32_MAX, -1};
    for (int opcode = 16 * GetParam(); opcode < 16 * GetParam() + 16; ++opcode) {
        std::vector<const Row*> candidates;
        for (const Row& row : rows()) {
            if (row.opcode == opcode) candidates.push_back(&row);
        }
        for (const int dst : {0, 1, 9, 10, 11, 15}) {
            for (int n = 0; n < 16 * 12 * 22 * 2; ++n) {
                const int src = n % 16, off = n / 16 % 12, imm = n / 192 % 22;
                TwoSlots raw{};
                raw[0] = {static_cast<u8>(opcode), static_cast<u8>(src << 4 | dst), kOffs[off],
                          kImms[imm]};
                raw[1].imm = n / (192 * 22) == 0 ? 0 : 5;
                check(raw, candidates);
                ASSERT_FALSE(HasFatalFailure())
                    << "opcode " << opcode << " dst " << dst << " src " << src << " off "
                    << kOffs[off] << " imm " << kImms[imm];
            }
        }
    }
}
INSTANTIATE_TEST_SUITE_P(HighNibble, Rfc9669Space, testing::Range(0, 16));

Error error_of(std::initializer_list<Slot> slots, u32 pc = 0) {
    const std::vector<Slot> all(slots);
    const Result<Insn> insn = decode(std::as_bytes(std::span(all)), pc);
    return insn ? Error{} : insn.error();
}

void expect_error(const Error& e, Errc code, const char* what, u64 slot, u64 arg) {
    EXPECT_EQ(name(e.code), name(code));
    EXPECT_STREQ(e.what, what);
    EXPECT_EQ(e.where.kind, Where::Kind::Instruction);
    EXPECT_EQ(e.where.value, slot);
    EXPECT_EQ(e.arg, arg);
}

TEST(Decode, ErrorsNameTheFieldAndTheSlot) {
    constexpr Slot kExit{0x95, 0, 0, 0};
    expect_error(error_of({kExit, {0xff, 0, 0, 0}}, 1), Errc::BadOpcode, "opcode", 1, 0xff);
    expect_error(error_of({{0x07, 0x0a, 0, 1}}), Errc::BadRegister, "dst", 0, 10);
    expect_error(error_of({{0x0f, 0xb0, 0, 0}}), Errc::BadRegister, "src", 0, 11);
    expect_error(error_of({{0x07, 0x10, 0, 1}}), Errc::ReservedField, "src", 0, 1);
    expect_error(error_of({{0x0f, 0x10, 0, 7}}), Errc::ReservedField, "imm", 0, 7);
    expect_error(error_of({{0x07, 0x00, 2, 1}}), Errc::ReservedField, "off", 0, 2);
    expect_error(error_of({{0xdb, 0x10, 0, 0x33}}), Errc::ReservedField, "imm", 0, 0x33);
    expect_error(error_of({{0xd4, 0x00, 0, 24}}), Errc::ReservedField, "imm", 0, 24);
    expect_error(error_of({{0x85, 0x30, 0, 0}}), Errc::ReservedField, "src", 0, 3);
    expect_error(error_of({{0x18, 0x70, 0, 0}, {}}), Errc::ReservedField, "src", 0, 7);
    // A fetch writes its source, and the frame pointer cannot be written.
    expect_error(error_of({{0xdb, 0xa1, 0, 1}}), Errc::BadRegister, "src", 0, 10);
    // clang's older form of a call by register.
    expect_error(error_of({{0x8d, 0x00, 0, 3}}), Errc::ReservedField, "imm", 0, 3);
}

TEST(Decode, TwoSlotInstructions) {
    expect_error(error_of({{0x18, 0, 0, 0}}), Errc::Truncated, "second half of the instruction", 0,
                 0);
    expect_error(error_of({{0x18, 0, 0, 0}, {0x95, 0, 0, 0}}), Errc::ReservedField,
                 "opcode of the second half", 1, 0x95);
    expect_error(error_of({{0x18, 0, 0, 0}, {0, 1, 0, 0}}), Errc::ReservedField,
                 "registers of the second half", 1, 1);
    expect_error(error_of({{0x18, 0, 0, 0}, {0, 0, 9, 0}}), Errc::ReservedField,
                 "off of the second half", 1, 9);
    expect_error(error_of({{0x18, 0x10, 0, 0}, {0, 0, 0, 9}}), Errc::ReservedField,
                 "imm of the second half", 1, 9);
}

TEST(Decode, OutsideTheBytes) {
    expect_error(error_of({}), Errc::Truncated, "instruction", 0, 0);
    expect_error(error_of({{0x95, 0, 0, 0}}, 7), Errc::Truncated, "instruction", 7, 0);
    const std::byte seven[7]{};
    EXPECT_EQ(decode(seven, 0).error().code, Errc::Truncated);
}

TEST(Decode, ImmediatesAreExtendedAsTheirRowSays) {
    const auto imm = [](Slot first, i32 next) {
        const TwoSlots s{first, Slot{0, 0, 0, next}};
        return decode(bytes_of(s), 0)->imm;
    };
    EXPECT_EQ(imm({0x07, 0, 0, -1}, 0), -1);
    EXPECT_EQ(imm({0x05, 0, -5, 0}, 0), -5);
    EXPECT_EQ(imm({0x06, 0, 0, -70000}, 0), -70000);
    EXPECT_EQ(imm({0x85, 0x10, 0, -2}, 0), -2);
    EXPECT_EQ(imm({0x85, 0x00, 0, -2}, 0), 0xffff'fffe);
    EXPECT_EQ(imm({0x18, 0x00, 0, -1}, 1), 0x1'ffff'ffff);
    EXPECT_EQ(imm({0x18, 0x10, 0, -1}, 0), 0xffff'ffff);
    EXPECT_EQ(imm({0x18, 0x40, 0, -3}, 0), -3);
}

// Any Insn either has no encoding or survives the way there and back.
TEST(Encode, IsTheInverseOfDecode) {
    std::mt19937_64 random(1);
    int legal = 0;
    for (int i = 0; i < 400'000; ++i) {
        Insn insn;
        insn.form = static_cast<Form>(random() % (kFormCount + 1));
        insn.kind = static_cast<u8>(random() % 15);
        insn.width = static_cast<Width>(1u << (random() % 4));
        insn.dst = static_cast<Reg>(random() % 12);
        insn.src = random() % 2 == 0 ? 0 : static_cast<Reg>(random() % 12);
        constexpr u8 kFrom[] = {0, 0, 8, 16, 32};
        insn.from_bits = kFrom[random() % 5];
        insn.off = random() % 2 == 0 ? i16{0} : static_cast<i16>(random());
        insn.imm = random() % 2 == 0 ? 0 : static_cast<i64>(random()) >> (random() % 64);
        TwoSlots raw{};
        if (const Status s = encode(insn, raw); !s) {
            ASSERT_EQ(s.error().code, Errc::BadFormat);
            continue;
        }
        ++legal;
        const Result<Insn> again = decode(bytes_of(raw), 0);
        ASSERT_TRUE(again) << name(again.error().code);
        ASSERT_EQ(*again, insn);
    }
    EXPECT_GT(legal, 1000);
}

TEST(Encode, RefusesWhatDoesNotFit) {
    TwoSlots raw{};
    const auto refused = [&](const Insn& insn) {
        const Status s = encode(insn, raw);
        return s ? std::string("accepted") : std::string(s.error().what);
    };
    EXPECT_EQ(refused({.form = Form::AluImm, .imm = i64{1} << 31}), "imm");
    EXPECT_EQ(refused({.form = Form::AluImm, .dst = 10}), "dst");
    EXPECT_EQ(refused({.form = Form::AluImm, .src = 1}), "src");
    EXPECT_EQ(refused({.form = Form::Ja, .imm = 32768}), "displacement");
    EXPECT_EQ(refused({.form = Form::Ja, .width = Width::W32, .imm = i64{1} << 31}), "imm");
    EXPECT_EQ(refused({.form = Form::Exit, .off = 1}), "off");
    EXPECT_EQ(refused({.form = Form::LoadSx, .width = Width::W64}), "operation");
    EXPECT_EQ(refused({.form = Form::Wide, .kind = u8{1}, .imm = i64{1} << 32}), "imm");
    EXPECT_EQ(refused({.form = Form::Ja, .width = Width::W32, .imm = 32768}), "accepted");
}

}  // namespace
}  // namespace ebpf::isa
