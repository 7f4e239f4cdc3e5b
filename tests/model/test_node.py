"""Names of racks and switches: one alphabet for the configuration, agents and the scheduler."""

from __future__ import annotations

import pytest

from packhorse.scheduler.config.kinds import TOPOLOGY, KeyProblem
from packhorse.scheduler.model.node import MAX_LEVELS, are_levels

BAD = ("räck", "rack²", "a b", "a:b", "a/b", "", "a,b", "[1]")


def test_levels_are_plain_names() -> None:
    assert are_levels(())
    assert are_levels(("row-1", "Rack_2", "leaf.3"))
    assert are_levels(("a",) * MAX_LEVELS) and not are_levels(("a",) * (MAX_LEVELS + 1))
    for name in BAD:
        assert not are_levels(("row", name)), name


@pytest.mark.parametrize("name", ["räck", "rack²", "a b", ""])
def test_the_configuration_takes_the_same(name: str) -> None:
    assert TOPOLOGY.read(["row/rack:n1"]) == (("row/rack", ("n1",)),)
    with pytest.raises(KeyProblem, match="ASCII letters"):
        TOPOLOGY.read([f"row/{name}:n1"])
