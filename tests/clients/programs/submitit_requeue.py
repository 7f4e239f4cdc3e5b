#!/usr/bin/env python3
"""submitit: a function that checkpoints itself when its time is nearly over, is requeued by its own task and ends in a second run."""

import os
import tempfile
import time

import submitit


class Counting:
    """Counts, and says where it was when it is told to make room."""

    def __init__(self) -> None:
        self.at = 0
        self.runs = 1

    def __call__(self) -> tuple[int, int, str]:
        while self.at < 12 or self.runs < 2:
            time.sleep(0.5)
            self.at += 1
        return self.at, self.runs, os.environ.get("SLURM_RESTART_COUNT", "none")

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        self.runs += 1
        return submitit.helpers.DelayedSubmission(self)


if __name__ == "__main__":
    work = tempfile.mkdtemp(prefix="requeue-", dir=os.getcwd())
    executor = submitit.SlurmExecutor(folder=work, max_num_timeout=2)
    # Signalled five seconds after its start.
    executor.update_parameters(time=2, signal_delay_s=115, mem="200M", job_name="counting", additional_parameters={"requeue": True})
    job = executor.submit(Counting())
    at, runs, restarts = job.result()
    assert at >= 12 and runs == 2 and restarts == "1", (at, runs, restarts)
    assert job.get_info(mode="force")["State"] in ("COMPLETED", "COMPLETING", "RUNNING"), job.get_info(mode="force")

    # Preempted by hand: what `scontrol requeue` of an administrator does to it.
    executor.update_parameters(time=5, signal_delay_s=30)
    job = executor.submit(Counting())
    while job.state != "RUNNING":
        time.sleep(0.5)
    time.sleep(2)
    os.system(f"scancel --signal USR2 {job.job_id}")
    assert job.result()[1:] == (2, "1")
    print("ok submitit: checkpoint at the time limit and at a signal, one more run each")
