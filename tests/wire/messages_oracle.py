#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Holds tests/vectors/messages.json against two other readers.

One is cbor2, which knows CBOR but nothing of this protocol: what a vector says to mean is what it
finds, and what it writes is the vector.  The other is the reader below, written from
docs/protocol.md alone, sections 2, 4, 7, 9 and 12: it accepts and refuses the same, for the same reason.
"""
import json
import sys

import cbor2

INTEGER_MAX = 2**63 - 1
NAME = set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
UINT, NINT, BYTES, TEXT, ARRAY, MAP, TAG, SIMPLE = range(8)
INDEFINITE = 31


class Refused(Exception):
    """With the name of the error."""


def require(condition, error="MALFORMED"):
    if not condition:
        raise Refused(error)


class Reader:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, n):
        require(n <= len(self.data) - self.at, "TRUNCATED")
        self.at += n
        return self.data[self.at - n:self.at]

    def left(self):
        return len(self.data) - self.at

    def head(self):
        """Any well-formed head: major type, additional information, number."""
        first = self.take(1)[0]
        major, info = first >> 5, first & 31
        if info < 24:
            return major, info, info
        if info < 28:
            return major, info, int.from_bytes(self.take(1 << (info - 24)), "big")
        require(info == INDEFINITE and major not in (UINT, NINT, TAG))
        return major, info, 0

    def strict(self, expected):
        require(self.left() > 0, "TRUNCATED")
        require(self.data[self.at] >> 5 == expected)
        _, info, number = self.head()
        require(info != INDEFINITE)
        shortest = {24: 24, 25: 2**8, 26: 2**16, 27: 2**32}
        require(number >= shortest.get(info, 0), "NOT_MINIMAL")
        return number

    def uint(self, low=0, high=2**64 - 1):
        number = self.strict(UINT)
        require(low <= number <= high, "BAD_NUMBER")
        return number

    def code(self, high=-1):
        require(self.left() > 0, "TRUNCATED")
        negative = self.data[self.at] >> 5 == NINT
        number = -1 - self.strict(NINT) if negative else self.strict(UINT)
        require(-9999 <= number <= high, "BAD_NUMBER")

    def text(self, high, low=0):
        raw = self.take(self.strict(TEXT))
        check_utf8(raw)
        require(len(raw) >= low)
        require(len(raw) <= high, "TOO_LARGE")
        return raw

    def bytes_of(self, length):
        require(len(self.take(self.strict(BYTES))) == length)

    def bytes(self, low, high):
        raw = self.take(self.strict(BYTES))
        require(len(raw) >= low)
        require(len(raw) <= high, "TOO_LARGE")
        return raw

    def boolean(self):
        require(self.take(1)[0] in (0xf4, 0xf5))

    def array(self, low, high=None, error="MALFORMED"):
        n = self.strict(ARRAY)
        require(n <= self.left(), "TRUNCATED")
        require(low <= n <= (low if high is None else high), error)
        return n

    def name(self):
        raw = self.take(self.strict(TEXT))
        check_utf8(raw)
        require(1 <= len(raw) <= 64 and NAME.issuperset(raw), "BAD_NAME")
        return raw

    def value(self, depth=0):
        """Section 2; the numbers of items and bytes are not reached by any vector."""
        major, info, number = self.head()
        require(not (major == SIMPLE and info == INDEFINITE))
        if major in (BYTES, TEXT):
            self.string(major, info, number, depth)
        elif major in (ARRAY, MAP, TAG):
            require(depth < 64, "TOO_DEEP")
            if info == INDEFINITE:
                self.until_break(major, depth)
                return
            n = {ARRAY: number, MAP: 2 * number, TAG: 1}[major]
            require(n <= self.left(), "TRUNCATED")
            for _ in range(n):
                self.value(depth + 1)
        elif major == SIMPLE:
            require(info != 24 or number >= 32)

    def string(self, major, info, number, depth):
        if info != INDEFINITE:
            raw = self.take(number)
            if major == TEXT:
                check_utf8(raw)
            return
        require(depth < 64, "TOO_DEEP")
        while not self.at_break():
            chunk, chunk_info, chunk_len = self.head()
            require(chunk == major and chunk_info != INDEFINITE)
            self.string(major, chunk_info, chunk_len, depth)

    def until_break(self, major, depth):
        n = 0
        while not self.at_break():
            self.value(depth + 1)
            n += 1
        require(major == ARRAY or n % 2 == 0)

    def at_break(self):
        require(self.left() > 0, "TRUNCATED")
        if self.data[self.at] != 0xff:
            return False
        self.at += 1
        return True


def check_utf8(raw):
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused("BAD_UTF8") from None


# What stands under a key.

def tock(r):
    r.uint(0, INTEGER_MAX)


def positive(r):
    return r.uint(1, INTEGER_MAX)


def small(low, high=2**32 - 1):
    return lambda r: r.uint(low, high)


def text(high, low=0):
    return lambda r: r.text(high, low)


def octets(low, high):
    return lambda r: r.bytes(low, high)


def texts(n_max, high):
    def read(r):
        for _ in range(r.array(0, n_max, "TOO_MANY")):
            r.text(high)
    return read


def versions(r):
    r.array(2)
    lowest = r.uint(1, 2**32 - 1)
    r.uint(lowest, 2**32 - 1)


def session(r):
    r.array(2)
    r.name()
    positive(r)


def place(r):
    r.array(2)
    r.uint()
    r.uint()


def ticks(r):
    streams = set()
    for _ in range(r.array(1, 5, "BAD_TICK")):
        r.array(3)
        stream = (r.name(), r.uint(0, INTEGER_MAX))
        positive(r)
        require(stream not in streams, "BAD_TICK")
        streams.add(stream)


def entry_parts(r, present):
    tock(r)
    ticks(r)
    if present:
        r.value()


def entry(r):
    entry_parts(r, r.array(2, 3) == 3)


def path(r):
    require(r.data[r.at] >> 5 == ARRAY)
    r.value()


def rows(r):
    for _ in range(r.array(0, 256, "TOO_MANY")):
        present = r.array(4, 5) == 5
        r.uint(0, 64)
        r.value()
        entry_parts(r, present)


def children(r):
    for _ in range(r.array(0, 256, "TOO_MANY")):
        r.array(3)
        first = r.data[r.at]
        require(first >> 5 not in (ARRAY, MAP, TAG) and first != 0xf7, "BAD_ELEMENT")
        r.value()
        r.uint()
        r.boolean()


def conflicts(r):
    for _ in range(r.array(0, 256, "TOO_MANY")):
        present = r.array(8, 9) == 9
        r.uint()
        path(r)
        r.uint(0, 1)
        tock(r)
        r.uint()
        entry(r)
        entry_parts(r, present)


def report(r):
    require(r.data[r.at] >> 5 == MAP)
    r.value()


def reports(r):
    for _ in range(r.array(0, 256, "TOO_MANY")):
        report(r)


def some(r, n_max):
    """The length of a list that may not be empty."""
    n = r.array(0, n_max, "TOO_MANY")
    require(n > 0)
    return n


def range_list(r):
    found = []
    for _ in range(some(r, 64)):
        r.array(2)
        start, end = r.bytes(0, 1024), r.bytes(0, 1024)
        require(end == b"" or end > start)
        found.append((start, end))
    return found


def sums(r):
    for _ in range(some(r, 64)):
        before = b""
        n = some(r, 16)
        for i in range(n):
            r.array(3)
            upto = r.bytes(0, 1024)
            r.uint()
            id16(r)
            require(upto > before or (upto == b"" and i == n - 1))
            before = upto


def code(r):
    r.code()


def state_code(r):
    r.code(0)


def id16(r):
    r.bytes_of(16)


ID8 = octets(8, 32)
TOKEN = octets(1, 64)
PEOPLE = text(1024)
ADDRESSES = texts(8, 512)
NAMED = Reader.name

# Message: required keys, optional keys.
UPDATE = {2: ticks}, {0: tock, 1: Reader.value}
QUERY = {0: ID8, 1: versions}, {}
SERVER = {0: ID8, 1: NAMED, 2: ADDRESSES, 3: versions, 4: text(255)}, {}
BIRTH = {0: NAMED, 1: positive}, {}
PING = {0: NAMED, 1: id16, 2: tock, 3: positive, 4: small(0, 2), 5: ADDRESSES, 6: text(255), 7: versions,
        8: small(0), 9: small(0), 10: small(0), 11: Reader.uint, 12: tock, 13: tock, 14: tock, 15: tock,
        16: id16, 17: Reader.uint, 18: id16, 19: tock, 20: tock, 21: id16, 22: id16}, {}

KIND = {0: Reader.uint}
REQUEST = {**KIND, 1: positive}
CREDIT = {7: small(1)}
FRAMES = {
    1: ({**KIND, 2: versions, 3: texts(16, 1024), 4: PEOPLE}, {5: NAMED, 6: texts(8, 1024)}),
    2: ({**KIND, 2: PEOPLE}, {3: session, 4: TOKEN, 5: octets(1, 4096)}),
    3: ({**KIND, 2: NAMED, 3: positive, 4: text(256, 1), 5: ADDRESSES, 6: text(65535), 9: small(0, 1),
         10: small(0, 1), 11: small(0, 1), 12: id16, 13: id16, 14: tock, 15: Reader.boolean,
         16: TOKEN, 17: tock}, {7: text(65535), 8: text(65535), 18: octets(32, 32)}),
    4: (KIND, {}),
    5: ({**KIND, 2: code, 3: PEOPLE}, {1: positive}),
    6: (KIND, {2: tock}),
    7: ({**KIND, 2: NAMED, 3: id16, 4: place, 5: small(0, 1)}, {}),
    8: ({**KIND, 2: octets(0, 4096)}, {}),
    9: ({**KIND, 2: octets(0, 4096)}, {}),
    10: ({**KIND, 2: tock, 3: small(1), 4: tock}, {}),
    11: ({**KIND, 2: positive, 3: code, 4: PEOPLE}, {}),
    12: ({**KIND, 2: path, 3: small(0, 1), 4: entry, 5: entry}, {6: Reader.uint}),
    13: ({**KIND, 2: positive, 3: positive}, {}),
    14: ({**KIND, 2: positive, 3: positive}, {}),
    15: ({**KIND, 2: state_code, 3: PEOPLE}, {}),
    16: (KIND, {}),
    20: ({**REQUEST, 2: path}, {3: small(0, 64), 4: small(0, 64), 5: small(0, 3), 6: place, **CREDIT}),
    21: ({**REQUEST, 2: path}, CREDIT),
    22: ({**REQUEST, 2: path}, {}),
    23: (REQUEST, {}),
    24: (REQUEST, {}),
    25: ({**REQUEST, 2: id16, 3: tock, 4: positive, 5: NAMED, 6: Reader.boolean}, {}),
    26: ({**REQUEST, 2: range_list}, {}),
    27: ({**REQUEST, 2: range_list}, CREDIT),
    28: ({**REQUEST, 2: path}, {5: small(0, 1), **CREDIT}),
    29: (REQUEST, CREDIT),
    30: ({**REQUEST, 2: small(1)}, {}),
    31: (REQUEST, {}),
    32: ({**REQUEST, 2: id16}, {}),
    33: ({**REQUEST, 2: text(64, 1), 3: small(4096, 10**7), 4: octets(8, 64), 5: octets(32, 32),
          6: octets(32, 32)}, {}),
    34: (REQUEST, {2: text(64, 1)}),
    51: ({**REQUEST, 2: text(64, 1), 3: small(4096, 10**7), 4: octets(8, 64), 5: octets(32, 32),
          6: octets(32, 32), 7: tock}, {}),
    40: ({**REQUEST, 2: rows}, {3: place}),
    41: ({**REQUEST, 2: Reader.uint}, {3: place}),
    42: ({**REQUEST, 2: children}, {}),
    43: ({**REQUEST, 2: Reader.uint, 3: id16, 4: place}, {5: positive}),
    44: ({**REQUEST, 2: report}, {}),
    45: ({**REQUEST, 2: tock}, {}),
    46: ({**REQUEST, 2: Reader.boolean, 3: place, 4: tock, 5: tock, 6: tock, 7: Reader.uint, 8: id16},
         {9: place}),
    47: ({**REQUEST, 2: sums}, {}),
    48: ({**REQUEST, 2: conflicts}, {}),
    49: ({**REQUEST, 2: reports}, {}),
    50: (REQUEST, {}),
}


def read_header(data, spec):
    """The message as {key: what its reader returned}."""
    required, optional = spec
    readers = {**required, **optional}
    found = {}
    r = Reader(data)
    n = r.strict(MAP)
    require(n <= 32, "TOO_MANY")
    require(2 * n <= r.left(), "TRUNCATED")
    for _ in range(n):
        key = r.uint()
        require(key not in found, "DUPLICATE_KEY")
        found[key] = readers.get(key, Reader.value)(r)
    require(r.left() == 0, "TRAILING")
    require(required.keys() <= found.keys())
    return found


def read_frame(data):
    kind = read_header(data, (KIND, {}))[0]
    if kind not in FRAMES:
        read_header(data, (KIND, {1: positive}))
        raise Refused("UNKNOWN_REQUEST")
    found = read_header(data, FRAMES[kind])
    if kind in (13, 14):
        require(found[2] <= found[3], "BAD_NUMBER")
    if kind == 27:
        require(all(end and start >= end for (_, end), (start, _) in zip(found[2], found[2][1:])))
    if kind == 2:
        require((3 in found) == (4 in found))


READERS = {
    "update": lambda data: read_header(data, UPDATE),
    "query": lambda data: read_header(data, QUERY),
    "server": lambda data: read_header(data, SERVER),
    "birth": lambda data: read_header(data, BIRTH),
    "ping": lambda data: read_header(data, PING),
    "frame": read_frame,
}


def verdict(vector, hex_text):
    try:
        READERS[vector["message"]](bytes.fromhex(hex_text))
    except Refused as refused:
        return str(refused)
    return "accepted"


def plain(item):
    """From the notation of `pairs` to what it stands for."""
    if isinstance(item, list):
        return [plain(part) for part in item]
    if isinstance(item, dict) and "bytes" in item:
        return bytes.fromhex(item["bytes"])
    if isinstance(item, dict):
        return {plain(key): plain(value) for key, value in item["map"]}
    return item


def same(a, b):
    """Equal, and of the same type all the way down: 1, 1.0 and True differ."""
    return repr(a) == repr(b)


def complaints(vector):
    expected = vector.get("error", "accepted")
    found = verdict(vector, vector["hex"])
    if found != expected:
        yield f"{found}, not {expected}"
    if "again" in vector and verdict(vector, vector["again"]) != "accepted":
        yield "its canonical form is refused"
    if "pairs" in vector:
        meaning = {key: plain(value) for key, value in vector["pairs"]}
        raw = bytes.fromhex(vector["hex"])
        if not same(cbor2.loads(raw), meaning):
            yield "cbor2 reads something else"
        if cbor2.dumps(meaning) != raw:
            yield "cbor2 writes something else"


def main(path_of_vectors):
    with open(path_of_vectors, encoding="utf-8") as file:
        vectors = json.load(file)
    n_failed = 0
    print(f"1..{len(vectors)}")
    for number, vector in enumerate(vectors, 1):
        found = list(complaints(vector))
        n_failed += bool(found)
        print("not ok" if found else "ok", number, f"- {vector['message']}: {vector['name']}")
        for complaint in found:
            print(f"#   {complaint}")
    return 1 if n_failed else 0


sys.exit(main(sys.argv[1]))
