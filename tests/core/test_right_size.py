"""sbatch --right-size: what is changed, what is left, and what is said about it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from packhorse.scheduler.core.right_size import right_sized
from packhorse.scheduler.core.suggest import PastRun
from packhorse.scheduler.model.input import Caller
from packhorse.scheduler.model.job import JobSpec
from tests.core.scenario import USER, Cluster, a_cluster, a_config, a_spec
from tests.core.test_suggest import a_run

NET = "--oom-retry 2x: should it run out of memory after all, it runs again with twice as much"
FIFTY = [a_run(i, mem_mib=9_900 + i % 2 * 135, wall_s=3_000, cpu_milli=1_900) for i in range(50)]


def sized(
    cluster: Cluster, spec: JobSpec, runs: list[PastRun] = FIFTY, *, cpus: bool = False
) -> tuple[JobSpec, tuple[str, ...]]:
    new, notes = right_sized(cluster.state, Caller(USER), spec, runs, cluster.clock.now, cpus=cpus)
    if new != spec:
        assert cluster.submit(spec=new), "what was set must be accepted"
    return new, notes


def a_big_cluster(**config: object) -> Cluster:
    return a_cluster(mem_mib=65_536, config=a_config(**config))


def test_less_memory_and_time_with_the_reasons_and_a_net() -> None:
    new, notes = sized(a_big_cluster(), a_spec(cpus=8, mem_mib=65_536, time_limit_s=86_400))
    assert (new.ask.mem_mib_per_node, new.time_limit_s, new.ask.cpu_milli_per_task) == (11_264, 4_500, 8_000)
    assert new.oom_factor_milli == 2_000
    assert notes == (
        "--mem 64G -> 11G: 50 past runs used at most 9.8G",
        "--time 1-00:00:00 -> 01:15:00: 50 past runs took at most 00:50:00",
        NET,
    )
    assert new.right_sized == "; ".join(notes[:2])


def test_cpus_only_where_that_is_wanted() -> None:
    spec = a_spec(cpus=8, mem_mib=65_536, time_limit_s=86_400)
    new, notes = sized(a_big_cluster(), spec, cpus=True)
    assert new.ask.cpu_milli_per_task == 3_000
    assert notes[2] == "--cpus-per-task 8 -> 3: 50 past runs kept at most 1.9 CPUs busy on average"
    tasks, notes = sized(a_big_cluster(), a_spec(cpus=2, n_tasks=4, mem_mib=65_536), cpus=True)
    assert tasks.ask.cpu_milli_per_task == 2_000
    assert "has 4 tasks" in notes[2]


def test_too_few_runs_change_nothing_and_say_so() -> None:
    spec = a_spec(mem_mib=65_536, time_limit_s=86_400)
    new, notes = sized(a_big_cluster(), spec, FIFTY[:5])
    assert new is spec
    assert notes == (
        "--mem is left at 64G: only 5 past runs of this job were measured, 9 are needed",
        "--time is left at 1-00:00:00: only 5 past runs of this job were measured, 9 are needed",
    )
    assert (
        sized(a_big_cluster(), spec, [])[1][0] == "--mem is left at 64G: no past run of this job was measured"
    )


def test_runs_that_ran_out_make_it_unsure() -> None:
    killed = [a_run(100 + i, state="OUT_OF_MEMORY", mem_limit_mib=4_096) for i in range(3)]
    spec = a_spec(mem_mib=65_536)
    new, notes = sized(a_big_cluster(), spec, [*[a_run(i) for i in range(9)], *killed])
    assert new is spec
    assert notes[0] == (
        "--mem is left at 64G: 3 past runs of 12 needed more than they had, so the chance that the next one "
        "fits is only 69 %"
    )


def test_more_where_less_was_asked_for_than_was_used() -> None:
    new, notes = sized(a_big_cluster(), a_spec(mem_mib=4_096, time_limit_s=600))
    assert (new.ask.mem_mib_per_node, new.time_limit_s) == (11_264, 4_500)
    assert notes[0].startswith("--mem 4G -> 11G: 50 past runs used at most 9.8G")


def test_not_more_than_the_partition_gives() -> None:
    cluster = a_big_cluster(max_mem_mib_per_node=8_192, max_time_s=3_600)
    spec = a_spec(mem_mib=4_096, time_limit_s=600)
    new, notes = sized(cluster, spec)
    assert new is spec
    assert notes[0].startswith(
        '--mem 4G -> 11G was not possible: partition "main": 11264 MiB of memory asked'
    )
    assert "MaxTime" in notes[1]


def test_what_is_about_right_is_left() -> None:
    spec = a_spec(mem_mib=11_300, time_limit_s=4_600)
    new, notes = sized(a_big_cluster(), spec)
    assert new is spec
    assert notes == (
        "--mem is left at 11300M: 50 past runs used at most 9.8G",
        "--time is left at 01:16:40: 50 past runs took at most 00:50:00",
    )


def test_memory_per_cpu_stays_per_cpu() -> None:
    new, notes = sized(a_big_cluster(), a_spec(cpus=4, mem_mib_per_cpu=16_384))
    assert new.ask.mem_mib_per_cpu == 2_816
    assert notes[0].startswith("--mem-per-cpu 16G -> 2816M:")


@pytest.mark.parametrize("ask", [{"mem_all": True}, {"mem_mib": 0}])
def test_no_amount_is_no_amount(ask: dict[str, object]) -> None:
    _, notes = sized(a_big_cluster(), a_spec(**ask))  # type: ignore[arg-type]
    assert notes[0] == "memory is left as it is: the job names no amount of it"
    assert notes[1] == "the time limit is left as it is: the job has none"


def test_a_job_that_may_not_be_requeued_has_no_net() -> None:
    new, notes = sized(a_big_cluster(), a_spec(mem_mib=65_536, requeue=False))
    assert new.oom_factor_milli == 0
    assert NET not in notes
    own = sized(a_big_cluster(), a_spec(mem_mib=65_536, oom_factor_milli=1_500))[0]
    assert own.oom_factor_milli == 1_500


def test_the_partitions_default_is_what_was_asked_for() -> None:
    new, notes = sized(a_big_cluster(def_mem_mib_per_cpu=32_768, default_time_s=86_400), a_spec())
    assert (new.ask.mem_mib_per_cpu, new.time_limit_s) == (11_264, 4_500)
    assert notes[0].startswith("--mem-per-cpu 32G -> 11G:")


def test_what_would_be_refused_is_left_to_be_refused() -> None:
    spec = replace(a_spec(mem_mib=65_536), partition="nosuch")
    assert sized(a_big_cluster(), spec) == (spec, ())
