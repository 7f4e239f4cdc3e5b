"""Slurm's REST interface of real daemons: a job from its submission to its accounting, and who may."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster import Cluster, wait_until

SCRIPT = "#!/bin/sh\necho hello $1 from $SLURM_JOB_NAME, $COLOUR\n"


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster(nodes=2) as running:
        yield running


class Api:
    """Calls over TCP with a token of `packhorse token`, as slurmrestd's clients make them."""

    def __init__(self, cluster: Cluster) -> None:
        addresses = json.loads((cluster.root / "home" / "run" / "scheduler.addr").read_text())
        self._url = f"http://{addresses['http']}"
        self._token = cluster.text("packhorse", "token").strip()

    def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
        data = None if body is None else json.dumps(body).encode()
        headers = {"X-SLURM-USER-TOKEN": self._token, "Content-Type": "application/json"}
        request = urllib.request.Request(self._url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


def test_a_job_from_its_submission_to_its_accounting(cluster: Cluster) -> None:
    api = Api(cluster)
    status, answer = api(
        "POST",
        "/slurm/v0.0.42/job/submit",
        {
            "script": SCRIPT,
            "job": {
                "name": "greets",
                "argv": ["greet.sh", "you"],
                "environment": ["PATH=/usr/bin:/bin", "COLOUR=blue"],
                "current_working_directory": str(cluster.work),
                "standard_output": "out-%j.txt",
                "time_limit": {"set": True, "number": 5},
                "tasks": 1,
            },
        },
    )
    assert status == 200 and answer["errors"] == [], answer
    job = answer["job_id"]
    result = cluster.wait(job)
    assert result.state == "COMPLETED"
    assert (cluster.work / f"out-{job}.txt").read_text() == "hello you from greets, blue\n"
    status, answer = api("GET", f"/slurm/v0.0.42/job/{job}")
    assert answer["jobs"][0]["job_state"] == ["COMPLETED"]
    assert answer["jobs"][0]["standard_output"] == f"{cluster.work}/out-{job}.txt"
    shown = json.loads(cluster.text("scontrol", "show", "job", str(job), "--json"))["jobs"][0]
    assert {**shown, "cluster": answer["jobs"][0]["cluster"]} == answer["jobs"][0], (
        "the command says the same"
    )
    status, answer = api("GET", f"/slurmdb/v0.0.42/job/{job}")
    assert [step["step"]["name"] for step in answer["jobs"][0]["steps"]] == ["batch"]
    listed = json.loads(cluster.text("sacct", "--json", "-j", str(job)))["jobs"]
    assert listed == answer["jobs"]


def test_a_running_job_is_seen_on_its_node_and_ended(cluster: Cluster) -> None:
    api = Api(cluster)
    job = cluster.sbatch("-w", "node2", "-c", "3", "--wrap", "sleep 600")
    cluster.wait_state(job, "RUNNING")
    _, answer = api("GET", "/slurm/v0.0.42/node/node2")
    assert answer["nodes"][0]["alloc_cpus"] == 3 and answer["nodes"][0]["state"] == ["MIXED"]
    _, answer = api("GET", "/slurm/v0.0.42/jobs/")
    [seen] = [item for item in answer["jobs"] if item["job_id"] == job]
    assert seen["job_resources"]["nodes"]["list"] == "node2"
    assert api("DELETE", f"/slurm/v0.0.42/job/{job}")[0] == 200
    assert cluster.wait(job).state == "CANCELLED"
    _, answer = api("GET", "/slurm/v0.0.42/diag")
    statistics = answer["statistics"]
    assert statistics["jobs_submitted"] >= 1 and statistics["jobs_canceled"] == 1
    assert {"CancelJobs", "SubmitJob"} <= {
        item["message_type"] for item in statistics["rpcs_by_message_type"]
    }
    status, answer = api("DELETE", "/slurm/v0.0.42/job/4711")
    assert (status, answer["errors"][0]["error_number"]) == (404, 2017)


def test_a_node_is_drained_from_afar(cluster: Cluster) -> None:
    api = Api(cluster)
    assert api("POST", "/slurm/v0.0.42/node/node1", {"state": ["DRAIN"], "reason": "fan"})[0] == 200
    wait_until(lambda: "drain" in cluster.text("sinfo", "-hn", "node1", "-o", "%t"), "node1 to drain")
    assert api("POST", "/slurm/v0.0.42/node/node1", {"state": ["RESUME"]})[0] == 200
    wait_until(lambda: "idle" in cluster.text("sinfo", "-hn", "node1", "-o", "%t"), "node1 to be back")
