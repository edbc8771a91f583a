#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Servers that want MACs, on a broker that lets anybody publish anything: who has a session writes and
notices nothing, and what others publish in its name is ignored, also while the key is changed.

    mac.py BUILD plain|sanitized
"""
import json
import os
import signal
import subprocess

import paho.mqtt.client as paho

import rig
import moatkv_foreign  # below a folder that the rig knows
import wire
from rig import cli, equal, wait_for

MAC = ["--mac", "on", "--ping", "1"]


class Anybody:
    """Whoever may publish at the broker, and reads along."""

    def __init__(self, broker):
        self.heard = []
        self.client = paho.Client(protocol=paho.MQTTv311)
        self.client.on_message = lambda _client, _data, message: self.heard.append(
            (message.topic, message.payload))
        granted = []
        self.client.on_subscribe = lambda *_: granted.append(True)
        self.client.connect("127.0.0.1", broker.port)
        self.client.loop_start()
        self.client.subscribe("moat/main/d/#", qos=1)
        wait_for(lambda: granted, "SUBACK")

    def publish(self, topic, payload):
        self.client.publish(topic, payload, qos=1).wait_for_publish(rig.patience(20))

    def payloads(self, topic):
        return [payload for heard, payload in self.heard if heard == topic]

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


def status(server, fact):
    return json.loads(cli(server, "status", "-o", "json"))[fact]


def rotate(servers):
    program = os.path.join(rig.settings.build, "src/daemon/moat-kvd")
    token = subprocess.run([program, "key", "rotate", "--state", servers[0].state], check=True,
                           capture_output=True, timeout=rig.patience(30)).stdout
    for server in servers[1:]:
        subprocess.run([program, "key", "join", "--state", server.state, "--join-file", "-"],
                       input=token, check=True, capture_output=True, timeout=rig.patience(30))
    for server in reversed(servers):
        server.process.signal(signal.SIGHUP)


def python_client(server):
    loop = moatkv_foreign.Loop()
    client = moatkv_foreign.Client(loop, server.address)
    loop.until(lambda: client.is_heard, rig.patience(20), "birth")
    return loop, client


def case_forged(first, second, anybody):
    """Another value, with and without the old MAC, a deletion, and what was good in another place."""
    cli(first, "set", "lamp", "1")
    wait_for(lambda: anybody.payloads("moat/main/d/lamp"), "the update")
    good = anybody.payloads("moat/main/d/lamp")[0]
    entry = wire.read_update(good)
    name, seq, counter = entry.dot
    before = status(first, "forged")
    forged = [wire.Entry(entry.tock + 1, b"\x05", [(name, seq, counter + 1)]).encode(),
              wire.Entry(entry.tock + 1, None, [(name, seq, counter + 1)]).encode(),
              wire.Entry(entry.tock + 1, b"\x05", [(name, 0, 1 << 40)]).encode(),
              wire.Entry(None, b"\x05", [(name, seq, counter + 1)]).encode(),
              wire.Entry(entry.tock, b"\x05", [entry.dot]).encode(mac_key=bytes(32)),
              good.replace(b"\x01\x01", b"\x01\x05", 1)]
    for payload in forged:
        anybody.publish("moat/main/d/lamp", payload)
    anybody.publish("moat/main/d/door", good)
    n = len(forged) + 1
    wait_for(lambda: status(first, "forged") == before + n, f"{n} forged ones at the first")
    wait_for(lambda: status(second, "forged") >= n, f"{n} forged ones at the second")
    anybody.publish("moat/main/d/lamp", good)  # harmless
    for server in (first, second):
        equal(cli(server, "get", "lamp").strip(), "1", "the value")
        equal(rig.run_cli(server, "get", "door").returncode, 1, "nothing is there")
    rig.check("does not prove" in first.words(), first.words())


def case_another_language(second):
    """Also an update that the server stamps."""
    loop, client = python_client(second)
    writes = [client.write(["py", 1], "with a tock"), client.write(["py", 2], "without", when=None)]
    loop.until(lambda: all(one.state == "acked" for one in writes), rig.patience(20), "ACKs")
    client.close()
    equal(cli(second, "get", "py:2").strip(), "without", "the stamped one")


def case_rotated(first, second):
    """Three times, so that the first key counts no more; a session goes on over all of it."""
    writer = rig.Writer(first.place, first)
    loop, client = python_client(second)
    for turn in range(3):
        writer.send(f"turn:{turn}", b"\x01")
        writer.flush()
        write = client.write(["py", "turn"], turn)
        rotate([first, second])
        loop.until(lambda: write.state == "acked", rig.patience(20), "an ACK")
    loop.until(lambda: client.is_heard, rig.patience(20), "birth")
    write = client.write(["py", "turn"], "last")
    loop.until(lambda: write.state == "acked", rig.patience(20), "an ACK")
    client.close()
    writer.send("turn:3", b"\x01")
    writer.finish()
    writer.wait()
    equal(writer.acked(), {1, 2, 3, 4}, "acknowledged")
    wait_for(lambda: rig.run_cli(first, "status", "--converged").returncode == 0, "converged")


def test_macs(place):
    broker = place.broker()
    first = rig.Server(place, "first", broker=broker.address, options=MAC).start()
    second = rig.Server(place, "second", broker=broker.address, options=MAC).start()
    third = rig.Server(place, "third", broker=broker.address, options=["--ping", "1"]).launch()
    anybody = Anybody(broker)
    case_forged(first, second, anybody)
    case_another_language(second)
    anybody.close()
    equal(third.process.wait(), 3, "exit status without --mac")
    rig.check("--mac on" in third.words(), third.words())
    case_rotated(first, second)


rig.main(test_macs)
