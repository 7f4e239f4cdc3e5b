#!/usr/bin/env python3
"""myqueue: a workflow of tasks with dependencies, one of them fails, `mq ls` between."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

work = Path(tempfile.mkdtemp(prefix="myqueue-", dir=os.getcwd()))
os.chdir(work)
os.environ["HOME"] = str(work)
(work / ".bash_profile").write_text(f"export PATH={os.environ['PATH']}\n")  # its scripts are login shells
(work / ".myqueue").mkdir()
(work / ".myqueue/config.py").write_text(
    "config = {'scheduler': 'slurm', 'nodes': [('main', {'cores': 8, 'memory': '16G', 'nodename': 'main'})],\n"
    f"          'mpiexec': 'srun', 'serial_python': {sys.executable!r}}}\n"
)


def mq(*words: str) -> str:
    done = subprocess.run(["mq", *words], text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


(work / "work.py").write_text("""\
from pathlib import Path


def first():
    Path("first.txt").write_text("1")


def second():
    Path("second.txt").write_text(Path("first.txt").read_text() + "2")


def broken():
    raise ValueError("no")


def workflow():
    from myqueue.workflow import run
    with run(function=first, name="first", cores=1, tmax="2m"):
        run(function=second, name="second", cores=2, tmax="2m")
    run(function=broken, name="broken", cores=1, tmax="2m")
""")
mq("workflow", "work.py")
deadline = time.monotonic() + 120
while "running" in (listed := mq("ls")) or "queued" in listed:
    assert time.monotonic() < deadline, listed
    time.sleep(2)
assert (work / "second.txt").exists() and (work / "second.txt").read_text() == "12", listed
assert "FAILED" in listed and listed.count("done") >= 2, listed
print("ok myqueue: two tasks in order, one that failed")
