#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
A second implementation of paths, written from docs/protocol.md alone, compared with the first:

    path_oracle.py PATH-TOOL [SEED]

Elements are None, False, True, int, float, str and bytes, as Python has them.  Whatever is written
here is simple rather than fast, and shares no idea with the C code that the text does not force.
"""
import base64
import os
import random
import re
import struct
import subprocess
import sys

N_RANDOM = 6000
ROOT = "moat/main"


class Refused(Exception):
    pass


# -- keys, section 3.2 -------------------------------------------------------------------------


def escape_zeros(content):
    return content.replace(b"\0", b"\0\xff") + b"\0\1"


def integer_key(n):
    if n < 0:
        size = next(size for size in range(1, 9) if n >= -(1 << 8 * size))
        return bytes([0x38 - size]) + (n + (1 << 8 * size)).to_bytes(size, "big")
    size = next(size for size in range(0, 9) if n < 1 << 8 * size)
    return bytes([0x40 + size]) + n.to_bytes(size, "big")


def float_key(x):
    bits = struct.unpack(">Q", struct.pack(">d", x))[0]
    bits ^= (1 << 64) - 1 if bits >> 63 else 1 << 63
    return b"\x50" + bits.to_bytes(8, "big")


def element_key(e):
    if e is None or e is False or e is True:
        return {None: b"\x10", False: b"\x20", True: b"\x21"}[e]
    if isinstance(e, int):
        return integer_key(e)
    if isinstance(e, float):
        return float_key(e)
    if isinstance(e, str):
        return b"\x60" + escape_zeros(e.encode())
    return b"\x70" + escape_zeros(e)


def key_of(path):
    key = b"".join(element_key(e) for e in path)
    if len(key) > 1024 or len(path) > 64:
        raise Refused
    return key


# -- CBOR, section 3.1 -------------------------------------------------------------------------


def head(major, n):
    for size, info in ((0, None), (1, 24), (2, 25), (4, 26), (8, 27)):
        if size == 0 and n < 24:
            return bytes([major << 5 | n])
        if size and n < 1 << 8 * size:
            return bytes([major << 5 | info]) + n.to_bytes(size, "big")
    raise ValueError(n)


def element_cbor(e):
    if e is None or e is False or e is True:
        return {None: b"\xf6", False: b"\xf4", True: b"\xf5"}[e]
    if isinstance(e, int):
        return head(0, e) if e >= 0 else head(1, -1 - e)
    if isinstance(e, float):
        return b"\xfb" + struct.pack(">d", e)
    if isinstance(e, str):
        return head(3, len(e.encode())) + e.encode()
    return head(2, len(e)) + e


def cbor_of(path):
    return head(4, len(path)) + b"".join(element_cbor(e) for e in path)


# -- dotted text, section 3.3 ------------------------------------------------------------------


def escape_dotted(text):
    return "".join({":": "::", ".": ":.", " ": ":_"}.get(c, c) for c in text)


def element_dotted(e):
    if e is None or e is False or e is True:
        return {None: ":n", False: ":f", True: ":t"}[e]
    if isinstance(e, (int, float)):
        return ":" + escape_dotted(repr(e))
    if isinstance(e, str):
        return escape_dotted(e) or ":e"
    if all(0x20 <= byte <= 0x7E for byte in e):
        return ":v" + escape_dotted(e.decode())
    return ":s" + base64.b64encode(e).decode()


def dotted_of(path):
    text = ""
    for i, e in enumerate(path):
        text += "." if i and isinstance(e, str) and e else ""
        text += element_dotted(e)
    return text or ":"


UNIT = re.compile(r"::|:\.|:_|[^:.]", re.DOTALL)
NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def refuse_unless(condition):
    if not condition:
        raise Refused


def number_of(text):
    match = NUMBER.fullmatch(text)
    refuse_unless(match and len(text) <= 128 and text != "-0")
    if match.group(1) or match.group(2):
        number = float(text)
        refuse_unless(abs(number) != float("inf"))
        return number
    number = int(text)
    refuse_unless(-(1 << 63) <= number < 1 << 64)
    return number


def unsigned_of(digits, allowed, base):
    refuse_unless(digits and all(c in allowed for c in digits))
    refuse_unless(int(digits, base) < 1 << 64)
    return int(digits, base)


def hex_of(digits):
    refuse_unless(len(digits) % 2 == 0 and all(c in "0123456789abcdefABCDEF" for c in digits))
    return bytes.fromhex(digits)


def base64_of(digits):
    refuse_unless(digits.isascii())
    try:
        content = base64.b64decode(digits, validate=True)
    except ValueError:
        raise Refused from None
    refuse_unless(base64.b64encode(content).decode() == digits)
    return content


def printable_of(text):
    refuse_unless(all(" " <= c <= "~" for c in text))
    return text.encode()


def typed_of(content):
    kind, rest = content[:1], content[1:]
    if kind in "tfne" and kind:
        refuse_unless(rest == "")
        return {"t": True, "f": False, "n": None, "e": ""}[kind]
    if kind == "x":
        return unsigned_of(rest, "0123456789abcdefABCDEF", 16)
    if kind == "b":
        return unsigned_of(rest, "01", 2)
    if kind == "v":
        return printable_of(rest)
    if kind == "y":
        return hex_of(rest)
    if kind == "s":
        return base64_of(rest)
    return number_of(content)


def of_dotted(raw):
    text = decode_utf8(raw)
    refuse_unless(text)
    if text == ":":
        return []
    path, at = [], 0
    while at < len(text):
        starts_escape = UNIT.match(text, at)
        if text[at] == ".":
            refuse_unless(path)
            at, typed = at + 1, False
        elif text[at] == ":" and not starts_escape:
            at, typed = at + 1, True
        else:
            refuse_unless(not path)
            typed = False
        content = ""
        # The character that tells the type is never an escape: "::" was caught above.
        while match := UNIT.match(text, at):
            content += {"::": ":", ":.": ".", ":_": " "}.get(match.group(), match.group())
            at = match.end()
        if typed:
            path.append(typed_of(content))
        else:
            refuse_unless(content)
            path.append(content)
    key_of(path)
    return path


# -- topics, section 3.4 -----------------------------------------------------------------------


def decode_utf8(raw):
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise Refused from None


def is_numbered(c, portable):
    n = ord(c)
    return (n <= 0x1F or 0x7F <= n <= 0x9F or 0xFDD0 <= n <= 0xFDEF
            or n & 0xFFFF in (0xFFFE, 0xFFFF) or (portable and c in ".* "))


def escape_topic(text, portable):
    out = ""
    if text.startswith("$"):
        out, text = (":u24-", text[1:]) if portable else (":.$", text[1:])
    for c in text:
        out += {":": "::", "/": ":_", "+": ":p", "#": ":h"}.get(
            c, f":u{ord(c):x}-" if is_numbered(c, portable) else c)
    return out


def level_of(e, first, portable):
    if e is None:
        return "$NULL" if first else ":n"
    if e is False or e is True:
        return ":t" if e else ":f"
    if isinstance(e, (int, float)):
        text = repr(e).replace("+", "")
        return ":" + (text.replace(".", ":u2e-") if portable else text)
    if isinstance(e, str):
        return escape_topic(e, portable) or ":e"
    return ":y" + e.hex()


def topic_of(path, portable):
    levels = [level_of(e, i == 0, portable) for i, e in enumerate(path)]
    return "/".join([ROOT + "/d"] + levels).encode()


ESCAPE = re.compile(r"::|:_|:p|:h|:\.|:u([0-9a-f]+)-|[^:]", re.DOTALL)


def text_of_level(level):
    text, at = "", 0
    while at < len(level):
        match = ESCAPE.match(level, at)
        refuse_unless(match)
        if match.group(1):
            number = int(match.group(1), 16)
            refuse_unless(number <= 0x10FFFF and not 0xD800 <= number <= 0xDFFF)
            text += chr(number)
        else:
            text += {"::": ":", ":_": "/", ":p": "+", ":h": "#", ":.": ""}.get(
                match.group(), match.group())
        at = match.end()
    return text


def element_of_level(level, first):
    if first and level == "$NULL":
        return None
    if level in (":n", ":t", ":f", ":e"):
        return {":n": None, ":t": True, ":f": False, ":e": ""}[level]
    if level.startswith(":y"):
        return hex_of(level[2:])
    if re.match(r":[-0-9]", level):
        return number_of(level[1:].replace(":u2e-", "."))
    return text_of_level(level)


def of_topic(raw, portable):
    text = decode_utf8(raw)
    start = ROOT + "/d"
    refuse_unless(text == start or text.startswith(start + "/"))
    levels = text[len(start) + 1:].split("/") if text != start else []
    path = [element_of_level(level, i == 0) for i, level in enumerate(levels)]
    key_of(path)
    refuse_unless(topic_of(path, portable) == raw)
    return path


# -- what is asked -----------------------------------------------------------------------------

SPECIAL = list(":./_+#$ *-e\0\n\x7f\x80\x9f\xa0,'|\\") + ["é", "\ufdd0", "\ufdf0", "\ufffe", "\uffff",
                                                      "\U0001f600", "\U0001fffe", "\U0010ffff"]
WORDS = ["$NULL", "$SYS", ":t", "e", "t", "x1f", "123", "-1", "u0-", ":u2e-", "a.b", "::", ":.", ":_"]


def some_text(rng):
    if rng.random() < 0.2:
        return rng.choice(WORDS)
    return "".join(rng.choice(SPECIAL) if rng.random() < 0.5 else rng.choice("abcxyz019")
                   for _ in range(rng.randrange(8)))


def some_integer(rng):
    edge = rng.choice([-1, 1]) << 8 * rng.randrange(9)
    n = edge + rng.randrange(-2, 3) if rng.random() < 0.5 else rng.getrandbits(rng.randrange(65))
    n = -n if rng.random() < 0.3 else n
    return min(max(n, -(1 << 63)), (1 << 64) - 1)


def some_float(rng):
    kind = rng.randrange(5)
    if kind == 0:
        return rng.choice([0.0, -0.0, 1.0, 0.1, 1e16, 1e15, 9999999999999998.0, 1e-4, 1e-5, 5e-324,
                           2.2250738585072014e-308, 1.7976931348623157e308, 1e23, 1e22, 123456.789])
    if kind == 1:
        return round(rng.uniform(-1000, 1000), rng.randrange(5))
    if kind == 2:
        return float(2.0 ** rng.randrange(-1074, 1024))
    if kind == 3:
        return rng.getrandbits(53) / 2.0 ** rng.randrange(0, 8)
    while True:
        x = struct.unpack(">d", rng.getrandbits(64).to_bytes(8, "big"))[0]
        if x == x and abs(x) != float("inf"):
            return x


def some_element(rng):
    return rng.choice([
        lambda: rng.choice([None, False, True]),
        lambda: some_integer(rng),
        lambda: some_float(rng),
        lambda: some_text(rng),
        lambda: some_text(rng),
        lambda: bytes(rng.choice([0, 1, 255, 32, 58, 46, rng.getrandbits(8)])
                      for _ in range(rng.randrange(6))),
        lambda: some_text(rng).encode("ascii", "ignore"),
    ])()


def some_path(rng):
    return [some_element(rng) for _ in range(rng.choice([0, 1, 1, 2, 3, 4, 8, 63, 64, 65]))]


DOTTED_PIECES = [":", "::", ":.", ":_", ".", "_", " ", "a", "é", "\0", ":t", ":f", ":n", ":e", ":v", ":y",
                 ":s", ":x", ":b", ":i", ":m", ":-", ":0", ":1", "0", "1", "-", "+", "e", "E", "5", "99", "ff",
                 "YWKZ", "YQ==", "YR==", "YWI=", "YWJ=", "=", ",", "(", "'", "18446744073709551616",
                 ":9223372036854775808", ":-9223372036854775809", ":1e309", ":1e-400", ":1:.5"]
TOPIC_PIECES = ["/", "::", ":_", ":p", ":h", ":.", ":u", "-", "41", "0", "2e", "fffe", "FFFE", "00", "110000",
                "d800", ":e", ":n", ":t", ":f", ":y", "0a", "0A", ":1", ":-1", ":-0", ":+1", ":1.5", ":1.50",
                ":1e5", ":1e100", ":1e+100", ":u2e-", ".", "*", " ", "$", "$NULL", "a", "+", "#", "\0", "é",
                "\ufffe", ":.$", ":u24-", ":u0-", ":u1f-", ":ufdd0-"]


class Tool:
    def __init__(self, command):
        self.command = command
        self.questions = []

    def ask(self, form, raw, expected):
        self.questions.append((f"{form} {raw.hex() or '-'}", expected))

    def compare(self):
        """The first few answers that differ."""
        asked = "".join(question + "\n" for question, _ in self.questions)
        done = subprocess.run([self.command], input=asked, capture_output=True, text=True)
        answers = done.stdout.split("\n")[:-1]
        findings = [f"{question}: {answer}, not {expected}"
                    for (question, expected), answer in zip(self.questions, answers)
                    if (answer if expected != "refused" else answer[:5]) !=
                       (expected if expected != "refused" else "error")]
        if len(answers) != len(self.questions) or done.returncode != 0:
            findings.append(f"{len(answers)} answers to {len(self.questions)} questions, "
                            f"exit {done.returncode} {done.stderr[-2000:]}")
        self.questions = []
        return findings[:10]


def hexed(raw):
    return raw.hex() or "-"


def key_or_refused(read, *arguments):
    try:
        return hexed(key_of(read(*arguments)))
    except Refused:
        return "refused"


def ask_forms(tool, path):
    """All that is written of @path."""
    try:
        key = key_of(path)
    except Refused:
        tool.ask("cbor", cbor_of(path), "refused")
        return
    forms = [key, cbor_of(path), dotted_of(path).encode(), topic_of(path, False), topic_of(path, True)]
    tool.ask("cbor", forms[1], " ".join(hexed(form) for form in forms))
    tool.ask("key", key, hexed(key))
    tool.ask("dotted", forms[2], hexed(key))
    tool.ask("topic 0", forms[3], hexed(key))
    tool.ask("topic 1", forms[4], hexed(key))


def mutate(rng, raw):
    raw = bytearray(raw)
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(raw) + 1)
        if rng.random() < 0.5:
            raw[at:at + rng.randrange(2)] = bytes([rng.getrandbits(8)])
        else:
            raw[at:at + rng.randrange(3)] = rng.choice(SPECIAL).encode()
    return bytes(raw)


def ask_dotted(tool, raw):
    tool.ask("dotted", raw, key_or_refused(of_dotted, raw))


def ask_topic(tool, raw):
    for portable in (0, 1):
        tool.ask(f"topic {portable}", raw, key_or_refused(of_topic, raw, bool(portable)))


def rule(number, name, findings):
    print(f"{'not ok' if findings else 'ok'} {number} - {name}")
    for finding in findings:
        print(f"#   {finding}")
    return not findings


def main(command, seed):
    print(f"# seed {seed}")
    rng = random.Random(seed)
    tool = Tool(command)
    paths = [some_path(rng) for _ in range(N_RANDOM)]

    for path in paths:
        ask_forms(tool, path)
    good = rule(1, "all forms of random paths", tool.compare())

    for _ in range(4 * N_RANDOM):
        ask_dotted(tool, "".join(rng.choices(DOTTED_PIECES, k=rng.randrange(1, 7))).encode())
    for path in paths:
        ask_dotted(tool, mutate(rng, dotted_of(path).encode()))
    good &= rule(2, "dotted text of random pieces, and broken", tool.compare())

    for _ in range(4 * N_RANDOM):
        pieces = "".join(rng.choices(TOPIC_PIECES, k=rng.randrange(1, 5)))
        ask_topic(tool, f"{ROOT}/d/{pieces}".encode())
    for path in paths:
        ask_topic(tool, mutate(rng, topic_of(path, rng.random() < 0.5)))
    good &= rule(3, "topics of random pieces, and broken", tool.compare())

    for _ in range(5 * N_RANDOM):
        ask_forms(tool, [some_float(rng)])
    good &= rule(4, "floats", tool.compare())
    print("1..4")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2] if len(sys.argv) > 2 else os.environ.get("SEED", 1))))
