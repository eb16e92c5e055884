// SPDX-License-Identifier: MIT
//
// A program for each rule and, where there is one, its safe twin: what is expected stands beside
// the text. XDP context: data at 0, data_end at 4, data_meta at 8, ingress_ifindex at 12.
#include "fixture.hpp"

namespace ebpf::verifier {
namespace {

struct Case {
    const char* name;
    const char* expected;
    const char* text;
    spec::ProgramType type = spec::ProgramType::Xdp;
};

std::ostream& operator<<(std::ostream& out, const Case& c) {
    return out << c.name;
}

class Rules : public testing::TestWithParam<Case> {};

TEST_P(Rules, Verdict) {
    const Case& c = GetParam();
    const Report report = check(c.text, c.type);
    EXPECT_EQ(outcome(report), c.expected) << explain(report) << "\n" << c.text;
    EXPECT_EQ(report.diagnostics.empty(), report.verdict == Verdict::Accept);
}

std::string case_name(const testing::TestParamInfo<Case>& info) {
    return info.param.name;
}

#define RULES(group, ...)                                                                     \
    INSTANTIATE_TEST_SUITE_P(group, Rules, testing::ValuesIn(std::vector<Case>{__VA_ARGS__}), \
                             case_name)

// Lookup of map 0 (8-byte values) or 1 (64 bytes) with key 0; the result is in r0.
#define LOOKUP(map)           \
    "*(u32 *)(r10 - 4) = 0\n" \
    "r2 = r10\n"              \
    "r2 += -4\n"              \
    "ld_pseudo r1, 5, " map   \
    "\n"                      \
    "call 1\n"
#define RETURN0 "r0 = 0\nexit\n"
#define PACKET "r6 = *(u32 *)(r1 + 0)\nr7 = *(u32 *)(r1 + 4)\n"

RULES(Registers, {"ReturnConstant", "accept", RETURN0},
      {"R0NeverWritten", "register-uninit", "exit\n"},
      {"R2NeverWritten", "register-uninit", "r0 = r2\nexit\n"},
      {"ArgumentsLostByCall", "register-uninit", "call 5\nr0 = r1\nexit\n"},
      {"SavedAcrossCall", "accept", "r6 = 1\ncall 5\nr0 = r6\nexit\n"},
      {"UninitOnOnePath", "register-uninit", "call 7\nif r0 == 0 goto +1\nr6 = 1\nr0 = r6\nexit\n"},
      {"ReturnFramePointer", "accept", "r0 = r10\nexit\n"},
      {"AddToNullConstant", "bad-address", "r1 = 0\nr0 = *(u64 *)(r1 + 0)\nexit\n"},
      {"NumberAsAddress", "bad-address", "r1 = 4096\nr0 = *(u8 *)(r1 + 0)\nexit\n"});

RULES(Scalars,
      {"DeadBranchByRange", "accept",
       "call 7\nr0 &= 7\nif r0 < 8 goto +1\nr0 = *(u64 *)(r0 + 0)\n" RETURN0},
      {"DeadBranchBySet", "accept",
       "call 7\nr0 |= 1\nif r0 & 1 goto +1\nr0 = *(u64 *)(r0 + 0)\n" RETURN0},
      {"LowHalfTestSaysNothingOfHigh", "pointer-arithmetic",
       "call 5\nif w0 > 7 goto +4\nr1 = r10\nr1 += -8\nr1 += r0\n*(u8 *)(r1 + 0) = 1\n" RETURN0},
      {"LowHalfTestAndZeroExtension", "accept",
       "call 5\nw0 = w0\nif w0 > 7 goto +4\nr1 = r10\nr1 += -8\nr1 += r0\n*(u8 *)(r1 + 0) = "
       "1\n" RETURN0},
      {"TestOfCopyRefinesOriginal", "accept",
       "call 5\nr2 = r0\nif r2 > 7 goto +4\nr1 = r10\nr1 += -8\nr1 += r0\n*(u8 *)(r1 + 0) = "
       "1\n" RETURN0},
      {"TestOfSumRefinesOriginal", "accept",
       "call 5\nr2 = r0\nr2 += 3\nif r2 < 3 goto +5\nif r2 > 10 goto +4\nr1 = r10\nr1 += -8\nr1 += "
       "r0\n*(u8 *)(r1 + 0) = 1\n" RETURN0},
      {"SumMayWrap", "stack-bounds",
       "call 5\nr2 = r0\nr2 += 3\nif r2 > 10 goto +4\nr1 = r10\nr1 += -510\nr1 += r0\n*(u8 *)(r1 + "
       "0) = 1\n" RETURN0},
      {"SignedTestLacksLowerBound", "pointer-arithmetic",
       "call 5\nif r0 s> 7 goto +4\nr1 = r10\nr1 += -8\nr1 += r0\n*(u8 *)(r1 + 0) = 1\n" RETURN0},
      {"SignExtendedLoadMayBeNegative", "stack-bounds",
       "*(u64 *)(r10 - 16) = 255\nr2 = *(u32 *)(r1 + 12)\n*(u8 *)(r10 - 16) = r2\nr0 = *(s8 *)(r10 "
       "- 16)\nif r0 s> 7 goto +4\n"
       "r1 = r10\nr1 += -400\nr1 += r0\n*(u8 *)(r1 + 0) = 1\n" RETURN0},
      {"Alu32CutsTheHighHalf", "accept",
       "call 5\nw0 &= 7\nr1 = r10\nr1 += -8\nr1 += r0\n*(u8 *)(r1 + 0) = 1\n" RETURN0},
      {"SubtractionUnderflows32", "pointer-arithmetic",
       "call 7\nw0 &= 7\nw0 -= 8\nr1 = r10\nr1 += r0\n*(u8 *)(r1 + 0) = 1\n" RETURN0},
      {"SdivByConstant", "accept",
       "call 7\nw0 &= 63\nw0 s/= 8\nr1 = r10\nr1 += -8\nr1 += r0\n*(u8 *)(r1 + 0) = 1\n" RETURN0},
      {"ModuloBounds", "accept",
       "call 5\nr0 %= 8\nr1 = r10\nr1 += -8\nr1 += r0\n*(u8 *)(r1 + 0) = 1\n" RETURN0},
      {"ModuloByPossibleZeroDoesNot", "pointer-arithmetic",
       "call 5\nr6 = r0\ncall 7\nr0 &= 7\nr6 %= r0\nr1 = r10\nr1 += -8\nr1 += r6\n*(u8 *)(r1 + 0) "
       "= 1\n" RETURN0},
      {"ByteSwapBounds", "accept",
       "call 5\nr0 = be16 r0\nr0 >>= 13\nr1 = r10\nr1 += -8\nr1 += r0\n*(u8 *)(r1 + 0) = "
       "1\n" RETURN0},
      {"MovSx", "stack-bounds",
       "call 5\nr0 &= 255\nr0 = (s8)r0\nif r0 s> 7 goto +4\nr1 = r10\nr1 += -400\nr1 += r0\n*(u8 "
       "*)(r1 + 0) = 1\n" RETURN0});

RULES(PointerArithmetic,
      {"Unlimited", "pointer-arithmetic", "call 5\nr1 = r10\nr1 += r0\n" RETURN0},
      {"MultiplyPointer", "bad-address", "r1 = r10\nr1 *= 2\nr0 = *(u8 *)(r1 + 0)\nexit\n"},
      {"Alu32OfPointerIsANumber", "bad-address",
       "r1 = r10\nw1 += -8\n*(u8 *)(r1 + 0) = 1\n" RETURN0},
      {"PointerPlusPointer", "bad-address", "r1 = r10\nr1 += r10\nr0 = *(u8 *)(r1 + 0)\nexit\n"},
      {"NumberPlusPointer", "accept", "r2 = -8\nr2 += r10\n*(u64 *)(r2 + 0) = 0\n" RETURN0},
      {"NumberMinusPointer", "bad-address", "r2 = 8\nr2 -= r10\n*(u64 *)(r2 + 0) = 0\n" RETURN0},
      {"AddToNullable", "null-pointer", LOOKUP("0") "r0 += 4\n" RETURN0},
      {"MovedMap", "helper-argument",
       "*(u32 *)(r10 - 4) = 0\nr2 = r10\nr2 += -4\nld_pseudo r1, 5, 0\nr1 += 32\ncall 1\n" RETURN0},
      {"WriteFramePointerInPlace", "stack-bounds", "*(u64 *)(r10 + 0) = 1\n" RETURN0});

// A sum of a packet pointer and a number that is made again.
#define BYTES_OF_PACKET                                                                   \
    PACKET                                                                                \
    "r2 = r6\nr2 += 4\nif r2 > r7 goto out\nr5 = *(u8 *)(r6 + 0)\nr4 = *(u8 *)(r6 + 1)\n" \
    "r0 = *(u8 *)(r6 + 2)\nr3 = r6\nr3 += r5\nr8 = r3\n"
#define MANY "r1 = 1\nr1 = 2\nr1 = 3\nr1 = 4\nr1 = 5\nr1 = 6\nr1 = 7\nr1 = 8\nr1 = 9\nr1 = 10\n"
RULES(SumMadeTwice,
      {"SumIsTheSame", "accept",
       BYTES_OF_PACKET "r8 += r4\nr1 = r8\nr1 += 8\nif r1 > r7 goto out\nr3 += r4\n"
                       "r0 = *(u64 *)(r3 + 0)\nr0 = *(u8 *)(r8 + 7)\nout:\n" RETURN0},
      // On the other way to where they meet, r8 was made of something else.
      {"SumOfAnotherOnOneWay", "packet-bounds",
       BYTES_OF_PACKET
       "if r0 == 7 goto other\nr8 += r4\ngoto check\nother:\nr8 += r0\ncheck:\nr1 = r8\n"
       "r1 += 8\nif r1 > r7 goto out\n" MANY
       "goto join\njoin:\nr3 += r4\nr0 = *(u64 *)(r3 + 0)\nr0 = *(u8 *)(r8 + 7)\nout:\n" RETURN0});

RULES(PacketAccess,
      {"Checked", "accept",
       PACKET "r2 = r6\nr2 += 14\nif r2 > r7 goto +1\nr0 = *(u8 *)(r6 + 13)\n" RETURN0},
      {"Unchecked", "packet-bounds", PACKET "r0 = *(u8 *)(r6 + 0)\nexit\n"},
      {"OneByteTooFar", "packet-bounds",
       PACKET "r2 = r6\nr2 += 14\nif r2 > r7 goto +1\nr0 = *(u16 *)(r6 + 13)\n" RETURN0},
      {"WrongBranch", "packet-bounds",
       PACKET "r2 = r6\nr2 += 14\nif r2 > r7 goto +1\ngoto +1\nr0 = *(u8 *)(r6 + 0)\n" RETURN0},
      {"GeProvesOneMore", "accept",
       PACKET "r2 = r6\nr2 += 14\nif r2 >= r7 goto +1\nr0 = *(u8 *)(r6 + 14)\n" RETURN0},
      {"LtTaken", "accept",
       PACKET "r2 = r6\nr2 += 14\nif r2 < r7 goto +1\ngoto +1\nr0 = *(u8 *)(r6 + 14)\n" RETURN0},
      {"LeTaken", "accept",
       PACKET "r2 = r6\nr2 += 14\nif r2 <= r7 goto +1\ngoto +1\nr0 = *(u8 *)(r6 + 13)\n" RETURN0},
      {"LeTakenOneTooFar", "packet-bounds",
       PACKET "r2 = r6\nr2 += 14\nif r2 <= r7 goto +1\ngoto +1\nr0 = *(u8 *)(r6 + 14)\n" RETURN0},
      {"EndGt", "accept",
       PACKET "r2 = r6\nr2 += 14\nif r7 > r2 goto +1\ngoto +1\nr0 = *(u8 *)(r6 + 14)\n" RETURN0},
      {"EndGe", "accept",
       PACKET "r2 = r6\nr2 += 14\nif r7 >= r2 goto +1\ngoto +1\nr0 = *(u8 *)(r6 + 13)\n" RETURN0},
      {"EndLt", "accept",
       PACKET "r2 = r6\nr2 += 14\nif r7 < r2 goto +1\nr0 = *(u8 *)(r6 + 13)\n" RETURN0},
      {"EndLe", "accept",
       PACKET "r2 = r6\nr2 += 14\nif r7 <= r2 goto +1\nr0 = *(u8 *)(r6 + 14)\n" RETURN0},
      {"EndLtOneTooFar", "packet-bounds",
       PACKET "r2 = r6\nr2 += 14\nif r7 < r2 goto +1\nr0 = *(u8 *)(r6 + 14)\n" RETURN0},
      {"SignedComparisonProvesNothing", "packet-bounds",
       PACKET "r2 = r6\nr2 += 14\nif r2 s> r7 goto +1\nr0 = *(u8 *)(r6 + 13)\n" RETURN0},
      {"NegativeOffset", "packet-bounds",
       PACKET "r2 = r6\nr2 += 14\nif r2 > r7 goto +1\nr0 = *(u8 *)(r6 - 1)\n" RETURN0},
      {"Write", "accept",
       PACKET "r2 = r6\nr2 += 14\nif r2 > r7 goto +1\n*(u8 *)(r6 + 13) = 1\n" RETURN0},
      {"WriteByReadOnlyType", "packet-read-only",
       "r6 = *(u32 *)(r1 + 76)\nr7 = *(u32 *)(r1 + 80)\nr2 = r6\nr2 += 14\nif r2 > r7 goto "
       "+1\n*(u8 *)(r6 + 13) = 1\n" RETURN0,
       spec::ProgramType::CgroupSkb},
      {"VariableHeader", "accept",
       PACKET "r2 = r6\nr2 += 1\nif r2 > r7 goto +8\nr3 = *(u8 *)(r6 + 0)\nr3 &= 15\nr3 <<= 2\nr6 "
              "+= r3\nr2 = r6\nr2 += 8\n"
              "if r2 > r7 goto +1\nr0 = *(u64 *)(r6 + 0)\n" RETURN0},
      {"VariableHeaderUnchecked", "packet-bounds",
       PACKET "r2 = r6\nr2 += 1\nif r2 > r7 goto +5\nr3 = *(u8 *)(r6 + 0)\nr3 &= 15\nr3 <<= 2\nr6 "
              "+= r3\nr0 = *(u8 *)(r6 + 0)\n" RETURN0},
      {"CheckOfOtherVariableStart", "packet-bounds",
       PACKET "r9 = r1\ncall 7\nr0 &= 15\nr8 = r6\nr8 += r0\ncall 7\nr0 &= 15\nr6 += r0\nr2 = "
              "r6\nr2 += 8\nif r2 > r7 goto +1\n"
              "r0 = *(u64 *)(r8 + 0)\n" RETURN0},
      {"OffsetThatMightWrap", "packet-bounds",
       PACKET "call 7\nw0 = w0\nif r0 > 0xfffffff goto +5\nr6 += r0\nr2 = r6\nr2 += 8\nif r2 > r7 "
              "goto +1\nr0 = *(u64 *)(r6 + 0)\n" RETURN0},
      {"ErrorCodeCorrelation", "accept",
       PACKET "r3 = 0\nr2 = r6\nr2 += 14\nif r2 <= r7 goto +1\nr3 = -22\nif r3 != 0 goto +1\nr0 = "
              "*(u8 *)(r6 + 13)\n" RETURN0},
      {"ErrorCodeTestedWrongly", "packet-bounds",
       PACKET "r3 = 0\nr2 = r6\nr2 += 14\nif r2 <= r7 goto +1\nr3 = -22\nif r3 == 0 goto +1\nr0 = "
              "*(u8 *)(r6 + 13)\n" RETURN0},
      {"LengthCompared", "accept",
       PACKET "r2 = r7\nr2 -= r6\nif r2 s< 14 goto +1\nr0 = *(u8 *)(r6 + 13)\n" RETURN0},
      {"LengthComparedWithConstantInRegister", "accept",
       PACKET "r2 = r7\nr2 -= r6\nr3 = 14\nif r3 s> r2 goto +1\nr0 = *(u8 *)(r6 + 13)\n" RETURN0},
      {"LengthOneTooFar", "packet-bounds",
       PACKET "r2 = r7\nr2 -= r6\nif r2 s< 14 goto +1\nr0 = *(u8 *)(r6 + 14)\n" RETURN0},
      {"LengthUnsignedSaysNothing", "packet-bounds",
       PACKET "r2 = r7\nr2 -= r6\nif r2 < 14 goto +1\nr0 = *(u8 *)(r6 + 13)\n" RETURN0},
      {"LengthOfBeforeTheMove", "packet-bounds",
       PACKET "r8 = r7\nr8 -= r6\nr9 = r1\nr2 = 0\ncall 44\nr6 = *(u32 *)(r9 + 0)\nif r8 s< 14 "
              "goto +1\nr0 = *(u8 *)(r6 + 13)\n" RETURN0},
      {"LengthChanged", "packet-bounds",
       PACKET "r2 = r7\nr2 -= r6\nr2 += 4\nif r2 s< 14 goto +1\nr0 = *(u8 *)(r6 + 13)\n" RETURN0},
      {"AdjustHeadInvalidates", "register-uninit",
       PACKET
       "r2 = r6\nr2 += 14\nif r2 > r7 goto +3\nr2 = 0\ncall 44\nr0 = *(u8 *)(r6 + 13)\n" RETURN0},
      {"AdjustHeadInvalidatesSpilled", "register-uninit",
       PACKET "r2 = r6\nr2 += 14\nif r2 > r7 goto +5\n*(u64 *)(r10 - 8) = r6\nr2 = 0\ncall 44\nr6 "
              "= *(u64 *)(r10 - 8)\nr0 = *(u8 *)(r6 + 13)\n" RETURN0},
      {"LengthTakenAfterTheMove", "accept",
       PACKET "r8 = r7\nr2 = 0\ncall 44\nr8 -= r6\nr0 = r8\nr0 &= 1\nexit\n"},
      {"LowLengthTakenAfterTheMove", "accept",
       PACKET "r2 = 0\ncall 44\nw7 -= w6\nr0 = r7\nr0 &= 1\nexit\n"},
      {"LengthTakenAfterTheMoveIsNoProof", "packet-bounds",
       PACKET "r9 = r1\nr2 = 0\ncall 44\nr7 -= r6\nr6 = *(u32 *)(r9 + 0)\nif r7 s< 14 goto "
              "+1\nr0 = *(u8 *)(r6 + 13)\n" RETURN0},
      {"StaleAndMoved", "register-uninit",
       PACKET "r2 = 0\ncall 44\nr6 += 1\nr0 = *(u8 *)(r6 + 0)\n" RETURN0},
      {"StaleOnOneWayOnly", "register-uninit",
       "r9 = r1\nr6 = *(u32 *)(r1 + 0)\ncall 7\nr1 = r9\nr2 = 0\nif r0 != 0 goto other\nr7 = "
       "*(u32 *)(r9 + 4)\ncall 44\nr0 = 1\nr0 = 2\nr0 = 3\nr0 = 4\nr0 = 5\nr0 = 6\nr0 = 7\nr0 = "
       "8\ngoto join\nother:\ncall 44\njoin:\nr7 -= r6\nr0 = 0\nexit\n"},
      {"StaleAndNeverWritten", "register-uninit",
       PACKET "r2 = 0\ncall 44\nr6 += r8\nr0 = 0\nexit\n"},
      {"AdjustHeadThenReload", "accept",
       "r9 = r1\nr2 = 0\ncall 44\nr6 = *(u32 *)(r9 + 0)\nr7 = *(u32 *)(r9 + 4)\nr2 = r6\nr2 += "
       "14\nif r2 > r7 goto +1\nr0 = *(u8 *)(r6 + 13)\n" RETURN0},
      {"SpilledPointerKeepsItsProof", "accept",
       PACKET "*(u64 *)(r10 - 8) = r6\nr2 = r6\nr2 += 14\nif r2 > r7 goto +2\nr3 = *(u64 *)(r10 - "
              "8)\nr0 = *(u8 *)(r3 + 13)\n" RETURN0},
      {"MetadataCheckedAgainstData", "accept",
       "r6 = *(u32 *)(r1 + 8)\nr7 = *(u32 *)(r1 + 0)\nr2 = r6\nr2 += 4\nif r2 > r7 goto +1\nr0 = "
       "*(u32 *)(r6 + 0)\n" RETURN0},
      {"MetadataCheckedAgainstEnd", "packet-bounds",
       "r6 = *(u32 *)(r1 + 8)\nr7 = *(u32 *)(r1 + 4)\nr2 = r6\nr2 += 4\nif r2 > r7 goto +1\nr0 = "
       "*(u32 *)(r6 + 0)\n" RETURN0},
      {"PacketEndIsNoMemory", "bad-address", PACKET "r0 = *(u8 *)(r7 - 1)\nexit\n"},
      {"Atomic", "bad-address",
       PACKET
       "r2 = r6\nr2 += 14\nif r2 > r7 goto +2\nr3 = 1\nlock *(u32 *)(r6 + 0) += r3\n" RETURN0});

RULES(ContextAccess, {"Field", "accept", "r0 = *(u32 *)(r1 + 12)\nr0 = 0\nexit\n"},
      {"BeyondTheEnd", "context-bounds", "r0 = *(u32 *)(r1 + 24)\nexit\n"},
      {"Negative", "context-bounds", "r0 = *(u32 *)(r1 - 4)\nexit\n"},
      {"StraddlesFields", "context-bounds", "r0 = *(u64 *)(r1 + 0)\nexit\n"},
      {"PartOfPacketPointer", "context-access", "r0 = *(u16 *)(r1 + 0)\nexit\n"},
      {"WriteData", "context-read-only", "r2 = 0\n*(u32 *)(r1 + 0) = r2\n" RETURN0},
      {"AddressBehindTheFields", "accept",
       "r2 = *(u32 *)(r1 + 12)\nr2 &= 65535\nr1 += r2\nr0 = 0\nexit\n"},
      {"MovedContext", "context-access", "r1 += 4\nr0 = *(u32 *)(r1 + 0)\nexit\n"},
      {"VariableOffset", "bad-address",
       "r6 = r1\ncall 7\nr0 &= 4\nr6 += r0\nr0 = *(u32 *)(r6 + 0)\nexit\n"},
      {"MarkIsWritable", "accept", "r2 = 1\n*(u32 *)(r1 + 8) = r2\n" RETURN0,
       spec::ProgramType::SchedCls},
      {"LenIsNot", "context-read-only", "r2 = 1\n*(u32 *)(r1 + 0) = r2\n" RETURN0,
       spec::ProgramType::SchedCls},
      {"NarrowRead", "accept", "r0 = *(u8 *)(r1 + 9)\n" RETURN0, spec::ProgramType::SchedCls},
      {"SocketPointer", "accept", "r0 = *(u64 *)(r1 + 168)\n" RETURN0, spec::ProgramType::SchedCls},
      {"ContextOnOnePathStackOnOther", "mixed-context",
       "r6 = r1\n*(u32 *)(r10 - 8) = 0\n*(u32 *)(r10 - 4) = 0\ncall 7\nif r0 == 0 goto +2\nr6 = "
       "r10\nr6 += -20\n*(u32 *)(r10 - 8) = 1\nr0 = *(u32 *)(r6 + 12)\n" RETURN0},
      {"Atomic", "bad-address", "r2 = 1\nlock *(u32 *)(r1 + 8) += r2\n" RETURN0,
       spec::ProgramType::SchedCls});

RULES(
    StackAccess,
    {"WriteThenRead", "accept", "*(u64 *)(r10 - 8) = 5\nr0 = *(u64 *)(r10 - 8)\nr0 = 0\nexit\n"},
    {"ReadUnwritten", "stack-uninit", "r0 = *(u64 *)(r10 - 8)\nexit\n"},
    {"ReadHalfWritten", "stack-uninit", "*(u32 *)(r10 - 8) = 5\nr0 = *(u64 *)(r10 - 8)\nexit\n"},
    {"UnwrittenOnOnePath", "stack-uninit",
     "call 7\nif r0 == 0 goto +1\n*(u64 *)(r10 - 8) = 5\nr0 = *(u64 *)(r10 - 8)\nexit\n"},
    {"BelowTheFrame", "stack-bounds", "*(u8 *)(r10 - 513) = 1\n" RETURN0},
    {"LowestByte", "accept", "*(u8 *)(r10 - 512) = 1\n" RETURN0},
    {"AcrossTheTop", "stack-bounds", "*(u64 *)(r10 - 4) = 1\n" RETURN0},
    {"SpilledPointer", "accept",
     "*(u64 *)(r10 - 8) = r1\nr2 = *(u64 *)(r10 - 8)\nr0 = *(u32 *)(r2 + 12)\n" RETURN0},
    {"OverwrittenSpill", "stack-uninit",
     "*(u64 *)(r10 - 8) = r1\n*(u8 *)(r10 - 8) = 0\nr2 = *(u64 *)(r10 - 8)\n" RETURN0},
    {"SpillOverwrittenByNumber", "bad-address",
     "*(u64 *)(r10 - 8) = r1\n*(u64 *)(r10 - 8) = 0\nr2 = *(u64 *)(r10 - 8)\nr0 = *(u32 *)(r2 + "
     "12)\nexit\n"},
    {"UnalignedSpillIsANumber", "bad-address",
     "*(u64 *)(r10 - 12) = r1\nr2 = *(u64 *)(r10 - 12)\nr0 = *(u32 *)(r2 + 12)\nexit\n"},
    {"SpilledConstantIsKnown", "accept",
     "*(u64 *)(r10 - 8) = 5\nr2 = *(u64 *)(r10 - 8)\nif r2 == 5 goto +1\nr0 = *(u64 *)(r2 + "
     "0)\n" RETURN0},
    {"ConstantInPieces", "accept",
     "*(u32 *)(r10 - 8) = 5\n*(u32 *)(r10 - 4) = 0\nr2 = *(u64 *)(r10 - 8)\nif r2 == 5 goto +1\nr0 "
     "= *(u64 *)(r2 + 0)\n" RETURN0},
    {"ConstantPartlyOverwritten", "accept",
     "*(u64 *)(r10 - 8) = 0\n*(u8 *)(r10 - 1) = 7\nr2 = *(u32 *)(r10 - 8)\nif r2 == 0 goto +1\nr0 "
     "= *(u64 *)(r2 + 0)\n" RETURN0},
    {"StaleConstantAfterOverwrite", "bad-address",
     "*(u64 *)(r10 - 8) = 0\nr3 = *(u32 *)(r1 + 12)\n*(u8 *)(r10 - 8) = r3\nr2 = *(u32 *)(r10 - "
     "8)\nif r2 == 0 goto +1\nr0 = *(u64 *)(r2 + 0)\n" RETURN0},
    {"StaleConstantAfterVariableStore", "bad-address",
     "*(u64 *)(r10 - 16) = 0\n*(u64 *)(r10 - 8) = 0\ncall 7\nr0 &= 7\nr1 = r10\nr1 += -16\nr1 += "
     "r0\n*(u8 *)(r1 + 0) = 1\n"
     "r2 = *(u64 *)(r10 - 16)\nif r2 == 0 goto +1\nr0 = *(u64 *)(r2 + 0)\n" RETURN0},
    {"VariableStoreHitsSpill", "stack-uninit",
     "*(u64 *)(r10 - 8) = r1\ncall 7\nr0 &= 7\nr1 = r10\nr1 += -8\nr1 += r0\n*(u8 *)(r1 + 0) = "
     "1\nr2 = *(u64 *)(r10 - 8)\n" RETURN0},
    {"VariableStoreInitialisesNothing", "stack-uninit",
     "call 7\nr0 &= 7\nr1 = r10\nr1 += -8\nr1 += r0\n*(u8 *)(r1 + 0) = 1\nr2 = *(u8 *)(r10 - "
     "8)\n" RETURN0},
    {"VariableRead", "accept",
     "*(u64 *)(r10 - 8) = 0\ncall 7\nr0 &= 7\nr1 = r10\nr1 += -8\nr1 += r0\nr2 = *(u8 *)(r1 + "
     "0)\n" RETURN0},
    {"VariableReadBeyond", "stack-bounds",
     "*(u64 *)(r10 - 8) = 0\ncall 7\nr0 &= 7\nr1 = r10\nr1 += -8\nr1 += r0\nr2 = *(u16 *)(r1 + "
     "0)\n" RETURN0},
    {"SpillOf32BitValueIsZeroExtended", "accept",
     "call 5\nr0 &= 7\n*(u32 *)(r10 - 12) = r0\nr2 = *(u32 *)(r10 - 12)\nr1 = r10\nr1 += -8\nr1 += "
     "r2\n*(u8 *)(r1 + 0) = 1\n" RETURN0},
    {"TruncatedSpillKeepsNoHighBound", "accept",
     "call 5\n*(u8 *)(r10 - 9) = r0\nr2 = *(u8 *)(r10 - 9)\nr2 &= 7\nr1 = r10\nr1 += -8\nr1 += "
     "r2\n*(u8 *)(r1 + 0) = 1\n" RETURN0},
    {"Atomic", "accept",
     "*(u64 *)(r10 - 8) = 0\nr2 = 1\nr2 = atomic_fetch_add((u64 *)(r10 - 8), r2)\nr0 = 0\nexit\n"},
    {"AtomicForgetsTheConstant", "bad-address",
     "*(u64 *)(r10 - 8) = 0\nr2 = 1\nlock *(u64 *)(r10 - 8) += r2\nr2 = *(u64 *)(r10 - 8)\nif r2 "
     "== 0 goto +1\nr0 = *(u64 *)(r2 + 0)\n" RETURN0},
    {"AtomicUnwritten", "stack-uninit", "r2 = 1\nlock *(u64 *)(r10 - 8) += r2\n" RETURN0},
    {"AtomicMisaligned", "misaligned",
     "*(u64 *)(r10 - 8) = 0\n*(u64 *)(r10 - 16) = 0\nr2 = 1\nlock *(u64 *)(r10 - 12) += "
     "r2\n" RETURN0},
    {"AtomicOnPointer", "pointer-leak",
     "*(u64 *)(r10 - 8) = r1\nr2 = 1\nr2 = atomic_fetch_add((u64 *)(r10 - 8), r2)\n" RETURN0},
    {"AtomicWithPointer", "pointer-leak",
     "*(u64 *)(r10 - 8) = 0\nlock *(u64 *)(r10 - 8) += r1\n" RETURN0});

RULES(MapValues,
      {"NullChecked", "accept", LOOKUP("0") "if r0 == 0 goto +1\nr1 = *(u64 *)(r0 + 0)\n" RETURN0},
      {"NotChecked", "null-pointer", LOOKUP("0") "r1 = *(u64 *)(r0 + 0)\n" RETURN0},
      {"CheckedOnTheWrongSide", "bad-address",
       LOOKUP("0") "if r0 != 0 goto +1\nr1 = *(u64 *)(r0 + 0)\n" RETURN0},
      {"CheckOfACopy", "accept",
       LOOKUP("0") "r6 = r0\nif r6 == 0 goto +1\nr1 = *(u64 *)(r0 + 0)\n" RETURN0},
      {"CheckOfASpilledCopy", "accept",
       LOOKUP("0") "*(u64 *)(r10 - 16) = r0\nif r0 == 0 goto +2\nr3 = *(u64 *)(r10 - 16)\nr1 = "
                   "*(u64 *)(r3 + 0)\n" RETURN0},
      {"CheckOfAnotherLookup", "null-pointer",
       LOOKUP("0") "r6 = r0\n" LOOKUP("0") "if r0 == 0 goto +1\nr1 = *(u64 *)(r6 + 0)\n" RETURN0},
      {"CheckByFlag", "accept",
       LOOKUP("0") "r6 = r0\nr7 = 0\nif r6 != 0 goto +1\nr7 = -1\nif r7 s< 0 goto +1\nr1 = *(u64 "
                   "*)(r6 + 0)\n" RETURN0},
      {"Beyond", "map-value-bounds",
       LOOKUP("0") "if r0 == 0 goto +1\nr1 = *(u64 *)(r0 + 1)\n" RETURN0},
      {"Before", "map-value-bounds",
       LOOKUP("0") "if r0 == 0 goto +1\nr1 = *(u8 *)(r0 - 1)\n" RETURN0},
      {"IndexLimited", "accept",
       LOOKUP("1") "if r0 == 0 goto +4\nr1 = *(u64 *)(r0 + 0)\nr1 &= 56\nr0 += r1\nr1 = *(u64 "
                   "*)(r0 + 0)\n" RETURN0},
      {"IndexTooLarge", "map-value-bounds",
       LOOKUP("1") "if r0 == 0 goto +4\nr1 = *(u64 *)(r0 + 0)\nr1 &= 63\nr0 += r1\nr1 = *(u64 "
                   "*)(r0 + 0)\n" RETURN0},
      {"IndexTestedUnsigned", "accept",
       LOOKUP("1") "if r0 == 0 goto +4\nr1 = *(u64 *)(r0 + 0)\nif r1 > 56 goto +2\nr0 += r1\nr1 = "
                   "*(u64 *)(r0 + 0)\n" RETURN0},
      {"StorePointer", "pointer-leak",
       "r6 = r1\n" LOOKUP("0") "if r0 == 0 goto +1\n*(u64 *)(r0 + 0) = r6\n" RETURN0},
      {"Atomic", "accept",
       LOOKUP("0") "if r0 == 0 goto +2\nr1 = 1\nlock *(u64 *)(r0 + 0) += r1\n" RETURN0},
      {"AtomicMisaligned", "misaligned",
       LOOKUP("1") "if r0 == 0 goto +2\nr1 = 1\nlock *(u64 *)(r0 + 4) += r1\n" RETURN0},
      {"CmpXchg", "accept",
       LOOKUP("0") "if r0 == 0 goto +4\nr6 = r0\nr0 = 1\nr1 = 2\nr0 = cmpxchg_64(r6 + 0, r0, "
                   "r1)\n" RETURN0},
      {"LockIsReserved", "map-field",
       LOOKUP("8") "if r0 == 0 goto +1\n*(u32 *)(r0 + 0) = 1\n" RETURN0},
      {"BesideTheLock", "accept", LOOKUP("8") "if r0 == 0 goto +1\n*(u32 *)(r0 + 4) = 1\n" RETURN0},
      {"ReadOnlyData", "map-read-only", "ld_pseudo r1, 6, 5\n*(u8 *)(r1 + 0) = 1\n" RETURN0},
      {"UpdateOfReadOnlyData", "map-read-only",
       "r3 = r10\nr3 += -24\n*(u64 *)(r10 - 24) = 0\n*(u64 *)(r10 - 16) = 0\nr4 = 0\n"
       "*(u32 *)(r10 - 4) = 0\nr2 = r10\nr2 += -4\nld_pseudo r1, 5, 5\ncall 2\n" RETURN0},
      {"UpdateOfData", "accept",
       "r3 = r10\nr3 += -24\n*(u64 *)(r10 - 24) = 0\n*(u64 *)(r10 - 16) = 0\nr4 = 0\n"
       "*(u32 *)(r10 - 4) = 0\nr2 = r10\nr2 += -4\nld_pseudo r1, 5, 6\ncall 2\n" RETURN0},
      {"LookupOfReadOnlyData", "accept", LOOKUP("5") RETURN0},
      {"Bss", "accept", "ld_pseudo r1, 6, 6\n*(u64 *)(r1 + 8) = 1\n" RETURN0},
      {"BssBeyond", "map-value-bounds", "ld_pseudo r1, 6, 6\n*(u64 *)(r1 + 9) = 1\n" RETURN0},
      {"BssOffset", "map-value-bounds",
       "ld_pseudo r1, 6, 0x900000006\n*(u64 *)(r1 + 0) = 1\n" RETURN0},
      {"FrozenConstant", "accept",
       "ld_pseudo r1, 6, 0x200000005\nr2 = *(u8 *)(r1 + 0)\nif r2 == 3 goto +1\nr0 = *(u64 *)(r2 + "
       "0)\n" RETURN0},
      {"UnfrozenIsUnknown", "bad-address",
       "ld_pseudo r1, 6, 6\nr2 = *(u8 *)(r1 + 0)\nif r2 == 0 goto +1\nr0 = *(u64 *)(r2 + "
       "0)\n" RETURN0},
      {"MapInMap", "accept",
       LOOKUP("7") "if r0 == 0 goto +6\nr1 = r0\nr2 = r10\nr2 += -4\ncall 1\nif r0 == 0 goto "
                   "+1\nr1 = *(u64 *)(r0 + 0)\n" RETURN0},
      {"InnerMapUnchecked", "null-pointer",
       LOOKUP("7") "r1 = r0\nr2 = r10\nr2 += -4\ncall 1\n" RETURN0},
      {"InnerValueBeyond", "map-value-bounds",
       LOOKUP("7") "if r0 == 0 goto +6\nr1 = r0\nr2 = r10\nr2 += -4\ncall 1\nif r0 == 0 goto "
                   "+1\nr1 = *(u64 *)(r0 + 8)\n" RETURN0},
      {"InnerMapIsNoMemory", "bad-address",
       LOOKUP("7") "if r0 == 0 goto +1\nr1 = *(u64 *)(r0 + 0)\n" RETURN0});

// A lookup in an array with a constant index below its size cannot fail.
#define ARRAY(map, key) key "r2 = r10\nr2 += -4\nld_pseudo r1, 5, " map "\ncall 1\n"
#define READ "r1 = *(u64 *)(r0 + 0)\n" RETURN0
RULES(ArrayIndex, {"Last", "accept", ARRAY("1", "*(u32 *)(r10 - 4) = 15\n") READ},
      {"OnePast", "null-pointer", ARRAY("1", "*(u32 *)(r10 - 4) = 16\n") READ},
      {"Negative", "null-pointer", ARRAY("1", "*(u32 *)(r10 - 4) = -1\n") READ},
      {"PerCpu", "accept", ARRAY("4", "*(u32 *)(r10 - 4) = 0\n") READ},
      {"PerCpuOnePast", "null-pointer", ARRAY("4", "*(u32 *)(r10 - 4) = 1\n") READ},
      {"Hash", "null-pointer", ARRAY("0", "*(u32 *)(r10 - 4) = 0\n") READ},
      {"Unknown", "null-pointer", ARRAY("1", "call 7\nr0 &= 15\n*(u32 *)(r10 - 4) = r0\n") READ},
      {"OneOfTwoPaths", "null-pointer",
       ARRAY("1", "*(u32 *)(r10 - 4) = 0\ncall 7\nif r0 == 0 goto +1\n*(u32 *)(r10 - 4) = 16\n")
           READ},
      {"OnBothPaths", "accept",
       ARRAY("1", "*(u32 *)(r10 - 4) = 0\ncall 7\nif r0 == 0 goto +1\n*(u32 *)(r10 - 4) = 15\n")
           READ},
      {"OfAHelper", "null-pointer",
       ARRAY("1", "*(u32 *)(r10 - 4) = 0\nr2 = 0\nr3 = r10\nr3 += -4\nr4 = 4\ncall 189\n") READ},
      {"WithALock", "map-field", ARRAY("8", "*(u32 *)(r10 - 4) = 0\n") READ},
      {"OfAnInnerMap", "null-pointer",
       LOOKUP("11") "if r0 == 0 goto out\nr1 = r0\nr2 = r10\nr2 += -4\ncall 1\nr1 = *(u32 *)(r0 + "
                    "0)\nout:\n" RETURN0});

RULES(Helpers, {"NoSuchHelper", "unknown-helper", "call 9999\n" RETURN0},
      {"HelperOfAnotherType", "unknown-helper", "r2 = 0\ncall 26\n" RETURN0},
      {"ByRegister", "accept", "r6 = 5\ncallx r6\n" RETURN0},
      {"ByUnknownRegister", "unknown-helper", "call 5\ncallx r0\n" RETURN0},
      {"KeyUnwritten", "stack-uninit", "r2 = r10\nr2 += -4\nld_pseudo r1, 5, 0\ncall 1\n" RETURN0},
      {"KeyOutsideFrame", "stack-bounds",
       "*(u32 *)(r10 - 4) = 0\nr2 = r10\nr2 += -2\nld_pseudo r1, 5, 0\ncall 1\n" RETURN0},
      {"KeyIsANumber", "bad-address", "r2 = 0\nld_pseudo r1, 5, 0\ncall 1\n" RETURN0},
      {"KeyInPacket", "accept",
       PACKET
       "r2 = r6\nr2 += 4\nif r2 > r7 goto +4\nr2 = r6\nld_pseudo r1, 5, 0\ncall 1\n" RETURN0},
      {"KeyInUncheckedPacket", "packet-bounds",
       PACKET
       "r2 = r6\nr2 += 3\nif r2 > r7 goto +4\nr2 = r6\nld_pseudo r1, 5, 0\ncall 1\n" RETURN0},
      {"ValueContainsPointer", "pointer-leak",
       "*(u64 *)(r10 - 8) = r1\n*(u32 *)(r10 - 12) = 0\nr2 = r10\nr2 += -12\nr3 = r10\nr3 += "
       "-8\nld_pseudo r1, 5, 0\nr4 = 0\ncall 2\n" RETURN0},
      {"Update", "accept",
       "*(u64 *)(r10 - 8) = 1\n*(u32 *)(r10 - 12) = 0\nr2 = r10\nr2 += -12\nr3 = r10\nr3 += "
       "-8\nld_pseudo r1, 5, 0\nr4 = 0\ncall 2\n" RETURN0},
      {"WrongMapType", "map-type",
       "*(u32 *)(r10 - 4) = 0\nr2 = r10\nr2 += -4\nld_pseudo r1, 5, 3\ncall 1\n" RETURN0},
      {"TailCall", "accept", "ld_pseudo r2, 5, 2\nr3 = 0\ncall 12\n" RETURN0},
      {"TailCallWrongMap", "map-type", "ld_pseudo r2, 5, 0\nr3 = 0\ncall 12\n" RETURN0},
      {"TailCallWithoutContext", "helper-argument",
       "r1 = 0\nld_pseudo r2, 5, 2\nr3 = 0\ncall 12\n" RETURN0},
      {"SizeUnlimited", "helper-size",
       "*(u64 *)(r10 - 8) = 0\ncall 5\nr3 = r0\nr2 = r10\nr2 += -8\nld_pseudo r1, 5, 3\nr4 = "
       "0\ncall 130\n" RETURN0},
      {"SizeLimited", "accept",
       "*(u64 *)(r10 - 8) = 0\ncall 5\nr3 = r0\nr3 &= 7\nr3 += 1\nr2 = r10\nr2 += -8\nld_pseudo "
       "r1, 5, 3\nr4 = 0\ncall 130\n" RETURN0},
      {"SizeTooLarge", "stack-bounds",
       "*(u64 *)(r10 - 8) = 0\ncall 5\nr3 = r0\nr3 &= 15\nr2 = r10\nr2 += -8\nld_pseudo r1, 5, "
       "3\nr4 = 0\ncall 130\n" RETURN0},
      {"SizeMayBeNegative", "helper-size",
       "*(u64 *)(r10 - 8) = 0\ncall 5\nr3 = r0\nif r3 s> 8 goto +5\nr2 = r10\nr2 += -8\nld_pseudo "
       "r1, 5, 3\nr4 = 0\ncall 130\n" RETURN0},
      {"BufferUnwritten", "stack-uninit",
       "r2 = r10\nr2 += -8\nld_pseudo r1, 5, 3\nr3 = 8\nr4 = 0\ncall 130\n" RETURN0},
      {"HelperFillsBuffer", "accept",
       "r2 = 0\nr3 = r10\nr3 += -8\nr4 = 8\ncall 26\nr1 = *(u64 *)(r10 - 8)\n" RETURN0,
       spec::ProgramType::SchedCls},
      {"HelperFillsPart", "stack-uninit",
       "r2 = 0\nr3 = r10\nr3 += -8\nr4 = 4\ncall 26\nr1 = *(u64 *)(r10 - 8)\n" RETURN0,
       spec::ProgramType::SchedCls},
      {"HelperOverwritesConstant", "bad-address",
       "*(u64 *)(r10 - 8) = 0\nr2 = 0\nr3 = r10\nr3 += -8\nr4 = 8\ncall 26\nr2 = *(u64 *)(r10 - "
       "8)\nif r2 == 0 goto +1\nr0 = *(u64 *)(r2 + 0)\n" RETURN0,
       spec::ProgramType::SchedCls},
      {"NullWithZeroSize", "accept", "r1 = 0\nr2 = 0\nr3 = 0\nr4 = 0\nr5 = 0\ncall 28\n" RETURN0,
       spec::ProgramType::SchedCls},
      {"MapValueAsBuffer", "accept",
       LOOKUP("1") "if r0 == 0 goto +6\nr2 = r0\nld_pseudo r1, 5, 3\nr3 = 64\nr4 = 0\ncall "
                   "130\n" RETURN0},
      {"MapValueAsBufferTooLong", "map-value-bounds",
       LOOKUP("1") "if r0 == 0 goto +6\nr2 = r0\nld_pseudo r1, 5, 3\nr3 = 65\nr4 = 0\ncall "
                   "130\n" RETURN0},
      {"Kfunc", "unsupported", "call kfunc 7\n" RETURN0});

#define RESERVE "ld_pseudo r1, 5, 3\nr2 = 16\nr3 = 0\ncall 131\n"
RULES(References,
      {"SubmitOnEveryPath", "accept",
       RESERVE "if r0 == 0 goto +4\n*(u64 *)(r0 + 8) = 1\nr1 = r0\nr2 = 0\ncall 132\n" RETURN0},
      {"NeverSubmitted", "reference-leak",
       RESERVE "if r0 == 0 goto +1\n*(u64 *)(r0 + 0) = 1\n" RETURN0},
      {"LeakedOnOnePath", "reference-leak",
       RESERVE "if r0 == 0 goto +6\nr6 = r0\ncall 7\nif r0 == 0 goto +3\nr1 = r6\nr2 = 0\ncall "
               "133\n" RETURN0},
      {"NullIsNoReference", "accept",
       RESERVE "r1 = r0\nr6 = r0\nif r6 == 0 goto +2\nr2 = 0\ncall 132\n" RETURN0},
      {"NotChecked", "null-pointer", RESERVE "r1 = r0\nr2 = 0\ncall 132\n" RETURN0},
      {"TwiceSubmitted", "register-uninit",
       RESERVE
       "if r0 == 0 goto +6\nr6 = r0\nr1 = r0\nr2 = 0\ncall 132\nr1 = r6\ncall 132\n" RETURN0},
      {"UsedAfterSubmit", "register-uninit",
       RESERVE
       "if r0 == 0 goto +5\nr6 = r0\nr1 = r0\nr2 = 0\ncall 132\n*(u64 *)(r6 + 0) = 1\n" RETURN0},
      {"SpilledUsedAfterSubmit", "register-uninit",
       RESERVE "if r0 == 0 goto +6\n*(u64 *)(r10 - 8) = r0\nr1 = r0\nr2 = 0\ncall 132\nr6 = *(u64 "
               "*)(r10 - 8)\n*(u64 *)(r6 + 0) = 1\n" RETURN0},
      {"BeyondTheRecord", "memory-bounds",
       RESERVE "if r0 == 0 goto +4\n*(u64 *)(r0 + 9) = 1\nr1 = r0\nr2 = 0\ncall 132\n" RETURN0},
      {"ArithmeticOnRecord", "accept",
       RESERVE "if r0 == 0 goto +7\nr6 = r0\nr6 += 8\n*(u64 *)(r6 + 0) = 1\nr1 = r0\nr2 = 0\ncall "
               "132\n" RETURN0},
      {"SubmitMovedRecord", "helper-argument",
       RESERVE "if r0 == 0 goto +4\nr1 = r0\nr1 += 8\nr2 = 0\ncall 132\n" RETURN0},
      {"SubmitSomethingElse", "helper-argument",
       LOOKUP("0") "if r0 == 0 goto +3\nr1 = r0\nr2 = 0\ncall 132\n" RETURN0},
      {"VariableSize", "helper-argument",
       "call 7\nr2 = r0\nr2 &= 15\nld_pseudo r1, 5, 3\nr3 = 0\ncall 131\n" RETURN0},
      {"TailCallWhileHeld", "reference-leak",
       "r9 = r1\n" RESERVE "if r0 == 0 goto +7\nr6 = r0\nr1 = r9\nld_pseudo r2, 5, 2\nr3 = 0\ncall "
       "12\nr1 = r6\nr2 = 0\ncall 132\n" RETURN0});

RULES(Subprograms, {"Call", "accept", "r1 = 3\ncall add\nexit\nadd:\nr0 = r1\nr0 += 1\nexit\n"},
      {"CallerRegistersSurvive", "accept",
       "r6 = r1\nr1 = 1\ncall f\nr0 = *(u32 *)(r6 + 12)\nr0 = 0\nexit\nf:\nr6 = 0\nr0 = 1\nexit\n"},
      {"CalleeHasNoSavedRegisters", "register-uninit", "r6 = 1\ncall f\nexit\nf:\nr0 = r6\nexit\n"},
      {"ArgumentsLost", "register-uninit", "r1 = 1\ncall f\nr0 = r1\nexit\nf:\nr0 = 0\nexit\n"},
      {"ResultMissing", "register-uninit", "r1 = 1\ncall f\nr0 += 1\nexit\nf:\nexit\n"},
      {"OwnFrame", "stack-uninit",
       "*(u64 *)(r10 - 8) = 1\ncall f\nexit\nf:\nr0 = *(u64 *)(r10 - 8)\nexit\n"},
      {"FrameOfAnEarlierCall", "stack-uninit",
       "r1 = 0\ncall f\nr1 = 1\ncall f\nr0 = 0\nexit\nf:\nif r1 == 1 goto +3\n*(u64 *)(r10 - 8) = "
       "1\nr0 = 0\nexit\nr0 = *(u64 *)(r10 - 8)\nexit\n"},
      {"WritesCallersStack", "accept",
       "r1 = r10\nr1 += -8\ncall f\nr0 = *(u64 *)(r10 - 8)\nr0 = 0\nexit\nf:\n*(u64 *)(r1 + 0) = "
       "7\nr0 = 0\nexit\n"},
      {"WritesCallersStackBeyond", "stack-bounds",
       "r1 = r10\nr1 += -8\ncall f\nr0 = 0\nexit\nf:\n*(u64 *)(r1 + 4) = 7\nr0 = 0\nexit\n"},
      {"CalleeOverwritesConstant", "bad-address",
       "r6 = r1\n*(u64 *)(r10 - 8) = 0\nr1 = r10\nr1 += -8\nr2 = *(u32 *)(r6 + 12)\ncall f\nr2 = "
       "*(u64 *)(r10 - 8)\nif r2 == 0 goto +1\nr0 = *(u64 *)(r2 + 0)\n"
       "r0 = 0\nexit\nf:\n*(u64 *)(r1 + 0) = r2\nr0 = 0\nexit\n"},
      {"ReturnsOwnStack", "return-pointer", "call f\nr0 = 0\nexit\nf:\nr0 = r10\nr0 += -8\nexit\n"},
      {"StoresOwnStackInCallers", "pointer-leak",
       "r1 = r10\nr1 += -8\ncall f\nr0 = 0\nexit\nf:\n*(u64 *)(r1 + 0) = r10\nr0 = 0\nexit\n"},
      {"ReturnsMapValue", "accept",
       "call f\nif r0 == 0 goto +1\nr1 = *(u64 *)(r0 + 0)\n" RETURN0 "f:\n" LOOKUP("0") "exit\n"},
      {"Recursion", "call-depth", "call f\nexit\nf:\ncall f\nexit\n"},
      {"EightFrames", "accept",
       "call a\nexit\na:\ncall b\nexit\nb:\ncall c\nexit\nc:\ncall d\nexit\nd:\ncall "
       "e\nexit\ne:\ncall f\nexit\nf:\ncall g\nexit\ng:\nr0 = 0\nexit\n"},
      {"NineFrames", "call-depth",
       "call a\nexit\na:\ncall b\nexit\nb:\ncall c\nexit\nc:\ncall d\nexit\nd:\ncall "
       "e\nexit\ne:\ncall f\nexit\nf:\ncall g\nexit\ng:\ncall h\nexit\nh:\nr0 = 0\nexit\n"},
      {"PacketMovedInCallee", "register-uninit",
       PACKET "r2 = r6\nr2 += 14\nif r2 > r7 goto +2\ncall f\nr0 = *(u8 *)(r6 + 0)\n" RETURN0
              "f:\nr2 = 0\ncall 44\nexit\n"},
      {"PacketMovedByTailCallInCallee", "register-uninit",
       PACKET "r2 = r6\nr2 += 14\nif r2 > r7 goto +2\ncall f\nr0 = *(u8 *)(r6 + 0)\n" RETURN0
              "f:\nld_pseudo r2, 5, 2\nr3 = 0\ncall 12\nr0 = 0\nexit\n"},
      {"ResultOfTailCallInCalleeIsUnknown", "bad-address",
       "call f\nif r0 == 0 goto +1\nr0 = *(u64 *)(r0 + 0)\n" RETURN0
       "f:\nld_pseudo r2, 5, 2\nr3 = 0\ncall 12\nr0 = 0\nexit\n"},
      {"LeakInCallee", "reference-leak", "call f\n" RETURN0 "f:\n" RESERVE "r0 = 0\nexit\n"});

RULES(Returns, {"InRange", "accept", "r0 = 1\nexit\n", spec::ProgramType::CgroupSkb},
      {"OutOfRange", "return-value", "r0 = 2\nexit\n", spec::ProgramType::CgroupSkb},
      {"Unknown", "return-value", "call 5\nexit\n", spec::ProgramType::CgroupSkb},
      {"Masked", "accept", "call 5\nr0 &= 1\nexit\n", spec::ProgramType::CgroupSkb},
      {"PointerInCheckedType", "return-pointer", "r0 = r1\nexit\n", spec::ProgramType::CgroupSkb},
      {"OutOfRangeOnSecondPath", "return-value",
       "call 7\nif r0 == 0 goto +2\nr0 = 3\nexit\nr0 = 0\nexit\n", spec::ProgramType::CgroupSkb});

RULES(Legacy,
      {"Absolute", "accept", "r6 = r1\nr0 = *(u16 *)skb[12]\n" RETURN0,
       spec::ProgramType::SocketFilter},
      {"WithoutContext", "register-uninit", "r0 = *(u16 *)skb[12]\n" RETURN0,
       spec::ProgramType::SocketFilter},
      {"WrongType", "bad-address", "r6 = r1\nr0 = *(u16 *)skb[12]\n" RETURN0},
      {"Clobbers", "register-uninit", "r6 = r1\nr2 = 1\nr0 = *(u16 *)skb[12]\nr0 = r2\nexit\n",
       spec::ProgramType::SocketFilter});

// --- loops --------------------------------------------------------------------------------------
RULES(
    Loops, {"CountUp", "accept", "r1 = 0\nr0 = 0\nl:\nr0 += 2\nr1 += 1\nif r1 < 10 goto l\nexit\n"},
    {"CountUpFar", "accept", "r1 = 0\nr0 = 0\nl:\nr0 += 2\nr1 += 1\nif r1 < 100000 goto l\nexit\n"},
    {"CountDown32", "accept",
     "w1 = 1000\nr0 = 0\nl:\nr0 += 2\nw1 += -1\nif w1 != 0 goto l\nexit\n"},
    {"CountDownFar32", "accept",
     "w1 = 1000000\nr0 = 0\nl:\nr0 += 2\nw1 += -1\nif w1 != 0 goto l\nexit\n"},
    {"StepFour", "accept", "r1 = 0\nr0 = 0\nl:\nr1 += 4\nif r1 < 4000 goto l\nexit\n"},
    {"UnknownBound", "accept",
     "call 7\nw0 &= 0xffff\nr6 = r0\nr1 = 0\nl:\nif r1 >= r6 goto +2\nr1 += 1\ngoto l\nr0 = "
     "0\nexit\n"},
    {"NoBound", "infinite-loop", "r0 = 0\nl:\ngoto l\n"},
    {"NothingChanges", "infinite-loop", "r6 = 1\nl:\ncall 7\nif r0 != 0 goto l\n" RETURN0},
    {"CounterUpAndDown", "infinite-loop",
     "r6 = 0\nl:\nr6 += 1\ncall 7\nif r0 == 0 goto +1\nr6 += -2\ncall 7\nif r0 != 0 goto "
     "l\n" RETURN0},
    {"CounterReset", "infinite-loop",
     "r6 = 0\nl:\nr6 += 1\ncall 7\nif r0 == 0 goto +1\nr6 = 0\nif r6 < 1000 goto l\n" RETURN0},
    {"CounterNotOnEveryPath", "infinite-loop",
     "r6 = 0\nl:\ncall 7\nif r0 == 0 goto l\nr6 += 1\nif r6 < 1000 goto l\n" RETURN0},
    {"ArrayRotated", "accept",
     "r1 = 0\nl:\nr2 = r10\nr2 += -64\nr2 += r1\n*(u8 *)(r2 + 0) = 1\nr1 += 1\nif r1 != 64 goto "
     "l\n" RETURN0},
    {"ArrayRotatedOneTooMany", "stack-bounds",
     "r1 = 0\nl:\nr2 = r10\nr2 += -64\nr2 += r1\n*(u8 *)(r2 + 0) = 1\nr1 += 1\nif r1 != 65 goto "
     "l\n" RETURN0},
    {"ArrayLong", "accept",
     "r1 = 0\nl:\nr2 = r10\nr2 += -512\nr2 += r1\n*(u8 *)(r2 + 0) = 1\nr1 += 1\nif r1 < 512 goto "
     "l\n" RETURN0},
    {"ArrayLongOneTooMany", "stack-bounds",
     "r1 = 0\nl:\nr2 = r10\nr2 += -512\nr2 += r1\n*(u8 *)(r2 + 0) = 1\nr1 += 1\nif r1 <= 512 goto "
     "l\n" RETURN0},
    {"IndexBesideCounter", "accept",
     "r1 = 0\nr3 = 0\nl:\nr2 = r10\nr2 += -512\nr2 += r3\n*(u8 *)(r2 + 0) = 1\nr3 += 1\nr1 += "
     "1\nif r1 < 500 goto l\n" RETURN0},
    {"Nested", "accept",
     "r1 = 0\no:\nr2 = 0\ni:\nr2 += 1\nif r2 < 300 goto i\nr1 += 1\nif r1 < 300 goto o\n" RETURN0},
    {"NestedInnerResetsOuter", "infinite-loop",
     "r6 = 0\no:\nr7 = 0\ni:\nr7 += 1\ncall 7\nif r0 == 0 goto +1\nr6 = 0\nif r7 < 100 goto i\nr6 "
     "+= 1\nif r6 < 300 goto o\n" RETURN0},
    {"BranchesInside", "accept",
     "r6 = 0\nr7 = 0\nl:\ncall 7\nif r0 == 0 goto +1\nr7 = 1\ncall 7\nif r0 == 0 goto +1\nr7 = "
     "2\nr6 += 1\nif r6 < 5000 goto l\n" RETURN0},
    {"CounterOnStack", "accept",
     "*(u64 *)(r10 - 8) = 0\nl:\nr1 = *(u64 *)(r10 - 8)\nr1 += 1\n*(u64 *)(r10 - 8) = r1\nif r1 < "
     "10000 goto l\n" RETURN0},
    {"CallInside", "accept",
     "r6 = 0\nl:\nr1 = r6\ncall f\nr6 += 1\nif r6 < 2000 goto l\n" RETURN0 "f:\nr0 = r1\nexit\n"},
    {"PacketBytes", "accept",
     PACKET "r3 = 0\nl:\nr2 = r6\nr2 += r3\nr4 = r2\nr4 += 1\nif r4 > r7 goto +3\nr5 = *(u8 *)(r2 "
            "+ 0)\nr3 += 1\nif r3 < 1500 goto l\n" RETURN0},
    {"PacketBytesUnchecked", "packet-bounds",
     PACKET
     "r3 = 0\nl:\nr2 = r6\nr2 += r3\nr5 = *(u8 *)(r2 + 0)\nr3 += 1\nif r3 < 1500 goto l\n" RETURN0},
    {"OptionsWalk", "accept",
     PACKET "r8 = 0\nl:\nr2 = r6\nr2 += 2\nif r2 > r7 goto +5\nr3 = *(u8 *)(r6 + 1)\nr6 += r3\nr6 "
            "+= 2\nr8 += 1\nif r8 < 8 goto l\n" RETURN0},
    {"PointerEscapesInLoop", "map-value-bounds",
     LOOKUP("1") "if r0 == 0 goto +5\nr1 = 0\nl:\n*(u8 *)(r0 + 0) = 1\nr0 += 1\nr1 += 1\nif r1 < "
                 "100 goto l\n" RETURN0},
    {"PointerWalk", "accept",
     LOOKUP("1") "if r0 == 0 goto +5\nr1 = 0\nl:\n*(u8 *)(r0 + 0) = 1\nr0 += 1\nr1 += 1\nif r1 < "
                 "64 goto l\n" RETURN0},
    {"TooManyRounds", "loop-too-long", "r1 = 0\nl:\nr1 += 1\nif r1 < 0x7fffffff goto l\n" RETURN0},
    {"LeakInLoop", "reference-leak",
     "r6 = 0\nl:\n" RESERVE "r6 += 1\nif r6 < 100 goto l\n" RETURN0});

// What decides whether to leave stands behind the head, as compilers put a break.
RULES(LeavesBehindTheHead,
      {"Break", "accept",
       "r6 = 0\nr9 = 1\nl:\nif r9 == 0 goto out\nif r6 > 63 goto out\ncall 7\nr9 = r0\nr9 &= 1\n"
       "if r9 == 0 goto l\nr6 += 1\ngoto l\nout:\n" RETURN0},
      {"Continue", "infinite-loop",
       "r6 = 0\nr9 = 1\nl:\nif r9 == 0 goto +1\nif r6 > 63 goto out\ncall 7\nr9 = r0\nr9 &= 1\n"
       "if r9 == 0 goto l\nr6 += 1\ngoto l\nout:\n" RETURN0},
      {"EverySecondRound", "accept",
       "r6 = 0\nr9 = 0\nl:\nr9 ^= 1\nif r9 == 0 goto +1\nr6 += 1\nif r6 < 1000 goto l\n" RETURN0},
      {"EverySecondRoundTooOften", "loop-too-long",
       "r6 = 0\nr9 = 0\nl:\nr9 ^= 1\nif r9 == 0 goto +1\nr6 += 1\nif r6 < 5000000 goto "
       "l\n" RETURN0});

// Loops that go on by a number from the packet.
#define RECORDS(least, mask)                                                              \
    PACKET "l:\nr2 = r6\nr2 += 2\nif r2 > r7 goto out\nr3 = *(u8 *)(r6 + 1)\nr3 &= " mask \
           "\nr6 += r3\nr6 += " least "\ngoto l\nout:\n" RETURN0
RULES(VariableSteps, {"AtLeastOne", "accept", RECORDS("1", "255")},
      {"AtLeastNone", "infinite-loop", RECORDS("0", "255")},
      {"OneWayByAConstant", "accept",
       PACKET "l:\nr2 = r6\nr2 += 2\nif r2 > r7 goto out\nr3 = *(u8 *)(r6 + 1)\nif r3 == 1 goto "
              "nop\nr6 += r3\nr6 += 1\nnop:\nr6 += 1\ngoto l\nout:\n" RETURN0},
      {"OneWayNotAtAll", "infinite-loop",
       PACKET "l:\nr2 = r6\nr2 += 2\nif r2 > r7 goto out\nr3 = *(u8 *)(r6 + 1)\nif r3 == 1 goto "
              "l\nr6 += r3\nr6 += 1\ngoto l\nout:\n" RETURN0},
      {"Down", "accept",
       "call 7\nr6 = r0\nl:\nif r6 < 1000 goto out\nif r6 > 100000 goto out\ncall 7\nr0 &= "
       "15\nr0 += 1\nr6 -= r0\ngoto l\nout:\n" RETURN0},
      {"BothDirections", "infinite-loop",
       "call 7\nr6 = r0\nl:\nif r6 < 1000 goto out\nif r6 > 100000 goto out\ncall 7\nr0 &= "
       "15\nr0 -= 1\nr6 -= r0\ngoto l\nout:\n" RETURN0},
      {"MayWrap", "infinite-loop",
       "r6 = 0\nl:\ncall 7\nr0 |= 1\nr6 += r0\nif r6 < 1000 goto l\n" RETURN0});

RULES(MayGoto, {"Ends", "accept", "l:\nmay_goto out\ngoto l\nout:\n" RETURN0},
      {"OnEveryWay", "accept",
       "l:\nmay_goto out\ncall 7\nif r0 == 0 goto l\ncall 7\nif r0 != 0 goto l\nout:\n" RETURN0},
      {"NotOnEveryWay", "infinite-loop",
       "l:\ncall 7\nif r0 == 0 goto l\nmay_goto +1\ngoto l\n" RETURN0},
      {"JumpsBack", "infinite-loop", "l:\nmay_goto l\ngoto l\n"},
      {"JumpsToTheNext", "infinite-loop", "l:\nmay_goto +0\ngoto l\n"},
      {"JumpIsAlwaysPossible", "register-uninit", "may_goto +1\nr0 = 0\nexit\n"},
      {"EndsTheInnerLoopOnly", "infinite-loop",
       "i:\nmay_goto n\ncall 7\nif r0 != 0 goto i\nn:\ngoto i\n"},
      {"BetweenLoops", "infinite-loop",
       "o:\nmay_goto out\ni:\ncall 7\nif r0 != 0 goto i\ngoto o\nout:\n" RETURN0},
      {"AroundACountedLoop", "accept",
       "o:\nmay_goto out\nr6 = 0\ni:\nr6 += 1\nif r6 < 300 goto i\ngoto o\nout:\n" RETURN0},
      {"InsideACountedLoop", "accept",
       "r6 = 0\no:\nr6 += 1\ni:\nmay_goto n\ncall 7\nif r0 != 0 goto i\nn:\nif r6 < 300 goto "
       "o\n" RETURN0},
      {"InsideALoopThatResets", "infinite-loop",
       "r6 = 0\no:\nr6 += 1\ni:\nmay_goto n\nr6 = 0\ncall 7\nif r0 != 0 goto i\nn:\nr6 = 0\nif "
       "r6 < 300 goto o\n" RETURN0},
      {"LeavesWithAnyCount", "accept",
       "r1 = 0\nl:\nmay_goto out\nif r1 == 64 goto out\nr1 += 1\ngoto l\nout:\nr2 = r10\nr2 += "
       "-65\nr2 += r1\n*(u8 *)(r2 + 0) = 1\n" RETURN0},
      {"LeavesWithAnyCountOneTooMany", "stack-bounds",
       "r1 = 0\nl:\nmay_goto out\nif r1 == 64 goto out\nr1 += 1\ngoto l\nout:\nr2 = r10\nr2 += "
       "-64\nr2 += r1\n*(u8 *)(r2 + 0) = 1\n" RETURN0},
      {"LimitIsNoRange", "stack-bounds",
       "r1 = 0\nl:\nmay_goto out\nr2 = r10\nr2 += -64\nr2 += r1\n*(u8 *)(r2 + 0) = 1\nr1 += 1\n"
       "goto l\nout:\n" RETURN0},
      {"OfACallee", "accept",
       "l:\ncall f\nif r0 != 0 goto l\n" RETURN0 "f:\nr0 = 1\nmay_goto +1\nexit\nr0 = 0\nexit\n"},
      {"OfACalleeThatHidesIt", "infinite-loop",
       "l:\ncall f\ngoto l\nf:\nr0 = 1\nmay_goto +1\nexit\nr0 = 0\nexit\n"},
      {"InACallback", "accept",
       "r1 = 100\nld_pseudo r2, 4, f\nr3 = 0\nr4 = 0\ncall 181\n" RETURN0
       "f:\nmay_goto +1\ngoto f\nr0 = 0\nexit\n"},
      // Used up, it ends each of the callback's runs at once, but not the loop around them.
      {"AroundACallback", "infinite-loop",
       "l:\nr1 = 100\nld_pseudo r2, 4, f\nr3 = 0\nr4 = 0\ncall 181\ngoto l\n"
       "f:\nmay_goto +2\nr0 = 0\nexit\nr0 = 1\nexit\n"},
      {"AroundALoopAroundACallback", "accept",
       "l:\nmay_goto out\nr1 = 100\nld_pseudo r2, 4, f\nr3 = 0\nr4 = 0\ncall 181\ngoto l\n"
       "out:\n" RETURN0 "f:\nmay_goto +2\nr0 = 0\nexit\nr0 = 1\nexit\n"});

RULES(Callbacks,
      {"Loop", "accept",
       "r1 = 100\nld_pseudo r2, 4, f\nr3 = 0\nr4 = 0\ncall 181\n" RETURN0 "f:\nr0 = 0\nexit\n"},
      {"LoopBodyIsChecked", "bad-address",
       "r1 = 100\nld_pseudo r2, 4, f\nr3 = 0\nr4 = 0\ncall 181\n" RETURN0
       "f:\nr0 = *(u64 *)(r2 + 0)\nexit\n"},
      {"LoopReturnsTooMuch", "bad-callback",
       "r1 = 100\nld_pseudo r2, 4, f\nr3 = 0\nr4 = 0\ncall 181\n" RETURN0 "f:\nr0 = 2\nexit\n"},
      {"LoopCounts", "accept",
       "*(u64 *)(r10 - 8) = 0\nr1 = 100\nld_pseudo r2, 4, f\nr3 = r10\nr3 += -8\nr4 = 0\ncall "
       "181\nr1 = *(u64 *)(r10 - 8)\n" RETURN0
       "f:\nr3 = *(u64 *)(r2 + 0)\nr3 += 1\n*(u64 *)(r2 + 0) = r3\nr0 = 0\nexit\n"},
      {"LoopChangesWhatWasConstant", "bad-address",
       "*(u64 *)(r10 - 8) = 0\nr1 = 100\nld_pseudo r2, 4, f\nr3 = r10\nr3 += -8\nr4 = 0\ncall "
       "181\nr1 = *(u64 *)(r10 - 8)\nif r1 < 3 goto +1\nr0 = *(u64 *)(r1 + 0)\n" RETURN0
       "f:\nr3 = *(u64 *)(r2 + 0)\nr3 += 1\n*(u64 *)(r2 + 0) = r3\nr0 = 0\nexit\n"},
      {"LoopIndexIsUnlimited", "pointer-arithmetic",
       "*(u64 *)(r10 - 8) = 0\nr1 = 8\nld_pseudo r2, 4, f\nr3 = r10\nr3 += -8\nr4 = 0\ncall "
       "181\n" RETURN0 "f:\nr1 <<= 32\nr2 += r1\n*(u8 *)(r2 + 0) = 1\nr0 = 0\nexit\n"},
      {"LoopLeaks", "reference-leak",
       "r1 = 100\nld_pseudo r2, 4, f\nr3 = 0\nr4 = 0\ncall 181\n" RETURN0 "f:\n" RESERVE
       "r0 = 0\nexit\n"},
      {"ForEach", "accept",
       "ld_pseudo r1, 5, 0\nld_pseudo r2, 4, f\nr3 = 0\nr4 = 0\ncall 164\n" RETURN0
       "f:\nr4 = *(u32 *)(r2 + 0)\n*(u64 *)(r3 + 0) = r4\nr0 = 0\nexit\n"},
      {"ForEachWritesKey", "map-read-only",
       "ld_pseudo r1, 5, 0\nld_pseudo r2, 4, f\nr3 = 0\nr4 = 0\ncall 164\n" RETURN0
       "f:\n*(u32 *)(r2 + 0) = 1\nr0 = 0\nexit\n"},
      {"NotAFunction", "helper-argument", "r1 = 100\nr2 = 0\nr3 = 0\nr4 = 0\ncall 181\n" RETURN0});

// --- what is not about one rule -----------------------------------------------------------------

TEST(Privileges, WithoutLeaksPointersStayPointers) {
    const ir::Privileges strict{.root = false, .allow_ptr_leaks = false};
    const auto verdict = [&](const char* text) {
        return outcome(check(text, spec::ProgramType::Xdp, {}, strict));
    };
    EXPECT_EQ(verdict("r0 = r10\nexit\n"), "return-pointer");
    EXPECT_EQ(verdict("r1 = r10\nr1 *= 2\n" RETURN0), "pointer-arithmetic");
    EXPECT_EQ(verdict("w1 = w10\n" RETURN0), "pointer-arithmetic");
    EXPECT_EQ(verdict("if r1 == r10 goto +0\n" RETURN0), "pointer-compare");
    EXPECT_EQ(verdict("*(u64 *)(r10 - 8) = r1\nr0 = *(u32 *)(r10 - 8)\n" RETURN0), "pointer-leak");
    EXPECT_EQ(verdict("r1 = r10\nr1 -= r10\n" RETURN0), "pointer-arithmetic");
    EXPECT_EQ(verdict("r2 = *(u32 *)(r1 + 12)\nr2 &= 4\nr1 += r2\n" RETURN0), "pointer-arithmetic");
    EXPECT_EQ(verdict("r6 = *(u32 *)(r1 + 0)\nr7 = *(u32 *)(r1 + 4)\nr2 = 0\ncall 44\n"
                      "r7 -= r6\n" RETURN0),
              "register-uninit");
}

// Linux' rule: null has no bytes. eBPF for Windows' helper looks itself.
TEST(NullMemory, HasNoBytes) {
    const auto text = [](const char* call, int from_size) {
        return "r1 = 0\nr2 = " + std::to_string(from_size) + "\nr3 = 0\nr4 = 0\nr5 = 0\ncall " +
               call + "\nr0 = 2\nexit\n";
    };
    EXPECT_EQ(outcome(check(text("28", 0))), "accept");
    EXPECT_EQ(outcome(check(text("28", 8))), "bad-address");
    const ir::Program program = make_program(text("10", 8));
    ir::Environment environment;
    environment.type = spec::program_info(spec::Dialect::Windows, spec::ProgramType::Xdp);
    EXPECT_EQ(outcome(analyze(program, environment, {})), "accept");
}

TEST(Budget, IsAVerdictThatNamesThePlace) {
    Options options;
    options.max_steps = 50;
    const Report report =
        check("r1 = 0\nl:\nr1 += 1\nif r1 < 39 goto l\n" RETURN0, spec::ProgramType::Xdp, options);
    EXPECT_EQ(report.verdict, Verdict::Exhausted);
    ASSERT_EQ(report.diagnostics.size(), 1u);
    EXPECT_EQ(report.diagnostics[0].code, DiagnosticCode::Budget);
    EXPECT_NE(report.diagnostics[0].notes[0].find("most of the work: instruction 1"),
              std::string::npos);
}

TEST(Budget, LongLoopsAreCheap) {
    const Report report =
        check("r1 = 0\nr0 = 0\nl:\nr0 += 2\nr1 += 1\nif r1 < 1000000 goto l\nexit\n");
    EXPECT_EQ(report.verdict, Verdict::Accept) << explain(report);
    EXPECT_LT(report.steps, 2000u);
}

// 30 independent conditions: 2^30 paths, but nothing that is used later differs between them.
TEST(Budget, IndependentBranchesDoNotMultiply) {
    std::string text;
    for (int i = 0; i < 30; ++i)
        text +=
            "call 7\nif r0 == 0 goto +1\nr6 = " + std::to_string(i) + "\nr7 = 1\nr8 = 2\nr9 = 3\n";
    const Report report = check(text + RETURN0);
    EXPECT_EQ(report.verdict, Verdict::Accept) << explain(report);
    EXPECT_LT(report.steps, 5000u);
}

TEST(StackDepth, OfAWholeChain) {
    Options options;
    options.max_stack = 512;
    const char* text =
        "*(u8 *)(r10 - 300) = 1\ncall f\nexit\nf:\n*(u8 *)(r10 - 300) = 1\nr0 = 0\nexit\n";
    EXPECT_EQ(outcome(check(text)), "accept");
    EXPECT_EQ(outcome(check(text, spec::ProgramType::Xdp, options)), "stack-depth");
}

TEST(Facts, AreWhatTheEnginesRelyOn) {
    const Report report = check(
        "r6 = *(u32 *)(r1 + 12)\n"  // 0 context
        "*(u64 *)(r10 - 24) = 0\n"  // 1 stack
        "r6 &= 7\n"
        "r6 += 1\n"
        "r7 = 100\n"
        "r7 /= r6\n"               // 5 never by zero
        LOOKUP("0")                // 6..10
        "if r0 == 0 goto +3\n"     // 11
        "r1 = *(u64 *)(r0 + 0)\n"  // 12 map value
        "r7 %= r1\n"               // 13 maybe zero
        "goto +1\n"
        "r7 = 1\n" RETURN0);
    ASSERT_EQ(report.verdict, Verdict::Accept) << explain(report);
    const auto& insns = report.facts.insns;
    EXPECT_EQ(insns[0].memory, ir::MemoryKind::Context);
    EXPECT_EQ(insns[1].memory, ir::MemoryKind::Stack);
    EXPECT_TRUE(insns[5].divisor_nonzero);
    EXPECT_EQ(insns[10].constant_map, 0);
    EXPECT_EQ(insns[12].memory, ir::MemoryKind::MapValue);
    EXPECT_FALSE(insns[13].divisor_nonzero);
    EXPECT_TRUE(insns[15].reachable);
    EXPECT_EQ(report.facts.stack_used[0], 24u);
    EXPECT_EQ(report.facts.max_call_depth, 1u);
}

// The second path reaches the division with a divisor of another range: the fact must cover it.
TEST(Facts, HoldOnPathsThatWereCovered) {
    const Report report = check(
        "r6 = r1\ncall 7\nr7 = 5\nif r0 == 0 goto +1\nr7 = 0\n"
        "r1 = 1\nr2 = 2\nr3 = 3\nr4 = 4\nr5 = 5\nr8 = 6\nr9 = 7\n"  // far enough for a checkpoint
                                                                    // at the join
        "r0 = 100\nr0 /= r7\nr0 = 0\nexit\n");
    ASSERT_EQ(report.verdict, Verdict::Accept) << explain(report);
    EXPECT_FALSE(report.facts.insns[13].divisor_nonzero);
}

TEST(Facts, ConstantMapOnlyWhenAlwaysTheSame) {
    const Report report = check(
        "*(u32 *)(r10 - 4) = 0\nr2 = r10\nr2 += -4\nr6 = *(u32 *)(r1 + 12)\nld_pseudo r1, 5, 0\nif "
        "r6 == 0 goto +2\nld_pseudo r1, 5, 1\ncall 1\n" RETURN0);
    ASSERT_EQ(report.verdict, Verdict::Accept) << explain(report);
    EXPECT_EQ(report.facts.insns[7].constant_map, -1);
}

TEST(Facts, ProgArrayOfATailCall) {
    const Report named = check("ld_pseudo r2, 5, 2\nr3 = 0\ncall 12\n" RETURN0);
    ASSERT_EQ(named.verdict, Verdict::Accept) << explain(named);
    EXPECT_EQ(named.facts.insns[2].constant_map, 2);
}

TEST(Facts, KeysAndWaysOfJumps) {
    const auto lookup = [](const char* key) {
        return std::string("call 7\nr6 = r0\n*(u32 *)(r10 - 4) = 3\n") + key +
               "r2 = r10\nr2 += -4\nld_pseudo r1, 5, 0\ncall 1\n" RETURN0;
    };
    const auto call = [](const Report& report) {  // the look-up is the last call
        return report.facts.insns[report.facts.insns.size() - 3];
    };
    const Report same = check(lookup(""));
    ASSERT_EQ(same.verdict, Verdict::Accept) << explain(same);
    EXPECT_TRUE(call(same).constant_key);
    EXPECT_EQ(call(same).key, 3u);
    const Report other = check(lookup("if r6 == 0 goto +1\n*(u32 *)(r10 - 4) = 4\n"));
    EXPECT_FALSE(call(other).constant_key) << "two paths with two keys";
    const Report unknown = check(lookup("*(u32 *)(r10 - 4) = r6\n"));
    EXPECT_FALSE(call(unknown).constant_key);

    const Report ways = check("call 7\nr0 &= 7\nif r0 > 7 goto +1\nif r0 > 3 goto +0\n" RETURN0);
    EXPECT_FALSE(ways.facts.insns[2].may_jump);
    EXPECT_TRUE(ways.facts.insns[2].may_fall_through);
    EXPECT_TRUE(ways.facts.insns[3].may_jump);
    EXPECT_TRUE(ways.facts.insns[3].may_fall_through);
}

TEST(Purity, InterleavedAnalysesAgree) {
    const char* a =
        PACKET "r2 = r6\nr2 += 14\nif r2 > r7 goto +1\nr0 = *(u16 *)(r6 + 13)\n" RETURN0;
    const char* b = "r1 = 0\nr0 = 0\nl:\nr0 += 2\nr1 += 1\nif r1 < 1000000 goto l\nexit\n";
    const Report a1 = check(a), b1 = check(b), a2 = check(a), b2 = check(b);
    EXPECT_EQ(explain(a1), explain(a2));
    EXPECT_EQ(a1.steps, a2.steps);
    EXPECT_EQ(b1.steps, b2.steps);
    EXPECT_EQ(b1.peak_bytes, b2.peak_bytes);
}

TEST(Messages, SayWhatIsWrongAndWhatToWrite) {
    const Report report =
        check(PACKET "r2 = r6\nr2 += 14\nif r2 > r7 goto +1\nr0 = *(u16 *)(r6 + 40)\n" RETURN0);
    ASSERT_EQ(report.diagnostics.size(), 1u);
    const Diagnostic& d = report.diagnostics[0];
    EXPECT_EQ(d.insn, 5u);
    EXPECT_EQ(d.message,
              "the access through r6 reaches 42 bytes from the start of the packet, of which 14 "
              "bytes are proven to be there");
    ASSERT_EQ(d.notes.size(), 1u);
    EXPECT_EQ(d.notes[0],
              "compare the pointer plus 42 with data_end on the way here: if (data + 42 > "
              "data_end) return ...;");
}

TEST(Messages, EveryRowHasItsTexts) {
    for (u16 i = 0;; ++i) {
        const auto code = static_cast<DiagnosticCode>(i);
        EXPECT_GT(std::string_view(name(code)).size(), 3u);
        EXPECT_GT(std::string_view(title(code)).size(), 10u);
        EXPECT_GT(std::string_view(explanation(code)).size(), 10u);
        EXPECT_GT(std::string_view(advice(code)).size(), 5u);
        if (code == DiagnosticCode::Budget) break;
    }
}

TEST(Dump, ShowsTheStateAtEachInstruction) {
    const ir::Program program = make_program(
        PACKET "r2 = r6\nr2 += 14\nif r2 > r7 goto +1\nr0 = *(u8 *)(r6 + 13)\n" RETURN0);
    ir::Environment environment;
    environment.type = spec::program_info(spec::Dialect::Linux, spec::ProgramType::Xdp);
    const std::string text = dump_states(program, environment, {}, 1);
    EXPECT_NE(text.find("r6=packet (14 bytes proven)"), std::string::npos) << text;
    EXPECT_NE(text.find("r1=context"), std::string::npos) << text;
}

}  // namespace
}  // namespace ebpf::verifier
