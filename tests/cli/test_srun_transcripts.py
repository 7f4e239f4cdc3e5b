"""What Slurm 22.05's srun and salloc said, where transcripts of it lie beside the repository.

The tasks are acted by fake doors; what is compared is what the commands make of them: streams, messages,
code.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli import fake_door, transcripts
from tests.cli.fake_door import Visit
from tests.cli.fake_scheduler import FakeScheduler
from tests.cli.stepped import WITHIN_S, Stepped

TRANSCRIPTS = Path(__file__).resolve().parents[3] / "shared" / "slurm-golden" / "out"

pytestmark = pytest.mark.skipif(not TRANSCRIPTS.is_dir(), reason="no transcripts beside the repository")

Node = tuple[list[int], Callable[[Visit], None]]


def node(ranks: list[int], *acts: Callable[[Visit], None]) -> Node:
    """A node with these tasks, where this happens."""

    def script(visit: Visit) -> None:
        visit.welcome(ranks)
        for act in acts:
            act(visit)
        visit.over()

    return ranks, script


def says(rank: int, text: str) -> Callable[[Visit], None]:
    return lambda visit: visit.send(fake_door.OUT, rank, text.encode())


def ends(rank: int, code: int = 0, number: int = 0) -> Callable[[Visit], None]:
    return lambda visit: visit.ended(rank, code, number)


def told_to_end(visit: Visit) -> None:
    visit.read_until(fake_door.END)
    visit.send(
        fake_door.NOTICE, fake_door.ALL, b"slurmstepd-node1: error: *** STEP 50.0 ON node1 CANCELLED AT x ***"
    )


def not_there(visit: Visit) -> None:
    text = b"execve(): /nosuch/program: No such file or directory"
    visit.send(fake_door.NOT_STARTED, 0, (2).to_bytes(4, "little") + text)


def echoes(visit: Visit) -> None:
    found = visit.read_until(fake_door.INPUT_END)
    data = b"".join([data for kind, _, data in found if kind == fake_door.INPUT])
    for rank in (0, 1):
        visit.send(fake_door.OUT, rank, data)
        visit.ended(rank)


ACTED: dict[str, tuple[Node, ...]] = {
    "057-srun-hostname-label": (
        node(
            [0, 1, 2],
            *[says(rank, f"rank {rank} on node2\n") for rank in range(3)],
            ends(0),
            ends(1),
            ends(2),
        ),
    ),
    "058-srun-two-nodes": (
        node([0], says(0, "0 node1\n"), ends(0)),
        node([1], says(1, "1 node2\n"), ends(1)),
    ),
    "059-srun-exit": (node([0], ends(0, 5)),),
    "060-srun-exit-highest": (node([0, 1, 2], ends(0), ends(1, 1), ends(2, 2)),),
    "061-srun-killed": (node([0], ends(0, 0, 9)),),
    "062-srun-kill-on-bad-exit": (node([0, 1], ends(1, 4), told_to_end, ends(0, 0, 15)),),
    "063-srun-no-such-program": (node([0], not_there, ends(0, 2)),),
    "064-srun-no-command": (),
    "065-srun-bad-option": (),
    "066-srun-partition": (),
    "067-srun-too-many": (),
    "068-srun-in-unknown-job": (),
    "069-srun-stdin": (node([0, 1], echoes),),
    "070-srun-immediate": (),
    "071-srun-test-only": (),
    "072-salloc": (node([0, 1], says(0, "in 56 step 0\n"), says(1, "in 56 step 0\n"), ends(0), ends(1)),),
    "073-salloc-no-shell": (),
    "074-srun-overlap-step": (node([0], says(0, "step 1\n"), ends(0)),),
    "155-salloc-bad-option": (),
    "254-all-srun-too-many": (),
}


@pytest.fixture
def stepped(scheduler: FakeScheduler, tmp_path: Path) -> Iterator[Stepped]:
    world = Stepped(scheduler, tmp_path)
    (tmp_path / "bin").mkdir()
    for prog in ("srun", "salloc"):
        path = tmp_path / "bin" / prog
        path.write_text(
            f"#!{sys.executable}\nimport sys\nfrom packhorse.cli.slurm.{prog} import main\nsys.exit(main())\n"
        )
        path.chmod(0o755)
    yield world
    world.close()


def prepare(stepped: Stepped, name: str) -> None:
    """What the scheduler answers in this scene."""
    scheduler = stepped.scheduler
    if name == "066-srun-partition":
        scheduler.fail(
            "SubmitJob",
            "invalid_argument",
            "invalid partition specified: nosuch",
            "Invalid partition name specified",
        )
    elif name == "254-all-srun-too-many":
        phrase = "More processors requested than permitted"
        scheduler.fail("SubmitJob", "invalid_argument", phrase, phrase)
    elif name == "067-srun-too-many":
        scheduler.on("AwaitAllocation", {"state": "PENDING", "reason": "PartitionConfig"})
    elif name == "068-srun-in-unknown-job":
        scheduler.fail("CreateStep", "not_found", "job 9999 is not known", "Invalid job id specified", 404)
    elif name == "070-srun-immediate":
        scheduler.on("AwaitAllocation", {"state": "PENDING", "reason": "Resources"})
    elif name == "071-srun-test-only":
        text = "Job 55 to start at 2026-11-24T18:34:58 using 2 processors on nodes node1 in partition normal"
        scheduler.on("SubmitJob", {"jobId": "55", "estimate": text})


def plain(text: str) -> list[str]:
    """Without numbers of jobs, names of nodes, times, and the name of whose daemon speaks."""
    text = re.sub(r"\bnode\d\b", "node1", text.replace("slurmstepd-", "packhorse-"))
    text = re.sub(r"CANCELLED AT \S+", "CANCELLED AT x", text)
    text = re.sub(r"(StepId=|JobId=|job |Job |allocation |STEP )\d+", r"\g<1>N", text)
    return sorted(text.splitlines())


@pytest.mark.parametrize("name", list(ACTED))
def test_as_slurm(stepped: Stepped, name: str) -> None:
    theirs = transcripts.read(TRANSCRIPTS / f"{name}.txt")
    if ACTED[name]:
        stepped.serve(*ACTED[name])
    prepare(stepped, name)
    done = subprocess.run(
        theirs.argv,
        env={**stepped.environment, "PATH": f"{stepped.root}/bin:/usr/bin:/bin"},
        cwd=stepped.root,
        input="line one\nline two\n" if name == "069-srun-stdin" else "",
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
        executable=str(stepped.root / "bin" / theirs.argv[0]) if theirs.argv[0] != "timeout" else None,
    )
    assert (done.returncode, plain(done.stdout), plain(done.stderr)) == (
        theirs.code,
        plain(theirs.out),
        plain(theirs.err),
    )
