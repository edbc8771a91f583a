#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
A room includes only rooms to its left:

    base <- wire <- core <- node <- io <- {client, daemon, cli}

notation/ stands beside core: it knows base and wire, and is for whoever speaks JSON; gate/, which
turns plain messages into entries, knows it as well.
store/ stands beside node: it fills the port core/store.h, and only what assembles a whole program
out of the rooms (client, daemon) may know it.  Each foreign library has one room that knows it.
"""
import os
import sys
import tempfile

import sources
from tap import Report

LINE = ["base", "wire", "core", "node", "io"]
MAY_INCLUDE = {room: LINE[: i + 1] for i, room in enumerate(LINE)}
MAY_INCLUDE["store"] = ["base", "wire", "core", "store"]
MAY_INCLUDE["guard"] = ["base", "wire", "core", "guard"]
MAY_INCLUDE["client"] = LINE + ["store", "notation", "client", "moatkv"]
MAY_INCLUDE["daemon"] = LINE + ["store", "notation", "daemon"]
MAY_INCLUDE["notation"] = ["base", "wire", "notation"]
MAY_INCLUDE["gate"] = ["base", "wire", "notation", "gate"]
MAY_INCLUDE["cli"] = LINE + ["notation", "gate", "cli", "moatkv"]

# Start of the header's name -> the rooms that may know the library.
FOREIGN = {
    "lmdb.h": ["store"],
    "event2/": ["io"],
    "event.h": ["io"],
    "mosquitto_": ["guard"],
    "mosquitto.h": ["io", "guard"],
    "openssl/": ["io"],
    "gsasl.h": ["io"],
    "yaml.h": ["daemon", "cli"],
    "jansson.h": ["daemon", "cli"],
}


def judge(room, where, kind, name):
    """What is wrong with one include directive of a file in @room, or None."""
    target, slash, _ = name.partition("/")
    if kind == '"' or target == "moatkv":
        if not slash:
            return f'{where}: "{name}" does not say its room'
        if target not in MAY_INCLUDE[room]:
            return f"{where}: {room} may not include {name}"
        return None
    for start, rooms in FOREIGN.items():
        if name.startswith(start) and room not in rooms:
            return f"{where}: <{name}> belongs behind {' or '.join(rooms)}"
    return None


def find_wrong_arrows(root):
    findings = []
    for path in sources.find(root, ["src"], [".c", ".h"]):
        room = path.split(os.sep)[1]
        if room not in MAY_INCLUDE:
            findings.append(f"{path}: there is no room called {room}")
            continue
        for line, kind, name in sources.includes(sources.read(root, path)):
            finding = judge(room, f"{path}:{line}", kind, name)
            if finding:
                findings.append(finding)
    return findings


def find_leaks(root):
    """Public headers stand on the C library and on each other."""
    findings = []
    for path in sources.find(root, ["include"], [".h"]):
        for line, kind, name in sources.includes(sources.read(root, path)):
            is_own = os.path.exists(os.path.join(root, "include", name))
            if (kind == '"' or "/" in name) and not is_own:
                findings.append(f"{path}:{line}: a public header may not include {name}")
    return findings


def plant(root, path, text):
    os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
    with open(os.path.join(root, path), "w", encoding="utf-8") as file:
        file.write(text)


def finds_planted(finder, path, text):
    with tempfile.TemporaryDirectory() as root:
        plant(root, path, text)
        return finder(root)


def self_test(report):
    for path, text in [
        ("src/base/a.c", '#include "wire/cbor.h"\n'),
        ("src/wire/a.h", '#  include "core/order.h"\n'),
        ("src/core/a.c", '/* why */ \n#include "store/log.h"\n'),
        ("src/node/a.c", '#include "store/log.h"\n'),
        ("src/store/a.c", '#include "node/node.h"\n'),
        ("src/cli/a.c", '#include "daemon/main.h"\n'),
        ("src/io/a.c", '#include "loop.h"\n'),
        ("src/core/a.c", "#include <moatkv/client.h>\n"),
        ("src/core/a.c", "#include <lmdb.h>\n"),
        ("src/daemon/a.c", "#include <event2/event.h>\n"),
        ("src/cellar/a.c", ""),
    ]:
        report.catches(f"{path}: {text.strip().splitlines()[-1:]}", finds_planted(find_wrong_arrows, path, text))
    report.catches("an internal header in a public one",
                   finds_planted(find_leaks, "include/moatkv/a.h", '#include "base/bytes.h"\n'))

    harmless = '// #include "node/node.h"\n/*\n#include "io/loop.h"\n*/\n#include "base/a.h"\n'
    report.rule("self-test: a commented include is none",
                finds_planted(find_wrong_arrows, "src/core/a.c", harmless))


def main(root):
    report = Report()
    self_test(report)
    report.rule("each room includes only what stands left of it", find_wrong_arrows(root))
    report.rule("public headers include no internal one", find_leaks(root))
    report.end()


main(sys.argv[1])
