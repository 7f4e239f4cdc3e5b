"""Suggestions: the stated formula, never below what a successful run used, limits that were too small."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from packhorse.scheduler.core.suggest import LAST, Advice, PastRun, Present, past_run, suggest
from packhorse.scheduler.model.ids import US
from packhorse.scheduler.model.resources import Usage
from tests.store.samples import row

ASK = Present(mem_mib=65_536, limit_s=86_400, n_cpus=8, n_gpus=2)


def a_run(job: int, **what: object) -> PastRun:
    """A run that ended well after 100 s with 1000 MiB, of which everything was measured."""
    given: dict[str, object] = {
        "job": job, "state": "COMPLETED", "mem_mib": 1000, "mem_limit_mib": 65_536, "wall_s": 100,
        "limit_s": 86_400, "cpu_milli": 900, "gpu_busy_milli": 1500, **what,
    }  # fmt: skip
    return PastRun(**given)  # type: ignore[arg-type]


def memory(runs: list[PastRun]) -> Advice:
    found = suggest(runs, ASK).mem
    assert found is not None
    return found


def test_fifty_runs_of_at_most_9_8_gib() -> None:
    found = memory([a_run(i, mem_mib=9_900 + i % 2 * 135) for i in range(50)])
    assert found == Advice(65_536, 11 * 1024, 50, 50, 0, 9_900, 10_035, 980)
    assert found.sure


def test_nine_runs_are_enough_and_eight_are_not() -> None:
    assert memory([a_run(i) for i in range(9)]).chance_milli == 900
    assert memory([a_run(i) for i in range(9)]).sure
    assert not memory([a_run(i) for i in range(8)]).sure


def test_runs_that_differ_get_a_larger_margin() -> None:
    alike = memory([a_run(i, mem_mib=8_000) for i in range(20)])
    unlike = memory([a_run(i, mem_mib=8_000 - 300 * i) for i in range(20)])
    assert alike.suggested == 9_216  # 8000 + 10 %, in steps of 512
    assert unlike.suggested == 11_264  # 8000 + 3000 between the quartiles
    assert (unlike.median, unlike.most) == (5_000, 8_000)


def test_out_of_memory_means_more_than_the_limit() -> None:
    killed = a_run(99, state="OUT_OF_MEMORY", mem_mib=4_000, mem_limit_mib=4_000)
    found = memory([*[a_run(i) for i in range(19)], killed])
    assert found.suggested == 6_144
    assert (found.n_runs, found.n_fit, found.n_beyond, found.chance_milli) == (20, 19, 1, 904)
    again = a_run(99, mem_mib=5_500)
    found = memory([*[a_run(i) for i in range(19)], killed, again])
    assert (found.suggested, found.n_runs, found.n_beyond, found.most) == (6_144, 20, 0, 5_500)


def test_a_job_that_grew_and_grew_in_vain_counts_once() -> None:
    tries = [a_run(99, state="OUT_OF_MEMORY", mem_limit_mib=limit) for limit in (1_000, 2_000, 4_000)]
    found = memory([*[a_run(i) for i in range(19)], *tries])
    assert (found.suggested, found.n_runs, found.n_beyond) == (6_144, 20, 1)


def test_nothing_but_failures_says_only_that_it_was_too_little() -> None:
    found = memory([a_run(1, state="OUT_OF_MEMORY", mem_limit_mib=1_000)])
    assert (found.suggested, found.n_fit, found.chance_milli) == (1_536, 0, 0)


def test_a_time_limit_that_was_too_short() -> None:
    runs = [a_run(i, wall_s=3_000) for i in range(9)]
    time = suggest(runs, ASK).time
    assert time is not None
    assert time.suggested == 4_500
    time = suggest([*runs, a_run(50, state="TIMEOUT", wall_s=7_200, limit_s=7_200)], ASK).time
    assert time is not None
    assert (time.suggested, time.n_fit, time.n_beyond) == (10_800, 9, 1)


def test_what_is_enough_is_not_rounded_up() -> None:
    """Nor does the least margin of a time limit make ten minutes fifteen."""
    runs = [a_run(i, mem_mib=1_000, wall_s=8) for i in range(20)]
    found = suggest(runs, Present(mem_mib=1_100, limit_s=600))
    assert found.mem is not None
    assert found.time is not None
    assert (found.mem.suggested, found.time.suggested) == (1_100, 600)
    short = suggest(runs, Present(mem_mib=1_099, limit_s=11))
    assert short.mem is not None
    assert short.time is not None
    assert (short.mem.suggested, short.time.suggested) == (1_536, 900)


def test_runs_that_failed_say_nothing() -> None:
    assert suggest([a_run(1, state="FAILED"), a_run(2, state="CANCELLED")], ASK).n_runs == 0


def test_cpus_and_gpus() -> None:
    found = suggest([a_run(i, cpu_milli=1_900, gpu_busy_milli=10) for i in range(9)], ASK)
    assert found.cpus is not None
    assert (found.cpus.present, found.cpus.suggested) == (8, 3)
    assert found.gpus is not None
    assert (found.gpus.present, found.gpus.suggested, found.gpus.n_fit) == (2, 0, 9)
    busy = suggest([a_run(i, cpu_milli=8_100, gpu_busy_milli=1_990) for i in range(9)], ASK)
    assert busy.cpus is not None
    assert (busy.cpus.suggested, busy.cpus.n_fit) == (8, 9)
    assert busy.gpus is not None
    assert busy.gpus.suggested == 2


def test_what_was_not_measured_is_not_known() -> None:
    found = suggest([a_run(1, mem_mib=0, cpu_milli=0, gpu_busy_milli=-1)], ASK)
    assert (found.n_runs, found.mem, found.cpus, found.gpus) == (1, None, None, None)
    assert suggest([a_run(1)], Present()).gpus is None


def test_a_row_of_accounting_as_a_run() -> None:
    """Of two nodes the first: half the memory, half the GPUs."""
    usage = Usage(90 * US, 10 * US, 2 << 20, gpu_ms=100_000, gpu_busy_ms=25_000)
    found = past_run(
        row(7, n_nodes=2, mem_mib=8192, gpu_milli=4000, started_at=US, ended_at=101 * US, usage=usage)
    )
    assert found == PastRun(7, "COMPLETED", 2048, 4096, 100, 60, 1000, 500)


runs_st = st.lists(
    st.builds(
        a_run,
        st.integers(1, 30),
        state=st.sampled_from(["COMPLETED", "COMPLETED", "OUT_OF_MEMORY", "TIMEOUT", "FAILED"]),
        mem_mib=st.integers(0, 1 << 20),
        mem_limit_mib=st.integers(0, 1 << 20),
        wall_s=st.integers(0, 1 << 20),
        limit_s=st.integers(0, 1 << 20),
        cpu_milli=st.integers(0, 99_000),
    ),
    max_size=LAST,
)


@given(runs_st)
def test_never_below_what_a_successful_run_used_nor_sure_of_what_was_not_seen(runs: list[PastRun]) -> None:
    found = suggest(runs, ASK)
    well = [run for run in runs if run.state == "COMPLETED"]
    for advice, used in (
        (found.mem, [run.mem_mib for run in well if run.mem_mib]),
        (found.time, [run.wall_s for run in well if run.wall_s]),
    ):
        if advice is None:
            assert not used
            continue
        assert advice.suggested * 10 >= max(used, default=0) * 11
        assert advice.n_fit == len(used)
        assert advice.n_fit + advice.n_beyond == advice.n_runs
        assert advice.chance_milli < 1000
    done = {run.job for run in well}
    for run in runs:
        if run.state == "OUT_OF_MEMORY" and run.job not in done and run.mem_limit_mib:
            assert found.mem is not None
            assert found.mem.suggested > run.mem_limit_mib


def test_the_stated_chance_holds() -> None:
    """Draws from a heavy tail: of 4000 next runs at least the stated part fits."""
    chance = random.Random(7)
    fitted = stated = 0
    for _ in range(4000):
        needs = [max(1, round(1000 * chance.paretovariate(1.5))) for _ in range(20)]
        found = memory([a_run(i, mem_mib=mib) for i, mib in enumerate(needs[:19])])
        stated += found.chance_milli
        fitted += needs[19] <= found.suggested
    assert fitted / 4000 >= stated / 4000 / 1000
