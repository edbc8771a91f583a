# SPDX-License-Identifier: Apache-2.0
"""A client of MoaT-KV 3 in Python, written from docs/protocol.md alone.

Needs Debian's python3-paho-mqtt (1.6) and python3-cbor2. One thread: everything happens in
Loop.turn(), which callers reach by Loop.until(condition).

    loop = Loop()
    client = Client(loop, "unix:/run/moat-kv/link")
    write = client.write(["kitchen", "lamp", 2], {"on": True})
    loop.until(lambda: write.state != "pending")
    reading = client.read(["kitchen"])
    loop.until(lambda: reading.done)
    for path, entry in reading.rows:
        print(to_dotted(path), entry.decoded())
"""
import os
import secrets
import socket
import struct
import time

from net import Broker, Link, Loop  # Loop is for users of this module
from wire import *

SOFTWARE = "moatkv_foreign 1"
PING_AFTER_S = 10
REPEAT_FIRST_S = 2
REPEAT_MAX_S = 30
CREDIT_DEFAULT = 4
FUTURE_MAX = 2**32
DELETED = object()


class Write:
    """An update of ours, byte for byte, until the server has dealt with it."""

    def __init__(self, counter, path, topic, entry, mac_key=None):
        self.counter = counter
        self.path = path
        self.topic = topic
        self.entry = entry
        self.payload = entry.encode(topic, mac_key)
        self.state = "pending"  # then "acked", "refused", or "moved" to a new session
        self.error = None
        self.moved_to = None
        self.n_sent = 0
        self.wait_s = REPEAT_FIRST_S
        self.due = 0.0


class Request:
    """What was asked over the link, and what has come of it."""

    def __init__(self, kind, path, auto_credit, on_done):
        self.kind = kind
        self.path = path
        self.auto_credit = auto_credit
        self.on_done = on_done
        self.on_row = None
        self.id = None
        self.done = False
        self.error = None  # a code
        self.rows = []  # (path, Entry) of a read; [element, entries, own] of a list; conflicts
        self.n_pages = 0
        self.answer = {}  # the fields of the last frame
        self._last_path = path

    def page(self, kind, fields):
        self.n_pages += 1
        if kind == CHILDREN:
            self.rows += fields["children"]
            return
        if kind == LOST:
            self.rows += fields["lost"]
            return
        for shared, rest, entry in fields["rows"]:
            if shared > len(self._last_path):
                raise Refused("BAD_PATH", "shares more than there is")
            self._last_path = self._last_path[:shared] + rest
            if self.on_row:
                self.on_row(self._last_path, entry)
            else:
                self.rows.append((self._last_path, entry))

    def finish(self, fields, error=None):
        self.done = True
        self.answer = fields
        self.error = error
        self.on_done(self)


class Client:
    """Keeps a link and a broker connection, writes, reads, and watches.

    Give `address` (connection A), `broker` (connection B), or both. Attributes of interest:
    `session` (None until there is one), `is_heard` (writes are heard now), `conflicts`,
    `refusals`, `states`, `repeats` (what the server said), `errors` (of the link as a whole).
    """

    def __init__(self, loop, address=None, broker=None, root="moat/main", mqtt5=True):
        self.loop = loop
        self.address = address
        self.broker_address = broker
        self.root = root
        self.mqtt5 = mqtt5
        self.link = self.mqtt = self.finder = self.session = None
        self.is_ready = False  # the session frame of this link has come
        self.is_heard = False
        self.is_closed = False
        self.auto_repeat = True
        self.counter = 0
        self.pending = {}  # by counter
        self.newest = {}  # of each path, by ordered key
        self.requests = {}
        self.last_id = 0
        self.watches = []
        self.found = []
        self.conflicts, self.refusals, self.states = [], [], []
        self.repeats, self.errors, self.acks = [], [], []
        self.highest_tock = self.server_tock = 0
        self.server_tock_at = 0.0
        self.retry_at = 0.0
        self.retry_s = 0.05
        self._expect_birth()
        loop.add(self)

    # As a source of the loop it has timers only.

    def fileno(self):
        return -1

    def wants_write(self):
        return False

    def ready(self, readable, writable):
        pass

    def tick(self, now):
        if now >= self.retry_at and (not self.link or (self.is_ready and not self.mqtt)):
            self.retry_at = now + self.retry_s
            self.retry_s = min(2 * self.retry_s, 5.0)
            if not self.link:
                self._connect()
            else:
                self._connect_broker()
        if self.is_ready and now - self.link.sent_at > PING_AFTER_S:
            self.request(PING)
        if self.mqtt and self.mqtt.is_up and self.is_ready and not self.is_heard:
            if now >= self.birth_due:
                self._publish_birth()
        if self.is_heard and self.auto_repeat:
            for write in [one for one in self.pending.values() if now >= one.due]:
                self._publish(write)

    def close(self, polite=True):
        """Ends all; the server may forget the session if told politely."""
        if polite and self.link and self.is_ready:
            self.link.send(BYE, {2: self.counter})
        self.is_closed = True
        self.loop.remove(self)
        for part in (self.link, self.mqtt, self.finder):
            if part:
                part.close()

    # Section 7.1: opening

    def _connect(self):
        for address in [self.address] if self.address else []:
            if self._link_to(address):
                return
        for address in self.found:
            if self._link_to(address):
                return
        if self.broker_address:
            self._find()

    def _link_to(self, address):
        try:
            self.link = Link(self.loop, address, self._on_frame, self._on_link_closed)
        except OSError:
            return False
        return True

    def _find(self):
        """Section 9, B."""
        if self.finder:
            self.finder.close()
        query_id = os.urandom(16)

        def on_message(_topic, payload, retained):
            try:
                server = read_server(payload)
            except Refused:
                return
            if server["id"] != query_id or retained or self.link:
                return
            is_here = server["host"] == socket.gethostname()
            addresses = [a for a in server["addresses"] if is_here or not a.startswith("unix:")]
            if any(self._link_to(address) for address in addresses):
                self.found = addresses

        try:
            name = "moat-kv-find-" + secrets.token_hex(8)
            self.finder = Broker(self.loop, self.broker_address, name, mqtt5=self.mqtt5)
        except OSError:
            return
        finder = self.finder
        query = encode_query(query_id)
        ask = lambda: finder.publish(self.root + "/svc/query", query)
        finder.on_up = lambda: finder.subscribe(self.root + "/svc/server", ask)
        finder.on_message = on_message

    def _on_frame(self, data):
        try:
            kind, fields = read_frame(data)
            if kind is not None:
                self._dispatch(kind, fields)
        except Refused as refused:
            self.errors.append((refused.code, f"from here: {refused}"))
            self.link.send(ERROR, {2: refused.code, 3: refused.args[1]})
            self.link.close("refused")

    def _dispatch(self, kind, fields):
        if kind == HELLO:
            self._on_hello(fields)
        elif kind == SESSION:
            self._on_session(fields)
        elif kind == ERROR and "id" not in fields:
            self.errors.append((fields["code"], fields["text"]))
        elif kind == BYE:
            self.link.close("bye")
        elif kind == BIRTH:
            self._on_birth()
        elif kind in (ACK, NACK, CONFLICT, REPEAT, STATE):
            self._on_writing(kind, fields)
        elif fields["id"] in self.requests:
            self._on_answer(kind, fields)

    def _on_hello(self, fields):
        lowest, highest = fields["versions"]
        version = min(highest, VERSIONS[1])
        self.link.send(HELLO, {2: VERSIONS, 3: [], 4: SOFTWARE})
        if version < lowest or version < VERSIONS[0]:
            raise Refused("NO_VERSION", f"{VERSIONS} here, {fields['versions']} there")
        if "EXTERNAL" not in fields.get("mechanisms", []):
            raise Refused("NOT_AUTHORISED", "no EXTERNAL offered")
        auth = {2: "EXTERNAL"}
        if self.session:
            auth.update({3: (self.session["name"], self.session["seq"]), 4: self.session["token"]})
        self.link.send(AUTH, auth)

    def _on_session(self, fields):
        old, self.session = self.session, fields
        self.root = fields["root"]
        self.retry_s = 0.05
        self.is_ready = True
        if self.finder:
            self.finder.close()
            self.finder = None
        self._server_tock(fields["tock"])
        if old and (old["name"], old["seq"]) == (fields["name"], fields["seq"]):
            self._acknowledged(fields["on_disk"])
            for write in self.pending.values():  # by the key that is in use now
                write.payload = write.entry.encode(write.topic, fields.get("mac_key"))
        else:
            self._move_pending()
        if self.mqtt and old["client_id"] != fields["client_id"]:
            self.mqtt.close()
            self.mqtt = None
        if self.mqtt:
            self._expect_birth()
        else:
            self._connect_broker()
        for watch in self.watches:
            watch.advance()

    def _move_pending(self):
        """The old session is gone: what was not acknowledged is written anew, naming its old self."""
        moved, self.pending, self.counter = self.pending, {}, 0
        for old in moved.values():
            value = DELETED if old.entry.value is None else Raw(old.entry.value)
            new = self.prepare(old.path, value, old.entry.tock, [old.entry])
            old.state, old.moved_to = "moved", new

    def _connect_broker(self):
        session = self.session
        credentials = (session["client_id"], session.get("user"), session.get("password"))
        for address in session["brokers"]:
            try:
                self.mqtt = Broker(self.loop, address, *credentials, self.mqtt5)
            except OSError:
                continue
            self.mqtt.on_up = self._on_broker_up
            self.mqtt.on_down = self._on_broker_down
            self.mqtt.on_message = self._on_message
            return

    def _on_broker_up(self):
        self._expect_birth()
        for watch in self.watches:
            watch.advance()

    def _expect_birth(self):
        """Says Birth at once, and again until it is answered: the server may be later than we."""
        self.is_heard = False
        self.birth_due, self.birth_s = 0.0, REPEAT_FIRST_S

    def _publish_birth(self):
        self.birth_due = time.monotonic() + self.birth_s
        self.birth_s = min(2 * self.birth_s, REPEAT_MAX_S)
        birth = encode_birth(self.session["name"], self.session["seq"])
        self.mqtt.publish(self.root + "/svc/birth", birth, self.session["qos"])

    def _on_birth(self):
        self.is_heard = True
        for write in list(self.pending.values()):
            self._publish(write)

    def _on_broker_down(self):
        self.mqtt = None
        self.is_heard = False
        for watch in self.watches:
            watch.on_broker_down()

    def _on_link_closed(self, _reason):
        self.link = None
        self.is_ready = self.is_heard = False
        lost, self.requests = self.requests, {}
        for request in lost.values():
            request.finish({}, CODES["CLOSED"])

    # Section 5: tock

    def _server_tock(self, heard):
        self.server_tock, self.server_tock_at = heard, time.monotonic()
        self.highest_tock = max(self.highest_tock, heard)

    def estimate(self):
        if not self.session or not self.session["clock"]:
            return 0
        return self.server_tock + (int((time.monotonic() - self.server_tock_at) * 1000) << 12)

    def saw_tock(self, seen):
        """What the server would refuse must not lift our own."""
        if seen <= max(self.estimate(), self.server_tock) + FUTURE_MAX:
            self.highest_tock = max(self.highest_tock, seen)

    def next_tock(self):
        self.highest_tock = max(self.highest_tock + 1, self.estimate())
        return self.highest_tock

    # Section 7.2: writing

    def prepare(self, path, value, when=True, replaces=None):
        """The next update, not yet published. `when` is its tock: True is now, None leaves it out.

        `replaces` lists the entries known here that it overwrites; None: what a watch holds.
        """
        key = path_key(path)
        if value is DELETED:
            raw = None
        else:
            raw = value.data if isinstance(value, Raw) else cbor2.dumps(value)
        if replaces is None:
            replaces = self._known(key)
        self.counter += 1
        dot = (self.session["name"], self.session["seq"], self.counter)
        entry = Entry(self.next_tock() if when is True else when, raw, ticks_naming(dot, replaces))
        topic = to_topic(self.root, path, self.session["profile"])
        write = Write(self.counter, path, topic, entry, self.session.get("mac_key"))
        self.pending[self.counter] = self.newest[key] = write
        return write

    def _known(self, key):
        mine = self.newest.get(key)
        known = [mine.entry] if mine and mine.state == "pending" else []
        return known + [w.entries[key][1] for w in self.watches if key in w.entries]

    def write(self, path, value, when=True, replaces=None):
        write = self.prepare(path, value, when, replaces)
        if self.is_heard:
            self._publish(write)
        return write

    def delete(self, path, when=True, replaces=None):
        return self.write(path, DELETED, when, replaces)

    def _publish(self, write):
        write.n_sent += 1
        write.due = time.monotonic() + write.wait_s
        write.wait_s = min(2 * write.wait_s, REPEAT_MAX_S)
        self.mqtt.publish(write.topic, write.payload, self.session["qos"])

    def _on_writing(self, kind, fields):
        if kind == ACK:
            self.acks.append(fields["counter"])
            self._server_tock(fields["tock"])
            self._acknowledged(fields["counter"])
        elif kind == NACK:
            self.refusals.append(fields)
            if fields["counter"] in self.pending:
                self._settle(fields["counter"], "refused", fields["code"])
        elif kind == CONFLICT:
            self.conflicts.append(fields)
        elif kind == REPEAT:
            self.repeats.append((fields["first"], fields["last"]))
            self._repeat(fields["first"], fields["last"])
        else:
            self.states.append(fields)
            if fields["code"] == 0 and self.is_heard:
                for write in list(self.pending.values()):
                    self._publish(write)

    def _acknowledged(self, up_to):
        for counter in [one for one in self.pending if one <= up_to]:
            self._settle(counter, "acked")

    def _settle(self, counter, state, error=None):
        write = self.pending.pop(counter)
        write.state, write.error = state, error
        key = path_key(write.path)
        if self.newest.get(key) is write:
            del self.newest[key]

    def _repeat(self, first, last):
        here = [counter for counter in self.pending if first <= counter <= last]
        if self.is_heard:
            for counter in here:
                self._publish(self.pending[counter])
        for gap_first, gap_last in zip([first - 1] + here, here + [min(last, self.counter) + 1]):
            if gap_last - gap_first > 1:
                self.link.send(VOID, {2: gap_first + 1, 3: gap_last - 1})

    # Section 7.3: reading

    def request(self, kind, path=None, fields=None, auto_credit=True, on_done=lambda request: None):
        self.last_id += 1
        request = Request(kind, path, auto_credit, on_done)
        request.id = self.last_id
        if not self.is_ready:
            request.finish({}, CODES["NO_CONNECTION"])
            return request
        self.requests[request.id] = request
        asked = {1: request.id} if path is None else {1: request.id, 2: path}
        self.link.send(kind, {**asked, **(fields or {})})
        return request

    def read(self, path, tombstones=False, values=True, depths=None, since=None, credit=None, **more):
        fields = {5: tombstones + 2 * (not values)}
        if depths is not None:
            fields.update({3: depths[0], 4: depths[1]})
        if since is not None:
            fields[6] = since
        if credit is not None:
            fields[7] = credit
        return self.request(READ, path, fields, **more)

    def list(self, path, credit=None, **more):
        return self.request(LIST, path, {} if credit is None else {7: credit}, **more)

    def lost(self, path, follow=False, credit=None, **more):
        """Its rows are as wire.read_lost() has them."""
        fields = {5: int(follow)} | ({} if credit is None else {7: credit})
        return self.request(CONFLICTS, path, fields, **more)

    def check(self, path, **more):
        return self.request(CHECK, path, **more)

    def credit(self, request, n_pages=1):
        self.link.send(CREDIT, {1: request.id, 2: n_pages})

    def cancel(self, request):
        if not request.done:
            self.link.send(CANCEL, {1: request.id})

    def _on_answer(self, kind, fields):
        request = self.requests[fields["id"]]
        if kind in (DATA, CHILDREN, LOST):
            request.page(kind, fields)
            if request.auto_credit:
                self.credit(request)
            return
        if kind == PONG:
            self._server_tock(fields["tock"])
        del self.requests[request.id]
        request.finish(fields, fields["code"] if kind == ERROR else None)

    # Section 8: watching

    def watch(self, path, on_change=lambda path, entry: None):
        watch = Watch(self, path, on_change)
        self.watches.append(watch)
        watch.advance()
        return watch

    def _on_message(self, topic, payload, retained):
        if retained or not payload:
            return
        try:
            path = from_topic(self.root, topic, self.session["profile"])
            entry = read_update(payload)
        except Refused:
            return
        if entry.tock is None:
            return
        self.saw_tock(entry.tock)
        key = path_key(path)
        for watch in self.watches:
            if key.startswith(watch.key) and entry.tock > watch.floor:
                watch.merge(path, entry)


class Watch:
    """A copy of all below a path: `entries` is {ordered key: (path, Entry)}, with tombstones."""

    def __init__(self, client, path, on_change):
        self.client = client
        self.path = path
        self.key = path_key(path)
        self.on_change = on_change
        self.entries = {}
        self.is_synced = False
        self.place = None
        self.n_differing = 0
        self.n_reads = 0
        self.floor = 0  # deletions up to this tock are forgotten
        self._asked = self._subscribed = False
        self._reading = self._checking = None
        self._fresh = None  # while everything is read anew: what will take the place of entries

    def advance(self):
        """Does the next step that is possible now."""
        client = self.client
        if not client.mqtt or not client.mqtt.is_up:
            return
        if not self._asked:
            self._asked = True
            topic = to_topic(client.root, self.path, client.session["profile"])
            client.mqtt.subscribe(topic + "/#", self._on_suback)
        elif self._subscribed and not self.is_synced and not self._reading and client.is_ready:
            self._read()

    def on_broker_down(self):
        self._asked = self._subscribed = self.is_synced = False

    def _on_suback(self):
        self._subscribed = True
        self.advance()

    def _read(self):
        self.n_reads += 1
        self._fresh = {} if self.place is None else None
        self._reading = self.client.read(
            self.path, tombstones=True, since=self.place, on_done=self._on_read
        )
        self._reading.on_row = self.merge

    def merge(self, path, entry):
        key = path_key(path)
        if self._fresh is not None and is_news(self._fresh, key, entry):
            self._fresh[key] = (path, entry)
        self.client.saw_tock(entry.tock)
        if is_news(self.entries, key, entry):
            self.entries[key] = (path, entry)
            self.on_change(path, entry)

    def _on_read(self, request):
        self._reading = None
        if request.error is None:
            self.place = request.answer["place"]
            if self._fresh is not None:
                self.entries = self._fresh
            self.is_synced = self._subscribed
        elif request.error == CODES["STALE"]:
            self.place = None
        self._fresh = None
        self.advance()

    def _forget(self, floor):
        self.floor = max(floor, self.floor)
        self.entries = {
            key: held
            for key, held in self.entries.items()
            if held[1].value is not None or held[1].tock > floor
        }

    def digest(self):
        """The number of entries, tombstones included, and the sum of their digests."""
        high = low = 0
        for key, (_, entry) in self.entries.items():
            halves = entry.digest(key, self.client.session["digest_key"])
            high, low = high + halves[0], low + halves[1]
        return len(self.entries), struct.pack(">QQ", high & UINT_MAX, low & UINT_MAX)

    def check(self, on_done=lambda agrees: None):
        """Compares with the server. What differs twice is read since the last place, then anew."""

        def compare(request):
            if request.error is not None:
                return
            self._forget(request.answer.get("floor", 0))
            agrees = self.digest() == (request.answer["count"], request.answer["digest"])
            self.n_differing = 0 if agrees else self.n_differing + 1
            if self.n_differing >= 2:
                if self.n_differing >= 3:
                    self.place = None
                self.is_synced = False
                self.advance()
            on_done(agrees)

        return self.client.check(self.path, on_done=compare)

    def live(self):
        return {key: entry for key, (_, entry) in self.entries.items() if entry.value is not None}


def is_news(entries, key, entry):
    return key not in entries or entry.order() > entries[key][1].order()
