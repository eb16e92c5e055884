#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tools/check_image.py finds each defect that is written into a copy of a good image, given as the
first argument."""
import pathlib
import struct
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import check_image  # noqa: E402

GOOD = pathlib.Path(sys.argv.pop(1)).read_bytes()


class CheckImageTest(unittest.TestCase):
    def findings(self, change=lambda data, image: None, allowed=None):
        data = bytearray(GOOD)
        image = check_image.Image(bytes(data))
        change(data, image)
        if allowed is None:
            allowed = set(image.imports())
        return list(check_image.check(check_image.Image(bytes(data)), allowed))

    def check(self, text, change, checksum_too=True):
        self.assertEqual(self.findings(), [])
        found = self.findings(change)
        self.assertIn(text, " / ".join(found))
        if checksum_too:
            self.assertIn("checksum", " / ".join(found))

    def put(self, form, offset, value):
        return lambda data, image: struct.pack_into(form, data, image.optional + offset, value)

    def directory(self, index):
        return lambda data, image: struct.pack_into("<II", data, image.optional + 112 + 8 * index, 0, 0)

    def test_writable_and_executable(self):
        def change(data, image):
            at = image.optional + struct.unpack_from("<H", data, image.optional - 4)[0]
            struct.pack_into("<I", data, at + 36, 0xE0000020)
        self.check("writable and executable", change)

    def test_page_alignment(self):
        self.check("section alignment", self.put("<I", 32, 0x200))

    def test_subsystem(self):
        self.check("not native", self.put("<H", 68, 3))
        self.check("older than 10.0", self.put("<H", 48, 6))

    def test_checksum(self):
        self.check("checksum", self.put("<I", 64, 1), False)

    def test_characteristics(self):
        for text in ("NX", "a dynamic base", "high-entropy"):
            self.check(text, self.put("<H", 70, 0))

    def test_directories(self):
        self.check("no unwind data", self.directory(check_image.EXCEPTION))
        self.check("no load configuration", self.directory(check_image.LOAD_CONFIG))
        self.check("no relocations", self.directory(check_image.RELOCATION))

    def test_thread_local_storage(self):
        self.check("thread-local", lambda data, image: struct.pack_into(
            "<II", data, image.optional + 112 + 8 * check_image.TLS, image.sections[0][1], 40))

    def test_no_cookie(self):
        self.check("stack cookie", lambda data, image: struct.pack_into(
            "<Q", data, image.offset(image.directories[check_image.LOAD_CONFIG][0]) + 88, 0))

    def test_import_that_is_not_allowed(self):
        self.assertIn("no allow-list names", " / ".join(self.findings(allowed=set())))

    def test_truncated_images_are_errors(self):
        for size in (0, 1, 0x40, 0x100, 0x180):
            with self.assertRaises((ValueError, struct.error)):
                image = check_image.Image(GOOD[:size])
                list(check_image.check(image, set()))


if __name__ == "__main__":
    unittest.main(verbosity=2)
