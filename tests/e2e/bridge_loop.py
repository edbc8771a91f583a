# SPDX-License-Identifier: Apache-2.0
"""
Two mosquittos that each bridge all to the other: every message goes round for ever.  The servers say
so, do not add to it more than they must, and go on serving; when the circle is opened they recover.
"""
import brokers
import cluster
import rig
from rig import check, equal, wait_for

WORD = "in a circle"


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
    if not rig.settings.soak:
        raise rig.Skipped("only with --soak: it needs all there is of a machine")
    go_round(place, 0)


rig.main(test_brokers_send_in_a_circle, test_brokers_send_in_a_circle_at_full_speed)
