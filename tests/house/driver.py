#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The driver tests/run counts right: whatever could hide a failure is one."""
import importlib.machinery
import importlib.util
import sys

from tap import Report

# What a program did; Meson's verdict, its exit status and output; cases passed, failed, skipped.
JUDGEMENTS = [
    ("all pass", "OK", 0, "1..2\nok 1 - a\nok 2 - b\n", (2, 0, 0)),
    ("one fails", "FAIL", 1, "1..2\nok 1 - a\nnot ok 2 - b\n# why\n", (1, 1, 0)),
    ("a failure with exit status 0", "OK", 0, "1..1\nnot ok 1 - a\n", (0, 1, 0)),
    ("a failure that is called expected", "OK", 0, "1..1\nnot ok 1 - a # TO" "DO\n", (0, 1, 0)),
    ("dies between two cases", "ERROR", -11, "1..3\nok 1 - a\n", (1, 1, 0)),
    ("dies before the first", "ERROR", -6, "", (0, 1, 0)),
    ("dies after the last", "ERROR", -6, "1..1\nok 1 - a\n", (1, 1, 0)),
    ("ends early with exit status 0", "OK", 0, "1..3\nok 1 - a\n", (1, 1, 0)),
    ("hangs", "TIMEOUT", -15, "1..2\nok 1 - a\n", (1, 1, 0)),
    ("hangs after its last case", "TIMEOUT", -15, "1..1\nok 1 - a\n", (1, 1, 0)),
    ("prints nothing", "OK", 0, None, (0, 1, 0)),
    ("prints text only", "OK", 0, "all is okay\nok-ish\n", (0, 1, 0)),
    ("plans nothing", "OK", 0, "1..0\n", (0, 1, 0)),
    ("skips one", "OK", 0, "1..2\nok 1 - a\nok 2 - b # SKIP no broker\n", (1, 0, 1)),
    ("skips one as cmocka says it", "FAIL", 0, "1..2\nok 1 - a\nnot ok 2 # SKIP b\n", (1, 0, 1)),
    ("skips one, then dies", "ERROR", -6, "1..1\nok 1 - a # SKIP\n", (0, 1, 1)),
    ("fails for no reason given", "FAIL", 0, "1..1\nok 1 - a\n", (1, 1, 0)),
    ("skips itself", "SKIP", 0, "1..0 # SKIP not installed\n", (0, 0, 1)),
    ("several groups", "OK", 0, "1..1\nok 1 - a\n1..2\nok 1 - b\nok 2 - c\n", (3, 0, 0)),
    ("dies in the second group", "ERROR", -6, "1..1\nok 1 - a\n1..2\nok 1 - b\n", (2, 1, 0)),
    ("plans at the end", "OK", 0, "ok 1 - a\nok 2\n1..2\n", (2, 0, 0)),
    ("is interrupted", "INTERRUPT", -2, "1..1\nok 1 - a\n", (1, 1, 0)),
]


def load_driver(path):
    loader = importlib.machinery.SourceFileLoader("driver", path)
    spec = importlib.util.spec_from_loader("driver", loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def main(root):
    driver = load_driver(f"{root}/tests/run")
    report = Report()
    for name, result, status, stdout, expected in JUDGEMENTS:
        entry = {"name": name, "result": result, "returncode": status, "stdout": stdout}
        count, _ = driver.judge(entry)
        counted = (count.passed, count.failed, count.skipped)
        report.rule(f"counts right: {name}",
                    [] if counted == expected else [f"counted {counted}, not {expected}"])
    report.end()


main(sys.argv[1])
