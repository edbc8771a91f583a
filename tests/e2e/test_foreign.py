# SPDX-License-Identifier: Apache-2.0
"""A client written from docs/protocol.md alone writes and reads at a real server.

    test_foreign.py SOURCE_ROOT MOAT_KVD
"""
import sys
import threading
import traceback
from pathlib import Path

ROOT = Path(sys.argv[1])
sys.path[:0] = [str(ROOT / "tests/house"), str(ROOT / "tests/e2e/foreign")]

import wire
from moatkv_foreign import Broker, Loop
from rig import *
from tap import Report
from wire import CODES, Raw

PROGRAM = sys.argv[2]



def kept_is(found, write):
    """The server keeps this update. Its tick list may have grown by what it replaced."""
    kept = (found.tock, found.value, found.dot)
    equal(kept, (write.entry.tock, write.entry.value, write.entry.dot), "what is kept")


# --- Connecting ------------------------------------------------------------------------------


def connects(server, **options):
    loop = Loop()
    client = ready_client(loop, None, **options) if "broker" in options else ready_client(
        loop, options.pop("address"), **options
    )
    write = client.write(["connects"], "yes")
    settle(loop, write)
    equal(write.state, "acked")
    kept_is(entry_at(loop, client, ["connects"]), write)
    client.close()


def falls_to_the_broker(server):
    """The known address does not answer, so the broker is asked for another."""
    loop = Loop()
    client = ready_client(loop, f"unix:{server.dir}/nobody", broker=server.broker)
    equal(client.found[:1], [server.address], "the addresses found")
    client.close()


def no_version_in_common(server):
    findings = []
    for versions in ((2, 2), (2, 2**32 - 1)):
        with RawLink(server.address) as link:
            link.recv()
            link.send(wire.HELLO, {2: versions, 3: [], 4: "from the future"})
            frames = link.rest()
            codes = [fields.get("code") for kind, fields in frames if kind == wire.ERROR]
            if codes != [CODES["NO_VERSION"]]:
                findings.append(f"{versions}: {frames}")
            elif not all(str(version) in frames[0][1]["text"] for version in (1, *versions)):
                findings.append(f"not both ranges are named: {frames[0][1]['text']}")
    with RawLink(server.address) as link:
        link.recv()
        link.send(wire.HELLO, {2: (1, 7), 3: ["warp"], 4: "from the future"})
        link.send(wire.AUTH, {2: "EXTERNAL"})
        equal(link.recv()[0], wire.SESSION, "what follows versions 1 to 7")
    return findings


# --- Writing ---------------------------------------------------------------------------------


def values_are_kept_as_bytes(server):
    """What cbor2 would write otherwise, or not read at all, comes back byte for byte."""
    loop = Loop()
    client = ready_client(loop, server)
    raw = [
        "f6", "1800", "1b0000000000000001", "9f01ff", "bf6161f5ff", "7f61616162ff", "5f41004101ff",
        "f97e01", "fb7ff8000000000001", "c11a514b67b0", "d9d9f7a0", "f8ff", "f7", "e0", "a2616101616102",
        "3bffffffffffffffff", "c249010000000000000000", "9b0000000000000000",
    ]
    writes = [client.write(["bytes", at], Raw(bytes.fromhex(one))) for at, one in enumerate(raw)]
    settle(loop, *writes)
    found = entries_below(loop, client, ["bytes"])
    equal([found[wire.path_key(w.path)] for w in writes], [w.entry for w in writes], "what is read")
    client.close()


def overwrites(server):
    loop = Loop()
    ann, bob = ready_client(loop, server), ready_client(loop, server)
    path = ["overwrites"]
    first = ann.write(path, "first")
    settle(loop, first)
    second = bob.write(path, "second", replaces=[first.entry])
    settle(loop, second)
    equal(second.entry.ticks[1:], [first.entry.dot], "the ticks")
    third = ann.write(path, "third", replaces=[])  # its own stream's counter covers nothing of bob's
    settle(loop, third)
    loop.until(lambda: bob.conflicts, DEADLINE_S, "a conflict")
    expected = {"path": path, "class": 0, "loser": second.entry, "winner": third.entry}
    equal(bob.conflicts, [expected], "bob's conflicts")
    equal(ann.conflicts, [], "ann's conflicts")

    late = bob.write(path, "late", when=1, replaces=[])
    settle(loop, late)
    loop.until(lambda: len(bob.conflicts) == 2, DEADLINE_S, "the conflict of a late one")
    kept = entry_at(loop, ann, path)
    kept_is(kept, third)
    equal(kept.ticks, [third.entry.dot, second.entry.dot], "the ticks kept")
    expected = {"path": path, "class": 0, "loser": late.entry, "winner": kept}
    equal(bob.conflicts[1], expected, "bob's second conflict")
    gone = ann.delete(path, replaces=[])
    settle(loop, gone)
    equal((len(ann.conflicts), len(bob.conflicts)), (0, 2), "conflicts after one's own stream")
    for client in (ann, bob):
        client.close()


def keeps_the_dot_it_replaced(server):
    """The loser's dot goes into the tick list of the winner, behind its own; a sixth falls off."""
    loop = Loop()
    ann, bob = ready_client(loop, server), ready_client(loop, server)
    path = ["ticks kept"]
    else_ = [("else", n, n) for n in (1, 2, 3, 4)]
    first = ann.write(path, 1, replaces=[])
    settle(loop, first)
    second = bob.write(path, 2, replaces=[wire.Entry(1, None, else_)])
    settle(loop, second)
    equal(entry_at(loop, ann, path).ticks, [second.entry.dot, first.entry.dot, *else_[:3]], "ticks")
    third = ann.write(path, 3, replaces=[second.entry])
    settle(loop, third)
    equal(entry_at(loop, ann, path).ticks, third.entry.ticks, "the ticks of one that covers")
    fourth = bob.write(path, 4, replaces=[wire.Entry(1, None, [first.entry.dot, *else_[:2]])])
    settle(loop, fourth)  # it knows an older tick of ann's
    wanted = [fourth.entry.dot, third.entry.dot, *else_[:3]]  # the last is from the loser's
    equal(entry_at(loop, ann, path).ticks, wanted, "ticks with a newer one of the same stream")
    for client in (ann, bob):
        client.close()


def tells_what_was_lost(server):
    """The record of conflicts, by request and as it grows; each with the id that section 6 says."""
    loop = Loop()
    ann, bob = ready_client(loop, server), ready_client(loop, server)
    path = ["lost", 1]
    following = bob.lost(["lost"], follow=True)
    loop.until(lambda: following.n_pages == 1, DEADLINE_S, "the present")
    equal(following.rows, [], "what is lost before")
    first = ann.write(path, {"a": [1]}, replaces=[])
    settle(loop, first)
    second = bob.delete(path, replaces=[])
    settle(loop, second)
    elsewhere = bob.write(["not lost"], 1, replaces=[])
    settle(loop, elsewhere)
    settle(loop, ann.write(["not lost"], 2, replaces=[]))
    loop.until(lambda: following.rows, DEADLINE_S, "what was lost")
    name, found, class_, when, more, winner, loser = following.rows[0]
    half = first.entry.digest(wire.path_key(path), ann.session["digest_key"])[0]
    equal((name, found, class_, more, loser), (half, path, 0, 0, first.entry), "the conflict")
    equal((winner.tock, winner.dot, winner.value), (second.entry.tock, second.entry.dot, None), "winner")
    if when < loser.tock:
        return ["it was found before it was written"]
    equal(answered(loop, ann.lost(path)).rows, following.rows, "the same by request")
    equal(answered(loop, ann.lost(path)).answer["count"], 1, "the count at the end")
    equal(answered(loop, ann.lost(["lost", 2])).rows, [], "what was lost at another path")
    everything = answered(loop, ann.lost([])).rows
    if not any(row[1] == ["not lost"] and row[5].value == b"\xf6" for row in everything):
        return [f"the other conflict is missing: {everything}"]
    bob.cancel(following)
    equal(ask(loop, following).error, CODES["CANCELLED"], "the end of following")
    for client in (ann, bob):
        client.close()


def conflict_of_class_1(server):
    """Five ticks: history may have been cut."""
    loop = Loop()
    ann, bob = ready_client(loop, server), ready_client(loop, server)
    path = ["class 1"]
    seen = [wire.Entry(1, None, [("else", n, n)]) for n in (1, 2, 3, 4, 5, 6)]
    full = ann.write(path, "full", replaces=seen)
    settle(loop, full)
    equal(len(full.entry.ticks), 5, "the number of ticks")
    over = bob.write(path, "over", replaces=[])
    settle(loop, over)
    loop.until(lambda: ann.conflicts, DEADLINE_S, "a conflict")
    equal(ann.conflicts[0]["class"], 1, "the class")
    for client in (ann, bob):
        client.close()


def stamps_what_has_no_tock(server):
    loop = Loop()
    ann, bob = ready_client(loop, server), ready_client(loop, server)
    path = ["stamped"]
    watch = synced_watch(loop, bob, path)
    write = ann.write(path, {"no": "tock"}, when=None)
    settle(loop, write)
    equal(write.state, "acked")
    loop.until(lambda: watch.entries, DEADLINE_S, "the stamped update")
    seen = watch.entries[watch.key][1]
    equal((seen.value, seen.ticks), (write.entry.value, write.entry.ticks), "the stamped update")
    equal(entry_at(loop, ann, path), seen, "what is stored")
    agrees(loop, watch)

    again = ann.write(path, "again", when=None, replaces=[seen])
    settle(loop, again)
    loop.until(lambda: watch.entries[watch.key][1].dot == again.entry.dot, DEADLINE_S, "the next")
    if watch.entries[watch.key][1].tock <= seen.tock:
        return ["the second stamp is not above the first"]
    gone = ann.delete(path, when=None, replaces=[watch.entries[watch.key][1]])
    settle(loop, gone)
    loop.until(lambda: not watch.live(), DEADLINE_S, "the deletion")
    agrees(loop, watch)
    equal((ann.conflicts, bob.conflicts), ([], []), "conflicts")
    for client in (ann, bob):
        client.close()


def deletes(server):
    loop = Loop()
    client = ready_client(loop, server)
    path = ["deleted", None, b"\0"]
    write = client.write(path, 1)
    gone = client.delete(path, replaces=[write.entry])
    settle(loop, write, gone)
    equal(entries_below(loop, client, ["deleted"]), {}, "what lives")
    kept = entries_below(loop, client, ["deleted"], tombstones=True)
    equal(kept, {wire.path_key(path): gone.entry}, "the tombstone")
    equal(answered(loop, client.check(["deleted"])).answer["count"], 1, "the count of check")
    equal(answered(loop, client.list(["deleted"])).rows, [], "children alive")
    client.close()


def null_is_a_value(server):
    loop = Loop()
    client = ready_client(loop, server)
    write = client.write([], None)
    settle(loop, write)
    equal(entry_at(loop, client, []), write.entry, "the root")
    settle(loop, client.delete([]))
    client.close()


# --- Gaps ------------------------------------------------------------------------------------


def repeats_byte_for_byte(server):
    loop = Loop()
    client = ready_client(loop, server)
    client.auto_repeat = False
    kept = [client.prepare(["gap", n], n) for n in range(3)]
    last = client.write(["gap", 3], 3)
    settle(loop, *kept, last)
    first, final = kept[0].counter, kept[-1].counter
    asked = {n for low, high in client.repeats for n in range(low, high + 1)}
    equal(asked, set(range(first, final + 1)), "the counters asked for")
    equal({w.state for w in (*kept, last)}, {"acked"}, "the states")
    found = entries_below(loop, client, ["gap"])
    equal([found[wire.path_key(w.path)] for w in kept], [w.entry for w in kept], "what is read")
    client.close()


def answers_void(server):
    loop = Loop()
    client = ready_client(loop, server)
    client.auto_repeat = False
    lost = [client.prepare(["void", n], n) for n in range(2)]
    for write in lost:
        del client.pending[write.counter]
    last = client.write(["void", 2], 2)
    settle(loop, last)
    equal(last.state, "acked")
    equal(list(entries_below(loop, client, ["void"])), [wire.path_key(last.path)], "what is read")

    client.pending[lost[0].counter] = lost[0]  # it comes after all
    client._publish(lost[0])
    watch = synced_watch(loop, client, ["void"])
    loop.until(lambda: entry_at(loop, client, lost[0].path), DEADLINE_S, "the late one")
    equal(entry_at(loop, client, lost[0].path), lost[0].entry, "the late one")
    agrees(loop, watch)
    client.close()


def acknowledges_in_order(server):
    """No ack passes a gap."""
    loop = Loop()
    client = ready_client(loop, server)
    client.auto_repeat = False
    client._repeat = lambda first, last: None
    missing = client.prepare(["order", 1], 1)
    later = client.write(["order", 2], 2)
    loop.until(lambda: client.repeats, DEADLINE_S, "a request to repeat")
    loop.until(lambda: entry_at(loop, client, later.path), DEADLINE_S, "the later one, stored")
    equal(later.state, "pending", "the state of the later one")
    client._publish(missing)
    settle(loop, missing, later)
    client.close()


class Death:
    """A client dies with a gap; 30 s later its missing counters are void. Waits in a thread."""

    def __init__(self):
        self.findings = []
        self.thread = threading.Thread(target=self.wait, daemon=True)
        self.thread.start()

    def wait(self):
        try:
            self.die()
            self.findings = self.check()
        except Exception:
            self.findings = traceback.format_exc().splitlines()

    def join(self):
        self.thread.join()
        return self.findings

    def die(self):
        self.loop = Loop()
        # Without the guard, since another session speaks for it later.
        self.server = server = Server(PROGRAM, "--guard", "off")
        self.watcher = ready_client(self.loop, server)
        self.n_voids = self.count()
        dying = ready_client(self.loop, server)
        dying.auto_repeat = False
        dying._repeat = lambda first, last: None
        self.missing = dying.prepare(["death", 1], "missing")
        self.session = dying.session
        self.later = dying.write(["death", 2], "later")
        arrived = lambda: entry_at(self.loop, self.watcher, self.later.path)
        self.loop.until(arrived, DEADLINE_S, "the later one")
        dying.close(polite=False)

    def count(self):
        report = answered(self.loop, self.watcher.request(wire.STATUS)).answer["report"]
        return wire.cbor2.loads(report)["voids"]

    def check(self):
        self.loop.until(lambda: self.count() > self.n_voids, DEADLINE_S, "a void in the status")
        equal(entry_at(self.loop, self.watcher, self.missing.path), None, "the missing one")
        mqtt = self.watcher.mqtt
        mqtt.publish(self.missing.topic, self.missing.payload, 1)
        arrived = lambda: entry_at(self.loop, self.watcher, self.missing.path)
        self.loop.until(arrived, DEADLINE_S, "what comes after all")
        self.watcher.close()
        return self.server.stop()


# --- Sessions --------------------------------------------------------------------------------


def resumes_after_a_cut(server):
    loop = Loop()
    client = ready_client(loop, server)
    client.auto_repeat = False
    before = client.write(["cut", 1], 1)
    settle(loop, before)
    session = client.session
    client.link.close()
    hidden = client.prepare(["cut", 2], 2)
    while_cut = client.prepare(["cut", 3], 3)
    client._publish(while_cut)  # it reaches the server, but the ack has no way back
    settle(loop, hidden, while_cut)
    equal((client.session["seq"], client.counter), (session["seq"], 3), "the session")
    equal({w.state for w in (hidden, while_cut)}, {"acked"}, "the states")

    client.link.close()
    loop.until(lambda: client.is_heard, DEADLINE_S, "birth")
    equal(client.session["on_disk"], 3, "the counter in the session frame")
    client.close()


def survives_sigkill(server):
    """Written before, while dead, and after: nothing is lost, nothing is twice."""
    loop = Loop()
    client = ready_client(loop, server)
    watch = synced_watch(loop, client, ["sigkill"])
    before = [client.write(["sigkill", n], n) for n in range(50)]
    settle(loop, *before[:10])
    server.kill()
    loop.until(lambda: not client.link, DEADLINE_S, "the end of the link")
    dead = [client.prepare(["sigkill", n], n) for n in range(50, 60)]
    server.start()
    loop.until(lambda: client.is_heard, DEADLINE_S, "birth")
    after = [client.write(["sigkill", n], n) for n in range(60, 70)]
    everything = before + dead + after
    settle(loop, *everything)
    for write in [w for w in everything if w.state == "moved"]:
        settle(loop, write.moved_to)
    final = {wire.path_key(w.path): (w.moved_to or w).entry.value for w in everything}
    found = entries_below(loop, client, ["sigkill"])
    equal({key: entry.value for key, entry in found.items()}, final, "what is read")
    loop.until(lambda: watch.is_synced, DEADLINE_S, "the watch")
    agrees(loop, watch)
    equal(client.conflicts, [], "conflicts")
    client.close()
    return [f"the session was not resumed: {w.state}" for w in everything if w.state == "moved"][:1]


def moves_to_a_new_session(server):
    """The token is wrong: what was pending is written anew, same tock, naming its old self."""
    loop = Loop()
    client = ready_client(loop, server)
    client.auto_repeat = False
    client._repeat = lambda first, last: None
    client.prepare(["move", 0], "lost")
    stored = client.write(["move", 1], "stored, not acknowledged")
    loop.until(lambda: entry_at(loop, client, stored.path), DEADLINE_S, "the stored one")
    hidden = client.prepare(["move", 2], "hidden")
    client.session["token"] = b"wrong"
    client.link.close()
    loop.until(lambda: stored.moved_to and stored.moved_to.state == "acked", DEADLINE_S, "the ack")
    settle(loop, hidden.moved_to)
    equal(client.counter, 3, "the counter of the new session")
    for old in (stored, hidden):
        new = old.moved_to.entry
        wanted = old.entry.tock, old.entry.value, [old.entry.dot]
        equal((new.tock, new.value, new.ticks[1:]), wanted, "what was written anew")
        kept = entry_at(loop, client, old.path)
        if kept.order() != max(old.entry.order(), new.order()) and kept != new:
            return [f"kept is {kept}"]
    equal(client.conflicts, [], "conflicts")
    client.close()


def wrong_sessions_are_not_resumed(server):
    loop = Loop()
    client = ready_client(loop, server)
    settle(loop, client.write(["wrong session"], 1))
    mine = client.session
    findings = []
    for session, token in {
        (mine["name"], mine["seq"]): b"\0" * 16,
        (mine["name"], mine["seq"] + 1): mine["token"],
        ("other", mine["seq"]): mine["token"],
        (mine["name"], 2**63 - 1): b"x",
    }.items():
        with RawLink(server.address) as link:
            link.hello()
            link.send(wire.AUTH, {2: "EXTERNAL", 3: session, 4: token})
            kind, fields = link.recv()
            if kind != wire.SESSION or (fields["seq"], fields["on_disk"]) == (mine["seq"], 1):
                findings.append(f"{session} {token}: {kind} {fields}")
    client.close()
    return findings


# --- Refusals --------------------------------------------------------------------------------


def refuses_other_times(server):
    """FUTURE, at a server whose clock is trusted."""
    loop = Loop()
    client = ready_client(loop, server)
    equal(client.session["clock"], True, "the clock of the session")
    now = client.estimate()
    hour = 3600_000 << 12
    writes = {
        "soon": (now + 2**31, None),
        "future": (now + 2**33, "FUTURE"),
        "end of time": (2**63 - 1, "FUTURE"),
        "above 2^62": (2**62 + 1, "FUTURE"),
        "yesterday": (now - 23 * hour, None),
        "the first day": (0, None),  # the past is judged when the clock was trusted for a day
    }
    done = {name: client.write(["time", name], name, when=tock) for name, (tock, _) in writes.items()}
    last = client.write(["time", "last"], 1)
    settle(loop, *done.values(), last)
    equal(last.state, "acked", "the one behind")
    for name, (_, wanted) in writes.items():
        found = None if done[name].error is None else wire.NAMES[done[name].error]
        equal(found, wanted, name)
    kept = entries_below(loop, client, ["time"])
    wanted = [wire.path_key(w.path) for w in (*done.values(), last) if w.error is None]
    equal(sorted(kept), sorted(wanted), "what is kept")
    client.close()


def at_the_limits(server):
    loop = Loop()
    client, other = ready_client(loop, server), ready_client(loop, server)
    biggest = Raw(b"\x5a" + (wire.VALUE_MAX - 5).to_bytes(4, "big") + bytes(wire.VALUE_MAX - 5))
    too_big = Raw(b"\x5a" + (wire.VALUE_MAX - 4).to_bytes(4, "big") + bytes(wire.VALUE_MAX - 4))
    ok = client.write(["limit", "value"], biggest)
    settle(loop, ok)
    equal(ok.state, "acked", "a value of 1 MiB")
    equal(entry_at(loop, other, ok.path), ok.entry, "a value of 1 MiB")
    over = other.write(ok.path, Raw(biggest.data[:-1] + b"x"), replaces=[])
    settle(loop, over)
    loop.until(lambda: client.conflicts, DEADLINE_S, "a conflict of two values of 1 MiB")
    equal(client.conflicts[0]["loser"] == ok.entry, True, "whether the loser is ours")
    deep = Raw(b"\x81" * 64 + b"\x00"), Raw(b"\x81" * 65 + b"\x00")
    many = Raw(b"\x99\xff\xff" + bytes(65535)), Raw(b"\x9a\x00\x01\x00\x00" + bytes(65536))
    settle(loop, client.write(["limit", "deep"], deep[0]), client.write(["limit", "many"], many[0]))
    findings = []
    for name, value, wanted in (
        ("too large", too_big, "TOO_LARGE"),
        ("65 deep", deep[1], "TOO_DEEP"),
        ("65537 items", many[1], "TOO_MANY"),
    ):
        write = client.write(["limit", name], value)
        settle(loop, write)
        found = wire.NAMES.get(write.error)
        if found != wanted:
            findings.append(f"{name}: {write.state} {found}, not {wanted}")
    last = client.write(["limit", "last"], 1)
    settle(loop, last)
    equal(last.state, "acked", "the one behind")
    for one in (client, other):
        one.close()
    return findings


def paths_at_the_limits(server):
    loop = Loop()
    client = ready_client(loop, server)
    good = [["x" * 1021], [0] * 64, ["limit", b"\0" * 505], ["#" * 1021]]
    writes = [client.write(path, 1) for path in good]
    settle(loop, *writes)
    equal({w.state for w in writes}, {"acked"}, "the states")
    findings = []
    root = client.root + "/d/"
    for name, topic in {
        "1025 bytes": root + "x" * 1022,
        "65 elements": root + "/".join(["a"] * 65),
        "the longest topic": root + "x" * (65535 - len(root)),
        "not canonical": root + "a//b",
    }.items():
        write = client.prepare(["elsewhere"], 1)
        write.topic = topic
        client._publish(write)
        settle(loop, write)
        found = wire.NAMES.get(write.error)
        if found != ("BAD_TOPIC" if name == "not canonical" else "PATH_TOO_LONG"):
            findings.append(f"{name}: {write.state} {found}")
    for write in writes:
        client.delete(write.path, replaces=[write.entry])
    settle(loop, *client.pending.values())
    client.close()
    return findings


# --- A broker that is not the server's own ---------------------------------------------------


def survives_the_broker(server, broker):
    """The broker is killed and comes back; both sides find it again."""
    loop = Loop()
    client = ready_client(loop, server)
    watch = synced_watch(loop, client, ["broker"])
    settle(loop, client.write(["broker", 0], 0))
    broker.process.kill()
    loop.until(lambda: not client.mqtt, DEADLINE_S, "the end of the connection")
    dead = [client.prepare(["broker", n], n) for n in (1, 2)]
    broker.start()
    settle(loop, *dead)
    equal({w.state for w in dead}, {"acked"}, "the states")
    loop.until(lambda: watch.is_synced, DEADLINE_S, "the watch")
    agrees(loop, watch)
    equal(len(watch.live()), 3, "the entries watched")
    client.close()


def ignores_retained(server, broker):
    """What lies at the broker when the server comes is not news."""
    loop = Loop()
    client = ready_client(loop, server)
    old = client.prepare(["retained", "old"], "old")
    del client.pending[old.counter]
    server.kill()
    outside = Broker(loop, broker.address)
    loop.until(lambda: outside.is_up, DEADLINE_S, "the broker")
    outside.publish(old.topic, old.payload, 1, retain=True)
    echo = []
    late = Broker(loop, broker.address)
    late.on_message = lambda topic, payload, retained: echo.append((topic, payload, retained))
    loop.until(lambda: late.is_up, DEADLINE_S, "the broker")
    late.subscribe(old.topic)
    loop.until(lambda: echo, DEADLINE_S, "the retained message")
    equal(echo, [(old.topic, old.payload, True)], "the retained message")
    server.start()
    loop.until(lambda: client.is_heard, DEADLINE_S, "birth")
    settle(loop, client.write(["retained", "new"], "new"))
    equal(entry_at(loop, client, old.path), None, "what was retained")
    outside.publish(old.topic, b"", 1, retain=True)
    for one in (outside, late, client):
        one.close()


def main():
    report = Report()
    cases = Cases(report)
    server = Server(PROGRAM)
    death = Death()

    run = cases.run
    run("A: by unix socket", lambda: connects(server, address=server.address))
    run("A: with MQTT 3.1.1", lambda: connects(server, address=server.address, mqtt5=False))
    run("B: by the broker", lambda: connects(server, broker=server.broker))
    run("B: by the broker, MQTT 3.1.1", lambda: connects(server, broker=server.broker, mqtt5=False))
    for case in (
        falls_to_the_broker, no_version_in_common, values_are_kept_as_bytes, overwrites,
        keeps_the_dot_it_replaced, tells_what_was_lost, conflict_of_class_1, stamps_what_has_no_tock, deletes, null_is_a_value,
        repeats_byte_for_byte, answers_void, acknowledges_in_order, resumes_after_a_cut,
        moves_to_a_new_session, wrong_sessions_are_not_resumed,
    ):
        run(case.__name__.replace("_", " "), case, server)
    run("survives sigkill", survives_sigkill, server)
    run("the server ends in order", server.stop)

    trusted = Server(PROGRAM, "--guard", "off", settings={"clock": "always"})
    run("a trusted clock refuses other times", refuses_other_times, trusted)
    run("that server ends in order", trusted.stop)

    broker = Mosquitto()
    outside = Server(PROGRAM, "--broker", broker.address)
    for case in (
        overwrites, stamps_what_has_no_tock, repeats_byte_for_byte, resumes_after_a_cut,
        at_the_limits, paths_at_the_limits,  # the guard would not let pass what the server is to refuse
    ):
        run("plain mosquitto: " + case.__name__.replace("_", " "), case, outside)
    run("plain mosquitto: B", lambda: connects(outside, broker=broker.address))
    run("plain mosquitto: survives sigkill", survives_sigkill, outside)
    run("plain mosquitto: survives the broker", survives_the_broker, outside, broker)
    run("plain mosquitto: ignores retained", ignores_retained, outside, broker)
    run("the server at plain mosquitto ends in order", outside.stop)
    run("a client that dies with a gap", death.join)
    report.end()


main()
