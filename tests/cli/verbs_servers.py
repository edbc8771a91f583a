#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Several servers on one broker, as people see them: servers, evict, status --converged, start and end."""
import json
import os
import re
import shutil
import sys

import cbor2

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import moat  # noqa: E402
from moat import expect, expect_equal  # noqa: E402

FAST = ["--ping", "1"]
FACTS = {"name", "id", "state", "self", "member", "equal", "heard_ms"}


class Pair:
    """Server a with a broker in it, and server b on that broker."""

    def __init__(self, folder):
        self.folder = folder
        self.a = moat.Server(os.path.join(folder, "a"), "a", FAST)
        self.b = moat.Server(os.path.join(folder, "b"), "b", [*FAST, "--broker", self.a.broker])
        self.cli_a = moat.Cli(self.a.address)
        self.cli_b = moat.Cli(self.b.address)

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.b.__exit__(*what)
        self.a.__exit__(*what)

    def rows(self, cli=None):
        """What one of them says of each, by name."""
        rows = (cli or self.cli_a).check("servers", "-o", "json").json
        return {row["name"]: row for row in rows}

    def wait_for_state(self, name, state):
        return moat.wait_until(f"{name} is {state}",
                               lambda: self.rows().get(name, {}).get("state") == state)

    def wait_until_converged(self):
        for cli in (self.cli_a, self.cli_b):
            moat.wait_until("converged", lambda: cli.run("status", "--converged").status == 0)
        expect_equal(self.cli_b.check("dump", "-o", "jsonl").out,
                     self.cli_a.check("dump", "-o", "jsonl").out, "what they have")


def pair(case):
    def run():
        with moat.Folder() as folder, Pair(folder) as servers:
            case(servers)
    return run


def alone():
    with moat.Folder() as folder, moat.Server(folder + "/a", "a", FAST) as server:
        cli = moat.Cli(server.address)
        row = cli.check("servers", "-o", "json").json
        expect_equal(len(row), 1)
        expect(FACTS <= set(row[0]), row)
        expect_equal([row[0][name] for name in ("name", "state", "self", "equal", "heard_ms")],
                     ["a", "ready", True, True, None])
        expect(re.fullmatch(r"[0-9a-f]{32}", row[0]["id"]), row)
        expect_equal(cli.check("servers", "-o", "jsonl").jsonl, row)
        expect_equal(cli.check("servers", "-o", "yaml").lines[0], "- name: a")
        expect_equal(cbor2.loads(cli.check("servers", "-o", "cbor").out)["id"], row[0]["id"])
        lines = cli.check("servers").lines
        expect_equal(lines[0].split(), ["NAME", "STATE", "EQUAL", "HEARD", "ENTRIES", "HORIZON",
                                        "FLOOR", "PROTOCOL", "ID", "HOST"])
        expect_equal(lines[1].split()[:3], ["a*", "ready", "yes"])
        expect_equal(len(lines), 2)
        report = cli.check("status", "--converged", "-o", "json").json
        expect_equal(report["converged"], True)
        expect("not_converged" not in report, report)
        expect("is the server that was asked" in cli.check("evict", "a", status=2).error, "itself")
        expect("no server with the name" in cli.check("evict", "nobody", status=1).error, "nobody")
        cli.check("evict", "0" * 32, status=1)


def two_have_the_same(servers):
    for cli in (servers.cli_a, servers.cli_b):
        moat.wait_until("both are ready", lambda: {
            name: row["state"] for name, row in servers.rows(cli).items()} == {"a": "ready", "b": "ready"})
    servers.cli_a.check("set", "from.a", "[1, 2]")
    servers.cli_b.check("set", "from.b", "text")
    moat.wait_until("at b", lambda: servers.cli_b.run("get", "from.a").status == 0)
    moat.wait_until("at a", lambda: servers.cli_a.run("get", "from.b").status == 0)
    servers.wait_until_converged()
    rows = servers.rows(servers.cli_b)
    expect_equal([rows[name]["self"] for name in ("a", "b")], [False, True])
    expect_equal([rows[name]["equal"] for name in ("a", "b")], [True, True])
    expect_equal([rows[name]["member"] for name in ("a", "b")], [True, True])
    moat.wait_until("as many entries", lambda: [  # of the other one, those that its last ping told
        row["entries"] for row in servers.rows(servers.cli_b).values()] == [4, 4])
    expect(rows["a"]["heard_ms"] < 60000, rows)
    expect_equal(rows["b"]["addresses"], [servers.b.address])


def one_is_killed_and_comes_back(servers):
    servers.cli_b.check("set", "before", "1")
    servers.wait_until_converged()
    servers.b.kill()
    servers.wait_for_state("b", "absent")
    row = servers.rows()["b"]
    expect_equal((row["member"], row["equal"]), (True, None))
    refused = servers.cli_a.check("status", "--converged", status=7)
    expect("not converged: not here: b" in refused.error, refused.error)
    servers.cli_a.check("status")
    expect_equal(servers.cli_a.check("status", "-o", "json").json["not_converged"], "not here: b")
    text = json.dumps({str(i): "x" * 100 for i in range(1000)})
    servers.cli_a.check("import", "-", "-j", "--at", "meanwhile", stdin=text.encode())
    servers.cli_a.check("del", "before")
    servers.b.start()
    servers.wait_until_converged()
    expect_equal(servers.cli_b.check("get", "meanwhile.999").text, "x" * 100 + "\n")
    servers.cli_b.check("get", "before", status=1)
    expect_equal(servers.rows()["b"]["state"], "ready")


def one_stops_in_order(servers):
    expect_equal(servers.b.stop(), 0)
    servers.wait_for_state("b", "left")
    expect("not here: b" in servers.cli_a.check("status", "--converged", status=7).error, "status")
    expect_equal(servers.a.stop(), 0, "exit status of the other one")


def evicted_and_back(servers):
    running = servers.cli_a.check("evict", "b", status=2)
    expect("ago and would join again at once" in running.error, running.error)
    servers.wait_until_converged()
    identity = servers.rows()["b"]["id"]
    servers.b.kill()
    servers.wait_for_state("b", "absent")
    gone = servers.cli_a.check("evict", "b", "-o", "json")
    expect_equal(gone.json, {"evicted": "b", "id": identity})
    row = servers.rows()["b"]
    expect_equal((row["state"], row["member"]), ("evicted", False))
    servers.cli_a.check("status", "--converged")
    again = servers.cli_a.check("evict", "b", status=1)
    expect("no server any more that is called 'b'" in again.error, again.error)
    servers.cli_a.check("evict", identity, status=1)
    servers.cli_a.check("set", "while.away", "1")
    servers.b.start()
    servers.wait_until_converged()
    row = servers.rows()["b"]
    expect_equal((row["state"], row["member"], row["id"]), ("ready", True, identity))
    servers.b.kill()
    servers.wait_for_state("b", "absent")
    text = servers.cli_a.check("evict", identity).text
    expect(text.startswith("b is no longer waited for"), text)
    expect_equal(servers.cli_a.check("evict", "-q", identity, status=1).out, b"")


def what_is_done_to_all_leaves_the_servers_alone(servers):
    servers.cli_a.check("set", "x.y", "1")
    servers.wait_until_converged()
    name = os.path.join(servers.folder, "all.mkv")
    servers.cli_a.check("dump", "-o", "cbor", "-f", name)
    members = servers.cli_a.check("ls", ":n.servers").lines
    expect_equal(len(members), 2)
    expect_equal(servers.cli_a.check("del", "-rf", ":").text, "1 entry deleted\n")
    expect_equal(servers.cli_a.check("ls", ":n.servers").lines, members)
    servers.b.kill()
    servers.wait_for_state("b", "absent")
    servers.cli_a.check("evict", "b")
    expect_equal(servers.cli_a.check("restore", name).text, "1 written, 0 unchanged\n")
    expect_equal(servers.rows()["b"]["state"], "evicted")


def a_second_server_of_one_name(servers):
    moat.wait_until("clearly the first one", lambda: servers.rows()["a"]["uptime_s"] > 3)
    arguments = [*FAST, "--broker", servers.a.broker]
    second = moat.Server(os.path.join(servers.folder, "c"), "a", arguments, start=False)
    process = moat.Process(second.arguments)
    with process:
        expect_equal(process.wait(), 3)
        said = process.output("err")[-1]
    expect("another server named 'a' runs on host" in said, said)
    expect("--name" in said, said)
    servers.cli_a.check("set", "still.there", "1")


def one_that_cannot_be_reached():
    with moat.Folder() as folder, moat.Server(os.path.join(folder, "a"), "a", FAST) as a:
        socket = a.address.partition(":")[2]
        os.rename(socket, socket + ".away")
        b = moat.Server(os.path.join(folder, "b"), "b", [*FAST, "--broker", a.broker], start=False)
        b.process = moat.Process(b.arguments)
        with b:
            b.process.wait_for_line("moat-kvd: warning: another server: cannot connect to " + a.address, "err")
            refused = moat.Cli("unix:" + os.path.join(folder, "b", "link.sock")).check("status", status=3)
            expect("still joining the others" in refused.error, refused.error)
            os.rename(socket + ".away", socket)
            b.process.wait_for_line("ready ")
            moat.Cli(a.address).check("set", "x", "1")
            cli = moat.Cli("unix:" + os.path.join(folder, "b", "link.sock"))
            moat.wait_until("there", lambda: cli.run("get", "x").status == 0)
            expect_equal(b.stop(), 0)


def restored_from_a_backup():
    with moat.Folder() as folder:
        state, backup = os.path.join(folder, "a"), os.path.join(folder, "backup")
        server = moat.Server(state, "a", FAST)
        cli = moat.Cli(server.address)
        cli.check("set", "old", "1")
        expect_equal(server.stop(), 0)
        shutil.copytree(state, backup)
        server.start()
        cli.check("set", "new", "1")
        expect_equal(server.stop(), 0)
        # Only the data: what tells that they are old is not part of them.
        for name in ("data.mdb", "lock.mdb"):
            if os.path.exists(os.path.join(backup, name)):
                shutil.copy(os.path.join(backup, name), os.path.join(state, name))
        with moat.Process(server.arguments) as process:
            said = process.wait_for_line(lambda line: "accept-restored" in line, "err")[1]
            expect_equal(process.output(), [], "ready")
            process.signal(15)
            expect_equal(process.wait(), 0)
        expect("restored" in said, said)
        accepting = moat.Server(state, "a", [*FAST, "--accept-restored"])
        with accepting:
            cli.check("get", "old")
            cli.check("get", "new", status=1)
            expect_equal(accepting.stop(), 0)
        with server.start():  # from now on without
            cli.check("get", "old")


def settings():
    with moat.Folder() as folder:
        name = os.path.join(folder, "config")
        for text, says in [("ping: 0", "1 to 3600"), ("ping: 3601", "1 to 3600"), ("ping: fast", "1 to 3600"),
                           ("accept-restored: true", "no setting 'accept-restored'")]:
            with open(name, "w", encoding="utf-8") as file:
                file.write(text)
            with moat.Process([moat.program("MOAT_KVD"), "--config", name, "--state", folder]) as process:
                expect_equal(process.wait(), 2, text)
                expect(says in process.output("err")[-1], process.output("err"))
        with moat.Process([moat.program("MOAT_KVD"), "--help"]) as process:
            expect_equal(process.wait(), 0)
            said = "\n".join(process.output())
        expect("--ping SECONDS" in said and "--accept-restored" in said, said)


moat.run_cases([
    ("one server is a cluster, too", alone),
    ("two servers have the same, and say so", pair(two_have_the_same)),
    ("one is killed, and has everything when it is back", pair(one_is_killed_and_comes_back)),
    ("one that stops in order is not absent but has left", pair(one_stops_in_order)),
    ("one is evicted, and comes back", pair(evicted_and_back)),
    ("what is done to all of the tree leaves the servers alone",
     pair(what_is_done_to_all_leaves_the_servers_alone)),
    ("a second server of one name stops and says why", pair(a_second_server_of_one_name)),
    ("one that cannot be reached, and then can", one_that_cannot_be_reached),
    ("a store that was restored does not start alone", restored_from_a_backup),
    ("settings", settings),
])
