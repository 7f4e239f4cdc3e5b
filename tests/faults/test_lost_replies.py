"""A reply that never arrives: the call is repeated, and there is one job."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from packhorse.client import Client
from tests.cluster import Cluster
from tests.faults.proxy import LossyProxy


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(nodes=1) as running:
        yield running


@pytest.mark.parametrize("losses", [1, 2])
def test_sbatch_at_the_local_socket(cluster: Cluster, losses: int) -> None:
    other = cluster.root / f"other-home-{losses}" / "run"
    other.mkdir(parents=True)
    with LossyProxy(cluster.home.socket, other / "scheduler.sock", losses) as proxy:
        before = len(cluster.jobs())
        variables = {"PACKHORSE_HOME": str(other.parent)}
        job = cluster.sbatch("--wrap", "exit 3", variables=variables)
        assert proxy.lost == losses
    assert len(cluster.jobs()) == before + 1
    assert cluster.wait(job).exit_code == 3


def test_sbatch_over_http(cluster: Cluster) -> None:
    with LossyProxy(_door(cluster, "http")) as proxy:
        before = len(cluster.jobs())
        variables = {
            "PACKHORSE_SERVER": f"http://{proxy.address}",
            "PACKHORSE_TOKEN": cluster.text("packhorse", "token").strip(),
        }
        job = cluster.sbatch("--wrap", "exit 4", variables=variables)
        assert proxy.lost == 1
    assert len(cluster.jobs()) == before + 1
    assert cluster.wait(job).exit_code == 4


def test_the_python_client_over_grpc(cluster: Cluster) -> None:
    token = cluster.call("IssueToken")["token"]
    with LossyProxy(_door(cluster, "grpc")) as proxy, Client(server=proxy.address, token=token) as client:
        before = len(cluster.jobs())
        job = client.submit("exit 5", work_dir=cluster.work)
        assert proxy.lost == 1
        assert len(cluster.jobs()) == before + 1
        assert job.wait(timeout_s=30).exit_code == 5


def test_an_array_and_a_cancel_are_repeated_as_well(cluster: Cluster) -> None:
    other = cluster.root / "third-home" / "run"
    other.mkdir(parents=True)
    variables = {"PACKHORSE_HOME": str(other.parent)}
    before = len(cluster.jobs())
    with LossyProxy(cluster.home.socket, other / "scheduler.sock"):
        array = cluster.sbatch("--hold", "--array=1-5", "--wrap", "true", variables=variables)
    assert len(cluster.jobs()) == before + 1
    (other / "scheduler.sock").unlink()
    with LossyProxy(cluster.home.socket, other / "scheduler.sock") as proxy:
        done = cluster.run("scancel", str(array), variables=variables)
        assert (proxy.lost, done.stdout, done.stderr) == (1, "", "")
    assert cluster.wait_all([array])[0]["state"] == "CANCELLED"


def _door(cluster: Cluster, name: str) -> tuple[str, int]:
    host, port = json.loads((cluster.home.run / "scheduler.addr").read_text())[name].split(":")
    return host, int(port)
