# SPDX-License-Identifier: Apache-2.0
"""
Servers at two mosquittos with a bridge between them.  It is cut, both sides go on writing and
deleting, and afterwards all have the same, nothing acknowledged is lost without a word.  And with
two bridges, so that every message goes round for ever: the servers say so, do not add to it more
than they must, and go on serving; when the circle is opened they recover.
"""
import json
import time

import cbor2

import brokers
import cluster
import rig
from rig import check, equal, wait_for

N_PATHS = 240
WORD = "in a circle"


class Side:
    """A server, a writer and a watcher at one of the brokers."""

    def __init__(self, place, server):
        self.server = server
        self.writer = rig.Writer(place, server, blind=False, linger=True)
        self.watcher = rig.Watcher(place, server).until_synced()
        self.sent = {}  # number of the line -> (path, value)

    def write(self, path, value):
        number = self.writer.send(path, None if value is None else cbor2.dumps(value))
        self.sent[number] = (path, value)

    def until_acked(self):
        self.writer.flush()
        wait_for(lambda: len(self.writer.acked()) == self.writer.n_sent,
                 lambda: f"{self.writer.n_sent - len(self.writer.acked())} ACKs at "
                 f"{self.server.name}:\n{self.writer.process.words()}", 60)

    def acked(self):
        """(path, stamp, value) of each write."""
        return [(*self.sent[number][:1], stamp, self.sent[number][1])
                for number, stamp in self.writer.stamps().items()]


def pair(place, **how):
    """Two servers, each at a broker of its own."""
    far = brokers.mosquitto(place)
    near = brokers.mosquitto(place)
    bridge = brokers.Bridge(near, far, **how)
    far.start()
    near.start()
    bridge.until_up()
    return bridge.wire, cluster.start(place, [near.address, far.address])


def write_apart(sides):
    """
    What both sides do while they cannot hear each other, by the path's number: overwrite, delete,
    delete and write again, write anew; on one side, the other, or both.
    """
    doings = [lambda side, path: side.write(path, f"by {side.server.name}"),
              lambda side, path: side.write(path, None),
              lambda side, path: (side.write(path, None), side.write(path, f"back {side.server.name}")),
              lambda side, path: None]
    for number in range(N_PATHS):
        for side, choice in zip(sides, (number % 4, number // 4 % 4)):
            doings[choice](side, f"common:{number}")
        if number % 3 < 2:
            sides[number % 3].write(f"new.{sides[number % 3].server.name}:{number}", number)
        if number > N_PATHS / 2:  # the first side's counter gets ahead, so that both win some
            for filler in range(6):
                sides[0].write(f"much:{number}:{filler}", filler)
    for side in sides:
        side.until_acked()


def kept_conflicts(server):
    """(path, stamp of the loser) of all that the server lists."""
    lines = rig.cli(server, "-o", "jsonl", "conflicts").splitlines()
    rows = [json.loads(line) for line in lines]
    return {(row["path"], rig.stamp_of([row["tock"], *row["ticks"][0]])) for row in rows}


def no_loser_is_silent(sides, n_before):
    """
    Each write during the cut that overwrote the common value, and is not what all have now, has lost
    to one that did not know it: its writer was told, or it is kept where people can see it.
    """
    last = [{}, {}]  # of each side: path -> stamp of the last write there
    for side, mine in zip(sides, last):
        for number, stamp in side.writer.stamps().items():
            if number > n_before:
                mine[side.sent[number][0]] = stamp
    lost = {(path, min(last[0][path], last[1][path])) for path in set(last[0]) & set(last[1])}
    check(len(lost) > N_PATHS / 4, "there were no conflicts: this has tested nothing")

    def silent():
        told = {(path, stamp) for side in sides
                for stamp, (path, _) in side.writer.losses().items()}
        return lost - told - set.union(*(kept_conflicts(side.server) for side in sides))
    wait_for(lambda: not silent(), lambda: f"a word on {rig.shorten(silent())}")
    for side, mine in zip(sides, last):
        check(any((path, stamp) in lost for path, stamp in mine.items()),
              f"{side.server.name} has lost nothing: this has tested nothing")
        check(side.writer.losses(), f"nothing was told to the writer at {side.server.name}")


def cut_and_heal(place, cut, **how):
    wire, servers = pair(place, **how)
    sides = [Side(place, server) for server in servers]
    for number in range(N_PATHS):
        sides[number % 2].write(f"common:{number}", "of old")
    for side in sides:
        side.until_acked()
    cluster.until_converged(servers)
    n_before = max(side.writer.n_sent for side in sides)

    cut(wire)
    write_apart(sides)
    equal(len(set(cluster.states(servers).values())), 2, "states while apart")
    wire.heal()
    wait_for(lambda: wire.n_open() > 0, "the bridge")
    up = time.monotonic()
    cluster.until_equal(servers, 60)
    rig.say(f"equal {time.monotonic() - up:.1f} s after the bridge was up again")
    cluster.until_converged(servers)
    cluster.same_dumps(servers)

    writes = {}
    for side in sides:
        for path, stamp, value in side.acked():
            writes.setdefault(path, []).append((stamp, value))
    wanted = cluster.kept(servers, writes)
    no_loser_is_silent(sides, n_before)
    for side in sides:
        view = dict(wanted)
        wait_for(lambda side=side, view=view: {path: value for path, value in
                                               dict(side.watcher.tree).items()
                                               if not path.startswith(":n.")} == view,
                 f"the watcher at {side.server.name} to see the same", 30, step=0.05)
    wire.close()
    return servers


def test_bridge_is_cut(place):
    cut_and_heal(place, lambda wire: wire.cut())


def test_bridge_is_silent(place):
    cut_and_heal(place, lambda wire: wire.stall())


def test_bridge_forgets_all(place):
    """The brokers lose whatever was written meanwhile: the servers find it by themselves."""
    servers = cut_and_heal(place, lambda wire: wire.cut(), qos=0, cleansession="true")
    for server in servers:
        check(cluster.status(server)["pulls"] > 0, f"{server.name} has read nothing from the other")


def circle(place, delay_s):
    """Two brokers and both wires, each message @delay_s on its way over one."""
    one, other = brokers.mosquitto(place), brokers.mosquitto(place)
    bridges = [brokers.Bridge(one, other), brokers.Bridge(other, one)]
    for bridge in bridges:
        bridge.wire.delay_s = delay_s
    for broker in (one, other):
        broker.start()
    for bridge in bridges:
        bridge.until_up()
    return (one, other), [bridge.wire for bridge in bridges]


def broker_state(server):
    report = cluster.status(server)
    return report and report["broker"]


def go_round(place, delay_s):
    both, wires = circle(place, delay_s)
    servers = cluster.start(place, [broker.address for broker in both])
    for server in servers:
        wait_for(lambda server=server: broker_state(server) == WORD,
                 f"{server.name} to see that there is a circle", 30)
        check(WORD in server.words(), f"{server.name} does not log it:\n{server.words()}")

    for number in range(20):
        server = servers[number % 2]
        rig.cli(server, "set", f"x:{number}", str(number))
        equal(rig.cli(server, "get", f"x:{number}").strip(), str(number), "what was set")
    rig.cli(servers[0], "del", "x:0")
    cluster.until_converged(servers)
    n_lines = max(server.words().count(WORD) for server in servers)
    check(n_lines <= 3, f"it is said {n_lines} times")

    wires[1].cut()
    for server in servers:
        wait_for(lambda server=server: broker_state(server) == "connected",
                 f"{server.name} to see that the circle is open", 60)
    rig.cli(servers[1], "set", "after", "1")
    cluster.until_converged(servers)
    cluster.same_dumps(servers)
    equal(cluster.tree_of(servers[0]), {"after": 1} | {f"x:{i}": i for i in range(1, 20)}, "the tree")
    for wire in wires:
        wire.close()


def test_brokers_send_in_a_circle(place):
    """Slowly, to leave the machine some breath."""
    go_round(place, 0.02)


def test_brokers_send_in_a_circle_at_full_speed(place):
    go_round(place, 0)


rig.main(test_bridge_is_cut, test_bridge_is_silent, test_bridge_forgets_all,
         test_brokers_send_in_a_circle, at_once=3,
         soak=[test_brokers_send_in_a_circle_at_full_speed])
