# SPDX-License-Identifier: Apache-2.0
"""
What one write costs: one message from the writer, one delivery to each who watches, nothing more
through the broker; and its ACK comes over the link, after the disk has it.
"""
import os
import re
import shutil
import time

import cbor2

import rig
from rig import check, equal, wait_for

N_WRITES = 20


def packets(broker):
    """
    What the broker's log says of packets: (direction, kind, client, rest of the line); but for those
    that say that somebody is alive.
    """
    found = re.findall(r"(Sending|Received) ([A-Z]+) (?:to|from) (\S+)(.*)", broker.process.words())
    return [packet for packet in found if packet[1] not in ("PINGREQ", "PINGRESP")
            and "/svc/act'" not in packet[3]]


def write_one_by_one(server, writer, numbers):
    """Each waits for the ACK of the one before.  Returns how long each took, in seconds."""
    took = []
    for number in numbers:
        started = time.monotonic()
        line = writer.send("kitchen.lamp", cbor2.dumps(number))
        writer.flush()
        wait_for(lambda line=line: line in writer.acked(), f"the ACK of write {line}", step=0.002)
        took.append(time.monotonic() - started)
    return took


def test_one_message_in_and_one_out_for_each(place):
    broker = place.broker(["log_type all"])
    server = place.server(broker=broker.address)
    watchers = [rig.Watcher(place, server, "kitchen").until_synced() for _ in range(2)]
    bystander = rig.Watcher(place, server, "attic").until_synced()
    writer = rig.Writer(place, server)
    write_one_by_one(server, writer, [0])
    for watcher in watchers:
        watcher.until_equal({"kitchen.lamp": 0})
    settled(broker)
    before = len(packets(broker))

    write_one_by_one(server, writer, range(1, 1 + N_WRITES))
    for watcher in watchers:
        watcher.until_equal({"kitchen.lamp": N_WRITES})
    settled(broker)
    seen = packets(broker)[before:]
    published = [packet for packet in seen if packet[:2] == ("Received", "PUBLISH")]
    delivered = [packet for packet in seen if packet[:2] == ("Sending", "PUBLISH")]
    others = {packet[:2] for packet in seen} - {("Received", "PUBLISH"), ("Sending", "PUBLISH"),
                                                ("Received", "PUBACK"), ("Sending", "PUBACK")}
    writers = {packet[2] for packet in published}
    equal(len(published), N_WRITES, "messages published")
    equal(len(writers), 1, "who published")
    equal(len(delivered), 3 * N_WRITES, "messages delivered to two watchers and the server")
    counts = sorted([packet[2] for packet in delivered].count(name)
                    for name in {packet[2] for packet in delivered})
    equal(counts, [N_WRITES] * 3, "deliveries to each")
    check(all("'moat/main/d/kitchen/lamp'" in packet[3] for packet in published + delivered),
          f"other topics: {published[:3]} {delivered[:3]}")
    equal(others, set(), "other packets")
    equal(bystander.n_changes, 0, "changes seen by one who watches something else")
    for watcher in watchers:
        equal(watcher.n_changes, N_WRITES + 1, "changes that a watcher was told")


def settled(broker):
    """Until each message has been answered, and the log is still."""
    def is_settled():
        seen = packets(broker)
        counts = [sum(packet[:2] == which for packet in seen) for which in
                  (("Received", "PUBLISH"), ("Sending", "PUBACK"),
                   ("Sending", "PUBLISH"), ("Received", "PUBACK"))]
        return counts[0] == counts[1] and counts[2] == counts[3]
    wait_for(is_settled, "the broker to be settled")


def read_trace(path):
    """The calls of one process: (name, arguments, result), in the order of their ends."""
    calls, unfinished = [], {}
    with open(path, encoding="ascii", errors="replace") as trace:
        for line in trace:
            pid, _, rest = line.rstrip("\n").partition(" ")
            rest = rest.strip()
            if rest.endswith("<unfinished ...>"):
                unfinished[pid] = rest.removesuffix("<unfinished ...>")
                continue
            resumed = re.match(r"<\.\.\. \w+ resumed>(.*)", rest)
            if resumed:
                rest = unfinished.pop(pid, "") + resumed.group(1)
            call = re.match(r"(\w+)\((.*)\)\s+= (-?\d+)", rest)
            if call:
                calls.append((call.group(1), call.group(2), int(call.group(3))))
    return calls


# A frame {0: 10, 2: counter, ...}, as strace shows its bytes.
ACK = re.compile(r'\\x00\\x00\\x00\\x[0-9a-f]{2}\\xa[0-9a-f]\\x00\\x0a\\x02((?:\\x[0-9a-f]{2}){1,9})')


def counter_of(text):
    data = bytes.fromhex(text.replace("\\x", ""))
    return data[0] if data[0] < 24 else int.from_bytes(data[1:1 + (1 << (data[0] - 24))], "big")


def test_no_ack_waits_for_something_else(place):
    """A timer that was forgotten shows as an ACK that comes with the next unrelated event."""
    server = place.server()
    writer = rig.Writer(place, server)
    took = write_one_by_one(server, writer, range(200))
    n_slow = sum(seconds > 0.5 for seconds in took[1:])
    check(n_slow <= 2, f"{n_slow} of {len(took)} took long: {sorted(took)[-5:]}")


def test_the_ack_follows_the_disk(place):
    if shutil.which("strace") is None:
        raise rig.Skipped("needs strace")
    trace = os.path.join(place.path, "trace")
    server = place.server(
        prefix=["strace", "-f", "-xx", "-s", "200", "-o", trace, "-e",
                "trace=openat,open,pwrite64,pwritev,write,writev,sendto,sendmsg,fdatasync,fsync,msync"],
        env={"ASAN_OPTIONS": "detect_leaks=0"})  # which a tracer makes impossible
    writer = rig.Writer(place, server)
    took = write_one_by_one(server, writer, range(N_WRITES))
    check(sum(seconds > 0.5 for seconds in took[1:]) <= 1, f"ACKs that waited: {took}")
    writer.finish()
    writer.wait()
    equal(rig.cli(server, "get", "kitchen.lamp").strip(), str(N_WRITES - 1), "the value")
    rig.kill(server.pid, 15)
    equal(server.process.wait(), 0, "exit status")

    # Pages are written and synced, then the meta page, through a descriptor that syncs by itself.
    synced, state, n_acks = set(), "idle", 0
    for name, arguments, result in read_trace(trace):
        fd = arguments.split(",", 1)[0]
        if name in ("open", "openat") and "O_DSYNC" in arguments or "O_SYNC" in arguments:
            synced.add(str(result))
        elif name in ("pwrite64", "pwritev") and fd in synced and result > 0:
            state = "stored" if state == "pages synced" else state
        elif name in ("pwrite64", "pwritev") and result > 0:
            state = "pages written"
        elif name in ("fdatasync", "fsync", "msync") and result == 0:
            state = "pages synced" if state == "pages written" else state
        elif name in ("write", "writev", "sendto", "sendmsg"):
            for counter in map(counter_of, ACK.findall(arguments)):
                equal(state, "stored", f"at the ACK of {counter} the store is")
                equal(counter, n_acks + 1, "ACKs in order, one for each write")
                n_acks += 1
                state = "idle"
    equal(n_acks, N_WRITES, "ACKs found in the trace")
    check(synced, "the store has no descriptor that syncs by itself: look at this test")


rig.main(test_one_message_in_and_one_out_for_each, test_no_ack_waits_for_something_else,
         test_the_ack_follows_the_disk)
