"""Distributions of tasks: the examples of Slurm's manual page and of its source."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhorse.scheduler.core.steps import layout


def test_block_is_srun_s_example() -> None:
    """srun(1), --distribution=block: on three nodes with two CPUs each "tasks one and two on the first node,
    task three on the second node, and task four on the third node"."""
    assert layout.block(4, [2, 2, 2]) == ((0, 1), (2,), (3,))


def test_cyclic_is_srun_s_example() -> None:
    """srun(1), --distribution=cyclic: "tasks one and four on the first node, task two on the second node, and
    task three on the third node"."""
    assert layout.cyclic(4, [2, 2, 2]) == ((0, 3), (1,), (2,))


def test_plane_goes_round_in_blocks() -> None:
    """slurm.schedmd.com/dist_plane.html: 21 tasks, plane size 4, on three nodes."""
    assert layout.plane(21, 3, 4) == (
        (0, 1, 2, 3, 12, 13, 14, 15),
        (4, 5, 6, 7, 16, 17, 18, 19),
        (8, 9, 10, 11, 20),
    )


def test_arbitrary_follows_the_order_given() -> None:
    assert layout.arbitrary(4, [1, 0, 1], 2) == ((1,), (0, 2, 3))


def test_unequal_nodes_fill_up_one_after_the_other() -> None:
    """Slurm 22.05 gave a job of 3 tasks with 2 CPUs each SLURM_TASKS_PER_NODE=1,2 where its nodes had 2 and 4
    CPUs (shared/slurm-golden/out/env/batch-script-n3-c2-mem200.txt)."""
    assert layout.block(3, [1, 2]) == ((0,), (1, 2))
    assert layout.cyclic(5, [1, 4]) == ((0,), (1, 2, 3, 4))


def test_beyond_what_cpus_take_it_goes_round() -> None:
    assert layout.spread(7, [1, 2]) == [3, 4]


@pytest.mark.parametrize("make", [layout.block, layout.cyclic, lambda n, caps: layout.plane(n, len(caps), 3)])
@given(n_tasks=st.integers(1, 60), caps=st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_every_task_is_somewhere_once(make, n_tasks, caps) -> None:  # type: ignore[no-untyped-def]
    ranks = make(n_tasks, caps)
    assert len(ranks) == len(caps)
    assert sorted(task for mine in ranks for task in mine) == list(range(n_tasks))
    assert all(list(mine) == sorted(mine) for mine in ranks)


@given(n_tasks=st.integers(1, 60), caps=st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_no_node_is_full_beyond_its_cpus_before_all_are(n_tasks: int, caps: list[int]) -> None:
    counts = layout.spread(n_tasks, caps)
    if n_tasks <= sum(caps):
        assert all(count <= cap for count, cap in zip(counts, caps, strict=True))
