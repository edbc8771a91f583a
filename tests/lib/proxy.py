# SPDX-License-Identifier: Apache-2.0
"""
A wire that can be cut: forwards stream connections from an address of its own to another, counts
the bytes, and breaks them as networks do.

    wire = proxy.Proxy(("127.0.0.1", 1883))     # or the path of a unix socket
    connect(wire.port) ...
    wire.cut()        connections end, new ones are refused
    wire.stall()      nothing comes through and nobody is told
    wire.heal()
    wire.close()

Addresses are (host, port) or the path of a unix socket.  It runs in a thread of its own.
"""
import collections
import errno
import os
import select
import socket
import struct
import threading
import time

CHUNK = 1 << 16
BUFFER_MAX = 1 << 18  # per direction; beyond it the sender has to wait
LINGER_NOT = struct.pack("ii", 1, 0)  # closing resets the connection


def connect(address):
    """A non-blocking socket that is about to be connected, or None."""
    is_unix = isinstance(address, str)
    stream = socket.socket(socket.AF_UNIX if is_unix else socket.AF_INET)
    try:
        if is_unix:
            stream.connect(address)
            stream.setblocking(False)
        else:
            stream.setblocking(False)
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            stream.connect_ex(address)
    except OSError:
        stream.close()
        return None
    return stream


class _Way:
    """One direction of a connection."""

    def __init__(self, source, sink, number):
        self.source = source
        self.sink = sink
        self.number = number  # in Proxy.n_bytes
        self.queue = collections.deque()  # (when it may go on, bytes)
        self.size = 0
        self.ended = False

    def due(self):
        return self.queue[0][0] if self.queue else None


class Proxy:
    def __init__(self, target, path=None):
        """Listens on a free port of 127.0.0.1, or on the unix socket @path."""
        self.target = target
        self.path = path
        self.listener = self._listen()
        self.port = None if path else self.listener.getsockname()[1]
        self.n_bytes = [0, 0]  # to the target, from the target
        self.n_connections = 0
        self.delay_s = 0.0
        self._ways = []
        self._state = "whole"
        self._wanted = "whole"
        self._lock = threading.Condition()
        self._wake = socket.socketpair()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _listen(self):
        if self.path:
            if os.path.exists(self.path):
                os.unlink(self.path)
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(self.path)
            listener.listen(64)
        else:
            listener = socket.create_server(("127.0.0.1", getattr(self, "port", None) or 0),
                                            backlog=64)
        listener.setblocking(False)
        return listener

    # --- What a test says ---------------------------------------------------------------------

    def _become(self, state):
        with self._lock:
            self._wanted = state
            self._wake[1].send(b"x")
            self._lock.wait_for(lambda: self._state == state, 30)

    def cut(self):
        """All connections are reset, and new ones refused."""
        self._become("cut")

    def stall(self):
        """What is sent gets stuck; nobody is told."""
        self._become("stalled")

    def heal(self):
        self._become("whole")

    def close(self):
        self._become("closed")
        self._thread.join(30)

    def total(self):
        return sum(self.n_bytes)

    def n_open(self):
        return len(self._ways) // 2

    # --- The thread ---------------------------------------------------------------------------

    def _run(self):
        while self._state != "closed":
            readable, writable, timeout = self._interests()
            readable, writable, _ = select.select(readable, writable, [], timeout)
            if self._wake[0] in readable:
                self._wake[0].recv(100)
                self._change()
            if self.listener is not None and self.listener in readable:
                self._accept()
            for way in list(self._ways):
                if way.source in readable:
                    self._receive(way)
            for way in list(self._ways):
                self._send(way)
        self._wake[0].close()
        self._wake[1].close()

    def _interests(self):
        readable, writable, timeout = [self._wake[0]], [], None
        if self._state != "whole":
            return readable, writable, timeout
        readable.append(self.listener)
        now = time.monotonic()
        for way in self._ways:
            if not way.ended and way.size < BUFFER_MAX:
                readable.append(way.source)
            due = way.due()
            if due is not None and due <= now:
                writable.append(way.sink)
            elif due is not None:
                timeout = min(timeout or 1e9, due - now)
        return readable, writable, timeout

    def _change(self):
        with self._lock:
            wanted = self._wanted
            if wanted in ("cut", "closed"):
                self._drop_all()
                if self.listener is not None:
                    self.listener.close()
                    self.listener = None
                if self.path and os.path.exists(self.path):
                    os.unlink(self.path)
            elif self.listener is None:
                self.listener = self._listen()
            self._state = wanted
            self._lock.notify_all()

    def _accept(self):
        try:
            near, _ = self.listener.accept()
        except OSError:
            return
        far = connect(self.target)
        if far is None:
            near.close()
            return
        near.setblocking(False)
        if not self.path:
            near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.n_connections += 1
        self._ways += [_Way(near, far, 0), _Way(far, near, 1)]

    def _receive(self, way):
        if way.ended or way.source.fileno() < 0:
            return
        try:
            data = way.source.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            self._drop(way)
            return
        if data:
            way.queue.append((time.monotonic() + self.delay_s, data))
            way.size += len(data)
        else:
            way.ended = True

    def _send(self, way):
        now = time.monotonic()
        while way.queue and way.queue[0][0] <= now and self._state == "whole":
            _, data = way.queue[0]
            try:
                n_sent = way.sink.send(data)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno == errno.ENOTCONN:  # not yet
                    return
                self._drop(way)
                return
            self.n_bytes[way.number] += n_sent
            way.size -= n_sent
            way.queue.popleft()
            if n_sent < len(data):
                way.queue.appendleft((0, data[n_sent:]))
        if way.ended and not way.queue and way.sink.fileno() >= 0:
            self._end(way)

    def _end(self, way):
        """One side has said all: the other is told, and after both the connection is over."""
        try:
            way.sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        others = [other for other in self._ways if other.source is way.sink]
        if all(other.ended and not other.queue for other in others):
            self._drop(way, reset=False)

    def _drop(self, way, reset=True):
        for stream in (way.source, way.sink):
            if stream.fileno() >= 0:
                if reset:
                    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
                stream.close()
        self._ways = [other for other in self._ways if other.source.fileno() >= 0]

    def _drop_all(self):
        for way in list(self._ways):
            if way.source.fileno() >= 0:
                self._drop(way)
