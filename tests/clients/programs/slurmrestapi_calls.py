#!/usr/bin/env python3
"""slurmrestapi: the client that is generated from Slurm's own OpenAPI document, every call of v0.0.42 that only
looks, and a job submitted, changed, signalled and cancelled. Its models check each answer."""

import inspect
import json
import os
import re
import subprocess
import time
from pathlib import Path

import slurmrestapi as slurm

ARGUMENTS = {
    "node_name": "node1",
    "partition_name": "main",
    "name": "root",
    "account_name": "root",
    "cluster_name": "packhorse",
    "qos": "normal",
}
NOT_THERE = {
    "slurm_v0042_get_reconfigure": "it does something",
    "slurm_v0042_get_reservation": "there is none",
    "slurmdb_v0042_get_instance": "there is no cloud",
    "slurmdb_v0042_get_user": "nobody has an account",
    "slurmdb_v0042_get_wckey": "there is none",
}

addresses = json.loads((Path(os.environ["PACKHORSE_HOME"]) / "run/scheduler.addr").read_text())
token = subprocess.run(["packhorse", "token"], check=True, capture_output=True, text=True).stdout.strip()
client = slurm.ApiClient(slurm.Configuration(host=f"http://{addresses['http']}", api_key={"user": "root", "token": token}))
api = slurm.SlurmApi(client)

minutes = slurm.V0042Uint32NoValStruct(set=True, number=5)
job = slurm.V0042JobDescMsg(
    name="generated",
    script="#!/bin/sh\nsleep 300\n",
    current_working_directory=os.getcwd(),
    environment=["PATH=/usr/bin:/bin"],
    time_limit=minutes,
    tasks=1,
)
number = str(api.slurm_v0042_post_job_submit(slurm.V0042JobSubmitReq(job=job)).job_id)
changed = api.slurm_v0042_post_job(number, slurm.V0042JobDescMsg(comment="a word"))
assert changed.results[0].error_code == 0, changed
deadline = time.monotonic() + 60
while (seen := api.slurm_v0042_get_job(number).jobs[0]).job_state != ["RUNNING"]:
    assert time.monotonic() < deadline, seen.job_state
    time.sleep(0.2)
assert (seen.name, seen.comment, seen.time_limit.number) == ("generated", "a word", 5)
assert seen.job_resources.nodes.count == 1

n_calls = 0
for part in (slurm.SlurmApi, slurm.SlurmdbApi):
    for name in dir(part):
        if not re.fullmatch(r"slurm(db)?_v0042_get_\w+?(?<!_http_info)(?<!_preload_content)", name):
            continue
        if name in NOT_THERE:
            continue
        call = getattr(part(client), name)
        needed = [p.name for p in inspect.signature(call).parameters.values() if p.default is p.empty]
        answer = call(*[number if one == "job_id" else ARGUMENTS[one] for one in needed])
        assert answer.errors == [], (name, answer.errors)
        n_calls += 1

drain = slurm.V0042UpdateNodeMsg(state=["DRAIN"], reason="by REST")
assert api.slurm_v0042_post_node("node2", drain).errors == []
assert "DRAIN" in api.slurm_v0042_get_node("node2").nodes[0].state
api.slurm_v0042_post_node("node2", slurm.V0042UpdateNodeMsg(state=["RESUME"]))

assert api.slurm_v0042_delete_job(number).status[0].error.code == 0
deadline = time.monotonic() + 60
while (state := api.slurm_v0042_get_job(number).jobs[0].job_state) != ["CANCELLED"]:
    assert time.monotonic() < deadline, state
    time.sleep(0.2)
unknown = api.slurm_v0042_delete_jobs(slurm.V0042KillJobsMsg(jobs=["999999"]))
assert unknown.status[0].error.code == 2017
print(f"ok slurmrestapi: {n_calls} calls that look, a job from its submission to its end")
