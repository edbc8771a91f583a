#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The embedded broker is guarded: clients get credentials over the link and notice nothing, whoever
comes without is refused, the servers of a cluster share a broker, and keys may change.
"""
import json
import os
import shutil
import signal
import stat
import subprocess
import threading
import time

import paho.mqtt.client as paho

import rig
from rig import check, cli, equal, wait_for

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
    server = place.server()
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
    server = place.server()
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
    server = place.server()
    equal(Stranger(server.broker_port).code, 5, "anonymous")
    equal(Stranger(server.broker_port, "t1:1:0", ":own", "0" * 32).code, 5, "a made-up session")
    equal(Stranger(server.broker_port, "t1:0:0:01234567", ":server", "x").code, 5, "a made-up server")
    wait_for(lambda: server.words().count("moat-kv-guard: refused") >= 3, "a word on each of them")
    equal(cli(server, "get", "nothing", wanted=None), "", "it serves on")


def test_a_server_is_found_without_credentials(place):
    server = place.server()
    cli(server, "set", "a", "1")
    found = cli(["--server", f"unix:{place.path}/nobody", "--broker", server.broker], "get", "a")
    equal(found, "1\n", "the value")


def test_servers_share_a_broker(place):
    first = place.server("first", options=FAST)
    second = place.server("second", broker=first.broker, options=FAST)
    cli(first, "set", "a", "1")
    cli(second, "set", "b", "2")

    def converged():
        return rig.run_cli(first, "status", "--converged").returncode == 0
    wait_for(converged, "both to have the same", 60)
    equal([cli(second, "get", path) for path in "ab"], ["1\n", "2\n"], "what the second one has")
    check("refused" not in first.words(), first.words())

    stranger = rig.Server(place, "stranger", broker=first.broker, token=None).launch()
    equal(stranger.process.wait(), 3, "exit status of one without the token")
    check("--join-file" in stranger.words(), stranger.words())
    names = [row["name"] for row in json.loads(cli(first, "servers", "-o", "json"))]
    equal(sorted(names), ["first", "second"], "the servers")


def test_the_rights_are_for_few(place):
    server = place.server()
    equal(mode_of(os.path.join(server.state, "guard")), 0o750, "the directory's mode")
    equal(mode_of(os.path.join(server.state, "guard", "rights")), 0o640, "the file's mode")


class Listener:
    """Who looks at the broker by what `moat-kvd credential` prints."""

    def __init__(self, server, *user):
        found = rig.credential(server, *user)
        self.seen, self.granted, self.ends = [], None, 0
        self.client = paho.Client(found["-i"], protocol=paho.MQTTv311, clean_session=True)
        self.client.username_pw_set(found["-u"], found["-P"])
        self.client.on_connect = lambda *_: self.client.subscribe("moat/main/d/#", 1)
        self.client.on_subscribe = lambda *_: setattr(self, "granted", True)
        self.client.on_message = lambda _c, _d, message: self.seen.append(message.topic)
        self.client.on_disconnect = lambda *_: setattr(self, "ends", self.ends + 1)
        self.client.connect("127.0.0.1", server.broker_port)
        self.client.loop_start()
        wait_for(lambda: self.granted, "SUBACK")

    def end(self):
        self.client.on_disconnect = None
        self.client.disconnect()
        self.client.loop_stop()


def test_one_can_look_by_hand(place):
    server = place.server()
    cli(server, "set", ":n.acl.guest.hall.#", "r")
    cli(server, "set", ":n.users.ann", "{roles: [guest]}")
    words = rig.credential(server)
    equal((words["-u"], words["--unix"]), (":own", server.state + "/broker.sock"), "what is printed")
    own, ann = Listener(server), Listener(server, "ann")
    for path in ("cellar.x", "hall.lamp"):
        cli(server, "set", path, "1")
    wait_for(lambda: len(own.seen) == 2 and ann.seen, "what was written")
    equal(own.seen, ["moat/main/d/cellar/x", "moat/main/d/hall/lamp"], "what is seen")
    equal(ann.seen, ["moat/main/d/hall/lamp"], "what ann sees")
    own.end()
    ann.end()
    done = subprocess.run([kvd(), "credential", "a:b"], capture_output=True, text=True, check=False)
    equal((done.returncode, "no user name" in done.stderr), (2, True), done.stderr)


def kvd():
    return os.path.join(rig.settings.build, "src/daemon/moat-kvd")


def rotate(server):
    n_before = server.words().count("have been read again")
    subprocess.run([kvd(), "key", "rotate", "--state", server.state], capture_output=True,
                   check=True, timeout=rig.patience(30))
    server.process.signal(signal.SIGHUP)
    wait_for(lambda: server.words().count("have been read again") > n_before, "the new key")


def test_a_key_that_goes_takes_its_connections_along(place):
    """Two changes disturb nobody; the third ends what was proven by the first key."""
    server = place.server()
    old = rig.credential(server)
    listener, watcher = Listener(server), rig.Watcher(place, server).until_synced()
    for number in (1, 2):
        rotate(server)
        cli(server, "set", "a", str(number))
        watcher.until_equal({"a": number})
    wait_for(lambda: len(listener.seen) == 2, "two messages")
    equal(Stranger(server.broker_port, old["-i"], old["-u"], old["-P"]).code, 0, "an old key")
    check("refused" not in server.words(), server.words())

    watcher.process.kill()  # what was given out less than a minute ago is not asked for again yet
    rotate(server)
    wait_for(lambda: listener.ends > 0, "the listener's end")
    equal(Stranger(server.broker_port, old["-i"], old["-u"], old["-P"]).code, 5, "a key that has gone")
    cli(server, "set", "a", "3")
    equal(len(listener.seen), 2, "what the listener has seen")
    listener.end()
    check("by a key that has gone" in server.words(), server.words())


def test_without_the_plugin_it_does_not_start(place):
    alone = shutil.copy(kvd(), os.path.join(place.path, "kvd"))
    state = os.path.join(place.path, "state")
    done = subprocess.run([alone, "--state", state], capture_output=True, text=True, check=False,
                          timeout=rig.patience(30))
    if "moat-kv-guard.so" not in done.stderr:
        raise rig.Skipped("the plugin is installed on this machine")
    equal(done.returncode, 3, "exit status")
    check("--guard off" in done.stderr, done.stderr)


rig.main(test_clients_notice_nothing, test_strangers_are_refused,
         test_a_server_is_found_without_credentials, test_servers_share_a_broker,
         test_users_keep_to_their_rules, test_the_rights_are_for_few, test_one_can_look_by_hand,
         test_a_key_that_goes_takes_its_connections_along,
         test_without_the_plugin_it_does_not_start)
