# SPDX-License-Identifier: Apache-2.0
"""Which files the rules of the house apply to, and how they read C."""
import os
import re

# A binary corpus has no style; what others wrote has its own.
SKIPPED_FOLDERS = {"__pycache__", "corpus", "node_modules"}
TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)
TEXT = re.compile(r'"(?:\\.|[^"\\\n])*"')
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', re.MULTILINE)


def find(root, folders, endings=("",)):
    """Paths relative to @root of the files below @folders whose names end so, sorted."""
    found = []
    for folder in folders:
        for at, inner, names in os.walk(os.path.join(root, folder)):
            inner[:] = sorted(name for name in inner if name not in SKIPPED_FOLDERS)
            found += [os.path.relpath(os.path.join(at, name), root)
                      for name in sorted(names) if name.endswith(tuple(endings))]
    return found


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8", errors="surrogateescape") as file:
        return file.read()


def is_text(root, path):
    with open(os.path.join(root, path), "rb") as file:
        return b"\0" not in file.read(65536)


def blank(match):
    """Newlines stay, so that line numbers do."""
    return re.sub(r"[^\n]", " ", match.group(0))


def without_comments_and_strings(text):
    return TOKEN.sub(blank, text)


def without_comments(text):
    return TOKEN.sub(lambda m: blank(m) if m.group(0).startswith("/") else m.group(0), text)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def includes(text):
    """(line, '<' or '"', what is included) of each include directive."""
    code = without_comments(text)
    return [(line_of(code, m.start(2)), m.group(1), m.group(2)) for m in INCLUDE.finditer(code)]
