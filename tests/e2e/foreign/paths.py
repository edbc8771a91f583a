# SPDX-License-Identifier: Apache-2.0
"""Paths in all their forms: docs/protocol.md, section 3.

In Python 1 == 1.0 == True, and 0.0 == -0.0: compare paths, and keep them, by their ordered key.
"""
import base64
import math
import re
import struct

from strict_cbor import *


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
