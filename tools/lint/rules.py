# SPDX-License-Identifier: MIT
"""The lints that only read text. Each takes a Project and yields Findings; its docstring is what
`./dev lint --list` prints."""
import pathlib
import re

from project import Finding

# --- Layers -------------------------------------------------------------------------------------


def layers(project):
    """includes go downward, as the folder table of ARCHITECTURE.md says"""
    if not project.folders:
        yield Finding("ARCHITECTURE.md", 1, "no folder table found")
    for name in project.sources("src"):
        top = name.split("/")[1]
        folder = project.folders.get(top)
        if folder is None:
            yield Finding(name, 1, f"folder src/{top} is not in ARCHITECTURE.md's table")
            continue
        for line, target in project.includes(name):
            other = target.split("/")[0]
            if target.startswith("../../../examples/") and top == "products":
                continue  # a demonstration and its BPF program share a header
            if target.startswith("../") or "/../" in target:
                yield Finding(name, line, f'"{target}": include from src/, as "folder/file.hpp"')
            elif other in project.folders and other not in folder.may_include:
                yield Finding(name, line, f"{top}/ may not include {other}/ (ARCHITECTURE.md)")


# --- The kernel subset --------------------------------------------------------------------------

# Parts of [K] folders that are for user mode, as ARCHITECTURE.md says.
USER_PARTS = ("src/platform/user/", "src/platform/linux/", "src/platform/windows_user/",
              "src/isa/text/")

KERNEL_HEADERS = {
    "iostream", "ostream", "istream", "sstream", "fstream", "iomanip", "string", "vector", "map", "set",
    "unordered_map", "unordered_set", "deque", "list", "forward_list", "queue", "stack", "functional",
    "thread", "mutex", "shared_mutex", "condition_variable", "future", "regex", "format", "print",
    "filesystem", "stdexcept", "locale", "any", "memory_resource",
}
KERNEL_WORDS = [
    (r"\bthrow\b", "no exceptions"),
    (r"\btry\s*\{", "no exceptions"),
    (r"\bdynamic_cast\b", "no RTTI"),
    (r"\btypeid\b", "no RTTI"),
    (r"\bthread_local\b", "no thread_local"),
    (r"\bnew\s+[A-Za-z_:]", "only placement new: memory comes from platform/"),
    (r"(?<!operator )\bdelete\s+(?:\[\]\s*)?[A-Za-z_*(]", "memory goes back to platform/"),
]


def kernel_subset(project):
    """[K] code uses nothing that a kernel lacks"""
    for folder in project.folders.values():
        listing = f"src/{folder.name}/CMakeLists.txt"
        if not (folder.kernel or folder.kernel_part) or listing not in project.files:
            continue
        own = [n for n in project.files if n.startswith(f"src/{folder.name}/") and n.endswith(".cpp")]
        if folder.kernel:
            for name in own:
                if name not in project.kernel_sources and not name.startswith(USER_PARTS):
                    yield Finding(name, 1, f"{folder.name}/ is [K], but no KERNEL module has this file")
        elif own and not project.kernel_sources.intersection(own):
            yield Finding(listing, 1, f"a part of {folder.name}/ is [K], but it has no KERNEL module")
    for name in sorted(project.kernel_files):
        if name.startswith(USER_PARTS):
            continue
        for number, target in project.includes(name):
            if f"src/{target}".startswith(USER_PARTS):
                yield Finding(name, number, f"[K] code may not include the user-mode {target}")
        for number, line in enumerate(project.code(name).splitlines(), 1):
            header = re.match(r"\s*#\s*include\s*<([^>]+)>", line)
            if header and header.group(1) in KERNEL_HEADERS:
                yield Finding(name, number, f"[K] code may not include <{header.group(1)}>")
            for pattern, why in KERNEL_WORDS:
                if not header and re.search(pattern, line):
                    yield Finding(name, number, f"[K] code: {why}")


# --- One place for each outside fact ------------------------------------------------------------

OS_MACRO = re.compile(
    r"\b(_WIN32|_WIN64|__linux__|__linux|__unix__|__APPLE__|__FreeBSD__|__MINGW32__|__MINGW64__|"
    r"_KERNEL_MODE|__CYGWIN__)\b")
OS_HEADER = re.compile(
    r"<((windows|winsock2|winternl|ntddk|ntifs|wdm|unistd|pthread|fcntl|dlfcn|poll|sched|signal|ifaddrs|"
    r"netdb|pwd|grp|syslog|spawn|termios)\.h|(sys|linux|netinet|arpa|net|asm)/[^>]*)>")
# products/ are the composition roots and mains of one system: libebpfapi's descriptors, for example,
# are the host's.
OS_FOLDERS = ("src/platform/", "src/products/")


def systems(project):
    """only platform/ names an operating system"""
    for name in project.sources("src"):
        if name.startswith("src/platform/"):
            continue
        for number, line in enumerate(project.code(name).splitlines(), 1):
            if not line.lstrip().startswith("#"):
                continue
            if re.match(r"\s*#\s*(el)?if", line) and (macro := OS_MACRO.search(line)):
                yield Finding(name, number, f"{macro.group(1)} outside platform/")
            header = OS_HEADER.search(line)
            if header and not name.startswith(OS_FOLDERS):
                yield Finding(name, number, f"<{header.group(1)}> outside platform/")


def errno_owner(project):
    """only api/ and platform/ touch the host's errno"""
    for name in project.sources("src"):
        if name.startswith(("src/api/", "src/platform/", "src/products/", "src/sources/")):
            continue
        for number, line in enumerate(project.code(name).splitlines(), 1):
            if re.search(r"(?<![\w.>])errno\b(?!\s*[,)\w])", line) and "#define" not in line:
                yield Finding(name, number, "errno outside api/ and platform/")


CPU = re.compile(
    r"\b(__x86_64__|__aarch64__|__i386__|_M_X64|_M_AMD64|_M_ARM64|__amd64__)\b|"
    r"<(immintrin|x86intrin|emmintrin|arm_neon|intrin|cpuid)\.h>|\b__builtin_ia32_\w+|\b_mm\d*_\w+")


def cpus(project):
    """only jit/, aot/ and platform/ name a CPU"""
    for name in project.sources("src"):
        if name.startswith(("src/jit/", "src/aot/", "src/platform/")):
            continue
        for number, line in enumerate(project.code(name).splitlines(), 1):
            if found := CPU.search(line):
                yield Finding(name, number, f"{found.group(0)}: a CPU's name outside jit/, aot/, platform/")


OPCODE = re.compile(
    r"\bBPF_(ALU|ALU64|JMP|JMP32|LD|LDX|ST|STX|IMM|ABS|IND|MEM|MEMSX|ATOMIC|XADD|K|X|JA|CALL|EXIT)\b|"
    r"\bopcode\s*(==|!=|=|&)\s*0x[0-9a-fA-F]+|\bswitch\s*\([^)]*\bopcode\b")


def opcodes(project):
    """only isa/ names an opcode byte"""
    for name in project.sources("src"):
        # A packet socket's filter is the host's interface: its classic BPF is not our instructions.
        if name.startswith(("src/isa/", "src/platform/linux/")):
            continue
        for number, line in enumerate(project.code(name).splitlines(), 1):
            if found := OPCODE.search(line):
                yield Finding(name, number, f"{found.group(0)}: an opcode byte outside isa/")


PURE = ("verifier", "jit", "aot", "elf", "btf", "ir", "code")
IMPURE = re.compile(
    r"<(fstream|iostream|filesystem|thread|mutex|future|condition_variable)>|"
    r"\b(fopen|printf|fprintf|puts|fwrite|getenv|system|std::cout|std::cerr|thread_local)\b\s*[(<;]?")
GLOBAL = re.compile(r"^(?:static|inline)\s+(?!const\b|constexpr\b|consteval\b|constinit const\b|inline const)"
                    r"[\w:<>,\s*&]+\s\**\w+\s*(=[^=].*|\{.*\})?;\s*$")


def pure(project):
    """verifier, jit, aot, elf, btf, ir and code do no I/O, keep no globals, start no threads"""
    for name in project.sources("src"):
        if name.split("/")[1] not in PURE:
            continue
        for number, line in enumerate(project.code(name).splitlines(), 1):
            if found := IMPURE.search(line):
                yield Finding(name, number, f"{found.group(0).strip()}: I/O or threads in {name.split('/')[1]}/")
            elif GLOBAL.match(line):
                yield Finding(name, number, f"a variable with static storage in {name.split('/')[1]}/")


# --- Habits -------------------------------------------------------------------------------------

TEXT_SUFFIXES = {".cpp", ".hpp", ".c", ".h", ".def", ".inc", ".py", ".sh", ".md", ".cmake", ".txt",
                 ".json", ".in", ".yml", ".yaml", ".csv", ""}
MARKER = re.compile(r"\b(TO" r"DO|FIX" r"ME|HA" r"CK)\b")
MACHINE_PATH = re.compile(r"(?<![\w.$}])/(work|home|root|Users)/\w")


def habits(project):
    """no markers of unfinished work, no paths of somebody's machine, SPDX line first"""
    for name in project.files:
        suffix = pathlib.PurePath(name).suffix
        if suffix not in TEXT_SUFFIXES or name.startswith(("fuzz/corpus/", "tests/data/", "LICENSE")):
            continue
        text = project.text(name)
        for number, line in enumerate(text.splitlines(), 1):
            if found := MARKER.search(line):
                yield Finding(name, number, f"{found.group(0)}: finish it or file an issue")
            if found := MACHINE_PATH.search(line):
                yield Finding(name, number, f"{found.group(0)}...: a path of one machine")
        if suffix in {".cpp", ".hpp", ".h", ".c"} and "SPDX-License-Identifier: MIT" not in text[:200]:
            yield Finding(name, 1, "the first line is: // SPDX-License-Identifier: MIT")


FILE_LINES, FUNCTION_LINES = 500, 60


def sizes(project):
    """files past 500 and functions past 60 lines ask for a second look (warnings)"""
    for name in project.sources("src", "include"):
        lines = project.text(name).splitlines()
        if name.endswith(".def"):
            continue
        if len(lines) > FILE_LINES:
            yield Finding(name, 1, f"{len(lines)} lines", warning=True)
        start = None
        for number, line in enumerate(lines, 1):
            if re.match(r"[A-Za-z_].*\)[^;]*\{\s*$|    .*\)[^;]*\{\s*$", line) and line[0] != " " \
                    and not line.startswith(("namespace", "struct", "class", "enum", "union")):
                start = number
            elif line.startswith("}") and start is not None:
                if number - start > FUNCTION_LINES:
                    yield Finding(name, start, f"a function of {number - start} lines", warning=True)
                start = None


# --- Documents ----------------------------------------------------------------------------------


def expand_braces(text):
    found = re.search(r"\{([^{}]*)\}", text)
    if not found:
        return [text]
    return [tail for part in found.group(1).split(",")
            for tail in expand_braces(text[:found.start()] + part + text[found.end():])]


def docs(project):
    """paths that README, ARCHITECTURE and docs/ name exist"""
    tops = {n.split("/")[0] for n in project.files if "/" in n} - {"build"}
    planned = {name for name in project.folders
               if re.search(r"\bnot yet\b", project.text("ARCHITECTURE.md").splitlines()[
                   project.folders[name].line - 1])}

    def exists(path, base):
        return any(any(where.glob(path.rstrip("/"))) if "*" in path else (where / path).exists()
                   for where in (project.root, project.root / "src", base))

    for name in project.files:
        if not re.fullmatch(r"(README|ARCHITECTURE|CONTRIBUTING)\.md|docs/.*\.md|src/.*README\.md", name):
            continue
        base = (project.root / name).parent
        fenced = False
        for number, line in enumerate(project.text(name).splitlines(), 1):
            if line.startswith("```"):
                fenced = not fenced
            named = [] if fenced else [t for t in re.findall(r"`([^`\s]+)`", line) if "/" in t]
            named = [t for t in named if re.fullmatch(r"[\w./*{},-]+", t)
                     and t.split("/")[0] in (tops | set(project.folders)) - planned]
            named += [t.partition("#")[0] for t in re.findall(r"\]\(([^)\s]+)\)", line)
                      if not re.match(r"[a-z]+:|#", t)]
            for token in named:
                for path in expand_braces(token):
                    if path and not exists(path, base):
                        yield Finding(name, number, f"{path} does not exist")


TEXT_RULES = [layers, kernel_subset, systems, errno_owner, cpus, opcodes, pure, habits, sizes, docs]
