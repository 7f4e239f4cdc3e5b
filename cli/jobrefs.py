"""Job numbers as people write them for `packhorse` commands."""

from __future__ import annotations

from typing import Any

from packhorse.scheduler.model.errors import BadValue


def parse_job_ref(text: str) -> dict[str, Any]:
    """`17`, `17_3` as the JobRef message; raises BadValue."""
    job, separator, index = text.partition("_")
    if not job.isdecimal() or (separator and not index.isdecimal()) or int(job) == 0:
        raise BadValue(f'"{text}" is not a job: write a number as in 17, or an array task as in 17_3')
    ref: dict[str, Any] = {"jobId": int(job), "text": text}
    if separator:
        ref["indices"] = [{"start": int(index), "stop": int(index), "step": 1}]
    return ref
