#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Each test that docs/security.md names for a threat exists, and is run."""
import os
import re
import sys

from tap import Report

HEADING = "## Threats, and what shows that they are met"
CASE = re.compile(r"`([a-z0-9]+/[\w]+\.(?:py|c)): ([^`]+)`")
STARTS = ("\nrun_cases([", "\nrig.main(", "\ndef main(", "\nint main(")


def rows_of(text):
    """What the table says: its cells, without its head."""
    part = text.partition(f"\n{HEADING}\n")[2].partition("\n## ")[0]
    rows = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def what_runs(source):
    """The end of a test's source, which lists its cases; nothing, if there is no such list."""
    starts = [source.rfind(start) for start in STARTS]
    return source[max(starts):] if max(starts) >= 0 else ""


def is_built(tests, file):
    """The folder's meson.build knows it: by its whole name, or as one of a list of names."""
    folder, _, name = file.partition("/")
    with open(f"{tests}/{folder}/meson.build", encoding="utf-8") as build:
        text = build.read()
    stem = re.sub(r"^test_", "", name.rpartition(".")[0])
    return f"'{name}'" in text or f"'{stem}'" in text


def check_case(tests, file, case):
    path = f"{tests}/{file}"
    if not os.path.exists(path):
        return [f"there is no tests/{file}"]
    if not is_built(tests, file):
        return [f"tests/{file} is in no meson.build"]
    with open(path, encoding="utf-8") as source:
        listed = what_runs(source.read())
    found = re.search(rf"(?<![\w]){re.escape(case)}(?![\w])", listed)
    return [] if found else [f"tests/{file} runs no case '{case}'"]


def check_table(tests, text):
    rows = rows_of(text)
    findings = [] if rows else ["there is no such table"]
    for row in rows:
        cases = CASE.findall(row[-1])
        if len(row) != 3 or not cases or row[-1].count("`") != 2 * len(cases):
            findings.append(f"not threat, place and `folder/file: case`: {row}")
        for file, case in cases:
            findings += [f"{row[0]}: {finding}" for finding in check_case(tests, file, case)]
    return findings


def planted(cell):
    return f"\n{HEADING}\n\n| a | b | c |\n|---|---|---|\n| x | y | {cell} |\n"


def main(root):
    tests = f"{root}/tests"
    report = Report()
    for name, cell in {"no test": "soon", "no such file": "`guard/none.py: wills do not pass`",
                       "no such case": "`guard/guard.py: wills pass`",
                       "a part of a name": "`io/test_tls.c: test_foreign`",
                       "written, but not run": "`guard/guard.py: def wills_do_not_pass`",
                       "not understood": "`guard/guard.py: wills do not pass` `e2e/tls.py`"}.items():
        report.catches(name, check_table(tests, planted(cell)))
    report.catches("no table", check_table(tests, ""))
    report.rule("self-test: a right row passes",
                check_table(tests, planted("`guard/guard.py: wills do not pass`")))
    with open(f"{root}/docs/security.md", encoding="utf-8") as document:
        report.rule("each test that is named for a threat is run", check_table(tests, document.read()))
    report.end()


main(sys.argv[1])
