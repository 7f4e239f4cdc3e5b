"""The instances of the benchmark are what it says they are."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from packhorse.scheduler.core.packing.best_fit import best_fit
from packhorse.scheduler.core.packing.verify import score, verify
from packhorse.simulator.contended import FAMILIES, contended
from packhorse.simulator.improver_bench import main, run_instance, table


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


def test_a_problem_the_scheduler_wrote_down_is_replayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (instance,) = contended(3, 1, (5, 5))
    path = tmp_path / "improver-1.json"
    value = {
        "wrong": ["something"],
        "seed": 1,
        "workers": 1,
        "problem": json.loads(instance.problem.to_json()),
        "hint": json.loads(instance.greedy.to_json()),
    }
    path.write_text(json.dumps(value))
    monkeypatch.setattr(sys, "argv", ["bench", "--replay", str(path), "--limits", "0.5"])
    assert main() == 0
    assert "value by rank" in capsys.readouterr().out
    path.write_text(json.dumps(value | {"hint": [[99, []]]}))
    assert main() == 1
    assert "rejected: job 0: no ask class 99" in capsys.readouterr().out
    path.write_text("{}")
    with pytest.raises(SystemExit):
        main()
    assert "not a problem that the scheduler wrote" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--limits", "nan"], "--limits nan: seconds"),
        (["--limits", "1,-1"], "--limits 1,-1: seconds"),
        (["--limits", "one"], "--limits one: seconds"),
        (["--seed", "-1"], "--seed -1: from 0"),
        (["--workers", "0"], "--workers 0: from 1"),
        (["--instances", "-1"], "--instances -1: from 0"),
        (["--instances", "0"], "there is nothing to do"),
        (["--json", "/there/is/no/such.json"], "there is no folder /there/is/no"),
    ],
)
def test_words_that_make_no_sense_are_refused_before_the_work(
    words: list[str], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", *words])
    with pytest.raises(SystemExit):
        main()
    assert says in capsys.readouterr().err
