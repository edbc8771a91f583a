# SPDX-License-Identifier: Apache-2.0
"""Documents taken apart and put together again must be the same to Python's json.

usage: document_oracle.py document_tool N_DOCUMENTS
"""
import glob
import json
import random
import subprocess
import sys
import time

TOOL = sys.argv[1]
N_DOCUMENTS = int(sys.argv[2])
KEYS = ["a", "b", "", " ", "ä", "😀", ":", "::", ":2", "::2", ":t", ":smile:", ":1:.5", ":e", ":n", "$ref", "$schema",
        "$$value", "$$$bytes", "a.b", "x:y", "\n", "\0", "\u202e", "0", "1", "null", "yes", "~", "- a", "#", "'", '"', "<<"]
n_cases = 0
failed = 0


def report(ok, name, detail=""):
    global n_cases, failed
    n_cases += 1
    failed += not ok
    print(f"{'ok' if ok else 'not ok'} {n_cases} - {name}")
    if not ok:
        print("# " + detail[:2000].replace("\n", "\n# "))


def run(data, first, second):
    done = subprocess.run([TOOL, first, second], input=data, capture_output=True)
    if done.returncode != 0:
        raise ValueError(done.stderr.decode(errors="replace"))
    return done.stdout


def round_trip(text):
    return json.loads(run(text, "json", "json"))


def through_yaml(text):
    return json.loads(run(run(text, "json", "yaml"), "yaml", "json"))


def scalar(rng):
    return rng.choice([
        None, True, False, 0, 1, -1, 2**63, 2**64 - 1, -(2**63), -(2**64), rng.getrandbits(rng.randrange(1, 65)),
        0.0, 1.0, -0.5, 1e300, 5e-324, 1.5e-7, rng.random(), rng.choice(KEYS), "text", "", [], {}])


def tree(rng, depth):
    kind = rng.randrange(4) if depth > 0 else 0
    if kind < 2:
        return scalar(rng)
    n = rng.randrange(5)
    if kind == 2:
        return [tree(rng, depth - 1) for _ in range(n)]
    return {rng.choice(KEYS): tree(rng, depth - 1) for _ in range(n)}


def same(a, b):
    """Equality that tells 1 from 1.0 and True, as values do, and does not see the order of keys."""
    return json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)


def check_files():
    for name in sorted(glob.glob("/usr/share/iso-codes/json/*.json")):
        with open(name, "rb") as file:
            text = file.read()
        begin = time.monotonic()
        for way in (round_trip, through_yaml):
            try:
                ok, detail = same(way(text), json.loads(text)), "differs"
            except ValueError as error:
                ok, detail = False, str(error)
            report(ok, f"{way.__name__} {name.rsplit('/', 1)[1]}", detail)
        print(f"# {time.monotonic() - begin:.2f} s")


def check_random(way, seeds):
    for seed in seeds:
        rng = random.Random(seed)
        before = tree(rng, 5)
        text = json.dumps(before, ensure_ascii=rng.random() < 0.5, indent=rng.choice([None, 1])).encode()
        try:
            after = way(text)
        except ValueError as error:
            return report(False, f"{way.__name__} of random documents", f"seed {seed}: {error}\n{text.decode()}")
        if not same(before, after):
            return report(False, f"{way.__name__} of random documents", f"seed {seed}: {before!r}\n{after!r}")
    return report(True, f"{way.__name__} of random documents")


def check_many_leaves():
    """54,000 leaves, in one node and in many: time must grow with their number, not its square."""
    flat = {f"key {i}": i for i in range(54000)}
    deep = {f"a{i}": {f"b{j}": {"value": [i, j]} for j in range(30)} for i in range(900)}
    for name, before in (("flat", flat), ("deep", deep)):
        begin = time.monotonic()
        after = round_trip(json.dumps(before).encode())
        used = time.monotonic() - begin
        report(same(before, after) and used < 20, f"54,000 leaves, {name}", f"{used:.1f} s")
        print(f"# {used:.2f} s")


check_files()
check_random(round_trip, range(1, N_DOCUMENTS + 1))
check_random(through_yaml, range(1, N_DOCUMENTS * 3 // 10 + 1))
check_many_leaves()
print(f"1..{n_cases}")
sys.exit(failed > 0)
