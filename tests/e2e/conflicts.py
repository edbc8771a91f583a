# SPDX-License-Identifier: Apache-2.0
"""What was lost in conflicts, with real programs: all servers tell the same, once, also after a kill; storms."""
import json
import threading
import time

import cbor2

import brokers
import cluster
import rig
from rig import check, equal, wait_for

OF_PATH_MAX = 8
BYTES_MAX = 12 << 20


def lost(server, path=":"):
    """The record, as `moat-kv conflicts` prints it: id -> its line."""
    lines = rig.cli(server, "-o", "jsonl", "conflicts", path, seconds=120).splitlines()
    rows = [json.loads(line) for line in lines]
    found = {row["id"]: row for row in rows}
    equal(len(found), len(rows), "how many different ids there are")
    return found


def report(server):
    return json.loads(rig.cli(server, "-o", "json", "status"))


class Follower:
    """A `moat-kv conflicts --follow`: what it said, line by line."""

    def __init__(self, place, server, path=":"):
        self.rows = []
        self.n_synced = 0
        self.process = rig.Process(place, "conflicts", rig.cli_command(
            server, "-o", "jsonl", "conflicts", path, "--follow"))
        threading.Thread(target=self._read, daemon=True).start()
        self.until_synced()

    def _read(self):
        for line in self.process.popen.stdout:
            row = json.loads(line)
            if row["kind"] == "synced":
                self.n_synced += 1
            else:
                self.rows.append(row)

    def until_synced(self, n=1):
        wait_for(lambda: self.n_synced >= n, lambda: f"'synced':\n{self.process.words()}", 60)
        return self

    def ids(self):
        return {row["id"] for row in list(self.rows)}

    def told_once(self):
        """But for those whose `more` has grown."""
        seen = {}
        for row in self.rows:
            check(row["id"] not in seen or row["more"] > seen[row["id"]],
                  f"told again without news: {row}")
            seen[row["id"]] = row["more"]


def until_acked(writer, seconds=60):
    writer.flush()
    wait_for(lambda: len(writer.answered()) == writer.n_sent,
             lambda: f"{writer.n_sent - len(writer.answered())} answers:\n{writer.process.words()}",
             seconds, step=0.1)
    equal({status for _, status in writer.answered()}, {0}, "what became of the writes")


def test_split_heals(place):
    """Both sides write to the same paths while their brokers are apart."""
    n = rig.size(3000, 600)
    far, near = brokers.mosquitto(place), brokers.mosquitto(place)
    bridge = brokers.Bridge(near, far)
    far.start()
    near.start()
    bridge.until_up()
    servers = cluster.start(place, [near.address, far.address])
    writers = [rig.Writer(place, server, linger=True) for server in servers]
    for number, writer in enumerate(writers):
        writer.send(f"first:{number}", cbor2.dumps(None))
        until_acked(writer)
    cluster.until_equal(servers)
    followers = [Follower(place, server) for server in servers]

    bridge.wire.cut()
    for i in range(n):
        for side, writer in enumerate(writers):
            writer.send(f"split:{i}", cbor2.dumps([side, i]))
    for writer in writers:
        until_acked(writer)
    equal([lost(server) for server in servers], [{}, {}], "what is lost while apart")
    bridge.wire.heal()
    cluster.until_equal(servers, 90)

    stamps = [writer.stamps() for writer in writers]
    wanted = {f"split:{i}": [0 if stamps[0][i + 2] < stamps[1][i + 2] else 1, i] for i in range(n)}
    for server, follower in zip(servers, followers):
        wait_for(lambda server=server: len(lost(server)) >= n,
                 lambda server=server: f"all conflicts at {server.name}: {len(lost(server))}", 60)
        rows = lost(server)
        equal({row["path"]: row["value"] for row in rows.values()}, wanted, "what was lost")
        equal({row["kind"] for row in rows.values()}, {"conflict"}, "their class")
        wait_for(lambda rows=rows, follower=follower: follower.ids() == set(rows),
                 f"the follower at {server.name} to be told of all", 30)
        follower.told_once()
    equal(set(lost(servers[0])), set(lost(servers[1])), "their ids at both servers")
    bridge.wire.close()


def test_killed_server(place):
    """What was told is on disk; after a restart it is told to those who come, and to no one again."""
    server = place.server()
    follower = Follower(place, server)
    writers = [rig.Writer(place, server, linger=True) for _ in range(2)]
    for round_ in range(3):
        for i in range(400):
            for writer in writers:
                writer.send(f"p:{round_}:{i}", cbor2.dumps([round_, i]))
        for writer in writers:
            writer.flush()
        wait_for(lambda: len(follower.rows) > round_ * 400 + 100, "some conflicts")
        server.kill()
        told = follower.ids()
        server.start()
        kept = lost(server)
        check(told <= set(kept), f"{len(told - set(kept))} were told and are not kept")
        follower.until_synced(round_ + 2)
        for writer in writers:
            until_acked(writer)
    wait_for(lambda: follower.ids() == set(lost(server)), "all to be told")
    follower.told_once()
    # Of two writes to a path one has lost, unless the same writer overwrote what it knew.
    equal({row["path"] for row in lost(server).values()},
          {f"p:{round_}:{i}" for round_ in range(3) for i in range(400)}, "paths with a conflict")


def test_storm_on_one_path(place):
    n = rig.size(20000, 3000)
    server = place.server()
    follower = Follower(place, server)
    writers = [rig.Writer(place, server, linger=True) for _ in range(2)]
    for writer in writers:
        writer.send("warm", cbor2.dumps(0))
        until_acked(writer)
    rss = rig.rss_kib(server.pid)
    n_words = len(server.words())
    began = time.monotonic()
    for i in range(n):
        for writer in writers:
            writer.send("storm", cbor2.dumps(i))
    for writer in writers:
        until_acked(writer, 120)
    took = time.monotonic() - began
    found = lost(server, "storm")
    facts = report(server)
    rig.say(f"{2 * n} writes in {took:.1f} s, {facts['conflicts']} conflicts, {len(found)} kept, "
            f"{facts['conflicts_counted']} counted, {facts['conflicts_untold']} untold; the follower "
            f"was told {len(follower.rows)} times; {rig.rss_kib(server.pid) - rss:+d} KiB")
    check(facts["conflicts"] > n / 20, "there were few conflicts: this has tested nothing")
    check(1 <= len(found) <= OF_PATH_MAX, f"{len(found)} are kept")
    check(len(follower.rows) <= 2 * (took + 3), f"the follower was told {len(follower.rows)} times")
    equal(facts["conflicts_counted"] + len(follower.ids()), facts["conflicts"],
          "those counted, and those told to the follower")
    check(len(server.words()) - n_words < 2000, f"the log is flooded:\n{server.words()[n_words:]}")
    check(rig.rss_kib(server.pid) - rss < 64 << 10, "memory has grown")
    follower.told_once()


def test_storm_of_large_values(place):
    """Each loser has a value as large as can be: neither disk nor links are flooded."""
    server = place.server()
    writers = [rig.Writer(place, server, linger=True) for _ in range(2)]
    value = cbor2.dumps(b"\0" * ((1 << 20) - 5))
    equal(len(value), 1 << 20, "bytes of the value")
    for i in range(rig.size(60, 20)):
        for writer in writers:
            writer.send(f"large:{i % 30}", value)
    for writer in writers:
        until_acked(writer, 120)
    found = lost(server)
    check(1 <= len(found) <= BYTES_MAX >> 20, f"{len(found)} are kept")
    check(all(len(json.dumps(row)) > 1 << 20 for row in found.values()), "a value was cut")
    for writer in writers:
        check("event 2" not in writer.process.words(), "a writer lost its link")
        check(len(writer.losses()) <= 40, f"a writer was told {len(writer.losses())} times")
    equal([line for line in server.words().splitlines() if "clos" in line], [], "links closed")


rig.main(test_split_heals, test_killed_server, test_storm_on_one_path, test_storm_of_large_values,
         at_once=2)
