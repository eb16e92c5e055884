// SPDX-License-Identifier: MIT
//
// bpftool over libebpfapi: what its parts share. Words, output and JSON keys are those of Linux's
// bpftool, seen from version 7.1's output. A command makes its JSON and its text; which is shown
// the options say.
#pragma once

#include <bpf/bpf.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "btf/types.hpp"
#include "products/fd.hpp"

namespace bpftool {

using Json = nlohmann::ordered_json;

// Ends the command with "Error: ...", or in silence when there is nothing to say.
struct Failure : std::runtime_error {
    // `status` is the exit status; 0: the one that the command has for wrong words.
    explicit Failure(const std::string& what, int its_status = 0)
        : std::runtime_error(what), status(its_status) {}
    int status;
};
constexpr int kFailed = 255;   // what bpftool's -1 is to a shell
constexpr int kInvalid = 234;  // and its -EINVAL
constexpr int kWrongLink = 1;  // what `link detach` says of all its failures

// Ends the command with its usage, on the error output as bpftool's.
struct ShowUsage {
    int status = kFailed;
};

// What bpftool's -errno is to a shell.
constexpr int status_of(int error) {
    return (256 - error) & 0xff;
}
// Ends the command with errno's text; the status is `status`, or errno's own.
[[noreturn]] void fail_errno(const std::string& what, int status = 0);
[[noreturn]] void fail_error(const std::string& what, const ebpf::Error& error);

// The file's bytes; ends the command with `failing` when it cannot be read or has more than `most`
// (a device has no end).
std::vector<unsigned char> read_file(const std::string& path, size_t most,
                                     const std::string& failing, int status = 0);

// What stands behind the command's name. A word may be cut short, as in bpftool: "p" is "pinned"
// where nothing else begins so.
class Words {
  public:
    explicit Words(std::vector<std::string> words) : words_(std::move(words)) {}
    size_t count() const { return words_.size() - at_; }
    bool empty() const { return count() == 0; }
    // The next one; none: the empty word.
    const std::string& peek() const;
    std::string take();
    bool next_is(const char* word) const;
    // Takes the next one if it is `word`.
    bool take_if(const char* word);
    // Fails, naming the last word taken, when fewer than `needed` follow.
    void need(size_t needed, int status = 0) const;
    // Takes a number; `what` it is, for the error.
    __u32 number(const char* what);

  private:
    std::vector<std::string> words_;
    size_t at_ = 0;
};
bool is_short_for(const std::string& word, const char* whole);

struct Options {
    bool json = false, pretty = false, pins = false;
};

// A command's result: JSON null where there is nothing to say.
struct Output {
    Json json;
    std::string text;
    int status = 0;  // of the tool
};

using ebpf::products::Fd;

// `id N`, `pinned FILE`, `tag T`, `name N`: all that fit (at least one), or the one that does.
std::vector<Fd> programs(Words& words);
Fd program(Words& words);
std::vector<Fd> maps(Words& words);
Fd map(Words& words);
Fd link(Words& words);
// For a command that shows one, those that fit or all: true when there is a handle. Anything else
// but two words is an error.
bool handle_follows(const Words& words);
// PROG|MAP|LINK FILE: the command `pin` of each.
Output pin(Fd (*object)(Words&), Words& words);
std::vector<Fd> all_programs();
std::vector<Fd> all_maps();
std::vector<Fd> all_links();
std::vector<Fd> all_types();

bpf_prog_info program_info(int fd, std::vector<__u32>* map_ids = nullptr);
bpf_map_info map_info(int fd);
// The first line of what `prog show` says, with its line end; or the members of it.
Output program_header(const bpf_prog_info& info);
// Type information by its id; null for 0.
std::shared_ptr<const ebpf::btf::Types> types_of(__u32 btf_id);

using Bytes = std::vector<unsigned char>;
bool per_cpu(const bpf_map_info& info);
// From a CPU's value to the next one's.
size_t slot_size(const bpf_map_info& info);
// Bytes that a lookup returns.
size_t value_bytes(const bpf_map_info& info);

// How a map's elements are shown: as bytes, and by their types where the map has some.
class Elements {
  public:
    Elements(const Options& options, const bpf_map_info& info);
    bool typed() const { return types_ != nullptr; }
    // What JSON shows, or, with types, the text, which has their meaning only.
    Json json(const Bytes& key, const Bytes& value) const;
    std::string text(const Bytes& key, const Bytes& value) const;

  private:
    template <typename Show>
    void put_values(Json& json, const Bytes& value, Show&& show) const;
    Json bytes(const Bytes& key, const Bytes& value) const;
    Json meaning(const Bytes& key, const Bytes& value) const;

    const bpf_map_info info_;
    bool plain_;
    std::shared_ptr<const ebpf::btf::Types> types_;
};

// Types of objects among pins, as PIN_GET_NEXT has them.
constexpr __u32 kPinnedMap = 1, kPinnedLink = 2, kPinnedProgram = 3;
// Paths that an object of this type and id is pinned at.
std::vector<std::string> pins(__u32 type, __u32 id);
void show_pins(const Options& options, __u32 type, __u32 id, Json& json, std::string& text);

// Bytes as bpftool shows them: hexadecimal, two groups of eight on a line.
std::string hex(const Bytes& bytes);
Json hex_json(const Bytes& bytes);
// The same with their place and as characters.
std::string hex_dump(const Bytes& bytes);
// A value of that type. `plain`: as a text has it, where numbers may be hexadecimal.
Json typed_json(const ebpf::btf::Types& types, __u32 type, std::span<const unsigned char> value,
                bool plain);
// What json_text() shows as it stands, though it is no JSON.
Json literal(const std::string& text);
// JSON as bpftool lays it out.
std::string json_text(const Json& json, bool pretty);

// A type as it stands in type information; the text is made of the JSON.
Json raw_json(const ebpf::btf::View& types, const ebpf::btf::Type& type);
std::string raw_text(const ebpf::btf::View& types, const Json& type);
// The types with these ids, and what they need, as a C header.
std::string c_text(const ebpf::btf::View& types, const std::vector<__u32>& ids);

struct Command {
    const char* object;
    const char* name;
    Output (*run)(const Options& options, Words& words);
    bool changes;         // objects, which end with the process when there is no service
    int wrong = kFailed;  // status for wrong words
};

Output prog_show(const Options&, Words&);
Output prog_load(const Options&, Words&);
Output prog_loadall(const Options&, Words&);
Output prog_pin(const Options&, Words&);
Output prog_dump(const Options&, Words&);
Output prog_run(const Options&, Words&);
Output prog_attach(const Options&, Words&);
Output prog_detach(const Options&, Words&);
Output map_show(const Options&, Words&);
Output map_create(const Options&, Words&);
Output map_dump(const Options&, Words&);
Output map_update(const Options&, Words&);
Output map_lookup(const Options&, Words&);
Output map_getnext(const Options&, Words&);
Output map_delete(const Options&, Words&);
Output map_pop(const Options&, Words&);
Output map_freeze(const Options&, Words&);
Output map_pin(const Options&, Words&);
Output link_show(const Options&, Words&);
Output link_detach(const Options&, Words&);
Output link_pin(const Options&, Words&);
Output btf_show(const Options&, Words&);
Output btf_dump(const Options&, Words&);
Output net_show(const Options&, Words&);
Output net_attach(const Options&, Words&);
Output net_detach(const Options&, Words&);

}  // namespace bpftool
