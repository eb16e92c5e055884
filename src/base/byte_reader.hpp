// SPDX-License-Identifier: MIT
//
// Bounds-checked reading of untrusted bytes. Everything on disk or on the wire is little-endian
// here; a value may stand at any address, so it is copied and never cast in place.
#pragma once

#include <bit>
#include <cstring>
#include <type_traits>

#include "base/error.hpp"

namespace ebpf {

static_assert(std::endian::native == std::endian::little,
              "a big-endian host needs byte swaps here");

// An integer of a file format at any alignment.
template <typename T>
    requires std::is_integral_v<T>
T load_le(const std::byte* from) {
    T value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

template <typename T>
    requires std::is_integral_v<T>
void store_le(std::byte* to, T value) {
    std::memcpy(to, &value, sizeof value);
}

// The part [offset, offset + size) of `all`; an error that names `what` when it is not inside.
inline Result<Bytes> slice(Bytes all, u64 offset, u64 size, const char* what = nullptr) {
    if (offset > all.size() || size > all.size() - offset) {
        return fail(Errc::Truncated, at_offset(offset), what, size);
    }
    return all.subspan(offset, size);
}

// Reads forward; an error carries the offset from the start of the span.
class ByteReader {
  public:
    explicit ByteReader(Bytes bytes, u64 offset = 0) : bytes_(bytes), offset_(offset) {}

    u64 offset() const { return offset_; }
    u64 remaining() const { return offset_ < bytes_.size() ? bytes_.size() - offset_ : 0; }
    bool at_end() const { return remaining() == 0; }

    // A copy of the next sizeof(T) bytes; T is an integer or a packed struct of a file format.
    template <typename T>
        requires std::is_trivially_copyable_v<T>
    Result<T> read(const char* what = nullptr) {
        if (remaining() < sizeof(T))
            return fail(Errc::Truncated, at_offset(offset_), what, sizeof(T));
        T value;
        std::memcpy(&value, bytes_.data() + offset_, sizeof value);
        offset_ += sizeof value;
        return value;
    }

    Result<Bytes> bytes(u64 size, const char* what = nullptr) {
        TRY_ASSIGN(const Bytes part, slice(bytes_, offset_, size, what));
        offset_ += size;
        return part;
    }

    // The NUL-terminated string at the current position, without its NUL.
    Result<std::string_view> c_string(const char* what = nullptr) {
        const u64 start = offset_;
        for (u64 end = start; end < bytes_.size(); ++end) {
            if (bytes_[end] == std::byte{0}) {
                offset_ = end + 1;
                return std::string_view(reinterpret_cast<const char*>(bytes_.data()) + start,
                                        end - start);
            }
        }
        return fail(Errc::Truncated, at_offset(start), what);
    }

  private:
    Bytes bytes_;
    u64 offset_;
};

}  // namespace ebpf
