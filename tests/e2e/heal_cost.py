# SPDX-License-Identifier: Apache-2.0
"""
What it costs to be equal again: bytes between brokers and between servers, and pings.  And what it
costs to be equal already: nothing but pings.
"""
import glob
import os
import random
import shutil

import cbor2
import paho.mqtt.client as paho

import brokers
import cluster
import rig
import proxy
from rig import check, equal, wait_for

PING_S = 3
BYTES_MAX = 2_000_000
PINGS_MAX = 3


class Ear:
    """Counts the messages at a broker, and knows the last ping of each server."""

    def __init__(self, broker):
        self.n_messages = 0
        self.n_other = 0
        self.pings = {}  # name -> number
        self.is_ready = False
        self.client = paho.Client("ear", clean_session=True)
        self.client.on_connect = lambda *_: self.client.subscribe("#", 0)
        self.client.on_subscribe = self._subscribed
        self.client.on_message = self._message
        self.client.connect("127.0.0.1", broker.port)
        self.client.loop_start()
        wait_for(lambda: self.is_ready, "the ear's SUBACK")

    def _subscribed(self, *_):
        self.is_ready = True

    def _message(self, _client, _data, message):
        self.n_messages += 1
        if message.topic != "moat/main/svc/act":
            self.n_other += 1
            return
        ping = cbor2.loads(message.payload)
        self.pings[ping[0]] = ping[3]

    def end(self):
        self.client.disconnect()
        self.client.loop_stop()


def interpose(server):
    """
    Puts a wire where other servers dial this one, so that what they say to each other is counted.
    The test's own clients go around it.
    """
    path = server.address.removeprefix("unix:")
    behind = path + ".behind"
    os.rename(path, behind)
    server.listen[0] = f"unix:{behind}"
    return proxy.Proxy(behind, path=path)


class Pair:
    """Two servers at two brokers, whose bridge forgets what it cannot deliver."""

    def __init__(self, place, n_entries):
        far, near = brokers.mosquitto(place), brokers.mosquitto(place)
        bridge = brokers.Bridge(near, far, qos=0, cleansession="true")
        self.place = place
        self.n_entries = n_entries
        self.chance = random.Random(rig.settings.seed)
        for broker in (far, near):
            broker.start()
        bridge.until_up()
        self.bridge = bridge.wire
        self.servers = cluster.start(place, [near.address], ["--ping", str(PING_S)])
        self.fill(self.servers[0])
        self.servers += [place.server("b", broker=far.address, options=["--ping", str(PING_S)])]
        self.links = [interpose(server) for server in self.servers]
        self.ear = Ear(near)

    def fill(self, server):
        writer = rig.Writer(self.place, server)
        for number in range(self.n_entries):
            writer.send(f"room{number % 97}.thing:{number}", cbor2.dumps({"n": number, "on": True}))
        self.until_done(writer)

    def until_done(self, writer):
        writer.finish()
        writer.wait(600)
        equal({status for _, status in writer.answered()}, {0}, "what became of the writes")

    def change(self, server, numbers):
        writer = rig.Writer(self.place, server, blind=False)
        for number in numbers:
            writer.send(f"room{number % 97}.thing:{number}",
                        None if number % 10 == 0 else cbor2.dumps({"n": number, "on": False}))
        self.until_done(writer)

    def restart(self, number, meanwhile):
        server = self.servers[number]
        equal(server.end(), 0, "exit status")
        self.links[number].close()
        meanwhile(server)
        server.start()
        self.links[number] = interpose(server)

    def n_bytes(self):
        return {"bridge": self.bridge.total(), "links": sum(link.total() for link in self.links)}

    def until_equal(self, seconds=60):
        """Returns the bytes and pings that it took."""
        bytes_before, pings_before = self.n_bytes(), dict(self.ear.pings)
        cluster.until_equal(self.servers, seconds)
        n_pings = max(number - pings_before.get(name, number)
                      for name, number in self.ear.pings.items())
        return {name: n - bytes_before[name] for name, n in self.n_bytes().items()}, n_pings

    def close(self):
        self.ear.end()
        for wire in (self.bridge, *self.links):
            wire.close()


def say_cost(what, cost, n_pings):
    rig.say(f"{what}: {cost['links']} bytes between servers, {cost['bridge']} between brokers, "
            f"{n_pings} pings")


def heal(place, n_entries, n_changes):
    pair = Pair(place, n_entries)
    cluster.until_equal(pair.servers, 120)
    pair.bridge.cut()
    numbers = pair.chance.sample(range(n_entries), n_changes)
    for server, mine in zip(pair.servers, (numbers[::2], numbers[1::2])):
        pair.change(server, mine)
    pair.bridge.heal()
    wait_for(lambda: pair.bridge.n_open() > 0, "the bridge", step=0.001)
    cost, n_pings = pair.until_equal()
    say_cost(f"{n_changes} of {n_entries} changed, apart", cost, n_pings)
    cluster.until_converged(pair.servers)
    cluster.same_dumps(pair.servers)
    check(sum(cost.values()) <= BYTES_MAX, f"it took {cost} bytes")
    check(n_pings <= PINGS_MAX, f"it took {n_pings} pings")
    return pair


def files_of(server):
    """When they were written; but for the table of LMDB's readers, which is no data."""
    return {path: (os.stat(path).st_mtime_ns, os.stat(path).st_size)
            for path in glob.glob(server.state + "/*") if not path.endswith("lock.mdb")}


def n_written(server):
    with open(f"/proc/{server.pid}/io", encoding="ascii") as file:
        return int(file.read().split("write_bytes: ")[1].split()[0])


def idle(pair):
    """Nothing is written, and nothing said but pings."""
    ear, servers = pair.ear, pair.servers

    def until_pinged(n_pings):
        goal = {name: number + n_pings for name, number in ear.pings.items()}
        wait_for(lambda: all(ear.pings[name] >= number for name, number in goal.items()),
                 "pings", n_pings * PING_S * 3)
    until_pinged(1)
    before = [(files_of(server), n_written(server)) for server in servers]
    n_messages, n_other, pings = ear.n_messages, ear.n_other, dict(ear.pings)
    links = pair.n_bytes()["links"]
    until_pinged(3)
    equal([(files_of(server), n_written(server)) for server in servers], before, "what is on disk")
    equal(ear.n_other - n_other, 0, "messages that are no pings")
    equal(ear.n_messages - n_messages, sum(ear.pings[name] - pings[name] for name in pings), "pings")
    equal(pair.n_bytes()["links"] - links, 0, "bytes between idle servers")


def test_heal_and_idle(place):
    pair = heal(place, rig.size(100_000, 10_000, 1_000_000), rig.size(1000, 200, 1000))
    idle(pair)
    pair.close()


def test_without_a_place(place):
    """
    A server that was put back to a backup, so that nobody knows up to where it has read what: the
    few differences are looked for among all entries.
    """
    n_entries, n_changes = rig.size(20_000, 2_000, 1_000_000), 10
    pair = Pair(place, n_entries)
    backup = os.path.join(place.path, "backup")

    def take(server):
        shutil.copytree(server.state, backup, ignore=shutil.ignore_patterns("*.sock*"))

    def put_back(server):
        shutil.rmtree(server.state)
        shutil.copytree(backup, server.state)

    cluster.until_equal(pair.servers, 120)
    pair.restart(0, take)
    cluster.until_equal(pair.servers, 120)
    pair.change(pair.servers[1], pair.chance.sample(range(n_entries), n_changes))
    cluster.until_equal(pair.servers, 120)
    before = pair.links[1].total()
    pair.restart(0, put_back)
    cost, n_pings = pair.until_equal(120)
    cost["links"] += pair.links[1].total() - before  # while it joined
    say_cost(f"{n_changes} of {n_entries} changed, no place to read from", cost, n_pings)
    cluster.same_dumps(pair.servers)
    check(sum(cost.values()) <= BYTES_MAX, f"it took {cost} bytes")
    pair.close()


rig.main(test_heal_and_idle, test_without_a_place)
