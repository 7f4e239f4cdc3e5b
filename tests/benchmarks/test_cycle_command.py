"""`packhorse bench cycle`: words that make no sense."""

from __future__ import annotations

import pytest

from packhorse.simulator import cycle_bench


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--nodes", "1"], "--nodes 1: from 20"),
        (["--seed", "-1"], "--seed -1: from 0"),
        (["--policy", "nope"], 'policy "nope" is not known; there are'),
        (["--json", "/there/is/no/such.json"], "there is no folder /there/is/no"),
    ],
)
def test_are_refused_in_one_line(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cycle_bench.main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line
