# SPDX-License-Identifier: Apache-2.0
"""
Attacks on a real mosquitto with the guard that guard.py has not: in masses, by bridges, by old versions
of MQTT, by files of rights at their limits.  docs/security.md says which case shows which threat to be met.

    attacks.py PLUGIN [LOGINS]      `make soak` has 10,000 of these
"""
import selectors
import socket
import struct
import sys
import time

import guard_rig as rig
from guard_rig import ALL, READ, WRITE, Broker, Connection, Credential, rights_file, update
from moat import Folder, expect, expect_equal, run_cases, wait_until

PLUGIN = sys.argv[1]
D = rig.TOPIC_ROOT + "/d"
DENIED = 135
REFUSED = b"\x20\x02\x00\x05"  # MQTT 3.1.1: not authorised
ACCEPTED = b"\x20\x02\x00\x00"

USERS = [("ann", ["house"]), ("bob", ["guest"])]
RULES = [("house", ("#",), ALL, 0), ("guest", ("hall", "#"), READ | WRITE, 0)]

N_LOGINS = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
AT_ONCE = 200


def broker(folder, **options):
    options.setdefault("rights", rights_file(USERS, RULES))
    return Broker(folder, PLUGIN, **options)


def words(text):
    return struct.pack(">H", len(text)) + text.encode()


def connect_packet(client_id, user=None, password=None, protocol="MQTT", level=4):
    flags = 2 | (user is not None) << 7 | (password is not None) << 6
    body = words(protocol) + bytes([level, flags]) + b"\0\x3c" + words(client_id)
    body += b"".join(words(part) for part in (user, password) if part is not None)
    length, head = len(body), b"\x10"
    while length > 127:
        head, length = head + bytes([length % 128 | 128]), length // 128
    return head + bytes([length]) + body


# --- Logins --------------------------------------------------------------------------------------

def bad_packets():
    """One after another: users that there are and are not, no users, servers; passwords nearly right."""
    for number in range(N_LOGINS):
        user = ("ann", "bob", "eve", ":own", ":server")[number % 5]
        credential = Credential(user, 0 if user == ":server" else number + 1)
        last = int(credential.password[-1], 16)
        near = credential.password[:-1] + f"{(last + 1 + number % 15) % 16:x}"
        yield connect_packet(credential.id, user, near)


def answers_to(port, packets):
    """What each connection is told: AT_ONCE of them at a time."""
    answers = []
    with selectors.DefaultSelector() as waiting:
        packets = iter(packets)
        more = True
        while more or waiting.get_map():
            while more and len(waiting.get_map()) < AT_ONCE:
                packet = next(packets, None)
                more = packet is not None
                if more:
                    one = socket.create_connection(("127.0.0.1", port))
                    one.sendall(packet)
                    waiting.register(one, selectors.EVENT_READ)
            for key, _ in waiting.select():
                answers.append(key.fileobj.recv(16))
                waiting.unregister(key.fileobj)
                key.fileobj.close()
    return answers


def thousands_of_bad_logins():
    with Folder() as folder, broker(folder) as place:
        good = Credential("ann", 1)
        with Connection(place, good) as one, Connection(place, Credential(":own", 2)) as other:
            expect_equal(other.subscribe(D + "/#"), [1])
            started = time.monotonic()
            answers = answers_to(place.port, bad_packets())
            took_s = time.monotonic() - started
            expect_equal({answer: answers.count(answer) for answer in set(answers)},
                         {REFUSED: N_LOGINS}, "answers")
            expect_equal(one.publish(D + "/a", update(good.tick())), 0, "who was there before")
            other.until_got(D + "/a")
            expect_equal((one.lost, other.lost), (None, None), "the others")
        with Connection(place, Credential("bob", 3)) as late:
            expect(late.accepted, "who comes afterwards, with a right password")
        def lines():
            return [line for line in place.refusals() if "wrong password" in line]
        wait_until("20 lines are read", lambda: len(lines()) >= 20)
        expect(len(lines()) <= 22 + took_s, len(lines()), "lines in", took_s)
        print(f"# {N_LOGINS} in {took_s:.1f} s, {len(lines())} lines in the log")


def old_versions_of_mqtt():
    """Version 3 and 3.1.1 are asked the same; what is no version of MQTT gets nothing."""
    with Folder() as folder, broker(folder) as place:
        good = Credential("ann", 1)
        for protocol, level in ("MQIsdp", 3), ("MQTT", 4):
            def told(client_id, user=None, password=None):
                return answers_to(place.port, [connect_packet(
                    client_id, user, password, protocol, level)])[0]
            expect_equal(told(good.id, "ann", good.password), ACCEPTED, protocol)
            expect_equal(told(good.id), REFUSED, "without a user")
            expect_equal(told(good.id, "ann"), REFUSED, "without a password")
            expect_equal(told(good.id, "bob", good.password), REFUSED, "another user")
            expect_equal(told(good.id, "ann", ""), REFUSED, "an empty password")
            expect_equal(told("x", "ann", good.password), REFUSED, "another client id")
        for protocol, level in ("MQTT", 2), ("MQTT", 9), ("MQXX", 4):
            told = answers_to(place.port, [connect_packet(good.id, "ann", good.password, protocol, level)])
            expect(told[0][3:4] != b"\0", protocol, level, told)


# --- What others have said -----------------------------------------------------------------------

def what_was_heard_cannot_be_said_again():
    """Who may read an update has all of its bytes; they are good for its writer's connection only."""
    ann, bob = Credential("ann", 41), Credential("bob", 42)
    with Folder() as folder, broker(folder) as place:
        with Connection(place, ann) as a, Connection(place, bob) as b, \
                Connection(place, rig.server_credential()) as server:
            expect_equal(server.subscribe(D + "/#"), [1])
            expect_equal(b.subscribe(D + "/#"), [1])
            expect_equal(a.publish(D + "/hall/lamp", update(ann.tick())), 0, "the first time")
            b.until_got(D + "/hall/lamp")
            topic, payload = b.messages[0]
            expect_equal(b.publish(topic, payload), DENIED, "by another")
            expect_equal(b.publish(D + "/hall/door", payload), DENIED, "in another place")
            expect_equal(b.publish(D + "/hall/end", update(bob.tick())), 0, "bob's own")
            expect_equal(server.until_got(D + "/hall/end"), [D + "/hall/lamp", D + "/hall/end"])


# --- Bridges -------------------------------------------------------------------------------------

def far_broker(folder, place, credential):
    """A broker without a guard, with a bridge that logs in at @place's as @credential, if at all."""
    login = [] if credential is None else [
        f"remote_clientid {credential.id}", f"remote_username {credential.user}",
        f"remote_password {credential.password}"]
    return Broker(folder, None, lines=[
        "allow_anonymous true", "connection far", f"address 127.0.0.1:{place.port}",
        f"topic {D}/# both 1", "notifications false", "restart_timeout 1", *login])


def until_carried(far, wanted, one, topic):
    """Publishes again until it comes: nobody says when a bridge is up."""
    wait_until("the bridge carries " + topic,
               lambda: far.publish(topic, one) >= 0 and topic in wanted.topics())


def a_bridge_is_a_client():
    bob = Credential("bob", 42)
    own = Credential(":own", 43)
    with Folder() as folder, broker(folder) as place, Folder() as other, \
            far_broker(other, place, bob) as far:
        with Connection(place, own) as near, Connection(far, client_id="x") as there:
            expect_equal(near.subscribe(D + "/#"), [1])
            expect_equal(there.subscribe(D + "/#"), [1])
            until_carried(there, near, update(bob.tick()), D + "/hall/bell")
            for topic, payload in ((D + "/hall/x", update(["srv", 99, 1])),
                                   (D + "/cellar", update(bob.tick())),
                                   (D + "/$NULL/users/bob", update(bob.tick())),
                                   (D + "/hall/:.x", update(bob.tick()))):
                before = len(place.refusals())
                there.publish(topic, payload)
                wait_until("the log says so", lambda: len(place.refusals()) > before)
            for topic in "/$NULL/users/ann", "/attic", "/hall/y":
                expect_equal(near.publish(D + topic, update(own.tick())), 0, topic)
            got = there.until_got(D + "/hall/y")
            expect(D + "/$NULL/users/ann" not in got and D + "/attic" not in got, got)
            there.publish(D + "/hall/end", update(bob.tick()))
            got = near.until_got(D + "/hall/end")
            expect_equal(sorted(set(got)), [D + t for t in (
                "/$NULL/users/ann", "/attic", "/hall/bell", "/hall/end", "/hall/y")], "of all, its own")


def a_bridge_without_credentials():
    own = Credential(":own", 43)
    with Folder() as folder, broker(folder) as place, Folder() as other, \
            far_broker(other, place, None) as far:
        with Connection(place, own) as near, Connection(far, client_id="x") as there:
            expect_equal(near.subscribe(D + "/#"), [1])
            there.publish(D + "/hall/x", update(own.tick()))
            wait_until("the bridge is refused",
                       lambda: any(".far'" in line for line in place.refusals()))
            expect_equal(near.publish(D + "/end", update(own.tick())), 0)
            expect_equal(near.until_got(D + "/end"), [D + "/end"], "what came")


# --- Rights --------------------------------------------------------------------------------------

def the_largest_files():
    """Where there is one too many, it goes by what it had."""
    users = [("ann", ["r0"])] + [(f"u{n}", ["r1"]) for n in range(4095)]
    rules = [(f"r{n % 1024}", ("a", str(n)), READ, 0) for n in range(16383)]
    rules.append(("r0", ("hall",), WRITE, 0))
    ann = Credential("ann", 1)
    with Folder() as folder, broker(folder, rights=rights_file([("ann", ["r"])])) as place:
        with Connection(place, ann) as one:
            expect_equal(one.publish(D + "/hall", update(ann.tick())), DENIED, "before")
            for what, file in {
                    "a user": rights_file(users + [("v", [])], rules),
                    "a rule": rights_file(users, rules + [("r0", ("hall",), WRITE, 0)])}.items():
                n = len(place.log())
                place.tell(file)
                place.process.wait_for_line(lambda line: "those it had stay in force" in line, "err", n)
                expect_equal(one.publish(D + "/hall", update(ann.tick())), DENIED, what)
            place.tell(rights_file(users, rules))
            wait_until("the largest one holds",
                       lambda: one.publish(D + "/hall", update(ann.tick())) in (0, 16))
            expect_equal(one.publish(D + "/cellar", update(ann.tick())), DENIED, "and nothing else")


run_cases([
    ("thousands of bad logins", thousands_of_bad_logins),
    ("old versions of MQTT get no further", old_versions_of_mqtt),
    ("what was heard cannot be said again", what_was_heard_cannot_be_said_again),
    ("a bridge is a client like any other", a_bridge_is_a_client),
    ("a bridge without credentials is refused", a_bridge_without_credentials),
    ("the largest files, and larger ones", the_largest_files),
])
