// SPDX-License-Identifier: MIT
//
// The rows of helpers.def beside Linux's verifier, as root: for every helper of Linux, program type
// and licence a small program with a call that our prototype allows, then the same with one
// argument wrong in turn, and with every type of map. What we accept and Linux does not must be a
// difference that is named here; what Linux alone accepts is counted and printed.
//
// CASEMENT_VERBOSE=1 prints each disagreement.
#include <cstdlib>
#include <map>
#include <regex>

#include "fixture.hpp"
#include "oracles/kernel.hpp"
#include "spec/helpers.hpp"
#include "spec/map_types.hpp"

namespace ebpf::verifier::oracle {
namespace {

using spec::ArgKind;
using spec::Dialect;
using spec::Helper;
using spec::MapType;
using spec::ProgramType;

// Program types that the kernel loads without anything to attach to, and what they are said to be
// for where it must be known.
struct Loadable {
    ProgramType type;
    u32 attach = 0;  // enum bpf_attach_type
};
constexpr Loadable kTypes[] = {
    {ProgramType::Xdp},
    {ProgramType::SchedCls},
    {ProgramType::SocketFilter},
    {ProgramType::Kprobe},
    {ProgramType::Tracepoint},
    {ProgramType::PerfEvent},
    {ProgramType::RawTracepoint},
    {ProgramType::CgroupSkb},
    {ProgramType::CgroupSock, 2},
    {ProgramType::CgroupSockAddr, 10},
    {ProgramType::CgroupDevice, 6},
    {ProgramType::CgroupSysctl, 18},
    {ProgramType::CgroupSockopt, 21},
    {ProgramType::SockOps},
    {ProgramType::SkSkb},
    {ProgramType::SkMsg},
    {ProgramType::SkReuseport},
    {ProgramType::SkLookup, 36},
    {ProgramType::FlowDissector},
    {ProgramType::LwtIn},
    {ProgramType::LwtXmit},
};

// What Linux alone refuses, and why that is no defect of ours.
struct Difference {
    const char* pattern;  // in "helper: what is wrong with the call: Linux's last line"
    const char* why;
};
constexpr Difference kDifferences[] = {
    {"^bpf_(probe_write_user|override_return):.*cannot use helper", "that kernel's configuration"},
    {"^bpf_copy_from_user:.*might sleep", "here it does not sleep"},
    {"^bpf_tail_call:.*Invalid argument", "a program array is for the first program's type"},
};

constexpr int kRodata = 0, kRing = 1;

std::vector<ir::MapDef> all_maps() {
    const auto make = [](MapType type, u32 key, u32 value, u32 entries, u32 flags = 0) {
        ir::MapDef m = make_map(spec::info(type).name, type, key, value, entries);
        m.flags = flags;
        return m;
    };
    std::vector<ir::MapDef> maps = {
        make(MapType::Array, 4, 16, 1),
        make(MapType::Ringbuf, 0, 0, 4096),
        make(MapType::Hash, 4, 8, 4),
        make(MapType::Array, 4, 8, 4),
        make(MapType::ProgArray, 4, 4, 4),
        make(MapType::PerfEventArray, 4, 4, 4),
        make(MapType::PercpuHash, 4, 8, 4),
        make(MapType::PercpuArray, 4, 8, 4),
        make(MapType::StackTrace, 4, 8, 4),
        make(MapType::CgroupArray, 4, 4, 4),
        make(MapType::LruHash, 4, 8, 4),
        make(MapType::LruPercpuHash, 4, 8, 4),
        make(MapType::LpmTrie, 8, 8, 4, spec::kMapNoPrealloc),
        make(MapType::Devmap, 4, 4, 4),
        make(MapType::DevmapHash, 4, 4, 4),
        make(MapType::Cpumap, 4, 4, 4),
        make(MapType::Xskmap, 4, 4, 4),
        make(MapType::Sockmap, 4, 4, 4),
        make(MapType::Sockhash, 4, 4, 4),
        make(MapType::ReuseportSockarray, 4, 4, 4),
        make(MapType::Queue, 0, 8, 4),
        make(MapType::Stack, 0, 8, 4),
        make(MapType::BloomFilter, 0, 8, 4),
        make(MapType::UserRingbuf, 0, 0, 4096),
        make(MapType::ArrayOfMaps, 4, 4, 4),
        make(MapType::HashOfMaps, 4, 4, 4),
    };
    maps[kRodata].name = ".rodata";
    maps[kRodata].is_data_section = maps[kRodata].read_only = maps[kRodata].frozen = true;
    maps[kRodata].initial.resize(16, std::byte{'t'});
    maps[kRodata].initial.back() = std::byte{0};
    maps[maps.size() - 2].inner = maps[maps.size() - 1].inner = 3;
    return maps;
}

// What one argument can be. Valid: as the prototype wants it.
enum class Given {
    Valid,
    Unset,
    Zero,
    One,
    Unknown,
    Context,
    Stack,
    Unwritten,
    MapItself,
    Value,
    Huge
};
constexpr Given kWrong[] = {Given::Unset,   Given::Zero,  Given::One,       Given::Unknown,
                            Given::Context, Given::Stack, Given::Unwritten, Given::MapItself,
                            Given::Value,   Given::Huge};
constexpr const char* kGivenNames[] = {"valid",   "unset",           "0",     "1",
                                       "unknown", "context",         "stack", "unwritten",
                                       "the map", "read-only value", "huge"};

bool can_make(const spec::HelperProto& proto) {
    for (const ArgKind kind : proto.args) {
        switch (kind) {
            case ArgKind::Callback:
            case ArgKind::SpinLock:
            case ArgKind::Timer:
            case ArgKind::KptrField:
            case ArgKind::DynptrUninit:
            case ArgKind::Dynptr:
            case ArgKind::SocketCommon:
            case ArgKind::Socket:
            case ArgKind::BtfId:
            case ArgKind::PercpuBtfId:
            case ArgKind::Unsupported:
                return false;
            default:
                break;
        }
    }
    return true;
}

// "rN = ..." for an argument.
std::string argument(int n, ArgKind kind, Given given, int map) {
    const std::string r = "r" + std::to_string(n + 1);
    const std::string written = r + " = r10\n" + r + " += -64\n";
    const auto load_map = [&](int index) {
        return "ld_pseudo " + r + ", 5, " + std::to_string(index) + "\n";
    };
    const std::string rodata = "ld_pseudo " + r + ", 6, " + std::to_string(kRodata) + "\n";
    switch (given) {
        case Given::Unset:
            return "";
        case Given::Zero:
            return r + " = 0\n";
        case Given::One:
            return r + " = 1\n";
        case Given::Unknown:
            return r + " = r7\n";
        case Given::Context:
            return r + " = r6\n";
        case Given::Stack:
            return written;
        case Given::Unwritten:
            return r + " = r10\n" + r + " += -256\n";
        case Given::MapItself:
            return load_map(map);
        case Given::Value:
            return rodata;
        case Given::Huge:
            return r + " = 1048576\n";
        case Given::Valid:
            break;
    }
    switch (kind) {
        case ArgKind::Anything:
        case ArgKind::Scalar:
            return r + " = 0\n";
        case ArgKind::Context:
        case ArgKind::ContextOrNull:
            return r + " = r6\n";
        case ArgKind::Map:
        case ArgKind::MapOfPrograms:
            return load_map(map);
        case ArgKind::ConstSize:
        case ArgKind::ConstSizeOrZero:
        case ArgKind::ConstAllocSize:
            return r + " = 8\n";
        case ArgKind::AllocMem:
            return r + " = r8\n";
        case ArgKind::ConstString:
        case ArgKind::ConstFormat:
            return rodata;
        default:
            return written;
    }
}

std::string call_text(const spec::HelperProto& proto, int map, int wrong, Given given) {
    std::string text = "r6 = r1\ncall 7\nr7 = r0\nr8 = 0\n";
    for (int at = 8; at <= 64; at += 8) text += "*(u64 *)(r10 - " + std::to_string(at) + ") = r8\n";
    if (proto.args[0] == ArgKind::AllocMem) {
        text += "ld_pseudo r1, 5, " + std::to_string(kRing) +
                "\nr2 = 8\nr3 = 0\ncall 131\nif r0 == 0 goto out\nr8 = r0\n";
    }
    for (int n = 0; n < proto.arg_count(); ++n) {
        text += argument(n, proto.args[n], n == wrong ? given : Given::Valid, map);
    }
    text += "call " + std::to_string(proto.number) + "\n";
    if (proto.flags.acquires) {
        const bool ring = proto.ret == spec::RetKind::AllocMemOrNull;
        text +=
            "if r0 == 0 goto out\nr1 = r0\nr2 = 0\ncall " + std::string(ring ? "133" : "86") + "\n";
    }
    return text + "out:\nr0 = 0\nexit\n";
}

class KernelHelpers : public testing::Test {
  protected:
    void SetUp() override {
        if (!kernel_.there()) GTEST_SKIP() << "bpf(2) is not permitted: " << std::strerror(errno);
    }

    // The first map of the allowed types that the kernel has, -1 without one.
    int valid_map(const spec::HelperProto& proto) const {
        for (std::size_t i = 0; i < maps_.size(); ++i) {
            const bool usable = i != kRodata && kernel_.has_map(i);
            if (usable && proto.allows(maps_[i].type)) return static_cast<int>(i);
        }
        return -1;
    }

    bool takes_map(const spec::HelperProto& proto) const {
        return proto.map_types != 0 || proto.map_types_high != 0;
    }

    void ask(const Loadable& as, const spec::HelperProto& proto, const std::string& text,
             const std::string& what, const char* license = "GPL") {
        ir::Program program = make_program(text);
        program.maps = maps_;
        program.type = as.type;
        program.license = license;
        ir::Environment environment;
        environment.type = spec::program_info(Dialect::Linux, as.type);
        const Report ours = analyze(program, environment, {});
        const Answer linux = kernel_.load(program, license, as.attach);
        const bool accept = ours.verdict == Verdict::Accept;
        if (accept == linux.accepted) {
            ++(accept ? accepted_ : rejected_);
            return;
        }
        const std::string key =
            std::string(proto.name) + ": " + what + ": " + (accept ? linux.reason : outcome(ours));
        if (std::getenv("CASEMENT_VERBOSE") != nullptr)
            std::printf("%s %s (%s)\n", accept ? "we accept" : "Linux accepts", key.c_str(),
                        environment.type->name);
        if (!accept) {
            ++linux_only_[what + ": " + outcome(ours)];
            return;
        }
        bool known = false;
        for (const Difference& d : kDifferences)
            if (std::regex_search(key, std::regex(d.pattern))) known = true, ++ours_only_[d.why];
        EXPECT_TRUE(known) << "Linux alone refuses " << key << " (" << environment.type->name
                           << ")";
    }

    void print(const char* title) const {
        std::printf("%s: accepted by both %d, rejected by both %d\n", title, accepted_, rejected_);
        for (const auto& [why, n] : ours_only_)
            std::printf("  Linux alone rejects %4d: %s\n", n, why.c_str());
        for (const auto& [why, n] : linux_only_)
            std::printf("  we alone reject     %4d: %s\n", n, why.c_str());
    }

    template <typename Each>
    void for_each_helper(Each each) {
        for (int i = 0; i < spec::kHelperCount; ++i) {
            const spec::HelperProto* proto =
                spec::prototype(Dialect::Linux, static_cast<Helper>(i));
            if (proto != nullptr && can_make(*proto)) each(*proto);
        }
    }
    static const Loadable* first_caller(const spec::HelperProto& proto) {
        for (const Loadable& as : kTypes) {
            if (spec::find_helper(*spec::program_info(Dialect::Linux, as.type),
                                  static_cast<u32>(proto.number)) != nullptr)
                return &as;
        }
        return nullptr;
    }

    std::vector<ir::MapDef> maps_ = all_maps();
    Kernel kernel_{maps_};
    int accepted_ = 0, rejected_ = 0;
    std::map<std::string, int> ours_only_, linux_only_;
};

TEST_F(KernelHelpers, WhoMayCallAndUnderWhichLicence) {
    for_each_helper([&](const spec::HelperProto& proto) {
        const int map = valid_map(proto);
        if (map < 0 && takes_map(proto)) return;
        for (const Loadable& as : kTypes) {
            for (const char* license : {"GPL", "Proprietary"}) {
                ask(as, proto, call_text(proto, map, -1, Given::Valid), license, license);
            }
        }
    });
    print("program types and licences");
    EXPECT_GT(accepted_, 1000);
}

TEST_F(KernelHelpers, ArgumentsOfTheWrongKind) {
    for_each_helper([&](const spec::HelperProto& proto) {
        const Loadable* as = first_caller(proto);
        const int map = valid_map(proto);
        if (as == nullptr || (map < 0 && takes_map(proto))) return;
        for (int n = 0; n < proto.arg_count(); ++n) {
            for (const Given given : kWrong) {
                if (given == Given::MapItself && map < 0) continue;
                ask(*as, proto, call_text(proto, map, n, given),
                    "argument " + std::to_string(n + 1) + " is " +
                        kGivenNames[static_cast<int>(given)]);
            }
        }
    });
    print("arguments");
    EXPECT_GT(rejected_, 500);
}

TEST_F(KernelHelpers, MapsOfEachType) {
    for_each_helper([&](const spec::HelperProto& proto) {
        const Loadable* as = first_caller(proto);
        if (as == nullptr || !takes_map(proto)) return;
        for (std::size_t i = 0; i < maps_.size(); ++i) {
            if (i == kRodata || !kernel_.has_map(i)) continue;
            ask(*as, proto, call_text(proto, static_cast<int>(i), -1, Given::Valid), maps_[i].name);
        }
    });
    print("types of maps");
    EXPECT_GT(accepted_, 50);
}

}  // namespace
}  // namespace ebpf::verifier::oracle
