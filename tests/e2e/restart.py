# SPDX-License-Identifier: Apache-2.0
"""How a server begins and ends: in order, in the way of another, without a broker, and killed."""
import os
import random
import shutil
import signal
import socket
import stat
import subprocess
import time

import rig  # first: it knows where the others are
import proxy
from rig import check, equal, wait_for

MOSQUITTO = "/usr/sbin/mosquitto"


def refused_start(server, wanted):
    """Starts a server that must not come up, and finds each of @wanted in what it says."""
    server.launch()
    equal(server.process.wait(), 3, "exit status")
    words = server.words()
    for word in wanted:
        check(word in words, f"{word!r} is not said:\n{words}")
    check(words.strip().count("\n") == 0 or words.strip().splitlines()[-1].startswith("moat-kvd: "),
          f"no clear last line:\n{words}")
    equal(server.process.popen.stdout.read(), b"", "standard output")


def sockets_in(directory):
    return [name for name in os.listdir(directory)
            if stat.S_ISSOCK(os.lstat(os.path.join(directory, name)).st_mode)]


def test_sigterm_ends_in_order(place):
    for number in (signal.SIGTERM, signal.SIGINT):
        server = place.server()
        child = server.broker_pid()
        check(child is not None, "there is no embedded broker")
        writer = rig.Writer(place, server)
        for i in range(2000):
            writer.send(f"a:{i}", b"\x01")
        writer.flush()
        wait_for(writer.acked, "an ACK")
        server.process.signal(number)
        equal(server.process.wait(), 0, "exit status")
        acked = writer.acked()
        writer.process.kill()
        check(not rig.is_alive(child), "its mosquitto has outlived it")
        equal(sockets_in(server.state), [], "sockets left behind")
        server.start()
        entries = {path: value for path, value in rig.tree_of(server).items()}
        lost = [number for number in acked if f"a:{number - 1}" not in entries]
        equal(lost, [], "acknowledged and lost")
        equal(server.end(), 0, "exit status")


def test_sigterm_during_the_start(place):
    random.seed(rig.settings.seed)
    for _ in range(rig.size(20, 8)):
        server = rig.Server(place, "early")
        server.launch()
        time.sleep(random.random() * rig.patience(0.03))  # any moment will do
        children = rig.children_of(server.process.pid)
        server.process.signal(signal.SIGTERM)
        status = server.process.wait()
        check(status in (0, -signal.SIGTERM), f"exit status {status}:\n{server.words()}")
        check(not [pid for pid in children if rig.is_alive(pid)], "a child is left")
    server = place.server("early")  # and nothing of all that is in the way
    equal(server.end(), 0, "exit status")


def test_second_server_in_the_same_directory(place):
    first = place.server("first")
    refused_start(rig.Server(place, "second", state=first.state), ["in use", first.state])
    check(first.process.is_running() and first.broker_pid(), "the first one has been disturbed")
    check(rig.answers(first.address), "the first one does not answer")


def test_addresses_in_use(place):
    first = place.server("first", options=["--listen", f"unix:{place.path}/x.sock", "--listen",
                                           f"tcp://127.0.0.1:{rig.free_port()}"])
    for address in first.listen:
        refused_start(rig.Server(place, "second", options=["--listen", address]),
                      ["another process" if "unix:" in address else "in use",
                       address.rsplit(":", 1)[1]])
    refused_start(rig.Server(place, "second", broker=f"embedded:{first.broker_port}"),
                  ["in use", str(first.broker_port)])
    check(rig.answers(first.address), "the first one does not answer")
    check(rig.answers(first.listen[1]), "the first one does not answer")


def test_stale_sockets_are_no_obstacle(place):
    server = place.server()
    child = server.broker_pid()
    server.kill()
    wait_for(lambda: not rig.is_alive(child), "mosquitto to end with its parent")
    check("link.sock" in sockets_in(server.state), "the test does not test what it should")
    server.start()
    check(rig.answers(server.address), "it does not answer")


def test_something_else_in_the_way(place):
    state = os.path.join(place.path, "taken")
    os.makedirs(os.path.join(state, "link.sock"))
    refused_start(rig.Server(place, "t1", state=state), ["link.sock"])
    with open(os.path.join(place.path, "file"), "w", encoding="ascii") as file:
        file.write("x")
    refused_start(rig.Server(place, "t1", state=os.path.join(place.path, "file")), ["file"])


def test_killed_parent_takes_its_broker_along(place):
    for _ in range(3):
        server = place.server()
        child = server.broker_pid()
        server.kill()
        wait_for(lambda: not rig.is_alive(child), "mosquitto to end with its parent")


def test_no_broker_program(place):
    if os.geteuid() != 0 or shutil.which("unshare") is None or \
            subprocess.run(["unshare", "-m", "true"], stderr=subprocess.DEVNULL, check=False).returncode != 0:
        raise rig.Skipped("hiding the program needs root and unshare")
    hidden = os.path.join(place.path, "hidden")
    with open(hidden, "w", encoding="ascii"):
        pass
    os.chmod(hidden, 0o644)
    command = (f"mount --bind {hidden} {os.path.realpath(MOSQUITTO)} || exit 99; "
               f'PATH={place.path}; exec "$0" "$@"')
    server = rig.Server(place, "t1", prefix=["unshare", "-m", "/bin/sh", "-c", command])
    refused_start(server, ["mosquitto", "install"])


def test_external_broker_comes_late(place):
    broker = rig.Broker(place)
    server = rig.Server(place, "late", broker=broker.address).launch()
    wait_for(lambda: broker.address.removeprefix("mqtt://") in server.words(), "a word on what is missing")
    check(server.process.is_running(), "it has given up")
    broker.start()
    line = rig.read_line(server.process.popen.stdout, "the line 'ready'", 60)
    check(line.startswith("ready ") and broker.address in line, line)
    equal(server.end(), 0, "exit status")
    check(broker.process.is_running(), "a broker that is not its own has been ended")


def test_nobody_answers_at_the_broker(place):
    """A port that takes connections and says nothing."""
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen(16)
        port = mute.getsockname()[1]
        server = rig.Server(place, "mute", broker=f"mqtt://127.0.0.1:{port}").launch()
        wait_for(lambda: str(port) in server.words(), "a word on the mute broker", 30)
        equal(server.end(), 0, "exit status")


def test_broker_has_several_addresses(place):
    broker = place.broker()
    wires = [proxy.Proxy(("127.0.0.1", broker.port)) for _ in range(2)]
    addresses = [f"mqtt://127.0.0.1:{wire.port}" for wire in wires]
    wires[0].cut()
    server = place.server(broker=addresses)
    equal(server.broker, addresses[1], "the address that is reached")
    writer = rig.Writer(place, server)
    for wire, other in (wires, wires[::-1]):
        other.cut()
        wire.heal()
        writer.send("a", b"\x01")
        writer.flush()
        wait_for(lambda: len(writer.acked()) == writer.n_sent, "an ACK over the other address")
    for wire in wires:
        wire.close()


def test_one_broker_only(place):
    for words in (["embedded", "mqtt://127.0.0.1"], ["mqtt://127.0.0.1", "embedded:1884"],
                  ["embedded", "embedded"], ["tcp://127.0.0.1"], ["embedded:x"],
                  ["mqtt://127.0.0.1"] * 9):
        server = rig.Server(place, "two", broker=words).launch()
        equal(server.process.wait(), 2, f"exit status with {words}")
        equal(server.words().count("\n"), 1, f"lines with {words}")


rig.main(test_broker_has_several_addresses, test_one_broker_only, test_sigterm_ends_in_order, test_sigterm_during_the_start,
         test_second_server_in_the_same_directory, test_addresses_in_use,
         test_stale_sockets_are_no_obstacle, test_something_else_in_the_way,
         test_killed_parent_takes_its_broker_along, test_no_broker_program,
         test_external_broker_comes_late, test_nobody_answers_at_the_broker)
