#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What moat-kv says without a server: wrong usage, bad data, help, and that there is none."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import moat  # noqa: E402
from moat import expect, expect_equal  # noqa: E402

VERBS = ["get", "set", "del", "ls", "tree", "watch", "conflicts", "dump", "restore", "import", "status", "servers",
         "evict", "user", "role", "acl", "login", "passwd", "ping",
         "help", "version"]
NOWHERE = "unix:/tmp/moat-there-is-none/link.sock"

CLI = moat.Cli(NOWHERE)


def refuses(status, *arguments, says=None, stdin=b""):
    result = CLI.check(*arguments, status=status, stdin=stdin)
    expect_equal(result.out, b"", "standard output")
    expect_equal(len(result.error.splitlines()), 1, f"lines of {result.error!r}")
    if says is not None:
        expect(says in result.error, f"{result} does not say '{says}'")
    expect(all(character.isprintable() or character == "\n" for character in result.error),
           f"{result.error!r} is not fit for a terminal")


def usage_errors():
    for arguments, says in [
        ([], "which verb"),
        (["gett"], "did you mean 'get'"),
        (["imprt"], "did you mean 'import'"),
        (["statsu"], "did you mean 'status'"),
        (["frobnicate-everything-there-is-now"], "no such verb"),
        (["get"], "usage: moat-kv get PATH"),
        (["get", "a", "b"], "'b' is one word too many"),
        (["get", "a", "--mata"], "did you mean --meta"),
        (["get", "a", "-z"], "-z: no such option"),
        (["get", "a", "-mz"], "-z: no such option"),
        (["get", "a", "--meta=1"], "--meta takes no argument"),
        (["get", "a", "--default"], "--default: its argument is missing"),
        (["get", "a", "-o"], "--output: its argument is missing"),
        (["get", "a", "-o", "xml"], "'xml' is no format"),
        (["--timeout", "0", "ping"], "--timeout: '0'"),
        (["--timeout", "-1", "ping"], "--timeout: '-1'"),
        (["--timeout", "5s", "ping"], "--timeout: '5s'"),
        (["--timeout", "1e3", "ping"], "--timeout: '1e3'"),
        (["--timeout", "", "ping"], "--timeout: ''"),
        (["--timeout", "99999999999", "ping"], "--timeout"),
        (["--server", "", "ping"], "the address is empty"),
        (["--server", "here", "ping"], "'here' is no address"),
        (["--server", "tcp://", "ping"], "--server"),
        (["--broker", "http://x", "ping"], "--broker: 'http://x'"),
        (["--root", "a/#", "ping"], "--root: 'a/#'"),
        (["user", "passwd"], "usage: moat-kv user passwd NAME"),
        (["user", "passwd", "a b"], "'a b'"),
        (["user", "paswd", "ann"], "did you mean 'passwd'"),
        (["set", "a"], "VALUE is missing"),
        (["set", "a", "1", "-f", "x"], "both given"),
        (["set", "a", "1", "-s", "-j"], "two things"),
        (["set", "a", "1", "-c"], "-c reads a file"),
        (["set", "a", "1", "2"], "one word too many"),
        (["ping", "-c", "0"], "--count: '0'"),
        (["ping", "-c", "x"], "--count: 'x'"),
        (["ping", "-c", "99999999999999999999"], "--count"),
        (["tree", "-d", "65"], "1 to 64"),
        (["watch", "-n", "-1"], "--count: '-1'"),
        (["import", "/dev/null"], "--at PATH"),
        (["import"], "usage: moat-kv import FILE --at PATH"),
        (["restore", "/dev/null", "--from", "a"], "--from goes with --at"),
        (["help", "gett"], "did you mean 'get'"),
        (["status", "x"], "one word too many"),
    ]:
        refuses(2, *arguments, says=says)


def bad_paths():
    for path, says in [
        ("", "the root is written ':'"), (".", "not a valid path"), ("a.", "not a valid path"),
        (".a", "not a valid path"), ("a..b", "not a valid path"), ("a:q", "not a valid path"),
        (b"\xff\xfe", "UTF-8"), (b"a\xc0\x80", "UTF-8"), ("a." * 64 + "a", "too long"),
        ("x" * 1030, "too long"), ("a:99999999999999999999", "out of its range"),
    ]:
        for verb in (["get"], ["set", "--"], ["del", "-r"], ["ls"], ["tree"], ["watch"], ["dump"]):
            more = ["1"] if verb[0] == "set" else []
            refuses(6, *verb, path, *more, says=says)
        refuses(6, "import", "/dev/null", "--at", path, says=says)
        refuses(6, "restore", "/dev/null", "--at", path, says=says)


def control_characters_in_what_is_said():
    for word in ("\x1b[31mred", "a\nb", "a\rb", "\u202e", "\x7f"):
        refuses(2, word)
        refuses(6, "get", word + "..")
        refuses(2, "get", "a", "-o", word)
        refuses(6, "import", "/nowhere/" + word, "--at", ":")


def bad_values():
    for arguments, says in [
        (["[1"], "line 1"), (["{a: 1, a: 2}"], "value"), (["&x 1"], "value"), (["-j", "tru"], "line 1"),
        (["-j", ""], "value"), (["-j", '{"a":1,"a":2}'], "twice"), (["-x", "f"], "hexadecimal"),
        (["-x", "zz"], "hexadecimal"), (["-x", "1c"], "value"), (["-x", "0000"], "trailing"),
        (["-j", "123456789012345678901"], "value"),
        (["-f", "/nowhere/file"], "No such file"), (["-f", "/"], "directory"),
        (["-cf", "/dev/null"], "value"),
    ]:
        refuses(6, "set", "a", *arguments, says=says)
    refuses(6, "set", "-s", "a", b"\xff", says="UTF-8")
    refuses(6, "set", "-s", "-f", "-", "a", stdin=b"\xff", says="UTF-8")
    refuses(6, "set", "-s", "-f", "-", "a", stdin=b"x" * (1024 * 1024 - 4), says="too large")
    refuses(6, "set", "-s", "-f", "-", "a", stdin=b"x" * (9 * 1024 * 1024), says="too large")
    refuses(6, "get", "a", "--default", "[1", says="--default")


def bad_files():
    for arguments, says in [
        (["import", "/nowhere/file", "--at", "a"], "No such file"),
        (["import", "/", "--at", "a"], "directory"),
        (["import", "-", "--at", "a"], "standard input"),
        (["restore", "/nowhere/file"], "No such file"),
    ]:
        refuses(6, *arguments, stdin=b"{", says=says if arguments[1] != "-" else None)
    for text in (b"", b"{", b'{"a":1} x', b'{"a":1,"a":2}', b'["' + b"\xff" + b'"]',
                 json.dumps({"x" * 1100: 1}).encode(), b'{"a":' * 70 + b"1" + b"}" * 70):
        refuses(6, "import", "-", "-j", "--at", "a", stdin=text)
    for text in (b"a: [", b"a: 1\na: 2\n", b"a: &x 1\nb: *x\n", b"\xff"):
        refuses(6, "import", "-", "-y", "--at", "a", stdin=text)
    for text in (b"", b"\x00", b"nonsense", b'{"path":"a","value":1,"tock":1,"ticks":[["t",1,1]]}\n'):
        refuses(6, "restore", "-", stdin=text)
    refuses(6, "import", "-", "-j", "--at", ".".join(["a"] * 60), says="too long",
            stdin=b'{"a":' * 5 + b"1" + b"}" * 5)


def no_server():
    for arguments in (["get", "a"], ["set", "a", "1"], ["del", "a"], ["del", "-r", "a"], ["ls"],
                      ["tree"], ["watch"], ["dump"], ["dump", "-o", "json"], ["status"], ["ping"]):
        refuses(3, *arguments, says=NOWHERE)
    refuses(3, "import", "-", "--at", "a", stdin=b"1", says=NOWHERE)
    refuses(3, "--timeout", "0.3", "ping", says=NOWHERE)
    refuses(3, "--server", "tcp://127.0.0.1:1", "ping", says="127.0.0.1")
    refuses(3, "--server", "unix:/nowhere/a", "--server", "unix:/nowhere/b", "ping",
            says="unix:/nowhere/b")


def help_of_each_verb():
    for verb in VERBS:
        explained = CLI.check("help", verb)
        expect_equal(CLI.check(verb, "--help").out, explained.out, f"{verb} --help")
        expect_equal(CLI.check("-h", verb).out, explained.out, f"-h {verb}")
        lines = explained.lines
        expect(lines[0].startswith(f"Usage: moat-kv {verb}"), lines[0])
        examples = [line for line in lines if line.startswith("  moat-kv ")]
        expect_equal(len(examples), 2 if verb == "version" else 3, f"examples of {verb}")
        expect("Exit codes:" in lines and "  2   the command line is wrong" in lines, verb)
        expect(max(map(len, lines)) <= 120, f"{verb}: a line is too long")
    everything = CLI.check("help").lines
    for verb in VERBS:
        expect(any(line.startswith(f"  {verb} ") for line in everything), f"help lacks {verb}")
    expect_equal(CLI.check("--help").lines, everything, "--help")


def version_in_each_format():
    text = CLI.check("version").text
    expect(text.startswith("moat-kv 3."), text)
    version = CLI.check("version", "-o", "json").json
    expect_equal(sorted(version), ["library", "version"])
    expect_equal(CLI.check("version", "-o", "jsonl").jsonl, [version])
    expect_equal(CLI.check("-o", "yaml", "version").lines,
                 [f'{name}: "{version[name]}"' for name in ("version", "library")])
    expect(CLI.check("version", "-o", "cbor").out.startswith(b"\xa2gversion"), "cbor")


moat.run_cases([
    ("wrong usage ends with 2 and one line that names the mend", usage_errors),
    ("bad paths end with 6 before a server is asked", bad_paths),
    ("bad values end with 6", bad_values),
    ("bad files end with 6", bad_files),
    ("what is said is fit for a terminal", control_characters_in_what_is_said),
    ("without a server: 3, and which one was tried", no_server),
    ("each verb explains itself", help_of_each_verb),
    ("the version, in each format", version_in_each_format),
])
