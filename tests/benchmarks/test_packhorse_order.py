"""The order "packhorse" in the simulator: one of the published windows, nobody starves, always the same."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest

from benchmarks import batch_policies, batch_tradeoff
from benchmarks.policies import DATA, bounded_slowdown
from packhorse.scheduler.model.cluster import Batch, ClusterConfig
from packhorse.scheduler.model.errors import PackhorseError
from packhorse.scheduler.model.event import Event
from packhorse.scheduler.model.ids import US
from packhorse.simulator.engine import Simulation
from packhorse.simulator.lab_policy import lab_policy
from packhorse.simulator.outcome import Outcome
from packhorse.simulator.traces import swf
from packhorse.simulator.traces.cluster_spec import cluster
from packhorse.simulator.traces.job import TraceJob
from packhorse.simulator.world import World


def a_run(policy: str, jobs: list[TraceJob], cpus: int, batch: Batch, log: list[Event]) -> Outcome:
    config = ClusterConfig(min_job_age_s=0, max_finished_kept=1000, batch=batch)
    run = Simulation(lab_policy(policy), cluster(str(cpus)), World(), config, seen=log.append)
    run.run(jobs)
    return run.outcome("")


def longest_s(outcome: Outcome) -> float:
    return float((outcome.start_us - np.array([job.submit_us for job in outcome.jobs])).max()) / US


def a_job(number: int, submit_s: int, run_s: int, limit_s: int, tasks: int, user: str) -> TraceJob:
    return TraceJob(
        id=str(number),
        submit_us=submit_s * US,
        run_us=run_s * US,
        limit_us=limit_s * US,
        tasks=tasks,
        user=user,
    )


def crowded(seed: int, n: int = 400) -> list[TraceJob]:
    """Far more work than 16 CPUs can do, of all sizes."""
    chance = Random(seed)
    jobs, at = [], 0
    for number in range(n):
        at += chance.choice([1, 5, 30])
        run_s = chance.choice([5, 20, 60, 400])
        tasks = chance.choice([1, 1, 1, 2, 4, 8, 15, 16])
        jobs.append(
            a_job(
                number,
                at,
                run_s,
                run_s * chance.choice([1, 2, 10]),
                tasks,
                chance.choice("abc"),
            )
        )
    return jobs


def test_first_window_of_the_published_ten() -> None:
    jobs = swf.rlscheduler_jobs(DATA / "lublin_256.swf.gz")
    start, n = swf.sequences(DATA / "rlscheduler_sequences.csv", "lublin_256")[0]
    found = a_run("packhorse", swf.window(jobs, start, n), 256, Batch(), [])
    assert bounded_slowdown(found) == pytest.approx(15.57, abs=0.005)
    assert longest_s(found) == 403_402


@pytest.mark.parametrize("seed", range(4))
def test_guard_orders_all_who_waited_too_long(seed: int) -> None:
    batch = Batch(ageing_s=500, guard=2.0)
    outcome = a_run("packhorse", crowded(seed), 16, batch, [])
    submit = np.array([job.submit_us for job in outcome.jobs]) / US
    start = outcome.start_us / US
    longest = max(job.limit_us for job in outcome.jobs) / US
    # Who is overdue is passed by nobody who came later, but for those who end before its planned start.
    for i, job in enumerate(outcome.jobs):
        if start[i] - submit[i] < 1000:
            continue
        later = (submit > submit[i]) & (start > submit[i] + 1000) & (start < start[i])
        work = sum(
            outcome.jobs[k].limit_us / US * outcome.jobs[k].tasks for k in np.flatnonzero(later).tolist()
        )
        assert work <= 16 * (longest + start[i] - submit[i] - 1000), job.id


def test_a_wide_job_in_a_stream_of_small_ones_starts_soon_after_its_ageing() -> None:
    jobs = [a_job(i, 5 * i, 60, 60, 1, "small") for i in range(4000)]
    jobs.append(a_job(4000, 100, 500, 500, 16, "wide"))
    jobs.sort(key=lambda job: (job.submit_us, int(job.id)))
    batch = Batch(ageing_s=1000)
    waits = {}
    for policy in ("sjf", "packhorse"):
        found = a_run(policy, jobs, 16, batch, [])
        wide = [job.id for job in found.jobs].index("4000")
        waits[policy] = int(found.start_us[wide]) / US - 100
    assert waits["packhorse"] <= 2 * 1000
    assert waits["sjf"] > 10_000


def test_same_input_same_events() -> None:
    logs: list[list[Event]] = [[], []]
    for log in logs:
        a_run("packhorse", crowded(9, 150), 16, Batch(ageing_s=500), log)
    assert logs[0] == logs[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--sets", "nonsense"), "nonsense: not one of ten, "),
        (("--policies", "packhorse=1x"), "packhorse=1x: not NAME, "),
        (("--policies", "nonsense"), "nonsense"),
        (("--sets", "atlas", "--logs", "nowhere"), "LLNL-Atlas-2006-2.1-cln.swf.gz: not in nowhere"),
    ],
)
def test_the_bench_names_what_is_missing(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        batch_policies.main(words)
    assert said in capsys.readouterr().err


def test_constants_on_the_command_line() -> None:
    assert batch_policies.setting("saf") == ("saf", Batch())
    assert batch_policies.setting("packhorse=380000") == ("packhorse", Batch(ageing_s=380_000))
    assert batch_policies.setting("packhorse=380000^16") == ("packhorse", Batch(ageing_s=380_000, power=16.0))
    for wrong in ("packhorse=", "packhorse=5d", "packhorse=1^", "packhorse=1^x"):
        with pytest.raises(PackhorseError, match="not NAME, NAME=SECONDS or NAME=SECONDS\\^POWER"):
            batch_policies.setting(wrong)


def test_the_trade_off_as_a_picture(repository: Path, tmp_path: Path) -> None:
    out = tmp_path / "curve.png"
    rows = repository / "benchmarks" / "results" / "2026-11-28-policies-batch.json"
    assert batch_tradeoff.main([str(rows), str(out)]) == 0
    assert out.read_bytes().startswith(b"\x89PNG")
