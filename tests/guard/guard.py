# SPDX-License-Identifier: Apache-2.0
"""
The guard in a real mosquitto: whoever is not who they say, or does what they may not, is refused,
told so, and noted in the log; everybody else goes on undisturbed.
"""
import os
import signal
import sys
import time

import cbor2
import paho.mqtt.client as mqtt

import guard_rig as rig
from guard_rig import (ADMIN, ALL, CREATE, DELETE, READ, WRITE, Broker, Connection, Credential,
                       rights_file, update)
from moat import Folder, expect, expect_equal, run_cases, wait_until

PLUGIN = sys.argv[1]
D = rig.TOPIC_ROOT + "/d"
SVC = rig.TOPIC_ROOT + "/svc"
DENIED = 135

USERS = [("ann", ["house"]), ("bob", ["guest"]), ("tom", ["house"], True)]
RULES = [("house", ("#",), ALL & ~ADMIN, 0), ("house", ("safe", "#"), 0, ALL),
         ("house", (None, "acl", "guest"), WRITE | CREATE | DELETE, 0),
         ("house", (None, "users", "#"), ADMIN, 0),
         ("guest", ("hall", "#"), READ, 0), ("guest", ("hall", "bell"), READ | WRITE, 0)]


def broker(folder, **options):
    options.setdefault("rights", rights_file(USERS, RULES))
    return Broker(folder, PLUGIN, **options)


def bystanders(place):
    """A server that sees all, and a client whose writes must keep coming through."""
    server = Connection(place, rig.server_credential("ffff0000"))
    expect_equal(server.subscribe(D + "/#", SVC + "/query", SVC + "/birth", SVC + "/act",
                                  SVC + "/server"), [1] * 5, "what a server subscribes to")
    good = Credential(":own", seq=999)
    return server, Connection(place, good), good


def only_good_ones_came(server, own, good, n=1):
    """What the server got, when a good write after all else has come."""
    expect_equal(own.publish(D + "/good", update(good.tick(n))), 0, "a good write")
    return [topic for topic in server.until_got(D + "/good", n) if topic != D + "/good"]


# --- Connecting ----------------------------------------------------------------------------------

def who_may_connect():
    expired = Credential(valid_s=-1)
    other = Credential("ann", seq=7)
    stolen = Credential("bob", seq=8)
    strange = Credential(key=b"\1" * 32)
    with Folder() as folder, broker(folder) as place:
        for what, options in {
                "anonymous": {},
                "anonymous with our id": {"client_id": other.id},
                "an id without password": {"credential": other, "password": ""},
                "a wrong password": {"credential": other, "password": "0" * 32},
                "upper case": {"credential": other, "password": other.password.upper()},
                "expired": {"credential": expired},
                "of another key": {"credential": strange},
                "another user's": {"credential": other, "user": "bob"},
                "own from a user's": {"credential": other, "user": ":own"},
                "a stolen client id": {"credential": stolen, "client_id": other.id},
                "another seq": {"credential": other,
                                "client_id": other.id.replace(":7:", ":9:")},
                "a longer life": {"credential": expired, "client_id": expired.id[:-10] + "9999999999"},
                "a user that is off": {"credential": Credential("tom")},
                "no such user": {"credential": Credential("eve")},
                "a server with a session": {"credential": Credential(":server", seq=5)},
                "wildcards in the id": {"credential": other, "client_id": other.id + "/#"},
                "a finder": {"client_id": "moat-kv-find-0123456789abcdef"},
        }.items():
            for protocol in mqtt.MQTTv5, mqtt.MQTTv311:
                with Connection(place, protocol=protocol, **options) as one:
                    expect(not one.accepted, what, "was let in")
                    expect_equal(one.connack, DENIED if protocol == mqtt.MQTTv5 else 5, what)
        for good in Credential("ann", 3), Credential("ann", 4, valid_s=0), Credential(":own", 5), \
                rig.server_credential():
            for protocol in mqtt.MQTTv5, mqtt.MQTTv311:
                with Connection(place, good, protocol=protocol) as one:
                    expect(one.accepted, good.id, "was not let in:", one.connack)
        expect(len(place.refusals()) >= 20, place.log())


def an_expired_credential_does_not_come_back():
    with Folder() as folder, broker(folder) as place:
        soon = Credential(valid_s=2)
        with Connection(place, soon) as one:
            expect(one.accepted, one.connack)
            expect_equal(one.publish(D + "/a", update(soon.tick())), 16, "while it is good")
            wait_until("it has expired", lambda: time.time() > int(soon.id.split(":")[2]))
            place.process.signal(signal.SIGHUP)
            one.wait(lambda: one.lost is not None, "being thrown out")
        with Connection(place, soon) as again:
            expect_equal(again.connack, DENIED, "the same again")


def keys_change():
    new = b"\2" * 32
    with Folder() as folder, broker(folder) as place:
        place.tell(rights_file(USERS, RULES, keys=(new, rig.KEY)))

        def accepts(credential):
            with Connection(place, credential) as one:
                return one.accepted
        wait_until("the new key counts", lambda: accepts(Credential(key=new)))
        expect(accepts(Credential()), "the old key counts, too")
        place.tell(rights_file(USERS, RULES, keys=(new,)))
        wait_until("the old key counts no more", lambda: not accepts(Credential()))
        expect(accepts(Credential(key=new)), "the new one still does")


def a_key_counts_at_once():
    """As soon as the file is there: nobody waits for the next look at it."""
    with Folder() as folder, broker(folder) as place:
        for number in range(1, 11):
            key = bytes([number]) * 32
            place.tell(rights_file(USERS, RULES, keys=(key, rig.KEY)))
            with Connection(place, Credential(key=key)) as client:
                expect(client.accepted, "key", number, "does not count yet")


# --- Writing -------------------------------------------------------------------------------------

def bad_updates(me):
    """What is wrong -> (topic, payload, retain)."""
    mine = me.tick()
    good = update(mine)
    return {
        "another session": (D + "/a", update([me.name, me.seq + 1, 1]), False),
        "another server": (D + "/a", update(["other", me.seq, 1]), False),
        "a server itself": (D + "/a", update([me.name, 0, 1]), False),
        "hidden behind the first": (D + "/a", cbor2.dumps({0: 1, 1: 1, 2: [["srv", 1, 1], mine]}),
                                    False),
        "retained": (D + "/a", good, True),
        "empty": (D + "/a", b"", False),
        "retained and empty": (D + "/a", b"", True),
        "no CBOR": (D + "/a", b"hello", False),
        "trailing bytes": (D + "/a", good + b"\0", False),
        "a key twice": (D + "/a", b"\xa4" + good[1:] + b"\0\1", False),
        "indefinite": (D + "/a", b"\xbf" + good[1:] + b"\xff", False),
        "no tick": (D + "/a", cbor2.dumps({0: 1, 1: 1}), False),
        "a bomb": (D + "/a", b"\xa2\x02\x81\x83\x63srv\x01\x01\x01\x9a\x10\0\0\0", False),
        "too deep": (D + "/a", b"\xa2\x02\x81\x83\x63srv\x01\x01\x01" + b"\x81" * 65 + b"\0", False),
        "far in the future": (D + "/a", update(mine, tock=rig.tock_of(time.time() + 1200)), False),
        "too large": (D + "/a", update(mine, value=b"x" * 1048600), False),
        "a text shielded": (D + "/:.x", good, False),
        "an empty level": (D + "/a//b", good, False),
        "a level at the end": (D + "/a/", good, False),
        "a number spelled otherwise": (D + "/:01", good, False),
        "null not at the top": (D + "/a/$NULL", good, False),
        "null as an escape": (D + "/:n", good, False),
        "an unknown escape": (D + "/:q", good, False),
        "the servers' own": (D + "/$NULL/servers/x", good, False),
        "beside the tree": (rig.TOPIC_ROOT + "/e", good, False),
        "beside it, alike": (rig.TOPIC_ROOT + "/d2/a", good, False),
        "the root": (rig.TOPIC_ROOT, good, False),
        "a reply of a server": (SVC + "/server", cbor2.dumps({0: b"12345678"}), False),
        "a ping": (SVC + "/act", cbor2.dumps({0: "srv"}), False),
        "another's birth": (SVC + "/birth", cbor2.dumps({0: me.name, 1: me.seq + 1}), False),
        "no birth": (SVC + "/birth", b"", False),
        "no query": (SVC + "/query", cbor2.dumps({0: b"1"}), False),
        "an unknown service": (SVC + "/other", b"\xa0", False),
        "elsewhere": ("other/topic", b"x", False),
        "the broker's own": ("$SYS/broker/x", b"x", False),
        "the plugins' own": ("$CONTROL/dynamic-security/v1", b"{}", False),
    }


def bad_updates_are_refused():
    for user in ":own", "ann":
        with Folder() as folder, broker(folder) as place:
            server, own, good = bystanders(place)
            me = Credential(user, seq=41)
            with Connection(place, me) as one, Connection(
                    place, Credential(user, seq=41, name="srv2"), protocol=mqtt.MQTTv311) as old:
                for what, (topic, payload, retain) in bad_updates(me).items():
                    n = len(place.refusals())
                    expect_equal(one.publish(topic, payload, retain), DENIED, f"{user}: {what}")
                    if n < 20 and not topic.startswith("$"):
                        wait_until("it is in the log", lambda: len(place.refusals()) > n)
                    one.publish(topic, payload, retain, qos=0)
                    old.publish(topic, payload, retain)
                expect_equal(one.publish(D + "/a", update(me.tick())), 0, "a good one")
                expect_equal(one.lost, None, "it is still connected")
                expect_equal(old.lost, None, "and so is the old one")
                expect_equal(only_good_ones_came(server, own, good), [D + "/a"], user)
            server.close()
            own.close()


def what_is_right_comes_through():
    me = Credential("ann", seq=41)
    tail = ["other", 3, 9]
    with Folder() as folder, broker(folder) as place:
        server, own, good = bystanders(place)
        with Connection(place, me) as one:
            for topic, payload in {
                    D: update(me.tick()),
                    D + "/a/:2/:-1/:1.5/:t/:y00ff/:e": update(me.tick()),
                    D + "/::_b": update(me.tick(), value=None),
                    D + "/no tock": cbor2.dumps({1: 1, 2: [me.tick()]}),
                    D + "/with a tail": cbor2.dumps({0: 1, 1: 1, 2: [me.tick(), tail]}),
                    D + "/a bit ahead": update(me.tick(), tock=rig.tock_of(time.time() + 600)),
                    D + "/keys of later versions": cbor2.dumps({0: 1, 2: [me.tick()], 9: "x"}),
                    D + "/the largest": update(me.tick(), value=b"x" * 1048500),
                    SVC + "/birth": cbor2.dumps({0: me.name, 1: me.seq}),
                    SVC + "/query": cbor2.dumps({0: b"12345678", 1: [1, 1]}),
            }.items():
                expect_equal(one.publish(topic, payload), 0, topic)
                server.until_got(topic)
        with Connection(place, rig.server_credential()) as other:
            for topic, payload in {
                    D + "/of its own": update(["srv", 0, 1]),
                    D + "/a client's": update(me.tick()),
                    D + "/$NULL/servers/:y00": update(["srv", 0, 2]),
                    SVC + "/server": b"\xa0",
            }.items():
                expect_equal(other.publish(topic, payload), 0, topic)
                server.until_got(topic)
            expect_equal(other.publish(D + "/a/", update(me.tick())), DENIED, "no path, even so")
            expect_equal(other.publish(SVC + "/act", b"\xa0"), DENIED, "no ping")
        server.close()
        own.close()
        expect_equal(len(place.refusals()), 2, place.refusals())


def topic_aliases_do_not_hide():
    me = Credential("bob", seq=41)
    with Folder() as folder, broker(folder) as place:
        server, own, good = bystanders(place)
        with Connection(place, me) as one:
            expect_equal(one.publish(D + "/hall/bell", update(me.tick()), alias=1), 0, "allowed")
            expect_equal(one.publish("", update(me.tick()), alias=1), 0, "by its alias")
            expect_equal(one.publish(D + "/safe", update(me.tick()), alias=2), DENIED, "denied")
            expect_equal(one.publish("", update(me.tick()), alias=2), DENIED, "and by its alias")
        expect_equal(only_good_ones_came(server, own, good), [D + "/hall/bell"] * 2)
        server.close()
        own.close()


def wills_do_not_pass():
    """They fire when the connection is gone, and with it what it could prove."""
    me = Credential("ann", seq=41)
    with Folder() as folder, broker(folder) as place:
        server, own, good = bystanders(place)
        for topic, payload in [(D + "/forged", update(["srv", 999, 1])), (SVC + "/server", b"\xa0"),
                               (D + "/safe/x", update(me.tick())), (D + "/mine", update(me.tick()))]:
            before = len(place.refusals())
            one = Connection(place, me, will=(topic, payload, 1, False))
            expect(one.accepted, "nobody looks at a will before it fires")
            one.close(orderly=False)
            wait_until("the will is refused", lambda: len(place.refusals()) > before)
        with Connection(place, me, will=(D + "/forged", update(["srv", 999, 1]), 1, False)) as one:
            with Connection(place, me) as other:
                one.wait(lambda: one.lost is not None, "being taken over")
                expect_equal(other.publish(D + "/a", update(me.tick())), 0, "its successor")
        expect_equal(only_good_ones_came(server, own, good), [D + "/a"])
        server.close()
        own.close()


# --- By the rules --------------------------------------------------------------------------------

def users_keep_to_their_rules():
    ann, bob = Credential("ann", 41), Credential("bob", 42)
    with Folder() as folder, broker(folder) as place:
        server, own, good = bystanders(place)
        with Connection(place, ann) as a, Connection(place, bob) as b:
            expect_equal(a.publish(D + "/hall/lamp", update(ann.tick())), 0, "ann, hall")
            expect_equal(a.publish(D + "/safe/x", update(ann.tick())), DENIED, "ann, safe")
            expect_equal(a.publish(D + "/safe", update(ann.tick())), DENIED, "ann, safe itself")
            expect_equal(a.publish(D + "/$NULL/acl/x", update(ann.tick())), DENIED, "ann, rules")
            expect_equal(a.publish(D + "/$NULL/acl/guest", update(ann.tick())), DENIED,
                         "to write is not to administer")
            expect_equal(a.publish(D + "/$NULL/users/eve", update(ann.tick(), None)), 0, "to do so")
            expect_equal(b.publish(D + "/hall/lamp", update(bob.tick())), DENIED, "bob, lamp")
            expect_equal(b.publish(D + "/hall/bell", update(bob.tick())), 0, "bob, bell")
            expect_equal(b.publish(D + "/hall/bell", update(bob.tick(), None)), DENIED, "deletion")
            expect_equal(only_good_ones_came(server, own, good),
                         [D + "/hall/lamp", D + "/$NULL/users/eve", D + "/hall/bell"])
        server.close()
        own.close()


def readers_get_what_they_may():
    with Folder() as folder, broker(folder) as place:
        server, own, good = bystanders(place)
        bob = Connection(place, Credential("bob", 42))
        ann = Connection(place, Credential("ann", 43))
        expect_equal(bob.subscribe(D + "/#"), [1], "bob subscribes to everything")
        expect_equal(ann.subscribe(D + "/#", D + "/+/+", D + "/safe/x"), [1] * 3, "ann")
        for topic in "/safe/x", "/$NULL/users/ann", "/$NULL/acl/house", "/cellar", "/hall", "/hall/x":
            expect_equal(own.publish(D + topic, update(good.tick())), 0, topic)
        server.publish(SVC + "/server", b"\xa0")
        own.publish(D + "/hall/end", update(good.tick()))
        expect_equal(bob.until_got(D + "/hall/end"), [D + t for t in ("/hall", "/hall/x", "/hall/end")],
                     "bob")
        got = ann.until_got(D + "/hall/end")
        expect_equal(sorted(set(got)), [D + t for t in ("/cellar", "/hall", "/hall/end", "/hall/x")],
                     "ann")
        for one in bob, ann, server, own:
            one.close()


def retained_messages_are_filtered():
    """They can only be from before the guard."""
    with Folder() as folder:
        store = ["persistence true", f"persistence_location {folder}/"]
        plain = Broker(folder, None, lines=["allow_anonymous true", *store])
        with Connection(plain, client_id="old") as old:
            for topic in "/safe/x", "/hall/x", "/$NULL/users/ann":
                old.publish(D + topic, b"old", retain=True)
        plain.process.signal(signal.SIGTERM)
        plain.process.wait()
        with broker(folder, lines=store) as place:
            with Connection(place, Credential("bob", 42)) as bob, \
                    Connection(place, Credential(":own", 43)) as own:
                expect_equal(bob.subscribe(D + "/#"), [1])
                expect_equal(bob.until_got(D + "/hall/x"), [D + "/hall/x"], "bob")
                expect_equal(own.subscribe(D + "/#"), [1])
                own.wait(lambda: len(own.topics()) >= 2, "own")


def subscriptions():
    allowed = [D, D + "/#", D + "/+", D + "/a/+/#", D + "/$NULL/#", SVC + "/server"]
    refused = ["#", "+/#", "+/main/d/#", "moat/#", "moat/+/d/a", rig.TOPIC_ROOT, rig.TOPIC_ROOT + "/#",
               rig.TOPIC_ROOT + "/+", rig.TOPIC_ROOT + "/+/a", SVC + "/#", SVC + "/+", SVC + "/query",
               SVC + "/birth", SVC + "/act", "$share/g/" + D + "/#", "$share/g/#", "$share/g/+/+/d/a",
               "$share/g/" + SVC + "/server", "$SYS/#", "$CONTROL/#", "other/#"]
    with Folder() as folder, broker(folder) as place:
        for user in ":own", "bob":
            with Connection(place, Credential(user, 41)) as one:
                expect_equal(one.subscribe(*allowed), [1] * len(allowed), user)
                for wanted in refused:
                    expect_equal(one.subscribe(wanted), [DENIED], f"{user}: {wanted}")
        with Connection(place, rig.server_credential()) as server:
            expect_equal(server.subscribe("$share/g/" + D + "/#"), [DENIED], "a server, too")
        with Connection(place, Credential("bob", 42), protocol=mqtt.MQTTv311) as old:
            expect_equal(old.subscribe(D + "/#", "#"), [1, 128], "MQTT 3.1.1")


def changes_take_hold_at_once():
    bob = Credential("bob", 42)
    with Folder() as folder, broker(folder) as place:
        server, own, good = bystanders(place)
        with Connection(place, bob) as one:
            expect_equal(one.subscribe(D + "/#"), [1])
            expect_equal(one.publish(D + "/hall/bell", update(bob.tick())), 0, "before")
            own.publish(D + "/cellar", update(good.tick()))

            started = time.monotonic()
            place.tell(rights_file(USERS, RULES + [("guest", ("cellar",), READ | CREATE, 0)]))
            wait_until("bob may write there", lambda: one.publish(
                D + "/cellar", update(bob.tick())) == 0, 5)
            took_s = time.monotonic() - started
            own.publish(D + "/cellar", update(good.tick()))
            one.until_got(D + "/cellar", 2)

            started = time.monotonic()
            place.tell(rights_file(USERS, []))
            wait_until("bob may write nothing", lambda: one.publish(
                D + "/hall/bell", update(bob.tick())) == DENIED, 5)
            lost_s = time.monotonic() - started
            n = len(one.topics())
            own.publish(D + "/hall/x", update(good.tick()))
            server.until_got(D + "/hall/x")
            expect_equal(one.publish(D + "/hall/x", update(bob.tick())), DENIED, "still")
            expect_equal(len(one.topics()), n, "messages")
            expect_equal(one.lost, None, "it was never disconnected")
            print(f"# granted within {took_s:.2f} s, taken within {lost_s:.2f} s")
            expect(took_s < 1 and lost_s < 1, took_s, lost_s)
        server.close()
        own.close()


# --- The file ------------------------------------------------------------------------------------

def without_rights_nothing_is_allowed():
    for rights in None, b"not a file of rights at all", rights_file()[:-1]:
        with Folder() as folder, broker(folder, rights=rights) as place:
            place.wait_for_log("nothing is allowed until there are some")
            for credential in Credential(), rig.server_credential():
                with Connection(place, credential) as one:
                    expect_equal(one.connack, DENIED, "without rights")
            place.tell(rights_file(USERS, RULES))

            def accepts():
                with Connection(place, Credential()) as one:
                    return one.accepted
            wait_until("there are rights", accepts)


def bad_files_change_nothing():
    good = rights_file(USERS, RULES)
    flipped = bytearray(good)
    flipped[-2] ^= 1
    bad = {
        "cut": good[:-7], "empty": b"", "one bit": bytes(flipped), "trailing": good + b"\0",
        "later": rights_file(USERS, RULES, version=2), "no key": rights_file(USERS, RULES, keys=()),
        "root": rights_file(USERS, RULES, root="#"), "profile": rights_file(profile=2),
        "a user twice": rights_file(USERS + USERS, RULES),
        "a role's name": rights_file([("ann", ["a/b"])], RULES),
        "too many roles": rights_file([("ann", ["r"] * 17)], RULES),
        "no rights": rights_file(USERS, [("house", (), 64, 0)]),
    }
    ann = Credential("ann", 41)
    with Folder() as folder, broker(folder) as place:
        with Connection(place, ann) as one:
            for what, content in bad.items():
                n = len(place.log())
                place.tell(content)
                place.process.wait_for_line(lambda line: "those it had stay in force" in line, "err", n)
                expect_equal(one.publish(D + "/a", update(ann.tick())), 16, what)
                expect_equal(one.publish(D + "/safe/x", update(ann.tick())), DENIED, what)
            n = len(place.log())
            os.remove(place.rights)
            place.process.wait_for_line(lambda line: "stay in force" in line, "err", n)
            expect_equal(one.publish(D + "/a", update(ann.tick())), 16, "gone")
            with Connection(place, Credential("bob", 5)) as bob:
                expect(bob.accepted, "logins go on, too")


# --- Limits --------------------------------------------------------------------------------------

def a_flood_is_held_back():
    me = Credential("ann", 41)
    options = ["plugin_opt_rate 10", "plugin_opt_burst 50"]
    with Folder() as folder, broker(folder, options=options) as place:
        server, own, good = bystanders(place)
        with Connection(place, me) as one:
            started = time.monotonic()
            codes = [one.publish(D + "/a", update(me.tick())) for _ in range(400)]
            most = 50 + 10 * (time.monotonic() - started) + 1
            expect(50 <= codes.count(0) <= most, codes.count(0), most)
            expect_equal(codes.count(0) + codes.count(DENIED), 400, "codes")
            expect_equal(one.lost, None, "it is still connected")
            expect_equal(only_good_ones_came(server, own, good).count(D + "/a"), codes.count(0))
            wait_until("it may again", lambda: one.publish(D + "/a", update(me.tick())) == 0, 10)
        with Connection(place, rig.server_credential()) as other:
            expect_equal({other.publish(D + "/b", update(me.tick())) for _ in range(200)}, {0},
                         "servers are not held back")
        server.close()
        own.close()


def the_log_is_bounded_and_harmless():
    with Folder() as folder, broker(folder) as place:
        nasty = Credential("ann", 41)
        with Connection(place, nasty) as one:
            for number in range(300):
                one.publish(f"{D}/a\u2028\u202e%s%n\\'{number}", b"x")
            with Connection(place, client_id="x%n%s\u202e", user="\u2028[31m", password="x") as other:
                expect(not other.accepted, "nonsense was let in")
            wait_until("a line tells of the others", lambda: one.publish(D + "/z", b"x") and any(
                "more were not told" in line for line in place.refusals()), 10)
        refusals = place.refusals()
        expect(20 <= len(refusals) < 60, len(refusals))
        for line in refusals:
            expect(all(0x20 <= ord(c) < 0x7f for c in line), line)
            expect(nasty.password not in line, line)


# --- Others on the same broker -------------------------------------------------------------------

def others_are_left_to_the_rest():
    for others in "deny", "defer", "allow":
        with Folder() as folder:
            with open(folder + "/acl", "w", encoding="utf-8") as file:
                file.write("topic readwrite home/#\ntopic readwrite #\n")
            lines = ["allow_anonymous true"] + [f"acl_file {folder}/acl"] * (others == "defer")
            with broker(folder, options=[f"plugin_opt_others {others}"], lines=lines) as place:
                server, own, good = bystanders(place)
                with Connection(place, client_id="lamp") as lamp:
                    expect_equal(lamp.accepted, others != "deny", others)
                    if others == "deny":
                        continue
                    expect_equal(lamp.subscribe("home/#", "#", D + "/#", SVC + "/server",
                                                "$share/g/" + D + "/#"),
                                 [1, 1, DENIED, DENIED, DENIED], others)
                    expect_equal(lamp.publish("home/lamp", b"on", retain=True), 0, others)
                    expect_equal(lamp.publish(D + "/a", update(["srv", 1, 1])), DENIED, others)
                    expect_equal(lamp.publish(SVC + "/query", cbor2.dumps({0: b"12345678", 1: [1, 1]})),
                                 DENIED, others)
                    expect_equal(only_good_ones_came(server, own, good), [], others)
                    lamp.publish("home/end", b"")
                    expect(all(t.startswith("home/") for t in lamp.until_got("home/end")),
                           lamp.topics())
                with Connection(place, client_id=good.id) as thief:
                    expect(not thief.accepted, "with an id of ours and no password")
                server.close()
                own.close()


def finders_may_look_for_a_server():
    query = cbor2.dumps({0: b"12345678", 1: [1, 1]})
    with Folder() as folder, broker(folder, options=["plugin_opt_finders allow"]) as place:
        server, own, good = bystanders(place)
        with Connection(place, client_id="moat-kv-find-0123456789abcdef") as finder:
            expect(finder.accepted, finder.connack)
            expect_equal(finder.subscribe(SVC + "/server", D + "/#", SVC + "/query"),
                         [1, DENIED, DENIED])
            for topic, payload in {D + "/a": update(["srv", 1, 1]), SVC + "/server": b"\xa0",
                                   SVC + "/birth": cbor2.dumps({0: "srv", 1: 1})}.items():
                expect_equal(finder.publish(topic, payload), DENIED, topic)
            expect_equal(finder.publish(SVC + "/query", query), 0, "a query")
            server.until_got(SVC + "/query")
            server.publish(SVC + "/server", b"\xa0")
            finder.until_got(SVC + "/server")
            codes = [finder.publish(SVC + "/query", query) for _ in range(60)]
            expect(DENIED in codes, "a finder asks as often as it likes")
        with Connection(place, client_id="somebody") as other:
            expect(not other.accepted, "anybody was let in")
        server.close()
        own.close()


def wrong_options_are_refused():
    for line in "plugin_opt_rate 0", "plugin_opt_rate 1x", "plugin_opt_others maybe", "plugin_opt_nme x":
        with Folder() as folder:
            try:
                broker(folder, options=[line]).__exit__()
            except rig.moat.Failure as failure:
                expect("moat-kv-guard: plugin_opt_" in str(failure), failure)
            else:
                expect(False, line, "was taken")


run_cases([
    ("who may connect", who_may_connect),
    ("an expired credential does not come back", an_expired_credential_does_not_come_back),
    ("keys change", keys_change),
    ("a key counts at once", a_key_counts_at_once),
    ("bad updates are refused, and nobody else is disturbed", bad_updates_are_refused),
    ("what is right comes through", what_is_right_comes_through),
    ("topic aliases do not hide", topic_aliases_do_not_hide),
    ("wills do not pass", wills_do_not_pass),
    ("users keep to their rules", users_keep_to_their_rules),
    ("readers get what they may", readers_get_what_they_may),
    ("retained messages are filtered", retained_messages_are_filtered),
    ("subscriptions", subscriptions),
    ("changes take hold at once, without a disconnect", changes_take_hold_at_once),
    ("without rights nothing is allowed", without_rights_nothing_is_allowed),
    ("bad files change nothing", bad_files_change_nothing),
    ("a flood is held back", a_flood_is_held_back),
    ("the log is bounded and harmless", the_log_is_bounded_and_harmless),
    ("others are left to the rest of the configuration", others_are_left_to_the_rest),
    ("finders may look for a server", finders_may_look_for_a_server),
    ("wrong options are refused", wrong_options_are_refused),
])
