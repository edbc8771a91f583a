# SPDX-License-Identifier: Apache-2.0
"""
Debian's iso-codes, some 54,000 leaves: imported, dumped and watched; then again with server and
broker killed at any moment.  Nothing that was acknowledged may be missing, and all agree at the end.
"""
import glob
import json
import os
import random
import re
import subprocess
import time

import cbor2

import rig
from rig import check, equal, wait_for

FOLDER = "/usr/share/iso-codes/json"


def documents(names=None):
    """Name -> path of the file; the name is a path element."""
    found = {os.path.basename(path).removesuffix(".json"): path
             for path in sorted(glob.glob(f"{FOLDER}/iso_*.json"))}
    if not found:
        raise rig.Skipped("needs the package iso-codes")
    return {name: path for name, path in found.items() if names is None or name in names}


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def dotted(elements):
    """Text and integers only, as in the protocol's section 3.3."""
    text = ""
    for element in elements:
        if isinstance(element, int):
            text += f":{element}"
        else:
            word = element.replace(":", "::").replace(".", ":.").replace(" ", ":_") or ":e"
            text += ("." if text and word != ":e" else "") + word
    return text or ":"


def leaves(document, path):
    """(elements, value) of each leaf."""
    if isinstance(document, dict) and document:
        for key, member in document.items():
            yield from leaves(member, path + [key])
    elif isinstance(document, list) and document:
        for index, member in enumerate(document):
            yield from leaves(member, path + [index])
    else:
        yield path, document


def tree_of_documents(files, top):
    return {dotted(path): value for name, file in files.items()
            for path, value in leaves(load(file), [top, name])}


def counts(text):
    found = re.search(r"(\d+) written, (\d+) unchanged", text)
    check(found, f"no counts in {text!r}")
    return int(found.group(1)), int(found.group(2))


def run_import(server, file, at, wanted=0):
    """Returns how many were written and how many were there."""
    done = rig.run_cli(server, "import", file, "--at", at, seconds=120)
    check(done.returncode == wanted, f"import of {file}: exit status {done.returncode}: {done.stderr}")
    return counts(done.stdout + done.stderr)


def test_import_dump_and_watch(place):
    files = documents(rig.size(None, ["iso_3166-1", "iso_4217", "iso_15924", "iso_639-2"]))
    wanted = tree_of_documents(files, "iso")
    server = place.server()
    watchers = [rig.Watcher(place, server, "iso").until_synced()]
    for i, (name, file) in enumerate(files.items()):
        if i == len(files) // 2:
            watchers.append(rig.Watcher(place, server, "iso"))
        written, unchanged = run_import(server, file, dotted(["iso", name]))
        equal((written, unchanged), (len(list(leaves(load(file), []))), 0), f"counts of {name}")
    rig.same_trees(rig.tree_of(server, "iso"), wanted, "the server")
    for watcher in watchers:
        watcher.until_synced().until_equal(wanted)
    for name, file in files.items():
        dump = rig.cli(server, "-o", "json", "dump", dotted(["iso", name]))
        check(json.loads(dump) == load(file), f"the dump of {name} differs from the file")
    name, file = list(files.items())[0]
    equal(run_import(server, file, dotted(["iso", name]))[0], 0, "written by a second import")
    server.kill()
    server.start()
    rig.same_trees(rig.tree_of(server, "iso"), wanted, "the server after kill -9")
    for watcher in watchers:
        watcher.until_equal(wanted)


class Chaos:
    """Kills what it is told to at random moments, and starts the server again."""

    def __init__(self, server, seed):
        self.server = server
        self.random = random.Random(seed)
        self.n = {"server": 0, "broker": 0, "both": 0}

    def strike(self):
        what = self.random.choice(list(self.n))
        broker = self.server.broker_pid()
        self.n[what] += 1
        if what == "broker":
            if broker:
                rig.kill(broker)
            return
        if what == "both" and broker:
            rig.kill(broker)
        self.server.kill()
        if broker:
            wait_for(lambda: not rig.is_alive(broker), "mosquitto to end with its parent")
        self.server.start()


def test_kill_during_import(place):
    seed = rig.settings.seed
    files = documents(rig.size(["iso_3166-1", "iso_3166-2", "iso_15924", "iso_4217", "iso_639-2"],
                               ["iso_3166-1", "iso_15924", "iso_4217", "iso_639-2"]))
    server = place.server()
    early = rig.Watcher(place, server, ":")
    late = None
    writer = rig.Writer(place, server)
    wanted = tree_of_documents(files, "w")
    for path, value in wanted.items():
        writer.send(path, cbor2.dumps(value))
    writer.finish()
    imports = [subprocess.Popen(rig.cli_command(server, "--timeout", "60", "import", file, "--at",
                                                dotted(["iso", name])),
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
               for name, file in list(files.items())[:3]]
    chaos = Chaos(server, seed)
    paths = list(wanted)
    n_rounds = rig.size(12, 6)
    for n_round in range(n_rounds):
        n_before = len(writer.answered())
        pause = chaos.random.random() * rig.size(0.4, 1.0)
        wait_for(lambda n=n_before: len(writer.answered()) > n or not writer.process.is_running(),
                 "a write to be acknowledged after a restart", 40)
        time.sleep(pause)  # the moment of the blow
        chaos.strike()
        acked = writer.acked()
        held = rig.tree_of(server)
        lost = [paths[n - 1] for n in acked if held.get(paths[n - 1], acked) != wanted[paths[n - 1]]]
        equal(lost, [], f"acknowledged and lost after blow {n_round + 1}")
        if n_round == n_rounds // 2:
            late = rig.Watcher(place, server, ":")
            wait_for(lambda: late.n_synced, "the watcher from the middle")  # it may not be killed before
    rig.say(f"seed {seed}: killed {chaos.n}")
    writer.wait(120)
    equal({status for _, status in writer.answered()}, {0}, "what became of the writes")
    equal(len(writer.answered()), len(wanted), "writes answered")
    for process in imports:
        try:
            check(process.wait(rig.patience(60)) in (0, 3), f"an import ended with {process.returncode}")
        except subprocess.TimeoutExpired:
            process.kill()
            raise rig.Failure("an import does not end") from None
    for name, file in files.items():
        n_leaves = len(list(leaves(load(file), [])))
        equal(sum(run_import(server, file, dotted(["iso", name]))), n_leaves, f"leaves of {name}")
        equal(run_import(server, file, dotted(["iso", name])), (0, n_leaves), "a second import")
    wanted.update(tree_of_documents(files, "iso"))
    rig.same_trees(rig.tree_of(server), wanted, "the server at the end")
    early.until_equal(wanted, "the watcher from before")
    late.until_equal(wanted, "the watcher from the middle")


rig.main(test_import_dump_and_watch, test_kill_during_import)
