#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts a test run from CTest's JUnit file: what was skipped and why, what failed, and at the end,
alone on a line, "N passed, N failed, N skipped". A run with failures, or without tests, exits with 1.

usage: test_summary.py junit.xml [--at-least FILE]    FILE holds the number of tests that must have run
"""
import collections
import re
import sys
import xml.etree.ElementTree as ElementTree


def skip_reason(output: str) -> str:
    """The text that the test gave to GTEST_SKIP(): the line after the one naming its place."""
    lines = [line.strip() for line in output.splitlines()]
    for number, line in enumerate(lines):
        if re.search(r"\.(cpp|hpp|h):\d+: Skipped", line) and number + 1 < len(lines):
            return lines[number + 1] or "no reason given"
        if line.startswith("SKIPPED:"):
            return line.removeprefix("SKIPPED:").strip()
    return "no reason given"


def main() -> int:
    path = sys.argv[1]
    passed, failed, skipped = 0, [], collections.defaultdict(list)
    try:
        cases = list(ElementTree.parse(path).getroot().iter("testcase"))
    except (OSError, ElementTree.ParseError) as error:
        print(f"no result of a test run: {error}")
        cases = []
    for case in cases:
        name = case.get("name").partition("  # ")[0]  # without the value of a parameter
        output = case.findtext("system-out") or ""
        if case.find("skipped") is not None or case.get("status") in ("notrun", "disabled"):
            skipped[skip_reason(output)].append(name)
        elif case.find("failure") is not None or case.get("status") == "fail":
            failed.append(name)
        else:
            passed += 1

    for reason, names in sorted(skipped.items()):
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        print(f"skipped: {reason}: {shown}")
    for name in failed:
        print(f"FAILED: {name}")

    status = 1 if failed or not cases else 0
    if "--at-least" in sys.argv:
        floor_file = sys.argv[sys.argv.index("--at-least") + 1]
        with open(floor_file, encoding="utf-8") as file:
            floor = int(file.read().split()[0])
        ran = passed + len(failed)
        if ran < floor:
            print(f"only {ran} tests ran; {floor_file} records {floor}")
            status = 1
    print(f"{passed} passed, {len(failed)} failed, {sum(map(len, skipped.values()))} skipped")
    return status


sys.exit(main())
