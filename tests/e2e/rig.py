# SPDX-License-Identifier: Apache-2.0
"""
What the tests of whole programs stand on: servers, brokers, writers and watchers as real
processes in a directory of their own, and TAP output.

    def test_something(place):          # place: a Place, cleaned up afterwards
        server = place.server()
        ...
    rig.main(test_something, ...)

Arguments of each test program: the build folder, and "plain" or "sanitized", which says how much
work to do and how long to wait; --soak for far more work.  Every wait has a deadline and an end that is waited for.
"""
import argparse
import atexit
import concurrent.futures
import glob
import json
import os
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e", "foreign"))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
TOKEN = os.path.join(ROOT, "tests", "lib", "cluster.token")


class Settings:
    build = os.path.join(ROOT, "build")
    sanitized = False
    soak = False
    seed = None


settings = Settings()


class Failure(Exception):
    """A test has failed; the text says why."""


class Skipped(Exception):
    """A test cannot run here; the text says why."""


def say(text):
    """A TAP comment."""
    for line in str(text).splitlines() or [""]:
        print(f"# {line}", flush=True)


def check(condition, text):
    if not condition:
        raise Failure(text)


def equal(found, wanted, what):
    if found != wanted:
        raise Failure(f"{what}: {shorten(found)} instead of {shorten(wanted)}")


def shorten(thing, length=600):
    text = repr(thing)
    return text if len(text) <= length else text[:length] + f"... ({len(text)} characters)"


def size(plain, sanitized, soak=None):
    """How much to do; @soak: where nobody waits for it."""
    if settings.soak and soak is not None:
        return soak
    return sanitized if settings.sanitized else plain


def patience(seconds):
    """How long to wait here for what takes less than @seconds on an idle machine."""
    return seconds * (6 if settings.sanitized else 3)


def wait_for(condition, what, seconds=20.0, step=0.01):
    """Waits until @condition() is true, and returns what it returned; @what may be callable."""
    end = time.monotonic() + patience(seconds)
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise Failure(f"waited in vain for {what() if callable(what) else what}")
        time.sleep(step)


# --- Processes ---------------------------------------------------------------------------------

def children_of(pid):
    found = []
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        try:
            with open(path, encoding="ascii") as file:
                found += [int(word) for word in file.read().split()]
        except OSError:
            pass
    return found


def start_time(pid):
    """Tells a process from a later one with the same number; None if there is none, or a zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def is_alive(pid):
    return start_time(pid) is not None


def command_of(pid):
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def rss_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))


def n_fds(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


ports_given = set()


def free_port():
    """Below those that the kernel gives to connections, or one might have it before it is used."""
    while True:
        port = random.SystemRandom().randrange(10000, 32768)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in ports_given:
            ports_given.add(port)
            return port


def kill(pid, number=signal.SIGKILL):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


class Process:
    """A child of ours, with its standard error in a file."""

    def __init__(self, place, name, arguments, prefix=(), env=None, stdin=subprocess.DEVNULL,
                 stdout=subprocess.PIPE, cwd=None):
        place.n_processes += 1
        self.name = name
        self.log = os.path.join(place.path, f"{place.n_processes}-{name}.log")
        environment = dict(os.environ, **(env or {}))
        with open(self.log, "wb") as log:
            self.popen = subprocess.Popen(list(prefix) + arguments, stdin=stdin, stdout=stdout,
                                          stderr=log, env=environment, cwd=cwd)
        self.pid = self.popen.pid
        place.processes.append(self)

    def is_running(self):
        return self.popen.poll() is None

    def signal(self, number):
        if self.is_running():
            self.popen.send_signal(number)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.popen.wait()

    def wait(self, seconds=20.0):
        try:
            return self.popen.wait(patience(seconds))
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} does not end") from None

    def end(self):
        """SIGTERM, and the exit status."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def words(self):
        """What it wrote on its standard error so far."""
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()


def read_line(stream, what, seconds=20.0):
    """One line from a pipe, without its end; "" at the end of the stream."""
    line = b""
    end = time.monotonic() + patience(seconds)
    while not line.endswith(b"\n"):
        left = end - time.monotonic()
        if left <= 0 or not select.select([stream], [], [], left)[0]:
            raise Failure(f"waited in vain for {what}")
        piece = os.read(stream.fileno(), 1)
        if not piece:
            break
        line += piece
    return line.decode(errors="replace").rstrip("\n")


class Server:
    """A moat-kvd that may die and be started again on the same state directory."""

    def __init__(self, place, name="t1", state=None, broker=None, options=(), prefix=(), env=None,
                 token=TOKEN):
        self.keys = ["--join-file", token] if token else []  # all servers of a test are one cluster
        self.place = place
        self.name = name
        self.state = state or os.path.join(place.path, f"state-{name}")
        brokers = [broker] if isinstance(broker, str) else broker or []
        self.options = list(options) + [word for one in brokers for word in ("--broker", one)]
        self.prefix = prefix
        self.env = env
        self.process = None
        self.broker = None
        self.listen = []
        self.ready_pid = None

    def is_ready(self):
        """Whether it has said so, as far as it was listened to."""
        return self.process.pid == self.ready_pid

    def launch(self):
        """Starts it, and does not wait."""
        arguments = [os.path.join(settings.build, "src/daemon/moat-kvd"), "--name", self.name,
                     "--state", self.state, *self.keys] + self.options
        self.process = Process(self.place, self.name, arguments, self.prefix, self.env)
        return self

    def start(self):
        return self.launch().until_ready()

    def until_ready(self):
        line = read_line(self.process.popen.stdout, "the line 'ready'", 30)
        if not line.startswith("ready "):
            self.process.wait()
            raise Failure(f"{self.name} does not start: {line!r}\n{self.process.words()}")
        self.ready_pid = self.process.pid
        self.listen = re.findall(r" listen=(\S+)", line)
        self.broker = re.search(r" broker=(\S+)", line).group(1)
        return self

    @property
    def pid(self):
        """Its own number, also below strace or unshare."""
        pid = self.process.pid
        while command_of(pid) != "moat-kvd":
            children = children_of(pid)
            if not children:
                raise Failure(f"{self.name} is gone:\n{self.process.words()}")
            pid = children[0]
        return pid

    @property
    def address(self):
        return self.listen[0]

    @property
    def broker_port(self):
        return int(self.broker.rsplit(":", 1)[1])

    def broker_pid(self):
        """Its mosquitto, or None while there is none."""
        found = [pid for pid in children_of(self.pid) if command_of(pid) == "mosquitto"]
        return found[0] if found else None

    def kill(self):
        self.process.kill()

    def end(self):
        return self.process.end()

    def words(self):
        return self.process.words()


OPEN = ["--guard", "off"]  # for tests that speak by hand what the guard would not let pass


def credential(server, *user):
    """What `moat-kvd credential` prints for mosquitto_sub, by option."""
    program = os.path.join(settings.build, "src/daemon/moat-kvd")
    words = subprocess.run([program, "credential", *user, "--name", server.name, "--state",
                            server.state, *server.options], capture_output=True, text=True,
                           check=True, timeout=patience(30)).stdout.split()
    return dict(zip(words[::2], words[1::2]))


def log_line(path, wanted):
    with open(path, encoding="utf-8", errors="replace") as log:
        return wanted in log.read()


class Broker:
    """A mosquitto of our own that is no child of a server's."""

    def __init__(self, place, lines=()):
        self.place = place
        self.port = free_port()
        self.address = f"mqtt://127.0.0.1:{self.port}"
        self.config = os.path.join(place.path, f"broker-{self.port}.conf")
        self.lines = [f"listener {self.port} 127.0.0.1", "allow_anonymous true", "user root",
                      "persistence false", "max_queued_messages 0", "log_dest stderr", *lines]
        self.process = None

    def start(self):
        with open(self.config, "w", encoding="utf-8") as config:
            config.write("\n".join(self.lines) + "\n")
        binary = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self.process = Process(self.place, "mosquitto", [binary, "-c", self.config])
        wait_for(lambda: accepts(self.port) or not self.process.is_running(), "mosquitto")
        check(self.process.is_running(), f"mosquitto does not start:\n{self.process.words()}")
        return self

    def kill(self):
        self.process.kill()


def accepts(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def answers(address):
    """Whether a server greets on a link address."""
    with socket.socket(socket.AF_UNIX if address.startswith("unix:") else socket.AF_INET) as link:
        link.settimeout(patience(10))
        try:
            if address.startswith("unix:"):
                link.connect(address.removeprefix("unix:"))
            else:
                link.connect(("127.0.0.1", int(address.rsplit(":", 1)[1])))
            return b"moat-kvd" in link.recv(1000)
        except OSError:
            return False


# --- The command line --------------------------------------------------------------------------

CLI = "src/cli/moat-kv"


def cli_command(server, *arguments):
    """@server: a Server, an address, or a list of options that say how to find one."""
    if not isinstance(server, list):
        server = ["--server", server if isinstance(server, str) else server.address]
    return [os.path.join(settings.build, CLI), *server, *arguments]


def cli(server, *arguments, stdin=None, seconds=60.0, wanted=0):
    """Runs moat-kv; returns its standard output as text.  @wanted: exit status, or None for any."""
    done = run_cli(server, *arguments, stdin=stdin, seconds=seconds)
    if wanted is not None and done.returncode != wanted:
        raise Failure(f"moat-kv {' '.join(arguments)[:200]}: exit status {done.returncode} instead "
                      f"of {wanted}: {done.stderr[-2000:]}")
    return done.stdout


def run_cli(server, *arguments, stdin=None, seconds=60.0):
    try:
        return subprocess.run(cli_command(server, *arguments), input=stdin, capture_output=True,
                              text=True, errors="replace", check=False, timeout=patience(seconds),
                              stdin=subprocess.DEVNULL if stdin is None else None)
    except subprocess.TimeoutExpired:
        raise Failure(f"moat-kv {' '.join(arguments)[:200]} does not end") from None


def tree_of(server, path=":"):
    """What the server holds: dotted path -> value as in JSON."""
    tree = {}
    lines = cli(server, "-o", "jsonl", "dump", path, seconds=120).splitlines()
    for line in lines:
        row = json.loads(line)
        if "path" in row and not row.get("deleted"):
            tree[row["path"]] = row["value"]
    check(lines and json.loads(lines[-1]).get("end"), "a dump without its end")
    return tree


class Watcher:
    """A `moat-kv watch` whose view is built from the lines that it prints."""

    def __init__(self, place, server, path=":"):
        self.tree = {}
        self.n_changes = 0
        self.n_synced = 0
        self.error = None
        self.process = Process(place, "watch", cli_command(server, "-o", "jsonl", "watch", path))
        self.pid = self.process.pid
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        try:
            for line in self.process.popen.stdout:
                self._take(json.loads(line))
        except Exception as error:  # pylint: disable=broad-except  # told by whoever waits
            self.error = f"{error!r}"

    def _take(self, row):
        if row["kind"] == "synced":
            self.n_synced += 1
            return
        self.n_changes += row["kind"] != "state"
        if row.get("deleted"):
            self.tree.pop(row["path"], None)
        else:
            self.tree[row["path"]] = row["value"]

    def check(self):
        if self.error or not self.process.is_running():
            raise Failure(f"a watcher died ({self.error}):\n{self.process.words()}")

    def until_synced(self, seconds=60.0):
        def synced():
            self.check()
            return self.n_synced > 0
        wait_for(synced, "a watcher's 'synced'", seconds)
        return self

    def until_equal(self, wanted, what="a watcher", seconds=60.0):
        def is_equal():
            self.check()
            return len(self.tree) == len(wanted) and dict(self.tree) == wanted
        wait_for(is_equal, lambda: f"{what} to see the tree: {difference(dict(self.tree), wanted)}"
                 f"\n{self.process.words()}", seconds, step=0.05)


def difference(found, wanted):
    """In words, where two trees differ."""
    missing = [path for path in wanted if path not in found]
    surplus = [path for path in found if path not in wanted]
    other = [path for path in found if path in wanted and found[path] != wanted[path]]
    return (f"{len(found)} entries instead of {len(wanted)}: {len(missing)} missing "
            f"{shorten(missing[:3], 200)}, {len(surplus)} too many {shorten(surplus[:3], 200)}, "
            f"{len(other)} differ {shorten([(p, found[p], wanted[p]) for p in other[:3]], 400)}")


def same_trees(found, wanted, what):
    if found != wanted:
        raise Failure(f"{what}: {difference(found, wanted)}")


def stamp_of(words):
    """What updates are ordered by, but for presence and value: (tock, name, seq, counter)."""
    tock, name, seq, counter = words
    return int(tock), str(name).encode(), int(seq), int(counter)


class Writer:
    """
    The program tests/e2e/writer.c: writes what it is given, and says which lines are acknowledged.
    """

    def __init__(self, place, server, blind=True, linger=False):
        self.answers = os.path.join(place.path, f"answers-{place.n_processes + 1}")
        self.n_sent = 0
        self._n_read = 0  # bytes of its answers
        self._answered = []
        self._stamps = {}
        self._losses = {}
        arguments = [os.path.join(settings.build, "tests/e2e/writer"),
                     server if isinstance(server, str) else server.address]
        with open(self.answers, "wb") as answers:
            self.process = Process(place, "writer", arguments + ["blind"] * blind
                                   + ["linger"] * linger, stdin=subprocess.PIPE, stdout=answers)

    def send(self, path, cbor):
        """One write; @cbor None deletes.  Returns the number of its line, from 1."""
        line = f"{path}\t{'' if cbor is None else cbor.hex()}\n"
        self.process.popen.stdin.write(line.encode())
        self.n_sent += 1
        return self.n_sent

    def flush(self):
        self.process.popen.stdin.flush()

    def finish(self):
        """No more writes: it ends when all are answered."""
        self.process.popen.stdin.close()

    def acked(self):
        """The numbers of the lines that have been acknowledged."""
        return set(self.stamps())

    def n_open(self):
        """How many writes have not been answered."""
        self._read()
        return self.n_sent - len(self._answered)

    def answered(self):
        self._read()
        return self._answered

    def stamps(self):
        """What was acknowledged: number of the line -> (tock, name, seq, counter)."""
        self._read()
        return self._stamps

    def losses(self):
        """The conflicts that were reported: stamp of the loser -> (path, stamp of the winner)."""
        self._read()
        return self._losses

    def _read(self):
        with open(self.answers, "rb") as answers:
            answers.seek(self._n_read)
            text = answers.read()
        text = text[:text.rfind(b"\n") + 1]  # a line that is being written counts not
        self._n_read += len(text)
        for line in text.decode().splitlines():
            words = line.split()
            if words[0] == "lost":
                self._losses[stamp_of(words[2:6])] = words[1], stamp_of(words[6:10])
                continue
            self._answered.append((int(words[0]), int(words[1])))
            if words[1] == "0":
                self._stamps[int(words[0])] = stamp_of(words[2:6])

    def wait(self, seconds=60.0):
        status = self.process.wait(seconds)
        check(status == 0, f"a writer ended with {status}:\n{self.process.words()}")


# --- Places and cases --------------------------------------------------------------------------

class Place:
    """A temporary directory, and the processes that were started in it."""

    def __init__(self, name):
        self.path = tempfile.mkdtemp(prefix=f"moat-kv-{name}-")
        self.processes = []
        self.n_processes = 0
        self.mounts = []

    def server(self, name="t1", **options):
        return Server(self, name, **options).start()

    def broker(self, lines=()):
        return Broker(self, lines).start()

    def words(self):
        """The last words of all, for a failure."""
        return "\n".join(f"--- {process.name} ({process.pid}) said:\n{process.words()[-3000:]}"
                         for process in self.processes if process.words())

    def clean(self):
        """Ends all that still runs; complains of what a sanitizer has found."""
        complaints = []
        for process in reversed(self.processes):
            for child in children_of(process.pid):
                if command_of(process.pid) in ("strace", "unshare"):
                    kill(child)
            if process.is_running():
                process.signal(signal.SIGCONT)
                process.signal(signal.SIGTERM)
                try:
                    process.popen.wait(patience(10))
                except subprocess.TimeoutExpired:
                    process.kill()
                    complaints.append(f"{process.name} ({process.pid}) had to be killed")
            for stream in (process.popen.stdin, process.popen.stdout):
                if stream and not isinstance(stream, int):
                    try:
                        stream.close()
                    except (OSError, ValueError):
                        pass
            found = re.search(r"(ERROR: \w+Sanitizer|runtime error:|Assertion|assertion)[^\n]*",
                              process.words())
            if found:
                complaints.append(f"{process.name} ({process.pid}): {found.group(0)}")
        return complaints

    def remove(self):
        while self.mounts:
            subprocess.run(["umount", "-l", self.mounts.pop()], check=False, capture_output=True)
        shutil.rmtree(self.path, ignore_errors=True)


def run_case(case, number):
    name = case.__name__.removeprefix("test_").replace("_", " ")
    place = Place(case.__name__.removeprefix("test_"))
    atexit.register(place.remove)
    started = time.monotonic()
    verdict, text, extra = "ok", "", ""
    try:
        case(place)
    except Skipped as skipped:
        extra = f" # SKIP {skipped}"
    except Failure as failure:
        verdict, text = "not ok", str(failure)
    except Exception:  # pylint: disable=broad-except  # whatever it is, the case has failed
        verdict, text = "not ok", traceback.format_exc()
    complaints = place.clean()
    if complaints:
        verdict = "not ok"
    text = "\n".join([f"{time.monotonic() - started:.1f} s", text, *complaints,
                      place.words() if verdict != "ok" else ""]).rstrip()
    place.remove()
    return verdict == "ok", f"{verdict} {number} - {name}{extra}", text


def main(*cases, at_once=1, soak=()):
    """
    Runs the cases; up to @at_once at the same time, for such as mostly wait.  With --soak also those
    of @soak, which take too much of the machine for every day.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("build", nargs="?", default=settings.build)
    parser.add_argument("how", nargs="?", choices=["plain", "sanitized"], default="plain")
    parser.add_argument("--soak", action="store_true", help="do far more, for hours if need be")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--only", help="a part of the name of the cases to run")
    arguments = parser.parse_args()
    settings.build = os.path.abspath(arguments.build)
    settings.sanitized = arguments.how == "sanitized"
    settings.soak = arguments.soak
    settings.seed = arguments.seed if arguments.seed is not None else random.randrange(1 << 31)
    cases += tuple(soak) if settings.soak else ()
    if arguments.only:
        cases = [case for case in cases if arguments.only in case.__name__]
    print(f"1..{len(cases)}", flush=True)
    say(f"seed {settings.seed}: rerun with --seed {settings.seed}")
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        n_failed = 0
        for good, line, text in pool.map(run_case, cases, range(1, len(cases) + 1)):
            print(line, flush=True)
            say(text)
            n_failed += not good
    sys.exit(1 if n_failed else 0)
