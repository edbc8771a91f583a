#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Compares wire/cbor.h with two others that know CBOR: the library cbor2, and a reader written here
after the pseudocode of RFC 8949, appendix C.

    cbor_oracle.py CBOR-TOOL [SEED]

Each of N items goes to the tool once, and the tool's answer is compared with what is expected.
"""
import math
import os
import random
import struct
import subprocess
import sys

N = 3000
DEPTH_MAX = 64
ITEMS_MAX = 65536
SIZE_MAX = 1 << 20
FIRST_TAG = 1 << 16  # cbor2 interprets some below


# --- items as the tool prints them

def diag_text(text):
    raw = text.encode()
    return '"' + "".join(chr(c) if 0x20 <= c < 0x7f and c not in b'"\\' else f"\\x{c:02x}"
                         for c in raw) + '"'


def diag_float(value):
    return f"f'{struct.pack('>d', value).hex()}'"


def diag(value):
    """The text of a Python value as cbor2 encodes it."""
    if value is None or value is cbor2.undefined:
        return "null" if value is None else "undefined"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return diag_float(value)
    if isinstance(value, bytes):
        return f"h'{value.hex()}'"
    if isinstance(value, str):
        return diag_text(value)
    if isinstance(value, list):
        return "[" + ", ".join(map(diag, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{diag(k)}: {diag(v)}" for k, v in value.items()) + "}"
    if isinstance(value, cbor2.CBORTag):
        return f"{value.tag}({diag(value.value)})"
    return f"simple({value.value})"


# --- random items

def some_int(rng):
    return rng.choice((1, -1)) * rng.getrandbits(rng.randrange(65)) - rng.randrange(2)


def some_number(rng):
    return min(max(some_int(rng), -(1 << 64)), (1 << 64) - 1)


def some_text(rng):
    top = rng.choice((0x7f, 0xff, 0x7ff, 0xffff, 0x10ffff))
    codes = (rng.randrange(top + 1) for _ in range(rng.choice((0, 1, 5, 23, 24, 300))))
    return "".join(chr(c) for c in codes if not 0xd800 <= c <= 0xdfff)


def some_float(rng):
    kind = rng.choice("edfs")
    if kind == "s":
        return rng.choice((0.0, -0.0, math.inf, -math.inf, math.nan, 0.5, 1e300, 5e-324))
    return struct.unpack(">" + kind, rng.randbytes(struct.calcsize(kind)))[0]


def some_scalar(rng):
    return rng.choice((
        lambda: some_number(rng), lambda: some_number(rng), lambda: some_text(rng),
        lambda: rng.randbytes(rng.choice((0, 1, 23, 24, 255, 256))),
        lambda: some_float(rng), lambda: rng.choice((None, True, False, cbor2.undefined)),
        lambda: cbor2.CBORSimpleValue(rng.choice((0, 19, 32, 255, rng.randrange(32, 256))))))()


def some_value(rng, depth=0):
    kind = rng.randrange(8) if depth < 6 else 7
    if kind <= 1:
        return [some_value(rng, depth + 1) for _ in range(rng.randrange(6))]
    if kind == 2:
        return {rng.choice((i, str(i), str(i).encode())): some_value(rng, depth + 1)
                for i in range(rng.randrange(6))}
    if kind == 3:
        return cbor2.CBORTag(FIRST_TAG + rng.getrandbits(rng.randrange(1, 64)),
                             some_value(rng, depth + 1))
    return some_scalar(rng)


# --- the same in any form that is allowed, not only the shortest

def head(rng, major, number):
    forms = [(24 + i, size) for i, size in enumerate((1, 2, 4, 8)) if number >> (8 * size) == 0]
    if number < 24 and rng.random() < 0.6:
        return bytes([major << 5 | number])
    info, size = rng.choice(forms)
    return bytes([major << 5 | info]) + number.to_bytes(size, "big")


def wild_string(rng, value):
    major, render = (2, diag) if isinstance(value, bytes) else (3, diag)
    def whole(part):
        raw = part if isinstance(part, bytes) else part.encode()
        return head(rng, major, len(raw)) + raw
    if rng.random() < 0.6:
        return whole(value), render(value)
    cut = sorted(rng.randrange(len(value) + 1) for _ in range(rng.randrange(3)))
    parts = [value[i:j] for i, j in zip([0] + cut, cut + [len(value)])]
    if not value and rng.random() < 0.5:
        parts = []
    raw = bytes([major << 5 | 31]) + b"".join(map(whole, parts)) + b"\xff"
    return raw, "(_ " + ", ".join(map(render, parts)) + ")"


def float_forms(value):
    """All forms that keep @value, the shortest first."""
    forms = []
    for info, code in (25, "e"), (26, "f"), (27, "d"):
        try:
            raw = struct.pack(">" + code, value)
        except OverflowError:
            continue
        if struct.pack(">d", struct.unpack(">" + code, raw)[0]) == struct.pack(">d", value):
            forms.append(bytes([7 << 5 | info]) + raw)
    return forms


def wild_float(rng, value):
    return rng.choice(float_forms(value)), diag_float(value)


def wild(rng, value):
    """The bytes and the text of @value in some allowed form."""
    if isinstance(value, (bytes, str)):
        return wild_string(rng, value)
    if isinstance(value, float):
        return wild_float(rng, value)
    if isinstance(value, int) and not isinstance(value, bool):
        return head(rng, 0 if value >= 0 else 1, max(value, -1 - value)), diag(value)
    if isinstance(value, cbor2.CBORTag):
        raw, text = wild(rng, value.value)
        return head(rng, 6, value.tag) + raw, f"{value.tag}({text})"
    if not isinstance(value, (list, dict)):
        return cbor2.dumps(value), diag(value)
    if isinstance(value, list):
        major, opening, closing = 4, "[", "]"
        parts = [wild(rng, part) for part in value]
    else:
        major, opening, closing = 5, "{", "}"
        pairs = [(wild(rng, key), wild(rng, part)) for key, part in value.items()]
        parts = [(key[0] + part[0], f"{key[1]}: {part[1]}") for key, part in pairs]
    raw, text = b"".join(part[0] for part in parts), ", ".join(part[1] for part in parts)
    if rng.random() < 0.5:
        return bytes([major << 5 | 31]) + raw + b"\xff", f"{opening}_ {text}{closing}"
    return head(rng, major, len(value)) + raw, opening + text + closing


# --- what is well-formed: RFC 8949, appendix C, and the limits of docs/protocol.md, section 2

class Refused(Exception):
    pass


class Recogniser:
    def __init__(self, data):
        self.data, self.at, self.n_items = data, 0, 0

    def take(self, n):
        if n > len(self.data) - self.at:
            raise Refused
        self.at += n
        return self.data[self.at - n:self.at]

    def well_formed(self, depth, breakable=False):
        """The major type of the next item, or -1 for a break."""
        first = self.take(1)[0]
        major, number = first >> 5, first & 0x1f
        if first == 0xff and breakable:
            return -1
        self.n_items += 1
        if self.n_items > ITEMS_MAX:
            raise Refused
        if 24 <= number <= 27:
            number = int.from_bytes(self.take(1 << (number - 24)), "big")
            if major == 7 and first & 0x1f == 24 and number < 32:
                raise Refused
        elif number == 31:
            self.indefinite(major, depth + 1)
            return major
        elif number >= 28:
            raise Refused
        self.definite(major, number, depth + 1)
        return major

    def definite(self, major, number, depth):
        if major in (4, 5, 6) and depth > DEPTH_MAX:
            raise Refused
        if major in (2, 3):
            text = self.take(number)
            if major == 3:
                try:
                    text.decode("utf-8", "strict")
                except UnicodeDecodeError:
                    raise Refused from None
        elif major in (4, 5, 6):
            for _ in range({4: number, 5: 2 * number, 6: 1}[major]):
                self.well_formed(depth)

    def indefinite(self, major, depth):
        if major not in (2, 3, 4, 5) or depth > DEPTH_MAX:
            raise Refused
        n_parts = 0
        while True:
            is_long = self.at < len(self.data) and self.data[self.at] & 0x1f == 31
            part = self.well_formed(depth, breakable=True)
            if part == -1:
                break
            if major in (2, 3) and (part != major or is_long):
                raise Refused
            n_parts += 1
        if major == 5 and n_parts % 2:
            raise Refused


def is_accepted(data):
    recogniser = Recogniser(data)
    try:
        recogniser.well_formed(0)
    except Refused:
        return False
    return recogniser.at == len(data) and len(data) <= SIZE_MAX


# --- comparing

class Tool:
    def __init__(self, command):
        self.command = command

    def ask(self, items):
        question = "".join(item.hex() + "\n" for item in items)
        done = subprocess.run([self.command], input=question, stdout=subprocess.PIPE, text=True,
                              check=True)
        answers = done.stdout.split("\n")[:-1]
        assert len(answers) == len(items), (len(answers), len(items))
        return [answer.split("\t") for answer in answers]


def expect(findings, what, item, found, wanted):
    if found != wanted:
        findings.append(f"{what} {item.hex()}: {found} instead of {wanted}")


def has_one_order(value):
    """Canonical CBOR sorts the keys of a map, we do not."""
    if isinstance(value, list):
        return all(map(has_one_order, value))
    if isinstance(value, dict):
        return len(value) < 2 and all(map(has_one_order, value.values()))
    return has_one_order(value.value) if isinstance(value, cbor2.CBORTag) else True


def floats_of(value):
    if isinstance(value, float):
        return [value]
    if isinstance(value, cbor2.CBORTag):
        return floats_of(value.value)
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [found for part in parts for found in floats_of(part)]


def cbor2_writes_shortest(value):
    """cbor2 5.4 gives the largest numbers of 16 bits 32 of them."""
    return not 2 ** 15 <= abs(value) < 2 ** 16


def compare_written_by_cbor2(tool, rng):
    """What cbor2 writes is read as what it is, and written again in the same bytes."""
    values = [value for value in (some_value(rng) for _ in range(N))
              if not any(map(math.isnan, floats_of(value)))]  # cbor2 writes one NaN for all
    items = [cbor2.dumps(value) for value in values]
    findings = []
    for value, item, answer in zip(values, items, tool.ask(items)):
        expect(findings, "diag", item, answer[0], diag(value))
        if all(map(math.isfinite, floats_of(value))):  # which cbor2 writes short in any case
            expect(findings, "long", item, answer[1:2], [item.hex()])
        if has_one_order(value) and all(map(cbor2_writes_shortest, floats_of(value))):
            expect(findings, "short", item, answer[2:], [cbor2.dumps(value, canonical=True).hex()])
    return findings


def compare_wild(tool, rng):
    """Any form is read as what it is, and so does cbor2 read it; what we write, cbor2 reads."""
    findings = []
    values = [some_value(rng) for _ in range(N)]
    forms = [wild(rng, value) for value in values]
    items = [item for item, text in forms]
    for value, (item, text), answer in zip(values, forms, tool.ask(items)):
        expect(findings, "diag", item, answer[0], text)
        for form in [item] + [bytes.fromhex(part) for part in answer[1:] if part != "-"]:
            expect(findings, "cbor2", form, diag(cbor2.loads(form)), diag(value))
    return findings


def compare_floats(tool, rng):
    """Floats are written in the fewest bytes that keep them."""
    values = [value for value in (some_float(rng) for _ in range(N)) if not math.isnan(value)]
    values += [sign * (2.0 ** power) for sign in (1, -1) for power in range(-1074, 1024)]
    values += [value * (1 + 2.0 ** -bits) for value in values[-4196:] for bits in (10, 11, 23, 24)
               if abs(value) < 2.0 ** 1023]
    items = [float_forms(value)[-1] for value in values]
    findings = []
    for value, item, answer in zip(values, items, tool.ask(items)):
        expect(findings, "floats", item, answer,
               [diag_float(value), item.hex(), float_forms(value)[0].hex()])
    return findings


def damaged(rng, item):
    item = bytearray(item)
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(item) + 1)
        item[at:at + rng.randrange(3)] = rng.choice(
            (b"", b"\xff", rng.randbytes(1), rng.randbytes(2), bytes([rng.getrandbits(8) | 0x1f])))
    return bytes(item)


def compare_damaged(tool, rng):
    """Accepted is what the reader above accepts, and nothing else."""
    items = [damaged(rng, wild(rng, some_value(rng))[0]) for _ in range(N)]
    items += [rng.randbytes(rng.randrange(1, 9)) for _ in range(N)]
    items += [bytes([first, second, *rest]) for first in range(256) for second in range(256)
              for rest in [(), (0,)]]
    findings = []
    for item, answer in zip(items, tool.ask(items)):
        expect(findings, "accepts", item, len(answer) == 3, is_accepted(item))
    return findings


def compare_limits(tool, _rng):
    """Depth, number of items and size, at the limit and one beyond."""
    items = []
    for opening, closing in (b"\x81", b""), (b"\xa1\0", b""), (b"\xc1", b""), (b"\x9f", b"\xff"), \
            (b"\xbf\0", b"\xff"):
        for inner in b"\0", b"\x80", b"\x5f\xff", b"\xa0", b"\x7f\x60\xff", b"\xc0\0":
            items += [opening * depth + inner + closing * depth for depth in (62, 63, 64, 65)]
    for n in (ITEMS_MAX - 2, ITEMS_MAX - 1, ITEMS_MAX, ITEMS_MAX + 1):
        items += [b"\x9a" + n.to_bytes(4, "big") + b"\0" * n, b"\x9f" + b"\0" * n + b"\xff",
                  b"\x5f" + b"\x40" * n + b"\xff",
                  b"\xba" + (n // 2).to_bytes(4, "big") + b"\0" * (n // 2 * 2)]
    for n in (SIZE_MAX - 5, SIZE_MAX - 4):
        items += [b"\x5a" + n.to_bytes(4, "big") + bytes(n),
                  b"\x9f\x7a" + (n - 2).to_bytes(4, "big") + bytes(n - 2) + b"\xff"]
    findings = []
    for item, answer in zip(items, tool.ask(items)):
        expect(findings, "accepts", item[:80], len(answer) == 3, is_accepted(item))
    return findings


def main(command, seed):
    print(f"# seed {seed}")
    rng, tool, good = random.Random(seed), Tool(command), True
    rules = (compare_written_by_cbor2, compare_wild, compare_floats, compare_damaged,
             compare_limits)
    for number, rule in enumerate(rules, 1):
        findings = rule(tool, rng)
        print(f"{'not ok' if findings else 'ok'} {number} - {rule.__doc__}")
        for finding in findings[:10]:
            print(f"#   {finding[:1000]}")
        good = good and not findings
    print(f"1..{len(rules)}")
    return 0 if good else 1


if __name__ == "__main__":
    try:
        import cbor2
    except ImportError:
        print("1..0 # SKIP python3-cbor2 is not installed")
        sys.exit(0)
    sys.exit(main(sys.argv[1], int(sys.argv[2] if len(sys.argv) > 2 else os.environ.get("SEED", 1))))
