"""No room for the store: new work is refused with that reason, running work goes on, and it heals itself."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import Cluster, wait_until
from tests.faults.agent_probe import Probe

pytestmark = pytest.mark.needs_root

WAITS = "until test -e {flag}; do sleep 0.02; done; echo done; exit 3"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MiB of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64m,mode=755", "packhorse-test", str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(disk: Path, leave: int) -> Path:
    """Takes all room but `leave` bytes; the file that does."""
    path = disk / f"filler-{len(list(disk.iterdir()))}"
    with path.open("wb") as file:
        free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
        if free > leave:
            os.posix_fallocate(file.fileno(), 0, free - leave)
    return path


def fill_up(disk: Path) -> Path:
    """Takes all room, while others may write; the file that does."""
    path = disk / "filler"
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return path


def test_below_the_reserve_new_work_is_refused_and_running_work_ends(disk: Path) -> None:
    config = f'[store]\npath = "{disk / "store" / "packhorse.db"}"\nreserve_mib = 16\n'
    with Cluster(nodes=1, config=config) as cluster:
        flag = cluster.work / "go"
        running = cluster.sbatch("--wrap", WAITS.format(flag=flag))
        waiting = cluster.sbatch("-d", f"afterany:{running}", "--wrap", "exit 4")
        cluster.wait_state(running, "RUNNING")
        scheduler = cluster.scheduler()
        filler = fill(disk, leave=8 << 20)
        for words in (["--wrap", "true"], ["--array=1-3", "--wrap", "true"]):
            code, said = cluster.refused("sbatch", *words)
            assert code == 1 and "MiB free" in said and str(disk) in said, said
        flag.touch()
        assert cluster.wait(running).exit_code == 3
        assert cluster.wait(waiting).exit_code == 4
        assert len(cluster.jobs()) == 2
        cluster.run("scontrol", "show", "job", str(running))
        filler.unlink()
        wait_until(lambda: cluster.run("sbatch", "--wrap", "true", check=False).returncode == 0, "room again")
        assert cluster.scheduler() == scheduler


def test_a_full_disk_stops_new_work_only(disk: Path) -> None:
    config = f'[store]\npath = "{disk / "store" / "packhorse.db"}"\nreserve_mib = 1\n'
    with Cluster(nodes=1, config=config) as cluster:
        flag = cluster.work / "go"
        jobs = [cluster.sbatch("--wrap", WAITS.format(flag=flag)) for _ in range(3)]
        for job in jobs:
            cluster.wait_state(job, "RUNNING")
        scheduler = cluster.scheduler()
        # The store gives up its ballast when there is no room: what fills the disk takes that as well.
        fillers = [fill(disk, leave=0)]

        def refused() -> bool:
            fillers.append(fill(disk, leave=0))
            done = cluster.run("sbatch", "--wrap", "true", check=False, within_s=120)
            return done.returncode == 1 and "store" in done.stderr

        wait_until(refused, "a submission to be refused", within_s=120)
        flag.touch()
        wait_until(lambda: all(cluster.output(job) == "done\n" for job in jobs), "running work to go on")
        for filler in fillers:
            filler.unlink()
        wait_until(lambda: cluster.run("squeue", check=False).returncode == 0, "the store to be back", 60)
        for job in jobs:
            result = cluster.wait(job, within_s=60)
            assert (result.state, result.exit_code) == ("FAILED", 3)
        after = cluster.sbatch("--wrap", "exit 5")
        assert cluster.wait(after).exit_code == 5
        assert cluster.scheduler() == scheduler, "it was to recover without a restart"
        assert after > max(jobs)


def test_an_agent_whose_spool_is_full_goes_on_and_takes_work_when_there_is_room(disk: Path) -> None:
    with Cluster(nodes=1) as cluster:
        node = cluster.names[0]
        cluster.run("packhorse", "down")
        spool = cluster.home.node(node)
        shutil.move(spool, disk / "spool")
        spool.symlink_to(disk / "spool")
        cluster.up()
        flag = cluster.work / "go"
        running = cluster.sbatch("--wrap", WAITS.format(flag=flag))
        cluster.wait_state(running, "RUNNING")
        agent = cluster.agent()
        contact = spool / "contact"
        with Probe(cluster) as probe:
            filler = fill_up(disk)
            before = contact.read_text()
            wait_until(lambda: contact.read_text() != before, "contact to be noted on the full disk")
            refused = cluster.sbatch("--wrap", "exit 4")
            wait_until(
                lambda: "cannot write down" in cluster.run("scontrol", "show", "node").stdout, "the reason"
            )
            flag.touch()
            assert cluster.wait(running).exit_code == 3
        probe.check(within_s=5.0)
        filler.unlink()
        assert cluster.wait(refused, within_s=60).exit_code == 4
        assert cluster.agent() == agent, "it was to go on without a restart"
