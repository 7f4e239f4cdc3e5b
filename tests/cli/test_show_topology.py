"""scontrol show topology, in Slurm's form."""

from __future__ import annotations

from packhorse.cli.slurm.show_topology import lines

ROWS = [
    *({"name": f"n{i}", "topology": f"row/rack{(i - 1) // 2}"} for i in range(1, 5)),
    {"name": "n5", "topology": ""},
]


def test_the_lowest_level_first() -> None:
    assert lines(ROWS, []) == [
        "SwitchName=rack0 Level=0 LinkSpeed=1 Nodes=n[1-2]",
        "SwitchName=rack1 Level=0 LinkSpeed=1 Nodes=n[3-4]",
        "SwitchName=row Level=1 LinkSpeed=1 Nodes=n[1-4] Switches=rack[0-1]",
    ]
    assert lines(ROWS, ["rack1"]) == ["SwitchName=rack1 Level=0 LinkSpeed=1 Nodes=n[3-4]"]
    assert [line.split()[0] for line in lines(ROWS, ["n1"])] == ["SwitchName=rack0", "SwitchName=row"]
    assert lines(ROWS[4:], []) == []


def test_names_that_are_there_twice_are_told_apart() -> None:
    rows = [{"name": "a", "topology": "east/leaf"}, {"name": "b", "topology": "west/leaf"}]
    assert [line.split()[0] for line in lines(rows, [])] == [
        "SwitchName=east.leaf", "SwitchName=west.leaf", "SwitchName=east", "SwitchName=west",
    ]  # fmt: skip
