# SPDX-License-Identifier: Apache-2.0
"""
Brokers that are more than one process: a cluster of nats-server.

Each is made for a rig.Place, which ends its processes.
"""
import os
import shutil

import rig
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
