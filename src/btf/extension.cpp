// SPDX-License-Identifier: MIT
#include "btf/btf.hpp"

namespace ebpf::btf {
namespace {

constexpr u16 kMagic = 0xeb9f;
constexpr u64 kFixedHeader = 24;  // up to and with line_info_len
constexpr u64 kCoreHeader = 32;   // with core_relo_off and core_relo_len

// One table: the size of a record, then the sections.
Result<InfoReader> open_table(Bytes section, u64 base, u32 offset, u32 length, u32 smallest,
                              const char* what) {
    if (length == 0) return InfoReader();
    TRY_ASSIGN(const Bytes area, slice(section, base + offset, length, what));
    if (area.size() < sizeof(u32)) return fail(Errc::Truncated, at_offset(base + offset), what);
    const u32 record_size = load_le<u32>(area.data());
    if (record_size < smallest || record_size % 4 != 0) {
        return fail(Errc::BadFormat, at_offset(base + offset), "size of a .BTF.ext record",
                    record_size);
    }
    return InfoReader(area.subspan(sizeof(u32)), record_size);
}

Result<const std::byte*> record(const InfoSection& section, u32 i) {
    if (i >= section.size()) return fail(Errc::OutOfBounds, {}, ".BTF.ext record", i);
    return section.records.data() + u64{i} * section.record_size;
}

}  // namespace

Result<FunctionRecord> InfoSection::function(u32 i) const {
    TRY_ASSIGN(const std::byte* raw, record(*this, i));
    return FunctionRecord{.offset = load_le<u32>(raw), .type = load_le<u32>(raw + 4)};
}

Result<LineRecord> InfoSection::line(u32 i) const {
    TRY_ASSIGN(const std::byte* raw, record(*this, i));
    const u32 place = load_le<u32>(raw + 12);
    return LineRecord{.offset = load_le<u32>(raw),
                      .file_name = load_le<u32>(raw + 4),
                      .text = load_le<u32>(raw + 8),
                      .line = place >> 10,
                      .column = place & 0x3ff};
}

Result<CoreRecord> InfoSection::core(u32 i) const {
    TRY_ASSIGN(const std::byte* raw, record(*this, i));
    return CoreRecord{.offset = load_le<u32>(raw),
                      .type = load_le<u32>(raw + 4),
                      .access = load_le<u32>(raw + 8),
                      .kind = load_le<u32>(raw + 12)};
}

Result<InfoSection> InfoReader::next() {
    InfoSection section{.record_size = record_size_};
    TRY_ASSIGN(section.name_offset, reader_.read<u32>("name of a .BTF.ext section"));
    TRY_ASSIGN(const u32 count, reader_.read<u32>("count of .BTF.ext records"));
    if (count == 0)
        return fail(Errc::BadFormat, at_offset(reader_.offset()), "no .BTF.ext records");
    TRY_ASSIGN(section.records, reader_.bytes(u64{count} * record_size_, ".BTF.ext records"));
    return section;
}

Result<Extension> Extension::open(Bytes section) {
    ByteReader reader(section);
    TRY_ASSIGN(const u16 magic, reader.read<u16>("BTF.ext header"));
    if (magic != kMagic) return fail(Errc::BadMagic, at_offset(0), "BTF.ext magic", magic);
    TRY_ASSIGN(const u8 version, reader.read<u8>("BTF.ext header"));
    TRY_ASSIGN(const u8 flags, reader.read<u8>("BTF.ext header"));
    if (version != 1) return fail(Errc::Unsupported, at_offset(2), "BTF.ext version", version);
    if (flags != 0) return fail(Errc::Unsupported, at_offset(3), "BTF.ext flags", flags);
    TRY_ASSIGN(const u32 base, reader.read<u32>("BTF.ext header"));
    if (base < kFixedHeader) {
        return fail(Errc::BadFormat, at_offset(4), "length of the BTF.ext header", base);
    }
    u32 fields[6] = {};  // offset and length of each table
    const int count = base >= kCoreHeader ? 6 : 4;
    for (int i = 0; i < count; ++i) {
        TRY_ASSIGN(fields[i], reader.read<u32>("BTF.ext header"));
    }
    Extension extension;
    TRY_ASSIGN(extension.functions,
               open_table(section, base, fields[0], fields[1], 8, "function information"));
    TRY_ASSIGN(extension.lines,
               open_table(section, base, fields[2], fields[3], 16, "line information"));
    TRY_ASSIGN(extension.core,
               open_table(section, base, fields[4], fields[5], 16, "CO-RE relocations"));
    return extension;
}

}  // namespace ebpf::btf
