#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What moat-kv does while things change or go wrong: watch, signals, conflicts, servers that die."""
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading

import cbor2

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import moat  # noqa: E402
from moat import expect, expect_equal  # noqa: E402

ISO_639 = "/usr/share/iso-codes/json/iso_639-3.json"


def end_watch(watch, status=130):
    watch.signal(signal.SIGINT)
    expect_equal(watch.wait(), status, f"status of watch, which said {watch.output('err')}")


def watch_shows_state_and_changes(cli, _):
    cli.check("set", "w.a", "1")
    cli.check("set", "w.b", "x y")
    with cli.start("watch", "w") as watch:
        watch.wait_for_line("synced")
        expect_equal(watch.output(), ["w.a = 1", "w.b = x y", "synced"])
        cli.check("set", "w.a", "2")
        cli.check("del", "w.b")
        cli.check("set", "other", "1")
        cli.check("set", "w.\x1b[2Jc", "-s", "\x1b[2J\nend")
        watch.wait_for_line(lambda line: line.endswith("end"))
        expect_equal(watch.output()[3:], ["w.a = 2", "w.b deleted", "w.\\u001b[2Jc = \\u001b[2J\\nend"])
        end_watch(watch)
        expect_equal(watch.output("err"), [])
    cli.check("del", "-rf", "w")


def watch_in_each_format(cli, _):
    cli.check("set", "w.a", "1")
    for form in ("json", "jsonl", "yaml", "cbor"):
        with subprocess.Popen([moat.program("MOAT_KV"), "watch", "w", "-o", form, "-n", "2"],
                              env=cli.environment, stdout=subprocess.PIPE) as watch:
            beginning = b""
            while b"synced" not in beginning:
                piece = os.read(watch.stdout.fileno(), 65536)
                expect(piece, "watch ended early")
                beginning += piece
            cli.check("set", "w.b", "[2]")
            cli.check("del", "w.b")
            data = beginning + watch.stdout.read()
            expect_equal(watch.wait(moat.DEADLINE_S), 0)
        if form == "json":
            records = json.loads(data)
        elif form == "jsonl":
            records = [json.loads(line) for line in data.splitlines()]
        elif form == "cbor":
            records = cbor2.loads(b"\x9f" + data + b"\xff")
        else:
            expect(data.startswith(b"- kind: state\n  path: w.a\n  value: 1\n"), data)
            expect(b"\n- kind: synced\n- kind: change\n  path: w.b\n" in data, data)
            continue
        expect_equal([record["kind"] for record in records], ["state", "synced", "change", "change"], form)
        expect_equal([record.get("value", record.get("deleted")) for record in records], [1, None, [2], True])
        expect_equal(sorted(records[0]), ["kind", "path", "ticks", "tock", "value"])
    cli.check("del", "-rf", "w")


def watch_ends_as_asked(cli, _):
    cli.check("set", "w.a", "1")
    expect_equal(cli.check("watch", "w", "--timeout", "3").lines, ["w.a = 1", "synced"])
    late = cli.check("watch", "w", "-c", "-n", "2", "--timeout", "3", status=3)
    expect("only 0 of 2 changes" in late.error and late.out == b"", late)
    with cli.start("watch", "w", "-c", "-n", "1", "-o", "jsonl") as watch:
        number = 0
        while watch.process.poll() is None:  # until it has begun, it misses changes
            number += 1
            cli.check("set", "w.a", str(number))
        expect_equal(watch.wait(), 0)
        expect_equal([json.loads(line)["kind"] for line in watch.output()], ["change"])
    with cli.start("watch", "w", "-o", "json") as watch:
        watch.wait_for_line(lambda line: "synced" in line)
        end_watch(watch)
        expect_equal([record["kind"] for record in json.loads("\n".join(watch.output()))], ["state", "synced"])
    with cli.start("watch", "w") as watch:
        watch.wait_for_line("synced")
        watch.signal(signal.SIGTERM)
        expect_equal(watch.wait(), 130)
    cli.check("del", "-rf", "w")


def watch_ends_with_its_reader(cli, _):
    watch = subprocess.Popen([moat.program("MOAT_KV"), "watch", "w"], env=cli.environment,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    watch.stdout.readline()
    watch.stdout.close()  # nothing changes, and it ends all the same
    expect_equal((watch.wait(moat.DEADLINE_S), watch.stderr.read()), (141, b""))


def watch_outlives_the_server(cli, server):
    cli.check("set", "w.a", "1")
    with cli.start("watch", "w") as watch:
        watch.wait_for_line("synced")
        server.kill()
        watch.wait_for_line("moat-kv: lost the server", "err")
        server.start()
        start = watch.wait_for_line("synced", start=2)[0]
        cli.check("set", "w.a", "2")
        watch.wait_for_line("w.a = 2", start=start)
        expect_equal(watch.output(), ["w.a = 1", "synced", "synced", "w.a = 2"])
        end_watch(watch)
        expect_equal(len(watch.output("err")), 2, f"lines of {watch.output('err')}")
    cli.check("del", "-rf", "w")


def wanted_iso():
    """Half of what Debian knows of languages: that takes long enough to be interrupted."""
    with open(ISO_639, encoding="utf-8") as file:
        return {"639-3": json.load(file)["639-3"][::2]}


def entries_below(cli, path):
    result = cli.run("ls", "-o", "jsonl")
    return sum(child["entries"] for child in result.jsonl if child["path"] == path) if result.out else 0


def import_outlives_the_server(cli, server, languages):
    with cli.start("import", languages, "--at", "iso", "--timeout", "60") as running:
        moat.wait_until("1000 entries", lambda: entries_below(cli, "iso") > 1000)
        server.kill()
        running.wait_for_line("moat-kv: lost the server", "err")
        server.start()
        expect_equal(running.wait(), 0, f"import, which said {running.output('err')}")
        expect(re.fullmatch(r"\d+ written, 0 unchanged", running.output()[-1]), running.output())
    expect_equal(cli.check("dump", "iso", "-o", "json").json, wanted_iso())
    expect_equal(cli.check("status", "-o", "json").json["conflicts"], 0, "conflicts")
    cli.check("del", "-rf", "iso")


def import_is_finished_by_a_second_run(cli, server, languages):
    with cli.start("import", languages, "--at", "iso", "--timeout", "1") as running:
        moat.wait_until("1000 entries", lambda: entries_below(cli, "iso") > 1000)
        server.kill()
        expect_equal(running.wait(), 3, f"import, which said {running.output('err')}")
        expect("run the same command again" in running.output("err")[-1], running.output("err"))
    server.start()
    counts = cli.check("import", languages, "--at", "iso", "-o", "json").json
    expect(counts["unchanged"] >= 1000 and counts["written"] > 0, counts)
    expect_equal(cli.check("dump", "iso", "-o", "json").json, wanted_iso())
    cli.check("del", "-rf", "iso")


def import_can_be_interrupted(cli, _, languages):
    with cli.start("import", languages, "--at", "iso") as running:
        moat.wait_until("1000 entries", lambda: entries_below(cli, "iso") > 1000)
        running.signal(signal.SIGINT)
        status = running.wait()
        expect_equal(status, 130, f"import, which said {running.output('err')}")
    cli.check("import", languages, "--at", "iso")
    expect_equal(cli.check("dump", "iso", "-o", "json").json, wanted_iso())
    cli.check("del", "-rf", "iso")


def dump_outlives_the_server(cli, server, languages):
    with moat.Folder() as folder:
        name = os.path.join(folder, "pipe")
        cli.check("import", languages, "--at", "iso")
        os.mkfifo(name)
        with cli.start("dump", "iso", "-o", "jsonl", "-f", name) as running:
            with open(name, "rb") as pipe:
                beginning = pipe.read(1000)  # the rest waits for us
                server.kill()
                server.start()
                lines = (beginning + pipe.read()).splitlines()
            expect_equal(running.wait(), 0, f"dump, which said {running.output('err')}")
        rows = [json.loads(line) for line in lines]
        expect_equal(rows[-1], {"end": True, "count": len(rows) - 1})
        expect_equal(len({row["path"] for row in rows[:-1]}), len(rows) - 1, "each row once")
        expect_equal(len(rows) - 1, entries_below(cli, "iso"))
    cli.check("del", "-rf", "iso")


def on_a_terminal(cli, *arguments):
    """Starts with a terminal for questions and answers; returns the process and our end."""
    ours, its = os.openpty()
    process = subprocess.Popen([moat.program("MOAT_KV"), *arguments], env=cli.environment, stdin=its,
                               stdout=subprocess.PIPE, stderr=its)
    os.close(its)
    return process, ours


def read_until(descriptor, end):
    said = b""
    while end not in said:
        said += os.read(descriptor, 4096)
    return said


def del_asks_on_a_terminal(cli, _):
    for number in range(3):
        cli.check("set", f"d.x:{number}", "1")
    for answer, left in ((b"n\n", 3), (b"\n", 3), (b"\x04", 3), (b"y\n", 0)):
        process, terminal = on_a_terminal(cli, "del", "-r", "d")
        said = read_until(terminal, b"[y/N] ")
        expect_equal(said, b"Delete 3 entries at and below d? [y/N] ")
        os.write(terminal, answer)
        out = process.communicate(timeout=moat.DEADLINE_S)[0]
        expect_equal((process.returncode, out), (0, b"3 entries deleted\n") if left == 0 else (2, b""))
        expect_equal(entries_below(cli, "d"), left)
        os.close(terminal)
    process, terminal = on_a_terminal(cli, "del", "-r", "d")
    expect(b"no such entry" in read_until(terminal, b"\n"), "nothing to be asked about")
    process.communicate(timeout=moat.DEADLINE_S)
    os.close(terminal)


def a_write_that_loses_is_told(cli, n_writes, doubt):
    """Between the question and the answer, somebody else writes, with a tock that is ahead."""
    cli.check("set", "c.a", "1")
    process, terminal = on_a_terminal(cli, "del", "-r", "c", "-o", "json")
    read_until(terminal, b"[y/N] ")
    for number in range(n_writes):
        cli.check("set", "c.a", f"later {number}")
    os.write(terminal, b"y\n")
    out = process.communicate(timeout=moat.DEADLINE_S)[0]
    said = read_until(terminal, b"\n")
    while b"later" not in said:
        said += read_until(terminal, b"\n")
    os.close(terminal)
    expect_equal(process.returncode, 5, said)
    expect(b"c.a: this write lost to a concurrent one" + doubt + b", by t1 " in said, said)
    expect(b"which holds: later " + str(n_writes - 1).encode() in said, said)
    expect_equal(json.loads(out), {"deleted": 1})
    expect_equal(cli.check("get", "c.a").out, f"later {n_writes - 1}\n".encode())
    cli.check("del", "-rf", "c")


class PretendedServer:
    """Speaks just enough of the link to say what a real one says only in trouble."""

    def __init__(self, folder, refuses=False, report=None):
        self.address = "unix:" + os.path.join(folder, "pretended.sock")
        self.refuses = refuses
        self.report = report
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.address[5:])
        self.listener.listen(5)
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self):
        self.listener.close()
        os.unlink(self.address[5:])

    def _serve(self):
        while True:
            try:
                link = self.listener.accept()[0]
            except OSError:
                return
            with link:
                self._talk(link)

    def _talk(self, link):
        def send(frame):
            data = cbor2.dumps(frame)
            link.sendall(len(data).to_bytes(4, "big") + data)

        stream = link.makefile("rb")
        send({0: 1, 2: [1, 1], 3: [], 4: "pretended", 5: "t9", 6: ["EXTERNAL"]})
        while True:
            head = stream.read(4)
            if len(head) < 4:
                return
            frame = cbor2.loads(stream.read(int.from_bytes(head, "big")))
            if frame[0] == 2 and self.refuses:
                send({0: 5, 2: -23, 3: "not you"})
            elif frame[0] == 2:
                send({0: 3, 2: "t9", 3: 1, 4: "moat/main", 5: ["mqtt://127.0.0.1:1"], 6: "x", 9: 0, 10: 0,
                      11: 1, 12: bytes(16), 13: bytes(16), 14: 1, 15: False, 16: b"token", 17: 0})
            elif frame[0] == 23:
                send({0: 44, 1: frame[1], 2: self.report})
            elif frame[0] in (20, 21):
                send({0: 5, 1: frame[1], 2: -23, 3: "not this"})


def a_server_that_does_not_authorise(_, __):
    with moat.Folder() as folder:
        server = PretendedServer(folder, refuses=True)
        moat.Cli(server.address).check("get", "a", status=4)
        moat.Cli(server.address).check("--timeout", "2", "ls", status=4)
        server.close()
        server = PretendedServer(folder)
        for arguments in (["ls"], ["get", "a"], ["tree"], ["dump"], ["del", "a"]):
            moat.Cli(server.address).check(*arguments, status=4)
        server.close()


def a_server_that_cannot_write(_, __):
    with moat.Folder() as folder:
        server = PretendedServer(folder)
        for report, status, says in [
            ({"state": "the disk is full", "broker": "connected"}, 7, "the disk is full"),
            ({"state": "writing", "broker": "away"}, 7, "broker is away"),
            ({"state": "writing", "broker": "connected"}, 0, ""),
            ({}, 0, ""),
        ]:
            server.report = report
            result = moat.Cli(server.address).check("status", "-o", "json", status=status)
            expect_equal(result.json, report)
            expect(says in result.error, result)
        result = moat.Cli(server.address).check("--timeout", "2", "set", "--blind", "a", "1", status=3)
        expect("127.0.0.1:1" in result.error, f"{result} does not name the broker")
        server.close()


def a_store_that_is_full(_, __):
    with moat.Folder() as folder:
        config = os.path.join(folder, "config.yaml")
        with open(config, "w", encoding="utf-8") as file:
            file.write("store-max: 2\n")
        with moat.Server(os.path.join(folder, "s"), arguments=["--config", config]) as server:
            cli = moat.Cli(server.address)
            value = b"x" * 500000
            for number in range(20):
                result = cli.run("--timeout", "5", "set", f"full:{number}", "-s", "-f", "-", stdin=value)
                if result.status != 0:
                    break
            expect_equal(result.status, 7, result)
            expect_equal(cli.check("get", "full:0").out, value + b"\n", "what was acknowledged")


def main():
    with moat.Folder() as folder, moat.Server(os.path.join(folder, "state")) as server:
        cli = moat.Cli(server.address)
        languages = os.path.join(folder, "languages.json")
        with open(languages, "w", encoding="utf-8") as file:
            json.dump(wanted_iso(), file)
        moat.run_cases([(name, lambda case=case: case(cli, server)) for name, case in [
            ("watch shows the state and changes", watch_shows_state_and_changes),
            ("watch in each format", watch_in_each_format),
            ("watch ends as asked", watch_ends_as_asked),
            ("watch ends with its reader", watch_ends_with_its_reader),
            ("watch outlives the server", watch_outlives_the_server),
            ("import outlives the server",
             lambda cli, server: import_outlives_the_server(cli, server, languages)),
            ("import is finished by a second run",
             lambda cli, server: import_is_finished_by_a_second_run(cli, server, languages)),
            ("import can be interrupted",
             lambda cli, server: import_can_be_interrupted(cli, server, languages)),
            ("dump outlives the server",
             lambda cli, server: dump_outlives_the_server(cli, server, languages)),
            ("del asks on a terminal", del_asks_on_a_terminal),
            ("a write that loses is told: 5",
             lambda cli, _: a_write_that_loses_is_told(cli, 3, b"")),
            ("a write that loses, as far as history tells: 5",
             lambda cli, _: a_write_that_loses_is_told(cli, 20, b" (which may have known it)")),
            ("a server that does not authorise: 4", a_server_that_does_not_authorise),
            ("a server that cannot write: 7", a_server_that_cannot_write),
            ("a store that is full: 7", a_store_that_is_full),
        ]])


main()
