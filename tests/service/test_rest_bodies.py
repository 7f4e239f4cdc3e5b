"""Bodies of the REST interface, whatever they are: read, or refused in one line."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from packhorse.scheduler.model.errors import BadValue, PackhorseError
from packhorse.scheduler.model.job import Owner
from packhorse.scheduler.service import convert
from packhorse.scheduler.service import messages as m
from packhorse.scheduler.service.rest.actions import KILL, NODE, _Kill, _NodeChange
from packhorse.scheduler.service.rest.job_changes import UPDATE, job_change
from packhorse.scheduler.service.rest.job_description import FIELDS, REFUSED, allocation, submission
from packhorse.scheduler.service.rest.job_refs import job_ref
from packhorse.scheduler.service.rest.times import instant_us

WORDS = st.sampled_from(
    [
        *("", "-", "--5", "1-2", "0-9%2", "2-", "gres/gpu:2", "cpu:x", "cpu:", "n[1-3]", "n[1", "afterok:1"),
        *("USR1", "KILL_INVALID_DEPENDENCY", "A=B", "=", "4294967296", "\u0663", "a\0b", "unlimited", "1e9"),
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS
NUMBERS = st.fixed_dictionaries(
    {}, optional={"set": SCALARS, "infinite": SCALARS, "number": SCALARS, "more": SCALARS}
)
VALUES = st.recursive(
    SCALARS | NUMBERS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from([*FIELDS, *REFUSED, "nothing"])
FIELD_LISTS = st.dictionaries(NAMES, VALUES, max_size=4)


def told(error: BaseException) -> None:
    """It says what is wrong, in few words."""
    assert 8 < len(str(error)) < 2000


@given(FIELD_LISTS | VALUES, st.sampled_from([submission, allocation]))
def test_a_job_is_read_or_refused(job: Any, read: Any) -> None:
    try:
        found = read({"job": job, **({"script": "#!/bin/sh\n"} if read is submission else {})})
    except BadValue as error:
        told(error)
        return
    request = m.SubmitJobRequest(spec=found.spec, array=found.array)
    try:
        made = convert.submission(request, Owner(1, 1, "ann", "ann"), False)
    except PackhorseError as error:
        told(error)
        return
    msgspec.json.encode(made.input)  # what goes into the log


@given(FIELD_LISTS)
def test_a_change_is_read_or_refused(body: dict[str, Any]) -> None:
    try:
        change = job_change(body)
    except BadValue as error:
        told(error)
        return
    request = m.UpdateJobsRequest(jobs=[m.JobRef(job_id=1)], changes=change.changes)
    try:
        convert.update_jobs(request, Owner(1, 1, "ann", "ann"), False)
    except PackhorseError as error:
        told(error)


@given(st.dictionaries(st.sampled_from([*KILL.body.fields, *NODE.body.fields, "x"]), VALUES, max_size=3))
def test_other_bodies_are_read_or_refused(body: dict[str, Any]) -> None:
    for read in (
        lambda: KILL.read("the body", body, _Kill()),
        lambda: NODE.read("the body", body, _NodeChange()),
    ):
        try:
            read()
        except PackhorseError as error:
            told(error)


@given(st.text(max_size=12) | WORDS)
def test_ids_and_times_are_read_or_refused(text: str) -> None:
    for read in (job_ref, lambda text: instant_us("start_time", text, 0)):
        try:
            read(text)
        except PackhorseError as error:
            told(error)


def test_what_can_be_changed_is_what_can_be_said() -> None:
    assert UPDATE.body.fields.keys() <= FIELDS.keys()
    assert all(UPDATE.body.fields[name] == FIELDS[name][0] for name in UPDATE.body.fields)
