#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Servers whose broker is guarded: clients get credentials over the link and notice nothing, whoever
comes without is refused, and servers that share the key share the broker.
"""
import json
import os
import stat
import subprocess
import threading
import time

import paho.mqtt.client as paho

import rig
from rig import check, cli, equal, wait_for

GUARDED = ["--guard", "on"]
FAST = ["--ping", "1"]


class Stranger:
    """A connection to the broker with whatever it is given."""

    def __init__(self, port, client_id="", user=None, password=None):
        self.code = None
        self.answered = threading.Event()
        self.client = paho.Client(client_id, protocol=paho.MQTTv311, clean_session=True)
        self.client.on_connect = self._connected
        if user:
            self.client.username_pw_set(user, password)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        check(self.answered.wait(rig.patience(20)), "no CONNACK")
        self.client.disconnect()
        self.client.loop_stop()

    def _connected(self, client, _data, _flags, code):
        self.code = code
        self.answered.set()
        if code:
            client.disconnect()


NOBODY = 65534


def as_nobody(server, *arguments, wanted=0):
    """moat-kv as another Unix user: what it prints, or, if no status is wanted, its exit status."""
    done = subprocess.run(rig.cli_command(server, *arguments), capture_output=True, text=True,
                          check=False, timeout=rig.patience(60), user=NOBODY, group=NOBODY,
                          extra_groups=[], stdin=subprocess.DEVNULL, env={"HOME": "/nonexistent"})
    if wanted is None:
        return done.returncode
    equal(done.returncode, wanted, f"moat-kv {arguments}: {done.stderr}")
    return done.stdout


def test_users_keep_to_their_rules(place):
    """Another Unix user, who gets in by the user that has its id."""
    if os.geteuid() != 0:
        raise rig.Skipped("needs root, to become somebody else")
    server = place.server(options=GUARDED)
    os.chmod(place.path, 0o711)
    os.chmod(server.state, 0o711)
    os.chmod(server.state + "/link.sock", 0o666)
    cli(server, "set", ":n.acl.guest.hall.#", "rwcd")
    cli(server, "set", ":n.acl.guest.#", "r")
    cli(server, "set", ":n.users.nobody", f"{{roles: [guest], uid: {NOBODY}}}")
    cli(server, "set", "cellar.x", "1")
    equal(as_nobody(server, "get", "cellar.x"), "1\n", "what may be read")
    as_nobody(server, "set", "hall.lamp", "1")
    as_nobody(server, "set", "cellar.x", "2", wanted=4)
    wait_for(lambda: "(user 'nobody') has no right to write there" in server.words(),
             "the broker's word")
    equal(cli(server, "get", "cellar.x"), "1\n", "nobody has written that")

    watcher = rig.Watcher(place, server, "hall").until_synced()
    cli(server, "set", ":n.acl.guest.cellar.#", "rw")
    started = time.monotonic()
    wait_for(lambda: as_nobody(server, "set", "cellar.x", "3", wanted=None) == 0, "the new right")
    check(time.monotonic() - started < rig.patience(1), "it takes long for a right to count")
    cli(server, "set", ":n.users.nobody", f"{{roles: [guest], uid: {NOBODY}, off: true}}")
    as_nobody(server, "set", "hall.lamp", "2", wanted=4)
    equal(watcher.tree, {"hall.lamp": 1}, "what was watched")


def mode_of(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def test_clients_notice_nothing(place):
    server = place.server(options=GUARDED)
    watcher = rig.Watcher(place, server).until_synced()
    writer = rig.Writer(place, server)
    for number in range(500):
        writer.send(f"a.n{number}", bytes([number % 24]))
    writer.finish()
    writer.wait()
    equal(len(writer.acked()), 500, "acknowledged writes")
    watcher.until_equal({f"a.n{number}": number % 24 for number in range(500)})
    check("refused" not in server.words(), server.words())

    server.kill()
    server.start()
    cli(server, "set", "a.after", "1")
    wait_for(lambda: watcher.tree.get("a.after") == 1, "the watcher to go on after a restart")
    rig.kill(server.broker_pid())
    cli(server, "set", "a.later", "2", seconds=120)
    wait_for(lambda: watcher.tree.get("a.later") == 2, "the watcher to go on with another broker")


def test_strangers_are_refused(place):
    server = place.server(options=GUARDED)
    equal(Stranger(server.broker_port).code, 5, "anonymous")
    equal(Stranger(server.broker_port, "t1:1:0", ":own", "0" * 32).code, 5, "a made-up session")
    equal(Stranger(server.broker_port, "t1:0:0:01234567", ":server", "x").code, 5, "a made-up server")
    wait_for(lambda: server.words().count("moat-kv-guard: refused") >= 3, "a word on each of them")
    equal(cli(server, "get", "nothing", wanted=None), "", "it serves on")


def test_a_server_is_found_without_credentials(place):
    server = place.server(options=GUARDED)
    cli(server, "set", "a", "1")
    found = cli(["--server", f"unix:{place.path}/nobody", "--broker", server.broker], "get", "a")
    equal(found, "1\n", "the value")


def test_servers_share_the_key(place):
    first = place.server("first", options=GUARDED + FAST)
    key = os.path.join(first.state, "guard.key")
    second = place.server("second", broker=first.broker,
                          options=GUARDED + FAST + ["--guard-key", key])
    cli(first, "set", "a", "1")
    cli(second, "set", "b", "2")

    def converged():
        return rig.run_cli(first, "status", "--converged").returncode == 0
    wait_for(converged, "both to have the same", 60)
    equal([cli(second, "get", path) for path in "ab"], ["1\n", "2\n"], "what the second one has")
    check("refused" not in first.words(), first.words())

    stranger = rig.Server(place, "stranger", broker=first.broker, options=GUARDED).launch()
    wait_for(lambda: "refuses the connection" in stranger.words(), "one with another key to complain")
    names = [row["name"] for row in json.loads(cli(first, "servers", "-o", "json"))]
    equal(sorted(names), ["first", "second"], "the servers")


def test_the_key_and_the_rights_are_for_few(place):
    server = place.server(options=GUARDED)
    key = os.path.join(server.state, "guard.key")
    equal(mode_of(key), 0o600, "the key's mode")
    equal(mode_of(os.path.join(server.state, "guard")), 0o750, "the directory's mode")
    equal(mode_of(os.path.join(server.state, "guard", "rights")), 0o640, "the file's mode")
    with open(key, encoding="ascii") as file:
        before = file.read()
    server.end()
    server.start()
    with open(key, encoding="ascii") as file:
        equal(file.read(), before, "the key after a restart")
    server.end()
    with open(key, "w", encoding="ascii") as file:
        file.write(before[:-9] + "\n")
    server.launch()
    equal(server.process.wait(), 3, "the exit status with a damaged key")
    check("is no key of the guard" in server.words(), server.words())


rig.main(test_clients_notice_nothing, test_strangers_are_refused,
         test_a_server_is_found_without_credentials, test_servers_share_the_key,
         test_users_keep_to_their_rules, test_the_key_and_the_rights_are_for_few)
