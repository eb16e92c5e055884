// SPDX-License-Identifier: MIT
//
// bpftool over libebpfapi: what its parts share. Words, output and JSON keys are those of Linux's
// bpftool, seen from version 7.1's output. A command makes its JSON and its text; which is shown
// the options say.
#pragma once

#include <bpf/bpf.h>

#include <deque>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "products/fd.hpp"

namespace bpftool {

using Json = nlohmann::ordered_json;

// Ends the command with "Error: ..." and status 255.
struct Failure : std::runtime_error {
    using std::runtime_error::runtime_error;
};
// The same for words that are none of the command's: its usage is shown too.
struct UsageError : Failure {
    using Failure::Failure;
};
[[noreturn]] void fail_errno(const std::string& what);

// What stands behind the command's name.
class Words {
  public:
    explicit Words(std::vector<std::string> words) : words_(words.begin(), words.end()) {}
    bool empty() const { return words_.empty(); }
    const std::string& peek() const { return words_.front(); }
    // The next one; `what` it was to be, for the error.
    std::string take(const char* what);
    // Takes the next one if it is `word`.
    bool take_if(const char* word);
    void nothing_more() const;

  private:
    std::deque<std::string> words_;
};

struct Options {
    bool json = false, pretty = false, pins = false;
};

// A command's result: JSON null where there is nothing to say.
struct Output {
    Json json;
    std::string text;
    bool not_found = false;  // status 255 without an error
};

using ebpf::products::Fd;

// `id N`, `pinned FILE`, `tag T`, `name N`: all that fit, or the one that does.
std::vector<Fd> programs(Words& words);
Fd program(Words& words);
std::vector<Fd> maps(Words& words);
Fd map(Words& words);
Fd link(Words& words);
std::vector<Fd> all_programs();
std::vector<Fd> all_maps();
std::vector<Fd> all_links();

bpf_prog_info program_info(int fd, std::vector<__u32>* map_ids = nullptr);
bpf_map_info map_info(int fd);

// Paths that an object of this id is pinned at; `type` 1 map, 2 link, 3 program.
std::vector<std::string> pins(__u32 type, __u32 id);
void show_pins(const Options& options, __u32 type, __u32 id, Json& json, std::string& text);

// Bytes as bpftool shows them: hexadecimal, two groups of eight on a line.
std::string hex(const std::vector<unsigned char>& bytes);
Json hex_json(const std::vector<unsigned char>& bytes);

struct Command {
    const char* object;
    const char* name;
    const char* alias;  // or null
    Output (*run)(const Options& options, Words& words);
    const char* usage;  // what follows the name
    bool changes;       // objects, which end with the process when there is no service
};

Output prog_show(const Options&, Words&);
Output prog_load(const Options&, Words&);
Output prog_loadall(const Options&, Words&);
Output prog_pin(const Options&, Words&);
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
Output map_pin(const Options&, Words&);
Output link_show(const Options&, Words&);
Output link_detach(const Options&, Words&);
Output link_pin(const Options&, Words&);
Output net_show(const Options&, Words&);
Output net_attach(const Options&, Words&);
Output net_detach(const Options&, Words&);

}  // namespace bpftool
