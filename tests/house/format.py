#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The C sources are as clang-format 14 writes them; `make format` does it."""
import shutil
import subprocess
import sys

import sources
from tap import Report

FOLDERS = ["src", "include", "tests", "tools"]


def find_unformatted(root):
    findings = []
    for path in sources.find(root, FOLDERS, [".c", ".h"]):
        done = subprocess.run(["clang-format-14", "--dry-run", "-Werror", path], cwd=root,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode != 0:
            first = (done.stderr.splitlines() or ["clang-format-14 failed"])[0]
            findings.append(f"{first} (run: make format)")
    return findings


def main(root):
    if not shutil.which("clang-format-14"):
        print("1..0 # SKIP clang-format-14 is not installed (tools/setup lint)")
        sys.exit(0)
    report = Report()
    report.rule("the C sources are formatted", find_unformatted(root))
    report.end()


main(sys.argv[1])
