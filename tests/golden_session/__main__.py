"""python -m tests.golden_session [--keep DIR] [--only PATTERN] [--held DIR]"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from datetime import datetime
from pathlib import Path

from tests.golden_session import compare, ids, meant, script
from tests.golden_session.demo import Demo
from tests.golden_session.report import Report, report

BEGAN = datetime(2026, 11, 23, 5, 52, 30)
"""When the recorded session began."""


def main() -> int:
    """0 if every transcript says the same, but for what is meant."""
    parser = argparse.ArgumentParser(prog="golden_session", description=__doc__)
    parser.add_argument("--keep", metavar="DIR", help="leave our transcripts there")
    parser.add_argument("--held", metavar="DIR", help="compare transcripts that --keep left, hold no session")
    parser.add_argument(
        "--only", metavar="PATTERN", default="*", help="only transcripts of this name, as in '1*'"
    )
    args = parser.parse_args()
    if not script.RECORDED.is_dir():
        print(f"golden_session: no recorded session at {script.RECORDED}: nothing to compare")
        return 0
    if os.geteuid() and not args.held:
        print(
            "golden_session: only root can hold it, as root did: it runs commands as somebody else",
            file=sys.stderr,
        )
        return 2
    with tempfile.TemporaryDirectory() as scratch:
        held = Path(args.held or args.keep or scratch)
        if not args.held:
            demo = Demo()
            with demo:
                script.hold(demo, held, (script.RECORDED / "session.sh").read_text())
        found = compared(held, args.only)
    tell(found)
    return 1 if found.differing or found.unused else 0


def compared(held: Path, only: str = "*", recorded: Path = script.RECORDED / "out") -> Report:
    """Our transcripts in `held` against the recorded ones."""
    began, work, host = (held / script.ABOUT).read_text().splitlines()
    translate = compare.translation(
        ids.job_ids(held, recorded), [(work, script.WORK), (host, "vm")], ids.LINES_BELOW
    )
    theirs = compare.Side(BEGAN, lambda text: text)
    ours = compare.Side(datetime.fromisoformat(began), translate)
    return report(recorded, held, theirs, ours, meant.read(), only)


def tell(found: Report) -> None:
    """The report on standard output."""
    for name, lines in found.differing.items():
        print(f"## {name}")
        print("\n".join(lines))
    for entry in found.unused:
        print(f"## meant.toml: nothing needs the entry for {', '.join(entry.transcripts)}: {entry.reason}")
    print(f"{found.compared} transcripts compared, {len(found.differing)} differ")


if __name__ == "__main__":
    sys.exit(main())
