// SPDX-License-Identifier: MIT
#include "oracles/shapes.hpp"

#include <charconv>
#include <random>

#include "fixture.hpp"

namespace ebpf::verifier::oracle {

namespace {

// {a..b}: a number of that range; {x|y}: one of these texts.
struct Shape {
    const char* name;
    const char* text;
};

#define PACKET "r9 = r1\nr6 = *(u32 *)(r1 + 0)\nr7 = *(u32 *)(r1 + 4)\n"
#define LOOKUP(map) \
    "*(u32 *)(r10 - 4) = {0..20}\nr2 = r10\nr2 += -4\nld_pseudo r1, 5, " map "\ncall 1\n"
#define RESERVE "ld_pseudo r1, 5, 3\nr2 = {8|16}\nr3 = 0\ncall 131\n"
#define INDEX(reg) "r1 = r10\nr1 += -{8|16|64}\nr1 += " reg "\n*(u8 *)(r1 + 0) = 1\n"
#define RETURN0 "r0 = 0\nexit\n"
// So many instructions that the analysis keeps a state where the paths meet next.
#define LONG "r3 = 1\nr3 = 2\nr3 = 3\nr3 = 4\nr3 = 5\nr3 = 6\nr3 = 7\nr3 = 8\nr3 = 9\nr3 = 10\n"
// Two numbers, and a third of one bit.
#define NUMBERS \
    "call 7\nr8 = r0\ncall 7\nr9 = r0\ncall 7\nr7 = r0\nr7 &= 1\nr8 &= {15|63}\nr9 &= {15|63}\n"
#define LITTLE "r8 &= 15\nr9 &= 15\n"
#define SIZE "{u8|u16|u32|u64}"
#define NUMBER LONG "call {5|7}\n"

constexpr Shape kShapes[] = {
    // Bounds checks of the packet.
    {"PacketBounds", PACKET "r2 = r6\nr2 += {1..16}\nif r2 {>|>=} r7 goto out\nr0 = *(" SIZE
                            " *)(r6 + {0..16})\nout:\n" RETURN0},
    {"PacketMirrored", PACKET "r2 = r6\nr2 += {1..16}\nif r7 {<|<=} r2 goto out\nr0 = *(" SIZE
                              " *)(r6 + {0..16})\nout:\n" RETURN0},
    {"PacketTaken", PACKET "r2 = r6\nr2 += {1..16}\nif r2 {<|<=|>} r7 goto in\ngoto out\nin:\nr0 = "
                           "*(" SIZE " *)(r6 + {0..16})\nout:\n" RETURN0},
    {"PacketBefore", PACKET "r2 = r6\nr2 += 14\nif r2 > r7 goto out\nr6 += {0..4}\nr0 = *(" SIZE
                            " *)(r6 - {0..8})\nout:\n" RETURN0},
    {"PacketVariable",
     PACKET "r2 = r6\nr2 += 1\nif r2 > r7 goto out\nr3 = *(u8 *)(r6 + 0)\nr3 &= {15|60|255}\nr6 += "
            "r3\nr2 = r6\nr2 += {1..8}\nif r2 > r7 goto out\nr0 = *(" SIZE
            " *)(r6 + {0..8})\nout:\n" RETURN0},
    {"PacketLength", PACKET "r2 = r7\nr2 -= r6\nif r2 s< {1..40} goto out\nr0 = *(" SIZE
                            " *)(r6 + {0..40})\nout:\n" RETURN0},
    {"PacketMoved",
     PACKET "r2 = r6\nr2 += 14\nif r2 > r7 goto out\n{*(u64 *)(r10 - 8) = r6|r8 = r6}\nr1 = r9\nr2 "
            "= {0|4|8}\ncall 44\n{r6 = *(u64 *)(r10 - 8)|r6 = *(u32 *)(r9 + 0)|r6 = r6}\nr0 = *(u8 "
            "*)(r6 + {0..13})\nout:\n" RETURN0},
    // The proof of one path, and the packet's start loaded again where the paths meet.
    {"PacketReloaded",
     PACKET LONG "r2 = r6\nr2 += {2..14}\nif r2 > r7 goto join\nr0 = *(u8 *)(r6 + "
                 "0)\njoin:\nr8 = *(u32 *)(r9 + 0)\nr0 = *(u8 *)(r8 + {0..4})\n" RETURN0},
    // A sum of two numbers and the start, made again where the paths meet.
    {"PacketSumAgain",
     PACKET "r2 = r6\nr2 += 3\nif r2 > r7 goto out\nr3 = *(u8 *)(r6 + 0)\nr4 = *(u8 *)(r6 + "
            "1)\nr0 = *(u8 *)(r6 + 2)\nr4 &= {3|31}\nr0 &= {3|31}\nr3 &= 3\nr5 = r6\nr5 += "
            "r3\nr8 = r5\nif r0 > {1..3} goto other\nr8 += r4\ngoto check\nother:\nr8 += "
            "{r0|r4}\ncheck:\nr1 = r8\nr1 += {1..8}\nif r1 > r7 goto out\n" LONG
            "goto join\njoin:\nr5 += r4\nr0 = *(u8 *)({r5|r8} + {0..7})\nr0 = *(u8 *)(r8 + "
            "0)\nout:\n" RETURN0},
    {"PacketJoin", PACKET LONG "r2 = r6\nr2 += {2..14}\nif r2 > r7 goto join\nr0 = *(u8 *)(r6 + "
                               "0)\njoin:\nr8 = 0\nr0 = *(u8 *)(r6 + {0..4})\n" RETURN0},
    {"PacketAgain", PACKET "r2 = r6\nr2 += {2..14}\nif r2 > r7 goto out\nr8 = *(u32 *)(r9 + 0)\nr0 "
                           "= *(u8 *)(r8 + {0..4})\nr0 = *(u8 *)(r6 + 0)\nout:\n" RETURN0},
    {"SpilledBefore", PACKET "*(u64 *)(r10 - {8|16}) = r6\n*(u64 *)(r10 - 24) = r7\nr2 = r6\nr2 += "
                             "{2..14}\nif r2 > r7 goto out\nr4 = *(u64 *)(r10 - {8|16})\nr0 = *(u8 "
                             "*)(r4 + {0..4})\nout:\n" RETURN0},
    // A number that the packet is long enough for, and what is known of it afterwards.
    {"PacketPart", PACKET "r2 = r6\nr2 += 2\nif r2 > r7 goto out\nr8 = *(u8 *)(r6 + 0)\nr8 &= "
                          "{15|60|255}\nr4 = r8\nr4 {+=|-=} {0..4}\nr4 <<= {0|1}\nr2 = r6\n{r5 = "
                          "*(u8 *)(r6 + 1)|r5 = 0}\nr2 += r5\nr1 = r2\nr2 += r4\nr2 += {0..4}\nif "
                          "r2 {>|>=} r7 goto out\nif {r8|r4} < {1..12} goto out\nr0 = *(" SIZE
                          " *)({r1|r6} + {0..24})\nout:\n" RETURN0},
    {"PacketPartJoin",
     PACKET "r2 = r6\nr2 += 16\nif r2 > r7 goto out\nr8 = *(u8 *)(r6 + 0)\nr5 = *(u8 *)(r6 + "
            "1)\nr8 &= 31\nr2 = r6\nr2 += r8\n" LONG "if r5 > 100 goto other\nr2 += {0|16}\nif r2 "
            "> r7 goto out\ngoto join\nother:\nr2 += {0|16}\nif r2 > r7 goto out\njoin:\nif r8 < "
            "{4|8} goto out\nr0 = *(u8 *)(r6 + {12..24})\nout:\n" RETURN0},
    {"PacketReached",
     PACKET "r2 = r6\nr2 += 2\nif r2 > r7 goto out\nr8 = *(u8 *)(r6 + 0)\nr4 = *(u8 *)(r6 + "
            "1)\nr8 &= 31\nif r8 < {1..4} goto out\nr5 = r6\nr5 += r8\n" LONG
            "{if r4 > 100 goto join|r3 = 0}\nif r5 {>|>=|<} r7 goto out\njoin:\nr4 = 0\nr0 = *(u8 "
            "*)(r5 - {1..4})\nout:\n" RETURN0},
    {"PacketOwnLength",
     PACKET "r2 = r6\nr2 += 2\nif r2 > r7 goto out\nr8 = *(u8 *)(r6 + 0)\nr5 = r6\nr5 += r8\nr2 = "
            "r7\nr2 -= {r6|r5}\nif r2 > 2000 goto out\nif r2 < 2 goto out\nr4 = {r6|r5}\nr4 += "
            "r2\nr0 = *(u8 *)(r4 - {1|2})\nout:\n" RETURN0},
    {"PacketLengthOrder", PACKET
     "call 7\nr0 &= 63\nr5 = r6\nr5 += {0..40}\nr2 = r7\nr2 -= r5\n{if r2 > 2000 goto "
     "out|if r2 s< 0 goto out|r3 = 0}\nif r0 {<|<=|>|>=|s<|s<=} r2 goto in\ngoto out\nin:\nr5 "
     "= r6\nr5 += r0\nr0 = *(u8 *)(r5 + {0..41})\nout:\n" RETURN0},
    // Nothing is read any more of the number that was compared.
    {"PacketDeadLength", PACKET
     "call 7\nr2 = r6\nr2 += 4\nif r2 > r7 goto out\nr8 = r0\nr8 &= 63\nr2 = r7\nr2 -= "
     "r6\nr4 = r8\nr4 += 1\n" LONG "if r0 & 64 goto join\nif r4 s>= r2 goto out\njoin:\nif r8 "
     "< {4..20} goto out\nr0 = *(u8 *)(r6 + {4..20})\nout:\n" RETURN0},
    // Values of maps and records.
    {"MapValue", LOOKUP("{0|1}") "{if r0 == 0 goto out|r3 = 0}\nr0 {+=|-=} {0|4|8}\nr3 = *(" SIZE
                                 " *)(r0 + {0..64})\nout:\n" RETURN0},
    // Of an array with a constant index, of which there are three.
    {"ArrayIndex",
     "*(u32 *)(r10 - 4) = {15|16}\n" NUMBER "if r0 > {2..4} goto +1\n*(u32 *)(r10 - 4) = {14|15}\n"
     "if r0 > {1..3} goto +1\n*(u32 *)(r10 - 4) = {14|15}\n" LONG
     "r2 = r10\nr2 += -4\nld_pseudo r1, 5, {0|1}\ncall 1\nr3 = *(u64 *)(r0 + "
     "0)\n" RETURN0},
    {"InnerArray",
     "*(u32 *)(r10 - 4) = {0|1}\nr2 = r10\nr2 += -4\nld_pseudo r1, 5, {1|11}\ncall 1\n"
     "if r0 == 0 goto out\n*(u32 *)(r10 - 4) = 0\nr1 = r0\nr2 = r10\nr2 += -4\ncall "
     "1\n{if r0 == 0 goto out|r3 = 0}\nr3 = *(u64 *)(r0 + 0)\nout:\n" RETURN0},
    {"MapValueVariable", LOOKUP("1") "r6 = r0\nif r6 == 0 goto out\n" NUMBER
                                     "r0 &= {7|15|31|63}\nr6 {+=|-=} r0\nr3 = *(" SIZE
                                     " *)(r6 + {0..48})\nout:\n" RETURN0},
    {"TwoLookups",
     LOOKUP("0") "r6 = r0\n" LOOKUP("{0|1}") "r7 = r0\nif {r6|r7} == 0 goto out\nr3 = "
                                             "*(u64 *)({r6|r7} + 0)\nout:\n" RETURN0},
    {"ErrorCode",
     LOOKUP("0") "r6 = 0\nif r0 {!=|==} 0 goto +1\nr6 = -{1..3}\nif r6 {s<|==|!=} 0 goto "
                 "out\nr3 = *(u64 *)(r0 + 0)\nout:\n" RETURN0},
    {"ReadOnly", "ld_pseudo r1, 6, {5|6}\n*(u8 *)(r1 + {0..15}) = 1\n" RETURN0},
    {"Atomic", LOOKUP("1") "if r0 == 0 goto out\nr3 = 1\nr0 += {0..8}\nlock *({u32|u64} *)(r0 + "
                           "{0|4|8|16|17}) += r3\nout:\n" RETURN0},
    {"AtomicFetch",
     "r6 = {1..7}\n*(u64 *)(r10 - 8) = {1|100000}\nr6 = atomic_fetch_add((u64 *)(r10 - 8), "
     "r6)\n" INDEX("r6") RETURN0},
    {"Record", RESERVE "if r0 == 0 goto out\n*(" SIZE " *)(r0 + {0..18}) = 1\nr1 = r0\nr2 = "
                       "0\ncall {132|133}\nout:\n" RETURN0},
    {"RecordKept",
     RESERVE "{if r0 == 0 goto out|r6 = 0}\nr6 = r0\n{goto out|r3 = 0}\nr1 = r6\nr2 = "
             "0\ncall {132|133}\nout:\n" RETURN0},
    {"RecordAfterRelease",
     RESERVE "if r0 == 0 goto out\nr6 = r0\nr1 = r6\nr2 = 0\ncall 132\n{*(u32 *)(r6 + 0) = 1|r3 = "
             "0}\nout:\n" RETURN0},
    // The stack.
    {"StackVariable", NUMBER "r0 &= {7|15|31|63}\nr1 = r10\nr1 += -{8..64}\nr1 += r0\n*(" SIZE
                             " *)(r1 + 0) = 1\n" RETURN0},
    {"StackVariableRead",
     "*(u64 *)(r10 - 8) = 1\n*(u{8|32|64} *)(r10 - 16) = 1\n" NUMBER
     "r0 &= {1|3|7}\nr1 = r10\nr1 += -16\nr1 += r0\nr0 = *(u8 *)(r1 + {0..8})\n" RETURN0},
    {"StackVariableWrite",
     "*(u64 *)(r10 - 8) = 1\n*(u64 *)(r10 - 16) = 1\n" NUMBER
     "r0 &= 8\nr1 = r10\nr1 += -16\nr1 += r0\n*(u64 *)(r1 + 0) = {3|100000}\nr6 = *(u64 *)(r10 - "
     "{8|16})\n" INDEX("r6") RETURN0},
    {"StackVariableNumber",
     "*(u64 *)(r10 - 8) = {3|1000}\n*(u64 *)(r10 - 16) = {1|2}\n" NUMBER
     "r0 &= 8\nr1 = r10\nr1 += -16\nr1 += r0\nr6 = *(u64 *)(r1 + 0)\n" INDEX("r6") RETURN0},
    {"LoadedHalf", PACKET "r2 = r6\nr2 += 8\nif r2 > r7 goto out\nr3 = *({u16|u32} *)(r6 + "
                          "{0|4})\nr3 >>= {16|20|28}\n" INDEX("r3") "out:\n" RETURN0},
    {"StackParts",
     "*({u8|u16|u32} *)(r10 - 8) = {1|7|-1}\n*({u8|u16} *)(r10 - 7) = "
     "{0|1|200}\n*(u32 *)(r10 - 4) = {0|1}\n{*(u16 *)(r10 - 6) = 0|r3 = 0}\nr6 = "
     "*({u16|u32|s8|s16} *)(r10 - 8)\n" INDEX("r6") RETURN0},
    {"StackNumber", NUMBER "*({u8|u16|u32|u64} *)(r10 - 8) = r0\nr6 = *({u8|s8} *)(r10 - 8)\nif r6 "
                           "s> {7|15|300} goto out\n" INDEX("r6") "out:\n" RETURN0},
    {"StackJoin", "*(u64 *)(r10 - 8) = {5|1000}\n" NUMBER "if r0 {>|==} 3 goto join\n*(u64 *)(r10 "
                  "- 8) = 3\njoin:\nr6 = *(u64 *)(r10 - 8)\nr1 = "
                  "r10\nr1 += -32\nr1 += r6\n*(u8 *)(r1 + 0) = "
                  "1\n" RETURN0},
    {"StackJoinUnwritten",
     NUMBER "if r0 > 3 goto join\n*(u64 *)(r10 - 8) = 3\njoin:\nr6 = *(u8 *)(r10 - 8)\n" RETURN0},
    {"SpilledJoin",
     PACKET LONG "r2 = r6\nr2 += {2..14}\nif r2 > r7 goto +1\nr3 = r2\n*(u64 *)(r10 - 8) = "
                 "r6\nr3 = 0\nr4 = *(u64 *)(r10 - 8)\nr0 = *(u8 *)(r4 + 1)\n" RETURN0},
    // What helpers read and write.
    {"KeyJoin", "*(u32 *)(r10 - 4) = {0|1|2}\n" NUMBER
                "if r0 > 3 goto join\n*(u32 *)(r10 - 4) = {1|2}\njoin:\nr2 = r10\nr2 += -4\n"
                "ld_pseudo r1, 5, {0|1}\ncall 1\n" RETURN0},
    {"Key",
     "*({u8|u16|u32} *)(r10 - {4|8}) = 1\nr2 = r10\nr2 += -{1..8}\nld_pseudo r1, 5, "
     "{0|1}\ncall 1\n" RETURN0},
    {"Buffer",
     "*(u64 *)(r10 - 8) = {1|3}\nr2 = 0\nr3 = r10\nr3 += -{8|16}\nr4 = {1..8}\ncall "
     "189\nr6 = *(u64 *)(r10 - 8)\n" INDEX("r6") RETURN0},
    {"Errno",
     "*(u64 *)(r10 - 8) = 1\n*(u64 *)(r10 - 16) = 1\nr2 = r10\nr2 += -8\nr3 = r10\nr3 += "
     "-16\nr4 = 0\nld_pseudo r1, 5, 0\ncall 2\nif r0 s< {0|1} goto out\n{r1 = 1000|r1 = "
     "0}\nr1 += r10\n*(u8 *)(r1 - {8|1008}) = 1\nout:\n" RETURN0},
    {"AfterCall", "r{1..5} = 1\nr{6..9} = 1\ncall {5|7}\nr0 = r{1|2|3|4|5|6}\nr0 = 0\nexit\n"},
    // Copies of numbers and what is known of them.
    {"CopyAndSum",
     NUMBER "r6 = r0\nr6 {+=|-=} {1..120}\nif r6 > {1..200} goto out\n{if r6 < {1..9} "
            "goto out|r3 = 0}\nr1 = r10\nr1 += -{100|300|500}\nr1 += {r0|r6}\n*(u8 "
            "*)(r1 + 0) = 1\nout:\n" RETURN0},
    {"CopyAndSum32",
     NUMBER "{w0 = w0|r3 = 0}\nr6 = r0\nw6 {+=|-=} {1..120}\nif r6 > {1..200} goto out\nr1 = "
            "r10\nr1 += -{300|500}\nr1 += {r0|r6}\n*(u8 *)(r1 + 0) = 1\nout:\n" RETURN0},
    // Without 32-bit instructions the low half is computed with in the upper one.
    {"UpperHalf",
     "call {5|7}\nr6 = r0\n{w6 = w0|r3 = 0}\nr6 <<= {1|32}\nr7 = {0|1}\nr7 <<= 32\nr6 {+=|-=} "
     "r7\nr6 {>>=|s>>=} {29|32}\nif r6 {s>|>} {7|100} goto out\nr1 = r10\nr1 += "
     "-{64|300|500}\nr1 += {r0|r6}\n*(u8 *)(r1 + 0) = 1\nout:\n" RETURN0},
    // The low half is all of a number, or not, or only with its sign.
    {"WholeLowHalf",
     "call 7\nr8 = r0\nr8 &= 15\ncall 7\nr9 = r0\nr9 <<= {3|32}\nr9 |= r8\nr6 = r9\nr6 <<= "
     "32\nr6 {>>=|s>>=} {29|32}\nif r6 > {7|100} goto out\nr1 = r10\nr1 += -{16|64}\nr1 += "
     "r9\n*(u8 *)(r1 + 0) = 1\nout:\n" RETURN0},
    {"SignedLowHalf",
     "call 7\nr9 = r0\nr9 &= 31\nr9 -= 16\nr6 = r9\nr6 <<= 32\nr6 {>>=|s>>=} {29|32}\nif r6 "
     "{>|s>} {7|9} goto in\ngoto out\nin:\nr1 = r10\nr1 += -{16|40}\nr1 += r9\n*(u8 *)(r1 + 0) = "
     "1\nout:\n" RETURN0},
    {"ShiftedLowHalf",
     "call 5\nr0 >>= {8|20}\nw6 = w0\nr6 <<= {1|3|32}\nr2 = r6\nr2 >>= {1|3|32}\nif r6 > {8|200} "
     "goto "
     "out\nr1 = r10\nr1 += -{64|300|500}\nr1 += {r0|r2|r6}\n*(u8 *)(r1 + 0) = 1\nout:\n" RETURN0},
    {"ShiftedByMore", NUMBER "r6 = r0\nr2 = {1|32|33}\n{w6 <<= w2|r6 <<= r2}\nif r0 > {1|7} goto "
                             "out\n" INDEX("r6") "out:\n" RETURN0},
    {"CompareRegisters",
     NUMBER "r6 = {7|300}\nif r0 {>|>=} r6 goto out\n" INDEX("r0") "out:\n" RETURN0},
    {"LowHalf",
     "call {5|7}\n{w6 = w0|r6 = r0}\nif {r6|w6} > {7|100} goto out\nr1 = r10\nr1 += "
     "-{64|300}\nr1 += {r0|r6}\n*(u8 *)(r1 + 0) = 1\nout:\n" RETURN0},
    {"Decided",
     NUMBER "r6 = {0|3|900}\nif r0 > 5 goto +1\nr6 = 3\nr3 = 0\nif r6 > {5|2} goto +1\n"
            "goto out\nr1 = r10\nr1 += {900|1000}\nr1 -= {300|950}\n{r0 = 0|*(u8 *)(r1 + 0) = 1}\n"
            "out:\n" RETURN0},
    // The sum of two numbers and what each leaves for the other.
    {"SumOfTwo",
     "call {5|7}\nr8 = r0\ncall {5|7}\n{r8 &= {15|63}|r3 = 0}\n{r0 &= {15|63}|r3 = 0}\n{r6 = "
     "r8\nr6 "
     "+= r0|w6 = w8\nw6 += w0}\nif r6 > {8|60} goto out\nif r0 < {1|5|9} goto out\nr1 = "
     "r10\nr1 += -{16|48|60}\nr1 += {r6|r8}\n*(u8 *)(r1 + {0|4|8}) = 1\nout:\n" RETURN0},
    {"SumJoin",
     "call 7\nr8 = r0\ncall 7\nr7 = r0\nr7 &= 1\nr8 &= 63\nr0 &= 63\n" LONG
     "r6 = r8\nif r7 != 0 goto join\nr6 += r0\njoin:\nif r6 > {8|60} goto out\nif r0 < {1|5|9} "
     "goto out\nr1 = r10\nr1 += -{16|48|60}\nr1 += r8\n*(u8 *)(r1 + {0|4|8}) = 1\nout:\n" RETURN0},
    {"SumNeeds",
     "call 7\nr8 = r0\ncall 7\nr7 = r0\nr7 &= 1\nr8 &= 15\nr0 &= 15\n" LONG
     "if r7 != 0 goto join\nif r0 < {1|5|9} goto out\njoin:\nr7 = 0\nr6 = r8\nr6 += r0\nif r6 > "
     "{8|14} goto out\nr1 = r10\nr1 += -{6|16}\nr1 += r8\n*(u8 *)(r1 + {0|4}) = "
     "r0\nout:\n" RETURN0},
    // What a sum says of its parts, from an order of numbers, past a join, and in 32 bits.
    {"SumBound", NUMBERS
     "r6 = r8\nr6 += r9\nif r6 > {20..60} goto out\nif r9 {<|<=} {1..9} goto out\nr1 = r10\nr1 += "
     "-{12..64}\nr1 += r8\n*(u8 *)(r1 + 0) = 1\nout:\n" RETURN0},
    {"SumOrder", NUMBERS
     "call 7\nr0 &= 63\nr6 = r8\nr6 += r9\nif r6 > {20..40} goto out\nif r0 {>|>=} r9 goto "
     "out\nr1 = r10\nr1 += -{20..42}\nr1 += r8\nr1 += r0\n*(u8 *)(r1 + 0) = 1\nout:\n" RETURN0},
    {"SumSigned", NUMBERS
     "r9 += -{0|8|8}\nif r9 {>|s>|s>=} r8 goto in\ngoto out\nin:\nr1 = r10\nr1 += -{4..60}\nr1 += "
     "r8\n*(u8 *)(r1 + 0) = 1\nout:\n" RETURN0},
    {"SumHalves", NUMBERS
     "w6 = w8\nw6 {-=|+=} w9\nif r6 < {20..41} goto out\nr1 = r10\nr1 += -{12..60}\nr1 += {r8|r9}\n"
     "*(u8 *)(r1 + 0) = 1\nout:\n" RETURN0},
    {"SumLess", NUMBERS
     "r6 = r8\nr6 -= r9\nif r6 s> {10..40} goto out\nr1 = r10\nr1 += -{12..64}\nr1 += r8\n*(u8 "
     "*)(r1 + 0) = 1\nout:\n" RETURN0},
    {"SumPastJoin", NUMBERS LONG
     "r6 = r8\nr6 += r9\nif r7 != 0 goto join\nif r6 > {20..40} goto out\njoin:\nr7 = 0\nr1 = "
     "r10\nr1 += -{20..64}\nr1 += r8\nr1 += r9\n*(u8 *)(r1 + 0) = 1\nout:\n" RETURN0},
    {"SumJoinOfBounds", NUMBERS LONG
     "r6 = r8\nr6 += r9\nr0 = {20..40}\nif r7 != 0 goto join\nr0 = {20..90}\njoin:\nif r6 > r0 "
     "goto "
     "out\n" LONG "if r7 > 5 goto second\nr3 = 0\nsecond:\nr1 = r10\nr1 += -{20..64}\nr1 += r8\nr1 "
     "+= r9\n*(u8 *)(r1 + 0) = 1\nout:\n" RETURN0},
    {"SumLoop", NUMBERS
     "r6 = r8\nr6 += r9\nif r6 > {20..40} goto out\nr6 = 0\nl:\nif r6 >= r9 goto out\nr1 = "
     "r10\nr1 += -{20..42}\nr1 += r8\nr1 += r6\n*(u8 *)(r1 + 0) = 1\nr6 += {1|2}\n{r8 += 1|r3 = "
     "0|r3 = 0|r9 += -1}\ngoto l\nout:\n" RETURN0},
    // Relations that matter and that another path to the same state lacks: what a sum was made of,
    // what the state's own was shown with, a constant, a sign.
    {"SumMadeOnOneWay", NUMBERS LITTLE LONG
     "r6 = r8\nif r7 != 0 goto join\nr6 += r9\njoin:\nif r6 > {20..24} goto out\n" LONG
     "r7 = 0\nif r7 > 5 goto second\nr3 = 0\nsecond:\nr1 = r10\nr1 += -{21..30}\nr1 += r8\nr1 += "
     "r9\n*(u8 "
     "*)(r1 + 0) = 1\nout:\n" RETURN0},
    {"SumCovered",
     "call 7\nr2 = r0\nr2 &= 2\n*(u64 *)(r10 - 128) = r2\n" NUMBERS LITTLE LONG
     "r6 = r8\nr6 += r9\nif r7 != 0 goto first\nif r6 > {22|23} goto out\ngoto second\nfirst:\nr5 "
     "= "
     "*(u64 *)(r10 - 128)\nif r5 != 0 goto join\nif r6 > {21|22} goto out\njoin:\nr5 = 0\n" LONG
     "second:\nr7 = 0\nr5 = 0\nr6 = 0\nr1 = r10\nr1 += -{23..30}\nr1 += r8\nr1 += r9\n*(u8 *)(r1 + "
     "0) = 1\nout:\n" RETURN0},
    {"SumMoved", NUMBERS LONG
     "r6 = r8\nr6 += r9\nif r6 > {20..30} goto out\nr6 = 0\nif r7 != 0 goto add\njoin:\nr7 = 0\nr1 "
     "= r10\nr1 += -{21..32}\nr1 += r8\nr1 += r9\n*(u8 *)(r1 + 0) = 1\nout:\n" RETURN0
     "add:\nr8 += {2..6}\nif r8 > 15 goto out\ngoto join\n"},
    {"OrderWithSign", NUMBERS LONG
     "call 7\nr0 &= 63\nif r7 != 0 goto other\njoin:\nr7 = 0\nif r8 > r9 goto out\nif r9 s> r0 "
     "goto "
     "out\nif r0 > {8..30} goto out\nr1 = r10\nr1 += -{9..50}\nr1 += r8\n*(u8 *)(r1 + 0) = "
     "1\nout:\n" RETURN0 "other:\nr9 += -64\ngoto join\n"},
    {"OrderNotEqual", NUMBERS
     "r5 = r9\nr5 += 1\nif r8 > r5 goto out\nif r8 == r9 goto out\nif r9 > {6..12} goto out\nr1 = "
     "r10\nr1 += -{5..16}\nr1 += r8\n*(u8 *)(r1 + 0) = 1\nout:\n" RETURN0},
    {"SumOfSize",
     "r6 = r1\n" NUMBERS LITTLE
     "r5 = r8\nr5 += r9\nif r5 > 20 goto out\nif r9 == 0 goto out\nr1 = r6\nr2 = 0\nr3 = "
     "r10\nr3 += -{19|20|21}\nr3 += r8\nr4 = r9\ncall 189\nout:\n" RETURN0},
    {"PacketRange",
     PACKET "r2 = r6\nr2 += 2\nif r2 > r7 goto out\nr8 = *(u8 *)(r6 + 0)\nr8 &= 15\nr3 = *(u8 "
            "*)(r6 + 1)\nr3 &= {3|7}\nr4 = r6\nr4 += r8\nr4 += r3\nr4 += {0..3}\nif r4 > r7 goto "
            "out\n{r1 = r9|goto same}\nr2 = {4|8|60}\ncall 44\nr6 = *(u32 *)(r9 + 0)\nsame:\nr6 += "
            "r8\nr0 = *(u8 *)(r6 + {0..3})\nout:\n" RETURN0},
    // Three paths meet twice; the number matters only behind the second meeting.
    {"TwoJoins", NUMBER
     "r7 = r0\nr6 = r7\nr6 &= 7\nr8 = 0\nif r7 & 4 goto second\ngoto join\nsecond:\nr6 = "
     "3\nr8 = 1\nif r7 & 2 goto +1\ngoto join\nr6 = {100|5}\nr8 = 1\njoin:\nr1 = r10\nr1 += "
     "-16\nr1 += r8\n*(u8 *)(r1 + 0) = 1\n" LONG "if r7 & 1 goto +1\nr9 = 1\nr1 = r10\nr1 += "
     "-8\nr1 += r6\n*(u8 *)(r1 + 0) = 1\n" RETURN0},
    {"DeadEnds", NUMBER "r6 = {1000|5}\nif r0 {>|==} 5 goto join\nr6 = {3|7}\njoin:\nr8 = 0\n{r9 = "
                        "1|r9 = 2}\n" INDEX("r6") RETURN0},
    // Loops.
    {"Endless", "r6 = {0..3}\nl:\nr6 += {0|0|1|-1}\ncall 7\nif r0 != 12345 goto l\n" RETURN0},
    {"EndlessCondition",
     "r6 = 0\nl:\nr7 = r6\ncall 7\nif r0 & 1 goto +1\nr6 += {0|1}\nif r6 < "
     "{3|1000} goto l\n" RETURN0},
    // may_goto: on every way round or not, which of its ways goes on, and what it leaves behind.
    {"MayGoto",
     "r6 = 0\nl:\nmay_goto {out|l}\ncall 7\nif r0 {!=|==} 12345 goto l\nr6 = 1\ngoto "
     "l\nout:\n" INDEX("r6") RETURN0},
    {"MayGotoOnOneWay",
     "may_goto out\nl:\ncall 7\nif r0 {!=|==} 12345 goto {l|m}\nm:\n{may_goto out|r3 = "
     "0}\ngoto l\nout:\n" RETURN0},
    {"MayGotoBeforeAJoin",
     "l:\ncall 7\nif r0 == 12345 goto out\n" LONG
     "if r0 {&|>} 1 goto second\n{may_goto out|r3 = 0}\ngoto join\nsecond:\n{may_goto out|r3 = "
     "0}\njoin:\nr3 = 0\ngoto l\nout:\n" RETURN0},
    {"LoopSum",
     "r6 = 0\nr7 = 0\nl:\nif r6 >= {3|50|300} goto out\nr7 += {1|2}\nr6 += 1\ngoto "
     "l\nout:\nr1 = r10\nr1 += -{8|100|400}\nr1 += r7\n*(u8 *)(r1 + 0) = 1\n" RETURN0},
    // Steps that vary.
    {"LoopRecords",
     PACKET "l:\nr2 = r6\nr2 += 2\nif r2 > r7 goto out\nr3 = *(u8 *)(r6 + {0|1})\nr3 &= "
            "{1|7|255}\nr6 += {0|0|1|2}\nr6 += r3\ngoto l\nout:\n" RETURN0},
    {"LoopDistance",
     "r6 = {0|20}\nl:\ncall 7\nr0 &= 15\nr8 = r6\nr8 {+=|-=} r0\nr3 "
     "= 0\nr6 += 1\n"
     "if r8 s> 1000 goto out\nif r6 s< {3|100} goto l\nout:\n" RETURN0},
    {"LoopTwoSteps",
     PACKET "r2 = r6\nr2 += 8\nif r2 > r7 goto out\nr4 = *(u8 *)(r6 + 1)\nr8 = *(u8 *)(r6 + "
            "5)\nr8 &= 3\nr1 = *(u8 *)(r6 + 2)\nr1 &= 1\nr5 = *(u8 *)(r6 + 3)\nr5 &= 1\n"
            "l:\nif r4 > 250 goto out\n" LONG "if r1 == r5 goto second\nr2 = r8\nr2 += 1\nr4 += "
            "r2\ngoto join\nsecond:\nif r4 < 1 goto out\nr2 = r8\nr2 += {0|0|1}\nr4 += "
            "r2\njoin:\nr2 = 0\nr3 = 0\ngoto l\nout:\n" RETURN0},
    {"LoopPacket",
     PACKET "r8 = 0\nl:\nr2 = r6\nr2 += {1|2}\nif r2 > r7 goto out\nr3 = *(u8 *)(r6 + "
            "{0|1})\nr6 += {1|2}\nr8 += {0|1}\nif r8 < {10|100} goto l\nout:\n" RETURN0},
    // Functions and callbacks.
    {"CallerRegister",
     "r6 = {1000|5}\n" NUMBER "r8 = r0\nif r0 > 5 goto +1\nr6 = 3\nr1 = r8\ncall "
     "f\n" INDEX("r6") RETURN0 "f:\n" LONG "if r1 > 9 goto +1\nr2 = 1\nr3 = 0\nr0 = 0\nexit\n"},
    {"OwnStack", "*(u64 *)(r10 - 8) = 1\n{r1 = r10|r1 = 1}\ncall f\n" RETURN0
                 "f:\n{r0 = *(u64 *)(r10 - 8)|r0 = 1}\nexit\n"},
    {"CallerStack",
     "*(u64 *)(r10 - 8) = {1|3}\nr1 = r10\nr1 += -8\ncall f\nr6 = *(u64 *)(r10 - "
     "8)\n" INDEX("r6") RETURN0 "f:\n*({u8|u64} *)(r1 + 0) = {3|200}\nr0 = 0\nexit\n"},
    {"CallbackIndex",
     "*(u64 *)(r10 - 8) = 1\nr1 = {1..12}\nld_pseudo r2, 4, f\nr3 = r10\nr3 += -8\nr4 = 0\ncall "
     "181\n" RETURN0 "f:\nif r1 > {3|7|11} goto out\nr2 += r1\n*(u8 *)(r2 + {0|4}) = "
     "1\nout:\nr0 = {0|1}\nexit\n"},
    {"CallbackReleases",
     RESERVE "if r0 == 0 goto out\n*(u64 *)(r10 - 16) = r0\n*(u64 *)(r10 - 8) = 0\nr1 = "
             "{1..4}\nld_pseudo r2, 4, f\nr3 = r10\nr3 += -16\nr4 = 0\ncall 181\nr3 = *(u64 *)(r10 "
             "- 8)\nif r3 != 0 goto out\nr1 = *(u64 *)(r10 - 16)\nr2 = 0\ncall 132\nout:\n" RETURN0
             "f:\nr3 = *(u64 *)(r2 + 8)\nif r3 != 0 goto back\n{*(u64 *)(r2 + 8) = 1|goto "
             "back}\nr1 = *(u64 *)(r2 + 0)\nr2 = 0\ncall 132\nback:\nr0 = 0\nexit\n"},
    {"CallbackCounts",
     "*(u64 *)(r10 - 8) = 0\nr1 = {1..12}\nld_pseudo r2, 4, f\nr3 = r10\nr3 += -8\nr4 = 0\ncall "
     "181\nr6 = *(u64 *)(r10 - 8)\nif r6 > {7|300} goto out\n" INDEX(
         "r6") "out:\n" RETURN0
               "f:\nr3 = *(u64 *)(r2 + 0)\nr3 += {1|2}\n*(u64 *)(r2 + 0) = r3\nr0 = 0\nexit\n"},
};

class Filling {
  public:
    explicit Filling(u64 seed) : random_(seed * 0x9e3779b97f4a7c15 + 1) {}

    std::string fill(std::string_view text) {
        std::string out;
        while (!text.empty()) {
            if (text.front() != '{') {
                out += text.front();
                text.remove_prefix(1);
                continue;
            }
            std::size_t depth = 0, end = 0;
            do {
                depth += text[end] == '{';
                depth -= text[end] == '}';
                ++end;
            } while (depth != 0);
            out += choice(text.substr(1, end - 2));
            text.remove_prefix(end);
        }
        return out;
    }

  private:
    std::string choice(std::string_view all) {
        const std::size_t dots = all.find("..");
        if (dots != std::string_view::npos && all.find('|') == std::string_view::npos) {
            const u64 lo = number(all.substr(0, dots)), hi = number(all.substr(dots + 2));
            return std::to_string(lo + random_() % (hi - lo + 1));
        }
        std::vector<std::string_view> parts;
        std::size_t depth = 0, begin = 0;
        for (std::size_t i = 0; i <= all.size(); ++i) {
            if (i == all.size() || (all[i] == '|' && depth == 0)) {
                parts.push_back(all.substr(begin, i - begin));
                begin = i + 1;
            } else {
                depth += all[i] == '{';
                depth -= all[i] == '}';
            }
        }
        return fill(parts[random_() % parts.size()]);
    }
    static u64 number(std::string_view text) {
        u64 n = 0;
        std::from_chars(text.data(), text.data() + text.size(), n);
        return n;
    }

    std::mt19937_64 random_;
};

}  // namespace

std::size_t shape_count() {
    return std::size(kShapes);
}

const char* shape_name(std::size_t shape) {
    return kShapes[shape].name;
}

std::string shape_text(std::size_t shape, u64 seed) {
    return Filling(seed).fill(kShapes[shape].text);
}

ir::Program shape(std::size_t shape, u64 seed) {
    return make_program(shape_text(shape, seed));
}

}  // namespace ebpf::verifier::oracle
