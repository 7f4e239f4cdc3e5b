#!/usr/bin/env python3
"""ReFrame: the same checks through its slurm and squeue backends: a two-node check, arrays of options, one that fails, one that
runs into its time limit, and checks on every idle node."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

SETTINGS = """\
import os

def partition(name, scheduler):
    return {
        "name": name, "scheduler": scheduler, "launcher": "srun", "access": ["-p main", "--comment=reframe"],
        "environs": ["builtin"], "max_jobs": 8, "sched_options": {"job_submit_timeout": 60},
        "resources": [{"name": "memory", "options": ["--mem={size}"]}],
    }

site_configuration = {
    "systems": [{"name": "here", "hostnames": [".*"],
                 "partitions": [partition("accounted", "slurm"), partition("queued", "squeue")]}],
    "environments": [{"name": "builtin", "cc": "cc", "cxx": "", "ftn": ""}],
}
"""

CHECKS = """\
import reframe as rfm
import reframe.utility.sanity as sn


class Base(rfm.RunOnlyRegressionTest):
    valid_systems = ["*"]
    valid_prog_environs = ["*"]
    time_limit = "2m"


@rfm.simple_test
class Ranks(Base):
    executable = "sh"
    executable_opts = ["-c", "'echo rank $SLURM_PROCID on $SLURMD_NODENAME'"]
    num_tasks = 4
    num_tasks_per_node = 2
    num_cpus_per_task = 1
    extra_resources = {"memory": {"size": "100M"}}

    @sanity_function
    def all_ranks(self):
        hosts = sn.extractall(r"on (\\S+)", self.stdout, 1)
        return sn.all([sn.assert_eq(sn.count(hosts), 4), sn.assert_eq(sn.count_uniq(hosts), 2)])

    @performance_function("ranks")
    def ranks(self):
        return sn.count(sn.extractall(r"rank", self.stdout))


@rfm.simple_test
class Fails(Base):
    executable = "sh"
    executable_opts = ["-c", "'echo no; exit 3'"]

    @sanity_function
    def code(self):
        code = sn.assert_eq(self.job.exitcode, 3) if self.current_partition.name == "accounted" else True  # squeue has none
        return sn.and_(code, sn.assert_found("no", self.stdout))


@rfm.simple_test
class Array(Base):
    executable = "echo task $SLURM_ARRAY_TASK_ID"

    @run_before("run")
    def array(self):
        self.job.options = ["--array=0-2"]

    @sanity_function
    def all_tasks(self):
        return sn.assert_eq(sn.count(sn.extractall(r"task \\d", self.stdout)), 3)


@rfm.simple_test
class TooLong(Base):
    executable = "sleep 100"
    time_limit = "5s"
    tags = {"long"}

    @sanity_function
    def told_why(self):
        return sn.assert_found(r"CANCELLED AT \\S+ DUE TO TIME LIMIT", self.stderr)


@rfm.simple_test
class EveryNode(Base):
    executable = "hostname"
    num_tasks = 0
    num_tasks_per_node = 1
    tags = {"alone"}

    @sanity_function
    def as_many_as_nodes(self):
        return sn.assert_eq(sn.count(sn.extractall(r"\\S+", self.stdout)), 2)
"""


def reframe(*words: str) -> subprocess.CompletedProcess[str]:
    tool = os.path.join(os.path.dirname(sys.executable), "reframe")
    return subprocess.run(
        [tool, "-C", "settings.py", "-c", "checks.py", "--report-file=report.json", *words],
        text=True,
        capture_output=True,
        check=False,
    )


work = Path(tempfile.mkdtemp(prefix="reframe-", dir=os.getcwd()))
os.chdir(work)
Path("settings.py").write_text(SETTINGS)
Path("checks.py").write_text(CHECKS)

done = reframe("-r", "-T", "long|alone")
assert done.returncode == 0, done.stdout + done.stderr
runs = json.loads(Path("report.json").read_text())["runs"][0]
assert (runs["num_cases"], runs["num_failures"]) == (6, 0), runs

done = reframe("-r", "-t", "alone", "--flex-alloc-nodes=idle")
assert done.returncode == 0, done.stdout + done.stderr

# What `--distribute` finds to be idle gets a check each.
done = reframe("-r", "-n", "^Fails$", "--system=here:accounted", "--distribute=idle")
assert done.returncode == 0, done.stdout + done.stderr
assert json.loads(Path("report.json").read_text())["runs"][0]["num_cases"] == 2, done.stdout

done = reframe("-r", "-t", "long", "--system=here:accounted")
assert done.returncode == 0, done.stdout + done.stderr
print("ok reframe: 6 checks on two backends, one over every idle node, one on each, one that is too long")
