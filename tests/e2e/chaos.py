# SPDX-License-Identifier: Apache-2.0
"""
Three servers under load, of which any is killed at any moment, stopped, or put back to a backup; the
broker dies, too.  Afterwards all have the same, and what was acknowledged is there, unless something
greater has replaced it.
"""
import os
import random
import shutil
import signal

import cbor2

import cluster
import rig
from rig import check, wait_for

N_SHARED = 200  # paths that all write to
N_OWN = 100     # paths that only one writer knows
WINDOW = 100    # writes of one writer that are not answered
STEP = 400       # answers between two blows, at most


class Load:
    """Writers at every server, and one that goes wherever there is one."""

    def __init__(self, place, servers, chance):
        everywhere = ",".join(server.address for server in servers)
        self.chance = chance
        self.writers = [rig.Writer(place, server, blind=i % 2 == 0)
                        for i, server in enumerate(servers)]
        self.writers.append(rig.Writer(place, everywhere, blind=False))
        self.sent = [{} for _ in self.writers]  # number of the line -> (path, value)

    def _write(self, index):
        writer, chance = self.writers[index], self.chance
        path = (f"p:{chance.randrange(N_SHARED)}" if chance.random() < 0.5
                else f"w{index}:{chance.randrange(N_OWN)}")
        value = None if chance.random() < 0.15 else f"{index} {writer.n_sent}"
        number = writer.send(path, None if value is None else cbor2.dumps(value))
        self.sent[index][number] = path, value

    def pump(self):
        for index, writer in enumerate(self.writers):
            check(writer.process.is_running(), f"a writer died:\n{writer.process.words()}")
            for _ in range(WINDOW - writer.n_open()):
                self._write(index)
            writer.flush()

    def n_answered(self):
        return sum(writer.n_sent - writer.n_open() for writer in self.writers)

    def go_on(self, n_answers):
        """Lets them write until so many more are answered."""
        end = self.n_answered() + n_answers

        def is_far_enough():
            self.pump()
            return self.n_answered() >= end
        wait_for(is_far_enough, lambda: f"{n_answers} answers", 120)

    def rest(self):
        """Until nothing is on its way."""
        wait_for(lambda: all(writer.n_open() == 0 for writer in self.writers),
                 lambda: f"the last answers: {[writer.n_open() for writer in self.writers]}", 120)

    def writes(self):
        """path -> [(stamp, value)] of all that was acknowledged."""
        found = {}
        for writer, sent in zip(self.writers, self.sent):
            refused = [answer for answer in writer.answered() if answer[1] != 0]
            check(not refused, f"refused: {refused[:5]}")
            for number, stamp in writer.stamps().items():
                path, value = sent[number]
                found.setdefault(path, []).append((stamp, value))
        return found


class Storm:
    def __init__(self, place, chance):
        self.chance = chance
        self.place = place
        self.broker = place.broker(["max_inflight_messages 60000"])
        self.servers = cluster.start(place, [self.broker.address] * 3)
        self.load = Load(place, self.servers, chance)
        self.backup = None  # (server, folder)
        self.counts = {}

    def _revive(self, servers):
        for server in servers:
            server.launch()

    def _until_ready(self):
        for server in self.servers:
            if not server.is_ready():
                server.until_ready()

    def kill_one(self):
        server = self.chance.choice(self.servers)
        server.kill()
        if self.chance.random() < 0.5:
            self.load.go_on(STEP // 4)
        self._revive([server])

    def kill_two(self):
        victims = self.chance.sample(self.servers, 2)
        for server in victims:
            server.kill()
        self.load.go_on(STEP // 4)
        self._revive(victims)

    def kill_all(self):
        for server in self.servers:
            server.kill()
        self._revive(self.chance.sample(self.servers, 3))

    def kill_broker(self):
        self._until_ready()
        self.broker.kill()
        self.broker.start()

    def stop_one(self):
        server = self.chance.choice(self.servers)
        server.process.signal(signal.SIGSTOP)
        self.load.go_on(STEP // 4)
        server.process.signal(signal.SIGCONT)

    def take_backup(self):
        """Of a server that was ended; later to be put back."""
        server = self.chance.choice(self.servers)
        folder = os.path.join(self.place.path, "backup")
        self._until_ready()
        server.end()
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(server.state, folder, ignore=shutil.ignore_patterns("*.sock"))
        self.backup = server, folder
        self._revive([server])

    def put_back(self):
        """What only this server has acknowledged would be lost by right: so there is none."""
        if self.backup is None:
            self.take_backup()
            self.load.go_on(STEP // 4)
        server, folder = self.backup
        self._until_ready()
        self.load.rest()
        cluster.until_converged(self.servers, 60)
        server.end()
        if self.chance.random() < 0.5:  # the data alone: the note beside them tells it is older
            shutil.copy(os.path.join(folder, "data.mdb"), server.state)
        else:
            shutil.rmtree(server.state)
            shutil.copytree(folder, server.state)
        server.start()
        check("from a backup" in server.words(), f"it was not noticed:\n{server.words()}")

    def blow(self):
        doing = self.chance.choices(
            [self.kill_one, self.kill_two, self.kill_all, self.kill_broker, self.stop_one,
             self.take_backup, self.put_back], [8, 3, 1, 1, 2, 1, 1])[0]
        self.do(doing)

    def do(self, doing):
        self.counts[doing.__name__] = self.counts.get(doing.__name__, 0) + 1
        doing()
        if self.chance.random() < 0.5:
            self._until_ready()
        self.load.go_on(self.chance.randrange(STEP))

    def calm(self):
        self._until_ready()
        self.load.go_on(STEP // 4)
        self.load.rest()
        cluster.until_converged(self.servers, 120)
        cluster.same_dumps(self.servers)
        writes = self.load.writes()
        cluster.kept(self.servers, writes)
        rig.say(f"{self.counts}: {sum(map(len, writes.values()))} writes acknowledged")


def test_chaos(place):
    storm = Storm(place, random.Random(rig.settings.seed))
    for _ in range(rig.size(12, 5, 300)):
        storm.blow()
    storm.calm()


def test_backup_is_put_back(place):
    storm = Storm(place, random.Random(rig.settings.seed))
    storm.load.go_on(STEP)
    for doing in (storm.take_backup, storm.kill_one, storm.put_back, storm.kill_one):
        storm.do(doing)
    storm.calm()


rig.main(test_chaos, test_backup_is_put_back, at_once=2)
