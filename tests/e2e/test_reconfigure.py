"""The configuration of a running cluster read again: by commands and by a signal, whole or not at all."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator

import pytest

from tests.cluster import FAST, Cluster, wait_until

SHORT = '[[partition]]\nname = "main"\n[[partition]]\nname = "short"\n'


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster(nodes=1, cpus=2, config=SHORT) as found:
        yield found


def config_of(cluster: Cluster, key: str) -> str:
    lines = cluster.text("scontrol", "show", "config").splitlines()
    [line] = [line for line in lines if line.startswith(f"{key} ")]
    return line.partition("=")[2].strip()


def test_a_running_cluster_takes_another_configuration_on(cluster: Cluster) -> None:
    runs = cluster.sbatch("-p", "short", "--wrap", "sleep 600")
    cluster.wait_state(runs, "RUNNING")
    waits = cluster.sbatch("-p", "short", "-c", "2", "--wrap", "true")
    file = cluster.home.config
    file.write_text(FAST.replace("kill_wait = 2", "kill_wait = 1") + '[scheduling]\norder = "sjf"\n')
    told = cluster.text("packhorse", "reconfigure", "--dry-run").splitlines()
    assert told == [
        "jobs.kill_wait: 2 -> 1",
        "scheduling.order: priority -> sjf",
        'partition.short: there -> ""',
        "3 would take effect at once, 0 at the next start of the scheduler; nothing was done",
    ]
    assert config_of(cluster, "KillWait") == "2 sec"
    assert cluster.text("scontrol", "reconfigure").splitlines() == told[:3]
    assert config_of(cluster, "KillWait") == "1 sec"
    assert config_of(cluster, "packhorse.scheduling.order") == "sjf"
    assert "short" not in cluster.text("sinfo", "-h", "-o", "%R").split()
    assert cluster.state(runs) == "RUNNING"
    wait_until(lambda: cluster.result(waits).reason == "PartitionConfig", "the reason")
    cluster.run("scontrol", "update", f"JobId={waits}", "Partition=main")
    cluster.run("scancel", str(runs))
    assert cluster.wait(waits).state == "COMPLETED"
    nothing = cluster.text("packhorse", "reconfigure").splitlines()
    assert nothing == ["the configuration file says what is in force"]


def test_a_file_with_mistakes_changes_nothing(cluster: Cluster) -> None:
    file = cluster.home.config
    file.write_text("[jobs]\nkill_wait = 7\nkill_weight = 3\n[scheduling]\norder = 'nosuch'\n")
    code, text = cluster.refused("packhorse", "reconfigure")
    assert code == 1 and len(text.splitlines()) == 2
    assert text.startswith(f"packhorse reconfigure: {file}:3: kill_weight is not a key of [jobs]")
    code, text = cluster.refused("scontrol", "reconfigure")
    assert text.splitlines()[-1] == "slurm_reconfigure error: Invalid configuration"
    assert config_of(cluster, "KillWait") == "2 sec"
    # A restart is what a wrong file would make impossible; until then all goes on.
    assert cluster.wait(cluster.sbatch("--wrap", "true")).state == "COMPLETED"
    file.write_text(FAST)


def test_sighup_reads_it_again(cluster: Cluster) -> None:
    cluster.home.config.write_text(FAST.replace("kill_wait = 2", "kill_wait = 9") + SHORT)
    os.kill(cluster.scheduler(), signal.SIGHUP)
    wait_until(lambda: config_of(cluster, "KillWait") == "9 sec", "the new value")
    log = (cluster.home.log / "scheduler.log").read_text()
    [line] = [line for line in log.splitlines() if '"config.taken_on"' in line]
    assert json.loads(line)["changes"] == ["jobs.kill_wait: 2 -> 9"]
    cluster.home.config.write_text("[jobs]\nkill_wait = true\n")
    os.kill(cluster.scheduler(), signal.SIGHUP)
    wait_until(lambda: '"config.mistaken"' in (cluster.home.log / "scheduler.log").read_text(), "the mistake")
    assert config_of(cluster, "KillWait") == "9 sec"
    cluster.home.config.write_text(FAST + SHORT)


def test_what_needs_a_restart_is_said_and_not_taken_on(cluster: Cluster) -> None:
    cluster.home.config.write_text(FAST + SHORT + "[store]\nretention_days = 7\n")
    told = cluster.text("packhorse", "reconfigure").splitlines()
    assert told == [
        "store.retention_days: 365 -> 7 (at the next start of the scheduler)",
        "0 took effect, 1 will at the next start of the scheduler",
    ]
    answer = json.loads(cluster.text("packhorse", "reconfigure", "--json"))
    assert answer["changes"][0]["restart"] is True and answer["applied"] is True
