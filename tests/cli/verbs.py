#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What moat-kv does with a server: each verb, in each format, with whatever a path or value can be."""
import json
import os
import re
import sys

import cbor2

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import moat  # noqa: E402
from moat import expect, expect_equal  # noqa: E402

FORMATS = ["text", "json", "jsonl", "yaml", "cbor"]
MIB = 1024 * 1024


def hello(cli):
    """One of everything, below "h"."""
    for path, value in [("h", "top"), ("h.a", "1"), ("h.a.b:2", "[true, null]"), ("h.c:.d", "x: y")]:
        cli.check("set", path, "-s" if value == "x: y" else "--", value)


def cbor_items(data):
    items = []
    rest = memoryview(data)
    while rest:
        import io
        stream = io.BytesIO(bytes(rest))
        items.append(cbor2.CBORDecoder(stream).decode())
        rest = rest[stream.tell():]
    return items


def yaml_items(text):
    """The lists and maps that records are, as far as this test needs to understand YAML."""
    try:
        import yaml
    except ImportError:
        return None
    return yaml.safe_load(text)


def set_and_get(cli):
    for number, (arguments, wanted) in enumerate([
        (["true"], True), (["false"], False), (["null"], None), (["~"], None), (["on"], "on"),
        (["42"], 42), (["-5"], -5), (["-0.5"], -0.5), (["0x2a"], 42), (["1.5"], 1.5), (["1e3"], 1000.0),
        (["18446744073709551615"], 2**64 - 1), (["-18446744073709551616"], -2**64),
        (["'42'"], "42"), (["-s", "42"], "42"), (["-s", ""], ""), (["-s", "--", "-x"], "-x"),
        (["-s", "a\nb"], "a\nb"), (["[1, [a, b], {}]"], [1, ["a", "b"], {}]),
        (["{a: 1, b: [true]}"], {"a": 1, "b": [True]}), (["-j", '{"a":[1,2.5,null]}'], {"a": [1, 2.5, None]}),
        (["-j", '"\\u00e4\\u0000"'], "ä\0"), (["-x", "83 01 02 03"], [1, 2, 3]), (["-x", "F5"], True),
        (["-s", "grüße ☃ 𝄞"], "grüße ☃ 𝄞"),
    ]):
        path = f"set.v{number}"
        cli.check("set", path, *arguments)
        expect_equal(cli.check("get", path, "-o", "json").json, wanted, f"{arguments} in JSON")
        expect_equal(cli.check("get", path, "-o", "jsonl").jsonl, [wanted], f"{arguments} in JSONL")
        expect_equal(cbor2.loads(cli.check("get", path, "-o", "cbor").out), wanted, f"{arguments} in CBOR")
        cli.check("set", path + ".copy", "-f", "-", stdin=cli.check("get", path, "-o", "yaml").out)
        expect_equal(cli.check("get", path + ".copy", "-o", "json").json, wanted, f"{arguments} by YAML")


def set_is_quiet_and_tells_the_entry(cli):
    expect_equal(cli.check("set", "q", "1").out, b"")
    record = cli.check("set", "q", "[2]", "-o", "json").json
    expect_equal((record["path"], record["value"]), ("q", [2]))
    expect_equal(len(record["ticks"]), 2, "ticks: its own, and the one it replaces")
    expect_equal(len(cli.check("set", "q", "3", "--blind", "-o", "jsonl").jsonl[0]["ticks"]), 1)
    got = cli.check("get", "q", "-m", "-o", "json").json
    expect_equal(cbor2.loads(cli.check("get", "q", "-m", "-o", "cbor").out), got)
    expect_equal(cli.check("get", "q", "-m", "-o", "jsonl").jsonl, [got])
    text = cli.check("get", "q", "-m").text
    expect(re.fullmatch(r"path    q\nvalue   3\ntock    \d+\n(time    \S+\n)?writer  t1 \d+ 1\n(knew    t1 \d+ 1\n)*", text), text)


def missing_entries(cli):
    result = cli.check("get", "m.none", status=1)
    expect_equal(result.out, b"")
    expect("m.none: no such entry" in result.error, result)
    expect_equal(cli.check("get", "m.none", "--default", "[1, x]", "-o", "json").json, [1, "x"])
    expect_equal(cli.check("get", "m.none", "--default", "ok").out, b"ok\n")
    cli.check("set", "m.below.it", "1")
    cli.check("get", "m.below", status=1)
    cli.check("ls", "m.none", status=1)
    cli.check("tree", "m.none", status=1)
    for form in FORMATS:
        cli.check("dump", "m.none", "-o", form, status=1)
    cli.check("del", "m.none", status=1)
    cli.check("del", "-r", "m.none", status=1)
    cli.check("del", "-rn", "m.none", status=1)
    expect("-r deletes them" in cli.check("del", "m.below", status=1).error)
    cli.check("del", "m.below.it")
    cli.check("get", "m.below.it", status=1)


def values_of_any_size(cli, folder):
    name = os.path.join(folder, "value")
    text = b"".join(b"%07d\n" % number for number in range(MIB // 8))[:MIB - 5]
    with open(name, "wb") as file:
        file.write(text)
    cli.check("set", "big.text", "-s", "-f", name)
    expect_equal(cli.check("get", "big.text", "-o", "cbor").out, b"\x7a\x00\x0f\xff\xfb" + text)
    expect_equal(cli.check("get", "big.text").out, text + b"\n")
    expect_equal(cli.check("get", "big.text", "-o", "json").json, text.decode())
    record = cli.check("get", "big.text", "-m", "-o", "json").json
    expect_equal(record["value"], text.decode())
    expect_equal(cli.check("dump", "big", "-o", "jsonl").jsonl[0]["value"], text.decode())
    with open(name, "ab") as file:
        file.write(b"x")
    expect("too large" in cli.check("set", "big.text", "-s", "-f", name, status=6).error)
    zeros = b"\x7a\x00\x0f\xff\xfb" + bytes(MIB - 5)
    cli.check("set", "big.zeros", "-c", "-f", "-", stdin=zeros)
    expect_equal(cli.check("get", "big.zeros", "-o", "json").json, "\0" * (MIB - 5))
    cli.check("set", "big.hex", "-x", "-f", "-", stdin=zeros.hex().encode() + b"\n")
    expect_equal(cli.check("get", "big.hex", "-o", "cbor").out, zeros)
    many = [0] * 65535
    cli.check("set", "big.many", "-j", "-f", "-", stdin=json.dumps(many).encode())
    expect_equal(cli.check("get", "big.many", "-m", "-o", "json").json["value"], many)
    deep = "[" * 64 + "]" * 64
    cli.check("set", "big.deep", "-j", deep)
    for form in FORMATS:
        cli.check("get", "big.deep", "-m", "-o", form)
    cli.check("set", "big.deep", "-j", "[" + deep + "]", status=6)


def values_that_json_has_not(cli):
    for number, item in enumerate(["430001ff", "c11a514b67b0", "f7", "f0", "f97e00", "f97c00", "a201020304",
                                   "a1820102f5", "9f01ff", "7f6161ff", "a16624627974657301", "fb3ff8000000000000",
                                   "1800", "a2616101616102", "a1f6f6", "d9d9f783010203"]):
        path = f"odd.v{number}"
        cli.check("set", path, "-x", item)
        expect_equal(cli.check("get", path, "-o", "cbor").out.hex(), item, "kept byte for byte")
        for form in FORMATS:
            cli.check("get", path, "-o", form)
            cli.check("get", path, "-m", "-o", form)
        cli.check("set", path + ".back", "-j", "-f", "-", stdin=cli.check("get", path, "-o", "json").out)
        cli.check("set", path + ".yaml", "-f", "-", stdin=cli.check("get", path, "-o", "yaml").out)
        expect_equal(cli.check("get", path + ".back", "-o", "json").out, cli.check("get", path, "-o", "json").out)
        expect_equal(cli.check("get", path + ".yaml", "-o", "json").out, cli.check("get", path, "-o", "json").out)


def paths_of_any_kind(cli):
    paths = ["p", "p.a:_b", "p.a:.b", "p.a::b", "p:e", "p:t", "p:f", "p:n", "p:2", "p:-1", "p:1:.5",
             "p:1e+100", "p:18446744073709551615", "p:vbytes", "p:sAP8=", "p.ä", "p.😀", "p.$x", "p./", "p.+",
             "p.#", "p.-x", "p." + "x" * 900]
    canonical = []
    for path in paths:
        canonical.append(cli.check("set", path, "-s", path, "-o", "json").json["path"])
        expect_equal(cli.check("get", path).text, path + "\n")
        expect_equal(cli.check("get", canonical[-1]).text, path + "\n", canonical[-1])
    expect_equal(len(set(canonical)), len(paths), "each is a path of its own")
    rows = cli.check("dump", "p", "-o", "jsonl").jsonl
    expect_equal({row["path"]: row["value"] for row in rows[:-1]}, dict(zip(canonical, paths)))
    expect_equal({child["path"] for child in cli.check("ls", "p", "-o", "jsonl").jsonl}, set(canonical[1:]))
    cli.check("set", "p.a b", "spaced")
    expect_equal(cli.check("get", "p.a:_b").text, "spaced\n")
    cli.check("del", "-rf", "p")
    expect_equal(cli.check("ls", "p", status=1).out, b"")


def the_root(cli):
    cli.check("set", ":", "root")
    expect_equal(cli.check("get", ":").out, b"root\n")
    expect(any(row.get("path") == ":" for row in cli.check("dump", "-o", "jsonl").jsonl))
    cli.check("del", ":")
    cli.check("get", ":", status=1)


def ls_in_each_format(cli):
    hello(cli)
    wanted = [{"path": "h.a", "entries": 2, "has_value": True},
              {"path": "h.c:.d", "entries": 1, "has_value": True}]
    expect_equal(cli.check("ls", "h", "-o", "json").json, wanted)
    expect_equal(cli.check("ls", "h", "-o", "jsonl").jsonl, wanted)
    expect_equal(cbor_items(cli.check("ls", "h", "-o", "cbor").out), wanted)
    expect_equal(yaml_items(cli.check("ls", "h", "-o", "yaml").text) or wanted, wanted)
    expect_equal(cli.check("ls", "h").text, "       2 = h.a\n       1 = h.c:.d\n")
    expect_equal(cli.check("ls", "h.a").text, "       1   h.a.b\n")
    for form, empty in [("text", ""), ("json", "[]\n"), ("jsonl", ""), ("yaml", "[]\n"), ("cbor", "")]:
        expect_equal(cli.check("ls", "h.c:.d", "-o", form).text, empty, f"ls of a leaf in {form}")


def tree_in_each_format(cli):
    hello(cli)
    utf8 = {"LC_ALL": "", "LC_CTYPE": "", "LANG": "de_AT.UTF-8"}
    expect_equal(cli.check("tree", "h", **utf8).text,
                 "h = top\n├── a = 1\n│   └── b\n│       └── :2 = [true,null]\n└── c:.d = x: y\n")
    expect_equal(cli.check("tree", "h", LC_ALL="C").text,
                 "h = top\n|-- a = 1\n|   `-- b\n|       `-- :2 = [true,null]\n`-- c:.d = x: y\n")
    expect_equal(cli.check("tree", "h", "-d", "1", **utf8).text,
                 "h = top\n├── a = 1 (1 below)\n└── c:.d = x: y\n")
    nested = {"$value": "top", "a": {"$value": 1, "b": {":2": {"$value": [True, None]}}}, "c.d": "x: y"}
    expect_equal(cli.check("tree", "h", "-o", "json").json, nested)
    expect_equal([row["path"] for row in cli.check("tree", "h", "-o", "jsonl").jsonl],
                 ["h", "h.a", "h.a.b:2", "h.c:.d"])
    expect_equal([row["path"] for row in cli.check("tree", "h", "-o", "jsonl", "-d", "1").jsonl],
                 ["h", "h.a", "h.c:.d"])
    expect_equal(cbor_items(cli.check("tree", "h", "-o", "cbor").out),
                 cli.check("tree", "h", "-o", "jsonl").jsonl)
    cli.check("tree", "h", "-o", "yaml")


def tree_fits_the_terminal(cli):
    cli.check("set", "w.text", "-s", "0123456789" * 20)
    cli.check("set", "w.wide", "-s", "日本語" * 20)
    for width in (4, 12, 20, 21, 22, 40, 79):
        for line in cli.check("tree", "w", COLUMNS=str(width), LC_ALL="C.UTF-8").lines:
            columns = sum(2 if ord(character) > 0x2fff else 1 for character in line)
            expect(columns <= max(width, 14), f"{columns} columns of {width}: {line}")
    for line in cli.check("tree", "w", COLUMNS="40", LC_ALL="C.UTF-8").lines[1:]:
        expect(line.endswith("…"), line)
    for line in cli.check("tree", "w", COLUMNS="40", LC_ALL="C").lines[1:]:
        expect(line.endswith("..."), line)
    expect(cli.check("tree", "w").lines[1].endswith("0123456789"), "nothing is cut without a terminal")


def no_control_characters(cli):
    nasty = "\x1b]0;owned\x07\x1b[2J\r\x00\x85\u202e\t\nend"
    cli.check("set", "n", "-f", "-", "-s", stdin=nasty.encode())
    cli.check("set", "n.\x1b[31m\u202ex\ny", "1")
    wanted = {"n.\x1b[31m\u202ex\ny", "n"}
    for arguments in (["get", "n"], ["get", "-m", "n"], ["tree", "n"], ["ls", "n"], ["dump", "n"],
                      ["del", "-rn", "n"], ["tree", "n", "-o", "json"], ["tree", "n", "-o", "yaml"], ["dump", "n", "-o", "yaml"], ["ls", "n", "-o", "yaml"]):
        out = cli.check(*arguments).text
        found = re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", out)
        expect(not found, f"{arguments}: {found!r} in {out!r}")
    for arguments in (["get", "n"], ["tree", "n"], ["dump", "n"]):
        expect("\u202e" not in cli.check(*arguments).text, f"{arguments} reorders the line")
    expect("end" in cli.check("get", "n").text)
    rows = cli.check("tree", "n", "-o", "jsonl").jsonl
    expect_equal({row["path"] for row in rows}, wanted)
    expect_equal(rows[0]["value"], nasty)
    result = cli.check("get", "n.\x1b[31m", status=1)
    expect("\x1b" not in result.error, result)


def del_deletes_and_counts(cli):
    for number in range(5):
        cli.check("set", f"d.x:{number}", str(number))
    cli.check("set", "d", "top")
    expect_equal(cli.check("del", "d.x:4").out, b"1 entry deleted\n")
    cli.check("get", "d.x:4", status=1)
    expect_equal(cli.check("del", "-rn", "d.x").text,
                 "d.x:0\nd.x:1\nd.x:2\nd.x:3\n4 entries would be deleted\n")
    expect_equal(cli.check("del", "-rn", "d.x", "-o", "json").json, [{"path": f"d.x:{n}"} for n in range(4)])
    expect_equal(len(cli.check("del", "-rn", "d.x", "-o", "jsonl").jsonl), 4)
    expect_equal(len(cbor_items(cli.check("del", "-rn", "d.x", "-o", "cbor").out)), 4)
    expect_equal(cli.check("del", "-n", "d").text, "d\n1 entry would be deleted\n")
    expect_equal(cli.check("get", "d").out, b"top\n")
    expect_equal(cli.check("del", "-q", "d").out, b"")
    expect_equal(cli.check("del", "-r", "d", "-o", "json").json, {"deleted": 4})
    expect_equal(cli.check("del", "d", "-r", status=1).out, b"")
    for form in FORMATS:
        cli.check("set", "d", "again")
        cli.check("del", "d", "-o", form)
    cli.check("set", "d.x:2", "back")
    expect_equal(cli.check("get", "d.x:2").out, b"back\n")


def status_in_each_format(cli):
    facts = cli.check("status", "-o", "json").json
    expect_equal((facts["name"], facts["broker"], facts["state"]), ("t1", "connected", "writing"))
    expect_equal(sorted(cli.check("status", "-o", "jsonl").jsonl[0]), sorted(facts))
    expect_equal(sorted(cbor2.loads(cli.check("status", "-o", "cbor").out)), sorted(facts))
    expect("name: t1" in cli.check("status", "-o", "yaml").lines)
    expect_equal(sorted(line.split()[0] for line in cli.check("status").lines), sorted(facts))


def ping_in_each_format(cli):
    expect(re.fullmatch(r"t1: \d+\.\d{3} ms\n", cli.check("ping").text))
    pongs = cli.check("ping", "-c", "3", "-o", "json").json
    expect_equal([(pong["n"], pong["server"]) for pong in pongs], [(1, "t1"), (2, "t1"), (3, "t1")])
    expect_equal(len(cli.check("ping", "-c", "2", "-o", "jsonl").jsonl), 2)
    expect_equal(len(cbor_items(cli.check("ping", "-c", "2", "-o", "cbor").out)), 2)
    cli.check("ping", "-o", "yaml")


def ways_to_name_a_server(cli, server):
    bare = moat.Cli()
    bare.check("--server", server.address, "ping")
    bare.check("ping", f"--server={server.address}")
    bare.check("--server", "unix:/nowhere", "--server", server.address, "ping")
    bare.check("ping", MOAT_KV_SERVER="unix:/nowhere," + server.address)
    cli.check("--server", "unix:/nowhere", "ping", status=3)
    bare.check("ping", "--server", "unix:/nowhere", "--broker", server.broker)
    bare.check("ping", MOAT_KV_SERVER="unix:/nowhere", MOAT_KV_BROKER=server.broker)
    bare.check("ping", "--timeout", "1", MOAT_KV_SERVER="unix:/nowhere", MOAT_KV_BROKER=server.broker,
               MOAT_KV_ROOT="not/this", status=3)
    bare.check("ping", MOAT_KV_SERVER="nonsense", status=2)


def output_that_cannot_be_written(cli):
    hello(cli)
    with open("/dev/full", "wb") as full:
        import subprocess
        done = subprocess.run([moat.program("MOAT_KV"), "dump"], stdout=full, stderr=subprocess.PIPE,
                              env=cli.environment, check=False)
    expect_equal(done.returncode, 6)
    expect_equal(done.stderr, b"moat-kv: standard output: No space left on device; nothing more was written\n")


def main():
    with moat.Folder() as folder, moat.Server(os.path.join(folder, "state")) as server:
        cli = moat.Cli(server.address)
        moat.run_cases([(name, lambda case=case: case(cli)) for name, case in [
            ("set and get each kind of value", set_and_get),
            ("set is quiet, and tells the entry if asked", set_is_quiet_and_tells_the_entry),
            ("what is not there: 1", missing_entries),
            ("values up to a mebibyte, and not beyond", lambda cli: values_of_any_size(cli, folder)),
            ("values that JSON has not", values_that_json_has_not),
            ("paths of any kind", paths_of_any_kind),
            ("the root", the_root),
            ("ls in each format", ls_in_each_format),
            ("tree in each format", tree_in_each_format),
            ("tree fits the terminal", tree_fits_the_terminal),
            ("control characters do not reach the terminal", no_control_characters),
            ("del deletes what was seen, and counts", del_deletes_and_counts),
            ("status in each format", status_in_each_format),
            ("ping in each format", ping_in_each_format),
            ("ways to name a server", lambda cli: ways_to_name_a_server(cli, server)),
            ("a full disk under the output", output_that_cannot_be_written),
        ]])


main()
