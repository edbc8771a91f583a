# SPDX-License-Identifier: Apache-2.0
"""The client from the document and the command line agree on every path and every value.

    test_foreign_cli.py SOURCE_ROOT MOAT_KVD MOAT_KV [SEED]
"""
import hashlib
import json
import os
import random
import struct
import subprocess
import sys
from pathlib import Path

ROOT = Path(sys.argv[1])
sys.path[:0] = [str(ROOT / "tests/house"), str(ROOT / "tests/e2e/foreign")]

import strict_cbor
import wire
from moatkv_foreign import Loop
from rig import *
from tap import Report
from wire import Raw

PROGRAM, MOAT_KV = sys.argv[2], sys.argv[3]
SEED = int(sys.argv[4]) if len(sys.argv) > 4 else int.from_bytes(os.urandom(4), "big")
N_PATHS = 300

CHARACTERS = (
    "ab01 .:_/+#$-*\"'\\{}[],&!%@`~|<>=?^;()\t\n\r\x1b\x7f\x80\x9f"
    "\xe9\xdf\u0301\u200b\u202e\u2028\ufdd0\ufeff\uffff\U0001f600\U0010fffe\u4e2d"
)


# --- Paths and values at random --------------------------------------------------------------


def random_text(rng, n_max=8):
    return "".join(rng.choice(CHARACTERS) for _ in range(rng.randrange(n_max)))


def random_element(rng):
    kind = rng.randrange(9)
    if kind < 3:
        return random_text(rng)
    if kind == 3:
        return rng.choice([None, True, False, "$NULL", "", "$", ":", ":n", "1", "true", " ", "."])
    if kind == 4:
        return rng.choice([1, -1]) * rng.getrandbits(rng.randrange(1, 63))
    if kind == 5:
        return rng.choice([0, 2**64 - 1, -(2**63), 23, 24, 255, 256, -256, -257, 2**63])
    if kind == 6:
        return rng.choice([0.0, -0.0, 1.0, 1e16, 1e15, 1e-5, 0.1, 5e-324, 1.7976931348623157e308])
    if kind == 7:
        while True:
            number = struct.unpack(">d", rng.getrandbits(64).to_bytes(8, "big"))[0]
            if abs(number) < float("inf"):
                return number
    return rng.randbytes(rng.randrange(6)) if rng.randrange(2) else b"print :.able "


def random_paths(rng, top, with_nul):
    """As many paths below [top], no two alike."""
    paths = {}
    while len(paths) < N_PATHS:
        n = rng.choice([0, 1, 1, 2, 2, 3, 5, 63])
        path = [top] + [random_element(rng) for _ in range(n)]
        if with_nul and rng.randrange(10) == 0:
            path.append("nul \0 here")
        try:
            paths[wire.path_key(path)] = path
        except wire.Refused:
            pass
    return list(paths.values())


def head(rng, major, number):
    """Not always in shortest form."""
    infos = [info for info in range(24, 28) if number < 1 << 8 * (1 << (info - 24))]
    if number < 24 and rng.randrange(4):
        return bytes([major << 5 | number])
    info = infos[0] if rng.randrange(4) else rng.choice(infos)
    return bytes([major << 5 | info]) + number.to_bytes(1 << (info - 24), "big")


def random_string(rng, major):
    def chunk():
        is_text = major == strict_cbor.TEXT
        data = random_text(rng).encode() if is_text else rng.randbytes(rng.randrange(9))
        return head(rng, major, len(data)) + data

    if rng.randrange(6):
        return chunk()
    return bytes([major << 5 | 31]) + b"".join(chunk() for _ in range(rng.randrange(4))) + b"\xff"


def random_value(rng, depth=0):
    kind = rng.randrange(11 if depth < 4 else 7)
    if kind == 0:
        return head(rng, rng.randrange(2), rng.getrandbits(rng.choice([4, 8, 16, 32, 63, 64])))
    if kind == 1:
        return bytes.fromhex(rng.choice(["f4", "f5", "f6", "f7", "e0", "f3", "f820", "f8ff"]))
    if kind == 2:
        info = rng.choice([25, 26, 27])
        return bytes([0xE0 | info]) + rng.randbytes(1 << (info - 24))
    if kind == 3:
        return bytes.fromhex(rng.choice(["f97e00", "f97c00", "f9fc00", "f98000", "fa7fc00001"]))
    if kind in (4, 5):
        return random_string(rng, strict_cbor.TEXT)
    if kind == 6:
        return random_string(rng, strict_cbor.BYTES)
    if kind == 10:
        tag = head(rng, strict_cbor.TAG, rng.choice([0, 1, 2, 32, 258, 55799]))
        return tag + random_value(rng, depth + 1)
    major = strict_cbor.MAP if kind >= 8 else strict_cbor.ARRAY
    n = rng.randrange(4)
    content = b""
    for _ in range(n):
        content += random_key(rng, depth) if major == strict_cbor.MAP else b""
        content += random_value(rng, depth + 1)
    if rng.randrange(4):
        return head(rng, major, n) + content
    return bytes([major << 5 | 31]) + content + b"\xff"


def random_key(rng, depth):
    if rng.randrange(5) == 0:
        return random_value(rng, depth + 1)
    if rng.randrange(5) == 0:
        words = ("$bytes", "$$bytes", "$value", "$tag", "$map", "$float", "$simple", "$ref")
        return strict_cbor.encode(rng.choice(words))
    return random_string(rng, strict_cbor.TEXT)


# --- docs/formats.md, 1.2: values as JSON ----------------------------------------------------

RESERVED = ("bytes", "float", "simple", "tag", "map", "value")


class Endless(Exception):
    """The break that ends an item of indefinite length."""


def to_json(raw):
    return item_to_json(wire.Reader(raw))


def item_to_json(reader):
    major, info, argument = reader.raw_head()
    if major == strict_cbor.UNSIGNED:
        return argument
    if major == strict_cbor.NEGATIVE:
        return -1 - argument
    if major in (strict_cbor.BYTES, strict_cbor.TEXT):
        data = string_of(reader, argument)
        if major == strict_cbor.TEXT:
            return data.decode()
        return {"$bytes": wire.base64.b64encode(data).decode()}
    if major == strict_cbor.ARRAY:
        return items_of(reader, argument)
    if major == strict_cbor.MAP:
        items = items_of(reader, argument if argument is None else 2 * argument)
        return map_to_json(list(zip(items[0::2], items[1::2])))
    if major == strict_cbor.TAG:
        return {"$tag": argument, "value": item_to_json(reader)}
    return simple_to_json(info, argument)


def string_of(reader, length):
    if length is not None:
        return reader.take(length)
    data = b""
    while True:
        _, _, chunk = reader.raw_head()
        if chunk is None:
            return data
        data += reader.take(chunk)


def items_of(reader, n):
    items = []
    try:
        while n is None or len(items) < n:
            items.append(item_to_json(reader))
    except Endless:
        pass
    return items


def simple_to_json(info, argument):
    if argument is None:
        raise Endless
    if info in (25, 26, 27):
        data = argument.to_bytes(1 << (info - 24), "big")
        number = struct.unpack(">" + "efd"[info - 25], data)[0]
        special = {"nan": "nan", "inf": "inf", "-inf": "-inf"}.get(repr(number))
        return {"$float": special} if special else number
    constants = {20: False, 21: True, 22: None}
    return constants[argument] if argument in constants else {"$simple": argument}


def map_to_json(pairs):
    keys = [key for key, _ in pairs]
    if not all(isinstance(key, str) for key in keys) or len(set(keys)) < len(keys):
        return {"$map": [list(pair) for pair in pairs]}
    return {escaped(key): value for key, value in pairs}


def escaped(key):
    return "$" + key if key.startswith("$") and key.lstrip("$") in RESERVED else key


# --- The cases -------------------------------------------------------------------------------


class World:
    def __init__(self):
        self.rng = random.Random(SEED)
        self.server = Server(PROGRAM)
        self.loop = Loop()
        self.client = ready_client(self.loop, self.server)
        self.writes = []

    def moat_kv(self, *arguments):
        command = [MOAT_KV, "--server", self.server.address, *arguments]
        return subprocess.run(command, capture_output=True, timeout=DEADLINE_S, check=False)

    def good(self, *arguments):
        done = self.moat_kv(*arguments)
        if done.returncode != 0:
            raise AssertionError(f"{arguments}: {done.returncode} {done.stderr.decode()}")
        return done.stdout

    def write_all(self):
        """Written by the foreign client: all kinds of paths and values."""
        for path in random_paths(self.rng, "a", with_nul=True):
            self.writes.append(self.client.write(path, Raw(random_value(self.rng))))
        settle(self.loop, *self.writes)
        equal({w.state for w in self.writes}, {"acked"}, "the states")

    def get_each(self):
        """Read by the command line, one by one."""
        findings = []
        for write in self.writes:
            dotted = wire.to_dotted(write.path)
            if "\0" in dotted:
                continue  # no argument can hold it
            found = self.good("-o", "cbor", "get", "--", dotted.encode())
            if found != write.entry.value:
                findings.append(f"{dotted!r}: {found.hex()}, not {write.entry.value.hex()}")
        return findings

    def dump_lines(self):
        lines = [json.loads(line) for line in self.good("-o", "jsonl", "dump", "--ticks", "a").splitlines()]
        equal(lines.pop(), {"end": True, "count": len(self.writes)}, "the last line")
        found = {line["path"]: line for line in lines}
        findings = []
        for write in self.writes:
            wanted = {
                "path": wire.to_dotted(write.path),
                "value": to_json(write.entry.value),
                "tock": write.entry.tock,
                "ticks": [list(tick) for tick in write.entry.ticks],
            }
            line = found.get(wanted["path"])
            if json.dumps(line, sort_keys=True) != json.dumps(wanted, sort_keys=True):
                findings.append(f"{line}, not {wanted}")
        return findings

    def dump_cbor(self):
        data = self.good("-o", "cbor", "dump", "--ticks", "a")
        reader = wire.Reader(data)
        first = wire.cbor2.loads(reader.value())
        first = getattr(first, "value", first)
        equal((first["format"], first["version"], first["path"]), ("moat-kv dump", 1, ["a"]), "header")
        found = {}
        while reader.peek_major() == wire.ARRAY:
            n = reader.head(wire.ARRAY)
            path = wire.read_path(reader)
            when, ticks = wire.tock(reader), wire.ticks(reader)
            found[wire.path_key(path)] = wire.Entry(when, reader.value() if n == 4 else None, ticks)
        checked = data[: reader.at]
        last = wire.cbor2.loads(reader.value())
        reader.end()
        equal(last["count"], len(self.writes), "the count")
        equal(last["blake2b"], hashlib.blake2b(checked, digest_size=32).digest(), "the checksum")
        wanted = {wire.path_key(w.path): w.entry for w in self.writes}
        equal(found == wanted, True, "whether the rows are what was written")

    def set_each(self):
        """Written by the command line, seen by a watch and stored."""
        watch = synced_watch(self.loop, self.client, ["b"])
        wanted = {}
        for path in random_paths(self.rng, "b", with_nul=False):
            value = random_value(self.rng)
            dotted = wire.to_dotted(path)
            self.good("set", "-x", "--", dotted.encode(), value.hex())
            wanted[wire.path_key(path)] = value
            self.loop.turn(0)
        agrees(self.loop, watch)
        equal({key: entry.value for key, entry in watch.live().items()}, wanted, "what is watched")
        found = entries_below(self.loop, self.client, ["b"])
        equal({key: entry.value for key, entry in found.items()}, wanted, "what is stored")

        for key, (path, entry) in list(watch.entries.items())[:20]:
            self.good("set", "--", wire.to_dotted(path).encode(), "again")
            over = lambda: watch.entries[key][1].dot != entry.dot
            self.loop.until(over, DEADLINE_S, "the overwriting one")
            if not watch.entries[key][1].covers(entry):
                return [f"{watch.entries[key][1]} does not name {entry}"]

    def delete(self):
        """Deleted by the command line."""
        watch = synced_watch(self.loop, self.client, ["b"])
        self.good("del", "-r", "b")
        self.loop.until(lambda: not watch.live(), DEADLINE_S, "the deletions")
        agrees(self.loop, watch)

    def end(self):
        equal(self.client.conflicts, [], "conflicts")
        self.client.close()
        return self.server.stop()


def main():
    print(f"# seed {SEED}")
    report = Report()
    cases = Cases(report)
    world = World()
    for name, case in {
        "written by the foreign client": world.write_all,
        "read by moat-kv get": world.get_each,
        "read by moat-kv dump, lines": world.dump_lines,
        "read by moat-kv dump, CBOR": world.dump_cbor,
        "written by moat-kv set": world.set_each,
        "deleted by moat-kv del": world.delete,
        "the server ends in order": world.end,
    }.items():
        cases.run(name, case)
    report.end()


main()
