// SPDX-License-Identifier: MIT
// How bpftool shows bytes and JSON.
#include <fmt/format.h>

#include "products/bpftool/tool.hpp"

namespace bpftool {
namespace {

// What nlohmann has no word for: an array's parts stand on its line, but its end on one of its own.
class Layout {
  public:
    explicit Layout(bool pretty) : pretty_(pretty) {}

    void put(const Json& json) {
        if (json.is_object()) {
            put_object(json);
        } else if (json.is_array()) {
            put_array(json);
        } else if (json.is_binary()) {  // a literal()
            text_.append(json.get_binary().begin(), json.get_binary().end());
        } else {
            text_ += json.dump(-1, ' ', false, Json::error_handler_t::replace);
        }
    }
    std::string take() { return std::move(text_); }

  private:
    void put_object(const Json& json) {
        text_ += '{';
        ++depth_;
        bool first = true;
        for (const auto& [key, value] : json.items()) {
            if (!first) text_ += ',';
            first = false;
            line();
            put(Json(key));
            text_ += pretty_ ? ": " : ":";
            put(value);
        }
        --depth_;
        if (!json.empty()) line();
        text_ += '}';
    }
    void put_array(const Json& json) {
        text_ += '[';
        ++depth_;
        bool first = true;
        for (const Json& part : json) {
            if (!first) text_ += ',';
            first = false;
            put(part);
        }
        --depth_;
        if (!json.empty()) line();
        text_ += ']';
    }
    void line() {
        if (pretty_) text_ += '\n' + std::string(depth_ * 4, ' ');
    }

    std::string text_;
    size_t depth_ = 0;
    bool pretty_;
};

}  // namespace

std::string json_text(const Json& json, bool pretty) {
    Layout layout(pretty);
    layout.put(json);
    return layout.take();
}

Json literal(const std::string& text) {
    return Json::binary({text.begin(), text.end()});
}

std::string hex(const Bytes& bytes) {
    std::string text;
    for (size_t i = 0; i < bytes.size(); ++i) {
        if (i != 0) text += i % 16 == 0 ? "\n" : i % 8 == 0 ? "  " : " ";
        text += fmt::format("{:02x}", bytes[i]);
    }
    return text;
}

Json hex_json(const Bytes& bytes) {
    Json array = Json::array();
    for (const unsigned char byte : bytes) array.push_back(fmt::format("0x{:02x}", byte));
    return array;
}

std::string hex_dump(const Bytes& bytes) {
    constexpr size_t kOnLine = 16;
    std::string text;
    for (size_t at = 0; at < bytes.size(); at += kOnLine) {
        std::string numbers, characters;
        for (size_t i = at; i < std::min(at + kOnLine, bytes.size()); ++i) {
            numbers += fmt::format("{:02x}{}", bytes[i], i % 2 ? " " : "");
            if (i % kOnLine == kOnLine / 2) characters += ' ';
            const bool shown = bytes[i] >= ' ' && bytes[i] < 0x7f;
            characters += shown ? static_cast<char>(bytes[i]) : '.';
        }
        text += fmt::format("{:07x}\t{:<40}| {}\n", at, numbers, characters);
    }
    return text;
}

}  // namespace bpftool
