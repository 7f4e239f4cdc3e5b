#!/usr/bin/env python3
"""PSI/J: a job, one of four processes under srun, one that fails and one that is cancelled, followed to their last states."""

import datetime
import os
import sys
import tempfile
from pathlib import Path

from psij import Job, JobAttributes, JobExecutor, JobExecutorConfig, JobSpec, JobState, ResourceSpecV1

work = Path(tempfile.mkdtemp(prefix="psij-", dir=os.getcwd()))
config = JobExecutorConfig(work_directory=work / ".psij")
executor = JobExecutor.get_instance("slurm", config=config)


def spec(name: str, *words: str, launcher: str = "single", processes: int = 1, nodes: int = 1) -> JobSpec:
    return JobSpec(
        executable=words[0],
        arguments=list(words[1:]),
        directory=work,
        stdout_path=work / f"{name}.out",
        stderr_path=work / f"{name}.err",
        environment={"GREETING": f"hello {name}"},
        launcher=launcher,
        resources=ResourceSpecV1(node_count=nodes, processes_per_node=processes // nodes, cpu_cores_per_process=1),
        attributes=JobAttributes(
            duration=datetime.timedelta(minutes=5),
            queue_name="main",
            custom_attributes={"slurm.comment": "psij"},
        ),
    )


def wait(job: Job) -> JobState:
    status = job.wait(timeout=datetime.timedelta(seconds=120))
    assert status is not None, f"{job} did not end"
    return status.state


one = Job(spec("one", "/bin/sh", "-c", "echo $GREETING $SLURM_JOB_ID"))
four = Job(
    spec(
        "four",
        "/bin/sh",
        "-c",
        "echo rank $SLURM_PROCID of $SLURM_NTASKS",
        launcher="srun",
        processes=4,
        nodes=2,
    )
)
bad = Job(spec("bad", "/bin/sh", "-c", "exit 7"))
slow = Job(spec("slow", "/bin/sleep", "300"))
for job in (one, four, bad, slow):
    executor.submit(job)
slow.wait(timeout=datetime.timedelta(seconds=60), target_states=[JobState.ACTIVE])
slow.cancel()

assert wait(one) == JobState.COMPLETED, one.status
assert (work / "one.out").read_text() == f"hello one {one.native_id}\n"
assert wait(four) == JobState.COMPLETED, four.status
assert sorted((work / "four.out").read_text().splitlines()) == [f"rank {n} of 4" for n in range(4)]
assert wait(bad) == JobState.FAILED, bad.status
assert wait(slow) == JobState.CANCELED, slow.status
print("ok psij: completed, 4 ranks, failed with", bad.status.exit_code, "and cancelled")
sys.stdout.flush()
os._exit(0)  # its queue poller has no end of its own
