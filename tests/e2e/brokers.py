# SPDX-License-Identifier: Apache-2.0
"""
Brokers that are more than one process: a cluster of nats-server, mosquittos with bridges.

Each is made for a rig.Place, which ends its processes.
"""
import os
import shutil

import rig  # first: it knows where the others are
import proxy
from rig import check, wait_for

NATS_CONFIG = """\
server_name: n{number}
listen: "127.0.0.1:{client_port}"
max_payload: 8MB
jetstream {{ store_dir: "{store}" }}
cluster {{ name: C, listen: "127.0.0.1:{route_port}", routes: [{routes}] }}
mqtt {{ listen: "127.0.0.1:{port}" }}
"""


class NatsNode:
    """One nats-server, which may die and be started again."""

    def __init__(self, place, number, routes):
        self.place = place
        self.number = number
        self.routes = routes
        self.port = rig.free_port()
        self.address = f"mqtt://127.0.0.1:{self.port}"
        self.config = os.path.join(place.path, f"nats-{number}.conf")
        with open(self.config, "w", encoding="utf-8") as config:
            config.write(NATS_CONFIG.format(
                number=number, client_port=rig.free_port(), port=self.port,
                store=os.path.join(place.path, f"nats-{number}"), route_port=routes[number],
                routes=", ".join(f"nats-route://127.0.0.1:{port}" for port in routes)))
        self.process = None

    def start(self):
        binary = shutil.which("nats-server", path="/usr/sbin:/usr/bin:/usr/local/bin")
        if binary is None:
            raise rig.Skipped("needs the package nats-server")
        self.process = rig.Process(self.place, f"nats-{self.number}", [binary, "-c", self.config])
        return self

    def until_up(self):
        wait_for(lambda: rig.accepts(self.port) or not self.process.is_running(), "nats-server", 30)
        check(self.process.is_running(), f"nats-server does not start:\n{self.process.words()}")

    def kill(self):
        self.process.kill()


class NatsCluster:
    """
    Nodes with MQTT 3.1.1 that are one broker.  A new cluster makes its streams when the first client
    connects, which takes some seconds.
    """

    def __init__(self, place, n_nodes=3):
        routes = [rig.free_port() for _ in range(n_nodes)]
        self.nodes = [NatsNode(place, number, routes) for number in range(n_nodes)]

    def start(self):
        for node in self.nodes:
            node.start()
        for node in self.nodes:
            node.until_up()
        return self


class Bridge:
    """
    A wire between two mosquittos that can be cut, and a bridge over it that repeats everything both
    ways.  Make it before @near is started.  What waits while the wire is cut must not be lost, or
    the test would be about mosquitto: hence no limits, and MQTT 3.1.1, whose session on the far side
    outlives a connection.
    """

    def __init__(self, near, far, qos=1, **more):
        self.wire = proxy.Proxy(("127.0.0.1", far.port))
        settings = {"bridge_protocol_version": "mqttv311", "cleansession": "false",
                    "notifications": "false", "keepalive_interval": 5, "restart_timeout": 1} | more
        near.lines += [f"connection to-{far.port}", f"address 127.0.0.1:{self.wire.port}",
                       f"topic # both {qos}", *(f"{key} {value}" for key, value in settings.items())]

    def until_up(self):
        wait_for(lambda: self.wire.n_open() > 0, "the bridge")


def mosquitto(place):
    """One that keeps what waits for a bridge; not started."""
    return rig.Broker(place, ["max_inflight_messages 60000", "set_tcp_nodelay true"])
