#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Writes tests/vectors/paths.json, for whoever writes a client, from the implementation in
path_oracle.py; or, as a test, says whether that file is as it would be written:

    path_vectors.py --write FILE
    path_vectors.py --check FILE
"""
import json
import math
import sys

import path_oracle as oracle

DOC = ("Paths in all their forms, see docs/protocol.md, section 3. elements: JSON scalars stand for themselves; "
       "{bytes: hex}, {float: text}, {int: text}. key, cbor: hex. plain, portable: the topic under either profile, "
       "for the root given. dotted_read: text that may be read, though a writer would spell it otherwise, "
       "and its key. dotted_refused, plain_refused, portable_refused, cbor_refused: what must not be read. The file "
       "path_vectors.json is about dotted text only, as the predecessors wrote it.")

INTEGERS = sorted({sign * (1 << bits) + more for bits in (0, 8, 16, 32, 56, 63) for sign in (-1, 1)
                   for more in (-1, 0, 1)} | {0, 2, 10, 127, 128, (1 << 64) - 1, -(1 << 63)})
INTEGERS = [n for n in INTEGERS if -(1 << 63) <= n < 1 << 64]

FLOATS = [0.0, -0.0, 1.0, -2.5, 0.1, 1.23, 0.3, 1e-4, 1e-5, 1.5e-07, 1e15, 1e16, 9999999999999998.0, 123456789012345680.0,
          1e22, 1e23, 1e100, -1e-100, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, math.pi,
          1125899906842624.25, 1125899906842624.75, 9007199254740993.0, 4.35, 2.0 ** -1074 * 3]

TEXTS = ["kitchen", "", " ", "a b", ".", "a.b", "..", ":", "::", "a:b", ":t", ":e", "/", "a/b", "/a", "a/", "+", "#", "a+b", "c#d",
         "$", "$SYS", "a$", "$$", "$NULL", ":.$", "*", "a*b", "-", "_", "%", "\\", "'", "123", "-1", "1.5", "x1f", "u0-", ":u0-", ":p",
         "\0", "a\0b", "\n", "\x1f", " \x20", "\x7f", "\x9f", "\xa0", "é", "☃", "\u2028", "\ufdcf", "\ufdd0", "\ufdef", "\ufdf0",
         "\ufeff", "\ufffd", "\ufffe", "\uffff", "\U0001f600", "\U0001fffe", "\U0001ffff", "\U0010fffd", "\U0010ffff"]

BYTES = [b"", b"abc", b"a b.c:d", b"\0", b"\0\xff", b"\xff\xff\xfe", b"ab\x99", b"~", b"\x7f", b"#+/$", bytes(range(16))]

PATHS = [[], ["kitchen", "lamp", 2, "on"], ["a", "b", "c"], [None], [None, None], [None, "auth", "user"], ["$NULL"], ["x", None],
         ["x", "$NULL"], [True], [False, "x"], ["x", True, False], ["", ""], ["a", "", "b"], ["", "a", ""], [b"", ""], [b"", "c"],
         [1, 1.0, True, "1", b"1"], [2, 3], ["a", -17, "b"], ["a", 1.5, 2.5, "b"], ["a", " ", b" "], ["\0"] * 64, [None] * 64,
         [""] * 64, ["x" * 1021], [b"\0" * 510 + b"x"], ["\0" * 510 + "x"], ["\x01" * 1021]]

CBOR_REFUSED = ["", "00", "a0", "81", "8100ff", "8180", "81a0", "81c000", "81f7", "81e0", "81f820", "81f97c00", "81f97e00", "81fb7ff0000000000000",
                "811800", "81190001", "8178016f", "9f00ff", "817f616fff", "8161ff", "8162c080", "8163eda080", "81c249010000000000000000",
                "813b8000000000000000", "9818" + "00" * 23, "9841" + "f6" * 65, "815903fe" + "00" * 1022, "817903fe" + "61" * 1022]

DOTTED_READ = [":x1f", ":x1F", ":x0", ":x00ff", ":xffffffffffffffff", ":b101", ":b0", "a b", ":v b", ":vabc", ":y616263", ":y00FF", ":y", ":s", ":sYWJj",
               ":1e5", ":1E5", ":1e05", ":1:.0e0", ":1:.50", ":0e999", ":1e-400", ":0:.1000000000000000055511151231257827", ":-0:.0", "a:x1f.b",
               "a:va:_b", ":9007199254740993:.0", ":9007199254740992:.99999999999999999999999999999999999999", ":2:.4703282292062327e-324",
               ":2:.4703282292062328e-324", ":179769313486231570814527423731704356798070567525844996598917476803157260780028538760589558632766878e210",
               ":1797693134862315807e290"]

DOTTED_REFUSED = ["", "a.", ".a", "a..b", "a.:1", "a.b:", "a:", ":t:", ":tx", ":t::", ":t:.", ":t:_", "a:e:_b", ":i2", ":i-1", ":mfoo", ":(1,2)", ":3,", ":1,2", ":'x'",
                  ":R", ":?", ":=", "a:%b", "a:h", ":01", ":-01", ":00", ":-0", ":+1", ":-", ":1:.", ":1:.:.5", ":-:.5", ":1e", ":1e+", ":e5", ":1:_", ":1 ",
                  ":1::", ":0x1f", ":1_000", ":18446744073709551616", ":-9223372036854775809", ":1e309", ":-1e400", ":1797693134862315808e290",
                  ":x", ":x1g", ":x10000000000000000", ":b", ":b2", ":x-1", ":y0", ":y0g", ":sYQ", ":sYQ=", ":sYR==", ":sYWJ=", ":sYQ==YQ==", ":s=", ":sYW-_",
                  ":vé", ":v\x7f", ":v\n", ":NaN", ":inf", ":iinf", ":-inf", "a:1b", ":" + "1" * 129, ":0:." + "0" * 127 + "1"]

LEVELS_REFUSED = ["", "a/", "/a", "a//b", "+", "#", "a+", "a#", "$a", "a/$NULL", "x/$SYS", ":n", ":n/a", ":.", ":.x", ":.:e", ":.:.$a", "a:.b", "a:.$", ":.$a:.$", ":",
                  "a:", ":u41-", ":u0A-", ":u1F-", ":u00-", ":u-", ":u0", ":u0-:", ":ud800-", ":u110000-", ":ufffffff-", ":u1ffff", ":UFFFE-",
                  "\0", "a\nb", "\x7f", "\x85", "\ufdd0", "\uffff", "\U0001ffff", ":e:e", ":ea", "a:e", ":tx", ":t:t", "x/:nx", ":fa", ":T", ":01", ":+1", ":-0", ":00", ":-",
                  ":1x", ":1.", ":.5", ":1.50", ":1.0e0", ":10e-1", ":1e16.0", ":1e+100", ":1e0100", ":1E100", ":1.5e-7", ":1e5", ":0.00001",
                  ":1e400", ":100000000000000000.0", ":18446744073709551616", ":-9223372036854775809", ":y0", ":y0A", ":yg0", ":Y00", ":x1f", ":b1",
                  ":va", ":sYQ==", ":i1", ":_:x", ":q", "a:q", ":P", ":u2E-"]
PLAIN_REFUSED = ["a:u2e-b", ":u20-", ":1:u2e-5", ":u2a-", ":u24-", ":u24-a", "a:u24-"]
PORTABLE_REFUSED = ["a.b", "a b", " ", "*", ":1.5", ":u2ea", ":1:u2e-50", ":1e100:u2e-0", ":.$", ":.$a", "x/:.$NULL", "a:u24-", ":u24-:u24-"]


def spelled(e):
    if isinstance(e, bytes):
        return {"bytes": e.hex()}
    if isinstance(e, float):
        return {"float": repr(e)}
    if isinstance(e, int) and not isinstance(e, bool) and abs(e) >= 1 << 53:
        return {"int": str(e)}
    return e


def forms(path):
    return {"elements": [spelled(e) for e in path],
            "key": oracle.key_of(path).hex(),
            "cbor": oracle.cbor_of(path).hex(),
            "dotted": oracle.dotted_of(path),
            "plain": oracle.topic_of(path, False).decode(),
            "portable": oracle.topic_of(path, True).decode()}


def topics(levels):
    return [f"{oracle.ROOT}/d/{level}" for level in levels]


def all_vectors():
    paths = PATHS + [[e] for e in INTEGERS + FLOATS + TEXTS + BYTES] + [["a", text, "b"] for text in TEXTS]
    other = ["", "moat", "moat/main", "moat/main/", "moat/main/x", "moat/main/dx", "moat/main/D/a", "/moat/main/d", "moat/mainx/d", "x/moat/main/d"]
    return {"doc": DOC, "root": oracle.ROOT, "paths": [forms(path) for path in paths],
            "dotted_read": [{"text": text, "key": oracle.key_of(oracle.of_dotted(text.encode())).hex()}
                            for text in DOTTED_READ],
            "dotted_refused": DOTTED_REFUSED,
            "plain_refused": other + topics(LEVELS_REFUSED + PLAIN_REFUSED),
            "portable_refused": other + topics(LEVELS_REFUSED + PORTABLE_REFUSED),
            "cbor_refused": CBOR_REFUSED}


def is_refused(read, *arguments):
    try:
        read(*arguments)
    except oracle.Refused:
        return True
    return False


def find_accepted(vectors):
    """The oracle must refuse what the vectors call so."""
    findings = [text for text in vectors["dotted_refused"] if not is_refused(oracle.of_dotted, text.encode())]
    for portable, name in enumerate(["plain_refused", "portable_refused"]):
        findings += [topic for topic in vectors[name]
                     if not is_refused(oracle.of_topic, topic.encode(), bool(portable))]
    return [repr(finding) for finding in findings]


def written(vectors):
    """One vector a line."""
    parts = []
    for name, content in vectors.items():
        if isinstance(content, list):
            rows = ",\n".join("  " + json.dumps(row) for row in content)
            parts.append(f' "{name}": [\n{rows}\n ]')
        else:
            parts.append(f' "{name}": {json.dumps(content)}')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main(action, name):
    vectors = all_vectors()
    if action == "--write":
        with open(name, "w", encoding="utf-8") as file:
            file.write(written(vectors))
        return 0
    with open(name, encoding="utf-8") as file:
        differs = [] if file.read() == written(vectors) else [f"{name} differs: write it again"]
    good = oracle.rule(1, "the vectors are those of the oracle", differs)
    good &= oracle.rule(2, "the oracle refuses what is to be refused", find_accepted(vectors))
    print("1..2")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
