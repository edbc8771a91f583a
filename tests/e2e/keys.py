# SPDX-License-Identifier: Apache-2.0
"""
The cluster's keys: who joins by a token and who is refused, what is said of mistakes, and how a key
is changed while servers run.

    keys.py BUILD plain|sanitized
"""
import os
import signal
import stat
import subprocess

import rig


def kvd(*arguments, stdin="", wanted=0):
    program = os.path.join(rig.settings.build, "src/daemon/moat-kvd")
    done = subprocess.run([program, *arguments], input=stdin, capture_output=True, text=True,
                          check=False, timeout=rig.patience(30))
    rig.equal(done.returncode, wanted, f"exit status of {arguments}: {done.stderr}")
    return done.stdout if wanted == 0 else done.stderr


def token_of(server):
    return kvd("key", "--state", server.state)


def key_file(server):
    return os.path.join(server.state, "cluster.key")


def content(name):
    with open(name, encoding="ascii") as file:
        return file.read()


def write(place, name, text):
    path = os.path.join(place.path, name)
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    return path


def founder(place):
    return rig.Server(place, "first", token=None, options=["--ping", "1"]).start()


def second(place, first, token=None):
    return rig.Server(place, "second", broker=first.broker, token=token, options=["--ping", "1"])


def test_who_has_the_token_joins(place):
    first = founder(place)
    rig.equal(stat.S_IMODE(os.stat(key_file(first)).st_mode), 0o600, "mode of the key's file")
    rig.cli(first, "set", "lamp", "1")
    server = second(place, first, write(place, "token", token_of(first))).start()
    rig.equal(rig.cli(server, "get", "lamp").strip(), "1", "what it has read")
    rig.equal(content(key_file(server)), content(key_file(first)), "keys")
    rig.equal(server.end(), 0, "exit status")
    server.keys = []  # the token is needed once
    server.start()


def test_who_has_no_token_is_refused_and_can_join_later(place):
    first = rig.Server(place, "first", token=None, options=["--ping", "1", *rig.OPEN]).start()
    server = second(place, first).launch()
    rig.equal(server.process.wait(), 3, "exit status without a token")
    rig.check("--join-file" in server.words(), server.words())
    rig.check(not os.path.exists(key_file(server)), "a key was left behind")
    rig.wait_for(lambda: "'second'" in first.words(), "the first one to tell of it")
    server.keys = ["--join-file", write(place, "token", token_of(first))]
    server.start()


def test_mistakes_are_said_and_change_nothing(place):
    first = founder(place)
    token = token_of(first)
    good = content(key_file(first))
    first.end()
    bad = write(place, "bad", token[:20] + ("A" if token[20] != "A" else "B") + token[21:])
    state = os.path.join(place.path, "state-other")
    words = kvd("--state", state, "--join-file", bad, wanted=3)
    rig.check("mistake" in words, words)
    words = kvd("--state", state, "--root", "else", "--join-file", write(place, "t", token),
                wanted=3)
    rig.check("moat/main" in words, words)
    words = kvd("--state", first.state, "--join-file", rig.TOKEN, wanted=3)
    rig.check("another cluster" in words, words)
    rig.equal(content(key_file(first)), good, "the keys")
    rig.check("no '" in kvd("key", "--state", state, wanted=3), "there is no key")
    rig.check("--join-file" in kvd("key", "join", "--state", state, wanted=2), "no token named")


def test_a_damaged_file_stays_as_it_is(place):
    first = founder(place)
    first.end()
    good = content(key_file(first))
    for damage in ("", good[:-2], good.replace(good[20], "0" if good[20] != "0" else "1", 1)):
        with open(key_file(first), "w", encoding="ascii") as file:
            file.write(damage)
        words = kvd("--state", first.state, wanted=3)
        rig.check("damaged" in words, words)
        rig.equal(content(key_file(first)), damage, "the damaged file")


def test_a_file_that_others_can_read_is_refused(place):
    first = founder(place)
    first.end()
    os.chmod(key_file(first), 0o640)
    words = kvd("--state", first.state, wanted=3)
    rig.check(f"chmod 600 {key_file(first)}" in words, words)
    os.chmod(key_file(first), 0o600)
    first.start()


def test_a_key_is_changed_while_servers_run(place):
    first = founder(place)
    server = second(place, first, write(place, "token", token_of(first))).start()
    token = kvd("key", "rotate", "--state", first.state)
    rig.equal(len(content(key_file(first)).splitlines()), 2, "keys after the change")
    first.process.signal(signal.SIGHUP)
    rig.wait_for(lambda: "'first'" in server.words(), "the second one to hear a new key")
    server.kill()
    server.keys = []
    server.launch()
    rig.wait_for(lambda: "waits for one of its own cluster" in server.words(),
                 "it to keep away from what it cannot check")
    kvd("key", "join", "--state", server.state, "--join-file", "-", stdin=token)
    server.process.signal(signal.SIGHUP)
    server.until_ready()
    rig.cli(first, "set", "lamp", "2")
    rig.wait_for(lambda: rig.run_cli(server, "get", "lamp").stdout.strip() == "2", "the value")
    rig.wait_for(lambda: rig.run_cli(first, "status", "--converged").returncode == 0, "converged")


rig.main(test_who_has_the_token_joins, test_who_has_no_token_is_refused_and_can_join_later,
         test_mistakes_are_said_and_change_nothing, test_a_damaged_file_stays_as_it_is,
         test_a_file_that_others_can_read_is_refused, test_a_key_is_changed_while_servers_run)
