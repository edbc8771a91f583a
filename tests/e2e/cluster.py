# SPDX-License-Identifier: Apache-2.0
"""Several servers that hold one tree: how to start them, and whether they really hold the same."""
import json

import rig
from rig import check, wait_for

PING_S = 1
OPTIONS = ["--ping", str(PING_S)]


def start(place, addresses, options=()):
    """One server a broker address, named a, b, c ..."""
    return [place.server("abcdefghij"[i], broker=address, options=[*OPTIONS, *options])
            for i, address in enumerate(addresses)]


def status(server):
    """Its report as a map, or None if it does not answer now."""
    done = rig.run_cli(server, "-o", "json", "status")
    return json.loads(done.stdout) if done.stdout else None


def states(servers):
    return {server.name: (report["entries"], report["tombstones"], report["digest"])
            if (report := status(server)) else None for server in servers}


def until_equal(servers, seconds=30.0):
    """Waits until they have the same entries and tombstones by count and digest; returns which."""
    found = {}

    def are_equal():
        found.update(states(servers))
        return None not in found.values() and len({str(one) for one in found.values()}) == 1
    wait_for(are_equal, lambda: f"the servers to be equal: {found}\n{where_they_differ(servers)}",
             seconds, step=0.1)
    return found[servers[0].name]


def rows(server):
    """
    Every entry as a line of text, in order.  Of the ticks only the first: what follows tells what
    the writer knew, and which conflict a server happened to see.
    """
    lines = rig.cli(server, "-o", "jsonl", "dump", ":", seconds=120).splitlines()
    check(lines and json.loads(lines[-1]).get("end"), "a dump without its end")
    found = [json.loads(line) for line in lines[:-1]]
    for row in found:
        row["ticks"] = row["ticks"][:1]
    return [json.dumps(row) for row in found]


def where_they_differ(servers):
    dumps = {server.name: set(rows(server)) for server in servers if server.process.is_running()}
    common = set.intersection(*dumps.values())
    return "\n".join(f"{name} alone: {rig.shorten(sorted(lines - common)[:5], 1500)}"
                     for name, lines in dumps.items())


def same_dumps(servers):
    """Byte for byte."""
    first, *others = [(server.name, rows(server), rig.cli(server, "-o", "json", "dump", ":"))
                      for server in servers]
    for name, lines, document in others:
        check(lines == first[1] and document == first[2],
              f"{name} and {first[0]} differ:\n{where_they_differ(servers)}")


def tree_of(server):
    """Without what the servers keep there themselves."""
    return {path: value for path, value in rig.tree_of(server).items()
            if not path.startswith(":n.")}


def kept(servers, writes):
    """
    Checks that every acknowledged write is there, or has lost to a greater one.  @writes: path ->
    list of (stamp, value), value None for a deletion.  Returns what the tree must be.
    """
    wanted = {}
    for path, written in writes.items():
        _, value = max(written, key=lambda one: one[0])
        if value is not None:
            wanted[path] = value
    for server in servers:
        rig.same_trees(tree_of(server), wanted, server.name)
    return wanted
