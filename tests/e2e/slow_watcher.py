# SPDX-License-Identifier: Apache-2.0
"""
A watcher that is stopped for ten seconds under load: it costs the broker a bounded amount of
memory, disturbs nobody, and sees in the end what all the others see.
"""
import signal
import time

import cbor2

import rig
from rig import check, wait_for

STOPPED_S = 10
GROWTH_MAX_KIB = 400 * 1024  # twice 64 MiB of payload are kept for it (io/broker.h), with overhead
VALUE = "x" * 8000


def test_a_stopped_watcher(place):
    server = place.server()
    others = [rig.Watcher(place, server).until_synced() for _ in range(2)]
    slow = rig.Watcher(place, server).until_synced()
    writer = rig.Writer(place, server)
    n_writes, n_paths = rig.size((25000, 1000), (6000, 500))
    broker = server.broker_pid()
    before = rig.rss_kib(broker)
    slow.process.signal(signal.SIGSTOP)
    stopped_at = time.monotonic()
    wanted, rss_max = {}, 0
    for i in range(n_writes):
        path, value = f"p:{i % n_paths}", f"{i} {VALUE}"
        writer.send(path, cbor2.dumps(value))
        wanted[path] = value
        if i % 500 == 0:
            rss_max = max(rss_max, rig.rss_kib(broker))
    writer.finish()

    def written():
        nonlocal rss_max
        rss_max = max(rss_max, rig.rss_kib(broker))
        return not writer.process.is_running()
    wait_for(written, "the writer to end", 90, step=0.05)
    writer.wait()
    check(len(writer.acked()) == n_writes, f"{len(writer.acked())} of {n_writes} acknowledged")
    took = time.monotonic() - stopped_at
    for other in others:
        other.until_equal(wanted, "a watcher beside the slow one")
    wait_for(lambda: time.monotonic() - stopped_at >= STOPPED_S, "the time to pass", STOPPED_S + 1)
    rss_max = max(rss_max, rig.rss_kib(broker))
    check(len(slow.tree) == 0 or dict(slow.tree) != wanted, "the slow watcher was not slow")
    slow.process.signal(signal.SIGCONT)
    slow.until_equal(wanted, "the slow watcher")
    rig.same_trees(rig.tree_of(server), wanted, "the server")
    rig.say(f"{n_writes} writes in {took:.1f} s; the broker grew from {before} to {rss_max} KiB")
    check(rss_max - before < GROWTH_MAX_KIB, f"the broker has grown to {rss_max} KiB")
    check(server.broker_pid() == broker, "the broker has been restarted")


rig.main(test_a_stopped_watcher)
