"""The instances of the benchmark are what it says they are."""

from __future__ import annotations

from packhorse.scheduler.core.packing.best_fit import best_fit
from packhorse.scheduler.core.packing.verify import score, verify
from packhorse.simulator.contended import FAMILIES, contended
from packhorse.simulator.improver_bench import run_instance, table


def test_more_is_known_to_be_possible_than_the_plain_packer_places() -> None:
    instances = contended(3, 6, (5, 30))
    assert [instance.family for instance in instances] == list(FAMILIES) * 2
    for instance in instances:
        problem = instance.problem
        assert verify(problem, instance.known) == []
        assert instance.greedy == best_fit(problem)
        assert score(problem, instance.known).levels > score(problem, instance.greedy).levels
    assert [i.problem for i in contended(3, 6, (5, 30))] == [i.problem for i in instances]


def test_a_result_tells_what_was_won() -> None:
    (instance,) = contended(3, 1, (5, 5))
    result = run_instance(instance, 0.5, 1)
    assert result.greedy < result.planted and result.n_nodes == 5
    assert result.improved == (result.found > result.greedy)
    assert 0.0 <= result.gap_closed <= 1.0
    assert "| all | 1 | 0.5 s | 100.0 % |" in table([result], [])
