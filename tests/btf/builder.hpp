// SPDX-License-Identifier: MIT
// Writes .BTF sections by hand, type by type, so that tests see what the bytes are.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "btf/btf.hpp"

namespace ebpf::btf {

class Builder {
  public:
    // Offset of `text` in the string section.
    u32 string(const std::string& text) {
        if (text.empty()) return 0;
        const u32 offset = static_cast<u32>(strings_.size());
        strings_ += text;
        strings_ += '\0';
        return offset;
    }
    // Adds a type with its extra words; returns its id.
    u32 add(const std::string& name, Kind kind, u32 count, u32 size_or_type,
            std::vector<u32> extra = {}, bool flag = false) {
        const u32 info = static_cast<u32>(kind) << 24 | count | (flag ? 0x8000'0000u : 0);
        words_.insert(words_.end(), {string(name), info, size_or_type});
        words_.insert(words_.end(), extra.begin(), extra.end());
        return ++last_;
    }
    u32 integer(const std::string& name, u32 bytes, bool is_signed) {
        return add(name, Kind::Int, 0, bytes, {(is_signed ? 1u << 24 : 0) | bytes * 8});
    }
    std::vector<std::byte> bytes() const {
        const u32 types = static_cast<u32>(words_.size() * 4);
        const u32 header[6] = {0x0001'eb9f, 24, 0, types, types, static_cast<u32>(strings_.size())};
        std::vector<std::byte> out(sizeof header + types + strings_.size());
        std::memcpy(out.data(), header, sizeof header);
        if (types != 0) std::memcpy(out.data() + sizeof header, words_.data(), types);
        std::memcpy(out.data() + sizeof header + types, strings_.data(), strings_.size());
        return out;
    }

  private:
    std::vector<u32> words_;
    std::string strings_ = std::string(1, '\0');
    u32 last_ = 0;
};

}  // namespace ebpf::btf
