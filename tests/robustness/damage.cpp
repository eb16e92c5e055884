// SPDX-License-Identifier: MIT
//
// Kinds of damage. Random bytes alone are refused by the first check that they meet, so most kinds
// are aimed: at one section, so that the parser of that section sees it; at one field of one
// instruction, so that the object stays readable and the verifier gets a program that no compiler
// would write; at sizes and offsets, with the values at which arithmetic goes wrong.
#include "damage.hpp"

#include <algorithm>
#include <cstring>
#include <random>

#include "elf/elf.hpp"

namespace robustness {
namespace {

using namespace ebpf;

class Damager {
  public:
    Damager(const std::vector<std::byte>& sound, u64 number) : out_{sound, {}}, random_(number) {
        find_sections();
    }

    Damaged run() {
        using Kind = void (Damager::*)();
        static constexpr Kind kKinds[] = {&Damager::flip_bits,
                                          &Damager::flip_in_section,
                                          &Damager::change_instruction,
                                          &Damager::change_instruction,
                                          &Damager::awkward_word,
                                          &Damager::awkward_in_section,
                                          &Damager::cut_off,
                                          &Damager::copy_block,
                                          &Damager::zero_block,
                                          &Damager::swap_instructions};
        (this->*kKinds[below(std::size(kKinds))])();
        return std::move(out_);
    }

  private:
    struct Area {
        u64 offset;
        u64 size;
        bool code;
    };

    void find_sections() {
        const Result<elf::File> file = elf::File::open(out_.bytes);
        if (!file) return;
        for (u32 i = 0; i < file->section_count(); ++i) {
            const Result<elf::Section> section = file->section(i);
            if (section && !section->bytes.empty())
                areas_.push_back({section->offset, section->bytes.size(), section->is_code()});
        }
    }

    u64 below(u64 n) { return n == 0 ? 0 : random_() % n; }
    std::byte& at(u64 offset) { return out_.bytes[offset]; }
    u64 size() const { return out_.bytes.size(); }
    void say(std::string text) { out_.what = std::move(text); }

    // A section by chance; the whole file when it has none.
    Area area(bool code) {
        std::vector<Area> fitting;
        for (const Area& a : areas_) {
            if (!code || (a.code && a.size >= 8)) fitting.push_back(a);
        }
        return fitting.empty() ? Area{0, size(), false} : fitting[below(fitting.size())];
    }

    void flip_in(Area a) {
        const u64 count = 1 + below(4);
        for (u64 n = 0; n < count; ++n)
            at(a.offset + below(a.size)) ^= static_cast<std::byte>(1U << below(8));
        say("flip bits in " + std::to_string(a.offset));
    }
    void flip_bits() { flip_in({0, size(), false}); }
    void flip_in_section() { flip_in(area(false)); }

    void put_awkward(Area a) {
        static constexpr u64 kValues[] = {0,          1,          7,           8,
                                          0x7f,       0x80,       0xff,        0x7fff,
                                          0xffff,     0x7fffffff, 0x80000000,  0xffffffff,
                                          0xfffffff8, ~u64{0},    ~u64{0} - 7, u64{1} << 63};
        const u64 width = u64{1} << below(4);
        if (a.size < width) return;
        const u64 offset = a.offset + below((a.size - width) / width + 1) * width;
        const u64 value = kValues[below(std::size(kValues))];
        std::memcpy(&at(offset), &value, width);
        say("value " + std::to_string(value) + " at " + std::to_string(offset));
    }
    void awkward_word() { put_awkward({0, size(), false}); }
    void awkward_in_section() { put_awkward(area(false)); }

    void change_instruction() {
        const Area a = area(true);
        if (a.size < 8) return;
        const u64 slot = a.offset + below(a.size / 8) * 8;
        switch (below(5)) {
            case 0:
                at(slot) = static_cast<std::byte>(below(256));
                break;
            case 1:
                at(slot + 1) = static_cast<std::byte>(below(11) | below(11) << 4);
                break;
            case 2: {
                const i16 off = static_cast<i16>(static_cast<i64>(below(64)) - 32);
                std::memcpy(&at(slot + 2), &off, sizeof off);
                break;
            }
            case 3: {
                const i32 imm = static_cast<i32>(below(220)) - 4;
                std::memcpy(&at(slot + 4), &imm, sizeof imm);
                break;
            }
            default: {
                const u32 imm = static_cast<u32>(random_());
                std::memcpy(&at(slot + 4), &imm, sizeof imm);
            }
        }
        say("instruction at " + std::to_string(slot));
    }

    void swap_instructions() {
        const Area a = area(true);
        if (a.size < 16) return;
        const u64 one = a.offset + below(a.size / 8) * 8;
        const u64 other = a.offset + below(a.size / 8) * 8;
        std::byte kept[8];
        std::memcpy(kept, &at(one), 8);
        std::memmove(&at(one), &at(other), 8);
        std::memcpy(&at(other), kept, 8);
        say("swap instructions");
    }

    void cut_off() {
        out_.bytes.resize(below(size()));
        say("cut to " + std::to_string(size()));
    }
    void copy_block() {
        if (size() < 2) return;
        const u64 length = 1 + below(std::min<u64>(64, size() / 2));
        std::memmove(&at(below(size() - length + 1)), &at(below(size() - length + 1)), length);
        say("copy a block");
    }
    void zero_block() {
        const Area a = area(false);
        const u64 length = 1 + below(std::min<u64>(64, a.size));
        std::memset(&at(a.offset + below(a.size - length + 1)), 0, length);
        say("zero a block");
    }

    Damaged out_;
    std::mt19937_64 random_;
    std::vector<Area> areas_;
};

}  // namespace

Damaged damage(const std::vector<std::byte>& sound, std::uint64_t number) {
    return Damager(sound, number).run();
}

}  // namespace robustness
