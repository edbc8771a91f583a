# SPDX-License-Identifier: Apache-2.0
"""Many at once: watchers and writers on overlapping paths, more links than there may be, storms."""
import random
import resource
import socket
import struct

import cbor2

import rig
from rig import check, equal, wait_for

LINKS_MAX = 1024


def frame(content):
    data = cbor2.dumps(content, canonical=True)
    return struct.pack(">I", len(data)) + data


HELLO = frame({0: 1, 2: [1, 1], 3: [], 4: "many.py"})
AUTH = frame({0: 2, 2: "EXTERNAL"})


class Link:
    """A link, as plain as can be; blocking."""

    def __init__(self, server):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(server.address.removeprefix("unix:"))
        self.socket.settimeout(rig.patience(20))

    def read(self):
        """The next frame; None at the end of the stream."""
        head = self._exactly(4)
        return cbor2.loads(self._exactly(struct.unpack(">I", head)[0])) if head else None

    def _exactly(self, length):
        data = b""
        while len(data) < length:
            try:
                piece = self.socket.recv(length - len(data))
            except ConnectionResetError:
                return b""
            if not piece:
                return b""
            data += piece
        return data

    def login(self):
        """The session frame."""
        equal(self.read()[0], 1, "kind of the first frame")
        self.socket.sendall(HELLO + AUTH)
        return self.read()

    def close(self):
        self.socket.close()


def test_watchers_and_writers(place):
    server = place.server()
    chance = random.Random(rig.settings.seed)
    n_watchers, n_writers, n_writes = rig.size((50, 8, 1000), (16, 4, 250))
    tops = [":", "a", "a.b", "a:1", "c"]
    watched = [(path, rig.Watcher(place, server, path))
               for path in (tops[i % len(tops)] for i in range(n_watchers))]
    writers = [rig.Writer(place, server, blind=number % 2 == 0) for number in range(n_writers)]
    for number, writer in enumerate(writers):
        for i in range(n_writes):
            path = chance.choice(["a", "a.b", "a:1", "c"]) + f".k{chance.randrange(40)}"
            deletes = chance.random() < 0.1
            writer.send(path, None if deletes else cbor2.dumps([number, i]))
        writer.finish()
    for writer in writers:
        writer.wait(120)
        equal({status for _, status in writer.answered()}, {0}, "what became of the writes")
        equal(len(writer.answered()), n_writes, "writes answered")
    trees = {path: rig.tree_of(server, path) for path in tops}
    check(len(trees[":"]) > 50 and trees["a"] != trees["c"], "the test does not test what it should")
    for path, watcher in watched:
        watcher.until_equal(trees[path], f"a watcher of {path}", 90)


def test_more_links_than_there_may_be(place):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4096:
        raise rig.Skipped("needs 4096 file descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))  # as most systems have it
    server = place.server()
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    rig.cli(server, "set", "a", "1")
    n_fds = rig.n_fds(server.pid)
    links = [Link(server) for _ in range(1100)]
    n_served, refusals = 0, []
    for link in links:
        first = link.read()
        if first and first[0] == 1:
            n_served += 1
        else:
            refusals.append(first)
            check(link.read() is None, "a link that was refused is not closed")
            link.close()
    check(1000 <= n_served <= LINKS_MAX, f"{n_served} links were served")
    told = [refusal for refusal in refusals if refusal]  # of a flood not all are, see io/listener.c
    check(told, "nobody was told why")
    for refusal in told:
        check(refusal[0] == 5 and refusal[2] == -24, f"refused by {refusal!r}")
        check("too many" in refusal[3], f"refused by {refusal!r}")
    wait_for(lambda: "too many" in rig.run_cli(server, "get", "a").stderr, "a user to be told why")
    equal(rig.run_cli(server, "get", "a").returncode, 3, "exit status of one too many")
    links[0].socket.sendall(HELLO + AUTH)
    equal(links[0].read()[0], 3, "kind of the frame after login, on one of many links")
    for link in links:
        link.close()
    wait_for(lambda: rig.n_fds(server.pid) == n_fds, "the descriptors to be closed")
    equal(rig.cli(server, "get", "a").strip(), "1", "the value afterwards")


def storm(server, n, chance):
    """Comes, says a part of what is to be said, and goes without a word."""
    for _ in range(n):
        link = Link(server)
        stage = chance.randrange(4)
        if stage == 1:
            link.socket.sendall((HELLO + AUTH)[:chance.randrange(len(HELLO + AUTH))])
        elif stage > 1:
            equal(link.login()[0], 3, "kind of the frame after login")
        if stage == 3:
            link.socket.sendall(frame({0: 20, 1: 1, 2: []}))
        link.close()


def test_storm_of_connections(place):
    server = place.server()
    chance = random.Random(rig.settings.seed)
    rig.cli(server, "set", "e:0", "1")
    storm(server, 100, chance)
    n_fds = wait_for(lambda: settled_fds(server), "the descriptors to be closed")
    rss = rig.rss_kib(server.pid)
    n_rounds = rig.size(5, 2)
    for _ in range(n_rounds):
        storm(server, 500 // n_rounds, chance)
    wait_for(lambda: rig.n_fds(server.pid) <= n_fds, "the descriptors to be closed again")
    grown = rig.rss_kib(server.pid) - rss
    rig.say(f"grown by {grown} KiB over 500 links")
    check(rig.settings.sanitized or grown < 4096, f"it has grown by {grown} KiB")  # ASan keeps what is freed
    equal(rig.cli(server, "get", "e:0").strip(), "1", "the value afterwards")


def settled_fds(server):
    n_fds = rig.n_fds(server.pid)
    return n_fds if n_fds < 40 else 0


rig.main(test_watchers_and_writers, test_more_links_than_there_may_be, test_storm_of_connections)
