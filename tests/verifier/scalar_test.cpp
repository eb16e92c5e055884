// SPDX-License-Identifier: MIT
//
// The number domain against the concrete semantics: whatever two members of two abstract values
// compute lies in the abstract result, and a refinement loses no pair for which the comparison has
// that outcome. Abstract values are the best description of random small sets, so that every
// component is exercised at its borders.
#include "verifier/scalar.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "isa/semantics.hpp"
#include "operations.hpp"

namespace ebpf::verifier {
namespace {

struct Sample {
    std::vector<u64> members;
    Scalar abstract;
};

u64 interesting(std::mt19937_64& random) {
    static constexpr u64 kBases[] = {0,
                                     1,
                                     2,
                                     7,
                                     31,
                                     32,
                                     63,
                                     64,
                                     0x7f,
                                     0x80,
                                     0xff,
                                     0xffff,
                                     0x7fffffff,
                                     0x80000000,
                                     0xffffffff,
                                     0x100000000,
                                     0x7fffffffffffffff,
                                     0x8000000000000000,
                                     ~u64{0}};
    switch (random() % 4) {
        case 0:
            return random();
        case 1:
            return random() % 64;
        case 2:
            return static_cast<u64>(static_cast<i64>(random() % 32) - 16);
        default:
            return kBases[random() % std::size(kBases)] + random() % 5 - 2;
    }
}

Sample sample(std::mt19937_64& random) {
    Sample s;
    const u64 base = interesting(random);
    const int shift = static_cast<int>(random() % 60);
    const int count = 1 + static_cast<int>(random() % 5);
    for (int i = 0; i < count; ++i) {
        const u64 v = random() % 3 == 0 ? interesting(random)
                                        : base + (random() % 16 << (random() % 2 ? shift : 0));
        s.members.push_back(v);
    }
    s.abstract = Scalar::constant(s.members[0]);
    for (const u64 v : s.members) s.abstract = s.abstract.join(Scalar::constant(v));
    return s;
}

TEST(Scalar, JoinContainsItsMembers) {
    std::mt19937_64 random(1);
    for (int i = 0; i < 100'000; ++i) {
        const Sample s = sample(random);
        for (const u64 v : s.members) ASSERT_TRUE(s.abstract.contains(v)) << v;
        ASSERT_FALSE(s.abstract.empty());
    }
}

TEST(Scalar, ArithmeticContainsConcreteResults) {
    std::mt19937_64 random(2);
    for (int i = 0; i < 60'000; ++i) {
        const Sample a = sample(random), b = sample(random);
        for (const AluOp op : kAluOps) {
            for (const Width width : kWidths) {
                const Scalar r = alu(op, width, a.abstract, b.abstract);
                for (const u64 x : a.members) {
                    for (const u64 y : b.members) {
                        const u64 v = isa::eval_alu(op, width, x, y);
                        ASSERT_TRUE(r.contains(v))
                            << "op " << int(op) << " width " << isa::bits(width) << " " << x << ", "
                            << y << " = " << v << " not in " << to_string(r);
                    }
                }
            }
        }
    }
}

TEST(Scalar, UnaryContainsConcreteResults) {
    std::mt19937_64 random(3);
    for (int i = 0; i < 20'000; ++i) {
        const Sample a = sample(random);
        for (const u64 x : a.members) {
            for (const Width width : kWidths) {
                ASSERT_TRUE(negate(width, a.abstract).contains(isa::eval_neg(width, x)));
                for (const u8 from : {u8{8}, u8{16}, u8{32}}) {
                    if (from == 32 && width == Width::W32) continue;
                    ASSERT_TRUE(sign_extend(width, from, a.abstract)
                                    .contains(isa::eval_movsx(width, from, x)))
                        << int(from) << " " << x;
                }
            }
            for (const Width width : {Width::W16, Width::W32, Width::W64}) {
                for (const auto op :
                     {isa::EndianOp::ToLe, isa::EndianOp::ToBe, isa::EndianOp::Swap}) {
                    ASSERT_TRUE(
                        endian(op, width, a.abstract).contains(isa::eval_endian(op, width, x)));
                }
            }
            for (const int size : {1, 2, 4, 8}) {
                const u64 v = size == 8 ? x : x & ((u64{1} << (8 * size)) - 1);
                ASSERT_TRUE(truncate(a.abstract, size).contains(v));
                ASSERT_TRUE(Scalar::of_size(size).contains(v));
            }
        }
    }
}

TEST(Scalar, RefinementKeepsEveryPairWithThatOutcome) {
    std::mt19937_64 random(4);
    for (int i = 0; i < 30'000; ++i) {
        const Sample a = sample(random), b = sample(random);
        for (const Cond cond : kConds) {
            for (const Width width : kWidths) {
                for (const bool outcome : {false, true}) {
                    Scalar ra = a.abstract, rb = b.abstract;
                    const bool possible = refine(cond, width, outcome, ra, rb);
                    for (const u64 x : a.members) {
                        for (const u64 y : b.members) {
                            if (isa::eval_cond(cond, width, x, y) != outcome) continue;
                            ASSERT_TRUE(possible && ra.contains(x) && rb.contains(y))
                                << "cond " << int(cond) << " width " << isa::bits(width) << " "
                                << outcome << " " << x << ", " << y;
                        }
                    }
                }
            }
        }
    }
}

TEST(Scalar, IntersectKeepsCommonMembers) {
    std::mt19937_64 random(5);
    for (int i = 0; i < 100'000; ++i) {
        const Sample a = sample(random), b = sample(random);
        const Scalar r = a.abstract.intersect(b.abstract);
        for (const u64 v : a.members) {
            ASSERT_TRUE(!b.abstract.contains(v) || r.contains(v));
        }
        ASSERT_TRUE(a.abstract.join(b.abstract).contains(a.abstract));
    }
}

// All pairs of known-bit values of 4 bits, against every member.
TEST(Tnum, ExhaustiveAtFourBits) {
    std::vector<Tnum> all;
    for (u64 mask = 0; mask < 16; ++mask) {
        for (u64 value = 0; value < 16; ++value) {
            if ((mask & value) == 0) all.push_back({value, mask});
        }
    }
    for (const Tnum a : all) {
        for (const Tnum b : all) {
            for (u64 x = 0; x < 16; ++x) {
                if (!a.contains(x)) continue;
                for (u64 y = 0; y < 16; ++y) {
                    if (!b.contains(y)) continue;
                    ASSERT_TRUE((a + b).contains(x + y));
                    ASSERT_TRUE((a - b).contains(x - y));
                    ASSERT_TRUE((a * b).contains(x * y));
                    ASSERT_TRUE((a & b).contains(x & y));
                    ASSERT_TRUE((a | b).contains(x | y));
                    ASSERT_TRUE((a ^ b).contains(x ^ y));
                    ASSERT_TRUE(a.join(b).contains(x) && a.join(b).contains(y));
                }
            }
        }
    }
}

// All pairs of ranges of numbers -8..7, which straddle the sign's and the width's border.
TEST(Scalar, ExhaustiveSmallRanges) {
    for (int alo = -8; alo < 8; ++alo) {
        for (int ahi = alo; ahi < 8; ++ahi) {
            const Scalar a = Scalar::of_signed_range(alo, ahi);
            for (int blo = -8; blo < 8; ++blo) {
                for (int bhi = blo; bhi < 8; ++bhi) {
                    const Scalar b = Scalar::of_signed_range(blo, bhi);
                    for (const Width width : kWidths) {
                        for (const AluOp op : kAluOps) {
                            const Scalar r = alu(op, width, a, b);
                            for (int x = alo; x <= ahi; ++x) {
                                for (int y = blo; y <= bhi; ++y) {
                                    ASSERT_TRUE(r.contains(
                                        isa::eval_alu(op, width, u64(i64(x)), u64(i64(y)))))
                                        << int(op) << " " << isa::bits(width) << ": " << x << ", "
                                        << y;
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

// Precision that programs rely on.
TEST(Scalar, Precision) {
    const Scalar any = Scalar::unknown();
    EXPECT_EQ(alu(AluOp::And, Width::W64, any, Scalar::constant(63)).umax(), 63u);
    Scalar a = any, b = Scalar::constant(10);
    ASSERT_TRUE(refine(Cond::Lt, Width::W32, true, a, b));
    EXPECT_EQ(a.umax(), ~u64{0} - 0xffffffff + 9);  // only the low half is known
    EXPECT_EQ(a.low32().umax(), 9u);
    a = Scalar::of_size(4);
    ASSERT_TRUE(refine(Cond::Lt, Width::W32, true, a, b));
    EXPECT_EQ(a.umax(), 9u);
    a = any;
    ASSERT_TRUE(refine(Cond::SGt, Width::W64, true, a, b));
    EXPECT_EQ(a.umin(), 11u);
    a = Scalar::of_range(0, 15);
    b = Scalar::constant(20);
    EXPECT_FALSE(refine(Cond::Eq, Width::W64, true, a, b));
    const Scalar ihl = alu(AluOp::Lsh, Width::W64, Scalar::of_range(0, 15), Scalar::constant(2));
    EXPECT_EQ(ihl.umax(), 60u);
    EXPECT_EQ(to_string(ihl), "0..60, a multiple of 4");
}

}  // namespace
}  // namespace ebpf::verifier
