"""Where steps go, and what they get of what their job has."""

from __future__ import annotations

import pytest

from packhorse.scheduler.model.job import Given
from packhorse.scheduler.model.reply import RefusalCode, StepMade
from packhorse.scheduler.model.resources import Devices, Gres
from packhorse.scheduler.model.step import Overlap
from tests.core.steps.stepping import Stepping

EXACT = Overlap.EXACT


def three() -> tuple[Stepping, int]:
    """A job of six tasks on three nodes, two CPUs each."""
    s = Stepping(nodes=3, cpus=2, mem_mib=4_000, gpus=2)
    job = s.job(
        nodes=3,
        n_tasks=6,
        tasks_per_node=2,
        mem_mib=2_000,
        gpus=2,
        given=Given(n_tasks=True),
    )
    return s, job


@pytest.mark.parametrize(
    ("asked", "layout"),
    [
        ({}, {"n1": (0, 1), "n2": (2, 3), "n3": (4, 5)}),
        ({"n_tasks": 4}, {"n1": (0, 1), "n2": (2,), "n3": (3,)}),
        ({"n_tasks": 4, "distribution": "cyclic"}, {"n1": (0, 3), "n2": (1,), "n3": (2,)}),
        ({"n_tasks": 2}, {"n1": (0,), "n2": (1,)}),
        ({"n_tasks": 1}, {"n1": (0,)}),
        ({"min_nodes": 2}, {"n1": (0,), "n2": (1,)}),
        ({"min_nodes": 1, "n_tasks": 2}, {"n1": (0, 1)}),
        ({"min_nodes": 1, "max_nodes": 2, "n_tasks": 3}, {"n1": (0, 1), "n2": (2,)}),
        ({"min_nodes": 2, "tasks_per_node": 2}, {"n1": (0, 1), "n2": (2, 3)}),
        ({"n_tasks": 3, "tasks_per_node": 1}, {"n1": (0,), "n2": (1,), "n3": (2,)}),
        ({"n_tasks": 1, "relative": 2}, {"n3": (0,)}),
        ({"n_tasks": 2, "relative": 1}, {"n2": (0,), "n3": (1,)}),
        ({"n_tasks": 1, "nodes_required": ("n2",)}, {"n2": (0,)}),
        ({"n_tasks": 2, "min_nodes": 2, "nodes_required": ("n3",)}, {"n1": (0,), "n3": (1,)}),
        ({"n_tasks": 2, "min_nodes": 2, "nodes_excluded": ("n1",)}, {"n2": (0,), "n3": (1,)}),
        (
            {"n_tasks": 5, "distribution": "plane", "plane_size": 2},
            {"n1": (0, 1), "n2": (2, 3), "n3": (4,)},
        ),
        (
            {"n_tasks": 3, "distribution": "arbitrary", "nodes_required": ("n3", "n1", "n3")},
            {"n1": (1,), "n3": (0, 2)},
        ),
    ],
)
def test_tasks_over_nodes(asked: dict[str, object], layout: dict[str, tuple[int, ...]]) -> None:
    s, job = three()
    assert s.layout(job, **asked) == layout


def test_without_a_word_about_tasks_there_is_one_per_node() -> None:
    s = Stepping(nodes=2, cpus=4)
    assert s.layout(s.job(nodes=2, cpus=4)) == {"n1": (0,), "n2": (1,)}


def test_the_job_s_cpus_per_task_where_they_fit_else_one_each() -> None:
    """As Slurm 22.05, whose srun does not take SLURM_CPUS_PER_TASK for its own."""
    s = Stepping(cpus=8)
    job = s.job(cpus=4)
    assert s.running(s.step(job, overlap=EXACT)).parts[0].cpu_milli == 4_000
    assert s.running(s.step(job, overlap=Overlap.OVERLAP, n_tasks=4)).parts[0].ranks == (0, 1, 2, 3)
    answer = s.refused(job, n_tasks=5)
    assert (answer.code, answer.slurm) == (RefusalCode.IMPOSSIBLE, "More processors requested than permitted")


def test_a_step_has_its_nodes_to_itself_unless_it_is_exact() -> None:
    s = Stepping(cpus=8)
    job = s.job(n_tasks=4)
    key = s.step(job, n_tasks=1)
    assert s.running(key).parts[0].cpu_milli == 4_000
    busy = s.refused(job, n_tasks=1)
    assert (busy.code, busy.slurm) == (RefusalCode.EXHAUSTED, "Requested nodes are busy")
    assert s.refused(job, n_tasks=1, overlap=EXACT).code is RefusalCode.EXHAUSTED
    assert isinstance(s.try_step(job, overlap=Overlap.OVERLAP), StepMade)
    s.exit(key)
    assert isinstance(s.try_step(job, n_tasks=1), StepMade)


def test_exact_steps_share_a_node() -> None:
    s = Stepping(cpus=8)
    job = s.job(n_tasks=4)
    keys = [s.step(job, n_tasks=1, overlap=EXACT) for _ in range(4)]
    assert s.refused(job, n_tasks=1, overlap=EXACT).code is RefusalCode.EXHAUSTED
    assert s.refused(job, n_tasks=1).code is RefusalCode.EXHAUSTED, "it wants the whole node"
    s.exit(keys[2])
    assert isinstance(s.try_step(job, n_tasks=1, overlap=EXACT), StepMade)


def test_a_step_goes_where_room_is() -> None:
    s, job = three()
    s.step(job, n_tasks=1)
    assert [p.node for p in s.running(s.step(job, n_tasks=1)).parts] == ["n2"]
    assert s.refused(job, n_tasks=2, min_nodes=2).code is RefusalCode.EXHAUSTED
    assert s.refused(job, n_tasks=1, nodes_required=("n1",)).code is RefusalCode.EXHAUSTED


def test_memory_asked_for_is_held_and_else_shared() -> None:
    s = Stepping(cpus=8, mem_mib=8_000)
    job = s.job(n_tasks=4, mem_mib=4_000)
    shared = s.step(job, n_tasks=1, overlap=EXACT)
    assert s.running(shared).parts[0].mem_mib == 4_000
    key = s.step(job, n_tasks=1, overlap=EXACT, mem_mib_per_node=3_000)
    assert s.refused(job, n_tasks=1, overlap=EXACT, mem_mib_per_cpu=2_000).slurm == "Requested nodes are busy"
    s.exit(key)
    assert s.running(s.step(job, n_tasks=2, overlap=EXACT, mem_mib_per_cpu=2_000)).parts[0].mem_mib == 4_000
    never = s.refused(job, n_tasks=1, overlap=EXACT, mem_mib_per_node=5_000)
    assert (never.code, never.slurm) == (RefusalCode.IMPOSSIBLE, "Memory required by task is not available")


def test_gpus() -> None:
    s, job = three()
    per_task = (Gres("gpu", "", 1),)
    key = s.step(job, n_tasks=2, min_nodes=1, overlap=EXACT, gres_per_task=per_task)
    assert s.running(key).parts[0].devices == (Devices("gpu", "", (0, 1)),)
    s.exit(key)
    first = s.step(job, n_tasks=1, overlap=EXACT, gres_per_task=per_task, nodes_required=("n1",))
    second = s.step(job, n_tasks=1, overlap=EXACT, gres_per_node=per_task, nodes_required=("n1",))
    assert s.running(first).parts[0].devices == (Devices("gpu", "", (0,)),)
    assert s.running(second).parts[0].devices == (Devices("gpu", "", (1,)),)
    s.exit(first)
    s.exit(second)
    s.step(job, n_tasks=1, overlap=EXACT, gres_per_node=(Gres("gpu", "", 2),), nodes_required=("n1",))
    busy = s.refused(job, n_tasks=1, overlap=EXACT, gres_per_node=per_task, nodes_required=("n1",))
    assert busy.code is RefusalCode.EXHAUSTED
    all_there_are = s.step(job, n_tasks=1, overlap=EXACT, nodes_required=("n1",))
    assert s.running(all_there_are).parts[0].devices == (Devices("gpu", "", (0, 1)),)
    none = s.step(job, overlap=Overlap.OVERLAP, gres_per_node=(Gres("none", "", 0),))
    assert {part.devices for part in s.running(none).parts} == {()}
    over = s.step(job, overlap=Overlap.OVERLAP, n_tasks=3, gres_per_step=(Gres("gpu", "", 4),))
    assert [len(p.devices[0].indices) for p in s.running(over).parts] == [2, 1, 1]
    never = s.refused(job, overlap=EXACT, gres_per_step=(Gres("gpu", "", 7),))
    assert never.code is RefusalCode.IMPOSSIBLE
    assert s.refused(job, gres_per_node=(Gres("gpu", "h200", 1),)).slurm.startswith(
        "Invalid generic resource"
    )


@pytest.mark.parametrize(
    ("asked", "slurm"),
    [
        ({"n_tasks": 7}, "More processors requested than permitted"),
        ({"n_tasks": 1, "cpu_milli_per_task": 3_000}, "More processors requested than permitted"),
        ({"min_nodes": 4, "n_tasks": 4}, "Requested node configuration is not available"),
        ({"nodes_required": ("n9",)}, "Requested node configuration is not available"),
        ({"relative": 3}, "Requested node configuration is not available"),
        ({"nodes_excluded": ("n1", "n2", "n3")}, "Requested node configuration is not available"),
        (
            {"nodes_required": ("n1",), "nodes_excluded": ("n1",)},
            "Requested node configuration is not available",
        ),
    ],
)
def test_what_can_never_be(asked: dict[str, object], slurm: str) -> None:
    s, job = three()
    answer = s.refused(job, **asked)
    assert (answer.code, answer.slurm) == (RefusalCode.IMPOSSIBLE, slurm)


@pytest.mark.parametrize(
    "asked",
    [
        {"argv": ()},
        {"n_tasks": -1},
        {"distribution": "heap"},
        {"distribution": "plane"},
        {"distribution": "arbitrary"},
        {"min_nodes": 3, "max_nodes": 2},
        {"mem_mib_per_node": 5, "mem_mib_per_cpu": 5},
        {"gres_per_node": (Gres("gpu", "", 1, 250),)},
        {"gres_per_task": (Gres("gpu", "", -1),)},
    ],
)
def test_what_makes_no_sense(asked: dict[str, object]) -> None:
    s, job = three()
    assert s.refused(job, **asked).code is RefusalCode.INVALID


def test_a_silent_node_starts_nothing() -> None:
    s, job = three()
    s.cluster.silence("n2")
    assert s.refused(job).code is RefusalCode.EXHAUSTED
    assert isinstance(s.try_step(job, n_tasks=1, nodes_required=("n1",)), StepMade)
