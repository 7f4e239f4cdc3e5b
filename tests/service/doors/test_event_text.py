"""Every event can be told in a sentence, and read as JSON with its fields by name."""

from __future__ import annotations

import json
import typing
from pathlib import Path

import pytest

from packhorse.scheduler.model import event as ev
from packhorse.scheduler.model.event import Event
from packhorse.scheduler.model.ids import AttemptKey, Instant, JobId, NodeName
from packhorse.scheduler.model.job import EndCause, Held, IndexRange, JobState
from packhorse.scheduler.model.reply import Done, RefusalCode, Refused, Submitted
from packhorse.scheduler.service import event_text
from packhorse.scheduler.service.event_text import CAUSES, HOLDS, SENTENCES, job_event, sentence
from tests.service.doors.running import SETTINGS, Running
from tests.store.event_samples import EVENTS

AT = Instant(1_800_000_000_000_000)
JOB = JobId(7)
KEY = AttemptKey(JOB, 1, 1)


async def test_a_tasks_story_outlives_the_task(tmp_path: Path) -> None:
    """Memory keeps no finished job here; the accounting knows whose number the task had."""
    async with Running(tmp_path, SETTINGS + "max_finished_kept = 0\n") as scheduler:
        await scheduler.add_node(cpus=1)
        array = await scheduler.submit(array="4-6")
        await scheduler.settle()
        [task] = [id for id, job in scheduler.engine.state.jobs.items() if job.index == 4]
        await scheduler.started(task)
        await scheduler.ended(task, exit_code=3)
        await scheduler.settle()
        assert task not in scheduler.engine.state.jobs
        ref = {"jobId": array, "indices": [{"start": 4, "stop": 4}]}
        answer = await scheduler.call("ListJobEvents", {"job": ref})
        kinds = [event["kind"] for event in answer["events"]]
        assert kinds[:5] == ["ArraySubmitted", "ArrayTaskSplit", "JobGranted", "AttemptStarted", "JobEnded"]
        waits = {"jobId": array, "indices": [{"start": 6, "stop": 6}]}
        answer = await scheduler.call("ListJobEvents", {"job": waits})
        assert answer["events"][0]["kind"] == "ArraySubmitted"
        for nobody in ({"start": 9, "stop": 9}, {"start": 4, "stop": 6}):
            ref = {"jobId": array, "indices": [nobody], "text": "16_9"}
            unknown = await scheduler.call("ListJobEvents", {"job": ref})
            assert (unknown.status, unknown["code"]) == (404, "not_found")
            assert unknown["message"].startswith("job 16_9 is not known")


def test_long_lists_are_counted_and_not_spelled_out(monkeypatch: pytest.MonkeyPatch) -> None:
    items: list[object] = []

    def named(value: object) -> object:
        items.append(value)
        return value

    monkeypatch.setattr(event_text, "named", named)
    told = json.loads(job_event(1, ev.JobsEligible(AT, tuple([JobId(n) for n in range(1, 102)]))).json)
    assert told == {"at": AT, "n_jobs": 101}
    assert items == [AT], "what is not told is not looked at either"


def test_no_kind_is_missing() -> None:
    assert set(SENTENCES) == set(typing.get_args(Event))
    assert set(CAUSES) == set(EndCause)
    assert set(HOLDS) == set(Held)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_every_event_can_be_told(event: Event) -> None:
    told = job_event(5, event)
    assert told.text and told.text == sentence(event)
    assert "\n" not in told.text and "Struct" not in told.text
    assert (told.seq, told.at_us, told.kind) == (5, event.at, type(event).__name__)
    fields = json.loads(told.json)
    assert list(fields) == list(event.__struct_fields__)


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (
            ev.ArrayRemainderCancelled(
                AT, JOB, (IndexRange(0, 3, 1),), -1, JobState.DEADLINE, "DeadLine", "late"
            ),
            "waiting tasks 0-3 of array 7 given up (DEADLINE): late",
        ),
        (
            ev.ArrayRemainderCancelled(AT, JOB, (IndexRange(0, 3, 1),), -1),
            "waiting tasks 0-3 of array 7 cancelled",
        ),
        (
            ev.JobEnded(AT, JOB, JobState.FAILED, KEY, AT, 3, 0, "NonZeroExitCode"),
            "FAILED: exit code 3 (NonZeroExitCode)",
        ),
        (ev.JobEnded(AT, JOB, JobState.FAILED, KEY, AT, 0, 9), "FAILED: ended by signal KILL"),
        (
            ev.JobEnded(AT, JOB, JobState.CANCELLED, cancelled_by=0),
            "CANCELLED without having run by root",
        ),
        (ev.JobHeld(AT, JOB, Held.USER, 0), "held by its user (root)"),
        (ev.JobReleased(AT, JOB, 0), "released by root"),
        (
            ev.JobRequeued(
                AT, JOB, KEY, EndCause.NODE_FAIL, JobState.NODE_FAIL, Instant(0), avoid=NodeName("n1")
            ),
            "requeued: its node failed; not on n1 again",
        ),
        (ev.NodeDrained(AT, NodeName("n1"), "replace fan", 0), "node n1 drained by root: replace fan"),
        (
            ev.CallAnswered(AT, 0, "k", "f", Refused(RefusalCode.INVALID, "no")),
            "call k of root answered: refused: no",
        ),
        (ev.CallAnswered(AT, 0, "k", "f", Submitted(JOB, 2)), "call k of root answered: 2 jobs from 7"),
        (ev.CallAnswered(AT, 0, "k", "f", Done()), "call k of root answered: done"),
    ],
)
def test_sentences(event: Event, text: str) -> None:
    assert sentence(event) == text


async def test_a_jobs_story(tmp_path: Path) -> None:
    async with Running(tmp_path) as scheduler:
        await scheduler.add_node()
        job = await scheduler.submit(name="tale")
        await scheduler.settle()
        await scheduler.started(job)
        await scheduler.ended(job, exit_code=1)
        answer = await scheduler.call("ListJobEvents", {"job": {"jobId": job}})
        kinds = [event["kind"] for event in answer["events"]]
        assert kinds == ["JobsSubmitted", "JobGranted", "AttemptStarted", "JobEnded"]
        assert '"tale"' in answer["events"][0]["text"]
        assert "on n1" in answer["events"][1]["text"]
        unknown = await scheduler.call("ListJobEvents", {"job": {"jobId": 99}})
        assert (unknown.status, unknown["code"]) == (404, "not_found")
        missing = await scheduler.call("ListJobEvents")
        assert "which job" in missing["message"]


async def test_a_tasks_story_by_index(tmp_path: Path) -> None:
    async with Running(tmp_path) as scheduler:
        await scheduler.add_node(cpus=1)
        array = await scheduler.submit(array="4-6")
        await scheduler.settle()
        ref = {"jobId": array, "indices": [{"start": 4, "stop": 4}]}
        answer = await scheduler.call("ListJobEvents", {"job": ref})
        kinds = [event["kind"] for event in answer["events"]]
        assert kinds == ["ArraySubmitted", "ArrayTaskSplit", "JobGranted"]


def test_long_lists_are_counted() -> None:
    ids = tuple([JobId(n) for n in range(1, 1001)])
    assert json.loads(job_event(1, ev.JobsForgotten(AT, ids)).json) == {"at": AT, "n_jobs": 1000}
