"""What the scheduler says, as Python values."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from packhorse.scheduler.model.errors import PackhorseError


class CallFailed(PackhorseError):
    """The scheduler refused or could not be reached. code: gRPC's word, as in "invalid_argument"."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class NotFinished(PackhorseError):
    """A job did not end within the time given to `wait`."""

    def __init__(self, results: tuple[JobResult, ...], timeout_s: float) -> None:
        waiting = ", ".join(result.ref for result in results if not result.ended)
        super().__init__(f"not ended within {timeout_s:g} s: {waiting}")
        self.results = results


@dataclass(frozen=True)
class JobResult:
    """How a job stands. Of an array: n_ended of n_total tasks, and the worst of their states.

    exit_signal 0 unless a signal ended it.
    """

    job_id: int
    ref: str
    state: str
    ended: bool
    exit_code: int = 0
    exit_signal: int = 0
    reason: str = ""
    n_ended: int = 0
    n_total: int = 1

    @property
    def ok(self) -> bool:
        """Ended, and well."""
        return self.state == "COMPLETED"


@dataclass(frozen=True)
class JobInfo:
    """One row of the queue. array_pending: the waiting indices of an array as "4-7%2", "" otherwise.

    Instants are None where not known. time_limit None: unlimited.
    """

    job_id: int
    array_job_id: int
    array_task_id: int
    array_pending: str
    name: str
    user: str
    partition: str
    state: str
    reason: str
    explanation: str
    priority: int
    n_nodes: int
    n_cpus: int
    nodes: str
    exit_code: int
    exit_signal: int
    submitted: datetime.datetime | None
    started: datetime.datetime | None
    ended: datetime.datetime | None
    time_limit: datetime.timedelta | None


@dataclass(frozen=True)
class JobEvent:
    """One fact of the log. data: all fields of the event, as JSON text."""

    seq: int
    at: datetime.datetime
    kind: str
    job_id: int
    node: str
    text: str
    data: str
