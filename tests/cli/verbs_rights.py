#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Users, roles and rights as people see them; and, if this runs as root, as other Unix users meet them."""
import os
import shutil
import socket
import sys

import paho.mqtt.client as paho

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import moat  # noqa: E402
from moat import expect, expect_equal  # noqa: E402

ANN = 54321
BOB = 54322
CAN_BE_OTHERS = os.geteuid() == 0 and shutil.which("setpriv") is not None
NATS = shutil.which("nats-server") or "/usr/sbin/nats-server"
SKIP = "" if CAN_BE_OTHERS else " # SKIP only root can be somebody else"


class World:
    """A server whose socket everybody can reach."""

    def __init__(self, folder, guard="on"):
        self.folder = folder
        self.guard = guard
        os.chmod(folder, 0o755)
        self.socket = f"unix:{folder}/open.sock"
        self.server = moat.Server(folder + "/state", arguments=["--listen", self.socket, "--socket", "all", "--guard", guard])
        self.cli = moat.Cli(self.socket)

    def user(self, uid):
        prefix = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
        return moat.Cli(self.socket, prefix=prefix)


def world(case, **options):
    def run():
        with moat.Folder() as folder:
            built = World(folder, **options)
            with built.server:
                case(built)
    return run


def with_others(case, **options):
    def run():
        if CAN_BE_OTHERS:
            world(case, **options)()
    return run


def denied(result, reason):
    expect_equal(result.status, 4, result)
    expect(result.text.startswith("denied: ") and reason in result.text, result)


def users(world):
    cli = world.cli
    expect_equal(cli.check("user", "list").out, b"")
    expect_equal(cli.check("user", "list", "-o", "json").json, [])
    cli.check("user", "add", "ann", "--uid", str(ANN), "--role", "guest,nurse,guest")
    cli.check("user", "add", "bob")
    expect_equal(cli.check("user", "list").lines, [f"ann guest,nurse uid={ANN}", "bob -"])
    expect_equal(cli.check("user", "list", "-o", "jsonl").jsonl,
                 [{"name": "ann", "roles": ["guest", "nurse"], "off": False, "uid": ANN},
                  {"name": "bob", "roles": [], "off": False}])
    expect("already" in cli.check("user", "add", "ann", status=2).error)
    expect("that of 'ann' already" in cli.check("user", "add", "x", "--uid", str(ANN), status=2).error)
    cli.check("user", "add", "x", "--uid", "0", status=2)
    cli.check("user", "add", "a b", status=2)
    cli.check("user", "add", "x", "--role", "a,,b", status=2)
    cli.check("user", "grant", "bob", "nurse")
    cli.check("user", "grant", "bob", "nurse")
    cli.check("user", "revoke", "ann", "nurse")
    cli.check("user", "revoke", "ann", "nurse", status=1)
    cli.check("user", "off", "bob")
    expect_equal(cli.check("user", "list").lines, [f"ann guest uid={ANN}", "bob nurse off"])
    cli.check("user", "on", "bob")
    cli.check("user", "del", "ann")
    cli.check("user", "del", "ann", status=1)
    cli.check("user", "grant", "ann", "guest", status=1)
    expect_equal(cli.check("user", "list").lines, ["bob nurse"])
    for number in range(15):
        cli.check("user", "grant", "bob", f"r{number}")
    expect("16 roles" in cli.check("user", "grant", "bob", "more", status=2).error)


def entries_that_are_none(world):
    cli = world.cli
    cli.check("set", ":n.users.odd", "{roles: guest}")
    cli.check("set", ":n.acl.guest.x", "-s", "q")
    listed = cli.run("user", "list")
    expect_equal((listed.status, listed.out), (0, b""))
    expect("cannot be read" in listed.error, listed)
    expect("add it again" in cli.check("user", "grant", "odd", "guest", status=6).error)
    expect_equal(cli.check("role", "list", "-o", "jsonl").jsonl,
                 [{"role": "guest", "filter": "x", "rights": "-rwcdea", "readable": False}])
    expect("denies everything" in cli.check("acl", "list").text)
    cli.check("user", "del", "odd")


def roles(world):
    cli = world.cli
    cli.check("role", "grant", "guest", "kitchen.#", "er")
    cli.check("role", "grant", "--", "guest", "kitchen.safe", "-re")
    cli.check("role", "grant", "nurse", "ward.+:2", "rw-c")
    expect_equal(cli.check("role", "list").lines,
                 ["guest kitchen.# re", "guest kitchen.safe -re", "nurse ward.+:2 rw-c"])
    expect_equal(cli.check("role", "list", "nurse").lines, ["nurse ward.+:2 rw-c"])
    expect_equal(cli.check("acl", "list").out, cli.check("role", "list").out)
    cli.check("role", "grant", "guest", "kitchen.#", "r")
    expect_equal(cli.check("role", "list", "guest").lines[0], "guest kitchen.# r")
    cli.check("role", "revoke", "guest", "kitchen.safe")
    cli.check("role", "revoke", "guest", "kitchen.safe", status=1)
    cli.check("role", "list", "none", status=1)
    cli.check("role", "del", "none", status=1)
    cli.check("role", "del", "guest")
    expect_equal(cli.check("role", "list").lines, ["nurse ward.+:2 rw-c"])
    for words, says in [(["frob"], "lists what it can"), (["lsit"], "did you mean 'list'"),
                        (["grant", "a", "b"], "usage: moat-kv role grant ROLE FILTER RIGHTS"),
                        (["grant", "a", "b", "q"], "are no rights"), (["list", "a", "b"], "too many words"),
                        (["grant", "a/b", "c", "r"], "no name of a role")]:
        expect(says in cli.check("role", *words, status=2).error, words)
    cli.check("role", "grant", "a", "b..c", "r", status=6)


def which_rule_decides(world):
    cli = world.cli
    cli.check("user", "add", "ann", "--role", "guest")
    cli.check("role", "grant", "guest", "#", "rwc")
    cli.check("role", "grant", "--", "guest", "cellar.#", "-r")
    expect_equal(cli.check("acl", "test", "ann", "a.b", "r").text, "allowed: rule guest # rwc\n")
    cli.check("acl", "test", "ann", "a.b", "write")
    denied(cli.run("acl", "test", "ann", "cellar.b", "read"), "rule guest cellar.# -r")
    denied(cli.run("acl", "test", "ann", "a", "d"), "no rule")
    denied(cli.run("acl", "test", "ann", ":n.users", "r"), "no rule")
    denied(cli.run("acl", "test", "eve", "a", "r"), "no user 'eve'")
    expect_equal(cli.run("acl", "test", "ann", "cellar", "r", "-o", "json").json,
                 {"user": "ann", "path": "cellar", "right": "r", "allowed": False, "role": "guest",
                  "filter": "cellar.#"})
    cli.check("acl", "test", "ann", "a", "rw", status=2)
    # Below null it is the right to administer that counts.
    cli.check("role", "grant", "guest", ":n.#", "rwcd")
    denied(cli.run("acl", "test", "ann", ":n.users.ann", "w"), "no rule")
    cli.check("role", "grant", "guest", ":n.#", "a")
    cli.check("acl", "test", "ann", ":n.users.ann", "w")
    cli.check("user", "off", "ann")
    denied(cli.run("acl", "test", "ann", "a", "r"), "is off")


def exported(world):
    cli = world.cli
    cli.check("user", "add", "ann", "--role", "guest,nurse")
    cli.check("user", "add", "gone", "--role", "guest")
    cli.check("user", "off", "gone")
    cli.check("role", "grant", "guest", "a/b.#", "r")
    cli.check("role", "grant", "--", "guest", "a/b.safe", "-rwcd")
    cli.check("role", "grant", "guest", "x.+:.y", "wc-d")
    cli.check("role", "grant", "nurse", "x", "r")

    def lines(target, *more):
        text = cli.check("acl", "export", "--for", target, *more).text
        expect("gone" not in text, text)
        return [line.strip() for line in text.splitlines() if line and not line.startswith(("#", "%%"))]

    svc = ["write moat/main/svc/birth", "write moat/main/svc/query", "read moat/main/svc/server"]
    text = lines("mosquitto")
    for line in ["user ann", *("topic " + line for line in svc), "topic deny moat/main/d/a:_b/safe",
                 "topic read moat/main/d/a:_b/#", "topic read moat/main/d/x"]:
        expect(line in text, line, text)
    text = lines("emqx")
    expect('{deny, {username, "ann"}, publish, ["moat/main/d/a:_b/safe"]}.' in text, text)
    expect('{allow, {username, "ann"}, subscribe, ["moat/main/d/x"]}.' in text, text)
    expect(not any("subscribe" in line and "allow" in line and "a:_b/#" in line for line in text),
           "a subscription would bring what is denied", text)
    expect_equal(text[-1], '{deny, {username, "ann"}, all, ["moat/main/#"]}.')
    text = lines("nats")
    expect('"moat.main.d.x"' in text and '"moat.main.d.a:_b.safe"' in text, text)
    expect('"moat.main.d.a:_b.>"' not in text, "nats-server would bring what is denied", text)
    expect_equal(sum(line.count("{") - line.count("}") for line in text), 0)
    # Who may read everything may not read what begins with null.
    cli.check("role", "grant", "nurse", "#", "r")
    expect("topic deny moat/main/d/$NULL/#" in lines("mosquitto"))
    text = lines("emqx")
    expect('{deny, {username, "ann"}, all, ["moat/main/d/$NULL/#"]}.' in text, text)
    expect(not any("allow" in line and '"moat/main/d/#"' in line for line in text), text)
    text = lines("nats")
    expect('"moat.main.d.$NULL.>"' in text and '"moat.main.d.>"' not in text, text)
    cli.check("role", "grant", "nurse", "k.#", "r")
    text = lines("nats")
    expect('"moat.main.d.k.>"' in text and '"moat.main.d.k"' in text, text)
    cli.check("acl", "export", status=2)
    cli.check("acl", "export", "--for", "rabbitmq", status=2)


class Member:
    """Somebody at a broker, under that name, who is given what they may have of the tree."""

    def __init__(self, port, name, filters=("#",), password=None):
        self.seen = []
        self.said = []
        self.granted = None
        self.client = paho.Client(name, clean_session=True)
        self.client.username_pw_set(name, password)
        self.client.on_connect = lambda *_: self.client.subscribe([("moat/main/d/" + levels, 1) for levels in filters])
        self.client.on_subscribe = lambda _client, _data, _mid, granted: setattr(self, "granted", list(granted))
        self.client.on_message = lambda _client, _data, message: self.seen.append(message.topic.removeprefix("moat/main/d/"))
        moat.wait_until("the broker", lambda: self.try_connect(port))
        self.client.loop_start()
        moat.wait_until("SUBACK", lambda: self.granted is not None)

    def try_connect(self, port):
        try:
            return self.client.connect("127.0.0.1", port) == 0
        except OSError:
            return False

    def say(self, *levels):
        self.said = [self.client.publish("moat/main/d/" + level, b"x", 1) for level in levels]

    def until_answered(self):
        moat.wait_until("all PUBACKs", lambda: all(message.is_published() for message in self.said))

    def end(self):
        self.client.disconnect()
        self.client.loop_stop()


def mosquitto_obeys(world):
    cli = world.cli
    cli.check("user", "add", "ann", "--role", "guest")
    cli.check("role", "grant", "guest", "#", "r")
    cli.check("role", "grant", "guest", "kitchen.#", "rwc")
    cli.check("role", "grant", "--", "guest", "kitchen.safe.#", "-rwcd")
    cli.check("role", "grant", "guest", "ward.+:2", "d")
    rights, settings = world.folder + "/acl", world.folder + "/mosquitto.conf"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with open(rights, "wb") as file:
        file.write(cli.check("acl", "export", "--for", "mosquitto").out)
        file.write(b"\nuser srv\ntopic readwrite moat/main/#\n")
    with open(settings, "w", encoding="utf-8") as file:
        file.write(f"listener {port} 127.0.0.1\nallow_anonymous true\nacl_file {rights}\n")
    with moat.Process([shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin"), "-c", settings]):
        ann, server = Member(port, "ann"), Member(port, "srv")
        topics = ["cellar", "kitchen", "kitchen/lamp", "kitchen/safe", "kitchen/safe/x", "ward/a/:2", "$NULL/users/x"]
        server.say(*topics, "kitchen/end")
        moat.wait_until("the end", lambda: "kitchen/end" in ann.seen)
        expect_equal(ann.seen, ["cellar", "kitchen", "kitchen/lamp", "ward/a/:2", "kitchen/end"])
        server.seen.clear()
        ann.say(*topics, "kitchen/end")
        moat.wait_until("the end", lambda: "kitchen/end" in server.seen)
        expect_equal(server.seen, ["kitchen", "kitchen/lamp", "ward/a/:2", "kitchen/end"])
        ann.end()
        server.end()


NATS_SETTINGS = """\
include "acl.conf"
server_name: alone
listen: "127.0.0.1:{inner}"
jetstream {{ store_dir: "{folder}/nats" }}
mqtt {{ listen: "127.0.0.1:{port}" }}
authorization {{ users: [
  {{ user: ann, password: a, permissions: $moat_kv_1 }}
  {{ user: bob, password: b, permissions: $moat_kv_2 }}
  {{ user: srv, password: s }}
] }}
"""


def nats_obeys(world):
    """ann may write in the kitchen and read there, bob only read; neither may do a thing in the cellar."""
    cli = world.cli
    cli.check("user", "add", "ann", "--role", "cook")
    cli.check("user", "add", "bob", "--role", "guest")
    cli.check("role", "grant", "cook", "kitchen.#", "rwc")
    cli.check("role", "grant", "--", "cook", "kitchen.safe.#", "-wcd")
    cli.check("role", "grant", "guest", "kitchen.#", "r")
    ports = []
    with socket.socket() as one, socket.socket() as other:
        for probe in (one, other):
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
    port, inner = ports
    with open(world.folder + "/acl.conf", "wb") as file:
        file.write(cli.check("acl", "export", "--for", "nats").out)
    settings = world.folder + "/nats.conf"
    with open(settings, "w", encoding="utf-8") as file:
        file.write(NATS_SETTINGS.format(inner=inner, port=port, folder=world.folder))
    with moat.Process([NATS, "-c", settings]):
        filters = ["kitchen/#", "#", "cellar", "$NULL/#"]
        server = Member(port, "srv", password="s")
        ann, bob = Member(port, "ann", filters, "a"), Member(port, "bob", filters, "b")
        expect_equal((ann.granted, bob.granted), ([1, 128, 128, 128], [1, 128, 128, 128]))
        topics = ["cellar", "kitchen", "kitchen/lamp", "kitchen/safe", "kitchen/safe/x", "$NULL/users/x"]
        server.say(*topics, "kitchen/end")
        for member in (ann, bob):
            # To NATS, `kitchen/#` is two subscriptions, and each has an order of its own.
            moat.wait_until("the ends", lambda member=member: {"kitchen", "kitchen/end"} <= set(member.seen))
            expect_equal(sorted(member.seen), sorted([*topics[1:5], "kitchen/end"]))
        moat.wait_until("its own", lambda: "kitchen/end" in server.seen)
        server.seen.clear()
        bob.say(*topics)
        bob.until_answered()
        ann.say(*topics, "kitchen/last")
        moat.wait_until("the last", lambda: "kitchen/last" in server.seen)
        expect_equal(server.seen, ["kitchen", "kitchen/lamp", "kitchen/last"])
        for member in (ann, bob, server):
            member.end()


def strangers(world):
    expect("moat-kv user add NAME --uid" in world.user(ANN).check("get", "a", status=4).error)
    world.cli.check("user", "add", "ann", "--uid", str(ANN))
    world.user(ANN).check("ping")
    world.cli.check("user", "off", "ann")
    world.user(ANN).check("ping", status=4)


def two_users(world):
    cli, ann, bob = world.cli, world.user(ANN), world.user(BOB)
    cli.check("user", "add", "ann", "--uid", str(ANN), "--role", "guest")
    cli.check("user", "add", "bob", "--uid", str(BOB), "--role", "guest,nurse")
    cli.check("role", "grant", "guest", "kitchen.#", "re")
    cli.check("role", "grant", "nurse", "kitchen.lamp", "rwcd")
    for path in ("kitchen.lamp", "kitchen.safe", "cellar"):
        cli.check("set", path, "1")
    expect_equal(ann.check("get", "kitchen.lamp").text, "1\n")
    ann.check("get", "cellar", status=4)
    ann.check("dump", ":n", status=4)
    ann.check("user", "list", status=4)
    ann.check("servers", status=4)
    expect_equal([row["path"] for row in ann.check("dump", ":", "-o", "jsonl").jsonl if "path" in row],
                 ["kitchen.lamp", "kitchen.safe"])
    expect_equal(len(ann.check("ls", "kitchen").lines), 2)
    ann.check("ls", status=4)
    ann.check("set", "kitchen.lamp", "2", status=4)
    ann.check("set", "kitchen.lamp", "2", "--blind", status=4)
    ann.check("del", "kitchen.lamp", status=4)
    expect_equal(cli.check("get", "kitchen.lamp").text, "1\n")
    bob.check("set", "kitchen.lamp", "3")
    expect_equal(ann.check("get", "kitchen.lamp").text, "3\n")
    bob.check("set", "kitchen.new", "3", "--blind", status=4)
    cli.check("get", "kitchen.new", status=1)
    bob.check("del", "kitchen.lamp")
    bob.check("set", ":n.users.bob", "{roles: [admin]}", "--blind", status=4)
    expect("has no right to write" in "\n".join(world.server.log()), world.server.log())
    n_put_back = cli.check("status", "-o", "json").json["put_back"]
    expect(n_put_back >= 3 if world.guard == "off" else n_put_back == 0, f"{n_put_back} were put back")


def rights_change(world):
    cli, ann = world.cli, world.user(ANN)
    cli.check("user", "add", "ann", "--uid", str(ANN), "--role", "guest")
    cli.check("role", "grant", "guest", "kitchen.#", "r")
    cli.check("set", "kitchen.lamp", "1")
    with ann.start("watch", "kitchen") as watch:
        watch.wait_for_line("synced")
        cli.check("set", "kitchen.lamp", "2")
        watch.wait_for_line("kitchen.lamp = 2")
        cli.check("user", "revoke", "ann", "guest")
        ann.check("get", "kitchen.lamp", status=4)
        cli.check("user", "grant", "ann", "guest")
        expect_equal(ann.check("get", "kitchen.lamp").text, "2\n")
        cli.check("set", "kitchen.lamp", "3")
        watch.wait_for_line("kitchen.lamp = 3")


def a_broker_is_not_this_machine(world):
    """Whoever names a broker means the servers there, and not the one that this user runs here."""
    world.cli.check("user", "add", "ann", "--uid", str(ANN), "--role", "guest")
    world.cli.check("role", "grant", "guest", "kitchen.#", "re")
    world.cli.check("set", "kitchen.lamp", "1")
    ann = world.user(ANN)
    with moat.Folder() as home, socket.socket(socket.AF_UNIX) as here:
        place = os.path.join(home, "moat-kv")
        os.chmod(home, 0o755)
        os.mkdir(place)
        here.bind(os.path.join(place, "link.sock"))
        os.chmod(os.path.join(place, "link.sock"), 0o666)
        here.listen(9)
        here.setblocking(False)
        named = {"MOAT_KV_BROKER": world.server.broker, "XDG_STATE_HOME": home}
        ann = moat.Cli(prefix=ann.prefix)
        expect_equal(ann.check("get", "kitchen.lamp", **named).text, "1\n")
        try:
            here.accept()
            raise moat.Failure("the server of this machine was asked")
        except BlockingIOError:
            pass
        ann.check("--timeout", "1", "get", "kitchen.lamp", XDG_STATE_HOME=home, status=3)
        here.accept()[0].close()  # it is there that it would have been found

moat.run_cases([
    ("users", world(users)),
    ("entries that stand for nothing", world(entries_that_are_none)),
    ("roles and their rules", world(roles)),
    ("which rule decides", world(which_rule_decides)),
    ("in the words of other brokers", world(exported)),
    ("mosquitto does what is exported for it", world(mosquitto_obeys)),
    ("nats-server does what is exported for it", world(nats_obeys)),
    ("other Unix users are strangers, unless they are users" + SKIP, with_others(strangers)),
    ("two users" + SKIP, with_others(two_users)),
    ("two users, at a broker without the guard" + SKIP, with_others(two_users, guard="off")),
    ("a change of rights takes hold for who is connected" + SKIP, with_others(rights_change)),
    ("a broker is not this machine" + SKIP, with_others(a_broker_is_not_this_machine)),
])
