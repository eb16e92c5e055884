# SPDX-License-Identifier: MIT
"""The lints that run a compiler, clang-format or clang-tidy."""
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess

from project import Finding


def run_all(commands, root):
    """Runs (name, command[, input]) tuples on all CPUs; yields (name, status, output)."""
    def one(item):
        name, command, *text = item
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False,
                              input=text[0] if text else None)
        return name, done.returncode, done.stdout + done.stderr
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(one, commands)


def format_files(project):
    return [n for n in project.files if pathlib.PurePath(n).suffix in {".cpp", ".hpp", ".h", ".c"}
            and n.split("/")[0] in {"src", "tests", "include", "examples", "fuzz", "bench", "sdk"}]


def format(project, options):
    """clang-format-19 would change nothing (./dev fmt changes it)"""
    files = format_files(project)
    if not shutil.which("clang-format-19"):
        yield Finding(".clang-format", 1, "clang-format-19 is not installed")
        return
    if options.fix:
        for start in range(0, len(files), 50):
            subprocess.run(["clang-format-19", "-i", *files[start:start + 50]], cwd=project.root, check=True)
        return
    batches = [files[i::os.cpu_count()] for i in range(os.cpu_count())]
    jobs = [("", ["clang-format-19", "--dry-run", "-Werror", *batch]) for batch in batches if batch]
    for _, status, output in run_all(jobs, project.root):
        first = {}
        for name, line in re.findall(r"^(\S+?):(\d+):\d+: error", output, flags=re.M):
            first.setdefault(name, int(line))
        if status and not first:
            yield Finding(".clang-format", 1, f"clang-format-19 failed: {output.strip()[:200]}")
        for name, line in sorted(first.items()):
            yield Finding(name, line, "not formatted: ./dev fmt")


def public_headers(project, options):
    """include/**/*.h compile alone, as C11 and as C++"""
    del options
    jobs = []
    for name in project.files:
        if name.startswith("include/") and name.endswith(".h"):
            common = ["-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-Iinclude", "-x"]
            user = f'#include "{name.removeprefix("include/")}"\nextern int user;\n'
            jobs.append((name, ["gcc", "-std=c11", "-pedantic", *common, "c", "-"], user))
            jobs.append((name, ["g++", "-std=c++17", *common, "c++", "-"], user))
    for name, status, output in run_all(jobs, project.root):
        if status:
            yield Finding(name, 1, f"does not compile alone: {output.strip().splitlines()[0]}")


def changed_files(project):
    """Files that differ from the main branch, committed or not."""
    def git(*arguments):
        done = subprocess.run(["git", *arguments], cwd=project.root, capture_output=True, text=True,
                              check=False)
        return done.stdout.split("\n") if done.returncode == 0 else []
    base = (git("merge-base", "HEAD", "origin/main") or git("merge-base", "HEAD", "main") or ["HEAD"])[0]
    return set(git("diff", "--name-only", base)) | set(git("ls-files", "--others", "--exclude-standard"))


def tidy(project, options):
    """clang-tidy-19 with .clang-tidy: over changed sources, with --full over all"""
    database = project.root / (options.build or "") / "compile_commands.json"
    if not options.build or not database.is_file():
        return
    listed = {os.path.relpath(entry["file"], project.root) for entry in json.loads(database.read_text())}
    wanted = sorted(n for n in listed if n.startswith("src/") and n.endswith(".cpp"))
    if not options.full:
        changed = changed_files(project)
        wanted = [n for n in wanted if n in changed]
    if wanted and not shutil.which("clang-tidy-19"):
        yield Finding(".clang-tidy", 1, "clang-tidy-19 is not installed")
        return
    jobs = [(n, ["clang-tidy-19", "-p", options.build, "--quiet", n]) for n in wanted]
    seen = set()
    for name, status, output in run_all(jobs, project.root):
        hits = re.findall(r"^(\S+?):(\d+):\d+: (warning|error): (.*)$", output, flags=re.M)
        for path, line, _, message in hits:
            shown = os.path.relpath(path, project.root)
            if (shown, line, message) not in seen:
                seen.add((shown, line, message))
                yield Finding(shown, int(line), message)
        if status and not hits:
            yield Finding(name, 1, f"clang-tidy failed: {output.strip()[:200]}")


TOOL_RULES = [format, public_headers, tidy]
