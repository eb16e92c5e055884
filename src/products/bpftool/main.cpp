// SPDX-License-Identifier: MIT
//
// bpftool: the command line of programs, maps, links and interfaces. One table says what commands
// there are; help is made from it.
#include <bpf/libbpf.h>
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <sstream>

#include "products/bpftool/tool.hpp"

namespace bpftool {
namespace {

constexpr int kFailed = 255;  // what bpftool's -1 is to a shell

const Command kCommands[] = {
    {"prog", "show", "list", prog_show, "[PROG]", false},
    {"prog", "pin", nullptr, prog_pin, "PROG FILE", true},
    {"prog", "load", nullptr, prog_load,
     "OBJ PATH [type TYPE] [map { idx IDX | name NAME } MAP] [pinmaps MAP_DIR]", true},
    {"prog", "loadall", nullptr, prog_loadall,
     "OBJ PATH [type TYPE] [map { idx IDX | name NAME } MAP] [pinmaps MAP_DIR]", true},
    {"prog", "attach", nullptr, prog_attach, "PROG ATTACH_TYPE [MAP]", true},
    {"prog", "detach", nullptr, prog_detach, "PROG ATTACH_TYPE [MAP]", true},
    {"prog", "run", nullptr, prog_run,
     "PROG data_in FILE [data_out FILE [data_size_out L]] [ctx_in FILE [ctx_out FILE "
     "[ctx_size_out M]]] [repeat N]",
     false},
    {"map", "show", "list", map_show, "[MAP]", false},
    {"map", "create", nullptr, map_create,
     "FILE type TYPE key KEY_SIZE value VALUE_SIZE entries MAX_ENTRIES name NAME [flags FLAGS] "
     "[inner_map MAP]",
     true},
    {"map", "dump", nullptr, map_dump, "MAP", false},
    {"map", "update", nullptr, map_update, "MAP [key DATA] [value VALUE] [any | exist | noexist]",
     true},
    {"map", "lookup", nullptr, map_lookup, "MAP [key DATA]", false},
    {"map", "getnext", nullptr, map_getnext, "MAP [key DATA]", false},
    {"map", "delete", nullptr, map_delete, "MAP key DATA", true},
    {"map", "pin", nullptr, map_pin, "MAP FILE", true},
    {"link", "show", "list", link_show, "[LINK]", false},
    {"link", "pin", nullptr, link_pin, "LINK FILE", true},
    {"link", "detach", nullptr, link_detach, "LINK", true},
    {"net", "show", "list", net_show, "[dev <devname>]", false},
    {"net", "attach", nullptr, net_attach,
     "{ xdp | xdpgeneric | xdpdrv | xdpoffload } PROG dev <devname> [ overwrite ]", true},
    {"net", "detach", nullptr, net_detach,
     "{ xdp | xdpgeneric | xdpdrv | xdpoffload } dev <devname>", true},
};

constexpr const char* kObjects[] = {"prog", "map", "link", "net"};

std::string usage(const std::string& self) {
    return fmt::format(
        "Usage: {0} [OPTIONS] OBJECT {{ COMMAND | help }}\n"
        "       {0} batch file FILE\n"
        "       {0} version\n\n"
        "       OBJECT := {{ {1} }}\n"
        "       OPTIONS := {{ {{-j|--json}} [{{-p|--pretty}}] | {{-f|--bpffs}} | {{-V|--version}} "
        "}}\n",
        self, fmt::join(kObjects, " | "));
}

std::string usage_of(const std::string& self, const std::string& object) {
    std::string text;
    for (const Command& command : kCommands) {
        if (object != command.object) continue;
        const std::string name = command.alias
                                     ? fmt::format("{{ {} | {} }}", command.name, command.alias)
                                     : command.name;
        text += fmt::format("{} {} {} {} {}\n", text.empty() ? "Usage:" : "      ", self, object,
                            name, command.usage);
    }
    return text + fmt::format("       {} {} help\n\n", self, object) +
           "       PROG := { id PROG_ID | pinned FILE | tag PROG_TAG | name PROG_NAME }\n"
           "       MAP := { id MAP_ID | pinned FILE | name MAP_NAME }\n"
           "       LINK := { id LINK_ID | pinned FILE }\n"
           "       DATA := { [hex] BYTES }   VALUE := { DATA | MAP | PROG }\n";
}

class Tool {
  public:
    Tool(std::string self, Options options) : self_(std::move(self)), options_(options) {}

    // One command; what there is to show is shown, or put in `page` when that is given.
    int run(std::vector<std::string> arguments, bool in_batch, Json* page) {
        try {
            Output out = carry_out(Words(std::move(arguments)), in_batch);
            if (page) {
                *page = std::move(out.json);
            } else if (options_.json) {
                show(out.json);
            } else {
                std::fputs(out.text.c_str(), stdout);
            }
            return out.not_found ? kFailed : 0;
        } catch (const UsageError& error) {
            report(error.what(), page);
            if (!options_.json) std::fputs(("\n" + usage_text_).c_str(), stderr);
        } catch (const Failure& error) {
            report(error.what(), page);
        }
        return kFailed;
    }

    int batch(const std::string& path) {
        std::ifstream file(path == "-" ? "/dev/stdin" : path);
        if (!file) {
            report(fmt::format("Can't open file ({}): {}", path, std::strerror(errno)), nullptr);
            return kFailed;
        }
        Json pages = Json::array();
        int status = 0, count = 0;
        for (std::string line; status == 0 && std::getline(file, line);) {
            std::istringstream text(line.substr(0, line.find('#')));
            std::vector<std::string> words;
            for (std::string word; text >> word;) words.push_back(word);
            if (words.empty()) continue;
            ++count;
            Json page;
            const auto shown = words;
            status = run(std::move(words), true, options_.json ? &page : nullptr);
            std::fflush(stdout);
            if (options_.json) pages.push_back({{"command", shown}, {"output", page}});
        }
        if (options_.json) {
            show(pages);
        } else if (status == 0) {
            fmt::print("processed {} commands\n", count);
        }
        return status;
    }

  private:
    Output carry_out(Words words, bool in_batch) {
        usage_text_ = usage(self_);
        const std::string object = words.take("an object");
        if (object == "help") return {.json = {}, .text = usage_text_};
        if (object == "version") return version();
        bool known = false;
        for (const char* its : kObjects) known |= object == its;
        if (!known) throw UsageError(fmt::format("unknown object '{}'", object));
        usage_text_ = usage_of(self_, object);
        const std::string name = words.empty() ? "show" : words.take("a command");
        if (name == "help") return {.json = {}, .text = usage_text_};
        for (const Command& command : kCommands) {
            if (object != command.object ||
                (name != command.name && (!command.alias || name != command.alias))) {
                continue;
            }
            Output out = command.run(options_, words);
            if (command.changes && !in_batch && !std::getenv("EBPF_SERVICE")) {
                fmt::print(
                    stderr,
                    "Warning: without a service (EBPF_SERVICE) objects, pins and attachments "
                    "end with this process; `batch file` runs several commands in one\n");
            }
            return out;
        }
        throw UsageError(fmt::format("unknown command '{} {}'", object, name));
    }

    Output version() const {
        const std::string libbpf =
            fmt::format("{}.{}", libbpf_major_version(), libbpf_minor_version());
        return {.json = {{"version", CASEMENT_VERSION},
                         {"libbpf_version", libbpf},
                         {"features",
                          {{"libbfd", false}, {"libbpf_strict", true}, {"skeletons", false}}}},
                .text = fmt::format("{} v{}\nusing libbpf v{}\nfeatures: libbpf_strict\n", self_,
                                    CASEMENT_VERSION, libbpf)};
    }

    void show(const Json& json) const {
        std::puts(json.dump(options_.pretty ? 4 : -1, ' ', false, Json::error_handler_t::replace)
                      .c_str());
    }

    void report(const std::string& what, Json* page) const {
        const Json json = {{"error", what}};
        if (page) {
            *page = json;
        } else if (options_.json) {
            show(json);
        } else {
            fmt::print(stderr, "Error: {}\n", what);
        }
    }

    std::string self_, usage_text_;
    Options options_;
};

int main_of(int argc, char** argv) {
    Options options;
    bool version = false;
    int at = 1;
    for (; at < argc && argv[at][0] == '-' && argv[at][1]; ++at) {
        const std::string word = argv[at];
        if (word == "-j" || word == "--json") {
            options.json = true;
        } else if (word == "-p" || word == "--pretty") {
            options.json = options.pretty = true;
        } else if (word == "-f" || word == "--bpffs") {
            options.pins = true;
        } else if (word == "-V" || word == "--version") {
            version = true;
        } else if (word == "-jp" || word == "-pj") {
            options.json = options.pretty = true;
        } else if (word == "-jf" || word == "-fj") {
            options.json = options.pins = true;
        } else {
            fmt::print(stderr, "Error: unrecognized option '{}'\n\n{}", word, usage(argv[0]));
            return kFailed;
        }
    }
    std::vector<std::string> words(argv + at, argv + argc);
    if (version) words = {"version"};
    if (words.empty()) words = {"help"};
    Tool tool(argv[0], options);
    if (words.size() == 3 && words[0] == "batch" && words[1] == "file") return tool.batch(words[2]);
    return tool.run(words, false, nullptr);
}

}  // namespace
}  // namespace bpftool

int main(int argc, char** argv) {
    try {
        return bpftool::main_of(argc, argv);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "Error: %s\n", error.what());
        return 255;
    }
}
