// SPDX-License-Identifier: MIT
//
// bpftool: the command line of programs, maps, links and interfaces.
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <getopt.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string_view>

#include "products/bpftool/tool.hpp"

namespace bpftool {
namespace {

// In the order in which a word that is cut short is looked for. Those that nothing runs are
// bpftool's, and not yet ours.
const Command kCommands[] = {
    {"prog", "show", prog_show, false},
    {"prog", "list", prog_show, false},
    {"prog", "dump", prog_dump, false},
    {"prog", "pin", prog_pin, true},
    {"prog", "load", prog_load, true},
    {"prog", "loadall", prog_loadall, true},
    {"prog", "attach", prog_attach, true},
    {"prog", "detach", prog_detach, true},
    {"prog", "tracelog", nullptr, false},
    {"prog", "run", prog_run, false},
    {"prog", "profile", nullptr, false},
    {"map", "show", map_show, false},
    {"map", "list", map_show, false},
    {"map", "dump", map_dump, false},
    {"map", "update", map_update, true},
    {"map", "lookup", map_lookup, false},
    {"map", "getnext", map_getnext, false},
    {"map", "delete", map_delete, true},
    {"map", "pin", map_pin, true},
    {"map", "event_pipe", nullptr, false},
    {"map", "peek", map_lookup, false},
    {"map", "push", map_update, true},
    {"map", "enqueue", map_update, true},
    {"map", "pop", map_pop, true},
    {"map", "dequeue", map_pop, true},
    {"map", "freeze", map_freeze, true},
    {"map", "create", map_create, true},
    {"link", "show", link_show, false},
    {"link", "list", link_show, false},
    {"link", "pin", link_pin, true},
    {"link", "detach", link_detach, true, kWrongLink},
    {"btf", "show", btf_show, false},
    {"btf", "list", btf_show, false},
    {"btf", "dump", btf_dump, false},
    {"net", "show", net_show, false},
    {"net", "list", net_show, false},
    {"net", "attach", net_attach, true, kInvalid},
    {"net", "detach", net_detach, true, kInvalid},
};

// What is known of an object: its commands' words, each behind "bpftool OBJECT", and what those
// mean.
struct Object {
    const char* name;
    std::vector<const char*> usage;  // none: bpftool's, and not yet ours
    const char* words;
};

const Object kObjects[] = {
    {"prog",
     {"{ show | list } [PROG]", "dump xlated PROG [{ file FILE | [opcodes] [linum] [visual] }]",
      "dump jited  PROG [{ file FILE | [opcodes] [linum] }]", "pin   PROG FILE",
      ("{ load | loadall } OBJ  PATH \\\n"
       "                         [type TYPE] [dev NAME] \\\n"
       "                         [map { idx IDX | name NAME } MAP]\\\n"
       "                         [pinmaps MAP_DIR]"),
      "attach PROG ATTACH_TYPE [MAP]", "detach PROG ATTACH_TYPE [MAP]",
      ("run PROG \\\n"
       "                         data_in FILE \\\n"
       "                         [data_out FILE [data_size_out L]] \\\n"
       "                         [ctx_in FILE [ctx_out FILE [ctx_size_out M]]] \\\n"
       "                         [repeat N]"),
      "help"},
     "       MAP := { id MAP_ID | pinned FILE | name MAP_NAME }\n"
     "       PROG := { id PROG_ID | pinned FILE | tag PROG_TAG | name PROG_NAME }\n"
     "       TYPE := { what the name of a program's section begins with: xdp, socket ... }\n"
     "       ATTACH_TYPE := { sk_msg_verdict | sk_skb_verdict | sk_skb_stream_verdict |\n"
     "                        sk_skb_stream_parser | flow_dissector }\n"},
    {"map",
     {"{ show | list }   [MAP]",
      ("create     FILE type TYPE key KEY_SIZE value VALUE_SIZE \\\n"
       "                                  entries MAX_ENTRIES name NAME [flags FLAGS] \\\n"
       "                                  [inner_map MAP] [dev NAME]"),
      "dump       MAP", "update     MAP [key DATA] [value VALUE] [UPDATE_FLAGS]",
      "lookup     MAP [key DATA]", "getnext    MAP [key DATA]", "delete     MAP  key DATA",
      "pin        MAP  FILE", "peek       MAP", "push       MAP value VALUE", "pop        MAP",
      "enqueue    MAP value VALUE", "dequeue    MAP", "freeze     MAP", "help"},
     "       MAP := { id MAP_ID | pinned FILE | name MAP_NAME }\n"
     "       DATA := { [hex] BYTES }\n"
     "       PROG := { id PROG_ID | pinned FILE | tag PROG_TAG | name PROG_NAME }\n"
     "       VALUE := { DATA | MAP | PROG }\n"
     "       UPDATE_FLAGS := { any | exist | noexist }\n"},
    {"link",
     {"{ show | list }   [LINK]", "pin        LINK  FILE", "detach     LINK", "help"},
     "       LINK := { id LINK_ID | pinned FILE }\n"},
    {"cgroup", {}, nullptr},
    {"perf", {}, nullptr},
    {"net",
     {"{ show | list } [dev <devname>]", "attach ATTACH_TYPE PROG dev <devname> [ overwrite ]",
      "detach ATTACH_TYPE dev <devname>", "help"},
     "       PROG := { id PROG_ID | pinned FILE | tag PROG_TAG | name PROG_NAME }\n"
     "       ATTACH_TYPE := { xdp | xdpgeneric | xdpdrv | xdpoffload }\n"},
    {"feature", {}, nullptr},
    {"btf",
     {"{ show | list } [id BTF_ID]", "dump BTF_SRC [format FORMAT]", "help"},
     "       BTF_SRC := { id BTF_ID | prog PROG | map MAP [{key | value | kv | all}] | file FILE "
     "}\n"
     "       FORMAT  := { raw | c }\n"
     "       MAP := { id MAP_ID | pinned FILE | name MAP_NAME }\n"
     "       PROG := { id PROG_ID | pinned FILE | tag PROG_TAG | name PROG_NAME }\n"},
    {"gen", {}, nullptr},
    {"struct_ops", {}, nullptr},
    {"iter", {}, nullptr},
};

constexpr const char* kOptions =
    "       OPTIONS := { {-j|--json} [{-p|--pretty}] | {-f|--bpffs} | {-n|--nomount} |\n"
    "                    {-V|--version} }\n";

std::string usage(const std::string& self) {
    std::string objects;
    for (const Object& object : kObjects) {
        if (!object.usage.empty()) objects += fmt::format(" {} |", object.name);
    }
    objects.pop_back();
    return fmt::format(
        "Usage: {0} [OPTIONS] OBJECT {{ COMMAND | help }}\n"
        "       {0} batch file FILE\n"
        "       {0} version\n\n"
        "       OBJECT := {{{1}}}\n{2}",
        self, objects, kOptions);
}

std::string types_of_maps() {
    constexpr size_t kColumns = 80;
    std::string text = "       TYPE := {";
    size_t start = 0;
    for (int type = 1; type < 64; ++type) {
        const char* const name = libbpf_bpf_map_type_str(static_cast<bpf_map_type>(type));
        if (!name) continue;
        if (text.size() - start + std::strlen(name) + 3 > kColumns) {
            text += "\n                ";
            start = text.size() - 16;
        }
        text += fmt::format(" {} |", name);
    }
    text.back() = '}';
    return text + "\n";
}

std::string usage_of(const std::string& self, const Object& object) {
    std::string text;
    for (const char* const words : object.usage) {
        text += fmt::format("{} {} {} {}\n", text.empty() ? "Usage:" : "      ", self, object.name,
                            words);
    }
    text += std::string("\n") + object.words;
    if (object.name == std::string("map")) text += types_of_maps();
    return text + kOptions;
}

// The row that the word begins, in the table's order.
template <typename Row, size_t N, typename Fits>
const Row* find(const Row (&table)[N], const std::string& word, Fits&& fits) {
    for (const Row& row : table)
        if (is_short_for(word, row.name) && fits(row)) return &row;
    return nullptr;
}

class Tool {
  public:
    Tool(std::string self, Options options) : self_(std::move(self)), options_(options) {}

    // One command; what there is to show is shown, or put in `page` when that is given.
    int run(std::vector<std::string> words, Json* page) {
        usage_text_ = usage(self_);
        wrong_ = kFailed;
        try {
            Output out = carry_out(Words(std::move(words)), page != nullptr || in_batch_);
            if (page) {
                *page = std::move(out.json);
            } else if (options_.json) {
                show(out.json);
            } else {
                std::fputs(out.text.c_str(), stdout);
            }
            return out.status;
        } catch (const ShowUsage& shown) {
            if (!options_.json) std::fputs(usage_text_.c_str(), stderr);
            if (options_.json && !page) show({});
            return shown.status;
        } catch (const Failure& error) {
            report(error.what(), page);
            return error.status ? error.status : wrong_;
        }
    }

    int batch(Words words) {
        if (words.count() < 2) return failed("too few parameters for batch");
        if (!words.take_if("file")) return failed("expected 'file', got: " + words.peek());
        if (words.count() > 1) return failed("too many parameters for batch");
        const std::string path = words.take();
        std::ifstream file(path == "-" ? "/dev/stdin" : path);
        if (!file)
            return failed(fmt::format("Can't open file ({}): {}", path, std::strerror(errno)));
        in_batch_ = true;
        Json pages = Json::array();
        int status = 0, count = 0;
        for (std::string line; status == 0 && read_line(file, line);) {
            std::vector<std::string> parts = split(line);
            if (parts.empty()) continue;
            ++count;
            Json page;
            const auto shown = parts;
            if (line.size() > kMaxLine) {
                report(
                    fmt::format("command {}: a line of more than {} characters", count, kMaxLine),
                    options_.json ? &page : nullptr);
                status = kFailed;
            } else {
                status = run(std::move(parts), options_.json ? &page : nullptr);
            }
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

    int failed(const std::string& what) const {
        report(what, nullptr);
        return kFailed;
    }

  private:
    static constexpr size_t kMaxLine = 1u << 16;

    // What stands before the next line's end, as far as it is not too long.
    static bool read_part(std::istream& file, std::string& part) {
        part.clear();
        for (char c = 0; part.size() <= kMaxLine && file.get(c); part += c)
            if (c == '\n') return true;
        return !part.empty();
    }
    // A line without its comment; a backslash at its end goes on with the next. One that is longer
    // than kMaxLine is not whole.
    static bool read_line(std::istream& file, std::string& line) {
        line.clear();
        for (std::string part; read_part(file, part);) {
            const bool whole = part.size() <= kMaxLine;
            if (whole) part.resize(std::min(part.size(), part.find('#')));
            const bool more = whole && !part.empty() && part.back() == '\\';
            if (more) part.back() = ' ';
            line += part;
            if (!more || line.size() > kMaxLine) return true;
        }
        return !line.empty();
    }
    // Words; quotes hold together what stands in them.
    static std::vector<std::string> split(const std::string& line) {
        std::vector<std::string> words;
        char quote = 0;
        bool in_word = false;
        for (const char c : line) {
            if (quote ? c == quote : c == '"' || c == '\'') {
                quote = quote ? 0 : c;
                if (!in_word) words.emplace_back();
                in_word = true;
            } else if (!quote && std::isspace(static_cast<unsigned char>(c))) {
                in_word = false;
            } else {
                if (!in_word) words.emplace_back();
                in_word = true;
                words.back() += c;
            }
        }
        return words;
    }

    Output carry_out(Words words, bool in_batch) {
        if (words.empty() || words.next_is("help")) throw ShowUsage{0};
        const std::string word = words.take();
        const Object* const object = find(kObjects, word, [](const Object&) { return true; });
        if (!object) {
            if (is_short_for(word, "version")) return version();
            throw ShowUsage();
        }
        if (object->usage.empty())
            throw Failure(fmt::format("the object '{}' is not supported yet", object->name));
        usage_text_ = usage_of(self_, *object);
        const std::string name = words.empty() ? "show" : words.take();
        const Command* const command = find(kCommands, name, [&](const Command& its) {
            return std::string_view(its.object) == object->name;
        });
        if (is_short_for(name, "help")) throw ShowUsage{0};
        if (!command) throw ShowUsage();
        if (!command->run) {
            throw Failure(fmt::format("the command '{} {}' is not supported yet", object->name,
                                      command->name));
        }
        wrong_ = command->wrong;
        Output out = command->run(options_, words);
        if (command->changes && !in_batch && !options_.json && !std::getenv("EBPF_SERVICE")) {
            fmt::print(stderr,
                       "Warning: without a service (EBPF_SERVICE) objects, pins and attachments "
                       "end with this process; `batch file` runs several commands in one\n");
        }
        return out;
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

    void show(const Json& json) const { std::puts(json_text(json, options_.pretty).c_str()); }

    // An empty text says nothing: neither an object nor an error, as bpftool does for a name or tag
    // that nothing has.
    void report(const std::string& what, Json* page) const {
        const Json json = {{"error", what}};
        if (page) {
            if (!what.empty()) *page = json;
        } else if (options_.json) {
            what.empty() ? void(std::puts("")) : show(json);
        } else if (!what.empty()) {
            fmt::print(stderr, "Error: {}\n", what);
        }
    }

    std::string self_, usage_text_;
    Options options_;
    int wrong_ = kFailed;
    bool in_batch_ = false;
};

int main_of(int argc, char** argv) {
    constexpr option kLong[] = {{"json", no_argument, nullptr, 'j'},
                                {"pretty", no_argument, nullptr, 'p'},
                                {"bpffs", no_argument, nullptr, 'f'},
                                {"nomount", no_argument, nullptr, 'n'},
                                {"version", no_argument, nullptr, 'V'},
                                {"help", no_argument, nullptr, 'h'},
                                {nullptr, 0, nullptr, 0}};
    Options options;
    std::vector<std::string> instead;
    opterr = 0;
    for (int letter = 0; (letter = getopt_long(argc, argv, "jpfnVh", kLong, nullptr)) != -1;) {
        switch (letter) {
            case 'j':
                options.json = true;
                break;
            case 'p':
                options.json = options.pretty = true;
                break;
            case 'f':
                options.pins = true;
                break;
            case 'n':
                break;  // nothing is ever mounted
            case 'V':
                instead = {"version"};
                break;
            case 'h':
                instead = {"help"};
                break;
            default: {
                const int status =
                    Tool(argv[0], options)
                        .failed(fmt::format("unrecognized option '{}'", argv[optind - 1]));
                if (!options.json) std::fputs(usage(argv[0]).c_str(), stderr);
                return status;
            }
        }
        if (!instead.empty()) break;
    }
    Tool tool(argv[0], options);
    std::vector<std::string> words(argv + optind, argv + argc);
    if (!instead.empty()) return tool.run(instead, nullptr);
    if (!words.empty() && is_short_for(words[0], "batch"))
        return tool.batch(Words({words.begin() + 1, words.end()}));
    return tool.run(std::move(words), nullptr);
}

}  // namespace
}  // namespace bpftool

int main(int argc, char** argv) {
    try {
        return bpftool::main_of(argc, argv);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "Error: %s\n", error.what());
        return bpftool::kFailed;
    }
}
