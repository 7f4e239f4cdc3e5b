#!/usr/bin/env python3
"""TorchX: an app of one role with two attempts, its state, its log, the list, and one that is cancelled."""

import os
import tempfile
import time
from pathlib import Path

from torchx.runner import get_runner
from torchx.specs import AppDef, AppState, Resource, Role

work = Path(tempfile.mkdtemp(prefix="torchx-", dir=os.getcwd()))
os.chdir(work)


def app(name: str, *words: str, retries: int = 0) -> AppDef:
    role = Role(
        name=name,
        image="",
        entrypoint=words[0],
        args=list(words[1:]),
        num_replicas=1,
        max_retries=retries,
        env={"GREETING": "hello"},
        resource=Resource(cpu=1, gpu=0, memMB=200),
    )
    return AppDef(name=name, roles=[role])


def state(runner, handle: str) -> AppState:
    status = runner.status(handle)
    return status.state if status else AppState.UNKNOWN


def wait(runner, handle: str, *states: AppState) -> None:
    deadline = time.monotonic() + 90
    while (found := state(runner, handle)) not in states:
        assert time.monotonic() < deadline, found
        time.sleep(1)


with get_runner() as runner:
    config = {"partition": "main", "time": "5", "comment": "torchx"}
    good = runner.run(app("good", "sh", "-c", "echo $GREETING rank $SLURM_PROCID; echo to stderr >&2"), "slurm", config)
    wait(runner, good, AppState.SUCCEEDED)
    job = good.rpartition("/")[2]
    assert (work / f"slurm-{job}-good-0.out").read_text() == "hello rank 0\n"
    lines = [line.strip() for line in runner.log_lines(good, "good")]
    assert lines == ["to stderr"], lines

    again = runner.run(app("again", "sh", "-c", "echo run ${SLURM_RESTART_COUNT:-0}; exit 1", retries=1), "slurm", config)
    wait(runner, again, AppState.FAILED)
    job = again.rpartition("/")[2]
    assert "run 1" in (work / f"slurm-{job}-again-0.out").read_text()

    slow = runner.run(app("slow", "sleep", "300"), "slurm", config)
    wait(runner, slow, AppState.RUNNING)
    runner.cancel(slow)
    deadline = time.monotonic() + 60
    while os.popen(f"squeue -h -t all -j {slow.rpartition('/')[2]} -o %T").read().strip() != "CANCELLED":
        assert time.monotonic() < deadline
        time.sleep(1)
print("ok torchx: one ended, one requeued itself, one cancelled")
