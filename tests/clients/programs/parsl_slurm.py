#!/usr/bin/env python3
"""parsl: blocks that are jobs of two nodes, managers started by SrunLauncher, Python and shell apps, cancelled in the end."""

import os
import subprocess
import tempfile
import time
from pathlib import Path

import parsl
from parsl.config import Config
from parsl.executors import HighThroughputExecutor
from parsl.launchers import SrunLauncher
from parsl.providers import SlurmProvider

work = tempfile.mkdtemp(prefix="parsl-", dir=os.getcwd())
os.chdir(work)


@parsl.python_app
def where(x):
    import os

    return x * 2, os.environ["SLURM_JOB_ID"], os.environ["SLURMD_NODENAME"], os.environ["SLURM_STEP_ID"]


@parsl.bash_app
def hello(n, stdout=parsl.AUTO_LOGNAME):
    return f"echo hello {n} from $SLURM_JOB_ID"


config = Config(
    run_dir=f"{work}/runinfo",
    strategy="none",
    executors=[
        HighThroughputExecutor(
            label="slurm",
            address="127.0.0.1",
            max_workers_per_node=2,
            cores_per_worker=1,
            provider=SlurmProvider(
                partition="main",
                nodes_per_block=2,
                cores_per_node=2,
                mem_per_node=1,
                init_blocks=1,
                min_blocks=1,
                max_blocks=1,
                walltime="00:10:00",
                exclusive=False,
                scheduler_options="#SBATCH --comment=parsl",
                launcher=SrunLauncher(),
                cmd_timeout=60,
            ),
        )
    ],
)
with parsl.load(config):
    futures = [where(x) for x in range(12)]
    results = [f.result(timeout=180) for f in futures]
    assert [r[0] for r in results] == [x * 2 for x in range(12)]
    (job,) = {r[1] for r in results}
    assert {r[3] for r in results} == {"0"}
    nodes = {r[2] for r in results}
    shell = hello(7)
    assert shell.result(timeout=60) == 0
    assert Path(shell.stdout).read_text() == f"hello 7 from {job}\n"

deadline = time.monotonic() + 60
while not (state := subprocess.check_output(["sacct", "-X", "-n", "-P", "-j", job, "-o", "State"], text=True)).startswith(
    ("CANCELLED", "COMPLETED")
):
    assert time.monotonic() < deadline, state
    time.sleep(1)
print("ok parsl: 12 Python apps and a shell app in job", job, "on", *sorted(nodes), state.strip())
