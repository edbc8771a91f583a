#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The pure rooms call nothing but what tools/purity.allow lists, and each other.

Asked is the linker's view, `nm`, so neither a macro nor an inline function can hide a call:

    purity.py SOURCE-ROOT BUILD-ROOT C-COMPILER...
"""
import fnmatch
import os
import re
import subprocess
import sys
import tempfile

import sources
from tap import Report

PURE_ROOMS = ["base", "wire", "notation", "gate", "core", "store", "node"]
MEMBER = re.compile(r"^.*\[(.+)\.o\]:$")
WANTED = "Uvw"  # undefined, and undefined but weak

# The C library writes a float's point, and groups thousands, as the locale has it.
LOCALE_FORMAT = re.compile(r"(?<!%)(?:%%)*%(?:[-+ #0]*'|[-+ #0]*[\d*]*(?:\.[\d*]*)?[lL]?[aefgAEFG])")


def read_allowed(text):
    """[(file pattern, symbol pattern)]"""
    allowed = []
    for line in text.splitlines():
        file, colon, symbols = line.split("#")[0].rpartition(":")
        allowed += [(file.strip() if colon else "*", symbol) for symbol in symbols.split()]
    return allowed


def is_allowed(allowed, file, symbol):
    return any(fnmatch.fnmatchcase(file, in_file) and fnmatch.fnmatchcase(symbol, pattern)
               for in_file, pattern in allowed)


def list_symbols(room, library):
    """(file, type, symbol) of each symbol that a library's members define or want."""
    # Line by line: "lib.a[name.c.o]:" and then "symbol T value size" or "symbol U".
    done = subprocess.run(["nm", "-g", "--format=posix", library], check=True,
                          capture_output=True, text=True)
    file, found = None, []
    for line in done.stdout.splitlines():
        member = MEMBER.match(line)
        if member:
            file = f"{room}/{os.path.basename(member.group(1))}"
        elif line:
            symbol, kind = line.split()[:2]
            found.append((file, kind, symbol))
    return found


def find_calls_out(libraries, allowed):
    """@libraries: {room: path}.  Calls among the rooms are the business of the arrows."""
    symbols = [found for room, library in libraries.items()
               for found in list_symbols(room, library)]
    own = {symbol for _, kind, symbol in symbols if kind not in WANTED}
    return sorted(f"{file} calls {symbol}" for file, kind, symbol in set(symbols)
                  if kind in WANTED and symbol not in own
                  and not is_allowed(allowed, file, symbol))


def find_built(build, n_sources):
    """The room's library, if the room has a source: an empty one need not exist."""
    libraries, findings = {}, []
    for room in PURE_ROOMS:
        library = os.path.join(build, "src", room, f"lib{room}.a")
        if os.path.exists(library):
            libraries[room] = library
        elif n_sources(room) > 0:
            findings.append(f"{library} is missing")
    return libraries, findings


def find_locale_formats(path, text):
    code = sources.without_comments(text)
    return [f"{path}:{sources.line_of(code, literal.start())}: {match.group(0)} asks the locale"
            for literal in sources.TEXT.finditer(code)
            for match in LOCALE_FORMAT.finditer(literal.group(0))]


def build_planted(folder, compiler, name, text):
    """A library of one file."""
    source = os.path.join(folder, name)
    with open(source, "w", encoding="utf-8") as file:
        file.write(text)
    library = os.path.join(folder, f"lib{name}.a")
    subprocess.run(compiler + ["-O2", "-c", source, "-o", source + ".o"], check=True)
    subprocess.run(["ar", "rc", library, source + ".o"], check=True)
    return library


def self_test(report, compiler, allowed):
    for room, name, text in [
        ("core", "clock.c", "#include <time.h>\nlong f(void) { return (long)time(0); }\n"),
        ("wire", "say.c", '#include <stdio.h>\nvoid f(void) { puts("x"); }\n'),
        ("core", "heap.c", "#include <stdlib.h>\nvoid *f(void) { return malloc(9); }\n"),
        ("node", "mem.c", "#include <stdlib.h>\nvoid f(void *at) { free(at); }\n"),
        ("node", "up.c", "int mkv_loop_run(void);\nint f(void) { return mkv_loop_run(); }\n"),
        ("wire", "point.c", "#include <stdlib.h>\ndouble f(char *s) { return strtod(s, 0); }\n"),
        ("core", "weak.c", "__attribute__((weak)) int rand(void);\nint f(void) { return rand(); }\n"),
    ]:
        with tempfile.TemporaryDirectory() as folder:
            library = build_planted(folder, compiler, name, text)
            report.catches(f"{room}/{name}", find_calls_out({room: library}, allowed))
    report.catches("a float in a format", find_locale_formats("a.c", 'f("%d %-5.*f");\n'))
    report.catches("thousands in a format", find_locale_formats("a.c", """f("%'d");\n"""))
    report.rule("self-test: other formats are fine",
                find_locale_formats("a.c", 'f("%d 5%% full %zu %.*s %5" PRIu64 " 100%%g");\n'))
    with tempfile.TemporaryDirectory() as folder:
        heap = build_planted(folder, compiler, "mem.c",
                             "#include <stdlib.h>\nvoid f(void *at) { free(at); }\n")
        report.rule("self-test: base/mem.c may free", find_calls_out({"base": heap}, allowed))


def main(root, build, compiler):
    report = Report()
    allowed = read_allowed(sources.read(root, "tools/purity.allow"))
    self_test(report, compiler, allowed)

    def n_sources(room):
        return len(sources.find(root, [f"src/{room}"], [".c"]))

    libraries, missing = find_built(build, n_sources)
    report.rule("the pure rooms are built", missing)
    report.rule("the pure rooms call nothing impure", find_calls_out(libraries, allowed))
    report.rule("no format in them depends on the locale",
                [finding for path in sources.find(root, [f"src/{room}" for room in PURE_ROOMS], [".c"])
                 for finding in find_locale_formats(path, sources.read(root, path))])
    report.end()


main(sys.argv[1], sys.argv[2], sys.argv[3:])
