# SPDX-License-Identifier: Apache-2.0
"""The messages of MoaT-KV 3, from bytes and to bytes, written from docs/protocol.md alone.

It shares nothing with the C sources, so that it tells where the document and they differ. It may
also serve as a pattern for a client in another language. Pure: no I/O, no clock.
"""
import hashlib
import struct

from paths import *
from strict_cbor import *

MAC_LEN = 16

# --- Sections 4 and 6: updates and their order -----------------------------------------------


class Entry:
    """One update, or what a server keeps of it: tock, value as raw CBOR or None, ticks."""

    def __init__(self, tock, value, ticks):
        self.tock = tock  # None in an update still to be stamped
        self.value = value  # None: a tombstone
        self.ticks = ticks

    def __repr__(self):
        value = "deleted" if self.value is None else self.value[:20].hex()
        return f"<{self.tock} {value} {self.ticks}>"

    def __eq__(self, other):
        return isinstance(other, Entry) and vars(self) == vars(other)

    @property
    def dot(self):
        return self.ticks[0]

    def decoded(self):
        return cbor2.loads(self.value)

    def vhash(self):
        if self.value is None:
            return 0
        return int.from_bytes(hashlib.blake2b(self.value, digest_size=32).digest()[:8], "big")

    def order(self):
        """K. The greater one wins."""
        name, seq, counter = self.dot
        present = int(self.value is not None)
        return (self.tock, name.encode(), seq, counter, present, self.vhash())

    def covers(self, other):
        name, seq, counter = other.dot
        return any(one[:2] == (name, seq) and one[2] >= counter for one in self.ticks)

    def digest(self, key, digest_key):
        """Section 8: as two numbers, since the halves are summed apart."""
        name, seq, counter = self.dot
        data = struct.pack(">H", len(key)) + key + struct.pack(">QB", self.tock, len(name))
        data += name.encode() + struct.pack(">QQ", seq, counter)
        data += struct.pack(">BQ", self.value is not None, self.vhash())
        return struct.unpack(">QQ", hashlib.blake2b(data, digest_size=16, key=digest_key).digest())

    def encode(self, topic="", mac_key=None):
        """Section 4; with the key of the session, also 13.6."""
        message = {}
        if self.tock is not None:
            message[0] = self.tock
        if self.value is not None:
            message[1] = Raw(self.value)
        message[2] = self.ticks
        if mac_key is None:
            return encode(message)
        start = encode({**message, 3: bytes(MAC_LEN)})[:-MAC_LEN]
        where = topic.encode()
        data = struct.pack(">H", len(where)) + where + start
        return start + hashlib.blake2b(data, digest_size=MAC_LEN, key=mac_key).digest()


UPDATE = {
    0: ("tock", uint(0, POSITIVE_MAX)),
    1: ("value", Reader.value),
    2: ("ticks", ticks),
}


def read_update(payload):
    if len(payload) > UPDATE_MAX:
        raise Refused("TOO_LARGE")
    reader = Reader(payload)
    found = require(header(reader, UPDATE), "ticks")
    reader.end()
    return Entry(found.get("tock"), found.get("value"), found["ticks"])


def ticks_naming(dot, known):
    """The ticks of an update that replaces the entries known, newest first, one per stream."""
    found = [dot]
    for one in (one for entry in known for one in entry.ticks):
        if all(one[:2] != other[:2] for other in found):
            found.append(one)
    return found[:TICKS_MAX]


# --- Section 7: frames -----------------------------------------------------------------------


def read_entry(reader):
    n = reader.head(ARRAY)
    if n not in (2, 3):
        raise Refused("MALFORMED", "an entry of another length")
    when = tock(reader)
    found = ticks(reader)
    return Entry(when, reader.value() if n == 3 else None, found)


def read_row(reader):
    """[shared, rest, tock, ticks, value]: the first two as they are, then an Entry."""
    n = reader.head(ARRAY)
    if n not in (4, 5):
        raise Refused("MALFORMED", "a row of another length")
    shared = uint(0, ELEMENTS_MAX)(reader)
    rest = read_path(reader)
    when = tock(reader)
    found = ticks(reader)
    return shared, rest, Entry(when, reader.value() if n == 5 else None, found)


def read_lost(reader):
    """[id, path, class, when, more, winner, tock, ticks, value]: the last three an Entry."""
    n = reader.head(ARRAY)
    if n not in (8, 9):
        raise Refused("MALFORMED", "a conflict of another length")
    head = (uint()(reader), read_path(reader), uint(0, 1)(reader), tock(reader), uint()(reader))
    winner = read_entry(reader)
    when = tock(reader)
    found = ticks(reader)
    return *head, winner, Entry(when, reader.value() if n == 9 else None, found)


HELLO, AUTH, SESSION, BIRTH, ERROR, BYE = range(1, 7)
CHALLENGE = 8
ACK, NACK, CONFLICT, REPEAT, VOID, STATE = range(10, 16)
READ, LIST, CHECK, STATUS, PING, CREDIT, CANCEL = 20, 21, 22, 23, 24, 30, 31
DATA, END, CHILDREN, DIGEST, REPORT, PONG = range(40, 46)
CONFLICTS, SERVERS, EVICT, LOST, REPORTS, DONE = 28, 29, 32, 48, 49, 50
RESPONSE, PASSWD = 9, 33

number = uint(1, POSITIVE_MAX)
tock = uint(0, POSITIVE_MAX)
place = fixed(uint(), uint())
mqtt_text = text(0, 65535)
ID = {1: ("id", number)}

# What a server sends. Of each kind: its fields {key: (name, reader)}, and the names of those
# that may be missing.
FRAMES = {
    HELLO: (
        {
            2: ("versions", versions),
            3: ("features", array(text(), 16)),
            4: ("software", text()),
            5: ("name", server_name),
            6: ("mechanisms", array(text(), 8)),
        },
        {"name", "mechanisms"},
    ),
    SESSION: (
        {
            2: ("name", server_name),
            3: ("seq", number),
            4: ("root", text(1, 256)),
            5: ("brokers", array(text(0, 512), 8)),
            6: ("client_id", mqtt_text),
            7: ("user", mqtt_text),
            8: ("password", mqtt_text),
            9: ("mode", uint(0, 5)),
            10: ("profile", uint(0, 1)),
            11: ("qos", uint(0, 1)),
            12: ("store", string(16, 16)),
            13: ("digest_key", string(16, 16)),
            14: ("tock", tock),
            15: ("clock", boolean),
            16: ("token", string(1, 64)),
            17: ("on_disk", uint(0, POSITIVE_MAX)),
            18: ("mac_key", string(32, 32)),
        },
        {"user", "password", "mac_key"},
    ),
    BIRTH: ({}, set()),
    ERROR: ({**ID, 2: ("code", code(-9999, -1)), 3: ("text", text())}, {"id"}),
    BYE: ({}, set()),
    CHALLENGE: ({2: ("message", string(0, 4096))}, set()),
    ACK: (
        {
            2: ("counter", uint(0, POSITIVE_MAX)),
            3: ("level", uint(1, VERSION_MAX)),
            4: ("tock", tock),
        },
        set(),
    ),
    NACK: ({2: ("counter", number), 3: ("code", code(-9999, -1)), 4: ("text", text())}, set()),
    CONFLICT: (
        {
            2: ("path", read_path),
            3: ("class", uint(0, 1)),
            4: ("loser", read_entry),
            5: ("winner", read_entry),
            6: ("more", uint()),
        },
        {"more"},
    ),
    REPEAT: ({2: ("first", number), 3: ("last", number)}, set()),
    STATE: ({2: ("code", code(-9999, 0)), 3: ("text", text())}, set()),
    DATA: ({**ID, 2: ("rows", array(read_row, ROWS_MAX)), 3: ("place", place)}, {"place"}),
    END: ({**ID, 2: ("count", uint()), 3: ("place", place)}, {"place"}),
    CHILDREN: (
        {**ID, 2: ("children", array(fixed(read_element, uint(), boolean), ROWS_MAX))},
        set(),
    ),
    DIGEST: (
        {
            **ID,
            2: ("count", uint()),
            3: ("digest", string(16, 16)),
            4: ("place", place),
            5: ("floor", number),
        },
        {"floor"},
    ),
    REPORT: ({**ID, 2: ("report", map_value)}, set()),
    PONG: ({**ID, 2: ("tock", tock)}, set()),
    LOST: ({**ID, 2: ("lost", array(read_lost, ROWS_MAX))}, set()),
    REPORTS: ({**ID, 2: ("reports", array(map_value, ROWS_MAX))}, set()),
    DONE: (ID, set()),
}


def frame_kind(data):
    """Looks over everything once. Whether limits are kept can be said when the kind is known."""
    reader = Reader(data)
    skip = lambda rest: rest.value(is_limited=False)
    found = require(header(reader, {0: ("kind", uint())}, skip), "kind")
    reader.end()
    return found["kind"]


def read_frame(data):
    """Returns (kind, {name: value}); the kind is None if it is unknown and has no id."""
    kind = frame_kind(data)
    if kind not in FRAMES:
        if "id" in header(Reader(data), ID):
            raise Refused("UNKNOWN_REQUEST", str(kind))
        return None, {}
    fields, optional = FRAMES[kind]
    found = header(Reader(data), fields)
    require(found, *(name for name, _ in fields.values() if name not in optional))
    if kind == REPEAT and found["first"] > found["last"]:
        raise Refused("BAD_NUMBER", "backwards")
    return kind, found


def encode_frame(kind, fields):
    return encode({0: kind, **fields})


# --- Section 9: svc messages -----------------------------------------------------------------

SERVER = {
    0: ("id", string(8, 32)),
    1: ("name", server_name),
    2: ("addresses", array(text(0, 512), 8)),
    3: ("versions", versions),
    4: ("host", text(0, 255)),
}


def read_server(payload):
    reader = Reader(payload)
    found = require(header(reader, SERVER), "id", "name", "addresses", "versions", "host")
    reader.end()
    return found


def encode_query(query_id):
    return encode({0: query_id, 1: VERSIONS})


def encode_birth(name, seq):
    return encode({0: name, 1: seq})
