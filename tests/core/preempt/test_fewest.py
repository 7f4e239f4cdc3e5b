"""Victims against brute force: nobody in vain, and where few could leave, nothing cheaper is there."""

from __future__ import annotations

from collections.abc import Sequence, Set
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from packhorse.scheduler.core.preempt.fewest import fewest
from packhorse.scheduler.model.ids import US, JobId
from packhorse.scheduler.model.job import Active
from tests.core.preempt.cluster_of import HIGH, LOW, told, yielding


class Amounts:
    """A trial on plain sums: there is room once each of two amounts is reached."""

    def __init__(self, gives: Sequence[tuple[int, int]], need: tuple[int, int]) -> None:
        self.gives, self.need = gives, need
        self.out: set[int] = set()

    def leave(self, i: int) -> None:
        assert i not in self.out
        self.out.add(i)

    def stay(self, i: int) -> None:
        self.out.remove(i)

    def may(self, members: Sequence[int]) -> bool:
        return self.enough(set(members))

    def room(self) -> bool:
        return self.enough(self.out)

    def enough(self, out: set[int]) -> bool:
        """Whether these would do."""
        return all(sum(self.gives[i][r] for i in out) >= self.need[r] for r in (0, 1))


TABLES = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3), st.integers(0, 3)), max_size=8)


@given(TABLES, st.integers(0, 8), st.integers(0, 8))
@settings(max_examples=120, deadline=None)
def test_the_cheapest_choice_of_all(table: list[tuple[int, int, int]], a: int, b: int) -> None:
    table.sort()
    costs = [cost for cost, *_ in table]
    trial = Amounts([(x, y) for _, x, y in table], (a, b))
    found = fewest(trial, costs, 10_000)
    assert not trial.out, "everybody is back"
    choices = [set(c) for n in range(len(table) + 1) for c in combinations(range(len(table)), n)]
    enough = [choice for choice in choices if trial.enough(choice)]
    if found is None:
        assert not enough
        return
    best = min((sum(costs[i] for i in choice), len(choice)) for choice in enough)
    assert (sum(costs[i] for i in found), len(found)) == best
    assert trial.enough(set(found))
    assert not any(trial.enough(set(found) - {i}) for i in found)


@given(TABLES, st.integers(0, 20), st.integers(0, 20))
@settings(max_examples=120, deadline=None)
def test_greedily_nobody_leaves_in_vain(table: list[tuple[int, int, int]], a: int, b: int) -> None:
    table.sort()
    trial = Amounts([(x, y) for _, x, y in table], (a, b))
    found = fewest(trial, [cost for cost, *_ in table], 0)
    if found is not None:
        assert trial.enough(set(found))
        assert not any(trial.enough(set(found) - {i}) for i in found)


@given(
    st.lists(
        st.tuples(st.integers(1, 3), st.sampled_from([0, 2_000, 9_000]), st.integers(0, 400)),
        min_size=1,
        max_size=7,
    ),
    st.integers(1, 3),
    st.integers(1, 4),
    st.sampled_from([0, 5_000, 16_000]),
)
@settings(max_examples=60, deadline=None)
def test_on_a_cluster_without_any_one_of_them_there_is_no_room(
    low: list[tuple[int, int, int]], nodes: int, cpus: int, mem_mib: int
) -> None:
    """Jobs of some CPUs and memory, begun one after the other on three nodes; then one comes that wants so
    much on each of up to three nodes."""
    cluster = yielding(nodes=3, cpus=4)
    for n, mem, wait in low:
        job = cluster.submit(cpus=n, mem_mib=mem, qos=LOW, time_limit_s=100_000)
        if job in cluster.run_cycle():
            cluster.start(job)
        else:
            cluster.cancel(job)
        cluster.clock.advance(wait)
    running = [job for job in cluster.state.jobs.values() if isinstance(job.phase, Active)]
    high = cluster.submit(cpus=cpus, nodes=nodes, mem_mib=mem_mib, qos=HIGH, time_limit_s=1000)
    begun = {job.id: cluster.clock.now - cluster.active(job.id).started_at for job in running}
    where = {job.id: cluster.active(job.id).placements[0] for job in running}
    victims = {JobId(id) for id in told(cluster)}

    def room(out: Set[int]) -> bool:
        n = 0
        for name in cluster.state.nodes:
            here = [p for id, p in where.items() if p.node == name and id not in out]
            free = 4000 - sum(p.cpu_milli for p in here), 16_000 - sum(p.mem_mib for p in here)
            n += int(free[0] >= cpus * 1000 and free[1] >= mem_mib)
        return n >= nodes

    def lost(out: Set[JobId]) -> int:
        return sum((begun[id] + 30 * US) * (where[id].cpu_milli * 1_000_000 // 12_000) for id in out)

    ids = [job.id for job in running]
    enough = [set(c) for n in range(len(ids) + 1) for c in combinations(ids, n) if room(set(c))]
    if room(set()):
        assert not victims
        assert cluster.state_of(high) == "CONFIGURING"
    elif not enough:
        assert not victims
    else:
        assert room(victims)
        assert not any(room(victims - {id}) for id in victims)
        assert lost(victims) == min(map(lost, enough))
