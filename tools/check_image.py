#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks a Windows driver image against the rules of the PE format, of the kernel's loader and of
memory integrity (HVCI) that can be read from the file:

  no section writable and executable; sections page-aligned; imports outside executable sections
  native subsystem, version 10.0 or later; correct checksum
  relocatable, NX, high-entropy addresses
  unwind data (.pdata) and a load configuration with a stack cookie present
  no thread-local storage, no C or C++ start-up code (constructor tables) in image or archives
  imports only what the allow-lists (.def files) name

That Windows loads an image is known only when somebody has seen it; this finds what would stop it.

usage: check_image.py IMAGE --allow NAME.def ... [--archives LIB ...]
"""
import argparse
import pathlib
import struct
import subprocess
import sys

EXECUTE, WRITE = 0x20000000, 0x80000000
EXPORT, IMPORT, EXCEPTION, RELOCATION, TLS, LOAD_CONFIG, IAT = 0, 1, 3, 5, 9, 10, 12


class Image:
    """The headers of a PE32+ file. Raises ValueError or struct.error when it is not one."""

    def __init__(self, data):
        self.data = data
        if data[:2] != b"MZ":
            raise ValueError("no MZ header")
        pe, = struct.unpack_from("<I", data, 0x3C)
        if data[pe:pe + 4] != b"PE\0\0":
            raise ValueError("no PE header")
        count, = struct.unpack_from("<H", data, pe + 6)
        optional_size, self.characteristics = struct.unpack_from("<HH", data, pe + 20)
        self.optional = pe + 24
        if struct.unpack_from("<H", data, self.optional)[0] != 0x20B:
            raise ValueError("not PE32+")
        self.section_alignment, = struct.unpack_from("<I", data, self.optional + 32)
        self.subsystem_version = struct.unpack_from("<HH", data, self.optional + 48)
        self.checksum, self.subsystem, self.dll_characteristics = struct.unpack_from(
            "<IHH", data, self.optional + 64)
        directories, = struct.unpack_from("<I", data, self.optional + 108)
        self.directories = [struct.unpack_from("<II", data, self.optional + 112 + 8 * i)
                            for i in range(min(directories, 16))]
        self.directories += [(0, 0)] * (16 - len(self.directories))
        self.sections = []
        for i in range(count):
            at = self.optional + optional_size + 40 * i
            name = data[at:at + 8].rstrip(b"\0").decode("latin1")
            size, address, raw_size, raw = struct.unpack_from("<IIII", data, at + 8)
            flags, = struct.unpack_from("<I", data, at + 36)
            self.sections.append((name, address, max(size, raw_size), raw, flags))

    def section_of(self, rva):
        for section in self.sections:
            if section[1] <= rva < section[1] + section[2]:
                return section
        raise ValueError(f"address {rva:#x} is in no section")

    def offset(self, rva):
        section = self.section_of(rva)
        return rva - section[1] + section[3]

    def string(self, rva):
        start = self.offset(rva)
        return self.data[start:self.data.index(b"\0", start)].decode("latin1")

    def imports(self):
        """(module, function) pairs; a function imported by number is "#number"."""
        at = self.offset(self.directories[IMPORT][0]) if self.directories[IMPORT][0] else None
        while at is not None:
            lookup, _, _, name, table = struct.unpack_from("<IIIII", self.data, at)
            if name == 0:
                return
            entry = self.offset(lookup or table)
            while (value := struct.unpack_from("<Q", self.data, entry)[0]) != 0:
                function = f"#{value & 0xFFFF}" if value >> 63 else self.string((value & 0x7FFFFFFF) + 2)
                yield self.string(name).lower(), function
                entry += 8
            at += 20

    def computed_checksum(self):
        """ImageHlp's sum: 16-bit words with end-around carry, without the field itself, plus the size."""
        data = self.data + b"\0" * (len(self.data) % 2)
        field = self.optional + 64
        total = sum(struct.unpack(f"<{len(data) // 2}H", data))
        total -= sum(struct.unpack_from("<HH", data, field))
        while total >> 16:
            total = (total & 0xFFFF) + (total >> 16)
        return total + len(self.data)


def read_allowed(paths):
    """{(module, function)} of .def files: LIBRARY line, EXPORTS line, one name per line."""
    allowed = set()
    for path in paths:
        module = None
        for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
            words = line.partition(";")[0].split()
            if not words or words[0] == "EXPORTS":
                continue
            if words[0] == "LIBRARY":
                module = words[1].strip('"').lower()
            else:
                allowed.add((module, words[0]))
    return allowed


def check(image, allowed):
    """The findings about one image, as sentences."""
    imports_at = [image.directories[i][0] for i in (IMPORT, IAT) if image.directories[i][0]]
    for name, address, size, _, flags in image.sections:
        if flags & EXECUTE and flags & WRITE:
            yield f"section {name} is writable and executable"
        if address % 0x1000:
            yield f"section {name} does not start at a page"
        if flags & EXECUTE and any(address <= at < address + size for at in imports_at):
            yield f"imports lie in executable section {name}"
        if name in (".tls", ".CRT", ".ctors", ".init_array"):
            yield f"section {name}: nothing runs or sets it up in a driver"
    if image.section_alignment % 0x1000:
        yield f"section alignment {image.section_alignment:#x} is not a multiple of a page"
    if image.subsystem != 1:
        yield f"subsystem {image.subsystem} is not native (1)"
    if image.subsystem_version < (10, 0):
        yield "subsystem version {}.{} is older than 10.0".format(*image.subsystem_version)
    if image.checksum != image.computed_checksum():
        yield f"checksum {image.checksum:#x}, but {image.computed_checksum():#x} is right"
    for bit, name in ((0x20, "high-entropy addresses"), (0x40, "a dynamic base"), (0x100, "NX")):
        if not image.dll_characteristics & bit:
            yield f"does not declare {name}"
    if image.characteristics & 1 or not image.directories[RELOCATION][0]:
        yield "no relocations"
    if image.directories[TLS][0]:
        yield "has thread-local storage"
    if not image.directories[EXCEPTION][0]:
        yield "no unwind data (.pdata)"
    if not image.directories[LOAD_CONFIG][0]:
        yield "no load configuration"
    else:
        cookie, = struct.unpack_from("<Q", image.data, image.offset(image.directories[LOAD_CONFIG][0]) + 88)
        if cookie == 0:
            yield "the load configuration names no stack cookie"
    for module, function in image.imports():
        if (module, function) not in allowed:
            yield f"imports {function} of {module}, which no allow-list names"


def check_archive(path):
    """Constructor tables and thread-local data in the objects of a library."""
    done = subprocess.run(["llvm-objdump-19", "-h", path], capture_output=True, text=True, check=True)
    member = path
    for line in done.stdout.splitlines():
        words = line.split()
        if ":\tfile format" in line:
            member = line.partition(":\t")[0]
        elif len(words) > 2 and words[0].isdigit() and words[1].startswith(
                (".ctors", ".CRT$", ".init_array", ".tls$", ".tls")):
            yield f"{member} has section {words[1]}: start-up code or thread-local data"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("image")
    parser.add_argument("--allow", nargs="*", default=[])
    parser.add_argument("--archives", nargs="*", default=[])
    options = parser.parse_args()
    try:
        image = Image(pathlib.Path(options.image).read_bytes())
        findings = list(check(image, read_allowed(options.allow)))
    except (OSError, ValueError, struct.error) as error:
        findings, image = [f"cannot be read: {error}"], None
    for archive in options.archives:
        findings += check_archive(archive)
    for finding in findings:
        print(f"{options.image}: {finding}")
    if not findings:
        code = sum(s[2] for s in image.sections if s[4] & EXECUTE)
        print(f"{options.image}: in order; {len(image.sections)} sections, {code} bytes of code, "
              f"{len(list(image.imports()))} imports, {len(options.archives)} archives")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
