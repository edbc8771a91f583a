# SPDX-License-Identifier: Apache-2.0
"""Starts servers and brokers for the tests, runs the cases, and speaks raw bytes on links."""
import atexit
import ctypes
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
import traceback
from pathlib import Path

import wire
from moatkv_foreign import Client
from net import connect_stream

DEADLINE_S = 60
PR_SET_PDEATHSIG = 1


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


class Process:
    """A child that has said that it is ready."""

    def __init__(self, command, log, is_ready):
        self.log = log
        with open(log, "ab") as out:
            start = out.tell()
            self.child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                preexec_fn=die_with_parent,
            )
        atexit.register(self.kill)
        deadline = time.monotonic() + DEADLINE_S
        while not is_ready(self.text(start)):
            if self.child.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} does not start: {self.text(start)[-2000:]}")
            time.sleep(0.01)
        self.start_text = self.text(start)

    def text(self, start=0):
        with open(self.log, "rb") as log:
            log.seek(start)
            return log.read().decode(errors="replace")

    def kill(self):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()

    def stop(self):
        """In order; returns what is wrong about it."""
        if self.child.poll() is None:
            self.child.terminate()
        status = self.child.wait(DEADLINE_S)
        return [] if status == 0 else [f"exit status {status}"]


class Server:
    """A moat-kvd in a directory of its own."""

    def __init__(self, program, *options, settings=None):
        self.dir = Path(tempfile.mkdtemp(prefix="moat-kv-foreign-"))
        atexit.register(shutil.rmtree, self.dir, ignore_errors=True)
        self.address = f"unix:{self.dir}/link.sock"
        self.command = [program, "--name", "srv", "--state", str(self.dir)]
        self.command += ["--listen", self.address, *options]
        if settings:
            config = self.dir / "config.yaml"
            config.write_text("".join(f"{key}: {value}\n" for key, value in settings.items()))
            self.command += ["--config", str(config)]
        self.log = self.dir / "log"
        self.start()

    def start(self):
        self.process = Process(self.command, self.log, lambda text: "\nready " in "\n" + text)
        ready = self.process.start_text[self.process.start_text.index("ready ") :].splitlines()[0]
        said = [word.split("=", 1) for word in ready.split()[1:]]
        self.broker = dict(said)["broker"]

    def kill(self):
        self.process.kill()

    def stop(self):
        """Ends the server; returns what it did wrong, if anything."""
        findings = self.process.stop()
        for line in self.process.text().splitlines():
            if "Sanitizer" in line or "runtime error" in line or "assert" in line:
                findings.append(line)
        return findings


class Mosquitto:
    """A plain broker, as anybody may have it."""

    def __init__(self):
        self.dir = Path(tempfile.mkdtemp(prefix="moat-kv-broker-"))
        atexit.register(shutil.rmtree, self.dir, ignore_errors=True)
        self.port = free_port()
        self.address = f"mqtt://127.0.0.1:{self.port}"
        self.config = self.dir / "mosquitto.conf"
        self.config.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\n")
        self.start()

    def start(self):
        command = [shutil.which("mosquitto", path="/usr/sbin:/usr/bin"), "-c", str(self.config)]
        self.process = Process(command, self.dir / "log", lambda text: " running" in text)


class Cases:
    """Runs each case with a loop of its own; what it raises is what it found."""

    def __init__(self, report):
        self.report = report

    def run(self, name, case, *args):
        started = time.monotonic()
        try:
            findings = case(*args) or []
        except Exception:
            findings = traceback.format_exc().splitlines()[-12:]
        self.report.rule(name, findings)
        print(f"# {time.monotonic() - started:.1f} s", flush=True)


def equal(found, wanted, what=""):
    if found != wanted:
        raise AssertionError(f"{what} is {found!r}, not {wanted!r}")


def ready_client(loop, server_or_address, **options):
    """A client that is heard."""
    address = getattr(server_or_address, "address", server_or_address)
    client = Client(loop, address, **options)
    loop.until(lambda: client.is_heard or client.errors, DEADLINE_S, "birth")
    equal(client.errors, [], "errors")
    return client


def settle(loop, *writes, seconds=DEADLINE_S):
    is_settled = lambda: all(write.state != "pending" for write in writes)
    loop.until(is_settled, seconds, f"an answer to {len(writes)} writes")


def ask(loop, request, seconds=DEADLINE_S):
    loop.until(lambda: request.done, seconds, "an answer")
    return request


def answered(loop, request, seconds=DEADLINE_S):
    ask(loop, request, seconds)
    equal(request.error, None, "the error")
    return request


def entries_below(loop, client, path, **options):
    """{ordered key: Entry} as the server has them."""
    reading = answered(loop, client.read(path, **options))
    equal(reading.answer["count"], len(reading.rows), "the count at the end")
    return {wire.path_key(found): entry for found, entry in reading.rows}


def entry_at(loop, client, path, **options):
    found = entries_below(loop, client, path, depths=(0, 0), tombstones=True, **options)
    return found.get(wire.path_key(path))


def synced_watch(loop, client, path):
    watch = client.watch(path)
    loop.until(lambda: watch.is_synced, DEADLINE_S, "a synced watch")
    return watch


def agrees(loop, watch):
    """Waits until the watch has what the server has."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        request = watch.client.check(watch.path)
        answered(loop, request)
        found = watch.digest()
        wanted = request.answer["count"], request.answer["digest"]
        if found == wanted:
            return
        if time.monotonic() > deadline:
            raise AssertionError(f"a watch holds {found}, the server {wanted}")
        loop.turn()


class RawLink:
    """A link for frames that no client would send. Blocks, with a deadline."""

    def __init__(self, address):
        self.stream = connect_stream(address)
        self.stream.settimeout(DEADLINE_S)
        self.received = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()

    def send(self, kind, fields):
        self.send_frame(wire.encode_frame(kind, fields))

    def send_frame(self, frame):
        self.send_bytes(struct.pack(">I", len(frame)) + frame)

    def send_bytes(self, data):
        try:
            self.stream.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # closed already: recv() says so

    def _fill(self, n):
        while len(self.received) < n:
            try:
                data = self.stream.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                return False
            self.received += data
        return True

    def recv(self):
        """The next frame as (kind, fields), or None at the end of the link."""
        if not self._fill(4):
            equal(self.received, b"", "half a frame at the end")
            return None
        n = struct.unpack(">I", self.received[:4])[0]
        if not self._fill(4 + n):
            raise AssertionError("half a frame at the end")
        frame, self.received = self.received[4 : 4 + n], self.received[4 + n :]
        return wire.read_frame(frame)

    def rest(self):
        """All frames up to the end of the link."""
        return list(iter(self.recv, None))

    def half_close(self):
        try:
            self.stream.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def open(self):
        """Up to the session, whose fields it returns."""
        self.hello()
        self.send(wire.AUTH, {2: "EXTERNAL"})
        kind, session = self.recv()
        equal(kind, wire.SESSION, "the kind")
        return session

    def hello(self):
        equal(self.recv()[0], wire.HELLO, "the kind")
        self.send(wire.HELLO, {2: wire.VERSIONS, 3: [], 4: "raw"})
