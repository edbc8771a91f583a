# SPDX-License-Identifier: Apache-2.0
"""
At each limit of the protocol's section 11, and one beyond: accepted, or refused with a text that
says why; the server stays up and its tree is as it should be.
"""
import os

import cbor2
import paho.mqtt.client as paho

import rig
from rig import check, equal, wait_for

VALUE_MAX = 1048576
BAD_DATA = 6


class Raw:
    """An MQTT client that publishes what it is told to."""

    def __init__(self, server):
        self.n_answered = 0
        self.is_up = False
        self.client = paho.Client("raw", clean_session=True)
        self.client.on_connect = self._connected
        self.client.on_publish = self._published
        self.client.connect("127.0.0.1", server.broker_port)
        self.client.loop_start()
        wait_for(lambda: self.is_up, "CONNACK")

    def _connected(self, *_):
        self.is_up = True

    def _published(self, *_):
        self.n_answered += 1

    def publish(self, topic, payload):
        wanted = self.n_answered + 1
        self.client.publish(topic, payload, 1)
        wait_for(lambda: self.n_answered >= wanted, "PUBACK")

    def end(self):
        self.client.disconnect()
        self.client.loop_stop()


def update(value, counter, name="elsewhere"):
    """An update by a client of another server: it needs no session here."""
    return cbor2.dumps({0: counter, 1: value, 2: [[name, 1, counter]]})


def refused(server, *arguments, wanted):
    done = rig.run_cli(server, *arguments)
    equal(done.returncode, BAD_DATA, f"exit status of {arguments[0]} ({done.stderr[:200]})")
    check(wanted in done.stderr, f"{wanted!r} is not said: {done.stderr[:500]!r}")


def test_values(place):
    server = place.server()
    watcher = rig.Watcher(place, server).until_synced()
    file = os.path.join(place.path, "value")

    def write_file(length):
        with open(file, "w", encoding="ascii") as out:
            out.write("v" * (length - 5))  # the head of a text of this length takes 5 bytes
    write_file(VALUE_MAX)
    rig.cli(server, "set", "largest", "-s", "-f", file)
    write_file(VALUE_MAX + 1)
    refused(server, "set", "larger", "-s", "-f", file, wanted="1 MiB")
    writer = rig.Writer(place, server)
    largest = writer.send("largest2", cbor2.dumps("w" * (VALUE_MAX - 5)))
    larger = writer.send("larger", cbor2.dumps("w" * (VALUE_MAX - 4)))
    deep = writer.send("deep", b"\x81" * 64 + b"\x01")
    deeper = writer.send("deeper", b"\x81" * 65 + b"\x01")
    many = writer.send("many", cbor2.dumps([0] * 65535))
    more = writer.send("more", cbor2.dumps([0] * 65536))
    bad = writer.send("bad", b"\x62\xff\xff")
    writer.finish()
    writer.wait()
    equal(dict(writer.answered()), {largest: 0, larger: -8, deep: 0, deeper: -6, many: 0, more: -7,
                                    bad: -9}, "what became of the writes")
    wanted = {"largest": "v" * (VALUE_MAX - 5), "largest2": "w" * (VALUE_MAX - 5),
              "deep": nested(64), "many": [0] * 65535}
    rig.same_trees(rig.tree_of(server), wanted, "the server")
    watcher.until_equal(wanted)
    server.kill()
    server.start()
    rig.same_trees(rig.tree_of(server), wanted, "the server after kill -9")


def nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


def test_paths(place):
    server = place.server()
    watcher = rig.Watcher(place, server).until_synced()
    longest = "p" * (1024 - 3)  # a text takes 3 bytes more in a key
    levels = ".".join(["l"] * 64)
    rig.cli(server, "set", longest, "1")
    rig.cli(server, "set", levels, "2")
    rig.cli(server, "set", ":", "3")
    refused(server, "set", longest + "p", "1", wanted="too long")
    refused(server, "set", levels + ".l", "2", wanted="too long")
    refused(server, "get", longest + "p", wanted="too long")
    refused(server, "watch", levels + ".l", wanted="too long")
    writer = rig.Writer(place, server)
    answers = {writer.send("é" * 510 + "x", b"\x04"): 0,
               writer.send("é" * 511, b"\x04"): -12,
               writer.send("a..b", b"\x04"): -11}
    writer.finish()
    writer.wait()
    equal(dict(writer.answered()), answers, "what became of the writes")
    wanted = {longest: 1, levels: 2, ":": 3, "é" * 510 + "x": 4}
    rig.same_trees(rig.tree_of(server), wanted, "the server")
    watcher.until_equal(wanted)


def test_messages_from_anywhere(place):
    """By a raw MQTT client: what is beyond a limit changes nothing and disturbs nobody."""
    server = place.server(options=rig.OPEN)
    watcher = rig.Watcher(place, server).until_synced()
    raw = Raw(server)
    base = "moat/main/d/"
    raw.publish(base + "t" * (65535 - len(base)), update(1, 1))
    raw.publish(base + "/".join(["l"] * 190), update(1, 2))
    raw.publish(base + "/".join(["l"] * 65), update(1, 3))
    raw.publish(base + "l" * 1022, update(1, 4))
    raw.publish(base + "large", update("x" * (VALUE_MAX - 4), 5))
    raw.publish(base + "deep", update(nested(65), 6))
    raw.publish(base + "empty//level", update(1, 7))
    raw.publish(base + "garbage", bytes(range(256)) * 4000)
    raw.publish("moat/main/svc/birth", bytes(1000))
    raw.publish("moat/main/svc/query", b"\xa1\x00\x40")
    raw.publish(base + "fine", update("yes", 8))
    raw.publish(base + "l" * 1021, update("yes", 9))
    raw.publish(base + "/".join(["l"] * 64), update("yes", 10))
    raw.publish(base + "large", update("x" * (VALUE_MAX - 5), 11))
    wanted = {"fine": "yes", "l" * 1021: "yes", ".".join(["l"] * 64): "yes",
              "large": "x" * (VALUE_MAX - 5)}
    watcher.until_equal(wanted)
    rig.same_trees(rig.tree_of(server), wanted, "the server")
    check("is ignored" in server.words(), "nothing is said of what was ignored")
    raw.end()


def test_a_packet_that_is_too_large(place):
    """The broker refuses it and throws its sender out; nobody else notices."""
    server = place.server(options=rig.OPEN)
    watcher = rig.Watcher(place, server).until_synced()
    broker = server.broker_pid()
    raw = Raw(server)
    raw.client.publish("moat/main/d/large", bytes(3 << 20), 1)
    rig.cli(server, "set", "fine", "1")
    watcher.until_equal({"fine": 1})
    equal(server.broker_pid(), broker, "the broker")
    raw.client.loop_stop()


rig.main(test_values, test_paths, test_messages_from_anywhere, test_a_packet_that_is_too_large)
