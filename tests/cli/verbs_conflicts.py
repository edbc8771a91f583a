#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""moat-kv conflicts: what was lost, in each format, by path, and while it goes on."""
import json
import os
import re
import signal
import subprocess
import sys

import cbor2

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import moat  # noqa: E402
from moat import expect, expect_equal  # noqa: E402

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def lose(cli, path, lost, stays="null"):
    """Somebody writes, and somebody else overwrites it without having looked."""
    if lost is None:
        cli.check("set", path, "0")
        cli.check("del", path)
    else:
        cli.check("set", path, "--", lost)
    cli.check("set", "--blind", path, stays)


def without_time(lines):
    """What the lines say behind the time that each begins with."""
    for line in lines:
        expect(re.match(rf"{TIME} ", line), line)
    return [line.split(" ", 1)[1] for line in lines]


def nothing_lost(cli, _):
    expect_equal(cli.check("conflicts").out, b"")
    expect_equal(cli.check("conflicts", "-o", "json").json, [])
    expect_equal(cli.check("conflicts", "no.such", "-o", "jsonl").out, b"")
    cli.check("set", "calm", "1")
    cli.check("set", "calm", "2")  # who looks first is in no conflict
    expect_equal(cli.check("conflicts").out, b"")


def what_was_lost(cli, _):
    lose(cli, "c.a", "1")
    lose(cli, "c.a:2", "[x, \"y\\ez\"]")
    lose(cli, "c.gone", None)
    lose(cli, "d", "5")
    lines = without_time(cli.check("conflicts").lines)
    expect_equal(lines, ["c.a = 1", 'c.a:2 = ["x","y\\u001bz"]', "c.gone deleted", "d = 5"])
    expect_equal(without_time(cli.check("conflicts", "c.a").lines), lines[:2])
    expect_equal(without_time(cli.check("conflicts", "c", "-n", "1").lines), lines[:1])
    expect_equal(cli.check("conflicts", "c.a.b").lines, [])
    for arguments, says, status in [(["c..a"], "c..a", 6), (["-n", "0"], "--count", 2),
                                    (["a", "b"], "b", 2)]:
        expect(says in cli.check("conflicts", *arguments, status=status).error, arguments)


def in_each_format(cli, _):
    records = cli.check("conflicts", "-o", "json").json
    expect_equal(cli.check("conflicts", "-o", "jsonl").jsonl, records)
    raw = cli.check("conflicts", "-o", "cbor").out
    expect_equal([item["path"] for item in cbor2.loads(b"\x9f" + raw + b"\xff")],
                 [record["path"] for record in records])
    expect_equal(cli.check("conflicts", "-o", "yaml").lines[0], "- kind: conflict")
    first = records[0]
    expect_equal(sorted(first), ["found", "id", "kind", "more", "path", "ticks", "time", "tock",
                                 "value", "winner"])
    expect(re.fullmatch(TIME, first["time"]), first)
    expect_equal((first["kind"], first["path"], first["value"], first["more"]),
                 ("conflict", "c.a", 1, 0))
    expect(re.fullmatch(r"[0-9a-f]{16}", first["id"]), first)
    expect_equal(len({record["id"] for record in records}), len(records))
    held = json.loads(cli.check("get", "-m", "c.a", "-o", "json").out)
    expect_equal(first["winner"], {"tock": held["tock"], "ticks": [held["ticks"][0]], "deleted": False})
    expect_equal(records[2]["deleted"], True)
    expect("value" not in records[2], records[2])


def some_are_only_possible(cli, _):
    for number in range(6):  # each by a session of its own: the first are cut off
        cli.check("set", "old", str(number))
    cli.check("set", "--blind", "old", "6")
    line, = without_time(cli.check("conflicts", "old").lines)
    expect_equal(line, "old possible, = 5")
    expect_equal(cli.check("conflicts", "old", "-o", "json").json[0]["kind"], "possible")


def more_than_one_a_second(cli, _):
    def more():
        record = cli.check("conflicts", "fast", "-o", "json").json
        return record and record[0]["more"]
    cli.check("set", "fast", "0")
    number = 0
    while not more():  # as fast as it can, until one comes within a second of another
        number += 1
        cli.check("set", "--blind", "fast", str(number))
    first = cli.check("conflicts", "fast").lines[0]
    expect(re.search(r"fast( possible,)? \+\d+, = \d+$", first), first)


def follow(cli, _):
    with cli.start("conflicts", "f", "--follow") as command:
        command.wait_for_line("synced")
        lose(cli, "f.a", "1")
        lose(cli, "other", "1")
        lose(cli, "f.b", "two")
        command.wait_for_line(lambda line: line.endswith("f.b = two"))
        command.signal(signal.SIGINT)
        expect_equal(command.wait(), 130)
        lines = command.output()
        expect_equal((lines[0], without_time(lines[1:])), ("synced", ["f.a = 1", "f.b = two"]))
        expect_equal(command.output("err"), [])
    with cli.start("conflicts", "f", "-f", "-n", "3", "-o", "jsonl") as command:
        command.wait_for_line('{"kind":"synced"}')
        lose(cli, "f.c", "3")
        expect_equal(command.wait(), 0)
        records = [json.loads(line) for line in command.output()]
        expect_equal([record["kind"] for record in records],
                     ["conflict", "conflict", "synced", "conflict"])
    late = cli.check("conflicts", "f", "-f", "-n", "9", "--timeout", "2", status=3)
    expect("only 3 of 9 conflicts came in time" in late.error, late)
    expect_equal(cli.check("conflicts", "f", "-f", "--timeout", "2", "-o", "json").json[-1],
                 {"kind": "synced"})


def follow_ends_with_its_reader(cli, _):
    command = subprocess.Popen([moat.program("MOAT_KV"), "conflicts", "f", "-f"],
                               env=cli.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while command.stdout.readline() != b"synced\n":
        pass
    command.stdout.close()
    expect_equal((command.wait(moat.DEADLINE_S), command.stderr.read()), (141, b""))


def what_was_lost_outlives_the_server(cli, server):
    lose(cli, "k", "1")
    with cli.start("conflicts", "k", "--follow") as command:
        command.wait_for_line("synced")
        server.kill()
        command.wait_for_line("moat-kv: lost the server", "err")
        server.start()
        start = command.wait_for_line("synced", start=2)[0]
        lose(cli, "k", "2")
        command.wait_for_line(lambda line: line.endswith("k = 2"), start=start)
        lines = [line.split(" ", 1)[-1] for line in command.output()]
        expect_equal(lines, ["k = 1", "synced", "synced", "k = 2"])
        command.signal(signal.SIGTERM)
        expect_equal(command.wait(), 130)
    expect_equal(without_time(cli.check("conflicts", "k").lines), ["k = 1", "k = 2"])


def the_report_counts_them(cli, _):
    report = cli.check("status", "-o", "json").json
    kept = len(cli.check("conflicts", "-o", "jsonl").jsonl)
    expect_equal(report["conflicts_kept"], kept)
    expect({"conflicts", "conflicts_counted", "conflicts_untold"} <= set(report), report)


CASES = [
    ("nothing was lost", nothing_lost),
    ("what was lost", what_was_lost),
    ("in each format", in_each_format),
    ("some are only possible", some_are_only_possible),
    ("more than one a second", more_than_one_a_second),
    ("those that come are told", follow),
    ("it ends with its reader", follow_ends_with_its_reader),
    ("what was lost outlives the server", what_was_lost_outlives_the_server),
    ("the report counts them", the_report_counts_them),
]

with moat.Folder() as state:
    settings = os.path.join(state, "config")
    with open(settings, "w", encoding="utf-8") as file:
        file.write("clock: always\n")
    with moat.Server(os.path.join(state, "t1"), "t1", ["--config", settings]) as one:
        commands = moat.Cli(one.address)
        moat.run_cases([(name, lambda case=case: case(commands, one)) for name, case in CASES])
