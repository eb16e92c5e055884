// SPDX-License-Identifier: MIT
#include "oracles/scalar_oracle.hpp"

#include <array>
#include <random>
#include <vector>

#include "isa/semantics.hpp"
#include "operations.hpp"
#include "verifier/scalar_ranges.hpp"

namespace ebpf::verifier::oracle {

namespace {

// RFC 9669 at 8 bits, where isa/ has nothing: written from the document, not from semantics.hpp.
int eval8(AluOp op, int a, int b) {
    const int sa = static_cast<i8>(a), sb = static_cast<i8>(b);
    switch (op) {
        case AluOp::Add:
            return (a + b) & 0xff;
        case AluOp::Sub:
            return (a - b) & 0xff;
        case AluOp::Mul:
            return (a * b) & 0xff;
        case AluOp::Div:
            return b == 0 ? 0 : a / b;
        case AluOp::SDiv:
            return b == 0 ? 0 : (sa / sb) & 0xff;
        case AluOp::Mod:
            return b == 0 ? a : a % b;
        case AluOp::SMod:
            return b == 0 ? a : (sa % sb) & 0xff;
        case AluOp::Or:
            return a | b;
        case AluOp::And:
            return a & b;
        case AluOp::Xor:
            return a ^ b;
        case AluOp::Lsh:
            return (a << (b & 7)) & 0xff;
        case AluOp::Rsh:
            return a >> (b & 7);
        case AluOp::Arsh:
            return (sa >> (b & 7)) & 0xff;
        case AluOp::Mov:
            return b;
    }
    return 0;
}

std::string describe(const char* what, int op, const std::string& a, const std::string& b,
                     const std::string& r, u64 x, u64 y, u64 v) {
    return std::string(what) + " " + std::to_string(op) + ": " + std::to_string(x) + " of [" + a +
           "] and " + std::to_string(y) + " of [" + b + "] give " + std::to_string(v) +
           ", not in [" + r + "]";
}

}  // namespace

std::string ranges_at_8_bits(u32 stride, Count& count) {
    using R = Range<u8, i8>;
    const auto show = [](const R& r) {
        return std::to_string(r.lo) + ".." + std::to_string(r.hi) + " " + std::to_string(r.slo) +
               ".." + std::to_string(r.shi);
    };
    for (const AluOp op : kAluOps) {
        std::vector<std::array<u8, 256>> table(256);
        for (int a = 0; a < 256; ++a) {
            for (int b = 0; b < 256; ++b)
                table[static_cast<unsigned>(a)][static_cast<unsigned>(b)] =
                    static_cast<u8>(eval8(op, a, b));
        }
        for (const bool is_signed : {false, true}) {
            // Numbers in the order of the component.
            const auto nth = [&](int i) { return static_cast<u8>(is_signed ? i - 128 : i); };
            const auto make = [&](int lo, int hi) {
                R r;
                if (is_signed) {
                    r.slo = static_cast<i8>(lo - 128), r.shi = static_cast<i8>(hi - 128);
                } else {
                    r.lo = static_cast<u8>(lo), r.hi = static_cast<u8>(hi);
                }
                return r;
            };
            u32 turn = 0;
            for (int bl = 0; bl < 256; ++bl) {
                for (int bh = bl; bh < 256; ++bh) {
                    if (++turn % stride != 0 && bl != bh && bh != 255) continue;
                    // The results of each a with all of b, as least and greatest in both orders.
                    struct Least {
                        u8 lo = 255, hi = 0;
                        i8 slo = 127, shi = -128;
                        void add(u8 v) {
                            lo = std::min(lo, v), hi = std::max(hi, v);
                            slo = std::min(slo, static_cast<i8>(v));
                            shi = std::max(shi, static_cast<i8>(v));
                        }
                    };
                    std::array<Least, 256> row;
                    for (int a = 0; a < 256; ++a) {
                        for (int b = bl; b <= bh; ++b)
                            row[static_cast<unsigned>(a)].add(table[nth(a)][nth(b)]);
                    }
                    const R b = make(bl, bh);
                    for (int al = 0; al < 256; ++al) {
                        Least all;
                        for (int ah = al; ah < 256; ++ah) {
                            const Least& more = row[static_cast<unsigned>(ah)];
                            all.lo = std::min(all.lo, more.lo), all.hi = std::max(all.hi, more.hi);
                            all.slo = std::min(all.slo, more.slo);
                            all.shi = std::max(all.shi, more.shi);
                            const R a = make(al, ah);
                            const R r = RangeOps<u8, i8>::apply(op, a, b);
                            ++count.checks;
                            if (r.lo > all.lo || r.hi < all.hi || r.slo > all.slo ||
                                r.shi < all.shi) {
                                return "range operation " + std::to_string(int(op)) + ": [" +
                                       show(a) + "] and [" + show(b) + "] give [" + show(r) +
                                       "], but the results are " + std::to_string(all.lo) + ".." +
                                       std::to_string(all.hi) + " " + std::to_string(all.slo) +
                                       ".." + std::to_string(all.shi);
                            }
                        }
                    }
                }
            }
        }
    }
    return "";
}

std::string bits_at_8_bits(u32 stride, Count& count) {
    for (const int width : {5, 8}) {
        std::vector<Tnum> all;
        for (u64 mask = 0; mask < u64{1} << width; ++mask) {
            for (u64 value = 0; value < u64{1} << width; ++value) {
                if ((value & mask) == 0) all.push_back({value, mask});
            }
        }
        std::size_t turn = 0;
        for (const Tnum& a : all) {
            for (const Tnum& b : all) {
                if (width == 8 && ++turn % stride != 0) continue;
                const Tnum r[] = {a + b, a - b, a * b, a & b, a | b, a ^ b, a.join(b)};
                for (u64 x = a.mask;; x = (x - 1) & a.mask) {
                    for (u64 y = b.mask;; y = (y - 1) & b.mask) {
                        const u64 p = a.value | x, q = b.value | y;
                        const u64 v[] = {p + q, p - q, p * q, p & q, p | q, p ^ q, p};
                        for (int i = 0; i < 7; ++i) {
                            ++count.checks;
                            if (!r[i].contains(v[i])) {
                                return describe("bits operation", i, std::to_string(a.value),
                                                std::to_string(b.value), std::to_string(r[i].value),
                                                p, q, v[i]);
                            }
                        }
                        if (y == 0) break;
                    }
                    if (x == 0) break;
                }
            }
        }
        // The constructors and shifts.
        for (u64 lo = 0; lo < 256; ++lo) {
            for (u64 hi = lo; hi < 256; ++hi) {
                const Tnum t = Tnum::of_range(lo, hi);
                for (u64 v = lo; v <= hi; ++v) {
                    if (!t.contains(v)) return "of_range loses " + std::to_string(v);
                }
            }
        }
        for (const Tnum& a : all) {
            for (int n = 0; n < 64; ++n) {
                for (u64 x = a.mask;; x = (x - 1) & a.mask) {
                    const u64 v = (a.value | x) << 56 >> (64 - 8 - 8 * (n % 7));
                    const Tnum t{a.value << 56 >> (64 - 8 - 8 * (n % 7)),
                                 a.mask << 56 >> (64 - 8 - 8 * (n % 7))};
                    ++count.checks;
                    if (!(t << n).contains(v << n) || !(t >> n).contains(v >> n) ||
                        !arithmetic_shift(t, n, 64).contains(
                            static_cast<u64>(static_cast<i64>(v) >> n)))
                        return "a shift of bits loses " + std::to_string(v);
                    if (x == 0) break;
                }
            }
        }
    }
    return "";
}

namespace {

struct Element {
    Scalar abstract;
    std::vector<u64> members;
};

// What comparing and computing makes of one pair.
std::string check_pair(const Element& a, const Element& b, Count& count) {
    for (const Width width : kWidths) {
        for (const AluOp op : kAluOps) {
            const Scalar r = alu(op, width, a.abstract, b.abstract);
            for (const u64 x : a.members) {
                for (const u64 y : b.members) {
                    const u64 v = isa::eval_alu(op, width, x, y);
                    ++count.checks;
                    if (!r.contains(v)) {
                        return describe(isa::bits(width) == 32 ? "alu32" : "alu64", int(op),
                                        to_string(a.abstract), to_string(b.abstract), to_string(r),
                                        x, y, v);
                    }
                }
            }
        }
        for (const Cond cond : kConds) {
            for (const bool outcome : {false, true}) {
                Scalar p = a.abstract, q = b.abstract;
                const bool possible = refine(cond, width, outcome, p, q);
                for (const u64 x : a.members) {
                    for (const u64 y : b.members) {
                        if (isa::eval_cond(cond, width, x, y) != outcome) continue;
                        ++count.checks;
                        if (!possible || !p.contains(x) || !q.contains(y)) {
                            return describe(outcome ? "comparison" : "comparison not", int(cond),
                                            to_string(a.abstract), to_string(b.abstract),
                                            possible ? to_string(p) + "; " + to_string(q)
                                                     : std::string("nothing"),
                                            x, y, 1);
                        }
                    }
                }
            }
        }
    }
    return "";
}

std::string check_one(const Element& a, Count& count) {
    for (const u64 x : a.members) {
        ++count.checks;
        if (!a.abstract.contains(x)) return "an element lost its member " + std::to_string(x);
        for (const Width width : kWidths) {
            if (!negate(width, a.abstract).contains(isa::eval_neg(width, x)))
                return "negation loses " + std::to_string(x);
            for (const u8 from : {u8{8}, u8{16}, u8{32}}) {
                if (from == 32 && width == Width::W32) continue;
                if (!sign_extend(width, from, a.abstract).contains(isa::eval_movsx(width, from, x)))
                    return "sign extension loses " + std::to_string(x);
            }
        }
        for (const Width width : {Width::W16, Width::W32, Width::W64}) {
            for (const auto op : {isa::EndianOp::ToLe, isa::EndianOp::ToBe, isa::EndianOp::Swap}) {
                if (!endian(op, width, a.abstract).contains(isa::eval_endian(op, width, x)))
                    return "a byte swap loses " + std::to_string(x);
            }
        }
        for (const int size : {1, 2, 4, 8}) {
            if (!truncate(a.abstract, size)
                     .contains(size == 8 ? x : x & ((u64{1} << (8 * size)) - 1)))
                return "truncation loses " + std::to_string(x);
        }
    }
    return "";
}

// All elements over 16 numbers from `base` on: every range cut with every pattern of the low 4
// bits, made both as the meet of its components and as the join of its members.
std::vector<Element> elements(u64 base) {
    std::vector<Element> out;
    std::vector<u32> seen;
    for (u64 lo = 0; lo < 16; ++lo) {
        for (u64 hi = lo; hi < 16; ++hi) {
            for (u64 mask = 0; mask < 16; ++mask) {
                for (u64 value = 0; value < 16; ++value) {
                    if (value & mask) continue;
                    Element e;
                    u32 set = 0;
                    for (u64 v = lo; v <= hi; ++v) {
                        if (((base + v) ^ value) & 15 & ~mask) continue;
                        e.members.push_back(base + v);
                        set |= u32{1} << v;
                    }
                    if (set == 0) continue;
                    if (std::ranges::find(seen, set) != seen.end()) continue;
                    seen.push_back(set);
                    e.abstract = Scalar::constant(e.members[0]);
                    for (const u64 v : e.members) e.abstract = e.abstract.join(Scalar::constant(v));
                    Scalar bits = Scalar::unknown();
                    bits.bits = Tnum{value, mask | ~u64{15}};
                    const u64 first = base + lo, last = base + hi;
                    Element met = e;
                    met.abstract = first <= last ? Scalar::of_range(first, last)
                                                 : Scalar::of_signed_range(static_cast<i64>(first),
                                                                           static_cast<i64>(last));
                    met.abstract = met.abstract.intersect(bits);
                    const bool differs = !(met.abstract == e.abstract);
                    out.push_back(std::move(e));
                    if (differs) out.push_back(std::move(met));
                }
            }
        }
    }
    return out;
}

}  // namespace

std::string product_at_4_bits(Count& count) {
    const u64 bases[] = {0, ~u64{7}, (u64{1} << 31) - 8, (u64{1} << 32) - 8, (u64{1} << 63) - 8,
                         // as 64-bit numbers whose low halves are negative
                         0xffffffff7ffffff8};
    const std::vector<Element> small = elements(0);
    for (const u64 base : bases) {
        const std::vector<Element> all = elements(base);
        for (const Element& a : all) {
            if (std::string found = check_one(a, count); !found.empty()) return found;
        }
        // Elsewhere than at 0 every pair with a coarser choice of the second, and with small ones.
        const std::size_t step = base == 0 ? 1 : 17;
        for (std::size_t i = 0; i < all.size(); ++i) {
            for (std::size_t j = i % step; j < all.size(); j += step) {
                if (std::string found = check_pair(all[i], all[j], count); !found.empty())
                    return found;
            }
            if (base == 0) continue;
            for (std::size_t j = i % 29; j < small.size(); j += 29) {
                std::string found = check_pair(all[i], small[j], count);
                if (found.empty()) found = check_pair(small[j], all[i], count);
                if (!found.empty()) return found;
            }
        }
    }
    return "";
}

std::string product_sampled(u64 seed, u32 rounds, Count& count) {
    std::mt19937_64 random(seed);
    const auto interesting = [&]() -> u64 {
        switch (random() % 4) {
            case 0:
                return random();
            case 1:
                return random() % 64;
            case 2:
                return random() % 32 - 16;
            default: {
                const u64 power = u64{1} << (random() % 64);
                return power + random() % 5 - 2;
            }
        }
    };
    const auto element = [&] {
        Element e;
        const u64 base = interesting();
        const int shift = static_cast<int>(random() % 60);
        const int n = 1 + static_cast<int>(random() % 5);
        for (int i = 0; i < n; ++i) {
            e.members.push_back(random() % 3 == 0
                                    ? interesting()
                                    : base + (random() % 16 << (random() % 2 ? shift : 0)));
        }
        e.abstract = Scalar::constant(e.members[0]);
        for (const u64 v : e.members) e.abstract = e.abstract.join(Scalar::constant(v));
        if (random() % 2) {
            // A wider element, whose components say less but not the same.
            const u64 v = interesting();
            if (random() % 2) e.abstract.r64 = {};
            if (random() % 2) e.abstract.bits = Tnum::unknown();
            if (random() % 2) e.abstract.r32 = {};
            e.abstract = e.abstract.join(Scalar::constant(v));
        }
        return e;
    };
    for (u32 i = 0; i < rounds; ++i) {
        const Element a = element(), b = element();
        std::string found = check_one(a, count);
        if (found.empty()) found = check_pair(a, b, count);
        if (!found.empty()) return found;
    }
    return "";
}

}  // namespace ebpf::verifier::oracle
