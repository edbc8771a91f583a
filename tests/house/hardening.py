#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
What is installed is hardened: the programs as the linker can do it, the service as systemd can.

    hardening.py SOURCE_ROOT UNIT PROGRAM...
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

from tap import Report

EXPOSURE_MAX = 16 # in tenths, as systemd-analyze counts


def readelf(program):
    return subprocess.run(["readelf", "--wide", "--file-header", "--program-headers", "--dynamic",
                           "--dyn-syms", program], capture_output=True, text=True, check=True,
                          env={**os.environ, "LC_ALL": "C"}).stdout


def weaknesses(program, text):
    wanted = {
        "is not position independent": r"Type:\s+DYN",
        "has no RELRO": r"GNU_RELRO",
        "binds lazily, so that its table of functions can be written": r"FLAGS.*\bNOW\b|BIND_NOW",
        "has no stack protector": r"__stack_chk_fail",
        "has no checked functions of the C library": r"__\w+_chk\b(?<!stack_chk)",
    }
    found = [what for what, pattern in wanted.items() if not re.search(pattern, text)]
    stack = re.search(r"GNU_STACK.*", text)
    if stack is None or "RWE" in stack.group():
        found.append("has an executable stack")
    if re.search(r"LOAD.*\bRWE\b|TEXTREL", text):
        found.append("has code that can be written")
    return [f"{program}: {what}" for what in found]


def unit_weaknesses(unit):
    with open(unit, encoding="utf-8") as file:
        lines = file.read().splitlines()
    wanted = ["DynamicUser=yes", "NoNewPrivileges=yes", "CapabilityBoundingSet=",
              "ProtectSystem=strict", "MemoryDenyWriteExecute=yes", "LimitCORE=0", "UMask=0077"]
    return [f"{unit}: lacks {line}" for line in wanted if line not in lines]


def exposure(unit):
    """As systemd-analyze says, with the name that it expects."""
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copy(unit, folder + "/moat-kvd.service")
        done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager",
                               f"--threshold={EXPOSURE_MAX}", copy], capture_output=True,
                              text=True, check=False)
    return [] if done.returncode == 0 else (done.stdout + done.stderr).splitlines()[-3:]


def main(unit, programs):
    report = Report()
    for program in programs:
        report.rule(f"{os.path.basename(program)} is hardened", weaknesses(program, readelf(program)))
    report.catches("nothing of it", weaknesses("x", "Type: EXEC"))
    report.catches("an executable stack", weaknesses("x", "GNU_STACK 0 RWE 0x10"))
    report.rule("the service gives up what it does not need", unit_weaknesses(unit))
    if shutil.which("systemd-analyze"):
        report.rule("systemd-analyze thinks so, too", exposure(unit))
    report.end()


main(sys.argv[2], sys.argv[3:])
