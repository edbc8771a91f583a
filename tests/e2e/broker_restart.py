# SPDX-License-Identifier: Apache-2.0
"""
The broker is killed while it has updates that no server has seen yet.  Their writers publish them
again, byte for byte; all is acknowledged, and server and watchers agree.
"""
import random
import signal

import cbor2
import paho.mqtt.client as paho

import rig
from rig import check, equal, wait_for

VALUE = "x" * 4000  # more in all than what waits in the sockets, so that the broker's queue matters


class Observer:
    """Sees every update on one broker, as long as that lives: (first tick, topic, payload)."""

    def __init__(self, server, port):
        self.seen = []
        self.is_ready = False
        credential = rig.credential(server)
        self.client = paho.Client(credential["-i"], clean_session=True)
        self.client.username_pw_set(credential["-u"], credential["-P"])
        self.client.on_connect = lambda *_: self.client.subscribe("moat/main/d/#", 1)
        self.client.on_subscribe = self._subscribed
        self.client.on_message = self._message
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        wait_for(lambda: self.is_ready, "the observer's SUBACK")

    def _subscribed(self, *_):
        self.is_ready = True

    def _message(self, _client, _data, message):
        dot = tuple(cbor2.loads(message.payload)[2][0])
        self.seen.append((dot, message.topic, message.payload))

    def end(self):
        self.client.on_disconnect = None
        self.client.loop_stop()
        return self.seen


class Work:
    """Two writers on a few paths each, one of which looks before it writes; and what they wrote."""

    def __init__(self, place, server, seed):
        self.random = random.Random(seed)
        self.writers = [rig.Writer(place, server, blind=blind) for blind in (True, False)]
        self.wanted = {}

    def send(self, n_writes):
        for number, writer in enumerate(self.writers):
            for _ in range(n_writes):
                path = f"w{number}:{self.random.randrange(300)}"
                value = f"{writer.n_sent} {VALUE}"
                writer.send(path, cbor2.dumps(value))
                self.wanted[path] = value
            writer.flush()

    def until_acked(self):
        for writer in self.writers:
            wait_for(lambda writer=writer: len(writer.acked()) == writer.n_sent,
                     lambda writer=writer: f"{writer.n_sent - len(writer.acked())} ACKs:\n"
                     f"{writer.process.words()}", 60, step=0.05)


def lose_queue(server, kill_broker, work, observer):
    """Updates get into the broker, and no further; then it dies."""
    n_before = len(observer.seen)
    server.process.signal(signal.SIGSTOP)
    work.send(rig.size(150, 60))
    wait_for(lambda: len(observer.seen) > n_before + 20, "updates at the observer")
    kill_broker()
    server.process.signal(signal.SIGCONT)


def compare(payloads, seen):
    """All messages with one dot are the same; returns how many came again."""
    n_again = 0
    for dot, topic, payload in seen:
        first = payloads.setdefault(dot, (topic, payload))
        n_again += first[1] is not payload
        check(first == (topic, payload), f"update {dot} was repeated with other bytes")
    return n_again


def rounds(place, server, broker, n_rounds):
    work = Work(place, server, rig.settings.seed)
    watcher = rig.Watcher(place, server).until_synced()
    payloads, n_again = {}, 0
    for _ in range(n_rounds):
        wait_for(broker.is_up, "the broker", 60)
        observer = Observer(server, broker.port())
        work.send(1)  # all are connected again
        work.until_acked()
        lose_queue(server, broker.kill, work, observer)
        n_again += compare(payloads, observer.end())
        broker.revive()
        wait_for(broker.is_up, "the broker", 60)
        observer = Observer(server, broker.port())
        work.until_acked()
        n_again += compare(payloads, observer.end())
        rig.same_trees(rig.tree_of(server), work.wanted, "the server")
        watcher.until_equal(work.wanted)
    check(n_again > n_rounds, f"only {n_again} repeats were seen: this has tested nothing")
    for writer in work.writers:
        writer.finish()
        writer.wait()
        equal({status for _, status in writer.answered()}, {0}, "what became of the writes")


class External:
    def __init__(self, broker):
        self.broker = broker
        self.kill = broker.kill
        self.revive = broker.start

    def port(self):
        return self.broker.port

    def is_up(self):
        return rig.accepts(self.broker.port)


class Embedded:
    def __init__(self, server):
        self.server = server
        self.killed = None

    def port(self):
        return self.server.broker_port  # kept over restarts, as long as nobody else takes it

    def is_up(self):
        pid = self.server.broker_pid()
        return pid not in (None, self.killed) and rig.accepts(self.port())

    def kill(self):
        self.killed = self.server.broker_pid()
        rig.kill(self.killed)

    def revive(self):
        """The server does that."""


def test_external_broker_loses_its_queues(place):
    broker = place.broker()
    rounds(place, place.server(broker=broker.address), External(broker), 6)


def test_embedded_broker_loses_its_queues(place):
    server = place.server()
    rounds(place, server, Embedded(server), 4)


rig.main(test_external_broker_loses_its_queues, test_embedded_broker_loses_its_queues, at_once=2)
