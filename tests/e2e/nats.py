# SPDX-License-Identifier: Apache-2.0
"""
Three nats-server as one broker: MQTT 3.1.1, the portable topic profile, QoS 0.  Servers and clients
at different nodes, one of which is killed.
"""
import json
import os

import cbor2
import paho.mqtt.client as paho

import brokers
import cluster
import rig
from rig import check, equal, wait_for

PORTABLE = ["--profile", "portable", "--qos", "0"]

# What NATS takes for its own in a topic, or breaks a connection for, is harmless in a path.
PATHS = {"plain": 1, "with:.dot": 2, "with:_space": 3, "a*b": 4, "a>b": 5, "$SYS.x": 6,
         "temp:1:.5": 7, "é😀": 8, "x/y+z#": 9, ":e": 10, "bytes:v**": 11, "tab\there": 12}


class Listener:
    """Sees every message below a filter at one node."""

    def __init__(self, node, topic):
        self.messages = []
        self.granted = None
        self.client = paho.Client("listener", clean_session=True, protocol=paho.MQTTv311)
        self.client.on_connect = lambda *_: self.client.subscribe(topic, 0)
        self.client.on_subscribe = self._subscribed
        self.client.on_message = self._message
        self.client.connect("127.0.0.1", node.port)
        self.client.loop_start()
        wait_for(lambda: self.granted, "the listener's SUBACK", 30)
        equal(self.granted, (0,), "what was granted")

    def _subscribed(self, _client, _data, _mid, granted):
        self.granted = tuple(granted)

    def _message(self, _client, _data, message):
        self.messages.append((message.topic, message.payload))

    def end(self):
        self.client.disconnect()
        self.client.loop_stop()


def write_file(place, n_entries):
    """A JSON document, and what it comes to as a tree below "bulk"."""
    document = {f"k{number}": {"n": number, "name": f"entry {number}"}
                for number in range(n_entries // 2)}
    file = os.path.join(place.path, "bulk.json")
    with open(file, "w", encoding="utf-8") as out:
        json.dump(document, out)
    return file, {f"bulk.{key}.{name}": value
                  for key, members in document.items() for name, value in members.items()}


def test_one_server_at_a_cluster(place):
    nats = brokers.NatsCluster(place).start()
    server = place.server(broker=nats.nodes[0].address, options=PORTABLE)
    listener = Listener(nats.nodes[1], "moat/main/d/#")
    watcher = rig.Watcher(place, server).until_synced()
    wanted = {}

    for path, value in PATHS.items():
        rig.cli(server, "set", path, str(value))
        equal(json.loads(rig.cli(server, "-o", "json", "get", path)), value, path)
        wanted[path] = value
    file, bulk = write_file(place, rig.size(4000, 1000))
    rig.cli(server, "import", file, "--at", "bulk", seconds=120)
    wanted |= bulk
    rig.cli(server, "del", "plain")
    del wanted["plain"]

    rig.same_trees(rig.tree_of(server), wanted, "the server")
    watcher.until_equal(wanted)
    n_updates = len(PATHS) + len(bulk) + 1
    wait_for(lambda: len(listener.messages) >= n_updates,
             lambda: f"{n_updates} updates at another node, not {len(listener.messages)}")
    dots = {tuple(cbor2.loads(payload)[2][0]) for _, payload in listener.messages}
    equal(len(dots), n_updates, "updates seen at another node")
    listener.end()

    found = rig.run_cli(["--broker", nats.nodes[2].address, "--root", "moat/main"],
                        "-o", "json", "get", "with:.dot")
    equal(found.returncode, 0, f"finding the server over another node ({found.stderr})")
    equal(json.loads(found.stdout), 2, "what was found")


def keep_writing(writer, wanted, n_writes):
    for _ in range(n_writes):
        number = writer.n_sent + 1
        writer.send(f"w:{number}", cbor2.dumps(number))
        wanted[f"w:{number}"] = number
    writer.flush()


def until_acked(writer):
    wait_for(lambda: len(writer.acked()) == writer.n_sent,
             lambda: f"{writer.n_sent - len(writer.acked())} ACKs:\n{writer.process.words()}", 60)


def test_node_is_killed(place):
    nats = brokers.NatsCluster(place).start()
    server = place.server(broker=[node.address for node in nats.nodes], options=PORTABLE)
    watcher = rig.Watcher(place, server).until_synced()
    writer = rig.Writer(place, server)
    wanted = {}
    victims = sorted(nats.nodes, key=lambda node: node.address != server.broker)  # its own first
    for node in victims[:rig.size(1, 1, 3)]:
        keep_writing(writer, wanted, 100)
        until_acked(writer)
        node.kill()
        keep_writing(writer, wanted, rig.size(1000, 300))
        until_acked(writer)
        watcher.until_equal(wanted)
        rig.cli(server, "--timeout", "60", "set", f"new:{node.number}", "1")  # connects only now
        wanted[f"new:{node.number}"] = 1
        rig.same_trees(rig.tree_of(server), wanted, "the server")
        node.start().until_up()
    watcher.until_equal(wanted)


def test_servers_at_all_nodes(place):
    """Each with clients of its own; a node is killed, and later another one."""
    nats = brokers.NatsCluster(place).start()
    addresses = [node.address for node in nats.nodes]
    servers = cluster.start(place, [addresses[i:] + addresses[:i] for i in range(3)],
                            [*cluster.OPTIONS, *PORTABLE])
    writers = [rig.Writer(place, server) for server in servers]
    watcher = rig.Watcher(place, servers[0]).until_synced()
    wanted = {}

    def keep_all_writing(n_writes):
        for server, writer in zip(servers, writers):
            for _ in range(n_writes):
                number = writer.n_sent + 1
                writer.send(f"{server.name}:{number}", cbor2.dumps(number))
                wanted[f"{server.name}:{number}"] = number
            writer.flush()

    keep_all_writing(100)
    for writer in writers:
        until_acked(writer)
    cluster.until_converged(servers)
    for node in nats.nodes[1:rig.size(2, 2, 3)]:
        node.kill()
        keep_all_writing(rig.size(300, 100, 3000))
        for writer in writers:
            until_acked(writer)
        cluster.until_converged(servers)
        node.start().until_up()
    cluster.same_dumps(servers)
    rig.same_trees(cluster.tree_of(servers[2]), wanted, "the servers")
    wait_for(lambda: len(watcher.tree) >= len(wanted), "the watcher to see all")


rig.main(test_one_server_at_a_cluster, test_node_is_killed, test_servers_at_all_nodes, at_once=3)
