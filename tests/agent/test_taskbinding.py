"""Which processors and GPUs the tasks of a step get."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhorse.agent.binding import Processor
from packhorse.agent.taskbinding import (
    CpuBind,
    Gpu,
    cpus_of_tasks,
    gpus_of_tasks,
    mask,
    parse_cpu_bind,
)
from packhorse.scheduler.model.errors import BadValue

# Two sockets of two cores of two threads; threads of a core are n and n + 4.
MACHINE = [Processor(cpu, core=cpu % 2, socket=cpu % 4 // 2, numa=cpu % 4 // 2) for cpu in range(8)]
ALL = tuple(range(8))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", CpuBind()),
        ("none", CpuBind("none")),
        ("no", CpuBind("none")),
        ("v", CpuBind("", (), True)),
        ("verbose,cores", CpuBind("cores", (), True)),
        ("quiet,threads", CpuBind("threads")),
        ("Rank", CpuBind("rank")),
        ("map_cpu:0,0x3,2*2", CpuBind("map_cpu", (0, 3, 2, 2))),
        ("v,mask_cpu:0x0f*2,f0", CpuBind("mask_cpu", (15, 15, 240), True)),
        ("mask_ldom:1,2", CpuBind("mask_ldom", (1, 2))),
    ],
)
def test_what_is_asked_for(text: str, expected: CpuBind) -> None:
    assert parse_cpu_bind(text) == expected


@pytest.mark.parametrize(
    "text", ["sideways", "map_cpu", "map_cpu:", "map_cpu:a", "map_cpu:1*0", "map_cpu:1*99999"]
)
def test_what_cannot_be_asked_for(text: str) -> None:
    with pytest.raises(BadValue, match="--cpu-bind="):
        parse_cpu_bind(text)


@pytest.mark.parametrize(
    ("bind", "n", "milli", "cpus", "expected"),
    [
        ("none", 2, 1000, ALL, [(), ()]),
        ("", 2, 2000, (0, 1, 4, 5), [(0, 1), (4, 5)]),  # just as many as they need
        ("", 2, 1000, (0, 1, 4, 5), [(), ()]),
        ("", 2, 500, (0,), [(), ()]),
        ("", 1, 4000, (0, 1, 4, 5), [()]),
        ("", 2, 4000, (), [(), ()]),
        ("threads", 3, 1000, (0, 1, 2), [(0,), (1,), (2,)]),
        ("threads", 3, 1000, (0, 1), [(0,), (1,), (0,)]),
        ("threads", 2, 9000, (0, 1), [(0, 1), (0, 1)]),
        ("cores", 2, 1000, ALL, [(0, 4), (1, 5)]),
        ("cores", 2, 1000, (0, 1, 2), [(0,), (1,)]),  # the other threads are somebody else's
        ("sockets", 2, 1000, ALL, [(0, 1, 4, 5), (0, 1, 4, 5)]),
        ("ldoms", 2, 2000, ALL, [(0, 1, 4, 5), (2, 3, 6, 7)]),
        ("rank", 3, 2000, (4, 5, 6), [(4,), (5,), (6,)]),
        ("rank_ldom", 3, 1000, ALL, [(0, 1, 4, 5), (2, 3, 6, 7), (0, 1, 4, 5)]),
        ("map_cpu:7,6", 3, 1000, ALL, [(7,), (6,), (7,)]),
        ("map_cpu:7,6", 2, 1000, (0, 6), [(), (6,)]),
        ("mask_cpu:3,c", 2, 1000, ALL, [(0, 1), (2, 3)]),
        ("map_ldom:1", 1, 1000, ALL, [(2, 3, 6, 7)]),
        ("mask_ldom:3", 1, 1000, (0, 2), [(0, 2)]),
    ],
)  # fmt: skip
def test_processors(
    bind: str, n: int, milli: int, cpus: tuple[int, ...], expected: list[tuple[int, ...]]
) -> None:
    assert cpus_of_tasks(parse_cpu_bind(bind), n, milli, cpus, MACHINE) == expected


@given(
    st.sampled_from(["", "none", "rank", "cores", "threads", "sockets", "ldoms", "rank_ldom", "map_cpu:1,9",
                     "mask_cpu:ff,100", "map_ldom:5", "mask_ldom:7"]),
    st.integers(1, 20), st.integers(0, 9000), st.sets(st.sampled_from(ALL)),
)  # fmt: skip
def test_no_task_leaves_the_processors_of_its_step(bind: str, n: int, milli: int, cpus: set[int]) -> None:
    found = cpus_of_tasks(parse_cpu_bind(bind), n, milli, tuple(cpus), MACHINE)
    assert len(found) == n
    for some in found:
        assert set(some) <= (cpus or set(ALL))


def test_a_mask() -> None:
    assert (mask((0, 1, 4)), mask(())) == ("0x13", "0x0")


GPUS = [Gpu("a", 4, 0), Gpu("b", 5, 0), Gpu("c", 6, 1), Gpu("d", 7, 1)]
NEAR = [frozenset({0}), frozenset({0}), frozenset({1}), frozenset({1})]


@pytest.mark.parametrize(
    ("bind", "per_task", "expected"),
    [
        ("", 0, None),
        ("none", 1, None),
        ("", 1, [(0,), (1,), (2,), (3,)]),
        ("", 2, [(0, 1), (2, 3), (0, 1), (2, 3)]),
        ("per_task:1", 0, [(0,), (1,), (2,), (3,)]),
        ("closest", 0, [(0, 1), (0, 1), (2, 3), (2, 3)]),
        ("verbose,single:1", 0, [(0,), (1,), (2,), (3,)]),
        ("single:2", 0, [(0,), (0,), (3,), (3,)]),
        ("map_gpu:7,4*2", 0, [(3,), (0,), (0,), (3,)]),
        ("map_gpu:1", 0, [(0, 1, 2, 3)] * 4),  # no GPU of the step has that number
        ("mask_gpu:0x30,c0", 0, [(0, 1), (2, 3), (0, 1), (2, 3)]),
    ],
)
def test_gpus(bind: str, per_task: int, expected: list[tuple[int, ...]] | None) -> None:
    assert gpus_of_tasks(bind, per_task, GPUS, NEAR, counted_anew=False) == expected


def test_gpus_counted_within_the_step() -> None:
    assert gpus_of_tasks("map_gpu:1,0", 0, GPUS[:2], NEAR[:2], counted_anew=True) == [(1,), (0,)]


def test_one_task_sees_all_gpus_unless_some_are_named() -> None:
    assert gpus_of_tasks("closest", 0, GPUS, NEAR[:1], counted_anew=False) is None
    assert gpus_of_tasks("", 1, GPUS, NEAR[:1], counted_anew=False) == [(0,)]


@pytest.mark.parametrize("bind", ["single:0", "single:", "per_task:x", "map_gpu:", "inwards"])
def test_how_gpus_cannot_be_bound(bind: str) -> None:
    with pytest.raises(BadValue, match="--gpu-bind="):
        gpus_of_tasks(bind, 0, GPUS, NEAR, counted_anew=False)
