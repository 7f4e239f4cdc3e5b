"""Runs of the openb experiment: the metric, the fragmentation measure, queues, holds, learning."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from packhorse.scheduler.core.packing.online import Placer, Taken
from packhorse.scheduler.core.packing.policy import Want
from packhorse.simulator.openb.curve import alloc_curve, last_at_each_percent
from packhorse.simulator.openb.fragments import Fragments
from packhorse.simulator.openb.queue import Hold, Queue
from packhorse.simulator.openb.run import Manner, run
from packhorse.simulator.openb.stranding import Stranding
from packhorse.simulator.openb.workload import Workload, mix_of_list, mix_of_seen, workload
from packhorse.simulator.traces import openb
from tests.benchmarks.small_trace import write_trace
from tests.benchmarks.tight import MIXES, TIGHT


@pytest.fixture(scope="module")
def trace(repository: Path) -> openb.Trace:
    return openb.read(repository / "benchmarks" / "data" / "openb", "default", openb.SEEDS)


@pytest.fixture(scope="module")
def work(trace: openb.Trace) -> Workload:
    return workload(trace, 42)


def small(tmp_path: Path) -> Workload:
    return workload(openb.read(write_trace(tmp_path), "small", (42, 43)), 42)


# ------------------------------------------------------------------------------------------------ metric


def test_the_metric_is_a_mean_over_arrivals() -> None:
    """Of 1,000: 4, 4 and 15 have arrived after three, which round to 0, 0 and 2 (half to even)."""
    arrived, placed = np.array([4, 4, 15, 16]), np.array([4, 4, 4, 5])
    assert alloc_curve(arrived, placed, 1000) == {0: 0.4, 2: 0.45}
    assert last_at_each_percent(arrived, 1000) == {0: 2, 2: 4}


def test_while_nothing_is_rejected_the_curve_is_the_published_one(work: Workload, repository: Path) -> None:
    published = openb.published_curves(repository / "benchmarks" / "data" / "openb", "default")["fgd"][0].mean
    everything = alloc_curve(work.arrived_milli(), work.arrived_milli(), work.capacity_milli)
    assert work.capacity_milli == 6_212_000
    assert all(abs(everything[x] - published[x]) <= 0.011 for x in range(90))


def test_nodes_come_in_order_of_the_published_rank(work: Workload, trace: openb.Trace) -> None:
    ranks = [trace.streams[42].rank[node.name] for node in work.nodes]
    assert ranks == sorted(ranks)


def test_fragments_by_hand(tmp_path: Path) -> None:
    """Classes of the small trace, 1/4 each: 600 of any device, one A, two devices, CPU only."""
    work = small(tmp_path)
    placer = Placer(work.ground, TIGHT.make(work.ground, mix_of_list(work)))
    fragments = Fragments(work.ground, mix_of_list(work))
    n0, n1 = (next(i for i, node in enumerate(work.nodes) if node.name == name) for name in ("n0", "n1"))
    # n0, A A empty: only the CPU-only class makes fragments of it. n1, B: of no use to one A, two, CPU-only.
    fragments_milli, free_milli = fragments.total(placer)
    assert fragments_milli == pytest.approx(2000 / 4 + 3 * 1000 / 4)
    assert free_milli == 3000
    placer.take(placer.code(Want(1000, 100, 1, 600)), n0, 1)
    fragments.changed([n0])
    # n0 has 1000 and 400 free: 400 for the share and the A, all for two devices and for CPU only.
    assert fragments.total(placer)[0] == pytest.approx((400 + 400 + 1400 + 1400) / 4 + 3 * 1000 / 4)
    placer.take(placer.code(Want(8000, 0, 0, 0)), n1)
    fragments.changed([n1])
    assert fragments.total(placer)[0] == pytest.approx((400 + 400 + 1400 + 1400) / 4 + 1000), (
        "no CPU, no host"
    )


def test_only_changed_nodes_are_looked_at_again(work: Workload) -> None:
    placer = Placer(work.ground, TIGHT.make(work.ground, mix_of_list(work)))
    kept = Fragments(work.ground, mix_of_list(work))
    kept.total(placer)
    for row in work.rows[:300]:
        taken = placer.place(placer.code(*work.asks[work.ask_of[row]]))
        assert taken is not None
        kept.changed([taken.node])
    assert kept.total(placer) == pytest.approx(Fragments(work.ground, mix_of_list(work)).total(placer))


# --------------------------------------------------------------------------------------------- workloads


def test_memory_makes_no_class_of_the_mix(work: Workload) -> None:
    mix = mix_of_list(work)
    assert mix.weight.size < len(work.asks)
    assert mix.weight.sum() == pytest.approx(1.0)
    assert (np.diff(mix.weight) <= 0).all()
    assert mix_of_seen(work, 0).weight.size == 0


def test_a_larger_cluster_repeats_nodes_and_arrivals(trace: openb.Trace) -> None:
    large = workload(trace, 42, 3000)
    assert len(large.nodes) == len({node.name for node in large.nodes}) == 3000
    assert [n.model for n in large.nodes[:1213]] == [n.model for n in large.nodes[1213:2426]]
    arrived = int(large.arrived_milli()[-1])
    assert large.capacity_milli * 1.3 <= arrived < large.capacity_milli * 1.3 + 8000
    assert large.rows[: len(trace.streams[42].rows)] == trace.streams[42].rows


def test_a_mix_of_what_was_seen_is_learned_again_and_again(work: Workload) -> None:
    MIXES.clear()
    run(work._replace(rows=work.rows[:900]), TIGHT, Manner(seen=True))
    assert [round(mix.weight.sum()) for mix in MIXES] == [0, 1, 1, 1]
    assert [mix.weight.size for mix in MIXES] == [
        mix_of_seen(work, n).weight.size for n in (0, 200, 400, 800)
    ]


# ------------------------------------------------------------------------------------------------- queues


def a_queue(tmp_path: Path, hold: Hold | None = None) -> tuple[Queue, Placer, Callable[[int], int]]:
    """A queue on the small trace, and the code of each row of its pods."""
    work = small(tmp_path)
    placer = Placer(work.ground, TIGHT.make(work.ground, mix_of_list(work)))
    stranding = Stranding(placer, mix_of_list(work)) if hold else None
    return Queue(placer, hold, stranding), placer, lambda row: placer.code(*work.asks[work.ask_of[row]])


def test_what_waits_starts_when_there_is_room(tmp_path: Path) -> None:
    """Two devices only fit on n0; those that come later and fit pass by."""
    queue, placer, code = a_queue(tmp_path)
    queue.add(0, code(2))
    queue.add(1, code(2))
    queue.add(2, code(0))
    first, second = queue.start(2)
    assert (first.position, second.position) == (0, 2)
    assert queue.waiting() == {code(2): [1]}
    assert queue.start(3) == []
    placer.release(code(2), first.taken)
    (third,) = queue.start(7)
    assert (third.position, third.waited, third.taken) == (1, 6, first.taken)
    assert queue.waiting() == {}


def test_a_pass_leaves_nothing_that_fits(work: Workload) -> None:
    """Work-conserving: after every pass no waiting job fits anywhere."""
    placer = Placer(work.ground, TIGHT.make(work.ground, mix_of_list(work)))
    queue = Queue(placer, None, None)
    codes = [placer.code(*work.asks[work.ask_of[row]]) for row in work.rows]
    running: list[tuple[int, Taken]] = []
    wants = {placer.code(*ask): ask for ask in work.asks}
    for position, code in enumerate(codes[:9500]):
        queue.add(position, code)
        if position % 500:
            continue
        running += [(job.code, job.taken) for job in queue.start(position)]
        cpu, mem, dev = placer.free()
        for waiting in queue.waiting():
            want, types = wants[waiting]
            allowed = np.ones_like(dev, bool) if types is None else np.isin(work.ground.type_of, types)
            enough = ((dev >= max(want.milli, 1)) & allowed).sum(axis=0) >= want.n_devices
            assert not ((cpu >= want.cpu_milli) & (mem >= want.mem_mib) & enough).any()
        if position % 1500 == 0:
            for job in running[::3]:
                placer.release(*job)
            running = [job for i, job in enumerate(running) if i % 3]


def test_without_departures_a_queue_places_what_online_places(work: Workload) -> None:
    """What does not fit never will, so waiting changes nothing."""
    online, queued = run(work, TIGHT, Manner()), run(work, TIGHT, Manner(queue=True))
    assert online.placed == queued.placed
    assert online.alloc_pct == queued.alloc_pct
    assert queued.n_waiting == queued.n_arrived - len(queued.placed)


def test_a_hold_is_bounded_in_time(tmp_path: Path) -> None:
    """On a small trace a share of 600 strands the 400 left over; three arrivals later it starts."""
    queue, _, code = a_queue(tmp_path, Hold(3, 0.5, 1.0))
    queue.add(0, code(0))
    queue.add(1, code(1))
    assert [job.position for job in queue.start(1)] == [1]
    assert (queue.waiting(), queue.held()) == ({}, {code(0): [0]})
    assert queue.start(2) == []
    (started,) = queue.start(3)
    assert (started.position, started.waited) == (0, 3)
    assert (queue.held(), queue.held_milli) == ({}, 0)


def test_a_hold_is_bounded_in_volume(tmp_path: Path) -> None:
    """Of 3,000 thousandths a fifth may be held: one share of 600; the second is placed at once."""
    queue, _, code = a_queue(tmp_path, Hold(100, 0.5, 0.2))
    queue.add(0, code(0))
    queue.add(1, code(0))
    assert [job.position for job in queue.start(1)] == [1]
    assert queue.held_milli == 600


def test_a_hold_ends_with_a_better_place(tmp_path: Path) -> None:
    """Where 600 are all that is left of a device, a share of 600 strands nothing more."""
    queue, placer, code = a_queue(tmp_path, Hold(100, 0.5, 1.0))
    queue.add(0, code(0))
    assert queue.start(0) == []
    n1 = next(i for i, node in enumerate(placer.ground.n_devices.tolist()) if node == 1)
    placer.take(placer.code(Want(0, 0, 1, 400)), n1, 0)
    assert queue.start(1)[0].taken == Taken(n1, (0,))


def test_what_fits_nowhere_is_not_held(tmp_path: Path) -> None:
    queue, placer, code = a_queue(tmp_path, Hold(100, 0.5, 1.0))
    for node, n in enumerate(placer.ground.n_devices.tolist()):
        if n:
            placer.take(placer.code(Want(0, 0, n, 1000)), node)
    queue.add(0, code(0))
    assert queue.start(0) == []
    assert (queue.waiting(), queue.held()) == ({code(0): [0]}, {})


def test_stranding_by_hand(tmp_path: Path) -> None:
    work = small(tmp_path)
    placer = Placer(work.ground, TIGHT.make(work.ground, mix_of_list(work)))
    stranding = Stranding(placer, mix_of_list(work))
    share, whole = placer.code(Want(1000, 100, 1, 600)), placer.code(Want(1000, 100, 1, 1000))
    n0 = next(i for i, node in enumerate(work.nodes) if node.name == "n0")
    assert stranding.part(share, n0, 0) == pytest.approx(400 / 600)
    assert stranding.part(whole, n0, 0) == 0.0
    assert stranding.part(placer.code(Want(7500, 0, 0, 0)), n0, 0) == pytest.approx(1.0), (
        "CPU for one device is left"
    )
