"""What jobs really use, from the agents' measurements to what people are told and to the next job's ask."""

from __future__ import annotations

import csv
import io
import json

import pytest

from tests.cluster import Cluster

FILL = "python3 -c 'import time; x = b\"x\" * ({mib} << 20); time.sleep(0.2)'"
N = 10


def test_from_measured_runs_to_a_smaller_ask(cluster: Cluster) -> None:
    """Ten jobs that use some 100 of 4096 MiB: they are in the report, and the eleventh asks for less."""
    program = cluster.script("greedy.sh", FILL.format(mib=100))
    asks = ("--mem=4G", "--time=60", "-c", "2")
    for ended in cluster.wait_all([cluster.sbatch(*asks, program) for _ in range(N)]):
        assert ended["state"] == "COMPLETED"
    report = cluster.text("packhorse", "waste", "--by", "job-name")
    assert "of everybody" in report and '"greedy.sh" of ' in report, report
    waste = json.loads(cluster.text("packhorse", "waste", "--by", "job-name", "--json"))
    [row] = [found for found in waste["rows"] if found["key"] == "greedy.sh"]
    assert (row["nRuns"], row["nMemMeasured"]) == (N, N)
    assert row["memWasted"] > 0.9 * row["memGiven"]
    table = list(csv.DictReader(io.StringIO(cluster.text("packhorse", "waste", "--csv", "--by", "job-name"))))
    assert {found["job_name"] for found in table} >= {"greedy.sh", "TOTAL"}

    suggested = json.loads(cluster.text("packhorse", "suggest", "--name", "greedy.sh", "--json"))
    [memory] = [one for one in suggested["advice"] if one["resource"] == "mem"]
    assert (memory["present"], memory["nFit"], memory["sure"]) == (4096, N, True)
    assert 110 <= memory["suggested"] <= 256

    done = cluster.run("sbatch", *asks, "--right-size", program)
    assert f"sbatch: --mem 4G -> {memory['suggested']}M: {N} past runs used at most" in done.stderr
    job = int(done.stdout.split()[-1])
    shown = cluster.text("scontrol", "show", "job", str(job))
    assert f"MinMemoryNode={memory['suggested']}M" in shown and "PackhorseRightSize=--mem 4G ->" in shown
    assert "PackhorseOomRetry=2x,max=16,tried=0" in shown
    assert cluster.wait(job).state == "COMPLETED", "what it was given is enough"


def test_too_little_is_known_of_a_new_job(cluster: Cluster) -> None:
    done = cluster.run("sbatch", "--mem=1G", "--right-size", "-J", "brand-new", "--wrap", "true")
    assert "sbatch: --mem is left at 1G: no past run of this job was measured" in done.stderr
    job = int(done.stdout.split()[-1])
    assert cluster.wait(job).state == "COMPLETED"
    told = cluster.text("packhorse", "suggest", str(job))
    assert told.startswith('"brand-new" of ') and "nothing that is sure enough to be changed" in told


def test_after_running_out_of_memory_it_runs_with_more(cluster: Cluster) -> None:
    nodes = json.loads(cluster.text("scontrol", "show", "node", "--json"))["nodes"]
    if not all("memory" in node.get("packhorse_isolation", "") for node in nodes):
        pytest.skip("no node limits memory here: nobody is told that a job ran out of it")
    program = cluster.script("grows.sh", FILL.format(mib=300))
    job = cluster.sbatch("--mem=100M", "--oom-retry=2x", program)
    bounded = cluster.sbatch("--mem=100M", "--oom-retry=2x,max=1", program)
    assert cluster.wait(job).state == "COMPLETED"
    rows = cluster.text("sacct", "-D", "-X", "-n", "-P", "-o", "State,ReqMem,Reason", "-j", str(job)).split()
    assert rows == ["OUT_OF_MEMORY|100M|OutOfMemory", "OUT_OF_MEMORY|200M|OutOfMemory", "COMPLETED|400M|None"]
    shown = cluster.text("scontrol", "show", "job", str(job))
    assert "MinMemoryNode=400M" in shown and "PackhorseOomRetry=2x,max=16,tried=2" in shown
    end = cluster.wait(bounded)
    assert end.state == "OUT_OF_MEMORY"
    assert end.why.endswith("not tried again with more memory: it has had 1 further run (max = 1)")
