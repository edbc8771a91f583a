# SPDX-License-Identifier: Apache-2.0
"""The client in foreign/, which knows the document only, reads and writes the test vectors.

    test_foreign_wire.py SOURCE_ROOT
"""
import json
import sys
from pathlib import Path

ROOT = Path(sys.argv[1])
sys.path[:0] = [str(ROOT / "tests/house"), str(ROOT / "tests/e2e/foreign")]

import wire
from tap import Report

READ_BY_CLIENT = {"update": wire.read_update, "server": wire.read_server, "frame": wire.read_frame}
SENT_BY_CLIENT = {
    wire.AUTH, wire.VOID, wire.READ, wire.LIST, wire.CHECK, wire.STATUS, wire.PING,
    wire.CREDIT, wire.CANCEL, wire.CONFLICTS, wire.SERVERS, wire.EVICT,
    wire.RESPONSE, wire.PASSWD,
}
BETWEEN_SERVERS = {7, 25, 26, 27, 34, 46, 47, 51}  # section 12


def from_json(item):
    """JSON has no bytes, no floats apart from integers, and text keys only."""
    if isinstance(item, list):
        return [from_json(one) for one in item]
    if not isinstance(item, dict):
        return item
    kind, content = next(iter(item.items()))
    if kind == "bytes":
        return bytes.fromhex(content)
    if kind == "map":
        return {key: from_json(value) for key, value in content}
    return {"float": float, "int": int}[kind](content)


def differs(what, found, wanted):
    return [] if found == wanted else [f"{what}: {found!r}, not {wanted!r}"]


def refusal(read, spelled):
    """The name of the code, or None."""
    try:
        read(spelled)
    except wire.Refused as refused:
        return refused.name
    return None


def read_cbor_path(data):
    reader = wire.Reader(bytes.fromhex(data))
    path = wire.read_path(reader)
    reader.end()
    return path


def check_path(root, vector):
    path = [from_json(element) for element in vector["elements"]]
    found = {
        "key": wire.path_key(path).hex(),
        "cbor": wire.encode(path).hex(),
        "dotted": wire.to_dotted(path),
        "plain": wire.to_topic(root, path, wire.PLAIN),
        "portable": wire.to_topic(root, path, wire.PORTABLE),
    }
    read_back = [
        read_cbor_path(vector["cbor"]),
        wire.from_dotted(vector["dotted"]),
        wire.from_topic(root, vector["plain"], wire.PLAIN),
        wire.from_topic(root, vector["portable"], wire.PORTABLE),
    ]
    findings = []
    for name, wanted in vector.items():
        if name != "elements":
            findings += differs(f"{name} of {path}", found[name], wanted)
    for back in read_back:
        findings += differs(f"{path} read", wire.path_key(back).hex(), vector["key"])
    return findings


def check_paths(report, vectors):
    root = vectors["root"]
    findings = [one for vector in vectors["paths"] for one in check_path(root, vector)]
    report.rule("paths in all their forms", findings)

    findings = []
    for vector in vectors["dotted_read"]:
        found = wire.path_key(wire.from_dotted(vector["text"])).hex()
        findings += differs(vector["text"], found, vector["key"])
    report.rule("dotted text that a writer would spell otherwise", findings)

    for name, read in {
        "dotted_refused": wire.from_dotted,
        "plain_refused": lambda topic: wire.from_topic(root, topic, wire.PLAIN),
        "portable_refused": lambda topic: wire.from_topic(root, topic, wire.PORTABLE),
        "cbor_refused": read_cbor_path,
    }.items():
        findings = [f"{one!r} is accepted" for one in vectors[name] if not refusal(read, one)]
        report.rule(name, findings)


def is_for_others(vector):
    if vector["message"] != "frame":
        return vector["message"] not in READ_BY_CLIENT
    head = wire.header(wire.Reader(bytes.fromhex(vector["hex"])), {0: ("kind", wire.uint())})
    return head.get("kind") in SENT_BY_CLIENT | BETWEEN_SERVERS


def check_message(vector):
    data = bytes.fromhex(vector["hex"])
    if "pairs" in vector:
        pairs = {key: from_json(value) for key, value in vector["pairs"]}
        wanted = differs(vector["name"], wire.encode(pairs).hex(), vector["hex"])
        if wanted:
            return wanted
    if vector["message"] == "update" and "error" not in vector:
        again = wire.read_update(data).encode().hex()
        return differs(vector["name"], again, vector.get("again", vector["hex"]))
    return []


def check_messages(report, vectors):
    findings = [one for vector in vectors if "error" not in vector for one in check_message(vector)]
    report.rule("messages are written, and updates read and written again", findings)

    findings = []
    for vector in vectors:
        try:
            skipped = is_for_others(vector)
        except wire.Refused:
            skipped = False
        if not skipped:
            read = READ_BY_CLIENT[vector["message"]]
            found = refusal(read, bytes.fromhex(vector["hex"]))
            wanted = vector.get("error")
            if wanted == "UNKNOWN_REQUEST" and "without id" in vector["name"]:
                wanted = None
            findings += differs(vector["name"], found, wanted)
    report.rule("messages that come from a server are read or refused", findings)


def main():
    report = Report()
    vectors = ROOT / "tests/vectors"
    check_paths(report, json.loads((vectors / "paths.json").read_text()))
    check_messages(report, json.loads((vectors / "messages.json").read_text()))
    report.end()


main()
