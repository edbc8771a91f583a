# SPDX-License-Identifier: Apache-2.0
"""Reading CBOR strictly, as docs/protocol.md wants it; codes and limits of sections 10 and 11."""
import re
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

    def value(self, is_limited=True):
        """Any well-formed item, by default within the limits of section 2, as its own bytes."""
        start = self.at
        n_items = 0
        open_items = []  # of each container around us: [items missing or None, major, items seen]
        while True:
            n_items += self._value_head(open_items)
            if is_limited and n_items > ITEMS_MAX:
                raise Refused("TOO_MANY")
            if is_limited and len(open_items) > DEPTH_MAX:
                raise Refused("TOO_DEEP")
            while open_items and open_items[-1][0] == 0:
                open_items.pop()
            if not open_items:
                break
        if is_limited and self.at - start > VALUE_MAX:
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


def header(reader, fields, skip=Reader.value):
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
            skip(reader)
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
