# SPDX-License-Identifier: MIT
"""What the lints look at: the project's files, the folder table of ARCHITECTURE.md, and which files
belong to the kernel subset."""
import dataclasses
import functools
import pathlib
import re
import subprocess

CODE_SUFFIXES = {".cpp", ".hpp", ".c", ".h", ".def", ".inc"}


@dataclasses.dataclass(frozen=True)
class Finding:
    path: str
    line: int
    message: str
    warning: bool = False  # shown, but does not fail the lint

    def __str__(self):
        return f"{self.path}:{self.line}: {'warning: ' if self.warning else ''}{self.message}"


@dataclasses.dataclass
class Folder:
    name: str
    kernel: bool       # its whole row is [K]
    kernel_part: bool  # "[K reader ...]": a part of it is, as its CMakeLists.txt says
    may_include: set
    line: int


def blank(match):
    """Replaces text by spaces and keeps the lines, so that places stay right."""
    return re.sub(r"[^\n]", " ", match.group(0))


def code_only(text, keep_strings=False):
    """C++ text with comments (and string literals, but not the names in #include) made blank."""
    pattern = r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''

    def replace(match):
        start = match.group(0)[0]
        if start == "/":
            return blank(match)
        line_start = text.rfind("\n", 0, match.start()) + 1
        if keep_strings or text[line_start:match.start()].lstrip().startswith("#"):
            return match.group(0)
        return blank(match)

    return re.sub(pattern, replace, text, flags=re.S)


class Project:
    def __init__(self, root):
        self.root = pathlib.Path(root).resolve()

    @functools.cached_property
    def files(self):
        """Every file of the project, relative: what git tracks or would track; all files without git."""
        try:
            names = subprocess.run(
                ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=self.root,
                check=True, capture_output=True, text=True).stdout.split("\0")
        except (OSError, subprocess.CalledProcessError):
            names = [str(p.relative_to(self.root)) for p in self.root.rglob("*") if p.is_file()]
        return sorted(n for n in names
                      if n and not n.startswith("build/") and (self.root / n).is_file())

    @functools.cache
    def text(self, name):
        """A file's text; binary files are empty."""
        data = (self.root / name).read_bytes()
        return "" if b"\0" in data[:8192] else data.decode("utf-8", "replace")

    @functools.cache
    def code(self, name):
        return code_only(self.text(name))

    def sources(self, *tops):
        """C and C++ files below the given top folders."""
        return [n for n in self.files
                if n.split("/")[0] in tops and pathlib.PurePath(n).suffix in CODE_SUFFIXES]

    @functools.cached_property
    def folders(self):
        """The table "Folders under src/" of ARCHITECTURE.md, in its order."""
        table = {}
        for number, line in enumerate(self.text("ARCHITECTURE.md").splitlines(), 1):
            row = re.match(r"\|\s*`(\w+)/`([^|]*)\|.*\|([^|]*)\|\s*$", line)
            if not row:
                continue
            name, mark, allowed = row.group(1), row.group(2), row.group(3).strip()
            if allowed == "everything":
                may = set(table)
            elif allowed.startswith("all above"):
                may = set(table) - set(re.findall(r"\w+", allowed.partition(" but ")[2]))
            else:
                may = set(re.findall(r"\w+", allowed))
            table[name] = Folder(name, "[K]" in mark, bool(re.search(r"\[K\W+\w|\[K \w", mark)),
                                 may | {name}, number)
        return table

    @functools.cache
    def includes(self, name):
        """(line, target) of each #include "..." of a file."""
        return [(number, m.group(1)) for number, line in enumerate(self.code(name).splitlines(), 1)
                if (m := re.match(r'\s*#\s*include\s*"([^"]+)"', line))]

    @functools.cached_property
    def kernel_sources(self):
        """The .cpp files of modules that their CMakeLists.txt declares KERNEL."""
        found = set()
        for name in self.files:
            if not re.fullmatch(r"src/.*CMakeLists\.txt", name):
                continue
            text = re.sub(r"#[^\n]*", "", self.text(name))
            for body in re.findall(r"casement_module\(([^)]*)\)", text):
                words = body.split()
                if "KERNEL" not in words:
                    continue
                for variable, value in re.findall(r"set\((\w+) ([\w/.]+)\)", text):
                    words += [w.replace(f"${{{variable}}}", value) for w in words]
                found |= {f"{pathlib.PurePath(name).parent}/{w}" for w in words if w.endswith(".cpp")}
        return found

    @functools.cached_property
    def kernel_files(self):
        """The kernel subset: those sources and every header of ours that they include."""
        known, queue = set(), [n for n in self.kernel_sources if (self.root / n).is_file()]
        while queue:
            name = queue.pop()
            if name in known:
                continue
            known.add(name)
            for _, target in self.includes(name):
                if (self.root / "src" / target).is_file():
                    queue.append(f"src/{target}")
        return known
