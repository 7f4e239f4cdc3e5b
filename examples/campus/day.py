#!/usr/bin/env python3
"""A made-up day on the campus as a list of jobs for the simulator: python3 examples/campus/day.py > day.csv

The 40 users of accounts.toml, most at work from nine to six; the same day each time (--seed: another).
"""

from __future__ import annotations

import argparse
import csv
import random
import sys
import tomllib
from pathlib import Path

COLUMNS = ("id", "submit_s", "run_s", "limit_s", "tasks", "mem_mib", "user", "group", "qos")
LIMITS_S = (600, 1800, 3600, 4 * 3600, 12 * 3600)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=300, metavar="N")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    book = tomllib.loads(Path(__file__).with_name("accounts.toml").read_text())["account"]
    people = [(user, name) for name, account in book.items() for user in account.get("users", [])]
    chance = random.Random(args.seed)
    busy = [chance.expovariate(1.0) for _ in people]  # some submit much, most little
    arrivals = sorted(min(max(chance.gauss(13.5, 3.5), 0.0), 23.9) * 3600 for _ in range(args.jobs))
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(COLUMNS)
    for number, at in enumerate(arrivals, start=1):
        user, group = chance.choices(people, busy)[0]
        limit = chance.choice(LIMITS_S)
        run = max(round(limit * chance.betavariate(1.2, 2.5)), 1)
        tasks = chance.choice((1, 1, 1, 2, 4, 8, 16))
        scavenges = chance.random() < 0.2
        out.writerow(
            (number, round(at), run, limit, tasks, 1024, user, group, "scavenger" if scavenges else "normal")
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
