"""Jobs as a path or a body names them: `12`, `12_3`, `12_[3-5]`."""

from __future__ import annotations

import re

from packhorse.scheduler.model.arrayspec import ArraySpecError, parse_array
from packhorse.scheduler.service.failures import CallFailed, Code
from packhorse.scheduler.service.messages import IndexRange, JobRef

_JOB = re.compile(r"(\d{1,15})(?:_(?:(\d{1,10})|\[([\d,:-]+)\]))?")


def job_ref(text: str) -> JobRef:
    """The reference. Raises CallFailed for what names no job."""
    match = _JOB.fullmatch(text.strip())
    if match is None or not int(match[1]):
        raise _invalid(text)
    indices = match[2] or match[3]
    if not indices:
        return JobRef(job_id=int(match[1]), text=text)
    try:
        ranges, _ = parse_array(indices)
    except ArraySpecError as error:
        raise _invalid(text) from error
    return JobRef(
        job_id=int(match[1]),
        indices=[IndexRange(start=first, stop=last, step=step) for first, last, step in ranges],
        text=text,
    )


def _invalid(text: str) -> CallFailed:
    return CallFailed(
        Code.INVALID_ARGUMENT,
        f'"{text[:100]}" is no job: write 12, 12_3 or 12_[3-5]',
        slurm="Invalid job id specified",
    )
