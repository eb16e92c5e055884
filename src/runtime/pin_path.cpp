// SPDX-License-Identifier: MIT
#include "runtime/pin_path.hpp"

#include <cstring>

namespace ebpf::runtime {
namespace {

constexpr u64 kMaxLinux = 4096;  // PATH_MAX, with the NUL
constexpr std::string_view kRoot = "BPF:";
constexpr std::string_view kGlobal = "\\ebpf\\global\\";

bool is_slash(char c) {
    return c == '/' || c == '\\';
}

char folded(char c) {
    if (c == '/') return '\\';
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// Takes `prefix` away when `text` begins with it, in any case and with either slash.
bool skip(std::string_view& text, std::string_view prefix) {
    if (text.size() < prefix.size()) return false;
    for (u64 i = 0; i < prefix.size(); ++i) {
        if (folded(text[i]) != folded(prefix[i])) return false;
    }
    text.remove_prefix(prefix.size());
    return true;
}

// The name in front, which leaves `text` with the slash behind it.
std::string_view take_name(std::string_view& text) {
    u64 size = 0;
    while (size < text.size() && !is_slash(text[size])) ++size;
    const std::string_view name = text.substr(0, size);
    text.remove_prefix(size < text.size() ? size + 1 : size);
    return name;
}

}  // namespace

Status PinPath::read(spec::Dialect dialect, const char* text) {
    if (text == nullptr) return fail(Errc::InvalidPointer, {}, "path");
    const std::string_view path = text;
    if (path.empty()) return fail(Errc::ObjectNotFound, {}, "empty path");
    if (dialect == spec::Dialect::Windows) return read_windows(path);
    if (path.size() >= kMaxLinux) return fail(Errc::NameTooLong, {}, "path", path.size());
    view_ = path;
    return {};
}

Status PinPath::append(std::string_view name) {
    if (kRoot.size() + size_ + 1 + name.size() >= kMaxWindows)
        return fail(Errc::NameTooLong, {}, "path", name.size());
    bytes_[size_++] = '/';
    std::memcpy(bytes_ + size_, name.data(), name.size());
    size_ += static_cast<u32>(name.size());
    return {};
}

Status PinPath::read_windows(std::string_view text) {
    size_ = 0;
    if (!skip(text, kRoot)) (void)skip(text, kGlobal);
    while (!text.empty()) {
        const std::string_view name = take_name(text);
        if (name.find(':') != std::string_view::npos)
            return fail(Errc::InvalidArgument, {}, "colon in a path");
        if (name.empty() || name == ".") continue;
        if (name != "..") {
            TRY(append(name));
            continue;
        }
        if (size_ == 0) return fail(Errc::InvalidArgument, {}, "a path above the root");
        while (bytes_[--size_] != '/') {
        }
    }
    view_ = size_ != 0 ? std::string_view(bytes_, size_) : std::string_view("/");
    return {};
}

Result<ObjectKind> next_pin(Pins& pins, spec::Dialect dialect, std::string_view start,
                            const ObjectKind* kind, std::span<char> out) {
    if (dialect != spec::Dialect::Windows) return pins.next(start, kind, out);
    const std::span<char> path =
        out.size() > kRoot.size() ? out.subspan(kRoot.size()) : out.first(0);
    TRY_ASSIGN(const ObjectKind found, pins.next(start, kind, path));
    std::memcpy(out.data(), kRoot.data(), kRoot.size());
    for (char* c = path.data(); *c != '\0'; ++c) {
        if (*c == '/') *c = '\\';
    }
    return found;
}

}  // namespace ebpf::runtime
