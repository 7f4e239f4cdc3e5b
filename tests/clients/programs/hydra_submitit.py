#!/usr/bin/env python3
"""hydra-submitit-launcher: a sweep over two parameters as a job array of four tasks."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

APP = """\
import os

import hydra


@hydra.main(version_base=None, config_path=None, config_name=None)
def app(config):
    print("x", config.x, "y", config.y)
    with open("found.txt", "w") as found:
        found.write(f"{config.x * config.y} {os.environ['SLURM_ARRAY_TASK_COUNT']} {os.environ['SLURM_CPUS_PER_TASK']}")


app()
"""

work = Path(tempfile.mkdtemp(prefix="hydra-", dir=os.getcwd()))
os.chdir(work)
Path("app.py").write_text(APP)
overrides = [
    "timeout_min=5",
    "cpus_per_task=2",
    "mem_gb=1",
    "partition=main",
    "array_parallelism=3",
    "name=sweep",
]
words = [f"hydra.launcher.{override}" for override in overrides]
done = subprocess.run(
    [
        sys.executable,
        "app.py",
        "-m",
        "hydra/launcher=submitit_slurm",
        *words,
        "hydra.sweep.dir=swept",
        "hydra.job.chdir=true",
        "+x=1,2",
        "+y=3,5",
    ],
    text=True,
    capture_output=True,
    check=False,
)
assert done.returncode == 0, done.stdout + done.stderr
found = sorted(path.read_text() for path in Path("swept").glob("*/found.txt"))
assert found == sorted(f"{x * y} 4 2" for x in (1, 2) for y in (3, 5)), found
rows = subprocess.check_output(["sacct", "-X", "-n", "-P", "-o", "JobName,State,ReqMem"], text=True).splitlines()
assert rows.count("sweep|COMPLETED|1G") >= 4, rows
print("ok hydra: a sweep of four as an array")
