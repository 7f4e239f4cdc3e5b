"""Names of things: job ids, instants, node names, attempts."""

from __future__ import annotations

from typing import NewType

import msgspec

JobId = NewType("JobId", int)
"""Number of a job, an array or an array task; given once, never again."""

Instant = NewType("Instant", int)
"""Microseconds since the Unix epoch (UTC). 0 stands for "not known" where a field allows it."""

NodeName = NewType("NodeName", str)

UNKNOWN = Instant(0)
US = 1_000_000
"""Microseconds in a second."""


class AttemptKey(msgspec.Struct, frozen=True, array_like=True, gc=False, order=True):
    """One try at running a job: agents refuse any that is older than what they have seen.

    epoch is the leader epoch of the scheduler that granted it; it grows with every scheduler start.
    """

    job: JobId
    number: int
    epoch: int

    def __str__(self) -> str:
        return f"{self.job}.{self.number}.{self.epoch}"

    @classmethod
    def parse(cls, text: str) -> AttemptKey:
        """The key written as `job.number.epoch`; raises ValueError for anything else."""
        job, number, epoch = text.split(".")
        return cls(JobId(int(job)), int(number), int(epoch))


def is_node_name(text: str) -> bool:
    """Whether a node may be called that: it becomes part of file names, host lists and tokens."""
    return (
        text[:1].isalnum()
        and text.isascii()
        and text.replace("-", "").replace("_", "").replace(".", "").isalnum()
    )
