"""A cluster like the one that the session was recorded on: two nodes, one of them with GPUs, two partitions,
two accounts."""

from __future__ import annotations

import base64
import getpass
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from packhorse.cli import daemons
from tests.cluster import Cluster, wait_until
from tests.golden_session import ids

ME = getpass.getuser()

CONFIG = """\
[cluster]
name = "demo"

[jobs]
allow_root_jobs = true
kill_wait = 5
min_job_age = 300
requeue_delay = 120

[nodes]
heartbeat = 1
usage_interval = 1

[scheduling]
order = "multifactor"

[priority]
weight_age = 1000
weight_fairshare = 10000
weight_partition = 1000
weight_qos = 2000
look_ahead = 0

[accounts]
enforce = "associations"

[reclaim]
stoppable_qos = []

[[partition]]
name = "normal"
nodes = "node[1-2]"
default = true
max_time = "1-00:00:00"
default_time = "01:00:00"
def_mem_per_cpu = 500
priority = 1

[[partition]]
name = "high"
nodes = "node[1-2]"
max_time = "UNLIMITED"
default_time = "30:00"
def_mem_per_cpu = 500
priority = 10
priority_tier = 10
"""

AGENTS = {
    "node1": ("--cpus", "8", "--mem", "16000M", "--features", "cpu"),
    "node2": ("--cpus", "8", "--mem", "16000M", "--features", "cpu,gpu", "--gres", "gpu:2"),
}

BOOK = (
    ("add", "account", "lab", "Description=Demo lab", "Organization=demo"),
    ("add", "account", "other", "Description=Other lab", "Organization=demo"),
    ("add", "qos", "long", "set", "Priority=5", "MaxWall=7-00:00:00"),
    ("add", "user", ME, "account=lab"),
    ("modify", "user", ME, "set", "DefaultAccount=lab", "qos=normal,long", "AdminLevel=Administrator"),
)


ANYBODYS = "/usr/bin/python3"
"""A Python that everybody may run, who may not see where this one lies: what is run as somebody else needs
no more."""


class Demo(Cluster):
    """That cluster. Its nodes differ, which `packhorse up` does not make, so its daemons are started one by
    one.

    `work` has a path of the recorded one's length, so that it is cut off in columns where that one is.
    """

    def __init__(self) -> None:
        super().__init__(nodes=2)
        self.work.rmdir()
        self.work = Path("/tmp") / secrets.token_hex(2)
        self.work.mkdir()
        for command in (self.root / "bin" / name for name in ("sbatch", "scancel", "scontrol")):
            if os.access(ANYBODYS, os.X_OK):
                command.write_text(f"#!{ANYBODYS}\n" + command.read_text().partition("\n")[2])
        self.home.config.write_text(CONFIG.replace("min_job_age = 300", "min_job_age = 1"))

    def up(self, variables: Mapping[str, str] | None = None, *, check: bool = True) -> None:
        assert not variables and check
        known = [word for node in AGENTS for word in ("--local-node", node)]
        self._start([*daemons.scheduler_command(self.home), *known], "scheduler")
        wait_until(self.home.socket.exists, "the scheduler's socket")
        for node, options in AGENTS.items():
            self._start(daemons.agent_command(self.home, node, options), f"agent-{node}")
        wait_until(lambda: self.text("sinfo", "-h", "-t", "idle", "-o", "%D").strip() == "2", "both nodes")
        for words in BOOK:
            self.run("sacctmgr", "-i", *words)
        self._use_ids_up()

    def end(self) -> list[str]:
        left = super().end()
        shutil.rmtree(self.work, ignore_errors=True)
        return left

    def _use_ids_up(self) -> None:
        """Jobs that have ended and are forgotten but for the accounting: the session's ids begin at
        ids.FIRST."""
        spec = {
            "name": "padding",
            "hold": True,
            "script": base64.b64encode(b"#!/bin/sh\n").decode(),
            "umask": 0o22,
            "workDir": "/",
        }
        self.call("SubmitJobs", {"specs": [spec], "items": [{"copies": ids.FIRST - 1}]})
        self.call("CancelJobs", {"filter": {"users": [ME]}})
        wait_until(lambda: not self.text("squeue", "-h", "-t", "all"), "the first jobs to be forgotten")
        self.home.config.write_text(CONFIG)
        self.run("scontrol", "reconfigure")

    def _start(self, command: list[str], name: str) -> None:
        """As a process of its own, which no Python object stands for."""
        self.home.log.mkdir(exist_ok=True)
        log = self.home.log / f"{name}.out"
        self.run("setsid", "sh", "-c", f'"$@" </dev/null >>{log} 2>&1 &', "sh", *command, cwd=Path("/"))
