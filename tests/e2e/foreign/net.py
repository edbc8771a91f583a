# SPDX-License-Identifier: Apache-2.0
"""A loop, a link that carries frames (section 7), and a connection to a broker, on paho 1.6."""
import select
import socket
import struct
import time

from paho.mqtt import client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from wire import FRAME_MAX, encode_frame

SILENT_MAX_S = 30


class Loop:
    """Turns until what is waited for has come.

    A source has fileno() (negative: none now), wants_write(), ready(readable, writable), tick(now).
    """

    def __init__(self):
        self.sources = []

    def add(self, source):
        self.sources.append(source)

    def remove(self, source):
        if source in self.sources:
            self.sources.remove(source)

    def turn(self, wait_s=0.02):
        poll = select.poll()
        by_fd = {}
        for source in self.sources:
            fd = source.fileno()
            if fd >= 0:
                poll.register(fd, select.POLLIN | (select.POLLOUT if source.wants_write() else 0))
                by_fd[fd] = source
        for fd, events in poll.poll(wait_s * 1000):
            if by_fd[fd] in self.sources:
                by_fd[fd].ready(bool(events & ~select.POLLOUT), bool(events & select.POLLOUT))
        now = time.monotonic()
        for source in list(self.sources):
            source.tick(now)

    def until(self, condition, seconds=60.0, what="what is waited for"):
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what} did not come within {seconds} s")
            self.turn()


def connect_stream(address):
    """unix:/path or tcp://host:port."""
    scheme, _, rest = address.partition(":")
    if scheme == "unix":
        stream = socket.socket(socket.AF_UNIX)
        try:
            stream.settimeout(10)
            stream.connect(rest)
        except OSError:
            stream.close()
            raise
        return stream
    host, _, port = rest.lstrip("/").rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), timeout=10)


class Link:
    """Frames over a stream. Calls on_frame(bytes) and, once, on_closed(reason)."""

    def __init__(self, loop, address, on_frame, on_closed):
        self.loop = loop
        self.address = address
        self.on_frame = on_frame
        self.on_closed = on_closed
        self.received = bytearray()
        self.waiting = bytearray()
        self.sent_at = self.heard_at = time.monotonic()
        self.stream = connect_stream(address)
        self.stream.setblocking(False)
        loop.add(self)

    def fileno(self):
        return self.stream.fileno()

    def wants_write(self):
        return bool(self.waiting)

    def send(self, kind, fields):
        frame = encode_frame(kind, fields)
        self.send_bytes(struct.pack(">I", len(frame)) + frame)

    def send_bytes(self, data):
        self.waiting += data
        self.sent_at = time.monotonic()
        self._write()

    def ready(self, readable, writable):
        if writable:
            self._write()
        if readable and self.fileno() >= 0:
            self._read()

    def tick(self, now):
        if now - self.heard_at > SILENT_MAX_S:
            self.close("silent")

    def close(self, reason="closed here"):
        if self.fileno() >= 0:
            self.loop.remove(self)
            self.stream.close()
            self.on_closed(reason)

    def _write(self):
        try:
            while self.waiting and self.fileno() >= 0:
                n = self.stream.send(self.waiting[:65536])
                del self.waiting[:n]
        except BlockingIOError:
            pass
        except OSError:
            self.waiting.clear()  # the other side's last words are still to be read

    def _read(self):
        try:
            data = self.stream.recv(262144)
        except BlockingIOError:
            return
        except OSError as error:
            self.close(str(error))
            return
        if not data:
            self.close("closed by the other side")
            return
        self.heard_at = time.monotonic()
        self.received += data
        self._split()

    def _split(self):
        while self.fileno() >= 0 and len(self.received) >= 4:
            n = struct.unpack(">I", self.received[:4])[0]
            if n > FRAME_MAX:
                self.close("a frame too long")
                return
            if len(self.received) < 4 + n:
                return
            frame = bytes(self.received[4 : 4 + n])
            del self.received[: 4 + n]
            self.on_frame(frame)


class PahoClient(paho.Client):
    """paho 1.6 knows no unix sockets, but lets us make the connection."""

    address = None

    def _create_socket_connection(self):
        return connect_stream(self.address)


class Broker:
    """One connection to a broker; after on_down() make another."""

    def __init__(self, loop, address, client_id="", user=None, password=None, mqtt5=True):
        self.loop = loop
        self.is_up = False
        self.on_up = self.on_down = lambda: None
        self.on_message = lambda topic, payload, retained: None
        self.on_suback = {}
        clean = {"clean_session": None if mqtt5 else True}
        self.paho = PahoClient(client_id, protocol=paho.MQTTv5 if mqtt5 else paho.MQTTv311, **clean)
        self.paho.address = "tcp:" + address[5:] if address.startswith("mqtt:") else address
        if user is not None:
            self.paho.username_pw_set(user, password)
        self.paho.max_inflight_messages_set(0)
        self.paho.on_connect = self._connected
        self.paho.on_disconnect = self._disconnected
        self.paho.on_message = self._message
        self.paho.on_subscribe = self._subscribed
        options = {}
        if mqtt5:
            options["properties"] = Properties(PacketTypes.CONNECT)
            options["properties"].ReceiveMaximum = 65535
            options["clean_start"] = True
        self.paho.connect("broker", 1, keepalive=20, **options)
        loop.add(self)

    def fileno(self):
        stream = self.paho.socket()
        return stream.fileno() if stream else -1

    def wants_write(self):
        return self.paho.want_write()

    def ready(self, readable, writable):
        if writable:
            self.paho.loop_write(100)
        if readable and self.paho.socket():
            self.paho.loop_read(100)

    def tick(self, now):
        if self.paho.socket():
            self.paho.loop_misc()

    def subscribe(self, topic_filter, on_suback=lambda: None):
        _, mid = self.paho.subscribe(topic_filter, 1)
        self.on_suback[mid] = on_suback

    def publish(self, topic, payload, qos=0, retain=False):
        self.paho.publish(topic, payload, qos, retain)

    def close(self):
        self.loop.remove(self)
        self.is_up = False
        self.paho.on_disconnect = None
        if self.paho.socket():
            self.paho.disconnect()
            self.paho.loop_write(100)
        if self.paho.socket():
            self.paho.socket().close()

    def _connected(self, _client, _data, _flags, reason, _properties=None):
        if getattr(reason, "value", reason) == 0:
            self.is_up = True
            self.on_up()

    def _disconnected(self, *_):
        self.loop.remove(self)
        self.is_up = False
        self.on_down()

    def _message(self, _client, _data, message):
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return  # a topic that is not UTF-8 is nobody's
        self.on_message(topic, message.payload, bool(message.retain))

    def _subscribed(self, _client, _data, mid, granted, _properties=None):
        if all(getattr(one, "value", one) < 0x80 for one in granted):
            self.on_suback.pop(mid)()
