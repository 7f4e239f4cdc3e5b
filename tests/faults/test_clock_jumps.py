"""Somebody sets the clock by a day and back, as jobs run: none ends, none starts twice, and runs are as long
as they were.

The daemons get a wall clock that the test sets (set_clock.c): the machine's own, and every clock that counts
from its boot, are left alone.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
import time
from pathlib import Path

import pytest

from tests.cluster import Cluster, kill, wait_until

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")

DAY_S = 86_400


class Clock:
    """The wall clock of the processes that have `variables` in their environment."""

    def __init__(self, place: Path) -> None:
        self._file = place / "ahead"
        library = place / "set_clock.so"
        source = Path(__file__).with_name("set_clock.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
        self._file.write_bytes(struct.pack("=q", 0))
        self.variables = {"LD_PRELOAD": str(library), "SET_CLOCK_FILE": str(self._file)}

    def set_ahead(self, seconds: int) -> None:
        with self._file.open("r+b") as file:
            file.write(struct.pack("=q", seconds))


def connected(cluster: Cluster) -> bool:
    return all(node["state"] != "DOWN" for node in cluster.call("GetStatus")["nodes"])


def ran_s(cluster: Cluster, job: int) -> float:
    row = cluster.job(job)
    return (int(row["end_at"]) - int(row["start_at"])) / 1e6


@pytest.mark.parametrize("whose", ["everybody's", pytest.param("the agents'", marks=pytest.mark.slow)])
def test_the_clock_is_set_by_a_day(tmp_path: Path, whose: str) -> None:
    tmp_path.chmod(0o755)
    clock = Clock(tmp_path)
    config = '[[partition]]\nname = "main"\ndefault = true\nlease = 60\n'
    everybodys = whose == "everybody's"
    with Cluster(nodes=2, config=config, variables=clock.variables if everybodys else None) as cluster:
        if not everybodys:
            for node in cluster.names:
                kill(cluster.agent(node))
            cluster.up(clock.variables)
        waits = "echo run >> {0}; until test -e go; do sleep 0.05; done; exit {1}"
        began = time.monotonic()
        jobs = {
            code: cluster.sbatch("-w", f"node{1 + code % 2}", "-t", "30", "--wrap", waits.format(code, code))
            for code in (2, 3)
        }
        limited = cluster.sbatch("-t", "0:12", "-w", "node1", "--wrap", "exec sleep 600")
        for job in (*jobs.values(), limited):
            cluster.wait_state(job, "RUNNING")
        limited_began = time.monotonic()
        for n, ahead in enumerate((DAY_S, -DAY_S, 0)):
            clock.set_ahead(ahead)
            until = time.monotonic() + 4.5  # more than the heartbeats that may be missed
            while time.monotonic() < until:
                assert {cluster.state(job) for job in jobs.values()} == {"RUNNING"}
                time.sleep(0.1)
            assert connected(cluster)
            assert cluster.wait(cluster.sbatch("-w", "node2", "--wrap", f"exit {10 + n}")).exit_code == 10 + n
            if ahead < 0:  # a new agent finds them by the clock that counts from the boot
                kill(cluster.agent("node1"))
                cluster.up(clock.variables)
        assert cluster.wait(limited).state == "TIMEOUT"
        assert time.monotonic() - limited_began >= 10
        assert 10 <= ran_s(cluster, limited) <= 40
        (cluster.work / "go").touch()
        for code, job in jobs.items():
            assert cluster.wait(job).exit_code == code
            # The scheduler's clock runs a tenth faster or slower until it agrees with the machine's.
            assert 0.85 * 13.5 <= ran_s(cluster, job) <= 1.15 * (time.monotonic() - began) + 1
            assert (cluster.work / str(code)).read_text() == "run\n"
            assert int(cluster.job(job)["restarts"]) == 0
        for row in cluster.jobs():
            assert 0 < int(row["submit_at"]) <= int(row["start_at"]) <= int(row["end_at"])


@pytest.mark.parametrize("off_s", [-DAY_S, pytest.param(DAY_S, marks=pytest.mark.slow)])
def test_a_nodes_clock_is_wrong_from_the_start(tmp_path: Path, off_s: int) -> None:
    tmp_path.chmod(0o755)
    clock = Clock(tmp_path)
    clock.set_ahead(off_s)
    with Cluster(nodes=1) as cluster:
        kill(cluster.agent())
        cluster.up(clock.variables)
        job = cluster.sbatch("-t", "5", "--wrap", "sleep 2; exit 3")
        assert cluster.wait(job).exit_code == 3
        assert 1.9 <= ran_s(cluster, job) <= 10
        assert abs(int(cluster.job(job)["start_at"]) / 1e6 - time.time()) < 60
        wait_until(lambda: connected(cluster), "the node to be connected")
