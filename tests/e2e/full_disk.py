# SPDX-License-Identifier: Apache-2.0
"""
A disk that fills up, and a store that reaches its limit: the server says so, goes on reading,
acknowledges nothing that it cannot keep, survives kill -9 in that state, and recovers by itself.
"""
import errno
import json
import os
import shutil
import subprocess
import sys

import cbor2

import rig
from rig import check, equal, wait_for

VALUE = "x" * 2000


def enter_own_mounts():
    """Starts over in a mount namespace of its own, so that what is mounted ends with us."""
    if os.geteuid() != 0 or shutil.which("unshare") is None or \
            subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode:
        return "mounting a small disk needs root"
    if os.environ.get("MOAT_KV_OWN_MOUNTS") != "1":
        os.environ["MOAT_KV_OWN_MOUNTS"] = "1"
        os.execvp("unshare", ["unshare", "-m", "--propagation", "private", sys.executable, *sys.argv])
    return None


CANNOT_MOUNT = enter_own_mounts()


class Disk:
    """A file system of a few MiB, with a ballast that can be dropped."""

    def __init__(self, place, mib):
        if CANNOT_MOUNT:
            raise rig.Skipped(CANNOT_MOUNT)
        self.path = os.path.join(place.path, "disk")
        self.ballast = os.path.join(self.path, "ballast")
        os.mkdir(self.path)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "none", self.path],
                              check=False, capture_output=True, text=True)
        if done.returncode:
            raise rig.Skipped(f"cannot mount: {done.stderr.strip()}")
        place.mounts.append(self.path)

    def fill(self, spare=0):
        """Leaves no more than @spare bytes."""
        with open(self.ballast, "ab", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError as error:
                check(error.errno == errno.ENOSPC, f"{error}")
            if spare:
                file.truncate(max(0, file.tell() - spare))

    def relieve(self):
        os.unlink(self.ballast)


def write_until(writer, condition, first):
    """Writes entries of their own, each once, until @condition; returns the number of the last."""
    number = first

    def more():
        nonlocal number
        for _ in range(20):
            writer.send(f"e:{number}", cbor2.dumps(f"{number} {VALUE}"))
            number += 1
        writer.flush()
        return condition()
    wait_for(more, "the store to be full", 60, step=0.05)
    return number


def held_by(server):
    """The tree; once more if the moment in which the disk fills up, and links are closed, is hit."""
    try:
        return rig.tree_of(server)
    except rig.Failure as failure:
        rig.say(f"once more: {failure}")
        return rig.tree_of(server)


def lost(server, writer):
    """Which entries are acknowledged and not there."""
    acked = writer.acked()  # first: more may come while we look
    held = held_by(server)
    return [line for line in acked if not held.get(f"e:{line - 1}", "").startswith(f"{line - 1} ")]


def state_of(server):
    """(exit status, "state") of moat-kv status."""
    done = rig.run_cli(server, "-o", "json", "status")
    try:
        return done.returncode, json.loads(done.stdout)["state"]
    except (ValueError, KeyError):
        return done.returncode, done.stderr


def is_full(server):
    return "cannot write the store" in server.words()


def check_full(place, server, why):
    """What people see of a server that cannot write."""
    rig.cli(server, "get", "e:0")
    wait_for(lambda: state_of(server)[0] == 7, lambda: f"status to be 7: {state_of(server)}")
    status, state = state_of(server)
    if status == 7:  # else it was just trying whether it can write again
        check(why in state, f"{state!r} does not say that {why}")
    with open(os.path.join(place.path, "big"), "w", encoding="ascii") as file:
        file.write("y" * 500000)
    done = rig.run_cli(server, "--timeout", "3", "set", "big", "-s", "-f", file.name, seconds=30)
    equal(done.returncode, 7, f"exit status of set ({done.stderr})")
    check(why in done.stderr, f"set does not say that {why}: {done.stderr}")
    check(done.stderr.count("\n") <= 2, f"set says too much: {done.stderr}")
    check("big" not in rig.tree_of(server), "a value that was not acknowledged is there")
    check(server.words().count("can be written again") <= 1, "it keeps changing its mind")


def test_full_disk(place):
    disk = Disk(place, 8)
    disk.fill(spare=3 << 20)
    server = place.server(state=disk.path)
    writer = rig.Writer(place, server)
    write_until(writer, lambda: is_full(server), 0)
    disk.fill()
    equal(lost(server, writer), [], "acknowledged and lost")
    check_full(place, server, "disk is full")
    check(len(writer.acked()) < writer.n_sent, "all has been acknowledged on a full disk")
    equal(lost(server, writer), [], "acknowledged and lost")
    check("event 6, code -102" in writer.process.words(), "the writer has not been told")

    disk.relieve()
    writer.finish()
    writer.wait()
    equal(len(writer.acked()), writer.n_sent, "acknowledged in the end")
    equal(lost(server, writer), [], "acknowledged and lost")
    equal(state_of(server), (0, "writing"), "state")


def test_kill_on_a_full_disk(place):
    disk = Disk(place, 8)
    disk.fill(spare=3 << 20)
    server = place.server(state=disk.path, options=["--listen", f"unix:{place.path}/link.sock"])
    writer = rig.Writer(place, server)
    write_until(writer, lambda: is_full(server), 0)
    disk.fill()
    for _ in range(3):
        server.kill()
        disk.fill()
        server.start()
        equal(lost(server, writer), [], "acknowledged and lost")
    broker = server.broker_pid()
    rig.kill(broker)  # a broker needs no disk, either
    wait_for(lambda: server.broker_pid() not in (None, broker), "the broker to be restarted")
    disk.relieve()
    writer.finish()
    writer.wait()
    equal(len(writer.acked()), writer.n_sent, "acknowledged in the end")
    equal(lost(server, writer), [], "acknowledged and lost")


def test_store_at_its_limit(place):
    config = os.path.join(place.path, "moat-kvd.yaml")

    def limit(mib):
        with open(config, "w", encoding="ascii") as file:
            file.write(f"store-max: {mib}\n")
    limit(1)
    server = place.server(options=["--config", config])
    writer = rig.Writer(place, server)
    write_until(writer, lambda: is_full(server), 0)
    equal(lost(server, writer), [], "acknowledged and lost")
    check_full(place, server, "size limit")
    for _ in range(2):
        server.kill()
        server.start()
        equal(lost(server, writer), [], "acknowledged and lost")
    limit(64)
    server.kill()
    server.start()
    writer.finish()
    writer.wait()
    equal(len(writer.acked()), writer.n_sent, "acknowledged in the end")
    equal(lost(server, writer), [], "acknowledged and lost")


rig.main(test_full_disk, test_kill_on_a_full_disk, test_store_at_its_limit)
