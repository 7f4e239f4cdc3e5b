"""`packhorse usage`: what it draws and prints of a series."""

from __future__ import annotations

from typing import Any

import pytest

from packhorse.cli.commands import usage
from packhorse.cli.main import main
from packhorse.cli.slurm import seff, sstat
from packhorse.cli.slurm.fields_accounting import Units
from packhorse.cli.slurm.table import Table
from tests.cli import session
from tests.cli.fake_scheduler import FakeScheduler, table

START_US = session.at("05:00:00")


def points(n: int, **columns: list[int]) -> dict[str, Any]:
    """A table of n points, ten seconds apart; one busy CPU and no GPU unless said otherwise."""
    rows = [
        {
            "at_us": START_US + 10_000_000 * i,
            "cpu_ms": 10_000 * i,
            "mem_kib": 1024 * (i + 1),
            "cache_kib": 0,
            "busy_milli": -1,
            "gpu_mem_mib": -1,
            "flops_milli": -1,
        }
        | {name: values[i] for name, values in columns.items()}
        for i in range(n)
    ]
    return table(rows, [], session.NOW_S)


def answered(scheduler: FakeScheduler, reply: dict[str, Any]) -> None:
    scheduler.on(
        "GetJobUsage", {"jobId": "12", "attempt": "2", "points": reply, "stepS": "10", "running": True}
    )
    rows = [
        {"attempt": number, "row_kind": "job", "mem_mib": 200, "n_nodes": 2, "alloc_cpus": 8}
        for number in (1, 2)
    ]
    scheduler.table("ListAccounting", rows, session.NOW_S)


def test_the_chart(scheduler: FakeScheduler, capsys: pytest.CaptureFixture[str]) -> None:
    answered(scheduler, points(100))
    assert main(["usage", "12"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "job 12, attempt 2 (running): 100 points over 16.5 min, each of 10 s or more"
    assert lines[2] == "memory: now 100M, most 100M, limit 100M"
    assert lines[3].startswith("      100M │") and lines[3].endswith("█")
    assert lines[8] == "           │" + "▁▁▂▃▃▄▅▅▆▇" + "█" * 62, "a ramp, from the first point on"
    assert lines[10].endswith(" 05:16:30") and " 05:00:00 " in lines[10]
    assert lines[12] == "CPUs busy: now 1.00, most 1.00, given 4.00"
    assert not any("GPU" in line for line in lines)
    assert all(len(line) <= 84 for line in lines)


def test_gpus_where_something_is_known(scheduler: FakeScheduler, capsys: pytest.CaptureFixture[str]) -> None:
    busy, flops = [-1] * 5 + [500] * 5, [-1] * 10
    answered(scheduler, points(10, busy_milli=busy, flops_milli=flops, gpu_mem_mib=[2048] * 10))
    assert main(["usage", "12"]) == 0
    out = capsys.readouterr().out
    assert "GPUs busy: now 50%, most 50%\n" in out
    assert "GPU memory: now 2.0G, most 2.0G\n" in out
    assert "FLOPS" not in out


def test_csv(scheduler: FakeScheduler, capsys: pytest.CaptureFixture[str]) -> None:
    answered(scheduler, points(2, busy_milli=[-1, 250], flops_milli=[-1, 300], gpu_mem_mib=[-1, 7]))
    assert main(["usage", "12", "--csv"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "time,cpu_s,memory_kib,cache_kib,gpu_busy,gpu_memory_mib,gpu_flops_share",
        "2026-11-23T05:00:00,0.000,1024,0,,,",
        "2026-11-23T05:00:10,10.000,2048,0,0.250,7,0.300",
    ]


def test_one_point_and_none(scheduler: FakeScheduler, capsys: pytest.CaptureFixture[str]) -> None:
    answered(scheduler, points(1))
    assert main(["usage", "12"]) == 0
    out = capsys.readouterr().out
    assert "(running): 1 point over 0 s" in out
    assert "CPUs busy: now unknown, most unknown, given 4.00" in out
    answered(scheduler, points(0))
    assert main(["usage", "12"]) == 1
    assert "nothing is kept of its use over time" in capsys.readouterr().out


def test_what_is_no_job(scheduler: FakeScheduler, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["usage", "x"]) == 1
    assert main(["usage", "12", "--attempt", "-1"]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert errors[0].startswith('packhorse usage: "x" is not a job')
    assert errors[1] == "packhorse usage: --attempt -1: attempts are counted from 1"


def test_a_gap_keeps_the_value_before() -> None:
    assert usage.spread([1.0, 5.0, 2.0], [0, 1, 10], 5) == [5.0, 5.0, 5.0, 5.0, 2.0]
    assert usage.spread([None, 3.0], [0, 10], 3) == [None, None, 3.0]


def test_an_empty_table() -> None:
    assert usage.csv(Table({"columns": []})).count("\n") == 1


def test_seff_adds_the_steps_of_a_job_up() -> None:
    """Slurm's script: CPU time of all steps, memory of the largest on all of its nodes."""
    nothing = dict.fromkeys(("gpu_ms", "gpu_busy_ms", "gpu_energy_mj", "gpu_gflop", "gpu_peak_gflop"), -1)
    row = nothing | {"gpu_max_mem_mib": -1, "system_cpu_us": 0}
    batch = row | {"user_cpu_us": 1_000_000, "max_rss_kib": 10 * 1024, "n_nodes": 1}
    first = row | {"user_cpu_us": 7_000_000, "max_rss_kib": 30 * 1024, "n_nodes": 2, "gpu_ms": 50}
    second = row | {"user_cpu_us": 2_000_000, "max_rss_kib": 40 * 1024, "n_nodes": 1, "gpu_ms": 70}
    job = {
        "job_id": 7, "array_job_id": 0, "array_task_id": -1, "cluster": "c", "user": "u", "group": "g",
        "state": "COMPLETED", "exit_code": 0, "start_at": 1_000_000, "end_at": 11_000_000, "alloc_cpus": 2,
        "n_nodes": 2, "mem_mib": 120, "alloc_tres": "cpu=2", "suspended_s": 0, "eligible_at": 1,
        "submit_at": 1,
    }  # fmt: skip
    units = Units(session.NOW_S * 1_000_000, "", True)
    whole = seff.combined([batch, first, second])
    assert whole is not None and whole["gpu_ms"] == 120 and whole["gpu_energy_mj"] == -1
    assert seff.report(job, whole, units).splitlines()[4:] == [
        "Nodes: 2",
        "Cores per node: 1",
        "CPU Utilized: 00:00:10",
        "CPU Efficiency: 50.00% of 00:00:20 core-walltime",
        "Job Wall-clock time: 00:00:10",
        "Memory Utilized: 60.00 MB (estimated maximum)",
        "Memory Efficiency: 50.00% of 120.00 MB (60.00 MB/node)",
    ]
    assert seff.combined([]) is None


def test_seff_and_sstat_of_what_was_not_measured() -> None:
    """A job of which nothing has come yet, and one without a memory limit."""
    job = {
        "job_id": 7, "array_job_id": 0, "array_task_id": -1, "cluster": "c", "user": "u", "group": "g",
        "state": "RUNNING", "end_at": 0, "start_at": 1, "alloc_cpus": 1, "n_nodes": 1, "mem_mib": 0,
        "alloc_tres": "cpu=1", "suspended_s": 0, "eligible_at": 1, "submit_at": 1,
    }  # fmt: skip
    step = {"user_cpu_us": 0, "system_cpu_us": 0, "max_rss_kib": -1}
    units = Units(session.NOW_S * 1_000_000, "", True)
    lines = seff.report(job, step, units).splitlines()
    assert "CPU Utilized: unknown" in lines and "Memory Utilized: unknown" in lines
    assert any(line.startswith("CPU Efficiency: unknown, out of ") for line in lines)
    assert "Memory Efficiency: unknown, it was given no memory limit" in lines
    lines = seff.report(job | {"mem_mib": 100}, step, units).splitlines()
    assert "Memory Efficiency: unknown, out of 100.00 MB (100.00 MB/node)" in lines
    assert sstat.STAT_FIELDS["AveCPU"][1](step, units) == ""
    assert sstat.STAT_FIELDS["AveCPU"][1](step | {"max_rss_kib": 900}, units) == "00:00:00"
