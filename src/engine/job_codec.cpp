// SPDX-License-Identifier: MIT
//
// Jobs and outcomes as bytes. fields() below is the one description of each structure: writing and
// reading both walk it, and taking a structure apart by name of every member means that a new
// member does not compile until it stands here.
//
// An integer is its own bytes, a boolean or an enumerator one of its underlying type, a string or a
// list a 32-bit count and its elements.
#include <concepts>
#include <tuple>
#include <type_traits>

#include "base/byte_reader.hpp"
#include "engine/job.hpp"

namespace ebpf::engine {
namespace {

// How many enumerators there are; they all begin at 0 and have no gaps, or are checked elsewhere.
template <typename E>
constexpr u64 kEnumerators = 0;
template <>
constexpr u64 kEnumerators<spec::Dialect> = spec::kDialectCount;
template <>
constexpr u64 kEnumerators<spec::ProgramType> = 0
#define PROGRAM_TYPE(...) +1
#include "spec/program_types.def"
    ;
template <>
constexpr u64 kEnumerators<spec::AttachType> = 0
#define ATTACH_TYPE(...) +1
#include "spec/attach_types.def"
    ;
template <>
constexpr u64 kEnumerators<spec::MapType> = 0
#define MAP_TYPE(...) +1
#include "spec/map_types.def"
    ;
template <>
constexpr u64 kEnumerators<Errc> = 0
#define ERROR(...) +1
#include "base/errors.def"
    ;
template <>
constexpr u64 kEnumerators<Where::Kind> = static_cast<u64>(Where::Kind::Line) + 1;
template <>
constexpr u64 kEnumerators<ir::Pinning> = static_cast<u64>(ir::Pinning::ByName) + 1;
template <>
constexpr u64 kEnumerators<code::EngineKind> = code::kEngineCount;
template <>
constexpr u64 kEnumerators<code::Cpu> = static_cast<u64>(code::Cpu::AArch64) + 1;
template <>
constexpr u64 kEnumerators<code::RelocKind> = static_cast<u64>(code::RelocKind::LookupNear32) + 1;
template <>
constexpr u64 kEnumerators<jit::Level> = static_cast<u64>(jit::Level::Optimise) + 1;
template <>
constexpr u64 kEnumerators<jit::CallingConvention> =
    static_cast<u64>(jit::CallingConvention::Aapcs64) + 1;
template <>
constexpr u64 kEnumerators<jit::UnwindFormat> = static_cast<u64>(jit::UnwindFormat::Dwarf) + 1;

template <typename T, typename Described>
concept Is = std::same_as<std::remove_const_t<T>, Described>;

template <Is<Where> T>
auto fields(T& x) {
    auto& [kind, section, value] = x;
    return std::tie(kind, section, value);
}
template <Is<Error> T>
auto fields(T& x) {
    return std::tie(x.code, x.where, x.arg);  // `what` is a literal of one process
}
template <Is<ir::MapDef> T>
auto fields(T& x) {
    auto& [name, type, key, value, entries, flags, extra, inner, pinning, key_type, value_type,
           section, read_only, frozen, initial, lock, timer] = x;
    return std::tie(name, type, key, value, entries, flags, extra, inner, pinning, key_type,
                    value_type, section, read_only, frozen, initial, lock, timer);
}
template <Is<ir::Subprogram> T>
auto fields(T& x) {
    auto& [begin, end, name, is_global, btf_type] = x;
    return std::tie(begin, end, name, is_global, btf_type);
}
template <Is<ir::SourceLine> T>
auto fields(T& x) {
    auto& [insn, file, line, column, text, btf_file, btf_text] = x;
    return std::tie(insn, file, line, column, text, btf_file, btf_text);
}
template <Is<ir::MissingAnswer> T>
auto fields(T& x) {
    auto& [insn, what] = x;
    return std::tie(insn, what);
}
template <Is<ir::Privileges> T>
auto fields(T& x) {
    auto& [root, allow_ptr_leaks] = x;
    return std::tie(root, allow_ptr_leaks);
}
template <Is<verifier::Options> T>
auto fields(T& x) {
    auto& [steps, memory, stack, alignment] = x;
    return std::tie(steps, memory, stack, alignment);
}
template <Is<jit::Target> T>
auto fields(T& x) {
    auto& [cpu, convention, unwind, bmi2] = x;
    return std::tie(cpu, convention, unwind, bmi2);
}
template <Is<jit::Options> T>
auto fields(T& x) {  // test builds have a further member, which no job carries
    return std::tie(x.level, x.metered, x.cancellable, x.blind_constants, x.blinding_seed,
                    x.safe_indirect_calls);
}
template <Is<CompileOptions> T>
auto fields(T& x) {
    auto& [engine, target, codegen, options, trusted] = x;
    return std::tie(engine, target, codegen, options, trusted);
}
template <Is<code::Relocation> T>
auto fields(T& x) {
    auto& [offset, kind, reserved, index, addend] = x;
    (void)reserved;
    return std::tie(offset, kind, index, addend);
}
template <Is<CompiledCode> T>
auto fields(T& x) {
    auto& [engine, cpu, entry, stack, maps, hash, text, relocations, unwind, slot_offset,
           function_offset] = x;
    return std::tie(engine, cpu, entry, stack, maps, hash, text, relocations, unwind.offset,
                    unwind.size, slot_offset, function_offset);
}
template <Is<ProgramBtf> T>
auto fields(T& x) {
    auto& [types, functions, lines, function_size, line_size] = x;
    return std::tie(types, functions, lines, function_size, line_size);
}
template <Is<CompileJob> T>
auto fields(T& x) {
    auto& [name, section, object, license, dialect, type, attach, slots, maps, kfuncs, missing,
           subprograms, files, lines, btf, privileges, options, log_level] = x;
    return std::tie(name, section, object, license, dialect, type, attach, slots, maps, kfuncs,
                    missing, subprograms, files, lines, btf, privileges, options, log_level);
}
template <Is<CompileOutcome> T>
auto fields(T& x) {
    auto& [error, log, code, verify_ns, compile_ns, verified_insns] = x;
    return std::tie(error, log, code, verify_ns, compile_ns, verified_insns);
}

// A string or a list of bytes: copied whole.
template <typename T>
concept Text = std::same_as<T, std::string> || std::same_as<T, std::vector<std::byte>>;
template <typename T>
concept List = !Text<T> && requires(T list) { list.emplace_back(); };

class Writer {
  public:
    template <typename T>
    void put(const T& value) {
        if constexpr (std::is_enum_v<T> || std::is_integral_v<T>) {
            append(&value, sizeof value);
        } else if constexpr (Text<T>) {
            put(static_cast<u32>(value.size()));
            append(value.data(), value.size());
        } else if constexpr (List<T>) {
            put(static_cast<u32>(value.size()));
            for (const auto& element : value) put(element);
        } else {
            std::apply([&](const auto&... field) { (put(field), ...); }, fields(value));
        }
    }
    std::vector<std::byte> take() { return std::move(bytes_); }

  private:
    void append(const void* from, std::size_t size) {
        const auto* const begin = static_cast<const std::byte*>(from);
        bytes_.insert(bytes_.end(), begin, begin + size);
    }

    std::vector<std::byte> bytes_;
};

class Reader {
  public:
    explicit Reader(Bytes bytes) : reader_(bytes) {}

    template <typename T>
    Status get(T& value) {
        if constexpr (std::is_same_v<T, bool>) {
            return get_below(value, u8{}, 2);
        } else if constexpr (std::is_enum_v<T>) {
            static_assert(kEnumerators<T> != 0, "how many enumerators are there?");
            return get_below(value, std::underlying_type_t<T>{}, kEnumerators<T>);
        } else if constexpr (std::is_integral_v<T>) {
            TRY_ASSIGN(value, reader_.read<T>("number"));
            return {};
        } else if constexpr (Text<T>) {
            TRY_ASSIGN(const u32 size, reader_.read<u32>("size of a text"));
            TRY_ASSIGN(const Bytes bytes, reader_.bytes(size, "text"));
            const auto* const begin = reinterpret_cast<const typename T::value_type*>(bytes.data());
            value.assign(begin, begin + bytes.size());
            return {};
        } else if constexpr (List<T>) {
            return get_list(value);
        } else {
            Status status;
            std::apply([&](auto&... field) { (void)((status = get(field)).has_value() && ...); },
                       fields(value));
            return status;
        }
    }
    Status finish() const {
        if (reader_.at_end()) return {};
        return fail(Errc::BadFormat, at_offset(reader_.offset()), "bytes left over",
                    reader_.remaining());
    }

  private:
    template <typename T, typename Number>
    Status get_below(T& value, Number /*as*/, u64 limit) {
        const u64 at = reader_.offset();
        TRY_ASSIGN(const Number number, reader_.read<Number>("enumerator"));
        if (static_cast<u64>(number) >= limit)
            return fail(Errc::OutOfBounds, at_offset(at), "enumerator", static_cast<u64>(number));
        value = static_cast<T>(number);
        return {};
    }

    // Elements are made as their bytes are read, so that a count alone costs nothing.
    template <typename T>
    Status get_list(T& list) {
        TRY_ASSIGN(const u32 count, reader_.read<u32>("count"));
        if (count > reader_.remaining())  // an element has at least one byte
            return fail(Errc::Truncated, at_offset(reader_.offset()), "list", count);
        for (u32 i = 0; i < count; ++i) TRY(get(list.emplace_back()));
        return {};
    }

    ByteReader reader_;
};

template <typename T>
std::vector<std::byte> encoded(const T& value) {
    Writer writer;
    writer.put(value);
    return writer.take();
}

template <typename T>
Result<T> decoded(Bytes bytes) {
    if (bytes.size() > kMaxJob) return fail(Errc::TooLarge, {}, "job", bytes.size());
    Reader reader(bytes);
    T value;
    TRY(reader.get(value));
    TRY(reader.finish());
    return value;
}

}  // namespace

std::vector<std::byte> encode(const CompileJob& job) {
    return encoded(job);
}
std::vector<std::byte> encode(const CompileOutcome& outcome) {
    return encoded(outcome);
}
Result<CompileJob> decode_job(Bytes bytes) {
    return decoded<CompileJob>(bytes);
}
Result<CompileOutcome> decode_outcome(Bytes bytes) {
    return decoded<CompileOutcome>(bytes);
}

}  // namespace ebpf::engine
