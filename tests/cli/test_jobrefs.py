"""Job numbers as people copy them from squeue."""

from __future__ import annotations

import pytest

from packhorse.cli.jobrefs import parse_job_ref
from packhorse.scheduler.model.errors import BadValue


def test_a_job_a_task_and_what_waits_of_an_array() -> None:
    assert parse_job_ref("17") == {"jobId": 17, "text": "17"}
    task = {"start": 3, "stop": 3, "step": 1}
    assert parse_job_ref("17_3") == {"jobId": 17, "text": "17_3", "indices": [task]}
    rest = [task, {"start": 15, "stop": 30, "step": 1}]
    assert parse_job_ref("17_[3,15-30]")["indices"] == rest
    assert parse_job_ref("17_[3,15-30%4]")["indices"] == rest


@pytest.mark.parametrize("text", ["", "x", "0", "17_", "17_x", "17_[3", "17_[]", "-1", "1.0"])
def test_what_is_no_job(text: str) -> None:
    with pytest.raises(BadValue, match="is not a job: write a number as in 17"):
        parse_job_ref(text)
