#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
`moat-kv gate run` between a real mosquitto and servers: devices as zigbee2mqtt, Tasmota and Homie
have them, Home Assistant's discovery, messages that are none, floods, and two gateways onto each other.
"""
import json
import signal

import bus
import rig
from rig import check, cli, equal, wait_for


class Bus(bus.Bus):
    """What was said last on each topic, as text."""

    def hear(self, topic, payload):
        super().hear(topic, payload.decode(errors="replace"))

    def say(self, topic, payload, retain=False):
        if isinstance(payload, (dict, list)):
            payload = json.dumps(payload)
        super().say(topic, payload, retain).wait_for_publish()

    def until(self, topic, payload):
        wait_for(lambda: self.last.get(topic) == payload,
                 lambda: f"{topic} {payload}; there is {self.last.get(topic)}")


class Gate:
    def __init__(self, place, server, broker, name, *rules):
        self.server = server
        self.name = name
        self.process = rig.Process(place, f"gate-{name}", rig.cli_command(
            server, "gate", "run", *rules, "--mqtt", broker.address, "--as", name))
        wait_for(lambda: self.status().get(None, {}).get("state") == "running", "the gateway")

    def status(self):
        rows = json.loads(cli(self.server, "gate", "status", "-o", "json"))
        return {row.get("rule"): row for row in rows if row["gate"] == self.name}

    def stop(self):
        self.process.signal(signal.SIGTERM)
        equal(self.process.wait(), 0, "the gateway's exit status")
        return self.status()


def add(server, **rules):
    for name, rule in rules.items():
        cli(server, "gate", "add", name.replace("_", "-"), json.dumps(rule))


def rule(topic, path, direction, codec, **more):
    return {"topic": topic, "path": path, "dir": direction, "codec": codec, **more}


RULES = {
    "lamps": rule("zigbee2mqtt/+", "dev.+", "both", "json", set="zigbee2mqtt/+/set", fields=True),
    "plugs": rule("stat/+/POWER", "plug.+", "both", "text", set="cmnd/+/POWER",
                  enum={"ON": True, "OFF": False}),
    "climate": rule("tele/+/SENSOR", "climate.+", "in", "json",
                    fields={"AM2301.Temperature": {}, "ANALOG.A0": {"scale": [0.1, 0]}}),
    "homie": rule("homie/+/+/+", "homie.+.+.+", "both", "text", set="homie/+/+/+/set"),
    "ha-config": rule("homeassistant/+/+/config", "ha.+.+", "out", "json", retain=True),
    "shared": rule("house/+/switch", "switch.+", "both", "text", enum={"ON": True, "OFF": False},
                   retain=True),
}


def plain(server):
    """The tree without what is about it."""
    return {path: value for path, value in rig.tree_of(server).items() if not path.startswith(":n")}


HA = {
    "config": rule("homeassistant/+/+/config", "ha.+.+", "out", "json",
                   birth={"topic": "homeassistant/status", "payload": "online"}),
    "loud": rule("loud/+", "loud.+", "out", "json", retain=True,
                 birth={"topic": "homeassistant/status", "payload": "online"}),
    "other": rule("other/+", "loud.+", "out", "json"),
}


def value_of(server, path):
    """As it is printed; nothing while there is none."""
    return rig.run_cli(server, "get", path).stdout.strip()


def devices_speak(server, bus):
    bus.say("zigbee2mqtt/hall lamp", {"state": "ON", "brightness": 254, "linkquality": 120,
                                      "color": {"x": 0.3, "y": 0.4}, "update": {"state": "idle"}})
    bus.say("stat/pump/POWER", "ON")
    bus.say("tele/attic/SENSOR", {"Time": "2025-01-01T00:00:00", "ANALOG": {"A0": 437},
                                  "AM2301": {"Temperature": 21.5, "Humidity": 48.2}, "TempUnit": "C"})
    bus.say("homie/therm/$state", "ready", retain=True)  # no topic of the rule: three levels only
    bus.say("homie/therm/room/target", "20.5", retain=True)
    wanted = {
        "dev.hall:_lamp.state": "ON", "dev.hall:_lamp.brightness": 254,
        "dev.hall:_lamp.linkquality": 120, "dev.hall:_lamp.color.x": 0.3,
        "dev.hall:_lamp.color.y": 0.4, "dev.hall:_lamp.update.state": "idle", "plug.pump": True,
        "climate.attic.AM2301.Temperature": 21.5, "climate.attic.ANALOG.A0": 43.7,
        "homie.therm.room.target": "20.5"}
    wait_for(lambda: plain(server) == wanted, lambda: rig.difference(plain(server), wanted))


def the_tree_commands(server, bus):
    cli(server, "set", "dev.hall:_lamp.brightness", "20")
    bus.until("zigbee2mqtt/hall lamp/set", '{"brightness":20}')
    cli(server, "set", "plug.pump", "false")
    bus.until("cmnd/pump/POWER", "OFF")
    cli(server, "set", "homie.therm.room.target", "-s", "19")
    bus.until("homie/therm/room/target/set", "19")
    bus.say("zigbee2mqtt/hall lamp", {"brightness": 20})  # it did so
    equal(bus.n["zigbee2mqtt/hall lamp/set"], 1, "commands that were sent")


def home_assistant(server, bus):
    config = {"name": "Pump", "unique_id": "pump", "command_topic": "house/pump/switch"}
    cli(server, "set", "ha.switch.pump", json.dumps(config))
    wait_for(lambda: json.loads(bus.last.get("homeassistant/switch/pump/config", "{}")) == config,
             "the discovery message")
    bus.say("house/pump/switch", "ON", retain=True)
    wait_for(lambda: value_of(server, "switch.pump") == "true", "the switch")
    cli(server, "set", "switch.pump", "false")
    bus.until("house/pump/switch", "OFF")
    cli(server, "del", "ha.switch.pump")
    bus.until("homeassistant/switch/pump/config", "")


def hears(server, bus, topic):
    """Says it, and whether it, or what was said before, has come to the tree."""
    bus.say(topic, "on")
    return value_of(server, topic.replace("/", ".")) == "true"


def test_devices(place):
    server, broker = place.server(), place.broker()
    bus = Bus(broker)
    add(server, **RULES)
    gate = Gate(place, server, broker, "g")
    devices_speak(server, bus)
    the_tree_commands(server, bus)
    home_assistant(server, bus)
    bus.say("zigbee2mqtt/bad", "{no json")
    bus.say("stat/pump/POWER", "MAYBE")
    cli(server, "set", ":n.gate.wrong", "{topic: x, path: y, dir: sideways, codec: json}")
    wait_for(lambda: gate.status().get("wrong", {}).get("state") == "not in force", "the bad rule")
    cli(server, "gate", "add", "late", json.dumps(rule("late/+", "late.+", "in", "bool")))
    wait_for(lambda: hears(server, bus, "late/x"), "the rule that came late")
    cli(server, "gate", "del", "wrong")
    wait_for(lambda: "wrong" not in gate.status(), "the bad rule to go")
    # The gateway begins anew with other rules: what comes while it does so is not for it.
    wait_for(lambda: hears(server, bus, "late/y"), "the gateway to be back")
    bus.say("zigbee2mqtt/bad", "{no json")
    bus.say("late/z", "off")
    wait_for(lambda: value_of(server, "late.z") == "false", "late.z")
    status = gate.stop()
    equal(status[None]["state"], "stopped", "the status")
    equal((status["lamps"]["errors"], status["lamps"]["where"]), (1, "zigbee2mqtt/bad"), "the lamps")
    check("expected a key" in status["lamps"]["problem"], status)
    equal(status["late"]["written"], 2, "what the late rule wrote since the last change of rules")
    bus.close()


def test_a_birth_is_answered(place):
    """Home Assistant comes, and did not hear what was said before."""
    server, broker = place.server(), place.broker()
    add(server, **HA)
    cli(server, "set", "ha.switch.pump", '{"name": "Pump"}')
    cli(server, "set", "loud.a", "1")
    gate = Gate(place, server, broker, "g")
    bus = Bus(broker)
    bus.until("loud/a", "1")
    bus.say("homeassistant/status", "offline")
    bus.say("homeassistant/status", "online")
    bus.say("homeassistant/status", "online")
    bus.until("homeassistant/switch/pump/config", '{"name":"Pump"}')
    wait_for(lambda: bus.n["loud/a"] == 2, lambda: f"all to be said again: {bus.n}")
    status = gate.stop()
    equal((status["config"]["published"], status["loud"]["births"], status["other"]["published"]),
          (1, 1, 0), "what was said")
    bus.close()


def test_flood_of_200_devices(place):
    server, broker = place.server(), place.broker()
    bus = Bus(broker)
    add(server, lamps=RULES["lamps"], climate=RULES["climate"])
    gate = Gate(place, server, broker, "g")
    wanted = {}
    for turn in range(rig.size(15, 5, 300)):
        for device in range(200):
            bus.client.publish(f"zigbee2mqtt/d{device}", json.dumps(
                {"state": "ON" if turn % 2 else "OFF", "brightness": (turn * 7 + device) % 255}), 1)
            wanted[f"dev.d{device}.state"] = "ON" if turn % 2 else "OFF"
            wanted[f"dev.d{device}.brightness"] = (turn * 7 + device) % 255
        bus.client.publish("zigbee2mqtt/d0", "{", 1)
    bus.say("zigbee2mqtt/last", {"state": "ON"})
    wanted["dev.last.state"] = "ON"

    wait_for(lambda: plain(server) == wanted, lambda: rig.difference(plain(server), wanted), 60, step=0.1)
    check(not any(topic.endswith("/set") for topic in bus.last), "commands that nobody gave")
    status = gate.stop()
    equal(status["lamps"]["errors"], rig.size(15, 5, 300), "errors")
    rig.say(str(status["lamps"]))
    bus.close()


def test_two_gateways_onto_each_other(place):
    one, two, broker = place.server("one"), place.server("two"), place.broker()
    bus = Bus(broker)
    for server in (one, two):
        add(server, shared=RULES["shared"],
            rough=rule("rough/+", "rough.+", "both", "number", scale=[3, 0], retain=True))
    gates = [Gate(place, server, broker, name) for server, name in ((one, "g1"), (two, "g2"))]
    for turn in range(10):
        cli(one, "set", "switch.a", "true" if turn % 2 else "false")
        cli(two, "set", "switch.a", "false" if turn % 3 else "true")
        cli(two if turn % 2 else one, "set", "rough.a", str(turn))

    def settled():
        a, b = rig.tree_of(one, "switch"), rig.tree_of(two, "switch")
        c, d = rig.tree_of(one, "rough"), rig.tree_of(two, "rough")
        # A third of it is rounded on the way, and each side keeps its own reading.
        return a == b and len(a) == len(c) == len(d) == 1 and abs(c["rough.a"] - d["rough.a"]) < 1e-9
    wait_for(settled, lambda: f"the same: {rig.tree_of(one)} {rig.tree_of(two)}", 60, step=0.2)
    before = dict(bus.n)
    bus.say("rough/b", "1")
    wait_for(lambda: "rough.b" in rig.tree_of(one, "rough") and "rough.b" in rig.tree_of(two, "rough"),
             "what came later")
    equal(bus.n.get("rough/a"), before.get("rough/a"), "messages without a cause")
    for gate in gates:
        rig.say(str(gate.stop()))
    bus.close()


if __name__ == "__main__":
    rig.main(test_devices, test_a_birth_is_answered, test_flood_of_200_devices,
             test_two_gateways_onto_each_other, at_once=4)
