#!/usr/bin/env python3
"""Lightning's SLURMEnvironment in four tasks on two nodes, a real process group among them."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

RANKS = """\
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import SLURMEnvironment

assert SLURMEnvironment.detect()
here = SLURMEnvironment()
fabric = Fabric(accelerator="cpu", devices=2, num_nodes=2, strategy="ddp")
fabric.launch()
total = fabric.all_reduce(torch.tensor(float(fabric.global_rank + 1)), reduce_op="sum")
print(f"rank {here.global_rank()} local {here.local_rank()} node {here.node_rank()} of {here.world_size()} sum {total.item()}")
"""
SCRIPT = """\
#!/bin/bash
#SBATCH --nodes=2 --ntasks-per-node=2 --cpus-per-task=1 --time=5 --mem=2G --job-name=ranks
export MASTER_ADDR=127.0.0.1 GLOO_SOCKET_IFNAME=lo
srun {python} ranks.py
"""

work = Path(tempfile.mkdtemp(prefix="lightning-", dir=os.getcwd()))
os.chdir(work)
Path("ranks.py").write_text(RANKS)
Path("job.sh").write_text(SCRIPT.format(python=sys.executable))
job = subprocess.check_output(["sbatch", "--parsable", "--wait", "job.sh"], text=True).strip()
out = Path(f"slurm-{job}.out").read_text()
lines = sorted(line for line in out.splitlines() if line.startswith("rank"))
assert lines == [f"rank {n} local {n % 2} node {n // 2} of 4 sum 10.0" for n in range(4)], out
print("ok lightning: four ranks on two nodes in one process group")
