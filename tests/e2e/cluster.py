# SPDX-License-Identifier: Apache-2.0
"""Several servers that hold one tree: how to start them, and whether they really hold the same."""
import json
import tempfile

import rig
from rig import check, wait_for

PING_S = 1
OPTIONS = ["--ping", str(PING_S)]


def start(place, addresses, options=OPTIONS):
    """One server a broker address, named a, b, c ..."""
    return [place.server("abcdefghij"[i], broker=address, options=list(options))
            for i, address in enumerate(addresses)]


def status(server):
    """Its report as a map, or None if it does not answer now."""
    done = rig.run_cli(server, "-o", "json", "status")
    return json.loads(done.stdout) if done.stdout else None


def states(servers):
    return {server.name: (report["entries"], report["tombstones"], report["digest"]["$bytes"])
            if (report := status(server)) else None for server in servers}


def until_equal(servers, seconds=30.0):
    """Waits until they have the same entries and tombstones by count and digest."""
    found = {}

    def are_equal():
        found.update(states(servers))
        return None not in found.values() and len(set(found.values())) == 1
    wait_for(are_equal, lambda: f"the servers to be equal: {found}\n{where_they_differ(servers)}",
             seconds, step=0.1)


def until_converged(servers, seconds=30.0):
    """Equal, and all of them know it."""
    until_equal(servers, seconds)
    for server in servers:
        wait_for(lambda server=server: rig.run_cli(server, "status", "--converged").returncode == 0,
                 lambda server=server: f"{server.name} to say that all are converged: "
                 f"{rig.run_cli(server, 'status', '--converged').stderr}", seconds, step=0.1)


def dump(server):
    text = rig.cli(server, "-o", "jsonl", "dump", ":", seconds=120)
    check('"end":true' in text[-60:], "a dump without its end")
    return text


def dump_file(server):
    """The bytes of a dump file in CBOR."""
    with tempfile.NamedTemporaryFile() as file:
        rig.cli(server, "-o", "cbor", "dump", ":", "-f", file.name, seconds=120)
        with open(file.name, "rb") as written:
            return written.read()


def where_they_differ(servers):
    dumps = {server.name: set(dump(server).splitlines())
             for server in servers if server.process.is_running()}
    common = set.intersection(*dumps.values())
    return "\n".join(f"{name} alone: {rig.shorten(sorted(lines - common)[:5], 1500)}"
                     for name, lines in dumps.items())


def same_dumps(servers):
    """Byte for byte, as lines and as files."""
    for of in (dump, dump_file):
        dumps = [of(server) for server in servers]
        for server, bytes_or_text in zip(servers, dumps):
            check(bytes_or_text == dumps[0],
                  f"{server.name} and {servers[0].name} differ:\n{where_they_differ(servers)}")


def tree_of(server):
    """Without what the servers keep there themselves."""
    return {path: value for path, value in rig.tree_of(server).items()
            if not path.startswith(":n.")}


def kept(servers, writes):
    """
    Checks that every acknowledged write is there, or has lost to a greater one.  @writes: path ->
    list of (stamp, value), value None for a deletion.  Returns what the tree must be.

    A writer that had to change servers writes again what was not acknowledged, under a new name but
    with the old tock; what it wrote first may be there as well and win.  So of writes with one tock
    any may be what is left.
    """
    found = tree_of(servers[0])
    wanted = {}
    for path, written in writes.items():
        last = max(stamp for stamp, _ in written)[0]
        values = [value for stamp, value in written if stamp[0] == last]
        value = found.get(path) if found.get(path) in values else values[0]
        if value is not None:
            wanted[path] = value
    for server in servers:
        rig.same_trees(tree_of(server), wanted, server.name)
    return wanted
