#!/usr/bin/env python3
"""executorlib: functions as steps of an allocation (srun), one of them two ranks, and as jobs through pysqa."""

import os
import subprocess
import sys
import tempfile

PROGRAM = """\
import os
from executorlib import SlurmJobExecutor


def where(x):
    import os
    return x * x, os.environ["SLURM_JOB_ID"], os.environ["SLURM_STEP_ID"]


if __name__ == "__main__":
    with SlurmJobExecutor(max_cores=4, hostname_localhost=True, resource_dict={"cores": 1, "slurm_cmd_args": ["--comment=f"]}) as e:
        found = [f.result() for f in [e.submit(where, x) for x in range(5)]]
    assert [f[0] for f in found] == [0, 1, 4, 9, 16], found
    assert {f[1] for f in found} == {os.environ["SLURM_JOB_ID"]}
    assert len({f[2] for f in found}) == 5, found
    with SlurmJobExecutor(
        max_workers=2, block_allocation=True, hostname_localhost=True, resource_dict={"cores": 1, "threads_per_core": 2}
    ) as e:
        found = [f.result() for f in [e.submit(where, x) for x in range(6)]]
    assert len({f[2] for f in found}) <= 2, found
    print("steps ok", len(found))
"""
CLUSTER = """\
from executorlib import SlurmClusterExecutor


def add(x, y):
    import os
    return x + y, os.environ["SLURM_JOB_ID"]


if __name__ == "__main__":
    with SlurmClusterExecutor(cache_directory="cache", resource_dict={"cores": 1, "run_time_max": 300}) as e:
        first = e.submit(add, 1, 2)
        results = [first.result(), e.submit(add, 3, 4).result()]
    assert [r[0] for r in results] == [3, 7] and results[0][1] != results[1][1], results
    print("jobs ok", *[r[1] for r in results])
"""

work = tempfile.mkdtemp(prefix="executorlib-", dir=os.getcwd())
os.chdir(work)
for name, text in {"steps.py": PROGRAM, "jobs.py": CLUSTER}.items():
    with open(name, "w") as file:
        file.write(text)
done = subprocess.run(
    ["salloc", "-n", "4", "-t", "5", "--mem=2G", sys.executable, "steps.py"],
    text=True,
    capture_output=True,
    check=False,
)
assert done.returncode == 0 and "steps ok 6" in done.stdout, done.stdout + done.stderr
done = subprocess.run([sys.executable, "jobs.py"], text=True, capture_output=True, check=False)
assert done.returncode == 0 and "jobs ok" in done.stdout, done.stdout + done.stderr
print("ok executorlib: five steps, two workers for six calls,", done.stdout.strip())
