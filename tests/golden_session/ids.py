"""Which job of one session is which of the other."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from tests.cli import transcripts

SAID = re.compile(
    r"(?:Submitted batch job|Granted job allocation|Job|job allocation|Terminating job) (\d+)|^(\d+)$",
    re.MULTILINE,
)
ACCOUNTED = "160-sacct-XP.txt"
"""JobID|JobIDRaw|JobName|State|... of every job."""

FIRST = 701
"""Ids below this are those of jobs that only use them up, so that an id is not taken for another number."""

LINES_BELOW = r"^(?:[1-6]?\d?\d|700)(?:[ |][^\n]*(?:padding|CANCELLED)|\|\^\||\|).*\n"
"""Lines about those jobs."""


def job_ids(ours: Path, theirs: Path) -> dict[int, int]:
    """Our job id -> theirs: of the jobs whose submission was kept, then by the names in the accounting."""
    ids: dict[int, int] = {}
    for path in sorted(theirs.glob("*.txt")):
        mine, other = _said(ours / path.name), _said(path)
        if mine >= FIRST and other:
            ids[mine] = other
    mine_kept, others_kept = _accounted(ours / ACCOUNTED, FIRST), _accounted(theirs / ACCOUNTED, 0)
    for named, known in ((mine_kept.arrays, others_kept.arrays), (mine_kept.named, others_kept.named)):
        for name, raws in named.items():
            taken = set(ids.values())
            left = [raw for raw in known.get(name, []) if raw not in taken]
            ids.update(zip([raw for raw in raws if raw not in ids], left, strict=False))
    for (array, task), raw in mine_kept.tasks.items():
        known_task = others_kept.tasks.get((ids.get(array, 0), task))
        if known_task is not None:
            ids[raw] = known_task
    return ids


class _Accounted:
    """arrays, named: name -> ids of arrays and of other jobs, in order; tasks: (array, task) -> its raw
    id."""

    def __init__(self) -> None:
        self.arrays: dict[str, list[int]] = defaultdict(list)
        self.named: dict[str, list[int]] = defaultdict(list)
        self.tasks: dict[tuple[int, str], int] = {}


def _said(path: Path) -> int:
    """The id that a submission told, 0 if none."""
    if not path.exists():
        return 0
    kept = transcripts.read(path)
    if kept.argv[0] not in ("sbatch", "srun", "salloc", "timeout", "scancel"):
        return 0
    found = SAID.search(kept.out) or SAID.search(kept.err)
    return int(found[1] or found[2]) if found else 0


def _accounted(path: Path, first: int) -> _Accounted:
    found = _Accounted()
    if not path.exists():
        return found
    for line in transcripts.read(path).out.splitlines()[1:]:
        row, raw, name, state, *_, nodes, _ = line.split("|")
        array, _, task = row.partition("_")
        if int(array) < first or (
            state == "FAILED" and nodes == "None assigned"
        ):  # refused, with an id used up
            continue
        if not task:
            found.named[name].append(int(raw))
            continue
        if int(array) not in found.arrays[name]:
            found.arrays[name].append(int(array))
        if "[" not in task:
            found.tasks[int(array), task] = int(raw)
    return found
