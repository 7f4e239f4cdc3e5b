#!/usr/bin/env python3
"""Snakemake through its slurm and slurm-jobstep executors: a workflow of six jobs, then one that fails and is told so."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

SNAKEFILE = """\
SAMPLES = ["a", "b", "c"]


rule all:
    input: "report.txt"


rule count:
    input: "{sample}.txt"
    output: "{sample}.count"
    threads: 2
    resources: mem_mb=200, runtime=3
    shell: "wc -w < {input} > {output}; echo threads {threads} cpus $SLURM_CPUS_ON_NODE >> {output}"


rule numbers:
    output: "numbers.txt"
    resources: tasks=2, cpus_per_task=1, mem_mb_per_cpu=100, runtime="2m", mpi="srun"
    shell: "{resources.mpi} -n {resources.tasks} sh -c 'echo rank $SLURM_PROCID of $SLURM_NTASKS' > {output}"


rule report:
    input: "numbers.txt", expand("{sample}.count", sample=SAMPLES)
    output: "report.txt"
    resources: slurm_partition="main", slurm_extra="'--nice=5'"
    run:
        with open(output[0], "w") as report:
            for path in input:
                report.write(path + ": " + open(path).read().replace("\\n", " ") + "\\n")


rule broken:
    output: "never.txt"
    shell: "echo about to fail; exit 3"
"""

PROFILE = """\
executor: slurm
jobs: 6
latency-wait: 20
slurm-init-seconds-before-status-checks: 1
seconds-between-status-checks: 2
default-resources:
    mem_mb: 100
    runtime: 5
    slurm_partition: main
"""


def snakemake(*words: str) -> subprocess.CompletedProcess[str]:
    tool = os.path.join(os.path.dirname(sys.executable), "snakemake")
    return subprocess.run([tool, "--workflow-profile", "profile", *words], text=True, capture_output=True, check=False)


work = Path(tempfile.mkdtemp(prefix="snakemake-", dir=os.getcwd()))
os.chdir(work)
Path("Snakefile").write_text(SNAKEFILE)
Path("profile").mkdir()
Path("profile/config.yaml").write_text(PROFILE)
for name, words in {"a": "one", "b": "one two", "c": "one two three"}.items():
    Path(f"{name}.txt").write_text(words)

done = snakemake()
assert done.returncode == 0, done.stdout + done.stderr
report = Path("report.txt").read_text()
for n, name in enumerate("abc", start=1):
    assert f"{name}.count: {n} threads 2 cpus 2" in report, report
assert "rank 0 of 2" in report and "rank 1 of 2" in report, report
rows = subprocess.check_output(["sacct", "-X", "-n", "-P", "-o", "JobID,State,Comment,NCPUS"], text=True)
assert rows.count("COMPLETED") >= 5 and "rule_count_wildcards_a" in rows, rows

failed = snakemake("broken")
assert failed.returncode != 0 and "FAILED" in failed.stderr, failed.stdout + failed.stderr

# An array of jobs, which the executor submits with one sbatch.
for name in "abc":
    Path(f"{name}.count").unlink()
done = snakemake("--slurm-array-jobs", "count")
assert done.returncode == 0, done.stdout + done.stderr
print("ok snakemake: a workflow of 5 jobs, a failure that is told, an array of 3 rules")
