#!/usr/bin/env python3
"""slurm-magic: what its users write in notebook cells: a script in a cell, tables as data frames, cancel."""

import os
import tempfile
import time

from IPython.core.interactiveshell import InteractiveShell

os.chdir(tempfile.mkdtemp(prefix="magic-", dir=os.getcwd()))
shell = InteractiveShell.instance()
shell.run_line_magic("load_ext", "slurm_magic")
said = shell.run_cell_magic("sbatch", "--parsable --time 5", "#!/bin/bash\nsleep 200\n")
job = str(said).strip()
assert job.isdigit(), said
deadline = time.monotonic() + 60
while not len(table := shell.run_line_magic("squeue", f"--me -j {job},{job}")) or table.ST[0] != "R":
    assert time.monotonic() < deadline, table
    time.sleep(0.5)
assert list(table.JOBID) == [int(job)], table
nodes = shell.run_line_magic("sinfo", "")
assert nodes.NODES.sum() == 2, nodes
assert shell.run_line_magic("srun", "-n 2 echo hello").split() == ["hello", "hello"]
shell.run_line_magic("scancel", job)
while not (ended := shell.run_line_magic("sacct", f"-X -j {job} -o JobID,State%20 -n")).shape:
    time.sleep(0.5)
print("ok slurm-magic: a cell as a script, squeue and sinfo as tables, srun, scancel")
