#!/usr/bin/env python3
"""qtoolkit (jobflow-remote's way to a queue): submit with resources, one job, a list of jobs, cancel, what was cancelled."""

import os
import subprocess
import tempfile
import time
from pathlib import Path

from qtoolkit.core.data_objects import CancelStatus, ProcessPlacement, QResources, QState, SubmissionStatus
from qtoolkit.io.slurm import SlurmIO
from qtoolkit.manager import QueueManager

work = Path(tempfile.mkdtemp(prefix="qtoolkit-", dir=os.getcwd()))
os.chdir(work)
queue = QueueManager(SlurmIO())


def submit(name: str, script: str) -> str:
    resources = QResources(
        queue_name="main",
        job_name=name,
        memory_per_thread=100,
        nodes=1,
        processes_per_node=2,
        threads_per_process=2,
        process_placement=ProcessPlacement.EVENLY_DISTRIBUTED,
        time_limit=300,
        output_filepath=f"{name}.out",
        error_filepath=f"{name}.err",
    )
    done = queue.submit(script, options=resources, script_fname=f"{name}.sh", work_dir=str(work), create_submit_dir=True)
    assert done.status == SubmissionStatus.SUCCESSFUL, done
    return str(done.job_id)


def wait(job: str, *states: QState) -> None:
    deadline = time.monotonic() + 60
    while (found := queue.get_job(job)) is None or found.state not in states:
        assert time.monotonic() < deadline, found
        time.sleep(0.5)


short = submit("short", "srun sh -c 'echo rank $SLURM_PROCID'\n")
slow = submit("slow", "sleep 300\n")
wait(slow, QState.RUNNING)
wait(short, QState.DONE)
assert sorted((work / "short.out").read_text().splitlines()) == ["rank 0", "rank 1"]

found = queue.get_job(slow)
assert found.name == "slow" and found.queue_name == "main" and found.info.cpus == 4, found
assert found.info.nodes == 1 and found.info.time_limit == 300 and found.info.threads_per_process == 2, found
assert found.info.memory == 100 * 1024, found.info

(listed,) = queue.get_jobs_list(jobs=[slow])
assert listed.job_id == slow and listed.state == QState.RUNNING and listed.info.cpus == 4, listed
assert slow in [job.job_id for job in queue.get_jobs_list(user="root" if os.getuid() == 0 else os.environ["USER"])]

held = subprocess.check_output(["sbatch", "--parsable", "-n16", "--exclusive", "-N2", "-t5", "--wrap", "true"], text=True).strip()
assert queue.get_job(held).state == QState.QUEUED and queue.get_job(held).info.time_limit == 300, queue.get_job(held)
assert queue.cancel(held).status == CancelStatus.SUCCESSFUL

cancelled = queue.cancel(slow)
assert cancelled.status == CancelStatus.SUCCESSFUL and cancelled.job_id == slow, cancelled
wait(slow, QState.FAILED)
bad = queue.submit(
    "true\n",
    options=QResources(queue_name="no-such-queue", processes=1),
    script_fname="bad.sh",
    work_dir=str(work),
)
assert bad.status == SubmissionStatus.FAILED and "nvalid partition" in bad.stderr, bad
print("ok qtoolkit: submitted, found alone and in a list, cancelled, refused")
