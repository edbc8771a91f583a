#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
A broker that retains the values (docs/retained.md): mosquitto_pub and mosquitto_sub, and others that
know nothing of us, read and write them; what it loses it gets back.
"""
import json
import os
import subprocess

import bus
import rig
from rig import check, cli, equal, wait_for

ROOT = "moat/main"


class Bus(bus.Bus):
    """What the broker retains, by paths below d/, and how often each was heard."""

    def __init__(self, broker, qos=1):
        super().__init__(broker, f"{ROOT}/d/#", qos)

    def hear(self, topic, payload):
        path = topic.removeprefix(f"{ROOT}/d/")
        if path.startswith("$NULL"):
            return
        super().hear(path, payload)
        if not payload:
            del self.last[path]

    def say(self, path, payload, retain=True):  # pylint: disable=arguments-renamed
        return super().say(f"{ROOT}/d/{path}", payload, retain)

    def until(self, wanted, seconds=20.0):
        wait_for(lambda: self.last == wanted, lambda: f"{wanted}; there is {self.last}", seconds)


def server_of(place, broker, name="t1", codec="json"):
    return rig.Server(place, name, broker=broker.address,
                      options=["--retained", codec, "--ping", "1", *rig.OPEN]).start()


def house(server):
    """What the server has below "house", if there is anything."""
    return {path: value for path, value in rig.tree_of(server).items() if path.startswith("house")}


def until_tree(server, wanted):
    wait_for(lambda: house(server) == wanted, lambda: f"{wanted}; there is {house(server)}",
             step=0.1)


def newcomer(broker, wanted, seconds=20.0, qos=1):
    """Waits until somebody who comes now finds @wanted."""
    def found():
        other = Bus(broker, qos)
        try:
            wait_for(lambda: len(other.last) >= len(wanted), "retained messages", 3)
        except rig.Failure:
            pass
        other.close()
        return other.last == wanted
    wait_for(found, f"a broker with {rig.shorten(wanted)}", seconds, 0.2)


def test_plain_programs(place):
    """mosquitto_pub and mosquitto_sub read and write values and see deletions, and so do we."""
    broker = rig.Broker(place).start()
    server = server_of(place, broker)
    watcher = rig.Watcher(place, server, "house")
    wait_for(lambda: watcher.n_synced, "the state")
    cli(server, "set", "house.hall", "{on: true, level: 7}")
    out = subprocess.run(["mosquitto_sub", "-p", str(broker.port), "-t", f"{ROOT}/d/house/hall",
                          "-C", "1", "-W", "20"], capture_output=True, text=True, check=True)
    equal(json.loads(out.stdout), {"on": True, "level": 7}, "what mosquitto_sub reads")
    subprocess.run(["mosquitto_pub", "-V", "311", "-p", str(broker.port), "-t",
                    f"{ROOT}/d/house/hall", "-r", "-m", '{ "on" : false }'], check=True)
    until_tree(server, {"house.hall": {"on": False}})
    wait_for(lambda: watcher.tree == {"house.hall": {"on": False}}, lambda: f"{watcher.tree}")
    subprocess.run(["mosquitto_pub", "-p", str(broker.port), "-t", f"{ROOT}/d/house/cellar",
                    "-r", "-m", "21.5"], check=True)
    until_tree(server, {"house.hall": {"on": False}, "house.cellar": 21.5})
    subprocess.run(["mosquitto_pub", "-p", str(broker.port), "-t", f"{ROOT}/d/house/hall",
                    "-r", "-n"], check=True)
    until_tree(server, {"house.cellar": 21.5})
    cli(server, "del", "house.cellar")
    newcomer(broker, {})
    wait_for(lambda: watcher.tree == {}, lambda: f"{watcher.tree}")


def test_codecs(place):
    """Each codec, and values that it has no message for."""
    for codec, value, payload, unfit in (
            ("json", '"word"', b'"word"', None),
            ("cbor", "[1, true]", b"\x82\x01\xf5", None),
            ("text", '"word"', b"word", "7"),
            ("raw", '!!binary AAE=', b"\x00\x01", '"word"')):
        broker = rig.Broker(place).start()
        server = server_of(place, broker, codec, codec)
        cli(server, "set", "house.a", value)
        newcomer(broker, {"house/a": payload})
        other = Bus(broker)
        other.say("house/b", payload)
        wait_for(lambda: cli(server, "get", "house.b", wanted=None) ==
                 cli(server, "get", "house.a"), "the same value", step=0.1)
        if unfit:
            done = rig.run_cli(server, "set", "house.c", unfit)
            check(done.returncode != 0 and "codec" in done.stderr, f"{done}")
        other.close()
        server.end()
        broker.kill()


def test_broker_emptied(place):
    """A broker that was killed, and keeps nothing, gets all of it back."""
    broker = rig.Broker(place).start()
    server = server_of(place, broker)
    n = rig.size(3000, 300)
    cli(server, "import", "-", "-j", "--at", "house", stdin=json.dumps({f"r{i}": i for i in range(n)}))
    wanted = {f"house/r{i}": str(i).encode() for i in range(n)}
    newcomer(broker, wanted)
    broker.kill()
    broker.start()
    newcomer(broker, wanted, 60)
    check("it has them now" in wait_for(
        lambda: "it has them now" in server.words() and server.words(), "the log"), "the log")


def test_stock_broker(place):
    """As Debian has it: many values, complete everywhere, also after the broker has lost all."""
    broker = rig.Broker(place)
    broker.lines.remove("max_queued_messages 0")
    broker.start()
    server = server_of(place, broker)
    n = rig.size(3000, 300, 100000)
    values = {f"house.r{i}": i for i in range(n)}
    wanted = {path.replace(".", "/"): str(value).encode() for path, value in values.items()}
    cli(server, "import", "-", "-j", "--at", "house", seconds=600,
        stdin=json.dumps({f"r{i}": i for i in range(n)}))
    watcher = rig.Watcher(place, server, "house")
    wait_for(lambda: watcher.n_synced and watcher.tree == values, "the view", 120, 0.2)
    newcomer(broker, wanted, 120, qos=0)
    for _ in range(2):
        since = len(server.words())
        begin = rig.time.monotonic()
        broker.kill()
        broker.start()
        wait_for(lambda: "it has them now" in server.words()[since:], "the log", 300, 0.1)  # pylint: disable=cell-var-from-loop
        rig.say(f"{n} values again after {rig.time.monotonic() - begin:.1f} s")
        newcomer(broker, wanted, 120, qos=0)
    server.end()
    server.start()
    until_tree(server, values)
    equal(watcher.tree, values, "the view")


def test_written_meanwhile(place):
    """What others write while no server is there is taken; what was not touched stays."""
    broker = rig.Broker(place).start()
    server = server_of(place, broker)
    cli(server, "set", "house.a", "1")
    cli(server, "set", "house.b", "2")
    newcomer(broker, {"house/a": b"1", "house/b": b"2"})
    server.end()
    other = Bus(broker)
    other.say("house/a", "17")
    other.say("house/c", "18")
    other.until({"house/a": b"17", "house/b": b"2", "house/c": b"18"})
    server.start()
    until_tree(server, {"house.a": 17, "house.b": 2, "house.c": 18})
    other.until({"house/a": b"17", "house/b": b"2", "house/c": b"18"})
    other.close()


def test_stale(place):
    """A broker that comes back with older values is corrected, deletions too."""
    broker = rig.Broker(place, ["persistence true", f"persistence_location {place.path}/",
                                "autosave_interval 0"])
    broker.lines.remove("persistence false")
    broker.start()
    server = server_of(place, broker)
    other = Bus(broker)
    cli(server, "set", "house.a", "1")
    other.say("house/b", "1")
    cli(server, "set", "house.c", "1")
    until_tree(server, {"house.a": 1, "house.b": 1, "house.c": 1})
    wait_for(lambda: other.n.get("house/b", 0) >= 2, "the tag")
    other.close()
    broker.process.signal(rig.signal.SIGUSR1)
    saved = f"{place.path}/mosquitto.db"
    wait_for(lambda: os.path.exists(saved), "the saved state")
    cli(server, "set", "house.a", "2")
    other = Bus(broker)
    other.say("house/b", "2")
    cli(server, "del", "house.c")
    until_tree(server, {"house.a": 2, "house.b": 2})
    other.close()
    broker.kill()
    broker.start()
    newcomer(broker, {"house/a": b"2", "house/b": b"2"}, 60)
    until_tree(server, {"house.a": 2, "house.b": 2})


def test_rubbish(place):
    """Messages that are none: told of, and what was there is put back; others are not affected."""
    broker = rig.Broker(place).start()
    server = server_of(place, broker)
    cli(server, "set", "house.a", "1")
    other = Bus(broker)
    other.say("house/a", "{")
    other.say("house/b", "\xff[")
    other.say("$NULL/users/eve", '{"roles": ["admin"]}')
    other.say("house/c", "3")
    until_tree(server, {"house.a": 1, "house.c": 3})
    wait_for(lambda: other.last.get("house/a") == b"1", lambda: f"{other.last}")
    check("codec of the cluster do not go together" in server.words(), server.words())
    equal([path for path in rig.tree_of(server) if "users" in path], [], "users")
    other.close()


def test_two_servers(place):
    """Either takes what others write, once; and what one learnt late, the other has."""
    broker = rig.Broker(place).start()
    servers = [server_of(place, broker, name) for name in ("t1", "t2")]
    other = Bus(broker)
    n = rig.size(1000, 100)
    for i in range(n):
        other.say(f"house/r{i % 50}", str(i))
    wanted = {f"house.r{i % 50}": i for i in range(n)}
    for server in servers:
        until_tree(server, wanted)
    other.until({path.replace(".", "/"): str(value).encode() for path, value in wanted.items()})
    servers[0].kill()
    other.say("house/late", "7")
    until_tree(servers[1], {**wanted, "house.late": 7})
    servers[0].start()
    until_tree(servers[0], {**wanted, "house.late": 7})
    other.close()


def test_refused(place):
    """Where it cannot be: with the guard, with MACs; other servers of another mode."""
    broker = rig.Broker(place).start()
    for options in ([], ["--guard", "off", "--mac", "on"]):
        server = rig.Server(place, broker=broker.address, options=["--retained", "json", *options])
        server.launch()
        check(server.process.wait() != 0, "it starts")
        check("docs/retained.md" in server.words(), server.words())
    server_of(place, broker, "t1", "json")
    other = rig.Server(place, "t2", broker=broker.address,
                       options=["--retained", "text", "--ping", "1", *rig.OPEN])
    other.launch()
    check(other.process.wait() != 0 and "2 to 5 --retained" in other.words(), other.words())


def test_unfit_store(place):
    """A store with values that the codec has no message for: it says so, and which."""
    broker = rig.Broker(place).start()
    server = rig.Server(place, broker=broker.address, options=rig.OPEN).start()
    cli(server, "set", "house.a", "word")
    cli(server, "set", "house.b", "7")
    server.end()
    server.options += ["--retained", "text"]
    server.launch()
    check(server.process.wait() != 0, "it starts")
    check("1 values in" in server.words() and "'house.b'" in server.words(), server.words())
    server.options[-1] = "json"
    server.start()
    newcomer(broker, {"house/a": b'"word"', "house/b": b"7"})


if __name__ == "__main__":
    rig.main(test_plain_programs, test_codecs, test_broker_emptied, test_stock_broker,
             test_written_meanwhile, test_stale, test_rubbish, test_two_servers, test_refused,
             test_unfit_store)
