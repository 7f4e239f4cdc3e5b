"""Fair share with real processes: who used less goes first, and every command says the same number."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster import Cluster, wait_until

CONFIG = """
[scheduling]
order = "multifactor"

[priority]
weight_fairshare = 10000
weight_age = 100
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(nodes=1, cpus=4, config=CONFIG) as cluster:
        for name in ("chem", "law"):
            cluster.run("sacctmgr", "-i", "add", "account", name)
            cluster.run("sacctmgr", "-i", "add", "user", cluster.env["USER"], f"account={name}")
        yield cluster


def test_the_account_that_used_less_goes_first(cluster: Cluster) -> None:
    first = cluster.sbatch("-A", "law", "-c", "4", "--wrap", "sleep 60")
    wait_until(lambda: cluster.text("squeue", "-h", "-j", str(first), "-o", "%t").strip() == "R", "a start")
    rich = cluster.sbatch("-A", "law", "-c", "4", "--wrap", "true")
    poor = cluster.sbatch("-A", "chem", "-c", "4", "--wrap", "true")
    rows = [line.split() for line in cluster.text("sprio", "-h", "-o", "%i %Y %F").splitlines()]
    fair = {int(job): int(term) for job, _, term in rows}
    assert fair == {rich: 5000, poor: 10_000}
    assert cluster.text("sprio", "-h", "-S", "-Y", "-o", "%i").split() == [str(poor), str(rich)]
    shown = cluster.text("squeue", "-h", "-j", str(poor), "-o", "%Q").strip()
    assert 10_000 <= int(shown) <= 10_100
    assert f"Priority={shown[:2]}" in cluster.text("scontrol", "show", "job", str(poor))
    sentence = cluster.text("packhorse", "compare", str(rich), str(poor))
    assert sentence.startswith(f"job {poor} is ahead of job {rich} by ")
    assert "account chem has 50 % of the shares and 0 % of the use, account law 50 % and 100 %" in sentence
    shares = dict(
        line.split("|")[:2]
        for line in cluster.text("sshare", "-anPU", "-o", "account,fairshare").splitlines()
    )
    assert shares == {"chem": "1.000000", "law": "0.500000"}
    cluster.run("scancel", str(first))
    ends = {job: cluster.wait(job) for job in (poor, rich)}
    assert {end.state for end in ends.values()} == {"COMPLETED"}
    starts = cluster.text("sacct", "-XnP", "-j", f"{rich},{poor}", "-o", "JobID,Start,Priority").splitlines()
    started = {int(line.split("|")[0]): line.split("|")[1] for line in starts}
    assert started[poor] <= started[rich]
