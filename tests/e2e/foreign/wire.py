# SPDX-License-Identifier: Apache-2.0
"""The messages of MoaT-KV 3, from bytes and to bytes, written from docs/protocol.md alone.

It shares nothing with the C sources, so that it tells where the document and they differ. It may
also serve as a pattern for a client in another language. Pure: no I/O, no clock.
"""
import base64
import hashlib
import math
import re
import struct
from io import BytesIO

import cbor2

# --- Section 10 and 11: codes and limits -----------------------------------------------------

CODES = {
    "MALFORMED": -1, "TRUNCATED": -2, "TRAILING": -3, "NOT_MINIMAL": -4, "DUPLICATE_KEY": -5,
    "TOO_DEEP": -6, "TOO_MANY": -7, "TOO_LARGE": -8, "BAD_UTF8": -9, "BAD_NUMBER": -10,
    "BAD_PATH": -11, "PATH_TOO_LONG": -12, "BAD_ELEMENT": -13, "BAD_TOPIC": -14, "BAD_NAME": -15,
    "BAD_TICK": -16, "NO_VERSION": -17, "UNEXPECTED": -18, "UNKNOWN_REQUEST": -19, "FUTURE": -20,
    "STALE": -21, "NOT_FOUND": -22, "NOT_AUTHORISED": -23, "BUSY": -24, "CANCELLED": -25,
    "CONFLICT": -26, "VOID": -27, "NO_CONNECTION": -107, "TIMEOUT": -108, "CLOSED": -109,
}
NAMES = {code: name for name, code in CODES.items()}

KEY_MAX = 1024
ELEMENTS_MAX = 64
VALUE_MAX = 1048576
DEPTH_MAX = 64
ITEMS_MAX = 65536
TICKS_MAX = 5
UPDATE_MAX = 1049600
HEADER_KEYS_MAX = 32
ROWS_MAX = 256
PEOPLE_MAX = 1024
FRAME_MAX = 2162688
UINT_MAX = 2**64 - 1
POSITIVE_MAX = 2**63 - 1
VERSION_MAX = 2**32 - 1

VERSIONS = (1, 1)


class Refused(Exception):
    """Something is not as the protocol wants it. The code's name is args[0]."""

    def __init__(self, name, text=""):
        super().__init__(name, text)
        self.name = name
        self.code = CODES[name]


# --- Sections 2 and 4: strict CBOR -----------------------------------------------------------

UNSIGNED, NEGATIVE, BYTES, TEXT, ARRAY, MAP, TAG, SIMPLE = range(8)
ENDLESS = 31  # the additional information of indefinite length, and of a break


class Reader:
    """A position in bytes. Each read takes one item off the front or raises Refused."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, n):
        if n > len(self.data) - self.at:
            raise Refused("TRUNCATED")
        self.at += n
        return self.data[self.at - n : self.at]

    def at_end(self):
        return self.at == len(self.data)

    def end(self):
        if not self.at_end():
            raise Refused("TRAILING")

    def raw_head(self):
        """One head: major type, additional information, argument (None: indefinite)."""
        first = self.take(1)[0]
        major, info = first >> 5, first & 31
        if info < 24:
            return major, info, info
        if info == ENDLESS:
            if major in (UNSIGNED, NEGATIVE, TAG):
                raise Refused("MALFORMED", "this has no indefinite length")
            return major, info, None
        if info > 27:
            raise Refused("MALFORMED", "reserved length")
        return major, info, int.from_bytes(self.take(1 << (info - 24)), "big")

    def head(self, major_wanted):
        """The head of what the protocol itself defines: of this kind, and in shortest form."""
        major, info, argument = self.raw_head()
        if major != major_wanted or argument is None:
            raise Refused("MALFORMED", f"major type {major}, not {major_wanted}")
        n_more = (argument > 0xFF) + (argument > 0xFFFF) + (argument > 0xFFFFFFFF)
        if info != (argument if argument < 24 else 24 + n_more):
            raise Refused("NOT_MINIMAL")
        return argument

    def peek_major(self):
        if self.at_end():
            raise Refused("TRUNCATED")
        return self.data[self.at] >> 5

    def value(self):
        """Any well-formed item within the limits of section 2, as its own bytes."""
        start = self.at
        n_items = 0
        open_items = []  # of each container around us: [items missing or None, major, items seen]
        while True:
            n_items += self._value_head(open_items)
            if n_items > ITEMS_MAX:
                raise Refused("TOO_MANY")
            while open_items and open_items[-1][0] == 0:
                open_items.pop()
            if not open_items:
                break
        if self.at - start > VALUE_MAX:
            raise Refused("TOO_LARGE")
        return self.data[start : self.at]

    def _value_head(self, open_items):
        """Reads one head, with its string if it has one. Returns 1, for a break 0."""
        major, info, argument = self.raw_head()
        parent = open_items[-1] if open_items else None
        if major == SIMPLE and info == ENDLESS:
            self._break(parent)
            parent[0] = 0
            return 0
        if parent:
            in_string = parent[1] in (BYTES, TEXT)
            if in_string and (major != parent[1] or argument is None):
                raise Refused("MALFORMED", "a chunk of another type")
            parent[2] += 1
            if parent[0] is not None:
                parent[0] -= 1
        if major == SIMPLE and info == 24 and argument < 32:
            raise Refused("MALFORMED", "two-byte simple value below 32")
        if major in (BYTES, TEXT) and argument is not None:
            check_utf8(self.take(argument), major)
        elif major in (BYTES, TEXT, ARRAY, MAP, TAG):
            if len(open_items) == DEPTH_MAX:
                raise Refused("TOO_DEEP")
            n_missing = argument
            if major == TAG:
                n_missing = 1
            elif major == MAP and argument is not None:
                n_missing = 2 * argument
            open_items.append([n_missing, major, 0])
        return 1

    @staticmethod
    def _break(parent):
        if parent is None or parent[0] is not None:
            raise Refused("MALFORMED", "a break where nothing is open")
        if parent[1] == MAP and parent[2] % 2:
            raise Refused("MALFORMED", "a key without value")


def check_utf8(data, major=TEXT):
    if major != TEXT:
        return
    try:
        data.decode()
    except UnicodeDecodeError as error:
        raise Refused("BAD_UTF8") from error


# What follows makes readers: functions that take one field off a Reader.


def uint(low=0, high=UINT_MAX):
    def read(reader):
        number = reader.head(UNSIGNED)
        if not low <= number <= high:
            raise Refused("BAD_NUMBER", str(number))
        return number

    return read


def code(low, high):
    def read(reader):
        if reader.peek_major() == UNSIGNED:
            number = reader.head(UNSIGNED)
        else:
            number = -1 - reader.head(NEGATIVE)
        if not low <= number <= high:
            raise Refused("BAD_NUMBER", str(number))
        return number

    return read


def text(low=0, high=PEOPLE_MAX):
    def read(reader):
        data = reader.take(reader.head(TEXT))
        check_utf8(data)
        if not low <= len(data) <= high:
            raise Refused("TOO_LARGE" if len(data) > high else "MALFORMED")
        return data.decode()

    return read


def string(low, high):
    def read(reader):
        data = reader.take(reader.head(BYTES))
        if not low <= len(data) <= high:
            raise Refused("TOO_LARGE" if len(data) > high > low else "MALFORMED")
        return data

    return read


def array(read_element, high):
    def read(reader):
        n = reader.head(ARRAY)
        if n > len(reader.data) - reader.at:
            raise Refused("TRUNCATED")
        if n > high:
            raise Refused("TOO_MANY")
        return [read_element(reader) for _ in range(n)]

    return read


def fixed(*read_elements):
    def read(reader):
        if reader.head(ARRAY) != len(read_elements):
            raise Refused("MALFORMED", "a list of another length")
        return tuple(read_element(reader) for read_element in read_elements)

    return read


def boolean(reader):
    first = reader.take(1)[0]
    if first not in (0xF4, 0xF5):
        raise Refused("MALFORMED", "not a boolean")
    return first == 0xF5


def map_value(reader):
    if reader.peek_major() != MAP:
        raise Refused("MALFORMED", "not a map")
    return reader.value()


def versions(reader):
    lowest, highest = fixed(uint(1, VERSION_MAX), uint(1, VERSION_MAX))(reader)
    if lowest > highest:
        raise Refused("BAD_NUMBER")
    return lowest, highest


def server_name(reader):
    name = text(0, len(reader.data))(reader)
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name, re.ASCII):
        raise Refused("BAD_NAME", name)
    return name


def tick(reader):
    return fixed(server_name, uint(0, POSITIVE_MAX), uint(1, POSITIVE_MAX))(reader)


def ticks(reader):
    n = Reader(reader.data[reader.at :]).head(ARRAY)
    if not 1 <= n <= TICKS_MAX and n <= len(reader.data):
        raise Refused("BAD_TICK", f"{n} ticks")
    found = array(tick, TICKS_MAX)(reader)
    if len({one[:2] for one in found}) < len(found):
        raise Refused("BAD_TICK", "a stream twice")
    return found


def header(reader, fields):
    """A map with the strict header of section 4: fields is {key: (name, read)}.

    Returns {name: value} of those there. What is required is the caller's business.
    """
    n = reader.head(MAP)
    if n > HEADER_KEYS_MAX:
        raise Refused("TOO_MANY" if n <= len(reader.data) else "TRUNCATED")
    seen = set()
    found = {}
    for _ in range(n):
        key = reader.head(UNSIGNED)
        if key in seen:
            raise Refused("DUPLICATE_KEY", str(key))
        seen.add(key)
        if key in fields:
            name, read = fields[key]
            found[name] = read(reader)
        else:
            reader.value()
    return found


def require(found, *names):
    for name in names:
        if name not in found:
            raise Refused("MALFORMED", f"no {name}")
    return found


class Raw:
    """Bytes that are CBOR already, to be spliced in by encode()."""

    def __init__(self, data):
        self.data = data


def encode(item):
    """cbor2 writes heads in shortest form and floats in 64 bits, which is what is wanted."""
    out = BytesIO()
    cbor2.CBOREncoder(out, default=lambda encoder, raw: encoder.write(raw.data)).encode(item)
    return out.getvalue()


# --- Section 3: paths ------------------------------------------------------------------------

# In Python 1 == 1.0 == True, and 0.0 == -0.0: paths are compared and kept by their ordered key.


def check_element(element):
    if element is None or isinstance(element, (bool, bytes)):
        return
    if isinstance(element, int):
        if not -(2**63) <= element <= UINT_MAX:
            raise Refused("BAD_NUMBER", str(element))
    elif isinstance(element, float):
        if not math.isfinite(element):
            raise Refused("BAD_ELEMENT", str(element))
    elif isinstance(element, str):
        try:
            element.encode()
        except UnicodeEncodeError as error:
            raise Refused("BAD_UTF8") from error
    else:
        raise Refused("BAD_ELEMENT", repr(element))


def element_key(element):
    check_element(element)
    if element is None:
        return b"\x10"
    if isinstance(element, bool):
        return b"\x21" if element else b"\x20"
    if isinstance(element, int):
        if element < 0:
            length = max(1, ((-element - 1).bit_length() + 7) // 8)
            return bytes([0x38 - length]) + (2 ** (8 * length) + element).to_bytes(length, "big")
        length = (element.bit_length() + 7) // 8
        return bytes([0x40 + length]) + element.to_bytes(length, "big")
    if isinstance(element, float):
        bits = struct.unpack(">Q", struct.pack(">d", element))[0]
        return b"\x50" + (bits ^ (UINT_MAX if bits >> 63 else 1 << 63)).to_bytes(8, "big")
    data = element.encode() if isinstance(element, str) else element
    kind = b"\x60" if isinstance(element, str) else b"\x70"
    return kind + data.replace(b"\0", b"\0\xff") + b"\0\1"


def path_key(path):
    key = b"".join(map(element_key, path))
    if len(path) > ELEMENTS_MAX or len(key) > KEY_MAX:
        raise Refused("PATH_TOO_LONG")
    return key


def read_element(reader):
    major = reader.peek_major()
    if major == UNSIGNED:
        return reader.head(UNSIGNED)
    if major == NEGATIVE:
        number = -1 - reader.head(NEGATIVE)
        if number < -(2**63):
            raise Refused("BAD_NUMBER", str(number))
        return number
    if major == TEXT:
        return text(0, FRAME_MAX)(reader)
    if major == BYTES:
        return string(0, FRAME_MAX)(reader)
    if major != SIMPLE:
        raise Refused("BAD_ELEMENT", f"major type {major}")
    _, info, argument = reader.raw_head()
    if info in (25, 26, 27):
        number = struct.unpack(">" + "efd"[info - 25], argument.to_bytes(1 << (info - 24), "big"))[0]
        check_element(number)
        return number
    if info == 24 and argument < 32:
        raise Refused("MALFORMED", "two-byte simple value below 32")
    if argument not in (20, 21, 22) or info == 24:
        raise Refused("BAD_ELEMENT", f"simple value {argument}")
    return {20: False, 21: True, 22: None}[argument]


def read_path(reader):
    path = array(read_element, ELEMENTS_MAX)(reader)
    path_key(path)
    return path


# 3.3 dotted text

DOTTED_TOKEN = re.compile(r"::|:\.|:_|.", re.DOTALL)
DOTTED_ESCAPES = {"::": ":", ":.": ".", ":_": " "}
DOTTED_BACK = str.maketrans({":": "::", ".": ":.", " ": ":_"})
JSON_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)
NUMBER_LENGTH_MAX = 128


def from_dotted(dotted):
    if dotted == ":":
        return []
    parts = []  # of each element: what begins it, and its text without escapes
    for token in DOTTED_TOKEN.findall(dotted):
        if token in (".", ":"):
            parts.append([token, ""])
        else:
            if not parts:
                parts.append(["", ""])
            parts[-1][1] += DOTTED_ESCAPES.get(token, token)
    if not parts or parts[0][0] == "." or any(not part[1] for part in parts):
        raise Refused("BAD_PATH", "an element is missing")
    path = [typed_element(spelled) if lead == ":" else spelled for lead, spelled in parts]
    path_key(path)
    return path


def typed_element(spelled):
    constants = {"t": True, "f": False, "n": None, "e": ""}
    if spelled in constants:
        return constants[spelled]
    kind, rest = spelled[0], spelled[1:]
    if kind in "-0123456789":
        return typed_number(spelled)
    if kind == "x" and re.fullmatch(r"[0-9a-fA-F]+", rest, re.ASCII):
        return int(rest, 16)
    if kind == "b" and re.fullmatch(r"[01]+", rest, re.ASCII):
        return int(rest, 2)
    if kind == "v" and re.fullmatch(r"[ -~]*", rest):
        return rest.encode()
    if kind == "y" and re.fullmatch(r"([0-9a-fA-F]{2})*", rest, re.ASCII):
        return bytes.fromhex(rest)
    if kind == "s" and re.fullmatch(r"[A-Za-z0-9+/]*={0,2}", rest, re.ASCII) and len(rest) % 4 == 0:
        data = base64.b64decode(rest)
        if base64.b64encode(data).decode() == rest:
            return data
    raise Refused("BAD_PATH", spelled)


def typed_number(spelled):
    match = JSON_NUMBER.fullmatch(spelled)
    if not match or len(spelled) > NUMBER_LENGTH_MAX or spelled == "-0":
        raise Refused("BAD_PATH", spelled)
    found = float(spelled) if match[2] or match[3] else int(spelled)
    if math.isinf(found):
        raise Refused("BAD_PATH", spelled)
    return found


def to_dotted(path):
    if not path:
        return ":"
    dotted = ""
    for element in path:
        if isinstance(element, str) and element:
            dotted += ("." if dotted else "") + element.translate(DOTTED_BACK)
        else:
            dotted += ":" + dotted_typed(element)
    return dotted


def dotted_typed(element):
    if isinstance(element, bytes):
        if re.fullmatch(rb"[ -~]*", element):
            return "v" + element.decode().translate(DOTTED_BACK)
        return "s" + base64.b64encode(element).decode()
    if isinstance(element, (int, float)) and not isinstance(element, bool):
        return repr(element).translate(DOTTED_BACK)
    return {True: "t", False: "f", None: "n", "": "e"}[element]


# 3.4 topics

PLAIN, PORTABLE = 0, 1
TOPIC_ESCAPES = {":": "::", "/": ":_", "+": ":p", "#": ":h"}
TOPIC_ESCAPED = re.compile(r":(?:u([0-9a-f]+)-|(.))", re.DOTALL)


def is_always_hex(char):
    point = ord(char)
    return (
        point <= 0x1F
        or 0x7F <= point <= 0x9F
        or 0xFDD0 <= point <= 0xFDEF
        or point & 0xFFFE == 0xFFFE
    )


def topic_text(spelled, profile):
    portable = profile == PORTABLE
    if not spelled:
        return ":e"
    level = "" if portable or spelled[0] != "$" else ":."
    for at, char in enumerate(spelled):
        is_hex = is_always_hex(char)
        if portable:
            is_hex = is_hex or char in ".* " or (char == "$" and at == 0)
        level += f":u{ord(char):x}-" if is_hex else TOPIC_ESCAPES.get(char, char)
    return level


def topic_level(element, at, profile):
    if element is None:
        return "$NULL" if at == 0 else ":n"
    if isinstance(element, bool):
        return ":t" if element else ":f"
    if isinstance(element, str):
        return topic_text(element, profile)
    if isinstance(element, bytes):
        return ":y" + element.hex()
    spelled = ":" + repr(element).replace("+", "")
    return spelled.replace(".", ":u2e-") if profile == PORTABLE else spelled


def to_topic(root, path, profile=PLAIN):
    return "/".join([root, "d"] + [topic_level(e, at, profile) for at, e in enumerate(path)])


def from_topic(root, topic, profile=PLAIN):
    """The path, if encoding it gives the same topic. All else raises Refused."""
    base = root + "/d"
    if topic != base and not topic.startswith(base + "/"):
        raise Refused("BAD_TOPIC", "not below the root")
    levels = topic[len(base) + 1 :].split("/") if topic != base else []
    path = [element_of(level, at) for at, level in enumerate(levels)]
    path_key(path)
    if to_topic(root, path, profile) != topic:
        raise Refused("BAD_TOPIC", "not canonical")
    return path


def element_of(level, at):
    """Reads more than is allowed: from_topic() compares."""
    if level == "$NULL" and at == 0:
        return None
    if not level.startswith(":") or level[1:2] in ("", ":", "_", "p", "h", "u", "."):
        return TOPIC_ESCAPED.sub(unescape, level)
    constants = {":t": True, ":f": False, ":n": None, ":e": ""}
    if level in constants:
        return constants[level]
    try:
        if level[1] == "y":
            return bytes.fromhex(level[2:])
        spelled = level[1:].replace(":u2e-", ".")
        return int(spelled) if re.fullmatch("-?[0-9]+", spelled) else float(spelled)
    except ValueError as error:
        raise Refused("BAD_TOPIC", level) from error


def unescape(match):
    if match[1]:
        point = int(match[1], 16)
        if point > 0x10FFFF or 0xD800 <= point <= 0xDFFF:
            raise Refused("BAD_TOPIC", match[0])
        return chr(point)
    return {":": ":", "_": "/", "p": "+", "h": "#", ".": ""}.get(match[2], match[0])


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

    def encode(self):
        message = {}
        if self.tock is not None:
            message[0] = self.tock
        if self.value is not None:
            message[1] = Raw(self.value)
        message[2] = self.ticks
        return encode(message)


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


HELLO, AUTH, SESSION, BIRTH, ERROR, BYE = range(1, 7)
ACK, NACK, CONFLICT, REPEAT, VOID, STATE = range(10, 16)
READ, LIST, CHECK, STATUS, PING, CREDIT, CANCEL = 20, 21, 22, 23, 24, 30, 31
DATA, END, CHILDREN, DIGEST, REPORT, PONG = range(40, 46)

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
            9: ("mode", uint(0, 0)),
            10: ("profile", uint(0, 1)),
            11: ("qos", uint(0, 1)),
            12: ("store", string(16, 16)),
            13: ("digest_key", string(16, 16)),
            14: ("tock", tock),
            15: ("clock", boolean),
            16: ("token", string(1, 64)),
            17: ("on_disk", uint(0, POSITIVE_MAX)),
        },
        {"user", "password"},
    ),
    BIRTH: ({}, set()),
    ERROR: ({**ID, 2: ("code", code(-9999, -1)), 3: ("text", text())}, {"id"}),
    BYE: ({}, set()),
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
        },
        set(),
    ),
    REPEAT: ({2: ("first", number), 3: ("last", number)}, set()),
    STATE: ({2: ("code", code(-9999, 0)), 3: ("text", text())}, set()),
    DATA: ({**ID, 2: ("rows", array(read_row, ROWS_MAX))}, set()),
    END: ({**ID, 2: ("count", uint()), 3: ("place", place)}, {"place"}),
    CHILDREN: (
        {**ID, 2: ("children", array(fixed(read_element, uint(), boolean), ROWS_MAX))},
        set(),
    ),
    DIGEST: (
        {**ID, 2: ("count", uint()), 3: ("digest", string(16, 16)), 4: ("place", place)},
        set(),
    ),
    REPORT: ({**ID, 2: ("report", map_value)}, set()),
    PONG: ({**ID, 2: ("tock", tock)}, set()),
}


def read_frame(data):
    """Returns (kind, {name: value}); the kind is None if it is unknown and has no id."""
    reader = Reader(data)
    head = require(header(reader, {0: ("kind", uint())}), "kind")
    reader.end()
    kind = head["kind"]
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
