#!/usr/bin/env python3
"""GridTK: submit, list, wait for, resubmit, report and delete jobs and an array, which it follows with squeue and `sacct --json`."""

import os
import subprocess
import tempfile
import time

os.chdir(tempfile.mkdtemp(prefix="gridtk-", dir=os.getcwd()))


def gridtk(*words: str) -> str:
    done = subprocess.run(["gridtk", *words], text=True, capture_output=True, check=False, env=os.environ | {"COLUMNS": "200"})
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


def wait(*wanted: str) -> str:
    deadline = time.monotonic() + 90
    while not all(word in (listed := gridtk("list")) for word in wanted):
        assert time.monotonic() < deadline, listed
        time.sleep(1)
    return listed


gridtk("submit", "--job-name=good", "--time=5", "---", "sh", "-c", "echo fine")
gridtk("submit", "--job-name=bad", "--time=5", "---", "sh", "-c", "exit 4")
gridtk("submit", "--job-name=many", "--array=1-3", "--time=5", "---", "sh", "-c", "echo task $SLURM_ARRAY_TASK_ID")
gridtk("submit", "--job-name=slow", "--time=5", "---", "sleep", "300")
listed = wait("COMPLETED (0)", "FAILED (4)", "RUNNING")
assert "fine" in gridtk("report", "--name", "good"), gridtk("report", "--name", "good")
gridtk("resubmit", "--name", "bad")
gridtk("stop", "--name", "slow")
wait("CANCELLED")
gridtk("delete", "--name", "slow")
assert "slow" not in gridtk("list")
print("ok gridtk: one ended, one failed and resubmitted, an array, one stopped")
