#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Runs the simulator over seeds, in blocks, each of which is a test case:

    seeds.py SIM N FRESH

The seeds are those that once found something, N of them from `FIRST` on, and FRESH ones that nobody has
tried: a failure among those is a hole, and the seed that it names shows it again.
"""
import subprocess
import sys
import time

FIRST = 500001
BLOCK = 100
FRESH_FIRST = 10000000  # those that were tried by hand are less

# Each found a hole in the servers, in the protocol or in what is asked of them, and has passed since.
FOUND = [9, 35, 175, 277, 466, 539, 807, 1176, 2722, 2822, 2966, 3088, 11913, 500023, 500040, 500160, 500169, 500697,
         500768, 501524, 501575, 501731, 502821, 601170, 701039, 703154, 703431, 703775,
         704941, 711017, 725901, 730717, 731512, 760783, 761712, 773452, 777421, 777892, 801612, 804942, 1004023, 1105313,
         1132645, 1133701, 1140879,
         1144490, 2002474, 2009790, 2022043, 2030043, 2040550, 2041133, 2043569, 2077190, 2102792,
         3054563, 4006388]

# What is left of a seed's faults and steps when it fails for another reason than the whole of it.
SHRUNK = [[2030043, "--only", "loss,untrusted,write,user_dies,cut,isolate,split,bridge_cut,broker_kill,join,evict,clock_step,"
           "clock_1970,clock_2038", "--keep", "2,3,4,5,10,22,24,31,47,49,67"],
          [3054563, "--only", "rude,no_tock,low_tock,changed_repeat,forged_name,malformed,link_cut,split,disk_full,backup,"
           "restore,evict,clock_step,clock_stuck,clock_2038", "--keep", "32,59,128,154,155,168,221,224,226,227,263"]]


def blocks(first, n):
    return [(at, min(at + BLOCK, first + n) - 1) for at in range(first, first + n, BLOCK)]


def run(sim, first, last, *words):
    done = subprocess.run([sim, "--seeds", f"{first}..{last}", "-j", "2", *words], capture_output=True, text=True,
                          check=False)
    return done.returncode == 0, done.stdout + done.stderr


def main():
    sim, n, n_fresh = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    fresh = FRESH_FIRST + int(time.time()) * 1000
    ranges = [(seed, seed) for seed in FOUND] + [(seed, seed, *words) for seed, *words in SHRUNK]
    ranges += blocks(FIRST, n) + blocks(fresh, n_fresh)
    n_failed = 0
    print(f"1..{len(ranges)}", flush=True)
    for i, (first, last, *only) in enumerate(ranges, 1):
        fine, words = run(sim, first, last, *only)
        n_failed += not fine
        for line in [] if fine else words.splitlines():
            print(f"# {line}")
        print(f"{'ok' if fine else 'not ok'} {i} - seeds {first} to {last}", flush=True)
    return 1 if n_failed else 0


if __name__ == "__main__":
    sys.exit(main())
