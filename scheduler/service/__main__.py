"""`python -m packhorse.scheduler.service --home HOME`: what `packhorse scheduler` and `up` start."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from packhorse.scheduler.config import file as config
from packhorse.scheduler.model.errors import PackhorseError

CONFIG_FILE = "packhorse.toml"


def main() -> int:
    parser = argparse.ArgumentParser(prog="packhorse scheduler", description="One cluster's scheduler.")
    parser.add_argument("--home", type=Path, required=True, help="the cluster's folder (PACKHORSE_HOME)")
    parser.add_argument("--config", type=Path, help=f"(default: {CONFIG_FILE} in the home)")
    parser.add_argument("--check-config", action="store_true", help="check the configuration and exit")
    parser.add_argument("--json", action="store_true", help="with --check-config: the findings as JSON")
    parser.add_argument(
        "--local-node",
        action="append",
        default=[],
        metavar="NODE",
        help="an agent of this home, which gets a token; may be repeated",
    )
    args = parser.parse_args()
    home = args.home.absolute()
    file = args.config or home / CONFIG_FILE
    if args.check_config:
        return check(file, as_json=args.json, named=args.config is not None)
    if args.config is not None and not file.exists():
        print(f"packhorse scheduler: {file}: no such file", file=sys.stderr)
        return 1
    try:
        configuration = config.load(file, owner_uid=os.geteuid())
        from packhorse.scheduler.service.main import run_scheduler  # --check-config needs none of it

        run_scheduler(home, file, configuration, args.local_node)
    except PackhorseError as error:
        for line in str(error).splitlines():
            print(f"packhorse scheduler: {line}", file=sys.stderr)
        return 1
    return 0


def check(file: Path, *, as_json: bool, named: bool) -> int:
    """Prints what is wrong with the file, or that nothing is; returns the exit status."""
    if not named and not file.exists():
        problems: list[str] = []
        verdict = f"{file}: not there, all defaults hold"
    else:
        problems = config.check(file)
        verdict = f"{file}: good"
    if as_json:
        print(json.dumps({"file": str(file), "problems": problems}))
    else:
        print("\n".join(problems) or verdict)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
