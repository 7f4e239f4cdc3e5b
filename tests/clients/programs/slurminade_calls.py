#!/usr/bin/env python3
"""slurminade's decorated functions, slurmpy's jobs in order, slurm-sweeps' trials as steps of one job."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

work = Path(tempfile.mkdtemp(prefix="slurminade-", dir=os.getcwd()))
os.chdir(work)
Path("calls.py").write_text("""\
import slurminade

slurminade.update_default_configuration(partition="main", mem="300M", time="00:05:00")


@slurminade.slurmify()
def say(n):
    with open(f"said-{n}", "w") as out:
        out.write(str(n * n))


if __name__ == "__main__":
    with slurminade.JobBundling(max_size=3):
        for n in range(5):
            say.distribute(n)
    slurminade.join()
    say.distribute(9)
""")
Path("sweep.py").write_text("""\
from time import sleep

import slurm_sweeps as ss


def train(cfg):
    for epoch in range(1, 4):
        sleep(0.1)
        ss.log({"loss": (cfg["parameter"] - 1) ** 2 * epoch}, epoch)


if __name__ == "__main__":
    experiment = ss.Experiment(train=train, cfg={"parameter": ss.Uniform(0, 2)}, name="sweep")
    frame = experiment.run(n_trials=4)
    print("trials", len(frame))
""")


def wait(*paths: str) -> None:
    deadline = time.monotonic() + 90
    while not all(Path(path).exists() and Path(path).read_text() for path in paths):
        assert time.monotonic() < deadline, (os.listdir(), paths)
        time.sleep(0.5)


done = subprocess.run([sys.executable, "calls.py"], text=True, capture_output=True, check=False)
assert done.returncode == 0, done.stdout + done.stderr
wait("said-0", "said-4", "said-9")
assert Path("said-4").read_text() == "16"

from slurmpy import Slurm  # noqa: E402

first = Slurm("one", {"partition": "main", "time": "00:05:00"}, scripts_dir="scripts", log_dir="logs").run("echo 1 > one")
assert isinstance(first, int), first
Slurm("two", {"partition": "main", "time": "00:05:00"}, scripts_dir="scripts", log_dir="logs").run(
    "echo $(cat one)2 > two", depends_on=[first]
)
wait("two")
assert Path("two").read_text() == "12\n"

job = subprocess.check_output(
    ["sbatch", "--parsable", "--wait", "-n3", "--mem=3G", "-t5", "-o", "sweep.out", "--wrap", f"{sys.executable} sweep.py"], text=True
).strip()
assert "trials 12" in Path("sweep.out").read_text(), Path("sweep.out").read_text()
steps = subprocess.check_output(["sacct", "-n", "-P", "-j", job, "-o", "JobID,State"], text=True)
assert steps.count("COMPLETED") >= 4 + 2, steps
print("ok slurminade, slurmpy, slurm-sweeps: bundled calls, a dependency, four trials as steps")
