#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What moat-kv writes to files and reads from them: dump, restore, import."""
import json
import os
import stat
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import moat  # noqa: E402
from moat import expect, expect_equal  # noqa: E402

ISO_CODES = "/usr/share/iso-codes/json"
FORMATS = ["text", "json", "jsonl", "yaml", "cbor"]


def counts(written=0, unchanged=0, deleted=0, dry_run=False):
    return {"written": written, "unchanged": unchanged, "deleted": deleted, "dry_run": dry_run}


def rows(cli, path):
    """What is there, without its history."""
    return {row["path"]: row["value"] for row in cli.check("tree", path, "-o", "jsonl").jsonl}


def import_text(cli, at, text, *more, status=0):
    result = cli.check("import", "-", "--at", at, "-o", "json", *more, stdin=text.encode(), status=status)
    return result.json if result.out else None


def iso_codes(cli, folder):
    names = sorted(name for name in os.listdir(ISO_CODES) if name.startswith("iso_3166")
                   or name in ("iso_15924.json", "iso_4217.json", "iso_639-2.json"))
    expect(len(names) >= 4, "the package iso-codes is not here")
    for name in names:
        with open(os.path.join(ISO_CODES, name), encoding="utf-8") as file:
            wanted = json.load(file)
        at = "iso." + name.replace(".", ":.")
        first = cli.check("import", os.path.join(ISO_CODES, name), "--at", at, "-o", "json").json
        expect_equal(first["unchanged"], 0)
        again = cli.check("import", os.path.join(ISO_CODES, name), "--at", at, "-o", "json").json
        expect_equal(again, counts(unchanged=first["written"]), f"{name} again")
        expect_equal(cli.check("dump", at, "-o", "json").json, wanted, name)
        as_yaml = os.path.join(folder, "iso.yaml")
        cli.check("dump", at, "-o", "yaml", "-f", as_yaml)
        expect_equal(cli.check("import", as_yaml, "--at", at, "-o", "json").json,
                     counts(unchanged=first["written"]), f"{name} by YAML")


def import_replaces_and_deletes(cli, _):
    expect_equal(import_text(cli, "i", '{"a":1,"b":{"c":[1,2],"d":{}}}'), counts(written=4))
    expect_equal(rows(cli, "i"), {"i.a": 1, "i.b.c:0": 1, "i.b.c:1": 2, "i.b.d": {}})
    expect_equal(import_text(cli, "i", "a: 2\nb: {c: [1]}\n", "--dry-run"), counts(1, 1, dry_run=True))
    expect_equal(import_text(cli, "i", "a: 2\nb: {c: [1]}\n", "-n", "--delete"), counts(1, 1, 2, True))
    expect_equal(rows(cli, "i")["i.a"], 1, "a dry run writes nothing")
    expect_equal(import_text(cli, "i", "a: 2\nb: {c: [1]}\n"), counts(1, 1))
    expect_equal(len(rows(cli, "i")), 4, "without --delete the rest stays")
    expect_equal(import_text(cli, "i", "a: 2\nb: {c: [1]}\n", "--delete"), counts(0, 2, 2))
    expect_equal(rows(cli, "i"), {"i.a": 2, "i.b.c:0": 1})
    expect_equal(import_text(cli, "i", '{"a":1,"b":{"c":[1,2],"d":{}}}'), counts(3, 1), "tombstones come back")
    conflicts = cli.check("status", "-o", "json").json["conflicts"]
    import_text(cli, "i", "a: 3\n", "--delete")
    expect_equal(cli.check("status", "-o", "json").json["conflicts"], conflicts, "conflicts")
    expect_equal(cli.check("import", "-", "--at", "i", "-q", stdin=b"a: 4\n").out, b"")
    expect_equal(cli.check("import", "-", "--at", "i", stdin=b"a: 5\n").text, "1 written, 0 unchanged\n")
    for form in FORMATS:
        cli.check("import", "-", "--at", "i", "-o", form, stdin=b"a: 5\n")
    cli.check("del", "-rf", "i")


def a_scalar_is_one_leaf(cli, _):
    expect_equal(import_text(cli, "s", "42"), counts(written=1))
    expect_equal(rows(cli, "s"), {"s": 42})
    expect_equal(import_text(cli, "s", "[]"), counts(written=1))
    expect_equal(rows(cli, "s"), {"s": []})


def a_bad_leaf_writes_nothing(cli, _):
    for text in ('{"a":1,"b":{"' + "x" * 1100 + '":2}}', '{"a":1,"b":"' + "x" * 1048576 + '"}',
                 '{"a":1,"b":' + '{"c":' * 70 + "1" + "}" * 71, '{"a":1,'):
        import_text(cli, "bad", text, status=6)
        cli.check("ls", "bad", status=1)


def notations_are_told_apart(cli, folder):
    for name, text, option, status in [
        ("a.json", "a: 1", None, 6), ("a.json", "a: 1", "-y", 0), ("a.yaml", "{a: 1}", None, 0),
        ("a.yml", "a: 1", None, 0), ("a", "a: 1", None, 0), ("a", ' {"a": 1}', None, 0),
        ("a", "{a: 1}", None, 6), ("a", "{a: 1}", "-y", 0), ("a", "a: 1", "-j", 6),
    ]:
        path = os.path.join(folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        cli.check("import", path, "--at", "n", *([option] if option else []), status=status)
        expect_equal(rows(cli, "n") if status == 0 else {"n.a": 1}, {"n.a": 1}, f"{name} {text}")


def fill(cli, at):
    text = json.dumps({"a": list(range(300)), "b": {"c": "x" * 100000, "d": {}, "ü": None, "e f": True}})
    import_text(cli, at, text)
    cli.check("set", at, "top")
    cli.check("set", at + ".b:2", "-x", "c249ffffffffffffffffff")
    return rows(cli, at)


def dump_and_restore(cli, folder):
    wanted = fill(cli, "r")
    for form, name in (("cbor", "r.mkv"), ("jsonl", "r.jsonl"), ("text", "r.text")):
        name = os.path.join(folder, name)
        cli.check("dump", "r", "-o", form, "-f", name)
        expect_equal(cli.check("dump", "r", "-o", form).out[-40:] if form != "cbor" else b"",
                     open(name, "rb").read()[-40:] if form != "cbor" else b"", form)
        expect_equal(cli.check("restore", name, "-o", "json").json, counts(unchanged=len(wanted)))
        cli.check("set", "r.a:7", "changed")
        cli.check("set", "r.other", "stays")
        cli.check("del", "r.b.c")
        expect_equal(cli.check("restore", name, "-n", "-o", "json").json,
                     counts(2, len(wanted) - 2, dry_run=True))
        expect_equal(cli.check("restore", name, "-o", "json").json, counts(2, len(wanted) - 2))
        expect_equal(rows(cli, "r"), {**wanted, "r.other": "stays"})
        cli.check("del", "-rf", "r")
        with open(name, "rb") as file:
            expect_equal(cli.check("restore", "-", stdin=file.read(), status=0).text,
                         f"{len(wanted)} written, 0 unchanged\n")
        expect_equal(rows(cli, "r"), wanted, form)
    for form in FORMATS:
        cli.check("restore", os.path.join(folder, "r.mkv"), "-o", form)
    cli.check("del", "-rf", "r")


def restore_what_is_missing(cli, folder):
    name = os.path.join(folder, "missing.mkv")
    for path in "abc":
        cli.check("set", f"q.{path}", "old")
    cli.check("dump", "q", "-o", "cbor", "-f", name)
    cli.check("set", "q.a", "new")
    cli.check("del", "q.b")
    expect_equal(cli.check("restore", "--missing", name, "-n", "-o", "json").json, counts(1, 2, dry_run=True))
    expect_equal(cli.check("restore", "--missing", name, "-o", "json").json, counts(1, 2))
    expect_equal(rows(cli, "q"), {"q.a": "new", "q.b": "old", "q.c": "old"})
    cli.check("del", "-rf", "q")


def dumps_in_one_file(cli, folder):
    """As a server writes them that sets entries aside, and as a crash may leave them."""
    name = os.path.join(folder, "several.mkv")
    whole = b""
    for path in ("q.a", "q.b", "other.c"):
        cli.check("set", path, "value")
        whole += cli.check("dump", path, "-o", "cbor").out
    for length in (len(whole), len(whole) - 1, len(whole) - 40, len(whole) - 60):
        cli.check("del", "-rf", "q")
        cli.run("del", "-rf", "other")  # which there is once
        with open(name, "wb") as file:
            file.write(whole[:length])
        if length == len(whole):
            expect_equal(cli.check("restore", name, "-o", "json").json, counts(3))
            continue
        refused = cli.check("restore", name, status=6)
        expect("cut off" in refused.error, refused.error)
        cli.check("ls", "q", status=1)
        taken = cli.check("restore", "--partial", name, "-o", "json")
        expect_equal(taken.json, counts(2))
        expect("the 2 rows before that are taken" in taken.error, taken.error)
        cli.check("get", "other.c", status=1)
    with open(name, "wb") as file:
        file.write(whole[:20])
    cli.check("restore", "--partial", name, status=6)
    cli.check("del", "-rf", "q")


def restore_somewhere_else(cli, folder):
    wanted = fill(cli, "here.r")
    dump = os.path.join(folder, "m.mkv")
    lines = os.path.join(folder, "m.jsonl")
    cli.check("dump", "here.r", "-o", "cbor", "-f", dump)
    cli.check("dump", "here.r", "-o", "jsonl", "-f", lines)
    moved = {path.replace("here.r", "there", 1): value for path, value in wanted.items()}
    cli.check("restore", dump, "--at", "there")
    expect_equal(rows(cli, "there"), moved)
    expect_equal(cli.check("restore", lines, "--at", "there", "--from", "here.r", "-o", "json").json,
                 counts(unchanged=len(wanted)))
    cli.check("restore", dump, "--at", "there.deeper", "--from", "here")
    expect_equal(cli.check("get", "there.deeper.r").out, b"top\n")
    expect("--from" in cli.check("restore", lines, "--at", "there", status=2).error)
    cli.check("restore", dump, "--at", "there", "--from", "here.r.b", status=6)
    cli.check("restore", dump, "--at", ".".join(["x"] * 63), status=6)
    cli.check("restore", dump, "--at", "x" * 1019, status=6)
    cli.check("ls", ".".join(["x"] * 63), status=1)
    cli.check("del", "-rf", "here")
    cli.check("del", "-rf", "there")


def a_damaged_dump_writes_nothing(cli, folder):
    fill(cli, "t")
    for form in ("cbor", "jsonl"):
        whole = cli.check("dump", "t", "-o", form).out
        name = os.path.join(folder, "t")
        damaged = [whole[:at] for at in (0, 1, 20, len(whole) // 2, len(whole) - 30, len(whole) - 1)]
        damaged += [whole + whole[-20:], whole + b"\0"]
        if form == "cbor":
            middle = len(whole) // 2
            damaged += [whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1:]]
        cli.check("del", "-rf", "t")
        for data in damaged:
            with open(name, "wb") as file:
                file.write(data)
            if form == "jsonl" and data == whole[:-1]:
                continue  # only the last end of line is missing, and all is there
            result = cli.run("restore", name)
            expect_equal(result.status, 6, f"{form}, {len(data)} of {len(whole)} bytes: {result}")
            expect_equal(cli.check("ls", "t", status=1).out, b"")
        with open(name, "wb") as file:
            file.write(whole)
        cli.check("restore", name)
    cli.check("del", "-rf", "t")


def a_dump_is_the_same_everywhere(cli, folder):
    """It has nothing that depends on when, where or in which order servers heard of the entries."""
    for value in ("1", "2"):
        cli.check("set", "same.a", value)
    ticks = cli.check("get", "-m", "same.a", "-o", "jsonl").jsonl[0]["ticks"]
    expect(len(ticks) > 1, f"it is not known what was replaced: {ticks}")
    expect_equal(cli.check("dump", "same", "-o", "jsonl").jsonl[0]["ticks"], ticks[:1])
    expect_equal(cli.check("dump", "same", "-o", "jsonl", "--ticks").jsonl[0]["ticks"], ticks)
    whole = cli.check("dump", "same", "-o", "cbor").out
    expect(b"dtime" not in whole and b"estore" not in whole, whole)
    name = os.path.join(folder, "all-ticks")
    cli.check("dump", "same", "-o", "cbor", "--ticks", "-f", name)
    expect_equal(cli.check("restore", name, "-o", "json").json, counts(unchanged=1))
    cli.check("del", "-rf", "same")


def an_empty_tree(cli, folder):
    expect_equal(cli.check("ls").out, b"", "this case wants an empty tree")
    for form in ("cbor", "jsonl", "text"):
        name = os.path.join(folder, "empty")
        cli.check("dump", "-o", form, "-f", name)
        expect_equal(cli.check("restore", name, "-o", "json").json, counts())
    cli.check("dump", "-o", "json", status=1)
    expect_equal(cli.check("tree", "-o", "json").json, {})
    expect_equal(cli.check("tree").text, ":\n")


def dump_replaces_a_file_at_once(cli, folder):
    cli.check("set", "f", "1")
    inner = os.path.join(folder, "inner")
    os.mkdir(inner)
    name = os.path.join(inner, "dump")
    with open(name, "wb") as file:
        file.write(b"old")
    cli.check("dump", "none", "-o", "json", "-f", name, status=1)
    moat.Cli("unix:/nowhere").check("dump", "-f", name, status=3)
    expect_equal((os.listdir(inner), open(name, "rb").read()), (["dump"], b"old"), "after a failure")
    old_mask = os.umask(0o027)
    try:
        cli.check("dump", "f", "-o", "json", "-f", name)
    finally:
        os.umask(old_mask)
    expect_equal((os.listdir(inner), open(name, "rb").read()), (["dump"], b"1\n"), "after a success")
    expect_equal(stat.S_IMODE(os.stat(name).st_mode), 0o640)
    link = os.path.join(folder, "link")
    os.symlink(name, link)
    cli.check("set", "f", "2")
    cli.check("dump", "f", "-o", "json", "-f", link)
    expect(os.path.islink(link), "the link is gone")
    expect_equal(open(name, "rb").read(), b"2\n")
    cli.check("dump", "f", "-f", "/dev/null")
    expect(stat.S_ISCHR(os.stat("/dev/null").st_mode), "/dev/null is gone")
    cli.check("dump", "f", "-f", "/nowhere/at/all", status=6)
    cli.check("dump", "f", "-f", "/dev/full", status=6)
    expect_equal(cli.check("dump", "f", "-o", "json", "-f", "-").out, b"2\n")


def a_reader_that_goes_away(cli, _):
    import_text(cli, "e", json.dumps(list(range(20000))))
    for arguments in (["dump", "e"], ["tree", "e", "-o", "json"], ["tree", "e"], ["ls", "e"]):
        process = subprocess.Popen([moat.program("MOAT_KV"), *arguments], env=cli.environment,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdout.read(10)
        process.stdout.close()
        error = process.stderr.read()
        expect_equal((process.wait(moat.DEADLINE_S), error), (141, b""), arguments)
    cli.check("del", "-rfq", "e")


def main():
    with moat.Folder() as folder, moat.Server(os.path.join(folder, "state")) as server:
        cli = moat.Cli(server.address)
        moat.run_cases([(name, lambda case=case: case(cli, folder)) for name, case in [
            ("an empty tree", an_empty_tree),
            ("iso-codes: import, again, dump: equal", iso_codes),
            ("import replaces, leaves alone, and deletes if asked", import_replaces_and_deletes),
            ("a document may be one leaf", a_scalar_is_one_leaf),
            ("one bad leaf, and nothing is written", a_bad_leaf_writes_nothing),
            ("JSON and YAML are told apart", notations_are_told_apart),
            ("dump and restore", dump_and_restore),
            ("restore what is missing", restore_what_is_missing),
            ("dumps in one file, the last one cut off", dumps_in_one_file),
            ("restore somewhere else", restore_somewhere_else),
            ("a damaged dump, and nothing is written", a_damaged_dump_writes_nothing),
            ("a dump tells nothing of the server it was made at", a_dump_is_the_same_everywhere),
            ("dump replaces a file at once", dump_replaces_a_file_at_once),
            ("a reader that goes away ends it quietly", a_reader_that_goes_away),
        ]])


main()
