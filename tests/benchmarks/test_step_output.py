"""The benchmark of steps' output, small: nothing is lost, everything is in order, both are measured."""

from __future__ import annotations

import argparse

from benchmarks.step_output import measure


async def test_it_measures_and_checks() -> None:
    found = await measure(argparse.Namespace(tasks=4, mb=1, starts=2, cpus=0))
    assert set(found) == {"checked", "output", "start_1", "start_8"}
    for figures in found.values():
        assert isinstance(figures, dict)
        assert all(value > 0 for value in figures.values())
