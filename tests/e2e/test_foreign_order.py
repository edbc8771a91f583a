# SPDX-License-Identifier: Apache-2.0
"""Every order of arrival leads to one state, at the server and at whoever watches.

    test_foreign_order.py SOURCE_ROOT MOAT_KVD [SEED]
"""
import itertools
import os
import random
import sys
from pathlib import Path

ROOT = Path(sys.argv[1])
sys.path[:0] = [str(ROOT / "tests/house"), str(ROOT / "tests/e2e/foreign")]

import wire
from moatkv_foreign import DELETED, Loop
from rig import *
from tap import Report
from wire import CODES, Entry

PROGRAM = sys.argv[2]
SEED = int(sys.argv[3]) if len(sys.argv) > 3 else int.from_bytes(os.urandom(4), "big")

TOCKS = [(7, 7, 7, 7), (7, 7, 8, 8), (7, 8, 7, 8), (8, 7, 7, 8), (7, 8, 9, 10), (10, 9, 8, 7)]


def published(loop, publisher, updates):
    """Sends (path, Entry) one behind the other, over one connection: they arrive in this order."""
    for path, entry in updates:
        publisher.mqtt.publish(wire.to_topic(publisher.root, path), entry.encode(), 1)


class Writers:
    """Two sessions whose updates are published by hand, in any order, over one connection."""

    def __init__(self, loop, server):
        self.clients = [ready_client(loop, server) for _ in range(2)]
        self.counters = [0, 0]
        for client in self.clients:
            client.auto_repeat = False

    def next_dot(self, which):
        self.counters[which] += 1
        session = self.clients[which].session
        return session["name"], session["seq"], self.counters[which]

    def four(self, path, tocks, values):
        """Two updates of each writer on this path."""
        return [
            (path, Entry(tock, value, [self.next_dot(at % 2)]))
            for at, (tock, value) in enumerate(zip(tocks, values))
        ]

    def close(self):
        for client in self.clients:
            client.close()


def every_order(loop, server):
    """All orders of four updates, for several tocks, with and without deletions among them."""
    writers = Writers(loop, server)
    before = synced_watch(loop, ready_client(loop, server), ["order"])
    values = [(b"\1", b"\2", b"\3", b"\4"), (b"\1", None, b"\1", b"\1"), (None, None, b"\1", None)]
    winners = {}
    plans = list(itertools.product(range(len(TOCKS)), range(len(values))))
    for n, (tocks_at, values_at) in enumerate(plans):
        for m, order in enumerate(itertools.permutations(range(4))):
            path = ["order", n, m]
            updates = writers.four(path, TOCKS[tocks_at], values[values_at])
            published(loop, writers.clients[0], [updates[at] for at in order])
            winners[wire.path_key(path)] = max((e for _, e in updates), key=Entry.order)
        if n == len(plans) // 2:
            middle = ready_client(loop, server).watch(["order"])
    for which, client in enumerate(writers.clients):
        done = lambda: client.acks and client.acks[-1] == writers.counters[which]
        loop.until(done, DEADLINE_S, f"the ack of {writers.counters[which]}")
    loop.until(lambda: middle.is_synced, DEADLINE_S, "the watch from the middle")
    after = synced_watch(loop, ready_client(loop, server), ["order"])
    for watch in (before, middle, after):
        agrees(loop, watch)
    findings = []
    stored = entries_below(loop, before.client, ["order"], tombstones=True)
    for name, found in (
        ("server", stored),
        ("watch from before", {key: entry for key, (_, entry) in before.entries.items()}),
        ("watch from the middle", {key: entry for key, (_, entry) in middle.entries.items()}),
        ("watch from after", {key: entry for key, (_, entry) in after.entries.items()}),
    ):
        equal(len(found), len(winners), name)
        for key, winner in winners.items():
            if found[key].order() != winner.order():
                findings.append(f"{name}: {found[key]}, not {winner}")
    for watch in (before, middle, after):
        watch.client.close()
    writers.close()
    return findings


def order_at_random(loop, server):
    """Many writers on few paths, repeated and mixed up, with tick lists, seen by watches on parts."""
    rng = random.Random(SEED)
    clients = [ready_client(loop, server) for _ in range(4)]
    for client in clients:
        client.auto_repeat = False
    paths = [["random", *rest] for rest in ([], [1], [1.0], [True], ["1"], [b"1"], [1, 2], [None, ""])]
    watches = [synced_watch(loop, client, path) for client, path in zip(clients, paths)]
    wholes = [synced_watch(loop, client, ["random"]) for client in clients[:2]]
    updates = []
    known = {}
    for n in range(600):
        client, path = rng.choice(clients), rng.choice(paths)
        key = wire.path_key(path)
        replaces = rng.sample(known.get(key, []), min(len(known.get(key, [])), rng.randrange(3)))
        value = DELETED if rng.randrange(4) == 0 else rng.randrange(3)
        write = client.prepare(path, value, when=rng.randrange(1, 40), replaces=replaces)
        known.setdefault(key, []).append(write.entry)
        updates.append(write)
    everything = updates + rng.sample(updates, 100)
    rng.shuffle(everything)
    for write in everything:
        rng.choice(clients).mqtt.publish(write.topic, write.payload, 1)
        if rng.randrange(50) == 0:
            loop.turn(0)
    settle(loop, *updates)
    equal({w.state for w in updates}, {"acked"}, "the states")
    winners = {key: max(known[key], key=Entry.order).order() for key in known}
    stored = entries_below(loop, clients[0], ["random"], tombstones=True)
    equal({key: entry.order() for key, entry in stored.items()}, winners, "what is stored")
    for watch in watches + wholes:
        agrees(loop, watch)
        for key, (_, entry) in watch.entries.items():
            equal(entry.order(), winners[key], "what is watched")
    for client in clients:
        client.close()


def large_tree(loop, server):
    """A tree of many pages: read whole, in parts, since a place; listed; watched; all with K."""
    client = ready_client(loop, server)
    before = synced_watch(loop, client, ["large"])
    writes = [client.write(["large", n % 700, f"leaf {n}"], n) for n in range(2500)]
    settle(loop, *writes)
    keys = [wire.path_key(w.path) for w in writes]

    reading = answered(loop, client.read(["large"]))
    found = [wire.path_key(path) for path, _ in reading.rows]
    equal(found, sorted(keys), "the keys of a read, in order")
    agrees(loop, before)
    after = synced_watch(loop, client, ["large"])
    agrees(loop, after)

    slow = client.read(["large"], credit=1, auto_credit=False)
    for n in range(1, 10):  # the tenth is the last, and brings the end with it
        loop.until(lambda: slow.n_pages >= n or slow.done, DEADLINE_S, f"page {n}")
        answered(loop, client.request(wire.PING))
        equal((slow.n_pages, slow.done), (n, False), "pages after a credit")
        client.credit(slow)
    answered(loop, slow)
    equal(slow.rows, reading.rows, "what came page by page")

    listing = answered(loop, client.list(["large"], credit=1))
    equal(sorted(one[0] for one in listing.rows), list(range(700)), "the children")
    equal(sum(one[1] for one in listing.rows), 2500, "the entries below")
    equal({one[2] for one in listing.rows}, {False}, "their own values")
    equal(listing.answer["count"], 700, "the count of a list")

    place = reading.answer["place"]
    gone = client.delete(writes[0].path, replaces=[writes[0].entry])
    new = client.write(["large", 5], "own", replaces=[])
    changed = client.write(writes[9].path, "changed", replaces=[writes[9].entry])
    settle(loop, gone, new, changed)
    since = answered(loop, client.read(["large"], tombstones=True, since=place))
    wanted = [(w.path, w.entry) for w in (gone, new, changed)]
    equal(since.rows, wanted, "what changed since")
    alive = answered(loop, client.read(["large"], since=place)).rows
    equal(alive, wanted, "what changed since, flag 1 not set")
    none = answered(loop, client.read(["large"], tombstones=True, since=since.answer["place"]))
    equal(none.rows, [], "what changed since then")
    child = [one for one in answered(loop, client.list(["large"])).rows if one[0] == 5]
    equal(child, [(5, 5, True)], "a child with a value of its own")
    agrees(loop, before)

    own = answered(loop, client.read(["large"], depths=(1, 1))).rows
    equal(own, [(["large", 5], new.entry)], "one level")
    bare = answered(loop, client.read(["large", 5], values=False)).rows
    equal({entry.value for _, entry in bare}, {b"\xf6"}, "values left out")
    equal(len(bare), 5, "entries without values")
    for wrong in ((place[0] + 1, place[1]), (place[0], place[1] + 10**6), (0, 0), (2**64 - 1,) * 2):
        refused = ask(loop, client.read(["large"], since=wrong))
        equal(refused.error, CODES["STALE"], f"the answer to the place {wrong}")
    client.close()


def watch_through_trouble(loop, server):
    """The link and the broker connection are cut at random while others write."""
    rng = random.Random(SEED)
    writer, reader = ready_client(loop, server), ready_client(loop, server)
    watch = reader.watch(["trouble"])
    writes = []
    for n in range(300):
        path = ["trouble", rng.randrange(40)]
        writes.append(writer.write(path, n) if rng.randrange(5) else writer.delete(path))
        if n % 60 == 20:
            reader.link.close() if reader.link else None
        if n % 60 == 40 and reader.mqtt:
            reader.mqtt.paho.socket().shutdown(2)
        loop.turn(0)
    settle(loop, *writes)
    loop.until(lambda: watch.is_synced, DEADLINE_S, "the watch")
    agrees(loop, watch)
    found = []
    loop.until(lambda: reader.is_ready, DEADLINE_S, "a session")
    watch.check(found.append)
    loop.until(lambda: found, DEADLINE_S, "the check")
    equal(found, [True], "what the check says")
    for client in (writer, reader):
        client.close()


def notices_what_it_lacks(loop, server):
    """check differs, so everything is read again; what the server refused goes away."""
    client = ready_client(loop, server)
    settle(loop, client.write(["lacks", 1], 1), client.write(["lacks", 2], 2))
    watch = synced_watch(loop, client, ["lacks"])
    key = wire.path_key(["lacks", 1])
    path, entry = watch.entries.pop(key)
    other = wire.path_key(["lacks", 3])
    watch.entries[other] = (["lacks", 3], Entry(9, b"\1", [("else", 1, 1)]))
    verdicts = []
    while not verdicts or not verdicts[-1]:
        n = len(verdicts)
        watch.check(verdicts.append)
        loop.until(lambda: len(verdicts) > n, DEADLINE_S, "the check")
        loop.until(lambda: watch.is_synced, DEADLINE_S, "the watch")
        if n > 5:
            raise AssertionError(f"still differs: {verdicts}")
    equal(watch.entries[key], (path, entry), "what was lacking")
    equal(other in watch.entries, False, "what the server does not have")
    client.close()


def main():
    print(f"# seed {SEED}")
    report = Report()
    cases = Cases(report)
    server = Server(PROGRAM, "--guard", "off")  # one connection speaks for two sessions
    for case in (
        every_order, order_at_random, large_tree, watch_through_trouble, notices_what_it_lacks,
    ):
        cases.run(case.__name__.replace("_", " "), case, Loop(), server)
    cases.run("the server ends in order", server.stop)
    report.end()


main()
