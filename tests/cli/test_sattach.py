"""sattach: somebody who watches a step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli import fake_door
from tests.cli.fake_door import Visit
from tests.cli.fake_scheduler import FakeScheduler
from tests.cli.stepped import Stepped


@pytest.fixture
def stepped(scheduler: FakeScheduler, tmp_path: Path) -> Iterator[Stepped]:
    world = Stepped(scheduler, tmp_path)
    yield world
    world.close()


def script(visit: Visit) -> None:
    visit.welcome([0, 1])
    visit.send(fake_door.OUT, 0, b"zero\n")
    visit.send(fake_door.OUT, 1, b"one\n")
    visit.send(fake_door.ERR, 1, b"bad\n")
    visit.ended(0)
    visit.ended(1, 3)
    visit.over()


def test_it_watches(stepped: Stepped) -> None:
    stepped.serve(([0, 1], script))
    assert stepped.run("sattach", "-l", "12.0") == (
        3,
        "0: zero\n1: one\n",
        "1: bad\nsattach: error: node1: task 1: Exited with exit code 3\n",
    )
    assert stepped.doors[0].visits == [{"attach": "12.1.1.0", "as": "watch"}]
    assert stepped.scheduler.bodies("GetStep")[0] == {"jobId": 12, "stepId": 0}


def test_filters(stepped: Stepped) -> None:
    stepped.serve(([0, 1], script))
    code, out, err = stepped.run("sattach", "--output-filter=1", "--error-filter", "0", "12.0")
    assert (code, out) == (3, "one\n")
    assert "bad" not in err


def test_layout(stepped: Stepped) -> None:
    stepped.serve(([0, 1], script), ([2], script))
    assert stepped.run("sattach", "--layout", "12.0") == (
        0,
        (
            "Job step layout:\n\t3 tasks, 2 nodes (node[1-2])\n\n"
            "\tNode 0 (node1), 2 task(s): 0 1 \n\tNode 1 (node2), 1 task(s): 2 \n"
        ),
        "",
    )
    assert not stepped.doors[0].visits


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "One and only one step to attach to has to be given, as in 15.0"),
        (["a.b"], '"a.b" is not a step: write JOB.STEP, as in 15.0'),
        (["--pty", "--output-filter=1", "12.0"], "--pty is not compatible with the filter options"),
        (["--output-filter=x", "12.0"], 'Invalid numeric value "x" for --output-filter.'),
    ],
)
def test_wrong_command_lines(stepped: Stepped, words: list[str], text: str) -> None:
    assert stepped.run("sattach", *words) == (1, "", f"sattach: error: {text}\n")


def test_no_such_step(stepped: Stepped) -> None:
    stepped.scheduler.fail("GetStep", "not_found", "no step 12.7", "Invalid job id specified", 404)
    assert stepped.run("sattach", "12.7") == (1, "", "sattach: error: 12.7: Invalid job id specified\n")
