# SPDX-License-Identifier: Apache-2.0
"""Dump files as docs/formats.md describes them, written and read by Python alone.

usage: dump_oracle.py dump_tool
"""
import base64
import hashlib
import io
import json
import random
import subprocess
import sys

import cbor2

TOOL = sys.argv[1]
WORDS = ["a", "kitchen", "ä", "", ".", ":", " ", "x/y", "😀"]


def run(data, notation):
    done = subprocess.run([TOOL, notation], input=data, capture_output=True)
    if done.returncode != 0:
        raise ValueError(done.stderr.decode(errors="replace"))
    return done.stdout


def value(rng, depth=3):
    kind = rng.randrange(7 if depth > 0 else 5)
    if kind == 0:
        return rng.choice([None, True, False, rng.random(), 1.0])
    if kind == 1:
        return rng.choice([1, -1]) * rng.getrandbits(rng.randrange(1, 64))
    if kind == 2:
        return rng.randbytes(rng.randrange(5))
    if kind < 5:
        return rng.choice(WORDS)
    if kind == 5:
        return [value(rng, depth - 1) for _ in range(rng.randrange(4))]
    return {rng.choice(WORDS): value(rng, depth - 1) for _ in range(rng.randrange(4))}


def row(rng):
    path = [rng.choice(WORDS + [0, 1, -5, 2**64 - 1, True, None]) for _ in range(rng.randrange(4))]
    ticks = [[f"srv{i}", rng.getrandbits(40), 1 + rng.getrandbits(60)] for i in range(1, rng.randrange(2, 6))]
    entry = [path, rng.getrandbits(63), ticks]
    return entry + [value(rng)] if rng.random() < 0.9 else entry


def dump(rows):
    header = {"format": "moat-kv dump", "version": 1, "path": [], "future": [1]}
    body = b"".join(map(cbor2.dumps, [header] + rows))
    digest = hashlib.blake2b(body, digest_size=32).digest()
    return body + cbor2.dumps({"count": len(rows), "blake2b": digest})


def load(data):
    """The rows of a dump, checked like a reader should."""
    stream = io.BytesIO(data)
    header = cbor2.load(stream)
    assert data[:3] == b"\xd9\xd9\xf7" and header["format"] == "moat-kv dump" and header["version"] == 1, header
    rows = []
    while True:
        at = stream.tell()
        item = cbor2.load(stream)
        if isinstance(item, dict):
            break
        rows.append(item)
    assert stream.tell() == len(data)
    assert item == {"count": len(rows), "blake2b": hashlib.blake2b(data[:at], digest_size=32).digest()}, item
    return rows


def dotted(path):
    def element(item):
        if item is None or isinstance(item, bool):
            return {None: ":n", True: ":t", False: ":f"}[item]
        if isinstance(item, int):
            return f":{item}"
        return item.replace(":", "::").replace(".", ":.").replace(" ", ":_") or ":e"

    text = ""
    for item in path:
        spelled = element(item)
        plain = isinstance(item, str) and item != ""
        text += ("." if text and plain else "") + spelled
    return text or ":"


def plain(item):
    """The value as JSON shows it."""
    if isinstance(item, bytes):
        return {"$bytes": base64.b64encode(item).decode()}
    if isinstance(item, list):
        return [plain(i) for i in item]
    if isinstance(item, dict):
        return {k: plain(v) for k, v in item.items()}
    return item


def lines_of(rows):
    out = []
    for path, tock, ticks, *rest in rows:
        line = {"path": dotted(path), "tock": tock, "ticks": ticks}
        line.update({"value": plain(rest[0])} if rest else {"deleted": True})
        out.append(line)
    return out + [{"end": True, "count": len(rows)}]


def check(seeds):
    for seed in seeds:
        rng = random.Random(seed)
        rows = [row(rng) for _ in range(rng.randrange(20))]
        as_lines = lines_of(rows)
        text = "".join(json.dumps(line, ensure_ascii=rng.random() < 0.5) + "\n" for line in as_lines).encode()
        try:
            if load(run(dump(rows), "cbor")) != rows:
                return f"seed {seed}: cbor to cbor"
            if [json.loads(line) for line in run(dump(rows), "lines").splitlines()] != as_lines:
                return f"seed {seed}: cbor to lines"
            if load(run(text, "cbor")) != rows:
                return f"seed {seed}: lines to cbor"
        except (ValueError, AssertionError) as error:
            return f"seed {seed}: {error!r}"
    return None


problem = check(range(1, 201))
print("1..1")
print(f"{'not ok' if problem else 'ok'} 1 - dumps by Python and by moat-kv are the same")
if problem:
    print("# " + problem)
sys.exit(problem is not None)
