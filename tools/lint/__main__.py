#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""usage: python3 tools/lint [CHECK ...] [--build DIR] [--full] [--fix] [--list]

Runs the named checks, or all, and prints each finding as "file:line: what". Exits with 1 when there
is a finding that is not a warning. tests/lint shows for each check that it finds a planted violation."""
import argparse
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from project import Project  # noqa: E402
from rules import TEXT_RULES  # noqa: E402
from tools import TOOL_RULES  # noqa: E402


def main():
    parser = argparse.ArgumentParser(prog="lint", description=__doc__)
    parser.add_argument("checks", nargs="*")
    parser.add_argument("--root", default=pathlib.Path(__file__).parents[2])
    parser.add_argument("--build", help="a configured build folder, for clang-tidy")
    parser.add_argument("--full", action="store_true", help="clang-tidy over everything")
    parser.add_argument("--fix", action="store_true", help="format: change the files")
    parser.add_argument("--list", action="store_true", help="print the checks")
    options = parser.parse_args()

    rules = {rule.__name__: rule for rule in TEXT_RULES + TOOL_RULES}
    if options.list:
        for name, rule in rules.items():
            print(f"{name:16} {rule.__doc__}")
        return 0
    unknown = set(options.checks) - set(rules)
    if unknown:
        parser.error(f"no such check: {', '.join(sorted(unknown))}")

    project = Project(options.root)
    errors = warnings = 0
    for name in options.checks or rules:
        rule, start = rules[name], time.monotonic()
        findings = list(rule(project, options) if rule in TOOL_RULES else rule(project))
        for finding in findings:
            print(f"{finding} [{name}]")
        bad = sum(not f.warning for f in findings)
        errors += bad
        warnings += len(findings) - bad
        print(f"  {'ok  ' if not bad else 'FAIL'} {name:16} {rule.__doc__}  ({time.monotonic() - start:.1f} s)",
              flush=True)
    print(f"lint: {errors} findings, {warnings} warnings")
    return 1 if errors else 0


sys.exit(main())
