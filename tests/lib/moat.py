# SPDX-License-Identifier: Apache-2.0
"""
Starts servers, runs the command line, and reports what holds, for tests in Python:

    with moat.Folder() as folder, moat.Server(folder + "/state") as server:
        moat.Cli(server.address).check("set", "lamp", "true")

The programs are those that MOAT_KVD and MOAT_KV name.  Nothing here waits for a fixed time: it
waits for what must come, and raises when that has not come within DEADLINE_S, which is far beyond
what a machine under load needs.

Start servers and programs from the main thread: they end with the thread that started them.
"""
import collections
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

TOKEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cluster.token")
DEADLINE_S = 90.0
PAUSE_S = 0.02

LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


class Failure(Exception):
    """Something that must hold does not; its text says what."""


def program(variable):
    path = os.environ.get(variable)
    if not path:
        raise Failure(f"{variable} must name the program")
    return path


def wait_until(what, condition, deadline_s=DEADLINE_S):
    """Asks until the condition is true, and returns what it was then."""
    end = time.monotonic() + deadline_s
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise Failure(f"not within {deadline_s:.0f} s: {what}")
        time.sleep(PAUSE_S)


def ends_with_parent():
    """In a child: a test that is killed leaves nothing behind."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Folder:
    """A new folder with a short name, since names of sockets have at most 107 bytes."""

    def __init__(self):
        self.path = tempfile.mkdtemp(prefix="moat-", dir="/tmp")

    def __enter__(self):
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)


class Process:
    """A program in the background whose output can be waited for."""

    def __init__(self, arguments, environment=None, stdin=subprocess.DEVNULL):
        self.lines = {"out": [], "err": []}
        self.changed = threading.Condition()
        self.process = subprocess.Popen(
            arguments, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=environment, preexec_fn=ends_with_parent)
        self.pid = self.process.pid
        self.readers = [threading.Thread(target=self._read, args=(name, stream), daemon=True)
                        for name, stream in (("out", self.process.stdout),
                                             ("err", self.process.stderr))]
        for reader in self.readers:
            reader.start()

    def _read(self, name, stream):
        for line in stream:
            with self.changed:
                self.lines[name].append(line.rstrip(b"\n").decode("utf-8", "backslashreplace"))
                self.changed.notify_all()
        with self.changed:
            self.lines[name].append(None)  # the end
            self.changed.notify_all()

    def output(self, name="out"):
        with self.changed:
            return [line for line in self.lines[name] if line is not None]

    def wait_for_line(self, match, name="out", start=0, deadline_s=DEADLINE_S):
        """
        The first line from number @start on that begins with @match, or for which it is true;
        returns its number and text.
        """
        if isinstance(match, str):
            beginning = match
            match = lambda line: line.startswith(beginning)
        end = time.monotonic() + deadline_s
        with self.changed:
            while True:
                lines = self.lines[name]
                for number in range(start, len(lines)):
                    if lines[number] is not None and match(lines[number]):
                        return number, lines[number]
                left = end - time.monotonic()
                if left <= 0 or (lines and lines[-1] is None):
                    raise Failure(f"{self.process.args[0]} did not say what was waited for; "
                                  f"it said: {self.lines}")
                self.changed.wait(left)

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, deadline_s=DEADLINE_S):
        """The exit status, once it has ended and all that it printed has been read."""
        try:
            status = self.process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.process.args[0]} did not end within {deadline_s:.0f} s") from None
        for reader in self.readers:
            reader.join(deadline_s)
        return status

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Server:
    """A moat-kvd.  It can be stopped and started again with the same state."""

    def __init__(self, state, name="t1", arguments=(), environment=None, start=True):
        self.arguments = [program("MOAT_KVD"), "--state", state, "--name", name,
                          "--join-file", TOKEN, *arguments]
        self.environment = environment
        self.process = None
        self.facts = {}
        if start:
            self.start()

    def start(self, deadline_s=DEADLINE_S):
        """Waits until it serves; the facts are those of its "ready" line."""
        self.process = Process(self.arguments, self.environment)
        try:
            line = self.process.wait_for_line("ready ", deadline_s=deadline_s)[1]
        except Failure:
            self.kill()
            raise
        self.facts = collections.defaultdict(list)
        for word in line.split()[1:]:
            key, _, value = word.partition("=")
            self.facts[key].append(value)
        return self

    @property
    def address(self):
        """Where a client reaches it."""
        return self.facts["listen"][0]

    @property
    def broker(self):
        return self.facts["broker"][0]

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        return self.process.output("err")

    def stop(self, deadline_s=DEADLINE_S):
        """In order; returns its exit status."""
        self.process.signal(signal.SIGTERM)
        return self.process.wait(deadline_s)

    def kill(self):
        """As a power cut would."""
        self.process.signal(signal.SIGKILL)
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process is not None and self.process.process.poll() is None:
            self.process.signal(signal.SIGTERM)
        if self.process is not None:
            try:
                self.process.wait(20)
            except Failure:
                self.kill()


class Result:
    """What a run of the command line came to."""

    def __init__(self, arguments, status, out, err):
        self.arguments = arguments
        self.status = status
        self.out = out
        self.err = err

    @property
    def text(self):
        return self.out.decode("utf-8")

    @property
    def error(self):
        return self.err.decode("utf-8")

    @property
    def lines(self):
        return self.text.splitlines()

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def jsonl(self):
        return [json.loads(line) for line in self.lines]

    def __str__(self):
        return f"{self.arguments} -> {self.status}, out {self.out[:2000]}, err {self.err[:2000]}"


class Cli:
    """Runs moat-kv; behind @prefix, which may be a program that makes somebody else of us."""

    def __init__(self, server=None, environment=None, prefix=()):
        self.prefix = list(prefix)
        self.environment = dict(os.environ if environment is None else environment)
        for name in ("MOAT_KV_SERVER", "MOAT_KV_BROKER", "MOAT_KV_ROOT", "COLUMNS"):
            self.environment.pop(name, None)
        if server is not None:
            self.environment["MOAT_KV_SERVER"] = server

    def run(self, *arguments, stdin=b"", deadline_s=DEADLINE_S, **environment):
        """Runs to the end, whatever that is; further names are environment variables."""
        try:
            done = subprocess.run([*self.prefix, program("MOAT_KV"), *arguments], input=stdin,
                                  capture_output=True, timeout=deadline_s, check=False,
                                  env={**self.environment, **environment})
        except subprocess.TimeoutExpired:
            raise Failure(f"moat-kv {arguments} did not end within {deadline_s:.0f} s") from None
        return Result(arguments, done.returncode, done.stdout, done.stderr)

    def check(self, *arguments, status=0, **more):
        """The same, but it must end with this status, and without a word if that is 0."""
        result = self.run(*arguments, **more)
        if result.status != status:
            raise Failure(f"{result}, but {status} was expected")
        if status != 0 and not is_message(result.error) and status not in (130, 141):
            raise Failure(f"{result}: that is no message")
        return result

    def start(self, *arguments, stdin=subprocess.DEVNULL, **environment):
        """In the background."""
        return Process([*self.prefix, program("MOAT_KV"), *arguments],
                       {**self.environment, **environment}, stdin)


def is_message(text):
    """Lines as "moat-kv: what: why; mend", and at least one of them."""
    lines = text.splitlines()
    return bool(lines) and all(line.startswith("moat-kv: ") for line in lines)


def expect(condition, *what):
    if not condition:
        raise Failure(" ".join(str(part) for part in what) or "it does not hold")


def expect_equal(got, wanted, what=""):
    if got != wanted:
        raise Failure(f"{what or 'got'}: {got!r:.3000}, but {wanted!r:.3000} was expected")


def run_cases(cases):
    """
    Runs (name, function) pairs in order as TAP cases, and exits.  A case fails by an exception.
    """
    failed = 0
    print(f"1..{len(cases)}", flush=True)
    for number, (name, case) in enumerate(cases, 1):
        started = time.monotonic()
        try:
            case()
            verdict = "ok"
        except Exception as error:  # a case may fail in any way
            verdict = "not ok"
            failed += 1
            note = str(error) if isinstance(error, Failure) else traceback.format_exc()
            for line in note.splitlines():
                print(f"# {line}")
        print(f"{verdict} {number} - {name} ({time.monotonic() - started:.1f} s)", flush=True)
    sys.exit(1 if failed else 0)
