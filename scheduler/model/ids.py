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
    step: which step of the attempt is meant, as far as it runs on one node; -1: its batch script.
    """

    job: JobId
    number: int
    epoch: int
    step: int = -1

    def __str__(self) -> str:
        text = f"{self.job}.{self.number}.{self.epoch}"
        return text if self.step < 0 else f"{text}.{self.step}"

    @classmethod
    def parse(cls, text: str) -> AttemptKey:
        """The key written as `job.number.epoch` or `job.number.epoch.step`; raises ValueError for anything
        else.
        """
        job, number, epoch, *step = text.split(".")
        if len(step) > 1:
            raise ValueError(f"{text!r} names no attempt")
        return cls(JobId(int(job)), int(number), int(epoch), int(step[0]) if step else -1)

    @property
    def whole(self) -> AttemptKey:
        """The attempt that the step belongs to."""
        return AttemptKey(self.job, self.number, self.epoch)


def is_node_name(text: str) -> bool:
    """Whether a node may be called that: it becomes part of file names, host lists and tokens."""
    return (
        text[:1].isalnum()
        and text.isascii()
        and text.replace("-", "").replace("_", "").replace(".", "").isalnum()
    )
