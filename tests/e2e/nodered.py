#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Node-RED, headless, with its own MQTT nodes and no code of ours: reads and writes values, and sees
deletions, by a gateway rule and in retained mode.

Not one of `make test`, since it comes from npm: `make nodered` fetches it into the build folder.
"""
import json
import os
import shutil
import subprocess

import rig
from rig import check, cli, wait_for

PACKAGE = "node-red@4"
SETTINGS = """module.exports = {uiPort: 0, uiHost: "127.0.0.1", httpAdminRoot: false,
    httpNodeRoot: false, flowFile: "flows.json", logging: {console: {level: "info"}}};
"""
# What comes below in/ goes out below out/, in an object; a deletion as one.
FUNCTION = """msg.topic = msg.topic.replace("/in/", "/out/");
msg.payload = msg.payload.length === 0 ? "" : {got: msg.payload};
return msg;"""


def program():
    """Where Node-RED is, after it was fetched if need be."""
    if shutil.which("npm") is None:
        raise rig.Skipped("needs npm")
    folder = os.path.join(rig.settings.build, "node-red")
    found = os.path.join(folder, "node_modules", "node-red", "red.js")
    if not os.path.exists(found):
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "package.json"), "w", encoding="utf-8") as file:
            file.write('{"private": true}\n')
        subprocess.run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", PACKAGE],
                       cwd=folder, check=True, stdout=subprocess.DEVNULL, timeout=900)
    return found


def flows(port, prefix):
    return [
        {"id": "tab", "type": "tab", "label": "test"},
        {"id": "broker", "type": "mqtt-broker", "broker": "127.0.0.1", "port": str(port),
         "clientid": "", "usetls": False, "protocolVersion": "4", "keepalive": "60",
         "cleansession": True},
        {"id": "in", "type": "mqtt in", "z": "tab", "topic": f"{prefix}/in/#", "qos": "1",
         "datatype": "auto-detect", "broker": "broker", "nl": False, "rap": True, "rh": 0,
         "inputs": 0, "x": 1, "y": 1, "wires": [["function"]]},
        {"id": "function", "type": "function", "z": "tab", "func": FUNCTION, "outputs": 1,
         "x": 2, "y": 1, "wires": [["out"]]},
        {"id": "out", "type": "mqtt out", "z": "tab", "topic": "", "qos": "1", "retain": "true",
         "broker": "broker", "x": 3, "y": 1, "wires": []}]


def start(place, broker, prefix):
    folder = os.path.join(place.path, "node-red")
    os.makedirs(folder)
    with open(os.path.join(folder, "flows.json"), "w", encoding="utf-8") as file:
        json.dump(flows(broker.port, prefix), file)
    with open(os.path.join(folder, "settings.js"), "w", encoding="utf-8") as file:
        file.write(SETTINGS)
    with open(os.path.join(folder, "log"), "wb") as log:
        process = rig.Process(place, "node-red", ["node", program(), "-u", folder, "-s",
                                                  os.path.join(folder, "settings.js")], stdout=log)
    wait_for(lambda: rig.log_line(os.path.join(folder, "log"), "Connected to broker") or
             not process.is_running(), "Node-RED", 60)
    check(process.is_running(), process.words())


def reads_writes_and_sees_deletions(server):
    """What was there before it came, what changes, and what goes."""
    def until(path, text):
        wait_for(lambda: cli(server, "get", path, wanted=None).strip() == text,
                 lambda: f"{path} {text!r}; there is {cli(server, 'get', path, wanted=None)!r}",
                 step=0.1)
    until("house.out.before", '{"got":5}')
    cli(server, "set", "house.in.lamp", "{on: true}")
    until("house.out.lamp", '{"got":{"on":true}}')
    cli(server, "set", "house.in.lamp", "{on: false}")
    until("house.out.lamp", '{"got":{"on":false}}')
    cli(server, "del", "house.in.lamp")
    until("house.out.lamp", "")
    until("house.out.before", '{"got":5}')


def test_retained(place):
    broker = rig.Broker(place).start()
    server = rig.Server(place, broker=broker.address,
                        options=["--retained", "json", *rig.OPEN]).start()
    cli(server, "set", "house.in.before", "5")
    start(place, broker, "moat/main/d/house")
    reads_writes_and_sees_deletions(server)


def test_gateway(place):
    broker = rig.Broker(place).start()
    server = place.server()
    cli(server, "set", "house.in.before", "5")
    for name, direction in (("in", "out"), ("out", "in")):
        cli(server, "gate", "add", name, json.dumps({
            "topic": f"red/{name}/+", "path": f"house.{name}.+", "dir": direction, "codec": "json",
            "retain": direction == "out"}))
    rig.Process(place, "gate", rig.cli_command(server, "gate", "run", "--mqtt", broker.address))
    start(place, broker, "red")
    reads_writes_and_sees_deletions(server)


if __name__ == "__main__":
    rig.main(test_retained, test_gateway)
