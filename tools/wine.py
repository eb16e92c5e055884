#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs Windows programs of GoogleTest cases under Wine and adds up their cases.

The prefix (Wine's Windows folder) is made once in BUILD/wine, as Windows 10, without display or
network. With --driver its kernel is our test kernel: tests/wine/test_kernel.cpp, linked here with
forwarders for every other function to a copy of the installed Wine's ntoskrnl.exe. Nothing of Wine
leaves the build folder. The last line says "N passed, N failed, N skipped". Where Wine is not
installed, all counts as one skipped case.

usage: wine.py BUILD [--driver DRIVER.sys --test-kernel OBJECT] PROGRAM ... [-- ARGUMENTS]
"""
import argparse
import fcntl
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import check_image  # noqa: E402

WINE_MODULES = (pathlib.Path("/usr/lib/x86_64-linux-gnu/wine/x86_64-windows"),
                pathlib.Path("/usr/lib/wine/x86_64-windows"))
MARKER_AT, MARKER = 0x40, b"Wine builtin DLL"


def exports(image):
    """The names that a PE file exports."""
    at = image.offset(image.directories[check_image.EXPORT][0])
    count, = struct.unpack_from("<I", image.data, at + 24)
    names = image.offset(struct.unpack_from("<I", image.data, at + 32)[0])
    return [image.string(struct.unpack_from("<I", image.data, names + 4 * i)[0]) for i in range(count)]


def run(command, **more):
    subprocess.run([str(word) for word in command], check=True, **more)


class Prefix:
    def __init__(self, build):
        self.folder = build / "wine"
        self.environment = {
            **os.environ, "WINEPREFIX": str(self.folder.resolve()), "WINEDEBUG": os.environ.get("WINEDEBUG", "-all"),
            "WINEDLLOVERRIDES": "mscoree,mshtml=;winemenubuilder.exe=d;ntoskrnl.exe=n"}
        self.system = self.folder / "drive_c/windows/system32"

    def wine(self, words, seconds, **more):
        return subprocess.run(["timeout", "-k", "10", str(seconds), *[str(w) for w in words]],
                              env=self.environment, stdin=subprocess.DEVNULL, **more)

    def make(self):
        made = self.folder / "made"
        if made.exists():
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        plain = dict(self.environment)
        self.environment["WINEDLLOVERRIDES"] = "mscoree,mshtml=;winemenubuilder.exe=d"
        self.wine(["wine", "wineboot", "-i"], 300, **quiet)
        self.wine(["wine", "winecfg", "-v", "win10"], 120, **quiet)
        self.wine(["wineserver", "-w"], 120, **quiet)
        self.environment = plain
        if not (self.system / "ntdll.dll").exists():
            raise RuntimeError("Wine could not make its prefix")
        made.touch()

    def end(self):
        """Ends what runs in this prefix, and nothing else."""
        self.wine(["wineserver", "-k"], 60)
        self.wine(["wineserver", "-w"], 60)

    def install_test_kernel(self, build, test_object):
        installed = next((m / "ntoskrnl.exe" for m in WINE_MODULES if (m / "ntoskrnl.exe").exists()), None)
        if installed is None:
            raise RuntimeError("this Wine has no ntoskrnl.exe")
        data = bytearray(installed.read_bytes())
        names = exports(check_image.Image(bytes(data)))
        if data[MARKER_AT:MARKER_AT + len(MARKER)] != MARKER:
            raise RuntimeError("Wine's ntoskrnl.exe is not as it is known")
        data[MARKER_AT:MARKER_AT + 32] = bytes(32)  # else Wine takes its own file instead
        work = build / "test_kernel"
        work.mkdir(exist_ok=True)
        defined = subprocess.run(["llvm-nm-19", "--defined-only", "--extern-only", "--format=posix", test_object],
                                 capture_output=True, text=True, check=True).stdout
        own = {line.split()[0] for line in defined.splitlines() if line.split()[1] == "T"}
        own = {name for name in own if name[0] in "IKMEO_SPZ" and not name.startswith("_Z")}
        (work / "ntosbase.def").write_text("\n".join(
            ["LIBRARY ntosbase.dll", "EXPORTS", *(f"{n} DATA" if n in own or n == "PsProcessType" else n
                                                  for n in sorted(names))]) + "\n")
        (work / "ntoskrnl.def").write_text("\n".join(
            ["LIBRARY ntoskrnl.exe", "EXPORTS", *(n if n in own else f"{n} = ntosbase.{n}"
                                                  for n in sorted(own | set(names)))]) + "\n")
        run(["llvm-dlltool-19", "-m", "i386:x86-64", "-d", work / "ntosbase.def", "-l", work / "ntosbase.lib"])
        run(["lld-link-19", "/dll", "/noentry", "/nodefaultlib", "/base:0x31ca80000", f"/def:{work / 'ntoskrnl.def'}",
             f"/out:{work / 'ntoskrnl.exe'}", test_object, work / "ntosbase.lib"])
        for name, content in (("ntosbase.dll", bytes(data)), ("ntoskrnl.exe", (work / "ntoskrnl.exe").read_bytes())):
            (self.system / name).unlink(missing_ok=True)
            (self.system / name).write_bytes(content)

    def run_tests(self, program, arguments, seconds):
        """(passed, failed, skipped) of one program; a crash or a hang is a failure of its own."""
        report = self.folder / (program.stem + ".xml")
        report.unlink(missing_ok=True)
        done = self.wine(["wine", program, f"--gtest_output=xml:Z:{report.resolve()}", *arguments], seconds,
                         capture_output=True, text=True, errors="replace")
        counts = [0, 0, 0]
        try:
            for case in xml.etree.ElementTree.parse(report).iter("testcase"):
                if case.get("status") == "notrun":
                    continue
                bad, skipped = case.find("failure") is not None, case.get("result") == "skipped"
                counts[1 if bad else 2 if skipped else 0] += 1
        except (OSError, xml.etree.ElementTree.ParseError):
            counts[1] += 1
        if done.returncode != 0:
            counts[1] = max(counts[1], 1)
            lines = (done.stdout + done.stderr).splitlines()
            print("\n".join(lines[-60:]))
        if sum(counts) == 0:
            counts[1] = 1
        print(f"{program.name}: {counts[0]} passed, {counts[1]} failed, {counts[2]} skipped (status {done.returncode})")
        return counts


def main():
    words = sys.argv[1:]
    split = words.index("--") if "--" in words else len(words)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--driver", type=pathlib.Path)
    parser.add_argument("--test-kernel", type=pathlib.Path)
    parser.add_argument("--seconds", type=int, default=600, help="bound for each program")
    parser.add_argument("programs", nargs="+", type=pathlib.Path)
    options = parser.parse_args(words[:split])
    if not shutil.which("wine") or not shutil.which("wineserver"):
        print("Wine is not installed here (apt-get install wine wine64): nothing was run\n0 passed, 0 failed, 1 skipped")
        return 0
    options.build.mkdir(parents=True, exist_ok=True)
    total = [0, 0, 0]
    with open(options.build / "wine.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        prefix = Prefix(options.build)
        try:
            prefix.make()
            if options.driver:
                prefix.end()
                prefix.install_test_kernel(options.build, options.test_kernel)
                prefix.environment["EBPFCORE"] = "Z:" + str(options.driver.resolve())
            for program in (p.with_suffix(".exe") for p in options.programs):
                for i, n in enumerate(prefix.run_tests(program, words[split + 1:], options.seconds)):
                    total[i] += n
        finally:
            prefix.end()
    print("{} passed, {} failed, {} skipped".format(*total))
    return 1 if total[1] else 0


if __name__ == "__main__":
    sys.exit(main())
