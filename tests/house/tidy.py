#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Habits that a machine can see, and that a review should not have to:

    tidy.py SOURCE-ROOT BUILD-ROOT
"""
import json
import os
import re
import sys

import sources
from tap import Report

FILE_LINES_MAX = 700
FUNCTION_LINES_MAX = 70

CODE = ["src", "include", "tests", "tools"]
TEXT_ENDINGS = [".c", ".h", ".py", ".sh", ".bats", ".build", ".map", ".allow", ".md", ".txt",
                ".yml", ".yaml", ".json"]
SCRIPT_ENDINGS = [".c", ".h", ".py", ".sh", ".bats"]

# Call -> what to use instead.
BANNED = {
    "alloca": "a fixed array with a limit",
    "asctime": "strftime",
    "atof": "the reader of wire/",
    "atoi": "a parser that notices errors",
    "atol": "a parser that notices errors",
    "atoll": "a parser that notices errors",
    "ctime": "strftime",
    "gets": "fgets",
    "gmtime": "gmtime_r",
    "localtime": "localtime_r",
    "mktemp": "mkstemp",
    "popen": "fork and exec without a shell",
    "rand": "entropy from outside",
    "setlocale": "nothing: the locale belongs to the program, not to us",
    "sprintf": "snprintf",
    "stpcpy": "memcpy with a length",
    "strcat": "mkv_buf",
    "strcpy": "memcpy with a length",
    "strncat": "mkv_buf",
    "strncpy": "memcpy with a length",
    "strtok": "a loop over bytes",
    "system": "fork and exec without a shell",
    "tmpnam": "mkstemp",
    "vsprintf": "vsnprintf",
}
BANNED_CALL = re.compile(r"(?<![\w.>])(" + "|".join(BANNED) + r")\s*\(")
# Spelled so that this file does not find itself.
UNFINISHED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")


def find_whitespace(path, text):
    """No tabs, no blanks at the end of a line, and a newline at the end of the file."""
    findings = []
    for number, line in enumerate(text.split("\n"), 1):
        if "\t" in line:
            findings.append(f"{path}:{number}: a tab")
        if line != line.rstrip():
            findings.append(f"{path}:{number}: blanks at the end")
    if text and not text.endswith("\n"):
        findings.append(f"{path}: the last line does not end")
    return findings


def find_long_file(path, text):
    n_lines = text.count("\n")
    return [f"{path}: {n_lines} lines, {FILE_LINES_MAX} at most"] if n_lines > FILE_LINES_MAX else []


def find_long_functions(path, text):
    """A body stands between a `{` and a `}` that are alone in the first column."""
    findings, start = [], None
    for number, line in enumerate(text.split("\n"), 1):
        if line == "{":
            start = number
        elif line.startswith("}") and start is not None:
            n_lines = number - start - 1
            if n_lines > FUNCTION_LINES_MAX:
                findings.append(f"{path}:{start}: a function of {n_lines} lines, "
                                f"{FUNCTION_LINES_MAX} at most")
            start = None
    return findings


def find_banned_calls(path, text):
    code = sources.without_comments_and_strings(text)
    return [f"{path}:{sources.line_of(code, match.start())}: "
            f"{match.group(1)}() is banned, use {BANNED[match.group(1)]}"
            for match in BANNED_CALL.finditer(code)]


def find_unfinished(path, text):
    return [f"{path}:{sources.line_of(text, match.start())}: {match.group(1)}"
            for match in UNFINISHED.finditer(text)]


def find_missing_licence(path, text):
    head = text.split("\n")[:3]
    if any("SPDX-License-Identifier: Apache-2.0" in line for line in head):
        return []
    return [f"{path}: no SPDX line at its head"]


def find_dead_files(paths, built):
    return [f"{path}: no target of the build has it" for path in paths if path not in built]


def built_sources(root, build):
    """What Meson compiles, relative to the root."""
    with open(os.path.join(build, "meson-info", "intro-targets.json"), encoding="utf-8") as file:
        targets = json.load(file)
    return {os.path.relpath(source, root) for target in targets
            for group in target["target_sources"] for source in group.get("sources", [])}


def scripts_without_ending(root):
    return [path for path in sources.find(root, ["tools", "tests", ".ci"])
            if "." not in os.path.basename(path) and sources.is_text(root, path)
            and sources.read(root, path).startswith("#!")]


def is_generated(path):
    """Tables of test vectors are as long as they are."""
    return "vectors" in path


def check_files(report, name, finder, root, paths):
    report.rule(name, [finding for path in paths
                       for finding in finder(path, sources.read(root, path))])


def self_test(report):
    long_function = "int f(void)\n{\n" + "    g();\n" * (FUNCTION_LINES_MAX + 1) + "}\n"
    fine_function = "int f(void)\n{\n" + "    g();\n" * FUNCTION_LINES_MAX + "}\n"

    report.catches("a tab", find_whitespace("a.c", "\tint a;\n"))
    report.catches("a blank at the end of a line", find_whitespace("a.c", "int a; \n"))
    report.catches("no newline at the end", find_whitespace("a.c", "int a;"))
    report.catches("a long file", find_long_file("a.c", "\n" * (FILE_LINES_MAX + 1)))
    report.catches("a long function", find_long_functions("a.c", long_function))
    report.rule("self-test: a function of just that length", find_long_functions("a.c", fine_function))
    report.catches("a banned call", find_banned_calls("a.c", 'int a = "//" && (int)atoi (b);\n'))
    report.rule("self-test: not in text, not as part of a name",
                find_banned_calls("a.c", '/* gets() */ char *a = "system()"; my_rand(); p->gets();\n'))
    report.catches("unfinished work", find_unfinished("a.c", "/* TO" + "DO: all */\n"))
    report.catches("no licence", find_missing_licence("a.c", "int a;\n"))
    report.catches("a dead file", find_dead_files(["src/a.c", "src/b.c"], {"src/b.c"}))


def main(root, build):
    report = Report()
    self_test(report)

    c_files = sources.find(root, CODE, [".c", ".h"])
    scripts = scripts_without_ending(root)
    texts = sources.find(root, CODE + ["docs", ".ci"], TEXT_ENDINGS) + scripts
    code = sources.find(root, CODE, SCRIPT_ENDINGS) + scripts
    written = [path for path in code if not is_generated(path)]
    compiled = [path for path in c_files if path.endswith(".c")]

    check_files(report, "no tabs, no blanks at line ends", find_whitespace, root, texts)
    check_files(report, "no file is too long", find_long_file, root, written)
    check_files(report, "no function is too long", find_long_functions, root, c_files)
    check_files(report, "no banned calls", find_banned_calls, root, c_files)
    check_files(report, "nothing is left unfinished", find_unfinished, root, code)
    check_files(report, "each source names its licence", find_missing_licence, root, code)
    report.rule("each C file is part of the build",
                find_dead_files(compiled, built_sources(root, build)))
    report.end()


main(os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]))
