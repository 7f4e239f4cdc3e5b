#!/usr/bin/env python3
"""slurm2sql, slurmpast, slurm-usage and slurm_gpustat: what reads all that sacct, sinfo and squeue tell."""

import json
import os
import sqlite3
import subprocess
import tempfile
import time

os.chdir(tempfile.mkdtemp(prefix="accounting-", dir=os.getcwd()))


def run(*words: str) -> str:
    done = subprocess.run(words, text=True, capture_output=True, check=False)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout + done.stderr


script = "srun -n2 sh -c 'i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done'; exit 3"
job = run("sbatch", "--parsable", "--wait", "-n2", "--mem=200M", "-t5", "--wrap", "true").strip()
bad = subprocess.run(
    ["sbatch", "--parsable", "--wait", "-n2", "--mem=200M", "-t5", "--wrap", script], text=True, capture_output=True, check=False
).stdout.strip()
running = run("sbatch", "--parsable", "--gres=gpu:1", "-t5", "--wrap", "sleep 300").strip()
deadline = time.monotonic() + 60
while run("squeue", "-h", "-j", running, "-o", "%T").strip() != "RUNNING":
    assert time.monotonic() < deadline
    time.sleep(0.5)

run("slurm2sql", "jobs.db", "--", "-a")
table = sqlite3.connect("jobs.db")
columns = "JobID, State, ExitCode, NCPUS, ReqMem, Timelimit, CPUTime > 0, TotalCPU"
rows = {row[0]: row[1:] for row in table.execute(f"select {columns} from slurm")}
assert rows[job][:5] == ("COMPLETED", 0, 2, 200 * 2**20, 300.0), rows[job]
assert rows[bad][:3] == ("FAILED", 3, 2), rows[bad]
assert rows[f"{bad}.0"][0] == "COMPLETED" and f"{bad}.batch" in rows, rows
(gpus,) = table.execute("select NGpus from slurm where JobID = ?", (running,)).fetchone()
assert gpus == 1, gpus

found = json.loads(run("slurmpast", "--json", "-S", "now-1days"))
(failed,) = [one for one in found["jobs"] if one["identity"]["job_id"] == bad]
assert failed["outcome"]["exit_code"] == 3 and failed["identity"]["name"] == "wrap", failed
assert found["summary"]["excluded_unparsed"] == 0, found["summary"]

run("slurm-usage", "collect", "--days", "1", "--data-dir", "usage", "-n", "1")
assert any(files for _, _, files in os.walk("usage"))
assert "h200: 1" in run("slurm_gpustat"), run("slurm_gpustat")
run("scancel", running)
print("ok accounting readers: slurm2sql, slurmpast, slurm-usage, slurm_gpustat")
