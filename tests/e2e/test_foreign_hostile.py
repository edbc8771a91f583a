# SPDX-License-Identifier: Apache-2.0
"""What no client would send: the server says so or closes the link, stays up, and keeps its tree.

    test_foreign_hostile.py SOURCE_ROOT MOAT_KVD
"""
import json
import struct
import sys
from pathlib import Path

ROOT = Path(sys.argv[1])
sys.path[:0] = [str(ROOT / "tests/house"), str(ROOT / "tests/e2e/foreign")]

import wire
from moatkv_foreign import Broker, Loop
from rig import *
from tap import Report
from wire import CODES, Entry

PROGRAM = sys.argv[2]


class Bystander:
    """A client that must not notice anything: it goes on, and the tree stays as it was."""

    def __init__(self, server):
        self.loop = Loop()
        self.client = ready_client(self.loop, server)
        self.watch = synced_watch(self.loop, self.client, [])
        self.before = self.digest()
        self.link = self.client.link
        self.n = 0

    def digest(self):
        answer = answered(self.loop, self.client.check([])).answer
        return answer["count"], answer["digest"]

    def turn(self):
        """Between hostilities."""
        self.n += 1
        if self.n % 50 == 0:
            answered(self.loop, self.client.request(wire.PING))

    def end(self):
        equal(self.digest(), self.before, "the tree")
        agrees(self.loop, self.watch)
        write = self.client.write(["bystander"], self.n)
        settle(self.loop, write)
        equal(write.state, "acked", "a write")
        equal((self.client.errors, self.client.refusals), ([], []), "what was said")
        equal(self.client.link is self.link, True, "the link is the same")
        self.client.close()


def variants(frame):
    """The frame with each single bit flipped, its length included, and each prefix of the CBOR."""
    whole = struct.pack(">I", len(frame)) + frame
    for bit in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 0x80 >> bit % 8
        yield bytes(flipped)
    for n in range(len(frame)):
        yield struct.pack(">I", n) + frame[:n]


def session_frames(session):
    """A valid frame of each kind that a client may send once it has a session."""
    return {
        "bye": (wire.BYE, {2: 0}),
        "void": (wire.VOID, {2: 1, 3: 2}),
        "read": (wire.READ, {1: 1, 2: ["kitchen", 2, True], 3: 0, 4: 64, 5: 1, 7: 4}),
        "read since": (wire.READ, {1: 1, 2: [], 6: [2**63, 5]}),
        "list": (wire.LIST, {1: 1, 2: ["a", None, b"\0", -1.5]}),
        "check": (wire.CHECK, {1: 2**63 - 1, 2: [2**64 - 1]}),
        "status": (wire.STATUS, {1: 7}),
        "ping": (wire.PING, {1: 7}),
        "credit": (wire.CREDIT, {1: 7, 2: 1}),
        "cancel": (wire.CANCEL, {1: 7}),
        "error": (wire.ERROR, {2: -1, 3: "why"}),
    }


def sent_on_a_fresh_link(server, before, data):
    """Sends, ends the stream, and reads what comes until the server ends it, too."""
    with RawLink(server.address) as link:
        before(link)
        link.send_bytes(data)
        link.half_close()
        return link.rest()


def broken_frames(server, what):
    bystander = Bystander(server)
    if what == "hello":
        before = lambda link: None
        frames = [wire.encode_frame(wire.HELLO, {2: (1, 1), 3: ["a feature"], 4: "raw"})]
    elif what == "auth":
        before = RawLink.hello
        resume = {2: "EXTERNAL", 3: ("srv", 5), 4: b"token"}
        frames = [wire.encode_frame(wire.AUTH, {2: "EXTERNAL"}), wire.encode_frame(wire.AUTH, resume)]
    else:
        before = RawLink.open
        kind, fields = session_frames(None)[what]
        frames = [wire.encode_frame(kind, fields)]
    for frame in frames:
        for data in variants(frame):
            sent_on_a_fresh_link(server, before, data)
            bystander.turn()
    bystander.end()


def one_error(server, wanted, before, data, is_closed=True):
    """A finding unless the answer is this error, and the link closed."""
    with RawLink(server.address) as link:
        before(link)
        link.send_bytes(data)
        frames = link.rest() if is_closed else [link.recv()]
    codes = [fields.get("code") for kind, fields in frames if kind == wire.ERROR]
    if codes != [CODES[wanted]]:
        return [f"{data[:40].hex()}: {frames}, not {wanted}"]
    return []


def framed(kind, fields):
    frame = wire.encode_frame(kind, fields)
    return struct.pack(">I", len(frame)) + frame


def refused_frames(server):
    """Exactly this code, and the link is closed."""
    bystander = Bystander(server)
    nothing = lambda link: link.recv()
    findings = []
    empty = struct.pack(">I", 0)
    too_long = struct.pack(">I", wire.FRAME_MAX + 1)
    many = {n: 0 for n in range(100, 131)}
    for wanted, before, data in (
        ("MALFORMED", nothing, empty),
        ("TOO_LARGE", nothing, too_long),
        ("TOO_LARGE", RawLink.open, too_long + bytes(100)),
        ("UNEXPECTED", nothing, framed(wire.AUTH, {2: "EXTERNAL"})),
        ("UNEXPECTED", nothing, framed(wire.PING, {1: 1})),
        ("UNEXPECTED", RawLink.hello, framed(wire.PING, {1: 1})),
        ("UNEXPECTED", RawLink.hello, framed(wire.HELLO, {2: (1, 1), 3: [], 4: ""})),
        ("UNEXPECTED", RawLink.open, framed(wire.HELLO, {2: (1, 1), 3: [], 4: ""})),
        ("UNEXPECTED", RawLink.open, framed(wire.AUTH, {2: "EXTERNAL"})),
        ("UNEXPECTED", RawLink.open, framed(wire.BIRTH, {})),
        ("UNEXPECTED", RawLink.open, framed(wire.ACK, {2: 1, 3: 1, 4: 1})),
        ("UNEXPECTED", RawLink.open, framed(wire.REPEAT, {2: 1, 3: 1})),
        ("UNEXPECTED", RawLink.open, framed(wire.PONG, {1: 1, 2: 1})),
        ("NOT_AUTHORISED", RawLink.hello, framed(wire.AUTH, {2: "ANONYMOUS"})),
        ("NOT_AUTHORISED", RawLink.hello, framed(wire.AUTH, {2: "PLAIN"})),
        ("MALFORMED", RawLink.open, framed(wire.READ, {1: 1})),
        ("MALFORMED", RawLink.open, framed(wire.READ, {2: []})),
        ("BAD_NUMBER", RawLink.open, framed(wire.READ, {1: 1, 2: [], 5: 4})),
        ("BAD_NUMBER", RawLink.open, framed(wire.READ, {1: 1, 2: [], 7: 0})),
        ("BAD_NUMBER", RawLink.open, framed(wire.READ, {1: 1, 2: [], 3: 65})),
        ("BAD_NUMBER", RawLink.open, framed(wire.PING, {1: 0})),
        ("BAD_NUMBER", RawLink.open, framed(wire.PING, {1: 2**63})),
        ("TOO_MANY", RawLink.open, framed(wire.PING, {1: 1, **many})),
        ("BAD_NUMBER", RawLink.open, framed(wire.VOID, {2: 2, 3: 1})),
        ("TRAILING", RawLink.open, struct.pack(">I", 7) + bytes.fromhex("a2001818010100")),
    ):
        findings += one_error(server, wanted, before, data)
    bystander.end()
    return findings


def refused_paths(server):
    """The request is answered by an error with its id, and the link goes on."""
    findings = []
    with RawLink(server.address) as link:
        link.open()
        for kind in (wire.READ, wire.LIST, wire.CHECK):
            for path, wanted in (
                (["x" * 1022], {"PATH_TOO_LONG"}),
                ([1] * 65, {"PATH_TOO_LONG"}),
                ([[]], {"BAD_ELEMENT"}),
                ([{}], {"BAD_ELEMENT"}),
                ([float("inf")], {"BAD_ELEMENT", "BAD_NUMBER"}),
                ([-(2**63) - 1], {"BAD_ELEMENT", "BAD_NUMBER"}),
            ):
                link.send(kind, {1: 77, 2: path})
                answer, fields = link.recv()
                found = wire.NAMES.get(fields.get("code"))
                if answer != wire.ERROR or fields.get("id") != 77 or found not in wanted:
                    findings.append(f"{kind} {str(path)[:20]}: {answer} {fields}")
        for kind, more in ((wire.CREDIT, {2: 1}), (wire.CANCEL, {})):
            link.send(kind, {1: 78, **more})
        link.send(wire.PING, {1: 79})
        equal(link.recv()[1]["id"], 79, "what follows credit and cancel for nothing")
    return findings


def unknown_kinds(server):
    """Ignored without id; UNKNOWN_REQUEST with one, and the link goes on."""
    findings = []
    with RawLink(server.address) as link:
        link.open()
        for kind in (0, 19, 39, 60, 99, 2**64 - 1):
            link.send(kind, {2: "anything"})
            link.send(kind, {1: 77, 2: [1, {}]})
            answer = link.recv()
            if answer[0] != wire.ERROR or answer[1]["code"] != CODES["UNKNOWN_REQUEST"]:
                findings.append(f"kind {kind}: {answer}")
            elif answer[1]["id"] != 77:
                findings.append(f"kind {kind}: id {answer[1]['id']}")
        link.send(wire.PING, {1: 5, 2: "unknown key", 2**64 - 1: {}})
        equal(link.recv()[0], wire.PONG, "the kind")
    return findings


def too_many_requests(server):
    loop = Loop()
    client = ready_client(loop, server)
    settle(loop, *(client.write(["busy", n], n) for n in range(600)))
    waiting = [client.read(["busy"], credit=1, auto_credit=False) for _ in range(16)]
    loop.until(lambda: all(one.n_pages == 1 for one in waiting), DEADLINE_S, "a page each")
    for kind, path, wanted in (
        (wire.READ, [], CODES["BUSY"]),
        (wire.LIST, [], CODES["BUSY"]),
        (wire.CHECK, [], None),
        (wire.STATUS, None, None),
    ):
        equal(ask(loop, client.request(kind, path)).error, wanted, f"the answer to kind {kind}")
    cancelled = waiting.pop(3)
    client.cancel(cancelled)
    equal(ask(loop, cancelled).error, CODES["CANCELLED"], "a request cancelled")
    answered(loop, client.read(["busy"], depths=(0, 0)))
    for request in waiting:
        client.credit(request, 2**32 - 1)
        answered(loop, request)
        equal(len(request.rows), 600, "the rows")
    client.cancel(waiting[0])
    waiting[0].done = False
    client.cancel(waiting[0])  # of a stream that has ended: no answer, or an error
    client.credit(waiting[1], 5)
    answered(loop, client.request(wire.PING))
    equal(client.errors, [], "errors of the link")
    settle(loop, *(client.delete(["busy", n], replaces=[]) for n in range(600)))
    client.close()


def an_id_in_use(server):
    loop = Loop()
    client = ready_client(loop, server)
    settle(loop, *(client.write(["in use", n], n) for n in range(600)))
    with RawLink(server.address) as link:
        link.open()
        link.send(wire.READ, {1: 9, 2: ["in use"], 7: 1})
        equal(link.recv()[0], wire.DATA, "the kind")
        link.send(wire.LIST, {1: 9, 2: []})
        kind, fields = link.recv()
        equal((kind, fields["id"], fields.get("code")), (wire.ERROR, 9, CODES["UNEXPECTED"]), "answer")
        link.send(wire.CREDIT, {1: 9, 2: 9})
        equal([link.recv()[0] for _ in range(3)], [wire.DATA, wire.DATA, wire.END], "what follows")
    settle(loop, *(client.delete(["in use", n], replaces=[]) for n in range(600)))
    client.close()


def stalled_reader(server):
    """A client that asks for more than a link may have waiting, and reads late, holds up nobody."""
    loop = Loop()
    client = ready_client(loop, server)
    big = wire.Raw(b"\x5a" + (10**6).to_bytes(4, "big") + bytes(10**6))
    writes = [client.write(["stalled", n], big) for n in range(20)]
    settle(loop, *writes)
    with RawLink(server.address) as link:
        link.open()
        for n in range(1, 17):
            link.send(wire.READ, {1: n, 2: ["stalled"], 7: 2**32 - 1})
        for n in range(50):
            settle(loop, client.write(["stalled", "other"], n))
        answered(loop, client.read(["stalled"]))
        n_rows = n_ends = 0
        while n_ends < 16:
            kind, fields = link.recv()
            n_rows += len(fields.get("rows", []))
            n_ends += kind == wire.END
        if n_rows < 16 * 20:
            return [f"only {n_rows} rows of {16 * 20}"]
    settle(loop, *(client.delete(w.path, replaces=[w.entry]) for w in writes))
    client.close()


# --- By MQTT ---------------------------------------------------------------------------------


def broken_updates(server):
    """Each bit flipped and each prefix of an update, on a path each: kept is what is valid."""
    bystander = Bystander(server)
    loop = Loop()
    client = ready_client(loop, server)
    valid = Entry(0x01020304, bytes.fromhex("a26161f93c00626162820118ff"), [("srv", 3, 7), ("b", 300, 1)])
    payload = valid.encode()
    tried = {}
    for n in range(len(payload)):
        tried[n] = payload[:n]
    for bit in range(8 * len(payload)):
        flipped = bytearray(payload)
        flipped[bit // 8] ^= 0x80 >> bit % 8
        tried[1000 + bit] = bytes(flipped)
    wanted = {}
    for n, data in tried.items():
        client.mqtt.publish(wire.to_topic(client.root, ["broken", n]), data, 1)
        try:
            entry = wire.read_update(data)
            if entry.tock is not None:
                wanted[wire.path_key(["broken", n])] = entry
        except wire.Refused:
            pass
        bystander.turn()
    settle(loop, client.write(["broken", "last"], 1))
    found = entries_below(loop, client, ["broken"], tombstones=True)
    del found[wire.path_key(["broken", "last"])]
    findings = []
    for key in set(found) | set(wanted):
        if found.get(key) != wanted.get(key):
            findings.append(f"{key}: {found.get(key)}, not {wanted.get(key)}")
    print(f"# {len(wanted)} of {len(tried)} are valid")
    bystander.before = bystander.digest()
    bystander.end()
    client.close()
    return findings


def topics_that_do_not_count(server):
    """What is not canonical, and what is elsewhere below the root, is nobody's."""
    bystander = Bystander(server)
    loop = Loop()
    client = ready_client(loop, server)
    outside = Broker(loop, server.broker)
    loop.until(lambda: outside.is_up, DEADLINE_S, "the broker")
    vectors = json.loads((ROOT / "tests/vectors/paths.json").read_text())
    payload = Entry(1, b"\1", [("else", 1, 1)]).encode()
    n_sent = 0
    for topic in vectors["plain_refused"]:
        if topic.startswith("moat/main/d") and is_publishable(topic):
            outside.publish(topic, payload, 1)
            n_sent += 1
    for rest in ("/", "/x", "/d2/x", "/D/x", "/d/x/", "/d//x", "/d/:01", "/d/:1.50", "/d/:y0", "/d/a:b"):
        outside.publish("moat/main" + rest, payload, 1)
    for name in ("birth", "query", "server", "nobody"):
        for data in (b"", b"\xa0", b"\xff", payload, b"\xa2\x00\x61a\x01\x01", bytes(5000)):
            outside.publish("moat/main/svc/" + name, data, 1)
    outside.publish("moat/main/svc/birth", wire.encode_birth("srv", 12345), 1)
    outside.publish("moat/main/svc/birth", wire.encode_birth("other", 1), 1)
    print(f"# {n_sent} topics of the vectors")
    done = []
    outside.on_message = lambda topic, data, retained: done.append(data)
    outside.subscribe("moat/main/svc/last", lambda: outside.publish("moat/main/svc/last", b"x", 1))
    loop.until(lambda: done, DEADLINE_S, "the last one")
    bystander.end()
    outside.close()
    client.close()


def is_publishable(topic):
    """Brokers close the connection at others."""
    return not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c in "+#" for c in topic) and not any(
        wire.is_always_hex(c) for c in topic
    )


def far_counters(server):
    """A counter out of the blue: the gap before it is asked for, all of it void, and over."""
    loop = Loop()
    client = ready_client(loop, server)
    client.auto_repeat = False
    client._repeat = lambda first, _: client.link.send(wire.VOID, {2: first, 3: client.counter - 1})
    client.counter = 2**62
    write = client.write(["far"], 1)
    settle(loop, write)
    equal(client.repeats and client.repeats[0][0], 1, "the first counter asked for")
    client.counter = 2**63 - 2
    write = client.write(["far"], 2)
    settle(loop, write)
    equal((write.counter, write.state), (2**63 - 1, "acked"), "the last counter of all")
    client.close()


def many_gaps(server):
    """Every second counter is missing, backwards."""
    loop = Loop()
    client = ready_client(loop, server)
    client.auto_repeat = False
    writes = [client.prepare(["gaps", n % 10], n) for n in range(400)]
    for write in reversed(writes[1::2]):
        client._publish(write)
    settle(loop, *writes)
    equal({w.state for w in writes}, {"acked"}, "the states")
    newest = {wire.path_key(w.path): w.entry.order() for w in writes}
    found = entries_below(loop, client, ["gaps"])
    equal({key: entry.order() for key, entry in found.items()}, newest, "what is stored")
    client.close()


def main():
    report = Report()
    cases = Cases(report)
    server = Server(PROGRAM, "--guard", "off")  # which would keep off what the server is to stand
    for what in ("hello", "auth", *session_frames(None)):
        cases.run(f"broken frames: {what}", broken_frames, server, what)
    for case in (
        refused_frames, refused_paths, unknown_kinds, too_many_requests, an_id_in_use, stalled_reader,
        broken_updates, topics_that_do_not_count, far_counters, many_gaps,
    ):
        cases.run(case.__name__.replace("_", " "), case, server)
    cases.run("the server ends in order", server.stop)
    report.end()


main()
