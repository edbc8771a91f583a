#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The order of updates, their conflicts and digests, written from docs/protocol.md, sections 4, 6 and
8, alone.  Writes tests/vectors/order.json, for whoever writes a client; or, as a test, says whether
that file is as it would be written:

    order_vectors.py --write FILE
    order_vectors.py --check FILE
"""
import functools
import hashlib
import json
import sys

DOC = ("Order, conflicts and digests of updates, see docs/protocol.md, sections 6 and 8. All bytes are hexadecimal. "
       "values: a raw value and its vhash. updates: messages as in section 4, each with the parts of its K, in ascending "
       "order of K. pairs: [winner, loser, class of the conflict], the first two as indexes into updates; null: the winner "
       "covers the loser. digests: of the update at a path, by its ordered key; sums: of those, by their indexes. digest_keys: of the servers with a "
       "topic root.")

VALUES = ["f6", "f5", "00", "01", "1800", "60", "626f6e", "40", "80", "9fff", "a0", "fb3ff0000000000000", "f93c00",
          "d90001f6", "78" + "40" + "61" * 64, "59" + "0100" + "00" * 256]

ROOTS = ["m", "moat/main", "küche/" + "k" * 249]
DIGEST_KEY = bytes(range(0xf0, 0x100))


def cbor_uint(number, major=0):
    if number < 24:
        return bytes([major << 5 | number])
    for info, n_bytes in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if number < 1 << 8 * n_bytes:
            return bytes([major << 5 | info]) + number.to_bytes(n_bytes, "big")
    raise ValueError(number)


def cbor_tick(tick):
    name, seq, counter = tick
    return b"\x83" + cbor_uint(len(name), 3) + name.encode() + cbor_uint(seq) + cbor_uint(counter)


class Update:
    def __init__(self, tock, ticks, value):
        self.tock = tock
        self.ticks = ticks
        self.value = None if value is None else bytes.fromhex(value)

    def message(self):
        pairs = [b"\x00" + cbor_uint(self.tock)]
        if self.value is not None:
            pairs.append(b"\x01" + self.value)
        pairs.append(b"\x02" + cbor_uint(len(self.ticks), 4) + b"".join(map(cbor_tick, self.ticks)))
        return cbor_uint(len(pairs), 5) + b"".join(pairs)

    def k(self):
        name, seq, counter = self.ticks[0]
        present = 0 if self.value is None else 1
        return (self.tock, name.encode(), seq, counter, present, vhash(self.value) if present else 0)

    def covers(self, other):
        name, seq, counter = other.ticks[0]
        return any(t[0] == name and t[1] == seq and t[2] >= counter for t in self.ticks)


def vhash(value):
    return int.from_bytes(hashlib.blake2b(value, digest_size=32).digest()[:8], "big")


def conflict_class(a, b):
    return 1 if 5 in (len(a.ticks), len(b.ticks)) else 0


def digest(path, update):
    tock, name, seq, counter, present, hashed = update.k()
    text = (len(path).to_bytes(2, "big") + path + tock.to_bytes(8, "big") + bytes([len(name)]) + name +
            seq.to_bytes(8, "big") + counter.to_bytes(8, "big") + bytes([present]) + hashed.to_bytes(8, "big"))
    return hashlib.blake2b(text, digest_size=16, key=DIGEST_KEY).digest()


def digest_key(root):
    return hashlib.blake2b(b"moat-kv digest 1 " + root.encode(), digest_size=16).digest()


def add(digests):
    halves = [sum(int.from_bytes(d[at:at + 8], "big") for d in digests) % 2 ** 64 for at in (0, 8)]
    return b"".join(half.to_bytes(8, "big") for half in halves)


def all_updates():
    top = 2 ** 63 - 1
    full = [("a", 1, 9), ("b", 1, 3), ("c", 2, 5), ("d", 1, 1), ("e", 7, 7)]
    updates = [Update(tock, [(name, seq, counter)], value)
               for tock in (0, 1, 2 ** 32, 2 ** 53 + 1, top)
               for name, seq, counter in (("a", 1, 1), ("a", 1, 2), ("a", 2, 1), ("a-b", 1, 1), ("ab", 1, 1), ("B", 0, top),
                                          ("b", top, 1), ("z" * 64, 3, 3))
               for value in (None, "f6", "01")]
    updates += [Update(5, full, "01"), Update(5, full[1:] + full[:1], "02"), Update(6, full[:4], None),
                Update(6, [("f", 1, 1), ("a", 1, 8)], "03"), Update(7, [("f", 1, 2), ("a", 1, 9)], "03"),
                Update(8, [("f", 2, 1), ("a", 1, 10), ("b", 1, 2)], "04"), Update(9, [("b", 1, 4), ("f", 2, 1)], None)]
    return sorted(updates, key=functools.cmp_to_key(lambda a, b: (a.k() > b.k()) - (a.k() < b.k())))


def all_pairs(updates):
    interesting = [i for i, update in enumerate(updates) if 5 <= update.tock <= 9 or update.tock == 1]
    return [(winner, loser) for winner in interesting for loser in interesting if updates[winner].k() > updates[loser].k()]


def build():
    updates = all_updates()
    paths = [b"", b"\x10", bytes.fromhex("60610001"), bytes.fromhex("6061000160620001"), b"\x40" * 64,
             b"\x60" + b"x" * 1021 + b"\x00\x01"]
    places = [(paths[i % len(paths)], i) for i in range(0, len(updates), 5)]
    digests = [digest(path, updates[i]) for path, i in places]
    sums = [[], [0], [1, 2], list(range(len(digests)))]
    return {
        "doc": DOC,
        "values": [{"value": v, "vhash": f"{vhash(bytes.fromhex(v)):016x}"} for v in VALUES],
        "updates": [{"message": u.message().hex(), "k": [str(part) if isinstance(part, int) else part.decode()
                                                        for part in u.k()[:5]] + [f"{u.k()[5]:016x}"]} for u in updates],
        "pairs": [[w, l, None if updates[w].covers(updates[l]) else conflict_class(updates[w], updates[l])]
                  for w, l in all_pairs(updates)],
        "digest_key": DIGEST_KEY.hex(),
        "digests": [{"path": path.hex(), "update": i, "digest": d.hex()} for (path, i), d in zip(places, digests)],
        "sums": [{"digests": picked, "sum": add([digests[i] for i in picked]).hex()} for picked in sums],
        "digest_keys": [{"root": root, "key": digest_key(root).hex()} for root in ROOTS],
    }


def as_text(vectors):
    """One vector a line."""
    lines = []
    for name, content in vectors.items():
        if isinstance(content, list):
            rows = ",\n".join("  " + json.dumps(row) for row in content)
            lines.append(f' {json.dumps(name)}: [\n{rows}\n ]')
        else:
            lines.append(f" {json.dumps(name)}: {json.dumps(content)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main(option, path):
    text = as_text(build())
    if option == "--write":
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return 0
    with open(path, encoding="utf-8") as file:
        same = file.read() == text
    print("1..1")
    print("ok 1 - order.json" if same else f"not ok 1 - {path} is not as --write would write it")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
