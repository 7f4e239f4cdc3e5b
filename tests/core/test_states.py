"""docs/states.md says what the table of transitions says."""

from pathlib import Path

from packhorse.scheduler.core.transitions import TABLE
from packhorse.scheduler.model import event as ev
from packhorse.scheduler.model.job import JobState


def rows(text: str, heading: str) -> list[list[str]]:
    """The cells of the first table below the heading, without its head."""
    below = text.split(heading, 1)[1].splitlines()
    table = []
    for line in below:
        if line.startswith("|"):
            table.append([cell.strip() for cell in line.strip("|").split("|")])
        elif table:
            break
    return table[2:]


def test_the_document_shows_the_table(repository: Path) -> None:
    text = (repository / "docs" / "states.md").read_text()
    expected = [
        [
            row.event.__name__,
            ", ".join(row.before) if row.before is not None else "–",
            ", ".join(row.after) or "–",
            row.meaning,
        ]
        for row in TABLE
    ]
    assert rows(text, "## Transitions") == expected


def test_every_state_is_explained_or_called_unused(repository: Path) -> None:
    text = (repository / "docs" / "states.md").read_text()
    explained = {row[0] for row in rows(text, "# States of a job")}
    assert explained | {"REQUEUED", "BOOT_FAIL"} == {s.value for s in JobState}


def test_every_event_about_one_job_is_in_the_table() -> None:
    about_jobs = {
        kind for kind in ev.Event.__args__ if {"job", "jobs", "attempt"} & set(kind.__struct_fields__)
    } | {ev.JobsSubmitted}  # fmt: skip
    assert {row.event for row in TABLE} == about_jobs
